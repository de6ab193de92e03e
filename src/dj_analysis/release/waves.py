"""What may be seen of every programme: surveys, branch indicators, ratings, requests."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from ..errors import DataError
from ..measure.basis import Basis
from ..spec.settings import FLOOR
from ..spec.specification import Specification
from .counting import Counted
from .earlier import conflict_with
from .history import History
from .mask import Mask, decide_mask, merger_mask
from .plan import Wave, WavePlan
from .ruling import ruling
from .store import Kept


def survey_plans(
    waves: Sequence[str],
    spec: Specification,
    history: History,
    kept_of: Callable[[str], Kept],
    counted_of: Callable[[str], Counted],
    mask_of: Callable[[str], Mask],
) -> dict[Wave, WavePlan]:
    """Return what may be seen of a wave and those before it; see ``Workspace.release_plan``.

    Parameters
    ----------
    waves
        Waves in order.
    kept_of, counted_of, mask_of
        Give a wave's sums, on what it rests (asked only of an open wave of which a draft was sent), and its mask.
    """
    plans = {}
    for place, wave in enumerate(waves):
        mask = mask_of(wave)
        refused, allowed = merger_mask(mask, spec, wave, waves[place + 1 :])
        basis = Basis("survey", wave, spec, kept_of(wave).sums)
        plans["survey", wave] = WavePlan(mask, basis, refused, allowed, open=history.frozen(wave) is None)
    return plans


def survey_mask(
    wave: str, kept: Kept, spec: Specification, history: History, counted_of: Callable[[str], Counted]
) -> Mask:
    """Return what may be seen of one wave: as it was closed, else decided beside everything of it that left before."""
    told = history.frozen(wave)
    if told is not None and told["ruling"] == ruling(spec, wave):
        return history.store.mask(told["store"])
    if history.purged(wave):
        raise DataError(
            f"{wave}: 答卷已删除,单位、min_group 或交叉分组却已改变,无法重新判定 (purged, but its units, min_group or crosses"
            " changed since: restore them)"
        )
    left = history.of(wave)
    rows = left[-1].rows if left else None
    if left and told is None:
        counted = counted_of(wave)
        if counted.mask is not None:
            return counted.mask
        rows = counted.rows
    conflict = conflict_with(rows, left, max(spec.min_group, FLOOR)) if rows is not None else None
    return decide_mask(kept.sums, kept.joint, spec, wave, conflict=conflict)
