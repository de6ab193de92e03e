"""Units among the last for months running: a visit that helps, with how often pure chance gives one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from ..measure.inference.shrinkage import left_out
from ..measure.linked_series import link_versions
from ..measure.scores import Scores, inherited, joined
from ..result import Result
from ..spec.periods import within
from ..spec.units import ALL
from .ranking import HELP, chosen_rows

KEYS = ("period", "level", "unit", "code")
SIMULATED = 4000  # years behind the chance guard
NUMBERS_AT_ONCE = 1_000_000  # of simulated years


@dataclass(frozen=True)
class MonthsLast(Result):
    """Units that were among the last for months running, up to the last month.

    ``.table``: period (the span), level, unit, code, n, running (months running up to the last one), score (mean over them, linked where
    the indicators changed),
    help (what is proposed), reason.
    """

    @property
    def guard(self) -> Result:
        """What chance alone gives: period, level, units, months, reliability (of one month), by_chance (distinct units a span
        that chance alone would name), expected (at this reliability), worst_fifth (share of those named that truly are in the
        worst fifth).
        """
        return self.parts["guard"]


@dataclass(frozen=True)
class ChanceGuard:
    """How a rule of months running works out, from simulation: distinct units named, runs counted, share in the worst fifth."""

    distinct: float
    runs: float
    worst_fifth: float


def months_last(
    scores: Scores, level: str | None = None, *, code: str | None = None, type: str | None = None, below: str = ALL
) -> MonthsLast:
    """List the units in the last share of their type for months running (``[months_last]`` of rules.toml).

    Places are those of each month, by the version of the indicators in force then: they may be counted across a change of version.

    Who is named gets a visit that helps, never a penalty: among equal branches chance alone names some, and ``guard`` says
    how many.

    Parameters
    ----------
    scores
        Of a span of months: ``dj.score(ws.indicators("2025-10/2026-09"))``.
    level, code, type, below
        As in :func:`dj_analysis.rank`.

    Examples
    --------
    >>> dj.methods.months_last(dj.score(ws.indicators("2025-10/2026-09")), "branch").table  # doctest: +SKIP
    """
    rows, level, code = chosen_rows(scores, level, code, type, below)
    rule = scores.spec.rules.months_last
    months = within(scores.period, [one for one in dict.fromkeys(scores.table["period"]) if one != scores.period])
    of_months = scores.table[
        (scores.table["level"] == level) & (scores.table["code"] == code) & scores.table["period"].isin(months)
        & scores.table["unit"].isin(rows["unit"])
    ]  # fmt: skip
    of_months = of_months[~left_out(of_months, scores, ()).to_numpy()]
    last = placed_last(of_months, months, rule.share)
    run = running(last.to_numpy())
    named = last.index[run >= rule.months]
    lengths = dict(zip(last.index, run, strict=True))
    raw = of_months.pivot(index="unit", columns="period", values="score").reindex(columns=months)
    mean = raw
    if any(link.code == code for link in scores.version_links):
        linked = link_versions(scores, level, code=code).table
        mean = linked.pivot(index="unit", columns="period", values="score").reindex(index=raw.index, columns=months)
    table = pd.DataFrame(
        {"period": scores.period, "level": level, "unit": list(named), "code": code, "n": np.nan,
         "running": [float(lengths[unit]) for unit in named],
         "score": [float(mean.loc[unit].iloc[-lengths[unit] :].mean()) for unit in named], "help": HELP, "reason": ""}
    ).sort_values("running", ascending=False, kind="stable", ignore_index=True)  # fmt: skip
    common = inherited(scores)
    reliability = _reliability(raw.to_numpy())
    guard = pd.DataFrame([_guarded(scores.period, level, len(last), len(months), rule.share, rule.months, reliability)])
    statistics = tuple(name for name in guard.columns if name not in ("period", "level"))
    parts = {"guard": Result(guard, ("period", "level"), statistics, n=None, together=statistics, **common)}
    statistics = ("n", "running", "score")
    return MonthsLast(joined([table]), KEYS, statistics, parts=parts, together=statistics, **common)


def placed_last(table: pd.DataFrame, periods: Sequence[str], share: float) -> pd.DataFrame:
    """Tell for each unit and period whether it lies in the last ``share`` of the units (the very last for 0).

    Parameters
    ----------
    table
        unit, period, score of units of one type.

    Returns
    -------
    DataFrame
        Units × periods of booleans; a unit without a score is not last. Equal scores share the better place.
    """
    wide = table.pivot(index="unit", columns="period", values="score").reindex(columns=list(periods))
    return pd.DataFrame(_last(wide.to_numpy(float), share), index=wide.index, columns=wide.columns)


def running(last: np.ndarray) -> np.ndarray:
    """Return for each unit for how many periods running, up to the last one, it was among the last."""
    return np.asarray(np.cumprod(last[:, ::-1], axis=1).sum(axis=1))


def chance_guard(
    units: int, months: int, share: float, run: int, reliability: float, *, years: int = SIMULATED, seed: int = 0
) -> ChanceGuard:
    """Simulate how a rule of months running works among units whose months have a stated reliability.

    Parameters
    ----------
    reliability
        Share of the variance of one month between units that stays from month to month, 0–1; 0 is pure chance.
    run
        Months running for which a unit must be among the last ``share`` (the very last for 0).

    Returns
    -------
    ChanceGuard
        Means over simulated spans. ``runs`` counts every separate run of a unit; ``worst_fifth`` is NaN where nobody is named
        or nobody is truly worse.

    References
    ----------
    Barnett, van der Pols and Dobson (2005), Regression to the mean, Int. J. Epidemiol. 34:215.
    """
    rng = np.random.default_rng(seed)
    distinct = runs = truly = 0
    at_once = max(1, NUMBERS_AT_ONCE // (units * (1 + months)))
    for first in range(0, years, at_once):
        drawn = rng.standard_normal((min(at_once, years - first), units * (1 + months)))
        true = drawn[:, :units, None] * np.sqrt(reliability)
        seen = true + drawn[:, units:].reshape(-1, units, months) * np.sqrt(1 - reliability)
        length, named = np.zeros(seen.shape[:2], dtype=int), np.zeros(seen.shape[:2], dtype=bool)
        for month in np.moveaxis(_last(seen, share), -1, 0):
            length = np.where(month, length + 1, 0)
            runs += int((length == run).sum())
            named |= length >= run
        distinct += int(named.sum())
        worst = np.argsort(true[..., 0], axis=1)[:, : max(1, units // 5)]
        truly += int(np.take_along_axis(named, worst, axis=1).sum())
    return ChanceGuard(distinct / years, runs / years, truly / distinct if distinct and reliability else float("nan"))


def _last(scores: np.ndarray, share: float) -> np.ndarray:
    """Mark the last ``share`` of the units (last axis but one) of each month, the better place where scores are equal."""
    known = ~np.isnan(scores)
    count = known.sum(axis=-2, keepdims=True)
    most = np.maximum(1, np.floor(share * count + 1e-9)).astype(int) if share else np.ones_like(count)
    beyond = np.full_like(scores[..., :1, :], np.inf)
    ordered = np.concatenate([np.sort(np.where(known, scores, np.inf), axis=-2), beyond], axis=-2)
    first_above = np.take_along_axis(ordered, most, axis=-2)  # who is not last has as many below as may be last
    return np.asarray(known & (scores + 1e-9 < first_above))


def _reliability(scores: np.ndarray) -> float:
    """ICC(1) of months within units, cut to 0–0.99; NaN where it cannot be told."""
    complete = scores[~np.isnan(scores).any(axis=1)]
    units, months = complete.shape
    if units < 3 or months < 2:
        return float("nan")
    centred = complete - complete.mean(axis=0)
    between = months * centred.mean(axis=1).var(ddof=1)
    within_units = ((centred - centred.mean(axis=1, keepdims=True)) ** 2).sum() / ((units - 1) * (months - 1))
    total = between + (months - 1) * within_units
    return float(np.clip((between - within_units) / total, 0.0, 0.99)) if total > 0 else float("nan")


def _guarded(
    period: str, level: str, units: int, months: int, share: float, run: int, reliability: float
) -> dict[str, Any]:
    row: dict[str, Any] = {"period": period, "level": level, "units": float(units), "months": float(months)}
    empty = {"reliability": reliability, "by_chance": np.nan, "expected": np.nan, "worst_fifth": np.nan}
    if units < 3 or months < run or np.isnan(reliability):
        return row | empty
    chance, likely = (chance_guard(units, months, share, run, value) for value in (0.0, reliability))
    return row | empty | {"by_chance": chance.distinct, "expected": likely.distinct, "worst_fifth": likely.worst_fifth}
