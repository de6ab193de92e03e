"""Many units at once: the law of a mean learned from all of them, and how often nothing is called something."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy import special, stats
from simulated_waves import CODES, ROLES, any_named, compare_p, contrast_p, planted, population, units_named, waves
from small import codebook_of, plain_table
from statsmodels.stats.multitest import multipletests
from trials import trials

import dj_analysis as dj
from dj_analysis.judge.moderated import chance, why_not_judged
from dj_analysis.measure.inference import tails, uncertainty
from dj_analysis.measure.inference.tails import Points, extreme_law, two_weights, upper_tail
from dj_analysis.measure.inference.unitlaws import UnitLaws, unit_laws
from dj_analysis.measure.inference.variances import _inverse_trigamma, variance_prior
from dj_analysis.measure.survey import Survey
from dj_analysis.measure.survey_scores import scores_of_sums
from dj_analysis.measure.unitsums import UnitSums
from dj_analysis.spec import reasons
from dj_analysis.spec.specification import Specification
from dj_analysis.spec.units import Unit, Units

UNITS, PERIOD = 1000, "2026Q3"
CODEBOOK = codebook_of(plain_table(("INDEX", ""), ("D1", "INDEX"), ("q1", "D1", 1, 1.0, 0, 100)))
SPEC = Specification(codebook=CODEBOOK, units=Units(tuple(Unit(f"U{i}", level="unit") for i in range(UNITS))))
SHELL = Survey(None, SPEC, PERIOD, ("anchors",), {SPEC.units.at(PERIOD).trees[0]: "unit"})
CELL = ("anchors", "D1")


def sums_of(x: np.ndarray) -> dict[str, np.ndarray]:
    """Additive sums of units × persons, one column."""
    n = np.full((len(x), 1), float(x.shape[1]))
    powers = {"wx" + "x" * i: (x ** (i + 1)).sum(axis=1)[:, None] for i in range(4)}
    none = np.zeros_like(n)
    sums = {"n": n, "w": n, "ww": n, "www": n} | powers | {"wwx": powers["wx"], "wwxx": powers["wxx"]}
    return sums | {"answers": n, "favourable": none, "low": none}


def contrast_of(x: np.ndarray) -> np.ndarray:
    axis = SPEC.units.at(PERIOD).trees[0]
    block = UnitSums(
        axis, tuple(f"U{i}" for i in range(len(x))), (CELL,), np.full(len(x), float(x.shape[1])), sums_of(x)
    )
    return dj.contrast(scores_of_sums({axis: block}, SHELL, ["unit"])).table.set_index("unit")


SHAPES = {
    "symmetric": (0.10, 0.20, 0.40, 0.20, 0.10),
    "usual": (0.05, 0.10, 0.25, 0.40, 0.20),
    "near the end": (0.03, 0.05, 0.10, 0.25, 0.57),
}
RATE, WAVES = 0.10, trials(60, 20)


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing so near is ever named: the normal tail will do there."""
    monkeypatch.setattr(tails, "NEAR", 1.5)


@pytest.mark.parametrize(("kind", "weights", "people"), [
    ("middle", "equal", 20), ("ceiling 94.5", "equal", 50), ("mixture", "equal", 20), ("polarised", "equal", 10),
    ("mean 86", "five", 20), ("mean 86", "strata", 15),
])  # fmt: skip
def test_units_without_differences(kind: str, weights: str, people: int, quick: None):
    named = [any_named(contrast_p(sums), RATE) for sums in waves(population(kind, weights), 200, people, WAVES, seed=7)]
    for role in ROLES:
        assert sum(wave[role].sum() for wave in named) <= stats.binom.ppf(0.995, WAVES, RATE), role


