"""The declared basis for using answers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any, Literal

from ..errors import Problems

#: In the text of a notice that nobody has put right yet; a wave is not closed on it.
PLACEHOLDER = "由 dj new 填写，请改为实际的告知方式"
EXAMPLE = 'basis = "notice", date = "2026-07-01", text = "问卷首页告知书"'


@dataclass(frozen=True)
class Consent:
    """The declared substitute for ``consent_use`` in waves without that question (``[consent]``).

    Attributes
    ----------
    basis
        ``notice``: participants were informed and answered of their own accord; ``""``: nothing is declared.
    date, text
        When and how they were informed.
    """

    basis: Literal["notice", ""] = ""
    date: str = ""
    text: str = ""


@dataclass(frozen=True)
class Door:
    """Conditions, applied when a wave is read, for including answers and for linking people across waves.

    Attributes
    ----------
    consent
        What stands for consent where a wave has no such column.
    places
        Folders with data: the key that hashes self-chosen codes must not lie in any of them.
    assessment
        The impact assessment (PIPL 55) without which nobody is linked; None where no workspace says where it is: then
        nobody is linked at all.
    """

    consent: Consent = Consent()
    places: tuple[Path, ...] = ()
    assessment: Path | None = None


def read_consent(place: str, raw: Mapping[str, Any], problems: Problems) -> Consent:
    """Check the section ``[consent]``; errors go into ``problems``, and then nothing counts as declared."""
    if not raw:
        return Consent()
    when, text = raw.get("date", ""), raw.get("text", "")
    basis = raw.get("basis", "")
    date_text = when.isoformat() if isinstance(when, date) else str(when).strip()
    before = len(problems)
    if basis != "notice":
        problems.add(f"{place} [consent] basis", "choice", basis or "(空)", "notice", "改为 notice (write notice)")
    if not _is_date(date_text):
        advice = "写明何时告知 (say when people were informed)"
        problems.add(f"{place} [consent] date", "bad_date", date_text or "(空)", "YYYY-MM-DD", advice)
    if not text.strip():
        advice = "写明如何告知 (say how people were informed)"
        problems.add(f"{place} [consent] text", "missing_setting", "(空)", EXAMPLE, advice)
    return Consent("notice", date_text, text.strip()) if len(problems) == before else Consent()


def _is_date(text: str) -> bool:
    try:
        date.fromisoformat(text)
    except ValueError:
        return False
    return len(text) == len("2026-07-01")
