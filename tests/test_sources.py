"""However answers arrive, equal answers give equal scores; and whoever could be recognised stops at the door.

Eight people in two teams answer four questions; their scores are worked out by hand in EXPECTED. Every reader is held to
them: 问卷星 in its formats, wide and long tables, SPSS, a database, and any dataframe.
"""

from __future__ import annotations

import csv
import io
import itertools
import sqlite3
import warnings
from collections.abc import Callable
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import duckdb
import pandas as pd
import polars as pl
import pyarrow as pa
import pyreadstat
import pytest
import xlsxwriter

import dj_analysis as dj
from dj_analysis.errors import DataError, DjWarning, Problems
from dj_analysis.errors import IdentifierError as Identified
from dj_analysis.measure.intake.identifiers import check_names
from dj_analysis.spec.codebook import Codebook, default_codebook
from dj_analysis.spec.units import Units
from dj_analysis.workspace import check_folder

pytestmark = pytest.mark.filterwarnings("ignore::dj_analysis.errors.DjWarning")

CODEBOOK = """\
code,parent,label_zh,role,direction,weight,minimum,maximum,text_zh,scale
INDEX,,指数,index,1,1,,,,
D1,INDEX,负荷,dimension,1,1,,,,
D2,INDEX,支持,dimension,1,1,,,,
L1,D1,完成,item,1,1,1,5,我手头的工作在正常工作时间内基本能完成。,agree
L3,D1,放下,item,-1,1,1,5,"下班以后,我常常仍放不下工作上的事。",agree
S1,D2,不同看法,item,1,1,1,5,"在班组(科室)里说出不同看法,不会被为难。",agree
H,D2,推荐,item,1,1,0,10,你有多大可能向亲友推荐来本单位工作?(0–10),
age,,年龄段,group,1,1,,,您的年龄段,age
C1,,一件事,text,1,1,,,最希望单位帮助解决的一件事(请勿填写姓名等个人信息),
"""
# The way out is the sixth option of the form, and counts as missing.
SCALES = """\
scale,code,value,label_zh,label_en,missing
agree,1,1,非常不同意,strongly disagree,
agree,2,2,比较不同意,disagree,
agree,3,3,一般,neither,
agree,4,4,比较同意,agree,
agree,5,5,非常同意,strongly agree,
agree,6,,不了解/不适用,not applicable,1
age,1,1,35岁及以下,35 or younger,
age,2,2,36岁及以上,36 or older,
"""
UNITS = """\
unit,parent,level,name_zh,aliases
T1,,team,变电一班,变电运维一班|𠮷站一班
T2,,team,城区供电所,
"""
SETTINGS = 'name = "试点单位"\n'
OPTIONS = ("非常不同意", "比较不同意", "一般", "比较同意", "非常同意", "不了解/不适用")
AGES = ("35岁及以下", "36岁及以上")
ITEMS = ("L1", "L3", "S1", "H")

#: unit, the four answers as option numbers (None = not answered), age band.
ANSWERS: tuple[tuple[str, int | None, int | None, int | None, int | None, int], ...] = (
    ("T1", 5, 1, 4, 10, 1),
    ("T1", 4, 2, 4, 8, 1),
    ("T1", 3, 3, None, 7, 2),
    ("T1", 6, 4, 2, 0, 1),
    ("T2", 1, 5, 1, None, 2),
    ("T2", 2, 4, 2, 3, 2),
    ("T2", 5, None, 5, 9, 2),
    ("T2", 4, 2, 3, 6, 1),
)
#: By hand: (unit, code) → n and score. Both questions of a dimension (0.6 of two) and both dimensions are needed.
EXPECTED = {
    ("T1", "L1"): (3, 75.0),
    ("T1", "L3"): (4, 62.5),
    ("T1", "S1"): (3, 175 / 3),
    ("T1", "H"): (4, 62.5),
    ("T1", "D1"): (3, 75.0),
    ("T1", "D2"): (3, 177.5 / 3),
    ("T1", "INDEX"): (2, 85.0),
    ("T2", "D1"): (3, 100 / 3),
    ("T2", "D2"): (3, 177.5 / 3),
    ("T2", "INDEX"): (2, 45.625),
    ("ALL", "INDEX"): (4, 65.3125),
    ("35岁及以下", "INDEX"): (3, 235 / 3),
    ("36岁及以上", "INDEX"): (1, 26.25),
}
UNIT_NAMES = {"T1": ("变电一班", "变电运维一班", "T1"), "T2": ("城区供电所", "城区 供电所", "T2")}

META = ("序号", "提交答卷时间", "所用时间", "来源", "来源详情", "来自IP")
DURATIONS = ("49秒", "1分20秒", "1小时2分3秒", "65秒", "2分", "1小时", "118", "90秒")
SECONDS = [49, 80, 3723, 65, 120, 3600, 118, 90]
MARKS = ("-2", "-3", "空", "(空)", "（空）", "N/A", "")

Cells = list[list[str]]


# How 问卷星 writes the answers.


def question(number: int, wording: str, style: str) -> str:
    return {
        "plain": f"{number}、{wording}",
        "row": f"第{number}题({wording})",
        "matrix": f"{number}、请评价—{wording}",
    }[style]


