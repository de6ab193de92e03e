"""The rules R1 to R18 of the domain map (D3), one sharp test each: it fails when the rule's code is taken away.

Full tests stand where the rule's code is: test_door (R1 R2 R9 R14 R16), test_care (R7 R8), test_partition (R4 R5),
test_closing (R12 R13 R15), test_record and test_audit (R11), attacks (R5 R15).
"""

from __future__ import annotations

import hashlib
import hmac
import html
import sqlite3
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import nbformat
import nbformat.v4 as v4
import numpy as np
import pandas as pd
import pypdfium2
import pytest
from offices import CODEBOOK, PERIOD, SIZES, executed, office, people, shown, without_a_kernel, write_wave
from processes import dj_process

import dj_analysis as dj
from dj_analysis.act.care import requests
from dj_analysis.errors import DataError, DjError, IdentifierError, PurposeError, RecordError, SpecError, UsageError
from dj_analysis.measure.intake.copies import clean_file
from dj_analysis.publish.blocks import KINDS_OF_BLOCK, MIME
from dj_analysis.publish.exports.document import read_document
from dj_analysis.publish.wording import say, words
from dj_analysis.result import PURPOSE, PURPOSE_EN, Result
from dj_analysis.spec import assessment

pytestmark = pytest.mark.filterwarnings("ignore::dj_analysis.errors.DjWarning")

SMALL = SIZES | {"B11": 7}
ASSESSED = {name: "2026-06-30" if name == "date" else "已说明" for name, *_ in assessment.FIELDS}


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DJ_KEY_FILE", raising=False)
    without_a_kernel(monkeypatch)


def workspace(tmp_path: Path, answers: pd.DataFrame | None = None, settings: str = "") -> dj.Workspace:
    return dj.open_workspace(office(tmp_path / "office", people() if answers is None else answers, settings=settings))


def with_block(**content: Any) -> nbformat.NotebookNode:
    """An executed notebook that shows this as a block."""
    return v4.new_notebook(cells=[v4.new_code_cell("1", outputs=[v4.new_output("display_data", {MIME: content})])])


def text_of(path: Path) -> str:
    if path.suffix == ".pdf":
        pages = pypdfium2.PdfDocument(path)
        return "".join(page.get_textpage().get_text_range() for page in pages).replace("\r\n", "").replace("\n", "")
    return path.read_text("utf-8")


def test_R1_no_direct_identifier_is_in_memory(tmp_path: Path):
    made = people().assign(来自IP="x.x.x.x(云岭-澄川)", 昵称="小河", 来源详情="N/A")
    frame = workspace(tmp_path, made).survey(PERIOD).frame
    assert not {"来自IP", "昵称", "来源详情", "序号"} & set(map(str, frame.columns))
    for header in ("姓名", "政治面貌", "工号", "手机号码"):
        folder = office(tmp_path / header, people().assign(**{header: "甲"}))
        with pytest.raises(IdentifierError, match=header):
            dj.open_workspace(folder).survey(PERIOD)
    held = people().assign(备注=["138" + "0013" + "8000"] * sum(SIZES.values()))
    with pytest.raises(IdentifierError, match="手机号"):
        dj.open_workspace(office(tmp_path / "held", held)).survey(PERIOD)


def test_R2_a_self_chosen_code_is_hashed_on_the_way_in_or_dropped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    codes = [f"河边{i}x" for i in range(len(people()))]
    ws = workspace(tmp_path, people().assign(own_code=codes, consent_use="是", consent_link="是"))
    frame = ws.survey(PERIOD).frame
    assert "own_code" not in frame.columns
    assert set(frame["link"]) == {""}  # no key: nobody is followed
    key = tmp_path / "elsewhere.key"
    key.write_bytes(bytes(range(40)))
    monkeypatch.setenv("DJ_KEY_FILE", str(key))
    (ws.folder / assessment.FILE).write_text(assessment.filled(ASSESSED), "utf-8")
    frame = dj.open_workspace(ws.folder).survey(PERIOD).frame
    expected = {hmac.new(bytes(range(40)), code.encode(), hashlib.sha256).hexdigest() for code in codes}
    assert set(frame["link"]) == expected
    assert not pd.DataFrame(frame.to_dict(as_series=False)).isin(codes).any(axis=None)


