"""Declarations: periods, grades, trees, units, forbidden subjects, rules and settings hold what they promise."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from pathlib import Path

import numpy as np
import pytest

import dj_analysis as dj
from dj_analysis.errors import Problems, SpecError, UsageError
from dj_analysis.spec.bands import Band, Bands, default_bands, read_bands
from dj_analysis.spec.codebook import Codebook, default_codebook
from dj_analysis.spec.lint import FORBIDDEN, forbidden_subject
from dj_analysis.spec.periods import bound, is_period, order, parse
from dj_analysis.spec.rules import default_rules, read_rules
from dj_analysis.spec.settings import read_settings
from dj_analysis.spec.tree import Node, Tree
from dj_analysis.spec.units import ALL, Unit, Units
from dj_analysis.workspace import check_folder

# Periods.


@pytest.mark.parametrize(
    ("text", "cycle", "start", "end", "zh", "previous", "year_before"),
    [
        ("2026", "year", date(2026, 1, 1), date(2026, 12, 31), "2026年", "2025", "2025"),
        ("2026H1", "half", date(2026, 1, 1), date(2026, 6, 30), "2026年上半年", "2025H2", "2025H1"),
        ("2026H2", "half", date(2026, 7, 1), date(2026, 12, 31), "2026年下半年", "2026H1", "2025H2"),
        ("2026Q1", "quarter", date(2026, 1, 1), date(2026, 3, 31), "2026年一季度", "2025Q4", "2025Q1"),
        ("2026Q3", "quarter", date(2026, 7, 1), date(2026, 9, 30), "2026年三季度", "2026Q2", "2025Q3"),
        ("2026-01", "month", date(2026, 1, 1), date(2026, 1, 31), "2026年1月", "2025-12", "2025-01"),
        ("2024-02", "month", date(2024, 2, 1), date(2024, 2, 29), "2024年2月", "2024-01", "2023-02"),
    ],
)
def test_periods(text: str, cycle: str, start: date, end: date, zh: str, previous: str, year_before: str):
    period = parse(text)
    assert (period.text, period.cycle, period.start, period.end) == (text, cycle, start, end)
    assert (period.label("zh"), period.label("en")) == (zh, text)
    assert (period.previous.text, period.year_before.text) == (previous, year_before)
    assert period.previous.index + 1 == period.index
    assert period.previous.shift(1) == period


@pytest.mark.parametrize(
    "text", ["", "2026Q5", "2026H3", "2026-13", "2026-00", "26Q1", "2026q3", "2026年", "Q3", "2026Q3x"]
)
def test_what_is_no_period(text: str):
    assert not is_period(text)
    with pytest.raises(UsageError, match=r"2026, 2026H1, 2026Q3, 2026-09"):
        parse(text)


def test_periods_in_order_of_their_end():
    assert order(["2026Q1", "2025Q4", "2026-09", "2026", "2026H1"]) == ["2025Q4", "2026Q1", "2026H1", "2026-09", "2026"]


def test_shorter_periods_come_first_among_those_with_the_same_end():
    assert order(["2026", "2026H2", "2026Q4", "2026-12"]) == ["2026-12", "2026Q4", "2026H2", "2026"]


def test_bounds_of_validity():
    assert bound("2026Q3", last=False) == date(2026, 7, 1)
    assert bound("2026Q3", last=True) == date(2026, 9, 30)
    assert bound("2026-09-15", last=True) == bound("2026-09-15", last=False) == date(2026, 9, 15)
    with pytest.raises(UsageError):
        bound("15.9.2026", last=True)


@pytest.mark.parametrize(
    ("valid_from", "valid_to", "there"),
    [
        ("", "", True),
        ("2026Q3", "2026Q3", True),
        ("2026-09-30", "", True),  # from its last day on
        ("2026-10-01", "", False),
        ("", "2026-09-30", True),
        ("", "2026-09-29", False),  # what ends within the period is not there at its end
        ("", "2026Q2", False),
        ("2026", "2026", True),
        ("2027", "", False),
    ],
)
def test_what_holds_at_the_end_of_a_period_holds_for_it(valid_from: str, valid_to: str, there: bool):
    unit = Unit("A", valid_from=valid_from, valid_to=valid_to)
    leaf = Node("L", minimum=1, maximum=5, valid_from=valid_from, valid_to=valid_to)
    assert ("A" in Units((unit,)).at("2026Q3")) == there
    assert ("L" in Tree((leaf,)).at("2026Q3")) == there
    assert "A" in Units((unit,)).at("")
    assert "L" in Tree((leaf,)).at("")


# Grades.


def test_grades_are_cut_strictly_and_the_gravest_wins():
    low = Bands("w", (Band("orange", 60, "below"), Band("red", 55, "below"), Band("black", 45, "below")))
    values = np.array([80, 60, 60 - 1e-12, 59.99, 55, 54.9, 45, 44.9, np.nan])
    assert low.grade(values).tolist() == ["", "", "", "orange", "orange", "red", "red", "black", ""]
    high = Bands("s", (Band("some", 0.1, "above"), Band("many", 0.2, "above")))
    assert high.grade(np.array([0.1, 0.11, 0.2, 0.21])).tolist() == ["", "some", "some", "many"]


def test_grades_that_must_be_sure():
    bands = Bands("w", (Band("orange", 60, "below", 0.80), Band("red", 55, "below", 0.90)))
    chances = {60: np.array([0.79, 0.80, 0.99, 0.99, np.nan]), 55: np.array([0.1, 0.5, 0.89, 0.90, np.nan])}
    codes, given = bands.grade_surely(lambda point, side: chances[point])
    assert codes.tolist() == ["", "orange", "orange", "red", ""]
    np.testing.assert_array_equal(given, [np.nan, 0.80, 0.99, 0.90, np.nan])


def test_every_default_cut_says_why():
    for bands in default_bands().values():
        assert bands.bands
        assert all(band.reason for band in bands.bands), bands.name
    warning = default_bands()["warning"].bands
    assert [(band.code, band.point, band.confidence) for band in warning] == [
        ("orange", 60, 0.80), ("red", 55, 0.90), ("black", 45, 0.95),
    ]  # fmt: skip


def bands_of(tmp_path: Path, text: str) -> tuple[dict[str, Bands], Problems]:
    (tmp_path / "bands.toml").write_text(text, encoding="utf-8")
    problems = Problems()
    return dict(read_bands(tmp_path / "bands.toml", problems)), problems


def test_bands_are_read_section_by_section(tmp_path: Path):
    found, problems = bands_of(
        tmp_path, '[warning]\nband = [{ code = "mild", below = 70, confidence = 0.5, reason = "试行" }]\n'
    )
    assert len(problems) == 0
    assert found["warning"].bands == (Band("mild", 70.0, "below", 0.5, reason="试行"),)
    assert found["favourable"] == default_bands()["favourable"]
    assert read_bands(tmp_path / "none.toml", problems) == default_bands()
    assert read_bands(None, problems) == default_bands()


@pytest.mark.parametrize(
    ("text", "rule", "place", "said"),
    [
        ('[warnings]\nband = []\n', "unknown_setting", "bands.toml", "warnings"),
        ('[warning]\nband = [{ code = "a", below = 60, certainty = 1 }]\n', "unknown_setting", "[warning] a", "certainty"),
        ('[warning]\nband = [{ code = "a", below = 55 }, { code = "b", below = 60 }]\n', "band_order", "[warning]", "55.0"),
        ('[low_answers]\nband = [{ code = "a", above = 0.3 }, { code = "b", above = 0.2 }]\n', "band_order",
         "[low_answers]", "0.3"),
        ('[warning]\nband = [{ code = "a" }]\n', "band", "[warning] a", "code"),
        ('[warning]\nband = [{ below = 60 }]\n', "band", "[warning] ?", "below"),
        ('[warning]\nband = [{ code = "a", below = 60, above = 70 }]\n', "band", "[warning] a", "above"),
        ('[warning]\nband = [{ code = "a", below = "sixty" }]\n', "band", "[warning] a", "sixty"),
        ("[warning\n", "unreadable", "bands.toml", ""),
    ],
)  # fmt: skip
def test_faults_of_bands(tmp_path: Path, text: str, rule: str, place: str, said: str):
    _, problems = bands_of(tmp_path, text)
    (problem,) = problems
    assert problem.rule == rule
    assert place in problem.place
    assert said in problem.found
    assert problem.allowed
    assert problem.advice


@pytest.mark.parametrize(
    "text",
    [
        "warning = 3\n",
        "[warning]\n",
        "[warning]\nband = 3\n",
        '[warning]\nband = ["orange"]\n',
        "[warning]\ncuts = []\nband = [{ code = 'a', below = 60, confidence = 0.8 }]\n",
        "[warning]\nband = [{ code = 'a', below = 60, confidence = 'sure' }]\n",
        "[warning]\nband = [{ code = 'a', below = 60, confidence = 80 }]\n",
        "[warning]\nband = [{ code = 'a', below = true }]\n",
    ],
)
def test_bands_of_the_wrong_type_are_reported(tmp_path: Path, text: str):
    assert len(bands_of(tmp_path, text)[1]) == 1


# Rules.


def rules_of(tmp_path: Path, text: str):
    (tmp_path / "rules.toml").write_text(text, encoding="utf-8")
    problems = Problems()
    return read_rules(tmp_path / "rules.toml", problems), problems


def test_a_rule_changes_by_its_parameter_alone(tmp_path: Path):
    rules, problems = rules_of(tmp_path, "[change]\nsmallest = 3\n")
    assert len(problems) == 0
    assert rules.change == replace(default_rules().change, smallest=3.0)
    assert rules.response == default_rules().response
    assert read_rules(None, problems) == default_rules()


@pytest.mark.parametrize(
    ("text", "rule", "place", "found", "allowed"),
    [
        (
            "[changes]\nsmallest = 3\n",
            "unknown_rule",
            "rules.toml",
            "changes",
            "change, linking, months, months_last, ranking, response",
        ),
        ("[change]\nsmalest = 3\n", "unknown_setting", "rules.toml [change]", "smalest", "smallest"),
        ("[change]\nsmallest = 'three'\n", "wrong_type", "rules.toml [change] smallest", "three", "number"),
        ("[change]\nsmallest = true\n", "wrong_type", "rules.toml [change] smallest", "True", "number"),
        ("[change]\nsmallest = = 3\n", "unreadable", "rules.toml", "", "TOML"),
    ],
)
def test_faults_of_rules(tmp_path: Path, text: str, rule: str, place: str, found: str, allowed: str):
    rules, problems = rules_of(tmp_path, text)
    assert rules == default_rules()
    (problem,) = problems
    assert (problem.rule, problem.place) == (rule, place)
    assert found in problem.found
    assert allowed in problem.allowed


@pytest.mark.parametrize("text", ["change = 3\n", "[change]\nconfidence = 95\n", "[response]\nminimum = 50\n"])
def test_rules_beyond_their_range_are_reported(tmp_path: Path, text: str):
    assert len(rules_of(tmp_path, text)[1]) == 1


# Settings.


def settings_of(tmp_path: Path, text: str | bytes):
    (tmp_path / "workspace.toml").write_bytes(text if isinstance(text, bytes) else text.encode())
    problems = Problems()
    return read_settings(tmp_path, problems), problems


def test_settings_and_their_defaults(tmp_path: Path):
    settings, problems = settings_of(tmp_path, "\ufeff")  # an empty file with the mark Windows editors write
    assert len(problems) == 0
    assert (settings.min_group, settings.language, settings.name, dict(settings.waves)) == (10, "zh", "", {})
    text = """
        name = "试点"
        language = "en"
        min_group = 5
        purpose = "仅供改进"
        [waves]
        2026Q2 = "pulse"
        2026Q3 = "full"
        [roots]
        data = "../data"
        [units]
        exclude_types = ["summary"]
        [codebook]
        recall = "最近三个月"
        not_applicable = true
        [publish]
        cross = [["branch", "age_band"]]
        [tables.responses]
        path = "../data/r.csv"
        shape = "long"
        columns = { unit = "team" }
        """
    settings, problems = settings_of(tmp_path, text)
    assert len(problems) == 0
    assert (settings.min_group, settings.language) == (5, "en")
    assert dict(settings.waves) == {"2026Q2": "pulse", "2026Q3": "full"}
    assert (settings.exclude_types, settings.recall, settings.not_applicable) == (("summary",), "最近三个月", True)
    assert settings.cross == (("branch", "age_band"),)
    source = settings.tables["responses"]
    assert (source.path, source.shape, dict(source.columns)) == ("../data/r.csv", "long", {"unit": "team"})
    assert settings.inside(tmp_path / "x.csv")
    assert settings.inside(tmp_path / ".." / "data" / "r.csv")
    assert not settings.inside(tmp_path / ".." / "other" / "r.csv")
    assert not settings.inside(tmp_path / ".." / "data-elsewhere" / "r.csv")


def test_the_days_of_a_wave_stand_beside_its_form(tmp_path: Path):
    text = """
        [waves]
        2026Q1 = "pulse"
        2026Q2 = { form = "pulse" }
        2026Q3 = { form = "full", from = 2026-08-10, to = 2026-08-23 }
        2026Q4 = { from = 2026-11-02, to = 2026-11-02 }
        """
    settings, problems = settings_of(tmp_path, text)
    assert len(problems) == 0
    assert dict(settings.waves) == {"2026Q1": "pulse", "2026Q2": "pulse", "2026Q3": "full"}
    day = date(2026, 11, 2)
    assert dict(settings.fieldwork) == {"2026Q3": (date(2026, 8, 10), date(2026, 8, 23)), "2026Q4": (day, day)}


@pytest.mark.parametrize(
    ("text", "rule", "place"),
    [
        ("min_group = 4", "min_group", "min_group"),
        ("min_group = '10'", "wrong_type", "min_group"),
        ("min_group = 10.5", "wrong_type", "min_group"),
        ("min_group = true", "wrong_type", "min_group"),
        ("language = 'fr'", "choice", "language"),
        ("language = 3", "wrong_type", "language"),
        ("nmae = 'x'", "unknown_setting", "workspace.toml"),
        ("waves = 'full'", "wrong_type", "waves"),
        ("[waves]\n2026Q5 = 'full'", "choice", "[waves]"),
        ("[waves]\n2026Q3 = 'half'", "choice", "[waves]"),
        ("[waves]\n2026Q3 = { form = 'half' }", "choice", "[waves]"),
        ("[waves]\n2026Q3 = { from = 2026-08-23, to = 2026-08-10 }", "days", "[waves.2026Q3]"),
        ("[waves]\n2026Q3 = { from = 2026-08-10 }", "days", "[waves.2026Q3]"),
        ("[waves]\n2026Q3 = { from = 2025-08-10, to = 2025-08-20 }", "days", "[waves.2026Q3]"),
        ("[waves]\n2026Q3 = { from = '8月10日', to = 2026-08-20 }", "wrong_type", "[waves.2026Q3] from"),
        ("[waves]\n2026Q3 = { shape = 'full' }", "unknown_setting", "[waves.2026Q3]"),
        ("[units]\nexclude_types = 'summary'", "wrong_type", "[units] exclude_types"),
        ("[units]\nexclude = ['summary']", "unknown_setting", "[units]"),
        ("[codebook]\nnot_applicable = 1", "wrong_type", "[codebook] not_applicable"),
        ("[publish]\ncross = 'branch'", "wrong_type", "[publish] cross"),
        ("tables = 3", "wrong_type", "tables"),
        ("[tables]\nresponses = 'r.csv'", "wrong_type", "[tables.responses]"),
        ("[tables.responses]\nshape = 'tall'", "choice", "[tables.responses] shape"),
        ("[tables.responses]\nfile = 'r.csv'", "unknown_setting", "[tables.responses]"),
        ("[tables.responses]\ncolumns = 'unit'", "wrong_type", "[tables.responses] columns"),
        ("min_group = ", "unreadable", "workspace.toml"),
        ("name = '试点'".encode("gbk"), "unreadable", "workspace.toml"),
    ],
)
def test_faults_of_settings(tmp_path: Path, text: str | bytes, rule: str, place: str):
    settings, problems = settings_of(tmp_path, text)
    (problem,) = problems
    assert problem.rule == rule
    assert problem.place.endswith(place)
    assert problem.allowed
    assert problem.advice
    assert (settings.min_group, settings.language) == (10, "zh")


@pytest.mark.parametrize(
    "text", ["[roots]\ndata = 3", "[tables.responses.columns]\nunit = 3", "[publish]\ncross = ['branch']"]
)
def test_inner_types_of_settings_are_reported(tmp_path: Path, text: str):
    assert len(settings_of(tmp_path, text)[1]) == 1


# Trees and forms.


@pytest.fixture(scope="module")
def instrument() -> Codebook:
    return default_codebook()


def test_forms_of_the_default_instrument(instrument: Codebook):
    tree = instrument.tree
    index = [leaf.code for leaf in tree.leaves_of("INDEX")]
    assert len(index) == 42
    assert sum(tree[code].direction == -1 for code in index) == 9
    anchors, full = tree.in_form("anchors"), tree.in_form("full")
    assert [leaf.code for leaf in anchors.leaves_of("INDEX")] == [
        "L1", "L3", "P1", "P3", "G1", "G2", "S1", "S4", "T1", "T2", "A2", "A3", "V2", "V4", "K1", "K5",
    ]  # fmt: skip
    assert [leaf.code for leaf in anchors.leaves_of("O")] == ["O1", "O2", "O3", "O4"]
    assert len(full.leaves) == 47
    assert tree.has_forms
    assert instrument.forms("full") == ("anchors", "full")
    assert instrument.forms("pulse") == ("anchors",)
    assert [node.code for node in instrument.dimensions] == [f"D{i}" for i in range(1, 9)]
    assert (instrument.index, instrument.weight) == ("INDEX", None)


def test_shares_that_must_be_answered(instrument: Codebook):
    anchors, full = instrument.tree.in_form("anchors"), instrument.tree.in_form("full")
    assert (anchors.least(anchors["D1"]), anchors.least(anchors["O"])) == (1, 2)  # half of two, of four
    assert [full.least(full[code]) for code in ("D1", "D2", "O")] == [3, 4, 3]  # 0.6 of five, six, five
    assert anchors.least(anchors["INDEX"]) == full.least(full["INDEX"]) == 6  # three quarters of eight


def small_tree(form: str = "", share: float = float("nan"), **leaf: object) -> Tree:
    leaves = [Node(f"Q{i}", "D", minimum=1, maximum=5, form=form, **leaf) for i in range(1, 6)]  # type: ignore[arg-type]
    return Tree((Node("D", role="dimension", min_share=share), *leaves))


def test_a_tree_without_forms_has_one_with_the_stricter_share():
    tree = small_tree()
    assert not tree.has_forms
    for form in ("anchors", "full"):
        asked = tree.in_form(form)
        assert len(asked.leaves) == 5
        assert asked.least(asked["D"]) == 3
    assert Codebook(tree).forms("full") == Codebook(tree).forms("pulse") == ("anchors",)


@pytest.mark.parametrize(("share", "least"), [(1.0, 5), (0.8, 4), (0.81, 5), (0.2, 1), (0.01, 1)])
def test_a_declared_share_overrides(share: float, least: int):
    for form in ("anchors", "full"):
        tree = small_tree("both", share).in_form(form)
        assert tree.least(tree["D"]) == least


def test_the_version_changes_with_whatever_decides_a_number(instrument: Codebook):
    tree = instrument.tree
    assert tree.version == Tree(tree.nodes).version
    for change in ({"weight": 2.0}, {"direction": -1}, {"maximum": 7.0}, {"parent": "D2"}, {"text_zh": "改过的题干"}):
        nodes = tuple(replace(node, **change) if node.code == "L1" else node for node in tree.nodes)
        assert Tree(nodes).version != tree.version, change


def test_versions_of_a_code_by_period():
    old = Node("A1", "D", text_zh="旧", minimum=1, maximum=5, valid_to="2025Q4")
    new = Node("A1b", "D", text_zh="新", minimum=1, maximum=5, valid_from="2026Q1", replaces="A1")
    tree = Tree((Node("D", role="dimension"), old, new))
    assert [leaf.code for leaf in tree.at("2025Q4").leaves] == ["A1"]
    assert [leaf.code for leaf in tree.at("2026Q1").leaves] == ["A1b"]
    assert tree.at("2026Q1")["A1b"].replaces == "A1"
    with pytest.raises(UsageError, match=r"A1.*A1b"):
        tree.at("2026Q1")["A1"]


CODEBOOK = (
    "code,parent,label_zh,role,direction,weight,minimum,maximum,text_zh,scale,form,min_share,valid_from,valid_to\n"
)


def codebook_of(tmp_path: Path, rows: str) -> Codebook:
    (tmp_path / "codebook.csv").write_text(CODEBOOK + rows, encoding="utf-8")
    return dj.read_codebook(tmp_path / "codebook.csv")


def test_cells_left_blank_take_their_default(tmp_path: Path):
    tree = codebook_of(tmp_path, "D,,维度,dimension,,,,,,,,,,\nQ,D,题,item,,,1,5,,,,,,\n").tree
    assert (tree["Q"].direction, tree["Q"].weight, tree["D"].weight) == (1, 1.0, 1.0)


@pytest.mark.parametrize(
    ("rows", "rule", "place"),
    [
        ("Q,D9,题,item,1,1,1,5,,,,,,\n", "orphan_node", "codebook.csv: Q"),
        ("D,,维度,dimension,1,1,,,,,,,,\n", "no_children", "codebook.csv: D"),
        ("Q,,题,item,1,1,5,1,,,,,,\n", "range", "codebook.csv: Q"),
        ("Q,,题,item,1,1,,,,,,,,\n", "range", "codebook.csv: Q"),
        ("Q,,题,item,1,-1,1,5,,,,,,\n", "negative_weight", "codebook.csv: Q"),
        ("Q,,题,item,1,1,1,5,,agree9,,,,\n", "unknown_scale", "codebook.csv: Q"),
        ("Q,,题,item,1,1,1,5,,,,1.5,,\n", "range", "codebook.csv: Q"),
        ("Q,,题,question,1,1,1,5,,,,,,\n", "choice", "codebook.csv: role"),
        ("Q,,题,item,1,1,1,5,,,yearly,,,\n", "choice", "codebook.csv: form"),
        ("Q,,题,item,1,一,1,5,,,,,,\n", "text_in_number", "codebook.csv: weight"),
        (",,题,item,1,1,1,5,,,,,,\n", "missing_code", "codebook.csv: 第 2 行"),
        ("D,,维度,dimension,1,1,,,,,,,,\nQ,D,题,item,1,0,1,5,,,,,,\n", "zero_weights", "codebook.csv: D"),
        ("A,A,甲,dimension,1,1,,,,,,,,\n", "cycle", "codebook.csv: A"),
        ("Q,,题,item,1,1,1,5,,,,,,2026Q2\nQ,,题,item,1,1,1,5,,,,,2026-06-30,\n", "two_versions_at_once", "codebook.csv: Q"),
        ("Q,,题,item,1,1,1,5,,,,,,\nQ,,题,item,1,1,1,5,,,,,,\n", "duplicate_row", "codebook.csv"),
    ],
)  # fmt: skip
def test_faults_of_a_codebook(tmp_path: Path, rows: str, rule: str, place: str):
    with pytest.raises(SpecError) as raised:
        codebook_of(tmp_path, rows)
    table = raised.value.problems.table
    found = table[table["rule"] == rule]
    assert found["place"].tolist()[:1] == [place], table.to_string()
    assert (table != "").all().all()


def test_versions_that_follow_each_other_are_no_fault(tmp_path: Path):
    rows = "Q,,题,item,1,1,1,5,,,,,,2026Q2\nQ,,题,item,1,1,1,7,,,,,2026Q3,\n"
    tree = codebook_of(tmp_path, rows).tree
    assert (tree.at("2026Q2")["Q"].maximum, tree.at("2026Q3")["Q"].maximum) == (5, 7)


# Units.


COMPANY = Units(
    (
        Unit("ALL", level="company", tree="admin", name_zh="云岭公司"),
        Unit("C1", level="city", tree="admin", name_zh="澄川公司", aliases="澄川|澄川供电"),
        Unit("C2", level="city", tree="admin", name_zh="霁州公司", name_en="Jizhou"),
        Unit("B1", "C1", "branch", "admin", name_zh="运维支部", valid_to="2025Q4", became="B3"),
        Unit("B2", "C1", "branch", "admin", name_zh="检修支部", valid_to="2025Q4", became="B3"),
        Unit("B3", "C1", "branch", "admin", name_zh="运检支部", valid_from="2026Q1", valid_to="2026Q2", became="B4"),
        Unit("B4", "C1", "branch", "admin", name_zh="运维检修支部", valid_from="2026Q3"),
        Unit("B5", "C2", "branch", "admin", name_zh="营销支部"),
        Unit("X1", level="line", tree="line", name_zh="运维条线"),
        Unit("X2", level="line", tree="line", name_zh="营销条线"),
    )
)


def test_levels_and_trees_in_their_declared_order():
    assert COMPANY.trees == ("admin", "line")
    assert COMPANY.levels == ["company", "city", "branch", "line"]
    assert [COMPANY.tree_of(level) for level in COMPANY.levels] == ["admin", "admin", "admin", "line"]
    assert [unit.unit for unit in COMPANY.at("2026Q3").at_level("branch")] == ["B4", "B5"]
    assert [unit.unit for unit in COMPANY.at("2025Q4").at_level("branch")] == ["B1", "B2", "B5"]
    with pytest.raises(UsageError, match=r"brunch.*branch"):
        COMPANY.tree_of("brunch")


def test_the_root_is_all_of_every_tree():
    assert COMPANY[ALL].name() == "云岭公司"
    assert [unit.unit for unit in COMPANY.at_level("company")] == [ALL]
    assert [unit.unit for unit in COMPANY.children(ALL)] == ["C1", "C2"]
    assert [unit.unit for unit in COMPANY.children(ALL, "line")] == ["X1", "X2"]
    assert COMPANY.ancestors("B5") == ["C2", ALL]
    assert COMPANY.ancestors("X1") == [ALL]
    assert {unit.unit for unit in COMPANY.below(ALL)} == {unit.unit for unit in COMPANY.rows} - {ALL}
    assert [unit.unit for unit in COMPANY.below("C2")] == ["B5"]
    assert ALL in COMPANY
    assert Units(())[ALL].name("zh") == "全体"
    assert Units(())[ALL].name("en") == "All staff"
    assert COMPANY.find("云岭公司") == ALL


def test_merged_units_are_followed_to_the_end():
    assert dict(COMPANY.successors) == {"B1": "B4", "B2": "B4", "B3": "B4"}
    around = Units((Unit("A", became="B"), Unit("B", became="A")))
    assert set(around.successors) == {"A", "B"}  # ends, whatever it says


def test_units_are_found_by_code_name_alias_and_with_other_spacing():
    for text in ("C1", "澄川公司", "澄川供电", " 澄 川 公 司 "):
        assert COMPANY.find(text) == "C1"
    assert COMPANY.find("Jizhou") == "C2"
    assert dict(COMPANY.resolve(["运维条线", "X2", "营销支部", "没有"], "line")) == {"运维条线": "X1", "X2": "X2"}
    with pytest.raises(UsageError, match=r"霁州公.*霁州公司"):
        COMPANY.find("霁州公")


def test_names_of_merged_units_still_lead_to_the_unit_of_their_time():
    assert COMPANY.at("2025Q4").find("运维支部") == "B1"
    with pytest.raises(UsageError):
        COMPANY.at("2026Q3").find("运维支部")


def test_the_version_of_units_changes_with_any_cell():
    other = Units((*COMPANY.rows[:-1], replace(COMPANY.rows[-1], headcount=7.0)))
    assert other.version != COMPANY.version
    assert Units(COMPANY.rows).version == COMPANY.version


UNITS = "unit,tree,parent,level,name_zh,headcount,valid_from,valid_to,became\n"


def units_of(tmp_path: Path, rows: str) -> Units:
    (tmp_path / "units.csv").write_text(UNITS + rows, encoding="utf-8")
    return dj.read_units(tmp_path / "units.csv")


def test_units_from_a_file(tmp_path: Path):
    rows = "ALL,,,group,集团,90,,,\nA,party,,committee,甲党委,50.0,,,\n01,party,A,branch,一支部,,,,\n7.0,party,A,branch,七支部,,,,\n"
    units = units_of(tmp_path, rows)
    assert units.levels == ["group", "committee", "branch"]
    assert [unit.unit for unit in units.children("A")] == [
        "01",
        "7",
    ]  # a number cell keeps no decimals, a text its zero
    assert units["A"].headcount == 50
    assert units["01"].parent == "A"
    assert units.table.columns[:4].tolist() == ["unit", "parent", "level", "tree"]


@pytest.mark.parametrize(
    ("rows", "rule", "place"),
    [
        ("A,,Z,city,甲,,,,\n", "orphan_unit", "units.csv: A"),
        ("A,,B,city,甲,,,,\nB,,A,city,乙,,,,\n", "cycle", "units.csv: A"),
        ("A,,A,city,甲,,,,\n", "cycle", "units.csv: A"),
        ("A,,,,甲,,,,\n", "missing_level", "units.csv: A"),
        (",,,city,甲,,,,\n", "missing_code", "units.csv: 第 2 行"),
        ("A,,,city,甲,,,,Z\n", "unknown_unit", "units.csv: A"),
        ("A,,,city,甲,,,2026Q2,\nA,,,city,甲,,2026-06-30,,\n", "overlapping_validity", "units.csv: A"),
        ("A,,,city,甲,,soon,,\n", "bad_date", "units.csv: valid_from"),
        ("A,,,city,甲,-3,,,\n", "text_in_number", "units.csv: headcount"),
    ],
)
def test_faults_of_units(tmp_path: Path, rows: str, rule: str, place: str):
    with pytest.raises(SpecError) as raised:
        units_of(tmp_path, rows)
    table = raised.value.problems.table
    assert table.loc[table["rule"] == rule, "place"].tolist()[:1] == [place], table.to_string()
    assert (table != "").all().all()


def test_spans_that_follow_each_other_are_no_fault(tmp_path: Path):
    rows = "A,,,city,甲,,,2026Q2,\nB,,,city,乙,,,,\nA,,B,county,甲,,2026Q3,,\n"
    units = units_of(tmp_path, rows)
    assert units.at("2026Q2").ancestors("A") == [ALL]
    assert units.at("2026Q3").ancestors("A") == ["B", ALL]


# Forbidden subjects.

ASKED = {
    "政治观点": ["您对国家政策的看法", "您的政治立场是什么", "您关心时政吗", "What is your political opinion?",
             "Do you agree with government policy?", "Did you vote in the last election?"],
    "对党忠诚": ["您对党忠诚吗", "我拥护党的领导", "您是否打算入党", "您的理想信念坚定吗", "是否党员", "您是党员吗", "Are you a Party member?",
             "I am loyal to the Party."],
    "意识形态": ["您如何看待意识形态工作", "您的世界观是什么", "How would you describe your ideology?"],
    "宗教信仰": ["您有宗教信仰吗", "您是否去教堂做礼拜", "您常去寺庙或教堂吗", "What is your religion?", "How often do you go to church?"],
    "民族": ["您属于哪个民族", "您的籍贯", "What is your ethnicity?", "What is your nationality?"],
    "诊断": ["您是否被确诊为抑郁症", "过去两周我情绪低落", "我经常失眠", "您正在服药吗", "最近是否需要安眠药", "您患有慢性病吗", "我觉得活着不如死了",
           "Have you been diagnosed with depression?", "Do you take any medication?", "I have trouble with insomnia.",
           "Feeling down, depressed, or hopeless"],
    "性生活": ["您对性生活满意吗", "您的性取向", "What is your sexual orientation?", "Are you content with your sex life?"],
    "生育计划": ["您近期打算要孩子吗", "今年要孩子", "您有生育计划吗", "您是否怀孕",
             "Are you planning to have a child?", "Are you pregnant?"],
    "工会": ["您参加过上访吗", "您是否参与维权活动", "您加入工会了吗", "Have you signed a petition?", "Have you joined a union?",
           "Have you been on strike?"],
    "私人社交": ["您多久发一次朋友圈", "您的微信号", "您的微博账号", "Which social media do you use?", "May we see your WeChat?"],
    "家庭成员": ["您配偶的工作单位", "配偶在哪里工作", "您父亲的职业", "您子女的姓名",
             "Your spouse's employer", "What is your mother's occupation?"],
    "点名同事": ["请写出对您不公的领导姓名", "哪位同事最不配合", "哪些领导不公道", "张主任处事公正", "我对王总的安排满意",
             "请评价：李副书记办事公道",
             "Name a colleague who does not help.",
             "Which manager treats you unfairly?"],
}  # fmt: skip


@pytest.mark.parametrize("subject", ASKED)
def test_forbidden_subjects_are_recognised(subject: str):
    assert len(ASKED) == len(FORBIDDEN)
    assert any(not wording.isascii() for wording in ASKED[subject])
    assert any(wording.isascii() for wording in ASKED[subject])
    for wording in ASKED[subject]:
        found = forbidden_subject(wording)
        assert found is not None, wording
        assert found.name.startswith(subject), wording
        assert found.instead


@pytest.mark.parametrize("role", ["item", "text"])
def test_a_forbidden_question_is_an_error_with_another_to_ask(tmp_path: Path, role: str):
    rows = f"D,,维度,dimension,1,1,,,,,,,,\nQ0,D,题,item,1,1,1,5,我的工作安排合理。,,,,,\nQ,{'D' if role == 'item' else ''}"
    rows += f",题,{role},1,1,1,5,您有宗教信仰吗?,,,,,\n"
    with pytest.raises(SpecError) as raised:
        codebook_of(tmp_path, rows)
    (problem,) = raised.value.problems
    assert (problem.rule, problem.place) == ("forbidden_subject", "codebook.csv: Q")
    assert "您有宗教信仰吗" in problem.found
    assert "工作生活状况" in problem.allowed
    assert "改问" in problem.advice


def test_the_default_instrument_asks_nothing_forbidden(instrument: Codebook):
    nodes = (*instrument.tree, *instrument.others)
    assert len([node for node in nodes if node.role == "item"]) == 47
    wordings = [text for n in nodes for text in (n.text_zh, n.text_en, n.label_zh, n.label_en) if text]
    assert not [text for text in wordings if forbidden_subject(text)]


BRANCH_INDICATORS = (
    "三会一课完成率", "主题党日开展率", "发展党员计划完成率", "入党积极分子培养人数", "党费按时收缴率", "党员教育培训参学率", "党员承诺兑现率",
    "党性教育学时", "政治理论学习次数", "意识形态责任制落实情况", "民族团结进步活动次数", "信访事项按期办结率", "工会会员活动覆盖率",
    "思想动态分析次数", "谈心谈话覆盖率", "违章起数", "志愿服务时数", "政策宣讲场次",
)  # fmt: skip


def test_names_of_branch_indicators_pass(tmp_path: Path, write_workspace):
    rows = [f"K{i},BM,{name},item,1,1,0,100" for i, name in enumerate(BRANCH_INDICATORS)]
    files = {
        "workspace.toml": "name = '试点'\n",
        "indicators.csv": "\n".join(
            ["code,parent,label_zh,role,direction,weight,minimum,maximum", "BM,,对标,index,1,1,,", *rows]
        ),
    }
    assert check_folder(write_workspace(tmp_path, files)).table.empty


@pytest.mark.parametrize(
    "wording",
    [
        "报告隐患后,能得到反馈。", "工会为职工解决实际困难。", "单位的管理制度和政策公开透明。", "党支部的活动时间安排合适。",
        "我愿意参加技能竞赛。", "家里有急事时,单位能给予便利。", "领导处理事情公道。", "单位安排的体检对我有用。", "劳动防护用品够用。",
        "The union office helps when I have a problem.", "My manager explains decisions.", "Templates for reports are useful.",
        "下班后工作微信群里的消息影响我休息。", "我能得到故障诊断方面的培训。", "Skills competitions are worthwhile.",
        "My work involves too much repetition.", "The prescribed safety procedure can be followed.",
        "Management acts in good faith.",
        # The twins of what is out of bounds: the same words about working life.
        "党员活动的时间安排合适。", "党员服务队能帮我解决困难。", "药品柜里的急救用品够用。", "我需要孩子上学方面的便利。",
        "今年要完成的任务清楚。", "配偶在外地的，探亲假能落实。", "车间主任处事公正。", "项目经理办事公道。", "事业部主任的安排合理。", "班组长分配任务公平。",
        "总经理信箱有回音。", "填表人不需要留名。", "这项制度叫什么，我说得出。",
    ],
)  # fmt: skip
def test_questions_about_working_life_pass(wording: str):
    assert forbidden_subject(wording) is None


def test_a_request_not_to_write_names_is_no_request():
    assert forbidden_subject("您希望改进什么?(请勿填写同事姓名、微信号)") is None
    assert forbidden_subject("您希望改进什么?(请写出同事姓名)") is not None


def test_craft_hints_of_the_default_instrument(instrument: Codebook):
    rules = {hint.rule for hint in instrument.warnings}
    assert not rules & {"two_in_one", "leading", "no_recall"}
    asked_without_way_out = [hint.place for hint in instrument.warnings if hint.rule == "no_way_out"]
    assert asked_without_way_out == ["O4"]
    assert "no_recall" in {hint.rule for hint in replace(instrument, recall="").warnings}


def test_every_reason_has_its_english():
    """Module constants that give a reason why a number is missing; patterns and labels are not printed as reasons."""
    import ast

    from dj_analysis.spec import reasons

    other = {"_BEFORE", "_AFTER", "ALLOWED", "NOTICE", "ELSEWHERE", "SIGNS", "_ASKED"}
    missing = []
    for path in sorted((Path(reasons.__file__).parents[1] / "measure").rglob("*.py")):
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            if isinstance(node, (ast.Assign, ast.AnnAssign)):
                name = ast.unparse(node.target if isinstance(node, ast.AnnAssign) else node.targets[0])
                values = node.value.values if isinstance(node.value, ast.Dict) else [node.value]
                texts = [v.value for v in values if isinstance(v, ast.Constant) and isinstance(v.value, str)]
                chinese = [text for text in texts if any("\u4e00" <= sign <= "\u9fff" for sign in text)]
                missing += [
                    f"{path.stem}.{name}" for text in chinese if name not in other and text not in reasons.WORDS
                ]
    assert not missing
    assert len(reasons.WORDS) > 50
