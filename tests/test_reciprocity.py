"""Reciprocity of units that judge each other: planted truth, nothing planted at its rate, and what it must not see.

Rates are accepted inside the 99 % binomial interval of 2,000 draws (a part of them every day).
"""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from trials import trials

import dj_analysis as dj
from dj_analysis import methods
from dj_analysis.errors import UsageError
from dj_analysis.measure.raters.reciprocity import dyadic

DRAWS = trials(2000, share=10)


def round_robin(rng: np.random.Generator, k: int, true: float, strict: float = 5.0, good: float = 5.0) -> np.ndarray:
    """Marks of raters × targets: mean 80, raters, targets (correlated with how they rate), relations that are returned at ``true``."""
    rater = rng.normal(0, strict, k)
    target = rng.normal(0, good, k) + 0.5 * rater
    shared, own = rng.standard_normal((k, k)), rng.standard_normal((k, k))
    shared = np.triu(shared, 1) + np.triu(shared, 1).T
    sign = np.where(np.triu(np.ones((k, k)), 1) > 0, 1.0, np.sign(true) or 1.0)
    relation = 3 * (np.sqrt(abs(true)) * shared * sign + np.sqrt(1 - abs(true)) * own)
    return 80 + rater[:, None] + target[None, :] + relation


def sheets(marks: np.ndarray) -> pd.DataFrame:
    rows = [(f"B{j}", f"B{i}", marks[i, j]) for i in range(len(marks)) for j in range(len(marks)) if i != j]
    return pd.DataFrame(rows, columns=["unit", "rater", "score"]).assign(period="2026", kind="inspection")


@pytest.mark.parametrize("k", [4, 6, 12])
def test_marks_that_are_not_returned_are_claimed_at_the_stated_rate(k):
    rng = np.random.default_rng(k)
    told = [dyadic(round_robin(rng, k, 0.0))[0] for _ in range(DRAWS)]
    low, high = stats.binom.interval(0.99, DRAWS, 0.05)
    assert low <= sum(one["p"] <= 0.05 for one in told) <= high
    assert low <= sum(not one["low"] <= 0 <= one["high"] for one in told) <= high


@pytest.mark.parametrize(("k", "true"), [(6, 0.6), (12, 0.6), (12, -0.4), (12, 0.95)])
def test_the_planted_reciprocity_lies_in_its_interval_as_often_as_claimed(k, true):
    rng = np.random.default_rng([k, int(100 * abs(true))])
    told = pd.DataFrame([dyadic(round_robin(rng, k, true))[0] for _ in range(DRAWS)])
    low, high = stats.binom.interval(0.99, DRAWS, 0.95)
    assert low <= told["low"].le(true).mul(told["high"].ge(true)).sum() <= high
    assert told["estimate"].median() == pytest.approx(true, abs=0.06)


def test_how_strict_and_how_good_units_are_plays_no_part():
    rng = np.random.default_rng(1)
    marks = round_robin(rng, 8, 0.5)
    moved = marks + rng.normal(0, 20, 8)[:, None] + rng.normal(0, 20, 8)[None, :]
    told, relation = dyadic(marks)
    again, same = dyadic(moved)
    np.testing.assert_allclose(relation, same, atol=1e-9)
    assert told["estimate"] == pytest.approx(again["estimate"])
    off = ~np.eye(8, dtype=bool)
    left = np.where(off, relation, 0.0)
    np.testing.assert_allclose(left.sum(axis=0), 0, atol=1e-9)
    np.testing.assert_allclose(left.sum(axis=1), 0, atol=1e-9)


def test_relations_are_the_residuals_of_least_squares():
    marks = round_robin(np.random.default_rng(3), 5, 0.3)
    pairs = [(i, j) for i in range(5) for j in range(5) if i != j]
    design = np.array([[1.0, *(i == r for r in range(5)), *(j == t for t in range(5))] for i, j in pairs])
    y = np.array([marks[i, j] for i, j in pairs])
    residual = y - design @ np.linalg.lstsq(design, y, rcond=None)[0]
    np.testing.assert_allclose([dyadic(marks)[1][i, j] for i, j in pairs], residual, atol=1e-9)


def test_a_table_of_sheets_gives_coefficient_and_matrix():
    marks = round_robin(np.random.default_rng(2), 6, 0.9)
    result = methods.reciprocity(sheets(marks), officials=True)
    row = result.table.iloc[0]
    assert (row["coefficient"], row["n"], row["reason"]) == ("reciprocity", 6, "")
    assert row["low"] < row["estimate"] < row["high"]
    matrix = result.parts["matrix"].table.set_index(["unit", "other"])
    assert len(matrix) == 30
    assert matrix.loc[("B1", "B4"), "score"] == pytest.approx(marks[1, 4])
    assert dj.protect(result).table["estimate"].notna().all()
    people = dj.protect(methods.reciprocity(sheets(marks)))
    assert people.part("matrix").table["score"].isna().all(), "of people each mark is one person's"
    assert people.table["estimate"].isna().all(), "six people are fewer than ten"


def test_what_is_no_round_robin_has_no_estimate_and_says_why():
    marks = round_robin(np.random.default_rng(4), 6, 0.9)
    given = sheets(marks).iloc[1:]
    table = methods.reciprocity(given, officials=True).table
    assert table["estimate"].isna().all()
    assert table["reason"].tolist() == ["not_every_unit_judged_every_other"]
    assert methods.reciprocity(sheets(marks[:3, :3]), officials=True).table["estimate"].isna().all()
    flat = methods.reciprocity(sheets(np.full((5, 5), 80.0)), officials=True).table
    assert flat["reason"].tolist() == ["marks_follow_from_main_effects"]
    with pytest.raises(UsageError, match="没有被评单位"):
        methods.reciprocity(given.assign(rater="检查组" + given["rater"]), officials=True)
