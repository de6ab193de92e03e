"""Review of indicator values: stages by hand, heaping of digits by simulation, planted truth and its opposite.

The hand-worked table is exact; simulated rates are claims about 1,000 draws and more, accepted up to the 99.9 % binomial bound.
Fisher's tail is scipy's; Wilson's interval that of 81 of 263 published by Newcombe (1998): .2553–.3662.
"""

from __future__ import annotations

import html
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from trials import trials

import dj_analysis as dj
from dj_analysis import methods
from dj_analysis.errors import DataError, UsageError
from dj_analysis.judge.digits import last_digits
from dj_analysis.judge.review import ReviewAudit, more_often
from dj_analysis.measure.survey import Indicators
from dj_analysis.spec.specification import Specification
from dj_analysis.spec.tree import Indicator, Tree
from dj_analysis.spec.units import Unit, Units

# --- Stages by hand -----------------------------------------------------------------------------------------------------

INDICATORS = """code,parent,label_zh,role,direction,weight,minimum,maximum,about
BM,,对标,index,1,,,,
K1,BM,活动次数,item,1,1,0,20,units
K2,BM,违章次数,item,-1,1,0,10,units
K3,BM,满意率,item,1,1,0,100,persons
"""
#: K1: 8 → 10 when checked, 10 → 9 when compiled; K2: 3 → 1 when checked (fewer is better); B3 skips a stage, fills a blank.
VALUES = """unit,period,code,value,stage,role,time,n
B1,2026-09,K1,8,reported,支部,2026-10-03,
B1,2026-09,K1,10,checked,管理部门,2026-10-05,
B1,2026-09,K1,9,compiled,专责,2026-10-09,
B1,2026-09,K1,9,released,领导,2026-10-10,
B1,2026-09,K2,3,reported,支部,2026-10-03,
B1,2026-09,K2,1,checked,管理部门,2026-10-06,
B1,2026-09,K2,1,compiled,专责,2026-10-09,
B1,2026-09,K2,1,released,领导,2026-10-10,
B2,2026-09,K1,12,reported,支部,2026-10-09,
B2,2026-09,K1,12,checked,管理部门,2026-10-08,
B2,2026-09,K1,12,compiled,专责,2026-10-11,
B2,2026-09,K1,12,,领导,2026-10-12,
B2,2026-09,K2,不适用,reported,支部,2026-10-09,
B2,2026-09,K2,不适用,released,领导,2026-10-12,
B3,2026-09,K1,,reported,支部,2026-10-02,
B3,2026-09,K1,6,compiled,专责,2026-10-06,
B3,2026-09,K1,5,released,领导,2026-10-07,
B3,2026-09,K2,4,reported,支部,,
B3,2026-09,K2,,checked,管理部门,,
B3,2026-09,K2,,released,领导,,
B1,2026-09,K3,50,reported,支部,2026-10-03,3
B1,2026-09,K3,90,released,领导,2026-10-10,3
"""
RULES = "[review]\nreported = 5\nchecked = 2\n"


def office(folder: Path, values: str = VALUES, rules: str = RULES) -> dj.Workspace:
    """Write a workspace of three branches of one city and one of another, with values at their stages."""
    folder.mkdir(parents=True, exist_ok=True)
    units = "unit,parent,level\nC1,,city\nC2,,city\nB1,C1,branch\nB2,C1,branch\nB3,C2,branch\n"
    files = {
        "workspace.toml": 'name = "试"\n',
        "units.csv": units,
        "indicators.csv": INDICATORS,
        "indicator_values.csv": values,
        "rules.toml": rules,
    }
    for name, content in files.items():
        (folder / name).write_text(content, encoding="utf-8")
    return dj.open_workspace(folder)


@pytest.fixture(scope="module")
def by_hand(tmp_path_factory: pytest.TempPathFactory) -> ReviewAudit:
    return methods.review_audit(office(tmp_path_factory.mktemp("review")).indicators("2026-09"))


