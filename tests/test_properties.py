"""What must hold whatever the answers: order, weights, monotony, additivity, decompositions."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pandas as pd
import polars as pl
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from scipy import stats
from small import codebook_of, plain_table

import dj_analysis as dj
from dj_analysis.errors import UsageError
from dj_analysis.measure import score_tables
from dj_analysis.measure.scores import Scores
from dj_analysis.measure.survey import Survey
from dj_analysis.measure.survey_scores import unit_sums
from dj_analysis.measure.unitsums import STATISTICS, UnitSums
from dj_analysis.spec.units import Unit, Units

PERIOD, BEFORE = "2026Q3", "2026Q2"
TABLE = plain_table(
    ("INDEX", ""),
    ("D1", "INDEX", 1, 2.0),
    ("D2", "INDEX", 1, 1.0),
    ("a", "D1", 1, 1.0, 1, 5),
    ("b", "D1", -1, 2.0, 0, 10),
    ("c", "D1", 1, 1.0, 1, 6),
    ("d", "D2", 1, 1.0, 1, 5),
    ("e", "D2", -1, 1.0, 1, 6),
)
LEAVES = TABLE[TABLE["min"].notna()]
UNITS = Units(
    (
        Unit("c1", level="city"),
        Unit("c2", level="city"),
        Unit("A", "c1", "branch"),
        Unit("B", "c1", "branch"),
        Unit("C", "c2", "branch"),
    )
)
INTEGER = ("n", "w", "ww", "answers", "favourable", "low")

quick = settings(max_examples=20, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
few = settings(quick, max_examples=10)


@st.composite
def answers(draw: st.DrawFn, *, most: int = 20, complete: bool = False) -> pd.DataFrame:
    """People with a unit (or none), whole answers (or none) and a weight."""

    def answer(leaf):
        known = st.integers(int(leaf["min"]), int(leaf["max"]))
        return known if complete else st.one_of(known, known, known, st.none())

    person = st.tuples(
        st.sampled_from(["A", "B", "C", None]),
        st.integers(1, 400).map(lambda w: w / 100),
        *(answer(leaf) for leaf in LEAVES.to_dict("records")),
    )
    people = draw(st.lists(person, min_size=4, max_size=most))
    frame = pd.DataFrame(people, columns=["unit", "w", *LEAVES["code"]])
    return frame.astype(dict.fromkeys(LEAVES["code"], "Int64") | {"unit": "str"})


def survey_of(frame: pd.DataFrame, *, table=TABLE, weight: bool = False, units=UNITS, period=PERIOD) -> Survey:
    codebook = codebook_of(table, weight="w" if weight else None)
    kept = frame if weight else frame.drop(columns="w")
    return dj.read_survey(pl.from_pandas(kept), codebook, units=units, period=period)


def scores_of(frame: pd.DataFrame, **how) -> Scores:
    """Scores of the whole and of the branches."""
    return dj.score(survey_of(frame, **how), by="branch")


def sums_of(frame: pd.DataFrame, *, weight: bool = False) -> UnitSums:
    return unit_sums(survey_of(frame, weight=weight))[""]


def same_sums(one: UnitSums, other: UnitSums, exact: tuple[str, ...] = INTEGER) -> None:
    """Same units in any order; the named sums, and every sum of whole answers, to the last bit."""
    assert set(one.units) == set(other.units)
    other = other.laid_out(one.units, one.cells)
    np.testing.assert_array_equal(one.persons, other.persons)
    leaves = [j for j, (_, code) in enumerate(one.cells) if code in set(LEAVES["code"])]
    for name in STATISTICS:
        ours, theirs = one.sums[name], other.sums[name]
        if name in exact:
            np.testing.assert_array_equal(ours, theirs, err_msg=name)
        elif set(INTEGER) <= set(exact):
            np.testing.assert_array_equal(ours[:, leaves], theirs[:, leaves], err_msg=name)
        np.testing.assert_allclose(ours, theirs, rtol=1e-12, atol=1e-9, err_msg=name)


# The order of rows.


@quick
@given(answers(), st.randoms(use_true_random=False))
def test_the_order_of_rows_does_not_matter(frame: pd.DataFrame, random):
    order = list(range(len(frame)))
    random.shuffle(order)
    same_sums(sums_of(frame), sums_of(frame.iloc[order]))


def test_sums_of_nodes_are_bit_equal_in_every_order():
    draw = np.random.default_rng(3)
    columns = {leaf["code"]: draw.integers(leaf["min"], leaf["max"] + 1, 6000) for leaf in LEAVES.to_dict("records")}
    frame = pd.DataFrame(columns).assign(unit="A", w=1.0)
    for _ in range(4):
        same_sums(sums_of(frame), sums_of(frame.iloc[draw.permutation(6000)]), exact=STATISTICS)


# Weights are relative.


def scaled(codes: list[str], by: float) -> pd.DataFrame:
    return TABLE.assign(weight=TABLE["weight"].where(~TABLE["code"].isin(codes), TABLE["weight"] * by))


def same_table(one: pd.DataFrame, other: pd.DataFrame, tolerance: float) -> None:
    keys = ["level", "unit", "form", "code", "n", "reason"]
    pd.testing.assert_frame_equal(one[keys], other[keys])
    for column in ("score", "sd", "se", "low", "high", "favourable"):
        np.testing.assert_allclose(one[column], other[column], rtol=0, atol=tolerance, err_msg=column)


@quick
@given(answers(), st.sampled_from([1e-3, 1 / 3, 0.7, 2.0, 1000.0]), st.sampled_from([["D1", "D2"], ["a", "b", "c"]]))
def test_weights_of_dimensions_and_items_scale_freely(frame: pd.DataFrame, by: float, codes: list[str]):
    plain = scores_of(frame).table
    same_table(plain, scores_of(frame, table=scaled(codes, by)).table, 1e-9)


@quick
@given(answers(), st.sampled_from([1e-3, 1 / 3, 0.7, 2.0, 1000.0]))
def test_weights_of_respondents_scale_freely(frame: pd.DataFrame, by: float):
    plain = scores_of(frame, weight=True)
    other = scores_of(frame.assign(w=frame["w"] * by), weight=True)
    same_table(plain.table, other.table, 1e-8)  # quantiles of less than one degree of freedom enlarge the last places
    columns = ["share", "low", "high"]
    np.testing.assert_allclose(plain.shares.table[columns], other.shares.table[columns], rtol=0, atol=1e-9)


@few
@given(answers(), st.sampled_from([0.5, 3.0]))
def test_equal_weights_are_no_weights(frame: pd.DataFrame, weight: float):
    weighted = scores_of(frame.assign(w=weight), weight=True)
    same_table(scores_of(frame).table, weighted.table, 1e-9)


# Monotony.


@quick
@given(answers(), st.data())
def test_a_better_answer_never_lowers_a_score(frame: pd.DataFrame, data: st.DataObject):
    leaf = data.draw(st.sampled_from(LEAVES.to_dict("records")))
    code, direction = leaf["code"], leaf["direction"]
    best = leaf["max"] if direction == 1 else leaf["min"]
    movable = frame.index[(frame[code].notna() & (frame[code] != best)).fillna(False)]
    assume(len(movable))
    better = frame.copy()
    row = data.draw(st.sampled_from(list(movable)))
    better.loc[row, code] += direction
    before, after = (scores_of(f).table for f in (frame, better))
    assert before["n"].tolist() == after["n"].tolist()
    assert not (after["score"] < before["score"] - 1e-9).any()
    assert not (after["favourable"] < before["favourable"]).any()
    moved = after[after["score"] > before["score"] + 1e-9]
    assert set(moved["unit"]) <= {"ALL", frame.at[row, "unit"]}
    assert {("ALL", code)} <= set(zip(moved["unit"], moved["code"], strict=True))


# Sums add.


@quick
@given(answers(), st.booleans())
def test_rolling_up_equals_summing_the_merged_unit(frame: pd.DataFrame, weight: bool):
    sums = sums_of(frame, weight=weight)
    merged = sums.rolled_up({"A": ["A", "B"], "C": ["C"], "": [""]})
    direct = sums_of(frame.assign(unit=frame["unit"].replace({"B": "A"})), weight=weight)
    same_sums(merged.laid_out(direct.units, direct.cells), direct, exact=() if weight else INTEGER)
    renamed = sums.renamed({"B": "A"})
    same_sums(renamed, direct, exact=() if weight else INTEGER)


@few
@given(answers(), st.booleans(), st.integers(1, 3))
def test_tables_do_not_depend_on_how_many_units_are_computed_at_once(frame: pd.DataFrame, weight: bool, many: int):
    """To the last bit: of levels with a unit nobody is in, with few and many stretches of the same texts."""
    survey = survey_of(frame, weight=weight)
    whole = dj.score(survey, by=["city", "branch"])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(score_tables, "UNITS_AT_ONCE", many)
        patch.setattr(score_tables, "STRETCH", 2)
        parted = dj.score(survey, by=["city", "branch"])
    assert list(whole.table["level"].unique()) == ["company", "city", "branch"]
    for one, other in ((whole, parted), (whole.shares, parted.shares), (whole.response, parted.response)):
        pd.testing.assert_frame_equal(one.table, other.table, check_exact=True)
        assert one.mark == other.mark


@quick
@given(answers(most=14), st.booleans())
def test_a_level_equals_scoring_its_units_directly(frame: pd.DataFrame, weight: bool):
    cities = Units((Unit("c1", level="city"), Unit("c2", level="city")))
    of_city = frame["unit"].map({"A": "c1", "B": "c1", "C": "c2"}).astype("str")
    by_branch = dj.score(survey_of(frame, weight=weight), by="city")
    by_city = dj.score(survey_of(frame.assign(unit=of_city), weight=weight, units=cities))
    same_table(by_branch.table, by_city.table, 1e-9)


@quick
@given(answers(), st.data(), st.booleans())
def test_parts_add_up_to_the_whole(frame: pd.DataFrame, data: st.DataObject, weight: bool):
    part = data.draw(st.lists(st.integers(0, 2), min_size=len(frame), max_size=len(frame)))
    blocks = [sums_of(block, weight=weight) for _, block in frame.groupby(part)]
    total = blocks[0]
    for block in blocks[1:]:
        total = total + block
    same_sums(total, sums_of(frame, weight=weight), exact=() if weight else INTEGER)


# Change.


@quick
@given(answers(), answers(), st.booleans())
def test_mix_and_within_add_up_to_the_difference(now: pd.DataFrame, before: pd.DataFrame, weight: bool):
    change = dj.compare(scores_of(now, weight=weight), scores_of(before, weight=weight, period=BEFORE)).table
    known = change["difference"].notna()
    assert (change.loc[known, ["mix", "within"]].notna()).all(axis=None)
    assert (change.loc[~known, ["mix", "within", "low", "p"]].isna()).all(axis=None)
    assert set(change.loc[~known, "reason"]) <= {"not_in_both"}
    parts = change["mix"] + change["within"]
    np.testing.assert_allclose(parts[known], change.loc[known, "difference"], rtol=0, atol=1e-10)
    adjusted = change.groupby(["level", "code"])["p"].transform(benjamini_hochberg)
    np.testing.assert_allclose(change["q"], adjusted, rtol=1e-12)
    single = change[known & (change["level"] == "branch")]
    assert (single["mix"].abs() <= 1e-10).all(), "a finest unit has no mix"


def benjamini_hochberg(p: pd.Series) -> pd.Series:
    known = p.dropna()
    adjusted = stats.false_discovery_control(known) if len(known) else known
    return pd.Series(adjusted, known.index, dtype="float64").reindex(p.index)


@quick
@given(answers(), st.booleans())
def test_a_wave_does_not_differ_from_itself(frame: pd.DataFrame, weight: bool):
    scores = scores_of(frame, weight=weight)
    change = dj.compare(scores, scores).table
    known = change["now"].notna()
    assert (change.loc[known, ["difference", "mix", "within"]] == 0).all(axis=None)
    assert not change["real"].any()
    assert (change["p"].dropna() == 1).all()


@few
@given(answers(complete=True), answers(complete=True))
def test_the_test_of_a_change_is_welchs(now: pd.DataFrame, before: pd.DataFrame):
    change = dj.compare(scores_of(now), scores_of(before, period=BEFORE))
    row = change.table.set_index(["unit", "code"]).loc[("ALL", "a")]
    one, two = points(now, "a"), points(before, "a")
    assume(one.std() > 0 and two.std() > 0)
    welch = stats.ttest_ind(one, two, equal_var=False)
    interval = welch.confidence_interval(0.95)
    np.testing.assert_allclose(row["p"], welch.pvalue, rtol=1e-9)
    np.testing.assert_allclose([row["low"], row["high"]], [interval.low, interval.high], rtol=1e-9)


def points(frame: pd.DataFrame, code: str) -> np.ndarray:
    leaf = LEAVES.set_index("code").loc[code]
    values = 100 * (frame[code].to_numpy(float) - leaf["min"]) / (leaf["max"] - leaf["min"])
    return values if leaf["direction"] == 1 else 100 - values


A, B, C = UNITS.rows[2:]
ENDS, STARTS = {"valid_to": "2026-07-31"}, {"valid_from": "2026-08-01"}
NEW = Unit("N", "c1", "branch", **STARTS)
TREES = {
    "closed": (A, replace(B, **ENDS), C),
    "opened": (A, replace(B, **STARTS), C),
    "moved": (A, replace(B, **ENDS), replace(B, parent="c2", **STARTS), C),
    "absorbed by a neighbour": (A, replace(B, **ENDS, became="A"), C),
    "absorbed elsewhere": (A, replace(B, **ENDS, became="C"), C),
    "merged into a new one": (replace(A, **ENDS, became="N"), replace(B, **ENDS, became="N"), C, NEW),
    "merged with one from elsewhere": (A, replace(B, **ENDS, became="N"), replace(C, **ENDS, became="N"), NEW),
}


def two_waves(what: str) -> pd.DataFrame:
    """The change of the index when the same people answer the same before and after units change."""
    units = Units((*UNITS.rows[:2], *TREES[what]))
    people = {"A": [5, 4, 4], "B": [1, 2, 1, 2], "C": [4, 5]}
    rows = [(name, 1.0, x, 11 - 2 * x, x, x, 6 - x) for name, values in people.items() for x in values]
    frame = pd.DataFrame(rows, columns=["unit", "w", *LEAVES["code"]])
    before, now = frame, frame.assign(unit=frame["unit"].replace(dict(units.successors)))
    before, now = (
        wave[wave["unit"].isin([unit.unit for unit in units.at(period).rows])]
        for wave, period in ((before, BEFORE), (now, PERIOD))
    )
    scores = dj.score(survey_of(now, units=units)), dj.score(survey_of(before, units=units, period=BEFORE))
    return dj.compare(*scores).where(code="INDEX").table.set_index("unit")


@pytest.mark.parametrize("what", list(TREES))
def test_mix_and_within_add_up_when_units_change(what: str):
    known = two_waves(what).dropna(subset="difference")
    assert {"ALL", "c1"} <= set(known.index)
    residual = known["mix"] + known["within"] - known["difference"]
    assert residual[~(residual.abs() <= 1e-10)].to_dict() == {}


@pytest.mark.parametrize(("what", "merged"), [("absorbed by a neighbour", "A"), ("merged into a new one", "N")])
def test_a_merged_unit_is_compared_with_its_parts_together(what: str, merged: str):
    row = two_waves(what).loc[merged]
    assert (row["n"], row["n_before"]) == (7, 7)
    assert row[["difference", "mix", "within"]].tolist() == [0, 0, 0]


# Contrast.


@few
@given(answers(complete=True))
def test_a_unit_against_the_whole(frame: pd.DataFrame):
    scores = scores_of(frame)
    contrast = dj.contrast(scores).table
    whole = scores.table[scores.table["unit"] == "ALL"].set_index("code")["score"]
    own = scores.table.set_index(["unit", "code"])["score"]
    merged = contrast.set_index(["unit", "code"])
    np.testing.assert_allclose(merged["score"], own.reindex(merged.index), rtol=0, atol=1e-10)
    np.testing.assert_allclose(contrast["whole"], contrast["code"].map(whole), rtol=0, atol=1e-10)
    np.testing.assert_allclose(contrast["difference"], contrast["score"] - contrast["whole"], rtol=0, atol=1e-10)
    roles = contrast["code"].map({"INDEX": "index", "D1": "dimension", "D2": "dimension"}).fillna("item")
    adjusted = contrast.groupby(["level", roles])["p"].transform(benjamini_hochberg)
    np.testing.assert_allclose(contrast["q"], adjusted, rtol=1e-12)
    beyond = (contrast["low"] > 0) | (contrast["high"] < 0)
    assert contrast["real"].tolist() == (beyond & (contrast["q"] <= 0.10)).tolist()
    x, here = points(frame, "e"), frame["unit"].eq("A").to_numpy(bool)
    inside, rest = x[here], x[~here]
    assume(len(inside) > 1 and len(rest) > 1 and inside.std() > 0 and rest.std() > 0)
    row = merged.loc[("A", "e")]
    share = len(inside) / len(x)
    se = (1 - share) * math.sqrt(inside.var(ddof=1) / len(inside) + rest.var(ddof=1) / len(rest))
    welch = stats.ttest_ind(inside, rest, equal_var=False)
    assert (row["n"], row["n_rest"]) == (len(inside), len(rest))
    assert math.isclose(row["difference"], (1 - share) * (inside.mean() - rest.mean()), abs_tol=1e-9)
    assert math.isclose(row["se"], se, rel_tol=1e-9)
    assert math.isclose(row["p"], welch.pvalue, rel_tol=1e-9, abs_tol=1e-15)
    interval = welch.confidence_interval(0.95)
    np.testing.assert_allclose(
        [row["low"], row["high"]], np.array([interval.low, interval.high]) * (1 - share), rtol=1e-9, atol=1e-9
    )


def test_contrast_of_a_wave_without_units_is_refused_in_words():
    frame = pd.DataFrame({"a": [1, 2], "b": [3, 4], "c": [1, 2], "d": [3, 3], "e": [1, 6], "w": 1.0})
    with pytest.raises(UsageError, match="contrast"):
        dj.contrast(dj.score(survey_of(frame, units=None)))
