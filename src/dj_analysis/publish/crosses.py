"""Which cells of a declared cross-classification are hidden: branch by age, beside the totals of both."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd

from ..measure.crosses import parts_of
from ..measure.partition import is_small, stacked
from ..measure.scores import members
from ..measure.unitsums import UnitSums
from ..spec.specification import CROSS
from ..spec.units import ALL, NO_UNIT, Units
from .coupling import EXACT_LIMIT, UNCOVERED, counted, smallest_union, told_apart_by_rank

SLACK = 1e-6  # of linear programs, in points
SAFE_WIDTH = 25.0  # points: the distance of two neighbouring options of a five-step scale


class _Table(NamedTuple):
    """The finest sets the cells and both margins are made of, one row each."""

    labels: np.ndarray  # number of the shown unit and of the shown category that each counts to
    cells: np.ndarray  # number of the cell of the cross-classification, -1 where there is none
    people: np.ndarray
    weight: np.ndarray  # Σw by code
    score: np.ndarray  # Σwx by code
    counts: Sequence[np.ndarray]  # people, then those scored on each code where they are fewer
    row_of: Mapping[str, int]  # finest unit and category together → row


def cross_mask(
    sums: UnitSums, level: str, units: Units, homes: Mapping[str, Mapping[str, str]], least: int, others: pd.DataFrame
) -> frozenset[str]:
    """Decide which cells of a cross-classification are hidden.

    A cell is hidden when it is small, or when its unit or category is. Then cells are hidden, the one with the fewest
    people first, until no total that follows from the shown cells and the margins tells about fewer than ``least`` people
    (exactly: a minimum cut for two margins), and until the mean of every small cell, for every code, could still lie
    anywhere in a range of 25 points (a linear program over the hidden cells of its block); a cell that is hidden only to
    protect others may be known more closely.

    Parameters
    ----------
    sums
        Sums by finest unit and category together.
    homes
        Axis → finest unit or category → the shown part it counts to.
    others
        One row for every combination of all axes: ``key`` (its finest unit and category together), n, and the part it
        counts to on every further published axis.

    Returns
    -------
    frozenset
        Names of the hidden cells.
    """
    groups = members(level, sums.axis, units, sums)
    rolled = sums.rolled_up(groups)
    names = list(groups)
    blocks = stacked(rolled, {name: i for i, name in enumerate(names)})
    persons = dict(zip(names, rolled.persons, strict=True))
    small = {name for i, name in enumerate(names) if persons[name] and is_small(blocks[i], least)}
    shut = small | {name for name in names if not persons[name]}
    shut |= {name for name, finest in groups.items() if _part_hidden(name, finest, sums.axis, level, units, homes)}
    table = _table(sums, groups, names, homes)
    hidden, unproved = set(shut), sorted(small)
    open_rows = [set(np.flatnonzero(n > 0).tolist()) for n in table.counts]
    while True:
        found = _trouble(table, names, hidden, least, open_rows)
        if found is None:
            found = _with_others(table, names, hidden, least, others)
        if found is None:
            found = _narrow(table, names, hidden, unproved)
        if found is None:
            return frozenset(hidden)
        near = next((cells for cells in _near(table, names, found, hidden) if cells), None)
        if near is None:
            return frozenset(names)
        hidden.add(min(near, key=lambda name: (persons[name], name)))


def _part_hidden(
    name: str, finest: Sequence[str], axis: str, level: str, units: Units, homes: Mapping[str, Mapping[str, str]]
) -> bool:
    """Tell whether the unit or the category of a cell is itself not shown."""
    for part, side, at in zip(name.split(CROSS), axis.split(CROSS), level.split(CROSS), strict=True):
        home = homes[side]
        if at in units.levels:
            inside = [key.split(CROSS)[0] for key in finest]
            shown = {home.get(unit, ALL) for unit in inside}
            if part not in shown and not any(
                part in units.ancestors(unit) for unit in shown if unit not in (ALL, NO_UNIT)
            ):
                return True
        elif home.get(part, ALL) != part:
            return True
    return False


def _table(
    sums: UnitSums, groups: Mapping[str, Sequence[str]], names: Sequence[str], homes: Mapping[str, Mapping[str, str]]
) -> _Table:
    """Put people together whom nothing published parts: same shown unit, same shown category, same cell."""
    axes = sums.axis.split(CROSS)
    cell_of = {key: i for i, name in enumerate(names) for key in groups[name]}
    rows = pd.DataFrame(
        [[homes[axis].get(part, ALL) for axis, part in zip(axes, parts_of(key), strict=True)] for key in sums.units],
        columns=axes,
    )
    rows["cell"] = [cell_of.get(key, UNCOVERED) for key in sums.units]
    labels = np.column_stack([pd.factorize(rows[axis], sort=True)[0] for axis in axes])
    finest, inverse = np.unique(np.column_stack([labels, rows["cell"]]), axis=0, return_inverse=True)

    def total(values: np.ndarray) -> np.ndarray:
        made = np.zeros((len(finest), *values.shape[1:]))
        np.add.at(made, inverse.ravel(), values)
        return made

    row_of = {key: int(row) for key, row in zip(sums.units, inverse.ravel(), strict=True)}
    weight, score, people = total(sums.sums["w"]), total(sums.sums["wx"]), total(sums.persons)
    counts = np.unique(np.column_stack([people, total(sums.sums["n"])]).T, axis=0)
    return _Table(finest[:, :-1], finest[:, -1], people, weight, score, list(counts), row_of)


def _columns(table: _Table, names: Sequence[str], hidden: set[str]) -> np.ndarray:
    """Return the partitions that tell about the table: the units, and cells where they are shown, else categories.

    A shown cell gives the people in it a total of their own; only the others hang on the total of their category. For two
    margins this makes two partitions; for more the margins stay beside the cells.
    """
    shown = np.array([name not in hidden for name in names] + [False])[table.cells]
    if table.labels.shape[1] == 2:
        offset = int(table.labels[:, 1].max()) + 1
        return np.column_stack([table.labels[:, 0], np.where(shown, offset + table.cells, table.labels[:, 1])])
    return np.column_stack([table.labels, np.where(shown, table.cells, UNCOVERED)])


def _trouble(
    table: _Table, names: Sequence[str], hidden: set[str], least: int, unproved: Sequence[set[int]]
) -> np.ndarray | None:
    """Return the finest sets that too few people's total consists of; above the exact limit every cell is hidden."""
    columns = _columns(table, names, hidden)
    if columns.shape[1] > 2 and (table.people > 0).sum() > EXACT_LIMIT:
        hidden.update(names)
        return None
    for n, rows in zip(table.counts, unproved, strict=True):
        if not rows:
            continue
        found = smallest_union(np.where((n > 0)[:, None], columns, UNCOVERED), n, least, rows)
        if found is not None:
            return found & (n > 0)
    return None


