"""Parts of a Word file that python-docx has no words for: fields, borders, repeated headers, Chinese fonts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from .packages import legible

TWIPS_PER_MM = 1440 / 25.4


def element(tag: str, /, **attributes: object) -> Any:
    """Return an element of the main namespace, e.g. ``element("w:ind", firstLineChars=200)``."""
    from docx.oxml import OxmlElement
    from docx.oxml.ns import qn

    made = OxmlElement(tag)
    for key, value in attributes.items():
        made.set(qn(f"w:{key}"), str(value))
    return made


def put(parent: Any, child: Any, *, before: Sequence[str] = ()) -> None:
    """Add a child in place of one of the same name; before the first of these names, as the schema orders them."""
    from docx.oxml.ns import qn

    for old in parent.findall(child.tag):
        parent.remove(old)
    later = {qn(name) for name in before}
    place = next((number for number, one in enumerate(parent) if one.tag in later), len(parent))
    parent.insert(place, child)


def set_fonts(properties: Any, east_asian: str, latin: str) -> None:
    """Name the fonts of run properties; Chinese letters need ``eastAsia``, which python-docx does not write."""
    from docx.oxml.ns import qn

    for old in properties.findall(qn("w:rFonts")):  # with its references to the theme
        properties.remove(old)
    properties.insert(0, element("w:rFonts", ascii=latin, hAnsi=latin, cs=latin, eastAsia=east_asian))


def paragraph(report: Any, style: str) -> Any:
    """Add a paragraph of this style at the end."""
    return report.add_paragraph(style=style)


def style_id(report: Any, style: str) -> str | None:
    """Return what names a style of paragraphs inside the file; None for the default one, which is not named."""
    from docx.enum.style import WD_STYLE_TYPE

    return report.part.get_style_id(report.styles[style], WD_STYLE_TYPE.PARAGRAPH)


def write_text(added: Any, words: str) -> None:
    """Write words into a paragraph as they are; line breaks stay, what XML cannot hold is left out."""
    if words:
        added.add_run(legible(words))


def add_border(added: Any, *sides: str, colour: str = "000000", eighths: int = 6) -> None:
    """Rule a paragraph at these sides (top, bottom)."""
    borders = element("w:pBdr")
    for side in ("top", "bottom"):
        if side in sides:
            borders.append(element(f"w:{side}", val="single", sz=eighths, space=4, color=colour))
    put(added._p.get_or_add_pPr(), borders, before=AFTER_BORDERS)


#: What may follow the borders in the properties of a paragraph (ECMA-376, part 1, 17.3.1.26).
AFTER_BORDERS = (
    "w:shd", "w:tabs", "w:suppressAutoHyphens", "w:kinsoku", "w:wordWrap", "w:overflowPunct", "w:topLinePunct", "w:autoSpaceDE",
    "w:autoSpaceDN", "w:bidi", "w:adjustRightInd", "w:snapToGrid", "w:spacing", "w:ind", "w:contextualSpacing", "w:mirrorIndents",
    "w:suppressOverlap", "w:jc", "w:textDirection", "w:textAlignment", "w:textboxTightWrap", "w:outlineLvl", "w:divId",
    "w:cnfStyle", "w:rPr", "w:sectPr", "w:pPrChange",
)  # fmt: skip


def off_grid(added: Any) -> None:
    """Take a paragraph off the grid of lines, to which its own smaller lines would be rounded up."""
    put(
        added._p.get_or_add_pPr(),
        element("w:snapToGrid", val=0),
        before=AFTER_BORDERS[AFTER_BORDERS.index("w:spacing") :],
    )


def add_field(added: Any, instruction: str) -> None:
    """Add a field, e.g. ``PAGE``."""
    for kind, text in (("begin", ""), ("", instruction), ("separate", ""), ("text", "1"), ("end", "")):
        run = added.add_run()
        if kind == "text":
            run.text = text
        elif text:
            code = element("w:instrText")
            code.text = f" {text} "
            run._r.append(code)
        else:
            run._r.append(element("w:fldChar", fldCharType=kind))


def three_lines(table: Any, description: str) -> None:
    """Give a table the three rules of Chinese print: above, below the head, below; and say what it shows."""
    properties = table._tbl.tblPr
    borders = element("w:tblBorders")
    for side, eighths in (("top", 12), ("bottom", 12)):
        borders.append(element(f"w:{side}", val="single", sz=eighths, space=0, color="000000"))
    margins = element("w:tblCellMar")
    for side in ("left", "right"):
        margins.append(element(f"w:{side}", w=60, type="dxa"))
    put(properties, borders, before=("w:shd", "w:tblLayout", "w:tblCellMar", "w:tblLook", "w:tblCaption"))
    put(properties, margins, before=("w:tblLook", "w:tblCaption"))
    if description:
        put(properties, element("w:tblCaption", val=legible(description)), before=("w:tblDescription",))
    for cell in table.rows[0].cells:
        rule = element("w:tcBorders")
        rule.append(element("w:bottom", val="single", sz=6, space=0, color="000000"))
        put(cell._tc.get_or_add_tcPr(), rule, before=("w:shd", "w:noWrap", "w:tcMar", "w:vAlign"))


def repeat_header(table: Any) -> None:
    """Repeat the first row on every page, and break no row across pages."""
    for number, row in enumerate(table._tbl.tr_lst):
        properties = row.get_or_add_trPr()
        properties.append(element("w:cantSplit"))
        if number == 0:
            properties.append(element("w:tblHeader"))


def set_cell_widths(table: Any, shares: Sequence[float], width: float) -> None:
    """Part a width in millimetres among the columns by their shares."""
    table.autofit = False
    whole = sum(shares)
    twips = [round(share / whole * width * TWIPS_PER_MM) for share in shares]
    put(
        table._tbl.tblPr, element("w:tblW", w=sum(twips), type="dxa"),
        before=("w:jc", "w:tblCellSpacing", "w:tblInd", "w:tblBorders", "w:shd", "w:tblLayout", "w:tblCellMar", "w:tblLook"),
    )  # fmt: skip
    for column, one in zip(table._tbl.tblGrid.gridCol_lst, twips, strict=True):
        column.set(column.tag.replace("gridCol", "w"), str(one))
    for row in table._tbl.tr_lst:
        for cell, one in zip(row.tc_lst, twips, strict=True):
            put(
                cell.get_or_add_tcPr(),
                element("w:tcW", w=one, type="dxa"),
                before=("w:gridSpan", "w:vMerge", "w:tcBorders"),
            )
