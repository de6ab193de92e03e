"""Paragraphs and tables of a Word file, as its reader sees them after all tracked changes are accepted."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

from ...errors import UsageError

_LEFT_OUT = ("w:del", "w:moveFrom", "w:txbxContent", "w:footnote")  # deleted or moved away; text boxes


def read_paragraphs(file: Path | bytes) -> tuple[list[str], list[list[list[str]]]]:
    """Return the paragraphs outside of tables, empty ones left out, and the tables as rows of cells.

    Parameters
    ----------
    file
        A file as Word or WPS saved it, or its content.

    Raises
    ------
    UsageError
        It is no Word file.
    """
    import docx
    from docx.oxml.ns import qn

    try:
        content = file.read_bytes() if isinstance(file, Path) else file
        body: Any = docx.Document(io.BytesIO(content)).element.body
    except Exception as error:  # a damaged package raises what its reader happens to meet
        name = file.name if isinstance(file, Path) else "docx"
        raise UsageError(
            f"{name} 不是 Word 文件,或已损坏 (no Word file, or damaged): {type(error).__name__}"
        ) from error
    paragraphs = [_text(one) for one in body.iter(qn("w:p")) if not _is_inside(one, body, "w:tbl", *_LEFT_OUT)]
    tables = [
        [
            [" ".join(map(_text, cell.iter(qn("w:p")))).strip() for cell in row.iter(qn("w:tc"))]
            for row in table.iter(qn("w:tr"))
        ]
        for table in body.iter(qn("w:tbl"))
        if not _is_inside(table, body, "w:tbl", *_LEFT_OUT)
    ]
    return [" ".join(text.split()) for text in paragraphs if text.strip()], tables


def _text(paragraph: Any) -> str:
    """Text of a paragraph: what was inserted belongs to it, what was deleted does not."""
    from docx.oxml.ns import qn

    signs = {qn("w:tab"): "\t", qn("w:br"): "\n", qn("w:cr"): "\n", qn("w:noBreakHyphen"): "-"}
    parts = []
    for one in paragraph.iter(qn("w:t"), *signs):
        if one.getparent().tag != qn("w:tabs") and not _is_inside(one, paragraph, *_LEFT_OUT):
            parts.append(one.text or "" if one.tag == qn("w:t") else signs[one.tag])
    return "".join(parts)


def _is_inside(element: Any, top: Any, *names: str) -> bool:
    from docx.oxml.ns import qn

    tags, above = {qn(name) for name in names}, element.getparent()
    while above is not None and above is not top:
        if above.tag in tags:
            return True
        above = above.getparent()
    return False
