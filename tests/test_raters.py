"""Judges: cases worked out by hand, properties, what a result shows and hides, and how often its claims hold.

Tolerances: 1e-9 for hand-worked numbers, 1e-10 where two routes must meet; rates lie in the 99 % binomial interval of the claim.
"""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd
import pytest
from offices import office, people
from scipy import stats
from trials import trials

import dj_analysis as dj
from dj_analysis.errors import DataError, DjWarning, UsageError
from dj_analysis.measure.raters import two_way
from dj_analysis.measure.raters.concordance import bland_altman, icc, kendall_w
from dj_analysis.measure.raters.rating import rate
from dj_analysis.measure.raters.two_way import first_probability, separate, severity, win_probability
from dj_analysis.spec import reasons
from dj_analysis.spec.specification import Specification
from dj_analysis.spec.tree import Node, Tree
from dj_analysis.spec.units import Unit, Units

EXACT = 1e-9
NAN = float("nan")
COEFFICIENTS = ["ICC(1,1)", "ICC(2,1)", "ICC(3,1)", "ICC(1,k)", "ICC(2,k)", "ICC(3,k)"]


def expected(rate: float, draws: int) -> tuple[float, float]:
    """The 99 % binomial interval of a claimed rate."""
    low, high = stats.binom.interval(0.99, draws, rate)
    return low / draws, high / draws


def holed(rng: np.random.Generator, values: np.ndarray, share: float) -> np.ndarray:
    """Leave cells out at random, keeping two judges everywhere and judge 1 for all, so that everything hangs together."""
    gone = rng.random(values.shape) < share
    gone[:, :2] = False
    return np.where(gone, NAN, values)


def sheets(rows: list[tuple], period: str = "2026") -> pd.DataFrame:
    """(unit, rater, score) of inspections, or with kind and code behind."""
    default = ("inspection", "")
    frame = pd.DataFrame(
        [(*row, *default[len(row) - 3 :]) for row in rows], columns=["unit", "rater", "score", "kind", "code"]
    )
    return frame.assign(period=period)


def crossed(units: int, judges: int, rng: np.random.Generator, spread: float = 5.0) -> pd.DataFrame:
    """Every judge judges every unit; units and judges differ."""
    truth, strict = rng.normal(80, 6, units), rng.normal(0, 3, judges)
    rows = [
        (f"U{i:02}", f"J{j:02}", truth[i] - strict[j] + rng.normal(0, spread))
        for i in range(units)
        for j in range(judges)
    ]
    return sheets(rows)


# Intraclass correlations.


def test_coefficients_of_two_judges_by_hand():
    # Targets 1 3 | 2 4 | 6 8: means 2, 3, 7, grand 4: MSB = 2·(4+1+9)/2 = 14; judges differ by 2: MSJ = 6; no error beyond.
    # Within: (1+1)·3/3 = 2: ICC(1,1) = 12/16; ICC(2,1) = 14/(14 + 2·6/3); ICC(3,1) = 1.
    table = icc([[1, 3], [2, 4], [6, 8]]).set_index("coefficient")
    assert table["estimate"].tolist() == pytest.approx([12 / 16, 14 / 18, 1, 12 / 14, 28 / 32, 1], abs=EXACT)
    assert table["reason"].tolist() == ["", two_way.SAME_SCORES, two_way.SAME_SCORES] * 2
    assert table["low"].isna().tolist() == [False, True, True] * 2


def test_missing_cells_give_estimates_without_an_interval():
    table = icc([[1, 3, 2], [2, 4, NAN], [6, 9, 7], [5, NAN, 6]]).set_index("coefficient")
    assert table["estimate"].notna().all()
    assert (table["reason"] == two_way.NOT_BALANCED).all()
    assert table["low"].isna().all()
    assert table.loc["ICC(2,1)", "method"].startswith("Henderson 1953, method 3")


def test_judges_of_their_own_have_the_one_way_coefficient_only():
    own = [[1, 2, NAN, NAN, NAN, NAN], [NAN, NAN, 5, 8, NAN, NAN], [NAN, NAN, NAN, NAN, 9, 9]]
    table, plain = icc(own).set_index("coefficient"), icc([[1, 2], [5, 8], [9, 9]]).set_index("coefficient")
    for name in ("ICC(1,1)", "ICC(1,k)"):
        assert (
            table.loc[name, ["estimate", "low", "high"]].tolist()
            == plain.loc[name, ["estimate", "low", "high"]].tolist()
        )
    assert (table.loc[["ICC(2,1)", "ICC(3,k)"], "reason"] == two_way.NOT_CROSSED).all()


