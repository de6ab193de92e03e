"""Rank sets and chances of the first places: small cases by hand, properties, and how often they are right.

Tolerances: what is drawn at random is compared within the 99 % binomial interval of its draws.
"""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats
from trials import trials

from dj_analysis.errors import UsageError
from dj_analysis.measure.inference import rank_draws
from dj_analysis.measure.inference import ranks as module
from dj_analysis.measure.inference.ranks import overlap_intervals, p_top, rank_sets

METHODS = ["joint", "marginal", "simulated"]
MEANS = np.array([70, 62, 75, 66, 71, 58, 64.0])
ERRORS = np.array([2, 3, 1.5, 4, 2.5, 2, 1.0])


def accepted(rate: float, draws: int) -> tuple[float, float]:
    least, most = np.array(stats.binom.interval(0.99, draws, rate)) / draws
    return float(least), float(most)


# By hand.


def test_two_units_jointly_are_a_two_sided_test_of_their_difference():
    # se √2 together: the bar is 1.96·√2 = 2.772 points; once told apart nothing is left to tell.
    for gap, apart in ((2.6, False), (2.95, True)):
        sets = rank_sets([60 + gap, 60], [1, 1], draws=40_000)
        assert sets.rank.tolist() == [1, 2]
        assert (sets.low.tolist(), sets.high.tolist()) == (([1, 2], [1, 2]) if apart else ([1, 1], [2, 2]))


def test_with_few_persons_the_bar_is_students():
    # t(.975; 3 + 3) = 2.447: the difference of two means of four persons each and equal spread.
    for gap, apart in ((2.447 * math.sqrt(2) - 0.35, False), (2.447 * math.sqrt(2) + 0.35, True)):
        sets = rank_sets([gap, 0], [1, 1], df=[3, 3], draws=40_000)
        assert (sets.high[0] == 1) == apart


def test_the_step_down_lowers_the_bar_for_what_is_left():
    # Two far groups of ten, 0-9 below 10-19: "lower above higher" is refuted; the other 280 of 380 ordered pairs remain.
    rng = np.random.default_rng(8)
    z = rng.standard_normal((40_000, 20))
    low, high = z[:, :10], z[:, 10:]
    left = np.max([np.ptp(low, axis=1), np.ptp(high, axis=1), low.max(axis=1) - high.min(axis=1)], axis=0)
    single, stepped = np.quantile(np.ptp(z, axis=1), 0.95), np.quantile(left, 0.95)
    gap = (single + stepped) / 2
    assert stepped < gap - 0.05 < gap + 0.05 < single
    x = np.repeat([0.0, 100.0], 10)
    x[[0, 10]] += gap
    sets = rank_sets(x, np.ones(20), draws=40_000)
    assert (sets.high[10], sets.high[0], sets.low[1], sets.low[11]) == (1, 11, 12, 2)


def test_equal_means_share_the_best_place_and_rounding_does_not_part_them():
    sets = rank_sets([60, 100 * (0.1 + 0.2) * 2, 60 + 1e-12, 50], [1, 1, 1, 1])
    assert sets.rank.tolist() == [1, 1, 1, 4]


def test_a_unit_without_an_error_may_be_anywhere_and_one_without_a_mean_is_not_there():
    for method in METHODS:
        sets = rank_sets([80, 60, 40, 70, np.nan], [1, 1, 1, np.nan, 1], method=method)
        assert sets.rank[:4].tolist() == [1, 3, 4, 2]
        assert (sets.low[:3].tolist(), sets.high[:3].tolist()) == ([1, 2, 3], [2, 3, 4])
        assert np.isnan([sets.low[3], sets.high[3], sets.rank[4], sets.low[4]]).all()


def test_units_without_any_error_have_one_place_and_equal_ones_share_theirs():
    for method in METHODS:
        sets = rank_sets([80, 60, 60, 40], [0, 0, 0, 0], method=method)
        assert (sets.low.tolist(), sets.high.tolist()) == ([1, 2, 2, 4], [1, 3, 3, 4])


@pytest.mark.parametrize("method", METHODS)
def test_one_unit_and_none(method: str):
    one, none = rank_sets([60], [2], method=method), rank_sets([np.nan, 60], [1, np.nan], method=method)
    assert (one.rank.tolist(), one.low.tolist(), one.high.tolist()) == ([1], [1], [1])
    assert np.isnan(none.low).all()
    assert np.isnan(p_top([np.nan, 60], [1, np.nan], 1).first).all()


