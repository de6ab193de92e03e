"""What of a long table stands on paper: its first rows, its last ones, and those that are marked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from ...spec.columns import columns
from ..blocks import Block
from ..wording import say
from .document import Document

LONGEST = 60  # rows of a table on paper; a longer one is shortened, and the Excel file and the web page hold all of it
FIRST, LAST = 20, 10  # rows kept of a longer one
#: Columns that mark a row: a warning, an award, a place at the cut, a difference beyond error, a value outside its limits.
MARKS = ("warning", "awarded", "tie", "outside", "real", "running")
GAP = "…"


def on_paper(document: Document) -> Document:
    """Return a document as it is printed: long tables shortened, which is said below them."""
    return replace(document, blocks=tuple(_shortened(block, document.language) for block in document.blocks))


def _shortened(block: Block, language: str) -> Block:
    if block.kind != "table" or len(block.content["rows"]) <= block.content.get("rows_on_paper", LONGEST):
        return block
    c = block.content
    total, first = len(c["rows"]), c.get("rows_on_paper")
    kept = list(range(first)) if first is not None else _first_last_marked(c)
    if len(kept) == total:
        return block
    rows, values = list[list[str]](), list[list[Any]]()
    for place, row in enumerate(kept):
        if place and row > kept[place - 1] + 1:
            rows.append([GAP, *[""] * (len(c["columns"]) - 1)])
            values.append([None] * len(c["columns"]))
        rows.append(c["rows"][row])
        values.append(c["values"][row])
    number = str(c.get("number", "")).strip("　. ") or c["caption"]
    if first is not None:
        told = say(language, "table_first", total=total, first=first, number=number)
    else:
        told = say(language, "table_shortened", total=total, first=FIRST, last=LAST, number=number)
    note = (" " if language == "en" and c["note"] else "").join([c["note"], told])
    return replace(block, content={**c, "rows": rows, "values": values, "note": note})


def _first_last_marked(content: Mapping[str, Any]) -> list[int]:
    total, marked = len(content["rows"]), _marked(content)
    return [row for row in range(total) if row < FIRST or row >= total - LAST or row in marked]


def _marked(content: Mapping[str, Any]) -> set[int]:
    """Places of the rows with a mark in one of the columns that give one."""
    places = {
        place: _marks(column["name"]) for place, column in enumerate(content["columns"]) if column["name"] in MARKS
    }
    return {
        row
        for row, cells in enumerate(content["rows"])
        if any(cells[place] in marks if marks else cells[place] not in ("", "—") for place, marks in places.items())
    }


def _marks(name: str) -> set[str]:
    """What a column says of a marked row, in any language; empty where whatever stands there is a mark."""
    return set(columns()[name].words.get(True, {}).values())
