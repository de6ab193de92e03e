"""Tables and settings of a proposed workspace: codebook, scales, units, workspace.toml."""

from __future__ import annotations

import csv
import io
from collections.abc import Collection, Sequence
from dataclasses import replace
from datetime import date
from pathlib import Path

import pandas as pd

from ..measure.intake import wjx
from ..measure.intake.row_consent import USE
from ..spec import schemas
from ..spec.codebook import Codebook, Scale, default_codebook
from ..spec.consent import PLACEHOLDER
from ..spec.periods import parse
from ..spec.settings import is_fieldwork
from ..spec.tree import CHOICE_ROLES, Node
from .proposed_columns import OUTCOME, ProposedColumn

#: Names of the dimension of questions that stand under no heading: beside others, and where there is none.
OTHER, EVERY = "其他题目", "全部题目"
UNITS = ("unit", "tree", "parent", "level", "type", "name_zh")


def proposed_nodes(columns: Sequence[ProposedColumn]) -> tuple[list[Node], list[Scale], str]:
    """Return the nodes of the proposed codebook (recognised questions under their own dimensions), scales, and form."""
    known: Codebook = default_codebook()
    default = {c.node.code for c in columns if c.node is not None and c.node.code in known.tree}
    nodes: list[Node] = []
    if default:
        kept = default | {code for leaf in default for code in known.tree.ancestors(leaf)}
        nodes += [node for node in known.tree if node.code in kept]
    own = [c for c in columns if c.role == "item" and c.node is not None and c.node.code not in known.tree]
    rated = [c for c in own if c.section != OUTCOME]
    if rated and not any(node.role == "index" for node in nodes):
        nodes.append(Node("INDEX", label_zh="员工思想指数", role="index"))
    form = "both" if default else ""
    sections = dict.fromkeys(c.section for c in rated)
    unnamed = EVERY if len(sections) == 1 and not default else OTHER
    for i, name in enumerate(sections, start=1):
        nodes.append(Node(f"M{i}", parent="" if default else "INDEX", label_zh=name or unnamed, role="dimension"))
        nodes += [replace(c.node, parent=f"M{i}", form=form) for c in rated if c.section == name and c.node is not None]
    outcomes = [c.node for c in own if c.section == OUTCOME and c.node is not None]
    if outcomes:
        nodes.append(Node("OUTCOME", label_zh=OUTCOME, role="outcome"))
        nodes += [replace(node, parent="OUTCOME", form=form) for node in outcomes]
    nodes += [c.node for c in columns if c.node is not None and c.role in ("group", "check", "text", "ask")]
    nodes += _choices(columns)
    scales = {c.scale.name: c.scale for c in columns if c.scale is not None}
    scales |= {node.scale: known.scales[node.scale] for node in nodes if node.scale in known.scales}
    anchors = {leaf.code for leaf in known.tree.in_form("anchors").leaves}
    full = {leaf.code for leaf in known.tree.in_form("full").leaves}
    asked = "full" if not default or full <= default else "pulse" if anchors <= default else "full"
    return nodes, list(scales.values()), asked


def _choices(columns: Sequence[ProposedColumn]) -> list[Node]:
    """Return each multiple choice or ranking followed by its options."""
    options = [(c.node, c.section) for c in columns if c.node is not None and c.role in CHOICE_ROLES]
    nodes = []
    for question in dict.fromkeys(node.parent for node, _ in options):
        below = [(node, wording) for node, wording in options if node.parent == question]
        (first, wording), *_ = below
        nodes += [Node(question, role=first.role, label_zh=wording, text_zh=wording), *(node for node, _ in below)]
    return nodes


def asks_consent(columns: Sequence[ProposedColumn]) -> bool:
    """Tell whether a column asks for consent to the use of the answers."""
    return any(c.node is not None and c.node.code == USE for c in columns)


def unit_names(columns: Sequence[ProposedColumn], frame: pd.DataFrame) -> list[str]:
    """Return the names of units that were chosen."""
    header = next((c.header for c in columns if c.role == "unit"), None)
    return [] if header is None else sorted({cell.strip() for cell in frame[header] if cell.strip()})


