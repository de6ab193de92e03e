"""Files of every kind and platform, written here from one truth, give the same table; damaged ones give one error."""

import warnings
from collections.abc import Callable
from pathlib import Path

import openpyxl
import pandas as pd
import pyreadstat
import pytest
import xlsxwriter
from platform_exports import (
    Cells,
    as_csv,
    as_ods,
    as_xlsx,
    google,
    jinshuju,
    limesurvey,
    microsoft,
    numbered,
    office,
    put,
    qualtrics,
    surveymonkey,
    tencent,
    wjx,
)  # fmt: skip

import dj_analysis as dj
from dj_analysis.errors import DataError, DjWarning, Problems
from dj_analysis.measure.intake.identifiers import identifying_name
from dj_analysis.measure.intake.wjx import match_headers, seconds
from dj_analysis.spec.tables import read_responses

CODEBOOK = """\
code,parent,label_zh,role,direction,weight,minimum,maximum,scale,text_zh
INDEX,,指数,index,1,1,,,,
D,INDEX,维度,dimension,1,1,,,,
A,D,食堂,item,1,1,1,5,agree,食堂饭菜可口
B,D,班车,item,1,1,1,5,agree,班车准点
age,,年龄段,group,1,1,,,,您的年龄段
"""
SCALES = """\
scale,code,value,label_zh,label_en
agree,1,1,非常不同意,Strongly disagree
agree,2,2,比较不同意,Disagree
agree,3,3,一般,Neutral
agree,4,4,比较同意,Agree
agree,5,5,非常同意,Strongly agree
"""
WORDS = ("非常不同意", "比较不同意", "一般", "比较同意", "非常同意")
ENGLISH = ("Strongly disagree", "Disagree", "Neutral", "Agree", "Strongly agree")
UNIT, AGE = "您所在的部门", "您的年龄段"
#: unit, A, B (None: skipped), age: twelve people, one answer missing.
TRUTH = [(("检修部", "营销部")[i % 2], 1 + i % 5, None if i == 3 else 1 + (2 * i) % 5, ("35岁及以下", "36岁及以上")[i % 3 == 0])
         for i in range(12)]  # fmt: skip
WARNED = pytest.mark.filterwarnings("ignore::dj_analysis.errors.DjWarning")
pytestmark = WARNED


@pytest.fixture(scope="module")
def codebook(tmp_path_factory):
    folder = tmp_path_factory.mktemp("spec")
    (folder / "codebook.csv").write_text(CODEBOOK, encoding="utf-8")
    (folder / "scales.csv").write_text(SCALES, encoding="utf-8")
    return dj.read_codebook(folder / "codebook.csv")


def expected() -> list[tuple[str, str, int, float]]:
    """Scores of the truth by hand: 25 points a step."""
    rows = []
    for unit in ("ALL", "检修部", "营销部"):
        for code, place in (("A", 1), ("B", 2)):
            answers = [row[place] for row in TRUTH if unit in ("ALL", row[0]) and row[place] is not None]
            rows.append((unit, code, len(answers), 25 * (sum(answers) / len(answers) - 1)))
    return sorted(rows)


def scores(source: object, codebook, columns: dict[str, str] | None = None) -> list[tuple[str, str, int, float]]:
    survey = dj.read_survey(source, codebook, period="2026Q3", columns=columns)
    table = dj.score(survey).table
    names = {unit.unit: unit.name_zh for unit in survey.spec.units.rows}
    table = table[table["code"].isin(["A", "B"])]
    found = [
        (names.get(unit, unit) or unit, code, int(n), round(float(score), 9))
        for unit, code, n, score in zip(table["unit"], table["code"], table["n"], table["score"], strict=True)
    ]
    return sorted(found)


def same_as_truth(found: list[tuple[str, str, int, float]]) -> None:
    assert [row[:3] for row in found] == [row[:3] for row in expected()]
    assert [row[3] for row in found] == pytest.approx([row[3] for row in expected()], abs=1e-9)


