"""Tracking of things promised or due: what was done in time, what is open, what is overdue."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

import numpy as np
import pandas as pd
from statsmodels.duration.survfunc import SurvfuncRight

from ..errors import UsageError
from ..measure.basis import Basis
from ..measure.inference.uncertainty import shares_interval
from ..measure.obligation_states import Obligations, day_of, where_they_stand
from ..measure.scores import joined
from ..result import Result
from ..spec import reasons
from ..spec.units import ALL

KEYS = ("period", "level", "unit", "kind", "obligation")
STATISTICS = ("label", "owner_role", "opened", "due", "status", "colour", "overdue_days")
COUNTS = ("obligations", "open", "closed", "fallen_due", "on_time", "overdue", "share", "low", "high")
AGEING = ("obligations", "closed", "days_median", "days_low", "days_high")


@dataclass(frozen=True)
class Tracked(Result):
    """Obligations as they stand on a day.

    ``.table``: period (month of the day), level, unit, kind, obligation, label, owner_role, opened, due (ISO days; ``""`` where
    there is none), status (state of its kind), colour (of the state of work; no warning), overdue_days (calendar days
    past the due day; NaN where it is not overdue).
    """

    @property
    def summary(self) -> Result:
        """By kind and unit, everything below a unit counted with it: period, level, unit, kind, obligations, open, closed,
        fallen_due (the due day is past), on_time (of these, done by then), overdue (open and not done), share (on_time of
        fallen_due) with its Wilson interval low, high.
        """
        return self.parts["summary"]

    @property
    def owners(self) -> Result:
        """The same by kind and owner_role."""
        return self.parts["owners"]

    @property
    def ageing(self) -> Result:
        """Days from opening to closing by kind: period, kind, obligations, closed, days_median with its interval days_low,
        days_high (Kaplan–Meier 1958; open ones are censored), reason where fewer than half would have closed.
        """
        return self.parts["ageing"]

    @property
    def overdue(self) -> Result:
        """The overdue rows of the table, the longest overdue first, with their place in ``number``."""
        return self.parts["overdue"]


def track(obligations: Obligations, asof: str | date) -> Tracked:
    """Tell how things promised or due stand on a day.

    An obligation is overdue when its due day is past, it is open, and it has reached no state that fulfils it (of measures:
    it was not started). On time is what was fulfilled by its due day, among those whose due day is past: what is still
    within its time counts neither way, and so does what was given up by then. Due days follow the Chinese working days,
    overdue days are those of the calendar.

    Parameters
    ----------
    obligations
        ``ws.obligations(kind="measure")``; without a kind those of every declared kind.
    asof
        The day, ISO; what was opened or entered later is left out.

    Returns
    -------
    Tracked
        About units, no persons; no rows where nothing was opened by then.

    References
    ----------
    Wilson (1927); Kaplan and Meier (1958), JASA 53:457; interval of the median by inverting the test (Brookmeyer and
    Crowley 1982).

    Examples
    --------
    >>> dj.track(ws.obligations(), asof="2026-09-30").table[["obligation", "status", "overdue_days"]]
    Empty DataFrame
    Columns: [obligation, status, overdue_days]
    Index: []
    """
    if not isinstance(obligations, Obligations):
        raise UsageError(
            f"track 需要 ws.obligations(…),不是 {type(obligations).__name__} (what ws.obligations returns is needed)"
        )
    day, spec = day_of(asof), obligations.spec
    month = f"{day:%Y-%m}"
    rows = where_they_stand(obligations, asof)
    units = spec.units
    levels = {unit: units[unit].level if unit in units else units.root.level for unit in rows["unit"].unique()}
    common: dict[str, Any] = {
        "period": month, "n": None, "about": "units", "programme": "obligations", "spec": spec, "periods": (month,),
        "basis": (Basis("obligations", month, spec, values=obligations.digest),),
    }  # fmt: skip
    table = rows[["kind", "obligation", "label", "owner_role", "status", "colour", "overdue_days"]].assign(
        period=month,
        level=rows["unit"].map(levels),
        unit=rows["unit"],
        opened=_iso(rows["opened"]),
        due=_iso(rows["due"]),
    )[[*KEYS, *STATISTICS]]
    late = table[rows["overdue"]].sort_values("overdue_days", ascending=False, kind="stable")
    late.insert(1, "number", np.arange(1, len(late) + 1))
    above = _with_units_above(rows, obligations, month)
    summary, owners = _counted(above, ["level", "unit", "kind"], month), _counted(rows, ["kind", "owner_role"], month)
    parts = {
        "summary": _result(summary, ("period", "level", "unit", "kind"), COUNTS, common),
        "owners": _result(owners, ("period", "kind", "owner_role"), COUNTS, common),
        "ageing": _result(_ageing(rows, day, month), ("period", "kind"), AGEING, common),
        "overdue": _result(late, ("period", "number", *KEYS[1:]), STATISTICS, common),
    }
    return Tracked(joined([table.reset_index(drop=True)]), KEYS, STATISTICS, parts=parts, **common)


def _result(
    table: pd.DataFrame, keys: tuple[str, ...], statistics: tuple[str, ...], common: Mapping[str, Any]
) -> Result:
    return Result(joined([table.reset_index(drop=True)]), keys, statistics, **common)


def _iso(days: pd.Series) -> pd.Series:
    return days.dt.strftime("%Y-%m-%d").fillna("").astype("str")


def _with_units_above(rows: pd.DataFrame, obligations: Obligations, month: str) -> pd.DataFrame:
    """Repeat every row for each unit above it; a unit that has ended lives on in the one it became."""
    units, successors = obligations.spec.units.at(month), obligations.spec.units.successors
    pairs = []
    for unit in rows["unit"].unique():
        here = unit if unit in units else successors.get(unit, unit)
        chain = dict.fromkeys([here, *units.ancestors(here)] if here in units else [here, ALL])
        pairs += [(unit, one, units[one].level if one in units else units.root.level) for one in chain]
    homes = pd.DataFrame(pairs, columns=["unit", "above", "level"])
    return rows.merge(homes, on="unit").drop(columns="unit").rename(columns={"above": "unit"})


def _counted(rows: pd.DataFrame, by: list[str], month: str) -> pd.DataFrame:
    """Count the obligations of each group, with the share done in time."""
    facts = rows[by].assign(
        obligations=1, open=rows["ended"].isna(), closed=rows["ended"].notna(), fallen_due=rows["fallen_due"],
        on_time=rows["on_time"], overdue=rows["overdue"],
    )  # fmt: skip
    counts = facts.groupby(by, sort=False).sum().astype("float64").reset_index()
    due, met = counts["fallen_due"].to_numpy(), counts["on_time"].to_numpy()
    with np.errstate(invalid="ignore"):
        counts["share"] = met / np.where(due > 0, due, np.nan)
    low, high = shares_interval(met, due)
    counts["low"], counts["high"] = np.where(due > 0, low, np.nan), np.where(due > 0, high, np.nan)
    return counts.assign(period=month)[["period", *by, *COUNTS]]


def _ageing(rows: pd.DataFrame, day: pd.Timestamp, month: str) -> pd.DataFrame:
    """Estimate the median days to close by kind, open obligations censored on the day."""
    days = (rows["ended"].fillna(day) - rows["opened"]).dt.days.to_numpy(float)
    closed, kinds = rows["ended"].notna().to_numpy(), rows["kind"].to_numpy()
    out = []
    for kind in rows["kind"].unique():
        own = kinds == kind
        median, low, high = _median(days[own], closed[own])
        reason = "" if median == median else reasons.FEWER_THAN_HALF_CLOSED
        out.append((month, kind, float(own.sum()), float(closed[own].sum()), median, low, high, reason))
    return pd.DataFrame(out, columns=["period", "kind", *AGEING, "reason"])


def _median(days: np.ndarray, closed: np.ndarray) -> tuple[float, float, float]:
    if not closed.any():
        return float("nan"), float("nan"), float("nan")
    curve = SurvfuncRight(days, closed.astype(int))
    with np.errstate(divide="ignore", invalid="ignore"):
        low, high = curve.quantile_ci(0.5)
    ends = [float(value) if np.isfinite(value) else float("nan") for value in (curve.quantile(0.5), low, high)]
    return ends[0], ends[1], ends[2]
