"""Codes of units and categories: what could leave a folder, or be taken for a total or a cross, is refused by name."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import polars as pl
import pytest
from offices import PERIOD, UNITS, office, people

import dj_analysis as dj
from dj_analysis.errors import DjError, SpecError
from dj_analysis.measure.intake.identifiers import identifying_name
from dj_analysis.publish.notebooks import file_name
from dj_analysis.spec.codes import category_fault, code_fault, derived_codes

pytestmark = pytest.mark.filterwarnings("ignore::dj_analysis.errors.DjWarning")

BAD_CODES = ["../x", "a/b", "a\\b", "C:", "a×b", "..", "CON", "nul.txt", "all", "a\u202eb", "a\tb", ".hidden", "LPT1"]
GOOD_CODES = ["B11", "一支部", "B-1.2", "CONTROL", "党委（机关）", "A 1", "ALLEN"]


@pytest.mark.parametrize("code", BAD_CODES)
def test_a_bad_code_of_a_unit_is_refused_by_name(tmp_path: Path, code: str):
    path = tmp_path / "units.csv"
    pd.DataFrame({"unit": [code], "parent": [""], "level": ["branch"]}).to_csv(path, index=False)
    assert code_fault(code)
    with pytest.raises(SpecError, match="bad_code"):
        dj.read_units(path)


@pytest.mark.parametrize("code", GOOD_CODES)
def test_an_ordinary_code_is_taken(tmp_path: Path, code: str):
    path = tmp_path / "units.csv"
    pd.DataFrame({"unit": [code], "parent": [""], "level": ["branch"]}).to_csv(path, index=False)
    assert code in dj.read_units(path)


def test_all_bad_codes_are_listed_at_once(tmp_path: Path):
    path = tmp_path / "units.csv"
    path.write_text(UNITS + "../x,C1,branch,甲\na×b,C1,branch,乙\n", "utf-8")
    with pytest.raises(SpecError) as error:
        dj.read_units(path)
    assert "../x" in str(error.value)
    assert "a×b" in str(error.value)


@pytest.mark.parametrize("category", ["甲×乙", "ALL", "all ", "甲\u202e乙", "甲\x07"])
@pytest.mark.parametrize("kind", [pd.DataFrame, pl.DataFrame])
def test_a_category_that_could_be_taken_for_a_total_or_a_cross_is_refused(tmp_path: Path, category: str, kind):
    every = people()
    every.loc[0, "age_band"] = category
    folder = office(tmp_path / "office", people())
    spec = dj.open_workspace(folder).spec
    frame = kind(every.drop(columns="序号").to_dict("list"))
    with pytest.raises(DjError, match="bad_category"):
        dj.read_survey(frame, spec.codebook, units=spec.units, period=PERIOD)
    assert category_fault(category)


@pytest.mark.parametrize("category", ["中级/高级", "2:00-6:00", "A & B", "<30岁"])
def test_a_slash_or_colon_in_a_category_is_ordinary(tmp_path: Path, category: str):
    every = people()
    every["age_band"] = every["age_band"].replace({"35岁及以下": category})
    ws = dj.open_workspace(office(tmp_path / "office", every))
    assert category in set(dj.protect(ws.scores(PERIOD), ws.release_plan(PERIOD)).table["unit"])


@pytest.mark.parametrize("name", BAD_CODES)
def test_a_file_name_stays_in_its_folder(tmp_path: Path, name: str):
    path = (tmp_path / f"{file_name(name)}.html").resolve()
    assert path.parent == tmp_path.resolve()
    assert file_name(name).split(".")[0].casefold() not in {"con", "nul", "lpt1"}


@pytest.mark.parametrize(("header", "asks"), [("您叫什么", True), ("这项工作叫什么", False), ("本人叫什么名字", True)])
def test_a_header_that_asks_for_a_name_stops_the_file(header: str, asks: bool):
    assert identifying_name(header) is asks


def test_who_filled_in_the_sheet_is_held_back_where_it_holds_names(tmp_path: Path):
    """The same header may hold roles, and then it is an ordinary column."""
    every = people()
    names = [f"{family}{given}" for family in "王李张刘陈" for given in ("一", "二小", "三", "四", "五")]
    named = every.assign(填表人=[names[i % len(names)] for i in range(len(every))])
    roles = every.assign(填表人=["班组长", "员工", "高级工"] * (len(every) // 3) + ["员工"] * (len(every) % 3))
    with pytest.raises(DjError, match=r"填表人.*identifier_content"):
        dj.open_workspace(office(tmp_path / "names", named)).scores(PERIOD)
    assert dj.open_workspace(office(tmp_path / "roles", roles)).scores(PERIOD).at("ALL", "INDEX").n == len(every)


@pytest.mark.parametrize("kind", [pd.DataFrame, pl.DataFrame])
def test_codes_made_of_names_in_the_data_are_sound_and_keep_the_name(tmp_path: Path, kind):
    every = people()
    names = {"B11": "一/二联合支部", "B12": "ALL", "B21": "甲×乙", "B22": "四支部"}
    frame = kind(every.assign(unit=every["unit"].map(names)).drop(columns="序号").to_dict("list"))
    codebook = dj.open_workspace(office(tmp_path / "office", every)).spec.codebook
    survey = dj.read_survey(frame, codebook, period=PERIOD)
    units = survey.spec.units
    assert {unit.name_zh for unit in units.rows} == set(names.values())
    assert not [unit.unit for unit in units.rows if code_fault(unit.unit)]
    scores = dj.score(survey, by="unit")
    for code, name in names.items():
        assert scores.at(units.find(name) if name != "ALL" else "_ALL", "INDEX").n == (every["unit"] == code).sum()
    assert scores.at("ALL", "INDEX").n == len(every)


def test_two_names_never_share_a_code():
    codes = derived_codes(["a/b", "a_b", "a:b", "a\\b", "CON", "con", ".."])
    assert len({code.casefold() for code in codes.values()}) == len(codes)
    assert not [code for code in codes.values() if code_fault(code)]
