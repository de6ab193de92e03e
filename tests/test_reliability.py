"""Reliability: coefficients worked out by hand, sums against rows, properties, and the rates that are claimed.

Tolerances: numbers worked out here to 1e-12; sums against the same thing computed from rows with pandas to 1e-10; whole-number
sums bit by bit. A simulated rate is accepted inside the 99 % binomial interval of its replications.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import polars as pl
import pytest
from scipy import stats
from small import codebook_of, plain_table
from test_engines import ENGINES
from trials import trials

import dj_analysis as dj
from dj_analysis.errors import DataError, UsageError
from dj_analysis.measure.scales import item_statistics as rel
from dj_analysis.measure.scales.item_answers import read_answers
from dj_analysis.measure.scales.moments import moments_of
from dj_analysis.measure.scales.reliability import NO_ITEM_VARIANCE, ONE_ITEM, TWO_ITEMS, reliability
from dj_analysis.measure.scores import Scores
from dj_analysis.measure.survey import Indicators, Survey
from dj_analysis.result import Result
from dj_analysis.spec import reasons
from dj_analysis.spec.specification import Specification
from dj_analysis.spec.tree import Indicator, Node, Tree
from dj_analysis.spec.units import Unit, Units

EXACT = 1e-12
DIRECT = 1e-10
ITEMS = ["a1", "a2", "a3", "b1", "b2", "c1"]
BOOK = plain_table(
    ("INDEX", ""),
    ("A", "INDEX"),
    ("B", "INDEX"),
    ("C", "INDEX"),
    ("a1", "A", 1, 1.0, 1, 5),
    ("a2", "A", -1, 1.0, 1, 5),
    ("a3", "A", 1, 1.0, 1, 5),
    ("b1", "B", 1, 1.0, 1, 5),
    ("b2", "B", 1, 1.0, 0, 10),
    ("c1", "C", 1, 1.0, 1, 5),
)
UNITS = Units((*(Unit(u, "east", "branch") for u in "PQ"), Unit("R", "west", "branch"), Unit("east"), Unit("west")))
UNITS = replace(UNITS, rows=tuple(replace(u, level="city") if u.unit in ("east", "west") else u for u in UNITS.rows))


def answers(rows: int = 400, missing: float = 0.1, seed: int = 0) -> pd.DataFrame:
    """Answers that share something, some missing, on three branches; ``a2`` is asked the other way round."""
    draw = np.random.default_rng(seed)
    common = draw.normal(size=rows)
    frame = pd.DataFrame({code: np.clip(np.rint(3 + common + draw.normal(size=rows)), 1, 5) for code in ITEMS})
    frame["a2"] = 6 - frame["a2"]
    frame["b2"] = np.clip(np.rint(5 + 2 * common + 2 * draw.normal(size=rows)), 0, 10)
    frame[ITEMS] = frame[ITEMS].mask(draw.random((rows, len(ITEMS))) < missing)
    frame["unit"] = draw.choice(["P", "Q", "R"], rows)
    frame["w"] = np.round(draw.uniform(0.2, 3, rows), 2)
    return frame


def survey(frame: pd.DataFrame, *, weight: str | None = None, units: Units | None = UNITS) -> Survey:
    if weight is None:
        frame = frame.drop(columns=["w"], errors="ignore")
    return dj.read_survey(frame, codebook_of(BOOK, weight=weight), units=units, period="2026Q3")


def points(frame: pd.DataFrame) -> pd.DataFrame:
    """Items in the scored direction on 0-100."""
    made = {}
    for row in BOOK[BOOK["code"].isin(ITEMS)].to_dict("records"):
        x = frame[row["code"]] if row["direction"] == 1 else row["min"] + row["max"] - frame[row["code"]]
        made[row["code"]] = 100 * (x - row["min"]) / (row["max"] - row["min"])
    return pd.DataFrame(made)


def alpha_of_rows(x: pd.DataFrame) -> float:
    """Cronbach's alpha the long way: variances of items and of the sum."""
    k = x.shape[1]
    return k / (k - 1) * (1 - x.var().sum() / x.sum(axis=1, skipna=False).var())


def estimates(table: pd.DataFrame, scale: str, **keys) -> pd.Series:
    for name, value in {"unit": "ALL", **keys}.items():
        table = table[table[name] == value]
    return table[table["scale"] == scale].set_index("coefficient")["estimate"]


# By hand.

PAIR = np.array([[1.0, 2], [2, 1], [3, 4], [4, 3]])


def test_alpha_of_two_items():
    # Variances 5/3 each, covariance 1: alpha = 2(1 - (10/3)/(16/3)) = .75; r = .6: standardised 1.2/1.6.
    found = moments_of(PAIR).covariances()
    np.testing.assert_allclose(found.covariance, [[5 / 3, 1], [1, 5 / 3]], atol=EXACT)
    assert rel.alpha(found.covariance) == pytest.approx(0.75, abs=EXACT)
    assert rel.alpha(found.correlation) == pytest.approx(0.75, abs=EXACT)


