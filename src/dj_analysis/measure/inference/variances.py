"""Moderated variances: the variance of each unit drawn towards that of all units (Smyth 2004).

Variances are read as scaled F: s² ~ s0²·F(df, d0), with s0 and d0 from the mean and variance of log s²; the posterior
variance is (d0·s0² + df·s²)/(d0 + df) with d0 + df degrees of freedom (Smyth 2004, Stat. Appl. Genet. Mol. Biol. 3:3).
"""

from __future__ import annotations

import numpy as np
from scipy import special

LEAST_UNITS = 10  # fewer tell too little about how variances differ between units


def moderate(spread: np.ndarray, df: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Moderate the variances of units.

    Parameters
    ----------
    spread
        Variances of one statistic, a vector over units; NaN is missing. A variance of 0 takes no part in learning how
        variances differ, and is moderated all the same.
    df
        Degrees of freedom of each.

    Returns
    -------
    spread, df
        Moderated variances and their degrees of freedom. With fewer than ten units to learn from each keeps its own, and
        one of 0 is missing: it would claim certainty.
    """
    usable = np.isfinite(spread) & (spread > 0) & (df > 1)
    own = np.where(spread > 0, spread, np.nan)
    if usable.sum() < LEAST_UNITS:
        return own, np.where(np.isfinite(own), df, np.nan)
    prior, scale = variance_prior(spread[usable], df[usable])
    known = np.isfinite(spread) & (df > 0)
    if np.isinf(prior):
        return np.where(known, scale, np.nan), np.where(known, np.inf, np.nan)
    pooled = (prior * scale + df * spread) / (prior + df)
    return np.where(known, pooled, np.nan), np.where(known, prior + df, np.nan)


def variance_prior(spread: np.ndarray, df: np.ndarray) -> tuple[float, float]:
    """Return degrees of freedom and scale of what is known of a variance beforehand, from the variances there are.

    Parameters
    ----------
    spread, df
        Positive variances of many units and the degrees of freedom of each.

    Returns
    -------
    tuple
        d0 and s0²; d0 is infinite where the variances differ no more than samples do.
    """
    e = np.log(spread) - special.digamma(df / 2) + np.log(df / 2)
    excess = e.var(ddof=1) - special.polygamma(1, df / 2).mean()
    if excess <= 0:
        return np.inf, float(np.exp(e.mean()))
    half = _inverse_trigamma(float(excess))
    return 2 * half, float(np.exp(e.mean() + special.digamma(half) - np.log(half)))


def _inverse_trigamma(value: float) -> float:
    """Newton's steps on 1/trigamma, which is convex and nearly linear (Smyth 2004, appendix)."""
    y = 0.5 + 1 / value
    for _ in range(50):
        trigamma = special.polygamma(1, y)
        step = trigamma * (1 - trigamma / value) / special.polygamma(2, y)
        y += step
        if abs(step / y) < 1e-8:
            break
    return float(y)
