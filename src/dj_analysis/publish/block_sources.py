"""Where the numbers of a block come from: data collections and periods, people, ranges."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from ..release.protect import Protected
from ..spec.columns import kind_of, written
from .wording import say


def source_of(content: Mapping[str, Any], language: str) -> str:
    """Say which data collections and periods the numbers of a block come from."""
    periods: dict[str, list[str]] = {}
    for programme, period in content.get("waves", []):
        periods.setdefault(str(programme), []).append(str(period))
    comma, semicolon = ("、", "；") if language == "zh" else (", ", "; ")
    named = [f"{say(language, f'programme_{name}')} {comma.join(_span(some))}" for name, some in periods.items()]
    return semicolon.join(named) if named else say(language, "sheet_source_none")


def _span(periods: list[str]) -> list[str]:
    """Name many periods by the first and the last."""
    return periods if len(periods) <= 4 else [f"{periods[0]}—{periods[-1]} ({len(periods)})"]


def figure_note(safe: Protected, options: Mapping[str, Any], interval: str) -> str:
    """Say beneath a figure how many people are behind each point, what its range is, and where the numbers come from.

    Parameters
    ----------
    safe
        What may be printed of the result drawn; hidden rows have no number of people.
    options
        What the figure was asked to draw; those that are keys of the result choose its rows.
    interval
        Phrase that says what the range drawn is; empty where none is drawn.
    """
    language, table = safe.spec.language, safe.table
    for name, value in options.items():
        if name in ("unit", "level", "code") and value is not None and name in table and (table[name] == value).any():
            table = table[table[name] == value]
    if "child" in table:  # what stands beside the unit's own rows counts other people
        table = table[table["child"] == ""]
    parts = [people for people in [_people(table, language)] if people]
    if interval and _has_ranges(table):
        parts.append(say(language, interval))
    parts.append(say(language, "note_source", source=source_of({"waves": safe.waves}, language)))
    return say(language, "note_figure", parts=("；" if language == "zh" else "; ").join(parts))


def _people(table: pd.DataFrame, language: str) -> str:
    """Return the least and most people behind a point; nothing where the table counts none."""
    names = list(table.columns)
    counted = next((name for name in ("n", "of") if name in names and kind_of(name, names).name == "people"), None)
    counts = table[counted].dropna().astype(float) if counted is not None else pd.Series(dtype=float)
    if counts.empty or counted is None:
        return ""
    least, most = (written(end, counted, beside=names) for end in (counts.min(), counts.max()))
    key = "note_people" if least == most else "note_people_range"
    return say(language, key, least=least, most=most)


def _has_ranges(table: pd.DataFrame) -> bool:
    ends = [name for name in table.columns if name == "low" or name.endswith("_low")]
    return any(bool(table[name].notna().any()) for name in ends)
