"""Values of units over time for an evaluation, read and checked from a table or taken from results of this package."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from ..errors import DataError, Problems, UsageError, unknown
from ..judge.ranking import rows_below
from ..judge.series import Trend
from ..measure.engines import as_pandas, wrapped_frame
from ..measure.inference.shrinkage import left_out
from ..measure.linked_series import link_versions
from ..measure.scores import Scores
from ..result import Result
from ..spec.periods import is_period, order, parse, within
from ..spec.specification import Specification
from ..spec.units import ALL

#: Notes on what was left out, for the column checks.
LEFT_OUT_VERSIONS = "earlier_version_left_out"
LEFT_OUT_MISSING = "values_missing"
LEFT_OUT_TREATED = "treated_without_scores"


@dataclass(frozen=True)
class UnitSeries:
    """Values of units over periods.

    Attributes
    ----------
    table
        unit, period, value, n (people; NaN where there are none), exposure (NaN), start ("" where the unit never has the
        measure), by unit and in order of time; no missing value.
    common
        What a result takes over: period (the whole span), periods, about, programme, spec, withheld, basis.
    notes
        What was left out, as codes.
    counts
        Whether values are counts with an exposure.
    """

    table: pd.DataFrame
    level: str
    code: str
    form: str
    common: dict[str, Any] = field(repr=False)
    notes: tuple[str, ...] = ()
    counts: bool = False

    @property
    def periods(self) -> list[str]:
        """Periods with a value, in order."""
        return order(list(dict.fromkeys(self.table["period"])))

    @property
    def root_level(self) -> str:
        """Name of the level of the whole."""
        spec = self.common["spec"]
        return str(spec.units.at(self.periods[-1]).root.level) if spec.units.rows else self.level


def unit_series(
    source: Any,
    start: str | None,
    units: Sequence[str] | None,
    *,
    level: str | None,
    code: str | None,
    below: str = ALL,
) -> UnitSeries:
    """Read an evaluation's values.

    Parameters
    ----------
    source
        Any dataframe with period and value, unit, exposure and start where the design needs them; or what :func:`dj_analysis.trend`
        returned; or scores of branch indicators over a span.
    start
        First period with the measure of ``units`` (of all where None).

    Raises
    ------
    UsageError
        A source, level, code or unit that does not exist, results of a single period.
    DataError
        Everything wrong with the table, at once.
    """
    source = getattr(source, "result", source)  # what dj.protect returned: hidden rows have no score and take no part
    read = _of_result(source, level, code, below) if isinstance(source, Result) else _of_frame(source)
    return _with_start(read, start, units)


def _of_result(source: Result, level: str | None, code: str | None, below: str) -> UnitSeries:
    spec: Specification = source.spec
    linked = isinstance(source, Scores) and source.programme == "indicators" and "/" in source.period
    if not isinstance(source, Trend) and not linked:
        raise UsageError(
            'evaluate: 需要多期的结果:dj.trend([各期得分]),或 dj.score(ws.indicators("2025-08/2026-09"));或者一张表'
            " (results of several periods, or a table, are needed)"
        )
    table, last = source.table, source.periods[-1]
    units = spec.units.at(last)
    own_tree = [one for one in units.levels if one != units.root.level and units.tree_of(one) == units.trees[0]]
    there = set(table["level"].unique())
    levels = [one for one in own_tree if one in there]
    level = level or (levels[-1] if levels else str(units.root.level))
    code = code or _top(source, last)
    for what, name, known in (("层级/level", level, table["level"]), ("代码/code", code, table["code"])):
        if name not in known.unique():
            raise unknown(what, name, list(dict.fromkeys(known)))
    form, notes = "anchors" if (table["form"] == "anchors").any() else "full", []
    rows = table[(table["level"] == level) & (table["code"] == code) & (table["form"] == form)]
    if isinstance(source, Scores):
        months = within(source.period, [one for one in dict.fromkeys(table["period"]) if one != source.period])
        rows = rows[rows["period"].isin(months)]
        if any(link.code == code for link in source.version_links):
            line = link_versions(source, level, code=code).table
            rows = rows.drop(columns="score").merge(line[["period", "unit", "score"]], on=["period", "unit"])
    elif rows["version"].nunique() > 1:
        latest = rows.loc[rows["period"] == last, "version"]
        rows, notes = rows[rows["version"].isin(set(latest))], [LEFT_OUT_VERSIONS]
    rows = rows_below(rows.reset_index(drop=True), units, below)
    small = left_out(rows, source, ())
    # A hidden row has no number of people to compare, and no score.
    rows = rows[~small.fillna(True).to_numpy(bool) & rows["score"].notna().to_numpy()]
    series = pd.DataFrame(
        {"unit": rows["unit"].astype("str"), "period": rows["period"].astype("str"), "value": rows["score"].astype(float),
         "n": rows["n"].astype(float), "exposure": np.nan, "start": ""}
    )  # fmt: skip
    if series.empty:
        raise UsageError(f"evaluate: {level} {code} 没有可用的得分 (no scores that can be used)")
    common = {name: getattr(source, name) for name in ("about", "programme", "spec", "withheld", "basis", "periods")}
    return UnitSeries(
        _ordered(series), level, code, form, common | {"period": span_text(list(source.periods))}, tuple(notes)
    )


def _top(source: Result, period: str) -> str:
    spec: Specification = source.spec
    if source.programme == "survey":
        return spec.codebook.index or str(source.table["code"].iloc[0])
    return (spec.indicators.at(period).top if spec.indicators is not None else "") or str(source.table["code"].iloc[0])


def _of_frame(frame: Any) -> UnitSeries:
    table = as_pandas(wrapped_frame(frame))
    problems = Problems()
    for name in ("period", "value"):
        if name not in table:
            problems.add(
                "evaluate", "missing_column", name, "period, value; unit, exposure, start", "补上此列 (add it)"
            )
    problems.raise_if_any()
    read = pd.DataFrame({"period": [_period_text(one) for one in table["period"]]})
    unit = table["unit"] if "unit" in table else pd.Series("", index=table.index)
    read["unit"] = unit.astype("object").where(unit.notna(), "").astype("str").to_numpy()
    start = table["start"] if "start" in table else pd.Series("", index=table.index)
    read["start"] = ["" if pd.isna(one) or one == "" else _period_text(one) for one in start]
    for name in ("value", "exposure"):
        given = table[name] if name in table else pd.Series(np.nan, index=table.index)
        read[name] = pd.to_numeric(given, errors="coerce").to_numpy(float)
        for row in np.flatnonzero(given.notna().to_numpy() & np.isnan(read[name].to_numpy()))[:5]:
            problems.add(
                f"第{row + 1}行/row {name}",
                "not_a_number",
                given.iloc[row],
                "数 (number)",
                "改为数字或留空 (a number or blank)",
            )
    read["n"] = np.nan
    _check_rows(read, "exposure" in table, problems)
    problems.raise_if_any(DataError)
    missing = read["value"].isna() | (read["exposure"].isna() if "exposure" in table else False)
    read = read[~missing]
    if read.empty:
        raise DataError("evaluate: 没有数值 (there are no values)")
    periods = order(list(dict.fromkeys(read["period"])))
    common: dict[str, Any] = {
        "about": "units", "programme": "indicators", "spec": Specification(), "withheld": {}, "basis": (),
        "periods": tuple(periods), "period": span_text(periods),
    }  # fmt: skip
    notes = (LEFT_OUT_MISSING,) if missing.any() else ()
    return UnitSeries(_ordered(read), "unit", "", "", common, notes, "exposure" in table)


def _check_rows(read: pd.DataFrame, counts: bool, problems: Problems) -> None:
    """Note periods that are none or of several kinds, a unit twice in a period, starts that differ, counts that are none."""
    for name in ("period", "start"):
        for text in [one for one in dict.fromkeys(read[name]) if one and not is_period(one)][:5]:
            problems.add(name, "period", text, "2026, 2026H1, 2026Q3, 2026-09", "改写时期 (rewrite the period)")
    kinds = {parse(one).cycle for one in set(read["period"]) if is_period(one)}
    if len(kinds) > 1:
        problems.add(
            "period", "mixed_periods", "、".join(sorted(kinds)), "一种时期 (one kind)", "分开评价 (evaluate them apart)"
        )
    twice = read[read.duplicated(["unit", "period"], keep="first")]
    for row in twice.head(5).itertuples():
        problems.add(
            f"{row.unit} {row.period}".strip(),
            "duplicate",
            "两行以上/more than one row",
            "一行 (one)",
            "保留一行 (keep one)",
        )
    starts = read.groupby("unit")["start"].nunique()
    for unit in starts[starts > 1].index[:5]:
        problems.add(
            str(unit), "start", "多个开始时期/several starts", "一个 (one)", "一个单位一个开始时期 (one start a unit)"
        )
    if counts:
        bad = read[(read["value"] < 0) | (read["value"] % 1 != 0) & read["value"].notna() | (read["exposure"] <= 0)]
        for row in bad.head(5).itertuples():
            found = f"value {row.value:g}, exposure {row.exposure:g}"
            problems.add(
                f"{row.unit} {row.period}".strip(),
                "count",
                found,
                "value 为非负整数, exposure > 0",
                "改正 (correct it)",
            )


def _period_text(value: Any) -> str:
    """Write a period of a table: text as it stands, a date or pandas period as its month, quarter or year."""
    if isinstance(value, pd.Period):
        return str(value)
    if hasattr(value, "strftime"):
        return f"{value:%Y-%m}"
    if isinstance(value, (float, np.floating)) and float(value).is_integer():
        return str(int(value))
    return str(value).strip()


def _with_start(read: UnitSeries, start: str | None, units: Sequence[str] | None) -> UnitSeries:
    """Give the named units (all where none are named) the start that was given."""
    table, notes = read.table, read.notes
    if units is not None:
        given = [units] if isinstance(units, str) else list(units)
        known = set(table["unit"])
        if read.common["spec"].units.rows:
            given = [_code_of(one, known, read.common["spec"]) for one in given]
        absent = [one for one in given if one not in known]
        for one in absent:
            if one not in read.common["spec"].units:
                raise unknown("单位/unit", one, sorted(known))
        if absent and len(absent) == len(given):
            advice = "没有可用的得分(无数据或按规定不单列) (no scores: no data, or not shown by rule)"
            raise UsageError(f"{'、'.join(absent)}: {advice}")
        notes += (LEFT_OUT_TREATED,) if absent else ()
        if start is None and not table.loc[table["unit"].isin(given), "start"].any():
            raise UsageError("evaluate: 给出 start,即措施开始的时期 (give start: the first period with the measure)")
        table = table.assign(start=table["start"].where(table["unit"].isin(given), ""))
    if start is not None:
        parse(start)
        chosen = table["unit"].isin(given) if units is not None else pd.Series(True, index=table.index)
        table = table.assign(start=table["start"].mask(chosen, start))
    return UnitSeries(table, read.level, read.code, read.form, read.common, notes, read.counts)


def _code_of(name: str, known: set[str], spec: Specification) -> str:
    """Return the code of a unit that was named by code, name or alias."""
    return name if name in known else next(iter(spec.units.resolve([name]).values()), name)


def _ordered(table: pd.DataFrame) -> pd.DataFrame:
    ends = table["period"].map(lambda one: parse(one).end.toordinal())
    units = pd.Series(pd.factorize(table["unit"])[0], index=table.index)
    places = np.lexsort([ends.to_numpy(), units.to_numpy()])
    names = ["unit", "period", "value", "n", "exposure", "start"]
    return table.iloc[places][names].reset_index(drop=True)


def span_text(periods: list[str]) -> str:
    """Return the span of some periods of one kind as text; a single one is itself."""
    periods = order(periods)
    return periods[0] if len(periods) == 1 else f"{periods[0]}/{periods[-1]}"
