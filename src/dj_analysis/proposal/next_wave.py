"""A further wave added to a workspace: columns matched by wording, what is doubtful asked, both waves read afterwards."""

from __future__ import annotations

import difflib
import shutil
import tempfile
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from pathlib import Path

import pandas as pd

from ..errors import DataError, Problems, UsageError, unknown
from ..file_access import accessing, is_lock, put_in_place
from ..folder import declarations, read_wave, wave_files
from ..measure.intake import wjx
from ..measure.intake.copies import write_table
from ..measure.intake.row_consent import consent_columns
from ..measure.intake.sources import raise_for
from ..spec.periods import Period, parse
from ..spec.settings import Source
from ..spec.specification import Specification
from ..spec.tables import read_responses
from ..spec.tree import CHOICE_ROLES, Node
from .export import Export, read_export
from .named_units import NamedUnits, WaveDecisions, write_units
from .proposed_columns import LEFT_OUT, Decisions, ProposedColumn, propose_columns
from .proposed_tables import read_rows, toml_text, wave_line, write_rows
from .question_headers import header_names

_LATE = timedelta(days=45)  # after the end of a period in which its answers still come in
_NEAR = 0.3  # how alike two wordings must be to be named as each other


@dataclass(frozen=True)
class AddedWave:
    """What became of each column: ``.table`` has column, code, why; ``.notices`` say what was left out."""

    folder: Path
    period: str
    table: pd.DataFrame
    notices: tuple[str, ...] = ()


def add_wave(
    folder: str | Path, source: str | Path, period: str | None = None, decisions: WaveDecisions | None = None
) -> AddedWave:
    """Add a further wave to a workspace.

    Columns are matched by header, by wording where only the number of a question changed (those of multiple choices and
    rankings too), and by the wording in codebook.csv. A question of the codebook that no column asks, beside a column that
    nothing matches, is a reworded question: it is asked whether it is the same (``same``) or a new one that replaces it
    (``replaced``: the old row of codebook.csv ends, a new one begins). Units that are not known are asked: merged
    (``became``), another spelling (``alias``), or new. The wave's file is a clean copy under the headers declared already;
    everything is written, or nothing.

    Parameters
    ----------
    folder
        The workspace.
    source
        A file as exported by a survey platform.
    period
        The wave; by default the quarter of the last submission.
    decisions
        What is decided already.

    Raises
    ------
    DataError
        Open questions about columns or units, with what can be decided; submissions outside the period; what
        ``dj check`` would find in the wave.
    IdentifierError, PurposeError
        As for :func:`dj_analysis.read_survey`.
    UsageError
        The workspace has this wave, or its answers under another period; a decision names nothing there is.
    """
    folder, source, decisions, problems = Path(folder), Path(source), decisions or WaveDecisions(), Problems()
    settings, spec = declarations(folder, problems)
    problems.raise_if_any()
    export = read_export(source, problems)
    wave = _period_of(export, period, source, problems)
    if wave.text in wave_files(folder):
        raise UsageError(f"{folder} 已有 {wave.text} (the workspace has this wave);用 --period 指定另一期 (--period)")
    answers = export.answers
    _check_other_waves(answers, folder, wave.text)
    columns = _Columns(settings.tables.get("responses", Source()), spec, wave, answers, decisions)
    columns.ask(source.name, problems)
    units = NamedUnits(spec.units, wave, _unit_names(columns, answers), decisions)
    units.ask(source.name, problems)
    raise_for(problems)
    notices = [*export.table.notices, *export.notices]
    left = [header for header in answers.columns if header not in columns.headers and header not in wjx.META]
    notices += [f"未声明的列未存 (undeclared columns not stored): {'、'.join(left)}"] if left else []
    _write(folder, wave, answers, columns, units, export.days)
    rows = [(header, code, columns.why[code]) for header, code in columns.headers.items()]
    return AddedWave(folder, wave.text, pd.DataFrame(rows, columns=["column", "code", "why"]), tuple(notices))


def _period_of(export: Export, period: str | None, source: Path, problems: Problems) -> Period:
    """Return the wave's period; submissions far outside it go into ``problems``."""
    wave_name = export.wave(period, source, problems)
    raise_for(problems)
    wave = parse(wave_name)
    inside = sum(wave.start <= day <= wave.end + _LATE for day in export.days)
    if 2 * inside < len(export.days):
        found, allowed = f"{min(export.days)} – {max(export.days)}", f"{wave.start} – {wave.end + _LATE}"
        problems.add(
            f"{source.name}: {wjx.SUBMITTED}", "dates_outside", found, allowed, "改正 --period (correct --period)"
        )
    return wave


def _check_other_waves(answers: pd.DataFrame, folder: Path, period: str) -> None:
    """Raise an error where an earlier wave holds the same submissions."""
    mine = _submissions(answers)
    for wave, path in wave_files(folder).items():
        table = read_responses(path, Problems())
        if table is not None and mine and mine == _submissions(table.frame):
            raise UsageError(
                f"{path.name} 与此文件的答卷完全相同 (the same answers are there as {wave});未写入 (nothing was written)"
            )


