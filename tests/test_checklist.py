"""Checklists by hand, and the demo's score sheets: what is planted is found, and nothing where nothing is.

The share interval is Wilson's formula worked out by hand. Rates of the demo's draws are held against 99 % binomial intervals.
"""

from __future__ import annotations

import re

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from trials import trials

import dj_analysis as dj
from dj_analysis import methods
from dj_analysis.demo.score_marks import draw_marks
from dj_analysis.errors import DataError, SpecError, UsageError
from dj_analysis.measure.raters.reciprocity import dyadic

RUBRICS = """code,parent,label_zh,label_en,weight,minimum,maximum,types,raters,kind
SY,,四个一,The four ones,,,,,officials,checklist
SY1,SY,大会,Meeting,1,0,1,,,
SY2,SY,表格,Form,1,0,1,,,
KP,,考评,Assessment,,,,,officials,
KP1,KP,任务,Tasks,1,0,100,,,
KP2,KP,资料,Records,1,0,100,,,
"""
ROWS = [
    ("T1", "检查组", "B1", "SY1", 1), ("T1", "检查组", "B1", "SY2", 1),
    ("T1", "检查组", "B2", "SY1", 1), ("T1", "检查组", "B2", "SY2", 1), ("T2", "检查组", "B2", "SY2", 0),
    ("B2", "自评", "B2", "SY1", 1), ("B2", "自评", "B2", "SY2", 1),
    ("B3", "自评", "B3", "SY1", 1), ("B3", "自评", "B3", "SY2", 1),
    ("T2", "检查组", "B4", "SY1", 1),
    ("T1", "检查组", "B1", "KP1", 80), ("T1", "检查组", "B1", "KP2", 70), ("B1", "自评", "B1", "KP1", 90), ("B1", "自评", "B1", "KP2", 84),
    ("T1", "检查组", "B2", "KP1", 60), ("T1", "检查组", "B2", "KP2", 70), ("B2", "自评", "B2", "KP1", 70), ("B2", "自评", "B2", "KP2", 80),
]  # fmt: skip


def office(folder, rubrics: str = RUBRICS, rows=ROWS):
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "workspace.toml").write_text('name = "试"\nname_en = "Test"\n', "utf-8")
    units = "unit,parent,level,type,name_zh,name_en\n" + "".join(
        f"B{i},,branch,党支部,第{i}支部,Branch {i}\n" for i in range(1, 5)
    )
    (folder / "units.csv").write_text(units, "utf-8")
    (folder / "rubrics.csv").write_text(rubrics, "utf-8")
    lines = [f"{rater},{role},{unit},2026,{code},{value}\n" for rater, role, unit, code, value in rows]
    (folder / "ratings.csv").write_text("rater,role,unit,period,code,value\n" + "".join(lines), "utf-8")
    return folder


def test_what_inspectors_saw_counts_and_the_own_word_where_nobody_looked(tmp_path):
    ratings = dj.open_workspace(office(tmp_path / "ws")).ratings("2026")
    told = methods.checklist(ratings, rubric="SY", gap=dj.rate(ratings, rubric="KP"))
    table = told.table.set_index("unit")
    assert table["held"].tolist() == [2, 1, 2, 1]
    assert table["lacking"].tolist() == ["", "SY2", "", ""], (
        "one of two inspectors did not see it, whatever its own word"
    )
    assert table["meets_all"].astype(object).tolist()[:3] == [True, False, True]
    assert pd.isna(table.loc["B4", "meets_all"])
    assert table["n"].tolist() == [1, 2, 0, 1]
    assert table["reason"].tolist() == ["", "", "own_word_only", "items_not_marked"]
    assert table.loc[["B1", "B2"], "difference"].tolist() == [12, 10]
    assert table.loc[["B3", "B4"], "difference"].isna().all()
    shares = told.shares.table.set_index("code")
    assert shares[["held", "units"]].to_numpy().tolist() == [[4, 4], [2, 3], [2, 3]]
    z, p, n = stats.norm.ppf(0.975), 2 / 3, 3
    middle, half = p + z**2 / (2 * n), z * np.sqrt(p * (1 - p) / n + z**2 / (4 * n**2))
    wilson = [(middle - half) / (1 + z**2 / n), (middle + half) / (1 + z**2 / n)]
    np.testing.assert_allclose(shares.loc["*", ["low", "high"]].astype(float), wilson)


