"""Which rows of one wave are hidden, with all its trees, groups and earlier releases taken together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from ..measure.crosses import cell_name, is_cross
from ..measure.partition import Partition, partition
from ..measure.rows import HASH, LEFT_OUT, axes_in
from ..measure.scores import members, merged_parts, withheld_rows
from ..measure.unitsums import UnitSums
from ..spec.settings import FLOOR
from ..spec.specification import CROSS, Specification
from ..spec.units import ALL, Units
from .coupling import EXACT_LIMIT, UNCOVERED, counted, next_to_hide, smallest_union
from .crosses import cross_mask

Row = tuple[str, str]
HOME = "@shown"  # ends the name of a column with the part that was shown


@dataclass(frozen=True)
class Release:
    """What left of a wave at one time: the rows hidden then, and the answers it rested on.

    Attributes
    ----------
    rows
        A hash of each answer, its place on every axis and the part that was shown there; no answer.
    """

    hidden: frozenset[Row]
    rows: pd.DataFrame = field(repr=False)


def mask(
    sums: Mapping[str, UnitSums],
    joint: pd.DataFrame,
    spec: Specification,
    period: str,
    *,
    rows: pd.DataFrame | None = None,
    earlier: Sequence[Release] = (),
) -> frozenset[Row]:
    """Decide which rows of a wave are hidden; the same for every code and statistic.

    Each axis is decided by the tree rule; then, while several axes, or this release and an earlier one, tell about too
    few people together, the smallest part involved is hidden as well. The result depends on the people alone.

    Parameters
    ----------
    sums, joint
        Sums by axis, and the people of every combination of axes.
    rows, earlier
        Answers of this release and what left before, where something did.
    """
    units, least = spec.units.at(period), max(spec.min_group, FLOOR)
    plain = {axis: block for axis, block in sums.items() if not is_cross(axis)}
    hide: dict[str, set[str]] = {axis: set() for axis in plain}
    pairs = [] if rows is None else _with_earlier(rows[[HASH, LEFT_OUT, *plain]], earlier)
    while True:
        found = {axis: partition(block, units, least, hide=hide[axis]) for axis, block in plain.items()}
        move = next_to_hide({axis: part.home for axis, part in found.items()}, joint, least)
        if move is None:
            move = _against_earlier(found, pairs, least)
        if move is None:
            return withheld_rows(found, units) | _hidden_cells(sums, found, joint, spec, units, least)
        axis, part = move
        if ALL in hide[next(iter(hide))]:  # nothing is shown on the reported tree, and even that tells too much
            everything = {a: partition(block, units, least, hide={*block.units, ALL}) for a, block in plain.items()}
            return withheld_rows(everything, units) | {
                row for a in plain for row in _rows(a, _parts(plain[a], spec, period), units)
            }
        more = {part} if part and part not in hide[axis] else _parts(sums[axis], spec, period)
        if more <= hide[axis]:
            more, axis = {ALL}, next(iter(hide))  # nothing smaller is left to hide
        hide[axis] |= more


def merger_mask(hidden: frozenset[Row], spec: Specification, period: str, later: Sequence[str]) -> frozenset[Row]:
    """Return units merged later whose value in this wave, put together of their parts, must not be told.

    It may be told where every part was shown itself: then it follows from what is shown anyway.
    """
    units, shut, refused = spec.units.at(period), {unit for _, unit in hidden}, set()
    for wave in later:
        now = spec.units.at(wave)
        for unit in (unit for unit in now.rows if unit.unit != ALL):
            parts = merged_parts(unit.unit, spec, period)
            if any(part in shut or part not in units for part in parts):
                refused.add((unit.level, unit.unit))
    return frozenset(refused)


def _hidden_cells(
    sums: Mapping[str, UnitSums],
    found: Mapping[str, Partition],
    joint: pd.DataFrame,
    spec: Specification,
    units: Units,
    least: int,
) -> frozenset[Row]:
    """Decide the cells of every declared cross-classification, one after the other: each knows those before it."""
    homes = {axis: part.home for axis, part in found.items()}
    others = pd.DataFrame({axis: joint[axis].map(home) for axis, home in homes.items()})
    hidden: set[Row] = set()
    for parts in spec.cross:
        level = cell_name(parts)
        sides = [units.tree_of(part) if part in units.levels else part for part in parts]
        if cell_name(sides) not in sums:
            continue
        key = joint[sides].agg(CROSS.join, axis=1)
        rest = others.drop(columns=sides).assign(key=key, **{name: joint[name] for name in counted(joint)})
        cells = cross_mask(sums[cell_name(sides)], level, units, homes, least, rest)
        hidden |= {(level, cell) for cell in cells}
        groups = members(level, cell_name(sides), units, sums[cell_name(sides)])
        shown = {finest: cell for cell, inside in groups.items() if cell not in cells for finest in inside}
        others[level] = key.map(shown).astype("object").fillna("")
    return frozenset(hidden)


def _with_earlier(rows: pd.DataFrame, earlier: Sequence[Release]) -> list[tuple[int, pd.DataFrame]]:
    """Return the answers beside all earlier releases together, then beside each; with how many releases it is."""
    together = [list(earlier)] if len(earlier) > 1 else []
    return [(len(some), _matched(rows, some)) for some in [*together, *([release] for release in earlier)]]


def _against_earlier(
    found: Mapping[str, Partition], pairs: Sequence[tuple[int, pd.DataFrame]], least: int
) -> tuple[str, str] | None:
    """Return what to hide next because this release and earlier ones tell about too few people together.

    All earlier releases are looked at together, then one by one; for the people, and for those who answered each question.
    """
    for number, both in pairs:
        new = {axis: both[axis].map(part.home).fillna("") for axis, part in found.items()}
        old = {name: both[name].fillna("") for name in both if name.endswith(HOME)}
        labels = np.column_stack([_codes(home) for home in (*new.values(), *old.values())])
        if len(np.unique(labels, axis=0)) <= EXACT_LIMIT:
            groups = [(list(new), labels)]
        elif number > 1:
            continue
        else:
            axes = [(axis, name) for axis in new for name in old if name == f"0:{axis}{HOME}"]
            groups = [([axis], np.column_stack([_codes(new[axis]), _codes(old[name])])) for axis, name in axes]
        for axes_, columns in groups:
            for n in _answering(both):
                apart = np.zeros(len(columns), dtype=bool)
                inside = smallest_union(columns[n > 0], n[n > 0], least)
                if inside is not None:
                    apart[n > 0] = inside
                    return _smallest_part({axis: new[axis] for axis in axes_}, apart)
    return None


def _answering(both: pd.DataFrame) -> list[np.ndarray]:
    """Return who counts, for the people and for each question somebody left out.

    Where sheets are gone others may be what became of them: then a sheet that is not in every release counts half, as one
    person may stand for two.
    """
    weight = np.where(both["gone"].any() & ~both["always"].to_numpy(), 0.5, 1.0)
    left_out = both[LEFT_OUT].fillna("")
    codes = sorted({code for text in left_out.unique() for code in text.split()})
    lacking = [
        left_out.map({text: code in text.split() for text in left_out.unique()}).to_numpy(bool) for code in codes
    ]
    counts = {n.tobytes(): n for n in [weight, *(np.where(lacks, 0.0, weight) for lacks in lacking)]}
    return list(counts.values())


def _smallest_part(homes: Mapping[str, pd.Series], apart: np.ndarray) -> tuple[str, str]:
    touched = []
    for axis, home in homes.items():
        counts = home.value_counts()
        touched += [(int(counts[part]), axis, part) for part in sorted(set(home[apart]) - {"", ALL})]
    return min(touched)[1:] if touched else (next(iter(homes)), "")


def with_homes(rows: pd.DataFrame, hidden: frozenset[Row], spec: Specification, period: str) -> pd.DataFrame:
    """Add to the answers of a release the lowest shown unit each counts to, on every axis, as its units were then."""
    units, made = spec.units.at(period), rows.copy()
    for axis in axes_in(rows):
        shut = {unit for level, unit in hidden if axis in units.trees or level == axis}
        homes = {}
        for unit in rows[axis].unique():
            above = [unit, *units.ancestors(unit)] if unit and axis in units.trees else [unit] if unit else []
            homes[unit] = next((u for u in above if u not in shut), ALL)
        made[f"{axis}{HOME}"] = rows[axis].map(homes).astype("str")
    return made


def _matched(new: pd.DataFrame, releases: Sequence[Release]) -> pd.DataFrame:
    """Put the answers of this release and of earlier ones side by side; the same answer twice is matched twice."""
    made = new.assign(_twin=new.groupby(HASH).cumcount(), _in=1)
    for number, release in enumerate(releases):
        homes = [name for name in release.rows if name.endswith(HOME)]
        side = release.rows[[HASH, LEFT_OUT, *homes]].rename(columns={name: f"{number}:{name}" for name in homes})
        side = side.assign(_twin=side.groupby(HASH).cumcount(), **{f"_in{number}": 1})
        made = made.merge(side, on=[HASH, "_twin"], how="outer", suffixes=("", "_other"))
        made[LEFT_OUT] = made[LEFT_OUT].fillna(made.pop(f"{LEFT_OUT}_other"))
    there = made[["_in", *(f"_in{number}" for number in range(len(releases)))]].notna()
    return made.assign(gone=made["_in"].isna(), always=there.all(axis=1))


def _codes(home: pd.Series) -> np.ndarray:
    codes, names = pd.factorize(home, sort=True)
    return np.where(np.asarray(names)[codes] == "", UNCOVERED, codes)


def _rows(axis: str, parts: set[str], units: Units) -> set[Row]:
    return {(units[part].level if axis in units.trees else axis, part) for part in parts}


def _parts(sums: UnitSums, spec: Specification, period: str) -> set[str]:
    units = spec.units.at(period)
    if sums.axis not in units.trees:
        return set(sums.units) - {""}
    return {unit.unit for unit in units.rows if unit.tree == sums.axis and unit.unit != ALL}