def _submissions(frame: pd.DataFrame) -> set[tuple[str, ...]]:
    """Return what tells the sheets of a file apart from those of another: when, in which order, how long."""
    names = [name for name in (wjx.NUMBER, wjx.SUBMITTED, wjx.DURATION) if name in frame]
    if len(names) < 2:
        names = [str(name) for name in frame.columns]
    return set(frame[names].itertuples(index=False, name=None))


class _Columns:
    """Which column of the new file asks which question, and what has to be asked.

    Attributes
    ----------
    headers
        Header of the new file → code.
    why
        Code → how it was matched.
    new_nodes
        Code that ends → node that replaces it, with the header of its column.
    """

    def __init__(
        self, declared: Source, spec: Specification, wave: Period, answers: pd.DataFrame, decisions: WaveDecisions
    ):
        book = spec.codebook.at(wave.text)
        self.nodes = {
            node.code: node for node in (*book.tree.leaves, *book.others) if not self._is_question(node, book.others)
        }
        self.declared = {
            code: header for code, header in declared.columns.items() if code in self.nodes or code == "unit"
        }
        self.own_headers = {**{code: code for code in self.nodes}, **self.declared}
        self.names = [str(name) for name in answers.columns if name not in wjx.META]
        self.answers, self.decisions, self.wave = answers, decisions, wave
        self.headers: dict[str, str] = {}
        self.why: dict[str, str] = {}
        self.new_nodes: dict[str, tuple[Node, str]] = {}
        self._decided()
        self._match()

    @staticmethod
    def _is_question(node: Node, others: Collection[Node]) -> bool:
        return node.role in CHOICE_ROLES and any(other.parent == node.code for other in others)

    def _decided(self) -> None:
        for wanted, code in {**self.decisions.same, **self.decisions.replaced}.items():
            header = next((name for name in self.names if wanted in header_names(name)), None)
            if header is None:
                raise unknown("列/column", wanted, self.names)
            if code not in self.nodes:
                raise unknown("代码/code", code, self.nodes)
            if wanted in self.decisions.same:
                self._take(header, code, "按您的决定:同一题 (as you decided: the same question)")
                continue
            old, taken = self.nodes[code], set(self.nodes) | {node.code for node, _ in self.new_nodes.values()}
            new = next(f"{code}{letter}" for letter in "bcdefghijklmnopqrstuvwxyz" if f"{code}{letter}" not in taken)
            label = wjx.unnumbered(header)
            node = replace(
                old, code=new, label_zh=label, text_zh=label, valid_from=self.wave.text, valid_to="", replaces=code
            )
            self.new_nodes[code] = (node, header)
            self._take(header, new, f"按您的决定:替换 {code} (as you decided: replaces {code})")

    def _match(self) -> None:
        consents = consent_columns(self.answers, [n for n in self.names if n not in self.headers])
        for name, header in consents.items():
            self._take(header, name, "询问是否同意 (asks for consent)")
        plain = {code: wjx.unnumbered(header) for code, header in self.declared.items()}
        for header in (name for name in self.names if name not in self.headers and not self._is_left_out(name)):
            exact = [code for code, known in self.declared.items() if known == header]
            same = [code for code, words in plain.items() if words == wjx.unnumbered(header)]
            codes = [
                code for code in (exact or same) if code not in self.headers.values() and code not in self.new_nodes
            ]
            if len(codes) == 1:
                self._take(header, codes[0], "列名相同 (same header)" if exact else "题干相同 (same wording)")
        wordings = {
            code: tuple(text for text in (node.text_zh, node.text_en) if text)
            for code, node in self.nodes.items()
            if code not in self.headers.values() and code not in self.new_nodes and node.role not in CHOICE_ROLES
        }
        free = [name for name in self.names if name not in self.headers and not self._is_left_out(name)]
        for code, headers in wjx.match_headers(free, wordings, by_code=False).items():
            if len(headers) == 1:
                self._take(headers[0], code, "题干与 codebook 相同 (wording of the codebook)")

    def _take(self, header: str, code: str, why: str) -> None:
        self.headers[header], self.why[code] = code, why

    def _is_left_out(self, header: str) -> bool:
        return bool(header_names(header) & set(self.decisions.left_out))

    @property
    def unasked(self) -> list[Node]:
        """Questions, groups and options of earlier waves that no column of this one asks."""
        taken = {*self.headers.values(), *self.new_nodes}
        return [node for code, node in self.nodes.items() if code in self.declared and code not in taken]

    def ask(self, place: str, problems: Problems) -> None:
        """Note columns that may be reworded questions, and a unit that nobody tells."""
        free = [name for name in self.names if name not in self.headers and not self._is_left_out(name)]
        rated = _roles_of(self.answers[free])
        open_nodes = [node for node in self.unasked if node.role == "item"]
        for header in free:
            if rated.get(header) not in ("item", "ask") or not open_nodes:
                continue
            alike = {node.code: _alike(header, node) for node in open_nodes}
            near = sorted(open_nodes, key=lambda node, alike=alike: -alike[node.code])[:3]  # type: ignore[misc]
            named = "、".join(f"{node.code} {node.text_zh or node.label_zh}" for node in near)
            code = near[0].code if alike[near[0].code] >= _NEAR else "代码/CODE"
            advice = (
                f"同一题: --same '{header}={code}';新题替换旧题: --replaced '{header}={code}';不要: --none '{header}'"
                " (the same question, a new one in its place, or leave it out)"
            )
            problems.add(f"{place}: {header}", "reworded_question", named, "请决定 (to be decided)", advice)
        if "unit" in self.declared and "unit" not in self.headers.values():
            advice = "用 --same '列名=unit' 指定 (name it with --same 'HEADER=unit')"
            problems.add(place, "missing_column", "unit", self.declared["unit"], advice)


