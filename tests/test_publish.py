"""Blocks, figures and sentences: what they accept, what they hide, what they print."""

import dataclasses
import json
import re
from typing import get_args

import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_rgb

import dj_analysis as dj
from dj_analysis.errors import FontError, UsageError
from dj_analysis.publish import theme
from dj_analysis.publish.blocks import MIME, Block
from dj_analysis.publish.exports.document import Document, markdown_blocks, numbered, read_document, stripped
from dj_analysis.publish.exports.html import to_html
from dj_analysis.publish.exports.pdf import to_pdf
from dj_analysis.publish.wording import say
from dj_analysis.release.plan import ReleasePlan
from dj_analysis.release.protect import Protected
from dj_analysis.result import Programme
from dj_analysis.spec import reasons
from dj_analysis.spec.codebook import default_codebook
from dj_analysis.spec.columns import columns, in_form, step
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
    survey = dj.read_survey(frame, default_codebook(), units=UNITS, period="2026Q2", form="pulse")
    heads = pd.DataFrame(
        [(code, "2026Q2", "", "", 50) for code in ("C1", "C2", "C3")],
        columns=["unit", "period", "group", "category", "headcount"],
    )
    return dj.score(dataclasses.replace(survey, spec=dataclasses.replace(survey.spec, headcounts=heads)))


@pytest.fixture(scope="module")
def safe(scores):
    return dj.protect(scores)


@pytest.fixture(scope="module")
def plan(safe):
    return safe.plan


def test_protect_hides_small_units_in_every_table(safe):
    for part in (safe, safe.part("shares"), safe.part("response")):
        # Nine people; and who would tell about them together with C1 and the whole.
        for unit, why in (("C2", reasons.SMALL_GROUP), ("C3", reasons.COMPLEMENT)):
            rows = part.table[part.table["unit"] == unit]
            assert len(rows)
            assert rows[[c for c in part.result.statistics if c in rows]].isna().all(axis=None)
            assert set(rows["reason"]) == {why}
    assert safe.hidden == 2
    shown = safe.table[safe.table["unit"] == "C1"]
    assert shown["score"].notna().all()


def test_protect_leaves_the_result_alone(scores):
    before = scores.table.copy()
    dj.protect(scores)
    pd.testing.assert_frame_equal(scores.table, before)


def test_min_group_below_five_is_never_used(scores):
    spec = dataclasses.replace(scores.spec, min_group=1)
    assert dj.protect(dataclasses.replace(scores, spec=spec)).plan.min_group == 5


def test_a_plan_must_know_the_wave(scores):
    with pytest.raises(UsageError, match="2026Q2"):
        dj.protect(scores, ReleasePlan("2020Q1", 10, {}))


def test_rows_the_plan_does_not_name_are_hidden(scores, plan):
    wave = plan.waves["survey", "2026Q2"]
    narrow = dataclasses.replace(wave, mask=dataclasses.replace(wave.mask, shown=frozenset({("company", "ALL")})))
    shown = dj.protect(scores, dataclasses.replace(plan, waves={("survey", "2026Q2"): narrow})).table
    assert set(shown.loc[shown["score"].notna(), "unit"]) == {"ALL"}


def test_rows_stand_in_their_declared_order_whatever_came_in(scores):
    """Sorted by score a hidden unit would stand at its rank."""
    turned = scores.remade(scores.table.sort_values("score", ascending=False))
    pd.testing.assert_frame_equal(dj.protect(turned).table, dj.protect(scores).table)
    with pytest.raises(UsageError, match="changed, filtered or sorted by hand"):
        dj.protect(scores.with_table(scores.table.sort_values("score")))


def test_a_table_about_people_that_no_function_made_does_not_pass(scores):
    """Made by hand, relabelled, or with one cell changed in place."""
    fields = {name: getattr(scores, name) for name in ("table", "keys", "statistics", "period", "periods", "spec")}
    with pytest.raises(UsageError, match="which answers it rests on"):
        dj.protect(dj.Result(**fields))
    names = scores.table["unit"].replace({"C2": "C1", "C1": "C2"})
    for table in (scores.table.assign(unit=names), scores.table.iloc[::-1], scores.table[scores.table["score"] > 50]):
        with pytest.raises(UsageError, match="by hand"):
            dj.protect(scores.with_table(table))
    changed = dataclasses.replace(scores, table=scores.table.copy())
    changed.table.loc[changed.table["unit"] == "C1", "unit"] = "C3"
    with pytest.raises(UsageError, match="by hand"):
        dj.protect(changed)


