"""Weights to margins and to the headcount: by hand, what may not matter, and what they mend and do not mend.

Tolerances: numbers worked out by hand to 1e-9. A mean over replications holds when the truth lies within 2.576 of its own
standard errors (99 %); seeds are fixed.
"""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from small import DIRECT, codebook_of, plain_table, wave

import dj_analysis as dj
from dj_analysis.errors import DataError, UsageError
from dj_analysis.measure.inference import uncertainty
from dj_analysis.measure.inference.nonresponse import RAKED, nonresponse_bound, weigh_to_headcount
from dj_analysis.measure.inference.raking import design_effect, fit_capped, rake, trimmed
from dj_analysis.measure.survey import Survey
from dj_analysis.spec import reasons
from dj_analysis.spec.units import Unit, Units

EXACT = 1e-9
REPLICATIONS = 1000


def rules(error: pytest.ExceptionInfo[DataError]) -> set[str]:
    return set(error.value.problems.table["rule"])


# A table.


def test_its_own_margins_give_equal_weights():
    counts = np.random.default_rng(0).integers(1, 40, (3, 4, 2))
    margins = {0: counts.sum((1, 2)), 1: counts.sum((0, 2)), (1, 2): counts.sum(0)}
    np.testing.assert_allclose(rake(counts, margins), 1, atol=EXACT)
    tripled = {axes: 3 * margin for axes, margin in margins.items()}
    np.testing.assert_allclose(rake(counts, tripled), 3, atol=EXACT)


def test_weights_meet_every_margin_and_keep_the_odds_ratios():
    rng = np.random.default_rng(1)
    counts, wanted = rng.integers(1, 60, (3, 4, 5)), rng.integers(50, 90, (3, 4, 5))
    margins = {0: wanted.sum((1, 2)), 1: wanted.sum((0, 2)), 2: wanted.sum((0, 1))}
    fitted = rake(counts, margins, trim=math.inf) * counts
    for axis, margin in margins.items():
        others = tuple({0, 1, 2} - {axis})
        np.testing.assert_allclose(fitted.sum(others), margin, rtol=1e-8)
    for table in (counts, fitted):
        ratio = table[0, 0] * table[1, 1] / (table[0, 1] * table[1, 0])
        np.testing.assert_allclose(ratio, counts[0, 0] * counts[1, 1] / (counts[0, 1] * counts[1, 0]), rtol=1e-8)


def test_one_margin_is_post_stratification():
    assert rake([10, 30], {0: [50, 50]}).tolist() == [5, 50 / 30]


def test_scale_and_order_do_not_matter():
    counts, rows, columns = np.array([[5, 9], [20, 3], [7, 7]]), [40, 30, 30], [60, 40]
    weights = rake(counts, {0: rows, 1: columns})
    np.testing.assert_allclose(rake(counts * 10, {0: rows, 1: columns}) * 10, weights, rtol=1e-8)
    np.testing.assert_allclose(rake(counts, {1: columns, 0: rows}), weights, rtol=1e-8)
    np.testing.assert_allclose(rake(counts[::-1], {0: rows[::-1], 1: columns})[::-1], weights, rtol=1e-8)


def test_a_cell_of_nobody_has_no_weight():
    weights = rake([[4, 0], [3, 5]], {0: [10, 12], 1: [12, 10]})
    assert np.isnan(weights[0, 1])
    np.testing.assert_allclose(np.nansum(weights * [[4, 0], [3, 5]], axis=0), [12, 10], rtol=1e-8)


def test_what_cannot_be_met_is_told_all_at_once():
    with pytest.raises(DataError) as error:
        rake([[4, 0], [3, 0], [5, 0]], {0: [10, -2, 0], 1: [12, 5]})
    assert rules(error) == {"margin", "nobody_there", "nobody_answered", "totals_differ"}
    text = str(error.value)
    assert "边际/margin 1: 1 [nobody_answered]: 5 人,无人填答" in text
    assert "边际/margin 0: 1 [margin]: -2" in text
    assert "边际/margin 0: 2 [nobody_there]: 0 人,5 份答卷" in text
    assert "0 8, 1 17" in text


