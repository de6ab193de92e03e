"""Attacks on the files that leave: what their bytes hold, which numbers they tell, at what their figures are drawn.

A small company has marks only its makers know: ids, codes, comments, a key. Its reports are run as an office runs them,
and every file is taken apart. Each reader is first shown to find what was planted, so that no test passes by blindness.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import hmac
import html
import io
import json
import os
import re
import shutil
import subprocess
import sys
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cache, lru_cache
from html.parser import HTMLParser
from importlib import resources
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import matplotlib
import matplotlib.pyplot as plt
import nbformat
import nbformat.v4 as v4
import numpy as np
import pandas as pd
import papermill
import pypdfium2
import pytest
import typst
from companies import Company, company_of, sheets
from matplotlib.colors import Normalize, to_hex
from offices import office as small_office
from offices import people as small_people
from processes import dj_process
from trials import trials

import dj_analysis as dj
from dj_analysis import methods
from dj_analysis.judge.alerts import reason_words
from dj_analysis.judge.contributions import REST
from dj_analysis.publish import theme
from dj_analysis.publish.blocks import MIME
from dj_analysis.publish.exports.formats import FORMATS
from dj_analysis.publish.parameters import reports
from dj_analysis.publish.scope import Scope
from dj_analysis.publish.sentences import day_words
from dj_analysis.publish.wording import say
from dj_analysis.spec import assessment
from dj_analysis.spec.columns import columns, header, in_form, kind_of, value_word, written

NOW, BEFORE = "2026Q3", "2026Q2"
ITEMS = (("QA", "QB", "QC", "QD"), ("QE", "QF", "QG", "QH"), ("QI", "QJ", "QK", "QL"))
CODES = tuple(code for dimension in ITEMS for code in dimension)
SIZES = {"BAA": 40, "BAB": 6, "BAC": 13, "BAD": 31, "BBA": 90, "BBB": 75, "BBC": 30, "BCA": 7, "BDA": 14}
LEVEL_OF = {"BAA": 2.2, "BAB": 1.6, "BAC": 4.1, "BAD": 3.4, "BBA": 2.9, "BBB": 3.6, "BBC": 4.2, "BCA": 4.6, "BDA": 2.6}
HELD = "BBA"  # red, and nobody has told it yet
ID, CODE, COMMENT = "djzx", "qwvk", "梧桐苔痕"  # every id, own code and comment begins with these and nothing else does
BASE64 = re.compile(rb"[A-Za-z0-9+/]{24,}={0,2}|base64,[A-Za-z0-9+/=\s]+")


# --- Bytes: everything packed in a file ---------------------------------------------------------------------------


def views(content: bytes, depth: int = 4) -> Iterator[bytes]:
    """Yield the bytes, and whatever is packed in them: compressed, in base64, in an archive, escaped."""
    known, layer = {content}, [content]
    yield content
    for _ in range(depth):  # layer by layer: what is packed twice is unpacked once
        packed = {one for it in layer for one in packed_in(it)}
        layer = list(packed - known - {b""})
        known.update(layer)
        yield from layer


@lru_cache(maxsize=4096)
def packed_in(content: bytes) -> tuple[bytes, ...]:
    """Everything packed in these bytes, one layer down; the same part of many files is unpacked once."""
    return (*inflated(content), *members(content), *decoded(content), unescaped(content))


def inflated(content: bytes) -> Iterator[bytes]:
    """Try zlib and gzip wherever a stream of them may begin."""
    for found in re.finditer(rb"\x78[\x01\x5e\x9c\xda]|\x1f\x8b\x08|stream\r?\n", content):
        start = found.end() if found[0].startswith(b"stream") else found.start()
        try:
            yield zlib.decompressobj(47).decompress(content[start:])
        except zlib.error:
            continue


def members(content: bytes) -> Iterator[bytes]:
    if zipfile.is_zipfile(stream := io.BytesIO(content)) and content[:2] == b"PK":
        # A copy with signs unescaped is no archive any more: places in it may lie before its beginning. The file itself is read too.
        with contextlib.suppress(zipfile.BadZipFile, ValueError), zipfile.ZipFile(stream) as archive:
            yield "\n".join(archive.namelist()).encode()
            yield from (archive.read(name) for name in archive.namelist())


def decoded(content: bytes) -> Iterator[bytes]:
    for run in BASE64.findall(content):
        letters = b"".join(run.removeprefix(b"base64,").split()).rstrip(b"=")
        yield base64.b64decode(letters[: len(letters) // 4 * 4] + tail(letters))


def tail(letters: bytes) -> bytes:
    rest = letters[len(letters) // 4 * 4 :]
    return rest + b"=" * (4 - len(rest)) if len(rest) > 1 else b""


def unescaped(content: bytes) -> bytes:
    """Undo what JSON, Python, HTML and PDF strings do to text; bytes that are no text stay as they are."""
    octal = re.sub(rb"\\([0-3][0-7]{2})", lambda found: bytes([int(found[1], 8)]), content)
    text = octal.decode("utf-8", "surrogateescape")
    text = re.sub(r"\\+(?:u([0-9a-fA-F]{4})|x([0-9a-fA-F]{2}))", lambda found: letter(found[1] or found[2]), text)
    return html.unescape(text.replace("\\n", "\n")).encode("utf-8", "surrogateescape")


def letter(number: str) -> str:
    """Return the letter of a hexadecimal number; half of a pair of UTF-16 is no letter by itself."""
    return "?" if 0xD800 <= (code := int(number, 16)) < 0xE000 else chr(code)


def forms(text: str) -> set[bytes]:
    """Return a text as it may lie in a file: encodings, hexadecimal strings of PDF."""
    plain = {text.encode(encoding) for encoding in ("utf-8", "utf-16-le", "utf-16-be", "gb18030")}
    return plain | {piece.hex().encode() for piece in plain} | {piece.hex().upper().encode() for piece in plain}


@cache
def opened(content: bytes) -> tuple[bytes, ...]:
    return tuple(dict.fromkeys([*views(content), *drawn_text(content)]))


#: Alphabets of numbers, in one byte a letter and in two, and of keys: what is written in one lies within a run of its letters,
#: and these are few.
ALPHABETS = (rb"[0-9.-]{9,}", rb"(?:[0-9.-]\0){9,}", rb"(?:\0[0-9.-]){9,}", rb"[0-9A-Fa-f]{16,}")


def lies_in(view: bytes, needle: bytes) -> bool:
    return needle in (runs_in(view, letters) if (letters := alphabet_of(needle)) else view)


@lru_cache(maxsize=1 << 16)
def alphabet_of(needle: bytes) -> bytes:
    """The first alphabet a mark is written in, empty if in none."""
    return next((letters for letters in ALPHABETS if re.fullmatch(letters, needle)), b"")


@lru_cache(maxsize=1 << 16)
def runs_in(view: bytes, letters: bytes) -> bytes:
    """Every run of an alphabet, once."""
    return b"\0".join(set(re.findall(letters, b"\0\0" + view + b"\0\0")))


@lru_cache(maxsize=1 << 17)
def any_lies_in(view: bytes, needles: frozenset[bytes]) -> bool:
    """Tell whether one of these lies in a view; the same part of many files is searched once."""
    return any(lies_in(view, needle) for needle in needles)


def found(content: bytes, marks: Mapping[str, Iterable[bytes]]) -> list[str]:
    """Return the names of the marks that lie anywhere in a file."""
    sets = {name: frozenset(needles) for name, needles in marks.items()}
    return [name for name, needles in sets.items() if any(any_lies_in(view, needles) for view in opened(content))]


def drawn_text(content: bytes) -> Iterator[bytes]:
    """Text that a PDF draws by the numbers of its glyphs, with its metadata; other files show theirs as it is."""
    if not content.startswith(b"%PDF"):
        return
    document = pypdfium2.PdfDocument(content)
    pages = [page.get_textpage().get_text_range() for page in document]
    for text in (*pages, json.dumps(document.get_metadata_dict(), ensure_ascii=False), *poppler(content)):
        yield text.encode()
        yield "".join(text.split()).encode()


def poppler(content: bytes) -> list[str]:
    """A second opinion on the text of a PDF, where the machine has one."""
    if shutil.which("pdftotext") is None:
        return []
    done = subprocess.run(["pdftotext", "-", "-"], input=content, capture_output=True)
    return [done.stdout.decode("utf-8", "replace")]


OPTION = r"(?<![\d.])(?:[1-5]|25|50|75|100|0)(?:\.0+)?(?![\d.])"
SHEET = re.compile(rf"(?:{OPTION}[^\d]{{1,40}}){{{len(CODES) - 1},}}{OPTION}|(?<!\d)[1-5]{{{len(CODES)},}}(?!\d)")


IMAGE = re.compile(rb"/Subtype\s*/Image\b.*?endstream", re.DOTALL)


def sheets_in(content: bytes, known: set[tuple[float, ...]]) -> list[tuple[float, ...]]:
    """Return the answer sheets that stand in a file, as options or as scores, in any writing.

    The pixels of a colour bar are no writing: among their bytes, long runs of one value are letters by chance.
    """
    content = IMAGE.sub(b"", content) if content.startswith(b"%PDF") else content
    return [sheet for view in opened(content) for sheet in rows_of_options(view) if sheet in known]


@lru_cache(maxsize=1 << 16)
def rows_of_options(view: bytes) -> list[tuple[float, ...]]:
    """Return every row of as many options as there are questions; the same part of many files is read once."""
    rows: list[tuple[float, ...]] = []
    text = view.replace(b"\0", b"").decode("utf-8", "ignore")  # digits of wide encodings become plain ones
    for run in SHEET.findall(text):
        numbers = [float(n) for n in (run if run.isdigit() else re.findall(r"\d+(?:\.\d+)?", run))]
        rows += zip(*(numbers[i:] for i in range(len(CODES))), strict=False)
    return rows


# --- What a reader sees: words, tables, figures -------------------------------------------------------------------


@dataclass
class Seen:
    """What one file shows: ``words`` in reading order, ``footer`` apart, tables as (header, rows), figures as SVG."""

    words: str
    footer: str = ""
    tables: list[tuple[list[str], list[list[str]]]] = field(default_factory=list)
    figures: list[str] = field(default_factory=list)


PLUMBING = (
    "data-value",
    "class",
    "lang",
    "src",
    "style",
    "role",
    "id",
    "href",
    "scope",
    "tabindex",
    "aria-labelledby",
    "type",
)
SCRIPT = resources.files("dj_analysis.publish.exports").joinpath("page.js").read_text(encoding="utf-8")


class Page(HTMLParser):
    """Text of a page, and what its attributes say to those who do not see it."""

    def __init__(self) -> None:
        super().__init__()
        self.inside: list[str] = []
        self.parts: dict[bool, list[str]] = {True: [], False: []}
        self.figures: list[str] = []

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        if tag not in ("meta", "img", "br"):
            self.inside.append(tag)
        for name, value in attributes:
            if tag != "meta" and name not in PLUMBING and value:
                self.handle_data(value)
            if name == "src" and value:
                assert value.startswith("data:image/svg+xml;base64,"), "a figure is an SVG within the page"
                self.figures.append(base64.b64decode(value.split(",", 1)[1]).decode())

    def handle_endtag(self, tag: str) -> None:
        if tag in self.inside:
            while self.inside.pop() != tag:
                pass

    def handle_data(self, data: str) -> None:
        if "script" in self.inside:
            assert data == SCRIPT, "the only script is the package's own"
        elif "style" not in self.inside:
            self.parts["footer" in self.inside].append(data)

    handle_comment = handle_data


def read_html(content: bytes) -> Seen:
    text, page = content.decode(), Page()
    page.feed(text)
    tables = []
    for table in re.findall(r"<table>.*?</table>", text, re.DOTALL):
        root = ElementTree.fromstring(table)
        head = ["".join(cell.itertext()) for cell in root.iter("th") if cell.get("scope") == "col"]
        body = [["".join(cell.itertext()) for cell in row if cell.get("scope") != "col"] for row in root.iter("tr")]
        sorted_by = [(cell.get("data-value"), "".join(cell.itertext())) for cell in root.iter("td")]
        assert all(value.lstrip("+-") in shown.replace(",", "") for value, shown in sorted_by if value), (
            "sorted as shown"
        )
        tables.append((head, [row for row in body if row]))
    return Seen(" ".join(page.parts[False]), " ".join(page.parts[True]), tables, page.figures)


def read_notebook(content: bytes) -> Seen:
    """Read blocks, and the texts beside them, which no seal covers; figures as HTML are those of the blocks."""
    words, tables, figures = [], [], []
    for output in outputs_of(nbformat.reads(content.decode(), as_version=4)):
        shown = output["data"][MIME]["content"]
        figures += [shown["svg"]] if "svg" in shown else []
        words += [text for name, value in shown.items() if name not in ("svg", "waves") for text in texts_of(value)]
        page = Page()
        page.feed(re.sub(r"<svg.*?</svg>", "", output["data"]["text/html"], flags=re.DOTALL))
        words += [output["data"]["text/plain"], *page.parts[False]]
        if "rows" in shown:
            tables.append(([column["label"] for column in shown["columns"]], shown["rows"]))
    return Seen(" ".join(words), "", tables, figures)


def outputs_of(notebook: Any) -> list[Any]:
    return [output for cell in notebook.cells for output in cell.get("outputs", [])]


def texts_of(value: Any) -> list[str]:
    """Texts in the content of a block; its bare numbers are compared with the texts elsewhere."""
    if isinstance(value, dict):
        return texts_of(value.get("label"))
    if isinstance(value, list):
        return [text for part in value for text in texts_of(part)]
    return [value] if isinstance(value, str) else []


def read_pdf(content: bytes) -> Seen:
    pages = [page.get_textpage().get_text_range() for page in pypdfium2.PdfDocument(content)]
    return Seen(re.sub(r"—\s*\d+\s*—", " ", "\n".join(pages)))  # page numbers


def read_docx(content: bytes) -> Seen:
    """Read body, tables, what pictures say to those who do not see them, head and foot, properties."""
    import docx

    report = docx.Document(io.BytesIO(content))
    tables = []
    for table in report.tables:
        cells = [[cell.text for cell in row.cells] for row in table.rows]
        tables.append((cells[0], cells[1:]))
    paragraphs = [paragraph.text for paragraph in report.paragraphs]
    ending = next((i for i, words in enumerate(paragraphs) if re.match(FOOTER_BEGINS, words)), len(paragraphs))
    words, footer = paragraphs[:ending], paragraphs[ending:]
    words += [text for head, rows in tables for row in (head, *rows) for text in row]
    for name, root in package_parts(content):
        words += [value for element in root.iter() for key, value in element.items() if key in ("descr", "title")]
        if name.startswith("docProps/core") or re.match(r"word/(comments|footnotes|endnotes|header)", name):
            words += list(root.itertext())
    return Seen(" ".join(words), " ".join(footer), tables)


def read_pptx(content: bytes) -> Seen:
    """Read slides, notes, caches of charts with their workbooks, what pictures say, properties."""
    words, footer = [], []
    for name, root in package_parts(content):
        words += [value for element in root.iter() for key, value in element.items() if key in ("descr", "title")]
        if re.match(r"ppt/(slides|notesSlides)/[^/]+\.xml", name):
            for field in [f for parent in root.iter() for f in parent if f.tag.endswith("}fld")]:
                field.clear()  # the number of a slide
            for paragraph in (element for element in root.iter() if element.tag.endswith("}p")):
                text = "".join(paragraph.itertext())
                (footer if re.match(FOOTER_BEGINS, text) else words).append(text)
        elif re.match(r"ppt/charts/[^/]+\.xml", name):
            for cache in (element for element in root.iter() if element.tag.endswith(("numCache", "strCache"))):
                form = next((one.text or "" for one in cache if one.tag.endswith("}formatCode")), "")
                told = [one.text or "" for point in cache for one in point if point.tag.endswith("}pt")]
                words += [shown_as(float(text), form) if form else text for text in told]
        elif name.startswith("docProps/core"):
            words += list(root.itertext())
    with zipfile.ZipFile(io.BytesIO(content)) as package:
        books = [package.read(name) for name in package.namelist() if name.endswith(".xlsx")]
    for book in books:
        words += [text for _, rows in cells_shown(book) for row in rows for text in row]
    return Seen(" ".join(words), " ".join(footer))


def read_xlsx(content: bytes) -> Seen:
    """Read every cell as it is shown, caches of charts, what charts say, heads and feet of pages, properties.

    Where contents number the tables and count their rows, and the sheet of notes, are read as the footer.
    """
    words, footer, tables, sheets, numbers = [], [], [], cells_shown(content), numeric_cells(content)
    for place, (name, rows) in enumerate(sheets):
        if place == 0:
            words += [text for row in rows for text in row[1:6]]
            footer += [text for row in rows for text in (*row[:1], *row[6:])]
        elif place == 1:
            footer += [text for row in rows for text in row]
        else:
            words += [name, *(text for row in rows for text in row)]
        if place > 2 and len(rows) > 3 and rows[3][0]:
            width = len([text for text in rows[3] if text])
            body = [row[:width] for row in rows[4:]]
            body = body[: next((i for i, row in enumerate(body) if not row[1]), len(body))]
            tables.append((rows[3][:width], body))
    for name, root in package_parts(content):
        words += [
            value for element in root.iter() for key, value in element.items() if key in ("descr", "title", "tooltip")
        ]
        if re.match(r"xl/charts/[^/]+\.xml", name):
            for cache in (element for element in root.iter() if element.tag.endswith(("numCache", "strCache"))):
                form = next((one.text or "" for one in cache if one.tag.endswith("}formatCode")), "")
                told = [one.text or "" for point in cache for one in point if point.tag.endswith("}pt")]
                words += [text for text in told if not form or float(text) not in numbers]  # else it is a cell
        elif re.match(r"docProps/core|xl/comments", name):
            words += list(root.itertext())
        elif name.startswith("xl/worksheets"):
            words += [
                one.text or "" for one in root.iter() if one.tag.endswith(("oddHeader", "evenHeader", "firstHeader"))
            ]
    return Seen(" ".join(words), " ".join(footer), tables)


FOOTER_BEGINS = r"\s*(?:披露控制：|Disclosure control:)"


def package_parts(content: bytes) -> Iterator[tuple[str, Any]]:
    """Every XML part of an office file."""
    with zipfile.ZipFile(io.BytesIO(content)) as package:
        for name in package.namelist():
            if name.endswith((".xml", ".rels")):
                yield name, ElementTree.fromstring(package.read(name))


def cells_shown(content: bytes) -> list[tuple[str, list[list[str]]]]:
    """Every cell of every sheet, hidden ones too, as its format shows it."""
    import openpyxl

    book = openpyxl.load_workbook(io.BytesIO(content))
    return [
        (
            sheet.title,
            [["" if c.value is None else shown_as(c.value, c.number_format) for c in row] for row in sheet.iter_rows()],
        )
        for sheet in book.worksheets
    ]


def numeric_cells(content: bytes) -> set[float]:
    import openpyxl

    book = openpyxl.load_workbook(io.BytesIO(content))
    cells = (cell.value for sheet in book.worksheets for row in sheet.iter_rows() for cell in row)
    return {float(value) for value in cells if isinstance(value, (int, float))}


def shown_as(value: Any, form: str) -> str:
    """A number as a spreadsheet shows it; one that holds more than its format shows is told in full."""
    if not isinstance(value, (int, float)) or isinstance(value, bool):
        return str(value)
    plain = form.split(";")[0]
    places = len(plain.partition(".")[2].rstrip("%"))
    scaled = value * 100 if plain.endswith("%") else value
    if form == "General" or abs(scaled - round(scaled, places)) > 1e-9:
        return f"{value:.12g}"
    return f"{round(scaled, places) + 0.0:{'+' if plain.startswith('+') else ''}.{places}f}{'%' * plain.endswith('%')}"


READERS: dict[str, Callable[[bytes], Seen]] = {
    "html": read_html, "pdf": read_pdf, "ipynb": read_notebook, "docx": read_docx, "pptx": read_pptx, "xlsx": read_xlsx,
}  # fmt: skip


@cache
def seen(path: Path) -> Seen:
    kind = path.suffix.removeprefix(".")
    assert kind in READERS, f"{path.name}: no reader for .{kind}; add one to READERS in {Path(__file__).name}"
    return READERS[kind](path.read_bytes())


# --- A company with marks, and its reports ------------------------------------------------------------------------


@dataclass(eq=False)
class Told:
    """What one report may tell: every result it may speak of as it is printed, and the truth beside it."""

    spec: Any
    unit: str
    scope: list[str]
    hidden: set[str]
    tables: dict[str, pd.DataFrame]
    truth: pd.DataFrame
    plan: Any


@dataclass
class Left:
    """One report that left: its files by format, and what they may tell."""

    name: str
    lang: str
    files: dict[str, Path]
    told: Told


@dataclass
class Office:
    """The company, where its commands ran, what they said, and what left."""

    company: Company
    place: Path
    key: bytes
    said: dict[str, subprocess.CompletedProcess[str]] = field(default_factory=dict)
    reports: list[Left] = field(default_factory=list)
    machine: dict[str, Path] = field(default_factory=dict)
    hidden: pd.DataFrame = field(default_factory=pd.DataFrame)

    @property
    def folder(self) -> Path:
        return self.company.folder

    @property
    def marks(self) -> dict[str, set[bytes]]:
        """Canaries by name: what must be nowhere, in every writing."""
        own = (self.folder / ".dj" / "key").read_bytes()
        texts = {"an id": ID, "an own code": CODE, "a comment": COMMENT, "the place": str(self.place)}
        made = {name: forms(text) for name, text in texts.items()}
        for name, key in {"the workspace's key": own, "the key of codes": self.key}.items():
            made[name] = {key, key.hex().encode(), key.hex().upper().encode(), base64.b64encode(key)}
        codes = [f"{CODE}{i:04d}" for i in range(sum(SIZES.values()))]
        made["a pseudonym"] = {hashlib.sha256(code.encode()).hexdigest()[:16].encode() for code in codes[:40]}
        made["a pseudonym"] |= {pseudonym(self.key, code)[:16].encode() for code in codes[:40]}
        values = self.hidden[["score", "sd", "se", "low", "high"]].to_numpy(float).ravel()
        made["a hidden number"] = {f"{value:.9f}"[:-2].encode() for value in values if abs(value * 64 % 1) > 1e-9}
        return made

    @property
    def sheets(self) -> set[tuple[float, ...]]:
        answers = pd.concat(self.company.people.values())[list(CODES)].astype(float)
        rows = {tuple(row) for row in answers.itertuples(index=False)}
        return rows | {tuple((value - 1) * 25 for value in row) for row in rows}


def pseudonym(key: bytes, code: str) -> str:
    return hmac.new(key, code.encode(), hashlib.sha256).hexdigest()


def wave(rng: np.random.Generator, sizes: Mapping[str, int]) -> pd.DataFrame:
    """Answer sheets with an id, a code of one's own and a comment each; one group has few people."""
    people = sheets(rng, *((number, {"unit": unit}) for unit, number in sizes.items()), items=CODES)
    feeling = people["unit"].map(LEVEL_OF).to_numpy(float)
    for code in CODES:
        people[code] = np.clip(np.round(feeling + rng.normal(0, 1, len(people))), 1, 5).astype(int)
    people["age"] = rng.choice(["青年", "中年"], len(people))
    people.loc[people.index[:6], "age"] = "老年"
    numbers = [f"{i:04d}" for i in range(len(people))]
    people["respondent"] = [ID + number for number in numbers]
    people["own_code"] = [CODE + number for number in numbers]
    people["意见"] = [f"{COMMENT}{number}" if i % 3 == 0 else "" for i, number in enumerate(numbers)]
    people["consent_use"] = ["否" if i % 50 == 7 else "是" for i in range(len(people))]
    return people.assign(consent_link="是").sample(frac=1, random_state=3).reset_index(drop=True)


