"""An author's own paragraphs for a report, by section, kept in ``texts/{period}/{unit}.md``.

The file is plain text::

    # quarterly
    ## 总体情况 {replace}
    {{本段 1}}

    本季度指数{{指数}}分，比上季度{{指数.环比}}。

    ## 说明 {append}
    补充说明一段。

``# NAME`` begins what belongs to one report; what stands before it belongs to every report of the period and unit, and gives
way to what a report has for the same section. ``## HEADING`` names a section by its heading, with or without its number;
``[2]`` after it means the second section of that name. ``{replace}`` puts the paragraphs in place of the section's own,
``{append}`` (also where nothing is said) adds them at its end; tables and figures stay. ``{{本段 2}}`` alone is the
section's own second paragraph, computed anew in each run. Other ``{{ … }}`` are numbers of protected results.
"""

from __future__ import annotations

import hashlib
import re
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from ..errors import DataError, DjWarning, Problems
from .blocks import Block
from .exports.document import Document
from .named_numbers import NamedNumbers

END_PLACES = (
    "mark",
    "letterhead",
    "number",
    "remark",
    "copies",
    "imprint",
)  # elements of the document, no section's own
_OWN = re.compile(r"^\{\{\s*(?:本段|own)\s*(\d+)\s*\}\}$")
_GAP = re.compile(r"(?<!\\)\{\{\s*(.*?)\s*\}\}")
_HEAD = re.compile(r"^##\s+(.*?)\s*(?:\{\s*([^{}]*?)\s*\})?\s*$")
_ESCAPED = re.compile(r"\\([\\#{-])")
_NUMBER = re.compile(
    r"(?<![A-Za-z0-9.第])\d[\d,]*+(?:\.\d++)?+(?![A-Za-z年月日号季期])(?:\s*(?:%|％|个百分点|分|人|个|家|次|项))?"
)
MODES = ("replace", "append")


@dataclass(frozen=True)
class SectionText:
    """What an author wrote for one section.

    Attributes
    ----------
    report
        The report it belongs to; "" for every report.
    paragraphs
        As they stand in the file: gaps not filled, signs escaped.
    line
        Where its heading stands in the file.
    """

    section: str
    mode: str
    paragraphs: tuple[str, ...]
    report: str = ""
    line: int = 0


@dataclass(frozen=True)
class Section:
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
        """Return the document with the texts in it; numbers typed by hand are listed in a warning."""
        whole = with_texts(document, self.texts, self.numbers, self.file)
        if typed := typed_in(self.texts):
            listed = "; ".join(f"{section}: {number}" for section, number in typed)
            warnings.warn(f"手工数字 (typed by hand, the author's own): {self.file}: {listed}", DjWarning, stacklevel=3)
        return whole

    @property
    def manifest(self) -> dict[str, object]:
        """What the record keeps of the texts: their hash, and the numbers typed by hand."""
        typed = [list(one) for one in typed_in(self.texts)]
        return {"texts": {"sha256": texts_digest(self.texts), "typed": typed}} if self.texts else {}


def read_texts(path: Path) -> list[SectionText]:
    """Read a file of an author's paragraphs; where there is none there are no paragraphs.

    Raises
    ------
    DataError
        Lists each word after a heading that is neither replace nor append, and text that stands in no section.
    """
    if not path.exists():
        return []
    problems, texts, report = Problems(), [], ""
    for number, line in enumerate(path.read_text(encoding="utf-8-sig").splitlines(), start=1):
        where = f"{texts_name(path)} 第{number}行/line"
        head = _HEAD.match(line)
        if head:
            mode = head[2] or "append"
            if mode not in MODES:
                problems.add(where, "mode", mode, ", ".join(MODES))
            texts.append(SectionText(head[1], mode, ("",), report, number))
        elif line.startswith("# "):
            report = line[2:].strip()
        elif not line.strip():
            if texts:
                texts[-1] = replace(texts[-1], paragraphs=(*texts[-1].paragraphs, ""))
        elif not texts or texts[-1].report != report:
            problems.add(where, "no_section", line.strip()[:30], "## 标题 (a heading of the report)")
        else:
            *before, last = texts[-1].paragraphs
            texts[-1] = replace(texts[-1], paragraphs=(*before, _joined(last, line.strip())))
    problems.raise_if_any(DataError)
    return [replace(text, paragraphs=tuple(one for one in text.paragraphs if one)) for text in texts]


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


def texts_name(path: Path) -> str:
    """Return how a file of texts is named in messages."""
    return f"texts/{path.parent.name}/{path.name}"


def texts_for(texts: Sequence[SectionText], report: str) -> list[SectionText]:
    """Return what belongs to a report: its own, and of those for every report the sections it has nothing for."""
    own = [text for text in texts if text.report == report]
    taken = {_plain_name(text.section) for text in own}
    return own + [text for text in texts if not text.report and _plain_name(text.section) not in taken]


