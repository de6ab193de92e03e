"""Intervals worked out by hand, the split of a change into mix and within, and how often intervals hold the truth.

Tolerances: numbers printed in the literature to their last digit; numbers worked out here to 1e-9.
"""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from small import codebook_of, plain_table, wave

import dj_analysis as dj
from dj_analysis.judge.change import q_values
from dj_analysis.measure.inference import uncertainty
from dj_analysis.measure.scales.agreement import icc_one_way, rwg_j
from dj_analysis.measure.scales.moments import moments_of
from dj_analysis.spec import reasons
from dj_analysis.spec.units import Unit, Units

EXACT = 1e-9


def sums_of(scores, weights=None) -> dict[str, np.ndarray]:
    """Additive sums of one unit, written out."""
    x = np.asarray(scores, dtype=float)
    w = np.ones_like(x) if weights is None else np.asarray(weights, dtype=float)
    sums = {
        "n": len(x), "w": w.sum(), "ww": (w**2).sum(), "wx": (w * x).sum(), "wxx": (w * x**2).sum(),
        "wwx": (w**2 * x).sum(), "wwxx": (w**2 * x**2).sum(), "www": (w**3).sum(), "wxxx": (w * x**3).sum(),
    }  # fmt: skip
    return {name: np.array([value], dtype=float) for name, value in sums.items()}


# Shares.


def test_wilson_interval_of_newcombe():
    # Newcombe 1998, table I: 81 of 263, score method without continuity correction.
    low, high = uncertainty.shares_interval(np.array([81.0]), np.array([263.0]))
    assert (round(float(low[0]), 4), round(float(high[0]), 4)) == (0.2553, 0.3662)


def test_wilson_interval_reaches_the_shares_table():
    shares = dj.score(wave({"A": [75] * 81 + [50] * 182})).shares
    row = shares.where(unit="A", code="q1", statistic="favourable").table.iloc[0]
    assert (row["n"], row["count"], row["share"]) == (263, 81, 81 / 263)
    assert (round(row["low"], 4), round(row["high"], 4)) == (0.2553, 0.3662)


def test_wilson_interval_of_none_and_of_nobody():
    low, high = uncertainty.shares_interval(np.array([0.0, 10.0, 0.0]), np.array([10.0, 10.0, 0.0]))
    z2 = stats.norm.ppf(0.975) ** 2
    np.testing.assert_allclose(low[:2], [0, 10 / (10 + z2)], atol=EXACT)
    np.testing.assert_allclose(high[:2], [z2 / (10 + z2), 1], atol=EXACT)
    assert np.isnan([low[2], high[2]]).all()


def test_a_share_with_unequal_weights_has_the_interval_of_the_effective_number():
    # Weights 1, 1, 1, 2, 3: n_eff = 8²/16 = 4; favourable are those of weight 2 and 3: 5/8.
    frame = pd.DataFrame({"q1": [0, 0, 0, 100, 100], "w": [1, 1, 1, 2, 3], "unit": ["A"] * 5})
    shares = dj.score(dj.read_survey(frame, weighted())).shares
    row = shares.where(unit="A", code="q1", statistic="favourable").table.iloc[0]
    z, p, n = stats.norm.ppf(0.975), 5 / 8, 4
    half = z * math.sqrt(z**2 + 4 * n * p * (1 - p))
    assert (row["share"], row["n"]) == (p, 5)
    assert row["low"] == pytest.approx((2 * n * p + z**2 - half) / (2 * (n + z**2)), abs=EXACT)
    assert row["high"] == pytest.approx((2 * n * p + z**2 + half) / (2 * (n + z**2)), abs=EXACT)


# Means.


def test_t_interval_of_six_people():
    # 50 75 75 100 25 50: mean 62.5, Σ(x−x̄)² = 4·156.25 + 2·1406.25 = 3437.5, s² = 687.5, t(.975; 5) = 2.570582.
    row = dj.score(wave({"A": [50, 75, 75, 100, 25, 50]})).at("A", "D1")
    assert (row["n"], row["score"], row["reason"], row["se_source"]) == (6, 62.5, "", "respondents")
    assert row["sd"] == pytest.approx(math.sqrt(687.5), abs=EXACT)
    assert row["se"] == pytest.approx(math.sqrt(687.5 / 6), abs=EXACT)
    assert (round(row["low"], 2), round(row["high"], 2)) == (34.98, 90.02)


