"""Weights by hand, their properties, their year, and the influence parts really have.

Tolerances: by hand 1e-9; sums taken by an engine against the same from a matrix 1e-10.
"""

from __future__ import annotations

import json
from dataclasses import replace

import duckdb
import numpy as np
import pandas as pd
import polars as pl
import pytest
from small import codebook_of, counted, plain_table

import dj_analysis as dj
from dj_analysis.errors import DataError, SpecError, UsageError
from dj_analysis.measure.composites.ahp import CONSISTENT, ahp, aij, consistency, implied_comparison
from dj_analysis.measure.composites.chaining import NO_OVERLAP, chain_link
from dj_analysis.measure.composites.choices import Choices
from dj_analysis.measure.composites.comoments import comoments
from dj_analysis.measure.composites.composite import CONSTANT, composite
from dj_analysis.measure.composites.effective import effective_weights
from dj_analysis.measure.composites.weight_methods import METHODS, critic, entropy, pca
from dj_analysis.measure.composites.weighting import ALIKE, weigh
from dj_analysis.measure.composites.weights import column_shares, path_weights, read_weights
from dj_analysis.measure.scoring import score_frame
from dj_analysis.measure.survey import Indicators
from dj_analysis.result import Result
from dj_analysis.spec import reasons
from dj_analysis.spec.specification import Specification
from dj_analysis.spec.tree import Node, Tree
from dj_analysis.spec.units import Unit, Units

EXACT = 1e-9
SUMS = 1e-10
NAN = float("nan")

TREE = Tree(
    (
        Node("I", role="index"), Node("A", "I", role="dimension", weight=3), Node("B", "I", role="dimension"),
        *(Node(f"a{j}", "A", weight=j, minimum=0, maximum=100, direction=-1 if j == 2 else 1) for j in (1, 2, 3)),
        *(Node(f"b{j}", "B", minimum=0, maximum=100) for j in (1, 2)),
    ),
    about="units",
)  # fmt: skip
LEAVES = [leaf.code for leaf in TREE.leaves]


def units(n: int = 60, seed: int = 1) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    common = rng.normal(size=(n, 1))
    values = np.clip(50 + 12 * (0.6 * common + rng.normal(size=(n, 5)) * [1, 0.5, 1.5, 1, 0.2]), 1, 99)
    return pd.DataFrame(values, columns=LEAVES).assign(unit=[f"u{i}" for i in range(n)])


# By hand.


def test_entropy_by_hand():
    # x: shares ¼ ¾ → H = 0.5623 nats, ln 2 = 0.6931; y: equal shares, no information.
    table = weigh(pd.DataFrame({"x": [1.0, 3, 1, 3], "y": [2.0, 2, 2, 2], "z": [0.0, 0, 0, 5]}), "entropy").table
    information = [1 - (2 * 0.125 * np.log(8) + 2 * 0.375 * np.log(8 / 3)) / np.log(4), 0, 1]
    np.testing.assert_allclose(table["weight"], np.array(information) / sum(information), atol=EXACT)
    assert table["reason"].tolist() == ["", CONSTANT, ""]


def test_critic_by_hand():
    frame = pd.DataFrame({"x": [0.0, 1, 2, 3], "y": [3.0, 2, 1, 0], "z": [0.0, 10, 0, 10]})
    sd = [np.sqrt(5 / 4) / 3, np.sqrt(5 / 4) / 3, 0.5]
    r = 1 / np.sqrt(5)  # x and z; −r for y and z; −1 for x and y
    contents = [sd[0] * (2 + 1 - r), sd[1] * (2 + 1 + r), sd[2] * (1 - r + 1 + r)]
    np.testing.assert_allclose(weigh(frame, "critic").table["weight"], np.array(contents) / sum(contents), atol=EXACT)


def test_pca_by_hand():
    # Two pairs of equal columns, the pairs uncorrelated: eigenvalues 2, 2, 0, 0; every communality is 1.
    x, y = np.array([1.0, 1, -1, -1]), np.array([1.0, -1, 1, -1])
    frame = pd.DataFrame({"a": x, "b": -x, "c": y, "d": y})
    np.testing.assert_allclose(weigh(frame, "pca").table["weight"], 0.25, atol=EXACT)
    # Three equal columns beside an unrelated one: one component above 1, which the fourth has no part in.
    frame = pd.DataFrame({"a": x, "b": x, "c": x, "d": y})
    np.testing.assert_allclose(weigh(frame, "pca").table["weight"], [1 / 3, 1 / 3, 1 / 3, 0], atol=EXACT)