@pytest.mark.parametrize("matrix", [[[1], [2]], [[1, 2, 3]]])
def test_one_judge_or_one_target_gives_reasons(matrix):
    table = icc(matrix)
    assert table["estimate"].isna().all()
    assert (table["reason"] == two_way.TOO_FEW_TARGETS).all()


def test_targets_alike_have_no_coefficient():
    table = icc([[1, 2], [1, 2], [1, 2]])
    assert table["estimate"].isna().all()
    assert (table["reason"] == two_way.NO_DIFFERENCE).all()


def test_components_equal_the_analysis_of_variance_where_nothing_is_missing():
    rng = np.random.default_rng(3)
    x = rng.normal(size=(9, 5)) + rng.normal(size=(9, 1)) + rng.normal(size=5)
    n, k = x.shape
    row, column = x.mean(axis=1, keepdims=True), x.mean(axis=0)
    msb, msj = k * row.var(ddof=1), n * column.var(ddof=1)
    mse = ((x - row - column + x.mean()) ** 2).sum() / ((n - 1) * (k - 1))
    single = (msb - mse) / (msb + (k - 1) * mse + k * (msj - mse) / n)
    table = icc(x).set_index("coefficient")["estimate"]
    assert table["ICC(2,1)"] == pytest.approx(single, abs=1e-10)
    assert table["ICC(2,k)"] == pytest.approx((msb - mse) / (msb + (msj - mse) / n), abs=1e-10)
    assert table["ICC(3,1)"] == pytest.approx((msb - mse) / (msb + (k - 1) * mse), abs=1e-10)


def test_order_shift_and_unit_of_scores_do_not_matter():
    rng = np.random.default_rng(4)
    x = holed(rng, rng.normal(size=(8, 5)) + 2 * rng.normal(size=(8, 1)), 0.3)
    moved = 7.5 * x[rng.permutation(8)][:, rng.permutation(5)] - 40
    for table, other in ((icc(x), icc(moved)), (kendall_w(x), kendall_w(moved))):
        np.testing.assert_allclose(table["estimate"], other["estimate"], atol=1e-10)


# Kendall's W.


def test_kendall_by_hand():
    # Three judges, three targets, ranks 1 2 3 | 1 2 3 | 2 1 3: sums 4, 5, 9, mean 6: S = 14; W = 12·14/(9·24).
    row = kendall_w(np.array([[1, 2, 3], [1, 2, 3], [2, 1, 3]]).T).iloc[0]
    assert row["estimate"] == pytest.approx(12 * 14 / (9 * 24), abs=EXACT)
    assert row["p"] == pytest.approx(stats.chi2.sf(3 * 2 * 12 * 14 / (9 * 24), 2), abs=EXACT)


def test_kendall_with_ties_by_hand():
    # Ranks 1 2.5 2.5 4 | 1 2 3 4: sums 2, 4.5, 5.5, 8, S = 18.5; T = 6: W = 12·18.5/(4·60 − 2·6).
    row = kendall_w(np.array([[10, 20, 20, 30], [1, 2, 3, 4]]).T).iloc[0]
    assert row["estimate"] == pytest.approx(12 * 18.5 / (4 * 60 - 2 * 6), abs=EXACT)


def test_kendall_counts_complete_targets_only():
    full = np.array([[1, 2, 3], [2, 3, 1], [5, 5, 6], [7, 9, 8]])
    row, plain = kendall_w(np.vstack([full, [[NAN, 4, 4]]])).iloc[0], kendall_w(full).iloc[0]
    assert (row["estimate"], row["targets"]) == (plain["estimate"], 4)


@pytest.mark.parametrize(
    ("matrix", "reason"), [([[1, 2], [2, 1]], two_way.TOO_FEW_TARGETS), ([[3, 4]] * 5, two_way.NO_DIFFERENCE)]
)
def test_kendall_without_enough_to_rank(matrix, reason):
    row = kendall_w(matrix).iloc[0]
    assert np.isnan(row["estimate"])
    assert row["reason"] == reason


# Adjustment for strictness.


