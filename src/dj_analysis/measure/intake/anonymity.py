"""Quasi-identifiers (准标识符): detection, coarsening, k-anonymity."""

from __future__ import annotations

import itertools
import re
from collections import Counter
from collections.abc import Iterable, Sequence

import pandas as pd

from ...spec.settings import FLOOR as FEWEST  # rows that must look alike (R16): as many as the least group (R4)

_PARTS: tuple[tuple[str, str], ...] = (
    ("age", r"(实际|周岁)?年龄|周岁|岁数|age"),
    ("tenure", r"(工作|从业|任职|本岗|本岗位|在岗|入司|司|党|工)龄|(工作|从业|任职|服务|在岗|本岗位?|参加工作)(年限|年数|时间|年份)"
     r"|入职(时间|年限|年份|日期)|tenure|seniority|years of service|years (worked|employed)"),
    ("sex", r"性别|sex|gender"),
    ("education", r"(最高|第一)?(学历|学位|文化程度|受教育程度|教育程度)|education|degree"),
    ("post", r"(工作)?(岗位|职位|工种|职务|职级|职业|管理层级|岗级)|属于?管理人员还是.{1,6}|管理/一线|管理人员"
     r"|job|post|position|occupation|grade|type of job|(are you )?in management or on the front line"),
    ("title", r"(专业技术)?(职称|技术职务|技能等级|技术等级|职业资格)|(professional |job )?title"),
    ("employment", r"用工(形式|性质|方式|类型)?|(劳动)?合同(类型|性质)|聘用(形式|方式)|员工(类型|身份)|身份类型|(form of )?employment|contract"),
)  # fmt: skip
_BEFORE = r"(请问|请选择|请填写)?(您|你|本人|员工)?(的|目前|现在|现|所在|所属|所从事|从事|属于|是|处于|担任)*(的)?"
_AFTER = r"(所在|属于)?(段|区间|范围|分组|组|层|层级|类别|类型|种类|性质|序列|情况|层次|等级|名称|形式)*(是|为|属于)?(什么|哪一?[类种个段])?"
_AFTER_EN = r"( ?(band|group|range|type|level|category|status|class|form|in years))*"
_KINDS = tuple(
    (kind, re.compile(rf"^{_BEFORE}(?:{words}){_AFTER}$|^(your |staff )?(?:{words}){_AFTER_EN}$", re.IGNORECASE))
    for kind, words in _PARTS
)
_NUMBERED = re.compile(r"^\s*(第\s*\d+\s*题|\d+\s*[、.．:：]|Q\d+[.:、])\s*", re.IGNORECASE)
_ASIDE = re.compile(r"[(（\[【][^()（）\[\]【】]*[)）\]】]")
_ROW = re.compile(r"^.{0,8}(信息|资料|情况)(—|--|–)+")  # a row of a grid that asks who people are
_YEARS = re.compile(r"(\d{1,2}(?:\.\d+)?)\s*(?:周?岁|年|years?)?", re.IGNORECASE)
_BANDS = {
    "age": ((30, "30岁以下"), (40, "31—40岁"), (50, "41—50岁"), (60, "51—60岁"), (float("inf"), "61岁以上")),
    "tenure": ((5, "5年以下"), (10, "6—10年"), (20, "11—20年"), (30, "21—30年"), (float("inf"), "31年以上")),
}
_OPTIONS = 8  # a column of whole numbers up to this one holds the options of a question, not years


def quasi_kind(header: str) -> str:
    """Return the quasi-identifier a header asks for: age, tenure, sex, education, post, title, employment, or ``""``.

    Examples
    --------
    >>> quasi_kind("5、您的年龄段"), quasi_kind("在现在的岗位上，我很难再学到新东西。")
    ('age', '')
    """
    bare = _ROW.sub("", _NUMBERED.sub("", header.strip()))
    inside = " ".join(part[1:-1] for part in _ASIDE.findall(bare))
    wording = (_ASIDE.sub("", bare).strip() or inside).strip(" ?？:：。.").replace("_", " ")
    return next((kind for kind, words in _KINDS if words.search(wording)), "")


