"""Columns of multiple choices and rankings: one an option, 0/1 or a place, however the platform wrote them."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

import numpy as np
import pandas as pd

from ...errors import Problems
from ...spec.codebook import Codebook
from ...spec.tables import numbers, once_a_value, quoted, rows_text, whole_numbers
from ...spec.tree import Node
from . import wjx

_CHOSEN = frozenset({"1", "是", "选中", "已选", "已选中", "√", "✓", "✔", "yes", "true", "selected", "checked"})
_NOT_CHOSEN = frozenset({"0", "否", "未选", "未选中", "no", "false", "not selected", "unchecked"})


def option_columns(headers: Sequence[str], codebook: Codebook, known: Collection[str]) -> dict[str, str]:
    """Return option → header, by code or by the wording of question and option together.

    An option of the same words may stand under several questions: neither wording alone decides.

    Parameters
    ----------
    headers
        Headers that are nothing else.
    known
        Codes whose header is known already.
    """
    options, columns = codebook.choices.leaves, {}
    wanted = {
        (wjx.plain_header(text), wjx.plain_header(label)): option.code
        for option in options
        if option.code not in known
        for text in _texts(codebook.choices[option.parent])
        for label in (option.label_zh, option.label_en)
        if text and label
    }
    codes = {option.code for option in options} - set(known)
    for header in headers:
        question, row = wjx.question_and_row(header)
        code = header if header in codes else wanted.get((wjx.plain_header(question), wjx.plain_header(row)), "")
        if code and code not in columns:
            columns[code] = header
    return columns


def chosen_options(
    frame: pd.DataFrame, roles: Mapping[str, str], codebook: Codebook, place: str, problems: Problems
) -> dict[str, pd.Series]:
    """Return option → 1 or 0 (multiple choice), or the place given (ranking); missing where the question was not answered.

    A cell of a multiple choice says that its option was chosen by 1, 是 and the like or by the option's own words, that it was
    not by 0 or 否; where something of the question is answered an empty cell means not chosen, and so does an option without
    a column. An option that was not given a place has none.
    """
    read: dict[str, pd.Series] = {}
    for question in codebook.choices.inner:
        options, ranked = codebook.choices.children(question.code), codebook.is_ranking(question.code)
        cells = {one.code: whole_numbers(frame[roles[one.code]]).str.strip() for one in options if one.code in roles}
        if not cells:
            continue
        for option in (one for one in options if one.code in cells):
            where = f"{place}: {option.code} ({roles[option.code]})"
            values = _places(cells[option.code]) if ranked else _yes(cells, option)
            unread = cells[option.code][(cells[option.code] != "") & ~values.between(option.minimum, option.maximum)]
            if len(unread):
                allowed = "0、1 或选项文字" if option.maximum == 1 else f"1–{option.maximum:g} 的名次 (a place)"
                shown = f"{quoted(unread)} ({rows_text(unread.index)})"
                problems.add(where, "out_of_range", shown, allowed, "改正答案 (correct it)")
            read[option.code] = values
        if not ranked:
            answered = pd.concat([column != "" for column in cells.values()], axis=1).any(axis=1)
            for option in options:
                values = read.get(option.code, pd.Series(np.nan, index=frame.index))
                read[option.code] = values.fillna(0.0).where(answered)
    return read


def _texts(question: Node) -> tuple[str, ...]:
    return tuple(text for text in (question.text_zh, question.text_en, question.label_zh, question.label_en) if text)


def _places(cells: pd.Series) -> pd.Series:
    values = numbers(cells)
    return values.where(values % 1 == 0)


def _yes(cells: Mapping[str, pd.Series], option: Node) -> pd.Series:
    """Return 1 and 0 of one option's cells, NaN where a cell is empty or says something else."""
    words = {wjx.plain_header(text) for text in (option.label_zh, option.label_en, option.code) if text}

    def read(texts: list[str]) -> np.ndarray:
        said = wjx.without_typed(pd.Series(texts, dtype="str")).str.strip()
        chosen = said.str.lower().isin(_CHOSEN) | said.map(lambda cell: bool(cell) and wjx.plain_header(cell) in words)
        values = pd.Series(np.nan, index=said.index)
        values[said.str.lower().isin(_NOT_CHOSEN)] = 0.0
        values[chosen] = 1.0
        return values.to_numpy()

    return once_a_value(cells[option.code], read)