def test_without_missing_cells_the_adjusted_score_is_the_mean():
    x = np.array([[9.0, 2, 5], [6, 1, 3], [8, 4, 7], [7, 1, 2]])
    found = severity(x)
    np.testing.assert_allclose(found.adjusted, x.mean(axis=1), atol=1e-10)
    np.testing.assert_allclose(found.severity, x.mean() - x.mean(axis=0), atol=1e-10)
    np.testing.assert_allclose(found.se, found.sigma / np.sqrt(3), atol=1e-10)
    assert set(found.df) == {6}


def test_a_strict_judge_does_not_cost_the_units_they_visited():
    # Truth 70 69 60; judge b gives 10 less than a, c 4 more; each unit meets two of the three, and no error is added.
    strict = {"a": 0.0, "b": 10.0, "c": -4.0}
    given = pd.DataFrame({
        "a": {"X": 70.0, "Z": 60.0}, "b": {"X": 60.0, "Y": 59.0}, "c": {"Y": 73.0, "Z": 64.0},
    }).loc[["X", "Y", "Z"]]  # fmt: skip
    found = severity(given)
    middle = sum(strict.values()) / 3
    np.testing.assert_allclose(found.mean, [65, 66, 62])
    np.testing.assert_allclose(found.adjusted, np.array([70, 69, 60]) - middle, atol=EXACT)
    np.testing.assert_allclose(found.severity, np.array(list(strict.values())) - middle, atol=EXACT)
    assert set(found.reason) == {two_way.SAME_SCORES}
    assert np.isnan(found.se).all()


def test_it_is_the_least_squares_solution():
    import statsmodels.formula.api as smf

    rng = np.random.default_rng(8)
    x = holed(rng, rng.normal(size=(7, 4)), 0.4)
    found = severity(x)
    long = pd.DataFrame(
        [(f"t{i}", f"r{j}", x[i, j]) for i, j in zip(*np.nonzero(~np.isnan(x)), strict=True)], columns=list("try")
    )
    fit = smf.ols("y ~ C(t, Sum) + C(r, Sum)", long).fit()
    everyone = pd.DataFrame([(f"t{i}", f"r{j}") for i in range(7) for j in range(4)], columns=list("tr"))
    np.testing.assert_allclose(found.adjusted, fit.predict(everyone).groupby(everyone["t"]).mean(), atol=1e-10)
    assert found.sigma**2 == pytest.approx(fit.mse_resid, abs=1e-10)
    contrast = win_probability(found)[2][0, 1]
    effect = fit.t_test("C(t, Sum)[S.t0] - C(t, Sum)[S.t1] = 0")
    assert contrast == pytest.approx(float(effect.sd.item()), abs=1e-10)


def test_groups_without_a_common_judge_are_named():
    given = pd.DataFrame({"a": {"X": 80.0, "Y": 70.0}, "b": {"X": 81.0, "Y": 72.0}, "c": {"V": 60.0, "W": 50.0}})
    with pytest.raises(DataError) as caught:
        severity(given)
    (problem,) = caught.value.problems
    assert problem.rule == "disconnected"
    assert sorted(problem.found.split(" | ")) == ["V、W", "X、Y"]
    assert "common" in problem.advice or "both groups" in problem.advice


def test_a_matrix_without_scores_is_refused():
    with pytest.raises(UsageError, match="评分矩阵没有评分"):
        severity([[NAN, NAN]])


def test_adjustment_does_not_depend_on_the_order_of_rows():
    rng = np.random.default_rng(9)
    frame = pd.DataFrame(holed(rng, rng.normal(size=(9, 5)), 0.4), index=list("abcdefghi"))
    one, other = severity(frame), severity(frame.sample(frac=1, random_state=3)[[3, 1, 0, 4, 2]])
    back = [other.targets.index(name) for name in one.targets]
    np.testing.assert_allclose(one.adjusted, other.adjusted[back], atol=1e-10)
    np.testing.assert_allclose(one.se, other.se[back], atol=1e-10)


# Wins.


def test_probability_of_two_bids_by_hand():
    # 90 80 | 70 64: differences of the judges 10 and 6: residuals ±1, s² = 4/1; the difference 18 has se √(4·2/2) = 2, t₁(9).
    probability, difference, se = win_probability(severity([[90, 80], [70, 64]]))
    assert (difference[0, 1], se[0, 1]) == (pytest.approx(18), pytest.approx(2))
    assert probability[0, 1] == pytest.approx(stats.t.cdf(9, 1), abs=EXACT)
    assert probability[1, 0] == pytest.approx(1 - probability[0, 1], abs=EXACT)
    assert np.isnan(np.diag(probability)).all()


