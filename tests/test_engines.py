"""Every dataframe engine gives the same scores, and they are those of the oracle.

Tolerances: counts and rows are equal; unweighted shares are equal; means within 1e-12 of the 100 points; standard
deviations, which are differences of large sums, within 1e-9 points.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import duckdb
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from oracle import Oracle
from small import codebook_of, plain_table

import dj_analysis as dj
from dj_analysis.errors import DataError
from dj_analysis.measure.scoring import score_frame
from dj_analysis.spec.bands import Band, Bands
from dj_analysis.spec.units import Unit, Units

MEANS, SPREADS = 1e-12 * 100, 1e-9
PERIOD = "2026Q3"
UNITS = Units(
    (
        Unit("c2", level="city"),
        Unit("c1", level="city"),
        Unit("A", "c1", "branch"),
        Unit("B", "c2", "branch"),
        Unit("C", "c1", "branch"),
        Unit("empty", "c2", "branch"),
    )
)
CITY = {"A": "c1", "B": "c2", "C": "c1"}
ROWS = [("company", "ALL"), ("city", "c2"), ("city", "c1"), *(("branch", unit) for unit in ("A", "B", "C", "empty"))]


def duck(table: pa.Table) -> duckdb.DuckDBPyRelation:
    connection = duckdb.connect()
    connection.register("answers", table)
    return connection.table("answers")


def whole(frame: pd.DataFrame) -> pd.DataFrame:
    return frame.convert_dtypes(dtype_backend="numpy_nullable")


def arrow(frame: pd.DataFrame) -> pa.Table:
    """Integer columns with nulls."""
    return pa.Table.from_pandas(whole(frame), preserve_index=False)


def arrow_nan(frame: pd.DataFrame) -> pa.Table:
    """Float columns whose missing answers are NaN, not null."""
    text = {name for name in frame if frame[name].dtype.kind not in "if"}
    columns = {
        name: pa.array(frame[name], from_pandas=True) if name in text else pa.array(frame[name].to_numpy(float))
        for name in frame
    }
    return pa.table(columns)


ENGINES = {
    "pandas": lambda frame: frame,
    "pandas nullable": whole,
    "pandas pyarrow": lambda frame: frame.convert_dtypes(dtype_backend="pyarrow"),
    "polars": lambda frame: pl.from_arrow(arrow(frame)),
    "polars NaN": lambda frame: pl.from_arrow(arrow_nan(frame)),
    "polars lazy": lambda frame: pl.from_arrow(arrow(frame)).lazy(),
    "pyarrow": arrow,
    "pyarrow NaN": arrow_nan,
    "duckdb": lambda frame: duck(arrow(frame)),
    "duckdb NaN": lambda frame: duck(arrow_nan(frame)),
}

# Mixed ranges under one node, a 1-6 scale, reversed items, non-unit integral weights, both forms, an outcome beside.
FORMS = plain_table(
    ("INDEX", ""),
    ("D1", "INDEX", 1, 2.0),
    ("D2", "INDEX"),
    ("D3", "INDEX", 1, 3.0),
    ("a1", "D1", 1, 1.0, 1, 5, "both"),
    ("a2", "D1", 1, 1.0, 1, 5, "full"),
    ("a3", "D1", -1, 2.0, 1, 5, "both"),
    ("a4", "D1", 1, 1.0, 1, 5, "full"),
    ("a5", "D1", 1, 1.0, 1, 5, "full"),
    ("b1", "D2", 1, 1.0, 1, 5, "both"),
    ("b2", "D2", -1, 1.0, 0, 10, "both"),
    ("b3", "D2", 1, 1.0, 1, 6, "full"),
    ("b4", "D2", 1, 3.0, 0, 10, "full"),
    ("c1", "D3", 1, 1.0, 1, 6, "both"),
    ("c2", "D3", -1, 1.0, 1, 6, "both"),
    ("c3", "D3", 1, 1.0, 1, 6, "full"),
    ("O", ""),
    ("o1", "O", 1, 1.0, 1, 5, "both"),
    ("o2", "O", 1, 1.0, 0, 10, "full"),
)
# One form; answers that are means of several questions; fractional weights of items and dimensions (AHP).
FRACTIONAL = plain_table(
    ("INDEX", ""),
    ("D1", "INDEX", 1, 0.173),
    ("D2", "INDEX", 1, 0.054),
    ("D3", "INDEX", 1, 0.773),
    ("a1", "D1", 1, 0.5, 1, 5),
    ("a2", "D1", -1, 1.3, 1, 5),
    ("a3", "D1", 1, 0.2, 0, 7.5),
    ("b1", "D2", 1, 1.0, 1, 6),
    ("b2", "D2", 1, 1.0, 1, 6),
    ("c1", "D3", 1, 1.0, 1, 5),
    ("c2", "D3", 1, 2.0, 0, 10),
)
# Leaves and nodes under one node, three levels, least shares of the codebook's own.
NESTED = plain_table(
    ("INDEX", "", 1, 1.0, np.nan, np.nan, "", 0.5),
    ("D1", "INDEX", 1, 1.0, np.nan, np.nan, "", 0.9),
    ("a1", "D1", 1, 1.0, 1, 5),
    ("a2", "D1", 1, 1.0, 1, 5),
    ("a3", "D1", 1, 1.0, 1, 5),
    ("G", "INDEX", 1, 2.0),
    ("S", "G"),
    ("s1", "S", 1, 1.0, 1, 6),
    ("s2", "S", -1, 1.0, 1, 6),
    ("g1", "G", 1, 2.0, 0, 10),
    ("g2", "G", -1, 1.0, 1, 5),
)


def answers_for(table: pd.DataFrame, decimals: int, seed: int, rows: int = 60) -> pd.DataFrame:
    """Random answers, a fifth missing; some people answered nothing, some units are not told, every score occurs."""
    draw = np.random.default_rng(seed)
    leaves = table[table["min"].notna()]
    columns = {}
    for leaf in leaves.to_dict("records"):
        step = 10.0**-decimals
        values = np.round(
            draw.integers(round(leaf["min"] / step), round(leaf["max"] / step) + 1, rows) * step, decimals
        )
        columns[leaf["code"]] = np.where(draw.random(rows) < 0.2, np.nan, values)
    frame = pd.DataFrame(columns)
    frame.iloc[:3] = np.nan
    frame["unit"] = pd.Series(draw.choice(["A", "B", "C", None], rows, p=[0.4, 0.3, 0.1, 0.2]), dtype="str")
    frame["w"] = np.round(draw.uniform(0.2, 3, rows), 2)
    frame.loc[7, "w"] = 0.0
    return frame


CASES = {
    "forms": (FORMS, answers_for(FORMS, 0, 1), None),
    "forms, weighted": (FORMS, answers_for(FORMS, 0, 2), "w"),
    "fractional, weighted": (FRACTIONAL, answers_for(FRACTIONAL, 4, 4), "w"),
    "fractional, nested": (NESTED, answers_for(NESTED, 1, 5), None),
}


@pytest.fixture(scope="module")
def truths() -> dict[str, pd.DataFrame]:
    """The oracle's rows of each case in the order the package must give them."""
    return {name: truth(*case) for name, case in CASES.items()}


