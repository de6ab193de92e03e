"""Answers to the items of a wave, by column in narrow types, as they are read to be summed."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import narwhals.stable.v2 as nw
import numpy as np
import pandas as pd

from ...errors import Problems, UsageError
from ...spec.bands import SLACK
from ...spec.tables import whole_numbers
from ...spec.tree import Node
from ...spec.units import NO_UNIT, Units
from ..engines import all_rows
from ..places import resolved

BLOCK = 8_192  # rows multiplied at once; few enough to stay in the cache
_SHORT = 2**15 - 3  # answers up to here travel as 16-bit integers


@dataclass(frozen=True)
class Answers:
    """The answers of a wave by column, in narrow types; confidential, and discarded once they are summed.

    Attributes
    ----------
    items
        The items at hand; ``columns`` holds their answers in the scored direction (minimum + maximum − x where high is
        bad) as 16-bit integers, or as floats where answers are no whole numbers.
    blank
        What stands for a missing answer in each column; NaN in a float column.
    weights
        Weights of the persons, or None.
    units, place
        Finest units (or categories) and, for each row, the place of its unit among them.
    """

    items: tuple[Node, ...]
    columns: tuple[np.ndarray, ...]
    blank: tuple[float, ...]
    weights: np.ndarray | None
    units: tuple[str, ...]
    place: np.ndarray

    def blocks(self, rows: int = BLOCK, *, whole: bool = False) -> Iterator[tuple[str, np.ndarray, np.ndarray | None]]:
        """Yield (unit, answers, weights) in blocks of at most ``rows``, each of one unit; of any units if ``whole``."""
        single_block = whole or len(self.units) == 1
        order = np.arange(len(self.place)) if single_block else np.argsort(self.place, kind="stable")
        ends = [len(self.place)] if single_block else np.cumsum(np.bincount(self.place, minlength=len(self.units)))
        for unit, start, end in zip(self.units, [0, *ends[:-1]], ends, strict=False):
            for at in range(start, end, rows):
                part = slice(at, min(at + rows, end)) if single_block else order[at : min(at + rows, end)]
                yield unit, self.matrix(part), None if self.weights is None else self.weights[part]

    def matrix(self, rows: Any = slice(None)) -> np.ndarray:
        """Return rows × items with NaN for missing answers, in single precision where all are 16-bit integers."""
        dtype = np.float32 if all(column.dtype == np.int16 for column in self.columns) else np.float64
        columns = [column[rows].astype(dtype) for column in self.columns]
        for values, blank in zip(columns, self.blank, strict=True):
            values[values == blank] = np.nan
        return np.column_stack(columns) if columns else np.empty((len(self.place[rows]), 0))

    def counts(self) -> dict[str, OptionCounts]:
        """Count how often each answer was given in each unit, by item code."""
        counts = {}
        for item, column, blank in zip(self.items, self.columns, self.blank, strict=True):
            answered = column == column if math.isnan(blank) else column != blank
            answered = answered if self.weights is None else answered & (self.weights > 0)
            values, option = np.unique(column[answered], return_inverse=True)
            shape = (len(self.units), len(values))
            cell = self.place[answered] * shape[1] + option
            weights = None if self.weights is None else self.weights[answered]
            n, w = (np.bincount(cell, v, minlength=shape[0] * shape[1]).reshape(shape) for v in (None, weights))
            counts[item.code] = OptionCounts(values.astype(float), n.astype(float), w.astype(float))
        return counts


@dataclass(frozen=True)
class OptionCounts:
    """How often each answer to one item was given: ``values`` (V) in ascending order; ``n`` and ``w``, units × V."""

    values: np.ndarray
    n: np.ndarray
    w: np.ndarray

    def median(self) -> float:
        """Weighted median over all units; the middle of two answers where it falls between them; NaN without answers."""
        mass = self.w.sum(axis=0)
        if not mass.sum() > 0:
            return float("nan")
        reached = np.cumsum(mass) / mass.sum()
        low, high = np.argmax(reached >= 0.5 - 1e-12), np.argmax(reached > 0.5 + 1e-12)
        return float(self.values[low] + self.values[high]) / 2


def read_answers(
    frame: Any,
    items: Sequence[Node],
    *,
    weight: str | None = None,
    column: str | None = None,
    units: Units | None = None,
) -> Answers:
    """Read the answers of any dataframe; a lazy frame is collected once, its columns narrowed by its own engine.

    Parameters
    ----------
    frame
        pandas, polars (eager or lazy), pyarrow, DuckDB relation or Spark frame with a column an item.
    items
        The items wanted; those without a column were not asked and are left out.
    weight
        Column of weights, or None.
    column
        Column of finest units or of a group, or None for all rows together.
    units
        The unit trees that resolve what people wrote; None for a group column.

    Raises
    ------
    DataError
        An answer outside its range, a negative or missing weight.
    """
    wrapped = nw.from_native(frame)
    schema = wrapped.collect_schema()
    asked = tuple(item for item in items if item.code in schema.names())
    columns = {f"x{j}": _narrowed(item, schema[item.code]) for j, item in enumerate(asked)}
    if weight:
        value = nw.col(weight).cast(nw.Float64)
        columns["w"] = nw.when(~value.is_nan(), value < math.inf).then(value).otherwise(nw.lit(-1.0)).fill_null(-1.0)
    columns |= {"unit": nw.col(column).cast(nw.String).fill_null("")} if column else {"unit": nw.lit("")}
    selected = wrapped.select(**columns)
    data = all_rows(selected)
    arrays = (data[f"x{j}"].to_numpy() for j in range(len(asked)))
    raw = tuple(x if x.dtype == np.int16 else x.astype(float) for x in arrays)
    blank = tuple(float("nan") if x.dtype.kind == "f" else item.minimum - 2 for x, item in zip(raw, asked, strict=True))
    weights = data["w"].to_numpy().astype(float) if weight else None
    scored = tuple(_in_scored_direction(item, x, b) for item, x, b in zip(asked, raw, blank, strict=True))
    place, keys = pd.factorize(data["unit"].to_pandas().astype(object))
    names = pd.Series([str(key) for key in keys] or [NO_UNIT], dtype=object)
    if column and schema[column].is_float():  # numbers with gaps arrive as floats
        names = whole_numbers(names).replace("nan", NO_UNIT)
    if units is not None:
        names = resolved(names, units)
    at, unique = pd.factorize(names.to_numpy(dtype=object))
    answers = Answers(asked, scored, blank, weights, tuple(unique), at[place])
    _check(answers, weight)
    return answers


def _narrowed(item: Node, dtype: Any) -> Any:
    """Cast whole-number answers to 16 bits, those out of range clipped to one step beyond it."""
    value, ends = nw.col(item.code), (item.minimum, item.maximum)
    if dtype.is_integer() and all(float(end).is_integer() and abs(end) < _SHORT for end in ends):
        low, high = int(ends[0]), int(ends[1])
        value = value.cast(nw.Int64)
        value = nw.when(value < low).then(nw.lit(low - 1)).when(value > high).then(nw.lit(high + 1)).otherwise(value)
        return value.fill_null(low - 2).cast(nw.Int16)
    if not (dtype.is_numeric() or dtype.is_decimal()):
        raise UsageError(f"列 {item.code} 的类型是 {dtype},应为数字 (a number column is needed)")
    return value.cast(nw.Float64)


def _check(answers: Answers, weight: str | None) -> None:
    problems, weights = Problems(), answers.weights
    for item, x, blank in zip(answers.items, answers.columns, answers.blank, strict=True):
        low, high = item.minimum - SLACK, item.maximum + SLACK
        outside = int(((x != blank) & ((x < low) | (x > high))).sum())
        if outside:
            value, allowed = f"{outside} 行/rows", f"{item.minimum:g}–{item.maximum:g}"
            advice = "改正数据或量表 (correct the data or the range)"
            problems.add(f"答案/responses: {item.code}", "out_of_range", value, allowed, advice)
    if weights is not None and len(weights) and (weights.min() < 0 or not weights.sum() > 0):
        value = f"{(weights < 0).sum()} 行缺失或为负/rows missing or negative" if weights.min() < 0 else "和为 0/sum 0"
        problems.add(f"答案/responses: {weight}", "weights", value, ">= 0,和 > 0", "改正权重 (correct the weights)")
    problems.raise_if_any()


def _in_scored_direction(item: Node, x: np.ndarray, blank: float) -> np.ndarray:
    if item.direction == 1:
        return x
    if math.isnan(blank):
        return item.minimum + item.maximum - x
    scored = np.full_like(x, blank)
    scored[x != blank] = int(item.minimum + item.maximum) - x[x != blank]
    return scored
