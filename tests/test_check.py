"""Everything that can be wrong with a workspace is said at once: place, rule, found, allowed, advice."""

from __future__ import annotations

import io
import re
import subprocess
import sys
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
import xlsxwriter
from processes import dj_process

import dj_analysis as dj
from dj_analysis.cli import main
from dj_analysis.errors import DjError
from dj_analysis.folder import check_folder, check_with_hints

Files = dict[str, str | bytes]

CLEAN: Files = {
    "workspace.toml": 'name = "试点单位"\nmin_group = 10\n\n[codebook]\nrecall = "最近三个月"\n',
    "codebook.csv": """\
code,parent,label_zh,role,direction,weight,minimum,maximum,text_zh,scale,valid_from,valid_to
INDEX,,指数,index,1,1,,,,,,
D1,INDEX,负荷,dimension,1,1,,,,,,
D2,INDEX,支持,dimension,1,1,,,,,,
L1,D1,完成,item,1,1,1,5,我手头的工作在正常工作时间内基本能完成。,agree5,,
L2,D1,放下,item,-1,1,1,5,"下班以后,我常常仍放不下工作上的事。",agree5,,
S1,D2,倾听,item,1,1,1,5,直接上级会认真听取我的意见。,agree5,,
S2,D2,帮助,item,1,1,1,5,"遇到困难时,我能从直接上级那里得到实际帮助。",agree5,,
age,,年龄段,group,1,1,,,您的年龄段,,,
""",
    "scales.csv": """\
scale,code,value,label_zh,missing
agree5,1,1,非常不同意,
agree5,2,2,比较不同意,
agree5,3,3,一般,
agree5,4,4,比较同意,
agree5,5,5,非常同意,
agree5,0,,不适用,1
""",
    "units.csv": """\
unit,parent,level,type,name_zh,headcount,valid_from,valid_to
C1,,city,供电企业,澄川公司,30,,
C2,,city,供电企业,霁州公司,30,,
B1,C1,branch,,运维支部,15,2024Q1,
B2,C1,branch,,营销支部,15,,
B3,C2,branch,,检修支部,30,,
""",
    "headcounts.csv": "unit,period,group,category,headcount\nB1,2026Q3,,,15\nB2,2026Q3,,,15\n",
    "indicators.csv": """\
code,parent,label_zh,role,direction,weight,minimum,maximum
BM,,对标,index,1,1,,
K1,BM,答复及时率,item,1,1,0,100
K2,BM,逾期项数,item,-1,1,0,20
""",
    "indicator_values.csv": "unit,period,code,value\nB1,2026-09,K1,95\nB1,2026-09,K2,2\nB2,2026-09,K1,90\nB2,2026-09,K2,0\n",
}
WAVE = """\
respondent,unit,L1,L2,S1,S2,age
p1,B1,5,1,4,4,35岁及以下
p2,运维支部,4,2,4,0,36岁及以上
p3,B2,3,3,,3,36岁及以上
p4,B3,比较同意,2,2,1,35岁及以下
"""
for wave in ("2026Q1", "2026Q2", "2026Q3"):
    CLEAN[f"responses/{wave}.csv"] = WAVE


ONE_WAVE = {
    name: content for name, content in CLEAN.items() if name not in ("responses/2026Q1.csv", "responses/2026Q2.csv")
}


def edit(name: str, old: str, new: str) -> Callable[[Files], None]:
    def apply(files: Files) -> None:
        text = files[name]
        assert isinstance(text, str)
        assert old in text
        files[name] = text.replace(old, new, 1)

    return apply


def add(name: str, content: str | bytes) -> Callable[[Files], None]:
    def apply(files: Files) -> None:
        text = files.get(name, "")
        files[name] = text + content if isinstance(text, str) and isinstance(content, str) else content

    return apply


def merged_header() -> bytes:
    stream = io.BytesIO()
    with xlsxwriter.Workbook(stream) as book:
        sheet = book.add_worksheet()
        sheet.merge_range(0, 2, 0, 5, "工作情况")
        sheet.write_row(0, 0, ["respondent", "unit"])
        sheet.write_row(1, 0, ["p1", "B1", 5, 1, 4, 4])
    return stream.getvalue()


