"""Cities first, branches where something changed: what is named, and how much of it is false.

Adjusted p are held against statsmodels; q over a tree against the procedure itself run at one rate after the other. Rates: the
mean over draws stays below the claimed one plus three of its standard errors.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
import pytest
import small
from scipy import stats
from shared import copied, demo_office
from statsmodels.stats.multitest import multipletests

import dj_analysis as dj
from dj_analysis.judge.change import Change
from dj_analysis.judge.tree_rates import bh_adjusted, simes, tree_q
from dj_analysis.spec.units import Unit, Units

RATE, DRAWS = 0.10, 2000


def test_adjusted_p_are_those_of_statsmodels():
    p = np.random.default_rng(1).uniform(size=(30, 4)) ** 2
    p[3:7, 1], p[:, 3] = np.nan, np.nan
    for j in range(3):
        known = np.isfinite(p[:, j])
        np.testing.assert_allclose(bh_adjusted(p)[known, j], multipletests(p[known, j], method="fdr_bh")[1], rtol=1e-12)
        assert simes(p)[j] == pytest.approx(multipletests(p[known, j], method="fdr_bh")[1].min(), rel=1e-12)
    assert np.isnan(bh_adjusted(p)[:, 3]).all()
    assert simes(p)[3] == 1


def named_at(rate: float, p: np.ndarray, parents: list[int], families: list[Any]) -> np.ndarray:
    """The procedure as it is described: from the top down, family by family, at one rate."""
    members: dict[Any, list[int]] = {}
    for node, family in enumerate(families):
        members.setdefault(family, []).append(node)
    children: dict[int, list[int]] = {}
    for node, parent in enumerate(parents):
        children.setdefault(parent, []).append(node)

    def flag(node: int) -> float:
        if node not in children:
            return p[node]
        below = [flag(child) for child in children[node]]
        of_below = multipletests(below, method="fdr_bh")[1].min()
        return multipletests([p[node], of_below], method="fdr_bh")[1].min()

    named = np.zeros(len(p), dtype=bool)

    def look(family: Any, level: float) -> None:
        inside = members[family]
        named[inside] = multipletests(p[inside], alpha=level, method="fdr_bh")[0]
        flags = multipletests([flag(node) for node in inside], alpha=level, method="fdr_bh")[0]
        for node in np.array(inside)[flags]:
            for below in {families[child] for child in children.get(node, [])}:
                look(below, level * flags.sum() / len(inside))

    for top in {families[node] for node in children[-1]}:
        look(top, rate)
    return named


@pytest.mark.parametrize("seed", range(12))
def test_q_is_the_smallest_rate_at_which_a_unit_is_named(seed: int):
    """Three levels of unequal size."""
    rng = np.random.default_rng(seed)
    parents = [-1] * 4
    for level_start, level_end in ((0, 4), (4, 99)):
        for parent in [i for i in range(level_start, min(level_end, len(parents))) if rng.random() < 0.8]:
            parents += [parent] * int(rng.integers(1, 5))
    families = [(parent, "top" if parent < 0 else "below") for parent in parents]
    p = rng.uniform(size=len(parents)) ** 4
    q = tree_q(p[:, None], parents, families)[:, 0]
    for rate in np.concatenate([np.linspace(0.001, 0.5, 60), q + 1e-9, q - 1e-9]):
        if 0 < rate < 1:
            np.testing.assert_array_equal(named_at(rate, p, parents, families), q <= rate)


# --- Rates -----------------------------------------------------------------------------------------------------------------------

CITIES, BRANCHES = 10, 20


def drawn(change: np.ndarray, people: int, seed: int = 3) -> tuple[np.ndarray, np.ndarray]:
    """P and q of cities and branches; ``change`` is what each branch moved by, cities × branches."""
    se = 14 * np.sqrt(2 / people)
    moved = change[:, :, None] + se * np.random.default_rng(seed).standard_normal((*change.shape, DRAWS))
    branches = 2 * stats.norm.sf(np.abs(moved) / se)
    cities = 2 * stats.norm.sf(np.abs(moved.mean(axis=1)) / (se / np.sqrt(BRANCHES)))
    p = np.concatenate([cities, branches.reshape(-1, DRAWS)])
    parents = [-1] * CITIES + [city for city in range(CITIES) for _ in range(BRANCHES)]
    return p, tree_q(p, parents, [("top" if parent < 0 else parent) for parent in parents])


def false_share(named: np.ndarray, true: np.ndarray) -> np.ndarray:
    """Share of what is named that is false, of each draw; the units along the first axis."""
    return (named & ~true).sum(axis=0) / np.maximum(named.sum(axis=0), 1)


def below(values: np.ndarray) -> bool:
    return bool(values.mean() <= RATE + 3 * values.std() / np.sqrt(len(values)))


ONE_CITY = np.where(np.arange(CITIES)[:, None] == 0, -8.0, 0.0) + np.zeros((CITIES, BRANCHES))
THREE_CITIES = np.where(np.arange(CITIES)[:, None] < 3, -5.0, 0.0) + np.zeros((CITIES, BRANCHES))
SCATTERED = np.where(np.arange(BRANCHES)[None, :] == 0, -12.0, 0.0) + np.zeros((CITIES, 1))


@pytest.mark.parametrize(("change", "people"), [
    (ONE_CITY, 30), (THREE_CITIES, 30), (SCATTERED, 60), (SCATTERED, 12), (np.zeros((CITIES, BRANCHES)), 30),
], ids=["one city", "three cities", "one branch of each", "the same, few people", "nothing"])  # fmt: skip
def test_false_shares_stay_below_the_rate(change: np.ndarray, people: int):
    """Of cities; and of branches, on the average over the cities in which any is named."""
    p, q = drawn(change, people)
    named, true = q[:CITIES] <= RATE, change.mean(axis=1) != 0
    assert below(false_share(named, np.broadcast_to(true[:, None], named.shape)))
    inside = (q[CITIES:] <= RATE).reshape(CITIES, BRANCHES, DRAWS)
    real = np.broadcast_to((change != 0)[:, :, None], inside.shape)
    shares = false_share(inside.transpose(1, 0, 2), real.transpose(1, 0, 2))
    looked_at = inside.any(axis=1)
    assert below((shares * looked_at).sum(axis=0) / np.maximum(looked_at.sum(axis=0), 1))
    # At the top the two are one.
    np.testing.assert_allclose(q[:CITIES], bh_adjusted(p[:CITIES]))


def test_where_nothing_changed_hardly_a_wave_names_a_branch():
    _, q = drawn(np.zeros((CITIES, BRANCHES)), 30)
    assert (q[CITIES:] <= RATE).any(axis=0).sum() <= stats.binom.ppf(0.995, DRAWS, RATE)


def test_branches_that_fell_together_are_found_oftener():
    p, q = drawn(THREE_CITIES, 30)
    fell = np.repeat(np.arange(CITIES) < 3, BRANCHES)
    found = (q[CITIES:][fell] <= RATE).mean()
    plain = (bh_adjusted(p[CITIES:])[fell] <= RATE).mean()
    assert found > 1.3 * plain
    # What was scattered over all cities is found about as often, though no city fell by a point.
    p, q = drawn(SCATTERED, 60)
    first = np.arange(CITIES) * BRANCHES
    assert (q[CITIES:][first] <= RATE).mean() > 0.95 * (bh_adjusted(p[CITIES:])[first] <= RATE).mean()


def test_one_branch_that_fell_is_found_in_a_city_that_did_not():
    change = np.zeros((CITIES, BRANCHES))
    change[0, 0] = -15
    p, q = drawn(change, 60)
    assert (p[0] <= 0.05).mean() < 0.3
    assert (q[CITIES] <= RATE).mean() > 0.9


# --- In a comparison -------------------------------------------------------------------------------------------------------------

TREE = Units(
    (*(Unit(f"C{i}", level="city") for i in range(3)),
     *(Unit(f"C{i}-{j}", f"C{i}", "branch") for i in range(3) for j in range(4)))
)  # fmt: skip


def wave(means: Mapping[str, float], period: str, people: int = 30) -> Any:
    """People around each branch's mean, 50 where none is given."""
    rng = np.random.default_rng(int(period[3]))
    answers = {
        unit.unit: np.clip(rng.normal(means.get(unit.unit, 50), 9, people), 0, 100) for unit in TREE.at_level("branch")
    }
    return dj.score(small.wave(answers, period, units=TREE))


