"""Intervals: how far a unit's number could lie from the state it stands for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from scipy import stats
from statsmodels.stats.proportion import proportion_confint

from ..spec import reasons

CONFIDENCE = 0.95
NO_SPREAD = 1e-9  # variances of sums of exact answers come out as rounding noise where all answers are equal


@dataclass(frozen=True)
class Means:
    """Weighted means of units with their standard error, arrays of one shape.

    ``df`` are the degrees of freedom of Student's t; ``reason`` tells why an error is missing.
    """

    mean: np.ndarray
    sd: np.ndarray
    se: np.ndarray
    df: np.ndarray
    low: np.ndarray
    high: np.ndarray
    reason: np.ndarray


def means(sums: Mapping[str, np.ndarray], confidence: float = CONFIDENCE) -> Means:
    """Compute means, standard errors and Student-t intervals from additive sums.

    The respondents of a unit are read as a draw from a larger population (the unit's state), so the error does not
    vanish in a census. With unequal weights the variance is the linearised (Taylor) one of a ratio,
    Σw²(x−x̄)²/(Σw)²·n/(n−1), with n_eff−1 degrees of freedom, n_eff = (Σw)²/Σw² (Kish 1965); with equal weights both
    are the textbook s²/n and n−1.

    Parameters
    ----------
    sums
        n, w, ww, wx, wxx, wwx, wwxx as in :class:`~dj_analysis.measure.unitsums.UnitSums`; any shape.
    confidence
        Confidence of the interval.

    Returns
    -------
    Means
        Intervals are cut to 0–100. One person, or answers without any spread, give a mean without an error, with the
        reason; nobody gives nothing.
    """
    n, w, ww = sums["n"], sums["w"], sums["ww"]
    with np.errstate(divide="ignore", invalid="ignore"):
        mean = sums["wx"] / w
        correction = n / (n - 1)
        variance = np.maximum(sums["wxx"] / w - mean**2, 0) * correction
        error = np.maximum(sums["wwxx"] - 2 * mean * sums["wwx"] + mean**2 * ww, 0) / w**2 * correction
        df = w**2 / ww - 1
    with np.errstate(invalid="ignore"):
        noise = np.maximum(NO_SPREAD, np.nan_to_num(mean) ** 2 * n * np.finfo(float).eps)
        estimable = (n >= 2) & (variance > noise)
    sd = np.where(n >= 2, np.sqrt(np.where(estimable, variance, 0)), np.nan)
    se = np.where(estimable, np.sqrt(np.where(estimable, error, 0)), np.nan)
    half = stats.t.ppf(0.5 + confidence / 2, np.where(estimable, df, 1)) * se
    reason = np.full(n.shape, "", dtype=object)
    reason[(n >= 2) & ~estimable] = reasons.NO_VARIANCE
    reason[n == 1] = reasons.ONE_PERSON
    reason[n == 0] = reasons.NO_ANSWERS
    return Means(
        mean,
        sd,
        se,
        np.where(estimable, df, np.nan),
        np.clip(mean - half, 0, 100),
        np.clip(mean + half, 0, 100),
        reason,
    )


def probability(mean: np.ndarray, se: np.ndarray, df: np.ndarray, point: float, side: str) -> np.ndarray:
    """Probability that a unit's true mean lies below (above) a point, by Student's t around its mean; NaN without se."""
    with np.errstate(invalid="ignore", divide="ignore"):
        below = stats.t.cdf((point - mean) / se, df)
    return below if side == "below" else 1 - below


def shares(count: np.ndarray, n: np.ndarray, confidence: float = CONFIDENCE) -> tuple[np.ndarray, np.ndarray]:
    """Wilson interval of a share (Wilson 1927).

    Parameters
    ----------
    count
        Number with the property; may be fractional where weights make it an effective number.
    n
        Number (or effective number) of persons; 0 gives NaN.

    Returns
    -------
    low, high
        Bounds in 0–1.
    """
    some = np.asarray(n) > 0
    low, high = proportion_confint(
        np.where(some, count, 0), np.where(some, n, 1), alpha=1 - confidence, method="wilson"
    )
    return np.where(some, low, np.nan), np.where(some, high, np.nan)