def test_an_unprotected_result_is_filtered_by_names_that_exist(scores):
    with pytest.raises(UsageError, match=r"levle.*level"):
        scores.where(levle="city")
    with pytest.raises(UsageError, match=r"citty.*city"):
        scores.where(level="citty")
    with pytest.raises(UsageError, match="protect it first"):
        scores.where(n=40)
    with pytest.raises(UsageError, match=r"citty.*city"):
        dj.protect(scores).where(level="citty")
    assert scores.where(level="city", unit=["C1", "C3"]).table["unit"].unique().tolist() == ["C1", "C3"]


def test_what_is_protected_cannot_be_made_or_changed_by_hand(scores, safe):
    table = scores.table.assign(reason="")
    for made in (
        lambda: Protected(scores, safe.plan),
        lambda: Protected(safe.result.with_table(table), safe.plan, safe.seal),
        lambda: Protected(safe.result, dataclasses.replace(safe.plan, min_group=5), safe.seal),
        lambda: dataclasses.replace(safe, result=scores),
    ):
        with pytest.raises(UsageError, match="made or changed by hand"):
            made()
    changed = dj.protect(scores)
    changed.result.table.loc[:, "score"] = scores.table["score"]
    with pytest.raises(UsageError, match="made or changed by hand"):
        dj.table(changed)


def test_what_is_printed_is_rounded_by_the_number_of_people(safe):
    """A range keeps its width around the rounded number."""
    shown = safe.printed().table
    shown = shown[shown["score"].notna()]
    assert set(shown["unit"]) == {"ALL", "C1"}
    before, steps = safe.table.loc[shown.index], step(shown["n"].to_numpy(float))
    assert set(steps) == {0.5, 1.0}
    for name in ("score", "low", "high", "sd", "se"):
        ratio = shown[name] / steps
        np.testing.assert_allclose(ratio, ratio.round(), atol=1e-6)
        assert (before[name] - shown[name]).abs().max() > 0.1
    assert ((shown["score"] - before["score"]).abs() <= steps / 2 + 1e-9).all()
    width = before["high"] - before["low"]
    assert ((shown["high"] - shown["low"] - width).abs() <= steps + 1e-9).all()


def test_the_step_is_at_least_the_distance_of_two_possible_means_of_one_question():
    """25/n or more, n people: 0.1 from 250 on, 0.5 from 50, 1 from 25, 2 from 13, else 5; not known, 5 as well."""
    counts = np.array([5, 12, 13, 24, 25, 49, 50, 249, 250, 10_000, np.nan])
    np.testing.assert_array_equal(step(counts), [5, 5, 2, 2, 1, 1, 0.5, 0.5, 0.1, 0.1, 5])
    sizes = np.arange(5, 10_000)
    assert (step(sizes) >= np.minimum(25 / sizes, 5) - 1e-9)[sizes < 250].all()


def test_ranges_do_not_tell_the_number_before_rounding(scores, safe):
    """Two means that print alike have ranges that print alike."""
    moved = scores.table["unit"] == "C1"
    printed_ = []
    for shift in (-0.2, 0.2):
        table, near = scores.table.copy(), scores.table.loc[moved, "score"].round()
        for name in ("low", "high"):
            table.loc[moved, name] += near + shift - table.loc[moved, "score"]
        table.loc[moved, "score"] = near + shift
        made = dj.protect(scores.remade(table), safe.plan).printed().table
        printed_.append(made.loc[moved, ["score", "low", "high", "sd", "se"]])
    pd.testing.assert_frame_equal(*printed_)


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
    assert "2个单位按规定不单列（不足10人" in text
    assert [c["kind"] for c in block.content["columns"]][:2] == ["text", "text"]
    for name in ("雾谷", "石溪"):
        hidden = next(row for row in block.content["rows"] if row[0].startswith(name))
        assert "—" in hidden


def test_table_across_codes_has_one_column_a_code(safe):
    block = dj.table(safe.where(code=["D1", "D2"], form="anchors", level="city"), across="code")
    assert [c["label"] for c in block.content["columns"]] == ["单位", "工作负荷与压力", "薪酬待遇与公平"]
    row = next(r for r in block.content["rows"] if r[0] == "云山供电公司")
    table = safe.table[(safe.table["unit"] == "C1") & (safe.table["form"] == "anchors")].set_index("code")
    assert row[1] == f"{round(table.at['D1', 'score']):.1f}"


def test_table_of_an_unknown_column_names_those_there_are(safe):
    with pytest.raises(UsageError, match="se_source"):
        dj.table(safe, ["nonsense"])


