"""Borda, grey relation, rank-sum ratio and comparisons in pairs, worked out by hand."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from dj_analysis.errors import UsageError
from dj_analysis.measure.composites.normalisers import NORMALISERS
from dj_analysis.measure.composites.orderings import borda, grey_relation, priority_weights, rank_sum_ratio
from dj_analysis.measure.inference.ranks import rank_sets
from dj_analysis.spec.tree import Node, Tree

#: Ten districts, three indicators (the second and third are bad when high).
DISTRICTS = pd.DataFrame(
    {
        "unit": list("ABCDEFGHIJ"),
        "K1": [99.54, 96.52, 99.36, 92.83, 91.71, 95.35, 96.09, 99.27, 94.76, 84.80],
        "K2": [60.27, 59.67, 43.91, 58.99, 35.40, 44.71, 49.81, 31.69, 22.91, 81.49],
        "K3": [16.15, 20.10, 15.60, 17.04, 15.01, 13.93, 17.43, 13.89, 19.87, 23.63],
    }
)


def tree(weights=(1.0, 1.0, 1.0), directions=(1, -1, -1)) -> Tree:
    leaves = [
        Node(f"K{i}", "T", weight=w, direction=d, minimum=0, maximum=100)
        for i, (w, d) in enumerate(zip(weights, directions, strict=True), start=1)
    ]
    return Tree((Node("T", role="index"), *leaves))


def test_rank_sum_ratio_by_hand():
    # Ranks A 10 2 6, B 7 3 2, C 9 7 7 …: sums 18 12 23 12 18 20 15 27 17 3, by 3·10.
    table = rank_sum_ratio(DISTRICTS, tree()).table.set_index("unit")
    expected = np.array([18, 12, 23, 12, 18, 20, 15, 27, 17, 3]) / 30 * 100
    np.testing.assert_allclose(table["score"], expected, atol=1e-9)
    assert table["rank"].tolist() == [4, 8, 2, 8, 4, 3, 7, 1, 6, 10]
    # Probits of the downward cumulative frequencies .1 .25 .4 .5 .65 .8 .9 and 1 − 1/40, and the line through the eight values.
    share = np.array([0.1, 0.25, 0.4, 0.5, 0.65, 0.8, 0.9, 0.975])
    probit = np.array([3.718448, 4.32551, 4.746653, 5.0, 5.38532, 5.841621, 6.281552, 6.959964])
    values = np.array([10, 40, 50, 17 / 0.3, 60, 20 / 0.3, 23 / 0.3, 90])
    slope, intercept = np.polyfit(probit, values, 1)
    np.testing.assert_allclose(table.loc[list("JBGIAFCH"), "fitted"], intercept + slope * probit, atol=1e-4)
    assert len(share) == len(probit)
    assert table.loc["J", "tier"] == 1
    assert table.loc[["C", "H"], "tier"].tolist() == [3, 3]
    assert set(table.loc[list("BGIAF"), "tier"]) == {2}


def test_borda_by_hand():
    # A is above 9 districts on K1, above 1 on K2 and 5 on K3 of nine others: 100·15/27.
    table = borda(DISTRICTS, tree()).table.set_index("unit")
    assert table.loc["A", "score"] == pytest.approx(100 * 15 / 27, abs=1e-9)
    weighted = borda(DISTRICTS, tree(weights=(2.0, 1.0, 1.0))).table.set_index("unit")
    assert weighted.loc["A", "score"] == pytest.approx(100 * (2 * 9 + 1 + 5) / 36, abs=1e-9)
    equal = borda(pd.DataFrame({"unit": ["a", "b"], "K1": [5.0, 5.0]}), tree()).table
    assert equal["score"].tolist() == [50, 50]


def test_grey_relation_by_hand():
    # Scaled K1: 0 .5 1; turned K2: 1 0 .5; distances from 1: (1, 0), (.5, 1), (0, .5); ξ = .5/(Δ + .5): 1/3, 1, .5, 1/3, 1, .5.
    frame = pd.DataFrame({"unit": ["a", "b", "c"], "K1": [0.0, 5.0, 10.0], "K2": [0.0, 20.0, 10.0]})
    table = grey_relation(frame, tree()).table.set_index("unit")
    expected = 100 * np.array([(1 / 3 + 1) / 2, (0.5 + 1 / 3) / 2, (1 + 0.5) / 2])
    np.testing.assert_allclose(table.loc[["a", "b", "c"], "score"], expected, atol=1e-9)
    assert table["rank"].tolist() == [2, 3, 1]
    with pytest.raises(UsageError, match="rho"):
        grey_relation(frame, tree(), rho=0)


@pytest.mark.parametrize("method", [borda, grey_relation, rank_sum_ratio])
def test_units_with_gaps_take_no_part(method):
    gaps = DISTRICTS.assign(K2=DISTRICTS["K2"].where(DISTRICTS["unit"] != "A"))
    table = method(gaps, tree()).table.set_index("unit")
    without = method(DISTRICTS[DISTRICTS["unit"] != "A"], tree()).table.set_index("unit")
    assert np.isnan(table.loc["A", "score"])
    assert table.loc["A", "reason"] == "indicators_missing_not_ranked"
    np.testing.assert_allclose(table.loc[without.index, "score"], without["score"])


@pytest.mark.parametrize("method", [borda, grey_relation, rank_sum_ratio])
def test_a_unit_that_is_best_everywhere_comes_first(method):
    best = pd.DataFrame({"unit": ["Z"], "K1": [100.0], "K2": [1.0], "K3": [1.0]})
    table = method(pd.concat([DISTRICTS, best]), tree()).table.set_index("unit")
    assert table.loc["Z", "rank"] == 1


def test_comparisons_in_pairs_by_hand():
    # 4 > 3 = 3 > 1: row sums 3.5, 2, 2, .5 of 8.
    weights = priority_weights({"a": 4, "b": 3, "c": 3, "d": 1})
    assert weights.tolist() == [3.5 / 8, 2 / 8, 2 / 8, 0.5 / 8]
    table = pd.DataFrame([[0.5, 1, 0], [0, 0.5, 1], [1, 0, 0.5]], index=list("abc"), columns=list("abc"))
    assert priority_weights(table).tolist() == pytest.approx([1 / 3] * 3)
    with pytest.raises(UsageError, match="a_ij"):
        priority_weights(table.replace(0.0, 0.3))
    with pytest.raises(UsageError, match="missing"):
        priority_weights({"a": 1, "b": float("nan")})


#: Three units on one indicator of which two are equal but for rounding, and 50,000,000 yuan added up in two orders.
EQUALS = {"points": [0.1 + 0.2, 0.3, 0.7], "yuan": [sum([0.1] * 3) * 1e8, 0.3 * 1e8, 7e7]}


@pytest.mark.parametrize("values", EQUALS.values(), ids=EQUALS)
def test_numbers_equal_but_for_rounding_share_their_places(values):
    x = np.array(values)
    assert x[0] != x[1]
    np.testing.assert_allclose(NORMALISERS["rank"](x), [25, 25, 100])
    np.testing.assert_allclose(NORMALISERS["percentile"](x), [100 / 3, 100 / 3, 250 / 3])
    frame = pd.DataFrame({"unit": ["a", "b", "c"], "K1": x})
    one = Tree((Node("T", role="index"), Node("K1", "T", weight=1, minimum=0, maximum=1e9)))
    assert borda(frame, one).table["score"].tolist() == [25, 25, 100]
    assert borda(frame, one).table["rank"].tolist() == [2, 2, 1]
    np.testing.assert_allclose(rank_sum_ratio(frame, one).table["score"], [50, 50, 100])
    assert rank_sets(x, np.ones(3)).rank.tolist() == [2, 2, 1]
    assert grey_relation(frame.iloc[:2], one).table["score"].isna().all()  # nothing to tell apart


def test_numbers_that_differ_by_more_than_rounding_keep_their_order():
    x = np.array([0.3, 0.3 + 1e-6, 0.7])
    np.testing.assert_allclose(NORMALISERS["rank"](x), [0, 50, 100])
    frame = pd.DataFrame({"unit": ["a", "b", "c"], "K1": x})
    one = Tree((Node("T", role="index"), Node("K1", "T", weight=1, minimum=0, maximum=1)))
    assert borda(frame, one).table["rank"].tolist() == [3, 2, 1]
    np.testing.assert_allclose(rank_sum_ratio(frame, one).table["score"], [100 / 3, 200 / 3, 100])