def test_a_margin_of_the_wrong_shape_and_counts_below_zero():
    with pytest.raises(DataError, match=r"margin_shape\]: \(3,\); 应为/allowed: \(2,\)"):
        rake([[1, 2], [3, 4]], {0: [3, 3, 4]})
    with pytest.raises(DataError, match="margin_shape"):
        rake([[1, 2], [3, 4]], {(1, 0): [[3, 3], [2, 2]]})
    for counts in ([[1, -2], [3, 4]], [[0, 0], [0, 0]], [[1, np.nan], [3, 4]]):
        with pytest.raises(DataError, match=r"\[counts\]"):
            rake(counts, {0: [5, 5]})


def test_margins_that_empty_cells_contradict_do_not_go_on_for_ever():
    with pytest.raises(DataError, match="no_convergence") as error:
        rake([[1, 0], [0, 1]], {0: [3, 2], 1: [2, 3]}, rounds=50)
    assert "合并类别" in str(error.value)


# Trimming.


def test_what_is_cut_is_spread_over_the_others():
    # Median 1, cap 5; of 24 the others keep 24 − 5 = 19, each 4.75.
    assert trimmed([1, 1, 20, 1, 1]).tolist() == [4.75, 4.75, 5, 4.75, 4.75]
    assert trimmed([1, 20], counts=[4, 1]).tolist() == [4.75, 5]
    assert trimmed([1, 1, 20, 1, 1], trim=math.inf).tolist() == [1, 1, 20, 1, 1]


def test_no_uncut_weight_passes_a_cut_one():
    # Median 1, cap 5. 4.9 became 14.8 (4.9·44.9/14.9) while 20 became 5; now it is cut too, and ten share 54.9 − 15.
    cut = trimmed([1.0] * 10 + [4.9] + [20.0] * 2)
    np.testing.assert_allclose(cut, [3.99] * 10 + [5.0] * 3)
    assert trimmed([1.0, 1, 1, 20, 20]).tolist() == [8.6] * 5  # five at the cut do not make up 43


@pytest.mark.parametrize("seed", range(20))
def test_the_order_of_weights_stays(seed: int):
    random = np.random.default_rng(seed)
    weights, counts = random.lognormal(0, 1.8, 60), random.integers(1, 9, 60)
    cut = trimmed(weights, counts)
    assert (np.diff(cut[np.argsort(weights)]) >= -EXACT * cut.max()).all()
    assert (cut * counts).sum() == pytest.approx((weights * counts).sum(), rel=EXACT)
    assert cut.max() <= 5 * np.median(np.repeat(cut, counts)) * (1 + EXACT)


#: 300 and 420 of whom all answered, 280 of whom 14 did: weights 1, 1, 20.
STRATA, SIZES = np.array([300.0, 420.0, 14.0]), np.array([300.0, 420.0, 280.0])


def test_a_cut_stratum_leaves_the_others_in_proportion():
    # The stratum of 300 became 388 and the one of 280 70; cut at 5 it is 70 of 790, the others stay 300 to 420.
    weights = rake(STRATA, {0: SIZES})
    reached = weights * STRATA
    np.testing.assert_allclose(reached, np.array([300, 420, 70]) * 1000 / 790)
    assert weights.max() == pytest.approx(5 * weights.min())
    np.testing.assert_allclose(rake(STRATA, {0: SIZES}, trim=math.inf) * STRATA, SIZES)


def test_what_is_cut_is_made_up_within_its_category_where_others_can():
    # Row 1 holds one heavy cell (weight 12.6) and a light one that may take over: both margins of rows hold in spite of the cut.
    counts, rows = np.array([[90, 90], [80, 2]]), np.array([180, 100])
    base = np.repeat([1.0, 1.0, 0.6, 26.0], counts.ravel())
    cells = np.repeat(np.arange(4), counts.ravel())
    made = fit_capped(base, cells, (2, 2), {(0,): rows.astype(float)}, trim=5)
    assert made.max() == pytest.approx(5)
    reached = np.bincount(cells, made).reshape(2, 2)
    np.testing.assert_allclose(reached.sum(axis=1), rows, rtol=1e-8)
    assert reached[1].tolist() == pytest.approx([90, 10])


