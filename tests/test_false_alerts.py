"""The number of untrue warnings that a report announces holds in waves of people drawn and judged without its code."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats
from statsmodels.stats.multitest import multipletests
from trials import trials

from dj_analysis.judge.draws_shrunk import shrink_draws
from dj_analysis.judge.false_alerts import Truth, untrue_warnings
from dj_analysis.measure.inference import uncertainty
from dj_analysis.measure.inference.shrinkage import shrink
from dj_analysis.spec.specification import Specification

WAVES, UNITS, SD, ALIKE = trials(1000), 40, 20.0, 0.5
INDEX_SD = SD * np.sqrt((1 + 7 * ALIKE) / 8)
GRADES = ("orange", "red", "black")


def people_of(means: np.ndarray, n: int, rng: np.random.Generator) -> np.ndarray:
    """Scores of people on eight dimensions, units × people × 8."""
    shared = rng.standard_normal((UNITS, n, 1))
    own = rng.standard_normal((UNITS, n, 8))
    return means[:, None, :] + SD * (np.sqrt(ALIKE) * shared + np.sqrt(1 - ALIKE) * own)


def chance_below(y: np.ndarray, se: np.ndarray, n: int, point: float) -> np.ndarray:
    shrunk = shrink(y, se, np.full(len(y), n), variance="pooled")
    return stats.t.cdf((point - shrunk.estimate) / shrunk.se, shrunk.df)


def untrue_in(now: np.ndarray, before: np.ndarray, means: np.ndarray, low: np.ndarray) -> list[int]:
    """Judge one wave by the rules as domain E1 words them; count units with an untrue rule at their gravest grade."""
    n = now.shape[1]
    index, index_before = now.mean(axis=2), before.mean(axis=2)
    y, se = index.mean(axis=1), index.std(axis=1, ddof=1) / np.sqrt(n)
    true_index = means.mean(axis=1)
    given = np.zeros((3, UNITS), dtype=bool)
    untrue = np.zeros((3, UNITS), dtype=bool)
    for grade, (point, sure) in enumerate([(60, 0.8), (55, 0.9), (45, 0.95)]):
        met = chance_below(y, se, n, point) >= sure
        given[grade] |= met
        untrue[grade] |= met & (true_index >= point)
    for grade, (point, sure, least) in enumerate([(50, 0.8, 1), (45, 0.9, 2)]):
        below = [
            chance_below(now[:, :, j].mean(axis=1), now[:, :, j].std(axis=1, ddof=1) / np.sqrt(n), n, point)
            for j in range(8)
        ]
        met = (np.array(below) >= sure).sum(axis=0) >= least
        given[grade] |= met
        untrue[grade] |= met & ((means < point).sum(axis=1) < least)
    lowest = uncertainty.exact_interval((index < 45).sum(axis=1), np.full(UNITS, n))[0]
    for grade, cut in enumerate((0.10, 0.20, 0.35)):
        given[grade] |= lowest > cut
        untrue[grade] |= (lowest > cut) & (low <= cut)
    difference = y - index_before.mean(axis=1)
    error = np.hypot(se, index_before.std(axis=1, ddof=1) / np.sqrt(n))
    p = 2 * stats.t.sf(np.abs(difference) / error, 2 * (n - 1))
    fell = (multipletests(p, method="fdr_bh")[1] <= 0.1) & (p <= 0.05) & (difference <= -5)
    given[0] |= fell
    untrue[0] |= fell
    final = np.where(given.any(axis=0), 2 - given[::-1].argmax(axis=0), -1)
    return [int((untrue[grade] & (final == grade)).sum()) for grade in range(3)]


def truth_of(means: np.ndarray, low: np.ndarray, n: int) -> Truth:
    """What the report would draw from, had it measured everything right."""
    se = np.full((UNITS, 9), SD / np.sqrt(n))
    se[:, 0] = INDEX_SD / np.sqrt(n)
    return Truth(
        np.column_stack([means.mean(axis=1), means]), se, np.full((UNITS, 9), n - 1.0), ALIKE, np.full(8, 1 / 8), low,
        np.full(UNITS, float(n)), np.full(UNITS, np.sqrt(2) * INDEX_SD / np.sqrt(n)), np.full(UNITS, np.sqrt(0.5)),
    )  # fmt: skip


def means_under(null: str, rng: np.random.Generator) -> np.ndarray:
    profile = np.array([52.0, 60, 61, 62, 63, 64, 65, 66])
    spread = np.zeros(UNITS) if null == "no_unit_differs" else np.sort(rng.normal(0, 5, UNITS))
    return profile + spread[:, None] - (0 if null == "no_unit_differs" else 3)


@pytest.mark.parametrize(("null", "n"), [("no_unit_differs", 12), ("no_unit_changed", 30)])
def test_the_announced_number_of_untrue_warnings_holds(null: str, n: int):
    rng = np.random.default_rng(14 + n)
    means = means_under(null, rng)
    low = stats.norm.cdf((45 - means.mean(axis=1)) / INDEX_SD)
    announced = untrue_warnings(truth_of(means, low, n), Specification(), 2000, np.random.default_rng(1))
    counted = np.array(
        [untrue_in(people_of(means, n, rng), people_of(means, n, rng), means, low) for _ in range(WAVES)]
    )
    for grade, name in enumerate(GRADES):
        bottom, top = np.quantile(announced[:, grade], (0.025, 0.975), method="inverted_cdf")
        inside = ((counted[:, grade] >= bottom) & (counted[:, grade] <= top)).sum()
        assert inside >= stats.binom.ppf(0.005, WAVES, 0.95), (name, bottom, top, inside, counted[:, grade].mean())
    error = np.hypot(announced[:, 0].std() / len(announced) ** 0.5, counted[:, 0].std() / WAVES**0.5)
    assert announced[:, 0].mean() == pytest.approx(counted[:, 0].mean(), abs=4 * error)


def test_drawn_waves_are_shrunk_as_one_wave_is():
    rng = np.random.default_rng(3)
    se, n = rng.uniform(1, 5, (30, 2)), rng.integers(10, 90, (30, 2))
    draws = rng.normal(60, [[[4.0, 0.5]]], (5, 30, 2)) + se * rng.standard_normal((5, 30, 2))
    estimate, error, df = shrink_draws(draws, np.broadcast_to(se, draws.shape), n - 1.0)
    for i in range(5):
        for j in range(2):
            one = shrink(draws[i, :, j], se[:, j], n[:, j], variance="pooled")
            np.testing.assert_allclose(estimate[i, :, j], one.estimate, atol=1e-4)
            np.testing.assert_allclose(error[i, :, j], one.se, atol=1e-4)
            np.testing.assert_allclose(1 / df[i, :, j], 1 / one.df, rtol=1e-3)
