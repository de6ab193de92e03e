"""Versions of the indicators: months linked over a change of the list, never a silent jump.

Held against the formula of the single group design (Lord 1950; Kolen and Brennan 2014), a hand-worked line, the package's own chain_link
and simulations with known truth. Rates are accepted inside the 99 % binomial interval of at least 1,000 draws.
"""

from __future__ import annotations

import re
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import nbformat
import numpy as np
import pandas as pd
import pytest
from scipy import stats
from trials import EVERYTHING, trials

import dj_analysis as dj
from dj_analysis import methods
from dj_analysis.errors import UsageError
from dj_analysis.measure.composites.equating import equate
from dj_analysis.measure.linked_scores import VersionLink, linked_means
from dj_analysis.measure.linked_series import brought_to
from dj_analysis.measure.occasions import months_error
from dj_analysis.measure.survey import Indicators
from dj_analysis.publish.blocks import MIME
from dj_analysis.spec.periods import parse, within
from dj_analysis.spec.rules import default_rules
from dj_analysis.spec.specification import Specification
from dj_analysis.spec.tree import Indicator, Tree
from dj_analysis.spec.units import Unit, Units

LAST, MONTHS = "2026-09", 14
ALL_MONTHS = [parse(LAST).shift(step).text for step in range(1 - MONTHS, 1)]
SPAN = f"{ALL_MONTHS[0]}/{LAST}"
CUT = 8  # months of the old version


def accepted(hits: int, draws: int, claimed: float = 0.95) -> bool:
    low, high = stats.binom.interval(0.99, draws, claimed)
    return bool(low <= hits <= high)


def leaf(code: str, first: str = "", last: str = "", **more: Any) -> Indicator:
    declared: dict[str, Any] = {"label_zh": code, "label_en": code, "minimum": 0.0, "maximum": 100.0, "about": "units"}
    return Indicator(code, "BM", valid_from=first, valid_to=last, rollup="mean", **(declared | more))


def tree_of(*leaves: Indicator) -> Tree:
    return Tree((Indicator("BM", "", "对标", "Benchmark", role="index"), *leaves), about="units")


def two_versions(kept: int, dropped: int, added: int) -> Tree:
    """K… stay, D… end with the old version, N… begin with the new one."""
    old, new = ALL_MONTHS[CUT - 1], ALL_MONTHS[CUT]
    return tree_of(
        *(leaf(f"K{j}") for j in range(kept)),
        *(leaf(f"D{j}", last=old) for j in range(dropped)),
        *(leaf(f"N{j}", first=new) for j in range(added)),
    )


def spec_of(units: int, tree: Tree) -> Specification:
    rows = [Unit("ALL", "", "company", "admin", name_zh="公司", name_en="Company")]
    rows += [Unit(f"B{i:02d}", "ALL", "branch", "admin", "党支部", f"第{i}支部", f"Branch {i}") for i in range(units)]
    return Specification(units=Units(tuple(rows)), indicators=tree)


def indicators(values: dict[str, np.ndarray], spec: Specification, period: str = SPAN) -> Indicators:
    """Values by code, months × branches; NaN is not there at all."""
    rows = [
        (f"B{i:02d}", ALL_MONTHS[m], code, array[m, i])
        for code, array in values.items()
        for m, i in np.argwhere(~np.isnan(array))
    ]
    table = pd.DataFrame(rows, columns=["unit", "period", "code", "value"]).assign(n=np.nan, se=np.nan, reason="")
    inside = table["period"].isin(within(period, ALL_MONTHS))
    earlier = table[~inside & (table["period"] < period)]
    return Indicators(table[inside].reset_index(drop=True), spec, period, earlier=earlier.reset_index(drop=True))


@cache
def _drawn(
    kept: int, dropped: int, added: int, seed: int, units: int = 40, noise: float = 4.0, level: float = 20.0
) -> tuple[Specification, tuple[tuple[str, bytes], ...]]:
    """Branches that never change; the old version is easier by about ``level`` points in the indicators it drops."""
    rng = np.random.default_rng(seed)
    true = rng.normal(60, 6, units)
    values = {}
    for name, count, first, last, shift in (
        ("K", kept, 0, MONTHS, 0.0), ("D", dropped, 0, CUT, level), ("N", added, CUT, MONTHS, -level / 2),
    ):  # fmt: skip
        for j in range(count):
            drawn = true + shift + rng.normal(0, 3, units) + rng.normal(0, noise, (MONTHS, units))
            drawn[:first], drawn[last:] = np.nan, np.nan
            values[f"{name}{j}"] = np.clip(drawn, 0, 100)
    tree = two_versions(kept, dropped, added)
    return spec_of(units, tree), tuple((code, array.tobytes()) for code, array in values.items())