def test_trimming_keeps_the_sum_and_the_bound():
    weights = np.random.default_rng(2).lognormal(0, 1.6, 999)
    cut = trimmed(weights)
    assert weights.max() > 5 * np.median(weights)
    assert cut.sum() == pytest.approx(weights.sum(), rel=EXACT)
    assert cut.max() <= 5 * np.median(cut) * (1 + EXACT)
    assert (np.diff(cut[np.argsort(weights)]) >= 0).all()
    np.testing.assert_allclose(trimmed(7 * weights), 7 * cut, rtol=EXACT)
    assert design_effect(cut).deff < design_effect(weights).deff


def test_weights_of_nobody_stay_nothing():
    found = trimmed([0, 0, 0, 1, 1, 30, np.nan])
    assert found[:3].tolist() == [0, 0, 0]
    assert np.isnan(found[6])
    assert np.nansum(found) == pytest.approx(32, abs=EXACT)


def test_a_trim_of_one_median_makes_no_sense():
    with pytest.raises(UsageError, match="trim = 1"):
        trimmed([1, 2], trim=1)


# What unequal weights cost.


def test_equal_weights_cost_nothing_and_scale_freely():
    assert design_effect([3, 3, 3, 3]).deff == 1
    weights = np.random.default_rng(3).uniform(1, 9, 50)
    one, ten = design_effect(weights), design_effect(10 * weights)
    assert (one.deff, one.n_eff) == pytest.approx((ten.deff, ten.n_eff))


@pytest.mark.parametrize("weights", [[1, -1, 3], [1, np.nan], [0, 0], []])
def test_weights_that_are_none(weights):
    with pytest.raises(DataError, match=r"\[weights\]"):
        design_effect(weights)


# A wave.

UNITS = Units(
    (
        Unit("C1", level="city"), Unit("C2", level="city"),
        Unit("B1", "C1", "branch"), Unit("B2", "C1", "branch"), Unit("B3", "C2", "branch"), Unit("B4", "ALL", "branch"),
    )
)  # fmt: skip
GROUPED = codebook_of(plain_table(("INDEX", ""), ("D1", "INDEX"), ("q1", "D1", 1, 1.0, 0, 100)), group="age")


def people(rows, headcounts, codebook=GROUPED) -> Survey:
    """A wave of (unit, age, score) and headcounts of (unit, group, category) → people."""
    frame = pd.DataFrame(rows, columns=["unit", "age", "q1"]).astype({"q1": "float64"})
    survey = dj.read_survey(frame, codebook, units=UNITS, period="2026Q3")
    table = pd.DataFrame(
        [(unit, "2026Q3", group, category, float(n)) for (unit, group, category), n in headcounts.items()],
        columns=["unit", "period", "group", "category", "headcount"],
    )
    return replace(survey, spec=replace(survey.spec, headcounts=table))


ROWS = [
    ("B1", "young", 40), ("B1", "old", 60), ("B1", "old", 80), ("B2", "young", 20), ("B3", "old", 90), ("B3", "young", 50),
]  # fmt: skip
HEADS = {
    ("B1", "", ""): 6,
    ("B2", "", ""): 8,
    ("B3", "", ""): 4,
    ("B4", "", ""): 0,
    ("C1", "", ""): 14,
    ("C2", "", ""): 4,
    ("ALL", "", ""): 18,
}
AGES = {("ALL", "age", "young"): 9, ("ALL", "age", "old"): 9}


def weights_of(survey: Survey) -> np.ndarray:
    return survey.frame[survey.weight].to_numpy()


def test_units_count_as_much_as_they_have_people():
    weighed = weigh_to_headcount(people(ROWS, HEADS), "branch", trim=math.inf)
    assert weighed.weight == RAKED
    assert weights_of(weighed).tolist() == [2, 2, 2, 8, 2, 2]
    # (2·180 + 8·20 + 2·140)/18; within a branch nothing changes.
    scores = dj.score(weighed, by=["branch"])
    assert scores.at("ALL", "q1")["score"] == pytest.approx(800 / 18, abs=EXACT)
    assert scores.at("B1", "q1")["score"] == pytest.approx(60, abs=EXACT)
    assert scores.at("ALL", "q1")["n"] == 6
    assert dj.score(people(ROWS, HEADS)).at("ALL", "q1")["score"] == pytest.approx(340 / 6, abs=EXACT)


