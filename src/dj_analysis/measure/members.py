"""Finest units, or categories, that belong to each row of a level."""

from __future__ import annotations

import itertools

from ..spec.specification import Specification
from ..spec.units import ALL, NO_UNIT, Units
from .crossnames import cell_name, is_cross, parts_of
from .unitsums import UnitSums


def members(level: str, axis: str, units: Units, sums: UnitSums) -> dict[str, list[str]]:
    """Return the finest units (or categories) of each row of a level; units without any are included."""
    if is_cross(level):
        return _cell_members(level, units, sums)
    if axis not in units.trees:
        return {category: [category] for category in sorted(set(sums.units) - {NO_UNIT})}
    groups: dict[str, list[str]] = {unit.unit: [] for unit in units.at_level(level)}
    for unit in sums.units:
        above = [ALL] if unit == NO_UNIT else [unit, *units.ancestors(unit)]
        for code in above:
            if code in groups:
                groups[code].append(unit)
    return groups


def finest(parts: list[str], units: Units, sums: UnitSums) -> list[str]:
    """Return the finest units of the sums that belong to any of the given units."""
    return [unit for unit in sums.units if set(parts) & {unit, *units.ancestors(unit)}]


def merged_parts(unit: str, spec: Specification, period: str) -> list[str]:
    """Return the units of an earlier period that merged into a unit; empty where there was no merger."""
    parts = [part for part, became in spec.units.successors.items() if became == unit]
    if not parts:  # nearly every unit: the units of the earlier period are looked up for the few others only
        return []
    earlier = spec.units.at(period)
    absorbed = [part for part in parts if part in earlier]
    return [*([unit] if unit in earlier else []), *absorbed] if absorbed else []


def _cell_members(level: str, units: Units, sums: UnitSums) -> dict[str, list[str]]:
    """Return the finest cells of each cell of a cross-classification: every unit of the level with every category."""
    at, *_ = parts_of(level)
    keys = [parts_of(key) for key in sums.units]
    names: list[list[str]] = [sorted({key[i] for key in keys} - {NO_UNIT}) for i in range(len(parts_of(level)))]
    if at in units.levels:
        names[0] = [unit.unit for unit in units.at_level(at)]
    groups: dict[str, list[str]] = {cell_name(parts): [] for parts in itertools.product(*names)}
    for key, name in zip(keys, sums.units, strict=True):
        above = [key[0], *units.ancestors(key[0])] if at in units.levels and key[0] else [key[0]]
        for unit in above:
            if (cell := cell_name([unit, *key[1:]])) in groups:
                groups[cell].append(name)
    return groups
