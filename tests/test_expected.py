"""Declared counts: what a table must hold, said in words where it holds less or more."""

from __future__ import annotations

import re
from pathlib import Path

import pandas as pd
import pytest

import dj_analysis as dj
from dj_analysis.errors import DataError, Problems, SpecError
from dj_analysis.folder import check_folder
from dj_analysis.spec.expected import Expected, check_expected
from dj_analysis.spec.settings import read_settings

HEAD = "code,parent,label_zh,role,direction,weight,minimum,maximum,valid_from,valid_to\n"
UNITS = "unit,parent,level,type,name_zh\n" + "".join(f"B{i},,branch,党支部,第{i}支部\n" for i in range(1, 4))


def leaf(code: str, parent: str, ends: str = "") -> str:
    return f"{code},{parent},{code},item,1,1,0,100,,{ends}\n"


def elements(count: int) -> str:
    """One assessment of so many elements."""
    return HEAD + "Q,,质量双放心,index,1,1,,,,\n" + "".join(leaf(f"E{i:02d}", "Q") for i in range(1, count + 1))


def standards(aspects: int = 7, count: int = 30) -> str:
    """An assessment with its standards spread over aspects, beside another one."""
    rows = "W,,考评,index,1,1,,,,\nL,W,党风廉政责任制,dimension,1,1,,,,\nX,W,其他,item,1,1,0,100,,\n"
    rows += "".join(f"L{a},L,方面{a},dimension,1,1,,,,\n" for a in range(aspects))
    return HEAD + rows + "".join(leaf(f"S{i:02d}", f"L{i % aspects}") for i in range(count))


def write(folder: Path, expect: str, **tables: str) -> Path:
    files = {"workspace.toml": f'name = "试点"\n\n{expect}\n', "units.csv": UNITS}
    files |= {f"{name}.csv": text for name, text in tables.items()}
    for name, text in files.items():
        (folder / name).write_text(text, encoding="utf-8")
    return folder


def counts(folder: Path) -> list[tuple[str, str, str]]:
    """Place, finding and what is allowed of every count that is not met; there is no other problem."""
    table = check_folder(folder).table
    assert set(table["rule"]) <= {"count"}, table.to_string()
    return list(table[["place", "found", "allowed"]].itertuples(index=False, name=None))


def test_thirty_five_of_thirty_six_elements_stop_everything_in_words(tmp_path):
    folder = write(tmp_path, "[expect.indicators]\nleaves = 36", indicators=elements(35))
    ((place, found, allowed),) = counts(folder)
    assert (place, allowed) == ("indicators.csv: leaves", "36")
    assert "应为36项,缺1项 (36 leaves are declared, 1 is missing)" in found
    with pytest.raises(SpecError, match="应为36项,缺1项"):
        dj.open_workspace(folder)
    with pytest.raises(SpecError, match="36 leaves are declared, 1 is missing"):
        dj.run_report("assessment", folder, period="2026-09")
    assert not (folder / "reports").exists()


def test_as_many_as_declared_are_no_problem(tmp_path):
    folder = write(tmp_path, "[expect.indicators]\nleaves = 36", indicators=elements(36))
    assert counts(folder) == []
    assert len(dj.open_workspace(folder).spec.indicators.leaves) == 36


def test_too_many_are_said_too(tmp_path):
    folder = write(tmp_path, "[expect.indicators]\nleaves = 36", indicators=elements(38))
    assert "应为36项,多2项 (36 leaves are declared, 2 are too many)" in counts(folder)[0][1]


@pytest.mark.parametrize(
    ("aspects", "count", "said"),
    [(7, 30, []), (6, 30, ["应为7个方面,缺1个方面"]), (7, 29, ["应为30项,缺1项"]), (8, 31, ["多1个方面", "多1项"])],
)
def test_seven_aspects_and_thirty_standards_below_one_node(tmp_path, aspects, count, said):
    expect = '[[expect.indicators]]\nbelow = "L"\naspects = 7\nleaves = 30\n[[expect.indicators]]\naspects = 2'
    problems = counts(write(tmp_path, expect, indicators=standards(aspects, count)))
    assert len(problems) == len(said)
    for (place, found, _), words in zip(problems, said, strict=True):
        assert words in found
        assert place.endswith("below = L")