def person_rows(ws: dj.Workspace, **columns: object) -> Result:
    table = pd.DataFrame({"period": [PERIOD], "respondent": ["17"], "score": [40.0]}).assign(**columns)
    return Result(table, ("period", "respondent"), ("score",), PERIOD, periods=(PERIOD,), spec=ws.spec)


def test_R3_only_protected_aggregates_are_exported(tmp_path: Path):
    ws = workspace(tmp_path)
    scores, plan = ws.scores(PERIOD), ws.release_plan(PERIOD)
    for wrong in (scores, scores.table, ws.survey(PERIOD).frame):
        for make in (dj.table, lambda r: dj.keyfigure("x", r), lambda r: dj.figure(dj.plot_scores, r)):
            with pytest.raises(UsageError, match="protect"):
                make(wrong)
    with pytest.raises(UsageError, match="protect"):
        dj.protect(ws.survey(PERIOD).frame, plan)
    for kind in set(KINDS_OF_BLOCK) - {"heading", "text", "note"}:
        with pytest.raises(UsageError, match="封签"):
            read_document(with_block(kind=kind, content={}), {}, plan)
    raw = v4.new_output("execute_result", {"text/html": "<td>17</td>", "text/plain": "17"})
    notebook = executed(ws)
    notebook.cells[2].outputs.append(raw)
    assert read_document(notebook, {}, plan).dropped == ("cell 2: execute_result",)
    with pytest.raises(UsageError, match="which answers it rests on"):
        dj.protect(person_rows(ws, n=1), plan)
    basis = scores.basis
    one = dj.protect(replace(person_rows(ws, n=1), basis=basis, mark=""), plan).table
    assert one["score"].isna().all()


def test_R3_a_row_a_person_without_a_count_is_refused(tmp_path: Path):
    ws = workspace(tmp_path)
    with pytest.raises(UsageError):
        dj.protect(person_rows(ws), ws.release_plan(PERIOD))


def test_R3_a_column_nobody_declared_is_hidden_with_the_others(tmp_path: Path):
    ws = workspace(tmp_path, people(SMALL))
    scores = ws.scores(PERIOD)
    more = scores.remade(scores.table.assign(copy=scores.table["score"]))
    made = dj.protect(more, ws.release_plan(PERIOD)).table
    assert made.loc[made["unit"] == "B11", "copy"].isna().all()


def test_R3_a_survey_is_about_persons_whatever_a_result_says(tmp_path: Path):
    ws = workspace(tmp_path, people(SMALL))
    with pytest.raises(UsageError, match="不认识"):
        dj.protect(replace(ws.scores(PERIOD), about="units"), ws.release_plan(PERIOD))


def test_R4_nothing_about_fewer_than_five_or_about_one_answer(tmp_path: Path):
    few = people({"B11": 4, "B12": 26, "B21": 40, "B22": 34})
    ws = workspace(tmp_path, few, settings="min_group = 5")
    assert ws.release_plan(PERIOD).min_group == 5
    assert {("branch", "B11"), ("branch", "B12")} <= ws.release_plan(PERIOD).hidden["survey", PERIOD]
    with pytest.raises(SpecError, match="min_group"):
        dj.open_workspace(office(tmp_path / "two", few, settings="min_group = 2"))
    lower = replace(ws.scores(PERIOD), spec=replace(ws.spec, min_group=1))
    assert dj.protect(lower).plan.min_group == 5
    alike = people()
    alike.loc[alike["unit"] == "B12", ["Q1", "Q2", "Q3", "Q4"]] = 4
    hidden = dj.open_workspace(office(tmp_path / "alike", alike)).release_plan(PERIOD).hidden["survey", PERIOD]
    assert ("branch", "B12") in hidden


