"""Waves of answers with known truth, straight to sums: thousands of waves in seconds, no code of the demo."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from scipy import optimize, sparse, special

from dj_analysis.judge.contrast import chances
from dj_analysis.judge.moderated import chance
from dj_analysis.measure.inference.scorelimits import person_law, wider_limits
from dj_analysis.measure.inference.uncertainty import means
from dj_analysis.measure.inference.unitlaws import unit_laws
from dj_analysis.measure.unitsums import UnitSums

DIMENSIONS, ITEMS, PEOPLE = 8, 16, 1 << 16
ROLES = {
    "index": slice(0, 1),
    "dimensions": slice(1, 1 + DIMENSIONS),
    "items": slice(1 + DIMENSIONS, 1 + DIMENSIONS + ITEMS),
}
CODES = 1 + DIMENSIONS + ITEMS
STATISTICS = ("w", "ww", "www", "wx", "wxx", "wxxx", "wxxxx", "wwx", "wwxx")

#: Shares of the five options (0, 25, 50, 75, 100 points) of one question, by kind of person: (share of persons, options).
POPULATIONS = {
    "middle": ((1.0, (0.06, 0.14, 0.30, 0.32, 0.18)),),
    "mean 86": ((1.0, (0.01, 0.03, 0.08, 0.27, 0.61)),),
    "ceiling 94.5": ((1.0, (0.005, 0.010, 0.030, 0.110, 0.845)),),
    "mixture": ((0.9, (0.01, 0.03, 0.11, 0.35, 0.50)), (0.1, (0.45, 0.30, 0.17, 0.06, 0.02))),
    "polarised": ((0.5, (0.01, 0.03, 0.11, 0.35, 0.50)), (0.5, (0.50, 0.35, 0.11, 0.03, 0.01))),
}
WEIGHTS = ("equal", "five", "five high", "strata", "lognormal")


@dataclass(frozen=True)
class Population:
    """All persons there are: what each adds to the sums of a unit, and the true weighted mean of every code."""

    summands: np.ndarray  # persons × different columns
    column: np.ndarray  # of each statistic (n first) and code
    truth: np.ndarray


def population(
    kind: str, weights: str = "equal", missing: float = 0.0, seed: int = 1, lowered: float = 0.0
) -> Population:
    """Draw the persons of a population: a general attitude, one towards each dimension, and their own noise.

    ``lowered``: everybody thinks so much worse that the mean falls by so many points; the answers stay on the scale.
    """
    rng = np.random.default_rng([seed, 20261129])
    general, part, own = rng.standard_normal(PEOPLE), *(rng.standard_normal((PEOPLE, k)) for k in (DIMENSIONS, ITEMS))
    latent = np.sqrt(0.35) * general[:, None] + np.sqrt(0.15) * part.repeat(2, axis=1) + np.sqrt(0.5) * own
    kinds = rng.choice(len(POPULATIONS[kind]), PEOPLE, p=[share for share, _ in POPULATIONS[kind]])
    items = np.zeros((PEOPLE, ITEMS))
    worse = _worse(kind, lowered) if lowered else 0.0
    for number, (_, options) in enumerate(POPULATIONS[kind]):
        cuts = special.ndtri(np.cumsum(options)[:-1]) + worse
        rows = kinds == number
        items[rows] = 25.0 * np.searchsorted(cuts, latent[rows])
    items[rng.random((PEOPLE, ITEMS)) < missing] = np.nan
    w = _weights(weights, general, rng)
    with np.errstate(invalid="ignore"):
        dimensions = _mean(items.reshape(PEOPLE, DIMENSIONS, 2))
        x = np.column_stack([_mean(dimensions), dimensions, items])
    there, x = np.isfinite(x).astype(float), np.nan_to_num(x)
    w = w[:, None] * there
    powers = [there, w, w**2, w**3, w * x, w * x**2, w * x**3, w * x**4, w**2 * x, w**2 * x**2]
    different: dict[bytes, int] = {}  # with equal weights most columns are the same
    summands, column = [], []
    for values in np.hstack(powers).T:
        column.append(different.setdefault(values.tobytes(), len(different)))
        if column[-1] == len(summands):
            summands.append(values)
    return Population(np.column_stack(summands), np.array(column), (w * x).sum(axis=0) / w.sum(axis=0))


def _worse(kind: str, points: float) -> float:
    """Return by how much cuts between the options lie higher for everybody when the mean falls by so many points."""

    def mean(worse: float) -> float:
        cuts = ((share, special.ndtri(np.cumsum(options)[:-1])) for share, options in POPULATIONS[kind])
        return sum(25 * share * float(special.ndtr(-own - worse).sum()) for share, own in cuts)

    return float(optimize.brentq(lambda worse: mean(worse) - mean(0) + points, -5, 5))


def _mean(values: np.ndarray) -> np.ndarray:
    there = np.isfinite(values)
    count = there.sum(axis=-1)
    return np.where(count > 0, np.nan_to_num(values).sum(axis=-1) / np.maximum(count, 1), np.nan)


def _weights(kind: str, general: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    if kind == "equal":
        return np.ones(PEOPLE)
    if kind == "five":
        return np.where(rng.random(PEOPLE) < 0.2, 5.0, 1.0)
    if kind in ("five high", "five low"):  # who answers high (low) counts five times
        tied = (1 if kind == "five high" else -1) * general + rng.standard_normal(PEOPLE)
        return np.where(tied > np.quantile(tied, 0.8), 5.0, 1.0)
    if kind in ("strata", "strata low"):  # those who answered, of three strata as large as each other
        rates = np.array([0.9, 0.5, 0.2])
        if kind == "strata":
            return 0.5 / rng.choice(rates, PEOPLE, p=rates / rates.sum())
        tied = general + 1.5 * rng.standard_normal(PEOPLE)  # the silent are the discontented
        return 0.5 / rates[np.searchsorted(np.quantile(-tied, np.cumsum(rates / rates.sum())[:-1]), -tied)]
    return np.exp(0.4 * rng.standard_normal(PEOPLE))


def waves(
    people: Population, units: int, n: int, count: int, seed: int, at_once: int = 50
) -> Iterator[dict[str, np.ndarray]]:
    """Draw waves of units without any difference: sums by statistic, units × (waves · codes), in blocks of waves."""
    rng, done = np.random.default_rng(seed), 0
    while done < count:
        block = min(at_once, count - done)
        rows = block * units
        drawn = rng.integers(0, PEOPLE, rows * n, dtype=np.int32)
        who = sparse.csr_array((np.ones(rows * n), drawn, np.arange(0, rows * n + 1, n)), shape=(rows, PEOPLE))
        sums = (who @ people.summands).reshape(block, units, -1).transpose(1, 0, 2)
        columns = people.column.reshape(-1, CODES)
        yield {name: sums[:, :, columns[i]].reshape(units, block * CODES) for i, name in enumerate(("n", *STATISTICS))}
        done += block


def any_named(p: np.ndarray, rate: float, together: bool = True) -> dict[str, np.ndarray]:
    """Whether Benjamini and Hochberg's rule names any unit, by role: of each wave, or (not together) of each wave and code.

    Parameters
    ----------
    p
        units × (waves · codes); NaN is not tested.
    """
    by_wave = p.reshape(len(p), -1, CODES)
    named = {}
    for role, codes in ROLES.items():
        family = by_wave[:, :, codes]
        family = family.transpose(1, 0, 2).reshape(family.shape[1], -1) if together else family.reshape(len(p), -1).T
        ordered = np.sort(family, axis=1)
        tests = np.isfinite(family).sum(axis=1)[:, None]
        with np.errstate(invalid="ignore"):
            named[role] = (ordered <= rate * np.arange(1, family.shape[1] + 1) / np.maximum(tests, 1)).any(axis=1)
    return named


def units_named(p: np.ndarray, rate: float, together: bool = True) -> np.ndarray:
    """Tell which units Benjamini and Hochberg's rule names, units × waves × codes; families as in :func:`any_named`."""
    by_wave = p.reshape(len(p), -1, CODES)
    named = np.zeros(by_wave.shape, dtype=bool)
    for codes in ROLES.values():
        family = by_wave[:, :, codes].transpose(1, 0, 2)
        family = family.reshape(len(family), -1, 1) if together else family
        ordered, tests = np.sort(family, axis=1), np.isfinite(family).sum(axis=1, keepdims=True)
        rank = np.arange(1, family.shape[1] + 1)[:, None]
        with np.errstate(invalid="ignore"):
            largest = np.where(ordered <= rate * rank / np.maximum(tests, 1), ordered, -1.0).max(axis=1)
            named[:, :, codes] = by_wave[:, :, codes] <= largest
    return named


