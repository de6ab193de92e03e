"""Ranks under other choices: cases worked out by hand, every draw against the composite's own steps, properties, shares.

Tolerances: 1e-8 between two routes to a score (scores are kept to nine decimals); simulated shares lie in the 99 % binomial
interval of what they should be.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy import stats

import dj_analysis as dj
from dj_analysis.errors import DataError, UsageError
from dj_analysis.measure.composites import index_draws
from dj_analysis.measure.composites.alternatives import Alternatives, design_of
from dj_analysis.measure.composites.choices import Choices
from dj_analysis.measure.composites.composite import composite
from dj_analysis.measure.composites.index_draws import drawn_weights, ranks_of
from dj_analysis.measure.composites.index_input import model_of, read_values
from dj_analysis.measure.composites.robustness import Robustness, robustness, sobol_shares
from dj_analysis.measure.survey import Indicators
from dj_analysis.spec import reasons
from dj_analysis.spec.specification import Specification
from dj_analysis.spec.tree import Node, Tree
from dj_analysis.spec.units import Unit, Units

NAN = float("nan")
RANKS = ["rank", "rank_median", "rank_low", "rank_high"]
CLOSE = {"rtol": 0, "atol": 1e-8}


def flat(weights: list[float]) -> Tree:
    """One node over leaves a, b, … on 0-100."""
    leaves = (Node(code, "T", weight=w, minimum=0, maximum=100) for code, w in zip("abcdefgh", weights, strict=False))
    return Tree((Node("T", role="index"), *leaves), about="units")


#: Two pillars and a leaf beside them; unequal weights, ranges and directions.
DEEP = Tree((
    Node("T", role="index"),
    Node("P", "T", role="dimension", weight=2), Node("Q", "T", role="dimension", weight=1),
    Node("a", "P", minimum=0, maximum=100), Node("b", "P", weight=3, minimum=0, maximum=200),
    Node("c", "P", direction=-1, minimum=-50, maximum=50),
    Node("d", "Q", minimum=0, maximum=100), Node("e", "Q", direction=-1, minimum=0, maximum=10),
    Node("f", "T", weight=0.5, minimum=0, maximum=1),
), about="units")  # fmt: skip


def deep(units: int, seed: int, missing: float = 0.0) -> pd.DataFrame:
    """Values of units on DEEP; a share of the cells is missing."""
    rng = np.random.default_rng(seed)
    low = np.array([leaf.minimum for leaf in DEEP.leaves])
    high = np.array([leaf.maximum for leaf in DEEP.leaves])
    values = low + (high - low) * rng.beta(2, 2, (units, 6))
    values[rng.random(values.shape) < missing] = NAN
    frame = pd.DataFrame(values, columns=[leaf.code for leaf in DEEP.leaves])
    frame.insert(0, "unit", [f"U{i:03}" for i in range(units)])
    return frame


def frame_of(**units: list[float]) -> pd.DataFrame:
    values = pd.DataFrame(list(units.values()), columns=list("abcdefgh")[: len(next(iter(units.values())))])
    return values.assign(unit=list(units))


def within(share: float, truth: float, trials: int) -> bool:
    low, high = stats.binom.interval(0.99, trials, truth)
    return low <= share * trials <= high


def row_of(found: Robustness, unit: str) -> pd.Series:
    return found.table.set_index("unit").loc[unit]


# By hand.


def test_nothing_left_open_gives_the_declared_ranks_alone():
    frame = frame_of(A=[80, 60], B=[70, 70], C=[20, 90], D=[10, 10])
    found = robustness(frame, 50, choices=Alternatives.fixed(), tree=flat([1, 1]))
    assert found.table["score"].tolist() == [70, 70, 55, 10]
    for name in RANKS:
        assert found.table[name].tolist() == [1, 1, 3, 4]
    assert found.table["p_top"].tolist() == [1, 1, 1, 0]
    assert (found.table["top"] == 3).all()
    assert found.shares.table["first"].isna().all()
    assert set(found.shares.table["reason"]) == {"no_choice_moves_rank"}


@pytest.mark.parametrize(("weights", "declared"), [([1, 1], 0.5), ([3, 2], 0.6)])
def test_dirichlet_weights_turn_two_units_as_often_as_beta_says(weights, declared):
    # A is first where its leaf has more than half of the weight: Beta(100·p, 100·(1−p)) above .5.
    choices = Alternatives(normaliser=(), aggregator=())
    found = robustness(frame_of(A=[100, 0], B=[0, 100]), 4000, 1, choices, tree=flat(weights), top=1, shares=False)
    truth = stats.beta.sf(0.5, 100 * declared, 100 * (1 - declared))
    assert within(row_of(found, "A")["p_top"], truth, 4000)
    assert found.table["score"].tolist() == pytest.approx([100 * declared, 100 - 100 * declared])


def test_uniform_weights_stay_within_their_spread():
    branches = model(frame_of(A=[1, 2, 3]), flat([5, 3, 2])).branches
    (drawn,) = drawn_weights(branches, "uniform", 0.25, 5000, np.random.default_rng(0))
    raw = np.array([5, 3, 2]) / 10
    assert drawn.sum(axis=1) == pytest.approx(np.ones(5000))
    lowest, highest = 0.75 * raw / (0.75 * raw + 1.25 * (1 - raw)), 1.25 * raw / (1.25 * raw + 0.75 * (1 - raw))
    assert (drawn >= lowest).all()
    assert (drawn <= highest).all()
    assert (drawn.min(axis=0) - lowest < 0.02).all()


def test_dirichlet_weights_have_the_declared_mean_and_spread_and_zero_stays_zero():
    branches = model(frame_of(A=[1, 2, 3]), flat([3, 1, 0])).branches
    (drawn,) = drawn_weights(branches, "dirichlet", 100, 20_000, np.random.default_rng(0))
    np.testing.assert_allclose(drawn.mean(axis=0), [0.75, 0.25, 0], atol=0.002)
    np.testing.assert_allclose(drawn[:, :2].std(axis=0), np.sqrt(0.75 * 0.25 / 101), rtol=0.03)
    assert (drawn[:, 2] == 0).all()


def test_ranks_share_the_best_place():
    scores = np.array([[3.0, 5, 5, 1], [2, 2, 2, 2], [1, 2, 3, 4]])
    assert ranks_of(scores).tolist() == [[3, 1, 1, 4], [1, 1, 1, 1], [4, 3, 2, 1]]
    rng = np.random.default_rng(0)
    many = rng.integers(0, 9, (40, 30)).astype(float)
    np.testing.assert_array_equal(ranks_of(many), stats.rankdata(-many, method="min", axis=1))


def test_range_counts_the_draws_on_either_side():
    # With weight w ~ U on the first leaf (spread 1: w₁/(w₁+w₂) of two uniforms), A is first in half of the draws.
    choices = Alternatives(weights="uniform", spread=1, normaliser=(), aggregator=())
    found = robustness(frame_of(A=[100, 0], B=[0, 100], C=[40, 40]), 2000, 3, choices, tree=flat([1, 1]), top=1)
    assert row_of(found, "A")[["rank_low", "rank_high"]].tolist() == [1, 3]
    # C is never first, for one of the others has 50 at least; it is second where the other has under 40.
    assert row_of(found, "C")["p_top"] == 0
    assert row_of(found, "C")["rank_median"] == 2


# Every draw against the steps of composite().


def model(frame: pd.DataFrame, tree: Tree, base: Choices | None = None, groups: str | None = None):
    base = base or Choices()
    data, tree = read_values(frame, tree, base, None, groups)
    return model_of(data, tree, "T", base, 1.0, of_points=False)


def reweighted(tree: Tree, branches, weights: list[np.ndarray], draw: int) -> Tree:
    """The same tree with the weights of one draw."""
    given = {}
    places = [leaf.code for leaf in tree.leaves] + [branch.code for branch in branches]
    for branch, drawn in zip(branches, weights, strict=True):
        given |= {places[child]: float(w) for child, w in zip(branch.children, drawn[draw], strict=True)}
    return replace(tree, nodes=tuple(replace(node, weight=given.get(node.code, node.weight)) for node in tree.nodes))


BASES = {
    "plain": Choices(),
    "min_max, geometric": Choices(normaliser="min_max", aggregator="geometric", floor=1),
    "imputed, z": Choices(normaliser="z", impute="mean", min_share=0.2),
    "groups, rank": Choices(normaliser="rank", impute="group_mean", min_share=0.2),
    "nothing given away": Choices(reweight=False, normaliser="percentile"),
    "winsorised, harmonic": Choices(treat="winsorise", normaliser="min_max", aggregator="harmonic", floor=5),
    "cut": Choices(normaliser="distance_to_target", targets={"a": 60.0}, cut=True),
}


@pytest.mark.parametrize("missing", [0.0, 0.15])
@pytest.mark.parametrize("name", list(BASES))
def test_every_draw_equals_the_composite_with_those_weights(name, missing):
    frame, base = deep(40, 5, missing).assign(kind=["x", "y"] * 20), BASES[name]
    groups = "kind" if base.impute == "group_mean" else None
    made = model(frame, DEEP, base, groups)
    weights = drawn_weights(made.branches, "dirichlet", 20, 3, np.random.default_rng(1))
    way = design_of(made, Alternatives.fixed(), 1, 0).ways[0]
    scores = made.scores(way, weights)
    for draw in range(3):
        expected = composite(frame, reweighted(DEEP, made.branches, weights, draw), base, groups=groups).wide()["T"]
        np.testing.assert_allclose(scores[draw], expected, **CLOSE)
    assert np.isfinite(scores[0]).sum() > 5
    assert missing == 0 or name in ("imputed, z", "groups, rank") or np.isnan(scores[0]).any()


def test_declared_scores_are_those_of_the_composite_and_ranks_follow():
    frame = deep(30, 6, 0.1)
    found = robustness(frame, 50, tree=DEEP)
    expected = composite(frame, DEEP).wide()["T"]
    np.testing.assert_allclose(found.table["score"], expected, **CLOSE)
    np.testing.assert_array_equal(found.table["rank"], expected.rank(ascending=False, method="min"))
    gone = found.table["score"].isna()
    assert gone.any()
    assert set(found.table.loc[gone, "reason"]) == {reasons.TOO_FEW_TO_JUDGE}
    assert found.table.loc[gone, [*RANKS, "p_top"]].isna().all(axis=None)
    assert (found.table.loc[~gone, "reason"] == "").all()


def test_a_researchers_own_functions_take_the_same_place():
    def middling(values, weights, *, reweight=True):
        return np.nanmedian(values, axis=1)

    frame = deep(12, 7)
    own = robustness(
        frame, 20, choices=Alternatives.fixed(), tree=DEEP, base=Choices(aggregator=middling), shares=False
    )
    expected = composite(frame, DEEP, Choices(aggregator=middling)).wide()["T"]
    np.testing.assert_allclose(own.table["score"], expected, **CLOSE)
    left_open = Alternatives(weights="none", normaliser=(), aggregator=(middling,))
    mixed = robustness(frame, 400, choices=left_open, tree=DEEP)
    plain = robustness(frame, 20, choices=Alternatives.fixed(), tree=DEEP, shares=False)
    both = np.sort(np.column_stack([own.table["rank"], plain.table["rank"]]), axis=1)
    np.testing.assert_array_equal(mixed.table[["rank_low", "rank_high"]], both)
    assert mixed.shares.table.set_index("factor").loc["aggregator", "first"] == pytest.approx(1, abs=0.01)


@pytest.mark.parametrize("gaps", [0.0, 0.1])
def test_the_weight_of_a_constant_indicator_goes_to_its_siblings(gaps):
    frame = deep(20, 8, gaps).assign(a=50.0)
    found = robustness(
        frame, 20, choices=Alternatives.fixed(), tree=DEEP, base=Choices(normaliser="min_max"), shares=False
    )
    np.testing.assert_allclose(
        found.table["score"], composite(frame, DEEP, Choices(normaliser="min_max")).wide()["T"], **CLOSE
    )


def test_a_constant_indicator_without_siblings_moves_nobody():
    frame = deep(20, 8).assign(f=0.5)  # right below the top
    pillar = deep(20, 8).assign(d=3.0, e=4.0)  # the whole of Q
    for values in (frame, pillar):
        choices = Alternatives(weights="none", aggregator=(), normaliser=())
        found = robustness(values, 20, choices=choices, tree=DEEP, base=Choices(normaliser="min_max"), shares=False)
        expected = composite(values, DEEP, Choices(normaliser="min_max", min_share=0)).wide()["T"]
        np.testing.assert_array_equal(found.table["rank"], expected.rank(ascending=False, method="min"))
    mixed = robustness(pillar, 100, tree=DEEP)
    assert mixed.table["rank_low"].notna().all()


def test_a_unit_without_a_score_under_an_open_choice_is_not_ranked():
    # Without its answers on b and c, U000 has nothing in P that varies once a is the same for all.
    tree = replace(DEEP, nodes=tuple(replace(n, min_share=0.3) if n.code == "P" else n for n in DEEP.nodes))
    frame = deep(6, 23).assign(a=50.0)
    frame.loc[0, ["b", "c"]] = NAN
    choices = Alternatives(weights="none", normaliser=("min_max",), aggregator=(), impute=())
    found = robustness(frame, 50, choices=choices, tree=tree)
    row = row_of(found, "U000")
    assert np.isfinite(row["score"])
    assert row[[*RANKS, "p_top"]].isna().all()
    assert row["reason"] == "no_score_under_some_choices"
    assert sorted(found.table["rank"].dropna()) == [1, 2, 3, 4, 5]


# Three ways in.


def indicators(frame: pd.DataFrame, tree: Tree, n: dict[str, float] | None = None) -> Indicators:
    """Released values of branches of one company."""
    units = Units(tuple(Unit(unit, level="branch") for unit in frame["unit"]))
    values = frame.melt("unit", var_name="code").assign(period="2026-09", n=NAN, se=NAN, reason="")
    values["n"] = values["unit"].map(n or {}).astype("float64")
    values["reason"] = np.where(values["value"].isna(), reasons.MISSING_VALUE, "")
    return Indicators(values, Specification(units=units, indicators=tree), "2026-09")


def test_scores_indicators_and_frames_give_the_same():
    frame = deep(25, 9, 0.05)
    data = indicators(frame, DEEP)
    base = Choices(targets={"b": 150.0, "c": -20.0})
    choices = Alternatives(normaliser=("min_max", "z", "rank", "percentile", "distance_to_target"))
    found = [
        robustness(marks, 200, 4, choices, tree=tree, base=base).table
        for marks, tree in ((dj.score(data), None), (data, None), (frame, DEEP))
    ]
    pd.testing.assert_frame_equal(found[0], found[1], atol=1e-8)
    assert (found[0]["level"].unique().tolist(), found[0]["period"].unique().tolist()) == (["branch"], ["2026-09"])
    columns = ["unit", "score", *RANKS, "p_top", "reason"]
    pd.testing.assert_frame_equal(found[1][columns], found[2][columns], atol=1e-8)


def test_declared_scores_are_those_of_score():
    marks = dj.score(indicators(deep(25, 9, 0.05), DEEP))
    found = robustness(marks, 30, shares=False)
    rows = marks.table[(marks.table["code"] == "T") & (marks.table["level"] == "branch")].set_index("unit")
    np.testing.assert_allclose(found.table["score"], rows.loc[found.table["unit"], "score"], **CLOSE)


def test_a_pillar_can_be_ranked_by_itself():
    frame = deep(15, 10)
    found = robustness(frame, 30, choices=Alternatives.fixed(), tree=DEEP, code="Q", shares=False)
    np.testing.assert_allclose(found.table["score"], composite(frame, DEEP).wide()["Q"], **CLOSE)


# Properties.


def test_the_order_of_units_does_not_matter():
    frame = deep(30, 11, 0.1)
    one = robustness(frame, 200, 2, tree=DEEP)
    other = robustness(frame.sample(frac=1, random_state=5), 200, 2, tree=DEEP)
    pd.testing.assert_frame_equal(one.table, other.table.sort_values("unit", ignore_index=True))
    pd.testing.assert_frame_equal(one.shares.table, other.shares.table, atol=1e-9)


def test_the_same_seed_gives_the_same_numbers_and_another_others():
    frame = deep(30, 12)
    tables = [robustness(frame, 200, seed, tree=DEEP, shares=False).table for seed in (1, 1, 2)]
    pd.testing.assert_frame_equal(tables[0], tables[1])
    assert not tables[0].equals(tables[2])


def test_weights_scale_freely():
    frame = deep(30, 13)
    heavier = replace(DEEP, nodes=tuple(replace(n, weight=n.weight * 7) if n.parent == "P" else n for n in DEEP.nodes))
    one, other = robustness(frame, 200, tree=DEEP), robustness(frame, 200, tree=heavier)
    pd.testing.assert_frame_equal(one.table, other.table, atol=1e-8)


def test_small_blocks_give_the_same(monkeypatch):
    frame = deep(30, 14, 0.1)
    whole = robustness(frame, 150, tree=DEEP)
    monkeypatch.setattr(index_draws, "CELLS", 200)
    pieces = robustness(frame, 150, tree=DEEP)
    pd.testing.assert_frame_equal(whole.table, pieces.table)


@pytest.mark.parametrize("weights", ["dirichlet", "uniform"])
def test_a_dominated_unit_is_never_above_the_one_that_dominates_it(weights):
    frame = deep(20, 15)
    best, worst = frame.iloc[[3]].copy(), frame.iloc[[3]].copy()
    for leaf in DEEP.leaves:  # a little better, or as good, everywhere
        best[leaf.code] = np.clip(
            best[leaf.code] + leaf.direction * 0.01 * (leaf.maximum - leaf.minimum), leaf.minimum, leaf.maximum
        )
    frame = pd.concat([frame, best.assign(unit="better"), worst.assign(unit="same")], ignore_index=True)
    made = model(frame, DEEP)
    chosen = Alternatives(weights, concentration=2, spread=1, aggregator=())
    design = design_of(made, chosen, 500, 1)
    rng = np.random.default_rng(2)
    for _, scores in made.blocks(design.ways, rng.integers(0, len(design.ways), 500), design.weights, np.arange(500)):
        ranks = ranks_of(scores)
        assert (ranks[:, 20] < ranks[:, 3]).all()
        assert (ranks[:, 21] == ranks[:, 3]).all()


def test_planted_choices_do_move_ranks():
    found = robustness(deep(30, 16), 300, tree=DEEP)
    assert (found.table["rank_low"] < found.table["rank_high"]).mean() > 0.8
    assert (found.table["rank_low"] <= found.table["rank_median"]).all()
    assert (found.table["rank_median"] <= found.table["rank_high"]).all()
    assert found.table["p_top"].sum() == pytest.approx(3)


def test_when_all_leaves_are_one_variable_no_choice_moves_any_rank():
    rng = np.random.default_rng(17)
    x = rng.choice(np.linspace(0, 100, 30), 60)  # ties too
    frame = pd.DataFrame(dict.fromkeys("abcd", x)).assign(unit=[f"U{i}" for i in range(60)])
    choices = Alternatives(
        concentration=2, normaliser=("min_max", "z", "rank", "percentile"), aggregator=("geometric", "harmonic")
    )
    found = robustness(frame, 500, 1, choices, tree=flat([1, 2, 3, 4]))
    for name in RANKS:
        np.testing.assert_array_equal(found.table[name], stats.rankdata(-x, method="min"))
    shares = found.shares.table
    assert shares["first"].isna().all()
    assert set(shares["reason"]) == {"no_choice_moves_rank"}
    assert shares["shift"].iloc[0] == 0


def test_no_column_of_the_score_holds_a_range():
    assert not {"low", "high", "se"} & set(robustness(deep(5, 1), 20, tree=DEEP, shares=False).table)


# Shares.


def test_shares_of_a_sum_are_the_parts_of_its_variance():
    # 3·x₁ + x₂ + 0·x₃: variances 9 : 1 : 0, no interaction.
    table = sobol_shares(lambda x: 3 * x[0] + x[1], ["one", "two", "three"], n=1024)
    assert table["factor"].tolist() == ["one", "two", "three"]
    np.testing.assert_allclose(table[["first", "total"]], [[0.9, 0.9], [0.1, 0.1], [0, 0]], atol=0.01)


def test_shares_of_a_product_are_interaction_alone():
    # (x₁−½)(x₂−½): nothing by one alone, everything together.
    table = sobol_shares(lambda x: (x[0] - 0.5) * (x[1] - 0.5), ["one", "two"], n=4096)
    np.testing.assert_allclose(table[["first", "total"]], [[0, 1], [0, 1]], atol=0.05)


def test_a_function_that_does_not_vary_has_no_shares():
    table = sobol_shares(lambda x: np.full(x.shape[1], 2.0), ["one", "two"], n=64)
    assert table[["first", "total"]].isna().all(axis=None)


def exact_shares(cells: np.ndarray) -> tuple[list[float], list[float]]:
    """First and total shares of a full table of a function's values, every cell as likely."""
    axes = range(cells.ndim)
    first = [cells.mean(axis=tuple(a for a in axes if a != i)).var() / cells.var() for i in axes]
    total = [cells.var(axis=i).mean() / cells.var() for i in axes]
    return first, total


