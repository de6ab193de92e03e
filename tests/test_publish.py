"""Blocks, figures and sentences: what they accept, what they hide, what they print."""

import dataclasses

import numpy as np
import pandas as pd
import pytest

import dj_analysis as dj
from dj_analysis.errors import FontError, UsageError
from dj_analysis.publish import theme
from dj_analysis.publish.blocks import MIME, Block
from dj_analysis.publish.disclosure import Protected, plan_release
from dj_analysis.publish.exports.document import Document, markdown_blocks, read_document, stripped
from dj_analysis.publish.exports.html import to_html
from dj_analysis.publish.exports.pdf import to_pdf
from dj_analysis.publish.wording import printed
from dj_analysis.spec import reasons
from dj_analysis.spec.codebook import default_codebook
from dj_analysis.spec.units import Unit, Units

UNITS = Units(
    (
        Unit("C1", level="city", name_zh="云山供电公司", name_en="Yunshan"),
        Unit("C2", level="city", name_zh="雾谷供电公司", name_en="Wugu"),
        Unit("C3", level="city", name_zh="石溪供电公司(名字很长很长很长的一家单位)", name_en="Shixi"),
    )
)


@pytest.fixture(scope="module")
def scores():
    rng = np.random.default_rng(5)
    unit = np.repeat(["C1", "C2", "C3"], [40, 9, 25])
    codes = [leaf.code for leaf in default_codebook().tree.in_form("anchors").leaves]
    frame = pd.DataFrame({code: rng.integers(1, 6, unit.size) for code in codes}).assign(unit=unit)
    return dj.score(dj.read_survey(frame, default_codebook(), units=UNITS, period="2026Q2", form="pulse"))


@pytest.fixture(scope="module")
def safe(scores):
    return dj.protect(scores)


def test_protect_hides_small_units_in_every_table(safe):
    for part in (safe, safe.part("shares"), safe.part("response")):
        rows = part.table[part.table["unit"] == "C2"]
        assert len(rows)
        assert rows[[c for c in part.result.statistics if c in rows]].isna().all(axis=None)
        assert set(rows["reason"]) == {reasons.SMALL_GROUP}
    assert safe.hidden == 1
    shown = safe.table[safe.table["unit"] == "C1"]
    assert shown["score"].notna().all()


def test_protect_leaves_the_result_alone(scores):
    before = scores.table.copy()
    dj.protect(scores)
    pd.testing.assert_frame_equal(scores.table, before)


def test_min_group_below_five_is_never_used(scores):
    spec = dataclasses.replace(scores.spec, min_group=1)
    plan = plan_release("2026Q2", [scores.response], spec)
    assert plan.min_group == 5


def test_a_plan_must_know_the_wave(scores):
    other = dataclasses.replace(scores.response, period="2020Q1")
    with pytest.raises(UsageError, match="2026Q2"):
        dj.protect(scores, plan_release("2020Q1", [other], scores.spec))


def test_change_is_hidden_where_either_wave_is_small(scores):
    table = scores.table.copy()
    table.loc[table["unit"] == "C2", "n"] = 30
    before = dataclasses.replace(scores, table=table, period="2026Q1", periods=("2026Q1",))
    change = dj.protect(dj.compare(scores, before), plan=_plan(scores, {"2026Q1": set(), "2026Q2": {("city", "C2")}}))
    assert change.table.set_index("unit").loc["C2", "difference"].isna().all()
    change = dj.protect(dj.compare(before, scores), plan=_plan(scores, {"2026Q1": set(), "2026Q2": {("city", "C2")}}))
    assert change.table.set_index("unit").loc["C2", "difference"].isna().all()
    assert change.table.set_index("unit").loc["C1", "difference"].notna().all()


def _plan(scores, hidden):
    plan = plan_release("2026Q2", [], scores.spec)
    return dataclasses.replace(plan, hidden={("survey", p): frozenset(rows) for p, rows in hidden.items()})


@pytest.mark.parametrize(
    "make", [lambda r: dj.table(r), lambda r: dj.figure(dj.plot_scores, r), lambda r: dj.keyfigure("x", r)]
)
def test_blocks_refuse_unprotected_results(scores, make):
    with pytest.raises(UsageError, match="protect"):
        make(scores)
    with pytest.raises(UsageError, match="protect"):
        make(scores.table)


