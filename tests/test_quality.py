"""Screening of answer sheets: indices worked out by hand, what engines and blocks may not change, rates by simulation.

Tolerances: numbers worked out by hand to 1e-9; counts and flags exactly. A rate holds when it lies in the 99 % binomial
interval around the one stated; seeds are fixed.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from scipy import stats
from small import codebook_of, plain_table

import dj_analysis as dj
from dj_analysis.errors import UsageError
from dj_analysis.measure.scales import careless, quality
from dj_analysis.measure.scales.quality import screen
from dj_analysis.measure.scales.screeningrule import NOT_LOOKED_FOR, SIGNS, ScreeningRule
from dj_analysis.measure.survey import Survey
from dj_analysis.spec import reasons
from dj_analysis.spec.codebook import Codebook
from dj_analysis.spec.specification import Specification
from dj_analysis.spec.tree import Node

EXACT = 1e-9
#: Shares with two flags or more in the long run (16,000 random sheets among 160,000 attentive ones, eight scales of five):
#: random ones by answers alone, and with 1.5 seconds an item and a check question.
RANDOM_CAUGHT, WITH_TIME_AND_CHECK = 0.940, 0.987
NAN = float("nan")


@dataclass(frozen=True)
class Checked(Node):
    """A check question that says what is to be ticked."""

    expected: float = NAN


def instrument(scales: int = 2, each: int = 6, reverse: tuple[int, ...] = (2,), check: float = NAN) -> Codebook:
    """Scales of questions on 1–5, some reversed; with a check question Q1 where its answer is given."""
    rows = [("INDEX", ""), *((f"D{d}", "INDEX") for d in range(scales))]
    rows += [(f"q{d}{i}", f"D{d}", -1 if i in reverse else 1, 1.0, 1, 5) for d in range(scales) for i in range(each)]
    codebook = codebook_of(plain_table(*rows))
    asked = Checked("Q1", role="check", minimum=1, maximum=5, expected=check)
    return replace(codebook, others=(asked,)) if check == check else codebook


def sheets(answers, codebook: Codebook | None = None, **beside) -> Survey:
    """A wave of rows of answers, in the order of the codebook's questions."""
    codebook = codebook or instrument()
    frame = pd.DataFrame(np.asarray(answers, dtype=float), columns=[leaf.code for leaf in codebook.tree.leaves])
    return Survey(frame.assign(**beside), Specification(codebook=codebook), "2026Q3")


def in_polars(wave: Survey) -> Survey:
    """The wave as it is read from a file: scoring it takes a tenth of the time."""
    return replace(wave, frame=pl.from_pandas(wave.frame))


def attentive(n: int, rng: np.random.Generator, scales=8, each=5, reverse=(2,), general=0.3) -> np.ndarray:
    """People who read: one factor a scale (correlated ``general``), loadings .75, five options, 3 % left out."""
    mood = np.sqrt(general) * rng.standard_normal((n, 1, 1)) + np.sqrt(1 - general) * rng.standard_normal(
        (n, scales, 1)
    )
    latent = 0.75 * mood + np.sqrt(1 - 0.75**2) * rng.standard_normal((n, scales, each)) + 0.4
    ticked = 1 + (latent[..., None] > np.array([-1.5, -0.5, 0.5, 1.5])).sum(axis=-1)
    ticked = np.where(np.isin(np.arange(each), reverse), 6 - ticked, ticked).reshape(n, -1).astype(float)
    ticked[rng.random(ticked.shape) < 0.03] = NAN
    return ticked


def rate_holds(found: np.ndarray, rate: float) -> bool:
    """Tell whether a count lies in the 99 % binomial interval of a stated rate."""
    low, high = stats.binom.interval(0.99, found.size, rate)
    return bool(low <= found.sum() <= high)


MIXED = [4, 2, 5, 3, 1, 4, 2, 2, 4, 3, 5, 1]  # nothing to see in it


# Indices by hand.


