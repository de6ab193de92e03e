"""Composite scores worked out by hand, their properties, and what they say when something is wrong.

Tolerances: by hand 1e-9; against the scoring path 1e-12 relative, since both add the same numbers in another order.
"""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from scipy import stats
from small import counted

import dj_analysis as dj
from dj_analysis.errors import DataError, DjWarning, UsageError
from dj_analysis.measure.composites.aggregators import AGGREGATORS, arithmetic, geometric, harmonic
from dj_analysis.measure.composites.choices import Choices
from dj_analysis.measure.composites.composite import CONSTANT, NOT_POSITIVE, composite
from dj_analysis.measure.composites.evaluation import fuzzy, topsis, triangular
from dj_analysis.measure.composites.normalisers import NORMALISERS, Ends, Normaliser
from dj_analysis.measure.composites.preparing import has_outliers, held, learn_limits
from dj_analysis.measure.scoring import score_frame
from dj_analysis.measure.survey import Indicators
from dj_analysis.spec import reasons
from dj_analysis.spec.specification import Specification
from dj_analysis.spec.tree import Node, Tree
from dj_analysis.spec.units import Unit, Units

EXACT = 1e-9
NAN = float("nan")


def tree_of(*leaves: Node, nodes: tuple[Node, ...] = ()) -> Tree:
    return Tree((Node("I", role="index"), *nodes, *leaves), about="units")


def leaf(
    code: str, parent: str = "I", direction: int = 1, weight: float = 1.0, low: float = 0, high: float = 100
) -> Node:
    return Node(code, parent, direction=direction, weight=weight, minimum=low, maximum=high)


#: Two dimensions: A of three leaves (one reverse-coded), B of two, and a leaf right below the index.
DEEP = tree_of(
    leaf("a1", "A", low=1, high=5), leaf("a2", "A", direction=-1, weight=2), leaf("a3", "A", low=-3, high=7),
    leaf("b1", "B", weight=0.5), leaf("b2", "B", weight=1.5, low=0, high=10), leaf("c"),
    nodes=(Node("A", "I", role="dimension", weight=3), Node("B", "I", role="dimension", weight=1.2)),
)  # fmt: skip


