"""How much smaller the text before the first section is set, so that it fits the pages it may take."""

from __future__ import annotations

from collections.abc import Sequence

from ..blocks import Block
from .document import Document
from .docx_page import LINE_PITCH, STYLES, TEXT_WIDTH, Style, sizes_in
from .sections import ems

STEPS = (1.0, 0.96, 0.92, 0.88, 0.84, 0.8, 0.76, 0.72, 0.68)
LEAST_TO_SAVE = 0.88  # step down to which a page is saved that would hold a few lines only
POINTS_PER_MM = 72 / 25.4
WIDTH, HEIGHT = TEXT_WIDTH * POINTS_PER_MM, 22 * LINE_PITCH / 20  # points: 156 millimetres, 22 lines
SQUEEZED = 0.25  # points that letters of the body stand closer (Style.size 16 to 28 in a line)
NARROWER = 0.88  # of the letters of a text in English, against the safe width that slides are fitted with
OPEN_LINES = 2  # lines that a page may leave open at its foot so that no paragraph is parted at its first or last line
#: Place of a paragraph → its style in Word.
STYLE_OF_PLACE = {
    "body": "Body Text", "attachment": "Body Text", "remark": "Body Text", "salutation": "Salutation", "signature": "Signature",
    "mark": "Document Mark", "letterhead": "Letterhead", "number": "Document Number",
}  # fmt: skip


def half_points(size: float) -> float:
    """Return the largest size of letters that a Word file can name, up to this one."""
    return int(2 * size) / 2


def opening_of(document: Document) -> list[Block]:
    """Return the blocks of the first sheet before its first section; none where nothing says how many pages they may take."""
    sheet = document.sheets[0]
    cut = next((i for i, b in enumerate(sheet) if b.kind == "heading" and b.content["depth"] > 0), len(sheet))
    return sheet[:cut] if pages_of(sheet) else []


def pages_of(sheet: Sequence[Block]) -> int:
    """Pages that the text before the first section may take: what its title says, one with a salutation, else 0 (any number)."""
    title = next((b for b in sheet if b.kind == "heading" and b.content["depth"] == 0), None)
    if title is not None and "pages" in title.content:
        return int(title.content["pages"])
    return int(any(b.kind == "text" and b.content["place"] == "salutation" for b in sheet))


def opening_scale(document: Document, ending: Sequence[str] = ()) -> float:
    """Return the largest step at which the opening fits its pages; 1 where none does.

    Parameters
    ----------
    ending
        Notes at the end of the report, which share the page where the report has no other text.

    Notes
    -----
    Heights are estimated from the width of the letters, and a line is left free: the file is laid out by the reader's program.
    """
    opening, language = opening_of(document), document.language
    pages = pages_of(document.sheets[0])
    if not pages:
        return 1.0
    alone = len(document.sheets) == 1 and len(opening) == len(document.sheets[0])
    notes = sum(height_of_text(text, STYLES["Note"], 1.0, language) for text in ending) if alone else 0.0
    heights = {step: sum(_height_of(block, step, language) for block in opening) + notes for step in STEPS}
    for allowed in range(1, pages + 1):
        for step in (one for one in STEPS if allowed == pages or one >= LEAST_TO_SAVE):
            line = sizes_in(STYLES["Normal"], language)[1] * step
            if heights[step] <= HEIGHT * allowed - line - (allowed - 1) * OPEN_LINES * line:
                return step
    return 1.0


def _height_of(block: Block, scale: float, language: str) -> float:
    c = block.content
    if block.kind == "heading":
        return height_of_text(c["text"], STYLES["Title"], scale, language)
    if block.kind == "text":
        return height_of_text(c["text"], STYLES[STYLE_OF_PLACE[c["place"]]], scale, language)
    if block.kind in ("note", "recomputation"):
        return height_of_text(c["text"], STYLES["Note"], 1.0, language)
    return HEIGHT  # tables and figures do not belong before the first section


def height_of_text(text: str, style: Style, scale: float, language: str, column: float = 1.0) -> float:
    """Estimate the height of a paragraph in points, in a column this much of the page wide."""
    size, line = sizes_in(style, language)
    letter = half_points(size * scale) - (SQUEEZED if language == "zh" and style.size == STYLES["Normal"].size else 0.0)
    indent = 2.0 if language == "zh" and style.first_line else 0.0
    narrow = 1.0 if language == "zh" else NARROWER
    lines = sum(max(1, -int(-(narrow * ems(part) + indent) * letter // (column * WIDTH))) for part in text.split("\n"))
    return lines * (line or 1.3 * size) * scale + (style.before + style.after) * scale