def test_a_run_is_counted_over_missing_answers_and_as_ticked():
    row = np.array([[3, 3, NAN, 3, 4, 4, 4, 4, NAN, NAN, 4, 1]])
    assert careless.longstring(row).tolist() == [5]
    assert careless.longstring(np.full((1, 4), NAN)).tolist() == [0]
    found = screen(sheets([[4] * 12, MIXED])).table
    assert found["longstring"].tolist() == [12, 2]  # two questions are reversed, and ticked alike all the same


def test_variability_of_four_answers():
    # 2, 4, 4, 6 around 4: (4 + 0 + 0 + 4)/3.
    found = careless.variability(np.array([[2, 4, NAN, 4, 6], [3, NAN, NAN, NAN, NAN], [5, 5, 5, 5, 5]]))
    assert found[0] == pytest.approx(np.sqrt(8 / 3), abs=EXACT)
    assert np.isnan(found[1])
    assert found[2] == 0


def test_even_odd_of_three_scales():
    # Halves 1, 3, 2 and 2, 3, 1 have r = 1/2; 2r/(1 + r) = 2/3.
    answers = np.array([[1, 2, 3, 3, 2, 1]], dtype=float)
    assert careless.even_odd(answers, [[0, 1], [2, 3], [4, 5]])[0] == pytest.approx(2 / 3, abs=EXACT)


def test_even_odd_of_opposite_halves_ends_at_minus_one_and_of_equal_scales_is_missing():
    answers = np.array([[1, 3, 2, 2, 3, 1], [2, 4, 2, 4, 2, 4], [1, NAN, 3, 3, NAN, NAN]], dtype=float)
    found = careless.even_odd(answers, [[0, 1], [2, 3], [4, 5]])
    assert found[0] == -1
    assert np.isnan(found[1:]).all()  # no half varies; one scale alone has both halves


def test_even_odd_turns_reversed_questions():
    # Scale by scale 5 1, 4 2, 3 3, 2 4, 1 5 on a question and its reverse: the same opinion told twice.
    codebook = instrument(scales=5, each=2, reverse=(1,))
    survey = sheets([[5, 1, 4, 2, 3, 3, 2, 4, 1, 5]], codebook)
    assert screen(survey).table["even_odd"][0] == pytest.approx(1, abs=EXACT)


def test_mahalanobis_uses_the_block_of_the_answers_given():
    rng = np.random.default_rng(1)
    answers = rng.multivariate_normal(np.zeros(6), 0.5 + 0.5 * np.eye(6), 300, method="cholesky")
    answers[rng.random(answers.shape) < 0.3] = NAN
    sums = careless.pair_sums(answers)
    distance, determinant = careless.mahalanobis(answers, sums.mean, sums.covariance)
    for row in range(len(answers)):
        given = ~np.isnan(answers[row])
        block, z = sums.covariance[np.ix_(given, given)], answers[row, given] - sums.mean[given]
        assert distance[row] == pytest.approx(z @ np.linalg.inv(block) @ z, abs=EXACT)
        assert determinant[row] == pytest.approx(np.linalg.slogdet(block)[1], abs=EXACT)


def test_pairwise_moments_are_those_of_pandas():
    answers = attentive(200, np.random.default_rng(2))
    sums, frame = careless.pair_sums(answers), pd.DataFrame(answers)
    np.testing.assert_allclose(sums.covariance, frame.cov(), atol=EXACT)
    np.testing.assert_allclose(sums.mean, frame.mean(), atol=EXACT)


def test_seconds_are_counted_by_answers_given_and_two_seconds_are_enough():
    half = [v if i < 6 else NAN for i, v in enumerate(MIXED)]
    survey = sheets([MIXED, MIXED, half, MIXED, MIXED, [NAN] * 12], seconds=[23.9, 24.0, 24.0, NAN, 0.0, 60.0])
    found = screen(survey, rule=ScreeningRule(chance=0)).table
    np.testing.assert_allclose(found["seconds_per_item"], [23.9 / 12, 2, 4, NAN, NAN, NAN], atol=1e-6)
    assert found["flags"].tolist() == [1, 0, 0, 0, 0, 0]
    assert found["reason"][0] == "seconds_per_item"


