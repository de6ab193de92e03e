"""What may be seen of every programme: surveys, branch indicators, ratings, requests."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from ..errors import DataError
from ..measure.basis import Basis, bases_of
from ..measure.intake.score_sheets import Ratings
from ..measure.obligation_states import Obligations
from ..measure.survey import Indicators
from ..result import Result
from ..spec.periods import parse
from ..spec.settings import FLOOR
from ..spec.specification import Specification
from ..spec.units import ALL
from .counting import Counted
from .decision import decide_mask
from .earlier import conflict_with
from .history import History
from .mask import ClosedCell, Mask, merger_mask
from .plan import Wave, WavePlan
from .ruling import ruling
from .store import Kept
from .tree_rule import partition_of_counts

MONTHS_BEFORE, MONTHS_AFTER = 24, 12  # around a period, in which obligations may be looked at


def survey_plans(
    waves: Sequence[str],
    spec: Specification,
    history: History,
    kept_of: Callable[[str], Kept],
    mask_of: Callable[[str], Mask],
) -> dict[Wave, WavePlan]:
    """Return what may be seen of a wave and those before it; see ``Workspace.release_plan``.

    Parameters
    ----------
    waves
        Waves in order.
    kept_of, mask_of
        Give a wave's sums and its mask.
    """
    plans = {}
    for place, wave in enumerate(waves):
        mask = mask_of(wave)
        refused, allowed = merger_mask(mask, spec, wave, waves[place + 1 :])
        basis = Basis("survey", wave, spec, kept_of(wave).sums)
        plans["survey", wave] = WavePlan(mask, basis, refused, allowed, open=history.frozen(wave) is None)
    return plans


def survey_mask(
    wave: str, kept: Kept, spec: Specification, history: History, counted_of: Callable[[str], Counted]
) -> Mask:
    """Return what may be seen of one wave: as it was closed, else decided beside everything of it that left before.

    Parameters
    ----------
    counted_of
        Tells on what an open wave rests of which a draft was sent.
    """
    frozen = history.frozen(wave)
    if frozen is not None and frozen["ruling"] == ruling(spec, wave):
        return history.store.mask(frozen["store"])
    if history.purged(wave):
        raise DataError(
            f"{wave}: 答卷已删除,单位、min_group 或交叉分组却已改变,无法重新判定 (purged, but its units, min_group or crosses"
            " changed since: restore them)"
        )
    left = history.of(wave)
    rows = left[-1].rows if left else None
    if left and frozen is None:
        counted = counted_of(wave)
        if counted.mask is not None:
            return counted.mask
        rows = counted.rows
    conflict = conflict_with(rows, left, max(spec.min_group, FLOOR)) if rows is not None else None
    return decide_mask(kept.sums, kept.joint, spec, wave, conflict=conflict)


def indicator_plans(periods: Sequence[Indicators]) -> dict[Wave, WavePlan]:
    """Return what may be seen of branch indicators: everything but statistics of too few people, and what rests on them.

    A leaf ``about = persons`` says how many people stand behind each value. Where a value is rolled up to units above, the
    tree rule holds for these people; a node of the indicator tree that rests on a leaf that is not shown is not shown
    either, for it would tell the leaf.
    """
    plans = {}
    for given in periods:
        basis = bases_of(given)[0]
        plans["indicators", given.period] = WavePlan(Mask(None, {}, _closed_indicators(given)), basis)
    return plans


def rating_plans(ratings: Ratings | None, period: str) -> dict[Wave, WavePlan]:
    """Return what may be seen of score sheets up to a period: officials' marks, and those of min_group people or more."""
    if ratings is None:
        return {}
    until = parse(period).end
    bases = [basis for basis in ratings.basis if parse(basis.period).end <= until]
    return {("ratings", basis.period): WavePlan(Mask(None, {}), basis) for basis in bases}


def legacy_plans(legacy: Result | None) -> dict[Wave, WavePlan]:
    """Return what may be seen of figures made by hand before: all but those of fewer people than min_group."""
    if legacy is None:
        return {}
    return {("legacy", basis.period): WavePlan(Mask(None, {}), basis) for basis in legacy.basis}


def context_plans(context: Result | None) -> dict[Wave, WavePlan]:
    """Return what may be seen of context events: all of them, for they tell of no people."""
    if context is None:
        return {}
    return {("context", basis.period): WavePlan(Mask(None, {}), basis) for basis in context.basis}


def obligation_plans(obligations: Obligations, period: str) -> dict[Wave, WavePlan]:
    """Return what may be seen of obligations in the months around a period: all of it, for they are units' work.

    A report on a quarter tells how things stand weeks after it, so that months up to a year later belong to its plan.
    """
    end = parse(f"{parse(period).end:%Y-%m}")
    months = [end.shift(step).text for step in range(-MONTHS_BEFORE, MONTHS_AFTER + 1)]
    bases = (Basis("obligations", month, obligations.spec, values=obligations.digest) for month in months)
    return {("obligations", basis.period): WavePlan(Mask(None, {}), basis) for basis in bases}


def _closed_indicators(given: Indicators) -> frozenset[ClosedCell]:
    tree, units, least = given.tree, given.spec.units.at(given.period), max(given.spec.min_group, FLOOR)
    closed: set[ClosedCell] = set()
    for leaf in (leaf for leaf in tree.leaves if leaf.about == "persons"):
        rows = given.values[(given.values["code"] == leaf.code) & given.values["value"].notna()]
        people = {unit: float(n) if n == n else 1.0 for unit, n in zip(rows["unit"], rows["n"], strict=True)}
        shut = {unit for unit, n in people.items() if n < least}
        if leaf.rollup not in ("", "none"):
            direct = {unit: n for unit, n in people.items() if unit != ALL}
            for part in partition_of_counts(direct, units, least).values():
                shut |= part.small | part.complements
        for unit in shut:
            level = units.root.level if unit == ALL else units[unit].level
            closed |= {(level, unit, "full", code) for code in (leaf.code, *tree.ancestors(leaf.code))}
    return frozenset(closed)
