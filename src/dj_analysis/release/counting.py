"""Which answers a release of a wave rests on, so that two releases differ by nobody or by enough people."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pandas as pd

from ..measure.crossnames import cell_name
from ..measure.members import members
from ..measure.places import chosen
from ..measure.survey import Survey
from ..measure.survey_scores import joint_counts, unit_sums
from ..measure.unitsums import UnitSums
from ..spec.settings import FLOOR
from ..spec.specification import CROSS
from ..spec.units import ALL
from .decision import decide_mask
from .earlier import HOME, EarlierRelease
from .mask import Mask
from .sheets import CORE, HASH, LEFT_OUT, answer_counts, axes_in, row_table, rows_holding, tally
from .store import Kept, Store


@dataclass(frozen=True)
class Counted:
    """A wave as it is released.

    Attributes
    ----------
    kept, rows, answers
        Its sums, the answer sheets they rest on, and how often each answer was given.
    late
        How many more sheets do not count.
    lost
        Sheets it rests on that were changed or are gone since.
    waiting
        Sheets that came by themselves, too few of them to count.
    mask
        What the release before showed, where it stays as it was: it is about the same people.
    """

    kept: Kept
    rows: pd.DataFrame = field(repr=False)
    late: int = 0
    lost: pd.DataFrame = field(default_factory=pd.DataFrame, repr=False)
    answers: pd.DataFrame = field(default_factory=pd.DataFrame, repr=False)
    waiting: pd.DataFrame = field(default_factory=pd.DataFrame, repr=False)
    mask: Mask | None = None


def sums_of(survey: Survey) -> Kept:
    """Return the sums of all answers of a wave, by every axis it has."""
    return Kept(unit_sums(survey, _all_axes(survey), trees=survey.counted_trees()), joint_counts(survey))


def count_sheets(survey: Survey, store: Store, events: Sequence[Mapping[str, Any]]) -> Counted:
    """Decide which answers a release rests on, given what left before.

    Without an earlier release it is all of them. After some, what this one and each of them differ by must be about enough
    people:

    - Answers only came: they count where, in every part that was shown, none or at least min_group came, on every question;
      the others go to the supplementary register.
    - Answers were changed, everybody at his place but for sheets in that register: a part of the first tree is computed anew if at least min_group sheets
      changed there, and of the answers to each question none or as many; else it keeps its sums. Group columns and further
      trees keep theirs.
    - Anything else (sheets moved, taken out, or came among changed ones): all is computed anew where every part of every axis
      passes the same test, else nothing.

    Parameters
    ----------
    events
        The events of the earlier releases, in order, as the record tells them.
    """
    rows = row_table(survey, store.secret)
    if not events:
        return _whole(survey, rows)
    releases = [EarlierRelease(store.mask(event["store"]), store.rows(event["store"])) for event in events]
    last, old = releases[-1], store.find(events[-1]["store"])
    assert old is not None, "what was released is kept"
    old_rows = last.rows[[column for column in last.rows.columns if not column.endswith(HOME)]]
    least, released = max(survey.spec.min_group, FLOOR), [store.answers(event["store"]) for event in events]
    stay = Counted(old, old_rows, answers=pd.DataFrame() if released[-1] is None else released[-1], mask=last.mask)
    came, gone = ~rows_holding(rows, tally(old_rows)), ~rows_holding(old_rows, tally(rows))
    if not came.any() and not gone.any():
        return stay
    known = store.waiting(events[-1]["store"])
    waits = came & rows_holding(rows, tally(known)) if known is not None else np.zeros(len(rows), dtype=bool)
    as_it_was = replace(stay, late=int(came.sum()), lost=old_rows[gone], waiting=rows[waits])
    earlier = [answers for answers in released if answers is not None]
    if len(earlier) < len(released):  # kept by an earlier version: what changed cannot be told
        return as_it_was
    homes = _part_of(rows, releases, survey)
    if not gone.any():
        keep = _kept_of_new(rows, came, last, survey, least)
        counted = replace(_whole(chosen(survey, keep), rows[keep]), late=int((~keep).sum()), waiting=rows[~keep])
        return counted if not _few(earlier, counted.answers, homes, least) else replace(as_it_was, waiting=rows[came])
    there = rows[~waits].reset_index(drop=True)
    if _places(there).equals(_places(old_rows)):
        change = _Change(there, old_rows, came[~waits], gone)
        counted = _parts_anew(chosen(survey, ~waits), change, old, releases, earlier, homes, least)
        # Nobody moved: what was shown may be shown, unless all of a unit now answer alike.
        needed = decide_mask(counted.kept.sums, counted.kept.joint, survey.spec, survey.period)
        counted = replace(counted, mask=last.mask, late=counted.late + int(waits.sum()), waiting=rows[waits])
        return counted if allows(needed, last.mask) else as_it_was
    counted = _whole(survey, rows)
    return counted if not _few(earlier, counted.answers, homes, least) else as_it_was


def allows(needed: Mask, shown: Mask) -> bool:
    """Tell whether everything one mask shows may be seen by another."""
    rows = shown.shown or frozenset()
    closed = {cell for cell in needed.closed if cell[:2] in rows}
    return rows <= (needed.shown or frozenset()) and closed <= shown.closed


@dataclass(frozen=True)
class _Change:
    """Answer sheets now and in the release before; which of them came, and which are gone."""

    now: pd.DataFrame
    before: pd.DataFrame
    came: np.ndarray
    gone: np.ndarray


def _parts_anew(
    survey: Survey,
    change: _Change,
    old: Kept,
    releases: Sequence[EarlierRelease],
    earlier: Sequence[pd.DataFrame],
    homes: Mapping[tuple[str, str], set[str]],
    least: int,
) -> Counted:
    """Compute those parts of the first tree anew in which enough was changed; everybody is where he was."""
    tree, rows = survey.spec.units.at(survey.period).trees[0], change.now
    answers, before = answer_counts(survey, rows), earlier[-1]
    at_home = {unit: next(iter(parts)) for (axis, unit), parts in homes.items() if axis == tree and len(parts) == 1}
    few: set[str] = set()
    for release in releases:  # sheets that changed since each, the last one at the end
        cores = [table.assign(**{HASH: table[CORE]}) for table in (rows, release.rows)]
        changed = rows[tree][~rows_holding(cores[0], tally(cores[1]))].map(at_home).value_counts()
        few |= set(changed.index[changed < least])
    anew = set(changed.index) - few
    anew -= {part for axis, part in _few(earlier, answers, homes, least, alone=True) if axis == tree}
    mine = {unit for unit in set(rows[tree]) if at_home.get(unit) in anew}
    taken, stays = rows[tree].isin(mine).to_numpy(), ~change.before[tree].isin(mine).to_numpy()
    fresh = unit_sums(survey, _all_axes(survey), trees=survey.counted_trees())[tree]
    block = old.sums[tree]
    sums = {**old.sums, tree: _only(fresh, mine) + _only(block, set(block.units) - mine)}
    first, inside = answers["axis"] == tree, answers["unit"].isin(mine)
    counts = [answers[first & inside], before[~((before["axis"] == tree) & before["unit"].isin(mine))]]
    return Counted(
        Kept(sums, old.joint), pd.concat([rows[taken], change.before[stays]], ignore_index=True),
        int((change.came & ~taken).sum()), change.before[change.gone & stays], pd.concat(counts, ignore_index=True),
    )  # fmt: skip


def _whole(survey: Survey, rows: pd.DataFrame) -> Counted:
    return Counted(sums_of(survey), rows, answers=answer_counts(survey, rows))


def _places(rows: pd.DataFrame) -> pd.DataFrame:
    """How many sheets lie at each combination of places, with the same questions left out."""
    columns = [*axes_in(rows), LEFT_OUT]
    return rows[columns].astype("str").groupby(columns, sort=True).size().rename("n").reset_index()


def _part_of(rows: pd.DataFrame, releases: Sequence[EarlierRelease], survey: Survey) -> dict[tuple[str, str], set[str]]:
    """(axis, finest unit) → the parts it was shown in, by any earlier release; and the root."""
    homes_below: dict[tuple[str, str], set[str]] = {}
    for release in releases:
        for axis in axes_in(rows):
            if f"{axis}{HOME}" not in release.rows:
                continue
            homes = _homes(axis, pd.concat([rows[[axis]], release.rows[[axis]]]), release, survey)
            for unit, home in dict(zip(pd.concat([rows[axis], release.rows[axis]]), homes, strict=True)).items():
                homes_below.setdefault((axis, unit), set()).add(home)
    return homes_below


def _few(
    earlier: Sequence[pd.DataFrame],
    answers: pd.DataFrame,
    homes: Mapping[tuple[str, str], set[str]],
    least: int,
    *,
    alone: bool = False,
) -> set[tuple[str, str]]:
    """Return the parts (axis, part) in which the answers to some question changed, but perhaps for fewer than ``least`` people.

    What counts is how often each answer was given: people who gave each other's answers change no number.

    Parameters
    ----------
    alone
        Everybody is where he was: where one question changed at all, every changed sheet changed in it, and the number of these
        sheets is looked at elsewhere.
    """
    parts = [(axis, unit, part) for (axis, unit), named in homes.items() for part in named]
    parts += [(axis, unit, "") for axis, unit in homes]  # all people of an axis together
    place = pd.DataFrame(parts, columns=["axis", "unit", "part"]).drop_duplicates()
    now, too_few = _by_part(answers, place), set()
    for before in earlier:
        moved = now.sub(_by_part(before, place), fill_value=0).to_frame("more")
        moved = moved.assign(less=(-moved["more"]).clip(lower=0), more=moved["more"].clip(lower=0))
        people = moved.groupby(level=["axis", "part", "code"]).sum().max(axis=1)
        people = people[people > 0]
        several = people.groupby(level=["axis", "part"]).transform("size") > 1 if alone else True
        few = people.index[(people < least) & several]
        too_few |= {(axis, part) for axis, part, _ in few}
    return too_few


def _by_part(answers: pd.DataFrame, place: pd.DataFrame) -> pd.Series:
    return answers.merge(place, on=["axis", "unit"]).groupby(["axis", "part", "code", "answer"])["n"].sum()


def _kept_of_new(
    rows: pd.DataFrame, came: np.ndarray, release: EarlierRelease, survey: Survey, least: int
) -> np.ndarray:
    """Leave new answers out until every part shown before has none of them, or enough, on every code."""
    keep = np.ones(len(rows), dtype=bool)
    axes = [axis for axis in axes_in(rows) if f"{axis}{HOME}" in release.rows]
    homes = {axis: _homes(axis, rows, release, survey) for axis in axes}
    while (came & keep).any():
        new = came & keep
        sums = unit_sums(chosen(survey, new), _all_axes(survey), trees=survey.counted_trees())
        few = np.zeros(len(rows), dtype=bool)
        for axis, home in homes.items():
            known = dict(zip(rows[axis], home, strict=True))
            parts = sums[axis].renamed({unit: known.get(unit, ALL) for unit in sums[axis].units})
            n = np.column_stack([parts.persons, parts.sums["n"]])
            small = [part for part, row in zip(parts.units, n, strict=True) if ((row > 0) & (row < least)).any()]
            few |= new & home.isin(small).to_numpy()
        few |= new & _in_small_cells(rows, sums, release, survey, least)
        if not few.any():
            break
        keep &= ~few
    return keep


def _in_small_cells(
    rows: pd.DataFrame, sums: Mapping[str, UnitSums], release: EarlierRelease, survey: Survey, least: int
) -> np.ndarray:
    """Tell which sheets lie in a cell of a cross-classification that was shown and to which too few came."""
    units, few = survey.spec.units.at(survey.period), np.zeros(len(rows), dtype=bool)
    for pair in survey.spec.cross:
        sides = [units.tree_of(name) if name in units.levels else name for name in pair]
        axis, level = cell_name(sides), cell_name(pair)
        if axis not in sums:
            continue
        key, cells = rows[sides].agg(CROSS.join, axis=1), members(level, axis, units, sums[axis])
        shown = {cell: inside for cell, inside in cells.items() if (level, cell) in (release.mask.shown or ())}
        parts = sums[axis].rolled_up(shown)
        n = np.column_stack([parts.persons, parts.sums["n"]])
        small = np.asarray(((n > 0) & (n < least)).any(axis=1))
        inside = {unit for cell, is_few in zip(shown, small, strict=True) if is_few for unit in shown[cell]}
        few |= key.isin(inside).to_numpy()
    return few


def _homes(axis: str, rows: pd.DataFrame, release: EarlierRelease, survey: Survey) -> pd.Series:
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


def _all_axes(survey: Survey) -> list[str | tuple[str, ...]]:
    """Every level, group column and declared cross-classification the wave has, so that its sums serve every report."""
    units = survey.spec.units.at(survey.period)
    trees = [tree for tree in units.trees if tree in survey.axes]
    levels = [level for tree in trees for level in units.levels if units.tree_of(level) == tree]
    groups = [axis for axis in survey.axes if axis not in units.trees]
    known = {*units.levels, *groups}
    return [*levels, *groups, *(pair for pair in survey.spec.cross if set(pair) <= known)]
