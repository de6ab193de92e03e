"""Rotation of factor loadings to simple structure."""

from __future__ import annotations

import numpy as np
from statsmodels.multivariate.factor_rotation import rotate_factors


def varimax(loadings: np.ndarray) -> np.ndarray:
    """Rotate to simple structure by varimax with Kaiser's normalisation (Kaiser 1958), as R's ``varimax``.

    Factors are ordered by the variance they explain, their signs such that loadings sum to something positive.
    """
    length = np.sqrt((loadings**2).sum(axis=1, keepdims=True))
    if loadings.shape[1] < 2 or not (length > 0).all():
        return signed(loadings)
    with np.errstate(divide="ignore"):  # statsmodels takes the logarithm of its gradient, which may be zero
        rotated = rotate_factors(loadings / length, "varimax")[0] * length
    return signed(rotated[:, np.argsort(-(rotated**2).sum(axis=0), kind="stable")])


def oblimin(loadings: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Rotate to simple structure where factors may correlate: direct quartimin, oblimin with γ = 0 (Jennrich & Sampson 1966).

    Starts from varimax, with the gradient projection of Jennrich (2002), as GPArotation's ``oblimin``, psych's default.

    Returns
    -------
    pattern, correlations
        k × m loadings (weights of the factors in each item) and m × m correlations of the factors; factors ordered by what
        they explain, diag(ΦΛ′Λ), and signed as those of :func:`varimax`.
    """
    start = varimax(loadings)
    m = start.shape[1]
    if m < 2:
        return start, np.eye(m)
    with np.errstate(divide="ignore"):
        pattern, turn = rotate_factors(start, "oblimin", 0, "oblique")
    correlations = turn.T @ turn
    order = np.argsort(-np.diag(correlations @ pattern.T @ pattern), kind="stable")
    sign = np.where(pattern.sum(axis=0) < 0, -1.0, 1.0)[order]
    return pattern[:, order] * sign, correlations[np.ix_(order, order)] * np.outer(sign, sign)


def signed(loadings: np.ndarray) -> np.ndarray:
    """Turn factors whose loadings sum to something negative."""
    return loadings * np.where(loadings.sum(axis=0) < 0, -1.0, 1.0)
