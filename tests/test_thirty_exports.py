"""Ten platforms, three layouts of each, written from one truth: `dj new` makes the same index of all, or asks."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd
import platform_exports as platforms
import pyreadstat
import pytest
from platform_exports import Cells, as_csv, as_ods, as_xlsx, numbered, office, put

import dj_analysis as dj
from dj_analysis.errors import DataError
from dj_analysis.proposal import Decisions, add_wave, propose_workspace
from dj_analysis.workspace import check_folder

pytestmark = pytest.mark.filterwarnings("ignore::dj_analysis.errors.DjWarning")

UNITS = ("检修部", "营销部", "综合部")
AGES = ("35岁及以下", "36-45岁", "46岁及以上")
UNIT, AGE, TIRED, COMMENT = "您所在的部门", "您的年龄段", "我经常感到疲惫", "您还有什么建议"
MATRIX = ("食堂的饭菜令人满意", "班车的安排令人满意", "领导关心职工")
QUESTIONS = (UNIT, *MATRIX, TIRED, AGE, COMMENT)
AGREE = ("非常不同意", "比较不同意", "一般", "比较同意", "非常同意")
ENGLISH = ("Strongly disagree", "Disagree", "Neutral", "Agree", "Strongly agree")
#: Sixty people: unit, three ratings, tiredness (which counts against), age; the seventh skipped the second rating, which
#: nobody answered with the highest option.
TRUTH = [
    (i % 3, 1 + i % 5, None if i == 6 else 1 + (i + i // 4) % 5, 1 + (2 * i + i // 7) % 5, 1 + (i // 2) % 5, (i // 5) % 3)
    for i in range(60)
]  # fmt: skip
FREE = ("希望食堂多一些品种", "", "没有", "班车能不能早一点")
REVERSED = Decisions(reverse=(TIRED,))


def truth() -> dict[str, float]:
    """The index by hand, by unit: the mean of people's means, 25 points a step, tiredness turned round."""
    found = {}
    for place, name in ((None, "ALL"), *enumerate(UNITS)):
        people = [[*row[1:4], 6 - row[4]] for row in TRUTH if place in (None, row[0])]
        means = [sum(given) / len(given) for one in people for given in [[a for a in one if a is not None]]]
        found[name] = 25 * (sum(means) / len(means) - 1)
    return found


def answered(
    headers: tuple[str, ...] = QUESTIONS, words: tuple[str, ...] = AGREE, choices: str = "words", comment: bool = True
) -> Cells:
    """Rows of the truth: ratings as ``words`` say, single choices in words or as the numbers of their options."""
    rows = []
    for i, (unit, *ratings, age) in enumerate(TRUTH):
        shown = ["" if rating is None else words[rating - 1] for rating in ratings]
        single = (UNITS[unit], AGES[age]) if choices == "words" else (str(unit + 1), str(age + 1))
        rows.append([single[0], *shown, single[1], *([f"{FREE[i % len(FREE)]}{i}"] if comment else [])])
    return [list(headers), *rows]


NUMBERS = ("1", "2", "3", "4", "5")
UNFINISHED = [UNITS[0], *[AGREE[4]] * 4, "", ""]


def wjx(style: str, by: str) -> Cells:
    headers = numbered(list(QUESTIONS), style)
    if style == "—":
        headers = [f"{n}、{text}" for n, text in enumerate(QUESTIONS, start=1)]
        headers[1:4] = [f"2、请对下列说法作出评价—{row}" for row in MATRIX]
    rows = answered(tuple(headers), AGREE if by == "text" else NUMBERS, "words" if by == "text" else "numbers")
    return platforms.wjx(rows, "(跳过)" if by == "text" else "-3")


def under(question: str) -> tuple[str, ...]:
    """Headers with the rows of a matrix under one question."""
    return (UNIT, *(question.format(row) for row in MATRIX), TIRED, AGE, COMMENT)


SHORT = ("department", "food", "bus", "leaders", "tired", "age", "comment")
CODES = ["Q1", "Q2_1", "Q2_2", "Q2_3", "Q3", "Q4", "Q5"]


def typed(turned: bool = False) -> pd.DataFrame:
    """The truth as numbers under short names."""
    table = pd.DataFrame(TRUTH, columns=["department", "q1", "q2", "q3", "q4", "age"]).astype("float64")
    table[["department", "age"]] += 1
    return table.assign(**{name: 6 - table[name] for name in ("q1", "q2", "q3", "q4")}) if turned else table