def test_stages_of_a_hand_worked_table(by_hand: ReviewAudit):
    """Five values: B2's K2 does not apply, K3 is about persons. Sizes: K1 5 points a unit, K2 10 points a unit, fewer better."""
    table = by_hand.table.set_index("stage")
    assert table.index.tolist() == ["reported", "checked", "compiled", "released", "overall"]
    assert table["entered"].tolist() == [5, 4, 4, 5, 5]
    assert table["blank"].tolist() == [1 / 5, 1 / 4, 0, 1 / 5, 1 / 5]
    assert table["compared"].tolist() == [0, 3, 3, 4, 3]
    assert table["revised"].tolist() == [0, 2, 1, 1, 2]
    # checked: 8 → 10 is +10 points, 3 → 1 is +20; compiled: 10 → 9 is −5; released: B3's 6 → 5 is −5; overall 8 → 9 and 3 → 1
    assert table["revision"].tolist()[1:] == pytest.approx([15, -5, -5, 12.5])
    assert table["revision_size"].tolist()[1:] == pytest.approx([15, 5, 5, 12.5])
    assert table["filled"].tolist() == [0, 0, 1, 0, 1], "B3's K1 was blank until it was compiled"
    assert table["removed"].tolist() == [0, 1, 0, 0, 1], "B3's K2 was taken out when it was checked"
    low, high = (table.loc["checked", end] for end in ("low", "high"))
    assert table.loc["checked", "share"] == pytest.approx(2 / 3)
    assert (low, high) == pytest.approx((0.2077, 0.9385), abs=5e-5)  # Wilson, 2 of 3
    assert table.loc["reported", "reason"] == "first_stage"


def test_days_and_lateness_of_a_hand_worked_table(by_hand: ReviewAudit):
    table = by_hand.table.set_index("stage")
    # reported after 3, 3, 9, 2 days; checked after 2, 3 (B2's is dated before its report); compiled 4, 3, 3, and 4 since the report;
    # released 7, 7, 3 and 5 days after the report
    assert table["days_median"].tolist() == pytest.approx([3, 2.5, 3.5, 1, 6])
    assert table.loc["reported", "days_most"] == pytest.approx(3 + 0.7 * 6)  # 90 % quantile of 2, 3, 3, 9
    assert table["misdated"].tolist() == [0, 1, 0, 0, 0]
    assert table.loc["reported", "late"] == pytest.approx(1 / 4), "within 5 days of the end of the month"
    assert table.loc["checked", "late"] == pytest.approx(1 / 2), "within 2 days of the report"
    assert table.loc[["compiled", "released", "overall"], "late"].isna().all(), "no limit is declared"


def test_a_report_sent_during_its_period_is_on_time_and_one_before_it_is_misdated(tmp_path):
    rows = (
        "B1,2026-09,K1,8,reported,,2026-09-28,\nB2,2026-09,K1,8,reported,,2026-10-06,\n"
        "B3,2026-09,K1,8,reported,,2026-08-31,\nB3,2026-09,K1,8,released,,2026-10-02,\n"
    )
    audit = methods.review_audit(office(tmp_path, VALUES.splitlines()[0] + "\n" + rows).indicators("2026-09"))
    first = audit.table.set_index("stage").loc["reported"]
    assert (first["days_median"], first["late"], first["misdated"]) == (3, 1 / 2, 1)
    late = audit.lateness.table.set_index("unit")
    assert late["months_late"].to_dict() == {"B1": 0, "B2": 1}
    assert late["days_median"].to_dict() == {"B1": 0, "B2": 6}


def test_a_value_changed_from_8_to_10_at_the_second_stage_is_listed(by_hand: ReviewAudit):
    listed = by_hand.revisions.table
    columns = ["unit", "code", "period", "stage", "value_before", "value", "revision", "role"]
    assert listed[columns].to_numpy().tolist() == [
        ["B1", "K2", "2026-09", "checked", 3.0, 1.0, 20.0, "管理部门"],
        ["B1", "K1", "2026-09", "checked", 8.0, 10.0, 10.0, "管理部门"],
        ["B1", "K1", "2026-09", "compiled", 10.0, 9.0, -5.0, "专责"],
        ["B3", "K1", "2026-09", "released", 6.0, 5.0, -5.0, "领导"],
    ]
    assert listed["rank"].tolist() == [1, 2, 3, 4]
    block = dj.table(
        dj.protect(by_hand).part("revisions"), ["unit", "code", "stage", "value_before", "value"], sort="rank"
    )
    assert ["B1", "活动次数", "管理部门审查", "8.00", "10.00"] in block.content["rows"]


def test_indicators_about_persons_are_left_out(by_hand: ReviewAudit):
    for result in (by_hand, *by_hand.parts.values()):
        assert "K3" not in set(result.table.get("code", pd.Series(dtype=str)))