def test_text_refuses_unprotected_results(scores):
    with pytest.raises(UsageError, match="protect"):
        dj.text("{{ safe.row() }}", scores)


def test_figure_refuses_a_foreign_function(safe):
    with pytest.raises(UsageError, match="plot_scores"):
        dj.figure(lambda result, ax=None: None, safe)


def test_table_names_units_and_says_why_cells_are_missing(safe):
    block = dj.table(safe.where(code="INDEX", form="anchors", level="city"), caption="分单位")
    text = block.plain
    assert "云山供电公司" in text
    assert "按规定不单列" in text
    assert "1家填答人数不足10人" in text
    assert [c["kind"] for c in block.content["columns"]][:2] == ["text", "text"]
    hidden = next(row for row in block.content["rows"] if row[0].startswith("雾谷"))
    assert "—" in hidden


def test_table_across_codes_has_one_column_a_code(safe):
    block = dj.table(safe.where(code=["D1", "D2"], form="anchors", level="city"), across="code")
    assert [c["label"] for c in block.content["columns"]] == ["单位", "工作负荷与压力", "薪酬待遇与公平"]
    row = next(r for r in block.content["rows"] if r[0] == "云山供电公司")
    table = safe.table[(safe.table["unit"] == "C1") & (safe.table["form"] == "anchors")].set_index("code")
    assert row[1] == f"{table.at['D1', 'score']:.1f}"


def test_table_of_an_unknown_column_names_those_there_are(safe):
    with pytest.raises(UsageError, match="se_source"):
        dj.table(safe, ["nonsense"])


def test_text_fills_numbers_from_protected_rows(safe):
    block = dj.text("指数{{ safe.row('C1', 'INDEX').score|num }}分,{{ safe.row('C2', 'INDEX').score|num }}", safe)
    score = safe.table.query("unit == 'C1' and code == 'INDEX' and form == 'anchors'")["score"].iloc[0]
    assert block.content["text"] == f"指数{score:.1f}分,—"


def test_text_cannot_reach_outside_the_sandbox(safe):
    with pytest.raises(UsageError, match="句子"):
        dj.text("{{ safe.__class__.__init__.__globals__ }}", safe)
    with pytest.raises(UsageError, match="句子"):
        dj.text("{{ nothing }}", safe)


@pytest.mark.parametrize(
    ("value", "kind", "expected"),
    [
        (0.5, "percent", "50.0%"),
        (-0.04, "signed", "+0.0"),
        (1.25, "signed", "+1.2"),
        (np.nan, "number", "—"),
        (12.0, "count", "12"),
    ],
)
def test_values_are_printed_one_way(value, kind, expected):
    assert printed(value, kind) == expected


@pytest.mark.parametrize("plot", [dj.plot_scores, dj.plot_heat, dj.plot_response])
def test_figures_are_svg_with_chinese_glyphs_as_paths(safe, plot):
    data = safe.part("response") if plot is dj.plot_response else safe
    if plot is dj.plot_response:
        table = data.table.assign(rate=data.table["n"].astype("float64") / 50)
        data = Protected(data.result.with_table(table), data.plan)
    block = dj.figure(plot, data)
    assert block.content["svg"].startswith("<svg")
    assert "<text" not in block.content["svg"]
    assert block.content["alt"]
    assert "C2" not in block.content["alt"]


def test_a_figure_is_the_same_bytes_twice(safe):
    assert dj.figure(dj.plot_scores, safe).content == dj.figure(dj.plot_scores, safe).content


def test_heat_map_hatches_hidden_units(safe):
    axes = dj.plot_heat(safe)
    assert sum(patch.get_hatch() is not None for patch in axes.patches) == 8
    assert axes.collections[0].get_clim() == theme.HEAT_RANGE


def test_a_missing_glyph_is_an_error(scores):
    units = Units((Unit("C1", level="city", name_zh="\U0001f9ee供电公司"), *UNITS.rows[1:]))
    named = dataclasses.replace(scores, spec=dataclasses.replace(scores.spec, units=units))
    with pytest.raises(FontError, match="缺字"):
        dj.figure(dj.plot_scores, dj.protect(named))