def office(
    kept: int, dropped: int, added: int, *, seed: int = 1, units: int = 40
) -> tuple[Specification, dict[str, np.ndarray]]:
    spec, frozen = _drawn(kept, dropped, added, seed, units)
    return spec, {code: np.frombuffer(raw).reshape(MONTHS, units).copy() for code, raw in frozen}


def of_branches(table: pd.DataFrame, column: str = "score") -> np.ndarray:
    """Months × branches of one column."""
    rows = table[table["level"] == "branch"]
    return rows.pivot(index="period", columns="unit", values=column).to_numpy(float)


# --- What a version is -------------------------------------------------------------------------------------------------------------


def test_a_version_changes_with_what_decides_the_score_and_with_nothing_else():
    base = tree_of(leaf("a"), leaf("b"))
    alike = [
        tree_of(leaf("a", label_zh="新名称", target=80.0, minutes=5.0), leaf("b", first="2020-01-01")),
        tree_of(leaf("a", weight=2.0), leaf("b", weight=2.0)),
    ]
    other = [
        tree_of(leaf("a"), leaf("b", weight=2.0)), tree_of(leaf("a"), leaf("b", maximum=50.0)), tree_of(leaf("a"), leaf("c")),
        tree_of(leaf("a"), leaf("b", direction=-1)), tree_of(leaf("a")),
    ]  # fmt: skip
    assert {one.scoring_version("BM") for one in alike} == {base.scoring_version("BM")}
    assert len({one.scoring_version("BM") for one in (base, *other)}) == 1 + len(other)
    assert base.scoring_version("b") != other[1].scoring_version("b")
    assert base.scoring_version("a") == other[1].scoring_version("a")
    assert base.scoring_version("zz") == ""


# --- Equating ----------------------------------------------------------------------------------------------------------------------


def test_mean_sigma_by_hand():
    x, y = np.array([50.0, 60.0, 70.0, np.nan]), np.array([40.0, 60.0, 80.0, 99.0])
    line = equate(x, y)
    assert (line.centre, line.value, line.slope, line.units) == (60.0, 60.0, pytest.approx(2.0), 3)
    assert line(np.array([65.0]))[0] == pytest.approx(70.0)
    assert line.inverse(line(x[:3])) == pytest.approx(x[:3])
    assert equate(x, y, spread=False).slope == 1.0
    assert equate(x[:2], y[:2]) is None


def test_chained_linear_equating_by_hand():
    x, y = np.array([50.0, 60.0, 70.0]), np.array([30.0, 50.0, 70.0])
    before, after = np.array([45.0, 50.0, 55.0]), np.array([55.0, 60.0, 65.0])  # the anchors say: everybody rose by 10
    line = equate(x, y, (before, after))
    # x = 60 is 50 on the anchors; 50 on the anchors after is two spreads of 5 below their mean, so 50 − 2·20 on y
    assert line.value == pytest.approx(50 - (60 - 50) / 5 * 20)
    assert line.slope == pytest.approx(20 / 10)


@pytest.mark.parametrize("z", [0.0, 1.0, 2.0])
def test_the_error_of_the_link_is_that_of_the_published_formula(z):
    """Single group, linear: var = σ²_y (1 − ρ) [2 + (1 + ρ) z²] / N (Lord 1950; Kolen and Brennan 2014, ch. 7)."""
    rng = np.random.default_rng(5)
    units, rho, spread = 150, 0.7, 8.0
    claimed = spread * np.sqrt((1 - rho) * (2 + (1 + rho) * z**2) / units)
    errors, values = [], []
    for _ in range(300):
        common, own = rng.standard_normal(units), rng.standard_normal((2, units))
        x, y = (50 + spread * (np.sqrt(rho) * common + np.sqrt(1 - rho) * part) for part in own)
        line = equate(x, y)
        at = np.array([50 + z * spread])
        values.append(line(at)[0])
        errors.append(line.error(at)[0])
    assert np.mean(errors) == pytest.approx(claimed, rel=0.05)
    assert np.std(values) == pytest.approx(claimed, rel=0.15)