def test_a_higher_level_holds_the_branches_below_it():
    weighed = weigh_to_headcount(people(ROWS, HEADS), ["city"])
    assert weights_of(weighed).tolist() == [3.5, 3.5, 3.5, 3.5, 2, 2]


def test_a_group_has_its_headcount_from_the_whole_company():
    weighed = weigh_to_headcount(people(ROWS, HEADS | AGES), "age")
    assert weights_of(weighed).tolist() == [3, 3, 3, 3, 3, 3]
    more = {("ALL", "age", "young"): 12, ("ALL", "age", "old"): 6}
    assert weights_of(weigh_to_headcount(people(ROWS, HEADS | more), "age")).tolist() == [4, 2, 2, 4, 2, 4]


def test_two_margins_meet_both():
    survey = people(ROWS * 3, HEADS | {("ALL", "age", "young"): 12, ("ALL", "age", "old"): 6})
    weighed = weigh_to_headcount(survey, ["branch", "age"], trim=math.inf)
    made = weighed.frame.to_pandas() if hasattr(weighed.frame, "to_pandas") else weighed.frame
    assert made.groupby("unit")[RAKED].sum().to_dict() == pytest.approx({"B1": 6, "B2": 8, "B3": 4})
    assert made.groupby("age")[RAKED].sum().to_dict() == pytest.approx({"young": 12, "old": 6})


def test_a_joint_margin_takes_the_group_within_the_unit():
    joint = {
        ("B1", "age", "young"): 4, ("B1", "age", "old"): 2, ("B2", "age", "young"): 8, ("B3", "age", "young"): 1,
        ("B3", "age", "old"): 3,
    }  # fmt: skip
    expected = [4, 1, 1, 8, 3, 1]  # nobody old in B2, and none is listed
    for by in ([("branch", "age")], [("age", "branch")], ["branch", ("branch", "age")], ["age", ("age", "branch")]):
        extra = {("ALL", "age", "young"): 13, ("ALL", "age", "old"): 5}
        weighed = weigh_to_headcount(people(ROWS, HEADS | joint | extra), by, trim=math.inf)
        np.testing.assert_allclose(weights_of(weighed), expected, rtol=1e-8)


def test_who_did_not_tell_keeps_their_share():
    rows = [*ROWS, ("", "old", 10), ("B1", "", 30)]
    weighed = weigh_to_headcount(people(rows, HEADS), "branch", trim=math.inf)
    # One of eight did not tell: 18/8; the others share 7/8 of the headcount.
    np.testing.assert_allclose(
        weights_of(weighed), [*[6 * 7 / 8 / 4] * 3, 7, 1.75, 1.75, 2.25, 6 * 7 / 8 / 4], rtol=1e-8
    )
    by_age = weigh_to_headcount(people(rows, HEADS | AGES), "age")
    assert weights_of(by_age)[7] == pytest.approx(18 / 8, abs=EXACT)
    assert weights_of(by_age).sum() == pytest.approx(18, abs=EXACT)


def test_people_of_no_unit_below_the_level_are_those_the_others_leave():
    heads = HEADS | {("B4", "", ""): 7, ("ALL", "", ""): 25}
    rows = [*ROWS, ("B4", "old", 10), ("B4", "old", 30)]
    assert weights_of(weigh_to_headcount(people(rows, heads), "city")) == pytest.approx([3.5] * 4 + [2, 2, 3.5, 3.5])
    with pytest.raises(DataError, match=r"其余/others \[nobody_answered\]: 7 人"):
        weigh_to_headcount(people(ROWS, heads), "city")


def test_weights_the_wave_already_has_are_where_raking_starts():
    survey = people(ROWS, HEADS)
    base = [1.0, 3.0, 2.0, 5.0, 1.0, 1.0]
    weighed = weigh_to_headcount(replace(survey, frame=with_column(survey.frame, "w", base), weight="w"), "branch")
    np.testing.assert_allclose(weights_of(weighed), [1, 3, 2, 8, 2, 2], rtol=1e-8)
    again = weigh_to_headcount(weighed, "branch")
    np.testing.assert_allclose(weights_of(again), weights_of(weighed), rtol=1e-8)
    lost = replace(survey, frame=with_column(survey.frame, "w", [1.0, -1.0, 1, 1, 1, 1]), weight="w")
    with pytest.raises(DataError, match=r"w \[weights\]: -1–1"):
        weigh_to_headcount(lost, "branch")