def _with_others(
    table: _Table, names: Sequence[str], hidden: set[str], least: int, others: pd.DataFrame
) -> np.ndarray | None:
    """The same with every further axis: proved apart by rank, else searched exactly, else all cells are hidden."""
    counts = counted(others)
    further = [axis for axis in others if axis != "key" and axis not in counts and others[axis].nunique() > 1]
    if not further or set(names) <= hidden:
        return None
    row = others["key"].map(table.row_of).to_numpy()
    own = _columns(table, names, hidden)[row]
    more = np.column_stack([pd.factorize(others[axis], sort=True)[0] for axis in further])
    for name in counts:
        n = others[name].to_numpy(float)
        there = n > 0
        if told_apart_by_rank(own[there], more[there], least):
            continue
        labels = np.hstack([own, more])[there]
        if len(np.unique(labels, axis=0)) > EXACT_LIMIT:
            hidden.update(names)
            return None
        found = smallest_union(labels, n[there], least)
        if found is not None:
            apart = np.zeros(len(table.people), dtype=bool)
            apart[row[there][found]] = True
            return apart
    return None


def _narrow(table: _Table, names: Sequence[str], hidden: set[str], unproved: list[str]) -> np.ndarray | None:
    """Return the first small cell whose mean is known to less than the safe width, for any code.

    Cells found safe leave ``unproved``: hiding more only widens what is possible.
    """
    if set(names) <= hidden:
        return None
    columns, number = _columns(table, names, hidden), {name: i for i, name in enumerate(names)}
    while unproved:
        inside = (table.cells == number[unproved[0]]) & (table.people > 0)
        if _narrow_code(table, columns, _columns(table, names, set(names)), inside):
            return inside
        unproved.pop(0)
    return None


