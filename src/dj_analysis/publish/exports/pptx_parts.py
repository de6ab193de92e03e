"""Parts of a slide: text that fits its box, native charts and tables, pictures, slide numbers."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from .. import theme
from ..blocks import Block
from ..wording import say
from .bars import Bars
from .packages import legible
from .pictures import png_of
from .pptx_page import MM
from .sections import cut_to_width, ems, lines_of
from .xlsx_parts import chart_workbook

BAND = "#F2F5F9"  # every other row of a table
POINTS_PER_MM = 72 / 25.4
LINE = 1.25  # height of a line in sizes
INSET = 2.0  # millimetres that a box keeps free on each side
HIGHEST_ROW = 14.0  # millimetres


@dataclass(frozen=True)
class Box:
    """A rectangle on a slide, in millimetres."""

    left: float
    top: float
    width: float
    height: float

    @property
    def emu(self) -> tuple[int, int, int, int]:
        """The same in the units of the file."""
        return round(self.left * MM), round(self.top * MM), round(self.width * MM), round(self.height * MM)

    def columns(self, size: float) -> float:
        """How many characters of this size stand in a line; a little is lost where lines break."""
        return (self.width - 2 * INSET) * POINTS_PER_MM / size * 0.94

    def lines(self, size: float, spacing: float = LINE) -> int:
        """How many lines of this size stand in the box."""
        return int((self.height - INSET) * POINTS_PER_MM / (size * spacing))


def fitted(texts: Sequence[str], box: Box, sizes: Sequence[float], spacing: float = LINE) -> tuple[float, list[str]]:
    """Return the largest of these sizes at which paragraphs fit a box; at the smallest the last ones are cut."""
    texts = [legible(text) for text in texts]
    for size in sizes:
        if lines_of(texts, box.columns(size)) <= box.lines(size, spacing):
            return size, texts
    size, kept, left = sizes[-1], [], box.lines(sizes[-1], spacing)
    for text in texts:
        if left <= 0:
            break
        cut = cut_to_width(text, left * box.columns(size) * 0.97)
        kept.append(cut)
        left -= lines_of([cut], box.columns(size))
    return size, kept


def write_paragraphs(
    frame: Any, texts: Sequence[str], size: float, language: str, *, labels: Sequence[str] = (), bold: bool = False,
    colour: str = theme.INK, align: str = "left", after: float = 0.0,
    bullets: bool = False,
) -> None:  # fmt: skip
    """Write paragraphs into a text frame in one size, each with its label in bold."""
    from pptx.dml.color import RGBColor
    from pptx.enum.text import MSO_AUTO_SIZE, PP_ALIGN
    from pptx.util import Pt

    frame.word_wrap, frame.auto_size = True, MSO_AUTO_SIZE.NONE
    frame.margin_left = frame.margin_right = round(INSET * MM)
    frame.margin_top = frame.margin_bottom = round(INSET * MM / 2)
    sides = {"left": PP_ALIGN.LEFT, "center": PP_ALIGN.CENTER, "right": PP_ALIGN.RIGHT}
    for number, words in enumerate(texts):
        paragraph = frame.paragraphs[0] if number == 0 else frame.add_paragraph()
        paragraph.alignment, paragraph.space_after, paragraph.line_spacing = sides[align], Pt(after), 1.1
        if bullets:
            _set_bullet(paragraph, size)
        label = legible(labels[number]) if number < len(labels) else ""
        strong = (label if label and words.startswith(label) else "", True)
        for part, heavy in (strong, (words.removeprefix(strong[0]), bold)):
            if part:
                run = paragraph.add_run()
                run.text = part
                run.font.size, run.font.bold = Pt(size), heavy
                run.font.color.rgb = RGBColor.from_string(colour.lstrip("#"))
                set_language(run, language)


def _set_bullet(paragraph: Any, size: float) -> None:
    from pptx.oxml import parse_xml
    from pptx.oxml.ns import nsdecls

    indent = round(size * 0.9 * 12_700)
    properties = paragraph._p.get_or_add_pPr()
    properties.set("marL", str(indent))
    properties.set("indent", str(-indent))
    properties.append(parse_xml(f'<a:buFont {nsdecls("a")} typeface="Arial"/>'))
    properties.append(parse_xml(f'<a:buChar {nsdecls("a")} char="•"/>'))


def set_language(run: Any, language: str) -> None:
    """Name the language of a run, so that it is spelled and read aloud rightly."""
    properties = run._r.get_or_add_rPr()
    properties.set("lang", "zh-CN" if language == "zh" else "en-GB")
    properties.set("altLang", "en-US" if language == "zh" else "zh-CN")


def describe(shape: Any, words: str) -> None:
    """Say what a picture, chart or table shows, for readers who do not see it."""
    properties = shape._element.xpath(".//p:cNvPr")[0]
    properties.set("descr", legible(words) or "—")


def add_text(slide: Any, box: Box, texts: Sequence[str], sizes: Sequence[float], language: str, **look: Any) -> None:
    """Add a box with paragraphs that fit it."""
    spacing = LINE + look.get("after", 0.0) / sizes[0]
    size, kept = fitted(texts, box, sizes, spacing)
    if kept:
        write_paragraphs(slide.shapes.add_textbox(*box.emu).text_frame, kept, size, language, **look)


def add_picture(slide: Any, box: Box, block: Block, *, centred: bool) -> Box:
    """Add a figure as a picture, as large as the box allows, at its left or in its middle; return where it stands."""
    c = block.content
    scale = min(box.width / c["width"], box.height / c["height"])
    width, height = c["width"] * scale, c["height"] * scale
    left = box.left + ((box.width - width) / 2 if centred else 0)
    place = Box(left, box.top + (box.height - height) / 2, width, height)
    picture = slide.shapes.add_picture(io.BytesIO(png_of(c["svg"], c["width"], c["height"])), *place.emu)
    describe(picture, c["alt"] or c["caption"])
    return place


def add_bars(slide: Any, box: Box, bars: Bars, title: str, language: str) -> None:
    """Add a bar chart that can be edited: its workbook holds the printed numbers as numbers and no formula."""
    from pptx.chart.data import CategoryChartData
    from pptx.dml.color import RGBColor
    from pptx.enum.chart import XL_CHART_TYPE, XL_TICK_LABEL_POSITION
    from pptx.util import Pt

    data = CategoryChartData(number_format=bars.form)
    labels, name = [cut_to_width(legible(label), 18) for label in bars.labels], legible(bars.name)
    data.categories = labels
    data.add_series(name, bars.values)
    shape = slide.shapes.add_chart(XL_CHART_TYPE.BAR_CLUSTERED, *box.emu, data)
    describe(shape, f"{title}: {bars.name}")
    chart = shape.chart
    chart.part.chart_workbook.update_from_xlsx_blob(chart_workbook(labels, name, bars.values, bars.form))
    chart.has_legend, chart.has_title = False, False
    chart.font.size, chart.font.color.rgb = Pt(12), RGBColor.from_string(theme.INK.lstrip("#"))
    axis = chart.value_axis
    axis.minimum_scale, axis.maximum_scale = 0, bars.highest
    axis.major_gridlines.format.line.color.rgb = RGBColor.from_string(theme.GRID.lstrip("#"))
    axis.format.line.fill.background()
    axis.tick_labels.number_format, axis.tick_labels.number_format_is_linked = "0%" if bars.highest <= 1 else "0", False
    chart.category_axis.reverse_order = True
    chart.category_axis.tick_label_position = XL_TICK_LABEL_POSITION.LOW
    plot = chart.plots[0]
    plot.gap_width, plot.vary_by_categories, plot.has_data_labels = 60, False, True
    plot.data_labels.number_format, plot.data_labels.number_format_is_linked = bars.form, False
    plot.series[0].format.fill.solid()
    plot.series[0].format.fill.fore_color.rgb = RGBColor.from_string(theme.ACCENT.lstrip("#"))


def add_table(slide: Any, box: Box, content: Mapping[str, Any], most: int, language: str) -> Box:
    """Add the first rows of a table, each cell cut to at most two lines; return the room they take."""
    from pptx.dml.color import RGBColor
    from pptx.enum.text import MSO_ANCHOR

    columns, rows = content["columns"], content["rows"][:most]
    height = min(box.height / (len(rows) + 1), HIGHEST_ROW)
    box = Box(box.left, box.top, box.width, height * (len(rows) + 1))
    shape = slide.shapes.add_table(len(rows) + 1, len(columns), *box.emu)
    describe(shape, content["caption"] or say(language, "sheet_table"))
    table = shape.table
    table.horz_banding = False
    shares = [min(column["width"], 26.0) for column in columns]
    widths = [box.width * share / sum(shares) for share in shares]
    texts = [[legible(column["label"]) for column in columns], *([legible(cell) for cell in row] for row in rows)]
    size = _cell_size(texts, widths, height)
    for place, width in enumerate(widths):
        table.columns[place].width = round(width * MM)
    for number, row in enumerate(texts):
        table.rows[number].height = round(height * MM)
        for place, words in enumerate(row):
            cell, column = table.cell(number, place), columns[place]
            head = number == 0
            cell.fill.solid()
            cell.fill.fore_color.rgb = RGBColor.from_string(
                (theme.ACCENT if head else ("#FFFFFF", BAND)[number % 2]).lstrip("#")
            )
            cut = cut_to_width(words, _lines_in(height, size) * Box(0, 0, widths[place], height).columns(size) * 0.95)
            write_paragraphs(
                cell.text_frame, [cut], size, language, bold=head, colour="#FFFFFF" if head else theme.INK,
                align="left" if column["kind"] == "text" else "right",
            )  # fmt: skip
            cell.vertical_anchor = MSO_ANCHOR.MIDDLE
            cell.margin_left = cell.margin_right = round(INSET * MM)
            cell.margin_top = cell.margin_bottom = round(INSET * MM / 4)
    return box


def _lines_in(height: float, size: float) -> int:
    return max(1, int((height - INSET / 2) * POINTS_PER_MM / (size * 1.2)))


def _cell_size(texts: Sequence[Sequence[str]], widths: Sequence[float], height: float) -> float:
    """Return the largest size at which every cell fits, 10 points at least."""
    for size in (14.0, 13.0, 12.0, 11.0):
        lines = _lines_in(height, size)
        if all(
            ems(words) <= lines * Box(0, 0, width, height).columns(size) * (0.95 if lines == 1 else 0.85)
            for row in texts
            for words, width in zip(row, widths, strict=True)
        ):
            return size
    return 10.0


def add_slide_number(slide: Any, box: Box, language: str) -> None:
    """Add a slide number as a placeholder with a field, as the program's own command does."""
    from pptx.oxml import parse_xml
    from pptx.oxml.ns import nsdecls

    left, top, width, height = box.emu
    lang = "zh-CN" if language == "zh" else "en-GB"
    number = len(slide.part.package.presentation_part.presentation.slides)
    slide.shapes._spTree.append(
        parse_xml(
            f'<p:sp {nsdecls("p", "a")}><p:nvSpPr><p:cNvPr id="{len(slide.shapes._spTree) + 10}" name="Slide Number"/>'
            '<p:cNvSpPr><a:spLocks noGrp="1"/></p:cNvSpPr><p:nvPr><p:ph type="sldNum" sz="quarter" idx="12"/></p:nvPr></p:nvSpPr>'
            f'<p:spPr><a:xfrm><a:off x="{left}" y="{top}"/><a:ext cx="{width}" cy="{height}"/></a:xfrm></p:spPr>'
            f'<p:txBody><a:bodyPr/><a:lstStyle/><a:p><a:pPr algn="r"/><a:fld id="{{B6F15528-21DE-4FAA-801E-634DDDAF4B2B}}" type="slidenum">'
            f'<a:rPr lang="{lang}" sz="1200"/><a:t>{number}</a:t></a:fld></a:p></p:txBody></p:sp>'
        )
    )
