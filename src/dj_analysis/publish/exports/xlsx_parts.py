"""Parts of an Excel file: formats, safe names of sheets, printed text as numbers, text across columns."""

from __future__ import annotations

import io
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from .packages import legible
from .sections import ems

#: Text stays text, whatever it begins with: nothing in the data is a formula, an address or a number by chance.
LITERAL_STRINGS = {"strings_to_formulas": False, "strings_to_urls": False, "strings_to_numbers": False}
CHINESE, ENGLISH = "微软雅黑", "Arial"
SIZE, LINE = 10.5, 16.5  # points
PRINT_SCALE = 80  # %
LONGEST_NAME = 31
LONGEST_CELL = 32_000  # characters; Excel holds 32 767
_FORBIDDEN = re.compile(r"[\[\]:*?/\\'\x00-\x1f]")
_NUMBER = re.compile(r"^([+-]?)\d+(?:\.(\d+))?(%?)$")


@dataclass
class ReportBook:
    """A workbook being written: its formats are made once each, its sheets have names of their own.

    Attributes
    ----------
    file
        The workbook of XlsxWriter.
    language
        Of the report.
    draft
        The mark of a draft, or "".
    """

    file: Any
    language: str
    draft: str = ""
    _names: set[str] = field(default_factory=lambda: {"history"})  # a name that Excel keeps for itself
    _formats: dict[tuple[tuple[str, Any], ...], Any] = field(default_factory=dict)

    def format(self, **properties: Any) -> Any:
        """Return the format with these properties on top of the book's font."""
        font = {"font_name": CHINESE if self.language == "zh" else ENGLISH, "font_size": SIZE, "valign": "top"}
        key = tuple(sorted((font | properties).items()))
        if key not in self._formats:
            self._formats[key] = self.file.add_format(dict(key))
        return self._formats[key]

    def sheet(self, wanted: str) -> Any:
        """Add a sheet under a name that Excel takes and no other sheet has."""
        return self.file.add_worksheet(self.safe_name(wanted))

    def safe_name(self, wanted: str) -> str:
        """Return a free name of a sheet: at most 31 characters, without ``[]:*?/\\``, alike in no two cases."""
        plain = " ".join(_FORBIDDEN.sub(" ", legible(wanted)).split()) or "—"
        for number in range(1, 10_000):
            ending = "" if number == 1 else f" ({number})"
            name = _cut(plain, LONGEST_NAME - len(ending)) + ending
            if name.casefold() not in self._names:
                self._names.add(name.casefold())
                return name
        raise AssertionError("more sheets than names")


def _cut(text: str, most: int) -> str:
    """Cut a text to a length as Excel counts it: rare characters count double."""
    while len(text.encode("utf-16-le")) // 2 > most:
        text = text[:-1]
    return text.strip()


def printed_number(text: str) -> tuple[float, str] | None:
    """Return the number that a printed cell tells, and the format that shows it as printed; None where it is text.

    The printed text decides the places, so that a cell never holds more than the report prints.

    Examples
    --------
    >>> printed_number("57.1%"), printed_number("+0.3"), printed_number("≤10%")
    ((0.571, '0.0%'), (0.3, '+0.0;-0.0;0.0'), None)
    """
    found = _NUMBER.match(text)
    if found is None:
        return None
    places = len(found[2] or "")
    form = "0" + ("." + "0" * places if places else "") + found[3]
    value = float(text.rstrip("%"))
    value = round(value / 100, places + 2) if found[3] else value
    return value + 0.0, f"+{form};-{form};{form}" if found[1] == "+" else form


def write_string(sheet: Any, row: int, column: int, words: str, form: Any) -> None:
    """Write words as they are into a cell."""
    plain = legible(words)[:LONGEST_CELL]
    if plain:
        sheet.write_string(row, column, plain, form)
    else:
        sheet.write_blank(row, column, None, form)


def write_across(sheet: Any, row: int, last: int, width: float, words: str, form: Any, line: float = LINE) -> float:
    """Write a paragraph across the columns 0 to ``last``, in a row as high as it needs (Excel does not fit merged cells).

    Returns
    -------
    float
        How high the row is, in points.
    """
    plain = legible(words)[:LONGEST_CELL]
    lines = sum(max(1, -int(-2 * ems(part) * 1.08 // width)) for part in plain.split("\n"))
    height = min(line * lines + 3, 400)
    sheet.set_row(row, height)
    if last:
        sheet.merge_range(row, 0, row, last, "", form)
    write_string(sheet, row, 0, plain, form)
    return height


def column_width(cells: Sequence[str], least: float = 8, most: float = 46) -> float:
    """Return a width in characters for these cells; a Chinese character counts double."""
    longest = max((2 * ems(part) for cell in cells for part in cell.split("\n")), default=0.0)
    return min(max(longest + 2.5, least), most)


def set_page(
    book: ReportBook, sheet: Any, *, landscape: bool, header_row: int | None = None, pages_wide: int = 1,
    breaks: Sequence[int] | None = None,
) -> None:  # fmt: skip
    """Set up printing: A4, one page wide unless more, the header row on every page, page numbers, the mark of a draft.

    Rows in ``breaks`` begin a page; Excel heeds them only where it does not fit pages by itself, so the sheet is then printed
    at ``PRINT_SCALE``, at which a figure as wide as a page of text is one page wide.
    """
    from ..wording import say

    sheet.set_paper(9)
    if landscape:
        sheet.set_landscape()
    if breaks is None:
        sheet.fit_to_pages(pages_wide, 0)
    else:
        sheet.set_print_scale(PRINT_SCALE)
        sheet.set_h_pagebreaks(list(breaks))
    if pages_wide > 1:
        sheet.repeat_columns(0)
    sheet.set_margins(left=0.6, right=0.6, top=0.8, bottom=0.7)
    if header_row is not None:
        sheet.repeat_rows(header_row)
    if book.draft:
        sheet.set_header("&C&14" + book.draft.replace("&", "&&"))
    sheet.set_footer("&C&9" + say(book.language, "sheet_page"))
    sheet.hide_gridlines(2)


def chart_workbook(labels: Sequence[str], name: str, values: Sequence[float | None], form: str) -> bytes:
    """Return the workbook behind a chart on a slide: labels in the first column, numbers in the second."""
    import xlsxwriter

    stream = io.BytesIO()
    with xlsxwriter.Workbook(stream, {"in_memory": True, **LITERAL_STRINGS}) as file:
        sheet, number = file.add_worksheet("Sheet1"), file.add_format({"num_format": form})
        sheet.write_string(0, 1, legible(name))
        for row, (label, value) in enumerate(zip(labels, values, strict=True), start=1):
            sheet.write_string(row, 0, legible(label))
            if value is not None:
                sheet.write_number(row, 1, value, number)
    return stream.getvalue()
