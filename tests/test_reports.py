"""Whole runs: from the files of a workspace to the report, the command line, the notebooks themselves."""

import ast
import json
import re
import shutil
from pathlib import Path

import docx
import nbformat
import pandas as pd
import pypdfium2
import pytest
from processes import dj_process
from report_structure import PROBLEMS
from shared import copied, demo_office
from trials import EVERYTHING

import dj_analysis as dj
from dj_analysis import methods
from dj_analysis.demo.warning_reviews import REPLIES
from dj_analysis.errors import DataError, UsageError
from dj_analysis.publish import kernels
from dj_analysis.publish.blocks import MIME
from dj_analysis.publish.exports.document import Appearance, as_written
from dj_analysis.publish.exports.formats import written_in
from dj_analysis.publish.notebooks import ReportError, run_notebook
from dj_analysis.publish.parameters import parameters, reports
from dj_analysis.spec.columns import header

NOTEBOOKS = sorted((Path(__file__).parents[1] / "notebooks").glob("*.ipynb"))
SECTIONS = [
    "基本情况",
    "总体指数",
    "分维度情况",
    "分单位情况",
    "分人群情况",
    "选择题情况",
    "预警情况",
    "归因",
    "路径与措施",
    "上季措施",
]
ANNEXES = ["预警单位名单", "措施建议", "分单位数据表", "分题目数据表", "有关说明"]
NUMBERS = "一二三四五六七八九十"


@pytest.fixture(scope="module")
def office(tmp_path_factory):
    shared = demo_office(tmp_path_factory, employees=900, branches=40, quarters=5, seed=7)
    return copied(shared, tmp_path_factory.mktemp("office") / "demo")


@pytest.fixture(scope="module")
def run(office):
    return dj.run_report("quarterly", office, period="2026Q3")


def text_of(pdf: Path) -> str:
    pages = pypdfium2.PdfDocument(pdf)
    return "\n".join(page.get_textpage().get_text_range() for page in pages)


def test_report_lands_where_it_belongs(run, office):
    assert {path.relative_to(office).as_posix() for path in run.files.values()} == {
        "reports/2026Q3/quarterly/ALL.html",
        "reports/2026Q3/quarterly/ALL.pdf",
        "reports/2026Q3/quarterly/ALL.ipynb",
    }
    assert list(run.table.columns) == ["report", "period", "unit", "format", "file"]


def test_pdf_holds_the_headings_in_order(run):
    text = text_of(run.files["pdf"])
    places = [text.find(f"{number}、{section}") for number, section in zip(NUMBERS, SECTIONS, strict=True)]
    assert -1 not in places
    assert places == sorted(places)


def test_annexes_are_numbered_as_the_first_page_lists_them(run):
    text = text_of(run.files["pdf"])
    listed = re.search(r"附件：(.*?)\n?党委党建部", text.replace("\r", ""), re.DOTALL).group(1).replace("\n", "")
    names = re.findall(r"\d\.([^\d ]+)", listed)
    assert names == [name for name in ANNEXES if name in names]
    assert set(names) >= {"分单位数据表", "分题目数据表", "有关说明"}
    places = [text.find(f"附件{number}　{name}") for number, name in enumerate(names, start=1)]
    assert -1 not in places
    assert places == sorted(places)


def test_first_page_stands_alone(run):
    pages = pypdfium2.PdfDocument(run.files["pdf"])
    first = pages[0].get_textpage().get_text_range()
    for words in (
        "内部资料",
        "公司党委",
        "总体情况",
        "向好的方面",
        "需要关注的方面",
        "预警情况",
        "党委党建部",
        "不用于评价",
    ):
        assert words in first
    for words in ("α", "ω", "ICC", "置信区间", "Jaccard"):
        assert words not in first


def test_numbers_on_the_page_are_those_of_the_scores(run, office):
    ws = dj.open_workspace(office)
    row = ws.scores("2026Q3").at("ALL", "INDEX")
    response = ws.scores("2026Q3").response.where(unit="ALL").table.iloc[0]
    first = pypdfium2.PdfDocument(run.files["pdf"])[0].get_textpage().get_text_range().replace("\r\n", "")
    assert f"{row.score:.1f}分" in first
    assert f"{row.low:.1f}—{row.high:.1f}分" in first
    assert f"实际参加{response.n}人" in first