def test_feldt_turns_round_the_f_distribution():
    # 1 - (1-.75)F with 3 and 3 degrees of freedom: F(.975) = 15.4392, F(.025) = 1/15.4392.
    low, high = rel.feldt(0.75, 4, 2)
    assert low == pytest.approx(1 - 0.25 * 15.4392, abs=5e-5)
    assert high == pytest.approx(1 - 0.25 / 15.4392, abs=5e-6)
    assert np.isnan(rel.feldt(0.75, 1, 2)).all()


def test_both_omegas_of_an_exact_factor():
    # Loadings .8 .7 .6 .5: sum 2.6, squared 6.76; uniquenesses .36 .51 .64 .75, sum 2.26.
    loadings = np.array([0.8, 0.7, 0.6, 0.5])
    correlation = np.outer(loadings, loadings)
    np.fill_diagonal(correlation, 1)
    *both, reason = rel.omegas(correlation)
    assert both == pytest.approx([6.76 / 9.02, 6.76 / 9.02], abs=1e-6)
    assert reason == ""


def test_kmo_of_three_equal_correlations():
    # r = .5: partial correlations r/(1+r) = 1/3; .25/(.25+1/9) = .6923.
    correlation = np.full((3, 3), 0.5) + np.eye(3) / 2
    overall, items = rel.kmo(correlation)
    assert overall == pytest.approx(9 / 13, abs=EXACT)
    np.testing.assert_allclose(items, 9 / 13, atol=EXACT)


def test_bartlett_of_one_correlation():
    # -(20-1-9/6) ln(1-.25) = 17.5 x .287682 = 5.03443 on one degree of freedom.
    chi2, df, p = rel.bartlett(np.array([[1, 0.5], [0.5, 1]]), 20)
    assert (chi2, df) == (pytest.approx(17.5 * np.log(4 / 3), abs=EXACT), 1)
    assert p == pytest.approx(stats.chi2.sf(5.03443, 1), abs=1e-6)


def test_item_total_and_alpha_without_an_item():
    x = points(answers(missing=0))[ITEMS[:3]]
    covariance = x.cov().to_numpy()
    for j, code in enumerate(x):
        others = x.drop(columns=code)
        assert rel.item_total(covariance)[j] == pytest.approx(x[code].corr(others.sum(axis=1)), abs=DIRECT)
        assert rel.alpha_without(covariance)[j] == pytest.approx(alpha_of_rows(others), abs=DIRECT)


# A wave: the whole table against rows.


def test_every_coefficient_of_a_scale_equals_rows():
    frame = answers()
    complete = points(frame)[ITEMS[:3]].dropna()
    table = reliability(survey(frame)).table
    found = estimates(table, "A")
    r = complete.corr().to_numpy()
    assert found["alpha"] == pytest.approx(alpha_of_rows(complete), abs=DIRECT)
    assert found["mean_r"] == pytest.approx(r[np.triu_indices(3, 1)].mean(), abs=DIRECT)
    standard = (complete - complete.mean()) / complete.std()
    assert found["alpha_standardised"] == pytest.approx(alpha_of_rows(standard), abs=DIRECT)
    assert found["bartlett_chi2"] == pytest.approx(-(len(complete) - 1 - 11 / 6) * np.log(np.linalg.det(r)), abs=1e-8)
    row = table[(table["scale"] == "A") & (table["coefficient"] == "alpha")].iloc[0]
    assert (row["n"], row["reason"]) == (len(complete), "")
    assert row["low"] < row["estimate"] < row["high"]


def test_the_whole_instrument_is_a_scale_and_ranges_are_made_equal():
    frame = answers(missing=0)
    found = estimates(reliability(survey(frame)).table, "INDEX")
    assert found["alpha"] == pytest.approx(alpha_of_rows(points(frame)), abs=DIRECT)


def test_tidy_columns_and_keys():
    result = reliability(survey(answers()))
    assert list(result.table) == [
        "period", "level", "unit", "form", "scale", "coefficient", "estimate", "low", "high", "n", "method", "reason",
    ]  # fmt: skip
    assert not result.table.duplicated(list(result.keys)).any()
    assert result.table["scale"].unique().tolist() == ["A", "B", "C", "INDEX"]
    items = result.parts["items"]
    assert not items.table.duplicated(list(items.keys)).any()
    assert set(items.table["scale"]) == {"A", "B", "C", "INDEX"}


def test_both_forms_of_a_full_wave():
    book = plain_table(
        ("INDEX", ""),
        ("A", "INDEX"),
        *(("A" + str(i), "A", 1, 1.0, 1, 5, "both" if i < 3 else "full") for i in range(5)),
    )
    draw = np.random.default_rng(3)
    frame = pd.DataFrame(draw.integers(1, 6, (50, 5)), columns=[f"A{i}" for i in range(5)])
    wave = dj.read_survey(frame, codebook_of(book), period="2026Q3", form="full")
    table = reliability(wave).table.query("coefficient == 'bartlett_df' and scale == 'A'").set_index("form")
    assert table["estimate"].to_dict() == {"anchors": 3, "full": 10}


