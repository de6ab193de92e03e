"""People who come in work teams, straight to sums by unit and by team."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy import sparse, special
from simulated_waves import POPULATIONS

from dj_analysis.measure.team_sums import Teams, team_law
from dj_analysis.measure.unitsums import TEAM_STATISTICS

ITEMS = 16
POWERS = {
    "n": (0, 0), "w": (1, 0), "ww": (2, 0), "www": (3, 0), "wx": (1, 1), "wxx": (1, 2), "wxxx": (1, 3), "wxxxx": (1, 4),
    "wwx": (2, 1), "wwxx": (2, 2),
}  # fmt: skip
Sizes = Callable[[np.random.Generator], np.ndarray]


@dataclass(frozen=True)
class TeamWave:
    """Sums by unit without and with what is known of teams; codes: index (mean of 16 questions), mean of two, one question.

    ``truth``: true mean, the same for all units; ``favourable``: share of 75 and more points in the one question.
    """

    alone: dict[str, np.ndarray]
    with_teams: dict[str, np.ndarray]
    truth: float
    favourable: np.ndarray


def team_wave(kind: str, icc: float, sizes: Sizes, weights: str, units: int, rng: np.random.Generator) -> TeamWave:
    """Draw a wave of equal units whose teams differ: ``icc`` is the share of teams in the variance of the latent index."""
    (_, options), *others = POPULATIONS[kind]
    assert not others, "one kind of persons"
    drawn = [sizes(rng) for _ in range(units)]
    unit, size = np.repeat(np.arange(units), [len(one) for one in drawn]), np.concatenate(drawn)
    team = np.repeat(np.arange(len(size)), size)
    between = icc * (0.5 + 0.5 / ITEMS)
    person = np.sqrt(between) * rng.standard_normal(len(size))[team]
    person += np.sqrt(0.5 - between) * rng.standard_normal(len(team))
    latent = person[:, None] + np.sqrt(0.5) * rng.standard_normal((len(team), ITEMS))
    items = 25.0 * np.searchsorted(special.ndtri(np.cumsum(options)[:-1]), latent)
    x = np.column_stack([items.mean(axis=1), items[:, :2].mean(axis=1), items[:, 0]])
    w = _weights(weights, len(team), rng)
    alone, by_team = (_sums(x, w, rows) for rows in (unit[team], team))
    teams = Teams.inside([str(one) for one in unit], by_team)
    law = team_law(teams.parts)
    found = teams.parts | teams.robust(law) | {"wwt": teams.parts["ww"] * law.design_effect(teams.parts)}
    many = [np.bincount(unit[team], values, units) for values in (w * (items[:, 0] >= 75), w)]
    truth = float(np.dot(options, 25 * np.arange(5)))
    return TeamWave(alone, alone | {name: found[name] for name in TEAM_STATISTICS}, truth, many[0] / many[1])


def equal(teams: int, people: int) -> Sizes:
    """Every unit has so many teams of so many people."""
    return lambda rng: np.full(teams, people)


def unequal(teams: int, least: int = 5, most: int = 30) -> Sizes:
    """Every unit has so many teams, of 5 to 30 people."""
    return lambda rng: rng.integers(least, most + 1, teams)


def any_number(rng: np.random.Generator) -> np.ndarray:
    """One to five teams of 5 to 30 people."""
    return rng.integers(5, 31, rng.integers(1, 6))


def _weights(kind: str, people: int, rng: np.random.Generator) -> np.ndarray:
    if kind == "equal":
        return np.ones(people)
    if kind == "five":
        return np.where(rng.random(people) < 0.2, 5.0, 1.0)
    return np.exp(0.4 * rng.standard_normal(people))


def _sums(x: np.ndarray, w: np.ndarray, rows: np.ndarray) -> dict[str, np.ndarray]:
    member = sparse.csr_array((np.ones(len(rows)), (rows, np.arange(len(rows)))), shape=(rows.max() + 1, len(rows)))
    return {name: member @ (w[:, None] ** of_w * x**of_x) for name, (of_w, of_x) in POWERS.items()}
