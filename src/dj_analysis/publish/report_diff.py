"""What differs between two executed reports: numbers and sentences."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from ..errors import UsageError
from .alignment import aligned
from .blocks import Block
from .exports.document import as_written
from .parameters import without_web_addresses
from .placed_texts import sections

COLUMNS = ("report", "place", "what", "before", "after")
_SENTENCE = re.compile(r"[^。；！？;!?]+[。；！？;!?]*")
_NUMBER = re.compile(r"[+-]?\d+(?:[.,]\d+)*")
Change = tuple[str, str, str, str]


def diff_reports(before: Path, after: Path) -> pd.DataFrame:
    """Compare two executed notebooks, or those in two report folders.

    Returns
    -------
    DataFrame
        One row a difference: report (the notebook), place (section or table), what (number, sentence, table, figure,
        report), before, after; empty where there is none.

    Raises
    ------
    UsageError
        No such file or folder; a file beside a folder; no notebook in either folder.
    """
    for path in (before, after):
        if not path.exists():
            raise UsageError(f"文件不存在 (no such file): {path}")
    if before.is_dir() != after.is_dir():
        raise UsageError("两个都应是笔记本,或都是文件夹 (two notebooks, or two folders)")
    folders = before.is_dir()
    rows = _changes_of_folders(before, after) if folders else ((before.name, *one) for one in _changes(before, after))
    return pd.DataFrame(list(rows), columns=list(COLUMNS), dtype="str")


def _changes_of_folders(before: Path, after: Path) -> Iterator[tuple[str, str, str, str, str]]:
    ours, others = ({p.relative_to(place).as_posix(): p for p in place.rglob("*.ipynb")} for place in (before, after))
    if not ours and not others:
        raise UsageError(f"文件夹里没有已运行的笔记本 (no executed notebook in the folders): {before}, {after}")
    for name in sorted(ours | others):
        if name in ours and name in others:
            yield from ((name, *change) for change in _changes(ours[name], others[name]))
        else:
            yield (name, "", "report", "有 (there)" if name in ours else "", "有 (there)" if name in others else "")


def _changes(before: Path, after: Path) -> Iterator[Change]:
    old, new = _parts(before), _parts(after)
    for section in dict.fromkeys([*old["text"], *new["text"]]):
        yield from _changes_of_text(section, old["text"].get(section, []), new["text"].get(section, []))
    for label in dict.fromkeys([*old["keyfigure"], *new["keyfigure"]]):
        one, other = old["keyfigure"].get(label, ""), new["keyfigure"].get(label, "")
        if one != other:
            yield (label, "number", one, other)
    for caption in dict.fromkeys([*old["table"], *new["table"]]):
        yield from _changes_of_table(caption, old["table"].get(caption), new["table"].get(caption))
    for caption in dict.fromkeys([*old["figure"], *new["figure"]]):
        if old["figure"].get(caption) != new["figure"].get(caption):
            one, other = ("有 (there)" if caption in part["figure"] else "" for part in (old, new))
            yield (caption, "figure", one, "图形已变 (drawn otherwise)" if one and other else other)


def _parts(notebook: Path) -> dict[str, dict[str, Any]]:
    """What a notebook tells, by kind and place: sentences by section, values, tables, drawings."""
    with without_web_addresses():
        import nbformat

    try:
        document = as_written(nbformat.read(notebook, as_version=4), {"language": "zh"})
    except Exception as error:  # a file that is no notebook fails in many ways
        raise UsageError(f"{notebook.name} 不是笔记本 (no notebook): {type(error).__name__}") from error
    parts: dict[str, dict[str, Any]] = {kind: {} for kind in ("text", "keyfigure", "table", "figure")}
    headed = sections(document.blocks)
    spans = [("", -1, headed[0].start if headed else len(document.blocks))]
    spans += [(one.name, one.start, one.stop) for one in headed]
    for name, start, stop in spans:
        inside = document.blocks[start + 1 : stop]
        told = [str(block.content["text"]) for block in inside if block.kind in ("text", "note")]
        parts["text"][name] = [sentence for text in told for sentence in _SENTENCE.findall(text)]
        for block in inside:
            if block.kind in parts and block.kind != "text":
                _enter(parts[block.kind], block)
    return parts


def _enter(known: dict[str, Any], block: Block) -> None:
    c = block.content
    name = label = str(c["label"] if block.kind == "keyfigure" else c["caption"])
    number = 1
    while name in known:
        number += 1
        name = f"{label} [{number}]"
    if block.kind == "keyfigure":
        known[name] = f"{c['value']} {c['detail']}".strip()
    else:
        known[name] = c if block.kind == "table" else c["svg"]


def _changes_of_text(section: str, before: Sequence[str], after: Sequence[str]) -> Iterator[Change]:
    for old, new in aligned(before, after):
        one, other = ("" if old is None else before[old]), ("" if new is None else after[new])
        if one != other:
            only_numbers = _NUMBER.sub("#", one) == _NUMBER.sub("#", other)
            yield (section, "number" if only_numbers else "sentence", one, other)


def _changes_of_table(
    caption: str, before: Mapping[str, Any] | None, after: Mapping[str, Any] | None
) -> Iterator[Change]:
    if before is None or after is None:
        yield (caption, "table", "有 (there)" if before else "", "有 (there)" if after else "")
        return
    old, new = _cells(before), _cells(after)
    for place in dict.fromkeys([*old, *new]):
        if old.get(place, "") != new.get(place, ""):
            yield (f"{caption}: {place[0]} {place[1]}", "number", old.get(place, ""), new.get(place, ""))


def _cells(table: Mapping[str, Any]) -> dict[tuple[str, str], str]:
    """Cells by the words that head their row and their column; rows of one name are counted."""
    labels = [str(column["label"]) for column in table["columns"]]
    named: dict[str, int] = {}
    cells: dict[tuple[str, str], str] = {}
    for row in table["rows"]:
        named[row[0]] = named.get(row[0], 0) + 1
        name = row[0] if named[row[0]] == 1 else f"{row[0]} [{named[row[0]]}]"
        cells |= {(name, label): cell for label, cell in zip(labels[1:], row[1:], strict=True)}
        cells |= {(name, ""): name} if len(labels) == 1 else {}
    return cells