def truth(table: pd.DataFrame, answers: pd.DataFrame, weight: str | None) -> pd.DataFrame:
    oracle = Oracle(table)
    branches = oracle.table(answers, "unit", weight)
    cities = oracle.table(answers.assign(unit=answers["unit"].map(CITY)), "unit", weight)
    both = pd.concat([branches, cities.drop(index="ALL", level="unit")])
    forms = ["anchors", "full"] if oracle.has_forms else ["anchors"]
    wanted = [(unit, form, code) for _, unit in ROWS for form in forms for code in oracle.codes(form)]
    found = both.reindex(pd.MultiIndex.from_tuples(wanted))
    return found.assign(n=found["n"].fillna(0))  # a unit without respondents is a row


def scores_on(engine: str, case: str):
    table, answers, weight = CASES[case]
    kept = [name for name in answers if name != "w" or weight]
    survey = dj.read_survey(
        ENGINES[engine](answers[kept]), codebook_of(table, weight=weight), units=UNITS, period=PERIOD
    )
    return dj.score(survey)


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("engine", ENGINES)
def test_scores_are_those_of_the_oracle(engine: str, case: str, truths: dict[str, pd.DataFrame]):
    expected, scores = truths[case], scores_on(engine, case)
    found = scores.table
    assert list(zip(found["unit"], found["form"], found["code"], strict=True)) == list(expected.index)
    assert list(dict.fromkeys(zip(found["level"], found["unit"], strict=True))) == ROWS
    assert found["n"].tolist() == expected["n"].tolist()
    for column, tolerance in (("mean", MEANS), ("sd", SPREADS), ("se", SPREADS), ("favourable", 1e-15)):
        ours = found["score" if column == "mean" else column]
        np.testing.assert_allclose(ours, expected[column], rtol=0, atol=tolerance, err_msg=column)
    shares = scores.shares.table
    keys = ["unit", "form", "code"]
    good = shares[shares["statistic"] == "favourable"]
    assert list(good[keys].itertuples(index=False, name=None)) == list(expected.index)
    np.testing.assert_allclose(good["share"], expected["favourable"], rtol=0, atol=1e-15)
    below = shares[shares["statistic"] == "below"]
    low = expected[expected.index.get_level_values(2) == "INDEX"]
    assert list(below[keys].itertuples(index=False, name=None)) == list(low.index)
    np.testing.assert_allclose(below["share"], low["below"], rtol=0, atol=1e-15)