@pytest.mark.parametrize(("kind", "weights", "people"), [
    ("mean 86", "equal", (50, 15)), ("mixture", "equal", (100, 10)), ("ceiling 94.5", "equal", (15, 50)),
    ("mean 86", "five", (50, 15)),
])  # fmt: skip
def test_units_that_did_not_change(kind: str, weights: str, people: tuple[int, int], quick: None):
    everybody = population(kind, weights)
    named = [
        any_named(compare_p(before, now), RATE)
        for before, now in zip(*(waves(everybody, 200, n, WAVES, seed=k) for k, n in enumerate(people)), strict=True)
    ]
    for role in ROLES:  # q is by code: the rate is that of waves and codes
        flags = np.concatenate([wave[role] for wave in named])
        assert flags.mean() <= stats.binom.ppf(0.995, WAVES, RATE) / WAVES, role


def test_contrast_gives_these_chances():
    x = np.random.default_rng(1).choice(np.arange(5) * 25.0, p=SHAPES["usual"], size=(UNITS, 15, 2)).mean(axis=-1)
    table = contrast_of(x)
    np.testing.assert_allclose(table["p"], contrast_p(sums_of(x))[:, 0], rtol=1e-9)
    assert not table["real"].any()


def test_where_answers_pile_up_among_few_nothing_is_said():
    x = np.random.default_rng(1).choice([0.0, 50, 100], p=[0.01, 0.03, 0.96], size=(UNITS, 12))
    table = contrast_of(x)
    judged = table["se"].notna()
    assert 100 < judged.sum() < UNITS
    assert table.loc[judged, "p"].isna().all()
    assert (table.loc[judged, "reason"] == reasons.PILED_UP).all()
    assert not table["real"].any()


def test_plain_student_would_not_hold_the_rate():
    rng, false = np.random.default_rng(20261121), 0
    for _ in range(100):
        x = rng.choice(np.arange(5) * 25.0, p=SHAPES["near the end"], size=(UNITS, 15, 2)).mean(axis=-1)
        p = np.sort(stats.ttest_1samp(x, x.mean(), axis=1).pvalue)
        false += bool((p <= 0.10 * np.arange(1, UNITS + 1) / UNITS).any())
    assert false > 50


def test_planted_differences_are_found_among_many():
    rng, found, false = np.random.default_rng(5), 0, 0
    for _ in range(20):
        x = rng.choice(np.arange(5) * 25.0, p=SHAPES["symmetric"], size=(UNITS, 40, 2)).mean(axis=-1)
        x[:25], x[25:50] = np.clip(x[:25] - 20, 0, 100), np.clip(x[25:50] + 20, 0, 100)  # the whole stays where it is
        real = contrast_of(x)["real"].to_numpy()
        found, false = found + real[:50].sum(), false + real[50:].sum()
    assert found >= 0.95 * 50 * 20
    assert false <= stats.binom.ppf(0.995, found + false, 0.10)


@pytest.mark.parametrize(("people", "points", "least"), [(20, 12, 0.4), (50, 8, 0.55), (50, 12, 0.95), (100, 5, 0.3)])
def test_planted_falls_are_found_as_often_as_before(people: int, points: float, least: float):
    """20 of 200 units, index, answers in the middle: .47, .60, .98 and .39 of them with the earlier chances."""
    sums = next(waves(population("middle"), 200, people, 20, seed=5))
    sums = {name: values[:, ::CODES] for name, values in planted(sums, points, 20).items()}
    q = np.array([multipletests(p, method="fdr_bh")[1] for p in contrast_p(sums).T])
    assert (q[:, :20] <= RATE).mean() >= least


@pytest.mark.parametrize(("points", "least"), [(8.0, 0.15), (12.0, 0.6)])
def test_units_that_answer_worse_are_found_near_the_end(points: float, least: float, quick: None):
    """Ten of 200 units of 20 at mean 86: index; nearly as often as by the true tail of a mean known beforehand (.34 for 8 points)."""
    others, fallen = population("mean 86"), population("mean 86", lowered=points)
    assert others.truth[0] - fallen.truth[0] == pytest.approx(points, abs=0.3)
    blocks = [next(waves(people, units, 20, 30, seed=units)) for people, units in ((fallen, 10), (others, 190))]
    p = contrast_p({name: np.concatenate([block[name] for block in blocks]) for name in blocks[0]})
    named = units_named(p, RATE)
    assert named[:10, :, 0].mean() >= least
    any_unit = any_named(p, RATE)
    for role, codes in ROLES.items():
        np.testing.assert_array_equal(named[:, :, codes].any(axis=(0, 2)), any_unit[role])