def test_a_check_question_tells_right_from_wrong_and_counts_as_an_answer():
    survey = sheets([MIXED] * 3, instrument(check=4), Q1=[4, 5, NAN], seconds=[26.0, 25.9, 24.0])
    found = screen(survey, rule=ScreeningRule(chance=0)).table
    assert found["instructed"].tolist()[:2] == [0, 1]
    assert np.isnan(found["instructed"][2])
    assert found["reason"].tolist() == ["", "seconds_per_item;instructed", ""]


def test_a_check_question_without_an_answer_to_expect_is_not_looked_at():
    codebook = replace(instrument(), others=(Node("Q1", role="check", minimum=1, maximum=5),))
    found = screen(sheets([MIXED, MIXED], codebook, Q1=[4, 5]))
    assert found.table["instructed"].isna().all()
    row = found.parts["summary"].where(flag="instructed").table.iloc[0]
    assert (row["of"], row["reason"]) == (0, "no_check_question")
    assert pd.isna(row["n"])


def test_questions_on_another_range_are_no_part_of_a_run():
    rows = [("INDEX", ""), ("D1", "INDEX"), *((f"q{i}", "D1", 1, 1.0, 1, 5) for i in range(12))]
    rows.insert(8, ("recommend", "D1", 1, 1.0, 0, 10))
    codebook = codebook_of(plain_table(*rows))
    straight = [4] * 6 + [8] + [4] * 6
    other = [4] * 6 + [4] + [2] * 6
    found = screen(sheets([straight, other], codebook)).table
    assert found["longstring"].tolist() == [12, 6]
    assert found["irv"].tolist()[0] == 0
    assert found["flags"].tolist() == [1, 1]  # a run without variation is one behaviour


def test_the_time_of_a_wjx_export_is_read_through_the_door():
    frame = pd.DataFrame([MIXED] * 3, columns=[leaf.code for leaf in instrument().tree.leaves])
    survey = dj.read_survey(frame.assign(所用时间=["49秒", "23秒", "1分2秒"]), instrument(), period="2026Q3")
    found = screen(survey, rule=ScreeningRule(chance=0)).table
    np.testing.assert_allclose(found["seconds_per_item"], [49 / 12, 23 / 12, 62 / 12], atol=1e-6)
    assert found["flags"].tolist() == [0, 1, 0]


# Equal sheets.


def test_copies_are_found_and_straight_lines_are_no_copies():
    answers = attentive(400, np.random.default_rng(3))
    answers[[7, 70, 170]] = answers[300]
    answers[[20, 21]] = 3
    found = screen(sheets(answers, instrument(8, 5))).table
    assert found.loc[found["duplicate"] > 0, "row"].tolist() == [8, 71, 171, 301]
    assert set(found.loc[found["duplicate"] > 0, "duplicate"]) == {3}
    assert found["reason"][7].endswith("duplicate")


def test_one_answer_more_or_less_makes_another_sheet():
    answers = attentive(400, np.random.default_rng(4))
    answers[5, :] = answers[6, :]
    answers[5, 0] = NAN
    answers[6, 0] = 3
    assert screen(sheets(answers, instrument(8, 5))).table["duplicate"].sum() == 0


def test_sheets_equal_by_chance_are_no_copies():
    # Ten questions, 20,000 people of much the same opinion: more than a tenth of all sheets equal another.
    codebook = instrument(5, 2, reverse=())
    answers = attentive(20_000, np.random.default_rng(5), 5, 2, (), general=0.5)
    given = answers[~np.isnan(answers).any(axis=1)]
    assert (careless.same_answers(given) > 0).mean() > 0.1
    found = screen(sheets(answers, codebook)).table["duplicate"] > 0
    assert found.mean() <= 0.001


# The wave.