def test_R5_what_is_hidden_does_not_follow_from_what_is_shown(tmp_path: Path):
    """Within a tree, across groups, and for every code alike."""
    ws = workspace(tmp_path, people(SMALL))
    rows = shown(ws)
    assert {unit for level, unit, _ in rows.index if level == "branch"} == {"B21", "B22"}
    crossing = people()
    crossing["age_band"] = np.where(crossing["unit"].str.startswith("B1"), "35岁及以下", "36岁及以上")
    first = crossing.index[crossing["unit"] == "B11"][:2]
    crossing.loc[first, "age_band"] = "36岁及以上"  # C1 less the young are these two
    both = shown(dj.open_workspace(office(tmp_path / "crossing", crossing)))
    levels = set(both.index.get_level_values("level"))
    cities = {unit for level, unit, _ in both.index if level == "city"}
    assert not ({"C1"} <= cities and "age_band" in levels)


def test_R6_no_comment_comes_in_and_none_goes_out(tmp_path: Path):
    """Themes of comments are a later capability: until then the gate knows no such thing."""
    folder = office(tmp_path / "office", people().assign(C1="班长总在月底催报表，我叫老周"))
    (folder / "codebook.csv").write_text(CODEBOOK + "C1,,最希望解决的一件事,text,,,,\n", "utf-8")
    ws = dj.open_workspace(folder)
    assert "老周" not in ws.survey(PERIOD).frame.write_csv()
    plan = ws.release_plan(PERIOD)
    for kind in ("themes", "comments"):
        with pytest.raises(DjError, match="unknown block"):
            read_document(with_block(kind=kind, content={"text": "报表太多"}), {}, plan)
    table = pd.DataFrame({"period": [PERIOD], "level": ["company"], "unit": ["ALL"], "theme": ["报表"], "n": [30]})
    themes = Result(table, ("period", "level", "unit", "theme"), ("n",), PERIOD, programme="comments", spec=ws.spec)  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="不认识"):
        dj.protect(themes, plan)


def test_R7_a_level_of_a_person_is_computed_on_that_persons_page_only(tmp_path: Path):
    ws = workspace(tmp_path)
    page = dj.self_check(ws.spec)
    assert "connect-src 'none'" in page
    for sends in ("http:", "https:", "fetch(", "XMLHttpRequest", "sendBeacon", "localStorage", "<form"):
        assert sends not in page
    warned = dj.alerts(ws.scores(PERIOD))
    assert {"level", "unit"} <= set(warned.keys)
    assert not {"respondent", "link", "person"} & set(warned.table.columns)
    assert set(warned.table["level"]) <= {"company", "city", "branch", "age_band"}


def test_R8_requests_carry_no_identity_and_are_counted(tmp_path: Path):
    asked = pd.DataFrame(
        [(f"r{i}", "request", "B21" if i < 30 else "B22", "2026-07-01") for i in range(34)],
        columns=["obligation", "kind", "unit", "opened"],
    )
    done = pd.DataFrame([("r1", "offered", "2026-07-04")], columns=["obligation", "state", "time"])
    for column in ("respondent", "姓名", "申请人", "own_code"):
        with pytest.raises(IdentifierError, match=column):
            requests(asked.assign(**{column: "x"}), done)
    ws = workspace(tmp_path)
    made = requests(asked, done, ws.spec, period=PERIOD)
    assert "obligation" not in made.table.columns
    counts = dj.protect(made).table.set_index("unit")["n"]
    assert counts["ALL"] == 34
    assert counts[["B21", "B22"]].isna().all()  # four, and those who would tell of the four


