"""Closing a wave: which answers it rests on from then on, and what may still change."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from ..errors import DataError, Problems, UsageError
from ..file_access import accessing, check_replaceable
from ..measure.intake.copies import kept_kind, write_table
from ..measure.intake.roles import RESPONDENT
from ..measure.pairing import has_pseudonyms
from ..measure.places import chosen
from ..measure.survey import Survey
from ..spec.consent import PLACEHOLDER, Consent
from ..spec.cut_points import cut_points
from ..spec.platforms import number_header
from ..spec.settings import FLOOR
from ..spec.tables import read_text, whole_numbers
from .counting import count_sheets, sums_of
from .decision import decide_mask
from .earlier import conflict_with, with_homes
from .history import History
from .plan import ReleasePlan
from .ruling import ruling
from .sheets import HASH, axes_in, row_table, rows_holding, tally
from .store import Store


def close_wave(survey: Survey, history: History, notice: Consent, *, correct: str = "") -> None:
    """Close a wave, register what came after it was closed, or correct it; see ``Workspace.close``."""
    period, frozen = survey.period, history.frozen(survey.period)
    if frozen is None and correct:
        raise UsageError(f"{period} 尚未关闭,不需要更正 (it is open: nothing to correct)")
    if frozen is None or correct:
        kind = "correction" if frozen else "close"
        history.record.append(kind, snapshot(survey, history, notice) | ({"reason": correct} if correct else {}))
        return
    rows = row_table(survey, history.store.secret)
    waits = ~_counting(rows, history.store, frozen)  # changed answers are not late ones
    new = int(waits.sum()) - history.waiting(period)
    if new <= 0:
        raise UsageError(f"{period} 已关闭,没有新的补报 (it is closed, and nothing came later)")
    history.store.keep_rows(f"{frozen['store']}.waiting", rows[waits])
    history.record.append("late", {"period": period, "late": new})


def snapshot(survey: Survey, history: History, notice: Consent | None = None) -> dict[str, Any]:
    """Keep what a release of a wave rests on, and return what the record tells of it: counts and hidden units, no answers.

    Raises
    ------
    DataError
        Nothing tells on what grounds the answers may be used.
    """
    if not survey.consent:
        problems, allowed = Problems(), "consent_use 列，或 [consent] basis, date, text"
        advice = "在 workspace.toml 写明告知的日期和内容 (declare when and how people were told)"
        absent = "没有同意栏，也没有告知依据 (no basis)"
        problems.add(f"responses/{survey.period}", "no_basis", absent, allowed, advice)
        raise DataError(problems=problems)
    if survey.consent == "notice" and notice is not None and PLACEHOLDER in notice.text:
        problems, allowed = Problems(), "实际的告知日期和方式 (when and how people were told)"
        advice = "在 workspace.toml 改正 date 和 text (put date and text right)"
        problems.add("workspace.toml [consent] text", "placeholder", notice.text, allowed, advice)
        raise DataError(problems=problems)
    period, store, earlier = survey.period, history.store, history.releases(survey.period)
    counted = count_sheets(survey, store, earlier)
    content = hashlib.sha256(np.sort(counted.rows[HASH].to_numpy()).tobytes() + f"{len(earlier)}".encode())
    key = f"{period}-r{len(earlier)}-{content.hexdigest()[:12]}"
    mask = counted.mask
    if mask is None:
        kept, least = counted.kept, max(survey.spec.min_group, FLOOR)
        conflict = conflict_with(counted.rows, history.of(period), least)
        mask = decide_mask(kept.sums, kept.joint, survey.spec, period, conflict=conflict)
    store.keep(key, counted.kept)
    store.keep_rows(key, with_homes(counted.rows, mask))
    digest = store.keep_mask(key, mask)
    store.keep_answers(key, counted.answers)
    if len(counted.lost):
        store.keep_rows(f"{key}.lost", counted.lost)
    if len(counted.waiting):
        store.keep_rows(f"{key}.waiting", counted.waiting)
    declared = {"date": notice.date, "text": notice.text} if survey.consent == "notice" and notice is not None else {}
    return {
        "period": period, "store": key, "basis": survey.consent, "notice": declared, "answers": len(counted.rows),
        "late": counted.late, "hidden": sorted(mask.hidden), "mask": digest, "left_out": [one.name for one in mask.left_out],
        "ruling": ruling(survey.spec, period), "as_before": counted.mask is not None,
        "min_group": survey.spec.min_group, "codebook": survey.spec.codebook.version, "units": survey.spec.units.version,
        "cut_points": cut_points(survey.spec), "pseudonyms": has_pseudonyms(survey),
    }  # fmt: skip


def delete_answers(path: Path, sheet: str, number: str) -> None:
    """Delete one person's answers from a wave's file, whole or not at all."""
    problems = Problems()
    table = read_text(path, problems, sheet=sheet)
    problems.raise_if_any(DataError)
    assert table is not None, "a file that cannot be read is a problem"
    numbered = number_header(map(str, table.frame.columns))
    names = [name for name in (numbered, RESPONDENT) if name in table.frame.columns]
    mine = (
        sum((whole_numbers(table.frame[name]) == number for name in names), start=pd.Series(0, table.frame.index)) > 0
    )
    if not mine.any():
        raise UsageError(f"{path.name}: 按 {numbered} 和 {RESPONDENT} 没有这份答卷 (no such answer sheet)")
    target = path.with_suffix(kept_kind(path))
    check_replaceable(path)
    write_table(target, table.frame[~mine])
    if target != path:
        path.unlink()


def register_withdrawal(before: pd.DataFrame, survey: Survey, history: History) -> int:
    """Note the answer sheets that are gone; the record tells how many, not which."""
    frozen = history.frozen(survey.period)
    if frozen is not None:
        before = pd.concat([before, history.store.rows(frozen["store"])]).drop_duplicates(HASH)
    known = Counter(history.store.missing(survey.period, frozen["store"] if frozen else ""))
    gone = before[~rows_holding(before, tally(row_table(survey, history.store.secret)) + known)]
    if gone.empty:
        raise UsageError(f"{survey.period}: 没有新撤回的答卷 (no answer sheet is gone)")
    history.store.withdraw(survey.period, gone)
    history.forget(survey.period)
    history.record.append("withdrawal", {"period": survey.period, "answers": len(gone)})
    return len(gone)


def purge_answers(period: str, path: Path, history: History) -> None:
    """Delete a closed wave's answers; what was computed of them stays, and the record keeps the proof."""
    frozen = history.frozen(period)
    if frozen is None or history.store.find(frozen["store"]) is None:
        raise UsageError(f"{period} 没有固定的汇总,不能删除答卷 (no stored sums of a closed wave: close it first)")
    check_replaceable(path)  # else the record would tell of a deletion that was refused
    with accessing(path):
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
    history.record.append(
        "purge", {"period": period, "file": path.name, "sha256": digest, "answers": frozen["answers"]}
    )
    with accessing(path):
        path.unlink()
    history.forget(period, rows=True)


