"""Tests of many units at once, with the variance and the skewness of each unit moderated by those of all.

Student's t of one unit near the end of the scale is too often extreme on one side: who by chance answer high also scatter
little. One test hardly shows it; of a thousand units without any difference .25 of waves then have a false statement where
.10 are claimed (.90 close to the end of the scale).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from scipy import stats

from ..measure.inference.uncertainty import Means, third_moment, without_skewness
from ..measure.inference.variances import LEAST_UNITS, variance_prior


@dataclass(frozen=True)
class Spread:
    """Variances of persons by unit, moderated; arrays units × codes.

    Attributes
    ----------
    ratio
        Moderated variance by the unit's own.
    df
        Degrees of freedom of the moderated variance.
    own
        Share of them that are the unit's own, 0–1.
    skewness
        Skewness of one person's score within units, pooled; by code.
    """

    ratio: np.ndarray
    df: np.ndarray
    own: np.ndarray
    skewness: np.ndarray


def moderated(sums: Mapping[str, np.ndarray], means: Means, kept: np.ndarray) -> Spread:
    """Moderate the variance of every unit towards that of all (Smyth 2004, Stat. Appl. Genet. Mol. Biol. 3:3).

    Variances are read as scaled F: s² ~ s0²·F(df, d0), with s0 and d0 from the mean and variance of log s²; the posterior
    variance is (d0·s0² + df·s²)/(d0 + df). Where units vary no more than samples do, d0 is infinite and all have s0².

    Parameters
    ----------
    sums
        Additive sums, units × codes.
    means
        Their means.
    kept
        Units that may be learned from (those that can be told apart); fewer than ten leave each variance its own.
    """
    spread, df = means.sd**2, means.df
    ratio, total, own = np.ones_like(spread), df.copy(), np.ones_like(spread)
    skewness = np.zeros(spread.shape[1])
    for j in range(spread.shape[1]):
        usable = kept & np.isfinite(means.se[:, j]) & (df[:, j] > 1)
        if usable.sum() < LEAST_UNITS:
            continue
        prior, scale = variance_prior(spread[usable, j], df[usable, j])
        skewness[j] = _pooled_skewness({name: values[usable, j] for name, values in sums.items()}, spread[usable, j])
        with np.errstate(divide="ignore", invalid="ignore"):
            if np.isinf(prior):
                ratio[:, j], total[:, j], own[:, j] = scale / spread[:, j], np.inf, 0.0
            else:
                pooled = (prior * scale + df[:, j] * spread[:, j]) / (prior + df[:, j])
                ratio[:, j], total[:, j], own[:, j] = (
                    pooled / spread[:, j],
                    prior + df[:, j],
                    df[:, j] / (prior + df[:, j]),
                )
    return Spread(ratio, total, own, skewness)


def chance(t: np.ndarray, df: np.ndarray, skewness: np.ndarray, own: np.ndarray) -> np.ndarray:
    """Two-sided p of a standardised difference whose mean is skewed: twice the smaller tail.

    Parameters
    ----------
    skewness
        Of the difference of means (γ over the root of n).
    """
    free = np.where(np.isinf(df), 1e9, df)
    with np.errstate(invalid="ignore"):
        return np.asarray(2 * stats.t.sf(np.abs(without_skewness(t, free, skewness, own)), free))


def _pooled_skewness(sums: Mapping[str, np.ndarray], spread: np.ndarray) -> float:
    """Third central moment within units, unbiased for equal weights, by the pooled variance to the power 1.5."""
    if "wxxx" not in sums:
        return 0.0
    n, third = sums["n"], third_moment(sums)
    enough = n >= 3
    if not enough.any():
        return 0.0
    n, third = n[enough], third[enough] * n[enough] ** 2 / ((n[enough] - 1) * (n[enough] - 2))
    return float((n * third).sum() / n.sum() / ((n * spread[enough]).sum() / n.sum()) ** 1.5)
