"""The individual layer: a page that computes for its reader alone, requests that name nobody.

Scores of the page are compared with the package's own to 1e-6: both are float64 means of a few numbers, and the page shows
what it computes only rounded, so figures are compared as printed and hand-made cases are chosen to be exact.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from browser import Page, browser, find_browser
from small import DIRECT

import dj_analysis as dj
from dj_analysis.act.care import Requests, default_services, requests, self_check, write_self_check
from dj_analysis.errors import DataError, IdentifierError, Problems, SpecError, UsageError
from dj_analysis.measure.scoring import score_frame
from dj_analysis.spec.codebook import Codebook, Option, Scale, default_codebook
from dj_analysis.spec.rules import default_rules, read_rules
from dj_analysis.spec.specification import Specification
from dj_analysis.spec.tree import Node, Tree
from dj_analysis.spec.units import Unit, Units

SOURCE = Path(__file__).parents[1] / "src" / "dj_analysis"
BOOK = default_codebook()
ITEMS = {leaf.code: leaf for leaf in BOOK.tree.leaves_of("INDEX")}
DIMENSIONS = {node.code: [leaf.code for leaf in BOOK.tree.leaves_of(node.code)] for node in BOOK.dimensions}
MIDDLE = dict.fromkeys(ITEMS, 3)


def raised(code: str, answer: int) -> int:
    """What to tick so that the answer counts as this one after reverse coding."""
    return answer if ITEMS[code].direction == 1 else 6 - answer


def by_dimension(low: int, answer_low: int, answer_else: int) -> dict[str, int]:
    """The first so many dimensions answered low, the others alike."""
    return {
        code: raised(code, answer_low if i < low else answer_else)
        for i, codes in enumerate(DIMENSIONS.values())
        for code in codes
    }


def typed(codebook: Codebook = DIRECT[1], **rule: float) -> Specification:
    """One question answered by a number from 0 to 100, so that the number is the index."""
    rules = default_rules()
    return Specification(codebook=codebook, rules=replace(rules, self_check=replace(rules.self_check, **rule)))


# The page as text.


@pytest.mark.parametrize("language", ["zh", "en"])
def test_page_refers_to_nothing_outside_and_keeps_nothing(language):
    page = self_check(BOOK, language=language)
    for word in (
        "http:", "https:", "//", "src=", "href=", "action=", "<form", "<link", "<img", "<iframe", "url(", "@import",
        "localStorage", "sessionStorage", "indexedDB", "cookie", "caches", "fetch", "XMLHttpRequest", "sendBeacon", "WebSocket",
        "EventSource", "Worker", "RTCPeer", "import(", "eval(", "Function(", "innerHTML", "postMessage", "history.",
        "location", "window.name", "window.open", "clipboard", "document.write", " onclick", " style=",
    ):  # fmt: skip
        rest = re.sub(r"(?m)^\s*// .*$", "", page)
        assert word.lower() not in rest.lower(), word
    assert page.count("<script") == 2
    assert '<meta name="referrer" content="no-referrer">' in page
    assert all('autocomplete="off"' in tag for tag in re.findall(r"<(?:input|select)[^>]*>", page))


def test_policy_allows_this_script_and_style_alone():
    page = self_check(BOOK)
    (policy,) = re.findall(r'http-equiv="Content-Security-Policy" content="([^"]*)"', page)
    rules = dict(part.strip().split(" ", 1) for part in policy.split(";"))
    assert rules["default-src"] == rules["connect-src"] == rules["form-action"] == rules["base-uri"] == "'none'"
    assert "unsafe" not in policy
    for name, pattern in (("script-src", r"<script>(.*?)</script>"), ("style-src", r"<style>(.*?)</style>")):
        (content,) = re.findall(pattern, page, re.DOTALL)
        assert rules[name] == f"'sha256-{base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()}'"
    assert page.index("Content-Security-Policy") < page.index("<style>")


def test_page_says_what_it_must():
    page = self_check(BOOK)
    for words in (
        "12356", "工会", "心理辅导员", "EAP", "只在您自己愿意时", "公用电脑", "不保存、不发送", "不是诊断",
        "季度简卷题目少、误差大，从不产生个人的提示级别", "最近三个月", dj.Result.purpose,
    ):  # fmt: skip
        assert words in page, words
    assert page.count("<fieldset") == 42
    assert "最希望单位帮助解决" not in page
    assert "总的来说，我对目前的工作感到满意" not in page
    shown = re.sub(r"<style>.*?</style>|<script.*?</script>|<[^>]*>", "", page, flags=re.DOTALL)
    assert re.findall(r"[\u4e00-\u9fff][,;:?!()]", shown) == []


def test_english_page_is_english():
    page = self_check(BOOK, language="en")
    assert '<html lang="en">' in page
    assert re.findall(r"[\u4e00-\u9fff]", page) == []
    for words in ("never gives a level for a person", "I can normally finish my work", "12356", "shared computer"):
        assert words in page


def test_texts_cannot_leave_their_place():
    evil = "</script><b>x</b></style>\u2028{{ 7*7 }}\" onclick='1' &amp;"
    tree = replace(
        BOOK.tree,
        nodes=tuple(
            replace(n, text_zh=evil, label_zh=evil) if n.code in ("L1", "D1", "INDEX") else n for n in BOOK.tree
        ),
    )
    services = [replace(default_services()[0], name_zh=evil, contact=evil, about_zh=evil)]
    page = self_check(replace(BOOK, tree=tree), services=services)
    assert page.count("</script>") == 2
    assert page.count("</style>") == 1
    assert "<b>" not in page
    assert "49" not in re.sub(r"sha256-\S+|<style>.*?</style>", "", page, flags=re.DOTALL)


def test_the_rule_is_applied_nowhere_in_the_package():
    """R7: the cut points leave rules.py as one bundle; no other module of ours knows their names."""
    names = re.compile(r"(orange|red|black)_(index|dimensions|days)")
    users = {
        path.relative_to(SOURCE).as_posix() for path in SOURCE.rglob("*.py") if names.search(path.read_text("utf-8"))
    }
    assert users == {"spec/rules.py"}


def test_the_rule_is_data():
    data = json.loads(re.findall(r'id="data">(.*?)</script>', self_check(typed(orange_index=57)), re.DOTALL)[0])
    assert data["rule"]["orange_index"] == 57
    assert data["rule"]["fall"] == 10.3
    assert "指数低于57" in self_check(typed(orange_index=57))


@pytest.mark.parametrize(
    ("text", "rule", "place"),
    [
        ("orange_index = 40\n", "band_order", "rules.toml [self_check]"),
        ("red_dimensions = 6\n", "band_order", "rules.toml [self_check]"),
        ("orange_dimensions = 1.5\n", "range", "rules.toml [self_check] orange_dimensions"),
        ("orange_dimensions = 0\n", "range", "rules.toml [self_check] orange_dimensions"),
        ("dimension = 140\n", "range", "rules.toml [self_check] dimension"),
        ("black_days = 100\n", "range", "rules.toml [self_check] black_days"),
        ("point = 3\n", "unknown_setting", "rules.toml [self_check]"),
    ],
)
def test_faults_of_the_rule(tmp_path, text, rule, place):
    (tmp_path / "rules.toml").write_text(f"[self_check]\n{text}", encoding="utf-8")
    problems = Problems()
    assert read_rules(tmp_path / "rules.toml", problems) == default_rules()
    assert [(p.rule, p.place) for p in problems] == [(rule, place)]


def test_what_cannot_become_a_page():
    with pytest.raises(UsageError, match="no index"):
        self_check(Codebook(Tree((Node("D"), Node("q", "D", minimum=1, maximum=5)))))
    with pytest.raises(UsageError, match="fr"):
        self_check(BOOK, language="fr")
    with pytest.raises(UsageError, match="service"):
        self_check(BOOK, services=[])
    with pytest.raises(SpecError) as caught:
        self_check(replace(BOOK, scales={"agree5": Scale("agree5", (Option("1", 1.0, "是"), Option("2", 9.0, "否")))}))
    assert caught.value.problems.table["found"].iloc[0] == "9"


def test_only_open_versions_are_asked():
    old = Node("q9", "D1", minimum=0, maximum=100, valid_to="2026Q2", text_zh="旧题")
    book = replace(DIRECT[1], tree=Tree((*DIRECT[1].tree.nodes, old)))
    assert "旧题" not in self_check(book)
    assert "旧题" in self_check(book, period="2026Q1")


# The page in a browser with its network cut.

CHROMIUM = find_browser()
in_browser = [
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="no Chromium is found on this computer (apt-get install chromium)"),
]


@pytest.fixture(scope="module")
def opened(tmp_path_factory) -> Iterator[Page]:
    assert CHROMIUM
    with browser(CHROMIUM, tmp_path_factory.mktemp("profile")) as page:
        page.size(1000, 900)
        yield page


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("pages")


def load(page: Page, folder: Path, spec: Specification | Codebook = BOOK, **named) -> Path:
    path = write_self_check(folder / "self-check.html", spec, **named)
    page.open(path)
    return path


def answer(page: Page, answers: Mapping[str, int], scale: str = "agree5") -> None:
    """Tick with the mouse; an answer is the code of an option."""
    codes = [option.code for option in BOOK.scales[scale].options]
    for code, ticked in answers.items():
        page.click(f'fieldset[data-code="{code}"] input[value="{codes.index(str(ticked))}"]')


def choose(page: Page, selector: str, value: str) -> None:
    page.run(
        f"(() => {{ const e = document.querySelector('{selector}'); e.value = '{value}';"
        "e.dispatchEvent(new Event('input')); })()"
    )


def result(page: Page) -> dict:
    page.click("#show")
    return shown(page)


def shown(page: Page) -> dict:
    """What the reader sees in the result."""
    return json.loads(
        page.run(
            """(() => {
            const text = (id) => document.getElementById(id).textContent;
            const all = (css) => Array.from(document.querySelectorAll(css));
            return JSON.stringify({
                index: text("index"), note: text("index-note"), level: document.getElementById("level").dataset.level || "",
                word: text("level"), meaning: text("meaning"), reasons: all("#reasons li").map((e) => e.textContent),
                dimensions: Object.fromEntries(all("#dimensions li").map((e) =>
                    [e.dataset.code, e.querySelector("b") ? e.querySelector("b").textContent : e.querySelector(".missing").textContent])),
                low: all("#dimensions li.low").map((e) => e.dataset.code),
                services: all("#services li").map((e) => e.dataset.code),
                days: all("#services .days").map((e) => e.textContent),
                hidden: document.getElementById("result").hidden, progress: text("progress"),
            }); })()"""
        )
    )


@pytest.mark.parametrize(
    ("answers", "index", "dimensions", "level", "reasons"),
    [
        # all in the middle: 50 everywhere
        (MIDDLE, "50.0", ["50.0"] * 8, "orange", ["指数50.0，低于55"]),
        # all 5: one reversed question of 6 or 5, two of 5 in D1: 60, 5/6, 4/5, 5/6, 4/5 …; sum 626.67 / 8
        (
            dict.fromkeys(ITEMS, 5),
            "78.3",
            ["60.0", "83.3", "80.0", "83.3", "80.0", "80.0", "80.0", "80.0"],
            "none",
            [],
        ),
        # one dimension of 25, seven of 75: 550 / 8
        (by_dimension(1, 2, 4), "68.8", ["25.0"] + ["75.0"] * 7, "orange", ["1个方面低于40：工作负荷与压力"]),
        # three of 25, five of 75: 450 / 8
        (
            by_dimension(3, 2, 4),
            "56.3",
            ["25.0"] * 3 + ["75.0"] * 5,
            "red",
            ["3个方面低于40：工作负荷与压力、薪酬待遇与公平、成长与发展"],
        ),
        # five of 25, three of 100: 425 / 8 = 53.125
        (
            by_dimension(5, 2, 5),
            "53.1",
            ["25.0"] * 5 + ["100.0"] * 3,
            "black",
            [
                "指数53.1，低于55",
                "5个方面低于40：工作负荷与压力、薪酬待遇与公平、成长与发展、上级支持与组织信任、团队氛围与归属",
            ],
        ),
        # all of 25
        (by_dimension(8, 2, 2), "25.0", ["25.0"] * 8, "black", ["指数25.0，低于35"]),
    ],
    ids=["middle", "reversed", "one low", "three low", "five low", "all low"],
)
class TestAnsweredPage:
    pytestmark = in_browser

    def test_scores_level_and_services(self, opened, folder, answers, index, dimensions, level, reasons):
        load(opened, folder)
        answer(opened, answers)
        seen = result(opened)
        assert seen["progress"] == "已答42题，共42题"
        assert seen["index"] == index
        assert list(seen["dimensions"]) == list(DIMENSIONS)
        assert list(seen["dimensions"].values()) == dimensions
        assert seen["level"] == level
        assert seen["reasons"][: len(reasons)] == reasons
        assert seen["low"] == [code for code, score in zip(DIMENSIONS, dimensions, strict=True) if float(score) < 40]
        order = {
            "none": ["union", "counsellor", "eap", "hotline", "supervisor"],
            "orange": ["counsellor", "union", "eap", "hotline", "supervisor"],
            "red": ["counsellor", "eap", "hotline", "union", "supervisor"],
            "black": ["hotline", "counsellor", "eap", "union", "supervisor"],
        }
        assert seen["services"] == order[level]
        days = {"orange": 10, "red": 5, "black": 2}.get(level)
        assert seen["days"] == ([f"提出求助后，{days}个工作日内答复"] * 4 if days else [])


@pytest.mark.parametrize("number", range(6))
class TestAgainstThePackage:
    pytestmark = in_browser

    def test_page_scores_as_the_package_does(self, opened, folder, number):
        """Random answers, a third of them open or not applicable, on an instrument with everything in it."""
        rng = np.random.default_rng(number)
        book = odd_codebook() if number % 2 else BOOK
        load(opened, folder, book)
        tree = book.tree.in_form("full")
        row, ticks = {}, []
        for n, leaf in enumerate(tree.leaves_of("INDEX")):
            scale = book.scales.get(leaf.scale)
            options = (
                [o.value for o in scale.options] if scale else list(range(int(leaf.minimum), int(leaf.maximum) + 1))
            )
            pick = int(rng.integers(len(options)))
            row[leaf.code] = float(options[pick]) if rng.random() > 0.3 else float("nan")
            if row[leaf.code] == row[leaf.code]:
                ticks.append([n, pick if scale or len(options) <= 11 else None, row[leaf.code]])
        opened.run(
            f"""{json.dumps(ticks)}.forEach(([n, pick, value]) => {{
            const box = document.querySelector(`fieldset[data-item="${{n}}"]`);
            if (pick !== null) box.querySelectorAll("input")[pick].click();
            else {{ box.querySelector("input").value = value; box.querySelector("input").dispatchEvent(new Event("input")); }} }})"""
        )
        seen = result(opened)
        scored = score_frame(pd.DataFrame([row]), {"full": tree}).iloc[0]
        for code, text in [("INDEX", seen["index"]), *seen["dimensions"].items()]:
            expected = scored[f"full__{code}"]
            if np.isnan(expected):
                assert text in ("—", "作答不足，不计分"), code
            else:
                assert float(text) == pytest.approx(expected, abs=0.05 + 1e-6), code


def odd_codebook() -> Codebook:
    """Weights, own least shares, values that are not linear, a number to type, a dimension of dimensions."""
    values = (
        Option("1", 0.0, "从不"),
        Option("2", 10.0, "偶尔"),
        Option("3", 100.0, "总是"),
        Option("9", float("nan"), "不适用"),
    )
    nodes = (
        Node("INDEX", "", "指数", role="index", min_share=0.5),
        Node("A", "INDEX", "甲", role="dimension", weight=3.0, min_share=0.5),
        Node("B", "INDEX", "乙", role="dimension", weight=0.5),
        Node("C", "INDEX", "丙", role="dimension", min_share=0.34),
        Node("C1", "C", "丙一", role="dimension", min_share=0.1),
        Node("C2", "C", "丙二", role="dimension"),
        Node("a1", "A", weight=2.0, minimum=0, maximum=100, scale="often"),
        Node("a2", "A", minimum=0, maximum=10),
        Node("a3", "A", direction=-1, weight=0.25, minimum=0, maximum=100, scale="often"),
        Node("b1", "B", direction=-1, minimum=0, maximum=100),
        Node("c1", "C1", minimum=-2, maximum=2),
        Node("c2", "C1", weight=0.0, minimum=0, maximum=100, scale="often"),
        Node("c3", "C2", minimum=1, maximum=5),
    )
    return Codebook(Tree(nodes), scales={"often": Scale("often", values)})


class TestOpenedPage:
    pytestmark = in_browser

    def test_too_few_answers_give_no_index_and_no_level(self, opened, folder):
        load(opened, folder)
        answers = {**by_dimension(0, 4, 4), **{code: 0 for d in ("D1", "D2", "D3") for code in DIMENSIONS[d]}}
        answer(opened, answers)
        seen = result(opened)
        assert (seen["index"], seen["note"], seen["level"]) == ("—", "作答的题目不够，不计算指数。", "unknown")
        assert seen["dimensions"]["D1"] == "作答不足，不计分"
        assert seen["dimensions"]["D4"] == "75.0"
        assert (len(seen["services"]), seen["days"], seen["reasons"]) == (5, [], [])

    def test_low_dimensions_count_even_without_an_index(self, opened, folder):
        load(opened, folder)
        answer(opened, {code: raised(code, 2) for d in ("D1", "D2", "D3") for code in DIMENSIONS[d]})
        seen = result(opened)
        assert (seen["index"], seen["level"]) == ("—", "red")
        assert seen["note"].startswith("作答的题目不够计算指数")

    def test_a_dimension_needs_three_of_five(self, opened, folder):
        load(opened, folder)
        answer(opened, {code: raised(code, 4) for code in ITEMS if code not in ("L1", "L2", "L3", "P1", "P2")})
        seen = result(opened)
        assert seen["dimensions"]["D1"] == "作答不足，不计分"
        assert seen["dimensions"]["D2"] == "75.0"
        assert (seen["index"], seen["progress"]) == ("75.0", "已答37题，共42题")

    @pytest.mark.parametrize(
        ("number", "level", "printed"),
        [
            ("55", "none", "55.0"), ("54.99", "orange", "54.99"), ("54.9", "orange", "54.9"), ("45", "orange", "45.0"),
            ("44.999", "red", "44.999"), ("35", "red", "35.0"), ("34.5", "black", "34.5"),
        ],
    )  # fmt: skip
    def test_exactly_on_a_cut_is_not_below(self, opened, folder, number, level, printed):
        load(opened, folder, typed(dimension=0))
        opened.write('input[name="q0"]', number)
        seen = result(opened)
        assert (seen["level"], seen["index"]) == (level, printed)

    @pytest.mark.parametrize(("number", "level", "low"), [("40", "none", []), ("39.9", "orange", ["D1"])])
    def test_a_dimension_exactly_on_its_cut_is_not_low(self, opened, folder, number, level, low):
        load(opened, folder, typed(orange_index=0, red_index=0, black_index=0))
        opened.write('input[name="q0"]', number)
        seen = result(opened)
        assert (seen["level"], seen["low"]) == (level, low)

    @pytest.mark.parametrize(
        ("now", "index", "last", "closed", "level"),
        [
            ("70", "80.3", "", False, "none"),  # a fall of exactly 10.3 is within error
            ("70", "80.4", "", False, "orange"),
            ("70", "120", "", False, "none"),  # no index is that high: it is not used
            ("50", "", "orange", False, "red"),
            ("50", "", "orange", True, "orange"),
            ("50", "", "none", False, "orange"),
            ("70", "80.4", "orange", False, "red"),
            ("70", "", "black", False, "none"),  # the past alone raises nothing
            ("44", "", "orange", False, "red"),
            ("44", "", "red", True, "black"),
            ("50", "", "red", False, "red"),  # one level more, never two
        ],
    )
    def test_last_time(self, opened, folder, now, index, last, closed, level):
        load(opened, folder, typed(dimension=0))
        opened.write('input[name="q0"]', now)
        opened.click("#history summary")
        if index:
            opened.write("#last-index", index)
        choose(opened, "#last-level", last)
        if closed:
            opened.click("#last-closed")
        assert result(opened)["level"] == level
        assert opened.run("document.getElementById('last-fault').hidden") is (index != "120")

    def test_result_follows_a_changed_answer(self, opened, folder):
        load(opened, folder, typed())
        opened.write('input[name="q0"]', "50")
        assert result(opened)["level"] == "orange"
        opened.write('input[name="q0"]', "150")
        assert shown(opened)["index"] == "—"
        assert opened.run("document.querySelector('fieldset .fault').hidden") is False

    def test_nothing_is_sent_and_nothing_stays(self, opened, folder):
        opened.events.clear()
        path = load(opened, folder)
        answer(opened, MIDDLE)
        opened.click("#history summary")
        opened.write("#last-index", "71.5")
        assert result(opened)["hidden"] is False
        assert opened.complaints == []
        before = opened.run("history.length")
        kept = """Promise.resolve().then(async () => {
            const count = (name) => { try { return window[name].length; } catch (error) { return 0; } };
            let bases = []; try { bases = await indexedDB.databases(); } catch (error) {}
            let cookie = ""; try { cookie = document.cookie; } catch (error) {}
            return [cookie, count("localStorage"), count("sessionStorage"), bases.length, window.name, location.search, location.hash];
        })"""
        assert opened.run(kept) == ["", 0, 0, 0, "", "", ""]
        assert opened.requested == [path.resolve().as_uri()]
        opened.reload()
        left = "document.querySelectorAll('input:checked').length + document.getElementById('last-index').value"
        assert opened.run(left) == "0"
        seen = shown(opened)
        assert (seen["hidden"], seen["index"], seen["progress"]) == (True, "", "已答0题，共42题")
        assert opened.run(kept) == ["", 0, 0, 0, "", "", ""]
        assert opened.run("history.length") == before
        assert set(opened.requested) == {path.resolve().as_uri()}

    def test_going_back_finds_nothing(self, opened, folder):
        load(opened, folder)
        answer(opened, {"L1": 3})
        opened.open(write_self_check(folder / "other.html", BOOK, language="en"))
        opened.back()
        assert opened.run("document.documentElement.lang") == "zh-CN"
        assert opened.run("document.querySelectorAll('input:checked').length") == 0

    def test_answers_are_not_in_the_profile_on_disk(self, folder, tmp_path):
        with browser(CHROMIUM, tmp_path / "profile") as page:
            path = load(page, folder, typed())
            page.write('input[name="q0"]', "73.528194")
            page.click("#history summary")
            page.write("#last-index", "73.528194")
            assert result(page)["index"] == "73.5"
            page.reload()
            page.call("Browser.close")
        files = [file.read_bytes() for file in (tmp_path / "profile").rglob("*") if file.is_file()]
        assert any(path.name.encode() in content for content in files), "the browser kept nothing at all to look into"
        for number in ("73.528194", "73.5281"):
            assert not any(number.encode(code) in content for content in files for code in ("utf-8", "utf-16-le"))

    def test_clear_forgets_everything(self, opened, folder):
        load(opened, folder)
        answer(opened, {"L1": 1, "L2": 0})
        opened.click("#history summary")
        opened.write("#last-index", "60")
        opened.click("#last-closed")
        choose(opened, "#last-level", "red")
        result(opened)
        opened.click("#result button.clear")
        seen = shown(opened)
        assert (seen["hidden"], seen["index"], seen["services"], seen["level"]) == (True, "", [], "")
        left = (
            "document.querySelectorAll('input:checked').length + document.getElementById('last-index').value"
            " + document.getElementById('last-level').value"
        )
        assert opened.run(left) == "0"

    def test_policy_stops_whatever_else_would_run_or_leave(self, opened, folder):
        load(opened, folder)
        stopped = opened.run(
            """new Promise((done) => {
            const found = []; document.addEventListener("securitypolicyviolation", (e) => found.push(e.effectiveDirective));
            const add = (tag, values) => document.body.appendChild(Object.assign(document.createElement(tag), values));
            add("script", { textContent: "window.ran = true" });
            add("img", { src: "http://127.0.0.1:9/x" });
            add("style", { textContent: "body { color: red }" });
            fetch("http://127.0.0.1:9/x").catch(() => 0);
            navigator.sendBeacon("http://127.0.0.1:9/x", "1");
            const form = add("form", { action: "http://127.0.0.1:9/x" }); form.submit();
            setTimeout(() => done([window.ran === undefined, ...new Set(found)].map(String).sort()), 300);
        })"""
        )
        assert stopped == sorted(["true", "script-src-elem", "img-src", "style-src-elem", "connect-src", "form-action"])

    def test_evil_texts_are_shown_as_they_stand(self, opened, folder):
        evil = "</script><b>x</b>{{ 7*7 }}"
        tree = replace(
            BOOK.tree,
            nodes=tuple(replace(n, text_zh=evil, label_zh=evil) if n.code in ("L1", "D1") else n for n in BOOK.tree),
        )
        load(opened, folder, replace(BOOK, tree=tree))
        assert opened.run("document.querySelector('legend').lastChild.textContent") == evil
        result(opened)
        assert opened.run("document.querySelector('#dimensions .name').textContent") == evil

    def test_phone_page_fits_its_width(self, opened, folder):
        opened.size(360, 740)
        try:
            for language in ("zh", "en"):
                load(opened, folder, language=language)
                answer(opened, {"L1": 1})
                result(opened)
                assert opened.run("document.documentElement.scrollWidth") <= 360
        finally:
            opened.size(1000, 900)


# Requests for help.

UNITS = Units(
    (
        Unit("C1", level="city"),
        Unit("C2", level="city"),
        Unit("B1", "C1", "branch"),
        Unit("B2", "C1", "branch"),
        Unit("B3", "C2", "branch"),
    )
)
SPEC = Specification(units=UNITS)


def asked(**by_unit: int) -> pd.DataFrame:
    """So many requests a unit, opened on the first days of July."""
    rows = [
        (f"{unit}-{i}", "request", unit, f"2026-07-{1 + i % 9:02d}", "", "工会")
        for unit, n in by_unit.items()
        for i in range(n)
    ]
    return pd.DataFrame(rows, columns=["obligation", "kind", "unit", "opened", "due", "route"])


def events(*rows: tuple[str, str, str]) -> pd.DataFrame:
    return pd.DataFrame(list(rows), columns=["obligation", "state", "time"])


def answered(table: pd.DataFrame, days: int, state: str = "offered") -> list[tuple[str, str, str]]:
    times = pd.to_datetime(table["opened"]) + pd.Timedelta(days=days)
    return [(code, state, f"{time:%Y-%m-%d}") for code, time in zip(table["obligation"], times, strict=True)]


def test_requests_are_counted_at_their_unit_and_above():
    table = asked(B1=12, B3=2)
    told = [*answered(table[table["unit"] == "B1"], 3), *answered(table.iloc[:4], 5, "accepted")]
    told += [("B1-0", "served", "2026-07-20"), ("B1-0", "closed", "2026-08-01"), ("B3-0", "declined", "2026-07-09")]
    found = requests(table, events(*told), SPEC, period="2026Q3")
    assert isinstance(found, Requests)
    rows = found.table.set_index("unit")
    assert found.table["unit"].tolist() == ["ALL", "C1", "C2", "B1", "B2", "B3"]
    assert rows.loc["ALL", ["n", "offered", "accepted", "declined", "served", "closed", "unanswered"]].tolist() == [
        14, 12, 4, 1, 1, 1, 1,
    ]  # fmt: skip
    assert rows["n"].tolist() == [14, 12, 2, 12, 0, 2]
    assert rows.at["B1", "waiting_days"] == 3
    assert np.isnan(rows.at["B3", "waiting_days"])
    assert rows.at["B3", "reason"] == "too_few_to_judge"
    assert set(found.table["period"]) == {"2026Q3"}


def test_waiting_is_the_median_to_the_first_answer():
    table = asked(B1=11)
    told = [t for i in range(11) for t in answered(table.iloc[[i]], i)] + answered(table.iloc[[10]], 2, "served")
    found = requests(table, events(*told), SPEC, period="2026Q3").table.set_index("unit")
    # days 0 … 9, and 2 for the one that was served before the offer: sorted 0 1 2 2 3 [4] 5 …, the sixth of eleven is 4
    assert found.at["B1", "waiting_days"] == 4


def test_small_groups_are_hidden():
    units = Units((*UNITS.rows, Unit("C3", level="city"), Unit("B4", "C3", "branch")))
    table = asked(B1=12, B2=14, B3=6, B4=6)
    found = requests(table, events(*answered(table, 3)), Specification(units=units), period="2026Q3")
    assert (found.programme, found.about) == ("requests", "persons")
    safe = dj.protect(found).table.set_index("unit")
    for unit in ("C2", "C3", "B3", "B4"):
        assert safe.loc[unit, list(found.statistics)].isna().all()
        assert safe.at[unit, "reason"] == "small_group"
    assert safe.loc[["ALL", "C1", "B1", "B2"], "n"].tolist() == [38, 26, 12, 14]
    assert "B3-0" not in found.table.to_csv()
    assert "工会" not in found.table.to_csv()


def test_period_and_day_limit_what_counts():
    table = pd.concat([asked(B1=2), asked(B2=1).assign(opened="2026-04-01")])
    told = events(("B1-0", "offered", "2026-07-05"), ("B1-1", "offered", "2026-09-01"))
    count = lambda **named: requests(table, told, SPEC, **named).table.iloc[0][["n", "offered"]].tolist()  # noqa: E731
    assert count(period="2026Q3") == [2, 2]
    assert count(period="2026Q3", asof="2026-08-01") == [2, 1]
    assert count(period="2026Q2") == [1, 0]
    assert count(asof="2026-07-01") == [2, 0]
    assert requests(table, told, SPEC).period == "2026-04/2026-07"
    assert requests(asked(), events(), SPEC, period="2026Q3").table["n"].tolist() == [0] * 6


def test_other_kinds_are_passed_over():
    table = pd.concat([asked(B1=1), asked(B2=3).assign(kind="task")])
    told = events(("B2-0", "overdue", "2026-07-05"), ("B1-0", "offered", "2026-07-05"))
    found = requests(table, told, SPEC, period="2026Q3").table.set_index("unit")
    assert found["n"].tolist() == [1, 1, 0, 1, 0, 0]


def test_the_order_of_rows_does_not_matter():
    table = asked(B1=5, B2=6)
    told = events(*answered(table, 3), *answered(table.iloc[:3], 9, "closed"))
    one = requests(table, told, SPEC).table
    other = requests(table.iloc[::-1], told.sample(frac=1, random_state=1), SPEC).table
    pd.testing.assert_frame_equal(one, other)


@pytest.mark.parametrize(
    "column",
    [
        "respondent", "own_code", "link", "link_id", "person", "Person_ID", "applicant", "申请人", "求助人", "姓名", "工号",
        "手机号", "本人电话", "假名编号", "昵称", "employee", "user", "帮扶对象", "name",
    ],
)  # fmt: skip
@pytest.mark.parametrize("where", ["obligations", "obligation_events"])
def test_columns_that_lead_to_a_person_are_refused(column, where):
    table, told = asked(B1=1), events(("B1-0", "offered", "2026-07-05"))
    (table if where == "obligations" else told)[column] = "x"
    with pytest.raises(IdentifierError, match=column) as caught:
        requests(table, told, SPEC)
    assert caught.value.problems.table[["place", "rule"]].to_numpy().tolist() == [[where, "identifier_column"]]


def test_cells_that_lead_to_a_person_are_refused():
    with pytest.raises(IdentifierError, match="手机号"):
        requests(asked(B1=2).assign(label=["", "请打13812345678"]), events(), SPEC)


@pytest.mark.parametrize(
    ("table", "told", "rule"),
    [
        (asked(B1=1).drop(columns="opened"), events(), "missing_column"),
        (asked(B9=1), events(), "unknown_unit"),
        (pd.concat([asked(B1=1), asked(B1=1)]), events(), "repeated_key"),
        (asked(B1=1), events(("B1-0", "promised", "2026-07-05")), "unknown_state"),
        (asked(B1=1), events(("B1-0", "offered", "July")), "bad_date"),
        (asked(B1=1).assign(opened=""), events(), "bad_date"),
        (asked(B1=1), events(("B1-0", "offered", "2026-06-05")), "before_opened"),
    ],
)
def test_faults_of_requests(table, told, rule):
    with pytest.raises(DataError) as caught:
        requests(table, told, SPEC)
    assert rule in set(caught.value.problems.table["rule"])
    assert caught.value.problems.table["advice"].ne("").all()


def test_without_units_a_request_stands_where_it_says():
    found = requests(asked(B1=2), events(), period="2026Q3").table
    assert found[["level", "unit", "n"]].to_numpy().tolist() == [["company", "ALL", 2], ["unit", "B1", 2]]


def test_a_merged_unit_lives_on():
    units = Units((Unit("B1", level="branch", valid_to="2026Q2", became="B2"), Unit("B2", level="branch")))
    found = requests(asked(B1=1, B2=2), events(), Specification(units=units), period="2026Q3").table
    assert found[["unit", "n"]].to_numpy().tolist() == [["ALL", 3], ["B2", 3]]
