"""An author's own paragraphs, edits of a Word file, two reports compared, and files that are never written over."""

from __future__ import annotations

import hashlib
import io
import json
import re
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import docx
import nbformat
import nbformat.v4 as v4
import pandas as pd
import pytest
from docx.oxml import parse_xml
from docx.oxml.ns import nsdecls
from offices import PERIOD, SIZES, office, people, write_wave

import dj_analysis as dj
from dj_analysis.cli import main
from dj_analysis.errors import DataError, DjWarning, UsageError
from dj_analysis.publish.alignment import aligned
from dj_analysis.publish.blocks import Block
from dj_analysis.publish.exports.document import numbered
from dj_analysis.publish.exports.docx_reading import read_paragraphs
from dj_analysis.publish.exports.formats import FORMATS
from dj_analysis.publish.named_numbers import NamedNumbers
from dj_analysis.publish.placed_texts import arranged
from dj_analysis.publish.report_diff import diff_reports
from dj_analysis.publish.texts import (
    SectionText,
    escaped,
    numbers_of,
    read_texts,
    texts_for,
    typed_in,
    write_texts,
)

BEFORE = "2026Q2"


def blocks() -> list[Block]:
    """Two sheets, a section of one name in each, a table between paragraphs, the copies at the end."""

    def text(words: str, place: str = "body") -> Block:
        return Block("text", {"text": words, "place": place})

    table = Block("table", {"caption": "表题", "columns": [], "rows": [], "values": [], "note": ""})
    made = [
        text("内部资料", "mark"), Block("heading", {"text": "关于\n情况的报告", "depth": 0}), text("甲。"), text("党委", "signature"),
        Block("heading", {"text": "总体情况", "depth": 1}), text("一。"), table, text("二。"), Block("note", {"text": "注。"}),
        Block("heading", {"text": "说明", "depth": 1}), Block("heading", {"text": "附表", "depth": 0}),
        Block("heading", {"text": "总体情况", "depth": 1}), text("三。"), text("抄送：各部", "copies"),
    ]  # fmt: skip
    return numbered(made, "zh")


def placed(*texts: SectionText) -> list[str]:
    return [
        str(block.content.get("text") or block.kind)
        for block, _ in arranged(blocks(), texts, NamedNumbers(), "texts/2026Q3/ALL.md")
    ]


AS_IT_WAS = [
    "内部资料",
    "关于\n情况的报告",
    "甲。",
    "党委",
    "总体情况",
    "一。",
    "table",
    "二。",
    "注。",
    "说明",
    "附表",
    "总体情况",
    "三。",
    "抄送：各部",
]


# The file of texts.


def write(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "texts" / PERIOD / "ALL.md"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, "utf-8")
    return path


def test_sections_are_read_by_report(tmp_path: Path):
    path = write(
        tmp_path,
        "## 说明\n都有。\n\n# quarterly\n## 一、总体情况 {replace}\n第一行\n第二行。\n\nLast one\nfollows.\n# methods\n## 说明\n方法。\n",
    )
    texts = read_texts(path)
    assert [(one.report, one.section, one.mode, one.paragraphs) for one in texts] == [
        ("", "说明", "append", ("都有。",)),
        ("quarterly", "一、总体情况", "replace", ("第一行第二行。", "Last one follows.")),
        ("methods", "说明", "append", ("方法。",)),
    ]
    assert [one.paragraphs for one in texts_for(texts, "quarterly")] == [
        ("第一行第二行。", "Last one follows."),
        ("都有。",),
    ]
    assert [one.paragraphs for one in texts_for(texts, "methods")] == [("方法。",)]
    assert read_texts(tmp_path / "none.md") == []


def test_every_fault_of_the_file_is_told_at_once(tmp_path: Path):
    path = write(tmp_path, "先写的话\n## 说明 {delete}\n好。\n# quarterly\n没有标题\n")
    with pytest.raises(DataError) as caught:
        read_texts(path)
    assert caught.value.problems.table[["place", "rule"]].to_numpy().tolist() == [
        ["texts/2026Q3/ALL.md 第1行/line", "no_section"],
        ["texts/2026Q3/ALL.md 第2行/line", "mode"],
        ["texts/2026Q3/ALL.md 第5行/line", "no_section"],
    ]