def wjx(by: str = "text", style: str = "plain", unit_style: int = 0, marks: tuple[str, ...] = MARKS) -> Cells:
    """Header and rows of an export, by option text or by option number."""
    wording = {node.code: node.text_zh for node in (*codebook().tree.leaves, *codebook().others)}
    header = [
        *META,
        "1、您所在的班组",
        *(question(i, wording[code], style) for i, code in enumerate(ITEMS, start=2)),
        f"6、{wording['age']}",
        f"7、{wording['C1']}",
    ]
    blank = itertools.cycle(marks)

    def shown(code: str, answer: int | None) -> str:
        if answer is None:
            return next(blank)
        return OPTIONS[answer - 1] if by == "text" and code != "H" else str(answer)

    rows = []
    for i, (unit, *answers, age) in enumerate(ANSWERS):
        meta = [str(i + 1), f"2026/7/{i + 1} 19:50", DURATIONS[i], "微信", "N/A", "x.x.x.x(云岭-澄川)"]
        cells = [shown(code, answer) for code, answer in zip(ITEMS, answers, strict=True)]
        rows.append([
            *meta, UNIT_NAMES[unit][unit_style], *cells, AGES[age - 1] if by == "text" else str(age), "希望会议精简一些"
        ])  # fmt: skip
    return [header, *rows]


def as_csv(cells: Cells, encoding: str = "utf-8-sig") -> bytes:
    stream = io.StringIO(newline="")
    csv.writer(stream).writerows(cells)
    return stream.getvalue().encode(encoding)


def as_xlsx(cells: Cells, *, numbers: bool = False) -> bytes:
    stream = io.BytesIO()
    with xlsxwriter.Workbook(stream, {"strings_to_numbers": numbers}) as book:
        sheet = book.add_worksheet("Sheet1")
        for row, line in enumerate(cells):
            sheet.write_row(row, 0, line)
    return stream.getvalue()


# How other tables hold them.


def wide() -> pd.DataFrame:
    """One row a person, a column a code; missing answers are null."""
    frame = pd.DataFrame(
        [(f"p{i}", *row) for i, row in enumerate(ANSWERS, start=1)], columns=["respondent", "unit", *ITEMS, "age"]
    )
    frame["age"] = frame["age"].map(lambda age: AGES[age - 1])
    return frame.astype(dict.fromkeys(ITEMS, "Int64") | dict.fromkeys(["respondent", "unit", "age"], "str"))


def long() -> pd.DataFrame:
    """One row an answer; what was not answered has no row."""
    melted = wide().melt(id_vars=["respondent", "unit", "age"], var_name="code").dropna(subset="value")
    return melted.sample(frac=1, random_state=3).reset_index(drop=True)


def text(frame: pd.DataFrame) -> pd.DataFrame:
    return frame.astype("str").fillna("").replace({"<NA>": ""})


def cells_of(frame: pd.DataFrame) -> Cells:
    return [list(frame.columns), *text(frame).to_numpy().tolist()]


def as_parquet(frame: pd.DataFrame) -> bytes:
    stream = io.BytesIO()
    frame.to_parquet(stream, index=False)
    return stream.getvalue()


# What they must come to.


@cache
def codebook() -> Codebook:
    with TemporaryDirectory() as folder:
        (Path(folder) / "codebook.csv").write_text(CODEBOOK, encoding="utf-8")
        (Path(folder) / "scales.csv").write_text(SCALES, encoding="utf-8")
        return dj.read_codebook(Path(folder) / "codebook.csv")


@cache
def units() -> Units:
    with TemporaryDirectory() as folder:
        (Path(folder) / "units.csv").write_text(UNITS, encoding="utf-8")
        return dj.read_units(Path(folder) / "units.csv")


def as_worked_out_by_hand(table: pd.DataFrame) -> None:
    found = table.set_index(["unit", "code"])
    assert (found["form"] == "anchors").all()
    for (unit, code), (n, score) in EXPECTED.items():
        assert found.loc[(unit, code), "n"] == n, (unit, code)
        assert found.loc[(unit, code), "score"] == pytest.approx(score, abs=1e-9), (unit, code)
    assert len(table) == (1 + 2 + 2) * 7


def read(source: object, columns: dict[str, str] | None = None) -> pd.DataFrame:
    survey = dj.read_survey(source, codebook(), units(), period="2026Q3", columns=columns)
    return dj.score(survey, by=["team", "age"]).table


def read_bytes(folder: Path, name: str, content: bytes, columns: dict[str, str] | None = None) -> pd.DataFrame:
    path = folder / name
    path.write_bytes(content)
    return read(path, columns)


@pytest.fixture
def office(tmp_path: Path, write_workspace) -> Callable[..., Path]:
    """A workspace with the declarations above, further files and lines of settings."""

    def make(settings: str = "", **files: str | bytes) -> Path:
        named = {name.replace("__", "/").replace("_csv", ".csv"): content for name, content in files.items()}
        declared = {"codebook.csv": CODEBOOK, "scales.csv": SCALES, "units.csv": UNITS}
        return write_workspace(tmp_path / "office", declared | {"workspace.toml": SETTINGS + settings} | named)

    return make


def scored(folder: Path, period: str = "2026Q3") -> pd.DataFrame:
    problems = check_folder(folder)
    assert len(problems) == 0, problems.table.to_string()
    return dj.open_workspace(folder).scores(period).table


# 问卷星.

UNIT_COLUMN = {"unit": "1、您所在的班组"}