def test_combined_by_hand_with_its_formula():
    frame = pd.DataFrame({"a": [1.0, 2, 3], "b": [3.0, 1, 2]})
    first = weigh(frame, "direct", given={"a": 3, "b": 1})
    second = weigh(frame, "direct", given={"a": 1, "b": 4})
    linear = weigh(frame, "combined", of=(first, second), share=0.25).table
    np.testing.assert_allclose(linear["weight"], [0.25 * 0.75 + 0.75 * 0.2, 0.25 * 0.25 + 0.75 * 0.8], atol=EXACT)
    assert linear["method"][0] == "combined: 0.25*direct + 0.75*direct"
    geometric = weigh(frame, "combined", of=(first, second), how="geometric").table
    raw = np.sqrt([0.75 * 0.2, 0.25 * 0.8])
    np.testing.assert_allclose(geometric["weight"], raw / raw.sum(), atol=EXACT)
    assert geometric["method"][0] == "combined: direct^0.5 * direct^0.5 / sum"


def test_declared_weights_need_no_data():
    equal, direct = (weigh(TREE, method).table.set_index("code")["weight"] for method in ("equal", "direct"))
    assert equal.to_dict() == pytest.approx(
        {"A": 0.5, "B": 0.5, "a1": 1 / 3, "a2": 1 / 3, "a3": 1 / 3, "b1": 0.5, "b2": 0.5}
    )
    assert direct.to_dict() == pytest.approx(
        {"A": 0.75, "B": 0.25, "a1": 1 / 6, "a2": 1 / 3, "a3": 0.5, "b1": 0.5, "b2": 0.5}
    )
    assert path_weights(TREE, "I") == pytest.approx({"a1": 0.125, "a2": 0.25, "a3": 0.375, "b1": 0.125, "b2": 0.125})
    with pytest.raises(UsageError, match="it needs data"):
        weigh(TREE, "critic")


# Properties.


@pytest.mark.parametrize("method", METHODS)
def test_weights_add_up_whatever_the_order_and_the_unit_of_measurement(method: str):
    frame = units()
    first = weigh(frame, method, tree=TREE).table
    assert first.groupby("parent")["weight"].sum().to_dict() == pytest.approx({"A": 1, "B": 1, "I": 1})
    assert (first["cases"] == 60).all()
    assert first["n"].isna().all()
    again = weigh(frame.sample(frac=1, random_state=2), method, tree=TREE).table
    pd.testing.assert_frame_equal(again, first, rtol=1e-10)
    wider = Tree(
        tuple(replace(n, minimum=n.minimum * 7, maximum=n.maximum * 7, weight=n.weight * 5) for n in TREE), "units"
    )
    scaled = frame.assign(**{code: frame[code] * 7 for code in LEAVES})
    np.testing.assert_allclose(weigh(scaled, method, tree=wider).table["weight"], first["weight"], rtol=1e-9)


def test_a_frame_weighs_every_family_by_its_own_moments():
    frame = units()
    table = weigh(frame, "critic", tree=TREE).table
    high_is_good = frame.assign(a2=100 - frame["a2"])
    expected = column_shares(critic(comoments(high_is_good[["a1", "a2", "a3"]].to_numpy())))
    np.testing.assert_allclose(table.loc[table["parent"] == "A", "weight"], expected, rtol=1e-10)
    scores = score_frame(frame, {"full": TREE})[["full__A", "full__B"]]
    np.testing.assert_allclose(
        table.loc[table["parent"] == "I", "weight"], column_shares(critic(comoments(scores))), rtol=1e-10
    )


@pytest.mark.parametrize("method", [critic, entropy, pca])
def test_weights_of_rows_stand_for_copies_and_their_scale_is_free(method):
    rng = np.random.default_rng(4)
    values, copies = rng.uniform(1, 99, (40, 4)), rng.integers(1, 5, 40)
    whole = column_shares(method(comoments(np.repeat(values, copies, axis=0))))
    for scale in (1, 0.01):
        np.testing.assert_allclose(column_shares(method(comoments(values, copies * scale))), whole, rtol=1e-9)


