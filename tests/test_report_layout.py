"""How reports are laid out: full pages, figures that wait for room, real headings, words of a leader, notes beside what they note."""

from __future__ import annotations

import io
import itertools
import re

import docx
import numpy as np
import openpyxl
import pptx
import pypdfium2
import pytest
from test_office_files import SVG, document, figure, table, text

import dj_analysis as dj
from dj_analysis.publish.blocks import Block
from dj_analysis.publish.exports.document import Document, numbered
from dj_analysis.publish.exports.docx import to_docx
from dj_analysis.publish.exports.docx_flow import flowing
from dj_analysis.publish.exports.pdf import to_pdf
from dj_analysis.publish.exports.pptx import to_pptx
from dj_analysis.publish.exports.xlsx import to_xlsx
from dj_analysis.publish.wording import say, words

PARAGRAPH = "这是一句有二十个字的用来占满版面的话。" * 6


def tall(name: str, height: float = 6.0) -> Block:
    content = {
        "svg": SVG,
        "plot": "x",
        "alt": name,
        "caption": name,
        "width": 6.3,
        "height": height,
        "note": "注：30人。",
    }
    return Block("figure", content)


def captions(blocks: list[list[Block]]) -> list[str]:
    return [str(one.content.get("caption") or one.content["text"])[:4] for group in blocks for one in group]


# --- Word: figures wait for room -----------------------------------------------------------------------------------


def test_a_figure_that_does_not_fit_waits_until_the_page_is_full():
    said = [text(f"{number}段。{PARAGRAPH}") for number in "一二三四五六"]  # of five lines each, 22 on a page
    order = captions(flowing([*said[:2], tall("高图"), *said[2:]], "zh"))
    assert order == ["一段。这", "二段。这", "三段。这", "四段。这", "五段。这", "高图", "六段。这"]
    assert captions(flowing([said[0], tall("矮图", 2.0), *said[1:]], "zh"))[1] == "矮图", "there is room for it"


def test_figures_keep_their_order_and_stay_within_their_part():
    sheet = [dj.heading("甲"), text(PARAGRAPH), tall("图一", 7.0), tall("图二", 1.0), text("末段。")]
    order = captions(flowing(sheet, "zh"))
    assert order.index("图一") < order.index("图二")
    assert sorted(order) == sorted(captions([[one] for one in sheet]))
    report = document(dj.heading("报告", depth=0), *sheet, dj.heading("附件", depth=0), *[text(PARAGRAPH)] * 9)
    told = [p.text for p in docx.Document(io.BytesIO(to_docx(report))).paragraphs]
    assert told.index("图2　图二") < told.index("附件")


def test_a_figure_does_not_part_a_heading_from_its_text():
    said = [text(PARAGRAPH) for _ in range(3)]
    for lines in range(1, 5):
        sheet = [*said[:2], tall("高图"), *[text("短句。")] * lines, dj.heading("题目"), text("其文。"), *said]
        order = captions(flowing(sheet, "zh"))
        assert order[order.index("题目") + 1] == "其文。"


def test_pages_of_a_word_file_are_counted_with_tables_and_smaller_text():
    """A page that is nearly full is left: a figure that does not fit there begins the next one, as it would anyway."""
    full = [text(PARAGRAPH)] * 4  # four paragraphs of five lines, of the 22 of a page
    assert captions(flowing([*full, tall("高图"), text("后文。")], "zh"))[4] == "高图"
    rows = table("表", [f"第{i}支部" for i in range(12)])
    assert captions(flowing([rows, tall("高图", 7.0), text("后文。")], "zh")) == ["表", "后文。", "高图"]


# --- PDF: headings, last page, mark -------------------------------------------------------------------------------


def test_headings_of_a_pdf_are_bookmarks_at_their_depth():
    blocks = [
        dj.heading("关于情况\n的报告", depth=0),
        dj.heading("总体情况"),
        dj.heading("对象", depth=2),
        text("文。"),
    ]
    file = pypdfium2.PdfDocument(to_pdf(document(*blocks, dj.heading("附件", depth=0), text("文。"))))
    marks = [(mark.level, "".join(mark.get_title().split())) for mark in file.get_toc()]
    assert marks == [(0, "关于情况的报告"), (1, "一、总体情况"), (2, "（一）对象"), (0, "附件")]
    assert file.is_tagged()


@pytest.mark.parametrize("rows", range(26, 60, 4))
def test_the_last_page_holds_more_than_a_few_lines_where_that_can_be(rows: int):
    names = [f"第{i}支部" for i in range(rows)]
    made = to_pdf(document(dj.heading("报告", depth=0), text("文。"), dj.heading("附件", depth=0), table("表", names)))
    file = pypdfium2.PdfDocument(made)
    last = file[len(file) - 1].get_textpage()
    lines = [words_ for words_ in last.get_text_bounded().splitlines() if words_.strip()]
    assert len(file) == 2 or len(lines) >= 8, lines


