"""The appendix a reviewer asks for: data quality, reliability, agreement, comparability; and what of it the quarterly says."""

from __future__ import annotations

import shutil
from pathlib import Path

import nbformat
import pandas as pd
import pypdfium2
import pytest

import dj_analysis as dj
from dj_analysis import methods
from dj_analysis.errors import UsageError
from dj_analysis.publish.blocks import MIME

pytestmark = pytest.mark.filterwarnings("ignore::dj_analysis.errors.DjWarning")

PERIOD = "2026Q3"
SECTIONS = ["数据来源", "作答质量", "量表信度", "单位内一致性", "跨时期、跨人群可比性", "权重与实际影响", "方法与出处"]
NUMBERS = "一二三四五六七"


@pytest.fixture(scope="module")
def office(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = dj.make_company(employees=1500, branches=40, quarters=3, seed=7)
    return Path(made.write(tmp_path_factory.mktemp("office") / "demo"))  # closed: each wave is decided on once


@pytest.fixture(scope="module")
def run(office: Path):
    return dj.run_report("methods", office, period=PERIOD)


def text_of(pdf: Path) -> str:
    return "\n".join(page.get_textpage().get_text_range() for page in pypdfium2.PdfDocument(pdf))


def tables_of(notebook: Path) -> dict[str, pd.DataFrame]:
    """Caption → table as printed."""
    cells = nbformat.read(notebook, as_version=4).cells
    blocks = [output["data"][MIME] for cell in cells for output in cell.get("outputs", [])]
    tables = [block["content"] for block in blocks if block["kind"] == "table"]
    return {t["caption"]: pd.DataFrame(t["rows"], columns=[c["label"] for c in t["columns"]]) for t in tables}


def test_sections_in_order_and_nothing_of_one_person(run):
    text = text_of(run.files["pdf"])
    places = [text.find(f"{number}、{section}") for number, section in zip(NUMBERS, SECTIONS, strict=True)]
    assert -1 not in places
    assert places == sorted(places)
    assert "截距等值" in text
    assert not [c for c in tables_of(run.files["ipynb"]).values() if "row" in c.columns or "序号" in c.columns]


def test_printed_coefficients_are_those_of_the_methods(run, office):
    ws, tables = dj.open_workspace(office), tables_of(run.files["ipynb"])
    survey = ws.survey(PERIOD)
    found = dj.reliability(survey).where(form="full", coefficient="alpha").table
    alpha = tables["各量表α系数及95%置信区间"].set_index("维度")
    assert len(alpha) == len(found) == 9
    for row in found.itertuples():
        printed = alpha.loc[ws.spec.code_label(row.scale)]
        assert printed["估计值"] == f"{row.estimate:.3f}"
        assert (printed["下限"], printed["上限"]) == (f"{row.low:.3f}", f"{row.high:.3f}")
        assert printed["人数"] == str(row.n)
    items = dj.reliability(survey).parts["items"].where(form="full").table
    shown = tables["题目分析"].set_index("项目")
    code = items["code"].iloc[0]
    row = items[items["code"] == code].iloc[0]
    assert shown.loc[ws.spec.code_label(code), "题总相关"] == f"{row['item_total']:.3f}"
    assert tables["作答疑点"].set_index("疑点").loc["至少两项疑点", "人数"] == str(
        int((dj.screen(survey).table["flags"] >= 2).sum())
    )


def test_without_flagged_sheets_is_what_scoring_without_them_gives(run, office):
    ws = dj.open_workspace(office)
    survey = ws.survey(PERIOD)
    screened = dj.screen(survey)
    gap = (
        dj.score(screened.unflagged(survey)).at("ALL", "INDEX")["score"] - dj.score(survey).at("ALL", "INDEX")["score"]
    )
    printed = tables_of(run.files["ipynb"])["去除有两项以上疑点的答卷后的变化"].set_index("项目")
    out = int((screened.table["flags"] >= 2).sum())
    assert out >= 10
    step = {True: 0.1, False: 0.5}[out >= 250] if out >= 50 else 1 if out >= 25 else 2 if out >= 13 else 5
    assert float(printed.loc["员工思想指数", "变化"]) == pytest.approx(round(gap / step) * step, abs=0.051)


@pytest.mark.everything
def test_english_has_no_chinese(office, tmp_path):
    made = dj.run_report("methods", office, period=PERIOD, lang="en", out=tmp_path, formats=["pdf"])
    text = text_of(made.files["pdf"])
    for number, section in enumerate(["Data", "Careless answers", "Reliability", "Agreement within units"], start=1):
        assert f"{number}. {section}" in text
    assert not [c for c in text if "\u4e00" <= c <= "\u9fff"]


def test_it_is_about_the_whole_only(office, tmp_path):
    city = dj.open_workspace(office).units.at_level("city")[0].unit
    with pytest.raises(UsageError, match=r"parameter unit.*valid: ALL"):
        dj.run_report("methods", office, period=PERIOD, unit=city, out=tmp_path)
    assert not list(tmp_path.iterdir())


def shifted(office: Path, folder: Path) -> Path:
    """The wave 2026Q2 in which the young read one question another way; their feeling is the same."""
    shutil.copytree(office, folder, ignore=shutil.ignore_patterns("reports", ".dj"))
    path = folder / "responses" / "2026Q2.csv"
    table = pd.read_csv(path, encoding="gb18030", dtype=str, keep_default_na=False)
    age = next(name for name in table if "年龄段" in name)
    item = next(name for name in table if "培训" in name)
    young = table[age] == "1"
    values = pd.to_numeric(table[item], errors="coerce")
    lower = (values - 2).clip(lower=1)
    table.loc[young & values.notna(), item] = lower[young & values.notna()].astype(int).astype(str)
    table.to_csv(path, encoding="gb18030", index=False)
    return folder


def test_a_question_that_groups_read_differently_is_told_and_the_index_given(office, tmp_path):
    folder = shifted(office, tmp_path / "shifted")
    made = dj.run_report("quarterly", folder, period="2026Q2", formats=["html"])
    page = made.files["html"].read_text(encoding="utf-8")
    assert "按年龄段比较：截距等值不成立" in page
    assert "指数照常给出" in page
    assert "按时期比较：截距等值不成立" not in page
    ws = dj.open_workspace(folder)
    assert f"{ws.scores('2026Q2').at('ALL', 'INDEX')['score']:.1f}分" in page
    differing = tables_of(made.files["ipynb"])["按年龄段比较有差异的题目"]
    # Of a dimension of two questions it cannot be told which of them differs.
    assert set(differing["项目"]) == {ws.spec.code_label(code) for code in ("G1", "G2")}
    assert set(differing["说明"]) == {"仅两题的维度，分不清是哪一题不同"}


@pytest.mark.everything
def test_where_questions_are_read_alike_nothing_is_said(office):
    made = dj.run_report("quarterly", office, period="2026Q2", formats=["html"])
    page = made.files["html"].read_text(encoding="utf-8")
    assert "截距等值" not in page
    assert "数据质量：" in page
    assert not [caption for caption in tables_of(made.files["ipynb"]) if "有差异的题目" in caption]


def test_comparability_checks_waves_and_groups_as_invariance_does(office):
    ws = dj.open_workspace(office)
    now, before = ws.survey(PERIOD), ws.survey("2026Q2")
    checks = methods.comparability(now, ["age_band"], [before])
    assert list(checks) == ["period", "age_band"]
    pd.testing.assert_frame_equal(checks["period"].table, dj.invariance([before, now]).table)
    pd.testing.assert_frame_equal(checks["age_band"].table, dj.invariance(now, by="age_band").table)
    assert methods.comparability(now) == {}


def test_a_level_of_which_nothing_can_be_pooled_has_a_sentence_and_no_empty_table(run):
    tables = {
        caption: table for caption, table in tables_of(run.files["ipynb"]).items() if caption.endswith("内一致性")
    }
    assert all((table.drop(columns="维度") != "—").any(axis=None) for table in tables.values())
    page = run.files["html"].read_text(encoding="utf-8")
    sections = page.count("之间的差异占个人得分差异的") + page.count("可以单列的单位不足，未作计算。")
    assert sections >= 2
    assert len(tables) == page.count("之间的差异占个人得分差异的")
