"""What somebody changed in a Word file of a report, brought back into the author's own paragraphs."""

from __future__ import annotations

import hashlib
import re
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pandas as pd

from ..errors import DjWarning, UsageError
from ..record import Record
from .alignment import aligned
from .blocks import Block
from .exports.document import Appearance, Document
from .exports.docx import to_docx
from .exports.docx_reading import read_paragraphs
from .named_numbers import NamedNumbers
from .placed_texts import Origin, arranged, section_named, sections
from .texts import (
    SectionText,
    changed_numbers,
    edited_from,
    escaped,
    numbers_of,
    read_texts,
    source_parts,
    texts_digest,
    texts_for,
    texts_name,
    write_texts,
)

_EMPTY_FIGURE = '<svg xmlns="http://www.w3.org/2000/svg" width="1" height="1"/>'
_HEAD_OF_RECORD = re.compile(r"\b[0-9a-f]{16}\b")
_ENDING = ("purpose", "correction", "limits", "footer")


@dataclass(frozen=True)
class Edits:
    """What was found in an edited Word file.

    Attributes
    ----------
    file
        Where the changed paragraphs are now.
    table
        One row a change: section, change (changed, added, removed, not_taken), computed (the sentence was computed by the
        package), numbers (those that differ, before → after), before, after.
    """

    file: Path
    table: pd.DataFrame = field(repr=False)


@dataclass(frozen=True)
class _Line:
    """A paragraph of the report as it was written: whose it is, and in which section; ``origin`` None is nobody's to change."""

    text: str
    section: str = ""
    origin: Origin | None = None
    heading: bool = False
    computed: bool = False
    ending: bool = False


@dataclass
class _Taken:
    """The paragraphs of one section after the changes: before its last table or figure, and after it."""

    own: list[str] = field(default_factory=list)
    main: list[str] = field(default_factory=list)
    tail: list[str] = field(default_factory=list)
    after_fixed: bool = False
    changed: bool = False

    def add(self, source: str, *, new: bool) -> None:
        if not new:  # a paragraph of the section comes after all: what stood before it is no tail
            self.main += [*self.tail, source]
            self.tail, self.after_fixed = [], False
        else:
            (self.tail if self.after_fixed else self.main).append(source)


def origin_of(file: Path, record: Record) -> dict[str, Any]:
    """Return the event of the record by which a Word file was written, by the mark in its last lines; {} if there is none."""
    marks = set(_HEAD_OF_RECORD.findall(" ".join(read_paragraphs(file)[0][-8:])))
    events = [
        event for event in record.payloads("publication", "draft") if str(event["manifest"].get("head"))[:16] in marks
    ]
    return events[-1] if events else {}


def notebook_of(file: Path, event: Mapping[str, Any], folder: Path) -> Path:
    """Find the kept notebook that a Word file was written from: beside it, or in the workspace's reports.

    Raises
    ------
    UsageError
        There is none, or the one there is was written by another run.
    """
    entered = {name: digest for name, digest in event.get("files", {}).items() if name.endswith(".ipynb")}
    for path in (file.with_suffix(".ipynb"), *(folder / "reports" / name for name in entered)):
        digest = hashlib.sha256(path.read_bytes()).hexdigest() if path.exists() else ""
        if digest and digest in (entered.values() or [digest]):
            return path
    raise UsageError(
        f"找不到 {file.name} 所依据的笔记本 (the notebook it was written from is not beside it, or is of another run):"
        " 用 --notebook 指定 (name it by --notebook)"
    )