def test_chances_of_two_units_are_those_of_their_difference():
    for df, chance in ((None, stats.norm.cdf(2 / math.sqrt(5))), ([5, np.inf], None)):
        found = p_top([62, 60], [1, 2], 1, draws=20_000, df=df)
        if chance is None:
            rng = np.random.default_rng(0)
            chance = (62 + rng.standard_t(5, 400_000) > 60 + 2 * rng.standard_normal(400_000)).mean()
        least, most = accepted(chance, 20_000)
        assert least <= found.first[0] <= most
        assert found.first.sum() == pytest.approx(1)


def test_marginal_sets_of_some_units_are_theirs_among_all():
    whole, some = (rank_sets(MEANS, ERRORS, method="marginal", of=of) for of in (None, [2, 5]))
    assert np.isnan(some.low[[0, 1, 3, 4, 6]]).all()
    assert some.low[[2, 5]].tolist() == whole.low[[2, 5]].tolist()
    assert some.high[[2, 5]].tolist() == whole.high[[2, 5]].tolist()


def test_overlap_of_equal_errors():
    # Goldstein & Healy 1995: two intervals of ±1.39 se (84 %) overlap in 5 % of pairs that do not differ.
    found = overlap_intervals([60, 64], [2, 2])
    assert found.factor == pytest.approx(1.959964 / math.sqrt(2), abs=1e-6)
    assert found.low[1] - found.high[0] == pytest.approx(4 - 4 * found.factor, abs=1e-9)
    assert np.isnan(overlap_intervals([60], [2]).factor)


# Properties.


@pytest.mark.parametrize("method", METHODS)
def test_the_order_of_units_origin_and_scale_do_not_matter(method: str):
    order = np.random.default_rng(1).permutation(7)
    df = np.array([9, 14, 30, np.inf, 20, 11, 50.0])
    sets = rank_sets(MEANS, ERRORS, method=method, df=df)
    turned = rank_sets(MEANS[order], ERRORS[order], method=method, df=df[order])
    scaled = rank_sets(MEANS * 4 - 100, ERRORS * 4, method=method, df=df)
    for name in ("rank", "low", "high"):
        assert getattr(turned, name).tolist() == getattr(sets, name)[order].tolist()
        assert getattr(scaled, name).tolist() == getattr(sets, name).tolist()


@pytest.mark.parametrize("method", METHODS)
def test_turning_the_scale_round_turns_the_places_round(method: str):
    sets, turned = (rank_sets(sign * MEANS, ERRORS, method=method, draws=20_000) for sign in (1, -1))
    assert turned.low.tolist() == (8 - sets.high).tolist()
    assert turned.rank.tolist() == (8 - sets.rank).tolist()


def test_sets_hold_the_rank_and_joint_ones_the_marginal_ones():
    joint, marginal = (rank_sets(MEANS, ERRORS, method=method, draws=20_000) for method in ("joint", "marginal"))
    for sets in (joint, marginal):
        assert ((sets.low <= sets.rank) & (sets.rank <= sets.high)).all()
    assert ((joint.low <= marginal.low) & (marginal.high <= joint.high)).all()
    wide = rank_sets(MEANS, ERRORS, confidence=0.99)
    assert ((wide.low <= joint.low) & (joint.high <= wide.high)).all()


def test_chances_add_up_to_the_places_there_are():
    for k in (1, 3, 7, 20):
        found = p_top(MEANS, ERRORS, k)
        assert found.among.sum() == pytest.approx(min(k, 7))
        assert found.first.sum() == pytest.approx(1)
        assert (found.first <= found.among).all()
    one, again, other = (p_top(MEANS, ERRORS, 2, seed=seed).among for seed in (1, 1, 2))
    assert one.tolist() == again.tolist()
    assert one.tolist() != other.tolist()