def write_proposed_tables(
    folder: Path, period: str, days: Sequence[date], columns: Sequence[ProposedColumn], units: Sequence[str], name: str
) -> None:
    """Write codebook.csv, scales.csv, units.csv and workspace.toml into a folder; days are those of submission, if known."""
    nodes, scales, asked = proposed_nodes(columns)
    names = schemas.CODEBOOK.names
    if not any(node.role == "ask" for node in nodes):
        names = tuple(column for column in names if column not in ("choices", "evidence"))
    rows = [[_cell(getattr(node, column)) for column in names] for node in nodes]
    write_rows(folder / "codebook.csv", names, rows)
    if scales:
        write_rows(folder / "scales.csv", *scale_rows(scales))
    if units:
        write_rows(folder / "units.csv", *unit_rows(units))
    (folder / "workspace.toml").write_text(_toml(name, period, asked, days, columns), encoding="utf-8")


def wave_line(period: str, asked: str, days: Sequence[date]) -> str:
    """Declare a wave: its form, with the first and last day of submission where they are known and near its period."""
    if not days or not is_fieldwork(period, min(days), max(days)):
        return f'{period} = "{asked}"'
    return f'{period} = {{ form = "{asked}", from = {min(days).isoformat()}, to = {max(days).isoformat()} }}'


def _toml(name: str, period: str, asked: str, days: Sequence[date], columns: Sequence[ProposedColumn]) -> str:
    informed = max(days, default=parse(period).end)
    mapped = {c.node.code: c.header for c in columns if c.node is not None}
    if "unit" in mapped:
        mapped = {"unit": mapped.pop("unit"), **mapped}
    notice = [
        "",
        "[consent]  # 没有同意栏的各期以告知为依据；日期和告知方式请改为实际情况 (put date and text right)",
        'basis = "notice"',
        f'date = "{informed.isoformat()}"',
        f'text = "{NOTICE}"',
    ]
    lines = [
        "# 由 dj new 提出,请核对 (proposed by dj new, to be looked over)",
        f"name = {toml_text(name)}",
        'language = "zh"',
        "min_group = 10",
        "",
        "[waves]",
        wave_line(period, asked, days),
        *([] if asks_consent(columns) else notice),
        "",
        "[tables.responses.columns]",
        *(f"{code} = {toml_text(header)}" for code, header in mapped.items()),
    ]
    return "\n".join(lines) + "\n"


NOTICE = f"问卷首页告知书：说明目的、自愿填答、只作汇总（{PLACEHOLDER}）"


def kept_columns(columns: Sequence[ProposedColumn], headers: Sequence[str]) -> list[str]:
    """Return the headers of the file that a workspace keeps: those declared, and the leading columns that lead to nobody."""
    declared = {c.header for c in columns if c.node is not None}
    # A multiple choice in one cell stands in the file under its question, in the codebook under its options.
    wholes = {header for header in headers if any(d.startswith(f"{header}(") for d in declared)}
    return [header for header in headers if header in declared | wholes or header in wjx.META]


def toml_text(value: str) -> str:
    """Return a TOML string."""
    escaped = (
        value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n").replace("\r", "\\r").replace("\t", "\\t")
    )
    return f'"{escaped}"'


def scale_rows(
    scales: Sequence[Scale], before: Sequence[list[str]] = (), known: Collection[str] = ()
) -> tuple[Sequence[str], list[list[str]]]:
    """Return header and rows of scales.csv: those there were, then the scales not known yet."""
    rows = [
        [s.name, o.code, _cell(o.value), o.label_zh, o.label_en, "1" if o.value != o.value else ""]
        for s in scales
        if s.name not in known
        for o in s.options
    ]
    return schemas.SCALES.names, [*before, *rows]


def unit_rows(units: Sequence[str]) -> tuple[Sequence[str], list[list[str]]]:
    """Return header and rows of units.csv for the names chosen."""
    return UNITS, [[f"U{i:03d}", "", "", "unit", "", unit] for i, unit in enumerate(units, start=1)]


def read_rows(path: Path) -> list[dict[str, str]]:
    """Read the rows of a table that :func:`write_rows` wrote, as they stand."""
    return list(csv.DictReader(io.StringIO(path.read_text(encoding="utf-8-sig"))))


def write_rows(path: Path, header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Write a table as spreadsheets read it: UTF-8 with its mark."""
    stream = io.StringIO(newline="")
    writer = csv.writer(stream)
    writer.writerow(header)
    writer.writerows(rows)
    path.write_text(stream.getvalue(), encoding="utf-8-sig", newline="")


def _cell(value: object) -> str:
    if isinstance(value, float):
        return "" if value != value else f"{value:g}"
    return str(value)
