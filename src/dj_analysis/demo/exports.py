"""A wave's answers as a 问卷星 export."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl

from ..measure.survey import Survey
from ..spec.codebook import Codebook, Scale
from ..spec.periods import parse
from ..spec.tree import Node
from ..spec.units import Units
from . import names
from .answers import BLANK, NOT_APPLICABLE
from .layout import is_full
from .questions import CUTS11

STREAM = 2  # of random numbers; answers take the first, branch indicators the third


@dataclass(frozen=True)
class _Style:
    """Export style of one wave: file type, option text or number, questions in a grid, with a total, with consent."""

    suffix: str = ".csv"
    encoding: str = "utf-8-sig"
    text: bool = True
    grid: bool = False
    total: bool = False
    consent: bool = False


def write_wave(folder: Path, survey: Survey, seed: int, back: int) -> None:
    """Write one wave as an export file; the style depends on how many waves ago it was.

    Parameters
    ----------
    back
        How many waves ago it was; 0 is the latest.
    """
    style = _style(back)
    table = _export(survey, seed, style)
    path = folder / f"{survey.period}{style.suffix}"
    if style.suffix == ".xlsx":
        _write_excel(path, table)
    else:
        buffer = io.BytesIO()
        table.write_csv(buffer, line_terminator="\r\n")
        path.write_bytes(buffer.getvalue().decode("utf-8").encode(style.encoding))


def _style(back: int) -> _Style:
    """Return a wave's export style: the latest is Excel with option texts, the one before GB 18030 with numbers."""
    recent = (
        _Style(suffix=".xlsx", consent=True),
        _Style(encoding="gb18030", text=False),
        _Style(grid=True),
        _Style(text=False, total=True),
    )
    return recent[back] if back < len(recent) else _Style(text=back % 2 == 0)


def _export(survey: Survey, seed: int, style: _Style) -> pl.DataFrame:
    """Convert a wave's answers to text cells, in order of submission."""
    rng = np.random.default_rng([seed, parse(survey.period).index, STREAM])
    frame = survey.frame[pl.Series(rng.permutation(len(survey.frame)))]
    units, codebook = survey.spec.units.at(survey.period), survey.spec.codebook.at(survey.period)
    columns = _meta(frame, units, survey.period, rng)
    for code, question in (("unit", names.UNIT_QUESTION), ("line", names.LINE_QUESTION)):
        columns[question] = _units_as_written(frame[code], units, rng)
    columns |= _questions(frame, codebook, is_full(survey.period), style, rng)
    if style.total:
        asked = [leaf.code for leaf in codebook.tree.leaves if leaf.code in frame.columns]
        columns["总分"] = frame.select(pl.sum_horizontal(asked).cast(pl.String)).to_series()
    table = pl.DataFrame(columns)
    return _with_refusals(table, rng) if style.consent else table


