"""A report as a Word file in the layout of official documents (GB/T 9704-2012)."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ..blocks import Block
from .document import Appearance, Document, side_by_side
from .docx_flow import figure_width, flowing, table_style
from .docx_page import STYLES, TEXT_WIDTH, prepare, sizes_in
from .docx_parts import (
    add_border,
    off_grid,
    paragraph,
    repeat_header,
    set_cell_widths,
    style_id,
    three_lines,
    write_text,
)
from .on_paper import on_paper
from .packages import legible, repacked
from .page_fit import half_points, opening_of, opening_scale
from .pictures import png_of


def to_docx(document: Document, appearance: Appearance | None = None) -> bytes:
    """Write a document with real headings, styles and tables, for Word and WPS.

    Parameters
    ----------
    appearance
        ``template``: a Word file whose page, styles, head and foot are kept; the report follows its text.
    """
    document, appearance = on_paper(document), appearance or Appearance()
    report = prepare(document, appearance)
    opening = len(opening_of(document)) if appearance.template is None else 0
    scale = opening_scale(document, _ending(document)) if opening else 1.0
    first = True
    for sheet in document.sheets:
        groups = side_by_side(sheet)
        if appearance.template is None:  # how much stands on a page of the office's own is not known
            groups = flowing(sheet, document.language, opening=opening if first else 0, scale=scale)
        for place, blocks in enumerate(groups):
            block = blocks[0]
            begins_page = not first and block.kind == "heading" and block.content["depth"] == 0
            if len(blocks) > 1:
                _add_pair(report, blocks)
            else:
                _WRITERS[block.kind](report, block, document.language, begins_page)
            if first and place < opening and scale < 1:
                _set_smaller(report.paragraphs[-1], scale, document.language)
        _keep_last_lines(report)
        first = False
    _add_ending(report, document)
    for block in document.imprint:
        _add_text(report, block, document.language, False)
    stream = io.BytesIO()
    report.save(stream)
    return repacked(stream.getvalue())


def _set_smaller(added: Any, scale: float, language: str) -> None:
    """Set a paragraph before the first section smaller, line and letters alike; small print stays as it is."""
    from docx.shared import Pt

    style = STYLES[added.style.name]
    if added.style.name == "Note":
        return
    size, line = sizes_in(style, language)
    if line:
        added.paragraph_format.line_spacing = Pt(round(line * scale, 1))
        off_grid(added)
    if style.before or style.after:
        spaces = added.paragraph_format
        spaces.space_before, spaces.space_after = Pt(style.before * scale), Pt(style.after * scale)
    for run in added.runs:
        run.font.size = Pt(half_points(size * scale))


def _keep_last_lines(report: Any) -> None:
    """Keep the last paragraphs of a sheet whole and together, so that no page has a single line of text."""
    for left, added in enumerate(reversed(report.paragraphs[-2:])):
        added.paragraph_format.keep_together = True
        added.paragraph_format.keep_with_next = left == 1 or None


def _add_heading(report: Any, block: Block, language: str, begins_page: bool) -> None:
    c = block.content
    added = paragraph(report, "Title" if c["depth"] == 0 else f"Heading {c['depth']}")
    added.paragraph_format.page_break_before = begins_page or None
    write_text(added, c["number"] + c["text"])


_STYLES = {
    "body": "Body Text", "attachment": "Body Text", "remark": "Body Text", "salutation": "Salutation", "signature": "Signature",
    "mark": "Document Mark", "letterhead": "Letterhead", "number": "Document Number", "copies": "Imprint", "imprint": "Imprint",
}  # fmt: skip


def _add_text(report: Any, block: Block, language: str, begins_page: bool) -> None:
    c = block.content
    added = paragraph(report, _STYLES[c["place"]])
    right = c.get("right", "")
    write_text(added, f"{c['text']}\t{right}" if right else c["text"])
    if c["place"] == "copies":
        add_border(added, "top")
    elif c["place"] == "imprint":
        add_border(added, "top", "bottom")


def _add_note(report: Any, block: Block, language: str, begins_page: bool) -> None:
    write_text(paragraph(report, "Note"), block.content["text"])


def _add_keyfigure(report: Any, block: Block, language: str, begins_page: bool) -> None:
    c = block.content
    added = paragraph(report, "Key Figure")
    write_text(added, c["label"] + ("：" if language == "zh" else ": "))
    added.add_run(c["value"]).bold = True
    detail = f"（{c['detail']}）" if language == "zh" else f" ({c['detail']})"
    write_text(added, detail if c["detail"] else "")


def _add_table(report: Any, block: Block, language: str, begins_page: bool) -> None:
    from docx.enum.text import WD_ALIGN_PARAGRAPH

    c = block.content
    if c["caption"]:
        added = paragraph(report, "Table Caption")
        write_text(added, c["number"] + c["caption"])
    columns = c["columns"]
    table = report.add_table(rows=1 + len(c["rows"]), cols=len(columns))
    three_lines(table, c["caption"])
    repeat_header(table)
    set_cell_widths(table, [column["width"] for column in columns], TEXT_WIDTH)
    # Looked up once a table: python-docx looks through every style of the file at each use.
    inner, head = (style_id(report, name) for name in (table_style(len(columns)), "Table Head"))
    labels = [[column["label"] for column in columns], *c["rows"]]
    grid = [list(row.cells) for row in table.rows] if len(labels) <= 1 else _cells(table, len(columns))
    for number, (cells, texts) in enumerate(zip(grid, labels, strict=True)):
        for cell, words, column in zip(cells, texts, columns, strict=True):
            inside = cell.paragraphs[0]
            inside._p.style = head if number == 0 else inner
            inside.alignment = None if column["kind"] == "text" else WD_ALIGN_PARAGRAPH.RIGHT
            write_text(inside, words)
    if c["note"]:
        write_text(paragraph(report, "Note"), c["note"])


def _cells(table: Any, columns: int) -> list[list[Any]]:
    """All cells by rows, read once: asking each row anew takes time that grows with the square of the rows."""
    flat = table._cells
    return [flat[start : start + columns] for start in range(0, len(flat), columns)]


def _add_figure(report: Any, block: Block, language: str, begins_page: bool) -> None:
    _write_figure(report, block, figure_width(block.content, TEXT_WIDTH / 25.4))


def _add_pair(report: Any, blocks: Sequence[Block]) -> None:
    """Put two figures side by side, in a table without rules."""
    table = report.add_table(rows=1, cols=len(blocks))
    set_cell_widths(table, [1.0] * len(blocks), TEXT_WIDTH)
    repeat_header(table)
    for cell, block in zip(table.rows[0].cells, blocks, strict=True):
        empty = cell.paragraphs[0]._p
        _write_figure(cell, block, figure_width(block.content, TEXT_WIDTH / 25.4 / len(blocks) - 0.25), report)
        empty.getparent().remove(empty)


def _write_figure(place: Any, block: Block, width: float, report: Any = None) -> None:
    """Write a figure with its caption and note into the report or a cell of it; the width is in inches."""
    from docx.shared import Inches, Mm

    c = block.content
    styles = (report or place).styles
    added = place.add_paragraph(style=styles["Figure"])
    picture = added.add_run().add_picture(io.BytesIO(png_of(c["svg"], c["width"], c["height"])), width=Inches(width))
    picture._inline.docPr.set("descr", legible(c["alt"]))
    picture._inline.docPr.set("title", legible(c["number"].strip("　. ") or c["caption"]))
    assert picture.width <= Mm(TEXT_WIDTH + 1)
    if c["caption"]:
        under = place.add_paragraph(style=styles["Caption"])
        under.paragraph_format.keep_with_next = bool(c.get("note")) or None
        write_text(under, c["number"] + c["caption"])
    if c.get("note"):
        write_text(place.add_paragraph(style=styles["Note"]), c["note"])


def _add_ending(report: Any, document: Document) -> None:
    """Say at the end what the numbers are for, their limits, and what they were made from."""
    for number, line in enumerate(_ending(document)):
        added = paragraph(report, "Note")
        write_text(added, line)
        if number == 0:
            add_border(added, "top")


def _ending(document: Document) -> list[str]:
    lines = [document.meta.get(name, "") for name in ("purpose", "correction", "limits", "footer")]
    return [line for line in lines if line]


_WRITERS: Mapping[str, Callable[[Any, Block, str, bool], None]] = {
    "heading": _add_heading, "text": _add_text, "note": _add_note, "keyfigure": _add_keyfigure, "table": _add_table,
    "figure": _add_figure, "recomputation": _add_note,
}  # fmt: skip
