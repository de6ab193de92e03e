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
from dj_analysis.proposal import Decisions, propose_again, propose_workspace
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
    pages = ["PROPOSAL.en.md", "PROPOSAL.md"]
    assert written == [*pages, "codebook.csv", "responses/2026Q3.xlsx", "scales.csv", "units.csv", "workspace.toml"]
    settings = tomllib.loads((tmp_path / "office" / "workspace.toml").read_text(encoding="utf-8"))
    assert (settings["name"], settings["min_group"]) == ("office", 10)
    assert settings["tables"]["responses"]["columns"]["unit"] == "1、您所在的党支部"
    days = pd.to_datetime(came.frame["提交答卷时间"]).dt.date
    assert settings["waves"] == {"2026Q3": {"form": "pulse", "from": days.min(), "to": days.max()}}
    assert days.min() < days.max()


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


def test_options_that_leave_open_what_nobody_chose_are_asked(tmp_path: Path):
    one = ["不满意" if a == 1 else "非常满意" for a in draw(1, 2)]
    whole = [SATISFIED[a - 1] for a in draw(3, 5)]
    source = write(tmp_path / "e.csv", export({"2、食堂": one, "3、班车": whole}))
    made = propose_workspace(tmp_path / "office", source)
    assert made.questions["column"].tolist() == ["2、食堂"]
    problems = check_folder(tmp_path / "office").table
    assert problems["rule"].tolist() == ["open_question"]
    assert "不满意 < 非常满意" in problems["found"].iloc[0]
    with pytest.raises(DataError, match="open_question"):
        dj.run_report("quarterly", tmp_path / "office", period="2026Q3", formats=["html"])
    scale = ("非常不满意", "不满意", "一般", "满意", "非常满意")
    decided = propose_workspace(tmp_path / "decided", source, decisions=Decisions(scales=(scale,)))
    assert decided.questions.empty
    no_problems(tmp_path / "decided")
    scores = dj.open_workspace(tmp_path / "decided").scores("2026Q3")
    assert scores.at("ALL", "item2")["score"] == pytest.approx(np.mean([25.0 if a == 1 else 100.0 for a in draw(1, 2)]))


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
        assert path.suffix == ".md" or header.encode() not in path.read_bytes()
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
    for said in ("2、食堂与班车—食堂饭菜可口", "item", "group", "请核对 PROPOSAL.md", "dj check"):
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


# What is asked, and how it is decided.


def scores_of(folder: Path) -> pd.Series:
    table = dj.open_workspace(folder).scores("2026Q3").table
    return table[(table["unit"] == "ALL") & (table["form"] == table["form"].iloc[0])].set_index("code")["score"]


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (("不满意", "不太满意", "一般", "满意", "非常满意"), 5),
        (("非常不满意", "不满意", "基本满意", "满意", "非常满意"), 5),
        (("非常不符合", "不符合", "比较不符合", "一般", "比较符合", "符合", "非常符合"), 7),
        (("从不", "很少", "有时", "经常", "总是"), 5),
        (("很差", "较差", "一般", "较好", "很好"), 5),
        (("非常不同意", "不同意", "同意", "非常同意"), 4),
        (("A.非常不满意", "B.不满意", "C.一般", "D.满意", "E.非常满意"), 5),
        (("1分", "2分", "3分", "4分", "5分"), 5),
        (("★", "★★", "★★★", "★★★★", "★★★★★"), 5),
    ],
)
def test_options_are_read_in_the_order_their_words_give(tmp_path: Path, options: tuple[str, ...], expected: int):
    answers = draw(1, len(options))
    shown = [options[a - 1] for a in answers]
    propose_workspace(tmp_path / "office", write(tmp_path / "e.csv", export({"2、食堂饭菜可口": shown})))
    no_problems(tmp_path / "office")
    scale = dj.open_workspace(tmp_path / "office").spec.codebook.scales
    assert sum(option.value == option.value for one in scale.values() for option in one.options) == expected
    right = 100 * (answers.mean() - 1) / (len(options) - 1)
    assert scores_of(tmp_path / "office")["INDEX"] == pytest.approx(right, abs=1e-9)


def test_no_answer_is_missing_and_never_the_middle(tmp_path: Path):
    labels = ("非常不满意", "不满意", "一般", "满意", "非常满意", "说不清")
    answers = draw(1, 6)
    propose_workspace(tmp_path / "o", write(tmp_path / "e.csv", export({"2、食堂": [labels[a - 1] for a in answers]})))
    rated = answers[answers < 6]
    assert scores_of(tmp_path / "o")["INDEX"] == pytest.approx(100 * (rated.mean() - 1) / 4, abs=1e-9)


