"""Interval of a unit's score: the wider of what its own answers and those of all units say.

Near an end of the scale those who by chance answer high also scatter little: the interval of ten such persons alone holds the
truth in .89 of samples. How one person's answer scatters is learned better from everybody; how it scatters in a unit far from
the others only that unit can say.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from scipy import special

from .uncertainty import CONFIDENCE, Means
from .unitlaws import PooledMoments

TOP = 100.0


@dataclass(frozen=True)
class PersonLaw:
    """How one person's score scatters within units, arrays by code; not a number where nothing can be learned.

    Attributes
    ----------
    dispersion
        φ of the variance φ·θ(100 − θ) at a mean of θ: of answers of 0 or 100 it is 1.
    skewness, kurtosis
        Third and fourth standardised cumulants.
    ratio
        How much more the heavy scatter than the light, at least 1.
    squares
        Mean of w², where weights go with the answers; else 0.
    """

    dispersion: np.ndarray
    skewness: np.ndarray
    kurtosis: np.ndarray
    ratio: np.ndarray
    squares: np.ndarray


def person_law(sums: Mapping[str, np.ndarray]) -> PersonLaw:
    """Learn how one person's score scatters within units, from all units together.

    A code of which no unit has four persons is learned from all persons as one unit.

    Parameters
    ----------
    sums
        Of the finest units, as in :class:`~dj_analysis.measure.unitsums.UnitSums`, units × codes.
    """
    together = {name: values.sum(axis=0, keepdims=True) for name, values in sums.items()}
    by_unit, as_one = _law(sums), _law(together)
    known = np.isfinite(by_unit[0])
    return PersonLaw(*(np.where(known, own, all_) for own, all_ in zip(by_unit, as_one, strict=True)))


def _law(sums: Mapping[str, np.ndarray]) -> tuple[np.ndarray, ...]:
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        pooled = PooledMoments(sums, np.ones(len(sums["n"]), dtype=bool))
        mean = sums["wx"] / sums["w"]
        binary = mean * (TOP - mean) + pooled.spread / pooled.effective  # without bias for θ(100 − θ)
        free = np.where(pooled.usable, pooled.effective - 1, 0)
        scattered, largest = (np.where(free > 0, free * v, 0).sum(axis=0) for v in (pooled.spread, binary))
        squares = np.where(pooled.tied, pooled.squares, 0.0)
        return scattered / largest, pooled.skewness, pooled.kurtosis, pooled.ratio, squares


def wider_limits(
    sums: Mapping[str, np.ndarray], means: Means, law: PersonLaw, confidence: float = CONFIDENCE
) -> tuple[np.ndarray, np.ndarray]:
    """Compute the limits of scores: each the farther of the unit's own and the one by the law of all.

    The limit by the law is the θ whose own variance the mean lies the quantile away from, as Wilson's (1927) of a share:
    (x̄ − θ)² = q²·φ·θ(100 − θ)·r·Σw²/(Σw)². q is the quantile of a mean with the skewness and kurtosis of n such persons
    (Cornish and Fisher 1938): z + γ(z² − 1)/6 + κ(z³ − 3z)/24 − γ²(2z³ − 5z)/36.

    Parameters
    ----------
    sums, means
        Of the units, and their own means, errors and limits.
    law
        What was learned from all units.
    confidence
        Of the interval; that of ``means`` too.

    Returns
    -------
    low, high
        0–100; not a number where the unit has no error of its own (one person, or all answers equal).
    """
    z = special.ndtri(0.5 + confidence / 2)
    with np.errstate(divide="ignore", invalid="ignore"):
        n, w, ww = sums["n"], sums["w"], sums["ww"]
        skewness = law.skewness * sums.get("www", n) / ww**1.5
        kurtosis = law.kurtosis * ww / w**2
        middle = z + kurtosis * (z**3 - 3 * z) / 24 - skewness**2 * (2 * z**3 - 5 * z) / 36
        lean = skewness * (z**2 - 1) / 6
        variance = law.dispersion * law.ratio * np.maximum(ww, n * law.squares) / w**2
        low = _wilson(means.mean, np.maximum(middle + lean, 0) ** 2 * variance, -1)
        high = _wilson(means.mean, np.maximum(middle - lean, 0) ** 2 * variance, 1)
    own = np.isfinite(means.se)
    return np.where(own, np.fmin(means.low, low), np.nan), np.where(own, np.fmax(means.high, high), np.nan)


def _wilson(mean: np.ndarray, a: np.ndarray, side: int) -> np.ndarray:
    """Return the θ on one side with (mean − θ)² = a·θ(100 − θ)."""
    b = 2 * mean + TOP * a
    root = np.sqrt(np.maximum(b**2 - 4 * (1 + a) * mean**2, 0))
    return np.asarray((b + side * root) / (2 * (1 + a)))
