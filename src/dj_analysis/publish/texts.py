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
section's own second paragraph, computed anew in each run. ``<!-- 原文 2：… -->`` before a paragraph keeps the words that it
was edited from: a run tells where the numbers in them have changed since. Other ``{{ … }}`` are numbers of protected results.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from ..errors import DataError, Problems

OWN_PARAGRAPH = re.compile(r"^\{\{\s*(?:本段|own)\s*(\d+)\s*\}\}$")
GAP = re.compile(r"(?<!\\)\{\{\s*(.*?)\s*\}\}")
MODES = ("replace", "append")
_HEAD = re.compile(r"^##\s+(.*?)\s*(?:\{\s*([^{}]*?)\s*\})?\s*$")
_EDITED_FROM = re.compile(r"^<!--\s*(?:原文|was)\s*(\d+)\s*[：:]\s*(.*?)\s*-->\s*(.*)$", re.DOTALL)
_ESCAPED = re.compile(r"\\([\\#{<-])")
_NUMBER = re.compile(
    r"(?<![A-Za-z0-9.第])\d[\d,]*+(?:\.\d++)?+(?![A-Za-z年月日号季期])(?:\s*(?:%|％|个百分点|分|人|个|家|次|项))?"
)


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


def texts_name(path: Path) -> str:
    """Return how a file of texts is named in messages."""
    return f"texts/{path.parent.name}/{path.name}"


def texts_for(texts: Sequence[SectionText], report: str) -> list[SectionText]:
    """Return what belongs to a report: its own, and of those for every report the sections it has nothing for."""
    own = [text for text in texts if text.report == report]
    taken = {without_spaces(text.section) for text in own}
    return own + [text for text in texts if not text.report and without_spaces(text.section) not in taken]


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
    return f"\\{words}" if words[:1] in ("#", "-", "<") else words


def unescaped(source: str) -> str:
    """Return a source as it is read: a dash at its beginning makes an item of a list, signs may stand behind a backslash."""
    return _ESCAPED.sub(r"\1", f"• {source[2:]}" if source.startswith("- ") else source)


def edited_from(source: str, own: int, was: str) -> str:
    """Return a source that keeps which paragraph of its section it was edited from, and what that said."""
    return f"<!-- 原文 {own}：{' '.join(was.split()).replace('--', '——')} -->\n{source}"


def source_parts(source: str) -> tuple[int, str, str]:
    """Part a source: the paragraph of its section that it was edited from (0 for none), what that said, its own words."""
    kept = _EDITED_FROM.match(source)
    return (int(kept[1]), kept[2], kept[3]) if kept else (0, "", source)


def changed_numbers(before: str, after: str) -> str:
    """Return the numbers that only one of two sentences has, each side in its order; "" where they have the same."""
    old, new = numbers_of(before), numbers_of(after)
    gone, come = [one for one in old if one not in new], [one for one in new if one not in old]
    return f"{'、'.join(gone) or '—'} → {'、'.join(come) or '—'}" if gone or come else ""


def texts_digest(texts: Sequence[SectionText]) -> str:
    """Return a hash of what an author wrote, "" for nothing."""
    content = repr([(text.section, text.mode, text.paragraphs) for text in texts])
    return hashlib.sha256(content.encode()).hexdigest() if texts else ""


def names_in(texts: Sequence[SectionText]) -> list[str]:
    """Return the names of numbers that the paragraphs ask for."""
    return list(dict.fromkeys(name for text in texts for one in _authors(text) for name in GAP.findall(one)))


def typed_in(texts: Sequence[SectionText]) -> list[tuple[str, str]]:
    """Return the numbers typed by hand (手工数字), each with its section: they are the author's own."""
    return [
        (text.section, number.strip())
        for text in texts
        for one in _authors(text)
        for number in _NUMBER.findall(GAP.sub("", re.sub(r"^\d+[.．、)]\s*", "", one)))
    ]


def numbers_of(words: str) -> list[str]:
    """Return the numbers in a sentence as they stand there, years and ordinals apart."""
    return [number.strip() for number in _NUMBER.findall(words)]


def _authors(text: SectionText) -> list[str]:
    """Return the paragraphs that are an author's, in his words."""
    return [source_parts(one)[2] for one in text.paragraphs if not OWN_PARAGRAPH.match(one)]


def _joined(before: str, line: str) -> str:
    """Join the lines of a paragraph: Chinese without a space."""
    if before.startswith("<!--") and before.endswith("-->"):
        return f"{before}\n{line}"
    apart = before and before[-1].isascii() and line[0].isascii()
    return f"{before} {line}" if apart else before + line


def without_spaces(name: str) -> str:
    """Return a heading without spaces, as it is compared."""
    return "".join(name.split())