@pytest.mark.parametrize("by", ["text", "number"])
@pytest.mark.parametrize(
    ("encoding", "style"),
    [("utf-8-sig", "plain"), ("utf-8-sig", "row"), ("utf-8", "matrix"), ("gbk", "plain"), ("gb18030", "row")],
)
def test_wjx_csv(tmp_path: Path, encoding: str, by: str, style: str):
    as_worked_out_by_hand(read_bytes(tmp_path, "a.csv", as_csv(wjx(by, style), encoding), UNIT_COLUMN))


@pytest.mark.parametrize(
    ("by", "style", "numbers"),
    [("text", "plain", False), ("text", "matrix", True), ("number", "row", False), ("number", "plain", True)],
)
def test_wjx_xlsx(tmp_path: Path, by: str, style: str, numbers: bool):
    content = as_xlsx(wjx(by, style), numbers=numbers)
    as_worked_out_by_hand(read_bytes(tmp_path, "a.xlsx", content, UNIT_COLUMN))


# Excel's old format, which nothing here writes: sheets 文本, wjx("text", "matrix", 1), and 序号, wjx("number", "plain", 1).
XLS = Path(__file__).parent / "data" / "wjx_small.xls"


@pytest.mark.parametrize("sheet", ["文本", "序号"])
def test_wjx_xls(office, sheet: str):
    settings = f'[tables.responses]\nsheet = "{sheet}"\n[tables.responses.columns]\nunit = "1、您所在的班组"\n'
    folder = office(settings)
    (folder / "responses").mkdir()
    (folder / "responses" / "2026Q3.xls").write_bytes(XLS.read_bytes())
    as_worked_out_by_hand(scored(folder))


def test_first_sheet_is_read_by_default():
    as_worked_out_by_hand(read(XLS, UNIT_COLUMN))


def test_characters_that_only_gb18030_has(tmp_path: Path):
    cells = [[cell.replace("变电一班", "𠮷站一班") for cell in row] for row in wjx()]
    with pytest.raises(UnicodeEncodeError):
        as_csv(cells, "gbk")
    as_worked_out_by_hand(read_bytes(tmp_path, "a.csv", as_csv(cells, "gb18030"), UNIT_COLUMN))


@pytest.mark.parametrize("unit_style", [1, 2])
def test_units_by_alias_spacing_and_code(tmp_path: Path, unit_style: int):
    cells = wjx(unit_style=unit_style)
    as_worked_out_by_hand(read_bytes(tmp_path, "a.csv", as_csv(cells), UNIT_COLUMN))


@pytest.mark.parametrize("marks", [MARKS[:3], MARKS[3:6], MARKS[6:]])
def test_each_mark_of_a_missing_answer(tmp_path: Path, marks: tuple[str, ...]):
    content = as_csv(wjx("number", marks=marks))
    as_worked_out_by_hand(read_bytes(tmp_path, "a.csv", content, UNIT_COLUMN))


def test_durations_in_every_spelling(tmp_path: Path):
    path = tmp_path / "a.csv"
    path.write_bytes(as_csv(wjx()))
    survey = dj.read_survey(path, codebook(), units(), period="2026Q3", columns=UNIT_COLUMN)
    assert survey.frame["seconds"].to_list() == SECONDS


def test_durations_that_cannot_be_read_are_missing(tmp_path: Path):
    path = tmp_path / "a.csv"
    cells = wjx()
    cells[1][2], cells[2][2] = "", "很久"
    path.write_bytes(as_csv(cells))
    survey = dj.read_survey(path, codebook(), units(), period="2026Q3", columns=UNIT_COLUMN)
    found = survey.frame["seconds"].fill_nan(None)
    assert found.null_count() == 2
    assert found.drop_nulls().to_list() == SECONDS[2:]


@pytest.mark.parametrize("column", ["来自IP", "来源详情", "昵称"])
def test_what_leads_to_a_person_is_dropped_with_a_notice(tmp_path: Path, column: str):
    cells = wjx()
    if column not in META:
        cells = [[*row, value] for row, value in zip(cells, [column, *"甲乙丙丁戊己庚辛"], strict=True)]
    path = tmp_path / "a.csv"
    path.write_bytes(as_csv(cells))
    with pytest.warns(DjWarning, match=f"已丢弃 .*{column}"):
        survey = dj.read_survey(path, codebook(), units(), period="2026Q3", columns=UNIT_COLUMN)
    assert column not in survey.frame.columns
    assert "x.x.x.x" not in repr(survey)


def test_free_text_and_undeclared_columns_are_not_kept(tmp_path: Path):
    cells = [[*row, value] for row, value in zip(wjx(), ["8、食堂好吗", *"好好好好好好好好"], strict=True)]
    path = tmp_path / "a.csv"
    path.write_bytes(as_csv(cells))
    with pytest.warns(DjWarning, match="未声明的列已丢弃 .*食堂"):
        survey = dj.read_survey(path, codebook(), units(), period="2026Q3", columns=UNIT_COLUMN)
    assert sorted(survey.frame.columns) == sorted(["unit", *ITEMS, "age", "seconds"])


def test_without_a_column_named_for_the_unit_all_belong_to_the_root(tmp_path: Path):
    table = read_bytes(tmp_path, "a.csv", as_csv(wjx()))  # nobody said which column holds the unit
    assert table.set_index(["unit", "code"]).loc[("ALL", "INDEX"), ["n", "score"]].tolist() == [4, 65.3125]
    assert (table.loc[table["unit"].isin(["T1", "T2"]), "n"] == 0).all()