def test_a_city_counts_its_own_values(tmp_path):
    branches = office(tmp_path).indicators("2026-09")
    audit = methods.review_audit(branches, below="C2")
    assert audit.table.set_index("stage")["entered"].tolist() == [2, 1, 1, 2, 2]
    assert set(audit.revisions.table["unit"]) == set(audit.units.table["unit"]) == {"B3"}
    with pytest.raises(UsageError, match="C9"):
        methods.review_audit(branches, below="C9")


def test_released_values_are_scored_as_without_the_other_stages(tmp_path):
    lines = VALUES.splitlines(keepends=True)
    released = "".join([lines[0], *(line for line in lines[1:] if line.split(",")[4] in ("", "released"))])
    with_stages, without = (
        dj.score(office(tmp_path / name, values).indicators("2026-09")).table
        for name, values in (("all", VALUES), ("released", released))
    )
    pd.testing.assert_frame_equal(with_stages, without)


def test_where_no_stage_was_kept_the_audit_says_so(tmp_path):
    ws = office(tmp_path, "unit,period,code,value\nB1,2026-09,K1,8\nB2,2026-09,K1,9\n")
    audit = methods.review_audit(ws.indicators("2026-09"))
    assert audit.table["entered"].tolist() == [0] * 5
    assert set(audit.table["reason"]) == {"no_stage_rows"}
    assert all(audit.parts[name].table.empty for name in ("revisions", "codes", "units", "lateness"))
    assert audit.digits.table["reason"].unique().tolist() == ["digits_too_few"]
    assert dj.table(dj.protect(audit, ws.release_plan("2026-09"))).content["rows"][0][0] == "2026-09"


def test_only_the_months_asked_for_are_audited(tmp_path):
    ws = office(tmp_path, VALUES + "B1,2026-08,K1,8,reported,,,\nB1,2026-08,K1,9,released,,,\n")
    assert methods.review_audit(ws.indicators("2026-08")).table["entered"].tolist() == [1, 0, 0, 1, 1]
    both = methods.review_audit(ws.indicators("2026-08/2026-09"))
    assert both.table["entered"].tolist() == [6, 4, 4, 6, 6]
    assert set(both.revisions.table["period"]) == {"2026-08", "2026-09"}
    august = methods.review_audit(ws.indicators("2026-08")).table.set_index("stage")
    assert august.loc["released", "reason"] == "no_times"


@pytest.mark.parametrize(
    ("row", "rule"),
    [
        ("B9,2026-09,K1,8,reported,,,\n", "unknown_unit"),
        ("B1,2026-09,K9,8,checked,,,\n", "unknown_code"),
        ("B1,2026-09,K1,8,reported,,,\n", "duplicate_row"),
        ("B2,2026-08,K1,8,reported,,上周,\n", "bad_date"),
    ],
)
def test_faults_of_earlier_stages_are_named(tmp_path, row, rule):
    ws = office(tmp_path, VALUES + row)
    with pytest.raises(DataError) as caught:
        ws.indicators("2026-09")
    assert rule in set(caught.value.problems.table["rule"])


def test_a_report_beyond_its_range_is_what_a_review_corrects(tmp_path):
    ws = office(tmp_path, VALUES.replace("B1,2026-09,K1,8,reported", "B1,2026-09,K1,80,reported"))
    first = methods.review_audit(ws.indicators("2026-09")).revisions.table.iloc[0]
    assert (first["value_before"], first["value"], first["revision"]) == (80, 10, -350)


@pytest.mark.parametrize("limit", ["-1", "90", "2.5", "true", '"五"'])
def test_a_day_limit_that_cannot_be_is_refused(tmp_path, limit):
    with pytest.raises(dj.DjError, match=r"\[review\] reported"):
        office(tmp_path, rules=f"[review]\nreported = {limit}\n")


def test_without_a_day_limit_nobody_is_late(tmp_path):
    audit = methods.review_audit(office(tmp_path, rules="").indicators("2026-09"))
    assert audit.table["late"].isna().all()
    assert set(audit.lateness.table["reason"]) == {"no_day_limit"}
    assert audit.lateness.table["often"].isna().all()


# --- Who more often than all --------------------------------------------------------------------------------------------


