"""The release plan: which rows of which waves may be seen, and what they must rest on."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from types import MappingProxyType
from weakref import WeakKeyDictionary, WeakSet

import numpy as np

from ..measure.basis import WHOLE, Basis
from ..measure.crossnames import is_cross
from ..measure.unitsums import UnitSums
from ..spec.settings import FLOOR
from ..spec.specification import Specification
from .mask import Mask, Row
from .ruling import ruling
from .tree_rule import partition

Wave = tuple[str, str]  # programme, period

UNSTORED = secrets.token_bytes(32)  # seals of plans that belong to no workspace: good for looking, not for export
CLOSE = 1e-3  # points: sums of the same answers, added in another order, are closer than this


@dataclass(frozen=True)
class WavePlan:
    """What may be seen of one wave of one programme.

    Attributes
    ----------
    mask
        The rows that may be seen; None where nothing is hidden but single cells.
    basis
        What was counted in it; a result that rests on anything else is refused.
    refused, allowed
        Rows of units merged later, whose value in that wave is put together of their parts: hidden because a part was not
        shown; shown because all of them were.
    open
        The wave is not closed: what shows it is a draft.
    """

    mask: Mask
    basis: Basis = field(compare=False)
    refused: frozenset[Row] = frozenset()
    allowed: frozenset[Row] = frozenset()
    open: bool = False


@dataclass(frozen=True)
class ReleasePlan:
    """Which rows of which waves may be seen, the same for all codes and statistics.

    Attributes
    ----------
    waves
        (programme, period) → what may be seen of it; a wave that is not named is unknown to the plan.
    key
        What seals are made with; the workspace's own, or that of this process.
    """

    period: str
    min_group: int
    waves: Mapping[Wave, WavePlan] = field(default_factory=dict, repr=False)
    key: bytes = field(default=UNSTORED, repr=False, compare=False)

    def __post_init__(self) -> None:
        # Nothing is put into a plan once it is made: its id, made once, stays true.
        object.__setattr__(self, "waves", MappingProxyType(dict(self.waves)))

    @cached_property
    def id(self) -> str:
        """Short hash of everything the plan decides, and of what it rests on; a wave in which nothing was counted decides nothing."""
        decided = [(wave, *_told(plan)) for wave, plan in sorted(self._counted.items())]
        return hashlib.sha256(repr((self.period, self.min_group, decided)).encode()).hexdigest()[:16]

    @property
    def hidden(self) -> Mapping[Wave, frozenset[Row]]:
        """(programme, period) → the rows that are not shown."""
        return {wave: frozenset(plan.mask.hidden) for wave, plan in self._counted.items()}

    @property
    def _counted(self) -> Mapping[Wave, WavePlan]:
        """The waves in which something was counted: a workspace without obligations has nothing to decide about them."""
        return {wave: plan for wave, plan in self.waves.items() if plan.basis.sums or plan.basis.values}

    @property
    def official(self) -> bool:
        """Tell whether the plan is a workspace's: what it protects may be exported."""
        return self.key is not UNSTORED

    def seal(self, *content: str) -> str:
        """Return the seal of some content under this plan."""
        return _mac(self.key, self.id, *content)

    def sealed(self, seal: str, *content: str) -> bool:
        """Tell whether a seal is this plan's for this content."""
        return verified(self.key, self.id, seal, *content)


def verified(key: bytes, plan: str, seal: str, *content: str) -> bool:
    """Tell whether a seal was made with this key, under the plan of this id, for this content."""
    return hmac.compare_digest(seal, _mac(key, plan, *content))


def provisional_plan(period: str, bases: Iterable[Basis], spec: Specification) -> ReleasePlan:
    """Make a plan from what a result counted: the tree rule alone, for looking; nothing sealed with it can be exported."""
    least, waves = max(spec.min_group, FLOOR), {}
    for basis in bases:
        units = basis.spec.units.at(basis.period)
        if not basis.sums:
            waves[basis.programme, basis.period] = WavePlan(Mask(None, {}), basis)
            continue
        mask = Mask(frozenset({(units.root.level, "ALL")}), {})
        for axis, sums in basis.sums.items():
            if axis == WHOLE or is_cross(axis):
                continue
            mask = mask.joined(Mask.of_partition(partition(sums, units, least), units))
        waves[basis.programme, basis.period] = WavePlan(mask, basis)
    return ReleasePlan(period, least, waves)


