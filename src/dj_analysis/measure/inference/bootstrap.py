"""Skewness-corrected intervals of a mean, by bootstrap or in closed form."""

from __future__ import annotations

import zlib
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Literal

import narwhals.stable.v2 as nw
import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from scipy import stats

from ...errors import UsageError, unknown
from ...result import Result
from ...spec import reasons
from ...spec.tables import whole_numbers
from ...spec.units import ALL, Units
from ..crossnames import cell_name, parts_of
from ..engines import all_rows
from ..scores import KEYS, Scores, joined
from ..scoring import score_frame
from ..survey import Survey
from .shrinkage import left_out
from .uncertainty import skewed_limits

Method = Literal["bca", "percentile"]

AT_ONCE = 2_000_000  # persons drawn in one block of resamples
PER_VALUE = 20  # with more persons a distinct answer, counts are drawn instead of persons (measured: engine notes, 3)
STATISTICS = ("n", "score", "se", "low", "high", "method")


@dataclass(frozen=True)
class Skewed:
    """Means with skewness-corrected intervals, arrays of one shape; NaN where n < 2 or without variance.

    ``skewness`` is that of the *mean*: the third standardised moment of the answers divided by √n.
    """

    mean: np.ndarray
    se: np.ndarray
    skewness: np.ndarray
    low: np.ndarray
    high: np.ndarray


@dataclass(frozen=True)
class Resampled:
    """Mean of one unit with its bootstrap error and interval; ``reason`` tells why they are missing."""

    mean: float
    se: float
    low: float
    high: float
    n: int
    method: str
    reason: str = ""


def skewed_interval(
    n: ArrayLike, s1: ArrayLike, s2: ArrayLike, s3: ArrayLike, confidence: float = 0.95, *, origin: float = 0.0
) -> Skewed:
    """Compute means with Student-t intervals corrected for skewness, from four additive sums.

    The Edgeworth expansion of the studentised mean (Hall 1992, The Bootstrap and Edgeworth Expansion, section 2.6) gives its
    quantiles as z_p − γ(2z_p² + 1)/(6√n) (Cornish–Fisher, first order); Student's t takes the place of the leading z, so that
    the interval is the usual one where γ = 0. γ is the biased moment coefficient Σ(x−x̄)³/n / (Σ(x−x̄)²/n)^1.5.

    Parameters
    ----------
    n, s1, s2, s3
        Number of persons, Σx, Σx², Σx³ (equal weights; for unequal ones see :func:`dj_analysis.measure.uncertainty.skewness_of_mean`); any one shape.
    confidence
        Confidence of the interval.
    origin
        What was subtracted from every x before summing (50 keeps digits for scores 0–100).

    Returns
    -------
    Skewed
        Not cut to the ends of the scale.

    Examples
    --------
    >>> answers = np.array([100, 100, 95, 100, 90, 100, 85, 100, 95, 60.0])
    >>> interval = skewed_interval(10, *(np.sum(answers**p) for p in (1, 2, 3)))
    >>> interval.low.round(1).tolist(), interval.high.round(1).tolist()
    (80.0, 97.9)
    """
    count, a, b, c = (np.asarray(value, dtype=float) for value in (n, s1, s2, s3))
    with np.errstate(divide="ignore", invalid="ignore"):
        centre = a / count
        squares = b - count * centre**2
        cubes = c - 3 * centre * b + 2 * count * centre**3
        varies = (count >= 2) & (squares > b * 1e-12)  # equal answers leave rounding noise
        squares = np.where(varies, squares, np.nan)
        se = np.sqrt(squares / (count - 1) / count)
        skewness = cubes / squares**1.5
    low, high = skewed_limits(centre + origin, se, count - 1, skewness, confidence)
    return Skewed(centre + origin, se, skewness, low, high)


