"""Who and what is let in: identifiers, consent, self-chosen codes, purpose, impact assessment, copies that may be kept.

A test named test_R9_… fails when the code of rule R9 (domain map, D3) is taken away.
"""

from __future__ import annotations

import csv
import hashlib
import hmac
import io
import itertools
import re
import shlex
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import duckdb
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
import xlsxwriter
from typer.testing import CliRunner

import dj_analysis as dj
from dj_analysis.cli import app
from dj_analysis.demo.indicators import indicator_tree
from dj_analysis.errors import DataError, DjWarning, IdentifierError, Problems, PurposeError, UsageError
from dj_analysis.measure.intake.anonymity import anonymous, banded, quasi_kind, smallest_class
from dj_analysis.measure.intake.copies import clean_file
from dj_analysis.measure.intake.row_consent import asked_consent, says_yes
from dj_analysis.measure.intake.sources import raise_for, survey_of_file, survey_of_table
from dj_analysis.measure.survey import Survey
from dj_analysis.proposal import propose_workspace
from dj_analysis.spec import assessment
from dj_analysis.spec.codebook import default_codebook, load_codebook
from dj_analysis.spec.consent import Consent, Door
from dj_analysis.spec.purpose import RESTRICTED, check_purposes, record_purpose
from dj_analysis.spec.settings import Settings, Source, read_settings
from dj_analysis.spec.specification import Specification
from dj_analysis.spec.tables import read_text

CODEBOOK = """\
code,parent,label_zh,role,direction,weight,minimum,maximum,text_zh
INDEX,,指数,index,1,1,,,
L1,INDEX,完成,item,1,1,1,5,我手头的工作在正常工作时间内基本能完成。
S1,INDEX,倾听,item,1,1,1,5,直接上级会认真听取我的意见。
"""
UNITS = "unit,parent,level,name_zh\nB1,,branch,运维支部\nB2,,branch,营销支部\n"
FRAMES: dict[str, Callable[[pd.DataFrame], object]] = {
    "pandas": lambda frame: frame,
    "polars": pl.from_pandas,
    "polars-lazy": lambda frame: pl.from_pandas(frame).lazy(),
    "pyarrow": lambda frame: pa.Table.from_pandas(frame, preserve_index=False),
    "duckdb": lambda frame: duckdb.from_arrow(pa.Table.from_pandas(frame, preserve_index=False)),
}
IN_MEMORY = ("pandas", "polars", "pyarrow")
KEY = bytes(range(7, 47))
PHONE = "138" + "0013" + "8000"
ASSESSED = {name: "2026-06-30" if name == "date" else "已说明" for name, *_ in assessment.FIELDS}


@pytest.fixture(autouse=True)
def no_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DJ_KEY_FILE", raising=False)


