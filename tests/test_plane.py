"""Quantity against quality: indices by hand, chances that come true, what is planted found and nothing else."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from test_branches import indicators, spec_of, workspace
from trials import trials

import dj_analysis as dj
from dj_analysis import methods
from dj_analysis.errors import SpecError, UsageError
from dj_analysis.judge.plane import is_marked, marked_tree
from dj_analysis.publish.scope import Scope
from dj_analysis.spec.tree import Indicator, Tree

SPAN = "2025-10/2026-09"


def tree(*, targets: bool = True) -> Tree:
    """Two parts of unlike weight; quantity is marked on a part, quality on leaves of both."""
    nodes = [
        Indicator("BM", "", "对标", role="index"),
        Indicator("A", "BM", "活动", role="dimension", weight=3.0, nature="共性|数量"),
        Indicator("B", "BM", "成效", role="dimension", weight=1.0),
        Indicator("K0", "A", "场次", weight=1.0, nature="党务|定量"),
        Indicator("K1", "A", "人次", weight=2.0),
        Indicator("K2", "A", "评价", weight=1.0, nature="质量"),
        Indicator("K3", "B", "兑现", weight=1.0, nature="quality"),
        Indicator("K4", "B", "其他", weight=1.0),
    ]
    leaves = {"K0", "K1", "K2", "K3", "K4"}
    target = 80.0 if targets else float("nan")
    return Tree(
        tuple(replace(n, minimum=0.0, maximum=100.0, target=target) if n.code in leaves else n for n in nodes),
        about="units",
    )


def values(quantity, quality, months: int = 12, sd: float = 3.0, seed: int = 1) -> np.ndarray:
    """Months × units × leaves: units at these points of quantity and quality, with months that scatter."""
    rng = np.random.default_rng(seed)
    levels = np.array([quantity, quantity, quality, quality, np.full(len(quantity), 50.0)]).T
    return np.clip(levels[None] + rng.normal(0, sd, (months, *levels.shape)), 0, 100)


def placed(given: np.ndarray, period: str = SPAN, tree_: Tree | None = None, **options) -> pd.DataFrame:
    spec = spec_of(given.shape[1], tree_ or tree())
    return methods.plane(indicators(given, spec, period), "branch", **options).table.set_index("unit")


def test_indices_by_hand():
    one = np.array([[[40.0, 70.0, 90.0, 50.0, 0.0], [10.0, 40.0, 20.0, 80.0, 0.0]]])
    table = placed(one, "2026-09")
    # K0 ¼ and K1 ½ of part A, which is ¾: 3/16 and 6/16; K2 3/16, K3 ½·¼ = 2/16
    assert table["quantity"].tolist() == pytest.approx([(40 + 2 * 70) / 3, (10 + 2 * 40) / 3])
    assert table["quality"].tolist() == pytest.approx([(3 * 90 + 2 * 50) / 5, (3 * 20 + 2 * 80) / 5])
    assert (table["quantity_line"] == (60 + 30) / 2).all()
    assert set(table["code"]) == {"BM"}
    assert set(table["quadrant"]) == {""}, "one month has no error: description only"
    assert set(table["reason"]) == {"no_error_source"}
    assert table["probability"].isna().all()


def test_weights_follow_the_tree_and_marks_the_nearest_node():
    marked = marked_tree(spec_of(2, tree()), "2026-09")
    assert {leaf.code: (leaf.parent, leaf.weight) for leaf in marked.leaves} == {
        "K0": ("quantity", 3 / 16), "K1": ("quantity", 6 / 16), "K2": ("quality", 3 / 16), "K3": ("quality", 1 / 8),
    }  # fmt: skip


def test_each_corner_is_named_and_the_middle_is_not():
    quantity, quality = [80, 80, 40, 40, 60, 60, 60, 60], [80, 40, 80, 40, 60, 60, 60, 60]
    table = placed(values(np.array(quantity, float), np.array(quality, float)))
    assert table["quadrant"].tolist() == ["many_good", "many_poor", "few_good", "few_poor", *["undecided"] * 4]
    assert (table["probability"][:4] > 0.99).all()
    assert (table["quantity_low"] < table["quantity"]).all()


def test_the_error_of_an_index_is_that_of_its_own_months():
    given = values(np.full(30, 60.0), np.full(30, 60.0), sd=4.0)
    spec = spec_of(30, tree())
    table = methods.plane(indicators(given, spec, SPAN), "branch").table
    # sd of (K0 + 2·K1)/3 is 4·√5/3, over twelve months; the width is that of Student's t
    expected = 4 * np.sqrt(5) / 3 / np.sqrt(12)
    half = (table["quantity_high"] - table["quantity_low"]) / 2
    assert half.mean() == pytest.approx(1.97 * expected, rel=0.06)


def test_a_stated_quadrant_is_wrong_as_seldom_as_it_says():
    """2,000 units that differ: of the quadrants stated at 80 %, at most a fifth is wrong, though months move both together."""
    rng = np.random.default_rng(5)
    truth = rng.normal(60, 5, (2, 2000))
    both = rng.normal(0, 9, (12, 2000, 1))  # what a month does to all of a unit's work
    given = (
        np.array([truth[0], truth[0], truth[1], truth[1], np.full(2000, 50)]).T[None]
        + both
        + rng.normal(0, 9, (12, 2000, 5))
    )
    table = placed(np.clip(given, 0, 100))
    many, good = truth[0] > np.median(truth[0]), truth[1] > np.median(truth[1])
    true = np.where(many, np.where(good, "many_good", "many_poor"), np.where(good, "few_good", "few_poor"))
    stated = (table["quadrant"] != "undecided").to_numpy()
    assert 0.2 < stated.mean() < 0.9
    assert (table["quadrant"].to_numpy() != true)[stated].mean() < 0.2


def test_of_units_that_do_not_differ_nothing_is_stated():
    for seed in range(trials(10, 3)):
        table = placed(values(np.full(40, 60.0), np.full(40, 60.0), sd=6.0, seed=seed))
        assert set(table["quadrant"]) == {"undecided"}


def test_targets_part_high_from_low_where_they_are_declared():
    given = values(np.array([90.0, 90, 70, 70, 70]), np.array([90.0, 70, 90, 70, 70]))
    table = placed(given, line="target")
    assert table[["quantity_line", "quality_line"]].drop_duplicates().to_numpy().tolist() == [[80.0, 80.0]]
    assert table["quadrant"].tolist() == ["many_good", "many_poor", "few_good", "few_poor", "few_poor"]
    with pytest.raises(UsageError, match="target"):
        placed(given, tree_=tree(targets=False), line="target")
    with pytest.raises(UsageError, match="分界线/line"):
        placed(given, line="mean")


@pytest.mark.parametrize("units", [1, 2, 3])
def test_few_units_are_placed_all_the_same(units):
    table = placed(values(np.full(units, 60.0), np.full(units, 60.0)))
    assert len(table) == units
    assert table["quantity"].notna().all()
    if units == 1:
        assert table["quadrant"].tolist() == ["undecided"], "it is its own median"


def test_units_that_are_equal_month_by_month_lie_on_the_line_and_are_not_judged():
    table = placed(np.repeat(values(np.array([60.0]), np.array([70.0])), 6, axis=1))
    assert (table["quantity"] == table["quantity_line"]).all()
    assert set(table["quadrant"]) == {""}
    assert set(table["reason"]) == {"same_value_every_month"}


def test_a_unit_without_values_has_a_reason():
    given = values(np.linspace(40, 80, 8), np.linspace(80, 40, 8))
    given[:, 3, :2] = np.nan
    table = placed(given)
    assert np.isnan(table.loc["B03", "quantity"])
    assert (table.loc["B03", "quadrant"], table.loc["B03", "reason"]) == ("", "missing_value")


def test_statistics_of_few_people_enter_no_index():
    """群众满意度 is a statistic over people: where fewer than ten answered the index is made without it."""
    nodes = [replace(n, about="persons") if n.code == "K3" else n for n in tree().nodes]
    spec = spec_of(4, Tree(tuple(nodes), about="units"))
    data = indicators(np.full((1, 4, 5), 50.0), spec, "2026-09")
    satisfaction = data.values["code"] == "K3"
    data.values.loc[satisfaction, "value"] = 100.0
    data.values.loc[satisfaction, "n"] = [9.0, 10.0, np.nan, 400.0]
    table = methods.plane(data, "branch").table.set_index("unit")
    with_it = (3 * 50 + 2 * 100) / 5
    # of two indicators one is left: half of them is less than the least share, so there is no index
    assert table["quality"].isna().tolist() == [True, False, True, False]
    assert table.loc[["B01", "B03"], "quality"].tolist() == pytest.approx([with_it] * 2)


def test_without_marks_it_says_what_to_mark():
    plain = Tree(tuple(replace(n, nature="") for n in tree().nodes), about="units")
    with pytest.raises(UsageError, match=r"nature 没有标 数量 .*no indicator is marked quantity"):
        placed(np.full((1, 3, 5), 50.0), "2026-09", plain)
    only_one = Tree(tuple(replace(n, nature=n.nature.replace("质量", "").replace("quality", "")) for n in tree().nodes))
    with pytest.raises(UsageError, match="质量"):
        placed(np.full((1, 3, 5), 50.0), "2026-09", only_one)
    assert [is_marked(spec_of(2, one), "2026-09") for one in (tree(), plain, only_one)] == [True, False, False]
    assert Scope("ALL", "2026-09", spec_of(4, tree(), ("机关", "基层"))).plane_types == ["机关", "基层"]
    assert Scope("B01", "2026-09", spec_of(4, tree())).plane_types == []
    assert Scope("ALL", "2026-09", replace(spec_of(2), indicators=None)).plane_types == []


def test_what_is_counted_on_a_points_sheet_enters_neither_index():
    nodes = [*tree().nodes, Indicator("D1", "A", "扣分", kind="deduct", points_each=2.0, weight=1.0, nature="质量")]
    marked = marked_tree(spec_of(2, Tree(tuple(nodes), about="units")), "2026-09")
    assert "D1" not in marked


def test_an_indicator_is_of_quantity_or_of_quality(tmp_path):
    head = "code,parent,label_zh,role,direction,weight,minimum,maximum,nature\nP,,考评,index,1,1,,,\n"
    rows = "A,P,场次,item,1,1,0,100,党务|数量|质量\nC,P,评价,item,1,1,0,100,质量|定性\n"
    folder = workspace(tmp_path, head + rows, "unit,period,code,value\nB1,2026-09,A,92\n")
    with pytest.raises(SpecError) as caught:
        dj.open_workspace(folder)
    (problem,) = caught.value.problems
    assert (problem.place, problem.rule, problem.found) == ("indicators.csv: A nature", "nature", "数量、质量")


# --- The figure ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("language", ["zh", "en"])
def test_the_figure_names_those_that_do_much_but_poorly(language):
    quantity, quality = np.array([80.0, 82, 40, 40, 60, 60, 60, 60]), np.array([80.0, 40, 80, 40, 60, 60, 60, 60])
    spec = replace(spec_of(8, tree()), language=language)
    result = methods.plane(indicators(values(quantity, quality), spec, SPAN), "branch")
    axes = dj.plot_plane(dj.protect(result))
    written = [text.get_text() for text in axes.texts]
    corners = {"zh": ["量少质高", "量多质高", "量少质低", "量多质低"]}.get(
        language, ["little but well", "much and well", "little and poorly", "much but poorly"]
    )
    assert set(corners) <= set(written)
    assert [text for text in written if text in ("第1支部", "Branch 1")] == [
        {"zh": "第1支部", "en": "Branch 1"}[language]
    ]
    assert not any(text in written for text in ("第0支部", "Branch 0"))
    assert f"{result.table['quantity_line'].iloc[0]:.1f}" in written
    points = np.vstack([collection.get_offsets() for collection in axes.collections if len(collection.get_offsets()) and
                        hasattr(collection, "get_sizes") and len(collection.get_sizes())])  # fmt: skip
    assert len(points) >= 8


def test_the_figure_of_a_description_says_so():
    result = methods.plane(indicators(np.full((1, 3, 5), 50.0), spec_of(3, tree()), "2026-09"), "branch")
    assert "仅作情况描述" in dj.plot_plane(result).get_title(loc="left")


def test_the_figure_takes_nothing_else():
    with pytest.raises(UsageError, match=r"plot_plane: 需要 methods.plane"):
        dj.plot_plane(dj.score(indicators(np.full((1, 3, 5), 50.0), spec_of(3, tree()), "2026-09"), by="branch"))


def test_names_of_units_that_lie_together_do_not_cover_each_other():
    quantity = np.array([80.0] * 5 + [40.0] * 8)
    quality = np.array([40.0, 40.2, 40.4, 40.6, 40.8] + [70.0] * 8)
    axes = dj.plot_plane(methods.plane(indicators(values(quantity, quality), spec_of(13, tree()), SPAN), "branch"))
    figure = axes.figure
    figure.canvas.draw()
    boxes = [text.get_window_extent() for text in axes.texts if text.get_text().startswith("第")]
    assert len(boxes) == 5
    assert not any(a.overlaps(b) for i, a in enumerate(boxes) for b in boxes[i + 1 :])