def take_edits(
    file: Path, document: Document, *, report: str, path: Path, numbers: NamedNumbers, event: Mapping[str, Any]
) -> Edits:
    """Compare an edited Word file with the report as it was written, and write what differs into the author's paragraphs.

    Paragraphs are taken by section; one that was not touched stays the report's own and is computed anew in each run.
    Headings, key figures, captions and tables are computed: changes there are told and not taken.

    Parameters
    ----------
    document
        The report as its notebook tells it, without an author's paragraphs.
    path
        The file of texts.
    event
        The event of the record by which the file was written, {} where it is not known.

    Raises
    ------
    UsageError
        No Word file; or the texts were changed since it was written.
    """
    current = read_texts(path)
    base = _texts_then(texts_for(current, report), event, path)
    lines, tables = _as_written(document, base, numbers, texts_name(path))
    edited, tables_edited = read_paragraphs(file)
    taken, rows = _compare(lines, edited)
    rows += _compare_tables(tables, tables_edited)
    new = [text for name, section in taken.items() if section.changed for text in _section_texts(name, section, report)]
    names = {name for name, section in taken.items() if section.changed}
    parts = sections(document.blocks)
    kept, replaced = list[SectionText](), list[SectionText]()
    for text in current:
        part = section_named(text.section, parts)
        gone = text.report == report and part is not None and part.name in names
        (replaced if gone else kept).append(text)
    if [replace(one, line=0) for one in replaced] != new and replaced and not base:
        listed = "、".join(dict.fromkeys(text.section for text in replaced))
        warnings.warn(
            f"{texts_name(path)} 中这些节的文字被本次改动代替 (replaced by these edits): {listed}",
            DjWarning,
            stacklevel=2,
        )
    if names:
        write_texts(path, [*kept, *new])
    columns = ["section", "change", "computed", "numbers", "before", "after"]
    return Edits(path, pd.DataFrame(rows, columns=columns))


def _texts_then(texts: Sequence[SectionText], event: Mapping[str, Any], path: Path) -> Sequence[SectionText]:
    """Return the author's paragraphs that the Word file was written with."""
    then = event["manifest"].get("texts", {}).get("sha256", "") if event else texts_digest(texts)
    if then == texts_digest(texts):
        return texts
    if not then:
        return []
    raise UsageError(
        f"{texts_name(path)} 在此 Word 文件写出后已改动 (changed since the Word file was written):重新运行报告,在新文件上修改"
        " (run the report again and edit the new file)"
    )


def _as_written(
    document: Document, texts: Sequence[SectionText], numbers: NamedNumbers, file: str
) -> tuple[list[_Line], list[list[list[str]]]]:
    """Return the paragraphs of the Word file as the package writes it, read back by the same reader."""
    placed = arranged(document.blocks, texts, numbers, file)
    blank = [replace(b, content={**b.content, "svg": _EMPTY_FIGURE}) if b.kind == "figure" else b for b, _ in placed]
    read, tables = read_paragraphs(to_docx(replace(document, blocks=tuple(blank)), Appearance()))
    owners, start = dict[int, tuple[Block, Origin | None]](), 0
    for block, origin in placed:
        expected = _words(block)
        at = next((number for number in range(start, len(read)) if expected and read[number] == expected), None)
        if at is not None:
            owners[at], start = (block, origin), at + 1
    names = {id(document.blocks[part.start]): part.name for part in sections(document.blocks)}
    endings = {" ".join(document.meta.get(name, "").split()) for name in _ENDING}
    lines, section = list[_Line](), ""
    for number, text in enumerate(read):
        whose = owners.get(number)
        heading = whose is not None and whose[0].kind == "heading"
        section = names[id(whose[0])] if whose is not None and heading else section
        ending = whose is None and number >= start and text in endings
        origin = whose[1] if whose is not None else None
        lines.append(_Line(text, section, origin, heading, whose is not None and bool(whose[0].seal), ending))
    return lines, tables


def _words(block: Block) -> str:
    c = block.content
    if block.kind not in ("heading", "text", "note"):
        return ""
    number = c.get("number", "") if block.kind == "heading" else ""
    return " ".join(f"{number}{c['text']}\t{c.get('right', '')}".split())