@pytest.mark.parametrize("pair", [("非常满意", "很满意"), ("一般", "中立")])
def test_two_options_that_words_do_not_tell_apart_are_asked(tmp_path: Path, pair: tuple[str, str]):
    labels = ("非常不满意", "不满意", *pair, "满意")
    made = propose_workspace(
        tmp_path / "o", write(tmp_path / "e.csv", export({"2、食堂": [labels[a - 1] for a in draw(1, 5)]}))
    )
    (why,) = made.questions["why"]
    assert all(text in why for text in pair)


def test_numbers_are_ratings_only_where_the_question_rates(tmp_path: Path):
    columns = {
        "2、我对现在的工作满意": [str(a) for a in draw(1, 5)],
        "3、您的月收入": [str(a) for a in draw(2, 6)],
        "4、您的学历": [str(a) for a in draw(3, 4)],
        "5、班车": [str(a) for a in draw(4, 3)],
        "6、您有多大可能推荐本单位": [str(a - 1) for a in draw(5, 11)],
    }
    made = propose_workspace(tmp_path / "o", write(tmp_path / "e.csv", export(columns)))
    roles = made.table.set_index("column")["role"]
    assert roles[list(columns)].tolist() == ["item", "group", "group", "ask", "item"]
    codebook = dj.open_workspace(tmp_path / "o").spec.codebook
    assert codebook.tree["item6"].parent == "OUTCOME"
    assert codebook.tree["OUTCOME"].role == "outcome"
    assert scores_of(tmp_path / "o")["INDEX"] == pytest.approx((draw(1, 5).mean() - 1) * 25, abs=1e-9)


def test_multiple_choices_and_rankings_are_no_ratings(tmp_path: Path):
    rng = np.random.default_rng(5)
    places = [rng.permutation(4) + 1 for _ in range(PEOPLE)]
    columns = {"2、我对现在的工作满意": [str(a) for a in draw(1, 5)]}
    columns |= {f"3、需要({name})": [str(int(rng.random() < 0.5)) for _ in range(PEOPLE)] for name in ("食堂", "班车")}
    columns |= {
        f"第4题({name})": [str(p[k]) if p[k] < 4 else "-2" for p in places]
        for k, name in enumerate(("工资", "休假", "培训", "宿舍"))
    }
    columns["5、最想要的"] = ["食堂┋其他〖修3号楼电梯〗" if i % 2 else "班车" for i in range(PEOPLE)]
    made = propose_workspace(tmp_path / "o", write(tmp_path / "e.csv", export(columns)))
    roles = made.table[made.table["column"].str.match(r"^(第?[2-5])")]["role"].tolist()
    assert roles == ["item", "choice", "choice", *["ranking"] * 4, *["choice"] * 3]
    no_problems(tmp_path / "o")
    assert scores_of(tmp_path / "o")["INDEX"] == pytest.approx((draw(1, 5).mean() - 1) * 25, abs=1e-9)
    for path in (tmp_path / "o").rglob("*"):
        assert path.is_dir() or "电梯".encode() not in path.read_bytes()


def test_short_headers_are_not_the_default_instrument(tmp_path: Path):
    columns = {name: [str(a) for a in draw(k, 5)] for k, name in enumerate(("L1", "L3", "A1", "O1", "Q1"))}
    made = propose_workspace(tmp_path / "o", write(tmp_path / "e.csv", export(columns)))
    assert not made.table["why"].str.contains("默认问卷").any()
    codebook = dj.open_workspace(tmp_path / "o").spec.codebook
    assert {leaf.direction for leaf in codebook.tree.leaves} == {1}
    right = np.mean([(draw(k, 5).mean() - 1) * 25 for k in range(5)])
    assert scores_of(tmp_path / "o")["INDEX"] == pytest.approx(right, abs=1e-9)


