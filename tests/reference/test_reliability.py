"""Reliability and factors against numbers from R.

R 4.2.2, psych 2.2.9 on ``attitude`` (R's own data: 30 departments x 7 mean ratings of an employee survey) and on ``bfi``
(psychTools 2.5.3: 2,800 persons x 25 items); calls and results in ../shared/data/r_reference/SOURCE.md and
bfi_likert/SOURCE.md; corrected item-total correlations and alphas without an item from ``psych::alpha(attitude)``, run with the
same versions. ``attitude`` is typed in below.

Tolerance: half a unit of the last printed digit. Exceptions, where R's optimiser stops early: psych's maximum likelihood
agrees to 1e-6; uniquenesses of its minres to 2e-4; its varimax stops at a relative gain of 1e-5, so loadings agree to 4e-4.
There our solution is checked to be at least as good by the criterion that both minimise (maximise).
"""

from __future__ import annotations

import io
import math

import numpy as np
import pandas as pd
import pytest

import dj_analysis as dj
from dj_analysis.errors import DjWarning
from dj_analysis.measure.scales import reliability as rel
from dj_analysis.measure.scales.factors import efa, minres, one_factor, parallel, varimax
from dj_analysis.measure.scales.item_statistics import alpha, feldt
from dj_analysis.measure.scales.moments import moments_of
from dj_analysis.measure.survey import Survey
from dj_analysis.spec.codebook import Codebook
from dj_analysis.spec.tree import Node, Tree

ATTITUDE = """\
rating complaints privileges learning raises critical advance
43 51 30 39 61 92 45
63 64 51 54 63 73 47
71 70 68 69 76 86 48
61 63 45 47 54 84 35
81 78 56 66 71 83 47
43 55 49 44 54 49 34
58 67 42 56 66 68 35
71 75 50 55 70 66 41
72 82 72 67 71 83 31
67 61 45 47 62 80 41
64 53 53 58 58 67 34
67 60 47 39 59 74 41
69 62 57 42 55 63 25
68 83 83 45 59 77 35
77 77 54 72 79 77 46
81 90 50 72 60 54 36
74 85 64 69 79 79 63
65 60 65 75 55 80 60
65 70 46 57 75 85 46
50 58 68 54 64 78 52
50 40 33 34 43 64 33
64 61 52 62 66 80 41
53 66 52 50 63 80 37
40 37 42 58 50 57 49
63 54 42 48 66 75 33
66 77 66 63 88 76 72
78 75 58 74 80 78 49
48 57 44 45 51 83 38
85 85 71 71 77 74 55
82 82 39 59 64 78 39
"""


@pytest.fixture(scope="module")
def attitude() -> pd.DataFrame:
    return pd.read_csv(io.StringIO(ATTITUDE), sep=" ")


@pytest.fixture(scope="module")
def correlation(attitude: pd.DataFrame) -> np.ndarray:
    return attitude.corr().to_numpy()


@pytest.fixture(scope="module")
def wave(attitude: pd.DataFrame) -> Survey:
    nodes = [Node("INDEX", role="index"), Node("ATT", "INDEX", role="dimension")]
    nodes += [Node(code, "ATT", minimum=0, maximum=100) for code in attitude]
    return dj.read_survey(attitude, Codebook(Tree(tuple(nodes))), period="2026Q3")


def test_the_typed_in_table_is_the_file(attitude: pd.DataFrame, shared_data):
    there = pd.read_csv(shared_data / "r_reference" / "attitude.csv")
    pd.testing.assert_frame_equal(attitude, there[list(attitude)])


PRINTED = {
    "alpha": (0.8431428, 5e-8),
    "alpha_standardised": (0.8390838, 5e-8),
    "omega_total": (0.8405, 5e-5),
    "omega_total_psych": (0.8481562, 1e-6),
    "mean_r": (0.4269, 5e-5),
    "kmo": (0.7632754, 5e-8),
    "bartlett_chi2": (98.75278, 5e-6),
    "bartlett_df": (21, 0),
    "bartlett_p": (4.792539e-12, 5e-19),
}


@pytest.mark.parametrize("coefficient", PRINTED)
def test_attitude_coefficients(wave: Survey, coefficient: str):
    table = rel.reliability(wave).table
    row = table[(table["scale"] == "ATT") & (table["coefficient"] == coefficient)].iloc[0]
    value, tolerance = PRINTED[coefficient]
    assert row["estimate"] == pytest.approx(value, abs=tolerance)
    assert row["n"] == 30