def random_units(units: int, seed: int, missing: float = 0.15, tree: Tree = DEEP) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    columns = {node.code: rng.uniform(node.minimum, node.maximum, units) for node in tree.leaves}
    frame = pd.DataFrame(columns).mask(rng.random((units, len(columns))) < missing)
    return frame.assign(unit=[f"u{i:03d}" for i in range(units)], half=["x", "y"] * (units // 2) + ["x"] * (units % 2))


def scores_of(result, code: str = "I") -> pd.Series:
    return result.table[result.table["code"] == code].set_index("unit")["score"]


# Normalisers.

VALUES = np.array([2.0, 4.0, 4.0, 6.0, 9.0, NAN])
BY_HAND = {
    "goalposts": [20, 40, 40, 60, 90],
    "min_max": [0, 200 / 7, 200 / 7, 400 / 7, 100],
    "z": [50 + 10 * (x - 5) / np.sqrt(7) for x in (2, 4, 4, 6, 9)],
    "rank": [0, 37.5, 37.5, 75, 100],
    "percentile": [10, 40, 40, 70, 90],
    "distance_to_target": [0, 40, 40, 80, 140],
}
ENDS = Ends(1, 0, 10, 7)


@pytest.mark.parametrize("name", NORMALISERS)
def test_normaliser_by_hand(name: str):
    assert set(BY_HAND) == set(NORMALISERS)
    found = NORMALISERS[name](VALUES, ENDS)
    np.testing.assert_allclose(found, [*BY_HAND[name], NAN], atol=EXACT)


@pytest.mark.parametrize("name", ["goalposts", "min_max", "rank", "percentile"])
def test_reversed_indicator_is_the_mirror_image(name: str):
    found = NORMALISERS[name](VALUES, replace(ENDS, direction=-1))
    np.testing.assert_allclose(found, 100 - NORMALISERS[name](VALUES, ENDS), atol=EXACT)


def test_reversed_z_and_distance():
    np.testing.assert_allclose(
        NORMALISERS["z"](VALUES, Ends(-1), mean=0, sd=1), -stats.zscore(VALUES, ddof=1, nan_policy="omit")
    )
    found = NORMALISERS["distance_to_target"](VALUES, Ends(-1, target=4.0))  # worst 9, aim 4
    np.testing.assert_allclose(found, [140, 100, 100, 60, 0, NAN], atol=EXACT)


def test_distance_without_a_target_is_min_max_and_a_target_behind_the_worst_is_none():
    np.testing.assert_allclose(NORMALISERS["distance_to_target"](VALUES), NORMALISERS["min_max"](VALUES))
    assert np.isnan(NORMALISERS["distance_to_target"](VALUES, Ends(target=1.0))).all()


def test_ranks_equal_scipy():
    x = np.random.default_rng(3).integers(0, 20, 101).astype(float)
    np.testing.assert_allclose(NORMALISERS["rank"](x), 100 * (stats.rankdata(x) - 1) / 100, atol=EXACT)
    np.testing.assert_allclose(NORMALISERS["percentile"](x), [stats.percentileofscore(x, v, kind="mean") for v in x])


@pytest.mark.parametrize("name", NORMALISERS)
def test_normaliser_is_learned_once_and_applied_later(name: str):
    frame = random_units(40, seed=1)
    values, ends = frame[[node.code for node in DEEP.leaves]].to_numpy(), Ends.of(DEEP.leaves)
    way = NORMALISERS[name]
    learned = json.loads(json.dumps(way.fit(values, ends), allow_nan=False))
    whole = way(values, ends)
    np.testing.assert_array_equal(way.apply(values, learned), whole)
    np.testing.assert_array_equal(way.apply(values[::-1][:7], learned), whole[::-1][:7])
    for j, node in enumerate(DEEP.leaves):  # a vector is a column
        np.testing.assert_allclose(way(values[:, j], Ends(node.direction, node.minimum, node.maximum)), whole[:, j])
    assert (np.isnan(whole) == np.isnan(values)).all()
    if way.ranged:
        assert np.nanmin(whole) >= -EXACT
        assert np.nanmax(whole) <= 100 + EXACT


@pytest.mark.parametrize("name", ["min_max", "z", "rank", "percentile"])
def test_units_of_measurement_do_not_matter(name: str):
    np.testing.assert_allclose(NORMALISERS[name](VALUES * 1000 - 77), NORMALISERS[name](VALUES), atol=EXACT)


def test_a_later_value_beyond_the_learned_ends_shows_it():
    learned = NORMALISERS["min_max"].fit(VALUES, Ends())
    np.testing.assert_allclose(
        NORMALISERS["min_max"].apply(np.array([1.0, 16.0]), learned), [-100 / 7, 200], atol=EXACT
    )
    learned = NORMALISERS["rank"].fit(VALUES, Ends())
    np.testing.assert_allclose(
        NORMALISERS["rank"].apply(np.array([1.0, 5.0, 16.0]), learned), [0, 62.5, 100], atol=EXACT
    )


@pytest.mark.parametrize("name", ["min_max", "z"])
def test_a_constant_indicator_has_no_scale(name: str):
    assert np.isnan(NORMALISERS[name](np.array([0.1 + 0.2, 0.3, 0.3]))).all()
    assert np.isnan(NORMALISERS[name](np.array([5.0, NAN]))).all()


# Aggregators.

PARTS = np.array([[20.0, 40.0, 80.0], [50.0, NAN, 100.0], [0.0, 30.0, 60.0], [-5.0, 30.0, 60.0], [NAN, NAN, NAN]])
WEIGHTS = np.array([1.0, 1.0, 2.0])


def test_aggregators_by_hand():
    np.testing.assert_allclose(arithmetic(PARTS, WEIGHTS), [55, 250 / 3, 37.5, 36.25, NAN], atol=EXACT)
    np.testing.assert_allclose(geometric(PARTS, WEIGHTS), [(20 * 40 * 80**2) ** 0.25, 500_000 ** (1 / 3), 0, NAN, NAN])
    np.testing.assert_allclose(harmonic(PARTS, WEIGHTS), [40, 75, 0, NAN, NAN], atol=EXACT)
    assert arithmetic(PARTS, WEIGHTS, reweight=False)[[0, 1]].tolist() == pytest.approx([55, NAN], nan_ok=True)


def test_aggregators_equal_scipy():
    x, w = np.random.default_rng(5).uniform(1, 100, (30, 6)), np.arange(1.0, 7)
    np.testing.assert_allclose(geometric(x, w), stats.gmean(x, axis=1, weights=w))
    np.testing.assert_allclose(harmonic(x, w), stats.hmean(x, axis=1, weights=w))
    assert (harmonic(x, w) < geometric(x, w)).all()
    assert (geometric(x, w) < arithmetic(x, w)).all()


@pytest.mark.parametrize("name", AGGREGATORS)
def test_aggregator_takes_many_sets_of_weights_and_their_scale_is_free(name: str):
    draws = np.random.default_rng(2).dirichlet(np.ones(3), 20).T
    many = AGGREGATORS[name](PARTS, draws)
    assert many.shape == (5, 20)
    for k in range(20):
        np.testing.assert_allclose(AGGREGATORS[name](PARTS, draws[:, k] * 37), many[:, k], rtol=1e-12)


@pytest.mark.parametrize("name", AGGREGATORS)
def test_a_part_without_weight_does_not_matter(name: str):
    weights = np.array([0.0, 1.0, 2.0])
    np.testing.assert_allclose(AGGREGATORS[name](PARTS, weights), AGGREGATORS[name](PARTS[:, 1:], weights[1:]))
    assert AGGREGATORS[name](PARTS, weights)[2] > 0


def test_aggregators_refuse_weights_that_are_none():
    with pytest.raises(UsageError, match="units × parts"):
        arithmetic(PARTS, [1, 2])
    with pytest.raises(UsageError, match="not negative"):
        arithmetic(PARTS, [1, 2, -1])


# The tree.


@pytest.mark.parametrize("seed", range(5))
def test_default_choices_are_the_scoring_path_and_the_general_path_agrees(seed: int):
    frame = random_units(60, seed, missing=0.2)
    path = score_frame(frame, {"full": DEEP})
    plain, general = composite(frame, DEEP), composite(frame, DEEP, Choices(cut=True))
    assert Choices().as_scored
    assert not Choices(cut=True).as_scored
    for code in ("A", "B", "I"):
        expected = path.set_index("unit")[f"full__{code}"]
        assert expected.isna().any()
        assert expected.notna().sum() > 10
        np.testing.assert_array_equal(scores_of(plain, code), expected)
        np.testing.assert_allclose(scores_of(general, code), expected, rtol=1e-12)


def test_composite_by_hand():
    frame = pd.DataFrame(
        {"unit": ["p", "q"], "a1": [3, 5], "a2": [25, 50], "a3": [7, NAN], "b1": [80, NAN], "b2": [5, 10]}
    )
    table = composite(frame, DEEP).table.set_index(["unit", "code"])
    # A of p: leaves 50, 75 (reversed, weight 2), 100 → 300/4 = 75; B: (0.5·80 + 1.5·50)/2 = 57.5; c was not measured, so the
    # index has two of three children, under the three quarters needed.
    assert table.loc[("p", "A"), "score"] == pytest.approx(75, abs=EXACT)
    assert table.loc[("p", "B"), "score"] == pytest.approx(57.5, abs=EXACT)
    assert table.loc[("p", "I"), ["reason", "availability"]].tolist() == [
        reasons.TOO_FEW_TO_JUDGE,
        pytest.approx(5 / 6),
    ]
    assert table.loc[("q", "a3"), ["reason", "availability"]].tolist() == [reasons.MISSING_VALUE, 0]
    assert ("p", "c") not in table.index
    loose = composite(frame, DEEP, Choices(min_share=0.5))
    # q: A from two of three leaves (100 + 2·50)/3, B from b2 alone: 100.
    assert scores_of(loose).to_dict() == pytest.approx(
        {"p": (3 * 75 + 1.2 * 57.5) / 4.2, "q": (3 * 200 / 3 + 1.2 * 100) / 4.2}, abs=EXACT
    )


def test_geometric_index_by_hand():
    tree = tree_of(leaf("a", weight=1), leaf("b", weight=3))
    frame = pd.DataFrame({"unit": ["p"], "a": [16.0], "b": [81.0]})
    assert scores_of(composite(frame, tree, Choices(aggregator="geometric")))["p"] == pytest.approx(54, abs=EXACT)
    assert scores_of(composite(frame, tree, Choices(aggregator="harmonic")))["p"] == pytest.approx(
        4 / (1 / 16 + 3 / 81)
    )


def test_a_zero_under_a_geometric_mean_is_said_and_has_two_remedies():
    tree = tree_of(leaf("a"), leaf("b"))
    frame = pd.DataFrame({"unit": ["p", "q", "r"], "a": [1.0, 2.0, 3.0], "b": [9.0, 8.0, 7.0]})
    choices = Choices(normaliser="min_max", aggregator="geometric")
    with pytest.raises(DataError) as raised:
        composite(frame, tree, choices)
    problems = raised.value.problems.table
    assert problems["place"].tolist() == ["a", "b"]
    assert problems["found"].tolist() == ["p 0 (1 个/units)", "r 0 (1 个/units)"]
    assert problems["advice"].str.contains("floor=1").all()
    assert scores_of(composite(frame, tree, replace(choices, zeros="limit"))).tolist() == pytest.approx([0, 50, 0])
    squeezed = scores_of(composite(frame, tree, replace(choices, floor=1)))
    assert squeezed.tolist() == pytest.approx([10, 50.5, 10])  # √(1·100), √(50.5·50.5)


def test_negative_values_under_a_geometric_mean_are_missing_with_the_reason():
    tree = tree_of(leaf("a"), leaf("b"))
    frame = pd.DataFrame({"unit": ["p", "q", "r"], "a": [1.0, 2.0, 3.0], "b": [9.0, 8.0, 7.5]})
    choices = Choices(normaliser="z", options={"mean": 0, "sd": 1}, aggregator="geometric", zeros="limit")
    table = composite(frame, tree, choices).table
    assert table.loc[table["code"] == "I", "reason"].tolist() == [NOT_POSITIVE] * 3


def test_raising_a_value_never_lowers_a_score():
    frame = random_units(25, seed=8, missing=0)
    raised = []
    for node in DEEP.leaves:
        better = frame[node.code] + node.direction * 0.2 * (node.maximum - node.minimum)
        values = {node.code: better.clip(node.minimum, node.maximum), "unit": node.code + frame["unit"]}
        raised.append(frame.assign(**values))
    later = pd.concat(raised)
    for name, aggregate in [(n, a) for n in NORMALISERS for a in AGGREGATORS]:
        choices = Choices(normaliser=name, aggregator=aggregate, floor=1, zeros="limit")
        first = composite(frame, DEEP, choices)
        gain = scores_of(composite(later, DEEP, choices, fitted=first.fitted)).to_numpy().reshape(-1, len(frame))
        gain = gain - scores_of(first).to_numpy()
        assert (gain >= -EXACT).all(), (name, aggregate)
        assert (gain.max(axis=1) > EXACT).all(), (name, aggregate)  # every leaf counts


@pytest.mark.parametrize("name", NORMALISERS)
def test_order_of_rows_and_scale_of_weights_do_not_matter(name: str):
    frame = random_units(31, seed=4)
    choices = Choices(normaliser=name, impute="median", treat="winsorise", min_share=0.2)
    first = composite(frame, DEEP, choices)
    shuffled = composite(frame.sample(frac=1, random_state=1), DEEP, choices).wide().set_index("unit")
    pd.testing.assert_frame_equal(shuffled.sort_index(), first.wide().set_index("unit").sort_index(), rtol=1e-12)
    heavier = replace(DEEP, nodes=tuple(replace(node, weight=node.weight * 7) for node in DEEP))
    pd.testing.assert_frame_equal(composite(frame, heavier, choices).table, first.table, rtol=1e-12)


def test_any_dataframe_gives_the_same_table():
    frame = random_units(20, seed=6)
    choices = Choices(normaliser="z", impute="group_mean", min_share=0.2)
    first = composite(frame, DEEP, choices, groups="half").table
    engines = (pl.from_pandas(frame), pl.from_pandas(frame).lazy(), pa.Table.from_pandas(frame))
    for other in engines:
        pd.testing.assert_frame_equal(composite(other, DEEP, choices, groups="half").table, first)


def test_a_researchers_own_ways_fit_the_same_place():
    def fit_log(values, ends):
        return {"top": float(np.nanmax(values))}

    def apply_log(values, params):
        return 100 * np.log1p(values) / np.log1p(params["top"])

    def weakest(values, weights, *, reweight=True):
        return np.nanmin(values, axis=1)

    tree = tree_of(leaf("a"), leaf("b"))
    frame = pd.DataFrame({"unit": ["p", "q"], "a": [1.0, 3.0], "b": [7.0, 0.0]})
    found = composite(frame, tree, Choices(normaliser=Normaliser("log", fit_log, apply_log), aggregator=weakest))
    assert scores_of(found).to_dict() == pytest.approx({"p": 100 / 3, "q": 0})
    assert (found.fitted["choices"]["normaliser"], found.fitted["choices"]["aggregator"]) == ("log", "weakest")


# Gaps, outliers, denominators.


def test_gaps_are_filled_from_the_units_or_their_group():
    tree = tree_of(leaf("a"), leaf("b"))
    frame = pd.DataFrame(
        {
            "unit": list("pqrst"),
            "g": ["x", "x", "y", "y", None],
            "a": [10.0, NAN, 30.0, 80.0, NAN],
            "b": [1.0, 2, 3, 4, 5],
        }
    )
    expected = {"mean": [40, 40], "median": [30, 30], "group_mean": [10, NAN]}
    for how, values in expected.items():
        found = composite(frame, tree, Choices(impute=how, min_share=0.5), groups="g").stages.table
        filled = (
            found[(found["stage"] == "imputed") & (found["code"] == "a")].set_index("unit").loc[["q", "t"], "value"]
        )
        np.testing.assert_allclose(filled, values)
    table = composite(frame, tree, Choices(impute="group_mean", min_share=0.5), groups="g").table
    at = table.set_index(["unit", "code"])
    assert at.loc[("t", "a"), "reason"] == reasons.MISSING_VALUE
    assert at.loc[("q", "a"), ["score", "availability"]].tolist() == [10, 0]


def test_an_imputed_leaf_does_not_count_as_answered():
    tree = tree_of(leaf("a"), leaf("b"), leaf("d"))
    frame = pd.DataFrame({"unit": ["p", "q"], "a": [10.0, 20], "b": [10.0, NAN], "d": [10.0, NAN]})
    strict = composite(frame, tree, Choices(impute="mean")).table.set_index(["unit", "code"])
    assert strict.loc[("q", "I"), "reason"] == reasons.TOO_FEW_TO_JUDGE  # one of three, 0.6 are needed
    loose = composite(frame, tree, Choices(impute="mean", min_share=0.3)).table.set_index(["unit", "code"])
    assert loose.loc[("q", "I"), ["score", "availability"]].tolist() == [pytest.approx(40 / 3), pytest.approx(1 / 3)]


def test_without_reweighting_a_gap_leaves_no_score():
    tree = tree_of(leaf("a"), leaf("b", weight=0), leaf("d"))
    frame = pd.DataFrame({"unit": ["p", "q"], "a": [10.0, 20], "b": [NAN, 5], "d": [30.0, NAN]})
    found = scores_of(composite(frame, tree, Choices(reweight=False)))
    np.testing.assert_allclose(found, [20, NAN])


def test_winsorising_by_hand():
    column = np.array([*range(1, 19), 60.0, 90.0])
    assert has_outliers(column)
    learned = learn_limits(column[:, None], ["a"])
    assert learned == {"limits": {"a": [None, 18.0]}, "failing": []}
    np.testing.assert_allclose(held(column[:, None], ["a"], learned)[:, 0], [*range(1, 19), 18, 18])
    np.testing.assert_allclose(held(np.array([[500.0], [NAN], [-3.0]]), ["a"], learned)[:, 0], [18, NAN, -3])
    mirrored = learn_limits(-column[:, None], ["a"])
    assert mirrored["limits"] == {"a": [-18.0, None]}


def test_outliers_beyond_five_points_are_left_and_said():
    column = np.concatenate([np.linspace(0, 1, 60), 100.0 + 10 * np.arange(6)])
    with pytest.warns(DjWarning, match="winsorising 5 points"):
        learned = learn_limits(column[:, None], ["a"])
    assert learned == {"limits": {}, "failing": ["a"]}


def test_well_behaved_indicators_are_left_alone():
    rng = np.random.default_rng(7)
    normal = rng.normal(size=(51, 300))
    assert learn_limits(normal, [str(j) for j in range(300)]) == {"limits": {}, "failing": []}
    spiked = normal.copy()
    spiked[0] = 12.0  # one wild point in each
    learned = learn_limits(spiked, [str(j) for j in range(300)])
    assert len(learned["limits"]) == 300
    np.testing.assert_allclose(
        held(spiked, [str(j) for j in range(300)], learned)[0], np.sort(spiked, axis=0)[-2], atol=EXACT
    )


def test_denominators_divide_and_zero_gives_nothing():
    tree = tree_of(leaf("a", high=1), leaf("b"))
    frame = pd.DataFrame({"unit": list("pqr"), "a": [5.0, 6, 7], "b": [50.0] * 3, "heads": [10.0, 0, NAN]})
    table = composite(frame, tree, Choices(denominator={"a": "heads"})).table.set_index(["unit", "code"])
    assert table.loc[("p", "a"), "score"] == 50
    assert table.loc[[("q", "a"), ("r", "a")], "reason"].tolist() == [reasons.MISSING_VALUE] * 2
    with pytest.raises(UsageError, match="没有 nobody 列"):
        composite(frame, tree, Choices(denominator={"a": "nobody"}))


def test_a_constant_indicator_says_so():
    tree = tree_of(leaf("a"), leaf("b"))
    frame = pd.DataFrame({"unit": ["p", "q"], "a": [5.0, 5.0], "b": [1.0, 2.0]})
    table = composite(frame, tree, Choices(normaliser="min_max", min_share=0.5)).table.set_index(["unit", "code"])
    assert table.loc[("p", "a"), "reason"] == CONSTANT
    assert table.loc[("q", "I"), "score"] == 100


# The next period.


def test_what_was_learned_is_reused_and_belongs_to_its_tree():
    frame, later = random_units(30, seed=1), random_units(30, seed=2)
    choices = Choices(normaliser="z", impute="group_mean", treat="winsorise", min_share=0.2)
    first = composite(frame, DEEP, choices, groups="half", period="2026Q1")
    stored = json.loads(json.dumps(first.fitted, allow_nan=False))
    same = composite(frame, DEEP, choices, groups="half", period="2026Q1", fitted=stored)
    pd.testing.assert_frame_equal(same.table, first.table)
    assert stored["period"] == "2026Q1"
    assert composite(later, DEEP, choices, groups="half", fitted=stored).fitted == stored
    # A unit's score in the next period depends on its own values alone.
    whole = composite(later, DEEP, choices, groups="half", fitted=stored).wide().set_index("unit")
    part = composite(later[5:9], DEEP, choices, groups="half", fitted=stored).wide().set_index("unit")
    pd.testing.assert_frame_equal(part, whole.iloc[5:9])
    with pytest.raises(UsageError, match="tree or choices"):
        composite(later, DEEP, replace(choices, floor=1), groups="half", fitted=stored)
    with pytest.raises(UsageError, match="indicators"):
        composite(later.drop(columns="c"), DEEP, choices, groups="half", fitted=stored)


# Branch indicators and disclosure.


def indicators(tree: Tree, rows: list[tuple[str, str, float, float]]) -> Indicators:
    values = pd.DataFrame(rows, columns=["unit", "code", "value", "n"]).assign(period="2026-09", se=NAN, reason="")
    units = Units(tuple(Unit(unit, "", "branch") for unit in dict.fromkeys(values["unit"])))
    return Indicators(values, Specification(units=units, indicators=tree), "2026-09")


def test_branch_indicators_score_as_dj_score_does_and_small_numbers_stay_hidden():
    tree = tree_of(replace(leaf("s"), about="persons"), leaf("t"))
    data = indicators(tree, [("b1", "s", 80, 30), ("b1", "t", 20, NAN), ("b2", "s", 60, 4), ("b2", "t", 40, NAN)])
    found = composite(data)
    scores = dj.score(data, by="branch").table
    scores = scores[scores["level"] == "branch"].set_index(["unit", "code"])["score"]
    table = found.table.set_index(["unit", "code"])
    assert found.table["level"].unique().tolist() == ["branch"]
    pd.testing.assert_series_equal(table["score"].sort_index(), scores.sort_index())
    assert table.loc[("b2", "I"), "n"] == 4
    shown = dj.protect(found)
    hidden = shown.table[shown.table["score"].isna()]
    assert list(zip(hidden["unit"], hidden["code"], strict=True)) == [("b2", "I"), ("b2", "s")]
    stages = shown.part("stages").table
    assert stages[(stages["unit"] == "b2") & (stages["code"] == "s")]["value"].isna().all()


def test_units_of_two_levels_never_stand_in_one_table():
    tree = tree_of(leaf("s"))
    data = indicators(tree, [("b1", "s", 80, NAN), ("b2", "s", 60, NAN)])
    units = Units((Unit("b1", "", "city"), Unit("b2", "b1", "branch")))
    mixed = replace(data, spec=replace(data.spec, units=units))
    with pytest.raises(UsageError, match="city, branch"):
        composite(mixed)
    assert composite(mixed, level="branch").table["unit"].unique().tolist() == ["b2"]


# What is said when something is wrong.


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"normaliser": "minmax"}, "min_max"),
        ({"aggregator": "mean"}, "arithmetic"),
        ({"impute": "zero"}, "group_mean"),
        ({"treat": "log"}, "winsorise"),
        ({"floor": 100}, "0 <= floor < 100"),
        ({"options": {"centre": 0}, "normaliser": "z"}, "mean, sd"),
        ({"min_share": 2}, "0 <= min_share <= 1"),
    ],
)
def test_choices_name_what_is_valid(change: dict, words: str):
    with pytest.raises(UsageError, match=words):
        Choices(**change)


