"""Completing a proposed workspace once its open questions are decided; everything else stays as it was edited."""

from __future__ import annotations

import csv
import io
import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import pandas as pd

from ..errors import Problems, UsageError
from ..file_access import accessing, put_in_place
from ..measure.intake import wjx
from ..measure.intake.copies import write_table
from ..measure.intake.row_consent import CONSENTS
from ..measure.intake.sources import raise_for
from ..spec.codebook import Scale, load_codebook
from ..spec.periods import is_period
from ..spec.settings import Settings, read_settings
from ..spec.tables import read_responses
from ..spec.tree import Node
from ..spec.units import load_units
from .proposed_columns import Decisions, ProposedColumn, propose_columns
from .proposed_tables import (
    EVERY,
    OTHER,
    proposed_nodes,
    read_rows,
    scale_rows,
    toml_text,
    unit_names,
    unit_rows,
    write_rows,
)
from .question_headers import header_names
from .summary import ProposalPage


@dataclass(frozen=True)
class Proposal:
    """What each column was taken for: ``.table`` has column, code, role, why; ``.notices`` say what was left out."""

    folder: Path
    table: pd.DataFrame
    notices: tuple[str, ...] = ()

    @property
    def questions(self) -> pd.DataFrame:
        """The rows of ``.table`` that are to be decided."""
        return self.table[self.table["role"] == "ask"]

    @classmethod
    def of(
        cls, folder: Path, columns: Sequence[ProposedColumn], identifying: Sequence[str], notices: Sequence[str]
    ) -> Proposal:
        """Make the table of columns and of those left out."""
        rows = [(c.header, "" if c.node is None else c.node.code, c.role, c.why) for c in columns]
        rows += [(h, "", "", "已删去:会指向个人 (left out: leads to a person)") for h in identifying]
        return cls(folder, pd.DataFrame(rows, columns=["column", "code", "role", "why"]), tuple(notices))


def propose_again(folder: str | Path, decisions: Decisions | None = None) -> Proposal:
    """Complete a workspace made by `propose_workspace` after decisions were made, by hand or in ``decisions``.

    Rows of codebook.csv that were asked and have another role now get what it needs (range, scale, place in the index; a
    unit its units.csv); columns decided as ``none`` leave the copy of the answers. ``PROPOSAL.md`` and ``PROPOSAL.en.md`` are written anew.
    Nothing else that was edited changes.

    Parameters
    ----------
    folder
        The workspace, with one wave.
    decisions
        ``roles``, ``unit``, ``scales`` and ``reverse`` are taken; dimensions are changed in codebook.csv.

    Raises
    ------
    UsageError
        The folder holds no open or decided question of ``dj new``, or several waves.
    DataError
        A file of it cannot be read.
    """
    folder, decisions, problems = Path(folder), decisions or Decisions(), Problems()
    settings = read_settings(folder, problems)
    waves = [path for path in sorted((folder / "responses").glob("*")) if is_period(path.stem)]
    listed = folder / "codebook.csv"
    if len(waves) != 1 or not listed.exists():
        raise UsageError(f"{folder}: 应为只有一期、有 codebook.csv 的工作区 (a workspace of one wave is needed)")
    table = read_responses(waves[0], problems)
    raise_for(problems)
    assert table is not None, "a file that cannot be read is a problem"
    rows = read_rows(listed)
    headers = dict(settings.tables["responses"].columns) if "responses" in settings.tables else {}
    answers = wjx.spread_multiple(wjx.blank_missing(table.frame))
    decisions.check([str(name) for name in answers.columns])
    asked = {row["code"]: headers[row["code"]] for row in rows if row.get("evidence") and row["code"] in headers}
    by_hand = {asked[row["code"]]: row["role"] for row in rows if row["code"] in asked and row["role"] != "ask"}
    wanted = replace(decisions, roles={**by_hand, **decisions.roles})
    wanted.check([str(name) for name in answers.columns])
    proposed = {column.header: column for column in propose_columns(answers, wanted)}
    columns = {code: _recoded(proposed[header], code) for code, header in asked.items()}
    notices = [f"仍待决定 (still to be decided): {c.header}" for c in columns.values() if c.role == "ask"]
    _write(settings, waves[0], table.frame, answers, rows, headers, columns, decisions.reverse, notices)
    return Proposal.of(folder, list(columns.values()), (), notices)


def _recoded(column: ProposedColumn, code: str) -> ProposedColumn:
    """Keep the code a column has in the workspace; a unit's is fixed."""
    if column.node is None or column.role == "unit":
        return column
    return replace(column, node=replace(column.node, code=code))


