"""Relative importance of correlated predictors: the variance explained, averaged over every order of entry (LMG)."""

from __future__ import annotations

from dataclasses import dataclass
from math import comb

import numpy as np

from ...errors import UsageError

MOST_PREDICTORS = 14  # 2^14 subsets; more cannot be told apart by any survey
MOST_GROUPS = 4000  # persons beyond so many are added into so many random groups, which are resampled in their place
DRAWS_AT_ONCE = 250
ALIKE = 1e-9  # share of a variance that is left of a predictor which the others determine


@dataclass(frozen=True)
class Importance:
    """Importance of k predictors for an outcome, with bootstrap draws.

    Attributes
    ----------
    explained, share
        Part of R² that falls to each (length k, adds up to R²), and that part divided by R².
    low, high
        Percentile interval of ``share``.
    explained_draws, r2
        Resampled parts of R² (draws × k); R² itself.
    vif, condition
        Variance inflation of each predictor, and the condition number of their correlations (√ of the largest by the smallest
        eigenvalue, Belsley, Kuh and Welsch 1980).
    n, effective
        Persons, and their effective number under weights.
    """

    explained: np.ndarray
    share: np.ndarray
    low: np.ndarray
    high: np.ndarray
    explained_draws: np.ndarray
    r2: float
    vif: np.ndarray
    condition: float
    n: int
    effective: float


def explained_variance(covariance: np.ndarray) -> np.ndarray:
    """Return R² of the outcome on every subset of the predictors.

    Parameters
    ----------
    covariance
        … × (k + 1) × (k + 1), predictors first, the outcome last; correlations do as well.

    Returns
    -------
    ndarray
        … × 2^k: element s has the predictors whose bits are set in s. A predictor that those before it determine adds nothing.

    Notes
    -----
    One matrix of covariances is enough: entering a predictor takes its part out of the others (a sweep, Beaton 1964), and each
    subset is reached from the one without its last predictor.
    """
    matrix = np.asarray(covariance, dtype=float)
    k = matrix.shape[-1] - 1
    if k > MOST_PREDICTORS:
        raise UsageError(f"{k} 个维度: 至多 {MOST_PREDICTORS} 个 (at most {MOST_PREDICTORS} predictors)")
    matrix = np.ascontiguousarray(
        np.moveaxis(matrix, (-2, -1), (0, 1))
    )  # resamples last: one run through memory a step
    variances = np.array([matrix[j, j] for j in range(k + 1)])
    unexplained = np.zeros((2**k, *matrix.shape[2:]))
    unexplained[0] = variances[-1]

    def enter(left: np.ndarray, first: int, subset: int) -> None:
        """Enter each predictor from ``first`` on; ``left`` are covariances of those and the outcome, what is in taken out."""
        for place in range(len(left) - 1):
            pivot = left[place, place]
            usable = pivot > ALIKE * variances[first + place]
            slopes = left[place, place + 1 :] * np.where(usable, 1 / np.where(usable, pivot, 1.0), 0.0)
            after = subset | 1 << (first + place)
            rest = left[place + 1 :, place + 1 :] - slopes[:, None] * left[place, place + 1 :]
            unexplained[after] = rest[-1, -1]
            enter(rest, first + place + 1, after)

    enter(matrix, 0, 0)
    with np.errstate(divide="ignore", invalid="ignore"):
        fit = 1 - unexplained / variances[-1]
    return np.asarray(np.moveaxis(np.clip(fit, 0.0, 1.0), 0, -1))


def lmg(covariance: np.ndarray) -> np.ndarray:
    """Return the part of R² that falls to each predictor: its gain in R², averaged over all orders of entry.

    Lindeman, Merenda and Gold (1980); the Shapley value (1953) of R², as R's ``relaimpo`` (Grömping 2006).

    Parameters
    ----------
    covariance
        As in :func:`explained_variance`.

    Returns
    -------
    ndarray
        … × k, which adds up to R² of all predictors.

    Examples
    --------
    >>> correlations = np.array([[1, 0, 0.6], [0, 1, 0.3], [0.6, 0.3, 1]])
    >>> lmg(correlations).round(2).tolist()
    [0.36, 0.09]
    """
    k = np.shape(covariance)[-1] - 1
    return np.asarray(explained_variance(covariance) @ _contrasts(k))


