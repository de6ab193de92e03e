"""A report as PDF in the layout of official documents (GB/T 9704-2012)."""

from __future__ import annotations

import json
from collections.abc import Iterable
from importlib import resources
from pathlib import Path
from typing import Any

from ...errors import FontError
from ..blocks import Block
from ..theme import font_folders
from .document import Appearance, Document
from .on_paper import on_paper


def to_pdf(document: Document, appearance: Appearance | None = None) -> bytes:
    """Typeset a document; data reach the typesetter as JSON, so that no text in them can run as code.

    Parameters
    ----------
    appearance
        Its ``fonts`` is the office's own font folder (licensed 仿宋_GB2312 and 小标宋); without it Noto Serif SC stands for
        them.

    Raises
    ------
    FontError
        No Chinese font folder was found.
    """
    import typst

    folders: list[str | Path] = list(font_folders((appearance or Appearance()).fonts))
    if not folders:
        raise FontError("没有找到中文字体文件夹 (no folder with Chinese fonts);安装 pylopdf-fonts-zh-cn")
    document = on_paper(document)
    sheets, imprint = [_plain(sheet) for sheet in document.sheets], _plain(document.imprint)
    data = json.dumps({"meta": dict(document.meta), "sheets": sheets, "imprint": imprint}, ensure_ascii=False)
    source = resources.files(__package__).joinpath("report.typ").read_bytes()
    compiler: Any = typst
    typeset = compiler.compile(source, font_paths=folders, ignore_system_fonts=True, sys_inputs={"document": data})
    assert isinstance(typeset, bytes), "one PDF is one file"
    return typeset


def _plain(blocks: Iterable[Block]) -> list[dict[str, Any]]:
    return [{"kind": block.kind, "content": dict(block.content)} for block in blocks]