def test_frames_that_do_not_fit_are_refused():
    frame = random_units(4, seed=1, missing=0)
    with pytest.raises(UsageError, match="a column unit"):
        composite(frame.drop(columns="unit"), DEEP)
    with pytest.raises(UsageError, match="leaf of the tree"):
        composite(frame[["unit", "half"]], DEEP)
    with pytest.raises(UsageError, match="a1"):
        composite(frame.assign(a1="x"), DEEP)
    with pytest.raises(UsageError, match="targets"):
        composite(frame, DEEP, Choices(normaliser="distance_to_target", targets={"a9": 1}))
    with pytest.raises(UsageError, match="groups="):
        composite(frame, DEEP, Choices(impute="group_mean"))
    with pytest.raises(DataError, match="u001"):
        composite(frame.assign(unit=["u001", "u001", "a", "b"]), DEEP)
    with pytest.raises(DataError, match="infinite"):
        composite(frame.assign(a1=np.inf), DEEP)
    with pytest.raises(DataError) as raised:
        composite(frame.assign(a1=9.0, b2=-1.0), DEEP)
    assert raised.value.problems.table["place"].tolist() == ["a1", "b2"]
    assert raised.value.problems.table["allowed"].tolist() == ["1–5", "0–10"]
    with pytest.raises(DataError, match="give the range"):
        composite(frame, replace(DEEP, nodes=tuple(replace(node, maximum=NAN) for node in DEEP)))