def bootstrap_interval(
    values: ArrayLike,
    weights: ArrayLike | None = None,
    *,
    method: Method = "bca",
    confidence: float = 0.95,
    draws: int = 2000,
    seed: int | Sequence[int] = 0,
) -> Resampled:
    """Resample the persons of one unit (Efron 1979) and take percentiles of the means, plain or BCa (Efron 1987).

    Persons are drawn with their weights. Where there are more than 20 persons a distinct (answer, weight), the counts of
    the distinct ones are drawn (multinomial), which is the same and much faster.

    Parameters
    ----------
    values
        Scores of the persons; NaN is no answer.
    weights
        Their weights, 0 or more; persons of weight 0 are left out.
    method
        ``"bca"`` corrects the percentiles for bias and acceleration (jackknife); ``"percentile"`` does not.
    draws
        Number of resamples.
    seed
        Seed; the order of the persons does not matter.

    Returns
    -------
    Resampled
        One person, or answers without any spread, give a mean without an interval, with the reason; nobody gives nothing.
    """
    if method not in ("bca", "percentile"):
        raise unknown("method", method, ["bca", "percentile"])
    if draws * (1 - confidence) < 2 or not 0 < confidence < 1:
        raise UsageError(f"draws = {draws}, confidence = {confidence}: 抽样次数太少 (too few draws for it)")
    x, w = _answers(values, weights)
    name = f"{method}, {draws} draws"
    if len(x) < 2 or np.ptp(x) == 0:
        reason = (reasons.NO_ANSWERS, reasons.ONE_PERSON)[len(x)] if len(x) < 2 else reasons.NO_VARIANCE
        mean = float(x[0]) if len(x) else float("nan")
        return Resampled(mean, float("nan"), float("nan"), float("nan"), len(x), name, reason)
    mean = float(np.average(x, weights=w))
    means = _resampled_means(x, w, draws, np.random.default_rng(seed))
    tails = np.array([0.5 - confidence / 2, 0.5 + confidence / 2])
    low, high = np.quantile(means, _corrected(tails, means, x, w) if method == "bca" else tails)
    return Resampled(mean, float(means.std(ddof=1)), float(low), float(high), len(x), name)


def bootstrapped(
    survey: Survey,
    scores: Scores,
    level: str,
    *,
    codes: Sequence[str] | None = None,
    form: str = "anchors",
    leave_out: Collection[tuple[str, str]] = (),
    method: Method = "bca",
    confidence: float = 0.95,
    draws: int = 2000,
    seed: int = 0,
) -> Result:
    """Resample the persons of each unit of one level, code by code, for a bootstrap interval of each score.

    Parameters
    ----------
    survey
        The wave; its rows and weights are read.
    scores
        Scores of the same wave by (at least) this level.
    level
        A unit level, group column or declared cross-classification of ``scores``.
    codes
        Codes wanted; all by default.
    form
        ``anchors`` or ``full``.
    leave_out
        Further (level, unit) rows to leave out, beside ``scores.withheld``.
    method, confidence, draws, seed
        As in :func:`bootstrap_interval`. Each unit and code has a stream of its own: leaving one out changes no other.

    Returns
    -------
    Result
        period, level, unit, form, code, n, score (0–100), se, low, high, method, reason. Units with fewer than min_group
        persons, and withheld ones, have no interval (数据不足).

    Raises
    ------
    UsageError
        A level, form or code that the scores do not have; scores of another wave.
    """
    rows = _wanted(scores, level, form, codes)
    persons = _persons(survey, level, form, rows["code"].unique())
    small, scored = left_out(rows, scores, leave_out), rows["score"].notna()
    people = dict(list(persons.groupby("unit")))
    table = rows[[*KEYS, "n", "score"]].copy()
    table[["se", "low", "high"]], table["method"], table["reason"] = np.nan, "", rows["reason"]
    table.loc[small & scored, "reason"] = reasons.TOO_FEW_TO_JUDGE
    for i, row in rows[scored & ~small].iterrows():
        members = people[row["unit"]]
        key = zlib.crc32("|".join([level, row["unit"], form, row["code"]]).encode())
        estimate = bootstrap_interval(
            members[row["code"]],
            members["_weight"],
            method=method,
            confidence=confidence,
            draws=draws,
            seed=(seed, key),
        )
        if abs(estimate.mean - row["score"]) > 1e-6:
            mismatch = f"{row['unit']} {row['code']}: {estimate.mean:.4f} / {row['score']:.4f}"
            raise UsageError(f"survey 与 scores 不是同一批答卷 (not the same answers): {mismatch}")
        table.loc[i, ["se", "low", "high"]] = estimate.se, estimate.low, estimate.high
        table.loc[i, ["method", "reason"]] = estimate.method, estimate.reason
    return Result(
        table=joined([table]), keys=KEYS, statistics=STATISTICS, period=scores.period, about=scores.about,
        programme=scores.programme, periods=(scores.period,), spec=scores.spec, withheld=scores.withheld,
        basis=scores.basis,
    )  # fmt: skip


def _answers(values: ArrayLike, weights: ArrayLike | None) -> tuple[np.ndarray, np.ndarray]:
    """Return the answers and weights of persons with positive weight, sorted so that their order does not matter."""
    x = np.asarray(values, dtype=float)
    w = np.ones_like(x) if weights is None else np.asarray(weights, dtype=float)
    if x.ndim != 1 or x.shape != w.shape or (w < 0).any():
        raise UsageError("values, weights: 须为等长数组,权重非负 (vectors of one length, weights of at least 0)")
    counted = np.isfinite(x) & (w > 0)
    order = np.lexsort((w[counted], x[counted]))
    return x[counted][order], w[counted][order]