def test_html_is_one_file_without_network_or_code(run):
    page = run.files["html"].read_text(encoding="utf-8")
    assert page.count("<script") == 1  # our own, which sorts tables
    assert "import dj_analysis" not in page
    assert "://" not in page
    for section in SECTIONS:
        assert section in page


def test_kept_notebook_holds_blocks_only(run, office):
    notebook = nbformat.read(run.files["ipynb"], as_version=4)
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    assert outputs
    assert all(MIME in output["data"] for output in outputs)
    assert str(office.parent) not in run.files["ipynb"].read_text(encoding="utf-8")


def test_run_is_in_the_record(run, office):
    record = dj.open_workspace(office).record
    record.verify()
    last = record.runs.iloc[-1] if run else None
    assert (last["report"], last["period"], last["unit"], last["status"]) == ("quarterly", "2026Q3", "ALL", "done")
    manifest = json.loads(record.runs.iloc[0]["manifest"])
    assert {"version", "codebook", "units", "data", "notebook", "parameters", "content"} <= set(manifest)


def test_same_input_same_content(run, office, tmp_path):
    again = dj.run_report("quarterly", office, period="2026Q3", out=tmp_path, formats=["html"])
    assert again.manifest["content"] == run.manifest["content"]
    first, second = (made.files["html"].read_text(encoding="utf-8") for made in (run, again))
    heads = [made.manifest["head"][:16] for made in (run, again)]  # of the record before the publication
    assert heads[0] != heads[1]
    assert first.count(heads[0]) == second.count(heads[1]) == 1
    assert first.replace(heads[0], "") == second.replace(heads[1], "")


def test_report_of_one_city_by_name(office, tmp_path):
    city = dj.open_workspace(office).units.at_level("city")[0]
    run = dj.run_report("quarterly", office, period="2026Q3", unit=city.name_zh, out=tmp_path, formats=["pdf"])
    assert run.files["pdf"] == tmp_path / "2026Q3" / "quarterly" / f"{city.unit}.pdf"
    text = text_of(run.files["pdf"])
    assert city.name_zh in text
    assert "分人群情况" not in text
    others = [u.name_zh for u in dj.open_workspace(office).units.at_level("city")[1:]]
    assert not [name for name in others if name in text]


def test_report_of_a_hidden_unit_says_so(office, tmp_path):
    ws = dj.open_workspace(office)
    response = ws.scores("2026Q3", by="branch").response.table
    small = response.loc[(response["level"] == "branch") & (response["n"] < 10), "unit"].iloc[0]
    run = dj.run_report("quarterly", office, period="2026Q3", unit=small, out=tmp_path, formats=["html"])
    page = run.files["html"].read_text(encoding="utf-8")
    assert "按规定不单列" in page
    row = ws.scores("2026Q3", by="branch").at(small, "INDEX")
    assert f"{row.score:.1f}" not in page


def test_letters_to_units_with_a_warning(office, tmp_path, dj_main):
    """One a unit that was not told yet, in Word; the rows to enter are said; no page that others read lists them."""
    folder = shutil.copytree(office, tmp_path / "office")
    for name in ("obligations", "obligation_events"):
        table = pd.read_csv(folder / f"{name}.csv", dtype=str, keep_default_na=False)
        others = table[~table["obligation"].str.startswith("human_review")]
        others.to_csv(folder / f"{name}.csv", index=False, encoding="utf-8-sig")
    told = dj.open_workspace(folder).notices("2026Q3", "2026-09-28")
    assert len(told.table)
    out = tmp_path / "out"
    done = dj_main("notify", folder, "--period", "2026Q3", "--start", "2026-09-28", "--out", out)
    assert done.returncode == 0, done.stderr
    letters = sorted(path.stem for path in (out / "2026Q3" / "notice").glob("*.docx"))
    assert letters == sorted(told.table["unit"])
    rows = told.as_obligations()[0]
    assert all(f"{number},human_review," in done.stdout for number in rows["obligation"])
    words = "".join(p.text for p in docx.Document(out / "2026Q3" / "notice" / f"{letters[0]}.docx").paragraphs)
    assert all(part in words for part in ("告知函", "预警核实反馈表", "10月8日前反馈", "不超过100字", "建议列为"))
    page = (out / "2026Q3" / "index.html").read_text(encoding="utf-8")
    assert "notice" not in page
    assert "告知函" not in page
    done = dj_main("report", "notice", folder, "--period", "2026Q3", "--out", out)
    assert done.returncode == 2
    assert "没有需要通气" in done.stderr


