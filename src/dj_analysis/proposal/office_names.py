"""Names as offices spell them from sheet to sheet: which are one name, and which may be."""

from __future__ import annotations

import difflib
import re
import unicodedata
from collections.abc import Collection, Mapping, Sequence
from itertools import combinations

_LEADING = re.compile(r"^(?:\d{1,3}[.、．)](?!\d)|[(][一二三四五六七八九十\d]{1,3}[)])")
_HEADS = re.compile(r"[(]\d+人?[)]$")
_ENDINGS = re.compile(r"(党支部委员会|党总支|党支部|支部|党委|委员会|有限公司|分公司|公司|中心)+$")
_ALIKE = 0.6  # difflib's ratio of what is left of two names without their ending


def plain_name(text: str) -> str:
    """Return what spellings of one name share: half width, without spaces, running number before and headcount behind.

    Examples
    --------
    >>> plain_name("1.输电 党支部（23人）"), plain_name("输电党支部"), plain_name("第一党支部")
    ('输电党支部', '输电党支部', '第一党支部')
    """
    plain = "".join(unicodedata.normalize("NFKC", text).split()).replace("\u200b", "").casefold()
    return _HEADS.sub("", _LEADING.sub("", plain)) or plain


def may_be_one(first: str, second: str) -> bool:
    """Tell whether two plain names may mean the same: one abbreviates the other, or they differ little.

    Examples
    --------
    >>> may_be_one("输电支部", "输电运检党支部"), may_be_one("营销支部", "财务支部")
    (True, False)
    """
    short, long = sorted((_ENDINGS.sub("", name) or name for name in (first, second)), key=len)
    rest = iter(long)
    if len(short) > 1 and all(letter in rest for letter in short):
        return True
    return difflib.SequenceMatcher(None, short, long, autojunk=False).ratio() >= _ALIKE


def doubtful_pairs(names_by_period: Mapping[str, Collection[str]], decided: Collection[str]) -> list[tuple[str, str]]:
    """Return pairs of plain names that may be one: alike, and never there in the same period."""
    periods_of: dict[str, set[str]] = {}
    for period, names in names_by_period.items():
        for name in names:
            periods_of.setdefault(name, set()).add(period)
    whole = set(names_by_period)
    partly = [name for name, periods in periods_of.items() if periods != whole and name not in decided]
    return [
        (more, less) if len(periods_of[more]) >= len(periods_of[less]) else (less, more)
        for more, less in combinations(partly, 2)
        if not periods_of[more] & periods_of[less] and may_be_one(more, less)
    ]


def shown_names(spellings: Sequence[str]) -> dict[str, str]:
    """Return plain name → the spelling to show: the first, without numbers around and spaces between."""
    shown: dict[str, str] = {}
    for text in spellings:
        plain = plain_name(text)
        if plain not in shown:
            tidy = re.sub(r"(?<=[\u4e00-\u9fff])\s+(?=[\u4e00-\u9fff])", "", " ".join(text.split()))
            shown[plain] = tidy if unicodedata.normalize("NFKC", tidy).casefold() == plain else plain
    return shown
