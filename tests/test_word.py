"""Reports in Word: the layout of GB/T 9704-2012, real headings and tables, hostile text inert, the same bytes twice."""

from __future__ import annotations

import dataclasses
import io
import re
import shutil
import subprocess
import zipfile
from pathlib import Path

import docx
import openpyxl
import pypdfium2
import pytest
from docx.oxml.ns import qn
from report_structure import sides_of

import dj_analysis as dj
from dj_analysis.errors import Problems, UsageError
from dj_analysis.publish.blocks import Block
from dj_analysis.publish.exports.document import Appearance, Document, numbered
from dj_analysis.publish.exports.docx import to_docx
from dj_analysis.publish.exports.html import to_html
from dj_analysis.publish.exports.official_parts import correction_blocks, end_blocks, head_blocks
from dj_analysis.publish.exports.pdf import to_pdf
from dj_analysis.publish.exports.xlsx import to_xlsx
from dj_analysis.spec.official import Official, read_official

META = {
    "title": "关于三季度情况的报告", "period": "2026年三季度", "unit": "ALL", "language": "zh", "office": "党委党建部",
    "purpose": "用于改进管理和帮扶。", "limits": "使用限度：须看估计范围。", "footer": "程序 dj_analysis", "draft": "",
}  # fmt: skip
DECLARED = Official(
    kind="报告", issue="7", secrecy="内部资料", urgency="加急", letterhead="云岭电力有限公司文件", number="云电党〔2026〕1号",
    signer="（签发人）", remark="联系人：党建部", copies="各市公司党委。", printed_by="公司办公室", printed_on="2026-10-08",
)  # fmt: skip


def table_block(rows: list[list[str]], caption: str = "分单位得分", note: str = "") -> Block:
    columns = [
        {"name": "unit", "label": "单位", "kind": "text", "width": 12.0},
        {"name": "score", "label": "得分", "kind": "number", "width": 8.0},
    ]
    values = [[row[0], float(row[1]) if row[1] != "—" else None] for row in rows]
    return Block("table", {"caption": caption, "columns": columns, "rows": rows, "values": values, "note": note})


def figure_block(alt: str = "各单位得分") -> Block:
    svg = '<svg xmlns="http://www.w3.org/2000/svg" width="200pt" height="100pt" viewBox="0 0 200 100"><rect width="90" height="9"/></svg>'
    content = {"svg": svg, "width": 6.3, "height": 3.1, "alt": alt, "caption": alt, "plot": "plot_scores"}
    return Block("figure", content)


BLOCKS = [
    dj.heading("关于三季度情况的报告", depth=0),
    dj.text("公司党委：", place="salutation"),
    dj.text("现将有关情况报告如下。"),
    dj.heading("基本情况"),
    dj.heading("对象", depth=2),
    dj.heading("范围", depth=3),
    dj.text("正文。"),
    table_block([["甲", "71.2"], ["乙", "—"]], note="1个单位按规定不单列。"),
    figure_block(),
    Block("keyfigure", {"label": "指数", "value": "65.1", "detail": "估计范围64.9—65.3分"}),
    dj.note("口径不变。"),
    dj.text("党委党建部", place="signature"),
    dj.heading("附件", depth=0),
    dj.heading("有关说明", label="附件1　"),
    dj.text("说明。"),
]


def document(*blocks: Block, official: Official | None = None, **meta: str) -> Document:
    listed = list(blocks or BLOCKS)
    if official is not None:
        listed = [*head_blocks(official, "zh"), *listed, *end_blocks(official, "zh")]
    whole = META | meta
    return Document(tuple(numbered(listed, whole["language"])), whole)


def opened(made: bytes) -> docx.document.Document:
    return docx.Document(io.BytesIO(made))


def xml_of(made: bytes, part: str) -> str:
    with zipfile.ZipFile(io.BytesIO(made)) as package:
        return package.read(part).decode("utf-8")


@pytest.fixture(scope="module")
def made() -> bytes:
    return to_docx(document(official=DECLARED))


def test_the_page_is_that_of_official_documents(made: bytes) -> None:
    page = opened(made).sections[0]
    assert sides_of(page) == [210, 297, 37, 35, 28, 26]
    grid = page._sectPr.find(qn("w:docGrid"))
    assert (grid.get(qn("w:type")), grid.get(qn("w:linePitch"))) == ("lines", "579")
    assert page.different_first_page_header_footer is False
    assert opened(made).settings.odd_and_even_pages_header_footer
    assert 'w:name="compatibilityMode" w:uri="http://schemas.microsoft.com/office/word" w:val="15"' in xml_of(
        made, "word/settings.xml"
    )