@pytest.mark.parametrize("words", ["# 标题样", "- 一条", "{{指数}}", "a \\ b", "\\{{x}}", "=cmd|x", "<b>", "普通"])
def test_what_is_written_is_read_back(tmp_path: Path, words: str):
    path = tmp_path / "texts" / PERIOD / "B1.md"
    write_texts(path, [SectionText("说明", "append", (escaped(words), "又一段"), "quarterly")])
    (text,) = read_texts(path)
    assert placed(replace(text, section="说明")) == [*AS_IT_WAS[:10], words, "又一段", *AS_IT_WAS[10:]]
    assert not list(path.parent.glob(".*"))


# Where the paragraphs go.


def test_append_adds_at_the_end_of_a_section():
    assert placed(SectionText("总体情况", "append", ("加。",))) == [*AS_IT_WAS[:9], "加。", *AS_IT_WAS[9:]]
    assert placed(SectionText("一、总体情况", "append", ("加。",)))[9] == "加。"
    assert placed(SectionText("总体情况 [2]", "append", ("加。",)))[-2:] == ["加。", "抄送：各部"]
    assert placed(SectionText("关于情况的报告", "append", ("加。",)))[4] == "加。"


@pytest.mark.parametrize(
    ("paragraphs", "expected"),
    [
        (("{{本段 1}}", "{{本段 2}}", "{{本段 3}}"), ["一。", "table", "二。", "注。"]),
        (("新一。", "{{本段 2}}", "{{own 3}}"), ["新一。", "table", "二。", "注。"]),
        (("{{本段 1}}", "新二。", "{{本段 3}}"), ["一。", "table", "新二。", "注。"]),
        (("{{本段 1}}", "多。", "{{本段 2}}", "{{本段 3}}"), ["一。", "多。", "table", "二。", "注。"]),
        (("新一。", "新二。", "新三。", "新四。"), ["新一。", "table", "新二。", "新三。", "新四。"]),
        (("先。", "{{本段 1}}"), ["先。", "一。", "table"]),
        ((), ["table"]),
    ],
)
def test_replace_keeps_tables_and_the_paragraphs_that_are_named(paragraphs: tuple[str, ...], expected: list[str]):
    assert placed(SectionText("总体情况", "replace", paragraphs)) == [*AS_IT_WAS[:5], *expected, *AS_IT_WAS[9:]]


def test_a_replaced_paragraph_looks_like_the_one_it_replaces():
    arranged_ = arranged(
        blocks(), [SectionText("关于情况的报告", "replace", ("{{本段 1}}", "纪委"))], NamedNumbers(), "f"
    )
    block, origin = arranged_[3]
    assert (block.content["text"], block.content["place"], origin and origin.source) == ("纪委", "signature", "纪委")


def test_what_is_not_there_is_one_error_that_lists_what_is():
    texts = [
        SectionText("总体情况", "replace", ("{{本段 2}}", "{{本段 1}}")),
        SectionText("没有这节", "append", ("x",), line=7),
        SectionText("说明", "append", ("{{指数}}与{{无名}}",)),
        SectionText("说明", "append", ("{{本段 1}}",)),
    ]
    with pytest.raises(DataError) as caught:
        placed(*texts)
    table = caught.value.problems.table
    assert table["rule"].tolist() == ["own_paragraph", "section", "name", "name", "own_paragraph"]
    missing = table[table["rule"] == "section"].iloc[0]
    assert missing["place"] == "texts/2026Q3/ALL.md 第7行/line"
    assert missing["allowed"] == "关于情况的报告、总体情况、说明、附表、总体情况 [2]"
    with pytest.raises(DataError, match="twice"):
        placed(SectionText("总体情况", "replace", ("a",)), SectionText("一、总体情况", "replace", ("b",)))


@pytest.mark.parametrize(
    ("words", "numbers"),
    [
        ("指数65.1分，参与率70.2%，下降0.3个百分点", ["65.1分", "70.2%", "0.3个百分点"]),
        ("（69.5分，正向评价率65.7%）", ["69.5分", "65.7%"]),
        ("2026年三季度，7月1日，第3名，2026Q3，3号", []),
        ("共1,204人、3家", ["1,204人", "3家"]),
        ("Score 65.1 of 20", ["65.1", "20"]),
    ],
)
def test_numbers_in_a_sentence(words: str, numbers: list[str]):
    assert numbers_of(words) == numbers


