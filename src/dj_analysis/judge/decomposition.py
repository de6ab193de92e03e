"""Split of a change by units: within them, and by a change of their shares (Kitagawa 1955)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
import pandas as pd

from ..measure.members import finest, members, merged_parts
from ..measure.scores import Scores
from ..measure.unitsums import UnitSums
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
    position = {key: i for i, key in enumerate(zip(changes["level"], changes["unit"], changes["code"], strict=True))}
    for level, unit, blocks, held in units_of_change(list(changes["level"].unique()), now, before):
        of_unit, of_shares, _ = kitagawa_parts(blocks, held)
        for j, (_, code) in enumerate(blocks[1].cells):
            i = position.get((level, unit, code))
            if i is not None:
                within[i], mix[i] = of_unit[:, j].sum(), of_shares[:, j].sum()
    unknown = changes["difference"].isna().to_numpy()
    mix[unknown], within[unknown] = np.nan, np.nan
    return mix, within


def units_of_change(
    levels: Sequence[str], now: Scores, before: Scores
) -> Iterator[tuple[str, str, list[UnitSums], list[dict[str, list[str]]]]]:
    """Yield level, unit, the sums of both waves, and of which finest units each wave's whole consisted."""
    if not now.sums or not before.sums:
        return
    later, before_units = now.spec.units.at(now.period), now.spec.units.at(before.period)
    successors = now.spec.units.successors
    for level in levels:
        axis = later.tree_of(level) if level in later.levels else level
        if axis not in now.sums or axis not in before.sums:
            continue
        names = successors if axis in later.trees else {}
        cells = [cell for cell in now.sums[axis].cells if cell[0] == "anchors" and cell in before.sums[axis].cells]
        blocks = [wave.sums[axis].laid_out(wave.sums[axis].units, cells) for wave in (before, now)]
        known = level in before_units.levels or axis not in before_units.trees
        prior = members(level, axis, before_units, blocks[0]) if known else {}
        for unit, inside in members(level, axis, later, blocks[1]).items():
            parts = merged_parts(unit, now.spec, before.period)
            earlier = finest(parts, before_units, blocks[0]) if parts else prior.get(unit, [])
            held: list[dict[str, list[str]]] = [{names.get(u, u): [] for u in group} for group in (earlier, inside)]
            for group, labels in zip((earlier, inside), held, strict=True):
                for u in group:
                    labels[names.get(u, u)].append(u)
            yield level, unit, blocks, held


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
    parts = [
        block.rolled_up({label: own.get(label, []) for label in labels})
        for block, own in zip(blocks, held, strict=True)
    ]
    w = [part.sums["w"] for part in parts]
    with np.errstate(divide="ignore", invalid="ignore"):
        share = [weights / weights.sum(axis=0) for weights in w]
        m = [part.sums["wx"] / part.sums["w"] for part in parts]
        total = [part.sums["wx"].sum(axis=0) / part.sums["w"].sum(axis=0) for part in parts]
    m = [np.where(np.isnan(own), other, own) for own, other in ((m[0], m[1]), (m[1], m[0]))]
    centre = 0.5 * (total[0] + total[1])
    m = [np.where(np.isnan(values), centre, values) for values in m]
    within = 0.5 * (share[0] + share[1]) * (m[1] - m[0])
    mix = (0.5 * (m[0] + m[1]) - centre) * (share[1] - share[0])
    return within, mix, labels
