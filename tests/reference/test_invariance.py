"""Factor models against lavaan, on the Holzinger–Swineford data (301 children, nine tests, two schools) and the bfi items.

Sources. Digits marked published: ``../shared/data/r_reference/SOURCE.md`` and the pages "CFA" and "multiple groups" of
lavaan.ugent.be; they are compared to half a unit of the last digit. All others were printed by lavaan 0.6-14 under R 4.2.2 with

    m <- 'visual =~ x1+x2+x3; textual =~ x4+x5+x6; speed =~ x7+x8+x9'
    cfa(m, d, group = "school", group.equal = c("loadings", "intercepts"), group.partial = ...)
    fitMeasures(f); lavTestScore(f); parameterEstimates(f); vcov(f)

and typed in; they are compared to 2e-5 of their size, for lavaan stops a little before the maximum. lavaan marks the first
item of a factor, we fix the factor's variance: chi-squared does not depend on it.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import dj_analysis as dj
from dj_analysis.measure.scales import cfa
from dj_analysis.measure.scales.factormodel import LEVELS, Model
from dj_analysis.measure.scales.invariance import invariance
from dj_analysis.measure.scales.invariancerule import InvarianceRule
from dj_analysis.spec.codebook import Codebook
from dj_analysis.spec.tree import Node, Tree

CLOSE = 2e-5
TESTS = {"visual": ("x1", "x2", "x3"), "textual": ("x4", "x5", "x6"), "speed": ("x7", "x8", "x9")}
ITEMS = [item for items in TESTS.values() for item in items]


@pytest.fixture(scope="module")
def children(shared_data: Path) -> pd.DataFrame:
    return pd.read_csv(shared_data / "r_reference" / "holzinger_swineford_1939.csv")


def fitted(data: pd.DataFrame, groups: pd.Series, model: Model) -> cfa.Fit:
    parts = [data.loc[groups == name, list(model.items)].to_numpy() for name in groups.unique()]
    covariances = [np.cov(part.T, bias=True) for part in parts]
    return cfa.fit(model, [len(part) for part in parts], [part.mean(axis=0) for part in parts], covariances)


def sequence(data: pd.DataFrame, groups: pd.Series, structure: dict = TESTS) -> list[cfa.Fit]:
    model = Model(structure, groups.nunique())
    return [fitted(data, groups, model.at(level)) for level in LEVELS]


def test_one_group_as_published(children: pd.DataFrame):
    whole = pd.Series("all", index=children.index)
    found = fitted(children, whole, Model(TESTS, with_means=False))
    assert (found.df, found.baseline_df) == (24, 36)
    assert found.chi2 == pytest.approx(85.306, abs=0.0005)
    measures = [found.cfi, found.tli, found.rmsea, found.srmr]
    np.testing.assert_allclose(measures, [0.931, 0.896, 0.092, 0.065], atol=0.0005)
    published = [0.772, 0.424, 0.581, 0.852, 0.855, 0.838, 0.570, 0.723, 0.665]
    np.testing.assert_allclose(found.standardised[0], published, atol=0.0005)
    assert found.baseline_chi2 == pytest.approx(918.851589, rel=CLOSE)


#: chi2, df, cfi, rmsea as published.
PUBLISHED = {
    "configural": (115.851, 48, 0.923, 0.097),
    "metric": (124.044, 54, 0.921, 0.093),
    "scalar": (164.103, 60, 0.882, 0.107),
}


def test_by_school_as_published(children: pd.DataFrame):
    for level, found in zip(LEVELS, sequence(children, children["school"]), strict=True):
        chi2, df, cfi, rmsea = PUBLISHED[level]
        assert (found.df, found.reason, found.improper) == (df, "", False)
        assert found.chi2 == pytest.approx(chi2, abs=0.0005)
        assert (found.cfi, found.rmsea) == (pytest.approx(cfi, abs=0.0005), pytest.approx(rmsea, abs=0.0005))
        assert (found.baseline_chi2, found.baseline_df) == (pytest.approx(957.769, abs=0.0005), 72)


#: chi2, df, cfi, tli, rmsea, srmr by level, as lavaan printed them with nine digits.
LAVAAN = {
    "two schools": [
        (115.851344, 48, 0.923398380, 0.885097571, 0.0969148568, 0.0678640118),
        (124.043544, 54, 0.920923469, 0.894564625, 0.0928365359, 0.0716515838),
        (164.102831, 60, 0.882471813, 0.858966175, 0.107371098, 0.0824470586),
    ],
    "school and sex": [
        (157.655246, 96, 0.931416775, 0.897125162, 0.0923838693, 0.0758323273),
        (194.622722, 114, 0.910317991, 0.886717463, 0.0969444720, 0.0920364404),
        (258.424695, 132, 0.859369414, 0.846584816, 0.112817310, 0.102987315),
    ],
}


@pytest.mark.parametrize("groups", LAVAAN)
def test_every_measure_equals_that_of_lavaan(groups: str, children: pd.DataFrame):
    by = children["school"] + ("" if groups == "two schools" else children["sex"].astype(str))
    for found, expected in zip(sequence(children, by), LAVAAN[groups], strict=True):
        measures = (found.chi2, found.df, found.cfi, found.tli, found.rmsea, found.srmr)
        np.testing.assert_allclose(measures, expected, rtol=CLOSE)


def test_few_items_equal_lavaan(children: pd.DataFrame):
    three = sequence(children, children["school"], {"visual": ("x1", "x2", "x3")})[-1]
    expected = (21.2893369, 4, 0.851540178, 0.777310267, 0.169469256, 0.0790281603)
    np.testing.assert_allclose(
        (three.chi2, three.df, three.cfi, three.tli, three.rmsea, three.srmr), expected, rtol=CLOSE
    )
    pairs = sequence(children, children["school"], {"visual": ("x1", "x2"), "textual": ("x4", "x5")})[-1]
    expected = (12.3969167, 6, 0.977872133, 0.955744265, 0.0841669276, 0.0430203369)
    np.testing.assert_allclose(
        (pairs.chi2, pairs.df, pairs.cfi, pairs.tli, pairs.rmsea, pairs.srmr), expected, rtol=CLOSE
    )


#: Score tests of equal loadings and intercepts in the scalar model, x1 … x9 (three digits printed).
SCORES = {
    "loading": (2.955, 0.306, 1.636, 0.003, 2.744, 2.627, 0.011, 0.027, 0.004),
    "intercept": (5.847, 6.863, 19.193, 2.139, 1.563, 0.032, 15.021, 4.710, 1.498),
}


@pytest.mark.parametrize("kind", SCORES)
def test_score_tests_equal_those_of_lavaan(kind, children: pd.DataFrame):
    scalar = sequence(children, children["school"])[-1]
    found = [cfa.release(scalar, kind, item) for item in ITEMS]
    np.testing.assert_allclose([test.chi2 for test in found], SCORES[kind], atol=0.001)
    assert {test.df for test in found} == {1}


def test_partial_invariance_equals_that_of_lavaan(children: pd.DataFrame):
    model = Model(TESTS, 2, "scalar").releasing("intercept", "x3").releasing("intercept", "x7")
    found = fitted(children, children["school"], model)
    measures = (found.chi2, found.df, found.cfi, found.rmsea, found.srmr)
    np.testing.assert_allclose(measures, (129.422480, 58, 0.919366701, 0.0904555497, 0.0729888430), rtol=CLOSE)
    for item, estimates, errors, error_of_difference in (
        ("x3", (2.487, 1.955), (0.094, 0.108), 0.118407676),
        ("x7", (4.432, 3.992), (0.086, 0.094), 0.111028261),
    ):
        own = cfa.release(found, "intercept", item)
        np.testing.assert_allclose(own.estimates, estimates, atol=0.0006)
        np.testing.assert_allclose(np.sqrt(np.diag(own.covariance)), errors, atol=0.0006)
        contrast = np.array([1, -1])
        assert np.sqrt(contrast @ own.covariance @ contrast) == pytest.approx(error_of_difference, rel=CLOSE)


@pytest.fixture(scope="module")
def survey(children: pd.DataFrame):
    """The same children as a wave: tests as questions between 0 and 20, their schools a declared group."""
    nodes = [Node("INDEX", role="index")]
    nodes += [Node(code, "INDEX", role="dimension") for code in TESTS]
    nodes += [Node(i, code, minimum=0, maximum=20) for code, items in TESTS.items() for i in items]
    codebook = Codebook(Tree(tuple(nodes)), (Node("school", role="group"),))
    return dj.read_survey(children[[*ITEMS, "school"]], codebook, period="2026Q3")


def test_the_whole_way_from_a_survey(survey, children: pd.DataFrame):
    found = invariance(survey, by="school")
    table = found.table.set_index("model")
    for level, (chi2, df, cfi, rmsea) in PUBLISHED.items():
        row = table.loc[level]
        assert (row["df"], row["n"], row["groups"], row["complete"]) == (df, 301, 2, 1)
        assert row["chi2"] == pytest.approx(chi2, abs=0.0005)
        assert (row["cfi"], row["rmsea"]) == (pytest.approx(cfi, abs=0.0005), pytest.approx(rmsea, abs=0.0005))
    # domain.md F14: metric holds (fall of CFI .0025), scalar fails (.038).
    assert table["delta_cfi"].round(4).tolist()[1:] == [0.0025, 0.0385]
    assert table["holds"].tolist() == [True, True, False]
    assert found.holds == "metric"
    items = found.items.table.drop_duplicates("code").set_index("code")
    assert items.index[:3].tolist() == ["x3", "x7", "x2"]
    assert items["step"].dropna().to_dict() == {"x3": 1, "x7": 2}
    partial = found.parts["partial"].table
    np.testing.assert_allclose(partial["chi2"], (144.578999, 129.422480), rtol=CLOSE)
    assert partial["holds"].tolist() == [False, True]
    # The difference of two groups is five times as many points of 0–100, half of it on either side of their mean by n.
    rows = found.items.table.set_index(["code", "unit"])["difference"]
    assert rows["x3", "Pasteur"] - rows["x3", "Grant-White"] == pytest.approx(5 * 0.5317, abs=0.003)
    assert rows["x3", "Pasteur"] * 156 + rows["x3", "Grant-White"] * 145 == pytest.approx(0, abs=1e-6)


#: Five dimensions of five items by gender, 2,436 complete sheets: chi2, df, cfi, tli, rmsea, srmr.
BFI = [
    (4545.26702, 530, 0.775073229, 0.745365919, 0.0788670573, 0.0748148930),
    (4562.57420, 550, 0.775224075, 0.754789900, 0.0773938674, 0.0749776575),
    (4777.88624, 570, 0.764283107, 0.751876955, 0.0778522060, 0.0763957205),
]
BFI_SCORES = {"N5": 86.140, "N1": 31.561, "A1": 19.868, "N4": 19.282, "E1": 15.254, "O1": 14.532}


def test_real_answers_with_reversed_items_equal_lavaan(shared_data: Path):
    items = {code: [f"{code}{i}" for i in range(1, 6)] for code in "ACENO"}
    answers = pd.read_csv(shared_data / "bfi_likert" / "bfi.csv")[
        [*(item for below in items.values() for item in below), "gender"]
    ]
    reverse = {"A1", "C4", "C5", "E1", "E2", "O2", "O5"}
    nodes = [Node("INDEX", role="index"), *(Node(code, "INDEX", role="dimension") for code in items)]
    nodes += [
        Node(item, code, minimum=1, maximum=6, direction=-1 if item in reverse else 1)
        for code, below in items.items()
        for item in below
    ]
    codebook = Codebook(Tree(tuple(nodes)), (Node("gender", role="group"),))
    found = invariance(dj.read_survey(answers, codebook, period="2026Q3"), by="gender")
    measures = found.table[["chi2", "df", "cfi", "tli", "rmsea", "srmr"]].astype(float).to_numpy()
    np.testing.assert_allclose(measures, BFI, rtol=CLOSE)
    assert found.holds == "none"  # five simple factors do not fit these items: CFI .775
    tests = found.items.table.drop_duplicates("code").set_index("code")["chi2"]
    np.testing.assert_allclose(tests.head(6).to_numpy(), list(BFI_SCORES.values()), atol=0.001)
    assert tests.index[:6].tolist() == list(BFI_SCORES)


def test_limits_for_few_people_are_stricter(survey):
    found = invariance(survey, by="school", rule=InvarianceRule(small=301, small_delta_cfi=0.002))
    assert found.table["holds"].tolist() == [True, False, False]
    assert found.table["reason"].iloc[1] == "ΔCFI 0.0025 > 0.002"
    assert found.items.table["parameter"].unique().tolist() == ["loading"]
