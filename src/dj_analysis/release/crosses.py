"""Which cells of a declared cross-classification are shown: a level below the units it is made of."""

from __future__ import annotations

from ..measure.crossnames import cell_name, parts_of
from ..measure.unitsums import UnitSums
from ..spec.units import ALL, Unit, Units
from .tree_rule import Partition, partition


def cross_partition(
    sums: UnitSums, level: str, units: Units, least: int, tree: Partition, hide: frozenset[str] = frozenset()
) -> Partition:
    """Decide by the tree rule which cells are shown: cells lie right below their unit, or below the root for groups alone.

    Units are shown as the tree decided them and are never hidden for a cell; where a unit is not shown, or not for some
    code, its cells are not either.

    Parameters
    ----------
    sums
        Sums by finest unit and category together.
    level
        Name of the cross, ``branch×age_band``.
    tree
        What was decided for the first part of the cross: a unit tree or a group column.
    hide
        Cells hidden for another reason.
    """
    at = parts_of(level)[0]
    of_units = at in units.levels
    kept = _units_above(at, units) if of_units else {}
    above: dict[str, str] = {}  # cell → its unit
    place: dict[str, str] = {}  # finest combination → its cell, or the lowest unit kept
    for key in sums.units:
        finest, *categories = parts_of(key)
        chain = [finest, *units.ancestors(finest)] if of_units and finest else [finest or ALL]
        unit = next((u for u in chain if u == ALL or not of_units or u in kept), ALL)
        whole = unit != ALL and all(categories) and (not of_units or kept[unit].level == at)
        place[key] = cell_name([unit, *categories]) if whole else unit
        if whole:
            above[place[key]] = unit
    nodes = _nodes(level, kept, above)
    fixed = {node.unit for node in nodes.rows} - set(above) | {ALL}
    shut = {unit for unit in fixed if unit in tree.hidden}
    cells_of: dict[str, list[str]] = {}
    for cell, unit in above.items():
        cells_of.setdefault(unit, []).append(cell)
    gone = {cell for cell, unit in above.items() if unit in shut}
    closed = {(name, code) for unit, code in tree.closed for name in (unit, *cells_of.get(unit, []))}
    renamed = sums.renamed({key: "" if unit == ALL else unit for key, unit in place.items()})
    block = UnitSums(level, renamed.units, renamed.cells, renamed.persons, renamed.sums, renamed.heaviest)
    decided = partition(block, nodes, least, hide=shut | gone | hide, closed=closed, fixed=fixed)
    home = {key: decided.home[unit if unit != ALL else ""] for key, unit in place.items()}
    return Partition(
        sums.axis, decided.small, decided.complements, decided.empty, home, decided.parent, decided.closed, decided.few
    )


def _units_above(at: str, units: Units) -> dict[str, Unit]:
    """Return the units of a level's tree that do not lie below a unit of that level."""
    tree = units.tree_of(at)
    stop = {unit.unit for unit in units.at_level(at)}
    mine = (unit for unit in units.rows if unit.tree == tree and unit.unit != ALL)
    return {unit.unit: unit for unit in mine if not stop & set(units.ancestors(unit.unit))}


def _nodes(level: str, kept: dict[str, Unit], above: dict[str, str]) -> Units:
    """Return the tree of units down to the level of a cross, with its cells below them."""
    rows = [Unit(unit.unit, unit.parent, "unit", level) for unit in kept.values()]
    rows += [Unit(unit, ALL, "unit", level) for unit in dict.fromkeys(above.values()) if unit not in kept]
    return Units((*rows, *(Unit(cell, unit, "cell", level) for cell, unit in above.items())))
