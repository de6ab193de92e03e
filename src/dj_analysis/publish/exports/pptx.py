"""A report as a PowerPoint file: at most ten slides, one statement each, with speaker notes."""

from __future__ import annotations

import io
from typing import Any

from .. import theme
from ..blocks import Block
from ..wording import say
from .bars import bars_of
from .document import Appearance, Document
from .packages import legible, repacked
from .pptx_page import empty_show
from .pptx_parts import (
    Box,
    add_bars,
    add_picture,
    add_slide_number,
    add_table,
    add_text,
    fitted,
    write_paragraphs,
)  # fmt: skip
from .slides import MOST_BARS, MOST_ROWS, Slide, slides_of

TITLE = Box(14, 9, 310, 25)
BODY = Box(14, 42, 310, 128)
FOOT, NUMBER = Box(14, 177, 250, 9), Box(290, 177, 34, 9)
TITLE_SIZES, POINT_SIZES, NOTE_SIZES = (26.0, 24.0, 22.0, 20.0, 18.0), (20.0, 18.0, 16.0, 14.0, 12.0), (11.0, 10.0, 9.0)
RED = "#C00000"


def to_pptx(document: Document, appearance: Appearance | None = None) -> bytes:
    """Write what a report says on at most ten slides, with native charts and notes to speak from."""
    show = empty_show(document)
    for number, content in enumerate(slides_of(document), start=1):
        slide = show.slides.add_slide(show.slide_layouts[0])
        if content.kind == "title":
            _add_opening(slide, content, document)
        else:
            _add_statement(slide, content, document)
        _add_foot(slide, document, number)
        frame = slide.notes_slide.notes_text_frame
        frame.text = "\n".join(legible(words) for words in content.notes)
        _drop_empty(slide)
    stream = io.BytesIO()
    show.save(stream)
    return repacked(stream.getvalue())


def _add_opening(slide: Any, content: Slide, document: Document) -> None:
    """Fill the first slide: mark, title, office and period, what the numbers are for."""
    language, meta = document.language, document.meta
    mark = next((b.content["text"] for b in document.blocks if b.kind == "text" and b.content["place"] == "mark"), "")
    add_text(slide, Box(14, 10, 200, 12), [mark or say(language, "secrecy")], (16.0, 14.0), language, bold=True)
    _set_title(slide, Box(24, 52, 290, 46), content.statement, (36.0, 32.0, 28.0, 24.0, 20.0), language, align="center")
    line = "　".join(part for part in (meta.get("office", ""), meta.get("period", "")) if part)
    if line:
        add_text(slide, Box(24, 104, 290, 14), [line], (18.0, 16.0, 14.0, 12.0), language, align="center")
    if meta.get("draft"):
        add_text(
            slide, Box(24, 122, 290, 16), [meta["draft"]], (24.0, 18.0), language, align="center", bold=True, colour=RED
        )
    if meta.get("purpose"):
        add_text(
            slide,
            Box(24, 146, 290, 22),
            [meta["purpose"]],
            (12.0, 11.0, 10.0),
            language,
            align="center",
            colour=theme.SMALL_PRINT,
        )


def _add_statement(slide: Any, content: Slide, document: Document) -> None:
    language = document.language
    _set_title(slide, TITLE, content.statement, TITLE_SIZES, language)
    _add_rule(slide)
    body = BODY
    if content.kind == "method":
        footer = document.meta.get("footer", "")
        add_text(
            slide, Box(14, 156, 310, 18), [footer] if footer else [], NOTE_SIZES, language, colour=theme.SMALL_PRINT
        )
        body = Box(body.left, body.top, body.width, 112)
    if content.figures:
        _add_key_figures(slide, Box(body.left, body.top, body.width, 34), content.figures, language)
        body = Box(body.left, body.top + 38, body.width, body.height - 38)
    if content.visual is not None:
        body = _add_visual(slide, body, content, language)
    if content.points and body.width > 40:
        _add_points(slide, body, content, language)


def _set_title(
    slide: Any, box: Box, statement: str, sizes: tuple[float, ...], language: str, align: str = "left"
) -> None:
    from pptx.enum.text import MSO_ANCHOR

    title = slide.shapes.title
    title.left, title.top, title.width, title.height = box.emu
    size, kept = fitted([statement], box, sizes)
    write_paragraphs(title.text_frame, kept, size, language, bold=True, colour=theme.ACCENT, align=align)
    title.text_frame.vertical_anchor = MSO_ANCHOR.MIDDLE


