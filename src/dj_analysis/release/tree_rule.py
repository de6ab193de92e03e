"""The tree rule: which units along one axis may be shown, and which of their questions."""

from __future__ import annotations

import heapq
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, partial

import numpy as np

from ..measure.crossnames import is_cross
from ..measure.unitsums import Cell, UnitSums
from ..spec import reasons
from ..spec.settings import FLOOR
from ..spec.specification import Specification
from ..spec.tree import CHOICES
from ..spec.units import ALL, NO_UNIT, Units

SLACK = 1e-9
_STATISTICS = ("n", "w", "ww", "wx", "wxx")


@dataclass(frozen=True)
class Partition:
    """Which units of one axis are shown, so that every remainder is empty or large enough.

    Published totals of a tree tell, besides themselves, what is left of each shown unit when the shown units below it
    are taken away. These remainders are the finest sets anybody can compute along one axis.

    Attributes
    ----------
    small
        Units hidden because of themselves: fewer than min_group people, or one answer by all of them.
    complements
        Units hidden so that no small one can be computed from the others.
    home
        Finest unit → the lowest shown unit that holds it; ``ALL`` at the top.
    closed
        (unit, cell) of shown units that are not shown for one question or dimension, because too few answered it there, or
        to protect such a one. ``ALL`` may be among them.
    few
        Units with fewer than min_group people.
    """

    axis: str
    small: frozenset[str]
    complements: frozenset[str]
    empty: frozenset[str] = frozenset()
    home: Mapping[str, str] = field(default_factory=dict, repr=False)
    parent: Mapping[str, str] = field(default_factory=dict, repr=False)
    closed: frozenset[tuple[str, Cell]] = field(default=frozenset(), repr=False)
    few: frozenset[str] = field(default=frozenset(), repr=False)

    def why(self, unit: str) -> str:
        """Say why a hidden unit is hidden: too few people, or else only that it must not be told apart.

        That all of them gave one answer would be told by saying so.
        """
        return (
            reasons.SMALL_GROUP if unit in self.few or (unit not in self.parent and unit != ALL) else reasons.COMPLEMENT
        )

    @cached_property  # asked for again for every row
    def hidden(self) -> frozenset[str]:
        """Every unit that is not shown, empty ones among them."""
        return self.small | self.complements | self.empty

    def home_for(self, cell: Cell) -> Mapping[str, str]:
        """Return finest unit → the lowest unit that is shown for one question or dimension; "" where none is."""
        shut = {unit for unit, closed in self.closed if closed == cell}
        return {finest: self._above(home, shut) for finest, home in self.home.items()} if shut else self.home

    def _above(self, unit: str, shut: set[str]) -> str:
        while unit in shut or (unit != ALL and unit in self.hidden):
            if unit == ALL:
                return ""
            unit = self.parent[unit]
        return unit


def partition(
    sums: UnitSums,
    units: Units,
    min_group: int,
    *,
    hide: Iterable[str] = (),
    closed: Iterable[tuple[str, Cell]] = (),
    fixed: Collection[str] = (),
) -> Partition:
    """Decide which units along one axis are shown (Cox 1980; Hundepool et al. 2012, ch. 4, for a hierarchical table).

    First by people. A unit is small when its respondents are fewer than min_group, or when all of them gave the same
    answer to a question that at least min_group answered. Small units are hidden for every code. Then, from the bottom up,
    what is left of each shown unit must be empty or not small, and never is exactly one of its parts hidden: where that
    fails the part with the fewest people is hidden as well, or the unit itself when it has no further part.

    Then once more among the units shown, for each code by itself: those who have a score on it, with their effective
    number (Σw)²/Σw² where weights differ, must be nobody or at least min_group. What fails is closed for that code only.
    That all gave one answer does not count for options of multiple choices and rankings: most units hold an option nobody
    chose, and shares of few people are printed as bounds.
    The result depends on the sums alone, not on any order of rows.

    Parameters
    ----------
    sums
        Sums by finest unit of one wave, or by category of a group column.
    units
        The unit trees of that wave.
    min_group
        Smallest number of people about whom a number may be shown.
    hide, closed
        Units that are hidden for another reason; units closed for a code for another reason.
    fixed
        Units that may not be hidden to protect others.
    """
    return _Tree(sums, units, fixed).decided(min_group, frozenset(hide), frozenset(closed))


def partition_of_counts(people: Mapping[str, float], units: Units, min_group: int) -> dict[str, Partition]:
    """Decide which units are shown where people are counted only (requests, events): tree → partition.

    Parameters
    ----------
    people
        Unit → how many belong to it directly, at whatever level.
    """
    decided = {}
    for tree in units.trees:
        mine = {unit: n for unit, n in people.items() if unit in (ALL, NO_UNIT) or units[unit].tree == tree}
        none = {name: np.zeros((len(mine), 0)) for name in _STATISTICS}
        block = UnitSums(tree, tuple(mine), (), np.array(list(mine.values()), float), none)
        decided[tree] = partition(block, units, min_group)
    return decided


