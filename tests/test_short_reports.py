"""Reports of small, hidden and incomplete companies: each is short, correct and whole in all five formats."""

from __future__ import annotations

import io
import re
from collections.abc import Callable
from functools import cache
from pathlib import Path

import docx
import nbformat
import openpyxl
import pptx
import pypdfium2
import pytest
from offices import CODEBOOK, office, people

import dj_analysis as dj
from dj_analysis import methods
from dj_analysis.demo import make_company
from dj_analysis.publish.blocks import MIME
from dj_analysis.publish.exports.formats import FORMATS
from dj_analysis.publish.notebooks import Run

HEADCOUNTS = {"B11": 36, "B12": 34, "B21": 50, "B22": 40}
UNITS = {"C1": "", "C2": "", "B11": "C1", "B12": "C1", "B21": "C2", "B22": "C2"}
NAMES = dict(zip(UNITS, ("东城公司", "西城公司", "一支部", "二支部", "三支部", "四支部"), strict=True))


def units_csv(*units: str, headcounts: bool = True) -> str:
    """Return the table of these units, with or without their headcounts."""
    lines = ["unit,parent,level,name_zh" + (",headcount" if headcounts else "")]
    for unit in (chosen := units or tuple(UNITS)):
        level = "city" if unit.startswith("C") else "branch"
        people_there = sum(HEADCOUNTS.get(one, 0) for one in chosen if unit in (one, UNITS[one]))
        lines.append(f"{unit},{UNITS[unit]},{level},{NAMES[unit]}" + (f",{people_there}" if headcounts else ""))
    return "\n".join(lines) + "\n"


@cache
def ran(folder: Path, unit: str = "ALL", lang: str = "zh") -> Run:
    return dj.run_report("quarterly", folder, period="2026Q3", unit=unit, lang=lang, formats=FORMATS)


def _html(content: bytes) -> str:
    text = re.sub(r"<(script|style)\b.*?</\1>", "", content.decode(), flags=re.DOTALL)
    return re.sub(r"<[^>]+>", "\n", re.sub(r'src="data:[^"]+"', "", text))


def _pdf(content: bytes) -> str:
    pages = pypdfium2.PdfDocument(content)
    return "\n".join(page.get_textpage().get_text_range() for page in pages)


def _docx(content: bytes) -> str:
    report = docx.Document(io.BytesIO(content))
    cells = [cell.text for table in report.tables for row in table.rows for cell in row.cells]
    return "\n".join([*(p.text for p in report.paragraphs), *cells])


def _pptx(content: bytes) -> str:
    shown = []
    for slide in pptx.Presentation(io.BytesIO(content)).slides:
        shapes = [*slide.shapes, *slide.notes_slide.shapes]
        shown += [shape.text_frame.text for shape in shapes if shape.has_text_frame]
        shown += [c.text for s in slide.shapes if s.has_table for row in s.table.rows for c in row.cells]
    return "\n".join(shown)


def _xlsx(content: bytes) -> str:
    book = openpyxl.load_workbook(io.BytesIO(content))
    return "\n".join(str(c.value) for sheet in book for row in sheet.iter_rows() for c in row if c.value is not None)


TEXT_OF: dict[str, Callable[[bytes], str]] = {
    "html": _html, "pdf": _pdf, "docx": _docx, "pptx": _pptx, "xlsx": _xlsx,
}  # fmt: skip


@cache
def text_in(path: Path, kind: str) -> str:
    return TEXT_OF[kind](path.read_bytes())


def texts(run: Run) -> dict[str, str]:
    return {kind: text_in(path, kind) for kind, path in run.files.items() if kind != "ipynb"}


def blocks(run: Run) -> list[dict]:
    notebook = nbformat.read(run.files["ipynb"], as_version=4)
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    return [output["data"][MIME] for output in outputs]


def told(run: Run) -> str:
    return "\n".join(block["content"]["text"] for block in blocks(run) if block["kind"] == "text")