def test_the_cases_have_what_they_are_for(truths: dict[str, pd.DataFrame]):
    for name, expected in truths.items():
        index = expected[expected.index.get_level_values(2) == "INDEX"]
        whole_wave = index.loc["ALL"]
        assert (whole_wave["n"].between(12, 59)).all(), f"{name}: some rows miss an index, many have one"
        assert (whole_wave["below"].between(0.1, 0.9)).all(), f"{name}: indices lie on both sides of the cut"


@pytest.mark.parametrize("engine", ENGINES)
def test_a_column_of_whole_numbers_of_any_width(engine: str):
    table = plain_table(("INDEX", ""), ("D1", "INDEX"), ("a", "D1", 1, 1.0, 1, 5), ("b", "D1", -1, 1.0, 1, 200))
    frame = pd.DataFrame({"a": np.array([1, 5, 3], "int8"), "b": np.array([1, 200, 120], "uint8"), "unit": list("AAB")})
    scores = dj.score(dj.read_survey(ENGINES[engine](frame), codebook_of(table), units=UNITS, period=PERIOD))
    assert scores.at("A", "INDEX")["score"] == 50
    assert scores.at("B", "b")["score"] == pytest.approx(100 * 80 / 199, abs=MEANS)


def test_a_parquet_file_is_one_more_engine(tmp_path: Path, truths: dict[str, pd.DataFrame]):
    table, answers, _ = CASES["forms"]
    pl.from_arrow(arrow(answers.drop(columns="w"))).write_parquet(tmp_path / f"{PERIOD}.parquet")
    found = dj.score(dj.read_survey(tmp_path / f"{PERIOD}.parquet", codebook_of(table), units=UNITS)).table
    assert found["n"].tolist() == truths["forms"]["n"].tolist()
    np.testing.assert_allclose(found["score"], truths["forms"]["mean"], rtol=0, atol=MEANS)


# Scores exactly on a cut point.


