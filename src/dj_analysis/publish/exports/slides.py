"""What a report says on at most ten slides: one statement each, what shows it, and what is spoken."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from ..blocks import Block
from ..wording import say
from .bars import bars_of
from .document import Document
from .sections import Section, cut_to_width, ems, sections_of, sentences, split_label

MOST_SLIDES = 10
MOST_BARS, MOST_ROWS, MOST_COLUMNS = 12, 8, 7
TITLE_EMS = 122.0  # three lines of 18 points
POINT_EMS = 112.0  # of a paragraph on a slide; in full it stands in the notes
SPOKEN_EMS = 2400.0  # ten minutes of speech: 240 Chinese characters a minute
#: Figures that put units in the colours of warnings; on a slide no unit stands beside such a colour.
COLOURED = ("plot_heat", "plot_response", "plot_warnings")
TALLEST = 1.1  # height by width of a figure that can still be read on a slide
_WARNING_WORDS = re.compile(r"[黑红橙]色|\b(?:black|red|orange)\b", re.IGNORECASE)


@dataclass(frozen=True)
class Slide:
    """One slide.

    Attributes
    ----------
    kind
        ``title``, ``finding`` or ``method``.
    statement
        What its title says.
    points
        Short paragraphs (label, text).
    figures
        Key figures shown large.
    visual
        A figure or table that shows the statement.
    notes
        Paragraphs that are spoken.
    """

    kind: str
    statement: str
    points: tuple[tuple[str, str], ...] = ()
    figures: tuple[Block, ...] = ()
    visual: Block | None = None
    notes: tuple[str, ...] = ()


def slides_of(document: Document) -> list[Slide]:
    """Choose what is shown: the title, the main findings, the most telling sections in their order, methods last."""
    language, names = document.language, _unit_names(document)
    sections = [_discreet(section, names, language) for section in sections_of(document)]
    front = next((section for section in sections if section.title), Section("", 0, ()))
    methods = [section for section in sections if section.is_method(language)]
    rest = [section for section in sections if section is not front and section not in methods and section.blocks]
    opening = next((section for section in rest if section.depth == 0 and section.of_kind("keyfigure")), None)
    slides = [_title(document, front)]
    summary = _summary(front, opening, language)
    slides += [summary] if summary is not None else []
    found = [slide for section in rest if section is not opening and (slide := _finding(section, language)) is not None]
    found = [slide for slide in found if slide.statement not in [one.statement for one in slides]]
    slides += _most_telling(found, MOST_SLIDES - 1 - len(slides))
    return _spoken([*_distinct(slides, language), _method(document, methods)], language)


def _discreet(section: Section, names: set[str], language: str) -> Section:
    """Leave out what puts a unit beside the colour of a warning: figures, tables of warnings, sentences that do both."""
    blocks = []
    for block in section.blocks:
        c = block.content
        if block.kind == "figure" and c.get("plot") in COLOURED:
            continue
        if block.kind == "table" and any(_WARNING_WORDS.search(cell) for row in c["rows"] for cell in row):
            continue
        if block.kind in ("text", "note"):
            kept = [one for one in sentences(c["text"], language) if not _names_beside_colour(one, names)]
            text = ("" if language == "zh" else " ").join(kept)
            if not text:
                continue
            block = Block(block.kind, {**c, "text": text}, block.plan, block.seal)
        blocks.append(block)
    return replace(section, blocks=tuple(blocks))


def _unit_names(document: Document) -> set[str]:
    """Names of units, as the tables of the report name them."""
    names: set[str] = set()
    for block in document.blocks:
        if block.kind == "table":
            places = [i for i, column in enumerate(block.content["columns"]) if column["name"] in ("unit", "other")]
            names |= {row[place] for row in block.content["rows"] for place in places}
    return {name for name in names if len(name) > 1}


def _names_beside_colour(sentence: str, names: set[str]) -> bool:
    return _WARNING_WORDS.search(sentence) is not None and any(name in sentence for name in names)


def _title(document: Document, front: Section) -> Slide:
    title = front.title.replace("\n", "" if document.language == "zh" else " ") or document.meta.get("title", "")
    spoken = [say(document.language, "slide_opening", title=title), *front.paragraphs[:1]]
    return Slide("title", title or "—", notes=tuple(spoken))


def _summary(front: Section, opening: Section | None, language: str) -> Slide | None:
    """Say the main findings: the first sentence with a number, key figures, the paragraphs of the first page."""
    told = opening.paragraphs if opening is not None else []
    spoken = front.paragraphs[1:] or front.paragraphs or told
    candidates = [one for text in (*told, *spoken) for one in sentences(split_label(text)[1], language)]
    if not candidates:
        return None
    statement = next((one for one in candidates if re.search(r"\d", one)), candidates[0])
    pairs = [(label, text.replace(statement, "").strip()) for label, text in map(split_label, spoken)]
    points = tuple((label, cut_to_width(text, POINT_EMS)) for label, text in pairs if text)
    figures = tuple(opening.of_kind("keyfigure")[:4]) if opening is not None else ()
    if not points and not figures:
        return None  # one sentence, which is spoken with the title
    return Slide("finding", _as_title(statement), points, figures, None, tuple(spoken))


def _finding(section: Section, language: str) -> Slide | None:
    """Say what one section found; a section without words is told by the caption of what it shows."""
    visual = _visual(section)
    figures = tuple(section.of_kind("keyfigure")[:4])
    told = [one for text in section.paragraphs for one in sentences(text, language)]
    if not told and visual is None and not figures:
        return None
    unsaid = not told or _stands_before(section, visual)
    if unsaid and visual is not None and visual.kind == "table" and len(visual.content["rows"]) > MOST_BARS:
        return None  # a long list without a word states nothing
    caption = visual.content["caption"] if visual is not None else ""
    statement, points = (told[0], told[1:]) if told else (caption or section.title, [])
    if caption and _stands_before(section, visual):
        statement, points = caption, told  # what is shown first is not what is said later
    notes = tuple(section.paragraphs) or tuple(dict.fromkeys(part for part in (section.title, caption) if part))
    notes += (
        (visual.content["note"],) if visual is not None and visual.kind == "table" and visual.content["note"] else ()
    )
    shown = tuple(("", cut_to_width(one, POINT_EMS)) for one in points)
    return Slide("finding", _as_title(statement), shown, figures, visual, notes)


def _stands_before(section: Section, visual: Block | None) -> bool:
    """Tell whether a figure or table stands before every paragraph of its section."""
    running = [b for b in section.blocks if b is visual or (b.kind == "text" and b.content["place"] == "body")]
    return bool(running) and running[0] is visual


def _visual(section: Section) -> Block | None:
    """Return what shows the section best: a plain bar chart, a figure, a small table."""
    tables, figures = section.of_kind("table"), section.of_kind("figure")
    charts = [table for table in tables if bars_of(table.content, MOST_BARS) is not None]
    readable = [block for block in figures if block.content["height"] <= TALLEST * block.content["width"]]
    small = [block for block in tables if block.content["rows"] and len(block.content["columns"]) <= MOST_COLUMNS]
    return next(iter([*readable, *charts, *small]), None)


def _as_title(sentence: str) -> str:
    return cut_to_width(sentence, TITLE_EMS).rstrip("。. ").strip() or "—"


def _most_telling(slides: Sequence[Slide], most: int) -> list[Slide]:
    """Keep what says and shows something before what does one of both, and earlier before later; the order stays."""
    ranked = sorted(range(len(slides)), key=lambda i: (-_telling(slides[i]), i))
    return [slides[i] for i in sorted(ranked[:most])]


def _telling(slide: Slide) -> int:
    said = slide.visual is None or slide.statement != _as_title(slide.visual.content["caption"])
    return 2 * said + (slide.visual is not None or bool(slide.figures))


def _distinct(slides: Sequence[Slide], language: str) -> list[Slide]:
    """Number titles that would say the same words twice."""
    mark = "（{}）" if language == "zh" else " ({})"
    seen: dict[str, int] = {}
    result = []
    for slide in slides:
        seen[slide.statement] = count = seen.get(slide.statement, 0) + 1
        result.append(slide if count == 1 else replace(slide, statement=f"{slide.statement}{mark.format(count)}"))
    return result


def _method(document: Document, methods: Sequence[Section]) -> Slide:
    told = [text for section in methods for text in section.paragraphs]
    limits = [document.meta.get(name, "") for name in ("purpose", "limits", "correction")]
    spoken = [text for text in limits if text]
    points = tuple(("", text) for text in [*spoken, *told])
    statement = say(document.language, "slide_method")
    return Slide("method", statement, points, notes=tuple(spoken or told or [statement]))


def _spoken(slides: Sequence[Slide], language: str) -> list[Slide]:
    """Cut the notes to ten minutes in all: what short ones leave goes to the long ones."""
    wanted = [sum(map(ems, slide.notes)) for slide in slides]
    most, left = 0.0, SPOKEN_EMS
    for number, width in enumerate(sorted(wanted)):
        most = left / (len(wanted) - number)
        if width > most:
            break
        left -= width
    return [replace(slide, notes=_cut(slide.notes or (slide.statement,), most, language)) for slide in slides]


def _cut(paragraphs: Sequence[str], most: float, language: str) -> tuple[str, ...]:
    """Keep whole sentences up to a length, at least one."""
    kept: list[str] = []
    length = 0.0
    for text in paragraphs:
        inside: list[str] = []
        for sentence in sentences(text, language):
            if length and length + ems(sentence) > most:
                return (*kept, ("" if language == "zh" else " ").join(inside)) if inside else tuple(kept)
            inside.append(cut_to_width(sentence, max(most, 40.0)))
            length += ems(sentence)
        kept.append(("" if language == "zh" else " ").join(inside))
    return tuple(kept)