def test_shares_of_choices_equal_those_of_the_full_table_of_choices():
    frame = deep(40, 18, 0.05)
    chosen = Alternatives(normaliser=("z", "rank"), aggregator=("geometric",), impute=(None, "mean"))
    table = robustness(frame, 1024, 3, chosen, tree=DEEP).shares.table.set_index("factor")
    assert table["alternatives"].to_dict() == {"weights": 1024, "impute": 2, "normaliser": 3, "aggregator": 2}
    made = model(frame, DEEP)
    design = design_of(made, chosen, 1024, 3)
    way, sets = (grid.ravel() for grid in np.meshgrid(np.arange(12), np.arange(1024), indexing="ij"))
    shift = np.empty(way.size)
    declared = None
    for scores in [made.scores(design.ways[0], [branch.weights[None] for branch in made.branches])]:
        ranked = np.isfinite(scores[0])
        declared = ranks_of(scores[:, ranked])[0]
    for part, scores in made.blocks(design.ways, way, design.weights, sets):
        shift[part] = np.abs(ranks_of(scores[:, ranked]) - declared).mean(axis=1)
    cells = shift.reshape(2, 3, 2, 1024)  # impute, normaliser, aggregator, weights
    first, total = exact_shares(cells)
    names = ["impute", "normaliser", "aggregator", "weights"]
    np.testing.assert_allclose(table.loc[names, "first"], first, atol=0.06)
    np.testing.assert_allclose(table.loc[names, "total"], total, atol=0.06)
    assert table["shift"].iloc[0] == pytest.approx(cells.mean(), rel=0.03)
    assert max(first) > 0.15