def test_text_fills_numbers_from_protected_rows(safe):
    block = dj.text("指数{{ safe.row('C1', 'INDEX').score|num }}分,{{ safe.row('C2', 'INDEX').score|num }}", safe)
    score = safe.table.query("unit == 'C1' and code == 'INDEX' and form == 'anchors'")["score"].iloc[0]
    assert block.content["text"] == f"指数{round(score):.1f}分,—"


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
    assert in_form(value, kind) == expected


@pytest.mark.parametrize("plot", [dj.plot_scores, dj.plot_heat, dj.plot_response])
def test_figures_are_svg_with_chinese_glyphs_as_paths(safe, plot):
    block = dj.figure(plot, safe.part("response") if plot is dj.plot_response else safe)
    assert block.content["svg"].startswith("<svg")
    assert "<text" not in block.content["svg"]
    assert block.content["alt"]
    assert "C2" not in block.content["alt"]


def test_a_figure_is_the_same_bytes_twice(safe):
    assert dj.figure(dj.plot_scores, safe).content == dj.figure(dj.plot_scores, safe).content


@pytest.mark.parametrize("plot", [dj.plot_scores, dj.plot_heat, dj.plot_trend, dj.plot_response])
def test_a_plot_of_a_wrong_result_says_which_it_needs(scores, plot):
    wrong = scores.response if plot is not dj.plot_response else scores.shares
    for result in (wrong, None, scores.table["unit"]):
        with pytest.raises(UsageError, match=plot.__name__):
            plot(result)


def test_a_plot_of_an_unknown_level_code_or_unit_names_those_there_are(scores):
    for options, nearest in (({"level": "citty"}, "city"), ({"code": "INDEXX"}, "INDEX")):
        with pytest.raises(UsageError, match=nearest):
            dj.plot_scores(scores, **options)
    with pytest.raises(UsageError, match="ALL"):
        dj.plot_trend(dj.trend([scores]), unit="Nowhere")


def test_a_dollar_sign_in_a_name_is_drawn_as_written(scores):
    """Two of them are no formula."""
    units = dataclasses.replace(scores.spec.units, root_name_zh="降本$100$班")
    axes = dj.plot_scores(dataclasses.replace(scores, spec=dataclasses.replace(scores.spec, units=units)))
    assert not any(text.get_parse_math() for text in axes.get_yticklabels())


def test_heat_map_hatches_hidden_units(safe):
    axes = dj.plot_heat(safe)
    assert sum(patch.get_hatch() is not None for patch in axes.patches) == 2 * 8
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
    return Document(tuple(numbered(blocks, language)), meta)


def _notebook(*blocks, **others):
    import nbformat.v4 as v4

    outputs = [v4.new_output("display_data", b._repr_mimebundle_()) for b in blocks]
    cell = v4.new_code_cell("1", outputs=[*outputs, *others.get("outputs", [])])
    return v4.new_notebook(cells=[v4.new_markdown_cell("# 标题\n\n一段话。\n\n- 一条"), cell])


META = {"title": "", "language": "zh"}


def test_document_takes_blocks_and_markdown_only(plan):
    import nbformat.v4 as v4

    stream = v4.new_output("stream", text="C2 的均值是 40")
    plain = v4.new_output("execute_result", {"text/plain": "secret"})
    notebook = _notebook(dj.heading("基本情况"), dj.note("注"), outputs=[stream, plain])
    document = read_document(notebook, META, plan)
    assert [b.kind for b in document.blocks] == ["heading", "text", "text", "heading", "note"]
    assert document.meta["title"] == "标题"
    assert len(document.dropped) == 2
    kept = str(stripped(notebook))
    assert "secret" not in kept
    assert "均值" not in kept


def test_headings_are_numbered_as_in_official_documents(plan):
    blocks = [
        dj.heading("甲"),
        dj.heading("子", depth=2),
        dj.heading("丑", depth=2),
        dj.heading("乙"),
        dj.heading("另", depth=0),
        dj.heading("丙"),
    ]
    document = read_document(_notebook(*blocks), META, plan)
    assert [b.content["number"] for b in document.blocks if b.kind == "heading"][1:] == [
        "一、",
        "（一）",
        "（二）",
        "二、",
        "",
        "一、",
    ]


def test_notebook_with_an_error_is_not_exported(plan):
    import nbformat.v4 as v4

    error = v4.new_output("error", ename="ValueError", evalue="x", traceback=[])
    with pytest.raises(UsageError, match="ValueError"):
        read_document(_notebook(dj.heading("甲"), outputs=[error]), META, plan)


def _carrying(**content):
    import nbformat.v4 as v4

    return v4.new_notebook(cells=[v4.new_code_cell("1", outputs=[v4.new_output("display_data", {MIME: content})])])


