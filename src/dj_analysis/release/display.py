"""Protected rows as they are shown to a reader: names, headers, numbers as they are written."""

from __future__ import annotations

import html
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from ..errors import unknown
from ..judge.alerts import reason_words
from ..judge.contributions import REST
from ..result import keys_of
from ..spec.columns import base_of, header, kind_of, value_word, written_cells
from ..spec.interventions import WORDED
from ..spec.specification import Specification

_DEFAULT = ("unit", "code", "n", "score", "low", "high", "favourable", "reason")
_NAMES = {
    "code",
    "code_second",
    "outcome",
    "into",
    "scale",
    "parent",
    "nearest",
    "driver",
    "item",
}  # hold codes of the codebook or of the indicators


@dataclass(frozen=True)
class Shown:
    """A table as it is printed.

    Attributes
    ----------
    names, headers, forms
        Of each column; a form is one of :class:`dj_analysis.spec.columns.Kind`.
    rows
        Cells as text.
    values
        Cells as plain values: text, or a number, None where there is none.
    """

    names: tuple[str, ...]
    headers: tuple[str, ...]
    forms: tuple[str, ...]
    rows: list[list[str]]
    values: list[list[Any]]


def shown(
    safe: Any,
    columns: Sequence[str] | None = None,
    across: str | None = None,
    value: str = "score",
    sort: str | None = None,
) -> Shown:
    """Write the rows of a printed result as a reader sees them.

    Parameters
    ----------
    safe
        What ``Protected.printed()`` returned.
    columns
        Columns to show, in this order.
    across, value
        One column for each value of this key, filled with ``value``.
    sort
        Order rows by this column, missing last.
    """
    return _spread(safe, list(columns or ("unit",)), across, value) if across else _plain(safe, columns, sort)


def as_html(safe: Any, most: int = 20) -> str:
    """Return the first rows as HTML, with what is hidden and under which rule."""
    table = shown(safe.printed(), default_columns(safe, everything=True))
    head = "".join(f"<th>{html.escape(label)}</th>" for label in table.headers)
    body = "".join(
        "<tr>" + "".join(f"<td>{html.escape(cell)}</td>" for cell in row) + "</tr>" for row in table.rows[:most]
    )
    rule = f"已作披露控制,按印发口径显示:少于{safe.plan.min_group}人不单列 (as printed; groups under {safe.plan.min_group} are hidden)"
    mark = (
        ""
        if safe.plan.official
        else '<p style="color:#b00;font-weight:bold">临时方案,不得外传 '
        "<small>(provisional plan: use ws.release_plan(period) before it leaves)</small></p>"
    )
    return (
        f"{mark}<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
        f"<p><small>{rule} · {len(table.rows)} 行 rows · {html.escape(safe.result.purpose)}</small></p>"
    )


def default_columns(safe: Any, *, everything: bool = False) -> list[str]:
    """Return the columns a table shows unless told otherwise: names, n, score, range; all where there is no score."""
    names, result = list(safe.table.columns), safe.result
    if not everything and {"unit", "score"} <= set(names):
        chosen = [name for name in _DEFAULT if name in names]
    else:
        chosen = [*result.keys, *(name for name in result.statistics if name in names)]
        chosen += ["reason"] if "reason" in names else []
        chosen = [name for name in dict.fromkeys(chosen) if name in names]
    if "reason" in chosen and not (safe.table["reason"].fillna("") != "").any():
        chosen.remove("reason")  # nothing to explain
    return chosen


def cell_names(safe: Any, source: pd.DataFrame, name: str) -> pd.Series | None:
    """Return the printed names of a column that holds codes or words; None where it holds numbers or plain text."""
    spec, language, cells = safe.spec, safe.spec.language, source[name]
    if name in ("unit", "other"):
        levels = source["level"].tolist() if "level" in source else [""] * len(source)
        pairs = zip(cells.tolist(), levels, strict=True)
        return pd.Series([spec.unit_label(str(u), str(lv)) for u, lv in pairs], index=cells.index, dtype="str")
    if name == "from_unit":
        levels = source["from_level"] if "from_level" in source else [""] * len(source)
        pairs = zip(cells, levels, strict=True)
        return pd.Series([spec.unit_label(str(u), str(lv)) for u, lv in pairs], index=cells.index, dtype="str")
    if name in ("covered_by", "child"):
        rest = "其余单位" if language == "zh" else "other units"
        return cells.map(
            lambda unit: "" if pd.isna(unit) or not unit else rest if unit == REST else spec.unit_label(str(unit))
        )
    if name == "tied_with":
        return cells.map(lambda units: _some([spec.unit_label(one) for one in str(units).split("、") if one], language))
    if name == "lacking":
        comma = ", " if language == "en" else "、"
        return cells.map(lambda codes: comma.join(spec.code_label(one) for one in str(codes).split("、") if one))
    if name in _NAMES:
        return cells.map(lambda code: spec.code_label(str(code)))
    if name in ("level", "by", "from_level"):
        return cells.map(lambda level: spec.level_label(str(level)))
    if name == "type":
        return cells.map(lambda kind: spec.type_label(str(kind)))
    if name == "kind" and not spec.rules.kinds.keys().isdisjoint(cells):
        return cells.map(lambda kind: spec.kind_label(str(kind)))
    if name == "status" and "kind" in source:
        pairs = zip(source["kind"], cells, strict=True)
        return pd.Series([spec.state_label(str(kind), str(state)) for kind, state in pairs], cells.index, dtype="str")
    if name in WORDED and {"measure", "obligation"} & set(source):
        return cells.map(lambda text: spec.intervention_word(name, str(text)))
    if name == "label" and "obligation" in source:  # an office's own words stay as they are
        return cells.map(lambda text: spec.intervention_word("measure", str(text)))
    if name in ("reason", "checks"):
        return cells.map(lambda reason: reason_words(str(reason), spec))
    if kind_of(name).form == "text" and not pd.api.types.is_numeric_dtype(cells):
        return cells.map(lambda word: "" if pd.isna(word) else value_word(name, str(word), language))
    return None


