"""Coefficients of items that make up a scale, as functions of their covariances."""

from __future__ import annotations

import numpy as np
import pandas as pd
from scipy import sparse, stats

from ..inference.uncertainty import CONFIDENCE
from ..unitsums import variance_factor
from .factors import one_factor

OUTER = 0.27  # Kelley 1939
ENDS = ("upper", "lower", "upper_lower", "t", "p")
#: Points to the nearer end of the scale within which alpha's interval holds what it says (.91 and more) from so many persons only.
LEAST_NEAR_END = ((10.0, 500), (25.0, 50))
_LEAST_OUTER = 10  # persons at each end, below which ends are not compared


def alpha(covariance: np.ndarray) -> float:
    """Return Cronbach's alpha, k/(k−1)·(1 − Σσ²ᵢ/σ²ₜ) (Cronbach 1951); of standardised items with correlations.

    NaN for fewer than two items, or a total without variance.
    """
    k, total = len(covariance), covariance.sum()
    return float(k / (k - 1) * (1 - np.trace(covariance) / total)) if k > 1 and total > 0 else float("nan")


def feldt(value: float, n: float, items: int, confidence: float = CONFIDENCE) -> tuple[float, float]:
    """Return the interval of alpha by Feldt (1965): (1−α̂)/(1−α) follows F with (n−1)(k−1) and n−1 degrees of freedom.

    Exact for normal, essentially parallel items. Under weights ``n`` is the effective number of persons; NaN below 2.
    """
    if not (n > 1 and items > 1 and value == value):
        return float("nan"), float("nan")
    tail = (1 - confidence) / 2
    upper, lower = stats.f.ppf([1 - tail, tail], n - 1, (n - 1) * (items - 1))
    return float(1 - (1 - value) * upper), float(1 - (1 - value) * lower)


def influence_sums(y: np.ndarray, weights: np.ndarray | None = None) -> np.ndarray:
    """Return Σw²·ff′ over persons with every item answered, f = (1, y, Σy², (Σy)²): what the error of alpha rests on.

    Parameters
    ----------
    y
        Answers, persons × k, NaN is missing.
    weights
        Of the persons; None where all weigh alike.

    Returns
    -------
    numpy.ndarray
        (k + 3) × (k + 3); sums of blocks and units can be added.
    """
    rows = np.isfinite(y).all(axis=1)
    complete = y[rows].astype(float)
    f = np.column_stack([np.ones(len(complete)), complete, (complete**2).sum(axis=1), complete.sum(axis=1) ** 2])
    if weights is not None:
        f *= weights[rows, None]
    return np.asarray(f.T @ f)


def distribution_free(
    covariance: np.ndarray, mean: np.ndarray, influence: np.ndarray, persons: float, confidence: float = CONFIDENCE
) -> tuple[float, float]:
    """Return the interval of alpha that takes no law of the answers for granted (Maydeu-Olivares, Coffman & Hartmann 2007).

    A person moves alpha by d = k/(k − 1)·(T′t/T² − t′/T), t′ the sum of squared deviations of their answers, T′ the square of
    their total's, t and T the trace and the sum of the covariances; se² = Σw²d²/(Σw)²·n/(n − 1). Limits on ln(1 − α), with n − 1
    degrees of freedom.

    Parameters
    ----------
    covariance, mean
        Of the items.
    influence
        What :func:`influence_sums` returned of the same persons.
    persons
        Their (effective) number.
    """
    value, k, total = alpha(covariance), len(covariance), covariance.sum()
    n, weight = persons, np.sqrt(influence[0, 0] * persons)  # Σw = √(Σw²·effective number)
    if not (n > 1 and value < 1):
        return float("nan"), float("nan")
    trace, at = np.trace(covariance), mean.sum()
    parts = (
        [(trace * at**2 / total - mean @ mean) / total],
        2 * (mean - trace * at / total) / total,
        [-1 / total, trace / total**2],
    )
    d = k / (k - 1) * np.concatenate(parts)
    error = np.sqrt(max(d @ influence @ d, 0) * n / (n - 1)) / weight / (1 - value)
    half = stats.t.ppf(0.5 + confidence / 2, n - 1) * error
    return float(1 - (1 - value) * np.exp(half)), float(1 - (1 - value) * np.exp(-half))


def too_few_near_end(mean: float, persons: float) -> bool:
    """Tell whether answers are so near an end of the scale, and persons so few, that alpha's interval is too short.

    Where a few low answers decide the covariances and most samples have hardly any, no interval known here holds: 95 % ones hold
    .85–.88 of samples of up to 200 at a mean of 94.5 (simulations: docs/methods.md).

    Parameters
    ----------
    mean
        Of the scale, 0–100 points.
    persons
        Their (effective) number.
    """
    return any(min(mean, 100 - mean) < points and persons < least for points, least in LEAST_NEAR_END)


def omegas(correlation: np.ndarray) -> tuple[float, float, str]:
    """Return omega total of standardised items in two versions, from one factor by maximum likelihood, and a reason.

    First (Σλ)²/((Σλ)²+Σθ) (McDonald 1999), with the variance the model gives in the denominator; then 1 − Σθ/Σr (as
    ``psych::omega(nfactors = 1)``), with the total of the observed correlations. The reason says why they are missing.
    """
    solution = one_factor(correlation)
    if solution.reason:
        return float("nan"), float("nan"), solution.reason
    common, unique = float(solution.loadings.sum()) ** 2, float(solution.uniqueness.sum())
    return common / (common + unique), float(1 - unique / correlation.sum()), ""