# TOPSIS and fuzzy evaluation on the same tree.


def test_topsis_by_hand():
    tree = tree_of(leaf("a"), leaf("b", direction=-1))
    frame = pd.DataFrame({"unit": ["p", "q", "r", "s"], "a": [3.0, 4.0, 0.0, NAN], "b": [0.0, 3.0, 4.0, 1.0]})
    table = topsis(frame, tree).table.set_index("unit")
    # Over complete units both norms are 5, weights ½: best (0.8, 0), worst (0, 0.8), halved distances.
    best = [np.hypot(0.2, 0) / 2, np.hypot(0, 0.6) / 2, np.hypot(0.8, 0.8) / 2]
    worst = [np.hypot(0.6, 0.8) / 2, np.hypot(0.8, 0.2) / 2, 0]
    np.testing.assert_allclose(table["distance_best"], [*best, NAN], atol=EXACT)
    np.testing.assert_allclose(table["distance_worst"], [*worst, NAN], atol=EXACT)
    np.testing.assert_allclose(table["score"], [100 * w / (w + b) for b, w in zip(best, worst, strict=True)] + [NAN])
    assert table.loc["s", "reason"] != ""


def test_topsis_reuses_its_ideal_and_knows_its_tree():
    frame = random_units(30, seed=3, missing=0)
    first = topsis(frame, DEEP)
    assert set(first.table["code"]) == {"A", "B", "I"}
    stored = json.loads(json.dumps(first.fitted, allow_nan=False))
    part = topsis(frame[4:9], DEEP, fitted=stored).table
    expected = first.table[first.table["unit"].isin(frame["unit"][4:9])].reset_index(drop=True)
    pd.testing.assert_frame_equal(part, expected)
    assert (topsis(frame[4:9], DEEP).table["score"] - part["score"]).abs().max() > 1
    with pytest.raises(UsageError, match="another tree"):
        topsis(frame, tree_of(leaf("a1")), fitted=stored)


