"""Evaluation of units selected for low values: their change beside regression to the mean."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from ..errors import DataError, Problems, UsageError
from ..result import Result
from ..spec.units import ALL
from .differences_in_differences import PanelEstimate
from .effect_source import UnitSeries, span_text
from .effect_tables import (
    CONFIDENCE,
    Effect,
    check_row,
    effect_row,
    fewest_people,
    head_of,
    is_after,
    note_missing_side,
    packed_effect,
)
from .regression_to_mean import SelectedChange, lowest_units, selected_change


def selected_effect(series: UnitSeries, lowest: int | None, start: str | None) -> Effect:
    """Hold the change of selected units against the line on which the others moved; None: the units with a start."""
    if start is None and not (series.table["start"] != "").any():
        raise UsageError("before_after: 给出 start 和 units 或 lowest (give start, and units or lowest)")
    begin = start if start is not None else str(series.table.loc[series.table["start"] != "", "start"].min())
    wide = series.table.pivot(index="unit", columns="period", values="value").reindex(columns=series.periods)
    after = is_after(pd.Series(series.periods), begin)
    if after.all() or not after.any():
        problems = Problems()
        note_missing_side(problems, "", pd.DataFrame({"period": series.periods}), after)
        problems.raise_if_any(DataError)
    earlier, later = wide.loc[:, ~after].iloc[:, -1], wide.loc[:, after].mean(axis=1)
    known = earlier.notna() & later.notna()
    x, y = earlier[known], later[known]
    chosen = (
        lowest_units(x.to_numpy(), lowest)
        if lowest
        else x.index.isin(series.table.loc[series.table["start"] != "", "unit"])
    )
    if not chosen.any():
        raise UsageError(
            "before_after: 所选单位没有前后两期的数值 (the units selected have no values before and after)"
        )
    told = selected_change(x.to_numpy(), y.to_numpy(), chosen)
    people = fewest_people(series, list(x.index), np.asarray(chosen))
    head, missing = head_of(series, "before_after", ALL), int((~known).sum())
    rows, checks = _selected_rows(told, people, int(np.sum(chosen)), len(x), missing)
    checks += [check_row(note, people[0], flag=note) for note in series.notes]
    together = frozenset((series.level, str(unit)) for unit in x.index)
    units = _units(series, head, x, y, told.line, np.asarray(chosen), together)
    return packed_effect(
        series, [head | row for row in rows], [head | one for one in checks], {"units": units}, together
    )


def _units(
    series: UnitSeries, head: dict[str, Any], x: pd.Series, y: pd.Series, line: np.ndarray, chosen: np.ndarray,
    together: frozenset[tuple[str, str]],
) -> Result:  # fmt: skip
    """Return the earlier and later value of each unit, and what the others make expect of it."""
    keys, names = (
        ("period", "level", "unit", "form", "code", "design"),
        ("n", "score_before", "score", "fitted", "selected"),
    )
    table = pd.DataFrame({"unit": x.index.astype("str"), "score_before": x.to_numpy(), "score": y.to_numpy()})
    table = table.assign(
        fitted=line, selected=chosen, reason="", **{name: head[name] for name in ("form", "code", "design")}
    )
    table["period"] = span_text([str(x.name), series.periods[-1]])
    table = table.assign(level=series.level, n=table["unit"].map(series.table.groupby("unit")["n"].min()).astype(float))
    return Result(table[[*keys, *names, "reason"]], keys, names, rests_on=together, **series.common)


def _selected_rows(
    told: SelectedChange, people: tuple[float, float], selected: int, units: int, missing: int
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    terms = {name: _t_interval(name, *getattr(told, part)) for name, part in _SELECTED.items()}
    explained = terms["beyond"].low <= 0 <= terms["beyond"].high
    verdict = "" if np.isnan(told.slope) else "is_regression_to_mean" if explained else "beyond_regression_to_mean"
    checks = [
        check_row("units_with", people[0], count=selected),
        check_row("units_without", people[0], count=units - selected),
        check_row("units_incomplete", people[0], count=missing, flag="units_incomplete" if missing else ""),
        check_row("stability", people[0], value=told.slope, flag=verdict),
    ]
    reason = "too_few_others" if np.isnan(told.slope) else ""
    if reason:
        return [effect_row("change", people[0], told.change[0], people[1], "", checks, reason)], checks
    method = {"change": "plain_change", "regression_to_mean": "line_of_others", "beyond": "line_of_others"}
    return [effect_row(name, people[0], term, people[1], method[name], checks) for name, term in terms.items()], checks


_SELECTED = {"change": "change", "regression_to_mean": "expected", "beyond": "beyond"}


def _t_interval(name: str, effect: float, se: float, df: float) -> PanelEstimate:
    usable = df >= 1 and se > 0
    half = float(stats.t.ppf(0.5 + CONFIDENCE / 2, df)) * se if usable else np.nan
    tested = usable and name == "beyond"  # the plain change of units selected for low values is not tested against 0
    p = float(2 * stats.t.sf(abs(effect) / se, df)) if tested else np.nan
    return PanelEstimate(
        effect, se if usable else np.nan, df if usable else np.nan, effect - half, effect + half, p, ""
    )