def test_attitude_feldt_interval(wave: Survey):
    row = rel.reliability(wave).table.query("scale == 'ATT' and coefficient == 'alpha'").iloc[0]
    assert feldt(row["estimate"], 30, 7) == pytest.approx((0.7393757, 0.9157731), abs=5e-8)
    assert row["low"] < 0.7393757  # the printed one is the wider of it and the distribution-free
    assert row["high"] >= 0.9157731 - 5e-8


def test_attitude_items(wave: Survey, attitude: pd.DataFrame):
    items = rel.reliability(wave).parts["items"].table.query("scale == 'ATT'")
    drop = [0.6712621, 0.7421097, 0.5607111, 0.7144455, 0.7862756, 0.2650343, 0.4608105]
    without = [0.8097602, 0.7969175, 0.8278478, 0.8030310, 0.7953866, 0.8638723, 0.8404649]
    assert items["code"].tolist() == list(attitude)
    np.testing.assert_allclose(items["item_total"], drop, atol=5e-8)
    np.testing.assert_allclose(items["alpha_without"], without, atol=5e-8)
    np.testing.assert_allclose(items["kmo"], [0.7317, 0.7375, 0.8442, 0.8114, 0.8144, 0.6936, 0.6511], atol=5e-5)
    np.testing.assert_allclose(items["mean"], attitude.mean(), atol=1e-10)
    np.testing.assert_allclose(items["sd"], attitude.std(), atol=1e-10)


def test_attitude_one_factor_is_at_the_maximum_of_its_likelihood(correlation: np.ndarray):
    # fa(attitude, fm = "ml") gave the omega of psych above; likelihoods are compared through it by the tolerance there.
    found = one_factor(correlation)
    implied = found.loadings @ found.loadings.T + np.diag(found.uniqueness)
    # At the maximum of the likelihood the model reproduces the variances exactly (Lawley & Maxwell 1971).
    np.testing.assert_allclose(np.diag(implied), 1, atol=1e-6)


MR1 = [0.8757, 0.9237, 0.4945, 0.5984, 0.5989, 0.1385, 0.0609]
MR2 = [0.1140, 0.1782, 0.3221, 0.4901, 0.5888, 0.2994, 0.9504]
UNIQUE = [0.2201, 0.1150, 0.6517, 0.4017, 0.2946, 0.8912, 0.0930]


def kaiser(loadings: np.ndarray) -> float:
    """The criterion varimax maximises, with Kaiser's normalisation."""
    share = loadings**2 / (loadings**2).sum(axis=1, keepdims=True)
    return float((share**2).sum() - (share.sum(axis=0) ** 2).sum() / len(loadings))


def test_attitude_minres_two_factors(correlation: np.ndarray):
    found, printed = minres(correlation, 2), np.column_stack([MR1, MR2])
    rotated = varimax(found.loadings)
    np.testing.assert_allclose(found.uniqueness, UNIQUE, atol=2e-4)
    np.testing.assert_allclose(rotated, printed, atol=4e-4)
    off = np.triu(correlation - printed @ printed.T, 1)
    assert found.residual <= (off**2).sum() + 1e-9
    assert kaiser(rotated) >= kaiser(printed)


def test_attitude_efa_of_a_wave_gives_the_same(wave: Survey, correlation: np.ndarray):
    table = efa(wave, factors=2, rotation="varimax", scale="ATT").table  # as R was asked
    np.testing.assert_allclose(table.query("factor == 1")["loading"], MR1, atol=4e-4)
    np.testing.assert_allclose(table.query("factor == 2")["loading"], MR2, atol=4e-4)
    np.testing.assert_allclose(table.query("factor == 1")["uniqueness"], UNIQUE, atol=2e-4)
    assert set(table["n"]) == {30}