def with_column(frame, name: str, values):
    return frame.assign(**{name: values}) if isinstance(frame, pd.DataFrame) else frame.with_columns(
        pl.Series(name, values)
    )  # fmt: skip


def test_the_notice_says_what_weighing_cost_and_what_was_cut():
    plain = weigh_to_headcount(people(ROWS, HEADS), "branch", trim=math.inf).notices[-1]
    # 5·2² + 8² = 84; 6·84/18² = 1.56; 6/1.56 = 3.9.
    assert "n = 6, deff = 1.56, n_eff = 4" in plain
    assert "近似" not in plain
    cut = weigh_to_headcount(people(ROWS, HEADS), "branch", trim=3)
    # 8 cut to 3·2 = 6 of 16, the others stay 6 and 4; all together 18 as before.
    np.testing.assert_allclose(weights_of(cut), np.array([2, 2, 2, 6, 2, 2]) * 18 / 16)
    assert "1 份权重截至中位数的 3 倍" in cut.notices[-1]
    assert "branch 偏差最大的是 B2:占 37.5%,应为 44.4%" in cut.notices[-1]
    assert "branch: farthest off is B2, 37.5% for 44.4%" in cut.notices[-1]


def test_headcounts_that_are_missing_or_contradict_are_told_together():
    survey = people(ROWS, {("B1", "", ""): 6, ("B3", "", ""): 4, ("ALL", "", ""): 18, ("ALL", "age", "young"): 7})
    with pytest.raises(DataError) as error:
        weigh_to_headcount(survey, ["branch", "age"])
    found = error.value.problems.table
    assert set(found["rule"]) == {"headcount"}
    assert [place.split(": ")[1] for place in found["place"]] == ["B2", "B4", "ALL × old"]
    older = people(ROWS, HEADS | {("ALL", "age", "young"): 10, ("ALL", "age", "old"): 10})
    with pytest.raises(DataError, match=r"totals_differ\]: branch 18, age 20"):
        weigh_to_headcount(older, ["branch", "age"])


def test_a_branch_where_nobody_answered_is_named():
    heads = HEADS | {("B4", "", ""): 5, ("ALL", "", ""): 23}
    with pytest.raises(DataError, match=r"边际/margin branch: B4 \[nobody_answered\]: 5 人"):
        weigh_to_headcount(people(ROWS, heads), "branch")


@pytest.mark.parametrize(
    ("by", "message"), [("brunch", "branch"), ([], "by 为空"), ([("branch", "city")], "联合边际"), ("", "层级或分组")]
)
def test_what_it_is_weighed_by_must_exist(by, message):
    with pytest.raises(UsageError, match=message):
        weigh_to_headcount(people(ROWS, HEADS), by)


def test_every_engine_gives_the_same_weights():
    survey = people(ROWS, HEADS | AGES)
    frame = pd.DataFrame(ROWS, columns=["unit", "age", "q1"])
    arrow = pa.Table.from_pandas(frame, preserve_index=False)
    frames = [frame, frame.set_axis([7, 3, 9, 1, 5, 8]), pl.from_pandas(frame), pl.from_pandas(frame).lazy(), arrow]
    plain = weigh_to_headcount(survey, ["city", "age"])
    score = dj.score(plain).at("ALL", "q1")["score"]
    for other in frames:
        weighed = weigh_to_headcount(replace(survey, frame=other), ["city", "age"])
        assert np.asarray(weighed.frame[RAKED]).tolist() == weights_of(plain).tolist()
        assert dj.score(weighed).at("ALL", "q1")["score"] == score


def test_the_order_of_the_rows_does_not_matter():
    order = [4, 2, 0, 5, 1, 3]
    heads = HEADS | {("ALL", "age", "young"): 12, ("ALL", "age", "old"): 6}
    plain = weights_of(weigh_to_headcount(people(ROWS, heads), ["city", "age"]))
    turned = weights_of(weigh_to_headcount(people([ROWS[i] for i in order], heads), ["city", "age"]))
    np.testing.assert_allclose(turned, plain[order], rtol=1e-8)