def test_equal_indicators_get_equal_weights_and_noise_no_preference():
    rng = np.random.default_rng(11)
    for method in METHODS:
        found = np.array([column_shares(METHODS[method](comoments(rng.uniform(0, 100, (200, 5))))) for _ in range(300)])
        # Nothing distinguishes the five: each weight is 0.2 on average, within four standard errors.
        assert (np.abs(found.mean(axis=0) - 0.2) < 4 * found.std(axis=0) / np.sqrt(300)).all(), method
    x = rng.uniform(0, 100, 50)
    table = weigh(pd.DataFrame({"a": x, "b": x + 3}), "critic").table
    assert table["weight"].isna().all()
    assert table["reason"].tolist() == [ALIKE] * 2


def test_too_few_rows_and_gaps_are_said():
    frame = units(4)
    frame.loc[:1, "a1"] = NAN
    table = weigh(frame, "critic", tree=TREE).table.set_index("code")
    assert table.loc[["a1", "a2", "a3"], "weight"].isna().all()
    assert table.loc["a1", ["cases", "reason"]].tolist() == [2, reasons.TOO_FEW_TO_JUDGE]
    assert table.loc[["b1", "b2"], "weight"].sum() == pytest.approx(1)
    nothing = weigh(units().assign(b1=NAN), "critic", tree=TREE).table.set_index("code")
    assert nothing.loc["b1", "reason"] == reasons.MISSING_VALUE
    assert nothing.loc["b2", "weight"] == 1


def test_what_cannot_be_weighed_is_refused_in_words():
    frame = pd.DataFrame({"a": [1.0, -2, 3], "b": [1.0, 2, 3]})
    with pytest.raises(DataError, match="a 有负值"):
        weigh(frame, "entropy")
    with pytest.raises(UsageError, match="critic"):
        weigh(frame, "critical")
    with pytest.raises(UsageError, match="two methods"):
        weigh(frame, "combined", of=("critic",))
    with pytest.raises(UsageError, match="weights must be >= 0"):
        weigh(frame, "direct", given={"a": -1})
    with pytest.raises(UsageError, match="c"):
        weigh(frame, "direct", given={"c": 1})
    with pytest.raises(UsageError, match="no number columns"):
        weigh(pd.DataFrame({"unit": ["a"]}))


def test_a_researchers_own_method_fits_the_same_place():
    def spread(moments):
        return moments.high - moments.low

    table = weigh(pd.DataFrame({"a": [1.0, 2, 4], "b": [5.0, 4, 6]}), spread).table
    assert table["weight"].tolist() == pytest.approx([0.6, 0.4])
    assert table["method"].tolist() == ["spread", "spread"]


# People: sums leave the frame, and their weights count.

BOOK = codebook_of(
    plain_table(
        ("INDEX", ""), ("D1", "INDEX"), ("D2", "INDEX"), ("q1", "D1", 1, 1.0, 1, 5), ("q2", "D1", -1, 1.0, 1, 5),
        ("q3", "D1", 1, 1.0, 1, 5), ("q4", "D2", 1, 1.0, 0, 10), ("q5", "D2", 1, 1.0, 0, 10),
    ),
    weight="w",
)  # fmt: skip


