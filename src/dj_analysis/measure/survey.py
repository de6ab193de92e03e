"""Checked data ready for scoring."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import pandas as pd

from ..spec.codebook import Codebook
from ..spec.periods import order
from ..spec.specification import Specification
from ..spec.tree import CHOICES, Form, Tree


class WithheldRows(Mapping[str, frozenset[tuple[str, str]]]):
    """The rows of one wave that a release hides, determined on first access."""

    def __init__(self, period: str, decide: Callable[[], frozenset[tuple[str, str]]]):
        self._period, self._decide = period, decide
        self._rows: frozenset[tuple[str, str]] | None = None

    def __getitem__(self, period: str) -> frozenset[tuple[str, str]]:
        if period != self._period:
            raise KeyError(period)
        if self._rows is None:
            self._rows = self._decide()
        return self._rows

    def __iter__(self) -> Iterator[str]:
        yield self._period

    def __len__(self) -> int:
        return 1


@dataclass(frozen=True, repr=False)
class Survey:
    """One wave of answers: a frame with one row a person, and the declarations that give it meaning.

    Rows are people: a Survey has no table to look at, is never written by reports, and shows only its counts.

    Attributes
    ----------
    frame
        Any dataframe (pandas, polars eager or lazy, pyarrow, DuckDB, Spark); a column an item named by its code, its
        value after the scale.
    period
        The wave.
    forms
        Which rows a unit gets: ``anchors``, and ``full`` too in a full wave.
    axes
        Columns by which sums are taken: unit trees (name → column) and group columns (name → column).
    weight
        Column with respondents' weights, or None for equal weights.
    team
        Column with respondents' work teams, or None where they are not known. It serves the errors of units alone: nothing is
        ever summed up, shown or released by it.
    refused
        Answers left out at import because their writers did not agree to any use.
    consent
        What the use rests on: ``column`` (everybody here agreed), ``notice`` (``[consent]`` of the workspace), ``""``.
    consents
        Consent → how many people gave it, for each that was asked; who they are is not kept.
    withheld
        Period → the (level, unit) rows that a release of this wave hides, where a workspace knows them: they take no part
        where units are judged together.
    """

    frame: Any = field(repr=False)
    spec: Specification = field(repr=False)
    period: str
    forms: tuple[Form, ...] = ("anchors",)
    axes: Mapping[str, str] = field(default_factory=dict)
    weight: str | None = None
    team: str | None = None
    notices: tuple[str, ...] = ()
    refused: int = 0
    consent: str = ""
    consents: Mapping[str, int] = field(default_factory=dict)
    withheld: Mapping[str, frozenset[tuple[str, str]]] = field(default_factory=dict, repr=False)

    def __repr__(self) -> str:
        rows = f"{len(self.frame)} rows, " if hasattr(self.frame, "__len__") else ""
        seen = "".join(f"\n  {notice}" for notice in self.notices)
        return f"Survey({self.period}: {rows}{' + '.join(self.forms)}, by {', '.join(self.axes)}){seen}"

    @property
    def codebook(self) -> Codebook:
        """The instrument as it was in this wave."""
        return self.spec.codebook.at(self.period)

    def trees(self) -> dict[str, Tree]:
        """Return the scored tree of each form, limited to what this wave asked."""
        return {form: self.codebook.tree.in_form(form) for form in self.forms}

    def counted_trees(self) -> dict[str, Tree]:
        """Return the scored trees and, where there are any, the multiple choices and rankings."""
        choices = self.codebook.choices
        return {**self.trees(), **({CHOICES: choices} if choices.nodes else {})}


@dataclass(frozen=True)
class Indicators:
    """Values of branch indicators: one row a unit, period and code.

    Attributes
    ----------
    values
        unit, period, code, value, n, se, reason of the period (or of all periods of a span); released values only.
    period
        The period whose values are scored, or a span (``2025-10/2026-09``).
    earlier
        The same columns: released values of the occasions before it, by which its error is estimated.
    staged
        unit, period, code, stage, value, role, time, reason, as text: every stage of the review, of all periods; see
        ``review``.
    """

    values: pd.DataFrame = field(repr=False)
    spec: Specification = field(repr=False)
    period: str
    notices: tuple[str, ...] = ()
    earlier: pd.DataFrame | None = field(default=None, repr=False)
    staged: pd.DataFrame | None = field(default=None, repr=False)

    @cached_property
    def review(self) -> pd.DataFrame | None:
        """The rows of ``staged`` in the period itself (or the periods of a span); None where no stages were kept."""
        if self.staged is None or self.staged.empty:
            return None
        rows = self.staged[self.staged["period"].isin(self.values["period"].unique())].reset_index(drop=True)
        return None if rows.empty else rows

    @property
    def tree(self) -> Tree:
        """The indicator tree as it was at the end of this period."""
        return self.tree_at(self.period)

    def tree_at(self, period: str) -> Tree:
        """Return the version of the indicator tree in force at the end of a period."""
        tree = self.spec.indicators
        assert tree is not None, "indicators are read only where a tree is declared"
        return tree.at(period)

    @cached_property
    def occasions(self) -> list[str]:
        """The periods that have values, in order: the occasions before, then the period itself."""
        return order(list(self._by_period)) or [self.period]

    def values_of(self, period: str) -> pd.DataFrame:
        """Return the values of one occasion."""
        return self._by_period.get(period, self.values.iloc[:0])

    @cached_property
    def _by_period(self) -> dict[str, pd.DataFrame]:
        tables = [self.values] if self.earlier is None else [self.earlier, self.values]
        return {str(period): rows for table in tables for period, rows in table.groupby("period", sort=False)}