def partitions(sums: Mapping[str, UnitSums], spec: Specification, period: str) -> dict[str, Partition]:
    """Decide for every tree and group column of a wave, each by itself, which of its units may be shown."""
    units, least = spec.units.at(period), max(spec.min_group, FLOOR)
    return {axis: partition(block, units, least) for axis, block in sums.items() if not is_cross(axis)}


def withheld_rows(decided: Mapping[str, Partition], units: Units) -> frozenset[tuple[str, str]]:
    """Return the (level, unit) rows that must not be shown."""
    rows = set()
    for axis, part in decided.items():
        for unit in part.hidden:
            rows.add((units[unit].level if axis in units.trees else axis if unit != ALL else units.root.level, unit))
    return frozenset(rows)


class _Tree:
    """Totals of every node of one axis."""

    def __init__(self, sums: UnitSums, units: Units, fixed: Collection[str] = ()):
        self.axis, self.finest, self.cells = sums.axis, sums.units, sums.cells
        self.scored = np.array([form != CHOICES for form, _ in sums.cells], dtype=bool)
        self.parent = _parents(sums, units)
        children: dict[str, list[str]] = {node: [] for node in (*self.parent, ALL)}
        for node, parent in self.parent.items():
            children[parent].append(node)
        self.order = _bottom_up(children)
        self.row = {node: row for row, node in enumerate(self.order)}
        self.above = np.array([self.row[self.parent[node]] for node in self.order[:-1]] + [-1])
        self.children = [[self.row[child] for child in children[node]] for node in self.order]
        self.fixed = {self.row[unit] for unit in fixed if unit in self.row}
        self.own = stacked(sums, self.row)
        self.total = self.own.copy()
        for row in range(len(self.order) - 1):
            self.total[self.above[row]] += self.total[row]

    def decided(self, least: int, hide: frozenset[str], shut: frozenset[tuple[str, Cell]]) -> Partition:
        persons = self.total[:, 0]
        forced = {self.row[unit] for unit in hide if unit in self.row}
        people = _Solution(self, self.total, self.own.copy(), lambda row: is_small(row, least, self.scored), forced)
        people.solve(range(len(self.order)))
        name = self.order.__getitem__
        small, complements = (frozenset(map(name, rows)) for rows in (people.small, people.complements))
        empty = frozenset(name(row) for row in np.flatnonzero(persons == 0))
        home = {unit: self._home(unit, people.shown) for unit in self.finest}
        closed = frozenset(self._closed(people, least, shut))
        few = frozenset(name(row) for row in np.flatnonzero(persons < least))
        return Partition(self.axis, small, complements, empty, home, self.parent, closed, few)

    def _closed(self, people: _Solution, least: int, shut: frozenset[tuple[str, Cell]]) -> Iterable[tuple[str, Cell]]:
        """Apply the rule to the answers to each question, among the units that are shown."""
        width, forced_by_cell = len(self.cells), defaultdict(set)
        for unit, cell in shut:
            if unit in self.row:
                forced_by_cell[cell].add(self.row[unit])
        for j, cell in enumerate(self.cells):
            columns = [1 + j + width * k for k in range(len(_STATISTICS))]
            total, rest = self.total[:, columns], people.rest[:, columns]
            few = partial(too_few, least=least, scored=bool(self.scored[j]))
            small, left = few(total), few(rest)
            trouble = people.shown & (small | left)
            forced = forced_by_cell.get(cell, set())
            trouble[list(forced)] = people.shown[list(forced)]
            if not trouble.any():
                continue
            solution = _Solution(self, total, rest.copy(), _of_one(few), forced)
            solution.shown = people.shown & (total[:, 0] > 0)
            solution.solve(np.flatnonzero(trouble).tolist())
            for row in sorted(solution.small | solution.complements):
                yield self.order[row], cell

    def _home(self, unit: str, shown: np.ndarray) -> str:
        here = unit or ALL
        while here != ALL and not shown[self.row[here]]:
            here = self.parent[here]
        return here