def test_the_tail_is_fishers_where_units_scatter_as_chance_has_it():
    count, n = np.array([6.0, 1, 1, 2, 1, 1]), np.array([20.0] * 6)
    p = more_often(count, n)
    _, fisher = stats.fisher_exact([[6, 14], [6, 94]], alternative="greater")
    assert fisher * (1 - 1e-9) <= p[0] < 3 * fisher, "exact, or widened where the units scatter"
    even = more_often(np.full(10, 4.0), np.full(10, 40.0))
    assert even == pytest.approx(stats.hypergeom(400, 40, 40).sf(3))


def test_units_that_scatter_widely_are_not_named():
    """Every unit's checker corrects whole sheets: shares scatter from .05 to .4, and none of them stands out."""
    rng = np.random.default_rng(1)
    share = np.clip(rng.normal(0.22, 0.08, (400, 40)), 0.01, 1)
    counts = rng.binomial(60, share).astype(float)
    named = [methods_named(more_often(row, np.full(40, 60.0))) for row in counts]
    naive = [methods_named(stats.hypergeom(2400, row.sum(), 60).sf(row - 1)) for row in counts]
    assert np.mean(named) <= 0.15
    assert np.mean(naive) > 0.9


def methods_named(p: np.ndarray) -> bool:
    return bool((stats.false_discovery_control(p) <= 0.10).any())


@pytest.mark.parametrize(("values", "rate"), [(60, 0.06), (3, 0.05)])
def test_of_units_alike_one_is_named_at_most_at_the_stated_rate(values, rate):
    """Under the null every finding is false: in at most a tenth of 1,000 offices (a part of them every day) somebody is named."""
    rng, draws = np.random.default_rng(2), trials(1000)
    counts = rng.binomial(values, rate, (draws, 60)).astype(float)
    named = sum(methods_named(more_often(row, np.full(60, float(values)))) for row in counts)
    assert named <= stats.binom.ppf(0.999, draws, 0.10)


def test_fewer_than_three_units_are_not_held_against_each_other():
    assert np.isnan(more_often(np.array([5.0, 0.0]), np.array([9.0, 9.0]))).all()
    assert np.isnan(more_often(np.array([5.0, 0, 1, 0]), np.array([9.0, 0, 9, 9]))).tolist() == [
        False,
        True,
        False,
        False,
    ]


# --- Heaping ------------------------------------------------------------------------------------------------------------


def reported(values: np.ndarray, low: float = 0.0, high: float = 100.0, **leaf: float) -> Indicators:
    """Indicator values of branches: units × months × codes, as released."""
    units, months, codes = values.shape
    names, periods = [f"B{i:02d}" for i in range(units)], [f"2026-{m + 1:02d}" for m in range(months)]
    nodes = [Indicator("BM", "", role="index")]
    nodes += [Indicator(f"K{j}", "BM", minimum=low, maximum=high, about="units", **leaf) for j in range(codes)]
    spec = Specification(
        units=Units(tuple(Unit(name, level="branch") for name in names)), indicators=Tree(tuple(nodes), about="units")
    )
    rows = pd.MultiIndex.from_product(
        [names, periods, [f"K{j}" for j in range(codes)]], names=["unit", "period", "code"]
    )
    table = rows.to_frame(index=False).assign(value=values.ravel(), n=np.nan, se=np.nan, reason="")
    return Indicators(table, spec, f"{periods[0]}/{periods[-1]}")


SHAPES = {
    "percent, one decimal": lambda rng, size: np.round(np.clip(rng.normal(88, 5, size), 0, 100), 1),
    "counts, wide": lambda rng, size: rng.integers(0, 101, size).astype(float),
    "counts, skewed": lambda rng, size: np.minimum(np.floor(rng.exponential(12, size)), 100.0),
    "at the ceiling": lambda rng, size: np.round(np.minimum(rng.normal(99, 6, size), 100), 1),
}


@pytest.mark.parametrize("shape", SHAPES)
def test_values_nobody_rounded_are_called_heaped_at_most_at_the_stated_rate(shape):
    """1,200 indicators of 160 values: flagged at 5 % in at most 5 %, by either digit."""
    rng = np.random.default_rng(3)
    flagged = {5: 0, 10: 0}
    tested = {5: 0, 10: 0}
    for values in SHAPES[shape](rng, (1200, 160)):
        for grid in flagged:
            digits = last_digits(values, grid, 0.0, 100.0, np.nan)
            if not digits.reason:
                tested[grid] += 1
                p = stats.binom.sf(digits.on.sum() - 1, digits.inside.sum(), 1 / grid)
                flagged[grid] += p <= 0.05
    assert tested[5] >= 1000
    for grid, count in tested.items():
        assert flagged[grid] <= stats.binom.ppf(0.999, count, 0.05), (flagged, tested)