def test_attitude_parallel_analysis(wave: Survey, correlation: np.ndarray):
    # fa.parallel(attitude, fa = "both"): 1 factor, 1 component; its eigenvalues of the common factor, printed to 4 digits.
    table = parallel(correlation, 30)
    assert table.groupby("kind")["retained"].sum().to_dict() == {"component": 1, "factor": 1}
    factors = table.query("kind == 'factor'")
    np.testing.assert_allclose(factors["eigenvalue"].head(3), [3.2852, 0.5184, 0.1678], atol=1e-4)
    # 95th percentiles of psych over 500 draws: .659 and .665 for the second factor (resampled and simulated).
    assert factors["chance"].iloc[1] == pytest.approx(0.662, abs=0.03)
    assert efa(wave, scale="ATT").table["factor"].unique().tolist() == [1]


# bfi: reversed items, missing answers.

KEYS = {
    "agree": "-A1 A2 A3 A4 A5",
    "conscientious": "C1 C2 C3 -C4 -C5",
    "extraversion": "-E1 -E2 E3 E4 E5",
    "neuroticism": "N1 N2 N3 N4 N5",
    "openness": "O1 -O2 O3 O4 -O5",
}
ALPHAS = {
    "median": ([0.70124, 0.72469, 0.75969, 0.81178, 0.59677], 5e-6),
    "pairwise": ([0.7030184, 0.726735, 0.7617328, 0.8139629, 0.6001725], 5e-7),
    "listwise": ([0.70376, 0.72928, 0.76093, 0.81330, 0.60255], 5e-6),
}


@pytest.fixture(scope="module")
def bfi(shared_data) -> Survey:
    nodes = [Node("INDEX", role="index")]
    for scale, keys in KEYS.items():
        nodes.append(Node(scale, "INDEX", role="dimension"))
        for key in keys.split():
            direction = -1 if key.startswith("-") else 1
            nodes.append(Node(key.strip("-"), scale, direction=direction, minimum=1, maximum=6))
    frame = pd.read_csv(shared_data / "bfi_likert" / "bfi.csv")
    with pytest.warns(DjWarning):
        return dj.read_survey(frame, Codebook(Tree(tuple(nodes))), period="2026Q3")


@pytest.mark.parametrize("missing", ALPHAS)
def test_bfi_alphas_under_three_policies(bfi: Survey, missing):
    table = rel.reliability(bfi, missing=missing).table.query("coefficient == 'alpha'").set_index("scale")
    published, tolerance = ALPHAS[missing]
    np.testing.assert_allclose(table.loc[list(KEYS), "estimate"], published, atol=tolerance)
    assert table["method"].str.contains(missing).all()


def test_bfi_scale_means(bfi: Survey):
    # scoreItems: means of the median-imputed, keyed items, in answer units.
    frame = bfi.frame.to_pandas() if hasattr(bfi.frame, "to_pandas") else bfi.frame
    found = []
    for keys in KEYS.values():
        turned = pd.DataFrame({k: 7 - frame[k[1:]] if k.startswith("-") else frame[k] for k in keys.split()})
        medians = turned.median()
        moments = moments_of(turned.to_numpy(float))
        found.append(moments.covariances("median", medians.to_numpy(float)).mean.mean())
    np.testing.assert_allclose(found, [4.653071, 4.269429, 4.146000, 3.162000, 4.591000], atol=5e-7)


def test_bfi_has_six_factors_and_six_components(bfi: Survey):
    # fa.parallel(bfi[, 1:25]) of psych 2.2.9: 6 factors, 6 components, and these eigenvalues. Reversed items change none.
    eigen = efa(bfi, draws=100).parts["eigen"].table
    assert eigen.groupby("kind")["retained"].sum().to_dict() == {"component": 6, "factor": 6}
    first = eigen.groupby("kind")["eigenvalue"].apply(lambda values: values.head(7).tolist())
    np.testing.assert_allclose(first["factor"], [4.2606, 1.9128, 1.2649, 0.9459, 0.7094, 0.2575, 0.0074], atol=6e-5)
    np.testing.assert_allclose(first["component"], [5.0369, 2.7441, 2.1076, 1.8318, 1.5357, 1.1132, 0.8462], atol=6e-5)


def test_army_alpha_of_eleven_items(shared_data):
    frame = pd.read_csv(shared_data / "army_multilevel" / "bhr2000.csv")
    items = [code for code in frame if code[:2] in ("AF", "AP", "AS")]
    found = moments_of(frame[items].to_numpy()).covariances()
    assert alpha(found.covariance) == pytest.approx(0.8913433, abs=5e-8)
    assert math.isclose(alpha(found.covariance * 7), alpha(found.covariance))