@pytest.mark.everything
def test_english_report(office, tmp_path):
    run = dj.run_report("quarterly", office, period="2026Q3", lang="en", out=tmp_path, formats=["pdf"])
    text = text_of(run.files["pdf"])
    for number, section in enumerate(
        ["Basis", "The index", "Dimensions", "Units", "Groups of staff", "Choices", "Warnings"], start=1
    ):
        assert f"{number}. {section}" in text
    assert re.search(r"Annex \d\. Notes", text)
    events = dj.open_workspace(office).context().table["label"]
    own = set("".join([*REPLIES, *events]))  # what units replied and what the office noted stand as they wrote it
    assert not [c for c in text if "\u4e00" <= c <= "\u9fff" and c not in own], "Chinese words in the English report"


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"period": "2027Q1"}, "2026Q3"),
        ({"period": "soon"}, "2026Q3"),
        ({"unit": "C99"}, "C01"),
        ({"report": "quaterly"}, "quarterly"),
        ({"formats": ["odt"]}, "pdf"),
        ({"lang": "fr"}, "en"),
        ({"colour": "red"}, "seed"),
        ({"seed": "one"}, "int"),
        ({"seed": 1.5}, "int"),
    ],
)
def test_what_does_not_exist_is_named_before_anything_starts(office, tmp_path, changed, words):
    wanted = {"report": "quarterly", "period": "2026Q3", "out": tmp_path / "o", **changed}
    report = wanted.pop("report")
    with pytest.raises(UsageError, match=words) as caught:
        dj.run_report(report, office, **wanted)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "o").exists()


@pytest.mark.parametrize(
    "arguments", [("--unit", "C99"), ("--period", "2027Q1"), ("-p", "colour=red"), ("--colour", "red")]
)
def test_command_line_says_it_in_one_line(office, tmp_path, dj_main, arguments):
    given = {"--period": "2026Q3"} | dict([arguments])
    flat = [part for pair in given.items() for part in pair]
    by_itself = arguments[0] == "--unit"  # one of them as a process of its own
    done = (dj_process if by_itself else dj_main)("report", "quarterly", office, *flat, "--out", tmp_path / "o")
    assert done.returncode == 2
    assert len(done.stderr.strip().splitlines()) == 1
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "o").exists()


def test_failed_run_leaves_what_was_there(run, office, monkeypatch, tmp_path):
    before = {path: path.read_bytes() for path in run.files.values()}
    broken = nbformat.read(reports()["quarterly"], as_version=4)
    broken.cells[2].source = "raise ValueError('boom')"
    path = tmp_path / "quarterly.ipynb"
    nbformat.write(broken, path)
    monkeypatch.setattr("dj_analysis.publish.notebooks.reports", lambda: {"quarterly": path})
    ws = dj.open_workspace(office)
    with pytest.raises(ReportError, match=r"quarterly .*ValueError.*\.dj/failed"):
        run_notebook(
            "quarterly", folder=ws.folder, spec=ws.spec, record=ws.record, period="2026Q3", plan=ws.release_plan
        )  # fmt: skip
    assert {path: path.read_bytes() for path in run.files.values()} == before
    assert list((office / ".dj" / "failed").glob("*.ipynb"))
    assert not [p for p in run.files["html"].parent.iterdir() if p.name.startswith(".")]


def test_what_is_wrong_with_a_table_beside_the_survey_is_told_as_it_is_by_the_workspace(office, tmp_path):
    """The plan is made while the kernel computes: its error comes before the kernel's, and no copy of a failed run is kept."""
    folder = copied(office, tmp_path / "office")
    path = folder / "indicator_values.csv"
    path.write_text(re.sub(r",\d[\d.]*,", ",a lot,", path.read_text(encoding="utf-8"), count=1), encoding="utf-8")
    shutil.rmtree(folder / "reports", ignore_errors=True)
    shutil.rmtree(folder / ".dj" / "failed", ignore_errors=True)
    with pytest.raises(DataError, match="a lot") as told:
        dj.open_workspace(folder).release_plan("2026Q3")
    with pytest.raises(DataError) as raised:
        dj.run_report("quarterly", folder, period="2026Q3", formats=["html"])
    assert str(raised.value) == str(told.value)
    assert raised.value.__suppress_context__
    left = [path.name for path in (folder / ".dj").iterdir() if path.name == "failed" or path.name.startswith("run-")]
    assert not left
    assert not (folder / "reports").exists()