def test_numbers_typed_by_hand_are_listed_and_filled_ones_are_not():
    texts = [
        SectionText("说明", "append", ("1. 指数{{指数}}分，增加3个单位。", "{{本段 1}}")),
        SectionText("总体情况", "append", ("无数。",)),
    ]
    assert typed_in(texts) == [("说明", "3个")]


# Numbers by name.


@pytest.fixture(scope="module")
def ws(tmp_path_factory: pytest.TempPathFactory) -> dj.Workspace:
    folder = tmp_path_factory.mktemp("named") / "office"
    return dj.open_workspace(office(folder, people(seed=3), people(), periods=(BEFORE, PERIOD)))


def test_numbers_are_those_of_the_protected_results(ws: dj.Workspace):
    numbers = ws._numbers(PERIOD, "C1")
    plan = ws.release_plan(PERIOD)
    row = dj.protect(ws.scores(PERIOD), plan).printed().where(unit="C1", code="INDEX").table.iloc[0]
    moved = dj.protect(dj.compare(ws.scores(PERIOD), ws.scores(BEFORE)), plan).printed()
    moved_by = moved.where(unit="C1", code="D1").table.iloc[0]["difference"]
    assert numbers.value("指数") == numbers.value("index") == f"{row['score']:.1f}"
    assert numbers.value("估计范围") == f"{row['low']:.1f}—{row['high']:.1f}分"
    assert numbers.value("指数.正向评价率") == f"{row['favourable']:.1%}"
    assert (
        numbers.value("负荷.环比")
        == numbers.value("d1 . change")
        == f"{'上升' if moved_by > 0 else '下降'}{abs(moved_by):.1f}分"
    )
    assert numbers.value("实际参加人数") == str(SIZES["B11"] + SIZES["B12"])
    assert numbers.value("同比") == numbers.value("参与率") == "—", "no year before, no headcounts"
    assert numbers.waves == [("survey", BEFORE), ("survey", PERIOD)]
    assert numbers.names[:3] == ["指数", "指数.估计范围", "估计范围"]


def test_what_is_hidden_is_a_dash(tmp_path: Path):
    ws = dj.open_workspace(office(tmp_path / "office", people({"B11": 30, "B12": 4, "B21": 40, "B22": 34})))
    numbers = ws._numbers(PERIOD, "B12")
    assert {numbers.value(name) for name in ("指数", "估计范围", "负荷", "正向评价率", "实际参加人数")} == {"—"}


def test_where_there_is_no_survey_there_are_no_names(ws: dj.Workspace):
    assert ws._numbers("2026-09", "ALL").names == []


# Reports with texts, without a kernel.


def notebook(folder: Path, language: str = "zh") -> Any:
    """A report of some paragraphs, a key figure and a table, as a run leaves it."""
    ws = dj.open_workspace(folder, language)  # type: ignore[arg-type]
    safe = dj.protect(ws.scores(PERIOD), ws.release_plan(PERIOD))
    said = "指数{{ safe.row('ALL', 'INDEX').score | num }}分，{{ safe.row('ALL', 'INDEX').n | count }}人。"
    each = "{% for row in safe.rows(level='city', code='INDEX') %}{{ row.name }}{{ row.score | num }}分。{% endfor %}"
    shown = [
        dj.text("公司党委：", place="salutation"), dj.text("按照安排开展了调查。"), dj.heading("总体情况"), dj.text(said, safe),
        dj.keyfigure("指数", safe), dj.text("各维度平稳，没有明显变化。"), dj.heading("分单位情况"), dj.text(each, safe),
        dj.table(safe.where(level="city", code="INDEX", form="anchors"), caption="分单位"), dj.heading("说明"),
        dj.text("数据来自问卷。"), dj.note("口径与上期一致。"),
    ]  # fmt: skip
    outputs = [v4.new_output("display_data", block._repr_mimebundle_()) for block in shown]
    given = {"workspace": str(folder), "period": PERIOD, "unit": "ALL", "lang": language}
    source = "\n".join(f"{name} = {value!r}" for name, value in given.items())
    first = v4.new_code_cell(source, metadata={"tags": ["injected-parameters"]})
    return v4.new_notebook(cells=[first, v4.new_markdown_cell("# 季度报告"), v4.new_code_cell("1", outputs=outputs)])


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    def run(source: Path, values: dict[str, Any], folder: Path, _: Any) -> Any:
        return notebook(folder, values["lang"])

    monkeypatch.setattr("dj_analysis.publish.notebooks._execute", run)
    return office(tmp_path / "office", people())