def test_an_interval_ends_where_the_scale_does():
    row = dj.score(wave({"A": [95, 100, 85], "B": [0, 5, 15]})).table.set_index(["unit", "code"])
    assert (row.loc[("A", "D1"), "high"], row.loc[("B", "D1"), "low"]) == (100, 0)
    assert row.loc[("A", "D1"), "low"] > 0


def test_too_little_gives_a_score_without_an_interval_and_says_why():
    units = Units(tuple(Unit(name, level="unit") for name in ("one", "same", "none")))
    table = dj.score(wave({"one": [60], "same": [70, 70, 70]}, units=units)).table.set_index(["unit", "code"])
    one, same, none = (table.loc[(unit, "INDEX")] for unit in ("one", "same", "none"))
    assert (one["n"], one["score"], one["reason"]) == (1, 60, "one_person")
    assert np.isnan(one["sd"])
    assert (same["n"], same["score"], same["sd"], same["reason"]) == (3, 70, 0, "no_variance")
    assert (none["n"], none["reason"]) == (0, "no_answers")
    assert np.isnan(none["score"])
    for row in (one, same, none):
        assert row[["se", "low", "high"]].isna().all()


def test_people_who_answered_too_little_are_no_score_and_the_reason_differs_from_nobody():
    table = plain_table(("INDEX", ""), ("D1", "INDEX"), *((f"a{i}", "D1", 1, 1.0, 1, 5) for i in range(5)))
    frame = pd.DataFrame({f"a{i}": [3.0, 4.0] if i < 2 else [np.nan, np.nan] for i in range(5)}).assign(unit="A")
    scores = dj.score(dj.read_survey(frame, codebook_of(table)))
    row = scores.at("A", "D1")
    assert (row["n"], row["reason"]) == (0, "not_enough_answered")
    assert np.isnan(row["score"])
    assert (scores.at("A", "a0")["n"], scores.at("A", "a0")["score"]) == (2, 62.5)


def test_sixty_percent_of_the_items_are_enough_and_three_quarters_of_the_dimensions():
    table = plain_table(
        ("INDEX", ""),
        *((f"D{d}", "INDEX") for d in range(4)),
        *((f"a{d}{i}", f"D{d}", 1, 1.0, 1, 5) for d in range(4) for i in range(5)),
    )
    answered = {0: 3, 1: 3, 2: 3, 3: 2}  # items of each dimension; the fourth has too few
    row = {f"a{d}{i}": 5.0 if i < answered[d] else np.nan for d in range(4) for i in range(5)}
    fewer = row | {"a22": np.nan}
    frame = pd.DataFrame([row, fewer]).assign(unit=["A", "B"])
    scores = dj.score(dj.read_survey(frame, codebook_of(table)))
    assert [scores.at("A", code)["n"] for code in ("D0", "D1", "D2", "D3", "INDEX")] == [1, 1, 1, 0, 1]
    assert scores.at("A", "INDEX")["score"] == 100
    assert [scores.at("B", code)["n"] for code in ("D1", "D2", "INDEX")] == [1, 0, 0]


def weighted():
    table = plain_table(("INDEX", ""), ("D1", "INDEX"), ("q1", "D1", 1, 1.0, 0, 100))
    return codebook_of(table, weight="w")


