"""What every column of a result is: its kind, its rounding, its header, how a cell of it is written."""

from __future__ import annotations

import tomllib
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib import resources
from typing import Any

import numpy as np
import pandas as pd


@dataclass(frozen=True)
class Kind:
    """How the columns of one kind are rounded and written.

    Attributes
    ----------
    form
        number, signed, percent, decimal, value, count, rank, text or flag.
    step
        Points by people (0 here), or multiples of this.
    coarse
        The step where few people stand behind a row; 0: the same.
    guards
        A count of people that must reach min_group.
    """

    name: str
    form: str
    step: float = 0.0
    coarse: float = 0.0
    by_people: bool = False
    guards: bool = False


@dataclass(frozen=True)
class Column:
    """One declared column."""

    name: str
    kind: Kind
    labels: Mapping[str, str]
    words: Mapping[bool, Mapping[str, str]] = field(default_factory=dict)


def column(name: str) -> Column | None:
    """Return what is declared of a column, None where nothing is."""
    return columns().get(name)


def header(name: str, language: str = "zh") -> str:
    """Return what heads a column in print; the name itself where nothing is declared."""
    known = column(name)
    return known.labels[language] if known is not None else name


def value_word(name: str, value: str, language: str = "zh") -> str:
    """Return what a value of a text column is called in print; the value itself where nothing is declared."""
    told = _table()["values"].get(name, {}).get(value)
    return str(told[language]) if told else value


def kind_of(name: str, beside: Collection[str] = ()) -> Kind:
    """Return the kind of a column; ends of a range, and errors, are of the kind of what they belong to."""
    known = column(name)
    kind = known.kind if known is not None else kinds()["text"]
    if kind.name in ("end", "width"):
        for other in _CENTRES:
            if other in beside:
                return kinds()[_CENTRES[other]] if kind.name == "end" or other == "estimate" else kind
        return kinds()["score"] if kind.name == "end" else kind
    if name == "difference" and "rate_before" in beside:
        return Kind("share difference", "points", 0.001)
    return kind


#: What a range belongs to, the first of these there is, and the kind its ends are of.
_CENTRES = {
    "estimate": "coefficient", "enps": "difference", "difference": "difference", "share": "share", "score": "score",
    "adjusted": "score", "shrunken": "score",
}  # fmt: skip


def guarding_columns() -> list[str]:
    """Return the columns with a count of people that must reach min_group, or their row is hidden."""
    return [name for name, known in columns().items() if known.kind.guards]


def step(n: np.ndarray) -> np.ndarray:
    """Return to which step of points scores are printed, by the number of people behind them."""
    steps = sorted((least, float(points)) for points, least in _table()["steps"].items())
    with np.errstate(invalid="ignore"):
        return np.select(
            [n >= least for least, _ in reversed(steps)], [points for _, points in reversed(steps)], steps[0][1]
        )


def bounded(name: str, n: np.ndarray, beside: Collection[str] = ()) -> tuple[float, float, np.ndarray]:
    """Return the bounds within which a share is told, and which rows have so few people that they hold."""
    bounds = _table()["bounds"]
    share = kind_of(name, beside).name == "share" and name not in ("rate", "rate_before", "response", "availability")
    with np.errstate(invalid="ignore"):
        return bounds["low"], bounds["high"], (n < bounds["people"]) & share


def written(value: Any, name: str, language: str = "zh", *, n: float = np.nan, beside: Collection[str] = ()) -> str:
    """Write one cell as readers see it; a dash where there is none.

    Parameters
    ----------
    n
        People behind the row: shares of few people are written as a bound.
    beside
        The other columns of the table: what a range belongs to.
    """
    kind, known = kind_of(name, beside), column(name)
    if kind.form == "flag" and known is not None:
        return "" if pd.isna(value) else known.words[bool(value)][language]
    if kind.form == "text":
        number = isinstance(value, (float, np.floating)) and not pd.isna(value)
        return in_form(value, "value") if number else str(value) if not pd.isna(value) else _table()["missing"]["mark"]
    if pd.isna(value):
        return str(_table()["missing"]["mark"])
    low, high, few = bounded(name, np.array([n]), beside)
    if few[0] and (value <= low or value >= high):
        return f"≤{100 * low:.0f}%" if value <= low else f"≥{100 * high:.0f}%"
    return in_form(value, kind.form)


def in_form(value: Any, form: str) -> str:
    """Write a number in one of the forms of a kind; a dash where there is none."""
    if pd.isna(value):
        return str(_table()["missing"]["mark"])
    number = float(value)
    if form == "count":
        return f"{round(number)}"
    if form == "percent":
        return f"{100 * number:.1f}%"
    if form == "points":
        return f"{100 * number + 0.0:+.1f}"
    if form == "decimal":
        return f"{number + 0.0:.3f}".replace("-0.000", "0.000")
    if form == "value":
        return f"{number + 0.0:.2f}".replace("-0.00", "0.00")
    if form == "rank":
        return f"{number:.0f}" if number.is_integer() else f"{number:.1f}"
    rounded = round(number, 1) + 0.0
    return f"{rounded:+.1f}" if form == "signed" else f"{rounded:.1f}"


@cache
def kinds() -> Mapping[str, Kind]:
    """Return the kinds of columns by name."""
    made = {}
    for name, told in _table()["kinds"].items():
        by_people = told.get("step") == "people"
        given = 0.0 if by_people else float(told.get("step", 0.0))
        made[name] = Kind(
            name, told["form"], given, float(told.get("coarse", 0.0)), by_people, told.get("guards", False)
        )
    return made


@cache
def columns() -> Mapping[str, Column]:
    """Return every declared column by name."""
    made = {}
    for name, told in _table()["columns"].items():
        words = {True: told["yes"], False: told["no"]} if "yes" in told else {}
        made[name] = Column(name, kinds()[told["kind"]], {"zh": told["zh"], "en": told["en"]}, words)
    return made


@cache
def _table() -> dict[str, Any]:
    return tomllib.loads(resources.files(__package__).joinpath("columns.toml").read_text(encoding="utf-8"))