@pytest.fixture
def key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A key kept outside the data, and named in the environment."""
    path = tmp_path / "elsewhere" / "key"
    path.parent.mkdir()
    path.write_bytes(KEY)
    monkeypatch.setenv("DJ_KEY_FILE", str(path))
    return path


@pytest.fixture
def office(tmp_path: Path, write_workspace) -> Callable[..., Path]:
    """A workspace of two questions with one wave, and whatever else is given."""

    def make(wave: pd.DataFrame | None = None, settings: str = "", assessed: bool = False, **files: str) -> Path:
        declared = {"codebook.csv": CODEBOOK, "units.csv": UNITS, "workspace.toml": 'name = "试点"\n' + settings}
        if wave is not None:
            declared["responses/2026Q3.csv"] = wave.to_csv(index=False)
        if assessed:
            declared[assessment.FILE] = assessment.filled(ASSESSED)
        return write_workspace(tmp_path / "office", declared | files)

    return make


def wave(**columns: list) -> pd.DataFrame:
    """Four people, two questions, and further columns."""
    return pd.DataFrame({"unit": ["B1", "B1", "B2", "B2"], "L1": [5, 4, 2, 1], "S1": [5, 3, 3, 1], **columns})


def declared(folder: Path) -> tuple[Settings, Specification]:
    problems = Problems()
    settings = read_settings(folder, problems)
    spec = Specification(codebook=load_codebook(settings, problems), units=dj.read_units(folder / "units.csv"))
    problems.raise_if_any()
    return settings, spec


def read(folder: Path, door: Door | None = None) -> Survey:
    """The wave of a workspace, through its door."""
    settings, spec = declared(folder)
    problems = Problems()
    path = next((folder / "responses").glob("2026Q3.*"))
    source = settings.tables.get("responses", Source())
    made = survey_of_file(path, spec, "2026Q3", "full", source, problems, door=door or settings.door)
    raise_for(problems)
    assert made is not None
    return made


def direct(frame: object, **options: object) -> Survey:
    """A wave of a dataframe, without a workspace."""
    codebook = codebook_of(CODEBOOK)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DjWarning)
        return dj.read_survey(frame, codebook, period="2026Q3", **options)  # type: ignore[arg-type]


def codebook_of(text: str):
    from tempfile import TemporaryDirectory

    with TemporaryDirectory() as folder:
        (Path(folder) / "codebook.csv").write_text(text, encoding="utf-8")
        return dj.read_codebook(Path(folder) / "codebook.csv")


def column(survey: Survey, name: str) -> list:
    frame = survey.frame
    if isinstance(frame, pl.LazyFrame):
        frame = frame.collect()
    if isinstance(frame, pl.DataFrame):
        return frame[name].to_list()
    table = frame.df() if hasattr(frame, "df") else frame
    return list(table[name].to_pylist() if isinstance(table, pa.Table) else table[name])


def names(survey: Survey) -> list[str]:
    frame = survey.frame
    return frame.collect_schema().names() if isinstance(frame, pl.LazyFrame) else list(
        frame.column_names if isinstance(frame, pa.Table) else frame.columns
    )  # fmt: skip


# R1: identifiers, and the command that takes them out.


def test_R1_the_error_prints_the_command_that_repairs_the_file(office):
    folder = office(wave(**{"姓名": ["张三"] * 4, "政治面貌": ["群众"] * 4, "备注": [PHONE, "", "", ""]}))
    with pytest.raises(IdentifierError) as raised:
        read(folder)
    file = folder / "responses" / "2026Q3.csv"
    (advice,) = set(raised.value.problems.table["advice"])
    command = advice[advice.index("dj clean") :]
    assert command == f"dj clean {file} --drop 姓名,政治面貌,备注"
    # The command does what it says: with the copy in the place of the original the wave is read.
    done = CliRunner().invoke(app, shlex.split(command)[1:])
    assert done.exit_code == 0, done.output
    file.with_name("2026Q3-clean.csv").replace(file)
    assert len(read(folder).frame) == 4


def test_R1_the_command_names_what_stands_in_the_file_and_not_our_names(office):
    frame = wave(**{"3、自选编号": [PHONE, "b", "c", "d"]})
    folder = office(frame, '[tables.responses.columns]\nrespondent = "3、自选编号"\n')
    with pytest.raises(IdentifierError) as raised:
        read(folder)
    (advice,) = set(raised.value.problems.table["advice"])
    assert advice.endswith("--drop 3、自选编号")


@pytest.mark.parametrize("header", ["1、姓名,必填", "您的 姓名"])
def test_R1_headers_with_commas_and_spaces_can_be_typed(office, header: str):
    folder = office(wave(**{header: ["张三"] * 4, "工号": ["1"] * 4}))
    with pytest.raises(IdentifierError) as raised:
        read(folder)
    (advice,) = set(raised.value.problems.table["advice"])
    done = CliRunner().invoke(app, shlex.split(advice[advice.index("dj clean") :])[1:])
    assert done.exit_code == 0, done.output
    (copy,) = (folder / "responses").glob("*-clean.csv")
    assert list(pd.read_csv(copy).columns) == ["unit", "L1", "S1"]


@pytest.mark.parametrize("kind", FRAMES)
def test_R1_a_dataframe_is_told_which_columns_to_leave_out(kind: str):
    with pytest.raises(IdentifierError, match=r"去掉这些列再读入 姓名,民族"):
        direct(FRAMES[kind](wave(**{"姓名": ["张三"] * 4, "民族": ["汉"] * 4})))


# Consent.

ANSWERS = {
    True: (
        "是", "同意", "我同意", "我已知晓并同意", "已阅读并同意参加", "A.同意", "愿意", "1", "1.0", "True", "true", "yes", "Y",
        "I agree", "agree", "√", "不影响待遇，我同意",
    ),
    False: (
        "否", "不同意", "我不同意", "暂不同意", "不愿意", "拒绝", "未同意", "无法同意", "0", "2", "False", "no", "N", "I do not agree",
        "disagree", "I don't agree", "", "(空)", "随便", "看情况", "我不太同意", "说不清",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("answer", "yes"), [(a, yes) for yes, answers in ANSWERS.items() for a in answers])
def test_consent_is_read_in_every_usual_way_and_the_unreadable_is_a_no(answer: str, yes: bool):
    assert says_yes(answer) is yes


def test_rows_without_consent_are_left_out_and_counted(office):
    survey = read(office(wave(consent_use=["同意", "不同意", "", "我已知晓并同意"])))
    assert survey.frame["L1"].to_list() == [5, 1]
    assert (survey.refused, survey.consent, dict(survey.consents)) == (2, "column", {"consent_use": 2})
    assert any("2 份未同意使用" in notice for notice in survey.notices)
    assert not set(survey.frame.columns) & {"consent_use", "consent_link", "consent_care"}


def test_nothing_wrong_with_the_answers_of_those_who_refused_stops_a_wave(office):
    frame = wave(consent_use=["是", "否", "是", "是"], respondent=["a", "a", "b", "c"])
    frame["L1"] = frame["L1"].astype(str)
    frame.loc[1, "L1"] = "跳过了"
    assert len(read(office(frame)).frame) == 3


@pytest.mark.parametrize("kind", FRAMES)
@pytest.mark.parametrize(
    "answers", [["是", "否", None, "同意"], [1, 0, 2, 1], [True, False, False, True], [1.0, 0.0, None, 1.0]]
)
def test_consent_holds_on_every_engine(kind: str, answers: list):
    made = direct(FRAMES[kind](wave(consent_use=answers, consent_care=[1, 1, 1, 0])))
    assert sorted(column(made, "L1")) == [1, 5]
    assert (made.refused, made.consent) == (2, "column")
    assert dict(made.consents) == {"consent_use": 2, "consent_care": 1}
    assert set(names(made)) == {"unit", "L1", "S1"}


def test_a_typed_parquet_file_asks_for_consent_too(tmp_path: Path):
    path = tmp_path / "2026Q3.parquet"
    wave(consent_use=[1, 0, 0, 1]).to_parquet(path)
    made = direct(path)
    assert isinstance(made.frame, pl.LazyFrame)
    assert made.refused == 2


def test_a_declared_header_holds_the_consent(office):
    question = "1、您是否同意参加本次调查？"
    settings = f'[tables.responses.columns]\nconsent_use = "{question}"\n'
    assert read(office(wave(**{question: ["是", "是", "否", "是"]}), settings)).refused == 1


@pytest.mark.parametrize(
    ("header", "name"),
    [
        ("1、您是否同意自愿参加本次调查?", "consent_use"),
        ("我已阅读上述告知书并同意", "consent_use"),
        ("2、您是否同意将前后两次问卷关联", "consent_link"),
        ("3、您是否愿意接受帮扶联系", "consent_care"),
        ("I agree to take part in this survey", "consent_use"),
    ],
)
def test_a_question_for_consent_is_known_by_its_wording(office, header: str, name: str):
    assert asked_consent(header) == name
    made = read(office(wave(**{header: ["同意", "不同意", "同意", "同意"]})))
    assert made.consents == {name: 3}
    assert made.refused == (1 if name == "consent_use" else 0)


def test_a_rating_that_speaks_of_consent_is_no_consent(office):
    made = read(office(wave(**{"9、您是否同意参加更多培训": ["非常同意", "一般", "比较同意", "不同意"]})))
    assert (made.refused, made.consent) == (0, "")
    for node in (*default_codebook().tree, *default_codebook().others):
        assert not [text for text in (node.text_zh, node.text_en, node.label_zh) if asked_consent(text)]


def test_a_wave_in_which_nobody_agreed_is_a_problem_that_says_how_yes_is_written(office):
    with pytest.raises(DataError, match=r"consent_use \[no_consent\].*同意/不同意"):
        read(office(wave(consent_use=["A", "B", "A", "B"])))


NOTICE = '[consent]\nbasis = "notice"\ndate = "2026-07-01"\ntext = "问卷首页告知书"\n'


def test_a_declared_notice_stands_for_consent_where_none_was_asked(office):
    folder = office(wave(), NOTICE)
    settings, _ = declared(folder)
    assert settings.consent == Consent("notice", "2026-07-01", "问卷首页告知书")
    made = read(folder)
    assert (made.refused, made.consent, len(made.frame)) == (0, "notice", 4)
    assert not any("未见同意栏" in notice for notice in made.notices)


def test_a_column_counts_more_than_the_notice(office):
    made = read(office(wave(consent_use=["是", "否", "是", "是"]), NOTICE))
    assert (made.refused, made.consent) == (1, "column")


def test_without_column_and_notice_a_wave_is_read_with_a_notice(office):
    made = read(office(wave()))
    assert (made.consent, len(made.frame)) == ("", 4)
    assert any("未见同意栏，也未声明告知依据" in notice for notice in made.notices)


def test_a_consent_column_declared_for_other_waves_may_be_missing(office):
    made = read(office(wave(), NOTICE + '[tables.responses.columns]\nconsent_use = "1、同意吗"\n'))
    assert made.consent == "notice"
    assert any("声明的同意栏不在此期中" in notice for notice in made.notices)


@pytest.mark.parametrize(
    ("section", "rule"),
    [
        ('basis = "consent"\ndate = "2026-07-01"\ntext = "x"', "choice"),
        ('basis = "notice"\ntext = "x"', "bad_date"),
        ('basis = "notice"\ndate = "七月"\ntext = "x"', "bad_date"),
        ('basis = "notice"\ndate = "2026-07-01"', "missing_setting"),
        ('basis = "notice"\ndate = "2026-07-01"\ntext = " "', "missing_setting"),
        ('basis = "notice"\ndate = "2026-07-01"\ntext = "x"\nwho = "y"', "unknown_setting"),
    ],
)
def test_a_notice_without_date_or_text_is_none(office, section: str, rule: str):
    problems = Problems()
    settings = read_settings(office(None, f"[consent]\n{section}\n"), problems)
    assert [problem.rule for problem in problems] == [rule]
    assert settings.consent == Consent() or rule == "unknown_setting"


def test_a_date_may_stand_without_quotes(office):
    problems = Problems()
    settings = read_settings(office(None, NOTICE.replace('"2026-07-01"', "2026-07-01")), problems)
    assert not problems
    assert settings.consent.date == "2026-07-01"


# R2: self-chosen codes.

CODES = ["Ab-12x", "ａｂ-12X ", "河42边", "zz-9"]


def hashed(code: str) -> str:
    return hmac.new(KEY, code.encode(), hashlib.sha256).hexdigest()


def linked_wave(**other: list) -> pd.DataFrame:
    columns = {
        "own_code": ["Ab-12x", "q7q7", "河42边", "zz-9"],
        "consent_use": ["是"] * 4,
        "consent_link": ["是", "否", "同意", ""],
    }
    return wave(**(columns | other))


def test_R2_a_code_becomes_its_hash_for_those_who_agreed_and_is_dropped(office, key: Path):
    made = read(office(linked_wave(), assessed=True))
    assert made.frame["link"].to_list() == [hashed("ab-12x"), "", hashed("河42边"), ""]
    assert "own_code" not in made.frame.columns
    cells = {str(cell) for row in made.frame.rows() for cell in row}
    assert not cells & {"Ab-12x", "ab-12x", "河42边", "q7q7", "zz-9"}


def test_R2_the_pseudonym_is_no_axis_no_item_and_in_no_repr(office, key: Path):
    made = read(office(linked_wave(), assessed=True))
    assert "link" not in made.axes
    assert "link" not in {leaf.code for leaf in made.codebook.tree.leaves}
    assert not re.search(r"[0-9a-f]{16}|河42边|link", repr(made))
    assert not set(dj.score(made).table["level"]) & {"link", "own_code"}


def test_R2_without_a_key_there_is_no_stable_id_at_all(office):
    made = read(office(linked_wave(), assessed=True))
    assert made.frame["link"].to_list() == [""] * 4
    assert "own_code" not in made.frame.columns
    assert any("DJ_KEY_FILE" in notice and "不作跨期对应" in notice for notice in made.notices)


@pytest.mark.parametrize("answers", [None, ["否"] * 4])
def test_R2_without_consent_there_is_no_stable_id_at_all(office, key: Path, answers: list | None):
    frame = linked_wave(consent_link=answers or ["否"] * 4)
    made = read(office(frame if answers else frame.drop(columns="consent_link"), assessed=True))
    assert made.frame["link"].to_list() == [""] * 4


def test_R2_those_who_refused_any_use_are_not_followed(office, key: Path):
    made = read(office(linked_wave(consent_use=["否", "是", "是", "是"]), assessed=True))
    assert made.frame["link"].to_list() == ["", hashed("河42边"), ""]


def test_R2_a_wave_without_grounds_follows_nobody(office, key: Path):
    frame = linked_wave().drop(columns="consent_use")
    assert read(office(frame, assessed=True)).frame["link"].to_list() == [""] * 4
    made = read(office(frame, NOTICE, assessed=True))
    assert made.frame["link"].to_list() == [hashed("ab-12x"), "", hashed("河42边"), ""]


def test_R2_codes_are_normalised_and_one_given_twice_names_nobody(office, key: Path):
    first = read(office(linked_wave(own_code=CODES, consent_link=["是"] * 4), assessed=True))
    assert first.frame["link"].to_list() == ["", "", hashed("河42边"), hashed("zz-9")]
    assert any("2 份自编码与他人相同" in notice for notice in first.notices)
    wide = linked_wave(own_code=["ＡＢ-12X　", "q", "r", "s"], consent_link=["是"] * 4)
    assert read(office(wide, assessed=True)).frame["link"].to_list()[0] == hashed("ab-12x")


def test_R2_a_pseudonym_given_stays_as_it_is(office, key: Path):
    made = read(office(linked_wave(respondent=["p1", "p2", "p3", "p4"]), assessed=True))
    assert made.frame["respondent"].to_list() == ["p1", "p2", "p3", "p4"]


@pytest.mark.parametrize("kind", FRAMES)
def test_R2_holds_on_every_engine(kind: str, key: Path, tmp_path: Path):
    (tmp_path / assessment.FILE).write_text(assessment.filled(ASSESSED), encoding="utf-8")
    frame = FRAMES[kind](linked_wave())
    if kind not in IN_MEMORY:  # a hash is made of what is in memory; elsewhere the request is refused, not forgotten
        with pytest.raises(DataError, match=r"own_code \[unsupported\].*先读入内存"):
            direct(frame, assessment=tmp_path / assessment.FILE)
        return
    made = direct(frame, assessment=tmp_path / assessment.FILE)
    assert column(made, "link") == [hashed("ab-12x"), "", hashed("河42边"), ""]
    assert "own_code" not in names(made)


@pytest.mark.parametrize("kind", FRAMES)
def test_R2_without_a_key_every_engine_drops_the_code(kind: str):
    made = direct(FRAMES[kind](linked_wave()))
    assert column(made, "link") == [""] * 4
    assert "own_code" not in names(made)


def test_R2_a_frame_with_rows_of_its_own_numbering(key: Path, tmp_path: Path):
    (tmp_path / assessment.FILE).write_text(assessment.filled(ASSESSED), encoding="utf-8")
    frame = linked_wave(consent_use=["否", "是", "是", "是"]).set_index(pd.Index([7, 3, 3, 1]))
    assert column(direct(frame, assessment=tmp_path / assessment.FILE), "link") == ["", hashed("河42边"), ""]


def test_R2_a_typed_parquet_file_is_hashed_on_the_way_in(key: Path, tmp_path: Path):
    (tmp_path / assessment.FILE).write_text(assessment.filled(ASSESSED), encoding="utf-8")
    (tmp_path / "data").mkdir()
    linked_wave().to_parquet(tmp_path / "data" / "2026Q3.parquet")
    made = direct(tmp_path / "data" / "2026Q3.parquet", assessment=tmp_path / assessment.FILE)
    assert column(made, "link") == [hashed("ab-12x"), "", hashed("河42边"), ""]


@pytest.mark.parametrize(
    ("code", "kind"),
    [("张三", "像姓名"), ("欧阳春兰", "像姓名"), (PHONE, "手机号"), ("123456", "像工号"), ("１２３４５６７", "像工号"),
     ("11010519491231002X", "身份证号"), ("a.b@example.com", "邮箱")],
)  # fmt: skip
@pytest.mark.parametrize("way", ["file", "frame"])
def test_R2_a_code_that_is_a_name_or_a_number_of_a_person_is_refused(office, code: str, kind: str, way: str):
    frame = linked_wave(own_code=["x1y2", code, "", "abc"])
    with pytest.raises(IdentifierError, match=rf"own_code \[identifier_content\]: {kind}.*第 3 行") as raised:
        read(office(frame)) if way == "file" else direct(frame)
    assert code not in str(raised.value)
    assert PHONE not in str(raised.value)


@pytest.mark.parametrize("code", ["12345", "春天的第一场雨", "a张三1", "2026-abc", "李9"])
def test_R2_a_code_of_ones_own_passes(office, key: Path, code: str):
    made = read(office(linked_wave(own_code=[code, "b1", "c1", "d1"]), assessed=True))
    assert made.frame["link"].to_list()[0] == hashed(code)


def test_R2_the_key_lies_outside_the_data(office, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    root = tmp_path / "root"
    root.mkdir()
    folder = office(linked_wave(), f'roots = {{ other = "{root.as_posix()}" }}\n', assessed=True)
    for place in (folder / "key", folder / "responses" / "key", root / "key"):
        place.write_bytes(KEY)
        monkeypatch.setenv("DJ_KEY_FILE", str(place))
        with pytest.raises(DataError, match=r"\[key_file\].*密钥在数据文件夹内.*移到数据文件夹之外"):
            read(folder)


@pytest.mark.parametrize("content", [KEY[:31], b"ab" * 31, b"", b"secret\n"])
def test_R2_a_short_key_is_refused(office, key: Path, content: bytes):
    key.write_bytes(content)
    with pytest.raises(DataError, match=r"\[key_file\].*字节") as raised:
        read(office(linked_wave(), assessed=True))
    assert "secret\\n" not in str(raised.value)


def test_R2_a_key_may_be_written_in_hexadecimal(office, key: Path):
    key.write_text(KEY.hex().upper() + "\n")
    assert read(office(linked_wave(), assessed=True)).frame["link"].to_list()[0] == hashed("ab-12x")


def test_R2_a_key_that_is_not_there_is_named(office, monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.setenv("DJ_KEY_FILE", str(tmp_path / "gone"))
    with pytest.raises(DataError, match=r"\[key_file\]: FileNotFoundError"):
        read(office(linked_wave(), assessed=True))


def test_R2_it_is_called_by_its_name():
    from dj_analysis.measure.intake import linking

    assert "去标识化, not 匿名" in (linking.__doc__ or "")


# R14: the impact assessment.


def test_R14_nobody_is_followed_without_a_signed_impact_assessment(office, key: Path):
    folder = office(linked_wave())
    with pytest.raises(DataError, match=r"impact-assessment\.toml \[impact_assessment\].*dj template office"):
        read(folder)
    (folder / assessment.FILE).write_text(assessment.filled(ASSESSED), encoding="utf-8")
    assert any(read(folder).frame["link"])


@pytest.mark.parametrize("lacking", [*(name for name, *_ in assessment.FIELDS), "signed"])
def test_R14_an_assessment_that_lacks_anything_is_none(office, key: Path, lacking: str):
    text = assessment.filled({name: value for name, value in ASSESSED.items() if name != lacking})
    text = text.replace("signed = true", "signed = false") if lacking == "signed" else text
    with pytest.raises(DataError, match=rf"\[impact_assessment\]: 缺 {lacking}"):
        read(office(linked_wave(), **{assessment.FILE: text}))


def test_R14_the_empty_template_does_not_pass(office, key: Path):
    for language in ("zh", "en"):
        with pytest.raises(DataError, match="impact_assessment"):
            read(office(linked_wave(), **{assessment.FILE: assessment.assessment_template(language)}))


def test_R14_waves_that_link_nobody_need_none(office, key: Path):
    assert len(read(office(linked_wave(consent_link=["否"] * 4))).frame) == 4
    assert len(read(office(wave())).frame) == 4


def test_R14_a_survey_read_without_a_workspace_links_nobody_unless_its_assessment_is_shown(key: Path, tmp_path: Path):
    with pytest.warns(DjWarning, match="没有影响评估"):
        made = dj.read_survey(linked_wave(), codebook_of(CODEBOOK), period="2026Q3")
    assert column(made, "link") == [""] * 4
    with pytest.raises(DataError, match="impact_assessment"):
        direct(linked_wave(), assessment=tmp_path / assessment.FILE)


def test_R14_the_template_is_written_and_asks_every_question(office):
    folder = office(None)
    done = CliRunner().invoke(app, ["template", str(folder)])
    assert done.exit_code == 0, done.output
    text = (folder / "templates" / assessment.FILE).read_text(encoding="utf-8")
    assert "第五十五" in text
    assert all(f'{name} = ""' in text for name, *_ in assessment.FIELDS)
    assert "signed = false" in text
    english = assessment.assessment_template("en")
    assert "PIPL 55" in english
    assert not re.search(r"[一-鿿]", english)


def test_R14_the_demo_ships_a_synthetic_one(tmp_path: Path):
    folder = dj.make_company(employees=200, branches=4, quarters=2).write(tmp_path / "demo", closed=False)
    problems = Problems()
    assert assessment.impact_problems(folder / assessment.FILE, problems)
    assert not problems
    assert "合成" in (folder / assessment.FILE).read_text(encoding="utf-8")


def test_the_demo_asks_for_consent_in_its_latest_wave_and_declares_a_notice_for_the_others(tmp_path: Path):
    company = dj.make_company(employees=400, branches=4, quarters=2)
    folder = company.write(tmp_path / "demo", closed=False)
    problems = Problems()
    settings = read_settings(folder, problems)
    made = {}
    for period in company.periods:
        path = next((folder / "responses").glob(f"{period}.*"))
        asked = settings.waves.get(period, "pulse")
        source = settings.tables["responses"]
        made[period] = survey_of_file(path, company.spec, period, asked, source, problems, door=settings.door)  # type: ignore[arg-type]
    assert not problems
    assert [survey.consent for survey in made.values() if survey] == ["notice", "column"]
    latest = made[company.periods[-1]]
    assert latest is not None
    assert 0 < latest.refused < 0.05 * len(latest.frame)
    assert len(latest.frame) == len(company.survey(company.periods[-1]).frame)


# R9: purpose.

RECORDS = {
    "appraisal": ("绩效考核得分", "考核等级", "2025年考核等级", "上年度绩效等次", "KPI", "考核结果", "您上年度的绩效考核等级", "3、考核等级",
                  "第5题(绩效得分)", "kpi_score", "Performance rating", "appraisal grade"),
    "rewards": ("奖惩情况", "处分记录", "受处分次数", "punishment_record", "disciplinary actions"),
    "integrity": ("廉洁积分", "廉政档案", "integrity points"),
    "quality": ("质量积分", "quality_points"),
    "learning": ("学习强国积分", "学习积分", "学习强国", "learning_points"),
    "petition": ("信访次数", "是否信访", "上访记录", "petition_count"),
    "attendance": ("考勤天数", "打卡记录", "迟到次数", "出勤率", "attendance", "attendance_days", "clock-in records"),
    "chat": ("微信群发言数", "聊天记录", "群聊活跃度", "chat_log", "wechat messages"),
    "location": ("定位", "轨迹", "手机定位", "GPS坐标", "行动轨迹", "location", "gps location", "location history"),
}  # fmt: skip
QUESTIONS = (
    "您对考核结果的公正性是否满意", "3、您对考核结果的公正性是否满意？", "考核结果公正", "绩效考核公平性", "3、请对以下方面打分—绩效考核",
    "第3题(绩效考核)", "第3题(考核结果)", "考勤制度合理", "打卡制度是否合理", "我清楚奖惩的规则", "信访渠道畅通", "您对信访答复满意吗",
    "工作群消息太多,影响休息", "职业定位", "岗位定位清楚", "成长轨迹", "学习机会", "工作质量", "培训学时", "加班时长", "奖励及时",
    "Awards follow open procedures.", "How satisfied are you with attendance rules?", "The appraisal is fair",
    "unit", "period", "总分", "年龄段", "技能等级", "work_location", "seconds", "备注",
)  # fmt: skip


def test_R9_every_restricted_purpose_has_its_records():
    assert set(RECORDS) == set(RESTRICTED)


@pytest.mark.parametrize(("header", "tag"), [(header, tag) for tag, headers in RECORDS.items() for header in headers])
def test_R9_columns_of_records_about_people_are_known_by_their_header(header: str, tag: str):
    assert record_purpose(header) == tag


def wordings() -> Iterator[str]:
    known = default_codebook()
    for node in (*known.tree, *known.others, *indicator_tree("2026Q3")):
        for text in (node.code, node.label_zh, node.label_en, node.text_zh, node.text_en):
            if text:
                yield from (text, f"3、{text}", f"第3题({text})", f"3、请评价—{text}")


def test_R9_no_question_and_no_branch_indicator_is_taken_for_a_record():
    assert not [text for text in (*QUESTIONS, *wordings()) if record_purpose(text)]


@pytest.mark.parametrize(
    "header",
    ["绩效考核得分", "奖惩情况", "廉洁积分", "质量积分", "学习积分", "信访次数", "考勤天数", "聊天记录", "定位"],
)
def test_R9_answers_with_such_a_column_are_refused_with_the_command_that_helps(office, header: str):
    folder = office(wave(**{header: ["1"] * 4}))
    with pytest.raises(PurposeError) as raised:
        read(folder)
    (problem,) = raised.value.problems
    assert header in problem.found
    assert problem.advice.endswith(f"dj clean {folder / 'responses' / '2026Q3.csv'} --drop {header}")


@pytest.mark.parametrize("kind", FRAMES)
def test_R9_holds_on_every_engine(kind: str):
    with pytest.raises(PurposeError, match="考勤天数"):
        direct(FRAMES[kind](wave(考勤天数=[20, 21, 22, 23])))


def test_R9_a_record_cannot_come_in_under_another_name(office):
    folder = office(
        wave(绩效考核得分=[1, 2, 3, 4]).drop(columns="S1"), '[tables.responses.columns]\nS1 = "绩效考核得分"\n'
    )
    with pytest.raises(PurposeError, match="绩效考核得分"):
        read(folder)


def test_R9_a_long_table_with_such_a_code(tmp_path: Path):
    rows = [(p, q, "3") for p in ("a", "b") for q in ("L1", "S1", "考勤天数")]
    frame = pd.DataFrame(rows, columns=["respondent", "code", "value"], dtype="str")
    path = tmp_path / "2026Q3.csv"
    frame.to_csv(path, index=False)
    table = read_text(path, problems := Problems())
    assert table is not None
    spec = Specification(codebook=codebook_of(CODEBOOK))
    survey_of_table(table, spec, "2026Q3", "full", Source(shape="long"), problems)
    assert [problem.rule for problem in problems] == ["purpose_column"]


def test_R9_a_place_of_work_called_location_may_be_the_unit(office):
    frame = wave().rename(columns={"unit": "location"})
    assert len(read(office(frame, '[tables.responses.columns]\nunit = "location"\n')).frame) == 4
    with pytest.raises(PurposeError, match="location"):
        read(office(wave(location=["x"] * 4)))


def test_R9_all_problems_are_listed_and_an_identifier_comes_first(office):
    frame = wave(**{"姓名": ["张三"] * 4, "考核等级": ["优"] * 4})
    frame.loc[0, "L1"] = 9
    folder = office(frame)
    with pytest.raises(IdentifierError) as raised:
        read(folder)
    table = raised.value.problems.table
    assert set(table["rule"]) == {"identifier_column", "purpose_column", "out_of_range"}
    commands = set(table.loc[table["rule"] != "out_of_range", "advice"])
    assert len(commands) == 1
    assert commands.pop().endswith("--drop 姓名,考核等级")
    frame = frame.drop(columns="姓名")
    with pytest.raises(PurposeError) as raised:
        read(office(frame))
    assert set(raised.value.problems.table["rule"]) == {"purpose_column", "out_of_range"}


@pytest.mark.parametrize("role", ["group", "weight", "outcome", "check", "item"])
def test_R9_a_codebook_does_not_ask_for_records(office, role: str):
    parent = "INDEX" if role == "item" else ""
    low, high = ("1", "5") if role in ("item", "outcome", "check") else ("", "")
    text = f"{CODEBOOK}R1,{parent},绩效考核等级,{role},1,1,{low},{high},\n"
    with pytest.raises(PurposeError, match=r"codebook\.csv: R1 \[purpose_column\]: 考核"):
        codebook_of(text)


def test_R9_a_question_about_appraisal_stays_a_question():
    text = f"{CODEBOOK}R1,INDEX,考核结果,item,1,1,1,5,对考核结果有疑问时，我能得到解释。\n"
    assert "R1" in codebook_of(text).tree


@pytest.mark.parametrize(
    "settings",
    [
        '[tables.responses]\npurpose = "appraisal"\n',
        '[tables.responses]\npath = "hr.csv"\n[tables.indicator_values]\npath = "hr.csv"\npurpose = "attendance"\n',
        '[tables.responses]\nsql = { url_env = "U", query = "SELECT * FROM answers a JOIN attendance_days b ON a.id = b.id" }\n',
        '[tables.responses]\nsql = { url_env = "U", query = "SELECT * FROM answers LEFT JOIN 员工考核 ON 1 = 1" }\n',
    ],
)
def test_R9_answers_are_not_drawn_from_or_joined_with_a_restricted_table(office, settings: str):
    folder = office(wave(), settings)
    with pytest.raises(PurposeError, match=r"\[purpose_table\]"):
        dj.open_workspace(folder)


def test_R9_tables_have_one_of_the_listed_purposes(office):
    problems = Problems()
    settings = read_settings(office(None, '[tables.indicator_values]\npath = "v.csv"\npurpose = "quality"\n'), problems)
    assert not problems
    assert settings.purpose_of("indicator_values") == "quality"
    assert settings.purpose_of("responses") == "survey"
    read_settings(office(None, '[tables.indicator_values]\npath = "v.csv"\npurpose = "查一查"\n'), problems)
    assert [(p.rule, p.found) for p in problems] == [("choice", "查一查")]
    assert "attendance" in next(iter(problems)).allowed


def test_R9_results_of_different_programmes_do_not_meet_where_persons_are_in_one():
    survey = dj.score(direct(wave()))
    branches = replace(survey, programme="indicators", about="units")
    check_purposes(survey, survey)
    check_purposes(branches, replace(branches, programme="ratings"))
    for pair in ((survey, branches), (branches, survey)):
        with pytest.raises(PurposeError, match="purpose_results"):
            check_purposes(*pair)


def test_R9_branch_indicators_may_be_about_appraisal(tmp_path: Path, write_workspace):
    files = {
        "workspace.toml": 'name = "x"\n',
        "units.csv": UNITS,
        "indicators.csv": "code,parent,label_zh,direction,weight,minimum,maximum\nK1,,支部考核得分,1,1,0,100\n",
        "indicator_values.csv": "unit,period,code,value,role\nB1,2026-09,K1,90,x\n",
    }
    assert dj.open_workspace(write_workspace(tmp_path, files)).indicator_periods == ["2026-09"]


# R16: copies that may be kept.


def people(n: int = 60) -> pd.DataFrame:
    """Ages, tenures and sexes with a few that stand out."""
    ages = [str(22 + (i * 7) % 38) for i in range(n)]
    years = [str((i * 3) % 33) for i in range(n)]
    sexes = ["女" if i % 3 == 0 else "男" for i in range(n)]
    return pd.DataFrame({
        "姓名": ["张三"] * n, "来自IP": ["x"] * n, "1、部门": [f"部门{i % 4}" for i in range(n)], "2、您的年龄": ages,
        "3、您的工龄": years, "4、您的性别": sexes, "5、食堂": [str(i % 5 + 1) for i in range(n)], "编码": ["007"] * n,
    })  # fmt: skip


def write(path: Path, frame: pd.DataFrame) -> Path:
    if path.suffix == ".xlsx":
        with xlsxwriter.Workbook(path, {"strings_to_numbers": True}) as book:
            sheet = book.add_worksheet()
            for row, cells in enumerate([list(frame.columns), *frame.to_numpy().tolist()]):
                sheet.write_row(row, 0, cells)
    elif path.suffix == ".parquet":
        frame.to_parquet(path)
    else:
        stream = io.StringIO(newline="")
        csv.writer(stream, delimiter="\t" if path.suffix == ".tsv" else ",").writerows(
            [list(frame.columns), *frame.to_numpy().tolist()]
        )
        path.write_bytes(stream.getvalue().encode("gb18030"))
    return path


def cells(path: Path) -> pd.DataFrame:
    table = read_text(path, problems := Problems())
    assert table is not None, list(problems)
    return table.frame


QUASI = ["2、您的年龄", "3、您的工龄", "4、您的性别"]


@pytest.mark.parametrize("suffix", [".csv", ".xlsx", ".tsv", ".parquet"])
def test_R16_a_clean_copy_has_bands_and_nobody_stands_out(tmp_path: Path, suffix: str):
    source = write(tmp_path / f"a{suffix}", people())
    before = source.read_bytes()
    made = clean_file(source, ["姓名"])
    assert made.file == tmp_path / f"a-clean{suffix}"
    copy = cells(made.file)
    assert list(copy.columns) == [c for c in people().columns if c not in ("姓名", "来自IP")]
    assert set(copy["2、您的年龄"]) <= {"", "30岁以下", "31—40岁", "41—50岁", "51—60岁"}
    assert set(copy["3、您的工龄"]) <= {"", "5年以下", "6—10年", "11—20年", "21—30年", "31年以上"}
    assert min(Counter(copy[QUASI].itertuples(index=False)).values()) >= 5
    assert (made.quasi, made.banded, made.least >= 5) == (tuple(QUASI), tuple(QUASI[:2]), True)
    came = cells(source)
    pd.testing.assert_frame_equal(copy[["1、部门", "5、食堂"]], came[["1、部门", "5、食堂"]])
    blank = int((copy[QUASI] == "").sum().sum())
    assert made.blanked == blank > 0
    assert source.read_bytes() == before
    if suffix != ".xlsx":  # the workbook was written with numbers here, not by the package
        assert set(copy["编码"]) == {"007"}


def test_R16_the_same_file_gives_the_same_copy(tmp_path: Path):
    source = write(tmp_path / "a.xlsx", people())
    first, second = (clean_file(source, ["姓名"], tmp_path / name).file.read_bytes() for name in ("x.xlsx", "y.xlsx"))
    assert first == second


def test_R16_an_old_workbook_becomes_a_new_one(tmp_path: Path):
    xls = Path(__file__).parent / "data" / "wjx_small.xls"
    made = clean_file(xls, [], tmp_path / "copy.xlsx", sheet="序号")
    assert cells(made.file).shape[0] == 8
    copied = tmp_path / "wjx.xls"
    copied.write_bytes(xls.read_bytes())
    assert clean_file(copied).file.name == "wjx-clean.xlsx"


@pytest.mark.parametrize("least", [2, 5])
def test_R16_blanking_reaches_k_whatever_the_table(least: int):
    import numpy as np

    rng = np.random.default_rng(5)
    for n, options in itertools.product((0, 1, 4, 5, 9, 40, 200), (1, 3, 12)):
        frame = pd.DataFrame(rng.integers(0, options, (n, 3)).astype("str"), columns=list("abc"))
        frame["kept"] = np.arange(n).astype("str")
        made, blanked = anonymous(frame, list("abc"), least)
        assert smallest_class(made, list("abc")) >= min(least, n)
        changed = made[list("abc")].to_numpy() != frame[list("abc")].to_numpy()
        assert blanked == changed.sum()
        assert (made[list("abc")].to_numpy()[changed] == "").all()
        pd.testing.assert_series_equal(made["kept"], frame["kept"])


def test_R16_the_least_is_blanked():
    rows = [("30", "男")] * 6 + [("30", "女")] * 6 + [("40", "男")] * 6 + [("40", "女")] * 2 + [("50", "女")] * 3
    made, blanked = anonymous(pd.DataFrame(rows, columns=["age", "sex"]), ["age", "sex"])
    # Five women over 30 give up their age, nobody else anything.
    assert blanked == 5
    assert made.iloc[18:].to_numpy().tolist() == [["", "女"]] * 5


@pytest.mark.parametrize(
    ("header", "kind"),
    [("2、您的年龄", "age"), ("您的年龄段", "age"), ("age", "age"), ("您的工龄", "tenure"), ("司龄", "tenure"), ("参加工作时间", "tenure"),
     ("性别", "sex"), ("最高学历", "education"), ("您的岗位类别", "post"), ("您属于管理人员还是一线员工", "post"), ("职称", "title"),
     ("用工形式", "employment"), ("个人信息—性别", "sex"), ("您所在的党支部", ""), ("岗位培训", ""), ("您对岗位职责清楚吗", "")],
)  # fmt: skip
def test_R16_quasi_identifiers_are_known_by_their_header(header: str, kind: str):
    assert quasi_kind(header) == kind


def test_R16_no_question_of_the_instrument_is_one_but_its_groups_are():
    known = default_codebook()
    for node in known.tree:
        assert not [t for t in (node.text_zh, node.text_en, node.label_zh, node.label_en, node.code) if quasi_kind(t)]
    assert all(quasi_kind(node.text_zh) and quasi_kind(node.text_en) for node in known.groups)


def test_R16_options_by_number_are_no_ages():
    assert banded(pd.Series(["1", "4", "2", ""]), "age").tolist() == ["1", "4", "2", ""]
    assert banded(pd.Series(["29", "30", "31岁", "66", "保密", ""]), "age").tolist() == [
        "30岁以下", "30岁以下", "31—40岁", "61岁以上", "保密", "",
    ]  # fmt: skip


def test_R16_more_than_three_together_are_refused_and_the_message_asks_which_to_drop(tmp_path: Path):
    source = write(tmp_path / "a.csv", people().assign(最高学历="本科"))
    with pytest.raises(DataError, match=r"\[quasi_identifiers\]: 4: .*至多 3 个.*--drop 姓名,最高学历"):
        clean_file(source, ["姓名"])
    assert [path.name for path in tmp_path.iterdir()] == ["a.csv"]
    assert clean_file(source, ["姓名,最高学历"]).quasi == tuple(QUASI)


def test_R16_further_columns_may_be_named(tmp_path: Path):
    source = write(tmp_path / "a.csv", people().drop(columns=QUASI[:2]))
    assert clean_file(source, ["姓名"], quasi=["1、部门"]).quasi == ("1、部门", QUASI[2])


def test_R16_a_cross_classification_has_at_most_three_groups(office):
    problems = Problems()
    crossed = '[publish]\ncross = [["branch", "age", "sex", "job", "post"]]\n'
    assert read_settings(office(None, crossed), problems).cross == ()
    assert [problem.rule for problem in problems] == ["too_many_groups"]
    groups = "".join(f"{code},,{code},group,1,1,,,\n" for code in ("g1", "g2", "g3", "g4"))
    problems = Problems()
    cross = '[publish]\ncross = [["g1", "g2", "g3", "g4"], ["branch", "g1", "g2", "g3"]]\n'
    load_codebook(read_settings(office(None, cross, **{"codebook.csv": CODEBOOK + groups}), problems), problems)
    assert [(problem.rule, problem.found) for problem in problems] == [("too_many_groups", "g1 × g2 × g3 × g4")]


def test_clean_is_whole_or_not_at_all(tmp_path: Path):
    source = write(tmp_path / "a.csv", people())
    with pytest.raises(UsageError, match=r"列/column “名姓” 不存在.*姓名"):
        clean_file(source, ["名姓"])
    with pytest.raises(IdentifierError, match=r"一并删去.*dj clean .*--drop 1、部门,姓名"):
        clean_file(source, ["1、部门"])
    with pytest.raises(UsageError, match="可写"):
        clean_file(source, ["姓名"], tmp_path / "a.docx")
    assert [path.name for path in tmp_path.iterdir()] == ["a.csv"]
    clean_file(source, ["姓名"])
    kept = (tmp_path / "a-clean.csv").read_bytes()
    with pytest.raises(UsageError, match="不会覆盖"):
        clean_file(source, ["姓名", "1、部门"])
    assert (tmp_path / "a-clean.csv").read_bytes() == kept


def test_clean_says_what_it_did(tmp_path: Path):
    source = write(tmp_path / "a.csv", people())
    done = CliRunner().invoke(app, ["clean", str(source), "--drop", "姓名", "--out", str(tmp_path / "b.csv")])
    assert done.exit_code == 0, done.output
    for said in ("b.csv", "姓名、来自IP", "2、您的年龄", "置空", "格"):
        assert said in done.output


# dj new on an export that has everything wrong with it.


def export(n: int = 40, **columns: list[str]) -> pd.DataFrame:
    scale = ("非常不同意", "比较不同意", "一般", "比较同意", "非常同意")
    meta = {
        "序号": [str(i + 1) for i in range(n)], "提交答卷时间": [f"2026/8/{i % 28 + 1} 09:00" for i in range(n)],
        "所用时间": ["90秒"] * n, "来自IP": ["x.x.x.x"] * n, "1、您所在的党支部": [("运维支部", "营销支部")[i % 2] for i in range(n)],
    }  # fmt: skip
    asked = {
        f"{k}、{leaf.text_zh}": [scale[(i + k) % 5] if leaf.scale else str((i + k) % 11) for i in range(n)]
        for k, leaf in enumerate(default_codebook().tree.in_form("anchors").leaves, start=2)
    }
    return pd.DataFrame({**meta, **asked, **columns})


def test_dj_new_makes_a_workspace_that_reports_of_an_export_full_of_identifiers(tmp_path: Path):
    n = 40
    frame = export(n, 政治面貌=["群众"] * n, **{"30、您的姓名": ["张三丰"] * n})
    source = write(tmp_path / "export.xlsx", frame)
    done = CliRunner().invoke(app, ["new", str(tmp_path / "office"), "--from", str(source)])
    assert done.exit_code == 0, done.output
    for header in ("政治面貌", "30、您的姓名", "来自IP"):
        assert header in next(line for line in done.output.splitlines() if "已删去会指向个人的列" in line)
    assert "告知方式请改为实际情况" in done.output
    settings = read_settings(tmp_path / "office", problems := Problems())
    assert not problems
    assert (settings.consent.basis, settings.consent.date) == ("notice", "2026-08-28")
    stored = tmp_path / "office" / "responses" / "2026Q3.xlsx"
    assert not {"政治面貌", "30、您的姓名", "来自IP"} & set(cells(stored).columns)
    scores = dj.open_workspace(tmp_path / "office").scores("2026Q3")
    assert scores.at("ALL", "INDEX")["n"] == n
    checked = CliRunner().invoke(app, ["check", str(tmp_path / "office")])
    assert checked.exit_code == 0, checked.output


def test_dj_new_takes_a_question_for_consent_for_one(tmp_path: Path):
    n = 40
    frame = export(n, **{"40、您是否同意参加本次调查": ["不同意" if i % 10 == 0 else "同意" for i in range(n)]})
    made = propose_workspace(tmp_path / "office", write(tmp_path / "e.xlsx", frame))
    assert made.table.set_index("code").loc["consent_use", "role"] == "consent"
    survey = read(tmp_path / "office")
    assert (survey.refused, survey.consent) == (4, "column")
    assert declared(tmp_path / "office")[0].consent == Consent()


def test_R16_dj_new_stores_at_most_three_quasi_identifiers_and_bands_ages(tmp_path: Path):
    n = 40
    quasi = {
        "50、您的年龄": [str(22 + i) for i in range(n)],
        "51、您的岗位类别": ["生产技能" if i % 2 else "营销服务" for i in range(n)],
        "52、您的性别": ["男" if i % 3 else "女" for i in range(n)],
        "53、您的学历": ["本科" if i % 4 else "专科" for i in range(n)],
    }
    made = propose_workspace(tmp_path / "office", write(tmp_path / "e.xlsx", export(n, **quasi)))
    stored = cells(tmp_path / "office" / "responses" / "2026Q3.xlsx")
    assert not [cell for cell in stored["50、您的年龄"] if cell.isdigit()]
    kept = [header for header in stored.columns if quasi_kind(header)]
    assert kept == ["50、您的年龄", "51、您的岗位类别", "52、您的性别"]
    assert any("未存" in notice and "53、您的学历" in notice for notice in made.notices)
    assert dj.open_workspace(tmp_path / "office").scores("2026Q3").at("ALL", "INDEX")["n"] == n


def test_R16_dj_new_stores_only_what_it_declares(tmp_path: Path):
    n = 40
    posts = [f"岗{i % 15}" for i in range(n)]
    frame = export(n, **{"51、您的岗位": posts, "52、您的建议": [f"想法{i}" for i in range(n)]})
    made = propose_workspace(tmp_path / "office", write(tmp_path / "e.xlsx", frame))
    stored = cells(tmp_path / "office" / "responses" / "2026Q3.xlsx")
    roles = made.table.set_index("column")["role"]
    assert roles[["51、您的岗位", "52、您的建议"]].tolist() == ["", ""]
    assert not {"51、您的岗位", "52、您的建议"} & set(stored.columns)
    for path in (tmp_path / "office").rglob("*.*"):
        assert "想法3".encode() not in path.read_bytes()


def test_R9_dj_new_refuses_records_about_people(tmp_path: Path):
    source = write(tmp_path / "e.xlsx", export(40, 绩效考核得分=["90"] * 40))
    with pytest.raises(PurposeError, match=r"dj clean .*e\.xlsx --drop 绩效考核得分"):
        propose_workspace(tmp_path / "office", source)
    assert not (tmp_path / "office").exists()


@pytest.mark.parametrize(("months", "language", "said"), [(6, "zh", "不超过6个月"), (12, "en", "at most 12 months")])
def test_the_notice_tells_how_long_answers_are_kept(months, language, said):
    from dj_analysis.publish.templates import notice
    from dj_analysis.spec.specification import Specification

    blocks = notice(Specification(retention=months, language=language))
    assert any(said in block.content.get("text", "") for block in blocks)


def test_a_workspace_tells_its_notice_the_months_it_declares(office):
    assert dj.open_workspace(office(settings="[retention]\nmonths = 6\n")).spec.retention == 6
