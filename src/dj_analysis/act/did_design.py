"""Evaluation by difference in differences: units with the measure against units without it, or not yet with it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from ..errors import DataError, Problems
from ..result import Result
from ..spec.units import ALL
from .differences_in_differences import FEW_UNITS, UnitPanel
from .effect_source import UnitSeries
from .effect_tables import (
    ALPHA,
    CONFIDENCE,
    HEAD,
    Effect,
    check_row,
    effect_row,
    fewest_people,
    head_of,
    is_after,
    packed_effect,
    range_of,
)


def difference_effect(series: UnitSeries, seed: int) -> Effect:
    """Compare units with the measure to the others; units that miss a period are left out."""
    wide, first, left = _complete(series)
    panel, periods = UnitPanel(wide.to_numpy(float), first), list(wide.columns)
    people = fewest_people(series, list(wide.index), first < len(periods))
    contrast = panel.contrast(panel.average_weights(), CONFIDENCE)
    staggered = len(panel.treated) > 1
    by_bootstrap = not staggered and contrast.method == "cluster" and len(first) < FEW_UNITS
    if by_bootstrap:
        contrast = panel.wild_bootstrap(CONFIDENCE, seed=seed)
    f, tested, p = panel.pre_trend()
    treated = int((first < len(periods)).sum())
    checks = [
        check_row("units_with", people[0], count=treated),
        check_row("units_without", people[0], count=len(first) - treated),
        check_row("units_incomplete", people[0], count=left, flag="units_incomplete" if left else ""),
        check_row("earlier_trend", people[0], value=f, p=p, flag=_trend_flag(tested, p)),
        *(check_row(note, people[0], flag=note) for note in series.notes),
    ]
    if contrast.method == "pooled":
        assumed = "few_treated" if panel.few_on_a_side else "equal_variances"
        checks.append(check_row("equal_variances", people[0], flag=assumed))
    head = head_of(series, "did", ALL)
    reason = "" if contrast.method else "too_few_units"
    row = head | effect_row("average", people[0], contrast, people[1], contrast.method, checks, reason)
    together = frozenset((series.level, str(unit)) for unit in wide.index)
    tables = {"event": _events(panel), "groups": _group_times(panel, periods)}
    parts = {name: _by_units(series, rows, head, people, together) for name, rows in tables.items()}
    return packed_effect(series, [row], [head | one for one in checks], parts, together)


def _trend_flag(tested: int, p: float) -> str:
    return "earlier_trend_untested" if not tested else "earlier_trend" if p < ALPHA else ""


def _complete(series: UnitSeries) -> tuple[pd.DataFrame, np.ndarray, int]:
    """Return units × periods without missing values, the place of each unit's first period, and how many units left."""
    wide = series.table.pivot(index="unit", columns="period", values="value").reindex(columns=series.periods)
    wide = wide.reindex(list(dict.fromkeys(series.table["unit"])))
    start = series.table.drop_duplicates("unit").set_index("unit")["start"].reindex(wide.index)
    first = np.array([_place_of(one, series.periods) for one in start])
    complete = wide.notna().all(axis=1).to_numpy()
    problems = Problems()
    if len(series.periods) < 2:
        problems.add("period", "one_period", "、".join(series.periods), ">= 2", "补上措施前后的时期 (add periods)")
    if (start == "").all():
        problems.add(
            "start",
            "nobody_treated",
            "",
            "start",
            "给出实施措施的单位和开始时期 (name units with the measure and its start)",
        )
    for unit in wide.index[complete & (first == 0)][:10]:
        problems.add(
            unit,
            "no_period_before",
            start[unit],
            f"> {series.periods[0]}",
            "补上之前的时期或去掉该单位 (add earlier periods, or leave it out)",
        )
    problems.raise_if_any(DataError)
    wide, first = wide[complete], first[complete]
    treated = first[first < len(series.periods)]
    if not len(treated):
        found = f"完整的{len(wide)}个/complete units: {len(wide)}"
        problems.add(
            "start",
            "no_treated_unit",
            found,
            ">= 1",
            "开始之前和之后都须有数值 (values before and after the start are needed)",
        )
    elif not (first > treated.min()).any():
        advice = "加上未实施或较晚实施的单位,或改用 its (add units without it or later, or use its)"
        problems.add("start", "nobody_to_compare", f"{len(first)}个单位同时开始/all start together", "", advice)
    problems.raise_if_any(DataError)
    return wide, first, int((~complete).sum())


def _place_of(start: str, periods: Sequence[str]) -> int:
    return len(periods) if start == "" else len(periods) - int(is_after(pd.Series(periods), start).sum())


def _events(panel: UnitPanel) -> pd.DataFrame:
    """Effects by periods since the start, keys first."""
    rows: list[dict[str, Any]] = [{"since": -1, "effect": 0.0, "reason": "reference_period"}]
    rows += [{"since": since, **_told(panel, weights)} for since, weights in panel.event_weights().items()]
    return pd.DataFrame(rows, columns=["since", *_NUMBERS]).sort_values("since", ignore_index=True)


def _group_times(panel: UnitPanel, periods: Sequence[str]) -> pd.DataFrame:
    """Effects of each start in each period, keys first."""
    rows = [
        {"start": periods[start], "at": periods[t], "units": panel.sizes[panel.starts.index(start)], **_told(panel, weights)}
        for (start, t), weights in panel.group_weights().items()
    ]  # fmt: skip
    return pd.DataFrame(rows, columns=["start", "at", "units", *_NUMBERS])


_NUMBERS = ("effect", "low", "high", "p", "reason")


def _told(panel: UnitPanel, weights: np.ndarray) -> dict[str, Any]:
    estimate = panel.contrast(weights, CONFIDENCE)
    return range_of(estimate) | {"reason": "" if estimate.method else "too_few_units"}


def _by_units(
    series: UnitSeries, rows: pd.DataFrame, head: dict[str, Any], people: tuple[float, float], together: frozenset[tuple[str, str]]
) -> Result:  # fmt: skip
    """Return a table of effects that all units took part in."""
    keys = [*HEAD, *(name for name in ("since", "start", "at") if name in rows)]
    names = ["n", "n_rest", *(name for name in ("units", "effect", "low", "high", "p") if name in rows)]
    table = rows.assign(**head, n=people[0], n_rest=people[1])[[*keys, *names, "reason"]]
    return Result(table, tuple(keys), tuple(names), rests_on=together, **series.common)