def test_fuzzy_evaluation_by_hand():
    tree = tree_of(leaf("x", "D", weight=3), leaf("y", "D"), leaf("z"), nodes=(Node("D", "I", role="dimension"),))
    rows = {"x": [0.2, 0.5, 0.3], "y": [0.6, 0.4, 0.0], "z": [0.1, 0.1, 0.8]}
    table = pd.DataFrame(
        [("u", code, grade, m) for code, ms in rows.items() for grade, m in zip(("好", "中", "差"), ms, strict=True)],
        columns=["unit", "code", "grade", "membership"],
    )
    found = fuzzy(table, tree, {"差": 20, "好": 100, "中": 60})
    at = found.table.set_index(["code", "grade"])["membership"]
    # D = ¾x + ¼y = 0.3, 0.475, 0.225; I = ½D + ½z = 0.2, 0.2875, 0.5125.
    assert at.loc["D"].to_dict() == pytest.approx({"好": 0.3, "中": 0.475, "差": 0.225}, abs=EXACT)
    assert at.loc["I"].to_dict() == pytest.approx({"好": 0.2, "中": 0.2875, "差": 0.5125}, abs=EXACT)
    scores = found.parts["scores"].table.set_index("code")
    assert scores.loc["I", "score"] == pytest.approx(20 + 17.25 + 10.25, abs=EXACT)
    assert scores["grade"].to_dict() == {"I": "差", "D": "中", "x": "中", "y": "好", "z": "差"}
    with pytest.raises(DataError, match="adding up to 1"):
        fuzzy(table.assign(membership=table["membership"] * 0.9), tree, {"差": 20, "好": 100, "中": 60})
    with pytest.raises(DataError, match="unknown_grade"):
        fuzzy(table, tree, {"差": 20, "好": 100})


