"""Several judges on the same things: what is left of a difference when how strict each judge is has been taken off."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
from scipy import sparse, stats

from ...errors import DataError, Problems, UsageError
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
    """What targets would get from the same judges, with the errors that tell them apart; arrays by target.

    ``n`` judges, ``mean`` as given, ``adjusted`` for how strict the judges were, ``se`` and ``df`` of it (NaN without
    replication), ``covariance`` of all, ``reason``. ``severity`` and ``severity_se`` are by rater (positive is strict), empty
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
    severity_se: np.ndarray
    sigma: float

    def taken(self, positions: np.ndarray) -> Estimates:
        """Keep some of the targets."""
        by_target = ("n", "mean", "adjusted", "se", "df", "reason")
        kept: dict[str, Any] = {name: getattr(self, name)[positions] for name in by_target}
        kept["covariance"] = self.covariance[np.ix_(positions, positions)]
        return replace(self, targets=tuple(self.targets[i] for i in positions), **kept)

    def interval(self, confidence: float = CONFIDENCE) -> tuple[np.ndarray, np.ndarray]:
        """Student-t interval of ``adjusted``, of ``mean`` where nothing could be adjusted."""
        centre = np.where(np.isnan(self.adjusted), self.mean, self.adjusted)
        half = stats.t.ppf(0.5 + confidence / 2, self.df) * self.se
        return centre - half, centre + half


def severity(matrix: Any) -> Estimates:
    """Adjust targets for how strict their judges were: score = target + rater + error, by least squares.

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
    same = sigma2 <= NOISE * max(1.0, float(np.nanmax(np.abs(values))) ** 2)
    sigma2 = np.nan if same else sigma2
    covariance = sigma2 * (np.diag(1 / n) + share @ inverse @ share.T)
    why = "" if sigma2 == sigma2 else ONE_RATER if (n == 1).all() else SAME_SCORES if same else TOO_FEW_TARGETS
    alone = np.nan if why == ONE_RATER else 0.0  # one judge: nothing to be compared with
    return Estimates(
        targets, raters, n, mean, mean - share @ effect + alone, np.sqrt(np.diag(covariance)),
        np.full(len(targets), df if sigma2 == sigma2 else np.nan), covariance, np.full(len(targets), why, dtype=object),
        alone - effect, np.sqrt(sigma2 * np.diag(inverse)), float(np.sqrt(sigma2)),
    )  # fmt: skip


def fit_two_way(values: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, float, int]:
    """Fit target + rater by least squares to a connected matrix.

    Returns
    -------
    n, mean, effect, inverse, sigma2, df
        Judges and mean of each target, effect of each rater (they add up to 0) with its covariance over sigma2, variance of
        the error (NaN without degrees of freedom).
    """
    known = ~np.isnan(values)
    n, filled = known.sum(axis=1), np.where(known, values, 0.0)
    share, mean = known / n[:, None], filled.sum(axis=1) / n
    # What is left of each rater's scores when the means of the targets judged are taken off, and how they overlap.
    left = (filled - known * mean[:, None]).sum(axis=0)
    inverse = np.linalg.pinv(np.diag(known.sum(axis=0)) - share.T @ known, hermitian=True)
    effect = inverse @ left
    rest = np.where(known, values - mean[:, None] - effect + (share @ effect)[:, None], 0.0)
    df = int(known.sum()) - sum(values.shape) + 1
    return n, mean, effect, inverse, float((rest**2).sum() / df) if df > 0 else np.nan, df


def separate(matrix: Any) -> Estimates:
    """Take the mean of every target over judges of its own, where no judge judged two targets; se = s/√n by target.

    Parameters and result as in :func:`severity`; ``adjusted`` is missing: how strict the judges were remains unknown.
    """
    values, targets, raters = labelled(matrix)
    known = ~np.isnan(values)
    n = known.sum(axis=1)
    mean = np.where(known, values, 0.0).sum(axis=1) / n
    squares = np.where(known, (values - mean[:, None]) ** 2, 0.0).sum(axis=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        variance = np.where((n > 1) & (squares > NOISE * np.maximum(1.0, mean**2)), squares / (n - 1), np.nan)
    reason = np.full(len(targets), NOT_CROSSED, dtype=object)
    reason[np.isnan(variance)] = SAME_SCORES
    reason[n == 1] = ONE_RATER
    none = np.empty(0)
    return Estimates(
        targets, raters, n, mean, np.full(len(targets), np.nan), np.sqrt(variance / n),
        np.where(np.isnan(variance), np.nan, n - 1.0), np.diag(variance / n), reason, none, none, float("nan"),
    )  # fmt: skip


def win_probability(found: Estimates) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Probability that a target is truly better than another: Student's t around their difference, every value as likely before.

    The degrees of freedom are those of the common error; of targets with judges of their own Welch–Satterthwaite's.

    Returns
    -------
    probability, difference, se
        Targets × targets, row against column; NaN on the diagonal and where there is no error to judge by.
    """
    centre = np.where(np.isnan(found.adjusted), found.mean, found.adjusted)
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
    centre = np.where(np.isnan(found.adjusted), found.mean, found.adjusted)
    if np.isnan(found.se).any() or len(centre) < 2:
        return np.full(len(centre), np.nan)
    rng, wins, left = np.random.default_rng(seed), np.zeros(len(centre)), draws
    values, vectors = np.linalg.eigh(found.covariance)
    root = vectors * np.sqrt(np.maximum(values, 0))
    while left > 0:
        size = min(left, 1000)
        shift = rng.standard_normal((size, len(centre))) @ root.T
        wide = rng.chisquare(found.df if not found.severity.size else found.df[0], (size, len(centre)))
        # One error for all: the same draw of its size; an error of their own: a draw each.
        wide = wide / found.df if not found.severity.size else wide[:, :1] / found.df
        wins += np.bincount((centre + shift / np.sqrt(wide)).argmax(axis=1), minlength=len(centre))
        left -= size
    return wins / draws


