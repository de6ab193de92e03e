"""Rubrics and severity: what is refused, what stays inside, cases by hand, and how often the claims hold.

Rates lie in the 99 % binomial interval of what is claimed, over 1,000 draws of the demo's own design.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from trials import trials

import dj_analysis as dj
from dj_analysis.demo import make_company, score_marks
from dj_analysis.errors import DjWarning, UsageError
from dj_analysis.measure.raters import two_way
from dj_analysis.measure.raters.concordance import bland_altman
from dj_analysis.measure.raters.two_way import rank_bounds, severity, severity_range, win_probability
from dj_analysis.spec import reasons

UNITS = """unit,parent,level,type
C1,,unit,县公司
C2,,unit,县公司
C3,,unit,县公司
S1,,unit,供电所
S2,,unit,供电所
S3,,unit,供电所
"""
RUBRICS = """code,parent,label_zh,label_en,weight,minimum,maximum,types,raters
XG,,县公司评价细则,County companies,,,,县公司,officials
XG1,XG,任务,Tasks,3,0,100,,
XG2,XG,资料,Records,1,0,100,,
GD,,供电所评价细则,Stations,,,,供电所,people
GD1,GD,服务,Service,1,0,100,,
"""
Row = tuple[str, str, str, str, str, str]


def marks(units: str, codes: tuple[str, ...], raters: int) -> list[Row]:
    rng = np.random.default_rng(1)
    return [
        (f"R{r}", "检查组", unit, "2026", code, f"{75 + 5 * u + r + rng.normal():.1f}")
        for r in range(raters) for u, unit in enumerate(units.split()) for code in codes
    ]  # fmt: skip


def both(raters: int = 4) -> list[Row]:
    return [*marks("C1 C2 C3", ("XG1", "XG2"), raters), *marks("S1 S2 S3", ("GD1",), raters)]


def office(folder: Path, rows: list[Row], rubrics: str = RUBRICS) -> Path:
    folder.mkdir(parents=True)
    (folder / "workspace.toml").write_text('name = "试"\nlanguage = "zh"\n', "utf-8")
    (folder / "units.csv").write_text(UNITS, "utf-8")
    (folder / "rubrics.csv").write_text(rubrics, "utf-8")
    table = pd.DataFrame(rows, columns=["rater", "role", "unit", "period", "code", "value"])
    table.to_csv(folder / "ratings.csv", index=False)
    return folder


def sheets(seen: dict[str, dict[str, float]]) -> pd.DataFrame:
    rows = [(unit, rater, value) for unit, given in seen.items() for rater, value in given.items()]
    return pd.DataFrame(rows, columns=["unit", "rater", "score"]).assign(period="2026", kind="inspection")


# --- Rubrics are never mixed --------------------------------------------------------------------------------------------


def test_the_weights_are_those_of_the_rubric_and_another_one_is_unknown(tmp_path):
    ws = dj.open_workspace(office(tmp_path / "ws", both()))
    with pytest.raises(UsageError, match=r"2 个细则:XG、GD.*rubric="):
        dj.rate(ws.ratings())
    with pytest.raises(UsageError, match="评价细则/rubric"):
        dj.rate(ws.ratings(), rubric="XX")
    given = ws.ratings().table
    mean = given[given["unit"] == "C1"].groupby("code")["score"].mean()
    first = dj.rate(ws.ratings(), rubric="XG").table.iloc[0]
    assert (first["unit"], first["score"]) == ("C1", pytest.approx((3 * mean["XG1"] + mean["XG2"]) / 4))


def test_a_unit_judged_by_the_rubric_of_another_type_is_an_error(tmp_path):
    folder = office(tmp_path / "ws", [*both(), *marks("S1", ("XG1", "XG2"), 2)])
    ws = dj.open_workspace(folder)
    problem = ws.check().table.set_index("rule").loc["wrong_rubric"]
    assert "XG" in problem["place"]
    assert "S1 供电所" in problem["found"]
    assert "不得混用" in problem["advice"]
    with pytest.raises(dj.DjError, match="wrong_rubric"):
        ws.ratings()


@pytest.mark.parametrize(
    ("rubrics", "rows", "rule"),
    [
        (RUBRICS, [("R0", "检查组", "C1", "2026", "XG9", "90")], "unknown_code"),
        (RUBRICS, [("R0", "检查组", "C1", "2026", "XG1", "101")], "out_of_range"),
        (RUBRICS + "XG3,XG1,细项,,1,0,100,,\n", both(), "item_below_item"),
        (RUBRICS.replace("供电所,people", "分公司,people"), both(), "unknown_type"),
        (RUBRICS.replace("officials", "experts"), both(), "choice"),
        (RUBRICS.replace("Tasks,3,0,100", "Tasks,3,,"), both(), "range"),
    ],
    ids=["unknown code", "beyond the range", "item below an item", "unknown type", "unknown raters", "no range"],
)
def test_faults_of_rubrics_are_named(tmp_path, rubrics, rows, rule):
    folder = office(tmp_path / "ws", rows, rubrics)
    with pytest.raises(dj.DjError) as caught:
        dj.open_workspace(folder).ratings()
    assert rule in set(caught.value.problems.table["rule"]), caught.value.problems.table.to_string()


def test_who_judges_is_told_by_the_rubric_and_nine_people_are_too_few(tmp_path):
    ws = dj.open_workspace(office(tmp_path / "ws", both(9)))
    plan = ws.release_plan("2026")
    teams, asked = (dj.protect(dj.rate(ws.ratings("2026"), rubric=name), plan) for name in ("XG", "GD"))
    assert teams.table["score"].notna().all()
    assert "severity" in set(teams.part("agreement").table["coefficient"])
    assert teams.part("severity").table["severity"].isna().all(), "how strict one rater is stays inside"
    assert set(asked.table["reason"]) == {reasons.SMALL_GROUP}
    assert asked.part("lead").table.empty
    for table in (asked.table, *(asked.part(name).table for name in ("agreement", "self", "wins", "severity"))):
        assert table.drop(columns="rater", errors="ignore").select_dtypes("number").isna().all(axis=None)
    ten = dj.open_workspace(office(tmp_path / "ten", both(10)))
    shown = dj.protect(dj.rate(ten.ratings("2026"), rubric="GD"), ten.release_plan("2026"))
    assert shown.table["score"].notna().all()
    assert "severity" not in set(shown.part("agreement").table["coefficient"]), "the ends of a range are two people"


def test_what_was_rated_in_the_months_before(tmp_path):
    ws = dj.open_workspace(office(tmp_path / "ws", both()))
    assert ws.rated("2026-12") == [("XG", "2026"), ("GD", "2026")]
    assert ws.rated("2026-11") == [], "the year is not over"
    assert ws.rated("2028-01") == []
    (ws.folder / "ratings.csv").unlink()
    assert dj.open_workspace(ws.folder).rated("2026-12") == []


@pytest.mark.parametrize("branches", [2, pytest.param(5, marks=pytest.mark.everything), 9])
def test_a_small_company_has_sheets_too(tmp_path, branches):
    ws = dj.open_workspace(
        make_company(employees=200, branches=branches, quarters=1).write(tmp_path / "demo", closed=False)
    )
    assert len(ws.check().table) == 0
    rated = ws.rated("2026-09")
    assert [rubric for rubric, _ in rated if rubric in ("KP", "JB")] == ["KP", "JB", "JB"]
    assert [rubric for rubric, _ in rated if rubric == "HC"] == ["HC", "HC"] * (branches >= 8), "sets of four and more"
    for rubric, period in ws.rated("2026-09"):
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            assert len(dj.rate(ws.ratings(period), rubric=rubric)) >= 2


# --- Severity is taken out: by hand -------------------------------------------------------------------------------------


def test_self_assessment_is_held_against_adjusted_inspection():
    # Truth 70 80 90; team s takes 4 off, m nothing, only B is seen by both: on the scale of their mean the truth is 2 less.
    seen = {"A": {"s": 66.0}, "B": {"s": 76.0, "m": 80.0}, "C": {"m": 90.0}}
    own = sheets({unit: {"own": truth} for unit, truth in zip("ABC", (70.0, 80.0, 90.0), strict=True)})
    table = dj.rate(pd.concat([sheets(seen), own.assign(kind="self")]), officials=True).self_assessment.table
    assert table["inspection"].tolist() == pytest.approx([68, 78, 88])
    assert table["difference"].tolist() == pytest.approx([2, 2, 2])


def test_ranks_that_change():
    # As given A (66) is behind C (68); its team takes 4 off: adjusted A is 68, C 66.
    table = dj.rate(sheets({"A": {"s": 66.0}, "B": {"s": 76.0, "m": 80.0}, "C": {"m": 68.0}}), officials=True).table
    table = table.set_index("unit")
    assert table["rank_before"].to_dict() == {"A": 3, "B": 1, "C": 2}
    assert table["rank"].to_dict() == {"A": 2, "B": 1, "C": 3}
    assert table[["rank_low", "rank_high", "se"]].isna().all(axis=None), "no error is left to judge by"


def test_equal_scores_share_a_rank_and_name_each_other():
    table = dj.rate(
        sheets({u: {"x": v, "y": v + 2} for u, v in zip("ABC", (80.0, 80.0, 70.0), strict=True)}), officials=True
    ).table
    assert table["rank"].tolist() == [1, 1, 3]
    assert table["tied_with"].tolist() == ["B", "A", ""]


def test_units_without_a_common_rater_keep_their_means_with_a_warning():
    seen = {
        "A": {"a": 70.0, "b": 71.0},
        "B": {"a": 72.0, "b": 74.0},
        "C": {"c": 74.0, "d": 75.0},
        "D": {"c": 76.0, "d": 79.0},
    }
    with pytest.warns(DjWarning, match="没有共同的评分方"):
        rating = dj.rate(sheets(seen), officials=True)
    assert rating.table["score"].tolist() == [70.5, 73, 74.5, 77.5]
    assert rating.table["adjusted"].isna().all()
    assert set(rating.table["reason"]) == {two_way.NOT_CROSSED}
    (row,) = rating.agreement.table.query("coefficient == 'severity'").to_dict("records")
    assert (np.isnan(row["estimate"]), row["reason"]) == (True, two_way.NOT_CROSSED)


def test_how_far_two_teams_lie_apart_is_the_paired_test():
    x = np.random.default_rng(5).normal(80, 4, (9, 1)) + np.random.default_rng(6).normal(size=(9, 2)) + [0, 2]
    apart, low, high, p = severity_range(severity(x))
    test = stats.ttest_rel(x[:, 1], x[:, 0])
    interval = test.confidence_interval()
    assert (apart, low, high, p) == pytest.approx((np.diff(x).mean(), interval.low, interval.high, test.pvalue))


def test_how_far_three_teams_lie_apart_is_tukeys_range():
    x = np.random.default_rng(3).normal(size=(8, 3)) + np.array([0, 1, 3])
    apart, low, _, p = severity_range(severity(x))
    residuals = x - x.mean(axis=1, keepdims=True) - x.mean(axis=0) + x.mean()
    error = np.sqrt((residuals**2).sum() / 14 / 8)
    assert apart == pytest.approx(np.ptp(x.mean(axis=0)))
    assert p == pytest.approx(stats.studentized_range.sf(apart / error, 3, 14))
    assert low == pytest.approx(apart - stats.studentized_range.ppf(0.95, 3, 14) * error)


# --- How often claims hold ----------------------------------------------------------------------------------------------

TRIALS = trials(1000)
INFLATED = 15  # place of the unit that flatters itself


def accepted(count: int, claimed: float) -> bool:
    low, high = stats.binom.interval(0.99, TRIALS, claimed)
    return bool(low <= count <= high)


def inspections(planted: bool) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Sheet scores of two teams, a third of thirty units seen by both, and the units' own: the demo's design and sizes."""
    rng = np.random.default_rng(17)
    units, items = score_marks.INSPECTED, 4
    third, strict = np.arange(units) % 3, np.array(list(score_marks.TEAMS.values()))
    for _ in range(TRIALS):
        standing = score_marks.USUAL + planted * score_marks.SPREAD * rng.standard_normal(units)
        error = score_marks.MARK_ERROR / np.sqrt(items) * rng.standard_normal((units, 2))
        teams = standing[:, None] - planted * strict + error
        own = (
            standing
            + planted * score_marks.SELF_BIAS
            + score_marks.SELF_ERROR / np.sqrt(items) * rng.standard_normal(units)
        )
        own[INFLATED] += planted * score_marks.INFLATED
        yield np.where((third[:, None] == 0) | (third[:, None] == [1, 2]), teams, np.nan), own


