"""An author's own paragraphs put into the document of a report, section by section."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from ..errors import DataError, DjWarning, Problems
from .blocks import Block
from .exports.document import Document
from .named_numbers import NamedNumbers
from .texts import (
    GAP,
    OWN_PARAGRAPH,
    SectionText,
    changed_numbers,
    names_in,
    read_texts,
    source_parts,
    texts_digest,
    texts_for,
    texts_name,
    typed_in,
    unescaped,
    without_spaces,
)

END_PLACES = (
    "mark",
    "letterhead",
    "number",
    "remark",
    "copies",
    "imprint",
)  # elements of the document, no section's own


@dataclass(frozen=True)
class SectionPlace:
    """A heading with what follows it up to the next one.

    Attributes
    ----------
    start, stop
        Places of the heading and of what follows the section, in the blocks of its document.
    own
        Places of its paragraphs and remarks.
    """

    name: str
    number: str
    start: int
    stop: int
    own: tuple[int, ...]


@dataclass(frozen=True)
class Origin:
    """Where a paragraph comes from: the section's own by number, or an author's source."""

    section: str
    own: int = 0
    source: str = ""


@dataclass(frozen=True)
class AuthorsTexts:
    """What an author wrote for one report, ready to be put into its document."""

    texts: Sequence[SectionText] = ()
    numbers: NamedNumbers = field(default_factory=NamedNumbers)
    file: str = ""

    @classmethod
    def read(cls, path: Path, report: str, numbers: NamedNumbers | None) -> AuthorsTexts:
        """Read what there is for a report; see :func:`texts_of`."""
        named = numbers if numbers is not None else NamedNumbers()
        texts = texts_of(path, report, named)
        return cls(texts, named, texts_name(path))

    def waves_beside(self, waves: Sequence[tuple[str, str]]) -> list[tuple[str, str]]:
        """Return these waves and those that the numbers named in the texts are of."""
        return sorted({*waves, *(self.numbers.waves if names_in(self.texts) else ())})

    def put_into(self, document: Document) -> Document:
        """Return the document with the texts in it.

        Warnings list the numbers typed by hand, and those that have changed in the sentences that an author has edited.
        """
        whole = with_texts(document, self.texts, self.numbers, self.file)
        if changed := self._changed(document):
            listed = "; ".join(changed)
            warnings.warn(
                f"修改过的段落,原句数字已变 (numbers changed since the sentence was edited): {self.file}: {listed}",
                DjWarning,
                stacklevel=3,
            )
        if typed := typed_in(self.texts):
            listed = "; ".join(f"{section}: {number}" for section, number in typed)
            warnings.warn(f"手工数字 (typed by hand, the author's own): {self.file}: {listed}", DjWarning, stacklevel=3)
        return whole

    def _changed(self, document: Document) -> list[str]:
        """Compare the sentences that were edited, as they were then, with what the package computes now."""
        parts, changed = sections(document.blocks), []
        for text in self.texts:
            part = section_named(text.section, parts)
            for own, was, _ in map(source_parts, text.paragraphs):
                if part is not None and 0 < own <= len(part.own):
                    now = str(document.blocks[part.own[own - 1]].content["text"])
                    numbers = changed_numbers(was, now)
                    changed += [f"{part.name} 本段 {own}: {numbers}"] if numbers else []
        return changed

    @property
    def manifest(self) -> dict[str, object]:
        """What the record keeps of the texts: their hash, and the numbers typed by hand."""
        typed = [list(one) for one in typed_in(self.texts)]
        return {"texts": {"sha256": texts_digest(self.texts), "typed": typed}} if self.texts else {}


def texts_of(path: Path, report: str, numbers: NamedNumbers) -> list[SectionText]:
    """Read what an author wrote for one report, and see that every number it names is there; before a report is run.

    Raises
    ------
    DataError
        As :func:`read_texts`; and names of numbers that there are not.
    """
    texts, problems = texts_for(read_texts(path), report), Problems()
    for text in texts:
        _check_names(text, numbers, f"{texts_name(path)} 第{text.line}行/line", problems)
    problems.raise_if_any(DataError)
    return texts


def sections(blocks: Sequence[Block]) -> list[SectionPlace]:
    """Part a document at its headings; sections of one name are told apart as ``NAME [2]``."""
    starts = [place for place, block in enumerate(blocks) if block.kind == "heading"]
    found, named = [], dict[str, int]()
    for start, following in zip(starts, [*starts[1:], len(blocks)], strict=False):
        inside = [
            place for place in range(start + 1, following) if blocks[place].content.get("place") not in END_PLACES
        ]
        own = tuple(place for place in inside if blocks[place].kind in ("text", "note"))
        name = "".join(str(blocks[start].content["text"]).split("\n"))
        named[name] = named.get(name, 0) + 1
        nth = f" [{named[name]}]" if named[name] > 1 else ""
        number, stop = blocks[start].content.get("number", ""), max([start, *inside]) + 1
        found.append(SectionPlace(name + nth, number, start, stop, own))
    return found


def arranged(
    blocks: Sequence[Block], texts: Sequence[SectionText], numbers: NamedNumbers, file: str
) -> list[tuple[Block, Origin | None]]:
    """Put an author's paragraphs into the blocks of a document; each paragraph with where it comes from.

    Raises
    ------
    DataError
        Lists each section, own paragraph and name of a number that there is not, with those there are.
    """
    problems, parts = Problems(), sections(blocks)
    origins: dict[int, Origin] = {
        place: Origin(part.name, own) for part in parts for own, place in enumerate(part.own, start=1)
    }
    instead: dict[int, list[tuple[Block, Origin | None]]] = {}
    after: dict[int, list[tuple[Block, Origin | None]]] = {}
    for text in texts:
        where = f"{file} 第{text.line}行/line"
        part = section_named(text.section, parts)
        if part is None:
            problems.add(where, "section", text.section, "、".join(one.name for one in parts))
            continue
        if text.mode == "replace" and any(place in instead for place in part.own):
            problems.add(where, "twice", text.section, "一节只能替换一次 (a section is replaced once)")
        _check(text, part, numbers, where, problems)
        if not problems:
            _place(text, part, blocks, numbers, instead, after)
    problems.raise_if_any(DataError)
    result: list[tuple[Block, Origin | None]] = []
    for place, block in enumerate(blocks):
        result += instead.get(place, [(block, origins.get(place))])
        result += after.get(place, [])
    return result


def with_texts(document: Document, texts: Sequence[SectionText], numbers: NamedNumbers, file: str) -> Document:
    """Return a document with an author's paragraphs in it; see :func:`arranged`."""
    if not texts:
        return document
    return replace(document, blocks=tuple(block for block, _ in arranged(document.blocks, texts, numbers, file)))