def test_trend_breaks_where_the_questions_changed(scores):
    frames = []
    for period, version in (("2026Q1", "a"), ("2026Q2", "b"), ("2026Q3", "b")):
        frames.append(scores.table.assign(period=period, version=version))
    trend = dj.trend([scores])
    trend = dataclasses.replace(trend, table=pd.concat(frames))
    axes = dj.plot_trend(trend)
    assert [len(line.get_xdata()) for line in axes.lines] == [1, 2]


def _document(blocks, language="zh"):
    meta = {
        "title": "t",
        "period": "",
        "unit": "ALL",
        "language": language,
        "office": "",
        "purpose": "p",
        "footer": "f",
    }
    return Document(tuple(blocks), meta)


def _notebook(*blocks, **others):
    import nbformat.v4 as v4

    outputs = [v4.new_output("display_data", b._repr_mimebundle_()) for b in blocks]
    cell = v4.new_code_cell("1", outputs=[*outputs, *others.get("outputs", [])])
    return v4.new_notebook(cells=[v4.new_markdown_cell("# 标题\n\n一段话。\n\n- 一条"), cell])


META = {"title": "", "language": "zh"}


def test_document_takes_blocks_and_markdown_only():
    import nbformat.v4 as v4

    stream = v4.new_output("stream", text="C2 的均值是 40")
    plain = v4.new_output("execute_result", {"text/plain": "secret"})
    notebook = _notebook(dj.heading("基本情况"), dj.note("注"), outputs=[stream, plain])
    document = read_document(notebook, META)
    assert [b.kind for b in document.blocks] == ["heading", "text", "text", "heading", "note"]
    assert document.meta["title"] == "标题"
    assert len(document.dropped) == 2
    kept = str(stripped(notebook))
    assert "secret" not in kept
    assert "均值" not in kept


def test_headings_are_numbered_as_in_official_documents():
    blocks = [
        dj.heading("甲"),
        dj.heading("子", depth=2),
        dj.heading("丑", depth=2),
        dj.heading("乙"),
        dj.heading("另", depth=0),
        dj.heading("丙"),
    ]
    document = read_document(_notebook(*blocks), META)
    assert [b.content["number"] for b in document.blocks if b.kind == "heading"][1:] == [
        "一、",
        "（一）",
        "（二）",
        "二、",
        "",
        "一、",
    ]


def test_notebook_with_an_error_is_not_exported():
    import nbformat.v4 as v4

    error = v4.new_output("error", ename="ValueError", evalue="x", traceback=[])
    with pytest.raises(UsageError, match="ValueError"):
        read_document(_notebook(dj.heading("甲"), outputs=[error]), META)


def test_markdown_with_raw_html_is_refused():
    with pytest.raises(UsageError, match="标题"):
        markdown_blocks("<script>alert(1)</script>")


def test_html_escapes_and_needs_no_network(safe):
    nasty = "<script>alert('x')</script>"
    page = to_html(
        _document(
            [
                Block("heading", {"text": nasty, "depth": 1, "number": ""}),
                dj.text(nasty),
                dj.figure(dj.plot_scores, safe),
            ]
        )
    ).decode()
    assert "<script" not in page
    assert "&lt;script" in page
    assert "http://" not in page.replace("http://www.w3.org", "")
    assert "https://" not in page
    assert 'src="data:image/svg+xml' in page


def test_pdf_treats_data_as_text_not_code():
    import pypdfium2

    nasty = '#panic("x") $a$ *b* _c_ @d <e> [f] \\ 中文'
    made = to_pdf(_document([dj.heading("题", depth=0), dj.text(nasty)]))
    text = "".join(page.get_textpage().get_text_range() for page in pypdfium2.PdfDocument(made))
    assert '#panic("x")' in text
    assert "中文" in text


def test_pdf_sets_22_lines_of_28_characters():
    import pypdfium2

    made = to_pdf(_document([dj.text("国" * 28 * 30)]))
    page = pypdfium2.PdfDocument(made)[0].get_textpage().get_text_range()
    lines = [line for line in page.split() if set(line) == {"国"}]
    assert len(lines) == 22
    assert {len(line) for line in lines[1:]} == {28}


def test_block_carries_itself_in_the_notebook():
    bundle = dj.heading("甲")._repr_mimebundle_()
    assert bundle[MIME] == {"kind": "heading", "content": {"text": "甲", "depth": 1}}
    assert "<h2>甲</h2>" in bundle["text/html"]
