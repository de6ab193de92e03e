"""Closing a wave: which answers it rests on from then on, and what may still change."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from .errors import DataError, Problems, UsageError
from .measure.crosses import cell_name, is_cross
from .measure.intake.copies import kept_kind, write_table
from .measure.intake.roles import RESPONDENT
from .measure.intake.wjx import NUMBER
from .measure.rows import HASH, among, axes_in, chosen, counted, row_table
from .measure.scores import partitions, withheld_rows
from .measure.store import Kept, Store
from .measure.survey import Survey
from .publish.disclosure import ReleasePlan
from .publish.masks import Release, mask, merger_mask, with_homes
from .record import Record
from .settling import Settled, hidden_rows, settle, sums_of
from .spec.consent import Consent
from .spec.settings import FLOOR
from .spec.specification import Specification
from .spec.tables import read_text, whole_numbers

FROZEN = ("close", "correction")


class Releases:
    """What left of each wave so far, told by the record and kept in the store.

    Parameters
    ----------
    record, store
        The workspace's.
    """

    def __init__(self, record: Record, store: Store):
        self.record, self.store = record, store

    def told(self, period: str) -> list[dict[str, Any]]:
        """Return the events by which something of a wave left: drafts that were sent, its closing, its corrections."""
        events = self.record.told("publication", "close", "correction")
        return [told for told in events if told["period"] == period and "store" in told]

    def of(self, period: str) -> list[Release]:
        """Return what left of a wave, in order."""
        return [Release(hidden_rows(told["hidden"]), self.store.rows(told["store"])) for told in self.told(period)]

    def frozen(self, period: str) -> dict[str, Any] | None:
        """Return the event that closed a wave, or its last correction; None while the wave is open."""
        found = [told for told in self.told(period) if told["kind"] in FROZEN]
        return found[-1] if found else None

    @property
    def closed(self) -> list[str]:
        """Waves that are closed."""
        return sorted({told["period"] for told in self.record.told(*FROZEN)})

    def corrections(self, period: str) -> list[str]:
        """Return the reasons of a wave's corrections."""
        return [told["reason"] for told in self.record.told("correction") if told["period"] == period]

    def waiting(self, period: str) -> int:
        """Return how many answers are known to have come too late: told by the last closing or correction, or since."""
        late = 0
        for told in (told for told in self.record.told(*FROZEN, "late") if told["period"] == period):
            late = told["late"] + (late if told["kind"] == "late" else 0)
        return late

    def forget(self, period: str, *, rows: bool = False) -> None:
        """Delete what the store kept of a wave in passing: two sums that differ by one person tell his answers.

        Parameters
        ----------
        rows
            Delete as well which answer sheets each release rested on; the sums stay.
        """
        self.store.sweep(period, {told["store"] for told in self.told(period)}, rows=rows)

    def purged(self, period: str) -> bool:
        """Tell whether the answers of a wave were deleted."""
        return any(told["period"] == period for told in self.record.told("purge"))


def close_wave(survey: Survey, releases: Releases, notice: Consent, *, correct: str = "") -> None:
    """Close a wave, register what came after it was closed, or correct it; see ``Workspace.close``."""
    period, told = survey.period, releases.frozen(survey.period)
    if told is None and correct:
        raise UsageError(f"{period} 尚未关闭,不需要更正 (it is open: nothing to correct)")
    if told is None or correct:
        kind = "correction" if told else "close"
        releases.record.append(kind, snapshot(survey, releases, notice) | ({"reason": correct} if correct else {}))
        return
    rows = row_table(survey, releases.store.secret)
    waits = ~_counting(rows, releases.store, told)  # changed answers are not late ones
    new = int(waits.sum()) - releases.waiting(period)
    if new <= 0:
        raise UsageError(f"{period} 已关闭,没有新的补报 (it is closed, and nothing came later)")
    releases.store.keep_rows(f"{told['store']}.waiting", rows[waits])
    releases.record.append("late", {"period": period, "late": new})