def _with_refusals(table: pl.DataFrame, rng: np.random.Generator) -> pl.DataFrame:
    """Add a consent question before the first question; one respondent in fifty refuses and skips the rest."""
    first = table.columns.index(names.UNIT_QUESTION)
    agreed = table.insert_column(first, pl.lit(names.AGREED).alias(names.CONSENT_QUESTION))
    refused = agreed[np.sort(rng.integers(0, len(agreed), max(2, len(agreed) // 50)))]
    asked = [pl.lit(names.SKIPPED).alias(name) for name in agreed.columns[first + 1 :]]
    refused = refused.with_columns(pl.lit(names.REFUSED).alias(names.CONSENT_QUESTION), *asked)
    # In the order they came in; the running number counts refusals as well.
    joined = pl.concat([agreed, refused]).sort(pl.col("序号").cast(pl.Int64), maintain_order=True)
    return joined.with_columns(pl.Series("序号", np.arange(1, len(joined) + 1)).cast(pl.String))


def fieldwork(period: str) -> tuple[date, date]:
    """Return the first and last day on which a wave's answers came in."""
    first = parse(period).start + timedelta(40)
    return first, first + timedelta(13)


def _meta(frame: pl.DataFrame, units: Units, period: str, rng: np.random.Generator) -> dict[str, pl.Series]:
    """Return the six leading columns of an export."""
    n = len(frame)
    first, last = fieldwork(period)
    opened = np.datetime64(first, "s")
    after = np.sort(rng.integers(0, (last - first).days + 1, n) * 86_400 + rng.integers(7 * 3600, 22 * 3600, n))
    split = rng.random(n) < 0.5
    source = rng.integers(0, len(names.SOURCES), n)
    durations = [_duration(int(s), m) for s, m in zip(frame["seconds"], split, strict=True)]
    return {
        "序号": pl.Series(np.arange(1, n + 1)).cast(pl.String),
        "提交答卷时间": pl.Series((opened + after).astype("datetime64[us]")).dt.to_string("%Y/%-m/%-d %H:%M:%S"),
        "所用时间": pl.Series(durations, dtype=pl.String),
        "来源": pl.Series([kind for kind, _ in names.SOURCES]).gather(source),
        "来源详情": pl.Series([detail for _, detail in names.SOURCES]).gather(source),
        "来自IP": _addresses(frame["unit"], units),
    }


def _duration(seconds: int, split: bool) -> str:
    return f"{seconds // 60}分{seconds % 60}秒" if split and seconds >= 60 else f"{seconds}秒"


def _addresses(codes: pl.Series, units: Units) -> pl.Series:
    """Return masked network addresses with invented place names."""
    cities = {unit.unit: place for unit, (place, _) in zip(units.at_level("city"), names.PLACES, strict=False)}
    place = {unit.unit: cities.get(unit.parent, names.COMPANY[0][:2]) for unit in units.at_level("branch")}
    return pl.Series([f"x.x.x.x({place[code]})" for code in codes], dtype=pl.String)


def _units_as_written(codes: pl.Series, units: Units, rng: np.random.Generator) -> pl.Series:
    """Return units as respondents write them: mostly the full name, some a short name."""
    short = rng.random(len(codes)) < 0.2
    spellings = {unit.unit: (unit.name_zh, unit.aliases.split("|")[0]) for unit in units.rows}
    return pl.Series([spellings[code][int(alias)] for code, alias in zip(codes, short, strict=True)], dtype=pl.String)


def _questions(
    frame: pl.DataFrame, codebook: Codebook, full: bool, style: _Style, rng: np.random.Generator
) -> dict[str, pl.Series]:
    """Return the numbered columns: groups, items, the check, free texts; the rows of a grid share its number."""
    columns, number, before = {}, 2, ""
    for node in (*codebook.groups, *codebook.tree.leaves, *(n for n in codebook.others if n.role in ("check", "text"))):
        if node.code in frame.columns:
            cells = _ticked(frame[node.code], codebook.scales.get(node.scale), style.text, rng)
        elif node.role == "text" and full:
            cells = _comments(len(frame), names.COMMENTS[node.code], rng)
        else:
            continue
        grid = names.GRID if style.grid and node.role == "item" and node.scale else ""
        number += not (grid and grid == before)
        columns[f"{number}、{grid}{node.text_zh}"] = cells
        before = grid
    for question in codebook.choices.inner:
        options = [node for node in codebook.choices.children(question.code) if node.code in frame.columns]
        number += bool(options)
        columns |= _options(frame, f"{number}、{question.text_zh}", options, text=style.text)
    return columns


def _options(frame: pl.DataFrame, question: str, options: Sequence[Node], *, text: bool) -> dict[str, pl.Series]:
    """Return a multiple choice or ranking: one column an option, or with option texts all that was chosen in one cell."""
    if text and options and options[0].maximum == 1:
        chosen = [pl.when(pl.col(one.code) == 1).then(pl.lit(one.label_zh)) for one in options]
        joined = frame.select(pl.concat_str(chosen, separator="┋", ignore_nulls=True).replace("", "(空)"))
        return {f"{question}（可多选）": joined.to_series()}
    skipped = "(空)" if text else "-3"
    return {f"{question}({one.label_zh})": frame[one.code].cast(pl.String).fill_null(skipped) for one in options}


def _ticked(values: pl.Series, scale: Scale | None, text: bool, rng: np.random.Generator) -> pl.Series:
    """Return answers as option texts or option numbers, with the marks of missing answers."""
    options = scale.options if scale is not None else ()
    if values.dtype == pl.String:
        return values if text else values.replace({option.label_zh: option.code for option in options})
    cell_by_value = {option.value: option.label_zh if text else option.code for option in options}
    lookup = [cell_by_value.get(value, str(value)) for value in range(len(CUTS11) + 1)]
    way_out = [option.label_zh if text else option.code for option in options if option.value != option.value]
    blanks = ["(空)", "", "(空)"] if text else ["-2", "-3", ""]
    mark = len(lookup) + _left_out(len(values), len(way_out), len(blanks), rng)
    ticked = values.fill_null(-1).to_numpy()
    return pl.Series([*lookup, *way_out, *blanks]).gather(np.where(ticked < 0, mark, ticked))


def _left_out(n: int, ways_out: int, blanks: int, rng: np.random.Generator) -> np.ndarray:
    """Draw the marks of missing answers: the not-applicable option if the scale has one, or a kind of blank."""
    out = NOT_APPLICABLE / (BLANK + NOT_APPLICABLE) * ways_out
    return rng.choice(ways_out + blanks, n, p=[out] * ways_out + [(1 - out) / blanks] * blanks)


def _comments(n: int, phrases: Sequence[str], rng: np.random.Generator) -> pl.Series:
    wrote = rng.random(n) < 0.25
    return pl.Series(["(空)", *phrases]).gather(np.where(wrote, 1 + rng.integers(0, len(phrases), n), 0))


def _write_excel(path: Path, table: pl.DataFrame) -> None:
    import xlsxwriter

    stream = io.BytesIO()
    with xlsxwriter.Workbook(stream, {"constant_memory": True}) as book:
        book.set_properties({"created": datetime(2000, 1, 1)})  # else the file would tell the hour it was made
        sheet = book.add_worksheet("Sheet1")
        for row, cells in enumerate([tuple(table.columns), *table.rows()]):
            for column, cell in enumerate(cells):
                if cell.isdecimal():
                    sheet.write_number(row, column, int(cell))
                elif cell:
                    sheet.write_string(row, column, cell)
    path.write_bytes(stream.getvalue())
