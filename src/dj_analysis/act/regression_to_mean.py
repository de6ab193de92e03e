"""How far units selected for an extreme value come back by themselves: regression to the mean."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats

from ..errors import UsageError
from ..measure.inference.shrinkage import shrink

LEAST_OTHERS = 10  # units that were not selected, from which the line of the later value on the earlier one is fitted


def regression_to_mean(
    sd: float, mean: float, cut: float, reliability: ArrayLike = 0.0, *, above: bool | None = None
) -> np.ndarray:
    """Return how far the mean of those beyond a cut point is expected to come back when they are measured again.

    E[RTM] = σ²_w / √(σ²_w + σ²_b) · φ(z) / (1 − Φ(z)) with σ² = σ²_w + σ²_b, σ²_w = (1 − ρ)σ², and z the distance of the cut
    point from the mean in standard deviations (Barnett, van der Pols and Dobson 2005, Int. J. Epidemiol. 34:215; normal values).

    Parameters
    ----------
    sd
        Standard deviation of single measurements between units, σ, in points.
    mean, cut
        Mean of all units, and the cut point beyond which units are selected.
    reliability
        Correlation ρ of two measurements of a unit, 0–1; a number or an array.
    above
        True: those above the cut point are selected; by default the side of the cut point that is away from the mean.

    Returns
    -------
    ndarray
        Points by which the mean of those selected moves towards ``mean``, 0 or more; of the shape of ``reliability``.

    Examples
    --------
    >>> dj.methods.regression_to_mean(15, 60, 40, [0, 0.5, 0.8]).round(2).tolist()
    [26.97, 13.49, 5.39]
    """
    rho = np.asarray(reliability, dtype=float)
    if not sd > 0 or not np.isfinite([sd, mean, cut]).all() or np.isnan(rho).any() or ((rho < 0) | (rho > 1)).any():
        raise UsageError(f"sd > 0, 0 <= reliability <= 1: {sd:g}, {rho.tolist()}")
    upward = cut >= mean if above is None else above
    z = (cut - mean) / sd if upward else (mean - cut) / sd
    return np.asarray((1 - rho) * sd * np.exp(stats.norm.logpdf(z) - stats.norm.logsf(z)))


def expected_return(
    values: ArrayLike, se: ArrayLike, *, lowest: int | None = None, below: float | None = None
) -> tuple[np.ndarray, float]:
    """Return which units a rule selects, and the change of their mean that is expected with no true change at all.

    Each unit's share of lasting difference B is that of :func:`dj_analysis.methods.shrink`: a unit with value x is expected at
    μ + B(x − μ) next time, so that those selected move by the mean of (1 − B)(μ − x).

    Parameters
    ----------
    values, se
        Values of all units and their standard errors, in points; at least four units with both.
    lowest
        Select the so many lowest units.
    below
        Select the units under this value.

    Returns
    -------
    tuple
        Booleans in the order of the units, and points (positive: up).

    Examples
    --------
    >>> selected, points = dj.methods.expected_return([40, 50, 55, 60, 65, 70], [5] * 6, lowest=1)
    >>> selected.tolist().index(True), round(points, 1)
    (0, 2.1)
    """
    x = np.asarray(values, dtype=float)
    if (lowest is None) == (below is None):
        raise UsageError("expected_return: 给出 lowest 或 below 之一 (give one of lowest and below)")
    if lowest is not None and not 1 <= lowest < np.isfinite(x).sum():
        raise UsageError(f"lowest = {lowest}: 1–{np.isfinite(x).sum() - 1}")
    selected = lowest_units(x, lowest) if lowest is not None else x < float(below if below is not None else np.nan)
    if not selected.any():
        raise UsageError(f"below = {below}: 没有单位低于此值 (no unit lies under it)")
    return selected, float(np.mean((shrink(x, se).estimate - x)[selected]))


def lowest_units(values: np.ndarray, count: int) -> np.ndarray:
    """Mark the lowest units; where values are equal at the end, the first of them as they stand."""
    marked = np.zeros(len(values), dtype=bool)
    marked[np.argsort(np.where(np.isnan(values), np.inf, values), kind="stable")[:count]] = True
    return marked & ~np.isnan(values)


@dataclass(frozen=True)
class SelectedChange:
    """The change of selected units beside what is expected of them with no effect.

    ``change``, ``expected`` and ``beyond`` (their difference) are (estimate, se, df); ``slope`` is the line of the later value on the earlier
    one, ``line`` what each unit is expected at afterwards. Without enough units that were not selected, all but ``change``
    are NaN.
    """

    change: tuple[float, float, float]
    expected: tuple[float, float, float]
    beyond: tuple[float, float, float]
    slope: float
    line: np.ndarray


def selected_change(before: ArrayLike, after: ArrayLike, selected: ArrayLike) -> SelectedChange:
    """Hold the change of selected units against the line on which all others moved.

    Units are selected on ``before``. With no effect, what follows on an earlier value x is a + b·x for every unit, selected or not:
    a straight line is fitted to the units that were not selected, whose slope b < 1 is regression to the mean and whose level
    is what happened to all, and is drawn on to the selected ones (analysis of covariance; Barnett et al. 2005). The error of
    drawing it on is in the interval, and grows with the distance.

    Parameters
    ----------
    before, after
        A value a unit, no missing ones; ``before`` is the one the units were selected on.
    selected
        Booleans.
    """
    x, y, chosen = np.asarray(before, float), np.asarray(after, float), np.asarray(selected, bool)
    k, others = int(chosen.sum()), ~chosen
    m, change = int(others.sum()), (y - x)[chosen]
    own_se = float(change.std(ddof=1) / np.sqrt(k)) if k > 1 else np.nan
    simple = (float(change.mean()) if k else np.nan, own_se, float(k - 1))
    missing = (np.nan, np.nan, np.nan)
    spread = float(((x[others] - x[others].mean()) ** 2).sum()) if m else 0.0
    if m < LEAST_OTHERS or not k or not spread > 0:
        return SelectedChange(simple, missing, missing, np.nan, np.full(len(x), np.nan))
    centre, df = x[others].mean(), m - 2.0
    slope = float((x[others] - centre) @ y[others] / spread)
    line = y[others].mean() + slope * (x - centre)
    variance = float(((y - line)[others] ** 2).sum() / df)
    of_line = variance * (1 / m + (x[chosen].mean() - centre) ** 2 / spread)
    expected = (float((line - x)[chosen].mean()), float(np.sqrt(of_line + variance / k)), df)
    beyond = (float((y - line)[chosen].mean()), expected[1], df)
    return SelectedChange(simple, expected, beyond, slope, line)
