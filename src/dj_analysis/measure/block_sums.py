"""Sums of a wave by unit from blocks of rows: how often each answer occurs, and other numbers in parts that add exactly.

Answers are few whole numbers: of a block it is enough to count, unit by unit, how often each occurs, and every statistic follows.
All other numbers (scores of nodes, fractional answers, powers of respondents' weights) are split into a coarse and a fine part,
whose sums are exact; where scores have codes, the parts are looked up. So no sum depends on the order of rows, on blocks or on
threads. The loops are those of SciPy's sparse matrices: they take .6 ns a row where adding codes and ``numpy.bincount`` take 1.4,
and let other threads run.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, reduce
from itertools import accumulate
from operator import add, mul
from typing import ClassVar

import numpy as np
from scipy import sparse

#: A score is below 2⁷ and its p-th power below 2⁷ᵖ: 2²⁶ coarse parts add exactly in a float, and as many fine ones.
_BITS, _BITS_OF_SCORE = 26, 7
#: Number of parts of a number, without and with weights.
_PARTS = {False: 2, True: 3}
#: Most different values of an answer that are counted one by one, by unit.
MOST_COUNTED = 128
#: Powers of the weight and of the score of which each statistic is the sum.
POWERS = {
    "w": (1, 0), "ww": (2, 0), "www": (3, 0), "wx": (1, 1), "wxx": (1, 2), "wxxx": (1, 3), "wxxxx": (1, 4), "wwx": (2, 1),
    "wwxx": (2, 2),
}  # fmt: skip
#: Statistics that say the same without weights.
_ALIKE = {"w": "n", "ww": "n", "www": "n", "wwx": "wx", "wwxx": "wxx"}

Sums = dict[str, np.ndarray]


@dataclass(frozen=True)
class Members:
    """Which rows of a block are of which unit, on one axis.

    Attributes
    ----------
    place
        Place of each row's unit.
    units
        Number of units known so far.
    """

    place: np.ndarray
    units: int
    _counted: dict[int, sparse.coo_array] = field(default_factory=dict, repr=False)

    @cached_property
    def matrix(self) -> sparse.csc_array:
        """Units × rows: times a table of rows, it sums them by unit."""
        return _membership(self.place, self.units)

    def counts(self, codes: np.ndarray, many: int) -> np.ndarray:
        """Count the rows of each unit and code; codes are below ``many``.

        The matrix of a number of codes is made once a block and gets the codes of one question after another: making it looks
        through places and codes for the largest, which are known here.
        """
        if many not in self._counted:
            ones, none = np.ones(len(codes), np.int32), np.zeros(len(codes), np.int32)
            self._counted[many] = sparse.coo_array((ones, (self.place, none)), shape=(self.units, many))
        matrix = self._counted[many]
        matrix.coords = (self.place, codes.astype(np.int32))
        return matrix.toarray()

    def of_values(self, codes: np.ndarray, many: int) -> Members:
        """Return the same rows by unit and code."""
        return Members(self.place.astype(np.int64) * many + codes, self.units * many)


def _membership(place: np.ndarray, many: int) -> sparse.csc_array:
    rows = len(place)
    return sparse.csc_array((np.ones(rows), place, np.arange(rows + 1, dtype=place.dtype)), shape=(many, rows))


@dataclass(frozen=True)
class RowWeights:
    """Respondents' weights of a block, divided by a power of two so that none is above 1."""

    SUMMANDS: ClassVar[int] = 3 * _PARTS[True] + 1
    values: np.ndarray

    @cached_property
    def summands(self) -> np.ndarray:
        """Rows × SUMMANDS: parts of the first three powers, and who counts as a person."""
        powers = [part for power in (1, 2, 3) for part in split(_powers(self.values, 3)[power], 0, _PARTS[True])]
        return np.column_stack([*powers, self.values > 0]).astype(float)


def split(values: np.ndarray, power: int, parts: int) -> Iterator[np.ndarray]:
    """Yield the parts of numbers below 2^(7·power), from coarse to fine: sums of each over 2²⁶ rows are exact.

    What is lost of each number is less than half of 2^(7·power − 26·parts): with two parts, the last place of the largest such
    number. Weights may be a hundredth or a thousandth of the largest, and so may be their products: they have three parts.
    Adding and subtracting 1.5·2⁵² steps rounds to whole steps (Dekker 1971).
    """
    left = values
    for part in range(1, parts + 1):
        step = 2.0 ** (_BITS_OF_SCORE * power - _BITS * part)
        rounded = _rounded(left, step)
        yield rounded
        left = left - rounded