def banded(cells: pd.Series, kind: str) -> pd.Series:
    """Convert numeric ages and tenures to bands (R16); leave other cells unchanged.

    Ages: 30岁以下, 31—40岁 …; tenures: 5年以下, 6—10年, 11—20年 …. A column of small whole numbers holds the options of a
    question and is left alone.
    """
    if kind not in _BANDS:
        return cells
    years = pd.to_numeric(
        cells.str.strip().str.extract(rf"^{_YEARS.pattern}$", flags=re.IGNORECASE)[0], errors="coerce"
    )
    if years.notna().sum() == 0 or years.max() <= _OPTIONS:
        return cells
    return cells.where(years.isna(), years.map(lambda year: _band(year, kind)))


def anonymous(frame: pd.DataFrame, columns: Sequence[str], least: int = FEWEST) -> tuple[pd.DataFrame, int]:
    """Blank cells until every combination of the columns is shared by at least ``least`` rows (Sweeney 2002).

    A blank counts as a value of its own. Rows in small combinations lose as few cells as will do: first one column,
    that which settles the most rows, then two, then all; where then fewer than ``least`` rows are left blank, as many
    more are blanked as are missing, where that costs the fewest cells. The same table gives the same result.

    Returns
    -------
    tuple
        The table, and how many filled cells were blanked.
    """
    if not columns:
        return frame, 0
    cells = [tuple(row) for row in frame[list(columns)].itertuples(index=False)]
    new_rows = _blanked(cells, least)
    blanks = sum(
        before != after
        for old, new in zip(cells, new_rows, strict=True)
        for before, after in zip(old, new, strict=True)
    )
    result = frame.copy()
    for position, column in enumerate(columns):
        result[column] = pd.Series([row[position] for row in new_rows], index=frame.index, dtype="str")
    return result, blanks


def smallest_class(frame: pd.DataFrame, columns: Sequence[str]) -> int:
    """Return how many rows share the rarest combination of the columns; 0 without rows or columns."""
    return int(frame.groupby(list(columns)).size().min()) if columns and len(frame) else 0


def _band(year: float, kind: str) -> str:
    return "" if year != year else next(name for upper, name in _BANDS[kind] if year <= upper)


Row = tuple[str, ...]


def _blanked(cells: list[Row], least: int) -> list[Row]:
    width = len(cells[0]) if cells else 0
    rows = list(cells)
    for size in range(1, width + 1):
        while True:
            best = _best(rows, list(itertools.combinations(range(width), size)), least)
            if best is None:
                break
            chosen, settled = best
            counts = Counter(rows)
            rows = [
                _without(row, chosen) if counts[row] < least and _without(row, chosen) in settled else row
                for row in rows
            ]
    return _rest(rows, least)


def _best(rows: list[Row], choices: Iterable[tuple[int, ...]], least: int) -> tuple[tuple[int, ...], set[Row]] | None:
    """Choose the columns whose blanking brings the most rows of small combinations into large enough ones."""
    counts = Counter(rows)
    best, most = None, 0
    for chosen in choices:
        joined: Counter[Row] = Counter()
        for row, n in counts.items():
            if n < least:
                joined[_without(row, chosen)] += n
        settled = {
            row for row, n in joined.items() if n + (counts[row] if counts[row] >= least else 0) >= least
        }  # a combination that was blank already and large enough takes them in
        gained = sum(n for row, n in joined.items() if row in settled)
        if gained > most:
            best, most = (chosen, settled), gained
    return best


def _rest(rows: list[Row], least: int) -> list[Row]:
    """Blank all rows still in small combinations, and further rows until the blank ones are enough."""
    counts = Counter(rows)
    blank = ("",) * len(rows[0]) if rows else ()
    rows = [blank if counts[row] < least else row for row in rows]
    counts = Counter(rows)
    while 0 < counts[blank] < least and len(counts) > 1:
        short = least - counts[blank]

        def cost(row: Row, short: int = short, counts: Counter[Row] = counts) -> tuple[int, Row]:
            taken = short if counts[row] - short >= least else counts[row]
            return taken * sum(cell != "" for cell in row), row

        donor = min((row for row in counts if row != blank), key=cost)
        to_blank = short if counts[donor] - short >= least else counts[donor]
        for place, row in enumerate(rows):
            if to_blank and row == donor:
                rows[place], to_blank = blank, to_blank - 1
        counts = Counter(rows)
    return rows


def _without(row: Row, columns: tuple[int, ...]) -> Row:
    return tuple("" if position in columns else cell for position, cell in enumerate(row))