def answers(people: int = 300) -> pd.DataFrame:
    rng = np.random.default_rng(6)
    frame = pd.DataFrame({f"q{j}": rng.integers(1, 6, people) for j in (1, 2, 3)}, dtype="float64")
    frame = frame.assign(q4=rng.integers(0, 11, people), q5=rng.integers(0, 11, people)).astype("float64")
    return frame.mask(rng.random(frame.shape) < 0.1).assign(w=rng.uniform(0.5, 2, people), unit="u")


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("engine", ["pandas", "polars", "lazy", "duckdb"])
def test_sums_of_people_equal_the_direct_route_on_any_engine(method: str, engine: str):
    frame = answers()
    survey = dj.read_survey(frame, BOOK, period="2026Q3")
    tree = survey.trees()["anchors"]
    scored = score_frame(frame[["q1", "q2", "q3", "q4", "q5"]], {"anchors": tree})
    leaves = {"q1": (frame["q1"] - 1) * 25, "q2": (5 - frame["q2"]) * 25, "q3": (frame["q3"] - 1) * 25}
    wanted = {
        "D1": np.column_stack(list(leaves.values())),
        "D2": frame[["q4", "q5"]].to_numpy() * 10,
        "INDEX": scored[["anchors__D1", "anchors__D2"]].to_numpy(dtype=float),
    }
    plain = frame[["q1", "q2", "q3", "q4", "q5", "w"]]
    native = {
        "pandas": lambda: plain, "polars": lambda: pl.from_pandas(plain), "lazy": lambda: pl.from_pandas(plain).lazy(),
        "duckdb": lambda: duckdb.from_df(plain),
    }[engine]()  # fmt: skip
    table = weigh(replace(survey, frame=native), method).table
    assert survey.weight == "w"
    for parent, values in wanted.items():
        rows = table[table["parent"] == parent]
        direct = METHODS[method](comoments(values, frame["w"]))
        np.testing.assert_allclose(rows["weight"], column_shares(direct), rtol=SUMS)
        assert (rows["cases"] == (~np.isnan(values).any(axis=1)).sum()).all()
        unweighted = column_shares(METHODS[method](comoments(values)))
        if len(rows) > 2 or method != "pca":  # two columns always share their one correlation equally
            assert np.abs(unweighted - rows["weight"]).max() > 1e-4


def test_weights_from_people_carry_their_number_and_declared_ones_need_none():
    survey = dj.read_survey(answers(), BOOK, period="2026Q3")
    found = weigh(survey, "critic")
    assert (found.about, found.programme, found.period) == ("persons", "survey", "2026Q3")
    assert (found.table["n"] > 200).all()
    assert dj.protect(found).table["weight"].notna().all()
    few = dj.protect(weigh(dj.read_survey(answers(12), BOOK, period="2026Q3"), "critic")).table
    assert few.loc[few["parent"] == "D1", "weight"].isna().all()
    assert weigh(survey, "equal").about == "units"


# Frozen for a year.


def test_weights_are_frozen_written_down_and_read_back():
    frozen = weigh(units(), "critic", tree=TREE, year="2026")
    stored = json.loads(json.dumps(frozen.plain(), allow_nan=False))
    again = read_weights(stored)
    assert (again.year, again.version) == ("2026", frozen.version)
    pd.testing.assert_frame_equal(again.table, frozen.table)
    assert frozen.version != weigh(units(), "critic", tree=TREE, year="2027").version
    stored["weights"][0]["weight"] += 0.01
    with pytest.raises(SpecError, match="changed"):
        read_weights(stored)


def test_frozen_weights_go_on_their_tree_in_their_year():
    frozen = weigh(units(), "critic", tree=TREE, year="2026")
    tree = frozen.on(TREE, "2026Q3")
    assert [node.weight for node in tree.children("A")] == frozen.of("A").tolist()
    assert tree.version != TREE.version
    scores = composite(units(), tree).wide()
    by_hand = 100 - units()["a2"], units()["a1"], units()["a3"]
    w = frozen.of("A")
    np.testing.assert_allclose(scores["A"], w["a2"] * by_hand[0] + w["a1"] * by_hand[1] + w["a3"] * by_hand[2])
    with pytest.raises(UsageError, match="chain_link"):
        frozen.on(TREE, "2027Q1")
    with pytest.raises(SpecError) as raised:
        weigh(pd.DataFrame({"a1": [1.0, 2, 4], "q": [3.0, 1, 2]}), "critic").on(TREE)
    assert set(raised.value.problems.table["rule"]) == {"unknown_code", "missing_sibling"}


# Experts.


def test_ahp_of_a_consistent_matrix_gives_back_its_weights():
    weight = np.array([0.5, 0.3, 0.15, 0.05])
    found = ahp(weight[:, None] / weight[None, :], list("abcd"), parent="P", year="2026")
    table = found.table
    np.testing.assert_allclose(table["weight"], weight, atol=EXACT)
    assert table[["lambda", "ci", "cr"]].iloc[0].tolist() == pytest.approx([4, 0, 0], abs=1e-12)
    assert table["parent"].tolist() == ["P"] * 4
    assert found.year == "2026"
    assert len(found.parts["repair"].table) == 0