def test_branches_that_do_not_round_are_called_heaped_at_most_at_the_stated_rate():
    """1,200 branches of 40 values on five indicators: p below 5 % in at most 5 %, and after correction nobody."""
    rng = np.random.default_rng(4)
    table = methods.review_audit(reported(np.round(rng.uniform(40, 100, (1200, 8, 5)), 1))).unit_digits.table
    for digit, rows in table.groupby("digit"):
        assert rows["p"].notna().sum() == 1200, digit
        assert (rows["p"] <= 0.05).sum() <= stats.binom.ppf(0.999, 1200, 0.05), digit
    assert not table["heaped"].any()


def test_heaped_values_are_found_in_the_unit_and_in_the_indicator():
    rng = np.random.default_rng(5)
    units, indicators_, draws = 0, 0, trials(30, 10)
    for _ in range(draws):
        values = np.round(rng.uniform(40, 100, (20, 8, 5)), 1)
        values[3] = np.where(rng.random((8, 5)) < 0.6, np.round(values[3] / 5) * 5, values[3])  # a branch
        values[:, :, 2] = np.where(
            rng.random((20, 8)) < 0.5, np.round(values[:, :, 2]), values[:, :, 2]
        )  # an indicator
        audit = methods.review_audit(reported(values))
        heaped = audit.unit_digits.table.query("heaped")["unit"]
        units += "B03" in set(heaped)
        codes = audit.digits.table.query("heaped")["code"]
        indicators_ += "K2" in set(codes)
        assert audit.digits.table["reason"].eq("").all()
    assert units >= 0.9 * draws
    assert indicators_ == draws


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        (lambda rng: rng.integers(0, 2, 200), "digits_too_few"),  # yes or no: nothing lies inside the ends
        (lambda rng: rng.integers(1, 6, 200) * 20, "digits_stepped"),  # five steps
        (lambda rng: rng.integers(0, 101, 200) // 2 * 2, "digits_stepped"),  # even numbers
        (lambda rng: rng.integers(0, 21, 200) * 5, "digits_stepped"),  # points given in fives
        (lambda rng: rng.integers(0, 201, 200) / 2, "digits_stepped"),  # halves
        (lambda rng: rng.integers(0, 401, 200) / 4, "digits_stepped"),  # quarters
        (lambda rng: rng.binomial(40, 0.25, 200), "digits_narrow"),  # counts about 10, three either way
        (lambda rng: np.full(200, 95.0), "digits_stepped"),  # the same everywhere
        (lambda rng: np.full(200, 97.0), "digits_narrow"),
        (lambda rng: rng.integers(0, 101, 20), "digits_too_few"),
        (lambda rng: np.full(200, 100.0), "digits_too_few"),  # all at the ceiling
        (lambda rng: np.array([]), "digits_too_few"),
    ],
)
def test_what_cannot_be_heaped_is_not_tested(values, reason):
    given = np.asarray(values(np.random.default_rng(6)), dtype=float)
    assert last_digits(given, 5, 0.0, 100.0, np.nan).reason == reason


def test_a_target_many_meet_exactly_is_no_heaping():
    rng = np.random.default_rng(7)
    values = np.round(rng.uniform(40, 100, 400), 1)
    values[:120] = 95.0
    digits = last_digits(values, 5, 0.0, 100.0, 95.0)
    assert digits.reason == ""
    assert stats.binom.sf(digits.on.sum() - 1, digits.inside.sum(), 0.2) > 0.01
    assert stats.binom.sf(last_digits(values, 5, 0.0, 100.0, np.nan).on.sum() - 1, 400, 0.2) < 1e-6


def test_an_indicator_that_ends_in_5_everywhere_says_nothing_of_a_unit():
    """Shares of small numbers: every branch has them, so no branch is told that it rounds."""
    rng = np.random.default_rng(8)
    whole = rng.integers(4, 21, (30, 12, 6))
    values = np.round(100 * rng.binomial(whole, 0.8) / whole, 1)
    audit = methods.review_audit(reported(values))
    assert audit.digits.table.query("digit == '0|5'")["heaped"].all(), "the indicators are, and the note says why"
    assert not audit.unit_digits.table["heaped"].fillna(False).any()


