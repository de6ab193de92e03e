"""Data-driven weights: entropy, CRITIC, PCA.

Every method is a function of the moments of sibling indicators (high is good) to their contents, numbers ≥ 0; weights are
contents over their sum. A researcher's own function fits the same place. A constant indicator has content 0.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from .comoments import Comoments

Contents = Callable[[Comoments], np.ndarray]

#: Principal components are kept while their eigenvalue is above 1 (Kaiser 1960), and the first always.
KAISER = 1.0


def entropy(moments: Comoments) -> np.ndarray:
    """Degree of diversification 1 − H/ln n of Shannon's entropy of the shares x/Σx (Hwang & Yoon 1981, §3.3; 熵值法).

    With 1 − H/ln n = T/ln n, T being the Theil index of the values, ln n cancels in the weights. Zeros count 0·ln 0 = 0;
    negative values have no shares: NaN. The reading is dispersion, not importance.
    """
    return np.maximum(np.where(moments.varies, moments.theil, 0.0), 0.0)


def critic(moments: Comoments) -> np.ndarray:
    """CRITIC content σ_j·Σ_k(1 − r_jk) on values scaled min–max (Diakoulaki, Mavrotas & Papayannakis 1995, CRITIC)."""
    spread = moments.high - moments.low
    varies = (moments.sd > 0) & (spread > 0)
    sigma = np.where(varies, moments.sd / np.where(varies, spread, 1.0), 0.0)
    conflict = ((1 - moments.correlation) * np.outer(varies, varies)).sum(axis=1)
    return sigma * np.maximum(conflict, 0)


def pca(moments: Comoments) -> np.ndarray:
    """Communality of each indicator in the retained principal components of the correlation matrix, unrotated.

    Σ_k λ_k·v_jk² over components with eigenvalue above 1: squared loadings, weighted by explained variance (OECD/JRC
    Handbook 2008, §6.1, after Nicoletti et al. 2000, without its rotation and without picking one factor an indicator).
    Signs do not matter, weights are never negative.
    """
    varies = moments.sd > 0
    communalities = np.zeros(len(varies))
    if varies.any():
        eigenvalues, eigenvectors = np.linalg.eigh(moments.correlation[np.ix_(varies, varies)])
        retained = eigenvalues > KAISER
        retained[-1] = True
        communalities[varies] = (eigenvectors[:, retained] ** 2) @ eigenvalues[retained]
    return communalities


#: Methods by name.
METHODS: dict[str, Contents] = {"entropy": entropy, "critic": critic, "pca": pca}