def marked_company(folder: Path) -> Company:
    rng = np.random.default_rng(20260703)
    units = [(city, "", "city") for city in ("CA", "CB", "CC", "CD")]
    units += [(branch, f"C{branch[1]}", "branch") for branch in SIZES]
    waves = {BEFORE: wave(rng, SIZES | {"BBC": 8}), NOW: wave(rng, SIZES)}
    company = company_of(folder, units, waves, items=ITEMS, groups=("age",))
    book = company.codebook
    book["label_zh"] = book["label_zh"].replace({"维度1": "负荷", "维度2": "支持", "维度3": "成长"})
    book.loc[len(book)] = ["意见", "", "意见", "text", "", "", "", "", "", ""]
    company.write()
    said = {name: "2026-06-30" if name == "date" else "已说明" for name, *_ in assessment.FIELDS}
    (folder / assessment.FILE).write_text(assessment.filled(said), encoding="utf-8")
    write_reviews(folder)
    return company


def write_reviews(folder: Path) -> None:
    """What became of the red and black warnings: BAA replied, CA did late, HELD was not told."""
    rows = [
        f"r{wave},human_review,BAA,{day},已核实,{wave}" for wave, day in ((BEFORE, "2026-06-10"), (NOW, "2026-09-10"))
    ]
    rows.append(f"late,human_review,CA,2026-09-10,已调整,{NOW}")
    head = "obligation,kind,unit,opened,label,cycle"
    (folder / "obligations.csv").write_text("\n".join([head, *rows]), encoding="utf-8")
    events = [f"r{BEFORE},replied,2026-06-11", f"r{NOW},replied,2026-09-11", "late,replied,2026-09-20"]
    (folder / "obligation_events.csv").write_text("\n".join(["obligation,state,time", *events]), encoding="utf-8")


