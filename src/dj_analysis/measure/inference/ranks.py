"""Uncertainty of ranks: confidence sets of ranks, probability of being among the first k."""

from __future__ import annotations

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats

from ...errors import UsageError, unknown
from ..ties import descending_ranks
from .rank_draws import DRAWS_AT_ONCE, drawn_errors, drawn_orders, random_streams

Method = Literal["joint", "marginal", "simulated"]

ROWS_AT_ONCE = 500  # units whose simulated ranks one thread sorts
PAIRS_AT_ONCE = 1_000_000  # pairs of units looked at in one step when all draws are done
CANDIDATES = 32  # units with the largest errors in a draw, among which the largest difference nearly always is


@dataclass(frozen=True)
class RankSets:
    """Ranks (1 = highest mean) and the sets of ranks that are not ruled out, arrays in the order of the units.

    Attributes
    ----------
    rank
        1 + the number of units with a higher mean: equal units share the best of their places. NaN without a mean.
    low, high
        Best and worst rank of the set; NaN for a unit without an error.
    method
        ``joint``, ``marginal`` or ``simulated``.
    confidence
        Of all sets together (joint), of each set alone (marginal, simulated).
    """

    rank: np.ndarray
    low: np.ndarray
    high: np.ndarray
    method: str
    confidence: float


@dataclass(frozen=True)
class TopShares:
    """Probability of each unit to be the first and among the first ``k``; NaN for a unit without an error."""

    first: np.ndarray
    among: np.ndarray
    k: int


@dataclass(frozen=True)
class Overlap:
    """Intervals made to be compared by eye: two units differ where theirs do not overlap."""

    low: np.ndarray
    high: np.ndarray
    factor: float


def rank_sets(
    mean: ArrayLike,
    se: ArrayLike,
    *,
    method: Method = "joint",
    confidence: float = 0.95,
    draws: int = 2000,
    seed: int = 0,
    df: ArrayLike | None = None,
    of: Sequence[int] | None = None,
) -> RankSets:
    """Compute confidence sets of ranks from the means of units and their standard errors.

    ``joint`` (Mogstad, Romano, Shaikh and Wilhelm 2024, as in R's csranks): every ordered pair of units is tested, the
    error rate of all of them together held by a step-down parametric bootstrap of the largest studentised
    difference; a unit's set starts after those surely above it and ends before those surely below. With the stated
    confidence *all* sets hold their true rank: the statement for a table of all units. ``marginal`` is the same for
    the pairs of one unit: for the reader who looks at one unit only. ``simulated`` (Goldstein and Spiegelhalter 1996)
    takes percentiles of the ranks of simulated means; it is narrower, and has no such guarantee where units hardly differ.

    Parameters
    ----------
    mean, se
        Means of units and their standard errors, of one length, independent of each other. A unit without a mean takes
        no part; a unit with a mean but without an error may be anywhere: it widens the sets of the others.
    draws
        Bootstrap (or simulated) samples.
    seed
        Seed of the draws. The order of the units does not matter.
    df
        Degrees of freedom of each se (n − 1, or n_eff − 1); None or NaN where it is known. Each draw then has its own
        standard errors (joint, marginal), or Student's t in place of the normal (simulated). Leaving them out is no small
        matter: joint sets of 50 equal units of ten persons then hold in two of three cases instead of 95 %.
    of
        Positions of the units whose marginal sets are wanted; the others' are NaN. All by default.

    Returns
    -------
    RankSets
        Ranks as floats.

    Raises
    ------
    UsageError
        A method that does not exist, vectors of different length, a negative error, too few draws.

    Notes
    -----
    Memory: ``joint`` holds 20 draws at a time (a few MB for 10,000 units); no table of pairs is kept.
    ``simulated`` keeps the ranks of all draws, 2 bytes each (4 beyond 65,535 units): 40 MB for 10,000 units × 2,000.
    ``marginal`` keeps all draws, 4 bytes each (8 with df), and takes time in proportion to units in ``of`` × units × draws.

    Examples
    --------
    >>> sets = rank_sets([70, 60, 80], [1, 1, 1])
    >>> sets.rank.tolist(), sets.low.tolist(), sets.high.tolist()
    ([2.0, 3.0, 1.0], [2.0, 3.0, 1.0], [2.0, 3.0, 1.0])
    """
    if method not in _METHODS:
        raise unknown("method", method, _METHODS)
    x, s, f = _checked(mean, se, df)
    if draws * (1 - confidence) < 1 or not 0 < confidence < 1:
        raise UsageError(f"draws = {draws}, confidence = {confidence}: 抽样次数太少 (too few draws for it)")
    rank, low, high = descending_ranks(x), np.full(x.shape, np.nan), np.full(x.shape, np.nan)
    order = _order(x, s, f)
    if order.size:
        wanted = np.arange(order.size) if of is None else np.flatnonzero(np.isin(order, np.asarray(of)))
        low[order], high[order] = _METHODS[method](x[order], s[order], f[order], confidence, draws, seed, wanted)
        high += np.isfinite(x).sum() - order.size  # those without an error may be above or below
    return RankSets(rank, low, high, method, confidence)


