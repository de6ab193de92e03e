"""A report as one HTML file that needs no network."""

from __future__ import annotations

from importlib import resources

from ..blocks import Block, block_html
from .document import Document, svg_uri


def to_html(document: Document) -> bytes:
    """Render a document with the package's own template; every text is escaped, no script, no address outside."""
    from jinja2 import Environment
    from markupsafe import Markup

    template = resources.files(__package__).joinpath("report.html.j2").read_text(encoding="utf-8")
    environment = Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True)
    fragments = [Markup(_fragment(block)) for block in document.blocks]
    page = environment.from_string(template).render(blocks=_paged(document, fragments), meta=document.meta)
    return page.encode("utf-8")


def _fragment(block: Block) -> str:
    if block.kind == "heading":
        return block_html(Block("heading", {**block.content, "text": block.content["number"] + block.content["text"]}))
    if block.kind == "figure":
        from html import escape

        c = block.content
        caption = f"<figcaption>{escape(c['caption'])}</figcaption>" if c["caption"] != c["alt"] else ""
        return f'<figure><img src="{svg_uri(c["svg"])}" alt="{escape(c["alt"], quote=True)}">{caption}</figure>'
    return block_html(block)


def _paged(document: Document, fragments: list) -> list[list]:
    """Split at titles: each begins a sheet."""
    pages: list[list] = [[]]
    for block, fragment in zip(document.blocks, fragments, strict=True):
        if block.kind == "heading" and block.content["depth"] == 0 and any(b for b in pages[-1] if "<h1>" in b):
            pages.append([])
        pages[-1].append(fragment)
    return pages
