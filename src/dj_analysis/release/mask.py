"""Which rows of one wave may be seen: its tree, further trees and groups, cross-classifications, earlier releases."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType

import pandas as pd

from ..measure.crossnames import cell_name
from ..measure.members import merged_parts
from ..spec.specification import CROSS, Specification
from ..spec.units import ALL, Units
from .tree_rule import Partition

Row = tuple[str, str]  # level, unit
ClosedCell = tuple[str, str, str, str]  # level, unit, form, code
Conflict = Callable[["Mask"], tuple[str, str] | None]


@dataclass(frozen=True)
class LeftOut:
    """A breakdown that is left out whole, because it cannot be proved safe beside those before it.

    Attributes
    ----------
    name
        Group column, unit tree or cross-classification.
    parts, people
        How many of its parts would have been shown by itself, and how many people they hold.
    """

    name: str
    parts: int
    people: int


@dataclass(frozen=True)
class Mask:
    """What of one wave may be seen; the same for every statistic.

    Attributes
    ----------
    shown
        The rows that may be seen; None where a programme hides no rows.
    hidden
        Every other row of the wave → why: 填答人数不足, or to keep others from being computed.
    closed
        Rows that are shown but for one question or dimension.
    left_out
        Breakdowns left out whole.
    homes
        Axis → finest unit or category → the lowest part shown that holds it.
    """

    shown: frozenset[Row] | None
    hidden: Mapping[Row, str] = field(repr=False)
    closed: frozenset[ClosedCell] = field(default=frozenset(), repr=False)
    left_out: tuple[LeftOut, ...] = ()
    homes: Mapping[str, Mapping[str, str]] = field(default_factory=dict, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "hidden", MappingProxyType(dict(self.hidden)))  # read only, as seals rest on it

    @classmethod
    def of_partition(cls, part: Partition, units: Units) -> Mask:
        """Return what one axis shows by itself."""
        in_tree = part.axis in units.trees
        hidden, shown = {}, set()
        for unit in [*part.parent, ALL]:
            row = (units[unit].level if in_tree else part.axis if unit != ALL else units.root.level, unit)
            if unit in part.hidden:
                hidden[row] = part.why(unit)
            else:
                shown.add(row)
        level = {unit: level for level, unit in {*hidden, *shown}}
        closed = frozenset((level[unit], unit, *cell) for unit, cell in part.closed)
        return cls(frozenset(shown), hidden, closed, homes={part.axis: part.home})

    def joined(self, other: Mask) -> Mask:
        """Return what two axes show, each by itself; a row that one of them hides is hidden."""
        assert self.shown is not None, "only masks of people are joined"
        assert other.shown is not None, "only masks of people are joined"
        hidden = {**self.hidden, **other.hidden}
        return Mask(
            (self.shown | other.shown) - set(hidden), hidden, self.closed | other.closed,
            self.left_out + other.left_out, {**self.homes, **other.homes},
        )  # fmt: skip


def merger_mask(
    mask: Mask, spec: Specification, period: str, later: Sequence[str]
) -> tuple[frozenset[Row], frozenset[Row]]:
    """Return units merged later whose value in this wave, put together of their parts, must not be told, and those for which it may.

    It may be told where every part was shown itself: then it follows from what is shown anyway.
    """
    shown = {unit for _, unit in mask.shown or ()}
    refused: set[Row] = set()
    allowed: set[Row] = set()
    for wave in later:
        now = spec.units.at(wave)
        for unit in (unit for unit in now.rows if unit.unit != ALL):
            parts = merged_parts(unit.unit, spec, period)
            if parts:
                (allowed if set(parts) <= shown else refused).add((unit.level, unit.unit))
    return frozenset(refused), frozenset(allowed - refused)


def axis_of_level(name: str, units: Units) -> str:
    """Return the axis of the sums of a cross-classification: ``branch×age`` → ``admin×age``."""
    return cell_name([units.tree_of(part) if part in units.levels else part for part in name.split(CROSS)])


def count_columns(joint: pd.DataFrame) -> list[str]:
    """Return the columns that hold numbers of people: of all, then of those scored on each code."""
    return ["n", *(name for name in joint if str(name).startswith("n:"))]
