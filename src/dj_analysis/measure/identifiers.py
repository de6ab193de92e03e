"""Which columns tell who a person is; they stop at the door."""

from __future__ import annotations

import re
from collections.abc import Iterable

import pandas as pd

from ..errors import Problems
from ..spec.tables import once_a_value, rows_text

#: Columns of 问卷星 exports that are dropped with a notice (R1): a network address and what leads to it.
DROPPED = ("来自IP", "IP", "IP地址", "来源详情", "昵称", "微信昵称", "用户昵称")

_ASIDE = re.compile(r"[(（][^()（）]*[)）]")
_NUMBERED = re.compile(r"^\s*(第?\s*\d+\s*[题、.．:：]|Q\d+[.:、])\s*")
_NAMES = re.compile(
    r"姓名|真名|名字(是|叫什么)?[:?？]*$|身份证|证件号|(手机|电话|联系电话|联系方式|手机号码)(号|号码)?[:：?？]?$|手机号|电话号|联系方式|联系电话"
    r"|工号|员工(编号|号|代码)|职工(编号|号)|人员编(号|码)|党员编号|社保号|银行卡|护照|准考证"
    r"|open_?id|union_?id|微信号|QQ号|邮箱|电子邮件|家庭(住址|地址)|住址|籍贯|民族|政治面貌|党派|宗教|入党时间|出生(日期|年月|时间)|生日"
    r"|^(full[ _]?)?name$|e-?mail|phone|mobile|passport|id[ _]?card|(employee|staff|person|badge)[ _]?(id|no|number)$"
    r"|ethnic|religion|political (status|affiliation)|date of birth|birthday|^address$|user[ _]?name",
    re.IGNORECASE,
)
_PHONE = re.compile(r"(?<!\d)1[3-9]\d{9}(?!\d)")
_ID_CARD = re.compile(r"(?<!\d)(\d{17}[\dXx])(?!\d)")
_EMAIL = re.compile(r"[\w.+-]+@[\w-]+\.[\w.]+")
_OPENID = re.compile(r"(?<![\w-])o[A-Za-z0-9_-]{27}(?![\w-])")
#: The same for engines whose regular expressions know no look-around and no check digits.
PATTERNS = {
    "手机号": r"(?:^|[^0-9])1[3-9][0-9]{9}(?:[^0-9]|$)",
    "身份证号": r"(?:^|[^0-9])[0-9]{6}(?:19|20)[0-9]{2}(?:0[1-9]|1[0-2])[0-3][0-9]{4}[0-9Xx](?:[^0-9]|$)",
    "邮箱": r"[A-Za-z0-9._+-]+@[A-Za-z0-9-]+[.][A-Za-z0-9.]+",
}
_WEIGHTS, _CHECKS = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2), "10X98765432"

ADVICE = "删去该列后再导入 (remove this column from a copy, then import that)"
ALLOWED = "不含个人身份 (no personal identity)"


def identifying_name(header: str) -> bool:
    """Tell whether a header asks for a direct identifier or a special identity.

    Asides in brackets do not count (请勿填写姓名 …), unless the brackets hold all there is, as in 第3题(姓名).
    """
    asked = _NUMBERED.sub("", _ASIDE.sub("", header)).strip()
    if not asked or re.fullmatch(r"第?\s*\d+\s*题?", asked):
        asked = " ".join(part[1:-1] for part in _ASIDE.findall(header)).strip()
    return bool(_NAMES.search(asked))


def identifying_text(text: str) -> str:
    """Return which identifier a cell holds (手机号, 身份证号, 邮箱, openid), or ``""``."""
    if any(_valid_id_card(found) for found in _ID_CARD.findall(text)):
        return "身份证号"
    for name, pattern in (("手机号", _PHONE), ("邮箱", _EMAIL), ("openid", _OPENID)):
        if pattern.search(text):
            return name
    return ""


def check_names(place: str, headers: Iterable[str], problems: Problems) -> None:
    """Note every column whose name identifies a person."""
    for header in headers:
        if header not in DROPPED and identifying_name(header):
            problems.add(place, "identifier_column", header, ALLOWED, ADVICE)


def check_content(place: str, frame: pd.DataFrame, problems: Problems, *, mapped: Iterable[str]) -> set[str]:
    """Note columns whose cells hold identifiers, and return them.

    One cell is enough in a column that is used; in a column that is dropped anyway a fifth of its filled cells, so that
    a number left in a free text does not stop a wave that never reads that text.
    """
    used, stopped = set(mapped), set()
    for column in frame.columns:
        cells = frame[column]
        suspect = once_a_value(cells, lambda v: v.str.contains(r"\d{11}|@|o[\w-]{27}", regex=True, na=False))
        likely = cells[suspect.astype(bool)]
        found = likely.map(identifying_text)
        found = found[found != ""]
        filled = int((cells.str.strip() != "").sum())
        if len(found) and (column in used or len(found) >= 0.2 * filled):
            kind = "、".join(dict.fromkeys(found))
            problems.add(
                f"{place}: {column}", "identifier_content", f"{kind} ({rows_text(found.index)})", ALLOWED, ADVICE
            )
            stopped.add(str(column))
    return stopped


def _valid_id_card(number: str) -> bool:
    total = sum(int(digit) * weight for digit, weight in zip(number[:17], _WEIGHTS, strict=True))
    return _CHECKS[total % 11] == number[17].upper()