def snapshot(survey: Survey, releases: Releases, notice: Consent | None = None) -> dict[str, Any]:
    """Keep what a release of a wave rests on, and return what the record tells of it: counts and hidden units, no answers.

    Raises
    ------
    DataError
        Nothing tells on what grounds the answers may be used.
    """
    if not survey.consent:
        problems, allowed = Problems(), "consent_use 列，或 [consent] basis, date, text"
        advice = "在 workspace.toml 写明告知的日期和内容 (declare when and how people were told)"
        found = "没有同意栏，也没有告知依据 (no basis)"
        problems.add(f"responses/{survey.period}", "no_basis", found, allowed, advice)
        raise DataError(problems=problems)
    period, store, earlier = survey.period, releases.store, releases.told(survey.period)
    settled = settle(survey, store, earlier)
    content = hashlib.sha256(np.sort(settled.rows[HASH].to_numpy()).tobytes() + f"{len(earlier)}".encode())
    key = f"{period}-r{len(earlier)}-{content.hexdigest()[:12]}"
    hidden = settled.hidden
    if hidden is None:
        kept = settled.kept
        hidden = mask(kept.sums, kept.joint, survey.spec, period, rows=settled.rows, earlier=releases.of(period))
    store.keep(key, settled.kept)
    store.keep_rows(key, with_homes(settled.rows, hidden, survey.spec, period))
    store.keep_answers(key, settled.answers)
    if len(settled.lost):
        store.keep_rows(f"{key}.lost", settled.lost)
    if len(settled.waiting):
        store.keep_rows(f"{key}.waiting", settled.waiting)
    told = {"date": notice.date, "text": notice.text} if survey.consent == "notice" and notice is not None else {}
    return {
        "period": period, "store": key, "basis": survey.consent, "notice": told, "answers": len(settled.rows), "late": settled.late, "hidden": sorted(hidden),
        "ruling": ruling(survey.spec, period), "as_before": settled.hidden is not None,
        "min_group": survey.spec.min_group, "codebook": survey.spec.codebook.version, "units": survey.spec.units.version,
    }  # fmt: skip


def delete_answers(path: Path, sheet: str, number: str) -> None:
    """Delete one person's answers from a wave's file, whole or not at all."""
    problems = Problems()
    table = read_text(path, problems, sheet=sheet)
    problems.raise_if_any(DataError)
    assert table is not None, "a file that cannot be read is a problem"
    names = [name for name in (NUMBER, RESPONDENT) if name in table.frame.columns]
    mine = (
        sum((whole_numbers(table.frame[name]) == number for name in names), start=pd.Series(0, table.frame.index)) > 0
    )
    if not mine.any():
        raise UsageError(f"{path.name}: 按 {NUMBER} 和 {RESPONDENT} 没有这份答卷 (no such answer sheet)")
    target = path.with_suffix(kept_kind(path))
    write_table(target, table.frame[~mine])
    if target != path:
        path.unlink()


def register_withdrawal(before: pd.DataFrame, survey: Survey, releases: Releases) -> int:
    """Note the answer sheets that are gone; the record tells how many, not which."""
    told = releases.frozen(survey.period)
    if told is not None:
        before = pd.concat([before, releases.store.rows(told["store"])]).drop_duplicates(HASH)
    known = Counter(releases.store.missing(survey.period, told["store"] if told else ""))
    gone = before[~among(before, counted(row_table(survey, releases.store.secret)) + known)]
    if gone.empty:
        raise UsageError(f"{survey.period}: 没有新撤回的答卷 (no answer sheet is gone)")
    releases.store.withdraw(survey.period, gone)
    releases.forget(survey.period)
    releases.record.append("withdrawal", {"period": survey.period, "answers": len(gone)})
    return len(gone)


def purge_answers(period: str, path: Path, releases: Releases) -> None:
    """Delete a closed wave's answers; what was computed of them stays, and the record keeps the proof."""
    told = releases.frozen(period)
    if told is None or releases.store.find(told["store"]) is None:
        raise UsageError(f"{period} 没有固定的汇总,不能删除答卷 (no stored sums of a closed wave: close it first)")
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    releases.record.append("purge", {"period": period, "file": path.name, "sha256": digest, "answers": told["answers"]})
    path.unlink()
    releases.forget(period, rows=True)


