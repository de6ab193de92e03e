"""Sections of a report: what stands below one title or one heading of the first depth."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from ..blocks import Block
from ..wording import words
from .document import Document

_METHODS = ("h_notes", "a_notes", "h_bm_notes", "h_methods")  # headings of sections about how numbers come about
_ZH_SENTENCE = re.compile(r".+?(?:[。！？](?:[”’）])?|$)", re.DOTALL)
_EN_SENTENCE = re.compile(r".+?(?:[.!?][\"”’)]?(?=\s+[A-Z“(]|\s*$)|$)", re.DOTALL)
_LABEL = re.compile(r"^\s*(?:[一二三四五六七八九十]+、|\d+\.\s*)([^。.:：]{2,24})[。.:：]\s*")


@dataclass(frozen=True)
class Section:
    """Blocks below one heading.

    Attributes
    ----------
    title
        Words of the heading without its number; empty before the first one.
    depth
        0 of a title, 1 of a heading.
    blocks
        What follows, without the heading.
    """

    title: str
    depth: int
    blocks: tuple[Block, ...]

    @property
    def paragraphs(self) -> list[str]:
        """Paragraphs of the running text."""
        return [b.content["text"] for b in self.blocks if b.kind == "text" and b.content["place"] == "body"]

    def of_kind(self, kind: str) -> list[Block]:
        """Return the blocks of one kind."""
        return [block for block in self.blocks if block.kind == kind]

    def is_method(self, language: str) -> bool:
        """Tell whether the section says how numbers come about."""
        return self.title in [words(language)[key] for key in _METHODS]


def sections_of(document: Document) -> list[Section]:
    """Part a document at its titles and headings of the first depth; deeper headings stay within."""
    parts: list[tuple[str, int, list[Block]]] = [("", 0, [])]
    end = len(document.blocks) - len(document.imprint)
    for block in document.blocks[:end]:
        if block.kind == "heading" and block.content["depth"] <= 1:
            parts.append((block.content["text"], block.content["depth"], []))
        else:
            parts[-1][2].append(block)
    return [Section(title, depth, tuple(blocks)) for title, depth, blocks in parts if title or blocks]


def sentences(paragraph: str, language: str) -> list[str]:
    """Part a paragraph into its sentences."""
    pattern = _ZH_SENTENCE if language == "zh" else _EN_SENTENCE
    return [sentence for found in pattern.findall(paragraph) if (sentence := found.strip())]


def split_label(paragraph: str) -> tuple[str, str]:
    """Part the label that opens a numbered paragraph from what follows: 一、总体情况。应参加… → 总体情况, 应参加…."""
    found = _LABEL.match(paragraph)
    rest = paragraph[found.end() :].strip() if found else paragraph
    return (found[1], rest) if found and rest else ("", paragraph)


def ems(text: str) -> float:
    """Estimate how wide a line of text is, in its own size: a Chinese character is 1."""
    return sum(1.0 if ord(letter) > 0x2E7F else 0.7 if letter.isupper() else 0.56 for letter in text)


def cut_to_width(text: str, most: float) -> str:
    """Cut a text to a width in ems: at the end of a sentence or clause, a list within with 等, else with an ellipsis."""
    if ems(text) <= most:
        return text
    for marks, ending in (("。！？", "。"), ("；;，,", "…"), ("、", "等。")):
        ends = [
            i for i, letter in enumerate(text) if letter in marks and _closed(text[:i]) and ems(text[:i]) <= most - 2
        ]
        if ends and ems(text[: ends[-1]]) >= most / 3:
            return text[: ends[-1]].rstrip() + ending
    kept = ""
    for letter in text:
        if ems(kept + letter) > most - 1:
            break
        kept += letter
    return kept.rstrip() + "…"


def _closed(text: str) -> bool:
    """Tell whether every bracket that opens is closed: a statement must not lose what stands in brackets."""
    return all(text.count(a) == text.count(b) for a, b in ("（）", "()", "“”", "《》"))


def lines_of(texts: Sequence[str], width: float) -> int:
    """Estimate the lines that paragraphs take in a width in ems."""
    return sum(max(1, -int(-ems(part) // width)) for text in texts for part in (text.split("\n") or [""]))
