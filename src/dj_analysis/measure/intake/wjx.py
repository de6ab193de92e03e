"""Format of 问卷星 exports: leading columns, question headers, marks of missing answers, durations."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

import numpy as np
import pandas as pd

from ...spec.platforms import DURATION, NUMBER, SUBMITTED, platform_of
from ...spec.platforms import WJX_MISSING as WJX_MISSING
from ...spec.tables import once_a_value

#: Leading columns of an export; 序号 serves to find rows imported twice, 所用时间 as a quality flag.
META = (NUMBER, SUBMITTED, DURATION, "来源", "来源详情", "来自IP", "总分")

#: Words for "no answer" that programs write: missing where a number is asked; an answer like any other in a text.
NO_ANSWER = (
    *("空", "(空)", "（空）", "(跳过)", "（跳过）", "N/A", "n/a", "NA", "#N/A"),
    *("null", "NULL", "None", "nan", "NaN", "<NA>", "."),
)
MULTIPLE = "┋"
_TYPED = re.compile(r"〖.*?〗", re.DOTALL)  # what somebody typed beside an option

_NUMBERED = re.compile(r"^\s*(?:第\s*\d+\s*题|\d+\s*[、.．]|Q\d+[.:、])\s*", re.IGNORECASE)
_IN_BRACKETS = re.compile(r"[(（\[【]([^()（）\[\]【】]*(?:[(（][^()（）]*[)）][^()（）]*)*)[)）\]】]\s*$")
#: Code of a question before its wording, as LimeSurvey writes it: ``G01Q02[SQ001]. …``.
_CODED = re.compile(r"^\s*[A-Za-z]\w*(?:\[\w+\])?[.:：、]\s+")
#: What stands in brackets to say how to answer, and not what is asked.
_INSTRUCTION = re.compile(
    r"[(（\[【]\s*(?:(?:矩阵|量表|打分|评分|排序|填空|单选|多选|下拉|表格|滑动|文本|选择)+题?|(?:可|限|请)?(?:单|多)选[^()（）\[\]【】]*"
    r"|(?:必|选)[答填]题?|(?:请|如果|若|可以|例如|比如|注[:：]|提示|说明[:：])[^()（）\[\]【】]*|(?:最多|至少|限)选?[^()（）\[\]【】]*项|不定项"
    r"|\d+\s*[-~—–至到]\s*\d+\s*分?|(?:单位|满分)[:：]?[^()（）\[\]【】]*"
    r"|single choice|multiple choice|select (?:one|all)[^()（）\[\]【】]*|required|optional|matrix|rating)\s*[)）\]】]",
    re.IGNORECASE,
)
_NOISE = re.compile(r"[\s,，。、;；:：?？!！.\"“”'‘’*·—–\-()（）\[\]【】]+")
_CLOCK = re.compile(
    r"^(?:(?P<days>\d+)\s*(?:天|日|days?|d)?[\s,，]+)?(?P<h>\d+):(?P<m>[0-5]?\d):(?P<s>[0-5]?\d(?:\.\d+)?)$"
)
_DURATION = re.compile(
    r"^(?:(\d+)\s*(?:天|日|days?|d))?[\s,，]*(?:(\d+)\s*(?:个?小时|时|hours?|hrs?|h))?[\s,，]*"
    r"(?:(\d+)\s*(?:分钟|分|minutes?|mins?|m))?[\s,，]*(?:(\d+(?:\.\d+)?)\s*(?:秒钟?|seconds?|secs?|s)?)?$",
    re.IGNORECASE,
)


def is_export(headers: Iterable[str]) -> bool:
    """Tell whether the headers are those of a 问卷星 export."""
    platform = platform_of(headers)
    return platform is not None and platform.missing == WJX_MISSING


def blank_missing(frame: pd.DataFrame) -> pd.DataFrame:
    """Convert the marks of skipped and blank answers of a 问卷星 export to empty cells; leave other tables alone."""
    return frame.mask(frame.isin(WJX_MISSING), "") if is_export(map(str, frame.columns)) else frame


def no_answers(headers: Iterable[str]) -> tuple[str, ...]:
    """Return the texts that stand for no answer in a column of numbers, in a table with these headers."""
    return (*NO_ANSWER, *WJX_MISSING) if is_export(headers) else NO_ANSWER


def seconds(cells: pd.Series) -> pd.Series:
    """Read durations in seconds; what cannot be read is NaN.

    ``49秒``, ``1分20秒``, ``1天2小时``, ``80 seconds``, ``1 h 2 min``, ``00:01:20``, ``1 day, 2:00:00``, plain seconds. ``1:20``
    may be minutes or hours and is not read.
    """
    return once_a_value(cells.astype("str"), _seconds)


def _seconds(cells: list[str]) -> np.ndarray:
    text = pd.Series(cells, dtype="str").str.strip()
    clock = text.str.extract(_CLOCK).astype("float64")
    of_clock = clock.fillna(0) @ [86400.0, 3600.0, 60.0, 1.0]
    parts = text.str.extract(_DURATION).astype("float64")
    of_parts = (parts.fillna(0) @ [86400.0, 3600.0, 60.0, 1.0]).where(parts.notna().any(axis=1))
    return of_clock.where(clock["s"].notna(), of_parts).to_numpy(float)


def without_typed(cells: pd.Series) -> pd.Series:
    """Cut off what was typed beside an option (``其他〖…〗``)."""
    return cells.str.replace(_TYPED, "", regex=True)


def spread_multiple(frame: pd.DataFrame) -> pd.DataFrame:
    """Split multiple choices in one cell (``A┋B``) into one 0/1 column per option, named as in 问卷星 exports."""
    columns: dict[str, pd.Series] = {}
    for header in frame.columns:
        cells = frame[header]
        if not cells.str.contains(MULTIPLE, regex=False).any():
            columns[header] = cells
            continue
        cells = cells.mask(cells.isin(WJX_MISSING), "")
        texts = pd.Series(cells.unique(), dtype=cells.dtype)
        chosen = {
            text: {part.strip() for part in parts}
            for text, parts in zip(texts, without_typed(texts).str.split(MULTIPLE), strict=True)
        }
        for option in sorted(set().union(*chosen.values()) - {""}):
            picked = {text: str(int(option in parts)) if text.strip() else "" for text, parts in chosen.items()}
            columns[f"{header}({option})"] = cells.map(picked).astype("str")
    return pd.DataFrame(columns, index=frame.index)


def match_headers(
    headers: Iterable[str], wordings: Mapping[str, Iterable[str]], *, by_code: bool = True
) -> dict[str, list[str]]:
    """Match each header to the question it asks.

    What stands in brackets or after a dash belongs to the question: 收入（税前） and 收入（税后） are two. Only instructions
    (必答, 单选题, 1–5分) are no part of it.

    Parameters
    ----------
    headers
        As exported: ``3、题干``, ``第3题(行)``, ``3、题干—行``, ``8、(选项)``, ``A1. 题干 [行]``, or plain codes.
    wordings
        Code → its possible wordings.
    by_code
        Whether a header that is the code itself matches, whatever its case; in a file that knows nothing of these codes it
        must not.

    Returns
    -------
    dict
        Code → headers that ask it; more than one is for the caller to refuse.
    """
    code_by_wording: dict[str, str] = {}
    for code, texts in wordings.items():
        for text in texts:
            if plain_header(text):
                code_by_wording.setdefault(plain_header(text), code)
    codes = {code.casefold(): code for code in wordings} if by_code else {}
    whole: dict[str, list[str]] = {}
    by_part: dict[str, list[str]] = {}
    for header in headers:
        wording, *parts = stems(unnumbered(header)) or [""]
        asked = codes.get(header.strip().casefold()) or codes.get(unnumbered(header).strip().casefold())
        asked = asked or code_by_wording.get(plain_header(header)) or code_by_wording.get(wording)
        part = next((code_by_wording[text] for text in parts if text in code_by_wording), None)
        if asked is not None:
            whole.setdefault(asked, []).append(header)
        elif part is not None:
            by_part.setdefault(part, []).append(header)
    return by_part | whole  # the wording as a whole decides before a row of a matrix that reads the same


def unnumbered(header: str) -> str:
    """Return a header without the number of its question."""
    return _NUMBERED.sub("", header.strip())


def stems(header: str) -> list[str]:
    """Return the candidate wordings of a header, most specific first: whole question, matrix row, option."""
    bare = _INSTRUCTION.sub("", _NUMBERED.sub("", header.strip())).strip()
    candidates = [header, bare, _CODED.sub("", bare)]
    row = _IN_BRACKETS.search(bare)
    if row:
        candidates.append(row.group(1))
    for dash in ("—", "--", "–", " - "):
        if dash in bare:
            candidates.append(bare.rsplit(dash, 1)[1])
    return [text for text in dict.fromkeys(plain_header(c) for c in candidates) if text]


def question_and_row(header: str) -> tuple[str, str]:
    """Return the question a header stands under and its row or option, without the question's number; ``""`` where there is none.

    Examples
    --------
    >>> question_and_row("9、您最关心什么(食堂)"), question_and_row("3、食堂—饭菜"), question_and_row("4、请打分")
    (('您最关心什么', '食堂'), ('食堂', '饭菜'), ('请打分', ''))
    """
    bare = unnumbered(header)
    for dash in ("—", "--", "–"):
        if dash in bare:
            question, row = bare.rsplit(dash, 1)
            return question.strip(), row.strip()
    row_part = _IN_BRACKETS.search(bare)
    return (bare[: row_part.start()].strip(), row_part.group(1).strip()) if row_part else (bare.strip(), "")


def plain_header(text: str) -> str:
    """Normalise a wording for comparison: without instructions in brackets, punctuation and case."""
    return _NOISE.sub("", _INSTRUCTION.sub("", text)).lower() or _NOISE.sub("", text).lower()
