"""Additive moments of item answers, the input of reliability, factor and agreement analysis."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, Self

import narwhals.stable.v2 as nw
import numpy as np
import pandas as pd

from ...errors import Problems, UsageError, unknown
from ...spec.bands import SLACK
from ...spec.tables import whole_numbers
from ...spec.tree import Node
from ...spec.units import NO_UNIT, Units
from ..engines import all_rows
from ..places import resolved
from ..unitsums import variance_factor

Missing = Literal["listwise", "pairwise", "median"]
MISSING: tuple[Missing, ...] = ("listwise", "pairwise", "median")

BLOCK = 8_192  # rows multiplied at once; few enough to stay in the cache
MANY = 32  # items from which products in single precision save more time than the change costs
_EXACT = 2**24  # up to here whole numbers are exact in single precision
_SHORT = 2**15 - 3  # answers up to here travel as 16-bit integers


@dataclass(frozen=True)
class Covariances:
    """Means, covariances and correlations of items under one missing-answer policy.

    Attributes
    ----------
    items
        Item codes, k of them.
    mean, covariance, correlation
        Length k and k × k, in answer units; NaN where an item has no answers, a correlation also where it has no variance.
    n
        Persons behind every cell: complete rows, the smallest pair, or all rows (listwise, pairwise, median).
    effective
        The effective number of those persons, (Σw)²/Σw² (Kish 1965); n without weights.
    """

    items: tuple[str, ...]
    mean: np.ndarray
    covariance: np.ndarray
    correlation: np.ndarray
    n: float
    effective: float

    def scaled(self, factors: np.ndarray) -> Covariances:
        """Return the covariances of items multiplied by these factors; correlations stay."""
        covariance = self.covariance * np.outer(factors, factors)
        return replace(self, mean=self.mean * factors, covariance=covariance)


@dataclass(frozen=True)
class Moments:
    """Sums over persons of the answers to k items; sums of files, blocks and units can be added.

    Whole-number answers without weights give sums equal to the last bit for blocks of any size. Confidential.

    Attributes
    ----------
    items
        Item codes, k of them.
    people
        Number, Σw and Σw² of all rows, answered or not.
    complete
        Over rows with every item answered: ``n``, ``w``, ``ww`` (numbers), ``x`` = Σwx (k), ``xx`` = Σwx_jx_k (k × k).
    pairs
        Over rows with items j and k answered, each k × k: ``n``, ``w``, ``ww``, ``x`` = Σwx_j, ``xx`` = Σwx_jx_k,
        ``q`` = Σwx_j². Empty where only complete rows were summed; then only ``listwise`` can be asked.
    """

    items: tuple[str, ...]
    people: np.ndarray
    complete: Mapping[str, np.ndarray]
    pairs: Mapping[str, np.ndarray]

    def __add__(self, other: Self) -> Moments:
        """Add the sums of another block of the same items."""
        if self.items != other.items:
            raise ValueError(f"moments of {self.items} and of {other.items} do not add")
        complete = {name: value + other.complete[name] for name, value in self.complete.items()}
        pairs = {name: value + other.pairs[name] for name, value in self.pairs.items()}
        return Moments(self.items, self.people + other.people, complete, pairs)

    def covariances(self, missing: Missing = "listwise", medians: np.ndarray | None = None) -> Covariances:
        """Compute means, covariances and correlations from the sums.

        With weights a covariance is Σw(x−x̄)(y−ȳ)/(Σw − Σw²/Σw), which does not depend on the scale of the weights and is
        the textbook one where they are equal.

        Parameters
        ----------
        missing
            ``listwise``: rows with every item answered. ``pairwise``: for each pair the rows that answered both; a
            variance over all answers to its item, a correlation with the variances of its own pair (as R's ``cov`` and
            ``cor`` with ``use="pairwise"``). ``median``: a missing answer counts as the item's median (as
            ``psych::scoreItems``), which ``medians`` must give.
        """
        if missing == "listwise":
            return self._listwise()
        if missing in MISSING and not self.pairs:
            raise UsageError(f"只有完整答卷的合计，不能按 {missing} (only complete rows were summed: listwise alone)")
        if missing == "pairwise":
            return self._pairwise()
        if missing == "median" and medians is not None:
            return self._imputed(medians)
        raise unknown("缺失处理/missing", missing, MISSING)

    def _listwise(self) -> Covariances:
        n, w, ww = (float(self.complete[name]) for name in ("n", "w", "ww"))
        return _covariances(self.items, n, w, ww, self.complete["x"], self.complete["xx"])

    def _imputed(self, medians: np.ndarray) -> Covariances:
        """Put the median where an answer is missing: Σ(x+(1−m)μ)_j(x+(1−m)μ)_k from the pairwise sums."""
        n, w, ww = self.people
        pairs, count = self.pairs, np.diag(self.pairs["w"])
        total = np.diag(pairs["x"])
        only_j = total[:, None] - pairs["x"]  # Σwx_j over rows that left k out
        neither = w - count[:, None] - count[None, :] + pairs["w"]  # weight of rows that left out both
        xx = (
            pairs["xx"] + only_j * medians[None, :] + only_j.T * medians[:, None] + neither * np.outer(medians, medians)
        )
        return _covariances(self.items, n, w, ww, total + (w - count) * medians, xx)

    def _pairwise(self) -> Covariances:
        n, w, ww, x, xx, q = (self.pairs[name] for name in ("n", "w", "ww", "x", "xx", "q"))
        with np.errstate(divide="ignore", invalid="ignore"):
            mean = x / w
            factor = variance_factor(w, ww)
            covariance = (xx / w - mean * mean.T) * factor
            variance = (q / w - mean**2) * factor
            variance = np.where(_flat(variance, mean, n), 0.0, variance)
            correlation = np.where(variance * variance.T > 0, covariance / np.sqrt(variance * variance.T), np.nan)
            effective = w**2 / ww
        np.fill_diagonal(covariance, np.diag(variance))
        rarest = np.unravel_index(np.argmin(n), n.shape) if n.size else None
        persons = (float(n[rarest]), float(effective[rarest])) if rarest is not None else (0.0, 0.0)
        return Covariances(self.items, np.diag(mean).copy(), covariance, correlation, *persons)


def _covariances(items: tuple[str, ...], n: float, w: float, ww: float, x: np.ndarray, xx: np.ndarray) -> Covariances:
    if n < 2 or not w > 0:
        undefined = np.full((len(items), len(items)), np.nan)
        mean = x / w if w > 0 else np.full(len(items), np.nan)
        return Covariances(items, mean, undefined, undefined, n, n)
    mean = x / w
    covariance = (xx / w - np.outer(mean, mean)) * variance_factor(w, ww)
    flat = _flat(np.diag(covariance), mean, n)
    covariance[flat, :], covariance[:, flat] = 0.0, 0.0
    sd = np.sqrt(np.diag(covariance))
    with np.errstate(divide="ignore", invalid="ignore"):
        correlation = covariance / np.outer(sd, sd)
    return Covariances(items, mean, covariance, correlation, n, w**2 / ww)


def _flat(variance: np.ndarray, mean: np.ndarray, n: Any) -> np.ndarray:
    """Tell which variances are only rounding noise, of answers that are all equal."""
    return variance <= np.maximum(1e-12, np.nan_to_num(mean) ** 2 * n * np.finfo(float).eps)


def moments_of(
    x: np.ndarray, weights: np.ndarray | None = None, items: Sequence[str] = (), *, pairs: bool = True
) -> Moments:
    """Return the moments of a block of answers.

    Parameters
    ----------
    x
        Persons × items; NaN is missing.
    weights
        Weights of the persons, >= 0; None for equal ones. Who has weight 0 is not counted.
    items
        Item codes; by default ``1``, ``2`` ….
    pairs
        Sum the answers to every two items as well; without, only ``listwise`` covariances can be had, in less time.

    Returns
    -------
    Moments
        Products are taken in single precision only where they are whole numbers that stay exact (below 2²⁴ a block).
    """
    x = np.asarray(x) if np.asarray(x).dtype == np.float32 else np.asarray(x, dtype=float)
    names = tuple(items) or tuple(str(j + 1) for j in range(x.shape[1]))
    total = _block_sums(x[:0], None if weights is None else weights[:0], names, pairs)
    for start in range(0, len(x), BLOCK):
        block, w = x[start : start + BLOCK], None
        if weights is not None:
            w = np.asarray(weights[start : start + BLOCK], float)
            block, w = block[w > 0], w[w > 0]
        total = total + _block_sums(block, w, names, pairs)
    return total


def _block_sums(x: np.ndarray, w: np.ndarray | None, items: tuple[str, ...], pairs: bool) -> Moments:
    n = float(len(x))
    people = np.array([n, n, n] if w is None else [n, w.sum(), (w**2).sum()])
    no_missing = not np.isnan(np.ones(len(x), x.dtype) @ x).any()
    if not pairs:
        rows = slice(None) if no_missing else ~np.isnan(x @ np.ones(x.shape[1], x.dtype))
        asked = x[rows]
        exact = _narrow(asked) if w is None else asked.astype(float, copy=False)
        return Moments(items, people, _complete(exact, None if w is None else w[rows]), {})
    answered = None if no_missing else x == x
    filled = x if answered is None else np.where(answered, x, x.dtype.type(0))
    filled = _narrow(filled) if w is None else filled.astype(float, copy=False)
    rows = slice(None) if answered is None else answered.all(axis=1)
    complete = _complete(filled[rows], None if w is None else w[rows])
    return Moments(items, people, complete, _full_pairs(complete) if answered is None else _pairs(filled, answered, w))


def _narrow(x: np.ndarray) -> np.ndarray:
    """Convert to single precision where every sum of products stays exact and there are enough items to gain speed."""
    if x.dtype == np.float64 and x.shape[1] < MANY:
        return x
    largest = float(np.abs(x).max()) if x.size else 0.0
    exact = largest**2 * len(x) < _EXACT and bool((x == np.rint(x)).all())
    return x.astype(np.float32 if exact else float, copy=False)


def _complete(x: np.ndarray, w: np.ndarray | None) -> dict[str, np.ndarray]:
    weighted, n = (x, float(len(x))) if w is None else (x * w[:, None], float(len(x)))
    mass = (n, n) if w is None else (w.sum(), (w**2).sum())
    sums = {"n": np.array(n), "w": np.array(mass[0]), "ww": np.array(mass[1])}
    return sums | {"x": (np.ones(len(x), x.dtype) @ weighted).astype(float), "xx": (x.T @ weighted).astype(float)}


def _pairs(x: np.ndarray, answered: np.ndarray, w: np.ndarray | None) -> dict[str, np.ndarray]:
    m = answered.astype(x.dtype)
    mw, xw = (m, x) if w is None else (m * w[:, None], x * w[:, None])
    n = m.T @ m
    weight_sums = (n, n) if w is None else (m.T @ mw, mw.T @ mw)
    sums = {"n": n, "w": weight_sums[0], "ww": weight_sums[1], "x": x.T @ mw, "xx": x.T @ xw, "q": (x * x).T @ mw}
    return {name: value.astype(float) for name, value in sums.items()}


def _full_pairs(complete: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Pairwise sums of rows without a missing answer: those of complete rows, for every pair."""
    k = len(complete["x"])
    sums = {name: np.full((k, k), float(complete[name])) for name in ("n", "w", "ww")}
    rows = {"x": complete["x"], "q": np.diag(complete["xx"])}
    return sums | {"xx": complete["xx"]} | {name: np.repeat(v[:, None], k, axis=1) for name, v in rows.items()}


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