def run(folder: Path, *formats: str) -> dict[str, Path]:
    return dict(dj.run_report("quarterly", folder, period=PERIOD, formats=formats or ("html", "docx")).files)


def printed(folder: Path) -> str:
    """The index as reports print it: rounded by the number of people."""
    ws = dj.open_workspace(folder)
    safe = dj.protect(ws.scores(PERIOD), ws.release_plan(PERIOD)).printed()
    return f"{safe.where(unit='ALL', code='INDEX').table.iloc[0]['score']:.1f}"


def edit(path: Path, change: Callable[[Any], None]) -> None:
    file = docx.Document(str(path))
    change(file)
    file.save(str(path))


def paragraph(file: Any, begins: str) -> Any:
    return next(one for one in file.paragraphs if one.text.startswith(begins))


def five_edits(file: Any) -> None:
    paragraph(file, "公司党委").text = "公司党委、工会："
    paragraph(file, "指数").text = paragraph(file, "指数").text.replace("指数", "员工思想指数为") + "比预期高9.9分。"
    paragraph(file, "各维度平稳").text = "全部改写了的一段，与原来不同。"
    paragraph(file, "二、分单位").insert_paragraph_before("新加的一段：#1 {{不是数}}。")
    gone = paragraph(file, "数据来自")._p
    gone.getparent().remove(gone)


def test_edits_of_a_word_file_survive_a_rerun(folder: Path, capsys: pytest.CaptureFixture[str]):
    files = run(folder)
    before, old_printed = files["docx"].read_bytes(), printed(folder)
    edit(files["docx"], five_edits)
    edited, kept = files["docx"].read_bytes(), files["ipynb"].read_bytes()

    edits = dj.open_workspace(folder).take_edits(files["docx"])
    assert edits.file == folder / "texts" / PERIOD / "ALL.md"
    assert edits.table[["section", "change", "computed"]].to_numpy().tolist() == [
        ["季度报告", "changed", False],
        ["总体情况", "changed", True],
        ["总体情况", "changed", False],
        ["总体情况", "added", False],
        ["说明", "removed", False],
    ]
    assert edits.table["numbers"][1] == "— → 9.9分"

    answers = people()
    answers.loc[answers["unit"] == "B11", ["Q1", "Q2", "Q3", "Q4"]] = 5
    write_wave(folder, answers)  # one unit is corrected
    with pytest.warns(DjWarning) as told:
        again = run(folder)
    said = [str(one.message) for one in told]
    assert any("手工数字" in one and "9.9分" in one for one in said)
    assert any("ALL.docx 已有人修改" in one and "ALL-2.docx" in one for one in said)
    assert again["docx"].name == "ALL-2.docx"
    assert again["ipynb"].name == "ALL-2.ipynb"
    assert files["docx"].read_bytes() == edited != before
    assert files["ipynb"].read_bytes() == kept

    text, _ = read_paragraphs(again["docx"])
    for words in ("公司党委、工会：", "全部改写了的一段，与原来不同。", "新加的一段：#1 {{不是数}}。"):
        assert words in text
    assert not [one for one in text if one.startswith(("数据来自", "各维度平稳"))]
    new_printed = printed(folder)
    assert f"指数：{new_printed}（" in " ".join(text), "what was not edited is computed anew"
    assert any(f"总体情况 本段 1: {old_printed}分 → {new_printed}分" in one for one in said), (
        "an edited sentence is stale"
    )
    assert text[text.index("二、分单位情况") - 1] == "新加的一段：#1 {{不是数}}。"

    changed = diff_reports(files["ipynb"], again["ipynb"])
    assert {"number"} == set(changed["what"])
    assert any(new_printed in after for after in changed["after"])
    assert any(place.startswith("分单位: 东城公司") for place in changed["place"])
    others = [place for place in changed["place"] if "西城公司" in place and not place.endswith(("下限", "上限"))]
    assert not others, "of the others only ranges, which rest on how everybody's answers scatter"
    assert diff_reports(again["ipynb"], again["ipynb"]).empty