def test_pages_are_numbered_at_the_outer_side(made: bytes) -> None:
    page = opened(made).sections[0]
    for foot, side in ((page.footer, "right"), (page.even_page_footer, "left")):
        (line,) = foot.paragraphs
        assert line.text == "— 1 —"
        assert "PAGE" in line._p.xml
        assert line._p.pPr.find(qn("w:jc")).get(qn("w:val")) == side
        assert {run.font.size.pt for run in line.runs} == {14.0}


@pytest.mark.parametrize(
    ("style", "font", "size"),
    [
        ("Normal", "仿宋_GB2312", 16), ("Body Text", "仿宋_GB2312", 16), ("Title", "方正小标宋简体", 22), ("Heading 1", "黑体", 16),
        ("Heading 2", "楷体_GB2312", 16), ("Heading 3", "仿宋_GB2312", 16), ("Table Text", "仿宋_GB2312", 10.5),
    ],
)  # fmt: skip
def test_styles_name_the_chinese_fonts(made: bytes, style: str, font: str, size: float) -> None:
    chosen = opened(made).styles[style]
    fonts = chosen.element.rPr.find(qn("w:rFonts"))
    assert fonts.get(qn("w:eastAsia")) == font
    assert fonts.get(qn("w:ascii")) == "Times New Roman"
    assert not [name for name in fonts.attrib if "Theme" in name]
    assert chosen.font.size.pt == size


def test_lines_and_letters_fill_the_grid_of_22_by_28(made: bytes) -> None:
    styles = opened(made).styles
    body = styles["Body Text"].element
    assert body.pPr.find(qn("w:spacing")).get(qn("w:line")) == "579"
    assert body.rPr.find(qn("w:spacing")).get(qn("w:val")) == "-5"
    assert body.pPr.find(qn("w:ind")).get(qn("w:firstLineChars")) == "200"
    assert styles["Signature"].element.pPr.find(qn("w:ind")).get(qn("w:rightChars")) == "400"
    assert styles["Table Text"].element.pPr.find(qn("w:snapToGrid")).get(qn("w:val")) == "0"


def test_headings_are_real_ones_in_order(made: bytes) -> None:
    headings = [(p.style.name, p.text) for p in opened(made).paragraphs if re.match("Title|Heading", p.style.name)]
    assert headings == [
        ("Title", "关于三季度情况的报告"), ("Heading 1", "一、基本情况"), ("Heading 2", "（一）对象"), ("Heading 3", "1.范围"),
        ("Title", "附件"), ("Heading 1", "附件1　有关说明"),
    ]  # fmt: skip
    titles = [p for p in opened(made).paragraphs if p.style.name == "Title"]
    assert [bool(p.paragraph_format.page_break_before) for p in titles] == [False, True]


def test_tables_have_three_lines_and_repeat_their_head(made: bytes) -> None:
    (table,) = opened(made).tables
    assert [cell.text for cell in table.rows[0].cells] == ["单位", "得分"]
    assert [[cell.text for cell in row.cells] for row in table.rows[1:]] == [["甲", "71.2"], ["乙", "—"]]
    properties = table._tbl.tblPr
    borders = properties.find(qn("w:tblBorders"))
    assert [side.tag.split("}")[1] for side in borders] == ["top", "bottom"]
    assert table.rows[0]._tr.trPr.find(qn("w:tblHeader")) is not None
    assert table.rows[1]._tr.trPr.find(qn("w:tblHeader")) is None
    assert properties.find(qn("w:tblCaption")).get(qn("w:val")) == "分单位得分"
    widths = [int(column.get(qn("w:w"))) for column in table._tbl.tblGrid.gridCol_lst]
    assert sum(widths) == pytest.approx(156 * 1440 / 25.4, abs=2)
    captions = [p.text for p in opened(made).paragraphs if p.style.name in ("Caption", "Table Caption")]
    assert captions == ["表1　分单位得分", "图1　各单位得分"]


def test_figures_are_described_and_fit_the_page(made: bytes) -> None:
    (picture,) = opened(made).inline_shapes
    assert picture._inline.docPr.get("descr") == "各单位得分"
    assert picture.width.mm <= 156.1


def test_declared_elements_stand_in_their_place_and_others_leave_no_line(made: bytes) -> None:
    lines = [(p.style.name, p.text) for p in opened(made).paragraphs]
    assert lines[:4] == [
        ("Document Mark", "内部资料"), ("Document Mark", "加急"), ("Letterhead", "云岭电力有限公司文件"),
        ("Document Number", "云电党〔2026〕1号　第7期\t签发人：（签发人）"),
    ]  # fmt: skip
    assert lines[-2:] == [("Imprint", "抄送：各市公司党委。"), ("Imprint", "公司办公室\t2026年10月8日印发")]
    assert ("Body Text", "（联系人：党建部）") in lines
    bare = [(p.style.name, p.text) for p in opened(to_docx(document(official=Official()))).paragraphs]
    assert bare[:2] == [("Document Mark", "内部资料 注意保存"), ("Title", "关于三季度情况的报告")]
    assert not [words for style, words in bare if not words and style != "Figure"]
    assert not [style for style, _ in bare if style in ("Imprint", "Letterhead", "Document Number")]


