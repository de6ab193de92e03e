"""A report as an Excel file: contents, notes, text, and each table on a sheet of its own."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from .. import theme
from ..block_sources import source_of
from ..blocks import Block
from ..wording import say
from .document import Appearance, Document
from .packages import legible, repacked
from .pictures import PIXELS_PER_INCH, png_of
from .sections import Section, sections_of
from .xlsx_parts import LITERAL_STRINGS, PRINT_SCALE, ReportBook, set_page, write_across, write_string
from .xlsx_recomputation import fill_recomputation_sheet
from .xlsx_tables import fill_table_sheet, people_of, units_of

TEXT_WIDTH = 78.0  # characters of a sheet of text
POINTS_PER_INCH, ROW_POINTS, SHEET_PIXELS = 72, 15, 96
PAGE_POINTS = 700 * 100 / PRINT_SCALE  # of an A4 page within its margins, a little left free


@dataclass(frozen=True)
class _Listed:
    """A table, the section it stands in, and its sheet."""

    block: Block
    section: str
    sheet: Any

    @property
    def title(self) -> str:
        """Number and caption; the name of the sheet where it has neither."""
        return str(self.block.content["number"] + self.block.content["caption"]) or str(self.sheet.get_name())


def to_xlsx(document: Document, appearance: Appearance | None = None) -> bytes:
    """Write the tables of a document as sheets: numbers as numbers, nothing hidden, no formula made of data."""
    import xlsxwriter

    stream, language = io.BytesIO(), document.language
    file = xlsxwriter.Workbook(stream, {"in_memory": True, **LITERAL_STRINGS})
    book, sections = ReportBook(file, language, legible(document.meta.get("draft", ""))), sections_of(document)
    file.set_properties(
        {"title": legible(document.meta.get("title", "")), "author": legible(document.meta.get("office", ""))}
    )
    contents, notes, text = (book.sheet(say(language, f"sheet_{name}")) for name in ("contents", "notes", "text"))
    tables = _table_sheets(book, sections)
    formulas = [b.content for section in sections for b in section.of_kind("recomputation") if "nodes" in b.content]
    computed = [book.sheet(say(language, "sheet_recompute")) for _ in formulas]
    figures = [block for section in sections if not section.of_kind("table") for block in section.of_kind("figure")]
    pictures = book.sheet(say(language, "sheet_figures")) if figures else None
    others = [sheet for sheet in (notes, text, *computed, pictures) if sheet is not None]
    _fill_contents(book, contents, document, tables, others)
    _fill_notes(book, notes, document, sections)
    _fill_text(book, text, document)
    for table in tables:
        fill_table_sheet(book, table.sheet, table.block, contents.get_name())
    for sheet, content in zip(computed, formulas, strict=True):
        fill_recomputation_sheet(book, sheet, content, contents.get_name())
    if pictures is not None:
        _fill_figures(book, pictures, figures)
    file.close()
    return repacked(stream.getvalue())


def _table_sheets(book: ReportBook, sections: Sequence[Section]) -> list[_Listed]:
    """Add a sheet for each table, named by its number and caption."""
    tables: list[_Listed] = []
    for section in sections:
        for block in section.of_kind("table"):
            c = block.content
            wanted = f"{c['number'].strip(' 　.')} {c['caption']}".strip()
            sheet = book.sheet(wanted or f"{say(book.language, 'sheet_table')} {len(tables) + 1}")
            tables.append(_Listed(block, section.title.replace("\n", ""), sheet))
    return tables


def _fill_contents(
    book: ReportBook, sheet: Any, document: Document, tables: Sequence[_Listed], others: Sequence[Any]
) -> None:
    language, meta = book.language, document.meta
    heads = say(language, "sheet_head").split("|")
    widths = (7.0, 44.0, 24.0, 30.0, 22.0, 20.0, 9.0)
    for place, width in enumerate(widths):
        sheet.set_column(place, place, width)
    whole, last = sum(widths), len(widths) - 1
    if book.draft:
        write_across(sheet, 0, last, whole, book.draft, book.format(bold=True, font_color="#C00000"))
    write_across(
        sheet, 1, last, whole / 1.6, meta.get("title", ""), book.format(bold=True, font_size=16, text_wrap=True), 26
    )
    line = "　".join(part for part in (meta.get("office", ""), meta.get("period", "")) if part)
    write_across(sheet, 2, last, whole, line, book.format(font_color=theme.SMALL_PRINT))
    for place, head in enumerate(heads):
        style = book.format(bold=True, top=2, bottom=1, text_wrap=True, bg_color="#EEF2F6")
        write_string(sheet, 4, place, head, style)
    plain, link = book.format(bottom=4, text_wrap=True), _link(book)
    for number, table in enumerate(tables, start=1):
        row, c = 4 + number, table.block.content
        sheet.write_number(row, 0, number, book.format(bottom=4, align="left"))
        sheet.write_url(row, 1, _to(table.sheet), link, _link_text(table.title))
        told = (table.section, source_of(c, language), units_of(c, language), people_of(c))
        for place, words in enumerate(told, start=2):
            write_string(sheet, row, place, words, plain)
        sheet.write_number(row, 6, len(c["rows"]), plain)
    row = 6 + len(tables)
    for other in others:
        sheet.write_url(row, 1, _to(other), _link(book, bottom=0), other.get_name())
        row += 1
    sheet.freeze_panes(5, 0)
    set_page(book, sheet, landscape=True, header_row=4)


def _link(book: ReportBook, bottom: int = 4) -> Any:
    return book.format(bottom=bottom, font_color=theme.ACCENT, underline=1, text_wrap=True)


def _to(sheet: Any) -> str:
    return f"internal:'{sheet.get_name()}'!A1"


def _link_text(title: str) -> str:
    return legible(title)[:250] or "—"


def _fill_notes(book: ReportBook, sheet: Any, document: Document, sections: Sequence[Section]) -> None:
    """Write purpose, limits, what signs and hidden rows mean, methods, what the report was made from."""
    language, meta = book.language, document.meta
    legend = [say(language, f"sheet_legend_{name}") for name in ("dash", "hidden", "bound", "numbers")]
    methods = [words for section in sections if section.is_method(language) for words in section.paragraphs]
    parts = {
        "sheet_purpose": [meta.get(name, "") for name in ("purpose", "limits", "correction")],
        "sheet_legend_head": legend,
        "sheet_method": methods,
        "sheet_origin": [meta.get("footer", "")],
    }
    lines = [(book.draft, "draft")] if book.draft else []
    for key, paragraphs in parts.items():
        told = [words for words in paragraphs if words]
        lines += [(say(language, key), "heading"), *((words, "body") for words in told)] if told else []
    _fill_lines(book, sheet, lines)


def _fill_text(book: ReportBook, sheet: Any, document: Document) -> None:
    """Write the running text in reading order; tables and figures are named where they stand."""
    lines = [(book.draft, "draft")] if book.draft else []
    colon = "：" if book.language == "zh" else ": "
    for block in document.blocks:
        c = block.content
        if block.kind == "heading":
            lines.append(((c["number"] + c["text"]).replace("\n", ""), "title" if c["depth"] == 0 else "heading"))
        elif block.kind == "keyfigure":
            detail = f"（{c['detail']}）" if book.language == "zh" else f" ({c['detail']})"
            lines.append((c["label"] + colon + c["value"] + (detail if c["detail"] else ""), "body"))
        elif block.kind in ("table", "figure"):
            lines.append((f"〔{c['number']}{c['caption']}〕", "note")) if c["caption"] else None
        elif block.kind == "text":
            lines.append(("　".join(part for part in (c["text"], c.get("right", "")) if part), "body"))
        else:
            lines.append((c["text"], "note"))
    _fill_lines(book, sheet, [line for line in lines if line[0].strip()])


def _fill_lines(book: ReportBook, sheet: Any, lines: Sequence[tuple[str, str]]) -> None:
    looks: dict[str, dict[str, Any]] = {
        "title": {"bold": True, "font_size": 15}, "heading": {"bold": True, "font_size": 12}, "body": {},
        "note": {"font_color": theme.SMALL_PRINT}, "draft": {"bold": True, "font_color": "#C00000"},
    }  # fmt: skip
    sheet.set_column(0, 0, TEXT_WIDTH)
    for row, (words, look) in enumerate(lines):
        size = looks[look].get("font_size", 10.5)
        write_across(
            sheet, row, 0, TEXT_WIDTH * 10.5 / size, words, book.format(text_wrap=True, **looks[look]), size * 1.6
        )
    set_page(book, sheet, landscape=False)


def _fill_figures(book: ReportBook, sheet: Any, figures: Sequence[Block]) -> None:
    """Put the figures of sections without a table below each other, as pictures that say what they show; none over two pages."""
    sheet.set_column(0, 0, TEXT_WIDTH)
    row, filled, breaks = 0, 0.0, list[int]()
    for block in figures:
        c, start = block.content, row
        title = book.format(bold=True, text_wrap=True)
        taken = write_across(sheet, row, 0, TEXT_WIDTH, c["number"] + c["caption"], title)
        picture = io.BytesIO(png_of(c["svg"], c["width"], c["height"]))
        scale = SHEET_PIXELS / PIXELS_PER_INCH  # a picture without a resolution counts as one of the screen's
        options = {"image_data": picture, "description": legible(c["alt"])[:250], "object_position": 3}
        options |= {"x_scale": scale, "y_scale": scale}
        sheet.insert_image(row + 1, 0, "figure.png", options)
        rows = 2 + int(c["height"] * POINTS_PER_INCH / ROW_POINTS)
        row, taken = row + rows, taken + (rows - 1) * ROW_POINTS
        if c.get("note"):
            small = book.format(font_color=theme.SMALL_PRINT, text_wrap=True)
            taken += write_across(sheet, row, 0, TEXT_WIDTH, c["note"], small)
        row, taken = row + 2, taken + 2 * ROW_POINTS
        if start and filled + taken > PAGE_POINTS:
            breaks, filled = [*breaks, start], 0.0
        filled += taken
    set_page(book, sheet, landscape=False, breaks=breaks)