def test_a_company_is_weighed_to_every_headcount_it_has():
    company = dj.make_company(employees=2000, branches=20, quarters=1, seed=4)
    weighed = weigh_to_headcount(company.survey("2026Q3"), ["branch", "position", "age_band", "line"], trim=math.inf)
    made, books = weighed.frame.to_pandas(), company.spec.headcounts
    for column, group in (("unit", ""), ("age_band", "age_band"), ("position", "position")):
        rows = books[books["group"] == group].set_index("unit" if column == "unit" else "category")["headcount"]
        sums = made.groupby(column)[RAKED].sum()
        np.testing.assert_allclose(sums, rows.reindex(sums.index), rtol=1e-6)


# What it mends.


def simulated(rate, rng: np.random.Generator, within: float = 0.0) -> tuple[np.ndarray, np.ndarray, float]:
    """Answers of four strata (2 × 2), some of which answer more often; estimates without and with raking.

    ``within`` is how much less often people below their stratum's mean answer.
    """
    size, mean = np.array([[300, 100], [200, 400]]), np.array([[75.0, 65.0], [55.0, 45.0]])
    rows, columns, truth = size.sum(1), size.sum(0), float((size * mean).sum() / size.sum())
    plain, raked = np.empty(REPLICATIONS), np.empty(REPLICATIONS)
    where = np.repeat(np.arange(4), size.ravel())
    noise = rng.standard_normal((REPLICATIONS, where.size)).astype(np.float32)
    answer = rng.random((REPLICATIONS, where.size), dtype=np.float32) < np.asarray(rate).ravel()[where] - within * (
        noise < 0
    )
    for i in range(REPLICATIONS):
        at, score = where[answer[i]], (mean.ravel()[where] + 15 * noise[i])[answer[i]]
        counts = np.bincount(at, minlength=4).reshape(2, 2)
        weights = rake(counts, {0: rows, 1: columns}).ravel()[at]
        plain[i], raked[i] = score.mean(), np.average(score, weights=weights)
    return plain, raked, truth


def off_by_standard_errors(estimates: np.ndarray, truth: float) -> float:
    return float((estimates.mean() - truth) / (estimates.std(ddof=1) / np.sqrt(len(estimates))))


def test_raking_mends_who_answered_by_the_columns_it_is_done_by():
    # Answering depends on row and column as the margins do; the scores differ by row and column.
    plain, raked, truth = simulated([[0.8, 0.6], [0.4, 0.3]], np.random.default_rng(20))
    assert abs(off_by_standard_errors(plain, truth)) > 50
    assert plain.mean() - truth > 4
    assert abs(off_by_standard_errors(raked, truth)) < 2.576


def test_raking_does_no_harm_where_everybody_answers_alike():
    plain, raked, truth = simulated([[0.6, 0.6], [0.6, 0.6]], np.random.default_rng(21))
    assert abs(off_by_standard_errors(plain, truth)) < 2.576
    assert abs(off_by_standard_errors(raked, truth)) < 2.576
    assert raked.std() < plain.std()  # the strata differ: their make-up is no chance any more


def test_raking_cannot_mend_silence_of_the_discontent_within_a_stratum():
    # Of those below their stratum's mean .4 answer, of the others .7: expected +.3/(2·.55)·15·√(2/π) = 3.264.
    _, raked, truth = simulated(np.full((2, 2), 0.7), np.random.default_rng(22), within=0.3)
    bias = 0.3 / 1.1 * 15 * math.sqrt(2 / math.pi)
    assert abs(off_by_standard_errors(raked, truth + bias)) < 2.576
    assert raked.mean() - truth > 3