def test_prior_of_variances_known_beforehand():
    # s² ~ s0²·F(d, d0): with d0 = 8 and s0² = 3 both come back from 20,000 variances on 4 degrees of freedom.
    variances = 3 * stats.f.rvs(4, 8, size=20_000, random_state=1)
    prior, scale = variance_prior(variances, np.full(20_000, 4.0))
    assert prior == pytest.approx(8, rel=0.1)
    assert scale == pytest.approx(3, rel=0.03)
    equal = 3 * stats.chi2.rvs(4, size=20_000, random_state=2) / 4
    assert variance_prior(equal, np.full(20_000, 4.0))[0] > 100


@pytest.mark.parametrize("y", [0.05, 0.5, 2.0, 50.0])
def test_inverse_trigamma(y: float):
    assert _inverse_trigamma(float(special.polygamma(1, y))) == pytest.approx(y, rel=1e-7)


def laws_of(x: np.ndarray, kept: np.ndarray | None = None) -> UnitLaws:
    sums = sums_of(x)
    return unit_laws(sums, uncertainty.means(sums), np.ones(len(x), dtype=bool) if kept is None else kept)


def test_few_units_keep_their_own_variance():
    x = np.random.default_rng(3).uniform(0, 100, (9, 12))
    laws = laws_of(x)
    np.testing.assert_allclose(laws.variance[:, 0], x.var(axis=1, ddof=1) / 12)
    np.testing.assert_allclose(laws.df, 11)
    assert not laws.learned.any()
    p = chance(x.mean(axis=1)[:, None] - 50, laws, laws)
    np.testing.assert_allclose(
        p[:, 0], 2 * stats.t.sf(np.abs(x.mean(axis=1) - 50) / np.sqrt(2 * laws.variance[:, 0]), 22)
    )


def test_hidden_units_teach_nothing():
    rng = np.random.default_rng(4)
    x, kept = rng.uniform(0, 100, (30, 12)), np.arange(30) < 20
    other = np.where(kept[:, None], x, rng.uniform(40, 60, (30, 12)))
    one, two = (laws_of(data, kept) for data in (x, other))
    np.testing.assert_array_equal(one.variance[kept], two.variance[kept])
    np.testing.assert_array_equal(one.low.at, two.low.at)


def test_variances_of_skewed_answers_are_not_taken_to_differ():
    """Their s² varies far more than a normal sample's does; where true variances differ it is seen."""
    rng = np.random.default_rng(8)
    alike = 100 - rng.gamma(1, 8, (400, 20)).clip(0, 100)
    assert np.isinf(laws_of(alike).df).all()
    differing = 50 + rng.standard_normal((400, 20)) * np.sqrt(50 / rng.chisquare(8, (400, 1)) * 8)
    df = laws_of(differing).df
    assert (df > 12).all()
    assert (df < 40).all()


def test_law_of_three_points_has_these_moments():
    rng = np.random.default_rng(9)
    x = rng.choice([0.0, 25, 50, 75, 100], p=[0.02, 0.03, 0.1, 0.25, 0.6], size=5000)
    z = (x - x.mean()) / x.std()
    for end in (0.0, 100.0):
        law = extreme_law(*(np.array([value]) for value in ((z**3).mean(), (z**4).mean(), (end - x.mean()) / x.std())))
        for power, moment in enumerate((1, 0, 1, (z**3).mean(), (z**4).mean())):
            assert (law.share * law.at**power).sum() == pytest.approx(moment, abs=1e-9)
        assert law.at.min() * x.std() + x.mean() > -1e-6
        assert law.at.max() * x.std() + x.mean() < 100 + 1e-6
        assert (end == 0) == (abs(law.at.min() * x.std() + x.mean()) < 1e-6)
        # of all laws with these moments between the ends the largest E exp(tx) towards this end
        t = np.array([0.3, 1.0, 2.0]) * (-1 if end == 0 else 1)
        assert ((law.share * np.exp(law.at * t)).sum(axis=0) >= np.exp(np.outer(t, z)).mean(axis=1) - 1e-9).all()