LABELS = dict(zip(typed().columns, (UNIT, *MATRIX, TIRED, AGE), strict=True))


def value_labels(turned: bool = False) -> dict[str, dict[int, str]]:
    agree = {6 - i if turned else i: word for i, word in enumerate(AGREE, start=1)}
    single = {"department": dict(enumerate(UNITS, start=1)), "age": dict(enumerate(AGES, start=1))}
    return single | dict.fromkeys(("q1", "q2", "q3", "q4"), agree)


def stat(writer: Callable[..., None], turned: bool = False, **options: object) -> Callable[[Path], None]:
    return lambda path: writer(typed(turned), str(path), **options)


@dataclass(frozen=True)
class Export:
    """A file, the decisions that it needs (at most two), and what `dj new` asks where they are not given."""

    name: str
    write: Callable[[Path], None]
    decisions: Decisions = REVERSED
    period: str | None = None
    asked: tuple[str, ...] = ()
    places: dict[str, str] = field(default_factory=lambda: dict(zip(UNITS, UNITS, strict=True)))


ONE = Decisions(reverse=(TIRED,), dimensions="one")
BY_NUMBER = {"1": UNITS[0], "2": UNITS[1], "3": UNITS[2]}
TENCENT, LIME = tuple(numbered(list(QUESTIONS), ".")), "G01Q02[SQ001]. 请评价 [{}]"
GOOGLE, DASH = under("请评价 [{}]"), under("请评价 - {}")
QUESTION_OF = dict.fromkeys(MATRIX, "请对下列说法作出评价")
EXPORTS = {
    "问卷星, text, GBK": Export("a.csv", put(as_csv(wjx("、", "text"), encoding="gbk"))),
    "问卷星, numbers": Export("a.xlsx", put(as_xlsx(wjx("第", "number"))), places=BY_NUMBER),
    "问卷星, matrix": Export("a.xlsx", put(as_xlsx(wjx("—", "text"))), ONE),
    "腾讯问卷, text": Export("a.csv", put(as_csv(platforms.tencent(answered(TENCENT))))),
    "腾讯问卷, handed on by an office": Export("a.xlsx", put(as_xlsx(office(platforms.tencent(answered(TENCENT)))))),
    "腾讯问卷, numbers": Export("a.csv", put(as_csv(platforms.tencent(answered(TENCENT, NUMBERS)), "\t", "utf-16"))),
    "金数据, text": Export("a.xlsx", put(as_xlsx(platforms.jinshuju(answered())))),
    "金数据, points": Export("a.csv", put(as_csv(platforms.jinshuju(answered(words=("1分", "2分", "3分", "4分", "5分")))))),
    "金数据, matrix, .ods": Export("a.ods", put(as_ods(platforms.jinshuju(answered(under("请评价—{}"))))), ONE),
    "LimeSurvey, codes": Export("a.csv", put(as_csv(platforms.limesurvey(answered(SHORT), True, UNFINISHED), ";")),
                                Decisions(reverse=("tired",))),
    "LimeSurvey, texts": Export("a.csv", put(as_csv(platforms.limesurvey(answered(), False, UNFINISHED)))),
    "LimeSurvey, codes and texts": Export("a.xlsx", put(as_xlsx(platforms.limesurvey(answered(under(LIME)), False, UNFINISHED))), ONE),
    "Qualtrics, text": Export("a.csv", put(as_csv(platforms.qualtrics(answered(), CODES, UNFINISHED)))),
    "Qualtrics, numbers": Export("a.csv", put(as_csv(platforms.qualtrics(answered(DASH, NUMBERS, "numbers"), CODES, UNFINISHED))), ONE,
                                 places=BY_NUMBER),
    "Qualtrics, UTF-16": Export("a.tsv", put(as_csv(platforms.qualtrics(answered(DASH), CODES, UNFINISHED), "\t", "utf-16")), ONE),
    "SurveyMonkey, text": Export("a.csv", put(as_csv(platforms.surveymonkey(answered(), QUESTION_OF))), ONE),
    "SurveyMonkey, .xlsx": Export("a.xlsx", put(as_xlsx(platforms.surveymonkey(answered(), {})))),
    "SurveyMonkey, numbers": Export("a.csv", put(as_csv(platforms.surveymonkey(answered(words=NUMBERS, choices="numbers"), QUESTION_OF))),
                                    ONE, places=BY_NUMBER),
    "Google Forms, zh": Export("a.csv", put(as_csv(platforms.google(answered(), "zh")))),
    "Google Forms, en": Export("a.csv", put(as_csv(platforms.google(answered(words=ENGLISH), "en")))),
    "Google Forms, grid": Export("a.xlsx", put(as_xlsx(platforms.google(answered(GOOGLE), "zh"))), ONE),
    "Microsoft Forms, zh": Export("a.xlsx", put(as_xlsx(platforms.microsoft(answered(), "zh")))),
    "Microsoft Forms, en": Export("a.xlsx", put(as_xlsx(platforms.microsoft(answered(words=ENGLISH), "en")))),
    "Microsoft Forms, numbers": Export("a.csv", put(as_csv(platforms.microsoft(answered(words=NUMBERS), "zh")))),
    "SPSS, labels": Export("a.sav", stat(pyreadstat.write_sav, column_labels=LABELS, variable_value_labels=value_labels()),
                           period="2026Q3"),
    "SPSS, compressed, turned codes": Export("a.zsav", stat(pyreadstat.write_sav, True, compress=True, column_labels=LABELS,
                                             variable_value_labels=value_labels(True)), period="2026Q3"),
    "SPSS, no labels": Export("a.sav", stat(pyreadstat.write_sav), Decisions(reverse=("q4",)), period="2026Q3", places=BY_NUMBER),
    "Stata, labels": Export("a.dta", stat(pyreadstat.write_dta, column_labels=LABELS, variable_value_labels=value_labels()),
                            period="2026Q3"),
    "Stata, wordings only": Export("a.dta", stat(pyreadstat.write_dta, column_labels=LABELS), period="2026Q3", places=BY_NUMBER),
    "Stata, short names": Export("a.dta", stat(pyreadstat.write_dta, version=13), Decisions(reverse=("q4",)), period="2026Q3",
                                 places=BY_NUMBER),
}  # fmt: skip