@pytest.mark.parametrize("planted", [True, False])
def test_severity_of_two_teams_keeps_its_promise(planted):
    """Planted 4 points lie in the interval in 95 % of draws; of none planted a difference is claimed in 5 %."""
    held = claimed = beyond = found = sets = 0
    for teams, own in inspections(planted):
        estimates = severity(teams)
        _, low, high, p = severity_range(estimates)
        held += abs(estimates.severity[0] - estimates.severity[1] - 4.0 * planted) <= (high - low) / 2
        claimed += p < 0.05
        difference = own - estimates.adjusted
        _, least, most = bland_altman(difference)["estimate"]
        outside = (difference < least) | (difference > most)
        found, beyond = found + outside[INFLATED], beyond + np.delete(outside, INFLATED).sum()
        if not planted:
            best, worst = rank_bounds(estimates, draws=400)
            sets += bool((best == 1).all() and (worst == len(own)).all())
    assert accepted(held, 0.95), held
    others = beyond / TRIALS / (score_marks.INSPECTED - 1)
    if planted:
        assert min(claimed, found) >= 0.99 * TRIALS, (claimed, found)
        assert others < 0.01, "one that flatters itself widens the limits: the others stay inside"
    else:
        assert accepted(claimed, 0.05), claimed
        assert others < 0.055, others
        assert accepted(sets, 0.95), sets


