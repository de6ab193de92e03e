"""Convergent and discriminant validity against published loadings, split halves by hand."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from small import codebook_of, plain_table

import dj_analysis as dj
from dj_analysis.measure.scales.validity import composite_reliability, htmt, split_half, validity
from dj_analysis.spec import reasons

TESTS = {"V": ("x1", "x2", "x3"), "T": ("x4", "x5", "x6"), "S": ("x7", "x8", "x9")}
#: Holzinger–Swineford, lavaan's page "CFA": completely standardised loadings and factor correlations.
LOADINGS = {"V": (0.772, 0.424, 0.581), "T": (0.852, 0.855, 0.838), "S": (0.570, 0.723, 0.665)}
CORRELATIONS = {"V": ("S", 0.471), "T": ("V", 0.459), "S": ("V", 0.471)}


def book():
    rows = [("INDEX", ""), *((name, "INDEX") for name in TESTS)]
    return codebook_of(plain_table(*rows, *((x, name, 1, 1.0, 0, 10) for name, items in TESTS.items() for x in items)))


def test_composite_reliability_by_hand():
    # λ .8 .7 .6: (2.1)² = 4.41; Σ(1 − λ²) = .36 + .51 + .64 = 1.51; CR 4.41/5.92, AVE (.64 + .49 + .36)/3.
    cr, ave = composite_reliability(np.array([0.8, 0.7, 0.6]))
    assert cr == pytest.approx(4.41 / 5.92, abs=1e-12)
    assert ave == pytest.approx(1.49 / 3, abs=1e-12)


def test_holzinger_swineford(shared_data: Path):
    data = pd.read_csv(shared_data / "r_reference" / "holzinger_swineford_1939.csv")
    frame = data[[x for items in TESTS.values() for x in items]].assign(unit="A")
    found = validity(dj.read_survey(frame, book(), period="2026Q3"))
    fit = found.parts["fit"].table.iloc[0]
    assert (round(fit["chi2"], 3), fit["df"], round(fit["cfi"], 3), round(fit["rmsea"], 3)) == (
        85.306,
        24,
        0.931,
        0.092,
    )
    loadings = found.parts["loadings"].table.set_index("code")["loading"]
    np.testing.assert_allclose(loadings, np.ravel(list(LOADINGS.values())), atol=0.0005)
    table = found.table.set_index("scale")
    for name, given in LOADINGS.items():
        cr, ave = composite_reliability(np.array(given))
        assert table.loc[name, "cr"] == pytest.approx(cr, abs=0.001)
        assert table.loc[name, "ave"] == pytest.approx(ave, abs=0.001)
        nearest, correlation = CORRELATIONS[name]
        assert table.loc[name, "nearest"] == nearest
        assert table.loc[name, "correlation"] == pytest.approx(correlation, abs=0.0005)
    assert table["distinct"].all()
    assert len(dj.protect(found).table) == 3


def people(correlation: float, n: int = 600, seed: int = 1) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    factors = (
        rng.standard_normal((n, 3)) @ np.linalg.cholesky(np.full((3, 3), correlation) + (1 - correlation) * np.eye(3)).T
    )
    x = 0.7 * np.repeat(factors, 3, axis=1) + np.sqrt(0.51) * rng.standard_normal((n, 9))
    return pd.DataFrame(np.clip(np.rint(5 + 1.5 * x), 0, 10), columns=[f"x{i}" for i in range(1, 10)]).assign(unit="A")


@pytest.mark.parametrize(("correlation", "distinct"), [(0.3, True), (0.95, False)])
def test_dimensions_that_are_one_are_not_told_apart(correlation: float, distinct: bool):
    table = validity(dj.read_survey(people(correlation), book(), period="2026Q3")).table
    assert (table["distinct"] == distinct).all()
    assert (table["ave"] - 0.48).abs().max() < 0.08


def test_too_few_people_tell_nothing():
    found = validity(dj.read_survey(people(0.3, n=60), book(), period="2026Q3"))
    assert found.table["cr"].isna().all()
    assert set(found.table["reason"]) <= set(reasons.WORDS)


def test_split_half_by_hand():
    # Variances 1, covariances .5, four items: halves of variance 3 each, 2 between: r = 2/3, 2r/(1 + r) = .8; λ4 = 8/10.
    covariance = np.full((4, 4), 0.5) + 0.5 * np.eye(4)
    assert split_half(covariance) == (pytest.approx(0.8, abs=1e-12), pytest.approx(0.8, abs=1e-12))
    first, second = split_half(np.diag([1.0, 4.0, 1.0, 4.0]))
    assert (first, second) == (0.0, 0.0)
    assert np.isnan(split_half(np.zeros((2, 2)))).all()


def test_htmt_by_hand():
    # Within .5 and .32, between .3 .3 .2 .4: mean .3; .3/√(.5·.32) = .75.
    r = np.array([[1, 0.5, 0.3, 0.3], [0.5, 1, 0.2, 0.4], [0.3, 0.2, 1, 0.32], [0.3, 0.4, 0.32, 1]])
    np.testing.assert_allclose(htmt(r, {"A": ("a", "b"), "B": ("c", "d")}), [[1, 0.75], [0.75, 1]])
    unrelated = htmt(np.eye(4), {"A": ("a", "b"), "B": ("c", "d")})
    assert np.isnan(unrelated[0, 1])


@pytest.mark.parametrize(("correlation", "one"), [(0.3, False), (0.6, False), (0.95, True)])
def test_htmt_is_the_correlation_of_dimensions_without_their_errors(correlation: float, one: bool):
    table = validity(dj.read_survey(people(correlation, n=4000), book(), period="2026Q3")).table
    assert table["htmt"].to_numpy() == pytest.approx(correlation, abs=0.06)
    assert ((table["htmt"] > 0.85) == one).all()