@pytest.mark.parametrize("missing", ["listwise", "pairwise", "median"])
def test_policies_for_missing_answers_equal_pandas(missing: str):
    frame = answers(missing=0.25)
    x = points(frame)[ITEMS[:3]]
    covariance = {
        "listwise": x.dropna().cov(), "pairwise": x.cov(), "median": x.fillna(x.median()).cov(),
    }[missing]  # fmt: skip
    found = reliability(survey(frame), missing=missing).table.query("scale == 'A' and coefficient == 'alpha'").iloc[0]
    assert found["estimate"] == pytest.approx(rel.alpha(covariance.to_numpy()), abs=DIRECT)
    both = x.notna().astype(int)
    counted = {"listwise": x.dropna().shape[0], "pairwise": (both.T @ both).to_numpy().min(), "median": len(x)}
    assert found["n"] == counted[missing]


def test_pairwise_correlations_have_the_variances_of_their_pair():
    x = points(answers(missing=0.3))
    found = moments_of(x.to_numpy()).covariances("pairwise")
    np.testing.assert_allclose(found.correlation, x.corr(), atol=DIRECT)
    np.testing.assert_allclose(found.covariance, x.cov(), atol=DIRECT)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("missing", [0.0, 0.3])
def test_sums_of_complete_rows_alone_are_the_same_and_know_no_pairs(missing, weighted):
    x = points(answers(missing=missing)).to_numpy()
    weights = np.random.default_rng(4).integers(0, 3, len(x)).astype(float) if weighted else None
    both = [moments_of(x, weights, pairs=pairs) for pairs in (True, False)]
    for name in ("mean", "covariance", "correlation", "n", "effective"):
        np.testing.assert_array_equal(*(getattr(one.covariances(), name) for one in both), strict=True)
    with pytest.raises(UsageError, match="listwise alone"):
        both[1].covariances("pairwise")


def test_imputed_covariances_equal_pandas_where_medians_differ():
    x = points(answers(missing=0.3))
    x["a2"], x["a3"] = 100 - x["a2"] / 2, x["a3"] / 5
    medians = x.median()
    assert medians.nunique() == 3
    found = moments_of(x.to_numpy()).covariances("median", medians.to_numpy())
    filled = x.fillna(medians)
    np.testing.assert_allclose(found.covariance, filled.cov(), atol=1e-9)
    np.testing.assert_allclose(found.correlation, filled.corr(), atol=DIRECT)
    np.testing.assert_allclose(found.mean, filled.mean(), atol=DIRECT)


def test_items_are_described_in_the_scored_direction():
    frame = answers()
    x = points(frame)
    table = reliability(survey(frame)).parts["items"].table.query("scale == 'INDEX'").set_index("code")
    np.testing.assert_allclose(table["mean"], x.mean()[table.index], atol=DIRECT)
    np.testing.assert_allclose(table["sd"], x.std()[table.index], atol=DIRECT)
    assert table["n"].tolist() == x.count()[table.index].tolist()


def test_units_and_the_whole_add_up():
    frame = answers()
    table = reliability(survey(frame), by=["city", "branch"]).table
    assert table["level"].unique().tolist() == ["company", "city", "branch"]
    for level, name, inside in (
        ("branch", "R", ["R"]),
        ("city", "east", ["P", "Q"]),
        ("company", "ALL", ["P", "Q", "R"]),
    ):
        complete = points(frame[frame["unit"].isin(inside)])[ITEMS[:3]].dropna()
        assert estimates(table, "A", level=level, unit=name)["alpha"] == pytest.approx(
            alpha_of_rows(complete), abs=DIRECT
        )


def test_a_unit_without_anybody_is_a_row_with_the_reason():
    frame = answers().query("unit != 'R'")
    rows = reliability(survey(frame), by="branch").table.query("unit == 'R' and scale == 'A'")
    assert set(rows["reason"]) == {reasons.NO_ANSWERS}
    assert rows["estimate"].isna().all()
    assert set(rows["n"]) == {0}


def test_group_columns_are_levels_too():
    frame = answers().assign(age=lambda d: np.where(d.index % 2, "old", "young"))
    book = codebook_of(BOOK, group="age")
    wave = dj.read_survey(frame.drop(columns="w"), book, units=UNITS, period="2026Q3")
    table = reliability(wave, by="age").table
    old = points(frame[frame["age"] == "old"])[ITEMS[:3]].dropna()
    assert estimates(table, "A", level="age", unit="old")["alpha"] == pytest.approx(alpha_of_rows(old), abs=DIRECT)


# Too little.


def reason_of(frame: pd.DataFrame, scale: str, coefficient: str) -> tuple[float, str]:
    row = reliability(survey(frame)).table.query("scale == @scale and coefficient == @coefficient").iloc[0]
    return row["estimate"], row["reason"]


def test_one_item_has_no_reliability():
    estimate, reason = reason_of(answers(), "C", "alpha")
    assert np.isnan(estimate)
    assert reason == ONE_ITEM


