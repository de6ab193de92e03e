"""Additive sums by finest unit, on which every statistic above the person rests."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import chain
from typing import Any, Self

import numpy as np
from scipy import sparse

ONE_PERSON = 1e-9  # share of the weight others than the heaviest person hold, where rounding alone leaves any

#: What is summed over persons, for each cell (form, code); x is the score 0-100, w the respondent's weight.
STATISTICS = ("n", "w", "ww", "www", "wx", "wxx", "wxxx", "wxxxx", "wwx", "wwxx", "answers", "favourable", "low")

#: What is known of the work teams in a unit, where answers tell them; each is a sum over its finest units: number of teams G,
#: the variance ΣD_g of Σwx by the law of teams learned from all units, the same over finest units of two teams and more, that of
#: these by their own teams, what gives its degrees of freedom (tknown²/tfree), and Σw² times the design effect of teams.
TEAM_STATISTICS = ("teams", "tall", "tknown", "tvar", "tfree", "wwt")

Cell = tuple[str, str]


def variance_factor(w: Any, ww: Any) -> Any:
    """Return what turns Σw(x − x̄)²/Σw into an unbiased variance of persons: Σw/(Σw − Σw²/Σw).

    With equal weights it is n/(n − 1); the scale of the weights does not matter (weights of reliability, unrelated to the
    answers). NaN where one person holds all the weight.

    Parameters
    ----------
    w, ww
        Σw and Σw² of the persons.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        left = w - ww / w
        return np.where(left > ONE_PERSON * w, w / left, np.nan)


def independent_squares(sums: Mapping[str, np.ndarray]) -> np.ndarray:
    """Return Σw², times the design effect of work teams where these are known: (Σw)² over it is the effective number of persons."""
    return sums.get("wwt", sums["ww"])


def effect_of_teams(sums: Mapping[str, np.ndarray]) -> np.ndarray | float:
    """Return by how much work teams make the variance of a mean larger (Kish 1965); 1 where none are known."""
    if "wwt" not in sums:
        return 1.0
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(sums["ww"] > 0, sums["wwt"] / sums["ww"], 1.0)


