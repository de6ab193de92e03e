"""Format of 问卷星 exports: leading columns, question headers, marks of missing answers, durations."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

import pandas as pd

#: Leading columns of an export; 序号 serves to find rows imported twice, 所用时间 as a quality flag.
META = ("序号", "提交答卷时间", "所用时间", "来源", "来源详情", "来自IP", "总分")
NUMBER, SUBMITTED, DURATION = "序号", "提交答卷时间", "所用时间"

MISSING = (
    "-2",
    "-3",
    "空",
    "(空)",
    "（空）",
    "(跳过)",
    "（跳过）",
    "N/A",
    "n/a",
    "NA",
    "#N/A",
    "null",
    "NULL",
    "None",
    "nan",
    "NaN",
)
MULTIPLE = "┋"
_TYPED = re.compile(r"〖.*?〗", re.DOTALL)  # what somebody typed beside an option

_NUMBERED = re.compile(r"^\s*(?:第\s*\d+\s*题|\d+\s*[、.．]|Q\d+[.:、])\s*", re.IGNORECASE)
_IN_BRACKETS = re.compile(r"[(（]([^()（）]*(?:[(（][^()（）]*[)）][^()（）]*)*)[)）]\s*$")
_ASIDE = re.compile(r"[(（\[【][^()（）\[\]【】]*[)）\]】]")
_NOISE = re.compile(r"[\s,，。、;；:：?？!！.\"“”'‘’*_·—\-]+")
_DURATION = re.compile(
    r"^(?:(\d+)\s*(?:小时|时|h))?\s*(?:(\d+)\s*(?:分钟|分|min|m))?\s*(?:(\d+(?:\.\d+)?)\s*(?:秒|s)?)?$"
)


def is_export(headers: Iterable[str]) -> bool:
    """Tell whether the headers are those of a 问卷星 export."""
    return len({NUMBER, SUBMITTED, DURATION} & set(headers)) >= 2


def blank_missing(frame: pd.DataFrame) -> pd.DataFrame:
    """Convert the marks of skipped and blank answers to empty cells."""
    return frame.mask(frame.isin(MISSING), "")


def seconds(cells: pd.Series) -> pd.Series:
    """Read durations such as ``49秒``, ``1分20秒``, ``1小时2分3秒`` or plain seconds; what cannot be read is NaN."""
    parts = cells.str.strip().str.extract(_DURATION).astype("float64")
    return (parts.fillna(0) @ [3600.0, 60.0, 1.0]).where(parts.notna().any(axis=1))


def spread_multiple(frame: pd.DataFrame) -> pd.DataFrame:
    """Split multiple choices in one cell (``A┋B``) into one 0/1 column per option, named as in 问卷星 exports."""
    columns: dict[str, pd.Series] = {}
    for header in frame.columns:
        cells = frame[header]
        if not cells.str.contains(MULTIPLE, regex=False).any():
            columns[header] = cells
            continue
        chosen = cells.str.replace(_TYPED, "", regex=True).str.split(MULTIPLE)
        options = sorted({option.strip() for cell in chosen for option in cell if option.strip()})
        for option in options:
            picked = chosen.map(lambda cell, option=option: "1" if option in [part.strip() for part in cell] else "0")
            columns[f"{header}({option})"] = picked.where(cells.str.strip() != "", "")
    return pd.DataFrame(columns, index=frame.index)


def match_headers(
    headers: Iterable[str], wordings: Mapping[str, Iterable[str]], *, by_code: bool = True
) -> dict[str, list[str]]:
    """Match each header to the question it asks.

    Parameters
    ----------
    headers
        As exported: ``3、题干``, ``第3题(行)``, ``3、题干—行``, ``8、(选项)``, or plain codes.
    wordings
        Code → its possible wordings.
    by_code
        Whether a header that is the code itself matches; in a file that knows nothing of these codes it must not.

    Returns
    -------
    dict
        Code → headers that ask it; more than one is for the caller to refuse.
    """
    code_by_wording: dict[str, str] = {}
    for code, texts in wordings.items():
        for text in (code, *texts) if by_code else texts:
            if plain_header(text):
                code_by_wording.setdefault(plain_header(text), code)
    headers_by_code: dict[str, list[str]] = {}
    for header in headers:
        asked = next((code_by_wording[text] for text in stems(header) if text in code_by_wording), None)
        if asked is not None:
            headers_by_code.setdefault(asked, []).append(header)
    return headers_by_code


def unnumbered(header: str) -> str:
    """Return a header without the number of its question."""
    return _NUMBERED.sub("", header.strip())


def stems(header: str) -> list[str]:
    """Return the candidate wordings of a header, most specific first: matrix row, option, whole question."""
    bare = _NUMBERED.sub("", header.strip())
    candidates = [header, bare]
    row = _IN_BRACKETS.search(bare)
    if row:
        candidates.append(row.group(1))
    for dash in ("—", "--", "–"):
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
    """Normalise a wording for comparison: without asides in brackets, punctuation and case."""
    return _NOISE.sub("", _ASIDE.sub("", text)).lower() or _NOISE.sub("", text).lower()
