"""What decides a mask besides the people: units, min_group, the declared crosses."""

from __future__ import annotations

import hashlib

from ..spec.settings import FLOOR
from ..spec.specification import Specification


def ruling(spec: Specification, period: str) -> str:
    """Hash the units of a wave, min_group and the declared crosses."""
    rows = [(u.tree, u.unit, u.parent, u.level) for u in spec.units.at(period).rows]
    content = (sorted(rows), max(spec.min_group, FLOOR), sorted(spec.cross))
    return hashlib.sha256(repr(content).encode()).hexdigest()[:16]