@dataclass(frozen=True)
class Fault:
    """One planted fault: what is done to the files, and the rule, place and finding that must come out."""

    name: str
    apply: Callable[[Files], None]
    rule: str
    place: str
    found: str
    allowed: str


FAULTS = (
    Fault("wrong encoding", add("responses/2025Q1.csv", WAVE.encode("utf-8") + b"\xff\x80\n"),
          "wrong_encoding", "responses/2025Q1.csv", "编码不能确定", "UTF-8, UTF-16, GB18030, Big5"),
    Fault("missing column", edit("responses/2026Q1.csv", "L1,L2,S1,S2", "L1,L2,S1,别的题"),
          "missing_column", "responses/2026Q1.csv", "S2 遇到困难时", "每题一列"),
    Fault("value out of range", edit("responses/2026Q2.csv", "p2,运维支部,4,", "p2,运维支部,6,"),
          "out_of_range", "responses/2026Q2.csv: L1", "6 (第 3 行)", "1–5"),
    Fault("duplicate respondent", edit("responses/2026Q2.csv", "p4,", "p1,"),
          "duplicate_respondent", "responses/2026Q2.csv: respondent", "1 份重复 (第 5 行)", "每人一行"),
    Fault("orphan unit", add("units.csv", "B9,C9,branch,,孤立支部,,,\n"),
          "orphan_unit", "units.csv: B9", "C9", "已有单位代码"),
    Fault("cycle in the tree", add("codebook.csv", "X1,X2,甲,dimension,1,1,,,,,,\nX2,X1,乙,dimension,1,1,,,,,,\n"),
          "cycle", "codebook.csv: X1", "X1", "无环"),
    Fault("overlapping validity", add("units.csv", "B1,C2,branch,,运维支部,15,2025Q1,\n"),
          "overlapping_validity", "units.csv: B1", "2 行有效期重叠", "有效期不重叠"),
    Fault("unknown unit in responses", edit("responses/2026Q3.csv", "p3,B2,", "p3,撤销支部,"),
          "unknown_unit", "responses/2026Q3.csv: unit", "撤销支部 (第 4 行)", "units 表"),
    Fault("bad date", edit("units.csv", "营销支部,15,,", "营销支部,15,2026-13-01,"),
          "bad_date", "units.csv: valid_from", "2026-13-01 (第 5 行)", "YYYY-MM-DD"),
    Fault("text in a number column", edit("headcounts.csv", "B2,2026Q3,,,15", "B2,2026Q3,,,十五"),
          "text_in_number", "headcounts.csv: headcount", "十五 (第 3 行)", "数 (number)"),
    Fault("forbidden subject", edit("codebook.csv", "我能从直接上级那里得到实际帮助。", "我拥护国家的政策。"),
          "forbidden_subject", "codebook.csv: S2", "政治观点", "工作生活状况"),
    Fault("identifier column", edit("responses/2026Q3.csv", "S1,S2,age", "S1,S2,手机号"),
          "identifier_column", "responses/2026Q3.csv", "手机号", "不含个人身份"),
    Fault("empty file", add("responses/2025Q2.csv", b""),
          "empty_file", "responses/2025Q2.csv", "0 字节", "表头和数据"),
    Fault("header only", add("responses/2025Q3.csv", WAVE.split("\n")[0] + "\n"),
          "header_only", "responses/2025Q3.csv", "只有表头", "至少一行数据"),
    Fault("merged header cells", add("responses/2024Q4.xlsx", merged_header()),
          "merged_header", "responses/2024Q4.xlsx", "第 4、5、6 列没有列名", "每列一个列名"),
    Fault("two versions of a code at once",
          add("codebook.csv", "S1,D2,倾听,item,1,1,1,5,直接上级愿意听取我的意见。,agree5,2026Q1,\n"),
          "two_versions_at_once", "codebook.csv: S1", "2 个版本", "同一时间一个版本"),
    Fault("weights that sum to 0",
          lambda files: [edit("indicators.csv", f"item,{way},1,", f"item,{way},0,")(files) for way in (1, -1)],
          "zero_weights", "indicators.csv: BM", "2 × 0", "权重之和 > 0"),
    Fault("direction 0", edit("codebook.csv", "完成,item,1,1", "完成,item,0,1"),
          "direction", "codebook.csv: direction", "0 (第 5 行)", "1, -1"),
    Fault("min_group 3", edit("workspace.toml", "min_group = 10", "min_group = 3"),
          "min_group", "workspace.toml min_group", "3", ">= 5"),
    Fault("path outside the declared roots",
          lambda files: (files.pop("indicator_values.csv"),
                         add("workspace.toml", '\n[tables.indicator_values]\npath = "../elsewhere/values.csv"\n')(files)),
          "outside_roots", "workspace.toml [tables.indicator_values] path", "../elsewhere/values.csv", "[roots]"),
)  # fmt: skip


