"""Satisfaction of the people served beside quantity and quality: by hand, at its rate, in the report, and nowhere without it.

Rates are accepted inside the 99 % binomial interval of 1,000 draws; the correlation is scipy's.
"""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from test_branches import indicators, spec_of
from test_plane import SPAN, tree, values
from trials import trials

import dj_analysis as dj
from dj_analysis import methods
from dj_analysis.errors import UsageError
from dj_analysis.judge.satisfaction import spearman
from dj_analysis.publish.blocks import MIME

POOR, FEW = "B03", "B05"  # a branch that does much but poorly, and one of which four people were asked


def sheets(says: np.ndarray, people: int = 20, few: int = 4, seed: int = 1) -> pd.DataFrame:
    """Marks of so many people of each branch about it, around what its people say; of one branch only a few."""
    rng = np.random.default_rng(seed)
    rows = [
        (f"B{i:02d}", f"B{i:02d}-{p}", "2026Q3", float(np.clip(round(said + rng.normal(0, 8), 1), 0, 100)))
        for i, said in enumerate(says)
        for p in range(few if f"B{i:02d}" == FEW else people)
    ]
    return pd.DataFrame(rows, columns=["unit", "rater", "period", "score"]).assign(kind="inspection")


def placed(units: int = 12, seed: int = 1) -> dj.Result:
    rng = np.random.default_rng(seed)
    quantity, quality = rng.normal(60, 8, units), rng.normal(60, 8, units)
    quantity[3], quality[3] = 85, 30
    return methods.plane(indicators(values(quantity, quality, seed=seed), spec_of(units, tree()), SPAN), "branch")


def test_each_unit_has_what_its_people_say_beside_its_quadrant():
    plane, marks = placed(), sheets(np.linspace(80, 50, 12))
    result = methods.satisfaction(plane, dj.rate(marks, spec=plane.spec))
    table = result.table.set_index("unit")
    assert table.index.tolist() == plane.table["unit"].tolist()
    assert table["quadrant"].tolist() == plane.table["quadrant"].tolist()
    assert table.loc[POOR, "quadrant"] == "many_poor"
    assert set(table["reason"]) == {""}, "people judge the unit that serves them and no other: that is no fault"
    for unit, given in marks.groupby("unit")["score"]:
        mean, error = given.mean(), given.std() / np.sqrt(len(given))
        half = stats.t.ppf(0.975, len(given) - 1) * error
        row = table.loc[unit]
        assert (row["n"], row["satisfaction"]) == (len(given), pytest.approx(mean))
        assert (row["low"], row["high"]) == (pytest.approx(mean - half), pytest.approx(mean + half))
    association = result.parts["association"].table.set_index("statistic")
    kept = plane.table[plane.table["unit"] != FEW]
    said = table["satisfaction"].drop(FEW)
    for axis in ("quantity", "quality"):
        rho, p = stats.spearmanr(kept[axis], said)
        row = association.loc[axis]
        assert (row["estimate"], row["p"]) == (pytest.approx(rho), pytest.approx(p))
        assert (row["units"], row["n"]) == (11, 11 * 20), "the branch of four people takes no part"
        assert row["low"] < rho < row["high"]


def test_what_few_people_say_is_hidden_and_what_the_association_rests_on_are_the_others():
    plane = placed()
    result = methods.satisfaction(plane, dj.rate(sheets(np.full(12, 70.0)), spec=plane.spec))
    safe = dj.protect(result)
    table = safe.printed().table.set_index("unit")
    assert table.loc[FEW, ["n", "satisfaction", "se", "low", "high"]].isna().all()
    assert table.loc[FEW, "quadrant"] == "", "the row is hidden whole"
    assert table["satisfaction"].drop(FEW).notna().all()
    assert safe.part("association").printed().table["estimate"].notna().all()
    alone = methods.satisfaction(plane, dj.rate(sheets(np.full(12, 70.0), few=20), spec=plane.spec))
    assert alone.parts["association"].table["units"].tolist() == [12, 12]


def test_officials_are_not_the_people_served_and_other_units_are_not_these():
    plane = placed()
    with pytest.raises(UsageError, match=r"raters = people"):
        methods.satisfaction(plane, dj.rate(sheets(np.full(12, 70.0)), spec=plane.spec, officials=True))
    other = sheets(np.full(12, 70.0)).assign(unit="ALL", rater=lambda table: table["rater"])
    with pytest.raises(UsageError, match="没有这些单位"):
        methods.satisfaction(plane, dj.rate(other, spec=plane.spec))


@pytest.mark.parametrize("units", [1, 4])
def test_of_few_units_no_association_is_told(units):
    given = values(np.full(units, 60.0), np.full(units, 60.0))
    plane = methods.plane(indicators(given, spec_of(units, tree()), SPAN), "branch")
    result = methods.satisfaction(plane, dj.rate(sheets(np.full(units, 70.0)), spec=plane.spec))
    association = result.parts["association"].table
    assert association["estimate"].isna().all()
    assert set(association["reason"]) == {"too_few_to_judge"}


@pytest.mark.parametrize(("units", "true"), [(12, 0.0), (40, 0.0), (40, 0.6)])
def test_an_association_is_found_at_its_rate(units, true):
    """Nothing planted: p ≤ .05 in 5 % of 1,000. The interval holds the population's ρ, 6/π·arcsin(r/2) of a normal pair."""
    rng, draws = np.random.default_rng(units), trials(1000)
    population = 6 / np.pi * np.arcsin(true / 2)
    small, held = 0, 0
    for _ in range(draws):
        x = rng.standard_normal(units)
        _, low, high, p = spearman(x, true * x + np.sqrt(1 - true**2) * rng.standard_normal(units))
        small += p <= 0.05
        held += low <= population <= high
    least, most = stats.binom.interval(0.99, draws, 0.05)
    assert held >= stats.binom.ppf(0.005, draws, 0.95)
    if true == 0:
        assert least <= small <= most
    else:
        assert small > 0.95 * draws