def test_equal_answers_have_no_reliability():
    frame = answers().assign(a1=3.0, a2=3.0, a3=3.0)
    estimate, reason = reason_of(frame, "A", "alpha")
    assert np.isnan(estimate)
    assert reason == reasons.NO_VARIANCE


def test_one_item_without_variance_leaves_alpha_alone():
    frame = answers().assign(a3=4.0)
    estimate, reason = reason_of(frame, "A", "alpha")
    assert estimate == pytest.approx(alpha_of_rows(points(frame)[ITEMS[:3]].dropna()), abs=DIRECT)
    assert reason == ""
    for coefficient in ("alpha_standardised", "omega_total", "kmo", "bartlett_p"):
        estimate, reason = reason_of(frame, "A", coefficient)
        assert np.isnan(estimate)
        assert reason == NO_ITEM_VARIANCE


def test_two_items_have_no_factor_model():
    assert reason_of(answers(), "B", "omega_total") == (pytest.approx(np.nan, nan_ok=True), TWO_ITEMS)
    assert reason_of(answers(), "B", "alpha")[1] == ""


def test_fewer_persons_than_items_have_alpha_only():
    frame = answers(missing=0).head(3)
    assert np.isfinite(reason_of(frame, "A", "alpha")[0])
    estimate, reason = reason_of(frame, "A", "kmo")
    assert np.isnan(estimate)
    assert reason == reasons.TOO_FEW_TO_JUDGE


def test_one_person_and_nobody():
    assert reason_of(answers(missing=0).head(1), "A", "alpha")[1] == reasons.ONE_PERSON
    nobody = answers(missing=0).head(2)
    nobody[ITEMS] = np.nan
    assert reason_of(nobody, "A", "alpha")[1] == reasons.NO_ANSWERS


# Additive.


@pytest.mark.parametrize("missing", [0.0, 0.1])
@pytest.mark.parametrize("rows", [1, 7, 100, 399, 400, 8192])
def test_whole_number_sums_are_bit_equal_for_blocks_of_any_size(missing: float, rows: int):
    read = read_answers(answers(missing=missing), [Node(code, minimum=0, maximum=10) for code in ITEMS])
    whole = moments_of(read.matrix())
    total = moments_of(np.empty((0, len(ITEMS))))
    for _, x, w in read.blocks(rows):
        total = total + moments_of(x, w)
    for name in whole.complete:
        assert np.array_equal(total.complete[name], whole.complete[name])
    for name in whole.pairs:
        assert np.array_equal(total.pairs[name], whole.pairs[name])
    assert np.array_equal(total.people, whole.people)


def test_single_precision_is_left_before_it_rounds():
    # 8,192 squares of 100 are 81,920,000, beyond the 2^24 whole numbers of single precision.
    x = np.full((8192, 2), 100, dtype=np.float32)
    x[0] = 99
    assert moments_of(x).complete["xx"][0, 1] == 8191 * 10_000 + 99 * 99


def test_weighted_and_fractional_sums_add_up():
    frame = answers()
    x, w = points(frame).to_numpy() + 0.1, frame["w"].to_numpy()
    halves = moments_of(x[:150], w[:150]) + moments_of(x[150:], w[150:])
    whole = moments_of(x, w)
    for name in whole.pairs:
        np.testing.assert_allclose(halves.pairs[name], whole.pairs[name], rtol=EXACT)


def test_moments_of_different_items_do_not_add():
    with pytest.raises(ValueError, match="do not add"):
        moments_of(PAIR, items=["a", "b"]) + moments_of(PAIR, items=["a", "c"])


@pytest.fixture(scope="module")
def of_pandas() -> Result:
    return reliability(survey(placed(), weight="w"), by="branch")


def placed() -> pd.DataFrame:
    """Answers of whom one does not say where they belong."""
    frame = answers(rows=200)
    frame.loc[3, "unit"] = None
    return frame


@pytest.mark.parametrize("engine", ENGINES)
def test_every_engine_gives_the_same_table(engine: str, of_pandas: Result):
    found = reliability(survey(ENGINES[engine](placed()), weight="w"), by="branch")
    for one, other in ((of_pandas, found), (of_pandas.parts["items"], found.parts["items"])):
        pd.testing.assert_frame_equal(one.table, other.table, check_exact=False, rtol=1e-9, atol=1e-9)


def test_order_of_rows_does_not_matter():
    frame = answers()
    shuffled = frame.sample(frac=1, random_state=1)
    pd.testing.assert_frame_equal(reliability(survey(frame)).table, reliability(survey(shuffled)).table)


# Weights.


def test_weights_scale_freely_and_equal_weights_change_nothing():
    frame = answers()
    base = reliability(survey(frame, weight="w"))
    scaled = reliability(survey(frame.assign(w=frame["w"] * 37), weight="w"))
    for one, other in ((base, scaled), (base.parts["items"], scaled.parts["items"])):
        pd.testing.assert_frame_equal(one.table, other.table, rtol=1e-9)
    plain, equal = reliability(survey(frame)), reliability(survey(frame.assign(w=2.5), weight="w"))
    for one, other in ((plain, equal), (plain.parts["items"], equal.parts["items"])):
        pd.testing.assert_frame_equal(one.table, other.table, rtol=1e-9)


