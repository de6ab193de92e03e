"""A report as one HTML file that needs no network."""

from __future__ import annotations

from html import escape
from importlib import resources

from ..blocks import Block, block_html
from .document import Appearance, Document, svg_uri


def to_html(document: Document, appearance: Appearance | None = None) -> bytes:
    """Render a document with the package's own template; every text is escaped, no script, no address outside."""
    from jinja2 import Environment
    from markupsafe import Markup

    template = resources.files(__package__).joinpath("report.html.j2").read_text(encoding="utf-8")
    environment = Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True)
    sheets = [[Markup(_fragment(block)) for block in sheet] for sheet in document.sheets]
    page = environment.from_string(template).render(
        blocks=sheets, imprint=[Markup(_fragment(block)) for block in document.imprint], meta=document.meta
    )
    return page.encode("utf-8")


def _fragment(block: Block) -> str:
    c = block.content
    if block.kind == "heading":
        return block_html(Block("heading", {**c, "text": c["number"] + c["text"]}))
    if block.kind == "text" and c["place"] in ("number", "imprint"):
        parts = "".join(f"<span>{escape(part)}</span>" for part in (c["text"], c["right"]))
        return f'<p class="{c["place"]}">{parts}</p>'
    if block.kind == "figure":
        caption = f"<figcaption>{escape(c['number'] + c['caption'])}</figcaption>"
        return f'<figure><img src="{svg_uri(c["svg"])}" alt="{escape(c["alt"], quote=True)}">{caption}</figure>'
    return block_html(block)