@dataclass
class State:
    """Every result of the newest wave as it may be printed at one moment, and the truth beside it."""

    tables: dict[str, pd.DataFrame]
    truth: pd.DataFrame
    plan: Any


def state_of(folder: Path) -> State:
    """By the public way: protect, then printed."""
    ws = dj.open_workspace(folder)
    plan, scores = ws.release_plan(NOW), ws.scores(NOW)
    pairs = ws.pairs(NOW, BEFORE)
    change = dj.compare(scores, ws.scores(BEFORE), pairs)
    alerts = dj.alerts(
        scores, change=change, history=ws.alerts(before=NOW), work=ws.obligations(kind="measure"), seed=1
    )
    named = methods.after_review(alerts, ws.obligations(kind="human_review"), ws.scope("ALL", NOW).asof)
    results = {"scores": scores, "change": change, "alerts": named}
    results |= {"parts": methods.contributions(scores, ws.scores(BEFORE), change)}
    results |= {"power": methods.power_after(change, seed=1)}
    results |= {"contrast": dj.contrast(scores), "trend": dj.trend([ws.scores(wave) for wave in ws.until(NOW)])}
    if ws.has_answers(NOW):
        answers = ws.released(NOW)
        screened = dj.screen(answers)
        results |= {"seen": screened.parts["summary"], "without": screened.sensitivity(answers)}
    safe = {name: dj.protect(result, plan) for name, result in results.items()}
    safe |= {"response": safe["scores"].part("response"), "change_response": safe["change"].part("response")}
    safe |= {"untrue": safe["alerts"].part("expected"), "counts": safe["alerts"].part("counts")}
    safe |= {"linked": safe["change"].part("pairs")} if pairs else {}
    return State({name: part.printed().table for name, part in safe.items()}, scores.table, plan)


def may_tell(state: State, folder: Path, unit: str, lang: str) -> Told:
    """What a report about a unit may tell of it: the unit, the whole, the units below; of the whole, its groups too."""
    ws = dj.open_workspace(folder, lang)
    scope = ws.scope(unit, NOW).units
    units = [*scope, *(["青年", "中年", "老年"] if unit == "ALL" else [])]
    tables = {
        name: table[table["unit"].isin(units)].reset_index(drop=True) if "unit" in table else table
        for name, table in state.tables.items()
    }
    hidden = {row[1] for row in state.plan.hidden["survey", NOW]}
    return Told(ws.spec, unit, scope, hidden, tables, state.truth, state.plan)


def run_here(source: Path, values: Mapping[str, Any], folder: Path, _: Any) -> nbformat.NotebookNode:
    """Run a report's notebook in this process as a kernel does, and let it show every answer besides."""
    notebook = papermill.iorw.load_notebook_node(str(source))
    notebook = papermill.parameterize.parameterize_notebook(notebook, dict(values))
    shown: list[Any] = []
    space = {"display": lambda block: shown.append(block._repr_mimebundle_())}
    for cell in notebook.cells:
        exec(cell.source, space)
        cell.outputs = [v4.new_output("display_data", data) for data in shown]
        shown.clear()
    answers = (folder / "responses" / f"{values['period']}.csv").read_text(encoding="utf-8-sig")
    notebook.cells[-1].outputs += [
        v4.new_output("stream", name="stdout", text=answers),
        v4.new_output(
            "execute_result", {"text/html": answers, "image/png": base64.b64encode(answers.encode()).decode()}
        ),
    ]
    return notebook


@pytest.fixture(scope="module")
def office(tmp_path_factory: pytest.TempPathFactory) -> Office:
    """A draft that is sent, late answers, closing, a correction, withdrawals, and reports after each."""
    place = tmp_path_factory.mktemp("marked")
    made = Office(marked_company(place / "office"), place, bytes(range(101, 141)))
    made.machine = {name: place / name for name in ("home", "tmp", "work")}
    for folder in made.machine.values():
        folder.mkdir(exist_ok=True)
    (place / "key").write_bytes(made.key)
    company, every = made.company, made.company.people[NOW]
    late = every[every["unit"] == "BAD"].index[:4]
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DJ_KEY_FILE", str(place / "key"))
        company.write_wave(NOW, every.drop(late))
        report(made, "sent", "ALL", "zh", "--sent")
        company.write_wave(NOW, every)
        dj.open_workspace(company.folder).close(NOW)
        report(made, "final", "CA", "en")
        changed = every.copy()
        rows = changed.index[changed["unit"] == "BBB"][:30]
        changed.loc[rows, list(CODES)] = 5
        company.write_wave(NOW, changed)
        dj.open_workspace(company.folder).close(NOW, correct="漏录")
        gone = {
            unit: every[(every["unit"] == unit) & (every["consent_use"] == "是")].iloc[-1] for unit in ("BAB", "BBA")
        }
        command(made, "withdraw", "withdraw", company.folder, "--period", NOW, "--number", gone["BAB"]["respondent"])
        dj.open_workspace(company.folder).withdraw(NOW, gone["BBA"]["respondent"])
        patch.setattr("dj_analysis.publish.notebooks._execute", run_here)
        state = state_of(company.folder)
        for unit, lang in [("ALL", "en"), ("CA", "zh"), ("BBC", "en"), ("BAB", "zh")][: trials(4, 2)]:
            report_here(made, f"after-{unit}", may_tell(state, company.folder, unit, lang))
    told = made.reports[0].told
    made.hidden = told.truth[told.truth["unit"].isin(told.hidden)]
    return made