def _rounded(values: np.ndarray, step: float) -> np.ndarray:
    shift = 1.5 * 2.0**52 * step
    rounded = values + shift
    rounded -= shift
    return rounded


def added(total: np.ndarray | None, block: np.ndarray) -> np.ndarray:
    """Add the sums of a block, which may know more units than those before."""
    if total is None:
        return block.astype(np.result_type(block, np.int64), copy=False)  # counts of a block are shorter numbers
    if len(total) < len(block):
        total = np.concatenate([total, np.zeros((len(block) - len(total), *block.shape[1:]), block.dtype)])
    total += block
    return total


@dataclass
class Occurrences:
    """How often each value of an answer occurs, by unit, on every axis.

    Attributes
    ----------
    values
        The number each code stands for; code 0 is no value.
    flagged
        Values that are counted apart: favourable answers.
    """

    values: np.ndarray
    flagged: np.ndarray | None
    totals: dict[str, np.ndarray] = field(default_factory=dict)

    def add(self, codes: np.ndarray, axes: Mapping[str, Members], weights: RowWeights | None) -> None:
        """Count the codes of a block."""
        many = len(self.values)
        for axis, members in axes.items():
            block = (
                members.counts(codes, many)
                if weights is None
                else members.of_values(codes, many).matrix @ weights.summands
            )
            self.totals[axis] = added(self.totals.get(axis), block.reshape(members.units, many, -1))

    def columns(self, *, weighted: bool) -> tuple[int, ...]:
        """Return the shape of what is kept of a unit."""
        return (len(self.values), RowWeights.SUMMANDS if weighted else 1)

    def sums(self, axis: str) -> Sums:
        """Return the statistics of every unit seen; without weights those that say the same are left out."""
        if axis not in self.totals:
            return {}
        counts = self.totals[axis][:, 1:].astype(float)
        x, weighted = np.nan_to_num(self.values[1:]), counts.shape[2] > 1  # what no row has counts for nothing
        by_power = {1: counts[:, :, 0]}
        if weighted:
            by_power = {power: _joined(counts, power - 1, _PARTS[True]) for power in (1, 2, 3)}
        told = {"n": counts[:, :, -1].sum(axis=1)}
        if self.flagged is not None:
            told["flagged"] = by_power[1][:, self.flagged[1:]].sum(axis=1)
        for name, (of_weight, of_score) in POWERS.items():
            if weighted or name not in _ALIKE:
                told[name] = np.einsum("uk,k->u", by_power[of_weight], x**of_score)
        return told