def _compare(lines: Sequence[_Line], edited: Sequence[str]) -> tuple[dict[str, _Taken], list[tuple[Any, ...]]]:
    """Walk through both texts and gather, by section, what stands there now; and every change."""
    taken: dict[str, _Taken] = {}
    rows: list[tuple[Any, ...]] = []
    section = ""
    for old, new in _rewritten(aligned([line.text for line in lines], edited), lines, edited):
        line, text = (lines[old] if old is not None else None), (edited[new] if new is not None else "")
        if line is None:
            state = taken.get(section)
            if state is None:
                rows.append((section, "not_taken", False, "", "", text))
                continue
            state.add(escaped(text), new=True)
            state.changed = True
            rows.append((section, "added", False, "、".join(numbers_of(text)), "", text))
        elif line.origin is None:
            section = line.section if line.heading else "" if line.ending else section
            state = taken.setdefault(section, _Taken()) if section else _Taken()
            state.after_fixed = not line.heading
            if text != line.text and not line.ending:
                rows.append((section, "not_taken", not line.heading, changed_numbers(line.text, text), line.text, text))
        else:
            _take(taken[section], line, text, rows)
    return taken, rows


def _rewritten(
    pairs: Sequence[tuple[int | None, int | None]], lines: Sequence[_Line], edited: Sequence[str]
) -> list[tuple[int | None, int | None]]:
    """Take a paragraph that went and the one that came in its place for one that was written anew.

    Of a caption or a key figure that is only so where both begin alike: 图2, 指数.
    """
    result: list[tuple[int | None, int | None]] = []
    for old, new in pairs:
        gone = result[-1][0] if result and result[-1][1] is None and old is None else None
        if gone is not None and new is not None and (lines[gone].origin or _same_start(lines[gone].text, edited[new])):
            result[-1] = (gone, new)
        else:
            result.append((old, new))
    return result


def _same_start(one: str, other: str) -> bool:
    return one[:2] == other[:2]


def _take(state: _Taken, line: _Line, text: str, rows: list[tuple[Any, ...]]) -> None:
    """Take one paragraph that the section had before: as it was, changed, or gone."""
    assert line.origin is not None, "what nobody may change is told and not taken"
    source = line.origin.source or f"{{{{本段 {line.origin.own}}}}}"
    if line.origin.own:
        state.own.append(source)
    if text == line.text:
        state.add(source, new=False)
        return
    state.changed = True
    if text:
        state.add(_edited_source(line, text), new=False)
    rows.append(
        (
            line.section,
            "changed" if text else "removed",
            line.computed,
            changed_numbers(line.text, text),
            line.text,
            text,
        )
    )


def _edited_source(line: _Line, text: str) -> str:
    """Return what an edited paragraph says now, with the words it was edited from where they hold numbers."""
    assert line.origin is not None, "it is a paragraph"
    own, was, _ = source_parts(line.origin.source)
    if line.origin.own and numbers_of(line.text):
        own, was = line.origin.own, line.text
    return edited_from(escaped(text), own, was) if own else escaped(text)


def _section_texts(name: str, state: _Taken, report: str) -> list[SectionText]:
    replaced = [SectionText(name, "replace", tuple(state.main), report)] if state.main != state.own else []
    return replaced + ([SectionText(name, "append", tuple(state.tail), report)] if state.tail else [])


def _compare_tables(
    before: Sequence[Sequence[Sequence[str]]], after: Sequence[Sequence[Sequence[str]]]
) -> list[tuple[Any, ...]]:
    """Tell the cells that differ, table by table; tables are computed, so nothing of them is taken."""
    rows: list[tuple[Any, ...]] = []
    for number, (old, new) in enumerate(zip(before, after, strict=False), start=1):
        where = f"表格 {number} (table)"
        if [len(row) for row in old] != [len(row) for row in new]:
            rows.append((where, "not_taken", True, "", f"{len(old)} 行 (rows)", f"{len(new)} 行 (rows)"))
            continue
        cells = [(one, other) for a, b in zip(old, new, strict=True) for one, other in zip(a, b, strict=True)]
        different = [(" ".join(one.split()), " ".join(other.split())) for one, other in cells]
        rows += [(where, "not_taken", True, f"{a} → {b}", a, b) for a, b in different if a != b]
    if len(before) != len(after):
        rows.append(("", "not_taken", True, "", f"{len(before)} 张表 (tables)", f"{len(after)} 张表 (tables)"))
    return rows
