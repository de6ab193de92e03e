"""Reports in Excel and PowerPoint: what a file holds, what opens it, what hostile words do in it, what can be computed again."""

from __future__ import annotations

import io
import re
import shutil
import subprocess
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import openpyxl
import pandas as pd
import pptx
import pytest

import dj_analysis as dj
from dj_analysis import methods
from dj_analysis.errors import UsageError
from dj_analysis.publish.blocks import Block
from dj_analysis.publish.exports.bars import bars_of
from dj_analysis.publish.exports.document import Document, numbered
from dj_analysis.publish.exports.pptx import to_pptx
from dj_analysis.publish.exports.sections import cut_to_width, ems, sections_of, sentences
from dj_analysis.publish.exports.slides import SPOKEN_EMS, slides_of
from dj_analysis.publish.exports.xlsx import to_xlsx
from dj_analysis.publish.exports.xlsx_parts import printed_number
from dj_analysis.publish.wording import say, words
from dj_analysis.spec.tree import Indicator, Tree

HOSTILE = (
    "=cmd|'/c calc'!A1", "<script>alert(1)</script>", '#read("/etc/passwd")', "../../x", "甲\u202e乙丙", "🙂𠮷䶮㐂支部", "长" * 200,
    "a\x0bb\x00c", "@SUM(1+1)", "-2+3", "http://evil.example/x", "{=1}", "&C&A", "O'Neil [x]:*?/\\", "Sheet1!A1", "History",
)  # fmt: skip
COLUMNS = (
    ("unit", "单位", "text"), ("n", "人数", "count"), ("score", "得分", "number"), ("favourable", "正向评价率", "percent"),
    ("difference", "变化", "signed"), ("reason", "说明", "text"),
)  # fmt: skip
SVG = '<svg xmlns="http://www.w3.org/2000/svg" width="63pt" height="38pt" viewBox="0 0 63 38"><rect width="63" height="38"/></svg>'


def table(caption: str, names: list[str] | tuple[str, ...], note: str = "") -> Block:
    """A table whose last row is hidden."""
    rows = [
        [name, str(20 + i), f"{40 + i % 50}.5", "57.1%", "+0.3" if i % 2 else "-0.0", ""]
        for i, name in enumerate(names)
    ]
    if rows:
        rows[-1] = [rows[-1][0], "—", "—", "≤10%", "—", "填答人数不足，按规定不单列"]
    columns = [{"name": name, "label": label, "kind": kind, "width": 12.0} for name, label, kind in COLUMNS]
    content = {"caption": caption, "columns": columns, "rows": rows, "values": rows, "note": note}
    return Block("table", {**content, "waves": [["survey", "2026Q3"]]})


def text(sentence: str, place: str = "body") -> Block:
    return Block("text", {"text": sentence, "place": place})


def figure(plot: str, caption: str) -> Block:
    size = {"width": 6.3, "height": 3.8}
    return Block("figure", {"svg": SVG, "plot": plot, "alt": f"图示{caption}", "caption": caption, **size})


def document(*blocks: Block, language: str = "zh", **meta: str) -> Document:
    told = {"title": "关于三季度情况的报告", "office": "党委党建部", "period": "2026年三季度", "language": language}
    told |= {
        "purpose": "用于改进管理和帮扶。",
        "limits": "不足10人不单列。",
        "footer": "方案 abc；数据 def。",
        "draft": "",
    }
    return Document(tuple(numbered(blocks, language)), told | meta)


def report(language: str = "zh", **meta: str) -> Document:
    """A report with every kind of block and section."""
    said = words(language)
    return document(
        text("内部资料 注意保存", "mark"),
        dj.heading("关于三季度情况的报告", depth=0),
        text("公司党委：", "salutation"),
        text("按照年度安排开展了调查。"),
        text("一、总体情况。参与率70.2%，比上期下降0.5个百分点。"),
        text("二、预警情况。红色预警1家，橙色2家，名单见附件1。甲公司为红色。"),
        dj.heading("分析报告", depth=0),
        text("员工思想指数65.1分（估计范围64.9—65.3分），比上期下降0.3分（在误差范围内）。"),
        Block("keyfigure", {"label": "指数", "value": "65.1", "detail": "估计范围64.9—65.3分"}),
        dj.heading("分维度情况"),
        text("各维度在60.5分以上。与上期相比基本持平。"),
        table("分维度得分", ["负荷", "支持", "成长"], "1个单位按规定不单列。"),
        dj.heading("分单位情况"),
        text("可单列的单位3家。"),
        figure("plot_heat", "热图"),
        figure("plot_scores", "各单位得分"),
        dj.heading("趋势"),
        figure("plot_trend", "历期变化"),
        dj.heading("空的一节"),
        dj.heading(said["h_notes"]),
        text("每题换算为0—100分。"),
        dj.heading("附表", depth=0),
        table("分单位数据", [f"第{i}支部" for i in range(300)]),
        table("", ["甲公司", "乙公司"]),
        language=language,
        **meta,
    )