def command(office: Office, name: str, *arguments: object, program: str = "") -> subprocess.CompletedProcess[str]:
    """Run ``dj`` in a process of its own, with a home and a folder for temporary files that can be looked through.

    The draft that is sent, and what has a program of its own, imports for itself as well: that leaves nothing either.
    """
    where = office.machine
    env = os.environ | {"HOME": str(where["home"]), "TMPDIR": str(where["tmp"])}
    env |= {
        "MPLCONFIGDIR": matplotlib.get_cachedir(),
        "DJ_KEY_FILE": str(office.place / "key"),
        "PYTHONIOENCODING": "utf-8",
    }
    if not program and name != "sent":
        done = dj_process(*arguments, env=env, cwd=where["work"])
    else:
        start = [sys.executable, *(["-c", program] if program else ["-m", "dj_analysis.cli"]), *map(str, arguments)]
        done = subprocess.run(start, capture_output=True, text=True, encoding="utf-8", env=env, cwd=where["work"])
    office.said[name] = done
    return done


def report(office: Office, name: str, unit: str, lang: str, *more: str) -> None:
    told = may_tell(state_of(office.folder), office.folder, unit, lang)
    out = office.folder / "reports" / name
    given = ["--period", NOW, "--unit", unit, "--lang", lang, "--formats", ",".join(FORMATS), "--out", out, *more]
    done = command(office, name, "report", "quarterly", office.folder, *given)
    assert done.returncode == 0, done.stderr
    files = {Path(line).suffix[1:]: Path(line) for line in done.stdout.split("\n") if line.strip()}
    office.reports.append(Left(name, lang, files, told))


def report_here(office: Office, name: str, told: Told) -> None:
    out, lang = office.folder / "reports" / name, told.spec.language
    given: dict[str, Any] = {"period": NOW, "unit": told.unit, "lang": lang, "formats": list(FORMATS), "out": out}
    office.reports.append(Left(name, lang, dict(dj.run_report("quarterly", office.folder, **given).files), told))


# --- Numbers ------------------------------------------------------------------------------------------------------

TOKEN = re.compile(r"(?<![A-Za-z0-9.])\d+(?:\.\d+)*%?(?![A-Za-z\d])")
COUNTS = re.compile(  # how many units, and numbers of lists: no statistics
    r"\d+(?:\.\d+)?(?=\s*家|\s*个单位|期填答|\s+(?:units\b|u\w*…)| more not shown| waves have)|(?<=\(black )\d+|(?<=, red )\d+|(?<=, orange )\d+"
    r"|\(\d\)(?=\s*[题“])|(?<=附表)\d|(?<=附件)\d|(?<=[表图])\d+|(?<=Table )\d+|(?<=Figure )\d+|\d+(?=行见报告|\s+more rows)"
    r"|(?<=单列（)[2-9](?=）)|(?<=rule \()[2-9](?=\))"
)
HEADS = [word for lang in ("zh", "en") for key, word in dj.words(lang).items() if key[:2] in ("h_", "a_", "b_")]
FIRST = [
    r"\s+".join(map(re.escape, head.lstrip("1234. ").split()[:2])) if head.isascii() else head[0] for head in HEADS
]
LISTED = re.compile(rf"(?<![\d.])\d\.\s*(?=题|“|{'|'.join(sorted(set(FIRST)))})")


def numbers_in(text: str) -> set[str]:
    """Numbers as they are printed, without their signs; counts of units and the numbering of lists left out."""
    return set(TOKEN.findall(LISTED.sub(" ", COUNTS.sub(" ", text))))


SPOKEN = {  # what of each result a report says in words or tables
    "scores": ("n", "score", "low", "high", "favourable"), "response": ("n", "headcount", "rate"), "trend": ("score",),
    "change": ("before", "now", "difference", "low", "high", "mix", "within", "items", "common_items"),
    "contrast": ("n", "score", "whole", "difference", "low", "high"),
    "alerts": ("score", "probability", "n", "response"), "parts": ("n_before", "n", "difference", "contribution", "within", "mix"),
    "counts": ("units", "unnamed", "told", "heard"), "untrue": ("units", "untrue", "low", "high"), "seen": ("n", "share"), "without": ("difference",),
    "power": ("units", "fall", "single", "detected"), "linked": ("n_before", "n", "pairs", "linked_before", "linked"),
}  # fmt: skip


@cache
def may_stand(told: Told) -> set[str]:
    """Every number a report may print: its own results, and what is the same in every report."""
    rules = told.spec.rules
    made = {
        "0",
        "100",
        "95%",
        in_form(rules.response.minimum, "percent"),
        f"{rules.response.minimum:.0%}",
        in_form(rules.change.false_discovery, "percent"),
    }
    made |= {
        str(told.plan.min_group),
        "2026",
        in_form(rules.alerts.hysteresis, "number"),
        f"{rules.alerts.hysteresis:g}",
    }
    untrue = told.tables["untrue"].groupby(["level", "null"])["untrue"].sum()
    made |= {in_form(value, "number") for value in untrue}
    for name, spoken in SPOKEN.items():
        if name not in told.tables:  # sheets were withdrawn: nothing is computed from single ones any more
            continue
        table = told.tables[name]
        for column in spoken:
            cells = {cell(row, column, table) for _, row in table.iterrows() if pd.notna(row[column])}
            made |= {text.lstrip("+-≤≥<>") for text in cells}
    for reason in told.tables["alerts"]["reason"]:
        made |= numbers_in(reason_words(reason, told.spec))
    asof = day_words(Scope("ALL", NOW, told.spec).asof, told.spec.language)
    days = [*told.tables["alerts"][["due", "replied"]].to_numpy().ravel(), asof]
    made |= numbers_in(" ".join(days)) | {str(told.spec.rules.kinds["human_review"].days_until_due)}
    rates = told.tables["change_response"]["difference"]
    return made | {in_form(value, "points").lstrip("+-") for value in rates.dropna()} - {"—"}


def cell(row: pd.Series, name: str, table: pd.DataFrame) -> str:
    """A cell as it must be printed."""
    return written(row[name], name, n=row.get("n", np.nan), beside=list(table.columns))


def numbered(table: pd.DataFrame) -> list[str]:
    """The columns of a table that hold numbers."""
    return [name for name in table.columns if name in columns() and kind_of(name).form not in ("text", "flag")]


def row_by_words(told: Told, kind: str, head: list[str], row: list[str]) -> tuple[pd.Series, dict[str, int]]:
    """The row of a result that has the words of this row of a table in the columns of its keys."""
    spec, table = told.spec, told.tables[kind]
    if kind == "parts":
        by_unit = header("child", spec.language) in head
        table = table[(table["unit"] == told.unit) & (table["part"] == ("unit" if by_unit else "dimension"))]
    say_words = {
        "level": spec.level_label, "null": lambda word: value_word("null", word, spec.language), "code": spec.code_label,
        "warning": lambda word: value_word("warning", word, spec.language), "fall": lambda fall: written(fall, "fall"),
        "child": lambda unit: say(spec.language, "rest") if unit == REST else spec.unit_label(unit),
    }  # fmt: skip
    wanted = pd.Series(True, table.index)
    for name, words in say_words.items():
        if name in table and header(name, spec.language) in head:
            wanted &= table[name].map(words) == row[head.index(header(name, spec.language))]
    assert wanted.sum() == 1, (kind, head, row)
    places = {header(name, spec.language, list(table.columns)): name for name in numbered(table)}
    return table[wanted].iloc[0], {places[label]: place for place, label in enumerate(head) if label in places}


def rows_told(told: Told, head: list[str], row: list[str]) -> tuple[pd.Series, dict[str, int]]:
    """The row of the results that a row of a table shows, and where its numbers stand: column → place."""
    say_column = {name: header(name, told.spec.language) for name in ("unit", "code", "difference", "warning")}
    kind = "change" if say_column["difference"] in head else "alerts" if say_column["warning"] in head else "scores"
    marked = {"untrue": "null", "power": "detected", "linked": "pairs", "parts": "contribution", "contrast": "whole"}
    for one, name in marked.items():
        if one in told.tables and header(name, told.spec.language, list(told.tables[one].columns)) in head:
            kind = one
    table = told.tables[kind]
    if kind in ("untrue", "power", "parts"):
        return row_by_words(told, kind, head, row)
    table = table[table["form"] == "anchors"] if "form" in table else table
    names = [told.spec.unit_label(unit, level) for unit, level in zip(table["unit"], table["level"], strict=True)]
    wanted = pd.Series(table["unit"] == told.unit)
    groups = {
        told.spec.level_label(level) for level in told.tables["scores"]["level"]
    }  # head the tables of their groups
    named = next((i for i, label in enumerate(head) if label == say_column["unit"] or label in groups), None)
    if named is not None:
        wanted = pd.Series(names, table.index) == row[named]
    if "code" in table:
        labels, index = table["code"].map(told.spec.code_label), told.spec.codebook.index
        wanted &= (
            labels == row[head.index(say_column["code"])] if say_column["code"] in head else table["code"] == index
        )
    assert wanted.sum() == 1, (kind, head, row)
    places = {header(name, told.spec.language): name for name in numbered(table)}
    return table[wanted].iloc[0], {places[label]: place for place, label in enumerate(head) if label in places}


# --- Figures ------------------------------------------------------------------------------------------------------

SVG, LINK = "{http://www.w3.org/2000/svg}", "{http://www.w3.org/1999/xlink}href"


@dataclass
class Drawing:
    """What an SVG draws inside its axes: points of markers, paths with their style, words with their place."""

    ticks: dict[str, list[tuple[float, str]]]
    points: list[tuple[float, float]]
    paths: list[tuple[str, list[tuple[float, float]]]]
    words: list[tuple[str, float, float]]

    def value(self, axis: str, places: Iterable[float]) -> np.ndarray:
        """Convert places on the page back into what the axis says."""
        pixels, labels = zip(*self.ticks[axis], strict=True)
        slope, start = np.polyfit(pixels, [float(label) for label in labels], 1)
        return slope * np.array(list(places), dtype=float) + start

    def values(self, axis: str) -> np.ndarray:
        """Every value at which anything is drawn."""
        side = "xy".index(axis)
        return self.value(axis, [point[side] for point in (*self.points, *(p for _, path in self.paths for p in path))])