def test_of_two_targets_the_first_is_the_one_that_wins():
    found = severity([[90, 80, 84], [88, 83, 70]])
    first = first_probability(found, draws=40_000, seed=1)
    assert first.sum() == pytest.approx(1)
    assert first[0] == pytest.approx(win_probability(found)[0][0, 1], abs=0.01)  # 4 standard errors of the simulation


def test_judges_of_their_own_are_compared_as_welch_does():
    one, two = [80.0, 84, 91, 77], [70.0, 71, 76]
    found = separate(pd.DataFrame([one + [NAN] * 3, [NAN] * 4 + two]))
    test = stats.ttest_ind(one, two, equal_var=False, alternative="greater")
    assert win_probability(found)[0][0, 1] == pytest.approx(1 - test.pvalue, abs=EXACT)
    low, high = found.interval()
    plain = stats.ttest_1samp(one, 0).confidence_interval()
    assert (low[0], high[0]) == pytest.approx((plain.low, plain.high))


def test_the_same_seed_gives_the_same_probabilities():
    found = severity(np.random.default_rng(2).normal(size=(6, 4)))
    np.testing.assert_array_equal(first_probability(found, seed=5), first_probability(found, seed=5))


# Self-assessment against inspection.


def test_bias_and_limits_by_hand():
    # Differences 2 4 6: mean 4, s 2; t(.975; 2) = 4.302653.
    table = bland_altman([2, 4, 6, NAN]).set_index("coefficient")
    assert table["estimate"].tolist() == pytest.approx([4, 4 - 1.959964 * 2, 4 + 1.959964 * 2], abs=1e-6)
    assert table.loc["bias", "high"] == pytest.approx(4 + 4.302653 * 2 / 3**0.5, abs=1e-6)
    assert (table["targets"] == 3).all()


@pytest.mark.parametrize(
    ("given", "reason"),
    [([], two_way.TOO_FEW_TARGETS), ([3], two_way.TOO_FEW_TARGETS), ([3, 3, 3], two_way.SAME_SCORES)],
)
def test_limits_need_differences_that_differ(given, reason):
    table = bland_altman(given)
    assert table[["low", "high", "p"]].isna().all(axis=None)
    assert set(table["reason"]) == {reason}


# The result.


def test_a_rating_by_hand():
    rows = [
        ("A", "x", 90),
        ("A", "y", 80),
        ("B", "x", 70),
        ("B", "y", 64),
        ("A", "A", 93, "self"),
        ("B", "B", 75, "self"),
    ]
    rating = rate(sheets(rows), officials=True)
    a, b = rating.table.to_dict("records")
    assert list(rating.table) == ["period", "level", "unit", "n", "score", "adjusted", "se", "df", "se_source", "low", "high",
                                  "rank_before", "rank", "rank_low", "rank_high", "tied_with", "p_first", "reason"]  # fmt: skip
    assert (a["n"], a["score"], a["adjusted"], a["df"], a["se_source"], a["reason"]) == (2, 85, 85, 1, "raters", "")
    assert a["se"] == pytest.approx(2**0.5, abs=EXACT)
    assert a["high"] - a["low"] == pytest.approx(2 * stats.t.ppf(0.975, 1) * 2**0.5, abs=EXACT)
    assert (b["score"], a["p_first"] + b["p_first"]) == (67, pytest.approx(1))
    (win,) = rating.wins.table.to_dict("records")
    assert (win["unit"], win["other"], win["n"], win["n_other"], win["difference"]) == ("A", "B", 2, 2, 18)
    assert rating.severity.table["severity"].tolist() == pytest.approx([-4, 4], abs=EXACT)
    own = rating.self_assessment.table
    assert own["difference"].tolist() == [8, 8]
    assert set(own["reason"]) == {"one_item_no_error_can"}
    agreement = rating.agreement.table.set_index("coefficient")
    assert list(agreement.index) == [*COEFFICIENTS, "Kendall W", "severity", "bias", "limit_low", "limit_high"]
    assert agreement.loc["bias", "estimate"] == 8


