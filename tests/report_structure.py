"""What every report keeps in each format, whatever it says: a list of what is wrong with a file, by format.

Structure alone: headings in order, page and grid, page numbers, fonts named, header rows that repeat, alternative texts, nothing
empty that waits to be filled. What is said is tested with each report.
"""

from __future__ import annotations

import io
import itertools
import re
from collections.abc import Callable, Sequence
from typing import Any

import docx
import openpyxl
import pptx
import pypdfium2
from docx.oxml.ns import qn
from test_html_pages import Tree

from dj_analysis.publish.exports.document import Document
from dj_analysis.publish.wording import say


def html_problems(content: bytes, document: Document) -> list[str]:
    """Landmarks, one title, headings that skip no level, names of links, pictures and tables."""
    tree = Tree(content)
    wrong = [f"{len(tree.all(one))} {one}" for one in ("main", "footer", "title") if len(tree.all(one)) != 1]
    levels = [int(name[1]) for name, _, _ in tree.elements if re.fullmatch(r"h[1-6]", name)]
    wrong += _skipped(levels)
    wrong += [
        f"an empty {name}" for name in ("h1", "h2", "h3", "caption", "th") if "" in map(str.strip, tree.text_of(name))
    ]
    wrong += ["a picture without words"] * sum(not str(one.get("alt") or "").strip() for one in tree.all("img"))
    frames = [one for one in tree.all("div") if one.get("class") == "table-frame"]
    wrong += ["a table that is not named"] * sum("aria-label" not in one for one in frames)
    names = [str(one.get("aria-label")) for one in frames]
    wrong += [f"two tables are named {name}" for name in {name for name in names if names.count(name) > 1}]
    wrong += ["a cell of a head without a scope"] * sum("scope" not in one for one in tree.all("th"))
    ids = [one["id"] for _, one, _ in tree.elements if "id" in one]
    wrong += ["an id twice"] * (len(ids) != len(set(ids)))
    wrong += [f"{one['href']} leads nowhere" for one in tree.all("a") if str(one["href"]).removeprefix("#") not in ids]
    return wrong


FOOT = 33 * 72 / 25.4  # points: below the text, whose last letters hang a little into the margin of 35 millimetres


def pdf_problems(content: bytes, document: Document) -> list[str]:
    """A4, a number at the outer side of each page, tags, bookmarks of all headings, every font in the file."""
    file = pypdfium2.PdfDocument(content)
    wrong = [] if file.is_tagged() else ["not tagged"]
    wrong += [] if file.get_metadata_dict()["Title"] else ["no title"]
    marks = [(mark.level, re.sub(r"\s", "", mark.get_title())) for mark in file.get_toc()]
    expected = [re.sub(r"\s", "", b.content["number"] + b.content["text"]) for b in document.headings]
    wrong += [] if [title for _, title in marks] == expected else [f"bookmarks {marks}"]
    for number, page in enumerate(file, start=1):
        size = tuple(round(side * 25.4 / 72) for side in page.get_size())
        wrong += [] if size == (210, 297) else [f"page {number} is {size}"]
        words = page.get_textpage()
        foot = words.get_text_bounded(bottom=0, top=FOOT).split()
        wrong += (
            [] if [str(number)] == re.findall(r"\d+", "".join(foot[-3:])) else [f"page {number} is numbered {foot}"]
        )
        side = words.get_text_bounded(right=105 * 72 / 25.4, bottom=0, top=FOOT).strip()
        wrong += [] if bool(side) == (number % 2 == 0) else [f"page {number}: its number stands at the inner side"]
        wrong += [f"page {number}: a font is not in the file"] * (not _fonts_are_embedded(page))
    return wrong


def sides_of(page: Any) -> list[int]:
    """Width and height of a page of Word and its margins above, below, left and right, in millimetres."""
    names = ("page_width", "page_height", "top_margin", "bottom_margin", "left_margin", "right_margin")
    return [round(getattr(page, name).mm) for name in names]


