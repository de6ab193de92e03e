"""Shrinkage of many simulated waves at once, as :func:`dj_analysis.measure.inference.shrinkage.shrink` shrinks one."""

from __future__ import annotations

import numpy as np

from ..measure.inference.shrinkage import LEAST_UNITS, pooled_variance, with_own

STEPS = 24  # halvings of the interval that holds τ²: seven digits
AT_ONCE = 2**15  # means shrunk at once: a draw does not depend on others, and what is halved stays near the processor


def shrink_draws(y: np.ndarray, se: np.ndarray, df: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Shrink drawn means towards the mean of their draw: τ² of Paule and Mandel (1982), error of Morris (1983), pooled variance.

    Parameters
    ----------
    y
        Means, draws × units × codes.
    se
        Their standard errors, of the same shape; a code of a unit without an error keeps its mean.
    df
        Degrees of freedom of the errors, units × codes.

    Returns
    -------
    tuple
        Shrunken means, their standard errors and degrees of freedom, each draws × units × codes. With fewer than four
        units the means as they are.
    """
    draws, at_once = len(y), max(AT_ONCE // max(y[0].size, 1), 1) if len(y) else 1
    parts = [_shrunk(y[i : i + at_once], se[i : i + at_once], df) for i in range(0, max(draws, 1), at_once)]
    estimate, error, free = (np.concatenate(part) for part in zip(*parts, strict=True))
    return estimate, error, free


def _shrunk(y: np.ndarray, se: np.ndarray, df: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    usable = np.isfinite(se) & (se > 0)
    of_means = pooled_variance(np.where(usable, se**2, np.nan), np.nan_to_num(df), axis=1)
    v = np.where(usable, of_means, np.inf)
    k = usable.sum(axis=1)
    known = np.where(usable, y, 0.0)

    def pooled(t: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        w = 1 / (v + t[:, None, :])
        return w, (w * known).sum(axis=1) / np.maximum(w.sum(axis=1), np.finfo(float).tiny)

    def excess(t: np.ndarray) -> np.ndarray:
        w, mu = pooled(t)  # the weight of what is not usable is 0
        off = known - mu[:, None, :]
        off *= off
        off *= w
        return np.asarray(off.sum(axis=1) - (k - 1))

    low = np.zeros((y.shape[0], y.shape[2]))
    centre = known.sum(axis=1) / np.maximum(k, 1)
    high = ((known - centre[:, None, :]) ** 2 * usable).sum(axis=1) + 1e-12
    differ = excess(low) > 0
    for _ in range(STEPS):
        middle = (low + high) / 2
        above = excess(middle) > 0
        low, high = np.where(above, middle, low), np.where(above, high, middle)
    t = np.where(differ, (low + high) / 2, 0.0)
    w, mu = pooled(t)
    share = w / np.maximum(w.sum(axis=1), np.finfo(float).tiny)[:, None, :]
    variance = np.where(usable, of_means, 0.0)
    enough = usable & (k >= LEAST_UNITS)[:, None, :]
    fewer = np.maximum(k - 3, 1)[:, None, :]
    shrinkage = np.where(enough, fewer / np.maximum(k - 1, 1)[:, None, :] * variance * w, 0.0)
    of_shrinkage = 2 / fewer * shrinkage**2 * ((share * variance).sum(axis=1) + t)[:, None, :] * w
    squared = variance * (1 - (1 - share) * shrinkage) + of_shrinkage * (known - mu[:, None, :]) ** 2
    squared, free = with_own(squared, 1 - shrinkage, np.where(usable, se**2, 0.0), variance, df)
    estimate = np.where(enough, mu[:, None, :] + (1 - shrinkage) * (known - mu[:, None, :]), y)
    error = np.sqrt(np.where(enough, squared, se**2))
    return estimate, error, np.where(enough, free, df)