def shown_under(plan: ReleasePlan, waves: Iterable[str], history: History) -> list[dict[str, Any]]:
    """Keep what a publication shows of closed waves whose units, min_group or crosses changed since they were closed.

    Returns
    -------
    list
        What the record tells of each, as of a release: later plans are made against them too.
    """
    releases = []
    for wave in waves:
        planned, last = plan.waves.get(("survey", wave)), history.last(wave)
        if planned is None or last is None or last["ruling"] == ruling(planned.basis.spec, wave):
            continue
        store, number = history.store, len(history.releases(wave))
        kept, answers = store.find(last["store"]), store.answers(last["store"])
        assert kept is not None, "what was released is kept"
        key = f"{wave}-p{number}-{plan.id}"
        store.keep(key, kept)
        store.keep_rows(key, with_homes(store.rows(last["store"]), planned.mask))
        if answers is not None:
            store.keep_answers(key, answers)
        same = {name: last[name] for name in ("basis", "notice", "answers", "late", "codebook")}
        releases.append(same | {
            "period": wave, "store": key, "mask": store.keep_mask(key, planned.mask), "hidden": sorted(planned.mask.hidden),
            "ruling": ruling(planned.basis.spec, wave), "as_before": False, "min_group": plan.min_group,
            "units": planned.basis.spec.units.version,
        })  # fmt: skip
    return releases


def same_sums(store: Store, releases: Sequence[Mapping[str, Any]], survey: Survey) -> bool:
    """Tell whether the stored sums of a closed wave are those of its answers.

    It cannot be told any more where answers were withdrawn, or only some parts were computed anew by a correction; sums
    that are gone are told of elsewhere.
    """
    last, kept = releases[-1], store.find(releases[-1]["store"])
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


def as_closed(survey: Survey, store: Store, frozen: Mapping[str, Any]) -> Survey:
    """Return the answers a closed wave rests on; later ones are left out with a notice.

    Raises
    ------
    DataError
        Answers the wave was closed with are gone or were changed, and no withdrawal or correction says so.
    """
    keep = _counting(row_table(survey, store.secret), store, frozen)
    late = int((~keep).sum())
    notice = f"{frozen['period']}: 关闭后补报 {late} 份,不计入 ({late} answers came after closing and do not count)"
    return replace(chosen(survey, keep), notices=(*survey.notices, *((notice,) if late else ())))


def _counting(rows: pd.DataFrame, store: Store, frozen: Mapping[str, Any]) -> np.ndarray:
    """Tell which answer sheets a closed wave rests on; an error where some of them are not there any more."""
    closed = store.rows(frozen["store"])
    allowed = store.missing(frozen["period"], frozen["store"])
    missing = tally(closed) - tally(rows) - Counter(int(value) for value in allowed)
    if missing:
        problems = Problems()
        lost = closed[closed[HASH].map(lambda value: int(value) in missing)]
        where = "、".join(sorted(set(lost[axes_in(lost)[0]]))[:5])
        advice = f"撤回用 dj withdraw,更正用 dj close --correct (withdraw or correct {frozen['period']})"
        damage = f"{sum(missing.values())} 份答卷缺失或被改动 (gone or changed): {where}"
        problems.add(f"responses/{frozen['period']}", "closed_wave_changed", damage, "与关闭时相同 (as closed)", advice)
        raise DataError(problems=problems)
    return rows_holding(rows, tally(closed))