def test_weighted_alpha_is_that_of_repeated_persons():
    # Alpha is a ratio of variances: whole-number weights do what repeating the rows does.
    frame = answers(missing=0)
    times = np.arange(len(frame)) % 3 + 1
    repeated = points(frame.loc[frame.index.repeat(times)])[ITEMS[:3]]
    found = reliability(survey(frame.assign(w=times.astype(float)), weight="w")).table
    assert estimates(found, "A")["alpha"] == pytest.approx(alpha_of_rows(repeated), abs=DIRECT)
    row = found.query("scale == 'A' and coefficient == 'alpha'").iloc[0]
    effective = times.sum() ** 2 / (times**2).sum()
    assert row["n"] == len(frame)
    assert (row["low"], row["high"]) == pytest.approx(rel.feldt(row["estimate"], effective, 3), abs=DIRECT)


def test_weighted_median_fills_in_what_half_the_weight_lies_below():
    node = Node("q", minimum=1, maximum=5)
    frame = pd.DataFrame({"q": [1, 2, 3, 4], "w": [1.0, 1, 1, 5]})
    assert read_answers(frame, [node], weight="w").counts()["q"].median() == 4
    assert read_answers(frame, [node]).counts()["q"].median() == 2.5


# Upper and lower groups.


@pytest.mark.parametrize(("scale", "codes"), [("A", ITEMS[:3]), ("INDEX", ITEMS)])
def test_upper_and_lower_groups_equal_a_t_test_of_rows(scale: str, codes: list[str]):
    frame = answers(rows=900, missing=0.03)
    x = points(frame)[codes].dropna()
    total, last = np.round(x.sum(axis=1), 6), int(np.ceil(0.27 * len(x))) - 1
    low, high = np.sort(total)[last], np.sort(total)[::-1][last]
    upper, lower = x[total >= high], x[total <= low]
    expected = stats.ttest_ind(upper, lower, equal_var=False)
    found = reliability(survey(frame)).parts["items"].table.query("scale == @scale")
    np.testing.assert_allclose(found["upper"], upper.mean(), atol=DIRECT)
    np.testing.assert_allclose(found["lower"], lower.mean(), atol=DIRECT)
    np.testing.assert_allclose(found["upper_lower"], upper.mean() - lower.mean(), atol=DIRECT)
    np.testing.assert_allclose(found["t"], expected.statistic, rtol=1e-8)
    np.testing.assert_allclose(found["p"], expected.pvalue, rtol=1e-6)


def test_upper_and_lower_groups_need_ten_persons_each_and_stand_for_the_whole_only():
    few = reliability(survey(answers(rows=18, missing=0))).parts["items"].table
    assert few["t"].isna().all()
    items = reliability(survey(answers()), by="branch").parts["items"].table
    assert items[items["level"] == "branch"]["upper"].isna().all()
    assert items[items["level"] == "company"].query("scale == 'A'")["upper"].notna().all()


def test_sums_by_total_add_up():
    x = points(answers(missing=0))[ITEMS[:3]].to_numpy()
    parts = pd.concat([rel.sums_by_total(x[:100]), rel.sums_by_total(x[100:])]).groupby(level=0).sum()
    pd.testing.assert_frame_equal(parts, rel.sums_by_total(x), check_index_type=False)


# Errors and the door.


def test_answers_out_of_range_are_named():
    frame = answers()
    frame.loc[5, "b1"] = 9
    wave = replace(survey(answers()), frame=pl.from_pandas(frame.drop(columns="w")))
    with pytest.raises(DataError) as error:
        reliability(wave)
    problem = error.value.problems.table.iloc[0]
    assert (problem["place"], problem["rule"], problem["allowed"]) == ("答案/responses: b1", "out_of_range", "1–5")


@pytest.mark.parametrize("weights", [-1.0, np.nan, np.inf])
def test_weights_that_cannot_be_used_are_named(weights: float):
    frame = answers()
    frame.loc[5, "w"] = weights
    with pytest.raises(DataError, match="weights"):
        reliability(replace(survey(answers(), weight="w"), frame=frame))


def test_text_answers_are_refused():
    frame = answers().assign(a1="agree").drop(columns="w")
    with pytest.raises(UsageError, match="a1"):
        reliability(replace(survey(answers()), frame=frame))


def test_unknown_policy_level_and_crossing():
    wave = survey(answers())
    with pytest.raises(UsageError, match="listwise"):
        reliability(wave, missing="mean")  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="branch"):
        reliability(wave, by="brunch")
    with pytest.raises(UsageError, match="交叉"):
        reliability(wave, by="branch×age")


def test_small_units_are_hidden_at_the_door():
    frame = answers()
    frame["unit"] = np.where(np.arange(len(frame)) < 8, "P", frame["unit"].replace("P", "Q"))
    safe = dj.protect(reliability(survey(frame), by="branch"))
    for table in (safe.table, safe.part("items").table):
        small = table[table["unit"] == "P"]
        assert len(small)
        assert set(small["reason"]) == {reasons.SMALL_GROUP}
        assert small[[name for name in small if small[name].dtype == "float64"]].isna().all(axis=None)


