"""The table of an evaluation, whatever its design: effects, what was checked, what limits them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from ..errors import Problems
from ..result import Result
from ..spec import reasons
from ..spec.periods import parse
from ..spec.units import ALL
from .effect_source import UnitSeries

KEYS = ("period", "level", "unit", "by", "form", "code", "design", "term")
STATISTICS = ("n", "n_rest", "effect", "se", "df", "low", "high", "p", "method", "checks")
HEAD = KEYS[:-1]
CONFIDENCE = 0.95
ALPHA = 0.05  # of the checks: autocorrelation, earlier trends


@dataclass(frozen=True)
class Effect(Result):
    """What changed with a measure.

    ``.table``: period (the span looked at), level, unit (the whole where units are judged together), by (the level of
    the units compared), form, code, design, term, n (fewest people
    behind the units with the measure in a period; missing where nobody was asked), n_rest (behind the others), effect, se, df, low, high (95 %), p,
    method, checks (codes of what limits the statement, joined by ``;``), reason. The first row is the effect.

    ``term``: ``level`` (change of level at the start; of counts with exposure the ratio of rates), ``slope`` (change of trend, a period;
    from the model with both), ``average`` (difference in differences, points), ``change`` (plain before–after), ``regression_to_mean``
    (what it would be with no effect), ``beyond`` (change less that).
    """

    @property
    def checked(self) -> Result:
        """What was looked at: the keys without term, check, n, count, value, p, reason (where it limits the statement)."""
        return self.parts["checked"]


def is_after(periods: pd.Series, start: str) -> np.ndarray:
    """Tell which periods begin with or after the start."""
    first = parse(start).start
    return np.array([parse(one).start >= first for one in periods], dtype=bool)


def note_missing_side(problems: Problems, unit: str, own: pd.DataFrame, after: np.ndarray) -> None:
    """Note a series that lies on one side of the start."""
    rule, side = ("no_period_before", "之前 (before)") if after.all() else ("no_period_after", "之后 (from it on)")
    found = f"{own['period'].iloc[0]}–{own['period'].iloc[-1]}"
    problems.add(
        unit or "period",
        rule,
        found,
        f"开始{side}的时期/periods",
        "改 start 或补上时期 (another start, or more periods)",
    )


def head_of(series: UnitSeries, design: str, unit: str) -> dict[str, Any]:
    """Return the keys of a row, its term apart; ``ALL`` where units are judged together."""
    whole = unit == ALL
    level = series.root_level if whole else series.level
    by = series.level if design != "its" else ""
    return dict(zip(HEAD, (series.common["period"], level, unit, by, series.form, series.code, design), strict=True))


def range_of(estimate: Any) -> dict[str, float]:
    """Return effect, range and p of an estimate."""
    return {name: getattr(estimate, name) for name in ("effect", "low", "high", "p")}


def effect_row(
    term: str, people: float, told: Any, rest: float = np.nan, method: str = "", checks: Sequence[dict[str, Any]] = (), reason: str = ""
) -> dict[str, Any]:  # fmt: skip
    """Return one row of the table; a bare number is told without error."""
    flags = ";".join(one["flag"] for one in checks if one["flag"])
    row: dict[str, Any] = {
        "term": term,
        "n": people,
        "n_rest": rest,
        "method": method,
        "checks": flags,
        "reason": reason,
    }
    if isinstance(told, float):
        return (
            row | dict.fromkeys(("se", "df", "low", "high", "p"), np.nan) | {"effect": told, "method": "plain_change"}
        )
    return row | range_of(told) | {"se": told.se, "df": told.df}


def check_row(
    check: str, people: float, *, count: float = np.nan, value: float = np.nan, p: float = np.nan, flag: str = ""
) -> dict[str, Any]:
    """Return what was checked; ``flag`` is the code of what it limits."""
    return {"check": check, "n": people, "count": float(count), "value": float(value), "p": p, "flag": flag}


def packed_effect(
    series: UnitSeries, rows: list[dict[str, Any]], looked: list[dict[str, Any]], parts: dict[str, Result],
    rests_on: frozenset[tuple[str, str]] = frozenset(),
) -> Effect:  # fmt: skip
    """Return the result of the rows of effects, with what was looked at among its parts.

    ``rests_on``: the units judged together; none where each row is about its own unit.
    """
    table = pd.DataFrame(rows)
    table["reason"] = table["reason"].where(table["reason"] == "", reasons.DESCRIPTION_ONLY + ";" + table["reason"])
    names = ["n", "count", "value", "p", "flag"]
    checked = pd.DataFrame(looked)[[*HEAD, "check", *names]].rename(columns={"flag": "reason"})
    part = Result(checked, (*HEAD, "check"), tuple(names[:-1]), rests_on=rests_on, **series.common)
    return Effect(
        table[[*KEYS, *STATISTICS, "reason"]], KEYS, STATISTICS, parts={"checked": part, **parts}, rests_on=rests_on,
        **series.common,
    )  # fmt: skip


def fewest_people(series: UnitSeries, units: Sequence[str], treated: np.ndarray) -> tuple[float, float]:
    """Return the fewest people in a period behind the units with the measure, and behind the others."""
    sides = dict(zip(units, treated, strict=True))
    own = series.table[series.table["unit"].isin(list(units))]
    summed = own.groupby([own["unit"].map(sides), "period"])["n"].sum(min_count=1).groupby(level=0).min()
    return float(summed.get(True, np.nan)), float(summed.get(False, np.nan))