def test_export_again_without_running(run, office, tmp_path):
    done = dj_process("export", run.files["ipynb"], "--workspace", office, "--formats", "pdf", "--out", tmp_path)
    assert done.returncode == 0, done.stderr
    assert "基本情况" in text_of(tmp_path / "ALL.pdf")


def test_list_shows_reports_and_parameters(dj_main):
    done = dj_main("list")
    assert done.returncode == 0
    assert "quarterly" in done.stdout
    assert "period: str" in done.stdout
    assert "tutorial" not in done.stdout


def test_store_equals_recomputation(office):
    ws = dj.open_workspace(office)
    stored = ws.scores("2026Q3", by=["city", "branch"])
    direct = dj.score(ws.survey("2026Q3"), by=["city", "branch"])
    assert (office / ".dj" / "store").exists()
    assert stored.table.equals(direct.table)
    assert stored.shares.table.equals(direct.shares.table)
    assert stored.response.table.equals(direct.response.table)


def without_last_line(folder: Path, period: str) -> None:
    path = folder / "responses" / f"{period}.csv"
    raw = path.read_bytes()
    path.write_bytes(raw[: raw.rstrip().rfind(b"\n")] + b"\n")


def test_changed_answers_are_not_taken_from_the_store(tmp_path):
    company = dj.make_company(employees=900, branches=40, quarters=3, seed=7)
    office = company.write(tmp_path / "demo", closed=False)
    ws = dj.open_workspace(office)
    period = next(p for p in ws.periods if (office / "responses" / f"{p}.csv").exists())
    before = ws.scores(period).at("ALL", "INDEX").n
    without_last_line(office, period)
    assert dj.open_workspace(office).scores(period).at("ALL", "INDEX").n in (before - 1, before)
    assert len(list((office / ".dj" / "store").glob(f"{period}-*.done"))) == 2


def test_changed_answers_of_a_closed_wave_are_an_error(office, tmp_path):
    copy = shutil.copytree(office, tmp_path / "copy")
    ws = dj.open_workspace(copy)
    period = next(p for p in ws.periods if (copy / "responses" / f"{p}.csv").exists())
    before = ws.scores(period).table
    without_last_line(copy, period)
    changed = dj.open_workspace(copy)
    with pytest.raises(DataError, match=rf"{period}.*dj withdraw.*dj close --correct"):
        changed.survey(period)
    assert changed.scores(period).table.equals(before)


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebook_is_clean(path):
    notebook = nbformat.read(path, as_version=4)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert not [cell for cell in code if cell.outputs or cell.execution_count], "committed with outputs"
    assert code[0].metadata["tags"] == ["parameters"]
    assert all(parameter.help for parameter in parameters(path))
    for cell in code:
        tree = ast.parse(cell.source)
        assert not [n for n in ast.walk(tree) if isinstance(n, (ast.FunctionDef, ast.ClassDef, ast.Lambda))]


LATER = [pytest.param(name, marks=pytest.mark.everything) for name in ("02-branches", "03-from-warning-to-measure")]


@pytest.mark.parametrize("name", ["tutorial", *LATER])
def test_tutorial_runs(office, tmp_path, name):
    import papermill

    source = next(path for path in NOTEBOOKS if path.stem == name)
    done = papermill.execute_notebook(
        str(source),
        str(tmp_path / "t.ipynb"),
        parameters={"workspace": str(office)},
        kernel_name="python3",
        progress_bar=False,
        **kernels.manager_options(),
    )
    shown = [output for cell in done.cells for output in cell.get("outputs", [])]
    assert any("image/png" in output.get("data", {}) for output in shown)
    assert any("内部" in str(output.get("data", {}).get("text/html", "")) for output in shown)


def test_templates(office, tmp_path, dj_main):
    copy = shutil.copytree(office, tmp_path / "copy")
    done = dj_main("template", copy)
    assert done.returncode == 0, done.stderr
    made = sorted(p.name for p in (copy / "templates").rglob("*") if p.is_file())
    assert {
        "codebook.xlsx",
        "units.xlsx",
        "headcounts.xlsx",
        "questionnaire-full.pdf",
        "questionnaire-pulse.pdf",
        "notice.pdf",
        "self-check.html",
        "self-check-en.html",
    } <= set(made)
    notice = text_of(copy / "templates" / "notice.pdf")
    for words in ("自愿", "不少于10人", "12356", "12个月"):
        assert words in notice
    questions = text_of(copy / "templates" / "questionnaire-pulse.pdf").replace("\r\n", "")
    assert "我的收入与承担的工作大体相称" in questions
    assert "我清楚各项任务的先后次序" not in questions


