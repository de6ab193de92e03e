"""Organisation trees: units, their parents, their periods of validity."""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import date
from functools import cached_property
from pathlib import Path
from typing import Self

import pandas as pd

from ..errors import Problems, SpecError, unknown
from ..result import rows_of
from .codes import CODE_ALLOWED, code_fault, plain
from .periods import parse
from .schemas import HEADCOUNTS, UNITS
from .settings import Settings
from .tables import Table, conform, load_table, numbers, read_text, whole_numbers
from .tree import fields_of, valid_between

ALL = "ALL"  # the root, or all units
ROOT_LEVEL = "company"
NO_UNIT = ""  # rows whose unit is not told: counted in ALL only


@dataclass(frozen=True)
class Unit:
    """One unit of one tree during a span of time."""

    unit: str
    parent: str = ALL
    level: str = ROOT_LEVEL
    tree: str = ""
    type: str = ""
    name_zh: str = ""
    name_en: str = ""
    aliases: str = ""
    headcount: float = float("nan")
    valid_from: str = ""
    valid_to: str = ""
    became: str = ""

    def name(self, language: str = "zh") -> str:
        """Name for a reader; the code where none is given."""
        return (self.name_en or self.name_zh if language == "en" else self.name_zh) or self.unit

    def valid_on(self, day: date) -> bool:
        """Tell whether the unit exists on a day."""
        first, last = valid_between(self.valid_from, self.valid_to)
        return first <= day <= last