def test_the_units_hidden_are_those_hidden_for_scores():
    # P is small; what is left of the whole without Q and R would be P alone, so that another unit is hidden with it.
    frame = answers()
    frame["unit"] = np.where(np.arange(len(frame)) < 8, "P", frame["unit"].replace("P", "Q"))
    wave = survey(frame)
    hidden = []
    for result in (dj.score(wave, by="branch"), reliability(wave, by="branch")):
        table = dj.protect(result).table.query("level == 'branch'")
        hidden.append(set(table[table["reason"].isin(reasons.HIDING)]["unit"]))
    assert hidden[0] == hidden[1]
    assert "P" in hidden[0]
    assert len(hidden[0]) == 2


# Rates.

REPLICATIONS = trials(2000)


def accepted(rate: float, replications: int = REPLICATIONS) -> tuple[float, float]:
    low, high = stats.binom.interval(0.99, replications, rate)
    return low / replications, high / replications


def covariances_of(draws: np.ndarray) -> np.ndarray:
    centred = draws - draws.mean(axis=1, keepdims=True)
    return np.einsum("rni,rnj->rij", centred, centred) / (draws.shape[1] - 1)


def test_feldt_interval_holds_the_truth_as_often_as_it_says():
    # Parallel normal items with correlation .3: alpha = 6(.3)/(1+5(.3)) = .72.
    draw, n, k, rho = np.random.default_rng(11), 20, 6, 0.3
    common = draw.standard_normal((REPLICATIONS, n, 1))
    x = np.sqrt(rho) * common + np.sqrt(1 - rho) * draw.standard_normal((REPLICATIONS, n, k))
    true = k * rho / (1 + (k - 1) * rho)
    intervals = np.array([rel.feldt(rel.alpha(c), n, k) for c in covariances_of(x)])
    for outside in (intervals[:, 0] > true, intervals[:, 1] < true):
        low, high = accepted(0.025)
        assert low <= outside.mean() <= high


def test_items_without_anything_in_common_have_no_reliability():
    # Null: alpha is near 0, its interval leaves 0 out in 5 % of samples, Bartlett's test rejects in 5 %.
    draw, n, k = np.random.default_rng(12), 60, 5
    found = covariances_of(draw.standard_normal((REPLICATIONS, n, k)))
    alphas = np.array([rel.alpha(c) for c in found])
    # Feldt: E(alpha-hat) = 0 - 2/(n-3); its standard error over the replications is about .005.
    assert np.mean(alphas) == pytest.approx(-2 / (n - 3), abs=0.02)
    intervals = np.array([rel.feldt(value, n, k) for value in alphas])
    low, high = accepted(0.05)
    assert low <= np.mean((intervals[:, 0] > 0) | (intervals[:, 1] < 0)) <= high
    sd = np.sqrt(np.diagonal(found, axis1=1, axis2=2))
    p = [rel.bartlett(c / np.outer(s, s), n)[2] for c, s in zip(found, sd, strict=True)]
    assert low <= np.mean(np.array(p) < 0.05) <= high


# --- Elements on which units are marked ---------------------------------------------------------------------------------


def elements(values: np.ndarray, parts: int = 0) -> Scores:
    """Scores of units (rows) on elements (columns), right below the top or spread over parts."""
    units, count = values.shape
    nodes = [Indicator("Q", "", "质量双放心", role="index")]
    nodes += [Indicator(f"P{j}", "Q", f"方面{j}", role="dimension") for j in range(parts)]
    nodes += [
        Indicator(f"E{j:02d}", f"P{j % parts}" if parts else "Q", f"要素{j}", minimum=0.0, maximum=100.0)
        for j in range(count)
    ]
    rows = [Unit("ALL", "", "company", "admin"), *(Unit(f"B{i:02d}", "ALL", "branch", "admin") for i in range(units))]
    spec = Specification(units=Units(tuple(rows)), indicators=Tree(tuple(nodes), about="units"))
    i, j = (axis.ravel() for axis in np.indices(values.shape))
    table = pd.DataFrame(
        {"unit": [f"B{u:02d}" for u in i], "period": "2026", "code": [f"E{e:02d}" for e in j], "value": values.ravel(), "n": np.nan,
         "se": np.nan, "reason": ""}
    )  # fmt: skip
    return dj.score(Indicators(table, spec, "2026"), by="branch")


def one_factor(units: int, count: int, loading: float, seed: int = 1) -> np.ndarray:
    rng = np.random.default_rng(seed)
    common, own = rng.standard_normal((units, 1)), rng.standard_normal((units, count))
    return np.clip(65 + 10 * (loading * common + np.sqrt(1 - loading**2) * own), 0, 100)


