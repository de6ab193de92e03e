"""Answers and node scores of a block of rows: as codes of the values they can take, or as numbers where there are too many."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

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
    schema = block.schema
    check_numbers(schema, leaves)
    whole = {leaf.code: kind for leaf in leaves if (kind := _counting_type(schema[leaf.code], leaf)) is not None}
    filled = block.select(  # all columns in one call: missing answers become the step before the first
        pl.col(leaf.code).cast(whole[leaf.code]).fill_null(_before_first(leaf)) for leaf in leaves if leaf.code in whole
    )
    return {
        leaf.code: _whole_steps(filled[leaf.code].to_numpy(), block[leaf.code].null_count(), leaf)
        if leaf.code in whole
        else _steps(block[leaf.code].cast(pl.Float64).to_numpy(), leaf)
        for leaf in leaves
    }


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


def _counting_type(kind: pl.DataType, leaf: Node) -> pl.DataType | None:
    """Return the signed type that holds the answers and the step before the first; None where steps are not counted as whole."""
    ends = (leaf.minimum, leaf.maximum)
    if not kind.is_integer() or not all(float(end).is_integer() for end in ends) or ends[1] - ends[0] >= MOST_CODES:
        return None
    if kind in _SIGNED[:3] and leaf.minimum > -100 and leaf.maximum < 100:
        return kind
    return pl.Int64() if kind != pl.UInt64 and kind in _WITHIN_INT64 else None


_SIGNED = (pl.Int8, pl.Int16, pl.Int32, pl.Int64)
_WITHIN_INT64 = (*_SIGNED, pl.UInt8, pl.UInt16, pl.UInt32)


def _whole_steps(values: np.ndarray, missing: int, leaf: Node) -> Steps:
    """Turn whole answers, with the step before the first where they are missing, into codes."""
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
    answered = ~np.isnan(steps)
    filled, span = np.where(answered, steps, 0.0), leaf.maximum - leaf.minimum
    outside = bool(len(filled) and (filled.min() < -SLACK or filled.max() > span + SLACK))
    filled = filled.clip(0, span) if outside else filled
    near = np.rint(filled)
    there = answered & (near == filled) & (span < MOST_CODES)
    parts = None if (there == answered).all() else np.where(answered & ~there, filled, np.nan)
    return Steps(np.where(there, near + 1, 0.0).clip(0, MOST_CODES).astype(_code_type(span)), parts, outside)


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
            numerator -= _times(there, multiple, self.kind)  # a code is one more than its steps
            weight += _times(there, own, self.kind)
            count += there
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

    def of(self, scores: Sequence[np.ndarray]) -> Scored:
        """Score a block from the scores of its children, terms added from left to right."""
        there = [~np.isnan(score) for score in scores]
        total = left_to_right(
            np.where(t, score, 0.0) * float(c.weight) for t, score, c in zip(there, scores, self.children, strict=True)
        )
        weight = left_to_right(t * float(c.weight) for t, c in zip(there, self.children, strict=True))
        count = left_to_right(t.astype(np.int64) for t in there)
        with np.errstate(divide="ignore", invalid="ignore"):
            return Scored(None, np.where((count >= self.least) & (weight > 0), total / weight, np.nan))


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


def as_numbers(scored: Scored, values: np.ndarray) -> np.ndarray:
    """Return scores as numbers, NaN where there is none."""
    if scored.codes is None:
        assert scored.x is not None, "a score has codes or numbers"
        return scored.x
    coded = values[scored.codes]
    return coded if scored.x is None else np.where(np.isnan(scored.x), coded, scored.x)


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
