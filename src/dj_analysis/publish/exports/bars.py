"""Which tables a plain bar chart can show: one name and one score or share a row, from 0."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from .xlsx_parts import printed_number

MOST_BARS = 40
_ENDS = (0.1, 0.2, 0.5, 1.0)
_DRAWN = ("score", "rate", "share", "favourable", "choice_share")  # the first of these there is


@dataclass(frozen=True)
class Bars:
    """A bar chart: rows of the table with a number, in its order.

    Attributes
    ----------
    column
        Place of the drawn column in the table.
    name
        Its header.
    labels, values
        Of the bars; the numbers are those printed, None where none is.
    form
        Their number format.
    highest
        End of the axis, which begins at 0: 100 for scores; for shares the next of 10, 20, 50 and 100 %.
    """

    column: int
    name: str
    labels: tuple[str, ...]
    values: tuple[float | None, ...]
    form: str
    highest: float


def bars_of(table: Mapping[str, Any], most: int = MOST_BARS) -> Bars | None:
    """Return the bars of a table block's content; None where it is no plain list of names and numbers."""
    columns, rows = table["columns"], table["rows"]
    names = [column["name"] for column in columns]
    drawn = next((name for name in _DRAWN if name in names), None)
    if (
        drawn is None
        or names.count(drawn) > 1
        or not 2 <= len(rows) <= most
        or columns[0]["kind"] != "text"
        or names[0] == "period"
    ):
        return None
    labels = tuple(row[0] for row in rows)
    if len(set(labels)) < len(labels) or any(column["kind"] == "text" for column in columns[1 : names.index(drawn)]):
        return None  # a row is named by more than its first cell
    place = names.index(drawn)
    numbers = [printed_number(row[place]) for row in rows]
    values = tuple(None if number is None else number[0] for number in numbers)
    known = [value for value in values if value is not None]
    percent = columns[place]["kind"] == "percent"
    if len(known) < 2 or min(known) < 0 or max(known) > (1 if percent else 100):
        return None
    form = next(number[1] for number in numbers if number is not None)
    return Bars(
        place,
        columns[place]["label"],
        labels,
        values,
        form,
        next(end for end in _ENDS if max(known) <= end) if percent else 100.0,
    )