@dataclass
class Totals:
    """Sums of numbers, by unit, on every axis: of each power of weight and score, of persons and of flagged ones.

    Attributes
    ----------
    weighted
        Respondents have weights.
    scores
        The score each code stands for, NaN for none (code 0).
    flagged
        Codes that are counted apart: favourable answers, low indexes.
    factor
        What makes scores of codes whole, where it is known: then some parts are 0 and need not be summed.
    """

    weighted: bool
    scores: np.ndarray
    flagged: np.ndarray | None
    factor: float | None = None
    totals: dict[str, np.ndarray] = field(default_factory=dict)

    @cached_property
    def _numbers(self) -> np.ndarray:
        """What is summed of each code: its score times ``_scale``."""
        return self.scores if self.factor is None else np.rint(self.scores * self.factor) * (self._scale / self.factor)

    @cached_property
    def _scale(self) -> float:
        """What scores are multiplied by, below 1.28 (2⁷/100): the factor over a power of two."""
        return 1.0 if self.factor is None else self.factor / 2.0 ** math.ceil(math.log2(self.factor * 100 / 127))

    @cached_property
    def _summands(self) -> tuple[np.ndarray, np.ndarray]:
        """Columns that are not 0 for every code; codes × these: what a row without a weight adds."""
        table = np.column_stack(list(self._columns(self._numbers, self.flagged, None)))
        filled = np.flatnonzero(table.any(axis=0))
        return filled, np.ascontiguousarray(table[:, filled])

    def add_codes(self, codes: np.ndarray, axes: Mapping[str, Members], weights: RowWeights | None) -> None:
        """Sum the scores of a block that have codes."""
        if weights is not None:
            flagged = None if self.flagged is None else self.flagged[codes]
            self._add(np.take(self._numbers, codes, mode="clip"), flagged, axes, weights)
            return
        filled, table = self._summands
        summands = np.take(table, codes, axis=0, mode="clip")  # codes are inside: mode clip is the fastest
        for axis, members in axes.items():
            block = np.zeros((members.units, *self.columns(weighted=False)))
            block[:, filled] = members.matrix @ summands
            self.totals[axis] = added(self.totals.get(axis), block)

    def add(
        self, x: np.ndarray, flagged: np.ndarray | None, axes: Mapping[str, Members], weights: RowWeights | None
    ) -> None:
        """Sum the scores of a block; NaN is none."""
        self._add(x if self._scale == 1 else x * self._scale, flagged, axes, weights)

    def _add(
        self, numbers: np.ndarray, flagged: np.ndarray | None, axes: Mapping[str, Members], weights: RowWeights | None
    ) -> None:
        sums: dict[str, list[np.ndarray]] = {axis: [] for axis in axes}
        for column in self._columns(numbers, flagged, weights):
            for axis, members in axes.items():
                sums[axis].append(members.matrix @ column)
        for axis, columns in sums.items():
            self.totals[axis] = added(self.totals.get(axis), np.column_stack(columns))

    def _columns(
        self, numbers: np.ndarray, flagged: np.ndarray | None, weights: RowWeights | None
    ) -> Iterator[np.ndarray]:
        """Yield what each row adds to each sum: parts of powers, parts of the weights that are flagged, persons."""
        there = ~np.isnan(numbers)
        filled = np.where(there, numbers, 0.0)
        w = None if weights is None else np.where(there, weights.values, 0.0)
        of_score, of_weight = _powers(filled, 4), _powers(np.ones(1) if w is None else w, 3)
        for a, b in _summed(self.weighted).values():
            yield from split(of_score[b] if w is None else of_weight[a] * of_score[b], b, _PARTS[self.weighted])
        chosen = np.zeros(len(filled)) if flagged is None else (flagged & there) * (1.0 if w is None else w)
        yield from split(chosen, 0, _PARTS[self.weighted])
        yield (there if w is None else there & (w > 0)).astype(float)

    def columns(self, *, weighted: bool) -> tuple[int, ...]:
        """Return the shape of what is kept of a unit."""
        return (_PARTS[weighted] * (len(_summed(weighted)) + 1) + 1,)

    def sums(self, axis: str) -> Sums:
        """Return the statistics of every unit seen; without weights those that say the same are left out."""
        if axis not in self.totals:
            return {}
        total = self.totals[axis]
        names = [*_summed(self.weighted), "flagged"]
        told = {name: _joined(total, place, _PARTS[self.weighted]) for place, name in enumerate(names)}
        told = {name: of / self._scale ** POWERS.get(name, (0, 0))[1] for name, of in told.items()}
        return told | {"n": total[:, -1]}


def _powers(x: np.ndarray, most: int) -> list[np.ndarray]:
    """Return x to the powers 0 to ``most``, by multiplication: each number gives the same bits in any array."""
    return [np.ones(1), *accumulate([x] * most, mul)]


def _joined(columns: np.ndarray, place: int, parts: int) -> np.ndarray:
    """Add the parts of the numbers at a place among the columns, the last axis; the finest first."""
    return reduce(add, [columns[..., place * parts + part] for part in reversed(range(parts))])


def _summed(weighted: bool) -> dict[str, tuple[int, int]]:
    """Powers of weight and score that are summed, by statistic."""
    return {name: power for name, power in POWERS.items() if weighted or name not in _ALIKE}


def together(parts: Sequence[Sums], units: int, scale: float, *, alike: bool) -> Sums:
    """Add sums of the same units and multiply the weights back.

    Parameters
    ----------
    units
        Number of units; those a part has not seen have nothing in it.
    scale
        What the weights were divided by.
    alike
        There are no weights: what says the same as another statistic is filled in.
    """
    told = {name: np.zeros(units) for name in ("n", "flagged", *POWERS)}
    for part in parts:
        for name, values in part.items():
            told[name][: len(values)] += values
    if alike:
        told |= {name: told[same] for name, same in _ALIKE.items()}
    else:
        told |= {name: told[name] * scale**of_weight for name, (of_weight, _) in POWERS.items()}
        told["flagged"] *= scale
    return told
