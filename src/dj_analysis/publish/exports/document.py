"""What exporters see of an executed notebook: its blocks, numbered, and nothing else."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...errors import DjError, UsageError
from ...release.plan import ReleasePlan, verified
from ...spec.official import Official
from ..blocks import KINDS_OF_BLOCK, LITERAL, MIME, OWN_WORK, Block, seal_of
from ..parameters import without_web_addresses
from ..wording import say
from .official_parts import correction_blocks, end_blocks, head_blocks

if TYPE_CHECKING:
    import nbformat

_ZH = "一二三四五六七八九十"


@dataclass(frozen=True)
class Appearance:
    """What of a page's look is the office's own.

    Attributes
    ----------
    fonts
        Folder of the office's licensed fonts.
    template
        Word file whose page, styles, head and foot a report in Word takes over.
    """

    fonts: str = ""
    template: Path | None = None


@dataclass(frozen=True)
class Document:
    """A report as a list of blocks with what goes around them.

    Attributes
    ----------
    blocks
        In reading order; headings carry their number (``content["number"]``).
    meta
        title, period, unit, language, purpose, footer.
    dropped
        What the notebook showed that is no block, and is therefore not in the report.
    """

    blocks: tuple[Block, ...]
    meta: Mapping[str, str]
    dropped: tuple[str, ...] = field(default=(), repr=False)

    @property
    def language(self) -> str:
        """Language of the report."""
        return self.meta.get("language", "zh")

    @property
    def sheets(self) -> list[list[Block]]:
        """The blocks parted at titles (headings of depth 0): each title begins a page; the imprint is none of them."""
        sheets: list[list[Block]] = [[]]
        for block in self.blocks[: len(self.blocks) - len(self.imprint)]:
            if _is_title(block) and any(_is_title(earlier) for earlier in sheets[-1]):
                sheets.append([])
            sheets[-1].append(block)
        return sheets

    @property
    def headings(self) -> list[Block]:
        """Titles and headings, in reading order."""
        return [block for block in self.blocks if block.kind == "heading"]

    @property
    def imprint(self) -> list[Block]:
        """What stands at the very end, below the notes: copies, who printed it and when (版记)."""
        return [block for block in self.blocks if block.content.get("place") in ("copies", "imprint")]


def _is_title(block: Block) -> bool:
    return block.kind == "heading" and block.content["depth"] == 0


def read_document(
    notebook: nbformat.NotebookNode, meta: Mapping[str, str], plan: ReleasePlan, official: Official | None = None
) -> Document:
    """Take markdown cells and sealed blocks out of an executed notebook; every other output is dropped and listed.

    Raises
    ------
    UsageError
        The notebook holds an error, no block at all, or a block whose seal is missing or not that of the plan in force.
    """
    blocks: list[Block] = []
    dropped: list[str] = []
    for number, cell in enumerate(notebook.cells):
        if cell.cell_type == "markdown":
            blocks += markdown_blocks(cell.source)
        for output in cell.get("outputs", []):
            if output.output_type == "error":
                raise UsageError(
                    f"第 {number} 格出错,不能导出 (cell {number} holds an error): {output.get('ename', '')}"
                )
            content = output.get("data", {}).get(MIME)
            if content is None:
                dropped.append(f"cell {number}: {output.output_type}")
            else:
                blocks.append(_block(content, plan, number))
    if not blocks:
        raise UsageError("笔记本里没有报告内容 (no blocks in the notebook)")
    if not meta.get("draft") and any(block.content.get("own") == "persons" for block in blocks):
        raise UsageError(
            "作者自行计算的内容用到关于人的数据,只能放在草稿里 (own work that data about persons went into stands in drafts only);"
            ' 只用单位数据的,写 about="units"'
        )
    return _assembled(blocks, meta, official, dropped)


def as_written(notebook: nbformat.NotebookNode, meta: Mapping[str, str], official: Official | None = None) -> Document:
    """Take the blocks out of a kept notebook to compare them with something; seals are not asked for.

    What comes out may rest on a release plan that is no longer in force: it is never exported.
    """
    blocks: list[Block] = []
    for cell in notebook.cells:
        blocks += markdown_blocks(cell.source) if cell.cell_type == "markdown" else []
        for output in cell.get("outputs", []):
            if isinstance(content := output.get("data", {}).get(MIME), dict):
                blocks.append(
                    Block(content["kind"], content["content"], content.get("plan", ""), content.get("seal", ""))
                )
    return _assembled(blocks, meta, official, [])


def _assembled(
    blocks: list[Block], meta: Mapping[str, str], official: Official | None, dropped: Sequence[str]
) -> Document:
    """Name the document by its first title, put head and imprint around it, and number what is in it."""
    title = next((b.content["text"] for b in blocks if b.kind == "heading" and b.content["depth"] == 0), None)
    named = dict(meta) | ({"title": str(title).replace("\n", "")} if title else {})
    language = meta.get("language", "zh")
    blocks += correction_blocks(meta.get("reasons", ""), language)
    if official is not None:
        blocks = [*head_blocks(official, language), *blocks, *end_blocks(official, language)]
    return Document(tuple(numbered(blocks, language)), named, tuple(dropped))


def waves_in(notebook: nbformat.NotebookNode) -> list[tuple[str, str]]:
    """Return the (programme, period) waves whose numbers an executed notebook shows."""
    waves: set[tuple[str, str]] = set()
    for cell in notebook.cells:
        for output in cell.get("outputs", []):
            block = output.get("data", {}).get(MIME)
            content = block.get("content") if isinstance(block, dict) else None
            for wave in content.get("waves", []) if isinstance(content, dict) else []:
                waves.add((str(wave[0]), str(wave[1])))
    return sorted(waves)


def seals_hold(path: Path, key: bytes) -> str:
    """Verify the seals in a kept notebook with the workspace's key; return what is wrong, or ``""``."""
    with without_web_addresses():
        import nbformat

    for number, cell in enumerate(nbformat.read(path, as_version=4).cells):
        for output in cell.get("outputs", []):
            content = output.get("data", {}).get(MIME, {})
            kind, seal = content.get("kind"), content.get("seal", "")
            if not seal and (kind in LITERAL or content.get("content", {}).get("own")):
                continue
            if not seal or not verified(key, content.get("plan", ""), seal, *seal_of(kind, content["content"])):
                return f"第 {number} 格封签无效 (cell {number}: its seal does not hold)"
    return ""