def kmo(correlation: np.ndarray) -> tuple[float, np.ndarray]:
    """Return the Kaiser–Meyer–Olkin measure, over all and by item (Kaiser 1974): Σr²/(Σr²+Σp²), p partial correlations."""
    inverse = np.linalg.inv(correlation)
    scale = np.sqrt(np.diag(inverse))
    partial = inverse / np.outer(scale, scale)
    off = ~np.eye(len(correlation), dtype=bool)
    r, p = (correlation**2 * off).sum(axis=0), (partial**2 * off).sum(axis=0)
    return float(r.sum() / (r.sum() + p.sum())), r / (r + p)


def bartlett(correlation: np.ndarray, n: float) -> tuple[float, float, float]:
    """Return chi², df and p of Bartlett's test of sphericity (Bartlett 1951): −(n−1−(2k+5)/6)·ln|R|, k(k−1)/2."""
    k = len(correlation)
    chi2 = -(n - 1 - (2 * k + 5) / 6) * np.linalg.slogdet(correlation)[1]
    df = k * (k - 1) / 2
    return float(chi2), df, float(stats.chi2.sf(chi2, df))


def item_total(covariance: np.ndarray) -> np.ndarray:
    """Return the correlation of each item with the sum of the others (corrected item–total; psych's ``r.drop``)."""
    variance = np.diag(covariance)
    covariance_with_rest = covariance.sum(axis=1) - variance
    rest_variance = covariance.sum() - 2 * covariance.sum(axis=1) + variance
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(variance * rest_variance > 0, covariance_with_rest / np.sqrt(variance * rest_variance), np.nan)


def alpha_without(covariance: np.ndarray) -> np.ndarray:
    """Return alpha of the scale without each item; NaN where only one would be left."""
    k, own = len(covariance) - 1, np.diag(covariance)
    total = covariance.sum() - 2 * covariance.sum(axis=1) + own
    if k < 2:
        return np.full(k + 1, np.nan)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(total > 0, k / (k - 1) * (1 - (own.sum() - own) / total), np.nan)


def sums_by_total(x: np.ndarray, weights: np.ndarray | None = None) -> pd.DataFrame:
    """Sum the answers of persons with a complete scale by their total score.

    ``x`` is persons × items on one common scale, NaN missing. The index is the total score, the columns are n, w, ww, then
    Σwx and Σwx² of each item. Blocks add up: concatenate and sum by index.
    """
    rows = ~np.isnan(x).any(axis=1) & (True if weights is None else weights > 0)
    complete = x[rows].astype(float)
    w = np.ones(len(complete)) if weights is None else weights[rows]
    total, group = np.unique(np.round(complete.sum(axis=1), 6), return_inverse=True)
    membership = sparse.csr_array((np.ones(len(w)), (group, np.arange(len(w)))), shape=(len(total), len(w)))
    weighted = complete if weights is None else complete * w[:, None]
    weight_powers = np.column_stack([np.ones(len(w)), w, w**2])
    return pd.DataFrame(
        np.hstack([membership @ weight_powers, membership @ weighted, membership @ (weighted * complete)]), index=total
    )


def upper_lower(sums: pd.DataFrame, share: float = OUTER) -> dict[str, np.ndarray]:
    """Compare the answers of the highest and the lowest 27 % by total score (Kelley 1939; 项目分析, 决断值).

    Computed from :func:`sums_by_total`. Persons tied with the one at the cut belong to its group. Welch's t; under weights
    with effective numbers. The item is part of the total, so that t is large by selection alone: it tells weak items from
    others and is no test. Returned are ``upper``, ``lower``, ``upper_lower`` (their difference), ``t``, ``p`` by item; NaN
    with fewer than ten persons at an end or where the ends meet.
    """
    k, values = (sums.shape[1] - 3) // 2, sums.sort_index().to_numpy()
    undefined = dict.fromkeys(ENDS, np.full(k, np.nan))
    cumulative_weight = np.cumsum(values[:, 1])
    if not len(cumulative_weight) or not cumulative_weight[-1] > 0:
        return undefined
    low, high = np.searchsorted(cumulative_weight / cumulative_weight[-1], [share - 1e-12, 1 - share + 1e-12])
    ends = [values[high:].sum(axis=0), values[: low + 1].sum(axis=0)]
    if low >= high or min(end[0] for end in ends) < _LEAST_OUTER:
        return undefined
    (n1, mean1, sd1), (n2, mean2, sd2) = (_mean_and_sd(end, k) for end in ends)
    with np.errstate(divide="ignore", invalid="ignore"):
        t, p = stats.ttest_ind_from_stats(mean1, sd1, n1, mean2, sd2, n2, equal_var=False)
    return dict(zip(ENDS, (mean1, mean2, mean1 - mean2, t, p), strict=True))


def _mean_and_sd(sums: np.ndarray, k: int) -> tuple[float, np.ndarray, np.ndarray]:
    """Effective number, means and standard deviations of a group, from n, w, ww, Σwx, Σwx²."""
    w, ww = sums[1:3]
    mean = sums[3 : 3 + k] / w
    return w**2 / ww, mean, np.sqrt(np.maximum(sums[3 + k :] / w - mean**2, 0) * variance_factor(w, ww))