def tied_rows() -> tuple[pd.DataFrame, pd.DataFrame]:
    """Eight dimensions of three 1-6 questions whose index is 45 exactly, though sums of floats say 44.99… or 45.00…1."""
    table = plain_table(
        ("INDEX", ""),
        *((f"D{d}", "INDEX") for d in range(8)),
        *((f"q{d}{i}", f"D{d}", 1, 1.0, 1, 6) for d in range(8) for i in range(3)),
    )
    draw = np.random.default_rng(45)
    steps = draw.integers(0, 6, (40_000, 8, 3))
    steps = steps[steps.sum(axis=(1, 2)) == 54][:60]  # 100 · 54 / (8 · 15) = 45
    columns = {f"q{d}{i}": steps[:, d, i] + 1.0 for d in range(8) for i in range(3)}
    return table, pd.DataFrame(columns)


def test_float_sums_of_the_tied_rows_fall_on_both_sides():
    table, answers = tied_rows()
    dimensions = [[f"q{d}{i}" for i in range(3)] for d in range(8)]
    scores = np.stack([((answers[names] - 1) / 5 * 100).mean(axis=1) for names in dimensions])
    forward = sum(scores) / 8
    backward = sum(scores[::-1]) / 8
    assert len(answers) == 60
    assert ((forward < 45) != (backward < 45)).any()
    assert 0 < (forward < 45).sum() < 60
    assert all(Oracle(table).person(row, "anchors")["INDEX"] == 45 for row in answers.to_dict("records"))


@pytest.mark.parametrize("engine", ENGINES)
def test_an_index_on_the_low_cut_is_not_below_it(engine: str):
    table, answers = tied_rows()
    lower = answers.copy()
    for row in lower.index:  # one step down in one answer: 44.17, truly below
        column = next(name for name in lower if lower.at[row, name] > 1)
        lower.at[row, column] -= 1
    answers, lower = answers.assign(unit="A"), lower.assign(unit="B")
    frame = pd.concat([answers, lower], ignore_index=True)
    scores = dj.score(dj.read_survey(ENGINES[engine](frame), codebook_of(table), units=UNITS, period=PERIOD))
    below = scores.shares.where(statistic="below", level="branch").table.set_index("unit")["count"]
    assert below[["A", "B"]].tolist() == [0, 60]


@pytest.mark.parametrize("engine", ENGINES)
def test_an_index_on_the_low_cut_with_fractional_weights(engine: str):
    weights = [0.173, 0.054, 0.188, 0.018, 0.031, 0.036, 0.167, 0.333]
    table = plain_table(
        ("INDEX", ""),
        *((f"D{d}", "INDEX", 1, weight) for d, weight in enumerate(weights)),
        *((f"q{d}", f"D{d}", 1, 1.0, 0, 20) for d in range(8)),
    )
    orders = (weights, sorted(weights), weights[::-1], sorted(weights, reverse=True))
    assert len({sum(45 * w for w in order) / sum(weights) for order in orders}) > 1
    answers = pd.DataFrame([{f"q{d}": 9.0 for d in range(8)}] * 5)
    skipped = answers.copy()
    for row in skipped.index:
        skipped.loc[row, [f"q{row}", f"q{(row + 3) % 8}"]] = np.nan  # 6 of 8 left, all at 45
    frame = pd.concat([answers, skipped], ignore_index=True).assign(unit="A")
    scores = dj.score(dj.read_survey(ENGINES[engine](frame), codebook_of(table), units=UNITS, period=PERIOD))
    assert scores.at("A", "INDEX")["n"] == 10
    assert scores.shares.where(statistic="below", unit="A").table["count"].tolist() == [0]