@pytest.mark.parametrize("anchored", [False, True])
def test_the_error_of_the_link_covers_at_its_rate(anchored):
    """Units that stay as they are; with anchors all of them move, by what the anchors see."""
    rng = np.random.default_rng(6)
    units, draws, hits = 40, trials(1500), 0
    quantile = stats.t.ppf(0.975, units - 1)
    for _ in range(draws):
        true = rng.normal(0, 5, units)
        moved = 6.0 if anchored else 0.0
        x = 70 + true + rng.normal(0, 2, units)
        y = 40 + 2 * (true + moved + rng.normal(0, 2, units))
        anchors = tuple(50 + true + shift + rng.normal(0, 2, units) for shift in (0.0, moved)) if anchored else None
        line = equate(x, y, anchors)
        hits += abs(line.value - (40 + 2 * (line.centre - 70))) <= quantile * line.se
    assert accepted(hits, draws)


# --- Error from months -------------------------------------------------------------------------------------------------------------

THREE = np.repeat([0, 1, 2], (4, 4, 6))


def shifting(rng: np.random.Generator, units: int = 40, unequal: bool = False) -> tuple[np.ndarray, np.ndarray]:
    """Months × units under three versions, and what of it is error: levels, suits-better and scatter all differ by version."""
    spreads = np.array([1.5, 3.0, 4.5])[THREE][:, None]
    own = rng.normal(0, 6, units) + rng.normal(0, 3, (3, units))[THREE]
    error = rng.normal(0, 1, (MONTHS, units)) * spreads
    if unequal:
        error = error * np.sqrt(12 / rng.chisquare(12, units))
    return np.array([85.0, 75.0, 60.0])[THREE][:, None] + rng.normal(0, 2, (MONTHS, 1)) + own + error, error


@pytest.mark.parametrize("unequal", [False, True])
def test_errors_from_months_cover_under_every_version(unequal):
    rng, draws = np.random.default_rng(8), trials(1500)
    hits, jumped = np.zeros(MONTHS, dtype=int), 0.0
    rule = default_rules().months
    for _ in range(draws):
        points, error = shifting(rng, unequal=unequal)
        estimate = months_error(points[:, :, None], rule, np.arange(MONTHS), THREE[:, None])
        for month in (0, 5, 10, 13):
            sd, df = (values[0, 0] for values in estimate.of_month(month))
            hits[month] += abs(error[month, 0]) <= stats.t.ppf(0.975, df) * sd
        jumped += months_error(points[:, :, None], rule, np.arange(MONTHS)).sd[0, 0] / draws
    for month in (0, 5, 10, 13):
        # where units differ in scatter the moderated intervals of one version are a little wide already
        assert accepted(int(hits[month]), draws, 0.96 if unequal else 0.95), month
    assert jumped > 3.6, "taken for one version, levels that suit a unit better or worse would count as error"


def test_means_over_three_versions_cover_between_units():
    """A unit's mean over 14 months beside that of all: what the links move in all alike is no error between units."""
    rng, draws, hits = np.random.default_rng(9), trials(1200), 0
    rule = default_rules().months
    for _ in range(draws):
        points, error = shifting(rng)
        estimate = months_error(points[:, :, None], rule, np.arange(MONTHS), THREE[:, None])
        means = linked_means(points, ALL_MONTHS, [])
        scatter = estimate.sd[0, 0] * np.sqrt((estimate.spread[:, 0] ** 2).sum()) / MONTHS
        hits += abs(error[:, 0].mean()) <= stats.t.ppf(0.975, estimate.df[0, 0]) * scatter
        assert means.mean[0] == pytest.approx(points[:, 0].mean())
    assert accepted(hits, draws)


def test_means_of_linked_months_cover_between_units():
    """Two lists on other scales, equated by the months at hand: a unit's linked mean beside the mean of all."""
    rng, draws, hits, units = np.random.default_rng(11), trials(1500), 0, 40
    for _ in range(draws):
        true, error = rng.normal(0, 5, units), rng.normal(0, 3, (MONTHS, units))
        points = 50 + true + error
        points[:CUT] = 80 + 0.5 * (points[:CUT] - 50)
        line = equate(points[:CUT].mean(axis=0), points[CUT:].mean(axis=0))
        link = VersionLink("BM", ALL_MONTHS[CUT - 1], ALL_MONTHS[CUT], "same_units", line=line)
        means = linked_means(points, ALL_MONTHS, [link])
        off = means.mean[0] - means.mean.mean() - (true[0] - true.mean())
        own = 3 / np.sqrt(MONTHS) * np.sqrt(1 - 1 / units)
        hits += abs(off) <= stats.t.ppf(0.975, units - 1) * np.hypot(own, means.link_se[0])
    assert accepted(hits, draws)