def compared(means: Mapping[str, float]) -> Change:
    return dj.compare(wave(means, "2026Q3"), wave({}, "2026Q2"))


def test_a_comparison_judges_over_its_tree():
    change = compared({"C0-0": 30, "C0-1": 38, "C1-0": 62})
    table = change.table[change.table["code"] == "INDEX"].set_index("unit")
    branches = table[table["level"] == "branch"]
    assert branches.index[branches["real"]].tolist() == ["C0-0", "C0-1", "C1-0"]
    cities = table[table["level"] == "city"]
    np.testing.assert_allclose(cities["q_tree"], cities["q"])
    order = ["C0", "C1", "C2", *branches.index]
    parents = [-1] * 3 + [int(unit[1]) for unit in branches.index]
    by_hand = tree_q(table.loc[order, ["p"]].to_numpy(float), parents, [("c" if i < 0 else i) for i in parents])
    np.testing.assert_allclose(table.loc[order, "q_tree"], by_hand[:, 0])
    np.testing.assert_allclose(branches["q"], multipletests(branches["p"], method="fdr_bh")[1])


def test_rises_matter_as_falls_do():
    table = compared({"C0-0": 35, "C1-0": 65, "C2-0": 47}).table
    table = table[(table["code"] == "INDEX") & (table["level"] == "branch")].set_index("unit")
    assert table.index[table["matters"]].tolist() == ["C0-0", "C1-0"]
    assert (np.sign(table.loc[["C0-0", "C1-0"], "difference"]) == [-1, 1]).all()
    whole = compared({unit.unit: 53.0 for unit in TREE.at_level("branch")}).table
    whole = whole[(whole["code"] == "INDEX") & (whole["unit"] == "ALL")].iloc[0]
    assert whole["real"]  # beyond error, and yet less than five points
    assert not whole["matters"]