def test_R9_answers_do_not_meet_records_that_judge_people(tmp_path: Path):
    for header in ("年度考核等级", "考勤天数", "信访次数", "学习积分", "廉洁积分", "质量积分", "受处分次数"):
        with pytest.raises(PurposeError, match=header):
            dj.open_workspace(office(tmp_path / header, people().assign(**{header: 1}))).survey(PERIOD)
    ws = workspace(tmp_path)
    other = replace(ws.scores(PERIOD), programme="ratings")
    with pytest.raises(PurposeError):
        dj.compare(ws.scores(PERIOD), other)


def test_R10_a_warning_is_a_proposal_that_needs_a_persons_check(tmp_path: Path):
    """Said where warnings are printed, and in every report; a table of warnings holds no decision, and nothing is stored."""
    low = people({"B11": 60, "B12": 60, "B21": 60, "B22": 60})
    low.loc[low["unit"].isin(["B11"]), ["Q1", "Q2", "Q3", "Q4"]] = np.random.default_rng(1).integers(1, 3, (60, 4))
    ws = workspace(tmp_path, low)
    before = ws.record.head
    warned = dj.alerts(ws.scores(PERIOD))
    assert {"red", "black"} & set(warned.table["warning"])
    assert set(warned.table.columns) <= {
        "period", "level", "unit", "warning", "warning_before", "rule", "code", "score", "probability", "n", "response", "covered_by", "reason",
    }  # fmt: skip
    safe = dj.protect(warned, ws.release_plan(PERIOD))  # nobody was told of it: it names nobody
    assert not {"red", "black"} & set(safe.table["warning"])
    counts = safe.part("counts").table
    grave = counts[(counts["level"] == "branch") & counts["warning"].isin(["red", "black"])]
    branches = warned.table[warned.table["level"] == "branch"]
    assert branches["warning"].isin(["red", "black"]).all()  # all of them: their number would name them
    assert grave["unnamed"].isna().all()
    assert ws.record.head == before
    assert "预警是提请关注的建议，须经人工核实后使用。" in words("zh")["alert_text"]
    assert "proposal to look closer and needs a person's check" in words("en")["alert_text"]
    source = nbformat.read(Path(__file__).parents[1] / "notebooks" / "quarterly.ipynb", as_version=4)
    cells = [cell.source for cell in source.cells if 'words["warned"]' in cell.source and "h_alerts" in cell.source]
    assert len(cells) == 1
    assert 'words["alert_text"]' in cells[0]
    files = dj.run_report("quarterly", ws.folder, period=PERIOD).files
    for kind in ("html", "pdf"):
        assert "任何预警须经人工核实" in text_of(files[kind])


def test_R11_the_record_is_a_chain_whose_head_is_in_every_footer(tmp_path: Path):
    ws = workspace(tmp_path)
    ws.close(PERIOD)
    head = ws.record.head
    files = dj.run_report("quarterly", ws.folder, period=PERIOD).files
    for kind in ("html", "pdf"):
        assert head[:16] in text_of(files[kind])
    (event,) = ws.record.payloads("publication")
    assert event["manifest"]["head"] == head
    assert {"inputs", "parameters", "codebook", "units", "plan"} <= set(event["manifest"])
    assert event["files"][f"{PERIOD}/quarterly/ALL.html"] == hashlib.sha256(files["html"].read_bytes()).hexdigest()
    ws.record.verify()
    connection = sqlite3.connect(ws.record.path)
    connection.execute("UPDATE events SET payload = replace(payload, 'close', 'open'), kind = 'note' WHERE seq = 1")
    connection.commit()
    connection.close()
    with pytest.raises(RecordError, match="breaks the chain"):
        ws.record.verify()


