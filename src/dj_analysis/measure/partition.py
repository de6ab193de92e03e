"""Which units of a wave may be told apart: the tree rule of disclosure control."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from ..spec.units import ALL, NO_UNIT, Units
from .unitsums import UnitSums

SLACK = 1e-9


@dataclass(frozen=True)
class Partition:
    """What can be told apart along one unit tree or group column.

    Published totals of a tree tell, besides themselves, what is left of each shown unit when the shown units below it
    are taken away. These remainders are the finest sets anybody can compute; here each is empty or large enough.

    Attributes
    ----------
    small
        Units hidden because of themselves: fewer than min_group people behind some number, or one answer by all.
    complements
        Units hidden so that no small one can be computed from the others.
    home
        Finest unit → the lowest shown unit that holds it; ``ALL`` at the top.
    """

    axis: str
    small: frozenset[str]
    complements: frozenset[str]
    empty: frozenset[str] = frozenset()
    home: Mapping[str, str] = field(default_factory=dict, repr=False)

    @property
    def hidden(self) -> frozenset[str]:
        """Every unit that is not shown, empty ones among them."""
        return self.small | self.complements | self.empty


def partition(sums: UnitSums, units: Units, min_group: int, *, hide: Iterable[str] = ()) -> Partition:
    """Decide which units along one axis are shown (Cox 1980; Hundepool et al. 2012, ch. 4, for a hierarchical table).

    A unit is small when its respondents, or the respondents scored on any one code, or their effective number
    (Σw)²/Σw² where weights differ, are fewer than min_group, or when all of them gave the same answer to a code. Small
    units are hidden for every code. Then, from the bottom up, what is left of each shown unit must be empty or not small,
    and never is exactly one of its parts hidden: where that fails the part with the fewest people is hidden as well, or
    the unit itself when it has no further part. The result depends on the sums alone, not on any order of rows.

    Parameters
    ----------
    sums
        Sums by finest unit of one wave, or by category of a group column.
    units
        The unit trees of that wave.
    min_group
        Smallest number of people about whom a number may be shown.
    hide
        Units that are hidden for another reason.
    """
    return _Tree(sums, units, min_group, frozenset(hide)).solved()


def step(n: np.ndarray) -> np.ndarray:
    """Return to which step of points scores are printed, by the number of people behind them.

    Whoever knows a dimension and its questions can compute what somebody told who left one of them out, the sums of
    answers being whole multiples of the distance of two options (25 points). A step of 25/n leaves every sum at least two
    such values, and a single answer two options: 0.1 from 250 people on, 0.5 from 50, 1 from 25, 2 from 13, else 5.
    """
    with np.errstate(invalid="ignore"):
        return np.select([n >= 25 / step for step in _STEPS], _STEPS, 5.0)


def partition_of_counts(people: Mapping[str, float], units: Units, min_group: int) -> dict[str, Partition]:
    """Decide which units are shown where people are counted only (requests, events): tree → partition.

    Parameters
    ----------
    people
        Unit → how many belong to it directly, at whatever level.
    """
    made = {}
    for tree in units.trees:
        mine = {unit: n for unit, n in people.items() if unit in (ALL, NO_UNIT) or units[unit].tree == tree}
        none = {name: np.zeros((len(mine), 0)) for name in _STATISTICS}
        made[tree] = partition(
            UnitSums(tree, tuple(mine), (), np.array(list(mine.values()), float), none), units, min_group
        )
    return made


_STEPS = (0.1, 0.5, 1.0, 2.0)


class _Tree:
    """Totals of every node of one axis, and what of each is not shown by a unit below it."""

    def __init__(self, sums: UnitSums, units: Units, min_group: int, hide: frozenset[str]):
        self.axis, self.least, self.finest, self.forced = sums.axis, min_group, sums.units, hide
        self.parent = _parents(sums, units)
        self.children: dict[str, list[str]] = {node: [] for node in (*self.parent, ALL)}
        for node, parent in self.parent.items():
            self.children[parent].append(node)
        self.order = _bottom_up(self.children)
        self.row = {node: row for row, node in enumerate(self.order)}
        self.rest = stacked(sums, self.row)  # people directly at a node; grows by what is hidden below it
        self.total = self.rest.copy()
        for node in self.order[:-1]:
            self.total[self.row[self.parent[node]]] += self.total[self.row[node]]
        self.persons = self.total[:, 0]
        self.shown: set[str] = set()
        self.inside: dict[str, list[str]] = {
            node: [] for node in self.order
        }  # small units among what is left of a node

    def solved(self) -> Partition:
        small, complements = set(), set()
        for node in self.order:
            if not self.persons[self.row[node]]:
                continue
            if node in self.forced or is_small(self.total[self.row[node]], self.least):
                small.add(node)
                self.inside[node].append(node)
            else:
                self.shown.add(node)
                complements |= self._completed(node)
            if node not in self.shown and node != ALL:
                self.rest[self.row[self.parent[node]]] += self.rest[self.row[node]]
                self.inside[self.parent[node]] += self.inside[node]
        empty = {node for node in self.order if not self.persons[self.row[node]]}
        return Partition(
            self.axis,
            frozenset(small),
            frozenset(complements),
            frozenset(empty),
            {u: self._home(u) for u in self.finest},
        )

    def _completed(self, node: str) -> set[str]:
        """Hide parts of a shown node until what is left of it tells about enough people."""
        hidden: set[str] = set()
        while True:
            alone = self._hidden_alone(node)
            if not alone and not is_small(self.rest[self.row[node]], self.least) and not self._dominated(node):
                return hidden
            parts = [c for c in self.children[node] if c in self.shown] if alone else []
            parts = parts or self._shown_below(node)
            if not parts:
                self.shown.discard(node)
                return hidden | {node}
            hidden |= self._hide(min(parts, key=self._loss), node)

    def _hide(self, part: str, above: str) -> set[str]:
        """Hide a shown part, and something below it where all its people are shown by units below."""
        self.shown.discard(part)
        hidden = {part}
        if self.rest[self.row[part], 0] == 0:
            hidden |= self._hide(min(self._shown_below(part), key=self._loss), part)
        self.rest[self.row[above]] += self.rest[self.row[part]]
        self.inside[above] += self.inside[part]
        return hidden

    def _dominated(self, node: str) -> bool:
        """Tell whether a small unit is so much of what is left that its mean is known to less than 25 points."""
        codes = (len(self.rest[0]) - 1) // len(_STATISTICS)
        left = self.rest[self.row[node], : 1 + codes]
        for unit in self.inside[node]:
            own = self.total[self.row[unit], : 1 + codes]
            if ((own > 0) & (left - own < (1 - SLACK) * own / 4)).any():
                return True
        return False

    def _loss(self, part: str) -> tuple[float, str]:
        """People in the rows that would go; the code breaks ties, so that the choice is always the same."""
        row = self.row[part]
        below = 0.0 if self.rest[row, 0] else min(self._loss(p)[0] for p in self._shown_below(part))
        return float(self.persons[row]) + below, part

    def _hidden_alone(self, node: str) -> bool:
        hidden = [c for c in self.children[node] if c not in self.shown and self.persons[self.row[c]]]
        return len(hidden) == 1 and self.persons[self.row[hidden[0]]] < self.persons[self.row[node]]

    def _shown_below(self, node: str) -> list[str]:
        """Highest shown units below a node."""
        found: list[str] = []
        for child in self.children[node]:
            found += [child] if child in self.shown else self._shown_below(child)
        return found

    def _home(self, unit: str) -> str:
        here = unit or ALL
        while here not in self.shown and here != ALL:
            here = self.parent[here]
        return here


_STATISTICS = ("n", "w", "ww", "wx", "wxx")


def is_small(row: np.ndarray, least: int) -> bool:
    """Tell whether the people of one row of :func:`stacked` are too few for some number, or all answered alike."""
    persons, (n, w, ww, wx, wxx) = row[0], row[1:].reshape(len(_STATISTICS), len(row) // len(_STATISTICS))
    if persons == 0:
        return False
    there = n > 0
    few = (n < least) | (w * w < (least - SLACK) * ww)
    alike = w * wxx - wx * wx <= SLACK * w * wxx
    return bool(persons < least or (there & (few | alike)).any())


def stacked(sums: UnitSums, rows: Mapping[str, int]) -> np.ndarray:
    """One row a node: its own people, then the sums of each cell."""
    block = np.hstack([sums.persons[:, None], *(sums.sums[name] for name in _STATISTICS)])
    stacked = np.zeros((len(rows), block.shape[1]))
    np.add.at(stacked, [rows[unit or ALL] for unit in sums.units], block)
    return stacked


def _parents(sums: UnitSums, units: Units) -> dict[str, str]:
    """Return unit → parent along the axis; categories of a group column lie right below the root."""
    if sums.axis not in units.trees:
        return {unit: ALL for unit in sorted(sums.units) if unit != NO_UNIT}
    known = {unit.unit: unit.parent or ALL for unit in units.rows if unit.tree == sums.axis and unit.unit != ALL}
    return {unit: parent if parent in known else ALL for unit, parent in sorted(known.items())}


def _bottom_up(children: Mapping[str, Sequence[str]]) -> list[str]:
    """Every node after all nodes below it; the root last."""
    order, waiting = [], [ALL]
    while waiting:
        node = waiting.pop()
        order.append(node)
        waiting += children[node]
    return order[::-1]