def test_one_version_is_as_before():
    rng = np.random.default_rng(10)
    points = rng.normal(60, 5, (12, 20, 2))
    rule = default_rules().months
    one, same = (months_error(points, rule, np.arange(12), v) for v in (None, np.full((12, 2), 3)))
    np.testing.assert_allclose(one.sd, same.sd)
    assert (one.spread == 1).all()
    assert np.isinf(one.spread_df).all()


# --- Which link --------------------------------------------------------------------------------------------------------------------

METHODS = {"overlap": (3, 3, 0), "common_items": (3, 3, 3), "same_units": (0, 3, 3)}


@pytest.mark.parametrize("method", METHODS)
def test_what_links_is_chosen_by_what_there_is(method):
    spec, values = office(*METHODS[method])
    scores = dj.score(indicators(values, spec), by="branch")
    row = scores.links.table.set_index("code").loc["BM"]
    assert row["method"] == method
    assert (row["before_period"], row["period"]) == (ALL_MONTHS[CUT - 1], ALL_MONTHS[CUT])
    assert row["units"] == 40
    assert row["months"] == {"overlap": 6, "common_items": 12, "same_units": 2}[method]
    assert row["link_se"] > 0
    assert set(scores.links.table["code"]) == {"BM"}, "an indicator that stays needs no link"


def test_months_of_both_lists_side_by_side_are_an_overlap():
    spec, values = office(0, 3, 3)
    rng = np.random.default_rng(3)
    for j in range(3):  # collected on trial in the last two months of the old list
        values[f"N{j}"][CUT - 2 : CUT] = values[f"N{j}"][CUT] + rng.normal(0, 1, (2, 40))
    row = dj.score(indicators(values, spec), by="branch").links.table.iloc[0]
    assert (row["method"], row["months"]) == ("overlap", 2)


def test_a_replaced_indicator_is_shared_but_one_of_another_range_is_not():
    old, new = ALL_MONTHS[CUT - 1], ALL_MONTHS[CUT]
    spec, values = office(0, 3, 3)
    renamed = [leaf(f"D{j}", last=old) for j in range(3)]
    for maximum, method in ((100.0, "common_items"), (110.0, "same_units")):
        later = [leaf(f"N{j}", first=new, replaces=f"D{j}", maximum=maximum) for j in range(3)]
        tree = tree_of(*renamed, *later)
        scores = dj.score(indicators(values, replace(spec, indicators=tree)), by="branch")
        assert scores.links.table["method"].tolist() == [method]


def test_the_overlap_is_that_of_chain_link():
    spec, values = office(3, 3, 0)
    scores = dj.score(indicators(values, spec), by="branch")
    linked = methods.link_versions(scores, "branch", basis="old").table
    own = scores.table[
        (scores.table["code"] == "BM") & (scores.table["period"] != SPAN) & (scores.table["level"] == "branch")
    ]
    kept = np.mean([values[f"K{j}"] for j in range(3)], axis=0)
    rescored = pd.DataFrame(
        [(f"B{i:02d}", ALL_MONTHS[m], kept[m, i]) for m in range(MONTHS) for i in range(40)],
        columns=["unit", "period", "score"],
    )
    last = ALL_MONTHS[CUT - 1]
    chained = methods.chain_link(
        own[own["period"] <= last][["unit", "period", "score"]],
        rescored,
        f"{ALL_MONTHS[CUT - 6]}/{last}",
        how="difference",
    ).table
    both = linked.merge(chained, on=["unit", "period"], suffixes=("", "_chained"))
    assert len(both) == MONTHS * 40
    np.testing.assert_allclose(both["score"], both["score_chained"])


def test_where_nothing_links_the_series_breaks_and_says_so():
    spec, values = office(0, 3, 3)
    for array in values.values():  # nobody reported in the last month of the old list and the first of the new
        array[CUT - 1] = np.nan
    scores = dj.score(indicators(values, spec), by="branch")
    assert scores.links.table["method"].tolist() == ["broken"]
    assert scores.links.table["reason"].tolist() == ["versions_not_linked"]
    linked = methods.link_versions(scores, "branch").table
    before = linked[linked["period"] < ALL_MONTHS[CUT]]
    assert before["score"].isna().all()
    assert before["as_scored"].notna().all()
    assert set(before["reason"]) == {"versions_not_linked"}
    span = scores.table[
        (scores.table["period"] == SPAN) & (scores.table["code"] == "BM") & (scores.table["level"] == "branch")
    ]
    assert set(span["reason"]) == {"versions_not_linked"}
    assert span["score"].isna().all(), "six months since the change are fewer than half of fourteen"
    assert "公司" in dj.plot_linked(methods.link_versions(scores)).get_title(loc="left")


