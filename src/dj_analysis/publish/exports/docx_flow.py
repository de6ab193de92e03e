"""Where figures stand in a Word file: one that does not fit the rest of a page waits, and the text after it fills the page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ..blocks import Block
from .document import side_by_side
from .docx_page import STYLES
from .page_fit import HEIGHT, STYLE_OF_PLACE, WIDTH, height_of_text
from .sections import ems

HIGHEST_FIGURE = 7.8  # inches: the text area less caption and note
NARROW_TABLE, WIDE_TABLE = 6, 8  # columns up to which letters keep their size, and up to which they are one size less
SURE = HEIGHT - 29  # points of a page that an estimate may count on: it is wrong by a line now and then
TALL, LEFT_OPEN = (
    0.75 * HEIGHT,
    0.15 * HEIGHT,
)  # what may stay empty at the foot of a page: less than three lines and a heading
CELL_MARGIN = 2 * 3.0  # points
KEPT_LINES = 2 * 28.95  # points: what has to stand below a heading on its page


def flowing(sheet: Sequence[Block], language: str, *, opening: int = 0, scale: float = 1.0) -> list[list[Block]]:
    """Return the blocks of a sheet as they are laid out, two narrow figures together; figures wait for room.

    Parameters
    ----------
    opening, scale
        So many blocks at its beginning are set smaller by this scale.

    Notes
    -----
    Figures keep their order and never leave their sheet. Heights are estimated, as the file is laid out by the reader's
    program: where that breaks a page elsewhere, a figure stands a paragraph too early or too late.
    """
    result, waiting, y = list[list[Block]](), list[list[Block]](), 0.0
    for place, group in enumerate(side_by_side(sheet)):
        height, heading = _height(group, language, scale if place < opening else 1.0), group[0].kind == "heading"
        if group[0].kind == "figure" and (waiting or (y + height > SURE and HEIGHT - y > LEFT_OPEN)):
            waiting.append(group)
            continue
        if heading and y + height + KEPT_LINES > HEIGHT:  # it goes to the next page, what waits before it
            y = _placed(waiting, result, 0.0, language)
        result.append(group)
        y = _below(y, height, whole=heading or group[0].kind == "figure")
        if not heading:
            y = _placed(waiting, result, y, language)
    return [*result, *waiting]


def table_style(columns: int) -> str:
    """Return the style of the cells of a table with so many columns."""
    return (
        "Table Text" if columns <= NARROW_TABLE else "Table Text Small" if columns <= WIDE_TABLE else "Table Text Tiny"
    )


def figure_width(content: Mapping[str, Any], most: float) -> float:
    """Return how wide a figure is drawn (inches): at most so wide, and no higher than a page allows."""
    width = min(float(content["width"]), most)
    return min(width, HIGHEST_FIGURE * float(content["width"]) / float(content["height"]))


def _placed(waiting: list[list[Block]], result: list[list[Block]], y: float, language: str) -> float:
    """Place what waits and fits now; return how far the page is filled then."""
    while waiting:
        height = _height(waiting[0], language, 1.0)
        alone = height > TALL and HEIGHT - y <= LEFT_OPEN  # it would find no page with so much room
        if y + height > SURE and not alone:
            break
        result.append(waiting.pop(0))
        y = _below(y, height, whole=True)
    return y


def _below(y: float, height: float, *, whole: bool) -> float:
    """Return how far the page is filled below a block; one that is not kept whole runs on over the end of the page."""
    if y + height <= HEIGHT:
        return y + height
    return height if whole else (y + height) % HEIGHT


def _height(group: Sequence[Block], language: str, scale: float) -> float:
    return max(_height_of(block, language, scale, beside=len(group) > 1) for block in group)


def _height_of(block: Block, language: str, scale: float, *, beside: bool) -> float:
    c = block.content
    if block.kind == "heading":
        style = "Title" if c["depth"] == 0 else f"Heading {c['depth']}"
        return height_of_text(c.get("number", "") + c["text"], STYLES[style], scale, language)
    if block.kind == "text":
        return height_of_text(c["text"], STYLES[STYLE_OF_PLACE.get(c["place"], "Body Text")], scale, language)
    if block.kind == "keyfigure":
        return height_of_text(c["label"], STYLES["Key Figure"], 1.0, language)
    if block.kind == "figure":
        width = figure_width(c, WIDTH / 72 / (2 if beside else 1) - (0.25 if beside else 0))
        picture = 72 * width * float(c["height"]) / float(c["width"]) + STYLES["Figure"].before
        column = 0.5 if beside else 1.0
        return picture + _told(c, "Caption", language, column)
    return _table_height(c, language) if block.kind == "table" else _told({"note": c["text"]}, "", language)


def _told(content: Mapping[str, Any], caption: str, language: str, column: float = 1.0) -> float:
    """Height of a caption and a note, in a column this much of the page wide."""
    words = content.get("number", "") + content["caption"] if caption and content["caption"] else ""
    height = height_of_text(words, STYLES[caption], 1.0, language, column) if words else 0.0
    note = content.get("note", "")
    return height + (height_of_text(note, STYLES["Note"], 1.0, language, column) if note else 0.0)


def _table_height(content: Mapping[str, Any], language: str) -> float:
    columns, style = content["columns"], STYLES[table_style(len(content["columns"]))]
    head = STYLES["Table Head"]
    shares = [float(column["width"]) for column in columns]
    widths = [WIDTH * share / sum(shares) - CELL_MARGIN for share in shares]
    rows = [([column["label"] for column in columns], head), *((row, style) for row in content["rows"])]
    height = _told(content, "Table Caption", language)
    for cells, look in rows:
        lines = max(
            (
                -int(-ems(words) * look.size // max(width, look.size))
                for words, width in zip(cells, widths, strict=True)
            ),
            default=1,
        )
        height += max(lines, 1) * 1.3 * look.size + look.before + look.after
    return height
