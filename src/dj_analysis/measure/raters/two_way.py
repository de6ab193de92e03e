"""Two-way model of ratings: target scores adjusted for rater severity."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
from scipy import sparse, stats

from ...errors import DataError, Problems, UsageError
from ..inference.ranks import PAIRS_AT_ONCE, rank_sets
from ..inference.uncertainty import CONFIDENCE

ONE_RATER = "one_rater_no_error_can"
NOT_CROSSED = "raters_judged_different_things_severity"
NOT_BALANCED = "marks_missing_no_interval_can"
TOO_FEW_TARGETS = "too_few_targets_or_raters"
SAME_SCORES = "all_marks_equal_no_error"
NO_DIFFERENCE = "all_targets_have_same_score"

NOISE = 1e-12  # mean squares this small against the scores are rounding noise


@dataclass(frozen=True)
class Estimates:
    """Target scores as if all had the same judges, with their errors; arrays by target.

    ``n`` judges, ``mean`` as given, ``adjusted`` for how strict the judges were, ``se`` and ``df`` of it (NaN without
    replication), ``covariance`` of all, ``reason``. ``severity`` (positive is strict) and its covariance are by rater, empty
    where they cannot be told from how good the targets are. ``sigma`` is the standard deviation of one score.
    """

    targets: tuple[str, ...]
    raters: tuple[str, ...]
    n: np.ndarray
    mean: np.ndarray
    adjusted: np.ndarray
    se: np.ndarray
    df: np.ndarray
    covariance: np.ndarray
    reason: np.ndarray
    severity: np.ndarray
    severity_covariance: np.ndarray
    sigma: float

    @property
    def severity_se(self) -> np.ndarray:
        """Standard error of each rater's severity."""
        return np.sqrt(np.diag(self.severity_covariance))

    @property
    def centre(self) -> np.ndarray:
        """``adjusted``; ``mean`` where nothing could be adjusted."""
        return np.where(np.isnan(self.adjusted), self.mean, self.adjusted)

    def taken(self, positions: np.ndarray) -> Estimates:
        """Return the estimates of some of the targets."""
        by_target = ("n", "mean", "adjusted", "se", "df", "reason")
        selected: dict[str, Any] = {name: getattr(self, name)[positions] for name in by_target}
        selected["covariance"] = self.covariance[np.ix_(positions, positions)]
        return replace(self, targets=tuple(self.targets[i] for i in positions), **selected)

    def interval(self, confidence: float = CONFIDENCE) -> tuple[np.ndarray, np.ndarray]:
        """Student-t interval of ``adjusted``, of ``mean`` where nothing could be adjusted."""
        half = stats.t.ppf(0.5 + confidence / 2, self.df) * self.se
        return self.centre - half, self.centre + half


def severity(matrix: Any) -> Estimates:
    """Adjust targets for rater severity by least squares: score = target + rater + error.

    Scores are taken as additive (every judge moves all targets alike) with errors of one size. ``adjusted`` is what a target
    would get from the mean of all judges here (Σ rater effects = 0), who are read as given: they are not a sample of other
    judges. Without missing cells it is the plain mean. Yates (1936) for incomplete designs; any connected design will do.

    Parameters
    ----------
    matrix
        Targets × raters, NaN where not judged; a frame's labels name the targets.

    Returns
    -------
    Estimates
        Without degrees of freedom for error, or without any error, there is no se, with the reason.

    Raises
    ------
    DataError
        Targets fall into groups that share no judge: how good and how strict cannot be told apart. The groups are named.
    """
    values, targets, raters = labelled(matrix)
    _check_connected(values, targets)
    n, mean, effect, inverse, sigma2, df = fit_two_way(values)
    share = ~np.isnan(values) / n[:, None]
    no_error = sigma2 <= NOISE * max(1.0, float(np.nanmax(np.abs(values))) ** 2)
    sigma2 = np.nan if no_error else sigma2
    covariance = sigma2 * (np.diag(1 / n) + share @ inverse @ share.T)
    why = "" if sigma2 == sigma2 else ONE_RATER if (n == 1).all() else SAME_SCORES if no_error else TOO_FEW_TARGETS
    offset = np.nan if why == ONE_RATER else 0.0  # NaN with one judge: there is nothing to compare
    return Estimates(
        targets, raters, n, mean, mean - share @ effect + offset, np.sqrt(np.diag(covariance)),
        np.full(len(targets), df if sigma2 == sigma2 else np.nan), covariance, np.full(len(targets), why, dtype=object),
        offset - effect, sigma2 * inverse, float(np.sqrt(sigma2)),
    )  # fmt: skip