def test_a_correction_of_a_closed_wave_keeps_the_edits_and_lists_what_changed(folder: Path):
    ws = dj.open_workspace(folder)
    ws.close(PERIOD)
    files = run(folder, *FORMATS)
    assert "drafts" not in files["docx"].parts
    edit(files["docx"], five_edits)
    dj.open_workspace(folder).take_edits(files["docx"])

    answers = people()
    answers.loc[answers["unit"] == "B11", "Q1"] = 6 - answers["Q1"]  # read in the wrong direction
    write_wave(folder, answers)
    dj.open_workspace(folder).close(PERIOD, correct="东城公司一支部答卷录入有误")
    with pytest.warns(DjWarning):
        again = run(folder, *FORMATS)
    text, _ = read_paragraphs(again["docx"])
    for words in ("公司党委、工会：", "全部改写了的一段，与原来不同。", "新加的一段：#1 {{不是数}}。"):
        assert words in text
    assert any("东城公司一支部答卷录入有误" in line for line in text), "the correction is told (更正说明)"
    changed = diff_reports(files["ipynb"], again["ipynb"])
    assert [place for place in changed["place"] if "东城公司" in place], changed.to_string()
    assert not [place for place in changed["place"] if "西城公司" in place], "only the corrected unit changed"
    assert set(again) == set(files)


def test_two_runs_of_the_same_files_are_the_same_bytes_in_every_format(folder: Path, tmp_path: Path):
    copied = shutil.copytree(folder, tmp_path / "copy" / folder.name)
    first, second = (run(place, *FORMATS) for place in (folder, copied))
    for kind in FORMATS:
        one, two = (files[kind].read_bytes() for files in (first, second))
        assert one == two, f"{kind}: not the same bytes"
    third = run(folder, *FORMATS)  # the record is longer by one run: its head is printed, and nothing else differs
    one, three = (re.sub(r"[0-9a-f]{16}", "", files["html"].read_text("utf-8")) for files in (second, third))
    assert one == three


def test_numbers_named_in_an_authors_paragraph_are_filled_in_each_run(folder: Path):
    write(folder, "# quarterly\n## 总体情况 {replace}\n{{本段 1}}\n\n指数{{指数}}分，负荷{{负荷}}分。\n")
    page = run(folder, "html")["html"].read_text("utf-8")
    row = dj.protect(dj.open_workspace(folder).scores(PERIOD)).printed()
    values = [row.where(unit="ALL", code=code).table.iloc[0]["score"] for code in ("INDEX", "D1")]
    assert f"指数{values[0]:.1f}分，负荷{values[1]:.1f}分。" in page
    manifest = json.loads(dj.open_workspace(folder).record.runs.iloc[-1]["manifest"])
    assert manifest["texts"]["typed"] == []
    assert len(manifest["texts"]["sha256"]) == 64


def test_a_name_that_is_not_there_stops_a_report_before_it_runs(folder: Path, monkeypatch: pytest.MonkeyPatch):
    write(folder, "## 总体情况\n{{指标}}\n")
    monkeypatch.setattr("dj_analysis.publish.notebooks._execute", lambda *_: pytest.fail("it was run"))
    with pytest.raises(DataError, match="指标"):
        run(folder)
    assert not (folder / "reports").exists()


def test_a_section_that_is_not_there_leaves_nothing_written(folder: Path):
    write(folder, "## 别的\n好。\n")
    with pytest.raises(DataError, match=r"别的.*总体情况"):
        run(folder)
    assert not (folder / "reports").exists()


def test_texts_of_another_report_or_unit_do_not_enter(folder: Path):
    plain = run(folder, "html")["html"].read_text("utf-8")
    write(folder, "# methods\n## 别的\n好。\n")
    (folder / "texts" / PERIOD / "C1.md").write_text("## 别的\n好。\n", "utf-8")
    again = run(folder, "html")["html"].read_text("utf-8")
    assert len(plain) == len(again)


def test_an_edited_file_is_never_written_over(folder: Path):
    files = run(folder)
    assert run(folder)["docx"] == files["docx"], "a file that nobody touched is written anew"
    edit(files["docx"], lambda file: file.add_paragraph("一"))
    with pytest.warns(DjWarning, match="ALL-2"):
        second = run(folder)
    with pytest.warns(DjWarning, match="ALL-2"):
        assert run(folder)["docx"] == second["docx"], "the second is the package's own"
    edit(second["docx"], lambda file: file.add_paragraph("二"))
    untouched = [path.read_bytes() for path in (files["docx"], second["docx"])]
    with pytest.warns(DjWarning, match="ALL-3"):
        third = run(folder)
    assert third["docx"].name == "ALL-3.docx"
    assert [path.read_bytes() for path in (files["docx"], second["docx"])] == untouched
    with pytest.warns(DjWarning, match="ALL-4"):
        exported = dj.open_workspace(folder).export(files["ipynb"], formats=["docx"])
    assert exported["docx"].name in ("ALL-4.docx", "ALL-3.docx")
    assert [path.read_bytes() for path in (files["docx"], second["docx"])] == untouched


