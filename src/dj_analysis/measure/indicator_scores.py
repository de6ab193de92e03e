"""Scores of units from branch indicators: the same tree, on values of units, month by month."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from ..errors import Problems, unknown
from ..result import Result
from ..spec import reasons
from ..spec.periods import parse, within
from ..spec.specification import Specification
from ..spec.tree import Tree, is_counted
from ..spec.units import ALL, Unit, Units
from .basis import bases_of
from .composites.upward import leaf_points, node_points
from .inference.uncertainty import CONFIDENCE
from .occasions import MonthsError, months_error
from .scores import KEYS, STATISTICS, Scores
from .survey import Indicators


@dataclass(frozen=True)
class Occasion:
    """Points of every unit in one period; arrays units × codes.

    ``n`` and ``se`` are as declared with the value, ``se`` in points; ``reason`` says why a leaf is missing.
    """

    period: str
    tree: Tree
    units: tuple[str, ...]
    codes: tuple[str, ...]
    points: np.ndarray
    n: np.ndarray
    se: np.ndarray
    reason: np.ndarray

    def laid_out(self, units: Sequence[str], codes: Sequence[str], name: str = "points") -> np.ndarray:
        """Return one array with these rows and columns; what is not there is missing."""
        values = getattr(self, name)
        missing: Any = "" if name == "reason" else np.nan
        rows, columns = (
            pd.Index(own).get_indexer(list(wanted)) for own, wanted in ((self.units, units), (self.codes, codes))
        )
        taken = values[np.ix_(np.maximum(rows, 0), np.maximum(columns, 0))] if values.size else np.empty((0, 0))
        there = (rows >= 0)[:, None] & (columns >= 0)[None, :]
        return np.where(there, taken, missing) if values.size else np.full(there.shape, missing)


def occasion(data: Indicators, spec: Specification, period: str) -> Occasion:
    """Score every unit in one period, by the version of the tree in force.

    Raises
    ------
    DataError
        Values outside the range of their indicator.
    """
    tree, units = data.tree_at(period), spec.units.at(period)
    rows = data.values_of(period)
    names = tuple(dict.fromkeys([*(unit.unit for unit in units.rows), ALL]))
    rows = rows[rows["unit"].isin(names)]
    leaves = [leaf.code for leaf in tree.leaves]
    rows = rows[rows["code"].isin(leaves)]
    at = (pd.Index(names).get_indexer(rows["unit"]), pd.Index(leaves).get_indexer(rows["code"]))
    values, n, se = (np.full((len(names), len(leaves)), np.nan) for _ in range(3))
    why = np.full((len(names), len(leaves)), "", dtype=object)
    for array, column in ((values, "value"), (n, "n"), (se, "se"), (why, "reason")):
        array[at] = rows[column].to_numpy()
    _check_ranges(tree, names, values)
    _roll_up(tree, units, names, values, spec, period)
    span = np.array([leaf.maximum - leaf.minimum for leaf in tree.leaves])
    scaled = {leaf.code: leaf_points(leaf, values[:, j]) for j, leaf in enumerate(tree.leaves)}
    exempt = {leaf.code: why[:, j] == reasons.NOT_APPLICABLE for j, leaf in enumerate(tree.leaves)}
    points = node_points(tree, scaled, exempt)
    codes = tuple(code for code in tree.codes if code in points)
    by_code = [np.column_stack([points[code] for code in codes])] if codes else [np.empty((len(names), 0))]
    place = pd.Index(leaves).get_indexer(list(codes))
    leaf_of = [array[:, np.maximum(place, 0)] for array in (n, 100 * se / span, why)]
    inner = place < 0
    for array, missing in zip(leaf_of, (np.nan, np.nan, ""), strict=True):
        array[:, inner] = missing
    return Occasion(period, tree, names, codes, by_code[0], *leaf_of)


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
    tables: list[pd.DataFrame] = []
    for level in levels:
        tables += _level_tables(level, units.at_level(level), occasions, wanted, data.period, spec)
    order = {period: place for place, period in enumerate([*wanted, data.period])}
    tables.sort(key=lambda table: order[str(table["period"].iloc[0])] if len(table) else 0)  # one period each
    return _packed(pd.concat(tables, ignore_index=True), data, spec)


def _level_tables(
    level: str,
    rows: Sequence[Unit],
    occasions: Sequence[Occasion],
    wanted: Sequence[str],
    period: str,
    spec: Specification,
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
    error = months_error(stacked, spec.rules.months, calendar)
    for place, one in enumerate(occasions):
        if one.period in wanted:
            of_period = [code for code in one.tree.codes if code in codes]
            columns = pd.Index(codes).get_indexer(of_period)
            parts = {name: one.laid_out(names, of_period, name) for name in ("n", "se", "reason")}
            sd, df = error.sd[:, columns], error.df[:, columns]
            flat = (error.months[:, columns] >= spec.rules.months.least) & np.isnan(sd)
            yield _table(
                one.period, level, names, of_period, stacked[place][:, columns], sd, sd, df, flat=flat, **parts
            )
    if wanted != [period]:
        yield _span_table(period, level, names, codes, stacked, error, [o.period in wanted for o in occasions], spec)


def _span_table(
    period: str, level: str, names: list[str], codes: list[str], stacked: np.ndarray, error: MonthsError,
    inside: list[bool], spec: Specification,
) -> pd.DataFrame:  # fmt: skip
    """Return the mean over the periods of a span; units with fewer than half of them have none."""
    values = stacked[np.array(inside, dtype=bool)]
    months = (~np.isnan(values)).sum(axis=0)
    enough = months >= np.maximum(1, values.shape[0] / 2)
    mean = np.divide(np.nansum(values, axis=0), months, out=np.full(months.shape, np.nan), where=(months > 0) & enough)
    with np.errstate(divide="ignore", invalid="ignore"):
        se = error.sd / np.sqrt(months)
    empty = np.full(mean.shape, np.nan)
    why = np.where(np.isnan(mean) & (months > 0), reasons.TOO_FEW_TO_JUDGE, "").astype(object)
    flat = (error.months >= spec.rules.months.least) & np.isnan(error.sd)
    return _table(period, level, names, codes, mean, error.sd, se, error.df, n=empty, se=empty, reason=why, flat=flat)


def _table(
    period: str, level: str, names: list[str], codes: list[str], points: np.ndarray, sd: np.ndarray,
    months_se: np.ndarray, months_df: np.ndarray, *, n: np.ndarray, se: np.ndarray, reason: np.ndarray, flat: np.ndarray,
) -> pd.DataFrame:  # fmt: skip
    """Return rows units × codes; a declared error comes before that of the months."""
    missing = np.isnan(points)
    declared, months = ~np.isnan(se) & ~missing, np.isnan(se) & ~np.isnan(months_se) & ~missing
    error = np.where(declared, se, np.where(months, months_se, np.nan))
    df = np.where(months, months_df, np.nan)
    quantile = stats.t.ppf(0.5 + CONFIDENCE / 2, np.where(np.isfinite(df), df, np.inf))
    no_error = np.where(flat, reasons.SAME_EVERY_MONTH, reasons.NO_ERROR_SOURCE)
    given = np.where(reason == "suppressed", reasons.SUPPRESSED_AT_SOURCE, reason)
    absent = np.where(given == "", reasons.MISSING_VALUE, given)
    why = np.where(missing, absent, np.where(declared | months, "", no_error))
    top = np.maximum(100.0, np.nan_to_num(points, nan=100.0))  # a bonus may lift a sheet above 100
    with np.errstate(invalid="ignore"):
        low, high = np.clip(points - quantile * error, 0, None), np.minimum(points + quantile * error, top)
    cells = len(codes)
    columns: dict[str, Any] = {
        "period": period, "level": level, "unit": np.repeat(np.array(names, dtype=object), cells), "form": "full",
        "code": np.tile(np.array(codes, dtype=object), len(names)), "n": n, "score": points,
        "sd": np.where(months, sd, np.nan), "se": error, "df": df, "skewness": np.full(points.shape, np.nan),
        "se_source": np.where(declared, "declared", np.where(months, "months", "none")), "low": low, "high": high,
        "favourable": np.full(points.shape, np.nan), "reason": why,
    }  # fmt: skip
    flat_columns = {
        name: values.ravel() if isinstance(values, np.ndarray) else values for name, values in columns.items()
    }
    table = pd.DataFrame(flat_columns)
    numeric = dict.fromkeys(STATISTICS, "float64")
    return table.astype({name: "str" for name in table.columns if name not in numeric} | numeric)


def _packed(table: pd.DataFrame, data: Indicators, spec: Specification) -> Scores:
    common: dict[str, Any] = {
        "period": data.period, "about": "units", "programme": "indicators", "spec": spec, "periods": tuple(data.occasions),
        "basis": bases_of(data),
    }  # fmt: skip
    units = ("period", "level", "unit")
    empty = {
        "shares": Result(table=table.iloc[:0][list(KEYS)], keys=KEYS, statistics=(), n=None, **common),
        "response": Result(table=table.iloc[:0][list(units)], keys=units, statistics=(), n=None, **common),
    }
    return Scores(table=table, keys=KEYS, statistics=STATISTICS, parts=empty, **common)


def _check_ranges(tree: Tree, names: Sequence[str], values: np.ndarray) -> None:
    problems = Problems()
    for j, leaf in enumerate(tree.leaves):
        low, high = (0.0, np.inf) if is_counted(leaf) else (leaf.minimum, leaf.maximum)
        outside = np.flatnonzero((values[:, j] < low) | (values[:, j] > high))
        if len(outside):
            shown, allowed = f"{names[outside[0]]} {values[outside[0], j]:g}", f"{low:g}–{high:g}"
            advice = "改正数值或区间 (correct value or range)"
            problems.add(f"indicator_values: {leaf.code}", "out_of_range", shown, allowed, advice)
    problems.raise_if_any()


def _roll_up(
    tree: Tree, units: Units, names: Sequence[str], values: np.ndarray, spec: Specification, period: str
) -> None:
    """Fill the values of higher units from those right below, by the roll-up of each indicator; own values stand."""
    place = {name: i for i, name in enumerate(names)}
    how = {j: leaf.rollup for j, leaf in enumerate(tree.leaves) if leaf.rollup not in ("", "none")}
    if not how:
        return
    parents = sorted(
        (u.unit for u in units.rows if units.children(u.unit)), key=lambda unit: -len(units.ancestors(unit))
    )
    for parent in [*(one for one in parents if one != ALL), ALL]:
        children = np.array([place[child.unit] for child in units.children(parent)], dtype=int)
        if not len(children):
            continue
        for j, name in how.items():
            if np.isnan(values[place[parent], j]):
                values[place[parent], j] = _rolled(
                    values[children, j], name, [names[c] for c in children], spec, period
                )


def _rolled(values: np.ndarray, how: str, children: Sequence[str], spec: Specification, period: str) -> float:
    present = ~np.isnan(values)
    if not present.any():
        return float("nan")
    if how == "sum":
        return float(values[present].sum())
    if how == "weighted":
        heads = np.array([spec.headcount(unit, period) for unit, there in zip(children, present, strict=True) if there])
        return (
            float(np.average(values[present], weights=heads))
            if np.isfinite(heads).all() and heads.sum()
            else float("nan")
        )
    return float(values[present].mean())