def called(headers: list[str], named: tuple[str, ...]) -> tuple[str, ...]:
    """Headers of a file that hold these wordings."""
    return tuple(next((header for header in headers if wording in header), wording) for wording in named)


def decisions_of(export: Export, headers: list[str]) -> Decisions:
    one = export.decisions
    return Decisions(unit=one.unit, reverse=called(headers, one.reverse), dimensions=one.dimensions, scales=one.scales, roles=one.roles)  # fmt: skip


@pytest.mark.parametrize("name", EXPORTS)
def test_every_export_gives_the_same_index(name: str, tmp_path: Path):
    export = EXPORTS[name]
    source = tmp_path / export.name
    export.write(source)
    first = propose_workspace(tmp_path / "first", source, export.period)
    assert tuple(first.questions["column"]) == export.asked
    decisions = decisions_of(export, first.table["column"].to_list())
    propose_workspace(tmp_path / "office", source, export.period, decisions)
    problems = check_folder(tmp_path / "office")
    assert len(problems) == 0, problems.table.to_string()
    ws = dj.open_workspace(tmp_path / "office")
    table = ws.scores("2026Q3").table.query("code == 'INDEX'")
    table = table[table["unit"].isin(["ALL", *ws.units.table["unit"]])]  # without the breakdown by age
    names = {row.unit: export.places.get(row.name_zh, row.name_zh) for row in ws.units.rows} | {"ALL": "ALL"}
    found = {names[unit]: score for unit, score in zip(table["unit"], table["score"], strict=True)}
    assert found == pytest.approx(truth(), abs=1e-9)
    whole = table[table["unit"] == "ALL"]
    assert whole["n"].to_list() == [len(TRUTH)]


def test_there_are_three_layouts_of_ten_platforms():
    platforms_of = pd.Series([name.split(",")[0] for name in EXPORTS]).value_counts()
    assert len(platforms_of) == 10
    assert set(platforms_of) == {3}


@pytest.mark.parametrize("name", [name for name, export in EXPORTS.items() if export.period])
def test_a_file_without_dates_asks_for_the_period(name: str, tmp_path: Path):
    EXPORTS[name].write(tmp_path / EXPORTS[name].name)
    with pytest.raises(DataError, match="no_period"):
        propose_workspace(tmp_path / "office", tmp_path / EXPORTS[name].name)