class _Solution:
    """The rule applied to one count of people.

    Attributes
    ----------
    total, rest
        Node × sums: of all its people; of those whom no shown unit below it holds.
    inside
        Node → small nodes whose people are among its rest.
    """

    def __init__(
        self,
        tree: _Tree,
        total: np.ndarray,
        rest: np.ndarray,
        small: Callable[[np.ndarray], bool],
        forced: set[int],
    ):
        self.tree, self.total, self.rest, self.is_small, self.forced = tree, total, rest, small, forced
        self.count = total[:, 0]
        self.shown = self.count > 0
        self.small: set[int] = set()
        self.complements: set[int] = set()
        self.inside: dict[int, list[int]] = {}

    def solve(self, rows: Iterable[int]) -> None:
        """Decide these nodes, from the bottom up, and every node above that their decision touches."""
        waiting = sorted(rows)
        known = set(waiting)
        while waiting:
            row = heapq.heappop(waiting)
            if not self.shown[row]:
                continue
            if row in self.forced or self.is_small(self.total[row]):
                self.small.add(row)
                self.inside.setdefault(row, []).append(row)
                self._hide_alone(row)
            else:
                self._complete(row)
            above = self._shown_above(row)
            if not self.shown[row] and above is not None and above not in known:
                known.add(above)
                heapq.heappush(waiting, above)

    def _hide_alone(self, row: int) -> None:
        """Hide a node: its rest becomes part of the rest of the next shown node above."""
        self.shown[row] = False
        above = self._shown_above(row)
        if above is not None:
            self.rest[above] += self.rest[row]
            self.inside.setdefault(above, []).extend(self.inside.get(row, []))

    def _complete(self, row: int) -> None:
        """Hide parts of a shown node until what is left of it tells about enough people."""
        while True:
            alone = self._hidden_alone(row)
            if not alone and not self.is_small(self.rest[row]) and not self._dominated(row):
                return
            fixed = self.tree.fixed
            parts = (
                [part for part in self.tree.children[row] if self.shown[part] and part not in fixed] if alone else []
            )
            parts = parts or [part for part in self._shown_below(row) if part not in fixed]
            if not parts and row in fixed:
                return
            if not parts:
                self.complements.add(row)
                self._hide_alone(row)
                return
            self._hide_part(min(parts, key=self._loss))

    def _hide_part(self, part: int) -> None:
        """Hide a shown part, and something below it where all its people are shown by units below."""
        if self.rest[part, 0] == 0:
            self._hide_part(min(self._shown_below(part), key=self._loss))
        self.complements.add(part)
        self._hide_alone(part)

    def _dominated(self, row: int) -> bool:
        """Tell whether a small unit is so much of what is left that its mean is known to less than 25 points."""
        left = self.rest[row, 0]
        own = (self.count[unit] for unit in self.inside.get(row, []))
        return any(n > 0 and left - n < (1 - SLACK) * n / 4 for n in own)

    def _loss(self, part: int) -> tuple[float, str]:
        """People in the rows that would go; the code breaks ties, so that the choice is always the same."""
        below = 0.0 if self.rest[part, 0] else min(self._loss(p)[0] for p in self._shown_below(part))
        return float(self.count[part]) + below, self.tree.order[part]

    def _hidden_alone(self, row: int) -> bool:
        hidden = [child for child in self.tree.children[row] if not self.shown[child] and self.count[child]]
        return len(hidden) == 1 and self.count[hidden[0]] < self.count[row]

    def _shown_below(self, row: int) -> list[int]:
        """Highest shown nodes below a node."""
        shown: list[int] = []
        for child in self.tree.children[row]:
            shown += [child] if self.shown[child] else self._shown_below(child)
        return shown

    def _shown_above(self, row: int) -> int | None:
        row = int(self.tree.above[row])
        while row >= 0 and not self.shown[row]:
            row = int(self.tree.above[row])
        return row if row >= 0 else None


def is_small(row: np.ndarray, least: int, scored: np.ndarray) -> bool:
    """Tell whether the people of one row of :func:`stacked` are too few, or gave one answer to a question enough of them answered."""
    persons = row[0]
    if persons == 0:
        return False
    n, w, _, wx, wxx = row[1:].reshape(len(_STATISTICS), len(row) // len(_STATISTICS))
    alike = scored & (n >= least) & (w * wxx - wx * wx <= SLACK * w * wxx)
    return bool(persons < least or alike.any())


def _of_one(few: Callable[[np.ndarray], np.ndarray]) -> Callable[[np.ndarray], bool]:
    return lambda row: bool(few(row[None])[0])


def too_few(rows: np.ndarray, least: int, *, scored: bool = True) -> np.ndarray:
    """Tell which rows (n, Σw, Σw², Σwx, Σwx² of one code) have somebody, but too few or with one answer by all."""
    n, w, ww, wx, wxx = rows.T
    few = (n < least) | (w * w < (least - SLACK) * ww)
    alike = w * wxx - wx * wx <= SLACK * w * wxx
    return np.asarray((n > 0) & (few | (alike & scored)))


def stacked(sums: UnitSums, rows: Mapping[str, int]) -> np.ndarray:
    """One row a node: its own people, then the sums of each cell."""
    block = np.hstack([sums.persons[:, None], *(sums.sums[name] for name in _STATISTICS)])
    of_nodes = np.zeros((len(rows), block.shape[1]))
    np.add.at(of_nodes, [rows[unit or ALL] for unit in sums.units], block)
    return of_nodes


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