def test_linearised_error_with_unequal_weights():
    # x̄ = 425/8; Σw²(x−x̄)² = 5937.5; se² = 5937.5/64 · 5/4; n_eff = 8²/16 = 4 (Kish), so t has 3 degrees of freedom.
    x, w = [50, 75, 100, 25, 50], [1, 1, 1, 2, 3]
    alike = [50, 75] * 10  # of B: by how everybody's answers scatter A's limits lie inside its own
    frame = pd.DataFrame({"q1": x + alike, "w": w + [1] * 20, "unit": ["A"] * 5 + ["B"] * 20})
    row = dj.score(dj.read_survey(frame, weighted())).at("A", "D1")
    se = math.sqrt(5937.5 / 64 * 5 / 4)
    # The interval leans by δ = γ(2·1.95996² + 1)/6 standard errors; γ = m₃/m₂^1.5 · Σw³/(Σw²)^1.5 = m₃/m₂^1.5 · 38/64.
    m2, m3 = (np.average((np.array(x) - 53.125) ** power, weights=w) for power in (2, 3))
    lean = m3 / m2**1.5 * 38 / 64 * (2 * 1.959963984540054**2 + 1) / 6
    below, above = (3.182446305284263 - lean) * se, (3.182446305284263 + lean) * se
    assert (row["n"], row["score"]) == (5, 53.125)
    assert row["se"] == pytest.approx(se, abs=EXACT)
    assert lean > 0.1
    assert row["low"] == pytest.approx(53.125 - below, abs=EXACT)
    assert row["high"] == pytest.approx(min(53.125 + above, 100), abs=EXACT)
    # Σw(x − x̄)² = 4296.875 by Σw − Σw²/Σw = 8 − 16/8, the divisor of the intraclass correlations too.
    assert row["sd"] == pytest.approx(math.sqrt(4296.875 / 6), abs=EXACT)
    found = uncertainty.means(sums_of(x, w))
    assert found.df[0] == pytest.approx(3, abs=EXACT)


def test_confidence_is_a_parameter():
    narrow, wide = (uncertainty.means(sums_of([40, 50, 60, 70]), level) for level in (0.8, 0.99))
    half = stats.t.ppf(0.9, 3) * narrow.se[0]
    assert narrow.low[0] == pytest.approx(55 - half, abs=EXACT)
    assert wide.low[0] < narrow.low[0]


def test_probability_of_lying_below_a_point():
    mean, se, df = np.array([58.0, 60.0, 58.0]), np.array([2.0, 2.0, np.nan]), np.array([9.0, 9.0, 9.0])
    below = uncertainty.probability(mean, se, df, 60, "below")
    above = uncertainty.probability(mean, se, df, 60, "above")
    assert below[0] == pytest.approx(stats.t.cdf(1, 9), abs=EXACT)  # .828
    assert below[1] == pytest.approx(0.5, abs=EXACT)
    np.testing.assert_allclose((below + above)[:2], 1, atol=EXACT)
    assert np.isnan([below[2], above[2]]).all()


@pytest.mark.parametrize("lean", [-0.5, -0.2, 0.0, 0.3, 0.6])
def test_probability_and_interval_say_the_same(lean: float):
    mean, se, df, skewness = (np.array([value]) for value in (60.0, 4.0, 9.0, lean))
    low, high = uncertainty.skewed_limits(mean, se, df, skewness)
    below = [uncertainty.probability(mean, se, df, float(end[0]), "below", skewness)[0] for end in (low, high)]
    assert below == pytest.approx([0.025, 0.975], abs=0.002)
    chances = [uncertainty.probability(mean, se, df, point, "below", skewness)[0] for point in np.arange(30, 91, 0.5)]
    assert (np.diff(chances) >= -1e-9).all()


def test_sums_without_cubes_are_read_as_before():
    sums = {name: value for name, value in sums_of([90, 95, 100, 60, 100]).items() if name not in ("www", "wxxx")}
    found = uncertainty.means(sums)
    half = stats.t.ppf(0.975, 4) * found.se[0]
    assert (found.skewness[0], found.low[0]) == (0, pytest.approx(89 - half, abs=EXACT))
    leaning = uncertainty.means(sums_of([90, 95, 100, 60, 100]))
    assert leaning.low[0] < found.low[0], "the long tail lies below"


def test_equal_answers_of_very_many_people_have_no_spread():
    answers = np.full(50_000, 100 * 23 / 30)
    wx, wxx = (np.cumsum(answers**power)[-1:] for power in (1, 2))  # added one after the other, as an engine may
    n = np.array([50_000.0])
    found = uncertainty.means({"n": n, "w": n, "ww": n, "wx": wx, "wxx": wxx, "wwx": wx, "wwxx": wxx})
    assert found.mean[0] == pytest.approx(100 * 23 / 30, abs=EXACT)
    assert found.reason[0] == reasons.NO_VARIANCE
    assert np.isnan(found.se[0])


# Change.


