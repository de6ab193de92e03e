"""What stands beneath a figure, where two stand side by side, and how the first pages fit."""

from __future__ import annotations

import io
import re
from pathlib import Path

import docx
import pypdfium2
import pytest
from offices import office, people

import dj_analysis as dj
from dj_analysis import methods
from dj_analysis.publish.blocks import Block
from dj_analysis.publish.exports.document import Document, numbered, side_by_side
from dj_analysis.publish.exports.docx import to_docx
from dj_analysis.publish.exports.html import to_html
from dj_analysis.publish.exports.page_fit import STEPS, opening_scale
from dj_analysis.publish.exports.pdf import to_pdf
from dj_analysis.publish.exports.pptx import to_pptx
from dj_analysis.publish.plots import common


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    small = {"B11": 30, "B12": 26, "B21": 40, "B22": 6}
    waves = people(small, 1), people(small, 2)
    return office(tmp_path_factory.mktemp("figures") / "office", *waves, periods=("2026Q2", "2026Q3"))


def protected(folder: Path, lang: str = "zh") -> tuple[dj.Workspace, dj.release.protect.Protected]:
    ws = dj.open_workspace(folder, lang)
    return ws, dj.protect(ws.scores("2026Q3"), ws.release_plan("2026Q3"))


def document(*blocks: Block, language: str = "zh") -> Document:
    meta = {
        "title": "报告",
        "language": language,
        "office": "调查组",
        "purpose": "用途",
        "limits": "限度",
        "footer": "页脚",
    }
    return Document(tuple(numbered(blocks, language)), meta)


def test_a_figure_of_scores_says_its_people_its_range_and_its_source(folder):
    _, safe = protected(folder)
    note = dj.figure(dj.plot_scores, safe, level="branch").content["note"]
    shown = safe.where(level="branch", code="INDEX", form="anchors").table["n"].dropna()
    assert 0 < len(shown) < 4, "a small branch and the one that would tell it are hidden"
    least, most = int(shown.min()), int(shown.max())
    people_told = f"各点{least}—{most}人" if least < most else f"{least}人"
    assert note == f"注：{people_told}；估计范围按95%的把握；数据来源：员工调查 2026Q3。"
    assert "估计范围" not in dj.figure(dj.plot_heat, safe, level="branch").content["note"], "it draws no range"


def test_the_note_in_english(folder):
    _, safe = protected(folder, "en")
    note = dj.figure(dj.plot_scores, safe, level="city").content["note"]
    assert re.fullmatch(r"Note: n (= \d+|from \d+ to \d+); ranges at 95%; source: staff survey 2026Q3\.", note)


def test_ranks_say_what_their_ranges_are_and_indicators_count_no_people(tmp_path):
    company = dj.make_company(employees=300, branches=24, quarters=1, seed=2).write(tmp_path / "demo", closed=False)
    ws = dj.open_workspace(company)
    ranks = dj.rank(dj.score(ws.indicators("2026-09"), by="branch"), "branch")
    note = dj.figure(dj.plot_ranks, dj.protect(ranks, ws.release_plan("2026-09"))).content["note"]
    assert re.fullmatch(r"注：名次范围为各单位同时成立的95%范围；数据来源：工作指标 .+。", note)


def test_the_note_stands_in_every_format(folder):
    _, safe = protected(folder)
    block = dj.figure(dj.plot_scores, safe, level="branch")
    report = document(dj.heading("报告", depth=0), dj.text("共3家。"), dj.heading("情况"), dj.text("情况如下。"), block)
    note = block.content["note"]
    assert note in to_html(report).decode()
    assert note in [p.text for p in docx.Document(io.BytesIO(to_docx(report))).paragraphs]
    pages = pypdfium2.PdfDocument(to_pdf(report))
    assert note in re.sub(r"\s", "", "".join(p.get_textpage().get_text_range() for p in pages)).replace(
        "调查2026", "调查 2026"
    )
    import pptx

    shapes = [
        s for slide in pptx.Presentation(io.BytesIO(to_pptx(report))).slides for s in slide.shapes if s.has_text_frame
    ]
    assert any(note in shape.text_frame.text for shape in shapes)