def test_ahp_fills_gaps_by_reciprocals_and_takes_two_things():
    assert ahp([[1, 3], [NAN, 1]]).table["weight"].tolist() == pytest.approx([0.75, 0.25])
    assert ahp([[1, 3], [0.33, 1]]).table["cr"].tolist() == [0, 0]


def test_ahp_names_every_cell_that_is_no_judgement():
    with pytest.raises(DataError) as raised:
        ahp([[1, 2, -3], [2, 1, 2], [1 / 3, 0.5, 2]], ["a", "b", "c"])
    problems = raised.value.problems.table
    assert problems["place"].str.split(": ").str[1].tolist() == ["a / b", "a / c", "c"]
    assert problems["rule"].tolist() == ["not_reciprocal", "judgement", "diagonal"]
    with pytest.raises(DataError, match="not_square"):
        ahp([np.eye(2), np.eye(3)])


def test_experts_are_put_together_by_the_geometric_mean():
    first, second = np.array([[1, 4], [1 / 4, 1]]), np.array([[1, 1 / 9], [9, 1]])
    found = ahp({"甲": first, "乙": second}, ["a", "b"])
    ratio = np.sqrt(4 / 9)
    np.testing.assert_allclose(found.table["weight"], [ratio / (1 + ratio), 1 / (1 + ratio)], atol=EXACT)
    assert (found.table["experts"] == 2).all()
    np.testing.assert_allclose(aij([first, second]) * aij([first, second]).T, 1)
    weighted = ahp([first, second], importance=[3, 1]).table["weight"]
    ratio = 4**0.75 * 9**-0.25
    np.testing.assert_allclose(weighted, [ratio / (1 + ratio), 1 / (1 + ratio)], atol=EXACT)
    left = found.parts["leave_one_out"].table.set_index(["expert", "code"])
    assert left.loc[("甲", "a"), ["weight", "difference"]].tolist() == pytest.approx([0.1, 0.1 - 0.4])
    assert left.loc[("乙", "a"), ["weight", "difference"]].tolist() == pytest.approx([0.8, 0.8 - 0.4])


def test_leaving_out_an_expert_who_agrees_changes_nothing():
    weight = np.array([0.5, 0.3, 0.2])
    same = weight[:, None] / weight[None, :]
    table = ahp([same, same, same]).parts["leave_one_out"].table
    assert len(table) == 9
    assert table["difference"].abs().max() < EXACT
    assert len(ahp(same).parts["leave_one_out"].table) == 0


def test_repair_hint_finds_the_one_judgement_that_was_spoiled():
    weight = np.array([8.0, 4, 2, 1, 1])
    spoiled = weight[:, None] / weight[None, :]
    assert implied_comparison(spoiled, 0, 1) == pytest.approx(2)
    spoiled[0, 1], spoiled[1, 0] = 1 / 9, 9
    assert consistency(spoiled)[3] > 0.1
    assert implied_comparison(spoiled, 0, 1) == pytest.approx(2)
    first = ahp(spoiled, list("abcde")).parts["repair"].table.iloc[0]
    assert first[["row", "column", "suggested"]].tolist() == ["a", "b", 2]
    assert first["cr_after"] == pytest.approx(0, abs=1e-12)
    assert first["reason"] == ""
    mild = weight[:, None] / weight[None, :]
    mild[0, 1], mild[1, 0] = 3, 1 / 3
    assert ahp(mild).parts["repair"].table["reason"].tolist() == [CONSISTENT] * 3


def test_order_of_the_things_compared_does_not_matter():
    rng = np.random.default_rng(3)
    upper = np.triu(rng.choice([1 / 5, 1 / 3, 1, 2, 4, 7], (6, 6)), 1)
    matrix = upper + np.eye(6)
    matrix += np.tril(1 / np.where(matrix.T > 0, matrix.T, np.inf), -1)
    order = [3, 0, 5, 1, 4, 2]
    weight, lam, ci, cr = consistency(matrix)
    again = consistency(matrix[np.ix_(order, order)])
    np.testing.assert_allclose(again[0], weight[order], atol=EXACT)
    assert again[1:] == pytest.approx((lam, ci, cr))