def cells(words: tuple[str, ...] = WORDS, headers: tuple[str, ...] = (UNIT, "食堂饭菜可口", "班车准点", AGE)) -> Cells:
    shown = [[unit, words[a - 1], "" if b is None else words[b - 1], age] for unit, a, b, age in TRUTH]
    return [list(headers), *shown]


def frame(by: str = "number") -> pd.DataFrame:
    """The truth as a typed frame, by option number or by text."""
    table = pd.DataFrame(TRUTH, columns=["unit", "A", "B", "age"])
    if by == "number":
        return table.astype({"A": "float64", "B": "float64"})
    return table.assign(**{c: [None if v != v else WORDS[int(v) - 1] for v in table[c]] for c in ("A", "B")})


LABELS = {float(i): word for i, word in enumerate(WORDS, start=1)}
LABELLED = {"variable_value_labels": {"A": LABELS, "B": LABELS}}


def stat(writer: Callable[..., None], suffix: str, **options: object) -> Callable[[Path], None]:
    def write(path: Path) -> None:
        writer(frame(), str(path), **options)

    write.__name__ = suffix
    return write


# Exports of the platforms.

CODES = ["Q1", "Q2_1", "Q2_2", "Q3"]
UNFINISHED = ["检修部", WORDS[4], WORDS[4], ""]


def of_wjx(by: str, style: str) -> Cells:
    rows = cells(WORDS if by == "text" else tuple("12345"), tuple(numbered(cells()[0], style)))
    return wjx(rows, "-3" if by == "number" else "(跳过)")


def of_limesurvey(by_code: bool) -> Cells:
    texts = tuple(f"G01Q0{i}. {text}" for i, text in enumerate(cells()[0], start=1))
    return limesurvey(cells(headers=("unit", "A", "B", "age") if by_code else texts), by_code, UNFINISHED)


BY_WORDING = {"unit": UNIT}
EXPORTS: dict[str, tuple[str, Callable[[Path], None], dict[str, str] | None]] = {
    **{f"wjx {by} {style}": ("a.csv", put(as_csv(of_wjx(by, style))), {"unit": of_wjx(by, style)[0][6]})
       for by in ("text", "number") for style in "、第—"},
    "wjx xlsx": ("a.xlsx", put(as_xlsx(of_wjx("number", "、"))), {"unit": f"1、{UNIT}"}),
    "wjx gbk": ("a.csv", put(as_csv(of_wjx("text", "、"), encoding="gbk")), {"unit": f"1、{UNIT}"}),
    "tencent": ("a.csv", put(as_csv(tencent(cells(headers=tuple(numbered(cells()[0], ".")))))), {"unit": f"1.{UNIT}"}),
    "tencent xlsx": ("a.xlsx", put(as_xlsx(tencent(cells(headers=tuple(numbered(cells()[0], ".")))))), {"unit": f"1.{UNIT}"}),
    "jinshuju": ("a.xlsx", put(as_xlsx(jinshuju(cells()))), BY_WORDING),
    "limesurvey codes": ("a.csv", put(as_csv(of_limesurvey(True), ";")), None),
    "limesurvey texts": ("a.csv", put(as_csv(of_limesurvey(False))), {"unit": f"G01Q01. {UNIT}"}),
    "qualtrics": ("a.csv", put(as_csv(qualtrics(cells(), CODES, UNFINISHED))), {"unit": "Q1"}),
    "qualtrics utf-16": ("a.tsv", put(as_csv(qualtrics(cells(), CODES, UNFINISHED), "\t", "utf-16")), {"unit": "Q1"}),
    "surveymonkey": ("a.csv", put(as_csv(surveymonkey(cells(), dict.fromkeys(cells()[0][1:3], "请评价")))), BY_WORDING),
    "surveymonkey xlsx": ("a.xlsx", put(as_xlsx(surveymonkey(cells(), dict.fromkeys(cells()[0][1:3], "请评价")))), BY_WORDING),
    "google": ("a.csv", put(as_csv(google(cells(), "zh"))), BY_WORDING),
    "microsoft zh": ("a.xlsx", put(as_xlsx(microsoft(cells(), "zh"))), BY_WORDING),
    "microsoft en": ("a.xlsx", put(as_xlsx(microsoft(cells(ENGLISH), "en"))), BY_WORDING),
    "ods": ("a.ods", put(as_ods(cells())), BY_WORDING),
    "xlsm": ("a.xlsm", put(as_xlsx(cells())), BY_WORDING),
    "xlsx called xls": ("a.xls", put(as_xlsx(cells())), BY_WORDING),
    "xlsx called csv": ("a.csv", put(as_xlsx(cells())), BY_WORDING),
    "semicolons": ("a.txt", put(as_csv(cells(), ";")), BY_WORDING),
    "bars": ("a.txt", put(as_csv(cells(), "|", "gb18030")), BY_WORDING),
    "utf-16 without a mark": ("a.txt", put(as_csv(cells(), "\t", "utf-16-le")), BY_WORDING),
    "office csv": ("a.csv", put(as_csv(office(cells()))), BY_WORDING),
    "office xlsx": ("a.xlsx", put(as_xlsx(office(cells()))), BY_WORDING),
    "sav": ("a.sav", stat(pyreadstat.write_sav, "sav", **LABELLED), None),
    "zsav": ("a.zsav", stat(pyreadstat.write_sav, "zsav", row_compress=False, compress=True, **LABELLED), None),
    "dta": ("a.dta", stat(pyreadstat.write_dta, "dta", variable_value_labels={"A": {int(k): v for k, v in LABELS.items()}}), None),
    "parquet numbers": ("a.parquet", lambda path: frame().to_parquet(path), None),
    "parquet texts": ("a.parquet", lambda path: frame("text").to_parquet(path), None),
}  # fmt: skip