def section_named(name: str, parts: Sequence[SectionPlace]) -> SectionPlace | None:
    """Find the section that a heading names, with or without its number."""
    wanted = without_spaces(name)
    return next(
        (one for one in parts if wanted in (without_spaces(one.name), without_spaces(one.number + one.name))), None
    )


def _check(text: SectionText, part: SectionPlace, numbers: NamedNumbers, where: str, problems: Problems) -> None:
    kept = [int(match[1]) for one in text.paragraphs if (match := OWN_PARAGRAPH.match(one))]
    if kept and (text.mode == "append" or kept != sorted(set(kept)) or not 1 <= kept[0] <= kept[-1] <= len(part.own)):
        allowed = f"1–{len(part.own)},依次各一次,只用于 {{replace}} (in order, once each, with replace)"
        problems.add(where, "own_paragraph", ", ".join(map(str, kept)), allowed)
    _check_names(text, numbers, where, problems)


def _check_names(text: SectionText, numbers: NamedNumbers, where: str, problems: Problems) -> None:
    for name in names_in([text]):
        if name not in numbers:
            problems.add(where, "name", f"{{{{{name}}}}}", "、".join(numbers.names) or "(无/none)")


def _place(
    text: SectionText,
    part: SectionPlace,
    blocks: Sequence[Block],
    numbers: NamedNumbers,
    instead: dict[int, list[tuple[Block, Origin | None]]],
    after: dict[int, list[tuple[Block, Origin | None]]],
) -> None:
    """Say what stands in the place of which block, and what after it."""

    def authors(source: str, like: Block | None) -> tuple[Block, Origin]:
        words = unescaped(GAP.sub(lambda gap: numbers.value(gap[1]), source_parts(source)[2]))
        block = (
            Block(like.kind, {**_place_of(like), "text": words})
            if like
            else Block("text", {"text": words, "place": "body"})
        )
        return block, Origin(part.name, source=source)

    if text.mode == "append":
        after.setdefault(part.stop - 1, []).extend(authors(one, None) for one in text.paragraphs)
        return
    for own in part.own:
        instead[own] = []
    last, waiting = part.start, list(part.own)
    for at, source in enumerate(text.paragraphs):
        kept = OWN_PARAGRAPH.match(source)
        if kept:
            last = part.own[int(kept[1]) - 1]
            instead[last] = [(blocks[last], Origin(part.name, int(kept[1])))]
            waiting = [own for own in waiting if own > last]
            continue
        next_kept = next((int(m[1]) for one in text.paragraphs[at:] if (m := OWN_PARAGRAPH.match(one))), None)
        free = waiting[:1] if waiting and (next_kept is None or waiting[0] < part.own[next_kept - 1]) else []
        if free:
            last = free[0]
            waiting = waiting[1:]
            instead[last] = [authors(source, blocks[last])]
        else:
            after.setdefault(last, []).append(authors(source, None))


def _place_of(block: Block) -> dict[str, str]:
    return {"place": block.content["place"]} if "place" in block.content else {}