def test_rows_imported_twice_are_found_by_their_running_number(tmp_path: Path):
    cells = wjx()
    with pytest.raises(DataError, match=r"序号.*duplicate_respondent.*第 10 行"):
        read_bytes(tmp_path, "a.csv", as_csv([*cells, cells[-1]]), UNIT_COLUMN)


def test_a_question_asked_in_two_columns_is_refused_until_one_is_named(tmp_path: Path):
    cells = [[*row, row[7]] for row in wjx()]
    cells[0][-1] = "9、" + cells[0][7].removeprefix("2、")
    with pytest.raises(DataError, match=r"L1 \[ambiguous_column\].*9、我手头的工作"):
        read_bytes(tmp_path, "a.csv", as_csv(cells), UNIT_COLUMN)
    as_worked_out_by_hand(read_bytes(tmp_path, "a.csv", as_csv(cells), UNIT_COLUMN | {"L1": cells[0][7]}))


def test_row_numbers_in_messages_count_as_in_the_file(tmp_path: Path):
    cells = wjx("number")
    cells[4][7] = "9"
    with pytest.raises(DataError, match=r"L1.*out_of_range.*9 \(第 5 行\)"):
        read_bytes(tmp_path, "a.csv", as_csv(cells), UNIT_COLUMN)


def test_row_numbers_in_messages_count_blank_rows_too(tmp_path: Path):
    cells = wjx("number")
    cells[4][7] = "9"
    cells.insert(2, [""] * len(cells[0]))
    with pytest.raises(DataError, match=r"9 \(第 6 行\)"):
        read_bytes(tmp_path, "a.xlsx", as_xlsx(cells), UNIT_COLUMN)


# Multiple choice.

CHOICE = """\
code,parent,label_zh,role,direction,weight,minimum,maximum
INDEX,,指数,index,1,1,,
B1,INDEX,食堂,item,1,1,0,1
B2,INDEX,班车,item,1,1,0,1
B3,INDEX,宿舍,item,1,1,0,1
"""
PICKED = ("食堂┋班车", "食堂", "班车┋宿舍", "食堂┋班车┋宿舍", "(空)")


def choose(tmp_path: Path, cells: Cells, columns: dict[str, str] | None = None) -> dict[str, tuple[int, float]]:
    (tmp_path / "codebook.csv").write_text(CHOICE, encoding="utf-8")
    (tmp_path / "a.csv").write_bytes(as_csv(cells))
    survey = dj.read_survey(tmp_path / "a.csv", dj.read_codebook(tmp_path / "codebook.csv"), columns=columns)
    table = dj.score(survey).table
    return {row.code: (row.n, row.score) for row in table.itertuples() if row.code != "INDEX"}


SHARES = {"B1": (4, 75.0), "B2": (4, 75.0), "B3": (4, 50.0)}  # of the four who answered


def test_choices_in_one_cell_by_text(tmp_path: Path):
    assert choose(tmp_path, [["序号", "8、您满意哪些"], *([str(i), p] for i, p in enumerate(PICKED))]) == SHARES


def test_choices_in_one_cell_by_number(tmp_path: Path):
    numbers = [p.replace("食堂", "1").replace("班车", "2").replace("宿舍", "3") for p in PICKED]
    columns = {f"B{i}": f"8、您满意哪些({i})" for i in (1, 2, 3)}
    cells = [["序号", "8、您满意哪些"], *([str(i), p] for i, p in enumerate(numbers))]
    assert choose(tmp_path, cells, columns) == SHARES


def test_choices_in_columns(tmp_path: Path):
    names = ("食堂", "班车", "宿舍")
    rows = [[str(int(name in p)) if p != "(空)" else "-2" for name in names] for p in PICKED]
    assert choose(tmp_path, [[f"8、({name})" for name in names], *rows]) == SHARES


@pytest.mark.xfail(strict=True, reason="an option that nobody ticked in a wave is taken for a missing question")
def test_an_option_nobody_ticked_counts_nothing(tmp_path: Path):
    cells = [["序号", "8、您满意哪些"], ["1", "食堂┋班车"], ["2", "食堂"]]
    assert choose(tmp_path, cells) == {"B1": (2, 100.0), "B2": (2, 50.0), "B3": (2, 0.0)}


# Wide and long tables.


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("2026Q3.csv", lambda: as_csv(cells_of(wide()))),
        ("2026Q3.xlsx", lambda: as_xlsx(cells_of(wide()))),
        ("2026Q3.xlsx", lambda: as_xlsx(cells_of(wide()), numbers=True)),
        ("2026Q3.parquet", lambda: as_parquet(wide())),
        ("2026Q3.parquet", lambda: as_parquet(wide().astype(dict.fromkeys(ITEMS, "Float64")))),
        ("2026Q3.parquet", lambda: as_parquet(text(wide()))),
    ],
    ids=["csv", "xlsx-text", "xlsx-numbers", "parquet-integers", "parquet-floats", "parquet-text"],
)
def test_wide_tables(office, name: str, content: Callable[[], bytes]):
    folder = office()
    (folder / "responses").mkdir()
    (folder / "responses" / name).write_bytes(content())
    as_worked_out_by_hand(scored(folder))