@pytest.mark.parametrize("engine", ENGINES)
def test_an_answer_on_the_favourable_cut(engine: str):
    table = plain_table(
        ("INDEX", ""),
        ("D1", "INDEX"),
        ("a", "D1", 1, 1.0, 0.1, 0.7),
        ("b", "D1", -1, 1.0, 0.1, 0.7),
        ("c", "D1", 1, 1.0, 1, 5),
    )
    # 75 exactly, each; floats say 75.00000000000001 and 74.99999999999999.
    assert 100 * (0.55 - 0.1) / (0.7 - 0.1) > 75 > 100 * (0.7 - 0.25) / (0.7 - 0.1)
    frame = pd.DataFrame({"a": [0.55] * 4, "b": [0.25] * 4, "c": [4.0] * 4, "unit": ["A"] * 4})
    survey = dj.read_survey(ENGINES[engine](frame), codebook_of(table), units=UNITS, period=PERIOD)
    usual = dj.score(survey)  # above 74.9
    assert [usual.at("A", code)["favourable"] for code in ("a", "b", "c", "D1")] == [1, 1, 1, 1]
    at_75 = Bands("favourable", (Band("favourable", 75, "above"),))
    strict = dj.score(replace(survey, spec=replace(survey.spec, bands={**survey.spec.bands, "favourable": at_75})))
    assert [strict.at("A", code)["favourable"] for code in ("a", "b", "c", "D1")] == [0, 0, 0, 0]


# What kind of frame comes back.


@pytest.mark.parametrize("engine", ENGINES)
def test_score_frame_keeps_the_kind_of_frame_and_scores_each_row(engine: str):
    table, answers, _ = CASES["forms"]
    frame = ENGINES[engine](answers.drop(columns=["w", "unit"]).assign(row=range(len(answers))))
    codebook = codebook_of(table)
    trees = {form: codebook.tree.in_form(form) for form in ("anchors", "full")}
    scored = score_frame(frame, trees)
    assert type(scored) is type(frame)
    found = as_pandas(scored).sort_values("row")
    oracle = Oracle(table)
    for form in ("anchors", "full"):
        people = [oracle.person(row, form) for row in answers.to_dict("records")]
        for code in (code for code in oracle.codes(form) if oracle.children[code]):
            expected = [np.nan if person[code] is None else float(person[code]) for person in people]
            ours = found[f"{form}__{code}"].to_numpy(dtype=float, na_value=np.nan)
            np.testing.assert_allclose(ours, expected, rtol=0, atol=MEANS, err_msg=f"{form} {code}")


def as_pandas(frame) -> pd.DataFrame:
    if isinstance(frame, pl.LazyFrame):
        frame = frame.collect()
    if isinstance(frame, duckdb.DuckDBPyRelation):
        return frame.df()
    return frame if isinstance(frame, pd.DataFrame) else frame.to_pandas()


def test_score_frame_does_not_collect_a_lazy_frame(monkeypatch: pytest.MonkeyPatch):
    table, answers, _ = CASES["forms"]
    codebook = codebook_of(table)
    frame = ENGINES["polars lazy"](answers)
    monkeypatch.setattr(pl.LazyFrame, "collect", lambda *_, **__: pytest.fail("a lazy frame was collected"))
    scored = score_frame(frame, {"full": codebook.tree.in_form("full")})
    assert isinstance(scored, pl.LazyFrame)
    assert "full__INDEX" in scored.collect_schema().names()


# What is wrong is said on every engine.

TWO = plain_table(("INDEX", ""), ("D1", "INDEX"), ("a", "D1", 1, 1.0, 1, 5), ("b", "D1", -1, 1.0, 0, 10))
FEW = pd.DataFrame(
    {
        "a": [5, np.nan, 1, 3, 2, np.nan],
        "b": [np.nan, 0, 10, 4, 7, np.nan],
        "unit": pd.Series(["A", "B", None, "A", "B", "A"], dtype="str"),
        "w": [1.0, 0.5, 1.5, 2.0, 0.0, 1.0],
    }
)


def flawed(column: str, value: float) -> pd.DataFrame:
    frame = FEW.copy()
    frame.loc[3, column] = value
    return frame