def _roles_of(answers: pd.DataFrame) -> dict[str, str]:
    proposed: list[ProposedColumn] = propose_columns(answers, Decisions()) if len(answers.columns) else []
    return {column.header: column.role or LEFT_OUT for column in proposed}


def _alike(header: str, node: Node) -> float:
    words = wjx.plain_header(wjx.unnumbered(header))
    return max(
        difflib.SequenceMatcher(None, words, wjx.plain_header(text)).ratio()
        for text in (node.text_zh, node.label_zh, node.code)
    )


def _unit_names(columns: _Columns, answers: pd.DataFrame) -> list[str]:
    header = next((header for header, code in columns.headers.items() if code == "unit"), None)
    return [] if header is None else sorted({cell.strip() for cell in answers[header] if cell.strip()})


def _write(
    folder: Path, wave: Period, answers: pd.DataFrame, columns: _Columns, units: NamedUnits, days: Sequence[date]
) -> None:
    """Write the new files beside the old ones, read them as the workspace would, and only then put them in place."""
    renamed = {header: columns.own_headers.get(code, header) for header, code in columns.headers.items()}
    kept = [header for header in answers.columns if header in columns.headers or header in wjx.META]
    with accessing(folder), tempfile.TemporaryDirectory(prefix=".dj-add-", dir=folder) as place:
        trial = Path(place)
        for path in folder.iterdir():
            if path.is_file() and path.suffix in (".csv", ".toml", ".xlsx") and not is_lock(path):
                shutil.copy2(path, trial / path.name)
        (trial / "responses").mkdir()
        write_table(trial / "responses" / f"{wave.text}.csv", answers[kept].rename(columns=renamed))
        changed = ["workspace.toml", *_write_codebook(trial, wave, columns), *write_units(trial, units)]
        _write_settings(trial / "workspace.toml", wave, columns, days)
        problems = Problems()
        declared, spec = declarations(trial, problems)
        if not problems:
            read_wave(declared, spec, wave.text, problems)
        problems.raise_if_any(DataError)
        (folder / "responses").mkdir(exist_ok=True)
        (trial / "old").mkdir()
        written = [*changed, f"responses/{wave.text}.csv"]
        put_in_place({folder / name: trial / name for name in written}, trial / "old")


def _write_codebook(trial: Path, wave: Period, columns: _Columns) -> list[str]:
    path = trial / "codebook.csv"
    if not columns.new_nodes:
        return []
    if not path.exists():
        raise UsageError("codebook 须为 codebook.csv,才能加入新题 (a codebook.csv is needed to add a question)")
    rows = read_rows(path)
    names = [*dict.fromkeys([*rows[0], "valid_from", "valid_to", "replaces"])]
    written = []
    for row in rows:
        node, _ = columns.new_nodes.get(row["code"], (None, ""))
        if node is None or row.get("valid_to"):
            written.append(row)
            continue
        written.append({**row, "valid_to": wave.previous.text})
        text = {name: str(getattr(node, name)) for name in ("code", "label_zh", "text_zh", "valid_from", "replaces")}
        written.append({**row, "label_en": "", "text_en": "", "valid_to": "", **text})
    write_rows(path, names, [[row.get(name, "") for name in names] for row in written])
    return [path.name]


def _write_settings(path: Path, wave: Period, columns: _Columns, days: Sequence[date]) -> None:
    """Add the form of the wave and the headers of new questions to workspace.toml; every other line stays."""
    lines = path.read_text(encoding="utf-8").splitlines()
    anchors = [node for node in columns.unasked if node.role == "item" and node.form != "both"]
    missing = [node for node in columns.unasked if node.role == "item"]
    pulse = bool(missing) and len(anchors) == len(missing)
    _append(lines, "[waves]", [wave_line(wave.text, "pulse" if pulse else "full", days)])
    headers = [f"{node.code} = {toml_text(header)}" for node, header in columns.new_nodes.values()]
    if headers:
        _append(lines, "[tables.responses.columns]", headers)
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def _append(lines: list[str], section: str, added: Sequence[str]) -> None:
    """Put lines at the end of a section, which is made where it is missing."""
    at = next((i for i, line in enumerate(lines) if line.split("#")[0].strip() == section), None)
    if at is None:
        lines += ["", section, *added]
        return
    end = next((i for i in range(at + 1, len(lines)) if lines[i].startswith("[")), len(lines))
    while end > at + 1 and not lines[end - 1].strip():
        end -= 1
    lines[end:end] = added