def test_a_run_without_word_leaves_the_pair_of_an_edited_file(folder: Path):
    """The notebook that an edited file was written from stays: the edits are told by comparing the two."""
    files = run(folder)
    edit(files["docx"], five_edits)
    write_wave(folder, people(seed=9))
    with pytest.warns(DjWarning, match="ALL-2"):
        assert run(folder, "html")["ipynb"].name == "ALL-2.ipynb"
    assert len(dj.open_workspace(folder).take_edits(files["docx"]).table) == 5


def test_taking_edits_twice_is_taking_them_once(folder: Path):
    files = run(folder)
    edit(files["docx"], five_edits)
    ws = dj.open_workspace(folder)
    first = ws.take_edits(files["docx"])
    content = first.file.read_bytes()
    second = ws.take_edits(files["docx"])
    assert second.file.read_bytes() == content
    pd.testing.assert_frame_equal(first.table, second.table)


def test_edits_of_a_file_that_has_texts_keep_those_that_were_not_touched(folder: Path):
    write(folder, "# quarterly\n## 总体情况 {replace}\n{{本段 1}}\n\n作者的话，指数{{指数}}分。\n\n## 说明\n补充。\n")
    files = run(folder)
    edit(files["docx"], lambda file: paragraph(file, "补充").insert_paragraph_before("再补。"))
    edits = dj.open_workspace(folder).take_edits(files["docx"])
    assert edits.table[["section", "change"]].to_numpy().tolist() == [["说明", "added"]]
    texts = {one.section: (one.mode, one.paragraphs) for one in read_texts(edits.file)}
    assert texts["总体情况"] == ("replace", ("{{本段 1}}", "作者的话，指数{{指数}}分。"))
    assert texts["说明"] == ("replace", ("{{本段 1}}", "{{本段 2}}", "再补。", "补充。"))


def test_nothing_edited_nothing_written(folder: Path):
    files = run(folder)
    edit(files["docx"], lambda file: None)
    edits = dj.open_workspace(folder).take_edits(files["docx"])
    assert edits.table.empty
    assert not edits.file.exists()


def test_headings_key_figures_and_tables_are_told_and_not_taken(folder: Path):
    def change(file: Any) -> None:
        paragraph(file, "一、总体情况").text = "一、总的情况"
        paragraph(file, "指数：").text = "指数：99.9"
        file.tables[0].rows[1].cells[1].text = "999"

    files = run(folder)
    edit(files["docx"], change)
    edits = dj.open_workspace(folder).take_edits(files["docx"])
    assert set(edits.table["change"]) == {"not_taken"}
    assert edits.table["after"].tolist() == ["一、总的情况", "指数：99.9", "999"]
    assert not edits.file.exists()


def test_edits_against_another_run_are_refused(folder: Path):
    files = run(folder)
    edited = folder / "copy" / "ALL.docx"
    edited.parent.mkdir()
    edited.write_bytes(files["docx"].read_bytes())
    assert dj.open_workspace(folder).take_edits(edited).table.empty, "its notebook is found by the run it names"
    write_wave(folder, people(seed=5))
    run(folder)
    with pytest.raises(UsageError, match="--notebook"):
        dj.open_workspace(folder).take_edits(edited)


def test_texts_changed_since_are_not_written_over(folder: Path):
    write(folder, "# quarterly\n## 说明\n补充。\n")
    files = run(folder)
    edit(files["docx"], five_edits)
    write(folder, "# quarterly\n## 说明\n后来又改。\n")
    with pytest.raises(UsageError, match="changed since"):
        dj.open_workspace(folder).take_edits(files["docx"])