@dataclass(frozen=True)
class Units:
    """Frozen trees of units, every span of time; ``at(period)`` keeps the units there on its last day.

    The first tree is the one responses name by ``unit``; further trees have a column of their own name. ``ALL`` is the
    root of every tree.
    """

    rows: tuple[Unit, ...]
    root_name_zh: str = "全体"
    root_name_en: str = "All staff"

    @cached_property
    def trees(self) -> tuple[str, ...]:
        """Names of the trees in their declared order; the first is the default."""
        return tuple(dict.fromkeys(unit.tree for unit in self.rows if unit.unit != ALL)) or ("",)

    @cached_property
    def root(self) -> Unit:
        """The root, as declared or with its default name."""
        declared = next((unit for unit in self.rows if unit.unit == ALL), None)
        level = ALL if any(unit.level == ROOT_LEVEL for unit in self.rows) else ROOT_LEVEL
        return declared or Unit(ALL, "", level=level, name_zh=self.root_name_zh, name_en=self.root_name_en)

    @property
    def levels(self) -> list[str]:
        """Levels of every tree, from the root down, in their declared order."""
        return list(self._levels)

    @property
    def names(self) -> list[str]:
        """Codes and names of the units, in both languages."""
        return [name for unit in self.rows for name in (unit.unit, unit.name_zh, unit.name_en)]

    @property
    def table(self) -> pd.DataFrame:
        """One row per unit and span, with the columns of units.csv."""
        return pd.DataFrame([fields_of(unit) for unit in self.rows], columns=list(Unit.__dataclass_fields__))

    @cached_property
    def version(self) -> str:
        """Short hash of the whole declaration."""
        return hashlib.sha256(repr([fields_of(unit) for unit in self.rows]).encode()).hexdigest()[:12]

    def at(self, period: str) -> Self:
        """Keep the units that exist at the end of a period; without a period, keep all."""
        if not period:
            return self
        if period not in self._at:
            self._at[period] = self._valid_in(period)
        return self._at[period]

    def _valid_in(self, period: str) -> Self:
        day = parse(period).end
        place = {tree: i for i, tree in enumerate(self.trees)}  # the first tree stays the first, whichever units end
        valid = (unit for unit in self.rows if unit.valid_on(day))
        return replace(self, rows=tuple(sorted(valid, key=lambda unit: place.get(unit.tree, -1))))

    def tree_of(self, level: str) -> str:
        """Return the tree that has a level (the first tree for the root's own)."""
        if level == self.root.level:
            return self.trees[0]
        tree = next((unit.tree for unit in self.rows if unit.level == level and unit.unit != ALL), None)
        if tree is None:
            raise unknown("层级/level", level, self.levels)
        return tree

    def at_level(self, level: str) -> list[Unit]:
        """Return the units of a level in their declared order."""
        if level == self.root.level:
            return [self.root]
        tree = self.tree_of(level)
        return [unit for unit in self._of(tree) if unit.level == level]

    def __getitem__(self, code: str) -> Unit:
        if code == ALL:
            return self.root
        unit = self._by_code.get(code)
        if unit is None:
            raise unknown("单位/unit", code, [ALL, *self._by_code])
        return unit

    def __contains__(self, code: object) -> bool:
        return code == ALL or code in self._by_code

    def get(self, code: str) -> Unit | None:
        """Return the unit of this code, or None."""
        return self.root if code == ALL else self._by_code.get(code)

    def find(self, text: str) -> str:
        """Return the code for a code, name or alias, or raise with the nearest names."""
        code = self.resolve([text]).get(text)
        if code is None:
            raise unknown("单位/unit", text, [ALL, *self._by_code, *self._names])
        return code

    def resolve(self, texts: Iterable[str], tree: str | None = None) -> Mapping[str, str]:
        """Map texts (code, name, alias) to unit codes; texts that match nothing are left out."""
        codes = {}
        for text in texts:
            wanted = _plain(text)
            code = wanted if wanted in self else self._names.get(wanted)
            if code is not None and (tree is None or code == ALL or self._by_code[code].tree == tree):
                codes[text] = code
        return codes

    def ancestors(self, code: str) -> list[str]:
        """Return the codes above a unit, nearest first, ``ALL`` last."""
        above = self._above.get(code)
        if above is None:
            codes: list[str] = []
            at = code
            while at in self._by_code and (at := self._by_code[at].parent or ALL) != ALL and at not in codes:
                codes.append(at)
            above = self._above[code] = (*codes, ALL)
        return list(above)

    @cached_property
    def _above(self) -> dict[str, tuple[str, ...]]:
        return {}

    def below(self, code: str) -> list[Unit]:
        """Return every unit below a unit (all units for ``ALL``), in their declared order."""
        return list(self._below.get(code, ()))

    def children(self, code: str, tree: str | None = None) -> list[Unit]:
        """Return the units right below a unit; below ``ALL`` those of the given (or first) tree."""
        tree = tree if tree is not None else self.trees[0] if code == ALL else self._by_code[code].tree
        return self._children.get((tree, code), [])

    @cached_property
    def successors(self) -> Mapping[str, str]:
        """Final successor of each unit that ended."""
        became = {unit.unit: unit.became for unit in self.rows if unit.became}
        final = {}
        for start in became:
            here, steps = start, 0
            while here in became and steps <= len(became):
                here, steps = became[here], steps + 1
            final[start] = here
        return final

    @cached_property
    def _below(self) -> dict[str, list[Unit]]:
        """Units below each unit, gone through once: it is asked of many units in turn."""
        below: dict[str, list[Unit]] = {}
        for unit in self.rows:
            for code in self.ancestors(unit.unit) if unit.unit != ALL else ():
                below.setdefault(code, []).append(unit)
        return below

    @cached_property
    def _children(self) -> dict[tuple[str, str], list[Unit]]:
        children: dict[tuple[str, str], list[Unit]] = {}
        for unit in self.rows:
            if unit.unit != ALL:
                children.setdefault((unit.tree, unit.parent or ALL), []).append(unit)
        return children

    @cached_property
    def _levels(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys([self.root.level, *(u.level for tree in self.trees for u in self._of(tree))]))

    def _of(self, tree: str) -> list[Unit]:
        return self._by_tree.get(tree, [])

    @cached_property
    def _by_tree(self) -> dict[str, list[Unit]]:
        by_tree: dict[str, list[Unit]] = {}
        for unit in self.rows:
            if unit.unit != ALL:
                by_tree.setdefault(unit.tree, []).append(unit)
        return by_tree

    @cached_property
    def _at(self) -> dict[str, Self]:
        return {}

    @cached_property
    def _by_code(self) -> dict[str, Unit]:
        return {unit.unit: unit for unit in self.rows if unit.unit != ALL}

    @cached_property
    def _names(self) -> dict[str, str]:
        return {name: codes[0] for name, codes in self._named.items() if len(codes) == 1}

    @cached_property
    def _named(self) -> dict[str, list[str]]:
        """Names and aliases with the units that have them; a name of several units is ambiguous."""
        named: dict[str, list[str]] = {}
        for unit in (*self.rows, self.root):
            for text in (unit.name_zh, unit.name_en, *unit.aliases.split("|")):
                if _plain(text) and unit.unit not in named.setdefault(_plain(text), []):
                    named[_plain(text)].append(unit.unit)
        return named

    def ambiguous(self, text: str) -> list[str]:
        """Return the units that share a name, where more than one does."""
        codes = self._named.get(_plain(text), [])
        return codes if len(codes) > 1 else []


def read_units(path: str | Path) -> Units:
    """Read unit trees from a table file.

    Parameters
    ----------
    path
        units.csv (or .xlsx, .parquet): unit, tree, parent, level; type, name_zh, name_en, aliases, headcount, valid_from,
        valid_to, became.

    Raises
    ------
    SpecError
        Lists everything that is wrong: orphans, cycles, overlapping spans, …

    Examples
    --------
    >>> dj.read_units(folder / "units.csv").find("一支部")
    'B1'
    """
    problems, path = Problems(), Path(path)
    table = read_text(path, problems)
    units = build_units(conform(table, UNITS, problems) if table else None, problems)
    problems.raise_if_any(SpecError)
    return units


