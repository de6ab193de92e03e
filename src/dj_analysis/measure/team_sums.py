"""Sums by which the errors of units allow for work teams inside them; no team is named in them.

People of one team answer alike: the mean of a unit of three teams tells less of its state than so many people by themselves
would. Teams are summed once, squared, and added up by unit; from then on nothing is known of any team.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Self

import numpy as np
from scipy import sparse, special, stats

from .crossnames import cell_name, parts_of
from .unitsums import TEAM_STATISTICS, UnitSums

Arrays = dict[str, np.ndarray]
ALIKE = 1e-9  # share of both kinds of spread below which teams and persons cannot be told apart


@dataclass(frozen=True)
class TeamLaw:
    """How people of one team answer alike, learned from all units together; arrays by code.

    Attributes
    ----------
    persons, teams
        Variance of one person within its team, and of teams within their unit (not below 0).
    allowance
        What the design effect is multiplied by, for teams are few and their variance estimated: (t/z)² of Student's t with as
        many degrees of freedom as there are teams beside the first of each unit.
    """

    persons: np.ndarray
    teams: np.ndarray
    allowance: np.ndarray

    @property
    def known(self) -> bool:
        """Tell whether any unit has two teams."""
        return bool(np.isfinite(self.allowance).any())

    def design_effect(self, parts: Arrays) -> np.ndarray:
        """Return by how much the variance of each unit's mean exceeds what its people would give by themselves, at least 1.

        (a·Σw² + b·ΣW_g²)/Σw², a and b the variances within and between teams, W_g the weight of a team, over what the variance
        of persons around the unit's mean amounts to, a + b(W − ΣW_g²/W)/(W − Σw²/W): with equal teams of m the 1 + (m − 1)ρ of
        Kish (1965), with any sizes as Kish (1987).
        """
        w, ww, squares = parts["w"], parts["ww"], parts["tww"]
        with np.errstate(divide="ignore", invalid="ignore"):
            inside = np.where(w - ww / w > 0, (w - squares / w) / (w - ww / w), 0)
            mean = self.persons + self.teams * squares / ww
            effect = mean / (self.persons + self.teams * np.clip(inside, 0, 1))
        effect = np.where(np.isfinite(effect), effect, 1.0) * np.nan_to_num(self.allowance, nan=1.0)
        return np.maximum(effect, 1.0)


def with_teams(sums: Mapping[str, UnitSums], by_team: Mapping[str, UnitSums], first: str) -> dict[str, UnitSums]:
    """Add what is known of teams to the sums of units.

    Parameters
    ----------
    sums
        Axis → sums by finest unit or category.
    by_team
        Axis → sums by unit or category, unit of the first tree (on the other axes) and team, as names of cells.
    first
        The first tree: how much people of one team are alike is learned there.

    Returns
    -------
    dict
        The same sums with :data:`~dj_analysis.measure.unitsums.TEAM_STATISTICS`; unchanged where no unit has two teams.
    """
    law = team_law(Teams.of(by_team[first], first).parts)
    if not law.known:
        return dict(sums)
    return {axis: _added(block, Teams.of(by_team[axis], first), law) for axis, block in sums.items()}


@dataclass(frozen=True)
class Teams:
    """Teams by the part of the organisation they are compared within: a finest unit, or a category in it.

    Attributes
    ----------
    names
        Of the parts.
    member
        Parts × teams: 1 where a team belongs to the part.
    sums
        Sums by team: w, ww, wx, wxx, teams × codes.
    """

    names: tuple[str, ...]
    member: sparse.csr_array
    sums: Mapping[str, np.ndarray]

    @classmethod
    def of(cls, by_team: UnitSums, first: str) -> Self:
        """Take the part of each team from the name of its cell."""
        axes = parts_of(by_team.axis)
        depth = len(axes) + (first not in axes)
        return cls.inside([cell_name(parts_of(name)[:depth]) for name in by_team.units], by_team.sums)

    @classmethod
    def inside(cls, parts: Sequence[str], sums: Mapping[str, np.ndarray]) -> Self:
        """Put teams, in the order of their sums, into the parts named."""
        row = {name: i for i, name in enumerate(dict.fromkeys(parts))}
        place = (np.array([row[name] for name in parts], dtype=int), np.arange(len(parts)))
        member = sparse.csr_array((np.ones(len(parts)), place), shape=(len(row), len(parts)))
        return cls(tuple(row), member, sums)

    @cached_property
    def parts(self) -> Arrays:
        """Sums of the parts, parts × codes.

        w, ww; spread, Σw(x − m)²; teams, their number G; tww, ΣW_g²; apart, Σ(S_g − m·W_g)² of the sums of teams around the mean of
        their part; of_persons and of_teams, what apart would be if persons, or teams, differed with variance 1; several, G ≥ 2.
        """
        w, s = self.sums["w"], self.sums["wx"]
        total, ww, whole, squares = (self._total(self.sums[name]) for name in ("w", "ww", "wx", "wxx"))
        with np.errstate(divide="ignore", invalid="ignore"):
            mean = np.where(total > 0, whole / total, 0)
        parts = {"w": total, "ww": ww, "tww": self._total(w**2), "teams": self._total((w > 0).astype(float))}
        parts["spread"] = np.maximum(squares - mean * whole, 0)
        parts["apart"] = self._total((s - (self.member.T @ mean) * w) ** 2)
        parts["several"] = parts["teams"] >= 2
        return parts | {"of_persons": self._expected(self.sums["ww"], total), "of_teams": self._expected(w**2, total)}

    def robust(self, law: TeamLaw) -> Arrays:
        """Return the variance of the sum of each part by its teams, and what gives its degrees of freedom.

        Σ(S_g − m·W_g)² (Liang and Zeger 1986), times what makes it unbiased if the sums of teams had the variances of the law learned
        from all, D_g = a·Σw² + b·W_g²: G/(G − 1) with equal teams, more with unequal. Degrees of freedom are Satterthwaite's by the
        same variances (Bell and McCaffrey 2002 with D_g = Σw²; Imbens and Kolesár 2016): G − 1 with equal teams.
        """
        w, total = self.sums["w"], self.parts["w"]
        d = law.persons * self.sums["ww"] + law.teams * w**2
        size, of_d = self._total(d), self._expected(d, total)
        with np.errstate(divide="ignore", invalid="ignore"):
            p, unbiased = w / (self.member.T @ total), size / of_d
            squares, square, crossed = self._total(p**2), self._total(d**2), self._total(p * d)
            trace = (
                square - 4 * self._total(p * d**2) + 2 * size * self._total(p**2 * d) + 2 * squares * square
                + squares**2 * size**2 + 2 * crossed**2 - 4 * size * squares * crossed
            )  # fmt: skip
            there = self.parts["several"] & (of_d > ALIKE * size)
            found = {"tvar": unbiased * self.parts["apart"], "tknown": size, "tfree": unbiased**2 * trace}
        return {name: np.where(there, values, 0.0) for name, values in found.items()} | {"tall": size}

    def _total(self, values: np.ndarray) -> np.ndarray:
        return np.asarray(self.member @ values)

    def _expected(self, d: np.ndarray, total: np.ndarray) -> np.ndarray:
        """Return what Σ(S_g − m·W_g)² is expected to be where the sums of teams have these variances."""
        w, size = self.sums["w"], self._total(d)
        with np.errstate(divide="ignore", invalid="ignore"):
            return size - 2 * self._total(w * d) / total + self._total(w**2) * size / total**2


def team_law(parts: Arrays) -> TeamLaw:
    """Learn how much people of one team are alike, from the units with two teams or more.

    The sums of squares of teams around their unit's mean, and of persons around it, are what they are expected to be (Henderson
    1953; weights as given).

    Parameters
    ----------
    parts
        Of the finest units, as :attr:`Teams.parts`.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        w, there = parts["w"], parts["several"]

        def total(values: np.ndarray) -> np.ndarray:
            return np.asarray(np.where(there, values, 0).sum(axis=0))

        of_teams, of_persons = total(parts["apart"] / w), total(parts["spread"])
        a = total(parts["of_persons"] / w), total(w - parts["ww"] / w)
        b = total(parts["of_teams"] / w), total(w - parts["tww"] / w)
        apart = a[1] * b[0] - a[0] * b[1]
        teams = (a[1] * of_teams - a[0] * of_persons) / apart
        teams = np.where(apart > ALIKE * a[1] * b[0], np.maximum(teams, 0), 0.0)
        persons = np.maximum(of_persons - teams * b[1], 0) / a[1]
        df = total(parts["teams"] - 1)
        wider = (stats.t.ppf(0.975, np.where(df > 0, df, np.nan)) / special.ndtri(0.975)) ** 2
    return TeamLaw(np.nan_to_num(persons), np.nan_to_num(teams), wider)


def _added(block: UnitSums, teams: Teams, law: TeamLaw) -> UnitSums:
    """Add up the parts of each unit or category, which are compared within themselves."""
    row = {unit: i for i, unit in enumerate(block.units)}
    depth = len(parts_of(block.axis))
    place = [row[cell_name(parts_of(name)[:depth])] for name in teams.names]
    member = sparse.csr_array((np.ones(len(place)), (place, np.arange(len(place)))), shape=(len(row), len(place)))
    found = teams.parts | teams.robust(law) | {"wwt": teams.parts["ww"] * law.design_effect(teams.parts)}
    return replace(block, sums={**block.sums, **{name: member @ found[name] for name in TEAM_STATISTICS}})
