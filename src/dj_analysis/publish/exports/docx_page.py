"""Page, styles, head and foot of a Word report by GB/T 9704-2012, or those of the office's own template."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ...errors import UsageError
from .document import Appearance, Document
from .docx_parts import TWIPS_PER_MM, add_field, element, legible, put, set_fonts

TEXT_WIDTH = 156  # millimetres (GB/T 9704-2012, 5.2.1)
LINE_PITCH = 579  # twips: 22 lines in 225 millimetres
BODY, SMALL = 16.0, 10.5  # points: 3号, 5号
FANGSONG, HEITI, KAITI, XIAOBIAOSONG, SONGTI = "仿宋_GB2312", "黑体", "楷体_GB2312", "方正小标宋简体", "宋体"
LATIN, ENGLISH = "Times New Roman", "Times New Roman"
RED = "C00000"


@dataclass(frozen=True)
class Style:
    """A paragraph style: fonts, size in points, lines in points (0: single), indents in hundredths of a character."""

    font: str = FANGSONG
    size: float = BODY
    line: float = LINE_PITCH / 20
    bold: bool = False
    align: str = "both"
    first_line: int = 0
    right: int = 0
    before: float = 0.0
    after: float = 0.0
    keep_next: bool = False
    outline: int | None = None
    colour: str = ""
    right_tab: bool = False


#: Style → how it looks in Chinese; what an English report changes is in ``_ENGLISH``.
STYLES = {
    "Normal": Style(),
    "Body Text": Style(first_line=200),
    "Title": Style(XIAOBIAOSONG, 22, 32, align="center", before=14, after=14, keep_next=True),
    "Heading 1": Style(HEITI, first_line=200, keep_next=True, outline=0),
    "Heading 2": Style(KAITI, first_line=200, keep_next=True, outline=1),
    "Heading 3": Style(first_line=200, keep_next=True, outline=2),
    "Heading 4": Style(first_line=200, keep_next=True, outline=3),
    "Salutation": Style(),
    "Signature": Style(align="right", right=400),
    "Document Mark": Style(HEITI),
    "Letterhead": Style(XIAOBIAOSONG, 40, 0, align="center", before=40, after=12, colour=RED),
    "Document Number": Style(align="center", after=18, right_tab=True),
    "Imprint": Style(size=14, line=0, before=0, right_tab=True),
    "Key Figure": Style(HEITI, 14, 24, align="left", first_line=200),
    "Caption": Style(HEITI, 12, 0, align="center", before=2, after=8),
    "Table Caption": Style(HEITI, 12, 0, align="center", before=8, after=4, keep_next=True),
    "Figure": Style(line=0, align="center", before=6, keep_next=True),
    "Table Text": Style(size=SMALL, line=0, align="left", before=1, after=1),
    "Table Text Small": Style(size=9, line=0, align="left", before=1, after=1),
    "Table Text Tiny": Style(size=8, line=0, align="left", before=1, after=1),
    "Table Head": Style(HEITI, 9, 0, align="left", before=2, after=2, keep_next=True),
    "Note": Style(size=9, line=13, align="both", before=3, after=4),
}
_ENGLISH = {"size": 11.5, "line": 17.0, "first_line": 0}


def sizes_in(style: Style, language: str) -> tuple[float, float]:
    """Return the size and the line of a style in points, as they are in a language."""
    if language == "en" and style.size == BODY:
        return _ENGLISH["size"], _ENGLISH["line"] if style.line else style.line
    return style.size, style.line


def prepare(document: Document, appearance: Appearance) -> Any:
    """Return an empty Word file with page, styles, head and foot; a template keeps its own and its text."""
    import docx
    from docx.opc.exceptions import PackageNotFoundError

    if appearance.template is None:
        report = docx.Document()
        _set_page(report, document)
        _set_defaults(report, document.language)
    else:
        try:
            report = docx.Document(str(appearance.template))
        except (PackageNotFoundError, ValueError, KeyError) as error:
            raise UsageError(
                f"模板无法读取 (the template cannot be read): {appearance.template.name}: {error}"
            ) from error
    for name, style in STYLES.items():
        if appearance.template is None or name not in [one.name for one in report.styles]:
            _set_style(report, name, style, document.language)
    properties = report.core_properties
    for relation in [one for one in report.part.package.rels.values() if one.reltype.endswith("/thumbnail")]:
        del report.part.package.rels[relation.rId]  # a picture of the empty file that the library begins with
    properties.title, properties.author = (legible(document.meta.get(name, ""))[:255] for name in ("title", "office"))
    properties.comments, properties.language = "", "zh-CN" if document.language == "zh" else "en-GB"
    properties.last_modified_by, properties.revision = "", 1
    return report


def _set_page(report: Any, document: Document) -> None:
    from docx.shared import Mm

    page = report.sections[0]
    page.page_width, page.page_height = Mm(210), Mm(297)
    page.top_margin, page.bottom_margin, page.left_margin, page.right_margin = Mm(37), Mm(35), Mm(28), Mm(26)
    page.footer_distance, page.header_distance = Mm(25), Mm(15)
    # Lines alone: a pitch of characters is spread wide by some word processors; the letters are spaced in the style.
    grid = "lines" if document.language == "zh" else "default"
    put(page._sectPr, element("w:docGrid", type=grid, linePitch=LINE_PITCH), before=("w:printerSettings",))
    report.settings.odd_and_even_pages_header_footer = True
    page.footer.is_linked_to_previous = page.even_page_footer.is_linked_to_previous = False
    _number_pages(page.footer.paragraphs[0], "right")
    _number_pages(page.even_page_footer.paragraphs[0], "left")
    if draft := document.meta.get("draft", ""):
        for head in (page.header, page.even_page_header):
            head.is_linked_to_previous = False
            _mark_draft(head.paragraphs[0], draft)
    _set_mode(report.settings.element)


def _number_pages(foot: Any, side: str) -> None:
    """Write ``— 1 —`` at the outer side, a character from the edge (GB/T 9704-2012, 7.5)."""
    from docx.shared import Pt

    properties = foot._p.get_or_add_pPr()
    put(properties, element("w:ind", **{f"{side}Chars": 100, side: 280}), before=("w:jc",))
    put(properties, element("w:jc", val=side), before=("w:rPr",))
    foot.add_run("— ")
    add_field(foot, "PAGE")
    foot.add_run(" —")
    for run in foot.runs:
        set_fonts(run._r.get_or_add_rPr(), SONGTI, SONGTI)
        run.font.size = Pt(14)


def _mark_draft(head: Any, words: str) -> None:
    from docx.shared import Pt, RGBColor

    put(head._p.get_or_add_pPr(), element("w:jc", val="center"), before=("w:rPr",))
    run = head.add_run(words)
    set_fonts(run._r.get_or_add_rPr(), HEITI, LATIN)
    run.font.size, run.font.color.rgb = Pt(16), RGBColor.from_string(RED)


def _set_mode(settings: Any) -> None:
    """Say that the file is of today's Word: without it Word opens it as an old one (兼容模式)."""
    compat = element("w:compat")
    uri = "http://schemas.microsoft.com/office/word"
    compat.append(element("w:compatSetting", name="compatibilityMode", uri=uri, val=15))
    later = (
        "w:docVars",
        "w:rsids",
        "w:mathPr",
        "w:themeFontLang",
        "w:clrSchemeMapping",
        "w:shapeDefaults",
        "w:decimalSymbol",
    )
    put(settings, compat, before=(*later, "w:listSeparator"))