@pytest.mark.parametrize("df", [np.inf, 4.0])
@pytest.mark.parametrize("units", [5, 40, 300])
def test_the_largest_difference_is_found_without_looking_at_every_pair(units: int, df: float):
    # Cannot be reached through public names: the bound must never lose the largest of all pairs.
    rng = np.random.default_rng(units)
    x, s = np.sort(rng.normal(0, 1, units))[::-1], rng.uniform(0.1, 2, units)
    error = np.sqrt(s[:, None] ** 2 + s**2)
    for e, a in rank_draws.drawn_errors(s, np.full(units, df), 40, 1):
        values = ((a * e)[:, :, None] - (a * e)[:, None, :]) / np.sqrt(a[:, :, None] ** 2 + a[:, None, :] ** 2)
        for cut in (np.inf, 3.0, 1.0):
            told = np.eye(units, dtype=bool) | (np.subtract.outer(x, x) > cut * error if cut < np.inf else False)
            expected = np.where(told, -np.inf, values).max(axis=(1, 2))
            np.testing.assert_allclose(module._largest(e, a, x, s, cut), expected, rtol=1e-5)


@pytest.mark.parametrize("cut", [0.0, 1.0, 2.5, 6.0, math.inf])
@pytest.mark.parametrize("digits", [0, 1, 9])
def test_those_surely_below_are_those_of_all_pairs(monkeypatch: pytest.MonkeyPatch, cut: float, digits: int):
    """Ties of means and of errors, errors of 0, one unit, blocks of a few units: the same counts as pair by pair."""
    monkeypatch.setattr(module, "ROWS_AT_ONCE", 7)
    rng = np.random.default_rng(3)
    for units in (1, 2, 6, 7, 8, 40, 90):
        x = -np.sort(-np.round(rng.normal(60, 5, units), digits))
        s = np.round(rng.gamma(2, 1, units), min(digits, 2))
        apart = x[:, None] - x > module._bar(cut, s[:, None], s)
        assert module._surely_below(x, s, cut).tolist() == apart.sum(axis=1).tolist()


def test_rounded_draws_rank_as_exact_ones_do(monkeypatch: pytest.MonkeyPatch):
    rng = np.random.default_rng(3)
    x, s = rng.normal(65, 5, 400), rng.uniform(1, 4, 400)
    rounded, chances = rank_sets(x, s, method="simulated"), p_top(x, s, 20)
    monkeypatch.setattr(rank_draws, "FINE", 0.0)
    exact, exact_chances = rank_sets(x, s, method="simulated"), p_top(x, s, 20)
    assert np.abs(rounded.low - exact.low).max() <= 1
    assert np.abs(rounded.high - exact.high).max() <= 1
    assert np.abs(chances.among - exact_chances.among).max() <= 0.005


def test_more_units_than_sixteen_bits_number_are_ordered_alike(monkeypatch: pytest.MonkeyPatch):
    units = 70_000
    x, s, f = np.linspace(10, 0, units), np.full(units, 1.0), np.full(units, np.inf)
    rounded = rank_draws.drawn_orders(x, s, f)(np.random.default_rng(1), 3)
    monkeypatch.setattr(rank_draws, "FINE", 0.0)
    exact = rank_draws.drawn_orders(x, s, f)(np.random.default_rng(1), 3)
    for one, other in zip(rounded, exact, strict=True):
        assert np.array_equal(np.sort(one), np.arange(units))
        assert np.abs(one.argsort() - other.argsort()).max() <= 20  # of 70,000 places: as many draws share a step


def test_words_of_refusal():
    with pytest.raises(UsageError, match=r"method “naive” 不存在.*joint, marginal, simulated|method “naive” 不存在"):
        rank_sets(MEANS, ERRORS, method="naive")
    with pytest.raises(UsageError, match=r"mean \(7,\), se \(3,\), df \(7,\).*等长"):
        rank_sets(MEANS, ERRORS[:3])
    with pytest.raises(UsageError, match=r"不能为负"):
        rank_sets(MEANS, -ERRORS)
    with pytest.raises(UsageError, match=r"draws = 10.*抽样次数太少"):
        rank_sets(MEANS, ERRORS, draws=10)
    with pytest.raises(UsageError, match=r"k = 0"):
        p_top(MEANS, ERRORS, 0)


# How often they are right. 39 draws are enough: Weibull's quantile keeps the rate at 95 % for any number.

SEED, REPLICATIONS = 20261121, trials(1000)