def test_alpha_difficulty_and_discrimination_of_four_units_by_hand():
    values = np.array([[10, 20], [20, 30], [30, 50], [40, 60.0]])
    result = reliability(elements(values))
    (alpha_row,) = result.table[result.table["coefficient"] == "alpha"].to_dict("records")
    # variances 500/3 and 1000/3, covariance 700/3: alpha = 2·(1 − 1500/2900)
    assert (alpha_row["level"], alpha_row["unit"], alpha_row["scale"], alpha_row["n"]) == ("branch", "ALL", "Q", 4)
    assert alpha_row["estimate"] == pytest.approx(2 * (1 - 1500 / 2900), abs=1e-12)
    items = result.parts["items"].table.set_index("code")
    assert items["mean"].to_dict() == {"E00": 25, "E01": 40}, "difficulty: the mean in points"
    assert items["item_total"].tolist() == pytest.approx([np.corrcoef(values.T)[0, 1]] * 2)
    assert items["upper_lower"].isna().all(), "ends need ten units each"


def test_thirty_six_elements_of_sixty_branches_against_numpy():
    values = one_factor(60, 36, 0.6)
    values[:, 35] = np.clip(90 + np.random.default_rng(2).standard_normal(60), 0, 100)  # easy, and goes with nothing
    result = reliability(elements(values), "branch")
    estimate = result.table.set_index("coefficient")["estimate"]
    covariance = np.cov(values, rowvar=False)
    assert estimate["alpha"] == pytest.approx(36 / 35 * (1 - np.trace(covariance) / covariance.sum()), abs=1e-9)
    assert estimate["omega_total"] == pytest.approx(0.95, abs=0.03)  # planted: (35·.6)²/((35·.6)² + 35·.64)
    assert (result.table["n"] == 60).all()
    items = result.parts["items"].table.set_index("code")
    rest = values[:, :-1].sum(axis=1)
    assert items.loc["E35", "item_total"] == pytest.approx(np.corrcoef(values[:, 35], rest)[0, 1], abs=1e-9)
    assert items["item_total"].idxmin() == items["upper_lower"].idxmin() == "E35"
    assert items["mean"].idxmax() == "E35"
    total = values.sum(axis=1).round(6)
    low, high = np.sort(total)[[16, 43]]  # the 17th from below and from above: 27 % of 60
    ends = values[total >= high].mean(axis=0) - values[total <= low].mean(axis=0)
    np.testing.assert_allclose(items["upper_lower"], ends)


def test_elements_that_have_nothing_in_common_have_no_reliability():
    estimate = reliability(elements(one_factor(200, 12, 0.0))).table.set_index("coefficient")["estimate"]
    assert abs(estimate["alpha"]) < 0.25


def test_parts_below_the_top_are_scales_of_their_own():
    result = reliability(elements(one_factor(50, 30, 0.5), parts=7))
    scales = result.table["scale"].drop_duplicates().tolist()
    assert scales == [*(f"P{j}" for j in range(7)), "Q"]
    assert result.parts["items"].table.groupby("scale").size().to_dict()["Q"] == 30


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        (np.full((1, 3), 50.0), "too_few_to_judge"),
        (np.full((5, 3), 50.0), "all_targets_have_same_score"),
        (np.full((5, 3), np.nan), "missing_value"),
        (one_factor(5, 1, 0.5), "one_item_no_reliability"),
    ],
)
def test_too_little_has_a_reason_that_is_true_of_units(values, reason):
    table = reliability(elements(values)).table
    assert table.loc[table["coefficient"] == "alpha", ["estimate", "reason"]].isna().to_numpy()[0, 0]
    assert set(table["reason"]) == {reason}


def test_an_element_alike_everywhere_is_named():
    values = one_factor(20, 4, 0.6)
    values[:, 3] = 100.0
    table = reliability(elements(values)).table.set_index("coefficient")
    assert table.loc["omega_total", "reason"] == "all_units_same_element"
    assert table.loc["alpha", "estimate"] > 0


def test_units_are_of_one_level_and_scores_of_a_survey_are_refused():
    with pytest.raises(UsageError, match="层级/level"):
        reliability(elements(one_factor(20, 4, 0.6)), "team")
    with pytest.raises(UsageError, match="层级/level"):
        reliability(elements(one_factor(20, 4, 0.6)), ["branch", "company"])


# --- An interval of alpha for any answers -------------------------------------------------------------------------------


def likert(draw: np.random.Generator, options: tuple[float, ...], shape: tuple[int, ...]) -> np.ndarray:
    """Answers 1–5 of persons with a common attitude, correlation .4 before they are cut into options."""
    latent = np.sqrt(0.4) * draw.standard_normal((*shape[:-1], 1)) + np.sqrt(0.6) * draw.standard_normal(shape)
    return 1.0 + np.searchsorted(stats.norm.ppf(np.cumsum(options)[:-1]), latent)


