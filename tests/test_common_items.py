"""Waves are compared on the questions both asked: a reworded question moves no difference."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import stats

import dj_analysis as dj
from dj_analysis.measure.common_items import asked_items, common_items, on_common_items
from dj_analysis.measure.scores import Scores
from dj_analysis.spec.codebook import Codebook
from dj_analysis.spec.tree import Node, Tree

pytestmark = pytest.mark.filterwarnings("ignore::dj_analysis.errors.DjWarning")

BEFORE, NOW = "2026Q2", "2026Q3"
ITEMS = {"D1": ("a", "b", "c", "d"), "D2": ("e", "f", "g")}


def instrument(reworded: tuple[str, ...] = ()) -> Codebook:
    """Two dimensions of four and three questions; from the later wave on these are asked in other words, as ``x2``."""
    nodes = [Node("INDEX", role="index"), *(Node(code, "INDEX", role="dimension") for code in ITEMS)]
    for dimension, codes in ITEMS.items():
        for code in codes:
            node = Node(code, dimension, minimum=1, maximum=5, text_zh=f"题{code}")
            if code in reworded:
                nodes += [
                    replace(node, valid_to=BEFORE),
                    replace(node, code=f"{code}2", text_zh=f"新题{code}", valid_from=NOW, replaces=code),
                ]
            else:
                nodes.append(node)
    return Codebook(Tree(tuple(nodes)), (Node("w", role="weight"),))


def answers(rng: np.random.Generator, units: int, people: int, moved: dict[str, float], missing: float) -> pd.DataFrame:
    """Answers 1–5 with one factor common to all questions; ``moved`` raises questions, in latent spreads."""
    n = units * people
    own = rng.normal(size=n)
    table: dict[str, Any] = {"unit": np.repeat([f"u{i}" for i in range(units)], people)}
    for codes in ITEMS.values():
        factor = 0.7 * own + rng.normal(size=n) * 0.5
        for code in codes:
            latent = factor + rng.normal(size=n) + moved.get(code, 0.0)
            table[code] = np.where(rng.random(n) < missing, np.nan, 1 + np.digitize(latent, [-1.5, -0.6, 0.3, 1.2]))
    return pd.DataFrame(table)


def waves(
    reworded: tuple[str, ...] = (), *, harder: float = 0.0, units: int = 3, people: int = 80, seed: int = 1,
    missing: float = 0.05, weighted: bool = False,
) -> tuple[Scores, Scores, list[Any]]:  # fmt: skip
    rng, book = np.random.default_rng(seed), instrument(reworded)
    frames = [
        answers(rng, units, people, {}, missing),
        answers(rng, units, people, dict.fromkeys(reworded, -harder), missing).rename(
            columns={code: f"{code}2" for code in reworded}
        ),
    ]
    surveys = []
    for frame, period in zip(frames, (BEFORE, NOW), strict=True):
        frame["w"] = rng.choice([0.5, 1.0, 2.0], len(frame)) if weighted else 1.0
        surveys.append(dj.read_survey(frame, book, period=period))
    return dj.score(surveys[0]), dj.score(surveys[1]), surveys


def on_answers(survey: Any, shared: set[str]) -> pd.DataFrame:
    """The same scores from the answers themselves, with an instrument of the questions in common."""
    book = survey.spec.codebook
    nodes = tuple(node for node in book.tree.nodes if node.role != "item" or node.code in shared)
    tree = Tree(nodes)
    return dj.score(replace(survey, spec=replace(survey.spec, codebook=replace(book, tree=tree)))).table


def row(change: Any, code: str, unit: str = "ALL") -> pd.Series:
    table = change.table
    return table[(table["unit"] == unit) & (table["code"] == code)].iloc[0]


def test_the_same_questions_are_compared_as_ever() -> None:
    before, now, _ = waves()
    change = dj.compare(now, before)
    assert change.table["common_items"].dropna().eq(change.table["items"].dropna()).all()
    assert row(change, "D1")["now"] == now.at("ALL", "D1")["score"]
    assert on_common_items(now, set("abcdefg")) is now


def test_a_harder_wording_moves_nothing_and_is_counted() -> None:
    before, now, _ = waves(("a", "e"), harder=2.0, units=20)
    moved = now.at("ALL", "INDEX")["score"] - before.at("ALL", "INDEX")["score"]
    assert moved < -8  # what was printed before
    change = dj.compare(now, before)
    index = row(change, "INDEX")
    assert abs(index["difference"]) < 3 * index["se"]
    assert (index["items"], index["common_items"]) == (7, 5)
    assert (row(change, "D1")["items"], row(change, "D1")["common_items"]) == (4, 3)
    assert not change.table["real"].any()


def test_a_change_of_the_questions_in_common_is_found() -> None:
    """All questions rise by .4 of a spread, the reworded one is harder by two: the rise is what counts."""
    rng, book = np.random.default_rng(2), instrument(("a",))
    moved = {**dict.fromkeys("bcdefg", 0.4), "a": -1.6}
    frames = [answers(rng, 10, 80, {}, 0.05), answers(rng, 10, 80, moved, 0.05).rename(columns={"a": "a2"})]
    before, now = (
        dj.score(dj.read_survey(frame, book, period=period))
        for frame, period in zip(frames, (BEFORE, NOW), strict=True)
    )
    rise = row(dj.compare(now, before), "D1")
    assert rise["real"]
    assert rise["difference"] > 4


@pytest.mark.parametrize("weighted", [False, True])
def test_sums_give_what_the_answers_give(weighted: bool) -> None:
    """Means to a quarter of their error on average and errors to 5 % on average and 20 % for a unit, where one in twenty leaves each question out."""
    before, now, surveys = waves(("a", "f"), units=6, weighted=weighted)
    shared = set().union(*common_items([before, now]).values())
    assert shared == set("bcdeg")
    for scores, survey in zip((before, now), surveys, strict=True):
        mine = on_common_items(scores, shared).table.set_index(["level", "unit", "code"])
        theirs = on_answers(survey, shared).set_index(["level", "unit", "code"]).reindex(mine.index)
        rows = [key for key in mine.index if key[2] in ("INDEX", "D1", "D2")]
        apart = (mine.loc[rows, "score"] - theirs.loc[rows, "score"]).abs() / theirs.loc[rows, "se"]
        assert apart.max() < 0.8
        assert apart.mean() < 0.25
        ratio = mine.loc[rows, "se"] / theirs.loc[rows, "se"]
        assert ratio.between(0.8, 1.2).all()
        assert abs(ratio.mean() - 1) < 0.05


def test_without_gaps_means_are_exact() -> None:
    before, now, surveys = waves(("b",), missing=0.0)
    shared = set("acdefg")
    mine = on_common_items(now, shared).table.set_index(["level", "unit", "code"])["score"]
    theirs = on_answers(surveys[1], shared).set_index(["level", "unit", "code"])["score"]
    assert mine.drop("b2", level="code").to_numpy() == pytest.approx(theirs.to_numpy())
    assert before.at("ALL", "D2")["score"] == on_common_items(before, shared).at("ALL", "D2")["score"]


def test_parts_add_to_the_difference_on_common_items() -> None:
    before, now, _ = waves(("a", "e"), harder=1.0)
    table = dj.compare(now, before).table
    known = table["difference"].notna()
    assert (table["mix"] + table["within"])[known].to_numpy() == pytest.approx(table["difference"][known].to_numpy())


def test_too_few_in_common_is_no_comparison_with_the_reason() -> None:
    before, now, _ = waves(("e", "f"))
    change = dj.compare(now, before)
    assert row(change, "D2")["reason"] == "too_few_common_items"
    assert np.isnan(row(change, "D2")["difference"])
    assert row(change, "D1")["reason"] == ""
    assert row(change, "INDEX")["common_items"] == 5


def test_intervals_across_a_rewording_hold_at_their_rate() -> None:
    """A thousand units without any change: 95 % of the intervals hold 0, and next to none is called real."""
    before, now, _ = waves(("a", "e"), harder=1.5, units=1000, people=40, seed=9)
    table = dj.compare(now, before).table
    low, high = stats.binom.interval(0.99, 1000, 0.95)
    for code in ("D1", "D2", "INDEX"):
        rows = table[(table["level"] == "unit") & (table["code"] == code)]
        inside = ((rows["low"] <= 0) & (rows["high"] >= 0)).sum()
        assert low <= inside <= high, code
        assert rows["real"].sum() <= 2  # no unit at all is called real in 90 % of such families


def test_a_series_rests_on_what_all_waves_asked_and_breaks_where_that_is_too_little() -> None:
    before, now, _ = waves(("a", "e", "f"))
    table = dj.trend([before, now]).table
    rows = table[(table["unit"] == "ALL")].set_index(["period", "code"])
    assert rows.loc[(BEFORE, "D1"), "version"] == rows.loc[(NOW, "D1"), "version"]
    assert rows.loc[(NOW, "D1"), ["items", "common_items"]].tolist() == [4, 3]
    assert rows.loc[(BEFORE, "D2"), "version"] != rows.loc[(NOW, "D2"), "version"]
    assert rows.loc[(BEFORE, "D2"), "reason"] == "too_few_common_items"
    assert rows.loc[(NOW, "D2"), "score"] == now.at("ALL", "D2")["score"]


def test_the_gate_prints_it_and_says_how_many() -> None:
    before, now, _ = waves(("a",), units=5)
    printed = dj.protect(dj.compare(now, before)).printed().table
    shown = printed[(printed["unit"] == "ALL") & (printed["code"] == "D1")].iloc[0]
    assert (shown["items"], shown["common_items"]) == (4, 3)
    assert shown["difference"] == pytest.approx(shown["now"] - shown["before"])


def test_a_question_that_kept_its_code_is_the_same_unless_its_range_changed() -> None:
    book = instrument()
    nodes = [
        part
        for node in book.tree.nodes
        for part in (
            (replace(node, valid_to=BEFORE), replace(node, maximum=7, valid_from=NOW)) if node.code == "c" else (node,)
        )
    ]
    rng = np.random.default_rng(0)
    other = replace(book, tree=Tree(tuple(nodes)))
    frames = [answers(rng, 2, 40, {}, 0.0) for _ in range(2)]
    before, now = (
        dj.score(dj.read_survey(frame, other, period=period))
        for frame, period in zip(frames, (BEFORE, NOW), strict=True)
    )
    assert common_items([before, now])["D1"] == {"a", "b", "d"}
    assert [leaf.code for leaf in asked_items(now).leaves] == list("abcdefg")