def test_an_open_question_with_the_word_unit_is_no_unit_and_two_units_are_asked(tmp_path: Path):
    columns = {
        "2、我对现在的工作满意": [str(a) for a in draw(1, 5)],
        "3、您对单位有什么建议": [f"修{i % 9}号楼" for i in range(PEOPLE)],
        "4、您所在的部门": [f"部门{i % 3}" for i in range(PEOPLE)],
    }
    source = write(tmp_path / "e.csv", export(columns))
    made = propose_workspace(tmp_path / "o", source)
    roles = made.table.set_index("column")["role"]
    assert roles["3、您对单位有什么建议"] == ""
    assert roles[["1、您所在的党支部", "4、您所在的部门"]].tolist() == ["ask", "ask"]
    decided = propose_workspace(tmp_path / "d", source, decisions=Decisions(unit="4", roles={"1": "group"}))
    assert decided.questions.empty
    no_problems(tmp_path / "d")
    assert [unit.name_zh for unit in dj.open_workspace(tmp_path / "d").units.rows] == ["部门0", "部门1", "部门2"]


def test_what_is_decided_by_hand_is_completed_and_the_rest_stays(tmp_path: Path):
    ratings = np.where(draw(4, 5) > 2, 5, draw(4, 5))  # skewed: turned round, its mean is another
    numbers = [str(a) for a in ratings]
    labels = ("非常不满意", "不满意", "很满意", "满意", "非常满意")
    columns = {
        "2、我对现在的工作满意": [str(a) for a in draw(1, 5)],
        "3、班车": numbers,
        "4、食堂": [labels[a - 1] for a in draw(2, 5)],
        "5、您所在的部门": [f"部门{i % 3}" for i in range(PEOPLE)],
    }
    folder = tmp_path / "o"
    made = propose_workspace(folder, write(tmp_path / "e.csv", export(columns)))
    assert made.questions["column"].tolist() == ["1、您所在的党支部", "3、班车", "4、食堂", "5、您所在的部门"]
    text = (folder / "codebook.csv").read_text(encoding="utf-8-sig")
    text = text.replace("我对现在的工作满意", "工作满意", 1).replace("ask3,,班车,ask", "ask3,,班车,item")
    text = text.replace("ask5,,您所在的部门,ask", "ask5,,您所在的部门,unit")
    (folder / "codebook.csv").write_text(text, encoding="utf-8-sig")
    settings = (folder / "workspace.toml").read_text(encoding="utf-8").replace("min_group = 10", "min_group = 12")
    (folder / "workspace.toml").write_text(settings, encoding="utf-8")
    scale = ("非常不满意", "不满意", "满意", "很满意", "非常满意")
    assert "3、班车: " in (folder / "PROPOSAL.md").read_text(encoding="utf-8")
    done = propose_again(folder, Decisions(roles={"1、您所在的党支部": "none"}, scales=(scale,), reverse=("3",)))
    no_problems(folder)
    assert done.questions.empty
    for name, none, high, why in (
        ("PROPOSAL.md", "没有。", "高为差（反向）", "按您的决定"),
        ("PROPOSAL.en.md", "None.", "high is bad (reversed)", "as you decided"),
    ):
        page = (folder / name).read_text(encoding="utf-8")
        assert none in page
        assert [line for line in page.splitlines() if high in line] == [f"| 全部题目 | 班车 | {high} | 1–5 | 1 |"]
        assert why in next(line for line in page.splitlines() if line.startswith("| 3、班车"))
        assert "部门0、部门1、部门2" in page
        assert "工作满意" in page
    ws = dj.open_workspace(folder)
    assert ws.settings.min_group == 12
    assert ws.spec.codebook.tree["item2"].label_zh == "工作满意"
    assert [unit.name_zh for unit in ws.units.rows] == ["部门0", "部门1", "部门2"]
    found = scores_of(folder)
    assert found["ask3"] == pytest.approx(100 - (ratings.mean() - 1) * 25, abs=1e-9)
    order = {text: place for place, text in enumerate(scale)}
    assert found["ask4"] == pytest.approx(25 * np.mean([order[text] for text in columns["4、食堂"]]), abs=1e-9)
    stored = read_text(folder / "responses" / "2026Q3.csv", Problems()).frame
    assert "1、您所在的党支部" not in stored


@pytest.mark.parametrize(
    ("decisions", "named"),
    [
        (Decisions(unit="99"), "99"),
        (Decisions(roles={"2": "judge"}), "judge"),
        (Decisions(dimensions="by-colour"), "by-colour"),  # type: ignore[arg-type]
        (Decisions(reverse=("77",)), "77"),
    ],
)
def test_a_decision_about_nothing_is_one_error(tmp_path: Path, decisions: Decisions, named: str):
    source = write(tmp_path / "e.csv", export({"2、食堂满意": [str(a) for a in draw(1, 5)]}))
    with pytest.raises(UsageError, match=named):
        propose_workspace(tmp_path / "o", source, decisions=decisions)
    assert not (tmp_path / "o").exists()


