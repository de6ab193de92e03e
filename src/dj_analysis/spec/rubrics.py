"""Rubrics of assessment (评价细则): the items of a score sheet, the types of unit it judges, who judges."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

import pandas as pd

from ..errors import DjError, Problems
from .periods import is_period, parse
from .schemas import RUBRICS
from .settings import Settings
from .tables import load_table, quoted, rows_text
from .tree import Node, check_tree, read_nodes
from .units import Units

CHECKLIST = "checklist"


@dataclass(frozen=True)
class Rubric:
    """The declaration of one kind of score sheet.

    Attributes
    ----------
    code
        Its code; its items have it as their parent.
    items
        Items with weight and range of marks.
    types
        Types of unit it judges; empty: any.
    raters
        ``officials`` (inspection teams, juries in their role) or ``people`` (asked for their opinion, protected); empty:
        as ``[tables.ratings]`` declares.
    kind
        ``checklist``: each item is there (1) or not (0), and sheets are never averaged; empty: points.
    """

    code: str
    label_zh: str = ""
    label_en: str = ""
    items: tuple[Node, ...] = field(default=(), repr=False)
    types: tuple[str, ...] = ()
    raters: Literal["officials", "people", ""] = ""
    kind: Literal["checklist", ""] = ""

    def label(self, language: str = "zh") -> str:
        """Name for a reader; the code where none is given."""
        return (self.label_en or self.label_zh if language == "en" else self.label_zh) or self.code

    @property
    def codes(self) -> tuple[str, ...]:
        """Codes of its items."""
        return tuple(item.code for item in self.items)


@dataclass(frozen=True)
class _Row(Node):
    """One row of rubrics.csv: a rubric, or an item of one."""

    types: str = ""
    raters: str = ""
    kind: str = ""


def load_rubrics(settings: Settings, units: Units, problems: Problems) -> Mapping[str, Rubric]:
    """Read a workspace's rubrics by code; empty where there are none. What is wrong goes into ``problems``."""
    table = load_table(settings, "rubrics", RUBRICS, problems)
    if table is None:
        return {}
    rows = [row for row in read_nodes(table, problems, _Row) if isinstance(row, _Row)]
    check_tree(table.place, list(rows), problems)
    heads = {row.code: row for row in rows if not row.parent}
    known_types = {unit.type for unit in units.rows if unit.type}
    for row in rows:
        where = f"{table.place}: {row.code}"
        if row.parent and row.parent not in heads:
            advice = "评分项直接归在细则之下 (items stand right below their rubric)"
            problems.add(where, "item_below_item", row.parent, "、".join(heads), advice)
        if row.kind == CHECKLIST and row.raters != "officials":
            advice = "由检查组核对 (a checklist is what officials saw)"
            problems.add(where, "checklist_raters", row.raters or "(空)", "raters = officials", advice)
        of_checklist = row.parent in heads and heads[row.parent].kind == CHECKLIST
        if of_checklist and (row.minimum, row.maximum) != (0, 1):
            advice = "核对清单的项只有 1(有)和 0(无) (an item of a checklist is there or not)"
            problems.add(where, "checklist_range", f"{row.minimum:g}–{row.maximum:g}", "0–1", advice)
        unknown_types = set(_types(row)) - known_types
        if unknown_types and known_types:
            found, allowed = "、".join(sorted(unknown_types)), "、".join(sorted(known_types))
            problems.add(where, "unknown_type", found, allowed, "改正,或在 units 表填写类别 (correct it, or the units)")
    return {code: _rubric(head, rows) for code, head in heads.items()}


def _rubric(head: _Row, rows: list[_Row]) -> Rubric:
    items = tuple(row for row in rows if row.parent == head.code)
    raters: Literal["officials", "people", ""] = (
        "officials" if head.raters == "officials" else "people" if head.raters == "people" else ""
    )
    kind: Literal["checklist", ""] = "checklist" if head.kind == CHECKLIST else ""
    return Rubric(head.code, head.label_zh, head.label_en, items, tuple(_types(head)), raters, kind)


def _types(row: _Row) -> list[str]:
    return [part.strip() for part in row.types.split("|") if part.strip()]