def test_a_choice_with_one_way_has_no_share():
    table = robustness(deep(20, 19), 256, choices=Alternatives(aggregator=()), tree=DEEP).shares.table.set_index(
        "factor"
    )
    assert table.loc[["aggregator", "impute"], "first"].isna().all()
    assert table.loc[["weights", "normaliser"], "first"].notna().all()
    assert table.loc["aggregator", "reason"] == "no_choice_moves_rank"
    assert table.loc["weights", "reason"] == ""


# What if.


def test_raising_one_leaf_by_hand():
    found = robustness(frame_of(A=[80, 60], B=[70, 65], C=[20, 90]), 20, tree=flat([1, 3]), shares=False)
    # A (80 + 180)/4 = 65, B (70 + 195)/4 = 66.25, C (20 + 270)/4 = 72.5; A's b raised by 10: 72.5 = C's.
    row = found.what_if("A", "b", 10).table.iloc[0]
    assert row[["score_before", "score", "rank_before", "rank"]].tolist() == [65, 72.5, 3, 1]
    assert row[["value_before", "value", "by"]].tolist() == [60, 70, 10]
    assert found.table.loc[0, "score"] == 65
    pd.testing.assert_frame_equal(found.where(unit="B").what_if("A", "b", 10).table, found.what_if("A", "b", 10).table)