# --- In the report ------------------------------------------------------------------------------------------------------


def office(folder: Path, *, asked: bool = True, raters: str = "people") -> dj.Workspace:
    """Sixteen branches over eight months with indicators of quantity and quality; people are asked about each."""
    rng = np.random.default_rng(5)
    many, good = rng.normal(60, 8, 16), rng.normal(60, 8, 16)
    many[3], good[3] = 88, 25
    says = np.clip(40 + 0.6 * good + rng.normal(0, 2, 16), 0, 100)
    rows = ["unit,period,code,value"]
    for month in range(2, 10):
        for b in range(16):
            rows += [
                f"B{b:02d},2026-{month:02d},{code}{k},{np.clip(level + rng.normal(0, 4), 0, 100):.1f}"
                for code, level in (("N", many[b]), ("G", good[b]))
                for k in range(3)
            ]
    tree_ = ["code,parent,label_zh,label_en,role,direction,weight,minimum,maximum,about,nature"]
    tree_ += ["BM,,对标,Benchmark,index,1,,,,,"]
    for code, zh, en, nature in (("N", "活动", "Activity", "数量"), ("G", "成效", "Result", "质量")):
        tree_ += [f"{code}{k},BM,{zh}{k},{en} {k},item,1,1,0,100,units,{nature}" for k in range(3)]
    units = ["unit,parent,level,type,name_zh,name_en"]
    units += [f"B{b:02d},,branch,党支部,第{b}党支部,Branch {b}" for b in range(16)]
    files = {"units.csv": units, "indicators.csv": tree_, "indicator_values.csv": rows}
    files["workspace.toml"] = ['name = "试"', 'name_en = "Test"', 'office_en = "Office"', 'recipient_en = "Committee"']
    if asked:
        files["rubrics.csv"] = ["code,parent,label_zh,label_en,weight,minimum,maximum,types,raters"]
        files["rubrics.csv"] += [f"QZ,,群众评议,Opinion of the people,,,,,{raters}", "QZ1,QZ,满意,Satisfied,1,0,100,,"]
        given = sheets(says, people=15)
        files["ratings.csv"] = ["rater,role,unit,period,code,value"]
        files["ratings.csv"] += [
            f"{row.rater},群众,{row.unit},2026Q3,QZ1,{row.score}" for row in given.itertuples(index=False)
        ]
    folder.mkdir(parents=True)
    for name, lines in files.items():
        (folder / name).write_text("\n".join([*lines, ""]), encoding="utf-8")
    return dj.open_workspace(folder)


def shown(ws: dj.Workspace, lang: str) -> tuple[str, dict[str, list[list[str]]]]:
    """The words of the assessment, and its tables by caption."""
    import nbformat

    run = dj.run_report("assessment", ws.folder, period="2026-09", lang=lang, formats=["html"])
    assert run.manifest["dropped"] == []
    body = run.files["html"].read_text("utf-8").split("<body", 1)[1]
    blocks = [o["data"].get(MIME) for c in nbformat.read(run.files["ipynb"], 4).cells for o in c.get("outputs", [])]
    tables = {b["content"]["caption"]: b["content"]["rows"] for b in blocks if b is not None and b["kind"] == "table"}
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", body)), tables


@pytest.mark.parametrize("lang", ["zh", pytest.param("en", marks=pytest.mark.everything)])
def test_the_assessment_shows_satisfaction_beside_the_quadrants(tmp_path, lang):
    ws = office(tmp_path / "o")
    text, tables = shown(ws, lang)
    caption = {
        "zh": "各单位的群众满意度：群众评议（2026年三季度）",
        "en": "Satisfaction of the people served: Opinion of the people (2026Q3)",
    }
    rows = {row[0]: row[1:] for row in tables[caption[lang]]}
    names = {"zh": ("第3党支部", "第5党支部", "量多质低"), "en": ("Branch 3", "Branch 5", "much but poorly")}[lang]
    plan = ws.release_plan("2026-09")
    rating = dj.protect(dj.rate(ws.ratings("2026Q3"), rubric="QZ"), plan).printed().table.set_index("unit")
    assert rows[names[0]][:3] == [names[2], "15", f"{rating.loc[POOR, 'score']:.1f}"]
    assert rows[names[1]][1:5] == ["—"] * 4, "four people: nothing of what they say"
    said = {
        "zh": ("15个单位有满10人的评议", "满意度与质量得分的等级相关为0.", "不说明原因，满意度不参加排序", "量多质低的单位中，第3党支部的满意度为"),
        "en": ("15 units were judged by 10 people or more", "rank correlation with the quality of work is 0.", "not why, and ranks nobody",
               "Of those that do much but poorly: Branch 3"),
    }[lang]  # fmt: skip
    for words in said:
        assert words in text, words


@pytest.mark.parametrize(("asked", "raters"), [(False, ""), (True, "officials")])
def test_without_people_asked_nothing_is_said_of_satisfaction(tmp_path, asked, raters):
    text, tables = shown(office(tmp_path / "o", asked=asked, raters=raters), "zh")
    assert "数量与质量" in text
    assert "满意度" not in text
    assert not [caption for caption in tables if "满意度" in caption]
