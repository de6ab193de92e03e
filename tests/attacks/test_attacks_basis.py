"""An attacker who publishes the same people twice, counted otherwise, and subtracts: each pair must be stopped."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import nbformat
import nbformat.v4 as v4
import numpy as np
import pandas as pd
import pytest
from offices import CODEBOOK, CONSENT, PERIOD, SIZES, executed, office, people, shown, without_a_kernel, write_wave

import dj_analysis as dj
from dj_analysis import methods
from dj_analysis.errors import UsageError
from dj_analysis.measure.survey import Survey

pytestmark = pytest.mark.filterwarnings("ignore::dj_analysis.errors.DjWarning")

WEIGHTED = CODEBOOK + "w,,权数,weight,,,,\n"


@pytest.fixture
def ws(tmp_path: Path) -> dj.Workspace:
    return dj.open_workspace(office(tmp_path / "office", people()))


# --- The same people, weighted or not -----------------------------------------------------------------------------


def test_a_weighted_result_is_not_published_beside_the_unweighted(tmp_path: Path):
    """With weights 1 but for one person, the two totals give that person's answer exactly."""
    every = people()
    weight = np.ones(len(every))
    weight[17] = 3
    folder = office(tmp_path / "office", every.assign(w=weight))
    (folder / "codebook.csv").write_text(WEIGHTED, "utf-8")
    ws = dj.open_workspace(folder)
    weighted, plan = ws.survey(PERIOD), ws.release_plan(PERIOD)
    plain = replace(weighted, weight=None)
    mine, others = (dj.score(survey, by="branch").at("ALL", "Q1") for survey in (weighted, plain))
    answer = (mine.score * weight.sum() - others.score * len(every)) / 2
    assert answer / 25 + 1 == pytest.approx(every["Q1"].iloc[17]), "the control: the attack works on exact numbers"
    assert dj.protect(dj.score(weighted, by="branch"), plan).table["score"].notna().any()
    for result in (dj.score(plain, by="branch"), dj.score(plain, by="branch").where(unit="ALL"), dj.score(plain)):
        with pytest.raises(UsageError, match="权重"):
            dj.protect(result, plan)


# --- The same wave, less one person -------------------------------------------------------------------------------

LESS_ONE: dict[str, Callable[[Survey], dj.Result]] = {
    "one level": lambda survey: dj.score(survey, by="branch").where(level="branch"),
    "one row": lambda survey: dj.score(survey, by="branch").where(unit="B11", code="Q1"),
    "shares": lambda survey: dj.score(survey, by="branch").shares,
    "shrunken": lambda survey: methods.shrunken(dj.score(survey, by="branch"), "branch"),
    "item analysis": lambda survey: dj.reliability(survey).parts["items"],
    "reliability": dj.reliability,
    "agreement": lambda survey: dj.agreement(survey, "branch", draws=200),
    "agreement of units": lambda survey: dj.agreement(survey, "branch", draws=200).parts["units"],
    "contrast": lambda survey: dj.contrast(dj.score(survey, by="branch")),
    "differences": lambda survey: dj.differences(survey, ["age_band"]),
    "weights": lambda survey: methods.effective_weights(survey),
    "screening": lambda survey: dj.screen(survey).parts["summary"],
}


@pytest.mark.parametrize("name", LESS_ONE)
def test_no_function_publishes_a_wave_less_one_person(ws: dj.Workspace, name: str):
    survey, plan = ws.survey(PERIOD), ws.release_plan(PERIOD)
    make = LESS_ONE[name]
    assert dj.protect(make(survey), plan).table is not None
    with pytest.raises(UsageError, match="人员"):
        dj.protect(make(replace(survey, frame=survey.frame[1:])), plan)


def test_one_changed_answer_is_another_basis(ws: dj.Workspace):
    """The same people, one answer one step higher: the difference tells who changed it, were it known."""
    survey, plan = ws.survey(PERIOD), ws.release_plan(PERIOD)
    frame = pd.DataFrame(survey.frame.to_dict(as_series=False)) if hasattr(survey.frame, "to_dict") else survey.frame
    frame = frame.copy()
    frame.loc[0, "Q1"] = 5 if frame.loc[0, "Q1"] < 5 else 1
    with pytest.raises(UsageError, match="人员或其答案"):
        dj.protect(dj.score(replace(survey, frame=frame), by="branch"), plan)