def test_distribution_free_error_is_that_of_leaving_each_person_out():
    """The delta method and the jackknife agree where persons are many, with weights too."""
    draw = np.random.default_rng(21)
    x, w = likert(draw, (0.01, 0.03, 0.08, 0.27, 0.61), (3000, 5)), draw.lognormal(0, 0.4, 3000)

    def weighted(rows: np.ndarray) -> tuple[np.ndarray, np.ndarray, float]:
        centre = np.average(x[rows], axis=0, weights=w[rows])
        effective = w[rows].sum() ** 2 / (w[rows] ** 2).sum()
        return np.cov(x[rows].T, aweights=w[rows]), centre, effective

    everybody = np.ones(3000, dtype=bool)
    covariance, mean, effective = weighted(everybody)
    low, high = rel.distribution_free(covariance, mean, rel.influence_sums(x, w), effective)
    half = (np.log(1 - low) - np.log(1 - high)) / 2
    groups = np.arange(3000) % 300
    left_out = np.array([rel.alpha(weighted(groups != group)[0]) for group in range(300)])
    jackknife = np.sqrt(299 / 300 * ((left_out - left_out.mean()) ** 2).sum()) / (1 - rel.alpha(covariance))
    assert half / stats.t.ppf(0.975, effective - 1) == pytest.approx(jackknife, rel=0.15)


def test_influence_sums_add_up_and_leave_out_the_incomplete():
    x = likert(np.random.default_rng(22), (0.1, 0.2, 0.3, 0.3, 0.1), (50, 3))
    x[3, 1] = np.nan
    parts = rel.influence_sums(x[:20]) + rel.influence_sums(x[20:])
    np.testing.assert_allclose(rel.influence_sums(x), parts)
    assert rel.influence_sums(x)[0, 0] == 49


@pytest.mark.parametrize(("options", "n", "least"), [
    ((0.06, 0.14, 0.30, 0.32, 0.18), 50, 0.94), ((0.01, 0.03, 0.08, 0.27, 0.61), 200, 0.92),
    ((0.005, 0.010, 0.030, 0.110, 0.845), 500, 0.91),
])  # fmt: skip
def test_the_wider_interval_of_alpha_near_the_end_of_the_scale(options: tuple[float, ...], n: int, least: float):
    draw, k = np.random.default_rng(23), 4
    true = rel.alpha(np.cov(likert(draw, options, (400_000, k)).T))
    feldt, wider = 0, 0
    for _ in range(400):
        x = likert(draw, options, (n, k))
        covariance = np.cov(x.T)
        normal = rel.feldt(rel.alpha(covariance), n, k)
        free = rel.distribution_free(covariance, x.mean(axis=0), rel.influence_sums(x), n)
        feldt += normal[0] <= true <= normal[1]
        wider += min(normal[0], free[0]) <= true <= max(normal[1], free[1])
    assert wider >= stats.binom.ppf(0.01, 400, least)
    assert feldt <= wider
    if options[4] > 0.8:
        assert feldt < 0.85 * 400


def near_end(rows: int, options: tuple[float, ...]) -> pd.DataFrame:
    draw = np.random.default_rng(7)
    frame = pd.DataFrame(likert(draw, options, (rows, len(ITEMS))), columns=ITEMS)
    x = likert(draw, options, (rows, 3))
    return frame.assign(a1=x[:, 0], a2=6 - x[:, 1], a3=x[:, 2], unit="P")


@pytest.mark.parametrize(("options", "rows", "why"), [
    ((0.005, 0.010, 0.030, 0.110, 0.845), 60, reasons.ALPHA_NEAR_END), ((0.005, 0.010, 0.030, 0.110, 0.845), 499, reasons.ALPHA_NEAR_END),
    ((0.005, 0.010, 0.030, 0.110, 0.845), 500, ""), ((0.01, 0.03, 0.08, 0.27, 0.61), 49, reasons.ALPHA_NEAR_END),
    ((0.01, 0.03, 0.08, 0.27, 0.61), 50, ""), ((0.61, 0.27, 0.08, 0.03, 0.01), 49, reasons.ALPHA_NEAR_END),
    ((0.06, 0.14, 0.30, 0.32, 0.18), 20, ""),
])  # fmt: skip
def test_alpha_near_an_end_of_few_is_description_only(options: tuple[float, ...], rows: int, why: str):
    table = reliability(survey(near_end(rows, options), units=None)).table
    row = table.query("scale == 'A' and coefficient == 'alpha'").iloc[0]
    assert row["reason"] == why
    assert np.isnan(row["low"]) == np.isnan(row["high"]) == bool(why)
    assert np.isfinite(row["estimate"])


def test_no_interval_of_alpha_would_hold_among_few_near_the_end():
    """What is not said would be untrue: of 95 % intervals hardly 90 hold at the ceiling with 100 persons."""
    draw, options = np.random.default_rng(29), (0.005, 0.010, 0.030, 0.110, 0.845)
    true, held = rel.alpha(np.cov(likert(draw, options, (400_000, 4)).T)), 0
    for _ in range(400):
        x = likert(draw, options, (100, 4))
        covariance = np.cov(x.T)
        normal = rel.feldt(rel.alpha(covariance), 100, 4)
        free = rel.distribution_free(covariance, x.mean(axis=0), rel.influence_sums(x), 100)
        held += min(normal[0], free[0]) <= true <= max(normal[1], free[1])
    assert rel.too_few_near_end(94.5, 100)
    assert held < stats.binom.ppf(0.005, 400, 0.95)