def test_template_tables_can_be_filled_and_read(tmp_path):
    from dj_analysis.publish.templates import write_templates
    from dj_analysis.spec.codebook import read_codebook
    from dj_analysis.spec.units import read_units

    write_templates(tmp_path)
    units = read_units(tmp_path / "tables" / "units.xlsx")
    assert units.rows[0].unit == "C01"
    with pytest.raises(dj.DjError, match="D1"):
        read_codebook(tmp_path / "tables" / "codebook.xlsx")


#: Reports of branches that are run in English too.
IN_ENGLISH = (("clusters", "en"), ("assessment", "en")) if EVERYTHING else ()


@pytest.fixture(scope="module")
def branch_reports(office):
    given = {"benchmark": {"reduction": True}, "clusters": {}, "assessment": {}}
    return {
        (name, lang): dj.run_report(
            name, office, period="2026-09", lang=lang, out=office / "reports" / lang, formats=["pdf"], **given[name]
        )
        for name, lang in (("benchmark", "zh"), ("clusters", "zh"), ("assessment", "zh"), *IN_ENGLISH)
    }


@pytest.fixture(scope="module")
def rank_changes(office):
    """Language → the change of rank of the branch that is last."""
    ranks = dj.rank(dj.score(dj.open_workspace(office).indicators("2026-09"), by="branch"), "branch").table
    unit = str(ranks.loc[ranks["rank"].notna(), "unit"].iloc[-1])
    given = {"period": "2026-09", "unit": unit, "formats": ["pdf"]}
    return {
        lang: dj.run_report("rank-change", office, lang=lang, out=office / "reports" / lang, **given)
        for lang in (("zh", "en") if EVERYTHING else ("zh",))
    }


#: Each design of the report of effects: period, language, parameters, and what it says.
EFFECTS = {
    "did": ("2026-09", "zh", {"start": "2026-04", "units": "B001、B002，B003,B004,B005", "measure": "结对帮扶"},
            ("结对帮扶成效的报告", "比其他单位", "双重差分", "实施前走势的联合检验")),
    "its": ("2026-09", "en", {"start": "2026-04", "units": "B007", "design": "its", "measure": "pairing"},
            ("What changed with pairing", "against its own course", "less than two years before", "Newey–West")),
    "before_after": ("2026Q3", "en", {"start": "2026Q3", "lowest": 5, "design": "before_after"},
                     ("regression to the mean", "The units selected are", "line of later on earlier scores")),
}  # fmt: skip


@pytest.fixture(scope="module")
def effect_reports(office):
    out = office / "reports" / "effects"
    return {
        design: dj.run_report("effects", office, period=period, lang=lang, formats=["pdf"], out=out / design, **given)
        for design, (period, lang, given, _) in EFFECTS.items()
        if EVERYTHING or lang == "zh"
    }


@pytest.mark.parametrize(
    "design", [pytest.param(name, marks=[pytest.mark.everything] * (told[1] == "en")) for name, told in EFFECTS.items()]
)
def test_the_effect_of_a_measure_is_told_with_its_design_and_its_limits(effect_reports, design):
    _, lang, _, words = EFFECTS[design]
    run = effect_reports[design]
    assert run.manifest["dropped"] == []
    text = re.sub(r"\s+", "" if lang == "zh" else " ", text_of(run.files["pdf"]))
    for said in words:
        assert (said.replace(" ", "") if lang == "zh" else said) in text, said
    assert lang == "zh" or not [c for c in text if "\u4e00" <= c <= "\u9fff"]
    assert not re.search(r"\bnan\b", text)


def test_the_report_of_effects_says_what_it_needs(office):
    with pytest.raises(dj.DjError, match="start"):
        dj.run_report("effects", office, period="2026-09", formats=["html"])


def test_the_benchmark_of_a_month_names_the_help_and_the_error(branch_reports):
    run = branch_reports["benchmark", "zh"]
    text = text_of(run.files["pdf"]).replace("\r\n", "").replace("\n", "")
    for words in ("排序与名次范围", "近12个月情况", "需要帮扶的单位", "月度波动", "不用于评价、奖惩、任免个人"):
        assert words in text
    assert run.manifest["dropped"] == []