def write_texts(path: Path, texts: Sequence[SectionText]) -> None:
    """Write the file that :func:`read_texts` reads, whole or not at all."""
    lines, report = [], ""
    for text in sorted(texts, key=lambda one: one.report):
        if text.report != report:
            report = text.report
            lines += [f"# {report}", ""]
        lines += [f"## {text.section} {{{text.mode}}}", "", *(part for one in text.paragraphs for part in (one, ""))]
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f".{path.name}.tmp")
    beside.write_text("\n".join(lines), encoding="utf-8")
    beside.replace(path)


def escaped(words: str) -> str:
    """Return words so that they are read back as they are."""
    words = " ".join(words.split()).replace("\\", "\\\\").replace("{{", "\\{\\{")
    return f"\\{words}" if words[:1] in ("#", "-") else words


def sections(blocks: Sequence[Block]) -> list[Section]:
    """Part a document at its headings; sections of one name are told apart as ``NAME [2]``."""
    starts = [place for place, block in enumerate(blocks) if block.kind == "heading"]
    found, named = [], dict[str, int]()
    for start, following in zip(starts, [*starts[1:], len(blocks)], strict=True):
        inside = [
            place for place in range(start + 1, following) if blocks[place].content.get("place") not in END_PLACES
        ]
        own = tuple(place for place in inside if blocks[place].kind in ("text", "note"))
        name = "".join(str(blocks[start].content["text"]).split("\n"))
        named[name] = named.get(name, 0) + 1
        nth = f" [{named[name]}]" if named[name] > 1 else ""
        number, stop = blocks[start].content.get("number", ""), max([start, *inside]) + 1
        found.append(Section(name + nth, number, start, stop, own))
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


def section_named(name: str, parts: Sequence[Section]) -> Section | None:
    """Find the section that a heading names, with or without its number."""
    wanted = _plain_name(name)
    return next((one for one in parts if wanted in (_plain_name(one.name), _plain_name(one.number + one.name))), None)


def texts_digest(texts: Sequence[SectionText]) -> str:
    """Return a hash of what an author wrote, "" for nothing."""
    content = repr([(text.section, text.mode, text.paragraphs) for text in texts])
    return hashlib.sha256(content.encode()).hexdigest() if texts else ""


def names_in(texts: Sequence[SectionText]) -> list[str]:
    """Return the names of numbers that the paragraphs ask for."""
    paragraphs = [one for text in texts for one in text.paragraphs if not _OWN.match(one)]
    return list(dict.fromkeys(name for one in paragraphs for name in _GAP.findall(one)))


def typed_in(texts: Sequence[SectionText]) -> list[tuple[str, str]]:
    """Return the numbers typed by hand (手工数字), each with its section: they are the author's own."""
    return [
        (text.section, number.strip())
        for text in texts
        for one in text.paragraphs
        if not _OWN.match(one)
        for number in _NUMBER.findall(_GAP.sub("", re.sub(r"^\d+[.．、)]\s*", "", one)))
    ]


def numbers_of(words: str) -> list[str]:
    """Return the numbers in a sentence as they stand there, years and ordinals apart."""
    return [number.strip() for number in _NUMBER.findall(words)]


def _joined(before: str, line: str) -> str:
    """Join the lines of a paragraph: Chinese without a space."""
    apart = before and before[-1].isascii() and line[0].isascii()
    return f"{before} {line}" if apart else before + line


def _plain_name(name: str) -> str:
    return "".join(name.split())


def _check(text: SectionText, part: Section, numbers: NamedNumbers, where: str, problems: Problems) -> None:
    kept = [int(match[1]) for one in text.paragraphs if (match := _OWN.match(one))]
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
    part: Section,
    blocks: Sequence[Block],
    numbers: NamedNumbers,
    instead: dict[int, list[tuple[Block, Origin | None]]],
    after: dict[int, list[tuple[Block, Origin | None]]],
) -> None:
    """Say what stands in the place of which block, and what after it."""

    def authors(source: str, like: Block | None) -> tuple[Block, Origin]:
        words = _ESCAPED.sub(r"\1", _GAP.sub(lambda gap: numbers.value(gap[1]), source))
        words = f"• {words[2:]}" if source.startswith("- ") else words
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
        kept = _OWN.match(source)
        if kept:
            last = part.own[int(kept[1]) - 1]
            instead[last] = [(blocks[last], Origin(part.name, int(kept[1])))]
            waiting = [own for own in waiting if own > last]
            continue
        next_kept = next((int(m[1]) for one in text.paragraphs[at:] if (m := _OWN.match(one))), None)
        free = waiting[:1] if waiting and (next_kept is None or waiting[0] < part.own[next_kept - 1]) else []
        if free:
            last = free[0]
            waiting = waiting[1:]
            instead[last] = [authors(source, blocks[last])]
        else:
            after.setdefault(last, []).append(authors(source, None))


def _place_of(block: Block) -> dict[str, str]:
    return {"place": block.content["place"]} if "place" in block.content else {}
