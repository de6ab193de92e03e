"""Blocks of a report as fragments of HTML."""

from __future__ import annotations

import re
from collections.abc import Mapping
from html import escape
from typing import Any

_WRITTEN_NUMBER = re.compile(r"[+−-]?\d[\d,]*(?:\.\d+)?")
_MISSING = ("", "—")


def fragment(kind: str, content: Mapping[str, Any], anchor: str = "") -> str:
    """Return a block as HTML; every text in it is escaped.

    Parameters
    ----------
    anchor
        The ``id`` that a heading is found by.
    """
    c = content
    if kind == "heading":
        level, place = c["depth"] + 1, f' id="{escape(anchor)}"' if anchor else ""
        return f"<h{level}{place}>{escape(c.get('number', '') + c['text']).replace(chr(10), '<br>')}</h{level}>"
    if kind == "text" and c.get("right") is not None:
        return f'<p class="{escape(c["place"])}"><span>{escape(c["text"])}</span><span>{escape(c["right"])}</span></p>'
    if kind == "text":
        return f'<p class="{escape(c["place"])}">{escape(c["text"])}</p>'
    if kind in ("note", "recomputation"):
        return f'<p class="note">{escape(c["text"])}</p>'
    if kind == "keyfigure":
        parts = "".join(f'<div class="{part}">{escape(c[part])}</div>' for part in ("label", "value", "detail"))
        return f'<div class="keyfigure">{parts}</div>'
    if kind == "figure":
        return f'<figure role="img" aria-label="{escape(c["alt"])}">{c["svg"]}{figure_caption(c)}</figure>'
    return _table(c)


def figure_caption(content: Mapping[str, Any]) -> str:
    """Return the caption of a figure with its number."""
    note = f'<span class="note">{escape(content["note"])}</span>' if content.get("note") else ""
    return f"<figcaption>{escape(content.get('number', '') + content['caption'])}{note}</figcaption>"


def _table(c: Mapping[str, Any]) -> str:
    """Return a table whose headers are told to a screen reader and whose numbers can be sorted by value."""
    kinds = ["text" if column["kind"] == "text" else "figure" for column in c["columns"]]
    head = "".join(_header(kind, column["label"]) for kind, column in zip(kinds, c["columns"], strict=True))
    body = "".join(
        "<tr>" + "".join(_cell(place, kinds[place], cell) for place, cell in enumerate(row)) + "</tr>"
        for row in c["rows"]
    )
    title = c.get("number", "") + c["caption"] if c["caption"] else ""
    caption = f"<caption>{escape(title)}</caption>" if title else ""
    note = f'<p class="note">{escape(c["note"])}</p>' if c["note"] else ""
    named = f' aria-label="{escape(title)}"' if title else ""
    # A table wider than the page is moved sideways inside its frame, by the keyboard too.
    return (
        f'<div class="table-frame" role="group"{named} tabindex="0"><table>{caption}<thead><tr>{head}</tr></thead>'
        f"<tbody>{body}</tbody></table></div>{note}"
    )


def _header(kind: str, label: str) -> str:
    return f'<th scope="col" class="{kind}">{escape(label)}</th>' if label else f'<td class="{kind}"></td>'


def _cell(place: int, kind: str, cell: str) -> str:
    if place == 0 and kind == "text" and cell not in _MISSING:
        return f'<th scope="row" class="text">{escape(cell)}</th>'
    # The number as it is written, not the one it was written from: a share of few people is shown as a bound.
    number = _WRITTEN_NUMBER.search(cell) if kind == "figure" else None
    value = f' data-value="{number[0].replace(",", "").replace("−", "-").replace("+", "")}"' if number else ""
    return f'<td class="{kind}"{value}>{escape(cell)}</td>'
