"""Agreement and adjustment of judges against published numbers.

Sources, with the table typed in where it is used:
- Shrout, Fleiss 1979, Psychological Bulletin 86, 420-428, table 2: six targets, four judges; intervals as printed by
  pingouin (``intraclass_corr``), which rounds to two digits. Groups of four: domain.md F2.
- Kendall's W without ties: a worked example of 10 projects and 4 judges (scribd 659863121), Σd² = 1048. With ties, and a
  one-way ICC: output of R irr 0.84 (``kendall(correct = TRUE)``, ``icc``) in "Scorecard Example", I. Kemp, 2016.
- Kendall's W of three judges and twenty people with many ties (``anxiety``): printed output of R DescTools ``KendallW(anxiety, TRUE)``.
- Bland, Altman 1986, Lancet i, 307-310: peak flow by two meters, 17 people. The paper takes 2 for 1.96.
- Montgomery, Design and Analysis of Experiments, balanced incomplete blocks: reaction time of four catalysts in four batches.

Tolerances: half a unit of the last printed digit; 1e-9 where the source gives fractions.
"""

from __future__ import annotations

import numpy as np
import pytest

from dj_analysis.measure.raters.concordance import bland_altman, icc, kendall_w
from dj_analysis.measure.raters.two_way import severity, win_probability

EXACT = 1e-9
NAN = float("nan")
SHROUT_FLEISS = [[9, 2, 5, 8], [6, 1, 3, 2], [8, 4, 6, 8], [7, 1, 2, 6], [10, 5, 6, 9], [6, 2, 4, 7]]
PROJECTS = np.array([
    [1, 1, 2, 3, 4], [2, 3, 1, 2, 2], [3, 4, 4, 1, 3], [4, 5, 5, 5, 1], [5, 2, 6, 7, 6], [6, 8, 3, 4, 7], [7, 6, 8, 6, 5],
    [8, 7, 7, 8, 9], [9, 10, 10, 9, 8], [10, 9, 9, 10, 10],
])[:, 1:]  # fmt: skip
SCORECARD = [
    [4, 1, 1, 2, 1], [3, 2, 2, 3, 6], [1, 6, 6, 5, 2], [5, 3, 3, 6, 5], [6, 5, 4, 7, 3], [9, 4, 5, 1, 8], [8, 8, 8, 4, 4],
    [2, 9, 7, 10, 9], [7, 10, 10, 8, 7], [11, 11, 9, 9, 10], [10, 6, 11, 11, 11], [12, 12, 12, 12, 12],
]  # fmt: skip
ANXIETY = [
    [3, 3, 3, 4, 5, 5, 2, 3, 5, 2, 2, 6, 1, 5, 2, 2, 1, 2, 4, 3], [3, 6, 4, 6, 2, 4, 2, 4, 3, 3, 2, 3, 3, 3, 2, 2, 1, 3, 3, 4],
    [2, 1, 4, 4, 3, 2, 1, 6, 1, 1, 1, 2, 3, 3, 1, 1, 3, 3, 2, 2],
]  # fmt: skip
WRIGHT = np.array([494, 395, 516, 434, 476, 557, 413, 442, 650, 433, 417, 656, 267, 478, 178, 423, 427])
MINI = np.array([512, 430, 520, 428, 500, 600, 364, 380, 658, 445, 432, 626, 260, 477, 259, 350, 451])
CATALYSTS = [[73, 74, NAN, 71], [NAN, 75, 67, 72], [73, 75, 68, NAN], [75, NAN, 72, 75]]