def test_two_narrow_figures_stand_side_by_side_and_one_alone_does_not(folder):
    _, safe = protected(folder)
    narrow = [dj.figure(dj.plot_scores, safe, level=level, wide=False) for level in ("city", "branch")]
    assert all(block.content["width"] < 3.2 for block in narrow)
    assert [len(group) for group in side_by_side([*narrow, dj.note("一"), narrow[0]])] == [2, 1, 1]
    file = docx.Document(io.BytesIO(to_docx(document(dj.heading("情况"), *narrow))))
    (table,) = file.tables
    assert [sum("graphic" in p._p.xml for p in cell.paragraphs) for cell in table.rows[0].cells] == [1, 1]
    assert [cell.paragraphs[1].text.split("　")[0] for cell in table.rows[0].cells] == ["图1", "图2"]
    assert not docx.Document(io.BytesIO(to_docx(document(dj.heading("情况"), narrow[0])))).tables
    assert '<div class="pair">' in to_html(document(dj.heading("情况"), *narrow)).decode()


def test_the_first_page_is_set_smaller_only_where_it_must_be():
    def brief(sentences: int, **more: int) -> Document:
        said = [dj.text("这是一句有二十个字的用来占满版面的话。" * 6) for _ in range(sentences)]
        greeting = dj.text("公司党委：", place="salutation")
        return document(dj.heading("关于情况的报告", depth=0, **more), greeting, *said, dj.heading("情况"), *said)

    scales = [opening_scale(brief(n)) for n in (1, 4, 5, 6, 7)]
    assert scales[0] == 1
    assert scales == sorted(scales, reverse=True)
    assert scales[2] < 1
    assert opening_scale(brief(30)) == 1, "what fits at no size is set as it is"
    assert opening_scale(brief(7, pages=2)) > opening_scale(brief(7))
    assert opening_scale(brief(5, pages=2)) == scales[2] >= 0.88, "a second page with a few lines is saved"
    assert STEPS[0] == 1
    file = docx.Document(io.BytesIO(to_docx(brief(6))))
    sizes = {run.font.size.pt for p in file.paragraphs if "占满" in p.text for run in p.runs if run.font.size}
    assert len(sizes) == 1
    assert sizes.pop() < 16


def test_the_waterfall_ends_at_the_change_and_names_what_moved_it_most(folder):
    ws, _ = protected(folder)
    now, before = ws.scores("2026Q3"), ws.scores("2026Q2")
    change = dj.compare(now, before)
    parts = methods.contributions(now, before, change)
    axes = dj.plot_contributions(parts)
    total = change.where(unit="ALL", code="INDEX").table["difference"].iloc[0]
    bars = [bar.get_width() for bar in axes.patches]
    assert bars[-1] == pytest.approx(total)
    assert sum(bars[:-1]) == pytest.approx(total)
    own = parts.where(unit="ALL", part="dimension").table.set_index("code")["contribution"]
    assert bars[: len(own)] == pytest.approx(sorted(own))
    largest = own.abs().idxmax()
    title = axes.get_title(loc="left").replace("\n", "")
    assert (ws.spec.code_label(largest) in title) == (abs(own[largest]) >= 0.05)
    n = int(now.at("ALL", "INDEX").n)
    safe = dj.protect(parts, ws.release_plan("2026Q3"))
    assert dj.figure(dj.plot_contributions, safe).content["note"] == f"注：{n}人；数据来源：员工调查 2026Q2、2026Q3。"


@pytest.mark.parametrize(
    ("label", "drawn"),
    [
        ("Rosters published earlier", "Rosters published\nearlier"),
        ("Pay", "Pay"),
        ("", ""),
        ("排班提前公布", "排班提前公布"),
        ("One two three four five six seven eight", "One two three four\nfive six seven eig…"),
        ("Incomprehensibilities galore", "Incomprehensibilit…\ngalore"),
    ],
)
def test_a_long_name_of_several_words_has_two_lines_in_a_narrow_figure(label, drawn):
    before = common._width.set(common.PAGE_WIDTH / 2)
    try:
        assert common.in_two_lines(label) == drawn
    finally:
        common._width.reset(before)
