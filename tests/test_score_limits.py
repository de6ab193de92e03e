"""The interval of a score holds the truth near the ends of the scale, with a tenth discontented, and of a unit far off."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy import stats
from simulated_waves import CODES, ROLES, outside_intervals, population, waves

from dj_analysis.measure.inference.scorelimits import PersonLaw, person_law, wider_limits
from dj_analysis.measure.inference.shrinkage import pooled_variance, shrink, with_own
from dj_analysis.measure.inference.uncertainty import means, shares_interval

WAVES = 10


def held(misses: float, tried: int) -> bool:
    """Not more outside than the 99 % binomial bound of a thousand intervals allows."""
    return misses / tried <= stats.binom.ppf(0.995, 1000, 0.05) / 1000


@pytest.mark.parametrize(("kind", "weights", "people"), [
    ("middle", "equal", 10), ("ceiling 94.5", "equal", 10), ("mixture", "equal", 10), ("ceiling 94.5", "five high", 20),
    *(pytest.param(*cell, marks=pytest.mark.everything) for cell in (
        ("mean 86", "equal", 10), ("ceiling 94.5", "equal", 50), ("mixture", "equal", 20), ("polarised", "equal", 10),
        ("ceiling 94.5", "five", 20), ("mean 86", "strata", 15), ("mixture", "lognormal", 30),
    )),
])  # fmt: skip
def test_intervals_hold_the_truth(kind: str, weights: str, people: int):
    everybody = population(kind, weights)
    sums = next(waves(everybody, 200, people, WAVES, seed=12))
    for role, (outside, _) in outside_intervals(sums, everybody.truth).items():
        assert held(outside, 1), (role, outside)


def test_units_of_few_heavy_people_hold_the_truth():
    """Twenty at the ceiling of whom one or two count five times: .068 lay outside when κ was that of (Σw)²/Σw² equal persons."""
    everybody = population("ceiling 94.5", "five")
    sums = next(waves(everybody, 200, 20, 80, seed=12, at_once=80))
    dimensions = np.arange(80 * CODES).reshape(80, CODES)[:, ROLES["dimensions"]].ravel()
    low, high = (limit[:, dimensions] for limit in wider_limits(sums, means(sums), person_law(sums)))
    truth = np.tile(everybody.truth[ROLES["dimensions"]], 80)
    heavy = (sums["w"] - sums["n"])[:, dimensions] / 4
    few = np.isfinite(low) & ((heavy == 1) | (heavy == 2))
    outside = ((truth < low) | (truth > high))[few].mean()
    units = few.sum() // 8  # the dimensions of a unit are the answers of the same people
    assert outside <= stats.binom.ppf(0.995, units, 0.05) / units


@pytest.mark.parametrize(("kind", "people"), [
    ("ceiling 94.5", 10), *(pytest.param(*cell, marks=pytest.mark.everything) for cell in (("mixture", 10), ("ceiling 94.5", 20))),
])  # fmt: skip
def test_own_answers_alone_would_not_hold_it(kind: str, people: int):
    everybody = population(kind)
    sums = next(waves(everybody, 200, people, WAVES, seed=12))
    own, truth = means(sums), np.tile(everybody.truth, WAVES)
    outside = (truth < own.low) | (truth > own.high)
    assert not held(outside[:, ::CODES].sum(), outside[:, ::CODES].size)


def test_a_few_units_far_from_the_others_keep_theirs():
    others, far = (population(kind) for kind in ("ceiling 94.5", "middle"))
    blocks = [next(waves(people, units, 20, 20, seed=units)) for people, units in ((others, 190), (far, 10))]
    sums = {name: np.concatenate([block[name] for block in blocks]) for name in blocks[0]}
    low, high = wider_limits(sums, means(sums), person_law(sums))
    of_far = np.tile(far.truth, 20)
    outside = (low[190:] > of_far) | (high[190:] < of_far)
    for codes in ROLES.values():
        part = outside.reshape(10, 20, CODES)[:, :, codes]
        assert part.mean() <= stats.binom.ppf(0.995, 200, 0.05) / 200


def test_of_answers_of_two_values_it_is_wilsons():
    """φ = 1 and neither skewness nor kurtosis: Wilson's (1927) interval of a share, unless the unit's own is wider."""
    count, n = np.array([[2.0, 5.0, 9.0]]), np.full((1, 3), 10.0)
    powers = {name: count * 100.0**power for power, name in enumerate(("wx", "wxx", "wxxx", "wxxxx"), start=1)}
    sums = {"n": n, "w": n, "ww": n, "www": n} | powers | {"wwx": powers["wx"], "wwxx": powers["wxx"]}
    zero, one = np.zeros(3), np.ones(3)
    own = means(sums)
    law = PersonLaw(one, zero, zero, one, zero)
    low, high = wider_limits(sums, replace(own, low=own.mean, high=own.mean), law)
    np.testing.assert_allclose(np.array([low, high]) / 100, shares_interval(count, n), atol=1e-9)
    low, high = wider_limits(sums, own, law)
    assert ((low <= own.low) & (high >= own.high)).all()


@pytest.mark.parametrize("weights", [[5.0] * 2 + [1.0] * 18, [5.0] * 3 + [0.5] * 12, [1.0] * 10])
def test_kurtosis_of_a_weighted_mean_goes_with_the_fourth_powers_of_weights(weights: list[float]):
    w = np.array(weights)
    heavy = {"n": w.size, "w": w.sum(), "ww": (w**2).sum(), "www": (w**3).sum()}
    sums = {name: np.full((1, 1), float(value)) for name, value in heavy.items()}
    mean, z, kurtosis = 60.0, stats.norm.ppf(0.975), 6.0
    sums |= {
        "wx": mean * sums["w"],
        "wxx": 2 * mean**2 * sums["w"],
        "wwx": mean * sums["ww"],
        "wwxx": 2 * mean**2 * sums["ww"],
    }
    own = means(sums)
    law = PersonLaw(np.ones(1), np.zeros(1), np.full(1, kurtosis), np.ones(1), np.zeros(1))
    limits = np.array(wider_limits(sums, replace(own, low=own.mean, high=own.mean), law)).ravel()
    quantile = abs(mean - limits) / np.sqrt(limits * (100 - limits) * (w**2).sum() / w.sum() ** 2)
    fourth = (w**4).sum() / (w**2).sum() ** 2
    np.testing.assert_allclose(quantile, z + kurtosis * fourth * (z**3 - 3 * z) / 24, rtol=1e-9)


def test_dispersion_of_answers_of_two_values_is_one():
    yes = np.random.default_rng(2).binomial(20, 0.9, (300, 1)).astype(float)
    n = np.full_like(yes, 20.0)
    powers = {name: yes * 100.0**power for power, name in enumerate(("wx", "wxx", "wxxx", "wxxxx"), start=1)}
    law = person_law({"n": n, "w": n, "ww": n, "www": n} | powers | {"wwx": powers["wx"], "wwxx": powers["wxx"]})
    assert law.dispersion[0] == pytest.approx(1, abs=1e-9)
    share = yes.sum() / 6000
    assert law.skewness[0] == pytest.approx((1 - 2 * share) / np.sqrt(share * (1 - share)), rel=1e-3)


def test_pooled_variance_by_hand():
    # s² of 2 and 5 persons: 10 (1 df) and 30 (4 df): (10 + 120)/5 = 26; the means have 13 and 5.2.
    pooled = pooled_variance(np.array([10 / 2, 30 / 5]), np.array([1.0, 4.0]))
    np.testing.assert_allclose(pooled, [13, 5.2])
    total, df = with_own(np.array([4.0, 4.0]), np.array([0.5, 0.5]), np.array([5.0, 6.0]), pooled, np.array([1.0, 4.0]))
    np.testing.assert_allclose(total, [4.0, 4.0 + 0.25 * 0.8])
    np.testing.assert_allclose(df, [np.inf, 4 * (4.2 / 1.5) ** 2])


def test_shrunken_scores_near_the_end_hold_the_truth_on_average():
    """Units of the mean 94.5 and of the mean 86, by the index of ten: own errors drew the good ones to the top."""
    kinds = [population(kind) for kind in ("ceiling 94.5", "mean 86")]
    blocks = [next(waves(people, 100, 10, 20, seed=k)) for k, people in enumerate(kinds)]
    truth = np.repeat([people.truth[0] for people in kinds], 100)
    sums = {name: np.concatenate([block[name][:, ::CODES] for block in blocks]) for name in blocks[0]}
    unit = means(sums)
    misses = {"own": 0, "pooled": 0}
    for wave in range(20):
        for variance in ("own", "pooled"):
            shrunk = shrink(unit.mean[:, wave], unit.se[:, wave], unit.df[:, wave] + 1, variance=variance)
            misses[variance] += ((shrunk.low > truth) | (shrunk.high < truth)).sum()
    assert held(misses["pooled"], 4000)
    assert misses["own"] > 2 * misses["pooled"]
