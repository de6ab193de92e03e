"""Stability of a clustering: bootstrap Jaccard, silhouette, gap, and a test against data with one centre.

Everything here is a function of a matrix units × features; scikit-learn does the fitting, k-means apart (see :mod:`.kmeans`).
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, ParamSpec, TypeVar

import numpy as np

from ..errors import unknown
from .kmeans import STARTS, kmeans, nearest

Method = Literal["kmeans", "ward", "gmm"]

STABLE = 0.75  # Jaccard from which a cluster counts as valid (Hennig 2007; .85 is very stable, .6 a pattern)
REFERENCES = 50  # data sets without clusters behind the gap statistic
NULLS = 199  # data sets with one centre behind the test
TIGHTER, EMPTIER = 0.01, 0.05  # levels of the two tests: share of variance within, valley between
KERNEL = 0.1  # of the way between two centres: width of the density along it
SAMPLE = 2000  # units of which all distances are taken; beyond it silhouette and gap are those of a sample

Fit = Callable[[np.ndarray, int, int], np.ndarray]

P = ParamSpec("P")
R = TypeVar("R")


def _one_thread(computation: Callable[P, R]) -> Callable[P, R]:
    """Keep the many small fits of a computation on one thread: threads that wait for each other cost ten times the work."""

    @functools.wraps(computation)
    def limited(*args: P.args, **options: P.kwargs) -> R:
        from threadpoolctl import threadpool_limits

        with threadpool_limits(1):
            return computation(*args, **options)

    return limited


@dataclass(frozen=True)
class Stability:
    """What is known of one number of clusters.

    Attributes
    ----------
    k
        Number of clusters.
    labels
        Cluster of each unit, 0 … k−1, the largest first.
    jaccard
        Bootstrap Jaccard of each cluster.
    membership
        Share of resamples in which each unit lies in the cluster that matches its own.
    silhouette
        Mean silhouette; NaN for k = 1.
    gap, gap_se
        Gap statistic and its simulation error (Tibshirani, Walther and Hastie 2001).
    """

    k: int
    labels: np.ndarray
    jaccard: np.ndarray
    membership: np.ndarray
    silhouette: float
    gap: float
    gap_se: float

    @property
    def stable(self) -> bool:
        """Tell whether every cluster comes back under resampling."""
        return bool(self.jaccard.min() >= STABLE)


@_one_thread
def stability(
    features: np.ndarray,
    k: int,
    method: Method = "kmeans",
    *,
    resamples: int = 200,
    references: int = REFERENCES,
    seed: int = 0,
) -> Stability:
    """Fit k clusters and tell how well they come back when units are drawn anew.

    Bootstrap Jaccard as in R's ``fpc::clusterboot`` (Hennig 2007): units are drawn with replacement, each counts once, the
    clustering is fitted from cold starts, and each cluster keeps the best Jaccard similarity of its drawn part to a
    new cluster; the mean over resamples is its stability.

    Parameters
    ----------
    features
        Units × features, no missing values.
    references
        Data sets without clusters behind the gap statistic; 0 leaves it out.
    seed
        Of the draws and starts.

    Examples
    --------
    >>> rng = np.random.default_rng(1)
    >>> apart = np.concatenate([rng.normal(0, 1, (40, 2)), rng.normal(8, 1, (40, 2))])
    >>> stability(apart, 2, resamples=20).jaccard.round(2).tolist()
    [1.0, 1.0]
    """
    fit = fitting(method)
    labels = by_size(fit(features, k, seed))
    rng = np.random.default_rng([seed, k, 1])
    jaccard, hits = np.zeros(k), np.zeros(len(features))
    for _ in range(resamples):
        rows = np.unique(rng.integers(0, len(features), len(features)))
        new = fit(features[rows], k, int(rng.integers(2**31)))
        table = _contingency(labels[rows], new, k)
        union = table.sum(axis=1)[:, None] + table.sum(axis=0)[None, :] - table
        similarity = np.divide(table, union, out=np.zeros_like(union, dtype=float), where=union > 0)
        jaccard += similarity.max(axis=1)
        everywhere = nearest(features, centres(features[rows], new, k))
        hits += similarity.argmax(axis=1)[labels] == everywhere
    gap, gap_se = _gap(features, k, fit, references, seed) if references else (np.nan, np.nan)
    return Stability(k, labels, jaccard / resamples, hits / resamples, silhouette(features, labels), gap, gap_se)


def fitting(method: Method) -> Fit:
    """Return the function (features, k, seed) → labels of a method; every fit starts cold."""
    if method not in _FITS:
        raise unknown("method", method, _FITS)
    return _FITS[method]


@_one_thread
def one_centre_chance(
    features: np.ndarray, k: int, method: Method = "kmeans", *, seed: int = 0, draws: int = NULLS
) -> tuple[float, float]:
    """Return how often data around one centre are parted into k clusters at least as well as these.

    The data drawn have the covariance of the features (shrunken as in Ledoit and Wolf 2004) and their distances from the
    centre, in random directions: one cloud, as long and as heavy-tailed.

    Returns
    -------
    tuple
        p of the share of variance within clusters (Liu et al. 2008) and p of the :func:`valley` between them, each at least
        1 / (draws + 1). A skewed tail that is cut off lowers the first and has no valley.

    References
    ----------
    Liu, Hayes, Nobel and Marron (2008), Statistical Significance of Clustering, JASA 103:1281; with the elliptical null in
    place of their normal one.
    """
    fit = fitting(method)
    labels = fit(features, k, seed)
    within, emptiness = within_share(features, labels), valley(features, labels)
    rng = np.random.default_rng([seed, k, 2])
    tighter = emptier = 0
    for one in _one_centre(features, rng, draws):
        new = fit(one, k, int(rng.integers(2**31)))
        tighter += within_share(one, new) <= within
        emptier += valley(one, new) >= emptiness
    return (1 + tighter) / (draws + 1), (1 + emptier) / (draws + 1)


def best_supported(
    tried: Sequence[Stability], features: np.ndarray, method: Method = "kmeans", *, seed: int = 0
) -> tuple[Stability | None, dict[int, tuple[float, float]]]:
    """Return the clustering that may be stated, and the tests made.

    Of the numbers of clusters of which every cluster is stable the largest one is taken that data around one centre do not give;
    None where there is no such one: the units form no stable clusters.
    """
    tests: dict[int, tuple[float, float]] = {}
    for one in sorted(tried, key=lambda one: -one.k):
        if one.k > 1 and one.stable:
            tests[one.k] = one_centre_chance(features, one.k, method, seed=seed)
            if tests[one.k][0] <= TIGHTER and tests[one.k][1] <= EMPTIER:
                return one, tests
    return None, tests


def within_share(features: np.ndarray, labels: np.ndarray) -> float:
    """Return the share of the variance that lies within clusters."""
    middle = centres(features, labels, int(labels.max()) + 1)
    return float(((features - middle[labels]) ** 2).sum() / ((features - features.mean(axis=0)) ** 2).sum())


def valley(features: np.ndarray, labels: np.ndarray) -> float:
    """Return the smallest emptiness between two clusters: 1 − density half way between the centres ÷ the lower at a centre.

    Units of both clusters are projected on the line through the centres; their density is a normal kernel of a tenth of the
    way. 1 is empty, 0 even, below 0 fuller than at one of the centres.
    """
    k = int(labels.max()) + 1
    middle = centres(features, labels, k)
    emptiest = []
    for i in range(k):
        for j in range(i + 1, k):
            axis = middle[j] - middle[i]
            length = float(axis @ axis)
            if length == 0:
                return -np.inf
            of_both = features[(labels == i) | (labels == j)]
            place = (of_both - middle[i]) @ axis / length
            one, half, other = (np.exp(-((place - at) ** 2) / (2 * KERNEL**2)).sum() for at in (0.0, 0.5, 1.0))
            emptiest.append(1 - half / max(min(one, other), 1e-12))
    return float(min(emptiest))


def silhouette(features: np.ndarray, labels: np.ndarray) -> float:
    """Return the mean silhouette (Rousseeuw 1987); NaN for one cluster."""
    from sklearn.metrics import silhouette_score

    if labels.max() == 0:
        return float("nan")
    size = SAMPLE if len(features) > SAMPLE else None
    return float(silhouette_score(features, labels, sample_size=size, random_state=0))


def centres(features: np.ndarray, labels: np.ndarray, k: int) -> np.ndarray:
    """Return the mean of each cluster."""
    belongs = (labels == np.arange(k)[:, None]).astype(float)
    return np.asarray(belongs @ features / np.maximum(belongs.sum(axis=1), 1)[:, None])


def by_size(labels: np.ndarray) -> np.ndarray:
    """Number clusters by their size, the largest first."""
    order = np.argsort(-np.bincount(labels), kind="stable")
    place = np.empty(len(order), dtype=int)
    place[order] = np.arange(len(order))
    return place[labels]


def _contingency(one: np.ndarray, other: np.ndarray, k: int) -> np.ndarray:
    return np.bincount(one * k + other, minlength=k * k).reshape(k, k)


def _gap(features: np.ndarray, k: int, fit: Fit, references: int, seed: int) -> tuple[float, float]:
    """Gap against uniform data in the box of the principal components, as R's ``cluster::clusGap`` by default."""
    centred = features - features.mean(axis=0)
    _, _, directions = np.linalg.svd(centred, full_matrices=False)
    turned = centred @ directions.T
    low, high = turned.min(axis=0), turned.max(axis=0)
    rng = np.random.default_rng([seed, k, 3])
    spread = [_log_within(rng.uniform(low, high, turned.shape), k, fit, rng) for _ in range(references)]
    error = float(np.std(spread) * np.sqrt(1 + 1 / references))
    return float(np.mean(spread) - _log_within(features, k, fit, np.random.default_rng([seed, k, 4]))), error