def test_the_mark_of_a_draft_is_printed_above_figures():
    def page(draft: str) -> np.ndarray:
        blocks = [dj.heading("报告", depth=0), text("文。"), tall("图", 5.0)]
        return pypdfium2.PdfDocument(to_pdf(document(*blocks, draft=draft)))[0].render().to_numpy()[:, :, :3]

    plain, marked = page(""), page("内部草稿")
    assert plain.shape == marked.shape
    inside = (plain == 0).all(axis=2)  # the figure is black
    assert inside.mean() > 0.2
    assert (marked[inside] != 0).any(), "the mark is seen on the figure"


# --- Annexes, words -----------------------------------------------------------------------------------------------


def test_one_annex_alone_is_headed_once():
    one = numbered([dj.heading("附件", depth=0), dj.heading("有关说明", label=""), dj.heading("后文")], "zh")
    assert [block.content["number"] for block in one] == ["", "", "一、"]


def test_a_change_is_told_in_words_and_a_sign_stands_at_the_ends_of_ranges_only():
    """环比-0.3 and +0.0 stand in no sentence: what has a sign is an end of a range, or a net change that says what it counts."""
    for name, sentence in words("zh").items():
        signed = re.findall(r"([\w.]+)\s*\|\s*signed", sentence)
        ends = {one for one in signed if one.endswith((".low", ".high"))} | {"lower.estimate", "upper.estimate"}
        assert {one for one in signed if not one.endswith(".revision")} <= ends, name


# --- Slides and sheets --------------------------------------------------------------------------------------------


def test_a_note_on_a_slide_stands_beneath_what_it_notes_and_is_dark_enough():
    blocks = [table("逾期事项", ["甲支部", "乙支部"], "注：两项。"), figure("plot_trend", "历期变化")]
    content = [dj.heading("报告", depth=0), text("共2家。")]
    for number, block in enumerate(blocks):
        content += [dj.heading(f"第{number}节"), text(f"第{number}节的情况。"), block]
    show = pptx.Presentation(io.BytesIO(to_pptx(document(*content))))
    looked = 0
    for slide in show.slides:
        shapes = list(slide.shapes)
        shown = [s for s in shapes if s.has_table or s.shape_type == 13]
        if not shown:
            continue
        (note,) = [
            s
            for s in shapes
            if s.has_text_frame and ("逾期事项" in s.text_frame.text or "历期变化" in s.text_frame.text)
        ]
        gap = note.top - (shown[0].top + shown[0].height)
        assert 0 <= gap < 5 * 36_000, "millimetres"
        colour = note.text_frame.paragraphs[0].runs[0].font.color.rgb
        light = [(v / 255 + 0.055) ** 2.4 / 1.055**2.4 for v in colour]
        assert 1.05 / (0.2126 * light[0] + 0.7152 * light[1] + 0.0722 * light[2] + 0.05) >= 4.5
        looked += 1
    assert looked == 2


def test_figures_of_an_excel_file_are_not_parted_by_a_page():
    figures = [tall(f"图{number}", 3.8) for number in range(7)]
    book = openpyxl.load_workbook(io.BytesIO(to_xlsx(document(dj.heading("报告", depth=0), text("文。"), *figures))))
    sheet = book[say("zh", "sheet_figures")]
    starts = [row for row in range(1, sheet.max_row + 1) if str(sheet.cell(row, 1).value).startswith("图")]
    breaks = [mark.id for mark in sheet.row_breaks.brk]
    assert breaks
    assert {row + 1 for row in breaks} <= set(starts), "a page begins with the title of a figure"
    assert not sheet.sheet_properties.pageSetUpPr or not sheet.sheet_properties.pageSetUpPr.fitToPage
    heights = [sheet.row_dimensions[row].height or 15 for row in range(1, sheet.max_row + 1)]
    ends = [0, *breaks, sheet.max_row]
    scale, room = sheet.page_setup.scale / 100, (11.69 - 0.8 - 0.7) * 72
    assert all(scale * sum(heights[a:b]) <= room for a, b in itertools.pairwise(ends))
    assert [str(sheet.cell(row, 1).value) for row in range(1, sheet.max_row + 1)].count("注：30人。") == len(figures)


def test_a_note_is_in_the_language_of_its_report_and_stands_once_in_each_format():
    def made(language: str, note: str) -> Document:
        block = Block("figure", {**tall("Figure", 3.0).content, "note": note})
        blocks = [dj.heading("R", depth=0), text("One."), dj.heading("Section"), text("Shown."), block]
        return document(*blocks, language=language)

    report = made("en", "Note: n = 30.")
    slides = pptx.Presentation(io.BytesIO(to_pptx(report))).slides
    shown = [s.text_frame.text for slide in slides for s in slide.shapes if s.has_text_frame]
    assert sum(words_.count("Note: n = 30.") for words_ in shown) == 1
    book = openpyxl.load_workbook(io.BytesIO(to_xlsx(report)))
    cells = [str(c.value) for sheet in book for row in sheet.iter_rows() for c in row if c.value is not None]
    assert cells.count("Note: n = 30.") == 1
    assert sum("Note: n = 30." in p.text for p in docx.Document(io.BytesIO(to_docx(report))).paragraphs) == 1