def test_bad_elements_are_listed() -> None:
    problems = Problems()
    read = read_official("workspace.toml", {"kind": "通知", "printed_on": "十月八日", "issue": 3}, problems)
    assert {place.rsplit(" ", 1)[1] for place in problems.table["place"]} == {"kind", "printed_on"}
    assert read.issue == "3"


def test_the_same_report_is_the_same_bytes_and_tells_no_time(made: bytes) -> None:
    assert made == to_docx(document(official=DECLARED))
    with zipfile.ZipFile(io.BytesIO(made)) as package:
        assert {entry.date_time for entry in package.infolist()} == {(1980, 1, 1, 0, 0, 0)}
    properties = xml_of(made, "docProps/core.xml")
    assert "dcterms:created" not in properties
    assert "党委党建部" in properties
    assert "python-docx" not in properties
    with zipfile.ZipFile(io.BytesIO(made)) as package:
        assert not [name for name in package.namelist() if "thumbnail" in name]


def test_a_draft_says_so_on_every_page() -> None:
    page = opened(to_docx(document(draft="内部草稿"))).sections[0]
    assert [head.paragraphs[0].text for head in (page.header, page.even_page_header)] == ["内部草稿", "内部草稿"]


HOSTILE = [
    "=cmd|' /C calc'!A0", "<script>alert(1)</script>", '#read("/etc/passwd")', "../../x", "a\u202egnp.exe", "😀𠮷䶮㐂", "长" * 200,
    "\x0b\x00控制\ufffe", "{{ 7*7 }}", "&amp; <w:p/>",
]  # fmt: skip


def test_hostile_text_is_inert_and_legible() -> None:
    blocks = [dj.heading(words.strip("\x0b"), depth=1) for words in HOSTILE]
    blocks += [Block("text", {"text": words, "place": "body"}) for words in HOSTILE]
    blocks += [table_block([[words, "1.0"] for words in HOSTILE], caption=HOSTILE[1]), figure_block(HOSTILE[7])]
    made = to_docx(document(*blocks, title=HOSTILE[7], office=HOSTILE[1]))
    words = "\n".join(p.text for p in opened(made).paragraphs)
    cells = [row.cells[0].text for row in opened(made).tables[0].rows]
    for text in HOSTILE:
        legible = re.sub("[\x00\x0b\ufffe\u202e]", "", text)
        assert legible in words
        assert legible in cells


def test_english_has_its_own_sizes_and_no_indents() -> None:
    made = to_docx(document(dj.heading("Report", depth=0), dj.heading("Basis"), dj.text("Words."), language="en"))
    styles = opened(made).styles
    assert styles["Body Text"].font.size.pt == 11.5
    assert "w:firstLineChars" not in styles["Body Text"].element.xml
    assert "1. Basis" in [p.text for p in opened(made).paragraphs]


def test_an_office_template_keeps_its_page_styles_and_text(tmp_path: Path) -> None:
    from docx.shared import Mm, Pt

    own = docx.Document()
    own.sections[0].left_margin = Mm(31)
    own.styles["Title"].font.size = Pt(30)
    own.add_paragraph("本单位的红头")
    own.save(tmp_path / "own.docx")
    report = opened(to_docx(document(), Appearance(template=tmp_path / "own.docx")))
    assert report.sections[0].left_margin.mm == pytest.approx(31, abs=0.1)
    assert report.styles["Title"].font.size.pt == 30
    assert [p.text for p in report.paragraphs][:2] == ["本单位的红头", "关于三季度情况的报告"]
    (tmp_path / "bad.docx").write_bytes(b"no zip")
    with pytest.raises(UsageError, match="模板无法读取"):
        to_docx(document(), Appearance(template=tmp_path / "bad.docx"))


def test_an_empty_section_and_an_empty_table_are_a_correct_file() -> None:
    made = to_docx(document(dj.heading("题", depth=0), dj.heading("空"), table_block([])))
    assert len(opened(made).tables[0].rows) == 1


def test_office_programs_open_it(made: bytes, tmp_path: Path) -> None:
    program = shutil.which("soffice")
    if program is None:
        pytest.skip("LibreOffice is not installed: apt-get install libreoffice-writer")
    (tmp_path / "r.docx").write_bytes(made)
    command = [program, f"-env:UserInstallation={(tmp_path / 'profile').as_uri()}", "--headless", "--convert-to", "pdf"]
    subprocess.run([*command, "--outdir", tmp_path, tmp_path / "r.docx"], check=True, capture_output=True, timeout=120)
    import pypdfium2

    pages = pypdfium2.PdfDocument(tmp_path / "r.pdf")
    text = "".join(page.get_textpage().get_text_range() for page in pages)
    assert "云岭电力有限公司文件" in text
    assert len(pages) >= 2  # the annex begins a page


