"""Periods as offices name sheets and write titles: 3月, 2026年3月, 2026-03-31, 一季度."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass

_CHINESE = {
    "一": 1,
    "二": 2,
    "三": 3,
    "四": 4,
    "五": 5,
    "六": 6,
    "七": 7,
    "八": 8,
    "九": 9,
    "十": 10,
    "十一": 11,
    "十二": 12,
}
_YEAR = r"(?<!\d)(?:(?P<year>(?:19|20)\d\d)|(?P<short>\d\d)(?=年))"
_BETWEEN = r"[年度.\-/_]*第?"
_MONTH = r"(?P<month>1[0-2]|0?[1-9]|十[一二]?|[一二三四五六七八九])"
_PARTS = (
    rf"{_MONTH}月",
    r"(?:Q(?P<q>[1-4])|(?P<quarter>[一二三四1-4])季度?)",
    r"(?:H(?P<h>[12])|(?P<half>[上下])半年)",
)
_WITH_YEAR = [re.compile(_YEAR + _BETWEEN + part, re.IGNORECASE) for part in _PARTS]
_WITHOUT = [re.compile(r"(?<![\d十])" + part, re.IGNORECASE) for part in _PARTS]
#: 2026-03, 2026.3.31, 20260331: digits alone.
_DIGITS = re.compile(
    r"(?<!\d)(?P<year>(?:19|20)\d\d)(?:(?P<month>0[1-9]|1[0-2])(?:[0-3]\d)?|[.\-/_](?P<other>1[0-2]|0?[1-9])(?:[.\-/_]\d{1,2})?)(?!\d)"
)
_ONLY_YEAR = re.compile(_YEAR + r"(?=年|$|\D)")


@dataclass(frozen=True)
class NamedPeriod:
    """What a text tells of a period: its year (0 where it tells none) and its part (``-03``, ``Q1``, ``H1``, ``""``)."""

    year: int = 0
    part: str = ""

    def text(self, year: int = 0) -> str:
        """Return the period, of the given year where it tells none itself; ``""`` where neither does."""
        return f"{self.year or year}{self.part}" if self.year or year else ""


def named_period(text: str) -> NamedPeriod:
    """Read the period that a sheet's name, a title or a cell tells.

    Examples
    --------
    >>> [named_period(text).text() for text in ("2026年3月", "2026-03", "20260331", "2026年一季度", "26年十一月份", "3月")]
    ['2026-03', '2026-03', '2026-03', '2026Q1', '2026-11', '']
    >>> named_period("3月份").text(2026), named_period("第四季度").part
    ('2026-03', 'Q4')
    """
    plain = "".join(unicodedata.normalize("NFKC", text).split())
    if matched := _DIGITS.search(plain):
        return NamedPeriod(int(matched["year"]), f"-{int(matched['month'] or matched['other']):02d}")
    for pattern in (*_WITH_YEAR, *_WITHOUT):
        if matched := pattern.search(plain):
            groups = matched.groupdict()
            return NamedPeriod(_year(groups), _part(groups))
    matched = _ONLY_YEAR.search(plain)
    return NamedPeriod(_year(matched.groupdict())) if matched else NamedPeriod()


def _year(groups: dict[str, str | None]) -> int:
    return int(groups.get("year") or 0) or (2000 + int(groups["short"] or 0) if groups.get("short") else 0)


def _part(groups: dict[str, str | None]) -> str:
    if month := groups.get("month"):
        return f"-{_CHINESE.get(month) or int(month):02d}"
    if quarter := groups.get("q") or groups.get("quarter"):
        return f"Q{_CHINESE.get(quarter) or int(quarter)}"
    half = groups.get("h") or {"上": "1", "下": "2"}[groups.get("half") or "上"]
    return f"H{half}"
