"""Values of units on the leaves of a tree, as one checked matrix."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from ...errors import Problems, UsageError, unknown
from ...spec import reasons
from ...spec.tables import whole_numbers
from ...spec.tree import Node, Tree
from ..basis import Basis, bases_of
from ..engines import collected, wrapped_frame
from ..survey import Indicators
from .preparing import divided


@dataclass(frozen=True)
class UnitValues:
    """Values of units: a matrix units × leaves, NaN is missing.

    Attributes
    ----------
    raw, values
        Before and after denominators; the same where there are none.
    n
        Declared number of people behind each value; NaN where it is about no people, or not declared.
    why
        Why a value is missing.
    groups
        Group of each unit, ``""`` where it has none; None where no groups are used.
    """

    units: np.ndarray
    leaves: tuple[Node, ...]
    raw: np.ndarray
    values: np.ndarray
    n: np.ndarray
    why: np.ndarray
    groups: np.ndarray | None = None
    level: str = "unit"
    period: str = ""
    spec: Any = field(default=None, repr=False)
    basis: tuple[Basis, ...] = field(default=(), repr=False)

    @property
    def codes(self) -> list[str]:
        """Codes of the leaves at hand, in the tree's order."""
        return [leaf.code for leaf in self.leaves]


def unit_values(
    frame: Any,
    tree: Tree,
    *,
    denominator: Mapping[str, str] | None = None,
    groups: str | None = None,
    level: str = "unit",
    period: str = "",
) -> UnitValues:
    """Read the values of units on the leaves of a tree; leaves without a column are left out.

    Parameters
    ----------
    frame
        Any dataframe with a column ``unit`` and one a leaf, lazy ones are collected (units are few); or what
        ``ws.indicators(period)`` returned, of which the units of ``level`` are taken; it need not be given where the values
        are all of one level.

    Raises
    ------
    UsageError
        No column ``unit``, no leaf at all, a column that holds no numbers.
    DataError
        A unit without a name, a unit twice, infinite values.
    """
    of_indicators = isinstance(frame, Indicators)
    level = _level(frame, level) if of_indicators else level
    wide, n, why = _of_indicators(frame, tree, level) if of_indicators else (_pandas(frame), None, None)
    leaves = tuple(leaf for leaf in tree.leaves if leaf.code in wide.columns)
    _check(wide, leaves, groups)
    table = wide[[leaf.code for leaf in leaves]].astype("float64")
    if not of_indicators:  # values of a workspace were divided when they were read
        declared = {leaf.code: str(getattr(leaf, "denominator", "")) for leaf in leaves}
        denominator = {code: column for code, column in declared.items() if column} | dict(denominator or {})
    denominated = divided(table, wide, denominator) if denominator else table
    people = np.full(table.shape, np.nan) if n is None else n[table.columns].to_numpy(dtype=float)
    missing_reasons = (
        np.full(table.shape, reasons.MISSING_VALUE, dtype=object) if why is None else why[table.columns].to_numpy()
    )
    return UnitValues(
        wide["unit"].astype("str").to_numpy(dtype=object), leaves, table.to_numpy(), denominated.to_numpy(),
        people, missing_reasons,
        None if groups is None else wide[groups].astype("object").where(wide[groups].notna(), "").astype("str").to_numpy(),
        level, frame.period if of_indicators else period, frame.spec if of_indicators else None,
        bases_of(frame),
    )  # fmt: skip


def texts_among_numbers(column: pd.Series, most: int = 3) -> list[str]:
    """Return the first cells of a text column that are no numbers, each once."""
    cells = column.dropna().astype("str")
    return list(dict.fromkeys(cells[pd.to_numeric(cells, errors="coerce").isna()]))[:most]


def check_dashes(table: pd.DataFrame) -> None:
    """Raise an error for columns of numbers among which a text such as a dash stands; they would be left out silently."""
    for name in table.columns:
        column = table[name]
        if name == "unit" or pd.api.types.is_numeric_dtype(column):
            continue
        cells = column.dropna().astype("str")
        read = pd.to_numeric(cells, errors="coerce").notna()
        if read.any() and 2 * read.sum() >= len(cells):
            bad = texts_among_numbers(column)
            shown = f"{name}: {'、'.join(bad) or column.dtype}"
            raise UsageError(
                f"{shown} 不是数/is no number;缺失请留空，其余改为数字 (leave missing cells empty, else numbers)"
            )


def _pandas(frame: Any) -> pd.DataFrame:
    table = collected(wrapped_frame(frame)).to_pandas().reset_index(drop=True)
    if "unit" in table and pd.api.types.is_float_dtype(table["unit"]):
        table["unit"] = whole_numbers(table["unit"].astype("str")).where(table["unit"].notna())
    return table


def _level(data: Indicators, level: str) -> str:
    """Return the level whose units are compared; one table never mixes levels."""
    units = data.spec.units.at(data.period)
    if level in units.levels:
        return level
    valued = set(data.values["unit"])
    candidates = [name for name in units.levels if any(unit.unit in valued for unit in units.at_level(name))]
    if level != "unit" or len(candidates) != 1:
        raise unknown("层级/level", level, candidates or units.levels)
    return candidates[0]


def _of_indicators(data: Indicators, tree: Tree, level: str) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    """Return the values of the units of one level, the numbers of people behind them, the reasons of missing ones."""
    rows = [unit.unit for unit in data.spec.units.at(data.period).at_level(level)]
    codes = [leaf.code for leaf in tree.leaves]

    values = data.values
    if values["period"].nunique() > 1:  # a span: the mean of the months a unit has
        values = values.groupby(["unit", "code"], as_index=False, sort=False).agg(
            {"value": "mean", "n": "min", "reason": "last"}
        )

    def wide(column: str) -> pd.DataFrame:
        return values.pivot(index="unit", columns="code", values=column).reindex(index=rows, columns=codes)

    why = wide("reason").astype("object")
    why = why.where(why.notna() & (why != ""), reasons.MISSING_VALUE)
    why = why.replace("suppressed", reasons.SUPPRESSED_AT_SOURCE)
    return wide("value").rename_axis(index="unit").reset_index(), wide("n"), why


def _check(wide: pd.DataFrame, leaves: tuple[Node, ...], groups: str | None) -> None:
    """Check for unnamed or duplicate units and for columns without finite numbers."""
    if "unit" not in wide:
        raise UsageError("缺 unit 列 (a column unit is needed)")
    if groups is not None and groups not in wide:
        raise UsageError(f"没有分组列 {groups} (no such group column)")
    if not leaves:
        raise UsageError("没有一列是指标树的叶 (no column is a leaf of the tree)")
    problems = Problems()
    for unit in wide["unit"][wide["unit"].duplicated() | wide["unit"].isna()].unique()[:5]:
        problems.add("unit", "duplicate_unit", unit, "每单位一行 (a row a unit)", "合并或改正 (merge or correct)")
    for leaf in leaves:
        column = wide[leaf.code]
        if not pd.api.types.is_numeric_dtype(column) and column.notna().any():
            bad = texts_among_numbers(column)
            quoted_cells = f": {'、'.join(bad)}" if bad else ""
            raise UsageError(
                f"列 {leaf.code} 的类型是 {column.dtype}{quoted_cells},应为数字 (a number column is needed);"
                " 缺失请留空 (leave missing values empty)"
            )
        if np.isinf(column.to_numpy(dtype=float, na_value=np.nan)).any():
            problems.add(leaf.code, "infinite", "inf", "有限数 (finite numbers)", "改正数值 (correct the values)")
    problems.raise_if_any()