def what_differs(basis: Basis, planned: Basis) -> str:
    """Say in one word pair what a result counted otherwise than the plan; "" where it is the same.

    Compared are the questions, the people and their answers, the weights, the units and the categories; sums by finest unit
    where the result parted people, totals where it did not.
    """
    if basis in _SAME and planned in _SAME[basis]:
        return ""
    word = _what_differs(basis, planned)
    if not word:
        _SAME.setdefault(basis, WeakSet()).add(planned)
    return word


#: What was counted → plans it was found to agree with: a report protects a dozen results that rest on the same sums.
_SAME: WeakKeyDictionary[Basis, WeakSet[Basis]] = WeakKeyDictionary()


def _what_differs(basis: Basis, planned: Basis) -> str:
    if basis.values != planned.values:
        return "数值 (the values)"
    if basis.spec.codebook.version != planned.spec.codebook.version:
        return "题目 (the questions)"
    if basis.sums and ruling(basis.spec, basis.period) != ruling(planned.spec, planned.period):
        return "单位、最小人数或交叉分组 (units, min_group or crosses)"
    for axis, sums in basis.sums.items():
        if sums is planned.sums.get(axis):
            continue
        whole = planned.sums.get(axis) or next(iter(planned.sums.values()), None)
        if whole is None:
            return "人员 (the people)"
        if word := _total_differs(sums, whole):
            return word
        if axis != WHOLE and axis in planned.sums and not _same(sums, planned.sums[axis]):
            in_tree = axis in planned.spec.units.trees
            return "人员所在单位 (the units people are in)" if in_tree else f"{axis} 的类别 (the categories of {axis})"
    return ""


def _total_differs(sums: UnitSums, planned: UnitSums) -> str:
    """Compare totals over everybody: the people, what they answered, their weights."""
    one, other = (block.rolled_up({"ALL": block.units}) for block in (sums, planned))
    cells = [cell for cell in one.cells if cell in other.cells]
    if len(cells) < len(one.cells):
        return "题目 (the questions)"
    other = other.laid_out(other.units, cells)
    one = one.laid_out(one.units, cells)
    if one.persons[0] != other.persons[0] or (one.sums["n"] != other.sums["n"]).any():
        return "人员 (the people)"
    if not np.allclose(one.sums["w"], other.sums["w"], rtol=1e-9, atol=1e-6):
        return "权重 (the weights)"
    if not np.allclose(one.sums["wx"], other.sums["wx"], rtol=1e-9, atol=CLOSE):
        return "人员或其答案 (the people or their answers)"
    return ""


def _same(sums: UnitSums, planned: UnitSums) -> bool:
    """Compare sums unit by unit; units nobody is in count for nothing."""
    units = [unit for unit, n in zip(planned.units, planned.persons, strict=True) if n]
    if {unit for unit, n in zip(sums.units, sums.persons, strict=True) if n} != set(units):
        return False
    one, other = (block.laid_out(units, sums.cells) for block in (sums, planned))
    if (one.persons != other.persons).any() or (one.sums["n"] != other.sums["n"]).any():
        return False
    return all(np.allclose(one.sums[name], other.sums[name], rtol=1e-9, atol=CLOSE) for name in ("w", "wx"))


def _told(plan: WavePlan) -> tuple[object, ...]:
    mask, basis = plan.mask, plan.basis
    counted: list[object] = [basis.values, basis.spec.codebook.version]
    counted += basis.counted
    shown = sorted(mask.shown) if mask.shown is not None else None
    return shown, sorted(mask.hidden.items()), sorted(mask.closed), sorted(plan.refused), plan.open, counted


def _mac(key: bytes, *parts: str) -> str:
    return hmac.new(key, "\x1f".join(parts).encode(), hashlib.sha256).hexdigest()


def waves_of(bases: Sequence[Basis]) -> list[Wave]:
    """Return the waves some bases are of."""
    return list(dict.fromkeys((basis.programme, basis.period) for basis in bases))
