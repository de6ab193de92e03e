"""Chance of a difference of two means, one of many that are looked at together.

Student's t of one unit near the end of the scale is too often extreme on one side: who by chance answer high also scatter
little. One test hardly shows it; of a thousand units without any difference .25 of waves then have a false statement where
.10 are claimed (.90 close to the end of the scale).
"""

from __future__ import annotations

import numpy as np
from scipy import special

from ..measure.inference.tails import upper_tail
from ..measure.inference.unitlaws import MOST_SKEWED, UnitLaws


def chance(difference: np.ndarray, one: UnitLaws, other: UnitLaws) -> np.ndarray:
    """Two-sided p of differences of two independent means: twice the smaller tail; units × codes.

    Where variances are estimated (finite degrees of freedom) Student's t is brought to the normal scale first. Between the
    jumps of discrete answers the smooth tail is a little too small, the more the fewer they are that make it: p is raised by
    half the skewness of the means.

    Parameters
    ----------
    difference
        First mean less the second.
    one, other
        Their laws. Where a mean is too skewed for its tails to be known (skewness beyond 1) p is missing.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        variance = one.variance + other.variance
        share = one.variance / variance
        df = variance**2 / (one.variance**2 / one.df + other.variance**2 / other.df)
        t = difference / np.sqrt(variance)
        z = np.abs(t)
        estimated = np.isfinite(z) & (df < 1e6)
        z[estimated] = -special.ndtri(special.stdtr(df[estimated], -z[estimated]))
    learned = np.broadcast_to(one.learned & other.learned, t.shape)
    p = 2 * special.ndtr(-z)
    for up in (True, False):
        rows = learned & ((t > 0) == up)
        parts = [*one.parts(share, up, not up), *other.parts(1 - share, not up, up)]
        p = np.where(rows, 2 * upper_tail(np.where(rows, z, np.nan), parts), p)
    discrete = 1 + (np.abs(one.skewness) + np.abs(other.skewness)) / 2
    return np.where(too_skewed(one, other), np.nan, np.minimum(p * discrete, 1))


def too_skewed(one: UnitLaws, other: UnitLaws) -> np.ndarray:
    """Tell which differences rest on a mean so skewed that the chance of a large one is not known."""
    return np.asarray((np.abs(one.skewness) > MOST_SKEWED) | (np.abs(other.skewness) > MOST_SKEWED))