def _set_defaults(report: Any, language: str) -> None:
    """Name the fonts where every style begins, in place of those of the theme, and the language of proofing."""
    from docx.oxml.ns import qn

    defaults = report.styles.element.find(qn("w:docDefaults")).find(qn("w:rPrDefault")).find(qn("w:rPr"))
    set_fonts(defaults, FANGSONG, LATIN)
    spoken = "zh-CN" if language == "zh" else "en-GB"
    put(
        defaults,
        element("w:lang", val=spoken if language == "en" else "en-US", eastAsia="zh-CN"),
        before=("w:eastAsianLayout",),
    )


def _set_style(report: Any, name: str, look: Style, language: str) -> None:
    from docx.enum.style import WD_STYLE_TYPE
    from docx.shared import Pt, RGBColor

    known = {style.name: style for style in report.styles}
    style = known.get(name) or report.styles.add_style(name, WD_STYLE_TYPE.PARAGRAPH)
    if name != "Normal":
        style.base_style = report.styles["Normal"]
    style.hidden, style.quick_style = False, True
    body = look.size == BODY
    size, line = sizes_in(look, language)
    font = style.font
    font.size, font.bold, font.italic = Pt(size), look.bold or (language == "en" and look.font == HEITI), False
    font.color.rgb = RGBColor.from_string(look.colour or "000000")
    run = style.element.get_or_add_rPr()
    set_fonts(run, look.font, LATIN)
    if body and language == "zh":  # 28 characters in 156 millimetres
        put(
            run,
            element("w:spacing", val=-5),
            before=("w:w", "w:kern", "w:position", "w:sz", "w:szCs", "w:highlight", "w:u"),
        )
    _set_paragraph(style, look, line, language, on_grid=body and look.line > 0)


