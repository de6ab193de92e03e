"""Explanations, tiers, stars and awards: hand-worked cases, exact sums, chances that come true, and their opposites."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from test_branches import benchmark, indicators, sheet, spec_of, workspace

import dj_analysis as dj
from dj_analysis import methods
from dj_analysis.errors import DataError, DjWarning, UsageError
from dj_analysis.judge.tiers import tier_chances
from dj_analysis.measure.composites.indicator_audit import hardly_related, least_inflation
from dj_analysis.spec.bands import default_bands
from dj_analysis.spec.tree import Indicator, Tree
from dj_analysis.spec.units import Unit, Units

SPAN = "2025-10/2026-09"


def one_leaf() -> Tree:
    return Tree((Indicator("BM", role="index"), Indicator("K0", "BM", minimum=0.0, maximum=100.0)), about="units")


def scored(values: np.ndarray, spec=None, period: str = "2026-09", last: str = "2026-09"):
    spec = spec or spec_of(values.shape[1])
    return dj.score(indicators(values, spec, period, last), by="branch")


# --- Explanations -------------------------------------------------------------------------------------------------------


def test_points_won_and_lost_by_hand():
    before, now = np.full((1, 3, 4), 50.0), np.full((1, 3, 4), 50.0)
    now[0, 0] = [70, 50, 50, 40]
    now[0, 1] = 60
    told = dj.explain(scored(now), scored(before, last="2026-08", period="2026-08"), "B00")
    table = told.table.set_index(["cause", "code"])["contribution"]
    assert table.to_dict() == {("own", "K0"): 5.0, ("own", "K3"): -2.5}
    assert told.causes.table.set_index("cause")["contribution"].to_dict() == {
        "own": 2.5, "weight": 0, "version": 0, "missing": 0, "rule": 0,
    }  # fmt: skip
    printed = dj.protect(told).printed().table.set_index("code")
    assert printed["contribution"].to_dict() == {"K0": 5.0, "K3": -2.5}, "points of the whole, not of the indicator"
    places = told.places.table.iloc[0]
    # B00 alone would have risen from a shared first place to the only first; B01 then passed it
    assert places[["score_before", "score", "rank_before", "rank", "own", "others"]].tolist() == [50, 52.5, 1, 2, 0, -1]


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10**6))
def test_parts_add_up_exactly_on_any_sheet(seed):
    """Random points sheets before and after: values, what does not apply, a bonus, a veto, and other weights."""
    rng = np.random.default_rng(seed)
    trees = [sheet(), sheet()]
    if rng.random() < 0.5:  # weights move between two indicators, and one of them ends
        nodes = [
            replace(n, weight=7.0) if n.code == "A01" else replace(n, weight=3.0) if n.code == "A02" else n
            for n in trees[1].nodes
        ]
        trees[1] = Tree(tuple(n for n in nodes if n.code != "A03" or rng.random() < 0.5), about="units")
    results = []
    for tree, month in zip(trees, ("2026-08", "2026-09"), strict=True):
        spec = spec_of(4, tree)
        values = np.where(rng.random((1, 4, len(tree.leaves))) < 0.8, rng.uniform(0, 3, (1, 4, len(tree.leaves))), 0)
        of_range = np.array([leaf.kind == "" for leaf in tree.leaves])
        values = np.where(of_range, rng.uniform(0, 100, values.shape), values)
        values[:, :, -1] = rng.random((1, 4)) < 0.2  # the veto
        data = indicators(values, spec, month, month)
        exempt = rng.random(len(data.values)) < 0.1
        exempt &= ~data.values["code"].isin(["V1", "E1"]).to_numpy()
        data.values.loc[exempt, "value"], data.values.loc[exempt, "reason"] = np.nan, "not_applicable"
        results.append(dj.score(data, by="branch"))
    before, now = results
    told = dj.explain(now, before, "B02")
    change = now.at("B02", "P", "full")["score"] - before.at("B02", "P", "full")["score"]
    assert told.table["contribution"].sum() == pytest.approx(change, abs=1e-9)
    places = told.places.table.iloc[0]
    assert places["own"] + places["others"] == places["rank_before"] - places["rank"]
    vetoed = 0.0 in (now.at("B02", "P", "full")["score"], before.at("B02", "P", "full")["score"])
    assert vetoed or "rule" not in set(told.table["cause"]), "without a veto every point belongs to an indicator"


def test_a_value_that_was_not_handed_in_is_no_new_version():
    """The mean of 20, 40, 60, 80 is 50; without the last one 40: 20 points go with it, 10 come by the weight it hands on."""
    before, now = np.array([[[20.0, 40.0, 60.0, 80.0]] * 3]), np.array([[[20.0, 40.0, 60.0, np.nan]] * 3])
    told = dj.explain(scored(now), scored(before, last="2026-08", period="2026-08"), "B01")
    causes = told.causes.table.set_index("cause")["contribution"]
    assert causes.round(9).to_dict() == {"own": 0, "weight": 10, "version": 0, "missing": -20, "rule": 0}
    shorter = scored(before[:, :, :3], spec_of(3, benchmark(3)))
    told = dj.explain(shorter, scored(before, last="2026-08", period="2026-08"), "B01")
    assert told.causes.table.set_index("cause")["contribution"].round(9).to_dict() == {
        "own": 0, "weight": 10, "version": -20, "missing": 0, "rule": 0,
    }  # fmt: skip


def test_a_score_that_rose_while_the_rank_fell():
    before, now = np.full((1, 5, 4), 50.0), np.full((1, 5, 4), 50.0)
    before[0, 2], now[0, 2] = 55.0, 58.0
    now[0, [0, 1]] = 70.0
    places = dj.explain(scored(now), scored(before, last="2026-08", period="2026-08"), "B02").places.table.iloc[0]
    assert places["score"] > places["score_before"]
    assert (places["rank_before"], places["rank"], places["own"], places["others"]) == (1, 3, 0, -2)


def test_what_has_no_score_cannot_be_explained():
    values = np.full((1, 3, 4), 50.0)
    gone = values.copy()
    gone[0, 1] = np.nan
    with pytest.raises(UsageError, match="2026-09 没有得分"):
        dj.explain(scored(gone), scored(values, last="2026-08", period="2026-08"), "B01")
    with pytest.raises(UsageError, match="单位/unit"):
        dj.explain(scored(values), scored(values, last="2026-08", period="2026-08"), "B99")


# --- Profiles -----------------------------------------------------------------------------------------------------------


def test_thirty_standards_make_a_profile_of_seven_aspects():
    """党风廉政责任制: standard j of branch i has 40 + j points, and 10 more in the last aspect of the second branch."""
    nodes = [Indicator("L", "", "党风廉政责任制", role="index")]
    nodes += [Indicator(f"L{a}", "L", f"方面{a}", role="dimension") for a in range(7)]
    nodes += [Indicator(f"S{j:02d}", f"L{j % 7}", f"标准{j}", minimum=0.0, maximum=100.0) for j in range(30)]
    values = np.tile(40.0 + np.arange(30), (1, 2, 1))
    values[0, 1, 6::7] += 10
    table = scored(values, spec_of(2, Tree(tuple(nodes), about="units"))).table
    profile = table[table["level"] == "branch"].pivot(index="unit", columns="code", values="score")
    by_hand = [40 + np.mean(range(a, 30, 7)) for a in range(7)]
    np.testing.assert_allclose(profile.loc["B00", [f"L{a}" for a in range(7)]].astype(float), by_hand)
    assert (profile.loc["B01"] - profile.loc["B00"])[["L5", "L6"]].tolist() == [0, 10]
    assert profile.loc["B00", "L"] == pytest.approx(np.mean(by_hand)), (
        "aspects weigh alike, however many standards they have"
    )


# --- Tiers --------------------------------------------------------------------------------------------------------------


def test_chances_of_tiers_add_to_one_and_are_students():
    from scipy import stats

    chances = tier_chances(
        np.array([80.0, 90.0]), np.array([4.0, 0.5]), np.array([5.0, np.nan]), default_bands()["tiers"]
    )
    np.testing.assert_allclose(sum(chances.values()), 1)
    assert chances["advanced"][0] == pytest.approx(stats.t.sf(1.25, 5))
    assert chances["support"][0] == pytest.approx(stats.t.cdf(-2.5, 5))
    assert chances["advanced"][1] == pytest.approx(1)


def test_a_branch_at_the_boundary_is_undecided_and_those_to_support_get_help():
    rng = np.random.default_rng(1)
    level = np.linspace(55, 95, 20)
    values = np.clip(level[None, :, None] + rng.normal(0, 6, (12, 20, 4)), 0, 100)
    table = methods.tiers(scored(values, period=SPAN), "branch").table.set_index("unit")
    assert table.loc["B00", ["grade", "strategy", "help"]].tolist() == ["support", "basics", "visit"]
    assert table.loc["B10", ["grade", "strategy"]].tolist() == ["middle", "improve"]
    assert table.loc["B19", ["grade", "strategy", "help"]].tolist() == ["advanced", "innovate", ""]
    near = table[(table["score"] - 70).abs() < 0.6]
    assert set(near["grade"]) <= {"undecided"}
    assert (table.loc[table["grade"].isin(["support", "middle", "advanced"]), "probability"] >= 0.8).all()


def test_tiers_without_errors_are_none():
    table = methods.tiers(scored(np.full((1, 4, 4), 90.0)), "branch").table
    assert set(table["grade"]) == {""}
    assert set(table["reason"]) == {"no_error_source"}
    assert table["probability"].isna().all()


def test_a_stated_tier_is_wrong_as_seldom_as_it_says():
    """4,000 branches whose true scores lie evenly from 60 to 95: of the tiers stated, at most a fifth is wrong."""
    rng = np.random.default_rng(3)
    true = rng.uniform(60, 95, 4000)
    se, df = 3.0, 11
    chances = tier_chances(
        true + rng.normal(0, se, 4000),
        se * np.sqrt(rng.chisquare(df, 4000) / df),
        np.full(4000, float(df)),
        default_bands()["tiers"],
    )
    table = pd.DataFrame(chances)
    stated, sure = table.idxmax(axis=1), table.max(axis=1) >= 0.8
    truth = np.select([true > 85, true < 70], ["advanced", "support"], "middle")
    wrong = (stated != truth)[sure].mean()
    assert wrong < 0.2
    assert wrong == pytest.approx(1 - table.max(axis=1)[sure].mean(), abs=0.02)


def test_a_middle_unit_with_probability_55_is_printed_as_at_the_boundary():
    """Its score lies .1257 standard errors above the lower cut: P(中间水平) = Φ(.1257) = .55."""
    data = indicators(np.array([70 + 0.12566 * 2, 78.0, 96.0, 50.0])[None, :, None], spec_of(4, one_leaf()), "2026-09")
    data.values["se"] = [2.0, 1.0, 1.0, 1.0]
    result = methods.tiers(dj.score(data, by="branch"), "branch", code="K0")
    table = result.table.set_index("unit")
    assert table.loc["B00", "p_middle"] == pytest.approx(0.55, abs=1e-4)
    assert table.loc["B00", "grade"] == "undecided"
    assert (table["se_source"] == "declared").all()
    block = dj.table(dj.protect(result), ["unit", "grade", "probability", "strategy"])
    assert [row[:4] for row in block.content["rows"]] == [
        ["第0支部", "待定（处于边界）", "55.0%", ""], ["第1支部", "中间水平", ">99.9%", "促提升"], ["第2支部", "先进", ">99.9%", "看创新"],
        ["第3支部", "重点帮扶", ">99.9%", "抓基础"],
    ]  # fmt: skip


# --- Stars --------------------------------------------------------------------------------------------------------------


def test_a_star_needs_a_team_of_that_star():
    values = np.zeros((1, 5, 4))
    values[0] = np.array([96, 96, 84, 59, 70])[:, None]
    teams = pd.DataFrame({"branch": ["B00", "B00", "B01", "B02", "B04"], "star": [5, 3, 4, 5, np.nan]})
    table = dj.stars(scored(values), teams, "branch").table.set_index("unit")
    assert table["star_score"].tolist() == [5, 5, 3, 0, 2], "70 and more is two stars"
    assert table["star_granted"].tolist() == [5, 4, 3, 0, 0]
    assert table["reason"].tolist() == ["", "no_team_of_this_star", "", "", "no_teams"]
    assert set(table["se_source"]) == {"none"}, "one month has no error: the table says 仅作情况描述"
    assert table[["star_low", "star_high"]].isna().all(axis=None)
    assert table["margin"].isna().tolist() == [True, True, False, False, False]
    assert table.loc["B02", "margin"] == pytest.approx(6)
    assert table.loc["B04", "margin"] == pytest.approx(10)


def test_stars_not_ruled_out_are_those_of_the_ends_of_the_interval():
    rng = np.random.default_rng(8)
    scores = scored(np.clip(81 + rng.normal(0, 6, (12, 12, 4)), 0, 100), period="2025-10/2026-09")
    table = dj.stars(scores, None, "branch").table
    points = np.array([band.point for band in scores.spec.bands["stars"].bands])
    for name, end in (("star_low", "low"), ("star_high", "high")):
        assert table[name].tolist() == [float((points <= value).sum()) for value in table[end]]
    assert (table["star_low"] <= table["star_score"]).all()
    assert (table["star_low"] < table["star_high"]).any(), "some lie near a cut"
    assert set(table["se_source"]) == {"months"}


def test_five_stars_by_score_without_a_five_star_team_are_four_and_the_table_says_why():
    teams = pd.DataFrame({"branch": ["B00", "B00", "B01"], "star": [4, 3, 5]})
    result = dj.stars(scored(np.full((1, 3, 4), 96.0)), teams, "branch")
    block = dj.table(dj.protect(result), ["unit", "star_score", "star_teams", "star_granted", "reason"])
    assert block.content["rows"] == [
        ["第0支部", "5", "4", "4", "缺必备班组（没有相应星级的班组）"], ["第1支部", "5", "5", "5", ""], ["第2支部", "5", "—", "0", "没有班组星级"],
    ]  # fmt: skip


def test_teams_are_read_and_faults_named(tmp_path):
    head = "code,parent,label_zh,role,direction,weight,minimum,maximum\nP,,考评,index,1,,,\nA,P,任务,item,1,1,0,100\n"
    folder = workspace(tmp_path, head, "unit,period,code,value\nB1,2026-09,A,92\nB2,2026-09,A,92\n")
    (folder / "teams.csv").write_text("team,branch,period,star\nT1,B1,2026,5\nT2,B2,2026,3\n", encoding="utf-8")
    ws = dj.open_workspace(folder)
    table = dj.stars(dj.score(ws.indicators("2026-09"), by="branch"), ws.teams("2026"), "branch").table.set_index(
        "unit"
    )
    assert table.loc[["B1", "B2"], "star_granted"].tolist() == [4, 3]
    with pytest.raises(UsageError, match="2026"):
        ws.teams("2025")
    (folder / "teams.csv").write_text("team,branch,period,star\nT1,B9,2026,6\n", encoding="utf-8")
    with pytest.raises(DataError) as caught:
        dj.open_workspace(folder).teams()
    assert set(caught.value.problems.table["rule"]) == {"unknown_unit", "out_of_range"}


# --- Awards -------------------------------------------------------------------------------------------------------------


def two_types(spread: float, seed: int = 1):
    """Eleven 供电企业 and six 直属单位 with eight assessments over twelve months."""
    rng = np.random.default_rng(seed)
    nodes = [Indicator("W", "", role="index")]
    nodes += [Indicator(f"K{j}", "W", weight=1.0 + j % 3, minimum=0.0, maximum=100.0) for j in range(8)]
    spec = spec_of(17, Tree(tuple(nodes), about="units"))
    kinds = ["供电企业"] * 11 + ["直属单位"] * 6
    rows = [spec.units.root, *(Unit(f"B{i:02d}", "ALL", "branch", "admin", kind) for i, kind in enumerate(kinds))]
    spec = replace(spec, units=Units(tuple(rows)))
    values = np.clip(85 - spread * np.arange(17)[None, :, None] + rng.normal(0, 3, (12, 17, 8)), 0, 100)
    return dj.score(indicators(values, spec, SPAN), by="branch")


def test_awards_by_type_with_chance_and_other_weights():
    given_awards = dj.award(two_types(2.5), {"供电企业": 4, "直属单位": 2})
    table = given_awards.table
    assert table[table["awarded"]].groupby("type")["unit"].apply(list).to_dict() == {
        "供电企业": ["B00", "B01", "B02", "B03"], "直属单位": ["B11", "B12"],
    }  # fmt: skip
    assert table.groupby("type")["probability"].sum().round(2).to_dict() == {"供电企业": 4, "直属单位": 2}
    assert table.loc[table["awarded"], "other_weights"].min() > 0.9
    assert given_awards.cuts.table["decided"].all()


def test_a_cut_between_units_that_cannot_be_told_apart_is_warned_of():
    with pytest.warns(DjWarning, match="不宜据此兑现奖惩"):
        result = dj.award(two_types(0.02, seed=4), {"供电企业": 4})
    assert not result.cuts.table["decided"].iloc[0]
    assert result.table["probability"].max() < 0.95


def test_bonus_points_move_an_award_and_ties_share_it():
    scores = two_types(2.5)
    with_bonus = dj.award(scores, {"供电企业": 4}, bonus={"B05": 30.0}).table
    assert with_bonus.iloc[0][["unit", "bonus", "awarded"]].tolist() == ["B05", 30.0, True]
    same = np.full((1, 17, 8), 80.0)
    same[0, 0] = 90
    flat = dj.score(indicators(same, scores.spec, "2026-09"), by="branch")
    tied = dj.award(flat, {"供电企业": 4}).table
    assert tied["awarded"].all()
    assert tied.loc[tied["rank"] == 2, "tie"].all()
    assert not tied.loc[tied["rank"] == 1, "tie"].any()
    assert tied["probability"].isna().all(), "without an error no chance is printed"


def test_awards_name_what_is_wrong():
    scores = two_types(2.5)
    with pytest.raises(UsageError, match="类别/type"):
        dj.award(scores, {"县公司": 1})
    with pytest.raises(UsageError, match="6 个名额"):
        dj.award(scores, {"直属单位": 6})
    with pytest.raises(UsageError, match="单位/unit"):
        dj.award(scores, {"直属单位": 1}, bonus={"B77": 1.0})


# --- Audit of indicators ------------------------------------------------------------------------------------------------


def repeated(copies: int = 4, units: int = 40, seed: int = 1):
    """Six indicators of their own, then copies of the first ones with a little noise; the last one never moves."""
    rng = np.random.default_rng(seed)
    own = rng.normal(60, 12, (1, units, 6)) + rng.normal(0, 1, (6, units, 6))
    again = own[:, :, :copies] + rng.normal(0, 1.0, (6, units, copies))
    flat = np.full((6, units, 1), 100.0)
    nodes = [Indicator("BM", "", role="index")]
    nodes += [
        Indicator(f"K{j}", "BM", minimum=0.0, maximum=100.0, target=95.0, minutes=10.0) for j in range(6 + copies + 1)
    ]
    spec = spec_of(units, Tree(tuple(nodes), about="units"))
    values = np.clip(np.concatenate([own, again, flat], axis=2), 0, 100)
    return dj.score(indicators(values, spec, "2026-04/2026-09"), by="branch")


def test_indicators_that_repeat_others_are_found_and_those_that_do_not_are_not():
    table = methods.indicator_audit(repeated(), "branch").table.set_index("code")
    told = table["reason"].str.contains("audit_repeated")
    assert told[told].index.tolist() == ["K0", "K1", "K2", "K3", "K6", "K7", "K8", "K9"]
    assert "audit_ceiling" in table.loc["K10", "reason"]
    assert "audit_still" in table.loc["K10", "reason"]
    assert table.loc["K0", "vif"] > 10
    assert table.loc["K5", "vif"] < 2
    assert "audit_never_met" in table.loc["K5", "reason"]


def test_what_is_left_out_keeps_the_ranking():
    steps = methods.indicator_audit(repeated(), "branch", keep=0.9).reduction.table
    assert len(steps) >= 5
    assert (steps["tau"] >= 0.9).all()
    assert {"K6", "K7", "K8", "K9", "K10"} <= set(steps["code"]) | set(steps["into"])
    assert steps.loc[steps["code"] == "K10", "tau"].iloc[0] >= 0.99, "what never moves costs nothing"
    assert steps["left"].tolist() == [11.0 - step for step in steps["step"]]
    assert steps["minutes"].tolist() == [10.0 * step for step in steps["step"]]


def test_corrected_correlations_and_inflation_are_those_of_numpy_and_statsmodels():
    from statsmodels.stats.outliers_influence import variance_inflation_factor

    scores = repeated(copies=2)
    table = methods.indicator_audit(scores, "branch").table.set_index("code")
    wide = scores.table.query("period == '2026-04/2026-09' and level == 'branch'").pivot(
        index="unit", columns="code", values="score"
    )
    wide = wide[[f"K{j}" for j in range(8)]]
    design = np.column_stack([np.ones(len(wide)), wide.to_numpy()])
    for j in range(8):
        assert table.loc[f"K{j}", "vif"] == pytest.approx(variance_inflation_factor(design, j + 1), rel=1e-6)
    rest = (wide.drop(columns="K3").sum(axis=1) + 100) / 8
    assert table.loc["K3", "item_total"] == pytest.approx(np.corrcoef(wide["K3"], rest)[0, 1], rel=1e-6)


def audited(columns: list[np.ndarray], target: float = 60.0, **leaf: object) -> pd.DataFrame:
    """Audit indicators of the given values, each months × units; by code."""
    nodes = [Indicator("BM", "", role="index")]
    nodes += [Indicator(f"K{j}", "BM", minimum=0.0, maximum=100.0, target=target, **leaf) for j in range(len(columns))]
    values = np.stack(columns, axis=2)
    spec = spec_of(values.shape[1], Tree(tuple(nodes), about="units"))
    first = 10 - len(values)
    scores = dj.score(indicators(values, spec, f"2026-{first:02d}/2026-09"), by="branch")
    return methods.indicator_audit(scores, "branch").table.set_index("code")


def test_met_by_all_for_six_months_is_a_ceiling_and_alike_is_no_difference_by_hand():
    """Eight months, ten units. K1: all at 60 or more from the third month on; K2: one unit misses once; K3: alike, month by month."""
    rng = np.random.default_rng(3)
    months, units = 8, 10
    reached = rng.uniform(60, 90, (months, units))
    reached[:2] = 50
    once = rng.uniform(60, 90, (months, units))
    once[5, 4] = 59.9
    alike = np.repeat(np.linspace(40, 75, months)[:, None], units, axis=1)
    table = audited([rng.uniform(20, 90, (months, units)), reached, once, alike])
    assert table["always_met"].tolist()[1:] == [1, 0.9, 0]
    assert table["never_met"].tolist()[1:] == [0, 0, 0]
    assert "audit_always_met" in table.loc["K1", "reason"]
    assert "audit_always_met" not in table.loc["K2", "reason"]
    assert table.loc["K3", "reason"] == "audit_alike"
    five = audited([column[:5] for column in (rng.uniform(20, 90, (8, 10)), reached + 10, once, alike)])
    assert five["always_met"].isna().all(), "five months are no six"


def test_an_indicator_that_discriminates_is_seldom_called_unrelated_and_one_against_the_rest_is():
    """True item–rest correlation .30, by 12 or 100 units: called unrelated in 2.5 % of 2,000 audits at most."""
    rng, trials = np.random.default_rng(4), 2000
    for units in (12, 100):
        pairs = rng.multivariate_normal([0, 0], [[1, 0.3], [0.3, 1]], (trials, units), method="cholesky")
        called = sum(hardly_related(float(np.corrcoef(pair.T)[0, 1]), units) for pair in pairs)
        assert called <= stats.binom.ppf(0.995, trials, 0.025), (units, called)
    own = rng.normal(60, 12, (1, 100))
    noise = [rng.normal(0, 1, (6, 100)) for _ in range(4)]
    table = audited([own + noise[0], own + noise[1], own + noise[2], 120 - own + noise[3]], target=200.0)
    assert "audit_weak" in table.loc["K3", "reason"], "it runs against the others"
    assert "audit_weak" not in table.loc["K0", "reason"]


@pytest.mark.parametrize(("units", "count"), [(12, 10), (24, 20), (60, 10)])
def test_few_units_do_not_make_indicators_repeat_each_other(units, count):
    """Of ten unrelated indicators 38 % have a VIF of 10 and more among twelve units. Its limit lies above the truth in 5 % at most,
    over 2,000 draws each, for a true VIF of 1 and of 5."""
    rng, trials = np.random.default_rng(6), 2000
    for truth in (1.0, 5.0):
        draws = rng.normal(size=(trials, units, count))
        draws[:, :, 0] += np.sqrt(truth - 1) * draws[:, :, 1]
        inverse = np.linalg.inv(np.stack([np.corrcoef(draw, rowvar=False) for draw in draws]))[:, 0, 0]
        above = (least_inflation(inverse, units, count) > truth).sum()
        assert above <= stats.binom.ppf(0.995, trials, 0.05), (truth, above)
    table = audited(list(np.moveaxis(np.repeat(rng.uniform(20, 80, (1, 12, 10)), 2, axis=0), 2, 0)))
    assert (table["vif"] >= 10).any()
    assert not table["reason"].str.contains("audit_repeated").any()


def test_what_too_few_persons_answered_does_not_enter_the_audit():
    """K3 is about persons; of B00 only four answered, all content: the share at the ceiling must not tell it."""
    rng = np.random.default_rng(5)
    nodes = [Indicator("BM", "", role="index")]
    nodes += [Indicator(f"K{j}", "BM", minimum=0.0, maximum=100.0) for j in range(3)]
    nodes += [Indicator("K3", "BM", minimum=0.0, maximum=100.0, about="persons")]
    spec = spec_of(12, Tree(tuple(nodes), about="units"))
    values = rng.uniform(20, 90, (4, 12, 4))
    values[:, 0, 3] = 100.0
    data = indicators(values, spec, "2026-06/2026-09")
    names = sorted(data.values["unit"].unique())
    counted = data.values["n"].mask(data.values["code"] == "K3", 20.0)
    for n, share in ((4.0, 0.0), (20.0, 1 / 12)):
        few = (data.values["code"] == "K3") & (data.values["unit"] == names[0])
        of_few = replace(data, values=data.values.assign(n=counted.mask(few, n)))
        row = methods.indicator_audit(dj.score(of_few, by="branch"), "branch").table.set_index("code").loc["K3"]
        assert (row["ceiling"], row["missing"]) == (pytest.approx(share), 0)
        assert row["units"] == (11 if n < 10 else 12)


# --- Attributes of indicators -------------------------------------------------------------------------------------------


def attributed() -> Tree:
    nodes = [
        Indicator("BM", "", role="index"),
        Indicator("A", "BM", role="dimension", weight=3.0),
        Indicator("K1", "A", nature="党务|定量|共性", criterion="按月报计分"),
        Indicator("K2", "A", nature=" 行政 | 定性 |共性", criterion=" "),
        Indicator("K3", "BM", weight=1.0, nature="党务|行政|重点", criterion=""),
        Indicator("K4", "BM", weight=1.0, criterion="抽查"),
    ]
    return Tree(tuple(replace(n, minimum=0.0, maximum=100.0) if n.code[0] == "K" else n for n in nodes), about="units")


def test_shares_by_attribute_and_indicators_without_a_standard_by_hand():
    """A weighs 3 of 5 and its two halves .3 each; K3 and K4 weigh .2 each."""
    result = methods.attributes(indicators(np.full((1, 2, 4), 50.0), spec_of(2, attributed()), "2026-09"))
    assert result.declared
    plain = Tree(tuple(replace(node, nature="", criterion="") for node in attributed().nodes), about="units")
    assert not methods.attributes(indicators(np.full((1, 2, 4), 50.0), spec_of(2, plain), "2026-09")).declared
    table = result.table.set_index("attribute")
    assert table["indicators"].to_dict() == {
        "党务": 2,
        "行政": 2,
        "定性": 1,
        "定量": 1,
        "共性": 2,
        "重点": 1,
        "none": 1,
    }
    assert table["share"].to_dict() == {
        "党务": 0.5, "行政": 0.5, "定性": 0.25, "定量": 0.25, "共性": 0.5, "重点": 0.25, "none": 0.25
    }  # fmt: skip
    assert table["weight_share"].to_dict() == pytest.approx(
        {"党务": 0.5, "行政": 0.5, "定性": 0.3, "定量": 0.3, "共性": 0.6, "重点": 0.2, "none": 0.2}
    )
    assert result.blank.table["code"].tolist() == ["K2", "K3"]
    block = dj.table(dj.protect(result).part("blank"), ["code", "reason"])
    assert [row[1] for row in block.content["rows"]] == ["未写考核标准"] * 2


def test_nothing_is_listed_where_every_indicator_has_its_standard_and_attributes():
    nodes = tuple(replace(node, criterion="按月", nature="共性") for node in attributed().nodes)
    result = methods.attributes(indicators(np.full((1, 2, 4), 50.0), spec_of(2, Tree(nodes, about="units")), "2026-09"))
    assert result.table["attribute"].tolist() == ["共性"]
    assert result.table[["share", "weight_share"]].to_numpy().tolist() == [[1.0, pytest.approx(1.0)]]
    assert result.blank.table.empty
    assert dj.table(dj.protect(result).part("blank"), ["code", "reason"]).content["rows"] == []
