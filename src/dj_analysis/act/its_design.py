"""Evaluation by interrupted time series: each unit with the measure against its own course before."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from ..errors import DataError, Problems, UsageError
from ..result import Result
from ..spec import reasons
from ..spec.periods import parse
from ..spec.units import ALL
from .effect_source import UnitSeries, span_text
from .effect_tables import (
    ALPHA,
    CONFIDENCE,
    Effect,
    check_row,
    effect_row,
    head_of,
    is_after,
    note_missing_side,
    packed_effect,
)
from .interrupted import (
    Impact,
    Interrupted,
    Season,
    SeriesDesign,
    segmented_counts,
    segmented_line,
    series_design,
    too_few_points,
)


def interrupted_effect(series: UnitSeries, impact: Impact, season: Season) -> Effect:
    """Evaluate every unit that has a start by its own series."""
    problems, rows, lines, looked = Problems(), [], [], []
    chosen = series.table[series.table["start"] != ""]
    if chosen.empty:
        raise UsageError("its: 给出 start,即措施开始的时期 (give start: the first period with the measure)")
    for unit, own in chosen.groupby("unit", sort=False):
        after = is_after(own["period"], str(own["start"].iloc[0]))
        if after.all() or not after.any():
            note_missing_side(problems, str(unit), own, after)
            continue
        head = head_of(series, "its", str(unit) or ALL) | {"period": span_text(list(own["period"]))}
        table, line, checks = _one_series(series, own.reset_index(drop=True), after, impact, season)
        rows += [head | one for one in table]
        lines.append(line.assign(**{name: head[name] for name in ("level", "unit", "form", "code", "design")}))
        looked += [head | one for one in checks]
    problems.raise_if_any(DataError)
    keys = ("period", "level", "unit", "form", "code", "design")
    names = ["n", "score", "fitted", "counterfactual", "counterfactual_low", "counterfactual_high", "with_measure"]
    drawn = pd.concat(lines, ignore_index=True)[[*keys, *names]]
    part = Result(drawn, keys, tuple(names), **series.common)
    return packed_effect(series, rows, looked, {"series": part})


def _one_series(
    series: UnitSeries, own: pd.DataFrame, after: np.ndarray, impact: Impact, season: Season
) -> tuple[list[dict[str, Any]], pd.DataFrame, list[dict[str, Any]]]:
    periods = own["period"].map(parse)
    first = int(periods[after].iloc[0].index)
    design, people = series_design(periods, first, season), float(own["n"].min())
    values, line = own["value"].to_numpy(float), own[["period", "n"]].assign(score=own["value"], with_measure=after)
    gaps = int(design.time[-1] - design.time[0] + 1 - len(values))
    checks = [
        check_row("periods_before", people, count=(~after).sum()),
        check_row("periods_after", people, count=after.sum()),
        check_row("periods_missing", people, count=gaps, flag="periods_missing" if gaps else ""),
        *(check_row(note, people, flag=note) for note in series.notes),
    ]
    empty = dict.fromkeys(("fitted", "counterfactual", "counterfactual_low", "counterfactual_high"), np.nan)
    if too_few_points(design, "level"):
        row = effect_row("change", people, _plain_change(series, own, after), reason="too_few_points", checks=checks)
        return [row], line.assign(**empty), checks
    fitted = _segmented(series, own, design, impact)
    if not fitted.terms[0].se > 1e-9 * max(1.0, float(np.abs(values).max())):
        row = effect_row("level", people, fitted.terms[0].effect, reason=reasons.SAME_EVERY_MONTH, checks=checks)
        return [row], line.assign(**empty), checks
    terms = list(fitted.terms)
    if impact == "level" and not too_few_points(design, "level_and_slope"):
        terms.append(_segmented(series, own, design, "level_and_slope").terms[1])
    line = line.assign(
        fitted=fitted.fitted, counterfactual=fitted.counterfactual, counterfactual_low=fitted.low,
        counterfactual_high=fitted.high,
    )  # fmt: skip
    line.loc[~after, ["counterfactual_low", "counterfactual_high"]] = np.nan
    checks += _model_checks(fitted, design, people)
    rows = [effect_row(term.name, people, term, method=fitted.method, checks=checks) for term in terms]
    return rows, line, checks


def _segmented(series: UnitSeries, own: pd.DataFrame, design: SeriesDesign, impact: Impact) -> Interrupted:
    values = own["value"].to_numpy(float)
    if series.counts:
        return segmented_counts(values, own["exposure"].to_numpy(float), design, impact, CONFIDENCE)
    return segmented_line(values, design, impact, CONFIDENCE)


def _model_checks(fitted: Interrupted, design: SeriesDesign, people: float) -> list[dict[str, Any]]:
    unmodelled = design.season == "auto" and design.steps > 1 and not fitted.season
    checks = [check_row("season", people, count=float(fitted.season), flag="season_not_in_model" if unmodelled else "")]
    if fitted.method == "quasi_poisson":
        serial = fitted.serial_p < ALPHA
        checks.append(check_row("dispersion", people, value=fitted.dispersion))
        checks.append(check_row("autocorrelation", people, p=fitted.serial_p, flag="autocorrelated" if serial else ""))
    else:
        checks.append(check_row("newey_west_lag", people, count=fitted.lag))
        checks.append(check_row("autocorrelation", people, value=fitted.rho))
    return checks


def _plain_change(series: UnitSeries, own: pd.DataFrame, after: np.ndarray) -> float:
    """Mean after less mean before; of counts the ratio of their rates."""
    if series.counts:
        sums = [own.loc[side, ["value", "exposure"]].sum() for side in (after, ~after)]
        rates = [side["value"] / side["exposure"] for side in sums]
        return float(rates[0] / rates[1]) if rates[1] > 0 else float("nan")
    return float(own.loc[after, "value"].mean() - own.loc[~after, "value"].mean())
