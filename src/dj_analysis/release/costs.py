"""What disclosure control costs in a wave: units and people, by breakdown."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd

from ..measure.crossnames import is_cross
from ..measure.unitsums import UnitSums
from ..spec import reasons
from ..spec.specification import Specification
from ..spec.units import ALL, Units
from .mask import Mask, axis_of_level


def costs(mask: Mask, sums: Mapping[str, UnitSums], spec: Specification, period: str) -> pd.DataFrame:
    """Return one row a breakdown; see ``Workspace.release_costs``."""
    units, rows = spec.units.at(period), []
    left_out = {one.name for one in mask.left_out}
    for name, homes in mask.homes.items():
        axis = axis_of_level(name, units) if is_cross(name) else name
        people = dict(zip(sums[axis].units, sums[axis].persons, strict=True))
        levels = {unit.level for unit in units.rows if unit.tree == name} if name in units.trees else {name}
        shown = {row for row in mask.shown or () if row[0] in levels and row[1] != ALL}
        inside = _with_people(name, homes, people, units)
        hidden = {
            row: why for row, why in mask.hidden.items() if row[0] in levels and (row[1] in inside or is_cross(name))
        }
        few = sum(why == reasons.SMALL_GROUP for why in hidden.values())
        lost = sum(n for unit, n in people.items() if unit and homes.get(unit, ALL) == ALL)
        closed = len({cell[:2] for cell in mask.closed if cell[0] in levels})
        rows.append(
            (name, len(shown) + len(hidden), len(shown), few, len(hidden) - few, closed, int(lost), name in left_out)
        )
    columns = ["breakdown", "parts", "shown", "hidden", "protecting", "questions", "people", "left_out"]
    return pd.DataFrame(rows, columns=columns)


def _with_people(name: str, homes: Mapping[str, str], people: Mapping[str, float], units: Units) -> set[str]:
    """Return the units or categories that hold somebody, at whatever level."""
    inside = {unit for unit in homes if unit and people.get(unit)}
    return inside | {above for unit in inside for above in units.ancestors(unit)} if name in units.trees else inside
