"""`dj new`: from an export to a workspace that checks and scores, or to nothing at all."""

from __future__ import annotations

import csv
import io
import tomllib
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import xlsxwriter
from typer.testing import CliRunner

import dj_analysis as dj
from dj_analysis.cli import app
from dj_analysis.errors import DataError, IdentifierError, Problems, UsageError
from dj_analysis.proposal import propose_workspace
from dj_analysis.spec.codebook import Codebook, default_codebook
from dj_analysis.spec.tables import read_text
from dj_analysis.workspace import check_folder

pytestmark = pytest.mark.filterwarnings("ignore::dj_analysis.errors.DjWarning")

Cells = list[list[str]]

META = ["序号", "提交答卷时间", "所用时间", "来源", "来源详情", "来自IP"]
PEOPLE = 40
UNITS = ("运维支部", "营销支部")
AGREE = ("非常不同意", "比较不同意", "一般", "比较同意", "非常同意", "不了解/不适用")


def meta(i: int) -> list[str]:
    return [str(i + 1), f"2026/8/{i % 28 + 1} 09:{i % 60:02d}", f"{60 + i}秒", "微信", "N/A", "x.x.x.x(云岭-澄川)"]


def export(columns: dict[str, list[str]]) -> Cells:
    """An export with the usual leading columns, the branch, and these questions."""
    rows = [[*meta(i), UNITS[i % 2], *(cells[i] for cells in columns.values())] for i in range(PEOPLE)]
    return [[*META, "1、您所在的党支部", *columns], *rows]


def write(path: Path, cells: Cells, encoding: str = "utf-8-sig") -> Path:
    if path.suffix == ".xlsx":
        with xlsxwriter.Workbook(path, {"strings_to_numbers": True}) as book:
            sheet = book.add_worksheet()
            for row, line in enumerate(cells):
                sheet.write_row(row, 0, line)
        return path
    stream = io.StringIO(newline="")
    csv.writer(stream).writerows(cells)
    path.write_bytes(stream.getvalue().encode(encoding))
    return path


def draw(seed: int, options: int) -> np.ndarray:
    """Answers 1 … options, each of them given at least once."""
    answers = np.arange(PEOPLE) % options + 1
    return np.random.default_rng(seed).permutation(answers)


def no_problems(folder: Path) -> None:
    problems = check_folder(folder)
    assert len(problems) == 0, problems.table.to_string()


# The package's own instrument.


