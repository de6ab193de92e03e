"""Cells of an office's own sheets: a number, a percentage, what does not apply, what is missing, or none of these."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from typing import Literal

Kind = Literal["number", "percent", "not_applicable", "missing", "unreadable"]

#: What offices write where an indicator does not apply to a unit. A blank cell is a missing value.
_EXEMPT = {
    "/",
    "\\",
    "-",
    "--",
    "—",
    "——",
    "―",
    "–",
    "－",
    "一",
    "无",
    "不适用",
    "n/a",
    "na",
    "不考核",
    "免考",
    "不涉及",
}
_ABSENT = {"", "缺", "未报", "未填", "未填报", "待报", "待补", "暂缺", "暂无", "空", "null", "…"}
_NUMBER = re.compile(r"([-+]?\d+(?:\.\d+)?|[-+]?\.\d+)\s*(%|分|次|个|人|件|篇|项|起|小时|学时|天|万元|元|场|期|条)?")


@dataclass(frozen=True)
class Cell:
    """What a cell says; ``value`` is a number where ``kind`` is ``number`` or ``percent`` (95% is 95)."""

    kind: Kind
    value: float = float("nan")


def read_cell(text: str) -> Cell:
    """Read a cell as it was typed.

    Examples
    --------
    >>> [read_cell(text).value for text in ("92分", "95%", "1,200", "８８．５")]
    [92.0, 95.0, 1200.0, 88.5]
    >>> [read_cell(text).kind for text in ("95%", "/", "—", "无", "", "未报", "优秀")]
    ['percent', 'not_applicable', 'not_applicable', 'not_applicable', 'missing', 'missing', 'unreadable']
    """
    plain = "".join(unicodedata.normalize("NFKC", text).split()).casefold()
    if plain in _EXEMPT:
        return Cell("not_applicable")
    if plain in _ABSENT:
        return Cell("missing")
    matched = _NUMBER.fullmatch(re.sub(r"(?<=\d),(?=\d{3}(\D|$))", "", plain))
    if matched is None:
        return Cell("unreadable")
    return Cell("percent" if matched.group(2) == "%" else "number", float(matched.group(1)))