def load_units(settings: Settings, problems: Problems) -> Units:
    """Read a workspace's unit trees without the excluded types; no file means a root alone."""
    units = build_units(load_table(settings, "units", UNITS, problems), problems)
    included = tuple(unit for unit in units.rows if unit.type not in settings.exclude_types)
    return Units(included, settings.name or units.root_name_zh, settings.name_en or units.root_name_en)


def excluded_units(settings: Settings, problems: Problems) -> set[str]:
    """Return the codes of units whose declared type is left out of every computation."""
    if not settings.exclude_types:
        return set()
    units = build_units(load_table(settings, "units", UNITS, problems), problems)
    return {unit.unit for unit in units.rows if unit.type in settings.exclude_types}


def load_headcounts(settings: Settings, problems: Problems) -> pd.DataFrame:
    """Read headcounts: unit, period, group, category, headcount; empty where there is no file."""
    table = load_table(settings, "headcounts", HEADCOUNTS, problems)
    if table is None:
        return pd.DataFrame({name: pd.Series(dtype="str") for name in HEADCOUNTS.names})
    frame = table.frame[list(HEADCOUNTS.names)].copy()
    frame["unit"] = whole_numbers(frame["unit"])
    frame["headcount"] = numbers(frame["headcount"])
    return frame


def build_units(table: Table | None, problems: Problems) -> Units:
    """Build unit trees from a checked table; inconsistencies go into ``problems``."""
    if table is None:
        return Units(())
    frame, place = table.frame.copy(), table.place
    for name in ("unit", "parent", "became"):
        frame[name] = whole_numbers(frame[name])
    frame["headcount"] = numbers(frame["headcount"])
    names = [name for name in Unit.__dataclass_fields__ if name in frame.columns]
    rows = [Unit(**cells) for cells in rows_of(frame[names])]
    rows = [replace(unit, parent="" if unit.unit == ALL else unit.parent or ALL) for unit in rows]
    _check_units(place, rows, problems)
    return Units(_sound(rows))


def _check_units(place: str, rows: list[Unit], problems: Problems) -> None:
    codes: dict[str, list[Unit]] = {}
    for number, unit in enumerate(rows):
        if not unit.unit:
            problems.add(f"{place}: 第 {number + 2} 行", "missing_code", "(空)", "unit", "填上单位代码 (give a code)")
        codes.setdefault(unit.unit, []).append(unit)
    root = next((unit for unit in rows if unit.unit == ALL), None)
    same = [unit.unit for unit in rows if root is not None and unit.unit != ALL and unit.level == root.level]
    if root is not None and same:
        advice = "给根另一个层级名 (give the root a level of its own)"
        problems.add(f"{place}: {same[0]}", "root_level", root.level, "根以外的层级名", advice)
    for code, spans in codes.items():
        where = f"{place}: {plain(code)}"
        if code != ALL and (fault := code_fault(code)):
            advice = "改代码，名称写在 name_zh (change the code; the name stays in name_zh)"
            problems.add(where, "bad_code", fault, CODE_ALLOWED, advice)
        for unit in spans:
            if unit.parent not in codes and unit.parent not in (ALL, ""):
                advice = "补上该上级单位或改正 parent (add it or correct parent)"
                problems.add(where, "orphan_unit", unit.parent, "已有单位代码 (an existing unit)", advice)
            if unit.became and unit.became not in codes:
                problems.add(where, "unknown_unit", unit.became, "已有单位代码", "改正 became (correct became)")
            if not unit.level:
                problems.add(where, "missing_level", "(空)", "层级名", "填上 level (give a level)")
        dates = sorted(valid_between(unit.valid_from, unit.valid_to) for unit in spans)
        if any(start <= end for (_, end), (start, _) in itertools.pairwise(dates)):
            overlap = f"{len(spans)} 行有效期重叠"
            advice = "给前一行填 valid_to (end the earlier span)"
            problems.add(where, "overlapping_validity", overlap, "有效期不重叠", advice)
        if _in_cycle(code, codes):
            problems.add(where, "cycle", code, "无环 (no cycle)", "改正 parent (correct parent)")


def _in_cycle(code: str, codes: dict[str, list[Unit]]) -> bool:
    seen, here = set(), code
    while here in codes and (here := codes[here][0].parent) and here != ALL:
        if here == code:
            return True
        if here in seen:
            return False
        seen.add(here)
    return False


def _sound(rows: list[Unit]) -> tuple[Unit, ...]:
    codes = {unit.unit for unit in rows} | {ALL, ""}
    return tuple(unit for unit in rows if unit.unit and unit.parent in codes)


def _plain(text: str) -> str:
    return "".join(str(text).split())