def test_few_units_are_not_linked_and_one_unit_has_its_own_months():
    spec, values = office(0, 2, 2, units=2)
    assert dj.score(indicators(values, spec), by="branch").links.table["method"].tolist() == ["broken"]
    spec, values = office(2, 2, 2, units=12)
    row = dj.score(indicators(values, spec), by="branch").links.table.iloc[0]
    assert (row["method"], row["slope"]) == ("common_items", 1.0), "with 12 units means alone are equated"


def test_statistics_about_persons_are_never_linked_unit_by_unit():
    spec, values = office(3, 3, 0)
    tree = tree_of(*(replace(node, about="persons") for node in spec.indicators.nodes if node.parent))
    data = indicators(values, replace(spec, indicators=tree))
    few = data.values["unit"].isin(["B00", "B01"])
    scores = dj.score(replace(data, values=data.values.assign(n=np.where(few, 2.0, 50.0))), by="branch")
    (link,) = scores.version_links
    assert (link.method, link.offset) == ("overlap", None)
    assert link.line.units == 38, "units of too few people take no part in the line"
    (printed,) = scores.links.table.to_dict("records")
    assert printed["reason"] == "complement"
    assert np.isnan([printed[name] for name in ("score_before", "score", "slope", "link_se", "units")]).all()


def test_one_version_has_no_links_and_its_series_is_as_scored():
    spec, values = office(3, 0, 0)
    scores = dj.score(indicators(values, spec), by="branch")
    assert scores.links.table.empty
    linked = methods.link_versions(scores).table
    np.testing.assert_allclose(linked["score"], linked["as_scored"])
    assert set(linked["method"]) == {""}
    assert set(linked["basis"]) == {"new"}
    assert (linked["link_se"] == 0).all()
    with pytest.raises(UsageError, match="span"):
        methods.link_versions(dj.score(indicators(values, spec, LAST)))
    with pytest.raises(UsageError, match="BMX"):
        methods.link_versions(scores, code="BMX")


# --- Known truth ---------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", METHODS)
def test_branches_that_never_change_stay_level_and_one_that_rose_rises(method):
    jumps, flat, inside, risen, rise = [], [], [], [], 12.0
    for seed in range(12):
        spec, values = office(*METHODS[method], seed=seed)
        for code, array in values.items():
            array[CUT:, 7] = np.clip(array[CUT:, 7] + rise, 0, 100)  # one branch truly rose at the change
            assert code
        table = methods.link_versions(dj.score(indicators(values, spec), by="branch"), "branch").table
        score, raw, error = of_branches(table), of_branches(table, "as_scored"), of_branches(table, "link_se")
        step = score[CUT:].mean(axis=0) - score[:CUT].mean(axis=0)
        others = np.arange(40) != 7
        jumps.append((raw[CUT:].mean(axis=0) - raw[:CUT].mean(axis=0))[others].mean())
        flat.append(step[others].mean())
        inside.append(abs(step[others].mean()) <= 2.5 * error[0].mean() + rise / 40)
        risen.append(step[7])
    assert np.mean(jumps) < -8
    assert np.mean(flat) == pytest.approx(0, abs=0.8)
    assert np.mean(inside) > 0.8
    assert np.mean(risen) == pytest.approx(rise, abs=2.5)


def test_own_links_keep_a_branch_level_that_the_new_list_suits_less():
    spec, values = office(3, 3, 0)
    for j in range(3):
        values[f"D{j}"][:, 3] = np.where(np.isnan(values[f"D{j}"][:, 3]), np.nan, 98.0)  # strong in what is dropped
    scores = dj.score(indicators(values, spec), by="branch")
    table = methods.link_versions(scores, "branch").table
    own = table[table["unit"] == "B03"]["score"].to_numpy(float)
    raw = table[table["unit"] == "B03"]["as_scored"].to_numpy(float)
    assert raw[:CUT].mean() - raw[CUT:].mean() > 12
    assert own[CUT:].mean() == pytest.approx(own[:CUT].mean(), abs=4)


