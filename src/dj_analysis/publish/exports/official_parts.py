"""Blocks before and after the text of a report: the head and the imprint of an official document (版头, 版记)."""

from __future__ import annotations

from datetime import date

from ...spec.official import Official
from ..blocks import Block
from ..wording import say


def head_blocks(official: Official, language: str) -> list[Block]:
    """Return secrecy, urgency, letterhead and the line above the rule; an element that is not declared leaves no line."""
    secrecy = official.secrecy or say(language, "secrecy")
    blocks = [_text(words, "mark") for words in (secrecy, official.urgency) if words]
    titled = official.letterhead or (official.kind if official.kind in ("呈阅件", "简报") else "")
    blocks += [_text(titled, "letterhead")] if titled else []
    issue = say(language, "issue_number", issue=official.issue) if official.issue else ""
    signer = say(language, "signed_by", signer=official.signer) if official.signer else ""
    left, right = [part for part in (official.number, issue) if part], signer
    if titled or left or right:
        blocks.append(Block("text", {"text": "　".join(left), "right": right, "place": "number"}))
    return blocks


def end_blocks(official: Official, language: str) -> list[Block]:
    """Return the remark, the copies and the imprint."""
    blocks = [_text(say(language, "remark", remark=official.remark), "remark")] if official.remark else []
    blocks += [_text(say(language, "copies", copies=official.copies), "copies")] if official.copies else []
    if official.printed_by or official.printed_on:
        printed = say(language, "printed_on", day=_day(official.printed_on, language)) if official.printed_on else ""
        blocks.append(Block("text", {"text": official.printed_by, "right": printed, "place": "imprint"}))
    return blocks


def correction_blocks(reasons: str, language: str) -> list[Block]:
    """Return the page that tells of a correction (更正说明); nothing where nothing was corrected."""
    if not reasons:
        return []
    told = say(language, "correction_told", reasons=reasons)
    return [Block("heading", {"text": say(language, "correction_title"), "depth": 0}), _text(told, "body")]


def _text(words: str, place: str) -> Block:
    return Block("text", {"text": words, "place": place})


def _day(text: str, language: str) -> str:
    """Write a date as official documents do: Arabic figures without leading zeros (GB/T 9704-2012, 7.3.5.4)."""
    day = date.fromisoformat(text)
    return f"{day.year}年{day.month}月{day.day}日" if language == "zh" else f"{day.day} {day:%B} {day.year}"