def dj_check(folder: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "dj_analysis.cli", "check", str(folder)]
    return subprocess.run(command, capture_output=True, text=True, encoding="utf-8", timeout=60)


def blocks(said: str) -> list[str]:
    """The numbered problems of the printed list."""
    return re.split(r"(?m)^ *\d+\. ", said)[1:]


def test_a_clean_workspace_has_no_problems(tmp_path: Path, write_workspace):
    folder = write_workspace(tmp_path, CLEAN)
    done = dj_check(folder)
    assert (done.returncode, done.stderr) == (0, "")
    assert "没有发现问题" in done.stdout
    assert check_folder(folder).table.empty
    assert check_folder(folder).table.columns.tolist() == ["place", "rule", "found", "allowed", "advice"]
    ws = dj.open_workspace(folder)
    assert ws.periods == ["2026Q1", "2026Q2", "2026Q3"]
    assert ws.scores("2026Q3").at("ALL", "INDEX")["n"] == 2


@pytest.mark.parametrize("fault", [FAULTS[2], FAULTS[18]], ids=lambda fault: fault.name)
def test_check_ends_with_exit_code_1(tmp_path: Path, write_workspace, monkeypatch: pytest.MonkeyPatch, fault: Fault):
    files = dict(ONE_WAVE) | {"responses/2026Q2.csv": WAVE}
    fault.apply(files)
    monkeypatch.setattr(sys, "argv", ["dj", "check", str(write_workspace(tmp_path, files))])
    monkeypatch.setattr(warnings, "showwarning", warnings.showwarning)  # main() sets its own
    with pytest.raises(SystemExit) as stopped:
        main()
    assert stopped.value.code == 1


def test_twenty_faults_are_listed_at_once(tmp_path: Path, write_workspace):
    assert len(FAULTS) == 20
    files = dict(CLEAN)
    for fault in FAULTS:
        fault.apply(files)
    done = dj_process("check", write_workspace(tmp_path, files))
    assert done.returncode == 1
    assert "Traceback" not in done.stdout + done.stderr
    listed = blocks(done.stdout)
    for fault in FAULTS:
        (block,) = [
            b for b in listed if b.startswith(fault.place) and f"规则/rule: {fault.rule}\n" in b and fault.found in b
        ]
        for label in ("规则/rule: ", "发现/found: ", "应为/allowed: ", "建议/advice: "):
            assert re.search(rf"(?m)^ +{label}\S", block), (fault.name, label)
    assert f"共 {len(listed)} 个问题" in done.stdout
    assert {re.search(r"规则/rule: (\w+)", block)[1] for block in listed} == {fault.rule for fault in FAULTS}


def faults(*names: str) -> list[object]:
    chosen = [fault for fault in FAULTS if not names or fault.name in names]
    return [pytest.param(fault, id=fault.name) for fault in chosen]


@pytest.mark.parametrize("fault", faults())
def test_each_fault_alone_is_found_by_its_rule(tmp_path: Path, write_workspace, fault: Fault):
    files = dict(CLEAN)
    fault.apply(files)
    table = check_folder(write_workspace(tmp_path, files)).table
    assert set(table["rule"]) == {fault.rule}, table.to_string()
    row = table[table["place"].str.startswith(fault.place)].iloc[0]
    assert fault.found in row["found"]
    assert fault.allowed in row["allowed"]
    assert (table != "").all().all(), "place, found, allowed and advice are always said"
    assert re.search(r"[一-鿿]", row["advice"]), "advice in Chinese"
    assert re.search(r"[a-z]{3,}", row["advice"]), "advice in English"