@pytest.mark.parametrize("method", METHODS)
def test_a_branch_without_months_of_the_easier_list_loses_nothing_in_the_mean(method):
    places, raw_places = [], []
    for seed in range(4):
        spec, values = office(*METHODS[method], seed=seed)
        whole = dj.score(indicators(values, spec), by="branch")
        for array in values.values():
            array[:5, 0] = np.nan
        gaps = dj.score(indicators(values, spec), by="branch")
        full, partial = (
            one.table.query("period == @SPAN and code == 'BM' and level == 'branch'").set_index("unit")["score"]
            for one in (whole, gaps)
        )
        months = gaps.table.query("period != @SPAN and code == 'BM' and level == 'branch'")
        raw = (
            months.groupby("unit")["score"].mean()
            - whole.table.query("period != @SPAN and code == 'BM' and level == 'branch'")
            .groupby("unit")["score"]
            .mean()
        )
        places.append(partial["B00"] - full["B00"])
        raw_places.append(raw["B00"])
    assert np.mean(places) == pytest.approx(0, abs=0.8)
    assert np.mean(raw_places) < -1.5


# --- Nothing is compared across a change unsaid ----------------------------------------------------------------------------------------


def month_and_before(values: dict[str, np.ndarray], spec: Specification) -> tuple[dj.Result, dj.Result]:
    return tuple(dj.score(indicators(values, spec, ALL_MONTHS[m]), by="branch") for m in (CUT, CUT - 1))  # type: ignore[return-value]


@pytest.mark.parametrize("method", METHODS)
def test_the_change_since_last_month_is_linked(method):
    spec, values = office(*METHODS[method])
    now, before = month_and_before(values, spec)
    ranks = dj.rank(now, "branch", before=before, draws=100).table
    assert set(ranks["method"]) == {method}
    assert ranks["difference"].mean() == pytest.approx(0, abs=1.5)
    raw = (
        of_branches(now.table[now.table["code"] == "BM"]).mean()
        - of_branches(before.table[before.table["code"] == "BM"]).mean()
    )
    assert raw < -8, "as scored, everybody fell"
    changes = dj.compare(now, before).table
    whole = changes[(changes["level"] == "branch") & (changes["code"] == "BM")]
    assert whole["difference"].mean() == pytest.approx(0, abs=1.5)


@pytest.mark.parametrize("method", METHODS)
def test_no_change_is_found_across_a_change_of_the_list_beyond_its_rate(method):
    """Branches that never change: a list that suits one better is no rise; the errors of the new list's first month are its own."""
    beyond, seeds = 0, trials(25, 8)
    for seed in range(seeds):
        spec, values = office(*METHODS[method], seed=200 + seed)
        now, before = month_and_before(values, spec)
        here, there = (
            one.table.query("level == 'branch' and code == 'BM'").set_index("unit")
            for one in (now, brought_to(now, before))
        )
        z = (here["score"] - there["score"]) / np.hypot(here["se"], there["se"])
        beyond += int((z.abs() > stats.norm.ppf(0.975)).sum())
    assert beyond <= stats.binom.ppf(0.995, 40 * seeds, 0.06)
    if method == "overlap":
        assert beyond >= stats.binom.ppf(0.005, 40 * seeds, 0.04)


def test_a_real_rise_at_the_change_is_told():
    spec, values = office(3, 3, 0)
    for array in values.values():
        array[CUT:, 7] += 25.0
        np.clip(array, 0, 100, out=array)
    ranks = dj.rank(*[month_and_before(values, spec)[0]], "branch", before=month_and_before(values, spec)[1]).table
    row = ranks.set_index("unit").loc["B07"]
    assert row["difference"] == pytest.approx(25, abs=8)
    assert row["real"]


def test_months_that_do_not_reach_back_are_not_compared():
    spec, values = office(3, 3, 0)
    now, before = month_and_before(values, spec)
    alone = dj.score(replace(indicators(values, spec, ALL_MONTHS[CUT]), earlier=None), by="branch")
    ranks = dj.rank(alone, "branch", before=before, draws=100).table
    assert set(ranks["method"]) == {"broken"}
    assert ranks["difference"].isna().all()
    reasons = dj.compare(alone, before).table.query("code == 'BM' and level == 'branch'")["reason"]
    assert set(reasons) == {"not_in_both"}
    kept = dj.rank(now, "branch", code="K0", before=before, draws=100).table
    assert set(kept["method"]) == {""}
    assert kept["difference"].notna().all(), "an indicator that stayed is compared as it is"