_AFTER_PARTS = ("w:contextualSpacing", "w:mirrorIndents", "w:jc", "w:textAlignment", "w:outlineLvl", "w:rPr")


def _set_paragraph(style: Any, look: Style, line: float, language: str, *, on_grid: bool) -> None:
    from docx.oxml.ns import qn

    properties = style.element.get_or_add_pPr()
    for old in list(properties):
        if old.tag in {
            qn("w:numPr"),
            qn("w:pBdr"),
            qn("w:spacing"),
            qn("w:ind"),
            qn("w:contextualSpacing"),
            qn("w:keepLines"),
        }:
            properties.remove(old)
    style.paragraph_format.keep_with_next = look.keep_next
    style.paragraph_format.widow_control = False  # the grid of 22 lines holds
    if look.right_tab:
        tabs = element("w:tabs")
        tabs.append(element("w:tab", val="right", pos=round(TEXT_WIDTH * TWIPS_PER_MM)))
        put(properties, tabs, before=("w:autoSpaceDE", "w:autoSpaceDN", "w:spacing", "w:ind", *_AFTER_PARTS))
    for name in ("autoSpaceDE", "autoSpaceDN"):
        put(properties, element(f"w:{name}", val=0), before=("w:spacing", "w:ind", *_AFTER_PARTS))
    if not on_grid:  # smaller letters would each take a whole line of the grid
        put(properties, element("w:snapToGrid", val=0), before=("w:spacing", "w:ind", *_AFTER_PARTS))
    spacing: dict[str, object] = {"before": round(look.before * 20), "after": round(look.after * 20)}
    spacing |= {"line": round(line * 20), "lineRule": "exact"} if line else {"line": 240, "lineRule": "auto"}
    put(properties, element("w:spacing", **spacing), before=("w:ind", *_AFTER_PARTS))
    first = look.first_line if language == "zh" else _ENGLISH["first_line"]
    twips = round(look.size * 20 / 100)  # a hundredth of a character, for word processors that know no characters
    indents: dict[str, object] = {"firstLineChars": first, "firstLine": round(first * twips)} if first else {}
    indents |= {"rightChars": look.right, "right": look.right * twips} if look.right else {}
    put(properties, element("w:ind", **({"left": 0, "firstLine": 0} | indents)), before=_AFTER_PARTS)
    put(properties, element("w:jc", val=look.align), before=("w:textAlignment", "w:outlineLvl", "w:rPr"))
    if look.outline is not None:
        put(properties, element("w:outlineLvl", val=look.outline), before=("w:rPr",))
