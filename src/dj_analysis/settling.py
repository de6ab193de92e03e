"""Which answers a release of a wave rests on, given what left before: what two releases differ by is about enough people."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pandas as pd

from .measure.rows import HASH, among, answer_counts, chosen, counted, row_table
from .measure.scores import joint_counts, unit_sums
from .measure.store import Kept, Store
from .measure.survey import Survey
from .measure.unitsums import UnitSums
from .publish.masks import HOME, Release
from .spec.settings import FLOOR
from .spec.units import ALL


@dataclass(frozen=True)
class Settled:
    """A wave as it is released.

    Attributes
    ----------
    kept, rows, answers
        Its sums, the answer sheets they rest on, and how often each answer was given.
    late
        How many more sheets do not count.
    lost
        Sheets it rests on that were changed or are gone since.
    """

    kept: Kept
    rows: pd.DataFrame = field(repr=False)
    late: int = 0
    lost: pd.DataFrame = field(default_factory=pd.DataFrame, repr=False)
    answers: pd.DataFrame = field(default_factory=pd.DataFrame, repr=False)


def hidden_rows(told: list[list[str]]) -> frozenset[tuple[str, str]]:
    """Return the hidden (level, unit) rows as the record tells them."""
    return frozenset((level, unit) for level, unit in told)


def sums_of(survey: Survey) -> Kept:
    """Return the sums of all answers of a wave, by every axis it has."""
    return Kept(unit_sums(survey, _all_axes(survey)), joint_counts(survey))


def settle(survey: Survey, store: Store, before: Mapping[str, Any] | None) -> Settled:
    """Decide which answers a release rests on, given what left before.

    Without an earlier release it is all of them. After one, what the two differ by must be about enough people: in every
    part that was shown then, new answers count only where at least min_group of them came; the others go to the
    supplementary register. Where answers were changed or taken back, a part is computed anew only if at least min_group
    of its answers changed, and of those to each question none or as many, else it keeps its sums; group columns and further
    trees keep theirs.

    Parameters
    ----------
    before
        The event of the earlier release, as the record tells it.
    """
    rows = row_table(survey, store.secret)
    if before is None:
        return _whole(survey, rows)
    left, old = store.rows(before["store"]), store.find(before["store"])
    old_rows = left[[column for column in left.columns if not column.endswith(HOME)]]
    assert old is not None, "what was released is kept"
    release, least = Release(hidden_rows(before["hidden"]), left), max(survey.spec.min_group, FLOOR)
    came, gone = ~among(rows, counted(old_rows)), ~among(old_rows, counted(rows))
    if not gone.any():
        keep = _kept_of_new(rows, came, release, survey, least)
        settled = _whole(chosen(survey, rows, keep), rows[keep])
        return replace(settled, late=int((~keep).sum()))
    tree = survey.spec.units.at(survey.period).trees[0]
    homes, old_homes = (_homes(tree, table, release, survey) for table in (rows, old_rows))
    changed = pd.concat([homes[came].value_counts(), old_homes[gone].value_counts()], axis=1).max(axis=1)
    answers, old_answers = answer_counts(survey, rows), store.answers(before["store"])
    part_of = dict(zip(rows[tree], homes, strict=True)) | dict(zip(old_rows[tree], old_homes, strict=True))
    few = set(homes) if old_answers is None else _changed_in_few(old_answers, answers, part_of, least)
    anew = set(changed.index[changed >= least]) - few
    taken, stays = homes.isin(anew).to_numpy(), ~old_homes.isin(anew).to_numpy()
    fresh = unit_sums(survey, _all_axes(survey))[tree]
    mine, theirs = set(rows[tree][taken]), set(old_rows[tree][stays])
    sums = {
        axis: _only(fresh, mine) + _only(block, theirs) if axis == tree else block for axis, block in old.sums.items()
    }
    lasting = pd.concat([rows[taken], old_rows[stays]], ignore_index=True)
    counts = [
        answers[answers["unit"].isin(mine)],
        *([] if old_answers is None else [old_answers[old_answers["unit"].isin(theirs)]]),
    ]
    return Settled(
        Kept(sums, _joint(lasting)), lasting, int((came & ~taken).sum()), old_rows[gone & stays],
        pd.concat(counts, ignore_index=True),
    )  # fmt: skip


def _whole(survey: Survey, rows: pd.DataFrame) -> Settled:
    return Settled(sums_of(survey), rows, answers=answer_counts(survey, rows))


def _changed_in_few(old: pd.DataFrame, new: pd.DataFrame, part_of: Mapping[str, str], least: int) -> set[str]:
    """Return the parts in which the answers to some question changed for somebody, but perhaps for fewer than ``least``.

    What counts is how often each answer was given: people who gave each other's answers change no number. Where a single
    question changed at all, every changed sheet changed in it.
    """
    sides = [
        side.assign(part=side["unit"].map(part_of)).groupby(["part", "code", "answer"], dropna=False)["n"].sum()
        for side in (old, new)
    ]
    moved = sides[1].sub(sides[0], fill_value=0).to_frame("more")
    moved = moved.assign(less=(-moved["more"]).clip(lower=0), more=moved["more"].clip(lower=0))
    people = moved.groupby(level=["part", "code"]).sum().max(axis=1)
    people = people[people > 0]
    several = people.groupby(level="part").transform("size") > 1
    return set(people.index[several & (people < least)].get_level_values("part"))


def _kept_of_new(rows: pd.DataFrame, came: np.ndarray, release: Release, survey: Survey, least: int) -> np.ndarray:
    """Leave new answers out until every part shown before has none of them, or enough, on every code."""
    keep = np.ones(len(rows), dtype=bool)
    axes = [axis for axis in rows.columns if axis != HASH and f"{axis}{HOME}" in release.rows]
    homes = {axis: _homes(axis, rows, release, survey) for axis in axes}
    while (came & keep).any():
        new = came & keep
        sums = unit_sums(chosen(survey, rows, new), _all_axes(survey))
        few = np.zeros(len(rows), dtype=bool)
        for axis, home in homes.items():
            known = dict(zip(rows[axis], home, strict=True))
            parts = sums[axis].renamed({unit: known.get(unit, ALL) for unit in sums[axis].units})
            n = np.column_stack([parts.persons, parts.sums["n"]])
            small = [part for part, row in zip(parts.units, n, strict=True) if ((row > 0) & (row < least)).any()]
            few |= new & home.isin(small).to_numpy()
        if not few.any():
            break
        keep &= ~few
    return keep


def _homes(axis: str, rows: pd.DataFrame, release: Release, survey: Survey) -> pd.Series:
    """Return the part of an earlier release that each answer counts to; of a unit that is new, the part above it."""
    units = survey.spec.units.at(survey.period)
    known = dict(zip(release.rows[axis], release.rows[f"{axis}{HOME}"], strict=True))
    shown = set(known.values())
    for unit in set(rows[axis]) - set(known):
        above = [unit, *units.ancestors(unit)] if unit and axis in units.trees else []
        known[unit] = next((u for u in above if u in shown), ALL)
    return rows[axis].map(known)


def _only(sums: UnitSums, units: set[str]) -> UnitSums:
    return sums.laid_out([unit for unit in sums.units if unit in units], sums.cells)


def _joint(rows: pd.DataFrame) -> pd.DataFrame:
    axes = [column for column in rows.columns if column != HASH]
    return rows.groupby(axes, as_index=False, sort=True).size().rename(columns={"size": "n"})


def _all_axes(survey: Survey) -> list[str | tuple[str, ...]]:
    """Every level, group column and declared cross-classification the wave has, so that its sums serve every report."""
    units = survey.spec.units.at(survey.period)
    trees = [tree for tree in units.trees if tree in survey.axes]
    levels = [level for tree in trees for level in units.levels if units.tree_of(level) == tree]
    groups = [axis for axis in survey.axes if axis not in units.trees]
    known = {*units.levels, *groups}
    return [*levels, *groups, *(pair for pair in survey.spec.cross if set(pair) <= known)]
