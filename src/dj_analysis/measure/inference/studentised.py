"""The studentised range, for many pairs at once."""

from __future__ import annotations

from functools import cache

import numpy as np
from scipy import interpolate, special, stats

FEWEST_DF = 4.0  # below this the tail bends too much for the nodes here and the quantile to be interpolated
MOST_DF = 1e9  # from here on the error counts as known
WIDEST = 40.0  # ranges in standard deviations; what lies beyond has a chance under 1e-170
NODES, REACH = 192, 9.0  # of the error's distribution: points, and how many of its widths they span to each side
LOW = 25.0  # e to the minus so much is left of its lower end, which is exponential
POINTS = 24  # of the polynomial through quantiles
HALVINGS = 60  # of an interval of quantiles: to the last place
BLOCK = 4096  # pairs worked out at a time, so that memory stays


def range_tail(q: np.ndarray, groups: int, df: np.ndarray) -> np.ndarray:
    """Return the chance that the studentised range of so many groups exceeds q, to 1e-11; NaN stays.

    The chance of the range of normal variables is worked out once for each number of groups, on a grid; that of each q is its mean
    over the distribution of the error, by the trapezoidal rule in the logarithm of the error, where both ends vanish so fast that the
    rule is exact to rounding (Trefethen and Weideman 2014). scipy integrates twice for every q, milliseconds each.
    """
    q, df = np.broadcast_arrays(np.asarray(q, dtype=float), np.asarray(df, dtype=float))
    chance = np.full(q.shape, np.nan)
    few = df < FEWEST_DF
    if few.any():
        chance[few] = stats.studentized_range.sf(q[few], groups, df[few])
    rows = np.flatnonzero(~few & np.isfinite(q) & ~np.isnan(df))
    log_tail = _log_tail(groups)
    for start in range(0, len(rows), BLOCK):
        block = rows[start : start + BLOCK]
        chance[block] = _mean_over_errors(q[block], np.minimum(df[block], MOST_DF), log_tail)
    return chance


def _mean_over_errors(q: np.ndarray, df: np.ndarray, log_tail: interpolate.PPoly) -> np.ndarray:
    width = REACH / np.sqrt(2 * df)
    # A far range is exceeded where the error happens to be small: its part of the distribution lies lower.
    low = -0.5 * np.log1p(q**2 / (2 * df)) - width - LOW / df
    high = np.minimum(width, 0.5 * np.log1p(REACH**2 / np.sqrt(df) + REACH**2 / df))
    u = low[:, None] + ((high - low) / (NODES - 1))[:, None] * np.arange(NODES)
    # of u, the logarithm of a chi variable over the root of its degrees of freedom, but for its constant
    density = np.exp(df[:, None] * (u - np.expm1(2 * u) / 2))
    tail = np.exp(log_tail(np.minimum(q[:, None] * np.exp(u), WIDEST)))
    return np.asarray((density * tail).sum(axis=1) / density.sum(axis=1))


@cache
def _log_tail(groups: int) -> interpolate.PPoly:
    """Return the logarithm of the chance that the range of so many standard normal variables exceeds w."""
    w = np.linspace(0, WIDEST, 1601)
    z = np.linspace(-32, 10, 421)  # the smallest of them
    beyond, log_beyond = special.ndtr(-z), special.log_ndtr(-z)
    log_first = np.log(groups) + stats.norm.logpdf(z) + (groups - 1) * log_beyond
    with np.errstate(divide="ignore"):
        all_within = (groups - 1) * np.log1p(-special.ndtr(-z - w[:, None]) / beyond)
        log_chance = special.logsumexp(log_first + np.log(-np.expm1(all_within)), axis=1) + np.log(z[1] - z[0])
    log_chance[0] = 0.0
    return interpolate.PPoly.from_spline(interpolate.make_interp_spline(w, log_chance, k=7))


def range_quantile(groups: int, df: np.ndarray) -> np.ndarray:
    """Return the 95 % quantile of the studentised range, to 1e-5.

    Smooth in 1/df: polynomial through Chebyshev's points of it, once for each number of groups.
    """
    df = np.asarray(df, dtype=float)
    exact = ~(df >= FEWEST_DF) | ~np.isfinite(df)
    quantile = np.full(df.shape, np.nan)
    quantile[~exact] = _quantiles(groups)(1 / df[~exact])
    quantile[exact] = stats.studentized_range.ppf(0.95, groups, df[exact])
    return quantile


@cache
def _quantiles(groups: int) -> interpolate.BarycentricInterpolator:
    points = (1 + np.cos(np.pi * (2 * np.arange(POINTS) + 1) / (2 * POINTS))) / 2 / FEWEST_DF
    low, high = np.zeros(len(points)), np.full(len(points), 2 * WIDEST)
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        beyond = range_tail(middle, groups, 1 / points) > 0.05
        low, high = np.where(beyond, middle, low), np.where(beyond, high, middle)
    return interpolate.BarycentricInterpolator(points, (low + high) / 2)
