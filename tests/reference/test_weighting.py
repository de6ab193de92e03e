"""Weights and evaluations against published numbers.

Sources, each table typed in from it:
- House: Saaty 1990, European Journal of Operational Research 48, 9-26, buying a house, eight criteria.
- Drinks: Saaty 2008, Int. J. Services Sciences 1(1), 83-98, which drink is consumed more in the USA, seven drinks.
- Pharmaceutical firms: Diakoulaki, Mavrotas, Papayannakis 1995, Computers & Operations Research 22(7), 763-770, eight firms
  by three criteria; weights with eight digits as printed in the tests of scikit-criteria.
- Fighter aircraft: Hwang, Yoon 1981, Multiple Attribute Decision Making, four aircraft by six criteria (qualities on 1-9).
  Weights .2 .1 .1 .1 .2 .3; the fourth criterion is a cost.
- The numbers to reproduce are those of domain.md F22, F23, there recomputed by hand from the published tables.

Tolerances: half a unit of the last printed digit.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from dj_analysis.measure.composites.ahp import ahp
from dj_analysis.measure.composites.evaluation import topsis
from dj_analysis.measure.composites.weighting import weigh
from dj_analysis.spec.tree import Node, Tree

HOUSE = {
    "size": [1, 5, 3, 7, 6, 6, 1 / 3, 1 / 4],
    "transport": [1 / 5, 1, 1 / 3, 5, 3, 3, 1 / 5, 1 / 7],
    "neighbourhood": [1 / 3, 3, 1, 6, 3, 4, 6, 1 / 5],
    "age": [1 / 7, 1 / 5, 1 / 6, 1, 1 / 3, 1 / 4, 1 / 7, 1 / 8],
    "yard": [1 / 6, 1 / 3, 1 / 3, 3, 1, 1 / 2, 1 / 5, 1 / 6],
    "modern": [1 / 6, 1 / 3, 1 / 4, 4, 2, 1, 1 / 5, 1 / 6],
    "condition": [3, 5, 1 / 6, 7, 5, 5, 1, 1 / 2],
    "financing": [4, 7, 5, 8, 6, 6, 2, 1],
}
DRINKS = {
    "coffee": [1, 9, 5, 2, 1, 1, 1 / 2],
    "wine": [1 / 9, 1, 1 / 3, 1 / 9, 1 / 9, 1 / 9, 1 / 9],
    "tea": [1 / 5, 3, 1, 1 / 3, 1 / 4, 1 / 3, 1 / 9],
    "beer": [1 / 2, 9, 3, 1, 1 / 2, 1, 1 / 3],
    "sodas": [1, 9, 4, 2, 1, 2, 1 / 2],
    "milk": [1, 9, 3, 1, 1 / 2, 1, 1 / 3],
    "water": [2, 9, 9, 3, 2, 3, 1],
}
FIRMS = [
    [61, 1.08, 4.33], [20.7, 0.26, 4.34], [16.3, 1.98, 2.53], [9, 3.29, 1.65],
    [5.4, 2.77, 2.33], [4, 4.12, 1.21], [-6.1, 3.52, 2.10], [-34.6, 3.31, 0.98],
]  # fmt: skip
AIRCRAFT = pd.DataFrame(
    [[2.0, 1500, 20000, 5.5, 5, 9], [2.5, 2700, 18000, 6.5, 3, 5], [1.8, 2000, 21000, 4.5, 7, 7], [2.2, 1800, 20000, 5.0, 5, 5]],
    columns=["speed", "range", "payload", "cost", "reliability", "manoeuvre"],
)  # fmt: skip
IMPORTANCE = dict(zip(AIRCRAFT.columns, [0.2, 0.1, 0.1, 0.1, 0.2, 0.3], strict=True))


@pytest.mark.parametrize(
    ("matrix", "digits", "lam", "ci", "cr", "weights"),
    [
        (HOUSE, 3, 9.669, 0.238, 0.169, [0.173, 0.054, 0.188, 0.018, 0.031, 0.036, 0.167, 0.333]),
        (DRINKS, 4, 7.1766, 0.0294, 0.0223, [0.177, 0.019, 0.042, 0.116, 0.190, 0.129, 0.327]),
    ],
)
def test_ahp_of_saaty(matrix, digits, lam, ci, cr, weights):
    judgements = pd.DataFrame(list(matrix.values()), columns=list(matrix))
    np.testing.assert_allclose(judgements * judgements.to_numpy().T, 1, atol=1e-12)  # typed in whole, both triangles
    table = ahp(judgements).table
    assert table["code"].tolist() == list(matrix)
    assert table["weight"].round(3).tolist() == weights
    first = table.iloc[0]
    assert [round(first[name], digits) for name in ("lambda", "ci", "cr")] == [lam, ci, cr]


def test_ahp_repair_names_the_judgement_that_does_not_fit_the_house():
    # Neighbourhood six times condition: five times as much as the weights say, the farthest of 28 judgements. Changed to 1/2
    # the house is consistent (own computation; no printed value is claimed).
    repair = ahp(pd.DataFrame(list(HOUSE.values()), columns=list(HOUSE))).parts["repair"].table.iloc[0]
    assert (repair["row"], repair["column"], repair["given"]) == ("neighbourhood", "condition", 6)
    assert repair["deviation"] == pytest.approx(6 * 0.16683 / 0.18811, abs=1e-3)
    assert repair["suggested"] == 0.5
    assert repair["cr_after"] < 0.10 < 0.169


def test_critic_of_diakoulaki():
    table = weigh(pd.DataFrame(FIRMS, columns=["profit", "share", "productivity"]), "critic").table
    assert table["weight"].round(8).tolist() == [0.20222554, 0.48090173, 0.31687273]


def test_entropy_weights_of_the_aircraft():
    assert weigh(AIRCRAFT, "entropy").table["weight"].round(4).tolist() == [
        0.0642,
        0.2061,
        0.0134,
        0.0813,
        0.3587,
        0.2763,
    ]


def test_topsis_of_the_aircraft():
    leaves = [Node(code, "I", direction=-1 if code == "cost" else 1, weight=w) for code, w in IMPORTANCE.items()]
    tree = Tree((Node("I", role="index"), *leaves), about="units")
    table = topsis(AIRCRAFT.assign(unit=["A1", "A2", "A3", "A4"]), tree).table
    assert (table["score"] / 100).round(4).tolist() == [0.6433, 0.2684, 0.6135, 0.3123]