def _narrow_code(table: _Table, columns: np.ndarray, margins: np.ndarray, inside: np.ndarray) -> bool:
    """Tell whether the cells shown make the mean of some people known too closely for any code.

    That is how far their scores may move while every published total stays as it is. A quick bound first: scores moved
    round a rectangle of four sets leave all totals as they are. What the margins tell by themselves (a whole unit that
    answered nearly alike) hiding cells cannot take back, and is not held against them.
    """
    total = table.weight[inside].sum(axis=0)
    known = np.flatnonzero(total > 0)
    bound = _by_rectangle(table, columns, inside)[known] / total[known]
    for code in known[bound < SAFE_WIDTH]:
        top, value = 100 * table.weight[:, code], table.score[:, code]
        width = _by_program(columns, top, value, inside) / total[code]
        if width < SAFE_WIDTH and width < _by_program(margins, top, value, inside) / total[code] - SLACK:
            return True
    return False


def _by_rectangle(table: _Table, columns: np.ndarray, inside: np.ndarray) -> np.ndarray:
    """Return by code how far the scores of one set may move round the best rectangle."""
    best = np.zeros(table.weight.shape[1])
    if columns.shape[1] != 2 or inside.sum() != 1:
        return best
    place = {(int(a), int(b)): i for i, (a, b) in enumerate(columns) if table.people[i]}
    up, down = 100 * table.weight - table.score, table.score
    here = int(np.flatnonzero(inside)[0])
    row, column = (int(part) for part in columns[here])
    for beside in np.flatnonzero((columns[:, 0] == row) & ~inside):
        for below in np.flatnonzero((columns[:, 1] == column) & ~inside):
            across = place.get((int(columns[below, 0]), int(columns[beside, 1])))
            if across is not None:
                rise = np.minimum.reduce([up[here], down[beside], down[below], up[across]])
                fall = np.minimum.reduce([down[here], up[beside], up[below], down[across]])
                best = np.maximum(best, rise + fall)
    return best


def _by_program(columns: np.ndarray, top: np.ndarray, value: np.ndarray, inside: np.ndarray) -> float:
    from scipy import sparse
    from scipy.optimize import linprog

    rows = []
    for partition in columns.T:
        known = np.flatnonzero(partition != UNCOVERED)
        _, part = np.unique(partition[known], return_inverse=True)
        rows.append(sparse.csr_array((np.ones(len(known)), (part, known)), shape=(part.max() + 1, len(value))))
    totals = sparse.vstack(rows).tocsr()
    sign, ends = inside.astype(float), []
    for direction in (1.0, -1.0):
        # Moves away from the true scores, so that rounding in the totals cannot make the program infeasible.
        found = linprog(
            direction * sign, A_eq=totals, b_eq=np.zeros(totals.shape[0]), bounds=np.column_stack([-value, top - value])
        )
        assert found.status == 0, "standing still is always possible"
        ends.append(direction * found.fun)
    return float(ends[1] - ends[0])


def _near(table: _Table, names: Sequence[str], found: np.ndarray, hidden: set[str]) -> list[list[str]]:
    """Return the shown cells of the units that were found, and those of their categories: first choice, second choice."""
    choices = []
    for side in (0, -1):
        parts = np.unique(table.labels[found, side])
        cells = np.unique(table.cells[np.isin(table.labels[:, side], parts) & (table.cells != UNCOVERED)])
        choices.append([names[cell] for cell in cells if names[cell] not in hidden])
    return choices
