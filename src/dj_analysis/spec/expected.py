"""How many things a table must hold, as the office declares it (``[expect]`` in workspace.toml)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import pandas as pd

from ..errors import Problems
from .schemas import SCHEMAS

BELOW = "below"  # a node of a tree: only what lies below it is counted
TREES = ("indicators", "codebook")
UNCOUNTED = ("responses",)  # how many people answered is no declaration
SCORED = ("", "item", "dimension", "index", "outcome")
#: What is counted in a tree beside its columns, and the measure words of a count.
NOUNS: Mapping[str, tuple[str, str, str]] = {
    "leaves": ("项", "leaf", "leaves"),
    "aspects": ("个方面", "aspect", "aspects"),
    "": ("条", "item", "items"),
}


@dataclass(frozen=True)
class Expected:
    """A declared count of the things in one table.

    Attributes
    ----------
    counts
        Column → how many different values it must hold; in trees also ``leaves`` (without children) and ``aspects`` (right
        below the top).
    among
        Column → value: only these rows are counted; in trees also ``below`` → a node.
    """

    table: str
    counts: Mapping[str, int]
    among: Mapping[str, str] = field(default_factory=dict)


def read_expected(place: str, raw: Mapping[str, Any], problems: Problems) -> tuple[Expected, ...]:
    """Read ``[expect.TABLE]`` or several ``[[expect.TABLE]]``: a number counts, a text chooses rows."""
    declared: list[Expected] = []
    known = [name for name in SCHEMAS if name not in UNCOUNTED]
    for table, entries in raw.items():
        where = f"{place} [expect.{table}]"
        if table not in known:
            problems.add(where, "unknown_table", table, ", ".join(known), "改名或删去 (rename or remove it)")
            continue
        for entry in entries if isinstance(entries, list) else [entries]:
            if not isinstance(entry, dict):
                problems.add(where, "wrong_type", entry, "表 (table)", "改正类型 (correct its type)")
            else:
                declared.append(_entry(where, table, entry, problems))
    return tuple(one for one in declared if one.counts)


def _entry(where: str, table: str, entry: Mapping[str, Any], problems: Problems) -> Expected:
    columns, counts, among = SCHEMAS[table].names, dict[str, int](), dict[str, str]()
    of_trees = ("leaves", "aspects") if table in TREES else ()
    for key, value in entry.items():
        if isinstance(value, bool) or not isinstance(value, int if key in of_trees else (int, str)):
            problems.add(
                f"{where} {key}", "wrong_type", value, "整数或文字 (whole number or text)", "改正 (correct it)"
            )
        elif isinstance(value, str):
            allowed = [*columns, *([BELOW] if of_trees else [])]
            if key in allowed:
                among[key] = value.strip()
            else:
                problems.add(where, "unknown_setting", key, ", ".join(allowed), "改名或删去 (rename or remove it)")
        elif key not in (*columns, *of_trees):
            allowed_counts = ", ".join([*of_trees, *columns])
            problems.add(where, "unknown_setting", key, allowed_counts, "改名或删去 (rename or remove it)")
        elif value < 1:
            problems.add(f"{where} {key}", "range", value, ">= 1", "写成应有的数目 (write how many there must be)")
        else:
            counts[key] = value
    if not counts and not any(isinstance(value, int) for value in entry.values()):
        example = f"{'leaves' if of_trees else SCHEMAS[table].key[0]} = 36"
        problems.add(
            where, "no_count", ", ".join(entry) or "(空)", example, "写上应有的数目 (write how many there must be)"
        )
    return Expected(table, counts, among)


def check_expected(expected: Iterable[Expected], frame: pd.DataFrame | None, place: str, problems: Problems) -> None:
    """Note every declared count that a table of plain text does not meet; a table that is not there (None) holds nothing.

    Where rows have a span of time, those in force after the last change are counted.
    """
    for one in expected:
        rows = _in_force(frame) if frame is not None else None
        for what, wanted in one.counts.items():
            there = _count(rows, what, one.among, place, problems) if rows is not None else 0
            if there is not None and there != wanted:
                chosen = "".join(f", {column} = {value}" for column, value in one.among.items())
                advice = (
                    f"补上或删去,或改 workspace.toml [expect.{one.table}]"
                    " (add or remove some, or correct the count declared)"
                )
                problems.add(f"{place}: {what}{chosen}", "count", _in_words(what, there, wanted), wanted, advice)


def _in_words(what: str, there: int, wanted: int) -> str:
    """Say how many are missing or too many: 应为113条,缺1条."""
    measure, one, many = NOUNS.get(what, NOUNS[""])
    gap, missing = abs(there - wanted), there < wanted
    declared = f"{wanted} {one if wanted == 1 else many} {'is' if wanted == 1 else 'are'} declared"
    off = f"{gap} {'is' if gap == 1 else 'are'} {'missing' if missing else 'too many'}"
    return f"现有{there}{measure},应为{wanted}{measure},{'缺' if missing else '多'}{gap}{measure} ({declared}, {off})"


def _in_force(frame: pd.DataFrame) -> pd.DataFrame:
    """Keep the rows without an end; where all have one, those that end last."""
    if "valid_to" not in frame:
        return frame
    end = frame["valid_to"]
    return frame[end == ""] if (end == "").any() else frame[end == end.max()]


def _count(rows: pd.DataFrame, what: str, among: Mapping[str, str], place: str, problems: Problems) -> int | None:
    """Count what is declared; None where a column or the node it lies below is not there, which is noted."""
    node, counted = among.get(BELOW, ""), "code" if what in ("leaves", "aspects") else what
    filters = {column: value for column, value in among.items() if column != BELOW}
    if not {counted, *filters, *(("code", "parent") if node or counted != what else ())} <= set(rows):
        return None  # the column that is missing was noted
    if node and node not in set(rows["code"]):
        problems.add(f"{place}: {BELOW}", "unknown_code", node, "已有代码 (an existing code)", "改正 (correct it)")
        return None
    chosen = rows
    for column, value in filters.items():
        chosen = chosen[chosen[column] == value]
    if node:
        parents = dict(zip(rows["code"], rows["parent"], strict=True))
        chosen = chosen[[_lies_below(code, node, parents) for code in chosen["code"]]]
    if what == "leaves":
        chosen = chosen[~chosen["code"].isin(set(rows["parent"])) & chosen["role"].isin(["", "item"])]
    if what == "aspects":
        tops = rows.loc[(rows["parent"] == "") & rows["role"].isin(SCORED), "code"]
        chosen = chosen[chosen["parent"] == (node or next(iter(tops), None))]
    return int(chosen.loc[chosen[counted] != "", counted].nunique())


def _lies_below(code: str, node: str, parents: Mapping[str, str]) -> bool:
    seen = set[str]()
    while (code := parents.get(code, "")) and code not in seen:
        if code == node:
            return True
        seen.add(code)
    return False