@dataclass(frozen=True)
class UnitSums:
    """Sums over the persons of each unit; sums of quarters, files and partitions can be added.

    Confidential: sums of small units tell about single persons. They live in the workspace's store and never in a
    report.

    Attributes
    ----------
    axis
        Name of the unit tree or group column the units belong to.
    units
        Finest units (or categories), U of them; ``""`` are persons whose unit is not told.
    cells
        (form, code) of each column, C of them.
    persons
        Number of respondents by unit, length U.
    sums
        Statistic → array U × C: ``n`` persons with a score (and a weight above 0), Σw, Σw², Σw³, Σwx, Σwx², Σwx³, Σwx⁴, Σw²x, Σw²x²,
        weighted answers given, favourable ones among them, and persons below the low cut. Sums kept by an earlier version
        lack the cubes or the fourth powers. :data:`TEAM_STATISTICS` where work teams are known.
    heaviest
        Largest weight of a respondent by unit, length U; None without weights, and in sums kept by an earlier version.
    """

    axis: str
    units: tuple[str, ...]
    cells: tuple[Cell, ...]
    persons: np.ndarray
    sums: Mapping[str, np.ndarray]
    heaviest: np.ndarray | None = None

    @cached_property
    def row_of(self) -> dict[str, int]:
        """Row of each unit."""
        return {unit: row for row, unit in enumerate(self.units)}

    def __add__(self, other: Self) -> UnitSums:
        """Add the sums of another block: units and cells are united."""
        if self.axis != other.axis:
            raise ValueError(f"sums by {self.axis} and by {other.axis} do not add")
        units = tuple(dict.fromkeys([*self.units, *other.units]))
        cells = tuple(dict.fromkeys([*self.cells, *other.cells]))
        parts = [block.laid_out(units, cells) for block in (self, other)]
        sums = {name: values + parts[1].sums[name] for name, values in parts[0].sums.items() if name in parts[1].sums}
        known = [part.heaviest for part in parts if part.heaviest is not None]
        heaviest = np.maximum(*known) if len(known) == 2 else None
        return UnitSums(self.axis, units, cells, parts[0].persons + parts[1].persons, sums, heaviest)

    def laid_out(self, units: Sequence[str], cells: Sequence[Cell]) -> UnitSums:
        """Return the sums arranged by the given units (rows) and cells (columns), zero where there was none."""
        rows = self.row_of
        columns = {cell: column for column, cell in enumerate(self.cells)}
        to_rows = [i for i, unit in enumerate(units) if unit in rows]
        to_columns = [j for j, cell in enumerate(cells) if cell in columns]
        from_rows = [rows[units[i]] for i in to_rows]
        from_columns = [columns[cells[j]] for j in to_columns]
        sums = {}
        for name, values in self.sums.items():
            sums[name] = np.zeros((len(units), len(cells)))
            sums[name][np.ix_(to_rows, to_columns)] = values[np.ix_(from_rows, from_columns)]
        persons = np.zeros(len(units))
        persons[to_rows] = self.persons[from_rows]
        heaviest = None if self.heaviest is None else np.zeros(len(units))
        if heaviest is not None and self.heaviest is not None:
            heaviest[to_rows] = self.heaviest[from_rows]
        return UnitSums(self.axis, tuple(units), tuple(cells), persons, sums, heaviest)

    def rolled_up(self, groups: Mapping[str, Sequence[str]]) -> UnitSums:
        """Sum the units of each group.

        Parameters
        ----------
        groups
            New unit → the finest units it holds; a unit may be in several groups (a city and the company), and a group
            without any unit becomes a row of zeros.
        """
        rows = self.row_of
        held = [sorted(rows[unit] for unit in members if unit in rows) for members in groups.values()]
        columns, ends = np.fromiter(chain.from_iterable(held), dtype=int), np.cumsum([0, *map(len, held)])
        membership = sparse.csr_array((np.ones(len(columns)), columns, ends), shape=(len(groups), len(self.units)))
        sums = {name: membership @ values for name, values in self.sums.items()}
        heaviest = None if self.heaviest is None else np.zeros(len(groups))
        if heaviest is not None and self.heaviest is not None:
            np.maximum.at(heaviest, np.repeat(np.arange(len(groups)), np.diff(ends)), self.heaviest[columns])
        return UnitSums(self.axis, tuple(groups), self.cells, membership @ self.persons, sums, heaviest)

    def largest_weight(self) -> np.ndarray:
        """Return the weight of the heaviest person behind each score, U × C; NaN where nobody has one.

        It is the largest of the unit, and never more than Σw, Σw² and n allow: mean + sd·√(n − 1) of the weights (Samuelson
        1968), which is exact where one person weighs more than all others, who weigh alike, and where all weigh alike.
        """
        n, w, ww = (self.sums[name] for name in ("n", "w", "ww"))
        with np.errstate(divide="ignore", invalid="ignore"):
            mean = w / n
            possible = mean + np.sqrt(np.maximum(ww / n - mean**2, 0) * (n - 1))
        return possible if self.heaviest is None else np.minimum(possible, self.heaviest[:, None])

    def renamed(self, names: Mapping[str, str]) -> UnitSums:
        """Return the sums under other unit names; units that now share a name are added (a merger, an alias)."""
        groups: dict[str, list[str]] = {}
        for unit in self.units:
            groups.setdefault(names.get(unit, unit), []).append(unit)
        return self if list(groups) == list(self.units) else self.rolled_up(groups)

    def column(self, cell: Cell) -> dict[str, np.ndarray]:
        """Return one cell's sums by statistic, each of length U."""
        j = self.cells.index(cell)
        return {name: values[:, j] for name, values in self.sums.items()}
