"""Which rows of a wave may be seen, decided one breakdown after the other."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import numpy as np
import pandas as pd

from ..measure.crossnames import cell_name, is_cross
from ..measure.members import members
from ..measure.unitsums import Cell, UnitSums
from ..spec import reasons
from ..spec.settings import FLOOR
from ..spec.specification import CROSS, Specification
from ..spec.units import ALL
from .crosses import cross_partition
from .mask import ClosedCell, Conflict, LeftOut, Mask, Row, axis_of_level
from .overlaps import MOST_PARTS, UNCOVERED, absorbed_by, proved_by_rank, small_overlap
from .tree_rule import SLACK, Partition, partition


def decide_mask(
    sums: Mapping[str, UnitSums],
    joint: pd.DataFrame,
    spec: Specification,
    period: str,
    *,
    conflict: Conflict | None = None,
) -> Mask:
    """Decide which rows of a wave may be seen.

    The first unit tree comes first and is decided by the tree rule alone. Every further axis and every declared cross-classification has lower
    rank: it is shown where it can be proved that, beside all that is shown already, no total about fewer than min_group
    people follows; else units of a further tree and cells of a cross are hidden until it can, and a group column is left out
    whole. No unit of the first tree is ever hidden for it. The result depends on the counts alone.

    Parameters
    ----------
    sums, joint
        Sums by axis, and the people of every combination of axes (n, and ``n:form:code`` where fewer have a score).
    conflict
        Given a mask, returns (axis, part) to hide because of earlier releases, None when all is well.
    """
    hide: dict[str, set[str]] = {}
    while True:
        mask = _Wave(sums, joint, spec, period, hide).decided()
        move = conflict(mask) if conflict is not None else None
        if move is None:
            return mask
        axis, part = move
        known = hide.setdefault(axis, set())
        more = {part} if part and part not in known else set(mask.homes.get(axis, {}).values()) - known
        if not more:  # nothing smaller is left to hide
            more, known = {ALL, *mask.homes[next(iter(mask.homes))]}, hide.setdefault(next(iter(mask.homes)), set())
        if more <= known:
            return _nothing(mask)
        known |= more


def _nothing(mask: Mask) -> Mask:
    hidden = dict.fromkeys([*(mask.shown or ()), *mask.hidden], reasons.COMPLEMENT)
    homes = {axis: dict.fromkeys(home, ALL) for axis, home in mask.homes.items()}
    return replace(mask, shown=frozenset(), hidden=hidden, homes=homes)


def _is_cut(label: np.ndarray) -> bool:
    """Tell whether people are in more than one part."""
    return bool(len(label) and (label != label[0]).any())


class _Wave:
    """One wave while its mask is being decided: breakdowns are accepted one after the other."""

    def __init__(
        self,
        sums: Mapping[str, UnitSums],
        joint: pd.DataFrame,
        spec: Specification,
        period: str,
        hide: Mapping[str, set[str]],
    ):
        self.sums, self.joint, self.spec, self.hide = sums, joint, spec, hide
        self.units, self.least = spec.units.at(period), max(spec.min_group, FLOOR)
        self.accepted: dict[str, Partition] = {}
        self.left_out: list[LeftOut] = []
        self.axis_of: dict[str, str] = {}  # cross → the axis of its sums
        # What is asked for again for every cell is computed once.
        self._columns: dict[str, np.ndarray] = {}
        self._places: dict[str, tuple[np.ndarray, np.ndarray]] = {}
        self._numbered: dict[tuple[str, int, frozenset[str]], tuple[Partition, np.ndarray]] = {}
        self._overlaps: dict[tuple[int, int, int], bool] = {}
        self._proofs: dict[tuple[object, ...], bool] = {}

    def decided(self) -> Mask:
        first, *others = [axis for axis in self.sums if not is_cross(axis)]
        self.accepted[first] = self._partition(first)
        for axis in sorted(others, key=lambda axis: axis not in self.units.trees):  # trees, then groups, as declared
            self._try_axis(axis)
        for axis in self._crosses_by_use():
            self._try(axis, self._cross(axis))
        return self._mask()

    # --- Trees and groups -----------------------------------------------------------------------------------------

    def _partition(self, axis: str, hide: frozenset[str] = frozenset()) -> Partition:
        return partition(self.sums[axis], self.units, self.least, hide=hide | self.hide.get(axis, set()))

    def _try_axis(self, axis: str) -> None:
        part = self._partition(axis)
        if axis in self.units.trees:
            part = self._apart_from_first(axis, part, lambda hide: self._partition(axis, hide))
        self._try(axis, part)

    def _apart_from_first(self, axis: str, part: Partition, again: Callable[[frozenset[str]], Partition]) -> Partition:
        """Hide parts of a breakdown until nothing small follows from it and the first tree."""
        first, hide = next(iter(self.accepted)), frozenset[str]()
        while True:
            own, labels = self._labels(axis, part), self._labels(first, self.accepted[first])
            apart = small_overlap(labels, own, self._people, self.least)
            touched = set(self._names(axis, part)[apart]) - {ALL, ""} if apart is not None else set()
            if not touched:
                return part
            people = pd.Series(self._people).groupby(self._names(axis, part)).sum()
            smallest = min(touched, key=lambda name: (float(people[name]), name))
            hide, before = hide | {smallest}, part
            part = again(hide)
            if set(part.home.values()) == set(before.home.values()):
                return part

    def _try(self, axis: str, part: Partition) -> None:
        """Accept a breakdown that is proved safe beside those before it; close it for codes for which it is not."""
        shown = {home for home in part.home.values() if home != ALL}
        if not self._safe({**self.accepted, axis: part}, axis, "n"):
            own = self._people[np.isin(self._names(axis, part), list(shown))].sum()
            self.left_out.append(LeftOut(axis, len(shown), int(own)))
            return
        closed = set(part.closed)
        for cell in self.sums[self.axis_of.get(axis, axis)].cells:
            if not self._safe({**self.accepted, axis: part}, axis, self._column(cell), cell):
                closed |= {(unit, cell) for unit in part.parent if unit not in part.hidden and self._level(axis, unit)}
        self.accepted[axis] = replace(part, closed=frozenset(closed))

    # --- Proofs ---------------------------------------------------------------------------------------------------

    def _safe(self, parts: Mapping[str, Partition], new: str, column: str, cell: Cell | None = None) -> bool:
        """Tell whether the newest breakdown is proved safe beside the others, counted by one column of people."""
        if cell is not None and column == "n" and not any(p.closed for p in parts.values()):
            return True  # the same people as a moment ago
        n = self._counted(column)
        there = np.flatnonzero(n > 0)
        labels = {axis: self._labels(axis, part, cell) for axis, part in parts.items()}
        labels = {axis: label for axis, label in labels.items() if axis == new or _is_cut(label[there])}
        if not _is_cut(labels[new][there]):
            return True
        first = next(iter(parts))
        large = [axis for axis in labels if self._is_large(axis, labels[axis])]
        if first in large and any(self._refines(axis, first) for axis in large):
            large.remove(first)
            labels.pop(first)  # its totals are sums of cells and what is left of units
        if len(large) > 2:
            return False
        pairs = [pair for pair in itertools.combinations(labels, 2) if set(large) <= set(pair)]
        bases = [large] if len(large) == 1 else []
        bases += [list(pair) for pair in sorted(pairs, key=lambda pair: not self._belong_together(*pair))]
        return any(self._proved(labels, base, [axis for axis in labels if axis not in base], n) for base in bases)

    def _proved(self, labels: Mapping[str, np.ndarray], base: list[str], further: list[str], n: np.ndarray) -> bool:
        """Prove breakdowns safe: two of them exactly, the others beside them by rank."""
        if len(base) == 2 and self._tells_of_few(labels[base[0]], labels[base[1]], n):
            return False
        return not further or self._ranked(labels, base, further, n)

    def _tells_of_few(self, left: np.ndarray, right: np.ndarray, n: np.ndarray) -> bool:
        key = id(left), id(right), id(n)  # arrays that are kept as long as the wave
        if key not in self._overlaps:
            self._overlaps[key] = small_overlap(left, right, n, self.least) is not None
        return self._overlaps[key]

    def _ranked(self, labels: Mapping[str, np.ndarray], large: list[str], further: list[str], n: np.ndarray) -> bool:
        key = *((axis in large, axis, id(labels[axis])) for axis in (*large, *further)), id(n)  # kept as well
        if key not in self._proofs:
            self._proofs[key] = self._proved_by_rank(labels, large, further, n)
        return self._proofs[key]

    def _proved_by_rank(
        self, labels: Mapping[str, np.ndarray], large: list[str], further: list[str], n: np.ndarray
    ) -> bool:
        columns = np.column_stack([labels[axis] for axis in large])
        out = []
        for axis in further:
            cross = next((name for name in large if axis in self.axis_of.get(name, "").split(CROSS)), None)
            out.append(
                absorbed_by(labels[cross], labels[axis]) if cross is not None else np.zeros(len(columns), dtype=bool)
            )
        return proved_by_rank(columns, [labels[axis] for axis in further], n, self.least, out)

    def _is_large(self, axis: str, label: np.ndarray) -> bool:
        return axis == next(iter(self.accepted)) or is_cross(axis) or len(np.unique(label)) > MOST_PARTS

    def _belong_together(self, one: str, other: str) -> bool:
        """Tell whether one is a cross-classification by the other."""
        return other in self.axis_of.get(one, "").split(CROSS) or one in self.axis_of.get(other, "").split(CROSS)

    def _refines(self, axis: str, tree: str) -> bool:
        """Tell whether every total of a tree is a sum of totals of a cross-classification: nothing lies below its units."""
        at = axis.split(CROSS)[0]
        if not is_cross(axis) or at not in self.units.levels or self.units.tree_of(at) != tree:
            return False
        return not any(self.units.children(unit.unit) for unit in self.units.at_level(at))

    @property
    def _people(self) -> np.ndarray:
        return self._counted("n")

    def _counted(self, column: str) -> np.ndarray:
        if column not in self._columns:
            people = self.joint[column].to_numpy(float)
            alike = (same for same in self._columns.values() if np.array_equal(same, people))
            self._columns[column] = next(alike, people)  # codes that the same people answered need one proof
        return self._columns[column]

    def _column(self, cell: Cell) -> str:
        name = f"n:{cell[0]}:{cell[1]}"
        return name if name in self.joint else "n"

    def _key(self, axis: str) -> pd.Series:
        codes, known = self._keys(axis)
        return pd.Series(known[codes], index=self.joint.index, dtype=object)

    def _keys(self, axis: str) -> tuple[np.ndarray, np.ndarray]:
        """Return the place of each combination's unit or category among those there are, and their names."""
        if axis not in self._places:
            parts = self.axis_of.get(axis, axis).split(CROSS)
            key = self.joint[axis] if len(parts) == 1 else self.joint[parts].agg(CROSS.join, axis=1)
            codes, known = pd.factorize(key.to_numpy(dtype=object))
            self._places[axis] = codes, np.asarray(known, dtype=object)
        return self._places[axis]

    def _homes_of_keys(self, axis: str, home: Mapping[str, str]) -> np.ndarray:
        return np.array([home.get(key, "") for key in self._keys(axis)[1]], dtype=object)

    def _names(self, axis: str, part: Partition) -> np.ndarray:
        return self._homes_of_keys(axis, part.home)[self._keys(axis)[0]]

    def _labels(self, axis: str, part: Partition, cell: Cell | None = None) -> np.ndarray:
        """Number the parts the combinations are in; computed once for all cells with the same units closed."""
        shut = frozenset(unit for unit, closed in part.closed if closed == cell) if cell is not None else frozenset()
        key = axis, id(part), shut
        if key not in self._numbered:
            homes = self._homes_of_keys(axis, part.home_for(cell) if cell is not None and shut else part.home)
            numbers, known = pd.factorize(homes, sort=True)
            labels = np.where(np.asarray(known, dtype=object)[numbers] == "", UNCOVERED, numbers)
            self._numbered[key] = part, labels[self._keys(axis)[0]]  # the part is kept, so that no other gets its id
        return self._numbered[key][1]

    # --- Cross-classifications ------------------------------------------------------------------------------------

    def _crosses_by_use(self) -> list[str]:
        """The declared crosses, the one that shows most people by itself first: the order of declaration plays no part."""
        use = {}
        for pair in self.spec.cross:
            name = cell_name(pair)
            axis = axis_of_level(name, self.units)
            sides = axis.split(CROSS)
            if axis not in self.sums:
                continue
            self.axis_of[name] = axis
            if all(side in self.accepted for side in sides):
                part = self._cross(name)
                cells = np.array([is_cross(home) for home in self._names(name, part)], dtype=bool)
                use[name] = (-float(self._people[cells].sum()), name)
            else:
                self.left_out.append(LeftOut(name, 0, 0))
        return sorted(use, key=lambda name: use[name])

    def _cross(self, name: str) -> Partition:
        """Decide the cells of a cross by the tree rule, then hide more until nothing small follows with tree and margins."""
        axis = self.axis_of[name]
        sides, hide = axis.split(CROSS), frozenset(self.hide.get(name, set()))
        first = self.accepted[sides[0]]
        while True:
            part = cross_partition(self.sums[axis], name, self.units, self.least, first, hide)
            apart = self._small_with_margins(name, part, [side for side in sides if side in self.accepted])
            if apart is None:
                return part
            homes, keys = self._names(name, part), self._key(name)
            touched = {home for home in homes[apart] if is_cross(home)}
            if not touched:  # people of hidden cells: another cell of their category goes as well
                tails = {tuple(key.split(CROSS)[1:]) for key in keys[apart]}
                touched = {home for home in homes if is_cross(home) and tuple(home.split(CROSS)[1:]) in tails}
            if not touched:
                return part
            people = pd.Series(self._people).groupby(homes).sum()
            hide = hide | {min(touched, key=lambda home: (float(people[home]), home))}

    def _small_with_margins(self, name: str, part: Partition, margins: Sequence[str]) -> np.ndarray | None:
        """Return people who are too few, by the cross and one of the breakdowns it is made of."""
        own = self._labels(name, part)
        for side in margins:
            apart = small_overlap(own, self._labels(side, self.accepted[side]), self._people, self.least)
            if apart is not None:
                return apart
            if side not in self.units.trees and (apart := self._dominated(name, part, side)) is not None:
                return apart
        return None

    def _dominated(self, name: str, part: Partition, side: str) -> np.ndarray | None:
        """Return a small cell that is more than four fifths of what its category's total leaves beside the cells shown."""
        homes, keys, categories = self._names(name, part), self._key(name), self.joint[side].to_numpy(dtype=object)
        hidden = np.array([not is_cross(home) for home in homes], dtype=bool)
        left = pd.Series(self._people[hidden]).groupby(categories[hidden]).sum()
        cells = pd.DataFrame({"cell": keys[hidden], "category": categories[hidden], "n": self._people[hidden]})
        for (cell, category), n in cells.groupby(["cell", "category"])["n"].sum().items():
            if n < self.least and left[category] - n < (1 - SLACK) * n / 4 and self._shown_category(side, category):
                return (keys == cell).to_numpy() & hidden
        return None

    def _shown_category(self, side: str, category: str) -> bool:
        return category not in self.accepted[side].hidden and category != ""

    # --- The outcome ----------------------------------------------------------------------------------------------

    def _mask(self) -> Mask:
        shown: set[Row] = set()
        hidden: dict[Row, str] = {}
        closed: set[ClosedCell] = set()
        first = next(iter(self.accepted))
        names = [*(axis for axis in self.sums if not is_cross(axis)), *self.axis_of]
        for name in names:
            part = self.accepted.get(name)
            known = {*part.parent, ALL} if part is not None else set()
            for row in self._rows(name):
                if part is None or row[1] in part.hidden or row[1] not in known:
                    hidden[row] = part.why(row[1]) if part is not None else reasons.COMPLEMENT
                else:
                    shown.add(row)
            for unit, (form, code) in part.closed if part is not None else ():
                level = self._level(name, unit)
                if level and (unit != ALL or name == first):
                    closed.add((level, unit, form, code))
        homes = {name: self._homes(name) for name in names}
        return Mask(frozenset(shown), hidden, frozenset(closed), tuple(self.left_out), homes)

    def _homes(self, name: str) -> Mapping[str, str]:
        part = self.accepted.get(name)
        return part.home if part is not None else dict.fromkeys(self.sums[self.axis_of.get(name, name)].units, ALL)

    def _rows(self, name: str) -> list[Row]:
        if name in self.axis_of:
            axis = self.axis_of[name]
            return [(name, cell) for cell in members(name, axis, self.units, self.sums[axis])]
        if name not in self.units.trees:
            return [(name, category) for category in sorted(set(self.sums[name].units) - {""})]
        rows = [(unit.level, unit.unit) for unit in self.units.rows if unit.tree == name and unit.unit != ALL]
        return [*rows, (self.units.root.level, ALL)] if name == next(iter(self.accepted)) else rows

    def _level(self, name: str, unit: str) -> str | None:
        if name in self.axis_of:
            return name if is_cross(unit) else None
        if name in self.units.trees:
            return self.units[unit].level
        return name if unit != ALL else None
