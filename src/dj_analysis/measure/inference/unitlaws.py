"""Law of the mean of each unit, learned from all units of a level: its variance, and how one person's score is distributed.

One unit of ten persons tells little about how its own mean scatters, least of all near an end of the scale, where those who by
chance answer high also scatter little. All units together tell it well.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from ..unitsums import effect_of_teams
from .tails import Part, Points, extreme_law, two_weights
from .uncertainty import NO_SPREAD, Means
from .variances import LEAST_UNITS

SURELY = 2.0  # standard errors by which variances must differ more than samples do, before they are taken to differ
TIED = 4.0  # standard errors beyond which weights are taken to go with the answers
LEAST_EFFECTIVE = 3.2  # fourth moments are estimated without bias from four persons on
#: People by weight (Kish 1965) below which weights that go with the answers leave the law of a mean unknown: in simulation five persons and a
#: half are too few, seven are enough.
FEWEST_BY_WEIGHT = 6.5
MOST_SKEWED = (
    1.0  # skewness of a mean (an exponential law's is 2, that of a mean of four of them 1): tails are not known beyond
)


@dataclass(frozen=True)
class UnitLaws:
    """Laws of the means of units; arrays units × codes, or codes.

    Attributes
    ----------
    variance, df
        Variance of the mean, moderated, and its degrees of freedom (infinite where all units share one).
    skewness
        Of the mean.
    weights
        Number of persons and what one adds, by two weights (:func:`~dj_analysis.measure.inference.tails.two_weights`).
    low, high
        Law of one person, with the heaviest tail towards either end of the scale that the moments allow.
    learned
        Codes with enough units to learn from; the others have each unit's own variance and no law.
    effect
        Design effect of work teams in the variance, 1 where none are known.
    uneven
        Means of too few people for their weights: these go with the answers, and the number of equal weights they are worth
        on average is under :data:`FEWEST_BY_WEIGHT`.
    """

    variance: np.ndarray
    df: np.ndarray
    skewness: np.ndarray
    weights: list[tuple[np.ndarray, np.ndarray]]
    low: Points
    high: Points
    learned: np.ndarray
    effect: np.ndarray | float = 1.0
    uneven: np.ndarray | bool = False

    def parts(self, share: np.ndarray, high: bool, mirrored: bool = False) -> list[Part]:
        """Return the persons of the means as parts of a sum of which they have this share of the variance."""
        law = self.high if high else self.low
        return [(k, s * np.sqrt(share), law.mirrored() if mirrored else law) for k, s in self.weights]


def unit_laws(sums: Mapping[str, np.ndarray], means: Means, kept: np.ndarray) -> UnitLaws:
    """Learn how the means of units scatter.

    Variance of a mean: s̃²·r·Σw²/(Σw)². s̃² moderates the unit's s² towards that of all as Smyth (2004) does, by d₀ =
    4 + 2/CV², CV² the squared coefficient of variation of the units' true variances: Var(s²) less what samples of such answers
    have by themselves, κ₄/n + 2σ⁴/(n − 1), less two standard errors of that difference. s² of skewed answers varies much by
    itself; no difference is d₀ = ∞. r ≥ 1: pooled, how much more heavy people scatter than light ones. Where weights go with the
    answers, a unit's Σw² is not below what its number of people has on average, for its very composition is chance then. Where work
    teams are known, all is as of so many fewer persons as their design effect says, the sampling variance of s² too: which teams
    a unit has is chance, and near an end of the scale those that are high scatter little. Degrees of freedom are then at most the
    number of teams beside the first of each unit (at levels above the finest that is up to twice what there are).

    Parameters
    ----------
    sums
        As in :class:`~dj_analysis.measure.unitsums.UnitSums`, units × codes.
    means
        Their means.
    kept
        Units that may be learned from (those that can be told apart); fewer than ten leave each variance its own.
    """
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        n, w, ww = sums["n"], sums["w"], sums["ww"]
        pooled = PooledMoments(sums, kept)
        effective, spread = pooled.effective, pooled.spread
        learned = (pooled.usable & (spread > NO_SPREAD)).sum(axis=0) >= LEAST_UNITS
        prior = np.where(pooled.tied, np.inf, pooled.prior)
        effect = effect_of_teams(sums)
        effective = effective / effect
        own = np.maximum(
            2 * (effective - 1) / (2 + np.maximum(pooled.kurtosis, -1.5) * (effective - 1) / effective), 0.5
        )
        finite = np.where(np.isfinite(prior), prior, 1.0)
        shared = np.where(
            np.isfinite(prior), (finite * pooled.variance + own * spread) / (finite + own), pooled.variance
        )
        squares = np.where(pooled.tied, np.maximum(ww, n * pooled.squares), ww)
        variance = np.where(learned, shared * pooled.ratio * squares / w**2 * effect, means.se**2)
        df = np.where(learned, np.where(np.isfinite(prior), finite + own, np.inf), means.df)
        df = np.where(learned, np.minimum(df, _free_teams(sums, kept)), df)
        cubes = sums.get("www", n)
        sd, centre = np.sqrt(pooled.variance), pooled.mean
        low, high = (extreme_law(pooled.skewness, pooled.kurtosis + 3, (end - centre) / sd) for end in (0.0, 100.0))
        skewness = np.where(learned, pooled.skewness * cubes / ww**1.5 * np.sqrt(effect), 0.0)
    variance = np.where(np.isfinite(means.se), variance, np.nan)
    uneven = pooled.tied & (n * pooled.worth < FEWEST_BY_WEIGHT)
    weights = [(k / effect, s * np.sqrt(effect)) for k, s in two_weights(n, w, ww, cubes)]
    return UnitLaws(variance, df, skewness, weights, low, high, learned, effect, uneven)


def laws_of_rest(laws: UnitLaws, sums: Mapping[str, np.ndarray], means: Means) -> UnitLaws:
    """Return the laws of means that rest on many persons, those outside each unit: their own variance, the same persons."""
    with np.errstate(divide="ignore", invalid="ignore"):
        effect = effect_of_teams(sums)
        persons = sums["ww"] ** 3 / sums.get("www", sums["n"]) ** 2 / effect
        weights = [(persons, 1 / np.sqrt(persons))]
    return UnitLaws(means.se**2, means.df, np.zeros_like(means.se), weights, laws.low, laws.high, laws.learned, effect)


def _free_teams(sums: Mapping[str, np.ndarray], kept: np.ndarray) -> np.ndarray | float:
    """Return how many teams there are beside the first of each unit, by code; infinite where none are known."""
    if "teams" not in sums:
        return np.inf
    free = np.where(kept[:, None], np.maximum(sums["teams"] - 1, 0), 0).sum(axis=0)
    return np.where(free > 0, free, np.inf)


def _central(sums: Mapping[str, np.ndarray]) -> dict[int, np.ndarray]:
    """Second to fourth central moments of each unit; those whose sums an earlier version did not keep are missing."""
    w = sums["w"]
    m, second = sums["wx"] / w, sums["wxx"] / w
    moments = {2: np.maximum(second - m**2, 0)}
    if "wxxx" in sums:
        third = sums["wxxx"] / w
        moments[3] = third - 3 * m * second + 2 * m**3
        if "wxxxx" in sums:
            moments[4] = np.maximum(sums["wxxxx"] / w - 4 * m * third + 6 * m**2 * second - 3 * m**4, 0)
    return moments


class PooledMoments:
    """Moments of one person's score within units and how units differ in them; arrays by code.

    ``mean``, ``variance``, ``skewness``, ``kurtosis`` (excess) of a person; ``ratio``: how much more heavy people scatter than
    light ones; ``squares``: Σw² of a person; ``worth``: people by
    weight, for each person; ``tied``: weights go with the answers; ``prior``: degrees of freedom of what is
    known of a unit's variance beforehand. By unit too: ``effective`` number of persons, ``spread`` (variance of persons),
    ``usable`` (learned from). Not a number where no unit can be learned from.
    """

    def __init__(self, sums: Mapping[str, np.ndarray], kept: np.ndarray) -> None:
        moments = _central(sums)
        self.effective = n = sums["w"] ** 2 / sums["ww"]
        self.spread = spread = moments[2] * n / (n - 1)
        self.usable = kept[:, None] & (n > LEAST_EFFECTIVE) & (sums["n"] >= 4)
        weight = np.where(self.usable, n, 0.0)
        total = weight.sum(axis=0)

        def average(values: np.ndarray) -> np.ndarray:
            return np.asarray(np.where(weight > 0, weight * values, 0).sum(axis=0) / total)

        free = np.where(weight > 0, n - 1, 0)
        self.mean = np.where(weight > 0, sums["wx"], 0).sum(axis=0) / np.where(weight > 0, sums["w"], 0).sum(axis=0)
        self.variance = (free * np.where(free > 0, spread, 0)).sum(axis=0) / free.sum(axis=0)
        people, weights, squares = (np.where(weight > 0, sums[name], 0).sum(axis=0) for name in ("n", "w", "ww"))
        self.squares, self.worth = squares / people, weights**2 / (people * squares)
        self.skewness = np.zeros(len(total))
        if 3 in moments:
            self.skewness = average(moments[3] * n**2 / ((n - 1) * (n - 2))) / average(spread) ** 1.5
        sampling, self.kurtosis = self._fourth(moments, spread, n, average)
        sampling = sampling * effect_of_teams(sums)  # of so many fewer persons
        excess = np.where(weight > 0, (spread - self.variance) ** 2 - sampling, np.nan) / self.variance**2
        units = np.maximum(np.isfinite(excess).sum(axis=0), 1)
        middle = np.nansum(excess, axis=0) / units
        error = np.sqrt(np.nansum((excess - middle) ** 2, axis=0) / np.maximum(units - 1, 1) / units)
        differ = np.maximum(middle - SURELY * error, 0)
        self.prior = np.where(differ > 1e-6, 4 + 2 / np.maximum(differ, 1e-6), np.inf)
        self._weights(sums, spread, n, weight)

    def _fourth(
        self, moments: Mapping[int, np.ndarray], spread: np.ndarray, n: np.ndarray, average: object
    ) -> tuple[np.ndarray, np.ndarray]:
        """Sampling variance of each unit's s², and excess kurtosis of a person's score (k-statistics: Fisher 1929)."""
        if 4 not in moments:  # all that variances differ is taken to be the kurtosis of answers: the careful reading
            apart = average((spread - self.variance) ** 2) / self.variance**2  # type: ignore[operator]
            between = average(2 / (n - 1))  # type: ignore[operator]
            kurtosis = np.maximum((apart - between) / average(1 / n), 1.5 * self.skewness**2)  # type: ignore[operator]
            return np.full_like(spread, np.inf), np.maximum(kurtosis, self.skewness**2 - 1.9)
        m2, m4 = moments[2], moments[4]
        below = (n - 1) * (n - 2) * (n - 3)
        fourth = n**2 * ((n + 1) * m4 - 3 * (n - 1) * m2**2) / below
        square = (n * (n**2 - 2 * n + 3) * m4 - 3 * (2 * n - 3) * n * m2**2) / below
        square = (square - fourth) / 3  # of the true variance, without bias
        scale = np.maximum(average(square), self.variance**2 / 2)  # type: ignore[operator]
        return fourth / n + 2 * square / (n - 1), average(fourth) / scale  # type: ignore[operator]

    def _weights(self, sums: Mapping[str, np.ndarray], spread: np.ndarray, n: np.ndarray, weight: np.ndarray) -> None:
        m, inside = sums["wx"] / sums["w"], weight > 0
        error = np.maximum(sums["wwxx"] - 2 * m * sums["wwx"] + m**2 * sums["ww"], 0) * n / (n - 1)
        ratio = np.where(inside, error, 0).sum(axis=0) / np.where(inside, spread * sums["ww"], 0).sum(axis=0)
        self.ratio = np.maximum(np.nan_to_num(ratio, nan=1.0), 1.0)
        apart = np.where(inside, sums["wwx"] - m * sums["ww"], 0)
        size = np.sqrt((apart**2).sum(axis=0))
        self.tied = (np.abs(apart.sum(axis=0)) > TIED * size) & (size > 1e-9)
