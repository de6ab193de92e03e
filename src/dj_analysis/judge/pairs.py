"""People who linked themselves over two waves: how many they are in each unit, and what may be computed of them."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from ..errors import UsageError
from ..measure.common_items import common_items
from ..measure.crossnames import parts_of
from ..measure.inference.overlapping import PairCovariance, pair_covariance
from ..measure.pairing import paired_sums
from ..measure.scores import Scores
from ..measure.survey import Survey
from ..measure.survey_scores import score
from ..measure.unitsums import UnitSums
from ..result import Result
from ..spec import reasons
from ..spec.settings import FLOOR
from ..spec.units import ALL, Units
from .decomposition import LevelOfChange, levels_of_change

STATISTICS = ("n", "n_before", "pairs", "linked", "linked_before")
TOGETHER = ("pairs", "linked", "linked_before")


@dataclass(frozen=True)
class Pairs(Result):
    """How many people of each unit linked themselves over two waves.

    ``.table``: period, before_period, level, unit, n, n_before (who answered), pairs (who is known to have answered both times, in
    the same unit), linked, linked_before (their share in either wave, 0–1), reason. Counts are told where there are at least
    min_group pairs and at least min_group others in either wave, and where no smaller number can be computed from what is told:
    who declined to be followed must not be seen. ``sums`` and ``used`` (by unit of every level of the first tree) are
    confidential.
    """

    sums: UnitSums | None = field(default=None, repr=False)
    used: np.ndarray | None = field(default=None, repr=False)

    def covariance(self, part: LevelOfChange, weights: tuple[np.ndarray, np.ndarray]) -> PairCovariance:
        """Return what linked people tell about the changes of a level: units × the cells of its sums.

        Parameters
        ----------
        part
            Both waves' sums of the level. Of another tree than the first nobody counts as linked.
        weights
            Σw of each unit and cell, now and before.
        """
        block, used = self._of(part), np.zeros(weights[0].shape, dtype=bool)
        if self.sums is not None and self.used is not None and part.axis == self.sums.axis:
            flags = UnitSums(block.axis, self.sums.units, self.sums.cells, self.sums.persons, {"used": self.used})
            used = flags.laid_out(block.units, block.cells).sums["used"] > 0
        return pair_covariance(block.sums, *weights, used)

    def sums_of(self, part: LevelOfChange) -> Mapping[str, np.ndarray]:
        """Return the sums of the linked people of a level: statistic → units × cells."""
        return self._of(part).sums

    def _of(self, part: LevelOfChange) -> UnitSums:
        assert self.sums is not None, "pairs are made with their sums"
        return self.sums.laid_out(list(part.held), part.blocks[1].cells)


def pair(survey: Survey, survey_before: Survey) -> Pairs:
    """Count the people who answered both waves and agreed to be linked, for :func:`compare`.

    A person is linked by the pseudonym of a code of her own (domain R2), which is there only with her consent, the key and
    an impact assessment; without any of them nobody is linked, and the waves are compared as independent. A pseudonym that stands
    twice in a wave links nobody. Who changed units counts in the units that hold both. Nothing about a person leaves the sums.

    Parameters
    ----------
    survey, survey_before
        The later and the earlier wave, with their answers: ``ws.survey(period)``.

    Returns
    -------
    Pairs
        One row a unit of the first tree. Linked people chose to be linked and may differ from the others, so that their share
        stands beside what is computed of them.

    Raises
    ------
    UsageError
        Waves of different questionnaires, or not two surveys.

    Examples
    --------
    >>> dj.pair(survey, survey_before)  # doctest: +SKIP
    """
    for wave in (survey, survey_before):
        if not isinstance(wave, Survey):
            raise UsageError(
                f"dj.pair 不接受 {type(wave).__name__} (two surveys are needed): dj.pair(ws.survey(…), ws.survey(…))"
            )
    now, before = score(survey), score(survey_before)
    items = set().union(*common_items([before, now]).values())
    block = paired_sums(survey, survey_before, items)
    levels = [level for level in now.spec.units.at(now.period).levels if level in set(now.table["level"])]
    parts = list(levels_of_change(levels, now, before))
    sums = block.rolled_up(_pairs_of_units(block, parts))
    barred = {unit for _, unit in set().union(*now.withheld.values(), *before.withheld.values())}
    units, least = now.spec.units.at(now.period), max(now.spec.min_group, FLOOR)
    table = _counts(now, before, sums)
    table = _told(table, units, least, barred)
    return Pairs(
        table=table, keys=("period", "before_period", "level", "unit"), statistics=STATISTICS, together=TOGETHER,
        period=now.period, periods=(before.period, now.period), spec=now.spec, sums=sums,
        used=_used(sums, units, least, barred), withheld={**before.withheld, **now.withheld},
        basis=(*before.basis, *now.basis),
    )  # fmt: skip


def without_small_rests(
    counts: Mapping[str, np.ndarray], units: Units, least: int, barred: Collection[str]
) -> set[str]:
    """Choose units of which counts may be used so that none below ``least`` can be computed from those of other units.

    From the top down: a unit is chosen only where the one above it is, and what it has more than its chosen children is nothing or
    at least ``least`` of every count; else the child with the fewest people leaves, until that holds.

    Parameters
    ----------
    counts
        Unit → its counts, each of which must reach ``least``.
    barred
        Units that are not chosen.
    """

    def enough(values: np.ndarray) -> bool:
        return bool((values >= least).all())

    chosen: set[str] = set()
    waiting = [ALL] if enough(counts.get(ALL, np.zeros(1))) else []
    while waiting:
        unit = waiting.pop()
        chosen.add(unit)
        children = [child.unit for child in units.children(unit) if child.unit in counts and child.unit not in barred]
        children = sorted((c for c in children if enough(counts[c])), key=lambda c: tuple(counts[c]), reverse=True)
        rest = counts[unit] - sum(counts[child] for child in children)
        while children and rest.any() and not enough(rest):
            rest = rest + counts[children.pop()]
        waiting += children
    return chosen


def _pairs_of_units(block: UnitSums, parts: list[LevelOfChange]) -> dict[str, list[str]]:
    """Return unit → the pairs of finest units that both belonged to it, each in its wave."""
    groups: dict[str, list[str]] = {}
    for part in parts:
        above: tuple[dict[str, set[str]], dict[str, set[str]]] = ({}, {})
        for unit, held in part.held.items():
            groups[unit] = []
            for wave, inside in zip(above, held, strict=True):
                for finest in inside:
                    wave.setdefault(finest, set()).add(unit)
        for name in block.units:
            later, earlier = parts_of(name)
            for unit in above[1].get(later, set()) & above[0].get(earlier, set()):
                groups[unit].append(name)
    return groups


def _counts(now: Scores, before: Scores, sums: UnitSums) -> pd.DataFrame:
    """Return respondents of both waves and pairs, a row a unit."""
    keys = ["level", "unit"]
    tables = [wave.response.table[[*keys, "n"]] for wave in (now, before)]
    table = tables[0].merge(tables[1], on=keys, how="left", suffixes=("", "_before"))
    table = table[table["unit"].isin(sums.units)].reset_index(drop=True)
    table.insert(0, "period", now.period)
    table.insert(1, "before_period", before.period)
    pairs = dict(zip(sums.units, sums.persons, strict=True))
    table["n_before"] = table["n_before"].fillna(0).astype(int)
    table["pairs"] = table["unit"].map(pairs).astype(float)
    for name, n in (("linked", "n"), ("linked_before", "n_before")):
        table[name] = table["pairs"] / table[n].where(table[n] > 0)
    return table


def _told(table: pd.DataFrame, units: Units, least: int, barred: Collection[str]) -> pd.DataFrame:
    """Take out the counts that would tell how few were linked, or how few were not."""
    alone = table[["n", "n_before"]].to_numpy(float) - table[["pairs"]].to_numpy(float)
    counts = dict(zip(table["unit"], np.column_stack([table["pairs"], alone]), strict=True))
    shown = table["unit"].isin(without_small_rests(counts, units, least, barred))
    nobody = not table["pairs"].any()
    table["reason"] = np.where(shown, "", reasons.NOBODY_LINKED if nobody else reasons.FEW_LINKED)
    table.loc[~shown, list(TOGETHER)] = np.nan
    return table


def _used(sums: UnitSums, units: Units, least: int, barred: Collection[str]) -> np.ndarray:
    """Tell of which units and cells pairs are used: 1 or 0, units × cells."""
    used = np.zeros(sums.sums["n"].shape)
    columns, number = np.unique(sums.sums["n"], axis=1, return_inverse=True)
    for j, column in enumerate(columns.T):
        chosen = without_small_rests(dict(zip(sums.units, column[:, None], strict=True)), units, least, barred)
        used[:, number.ravel() == j] = np.isin(sums.units, list(chosen))[:, None]
    return used