def test_the_pages_tell_every_column_and_the_index(tmp_path: Path):
    columns = {"2、食堂|班车—饭菜": [SATISFIED[a - 1] for a in draw(1, 5)], "3、班车": [str(a) for a in draw(4, 3)]}
    columns["8、您的姓名"] = ["张三丰"] * PEOPLE
    source = write(tmp_path / "e.csv", export(columns))
    propose_workspace(tmp_path / "o", source, decisions=Decisions(dimensions="one"))
    zh = (tmp_path / "o" / "PROPOSAL.md").read_text(encoding="utf-8")
    en = (tmp_path / "o" / "PROPOSAL.en.md").read_text(encoding="utf-8")
    for text in (zh, en):
        assert all(header.replace("|", "\\|") in text for header in columns)
        assert "张三丰" not in text
        assert "非常不满意 &lt; 比较不满意" in text
    assert "**待定**" in zh
    assert "to be decided" in en
    assert "只有一个维度" in zh
    assert "one dimension" in en


# What a first use of exports of other hands met.


@pytest.mark.parametrize(
    ("header", "lowest", "limits", "parent"),
    [
        ("3、您向朋友推荐本单位的可能性有多大？(0-10分)", 1, (0, 10), "OUTCOME"),
        ("3、您向朋友推荐本单位的可能性有多大？", 1, (0, 10), "OUTCOME"),
        ("3、您向朋友推荐本单位的可能性有多大？（1~10分）", 1, (1, 10), "M1"),
        ("3、请给食堂打分（0—10）", 2, (0, 10), "M1"),
        ("3、请给食堂打分(1-7分)", 2, (1, 7), "M1"),
        ("3、请给食堂打分", 1, (1, 10), "M1"),
    ],
)
def test_a_range_in_the_header_holds_though_nobody_used_its_ends(
    tmp_path: Path, header: str, lowest: int, limits, parent
):
    most = min(limits[1], 10) - (0 if limits[1] == 10 else 1)
    given = [str(value) for value in np.resize(np.arange(lowest, most + 1), PEOPLE)]
    rated = {"2、我对工作满意": [str(value) for value in draw(1, 5)], header: given}
    source = write(tmp_path / "export.csv", export(rated))
    folder = propose_workspace(tmp_path / "w", source).folder
    tree = dj.open_workspace(folder).spec.codebook.tree
    (node,) = [leaf for leaf in tree.leaves if leaf.text_zh != "我对工作满意"]
    assert (node.minimum, node.maximum) == limits
    assert node.parent == parent


@pytest.mark.parametrize(
    ("label", "role"),
    [
        ("我对目前的薪酬待遇感到满意", "item"),
        ("您对收入的满意程度", "item"),
        ("您对收入最不满意的是哪一方面", "ask"),
        ("您的月收入", "group"),
    ],
)
def test_pay_is_no_category_where_it_is_asked_how_content_one_is_with_it(tmp_path: Path, label: str, role: str):
    columns = {"2、我对工作满意": draw(1, 5), f"3、{label}": draw(2, 5)}
    source = write(tmp_path / "export.csv", export({name: [str(v) for v in cells] for name, cells in columns.items()}))
    table = propose_workspace(tmp_path / "w", source).table.set_index("column")
    assert table.loc[f"3、{label}", "role"] == role


def test_a_direction_turned_afterwards_is_told(tmp_path: Path):
    rated = {f"{i}、{name}": [AGREE[v - 1] for v in draw(i, 5)] for i, name in ((2, "我对工作满意"), (3, "我感到疲惫"))}
    folder = propose_workspace(tmp_path / "w", write(tmp_path / "export.csv", export(rated))).folder
    before = dj.open_workspace(folder).spec.codebook
    assert [node.label_zh for node in before.dimensions] == ["全部题目"]
    done = propose_again(folder, Decisions(reverse=("3",)))
    (notice,) = done.notices
    assert "我感到疲惫" in notice
    after = dj.open_workspace(folder).spec.codebook.tree
    assert [leaf.direction for leaf in after.leaves] == [1, -1]
    assert [leaf.direction for leaf in before.tree.leaves] == [1, 1]
