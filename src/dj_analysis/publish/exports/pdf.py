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

TIGHTER = (0.97, 0.94, 0.91, 0.88)  # steps of the last part where that saves a page of a few lines
FEW_LINES = 0.25  # of a page


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
    folders: list[str | Path] = list(font_folders((appearance or Appearance()).fonts))
    if not folders:
        raise FontError("没有找到中文字体文件夹 (no folder with Chinese fonts);安装 pylopdf-fonts-zh-cn")
    document = on_paper(document)
    sheets, imprint = [_plain(sheet) for sheet in document.sheets], _plain(document.imprint)
    data = json.dumps({"meta": dict(document.meta), "sheets": sheets, "imprint": imprint}, ensure_ascii=False)
    made, end = _typeset(data, folders, 1.0)
    if end["page"] > end["first"] and end["filled"] < FEW_LINES:
        for step in TIGHTER:
            tighter, ended = _typeset(data, folders, step)
            if ended["page"] < end["page"] and ended["filled"] >= FEW_LINES:
                return tighter
    return made


def _typeset(data: str, folders: list[str | Path], tight: float) -> tuple[bytes, dict[str, float]]:
    """Typeset with the last part this much smaller; return the file, and where its last part begins and ends."""
    import typst

    source = resources.files(__package__).joinpath("report.typ").read_bytes()
    inputs = {"document": data, "tight": str(tight)}
    library: Any = typst
    compiler = library.Compiler(source, font_paths=folders, ignore_system_fonts=True, sys_inputs=inputs)
    end = json.loads(compiler.query("<end>", field="value", one=True))  # first: compiling drops the source
    made = compiler.compile()
    assert isinstance(made, bytes), "one PDF is one file"
    return made, end


def _plain(blocks: Iterable[Block]) -> list[dict[str, Any]]:
    return [{"kind": block.kind, "content": dict(block.content)} for block in blocks]
