"""Marks of dated context events beside a series: a day and a short label, in one colour whatever happened."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from typing import TYPE_CHECKING, Any

import pandas as pd

from ...release.protect import Protected
from ...spec.periods import parse
from ...spec.units import ALL
from .. import theme
from .common import Drawable, shortened

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_SIZE, _LINE = 7.0, 10.5  # points: letters, and from one row of labels to the next
_MOST_ROWS = 5  # of labels; beyond, marks carry their day alone, and the list beneath has the labels
_DRAWN = 0.9  # of the width of a figure, about, lies between its axes


def events_of(result: Drawable, unit: str) -> pd.DataFrame:
    """Return the events a trend brings that concern a unit: its own and those of the units above it, in order of time."""
    held = result.result if isinstance(result, Protected) else result
    if "context" not in held.parts:
        return pd.DataFrame({"date": [], "label": []})
    table = (result.part("context") if isinstance(result, Protected) else held.parts["context"]).table
    concerned = [ALL, unit, *held.spec.units.at(result.period).ancestors(unit)]
    return table[table["unit"].isin(concerned)].reset_index(drop=True)


def time_place(day: date) -> float:
    """Return where a day stands on an axis of months."""
    return 12 * day.year + day.month + (day.day - 1) / 31


def wave_place(period: str, fieldwork: Mapping[str, tuple[date, date]]) -> float:
    """Return where a wave stands: in the middle of the days it was asked, of its period where they are not declared."""
    of_period = parse(period)
    first, last = fieldwork.get(period, (of_period.start, of_period.end))
    return time_place(first + (last - first) / 2)


def mark_events(ax: Axes, events: pd.DataFrame) -> float:
    """Draw a dotted line for each event, its day and label above the axes; returns the points above them that this takes.

    Parameters
    ----------
    ax
        Axes of months (:func:`time_place`) that have their limits.
    events
        date (ISO), label; in order of time.
    """
    if events.empty:
        return 0.0
    days = [time_place(date.fromisoformat(day)) for day in events["date"]]
    left, right = ax.get_xlim()
    left, right = min(left, days[0] - 0.2), max(right, days[-1] + 0.2)
    ax.set_xlim(left, right)
    width = _DRAWN * 72 * float(ax.figure.get_size_inches()[0])  # type: ignore[union-attr]
    places = [width * (day - left) / (right - left) for day in days]
    short = [day[5:] for day in events["date"]]
    labels = [f"{day} {shortened(label)}" for day, label in zip(short, events["label"], strict=True)]
    starts, rows = _rows(places, labels, width)
    if max(rows) >= _MOST_ROWS:
        labels = short
        starts, rows = _rows(places, labels, width)
    line: dict[str, Any] = {"color": theme.MUTED, "lw": 0.9, "ls": ":"}
    for day, place, start, row, label in zip(days, places, starts, rows, labels, strict=True):
        at: dict[str, Any] = {
            "xy": (day, 1), "xycoords": ("data", "axes fraction"), "textcoords": "offset points", "annotation_clip": False,
        }  # fmt: skip
        ax.axvline(day, zorder=0, **line)
        up = 3 + _LINE * row
        stalk = {"arrowstyle": "-", "shrinkA": 0, "shrinkB": 0, **line}
        ax.annotate("", xytext=(0, up), arrowprops=stalk, zorder=2.5, **at)
        ground = {"facecolor": "white", "edgecolor": "none", "pad": 0.6}
        ax.annotate(label, xytext=(start - place, up), va="bottom", fontsize=_SIZE, color=theme.INK, bbox=ground, **at)
    return _LINE * (max(rows) + 1)


def _rows(places: Sequence[float], labels: Sequence[str], width: float) -> tuple[list[float], list[int]]:
    """Return where each label starts (points), and the lowest row in which it meets no other."""
    starts, rows = [0.0] * len(labels), [0] * len(labels)
    free: list[float] = []  # where the leftmost label of each row starts
    for i in reversed(range(len(labels))):
        long = _SIZE * sum(1.0 if ord(character) > 0x2E7F else 0.56 for character in labels[i])
        starts[i] = max(0.0, min(places[i] - 2, width - long))
        row = next((row for row, start in enumerate(free) if starts[i] + long + 4 <= start), len(free))
        free[row : row + 1] = [starts[i]]
        rows[i] = row
    return starts, rows