def hostile(language: str = "zh") -> Document:
    blocks = [dj.heading(HOSTILE[0] + HOSTILE[6], depth=0), text("".join(HOSTILE))]
    for words_ in HOSTILE:
        blocks += [dj.heading(words_ + "节"), text(words_ + "。")]
        blocks += [table(words_, HOSTILE[:3], words_)] if words_ in HOSTILE[:6] else []
    blocks += [table("表", HOSTILE[:8]), table("表", HOSTILE[8:])]
    told = dict.fromkeys(("title", "office", "purpose", "limits", "footer", "draft"), HOSTILE[0] + HOSTILE[7])
    return document(*blocks, language=language, **told)


DOCUMENTS = {
    "report": report(),
    "english": report("en", draft="INTERNAL DRAFT"),
    "hostile": hostile(),
    "title only": document(dj.heading("简短报告", depth=0)),
    "words only": document(
        dj.heading("简短报告", depth=0), text("没有可以单列的单位。"), dj.heading("空"), dj.heading("空二")
    ),
    "no title": document(text("只有一段话。")),
}


@pytest.fixture(scope="module")
def books() -> dict[str, Any]:
    return {name: openpyxl.load_workbook(io.BytesIO(to_xlsx(one))) for name, one in DOCUMENTS.items()}


@pytest.fixture(scope="module")
def shows() -> dict[str, Any]:
    return {name: pptx.Presentation(io.BytesIO(to_pptx(one))) for name, one in DOCUMENTS.items()}


def parts(content: bytes) -> Iterator[tuple[str, bytes]]:
    """Every part of a package, and of packages inside."""
    with zipfile.ZipFile(io.BytesIO(content)) as package:
        for name in package.namelist():
            part = package.read(name)
            yield name, part
            if name.endswith(".xlsx"):
                yield from ((f"{name}!{inner}", inside) for inner, inside in parts(part))


# --- Excel --------------------------------------------------------------------------------------------------------


def test_the_printed_text_decides_number_and_places():
    assert printed_number("14042") == (14042.0, "0")
    assert printed_number("-1.3") == (-1.3, "0.0")
    assert printed_number("+0.0") == (0.0, "+0.0;-0.0;0.0")
    assert printed_number("57.1%") == (0.571, "0.0%")
    assert [printed_number(words_) for words_ in ("—", "≤10%", "2026Q3", "", "1,5")] == [None] * 5


@pytest.mark.parametrize("name", DOCUMENTS)
def test_contents_lead_to_every_table_and_back(books, name):
    book = books[name]
    contents = book.worksheets[0]
    links = [cell.hyperlink.location for row in contents.iter_rows() for cell in row if cell.hyperlink]
    targets = {link.rsplit("!", 1)[0].strip("'") for link in links}
    assert targets == {sheet.title for sheet in book.worksheets[1:]}
    tables = [block for block in DOCUMENTS[name].blocks if block.kind == "table"]
    assert len(book.worksheets) >= 3 + len(tables)
    back = [sheet for sheet in book.worksheets if sheet["A3"].hyperlink is not None]
    assert len(back) == len(tables)
    assert {sheet["A3"].hyperlink.location for sheet in back} <= {f"'{contents.title}'!A1", f"{contents.title}!A1"}


@pytest.mark.parametrize("name", DOCUMENTS)
def test_names_of_sheets_are_safe(books, name):
    names = [sheet.title for sheet in books[name].worksheets]
    assert len({one.casefold() for one in names}) == len(names)
    for one in names:
        assert len(one.encode("utf-16-le")) // 2 <= 31
        assert not re.search(r"[\[\]:*?/\\'\x00-\x1f]", one)
        assert one.casefold() != "history"