def test_a_hidden_branch_tells_nothing_through_the_others():
    """What is printed of q is computed of the printed rows alone."""
    change = compared({"C0-0": 30})
    safe = dj.protect(change)
    np.testing.assert_allclose(safe.table["q_tree"].astype(float), change.table["q_tree"].astype(float), equal_nan=True)
    few = small.wave({"C0-0": [20, 30, 40], "C0-1": np.linspace(40, 60, 20), "C0-2": np.linspace(40, 60, 20),
                      "C0-3": np.linspace(30, 50, 20)}, "2026Q3", units=TREE)  # fmt: skip
    before = small.wave({f"C0-{j}": np.linspace(40, 60, 20) for j in range(4)}, "2026Q2", units=TREE)
    safe = dj.protect(dj.compare(dj.score(few), dj.score(before)))
    table = safe.table[(safe.table["code"] == "INDEX") & (safe.table["level"] == "branch")].set_index("unit")
    hidden = table.index[table["difference"].isna()]
    assert "C0-0" in hidden
    assert table.loc[hidden, ["q", "q_tree", "matters"]].isna().all(axis=None)
    shown = table.drop(index=hidden)
    p = shown["p"].to_numpy(float)
    np.testing.assert_allclose(shown["q"].astype(float), multipletests(p, method="fdr_bh")[1])


def test_group_columns_have_no_tree(tmp_path_factory: pytest.TempPathFactory):
    office = demo_office(tmp_path_factory, employees=900, branches=20, quarters=2, seed=3)
    ws = dj.open_workspace(copied(office, tmp_path_factory.mktemp("tree") / "office"))
    table: pd.DataFrame = dj.compare(ws.scores("2026Q3"), ws.scores("2026Q2")).table
    flat = table[table["level"].isin(["age_band", "company"]) & table["q"].notna()]
    assert len(flat) > 20
    np.testing.assert_allclose(flat["q_tree"].astype(float), flat["q"].astype(float))
