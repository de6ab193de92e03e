"""A table of a report as a sheet of an Excel file: caption, source, frozen header, numbers, note, chart."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ...spec.columns import column as declared
from .. import theme
from ..block_sources import source_of
from ..blocks import Block
from ..wording import say
from .bars import Bars, bars_of
from .packages import legible
from .xlsx_parts import ReportBook, column_width, printed_number, set_page, write_across, write_string

HEADER_ROW = 3
LEAST_WIDTH = 72.0  # characters that captions and notes run across
WIDE = 92.0  # characters from which a page lies on its side


def fill_table_sheet(book: ReportBook, sheet: Any, block: Block, contents: str) -> None:
    """Fill a sheet with a table; ``contents`` is the name of the sheet to go back to."""
    c = block.content
    widths = _widths(c)
    bars, (last, width) = bars_of(c), _across(widths)
    for place, one in enumerate(widths):
        sheet.set_column(place, place, one)
    title = c["number"] + c["caption"] or sheet.get_name()
    write_across(sheet, 0, last, width / 1.35, title, book.format(bold=True, font_size=14, text_wrap=True), 22)
    line = say(book.language, "sheet_line", source=source_of(c, book.language), units=units_of(c, book.language))
    write_across(sheet, 1, last, width, line, book.format(font_color=theme.SMALL_PRINT, text_wrap=True))
    sheet.write_url(
        2, 0, f"internal:'{contents}'!A1", book.format(font_color=theme.ACCENT, underline=1), say(book.language, "sheet_back")
    )  # fmt: skip
    _write_rows(book, sheet, c)
    end = HEADER_ROW + 1 + len(c["rows"])
    if c["note"]:
        below = (last, width) if bars is None else (len(widths) - 1, sum(widths))  # beside a chart there is no room
        write_across(sheet, end + 1, *below, c["note"], book.format(font_color=theme.SMALL_PRINT, text_wrap=True))
    sheet.freeze_panes(HEADER_ROW + 1, 1 if len(widths) > 3 else 0)
    if bars is not None:
        _add_chart(book, sheet, title, bars, len(widths) + 1)
    set_page(book, sheet, landscape=width > WIDE or bars is not None, header_row=HEADER_ROW)


def units_of(content: Mapping[str, Any], language: str) -> str:
    """Say what the columns are measured in."""
    units: list[str] = []
    for one in content["columns"]:
        known = declared(one["name"])
        kind = known.kind.name if known is not None else ""
        key = {"people": "unit_people", "score": "unit_points", "percent": "unit_share", "points": "unit_share_points"}
        told = key.get(kind) or key.get(one["kind"]) or ("unit_points" if kind == "difference" else "")
        units += [say(language, told)] if told else []
    return ("、" if language == "zh" else ", ").join(dict.fromkeys(units)) or "—"


def people_of(content: Mapping[str, Any]) -> str:
    """Return the least and most people behind a row, as printed; a dash where the table counts none."""
    names = [column["name"] for column in content["columns"]]
    if "n" not in names:
        return "—"
    counts = [found[0] for row in content["rows"] if (found := printed_number(row[names.index("n")])) is not None]
    return f"{min(counts):.0f}—{max(counts):.0f}" if counts else "—"


def _widths(c: Mapping[str, Any]) -> list[float]:
    return [
        column_width([legible(column["label"]), *(legible(row[place]) for row in c["rows"])])
        for place, column in enumerate(c["columns"])
    ]


def _across(widths: Sequence[float]) -> tuple[int, float]:
    """Return the last column that captions run across, and how wide that is: narrow tables lend room to their right."""
    last, width = len(widths) - 1, sum(widths)
    while width < LEAST_WIDTH:
        last, width = last + 1, width + 8.43
    return last, width


def _write_rows(book: ReportBook, sheet: Any, c: Mapping[str, Any]) -> None:
    head = {"bold": True, "top": 2, "bottom": 1, "text_wrap": True, "bg_color": "#EEF2F6"}
    for place, column in enumerate(c["columns"]):
        align = "left" if column["kind"] == "text" else "right"
        write_string(sheet, HEADER_ROW, place, column["label"], book.format(**head, align=align))
    for number, row in enumerate(c["rows"], start=HEADER_ROW + 1):
        rule = {"bottom": 2 if number == HEADER_ROW + len(c["rows"]) else 4}
        for place, (column, words) in enumerate(zip(c["columns"], row, strict=True)):
            told = printed_number(words) if column["kind"] != "text" else None
            if told is not None:
                sheet.write_number(number, place, told[0], book.format(**rule, num_format=told[1], align="right"))
            elif column["kind"] != "text":
                write_string(sheet, number, place, words, book.format(**rule, align="right"))
            else:
                write_string(sheet, number, place, words, book.format(**rule, align="left", text_wrap=True))


def _add_chart(book: ReportBook, sheet: Any, title: str, bars: Bars, column: int) -> None:
    """Draw the numbers of the table beside it: the chart reads its cells, its title too (words may look like a reference)."""
    name, first, last = sheet.get_name(), HEADER_ROW + 1, HEADER_ROW + len(bars.labels)
    font = {"name": "微软雅黑" if book.language == "zh" else "Arial", "size": 9}
    chart = book.file.add_chart({"type": "bar"})
    chart.add_series(
        {
            "name": [name, HEADER_ROW, bars.column],
            "categories": [name, first, 0, last, 0],
            "values": [name, first, bars.column, last, bars.column],
            "fill": {"color": theme.ACCENT},
            "gap": 60,
            "data_labels": {"value": True, "font": font, "num_format": bars.form},
        }
    )
    chart.set_title({"name": [name, 0, 0], "name_font": {**font, "size": 11, "bold": True}, "overlay": False})
    chart.set_legend({"none": True})
    form = "0%" if bars.highest <= 1 else "0"
    grid = {"visible": True, "line": {"color": theme.GRID, "width": 0.5}}
    chart.set_x_axis({"min": 0, "max": bars.highest, "num_format": form, "num_font": font, "major_gridlines": grid})
    chart.set_y_axis({"reverse": True, "num_font": font, "line": {"color": theme.MUTED}})
    chart.set_size({"width": 560, "height": max(240, 90 + 24 * len(bars.labels))})
    sheet.insert_chart(
        HEADER_ROW, column, chart, {"description": legible(f"{title}: {bars.name}")[:250], "object_position": 3}
    )