def test_random_judgements_are_as_inconsistent_as_saaty_says():
    # Random reciprocal matrices on the scale 1–9: their mean CI is the random index, so the mean CR is near 1. Saaty's table
    # comes from 100–500 matrices a size; later tables differ by up to 6 % (0.58 against 0.52 for three).
    rng = np.random.default_rng(5)
    scale = np.array([*(1 / np.arange(2, 10)), *range(1, 10)])
    for n in (4, 6, 8):
        found = []
        for _ in range(400):
            matrix = np.eye(n)
            rows, columns = np.triu_indices(n, 1)
            matrix[rows, columns] = rng.choice(scale, len(rows))
            matrix[columns, rows] = 1 / matrix[rows, columns]
            found.append(consistency(matrix)[3])
        assert np.mean(found) == pytest.approx(1, abs=0.06)


def test_what_single_experts_said_does_not_leave():
    weight = np.array([0.5, 0.3, 0.2])
    found = dj.protect(ahp([weight[:, None] / weight[None, :]] * 3))
    assert found.table["weight"].notna().all()
    for part in ("experts", "leave_one_out"):
        assert found.part(part).table["weight"].isna().all()


# A change of weights.


def series(periods: list[str], scores: list[float], **keys) -> pd.DataFrame:
    return pd.DataFrame({"period": periods, "score": scores}).assign(**keys)


def test_chain_link_by_hand():
    old = series(["2025Q4", "2026Q1", "2026Q2", "2026Q3", "2026Q4"], [60, 50, 52, 54, 56])
    new = series(["2026Q1", "2026Q2", "2026Q3", "2026Q4", "2027Q1", "2027Q2"], [40, 41, 43, 44, 42, 63])
    table = chain_link(old, new, "2026").table
    assert table["period"].tolist() == ["2025Q4", "2026Q1", "2026Q2", "2026Q3", "2026Q4", "2027Q1", "2027Q2"]
    assert table["score"].tolist() == pytest.approx([60, 50, 52, 54, 56, 42 * 212 / 168, 63 * 212 / 168])
    assert table["basis"].tolist() == ["old"] * 5 + ["new"] * 2
    # Growth after the link is growth under the new weights.
    assert table["score"].iloc[-1] / table["score"].iloc[-2] == pytest.approx(1.5)
    points = chain_link(old, new, "2026", how="difference").table["score"]
    assert points.tolist() == pytest.approx([60, 50, 52, 54, 56, 42 + 11, 63 + 11])
    last = chain_link(old, new, "2026Q4").table
    assert last["link"].tolist() == pytest.approx([1] * 5 + [56 / 44] * 2)


def test_a_change_of_weights_alone_changes_nothing():
    same = series(["2026Q4", "2027Q1"], [50.0, 50.0], unit="u")
    shifted = same.assign(score=same["score"] * 1.3)
    for how in ("ratio", "difference"):
        assert chain_link(same, shifted, "2026Q4", how=how).table["score"].tolist() == pytest.approx([50, 50])


def test_series_are_linked_one_by_one_and_a_missing_overlap_is_said():
    old = pd.concat([series(["2026Q4"], [50], unit="u"), series(["2026Q3"], [70], unit="v")])
    new = pd.concat(
        [series(["2026Q4", "2027Q1"], [40, 44], unit="u"), series(["2026Q4", "2027Q1"], [60, 66], unit="v")]
    )
    table = chain_link(old, new, "2026Q4").table.set_index(["unit", "period"])
    assert table["score"].dropna().to_dict() == pytest.approx(
        {("u", "2026Q4"): 50, ("u", "2027Q1"): 55, ("v", "2026Q3"): 70}
    )
    assert table.loc[("v", "2027Q1"), "reason"] == NO_OVERLAP
    with pytest.raises(UsageError, match="one value a period"):
        chain_link(pd.concat([old, old]), new, "2026Q4")
    with pytest.raises(UsageError, match="period and score"):
        chain_link(old.drop(columns="score"), new, "2026Q4")