@pytest.mark.parametrize("name", EXPORTS)
def test_every_file_gives_the_truth(name: str, tmp_path: Path, codebook):
    file, write, columns = EXPORTS[name]
    write(tmp_path / file)
    same_as_truth(scores(tmp_path / file, codebook, columns))


@pytest.mark.parametrize("by", ["number", "text"])
def test_frames_give_the_truth(by: str, codebook):
    same_as_truth(scores(frame(by), codebook))


def test_big5_is_read_and_told(tmp_path: Path):
    rows = [["部門", "食堂飯菜可口"], ["檢修部門", "非常同意"], ["營銷部門", "不同意"]]
    (tmp_path / "a.csv").write_bytes(as_csv(rows, encoding="big5"))
    problems = Problems()
    table = read_responses(tmp_path / "a.csv", problems)
    assert table is not None
    assert [list(table.frame.columns), *table.frame.to_numpy().tolist()] == rows
    assert any("Big5" in notice for notice in table.notices)


def notices(path: Path, codebook, columns: dict[str, str] | None = None) -> str:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        dj.read_survey(path, codebook, period="2026Q3", columns=columns)
    return "\n".join(str(one.message) for one in caught if issubclass(one.category, DjWarning))


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("limesurvey codes", "未提交的答卷 1 份"),
        ("qualtrics", "未提交的答卷 1 份"),
        ("office csv", "第 1、2 行是表题"),
        ("office xlsx", "第 16、17 行是合计"),
        ("tencent", "地理位置省"),
        ("xlsx called csv", "按内容读入"),
    ],
)
def test_what_was_left_out_is_told(name: str, said: str, tmp_path: Path, codebook):
    file, write, columns = EXPORTS[name]
    write(tmp_path / file)
    assert said in notices(tmp_path / file, codebook, columns)


def test_a_person_who_answers_average_is_no_total(tmp_path: Path):
    rows = [["收入", "食堂"], *[["平均", "3"]] * 3, ["高", "4"], ["平均", "5"]]
    (tmp_path / "a.csv").write_bytes(as_csv(rows))
    table = read_responses(tmp_path / "a.csv", Problems())
    assert table is not None
    assert len(table.frame) == 5


# Workbooks.