def true_sets(truth: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Best and worst place of each unit; equal units share."""
    higher, lower = ((sign * truth[None, :] > sign * truth[:, None]).sum(axis=1) for sign in (1, -1))
    return 1 + higher, truth.size - lower


def held(truth: np.ndarray, se: np.ndarray, n: np.ndarray | None, **options) -> np.ndarray:
    """For each replication, which units' sets hold their true places; se estimated from n persons where n is given."""
    rng = np.random.default_rng([SEED, truth.size])
    best, worst = true_sets(truth)
    found = np.empty((REPLICATIONS, truth.size), dtype=bool)
    for i in range(REPLICATIONS):
        own = se if n is None else se * np.sqrt(rng.chisquare(n - 1) / (n - 1))
        mean = truth + se * rng.standard_normal(truth.size)
        sets = rank_sets(mean, own, df=None if n is None else n - 1, seed=i, **options)
        found[i] = (sets.low <= best) & (sets.high >= worst)
    return found


def test_joint_sets_of_units_that_differ_all_hold_their_ranks():
    rng = np.random.default_rng(SEED)
    rate = held(rng.normal(65, 4, 20), 14.5 / np.sqrt(rng.integers(10, 80, 20)), None, draws=39).all(axis=1).mean()
    assert rate >= accepted(0.95, REPLICATIONS)[0]


def test_joint_sets_hold_with_errors_estimated_from_ten_persons():
    rng = np.random.default_rng(SEED)
    n = rng.integers(10, 40, 20)
    rate = held(rng.normal(65, 4, 20), 14.5 / np.sqrt(n), n, draws=39).all(axis=1).mean()
    assert rate >= accepted(0.95, REPLICATIONS)[0]


def test_a_marginal_set_holds_its_unit():
    rng = np.random.default_rng(SEED)
    truth, se = rng.normal(65, 4, 20), 14.5 / np.sqrt(rng.integers(10, 80, 20))
    rate = held(truth, se, None, draws=39, method="marginal", of=[7])[:, 7].mean()
    assert rate >= accepted(0.95, REPLICATIONS)[0]


def test_of_equal_units_joint_sets_tell_apart_as_often_as_stated_and_simulated_ones_far_too_often():
    truth, se = np.full(100, 65.0), 14.5 / np.sqrt(np.resize([10, 15, 30, 80], 100))
    joint = held(truth, se, None, draws=39).all(axis=1).mean()
    least, most = accepted(0.95, REPLICATIONS)
    assert least <= joint <= most
    assert held(truth, se, None, draws=99, method="simulated").all(axis=1).mean() < 0.05


def test_errors_estimated_from_ten_persons_must_be_told_so():
    truth, se, n = np.full(50, 65.0), np.full(50, 4.6), np.full(50, 10)
    rng = np.random.default_rng(SEED)
    told, untold = [], []
    for i in range(REPLICATIONS):
        own = se * np.sqrt(rng.chisquare(n - 1) / (n - 1))
        mean = truth + se * rng.standard_normal(50)
        for rates, df in ((told, n - 1), (untold, None)):
            sets = rank_sets(mean, own, df=df, draws=39, seed=i)
            rates.append((sets.low == 1).all() and (sets.high == 50).all())
    least, most = accepted(0.95, REPLICATIONS)
    assert least <= np.mean(told) <= most
    assert np.mean(untold) < 0.75  # the docstring says so


@pytest.mark.slow
def test_of_a_thousand_equal_units_something_is_said_as_seldom_as_stated():
    rate = (
        held(np.full(1000, 65.0), 14.5 / np.sqrt(np.resize([10, 15, 30, 80], 1000)), None, draws=39).all(axis=1).mean()
    )
    least, most = accepted(0.95, REPLICATIONS)
    assert least <= rate <= most


def test_of_equal_units_nobody_is_surely_among_the_first():
    rng = np.random.default_rng(SEED)
    found = p_top(np.full(50, 65.0), np.full(50, 3.0), 10, draws=4000)
    least, most = accepted(0.2, 4000)
    assert np.mean((least <= found.among) & (found.among <= most)) >= 0.9
    drawn = p_top(65 + 3 * rng.standard_normal(50), np.full(50, 3.0), 10, draws=4000)
    assert drawn.among.max() > 0.5  # unshrunken means overstate: shrink first