def test_nothing_is_dropped_and_the_reasons_name_the_flags():
    answers = [[4] * 12, MIXED, [NAN] * 7 + [3] * 5]
    survey = sheets(answers, seconds=[12.0, 80.0, 3.0])
    found = screen(survey)
    assert found.table["row"].tolist() == [1, 2, 3]
    assert found.table["flags"].tolist() == [2, 0, 1]  # long string and hardly any variation are one behaviour
    assert found.table["reason"].tolist() == [
        "longstring;irv;seconds_per_item",
        "",
        "too_few_answers_looked_at;seconds_per_item",
    ]
    assert found.table.loc[2, ["longstring", "irv", "mahalanobis", "even_odd", "duplicate"]].isna().all()
    assert len(survey.frame) == 3
    assert list(found.table.columns) == [
        "period", "row", "answered", "longstring", "irv", "mahalanobis", "mahalanobis_p", "even_odd", "scatter",
        "seconds_per_item", "instructed", "duplicate", "flags", "reason",
    ]  # fmt: skip


def test_the_summary_counts_what_the_table_flags():
    rng = np.random.default_rng(6)
    answers = np.vstack([attentive(600, rng), np.full((15, 40), 2.0)])
    seconds = np.r_[np.full(600, 300.0), np.full(15, 40.0)]
    found = screen(sheets(answers, instrument(8, 5), seconds=seconds))
    summary = found.parts["summary"].table.set_index("flag")
    for name in SIGNS:
        if summary.loc[name, "of"]:
            assert summary.loc[name, "n"] == found.table["reason"].str.split(";").map(lambda r, w=name: w in r).sum()
            assert summary.loc[name, "share"] == summary.loc[name, "n"] / summary.loc[name, "of"]
    assert summary.loc["longstring", "n"] == 15
    assert summary.loc["at_least_2", "n"] == (found.table["flags"] >= 2).sum() == 15
    assert summary.loc["at_least_2", "of"] == 615
    assert (summary["level"] + summary["unit"]).unique().tolist() == ["companyALL"]


def test_an_instrument_too_short_or_a_wave_too_small_says_why_nothing_was_looked_for():
    few = screen(sheets([[1, 2, 3, 4]] * 3, instrument(2, 2))).parts["summary"].table.set_index("flag")
    assert (few["of"] == 0).all()
    assert few["n"].isna().all()
    assert few["share"].isna().all()
    assert (few["reason"] != "").all()
    assert few.loc["longstring", "reason"] == "too_few_items_look_for"
    small = screen(sheets(attentive(150, np.random.default_rng(7)), instrument(8, 5)))
    row = small.parts["summary"].where(flag="mahalanobis").table.iloc[0]
    assert (row["of"], row["reason"]) == (0, "too_few_sheets_estimate_covariances")
    assert small.table["mahalanobis"].isna().all()
    assert small.table["irv"].notna().all()


def test_a_wave_of_nobody_and_one_without_questions():
    nobody = screen(sheets(np.empty((0, 12))))
    assert len(nobody.table) == 0
    assert (nobody.parts["summary"].table["of"] == 0).all()
    bare = Survey(pd.DataFrame({"seconds": [10.0, 20.0]}), Specification(codebook=instrument()), "2026Q3")
    assert screen(bare).table["flags"].tolist() == [0, 0]


def test_a_question_everybody_answers_alike_takes_no_part_in_distances():
    answers = attentive(400, np.random.default_rng(8))
    full = screen(sheets(np.delete(answers, 3, axis=1), drop(instrument(8, 5), "q03"))).table
    answers[:, 3] = 5
    found = screen(sheets(answers, instrument(8, 5))).table
    np.testing.assert_allclose(found["mahalanobis"], full["mahalanobis"], atol=1e-6)


def drop(codebook: Codebook, code: str) -> Codebook:
    kept = tuple(node for node in codebook.tree if node.code != code)
    return replace(codebook, tree=replace(codebook.tree, nodes=kept))