def stripped(notebook: nbformat.NotebookNode) -> nbformat.NotebookNode:
    """Return the notebook as it may be kept beside the report: blocks only, no streams, paths or run times."""
    import nbformat

    kept = nbformat.from_dict(json.loads(json.dumps(notebook)))
    for cell in kept.cells:
        if cell.cell_type == "code":
            cell.outputs = [output for output in cell.outputs if MIME in output.get("data", {})]
        cell.metadata = nbformat.NotebookNode({k: v for k, v in cell.metadata.items() if k == "tags"})
    kept.metadata = nbformat.NotebookNode(
        {k: v for k, v in kept.metadata.items() if k in ("kernelspec", "language_info")}
    )
    return kept


def markdown_blocks(source: str) -> list[Block]:
    """Read markdown into headings, paragraphs and list items; anything else in it is refused.

    Literal text counts as the author's own words: it holds no numbers of the package.
    """
    import mistune

    tokens: Any = mistune.create_markdown(renderer=None)(source)
    blocks = []
    for token in tokens:
        if token["type"] == "heading":
            blocks.append(Block("heading", {"text": _plain(token), "depth": token["attrs"]["level"] - 1}))
        elif token["type"] == "paragraph":
            blocks.append(Block("text", {"text": _plain(token), "place": "body"}))
        elif token["type"] == "list":
            blocks += [Block("text", {"text": f"• {_plain(item)}", "place": "body"}) for item in token["children"]]
        elif token["type"] not in ("blank_line", "thematic_break"):
            allowed = "标题、段落、列表 (headings, paragraphs, lists)"
            raise UsageError(f"报告的文字格只能有{allowed},不能有 {token['type']}")
    return blocks


def side_by_side(blocks: Sequence[Block]) -> list[list[Block]]:
    """Group the blocks of a sheet as they are laid out: two narrow figures that follow each other together, all others alone."""
    groups: list[list[Block]] = []
    for block in blocks:
        narrow = block.kind == "figure" and bool(block.content.get("beside"))
        waiting = groups[-1] if groups else []
        if narrow and len(waiting) == 1 and waiting[0].kind == "figure" and waiting[0].content.get("beside"):
            waiting.append(block)
        else:
            groups.append([block])
    return groups


