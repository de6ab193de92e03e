"""Reporting periods: 2026, 2026H1, 2026Q3, 2026-09."""

from __future__ import annotations

import calendar
import re
from dataclasses import dataclass
from datetime import date
from functools import lru_cache
from typing import Literal

from ..errors import UsageError

Cycle = Literal["year", "half", "quarter", "month"]
ALLOWED = "2026, 2026H1, 2026Q3, 2026-09"

_PATTERN = re.compile(
    r"^(?P<year>\d{4})(?:(?:H(?P<half>[12]))|(?:Q(?P<quarter>[1-4]))|(?:-(?P<month>0[1-9]|1[0-2])))?$"
)
_STEPS: dict[str, int] = {"year": 1, "half": 2, "quarter": 4, "month": 12}
_ZH = {"half": ["上半年", "下半年"], "quarter": ["一季度", "二季度", "三季度", "四季度"]}


@dataclass(frozen=True)
class Period:
    """One reporting period; periods of one cycle are ordered by ``index``."""

    text: str
    cycle: Cycle
    year: int
    number: int

    @property
    def months(self) -> int:
        """Length in months."""
        return 12 // _STEPS[self.cycle]

    @property
    def start(self) -> date:
        """First day."""
        return date(self.year, (self.number - 1) * self.months + 1, 1)

    @property
    def end(self) -> date:
        """Last day; what is valid on this day is valid for the period."""
        month = self.number * self.months
        return date(self.year, month, calendar.monthrange(self.year, month)[1])

    @property
    def index(self) -> int:
        """Running number within its cycle."""
        return self.year * _STEPS[self.cycle] + self.number - 1

    def shift(self, by: int) -> Period:
        """Return the period ``by`` steps later (earlier when negative)."""
        year, number = divmod(self.index + by, _STEPS[self.cycle])
        return parse(_text(self.cycle, year, number + 1))

    @property
    def previous(self) -> Period:
        """The period just before (环比)."""
        return self.shift(-1)

    @property
    def year_before(self) -> Period:
        """The same period a year earlier (同比)."""
        return self.shift(-_STEPS[self.cycle])

    def label(self, language: str = "zh") -> str:
        """Name for a reader: 2026年三季度, 2026年9月; in English the code itself."""
        if language != "zh":
            return self.text
        if self.cycle == "month":
            return f"{self.year}年{self.number}月"
        return f"{self.year}年{_ZH[self.cycle][self.number - 1] if self.cycle in _ZH else ''}"


@lru_cache(maxsize=4096)
def parse(text: str) -> Period:
    """Read a period; anything else raises :class:`UsageError` with the allowed forms."""
    match = _PATTERN.match(str(text).strip())
    if not match:
        raise UsageError(f"时期 “{text}” 无法识别 (not a period);应为/allowed: {ALLOWED}")
    parts = match.groupdict()
    for cycle in ("half", "quarter", "month"):
        if parts[cycle]:
            number = int(parts[cycle])
            return Period(_text(cycle, int(parts["year"]), number), cycle, int(parts["year"]), number)
    return Period(parts["year"], "year", int(parts["year"]), 1)


def is_period(text: str) -> bool:
    """Tell whether the text is one period."""
    return bool(_PATTERN.match(str(text).strip()))


def order(texts: list[str]) -> list[str]:
    """Sort period texts by time, shorter periods first among those with the same end."""
    return sorted(texts, key=lambda text: (parse(text).end, parse(text).months))


def bound(text: str, *, last: bool) -> date:
    """Read a validity bound: an ISO date, or the first or last day of a period."""
    if re.fullmatch(r"\d{4}-\d{2}-\d{2}", text):
        return date.fromisoformat(text)
    period = parse(text)
    return period.end if last else period.start


def _text(cycle: str, year: int, number: int) -> str:
    return {
        "year": f"{year}",
        "half": f"{year}H{number}",
        "quarter": f"{year}Q{number}",
        "month": f"{year}-{number:02d}",
    }[cycle]
