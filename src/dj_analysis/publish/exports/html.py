"""A report as one HTML file that needs no network."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from ..blocks import Block
from ..markup import figure_caption, fragment
from ..wording import say
from .document import Appearance, Document, side_by_side, svg_uri
from .web import render_page


def to_html(document: Document, appearance: Appearance | None = None) -> bytes:
    """Render a document with the package's own template; every text is escaped, no address outside.

    The page is whole without its script, which sorts tables; its security policy lets nothing else run.
    """
    from markupsafe import Markup

    anchors = {id(block): f"s{number}" for number, block in enumerate(document.headings, start=1)}
    sheets = [[Markup(_together(blocks, anchors)) for blocks in side_by_side(sheet)] for sheet in document.sheets]
    contents = [
        (anchors[id(block)], block.content["depth"], _in_one_line(block, document.language))
        for block in document.headings
    ]
    return render_page(
        "report.html.j2", document.language, sheets=sheets, contents=contents, meta=document.meta,
        imprint=[Markup(_fragment(block, anchors)) for block in document.imprint],
        words={key: say(document.language, key) for key in ("contents", "skip")},
    )  # fmt: skip


def _in_one_line(heading: Block, language: str) -> str:
    lines = (heading.content["number"] + heading.content["text"]).split("\n")
    return ("" if language == "zh" else " ").join(lines)


def _together(blocks: Sequence[Block], anchors: dict[int, str]) -> str:
    """Return one block, or two figures side by side."""
    fragments = "".join(_fragment(block, anchors) for block in blocks)
    return fragments if len(blocks) == 1 else f'<div class="pair">{fragments}</div>'


def _fragment(block: Block, anchors: dict[int, str]) -> str:
    c = block.content
    if block.kind == "figure":
        return f'<figure><img src="{svg_uri(c["svg"])}" alt="{escape(c["alt"])}">{figure_caption(c)}</figure>'
    return fragment(block.kind, c, anchors.get(id(block), ""))
