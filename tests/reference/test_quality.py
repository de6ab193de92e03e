"""Indices of careless responding against R 4.2.2.

Sources: base R (``sd``, ``rle``, ``mahalanobis``, ``pchisq``) and the definitions of R careless 1.2 (Yentes & Wilhelm:
longstring, irv, evenodd) run on the sixteen sheets below, and on the 2,436 complete sheets of the bfi items (Revelle,
psychTools 2.5.3), which are read beside the project. Tolerance: R printed eight to ten digits; 1e-7 of the value. What R
careless calls evenodd is the index here with its sign turned (since its 1.2.0); PyPI careless-py 1.1.0 computes something
else under that name: correlations between questions within a scale, averaged.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from dj_analysis.measure.scales import careless

DIGITS = 1e-7
NAN = float("nan")

#: Four scales of three questions; the third ticks straight down, the fourth to and fro.
SHEETS = np.array(
    [
        [4, 4, 3, 2, 2, 3, 5, 4, 5, 1, 2, 1],
        [2, 3, 2, 4, 5, 4, 3, 3, 3, 4, 4, 5],
        [3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3],
        [1, 5, 1, 5, 1, 5, 1, 5, 1, 5, 1, 5],
        [5, 5, 4, 4, 4, 4, 2, 1, 2, 3, 3, 2],
        [1, 1, 2, 2, 2, 2, 2, 2, 5, 5, 4, 4],
        [3, 4, 4, 1, 1, 2, 4, 4, 3, 2, 2, 2],
        [2, 1, 5, 4, 2, 1, 3, 5, 2, 1, 4, 3],
        [5, 4, 4, 3, 4, 3, 1, 1, 1, 4, 5, 4],
        [4, 3, 4, 5, 5, 5, 3, 2, 3, 2, 1, 1],
        [2, 2, 1, 3, 2, 3, 4, 5, 4, 5, 5, 5],
        [3, 2, 2, 1, 2, 1, 5, 5, 4, 3, 4, 3],
        [4, 5, 5, 2, 1, 1, 2, 2, 2, 1, 1, 2],
        [1, 2, 1, 4, 4, 3, 3, 4, 4, 2, 3, 3],
        [5, 3, 4, 3, 3, 4, 1, 2, 1, 5, 4, 5],
        [2, 4, 3, 5, 4, 4, 4, 3, 5, 3, 2, 2],
    ],
    dtype=float,
)
SCALES = [[0, 1, 2], [3, 4, 5], [6, 7, 8], [9, 10, 11]]
CHOSEN = [0, 3, 6, 9, 11]  # five questions, so that sixteen sheets have a covariance

LONGSTRING = [2, 3, 12, 1, 4, 6, 3, 1, 3, 3, 3, 2, 3, 2, 2, 3]
IRV = [
    1.4142136, 1.0000000, 0.0000000, 2.0889319, 1.2880570, 1.4354811, 1.1547005, 1.4847712,
    1.4847712, 1.4668044, 1.4433757, 1.3789544, 1.4974726, 1.1146409, 1.4354811, 1.0836247,
]  # fmt: skip
EVEN_ODD = [
    0.92327988, 0.85440340, NAN, -1.00000000, 0.97061522, 0.94170052, 0.99854333, -1.00000000,
    0.94815526, 0.98172653, 0.93051722, 0.93914423, 0.99811365, 0.99727147, 0.95706385, 0.46332496,
]  # fmt: skip
DISTANCE = [
    3.983217634, 3.928269807, 0.031111991, 5.132577941, 3.828268746, 9.254157038, 3.493766300, 6.248526669,
    3.865867025, 5.396129110, 5.197712622, 4.698078991, 5.590707139, 3.435069190, 5.708435279, 5.208104516,
]  # fmt: skip
P = [
    0.5518347, 0.5597890, 0.9999910, 0.3999156, 0.5743966, 0.0993461, 0.6243311, 0.2827818,
    0.5688851, 0.3694702, 0.3922309, 0.4538261, 0.3481020, 0.6332344, 0.3356309, 0.3910145,
]  # fmt: skip
#: ``cov(use = "pairwise")``, then ``mahalanobis`` on the answers each sheet has; four answers are missing.
MISSING = [(1, 2), (4, 0), (4, 3), (8, 4)]
DISTANCE_MISSING = [
    3.811229244, 3.645250995, 0.043412663, 4.434268239, 1.815885857, 10.098343697, 3.524354410, 8.032891474,
    4.109798873, 5.920577183, 4.956617634, 4.492012573, 6.190528668, 3.409030711, 7.197995525, 5.917580918,
]  # fmt: skip
DETERMINANT_MISSING = {0: 1.0253626, 1: 1.0169893, 4: 1.5616639, 8: 1.9901065}


def test_longstring():
    assert careless.longstring(SHEETS).tolist() == LONGSTRING


def test_intra_individual_response_variability():
    np.testing.assert_allclose(careless.variability(SHEETS), IRV, atol=DIGITS)


def test_even_odd_consistency():
    np.testing.assert_allclose(careless.even_odd(SHEETS, SCALES), EVEN_ODD, atol=DIGITS)


def test_mahalanobis_distance_and_its_p():
    answers = SHEETS[:, CHOSEN]
    sums = careless.pair_sums(answers)
    distance, _ = careless.mahalanobis(answers, sums.mean, sums.covariance)
    np.testing.assert_allclose(distance, DISTANCE, rtol=DIGITS, atol=1e-8)
    np.testing.assert_allclose(stats.chi2.sf(distance, 5), P, atol=DIGITS)


def test_mahalanobis_distance_with_missing_answers():
    answers = SHEETS[:, CHOSEN]
    for row, column in MISSING:
        answers[row, column] = NAN
    sums = careless.pair_sums(answers)
    distance, determinant = careless.mahalanobis(answers, sums.mean, sums.covariance)
    np.testing.assert_allclose(distance, DISTANCE_MISSING, rtol=DIGITS, atol=1e-8)
    for row, expected in DETERMINANT_MISSING.items():
        assert determinant[row] == pytest.approx(expected, abs=DIGITS)


@pytest.fixture(scope="module")
def bfi(shared_data) -> pd.DataFrame:
    table = pd.read_csv(shared_data / "bfi_likert" / "bfi.csv")
    items = [f"{scale}{i}" for scale in "ACENO" for i in range(1, 6)]
    return table[items].dropna().astype("float64")


def test_indices_of_2436_real_sheets(bfi):
    assert len(bfi) == 2436
    runs = pd.Series(careless.longstring(bfi.to_numpy())).value_counts().sort_index()
    assert runs.to_dict() == {1: 2, 2: 504, 3: 974, 4: 535, 5: 270, 6: 84, 7: 46, 8: 12, 9: 4, 10: 1, 25: 4}
    irv = careless.variability(bfi.to_numpy())
    assert [irv.mean(), irv.max()] == pytest.approx([1.593616539, 2.549509757], abs=1e-9)
    assert (irv == 0).sum() == 4


def test_distances_of_2436_real_sheets(bfi):
    answers = bfi.to_numpy()
    sums = careless.pair_sums(answers)
    distance, _ = careless.mahalanobis(answers, sums.mean, sums.covariance)
    assert distance[:3] == pytest.approx([13.46819228, 25.67656677, 13.49013466], abs=1e-8)
    assert (distance.max(), distance.argmax()) == (pytest.approx(106.28047661, abs=1e-8), 752)
    assert (stats.chi2.sf(distance, 25) < 0.001).sum() == 84


def test_even_odd_consistency_of_2436_real_sheets(bfi):
    turned = bfi.copy()
    for item in ("A1", "C4", "C5", "E1", "E2", "O2", "O5"):
        turned[item] = 7 - turned[item]
    found = careless.even_odd(turned.to_numpy(), [list(range(start, start + 5)) for start in range(0, 25, 5)])
    assert np.nanmean(found) == pytest.approx(0.6799786971, abs=1e-9)
    assert found[:3] == pytest.approx([0.8148148148, 0.0, -0.1932552233], abs=1e-9)
    assert (np.isnan(found).sum(), (found < 0.3).sum(), (found == -1).sum()) == (2, 301, 76)