def contrast_p(sums: dict[str, np.ndarray]) -> np.ndarray:
    """P of every unit against the whole, as :func:`dj_analysis.contrast` computes it."""
    units, cells = sums["n"].shape
    block = UnitSums(
        "unit", tuple(map(str, range(units))), tuple(("anchors", str(j)) for j in range(cells)), sums["n"][:, 0], sums
    )
    return chances(block, block.rolled_up({"ALL": block.units}), np.ones(units, dtype=bool))[0]


def compare_p(before: dict[str, np.ndarray], now: dict[str, np.ndarray]) -> np.ndarray:
    """P of every unit's change, as :func:`dj_analysis.compare` computes it."""
    estimates = [means(wave, None) for wave in (before, now)]
    everybody = np.ones(len(before["n"]), dtype=bool)
    laws = [unit_laws(wave, mean, everybody) for wave, mean in zip((before, now), estimates, strict=True)]
    return chance(estimates[1].mean - estimates[0].mean, laws[1], laws[0])


def outside_intervals(sums: dict[str, np.ndarray], truth: np.ndarray) -> dict[str, tuple[float, float]]:
    """Share of units whose interval, as :func:`dj_analysis.score` gives it, lacks the truth, and share that have one, by role."""
    low, high = wider_limits(sums, means(sums), person_law(sums))
    true = np.tile(truth, low.shape[1] // CODES)
    with np.errstate(invalid="ignore"):
        outside = (true < low - 1e-9) | (true > high + 1e-9)
    given = np.isfinite(low).reshape(len(low), -1, CODES)
    outside = outside.reshape(given.shape)
    return {
        role: (float(outside[:, :, codes].sum() / given[:, :, codes].sum()), float(given[:, :, codes].mean()))
        for role, codes in ROLES.items()
    }


def planted(sums: dict[str, np.ndarray], points: float, units: int) -> dict[str, np.ndarray]:
    """Lower everybody of the first units by so many points."""
    moved = {name: values.copy() for name, values in sums.items()}
    old, c = {name: values[:units] for name, values in sums.items()}, -points
    moved["wx"][:units] = old["wx"] + c * old["w"]
    moved["wxx"][:units] = old["wxx"] + 2 * c * old["wx"] + c**2 * old["w"]
    moved["wxxx"][:units] = old["wxxx"] + 3 * c * old["wxx"] + 3 * c**2 * old["wx"] + c**3 * old["w"]
    moved["wxxxx"][:units] = (
        old["wxxxx"] + 4 * c * old["wxxx"] + 6 * c**2 * old["wxx"] + 4 * c**3 * old["wx"] + c**4 * old["w"]
    )
    moved["wwx"][:units] = old["wwx"] + c * old["ww"]
    moved["wwxx"][:units] = old["wwxx"] + 2 * c * old["wwx"] + c**2 * old["ww"]
    return moved