def test_numbers_of_tables_and_figures_run_through_the_document() -> None:
    blocks = [
        table_block([["甲", "1.0"]]),
        figure_block(),
        table_block([["乙", "2.0"]]),
        table_block([["丙", "2.0"]], caption=""),
    ]
    told = [block.content["number"] for block in document(*blocks).blocks]
    assert told == ["表1　", "图1　", "表2　", ""]
    english = dataclasses.replace(document(*blocks), blocks=tuple(numbered(blocks, "en")))
    assert [block.content["number"] for block in english.blocks][:2] == ["Table 1. ", "Figure 1. "]


def test_a_correction_has_a_page_of_its_own() -> None:
    assert correction_blocks("", "zh") == []
    blocks = [*BLOCKS, *correction_blocks("两个支部的人数登记有误", "zh")]
    lines = opened(to_docx(document(*blocks))).paragraphs
    (title,) = [line for line in lines if line.text == "更正说明"]
    assert title.style.name == "Title"
    assert title.paragraph_format.page_break_before
    assert any("原因：两个支部的人数登记有误" in line.text for line in lines)


def long_table(rows: int, marked: tuple[int, ...] = ()) -> Block:
    """A table of so many units, some of them with a warning."""
    columns = [
        {"name": "unit", "label": "单位", "kind": "text", "width": 12.0},
        {"name": "score", "label": "得分", "kind": "number", "width": 8.0},
        {"name": "warning", "label": "预警", "kind": "text", "width": 8.0},
    ]
    cells = [[f"第{i}支部", f"{i}.0", "红色" if i in marked else ""] for i in range(1, rows + 1)]
    values = [[name, float(score), warning] for name, score, warning in cells]
    content = {"caption": "分单位得分", "columns": columns, "rows": cells, "values": values, "note": "一句说明。"}
    return Block("table", content | {"waves": [["survey", "2026Q3"]]})


def test_a_table_of_thirty_rows_is_printed_whole() -> None:
    (table,) = opened(to_docx(document(dj.heading("情况"), long_table(30)))).tables
    assert [row.cells[0].text for row in table.rows[1:]] == [f"第{i}支部" for i in range(1, 31)]


def test_on_paper_a_long_table_keeps_its_ends_and_what_is_marked_and_says_where_the_rest_is() -> None:
    report = document(dj.heading("情况"), long_table(300, marked=(150, 151, 295)))
    whole = to_docx(report)
    (table,) = opened(whole).tables
    names = [row.cells[0].text for row in table.rows[1:]]
    first, last = [f"第{i}支部" for i in range(1, 21)], [f"第{i}支部" for i in range(291, 301)]
    assert names == [*first, "…", "第150支部", "第151支部", "…", *last]
    told = "一句说明。本表共300行，此处列前20行、后10行和有标记的行；全表见本报告的Excel文件或网页（表1）。"
    assert told in [p.text for p in opened(whole).paragraphs]
    pages = pypdfium2.PdfDocument(to_pdf(report))
    printed = "".join(page.get_textpage().get_text_range() for page in pages)
    assert "第150支部" in printed
    assert "第149支部" not in printed
    assert "本表共300行" in re.sub(r"\s", "", printed)
    assert len(pages) == 1, "no second page for a few lines"


def test_excel_and_the_page_hold_all_rows_of_a_long_table() -> None:
    report = document(dj.heading("情况"), long_table(300))
    sheet = openpyxl.load_workbook(io.BytesIO(to_xlsx(report)))["表1 分单位得分"]
    assert [f"第{i}支部" for i in range(1, 301)] == [
        str(cell.value) for (cell,) in sheet.iter_rows(max_col=1) if re.match("第.*支部", str(cell.value))
    ]
    assert "第149支部" in to_html(report).decode()


def test_a_list_of_warned_units_is_never_shortened() -> None:
    (table,) = opened(to_docx(document(long_table(90, marked=tuple(range(1, 91)))))).tables
    assert len(table.rows) == 91


def test_a_flag_marks_a_row_only_where_it_says_yes() -> None:
    table = long_table(90)
    table.content["columns"][2]["name"] = "real"
    for row, cells in enumerate(table.content["rows"]):
        cells[2] = "超出误差范围" if row == 40 else "在误差范围内"
    (printed,) = opened(to_docx(document(table))).tables
    assert [row.cells[0].text for row in printed.rows][21:25] == ["…", "第41支部", "…", "第81支部"]
