"""What the header of a column tells: the number of its question, the question it stands under, its row or option."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable

from ..measure.intake import wjx

_NUMBER = re.compile(r"^\s*(?:第\s*(\d+)\s*题|(\d+)\s*[、.．]|Q(\d+)(?=[.:、_]|$))", re.IGNORECASE)
_ROW_ONLY = re.compile(r"^\s*(?:(第\s*\d+\s*题)|(\d+)\s*[、.．])\s*[(（].*[)）]\s*$")
_CODE = re.compile(r"^[A-Za-z]\w*\[\w+\][.:：、]\s*")  # G01Q02[SQ001].
_DASHES = ("—", "--", "–", " - ")
_BETWEEN_NUMBERS = re.compile(r"(?<=\d)\s*(?:——?|--?|–)\s*(?=\d)")  # 0—10: a range parts no row from its question
_ROW_BEHIND = re.compile(r"^(.+?)\s*\[([^\[\]]+)\]\s*$")  # as Google Forms and LimeSurvey write rows


def question_number(header: str) -> str:
    """Return the number of the question a header belongs to, ``""`` where it has none.

    Examples
    --------
    >>> question_number("3、食堂—饭菜"), question_number("第12题(班车)"), question_number("Q2_1"), question_number("年龄")
    ('3', '12', '2', '')
    """
    matched = _NUMBER.match(header)
    return next((part for part in matched.groups() if part), "") if matched else ""


def header_names(header: str) -> set[str]:
    """Return what a column may be called by: its header, the number of its question, its wording without the number."""
    return {header, question_number(header), wjx.unnumbered(header)} - {""}


def matrix_stem(header: str) -> str:
    """Return the question a matrix row stands in, or ``""``.

    Examples
    --------
    >>> matrix_stem("3、食堂—饭菜可口"), matrix_stem("第12题(班车)"), matrix_stem("请评价 [班车]"), matrix_stem("4、请打分")
    ('食堂', '第12题', '请评价', '')
    """
    header = _BETWEEN_NUMBERS.sub("~", header)
    for dash in _DASHES:
        if dash in header:
            return wjx.unnumbered(header.rsplit(dash, 1)[0]).strip()
    if behind := _ROW_BEHIND.match(header):
        return _CODE.sub("", wjx.unnumbered(behind.group(1))).strip()
    matched = _ROW_ONLY.match(header)
    return "" if matched is None else matched.group(1) or f"第{matched.group(2)}题"


def matrix_stems(headers: Iterable[str]) -> dict[str, str]:
    """Return the question each header stands in; one that alone has its number, ``第3题(题干)``, is a question of its own.

    Examples
    --------
    >>> matrix_stems(["第2题(食堂)", "第2题(班车)", "第3题(班组)"])
    {'第2题(食堂)': '第2题', '第2题(班车)': '第2题', '第3题(班组)': ''}
    """
    found = {header: matrix_stem(header) for header in headers}
    shared = Counter(found.values())
    return {header: "" if shared[stem] == 1 and _ROW_ONLY.match(header) else stem for header, stem in found.items()}


def matrix_row(header: str) -> str:
    """Return the row or option that stands behind the question of a header."""
    header = _BETWEEN_NUMBERS.sub("~", header)
    for dash in _DASHES:
        if dash in header:
            return header.rsplit(dash, 1)[1].strip()
    if behind := _ROW_BEHIND.match(header):
        return behind.group(2).strip()
    inside = re.search(r"[(（](.*)[)）]\s*$", header)
    return inside.group(1) if inside else wjx.unnumbered(header)