def test_eight_assessments_right_below_the_top(tmp_path):
    eight = elements(8)
    assert counts(write(tmp_path, "[expect.indicators]\naspects = 8", indicators=eight)) == []
    seven = eight.replace(leaf("E08", "Q"), "")
    assert "缺1个方面" in counts(write(tmp_path, "[expect.indicators]\naspects = 8", indicators=seven))[0][1]


def test_the_version_in_force_is_counted(tmp_path):
    text = elements(3) + leaf("E90", "Q", "2025-12") + leaf("E91", "Q", "2025-12")
    assert counts(write(tmp_path, "[expect.indicators]\nleaves = 3", indicators=text)) == []
    assert "多2项" not in str(counts(write(tmp_path, "[expect.indicators]\nleaves = 5", indicators=text)))


def test_any_table_counts_by_its_columns(tmp_path):
    teams = "team,branch,period,star\n" + "".join(f"T{i},B{1 + i % 2},2026,3\n" for i in range(4))
    teams += "T0,B1,2025,2\n"  # the same team in another year is no further team
    ratings = "rater,role,unit,period,value\nR1,督导组,B1,2026,90\nR1,督导组,B2,2026,80\nB1,self,B1,2026,95\n"
    expect = """
[expect.units]
type = "党支部"
unit = 3
[expect.teams]
team = 4
branch = 3
[[expect.ratings]]
role = "督导组"
unit = 3
"""
    folder = write(tmp_path, expect, teams=teams, ratings=ratings, indicators=elements(2))
    said = counts(folder)
    assert [place for place, *_ in said] == ["teams.csv: branch", "ratings.csv: unit, role = 督导组"]
    assert all("应为3条,缺1条 (3 items are declared, 1 is missing)" in found for _, found, _ in said)
    ws = dj.open_workspace(folder)  # units hold: data are checked when they are read
    for read in (ws.teams, ws.ratings):
        with pytest.raises(DataError, match="应为3条,缺1条"):
            read()


def test_a_table_that_is_not_there_holds_nothing(tmp_path):
    ((place, found, _),) = counts(write(tmp_path, "[expect.teams]\nteam = 113"))
    assert place == "teams: team"
    assert "现有0条,应为113条,缺113条" in found


def test_the_sentence_of_113_items():
    """The table of items comes later; the check is the same for every table that is read."""
    problems = Problems()
    items = pd.DataFrame({"thing": [f"P{i:03d}" for i in range(112)] + ["P000"], "kind": "点检"})
    items.loc[113] = ["", "点检"]
    check_expected([Expected("coverage", {"thing": 113}, {"kind": "点检"})], items, "coverage.csv", problems)
    (problem,) = problems
    assert "应为113条,缺1条 (113 items are declared, 1 is missing)" in problem.found
    assert re.search("[一-鿿]", problem.advice)
    assert "correct the count" in problem.advice


@pytest.mark.parametrize(
    ("expect", "rule"),
    [
        ("[expect.nothing]\nrows = 1", "unknown_table"),
        ("[expect.responses]\nunit = 1", "unknown_table"),
        ("[expect.teams]\nleaves = 1", "unknown_setting"),
        ('[expect.teams]\nbelow = "B1"\nteam = 1', "unknown_setting"),
        ("[expect.indicators]\nleaves = 0", "range"),
        ("[expect.indicators]\nleaves = true", "wrong_type"),
        ('[expect.indicators]\nleaves = "36"', "wrong_type"),
        ('[expect.indicators]\nbelow = "Q"', "no_count"),
        ("[expect]\nindicators = 36", "wrong_type"),
        ("expect = 36", "wrong_type"),
    ],
)
def test_what_is_declared_wrongly_is_named(tmp_path, expect, rule):
    problems = Problems()
    read_settings(write(tmp_path, expect), problems)
    assert rule in set(problems.table["rule"])
    assert (problems.table[["place", "found", "allowed", "advice"]] != "").all(axis=None)


def test_a_node_that_is_not_there_is_named(tmp_path):
    folder = write(tmp_path, '[expect.indicators]\nbelow = "Z"\nleaves = 3', indicators=elements(3))
    assert check_folder(folder).table["rule"].tolist() == ["unknown_code"]


def test_an_unreadable_table_is_named_once(tmp_path):
    folder = write(tmp_path, "[expect.teams]\nteam = 3", teams="")
    assert check_folder(folder).table["rule"].tolist() == ["empty_file"]