def check_whole(run: Run) -> None:
    """Check what every report keeps: no empty part, no word of the program, the same statements in every format."""
    written = blocks(run)
    for block in written:
        content = block["content"]
        if block["kind"] in ("text", "note"):
            assert content["text"].strip()
            assert not re.fullmatch(r"([一二三四五]、|\d\. )[^。.]*[。.]\s*", content["text"]), (
                "a label without a statement"
            )
        if content.get("place") == "body":
            assert not re.search(r"[：，、；,:;]\s*$|[，、；]。|（）|\(\)|  ", content["text"]), content["text"]
        if block["kind"] == "table":
            cells = [cell for row in content["values"] for cell in row[1:]]
            assert any(cell not in (None, "", "—") for cell in cells), f"nothing in table {content['caption']}"
            labels = {column["name"] for column in content["columns"]}
            hidden = [row for row in content["rows"] if set(row[1:-1]) == {"—"}]
            assert not hidden or "reason" in labels, "a hidden row without its reason"
        if block["kind"] == "keyfigure":
            assert content["value"] not in ("—", "")
    depths = [block["content"]["depth"] if block["kind"] == "heading" else 9 for block in written]
    for place, depth in enumerate(depths):
        assert depth == 9 or (place + 1 < len(depths) and depths[place + 1] > depth), "a heading without content"
    for kind, text in texts(run).items():
        assert not re.search(r"\b(None|nan|NaN|NaT|inf|Undefined)\b|\{\w+\}|\{\{|\{%|%\}", text), kind
    figures = [block["content"]["caption"] for block in written if block["kind"] == "figure"]
    assert len(set(figures)) == len(figures), "two figures of one title"


def in_every_format(run: Run, words: str) -> None:
    for kind, text in texts(run).items():
        assert words in re.sub(r"\s", "", text), f"{kind}: {words}"