def test_a_table_is_numbers_under_a_frozen_header(books):
    sheet = next(sheet for sheet in books["report"].worksheets if sheet.title.endswith("分维度得分"))
    assert sheet["A1"].value.endswith("分维度得分")
    assert "2026Q3" in sheet["A2"].value
    assert "员工调查" in sheet["A2"].value
    assert sheet.freeze_panes in ("A5", "B5")
    assert sheet.print_title_rows in ("4:4", "$4:$4")
    assert [cell.value for cell in sheet[4]][:6] == [label for _, label, _ in COLUMNS]
    assert [cell.value for cell in sheet[5]][:5] == ["负荷", 20, 40.5, 0.571, 0]
    assert [cell.number_format for cell in sheet[5]][1:5] == ["0", "0.0", "0.0%", "0.0"]
    assert sheet["E6"].number_format == "+0.0;-0.0;0.0"
    assert [cell.value for cell in sheet[7]][:6] == ["成长", "—", "—", "≤10%", "—", "填答人数不足，按规定不单列"]
    assert sheet["A9"].value == "1个单位按规定不单列。"
    assert sheet.page_setup.paperSize == 9
    assert sheet.page_setup.orientation == "landscape"
    assert sheet.page_setup.fitToWidth in (None, 1), "one page wide, which is what is meant where nothing is said"
    assert sheet.page_setup.fitToHeight == 0
    assert sheet.sheet_properties.pageSetUpPr.fitToPage
    assert "&P" in sheet.oddFooter.center.text


def test_charts_stand_beside_short_tables_of_scores_from_zero():
    content = to_xlsx(DOCUMENTS["report"])
    charts = {name: part.decode() for name, part in parts(content) if re.fullmatch(r"xl/charts/chart\d+\.xml", name)}
    assert len(charts) == 1, "300 rows, and one number alone, have none"
    for chart in charts.values():
        assert '<c:min val="0"/>' in chart
        assert re.search(r'<c:max val="100(\.0)?"/>', chart)
        assert "<c:v>40.5</c:v>" in chart
    drawings = [part.decode() for name, part in parts(content) if name.startswith("xl/drawings/drawing")]
    assert all(re.search(r'<xdr:cNvPr [^>]*descr="[^"]+"', drawing) for drawing in drawings)


def test_only_a_plain_list_of_names_and_scores_becomes_bars():
    rows = table("表", ["甲", "乙", "丙"]).content
    bars = bars_of(rows)
    assert bars is not None
    assert (bars.labels, bars.values, bars.highest) == (("甲", "乙", "丙"), (40.5, 41.5, None), 100.0)
    assert bars_of(table("表", ["甲", "甲", "丙"]).content) is None, "a row is named by more than its first cell"
    assert bars_of(table("表", ["甲"]).content) is None
    assert bars_of(table("表", [str(i) for i in range(41)]).content) is None
    assert bars_of({**rows, "rows": [["甲", "9", "-4.0", "", "", ""], ["乙", "9", "3.0", "", "", ""]]}) is None
    assert bars_of({**rows, "rows": [["甲", "9", "104.0", "", "", ""], ["乙", "9", "3.0", "", "", ""]]}) is None
    twice = [*rows["columns"], {"name": "score", "label": "得分", "kind": "number", "width": 8.0}]
    assert bars_of({**rows, "columns": twice, "rows": [[*row, "1.0"] for row in rows["rows"]]}) is None


def test_the_notes_sheet_says_what_signs_mean(books):
    told = [cell.value for cell in books["report"][say("zh", "sheet_notes")]["A"] if cell.value]
    for words_ in ("用于改进管理和帮扶。", "不足10人不单列。", "每题换算为0—100分。", "方案 abc；数据 def。"):
        assert words_ in told
    assert {say("zh", f"sheet_legend_{name}") for name in ("dash", "hidden", "bound", "numbers")} <= set(told)


def test_figures_are_put_where_no_table_says_the_same(books):
    book = books["report"]
    assert [len(sheet._images) for sheet in book.worksheets if sheet._images] == [3]
    assert len(book[say("zh", "sheet_figures")]._images) == 3


def test_a_draft_is_marked_on_every_sheet(books):
    for sheet in books["english"].worksheets:
        assert "INTERNAL DRAFT" in sheet.oddHeader.center.text
    assert all(not sheet.oddHeader.center.text for sheet in books["report"].worksheets)


