"""Points of every unit in one period, by a version of the indicator tree."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from ..errors import Problems
from ..spec import reasons
from ..spec.specification import Specification
from ..spec.tree import Tree, is_counted
from ..spec.units import ALL, Units
from .composites.upward import leaf_points, node_points
from .survey import Indicators


@dataclass(frozen=True)
class Occasion:
    """Points of every unit in one period; arrays units × codes.

    ``n`` and ``se`` are as declared with the value, ``se`` in points; ``reason`` says why a leaf is missing; ``values`` are
    those of leaves that the points were computed from.
    """

    period: str
    tree: Tree
    units: tuple[str, ...]
    codes: tuple[str, ...]
    points: np.ndarray
    n: np.ndarray
    se: np.ndarray
    reason: np.ndarray
    values: np.ndarray

    @cached_property
    def _place_of_unit(self) -> dict[str, int]:
        return _numbered(self.units)

    @cached_property
    def _place_of_code(self) -> dict[str, int]:
        return _numbered(self.codes)

    def laid_out(self, units: Sequence[str], codes: Sequence[str], name: str = "points") -> np.ndarray:
        """Return one array with these rows and columns; what is not there is missing."""
        array = getattr(self, name)
        missing: Any = "" if name == "reason" else np.nan
        rows, columns = _places_of(units, self._place_of_unit), _places_of(codes, self._place_of_code)
        taken = array[np.ix_(np.maximum(rows, 0), np.maximum(columns, 0))] if array.size else np.empty((0, 0))
        there = (rows >= 0)[:, None] & (columns >= 0)[None, :]
        return np.where(there, taken, missing) if array.size else np.full(there.shape, missing)


def occasion(data: Indicators, spec: Specification, period: str, tree: Tree | None = None) -> Occasion:
    """Score every unit in one period.

    Parameters
    ----------
    tree
        A version of the tree; by default the one in force in the period. Under another one, values outside its ranges are missing.

    Raises
    ------
    DataError
        Values, or rolled-up values, outside the range of their indicator in the version in force.
    """
    in_force = data.tree_at(period)
    tree, units = tree or in_force, spec.units.at(period)
    rows = data.values_of(period)
    names = tuple(dict.fromkeys([*(unit.unit for unit in units.rows), ALL]))
    leaves = [leaf.code for leaf in tree.leaves]
    place_of_leaf = _numbered(leaves)
    unit, leaf = _places_of(rows["unit"].tolist(), _numbered(names)), _places_of(rows["code"].tolist(), place_of_leaf)
    there = (unit >= 0) & (leaf >= 0)
    at = (unit[there], leaf[there])
    values, n, se = (np.full((len(names), len(leaves)), np.nan) for _ in range(3))
    why = np.full((len(names), len(leaves)), "", dtype=object)
    for array, column in ((values, "value"), (n, "n"), (se, "se"), (why, "reason")):
        array[at] = rows[column].to_numpy()[there]
    outside = _outside(tree, values)
    if tree is in_force:
        _check_ranges(tree, names, values, outside)
    values[outside] = np.nan
    _roll_up(tree, units, names, values, spec, period)
    outside = _outside(tree, values)
    if tree is in_force:
        _check_ranges(tree, names, values, outside)  # a sum of units can leave the range of one
    values[outside] = np.nan
    span = np.array([leaf.maximum - leaf.minimum for leaf in tree.leaves])
    scaled = {leaf.code: leaf_points(leaf, values[:, j]) for j, leaf in enumerate(tree.leaves)}
    exempt = {leaf.code: why[:, j] == reasons.NOT_APPLICABLE for j, leaf in enumerate(tree.leaves)}
    points = node_points(tree, scaled, exempt)
    codes = tuple(code for code in tree.codes if code in points)
    by_code = [np.column_stack([points[code] for code in codes])] if codes else [np.empty((len(names), 0))]
    place = _places_of(codes, place_of_leaf)
    leaf_of = [array[:, np.maximum(place, 0)] for array in (n, 100 * se / span, why, values)]
    inner = place < 0
    for array, missing in zip(leaf_of, (np.nan, np.nan, "", np.nan), strict=True):
        array[:, inner] = missing
    return Occasion(period, tree, names, codes, by_code[0], *leaf_of)


def _numbered(names: Iterable[str]) -> dict[str, int]:
    return {name: place for place, name in enumerate(names)}


def _places_of(names: Iterable[str], places: Mapping[str, int]) -> np.ndarray:
    """Return the place of each name, -1 where it has none."""
    return np.array([places.get(name, -1) for name in names], dtype=int)


def _outside(tree: Tree, values: np.ndarray) -> np.ndarray:
    """Tell which values lie outside the range of their indicator; counts are never negative."""
    low = np.array([0.0 if is_counted(leaf) else leaf.minimum for leaf in tree.leaves])
    high = np.array([np.inf if is_counted(leaf) else leaf.maximum for leaf in tree.leaves])
    return np.asarray((values < low) | (values > high))


def _check_ranges(tree: Tree, names: Sequence[str], values: np.ndarray, outside: np.ndarray) -> None:
    problems = Problems()
    for j, leaf in enumerate(tree.leaves):
        rows = np.flatnonzero(outside[:, j])
        if len(rows):
            low, high = (0.0, np.inf) if is_counted(leaf) else (leaf.minimum, leaf.maximum)
            shown, allowed = f"{names[rows[0]]} {values[rows[0], j]:g}", f"{low:g}–{high:g}"
            advice = "改正数值、区间或 rollup (correct value, range or rollup)"
            problems.add(f"indicator_values: {leaf.code}", "out_of_range", shown, allowed, advice)
    problems.raise_if_any()


def _roll_up(
    tree: Tree, units: Units, names: Sequence[str], values: np.ndarray, spec: Specification, period: str
) -> None:
    """Fill the values of higher units from those right below, by the roll-up of each indicator; own values stand."""
    place = {name: i for i, name in enumerate(names)}
    how = {j: leaf.rollup for j, leaf in enumerate(tree.leaves) if leaf.rollup not in ("", "none")}
    if not how:
        return
    parents = sorted(
        (u.unit for u in units.rows if units.children(u.unit)), key=lambda unit: -len(units.ancestors(unit))
    )
    for parent in [*(one for one in parents if one != ALL), ALL]:
        children = [child.unit for child in units.children(parent)]
        if not children:
            continue
        below, own = values[[place[child] for child in children]], values[place[parent]]
        for name in set(how.values()):
            codes = [j for j in how if how[j] == name and np.isnan(own[j])]
            own[codes] = _rolled(below[:, codes], name, children, spec, period)


def _rolled(values: np.ndarray, how: str, children: Sequence[str], spec: Specification, period: str) -> np.ndarray:
    """Roll up children × indicators by one rule; missing where no child has a value, or a weight is not known."""
    present = ~np.isnan(values)
    total, any_there = np.where(present, values, 0.0), present.any(axis=0)
    if how == "sum":
        return np.where(any_there, total.sum(axis=0), np.nan)
    weight = np.ones(len(values))
    if how == "weighted":
        weight = np.array([spec.headcount(child, period) for child in children], dtype=float)
    with np.errstate(divide="ignore", invalid="ignore"):
        known = np.where(present, weight[:, None], 0.0)
        return np.where(any_there, (known * total).sum(axis=0) / known.sum(axis=0), np.nan)