def test_self_assessment_by_items_with_weights():
    # Items k1 (weight 3) and k2 (1). Inspectors' means 80, 60; self 84, 72: differences 4, 12, weighted 6.
    tree = Tree(
        (
            Node("T", role="index"),
            *(Node(c, "T", weight=w, minimum=0, maximum=100) for c, w in (("k1", 3.0), ("k2", 1.0))),
        )
    )
    rows = [("A", j, s + d, "inspection", c) for j, d in (("x", -2), ("y", 2)) for c, s in (("k1", 80), ("k2", 60))]
    rows += [("A", "own", s, "self", c) for c, s in (("k1", 84), ("k2", 72))]
    rating = rate(sheets(rows), spec=Specification(indicators=tree))
    row = rating.self_assessment.table.iloc[0]
    assert (row["n"], row["items"], row["self"], row["inspection"], row["difference"]) == (2, 2, 81, 75, 6)
    # √(Σw²(d−d̄)²·2/1) with w = ¾, ¼: (.75·2)² + (.25·6)² = 4.5; degrees of freedom 1/Σw² − 1 = .6.
    assert row["se"] == pytest.approx(3, abs=EXACT)
    assert row["high"] - 6 == pytest.approx(3 * stats.t.ppf(0.975, 0.6), abs=1e-6)
    assert rating.table["score"].tolist() == [75]
    assert set(rating.agreement.table["code"]) == {"*", "k1", "k2"}


def test_units_outside_the_limits_are_named():
    rng = np.random.default_rng(6)
    frame = crossed(30, 3, rng)
    means = frame.groupby("unit")["score"].mean()
    gap = np.append(np.resize([5.0, 6.0, 7.0], 29), 40.0)
    own = sheets([(unit, "own", means[unit] + g, "self") for unit, g in zip(means.index, gap, strict=True)])
    table = rate(pd.concat([frame, own])).self_assessment.table
    assert table.loc[table["outside"].astype(bool), "unit"].tolist() == ["U29"]


def test_one_rater_per_target_has_no_error_anywhere():
    rating = rate(sheets([("A", "x", 90), ("B", "x", 80), ("C", "x", 70)]))
    table = rating.table
    assert table["score"].tolist() == [90, 80, 70]
    assert table[["adjusted", "se", "low", "high", "p_first"]].isna().all(axis=None)
    assert set(table["reason"]) == {two_way.ONE_RATER}
    assert set(table["se_source"]) == {"none"}
    assert rating.wins.table["probability"].isna().all()
    assert set(rating.wins.table["reason"]) == {two_way.ONE_RATER}
    assert rating.agreement.table["estimate"].isna().all()
    assert (rating.agreement.table["reason"] != "").all()


def test_judges_of_their_own_give_means_that_say_they_are_not_adjusted():
    rating = rate(sheets([("A", "a1", 90), ("A", "a2", 80), ("B", "b1", 70), ("B", "b2", 72), ("C", "c1", 60)]))
    table = rating.table.set_index("unit")
    assert table.loc["A", ["score", "se", "reason"]].tolist() == [85, 5, two_way.NOT_CROSSED]
    assert table["adjusted"].isna().all()
    assert table.loc["C", "reason"] == two_way.ONE_RATER
    assert rating.wins.table["probability"].notna().tolist() == [True, False, False]
    assert set(rating.severity.table["reason"]) == {two_way.NOT_CROSSED}


def test_a_unit_that_only_judged_itself_is_a_row_without_a_score():
    rating = rate(sheets([("A", "x", 90), ("A", "y", 80), ("B", "x", 70), ("B", "y", 64), ("C", "own", 99, "self")]))
    row = rating.table.set_index("unit").loc["C"]
    assert (row["n"], row["reason"]) == (0, "no_inspection")
    assert np.isnan(row["score"])
    assert rating.self_assessment.table["reason"].tolist() == [
        "no_self_assessment",
        "no_self_assessment",
        "no_inspection",
    ]


def test_nothing_but_self_assessment_has_no_score():
    rating = rate(sheets([("A", "own", 90, "self"), ("B", "own", 95, "self")]))
    assert rating.table["score"].isna().all()
    assert len(rating.wins.table) == 0
    assert len(rating.severity.table) == 0
    assert set(rating.agreement.table["reason"]) == {"no_inspection"}


def test_a_sheet_that_lacks_an_item_is_left_out_with_a_warning():
    rows = [
        (u, j, 80 + k, "inspection", c)
        for k, (u, j, c) in enumerate((u, j, c) for u in "AB" for j in "xyz" for c in ("k1", "k2"))
    ]
    with pytest.warns(DjWarning, match="1 份评分表缺项"):
        rating = rate(sheets(rows[:-1]))
    assert rating.table["n"].tolist() == [3, 2]