@pytest.mark.parametrize("name", DOCUMENTS)
def test_no_sheet_row_or_column_is_hidden_and_no_formula_comes_from_data(books, name):
    for sheet in books[name].worksheets:
        assert sheet.sheet_state == "visible"
        assert not any(one.hidden for one in (*sheet.row_dimensions.values(), *sheet.column_dimensions.values()))
        assert all(cell.data_type != "f" for row in sheet.iter_rows() for cell in row)
    content = to_xlsx(DOCUMENTS[name])
    assert not any(b"<f>" in part for part_name, part in parts(content) if part_name.startswith("xl/worksheets/"))


# --- PowerPoint ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", DOCUMENTS)
def test_slides_are_few_titled_noted_and_numbered(shows, name):
    show = shows[name]
    assert (show.slide_width, show.slide_height) == (12_192_000, 6_858_000)
    slides = list(show.slides)
    assert 2 <= len(slides) <= 10
    titles = [slide.shapes.title.text_frame.text for slide in slides]
    assert all(titles)
    assert len(set(titles)) == len(titles)
    assert titles[-1] == say(DOCUMENTS[name].language, "slide_method")
    for slide in slides:
        assert slide.notes_slide.notes_text_frame.text.strip()
        assert 'type="slidenum"' in ElementTree.tostring(slide._element, "unicode")
        for shape in slide.placeholders:
            assert shape.placeholder_format.type is not None
            assert shape.text_frame.text.strip() or "slidenum" in ElementTree.tostring(shape._element, "unicode")
        for described in slide._element.xpath(".//p:pic//p:cNvPr | .//p:graphicFrame//p:cNvPr"):
            assert described.get("descr", "").strip()
    spoken = sum(ems(slide.notes_slide.notes_text_frame.text) for slide in slides)
    assert spoken <= SPOKEN_EMS * 1.05, "ten minutes"