@pytest.fixture(scope="module")
def hidden(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An office of whose two cities one has seven answers, without headcounts and earlier waves."""
    return office(tmp_path_factory.mktemp("short") / "hidden", people({"B11": 30, "B12": 26, "B21": 4, "B22": 3}))


@pytest.mark.parametrize("lang", ["zh", pytest.param("en", marks=pytest.mark.everything)])
def test_a_unit_of_which_nothing_may_be_shown_has_two_pages_that_say_so(hidden: Path, lang: str):
    run = ran(hidden, "C2", lang)
    check_whole(run)
    assert not [block for block in blocks(run) if block["kind"] in ("table", "figure", "keyfigure")]
    assert len(pypdfium2.PdfDocument(run.files["pdf"].read_bytes())) == 2
    said = told(run)
    if lang == "zh":
        assert "西城公司本期填答人数不足，按规定不单列。得分、参与率和分题目情况均不列出。" in said
        assert "下级单位填答人数不足，按规定不单列，不作预警判断。" in said
        assert "附件：有关说明" in said, "one attachment alone has no number"
        heads = [b["content"] for b in blocks(run) if b["kind"] == "heading"]
        assert [(c.get("label"), c["text"]) for c in heads[-2:]] == [(None, "附件"), ("", "有关说明")], (
            "附件 stands once"
        )
        in_every_format(run, "西城公司本期填答人数不足，按规定不单列")
        assert "没有集体预警" not in said, "nothing was judged, which is not the same as nothing found"
    else:
        assert "too few respondents, not shown by rule. Neither scores nor participation" in said
        assert "no warning is judged" in said


def test_a_company_without_headcounts_and_earlier_waves_says_both_and_compares_nothing(hidden: Path):
    run = ran(hidden)
    check_whole(run)
    said = told(run)
    assert "实际参加63人（未提供在册人数，参与率无法计算）" in said
    assert "没有可比的上期数据，只反映本期情况，不作升降判断。" in said
    assert "没有可比的上期，不作升降判断。" in said
    assert "上升" not in said
    assert "下降" not in said.replace("明显下降的，不作预警判断", "")
    assert "各市公司填答人数不足或可据以推算，按规定不单列，不作比较。" in said
    assert "均在误差范围内" not in said, "units that are hidden are not said to be alike"
    assert not [block for block in blocks(run) if block["kind"] == "figure"]
    labels = [block["content"]["label"] for block in blocks(run) if block["kind"] == "keyfigure"]
    assert labels == ["员工思想指数", "正向评价率"]
    in_every_format(run, "未提供在册人数，参与率无法计算")


def test_a_whole_company_below_the_smallest_group_says_only_that(tmp_path: Path):
    run = ran(office(tmp_path / "tiny", people({"B11": 3, "B12": 4})))
    check_whole(run)
    assert "试验公司本期填答人数不足" in told(run)
    assert "数据质量" not in told(run), "how seven people filled in their sheets is told of seven people"
    assert not [block for block in blocks(run) if block["kind"] in ("table", "figure", "keyfigure")]


@pytest.fixture(scope="module")
def one_branch(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An office of whose cities one has a single branch; with headcounts and the days of the survey."""
    days = '[waves]\n2026Q3 = { form = "full", from = 2026-08-10, to = 2026-08-23 }'
    folder = office(tmp_path_factory.mktemp("short") / "one", people({"B11": 30, "B12": 26, "B21": 40}), settings=days)
    (folder / "units.csv").write_text(units_csv("C1", "C2", "B11", "B12", "B21"), "utf-8")
    return folder


def test_a_city_with_one_branch_compares_it_with_nothing(one_branch: Path):
    run = ran(one_branch, "C2")
    check_whole(run)
    said = told(run)
    assert "可单列的党支部只有三支部1家，不作比较。" in said
    assert "参与率80.0%" in said
    assert "均在误差范围内" not in said
    assert not [block for block in blocks(run) if block["kind"] == "figure"]
    in_every_format(run, "可单列的党支部只有三支部1家，不作比较")


@pytest.mark.parametrize("lang", ["zh", pytest.param("en", marks=pytest.mark.everything)])
def test_the_days_of_the_survey_stand_in_the_opening_sentence(one_branch: Path, lang: str):
    run = ran(one_branch, "ALL", lang)
    check_whole(run)
    days = (
        "于8月10日至8月23日开展了2026年三季度员工思想动态调查"
        if lang == "zh"
        else "from 10 August 2026 to 23 August 2026"
    )
    assert days in told(run)
    captions = [block["content"]["caption"] for block in blocks(run) if block["kind"] == "figure"]
    equal = "2026年三季度各市公司参与率均为80.0%" if lang == "zh" else "participation is 80.0% everywhere"
    assert [caption for caption in captions if equal in caption], captions


def test_without_declared_days_the_sentence_has_none(hidden: Path):
    opening = next(line for line in told(ran(hidden)).split("\n") if "按照年度工作安排" in line)
    assert opening == "按照年度工作安排，调查工作组开展了2026年三季度员工思想动态调查。现将有关情况报告如下。"


def test_after_a_quarter_without_a_survey_the_change_names_what_it_is_against(tmp_path: Path):
    waves = [people(seed=seed) for seed in (1, 2)]
    folder = office(tmp_path / "gap", *waves, periods=("2026Q1", "2026Q3"))
    (folder / "units.csv").write_text(units_csv(), "utf-8")
    run = ran(folder)
    check_whole(run)
    said = told(run)
    assert "2026年二季度没有调查数据，以下变化均与2026年一季度相比。" in said
    assert re.search(r"员工思想指数[\d.]+分（.*?），比2026年一季度(上升|下降)[\d.]+分", said)
    rules = "预警按单位判断"  # what the rules of warnings say of any wave before
    assert not [line for line in said.split("\n") if "上期" in line and not line.startswith(rules)]
    captions = [block["content"].get("caption", "") for block in blocks(run)]
    assert "分维度与2026年一季度比较" in captions
    in_every_format(run, "2026年二季度没有调查数据")


def test_a_form_without_groups_and_with_one_dimension_leaves_these_parts_out(tmp_path: Path):
    folder = office(tmp_path / "plain", people())
    lines = [line for line in CODEBOOK.replace(",D2,", ",D1,").split("\n") if not line.startswith(("D2,", "age_band"))]
    (folder / "codebook.csv").write_text("\n".join(lines), "utf-8")
    run = ran(folder)
    check_whole(run)
    headings = [block["content"]["text"] for block in blocks(run) if block["kind"] == "heading"]
    assert "分人群情况" not in headings
    assert "分维度情况" not in headings, "one dimension is the index itself"
    assert "得分较高的是" not in told(run)


def test_a_measure_that_rests_on_too_few_answers_is_named_nowhere(tmp_path):
    # People skip a question that a proposed measure is about.
    make_company(employees=130, branches=13, quarters=3, seed=834).write(tmp_path / "office")
    run = dj.run_report("quarterly", tmp_path / "office", period="2026Q3", lang="en", formats=["html"])
    ws = dj.open_workspace(tmp_path / "office", "en")
    period, plan, scope = "2026Q3", ws.release_plan("2026Q3"), ws.scope("ALL", "2026Q3")
    scores, before = ws.scores(period), ws.earlier(period)
    alerts = dj.alerts(scores, change=dj.compare(scores, ws.scores(before)), history=ws.alerts(before=period), draws=0)
    named = methods.after_review(alerts, None, scope.asof)
    proposed = dj.propose(named, dj.drivers(ws.released(period), units=["ALL"]), scores, start=scope.work_start)
    below = dj.protect(proposed, plan).where(unit=scope.below)
    assert (below.table["driver"] == "").any()
    told = scope.told(below).table
    assert 0 < len(told) < len(below.table)
    assert (told[["driver", "item", "measure", "due"]] != "").all(axis=None)
    tables = re.findall(r"<table.*?</table>", run.files["html"].read_text("utf-8"), flags=re.DOTALL)
    listed = next(table for table in tables if all(str(day) in table for day in told["due"]))
    assert listed.count("<tr") == len(told) + 1