def test_what_if_is_asked_in_the_leafs_own_unit():
    frame = deep(10, 20)
    data = indicators(frame, DEEP)
    raw, points = robustness(data, 20, shares=False), robustness(dj.score(data), 20, shares=False)
    for code, by in (("b", 12.0), ("c", -3.0), ("e", 0.4)):
        one, other = (found.what_if("U004", code, by).table.iloc[0] for found in (raw, points))
        assert (one["score"], one["rank"]) == (pytest.approx(other["score"], abs=1e-8), other["rank"])
        changed = frame.copy()
        changed.loc[4, code] += by
        assert one["score"] == pytest.approx(composite(changed, DEEP).wide()["T"][4], abs=1e-8)
        assert (one["score"] > one["score_before"]) == (by * DEEP[code].direction > 0)


def test_what_if_holds_what_was_learned():
    # Under min-max the best of leaf a is 80 (A). Raising B from 60 to 90 goes beyond it; the scale stays: 100·(90−20)/60.
    frame = frame_of(A=[80, 0], B=[60, 0], C=[20, 100])
    found = robustness(frame, 20, tree=flat([1, 1]), base=Choices(normaliser="min_max"), shares=False)
    assert found.what_if("B", "a", 30).table["score"][0] == pytest.approx((100 * 70 / 60 + 0) / 2, abs=1e-8)