def book(path: Path, change: Callable[[openpyxl.Workbook], None]) -> Path:
    path.write_bytes(as_xlsx(cells(tuple("12345"))))
    opened = openpyxl.load_workbook(path)
    change(opened)
    opened.save(path)
    return path


def hide_first(opened: openpyxl.Workbook) -> None:
    copy = opened.copy_worksheet(opened.active)
    for row in opened.active.iter_rows(min_row=2, min_col=2, max_col=3):
        for cell in row:
            cell.value = 1
    opened.active.sheet_state = "hidden"
    opened.active = opened.index(copy)


def test_a_hidden_first_sheet_is_not_read_and_told(tmp_path: Path, codebook):
    path = book(tmp_path / "a.xlsx", hide_first)
    same_as_truth(scores(path, codebook, BY_WORDING))
    assert "隐藏" in notices(path, codebook, BY_WORDING)


def test_formulas_without_results_and_errors_are_named(tmp_path: Path, codebook):
    def change(opened: openpyxl.Workbook) -> None:
        opened.active["B3"], opened.active["C4"] = "=1+1", "#DIV/0!"

    with pytest.raises(DataError) as raised:
        dj.read_survey(book(tmp_path / "a.xlsx", change), codebook, period="2026Q3", columns=BY_WORDING)
    table = raised.value.problems.table.set_index("rule")["found"]
    assert "B3" in table["formula_without_result"]
    assert "C4 #DIV/0!" in table["error_value"]


def test_not_available_is_empty_and_told(tmp_path: Path, codebook):
    path = book(
        tmp_path / "a.xlsx", lambda opened: opened.active.__setitem__("C5", "#N/A")
    )  # the answer that is missing
    same_as_truth(scores(path, codebook, BY_WORDING))
    assert "C5" in notices(path, codebook, BY_WORDING)


def test_hidden_rows_and_columns_are_told(tmp_path: Path, codebook):
    def change(opened: openpyxl.Workbook) -> None:
        opened.active.row_dimensions[4].hidden = True
        opened.active.column_dimensions["C"].hidden = True

    path = book(tmp_path / "a.xlsx", change)
    same_as_truth(scores(path, codebook, BY_WORDING))
    said = notices(path, codebook, BY_WORDING)
    assert "隐藏的行也已读入 (hidden rows are read) 4" in said
    assert "隐藏的列也已读入 (hidden columns are read) C" in said


def by_unit(rows: Cells) -> Cells:
    return [rows[0], *sorted(rows[1:])]


def test_merged_units_are_filled_down_where_the_file_tells_their_extent(tmp_path: Path, codebook):
    rows = by_unit(cells())
    (tmp_path / "a.xlsx").write_bytes(as_xlsx(rows))
    opened = openpyxl.load_workbook(tmp_path / "a.xlsx")
    opened.active.merge_cells("A2:A7")
    opened.active.merge_cells("A8:A13")
    opened.save(tmp_path / "a.xlsx")
    same_as_truth(scores(tmp_path / "a.xlsx", codebook, BY_WORDING))
    assert "向下填充" in notices(tmp_path / "a.xlsx", codebook, BY_WORDING)


def test_merged_units_are_refused_where_it_does_not(tmp_path: Path, codebook):
    rows = by_unit(cells())
    for i, row in enumerate(rows[1:]):
        row[0] = row[0] if i in (0, 6) else ""
    (tmp_path / "a.csv").write_bytes(as_csv(rows))
    with pytest.raises(DataError, match="merged_cells"):
        dj.read_survey(tmp_path / "a.csv", codebook, period="2026Q3", columns=BY_WORDING)


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        (
            "a.xlsx",
            b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(500) + "EncryptedPackage".encode("utf-16-le"),
            "password",
        ),
        ("a.xls", b"<html><table><tr><td>1</td></tr></table></html>", "unreadable"),
        ("a.csv", b"<html><table><tr><td>1</td></tr></table></html>", "HTML"),
        ("a.csv", b"%PDF-1.7 \n", "PDF"),
        ("a.csv", b"\x1f\x8b" + bytes(40), "gzip"),
        ("a.sav", b"$FL2" + bytes(300), "unreadable"),
        ("a.parquet", b"PAR1" + bytes(100), "unreadable"),
        ("a.dta", b"<stata_dta>" + bytes(100), "unreadable"),
        ("a.csv", as_csv(cells())[:-20], "ragged_rows"),
    ],
)
def test_what_cannot_be_read_says_what_it_is(name: str, content: bytes, said: str, tmp_path: Path, codebook):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError, match=said) as raised:
        dj.read_survey(tmp_path / name, codebook, period="2026Q3")
    assert len(raised.value.problems) == 1
    assert raised.value.problems.table["advice"].ne("").all()


