"""How often units that do not differ are said to differ where people come in declared work teams.

python benchmarks/team_rates.py --waves 1000 [--population "mean 86"] [--icc .25] [--plan "4 of 30"] [--weights equal]

Prints a line a cell: rates of `contrast` by role (waves with any false `real`) and of `compare` by role (waves and codes).
"""

from __future__ import annotations

import argparse
import itertools
import sys
import zlib
from collections import defaultdict
from pathlib import Path

import numpy as np
from scipy import sparse, special, stats

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
from simulated_teams import ITEMS, POWERS, Sizes, any_number, equal, unequal
from simulated_waves import CODES, DIMENSIONS, POPULATIONS, units_named

from dj_analysis.judge.moderated import chance
from dj_analysis.measure.inference.uncertainty import Means, means
from dj_analysis.measure.inference.unitlaws import UnitLaws, laws_of_rest, unit_laws
from dj_analysis.measure.team_sums import Teams, team_law
from dj_analysis.measure.unitsums import TEAM_STATISTICS

RATE, UNITS, AT_ONCE = 0.10, 200, 20
EFFECTS, PEOPLE = 64, 1024  # effects of teams, and persons ready for each of them
PLANS = {
    "2 of 10": equal(2, 10), "3 of 10": equal(3, 10), "6 of 10": equal(6, 10), "12 of 5": equal(12, 5),
    "4 of 30": equal(4, 30), "1-5 of 5-30": any_number, "6 of 5-30": unequal(6),
}  # fmt: skip
Sums = dict[str, np.ndarray]
Wave = tuple[Sums, Means, UnitLaws]


def persons(kind: str, icc: float, rng: np.random.Generator) -> np.ndarray:
    """Draw persons by effect of their team: index, dimensions of two questions, questions; persons × codes."""
    effects = special.ndtri((np.arange(EFFECTS) + 0.5) / EFFECTS)
    between, count = icc * (0.5 + 0.5 / ITEMS), EFFECTS * PEOPLE
    general = np.repeat(effects / effects.std(), PEOPLE) * np.sqrt(between)
    general += np.sqrt(0.5 - between) * rng.standard_normal(count)
    latent = general[:, None] + np.sqrt(0.5) * rng.standard_normal((count, ITEMS))
    kinds = rng.choice(len(POPULATIONS[kind]), count, p=[share for share, _ in POPULATIONS[kind]])
    items = np.zeros((count, ITEMS))
    for number, (_, options) in enumerate(POPULATIONS[kind]):
        items[kinds == number] = 25.0 * np.searchsorted(special.ndtri(np.cumsum(options)[:-1]), latent[kinds == number])
    return np.column_stack([items.mean(axis=1), items.reshape(count, DIMENSIONS, -1).mean(axis=-1), items])


def block(x: np.ndarray, sizes: Sizes, weights: str, rng: np.random.Generator) -> Wave:
    """Draw waves with the same sizes of teams: sums, units × (waves · codes), means and laws."""
    drawn = [sizes(rng) for _ in range(UNITS)]
    unit, size = np.repeat(np.arange(UNITS), [len(one) for one in drawn]), np.concatenate(drawn)
    effect = np.repeat(rng.integers(0, EFFECTS, (AT_ONCE, len(size))), size, axis=1).ravel()
    who = effect * PEOPLE + rng.integers(0, PEOPLE, len(effect))
    w = np.where(rng.random(len(who)) < 0.2, 5.0, 1.0) if weights == "five" else np.ones(len(who))
    ends = np.concatenate([[0], np.cumsum(np.tile(size, AT_ONCE))])

    def by_team(of_w: int, of_x: int) -> np.ndarray:
        added = sparse.csr_array((w**of_w, who, ends), shape=(AT_ONCE * len(size), len(x))) @ x**of_x
        return added.reshape(AT_ONCE, len(size), CODES).transpose(1, 0, 2).reshape(len(size), -1)

    of_teams = {name: by_team(*powers) for name, powers in POWERS.items()}
    member = sparse.csr_array((np.ones(len(size)), (unit, np.arange(len(size)))), shape=(UNITS, len(size)))
    sums = {name: member @ values for name, values in of_teams.items()}
    teams = Teams.inside([str(one) for one in unit], of_teams)
    law = team_law(teams.parts)
    found = teams.parts | teams.robust(law) | {"wwt": teams.parts["ww"] * law.design_effect(teams.parts)}
    sums |= {name: found[name] for name in TEAM_STATISTICS}
    mean = means(sums, None)
    return sums, mean, unit_laws(sums, mean, np.ones(UNITS, dtype=bool))


def contrast_named(wave: Wave) -> np.ndarray:
    """Tell which units `contrast` calls real, units × waves × codes."""
    sums, mean, law = wave
    rest = {name: values.sum(axis=0) - values for name, values in sums.items()}
    other = means(rest, None)
    p = chance(mean.mean - other.mean, law, laws_of_rest(law, rest, other))
    return _real(p, mean, other, together=True)


def compare_named(before: Wave, now: Wave) -> np.ndarray:
    """Tell which units `compare` calls changed at one level, units × waves × codes."""
    p = chance(now[1].mean - before[1].mean, now[2], before[2])
    return _real(p, now[1], before[1], together=False)


def _real(p: np.ndarray, one: Means, other: Means, together: bool) -> np.ndarray:
    variance = one.se**2 + other.se**2
    df = variance**2 / (one.se**4 / one.df + other.se**4 / other.df)
    outside = np.abs(one.mean - other.mean) > stats.t.ppf(0.975, df) * np.sqrt(variance)
    named = units_named(p, RATE, together)
    return np.asarray(named & outside.reshape(named.shape))


def rates(kind: str, icc: float, plan: str, weights: str, count: int) -> dict[str, float]:
    """Return the share of waves (of `compare`: of waves and codes) with any unit named, by method and role."""
    rng = np.random.default_rng([20261129, zlib.crc32(f"{kind}{icc}{plan}{weights}".encode())])
    x, found, before = persons(kind, icc, rng), defaultdict(list), None
    roles = {"index": slice(0, 1), "dimensions": slice(1, 1 + DIMENSIONS), "items": slice(1 + DIMENSIONS, CODES)}
    for number in range(-(-count // AT_ONCE)):
        now = block(x, PLANS[plan], weights, rng)
        named = {"contrast": contrast_named(now)}
        if number % 2 and before is not None:
            named["compare"] = compare_named(before, now)
        for (method, real), (role, codes) in itertools.product(named.items(), roles.items()):
            any_unit = real[:, :, codes].any(axis=0)
            found[f"{method} {role}"].append((any_unit.any(axis=1) if method == "contrast" else any_unit).ravel())
        before = now
    return {name: float(np.concatenate(values).mean()) for name, values in found.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--waves", type=int, default=1000)
    parser.add_argument("--population", nargs="*", default=["middle", "mean 86", "ceiling 94.5", "mixture"])
    parser.add_argument("--icc", nargs="*", type=float, default=[0.0, 0.05, 0.25])
    parser.add_argument("--plan", nargs="*", default=list(PLANS), choices=list(PLANS))
    parser.add_argument("--weights", nargs="*", default=["equal", "five"])
    given = parser.parse_args()
    for kind, icc, plan, weights in itertools.product(given.population, given.icc, given.plan, given.weights):
        with np.errstate(divide="ignore", invalid="ignore"):
            found = rates(kind, icc, plan, weights, given.waves)
        print(kind, icc, plan, weights, *(f"{name} {rate:.3f}" for name, rate in found.items()), sep=", ", flush=True)


if __name__ == "__main__":
    main()
