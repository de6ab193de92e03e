"""Interval of a unit's score: the wider of what its own answers and those of everybody say.

Near an end of the scale those who by chance answer high also scatter little: the interval of ten such persons alone holds the
truth in .89 of samples. How one person's answer scatters is learned better from everybody; how it scatters in a unit far from
the others only that unit can say.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from scipy import special

from ..unitsums import effect_of_teams
from .uncertainty import CONFIDENCE, Means
from .unitlaws import TIED, PooledMoments

TOP = 100.0
ROUNDING = 1e-9  # of equal weights a variance of so much is left, as a share of their mean square


@dataclass(frozen=True)
class PersonLaw:
    """How one person's score scatters, arrays by code; not a number where fewer than four persons have one.

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
    """Learn how one person's score scatters, from all persons together.

    What units differ by is in it too, so that it is a little wide; in return it is the same for every level, and tells of no
    unit.

    Parameters
    ----------
    sums
        Of all units there are, as in :class:`~dj_analysis.measure.unitsums.UnitSums`, units × codes.
    """
    together = {name: values.sum(axis=0, keepdims=True) for name, values in sums.items()}
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        pooled = PooledMoments(together, np.ones(1, dtype=bool))
        mean = pooled.mean
        largest = mean * (TOP - mean) + pooled.variance / pooled.effective[0]  # without bias for θ(100 − θ)
        squares = np.where(_tied(together, pooled)[0], pooled.squares, 0.0)
        return PersonLaw(pooled.variance / largest, pooled.skewness, pooled.kurtosis, pooled.ratio, squares)


def _tied(sums: Mapping[str, np.ndarray], pooled: PooledMoments) -> np.ndarray:
    """Tell whether weights go with the answers: Σw²(x − x̄) against its scatter were they unrelated."""
    w, ww, cubes = sums["w"], sums["ww"], sums.get("www", sums["n"])
    scatter = pooled.spread * (_fourth_powers(sums) - 2 * ww / w * cubes + (ww / w) ** 2 * ww)
    apart = sums["wwx"] - sums["wx"] / w * ww
    return np.asarray(_unequal(sums) & (apart**2 > TIED**2 * np.maximum(scatter, 0)))


def _unequal(sums: Mapping[str, np.ndarray]) -> np.ndarray:
    """Tell where weights differ by more than rounding."""
    mean = sums["w"] / sums["n"]
    return np.asarray(sums["ww"] / sums["n"] - mean**2 > ROUNDING * mean**2)


def _fourth_powers(sums: Mapping[str, np.ndarray]) -> np.ndarray:
    """Return Σw⁴, which is not summed: the least that the other sums allow, that of two weights (Gauss quadrature).

    Of two weights, as five times for a fifth of the people, it is Σw⁴ itself. Not a number where all weights are equal.
    """
    n, ww = sums["n"], sums["ww"]
    mean, variance = sums["w"] / n, ww / n - (sums["w"] / n) ** 2
    third = sums.get("www", n) / n - 3 * mean * ww / n + 2 * mean**3
    return np.asarray(n * (variance**2 + third**2 / variance + 4 * mean * third + 6 * mean**2 * variance + mean**4))


def wider_limits(
    sums: Mapping[str, np.ndarray], means: Means, law: PersonLaw, confidence: float = CONFIDENCE
) -> tuple[np.ndarray, np.ndarray]:
    """Compute the limits of scores: each the farther of the unit's own and the one by the law of all.

    The limit by the law is the θ whose own variance the mean lies the quantile away from, as Wilson's (1927) of a share:
    (x̄ − θ)² = q²·φ·θ(100 − θ)·r·Σw²/(Σw)². q is the quantile of a mean with the skewness and kurtosis of n such persons
    (Cornish and Fisher 1938): z + γ(z² − 1)/6 + κ(z³ − 3z)/24 − γ²(2z³ − 5z)/36. The cumulants of a sum add up, each with its
    power of the weight (Fisher 1929): γ of the mean is that of a person times Σw³/(Σw²)^1.5, κ times Σw⁴/(Σw²)². Of few people
    a few heavy ones have much of both; read as of (Σw)²/Σw² equal persons, κ was half of it.

    Parameters
    ----------
    sums, means
        Of the units, and their own means, errors and limits.
    law
        What was learned from everybody.
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
        of_equal = law.kurtosis * ww / w**2
        kurtosis = np.where(_unequal(sums), law.kurtosis * _fourth_powers(sums) / ww**2, of_equal)
        teams = effect_of_teams(sums)
        skewness, kurtosis = skewness * np.sqrt(teams), kurtosis * teams
        middle = z + kurtosis * (z**3 - 3 * z) / 24 - skewness**2 * (2 * z**3 - 5 * z) / 36
        lean = skewness * (z**2 - 1) / 6
        variance = law.dispersion * law.ratio * np.maximum(ww, n * law.squares) / w**2 * teams
        low = _wilson(means.mean, np.maximum(middle + lean, 0) ** 2 * variance, -1)
        high = _wilson(means.mean, np.maximum(middle - lean, 0) ** 2 * variance, 1)
    own = np.isfinite(means.se)
    return np.where(own, np.fmin(means.low, low), np.nan), np.where(own, np.fmax(means.high, high), np.nan)


def _wilson(mean: np.ndarray, a: np.ndarray, side: int) -> np.ndarray:
    """Return the θ on one side with (mean − θ)² = a·θ(100 − θ)."""
    b = 2 * mean + TOP * a
    root = np.sqrt(np.maximum(b**2 - 4 * (1 + a) * mean**2, 0))
    return np.asarray((b + side * root) / (2 * (1 + a)))
