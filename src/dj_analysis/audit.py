"""Verify a workspace: its record, the files that left, and the disclosure control of everything published."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import pandas as pd

from .errors import DjError
from .file_access import is_lock
from .publish.exports.document import seals_hold
from .publish.period_page import is_period_page
from .release.closing import same_sums
from .release.counting import allows
from .release.decision import decide_mask
from .release.earlier import EarlierRelease, conflict_with
from .release.ruling import ruling
from .spec.periods import parse
from .spec.settings import FLOOR

if TYPE_CHECKING:
    from .workspace import Workspace

State = Literal["ok", "note", "failed"]
#: Files that systems put into folders by themselves.
OF_SYSTEMS = frozenset([".ds_store", "thumbs.db", "desktop.ini", ".gitkeep"])


@dataclass(frozen=True)
class Audit:
    """What an audit found: ``.table`` has check, place, state (ok, note, failed), detail."""

    table: pd.DataFrame

    @property
    def passed(self) -> bool:
        """True when nothing failed."""
        return not (self.table["state"] == "failed").any()


Finding = tuple[str, str, State, str]


def audit_workspace(ws: Workspace, *, out: Path | None = None, asof: date | None = None) -> Audit:
    """Verify the record, the files that left, and the disclosure control of everything published.

    Parameters
    ----------
    out
        Report folder, ``reports`` in the workspace by default.
    asof
        Day for the retention limit; without it that is not looked at.
    """
    place = (out or ws.folder / "reports").resolve()
    findings: list[Finding] = [_chain(ws), *_key(ws)]
    for look in (_files(ws, place), _disclosure(ws), _seals(ws, place), _raw(ws, asof), _open_ends(ws)):
        findings += look
    return Audit(pd.DataFrame(findings, columns=["check", "place", "state", "detail"]))


def _chain(ws: Workspace) -> Finding:
    try:
        ws.record.verify()
    except DjError as error:
        return ("record", "record.sqlite", "failed", str(error))
    return ("record", "record.sqlite", "ok", f"{len(ws.record.events)} 条,链首 (head) {ws.record.head[:16]}")


def _key(ws: Workspace) -> Iterator[Finding]:
    """Without the key neither seals nor answer sheets can be verified."""
    try:
        ws.store.check_key()
    except DjError as error:
        yield ("key", ".dj/key", "failed", str(error))


def _files(ws: Workspace, place: Path) -> Iterator[Finding]:
    """Every file that left must be as entered; every file in the report folder must have an entry."""
    left = ws.record.publications
    last = left[left["state"] == "done"].drop_duplicates("file", keep="last")
    for row in last.itertuples(index=False):
        path = place / str(row.file)
        if not path.exists():
            yield ("file", str(row.file), "note", "不在报告文件夹 (not in the report folder)")
        elif hashlib.sha256(path.read_bytes()).hexdigest() != row.sha256:
            yield ("file", str(row.file), "failed", "内容与记录不符 (not what was entered)")
        else:
            yield ("file", str(row.file), "ok", f"#{row.event}")
    known = set(last["file"])
    for path in sorted(place.rglob("*")) if place.exists() else ():
        name = path.relative_to(place).as_posix()
        if (path.is_symlink() or not path.is_dir()) and name not in known:
            state: State = "note" if path.name.casefold() in OF_SYSTEMS or is_lock(path) else "failed"
            yield ("file", name, state, "记录中没有此文件 (no entry in the record)")
    for row in left[left["state"] == "void"].itertuples(index=False):
        yield ("file", str(row.file), "note", f"#{row.event} 中断作废 (void: it was interrupted)")


def _disclosure(ws: Workspace) -> Iterator[Finding]:
    """What was hidden in every release must still be enough, computed anew from what it rested on."""
    for period in ws.periods:
        earlier: list[EarlierRelease] = []
        if ws.history.purged(period):
            yield ("disclosure", period, "note", "答卷已删除,不再重算 (purged: not computed anew)")
            continue
        try:
            left = ws.history.of(period)
        except DjError as error:
            yield ("disclosure", period, "failed", str(error))
            continue
        for event, release in zip(ws.history.releases(period), left, strict=True):
            where = f"{period} #{event['seq']} {event['kind']}"
            kept = ws.store.find(event["store"])
            if kept is None:
                yield ("disclosure", where, "failed", "汇总已丢失 (its sums are gone)")
                continue
            if event["ruling"] != ruling(ws.spec, period):
                changed = (
                    "单位表、min_group 或交叉分组已改,不能按当时的口径重算 (units, min_group or crosses changed since)"
                )
                yield ("disclosure", where, "note", changed)
                continue
            # A correction at everybody's place is held against the earlier releases when it is made, by its answers.
            before = [] if event.get("as_before") else earlier
            if (
                ws.store.mask_digest(event["store"]) != event["mask"]
                or sorted(map(list, release.mask.hidden)) != event["hidden"]
            ):
                yield ("disclosure", where, "failed", "存储的方案与记录不符 (the stored plan is not the one entered)")
                continue
            conflict = conflict_with(release.rows, before, max(ws.spec.min_group, FLOOR))
            needed = decide_mask(kept.sums, kept.joint, ws.spec, period, conflict=conflict)
            lost = (release.mask.shown or frozenset()) - (needed.shown or frozenset())
            state: State = "ok" if allows(needed, release.mask) else "failed"
            detail = f"隐去 (hidden) {len(release.mask.hidden)}" + (
                f",还应隐去 (should be hidden too) {len(lost)}" if state == "failed" else ""
            )
            yield ("disclosure", where, state, detail)
            earlier.append(release)


def _seals(ws: Workspace, place: Path) -> Iterator[Finding]:
    """Every block of a kept notebook must carry a seal of this workspace."""
    if any(_key(ws)):
        return
    for path in sorted(place.rglob("*.ipynb")) if place.exists() else ():
        name = path.relative_to(place).as_posix()
        broken = seals_hold(path, ws.store.secret)
        yield ("seal", name, "failed" if broken else "ok", broken)


def _raw(ws: Workspace, asof: date | None) -> Iterator[Finding]:
    """Answers of a closed wave must be those it was closed with, and not be kept too long."""
    for period in ws.history.closed if not any(_key(ws)) else ():
        if ws.history.purged(period):
            yield ("answers", period, "ok", "原始答卷已删除 (purged)")
            continue
        try:
            survey = ws.survey(period)
        except DjError as error:
            yield ("answers", period, "failed", str(error).splitlines()[0])
            continue
        if not same_sums(ws.store, ws.history.releases(period), survey):
            yield ("sums", period, "failed", "存储的汇总与答卷不符 (the stored sums are not those of the answers)")
        late = [notice for notice in survey.notices if "补报" in notice]
        yield ("answers", period, "note" if late else "ok", "".join(late))
        if asof is not None and ws.overdue(period, asof):
            yield (
                "retention",
                period,
                "note",
                f"超过 {ws.settings.retention} 个月,用 dj purge (kept too long: use dj purge)",
            )


def _open_ends(ws: Workspace) -> Iterator[Finding]:
    """Drafts that did not go out, waves that are open, copies of failed runs."""
    left = ws.record.publications
    drafts = left[(left["kind"] == "draft") & ~left["file"].map(is_period_page).astype(bool)]
    for row in drafts.drop_duplicates("file", keep="last").itertuples(index=False):
        yield ("draft", str(row.file), "note", "未外发的草稿 (a draft that was not sent)")
    for period in ws.periods:
        if ws.is_draft(period):
            yield ("open", period, "note", f"尚未关闭,至 {parse(period).end} (not closed)")
    failed = sorted((ws.folder / ".dj" / "failed").glob("*.ipynb"))
    if failed:
        yield (
            "failed",
            ".dj/failed",
            "note",
            f"{len(failed)} 份诊断副本,含未经保护的内容,勿外传 (unprotected: keep inside)",
        )