@pytest.mark.parametrize("n", [10, 40])
def test_tails_of_a_mean_of_three_points_are_exact(n: int):
    """Against the convolution of the law itself, between its jumps."""
    at, share = np.array([-4.0, -0.2, 1.2]), np.array([0.02, 0.75, 0.23])
    at = (at - share @ at) / np.sqrt(share @ (at - share @ at) ** 2)
    counts = np.array([(i, j, n - i - j) for i in range(n + 1) for j in range(n + 1 - i)])
    values, chances = counts @ at / np.sqrt(n), stats.multinomial.pmf(counts, n, share)
    law = Points(-at[:, None], share[:, None])
    for z in (2.0, 3.0, 4.5):
        tail = upper_tail(np.array([[z]]), [(np.array([[float(n)]]), np.array([[1 / np.sqrt(n)]]), law)])[0, 0]
        assert 0.5 < tail / chances[values <= -z].sum() < 2


def test_two_weights_stand_for_all():
    w = np.random.default_rng(3).lognormal(0, 0.5, 30)
    sums = [np.array([[value]]) for value in (30.0, w.sum(), (w**2).sum(), (w**3).sum())]
    (heavy, one), (light, other) = two_weights(*sums)
    assert heavy[0, 0] + light[0, 0] == pytest.approx(30)
    for power in (2, 3):
        held = (heavy * one**power + light * other**power)[0, 0]
        assert held == pytest.approx((w**power).sum() / (w**2).sum() ** (power / 2))


def test_a_newton_step_that_runs_in_a_circle_is_not_followed():
    """One heavy person far below: the slope of the generating function has a plateau."""
    law = Points(np.array([[4.826], [0.351], [-1.114]]), np.array([[0.0229], [0.6675], [0.3096]]))
    parts = [(np.array([[k]]), np.array([[s]]), law) for k, s in ((1.0, 0.75378), (19.0, 0.150756))]
    assert upper_tail(np.array([[2.3]]), parts)[0, 0] == pytest.approx(0.0375, abs=0.003)


@pytest.mark.parametrize("people", [20, 40])
def test_tails_of_a_skewed_mean_are_held(people: int):
    # Gamma persons of skewness 1: differences from the truth beyond p ≤ .01, on either side.
    x = 20 + 8 * np.random.default_rng(6).gamma(4, 1, (20_000, people))
    laws = laws_of(x)
    known = replace(
        laws, variance=0 * laws.variance + 1e-12, df=np.full_like(laws.df, np.inf), skewness=0 * laws.skewness
    )
    difference = x.mean(axis=1)[:, None] - 52
    beyond = chance(difference, laws, known) <= 0.01
    for side in (difference < 0, difference > 0):
        assert abs((beyond & side).mean() - 0.005) < 0.002


def test_weights_that_go_with_the_answers_are_not_judged_where_people_are_few_by_weight():
    """A fifth, who answer lower, weigh five times as much: ten people are worth 5.6, fifteen 8.3; told 100 → 10 as well."""
    people = population("mean 86", "five low")
    few, enough, many = (next(waves(people, 200, n, 4, seed=n)) for n in (10, 15, 100))
    assert np.isnan(contrast_p(few)).all()
    assert np.isnan(compare_p(many, few)).all()
    assert np.isfinite(contrast_p(enough)).mean() > 0.95
    by_chance = next(waves(population("middle", "five"), 200, 10, 4, seed=10))
    assert np.isfinite(contrast_p(by_chance)).mean() > 0.9, "weights that say nothing of the answers"
    laws = unit_laws(few, uncertainty.means(few), np.ones(200, dtype=bool))
    assert set(why_not_judged(laws, laws).ravel()) == {reasons.UNEVEN_WEIGHTS}
    assert "不作判断" in reasons.printed_reason(reasons.UNEVEN_WEIGHTS)