def test_fuzzy_grades_of_scores_lead_back_to_the_scores():
    np.testing.assert_allclose(
        triangular([0, 10, 35, 90, NAN], [80, 20]), [[0, 1], [0, 1], [0.25, 0.75], [1, 0], [NAN, NAN]]
    )
    frame = random_units(20, seed=9)
    scores = composite(frame, DEEP, Choices(cut=True))
    found = fuzzy(scores, DEEP, {"优": 100, "良": 75, "中": 50, "差": 0})
    again = found.parts["scores"].table.set_index(["unit", "code"])["score"]
    expected = scores.table.set_index(["unit", "code"])["score"]
    pd.testing.assert_series_equal(again.sort_index(), expected.sort_index(), rtol=1e-12)
    sums = found.table.groupby(["unit", "code"])["membership"].sum(min_count=1).dropna()
    np.testing.assert_allclose(sums, 1, atol=EXACT)


def test_fuzzy_evaluation_of_people_stays_hidden_where_they_are_few():
    tree = replace(tree_of(leaf("x")), about="persons")
    rows = [("u", "x", "好", 0.5, 12), ("u", "x", "差", 0.5, 12), ("v", "x", "好", 1.0, 4), ("v", "x", "差", 0.0, 4)]
    table = pd.DataFrame(rows, columns=["unit", "code", "grade", "membership", "n"])
    found = fuzzy(table, tree, {"好": 100, "差": 0}, period="2026Q3")
    with pytest.raises(UsageError, match="which answers it rests on"):
        dj.protect(found)  # a table of one's own about people says nothing of whom it counted
    parts = {name: part.remade(part.table, basis=counted("2026Q3")) for name, part in found.parts.items()}
    shown = dj.protect(found.remade(found.table, basis=counted("2026Q3"), parts=parts)).table
    assert shown.set_index("unit").loc["v", "membership"].isna().all()
    assert shown.set_index("unit").loc["u", "membership"].notna().all()
