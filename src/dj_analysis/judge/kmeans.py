"""k-means from many cold starts at once: each step of all starts is two matrix products.

Elsewhere scikit-learn fits. Here thousands of small fits are wanted, and its time goes into calls: its own options do not reach four
times the speed at the same sum of squares (ten starts from random units 1.5 times, three starts 2.6 times with a worse sum, float32,
Elkan, MiniBatchKMeans and BisectingKMeans about 1 or slower). Measured, with this module beside them, in benchmarks/BRANCHES.md; equal
quality is tested against ``KMeans``.
"""

from __future__ import annotations

import numpy as np

STARTS = 10  # cold starts of one fit; fewer make stable clusters look unstable, warm ones unstable clusters stable
STEPS = 300  # of one start, at most
AT_ONCE = 1024  # units of one product, few enough for the processor's cache
CLOSE = 1e-4  # of the mean variance of a feature: centres that move less have arrived (scikit-learn's tol)


def kmeans(features: np.ndarray, k: int, seed: int, starts: int = STARTS) -> np.ndarray:
    """Return the cluster of every unit, by the best of several cold starts.

    Lloyd (1982) from greedy k-means++ (Arthur and Vassilvitskii 2007), as scikit-learn's ``KMeans(k, n_init=10)``; all starts take their
    steps together, each to its end. Products are in single precision, of features centred and brought to one scale; which centre is
    nearest is told in double precision at the end. A cluster that loses all its units keeps its centre (scikit-learn moves it):
    its start then has a larger sum of squares as a rule, and another one wins.

    Parameters
    ----------
    features
        Units × features, no missing values; at least k units.
    seed
        Of the starts.

    Examples
    --------
    >>> kmeans(np.array([[0.0], [0.1], [9.0], [9.1]]), 2, seed=1)[[0, 2]].tolist() in ([0, 1], [1, 0])
    True
    """
    centred = features - features.mean(axis=0)
    centred /= np.sqrt((centred**2).mean()) or 1.0
    x = np.ascontiguousarray(centred, dtype=np.float32)
    turned, weighted = np.ascontiguousarray(x.T), np.column_stack([x, np.ones(len(x), dtype=np.float32)])
    middle = _starting_points(x, turned, k, starts, np.random.default_rng(seed))
    best, most = middle[0], -np.inf
    for _ in range(STEPS):
        moved, nearness = _step(turned, weighted, middle)
        arrived = ((moved - middle) ** 2).sum(axis=(1, 2)) <= CLOSE
        for one in np.flatnonzero(arrived):
            if nearness[one] > most:
                best, most = moved[one], nearness[one]
        middle = moved[~arrived]
        if not len(middle):
            break
    return nearest(centred, best.astype(float))


def nearest(features: np.ndarray, middle: np.ndarray) -> np.ndarray:
    """Return the nearest centre of every unit."""
    near = middle @ features.T - 0.5 * (middle**2).sum(axis=1)[:, None]
    belongs = near == near.max(axis=0)
    return np.asarray((belongs * np.arange(len(middle))[:, None]).max(axis=0))


def _step(turned: np.ndarray, weighted: np.ndarray, middle: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Move the centres (starts × k × features) to the mean of the units nearest to them; an empty one stays.

    Returns also how near the units were: Σ (x·c − |c|²/2) over units with their nearest centre, largest where the sum of squares is
    smallest.
    """
    starts, k, _ = middle.shape
    flat = middle.reshape(starts * k, -1)
    half = 0.5 * np.einsum("ij,ij->i", flat, flat)[:, None]
    sums, nearness = np.zeros((starts * k, weighted.shape[1]), dtype=np.float32), np.zeros(starts)
    for first in range(0, len(weighted), AT_ONCE):
        units = slice(first, first + AT_ONCE)
        near = flat @ turned[:, units]
        near -= half
        near = near.reshape(starts, k, -1)
        nearest = near.max(axis=1)
        sums += (near == nearest[:, None, :]).astype(np.float32).reshape(starts * k, -1) @ weighted[units]
        nearness += nearest.sum(axis=1, dtype=float)
    counts = sums[:, -1:]
    moved = np.where(counts > 0, sums[:, :-1] / np.maximum(counts, 1), flat)
    return moved.reshape(middle.shape), nearness


def _starting_points(x: np.ndarray, turned: np.ndarray, k: int, starts: int, rng: np.random.Generator) -> np.ndarray:
    """Draw greedy k-means++ centres of all starts: of a few candidates the one that leaves the least sum of squares."""
    trials = 2 + int(np.log(k))
    squares = np.einsum("ij,ij->i", x, x)
    every = np.arange(starts)
    apart = every[:, None].astype(float)  # keeps the starts apart in one search for all

    def distances(units: np.ndarray) -> np.ndarray:
        far = x[units] @ turned
        far *= -2
        far += squares
        far += squares[units, None]
        return np.asarray(np.maximum(far, 0, out=far))

    chosen = np.empty((starts, k), dtype=int)
    chosen[:, 0] = rng.integers(0, len(x), starts)
    closest = distances(chosen[:, 0])
    for place in range(1, k):
        along = closest.cumsum(axis=1, dtype=float)
        along /= np.maximum(along[:, -1:], 1e-300)
        drawn = np.searchsorted((along + apart).ravel(), (rng.random((starts, trials)) + apart).ravel())
        candidates = np.minimum(drawn.reshape(starts, trials) - every[:, None] * len(x), len(x) - 1)
        left = distances(candidates.ravel()).reshape(starts, trials, -1)
        np.minimum(left, closest[:, None, :], out=left)
        best = left.sum(axis=2).argmin(axis=1)
        closest, chosen[:, place] = left[every, best], candidates[every, best]
    return x[chosen]