RAISED = (
    "min_group 3",
    "forbidden subject",
    "orphan unit",
    "value out of range",
    "empty file",
    "weights that sum to 0",
)


@pytest.mark.parametrize("fault", faults(*RAISED, "path outside the declared roots", "identifier column"))
def test_the_error_raised_says_what_check_says(tmp_path: Path, write_workspace, fault: Fault):
    files = dict(CLEAN)
    fault.apply(files)
    folder = write_workspace(tmp_path, files)

    def use() -> None:
        ws = dj.open_workspace(folder)
        for period in ws.periods:
            ws.survey(period)
        assert ws.indicator_periods

    with pytest.raises(DjError) as raised:
        use()
    assert [problem for problem in raised.value.problems if problem.rule == fault.rule]
    for problem in raised.value.problems:
        for said in (problem.place, problem.rule, problem.found, problem.allowed, problem.advice):
            assert said
            assert said in str(raised.value)


# What else a workspace can get wrong.

OTHERS = {
    "no settings": (lambda files: files.pop("workspace.toml"), "missing_file", "workspace.toml"),
    "settings that are no TOML": (add("workspace.toml", "= 3\n"), "unreadable", "workspace.toml"),
    "a name that is no setting": (add("workspace.toml", "recal = 'x'\n"), "unknown_setting", "workspace.toml [codebook]"),
    "a wave that is no period": (add("responses/三季度.csv", WAVE), "bad_period", "responses/三季度.csv"),
    "a duplicate row": (add("headcounts.csv", "B1,2026Q3,,,15\n"), "duplicate_row", "headcounts.csv"),
    "two columns of one name": (
        edit("responses/2026Q3.csv", "S1,S2,age", "S1,S1,age"), "duplicate_column", "responses/2026Q3.csv",
    ),
    "an unknown option": (edit("responses/2026Q3.csv", "比较同意", "随便"), "text_in_number", "responses/2026Q3.csv: L1"),
    "an unknown scale": (edit("codebook.csv", "意见。,agree5", "意见。,agree7"), "unknown_scale", "codebook.csv: S1"),
    "an option without value": (
        edit("scales.csv", "agree5,3,3,一般,", "agree5,3,,一般,"), "no_value", "scales.csv: agree5 3",
    ),
    "a cycle of units": (
        add("units.csv", "Y1,Y2,branch,,甲支部,,,\nY2,Y1,branch,,乙支部,,,\n"), "cycle", "units.csv: Y1",
    ),
    "an orphan question": (
        edit("codebook.csv", "S2,D2,", "S2,D9,"), "orphan_node", "codebook.csv: S2",
    ),
    "a negative weight": (
        edit("codebook.csv", "S2,D2,帮助,item,1,1", "S2,D2,帮助,item,1,-1"), "negative_weight", "codebook.csv: S2",
    ),
    "a range without an end": (
        edit("indicators.csv", "1,0,100", "1,0,"), "range", "indicators.csv: K1",
    ),
    "a dimension without questions": (
        add("codebook.csv", "D9,INDEX,空,dimension,1,1,,,,,,\n"), "no_children", "codebook.csv: D9",
    ),
    "a headcount of a unit that is not there": (
        add("headcounts.csv", "B7,2026Q3,,,3\n"), "unknown_unit", "headcounts: unit",
    ),
    "half a person": (
        edit("headcounts.csv", "B2,2026Q3,,,15", "B2,2026Q3,,,14.5"), "text_in_number", "headcounts.csv: headcount",
    ),
    "a value of an unknown indicator": (
        add("indicator_values.csv", "B2,2026-09,K9,1\n"), "unknown_code", "indicator_values.csv: code",
    ),
    "a value of an unknown unit": (
        add("indicator_values.csv", "B9,2026-09,K1,1\n"), "unknown_unit", "indicator_values.csv: unit",
    ),
    "a value in no period": (
        add("indicator_values.csv", "B3,9月,K1,1\n"), "bad_period", "indicator_values.csv: period",
    ),
    "a foreign table that is not there": (
        add("workspace.toml", "\n[tables.units]\npath = 'gone.csv'\n"), "missing_file", "workspace.toml [tables.units] path",
    ),
    "a stage nobody knows": (
        lambda files: files.update(
            {"indicator_values.csv": "unit,period,code,value,stage\nB1,2026-09,K1,95,草稿\n"}
        ), "choice", "indicator_values.csv: stage",
    ),
    "a bad date in the codebook": (
        edit("codebook.csv", "agree5,,\nS2", "agree5,2026-13-01,\nS2"), "bad_date", "codebook.csv: valid_from",
    ),
    "an indicator value outside its range": (
        add("indicator_values.csv", "B3,2026-09,K1,195\n"), "out_of_range", "indicator_values.csv: K1",
    ),
    "one value told twice, with and without its stage": (
        lambda files: files.update(
            {"indicator_values.csv": "unit,period,code,value,stage\nB1,2026-09,K1,95,\nB1,2026-09,K1,90,released\n"}
        ), "duplicate_row", "indicator_values.csv",
    ),
    "an answer that names two units of one name": (
        edit("units.csv", "B3,C2,branch,,检修支部", "B3,C2,branch,,运维支部"),
        "ambiguous_unit", "responses/2026Q3.csv: unit",
    ),
    "a unit at the level of the declared root": (
        add("units.csv", "B8,,company,,第八公司,5,,\nALL,,company,,全体,95,,\n"), "root_level", "units.csv: B8",
    ),
    "a table nobody knows": (
        add("workspace.toml", "\n[tables.respones]\npath = 'responses.csv'\n"),
        "unknown_table", "workspace.toml [tables.respones]",
    ),
    "two files for one wave": (
        add("responses/2026Q3.tsv", WAVE.replace(",", "\t")), "two_files", "responses/2026Q3",
    ),
    "a name for an unknown band": (add("bands.toml", "[warnings]\n"), "unknown_setting", "bands.toml"),
    "a name for an unknown rule": (add("rules.toml", "[changes]\n"), "unknown_rule", "rules.toml"),
}  # fmt: skip