def fit_two_way(values: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, float, int]:
    """Fit target + rater by least squares to a connected matrix.

    Returns
    -------
    n, mean, effect, inverse, sigma2, df
        Judges and mean of each target, effect of each rater (they add up to 0) with its covariance over sigma2, variance of
        the error (NaN without degrees of freedom).
    """
    observed = ~np.isnan(values)
    n, filled = observed.sum(axis=1), np.where(observed, values, 0.0)
    share, mean = observed / n[:, None], filled.sum(axis=1) / n
    # Normal equations of the rater effects after the target means are eliminated.
    residual_sums = (filled - observed * mean[:, None]).sum(axis=0)
    inverse = np.linalg.pinv(np.diag(observed.sum(axis=0)) - share.T @ observed, hermitian=True)
    effect = inverse @ residual_sums
    residuals = np.where(observed, values - mean[:, None] - effect + (share @ effect)[:, None], 0.0)
    df = int(observed.sum()) - sum(values.shape) + 1
    return n, mean, effect, inverse, float((residuals**2).sum() / df) if df > 0 else np.nan, df


def separate(matrix: Any) -> Estimates:
    """Take the mean of every target over judges of its own, where no judge judged two targets; se = s/√n by target.

    Parameters and result as in :func:`severity`; ``adjusted`` is missing: how strict the judges were remains unknown.
    """
    values, targets, raters = labelled(matrix)
    observed = ~np.isnan(values)
    n = observed.sum(axis=1)
    mean = np.where(observed, values, 0.0).sum(axis=1) / n
    squares = np.where(observed, (values - mean[:, None]) ** 2, 0.0).sum(axis=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        variance = np.where((n > 1) & (squares > NOISE * np.maximum(1.0, mean**2)), squares / (n - 1), np.nan)
    reason = np.full(len(targets), NOT_CROSSED, dtype=object)
    reason[np.isnan(variance)] = SAME_SCORES
    reason[n == 1] = ONE_RATER
    return Estimates(
        targets, raters, n, mean, np.full(len(targets), np.nan), np.sqrt(variance / n),
        np.where(np.isnan(variance), np.nan, n - 1.0), np.diag(variance / n), reason, np.empty(0), np.empty((0, 0)), float("nan"),
    )  # fmt: skip


def win_probability(found: Estimates) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Probability that a target is truly better than another: Student's t around their difference, flat prior.

    The degrees of freedom are those of the common error; of targets with judges of their own Welch–Satterthwaite's.

    Returns
    -------
    probability, difference, se
        Targets × targets, row against column; NaN on the diagonal and where there is no error to judge by.
    """
    centre = found.centre
    variance = np.diag(found.covariance)
    difference = centre[:, None] - centre
    with np.errstate(divide="ignore", invalid="ignore"):
        se = np.sqrt(np.maximum(variance[:, None] + variance - 2 * found.covariance, 0))
        df = found.df[:, None] + 0 * found.df
        if not found.severity.size:
            df = (variance[:, None] + variance) ** 2 / ((variance**2 / found.df)[:, None] + variance**2 / found.df)
        se = np.where(np.eye(len(centre), dtype=bool), np.nan, se)
        probability = stats.t.cdf(difference / se, df)
    return probability, difference, se


def first_probability(found: Estimates, draws: int = 10_000, seed: int = 0) -> np.ndarray:
    """Probability that each target is truly the best of all; they add up to 1. Simulated, NaN where an error is missing."""
    centre = found.centre
    if np.isnan(found.se).any() or len(centre) < 2:
        return np.full(len(centre), np.nan)
    rng, wins, remaining = np.random.default_rng(seed), np.zeros(len(centre)), draws
    eigenvalues, eigenvectors = np.linalg.eigh(found.covariance)
    root = eigenvectors * np.sqrt(np.maximum(eigenvalues, 0))
    while remaining > 0:
        size = min(remaining, 1000)
        noise = rng.standard_normal((size, len(centre))) @ root.T
        variance_ratio = rng.chisquare(found.df if not found.severity.size else found.df[0], (size, len(centre)))
        # One error for all: the same draw of its size; an error of their own: a draw each.
        variance_ratio = variance_ratio / found.df if not found.severity.size else variance_ratio[:, :1] / found.df
        wins += np.bincount((centre + noise / np.sqrt(variance_ratio)).argmax(axis=1), minlength=len(centre))
        remaining -= size
    return wins / draws


def rank_bounds(
    found: Estimates, confidence: float = CONFIDENCE, draws: int = 2000, seed: int = 0
) -> tuple[np.ndarray, np.ndarray]:
    """Compute joint confidence sets of ranks of targets whose scores share judges (Mogstad et al. 2024, in one step).

    All pairs are tested together against the largest studentised difference, simulated under the joint Student t of the scores; a
    target's set starts after those surely above it. With judges of their own the scores are independent:
    :func:`~dj_analysis.measure.inference.ranks.rank_sets`.

    Returns
    -------
    low, high
        Best and worst rank that is not ruled out, by target; NaN without an error.
    """
    size = len(found.targets)
    if not found.severity.size:
        sets = rank_sets(found.mean, found.se, confidence=confidence, df=found.df, draws=draws, seed=seed)
        return sets.low, sets.high
    if np.isnan(found.se).any() or size < 2:
        return np.full(size, np.nan), np.full(size, np.nan)
    first, second = np.triu_indices(size, k=1)
    variance = np.diag(found.covariance)
    se = np.sqrt(variance[first] + variance[second] - 2 * found.covariance[first, second])
    eigenvalues, eigenvectors = np.linalg.eigh(found.covariance)
    root, rng = eigenvectors * np.sqrt(np.maximum(eigenvalues, 0)), np.random.default_rng(seed)
    largest: list[np.ndarray] = []
    for start in range(0, draws, step := max(1, PAIRS_AT_ONCE // len(se))):
        block = min(step, draws - start)
        noise = rng.standard_normal((block, size)) @ root.T
        of_error = np.sqrt(rng.chisquare(found.df[0], block) / found.df[0])
        largest.append((np.abs(noise[:, first] - noise[:, second]) / se).max(axis=1) / of_error)
    cut = np.quantile(np.concatenate(largest), confidence, method="weibull")
    difference = found.centre[first] - found.centre[second]
    low, high = np.ones(size), np.full(size, float(size))
    for better, worse in ((first[difference > cut * se], second[difference > cut * se]),
                          (second[-difference > cut * se], first[-difference > cut * se])):  # fmt: skip
        np.add.at(low, worse, 1)
        np.subtract.at(high, better, 1)
    return low, high


def severity_range(found: Estimates, confidence: float = CONFIDENCE) -> tuple[float, float, float, float]:
    """Return how far the strictest and the most lenient rater lie apart: points, low, high, p (all raters are equally strict).

    Tukey's range with Kramer's (1956) error of unequal designs; exact for two raters (Student's t) and for complete designs,
    careful otherwise (Hayter 1984). NaN where severity or its error is not known.
    """
    if found.severity.size < 2 or np.isnan(found.severity_covariance).any():
        return (float("nan"),) * 4
    strict, lenient = int(found.severity.argmax()), int(found.severity.argmin())
    covariance, df, raters = found.severity_covariance, float(found.df[0]), found.severity.size
    distance = float(found.severity[strict] - found.severity[lenient])
    se = float(np.sqrt(covariance[strict, strict] + covariance[lenient, lenient] - 2 * covariance[strict, lenient]))
    if raters == 2:  # the range of two is Student's t
        half, p = stats.t.ppf(0.5 + confidence / 2, df) * se, 2 * stats.t.sf(distance / se, df)
    else:
        half = stats.studentized_range.ppf(confidence, raters, df) * se / np.sqrt(2)
        p = stats.studentized_range.sf(distance / se * np.sqrt(2), raters, df)
    return distance, distance - float(half), distance + float(half), float(p)


def labelled(matrix: Any) -> tuple[np.ndarray, tuple[str, ...], tuple[str, ...]]:
    """Return targets × raters as floats with their names; empty rows and columns are dropped."""
    values = np.atleast_2d(np.asarray(matrix, dtype=float))
    names = [np.arange(1, size + 1) for size in values.shape]
    if isinstance(matrix, pd.DataFrame):
        names = [matrix.index.to_numpy(), matrix.columns.to_numpy()]
    observed = ~np.isnan(values)
    rows, columns = observed.any(axis=1), observed.any(axis=0)
    if not rows.any():
        raise UsageError("评分矩阵没有评分 (the matrix of targets × raters holds no score)")
    return values[np.ix_(rows, columns)], tuple(map(str, names[0][rows])), tuple(map(str, names[1][columns]))


def groups_of(observed: np.ndarray) -> np.ndarray:
    """Return the connected component of each target; targets are connected through shared raters."""
    a, b = observed.shape
    graph = sparse.coo_matrix(
        (np.ones(observed.sum()), (observed.nonzero()[0], a + observed.nonzero()[1])), shape=(a + b, a + b)
    )
    return sparse.csgraph.connected_components(graph, directed=False)[1][:a]


def _check_connected(values: np.ndarray, targets: tuple[str, ...]) -> None:
    group, problems = groups_of(~np.isnan(values)), Problems()
    if group.max() > 0:
        members = [
            "、".join([t for t, g in zip(targets, group, strict=True) if g == i][:5]) for i in range(group.max() + 1)
        ]
        listed = " | ".join(members[:5]) + (" …" if len(members) > 5 else "")
        advice = (
            "安排跨组的共同评委,或各组分别计算 (let some raters judge in both groups, or rate each group by itself)"
        )
        problems.add("评分/ratings", "disconnected", listed, "各对象经共同评委相连 (one connected design)", advice)
    problems.raise_if_any(DataError)