def _add_rule(slide: Any) -> None:
    from pptx.dml.color import RGBColor
    from pptx.enum.shapes import MSO_SHAPE

    rule = slide.shapes.add_shape(MSO_SHAPE.RECTANGLE, *Box(14, 36, 310, 0.7).emu)
    rule.fill.solid()
    rule.fill.fore_color.rgb = RGBColor.from_string(theme.ACCENT.lstrip("#"))
    rule.line.fill.background()
    rule.shadow.inherit = False
    rule._element.txBody.getparent().remove(rule._element.txBody)


def _add_key_figures(slide: Any, box: Box, figures: tuple[Block, ...], language: str) -> None:
    width = box.width / len(figures)
    for place, block in enumerate(figures):
        c, left = block.content, box.left + place * width
        add_text(
            slide, Box(left, box.top, width, 8), [c["label"]], (14.0, 12.0, 11.0), language, colour=theme.SMALL_PRINT
        )
        add_text(slide, Box(left, box.top + 8, width, 16), [c["value"]], (32.0, 26.0, 20.0), language, bold=True)
        if c["detail"]:
            add_text(
                slide,
                Box(left, box.top + 24, width, 10),
                [c["detail"]],
                (12.0, 11.0, 10.0, 9.0),
                language,
                colour=theme.SMALL_PRINT,
            )


def _add_visual(slide: Any, body: Box, content: Slide, language: str) -> Box:
    """Add what shows the statement on the left, its caption below; return the room that is left for words."""
    block = content.visual
    assert block is not None
    c = block.content
    share = 0.66 if content.points else 1.0
    box = Box(body.left, body.top, body.width * share, body.height - 10)
    bars = bars_of(c, MOST_BARS) if block.kind == "table" else None
    remarks = [c["caption"] if c["caption"] != content.statement else ""]
    if block.kind == "figure":
        place = add_picture(slide, box, block, centred=not content.points)
        remarks += [c["note"]] if c.get("note") else []
    elif bars is not None:
        place = box
        ranged = {"low", "high"} <= {column["name"] for column in c["columns"]}
        remarks += [say(language, "slide_range")] if ranged else []
        add_bars(slide, box, bars, c["caption"], language)
    else:
        more = len(c["rows"]) - MOST_ROWS
        remarks += [say(language, "slide_more", count=more)] if more > 0 else []
        place = add_table(slide, box, c, MOST_ROWS, language)
    remarks += [c["note"]] if block.kind == "table" and c["note"] else []
    told = ("　" if language == "zh" else "  ").join(remark for remark in remarks if remark)
    foot = Box(
        place.left,
        place.top + place.height + (1 if block.kind == "figure" else 3),
        max(place.width, body.width * 0.5),
        11,
    )
    add_text(slide, foot, [told] if told else [], NOTE_SIZES, language, colour=theme.SMALL_PRINT)
    left = place.left + place.width + 6
    return Box(left, body.top, body.left + body.width - left, body.height - 12)


def _add_points(slide: Any, box: Box, content: Slide, language: str) -> None:
    colon = "：" if language == "zh" else ": "
    labels = [label + colon if label else "" for label, _ in content.points]
    texts = [label + text for label, (_, text) in zip(labels, content.points, strict=True)]
    most = 8 if content.kind == "method" else 6 if content.visual is None else 4
    add_text(slide, box, texts[:most], POINT_SIZES, language, labels=labels[:most], after=6.0, bullets=True)


def _add_foot(slide: Any, document: Document, number: int) -> None:
    draft = document.meta.get("draft", "")
    if draft and number > 1:
        add_text(slide, FOOT, [draft], (12.0, 10.0), document.language, bold=True, colour=RED)
    add_slide_number(slide, NUMBER, document.language)


def _drop_empty(slide: Any) -> None:
    """Remove placeholders that hold nothing: they would ask whoever opens the file to fill them."""
    for page in (slide, slide.notes_slide):
        for shape in list(page.placeholders):
            if shape.has_text_frame and not shape.text_frame.text.strip():
                shape._element.getparent().remove(shape._element)