def test_a_value_repeated_month_after_month_is_counted_once():
    values = np.round(np.random.default_rng(9).uniform(40, 100, (12, 12, 4)), 1)
    values[0] = 85.0
    table = methods.review_audit(reported(values)).unit_digits.table.set_index(["unit", "digit"])
    assert table.loc[("B00", "0|5"), "tested"] == 4
    assert table.loc[("B00", "0|5"), "reason"] == "digits_too_few"


def test_one_branch_alone_has_an_audit():
    audit = methods.review_audit(reported(np.round(np.random.default_rng(10).uniform(0, 100, (1, 12, 4)), 1)))
    assert audit.unit_digits.table["reason"].tolist() == ["digits_too_few"] * 2
    assert len(audit.digits.table) == 8


# --- Planted truth ------------------------------------------------------------------------------------------------------

REVIEW_KINDS = ["often_revised", "late_reporter", "heaped_digits"]


@pytest.mark.parametrize(("branches", "seed"), [(60, 1), (24, 2)])
def test_what_the_demo_plants_in_the_review_is_found(tmp_path, branches, seed):
    company = dj.make_company(employees=10 * branches, branches=branches, quarters=1, seed=seed)
    planted = company.planted.set_index("kind")["unit"]
    ws = dj.open_workspace(company.write(tmp_path / "demo", closed=False))
    audit = methods.review_audit(ws.indicators("2025-10/2026-09"))
    often = audit.units.table.query("often").astype({"revision": float})
    assert often[["unit", "stage"]].to_numpy().tolist() == [[planted["often_revised"], "checked"]]
    assert often["revision"].iloc[0] > 2, "raised"
    assert audit.lateness.table.query("often")["unit"].tolist() == [planted["late_reporter"]]
    assert set(audit.unit_digits.table.query("heaped")["unit"]) == {planted["heaped_digits"]}
    others = audit.units.table.query("stage == 'checked' and unit != @planted['often_revised']")
    assert others["revision"].mean() == pytest.approx(0, abs=1.5), "up as often as down"


def test_where_nothing_is_planted_nothing_is_found_in_the_review(tmp_path):
    found = {"units": 0, "lateness": 0, "unit_digits": 0}
    for seed in range(5):
        company = dj.make_company(employees=240, branches=24, quarters=1, seed=seed, planted=False)
        assert not set(company.planted["kind"]) & set(REVIEW_KINDS)
        ws = dj.open_workspace(company.write(tmp_path / str(seed), closed=False))
        audit = methods.review_audit(ws.indicators("2025-10/2026-09"))
        for part in found:
            table = audit.parts[part].table
            found[part] += bool(table["often" if "often" in table else "heaped"].fillna(False).any())
    assert max(found.values()) <= 2, "each of five offices names somebody with a chance of a tenth at most"


# --- In the reports -----------------------------------------------------------------------------------------------------


def reviewed_office(folder: Path, *, stages: bool = True, planted: bool = True, months: int = 8) -> dj.Workspace:
    """Write twelve branches of two cities with ten percentages, four months of them with two stages and dates.

    Planted: B1's values are raised, B3 reports late, B5 rounds to fives. All posted their rules from the first month on (K9).
    """
    rng = np.random.default_rng(1)
    rows = ["unit,period,code,value,stage,role,time"]
    for month in range(months):
        staged, period = stages and month >= months - 4, f"2026-{10 - months + month:02d}"
        for b in range(12):
            late = (planted and b == 3) or rng.random() < 0.02
            for k in range(10):
                told = 60 + 3 * (b % 4) + rng.uniform(0, 25) if k < 9 else 100.0
                told = np.round(told / 5) * 5 if planted and b == 5 else told
                raised = k < 9 and rng.random() < (0.5 if planted and b == 1 else 0.03)
                key, day = f"B{b},{period},K{k}", f"2026-{11 - months + month:02d}-{9 if late else 2:02d}"
                if staged:
                    rows.append(f"{key},{told:.1f},reported,支部,{day}")
                    rows.append(f"{key},{told + 2 * raised:.1f},checked,管理部门,2026-{11 - months + month:02d}-12")
                rows.append(f"{key},{told + 2 * (staged and raised):.1f},released,领导,")
    indicators = ["code,parent,label_zh,label_en,role,direction,weight,minimum,maximum,about,target,minutes"]
    indicators += ["BM,,对标,Benchmark,index,1,,,,,,"]
    indicators += [f"K{k},BM,任务{k},Task {k},item,1,1,0,100,units,80,15" for k in range(10)]
    units = ["unit,parent,level,name_zh,name_en", "C1,,city,甲市,City A", "C2,,city,乙市,City B"]
    units += [f"B{b},C{b % 2 + 1},branch,第{b}党支部,Branch {b}" for b in range(12)]
    folder.mkdir(parents=True, exist_ok=True)
    files = {"units.csv": units, "indicators.csv": indicators, "indicator_values.csv": rows}
    files |= {"workspace.toml": ['name = "试"'], "rules.toml": ["[review]", "reported = 5"]}
    for name, lines in files.items():
        (folder / name).write_text("\n".join([*lines, ""]), encoding="utf-8")
    return dj.open_workspace(folder)