def test_six_coefficients_of_shrout_and_fleiss():
    table = icc(SHROUT_FLEISS).set_index("coefficient")
    names = ["ICC(1,1)", "ICC(2,1)", "ICC(3,1)", "ICC(1,k)", "ICC(2,k)", "ICC(3,k)"]
    assert list(table.index) == names
    assert [round(value, 3) for value in table["estimate"]] == [0.166, 0.290, 0.715, 0.443, 0.620, 0.909]
    printed = [(-0.13, 0.72), (0.02, 0.76), (0.34, 0.95), (-0.88, 0.91), (0.07, 0.93), (0.68, 0.99)]
    assert [(round(low, 2), round(high, 2)) for low, high in zip(table["low"], table["high"], strict=True)] == printed
    assert table["p"].iloc[:2].tolist() == pytest.approx([0.164769, 0.000135], abs=5e-7)
    assert (table["n"].unique(), table["targets"].unique()) == ([4], [6])


def test_three_groups_of_four():
    table = icc([[2, 4, 4, 6], [4, 5, 8, 8], [5, 8, 9, 9]]).set_index("coefficient")["estimate"]
    assert (round(table["ICC(1,1)"], 6), round(table["ICC(1,k)"], 6)) == (0.434343, 0.754386)


def test_kendall_without_ties():
    row = kendall_w(PROJECTS).iloc[0]
    assert row["estimate"] == pytest.approx(12 * 1048 / (4**2 * (10**3 - 10)), abs=EXACT)


def test_kendall_with_ties_and_its_test():
    row = kendall_w(SCORECARD).iloc[0]
    assert round(row["estimate"], 3) == 0.735
    assert f"{row['p']:.2e}" == "2.99e-05"


def test_kendall_with_many_ties_of_desctools():
    assert round(kendall_w(np.array(ANXIETY).T)["estimate"].iloc[0], 7) == 0.5396569


def test_one_way_coefficient_of_irr():
    row = icc(SCORECARD).set_index("coefficient").loc["ICC(1,1)"]
    assert (round(row["estimate"], 3), round(row["low"], 3), round(row["high"], 3)) == (0.688, 0.462, 0.876)
    assert f"{row['p']:.2e}" == "2.16e-10"


def test_peak_flow_of_bland_and_altman():
    # Printed: mean -2.1, s 38.8, limits -79.7 and 75.5 (with 2 s, of the rounded numbers), bias from -22.0 to 17.8.
    table = bland_altman(WRIGHT - MINI, confidence=0.9544997361036416).set_index("coefficient")["estimate"]
    assert round(table["bias"], 1) == -2.1
    assert (table["limit_high"] - table["bias"]) / 2 == pytest.approx(38.8, abs=0.05)
    assert (table["limit_low"], table["limit_high"]) == pytest.approx((-79.7, 75.5), abs=0.11)
    bias = bland_altman(WRIGHT - MINI).iloc[0]
    assert (round(bias["low"], 1), round(bias["high"], 1)) == (-22.0, 17.8)


def test_limits_reach_the_approximation_of_1999_in_large_samples():
    # Bland, Altman 1999: the standard error of a limit is 1.71 s/√n.
    n = 4000
    d = np.random.default_rng(1).normal(size=n)
    d = (d - d.mean()) / d.std(ddof=1)
    row = bland_altman(d).iloc[2]
    assert (row["high"] - row["low"]) / 2 / 1.959964 == pytest.approx(1.71 / np.sqrt(n), rel=0.003)


def test_catalysts_in_incomplete_batches():
    found = severity(CATALYSTS)
    assert found.adjusted - found.adjusted.mean() == pytest.approx([-9 / 8, -7 / 8, -4 / 8, 20 / 8], abs=EXACT)
    assert (found.sigma**2, set(found.df)) == (pytest.approx(0.65, abs=EXACT), {5})
    # Any difference: √(2k·MSE/(λa)) = √(2·3·.65/(2·4)).
    _, difference, se = win_probability(found)
    assert se[~np.eye(4, dtype=bool)] == pytest.approx(np.full(12, np.sqrt(6 * 0.65 / 8)), abs=EXACT)
    assert difference[3, 0] == pytest.approx(29 / 8, abs=EXACT)