@pytest.mark.everything
@pytest.mark.parametrize(
    ("report", "words"),
    [
        ("clusters", ("Stability by number of clusters", "tell no causes. The annex", "cluster 1 with")),
        ("assessment", ("Power supply companies: 4 awarded", "stated at 80% and more", "<0.001")),
    ],
)
def test_reports_of_branches_in_english_have_no_chinese(branch_reports, report, words):
    text = re.sub(r"\s+", " ", text_of(branch_reports[report, "en"].files["pdf"]))
    for said in words:
        assert said in text, said
    assert not [c for c in text if "\u4e00" <= c <= "\u9fff"]
    assert "0.000" not in text, "a p-value is less than its last place"
    assert "The index describes staff" not in text, "these reports are about work, not about the survey"
    assert "with — units" not in text, "clusters of few branches are told too"


@pytest.mark.parametrize("lang", ["zh", pytest.param("en", marks=pytest.mark.everything)])
def test_the_assessment_says_what_the_indicators_are_and_which_have_no_standard(branch_reports, office, lang):
    run = branch_reports["assessment", lang]
    ws = dj.open_workspace(office, lang)
    described = methods.attributes(ws.indicators("2026-09"))
    caption = {"zh": "指标按属性的构成", "en": "Indicators by attribute"}[lang]
    (table,) = [table for said, table in tables_in(run.files["ipynb"]) if said == caption]
    assert table.iloc[:, 1].astype(int).tolist() == described.table["indicators"].astype(int).tolist()
    assert table.iloc[:, 2].tolist() == [f"{share:.1%}" for share in described.table["share"]]
    missing = [ws.spec.code_label(code) for code in described.blank.table["code"]]
    assert len(missing) == 1
    text = re.sub(r"\s+", "" if lang == "zh" else " ", text_of(run.files["pdf"]))
    said = {"zh": f"未写考核标准的有1项：{missing[0]}", "en": f"1 has no standard of assessment: {missing[0]}"}[lang]
    assert re.sub(r"\s+", "" if lang == "zh" else " ", said) in text


def test_the_assessment_shows_quantity_against_quality_where_indicators_are_marked(branch_reports):
    text = text_of(branch_reports["assessment", "zh"].files["pdf"]).replace("\r\n", "").replace("\n", "")
    for words in ("数量与质量", "量多质低", "各单位的数量与质量", "看创新", "促提升", "抓基础"):
        assert words in text


def tables_in(notebook):
    """Tables that a report prints: caption, and a frame of their cells with columns by their names in the package."""
    cells = nbformat.read(notebook, as_version=4).cells
    shown = [output["data"].get(MIME) for cell in cells for output in cell.get("outputs", [])]
    names = {header(name, lang): name for lang in ("zh", "en") for name in JUDGED_BY}
    for block in shown:
        if block is not None and block["kind"] == "table":
            content = block["content"]
            labels = [names.get(column["label"], column["label"]) for column in content["columns"]]
            yield content["caption"], pd.DataFrame(content["rows"], columns=labels)


#: What a table needs to say beside a rank, and beside a grade, star, award or quadrant of a unit.
JUDGED_BY = (
    "rank", "rank_low", "rank_high", "se_source", "tied_with", "tie", "unit", "grade", "star_granted", "awarded", "quadrant",
    "probability", "star_low", "star_high",
)  # fmt: skip
GRADES = ("grade", "star_granted", "awarded", "quadrant")


@pytest.fixture(scope="module")
def every_report(branch_reports, rank_changes, effect_reports, run, office):
    """One run of every report there is, with all its optional sections."""
    done = [("quarterly", run), *((name, one) for (name, _), one in branch_reports.items())]
    done += [("rank-change", one) for one in rank_changes.values()]
    done += [("effects", one) for one in effect_reports.values()]
    out = office / "reports" / "every"
    warned = dj.open_workspace(office).notices("2026Q3", "2026-09-28").table["unit"].iloc[0]
    done.append(("notice", dj.run_report("notice", office, period="2026Q3", unit=warned, out=out, formats=["html"])))
    for name in ("methods", "agenda"):
        done.append((name, dj.run_report(name, office, period="2026Q3", out=out, formats=["html"])))
    return done