def default_export(form: str, by: str, extra: dict[str, list[str]] | None = None) -> tuple[Cells, pd.DataFrame]:
    """An export of the default instrument, and the same answers as a table of numbers (missing where it does not count)."""
    known = default_codebook()
    columns: dict[str, list[str]] = {}
    numbers: dict[str, object] = {"unit": [UNITS[i % 2] for i in range(PEOPLE)]}
    for number, leaf in enumerate(known.tree.in_form("full" if form == "full" else "anchors").leaves, start=2):
        header = f"{number}、{leaf.text_zh}" if number % 2 else f"{number}、请评价—{leaf.text_zh}"
        if leaf.scale:
            answers = draw(number, 6)
            shown = [AGREE[a - 1] if by == "text" else str(a % 6) for a in answers]
            numbers[leaf.code] = pd.array([None if a == 6 else a for a in answers], dtype="Int64")
        else:
            answers = draw(number, 11) - 1
            shown = [str(a) for a in answers]
            numbers[leaf.code] = pd.array(answers, dtype="Int64")
        columns[header] = shown
    columns["60、您的年龄段"] = [("35岁及以下", "36–45岁", "46–55岁")[i % 3] for i in range(PEOPLE)]
    columns["61、最希望单位帮助解决的一件事(请勿填写姓名等个人信息)"] = ["会议精简一些", "(空)"] * (PEOPLE // 2)
    return export(columns | (extra or {})), pd.DataFrame(numbers)


def same_scores(folder: Path, period: str, codebook: Codebook, answers: pd.DataFrame, form: str) -> None:
    found = dj.open_workspace(folder).scores(period).table
    survey = dj.read_survey(answers, codebook, period=period, form=form)
    expected = dj.score(survey).table
    names = {unit.unit: unit.name_zh for unit in dj.open_workspace(folder).units.rows}
    left = found[found["level"].isin(["company", "unit"])].replace({"unit": names}).set_index(["unit", "form", "code"])
    right = expected.set_index(["unit", "form", "code"])
    assert set(left.index) == set(right.index)
    left = left.loc[right.index]
    assert left["n"].tolist() == right["n"].tolist()
    np.testing.assert_allclose(left[["score", "se"]], right[["score", "se"]], atol=1e-9)


@pytest.mark.parametrize(
    ("form", "by", "suffix"), [("full", "text", ".xlsx"), ("full", "number", ".csv"), ("pulse", "text", ".csv")]
)
def test_the_default_instrument_is_recognised_by_its_wording(tmp_path: Path, form: str, by: str, suffix: str):
    cells, answers = default_export(form, by)
    made = propose_workspace(tmp_path / "office", write(tmp_path / f"export{suffix}", cells))
    table = made.table.set_index("code")
    assert made.table.columns.tolist() == ["column", "code", "role", "why"]
    assert table.loc["unit", "column"] == "1、您所在的党支部"
    assert table["role"].value_counts()["item"] == (47 if form == "full" else 20)
    assert (table.loc["age_band", "role"], table.loc["C1", "role"]) == ("group", "text")
    assert table.loc["L1", "column"].endswith("我手头的工作在正常工作时间内基本能完成。")
    no_problems(tmp_path / "office")
    ws = dj.open_workspace(tmp_path / "office")
    assert ws.periods == ["2026Q3"]
    assert dict(ws.settings.waves) == {"2026Q3": form}
    assert [unit.name_zh for unit in ws.units.rows] == sorted(UNITS)
    assert ws.spec.codebook.tree["L3"].direction == -1
    same_scores(tmp_path / "office", "2026Q3", default_codebook(), answers, form)
    assert set(ws.scores("2026Q3").table["level"]) == {"company", "unit", "age_band"}


def test_the_period_is_the_quarter_of_the_last_submission_unless_named(tmp_path: Path):
    cells, _ = default_export("pulse", "text")
    source = write(tmp_path / "export.csv", cells, "gbk")
    propose_workspace(tmp_path / "a", source)
    propose_workspace(tmp_path / "b", source, "2025H2")
    assert dj.open_workspace(tmp_path / "a").periods == ["2026Q3"]
    assert dj.open_workspace(tmp_path / "b").periods == ["2025H2"]
    with pytest.raises(UsageError, match="2026, 2026H1, 2026Q3, 2026-09"):
        propose_workspace(tmp_path / "c", source, "三季度")
    assert not (tmp_path / "c").exists()


def test_the_export_is_kept_without_what_leads_to_a_person(tmp_path: Path):
    cells, _ = default_export("pulse", "number")
    source = write(tmp_path / "导出.xlsx", cells)
    propose_workspace(tmp_path / "office", source)
    problems = Problems()
    came, kept = (read_text(p, problems) for p in (source, tmp_path / "office" / "responses" / "2026Q3.xlsx"))
    pd.testing.assert_frame_equal(kept.frame, came.frame.drop(columns=["来源详情", "来自IP"]))
    assert not problems
    written = sorted(path.relative_to(tmp_path / "office").as_posix() for path in (tmp_path / "office").rglob("*.*"))
    assert written == ["codebook.csv", "responses/2026Q3.xlsx", "scales.csv", "units.csv", "workspace.toml"]
    settings = tomllib.loads((tmp_path / "office" / "workspace.toml").read_text(encoding="utf-8"))
    assert (settings["name"], settings["min_group"]) == ("office", 10)
    assert settings["tables"]["responses"]["columns"]["unit"] == "1、您所在的党支部"


# Questions of one's own.

SATISFIED = ("非常不满意", "比较不满意", "一般", "比较满意", "非常满意")
AGREE5 = ("非常不同意", "比较不同意", "一般", "比较同意", "非常同意")
AGREE_SHORT = ("非常不同意", "不同意", "一般", "同意", "非常同意")
ENGLISH = ("strongly disagree", "disagree", "neutral", "agree", "strongly agree")


def foreign(labels: tuple[str, ...]) -> Cells:
    def said(seed: int) -> list[str]:
        return [labels[a - 1] for a in draw(seed, 5)]

    return export({
        "2、食堂与班车—食堂饭菜可口": said(1),
        "2、食堂与班车—班车准点": said(2),
        "3、工作—流程清楚": said(3),
        "4、请给食堂打分": [str(a) for a in draw(4, 5)],
        "5、您有多愿意推荐食堂": [str(a - 1) for a in draw(5, 11)],
        "6、您的岗位": ["生产" if a == 1 else "管理" for a in draw(6, 2)],
        "7、其他想说的": [f"想法{i}" for i in range(PEOPLE)],
    })  # fmt: skip


def foreign_scores(folder: Path) -> None:
    """Scores of the questions of one's own, against the mean of the numbers they stand for."""
    no_problems(folder)
    ws = dj.open_workspace(folder)
    table = ws.scores("2026Q3").table
    found = table[table["unit"] == "ALL"].set_index("code")
    codes = {leaf.text_zh.rsplit("—")[-1]: leaf.code for leaf in ws.spec.codebook.tree.leaves}
    for name, (answers, low, high) in {
        "食堂饭菜可口": (draw(1, 5), 1, 5),
        "班车准点": (draw(2, 5), 1, 5),
        "流程清楚": (draw(3, 5), 1, 5),
        "请给食堂打分": (draw(4, 5), 1, 5),
        "您有多愿意推荐食堂": (draw(5, 11) - 1, 0, 10),
    }.items():
        row = found.loc[codes[name]]
        assert row["n"] == PEOPLE
        assert row["score"] == pytest.approx(100 * (answers.mean() - low) / (high - low), abs=1e-9), name
    canteen = (draw(1, 5) + draw(2, 5) - 2) / 8 * 100
    (dimension,) = [node.code for node in ws.spec.codebook.dimensions if node.label_zh == "食堂与班车"]
    assert found.loc[dimension, "score"] == pytest.approx(canteen.mean(), abs=1e-9)
    assert {node.label_zh for node in ws.spec.codebook.dimensions} == {"食堂与班车", "工作", "其他题目"}
    assert [node.label_zh for node in ws.spec.codebook.groups] == ["您的岗位"]
    assert ws.spec.codebook.index == "INDEX"


@pytest.mark.parametrize(
    "labels",
    [AGREE5, SATISFIED, ENGLISH, AGREE_SHORT, tuple(t.capitalize() for t in ENGLISH)],
    ids=["agree", "satisfied", "english", "agree-short", "english-capitals"],
)
def test_rating_questions_of_ones_own_become_items(tmp_path: Path, labels: tuple[str, ...]):
    made = propose_workspace(tmp_path / "office", write(tmp_path / "export.csv", foreign(labels)))
    table = made.table.set_index("column")
    assert (table.loc[[c for c in table.index if c[0] in "2345"], "role"] == "item").all()
    assert table.loc["6、您的岗位", "role"] == "group"
    assert table.loc["7、其他想说的", ["code", "role"]].tolist() == ["", ""]
    assert (table["why"] != "").all()
    foreign_scores(tmp_path / "office")


def test_own_questions_stand_beside_the_index_of_the_default_instrument(tmp_path: Path):
    extra = {"70、食堂与班车—食堂饭菜可口": [AGREE5[a - 1] for a in draw(1, 5)]}
    cells, answers = default_export("pulse", "text", extra)
    propose_workspace(tmp_path / "office", write(tmp_path / "export.csv", cells))
    no_problems(tmp_path / "office")
    ws = dj.open_workspace(tmp_path / "office")
    assert [node.code for node in ws.spec.codebook.dimensions] == [f"D{i}" for i in range(1, 9)]
    scores = ws.scores("2026Q3")
    survey = dj.read_survey(answers, default_codebook(), period="2026Q3", form="pulse")
    index = dj.score(survey).at("ALL", "INDEX")
    assert scores.at("ALL", "INDEX")["score"] == pytest.approx(index["score"], abs=1e-9)
    own = next(leaf.code for leaf in ws.spec.codebook.tree.leaves if leaf.text_zh.endswith("食堂饭菜可口"))
    assert scores.at("ALL", own)["score"] == pytest.approx((draw(1, 5).mean() - 1) * 25, abs=1e-9)


def test_questions_that_show_different_options_of_one_scale(tmp_path: Path):
    one = ["不满意" if a == 1 else "非常满意" for a in draw(1, 2)]
    other = ["比较不满意" if a == 1 else "非常满意" for a in draw(2, 2)]
    propose_workspace(tmp_path / "office", write(tmp_path / "e.csv", export({"2、食堂": one, "3、班车": other})))
    no_problems(tmp_path / "office")


def test_a_rating_of_the_company_is_no_unit(tmp_path: Path):
    cells = export({"2、您对公司食堂的评分": [str(a) for a in draw(1, 5)], "3、流程清楚": [str(a) for a in draw(2, 5)]})
    cells = [row[:6] + row[7:] for row in cells]  # nobody was asked for a unit
    made = propose_workspace(tmp_path / "office", write(tmp_path / "e.csv", cells))
    assert made.table.set_index("column").loc["2、您对公司食堂的评分", "role"] == "item"


def test_the_next_export_with_other_numbers_is_read_as_well(tmp_path: Path):
    cells, _ = default_export("pulse", "text")
    propose_workspace(tmp_path / "office", write(tmp_path / "e.csv", cells))
    cells[0] = [header if header in META else "9" + header for header in cells[0]]
    write(tmp_path / "office" / "responses" / "2026Q4.csv", cells)
    no_problems(tmp_path / "office")


# What is refused.


def refused(tmp_path: Path, cells: Cells, error: type[Exception], rule: str) -> pd.DataFrame:
    """The problems of an export that must leave no trace."""
    source = write(tmp_path / "export.csv", cells)
    with pytest.raises(error) as raised:
        propose_workspace(tmp_path / "office", source)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["export.csv"]
    table = raised.value.problems.table
    assert rule in set(table["rule"])
    assert (table != "").all().all()
    return table


@pytest.mark.parametrize("header", ["8、您的姓名", "8、手机号码", "8、政治面貌", "工号"])
def test_an_identifying_column_is_left_out(tmp_path: Path, header: str):
    cells, _ = default_export("pulse", "text", {header: ["张三丰"] * PEOPLE})
    made = propose_workspace(tmp_path / "office", write(tmp_path / "export.csv", cells))
    assert header in made.notices[0]
    assert made.table.set_index("column").loc[header, ["code", "role"]].tolist() == ["", ""]
    for path in (tmp_path / "office").rglob("*.*"):
        assert "张三丰".encode() not in path.read_bytes()
        assert header.encode() not in path.read_bytes()
    no_problems(tmp_path / "office")


@pytest.mark.parametrize("header", ["8、其他", "8、您的岗位"])
def test_identifying_content_leaves_nothing_written(tmp_path: Path, header: str):
    phone = "138" + "0013" + "8000"
    cells, _ = default_export("pulse", "text", {header: [phone, "生产"] * (PEOPLE // 2)})
    table = refused(tmp_path, cells, IdentifierError, "identifier_content")
    assert not table.apply(lambda c: c.str.contains(phone)).any().any()


def test_a_forbidden_question_leaves_nothing_written(tmp_path: Path):
    cells = export({"2、我拥护国家的政策": [AGREE5[a - 1] for a in draw(1, 5)]})
    table = refused(tmp_path, cells, DataError, "forbidden_subject")
    assert "我拥护国家的政策" in table["place"].iloc[0]


def test_an_export_without_ratings_is_refused_with_what_to_do(tmp_path: Path):
    cells = export({"2、您的建议": [f"建议{i}" for i in range(PEOPLE)]})
    table = refused(tmp_path, cells, DataError, "no_questions")
    assert "dj template" in table["advice"].iloc[0]


def test_an_export_without_dates_asks_for_the_period(tmp_path: Path):
    cells = [row[2:] for row in foreign(AGREE5)]
    table = refused(tmp_path, cells, DataError, "no_period")
    assert "--period" in table["advice"].iloc[0]
    propose_workspace(tmp_path / "office", tmp_path / "export.csv", "2026Q3")
    foreign_scores(tmp_path / "office")


@pytest.mark.parametrize("content", [b"", "序号,提交答卷时间\n".encode(), b"\xff\xfe\x00a"])
def test_a_file_that_cannot_be_read_leaves_nothing_written(tmp_path: Path, content: bytes):
    (tmp_path / "export.csv").write_bytes(content)
    with pytest.raises(DataError):
        propose_workspace(tmp_path / "office", tmp_path / "export.csv")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["export.csv"]


def test_a_folder_with_something_in_it_is_left_alone(tmp_path: Path):
    source = write(tmp_path / "export.csv", foreign(AGREE5))
    office = tmp_path / "office"
    office.mkdir()
    propose_workspace(office, source)  # an empty folder will do
    before = {path: path.read_bytes() for path in office.rglob("*.*")}
    with pytest.raises(UsageError, match=r"office 不是空文件夹.*not empty"):
        propose_workspace(office, source)
    assert {path: path.read_bytes() for path in office.rglob("*.*")} == before


def test_a_file_in_the_place_of_the_folder_is_refused(tmp_path: Path):
    source = write(tmp_path / "export.csv", foreign(AGREE5))
    with pytest.raises(UsageError):
        propose_workspace(source, source)


# The command.


def test_dj_new_says_what_it_took_each_column_for(tmp_path: Path):
    source = write(tmp_path / "export.csv", foreign(AGREE5))
    done = CliRunner().invoke(app, ["new", str(tmp_path / "office"), "--from", str(source), "--period", "2026Q3"])
    assert done.exit_code == 0, done.output
    for said in ("2、食堂与班车—食堂饭菜可口", "group6", "item", "group", "请核对 codebook.csv", "dj check"):
        assert said in done.output
    checked = CliRunner().invoke(app, ["check", str(tmp_path / "office")])
    assert checked.exit_code == 0
    assert "没有发现问题" in checked.output


def test_own_codes_never_meet_those_of_the_default_instrument(tmp_path: Path):
    leaves = default_codebook().tree.in_form("full").leaves
    header = [
        "序号",
        "提交答卷时间",
        "所用时间",
        "1、您所在的党支部",
        "2、您的专业",
        *(leaf.text_zh for leaf in leaves),
    ]
    rows = [
        [
            str(i),
            "2026/8/1 10:00",
            "100秒",
            f"支部{i % 2}",
            ("营销", "运维")[i % 2],
            *(str(1 + (i + k) % 5) for k in range(len(leaves))),
        ]
        for i in range(1, 31)
    ]
    source = write(tmp_path / "export.csv", [header, *rows])
    propose_workspace(tmp_path / "office", source)
    assert check_folder(tmp_path / "office").table.empty