def test_a_checklist_is_never_averaged_and_points_are_no_checklist(tmp_path):
    ws = dj.open_workspace(office(tmp_path / "ws"))
    ratings = ws.ratings("2026")
    assert ws.rated("2026-12") == [("KP", "2026")]
    assert ws.rated("2026-12", kind="checklist") == [("SY", "2026")]
    with pytest.raises(UsageError, match=r"methods\.checklist"):
        dj.rate(ratings, rubric="SY")
    with pytest.raises(UsageError, match="kind 写 checklist"):
        methods.checklist(ratings, rubric="KP")
    frame = pd.DataFrame({"unit": ["A"], "code": ["x"], "score": [0.5], "period": "2026", "rater": "T", "kind": "self"})
    with pytest.raises(UsageError, match="只有 1 和 0"):
        methods.checklist(frame)


@pytest.mark.parametrize(
    ("rubrics", "rows", "rule"),
    [
        (RUBRICS.replace("officials,checklist", "people,checklist"), ROWS, "checklist_raters"),
        (RUBRICS.replace("Form,1,0,1", "Form,1,0,100"), ROWS, "checklist_range"),
        (RUBRICS.replace("checklist", "list"), ROWS, "choice"),
        (RUBRICS, [*ROWS, ("T3", "检查组", "B3", "SY1", 0.5)], "neither_yes_nor_no"),
        (RUBRICS, [*ROWS, ("T3", "检查组", "B3", "SY1", 2)], "out_of_range"),
    ],
)
def test_faults_of_checklists_are_named(tmp_path, rubrics, rows, rule):
    with pytest.raises((SpecError, DataError)) as caught:
        dj.open_workspace(office(tmp_path / "ws", rubrics, rows)).ratings("2026")
    assert rule in set(caught.value.problems.table["rule"])


# --- The demo -----------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def companies():
    return {
        planted: dj.make_company(employees=1500, branches=40, quarters=2, seed=4, planted=planted)
        for planted in (True, False)
    }


@pytest.fixture(scope="module")
def offices(companies, tmp_path_factory):
    place = tmp_path_factory.mktemp("sheets")
    return {
        planted: dj.open_workspace(one.write(place / str(planted), closed=False)) for planted, one in companies.items()
    }


def test_what_is_lacking_is_what_was_planted(companies, offices):
    for planted, ws in offices.items():
        told = methods.checklist(ws.ratings("2026Q3"), rubric="SY")
        lacking = told.table[told.table["lacking"] != ""]
        short = {(row.unit, item) for row in lacking.itertuples() for item in row.lacking.split("、")}
        truth = companies[planted].planted.query("kind == 'lacks_item'")
        assert short == set(zip(truth["unit"], truth["code"], strict=True))
        assert (len(short) == 4) == planted


def test_a_branch_people_are_not_satisfied_with_is_the_planted_one(companies, offices):
    for planted, ws in offices.items():
        rating = dj.rate(ws.ratings("2026Q3"), rubric="QZ")
        assert rating.about == "persons"
        table = dj.protect(rating, ws.release_plan("2026Q3")).table.set_index("unit")
        assert table["score"].isna().sum() == 1, "one branch was judged by four people"
        z = ((table["score"] - table["score"].mean()) / table["se"]).dropna().astype(float)
        truth = companies[planted].planted.query("kind == 'low_satisfaction'")["unit"].tolist()
        assert ([z.idxmin()] if planted else []) == truth
        assert (z.min() < -4) == planted
        low, high = stats.chi2.interval(0.999, len(z) - 1)
        assert planted or low < (z**2).sum() < high


