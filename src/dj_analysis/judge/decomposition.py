"""Split of a change by units: within them, and by a change of their shares (Kitagawa 1955)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from ..measure.members import finest, members, merged_parts
from ..measure.scores import Scores
from ..measure.unitsums import UnitSums
from ..result import keys_of
from ..spec.units import ALL, NO_UNIT


def of_shown_units(now: Scores, before: Scores) -> tuple[Scores, Scores]:
    """Count people of hidden units right at the unit above: what is printed then tells nothing about a hidden unit."""
    hidden = set().union(*now.withheld.values(), *before.withheld.values())
    if not hidden:
        return now, before
    codes, waves = {unit for _, unit in hidden}, []
    for scores in (now, before):
        units, shown = scores.spec.units.at(scores.period), {}
        for axis, block in scores.sums.items():
            if axis not in units.trees:
                shown[axis] = block.renamed({unit: NO_UNIT for unit in block.units if (axis, unit) in hidden})
                continue
            above = {
                u: next((a for a in [u, *units.ancestors(u)] if a not in codes), ALL) if u else u for u in block.units
            }
            shown[axis] = block.renamed({u: NO_UNIT if home == ALL else home for u, home in above.items()})
        waves.append(replace(scores, sums=shown))
    return waves[0], waves[1]


def decomposition(changes: pd.DataFrame, now: Scores, before: Scores) -> tuple[np.ndarray, np.ndarray]:
    """Return mix and within of every row of a table of changes, in points; NaN where there is no difference."""
    mix, within = np.full(len(changes), np.nan), np.full(len(changes), np.nan)
    position = {key: i for i, key in enumerate(keys_of(changes, "level", "unit", "code"))}
    for level, unit, blocks, held in units_of_change(list(changes["level"].unique()), now, before):
        of_unit, of_shares, _ = kitagawa_parts(blocks, held)
        for j, (_, code) in enumerate(blocks[1].cells):
            i = position.get((level, unit, code))
            if i is not None:
                within[i], mix[i] = of_unit[:, j].sum(), of_shares[:, j].sum()
    unknown = changes["difference"].isna().to_numpy()
    mix[unknown], within[unknown] = np.nan, np.nan
    return mix, within


@dataclass(frozen=True)
class LevelOfChange:
    """Both waves' sums of one level, the earlier first: the finest units, and which of them each unit of now held."""

    level: str
    axis: str
    blocks: list[UnitSums]
    held: dict[str, tuple[list[str], list[str]]]


def levels_of_change(levels: Iterable[str], now: Scores, before: Scores) -> Iterator[LevelOfChange]:
    """Yield each level that both waves have sums of; units merged since are put together of their parts."""
    later, before_units = now.spec.units.at(now.period), now.spec.units.at(before.period)
    for level in levels:
        axis = later.tree_of(level) if level in later.levels else level
        if axis not in now.sums or axis not in before.sums:
            continue
        cells = [cell for cell in now.sums[axis].cells if cell[0] == "anchors" and cell in before.sums[axis].cells]
        blocks = [wave.sums[axis].laid_out(wave.sums[axis].units, cells) for wave in (before, now)]
        known = level in before_units.levels or axis not in before_units.trees
        prior = members(level, axis, before_units, blocks[0]) if known else {}
        held = {}
        for unit, inside in members(level, axis, later, blocks[1]).items():
            parts = merged_parts(unit, now.spec, before.period)
            held[unit] = (finest(parts, before_units, blocks[0]) if parts else prior.get(unit, []), list(inside))
        yield LevelOfChange(level, axis, blocks, held)


def units_of_change(
    levels: Sequence[str], now: Scores, before: Scores
) -> Iterator[tuple[str, str, list[UnitSums], list[dict[str, list[str]]]]]:
    """Yield level, unit, the sums of both waves, and of which finest units each wave's whole consisted."""
    if not now.sums or not before.sums:
        return
    later, successors = now.spec.units.at(now.period), now.spec.units.successors
    for part in levels_of_change(levels, now, before):
        names = successors if part.axis in later.trees else {}
        for unit, groups in part.held.items():
            held: list[dict[str, list[str]]] = [{names.get(u, u): [] for u in group} for group in groups]
            for group, labels in zip(groups, held, strict=True):
                for u in group:
                    labels[names.get(u, u)].append(u)
            yield part.level, unit, part.blocks, held


def kitagawa_parts(
    blocks: list[UnitSums], held: list[dict[str, list[str]]]
) -> tuple[np.ndarray, np.ndarray, list[str]]:
    """Split a difference of means by finest units (Kitagawa 1955): within, mix (finest units × cells), and the units' names.

    Parameters
    ----------
    blocks
        Sums of the earlier and the later wave, with the same cells.
    held
        Name → finest units of each wave's whole; merged ones stand under one name. A unit that belonged to the whole in
        one wave only changes the mix: its mean is held constant.

    Returns
    -------
    tuple
        within = ½(w₁+w₂)(m₂−m₁) and mix = (½(m₁+m₂) − M)(w₂−w₁), M the mean of the two totals: measured from there, a
        growing unit raises the whole only where it is better than the whole. All of them add up to the difference.
    """
    labels = list(dict.fromkeys([*held[0], *held[1]]))
    w, wx = zip(
        *(_weights_and_scores(block, labels, own) for block, own in zip(blocks, held, strict=True)), strict=True
    )
    with np.errstate(divide="ignore", invalid="ignore"):
        share = [weights / weights.sum(axis=0) for weights in w]
        m = [scores / weights for scores, weights in zip(wx, w, strict=True)]
        total = [scores.sum(axis=0) / weights.sum(axis=0) for scores, weights in zip(wx, w, strict=True)]
    m = [np.where(np.isnan(own), other, own) for own, other in ((m[0], m[1]), (m[1], m[0]))]
    centre = 0.5 * (total[0] + total[1])
    m = [np.where(np.isnan(values), centre, values) for values in m]
    within = 0.5 * (share[0] + share[1]) * (m[1] - m[0])
    mix = (0.5 * (m[0] + m[1]) - centre) * (share[1] - share[0])
    return within, mix, labels


def _weights_and_scores(
    block: UnitSums, labels: Sequence[str], own: Mapping[str, Sequence[str]]
) -> tuple[np.ndarray, np.ndarray]:
    """Return Σw and Σwx of each label's finest units, labels × cells; it is asked for every unit, so nothing else is summed."""
    there = [(i, block.row_of[u]) for i, label in enumerate(labels) for u in own.get(label, ()) if u in block.row_of]
    place, rows = np.array(there, dtype=int).reshape(-1, 2).T
    sums = np.zeros((2, len(labels), len(block.cells)))
    for total, name in zip(sums, ("w", "wx"), strict=True):
        np.add.at(total, place, block.sums[name][rows])
    return sums[0], sums[1]
