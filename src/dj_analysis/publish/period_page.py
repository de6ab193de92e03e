"""The page of a period: every unit and report that left, with links to its files, its state and its time."""

from __future__ import annotations

import hashlib
import posixpath
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta, timezone
from functools import lru_cache
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import quote

from ..spec.periods import parse
from ..spec.settings import Language
from ..spec.specification import Specification
from ..spec.units import ALL
from .exports.formats import FORMATS
from .exports.web import render_page
from .parameters import LETTER
from .wording import say

PAGE = "index.html"
BEIJING = timezone(timedelta(hours=8))


@dataclass
class _Row:
    """One report about one unit: the event that left it last, and the newest file of each format."""

    event: Mapping[str, Any]
    files: dict[str, tuple[str, str, Mapping[str, Any]]] = field(default_factory=dict)


def page_name(period: str) -> str:
    """Return where the page of a period lies below the report folder."""
    return f"{period}/{PAGE}"


def is_period_page(name: str) -> bool:
    """Tell whether a file of the record is the page of a period, and no report."""
    path = PurePosixPath(name)
    return path.name == PAGE and len(path.parts) == 2


def place_id(place: Path, folder: Path) -> str:
    """Name a report folder for the record: that of the workspace, or another one, whose path it does not keep."""
    own = (folder / "reports").resolve()
    return "reports" if place == own else hashlib.sha256(str(place).encode()).hexdigest()[:16]


def period_page(left: Sequence[Mapping[str, Any]], period: str, place: Path, spec: Specification) -> bytes:
    """Write the page from what the record knows.

    Parameters
    ----------
    left
        Events by which files left, in order, the newest last: its files are being written and count as there.
    place
        The report folder. A file of an earlier event that is gone or was changed since is told as that.
    """
    rows, newest = _rows(left, period), left[-1]
    languages = {str(row.event["lang"]) for row in rows}
    beside: tuple[Language, ...] = ("zh", "en") if "en" in languages else ("zh",)
    order = {unit: number for number, unit in enumerate((ALL, *(unit.unit for unit in spec.units.rows)))}
    reports = list(_report_names("zh"))
    rows.sort(
        key=lambda row: (
            order.get(row.event["unit"], len(order)),
            row.event["unit"],
            reports.index(row.event["report"]) if row.event["report"] in reports else len(reports),
            row.event["report"],
        )
    )
    words = ("unit", "report", "state", "time", "files", "filter", "caption")
    return render_page(
        "index.html.j2", "zh", title=_both(beside, "index_title", spec, period=period), office=spec.office,
        words={word: _both(beside, f"index_{word}", spec) for word in words}, skip=_both(beside, "skip", spec),
        rows=[_printed_row(row, period, place, spec, newest) for row in rows],
    )  # fmt: skip


def _rows(left: Sequence[Mapping[str, Any]], period: str) -> list[_Row]:
    """One row a report and unit; a draft that was followed by a publication is not listed any more, letters to units are not at all."""
    rows: dict[tuple[str, str], _Row] = {}
    for event in (event for event in left if event["period"] == period and event["report"] != LETTER):
        key = (event["report"], event["unit"])
        row = rows.get(key)
        if row is None or row.event["kind"] != event["kind"]:
            row = rows[key] = _Row(event)
        row.event = event
        for name, digest in event["files"].items():
            suffix = PurePosixPath(name).suffix.removeprefix(".")
            if suffix in FORMATS and not is_period_page(name):
                row.files[suffix] = (name, digest, event)
    return [row for row in rows.values() if row.files]


def _printed_row(row: _Row, period: str, place: Path, spec: Specification, newest: Mapping[str, Any]) -> dict[str, Any]:
    event = row.event
    languages: tuple[Language, ...] = ("zh", "en") if event["lang"] == "en" else ("zh",)
    state = "draft" if event["kind"] == "draft" else "corrected" if event.get("corrected") else "published"
    units = [spec.speaking(language).unit_label(event["unit"]) for language in languages]
    time = datetime.fromisoformat(event["time"]).replace(tzinfo=UTC).astimezone(BEIJING)
    files = [
        {
            "label": kind.upper() + (" (en)" if from_event["lang"] == "en" else ""),
            "link": quote(posixpath.relpath(name, period)),
            "remark": _remark(name, digest, from_event, event, place, newest, languages),
        }
        for kind in FORMATS
        if kind in row.files
        for name, digest, from_event in [row.files[kind]]
    ]
    return {
        "unit": " ".join(dict.fromkeys(units)), "report": " ".join(_report_names(one).get(event["report"], event["report"]) for one in languages),
        "state": state, "state_word": " ".join(say(one, f"state_{state}") for one in languages),
        "time": f"{time:%Y-%m-%d %H:%M}", "files": files,
    }  # fmt: skip


def _remark(
    name: str,
    digest: str,
    from_event: Mapping[str, Any],
    event: Mapping[str, Any],
    place: Path,
    newest: Mapping[str, Any],
    languages: Sequence[Language],
) -> tuple[str, str]:
    """Return what is to be said of a file, and whether it is wrong: missing, changed since, or of an earlier run."""
    said, wrong = "", ""
    if from_event is not newest and name not in newest["files"]:
        found = _digest_of(place / name)
        said = "" if found == digest else "file_changed" if found else "file_missing"
        wrong = "wrong" if said else ""
    if not said and _content(from_event) != _content(event):
        said = "file_earlier"
    return (" ".join(say(language, said) for language in languages) if said else "", wrong)


def _content(event: Mapping[str, Any]) -> str:
    return str(event["manifest"].get("content", ""))


def _digest_of(path: Path) -> str:
    """Return the hash of a file, "" where there is none."""
    try:
        status = path.stat()
        return _hashed(path, status.st_mtime_ns, status.st_size)
    except OSError:
        return ""


@lru_cache(maxsize=8192)
def _hashed(path: Path, changed: int, size: int) -> str:
    """Hash a file once for as long as it is the same: a batch of reports writes the page anew for each."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _report_names(language: Language) -> dict[str, str]:
    """Return the printed names of the package's reports, in the order they are listed."""
    return dict(one.split("=", 1) for one in say(language, "report_names").split(";"))


def _both(languages: Sequence[Language], key: str, spec: Specification, period: str = "") -> str:
    """Say something in Chinese, and in English beside it where a report is English."""
    given = [{"period": parse(period).label(language)} if period else {} for language in languages]
    return " ".join(say(language, key, **values) for language, values in zip(languages, given, strict=True))