def _write(
    settings: Settings,
    wave: Path,
    frame: pd.DataFrame,
    answers: pd.DataFrame,
    rows: list[dict[str, str]],
    headers: dict[str, str],
    columns: dict[str, ProposedColumn],
    reverse: Sequence[str],
    notices: list[str],
) -> None:
    """Write the completed files beside the old ones first, so that a failure leaves the old ones."""
    folder = settings.folder
    kept_rows, scales = _completed(rows, columns)
    for row in kept_rows:
        if row["role"] == "item" and header_names(headers.get(row["code"], "")) & set(reverse):
            row["direction"] = "-1"
            notices.append(f"反向题 (reversed): {row['code']} {row['label_zh']}")
    lines = (folder / "workspace.toml").read_text(encoding="utf-8").splitlines()
    units: list[str] = []
    for code, column in columns.items():
        if column.role == "unit":
            units = unit_names([column], answers)
            lines = [f"unit = {toml_text(column.header)}" if line.startswith(f"{code} = ") else line for line in lines]
        elif column.node is None:
            lines = [line for line in lines if not line.startswith(f"{code} = ")]
    lost = {column.header for column in columns.values() if column.node is None}
    with accessing(folder), tempfile.TemporaryDirectory(prefix=".dj-new-", dir=folder) as place:
        unfinished = Path(place) / "new"
        unfinished.mkdir()
        cells = list(kept_rows[0])
        write_rows(unfinished / "codebook.csv", cells, [[row[name] for name in cells] for row in kept_rows])
        if scales:
            before = folder / "scales.csv"
            old = list(csv.reader(io.StringIO(before.read_text(encoding="utf-8-sig"))))[1:] if before.exists() else []
            known = {row[0] for row in old}
            write_rows(unfinished / "scales.csv", *scale_rows(scales, old, known))
        if units:
            write_rows(unfinished / "units.csv", *unit_rows(units))
        (unfinished / "workspace.toml").write_text("\n".join(lines) + "\n", encoding="utf-8")
        _page(settings, unfinished, answers, headers, columns, notices).write(unfinished, folder)
        if lost:
            write_table(unfinished / wave.name, frame[[h for h in frame.columns if h not in lost]])
        put_in_place(
            {wave if path.name == wave.name else folder / path.name: path for path in sorted(unfinished.iterdir())},
            Path(place),
        )


def _page(
    settings: Settings,
    unfinished: Path,
    answers: pd.DataFrame,
    headers: dict[str, str],
    decided: dict[str, ProposedColumn],
    notices: Sequence[str],
) -> ProposalPage:
    """Tell anew what each column is: what was decided now, and what codebook.csv says of the others."""
    for name in ("scales.csv", "units.csv"):
        if (folder_file := settings.folder / name).exists() and not (unfinished / name).exists():
            shutil.copy(folder_file, unfinished / name)
    problems = Problems()
    codebook = load_codebook(replace(settings, folder=unfinished), problems)
    units = load_units(replace(settings, folder=unfinished), problems)
    raise_for(problems)
    nodes = {node.code: node for node in (*codebook.tree, *codebook.others)}
    columns = []
    for code, header in headers.items():
        if code in decided or header not in answers:
            continue
        role = "consent" if code in CONSENTS else code  # unit, own_code
        columns.append(ProposedColumn(header, nodes.get(code) or Node(code, role=role), "见 codebook.csv (as it says)"))
    columns += decided.values()
    order = {str(header): place for place, header in enumerate(answers.columns)}
    columns.sort(key=lambda column: order.get(column.header, len(order)))
    names = [unit.name_zh or unit.unit for unit in units.rows]
    return ProposalPage(columns, answers, (), list(nodes.values()), list(codebook.scales.values()), names, notices)


def _completed(
    rows: list[dict[str, str]], columns: dict[str, ProposedColumn]
) -> tuple[list[dict[str, str]], list[Scale]]:
    """Return the rows of the codebook with what was decided, and the scales that came with it."""
    nodes, scales, _ = proposed_nodes(list(columns.values()))
    by_code = {node.code: node for node in nodes}
    kept: list[dict[str, str]] = []
    added: list[dict[str, str]] = []
    dimensions = {row["label_zh"]: row["code"] for row in rows if row["role"] == "dimension"}
    index = next((row["code"] for row in rows if row["role"] == "index"), "")
    for row in rows:
        column = columns.get(row["code"])
        if column is None:
            kept.append(row)
            continue
        if column.node is None or column.role == "unit":
            continue
        node = by_code[row["code"]]
        row = {**row, "role": column.role, "choices": node.choices, "evidence": node.evidence}
        if column.role == "item":
            section = column.section or (EVERY if EVERY in dimensions else OTHER)
            if section not in dimensions:
                dimensions[section] = _new_code(rows, added)
                parent = index or "INDEX"
                if not index:
                    index = "INDEX"
                    added.append(_row(rows[0], code="INDEX", label_zh="员工思想指数", role="index"))
                added.append(_row(rows[0], code=dimensions[section], parent=parent, label_zh=section, role="dimension"))
            row |= {
                "parent": dimensions[section], "minimum": f"{node.minimum:g}", "maximum": f"{node.maximum:g}",
                "scale": node.scale, "direction": row["direction"] or "1", "weight": row["weight"] or "1",
            }  # fmt: skip
        kept.append(row)
    return [*added, *kept], scales


def _row(like: dict[str, str], **cells: str) -> dict[str, str]:
    return {**dict.fromkeys(like, ""), "direction": "1", "weight": "1", **cells}


def _new_code(rows: list[dict[str, str]], added: list[dict[str, str]]) -> str:
    used = {row["code"] for row in (*rows, *added)}
    return next(code for k in range(1, len(used) + 2) if (code := f"M{k}") not in used)
