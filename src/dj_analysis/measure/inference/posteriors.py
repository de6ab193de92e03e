"""What is known of each unit's true mean after shrinkage, where its error is itself an estimate."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats

from .shrinkage import shrink

VARIANCES = (np.arange(32) + 0.5) / 32  # equally likely values of the unknown variance of a unit's error
NORMAL = 1e4  # more degrees of freedom than this are a normal distribution


@dataclass(frozen=True)
class Posterior:
    """Student's t of each unit's true mean: centre, scale and degrees of freedom (NaN: normal)."""

    mean: np.ndarray
    se: np.ndarray
    df: np.ndarray


def posterior_means(mean: ArrayLike, se: ArrayLike, df: ArrayLike) -> Posterior:
    """Compute the posterior of each unit's true mean, the estimation of its error included.

    A variance estimated with few degrees of freedom may be larger or smaller than it says, and it is the more likely larger the
    further the unit lies from the others: s²·df/χ², weighted by how well it explains the unit's mean. For each such variance the
    mean and variance are those of Morris (1983); their mixture is given by Student's t with its first, second and fourth
    moments. With known errors this is :func:`~dj_analysis.measure.inference.shrinkage.shrink`.

    Parameters
    ----------
    mean, se
        As in ``shrink``.
    df
        Degrees of freedom of each se; NaN where it is known.

    Returns
    -------
    Posterior
        Everything NaN where fewer than four units have an error.

    Examples
    --------
    >>> known, estimated = (posterior_means([70, 60, 65, 75, 50], [4] * 5, [df] * 5) for df in (np.nan, 5))
    >>> bool(known.mean[3] > estimated.mean[3])  # the further out, the more likely an error larger than it seems
    True
    """
    y, sigma, free = (np.asarray(values, dtype=float) for values in (mean, se, df))
    shrunk = shrink(y, sigma, free + 1)
    centre, scale, degrees = shrunk.estimate.copy(), shrunk.se.copy(), np.full(y.shape, np.nan)
    units = np.flatnonzero(np.isfinite(y) & (sigma > 0) & np.isfinite(free) & np.isfinite(centre))
    errors = sigma[np.isfinite(y) & (sigma > 0)]
    if not units.size:
        return Posterior(centre, scale, degrees)
    weights = 1 / (errors**2 + shrunk.tau2)
    average = (weights @ errors**2 / weights.sum() + shrunk.tau2) * 2 / (len(errors) - 3)
    keep = (len(errors) - 3) / (len(errors) - 1)

    own, apart = sigma[units, None] ** 2, (y[units] - shrunk.mu)[:, None]
    variance = own * free[units, None] / stats.chi2.ppf(VARIANCES, free[units, None])
    total = variance + shrunk.tau2
    log_likelihood = -0.5 * (np.log(total) + apart**2 / total)
    likely = np.exp(log_likelihood - log_likelihood.max(axis=1, keepdims=True))
    likely /= likely.sum(axis=1, keepdims=True)
    shrinkage = keep * variance / total
    share = 1 / (own + shrunk.tau2) / weights.sum()
    within = variance * (1 - (1 - share) * shrinkage) + average * shrinkage**2 / total * apart**2
    centres = shrunk.mu + (1 - shrinkage) * apart
    middle = (likely * centres).sum(axis=1)
    away = (centres - middle[:, None]) ** 2
    second = (likely * (within + away)).sum(axis=1)
    excess = (likely * (3 * within**2 + 6 * within * away + away**2)).sum(axis=1) / second**2 - 3
    t = 4 + 6 / np.maximum(excess, 6 / NORMAL)
    degrees[units] = np.where(t < NORMAL, t, np.nan)
    centre[units], scale[units] = middle, np.sqrt(second * np.where(t < NORMAL, (t - 2) / t, 1))
    return Posterior(centre, scale, degrees)