def test_text_answers_are_an_error_that_names_the_column():
    survey = sheets([MIXED])
    survey.frame["q00"] = ["同意"]
    with pytest.raises(UsageError, match="q00"):
        screen(survey)


# What may not matter.


@pytest.fixture(scope="module")
def wave() -> Survey:
    rng = np.random.default_rng(9)
    answers = np.vstack([attentive(900, rng), rng.integers(1, 6, (40, 40)), np.full((20, 40), 4.0)])
    answers[11] = answers[12]
    beside = {"seconds": np.round(rng.lognormal(5.5, 0.6, len(answers))), "Q1": rng.choice([4, 5, NAN], len(answers))}
    return sheets(answers, instrument(8, 5, check=4), **beside)


def test_every_engine_gives_the_same_table(wave):
    whole = wave.frame.astype("Int16")
    arrow = pa.Table.from_pandas(whole, preserve_index=False)
    frames = [whole, pl.from_arrow(arrow), pl.from_arrow(arrow).lazy(), arrow, whole.astype("int16[pyarrow]")]
    frames.append(pl.from_pandas(wave.frame))  # floats with NaN
    expected = screen(wave)
    for frame in frames:
        found = screen(replace(wave, frame=frame))
        pd.testing.assert_frame_equal(found.table, expected.table)
        pd.testing.assert_frame_equal(found.parts["summary"].table, expected.parts["summary"].table)
        kept = found.unflagged(replace(wave, frame=frame))
        assert len(kept.frame) == (expected.table["flags"] < 2).sum()


def test_a_duckdb_relation_is_read_too(wave):
    duckdb = pytest.importorskip("duckdb")
    relation = duckdb.from_arrow(pa.Table.from_pandas(wave.frame, preserve_index=False))
    pd.testing.assert_frame_equal(screen(replace(wave, frame=relation)).table, screen(wave).table)


def test_blocks_of_any_size_give_the_same(wave, monkeypatch):
    expected = screen(wave).table
    monkeypatch.setattr(quality, "BLOCK", 37)
    pd.testing.assert_frame_equal(screen(wave).table, expected, rtol=1e-10)
    answers = wave.frame.to_numpy()
    whole = careless.pair_sums(answers)
    parts = careless.pair_sums(answers[:333]) + careless.pair_sums(answers[333:])
    assert all((getattr(whole, name) == getattr(parts, name)).all() for name in ("n", "sums", "products"))


def test_the_order_of_the_rows_does_not_matter(wave):
    order = np.random.default_rng(0).permutation(len(wave.frame))
    found = screen(replace(wave, frame=wave.frame.iloc[order])).table
    expected = screen(wave).table.iloc[order].reset_index(drop=True)
    pd.testing.assert_frame_equal(found.drop(columns="row"), expected.drop(columns="row"), rtol=1e-9)


def test_distances_do_not_depend_on_the_unit_of_an_answer(wave):
    answers = wave.frame.to_numpy()[:, :40]
    scaled = answers * np.linspace(-3, 5, 40) + 7
    found = []
    for values in (answers, scaled):
        sums = careless.pair_sums(values)
        found.append(careless.mahalanobis(values, sums.mean, sums.covariance)[0])
    np.testing.assert_allclose(found[0], found[1], rtol=1e-7)


def test_weights_play_no_part(wave):
    weights = np.random.default_rng(0).uniform(0.1, 9, len(wave.frame))
    weighted = replace(wave, frame=wave.frame.assign(w=weights), weight="w")
    pd.testing.assert_frame_equal(screen(weighted).table, screen(wave).table)


# With and without.