def drawing(svg: str) -> Drawing:
    root = ElementTree.fromstring(svg, ElementTree.XMLParser(target=ElementTree.TreeBuilder(insert_comments=True)))
    symbols = {path.get("id"): path.get("d", "") for path in root.iter(f"{SVG}path") if path.get("id")}
    made = Drawing({"x": [], "y": []}, [], [], [])
    axes = next(group for group in root.iter(f"{SVG}g") if group.get("id") == "axes_1")
    for group in axes:
        name = str(group.get("id"))
        if name.startswith("matplotlib.axis"):
            axis = "xy"[int(name[-1]) - 1]
            for tick in (tick for tick in group if "tick" in str(tick.get("id"))):
                mark = next(tick.iter(f"{SVG}use"))
                made.ticks[axis].append((float(mark.get(axis, "nan")), said(tick)))
        elif name.startswith("text"):
            x, y = re.findall(r"translate\(([-\d.]+) ([-\d.]+)\)", ElementTree.tostring(group, "unicode"))[0]
            made.words.append((said(group), float(x), float(y)))
        else:
            add_marks(made, group, symbols)
    return made


def add_marks(made: Drawing, group: Any, symbols: Mapping[Any, str]) -> None:
    """Take what is clipped to the axes: all that stands for data; frames and backgrounds are not."""
    clipped = {id(inner) for outer in group.iter() if outer.get("clip-path") for inner in outer.iter()}
    for element in (element for element in group.iter() if id(element) in clipped):
        if element.tag == f"{SVG}path":
            made.paths.append((element.get("style", ""), corners(element.get("d", ""))))
        elif element.tag == f"{SVG}use":
            x, y, symbol = float(element.get("x")), float(element.get("y")), symbols[element.get(LINK)[1:]]
            if "Collection" in group.get("id"):  # a band is a symbol of its own, moved into place
                made.paths.append((element.get("style", ""), [(x + a, y + b) for a, b in corners(symbol)]))
            else:
                made.points.append((x, y))


def said(element: Any) -> str:
    """Text is drawn as outlines; what it says stands beside it as a remark."""
    return "".join(node.text.strip() for node in element.iter() if node.tag is ElementTree.Comment)


def corners(path: str) -> list[tuple[float, float]]:
    numbers = [float(number) for number in re.findall(r"-?\d+(?:\.\d+)?(?:e-?\d+)?", path)]
    return list(zip(numbers[::2], numbers[1::2], strict=True))


def figures_of(left: Left) -> dict[str, Drawing]:
    """Figures of the page by kind, in the order in which the notebook made them; a hidden unit's report has none."""
    notebook = nbformat.read(left.files["ipynb"], as_version=4)
    made = [output["data"][MIME]["content"] for output in outputs_of(notebook)]
    kinds = [content["plot"].removeprefix("plot_") for content in made if "svg" in content]
    return dict(zip(kinds, map(drawing, seen(left.files["html"]).figures), strict=True))


def shown_in(kind: str, told: Told, level: str = "") -> pd.DataFrame:
    """Rows of the results that a figure draws, as printed."""
    table = told.tables[kind]
    table = table[table["code"] == "INDEX"] if "code" in table else table
    if kind == "trend":
        return table[table["unit"] == told.unit]
    return table[table["level"] == (level or ("city" if told.unit == "ALL" else "branch"))]


def may_be_drawn(kind: str, told: Told, level: str = "") -> np.ndarray:
    """Every value at which a figure may draw anything: the printed numbers it shows, and its fixed marks."""
    rows = shown_in(kind, told, level)
    if kind == "response":
        return np.array([0, 100 * told.spec.rules.response.minimum, *(100 * rows["rate"].dropna())], dtype=float)
    whole = told.tables["scores"].query("unit == 'ALL' and code == 'INDEX' and form == 'anchors'")
    drawn = pd.concat([rows, whole]) if kind == "scores" else rows
    return drawn[["score", "low", "high"]].to_numpy(float).ravel()


AXIS = {"scores": "x", "response": "x", "trend": "y"}
NEAR = 0.002  # points: a thousandth of the step of the smallest shown unit


def strays(kind: str, drawn: Drawing, told: Told, level: str = "") -> np.ndarray:
    """Values at which something is drawn although no printed number is there."""
    allowed = may_be_drawn(kind, told, level)
    if not drawn.points and not drawn.paths:
        return np.array([])
    values = drawn.values(AXIS[kind])
    return values[[not (np.abs(allowed - value) < NEAR).any() for value in values]]


def by_unit(drawn: Drawing, told: Told) -> dict[str, float]:
    """Unit → the value of its point, found by its name on the axis; ends of ranges are drawn before it."""
    names = dict(drawn.ticks["y"])
    units = {told.spec.unit_label(unit): unit for unit in told.scope}
    at = {units[names[tick]]: x for x, y in drawn.points for tick in names if abs(tick - y) < 1e-6}
    return dict(zip(at, drawn.value("x", at.values()), strict=True))


def filled(svg: str) -> list[np.ndarray]:
    """Corners of everything filled in the colour of data, in the order it is drawn."""
    colour = f"fill: {theme.ACCENT.lower()}"
    root = ElementTree.fromstring(svg)
    symbols = {path.get("id"): path.get("d", "") for path in root.iter(f"{SVG}path") if path.get("id")}
    made = []
    for element in root.iter():
        if colour in element.get("style", ""):
            path = element.get("d") or symbols[element.get(LINK, "")[1:]]
            moved = float(element.get("x", 0)), float(element.get("y", 0))
            made.append(np.array(corners(path)) + moved)
    return made


PDF_WORD = re.compile(rb"\((?:\\.|[^\\()])*\)|<[^>]*>|/[^\s/<>\[\]()]+|-?[\d.]+|[A-Za-z]+\*?", re.DOTALL)
ENDS = {"f", "f*", "B", "B*", "b", "b*", "s", "S", "n"}