def test_linked_series_of_people_hide_what_rests_on_few():
    def result(rows) -> Result:
        table = pd.DataFrame(rows, columns=["period", "unit", "score", "n"]).assign(level="city", reason="")
        return Result(
            table,
            ("period", "level", "unit"),
            ("score", "n"),
            "2027Q1",
            spec=Specification(),
            periods=("2027Q1",),
            basis=counted("2026Q4", "2027Q1"),
        )

    old = result([("2026Q4", "u", 50.0, 30), ("2026Q4", "v", 50.0, 6)])
    new = result(
        [("2026Q4", "u", 40.0, 30), ("2026Q4", "v", 45.0, 6), ("2027Q1", "u", 44.0, 30), ("2027Q1", "v", 44.0, 30)]
    )
    linked = chain_link(old, new, "2026Q4")
    assert (linked.about, linked.periods) == ("persons", ("2026Q4", "2027Q1"))
    assert linked.table.set_index(["unit", "period"])["n"].to_dict() == {
        ("u", "2026Q4"): 30, ("u", "2027Q1"): 30, ("v", "2026Q4"): 6, ("v", "2027Q1"): 6
    }  # fmt: skip
    shown = dj.protect(linked).table.set_index(["unit", "period"])["score"]
    assert shown.dropna().to_dict() == pytest.approx({("u", "2026Q4"): 50, ("u", "2027Q1"): 55})
    with pytest.raises(UsageError, match="one single period"):
        chain_link(old, new, "2026")


# Effective weights.


def test_effective_weights_by_hand():
    # Independent by construction: x has variance 16, y variance 4, z is constant; equal weights.
    frame = pd.DataFrame({"x": [42.0, 42, 58, 58], "y": [46.0, 54, 46, 54], "z": [50.0] * 4, "unit": list("pqrs")})
    tree = Tree((Node("I", role="index"), *(Node(c, "I", minimum=0, maximum=100) for c in "xyz")), about="units")
    table = effective_weights(frame, tree).table
    assert table["weight"].tolist() == pytest.approx([1 / 3] * 3)
    assert table["correlation_ratio"].tolist() == pytest.approx([0.8, 0.2, 0])
    assert table["effective"].tolist() == pytest.approx([0.8, 0.2, 0])
    assert table["variance_share"].tolist() == pytest.approx([0.8, 0.2, 0])
    assert table["change"].isna().all()


def test_variance_shares_add_up_and_path_weights_reach_the_leaves():
    table = effective_weights(units(), TREE, below="leaves").table
    assert table.groupby("parent")["variance_share"].sum().to_dict() == pytest.approx({"A": 1, "B": 1, "I": 1})
    nominal = table[table["parent"] == "I"].set_index("code")["weight"]
    assert nominal.to_dict() == pytest.approx(path_weights(TREE, "I"))
    children = effective_weights(units(), TREE).table
    wide = composite(units(), TREE).wide()
    found = children.set_index(["parent", "code"])["correlation_ratio"]
    assert found["I", "A"] == pytest.approx(np.corrcoef(wide["A"], wide["I"])[0, 1] ** 2)


def test_contributions_add_up_to_the_change_of_the_mean():
    before, now = units(seed=1), units(seed=2)
    table = effective_weights(now, TREE, before=before, below="leaves").table
    change = composite(now, TREE).wide()["I"].mean() - composite(before, TREE).wide()["I"].mean()
    rows = table[table["parent"] == "I"]
    assert rows["change"].sum() == pytest.approx(change, abs=EXACT)
    assert rows["change_share"].sum() == pytest.approx(1)
    # With a learned scale the earlier period's is used for both: a shift of one leaf is seen, and only there.
    shifted = effective_weights(
        before.assign(a1=before["a1"] + 1), TREE, before=before, choices=Choices(normaliser="z")
    )
    moved = shifted.table.set_index(["parent", "code"])["change"]
    assert moved["A", "a1"] > 0
    assert moved[[("A", "a2"), ("A", "a3"), ("I", "B")]].abs().max() < EXACT
    same = effective_weights(before, TREE, before=before).table
    assert same["change"].abs().max() < EXACT
    assert same["change_share"].isna().all()