def test_an_indicator_scored_in_another_way_is_a_change_of_version_in_the_explanation():
    old, new = ALL_MONTHS[CUT - 1], ALL_MONTHS[CUT]
    spec, values = office(3, 0, 0)
    tree = tree_of(leaf("K0", last=old), leaf("K0", first=new, maximum=120.0), leaf("K1"), leaf("K2"))
    now, before = month_and_before(values, replace(spec, indicators=tree))
    told = dj.explain(now, before, "B03").table
    causes = dict(zip(told["code"], told["cause"], strict=True))
    assert causes["K0"] == "version"
    assert causes["K1"] == "own"
    place = dj.explain(now, before, "B03").places.table.iloc[0]
    assert told["contribution"].sum() == pytest.approx(place["score"] - place["score_before"])


def test_months_last_counts_places_of_each_months_own_version_and_means_of_linked_months():
    spec, values = office(3, 3, 0)
    for array in values.values():
        array[:, 5] -= 25.0
        np.clip(array, 0, 100, out=array)
    scores = dj.score(indicators(values, spec), by="branch")
    row = methods.months_last(scores, "branch").table.set_index("unit").loc["B05"]
    assert row["running"] == MONTHS
    linked = methods.link_versions(scores, "branch").table
    own = linked[linked["unit"] == "B05"]
    assert row["score"] == pytest.approx(own["score"].mean())
    assert row["score"] < own["as_scored"].mean() - 3


def test_an_audit_counts_an_indicators_own_months_only():
    spec, values = office(3, 3, 3)
    audit = methods.indicator_audit(dj.score(indicators(values, spec), by="branch"), "branch").table.set_index("code")
    assert set(audit.index) == {"K0", "K1", "K2", "N0", "N1", "N2"}
    assert (audit["missing"] == 0).all(), "months before an indicator began are no missing values"


def test_an_added_indicator_needs_half_of_its_own_months():
    spec, values = office(3, 3, 3)
    span = dj.score(indicators(values, spec), by="branch").table.query("period == @SPAN and level == 'branch'")
    assert span[span["code"] == "N0"]["score"].notna().all()


# --- A whole year in files -----------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def weinan(tmp_path_factory):
    """Forty branches, fourteen months, lists of 50, 28 and 20 indicators, as files of a workspace."""
    company = dj.make_company(employees=900, branches=40, quarters=2, seed=3)
    folder = company.write(tmp_path_factory.mktemp("weinan") / "office")
    return dj.open_workspace(folder), company


def test_three_lists_in_fourteen_months_are_linked_and_their_worst_branch_is_named(weinan):
    ws, company = weinan
    months = ws.indicator_periods
    scores = dj.score(ws.indicators(f"{months[0]}/{months[-1]}"))
    links = scores.links.table.query("code == 'BM'")
    assert links["method"].tolist() == ["overlap", "overlap"]
    linked = methods.link_versions(scores)
    whole = linked.table[linked.table["unit"] == "ALL"]
    assert whole["score"].max() - whole["score"].min() < 3
    assert whole["as_scored"].max() - whole["as_scored"].min() > 8
    assert whole["version"].nunique() == 3
    worst = company.planted.query("kind == 'worst_branch'")["unit"].iloc[0]
    places = dj.rank(scores, "branch", draws=500).places.table
    assert places[(places["place"] == "last") & places["decided"]]["unit"].tolist() == [worst]
    assert worst in set(methods.months_last(scores, "branch").table["unit"])
    first = dj.score(ws.indicators(f"{months[0]}/{months[3]}"))
    steps = methods.indicator_audit(first, "branch", keep=0.9).reduction.table
    assert (steps["tau"] >= 0.9).all()
    assert steps["left"].iloc[-1] <= 28


@pytest.fixture(scope="module")
def benchmark_runs(weinan, tmp_path_factory):
    """One run of the benchmark report over all fourteen months, of the whole and, where everything is asked for, of a city in English."""
    out = tmp_path_factory.mktemp("benchmark")
    given = {"period": "2026-09", "formats": ["html"], "months": 14, "reduction": True, "out": out}
    return {
        (lang, unit): dj.run_report("benchmark", weinan[0].folder, unit=unit, lang=lang, **given)
        for lang, unit in (("zh", "ALL"), *((("en", "C02"),) if EVERYTHING else ()))
    }