def test_R12_answers_are_deleted_after_twelve_months_and_the_proof_stays(tmp_path: Path):
    ws = workspace(tmp_path)
    path = ws.folder / "responses" / f"{PERIOD}.csv"
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    with pytest.raises(UsageError, match="尚未关闭"):
        ws.purge(date(2027, 9, 30))
    ws.close(PERIOD)
    before = shown(ws)
    assert (ws.settings.retention, ws.purge(date(2027, 9, 29)), ws.purge(date(2027, 9, 30))) == (12, [], [PERIOD])
    assert not path.exists()
    (proof,) = ws.record.payloads("purge")
    assert proof["sha256"] == digest
    pd.testing.assert_frame_equal(shown(dj.open_workspace(ws.folder)), before)
    with pytest.raises(SpecError, match=r"\[retention\].*1–12"):
        dj.open_workspace(office(tmp_path / "long", people(), settings="[retention]\nmonths = 24"))


def test_R13_a_withdrawn_answer_is_gone_and_published_figures_stay(tmp_path: Path):
    ws = workspace(tmp_path)
    ws.close(PERIOD)
    before = shown(ws)
    ws.withdraw(PERIOD, "5")
    again = dj.open_workspace(ws.folder)
    assert len(again.survey(PERIOD).frame) == len(people()) - 1
    assert 5 not in set(pd.read_csv(ws.folder / "responses" / f"{PERIOD}.csv")["序号"])
    pd.testing.assert_frame_equal(shown(again), before)
    changed = pd.read_csv(ws.folder / "responses" / f"{PERIOD}.csv")
    rows = changed.index[(changed["unit"] == "B21") & (changed["Q1"] != 3)][:9]
    changed.loc[rows, "Q1"] = 6 - changed.loc[rows, "Q1"]
    write_wave(ws.folder, changed)
    again.close(PERIOD, correct="录反")
    pd.testing.assert_frame_equal(shown(dj.open_workspace(ws.folder)), before)


def test_R14_nobody_is_followed_without_an_impact_assessment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    key = tmp_path / "elsewhere.key"
    key.write_bytes(bytes(range(40)))
    monkeypatch.setenv("DJ_KEY_FILE", str(key))
    codes = [f"河边{i}x" for i in range(len(people()))]
    ws = workspace(tmp_path, people().assign(own_code=codes, consent_use="是", consent_link="是"))
    with pytest.raises(DataError, match="impact_assessment"):
        ws.survey(PERIOD)
    (ws.folder / assessment.FILE).write_text(assessment.filled(ASSESSED).replace("signed = true", "signed = false"))
    with pytest.raises(DataError, match="signed"):
        dj.open_workspace(ws.folder).survey(PERIOD)


def test_R15_a_draft_that_went_out_and_the_final_run_differ_by_nobody_or_enough(tmp_path: Path):
    every = people()
    late = every[every["unit"] == "B21"][:1]
    folder = office(tmp_path / "office", every.drop(late.index))
    dj.run_report("quarterly", folder, period=PERIOD, formats=["html"], sent=True)
    before = shown(dj.open_workspace(folder))
    write_wave(folder, every)
    dj.open_workspace(folder).close(PERIOD)
    pd.testing.assert_frame_equal(shown(dj.open_workspace(folder)), before)


def test_R16_few_quasi_identifiers_in_bands_and_nobody_stands_out(tmp_path: Path):
    rng = np.random.default_rng(1)
    table = pd.DataFrame(
        {"年龄": rng.integers(20, 60, 80), "性别": rng.choice(["男", "女"], 80), "学历": rng.choice(list("abcde"), 80)}
    )
    table.to_csv(tmp_path / "a.csv", index=False)
    made = clean_file(tmp_path / "a.csv")
    copy = pd.read_csv(made.file, dtype=str).fillna("")
    assert made.least >= 5
    filled = copy[(copy != "").all(axis=1)]
    assert filled.groupby(["年龄", "性别", "学历"]).size().min() >= 5
    assert not copy["年龄"].str.fullmatch(r"\d+").any()
    table.assign(工龄=3).to_csv(tmp_path / "b.csv", index=False)
    with pytest.raises(DataError, match="quasi_identifiers"):
        clean_file(tmp_path / "b.csv")
    with pytest.raises(SpecError, match="cross"):
        workspace(tmp_path, settings='[publish]\ncross = [["branch", "a", "b", "c", "d"]]')


