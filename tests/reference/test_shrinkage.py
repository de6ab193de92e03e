"""Shrinkage against published numbers.

Sources
- Efron & Morris 1975 (JASA 70:311), 1977 (Scientific American 236:119): 18 batters, averages after 45 at bats and of the rest of
  the season; their James–Stein estimator with the variance of a share, ȳ(1−ȳ)/45.
- Viechtbauer 2005 (J. Educ. Behav. Stat. 30:261), examples 1 and 2: τ² by several estimators (his EB is Paule–Mandel's equation).
- Raudenbush & Bryk 1985 (J. Educ. Stat. 10:75), 19 studies: τ², μ, empirical Bayes estimates and intervals, as printed to four
  digits by R metafor's `blup` (test_analysis_example_raudenbush1985.r).
- Precision table for planning (domain F25): weight of a unit's own mean at ICC .1.

Tolerances: the printed digits; metafor's estimates and bounds 2e-4, the error of its own printed and rounded inputs.
"""

from __future__ import annotations

import numpy as np
import pytest

from dj_analysis.measure.inference.shrinkage import shrink

EARLY = [.400, .378, .356, .333, .311, .311, .289, .267, .244, .244, .222, .222, .222, .222, .222, .200, .178, .156]  # fmt: skip
REST = [.346, .298, .276, .222, .273, .270, .263, .210, .269, .230, .264, .256, .303, .264, .226, .285, .316, .200]  # fmt: skip


def test_efron_and_morris_batters():
    early, rest = np.array(EARLY), np.array(REST)
    grand = early.mean()
    found = shrink(early, np.full(18, np.sqrt(grand * (1 - grand) / 45)))
    assert round(found.mu, 5) == 0.26539
    np.testing.assert_allclose(found.weight, 0.2124, atol=5e-5)
    assert round(found.estimate[0], 5) == 0.29398
    raw, shrunk = ((early - rest) ** 2).sum(), ((found.estimate - rest) ** 2).sum()
    assert (round(raw, 5), round(shrunk, 5), round(raw / shrunk, 3)) == (0.07537, 0.02131, 3.537)


FIRST = (
    [-0.581, 0.530, 0.771, 1.031, 0.553, 0.295, 0.078, 0.573, -0.176, -0.232],
    [0.023, 0.052, 0.060, 0.115, 0.095, 0.203, 0.200, 0.211, 0.051, 0.040],
)
SECOND = (
    [0.100, -0.162, -0.090, -0.049, -0.046, -0.010, -0.431, -0.261, 0.134, 0.019, 0.175, 0.056, 0.045, 0.103, 0.121, -0.482,
     0.290, 0.342],
    [0.016, 0.015, 0.050, 0.050, 0.032, 0.052, 0.036, 0.024, 0.034, 0.033, 0.031, 0.034, 0.039, 0.167, 0.134, 0.096, 0.016,
     0.035],
)  # fmt: skip


@pytest.mark.parametrize(
    ("data", "printed"),
    [
        (FIRST, {"dersimonian-laird": 0.277, "reml": 0.223, "paule-mandel": 0.192}),
        (SECOND, {"dersimonian-laird": 0.013, "reml": 0.016, "paule-mandel": 0.010}),
    ],
)
def test_variance_between_units_of_viechtbauer(data: tuple, printed: dict):
    mean, variance = (np.array(values) for values in data)
    assert {name: round(shrink(mean, np.sqrt(variance), tau2=name).tau2, 3) for name in printed} == printed


EFFECTS = [.03, .12, -.14, 1.18, .26, -.06, -.02, -.32, .27, .80, .54, .18, -.02, .23, -.18, -.06, .30, .07, -.07]  # fmt: skip
VARIANCES = [
    .0156, .0216, .0279, .1391, .1362, .0106, .0106, .0484, .0269, .0630, .0912, .0497, .0835, .0841, .0253, .0279, .0193,
    .0088, .0303,
]  # fmt: skip
BLUP = [
    .0543, .1006, -.0064, .2144, .1051, -.0082, .0174, -.0293, .1604, .2485, .1618, .1102, .0646, .1105, -.0288, .0258, .1905,
    .0744, .0248,
]  # fmt: skip
LOW = [
    -.1324, -.1033, -.2228, -.0533, -.1622, -.1737, -.1481, -.2689, -.0543, 0, -.097, -.1303, -.192, -.1463, -.2405, -.1906,
    -.0076, -.0808, -.1954,
]  # fmt: skip
HIGH = [
    .2411, .3045, .21, .4821, .3724, .1572, .1828, .2102, .3751, .497, .4206, .3507, .3212, .3672, .1829, .2422, .3886, .2295,
    .245,
]  # fmt: skip


def test_teacher_expectancy_of_raudenbush_and_bryk():
    found = shrink(EFFECTS, np.sqrt(VARIANCES), tau2="reml", error="prasad-rao")
    assert (round(found.tau2, 4), round(found.mu, 4)) == (0.0188, 0.0837)
    np.testing.assert_allclose(found.estimate, BLUP, atol=2e-4)
    # metafor's intervals take τ² as known.
    known = shrink(EFFECTS, np.sqrt(VARIANCES), tau2=found.tau2)
    np.testing.assert_allclose(known.low, LOW, atol=2e-4)
    np.testing.assert_allclose(known.high, HIGH, atol=2e-4)
    assert (found.se > known.se).all()


def test_weight_of_a_units_own_mean_in_the_planning_table():
    n = np.array([5, 10, 20, 30, 50, 100])
    found = shrink(np.linspace(60, 70, 6), 14 * np.sqrt(0.9 / n), tau2=14**2 * 0.1)
    assert found.weight.round(2).tolist() == [0.36, 0.53, 0.69, 0.77, 0.85, 0.92]