@pytest.mark.parametrize(
    ("unit", "code", "by", "message"),
    [("Z", "a", 1, "Z"), ("A", "z", 1, "z"), ("A", "a", 30, "110 超出 0–100"), ("B", "b", 1, "无数据")],
)
def test_what_if_refuses_what_cannot_be(unit, code, by, message):
    found = robustness(frame_of(A=[80, 60], B=[70, NAN], C=[1, 2]), 20, tree=flat([1, 1]), shares=False)
    with pytest.raises(UsageError, match=message):
        found.what_if(unit, code, by)


# What is refused, what leaves.


def test_one_unit_has_no_rank():
    found = robustness(frame_of(A=[80, 60], B=[NAN, NAN]), 20, tree=flat([1, 1]))
    assert found.table[RANKS].isna().all(axis=None)
    assert found.table["reason"].tolist() == ["fewer_than_two_units_no", reasons.MISSING_VALUE]
    assert found.shares.table["first"].isna().all()


def test_values_beyond_the_range_and_missing_ranges_are_told():
    with pytest.raises(DataError, match="out_of_range"):
        robustness(frame_of(A=[180, 60], B=[70, 65]), 20, tree=flat([1, 1]))
    bare = replace(flat([1, 1]), nodes=(Node("T", role="index"), Node("a", "T"), Node("b", "T")))
    frame = frame_of(A=[180, 60], B=[70, 65], C=[150, 64])
    with pytest.raises(DataError, match="range_goalposts"):
        robustness(frame, 20, tree=bare)
    found = robustness(frame, 20, tree=bare, base=Choices(normaliser="min_max"), shares=False)
    assert found.table["rank"].tolist() == [2, 2, 1]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda f: robustness(f, 0, tree=DEEP), "draws = 0"),
        (lambda f: robustness(f, 20), "缺指标树"),
        (lambda f: robustness(f, 20, tree=DEEP, code="a"), "节点/node"),
        (lambda f: robustness(f, 20, tree=DEEP, base=Choices(zeros="limit")), "floor"),
        (lambda f: robustness(f.assign(a=NAN), 20, choices=Alternatives(impute=("group_mean",)), tree=DEEP), "groups"),
        (lambda f: robustness(dj.score(indicators(f, DEEP)), 20, level="city"), "city"),
        (lambda f: robustness(dj.score(indicators(f, DEEP)), 20, base=Choices(denominator={"a": "b"})), "原始数值"),
        (lambda f: Alternatives(normaliser=("zscore",)), "zscore"),
        (lambda f: Alternatives(aggregator=("mean",)), "mean"),
        (lambda f: Alternatives(weights="normal"), "normal"),
        (lambda f: Alternatives(concentration=0.5), "concentration"),
    ],
)
def test_calls_that_make_no_sense_say_so(call, message):
    with pytest.raises(UsageError, match=message):
        call(deep(8, 21))


def test_surveys_are_refused():
    from small import wave

    with pytest.raises(UsageError, match="支部指标"):
        robustness(dj.score(wave({"A": [50, 60], "B": [70, 80]})), 20)


def test_units_with_few_people_behind_a_leaf_are_hidden():
    frame = deep(8, 22)
    data = indicators(frame, DEEP, {unit: 4.0 if unit == "U003" else 40.0 for unit in frame["unit"]})
    found = robustness(dj.score(data), 50)
    assert row_of(found, "U003")["n"] == 4
    safe = dj.protect(found).table.set_index("unit")
    assert safe.loc["U003", ["score", *RANKS, "p_top"]].isna().all()
    assert safe.loc["U003", "reason"] == reasons.SMALL_GROUP
    assert safe.drop(index="U003")["score"].notna().all()
    assert dj.protect(found).part("shares").table["first"].notna().any()
    assert np.isnan(dj.protect(found.what_if("U003", "a", 0.1)).table["score"][0])