def test_every_ranked_table_of_every_report_carries_its_range_its_error_and_its_ties(every_report):
    assert {name for name, _ in every_report} == set(reports()), "a new report is looked at too"
    ranked = graded = 0
    for report, made in every_report:
        for caption, table in tables_in(made.files["ipynb"]):
            where = (report, caption, list(table))
            if "rank" in table:
                ranked += 1
                assert {"rank_low", "rank_high", "se_source"} <= set(table), where
                assert {"tied_with", "tie"} & set(table), where
                ranks = table.loc[table["rank"] != "—", "rank"].astype(float)
                assert ranks.is_monotonic_increasing, where
                bare = table[(table["rank"] != "—") & (table["rank_low"] == "—")]
                assert bare["se_source"].str.contains("仅作情况描述|description only").all(), where
            elif "unit" in table and set(GRADES) & set(table):
                graded += 1
                assert "se_source" in table, where
                assert "probability" in table or {"star_low", "star_high"} <= set(table), where
    assert ranked >= 8
    assert graded >= 3


def test_every_report_keeps_its_structure_in_every_format(every_report):
    for report, made in every_report:
        notebook = nbformat.read(made.files["ipynb"], as_version=4)
        lang = str(made.manifest["parameters"]["lang"])
        told = {
            "title": report,
            "office": "党委党建部",
            "language": lang,
            "purpose": "用途",
            "limits": "限度",
            "footer": "出处",
        }
        document = as_written(notebook, told | {"draft": ""})
        kinds = list(PROBLEMS) if EVERYTHING or report == "quarterly" else ["docx"]
        for kind, content in written_in(document, kinds, Appearance()).items():
            assert PROBLEMS[kind](content, document) == [], (report, lang, kind)


@pytest.mark.everything
def test_without_errors_every_ranked_table_says_that_it_describes_only(tmp_path):
    """Three months: no error can be estimated, so no rank has a range, and each says 仅作情况描述."""
    folder = dj.make_company(employees=300, branches=24, quarters=1, seed=2).write(tmp_path / "demo", closed=False)
    path = folder / "indicator_values.csv"
    values = pd.read_csv(path, dtype=str, keep_default_na=False)
    values[values["period"] >= "2026-07"].to_csv(path, index=False, encoding="utf-8-sig")
    seen = 0
    for report in ("benchmark", "assessment"):
        made = dj.run_report(report, folder, period="2026-09", formats=["html"])
        for caption, table in tables_in(made.files["ipynb"]):
            by_raters = "se_source" in table and (table["se_source"] == "评委").any()
            if "unit" not in table or not {"rank", *GRADES} & set(table) or by_raters:
                continue
            seen += 1
            assert set(table["se_source"]) == {"无（仅作情况描述）"}, (report, caption)
            for name in {"rank_low", "rank_high", "star_low", "star_high", "probability"} & set(table):
                assert set(table[name]) == {"—"}, (report, caption, name)
            assert not {"先进", "重点帮扶", "量多质低"} & set(table.to_numpy().ravel()), (report, caption)
    assert seen >= 4


@pytest.mark.parametrize("lang", ["zh", pytest.param("en", marks=pytest.mark.everything)])
def test_a_change_of_rank_is_told_on_one_page_without_blame(rank_changes, lang):
    run = rank_changes[lang]
    assert len(pypdfium2.PdfDocument(run.files["pdf"])) == 1
    text = re.sub(r"\s+", "" if lang == "zh" else " ", text_of(run.files["pdf"]))
    wanted = {
        "zh": ("名次情况", "名次范围第", "误差范围", "名次变动的构成", "使得分减少较多的指标", "四、建议"),
        "en": ("Places won and lost", "places not ruled out", "within error", "Most was lost by", "4. Proposal"),
    }[lang]
    for words in wanted:
        assert words in text, words
    assert not re.search("最差|后进|处罚|问责|批评|blame|worst", text)
    assert lang == "zh" or not [c for c in text if "\u4e00" <= c <= "\u9fff"]


@pytest.mark.parametrize("report", ["benchmark", pytest.param("clusters", marks=pytest.mark.everything), "assessment"])
def test_a_report_that_compares_units_below_says_which_unit_has_some(office, report):
    ws = dj.open_workspace(office)
    leaf = ws.units.at("2026-09").at_level("branch")[0]
    with pytest.raises(ReportError, match=f"{leaf.unit}: 没有下级单位可比,请出上级单位 {leaf.parent} 的报告"):
        ws.run_report(report, period="2026-09", unit=leaf.unit, formats=["html"])
