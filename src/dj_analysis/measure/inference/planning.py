"""Planning: precision of a score by the size of the unit, influence of one respondent on it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from scipy import stats

from ...errors import UsageError
from ...result import Result
from ...spec import reasons
from ..crossnames import cell_name, is_cross, parts_of
from ..members import members
from ..scores import KEYS, Scores

SD, ICC = 14.0, 0.10  # of an index of persons, 0–100, and the share of its variance that lies between units


def precision(
    people: Sequence[int] = (5, 10, 20, 30, 50, 100), *, sd: float = SD, icc: float = ICC, confidence: float = 0.95
) -> pd.DataFrame:
    """Return the expected half width and shrinkage weight of a unit's score, by the number of respondents.

    Parameters
    ----------
    people
        Numbers of respondents, 1 or more.
    sd
        Standard deviation of persons within a unit, in points.
    icc
        Share of the variance of persons that lies between units, 0–1.
    confidence
        Confidence of the half width.

    Returns
    -------
    DataFrame
        n, half_width (points: t·sd/√n with n − 1 degrees of freedom, as the intervals of scores; missing for one person),
        weight (of the unit's own mean against the mean of all, n·ICC/(1 + (n − 1)·ICC):
        Spearman–Brown 1910, the shrinkage weight of equal units).

    Raises
    ------
    UsageError
        A number under 1, an sd that is not positive, an ICC outside 0–1.

    Examples
    --------
    >>> precision([10, 100]).round(2).to_dict("list")
    {'n': [10, 100], 'half_width': [10.01, 2.78], 'weight': [0.53, 0.92]}
    """
    n = np.asarray(people, dtype=float)
    if (n < 1).any() or not sd > 0 or not 0 <= icc <= 1:
        raise UsageError(f"people >= 1, sd > 0, 0 <= icc <= 1: {list(people)}, {sd:g}, {icc:g}")
    half = stats.t.ppf(0.5 + confidence / 2, np.where(n > 1, n - 1, np.nan)) * sd / np.sqrt(n)
    return pd.DataFrame({"n": n.astype(int), "half_width": half, "weight": n * icc / (1 + (n - 1) * icc)})


def influence(scores: Scores) -> Result:
    """Return an upper bound of the change of a unit's score when one respondent is removed.

    It is the bound the scale allows, w·max(score, 100 − score)/(W − w) with W the sum of weights and w the largest one
    (:meth:`~dj_analysis.measure.unitsums.UnitSums.largest_weight`); max(score, 100 − score)/(n − 1) without weights. It is not the
    largest change there is: that one would disclose the most extreme answer. It is printed instead of asking who pulled the
    number down.

    Returns
    -------
    Result
        period, level, unit, form, code, n, score, heaviest (of the whole weight, what its heaviest respondent holds),
        influence (points; missing for one person or none), reason.
    """
    table = scores.table[[*KEYS, "n", "score", "reason"]].copy()
    table["heaviest"] = _heaviest_share(scores) if scores.sums else 1 / table["n"]
    largest = np.maximum(table["score"], 100 - table["score"]) * table["heaviest"] / (1 - table["heaviest"])
    table["influence"] = largest.where(table["n"] > 1)
    table.loc[table["n"] == 1, "reason"] = reasons.ONE_PERSON
    return Result(
        table=table[[*KEYS, "n", "score", "heaviest", "influence", "reason"]], keys=KEYS,
        statistics=("n", "score", "heaviest", "influence"), period=scores.period, about=scores.about,
        programme=scores.programme, periods=scores.periods, spec=scores.spec, withheld=scores.withheld,
        basis=scores.basis,
    )  # fmt: skip


def _heaviest_share(scores: Scores) -> np.ndarray:
    """Return the share of the weight of each row that its heaviest respondent holds; 1/n without weights."""
    units = scores.spec.units.at(scores.period)
    shares: dict[tuple[str, ...], float] = {}
    for level in scores.table["level"].unique():
        axes = [units.tree_of(part) if part in units.levels else part for part in parts_of(level)]
        axis = cell_name(axes) if is_cross(level) else axes[0]
        block = scores.sums[axis].rolled_up(members(level, axis, units, scores.sums[axis]))
        with np.errstate(divide="ignore", invalid="ignore"):
            table = block.largest_weight() / block.sums["w"]
        for unit, row in zip(block.units, table, strict=True):
            shares |= {(level, unit, *cell): share for cell, share in zip(block.cells, row, strict=True)}
    keys = scores.table[["level", "unit", "form", "code"]].itertuples(index=False, name=None)
    return np.array([shares.get(key, np.nan) for key in keys])