def test_rank_sets_hold_the_true_ranks_of_all_units_where_they_differ():
    held, truth = 0, np.arange(12, 0, -1)
    rng = np.random.default_rng(23)
    third = np.arange(12) % 3
    for _ in range(TRIALS):
        teams = truth[:, None] - np.array([3.0, -1.0]) + rng.standard_normal((12, 2))
        low, high = rank_bounds(
            severity(np.where((third[:, None] == 0) | (third[:, None] == [1, 2]), teams, np.nan)), draws=400
        )
        held += bool(((low <= np.arange(1, 13)) & (np.arange(1, 13) <= high)).all())
    assert held >= stats.binom.interval(0.99, TRIALS, 0.95)[0], held


@pytest.mark.parametrize(
    ("standing", "claimed"), [(score_marks.CLEAR, None), (score_marks.EQUAL, 0.10), ((0.0,) * score_marks.BIDS, 0.0)],
    ids=["clear winner", "two equal", "all equal"],
)  # fmt: skip
def test_a_clear_bid_leads_and_equal_ones_seldom_do(standing, claimed):
    """Of two equal bids one is said to lead in 10 % of draws, as either may come first; of five equal ones in fewer."""
    rng, leads = np.random.default_rng(29), 0
    for _ in range(TRIALS):
        strict = score_marks.JUDGE_SPREAD * rng.standard_normal(score_marks.JUDGES)
        error = score_marks.MARK_ERROR / np.sqrt(3) * rng.standard_normal((score_marks.BIDS, score_marks.JUDGES))
        estimates = severity(80.0 + np.array(standing)[:, None] - strict + error)
        first, second = np.argsort(-estimates.centre)[:2]
        leads += win_probability(estimates)[0][first, second] >= 0.95
    if claimed is None:
        assert leads >= 0.99 * TRIALS, leads
    elif claimed:
        assert accepted(leads, claimed), leads
    else:
        assert leads < 0.10 * TRIALS, leads