@pytest.mark.parametrize("name", DOCUMENTS)
def test_nothing_leaves_the_slide_and_text_fits_its_box(shows, name):
    show = shows[name]
    for slide in show.slides:
        for shape in slide.shapes:
            assert shape.left >= 0
            assert shape.top >= 0
            assert shape.left + shape.width <= show.slide_width
            assert shape.top + shape.height <= show.slide_height
            if shape.has_text_frame and shape.text_frame.text and shape.shape_id != 0:
                runs = [run for paragraph in shape.text_frame.paragraphs for run in paragraph.runs]
                sizes = {run.font.size.pt for run in runs if run.font.size is not None}
                for size in sizes:
                    width = (shape.width / 12_700 - 8) / size
                    lines = sum(max(1, -int(-ems(p.text) // width)) for p in shape.text_frame.paragraphs)
                    assert lines * size * 1.1 <= shape.height / 12_700 + size * 0.5, shape.text_frame.text[:40]


def test_fonts_are_named_in_the_theme():
    themes = [part.decode() for name, part in parts(to_pptx(DOCUMENTS["report"])) if name.startswith("ppt/theme/")]
    assert len(themes) >= 2
    for theme in themes:
        for kind in ("majorFont", "minorFont"):
            fonts = re.search(rf"<a:{kind}>(.*?)</a:{kind}>", theme, re.DOTALL)
            assert fonts is not None
            assert '<a:latin typeface="Arial"/><a:ea typeface="微软雅黑"/>' in fonts[1]


def test_the_first_slide_has_the_mark_and_a_draft_is_marked_on_each(shows):
    def told(slide: Any) -> str:
        return "\n".join(shape.text_frame.text for shape in slide.shapes if shape.has_text_frame)

    assert "内部资料 注意保存" in told(shows["report"].slides[0])
    assert say("zh", "secrecy") in told(shows["title only"].slides[0])
    assert all("INTERNAL DRAFT" in told(slide) for slide in shows["english"].slides)
    assert all("INTERNAL DRAFT" not in told(slide) for slide in shows["report"].slides)


def test_no_unit_stands_beside_the_colour_of_a_warning(shows):
    slides = slides_of(DOCUMENTS["report"])
    told = " ".join(
        part for slide in slides for part in (slide.statement, *slide.notes, *(words_ for _, words_ in slide.points))
    )
    assert "红色预警1家，橙色2家" in told
    assert "甲公司为红色" not in told
    plots = [slide.visual.content.get("plot") for slide in slides if slide.visual is not None]
    assert "plot_heat" not in plots
    assert "plot_scores" in plots
    warned = table("预警单位", ["甲公司", "乙公司"])
    warned.content["rows"][0][5] = "红色"
    shown = slides_of(document(dj.heading("报告", depth=0), dj.heading("预警"), text("预警2家。"), warned))
    assert all(slide.visual is None for slide in shown)
    assert "预警2家" in [slide.statement for slide in shown]


def test_a_statement_heads_each_slide_and_the_first_figures_follow(shows):
    slides = slides_of(DOCUMENTS["report"])
    assert slides[0].kind == "title"
    assert slides[1].statement.startswith("员工思想指数65.1分（估计范围64.9—65.3分）")
    assert [figure_.content["value"] for figure_ in slides[1].figures] == ["65.1"]
    assert ("总体情况", "参与率70.2%，比上期下降0.5个百分点。") in slides[1].points
    dimensions = next(slide for slide in slides if slide.statement == "各维度在60.5分以上")
    assert dimensions.visual is not None
    assert dimensions.visual.content["caption"] == "分维度得分"
    assert "每题换算为0—100分。" in [words_ for _, words_ in slides[-1].points]
    assert not any("每题换算" in words_ for slide in slides[:-1] for _, words_ in slide.points)


def test_more_sections_than_slides_keep_those_that_say_and_show_something():
    blocks = [dj.heading("报告", depth=0), text("开头一句65.1分。另一句。")]
    for i in range(14):
        blocks += [dj.heading(f"第{i}节"), text(f"第{i}节的发现。")]
        blocks += [table(f"表{i}", ["甲", "乙", "丙"])] if i >= 8 else []
    slides = slides_of(document(*blocks))
    assert len(slides) == 10
    assert [slide.statement for slide in slides[2:-1]] == [f"第{i}节的发现" for i in (0, 8, 9, 10, 11, 12, 13)]


def test_bars_on_slides_are_native_from_zero_and_edit_without_a_formula(shows):
    charts = [shape.chart for slide in shows["report"].slides for shape in slide.shapes if shape.has_chart]
    assert len(charts) == 1
    axis = charts[0].value_axis
    assert (axis.minimum_scale, axis.maximum_scale) == (0, 100)
    assert tuple(charts[0].plots[0].series[0].values) == (40.5, 41.5, None)
    held = openpyxl.load_workbook(io.BytesIO(charts[0].part.chart_workbook.xlsx_part.blob)).active
    assert held is not None
    assert [[cell.value for cell in row] for row in held.iter_rows()][1:3] == [["负荷", 40.5], ["支持", 41.5]]
    for chart in (s.chart for slide in shows["hostile"].slides for s in slide.shapes if s.has_chart):
        inside = openpyxl.load_workbook(io.BytesIO(chart.part.chart_workbook.xlsx_part.blob)).active
        assert inside is not None
        assert all(cell.data_type != "f" and cell.hyperlink is None for row in inside.iter_rows() for cell in row)


# --- Text that is cut ---------------------------------------------------------------------------------------------


def test_text_is_cut_at_sentences_and_says_where_it_was_cut():
    assert cut_to_width("短句。", 20) == "短句。"
    assert cut_to_width("第一句话在这里。第二句话放不下了。", 12) == "第一句话在这里。"
    assert cut_to_width("甲公司一二三、乙公司一二三、丙公司一二三", 16) == "甲公司一二三、乙公司一二三等。"
    assert cut_to_width("得分六十五（估计范围，在误差之内），比上期下降很多很多", 12).endswith("…")
    assert cut_to_width("下降1.2分（估计范围0.1—2.3，在误差范围内），其余不变且很长很长很长", 26).count("（") == 1
    for width in (8, 15, 30):
        assert ems(cut_to_width("长" * 200, width)) <= width
    assert sentences("指数65.1分。下降0.3分！“对吗？”是的。", "zh")[:2] == ["指数65.1分。", "下降0.3分！"]
    assert sentences("The index is 65.1. It fell by 0.3 points.", "en") == [
        "The index is 65.1.",
        "It fell by 0.3 points.",
    ]


def test_sections_begin_at_titles_and_first_headings():
    parts_ = sections_of(
        document(text("前。"), dj.heading("题", 0), dj.heading("一", 1), dj.heading("细", 2), text("文。"))
    )
    assert [(part.title, part.depth, len(part.blocks)) for part in parts_] == [("", 0, 1), ("题", 0, 0), ("一", 1, 2)]


# --- Both ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("write", [to_xlsx, to_pptx])
@pytest.mark.parametrize("name", DOCUMENTS)
def test_every_part_is_sound_and_the_bytes_are_the_same_twice(write, name):
    content = write(DOCUMENTS[name])
    assert content == write(DOCUMENTS[name])
    for part_name, part in parts(content):
        if part_name.endswith((".xml", ".rels")):
            assert b"dcterms:created" not in part
            ElementTree.fromstring(part)
            assert not re.search("[\u202a-\u202e\u2066-\u2069]", part.decode())
        if part_name.endswith(".rels"):
            assert b'TargetMode="External"' not in part, "nothing leads out of the file"


@pytest.mark.parametrize("write", [to_xlsx, to_pptx])
def test_hostile_words_stand_as_they_are(write):
    told = " ".join(
        "".join(ElementTree.fromstring(part).itertext())
        for name, part in parts(write(DOCUMENTS["hostile"]))
        if name.endswith(".xml")
    )
    for words_ in (
        "=cmd|'/c calc'!A1",
        "<script>alert(1)</script>",
        '#read("/etc/passwd")',
        "../../x",
        "甲乙丙",
        "🙂𠮷䶮㐂支部",
    ):
        assert words_ in told, words_


@pytest.mark.skipif(shutil.which("soffice") is None, reason="no soffice (LibreOffice) here to open office files")
@pytest.mark.parametrize(("write", "ending"), [(to_xlsx, "xlsx"), (to_pptx, "pptx")])
def test_libreoffice_opens_every_file(write, ending, tmp_path):
    for number, one in enumerate(DOCUMENTS.values()):
        (tmp_path / f"f{number}.{ending}").write_bytes(write(one))
    converted(tmp_path, "pdf", *sorted(tmp_path.glob(f"*.{ending}")))
    assert len(list(tmp_path.glob("*.pdf"))) == len(DOCUMENTS)
    assert all(path.read_bytes().startswith(b"%PDF") for path in tmp_path.glob("*.pdf"))


def converted(folder: Path, ending: str, *files: Path) -> None:
    home = f"-env:UserInstallation=file://{folder / 'office'}"
    command = ["soffice", home, "--headless", "--convert-to", ending, "--outdir", str(folder), *map(str, files)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, done.stderr
    assert "Error" not in done.stderr


# --- Scores computed again ----------------------------------------------------------------------------------------

LEAVES = ("a", "b", "c", "d", "e", "f", "g", "h", "k")
TREE = Tree(
    (
        Indicator("T", role="index", label_zh="总分", label_en="Total"),
        Indicator("A", "T", role="dimension", label_zh="算术", weight=2),
        Indicator("a", "A", label_zh="甲", minimum=60, maximum=100, weight=3),
        Indicator("b", "A", label_zh="乙", minimum=0, maximum=7, direction=-1),
        Indicator("c", "A", label_zh="丙", minimum=0, maximum=1, weight=0.5),
        Indicator("G", "T", role="dimension", label_zh="几何", aggregator="geometric"),
        Indicator("d", "G", label_zh="丁", minimum=0, maximum=10),
        Indicator("e", "G", label_zh="戊", minimum=0, maximum=10, weight=2),
        Indicator("P", "T", role="dimension", label_zh="积分", aggregator="points", min_share=0.5),
        Indicator("f", "P", label_zh="己", minimum=0, maximum=100, weight=60),
        Indicator("g", "P", label_zh="庚", kind="deduct", points_each=5, weight=40),
        Indicator("h", "P", label_zh="辛", kind="bonus", points_each=3, weight=10),
        Indicator("k", "P", label_zh="壬", kind="veto"),
    ),
    about="units",
)


def recomputed(values: pd.DataFrame, tree: Tree = TREE) -> Block:
    """A block as :func:`dj.recomputation` makes it, of one row a unit."""
    from dj_analysis.publish.recomputation import _declared

    rows = [
        [None if cell is None else cell if isinstance(cell, str) else float(cell) for cell in row]
        for row in values.to_numpy(object)
    ]
    content = {
        "text": "见表", "period": "2026-09", "nodes": [_declared(node, "zh") for node in tree.nodes], "leaves": list(values.columns),
        "units": [f"第{i}支部" for i in range(len(rows))], "values": rows, "printed": ["—"] * len(rows),
    }  # fmt: skip
    return Block("recomputation", content)


@pytest.fixture(scope="module")
def values() -> pd.DataFrame:
    """Forty units with values, some missing, some not applicable; then the edges."""
    rng = np.random.default_rng(4)
    drawn = pd.DataFrame(
        {
            "a": rng.uniform(60, 100, 40), "b": rng.uniform(0, 7, 40), "c": rng.uniform(0, 1, 40), "d": rng.uniform(0, 10, 40),
            "e": rng.uniform(0, 10, 40), "f": rng.uniform(0, 100, 40), "g": rng.integers(0, 12, 40), "h": rng.integers(0, 6, 40),
            "k": rng.random(40) < 0.1,
        }
    )[list(LEAVES)].astype(float).astype(object)  # fmt: skip
    for column in LEAVES:
        drawn.loc[rng.random(40) < 0.15, column] = None
        drawn.loc[rng.random(40) < 0.15, column] = "not_applicable"
    none, zero = dict.fromkeys(LEAVES), dict.fromkeys(LEAVES, 0.0) | {"a": 60.0}
    free = dict.fromkeys(LEAVES, "not_applicable")
    return pd.concat([drawn, pd.DataFrame([none, zero, free], dtype=object)[list(LEAVES)]], ignore_index=True)


def without_results(content: bytes) -> bytes:
    """The same workbook with no kept result of any formula: whoever shows one has computed it."""
    stream = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as before, zipfile.ZipFile(stream, "w") as after:
        for name in before.namelist():
            part = before.read(name)
            if name.startswith("xl/worksheets/sheet"):
                part = re.sub(rb"(</f>)<v>[^<]*</v>", rb"\1", part)
                part = re.sub(rb'(<c [^>]*?) t="str"([^>]*><f>)', rb"\1\2", part)
            after.writestr(name, part)
    return stream.getvalue()


def cells_of(content: bytes, language: str = "zh", **options: Any) -> list[list[Any]]:
    sheet = openpyxl.load_workbook(io.BytesIO(content), **options)[say(language, "sheet_recompute")]
    return [[cell.value for cell in row] for row in sheet.iter_rows(min_row=13)]


@pytest.mark.skipif(shutil.which("soffice") is None, reason="no soffice (LibreOffice) here to compute formulas")
def test_libreoffice_computes_our_scores_from_values_and_weights(values, tmp_path):
    """To 1e-9 before any rounding; every aggregator, missing and not applicable parts, and a sheet of points."""
    from dj_analysis.measure.composites.upward import leaf_points, node_points

    content = to_xlsx(document(dj.heading("报告", depth=0), recomputed(values)))
    (tmp_path / "sheet.xlsx").write_bytes(without_results(content))
    assert all(row[-1] is None for row in cells_of(without_results(content), data_only=True)), "nothing is kept"
    converted(tmp_path, "ods", tmp_path / "sheet.xlsx")
    converted(tmp_path, "xlsx:Calc MS Excel 2007 XML", tmp_path / "sheet.ods")
    told = cells_of((tmp_path / "sheet.xlsx").read_bytes(), data_only=True)
    numbers = {code: pd.to_numeric(values[code], errors="coerce").to_numpy(float) for code in LEAVES}
    exempt = {code: (values[code] == "not_applicable").to_numpy() for code in LEAVES}
    ours = node_points(TREE, {leaf.code: leaf_points(leaf, numbers[leaf.code]) for leaf in TREE.leaves}, exempt)
    places = {code: 10 + i for i, code in enumerate(("a", "b", "c", "d", "e", "f", "g", "h", "k", "A", "G", "P", "T"))}
    compared = 0
    for code, place in places.items():
        for row, score in zip(told, ours[code], strict=True):
            if np.isnan(score):
                assert row[place] in ("—", "不适用"), (code, row)
            else:
                assert row[place] == pytest.approx(score, abs=1e-9), (code, row)
                compared += 1
    assert compared > 300
    assert np.isnan(ours["T"]).sum() >= 2
    assert {row[-2] for row in told} == {"—"}


def test_the_sheet_keeps_our_results_and_has_formulas_alone_of_its_own(values):
    content = to_xlsx(document(dj.heading("报告", depth=0), recomputed(values)))
    kept, formulas = cells_of(content, data_only=True), cells_of(content)
    assert isinstance(kept[0][10], (float, int, str))
    assert all(str(cell).startswith("=") for row in formulas for cell in [*row[10:-2], row[-1]])
    assert all(not str(cell).startswith("=") for row in formulas for cell in row[:10])
    hostile_values = values.rename(columns={})
    block = recomputed(hostile_values)
    block.content["units"][0] = HOSTILE[0]
    block.content["nodes"][2]["label"] = HOSTILE[0]
    again = to_xlsx(document(dj.heading("报告", depth=0), block))
    sheet = openpyxl.load_workbook(io.BytesIO(again))["计算过程"]
    assert sheet["A13"].data_type == "s"
    assert sheet["A13"].value == HOSTILE[0]


@pytest.fixture(scope="module")
def ws(tmp_path_factory: pytest.TempPathFactory) -> dj.Workspace:
    made = dj.make_company(employees=400, branches=8, quarters=1, seed=5)
    return dj.open_workspace(made.write(tmp_path_factory.mktemp("sheets") / "office"))


def test_the_block_gives_what_scores_were_computed_from(ws):
    period = ws.indicator_periods[-1]
    plan, marks = ws.release_plan(period), dj.score(ws.indicators(period))
    behind = dj.protect(methods.leaf_values(ws.indicators(period)), plan)
    block = dj.recomputation(behind, dj.protect(marks, plan))
    assert block.seal
    told = cells_of(to_xlsx(document(dj.heading("报告", depth=0), block)), data_only=True)
    assert len(told) == len(block.content["units"]) > 8
    assert {row[-1] for row in told} == {say("zh", "recompute_same")}
    top = ws.spec.indicators.at(period).top
    scores = marks.table[marks.table["code"] == top].drop_duplicates(["level", "unit"])
    ours = {ws.spec.unit_label(row.unit, row.level): row.score for row in scores.itertuples()}
    assert sum(isinstance(row[-3], float) for row in told) > 5
    for row in told:
        assert (np.nan if row[-3] == "—" else row[-3]) == pytest.approx(ours[row[0]], abs=1e-9, nan_ok=True)
    with pytest.raises(UsageError):
        dj.recomputation(methods.leaf_values(ws.indicators(period)), dj.protect(marks, plan))
    with pytest.raises(UsageError, match="leaf_values"):
        dj.recomputation(dj.protect(marks, plan), dj.protect(marks, plan))


def test_values_about_persons_are_given_to_nobody(ws):
    from dataclasses import replace

    period = ws.indicator_periods[-1]
    indicators = ws.indicators(period)
    tree = indicators.spec.indicators
    leaf = next(leaf.code for leaf in tree.at(period).leaves)
    nodes = tuple(replace(node, about="persons") if node.code == leaf else node for node in tree.nodes)
    about = replace(indicators, spec=replace(indicators.spec, indicators=replace(tree, nodes=nodes)))
    table_ = methods.leaf_values(about).table
    rows = table_[table_["code"] == leaf]
    assert rows["value_scored"].isna().all()
    assert set(rows["reason"]) == {"complement"}
    block = dj.recomputation(dj.protect(methods.leaf_values(about)), dj.protect(dj.score(indicators)))
    assert set(block.content) <= {"text", "waves"}
    assert (
        say("zh", "sheet_recompute")
        not in openpyxl.load_workbook(io.BytesIO(to_xlsx(document(dj.heading("报告", depth=0), block)))).sheetnames
    )


def test_leaf_values_are_those_reported_or_rolled_up(ws):
    period = ws.indicator_periods[-1]
    indicators = ws.indicators(period)
    given = indicators.values[indicators.values["period"] == period].set_index(["unit", "code"])["value"]
    table_ = methods.leaf_values(indicators).table
    own = table_.set_index(["unit", "code"])["value_scored"]
    both = given.index.intersection(own.index)
    assert len(both) > 50
    np.testing.assert_array_equal(own.loc[both].to_numpy(float), given.loc[both].to_numpy(float))
    tree = ws.spec.indicators.at(period)
    means = [leaf.code for leaf in tree.leaves if leaf.rollup == "mean"]
    units = ws.units.at_level("city")
    checked = 0
    for unit in units:
        children = [child.unit for child in ws.units.children(unit.unit)]
        for code in means:
            below = [
                own[child, code] for child in children if (child, code) in own.index and not np.isnan(own[child, code])
            ]
            if below and (unit.unit, code) not in given.index:
                assert own[unit.unit, code] == pytest.approx(np.mean(below))
                checked += 1
    assert checked > 0
