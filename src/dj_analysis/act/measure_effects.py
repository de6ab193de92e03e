"""Whether a measure helped: the change after it beside what would have come without it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pandas as pd
from scipy import stats

from ..errors import DataError, Problems, UsageError, unknown
from ..result import Result
from ..spec import reasons
from ..spec.periods import parse
from ..spec.units import ALL
from .differences_in_differences import FEW_UNITS, PanelEstimate, UnitPanel
from .effect_source import UnitSeries, unit_series
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
from .regression_to_mean import SelectedChange, lowest_units, selected_change

Design = Literal["its", "did", "before_after"]
DESIGNS = ("its", "did", "before_after")

KEYS = ("period", "level", "unit", "by", "form", "code", "design", "term")
STATISTICS = ("n", "n_rest", "effect", "se", "df", "low", "high", "p", "method", "checks")
CONFIDENCE = 0.95
ALPHA = 0.05  # of the checks: autocorrelation, earlier trends
_HEAD = ("period", "level", "unit", "by", "form", "code", "design")


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
        """What was looked at: the keys without term, check, n, value, p, reason (where it limits the statement)."""
        return self.parts["checked"]


def evaluate(
    source: Any,
    design: Design = "its",
    *,
    start: str | None = None,
    units: str | Sequence[str] | None = None,
    lowest: int | None = None,
    level: str | None = None,
    code: str | None = None,
    below: str = ALL,
    impact: Impact = "level",
    season: Season = "auto",
    seed: int = 0,
) -> Effect:
    """Evaluate a measure by one of three designs.

    ``its`` (interrupted time series): one series a unit; change of level, and of slope, at ``start``, over trend and season.
    ``did`` (difference in differences): units with the measure against units without it, or not yet with it; unit and time effects, errors
    clustered by unit, a wild bootstrap under 30 units, starts at different times by group-time effects (Callaway and
    Sant'Anna 2021). ``before_after``: units selected for low values, their change beside what regression to the mean
    makes of it with no effect at all.

    Parameters
    ----------
    source
        Any dataframe: period, value; for ``did`` unit, and start (the first period with the measure, blank: never) unless ``start`` and
        ``units`` are given; exposure makes values counts (``its``). Such a table is about units and is for looking: it does not rest
        on a workspace's data and cannot be released. Or what :func:`dj_analysis.trend` returned, or scores of branch indicators over
        a span, with ``start`` and ``units``: these are released as their scores are.
    start
        First period with the measure, of the kind of the periods or a finer one.
    units
        Units with the measure (for ``before_after`` those selected).
    lowest
        ``before_after``: the so many lowest units of the last period before ``start`` were selected.
    level, code, below
        Level and code of a result, by default the finest level and the top; only units below one unit.
    impact
        ``its``: what the measure is expected to do, chosen before looking (Lopez Bernal et al. 2017): ``level`` takes the level from a model
        without a change of slope, and tells the slope from the wider model beside it.
    season
        Course of the year in the model: ``auto`` (pairs of sine and cosine for months, a level for each quarter or half year, from two
        full years before the start on), ``harmonics``, ``dummies``, ``none``.
    seed
        Of the wild bootstrap.

    Returns
    -------
    Effect
        Too few points or units: the plain change with no interval and no p, 仅作情况描述, with the reason. Parts: ``checked``;
        ``series`` (its: score, fitted, counterfactual); ``event`` (did: effect by periods since the start), ``groups`` (did: group-time
        effects); ``units`` (before_after).

    Raises
    ------
    DataError
        Everything wrong with the table at once: duplicates, several kinds of periods, no period before or after the start, units that
        have the measure from their first period on, nobody to compare with.

    Examples
    --------
    >>> months = [f"{year}-{month:02d}" for year in (2024, 2025) for month in range(1, 13)]
    >>> rates = pd.DataFrame({"period": months, "value": [60 + i % 3 + 9 * (i >= 14) for i in range(24)]})
    >>> dj.evaluate(rates, "its", start="2025-03", season="none").table[["term", "effect"]].round(1).values.tolist()
    [['level', 9.0], ['slope', 0.0]]
    """
    if design not in DESIGNS:
        raise unknown("design", design, DESIGNS)
    series = unit_series(source, start, units if lowest is None else None, level=level, code=code, below=below)
    if lowest is not None and design != "before_after":
        raise UsageError("lowest: 只用于 before_after (for before_after only)")
    if series.counts and design != "its":
        raise UsageError("exposure: 计数和人时只用于 its (counts with exposure are for its only)")
    if design == "its":
        return _its(series, impact, season)
    if design == "did":
        return _did(series, seed)
    return _before_after(series, lowest, start)


# --- Interrupted time series ------------------------------------------------------------------------------------------


def _its(series: UnitSeries, impact: Impact, season: Season) -> Effect:
    problems, rows, lines, looked = Problems(), [], [], []
    chosen = series.table[series.table["start"] != ""]
    if chosen.empty:
        raise UsageError("its: 给出 start,即措施开始的时期 (give start: the first period with the measure)")
    for unit, own in chosen.groupby("unit", sort=False):
        after = _is_after(own["period"], str(own["start"].iloc[0]))
        if after.all() or not after.any():
            _no_side(problems, str(unit), own, after)
            continue
        head = _head(series, "its", str(unit) or ALL)
        table, line, checks = _one_series(series, own.reset_index(drop=True), after, impact, season)
        rows += [head | one for one in table]
        lines.append(line.assign(**{name: head[name] for name in ("level", "unit", "form", "code", "design")}))
        looked += [head | one for one in checks]
    problems.raise_if_any(DataError)
    keys = ("period", "level", "unit", "form", "code", "design")
    names = ["n", "score", "fitted", "counterfactual", "counterfactual_low", "counterfactual_high", "with_measure"]
    drawn = pd.concat(lines, ignore_index=True)[[*keys, *names]]
    part = Result(drawn, keys, tuple(names), **series.common)
    return _effect(series, rows, looked, {"series": part}, together=())


def _one_series(
    series: UnitSeries, own: pd.DataFrame, after: np.ndarray, impact: Impact, season: Season
) -> tuple[list[dict[str, Any]], pd.DataFrame, list[dict[str, Any]]]:
    periods = own["period"].map(parse)
    first = int(periods[after].iloc[0].index)
    design, people = series_design(periods, first, season), float(own["n"].min())
    values, line = own["value"].to_numpy(float), own[["period", "n"]].assign(score=own["value"], with_measure=after)
    gaps = int(design.time[-1] - design.time[0] + 1 - len(values))
    checks = [
        _check("periods_before", people, value=(~after).sum()),
        _check("periods_after", people, value=after.sum()),
        _check("periods_missing", people, value=gaps, flag="periods_missing" if gaps else ""),
        *(_check(note, people, flag=note) for note in series.notes),
    ]
    empty = dict.fromkeys(("fitted", "counterfactual", "counterfactual_low", "counterfactual_high"), np.nan)
    if too_few_points(design, "level"):
        row = _row("change", people, _plain_change(series, own, after), reason="too_few_points", checks=checks)
        return [row], line.assign(**empty), checks
    fitted = _segmented(series, own, design, impact)
    terms = list(fitted.terms)
    if impact == "level" and not too_few_points(design, "level_and_slope"):
        terms.append(_segmented(series, own, design, "level_and_slope").terms[1])
    line = line.assign(
        fitted=fitted.fitted, counterfactual=fitted.counterfactual, counterfactual_low=fitted.low,
        counterfactual_high=fitted.high,
    )  # fmt: skip
    line.loc[~after, ["counterfactual_low", "counterfactual_high"]] = np.nan
    checks += _model_checks(fitted, design, people)
    rows = [_row(term.name, people, term, method=fitted.method, checks=checks) for term in terms]
    return rows, line, checks


def _segmented(series: UnitSeries, own: pd.DataFrame, design: SeriesDesign, impact: Impact) -> Interrupted:
    values = own["value"].to_numpy(float)
    if series.counts:
        return segmented_counts(values, own["exposure"].to_numpy(float), design, impact, CONFIDENCE)
    return segmented_line(values, design, impact, CONFIDENCE)


def _model_checks(fitted: Interrupted, design: SeriesDesign, people: float) -> list[dict[str, Any]]:
    unmodelled = design.season == "auto" and design.steps > 1 and not fitted.season
    checks = [_check("season", people, value=float(fitted.season), flag="season_not_in_model" if unmodelled else "")]
    if fitted.method == "quasi_poisson":
        serial = fitted.serial_p < ALPHA
        checks.append(_check("dispersion", people, value=fitted.dispersion))
        checks.append(_check("autocorrelation", people, p=fitted.serial_p, flag="autocorrelated" if serial else ""))
    else:
        checks.append(_check("newey_west_lag", people, value=fitted.lag))
        checks.append(_check("autocorrelation", people, value=fitted.rho))
    return checks


def _plain_change(series: UnitSeries, own: pd.DataFrame, after: np.ndarray) -> float:
    """Mean after less mean before; of counts the ratio of their rates."""
    if series.counts:
        sums = [own.loc[side, ["value", "exposure"]].sum() for side in (after, ~after)]
        rates = [side["value"] / side["exposure"] for side in sums]
        return float(rates[0] / rates[1]) if rates[1] > 0 else float("nan")
    return float(own.loc[after, "value"].mean() - own.loc[~after, "value"].mean())


# --- Difference in differences ----------------------------------------------------------------------------------------


def _did(series: UnitSeries, seed: int) -> Effect:
    wide, first, left = _complete(series)
    panel, periods = UnitPanel(wide.to_numpy(float), first), list(wide.columns)
    people = _people(series, list(wide.index), first < len(periods))
    contrast = panel.contrast(panel.average_weights(), CONFIDENCE)
    staggered = len(panel.treated) > 1
    by_bootstrap = not staggered and contrast.method == "cluster" and len(first) < FEW_UNITS
    if by_bootstrap:
        contrast = panel.wild_bootstrap(CONFIDENCE, seed=seed)
    f, tested, p = panel.pre_trend()
    treated = int((first < len(periods)).sum())
    checks = [
        _check("units_with", people[0], value=treated),
        _check("units_without", people[0], value=len(first) - treated),
        _check("units_incomplete", people[0], value=left, flag="units_incomplete" if left else ""),
        _check("few_treated", people[0], flag="few_treated" if contrast.method and panel.few_on_a_side else ""),
        _check("earlier_trend", people[0], value=f, p=p, flag=_trend_flag(tested, p)),
        *(_check(note, people[0], flag=note) for note in series.notes),
    ]
    if staggered and contrast.method == "pooled" and not panel.few_on_a_side:
        checks.append(_check("equal_variances", people[0], flag="equal_variances"))
    head = _head(series, "did", ALL)
    reason = "" if contrast.method else "too_few_units"
    row = head | _row("average", people[0], contrast, people[1], contrast.method, checks, reason)
    parts = {
        "event": _events(series, panel, head, people),
        "groups": _group_times(series, panel, periods, head, people),
    }
    return _effect(series, [row], [head | one for one in checks], parts, together=STATISTICS)


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
    return len(periods) if start == "" else len(periods) - int(_is_after(pd.Series(periods), start).sum())


def _people(series: UnitSeries, units: Sequence[str], treated: np.ndarray) -> tuple[float, float]:
    """Return the fewest people in a period behind the units with the measure, and behind the others."""
    sides = dict(zip(units, treated, strict=True))
    own = series.table[series.table["unit"].isin(list(units))]
    summed = own.groupby([own["unit"].map(sides), "period"])["n"].sum(min_count=1).groupby(level=0).min()
    return float(summed.get(True, np.nan)), float(summed.get(False, np.nan))


def _events(series: UnitSeries, panel: UnitPanel, head: dict[str, Any], people: tuple[float, float]) -> Result:
    rows = [{"since": -1, "effect": 0.0, "reason": "reference_period"}]
    for since, weights in panel.event_weights().items():
        contrast = panel.contrast(weights, CONFIDENCE)
        rows.append({"since": since, **_numbers(contrast), "reason": "" if contrast.method else "too_few_units"})
    return _by_units(series, rows, head, people, "since")


def _group_times(
    series: UnitSeries, panel: UnitPanel, periods: Sequence[str], head: dict[str, Any], people: tuple[float, float]
) -> Result:
    rows = []
    for (start, t), weights in panel.group_weights().items():
        contrast = panel.contrast(weights, CONFIDENCE)
        units = panel.sizes[panel.starts.index(start)]
        named = {"start": periods[start], "at": periods[t], "units": units, **_numbers(contrast)}
        rows.append(named | {"reason": "" if contrast.method else "too_few_units"})
    return _by_units(series, rows, head, people, "start", "at")


def _by_units(
    series: UnitSeries, rows: list[dict[str, Any]], head: dict[str, Any], people: tuple[float, float], *keys: str
) -> Result:
    """Return a table of effects that all units took part in."""
    names = ["n", "n_rest", *(["units"] if "start" in keys else []), "effect", "low", "high", "p"]
    table = pd.DataFrame(rows, columns=[*keys, *names[2:], "reason"]).sort_values(
        list(keys), kind="stable", ignore_index=True
    )
    table = table.assign(**head, n=people[0], n_rest=people[1])[[*_HEAD, *keys, *names, "reason"]]
    return Result(table, (*_HEAD, *keys), tuple(names), together=tuple(names), **series.common)


# --- Before and after, of selected units ------------------------------------------------------------------------------


def _before_after(series: UnitSeries, lowest: int | None, start: str | None) -> Effect:
    if start is None and not (series.table["start"] != "").any():
        raise UsageError("before_after: 给出 start 和 units 或 lowest (give start, and units or lowest)")
    begin = start if start is not None else str(series.table.loc[series.table["start"] != "", "start"].min())
    wide = series.table.pivot(index="unit", columns="period", values="value").reindex(columns=series.periods)
    after = _is_after(pd.Series(series.periods), begin)
    if after.all() or not after.any():
        problems = Problems()
        _no_side(problems, "", pd.DataFrame({"period": series.periods}), after)
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
    people = _people(series, list(x.index), np.asarray(chosen))
    head, missing = _head(series, "before_after", ALL), int((~known).sum())
    rows, checks = _selected_rows(told, people, int(np.sum(chosen)), len(x), missing)
    checks += [_check(note, people[0], flag=note) for note in series.notes]
    units = pd.DataFrame({"unit": x.index.astype("str"), "score_before": x.to_numpy(), "score": y.to_numpy()})
    units = units.assign(
        fitted=told.line, difference=units["score"] - units["score_before"], selected=chosen, reason=""
    )
    fewest = series.table.groupby("unit")["n"].min()
    units["n"] = units["unit"].map(fewest).astype(float)
    keys = ("period", "level", "unit", "form", "code", "design")
    names = ["n", "score_before", "score", "fitted", "difference", "selected"]
    units = units.assign(**{name: head[name] for name in keys if name not in ("unit", "level")}, level=series.level)
    part = Result(units[[*keys, *names, "reason"]], keys, tuple(names), together=("fitted",), **series.common)
    return _effect(
        series, [head | row for row in rows], [head | one for one in checks], {"units": part}, together=STATISTICS
    )


def _selected_rows(
    told: SelectedChange, people: tuple[float, float], selected: int, units: int, missing: int
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    terms = {name: _t_interval(name, *getattr(told, part)) for name, part in _SELECTED.items()}
    explained = terms["beyond"].low <= 0 <= terms["beyond"].high
    verdict = "" if np.isnan(told.slope) else "is_regression_to_mean" if explained else "beyond_regression_to_mean"
    checks = [
        _check("units_with", people[0], value=selected),
        _check("units_without", people[0], value=units - selected),
        _check("units_incomplete", people[0], value=missing, flag="units_incomplete" if missing else ""),
        _check("stability", people[0], value=told.slope, flag=verdict),
    ]
    reason = "too_few_others" if np.isnan(told.slope) else ""
    if reason:
        return [_row("change", people[0], told.change[0], people[1], "", checks, reason)], checks
    method = {"change": "plain_change", "regression_to_mean": "line_of_others", "beyond": "line_of_others"}
    return [_row(name, people[0], term, people[1], method[name], checks) for name, term in terms.items()], checks


_SELECTED = {"change": "change", "regression_to_mean": "expected", "beyond": "beyond"}


def _t_interval(name: str, effect: float, se: float, df: float) -> PanelEstimate:
    usable = df >= 1 and se > 0
    half = float(stats.t.ppf(0.5 + CONFIDENCE / 2, df)) * se if usable else np.nan
    tested = usable and name == "beyond"  # the plain change of units selected for low values is not tested against 0
    p = float(2 * stats.t.sf(abs(effect) / se, df)) if tested else np.nan
    return PanelEstimate(
        effect, se if usable else np.nan, df if usable else np.nan, effect - half, effect + half, p, ""
    )


# --- What the designs share -------------------------------------------------------------------------------------------


def _is_after(periods: pd.Series, start: str) -> np.ndarray:
    """Tell which periods begin with or after the start."""
    first = parse(start).start
    return np.array([parse(one).start >= first for one in periods], dtype=bool)


def _no_side(problems: Problems, unit: str, own: pd.DataFrame, after: np.ndarray) -> None:
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


def _head(series: UnitSeries, design: str, unit: str) -> dict[str, Any]:
    whole = unit == ALL
    level = series.root_level if whole else series.level
    by = series.level if design != "its" else ""
    return dict(zip(_HEAD, (series.common["period"], level, unit, by, series.form, series.code, design), strict=True))


def _numbers(contrast: Any) -> dict[str, float]:
    return {name: getattr(contrast, name) for name in ("effect", "low", "high", "p")}


def _row(
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
    return row | _numbers(told) | {"se": told.se, "df": told.df}


def _check(check: str, people: float, *, value: float = np.nan, p: float = np.nan, flag: str = "") -> dict[str, Any]:
    return {"check": check, "n": people, "value": float(value), "p": p, "flag": flag}


def _effect(
    series: UnitSeries, rows: list[dict[str, Any]], looked: list[dict[str, Any]], parts: dict[str, Result], together: tuple[str, ...]
) -> Effect:  # fmt: skip
    table = pd.DataFrame(rows)
    table["reason"] = table["reason"].where(table["reason"] == "", reasons.DESCRIPTION_ONLY + ";" + table["reason"])
    names = ["n", "value", "p", "flag"]
    checked = pd.DataFrame(looked)[[*_HEAD, "check", *names]].rename(columns={"flag": "reason"})
    part = Result(
        checked, (*_HEAD, "check"), tuple(names[:3]), together=tuple(names[:3]) if together else (), **series.common
    )
    return Effect(
        table[[*KEYS, *STATISTICS, "reason"]], KEYS, STATISTICS, parts={"checked": part, **parts}, together=together,
        **series.common,
    )  # fmt: skip
