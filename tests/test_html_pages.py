"""Reports as web pages, and the page of a period that lists them.

Structure is read with the standard library's parser: tags that are not closed, ids given twice, links to nowhere, tables without
headers. Sorting, keyboard and the security policy are tried in a browser with its network cut.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest
from browser import Page, browser, find_browser
from offices import PERIOD, office, people, without_a_kernel

import dj_analysis as dj
from dj_analysis.audit import audit_workspace
from dj_analysis.publish.blocks import Block
from dj_analysis.publish.exports.document import Document, numbered
from dj_analysis.publish.exports.html import to_html
from dj_analysis.publish.period_page import is_period_page, period_page
from dj_analysis.spec.specification import Specification
from dj_analysis.spec.units import Unit, Units

VOID = {"meta", "img", "br", "input", "link", "hr"}
NASTY = [
    "<script>alert('x')</script>",
    '"><img src=x onerror=alert(1)>',
    "=cmd|' /C calc'!A0",
    "../../x",
    "\u202eRTL",
    "😀𠮷",
    "长" * 200,
]
ROWS = [
    ["丙支部", "12", "50.5", "≤5.0%", "橙色"],
    ["甲支部", "—", "—", "—", ""],
    ["乙支部", "104", "61.0", "40.0%", "红色"],
    ["丁支部", "9", "−3.5", "12.5%", "橙色"],
]


def table(rows: list[list[str]] = ROWS, caption: str = "分单位") -> Block:
    kinds = ("text", "count", "number", "percent", "text")
    labels = ("单位", "人数", "得分", "正向评价率", "预警")
    columns = [{"name": "", "label": a, "kind": k, "width": 9.0} for a, k in zip(labels, kinds, strict=True)]
    return Block("table", {"caption": caption, "columns": columns, "rows": rows, "values": [], "note": "注"})


def figure(alt: str = "得分图") -> Block:
    svg = '<svg xmlns="http://www.w3.org/2000/svg" width="300" height="90"><rect width="300" height="90" fill="#36c"/></svg>'
    return Block("figure", {"svg": svg, "alt": alt, "caption": alt, "width": 3.0, "height": 0.9, "plot": "x"})


def document(language: str = "zh", draft: str = "", words: str = "一段话。") -> Document:
    blocks = [
        Block("heading", {"text": "关于三季度\n情况的报告", "depth": 0}),
        Block("text", {"text": words, "place": "body"}),
        Block("heading", {"text": "总体情况", "depth": 1}),
        Block("keyfigure", {"label": "指数", "value": "50.5", "detail": words}),
        table(),
        Block("heading", {"text": "分项", "depth": 2}),
        figure(words),
        Block("heading", {"text": "附表", "depth": 0}),
        table([[words, "1", "2.0", "3.0%", ""], ["乙", "2", "3.0", "—", ""]], ""),
        Block("note", {"text": words}),
    ]
    meta = {
        "title": words, "period": "2026年三季度", "unit": "ALL", "language": language, "office": words, "purpose": "用途",
        "limits": "限度", "footer": "口径", "draft": draft, "correction": "",
    }  # fmt: skip
    return Document(tuple(numbered(blocks, language)), meta)


class Tree(HTMLParser):
    """Elements in order, each with the names of those around it; complains where tags do not fit."""

    def __init__(self, page: bytes) -> None:
        super().__init__()
        self.open: list[str] = []
        self.elements: list[tuple[str, dict[str, str | None], tuple[str, ...]]] = []
        self.words: dict[int, str] = {}
        self.feed(page.decode())
        assert self.open == [], "everything is closed"

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        assert len({name for name, _ in attributes}) == len(attributes), "an attribute stands once"
        self.elements.append((tag, dict(attributes), tuple(self.open)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open, f"</{tag}> closes nothing"
        assert self.open.pop() == tag, f"</{tag}> closes something else"

    def handle_data(self, data: str) -> None:
        self.words[len(self.elements) - 1] = self.words.get(len(self.elements) - 1, "") + data

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes, _ in self.elements if name == tag]

    def text_of(self, tag: str) -> list[str]:
        return [self.words.get(i, "") for i, (name, _, _) in enumerate(self.elements) if name == tag]


@pytest.mark.parametrize("language", ["zh", "en"])
@pytest.mark.parametrize("draft", ["", "内部草稿"])
def test_the_page_has_landmarks_and_everything_has_a_name(language: str, draft: str):
    tree = Tree(to_html(document(language, draft)))
    assert tree.all("html") == [{"lang": {"zh": "zh-CN", "en": "en"}[language]}]
    for landmark in ("main", "nav", "header", "footer", "title"):
        assert len(tree.all(landmark)) == 1, landmark
    around = {name: above for name, _, above in tree.elements if name in ("main", "header", "footer", "nav")}
    assert all(not {"main", "section", "article"} & set(above) for above in around.values())
    ids = [one["id"] for _, one, _ in tree.elements if "id" in one]
    assert len(ids) == len(set(ids))
    links = [str(one["href"]) for one in tree.all("a")]
    assert links[0] == "#main"
    assert {link.removeprefix("#") for link in links} <= set(ids)
    assert len(tree.all("section")) == 2
    assert len(tree.all("table")) == 2
    assert all(one["scope"] in ("col", "row") for one in tree.all("th"))
    assert len([one for one in tree.all("th") if one["scope"] == "row"]) == len(ROWS) + 2
    assert len(tree.all("caption")) == 1
    assert all(one["alt"] for one in tree.all("img"))
    assert bool([one for one in tree.all("div") if one.get("class") == "draft"]) == bool(draft)
    frames = [one for one in tree.all("div") if one.get("class") == "table-frame"]
    assert all(one["tabindex"] == "0" for one in frames), "without a script a wide table is a stop of the keyboard"


def test_contents_are_numbered_and_lead_to_the_headings():
    tree = Tree(to_html(document()))
    named = [
        tree.words[i].strip() for i, (name, _, above) in enumerate(tree.elements) if name == "a" and "nav" in above
    ]
    assert named == ["关于三季度情况的报告", "一、总体情况", "（一）分项", "附表"]
    headings = {one["id"] for name in ("h1", "h2", "h3") for one in tree.all(name)}
    assert {str(one["href"])[1:] for one in tree.all("a")[1:]} == headings


@pytest.mark.parametrize("nasty", NASTY)
def test_hostile_text_is_inert_and_legible(nasty: str):
    page = to_html(document(words=nasty, draft=nasty))
    tree = Tree(page)
    assert len(tree.all("script")) == 1
    assert not [name for _, one, _ in tree.elements for name in one if name.startswith("on") or name == "style"]
    assert all(str(one["src"]).startswith("data:image/svg+xml;base64,") for one in tree.all("img"))
    assert sum(nasty in words for words in tree.words.values()) >= 5


def test_policy_lets_the_pages_own_script_and_style_run_and_nothing_else():
    page = to_html(document()).decode()
    policy = next(str(one["content"]) for one in Tree(page.encode()).all("meta") if "http-equiv" in one)
    rules = dict(part.strip().split(" ", 1) for part in policy.split(";"))
    assert {name: rules[name] for name in ("default-src", "base-uri", "form-action")} == dict.fromkeys(
        ("default-src", "base-uri", "form-action"), "'none'"
    )
    assert rules["img-src"] == "data:"
    assert "unsafe" not in policy
    for name in ("script", "style"):
        (content,) = re.findall(rf"<{name}>(.*?)</{name}>", page, re.DOTALL)
        assert (
            rules[f"{name}-src"] == f"'sha256-{base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()}'"
        )
    assert page.index("Content-Security-Policy") < page.index("<style>")
    for word in ("http://", "https://", "fetch(", "XMLHttpRequest", "localStorage", "innerHTML", "eval("):
        assert word not in page.replace("http://www.w3.org", ""), word


def test_numbers_are_sorted_as_they_are_written():
    """A share that is shown as a bound is sorted by the bound: the number behind it stands nowhere in the page."""
    cells = [one for one in Tree(to_html(document())).all("td") if one.get("class") == "figure"][: 3 * len(ROWS)]
    assert [one.get("data-value") for one in cells] == [
        "12", "50.5", "5.0", None, None, None, "104", "61.0", "40.0", "9", "-3.5", "12.5",
    ]  # fmt: skip


# The page in a browser with its network cut.

CHROMIUM = find_browser()
in_browser = pytest.mark.skipif(
    CHROMIUM is None, reason="no Chromium is found on this computer (apt-get install chromium)"
)


@pytest.fixture(scope="module")
def opened(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    assert CHROMIUM
    with browser(CHROMIUM, tmp_path_factory.mktemp("profile")) as page:
        page.size(1400, 900)
        yield page


def write(folder: Path, content: bytes) -> Path:
    path = folder / "page.html"
    path.write_bytes(content)
    return path


def column(page: Page, place: int, of: str = "main section table") -> list[str]:
    return list(
        page.run(f"[...document.querySelector('{of}').tBodies[0].rows].map((r) => r.cells[{place}].textContent)")
    )


def header(place: int) -> str:
    return f"main section table thead th:nth-child({place + 1}) button"


ORIGINAL = [row[0] for row in ROWS]


@pytest.mark.slow
@in_browser
def test_tables_sort_on_a_click(opened: Page, tmp_path: Path):
    opened.events.clear()
    opened.open(write(tmp_path, to_html(document())))
    states = []
    for _ in range(3):
        opened.click(header(2))
        states.append((column(opened, 2), opened.run(f"document.querySelector('{header(2)}').parentElement.ariaSort")))
    assert states == [
        (["−3.5", "50.5", "61.0", "—"], "ascending"),
        (["61.0", "50.5", "−3.5", "—"], "descending"),
        ([row[2] for row in ROWS], None),
    ]
    opened.click(header(3))
    assert column(opened, 3) == ["≤5.0%", "12.5%", "40.0%", "—"]
    opened.click(header(0))
    assert column(opened, 0) == ["丙支部", "丁支部", "甲支部", "乙支部"], "Chinese by its reading: bing, ding, jia, yi"
    assert opened.run("document.querySelectorAll('[aria-sort]').length") == 1
    opened.click(header(4))
    assert column(opened, 0) == ["丙支部", "丁支部", "乙支部", "甲支部"], "alike stay as they were, missing is last"
    assert opened.complaints == []
    assert [address for address in opened.requested if not address.startswith(("file:", "data:"))] == []


@pytest.mark.slow
@in_browser
def test_the_keyboard_does_what_the_mouse_does(opened: Page, tmp_path: Path):
    opened.open(write(tmp_path, to_html(document())))

    def press(key: str, text: str = "") -> None:
        codes = {"Tab": 9, "Enter": 13, " ": 32}
        for kind in ("keyDown", "keyUp"):
            typed = {"text": text} if text and kind == "keyDown" else {}
            opened.call(
                "Input.dispatchKeyEvent", type=kind, key=key, code=key, windowsVirtualKeyCode=codes[key], **typed
            )

    press("Tab")
    assert opened.run("document.activeElement.className") == "skip"
    assert opened.run("document.activeElement.getBoundingClientRect().left") >= 0, "it is seen when it is reached"
    press("Enter", "\r")
    assert opened.run("document.activeElement.id") == "main"
    press("Tab")
    assert opened.run("document.activeElement.textContent") == "单位", "a frame that does not scroll is no stop"
    assert opened.run("getComputedStyle(document.activeElement).outlineStyle") == "solid"
    press("Tab")
    press("Enter", "\r")
    assert column(opened, 1) == ["9", "12", "104", "—"]
    press(" ", " ")
    assert column(opened, 1) == ["104", "12", "9", "—"]
    press(" ", " ")
    assert column(opened, 0) == ORIGINAL


@pytest.mark.slow
@in_browser
def test_a_wide_table_on_a_narrow_page_is_reached_by_the_keyboard(opened: Page, tmp_path: Path):
    opened.size(320, 700)
    opened.open(write(tmp_path, to_html(document()).replace("丙支部".encode(), b"x" * 60)))
    frame = "document.querySelector('.table-frame')"
    assert opened.run(f"{frame}.scrollWidth > {frame}.clientWidth && {frame}.tabIndex === 0")
    assert opened.run("document.documentElement.scrollWidth <= 320"), "the page itself does not move sideways"
    opened.size(1400, 900)
    assert opened.run(f"new Promise((done) => setTimeout(() => done({frame}.tabIndex), 300))") == -1


@pytest.mark.slow
@in_browser
def test_printed_it_is_sheets_without_contents_and_drafts_are_marked_above_figures(opened: Page, tmp_path: Path):
    opened.open(write(tmp_path, to_html(document(draft="内部草稿"))))
    mark = "getComputedStyle(document.querySelector('.draft'))"
    assert opened.run(f"[{mark}.position, {mark}.pointerEvents, Number({mark}.zIndex) > 0]") == ["fixed", "none", True]
    opened.call("Emulation.setEmulatedMedia", media="print")
    try:
        shown = "(name) => getComputedStyle(document.querySelector(name))"
        assert opened.run(f"['nav', '.skip'].map((name) => ({shown})(name).display)") == ["none", "none"]
        assert opened.run(f"({shown})('thead').display") == "table-header-group"
        assert opened.run(f"({shown})('figure').breakInside") == "avoid"
        assert opened.run(f"({shown})('section + section').breakBefore") == "page"
    finally:
        opened.call("Emulation.setEmulatedMedia", media="")


@pytest.mark.slow
@in_browser
def test_words_are_dark_enough(opened: Page, tmp_path: Path):
    """Contrast of at least 4.5 to 1 (WCAG 2.2, 1.4.3) for every text, on the colour it stands on."""
    opened.open(write(tmp_path, to_html(document(draft="内部草稿"))))
    weak = opened.run(
        """(() => {
        const parts = (c) => c.match(/[\\d.]+/g).map(Number);
        const light = (c) => { const f = (v) => (v /= 255) <= .04045 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4;
          return .2126 * f(c[0]) + .7152 * f(c[1]) + .0722 * f(c[2]); };
        const ground = (e) => { for (; e; e = e.parentElement) { const c = parts(getComputedStyle(e).backgroundColor);
          if (c.length < 4 || c[3] > 0) return c; } return [255, 255, 255]; };
        return [...document.body.querySelectorAll("*")].filter((e) => e.tagName !== "SCRIPT" &&
          [...e.childNodes].some((n) => n.nodeType === 3 && n.textContent.trim())).filter((e) => {
          const a = light(parts(getComputedStyle(e).color)), b = light(ground(e));
          return (Math.max(a, b) + .05) / (Math.min(a, b) + .05) < 4.5; }).map((e) => e.outerHTML);
        })()"""
    )
    assert weak == []


@pytest.mark.slow
@in_browser
def test_what_is_clicked_is_large_enough_or_stands_apart(opened: Page, tmp_path: Path):
    """Targets of 24 pixels, or a circle of 24 around each that meets no other (WCAG 2.2, 2.5.8), on wide and narrow pages."""
    opened.open(write(tmp_path, to_html(document())))
    for width in (1400, 375):
        opened.size(width, 900)
        assert (
            opened.run(
                """(() => {
            const boxes = [...document.querySelectorAll("a, button, input")].filter((e) => !e.matches(".skip"))
              .map((e) => [e, e.getBoundingClientRect()]).filter(([, r]) => r.width && r.height);
            const small = boxes.filter(([, r]) => r.width < 24 || r.height < 24);
            const away = (x, y, r) => Math.hypot(Math.max(r.left - x, 0, x - r.right), Math.max(r.top - y, 0, y - r.bottom));
            return small.filter(([e, r]) => boxes.some(([other, o]) => other !== e &&
              away(r.left + r.width / 2, r.top + r.height / 2, o) < 12)).map(([e]) => e.outerHTML);
            })()"""
            )
            == []
        ), width
        assert opened.run(
            "[...document.querySelectorAll('nav a')].every((a) => a.getBoundingClientRect().height >= 24)"
        )
    opened.size(1400, 900)


# The page of a period.

UNITS = Units(
    (Unit("C1", level="city", name_zh="云山<公司>", name_en="Yunshan"), Unit("C2", level="city", name_zh="雾谷公司"))
)
SPEC = Specification(units=UNITS, office="党建部")


def event(unit: str = "ALL", kind: str = "publication", formats: str = "html pdf", **more: Any) -> dict[str, Any]:
    report, lang = more.pop("report", "quarterly"), more.pop("lang", "zh")
    folder = f"{'drafts/' if kind == 'draft' else ''}{PERIOD}/{report}"
    files = {f"{folder}/{unit}.{one}": hashlib.sha256(b"x").hexdigest() for one in [*formats.split(), "ipynb"]}
    manifest = {"content": more.pop("content", "a")}
    return {
        "kind": kind, "time": "2026-10-08T01:30:00+00:00", "report": report, "period": PERIOD, "unit": unit, "lang": lang,
        "files": files, "manifest": manifest, **more,
    }  # fmt: skip


def listed(events: list[dict[str, Any]], place: Path) -> list[list[str]]:
    tree = Tree(period_page(events, PERIOD, place, SPEC))
    rows: list[list[str]] = []
    for number, (name, _, above) in enumerate(tree.elements):
        words = " ".join(tree.words.get(number, "").split())
        if name == "tr" and "tbody" in above:
            rows.append([])
        elif "tbody" in above and words:
            rows[-1].append(words)
    return rows


def put(place: Path, *events: dict[str, Any]) -> None:
    for one in events:
        for name in one["files"]:
            path = place / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(b"x")


def test_every_unit_and_report_is_listed_with_its_state(tmp_path: Path):
    events = [
        event("C2", "draft"),
        event("C1", corrected=True),
        event("ALL", report="methods", formats="html"),
        event("ALL", lang="en"),
    ]
    put(tmp_path, *events)
    assert listed(events, tmp_path) == [
        [
            "全体 All staff",
            "季度报告 Quarterly report",
            "已发布 published",
            "2026-10-08 09:30",
            "HTML (en)",
            "PDF (en)",
        ],
        ["全体", "方法说明", "已发布", "2026-10-08 09:30", "HTML"],
        ["云山<公司>", "季度报告", "更正", "2026-10-08 09:30", "HTML", "PDF"],
        ["雾谷公司", "季度报告", "草稿", "2026-10-08 09:30", "HTML", "PDF"],
    ]
    tree = Tree(period_page(events, PERIOD, tmp_path, SPEC))
    links = [str(one["href"]) for one in tree.all("a")][1:]
    assert links[-1] == "../drafts/2026Q3/quarterly/C2.pdf"
    assert all((tmp_path / PERIOD / unquote(link)).exists() for link in links)
    assert "Reports of" in tree.text_of("h1")[0]
    assert tree.all("html") == [{"lang": "zh-CN"}]


def test_a_published_report_takes_the_place_of_its_draft(tmp_path: Path):
    assert [row[2] for row in listed([event(kind="draft"), event()], tmp_path)] == ["已发布"]


def test_a_file_that_is_gone_or_changed_is_told_and_not_linked(tmp_path: Path):
    first, newest = event("C1", formats="html pdf docx"), event("C2")
    put(tmp_path, first, newest)
    (tmp_path / PERIOD / "quarterly" / "C1.pdf").unlink()
    (tmp_path / PERIOD / "quarterly" / "C1.docx").write_bytes(b"edited")
    (row, _) = listed([first, newest], tmp_path)
    assert row[4:] == ["HTML", "PDF（文件缺失）", "DOCX（内容与记录不符）"]
    links = [one["href"] for one in Tree(period_page([first, newest], PERIOD, tmp_path, SPEC)).all("a")]
    assert "quarterly/C1.html" in links
    assert "quarterly/C1.pdf" not in links
    put(tmp_path, first)
    assert listed([first, newest], tmp_path)[0][4:] == ["HTML", "PDF", "DOCX"]


def test_a_format_of_an_earlier_run_is_told_as_that(tmp_path: Path):
    events = [event(formats="html pdf"), event(formats="html", content="b")]
    put(tmp_path, *events)
    assert listed(events, tmp_path)[0][4:] == ["HTML", "PDF", "（较早一次运行）"]


def test_names_are_escaped_and_links_quoted(tmp_path: Path):
    events = [event('"><script>x', report="quarterly"), event("C1 #1?")]
    page = period_page(events, PERIOD, tmp_path, SPEC)
    tree = Tree(page)
    assert len(tree.all("script")) == 1
    assert "quarterly/C1%20%231%3F.html" in [one["href"] for one in tree.all("a")]


def test_is_period_page():
    assert is_period_page("2026Q3/index.html")
    assert not is_period_page("2026Q3/quarterly/index.html")
    assert not is_period_page("drafts/2026Q3/quarterly/ALL.html")


@pytest.mark.slow
@in_browser
def test_hundreds_of_units_can_be_filtered(opened: Page, tmp_path: Path):
    units = tuple(Unit(f"B{i}", level="branch", name_zh=f"第{i}党支部") for i in range(400))
    events = [event(unit.unit, formats="html") for unit in units]
    page = period_page(events, PERIOD, tmp_path, Specification(units=Units(units)))
    opened.events.clear()
    opened.open(write(tmp_path, page))
    rows = "[...document.querySelectorAll('tbody tr')].filter((r) => r.offsetParent).length"
    assert opened.run(rows) == 400
    opened.write("#choose", "第39 季度")
    assert opened.run(rows) == 11
    assert opened.run("document.querySelector('output').textContent") == "11 / 400"
    opened.write("#choose", "没有")
    assert opened.run(rows) == 0
    assert opened.complaints == []


def test_each_run_writes_the_page_with_its_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    without_a_kernel(monkeypatch)
    folder = office(tmp_path / "office", people())
    dj.run_report("quarterly", folder, period=PERIOD, formats=["html"])
    ws = dj.open_workspace(folder)
    ws.close(PERIOD)
    place, page = folder / "reports", folder / "reports" / PERIOD / "index.html"
    assert [row[:3] for row in rows_of(page)] == [["试验公司", "季度报告", "草稿"]]
    for unit in ("C1", "ALL"):
        run = dj.run_report("quarterly", folder, period=PERIOD, unit=unit, formats=["html", "docx"])
    assert [row[:3] for row in rows_of(page)] == [
        ["试验公司", "季度报告", "已发布"],
        ["东城公司", "季度报告", "已发布"],
    ]
    assert "index" not in run.files
    ws.record.verify()
    audited = audit_workspace(ws).table
    assert audited[audited["state"] == "failed"].empty
    assert not audited["place"][audited["check"] == "draft"].str.contains("index").any()
    (place / PERIOD / "quarterly" / "C1.html").unlink()
    ws.export(run.files["ipynb"], formats=["pdf"])
    assert [row[4:] for row in rows_of(page)] == [["HTML", "PDF", "DOCX"], ["HTML（文件缺失）", "DOCX"]]


def rows_of(page: Path) -> list[list[str]]:
    text = page.read_text("utf-8")
    body = text[text.index("<tbody>") : text.index("</tbody>")]
    rows = [re.sub(r"<[^>]*>", "\n", row).split("\n") for row in body.split("<tr>")[1:]]
    return [[cell.strip() for cell in row if cell.strip()] for row in rows]


def test_reports_written_elsewhere_are_listed_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    without_a_kernel(monkeypatch)
    folder = office(tmp_path / "office", people())
    dj.run_report("quarterly", folder, period=PERIOD, formats=["html"])
    dj.run_report("quarterly", folder, period=PERIOD, unit="C1", formats=["html"], out=tmp_path / "out")
    assert [row[0] for row in rows_of(folder / "reports" / PERIOD / "index.html")] == ["试验公司"]
    assert [row[0] for row in rows_of(tmp_path / "out" / PERIOD / "index.html")] == ["东城公司"]
    assert str(tmp_path) not in (folder / ".dj" / "record.sqlite").read_bytes().decode("utf-8", "replace")
