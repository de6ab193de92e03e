"""Raking against R and against the numbers of the field.

Sources: the 2×2 table is check F9 of ``domain.md`` and R 4.2.2 ``loglin``; the three-way tables are R survey 4.1-1
``rake(control = list(epsilon = 1e-11))``; the design effect is Kish 1965. Tolerance: the last digit R printed.
"""

from __future__ import annotations

import numpy as np
import pytest

from dj_analysis.measure.inference.raking import design_effect, rake

#: Respondents by a (2), b (3) and c (2), written with a running fastest, as R's expand.grid does.
COUNTS = np.array([12, 7, 20, 9, 5, 14, 8, 11, 16, 6, 9, 13]).reshape(2, 3, 2).transpose(2, 1, 0)


def as_in_r(weights: np.ndarray) -> np.ndarray:
    return weights.transpose(2, 1, 0).ravel()


def test_a_table_of_two_rows_and_two_columns():
    counts = np.array([[40, 30], [35, 50]])
    fitted = rake(counts, {0: [80, 90], 1: [70, 100]}) * counts
    np.testing.assert_allclose(fitted, [[39.511131, 40.488869], [30.488869, 59.511131]], atol=5e-7)
    odds = fitted[0, 0] * fitted[1, 1] / (fitted[0, 1] * fitted[1, 0])
    assert round(odds, 6) == 1.904762 == round(40 * 50 / (30 * 35), 6)


def test_three_margins():
    weights = rake(COUNTS, {0: [300, 260], 1: [150, 210, 200], 2: [330, 230]})
    expected = [
        4.642939569, 4.463178542, 4.712294772, 4.529848514, 5.852647722, 5.626050337,
        3.394104369, 3.262694585, 3.444804748, 3.311431994, 4.278431134, 4.112782806,
    ]  # fmt: skip
    np.testing.assert_allclose(as_in_r(weights), expected, atol=5e-9)
    cost = design_effect(np.repeat(weights.ravel(), COUNTS.ravel()))
    assert cost.deff == pytest.approx(1.032567527, abs=5e-10)


def test_a_joint_margin():
    joint = np.array([90, 60, 120, 90, 90, 110]).reshape(3, 2).T
    weights = rake(COUNTS, {(0, 1): joint, 2: [330, 230]})
    expected = [
        5.054522114, 4.004531334, 3.796065824, 6.739362818, 7.804663277, 4.693936935,
        3.668216830, 2.906207333, 2.754917721, 4.890955773, 5.664075957, 3.406529455,
    ]  # fmt: skip
    np.testing.assert_allclose(as_in_r(weights), expected, atol=5e-9)


def test_design_effect_of_five_weights():
    cost = design_effect([1, 1, 1, 2, 3])
    assert (cost.deff, cost.n_eff) == (1.25, 4)
