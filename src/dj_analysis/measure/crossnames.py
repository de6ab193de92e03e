"""Names of cross-classified cells: a unit and a category of a group column together."""

from __future__ import annotations

from collections.abc import Sequence

from ..spec.specification import CROSS


def cell_name(parts: Sequence[str]) -> str:
    """Return the name of a level, axis or cell made of several parts: ``branch×age_band``, ``B001×36–45岁``."""
    return CROSS.join(parts)


def parts_of(name: str) -> list[str]:
    """Return the parts of a cross-classified name; any other name is its only part."""
    return name.split(CROSS)


def is_cross(name: str) -> bool:
    """Tell whether a level or axis is a cross-classification."""
    return CROSS in name