def labelled(matrix: Any) -> tuple[np.ndarray, tuple[str, ...], tuple[str, ...]]:
    """Targets × raters as floats with their names, without targets nobody judged and raters who judged nothing."""
    values = np.atleast_2d(np.asarray(matrix, dtype=float))
    names = [np.arange(1, size + 1) for size in values.shape]
    if isinstance(matrix, pd.DataFrame):
        names = [matrix.index.to_numpy(), matrix.columns.to_numpy()]
    known = ~np.isnan(values)
    rows, columns = known.any(axis=1), known.any(axis=0)
    if not rows.any():
        raise UsageError("评分矩阵没有评分 (the matrix of targets × raters holds no score)")
    return values[np.ix_(rows, columns)], tuple(map(str, names[0][rows])), tuple(map(str, names[1][columns]))


def groups_of(known: np.ndarray) -> np.ndarray:
    """Number of the group each target is in; targets of a group hang together through shared raters."""
    a, b = known.shape
    graph = sparse.coo_matrix(
        (np.ones(known.sum()), (known.nonzero()[0], a + known.nonzero()[1])), shape=(a + b, a + b)
    )
    return sparse.csgraph.connected_components(graph, directed=False)[1][:a]


def _check_connected(values: np.ndarray, targets: tuple[str, ...]) -> None:
    group, problems = groups_of(~np.isnan(values)), Problems()
    if group.max() > 0:
        parts = [
            "、".join([t for t, g in zip(targets, group, strict=True) if g == i][:5]) for i in range(group.max() + 1)
        ]
        found = " | ".join(parts[:5]) + (" …" if len(parts) > 5 else "")
        advice = (
            "安排跨组的共同评委,或各组分别计算 (let some raters judge in both groups, or rate each group by itself)"
        )
        problems.add("评分/ratings", "disconnected", found, "各对象经共同评委相连 (one connected design)", advice)
    problems.raise_if_any(DataError)
