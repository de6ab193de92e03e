"""Many units at once: moderated variances against limma's published formula, and how often nothing is called something."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import special, stats
from small import codebook_of, plain_table

import dj_analysis as dj
from dj_analysis.judge.contrast import _chances
from dj_analysis.judge.moderated import chance, moderated
from dj_analysis.measure.inference import uncertainty
from dj_analysis.measure.inference.variances import _inverse_trigamma, variance_prior
from dj_analysis.measure.survey import Survey
from dj_analysis.measure.survey_scores import scores_of_sums
from dj_analysis.measure.unitsums import UnitSums
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
    powers = {"wx" + "x" * i: (x ** (i + 1)).sum(axis=1)[:, None] for i in range(3)}
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
REPLICATIONS = 1000


def chances_of(x: np.ndarray) -> np.ndarray:
    """p of every unit in every replication: units × persons × replications, a replication standing for a code."""
    n = np.full((x.shape[0], x.shape[2]), float(x.shape[1]))
    powers = {"wx" + "x" * i: (x ** (i + 1)).sum(axis=1) for i in range(3)}
    sums = {"n": n, "w": n, "ww": n, "www": n} | powers | {"wwx": powers["wx"], "wwxx": powers["wxx"]}
    cells = tuple(("anchors", str(r)) for r in range(x.shape[2]))
    rolled = UnitSums("unit", tuple(f"U{i}" for i in range(len(x))), cells, n[:, 0], sums)
    whole = rolled.rolled_up({"ALL": rolled.units})
    unit, rest, every = (
        uncertainty.means(given)
        for given in (sums, {name: whole.sums[name] - values for name, values in sums.items()}, whole.sums)
    )
    outside = 1 - sums["w"] / whole.sums["w"]
    return _chances(unit.mean - every.mean, rolled, whole, (unit, rest), outside, np.ones(len(x), dtype=bool))


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("people", [10, 40])
def test_a_thousand_units_without_differences(shape: str, people: int):
    rng, false = np.random.default_rng([20261121, people]), 0
    edges = np.cumsum(SHAPES[shape])[:-1]
    for _ in range(REPLICATIONS // 50):
        x = sum(np.searchsorted(edges, rng.random((UNITS, people, 50))) for _ in range(2)) * 12.5
        p = np.sort(chances_of(x), axis=0)
        false += int(
            (p <= SPEC.rules.change.false_discovery * np.arange(1, UNITS + 1)[:, None] / UNITS).any(axis=0).sum()
        )
    assert false <= stats.binom.ppf(0.995, REPLICATIONS, SPEC.rules.change.false_discovery)


def test_contrast_gives_these_chances():
    x = np.random.default_rng(1).choice(np.arange(5) * 25.0, p=SHAPES["usual"], size=(UNITS, 15, 2)).mean(axis=-1)
    table = contrast_of(x)
    np.testing.assert_allclose(table["p"], chances_of(x[:, :, None])[:, 0], rtol=1e-9)
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


def test_few_units_keep_their_own_variance():
    x = np.random.default_rng(3).uniform(0, 100, (9, 12))
    sums = sums_of(x)
    found = moderated(sums, uncertainty.means(sums), np.ones(9, dtype=bool))
    assert (found.ratio == 1).all()
    np.testing.assert_allclose(found.df, 11)
    assert (found.skewness == 0).all()


def test_hidden_units_teach_nothing():
    rng = np.random.default_rng(4)
    x, kept = rng.uniform(0, 100, (30, 12)), np.arange(30) < 20
    other = np.where(kept[:, None], x, rng.uniform(40, 60, (30, 12)))
    made = [moderated(sums_of(data), uncertainty.means(sums_of(data)), kept) for data in (x, other)]
    np.testing.assert_array_equal(made[0].ratio[kept], made[1].ratio[kept])
    assert made[0].skewness == made[1].skewness


def test_chance_without_skewness_is_students():
    t, df = np.array([-3.0, 0.5, 2.0]), np.array([5.0, 9.0, np.inf])
    expected = 2 * np.array([stats.t.sf(3, 5), stats.t.sf(0.5, 9), stats.norm.sf(2)])
    np.testing.assert_allclose(chance(t, df, np.zeros(3), np.ones(3)), expected, rtol=1e-6)


@pytest.mark.parametrize("own", [0.0, 1.0])
def test_tails_of_a_skewed_mean_are_held(own: float):
    # Gamma persons of skewness 1, n = 40: differences beyond p ≤ .01, the variance known or the sample's own.
    x = np.random.default_rng(6).gamma(4, 1, (100_000, 40))
    spread = x.std(axis=1, ddof=1) if own else 2.0
    t = (x.mean(axis=1) - 4) / (spread / np.sqrt(40))
    df = np.full(len(t), 39.0 if own else np.inf)
    held = chance(t, df, np.full(len(t), 1 / np.sqrt(40)), np.full(len(t), own)) <= 0.01
    plain = 2 * stats.t.sf(np.abs(t), np.where(np.isinf(df), 1e9, df)) <= 0.01
    for side in (t < 0, t > 0):
        assert abs((held & side).mean() - 0.005) < 0.0025
        assert abs((held & side).mean() - 0.005) < abs((plain & side).mean() - 0.005)