def test_kitagawa_by_hand():
    # Shares .6, .4 → .4, .6; means 70, 80 → 72, 80: 2.8 = within .5·2 + mix (71·−.2 + 80·.2).
    before = wave({"A": [60, 70, 80] * 2, "B": [75, 85] * 2}, "2026Q2")
    now = wave({"A": [62, 82] * 2, "B": [70, 80, 90] * 2}, "2026Q3")
    change = dj.compare(dj.score(now), dj.score(before)).table.set_index(["unit", "code"])
    row = change.loc[("ALL", "INDEX")]
    assert (row["now"], row["before"]) == (pytest.approx(76.8, abs=EXACT), pytest.approx(74.0, abs=EXACT))
    assert row["difference"] == pytest.approx(2.8, abs=EXACT)
    assert row["within"] == pytest.approx(1.0, abs=EXACT)
    assert row["mix"] == pytest.approx(1.8, abs=EXACT)
    assert change.loc[("A", "INDEX"), "within"] == pytest.approx(2.0, abs=EXACT)
    assert change.loc[("B", "INDEX"), "within"] == pytest.approx(0.0, abs=EXACT)


def test_a_unit_in_one_wave_only_is_mix():
    before = wave({"A": [60, 80]}, "2026Q2")
    now = wave({"A": [60, 80], "B": [40, 40]}, "2026Q3")
    row = dj.compare(dj.score(now), dj.score(before)).table.set_index(["unit", "code"]).loc[("ALL", "INDEX")]
    assert (row["difference"], row["within"], row["mix"]) == (-15, 0, -15)


def test_error_of_a_change_by_hand():
    # n 4 and 6, s² 1000/3 and 560/5: se² = 250/3 + 56/3, Welch-Satterthwaite on 3 and 5 degrees of freedom.
    before = wave({"A": [40, 50, 70, 80]}, "2026Q2")
    now = wave({"A": [60, 70, 80, 60, 80, 82]}, "2026Q3")
    row = dj.compare(dj.score(now), dj.score(before)).table.set_index(["unit", "code"]).loc[("A", "D1")]
    x, y = np.array([40, 50, 70, 80.0]), np.array([60, 70, 80, 60, 80, 82.0])
    parts = np.array([x.var(ddof=1) / 4, y.var(ddof=1) / 6])
    df = parts.sum() ** 2 / (parts[0] ** 2 / 3 + parts[1] ** 2 / 5)
    half = stats.t.ppf(0.975, df) * math.sqrt(parts.sum())
    assert row["difference"] == pytest.approx(12, abs=EXACT)
    assert row["se"] == pytest.approx(math.sqrt(parts.sum()), abs=EXACT)
    assert (row["low"], row["high"]) == (pytest.approx(12 - half, abs=1e-6), pytest.approx(12 + half, abs=1e-6))
    assert not row["real"]


def test_error_of_a_change_with_unequal_weights_has_the_degrees_of_freedom_of_its_means():
    w = [1, 1, 1, 2, 3]
    frames = [pd.DataFrame({"q1": x, "w": w, "unit": ["A"] * 5}) for x in ([50, 75, 100, 25, 50], [40, 30, 20, 60, 0])]
    surveys = [dj.read_survey(f, weighted(), period=p) for f, p in zip(frames, ("2026Q3", "2026Q2"), strict=True)]
    now, before = (dj.score(survey) for survey in surveys)
    row = dj.compare(now, before).table.set_index(["unit", "code"]).loc[("A", "D1")]
    first, second = before.at("A", "D1")["se"], now.at("A", "D1")["se"]
    df = (first**2 + second**2) ** 2 / (first**4 / 3 + second**4 / 3)
    assert row["high"] - row["difference"] == pytest.approx(stats.t.ppf(0.975, df) * row["se"], abs=1e-6)


# Benjamini & Hochberg 1995, section 3.2: fifteen tests of an infarction trial.
P_VALUES = [
    0.0001, 0.0004, 0.0019, 0.0095, 0.0201, 0.0278, 0.0298, 0.0344, 0.0459, 0.3240, 0.4262, 0.5719, 0.6528, 0.7590, 1.0
]  # fmt: skip


def test_false_discovery_rate_of_benjamini_and_hochberg():
    q = q_values(pd.Series(P_VALUES))
    assert int((q <= 0.05).sum()) == 4
    assert sum(p * 15 <= 0.05 for p in P_VALUES) == 3  # Bonferroni
    assert q[3] == pytest.approx(0.0095 * 15 / 4, abs=1e-12)
    assert (np.diff(q) >= 0).all()