def test_units_take_codes_and_levels_from_the_tree():
    units = Units((Unit("01", level="branch", name_zh="一支部"), Unit("02", level="branch", name_zh="二支部")))
    rows = [("一支部", "x", 90), ("01", "y", 80), ("02", "x", 70), ("二支部", "y", 64)]
    table = rate(sheets(rows), spec=Specification(units=units)).table
    assert table[["level", "unit", "n"]].to_numpy().tolist() == [["branch", "01", 2], ["branch", "02", 2]]
    with pytest.raises(DataError, match="三支部"):
        rate(sheets([*rows, ("三支部", "x", 60)]), spec=Specification(units=units))


def test_all_that_is_wrong_is_told_at_once():
    frame = sheets([("A", "x", 90), ("A", "x", 91), ("", "y", "good"), ("B", "z", 70, "friend")])
    frame.loc[3, "period"] = "last year"
    with pytest.raises(DataError) as caught:
        rate(frame)
    table = caught.value.problems.table
    told = dict(zip(table["place"], table["found"], strict=True))
    assert set(told) == {"评分/ratings", *(f"评分/ratings: {name}" for name in ("period", "unit", "kind", "score"))}
    assert told["评分/ratings: score"] == "good (第 4 行/rows)"
    assert told["评分/ratings: kind"] == "friend (第 5 行/rows)"
    assert table.loc[table["rule"] == "duplicate_row", "found"].tolist() == ["第 3 行/rows"]


def test_missing_columns_are_named():
    with pytest.raises(DataError, match="rater、kind"):
        rate(pd.DataFrame({"period": ["2026"], "unit": ["A"], "score": [1]}))
    with pytest.raises(DataError, match="empty"):
        rate(sheets([]))


def test_periods_are_rated_apart():
    rng = np.random.default_rng(1)
    first, second = crossed(4, 3, rng), crossed(4, 3, rng).assign(period="2027")
    both = rate(pd.concat([second, first]))
    assert (both.period, both.periods) == ("2027", ("2026", "2027"))
    pd.testing.assert_frame_equal(both.where(period="2026").table, rate(first).table)
    pd.testing.assert_frame_equal(both.where(period="2027").wins.table, rate(second).wins.table)


def test_the_order_of_rows_does_not_matter():
    frame = crossed(6, 4, np.random.default_rng(2)).drop(index=[3, 9])
    one, other = rate(frame), rate(frame.sample(frac=1, random_state=1))
    pd.testing.assert_frame_equal(one.table, other.table)
    pd.testing.assert_frame_equal(one.agreement.table, other.agreement.table)
    pd.testing.assert_frame_equal(one.severity.table, other.severity.table)


# What leaves.


def test_no_rater_is_named_and_rows_about_one_are_hidden():
    frame = crossed(5, 12, np.random.default_rng(3)).assign(rater=lambda t: t["rater"].map(lambda j: f"张{j}"))
    rating = rate(frame)
    for result in (rating, *rating.parts.values()):
        assert not result.table.astype("str").apply(lambda column: column.str.contains("张")).any(axis=None)
    assert rating.severity.table["severity"].notna().all()
    hidden = dj.protect(rating).part("severity").table
    assert hidden[["n", "severity", "se", "low", "high"]].isna().all(axis=None)
    assert set(hidden["reason"]) == {reasons.SMALL_GROUP}
    assert dj.protect(rating).table["adjusted"].notna().all()


def test_units_with_few_raters_are_hidden_with_everything_about_them():
    frame = crossed(4, 12, np.random.default_rng(3))
    frame = frame[(frame["unit"] != "U02") | frame["rater"].isin([f"J{j:02}" for j in range(4)])]
    own = sheets([(f"U{i:02}", "own", 88, "self") for i in range(4)])
    rating = rate(pd.concat([frame, own]))
    safe = dj.protect(rating)
    row = safe.table.set_index("unit").loc["U02"]
    assert row.drop(["period", "level", "reason", "se_source", "tied_with"]).isna().all()
    assert row["tied_with"] == ""
    assert row["reason"] == reasons.SMALL_GROUP
    wins = safe.part("wins").table
    told = wins["probability"].notna()
    assert told.sum() == 3
    assert not wins.loc[told, ["unit", "other"]].isin(["U02"]).any(axis=None)
    own = safe.part("self").table.set_index("unit")
    assert own.loc["U02", ["self", "inspection", "difference"]].isna().all()
    # The chance to be first is that among the units shown: it says nothing about the hidden one.
    assert safe.table["p_first"].sum() == pytest.approx(1)
    assert np.isnan(rating.table.set_index("unit").loc["U02", "p_first"])