# Values are what was declared.


def test_numbers_within_the_declared_range_are_answers_in_every_export(tmp_path: Path):
    (tmp_path / "codebook.csv").write_text(
        "code,parent,label_zh,role,direction,weight,minimum,maximum\nINDEX,,指,index,1,1,,\nA,INDEX,甲,item,1,1,-3,3\n",
        "utf-8",
    )
    codebook = dj.read_codebook(tmp_path / "codebook.csv")
    head = ["序号", "提交答卷时间", "所用时间", "A"]
    rows = [head, *[[str(i), "2026/7/1 8:00", "30秒", str(i % 7 - 3)] for i in range(1, 71)]]
    (tmp_path / "a.csv").write_bytes(as_csv(rows))
    table = dj.score(dj.read_survey(tmp_path / "a.csv", codebook, period="2026Q3")).table
    assert table.query("code == 'A'")[["n", "score"]].to_numpy().ravel().tolist() == pytest.approx([70, 50.0])


def test_marks_of_one_platform_are_no_marks_elsewhere(tmp_path: Path, codebook):
    rows = cells(tuple("12345"), ("unit", "A", "B", "age"))
    rows[1][1] = "-3"
    (tmp_path / "a.csv").write_bytes(as_csv(rows))
    with pytest.raises(DataError, match="out_of_range"):
        dj.read_survey(tmp_path / "a.csv", codebook, period="2026Q3")


@pytest.mark.parametrize("word", ["None", "NA", "nan", "空", "-2", "-3"])
@pytest.mark.parametrize("column", [0, 3])
def test_words_for_nothing_are_units_and_groups_where_they_stand_for_one(
    word: str, column: int, tmp_path: Path, codebook
):
    rows = cells(headers=("unit", "A", "B", "age"))
    first = rows[1][column]
    for row in rows[1:]:
        row[column] = word if row[column] == first else row[column]
    (tmp_path / "a.csv").write_bytes(as_csv(rows))
    survey = dj.read_survey(tmp_path / "a.csv", codebook, period="2026Q3")
    name = ("unit", "", "", "age")[column]
    found = survey.frame[name].to_list()
    if name == "unit":
        names = {unit.unit: unit.name_zh for unit in survey.spec.units.rows}
        found = [names[code] for code in found]
    assert found == [row[column] for row in rows[1:]]


def labelled(path: Path, labels: dict[float, str], **options: object) -> Path:
    table = frame().assign(A=[6 - v for v in frame()["A"]], B=[6 - v for v in frame()["B"]])
    pyreadstat.write_sav(table, str(path), variable_value_labels={"A": labels, "B": labels}, **options)
    return path


def test_value_labels_decide_and_contradictions_are_named(tmp_path: Path, codebook):
    turned = {6 - code: label for code, label in LABELS.items()}
    same_as_truth(scores(labelled(tmp_path / "a.sav", turned), codebook))
    other = {code: f"{label}吧" for code, label in turned.items()}
    with pytest.raises(DataError, match="label_contradiction"):
        dj.read_survey(labelled(tmp_path / "b.sav", other), codebook, period="2026Q3")
    ends = {1.0: WORDS[4], 5.0: WORDS[0]}
    with pytest.raises(DataError, match="label_contradiction"):
        dj.read_survey(labelled(tmp_path / "c.sav", ends), codebook, period="2026Q3")