def content_hash(blocks: tuple[Block, ...]) -> str:
    """Hash of all that a report says."""
    content = [(block.kind, dict(block.content)) for block in blocks]
    return hashlib.sha256(json.dumps(content, ensure_ascii=False, sort_keys=True).encode()).hexdigest()


def svg_uri(svg: str) -> str:
    """Return an SVG as a data address, so that nothing in it can reach the page around it."""
    return "data:image/svg+xml;base64," + base64.b64encode(svg.encode()).decode()


def _block(content: Any, plan: ReleasePlan, cell: int) -> Block:
    kind = content.get("kind") if isinstance(content, dict) else content
    if kind not in KINDS_OF_BLOCK or not isinstance(content.get("content"), dict):
        raise DjError(f"第 {cell} 格:无法识别的报告内容 (unknown block): {str(kind)[:40]}")
    block = Block(content["kind"], content["content"], content.get("plan", ""), content.get("seal", ""))
    own = block.content.get("own") in ("persons", "units") and OWN_WORK in f"{block.content}"
    bare = not block.seal and (block.kind in LITERAL or own)  # an author's own words and work
    if bare or (block.plan == plan.id and plan.sealed(block.seal, *seal_of(block.kind, block.content))):
        lacking = [name for name in _NEEDS[str(kind)] if name not in content["content"]]
        if lacking:
            raise DjError(f"第 {cell} 格:{kind} 缺少 {', '.join(lacking)} (cell {cell}: a malformed block)")
        return block
    why = "发布方案已变,请重新运行" if block.seal and block.plan != plan.id else "没有有效的封签"
    raise UsageError(
        f"第 {cell} 格的内容{why},不能导出 (cell {cell}: a block without a valid seal of the release plan in force;"
        " run the notebook again, with dj.protect(…, ws.release_plan(period)))"
    )


_NEEDS = {
    "heading": ("text", "depth"), "text": ("text", "place"), "note": ("text",), "keyfigure": ("label", "value", "detail"),
    "recomputation": ("text",),
    "table": ("caption", "columns", "rows", "values", "note"), "figure": ("svg", "alt", "caption", "width", "height"),
}  # fmt: skip


def numbered(blocks: Sequence[Block], language: str) -> list[Block]:
    """Number headings as official documents do, 一、 (一) 1. (1), and tables and figures in their own order.

    Titles (depth 0) begin the headings again; tables and figures are numbered through the whole document.
    """
    counts, captions, result = [0] * 5, {"table": 0, "figure": 0}, []
    for block in blocks:
        if block.kind == "heading":
            depth, label = int(block.content["depth"]), block.content.get("label")
            counts[depth] += 1 if label is None else 0
            counts[depth + 1 :] = [0] * (4 - depth)
            number = _number(depth, counts[depth], language) if label is None else str(label)
            block = _with_number(block, number)
        elif block.kind in captions:
            captions[block.kind] += 1 if block.content["caption"] else 0
            told = say(language, f"{block.kind}_number", number=captions[block.kind])
            block = _with_number(block, told if block.content["caption"] else "")
        result.append(block)
    return result


def _with_number(block: Block, number: str) -> Block:
    return Block(block.kind, {**block.content, "number": number}, block.plan, block.seal)


def _number(depth: int, count: int, language: str) -> str:
    if depth == 0:
        return ""
    if language != "zh":
        return f"{count}. " if depth == 1 else ""
    return {1: f"{_chinese(count)}、", 2: f"（{_chinese(count)}）", 3: f"{count}.", 4: f"（{count}）"}[depth]


def _chinese(count: int) -> str:
    if count <= 10:
        return _ZH[count - 1]
    tens, ones = divmod(count, 10)
    return ("" if tens == 1 else _ZH[tens - 1]) + "十" + (_ZH[ones - 1] if ones else "")


def _plain(token: Any) -> str:
    if "raw" in token:
        return str(token["raw"])
    return "".join(_plain(child) for child in token.get("children", [])).strip()
