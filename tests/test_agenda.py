"""The paper for a Party committee meeting: at most three pages, whatever the wave says."""

from __future__ import annotations

import re
import shutil
import subprocess
from functools import cache
from pathlib import Path

import numpy as np
import openpyxl
import pandas as pd
import pypdfium2
import pytest
from offices import ITEMS, office, people
from test_short_reports import blocks, check_whole, told, units_csv
from trials import EVERYTHING

import dj_analysis as dj
from dj_analysis import methods

MANY = 32
LIBRARY = "\n".join([
    "measure,driver,items,path_zh,path_en,label_zh,label_en,owner_role,owner_role_en,start_days,evaluate_quarters,expected"
    ",indicator_zh,indicator_en",
    "M1,D1,Q1|Q2,高峰缺人手,Too few hands,排出业务高峰日历，跨班组调剂人手，逐月核对落实情况,Peak calendar and loans between teams"
    ",人力资源部,Human resources,20,1,Q1=4|Q2=4,得分,Score",
    "M2,D2,Q3|Q4,支持不足,Little support,直接上级每月一次单独谈心，附提纲卡,Monthly talks with a guide card"
    ",部门负责人,Head of department,30,1,Q3=4|Q4=4,得分,Score",
    "",
])  # fmt: skip


def answers(sizes: dict[str, int], low: int, high: int, seed: int = 1) -> pd.DataFrame:
    """Answer sheets whose answers lie between two points of the scale; the first dimension a point lower where there is room."""
    table, rng = people(sizes, seed), np.random.default_rng(seed)
    for item in ITEMS:
        table[item] = np.maximum(rng.integers(low, high + 1, len(table)) - (item in ITEMS[:2] and low > 1), 1)
    return table


def _halves(sizes: dict[str, int]) -> list[tuple[dict[str, int], int]]:
    """Units whose answers go up to 2, and up to 3."""
    names = list(sizes)
    return [({n: sizes[n] for n in names[i::2]}, top) for i, top in ((0, 2), (1, 3))]