def test_single_choices_under_mere_codes_are_asked(tmp_path: Path):
    codes = ("G01Q01", "G01Q02", "G01Q03", "G01Q04", "G01Q05", "G01Q06", "G01Q07")
    (tmp_path / "a.csv").write_bytes(as_csv(platforms.limesurvey(answered(codes), True, UNFINISHED), ";"))
    asked = propose_workspace(tmp_path / "first", tmp_path / "a.csv").questions
    assert asked["column"].to_list() == ["G01Q01", "G01Q06"]
    rules = check_folder(tmp_path / "first").table["rule"]
    assert (rules == "open_question").sum() == 2
    decided = Decisions(roles={"G01Q01": "unit", "G01Q06": "group"}, reverse=("G01Q05",))
    propose_workspace(tmp_path / "office", tmp_path / "a.csv", decisions=decided)
    table = dj.open_workspace(tmp_path / "office").scores("2026Q3").table.query("code == 'INDEX' and unit == 'ALL'")
    assert table["score"].to_list() == pytest.approx([truth()["ALL"]], abs=1e-9)


@pytest.mark.parametrize(
    ("dates", "quarter"),
    [(("7/13/2026 8:01", "8/2/2026 9:00"), "2026Q3"), (("13/7/2026", "2/8/2026"), "2026Q3"), (("2026年7月13日", "2026.8.2"), "2026Q3"),
     (("7/8/2026", "2/8/2026"), None), (("很久以前", ""), None)],
)  # fmt: skip
def test_the_order_of_day_and_month_is_read_from_the_days(dates: tuple[str, str], quarter: str | None, tmp_path: Path):
    rows = platforms.google(answered(), "zh")
    for i, row in enumerate(rows[1:]):
        row[0] = dates[i % 2]
    (tmp_path / "a.csv").write_bytes(as_csv(rows))
    if quarter is None:
        with pytest.raises(DataError, match="no_period"):
            propose_workspace(tmp_path / "office", tmp_path / "a.csv")
    else:
        propose_workspace(tmp_path / "office", tmp_path / "a.csv")
        assert dj.open_workspace(tmp_path / "office").periods == [quarter]


@pytest.mark.parametrize("words", [("1分", "2分", "3分", "4分"), ("★", "★★", "★★★")])
def test_points_of_which_the_highest_may_be_missing_are_asked(words: tuple[str, ...], tmp_path: Path):
    ratings = [words[i % len(words)] for i in range(len(TRUTH))]
    rows = [["时间戳记", "食堂打分"], *[[f"2026/07/{i % 28 + 1:02d}", rating] for i, rating in enumerate(ratings)]]
    (tmp_path / "a.csv").write_bytes(as_csv(rows))
    assert propose_workspace(tmp_path / "office", tmp_path / "a.csv").questions["column"].to_list() == ["食堂打分"]


@pytest.mark.parametrize("joint", [";", ", ", "|", "、"])
def test_choices_of_several_in_one_cell_are_asked_and_single_ones_with_a_comma_are_not(joint: str, tmp_path: Path):
    chosen = (f"食堂{joint}班车", "食堂", f"班车{joint}宿舍", "宿舍")
    single = ("一线，含班组长", "机关", "其他，含借调")
    rows = platforms.google(answered(), "zh")
    rows[0] += ["您最关心什么", "您的岗位类别"]
    for i, row in enumerate(rows[1:]):
        row += [chosen[i % 4], single[i % 3]]
    (tmp_path / "a.csv").write_bytes(as_csv(rows))
    made = propose_workspace(tmp_path / "office", tmp_path / "a.csv").table.set_index("column")["role"]
    assert made[["您最关心什么", "您的岗位类别"]].to_list() == ["ask", "group"]


@pytest.mark.parametrize("name", ["腾讯问卷, text", "Qualtrics, numbers", "SurveyMonkey, text", "Google Forms, en"])
def test_the_next_wave_of_a_platform_is_read_as_its_first(name: str, tmp_path: Path):
    export = EXPORTS[name]
    source = tmp_path / export.name
    export.write(source)
    first = propose_workspace(tmp_path / "first", source)
    propose_workspace(tmp_path / "office", source, decisions=decisions_of(export, first.table["column"].to_list()))
    content = source.read_text(encoding="utf-8-sig")
    for july, october in (("2026-07-", "2026-10-"), ("07/", "10/"), ("\n7/", "\n10/")):
        content = content.replace(july, october)
    source.write_text(content, encoding="utf-8-sig")
    assert add_wave(tmp_path / "office", source).period == "2026Q4"
    ws = dj.open_workspace(tmp_path / "office")
    for period in ("2026Q3", "2026Q4"):
        table = ws.scores(period).table.query("code == 'INDEX' and unit == 'ALL'")
        assert table["score"].to_list() == pytest.approx([truth()["ALL"]], abs=1e-9)
