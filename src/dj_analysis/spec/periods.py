"""Reporting periods: 2026, 2026H1, 2026Q3, 2026-09, and spans of them: 2025-10/2026-09."""

from __future__ import annotations

import calendar
import re
from collections.abc import Sequence
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


@dataclass(frozen=True)
class Span(Period):
    """Several periods of one cycle taken together, first and last included: ``2025-10/2026-09``.

    Its cycle, year and number are those of its last period: it is as old as that one.
    """

    first: str = ""

    @property
    def months(self) -> int:
        """Length in months."""
        return (12 // _STEPS[self.cycle]) * (self.index - parse(self.first).index + 1)

    @property
    def start(self) -> date:
        """First day of the first period."""
        return parse(self.first).start

    @property
    def end(self) -> date:
        """Last day of the last period."""
        return self.last.end

    @property
    def last(self) -> Period:
        """The last period."""
        return Period(_text(self.cycle, self.year, self.number), self.cycle, self.year, self.number)

    def shift(self, by: int) -> Period:
        """Return the span ``by`` times its own length later (earlier when negative)."""
        steps = by * (self.index - parse(self.first).index + 1)
        return parse(f"{parse(self.first).shift(steps).text}/{self.last.shift(steps).text}")

    @property
    def year_before(self) -> Period:
        """The same span a year earlier."""
        return parse(f"{parse(self.first).year_before.text}/{self.last.year_before.text}")

    def label(self, language: str = "zh") -> str:
        """Name for a reader: 2025年10月至2026年9月."""
        return (" to " if language == "en" else "至").join(
            one.label(language) for one in (parse(self.first), self.last)
        )


def within(text: str, periods: list[str]) -> list[str]:
    """Return those of some periods that a period is: itself, or the periods of its cycle inside a span, in order."""
    span = parse(text)
    if not isinstance(span, Span):
        return [one for one in periods if one == text]
    inside = (one for one in periods if parse(one).cycle == span.cycle)
    return order([one for one in inside if span.start <= parse(one).start and parse(one).end <= span.end])


@lru_cache(maxsize=4096)
def parse(text: str) -> Period:
    """Read a period or a span of periods; anything else raises :class:`UsageError` with the allowed forms."""
    if "/" in str(text):
        return _span(str(text).strip())
    match = _PATTERN.match(str(text).strip())
    if not match:
        raise UsageError(f"时期 “{text}” 无法识别 (not a period);应为/allowed: {ALLOWED}")
    parts = match.groupdict()
    for cycle in ("half", "quarter", "month"):
        if parts[cycle]:
            number = int(parts[cycle])
            return Period(_text(cycle, int(parts["year"]), number), cycle, int(parts["year"]), number)
    return Period(parts["year"], "year", int(parts["year"]), 1)


def _span(text: str) -> Span:
    ends = [part.strip() for part in text.split("/")]
    if len(ends) == 2 and all(map(is_period, ends)):
        first, last = map(parse, ends)
        if first.cycle == last.cycle and first.index < last.index:
            return Span(f"{first.text}/{last.text}", last.cycle, last.year, last.number, first.text)
    allowed = "2025-10/2026-09 (同一种时期,先早后晚; of one kind, the earlier first)"
    raise UsageError(f"时段 “{text}” 无法识别 (not a span of periods);应为/allowed: {allowed}")


def is_period(text: str) -> bool:
    """Tell whether the text is one period."""
    return bool(_PATTERN.match(str(text).strip()))


def order(texts: list[str]) -> list[str]:
    """Sort period texts by time, shorter periods first among those with the same end."""
    return sorted(texts, key=lambda text: (parse(text).end, parse(text).months))


def up_to(texts: Sequence[str], last: str) -> list[str]:
    """Return those of some periods that end with or before a period."""
    return [text for text in texts if parse(text).end <= parse(last).end]


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