def test_the_command_lists_what_it_took(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    files = run(folder)
    edit(files["docx"], five_edits)
    for words in (
        ["take-edits", str(files["docx"]), "--workspace", str(folder)],
        ["diff", str(files["ipynb"].parent), str(files["ipynb"].parent)],
    ):
        monkeypatch.setattr("sys.argv", ["dj", *words])
        with pytest.raises(SystemExit) as ended:
            main()
        assert ended.value.code == 0
    said = capsys.readouterr().out
    assert "改 (changed) 总体情况 涉及计算的句子 (computed by us) 数字/numbers: — → 9.9分" in said
    assert "已写入 (written to)" in said
    assert "共 0 处不同" in said


# Reading Word files.


def test_tracked_changes_are_read_as_accepted(tmp_path: Path):
    file = docx.Document()
    one = file.add_paragraph("原")
    one._p.append(parse_xml(f'<w:ins {nsdecls("w")} w:id="1" w:author="a"><w:r><w:t>增</w:t></w:r></w:ins>'))
    one._p.append(
        parse_xml(f'<w:del {nsdecls("w")} w:id="2" w:author="a"><w:r><w:delText>删</w:delText></w:r></w:del>')
    )
    file.add_paragraph("")
    file.add_table(1, 2).rows[0].cells[0].text = "格"
    stream = io.BytesIO()
    file.save(stream)
    assert read_paragraphs(stream.getvalue()) == (["原增"], [[["格", ""]]])


def test_what_is_no_word_file_is_one_error(tmp_path: Path):
    path = tmp_path / "x.docx"
    path.write_bytes(b"no zip")
    with pytest.raises(UsageError, match="no Word file"):
        read_paragraphs(path)


# Comparing.


def test_paragraphs_are_paired_in_order():
    assert aligned(["a甲乙丙", "b", "c丁戊己"], ["a甲乙丁", "c丁戊庚"]) == [(0, 0), (1, None), (2, 1)]
    assert aligned([], ["x"]) == [(None, 0)]
    many = [f"第{i}段完全不同{hashlib.sha256(str(i).encode()).hexdigest()}" for i in range(300)]
    assert len(aligned(many, [one[::-1] for one in many])) == 300


def kept(path: Path, *shown: Block) -> Path:
    outputs = [v4.new_output("display_data", block._repr_mimebundle_()) for block in shown]
    path.parent.mkdir(parents=True, exist_ok=True)
    nbformat.write(v4.new_notebook(cells=[v4.new_code_cell("1", outputs=outputs)]), path)
    return path


def a_table(rows: list[list[str]]) -> Block:
    columns = [{"name": "", "label": label, "kind": "text", "width": 9.0} for label in ("单位", "得分")]
    return Block("table", {"caption": "分单位", "columns": columns, "rows": rows, "values": [], "note": ""})


def test_numbers_sentences_and_cells_that_differ_are_told(tmp_path: Path):
    one = kept(
        tmp_path / "a.ipynb",
        dj.heading("总体"),
        dj.text("指数65.1分。没有变化。"),
        a_table([["甲", "60.0"], ["乙", "50.0"]]),
    )
    other = kept(
        tmp_path / "b.ipynb",
        dj.heading("总体"),
        dj.text("指数65.3分。变化很大！"),
        a_table([["甲", "60.0"], ["丙", "50.0"]]),
    )
    assert diff_reports(one, other)[["place", "what", "before", "after"]].to_numpy().tolist() == [
        ["总体", "number", "指数65.1分。", "指数65.3分。"],
        ["总体", "sentence", "没有变化。", "变化很大！"],
        ["分单位: 乙 得分", "number", "50.0", ""],
        ["分单位: 丙 得分", "number", "", "50.0"],
    ]


def test_folders_are_compared_report_by_report(tmp_path: Path):
    for name, words in (("a", "1.0分。"), ("b", "2.0分。")):
        kept(tmp_path / name / "quarterly" / "ALL.ipynb", dj.text(words))
    kept(tmp_path / "b" / "quarterly" / "C1.ipynb", dj.text("x"))
    table = diff_reports(tmp_path / "a", tmp_path / "b")
    assert table[["report", "what"]].to_numpy().tolist() == [
        ["quarterly/ALL.ipynb", "number"],
        ["quarterly/C1.ipynb", "report"],
    ]
    with pytest.raises(UsageError, match="two folders"):
        diff_reports(tmp_path / "a", tmp_path / "b" / "quarterly" / "C1.ipynb")
    with pytest.raises(UsageError, match="no such file"):
        diff_reports(tmp_path / "c", tmp_path / "b")
