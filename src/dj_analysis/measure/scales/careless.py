"""Indices of careless responding, each from a block of answers: sheets × questions, NaN for a missing answer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
import pandas as pd

NOISE = 1e-12  # sums of squares of equal answers come out as rounding noise


def longstring(answers: np.ndarray) -> np.ndarray:
    """Length of the longest run of the same answer (Johnson 2005), in the order of the columns.

    A missing answer is passed over: it neither ends a run nor lengthens it. R careless::longstring ends it there;
    without missing answers both are the same.
    """
    last, run, longest = (np.full(len(answers), start) for start in (np.nan, 0.0, 0.0))
    for answer in answers.T:
        answered = ~np.isnan(answer)
        run = np.where(answered, np.where(answer == last, run + 1, 1), run)
        last = np.where(answered, answer, last)
        longest = np.maximum(longest, run)
    return longest


def variability(answers: np.ndarray) -> np.ndarray:
    """Standard deviation (n − 1) of a person's answers over the questions, IRV (Dunn et al. 2018); NaN under two."""
    answered = ~np.isnan(answers)
    n = answered.sum(axis=1)
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = np.where(answered, answers, 0).sum(axis=1) / n
        squares = np.where(answered, answers - mean[:, None], 0) ** 2
        return np.sqrt(squares.sum(axis=1) / np.where(n > 1, n - 1, np.nan))


def even_odd(answers: np.ndarray, scales: Sequence[Sequence[int]], least: int = 2) -> np.ndarray:
    """Even–odd consistency (Johnson 2005): correlation of a person's half-scale means over the scales; low is bad.

    The correlation, over scales, of the mean of a scale's 1st, 3rd, … and of its 2nd, 4th, … question, stepped up to the
    full length by Spearman–Brown, 2r/(1 + r), and cut at −1. R careless::evenodd (1.2) gives the same number with its
    sign turned.

    Parameters
    ----------
    answers
        Turned so that high means the same throughout a scale, on one range.
    scales
        Columns of each scale, two at least.
    least
        Scales with answers in both halves that are needed.

    Returns
    -------
    array
        −1 to 1; NaN where too few scales were answered or a half does not vary over them.
    """
    halves = [np.column_stack([_mean(answers[:, scale[start::2]]) for scale in scales]) for start in (0, 1)]
    both = ~np.isnan(halves[0] + halves[1])
    n = both.sum(axis=1)
    with np.errstate(invalid="ignore", divide="ignore"):
        odd, even = (np.where(both, half - (np.where(both, half, 0).sum(axis=1) / n)[:, None], 0) for half in halves)
        spread = (odd**2).sum(axis=1) * (even**2).sum(axis=1)
        r = (odd * even).sum(axis=1) / np.sqrt(np.where((n >= least) & (spread > NOISE), spread, np.nan))
        return np.maximum(np.where(r > -1 + NOISE, 2 * r / (1 + r), np.where(np.isnan(r), np.nan, -1.0)), -1.0)


@dataclass(frozen=True)
class PairSums:
    """Sums over the sheets in which both questions of a pair were answered; sums of blocks can be added.

    Attributes
    ----------
    n, sums, products
        Questions × questions: sheets with both, Σxᵢ over them, Σxᵢxⱼ.
    """

    n: np.ndarray
    sums: np.ndarray
    products: np.ndarray

    def __add__(self, other: Self) -> PairSums:
        return PairSums(self.n + other.n, self.sums + other.sums, self.products + other.products)

    @property
    def mean(self) -> np.ndarray:
        """Mean of every question over those who answered it."""
        with np.errstate(invalid="ignore", divide="ignore"):
            return np.diag(self.sums) / np.diag(self.n)

    @property
    def covariance(self) -> np.ndarray:
        """Pairwise covariance (n − 1): each pair over those who answered both."""
        with np.errstate(invalid="ignore", divide="ignore"):
            return (self.products - self.sums * self.sums.T / self.n) / (self.n - 1)


def pair_sums(answers: np.ndarray) -> PairSums:
    """Return the pairwise sums of a block of sheets."""
    answered = ~np.isnan(answers)
    indicator, filled = answered.astype("float64"), np.where(answered, answers, 0.0)
    return PairSums(indicator.T @ indicator, filled.T @ indicator, filled.T @ filled)


def mahalanobis(answers: np.ndarray, mean: np.ndarray, covariance: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Squared Mahalanobis distance of every sheet on the questions it answered.

    The distance uses the block of the covariance matrix that belongs to the answers given. It is computed from the inverse P
    of the whole: with z the deviation (0 where missing) and u = Pz, D² = z'u − u_m' P_mm⁻¹ u_m over the missing questions m;
    likewise log|Σ_o| = log|Σ| + log|P_mm|. psych::outlier leaves out the second term, so that sheets with missing
    answers look too far off; with every question answered both are the same.

    Returns
    -------
    distance, log_determinant
        D², for multivariate normal answers χ² with as many degrees of freedom as answers; log|Σ_o|.
    """
    precision = np.linalg.inv(covariance)
    answered = ~np.isnan(answers)
    z = np.where(answered, answers - mean, 0.0)
    u = z @ precision
    distance = np.einsum("ij,ij->i", z, u)
    log_determinant = np.full(len(answers), np.linalg.slogdet(covariance)[1])
    missing = (~answered).sum(axis=1)
    for m in np.unique(missing[missing > 0]):
        rows = np.flatnonzero(missing == m)
        columns = np.nonzero(~answered[rows])[1].reshape(-1, m)
        block, part = precision[columns[:, :, None], columns[:, None, :]], u[rows[:, None], columns]
        distance[rows] -= np.einsum("ij,ij->i", part, np.linalg.solve(block, part[:, :, None])[:, :, 0])
        log_determinant[rows] += np.linalg.slogdet(block)[1]
    return distance, log_determinant


def same_answers(answers: np.ndarray) -> np.ndarray:
    """Count the other sheets that have exactly the same answers, missing ones included."""
    codes = np.column_stack([pd.factorize(answer)[0].astype(np.int16) for answer in answers.T])
    rows = np.ascontiguousarray(codes).view(np.dtype((np.void, codes.dtype.itemsize * codes.shape[1]))).ravel()
    _, pattern, count = np.unique(rows, return_inverse=True, return_counts=True)
    return count[pattern] - 1


def _mean(answers: np.ndarray) -> np.ndarray:
    answered = ~np.isnan(answers)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(answered, answers, 0).sum(axis=1) / answered.sum(axis=1)