def test_missing_p_values_are_no_tests():
    shuffled = pd.Series([np.nan, *P_VALUES[::-1], np.nan])
    q = q_values(shuffled)
    assert q.isna().tolist() == shuffled.isna().tolist()
    assert q[12] == pytest.approx(0.035625, abs=1e-12)
    assert q_values(pd.Series([np.nan, np.nan])).isna().all()


# How often the intervals hold the truth.

SEED, DRAWS = 20261121, 4000
CUTS = np.array([1.5, 2.5, 3.5, 4.5])
#: Latent means of sixteen anchors, two a dimension; D8 leans on the good end as safety questions do.
LATENT = np.array([3.3, 3.0, 3.1, 3.4, 3.5, 3.6, 3.7, 3.5, 4.0, 3.9, 3.4, 3.6, 3.3, 3.2, 4.2, 4.3])
PERSON, DIMENSION, ITEM = 0.60, 0.50, 0.75


def answers_of(draw: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    """Answers of people to sixteen items, in points."""
    latent = LATENT + PERSON * draw.standard_normal((*shape, 1))
    latent = latent + DIMENSION * np.repeat(draw.standard_normal((*shape, 8)), 2, axis=-1)
    latent += ITEM * draw.standard_normal((*shape, 16))
    return np.asarray(np.searchsorted(CUTS, latent) * 25.0)


def people(draw: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    """Scores of people on eight dimensions and the index: normal latent answers cut into five options."""
    points = answers_of(draw, shape)
    dimensions = points.reshape(*shape, 8, 2).mean(axis=-1)
    return np.concatenate([dimensions, dimensions.mean(axis=-1, keepdims=True)], axis=-1)


def true_items() -> np.ndarray:
    """Exact means of the items."""
    spread = math.sqrt(PERSON**2 + DIMENSION**2 + ITEM**2)
    return np.asarray(25 * stats.norm.sf((CUTS[:, None] - LATENT) / spread).sum(axis=0))


def true_means() -> np.ndarray:
    """Exact means: the expected answer is a sum of normal tail probabilities."""
    dimensions = true_items().reshape(8, 2).mean(axis=1)
    return np.append(dimensions, dimensions.mean())


def test_the_simulated_people_are_like_real_ones():
    scores = people(np.random.default_rng(SEED), (200_000,))
    assert 14 < scores[:, -1].std() < 15
    np.testing.assert_allclose(scores.mean(axis=0), true_means(), atol=0.2)
    assert 50 < true_means().min() < 55 < 75 < true_means().max() < 80


@pytest.fixture(scope="module")
def coverage() -> dict[int, np.ndarray]:
    """Share of intervals that hold the true mean, by n; one number a dimension, then the index."""
    truth, found = true_means(), {}
    for n in (10, 30, 100):
        x = people(np.random.default_rng([SEED, n]), (DRAWS, n))
        count = np.full((DRAWS, 9), float(n))
        wx, wxx, wxxx = (x.sum(axis=1), (x**2).sum(axis=1), (x**3).sum(axis=1))
        sums = {"n": count, "w": count, "ww": count, "www": count, "wx": wx, "wxx": wxx, "wxxx": wxxx}
        means = uncertainty.means(sums | {"wwx": wx, "wwxx": wxx})
        found[n] = ((means.low <= truth) & (truth <= means.high)).mean(axis=0)
    return found


CODES = [*(f"D{d}" for d in range(1, 9)), "INDEX"]


@pytest.mark.parametrize("code", CODES)
@pytest.mark.parametrize("n", [10, 30, 100])
def test_intervals_hold_the_truth_as_often_as_they_say(n: int, code: str, coverage: dict[int, np.ndarray]):
    least, most = np.array(stats.binom.interval(0.99, DRAWS, 0.95)) / DRAWS
    assert least <= coverage[n][CODES.index(code)] <= most


def test_intervals_of_single_items_hold_the_truth_from_a_hundred_people_on():
    truth, held, rng = true_items(), np.zeros(16), np.random.default_rng([SEED, 16])
    for _ in range(DRAWS // 500):
        x = answers_of(rng, (500, 100))
        n = np.full((500, 16), 100.0)
        wx, wxx, wxxx = ((x**power).sum(axis=1) for power in (1, 2, 3))
        sums = {"n": n, "w": n, "ww": n, "www": n, "wx": wx, "wxx": wxx, "wxxx": wxxx, "wwx": wx, "wwxx": wxx}
        found = uncertainty.means(sums)
        held += ((found.low <= truth) & (truth <= found.high)).sum(axis=0)
    least, most = np.array(stats.binom.interval(0.99, DRAWS, 0.95)) / DRAWS
    outside = (held / DRAWS < least) | (held / DRAWS > most)
    assert outside.sum() <= stats.binom.ppf(0.99, 16, 0.01), held / DRAWS


def test_one_divisor_for_the_variance_of_weighted_persons():
    # 0, 10, 20, 30 with weights 1, 1, 1, 5: x̄ = 22.5, Σw(x−x̄)² = 950, Σw − Σw²/Σw = 8 − 28/8 = 4.5. (n/(n−1) gave 158.3.)
    x, w = np.array([0.0, 10, 20, 30]), np.array([1.0, 1, 1, 5])
    assert uncertainty.means(sums_of(x, w)).sd[0] ** 2 == pytest.approx(950 / 4.5, abs=1e-9)
    assert moments_of(x[:, None], w).covariances().covariance[0, 0] == pytest.approx(950 / 4.5, abs=1e-9)
    sums = (np.array([[value]]) for value in (4.0, (w * x).sum(), (w * x**2).sum()))
    _, star = rwg_j(*sums, np.array([950.0]), np.array([[8.0]]), np.array([[28.0]]))
    assert 1 - star[0] == pytest.approx(1 / 4.5, abs=1e-12)
    ones = icc_one_way(
        *(np.array([value, value]) for value in (4.0, 180.0, 5000.0)), w=np.full(2, 8.0), ww=np.full(2, 28.0)
    )
    assert ones.within == pytest.approx(950 / 4.5, abs=1e-9)


def test_the_variance_of_weighted_persons_is_unbiased():
    random = np.random.default_rng(5)
    w = np.array([5.0] * 2 + [1.0] * 8)
    x = random.normal(50, 10, (40_000, 10))
    sums = {
        name: (w ** name.count("w") * x ** name.count("x")).sum(axis=1)
        for name in ("w", "ww", "wx", "wxx", "wwx", "wwxx")
    }
    found = uncertainty.means(
        {name: np.broadcast_to(value, len(x)) for name, value in sums.items()} | {"n": np.full(len(x), 10)}
    )
    assert (found.sd**2).mean() == pytest.approx(100, abs=1)  # n/(n−1) gave 91.3


def test_a_person_without_weight_counts_nowhere():
    frame = pd.DataFrame({"q1": [40.0, 60, 80, 0], "w": [1, 1, 1, 0], "unit": ["A"] * 4})
    scored, kept = (dj.score(dj.read_survey(rows, weighted())).at("A", "D1") for rows in (frame, frame.head(3)))
    assert scored["n"] == 3
    for name in ("score", "sd", "se", "df", "low", "high"):
        assert scored[name] == pytest.approx(kept[name], abs=EXACT)
    moments = moments_of(frame[["q1"]].to_numpy(), frame["w"].to_numpy(dtype=float)).covariances()
    assert (moments.n, moments.covariance[0, 0]) == (3, pytest.approx(400))


def test_persons_without_weight_protect_nobody():
    # Twelve sheets a unit, in B five of them of weight 0: seven people are fewer than min_group.
    frame = pd.DataFrame(
        {"q1": [40.0, 60, 80, 50] * 6, "unit": ["A"] * 12 + ["B"] * 12, "w": [1.0] * 12 + [0] * 5 + [1] * 7}
    )
    scores = dj.score(dj.read_survey(frame, weighted()), by="unit")
    rows = dj.protect(scores).table.query("level == 'unit' and code == 'D1'").set_index("unit")
    assert scores.at("B", "D1")["n"] == 7
    assert np.isnan(rows.loc["B", "score"])
    even = dj.protect(dj.score(dj.read_survey(frame.assign(w=1.0), weighted()), by="unit")).table
    assert even.query("level == 'unit' and code == 'D1'")["score"].notna().all()
