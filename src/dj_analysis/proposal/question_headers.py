"""What the header of a column tells: the number of its question, the question it stands under, its row or option."""

from __future__ import annotations

import re

from ..measure.intake import wjx

_NUMBER = re.compile(r"^\s*(?:第\s*(\d+)\s*题|(\d+)\s*[、.．]|Q(\d+)(?=[.:、_]|$))", re.IGNORECASE)
_ROW_ONLY = re.compile(r"^\s*(?:(第\s*\d+\s*题)|(\d+)\s*[、.．])\s*[(（].*[)）]\s*$")
_DASHES = ("—", "--", "–")


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
    >>> matrix_stem("3、食堂—饭菜可口"), matrix_stem("第12题(班车)"), matrix_stem("4、请打分")
    ('食堂', '第12题', '')
    """
    for dash in _DASHES:
        if dash in header:
            return wjx.unnumbered(header.rsplit(dash, 1)[0]).strip()
    matched = _ROW_ONLY.match(header)
    return "" if matched is None else matched.group(1) or f"第{matched.group(2)}题"


def matrix_row(header: str) -> str:
    """Return the row or option that stands behind the question of a header."""
    for dash in _DASHES:
        if dash in header:
            return header.rsplit(dash, 1)[1].strip()
    inside = re.search(r"[(（](.*)[)）]\s*$", header)
    return inside.group(1) if inside else wjx.unnumbered(header)