def test_nine_people_asked_are_too_few_to_show_anything_and_ten_are_enough():
    """群众评议 and 述职评议: min_group holds, whatever the office declares it to be, and 5 is the least it may be."""
    safe = dj.protect(rate(crossed(6, 9, np.random.default_rng(5))))
    assert safe.table["score"].isna().all()
    assert safe.part("agreement").table["estimate"].isna().all()
    assert dj.protect(rate(crossed(6, 10, np.random.default_rng(5)))).table["score"].notna().all()
    five = Specification(min_group=5)
    assert dj.protect(rate(crossed(6, 5, np.random.default_rng(5)), spec=five)).table["score"].notna().all()
    assert dj.protect(rate(crossed(6, 4, np.random.default_rng(5)), spec=five)).table["score"].isna().all()


def test_an_inspection_team_of_two_is_shown_but_not_how_strict_each_of_them_is():
    rating = rate(crossed(6, 2, np.random.default_rng(5)), officials=True)
    safe = dj.protect(rating)
    assert safe.table["score"].notna().all()
    assert safe.table["p_first"].sum() == pytest.approx(1)
    assert safe.part("severity").table["severity"].isna().all()


# How often claims hold.


def test_intervals_of_the_coefficients_hold_the_truth():
    rng, draws = np.random.default_rng(11), trials(1000)
    truth = np.array([25 / 45, 25 / 45, 25 / 41])  # of a single judge: ICC(1,1), ICC(2,1), ICC(3,1)
    hits = np.zeros(3)
    for _ in range(draws):
        target, error = rng.normal(0, 5, (20, 1)), rng.normal(0, 4, (20, 6))
        common = icc(target + rng.normal(0, 2, (1, 6)) + error)[["low", "high"]].to_numpy()
        own = icc(target + rng.normal(0, 2, (20, 6)) + error)[["low", "high"]].to_numpy()
        ends = np.array([own[0], common[1], common[2]])
        hits += (ends[:, 0] <= truth) & (truth <= ends[:, 1])
    low, high = expected(0.95, draws)
    assert ((low <= hits / draws) & (hits / draws <= high)).all(), hits


def test_components_of_incomplete_designs_are_unbiased_for_what_was_planted():
    rng, found = np.random.default_rng(12), []
    for _ in range(trials(300)):
        x = rng.normal(0, 5, (40, 1)) + rng.normal(0, 3, (1, 15)) + rng.normal(0, 4, (40, 15))
        found.append(icc(holed(rng, x, 0.6)).set_index("coefficient")["estimate"])
    mean, error = np.mean(found, axis=0), np.std(found, axis=0) / np.sqrt(len(found))
    # A ratio of unbiased components is not exactly unbiased: .015 is the size of that in designs like this one.
    assert abs(mean[1] - 25 / 50) < 0.015 + 3 * error[1]
    assert abs(mean[2] - 25 / 41) < 0.015 + 3 * error[2]


@pytest.mark.parametrize("spread", [0.0, 8.0])
def test_adjusted_scores_and_wins_keep_their_promises(spread):
    """With lenient and strict judges planted, and with none: intervals hold, and equal units are declared apart at 5 %."""
    rng, draws = np.random.default_rng(13), trials(1000)
    held, apart, errors = 0, 0, np.zeros(2)
    truth = np.array([50.0, 50, 55, 60, 45, 48, 52])
    for _ in range(draws):
        strict = rng.normal(0, 1, 6) * spread
        strict -= strict.mean()
        found = severity(holed(rng, truth[:, None] - strict + rng.normal(0, 4, (7, 6)), 0.5))
        low, high = found.interval()
        held += low[2] <= truth[2] <= high[2]
        apart += win_probability(found)[0][0, 1] > 0.95
        errors += [((found.mean - truth) ** 2).mean(), ((found.adjusted - truth) ** 2).mean()]
    assert expected(0.95, draws)[0] <= held / draws <= expected(0.95, draws)[1]
    assert expected(0.05, draws)[0] <= apart / draws <= expected(0.05, draws)[1]
    # Planted: adjusting halves the squared error (.46). Nothing planted: it costs a little (1.13).
    ratio = errors[1] / errors[0]
    assert ratio < 0.55 if spread else 1 < ratio < 1.25