def test_one_run_holds_ranking_probability_help_review_and_reduction_of_fourteen_months(weinan, benchmark_runs):
    """渭南: what the office had of fourteen months, three lists and forty branches stands in one report; numbers as computed."""
    ws, company = weinan
    planted = company.planted.set_index("kind")["unit"]
    name = {unit.unit: unit.name_zh for unit in ws.units.rows}
    tables = tables_of(benchmark_runs["zh", "ALL"].files["ipynb"])
    span = f"{ws.indicator_periods[0]}/{ws.indicator_periods[-1]}"
    plan, scores = ws.release_plan("2026-09"), dj.score(ws.indicators(span))

    linked = tables["指标版本变化及衔接"]
    assert linked["方法"].tolist() == ["重叠月份"] * 2
    ranks = dj.protect(dj.rank(scores, "branch", seed=1), plan).printed().table.set_index("unit")
    printed = tables["近14个月平均得分与名次"].set_index("单位")
    assert set(printed.index) == {name[unit] for unit in ranks.index}
    assert printed.loc[printed["得分"] == "—", "名次"].eq("—").all(), "a branch merged since has no place"
    ranks = ranks[ranks["score"].notna()]
    assert len(ranks) >= 38
    for unit, row in ranks.iterrows():
        here = printed.loc[name[unit]]
        assert float(here["得分"]) == pytest.approx(row["score"], abs=0.051)
        assert (float(here["名次上界"]), float(here["名次下界"])) == (row["rank_low"], row["rank_high"])
        assert within_last_place(here["第一的概率"], row["p_top1"])
        assert within_last_place(here["末位的概率"], row["p_last"])
        assert here["误差来源"] == "月度波动"
    assert ranks["p_last"].idxmax() == planted["worst_branch"]

    assert name[planted["worst_branch"]] in tables["连续靠后的单位"]["单位"].tolist()

    review = dj.protect(methods.review_audit(ws.indicators("2026-09")), plan).printed().table
    assert tables["各审核环节的改动"]["改动数"].tolist() == [f"{value:.0f}" for value in review["revised"]]
    assert review["revised"].sum() > 0
    said = re.sub(r"<[^>]+>", "", benchmark_runs["zh", "ALL"].files["html"].read_text("utf-8"))
    assert re.search(f"超出偶然范围的有1个：{name[planted['often_revised']]}", said)

    reduction = tables["可以依次合并的指标"]
    kept = reduction["排序保持τ"].astype(float)
    assert (kept >= 0.9).all()
    assert len(reduction) >= 5
    audit = methods.indicator_audit(scores, "branch").reduction.table
    assert reduction["剩余指标"].astype(float).tolist() == audit["left"].tolist()
    assert kept.tolist() == pytest.approx(audit["tau"].tolist(), abs=0.0006)
    assert audit["left"].iloc[-1] == 20 - len(audit)


def within_last_place(text: str, chance: float) -> bool:
    """Tell whether a printed chance is this one, or says that it is less or more than can be printed."""
    value = float(text.strip("<>%")) / 100
    return chance <= value if text[0] == "<" else chance >= value if text[0] == ">" else abs(value - chance) < 0.0006


def tables_of(notebook: Path) -> dict[str, pd.DataFrame]:
    """Tables that a report prints, by caption: their cells under their headers."""
    cells = nbformat.read(notebook, as_version=4).cells
    blocks = [output["data"].get(MIME) for cell in cells for output in cell.get("outputs", [])]
    contents = [block["content"] for block in blocks if block is not None and block["kind"] == "table"]
    return {
        content["caption"]: pd.DataFrame(content["rows"], columns=[column["label"] for column in content["columns"]])
        for content in contents
    }


@pytest.mark.parametrize(("lang", "unit"), [("zh", "ALL"), pytest.param("en", "C02", marks=pytest.mark.everything)])
def test_the_benchmark_report_marks_the_changes(benchmark_runs, lang, unit):
    run = benchmark_runs[lang, unit]
    text = run.files["html"].read_text(encoding="utf-8")
    said = {
        "zh": (
            "近14个月指标版本变化2次",
            "按两个版本都能计分的4个月衔接",
            "各月得分",
            "指标减负",
            "Kendall τ",
            "可能第一",
            "连续3个月位于最后10%",
        ),
        "en": (
            "The indicators changed 2 times",
            "linked by 4 months that both lists can score",
            "Fewer indicators",
            "probability",
        ),
    }[lang]
    for words in said:
        assert words in text, words
    assert run.manifest["dropped"] == []


def test_a_broken_series_is_said_in_the_report(weinan):
    spec, values = office(0, 3, 3)
    for array in values.values():
        array[CUT - 1] = np.nan
    scores = dj.score(indicators(values, spec), by="branch")
    safe = {"links": dj.protect(scores.links)}
    for lang, said in (("zh", "不能衔接，前后得分不可比"), ("en", "nothing links the lists")):
        block = dj.text(dj.words(lang)["bm_linked"], safe, benchmark="BM", months="14", lang=lang)
        assert said in block.plain
