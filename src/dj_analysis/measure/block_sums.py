"""Sums of a wave by unit from blocks of rows: how often each answer and score occurs, and other numbers in halves that add exactly.

Answers are few whole numbers, and so are the scores of a node over answers. Of a block it is therefore enough to count, unit by
unit, how often each occurs: every statistic follows. What is no such number (fractional answers or weights of questions, means of
scores, respondents' weights) is split into a coarse and a fine half, whose sums are exact. So no sum depends on the order of
rows, on blocks or on threads.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import ClassVar

import numpy as np
from scipy import sparse

#: A score is below 2⁷ and its p-th power below 2⁷ᵖ: 2²⁶ coarse halves add exactly in a float, and as many fine ones.
_BITS, _BITS_OF_SCORE = 26, 7
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
    first
        Number of codes → place of the first code of each row's unit.
    """

    place: np.ndarray
    units: int
    first: dict[int, np.ndarray] = field(default_factory=dict, repr=False)

    @cached_property
    def matrix(self) -> sparse.csc_array:
        """Units × rows: times a table of rows, it sums them by unit."""
        return _membership(self.place, self.units)

    def of_values(self, codes: np.ndarray, many: int) -> Members:
        """Return the same rows by unit and code."""
        if many not in self.first:
            self.first[many] = self.place * many
        return Members(self.first[many] + codes, self.units * many)


def _membership(place: np.ndarray, many: int) -> sparse.csc_array:
    rows = len(place)
    return sparse.csc_array((np.ones(rows), place, np.arange(rows + 1)), shape=(many, rows))


@dataclass(frozen=True)
class RowWeights:
    """Respondents' weights of a block, divided by a power of two so that none is above 1."""

    SUMMANDS: ClassVar[int] = 7
    values: np.ndarray

    @cached_property
    def summands(self) -> np.ndarray:
        """Rows × SUMMANDS: halves of the first three powers, and who counts as a person."""
        powers = [half for power in (1, 2, 3) for half in halves(self.values**power, 0)]
        return np.column_stack([*powers, self.values > 0]).astype(float)


def halves(values: np.ndarray, power: int) -> tuple[np.ndarray, np.ndarray]:
    """Split numbers below 2^(7·power) in two parts, sums of which over 2²⁶ rows are exact.

    What is lost is less than the last place of the largest such number.
    """
    unit = 2.0 ** (_BITS - _BITS_OF_SCORE * power)
    coarse = np.floor(values * unit) / unit
    finer = unit * 2.0**_BITS
    return coarse, np.rint((values - coarse) * finer) / finer


def added(total: np.ndarray | None, block: np.ndarray) -> np.ndarray:
    """Add the sums of a block, which may know more units than those before."""
    if total is None:
        return block
    if len(total) < len(block):
        total = np.concatenate([total, np.zeros((len(block) - len(total), *block.shape[1:]), block.dtype)])
    total += block
    return total


@dataclass
class Occurrences:
    """How often each value of an answer or score occurs, by unit, on every axis.

    Attributes
    ----------
    values
        The number each code stands for; code 0 is no value.
    flagged
        Values that are counted apart: favourable answers, low indexes.
    """

    values: np.ndarray
    flagged: np.ndarray | None
    totals: dict[str, np.ndarray] = field(default_factory=dict)

    def add(self, codes: np.ndarray, axes: Mapping[str, Members], weights: RowWeights | None) -> None:
        """Count the codes of a block."""
        many = len(self.values)
        for axis, members in axes.items():
            places = members.of_values(codes, many)
            if weights is None:
                block = np.bincount(places.place, minlength=places.units).reshape(members.units, many, 1)
            else:
                block = (places.matrix @ weights.summands).reshape(members.units, many, -1)
            self.totals[axis] = added(self.totals.get(axis), block)

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
            by_power = {power: counts[:, :, 2 * power - 2] + counts[:, :, 2 * power - 1] for power in (1, 2, 3)}
        told = {"n": counts[:, :, -1].sum(axis=1)}
        if self.flagged is not None:
            told["flagged"] = by_power[1][:, self.flagged[1:]].sum(axis=1)
        for name, (of_weight, of_score) in POWERS.items():
            if weighted or name not in _ALIKE:
                told[name] = np.einsum("uk,k->u", by_power[of_weight], x**of_score)
        return told


@dataclass
class Totals:
    """Sums of numbers, by unit, on every axis: of each power of weight and score, of persons and of flagged ones."""

    weighted: bool
    totals: dict[str, np.ndarray] = field(default_factory=dict)

    def add(
        self, x: np.ndarray, flagged: np.ndarray | None, axes: Mapping[str, Members], weights: RowWeights | None
    ) -> None:
        """Sum the scores of a block; NaN is none."""
        there = ~np.isnan(x)
        filled, w = (
            np.where(there, x, 0.0),
            there.astype(float) if weights is None else np.where(there, weights.values, 0.0),
        )
        parts = [half for a, b in _summed(self.weighted).values() for half in halves(w**a * filled**b, b)]
        chosen = halves(w * flagged, 0) if flagged is not None else [np.zeros(len(x))] * 2
        summands = np.column_stack([*parts, *chosen, there & (w > 0)])
        for axis, members in axes.items():
            self.totals[axis] = added(self.totals.get(axis), members.matrix @ summands)

    def columns(self, *, weighted: bool) -> tuple[int, ...]:
        """Return the shape of what is kept of a unit."""
        return (2 * (len(_summed(weighted)) + 1) + 1,)

    def sums(self, axis: str) -> Sums:
        """Return the statistics of every unit seen; without weights those that say the same are left out."""
        if axis not in self.totals:
            return {}
        total = self.totals[axis]
        names = [*_summed(self.weighted), "flagged"]
        told = {name: total[:, 2 * place] + total[:, 2 * place + 1] for place, name in enumerate(names)}
        return told | {"n": total[:, -1]}


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
