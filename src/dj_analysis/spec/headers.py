"""The header of a table among title rows above it and rows of totals below."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from ..errors import Problems
from .grid import Grid
from .platforms import bare_header, platform_of

#: Words that stand for all rows together and are no answer of anybody.
_TOTAL = re.compile(r"(合\s*计|总\s*计|小\s*计|(grand |sub)?totals?)[:：]?", re.IGNORECASE)
#: Words that can be an answer too: only below the last row, and only where nobody answered so.
_MEAN = re.compile(r"(平均(数|值|分|得分)?|均值|均分|总体|汇总|标准差|mean|average|avg|sum)[:：]?", re.IGNORECASE)
_REMARK = re.compile(
    r"(备?注|说明|制表|填表|填报|审核|数据来源|来源|note|remark|source)[^:：]{0,6}[:：]", re.IGNORECASE
)
_NUMBER = re.compile(r"[-+]?[\d,]*\.?\d+%?")
_WHOLE_ANSWER = ("", "response", "open-ended response", "回答", "回复", "开放式回答", "开放式回复")
#: Rows above a header that can be titles, and rows from the first filled one on that tell how many cells a row fills.
MOST_TITLES, LOOKED_AT = 12, 60


@dataclass(frozen=True)
class Headed:
    """A frame under its header; the index is the row number in the file less two.

    ``wordings``: header → wording, where the file has a row of short names and one of wordings.
    """

    frame: pd.DataFrame
    notices: tuple[str, ...] = ()
    wordings: Mapping[str, str] = field(default_factory=dict)


def with_header(grid: Grid, place: str, problems: Problems) -> Headed | None:
    """Find the header row; a header with gaps over data comes from merged cells."""
    rows = grid.rows
    if not any(map(any, rows)):
        problems.add(place, "empty_file", "没有内容", "表头和数据", "重新导出 (export it again)")
        return None
    top, notices = _first_row(rows, place)
    width = max(map(len, rows))
    padded = [row if len(row) == width else row + [""] * (width - len(row)) for row in rows]
    header, wordings, below = _header_rows(padded, top)
    filled = [i for i in range(below, len(padded)) if any(padded[i])]  # blank rows go, the others keep their number
    frame = _frame_of([padded[i] for i in filled], [i - 1 for i in filled], width)
    blank = [i for i, name in enumerate(header) if not name]
    merged = [i for i in blank if (frame[i].str.strip() != "").any()] if len(frame) else []
    if merged:
        unnamed = "第 " + "、".join(str(i + 1) for i in merged[:5]) + " 列没有列名"
        advice = "取消表头合并单元格,每列一个列名 (unmerge the header; one name a column)"
        problems.add(place, "merged_header", unnamed, "每列一个列名", advice)
        return None
    frame = frame.drop(columns=blank)
    frame.columns = pd.Index([name for name in header if name])
    named = {header[i]: wordings[i] for i in range(width) if header[i] and i < len(wordings) and wordings[i]}
    return Headed(frame, (*grid.notices, *notices), named)


def header_at_top(rows: list[list[str]]) -> list[str] | None:
    """Return the names of the first of these rows where it is the header, without gaps, of rows of as many cells; else None."""
    if not rows or not rows[0] or not all(rows[0]) or any(row and len(row) != len(rows[0]) for row in rows):
        return None
    filled = [row for row in rows if any(row)]
    top, notices = _first_row(rows, "")
    header, wordings, below = _header_rows(filled, 0)
    return header if top == 0 and below == 1 and not notices and not wordings and all(header) else None


def _frame_of(rows: list[list[str]], index: list[int], width: int) -> pd.DataFrame:
    """Return rows of text as a frame with numbered columns, made column by column: pandas takes rows apart cell by cell."""
    columns = zip(*rows, strict=True) if rows else ((),) * width
    return text_frame((pa.array(cells, pa.large_string()) for cells in columns), index)


def text_frame(columns: Iterable[pa.Array], index: Any) -> pd.DataFrame:
    """Return columns of text as a frame with numbered columns."""
    kind = pd.StringDtype(na_value=np.nan)
    return pd.DataFrame({i: kind.__from_arrow__(cells) for i, cells in enumerate(columns)}, index=index)


def check_columns(frame: pd.DataFrame, place: str, problems: Problems) -> bool:
    """Note repeated headers and a header without rows; tell whether the frame can be used."""
    repeated = sorted({str(name) for name in frame.columns[frame.columns.duplicated()]})
    if repeated:
        problems.add(place, "duplicate_column", ", ".join(repeated[:5]), "列名唯一", "改名或删去 (rename or remove it)")
        return False
    if frame.empty:
        advice = "补上数据或删去文件 (add rows or remove the file)"
        problems.add(place, "header_only", "只有表头", "至少一行数据", advice)
        return False
    return True


def without_totals(frame: pd.DataFrame, place: str) -> tuple[pd.DataFrame, tuple[str, ...]]:
    """Leave out rows of totals, means and remarks, which are nobody's answers, and tell their numbers.

    A row of totals has one cell that says so, and beside it only numbers or nothing. Words that can be an answer as well
    (平均, average) count so only in the last rows, and only where no other row answers with them.
    """
    totals = [i for i, row in _rows(frame) if _is_total(row, _TOTAL)]
    rest = frame.drop(index=totals)
    while len(rest) > 1:
        last = [cell for cell in rest.iloc[-1].astype("str").str.strip() if cell]
        words = [cell for cell in last if not _NUMBER.fullmatch(cell)]
        mean = _is_total(last, _MEAN) and not rest.iloc[:-1].isin(words).any(axis=None)
        remark = len(last) == 1 and frame.shape[1] > 2 and bool(_REMARK.match(last[0]))
        if not (mean or remark):
            break
        totals.append(rest.index[-1])
        rest = rest.iloc[:-1]
    if not totals or rest.empty:
        return frame, ()
    numbers = "、".join(str(int(i) + 2) for i in sorted(totals)[:5]) + (
        f" 等共 {len(totals)}" if len(totals) > 5 else ""
    )
    return rest, (f"{place}: 第 {numbers} 行是合计、平均或备注，未计 (rows of totals or remarks left out)",)


def stands_for_all(text: str) -> bool:
    """Tell whether a cell names a row of totals or means (合计, 平均) rather than a unit."""
    return bool(_TOTAL.fullmatch(text.strip()) or _MEAN.fullmatch(text.strip()))


def is_remark(text: str) -> bool:
    """Tell whether a cell begins a remark below a table (注:, 填表人:)."""
    return bool(_REMARK.match(text.strip()))


def _rows(frame: pd.DataFrame) -> list[tuple[int, list[str]]]:
    """Return the rows that hold a word for a total anywhere, as their filled cells."""
    said = pd.Series(False, index=frame.index)
    for name in frame.columns:
        words = [text for text in frame[name].unique() if isinstance(text, str) and _TOTAL.fullmatch(text)]
        said |= frame[name].isin(words) if words else False
    return [(i, [cell.strip() for cell in frame.loc[i] if cell.strip()]) for i in frame.index[said]]


def _is_total(cells: list[str], words: re.Pattern[str]) -> bool:
    texts = [cell for cell in cells if not _NUMBER.fullmatch(cell)]
    return len(texts) == 1 and bool(words.fullmatch(texts[0]))


def _is_number(cell: str) -> bool:
    return bool(_NUMBER.fullmatch(cell))


def _first_row(rows: list[list[str]], place: str) -> tuple[int, tuple[str, ...]]:
    """Return the header's row: below title rows, which fill few cells while the table fills many."""
    first = next(i for i, row in enumerate(rows) if any(row))
    filled = [sum(map(bool, row)) for row in rows[: first + LOOKED_AT]]
    usual = sorted(count for count in filled[first:] if count)
    typical = usual[len(usual) // 2]
    top = first
    while top < first + MOST_TITLES and top + 1 < len(rows) and filled[top] <= max(1, typical // 3) and typical > 2:
        top += 1
    names = [cell for cell in rows[top] if cell]
    if (filled[top] <= max(1, typical // 3) and typical > 2) or 2 * sum(map(_is_number, names)) > len(names):
        return first, ()  # a header with gaps over data, which the caller refuses
    titles = [i + 1 for i in range(first, top) if filled[i]]
    if not titles:
        return top, ()
    listed = "、".join(map(str, titles))
    return top, (f"{place}: 第 {listed} 行是表题，未作数据 (title rows above the header)",)


def _header_rows(rows: list[list[str]], top: int) -> tuple[list[str], list[str], int]:
    """Return names, wordings (where the file has both) and the first row of data."""
    header = [name.strip().lstrip("\ufeff") for name in rows[top]]
    platform = platform_of(header)
    name = platform.name if platform else ""
    if name == "Qualtrics":
        ids = next((i for i in range(top + 1, min(top + 3, len(rows))) if any("ImportId" in c for c in rows[i])), None)
        described = top + 1 < len(rows) and _describes(header, rows[top + 1])
        if ids is not None or described:
            wordings = rows[top + 1] if ids != top + 1 else []
            return header, [_one_line(text) for text in wordings], (ids if ids is not None else top + 1) + 1
    if name == "SurveyMonkey" and top + 1 < len(rows):
        leading = [
            i
            for i, cell in enumerate(header)
            if platform is not None and bare_header(cell) in platform.leading and cell
        ]
        if not any(rows[top + 1][i] for i in leading):
            return _joined(header, rows[top + 1]), [], top + 2
    return header, [], top + 1


def _describes(header: list[str], row: list[str]) -> bool:
    """Tell whether a row repeats leading headers in words (StartDate, Start Date) rather than holding answers."""
    same = [i for i, name in enumerate(header) if name and bare_header(name) == bare_header(row[i])]
    return len(same) >= 3


def _joined(header: list[str], second: list[str]) -> list[str]:
    """Join a row of questions, blank where a question goes on, with a row of its options or rows."""
    names, question = [], ""
    for name, option in zip(header, second, strict=True):
        question = name or question
        option = _one_line(option)
        names.append(question if option.casefold() in _WHOLE_ANSWER else f"{question}—{option}")
    return names


def _one_line(text: str) -> str:
    return " ".join(text.split())