def test_variable_labels_are_wordings_and_user_missing_is_missing(tmp_path: Path, codebook):
    table = frame().rename(columns={"A": "v1", "B": "v2", "age": "v3"}).fillna({"v2": 9.0})
    pyreadstat.write_sav(
        table, str(tmp_path / "a.sav"), column_labels={"v1": "食堂饭菜可口", "v2": "班车准点", "v3": AGE},
        variable_value_labels={"v1": LABELS, "v2": {**LABELS, 9.0: "拒答"}}, missing_ranges={"v2": [9]},
    )  # fmt: skip
    same_as_truth(scores(tmp_path / "a.sav", codebook))


@pytest.mark.parametrize(
    ("header", "wording", "same"),
    [
        ("2、收入（税后）", "收入（税前）", False),
        ("2、收入（税前）", "收入(税前)", True),
        ("2、支持—上级", "支持—同事", False),
        ("2、收入[单选题]*", "收入", True),
        ("收入（必答）", "收入", True),
        ("收入", "收入（本月）", False),
        ("第3题(收入)", "收入", True),
        ("3、请评价—收入", "收入", True),
        ("G01Q02[SQ001]. 请评价 [收入]", "收入", True),
        ("Q1_1", "Q11", False),
    ],
)
def test_headers_are_compared_with_what_stands_in_brackets(header: str, wording: str, same: bool):
    assert (match_headers([header], {"X": [wording]}) == {"X": [header]}) is same


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("00:01:20", 80), ("1天2小时", 93600), ("80 seconds", 80), ("1 min 20 s", 80), ("1小时2分3秒", 3723), ("80", 80),
        ("1 day, 2:00:00", 93600), ("2分钟", 120), ("1 hour 5 minutes", 3900), ("很久", None), ("1:20", None), ("", None),
    ],
)  # fmt: skip
def test_durations(text: str, value: float | None):
    found = seconds(pd.Series([text], dtype="str"))[0]
    assert found == value or (value is None and found != found)


def test_durations_that_cannot_be_read_are_told_and_excel_times_are_read(tmp_path: Path, codebook):
    rows = of_wjx("number", "、")
    rows[1][2] = rows[2][2] = "很久"
    (tmp_path / "a.csv").write_bytes(as_csv(rows))
    assert "读不懂" in notices(tmp_path / "a.csv", codebook, {"unit": f"1、{UNIT}"})
    stream = tmp_path / "b.xlsx"
    with xlsxwriter.Workbook(stream) as opened:
        sheet, time = opened.add_worksheet(), opened.add_format({"num_format": "[h]:mm:ss"})
        for i, row in enumerate(rows):
            sheet.write_row(i, 0, row)
            if i:
                sheet.write_number(i, 2, 80 / 86400, time)
    survey = dj.read_survey(stream, codebook, period="2026Q3", columns={"unit": f"1、{UNIT}"})
    assert set(survey.frame["seconds"].to_list()) == {80.0}


@pytest.mark.parametrize(
    "header",
    ["提交人", "3、本人签名", "OA账号", "企业微信账号", "学号", "车牌号", "您的车牌号：", "填写IP", "ip_addr", "IPv4", "客户端IP地址", "经度",
     "LocationLongitude", "Recipient Last Name", "External Data Reference", "用户标识", "手机尾号", "您贵姓", "device-id", "User Agent",
     "第3题(工牌号)", "个人信息—钉钉号", "社会保障号码"],
)  # fmt: skip
def test_accounts_devices_and_signatures_identify(header: str):
    assert identifying_name(header)


@pytest.mark.parametrize(
    "header",
    ["您对签名制度是否满意", "企业微信通知及时", "OA系统好用", "车牌识别系统方便吗", "账号开通及时", "系统", "平台", "员工", "您的性别", "工作地点",
     "签字流程简便", "IP化建设进度满意", "Our login works well", "I am proud of my name badge design"],
)  # fmt: skip
def test_questions_that_mention_them_do_not(header: str):
    assert not identifying_name(header)