@pytest.mark.parametrize(("suffix", "separator"), [("tsv", "\t"), ("txt", "\t"), ("csv", ";")])
def test_wide_tables_with_other_separators(office, suffix: str, separator: str):
    folder = office()
    (folder / "responses").mkdir()
    text(wide()).to_csv(folder / "responses" / f"2026Q3.{suffix}", sep=separator, index=False)
    as_worked_out_by_hand(scored(folder))


def test_a_wave_declared_full_later_gets_its_full_rows(tmp_path: Path, write_workspace):
    files = {
        "workspace.toml": '[waves]\n2026Q3 = "pulse"\n',
        "codebook.csv": "code,parent,label_zh,role,direction,weight,minimum,maximum,form\nD,,维度,dimension,1,1,,,\n"
        "A,D,甲,item,1,1,1,5,both\nB,D,乙,item,1,1,1,5,full\n",
        "responses/2026Q3.csv": "A,B\n1,5\n2,4\n",
    }
    folder = write_workspace(tmp_path, files)
    assert set(dj.open_workspace(folder).scores("2026Q3").table["form"]) == {"anchors"}
    write_workspace(folder, {"workspace.toml": '[waves]\n2026Q3 = "full"\n'})
    assert set(dj.open_workspace(folder).scores("2026Q3").table["form"]) == {"anchors", "full"}


LONG = """
[tables.responses]
path = "answers.{suffix}"
shape = "long"
constant = {{ period = "2026Q3" }}
columns = {{ respondent = "who", unit = "team", age = "band", code = "question", value = "answer" }}
"""
FOREIGN = {"respondent": "who", "unit": "team", "age": "band", "code": "question", "value": "answer"}


@pytest.mark.parametrize(
    ("suffix", "content"),
    [
        ("csv", lambda frame: as_csv(cells_of(frame))),
        ("xlsx", lambda frame: as_xlsx(cells_of(frame))),
        ("parquet", lambda frame: as_parquet(text(frame))),
        ("parquet", as_parquet),
    ],
    ids=["csv", "xlsx", "parquet-text", "parquet-integers"],
)
def test_long_tables(office, suffix: str, content: Callable[[pd.DataFrame], bytes]):
    folder = office(LONG.format(suffix=suffix))
    (folder / f"answers.{suffix}").write_bytes(content(long().rename(columns=FOREIGN)))
    as_worked_out_by_hand(scored(folder))


def test_spss(tmp_path: Path):
    frame = wide().astype(dict.fromkeys(ITEMS, "float64"))
    pyreadstat.write_sav(frame, tmp_path / "2026Q3.sav", variable_value_labels={"L1": dict(enumerate(OPTIONS, 1))})
    as_worked_out_by_hand(read(tmp_path / "2026Q3.sav"))


SQL = """
[tables.responses]
columns = { unit = "team", age = "band" }
[tables.responses.sql]
url_env = "DJ_TEST_URL"
query = "SELECT respondent, period, team, L1, L3, S1, H, band FROM answers"
"""