def p_top(
    mean: ArrayLike, se: ArrayLike, k: int, *, draws: int = 2000, seed: int = 0, df: ArrayLike | None = None
) -> TopShares:
    """Compute the probability to be among the first ``k`` units, and the first, from the draws of ``simulated`` ranks.

    Read them as posterior probabilities under flat priors (Laird and Louis 1989). Units that hardly differ come out too far
    from each other unless the means and errors are the shrunken ones of :func:`~dj_analysis.measure.shrinkage.shrink`.

    Parameters
    ----------
    mean, se, draws, seed, df
        As in :func:`rank_sets`; the same seed means the same draws.
    k
        Number of first places, at least 1.

    Returns
    -------
    TopShares
        Over the units that have an error; the others are NaN and do not compete.
    """
    if k < 1:
        raise UsageError(f"k = {k}: 至少为 1 (at least 1)")
    x, s, f = _checked(mean, se, df)
    order = _order(x, s, f)
    first, among = np.zeros(order.size), np.zeros(order.size)
    if order.size:
        draw_orders = drawn_orders(x[order], s[order], f[order])
        for stream in random_streams(draws, seed):
            ordered = draw_orders(*stream)
            first += np.bincount(ordered[:, 0], minlength=order.size)
            among += np.bincount(ordered[:, :k].ravel(), minlength=order.size)
    probabilities = np.full((2, x.size), np.nan)
    probabilities[:, order] = np.stack([first, among]) / draws
    return TopShares(probabilities[0], probabilities[1], k)


def overlap_intervals(mean: ArrayLike, se: ArrayLike, confidence: float = 0.95) -> Overlap:
    """Make intervals whose overlap tells whether two units differ (Goldstein and Healy 1995).

    The half width is factor × se, the factor such that two units picked at random are said to differ with the error rate
    1 − confidence when they do not: z·mean of √(se_i² + se_j²)/(se_i + se_j) over pairs, 1.39 for equal errors. It holds
    for a pair chosen beforehand, not for all pairs at once; for those see :func:`rank_sets`.
    """
    x, s, _ = _checked(mean, se, None)
    errors = s[np.isfinite(x) & np.isfinite(s) & (s > 0)]
    ratio_sum = sum(
        float((np.sqrt(error**2 + errors[i + 1 :] ** 2) / (error + errors[i + 1 :])).sum())
        for i, error in enumerate(errors)
    )
    pairs = errors.size * (errors.size - 1) / 2
    factor = float(stats.norm.ppf(0.5 + confidence / 2) * ratio_sum / pairs) if pairs else float("nan")
    return Overlap(x - factor * s, x + factor * s, factor)


def _checked(mean: ArrayLike, se: ArrayLike, df: ArrayLike | None) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    x, s = np.asarray(mean, dtype=float), np.asarray(se, dtype=float)
    f = np.full(x.shape, np.inf) if df is None else np.asarray(df, dtype=float)
    f = np.where(np.isnan(f), np.inf, f)
    if x.ndim != 1 or not x.shape == s.shape == f.shape:
        shapes = f"mean {x.shape}, se {s.shape}, df {f.shape}"
        raise UsageError(f"{shapes}: 须为等长的一维数组 (vectors of one length are needed)")
    if (s < 0).any() or (f <= 0).any():
        raise UsageError("se, df: 不能为负 (neither may be negative)")
    return x, s, f