def _resampled_means(x: np.ndarray, w: np.ndarray, draws: int, rng: np.random.Generator) -> np.ndarray:
    pairs, counts = np.unique(np.column_stack([x, w]), axis=0, return_counts=True)
    n = len(x)
    if n > PER_VALUE * len(pairs):
        drawn = rng.multinomial(n, counts / n, size=draws)
        return np.asarray(drawn @ pairs.prod(axis=1) / (drawn @ pairs[:, 1]))
    step = max(1, AT_ONCE // n)
    blocks = [rng.integers(0, n, (min(step, draws - i), n), dtype=np.int32) for i in range(0, draws, step)]
    if np.ptp(w) == 0:
        return np.concatenate([x[block].mean(axis=1) for block in blocks])
    return np.concatenate([(w * x)[block].sum(axis=1) / w[block].sum(axis=1) for block in blocks])


def _corrected(tails: np.ndarray, means: np.ndarray, x: np.ndarray, w: np.ndarray) -> np.ndarray:
    """Adjust the percentiles for bias (z0) and acceleration (Efron 1987); ties count half, as answers are discrete."""
    mean, slack = np.average(x, weights=w), 1e-9 * max(np.ptp(x), 1)
    share_below = ((means < mean - slack).sum() + (means <= mean + slack).sum()) / 2 / len(means)
    z0 = stats.norm.ppf(np.clip(share_below, 0.5 / len(means), 1 - 0.5 / len(means)))
    jackknife = ((w * x).sum() - w * x) / (w.sum() - w)
    deviations = jackknife.mean() - jackknife
    acceleration = (deviations**3).sum() / (6 * (deviations**2).sum() ** 1.5)
    z = z0 + stats.norm.ppf(tails)
    return np.asarray(stats.norm.cdf(z0 + z / (1 - acceleration * z)))


def _wanted(scores: Scores, level: str, form: str, codes: Sequence[str] | None) -> pd.DataFrame:
    table = scores.table
    for name, value in (("level", level), ("form", form)):
        if value not in set(table[name]):
            raise unknown(name, value, table[name].unique())
    table = table[(table["level"] == level) & (table["form"] == form)]
    for code in codes or ():
        if code not in set(table["code"]):
            raise unknown("代码/code", code, table["code"].unique())
    return table[table["code"].isin(codes)] if codes is not None else table


def _persons(survey: Survey, level: str, form: str, codes: Collection[str]) -> pd.DataFrame:
    """Return one row a person: unit of the level, weight, and a column of scores for each code."""
    trees = {name: tree for name, tree in survey.trees().items() if name == form}
    leaves = {leaf.code: leaf for tree in trees.values() for leaf in tree.leaves}
    scored = nw.from_native(score_frame(survey.frame, trees))
    score_columns = {
        code: 100 * nw.col(f"_r:{code}") / (leaves[code].maximum - leaves[code].minimum)
        if code in leaves
        else nw.col(f"{form}__{code}")
        for code in codes
    }
    columns = sorted({survey.axes[axis] for axis in _axes(survey, level).values() if axis in survey.axes})
    weight = nw.col(survey.weight).cast(nw.Float64) if survey.weight else nw.lit(1.0)
    selected = scored.select(*(nw.col(c) for c in columns), weight.alias("_weight"), **score_columns)
    table = all_rows(selected).to_pandas()
    return table.assign(unit=_units(survey, level, table), **{c: table[c].astype("float64") for c in codes})


def _axes(survey: Survey, level: str) -> dict[str, str]:
    """Map each part of a level to the tree or group column it belongs to."""
    units = survey.spec.units.at(survey.period)
    return {part: units.tree_of(part) if part in units.levels else part for part in parts_of(level)}


def _units(survey: Survey, level: str, table: pd.DataFrame) -> list[str]:
    """Return the unit (or category, or cell) of the level each person belongs to; empty where it is missing."""
    units, parts = survey.spec.units.at(survey.period), []
    for part, axis in _axes(survey, level).items():
        if part == units.root.level:
            parts.append([ALL] * len(table))
            continue
        texts = whole_numbers(table[survey.axes[axis]].where(table[survey.axes[axis]].notna(), ""))
        unit_of = (
            _units_above(units, part, texts.unique())
            if part in units.levels
            else {name: name for name in texts.unique()}
        )
        parts.append([unit_of.get(name, "") for name in texts])
    return [cell_name(cells) for cells in zip(*parts, strict=True)]


def _units_above(units: Units, level: str, texts: Collection[str]) -> dict[str, str]:
    """Map unit names as written to the unit of this level above them."""
    resolved = units.resolve([name for name in texts if name])
    above = {name: [unit, *units.ancestors(unit)] for name, unit in resolved.items()}
    return {name: next((u for u in chain if units[u].level == level), "") for name, chain in above.items()}
