"""Indices of careless responding, each from a block of answers: sheets × questions, NaN for a missing answer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
import pandas as pd

_QUARTILE = 0.6745  # of a normal distribution, in standard deviations
STRATUM = 200  # sheets of about one level among which the frequencies of answers are counted
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


def scatter(answers: np.ndarray, scales: Sequence[Sequence[int]], least: int = 2) -> np.ndarray:
    """Standard deviation of a person's answers around the mean of their dimension, pooled over dimensions; high is bad.

    It needs no difference between dimensions, so that it tells random answers where even–odd consistency cannot: where
    dimensions correlate strongly. The idea is that of inter-item standard deviation (Marjanovic et al. 2015).

    Parameters
    ----------
    answers, scales
        As of :func:`even_odd`.
    least
        Degrees of freedom needed: answers less dimensions answered.
    """
    squares, df = np.zeros(len(answers)), np.zeros(len(answers))
    for scale in scales:
        columns = answers[:, scale]
        n = (~np.isnan(columns)).sum(axis=1)
        squares += np.nansum((columns - _mean(columns)[:, None]) ** 2, axis=1)
        df += np.maximum(n - 1, 0)
    return np.sqrt(np.where(df >= least, squares / np.maximum(df, 1), np.nan))


def upper_fence(values: np.ndarray, spreads: float) -> float:
    """Return the median plus so many robust standard deviations, from the upper quartile: (q75 − q50)/.6745.

    A twentieth of careless sheets hardly moves it, and it follows whatever shape the honest ones give the wave. NaN without
    values.
    """
    known = values[~np.isnan(values)]
    if not len(known):
        return float("nan")
    median, upper = np.quantile(known, [0.5, 0.75])
    return float(median + spreads * (upper - median) / _QUARTILE)


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


def log_frequency(answers: np.ndarray, level: np.ndarray) -> np.ndarray:
    """Return the log probability of each sheet by how often its answers are given in the wave by people of its level.

    Sheets are put into strata of 200 or more by ``level`` (the mean in the scored direction); within a stratum answers to
    different questions are taken as independent, a missing one as an answer of its own. Where answers pile up at the good end
    it knows that many honest sheets are equal, which no normal density does.
    """
    stratum = _strata(level)
    size = np.bincount(stratum)
    log_p = np.log(size[stratum] / len(answers))
    for answer in answers.T:
        option = pd.factorize(answer)[0] + 1  # 0 is missing
        cell = stratum * (option.max() + 1) + option
        log_p += np.log(np.bincount(cell)[cell] / size[stratum])
    return np.asarray(log_p)


def _strata(level: np.ndarray) -> np.ndarray:
    """Number neighbouring levels into strata of at least ``STRATUM`` sheets; equal levels are never parted."""
    _, place, count = np.unique(np.round(np.nan_to_num(level, nan=-1.0), 6), return_inverse=True, return_counts=True)
    number, total, numbers = 0, 0, np.empty(len(count), dtype=int)
    for i, people in enumerate(count):
        numbers[i], total = number, total + people
        if total >= STRATUM:
            number, total = number + 1, 0
    if total and number:  # what is left over at the top joins the stratum below it
        numbers[numbers == number] = number - 1
    return numbers[place]


def _mean(answers: np.ndarray) -> np.ndarray:
    answered = ~np.isnan(answers)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(answered, answers, 0).sum(axis=1) / answered.sum(axis=1)