def _order(x: np.ndarray, s: np.ndarray, f: np.ndarray) -> np.ndarray:
    """Positions of the units with a mean and an error, sorted so that draws do not depend on the order given."""
    part = np.flatnonzero(np.isfinite(x) & np.isfinite(s))
    return part[np.lexsort((f[part], s[part], -x[part]))]


# Simulated ranks.


def _simulated(
    x: np.ndarray, s: np.ndarray, f: np.ndarray, confidence: float, draws: int, seed: int, wanted: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    ranks = np.empty((x.size, draws), dtype=np.uint16 if x.size <= 2**16 else np.uint32)
    places, draw_orders = np.arange(x.size, dtype=ranks.dtype), drawn_orders(x, s, f)

    def rank_block(first: int, stream: tuple[np.random.Generator, int]) -> None:
        orders = draw_orders(*stream)
        block = np.empty(orders.shape, dtype=ranks.dtype)
        for draw, units in zip(block, orders, strict=True):
            draw[units.astype(np.intp)] = places  # one row: kept in the processor's cache
        ranks[:, first : first + len(orders)] = block.T

    def sort_rows(first: int) -> None:
        ranks[first : first + ROWS_AT_ONCE].sort(axis=1, kind="stable")  # by digits: quick on every processor

    # Each block has a stream of its own, so that the result does not depend on the number of threads.
    with ThreadPoolExecutor(os.cpu_count()) as threads:
        list(threads.map(rank_block, range(0, draws, DRAWS_AT_ONCE), random_streams(draws, seed)))
        list(threads.map(sort_rows, range(0, x.size, ROWS_AT_ONCE)))
    tail = (1 - confidence) / 2 * (draws - 1)
    lowest, highest = int(np.floor(tail)), int(np.ceil(draws - 1 - tail))
    return ranks[:, lowest] + 1.0, ranks[:, highest] + 1.0


# Joint and marginal sets.


def _joint(
    x: np.ndarray, s: np.ndarray, f: np.ndarray, confidence: float, draws: int, seed: int, wanted: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    cut, previous = np.inf, np.nan
    while cut != previous and x.size > 1:  # step-down: rejected pairs leave, until no pair does
        largest = np.concatenate([_largest(e, a, x, s, cut) for e, a in drawn_errors(s, f, draws, seed)])
        cut, previous = _quantile(largest, confidence), cut
    return 1 + _surely_below(-x[::-1], s[::-1], cut)[::-1], x.size - _surely_below(x, s, cut)


def _surely_below(x: np.ndarray, s: np.ndarray, cut: float) -> np.ndarray:
    """Count, for each unit, those that lie below it by more than the critical difference; means from the highest down.

    Units with near means are taken together: nobody nearer than the least critical difference can be among those below, whoever
    is farther than the largest is, and the pairs between are looked at one by one.
    """
    below = np.zeros(x.size)
    step = min(ROWS_AT_ONCE, max(1, PAIRS_AT_ONCE // x.size))
    for i in range(0, x.size, step):
        rows = slice(i, i + step)
        nearest, farthest = (_bar(cut, end(s[rows]), end(s)) for end in (np.min, np.max))
        room = 1e-9 * (1 + np.abs(x[rows]).max() + (farthest if np.isfinite(farthest) else 0))
        first = np.searchsorted(-x, nearest - x[i] - room)
        last = np.searchsorted(-x, farthest - x[rows][-1] + room, side="right")
        between = slice(first, max(first, last))
        apart = x[rows, None] - x[between] > _bar(cut, s[rows, None], s[between])
        below[rows] = apart.sum(axis=1) + (x.size - between.stop)
    return below


def _marginal(
    x: np.ndarray, s: np.ndarray, f: np.ndarray, confidence: float, draws: int, seed: int, wanted: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    low, high = np.full(x.size, np.nan), np.full(x.size, np.nan)
    blocks = list(drawn_errors(s, f, draws, seed))
    for i in wanted:
        others = np.flatnonzero(np.arange(x.size) != i)
        difference = x[others] - x[i]
        values = [_studentised(e[:, others], a[:, others], e[:, [i]], a[:, [i]]) for e, a in blocks]
        cut, previous = np.inf, np.nan
        while cut != previous and others.size:
            bar = _bar(cut, s[others], s[i])
            largest = np.concatenate([_largest_either_way(block, difference, bar) for block in values])
            cut, previous = _quantile(largest, confidence), cut
        bar = _bar(cut, s[others], s[i])
        low[i], high[i] = 1 + (difference > bar).sum(), x.size - (-difference > bar).sum()
    return low, high


_METHODS = {"joint": _joint, "marginal": _marginal, "simulated": _simulated}


def _quantile(largest: np.ndarray, confidence: float) -> float:
    """Weibull's quantile (R type 6): a further draw lies below it with exactly this probability."""
    return float(np.quantile(largest, confidence, method="weibull"))


def _largest(e: np.ndarray, a: np.ndarray, x: np.ndarray, s: np.ndarray, cut: float) -> np.ndarray:
    """Return each draw's largest studentised difference over the ordered pairs not yet rejected.

    By Cauchy and Schwarz (a_i e_i − a_j e_j)/√(a_i² + a_j²) ≤ √(e_i² + e_j²): only units with large errors can be in the
    largest difference. It is looked for among few of them, and among more only where the bound does not rule the rest out.
    """
    size, units = np.abs(e), e.shape[1]
    if units <= CANDIDATES:
        return _best_pair(e, a, x, s, cut)
    candidates = np.argpartition(size, units - CANDIDATES - 1, axis=1)[:, units - CANDIDATES - 1 :]
    outside, inside = np.take_along_axis(size, candidates[:, :1], axis=1)[:, 0], candidates[:, 1:]
    largest = _best_pair(
        np.take_along_axis(e, inside, axis=1), np.take_along_axis(a, inside, axis=1), x[inside], s[inside], cut
    )  # fmt: skip
    for row in np.flatnonzero((largest < 0) | (largest**2 < size.max(axis=1) ** 2 + outside**2)):
        largest[row] = _best_of_row(e[row], a[row], x, s, cut, largest[row])
    return largest


def _best_of_row(e: np.ndarray, a: np.ndarray, x: np.ndarray, s: np.ndarray, cut: float, best: float) -> float:
    """Search one draw exactly: units by decreasing error, each with those that could still exceed the maximum."""
    squares = e**2
    for i in np.argsort(-squares):
        least = max(best, 0.0) ** 2 - squares[i]
        if least > squares[i]:  # two errors of this size or less cannot reach the best any more
            break
        others = np.flatnonzero(squares >= least)
        others = others[others != i]
        values = _studentised(e[others], a[others], e[i], a[i])
        best = max(best, float(_largest_either_way(values, x[others] - x[i], _bar(cut, s[others], s[i]))))
    return best


def _best_pair(e: np.ndarray, a: np.ndarray, x: np.ndarray, s: np.ndarray, cut: float) -> np.ndarray:
    """Return the largest studentised difference over ordered pairs of the last axis that ``cut`` does not reject."""
    values = _studentised(e[..., None], a[..., None], e[..., None, :], a[..., None, :])
    excluded = np.eye(e.shape[-1], dtype=bool)
    if np.isfinite(cut):
        excluded = excluded | (x[..., None] - x[..., None, :] > _bar(cut, s[..., None], s[..., None, :]))
    return np.asarray(np.where(excluded, -np.inf, values).max(axis=(-2, -1)))


def _largest_either_way(values: np.ndarray, difference: np.ndarray, bar: np.ndarray) -> np.ndarray:
    """Largest of the values and of their negatives over the last axis, where the means differ by ``bar`` at most."""
    above, below = difference <= bar, -difference <= bar
    forward, backward = (
        values[..., above].max(axis=-1, initial=-np.inf),
        (-values[..., below]).max(axis=-1, initial=-np.inf),
    )
    return np.asarray(np.maximum(forward, backward))


def _studentised(e: np.ndarray, a: np.ndarray, e_other: np.ndarray, a_other: np.ndarray) -> np.ndarray:
    scale = np.sqrt(a**2 + a_other**2)
    return np.asarray((a * e - a_other * e_other) / np.where(scale > 0, scale, 1))


def _bar(cut: float, s: np.ndarray, s_other: np.ndarray) -> np.ndarray:
    """Critical difference of two means; infinite in the first step."""
    error = np.sqrt(s**2 + s_other**2)
    return np.asarray(cut * error if np.isfinite(cut) else np.full(error.shape, np.inf))