def filled_in_pdf(content: bytes) -> list[np.ndarray]:
    """The same of a PDF: its drawing commands are carried out by hand."""
    colour = [int(theme.ACCENT[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    return [path for fill, path in painted(content) if len(fill) == 3 and np.allclose(fill, colour, atol=1e-4)]


def painted(content: bytes) -> Iterator[tuple[list[float], np.ndarray]]:
    streams = [view for view in inflated(content) if b" cm" in view and b" scn" in view]
    for stream in dict.fromkeys(streams):
        at, fill, kept, numbers, path = np.eye(3), [0.0], [], [], []
        for word in (found.decode("latin-1") for found in PDF_WORD.findall(stream)):
            if re.fullmatch(r"-?[\d.]+", word):
                numbers.append(float(word))
                continue
            if word == "q":
                kept.append((at, fill))
            elif word == "Q":
                at, fill = kept.pop()
            elif word == "cm":
                a, b, c, d, e, f = numbers[-6:]
                at = np.array([[a, b, 0], [c, d, 0], [e, f, 1]]) @ at
            elif word == "scn":
                fill = numbers
            elif word in ("m", "l", "c"):
                path += [(np.array([x, y, 1]) @ at)[:2] for x, y in zip(numbers[::2], numbers[1::2], strict=True)]
            elif word in ENDS:
                if word not in ("s", "S", "n") and path:
                    yield fill, np.array(path)
                path = []
            numbers = []


# --- Tests: bytes -------------------------------------------------------------------------------------------------


def every_file(office: Office) -> list[Path]:
    return sorted(path for path in (office.folder / "reports").rglob("*") if path.is_file())


def test_every_format_has_a_reader():
    lost = sorted({*FORMATS, "ipynb"} - set(READERS))
    assert not lost, f"these formats leave and are not attacked: {lost}; add a reader of each to READERS"


def test_every_file_under_reports_is_one_that_was_asked_for(office):
    asked = {path for left in office.reports for path in left.files.values()}
    lists = {path for path in every_file(office) if path.name == "index.html"}
    assert set(every_file(office)) - lists == asked
    assert lists == {path.parents[1] / "index.html" for path in asked}
    assert all({*FORMATS, "ipynb"} == set(left.files) for left in office.reports)


def test_nothing_of_any_person_is_in_any_byte(office):
    marks = office.marks
    assert {path.name: told for path in every_file(office) if (told := found(path.read_bytes(), marks))} == {}


def test_no_answer_sheet_is_in_any_byte(office):
    known = office.sheets
    assert {path.name: told for path in every_file(office) if (told := sheets_in(path.read_bytes(), known))} == {}


@pytest.mark.parametrize("name", ["methods", "agenda"])
@pytest.mark.parametrize("lang", ["zh", pytest.param("en", marks=pytest.mark.everything)])
def test_the_shorter_reports_of_a_wave_tell_of_nobody(office, tmp_path, monkeypatch, name, lang):
    monkeypatch.setenv("DJ_KEY_FILE", str(office.place / "key"))
    copy = tmp_path / "office"
    shutil.copytree(office.folder, copy, ignore=shutil.ignore_patterns("reports"))
    run = dj.run_report(name, copy, period=NOW, lang=lang, formats=FORMATS, out=tmp_path / "out")
    marks = {name: needles for name, needles in office.marks.items() if name != "the place"}
    marks["the place"] = forms(str(tmp_path))
    for path in run.files.values():
        assert found(path.read_bytes(), marks) == [], path.suffix
        assert sheets_in(path.read_bytes(), office.sheets) == [], path.suffix


def test_a_letter_tells_one_unit_of_itself(office, tmp_path, monkeypatch):
    monkeypatch.setenv("DJ_KEY_FILE", str(office.place / "key"))
    copy, out = tmp_path / "office", tmp_path / "out"
    shutil.copytree(office.folder, copy, ignore=shutil.ignore_patterns("reports"))
    run = dj.run_report("notice", copy, period=NOW, unit=HELD, start="2026-09-10", formats=FORMATS, out=out)
    marks = {name: needles for name, needles in office.marks.items() if name != "the place"}
    marks["the place"] = forms(str(tmp_path))
    spec = dj.open_workspace(copy).spec
    others = {spec.unit_label(unit) for unit in {*SIZES, "CA", "CB", "CC", "CD"} - {HELD}}
    for path in run.files.values():
        assert found(path.read_bytes(), marks) == [], path.suffix
        assert not [name for name in others if name in seen(path).words], path.suffix
    assert spec.unit_label(HELD) not in (out / NOW / "index.html").read_text(encoding="utf-8")


def test_runs_leave_nothing_of_any_person_on_the_machine(office):
    marks = {name: needles for name, needles in office.marks.items() if name != "the place"}
    paths = [path for folder in office.machine.values() for path in folder.rglob("*") if path.is_file()]
    assert {path.name: told for path in paths if (told := found(path.read_bytes(), marks))} == {}


def test_every_stream_of_a_pdf_is_opened(office):
    for left in office.reports:
        content = left.files["pdf"].read_bytes()
        whole = [m.end() for m in re.finditer(rb"/FlateDecode[^\0]{0,400}?>>\s*stream\r?\n", content)]
        assert len(whole) == content.count(b"/FlateDecode") > 5
        assert all(zlib.decompressobj().decompress(content[start:]) for start in whole)
        assert b"ObjStm" not in content or b"/FlateDecode" in content


# --- Tests: numbers -----------------------------------------------------------------------------------------------


def test_every_cell_of_a_table_is_what_may_be_printed(office):
    hidden_rows = cells = 0
    for left in office.reports:
        for kind in ("html", "ipynb", "docx", "xlsx"):
            for head, rows in seen(left.files[kind]).tables:
                for row in rows:
                    told, places = rows_told(left.told, head, row)
                    wanted = {name: cell(told, name, told.to_frame().T) for name in places}
                    assert {name: row[place] for name, place in places.items()} == wanted, (left.name, head, row)
                    cells += len(places)
                    if told.get("unit", "") in left.told.hidden:
                        hidden_rows += 1
                        assert set(wanted.values()) == {"—"}, (left.name, row)
    assert hidden_rows > 20
    assert cells > 500


def test_units_of_few_people_are_among_the_hidden(office):
    few = {unit for unit, n in SIZES.items() if n < office.company.min_group} | {"CC", "老年"}
    assert len(few) == 4
    for left in office.reports:
        assert few <= left.told.hidden
        assert ("branch", "BBC") in left.told.plan.hidden["survey", BEFORE]


def test_no_hidden_unit_is_named_beside_a_number(office):
    for left in office.reports:
        told = left.told
        names = [told.spec.unit_label(unit) for unit in told.hidden & set(told.scope) - {told.unit}]
        text = re.sub(r"<table>.*?</table>", "", left.files["html"].read_text(encoding="utf-8"), flags=re.DOTALL)
        assert not [name for name in names if name in text]


def test_no_text_prints_a_number_that_may_not_be_printed(office):
    for left in office.reports:
        allowed = may_stand(left.told)
        for path in left.files.values():
            assert numbers_in(without_footer(seen(path).words)) - allowed == set(), (left.name, path.suffix)


def without_footer(words: str) -> str:
    """A PDF has its footer in its text; what stands there is looked at by itself."""
    return re.split(r"披\s*露\s*控\s*制|Disclosure\s+control:", words)[0]


def test_html_pdf_and_notebook_print_the_same_numbers(office):
    for left in office.reports:
        told = {kind: numbers_in(without_footer(seen(path).words)) for kind, path in left.files.items()}
        told["pdf"] -= numbers_in(seen(left.files["html"]).footer) - told["html"]
        assert told["html"] == told["ipynb"] == told["pdf"], left.name


@pytest.mark.skipif(shutil.which("pdftotext") is None, reason="no pdftotext (poppler) here to read PDFs a second time")
def test_a_second_reader_of_the_pdf_finds_the_same_numbers(office):
    for left in office.reports:
        content = left.files["pdf"].read_bytes()
        texts = [seen(left.files["pdf"]).words, re.sub(r"—\s*\d+\s*—", " ", poppler(content)[0])]
        assert len({frozenset(numbers_in(without_footer(text))) for text in texts}) == 1, left.name


def test_bare_numbers_of_a_notebook_are_those_it_prints(office):
    for left in office.reports:
        notebook = nbformat.read(left.files["ipynb"], as_version=4)
        blocks = [output["data"][MIME]["content"] for output in outputs_of(notebook)]
        for table in (block for block in blocks if "values" in block):
            for row, values in zip(table["rows"], table["values"], strict=True):
                for column, shown, value in zip(table["columns"], row, values, strict=True):
                    if isinstance(value, float):
                        assert in_form(value, column["kind"]) == shown or shown[0] in "≤≥<>"
                        parts = value * {"percent": 1000, "value": 100}.get(column["kind"], 10)
                        assert abs(parts - round(parts)) < 1e-6, (left.name, column["label"], value)
                    else:
                        assert value is None or value == shown
        assert numbers_in(" ".join(str(block.get("width", "")) for block in blocks)) <= {"6.3"}


def test_what_two_reports_say_of_a_unit_differs_by_nobody_or_by_enough(office):
    told: dict[tuple[str, str], set[int]] = {}
    for left in office.reports:
        column = header("unit", left.lang), header("n", left.lang)
        for head, rows in seen(left.files["html"]).tables:
            if set(column) <= set(head):
                for row in rows:
                    unit, n = (row[head.index(name)] for name in column)
                    told.setdefault((unit, ""), set()).update([int(n)] if n != "—" else [])
    gaps = [max(counts) - min(counts) for counts in told.values() if counts]
    assert gaps
    sent, corrected = (
        office.reports[i].told.tables["scores"].query("unit == 'BBB' and code == 'INDEX'") for i in (0, 2)
    )
    assert sent["score"].item() < corrected["score"].item(), "a correction lies between them"
    assert all(gap == 0 or gap >= office.company.min_group for gap in gaps)


# --- Tests: figures -----------------------------------------------------------------------------------------------


def test_nothing_is_drawn_where_no_printed_number_is(office):
    for left in office.reports:
        for kind, drawn in figures_of(left).items():
            # Colours, letters, and bars that begin where the one before ended: names and words are looked at below.
            if kind not in ("heat", "warnings", "contributions"):
                rows = shown_in(kind, left.told)
                assert strays(kind, drawn, left.told).size == 0, (left.name, kind)
                marks = len(drawn.points) / (3 if kind == "scores" else 1)  # a point and the two ends of its range
                assert kind == "response" or marks == rows["score"].notna().sum(), (left.name, kind)


def test_figures_are_drawn_at_the_printed_number_and_not_at_the_true_one(office):
    apart = 0
    for left in office.reports:
        if (drawn := figures_of(left).get("scores")) is None:
            continue
        rows, truth = shown_in("scores", left.told), left.told.truth.query("code == 'INDEX'")
        places, true = by_unit(drawn, left.told), truth.set_index(["level", "unit"])["score"]
        assert set(places) == set(rows.loc[rows["score"].notna(), "unit"])
        for row in rows[rows["score"].notna()].itertuples():
            off = abs(places[row.unit] - true[row.level, row.unit])
            assert abs(places[row.unit] - row.score) < NEAR
            apart += off > 10 * NEAR
            assert abs(row.score - true[row.level, row.unit]) < NEAR or off > abs(places[row.unit] - row.score)
    assert apart > 5, "rounding moves the numbers of small units, so that their figures can be told from the truth"


GRADE = re.compile(r"[红黑橙]色|\b(red|black|orange)\b")


def beside_a_grade(file: Seen, name: str) -> list[str]:
    """Rows and sentences of a file in which a unit stands with the grade of a warning."""
    rows = [" | ".join(row) for _, table in file.tables for row in table]
    sentences = re.split(r"[。；;\n]|\. ", file.words) if file.tables else [file.words]
    return [text for text in (*rows, *sentences) if name in text and GRADE.search(text)]


def test_a_unit_whose_review_is_not_over_stands_beside_no_grade(office):
    """HELD is red and was not told: its level is nowhere, in no format; the unit that replied is found by the same look."""
    spec = dj.open_workspace(office.folder).spec
    named = 0
    for left in office.reports:
        held, other = (spec.speaking(left.lang).unit_label(unit) for unit in (HELD, "BAA"))
        for kind, path in left.files.items():
            assert beside_a_grade(seen(path), held) == [], (left.name, kind)
            named += bool(beside_a_grade(seen(path), other))
        if (drawn := figures_of(left).get("warnings")) is not None:
            labels = {label for _, label in drawn.ticks["y"]}
            assert held not in labels, left.name
            assert (other in labels) == (other in {spec.speaking(left.lang).unit_label(one) for one in left.told.scope})
    assert named


def test_no_name_of_a_hidden_unit_is_on_an_axis(office):
    for left in office.reports:
        names = {left.told.spec.unit_label(unit) for unit in left.told.hidden}
        drawn = figures_of(left)
        for kind in {"scores", "response", "warnings"} & set(drawn):
            assert not names & {label for _, label in drawn[kind].ticks["y"]}
            assert not [word for word, _, _ in drawn[kind].words if any(name in word for name in names)]


def test_words_within_figures_are_printed_numbers(office):
    for left in office.reports:
        rounded = {f"{float(number.rstrip('%')):.0f}{'%' * ('%' in number)}" for number in may_stand(left.told)}
        for kind, drawn in figures_of(left).items():
            told = numbers_in(" ".join(word for word, _, _ in drawn.words))
            assert told <= may_stand(left.told) | rounded, (left.name, kind)


def test_colours_of_hidden_cells_are_blank_and_others_say_no_more_than_their_number(office):
    for left in office.reports:
        if (drawn := figures_of(left).get("heat")) is None:
            continue
        told = left.told
        names = {
            told.spec.unit_label(unit, level): unit
            for unit, level in told.tables["scores"][["unit", "level"]].to_numpy()
        }
        codes = [node.code for node in told.spec.codebook.dimensions]
        scores = told.tables["scores"].query("form == 'anchors'").set_index(["unit", "code"])["score"]
        for (y, name), i in zip(drawn.ticks["y"], range(99), strict=False):
            for j, code in enumerate(codes):
                score = scores[names[name], code]
                fills = [style for style, path in drawn.paths if centre(path, drawn.ticks["x"][j][0], y)]
                words = [
                    word for word, x, at in drawn.words if abs(at - y) < 8 and abs(x + 4 - drawn.ticks["x"][j][0]) < 30
                ]
                if names[name] in told.hidden:
                    assert words == []
                    assert [style.split(";")[0] for style in fills[:1]] == ["fill: none"], (left.name, name, code)
                    assert len(fills) == 2
                    assert "url(#" in fills[1], "hatched"
                else:
                    colour = to_hex(matplotlib.colormaps[theme.HEAT](Normalize(*theme.HEAT_RANGE)(score)))
                    assert [style.split(";")[0] for style in fills] == [f"fill: {colour}"], (left.name, name, code, i)
                    assert words == [f"{score:.0f}"]


def centre(path: list[tuple[float, float]], x: float, y: float) -> bool:
    """Tell whether a box stands around a place."""
    low, high = np.min(path, axis=0), np.max(path, axis=0)
    return bool(np.allclose((low + high) / 2, [x, y], atol=0.01))


def test_the_figures_of_a_pdf_are_those_of_the_page_and_nothing_more(office):
    scale = 156 / 25.4 * 72 / 453.6  # a figure as wide as the text
    for left in office.reports:
        svgs = seen(left.files["html"]).figures
        figures = [[path for path in filled(svg) if len(path) > 2 and np.ptp(path, axis=0).all()] for svg in svgs]
        paths = filled_in_pdf(left.files["pdf"].read_bytes())
        bars = [place for place, path in enumerate(paths) if len(path) <= 5 and abs(np.ptp(path[:, 0]) - 2.5) < 0.01]
        keys = 0 if left.told.unit in left.told.hidden else 3
        assert len(bars) >= keys, "the line beside each key figure"
        paths = [path for place, path in enumerate(paths) if place not in bars[:keys]]
        assert [len(path) for path in paths] == [len(path) for figure in figures for path in figure]
        for figure in figures:
            mine, paths = paths[: len(figure)], paths[len(figure) :]
            moved = [path - scale * drawn * (1, -1) for path, drawn in zip(mine, figure, strict=True)]
            assert not moved or np.ptp(np.vstack(moved), axis=0).max() < 0.01, left.name


# --- Tests: footers -----------------------------------------------------------------------------------------------

FOOTERS = {
    "zh": r"披露控制：不足(?P<least>\d+)人的单位及可据以推算它们的单位不单列，本期隐去(?P<hidden>\d+)个；方案 (?P<plan>\w{16})；"
    r"发布前记录 (?P<head>\w{16})。口径 \w{12}；单位表 \w{12}；数据 \w{12}；程序 dj_analysis [\w.]+。",
    "en": r"Disclosure control: units under (?P<least>\d+) people, and units from which those could be computed, are not"
    r" shown; (?P<hidden>\d+) hidden in this wave; plan (?P<plan>\w{16}); record before publication (?P<head>\w{16})\."
    r" Codebook \w{12}; units \w{12}; data \w{12}; dj_analysis [\w.]+\.",
}


def test_a_footer_shows_the_rule_the_hidden_count_the_plan_and_the_head_and_no_other_number(office):
    events = dj.open_workspace(office.folder).record.events
    for left in office.reports:
        footer = seen(left.files["html"]).footer
        told = re.search(FOOTERS[left.lang], footer)
        assert told is not None, footer
        plan = left.told.plan
        assert int(told["least"]) == office.company.min_group == plan.min_group
        assert (int(told["hidden"]), told["plan"]) == (len(plan.hidden["survey", NOW]), plan.id)
        digest = hashlib.sha256(left.files["html"].read_bytes()).hexdigest()
        assert told["head"] == events.loc[events["payload"].str.contains(digest), "previous"].item()[:16]
        assert numbers_in(footer.replace(told[0], "")) <= {str(plan.min_group)}
        drawn = "".join(seen(left.files["pdf"]).words.split())
        assert all(told[name] in drawn for name in ("plan", "head"))


# --- Tests: messages and failures ---------------------------------------------------------------------------------

FAILING = """import sys
from pathlib import Path
import dj_analysis.publish.notebooks as notebooks
from dj_analysis.cli import main
own = Path(sys.argv.pop(1))
notebooks.reports = lambda: {"quarterly": own}
main()
"""
SHOWN = """frame = ws.survey(period).frame.to_pandas()
print(frame["respondent"].tolist(), frame[["QA", "QB"]].to_numpy().tolist())
print(frame, file=sys.stderr)
display(frame)
display(ws.scores(period).table)
raise ValueError("没有这一列")"""


@pytest.fixture(scope="module")
def failures(office, tmp_path_factory) -> dict[str, tuple[subprocess.CompletedProcess[str], Path, set[Path]]]:
    """Commands that must fail: what each said, in which folder, and which files were there before."""
    place = tmp_path_factory.mktemp("wrong")
    wrong = marked_company(place / "wrong")
    rows = wrong.people[NOW].astype(object)
    rows.loc[3, "QA"], rows.loc[9, "QB"], rows.loc[5, "unit"] = 99, "5x", "某处"
    rows.loc[12, "respondent"], rows.loc[14, "age"] = rows.loc[11, "respondent"], f"138{'0013'}8000"
    wrong.write_wave(NOW, rows)
    changed = place / "changed"
    shutil.copytree(office.folder, changed, ignore=shutil.ignore_patterns("reports"))
    rows = pd.read_csv(changed / "responses" / f"{NOW}.csv", dtype=str, keep_default_na=False)
    rows.loc[rows.index[rows["unit"] == "BCA"][0], "QA"] = "3"
    rows.to_csv(changed / "responses" / f"{NOW}.csv", index=False)
    stopped = marked_company(place / "stopped")
    broken = nbformat.read(reports()["quarterly"], as_version=4)
    broken.cells[2].source = "import sys\n" + SHOWN
    nbformat.write(broken, place / "quarterly.ipynb")
    own, period = with_error(office, place), ("--period", NOW)
    runs: dict[str, tuple[Path, tuple[object, ...]]] = {
        "failing cell": (stopped.folder, (place / "quarterly.ipynb", "report", "quarterly", stopped.folder, *period)),
        "check": (wrong.folder, ("check", wrong.folder)),
        "wrong answers": (wrong.folder, ("report", "quarterly", wrong.folder, *period)),
        "closed wave": (changed, ("close", changed, *period)),
        "cell with an error": (changed, ("export", own, "--workspace", changed, "--out", changed / "reports")),
    }
    before = outside(place)
    with ThreadPoolExecutor(2) as pool:
        started = {
            name: pool.submit(
                command, office, f"failed: {name}", *given, program=FAILING if name == "failing cell" else ""
            )
            for name, (_, given) in runs.items()
        }
        return {name: (run.result(), runs[name][0], before) for name, run in started.items()}


def outside(place: Path) -> set[Path]:
    """Files that do not lie in a confidential folder."""
    return {path for path in place.rglob("*") if ".dj" not in path.parts}


def with_error(office: Office, place: Path) -> Path:
    """A researcher's own copy of a report in which a cell failed over data."""
    notebook = nbformat.read(office.reports[-1].files["ipynb"], as_version=4)
    ids = office.company.people[NOW]["respondent"].tolist()
    told = v4.new_output("error", ename="KeyError", evalue=ids[0], traceback=[*ids[:20], str(office.sheets)[:2000]])
    notebook.cells.append(v4.new_code_cell("frame[0]", outputs=[told]))
    nbformat.write(notebook, place / "own.ipynb")
    return place / "own.ipynb"


def test_commands_that_fail_say_what_is_wrong_and_nothing_of_anybody(office, failures):
    words = {
        "check": "99", "wrong answers": "duplicate_respondent", "closed wave": "closed_wave_changed", "failing cell": ".dj/failed",
        "cell with an error": "KeyError",
    }  # fmt: skip
    marks = {name: needles for name, needles in office.marks.items() if name != "the place"}
    known, hidden = office.sheets, {f"{value:.1f}" for value in office.hidden["score"].dropna()}
    for name, (done, _, _) in failures.items():
        told = (done.stdout + done.stderr).encode()
        assert done.returncode in (1, 2), (name, done.stderr)
        assert words[name] in told.decode(), (name, done.stderr)
        assert b"Traceback" not in told, (name, done.stderr)
        assert found(told, marks) == [], (name, done.stderr)
        assert sheets_in(told, known) == [], (name, done.stderr)
        assert not numbers_in(told.decode()) & hidden, (name, done.stderr)
    stopped = failures["failing cell"][1]
    copies = [path.read_text(encoding="utf-8") for path in (stopped / ".dj" / "failed").glob("*.ipynb")]
    assert ["没有这一列" in copy for copy in copies] == [True], "what the error says is kept for the office"


def test_commands_that_succeed_say_nothing_of_anybody(office):
    marks, known = {name: needles for name, needles in office.marks.items() if name != "the place"}, office.sheets
    done = {name: run for name, run in office.said.items() if not name.startswith("failed")}
    assert {"sent", "final", "withdraw"} <= set(done)
    for name, run in done.items():
        told = (run.stdout + run.stderr).encode()
        assert run.returncode == 0, (name, run.stderr)
        assert found(told, marks) == [], (name, run.stderr)
        assert sheets_in(told, known) == [], name


def test_a_failed_command_leaves_no_file_outside_the_confidential_folder(failures):
    for name, (_, folder, before) in failures.items():
        after = outside(folder.parent)
        assert after == before, (name, after ^ before)
        assert not [path for path in (folder / "reports").rglob("*") if path.is_file()], name
    kept = list((failures["failing cell"][1] / ".dj" / "failed").iterdir())
    assert len(kept) == 1
    assert ID in kept[0].read_text(encoding="utf-8"), "what a failed run showed stays in the confidential folder"


def test_what_an_own_notebook_shows_beside_its_blocks_does_not_leave(office, tmp_path):
    frame = office.company.people[NOW]
    last = next(left for left in reversed(office.reports) if left.lang == "zh")
    notebook = nbformat.read(last.files["ipynb"], as_version=4)
    outputs = [
        v4.new_output("stream", name="stdout", text=frame.to_string()),
        v4.new_output("display_data", {"text/html": frame.to_html(), "text/plain": frame.to_string()}),
        v4.new_output(
            "execute_result", {"image/png": base64.b64encode(frame.to_csv().encode()).decode()}, metadata={"id": ID}
        ),
    ]
    notebook.cells.append(v4.new_code_cell(f"# {COMMENT}", outputs=outputs, metadata={"tags": [ID]}))
    beside = next(output for output in outputs_of(notebook) if MIME in output.get("data", {}))
    beside["data"] |= {"text/html": f"<p>{ID}0001</p>", "text/plain": COMMENT, "image/svg+xml": f"<svg>{CODE}</svg>"}
    nbformat.write(notebook, tmp_path / "own.ipynb")
    ws = dj.open_workspace(office.folder, "zh")
    old = office.reports[0].files["ipynb"]  # a draft: the wave was closed with more answers since
    with pytest.raises(dj.DjError, match="发布方案已变"):
        ws.export(old, formats=["html"], out=tmp_path / "old")
    files = ws.export(tmp_path / "own.ipynb", formats=list(FORMATS), out=tmp_path / "out")
    assert set(files) == set(FORMATS)
    marks, known = office.marks, office.sheets
    for path in files.values():
        assert found(path.read_bytes(), marks) == []
        assert sheets_in(path.read_bytes(), known) == []


# --- Tests: the readers are not blind -----------------------------------------------------------------------------

PNG = base64.b64encode(b"\x89PNG\r\n\x1a\n" + zlib.compress((ID + "0001").encode())).decode()


def plants(kind: str) -> dict[str, Callable[[bytes, str], bytes]]:
    """Ways to hide a text in a file of a kind; a format without ways of its own has it at its end, plain and packed."""
    made: dict[str, Callable[[bytes, str], bytes]] = {
        "plain": lambda file, mark: file + mark.encode(),
        "utf-16": lambda file, mark: file + mark.encode("utf-16-le"),
        "gb18030": lambda file, mark: file + mark.encode("gb18030"),
        "zlib": lambda file, mark: file + zlib.compress(mark.encode()),
        "archive": lambda file, mark: archived(mark),
    }
    if kind == "html":
        made |= {
            "text": lambda file, mark: file.replace(b"</main>", f"<p>{mark}</p></main>".encode()),
            "entities": lambda file, mark: file + "".join(f"&#x{ord(letter):x};" for letter in mark).encode(),
            "figure": lambda file, mark: re.sub(
                rb'svg\+xml;base64,[^"]*',
                lambda old: (
                    b"svg+xml;base64," + base64.b64encode(base64.b64decode(old[0][15:]) + f"<!-- {mark} -->".encode())
                ),
                file,
                count=1,
            ),
        }
    if kind == "ipynb":
        made |= {
            "escaped": lambda file, mark: file.replace(b'"nbformat":', f'"x": {json.dumps(mark)}, "nbformat":'.encode()),
            "picture": lambda file, mark: file
            + b'"' + base64.b64encode(b"\x89PNG\r\n\x1a\n" + zlib.compress(mark.encode() * 3)) + b'"',
        }  # fmt: skip
    if kind == "pdf":
        made |= {
            "stream": lambda file, mark: file + b"<</Filter/FlateDecode>>\nstream\n" + zlib.compress(mark.encode()) + b"\nendstream",
            "alternative": lambda file, mark: file + f"/Alt<FEFF{mark.encode('utf-16-be').hex().upper()}>".encode(),
            "string": lambda file, mark: file + b"/T(" + "".join(f"\\{byte:03o}" for byte in mark.encode()).encode() + b")",
            "drawn": lambda file, mark: typeset(f'#set text(font: "Noto Sans SC")\n#"{mark}"'),
            "title": lambda file, mark: typeset(f'#set document(title: "{mark}")\n#"x"'),
        }  # fmt: skip
    return made


def archived(mark: str) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("word/document.xml", f"<w:t>{mark}</w:t>" * 3)
    return stream.getvalue()


def typeset(source: str) -> bytes:
    made: Any = typst.compile(source.encode(), font_paths=theme.font_folders(), ignore_system_fonts=True)
    return made


@pytest.mark.parametrize("kind", sorted({*FORMATS, "ipynb"}))
def test_what_is_planted_in_a_file_is_found(office, kind):
    drawn = [left for left in office.reports if seen(left.files["html"]).figures]
    file, marks = drawn[-1].files[kind].read_bytes(), office.marks
    for way, plant in plants(kind).items():
        assert found(plant(file, f"{ID}0001 {COMMENT}0003"), marks) == ["an id", "a comment"], (kind, way)
    assert found(file + str(office.folder).encode(), marks) == ["the place"]
    assert found(file + base64.b64encode((office.folder / ".dj" / "key").read_bytes()), marks) == [
        "the workspace's key"
    ]
    assert found(file + office.key.hex().encode(), marks) == ["the key of codes"]
    assert found(file + pseudonym(office.key, f"{CODE}0003").encode(), marks) == ["a pseudonym"]
    true = office.hidden.query("unit == 'BAB' and code == 'INDEX'")["score"].item()
    assert found(file + repr(float(true)).encode(), marks) == ["a hidden number"]


def test_an_answer_sheet_is_found_in_every_writing(office):
    answers = office.company.people[NOW][list(CODES)].iloc[5].astype(int).tolist()
    scores, known = [(value - 1) * 25 for value in answers], office.sheets
    table = "".join(f"<td>{value}</td>" for value in answers)
    written = [
        ",".join(map(str, answers)),
        "".join(map(str, answers)),
        json.dumps(answers),
        table,
        json.dumps(scores, indent=1),
    ]
    written += [json.dumps([float(value) for value in scores]), "\t".join(f"{value:.1f}" for value in answers)]
    for text in written:
        for file in (text.encode(), b"\x89" + zlib.compress(text.encode()), text.encode("utf-16-le"), archived(text)):
            assert sheets_in(b"<p>7 " + file if file[:2] != b"PK" else file, known), text


def test_a_figure_of_numbers_that_were_not_rounded_or_not_hidden_is_caught(office):
    left = next(left for left in office.reports if left.name == "sent")
    ws = dj.open_workspace(office.folder)
    bare, safe = ws.scores(NOW), dj.protect(ws.scores(NOW), ws.release_plan(NOW))
    for result, hidden in ((bare, True), (safe, False)):
        drawn = drawing(svg_of(dj.plot_scores, result, level="branch"))
        true = bare.table.query("level == 'branch' and code == 'INDEX'").set_index("unit")["score"]
        assert strays("scores", drawn, left.told, "branch").size
        assert {unit for unit, value in by_unit(drawn, left.told).items() if abs(value - true[unit]) < 0.05} >= set(
            true.index if hidden else true.index.difference(left.told.hidden)
        )
    drawn = drawing(svg_of(dj.plot_response, bare.response, level="branch"))
    assert strays("response", drawn, left.told, "branch").size
    drawn = drawing(svg_of(dj.plot_trend, dj.trend([ws.scores(BEFORE), bare]), unit="BAB"))
    assert strays("trend", drawn, left.told).size


def svg_of(plot: Any, result: Any, **options: Any) -> str:
    """Draw as a notebook would, past every control."""
    with theme.drawing():
        figure, stream = plot(result, **options).get_figure(), io.StringIO()
        figure.savefig(stream, format="svg", metadata={"Date": None, "Creator": None})
        plt.close(figure)
    return stream.getvalue()


def test_a_number_planted_in_a_text_or_a_table_is_caught(office):
    left = next(left for left in office.reports if left.name == "sent")
    allowed, truth = may_stand(left.told), left.told.truth.query("code == 'INDEX'").set_index("unit")
    for unit in ("BAB", "BCA", "CC"):
        score, n = truth.loc[unit, "score"], truth.loc[unit, "n"]
        for number in (f"{score:.1f}", f"{score:.2f}", f"{n:.0f}"):
            planted = left.files["html"].read_bytes().replace(b"</main>", f"<p>{unit}得{number}分</p></main>".encode())
            assert numbers_in(read_html(planted).words) - allowed == {number}
            assert numbers_in(read_pdf(typeset(f'#set text(font: "Noto Sans SC")\n#"得{number}分"')).words) == {number}
    head, rows = read_html(left.files["html"].read_bytes()).tables[0]
    told, places = rows_told(left.told, head, rows[0])
    assert rows[0][places["score"]] == in_form(told["score"], "number")


def test_a_mark_more_in_a_pdf_is_caught(office):
    left = office.reports[0]
    colour = [int(theme.ACCENT[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    more = "q 1 0 0 1 9 9 cm {} {} {} scn 1 2 m 3 4 l 5 6 l h f Q".format(*colour).encode()
    content = left.files["pdf"].read_bytes()
    planted = content + b"<</Filter/FlateDecode>>\nstream\n" + zlib.compress(more) + b"\nendstream"
    paths = filled_in_pdf(planted)
    assert len(paths) == len(filled_in_pdf(content)) + 1
    assert paths[-1].tolist() == [[10, 11], [12, 13], [14, 15]]


# --- Known leaks --------------------------------------------------------------------------------------------------


def test_a_kept_notebook_does_not_tell_where_a_folder_with_a_chinese_name_lies(tmp_path, monkeypatch):
    monkeypatch.setattr("dj_analysis.publish.notebooks._execute", run_here)
    folder = small_office(tmp_path / "党建办公室", small_people())
    run = dj.run_report("quarterly", folder, period=NOW, formats=["html"])
    assert found(run.files["ipynb"].read_bytes(), {"the place": forms(str(tmp_path))}) == []


def test_the_message_of_a_failed_cell_does_not_repeat_an_answer(tmp_path, monkeypatch):
    def stop(*_: Any, **__: Any) -> None:
        quoted = f"could not convert string to float: '{ID}0001'"
        raise papermill.PapermillExecutionError(2, 2, "frame.astype(float)", "ValueError", quoted, [])

    monkeypatch.setattr("papermill.execute_notebook", stop)
    folder = small_office(tmp_path / "office", small_people())
    with pytest.raises(dj.DjError) as caught:
        dj.run_report("quarterly", folder, period=NOW, formats=["html"])
    assert ID not in str(caught.value)


def test_a_message_about_a_cell_in_the_wrong_column_quotes_no_id_and_no_comment(tmp_path):
    company = marked_company(tmp_path / "office")
    rows = company.people[NOW].astype(object)
    rows.loc[3, "unit"], rows.loc[5, "QC"] = rows.loc[3, "respondent"], f"{COMMENT}9999"
    company.write_wave(NOW, rows)
    told = "\n".join(map(str, dj.open_workspace(company.folder).check()))
    assert "unknown_unit" in told
    assert "text_in_number" in told
    assert found(told.encode(), {"an id": forms(ID), "a comment": forms(COMMENT)}) == []
