"""Declarations of result columns: kind, rounding, header, cell format."""

from __future__ import annotations

import tomllib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from importlib import resources
from typing import Any

import numpy as np
import pandas as pd

SMALLEST_P = 0.001  # the last place in which p-values are written
ALMOST_NEVER = 0.001  # a chance that was estimated is never printed as 0 or 100 %


@dataclass(frozen=True)
class Kind:
    """Rounding and format of the columns of one kind.

    Attributes
    ----------
    form
        number, signed, percent, decimal, value, count, rank, text or flag.
    step
        Points by people (0 here), or multiples of this.
    coarse
        The step where few people stand behind a row; 0: the same.
    of_units
        Of what is by people: the step where no people stand behind the table; 0: the finest of those by people.
    guards
        A count of people that must reach min_group.
    """

    name: str
    form: str
    step: float = 0.0
    coarse: float = 0.0
    by_people: bool = False
    of_units: float = 0.0
    guards: bool = False


@dataclass(frozen=True)
class Column:
    """One declared column."""

    name: str
    kind: Kind
    labels: Mapping[str, str]
    words: Mapping[bool, Mapping[str, str]] = field(default_factory=dict)
    beside: Mapping[str, Mapping[str, str]] = field(default_factory=dict)


def column(name: str) -> Column | None:
    """Return the declaration of a column, or None."""
    return columns().get(name)


def header(name: str, language: str = "zh", beside: Collection[str] = ()) -> str:
    """Return the printed header of a column, which may depend on the columns beside it; its name where none is declared."""
    declared = column(name)
    if declared is None:
        return name
    other = next((labels for column_, labels in declared.beside.items() if column_ in beside), declared.labels)
    return other[language]


def value_word(name: str, value: str, language: str = "zh") -> str:
    """Return the printed word for a value of a text column; the value itself where none is declared."""
    words = _table()["values"].get(name, {}).get(value)
    return str(words[language]) if words else value


def kind_of(name: str, beside: Collection[str] = ()) -> Kind:
    """Return the kind of a column; interval bounds and errors have the kind of their estimate."""
    declared = column(name)
    kind = declared.kind if declared is not None else kinds()["text"]
    if "design" in beside and (name == "effect" or kind.name in ("end", "width")):
        return kinds()["effect"]  # of a measure: points, a slope or a ratio
    if name == "share" and {"explained", "priority"} & set(beside):
        return kinds()["importance"]
    if kind.name in ("end", "width"):
        for other in _CENTRES:
            if other in beside:
                if other == "share" and "shrunken" in beside:
                    continue
                if other == "share" and kind.name == "end" and "explained" in beside:
                    return kinds()["importance"]
                return kinds()[_CENTRES[other]] if kind.name == "end" or other == "estimate" else kind
        return kinds()["score"] if kind.name == "end" else kind
    if name == "difference" and "rate_before" in beside:
        return Kind("share difference", "points", 0.001)
    return kind


#: What a range belongs to, the first of these there is, and the kind its ends are of.
_CENTRES = {
    "estimate": "coefficient", "enps": "difference", "difference": "difference", "share": "share", "score": "score",
    "adjusted": "score", "shrunken": "score", "satisfaction": "score", "untrue": "value",
}  # fmt: skip


def guarding_columns() -> list[str]:
    """Return the columns with a count of people that must reach min_group, or their row is hidden."""
    return [name for name, declared in columns().items() if declared.kind.guards]


def step(n: np.ndarray) -> np.ndarray:
    """Return the rounding step of printed scores, in points, by number of people."""
    steps = sorted((least, float(points)) for points, least in _table()["steps"].items())
    with np.errstate(invalid="ignore"):
        return np.select(
            [n >= least for least, _ in reversed(steps)], [points for _, points in reversed(steps)], steps[0][1]
        )


def base_of(columns: Collection[str]) -> str:
    """Return which column counts the people that the shares of a table are shares of."""
    return "of" if "of" in columns else "n"


def bounded(name: str, n: np.ndarray, beside: Collection[str] = ()) -> tuple[float, float, np.ndarray]:
    """Return the bounds within which shares of few people are reported, and the rows they apply to."""
    bounds = _table()["bounds"]
    share = kind_of(name, beside).name == "share" and name not in ("rate", "rate_before", "response", "availability")
    with np.errstate(invalid="ignore"):
        return bounds["low"], bounds["high"], (n < bounds["people"]) & share


def written(value: Any, name: str, language: str = "zh", *, n: float = np.nan, beside: Collection[str] = ()) -> str:
    """Format one cell for the reader; a dash where it is missing.

    Parameters
    ----------
    n
        People behind the row: shares of few people are written as a bound.
    beside
        The other columns of the table: what a range belongs to.
    """
    return written_cells([value], name, language, n=np.array([n]), beside=beside)[0]


def written_cells(
    values: Sequence[Any], name: str, language: str = "zh", *, n: np.ndarray, beside: Collection[str] = ()
) -> list[str]:
    """Format the cells of a column, each as :func:`written` does."""
    kind, declared, mark = kind_of(name, beside), column(name), str(_table()["missing"]["mark"])
    absent = [pd.isna(value) for value in values]
    if kind.form == "flag" and declared is not None:
        words = declared.words
        return ["" if gone else words[bool(value)][language] for value, gone in zip(values, absent, strict=True)]
    low, high, few = bounded(name, n, beside)
    return [
        mark if gone else _cell(value, kind, (low, high) if bound else None)
        for value, gone, bound in zip(values, absent, few.tolist(), strict=True)
    ]


def _cell(value: Any, kind: Kind, bounds: tuple[float, float] | None) -> str:
    """Format a cell that is not missing; ``bounds`` are those of a share of few people."""
    if kind.form == "text":
        return in_form(value, "value") if isinstance(value, (float, np.floating)) else str(value)
    if kind.name == "chance" and value < SMALLEST_P / 2:
        return f"<{SMALLEST_P:g}"
    if kind.name == "likelihood" and not ALMOST_NEVER / 2 <= value <= 1 - ALMOST_NEVER / 2:
        return f"<{ALMOST_NEVER:.1%}" if value < 0.5 else f">{1 - ALMOST_NEVER:.1%}"
    if bounds is not None and not bounds[0] < value < bounds[1]:
        low, high = bounds
        return f"≤{100 * low:.0f}%" if value <= low else f"≥{100 * high:.0f}%"
    return in_form(value, kind.form)


def in_form(value: Any, form: str) -> str:
    """Format a number in one of the forms of a kind; a dash where it is missing."""
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
    kinds_by_name = {}
    for name, entry in _table()["kinds"].items():
        by_people = entry.get("step") == "people"
        points = 0.0 if by_people else float(entry.get("step", 0.0))
        kinds_by_name[name] = Kind(
            name,
            entry["form"],
            points,
            float(entry.get("coarse", 0.0)),
            by_people,
            float(entry.get("of_units", 0.0)),
            entry.get("guards", False),
        )
    return kinds_by_name


@cache
def columns() -> Mapping[str, Column]:
    """Return every declared column by name."""
    columns_by_name = {}
    for name, entry in _table()["columns"].items():
        words = {True: entry["yes"], False: entry["no"]} if "yes" in entry else {}
        columns_by_name[name] = Column(
            name, kinds()[entry["kind"]], {"zh": entry["zh"], "en": entry["en"]}, words, entry.get("beside", {})
        )
    return columns_by_name


@cache
def _table() -> dict[str, Any]:
    return tomllib.loads(resources.files(__package__).joinpath("columns.toml").read_text(encoding="utf-8"))