def docx_problems(content: bytes, document: Document) -> list[str]:
    """The page of GB/T 9704-2012, real headings, fonts by name, heads that repeat, described pictures, no empty line."""
    report = docx.Document(io.BytesIO(content))
    page, zh = report.sections[0], document.language == "zh"
    wrong = [] if sides_of(page) == [210, 297, 37, 35, 28, 26] else ["page"]
    grid = page._sectPr.find(qn("w:docGrid"))
    wrong += [] if grid.get(qn("w:linePitch")) == "579" and (grid.get(qn("w:type")) == "lines") == zh else ["grid"]
    for foot in (page.footer, page.even_page_footer):
        wrong += [] if "PAGE" in foot.paragraphs[0]._p.xml else ["a foot without a page number"]
    told = [p for p in report.paragraphs if p.style.name == "Title" or p.style.name.startswith("Heading ")]
    levels = [0 if p.style.name == "Title" else int(p.style.name.removeprefix("Heading ")) for p in told]
    wrong += _skipped([level + 1 for level in levels])
    wrong += [] if levels == [b.content["depth"] for b in document.headings] else ["headings differ"]
    for name in {p.style.name for p in report.paragraphs}:
        fonts = report.styles[name].element.find(qn("w:rPr") + "/" + qn("w:rFonts"))
        wrong += [] if fonts is not None and fonts.get(qn("w:eastAsia")) else [f"style {name} names no Chinese font"]
    for place, table in enumerate(report.tables, start=1):
        first = table._tbl.tr_lst[0].trPr
        wrong += (
            []
            if first is not None and first.find(qn("w:tblHeader")) is not None
            else [f"table {place}: its head does not repeat"]
        )
    pictures = report.element.findall(f".//{qn('wp:docPr')}")
    wrong += ["a picture without words"] * sum(not (one.get("descr") or "").strip() for one in pictures)
    wrong += ["an empty line"] * sum(
        not p.text.strip() and not p._p.findall(f".//{qn('w:drawing')}") for p in report.paragraphs
    )
    return wrong


def pptx_problems(content: bytes, document: Document) -> list[str]:
    """Ten slides at most, each with a title of its own, notes, a number, described pictures, no placeholder that waits."""
    slides = list(pptx.Presentation(io.BytesIO(content)).slides)
    wrong = [] if 2 <= len(slides) <= 10 else [f"{len(slides)} slides"]
    titles = [slide.shapes.title.text_frame.text.strip() for slide in slides]
    wrong += [] if all(titles) and len(set(titles)) == len(titles) else [f"titles {titles}"]
    for number, slide in enumerate(slides, start=1):
        wrong += [] if slide.notes_slide.notes_text_frame.text.strip() else [f"slide {number}: nothing to say"]
        described = slide._element.xpath(".//p:pic//p:cNvPr | .//p:graphicFrame//p:cNvPr")
        wrong += [f"slide {number}: a picture without words"] * any(
            not one.get("descr", "").strip() for one in described
        )
        waiting = [s for s in slide.placeholders if not s.text_frame.text.strip() and "slidenum" not in s._element.xml]
        wrong += [f"slide {number}: a placeholder waits"] * bool(waiting)
        wrong += [] if "slidenum" in slide._element.xml else [f"slide {number} is not numbered"]
    return wrong


def xlsx_problems(content: bytes, document: Document) -> list[str]:
    """A sheet for each table, heads frozen and printed on each page, pictures described, nothing hidden, no formula of data."""
    book, language = openpyxl.load_workbook(io.BytesIO(content)), document.language
    own = {say(language, f"sheet_{name}") for name in ("contents", "notes", "text", "recompute", "figures")}
    tables = [sheet for sheet in book.worksheets if sheet.title not in own]
    wrong = [] if len(tables) == len([b for b in document.blocks if b.kind == "table"]) else [f"{len(tables)} tables"]
    for sheet in book.worksheets:
        kept = [
            sheet.sheet_state,
            *(one.hidden for one in (*sheet.row_dimensions.values(), *sheet.column_dimensions.values())),
        ]
        wrong += [f"{sheet.title}: something is hidden"] * (kept != ["visible", *[False] * (len(kept) - 1)])
        wrong += [f"{sheet.title}: pages are not numbered"] * ("&P" not in sheet.oddFooter.center.text)
        formulas = any(cell.data_type == "f" for row in sheet.iter_rows() for cell in row)
        wrong += [f"{sheet.title}: a formula"] * (formulas and sheet.title != say(language, "sheet_recompute"))
    for sheet in tables:
        wrong += [] if sheet.freeze_panes and sheet.print_title_rows else [f"{sheet.title}: its head is not kept"]
        wrong += [] if sheet["A1"].value and sheet["A2"].value else [f"{sheet.title}: no title or no source"]
    return wrong


PROBLEMS: dict[str, Callable[[bytes, Document], list[str]]] = {
    "html": html_problems, "pdf": pdf_problems, "docx": docx_problems, "pptx": pptx_problems, "xlsx": xlsx_problems,
}  # fmt: skip


def _skipped(levels: Sequence[int]) -> list[str]:
    """Say where a heading lies more than one level below the one before it; the first is of the first level."""
    steps = itertools.pairwise([0, *levels])
    return [f"a heading of level {after} follows one of {before}" for before, after in steps if after > before + 1]


def _fonts_are_embedded(page: Any) -> bool:
    raw = pypdfium2.raw
    for one in page.get_objects(filter=[raw.FPDF_PAGEOBJ_TEXT]):
        font = raw.FPDFTextObj_GetFont(one.raw)
        if raw.FPDFFont_GetIsEmbedded(font) != 1:
            return False
    return True