def printed(ws: dj.Workspace, report: str, **options: str) -> str:
    """The words of a report in HTML, without its tags."""
    run = dj.run_report(report, ws.folder, period="2026-09", formats=["html"], **options)
    assert run.manifest["dropped"] == []
    body = run.files["html"].read_text("utf-8").split("<body", 1)[1]
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", body))


def test_the_benchmark_tells_of_the_review_who_stands_out_in_it(tmp_path):
    ws = reviewed_office(tmp_path / "o")
    text = printed(ws, "benchmark")
    assert "填报质量与审核 2026年9月支部上报的指标值120个" in text
    assert re.search("超出偶然范围的有1个：第1党支部（管理部门审查改动[0-9.]+%，净改动\\+2.0分）", text)
    assert "第3党支部（4个月中4个月）" in text
    assert re.search("有1个：第5党支部（100.0%，应为[0-9.]+%左右）", text)
    assert "改动过的指标值" in text
    city = printed(ws, "benchmark", unit="C1", lang="en")
    assert "In 2026-09 the branches reported 60 values" in city
    assert "no unit's values were changed more often than chance has it. No unit reported late" in html.unescape(city)
    assert not [c for c in city if "\u4e00" <= c <= "\u9fff"]


@pytest.mark.parametrize(("stages", "planted"), [(False, False), (True, False)])
def test_the_benchmark_accuses_nobody_where_nothing_is_planted_and_says_where_nothing_was_kept(
    tmp_path, stages, planted
):
    text = printed(reviewed_office(tmp_path / "o", stages=stages, planted=planted), "benchmark")
    assert "没有单位的末位数字异常集中" in text
    assert ("没有保存发布之前各审核环节的记录，不作审核分析" in text) is not stages
    assert ("没有单位被改动的比例高出偶然范围；没有单位迟报的月数高出偶然范围" in text) is stages
    assert ("各审核环节的改动" in text) is stages
    assert "以上只是提示" not in text


@pytest.mark.parametrize("lang", ["zh", pytest.param("en", marks=pytest.mark.everything)])
def test_the_assessment_lists_what_says_too_little(tmp_path, lang):
    text = printed(reviewed_office(tmp_path / "o"), "assessment", lang=lang)
    wanted = {
        "zh": (
            "指标减负 现行指标10项，一个单位每月填报约150分钟",
            "任务9（多数满分，建议调整；连续三个月无变化；连续六个月全部达标",
            "各指标的区分度与重复度 项目 题总相关 方差膨胀因子 至少为",
        ),
        "en": (
            "Fewer indicators 10 indicators are in force; a unit spends about 150 minutes",
            "Task 9 (nearly all at the ceiling; unchanged for three months; met by all for six months",
            "How indicators tell units apart and repeat each other",
        ),
    }[lang]
    for words in wanted:
        assert words in text, words


def test_the_assessment_of_too_few_units_says_so(tmp_path):
    ws = reviewed_office(tmp_path / "o", months=2)
    rows = (ws.folder / "indicator_values.csv").read_text("utf-8").splitlines()
    few = [row for row in rows if row.split(",")[0] in ("unit", "B0", "B1", "B2")]
    (ws.folder / "indicator_values.csv").write_text("\n".join([*few, ""]), "utf-8")
    assert "指标齐全的单位或指标太少，不作减负分析" in printed(dj.open_workspace(ws.folder), "assessment")