def plan_waves(
    period: str,
    waves: Sequence[str],
    spec: Specification,
    releases: Releases,
    kept_of: Callable[[str], Kept],
    settled_of: Callable[[str], Settled],
) -> ReleasePlan:
    """Put together what may be seen of a period and the waves before it; see ``Workspace.release_plan``.

    Parameters
    ----------
    waves
        The waves up to the period, in order.
    kept_of, settled_of
        Give a wave's sums, and on what it rests (asked only of an open wave of which a draft was sent).
    """
    hidden, restated, coarse, levels, answered = {}, {}, set(), {}, {}
    for place, wave in enumerate(waves):
        at, kept, units = ("survey", wave), kept_of(wave), spec.units.at(wave)
        told = releases.frozen(wave)
        if told is not None and told["ruling"] == ruling(spec, wave):
            rows = hidden_rows(told["hidden"])
        elif releases.purged(wave):
            raise DataError(
                f"{wave}: 答卷已删除,单位、min_group 或交叉分组却已改变,无法重新判定 (purged, but its units, min_group or crosses"
                " changed since: restore them)"
            )
        else:  # open, or closed under other units, another min_group or other crosses
            rows = _ruled_now(wave, kept, spec, releases, settled_of)
        if rows - withheld_rows(partitions(kept.sums, spec, wave), units):
            coarse.add(at)
        hidden[at] = rows
        block = kept.sums[units.trees[0]]
        answered[at] = {cell: int(n) for cell, n in zip(block.cells, block.sums["n"].sum(axis=0), strict=True)}
        restated[at] = merger_mask(rows, spec, wave, waves[place + 1 :])
        names = [level for level in units.levels if units.tree_of(level) in kept.sums]
        groups = [axis for axis in kept.sums if axis not in units.trees and not is_cross(axis)]
        sides = {pair: [units.tree_of(part) if part in names else part for part in pair] for pair in spec.cross}
        crosses = [cell_name(pair) for pair, axes in sides.items() if cell_name(axes) in kept.sums]
        levels[at] = frozenset([units.root.level, *names, *groups, *crosses])
    least = max(spec.min_group, FLOOR)
    return ReleasePlan(period, least, hidden, levels, restated, frozenset(coarse), answered, releases.store.secret)


def _ruled_now(
    wave: str, kept: Kept, spec: Specification, releases: Releases, settled_of: Callable[[str], Settled]
) -> frozenset[tuple[str, str]]:
    """Decide the hidden rows of a wave beside everything of it that left before."""
    left = releases.of(wave)
    answers = left[-1].rows if left else None
    if left and releases.frozen(wave) is None:
        settled = settled_of(wave)
        if settled.hidden is not None:
            return settled.hidden
        answers = settled.rows
    return mask(kept.sums, kept.joint, spec, wave, rows=answers, earlier=left)


def ruling(spec: Specification, period: str) -> str:
    """Hash what decides a mask besides the people: the units of that wave, min_group, the declared crosses."""
    rows = [(u.tree, u.unit, u.parent, u.level) for u in spec.units.at(period).rows]
    content = (sorted(rows), max(spec.min_group, FLOOR), spec.cross)
    return hashlib.sha256(repr(content).encode()).hexdigest()[:16]


def same_sums(store: Store, told: Sequence[Mapping[str, Any]], survey: Survey) -> bool:
    """Tell whether the stored sums of a closed wave are those of its answers.

    It cannot be told any more where answers were withdrawn, or only some parts were computed anew by a correction; sums
    that are gone are told of elsewhere.
    """
    last, kept = told[-1], store.find(told[-1]["store"])
    if kept is None or len(row_table(survey, store.secret)) != last["answers"] or last["kind"] == "correction":
        return True
    for axis, block in sums_of(survey).sums.items():
        stored = kept.sums[axis].laid_out(block.units, block.cells)
        pairs = [
            (stored.persons, block.persons),
            *((stored.sums[name], block.sums[name]) for name in block.sums if name in stored.sums),
        ]
        if not all(np.allclose(old, new, rtol=1e-9, atol=1e-6) for old, new in pairs):
            return False
    return True


def as_closed(survey: Survey, store: Store, told: Mapping[str, Any]) -> Survey:
    """Return the answers a closed wave rests on; later ones are left out with a notice.

    Raises
    ------
    DataError
        Answers the wave was closed with are gone or were changed, and no withdrawal or correction says so.
    """
    keep = _counting(row_table(survey, store.secret), store, told)
    late = int((~keep).sum())
    notice = f"{told['period']}: 关闭后补报 {late} 份,不计入 ({late} answers came after closing and do not count)"
    return replace(chosen(survey, keep), notices=(*survey.notices, *((notice,) if late else ())))


def _counting(rows: pd.DataFrame, store: Store, told: Mapping[str, Any]) -> np.ndarray:
    """Tell which answer sheets a closed wave rests on; an error where some of them are not there any more."""
    closed = store.rows(told["store"])
    allowed = store.missing(told["period"], told["store"])
    missing = counted(closed) - counted(rows) - Counter(int(value) for value in allowed)
    if missing:
        problems = Problems()
        lost = closed[closed[HASH].map(lambda value: int(value) in missing)]
        where = "、".join(sorted(set(lost[axes_in(lost)[0]]))[:5])
        advice = f"撤回用 dj withdraw,更正用 dj close --correct (withdraw or correct {told['period']})"
        found = f"{sum(missing.values())} 份答卷缺失或被改动 (gone or changed): {where}"
        problems.add(f"responses/{told['period']}", "closed_wave_changed", found, "与关闭时相同 (as closed)", advice)
        raise DataError(problems=problems)
    return among(rows, counted(closed))
