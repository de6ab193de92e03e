"""A report as PDF in the layout of official documents (GB/T 9704-2012)."""

from __future__ import annotations

import json
from importlib import resources
from pathlib import Path
from typing import Any

from ...errors import FontError
from ..theme import font_folders
from .document import Document


def to_pdf(document: Document, fonts: str = "") -> bytes:
    """Typeset a document; data reach the typesetter as JSON, so that no text in them can run as code.

    Parameters
    ----------
    fonts
        The office's own font folder (licensed 仿宋_GB2312 and 小标宋); without it Noto Serif SC stands for them.

    Raises
    ------
    FontError
        No Chinese font folder was found.
    """
    import typst

    folders: list[str | Path] = list(font_folders(fonts))
    if not folders:
        raise FontError("没有找到中文字体文件夹 (no folder with Chinese fonts);安装 pylopdf-fonts-zh-cn")
    blocks = [{"kind": block.kind, "content": dict(block.content)} for block in document.blocks]
    data = json.dumps({"meta": dict(document.meta), "blocks": blocks}, ensure_ascii=False)
    source = resources.files(__package__).joinpath("report.typ").read_bytes()
    compiler: Any = typst
    document = compiler.compile(source, font_paths=folders, ignore_system_fonts=True, sys_inputs={"document": data})
    assert isinstance(document, bytes), "one PDF is one file"
    return document
