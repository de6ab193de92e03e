"""Scores of units from branch indicators: the same tree, on values of units, month by month."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import pandas as pd
from scipy import special

from ..errors import unknown
from ..result import Result
from ..spec import reasons
from ..spec.periods import parse, within
from ..spec.specification import Specification
from ..spec.units import Unit
from .basis import bases_of
from .inference.uncertainty import CONFIDENCE
from .linked_scores import VersionLink, linked_means
from .occasions import MonthsError, months_error
from .scores import KEYS, STATISTICS, Scores
from .survey import Indicators
from .unit_points import Occasion, occasion
from .version_links import scatter_table, version_links, version_table


def score_indicators(data: Indicators, spec: Specification, by: Any) -> Scores:
    """Score the branch indicators of one period, or of a span of them; see :func:`dj_analysis.score`."""
    occasions = [occasion(data, spec, period) for period in data.occasions]
    wanted = within(data.period, data.occasions)
    units = spec.units.at(data.period)
    levels = units.levels if by is None else [by] if isinstance(by, str) else list(by)
    for level in levels:
        if level not in units.levels:
            raise unknown("层级/level", str(level), units.levels)
    levels = list(dict.fromkeys([units.root.level, *levels]))
    links = version_links(data, spec, occasions)
    tables: list[pd.DataFrame] = []
    for level in levels:
        tables += _level_tables(level, units.at_level(level), occasions, wanted, data.period, spec, links)
    order = {period: place for place, period in enumerate([*wanted, data.period])}
    tables.sort(key=lambda table: order[str(table["period"].iloc[0])] if len(table) else 0)  # one period each
    return _packed(pd.concat(tables, ignore_index=True), data, spec, links)


def _level_tables(
    level: str,
    rows: Sequence[Unit],
    occasions: Sequence[Occasion],
    wanted: Sequence[str],
    period: str,
    spec: Specification,
    links: Sequence[VersionLink],
) -> Iterable[pd.DataFrame]:
    """Return the rows of one level: of each period wanted, and of all of them together for a span."""
    names = [unit.unit for unit in rows]
    codes = list(dict.fromkeys(code for one in occasions for code in one.codes))
    stacked = (
        np.stack([one.laid_out(names, codes) for one in occasions])
        if occasions
        else np.empty((0, len(names), len(codes)))
    )
    calendar = np.array([parse(one.period).number for one in occasions])
    table = version_table(occasions, codes)
    scatter = scatter_table([one.period for one in occasions], codes, links)
    error = months_error(stacked, spec.rules.months, calendar, _numbered(table), scatter)
    for place, one in enumerate(occasions):
        if one.period in wanted:
            of_period = [code for code in one.tree.codes if code in codes]
            columns = pd.Index(codes).get_indexer(of_period)
            parts = {name: one.laid_out(names, of_period, name) for name in ("n", "se", "reason")}
            sd, df = (values[:, columns] for values in error.of_month(place))
            flat = (error.months[:, columns] >= spec.rules.months.least) & np.isnan(sd)
            yield _table(
                one.period, level, names, of_period, stacked[place][:, columns], sd, sd, df, flat=flat, **parts
            )
    if wanted != [period]:
        inside = np.array([one.period in wanted for one in occasions], dtype=bool)
        asked = (np.array(table, dtype=object).reshape(len(occasions), len(codes)) != "") & inside[:, None]
        yield _span_table(period, level, names, codes, stacked[inside], error, inside, asked, wanted, links, spec)


def _numbered(versions: list[list[str]]) -> np.ndarray:
    """Number the versions of each code."""
    columns = [pd.factorize(np.array(column, dtype=object))[0] for column in zip(*versions, strict=True)]
    return np.column_stack(columns) if columns else np.zeros((len(versions), 0), dtype=int)


def _span_table(
    period: str, level: str, names: list[str], codes: list[str], values: np.ndarray, error: MonthsError,
    inside: np.ndarray, asked: np.ndarray, periods: Sequence[str], links: Sequence[VersionLink], spec: Specification,
) -> pd.DataFrame:  # fmt: skip
    """Return the mean over the periods of a span, on the scale of its last version.

    A unit needs half of the periods; of a code that a later version added, half of those since.
    """
    mean, se, months = (np.full(values.shape[1:], np.nan) for _ in range(3))
    broken = np.zeros(len(codes), dtype=bool)
    for j, code in enumerate(codes):
        crossed = _crossed(links, code, periods)
        means = linked_means(values[:, :, j], periods, crossed)
        scatter = means.slope * error.spread[inside, j][:, None] * ~np.isnan(values[:, :, j])
        mean[:, j], months[:, j] = means.mean, means.months
        with np.errstate(divide="ignore", invalid="ignore"):
            own = error.sd[:, j] * np.sqrt((scatter**2).sum(axis=0)) / means.months
        se[:, j] = np.hypot(own, means.link_se)
        broken[j] = any(link.line is None for link in crossed)
    in_force = asked[-1] if len(asked) else np.zeros(len(codes), dtype=bool)
    of = np.where(in_force, asked.sum(axis=0), len(values))
    enough = months >= np.maximum(1, of / 2)
    mean = np.where(enough, mean, np.nan)
    empty = np.full(mean.shape, np.nan)
    why = np.where(np.isnan(mean) & (months > 0), reasons.TOO_FEW_TO_JUDGE, "").astype(object)
    why[:, broken] = reasons.VERSIONS_NOT_LINKED
    flat = (error.months >= spec.rules.months.least) & np.isnan(error.sd)
    return _table(period, level, names, codes, mean, error.sd, se, error.df, n=empty, se=empty, reason=why, flat=flat)


def _crossed(links: Sequence[VersionLink], code: str, periods: Sequence[str]) -> list[VersionLink]:
    """Return the links of a code between the first and the last of these periods."""
    first, last = parse(periods[0]).start, parse(periods[-1]).start
    return [link for link in links if link.code == code and first < parse(link.period).start <= last]


def _table(
    period: str, level: str, names: list[str], codes: list[str], points: np.ndarray, sd: np.ndarray,
    months_se: np.ndarray, months_df: np.ndarray, *, n: np.ndarray, se: np.ndarray, reason: np.ndarray, flat: np.ndarray,
) -> pd.DataFrame:  # fmt: skip
    """Return rows units × codes; a declared error comes before that of the months."""
    missing = np.isnan(points)
    declared, months = ~np.isnan(se) & ~missing, np.isnan(se) & ~np.isnan(months_se) & ~missing
    error = np.where(declared, se, np.where(months, months_se, np.nan))
    df = np.where(months, months_df, np.nan)
    quantile = special.stdtrit(np.where(np.isfinite(df), df, np.inf), 0.5 + CONFIDENCE / 2)
    no_error = np.where(flat, reasons.SAME_EVERY_MONTH, reasons.NO_ERROR_SOURCE)
    given = np.where(reason == "suppressed", reasons.SUPPRESSED_AT_SOURCE, reason)
    absent = np.where(given == "", reasons.MISSING_VALUE, given)
    why = np.where(missing, absent, np.where(declared | months, "", no_error))
    why = np.where(given == reasons.VERSIONS_NOT_LINKED, given, why)
    top = np.maximum(100.0, np.nan_to_num(points, nan=100.0))  # a bonus may lift a sheet above 100
    with np.errstate(invalid="ignore"):
        low, high = np.clip(points - quantile * error, 0, None), np.minimum(points + quantile * error, top)
    columns: dict[str, Any] = {
        "period": period, "level": level, "unit": np.array(names, dtype=object)[:, None], "form": "full",
        "code": np.array(codes, dtype=object)[None, :], "n": n, "score": points,
        "sd": np.where(months, sd, np.nan), "se": error, "df": df, "skewness": np.full(points.shape, np.nan),
        "se_source": np.where(declared, "declared", np.where(months, "months", "none")), "low": low, "high": high,
        "favourable": np.full(points.shape, np.nan), "reason": why,
    }  # fmt: skip
    cells = {name: np.broadcast_to(values, points.shape).ravel() for name, values in columns.items()}
    return pd.DataFrame(
        {
            name: values.astype("float64") if name in STATISTICS else pd.array(values, dtype="str")
            for name, values in cells.items()
        }
    )


def _packed(table: pd.DataFrame, data: Indicators, spec: Specification, links: tuple[VersionLink, ...]) -> Scores:
    common: dict[str, Any] = {
        "period": data.period, "about": "units", "programme": "indicators", "spec": spec, "periods": tuple(data.occasions),
        "basis": bases_of(data),
    }  # fmt: skip
    units = ("period", "level", "unit")
    parts = {
        "shares": Result(table=table.iloc[:0][list(KEYS)], keys=KEYS, statistics=(), n=None, **common),
        "response": Result(table=table.iloc[:0][list(units)], keys=units, statistics=(), n=None, **common),
        "links": _link_part(links, common),
    }
    return Scores(table=table, keys=KEYS, statistics=STATISTICS, parts=parts, version_links=links, **common)


def _link_part(links: Sequence[VersionLink], common: dict[str, Any]) -> Result:
    keys = ("period", "before_period", "level", "code", "method")
    statistics = ("units", "months", "anchors", "score_before", "score", "slope", "link_se")
    table = pd.DataFrame([_link_row(link) for link in links], columns=[*keys, *statistics, "reason"])
    table = table.astype(dict.fromkeys(statistics, "float64") | dict.fromkeys([*keys, "reason"], "str"))
    return Result(table=table, keys=keys, statistics=statistics, n=None, together=statistics, **common)


def _link_row(link: VersionLink) -> dict[str, Any]:
    """Return what is printed of a link; of statistics about persons how it was made and not its numbers, which tell means."""
    row: dict[str, Any] = {name: getattr(link, name) for name in ("period", "before_period", "level", "code", "method")}
    row |= {"months": link.months or np.nan, "anchors": link.anchors or np.nan, "reason": ""}
    if link.line is None:
        return row | {"reason": reasons.VERSIONS_NOT_LINKED}
    if link.persons:
        return row | {"reason": reasons.COMPLEMENT}
    line = link.line
    return row | {
        "units": line.units, "score_before": line.centre, "score": line.value, "slope": line.slope, "link_se": line.se,
    }  # fmt: skip