def _log_within(features: np.ndarray, k: int, fit: Fit, rng: np.random.Generator) -> float:
    """Log of W: over clusters, the sum of all distances within divided by the units there; of a sample where units are many."""
    from scipy.spatial.distance import pdist

    rows = features if len(features) <= SAMPLE else rng.choice(features, SAMPLE, replace=False)
    labels = fit(rows, k, int(rng.integers(2**31))) if k > 1 else np.zeros(len(rows), dtype=int)
    parts = (rows[labels == cluster] for cluster in range(k))
    return float(np.log(sum(pdist(part).sum() / len(part) for part in parts if len(part))))


def _one_centre(features: np.ndarray, rng: np.random.Generator, draws: int) -> Iterator[np.ndarray]:
    """Yield data sets with one centre, the covariance of these and their distances from it."""
    from sklearn.covariance import ledoit_wolf

    centred = features - features.mean(axis=0)
    covariance = ledoit_wolf(centred)[0]
    root = np.linalg.cholesky(covariance)
    radii = np.sqrt((np.linalg.solve(root, centred.T) ** 2).sum(axis=0))
    for _ in range(draws):
        direction = rng.standard_normal(features.shape)
        direction /= np.sqrt((direction**2).sum(axis=1, keepdims=True))
        yield (direction * rng.choice(radii, len(radii))[:, None]) @ root.T


def _ward(features: np.ndarray, k: int, seed: int) -> np.ndarray:
    from sklearn.cluster import AgglomerativeClustering

    return np.asarray(AgglomerativeClustering(k, linkage="ward").fit(features).labels_)


def _gmm(features: np.ndarray, k: int, seed: int) -> np.ndarray:
    from sklearn.mixture import GaussianMixture

    mixture = GaussianMixture(k, covariance_type="diag", n_init=STARTS, random_state=seed, reg_covar=1e-3)
    return np.asarray(mixture.fit_predict(features))


_FITS: dict[str, Fit] = {"kmeans": kmeans, "ward": _ward, "gmm": _gmm}