def test_R17_who_is_last_is_told_with_what_is_done_to_help():
    """Whatever columns are asked for, a table of the last carries the help that is proposed."""
    from test_branches import indicators, spec_of

    values = np.full((12, 20, 4), 60.0) + np.arange(20)[None, :, None] / 4
    values[:, 3] = 20.0
    values += np.random.default_rng(1).normal(0, 1, values.shape)
    scores = dj.score(indicators(values, spec_of(20), "2025-10/2026-09"), by="branch")
    for result in (dj.methods.months_last(scores, "branch"), dj.rank(scores, "branch").places):
        last = result.where(unit="B03")
        content = dj.table(dj.protect(last), ["unit"]).content
        assert [column["label"] for column in content["columns"]] == ["单位", "帮扶措施"]
        assert content["rows"] == [["第3支部", "上门帮扶，一起分析原因"]]


@pytest.mark.parametrize("kind", ["ranks", "tiers"])
def test_R17_a_block_of_ranks_nobody_knows_is_refused(tmp_path: Path, kind: str):
    ws = workspace(tmp_path)
    plan = ws.release_plan(PERIOD)
    with pytest.raises(DjError, match="unknown block"):
        read_document(with_block(kind=kind, content={"rows": [["一支部", "4"]]}), {}, plan)
    table = pd.DataFrame({"period": [PERIOD], "level": ["branch"], "unit": ["B11"], "n": [30], "rank": [4.0]})
    ranks = Result(table, ("period", "level", "unit"), ("n", "rank"), PERIOD, programme=kind, spec=ws.spec)  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="不认识"):
        dj.protect(ranks, plan)


@pytest.mark.parametrize("programme", ["ranks", "tiers", "comments"])
def test_R17_a_programme_nobody_knows_is_refused(tmp_path: Path, programme: str):
    ws = workspace(tmp_path)
    table = pd.DataFrame({"period": [PERIOD], "level": ["branch"], "unit": ["B11"], "rank": [4.0]})
    made = Result(
        table, ("period", "level", "unit"), ("rank",), PERIOD, n=None, about="units", programme=programme, spec=ws.spec  # type: ignore[arg-type]
    )  # fmt: skip
    with pytest.raises(UsageError):
        dj.protect(made, ws.release_plan(PERIOD))


@pytest.mark.parametrize(
    ("language", "purpose"), [("zh", PURPOSE), pytest.param("en", PURPOSE_EN, marks=pytest.mark.everything)]
)
def test_R18_purpose_and_limits_are_in_every_export(tmp_path: Path, language: str, purpose: str):
    """Settings may add to the purpose; nothing takes it away, in reports or in a researcher's own notebook."""
    ws = workspace(tmp_path, settings='purpose = "另供工会参考。"')
    ws.close(PERIOD)
    limits = say(language, "limits", min_group=10)
    files = dj.run_report("quarterly", ws.folder, period=PERIOD, lang=language, formats=["html", "pdf"]).files
    own = executed(dj.open_workspace(ws.folder, language))
    own.cells = own.cells[:1] + own.cells[2:]
    own.metadata["purpose"] = own.metadata["limits"] = ""
    own.cells[0].source += '\npurpose = ""\nlimits = ""\nfooter = ""'
    nbformat.write(own, tmp_path / "own.ipynb")
    done = dj_process("export", tmp_path / "own.ipynb", "--out", tmp_path / "out")
    assert done.returncode == 0, done.stderr
    for path in (files["html"], files["pdf"], tmp_path / "out" / "own.html", tmp_path / "out" / "own.pdf"):
        plain = "".join(html.unescape(text_of(path)).split())
        for said in (purpose, "另供工会参考。", limits):
            assert said.replace(" ", "") in plain, (path.name, said)