def test_intervals_of_raked_means_hold_the_truth_as_often_as_they_say():
    # Strata of equal means: nothing that raking could gain; the interval is the linearised one of uncertainty.means.
    rng, hits = np.random.default_rng(23), 0
    rate, size = np.array([0.8, 0.5, 0.35, 0.2]), np.array([60, 60, 60, 60])
    for _ in range(REPLICATIONS):
        n = rng.binomial(size, rate)
        at = np.repeat(np.arange(4), n)
        x = 60 + 12 * rng.standard_normal(at.size)
        w = rake(n, {0: size})[at]
        sums = {"n": x.size, "w": w.sum(), "ww": (w**2).sum(), "wx": (w * x).sum(), "wxx": (w * x**2).sum()}
        sums |= {"wwx": (w**2 * x).sum(), "wwxx": (w**2 * x**2).sum()}
        found = uncertainty.means({name: np.array([float(value)]) for name, value in sums.items()})
        hits += bool(found.low[0] <= 60 <= found.high[0])
    assert abs(hits / REPLICATIONS - 0.95) <= 2.576 * math.sqrt(0.95 * 0.05 / REPLICATIONS)


# What it cannot mend.


def test_a_pessimistic_bound_by_hand():
    # 8 of 10 answered: 70 − .2·10; 3 of 12: 6·.25 + 0·.75, for nobody scores below 0.
    units = Units((Unit("A", level="branch"), Unit("B", level="branch")))
    survey = wave({"A": [60, 80] * 4, "B": [0, 6, 12]}, units=units, headcounts={"A": 10, "B": 12, "ALL": 22})
    found = nonresponse_bound(dj.score(survey, by=["branch"]))
    row = found.table.set_index(["unit", "code"])
    assert row.loc[("A", "q1"), ["n", "rate", "score", "bound", "reason"]].tolist() == [8, 0.8, 70, 68, ""]
    assert row.loc[("B", "q1"), ["n", "rate", "score", "bound"]].tolist() == [3, 0.25, 6, 1.5]
    assert list(found.table.columns) == [
        "period", "level", "unit", "form", "code", "n", "rate", "score", "bound", "reason",
    ]  # fmt: skip
    wider = nonresponse_bound(dj.score(survey, by=["branch"]), gap=30).table.set_index(["unit", "code"])
    assert wider.loc[("A", "q1"), "bound"] == 64
    assert (
        nonresponse_bound(dj.score(survey), gap=0).table["bound"].tolist() == dj.score(survey).table["score"].tolist()
    )


def test_a_bound_needs_a_headcount_that_holds():
    units = Units(tuple(Unit(name, level="branch") for name in ("A", "B", "C")))
    survey = wave({"A": [60, 80], "B": [50, 40]}, units=units, headcounts={"A": 1, "C": 5})
    table = nonresponse_bound(dj.score(survey, by=["branch"])).table.set_index(["unit", "code"])
    assert table["bound"].isna().all()
    reason = {unit: table.loc[(unit, "q1"), "reason"] for unit in ("A", "B", "C")}
    assert reason == {"A": reasons.MORE_THAN_HEADCOUNT, "B": reasons.NO_HEADCOUNT, "C": reasons.NO_ANSWERS}


def test_a_bound_is_hidden_with_its_unit():
    units = Units((Unit("A", level="branch"), Unit("B", level="branch"), Unit("C", level="branch")))
    answers = {"A": [50, 60] * 10, "B": [70, 20, 30], "C": [40, 45] * 8}
    scores = dj.score(wave(answers, units=units, headcounts={"A": 30, "B": 5, "C": 20, "ALL": 55}), by=["branch"])
    found = nonresponse_bound(scores)
    assert found.withheld == scores.withheld
    shown = dj.protect(found).table.set_index(["unit", "code"])
    hidden = shown.loc[[("B", "q1"), ("C", "q1")]]  # the next smallest with it
    assert hidden[["n", "rate", "score", "bound"]].isna().all(axis=None)
    assert shown.loc[("A", "q1"), "bound"] == pytest.approx(55 - 10 / 3, abs=EXACT)


@pytest.mark.parametrize("gap", [-1, 101, float("nan")])
def test_a_gap_is_in_points(gap):
    with pytest.raises(UsageError, match="0–100"):
        nonresponse_bound(dj.score(wave({"A": [1, 2]})), gap=gap)


def test_a_scored_wave_without_any_headcount_has_no_bound():
    frame = pd.DataFrame({"unit": ["A"] * 12, "q1": np.arange(12.0)})
    found = nonresponse_bound(dj.score(dj.read_survey(frame, DIRECT[1]), by=["unit"]))
    assert (found.table["reason"] == reasons.NO_HEADCOUNT).all()
    assert found.table["bound"].isna().all()
