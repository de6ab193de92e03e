"""Raking: weights that fit a table of respondents to given margins, with their design effect."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from ...errors import Problems, UsageError

TRIM = 5.0  # times the median weight
ROUNDS = 1000
TOLERANCE = 1e-10  # of the whole
AGREE = 1e-6  # share by which totals of margins may differ: rounding of headcounts that were grossed up

Axes = tuple[int, ...]


@dataclass(frozen=True)
class DesignEffect:
    """Loss of precision by unequal weights: ``deff`` = nΣw²/(Σw)², ``n_eff`` = n/deff (Kish 1965)."""

    deff: float
    n_eff: float


def design_effect(weights: ArrayLike) -> DesignEffect:
    """Compute the design effect of unequal weighting and the effective number of respondents (Kish 1965).

    Weights scale freely. It is the variance of a weighted mean over that of a plain one when answers have nothing to do
    with the weights; where they have, raking may lower the variance and deff says too much.

    Parameters
    ----------
    weights
        One weight a respondent, ≥ 0, at least one above 0.

    Raises
    ------
    DataError
        A weight that is negative or missing, or none above 0.

    Examples
    --------
    >>> design_effect([1, 1, 1, 2, 3])
    DesignEffect(deff=1.25, n_eff=4.0)
    """
    w = np.asarray(weights, dtype=float)
    problems = Problems()
    check_weights("weights", w, problems)
    problems.raise_if_any()
    n_eff = float(w.sum() ** 2 / (w**2).sum())
    return DesignEffect(w.size / n_eff, n_eff)


def rake(
    counts: ArrayLike,
    margins: Mapping[int | Axes, ArrayLike],
    *,
    trim: float = TRIM,
    tolerance: float = TOLERANCE,
    rounds: int = ROUNDS,
) -> np.ndarray:
    """Compute cell weights that fit a table to given margins: raking (Deming & Stephan 1940).

    The table is scaled to each margin in turn until all hold; the odds ratios of the counts are kept. Then weights above
    ``trim`` times their median are cut and the others raked again, see :func:`fit_capped`; where a category has nobody who
    may weigh more, its margin is no longer met.

    Parameters
    ----------
    counts
        Respondents (or sums of their weights) by cell; any number of dimensions.
    margins
        Axis, or several in ascending order, → the totals wanted over the others.
    trim
        Largest weight, in medians over respondents; ``math.inf`` cuts nothing.
    tolerance
        Largest difference from a margin, as a share of the whole.
    rounds
        How often all margins are gone through at the most.

    Returns
    -------
    array
        Weight by cell, of the shape of ``counts``; NaN where a cell holds nobody.

    Raises
    ------
    DataError
        Lists all margins that cannot be met: of the wrong shape, negative, with different totals, people where nobody
        answered, nobody where people answered, or such as contradict each other through empty cells.

    Examples
    --------
    >>> weights = rake([[40, 30], [35, 50]], {0: [80, 90], 1: [70, 100]})
    >>> (weights * [[40, 30], [35, 50]]).round(3).tolist()
    [[39.511, 40.489], [30.489, 59.511]]
    """
    table = np.asarray(counts, dtype=float)
    targets = {key if isinstance(key, tuple) else (int(key),): np.asarray(v, dtype=float) for key, v in margins.items()}
    names = {axes: "×".join(str(axis) for axis in axes) for axes in targets}
    labels = [[str(i) for i in range(size)] for size in table.shape]
    fitted = fit_margins(table, targets, names, labels, tolerance, rounds)
    weights = np.divide(fitted, table, out=np.full_like(table, np.nan), where=table > 0)
    held = np.flatnonzero(table > 0)
    capped = fit_capped(
        weights.ravel()[held], held, table.shape, targets, trim=trim, counts=table.ravel()[held], rounds=rounds
    )
    weights.ravel()[held] = capped
    return weights


def trimmed(weights: ArrayLike, counts: ArrayLike | None = None, trim: float = TRIM) -> np.ndarray:
    """Cut weights above ``trim`` times their median and spread what was cut over the others in proportion.

    Weights that pass the cut ones thereby are cut as well, so that the order of weights stays. The sum stays too. Afterwards
    no weight is above ``trim`` times the new median: the median grew with the others. Where all weights at the cut do not
    make up the sum, all are equal. It knows no margins: see :func:`fit_capped`.

    Parameters
    ----------
    weights
        Of respondents, or of cells; NaN is passed through, weights of 0 stay and are left out of the median.
    counts
        Respondents by cell.
    trim
        Above 1, in medians.
    """
    w = np.asarray(weights, dtype=float)
    n = np.ones_like(w) if counts is None else np.asarray(counts, dtype=float)
    cap, positive = _cap(w, n, trim), (w > 0) & (n > 0)
    total, grown, cut = (w * n)[positive].sum(), w.copy(), np.zeros(w.shape, dtype=bool)
    while (passing := positive & ~cut & (grown > cap)).any():
        cut |= passing
        left = positive & ~cut
        if not left.any():
            return np.where(positive, total / n[positive].sum(), w)
        grown = np.where(left, w * (total - cap * n[cut].sum()) / (w * n)[left].sum(), w)
    return np.where(cut, cap, grown)


def _cap(weights: np.ndarray, counts: np.ndarray, trim: float) -> float:
    """Return ``trim`` times the median of the positive weights."""
    if not trim > 1:
        raise UsageError(f"trim = {trim:g}:应大于 1 (above 1: so many times the median weight)")
    positive = (weights > 0) & (counts > 0)
    return trim * _median(weights[positive], counts[positive]) if positive.any() else math.inf


def fit_capped(
    weights: np.ndarray,
    cells: np.ndarray,
    shape: tuple[int, ...],
    margins: Mapping[Axes, np.ndarray],
    *,
    trim: float = TRIM,
    counts: np.ndarray | None = None,
    rounds: int = ROUNDS,
) -> np.ndarray:
    """Cut raked weights at ``trim`` times their median and rake the others again, until both settle.

    Every round scales to each margin in turn and cuts, as raking programs that trim inside their rounds do (Kolenikov 2014,
    Stata Journal 14; Pasek's anesrake). What the cut takes from a category is made up by others of the same category as far
    as they may; where nobody can, that category stays short, and the others keep their proportions to each other.

    Parameters
    ----------
    weights
        That meet the margins, of respondents (or of cells, with ``counts``).
    cells
        Place of each in the table of ``shape``, counted row by row.
    margins
        Axes → totals wanted.

    Returns
    -------
    array
        Weights of the same sum; those that were cut are the largest.
    """
    n = np.ones_like(weights) if counts is None else counts
    cap = _cap(weights, n, trim)
    if not (weights > cap).any():
        return weights
    w, total = weights, (weights * n).sum()
    for _ in range(rounds):
        before, w = w, np.minimum(w, cap)
        for axes, target in margins.items():
            current = sum_to(np.bincount(cells, w * n, minlength=math.prod(shape)).reshape(shape), axes)
            factor = np.divide(target, current, out=np.zeros_like(current), where=current > 0)
            spread = np.expand_dims(factor, [axis for axis in range(len(shape)) if axis not in axes])
            w = w * np.broadcast_to(spread, shape).ravel()[cells]
        if np.abs(w - before).max() <= TOLERANCE * cap:
            break
    w = np.minimum(w, cap)
    return np.asarray(w * (total / (w * n).sum()))


def fit_margins(
    counts: np.ndarray,
    margins: Mapping[Axes, np.ndarray],
    names: Mapping[Axes, str],
    labels: Sequence[Sequence[str]],
    tolerance: float = TOLERANCE,
    rounds: int = ROUNDS,
) -> np.ndarray:
    """Scale a table to each margin in turn until all hold; ``names`` and ``labels`` are for messages."""
    problems = Problems()
    _check_margins(counts, margins, names, labels, problems)
    problems.raise_if_any()
    total = next(iter(margins.values())).sum() if margins else counts.sum()
    margins = {axes: target * (total / target.sum()) for axes, target in margins.items()}  # equal but for rounding
    table = counts * (total / counts.sum())
    for _ in range(rounds):
        for axes, target in margins.items():
            current = sum_to(table, axes)
            factor = np.divide(target, current, out=np.zeros_like(current), where=current > 0)
            table = table * np.expand_dims(factor, [axis for axis in range(table.ndim) if axis not in axes])
        gaps = {axes: np.abs(sum_to(table, axes) - target) for axes, target in margins.items()}
        if all(gap.max() <= tolerance * total for gap in gaps.values()):
            return table
    for axes, gap in gaps.items():
        worst = np.unravel_index(gap.argmax(), gap.shape)
        fitted_total = f"{sum_to(table, axes)[worst]:g}"
        advice = "有空格的组合使各边际互相矛盾,合并类别 (empty cells contradict the margins: join categories)"
        problems.add(
            _place(names[axes], axes, worst, labels),
            "no_convergence",
            fitted_total,
            f"{margins[axes][worst]:g}",
            advice,
        )
    problems.raise_if_any()
    return table


def _check_margins(
    counts: np.ndarray,
    margins: Mapping[Axes, np.ndarray],
    names: Mapping[Axes, str],
    labels: Sequence[Sequence[str]],
    problems: Problems,
) -> None:
    """Report every margin that cannot be met."""
    if counts.size == 0 or not (counts >= 0).all() or not counts.sum() > 0:
        problems.add(
            "counts", "counts", counts.tolist() if counts.size < 10 else "", ">= 0,和 > 0", "改正 (correct it)"
        )
        return
    for axes, target in margins.items():
        if target.shape != (shape := tuple(counts.shape[axis] for axis in axes)) or list(axes) != sorted(set(axes)):
            problems.add(
                f"边际/margin {names[axes]}", "margin_shape", target.shape, shape, "改正边际 (correct the margin)"
            )
            continue
        current = sum_to(counts, axes)
        for where in map(tuple, np.argwhere(~((target >= 0) & np.isfinite(target)))):
            offending = f"{target[where]:g}"
            problems.add(_place(names[axes], axes, where, labels), "margin", offending, ">= 0", "改正边际 (correct it)")
        for where in map(tuple, np.argwhere((target > 0) & (current == 0))):
            offending, advice = f"{target[where]:g} 人,无人填答", "与别的类别合并,或不按此加权 (join it with another)"
            problems.add(_place(names[axes], axes, where, labels), "nobody_answered", offending, "有人填答", advice)
        for where in map(tuple, np.argwhere((target == 0) & (current > 0))):
            offending, advice = (
                f"0 人,{current[where]:g} 份答卷",
                "改正人数或答卷 (correct the headcount or the answers)",
            )
            problems.add(_place(names[axes], axes, where, labels), "nobody_there", offending, "> 0", advice)
    totals = {names[axes]: float(target.sum()) for axes, target in margins.items()}
    if totals and max(totals.values()) - min(totals.values()) > AGREE * max(totals.values()):
        offending = ", ".join(f"{name} {total:.10g}" for name, total in totals.items())
        problems.add(
            "边际/margins", "totals_differ", offending, "合计相同 (one total)", "改正人数 (correct the headcounts)"
        )


def _place(name: str, axes: Axes, where: Sequence[Any], labels: Sequence[Sequence[str]]) -> str:
    cell = " × ".join(labels[axis][int(i)] or "(未填)" for axis, i in zip(axes, where, strict=True))
    return f"边际/margin {name}: {cell}"


def check_weights(name: str, weights: np.ndarray, problems: Problems) -> None:
    """Report weights that are negative or missing, or all 0."""
    if not (np.isfinite(weights) & (weights >= 0)).all() or not weights.sum() > 0:
        low, high = (f(weights) if len(weights) else 0.0 for f in (np.min, np.max))
        problems.add(name, "weights", f"{low:g}–{high:g}", ">= 0,和 > 0", "改正权重 (correct the weights)")


def sum_to(table: np.ndarray, axes: Axes) -> np.ndarray:
    """Sum a table over all axes but these."""
    return table.sum(axis=tuple(axis for axis in range(table.ndim) if axis not in axes))


def _median(values: np.ndarray, counts: np.ndarray) -> float:
    """Median over respondents; the mean of the two middle ones where there are two."""
    order = np.argsort(values)
    cumulative, half = np.cumsum(counts[order]), counts.sum() / 2
    low, high = (np.searchsorted(cumulative, half, side=side) for side in ("left", "right"))
    return float(values[order][[low, min(high, len(order) - 1)]].mean())
