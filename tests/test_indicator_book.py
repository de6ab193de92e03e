"""`dj new --indicators`: an office's own workbook becomes scores, or a question."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import office_books as books
import pandas as pd
import pytest
import xlsxwriter
from test_proposal import default_export, write
from typer.testing import CliRunner

import dj_analysis as dj
from dj_analysis.cli import app
from dj_analysis.errors import DataError, UsageError
from dj_analysis.proposal import BookDecisions, propose_indicators, propose_indicators_again
from dj_analysis.workspace import check_folder

pytestmark = pytest.mark.filterwarnings("ignore::dj_analysis.errors.DjWarning")

EXACT = 1e-9
DECIDED = BookDecisions(alias=books.ALIASES, lower=(books.LOWER,), ranges=books.RANGES)


def sheet_of(path: Path, sheets: dict[str, list[list[object]]], merged: dict[str, list[tuple]] | None = None) -> Path:
    with xlsxwriter.Workbook(path) as book:
        for name, rows in sheets.items():
            sheet = book.add_worksheet(name)
            for i, row in enumerate(rows):
                for j, cell in enumerate(row):
                    if cell != "":
                        sheet.write(i, j, cell)
            for first_row, first, last_row, last, text in (merged or {}).get(name, []):
                sheet.merge_range(first_row, first, last_row, last, text)
    return path


def values_of(folder: Path) -> pd.DataFrame:
    """Values by the names of unit and indicator."""
    codes = pd.read_csv(folder / "indicators.csv").set_index("code")["label_zh"]
    units = pd.read_csv(folder / "units.csv").set_index("unit")["name_zh"]
    table = pd.read_csv(folder / "indicator_values.csv", keep_default_na=False, dtype=str)
    return table.assign(unit=table["unit"].map(units), code=table["code"].map(codes))


def cells(folder: Path) -> dict[tuple[str, str, str], str]:
    return {(row.unit, row.period, row.code): row.value for row in values_of(folder).itertuples()}


def rows_of(folder: Path) -> pd.DataFrame:
    return pd.read_csv(folder / "indicators.csv", dtype=str, keep_default_na=False).set_index("label_zh")


def critic(points: np.ndarray) -> np.ndarray:
    """Diakoulaki et al. (1995): spread times conflict, on min–max values of complete rows."""
    table = points[~np.isnan(points).any(axis=1)]
    table = (table - table.min(axis=0)) / (table.max(axis=0) - table.min(axis=0))
    content = table.std(axis=0, ddof=1) * (1 - np.corrcoef(table.T)).sum(axis=0)
    return content / content.sum()


@pytest.fixture(scope="module")
def office(tmp_path_factory) -> Path:
    place = tmp_path_factory.mktemp("books")
    book = books.write_months(place / "支部指标.xlsx", books.truth())
    typed = ["new", str(place / "office"), "--indicators", str(book), "--lower", books.LOWER]
    for option, pairs in (("--alias", books.ALIASES), ("--range", books.RANGES)):
        for left, right in pairs.items():
            typed += [option, f"{left}={right}"]
    done = CliRunner().invoke(app, typed)
    assert done.exit_code == 0, done.output
    return place / "office"


def six_lines() -> str:
    """The lines that docs/files.md shows."""
    page = (Path(__file__).parents[1] / "docs" / "files.md").read_text(encoding="utf-8")
    lines = page.split("<!-- six lines -->")[1].split("```python\n")[1].split("```")[0]
    assert len([line for line in lines.splitlines() if line.strip()]) <= 6
    assert "pandas" not in lines
    return lines


def test_sixty_branches_twenty_indicators_twelve_months(office, monkeypatch):
    assert len(check_folder(office)) == 0
    known, names, month = books.truth(), books.unit_names(), 11
    written = cells(office)
    assert len(written) == books.UNITS * len(books.COLUMNS) * books.MONTHS
    for (m, i, j), value in np.ndenumerate(known.values):
        text = written[names[i], f"2026-{m + 1:02d}", books.COLUMNS[j].label]
        assert text == "不适用" if known.exempt[m, i, j] else float(text) == pytest.approx(value, abs=EXACT)

    monkeypatch.chdir(office.parent)
    made: dict[str, object] = {}
    exec(six_lines(), made)
    weights, marks = made["weights"].table, made["marks"].table
    points, scores, by_code = known.points(month), [], weights.set_index("code")["weight"]
    codes = rows_of(office)["code"]
    for aspect in dict.fromkeys(column.aspect for column in books.COLUMNS):
        places = [j for j, column in enumerate(books.COLUMNS) if column.aspect == aspect]
        expected = critic(points[:, places])
        found = by_code.loc[[codes[books.COLUMNS[j].label] for j in places]].to_numpy()
        np.testing.assert_allclose(found, expected, atol=EXACT)
        there = ~np.isnan(points[:, places])
        plain = np.nanmean(points[:, places], axis=1)  # weights above are compared on scores under declared weights
        weighed = np.where(there, points[:, places], 0) @ expected / (there @ expected)
        scores.append((plain, weighed))
    above = critic(np.column_stack([plain for plain, _ in scores]))
    np.testing.assert_allclose(by_code.loc[["A1", "A2", "A3", "A4"]].to_numpy(), above, atol=EXACT)
    expected_whole = np.column_stack([weighed for _, weighed in scores]) @ above
    name_of = pd.read_csv(office / "units.csv").set_index("unit")["name_zh"]
    whole = marks[(marks["code"] == "INDEX") & (marks["period"] == "2026-12") & (marks["level"] == "branch")]
    found = whole.assign(name=whole["unit"].map(name_of)).set_index("name")["score"].loc[names].to_numpy()
    np.testing.assert_allclose(found, expected_whole, atol=EXACT)


def test_the_same_weights_on_a_span_are_of_the_means(office):
    ws = dj.open_workspace(office)
    points = np.mean([books.truth().points(month) for month in (9, 10, 11)], axis=0)
    places = [j for j, column in enumerate(books.COLUMNS) if column.aspect == "组织建设"]
    table = dj.weigh(ws.indicators("2026-10/2026-12"), "critic").table.query("parent == 'A1'")
    np.testing.assert_allclose(table["weight"].to_numpy(), critic(points[:, places]), atol=EXACT)


def test_what_is_certain_is_written_and_the_rest_is_asked(tmp_path):
    book = books.write_months(tmp_path / "支部指标.xlsx", books.truth())
    made = propose_indicators(tmp_path / "office", book, BookDecisions(alias=books.ALIASES))
    rows = rows_of(tmp_path / "office")
    for column in books.COLUMNS:
        row = rows.loc[column.label]
        assert row["role"] == ("ask" if column.asked else "item"), column.label
        if not column.asked:
            stated = (float(row["minimum"]), float(row["maximum"]), int(row["direction"]))
            assert stated == (column.low, column.high, column.direction), column.label
    asked = {column.label for column in books.COLUMNS if column.asked}
    assert set(made.questions["column"]) == asked
    problems = check_folder(tmp_path / "office").table
    assert problems["rule"].unique().tolist() == ["open_question"]
    assert len(problems) == len(asked)
    with pytest.raises(DataError, match="open_question"):
        dj.open_workspace(tmp_path / "office").indicators("2026-12")
    with pytest.raises(DataError, match="open_question"):
        dj.run_report("benchmark", tmp_path / "office", period="2026-12", formats=["html"])
    told = "\n".join(made.notices)
    for left_out in ("底稿", "填报说明", "序号、合计、备注", "第 65、66 行是合计", "第 67、68 行是备注"):
        assert left_out in told
    page = (tmp_path / "office" / "PROPOSAL.md").read_text(encoding="utf-8")
    assert "宣讲场次 (K07)" in page
    assert "| 2026年2月 | 2026-02 |" in page
    assert "Open questions" in (tmp_path / "office" / "PROPOSAL.en.md").read_text(encoding="utf-8")


def test_decisions_again_keep_what_was_edited(tmp_path):
    book = books.write_months(tmp_path / "支部指标.xlsx", books.truth())
    office = tmp_path / "office"
    propose_indicators(office, book, BookDecisions(alias=books.ALIASES))
    path = office / "indicators.csv"
    path.write_text(path.read_text("utf-8-sig").replace("三会一课", "三会一课落实"), encoding="utf-8-sig")
    half = propose_indicators_again(office, BookDecisions(lower=(books.LOWER,)))
    assert set(half.questions["column"]) == set(books.RANGES)
    rest = dict(list(books.RANGES.items())[:-1])
    done = CliRunner().invoke(
        app,
        [
            "new",
            str(office),
            "--again",
            "--range",
            "0-72",
            *(p for k, v in rest.items() for p in ("--range", f"{k}={v}")),
        ],
    )
    assert done.exit_code == 0, done.output
    assert len(check_folder(office)) == 0
    rows = rows_of(office)
    assert rows.loc["三会一课落实", "maximum"] == "10"
    assert rows.loc["平均处理时长(小时)", ["direction", "maximum"]].tolist() == ["-1", "72"]
    assert rows.loc["宣讲场次", ["direction", "maximum"]].tolist() == ["1", "12"]
    page = (office / "PROPOSAL.md").read_text(encoding="utf-8")
    assert "待定" not in page.split("## 工作表")[0].replace("待决定", "")
    assert "2026-12" in page.split("## 工作表")[1]


def test_names_that_may_be_one_unit_are_asked_and_nothing_is_written(tmp_path):
    book = books.write_months(tmp_path / "支部指标.xlsx", books.truth())
    with pytest.raises(DataError) as caught:
        propose_indicators(tmp_path / "office", book)
    table = caught.value.problems.table
    assert table["rule"].unique().tolist() == ["similar_name"]
    assert set(table["found"]) == {f"{short} / {full}" for short, full in books.ALIASES.items()}
    assert "--alias '云岭输电支部=云岭输电运检党支部'" in " ".join(table["advice"])
    assert not (tmp_path / "office").exists()
    propose_indicators(tmp_path / "two", book, BookDecisions(new_units=tuple(books.ALIASES)))
    assert len(pd.read_csv(tmp_path / "two" / "units.csv")) == books.UNITS + 2


def test_quarterly_on_indicators_alone_says_which_reports_there_are(office):
    for period in ("2026Q3", "2026-12"):
        with pytest.raises(UsageError) as caught:
            dj.run_report("quarterly", office, period=period)
        said = str(caught.value)
        for words in ("只有支部指标", "branch indicators only", "assessment, benchmark, clusters", "2026-01 … 2026-12"):
            assert words in said
        assert "quarterly" not in said.split("可用/valid")[1]
        assert len(said.splitlines()) == 1
    with pytest.raises(UsageError, match="2031-01"):
        dj.run_report("benchmark", office, period="2031-01")


# Three workbooks made otherwise.

POINTS = [
    ["某某公司党支部工作考核表"],
    ["序号", "所属党委", "单位名称", "基础工作", "", "", "特色工作", "总分", "名次"],
    ["", "", "", "三会一课", "党费收缴", "扣分", "创新项目", "", ""],
    ["", "责任部门", "", "党建部", "财务部", "纪委", "党建部", "", ""],
    ["", "满分", "", 40, 30, "", 30, 100, ""],
    [1, "一公司党委", "1.运维党支部", 38, "29.5分", 2, 25, 92.5, 1],
    [2, "", "2.检修党支部", 35, 30, "", 20, 85, 3],
    [3, "二公司党委", "3.营销党支部", "36", "２８", "无", "/", 64, 2],
    ["合计", "", "", 109, 87.5, 2, 45, "", ""],
    ["注:扣分为党风廉政扣分,由纪委提供。"],
    ["制表人:甲", "", "", "", "审核人:乙"],
]


def test_points_numbered_units_departments_and_dates_as_sheet_names(tmp_path):
    days = ("2026-03-31", "20260430")
    book = sheet_of(
        tmp_path / "a.xlsx", dict.fromkeys(days, POINTS), {day: [(5, 1, 6, 1, "一公司党委")] for day in days}
    )
    made = propose_indicators(tmp_path / "o", book, BookDecisions(ranges={"扣分": "0-10"}))
    rows, units = rows_of(tmp_path / "o"), pd.read_csv(tmp_path / "o" / "units.csv", keep_default_na=False)
    assert rows.loc["三会一课", ["minimum", "maximum", "owner_department"]].tolist() == ["0", "40", "党建部"]
    assert rows.loc["扣分", ["role", "direction", "maximum", "owner_department"]].tolist() == [
        "item",
        "-1",
        "10",
        "纪委",
    ]
    above = units.set_index("name_zh")
    assert above.loc[["运维党支部", "检修党支部", "营销党支部"], "parent"].tolist() == ["P001", "P001", "P002"]
    found = cells(tmp_path / "o")
    assert found["检修党支部", "2026-03", "扣分"] == "", "a blank is missing"
    assert found["营销党支部", "2026-04", "创新项目"] == "不适用"
    assert found["营销党支部", "2026-04", "党费收缴"] == "28"
    assert "无" in "".join(made.notices)
    assert "扣分" in next(notice for notice in made.notices if "无" in notice)
    assert len(check_folder(tmp_path / "o")) == 0
    assert "甲" not in (tmp_path / "o" / "PROPOSAL.md").read_text(encoding="utf-8"), "who signed is not kept"


def test_months_in_rows_measures_under_headers_and_the_year_of_the_file(tmp_path):
    rows = [
        ["单位", "月份", "计划完成率", "职工满意度", "违章", "发稿数量", "评价等级", "备注"],
        ["", "", "%", "分", "次", "篇", "", ""],
        ["甲支部", "1月", "95%", "88", 0, 3, "优", ""],
        ["乙支部", "1月", "101%", "92分", 1, 5, "良", "新成立"],
        ["甲支部", "2月", "97.5%", "８９", 0, "—", "优", ""],
        ["乙支部", "2月", "100%", "90", 2, 8, "良", ""],
        ["平均", "", "98%", "", 0.75, 5, "", ""],
    ]
    made = propose_indicators(tmp_path / "o", sheet_of(tmp_path / "2026年指标.xlsx", {"Sheet1": rows}))
    table, found = rows_of(tmp_path / "o"), cells(tmp_path / "o")
    assert table.loc["计划完成率(%)", ["role", "direction", "maximum"]].tolist() == ["ask", "1", ""], (
        "101 % was reached"
    )
    assert table.loc["职工满意度(分)", ["role", "maximum"]].tolist() == ["item", "100"]
    assert table.loc["违章(次)", ["role", "direction"]].tolist() == ["ask", "-1"]
    assert (found["甲支部", "2026-02", "计划完成率(%)"], found["乙支部", "2026-01", "职工满意度(分)"]) == ("97.5", "92")
    assert found["甲支部", "2026-02", "发稿数量(篇)"] == "不适用"
    told = "\n".join(made.notices)
    for words in ("年份 2026 取自文件名", "评价等级(文字", "第 7 行", "about = persons"):
        assert words in told


def test_a_row_an_indicator_is_turned(tmp_path):
    rows = [
        ["对标指标"],
        ["序号", "方面", "指标", "单位", "责任部门", "分值", "甲支部", "乙支部", "合计", "备注"],
        [1, "组织", "党课", "次", "党建", 10, 9, 8, 17, ""],
        [2, "", "出勤率", "%", "人资", "", "98.5%", "/", 98, ""],
        ["", "", "合计", "", "", 30, 107, 8, "", ""],
        ["注:按月填报"],
    ]
    propose_indicators(tmp_path / "o", sheet_of(tmp_path / "b.xlsx", {"2026年5月": rows, "2026年6月": rows}))
    table, found = rows_of(tmp_path / "o"), cells(tmp_path / "o")
    assert table.loc["党课(次)", ["parent", "maximum", "owner_department"]].tolist() == ["A1", "10", "党建"]
    assert (found["甲支部", "2026-06", "出勤率(%)"], found["乙支部", "2026-05", "出勤率(%)"]) == ("98.5", "不适用")
    assert len(found) == 8
    rows[2][6] = "优"
    with pytest.raises(DataError, match="2026年5月 G3"):
        propose_indicators(tmp_path / "bad", sheet_of(tmp_path / "bad.xlsx", {"2026年5月": rows}))


def test_a_row_a_value_gives_what_a_wide_sheet_gives(tmp_path):
    names, header = ("甲支部", "乙支部", "丙支部"), ["党支部", "党课(10分)", "违章次数"]
    wide = {f"2026年{m}月": [header, *([n, 9 - i, m + i] for i, n in enumerate(names))] for m in (1, 2)}
    long = [["支部", "指标名称", "数值", "月份", "责任部门"]]
    long += [
        [row[0], header[j], row[j], month, "党建部"] for month, rows in wide.items() for row in rows[1:] for j in (1, 2)
    ]
    chosen = BookDecisions(ranges={"违章次数": "0-9"})
    propose_indicators(tmp_path / "wide", sheet_of(tmp_path / "w.xlsx", wide), chosen)
    propose_indicators(tmp_path / "long", sheet_of(tmp_path / "l.xlsx", {"数据": long}), chosen)
    assert cells(tmp_path / "wide") == cells(tmp_path / "long")
    pd.testing.assert_frame_equal(rows_of(tmp_path / "wide"), rows_of(tmp_path / "long"))


PLAIN = [["党支部", "出勤率", "党课(10分)"], ["甲", "95%", 9], ["乙", "96%", 8]]


def changed(row: int, column: int, cell: object) -> list[list[object]]:
    return [[cell if (i, j) == (row, column) else one for j, one in enumerate(line)] for i, line in enumerate(PLAIN)]


@pytest.mark.parametrize(
    ("sheets", "rule", "advice"),
    [
        ({"1月": PLAIN}, "no_year", "--year 2026"),
        ({"Sheet1": PLAIN}, "no_period", "--sheet 'Sheet1=2026-03'"),
        ({"2026年2月": [["2026年1月考核"], *PLAIN]}, "period_contradiction", "--sheet '2026年2月=2026-02'"),
        ({"2026年2月": changed(1, 2, "优")}, "text_in_number", "--as '列名=none'"),
        ({"2026年2月": changed(1, 1, 0.95)}, "mixed_percent", "95%"),
        ({"2026年2月": [*PLAIN, ["甲", "90%", 3]]}, "duplicate_row", "drop the copy"),
        ({"2026年2月": [*PLAIN, ["", "90%", 3]]}, "missing_unit", "give the unit"),
        ({"2026年2月": changed(0, 1, "党课(10分)")}, "duplicate_column", "another header"),
        ({"2026年2月": [["姓名", "出勤"], ["某", 3]]}, "no_units", "--unit"),
        ({"2026年1月": PLAIN, "2026年2月": changed(0, 2, "党课次数(10分)")}, "similar_name", "--same '党课次数=党课'"),
    ],
)
def test_doubts_are_errors_with_the_option_that_decides_them(tmp_path, sheets, rule, advice):
    with pytest.raises(DataError) as caught:
        propose_indicators(tmp_path / "o", sheet_of(tmp_path / "book.xlsx", sheets))
    table = caught.value.problems.table
    assert rule in set(table["rule"]), table.to_string()
    assert any(advice in text for text in table["advice"])
    assert not (tmp_path / "o").exists()


def test_options_decide_years_sheets_and_names(tmp_path):
    sheets = {"1月": PLAIN, "2月": changed(0, 2, "党课次数(10分)"), "草表": PLAIN, "全年汇总": PLAIN}
    chosen = BookDecisions(year="2026", sheets={"草表": "none"}, same={"党课次数(10分)": "党课(10分)"})
    made = propose_indicators(tmp_path / "o", sheet_of(tmp_path / "book.xlsx", sheets), chosen)
    assert set(values_of(tmp_path / "o")["period"]) == {"2026-01", "2026-02"}
    assert rows_of(tmp_path / "o").index.tolist() == ["支部对标指数", "出勤率", "党课"]
    assert "全年汇总" in "\n".join(made.notices)


def test_points_that_change_and_values_beyond_are_asked(tmp_path):
    sheets = {"2026年1月": PLAIN, "2026年2月": changed(0, 2, "党课(15分)")}
    propose_indicators(tmp_path / "o", sheet_of(tmp_path / "book.xlsx", sheets))
    row = rows_of(tmp_path / "o").loc["党课"]
    assert (row["role"], row["choices"]) == ("ask", "--range 0-15")
    propose_indicators(tmp_path / "p", sheet_of(tmp_path / "b2.xlsx", {"2026年1月": changed(1, 2, 12)}))
    assert rows_of(tmp_path / "p").loc["党课", "role"] == "ask"
    decided = BookDecisions(ranges={"党课": "0-10"})
    with pytest.raises(DataError, match="out_of_range"):
        propose_indicators(tmp_path / "q", tmp_path / "b2.xlsx", decided)
    assert not (tmp_path / "q").exists()


def test_an_indicator_that_begins_in_march_is_valid_from_march(tmp_path):
    shorter = [row[:2] for row in PLAIN]
    sheets = {"2026年1月": shorter, "2026年2月": shorter, "2026年3月": PLAIN}
    propose_indicators(tmp_path / "o", sheet_of(tmp_path / "book.xlsx", sheets))
    assert rows_of(tmp_path / "o").loc["党课", ["valid_from", "valid_to"]].tolist() == ["2026-03", ""]
    ws = dj.open_workspace(tmp_path / "o")
    table = dj.score(ws.indicators("2026-01"), by="branch").table
    assert table.query("code == 'INDEX' and unit == 'B001'")["score"].tolist() == pytest.approx([95])


def test_units_of_a_workspace_are_matched_by_name_and_alias(tmp_path):
    office = tmp_path / "o"
    office.mkdir()
    (office / "workspace.toml").write_text('name = "试"\n', encoding="utf-8")
    (office / "units.csv").write_text("unit,parent,level,name_zh,aliases\nB7,,branch,甲党支部,甲\n", encoding="utf-8")
    book = sheet_of(tmp_path / "book.xlsx", {"2026年1月": PLAIN})
    with pytest.raises(DataError, match="--new-unit '乙'"):
        propose_indicators(office, book)
    assert sorted(path.name for path in office.iterdir()) == ["units.csv", "workspace.toml"]
    propose_indicators(office, book, BookDecisions(new_units=("乙",)))
    units = pd.read_csv(office / "units.csv", keep_default_na=False)
    assert units["unit"].tolist() == ["B7", "B001"]
    assert set(pd.read_csv(office / "indicator_values.csv")["unit"]) == {"B7", "B001"}
    with pytest.raises(UsageError, match="indicators"):
        propose_indicators(office, book)


def test_a_survey_and_a_workbook_make_one_workspace_or_none(tmp_path):
    questions, _ = default_export("pulse", "text")
    export = write(tmp_path / "export.xlsx", questions)
    rows = [["党支部", "完成率(%)"], ["运维 支部", 95], ["营销支部", 90]]
    book = sheet_of(tmp_path / "book.xlsx", {"2026年8月": rows})
    bad = ["new", str(tmp_path / "bad"), "--from", str(export), "--indicators", str(tmp_path / "nothing.xlsx")]
    assert CliRunner().invoke(app, bad).exit_code != 0
    assert not (tmp_path / "bad").exists()
    done = CliRunner().invoke(app, ["new", str(tmp_path / "o"), "--from", str(export), "--indicators", str(book)])
    assert done.exit_code == 0, done.output
    assert len(check_folder(tmp_path / "o")) == 0
    ws = dj.open_workspace(tmp_path / "o")
    assert (ws.periods, ws.indicator_periods) == (["2026Q3"], ["2026-08"])
    assert set(pd.read_csv(tmp_path / "o" / "indicator_values.csv")["unit"]) == {"U001", "U002"}
    assert CliRunner().invoke(app, ["new", str(tmp_path / "o"), "--again"]).exit_code == 0
    page = (tmp_path / "o" / "PROPOSAL.md").read_text(encoding="utf-8")
    assert page.index("# 工作区提案") < page.index("# 支部指标"), "the section stays when the survey's is written anew"


def test_a_text_file_is_a_sheet(tmp_path):
    (tmp_path / "2026年5月.csv").write_text("支部,出勤率%,投诉\n甲,90,1\n乙,80,0\n合计,170,1\n", encoding="gb18030")
    propose_indicators(tmp_path / "o", tmp_path / "2026年5月.csv")
    assert rows_of(tmp_path / "o").loc["投诉", ["role", "direction"]].tolist() == ["ask", "-1"]
    assert len(cells(tmp_path / "o")) == 4