@pytest.mark.parametrize("name", OTHERS)
def test_other_faults_are_found_by_their_rule(tmp_path: Path, write_workspace, name: str):
    apply, rule, place = OTHERS[name]
    files = dict(ONE_WAVE)
    apply(files)
    table = check_folder(write_workspace(tmp_path, files)).table
    found = table[(table["rule"] == rule) & table["place"].str.startswith(place)]
    assert len(found) == 1, table.to_string()
    assert (found[["place", "rule", "found", "allowed", "advice"]] != "").all().all()


def test_a_unit_at_the_default_level_of_the_root_gets_its_row(tmp_path: Path, write_workspace):
    files = dict(ONE_WAVE)
    add("units.csv", "B8,,company,,第八公司,5,,\n")(files)
    edit("responses/2026Q3.csv", "p4,B3,", "p4,B8,")(files)
    folder = write_workspace(tmp_path, files)
    assert check_folder(folder).table.empty
    ws = dj.open_workspace(folder)
    assert ws.spec.units.root.level == "ALL"
    scores = ws.scores("2026Q3")
    assert (scores.at("ALL", "L1")["level"], scores.at("ALL", "L1")["n"]) == ("ALL", 4)
    assert (scores.at("B8", "L1")["level"], scores.at("B8", "L1")["n"]) == ("company", 1)
    assert scores.at("B8", "L1")["score"] == 75


def test_a_period_without_quotes_is_refused_or_read(tmp_path: Path, write_workspace):
    files = {name: content for name, content in ONE_WAVE.items() if not name.startswith("responses/")}
    add("workspace.toml", "\n[tables.responses]\npath = 'r.csv'\nconstant = { period = 2023 }\n")(files)
    folder = write_workspace(tmp_path, files | {"r.csv": WAVE})
    refused = len(check_folder(folder)) > 0
    assert refused or dj.open_workspace(folder).scores("2023").at("ALL", "INDEX")["n"] == 2


def test_craft_hints_stop_nothing(tmp_path: Path, write_workspace):
    files = dict(ONE_WAVE)
    edit("codebook.csv", "直接上级会认真听取我的意见。", "难道直接上级会听取我的意见并且帮助我?")(files)
    folder = write_workspace(tmp_path, files)
    assert check_folder(folder).table.empty
    told = {hint.split(":")[0] for hint in check_with_hints(folder)[1]}
    assert told == {"[two_in_one] 1 题/questions", "[leading] 1 题/questions"}