@pytest.fixture
def database(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "answers.sqlite"
    frame = wide().rename(columns={"unit": "team", "age": "band"}).assign(period="2026Q3")
    other = frame.assign(period="2026Q2", L1=1)
    with sqlite3.connect(path) as connection:
        pd.concat([frame, other]).to_sql("answers", connection, index=False)
    connection.close()
    monkeypatch.setenv("DJ_TEST_URL", f"sqlite:///{path.as_posix()}")
    return path


def test_database(office, database: Path):
    folder = office(SQL)
    assert dj.open_workspace(folder).periods == ["2026Q2", "2026Q3"]
    as_worked_out_by_hand(scored(folder))


def test_database_without_its_address_is_named_without_telling_one(office, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv("DJ_TEST_URL", raising=False)
    (problem,) = check_folder(office(SQL.replace("columns", 'constant = { period = "2026Q3" }\ncolumns')))
    assert (problem.rule, problem.place) == ("sql", "workspace.toml [tables.responses] sql")
    assert "DJ_TEST_URL" in problem.advice


@pytest.mark.parametrize(
    "settings", [SQL, '[tables.responses]\npath = "gone.csv"\n', '[tables.responses]\npath = "../outside.csv"\n']
)
def test_responses_that_cannot_be_read_are_a_problem(office, settings: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv("DJ_TEST_URL", raising=False)
    assert {problem.rule for problem in check_folder(office(settings))} & {"sql", "missing_file", "outside_roots"}


def test_database_that_refuses_the_query_does_not_print_its_address(office, database: Path):
    (problem,) = check_folder(
        office(
            SQL.replace("columns", 'constant = { period = "2026Q3" }\ncolumns').replace("FROM answers", "FROM no_such")
        )
    )
    assert problem.rule == "sql"
    assert database.name not in str(problem)


def test_database_rows_that_change_change_the_scores(office, database: Path):
    folder = office(SQL)
    first = dj.open_workspace(folder).scores("2026Q3").at("T1", "L1")["score"]
    with sqlite3.connect(database) as connection:
        connection.execute("UPDATE answers SET L1 = 1")
    connection.close()
    assert first == 75
    assert dj.open_workspace(folder).scores("2026Q3").at("T1", "L1")["score"] == 0


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_one_file_with_several_waves(office, suffix: str):
    other = wide().assign(period="2026Q2", L1=1)
    frame = pd.concat([wide().assign(period="2026Q3"), other])
    folder = office(f'[tables.responses]\npath = "all.{suffix}"\n')
    content = as_csv(cells_of(frame)) if suffix == "csv" else as_parquet(text(frame))
    (folder / f"all.{suffix}").write_bytes(content)
    assert dj.open_workspace(folder).periods == ["2026Q2", "2026Q3"]
    as_worked_out_by_hand(scored(folder))


def test_one_typed_parquet_file_with_several_waves(office):
    both = pd.concat([wide().assign(period="2026Q3"), wide().assign(period="2026Q2", L1=1)])
    folder = office('[tables.responses]\npath = "all.parquet"\n')
    (folder / "all.parquet").write_bytes(as_parquet(both.drop(columns="respondent")))
    assert dj.open_workspace(folder).periods == ["2026Q2", "2026Q3"]
    as_worked_out_by_hand(dj.open_workspace(folder).scores("2026Q3").table)


# Any dataframe.

FRAMES: dict[str, Callable[[pd.DataFrame], object]] = {
    "pandas": lambda frame: frame,
    "polars": pl.from_pandas,
    "polars-lazy": lambda frame: pl.from_pandas(frame).lazy(),
    "pyarrow": lambda frame: pa.Table.from_pandas(frame, preserve_index=False),
    "duckdb": lambda frame: duckdb.from_arrow(pa.Table.from_pandas(frame, preserve_index=False)),
}


@pytest.mark.parametrize("kind", FRAMES)
def test_dataframes_of_numbers(kind: str):
    as_worked_out_by_hand(read(FRAMES[kind](wide())))


@pytest.mark.parametrize("kind", FRAMES)
def test_dataframes_of_floats_with_nan(kind: str):
    frame = wide().astype(dict.fromkeys(ITEMS, "float64"))
    as_worked_out_by_hand(read(FRAMES[kind](frame)))


def option_texts() -> pd.DataFrame:
    frame = wide()
    for code in ("L1", "L3", "S1"):
        frame[code] = frame[code].map(lambda number: None if number is pd.NA else OPTIONS[number - 1]).astype("str")
    return frame


@pytest.mark.parametrize("kind", FRAMES)
def test_dataframes_of_option_texts(kind: str):
    as_worked_out_by_hand(read(FRAMES[kind](option_texts())))


@pytest.mark.parametrize("kind", ["pandas", "polars", "pyarrow"])
def test_dataframes_of_categories(kind: str):
    categories = dict.fromkeys(["L1", "L3", "S1", "unit", "age"], "category")
    as_worked_out_by_hand(read(FRAMES[kind](option_texts().astype(categories))))


@pytest.mark.parametrize("kind", FRAMES)
def test_dataframes_with_foreign_names(kind: str):
    frame = wide().rename(columns={"unit": "team", "L1": "q1"})
    as_worked_out_by_hand(read(FRAMES[kind](frame), {"unit": "team", "L1": "q1"}))


def test_dataframes_with_groups_by_number():
    frame = wide()
    frame["age"] = frame["age"].map({name: i for i, name in enumerate(AGES, start=1)}).astype("int64")
    for make in FRAMES.values():
        as_worked_out_by_hand(read(make(frame)))


@pytest.mark.parametrize("kind", FRAMES)
def test_dataframes_with_an_unknown_option_are_refused_as_files_are(tmp_path: Path, kind: str):
    frame = option_texts()
    frame.loc[2, "L1"] = "非常同意了"
    with pytest.raises(DataError, match=r"L1 \[text_in_number\].*非常同意了"):
        read_bytes(tmp_path, "a.csv", as_csv(cells_of(frame)))
    with pytest.raises(DataError, match=r"L1.*非常同意了"):
        read(FRAMES[kind](frame))


def test_dataframe_of_an_export_has_seconds():
    cells = wjx(marks=("",))
    frame = pd.DataFrame(cells[1:], columns=cells[0]).astype({cells[0][10]: "Float64"}, errors="ignore")
    frame = frame.drop(columns=cells[0][10]).assign(H=wide()["H"])
    survey = dj.read_survey(frame, codebook(), units(), period="2026Q3", columns=UNIT_COLUMN)
    assert [float(value) for value in survey.frame["seconds"]] == SECONDS


@pytest.mark.parametrize("kind", FRAMES)
def test_dataframes_of_text_cells(kind: str):
    as_worked_out_by_hand(read(FRAMES[kind](text(wide()))))


@pytest.mark.parametrize("kind", FRAMES)
def test_dataframes_repeat_a_respondent(kind: str):
    frame = wide()
    frame.loc[3, "respondent"] = "p1"
    with pytest.raises(DataError, match=r"duplicate_respondent.*1 行"):
        read(FRAMES[kind](frame))


@pytest.mark.parametrize("kind", FRAMES)
def test_dataframes_out_of_range(kind: str):
    frame = wide()
    frame.loc[3, "H"] = 11
    with pytest.raises(DataError, match=r"H \[out_of_range\].*0–10"):
        read(FRAMES[kind](frame))


def test_equal_answers_equal_to_the_last_digit(tmp_path: Path):
    tables = [read(make(wide())) for make in FRAMES.values()]
    tables.append(read_bytes(tmp_path, "a.csv", as_csv(wjx()), UNIT_COLUMN))
    for table in tables[1:]:
        pd.testing.assert_frame_equal(table, tables[0], check_exact=True)


# Identifiers.


def id_card(region: str = "110105", born: str = "19491231", order: str = "002") -> str:
    """A resident identity card number with a valid check digit (GB 11643-1999, ISO 7064 MOD 11-2)."""
    body = region + born + order
    rest = sum(int(digit) * pow(2, 17 - i, 11) for i, digit in enumerate(body)) % 11
    return body + "10X98765432"[rest]


PHONE = "138" + "0013" + "8000"
IDENTIFIERS = {
    "身份证号": id_card(),
    "身份证号-x": id_card().lower(),
    "手机号": PHONE,
    "邮箱": "zhang.san@example.com",
    "openid": "o" + "Ab3_-xYz9" * 3,
}
NAMES = (
    "姓名", "1、您的姓名", "员工姓名", "真实姓名", "1、请填写您的真名", "身份证", "身份证号码", "证件号码", "手机", "手机号", "手机号码",
    "2、您的手机号码", "2、您的手机：", "联系电话", "电话", "联系方式", "工号", "员工编号", "员工号", "员工代码", "职工编号", "人员编码",
    "党员编号", "社保号", "银行卡号", "护照号码", "准考证号", "openid", "open_id", "OpenID", "unionid", "微信号", "QQ号", "邮箱",
    "电子邮件", "家庭住址", "籍贯", "民族", "政治面貌", "党派", "宗教信仰", "入党时间", "出生日期", "生日",
    "name", "Full name", "full_name", "e-mail", "Email address", "phone", "Mobile", "passport no", "ID card", "employee_id",
    "Staff No", "person number", "ethnicity", "religion", "political affiliation", "political status", "date of birth",
    "birthday", "address", "username", "user_name",
    "3、姓名（选填）", "3、个人信息—姓名", "3、工号(必填)", "Q3、手机号",
)  # fmt: skip


def test_the_check_digit_is_that_of_the_standard():
    assert id_card() == "11010519491231002X"  # the example of GB 11643-1999


def stops(columns: dict[str, list[str]], tmp_path: Path, suffix: str = "csv") -> pd.DataFrame:
    """The problems of an export with these further columns; none of their values may be printed."""
    rows = [
        [*row, *values]
        for row, values in zip(wjx(), zip(*([k, *v] for k, v in columns.items()), strict=True), strict=True)
    ]
    path = tmp_path / f"a.{suffix}"
    path.write_bytes(as_csv(rows) if suffix == "csv" else as_xlsx(rows, numbers=True))
    with pytest.raises(Identified) as raised:
        dj.read_survey(path, codebook(), units(), period="2026Q3", columns=UNIT_COLUMN)
    said = str(raised.value)
    assert not [name for name in columns if name not in said]
    assert not [value for values in columns.values() for value in values if value and value in said]
    return raised.value.problems.table


def test_columns_that_identify_by_their_name(tmp_path: Path):
    table = stops({name: ["张三丰"] * 8 for name in NAMES}, tmp_path)
    assert set(table["rule"]) == {"identifier_column"}
    assert table["found"].tolist() == list(NAMES)
    (advice,) = set(table["advice"])  # one command for all of them
    assert "dj clean" in advice
    assert "--drop" in advice
    assert not [name for name in NAMES if name not in advice]


@pytest.mark.parametrize("name", [*NAMES[:3], "手机号", "工号", "openid", "政治面貌", "民族", "邮箱"])
def test_one_such_column_is_enough(name: str):
    problems = Problems()
    check_names("a.csv", ["序号", name, "L1"], problems)
    assert [problem.found for problem in problems] == [name]


@pytest.mark.parametrize("name", ["第3题(姓名)", "3、(手机号)", "4、您的名字是？", "出生年月", "家庭地址"])
def test_a_column_that_identifies_in_other_words(name: str):
    problems = Problems()
    check_names("a.csv", [name], problems)
    assert [problem.found for problem in problems] == [name]


@pytest.mark.parametrize("kind", FRAMES)
def test_a_dataframe_that_identifies_by_a_name(kind: str):
    frame = wide().assign(**{"政治面貌": "群众"})
    with pytest.raises(Identified, match="政治面貌"):
        read(FRAMES[kind](frame))


@pytest.mark.parametrize("name", ["respondent", "unit"])
def test_an_identifying_column_cannot_be_mapped_to_another_role(tmp_path: Path, name: str):
    frame = wide().rename(columns={name: "工号"})
    (tmp_path / "a.csv").write_bytes(as_csv(cells_of(frame)))
    for source in (tmp_path / "a.csv", frame):
        with pytest.raises(Identified, match="工号"):
            read(source, {name: "工号"})


@pytest.mark.parametrize("suffix", ["csv", "xlsx"])
def test_undeclared_columns_that_identify_by_their_content(tmp_path: Path, suffix: str):
    # Eighteen digits do not fit a number cell; Excel files hold such numbers as text, as one with X always is.
    kinds = {
        f"备注{i}": kind
        for i, kind in enumerate(IDENTIFIERS)
        if suffix == "csv" or not IDENTIFIERS[kind].isdigit() or kind == "手机号"
    }
    columns = {name: [IDENTIFIERS[kind], "", "", "", "", "", "无", "无"] for name, kind in kinds.items()}
    table = stops(columns, tmp_path, suffix)
    assert set(table["rule"]) == {"identifier_content"}
    assert table["place"].tolist() == [f"a.{suffix}: {name}" for name in kinds]
    assert table["found"].tolist() == [f"{kind.removesuffix('-x')} (第 2 行)" for kind in kinds.values()]


@pytest.mark.parametrize(("column", "kind"), [("age", "手机号"), *(("respondent", kind) for kind in IDENTIFIERS)])
def test_a_used_column_that_identifies_in_one_cell(tmp_path: Path, column: str, kind: str):
    frame = wide()
    frame.loc[4, column] = IDENTIFIERS[kind]
    with pytest.raises(Identified, match=f"{column} .identifier_content.*第 6 行") as raised:
        read_bytes(tmp_path, "a.csv", as_csv(cells_of(frame)))
    assert IDENTIFIERS[kind] not in str(raised.value)


@pytest.mark.parametrize(
    ("column", "kind"), [("unit", "身份证号"), ("unit", "手机号"), ("L1", "邮箱"), ("H", "openid")]
)
def test_no_other_message_prints_what_identifies(tmp_path: Path, column: str, kind: str):
    frame = text(wide())
    frame.loc[4, column] = IDENTIFIERS[kind]
    with pytest.raises(Identified, match=f"{column} .identifier_content") as raised:
        read_bytes(tmp_path, "a.csv", as_csv(cells_of(frame)))
    assert IDENTIFIERS[kind] not in str(raised.value)


def test_a_dataframe_that_identifies_by_its_content():
    frame = wide()
    frame["respondent"] = [f"{PHONE[:-1]}{i}" for i in range(8)]
    for make in FRAMES.values():
        with pytest.raises(Identified, match="respondent"):
            read(make(frame))


def test_a_typed_parquet_file_that_identifies_by_its_content(tmp_path: Path):
    frame = wide()
    frame["respondent"] = [int(PHONE[:-1] + str(i)) for i in range(8)]
    with pytest.raises(Identified, match="respondent"):
        read_bytes(tmp_path, "a.parquet", as_parquet(frame))


def test_a_long_table_with_a_question_that_identifies(office):
    names = wide()[["respondent", "unit", "age"]].assign(code="姓名", value="张三丰的值")
    frame = pd.concat([long(), names]).rename(columns=FOREIGN)
    folder = office(LONG.format(suffix="csv"))
    (folder / "answers.csv").write_bytes(as_csv(cells_of(frame)))
    assert "identifier_column" in {problem.rule for problem in check_folder(folder)}


INDICATORS = "code,parent,label_zh,direction,weight,minimum,maximum\nK1,,答复及时率,1,1,0,100\n"


@pytest.mark.parametrize(
    ("shape", "columns"),
    [
        ("long", '{ unit = "team", code = "what", value = "v" }'),
        ("wide", '{ unit = "team", K1 = "v" }'),
        ("long", '{ unit = "team", code = "what", value = "v", role = "姓名" }'),
    ],
)
def test_indicator_tables_do_not_let_identifiers_in(office, shape: str, columns: str):
    settings = f'[tables.indicator_values]\npath = "v.csv"\nshape = "{shape}"\nconstant = {{ period = "2026-09" }}\n'
    values = as_csv([["team", "what", "v", "姓名"], ["T1", "K1", "90", "张三丰"]])
    folder = office(f"{settings}columns = {columns}\n", indicators_csv=INDICATORS, v_csv=values)
    assert "identifier_column" in {problem.rule for problem in check_folder(folder)}


def harmless() -> list[str]:
    known = default_codebook()
    wordings = [
        wording
        for node in (*known.tree, *known.others)
        for wording in (node.label_zh, node.label_en, node.text_zh, node.text_en)
        if wording
    ]
    exported = [f"{i}、{wording}" for i, wording in enumerate(wordings, start=1)]
    asides = [
        "43、最希望单位帮助解决的一件事(请勿填写姓名等个人信息)",
        "44、做得好、希望坚持的一件事（请勿填写姓名、手机号等个人信息）",
        "Anything else (please do not write names or phone numbers)",
        "1、你的手机的品牌是？", "2、您使用的手机的具体名称、型号是什么？", "第3题(手机的屏幕大小)",
        "您所在的单位名称", "1、您所在的党支部", "您的年龄段", "岗位类别", "用工形式", "您的工龄", "unit name", "branch name",
        "序号", "提交答卷时间", "所用时间", "总分", "respondent", "own_code",
    ]  # fmt: skip
    return [*wordings, *exported, *asides]


def test_questions_of_working_life_are_no_identifiers():
    problems = Problems()
    check_names("a.csv", harmless(), problems)
    assert len(problems) == 0, problems.table["found"].tolist()


def test_numbers_that_identify_nobody_pass(tmp_path: Path):
    wrong_digit = id_card()[:-1] + "1"
    harmless_cells = [
        "20260701123456",
        wrong_digit,
        "12345678901",
        "8613800138",
        "0.13800138000",
        "",
        "2026-09-30",
        "3",
    ]
    frame = wide().assign(note=harmless_cells)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DjWarning)
        as_worked_out_by_hand(read_bytes(tmp_path, "a.csv", as_csv(cells_of(frame))))


def test_one_number_left_in_a_text_that_is_never_read_stops_nothing(tmp_path: Path):
    cells = [[*row, value] for row, value in zip(wjx(), ["9、其他", f"请打{PHONE}", *["无"] * 7], strict=True)]
    as_worked_out_by_hand(read_bytes(tmp_path, "a.csv", as_csv(cells), UNIT_COLUMN))