# --- The same people in other groups ------------------------------------------------------------------------------


def test_a_group_recoded_under_the_same_name_is_another_basis(ws: dj.Workspace):
    """“44 and under” beside “45 and under” tells of those who are 45."""
    survey, plan = ws.survey(PERIOD), ws.release_plan(PERIOD)
    frame = pd.DataFrame(survey.frame.to_dict(as_series=False)) if hasattr(survey.frame, "to_dict") else survey.frame
    frame = frame.copy()
    oldest = frame.index[frame["age_band"] == "35岁及以下"][0]
    frame.loc[oldest, "age_band"] = "36岁及以上"
    recoded = replace(survey, frame=frame)
    for result in (
        dj.score(recoded, by="age_band"),
        dj.score(recoded, by="age_band").where(unit="35岁及以下"),
        dj.differences(recoded, ["age_band"]),
    ):
        with pytest.raises(UsageError, match="age_band 的类别"):
            dj.protect(result, plan)


def test_units_regrouped_twice_are_judged_by_what_was_published_in_between(tmp_path: Path, monkeypatch: Any):
    """Between the first grouping and the third 19 people moved, between the second and the third 6.

    Each hidden set is large enough by itself, at any time.
    """
    without_a_kernel(monkeypatch)
    sizes = {"B11": 30, "B12": 6, "B13": 7, "B14": 6, "B15": 6, "B16": 6, "B21": 40, "B22": 34}

    def grouped(*moved: str) -> str:
        rows = [f"{unit},{'C2' if unit in moved or unit[1] == '2' else 'C1'},branch,{unit}" for unit in sizes]
        return "unit,parent,level,name_zh\nC1,,city,东\nC2,,city,西\n" + "\n".join(rows) + "\n"

    def cities(folder: Path) -> dict[str, int]:
        ws = dj.open_workspace(folder)
        rows = shown(ws).reset_index()
        rows = rows[(rows["level"] == "city") & (rows["code"] == "INDEX")]
        return dict(zip(rows["unit"], rows["n"], strict=True))

    def history(folder: Path, between: bool) -> dict[str, int]:
        office(folder, people(sizes))
        (folder / "units.csv").write_text(grouped(), "utf-8")
        dj.open_workspace(folder).close(PERIOD)
        (folder / "units.csv").write_text(grouped("B12", "B13"), "utf-8")
        if between:
            dj.run_report("quarterly", folder, period=PERIOD)
            assert cities(folder) == {"C1": 48, "C2": 87}
        (folder / "units.csv").write_text(grouped("B12", "B13", "B14"), "utf-8")
        return cities(folder)

    assert history(tmp_path / "control", between=False) == {"C1": 42, "C2": 93}
    after = history(tmp_path / "published", between=True)
    assert after.get("C1") != 42
    assert after.get("C2") != 93


# --- A notebook that says another period than it shows ------------------------------------------------------------


def test_a_notebook_of_the_year_that_shows_an_open_wave_is_its_draft(tmp_path: Path):
    """Draft or final follows from the waves that the blocks used; one late answer does not count after it was sent."""
    every = people()
    folder = office(tmp_path / "office", every[:-1])
    ws = dj.open_workspace(folder)
    notebook = executed(ws)
    safe = dj.protect(ws.scores(PERIOD), ws.release_plan("2026"))
    block = dj.table(safe.where(code="INDEX", form="anchors"), caption="分单位")
    notebook.cells[2].outputs = [v4.new_output("display_data", block._repr_mimebundle_())]
    notebook.cells[0].source = notebook.cells[0].source.replace(f"'{PERIOD}'", "'2026'")
    path = tmp_path / "year.ipynb"
    nbformat.write(notebook, path)
    draft = ws.export(path, formats=["html"], out=tmp_path / "look")["html"].read_text("utf-8")
    assert "内部草稿" in draft
    assert ws.history.releases(PERIOD) == []
    sent = ws.export(path, formats=["html"], sent=PERIOD)["html"].read_text("utf-8")
    assert "内部草稿" not in sent
    write_wave(folder, every)
    later = dj.open_workspace(folder)
    later.close(PERIOD)
    assert later.scores(PERIOD).at("ALL", "INDEX").n == len(every) - 1
    assert later.record.payloads("close")[0]["late"] == 1


# --- Points and tables of one's own -------------------------------------------------------------------------------