def test_document_takes_blocks_whose_seal_holds(safe, plan):
    blocks = [dj.table(safe), dj.keyfigure("指数", safe), dj.text("{{ safe.row('ALL', 'INDEX').n | count }}人", safe)]
    assert [b.kind for b in read_document(_notebook(*blocks), META, plan).blocks[3:]] == ["table", "keyfigure", "text"]


@pytest.mark.parametrize("kind", ["table", "keyfigure", "figure"])
def test_a_block_of_numbers_without_a_seal_is_refused(plan, kind):
    with pytest.raises(UsageError, match="封签"):
        read_document(_carrying(kind=kind, content={}), META, plan)


def test_a_block_that_was_changed_is_refused(safe, plan):
    bundle = json.loads(
        json.dumps(dj.text("{{ safe.row('ALL', 'INDEX').n | count }}人", safe)._repr_mimebundle_()[MIME])
    )
    read_document(_carrying(**bundle), META, plan)
    bundle["content"]["text"] = "75人"
    with pytest.raises(UsageError, match="封签"):
        read_document(_carrying(**bundle), META, plan)
    moved = dj.note("{{ safe.row('ALL', 'INDEX').n | count }}人", safe)._repr_mimebundle_()[MIME] | {"kind": "text"}
    with pytest.raises(UsageError, match="封签"):
        read_document(_carrying(**moved), META, plan)


def test_a_block_of_an_earlier_plan_is_refused(scores, safe, plan):
    wave = plan.waves["survey", "2026Q2"]
    less = dataclasses.replace(wave, mask=dataclasses.replace(wave.mask, shown=frozenset()))
    later = dataclasses.replace(plan, waves={("survey", "2026Q2"): less})
    with pytest.raises(UsageError, match="发布方案已变"):
        read_document(_notebook(dj.table(safe)), META, later)
    with pytest.raises(UsageError, match="封签"):
        read_document(_notebook(dj.table(safe)), META, dataclasses.replace(plan, key=b"another workspace"))


def test_an_unknown_block_is_refused(plan):
    with pytest.raises(dj.DjError, match="unknown block"):
        read_document(_carrying(kind="themes", content={"text": "x"}), META, plan)


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
    assert page.count("<script") == 1  # our own, which sorts tables
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


@pytest.mark.parametrize("language", ["zh", "en"])
def test_every_column_that_can_be_printed_has_a_name(language):
    assert len(columns()) > 150
    assert all(column.labels[language] for column in columns().values())
    assert all(column.kind.form != "flag" or column.words[True][language] for column in columns().values())


@pytest.mark.parametrize("language", ["zh", "en"])
def test_gaps_of_sentences_are_of_the_kind_that_is_filled(language):
    """A gap of a phrase ({name}) in a sentence would be printed as it stands."""
    printed = {key: re.findall(r"(?<!\{)\{\w+\}(?!\})", text) for key, text in dj.words(language).items()}
    assert not {key: gaps for key, gaps in printed.items() if gaps}


def lightness(colour):
    """How light a colour is in black-and-white print, 0 to 1 (Rec. 709)."""
    red, green, blue = to_rgb(colour)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def test_participation_below_the_mark_is_told_without_colour(scores):
    low = scores.response
    table = low.table.assign(rate=[0.8, 0.7, 0.3, 0.4][: len(low.table)])
    axes = dj.plot_response(dataclasses.replace(low, table=table))
    hatched = {bool(bar.get_hatch()): lightness(bar.get_facecolor()) for bar in axes.patches}
    assert set(hatched) == {True, False}


def test_clusters_have_marks_of_their_own():
    assert len(set(theme.MARKERS)) == len(theme.SERIES)


def test_cells_of_a_heat_map_carry_their_number(safe):
    """The scale is dark at both ends: in black and white the number tells which."""
    axes = dj.plot_heat(safe)
    written = [float(text.get_text()) for text in axes.texts if text.get_text().isdigit()]
    shown = safe.printed().table
    drawn = shown[(shown["form"] == "anchors") & shown["code"].isin([n.code for n in safe.spec.codebook.dimensions])]
    assert len(written) == drawn["score"].notna().sum()


def test_words_and_lines_of_figures_are_dark_enough_on_white():
    for colour in (theme.INK, theme.MUTED, theme.ACCENT):
        assert lightness(colour) < 0.55
    assert lightness(theme.MUTED) - lightness(theme.ACCENT) > 0.1, "a line of the whole beside that of a unit"


@pytest.mark.parametrize("lang", ["zh", "en"])
def test_every_programme_has_a_name_for_readers(lang):
    for programme in get_args(Programme):
        assert say(lang, f"programme_{programme}")
