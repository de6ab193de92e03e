"""Data frames as they come out of notebooks: read as meant, or refused by name."""

import numpy as np
import pandas as pd
import polars as pl
import pytest
from test_readers import TRUTH, codebook, frame, same_as_truth, scores  # noqa: F401

import dj_analysis as dj
from dj_analysis.errors import DataError, UsageError

pytestmark = pytest.mark.filterwarnings("ignore::dj_analysis.errors.DjWarning")

JUDGEMENTS = [[1, 3, 5], [1 / 3, 1, 2], [1 / 5, 1 / 2, 1]]


@pytest.mark.parametrize("library", ["pandas", "polars", "pyarrow", "duckdb"])
@pytest.mark.parametrize("by", ["number", "text"])
def test_every_library_gives_the_truth(library: str, by: str, codebook):  # noqa: F811
    given = frame(by)
    if library == "polars":
        given = pl.from_pandas(given)
    elif library == "pyarrow":
        given = pl.from_pandas(given).to_arrow()
    elif library == "duckdb":
        given = pytest.importorskip("duckdb").from_df(given)
    same_as_truth(scores(given, codebook))


@pytest.mark.parametrize("make", [pd.DataFrame, pl.DataFrame])
def test_units_as_floats_are_whole_numbers(make, codebook):  # noqa: F811
    numbers = {"检修部": 1.0, "营销部": 2.0}
    columns = {"unit": [numbers[row[0]] for row in TRUTH], "A": [float(row[1]) for row in TRUTH]}
    columns["unit"][0] = float("nan")
    survey = dj.read_survey(make({**columns, "B": columns["A"], "age": "x"}), codebook, period="2026Q3")
    assert [unit.name_zh or unit.unit for unit in survey.spec.units.rows] == ["1", "2"]
    table = dj.score(survey).table.query("code == 'A' and level != 'ALL'").set_index("unit")
    assert table.loc[["ALL", "1", "2"], "n"].to_list() == [12, 5, 6]


def test_several_rows_of_headers_are_named(codebook):  # noqa: F811
    given = frame()
    given.columns = pd.MultiIndex.from_product([["问卷"], given.columns])
    with pytest.raises(UsageError, match="MultiIndex"):
        dj.read_survey(given, codebook, period="2026Q3")
    with pytest.raises(UsageError, match="MultiIndex"):
        dj.weigh(given)
    matrix = pd.DataFrame([[1, 3], ["1/3", 1]], columns=pd.MultiIndex.from_product([["专家1"], ["A", "B"]]))
    with pytest.raises(UsageError, match=r"judgements 1: .*MultiIndex"):
        dj.ahp(matrix)


def test_a_mere_frame_is_not_scored_but_told_where_to_go():
    with pytest.raises(UsageError, match="composite"):
        dj.score(pd.DataFrame({"unit": ["a", "b"], "K1": [1.0, 2.0]}))


def test_a_column_that_is_there_twice_is_named(codebook):  # noqa: F811
    given = frame()
    with pytest.raises(UsageError, match="duplicate columns: A"):
        dj.read_survey(given[["unit", "A", "A"]], codebook, period="2026Q3")


@pytest.mark.parametrize("given", [{"A": [1]}, [1, 2], None, 3])
def test_what_is_no_dataframe_is_named(given: object, codebook):  # noqa: F811
    with pytest.raises(UsageError, match="is no dataframe"):
        dj.read_survey(given, codebook, period="2026Q3")


@pytest.mark.parametrize("name", ["序号", "ID", "编号", "Unnamed: 0"])
def test_a_running_number_is_no_indicator(name: str):
    values = pd.DataFrame({"K1": [1.0, 2, 4, 3], "K2": [2.0, 1, 3, 5]})
    with pytest.raises(UsageError, match=name):
        dj.weigh(values.assign(**{name: range(4)}))
    assert dj.weigh(values).table["code"].to_list() == ["K1", "K2"]


@pytest.mark.parametrize("dash", ["-", "—", "/", "无"])
def test_a_dash_in_a_column_of_numbers_is_named(dash: str):
    with pytest.raises(UsageError, match=f"K2: {dash}"):
        dj.weigh(pd.DataFrame({"K1": [1.0, 2, 4, 3], "K2": ["2", "1", dash, "5"]}))


@pytest.mark.parametrize("third", ["1/3", "1:3", " 1／3 ", "1：3", 1 / 3])
def test_judgements_are_read_as_fractions(third: object):
    matrix = [row[:] for row in JUDGEMENTS]
    matrix[1][0] = third
    read, plain = (
        dj.ahp(pd.DataFrame(cells, index=list("ABC"), columns=list("ABC"))) for cells in (matrix, JUDGEMENTS)
    )
    assert read.table["weight"].to_list() == pytest.approx(plain.table["weight"].to_list(), abs=1e-12)


@pytest.mark.parametrize("junk", ["三分之一", "1/0", "1//3"])
def test_a_judgement_that_is_no_number_is_named(junk: str):
    matrix = [row[:] for row in JUDGEMENTS]
    matrix[1][0] = junk
    with pytest.raises(DataError, match=junk):
        dj.ahp(pd.DataFrame(matrix, index=list("ABC"), columns=list("ABC")))


def test_a_frame_with_numbers_for_headers_is_read(codebook):  # noqa: F811
    given = frame().set_axis([0, 1, 2, 3], axis=1)
    columns = {"unit": "0", "A": "1", "B": "2", "age": "3"}
    same_as_truth(scores(given, codebook, columns))
    assert np.array_equal(given.columns, [0, 1, 2, 3])