def test_the_test_of_concordance_is_no_more_often_wrong_than_it_says():
    rng, draws = np.random.default_rng(14), trials(1000)
    alarms = np.mean([kendall_w(rng.normal(size=(8, 12)))["p"].iloc[0] < 0.05 for _ in range(draws)])
    assert alarms <= expected(0.05, draws)[1]
    agreed = np.mean(
        [kendall_w(rng.normal(size=(8, 12)) + rng.normal(size=(8, 1)))["p"].iloc[0] < 0.05 for _ in range(trials(200))]
    )
    assert agreed > 0.95


def test_limits_of_agreement_hold_the_truth_in_small_samples_and_no_bias_is_found_where_there_is_none():
    rng, draws = np.random.default_rng(15), trials(1000)
    truth = np.array([0, -5 * stats.norm.ppf(0.975), 5 * stats.norm.ppf(0.975)])
    hits, alarms = np.zeros(3), 0
    for _ in range(draws):
        table = bland_altman(rng.normal(0, 5, 8))
        hits += ((table["low"] <= truth) & (truth <= table["high"])).to_numpy()
        alarms += table["p"].iloc[0] < 0.05
    low, high = expected(0.95, draws)
    assert ((low <= hits / draws) & (hits / draws <= high)).all(), hits
    assert expected(0.05, draws)[0] <= alarms / draws <= expected(0.05, draws)[1]
    assert alarms == draws - hits[0]  # the test of the bias and its interval are one statement


def test_rating_warns_of_nothing_when_sheets_are_whole():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert len(rate(crossed(3, 3, np.random.default_rng(0)))) == 3


# From a workspace.


def ratings_table() -> pd.DataFrame:
    """Three judges and a self-assessment of four branches on two items."""
    rng = np.random.default_rng(4)
    units = ["B11", "B12", "B21", "B22"]
    rows = [
        (f"R{r}", "督导组", unit, "2026H1", item, round(70 + 5 * u + 3 * r + rng.normal(), 1))
        for r in range(3) for u, unit in enumerate(units) for item in ("K1", "K2")
    ]  # fmt: skip
    rows += [("S", "自评", unit, "2026H1", item, 90.0) for unit in units for item in ("K1", "K2")]
    return pd.DataFrame(rows, columns=["rater", "role", "unit", "period", "code", "value"])


def test_score_sheets_of_a_workspace(tmp_path):
    folder, given = office(tmp_path / "office", people()), ratings_table()
    given.to_csv(folder / "ratings.csv", index=False)
    ws = dj.open_workspace(folder)
    found = dj.rate(ws.ratings())
    plain = given.rename(columns={"value": "score"}).assign(
        kind=np.where(given["role"] == "自评", "self", "inspection")
    )
    expected = rate(plain.drop(columns="role"), spec=ws.spec)
    pd.testing.assert_frame_equal(found.table, expected.table)
    assert found.table["level"].unique().tolist() == [ws.units["B11"].level]
    assert (found.table["n"] == 3).all()
    assert len(ws.ratings("2026H1").table) == len(given)
    assert "R0" not in found.parts["severity"].table.to_string(), "judges are numbered"
    with pytest.raises(UsageError, match="2026H1"):
        ws.ratings("2026Q1")


def test_everything_wrong_with_score_sheets_is_told_at_once(tmp_path):
    folder, given = office(tmp_path / "office", people()), ratings_table().astype({"value": "str"})
    given.loc[1, "value"], given.loc[2, "rater"], given.loc[3, "period"] = "优秀", "", "2026X"
    given.to_csv(folder / "ratings.csv", index=False)
    told = dj.open_workspace(folder).check().table
    assert {"text_in_number", "missing_value", "bad_period"} <= set(
        told.loc[told["place"].str.startswith("ratings"), "rule"]
    )
    with pytest.raises(DataError, match="ratings"):
        dj.open_workspace(folder).ratings()


def test_a_workspace_without_score_sheets_says_so(tmp_path):
    with pytest.raises(UsageError, match="no table ratings"):
        dj.open_workspace(office(tmp_path / "office", people())).ratings()