def test_a_curve_sees_what_a_line_does_not():
    x = np.linspace(10, 90, 81)
    tree = Tree((Node("I", role="index"), *(Node(c, "I", minimum=0, maximum=100) for c in "xy")), about="units")
    frame = pd.DataFrame({"x": x, "y": (x - 50) ** 2 / 16, "unit": [str(v) for v in x]})
    line, curve = (
        effective_weights(frame, tree, curve=kind).table["correlation_ratio"] for kind in ("linear", "spline")
    )
    assert curve[0] == pytest.approx(1, abs=1e-3)  # y is a function of x
    assert line[0] < 0.6
    rng = np.random.default_rng(2)
    noise = pd.DataFrame({"x": rng.uniform(0, 100, 400), "y": rng.uniform(0, 100, 400), "unit": range(400)})
    both = [effective_weights(noise, tree, curve=kind).table["correlation_ratio"] for kind in ("linear", "spline")]
    np.testing.assert_allclose(both[0], both[1], atol=0.05)
    np.testing.assert_allclose(both[0], 0.5, atol=0.1)


def test_effective_weights_of_people_come_from_sums():
    survey = dj.read_survey(answers(), BOOK, period="2026Q3")
    found = effective_weights(survey)
    table = found.table.set_index(["parent", "code"])
    frame = answers().dropna(subset=["q4", "q5"])
    x, w = frame[["q4", "q5"]].to_numpy() * 10, frame["w"].to_numpy()
    y = x.mean(axis=1)
    covariance = np.cov(np.column_stack([x, y]).T, aweights=w)
    expected = covariance[:2, 2] ** 2 / covariance[2, 2] / np.diag(covariance)[:2]
    np.testing.assert_allclose(table.loc["D2", "correlation_ratio"], expected, rtol=SUMS)
    assert (found.about, table.loc[("D2", "q4"), "n"]) == ("persons", len(frame))
    with pytest.raises(UsageError, match="spline"):
        effective_weights(survey, curve="spline")
    with pytest.raises(UsageError, match="data with a tree"):
        effective_weights(units())


def test_effective_weights_say_when_there_is_nothing_to_read():
    flat = units().assign(**dict.fromkeys(LEAVES, 40.0))
    assert set(effective_weights(flat, TREE).table["reason"]) == {CONSTANT}
    assert set(effective_weights(units(2), TREE).table["reason"]) == {reasons.TOO_FEW_TO_JUDGE}


def test_scores_take_weights_in_place_of_the_declared_ones() -> None:
    """Of indicators, all versions and the months before; of a survey; frozen weights only in their year."""
    tree = Tree(
        (
            Node("I", role="index"), Node("x", "I", minimum=0, maximum=100), Node("y", "I", minimum=0, maximum=100, valid_to="2026-06"),
            Node("z", "I", minimum=0, maximum=100, valid_from="2026-07"),
        ),
        about="units",
    )  # fmt: skip
    spec = Specification(indicators=tree, units=Units((Unit("A", level="branch"), Unit("B", level="branch"))))
    values = pd.DataFrame(
        [(unit, period, code, value) for period, other in (("2026-06", "y"), ("2026-07", "z"))
         for unit, x, second in (("A", 80, 40), ("B", 20, 60)) for code, value in (("x", x), (other, second))],
        columns=["unit", "period", "code", "value"],
    ).assign(n=NAN, se=NAN, reason="")  # fmt: skip
    at = {period: Indicators(values[values["period"] == period], spec, period) for period in ("2026-06", "2026-07")}
    given = weigh(tree.at("2026-07"), "direct", given={"x": 3, "z": 1})
    assert dj.score(at["2026-07"]).at("A", "I", "full")["score"] == pytest.approx(60)
    assert dj.score(at["2026-07"], weights=given).at("A", "I", "full")["score"] == pytest.approx(70)
    with pytest.raises(SpecError, match="z"):
        dj.score(at["2026-06"], weights=given)
    with pytest.raises(UsageError, match="2025"):
        dj.score(at["2026-07"], weights=given.frozen(2025))
    book = codebook_of(plain_table(("INDEX", ""), ("q1", "INDEX", 1, 1.0, 0, 100), ("q2", "INDEX", 1, 1.0, 0, 100)))
    survey = dj.read_survey(pd.DataFrame({"q1": [80.0] * 12, "q2": [40.0] * 12}), book, period="2026Q3")
    mine = dj.score(survey, weights=weigh(survey, "direct", given={"q1": 3, "q2": 1}))
    assert mine.at("ALL", "INDEX")["score"] == pytest.approx(70)