def test_persons_drawn_on_borrowed_axes_do_not_get_into_a_sealed_figure(ws: dj.Workspace):
    safe = dj.protect(ws.scores(PERIOD), ws.release_plan(PERIOD))
    _, axes = plt.subplots()
    axes.plot(range(130), people()["Q1"].to_numpy(), "o")
    with pytest.raises(UsageError, match="own_figure"):
        dj.figure(dj.plot_scores, safe, level="branch", ax=axes)
    plt.close("all")


def test_own_work_on_persons_stays_in_drafts_with_its_mark(tmp_path: Path):
    folder = office(tmp_path / "office", people())
    ws = dj.open_workspace(folder)
    own = dj.own_table(pd.DataFrame({"unit": ["B11"], "score": [61.25]}), "我的算法")
    path = tmp_path / "own.ipynb"
    nbformat.write(executed(ws, blocks=(own,)), path)
    draft = ws.export(path, formats=["html"], out=tmp_path / "look")["html"].read_text("utf-8")
    assert "作者自行计算" in draft
    assert "未经披露控制" in draft
    with pytest.raises(dj.DjError, match="作者自行计算"):
        ws.export(path, formats=["html"], sent=PERIOD)
    ws.close(PERIOD)
    ws = dj.open_workspace(folder)
    nbformat.write(executed(ws, blocks=(own,)), path)
    with pytest.raises(dj.DjError, match="作者自行计算"):
        ws.export(path, formats=["html"])
    units = dj.own_table(pd.DataFrame({"unit": ["B11"], "meetings": [3]}), "会议次数", about="units")
    nbformat.write(executed(ws, blocks=(units,)), path)
    assert "作者自行计算" in ws.export(path, formats=["html"])["html"].read_text("utf-8")


def test_a_relabelled_table_does_not_pass(ws: dj.Workspace):
    scores, plan = ws.scores(PERIOD), ws.release_plan(PERIOD)
    table = scores.table.copy()
    table["unit"] = table["unit"].replace({"B11": "B12", "B12": "B11"})
    for relabelled in (scores.with_table(table), replace(scores, table=table)):
        with pytest.raises(UsageError, match="改动"):
            dj.protect(relabelled, plan)


# --- Branch indicators that count people --------------------------------------------------------------------------

INDICATORS = """code,parent,label_zh,role,direction,weight,minimum,maximum,about,rollup
BM,,对标,index,1,1,,,,
BM1,BM,组织,dimension,1,1,,,,
Z1,BM1,会议,item,1,1,0,100,units,mean
Z2,BM1,满意,item,1,1,0,100,persons,mean
"""
VALUES = """unit,period,code,value,n
B11,2026-09,Z1,80,
B12,2026-09,Z1,60,
B21,2026-09,Z1,70,
B22,2026-09,Z1,90,
B11,2026-09,Z2,55,6
B12,2026-09,Z2,75,30
B21,2026-09,Z2,65,40
B22,2026-09,Z2,85,34
"""


def test_a_dimension_over_a_hidden_leaf_and_a_roll_up_do_not_tell_it(tmp_path: Path):
    folder = office(tmp_path / "office", people())
    (folder / "indicators.csv").write_text(INDICATORS, "utf-8")
    (folder / "indicator_values.csv").write_text(VALUES, "utf-8")
    ws = dj.open_workspace(folder)
    exact = dj.score(ws.indicators("2026-09"))
    safe = dj.protect(exact, ws.release_plan("2026Q3")).table.set_index(["unit", "code"])["score"]
    for code in ("Z2", "BM1", "BM"):
        assert pd.isna(safe["B11", code]), code
    assert safe["B11", "Z1"] == 80, "about the branch: nothing is hidden, nothing is rounded to points"
    rows = exact.table.set_index(["unit", "code"])["score"]
    assert 2 * rows["B11", "BM1"] - rows["B11", "Z1"] == pytest.approx(55), "the control: the dimension tells the leaf"
    # The roll-up C1 = (B11 + B12) / 2 less its sibling would tell B11 too.
    assert pd.isna(safe["B12", "Z2"]) or pd.isna(safe["C1", "Z2"])
    assert not pd.isna(safe["B22", "Z2"])


def test_sizes_and_consent_are_those_of_the_office():
    assert sum(SIZES.values()) == len(people())
    assert "basis" in CONSENT