def _some(names: Sequence[str], language: str, most: int = 2) -> str:
    """Join names, the first few where they are many."""
    joined = (", " if language == "en" else "、").join(names[:most])
    more = len(names) - most
    return joined if more <= 0 else joined + (f" and {more} more" if language == "en" else f"等{len(names)}个")


def _plain(safe: Any, columns: Sequence[str] | None, sort: str | None = None) -> Shown:
    source = safe.table
    if sort is not None:
        if sort not in source.columns:
            raise unknown("列/column", sort, source.columns)
        source = source.sort_values(sort, kind="stable", na_position="last")
    names = default_columns(safe) if columns is None else list(columns)
    if "help" in source and "help" not in names:
        names.append("help")  # who is last is told with what is done to help, or not at all
    for name in names:
        if name not in source.columns:
            raise unknown("列/column", name, source.columns)
    if columns is not None and "reason" in names and not (source["reason"].fillna("") != "").any():
        names.remove("reason")
    source = source if sort is not None else _in_declared_order(source, safe.spec)
    return _written(safe, source, names, [_header(name, source, safe.spec) for name in names])


def _header(name: str, source: pd.DataFrame, spec: Specification) -> str:
    """Return the header of a column; categories of one group column are headed by its name, they are no units."""
    levels = set(source["level"].unique()) if name == "unit" and "level" in source else set()
    if len(levels) == 1 and (level := str(next(iter(levels)))) in spec.group_names:
        return spec.level_label(level)
    return header(name, spec.language, list(source.columns))


def _in_declared_order(source: pd.DataFrame, spec: Specification) -> pd.DataFrame:
    """Put categories of a group column in the order in which its scale declares them; all else stays where it is."""
    if not {"level", "unit"} <= set(source.columns):
        return source
    places = {
        (level, unit): place
        for level in set(source["level"].unique()) & set(spec.group_names)
        for place, unit in enumerate(spec.categories(str(level)))
    }
    if not places:
        return source
    pairs = keys_of(source, "level", "unit")
    wanted = list(range(len(pairs)))
    for level in {level for level, _ in places}:
        rows = [row for row, (own, unit) in enumerate(pairs) if own == level and (own, unit) in places]
        for row, moved in zip(rows, sorted(rows, key=lambda row: places[pairs[row]]), strict=True):
            wanted[row] = moved
    return source.iloc[wanted]


def _written(safe: Any, source: pd.DataFrame, names: Sequence[str], headers: Sequence[str]) -> Shown:
    language, beside = safe.spec.language, list(source.columns)
    n, base = np.full(len(source), np.nan), base_of(beside)
    if base in source:
        n = pd.to_numeric(source[base], errors="coerce").to_numpy(float)
    texts, values = [], []
    for name in names:
        words = cell_names(safe, source, name)
        if words is None:
            cells = source[name].tolist()
            column = written_cells(cells, name, language, n=n, beside=beside)
            flags = kind_of(name).form == "flag"
            known = [t if flags else None if pd.isna(v) else float(v) for v, t in zip(cells, column, strict=True)]
        else:
            column = [str(word) for word in words.tolist()]
            known = list(column)
        if name == "real" and "difference" in source:
            column = [t if pd.notna(d) else "" for t, d in zip(column, source["difference"], strict=True)]
            known = list(column)
        texts.append(column)
        values.append(known)
    forms = tuple(_form(name, beside) for name in names)
    rows = [list(row) for row in zip(*texts, strict=True)] if texts else []
    return Shown(
        tuple(names), tuple(headers), forms, rows, [list(row) for row in zip(*values, strict=True)] if values else []
    )


def _form(name: str, beside: Sequence[str]) -> str:
    form = kind_of(name, beside).form
    return "text" if form == "flag" else form


def _spread(safe: Any, names: list[str], across: str, value: str) -> Shown:
    source = safe.table
    for name in (*names, across, value):
        if name not in source.columns:
            raise unknown("列/column", name, source.columns)
    keys = list(dict.fromkeys(source[across]))
    kept = [*names, *(["level"] if "level" in source and "level" not in names else [])]
    rows = source[kept].drop_duplicates(names).reset_index(drop=True)
    first = _written(safe, rows, names, [header(name, safe.spec.language, list(source.columns)) for name in names])
    index = pd.MultiIndex.from_frame(rows[names]) if len(names) > 1 else pd.Index(rows[names[0]])
    headers, forms = list(first.headers), list(first.forms)
    texts, values = [list(row) for row in first.rows], [list(row) for row in first.values]
    beside = list(source.columns)
    for key in keys:
        part = source[source[across] == key].drop_duplicates(names).set_index(names)
        column = part[value].reindex(index)
        people = part[base_of(beside)].reindex(index) if base_of(beside) in part else pd.Series(np.nan, index=index)
        n = pd.to_numeric(people, errors="coerce").to_numpy(float)
        cells = written_cells(column.tolist(), value, safe.spec.language, n=n, beside=beside)
        label = safe.spec.code_label(str(key)) if across in _NAMES else value_word(across, str(key), safe.spec.language)
        headers.append(label)
        forms.append(_form(value, beside))
        for row, cell, known in zip(range(len(texts)), cells, column, strict=True):
            texts[row].append(cell)
            values[row].append(None if pd.isna(known) else float(known))
    return Shown((*names, *(value for _ in keys)), tuple(headers), tuple(forms), texts, values)
