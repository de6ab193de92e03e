"""Answers and node scores of a block of rows: as codes of the values they can take, or as numbers where there are too many."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
import polars as pl

from ..errors import UsageError
from ..spec.bands import SLACK
from ..spec.tree import Node

#: Most different values that are counted one by one; more are summed as numbers.
MOST_CODES = 1024


@dataclass(frozen=True)
class Steps:
    """Answers to one question in steps from the unfavourable end.

    Attributes
    ----------
    codes
        One more than the number of steps where this is whole, 0 where there is none.
    parts
        Numbers of steps that are not whole, NaN elsewhere; None where there are none.
    outside
        An answer lies outside the range of the question: what was read of it is of no use.
    """

    codes: np.ndarray
    parts: np.ndarray | None = None
    outside: bool = False

    @cached_property
    def there(self) -> np.ndarray:
        """Rows with a whole number of steps."""
        return self.codes > 0

    @cached_property
    def numbers(self) -> np.ndarray:
        """All steps as floats, NaN where missing."""
        numbers = np.where(self.there, self.codes - 1.0, np.nan)
        return numbers if self.parts is None else np.where(np.isnan(self.parts), numbers, self.parts)

    @cached_property
    def answered(self) -> np.ndarray:
        """Rows with an answer."""
        return self.there if self.parts is None else self.there | ~np.isnan(self.parts)


def answers_of(block: pl.DataFrame, leaves: Sequence[Node]) -> dict[str, Steps]:
    """Read the answers of a block to every question; null and NaN are missing.

    Raises
    ------
    UsageError
        A column holds no numbers.
    """
    check_numbers(block.schema, leaves)
    return {leaf.code: _answers(block[leaf.code], leaf) for leaf in leaves}


def _answers(column: pl.Series, leaf: Node) -> Steps:
    kind, span = column.dtype, leaf.maximum - leaf.minimum
    whole = float(leaf.minimum).is_integer() and float(leaf.maximum).is_integer() and span < MOST_CODES
    if whole and kind in _WITHIN_INT64:
        values, there = whole_values(column)
        if kind in _ONE_BYTE and span < _BYTE - 1:
            return _steps_of_bytes(values, there, column.null_count(), leaf)
        signed = values.astype(np.int64) if values.dtype.kind == "u" or values.dtype == np.int8 else values
        return _whole_steps(np.where(there, signed, _before_first(leaf)), column.null_count(), leaf)
    return _steps(column.cast(pl.Float64).to_numpy(), leaf)


def whole_values(column: pl.Series) -> tuple[np.ndarray, np.ndarray]:
    """Return whole numbers as they lie in memory, and 1 where there is one, 0 where it is missing."""
    array = column.to_arrow()
    valid, content = array.buffers()
    first, last = array.offset, array.offset + len(array)
    values = np.frombuffer(content, array.type.to_pandas_dtype())[first:last]
    if valid is None or not array.null_count:
        return values, np.ones(1, np.uint8)
    bits = np.frombuffer(valid, np.uint8)[first // 8 : (last + 7) // 8]
    return values, np.unpackbits(bits, bitorder="little")[first % 8 : first % 8 + len(array)]


def check_numbers(schema: Mapping[str, Any], leaves: Sequence[Node]) -> None:
    """Raise where the column of a question holds no numbers."""
    for leaf in leaves:
        if not schema[leaf.code].is_numeric():
            raise UsageError(f"列 {leaf.code} 的类型是 {schema[leaf.code]},应为数字 (a number column is needed)")


def _code_type(most: float) -> Any:
    """Return the type of codes up to ``most`` + 1."""
    return np.uint8 if most < 255 else np.int16


def _before_first(leaf: Node) -> int:
    return int(leaf.minimum - 1 if leaf.direction == 1 else leaf.maximum + 1)


_BYTE = 256
_ONE_BYTE = (pl.Int8, pl.UInt8)
_WITHIN_INT64 = (pl.Int8, pl.Int16, pl.Int32, pl.Int64, pl.UInt8, pl.UInt16, pl.UInt32)


def _steps_of_bytes(values: np.ndarray, there: np.ndarray, missing: int, leaf: Node) -> Steps:
    """Turn answers of one byte into codes; that bytes wrap around brings each into its place and no two into one."""
    before, span, stored = _before_first(leaf), int(leaf.maximum - leaf.minimum), values.view(np.uint8)
    shift = np.uint8(before % _BYTE)
    codes = stored - shift if leaf.direction == 1 else shift - stored
    codes *= there
    above = bool(len(codes) and codes.max() > span + 1)
    outside = above or np.count_nonzero(codes) != len(codes) - missing
    return Steps(codes.clip(0, np.uint8(span + 1)) if above else codes, None, outside)


def _whole_steps(values: np.ndarray, missing: int, leaf: Node) -> Steps:
    """Turn longer whole numbers, with the step before the first where they are missing, into codes."""
    low, high = sorted((_before_first(leaf), int(leaf.maximum if leaf.direction == 1 else leaf.minimum)))
    outside = bool(len(values) and (values.min() < low or values.max() > high))
    near = values.clip(low, high) if outside else values
    small = np.int8 if high - low < 127 and low > -100 and high < 100 else np.int16
    near = near.astype(small, copy=False)
    codes = near - small(low) if leaf.direction == 1 else small(high) - near
    codes = codes.view(np.uint8) if small is np.int8 else codes.astype(_code_type(high - low), copy=False)
    return Steps(codes, None, outside or np.count_nonzero(codes) != len(codes) - missing)


def _steps(values: np.ndarray, leaf: Node) -> Steps:
    """Turn answers that may be fractions into codes and what is none; NaN is missing."""
    steps = values - leaf.minimum if leaf.direction == 1 else leaf.maximum - values
    if (whole := _whole_floats(steps, leaf.maximum - leaf.minimum)) is not None:
        return Steps(whole)
    answered = ~np.isnan(steps)
    filled, span = np.where(answered, steps, 0.0), leaf.maximum - leaf.minimum
    outside = bool(len(filled) and (filled.min() < -SLACK or filled.max() > span + SLACK))
    filled = filled.clip(0, span) if outside else filled
    near = np.rint(filled)
    there = answered & (near == filled) & (span < MOST_CODES)
    parts = None if (there == answered).all() else np.where(answered & ~there, filled, np.nan)
    return Steps(np.where(there, near + 1, 0.0).clip(0, MOST_CODES).astype(_code_type(span)), parts, outside)


def _whole_floats(steps: np.ndarray, span: float) -> np.ndarray | None:
    """Return the codes of steps that are all whole, inside their range or missing, as nearly always; else None."""
    if not len(steps) or span >= _BYTE - 1:
        return None
    filled = np.fmax(steps, -1.0)  # a missing one becomes the step before the first
    if filled.max() > span:
        return None
    filled += 1.0
    codes = filled.astype(np.uint8)
    missing = len(codes) - np.count_nonzero(codes)
    return codes if (codes == filled).all() and missing == np.count_nonzero(np.isnan(steps)) else None


@dataclass(frozen=True)
class Scored:
    """One answer or node score of every row of a block.

    Attributes
    ----------
    codes
        Place of the score in the list of its values; 0 where there is none, or where it stands in ``x``. None where no row
        has a code.
    x
        Scores (0–100) of the rows that have no code, NaN elsewhere; None where there are none.
    """

    codes: np.ndarray | None
    x: np.ndarray | None


class LeafScores:
    """Scores of the answers to one question."""

    def __init__(self, leaf: Node):
        span = leaf.maximum - leaf.minimum
        self.leaf, self.span = leaf, span
        many = math.floor(span) + 1 if span < MOST_CODES else 0
        #: Steps of each code, and points; the first is of none.
        self.values = np.append(np.nan, np.arange(many, dtype=float))
        self.scores = 100 * self.values / whole_or_float(span)
        self.points = 100 / whole_or_float(span)
        self.factor = span / 100 if float(span).is_integer() else None

    def of(self, steps: Steps) -> Scored:
        """Score the answers of a block."""
        codes = steps.codes if len(self.values) > 1 else None
        none = np.full(len(steps.codes), np.nan) if codes is None else None
        return Scored(codes, none if steps.parts is None else 100 * steps.parts / whole_or_float(self.span))


class LeafMeans:
    """Scores of a node over questions: the weighted mean of those answered, one whole numerator divided once."""

    def __init__(self, leaves: Sequence[Node], least: int):
        self.leaves, self.least = leaves, least
        self.multiples, self.unit = multiples_of(leaves)
        self.weights = [whole_or_float(leaf.weight) for leaf in leaves]
        self.values = np.array([np.nan])
        self.whole = all(isinstance(value, int) for value in [*self.multiples, *self.weights, self.unit])
        self.alike = len({*zip(self.multiples, self.weights, strict=True)}) == 1
        if self.whole:
            most = sum(
                int(m) * int(leaf.maximum - leaf.minimum) for m, leaf in zip(self.multiples, leaves, strict=True)
            )
            self.width = int(sum(self.weights)) + 1
            self.whole = (most + 1) * self.width < MOST_CODES and len(leaves) < 256
            self.kind: Any = _code_type(most)
            if self.whole:
                numerator, weight = np.divmod(np.arange((most + 1) * self.width), self.width)
                with np.errstate(divide="ignore", invalid="ignore"):
                    self.values = np.append(np.nan, 100 * numerator / (weight * self.unit))
                self.values[~np.isfinite(self.values) | (self.values > 100)] = np.nan  # no answers have these codes
        self.scores = self.values
        #: What makes every score of a code whole, where it is no large number.
        self.factor = self._factor() if self.whole else None

    def _factor(self) -> float | None:
        divisors = math.lcm(*range(1, self.width)) * int(self.unit)
        return divisors / 100 if divisors < 1 << 18 else None

    def of(self, answers: Mapping[str, Steps]) -> Scored:
        """Score a block from the answers to its questions."""
        mine = [answers[leaf.code] for leaf in self.leaves]
        if not self.whole:
            return Scored(None, self._numbers(mine))
        rows = len(mine[0].codes)
        numerator, weight, count = np.zeros(rows, self.kind), np.zeros(rows, self.kind), np.zeros(rows, np.uint8)
        for steps, multiple, own in zip(mine, self.multiples, self.weights, strict=True):
            there = steps.there.view(np.uint8)
            numerator += _times(steps.codes, multiple, self.kind)
            count += there
            if not self.alike:
                numerator -= _times(there, multiple, self.kind)  # a code is one more than its steps
                weight += _times(there, own, self.kind)
        if self.alike:
            numerator -= _times(count.astype(self.kind, copy=False), self.multiples[0], self.kind)
            weight = _times(count.astype(self.kind, copy=False), self.weights[0], self.kind)
        codes = numerator.astype(np.int16)
        codes *= np.int16(self.width)
        codes += weight
        codes += np.int16(1)
        codes[(count < self.least) | (weight == 0)] = 0
        fractional = [steps for steps in mine if steps.parts is not None]
        if not fractional:
            return Scored(codes, None)
        other = np.any([~np.isnan(steps.parts) for steps in fractional], axis=0)  # type: ignore[arg-type]
        codes[other] = 0
        return Scored(codes, np.where(other, self._numbers(mine), np.nan))

    def _numbers(self, mine: Sequence[Steps]) -> np.ndarray:
        """Score rows one by one, terms added from left to right."""
        total = left_to_right(
            np.where(s.answered, s.numbers, 0.0) * m for s, m in zip(mine, self.multiples, strict=True)
        )
        weight = left_to_right(s.answered * w for s, w in zip(mine, self.weights, strict=True))
        count = left_to_right(s.answered.astype(np.int64) for s in mine)
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.where((count >= self.least) & (weight > 0), 100 * total / (weight * self.unit), np.nan)


class NodeMeans:
    """Scores of a node over nodes: the weighted mean of the scores there are."""

    def __init__(self, children: Sequence[Node], least: int):
        self.children, self.least = children, least
        self.values = self.scores = np.array([np.nan])
        self.factor = None

    def of(self, children: Sequence[Filled]) -> Scored:
        """Score a block from the scores of its children, terms added from left to right."""
        weights = [float(child.weight) for child in self.children]
        total, count = np.zeros(len(children[0].there)), np.zeros(len(children[0].there), np.int32)
        weight: np.ndarray = count if set(weights) == {1.0} else np.zeros(len(total))
        for child, own in zip(children, weights, strict=True):
            total += child.scores if own == 1 else child.scores * own
            count += child.there
            if weight is not count:
                weight += child.there * own
        total[(count < self.least) | (weight == 0)] = np.nan
        with np.errstate(divide="ignore", invalid="ignore"):
            total /= weight
        return Scored(None, total)


def _times(values: np.ndarray, factor: float, kind: Any) -> np.ndarray:
    """Multiply small whole numbers within a type that holds the result."""
    return values if factor == 1 else np.multiply(values, kind(factor), dtype=kind, casting="unsafe")


def has_score(scored: Scored) -> np.ndarray:
    """Tell which rows have a score."""
    coded = None if scored.codes is None else scored.codes > 0
    if scored.x is None:
        assert coded is not None, "a score has codes or numbers"
        return coded
    return ~np.isnan(scored.x) if coded is None else coded | ~np.isnan(scored.x)


class Filled(NamedTuple):
    """Scores of a block with 0 where there is none, and which there are."""

    scores: np.ndarray
    there: np.ndarray


def with_zeros(scored: Scored, scores: np.ndarray) -> Filled:
    """Return scores as numbers; ``scores`` are those of the codes, NaN for none."""
    there = has_score(scored)
    if scored.codes is None:
        assert scored.x is not None, "a score has codes or numbers"
        return Filled(np.where(there, scored.x, 0.0), there)
    coded = np.take(np.nan_to_num(scores), scored.codes, mode="clip")
    return Filled(coded if scored.x is None else np.where(np.isnan(scored.x), coded, scored.x), there)


def multiples_of(leaves: Sequence[Node]) -> tuple[list[float | int], float | int]:
    """Return factors that bring leaves of different ranges to one unit; integral where ranges and weights are."""
    ranges = [whole_or_float(leaf.maximum - leaf.minimum) for leaf in leaves]
    weights = [whole_or_float(leaf.weight) for leaf in leaves]
    if all(isinstance(value, int) for value in ranges + weights):
        unit = math.lcm(*(int(value) for value in ranges))
        return [int(w) * (unit // int(r)) for w, r in zip(weights, ranges, strict=True)], unit
    return [w / r for w, r in zip(weights, ranges, strict=True)], 1


def left_to_right(terms: Iterable[Any]) -> Any:
    """Add terms (arrays or expressions) from left to right, the same order everywhere."""
    first, *rest = list(terms)
    for term in rest:
        first = first + term
    return first


def whole_or_float(value: float) -> int | float:
    """Return an int where the number is whole, so that integers stay integral."""
    return int(value) if float(value).is_integer() else float(value)