def refused(engine: str, frame: pd.DataFrame) -> pd.DataFrame:
    with pytest.raises(DataError) as caught:
        dj.score(dj.read_survey(ENGINES[engine](frame), codebook_of(TWO, weight="w"), units=UNITS, period=PERIOD))
    return caught.value.problems.table


@pytest.mark.parametrize("value", [-99.0, 99.0])
@pytest.mark.parametrize("engine", ENGINES)
def test_an_answer_out_of_range_is_refused(engine: str, value: float):
    problems = refused(engine, flawed("b", value))
    (problem,) = problems.to_dict("records")
    assert (problem["rule"], problem["allowed"]) == ("out_of_range", "0–10")
    assert "b" in problem["place"]
    assert f"{value:g}" in problem["found"]
    assert problem["advice"]


@pytest.mark.parametrize("engine", ENGINES)
def test_a_negative_weight_is_refused(engine: str):
    (problem,) = refused(engine, flawed("w", -0.5)).to_dict("records")
    assert problem["rule"] == "weights"
    assert "w" in problem["place"]
    assert "-0.5" in problem["found"]


@pytest.mark.parametrize("engine", ENGINES)
def test_a_missing_weight_is_refused(engine: str):
    (problem,) = refused(engine, flawed("w", np.nan)).to_dict("records")
    assert problem["rule"] == "weights"


@pytest.mark.parametrize("engine", ["pandas", "polars", "duckdb"])
def test_an_infinite_weight_is_refused(engine: str):
    (problem,) = refused(engine, flawed("w", np.inf)).to_dict("records")
    assert problem["rule"] == "weights"


@pytest.mark.parametrize("engine", ENGINES)
def test_a_question_nobody_answered_is_a_row_without_a_score(engine: str):
    table = plain_table(
        ("INDEX", ""), ("D1", "INDEX", 1, 1, np.nan, np.nan, "", 0.5), *(TWO.iloc[i, :6] for i in (2, 3))
    )
    frame = FEW.drop(columns="w").assign(b=np.nan)
    scores = dj.score(dj.read_survey(ENGINES[engine](frame), codebook_of(table), units=UNITS, period=PERIOD))
    row = scores.at("ALL", "b")
    assert (row["n"], row["reason"]) == (0, "not_enough_answered")
    assert np.isnan(row["score"])
    assert (scores.at("ALL", "INDEX")["n"], scores.at("ALL", "INDEX")["score"]) == (4, 43.75)


@pytest.mark.parametrize("engine", ENGINES)
def test_a_missing_unit_is_no_unit_where_units_come_from_the_data(engine: str):
    frame = FEW.drop(columns="w")
    scores = dj.score(dj.read_survey(ENGINES[engine](frame), codebook_of(TWO), period=PERIOD))
    assert scores.table["unit"].unique().tolist() == ["ALL", "A", "B"]
    assert scores.response.table["n"].tolist() == [6, 3, 2]


@pytest.mark.parametrize("engine", [name for name in ENGINES if "NaN" not in name])
def test_units_named_by_numbers_with_one_missing(engine: str):
    units = Units((Unit("101", level="branch"), Unit("102", level="branch")))
    frame = FEW.drop(columns="w").assign(unit=[101, 102, np.nan, 101, 102, 101])
    scores = dj.score(dj.read_survey(ENGINES[engine](frame), codebook_of(TWO), units=units, period=PERIOD))
    assert scores.response.table["n"].tolist() == [6, 3, 2]


def test_groups_named_by_text_that_looks_like_a_number_stay_apart():
    frame = FEW.drop(columns="w").assign(group=["2", "2.0", "2", "3", "2.0", "3"])
    survey = dj.read_survey(frame, codebook_of(TWO, group="group"), units=UNITS, period=PERIOD)
    response = dj.score(survey, by="group").response.where(level="group").table
    assert dict(zip(response["unit"], response["n"], strict=True)) == {"2": 2, "2.0": 2, "3": 2}