def importance(
    predictors: np.ndarray,
    outcome: np.ndarray,
    weights: np.ndarray | None = None,
    *,
    draws: int = 1000,
    confidence: float = 0.95,
    seed: int | tuple[int, ...] = 0,
) -> Importance:
    """Estimate the relative importance of predictors for an outcome, with percentile intervals over resampled persons.

    Parameters
    ----------
    predictors, outcome
        Persons × k, and one value a person; no missing values.
    weights
        Weights of the persons, >= 0; None for equal ones. Persons are drawn with theirs.
    draws
        Number of resamples.
    seed
        The order of the persons does not matter.

    Returns
    -------
    Importance
        Where the outcome or a predictor does not vary everything is NaN.

    Notes
    -----
    Persons are read once, into sums of products; a resample is a sum of these. Of more than 4,000 persons random groups are
    drawn in their place, which has the same variance.
    """
    values = np.column_stack([predictors, outcome]).astype(float)
    w = np.ones(len(values)) if weights is None else np.asarray(weights, dtype=float)
    values, w = values[w > 0], w[w > 0]
    k, n = values.shape[1] - 1, len(values)
    rng = np.random.default_rng(seed)
    covariance, means = _moments(values, w)
    sd = np.sqrt(np.diag(covariance))
    if n < 2 or not (sd > 1e-9 * np.maximum(np.abs(means), 1e-3)).all():
        missing = np.full(k, np.nan)
        return Importance(
            missing, missing, missing, missing, np.full((0, k), np.nan), np.nan, missing, np.nan, n, float(n)
        )
    standard = (values - means) / sd
    correlation = covariance / np.outer(sd, sd)
    explained = lmg(correlation)
    sums = _grouped(standard, w, rng)
    drawn = np.concatenate(
        [lmg(_resampled(sums, min(DRAWS_AT_ONCE, draws - at), k + 1, rng)) for at in range(0, draws, DRAWS_AT_ONCE)]
    )
    with np.errstate(divide="ignore", invalid="ignore"):
        shares = drawn / drawn.sum(axis=1, keepdims=True)
        share = explained / explained.sum()
    low, high = np.nanquantile(shares, [0.5 - confidence / 2, 0.5 + confidence / 2], axis=0)
    vif, condition = collinearity(correlation[:-1, :-1])
    effective = float(w.sum() ** 2 / (w**2).sum())
    return Importance(explained, share, low, high, drawn, float(explained.sum()), vif, condition, n, effective)


def first_apart(share: np.ndarray, low: np.ndarray, high: np.ndarray) -> tuple[int, bool]:
    """Return which predictor has the largest share, and whether its interval lies above those of all others."""
    first = int(np.argmax(share))
    return first, bool(low[first] > np.delete(high, first).max())


def collinearity(correlation: np.ndarray) -> tuple[np.ndarray, float]:
    """Return the variance inflation of each predictor and the condition number of their correlations; infinite where singular."""
    eigenvalues = np.linalg.eigvalsh(correlation)
    if eigenvalues[0] < ALIKE:
        return np.full(len(correlation), np.inf), np.inf
    return np.diag(np.linalg.inv(correlation)).copy(), float(np.sqrt(eigenvalues[-1] / eigenvalues[0]))


def _contrasts(k: int) -> np.ndarray:
    """2^k × k: weights of the subsets' R² in the mean gain of each predictor."""
    subsets = np.arange(2**k)
    size = np.array([subset.bit_count() for subset in subsets.tolist()])
    inside = (subsets[:, None] >> np.arange(k)) & 1 == 1
    gained = np.array([0.0, *(1 / (k * comb(k - 1, s - 1)) for s in range(1, k + 1))])[size][:, None]
    lacked = np.array([*(1 / (k * comb(k - 1, s)) for s in range(k)), 0.0])[size][:, None]
    return np.where(inside, gained, -lacked)


def _moments(values: np.ndarray, w: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    if not len(values):
        k = values.shape[1]
        return np.full((k, k), np.nan), np.full(k, np.nan)
    means = np.average(values, axis=0, weights=w)
    deviations = values - means
    return deviations.T @ (deviations * w[:, None]) / w.sum(), means


def _grouped(values: np.ndarray, w: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Sums of w, w·x and w·x·x' of each person, or of random groups of persons: rows × (1 + m + m(m+1)/2)."""
    # A fixed direction orders the persons, so that the order they came in plays no part.
    key = values @ np.sqrt(np.arange(2, values.shape[1] + 2)) + np.sqrt(w) * 1e-3
    order = np.argsort(key, kind="stable")
    values, w = values[order], w[order]
    n, m = values.shape
    rows = min(n, MOST_GROUPS)
    group = np.arange(n) if rows == n else rng.permutation(n) % rows
    upper = [(i, j) for i in range(m) for j in range(i, m)]
    columns = [np.bincount(group, weights=w, minlength=rows)]
    columns += [np.bincount(group, weights=w * values[:, i], minlength=rows) for i in range(m)]
    columns += [np.bincount(group, weights=w * values[:, i] * values[:, j], minlength=rows) for i, j in upper]
    return np.column_stack(columns)


def _resampled(sums: np.ndarray, draws: int, m: int, rng: np.random.Generator) -> np.ndarray:
    """Covariances of ``draws`` resamples: draws × m × m."""
    rows = len(sums)
    picked = rng.integers(0, rows, (draws, rows)) + np.arange(draws)[:, None] * rows
    counts = np.bincount(picked.ravel(), minlength=draws * rows).reshape(draws, rows)
    total = counts.astype(float) @ sums
    mean = total[:, 1 : m + 1] / total[:, :1]
    products = np.empty((draws, m, m))
    at = np.triu_indices(m)
    products[:, at[0], at[1]] = products[:, at[1], at[0]] = total[:, m + 1 :] / total[:, :1]
    return products - mean[:, :, None] * mean[:, None, :]
