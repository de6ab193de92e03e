"""Audit of the four-stage review of indicator values: what was changed, how much, by when, and whose values more often."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from ..measure.basis import bases_of
from ..measure.inference.uncertainty import shares_interval
from ..measure.review_steps import OVERALL, review_steps
from ..measure.scores import joined
from ..measure.survey import Indicators
from ..result import Result
from ..spec.rules import ReviewRule
from ..spec.schemas import REVIEW_STAGES
from ..spec.units import ALL
from .change import q_values
from .digits import TABLE as DIGITS
from .digits import digit_tables

KEYS = ("period", "stage")
STATISTICS = (
    "entered", "blank", "compared", "revised", "share", "low", "high", "revision", "revision_size", "filled", "removed",
    "days_median", "days_most", "late", "misdated",
)  # fmt: skip
LISTED = ("value_before", "value", "revision", "role")
JUDGED = ("p", "q", "often")
LATENESS = ("months", "months_late", "days_median", *JUDGED)
MOST_DAYS = 0.9  # quantile printed beside the median delay
FEWEST_UNITS = 3  # fewer cannot be held against each other
TAIL = 0.1  # of either end, drawn in before the scatter of units is estimated (Spiegelhalter 2005)
DRAWN_IN = 0.6787  # mean square of standard normal values so drawn in


@dataclass(frozen=True)
class ReviewAudit(Result):
    """Audit of the review of indicator values.

    ``.table``: period, stage (reported, checked, compiled, released, and overall: what was reported against what was released),
    entered (values that entered the stage), blank (share of them without a number), compared (with a number here and at the
    last stage kept before), revised (changed at this stage), share (of those compared) with its Wilson interval low, high,
    revision and revision_size (mean signed and mean absolute size of a revision, in points of the indicator's range; positive is to
    the unit's advantage), filled (blanks that got a number), removed (numbers that were taken out), days_median and days_most
    (median and 90 % quantile of calendar days since the last stage kept before; of the report, since the end of the period, 0
    where it was sent before), late (share beyond the day limit of ``[review]`` in rules.toml), misdated (dated before the stage
    before, or before the period; left out of the days), reason (why something is missing).
    """

    @property
    def kept(self) -> bool:
        """Whether some stage before the release was kept."""
        return bool((self.table["entered"] > 0).any())

    @property
    def dated(self) -> bool:
        """Whether the days of some stage are known."""
        return bool(self.table["days_median"].notna().any())

    @property
    def revisions(self) -> Result:
        """Every revision, the largest first: period, rank, level, unit, code, stage, value_before, value, revision (points), role."""
        return self.parts["revisions"]

    @property
    def codes(self) -> Result:
        """The same statistics as ``.table`` by indicator: period, code, stage."""
        return self.parts["codes"]

    @property
    def units(self) -> Result:
        """The same by unit: period, level, unit, stage, with often (revised more often than those of all units; p, q)."""
        return self.parts["units"]

    @property
    def lateness(self) -> Result:
        """Who reports late more often than all units: period, level, unit, months, months_late (half of the values or more were
        late), days_median, p, q, often, reason.
        """
        return self.parts["lateness"]

    @property
    def digits(self) -> Result:
        """Heaping of last digits by indicator: period, code, digit, n tested, share, interval, expected, p, q, heaped, reason."""
        return self.parts["digits"]

    @property
    def unit_digits(self) -> Result:
        """Heaping of last digits by unit, against the other units on the same indicators."""
        return self.parts["unit_digits"]


def review_audit(branches: Indicators, *, below: str = ALL) -> ReviewAudit:
    """Audit how indicator values went through 支部上报, 管理部门审查, 专责汇总 and 领导审核发布.

    Whether a unit's values are revised (or late) more often than those of all units of its level is a one-sided exact test
    (Fisher 1935), widened by the overdispersion of units (Spiegelhalter 2005) and corrected for many comparisons
    (Benjamini and Hochberg 1995, ``[change] false_discovery``). A finding is a reason to look at the records with the unit, no
    proof of anything. Heaping of last digits: see :func:`dj_analysis.judge.digits.digit_tables`.

    Parameters
    ----------
    branches
        ``ws.indicators("2026-09")``, or of a span of months. Indicators about persons are left out: a revision would tell a
        value that disclosure control may hide. A value marked 不适用 did not enter the review.
    below
        Count the values of one unit and the units below it; they are still held against all units of their level.

    Returns
    -------
    ReviewAudit
        Where no stage before the release was kept, its rows say so; heaping is looked for all the same.

    References
    ----------
    Wilson (1927); Fisher (1935), The Design of Experiments; Benjamini and Hochberg (1995); Spiegelhalter (2005), Funnel plots,
    Statistics in Medicine 24:1185.

    Examples
    --------
    >>> methods.review_audit(ws.indicators("2026-09")).table[["stage", "revised", "share"]]  # doctest: +SKIP
    """
    spec, period = branches.spec, branches.period
    rule, discovery = spec.rules.review, spec.rules.change.false_discovery
    steps = review_steps(branches)
    own = _inside(branches, below)
    counted = steps[steps["unit"].isin(own)] if own is not None else steps
    common: dict[str, Any] = {
        "period": period, "about": "units", "programme": "indicators", "spec": spec, "periods": tuple(branches.occasions),
        "basis": bases_of(branches), "n": None,
    }  # fmt: skip
    units = _often_revised(_summary(steps, ["level", "unit", "stage"]), discovery)
    late = _often_late(steps, rule, discovery)
    codes, unit_digits = digit_tables(branches, own, discovery)
    if own is not None:
        units, late, unit_digits = (rows[rows["unit"].isin(own)] for rows in (units, late, unit_digits))
    parts = {
        "revisions": (_listed(counted), ("period", "rank", "level", "unit", "code", "stage"), LISTED),
        "codes": (_summary(counted, ["code", "stage"]), ("period", "code", "stage"), STATISTICS),
        "units": (units, ("period", "level", "unit", "stage"), (*STATISTICS, *JUDGED)),
        "lateness": (late, ("period", "level", "unit"), LATENESS),
        "digits": (codes, ("period", "code", "digit"), DIGITS),
        "unit_digits": (unit_digits, ("period", "level", "unit", "digit"), DIGITS),
    }
    results = {name: _result(rows, keys, columns, period, common) for name, (rows, keys, columns) in parts.items()}
    table = _summary(counted, ["stage"]).set_index("stage").reindex([*REVIEW_STAGES, OVERALL]).reset_index()
    table["entered"] = table["entered"].fillna(0.0)
    table.loc[table["entered"] == 0, "reason"] = "no_stage_rows"
    whole = _result(table, KEYS, STATISTICS, period, common)
    return ReviewAudit(whole.table, KEYS, STATISTICS, parts=results, **common)


def _inside(branches: Indicators, below: str) -> set[str] | None:
    """Return the unit and the units below it; None for the whole."""
    if below == ALL:
        return None
    units = branches.spec.units.at(branches.period)
    return {units[below].unit, *(unit.unit for unit in units.below(below))}


def _result(
    rows: pd.DataFrame, keys: tuple[str, ...], columns: Sequence[str], period: str, common: dict[str, Any]
) -> Result:
    table = rows if "period" in rows else rows.assign(period=period)
    table = table.assign(reason=table["reason"].fillna("") if "reason" in table else "")
    return Result(joined([table[[*keys, *columns, "reason"]].reset_index(drop=True)]), keys, tuple(columns), **common)


def _summary(steps: pd.DataFrame, by: list[str]) -> pd.DataFrame:
    """Return the statistics of every group of steps, in the order of the stages."""
    known = steps[["compared", "revised", "filled", "removed", "misdated"]].astype("float64")
    frame = steps[by].assign(**known, blank=steps["blank"].astype("float64"), entered=1.0)
    frame["revision"] = steps["revision"].where(steps["revised"])
    frame["revision_size"] = frame["revision"].abs()
    frame["days_median"] = frame["days_most"] = steps["days"]
    frame["late"] = (
        (steps["days"] > steps["limit"]).astype("float64").where(steps["days"].notna() & (steps["limit"] > 0))
    )
    groups = frame.groupby(by, sort=False, observed=True)
    table = groups.agg(
        entered=("entered", "sum"), blank=("blank", "mean"), compared=("compared", "sum"), revised=("revised", "sum"),
        revision=("revision", "mean"), revision_size=("revision_size", "mean"), filled=("filled", "sum"),
        removed=("removed", "sum"), days_median=("days_median", "median"), late=("late", "mean"), misdated=("misdated", "sum"),
    )  # fmt: skip
    table["days_most"] = groups["days_most"].quantile(MOST_DAYS)
    table = table.reset_index()
    compared, revised = table["compared"].to_numpy(float), table["revised"].to_numpy(float)
    table["share"] = np.divide(revised, compared, out=np.full(len(table), np.nan), where=compared > 0)
    table["low"], table["high"] = shares_interval(revised, compared)
    first, undated = table["stage"] == REVIEW_STAGES[0], table["days_median"].isna()
    table["reason"] = np.where(first & undated, "first_stage;no_times", np.where(first, "first_stage", ""))
    table.loc[~first & undated, "reason"] = "no_times"
    return table


def _listed(steps: pd.DataFrame) -> pd.DataFrame:
    """List every revision, the largest first; those whose size has no common measure come last."""
    rows = steps[steps["revised"] & (steps["stage"] != OVERALL)]
    size = np.where(rows["revision"].isna(), -1.0, rows["revision"].abs())
    rows = rows.iloc[np.lexsort((rows["code"], rows["unit"], rows["month"], -size))]
    return rows.rename(columns={"month": "period"}).assign(rank=np.arange(1.0, len(rows) + 1))


def _often_revised(units: pd.DataFrame, discovery: float) -> pd.DataFrame:
    """Say whose values are revised more often than those of all units of the level at this stage."""
    units = units[units["stage"] != OVERALL].reset_index(drop=True)
    p = pd.Series(np.nan, index=units.index)
    for _, group in units.groupby(["level", "stage"]):
        p[group.index] = more_often(group["revised"].to_numpy(float), group["compared"].to_numpy(float))
    return _judged(units, p, discovery)


def _often_late(steps: pd.DataFrame, rule: ReviewRule, discovery: float) -> pd.DataFrame:
    """Say who reports late in more months than all units: the values a unit sends in together are one occasion."""
    rows = steps[(steps["stage"] == REVIEW_STAGES[0]) & steps["days"].notna()]
    days = rows.groupby(["level", "unit", "month"], sort=False)["days"].median().reset_index()
    days["late"] = (days["days"] > rule.reported).astype("float64")
    groups = days.groupby(["level", "unit"], sort=False)
    late = groups.agg(
        months=("late", "size"), months_late=("late", "sum"), days_median=("days", "median")
    ).reset_index()
    late["months"] = late["months"].astype("float64")
    p = pd.Series(np.nan, index=late.index)
    if not rule.reported:
        return _judged(late.assign(months_late=np.nan, reason="no_day_limit"), p, discovery)
    for _, group in late.groupby("level"):
        p[group.index] = more_often(group["months_late"].to_numpy(float), group["months"].to_numpy(float))
    return _judged(late, p, discovery)


def _judged(table: pd.DataFrame, p: pd.Series, discovery: float) -> pd.DataFrame:
    q = q_values(p)
    return table.assign(p=p, q=q, often=(q <= discovery).astype("boolean").mask(q.isna()))


def more_often(count: np.ndarray, n: np.ndarray) -> np.ndarray:
    """Return for each unit the one-sided p of having so many among its n, given those of all units together.

    Parameters
    ----------
    count, n
        Of each unit; whole numbers.

    Returns
    -------
    numpy.ndarray
        Hypergeometric upper tail (Fisher 1935), its z divided by √φ, where φ ≥ 1 is the mean of the squared mid-p z-scores of the
        units, the tenth at each end drawn in (Spiegelhalter 2005) and the mean set right for it (÷ .6787). NaN for units without a value, and for all of them
        where there are fewer than three.
    """
    p, counted = np.full(len(n), np.nan), n > 0
    if counted.sum() < FEWEST_UNITS:
        return p
    k, own = count[counted], n[counted]
    chance = stats.hypergeom(own.sum(), k.sum(), own)
    exact = chance.sf(k - 1)
    scatter = stats.norm.isf(np.clip(exact - chance.pmf(k) / 2, 1e-15, 1 - 1e-15))
    scatter = np.clip(scatter, *np.quantile(scatter, [TAIL, 1 - TAIL]))
    spread = np.sqrt(max(1.0, float((scatter**2).mean()) / DRAWN_IN))
    p[counted] = stats.norm.sf(stats.norm.isf(exact) / spread)
    return p