@pytest.fixture(scope="module")
def offices(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Workspaces by what is special about them."""
    place = tmp_path_factory.mktemp("agenda")
    branches = {f"B{i:02d}": 15 for i in range(1, MANY + 1)}
    lines = ["unit,parent,level,name_zh,headcount", "C1,,city,东城公司,240", "C2,,city,西城公司,240"]
    lines += [f"{one},C{1 + i % 2},branch,{'长长的名字' * 4}第{i}党支部,15" for i, one in enumerate(branches)]
    waves = [pd.concat([answers(half, 1, top, seed) for half, top in _halves(branches)]) for seed in (1, 2)]
    for wave in waves:
        wave["序号"] = range(1, len(wave) + 1)
    many = office(place / "many", *waves, periods=("2026Q2", "2026Q3"))
    (many / "units.csv").write_text("\n".join([*lines, ""]), "utf-8")
    (many / "interventions.csv").write_text(LIBRARY, "utf-8")
    told_of = [f"R{i},human_review,{unit},2026-09-28,,,2026Q3," for i, unit in enumerate(["C1", "C2", *branches])]
    head = "obligation,kind,unit,opened,due,label,cycle,class"
    (many / "obligations.csv").write_text("\n".join([head, *told_of, ""]), "utf-8")
    calm = office(place / "calm", answers({"B11": 30, "B12": 26, "B21": 40, "B22": 34}, 4, 5))
    hidden = office(place / "hidden", people({"B11": 30, "B12": 26, "B21": 4, "B22": 3}))
    one_branch = office(place / "one", people({"B11": 30, "B12": 26, "B21": 40}))
    (one_branch / "units.csv").write_text(units_csv("C1", "C2", "B11", "B12", "B21"), "utf-8")
    return {"many": many, "calm": calm, "hidden": hidden, "one": one_branch}


CASES = [
    ("many", "ALL", "zh"),
    ("calm", "ALL", "zh"),
    ("hidden", "C2", "zh"),
    ("one", "C2", "zh"),
    *([("many", "ALL", "en"), ("hidden", "ALL", "zh")] if EVERYTHING else []),
]


@cache
def paper(folder: Path, unit: str, lang: str, asof: str = "2026-10-20") -> dj.publish.notebooks.Run:
    return dj.run_report(
        "agenda", folder, period="2026Q3", unit=unit, lang=lang, formats=["html", "pdf", "docx", "pptx", "xlsx"],
        out=folder / "reports" / lang / asof, asof=asof,
    )  # fmt: skip


@pytest.mark.parametrize(("which", "unit", "lang"), CASES)
def test_the_paper_has_at_most_three_pages_and_says_whole_sentences(offices, which, unit, lang):
    run = paper(offices[which], unit, lang)
    check_whole(run)
    assert len(pypdfium2.PdfDocument(run.files["pdf"].read_bytes())) <= 3
    assert not run.manifest["dropped"]


@pytest.mark.skipif(shutil.which("soffice") is None, reason="no soffice (LibreOffice) here to lay out the Word file")
def test_the_word_file_has_at_most_three_pages_too(offices, tmp_path):
    for place, (which, unit, lang) in enumerate(CASES):
        shutil.copy(paper(offices[which], unit, lang).files["docx"], tmp_path / f"{place}.docx")
    home = f"-env:UserInstallation=file://{tmp_path / 'home'}"
    files = sorted(map(str, tmp_path.glob("*.docx")))
    subprocess.run(
        ["soffice", home, "--headless", "--convert-to", "pdf", "--outdir", str(tmp_path), *files],
        check=True, capture_output=True, timeout=300,
    )  # fmt: skip
    pages = {CASES[int(path.stem)]: len(pypdfium2.PdfDocument(path)) for path in tmp_path.glob("*.pdf")}
    assert len(pages) == len(CASES)
    assert max(pages.values()) <= 3, pages


def test_many_warned_units_are_counted_cut_on_paper_and_whole_in_excel(offices):
    run = paper(offices["many"], "ALL", "zh")
    said = told(run)
    assert re.search(rf"党支部集体预警{MANY}家", said)
    assert "议题名称：审议2026年三季度员工思想动态及拟采取的措施" in said
    assert re.search(
        r"1\.(?:负荷|支持)。\d+家列名预警单位的主要方面，得分[\d.]+分，.*?正向评价率较低的是“题[一二三四]”", said
    )
    assert re.search(
        r"1\.针对(?:负荷|支持)（\d+家单位）：.+?（建议由.+?牵头，(?:20\d\d年)?\d+月\d+日前启动，20\d\d年\d+月\d+日评估成效）",
        said,
    )
    assert re.search(
        r"四、提请审议事项。1\.审议2026年三季度员工思想动态情况。2\.审议对\d+家列名预警单位拟采取的\d+项措施", said
    )
    assert re.search(r"附件：1\.预警单位名单  2\.措施建议", said)
    tables = {b["content"]["caption"]: b["content"] for b in blocks(run) if b["kind"] == "table"}
    assert len(tables["预警单位"]["rows"]) >= MANY, "the web page and the workbook hold all"
    pdf = pypdfium2.PdfDocument(run.files["pdf"].read_bytes())
    printed = re.sub(r"\s", "", "".join(page.get_textpage().get_text_range() for page in pdf))
    assert "此处列前6行；全表见本报告的Excel文件或网页（表1）" in printed
    book = openpyxl.load_workbook(run.files["xlsx"])
    names = {str(cell.value) for sheet in book for row in sheet.iter_rows() for cell in row}
    assert sum("党支部" in name and name.startswith("长长的名字") for name in names) == MANY


def test_where_nothing_is_warned_no_measure_is_proposed_and_nothing_is_attached(offices):
    run = paper(offices["calm"], "ALL", "zh")
    said = told(run)
    assert "没有预警单位，本期不依据数据提出新的措施" in said
    assert "没有集体预警" in said
    assert "附件" not in said
    assert not [block for block in blocks(run) if block["kind"] == "table"]
    assert "1.负荷。得分较低的方面" in said
    assert "上升" not in said, "there is no earlier wave"
    assert "下降" not in said


def test_a_hidden_unit_has_neither_numbers_nor_problems(offices):
    said = told(paper(offices["hidden"], "C2", "zh"))
    assert "西城公司本期填答人数不足，按规定不单列" in said
    assert "主要问题" not in said
    assert "二、拟采取措施" in said
    assert "三、提请审议事项" in said
    assert not re.search(r"\d分", said)


def test_at_most_three_problems_those_most_units_have_in_common_first(offices):
    ws = dj.open_workspace(offices["many"])
    scope = ws.scope("ALL", "2026Q3")
    scores, before = ws.scores("2026Q3"), ws.scores("2026Q2")
    alerts = dj.alerts(scores, change=dj.compare(scores, before))
    plan = ws.release_plan("2026Q3")
    named = methods.after_review(alerts, ws.obligations(kind="human_review"), "2026-10-20")
    proposed = dj.propose(named, None, scores, start="2026-10-08")
    problems = scope.problems(dj.protect(scores, plan), dj.protect(proposed, plan))
    units = proposed.table.groupby("driver")["unit"].nunique()
    assert 0 < len(problems) <= 3
    assert problems == list(units.sort_values(ascending=False, kind="stable").index[:3])
    assert scope.items_below("D1") == ["Q1", "Q2"]


def test_no_red_or_black_unit_is_named_before_its_time_to_reply_is_over(offices):
    run = paper(offices["many"], "ALL", "zh", "2026-09-30")
    check_whole(run)
    said = told(run)
    assert "红色、黑色预警在通气后列出" in said, "that all of them are red or black would name them"
    assert "没有可以列名的预警单位，本期不依据数据提出新的措施；通气完成后另行提出" in said
    assert "没有预警单位" not in said
    names = [f"第{i}党支部" for i in range(1, MANY + 1)]
    assert not [name for name in names if name in said]
    for path in run.files.values():
        assert path.suffix not in (".html", ".ipynb") or not [n for n in names if n in path.read_text("utf-8")]