def test_scores_without_flagged_sheets():
    rng = np.random.default_rng(10)
    answers = np.vstack([attentive(500, rng), np.full((30, 40), 1.0)])
    survey = in_polars(sheets(answers, instrument(8, 5)))
    found = screen(survey)
    kept = found.unflagged(survey)
    plain = dj.score(in_polars(sheets(answers[(found.table["flags"] < 2).to_numpy()], instrument(8, 5))))
    assert dj.score(kept).at("ALL", "INDEX")["score"] == plain.at("ALL", "INDEX")["score"]
    assert dj.score(kept).at("ALL", "INDEX")["n"] == 500
    assert "30 份" in kept.notices[-1]
    assert "30 sheets" in kept.notices[-1]
    assert len(found.unflagged(survey, at_least=99).frame) == 530
    assert len(survey.frame) == 530


def test_how_far_scores_move_without_flagged_sheets():
    rng = np.random.default_rng(10)
    answers = np.vstack([attentive(500, rng), np.full((30, 40), 1.0)])
    survey = in_polars(sheets(answers, instrument(8, 5)))
    found = screen(survey)
    every, rest = dj.score(survey), dj.score(found.unflagged(survey))
    table = found.sensitivity(survey).table.set_index("code")
    assert table.loc["INDEX", ["n", "n_other"]].tolist() == [530, 30]
    gap = rest.at("ALL", "INDEX")["score"] - every.at("ALL", "INDEX")["score"]
    assert table.loc["INDEX", "difference"] == pytest.approx(gap, abs=EXACT)
    assert gap > 1
    printed = dj.protect(found.sensitivity(survey)).printed().table.set_index("code")
    assert printed.loc["INDEX", "difference"] == round(gap), "30 sheets: whole points"


@pytest.mark.parametrize(("careless_", "attentive_"), [(0, 500), (9, 500), (40, 8)])
def test_how_far_scores_move_is_not_told_of_few(careless_: int, attentive_: int):
    answers = np.vstack([attentive(attentive_, np.random.default_rng(10)), np.full((careless_, 40), 1.0)])
    survey = in_polars(sheets(answers, instrument(8, 5)))
    made = screen(survey).sensitivity(survey)
    assert dj.protect(made).table["difference"].isna().all()


def test_what_was_not_looked_for_says_why_at_the_door():
    shown = dj.protect(screen(sheets(attentive(300, np.random.default_rng(1)), instrument(8, 5))).parts["summary"])
    table = shown.table.set_index("flag")
    assert table.loc["seconds_per_item", "reason"] == NOT_LOOKED_FOR["seconds_per_item"]
    assert shown.hidden == 0, "other signs of the same whole are shown"


def test_another_wave_cannot_be_cut_by_what_was_seen_in_this_one():
    survey = sheets([MIXED, MIXED])
    found = screen(survey)
    for other in (replace(survey, period="2026Q2"), sheets([MIXED])):
        with pytest.raises(UsageError, match="不是核查过的那一期"):
            found.unflagged(other)


def test_rows_never_leave_and_small_numbers_of_the_summary_are_hidden():
    rng = np.random.default_rng(11)
    answers = np.vstack([attentive(600, rng), np.full((6, 40), 2.0)])
    found = screen(sheets(answers, instrument(8, 5), seconds=np.r_[np.full(590, 300.0), np.full(16, 30.0)]))
    with pytest.raises(UsageError, match="人数列 n"):
        dj.protect(found)
    shown = dj.protect(found.parts["summary"]).table.set_index("flag")
    assert shown.loc["longstring", "reason"] == reasons.SMALL_GROUP  # six sheets
    assert shown.loc["longstring", ["n", "share", "of"]].isna().all()
    assert shown.loc["seconds_per_item", "n"] == 16
    assert "row" not in found._repr_html_().split("<table")[1].split("</thead>")[0]


# Rates.


def test_one_in_a_thousand_normal_sheets_is_an_outlier():
    rng, p = np.random.default_rng(12), []
    mixing = np.linalg.cholesky(0.4 + 0.6 * np.eye(12))
    for missing in (0.0, 0.0, 0.05, 0.05):
        answers = rng.standard_normal((50_000, 12)) @ mixing.T
        answers[rng.random(answers.shape) < missing] = NAN
        sums = careless.pair_sums(answers)
        distance, _ = careless.mahalanobis(answers, sums.mean, sums.covariance)
        p.append(stats.chi2.sf(distance, (~np.isnan(answers)).sum(axis=1)))
    assert rate_holds(np.concatenate(p) < 0.001, 0.001)
    assert rate_holds(np.concatenate(p) < 0.05, 0.05)