def mutual(company, seed: int, planted: bool, period: str) -> np.ndarray:
    """Marks of rater × target, averaged over items."""
    marks = draw_marks(company.spec.units, company.periods[-1], seed, planted)
    own = marks[marks["code"].isin(["HC1", "HC2"]) & (marks["period"] == period)].astype({"value": float})
    return own.pivot_table(index="rater", columns="unit", values="value").to_numpy()


def test_returned_marks_and_a_strict_branch_are_found_only_where_they_are(companies):
    """200 draws (a part of them every day): a branch stricter by 9 points in the first set, marks returned at .95 in the second."""
    draws = trials(200, 60)
    seen = {
        (planted, period): [
            (marks := mutual(companies[planted], seed, planted, period), dyadic(marks)[0]) for seed in range(draws)
        ]
        for planted in (True, False) for period in ("2026Q2", "2026Q3")
    }  # fmt: skip
    most = stats.binom.interval(0.99, draws, 0.05)[1]
    returned = {
        key: sum(told["p"] <= 0.05 and told["estimate"] > 0 for _, told in told_of) for key, told_of in seen.items()
    }
    assert returned.pop((True, "2026Q3")) >= 0.95 * draws
    assert max(returned.values()) <= most
    strictest = {
        key: sum(np.nanmean(marks, axis=1).argmin() == 0 for marks, _ in told_of) for key, told_of in seen.items()
    }
    assert strictest.pop((True, "2026Q2")) >= 0.95 * draws
    assert max(strictest.values()) <= stats.binom.interval(0.99, draws, 1 / 6)[1]


def test_a_small_enterprise_has_no_sets_that_inspect_each_other():
    tiny = dj.make_company(employees=40, branches=4, quarters=1)
    assert "HC1" not in set(draw_marks(tiny.spec.units, "2026Q3", 1, planted=True)["code"])
    assert "returned_marks" not in set(tiny.planted["kind"])


@pytest.mark.parametrize("lang", ["zh", pytest.param("en", marks=pytest.mark.everything)])
def test_the_assessment_tells_of_lists_mutual_inspection_and_people(offices, tmp_path, lang):
    run = dj.run_report("assessment", offices[True].folder, period="2026-09", lang=lang, formats=["html"], out=tmp_path)
    text = re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", run.files["html"].read_text("utf-8").split("<body", 1)[1]))
    said = {
        "zh": ("缺汇报的2个", "个齐全（占", "互给高分、互给低分的情况超出偶然", "未见互给高分或低分超出偶然", "满意度不参加排序",
               "6个单位两两互评", "核对清单：四个一"),
        "en": ("Report lacking:", "have all of it (", "high marks are returned with high and low with low beyond chance",
               "marks are not returned beyond chance", "ranks nobody", "6 units judged each other", "Checklist: The four ones"),
    }[lang]  # fmt: skip
    for words in said:
        assert words in text, words
    assert {"zh": "评审：群众评议", "en": "Jury: Opinion"}[lang] not in text, "what people say ranks nobody"


@pytest.mark.everything
def test_without_such_sheets_nothing_is_said(tmp_path):
    company = dj.make_company(employees=600, branches=14, quarters=1, seed=2)
    folder = company.write(tmp_path / "ws", closed=False)
    marks = pd.read_csv(folder / "ratings.csv", dtype=str, keep_default_na=False)
    marks[marks["code"].str[:2].isin(["KP", "JB"])].to_csv(folder / "ratings.csv", index=False)
    run = dj.run_report("assessment", folder, period="2026-09", lang="zh", formats=["html"])
    text = run.files["html"].read_text("utf-8").split("<body", 1)[1]
    assert "自评与检查组考评" in text
    assert not re.search("互学互查|互查|四个一|核对清单|满意度", text)