def rubrics_of(codes: set[str], rubrics: Mapping[str, Rubric]) -> list[str]:
    """Return which rubrics some marks belong to, in their declared order; ``[""]`` where none is declared."""
    return [name for name, rubric in rubrics.items() if codes & set(rubric.codes)] if rubrics else [""]


def note_units(place: str, marks: pd.DataFrame, units: Units, problems: Problems) -> None:
    """Note marks about units that do not exist in their period.

    Parameters
    ----------
    marks
        period, unit (code or name).
    """
    if not units.rows:
        return
    given = marks[marks["unit"].str.strip() != ""]
    for period, rows in given.groupby(given["period"].str.strip(), sort=False):
        if not is_period(str(period)):
            continue
        strange = rows[~rows["unit"].isin(set(units.at(str(period)).resolve(rows["unit"].unique())))]
        if len(strange):
            advice = "改正,或在 units 表补上 (correct it, or add it to units)"
            shown = f"{quoted(strange['unit'], units.names)} ({rows_text(strange.index)})"
            problems.add(f"{place}: unit", "unknown_unit", shown, f"{period} 的单位 (a unit of {period})", advice)


def note_rubrics(
    place: str, marks: pd.DataFrame, rubrics: Mapping[str, Rubric], units: Units, problems: Problems
) -> None:
    """Note marks outside their rubric: unknown items, marks beyond the range, units of a type it does not judge.

    Parameters
    ----------
    marks
        period, unit (code or name), code, score.
    """
    if not rubrics:
        return
    items = {item.code: item for rubric in rubrics.values() for item in rubric.items}
    lost = marks[~marks["code"].isin(items)]
    if len(lost):
        found = f"{'、'.join(map(str, lost['code'].unique()[:3])) or '(空)'} ({rows_text(lost.index)})"
        advice = "在 rubrics 表补上,或改正 (add it to rubrics, or correct it)"
        problems.add(f"{place}: code", "unknown_code", found, "rubrics 表中的评分项", advice)
    for code, item in items.items():
        of_item = marks[marks["code"] == code]
        outside = of_item[(of_item["score"] < item.minimum) | (of_item["score"] > item.maximum)]
        if len(outside):
            found = f"{outside['score'].iloc[0]:g} ({rows_text(outside.index)})"
            problems.add(
                f"{place}: {code}", "out_of_range", found, f"{item.minimum:g}–{item.maximum:g}", "改正 (correct it)"
            )
    for rubric in rubrics.values():
        if rubric.kind == CHECKLIST:
            _note_between(place, marks[marks["code"].isin(rubric.codes)], rubric, problems)
        _note_types(place, marks[marks["code"].isin(rubric.codes)], rubric, units, problems)


def _note_between(place: str, marks: pd.DataFrame, rubric: Rubric, problems: Problems) -> None:
    """Note marks of a checklist that are neither yes nor no; those outside 0 to 1 are noted as out of range."""
    between = marks[(marks["score"] > 0) & (marks["score"] < 1)]
    if len(between):
        found = f"{between['score'].iloc[0]:g} ({rows_text(between.index)})"
        problems.add(f"{place}: {rubric.code}", "neither_yes_nor_no", found, "1, 0", "1 = 有, 0 = 无 (there, or not)")


def _note_types(place: str, marks: pd.DataFrame, rubric: Rubric, units: Units, problems: Problems) -> None:
    """Note units that a rubric is not for: kinds of unit are never judged by one measure."""
    if not rubric.types or not units.rows:
        return
    for period, rows in marks.groupby("period", sort=False):
        try:
            parse(str(period))
        except DjError:  # noted elsewhere
            continue
        valid = units.at(str(period))
        types = {unit.unit: unit.type for unit in valid.rows}
        resolved = valid.resolve([str(unit) for unit in rows["unit"].unique() if unit])
        type_of = rows["unit"].map(lambda unit, to=resolved, types=types: types.get(to.get(unit, unit)))
        foreign = rows[type_of.notna() & ~type_of.isin(rubric.types)]
        if len(foreign):
            unit = foreign["unit"].iloc[0]
            found = f"{unit} {type_of[foreign.index[0]] or '(无类别)'} ({rows_text(foreign.index)})"
            advice = "各类单位用各自的细则,不得混用 (each type of unit has a rubric of its own; never mix them)"
            problems.add(f"{place}: {rubric.code} {period}", "wrong_rubric", found, "、".join(rubric.types), advice)