@pytest.fixture(scope="module")
def manners() -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    """Eight scales of five: 40,000 who read, 2,000 who tick at random, 2,000 who tick straight down."""
    rng = np.random.default_rng(13)
    straight = np.repeat(rng.integers(1, 6, (2000, 1)), 40, axis=1).astype(float)
    straight[rng.random(straight.shape) < 0.03] = NAN
    answers = np.vstack([attentive(40_000, rng), rng.integers(1, 6, (2000, 40)), straight])
    found = screen(sheets(answers, instrument(8, 5))).table
    return found[:40_000], found[40_000:42_000], found[42_000:]


def test_straight_lines_are_all_flagged_and_where_they_contradict_themselves_twice(manners):
    assert (manners[2]["flags"] >= 1).all()
    assert 0.35 <= (manners[2]["flags"] >= 2).mean() <= 0.45  # only ones and fives are as scattered as random sheets


def test_random_answers_are_outliers_and_nearly_all_of_them_are_caught_by_answers_alone(manners):
    assert (manners[1]["mahalanobis_p"] < 0.001).mean() >= 0.99
    assert rate_holds((manners[1]["flags"] >= 2).to_numpy(), RANDOM_CAUGHT)


def test_people_who_read_hardly_ever_have_two_flags(manners):
    assert (manners[0]["flags"] >= 2).mean() <= 0.0005
    assert (manners[0]["flags"] >= 1).mean() <= 0.001
    assert (manners[0]["mahalanobis_p"] < 0.001).mean() <= 0.001


def test_time_and_a_check_question_catch_nearly_all_who_tick_at_random():
    rng = np.random.default_rng(14)
    n, careless_ones = 40_000, 2000
    answers = np.vstack([attentive(n, rng), rng.integers(1, 6, (careless_ones, 40))])
    seconds = np.r_[rng.lognormal(np.log(7 * 40), 0.35, n), rng.lognormal(np.log(1.5 * 40), 0.35, careless_ones)]
    check = np.r_[np.where(rng.random(n) < 0.98, 4, 3), rng.integers(1, 6, careless_ones)]
    found = screen(sheets(answers, instrument(8, 5, check=4), seconds=seconds, Q1=check)).table["flags"] >= 2
    assert rate_holds(found[n:].to_numpy(), WITH_TIME_AND_CHECK)
    assert found[:n].mean() <= 0.0005


def test_even_odd_flags_nobody_where_scales_hardly_differ_within_a_person():
    answers = attentive(5000, np.random.default_rng(15), general=0.95)
    found = screen(sheets(answers, instrument(8, 5)))
    assert (found.table["even_odd"] < 0.3).mean() > 0.2
    row = found.parts["summary"].where(flag="even_odd").table.iloc[0]
    assert (row["of"], row["reason"]) == (0, "too_few_dimensions_or_not")
    assert not found.table["reason"].str.contains("even_odd").any()


def test_a_company_where_nothing_is_planted_has_hardly_a_flagged_sheet():
    company = dj.make_company(employees=6000, branches=60, quarters=2, seed=2, planted=False)
    for period in company.periods:
        found = screen(company.survey(period))
        assert (found.table["flags"] >= 2).mean() <= 0.001
        assert (found.table["flags"] >= 1).mean() <= 0.03, "two in a hundred slip on the check question"


def test_the_careless_planted_in_a_company_are_found():
    # 2 % tick at random in 1.5 seconds an item, 1 % straight down without haste.
    company = dj.make_company(employees=6000, branches=60, quarters=2, seed=2)
    found = screen(company.survey("2026Q3")).table["flags"] >= 2
    assert 0.015 <= found.mean() <= 0.035
