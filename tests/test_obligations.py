"""Obligations: kinds declared by files, legal moves, and where everything stands on a day.

Outside numbers: Kaplan–Meier median of the 6-MP arm of Freireich et al. (1963), 21 patients, 9 relapses: 23 weeks, 95 % interval from 13
with no upper end (survival in R with conf.type "log-log": median 23, lower 13, upper NA); Wilson's interval of 1 of 2: 9.45 % to 90.55 %.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from conftest import WriteWorkspace

import dj_analysis as dj
from dj_analysis.errors import Problems
from dj_analysis.measure.intake.obligation_tables import obligations_of
from dj_analysis.publish.theme import LEVEL_COLOURS, WORK_COLOURS
from dj_analysis.spec.kinds import COLOURS
from dj_analysis.spec.rules import default_rules, read_rules
from dj_analysis.spec.schemas import OBLIGATIONS
from dj_analysis.spec.specification import Specification

UNITS = "unit,parent,level,name_zh\nC1,,city,东城公司\nB1,C1,branch,一支部\nB2,C1,branch,二支部\nB3,,branch,三支部\n"
#: 一图四色 (L05): a kind by its file alone.
TASK = """[kinds.task]
zh = "督办任务"
en = "Task"

[kinds.task.states]
"进行中" = { en = "under way", colour = "blue", to = ["预警", "考核", "已闭合"], days = 10 }
"预警" = { en = "at risk", colour = "orange", to = ["进行中", "考核", "已闭合"] }
"考核" = { en = "marked down", colour = "red", to = ["已闭合"] }
"已闭合" = { en = "closed", colour = "green", fulfils = true, closes = true, days = 10 }
"""
HEAD, EVENTS = "obligation,kind,unit,opened,due,owner_role\n", "obligation,state,time\n"
MEASURES = (
    "M1,measure,B1,2026-07-01,2026-07-20,工会\n"  # started on its day, since evaluated
    "M2,measure,B1,2026-07-01,2026-07-20,工会\n"  # agreed, no more: overdue
    "M3,measure,B2,2026-07-01,2026-08-20,工会\n"  # given up within its time
    "M4,measure,B3,2026-07-01,2026-09-30,人力资源部\n"  # due today
    "M5,measure,B3,2026-07-01,2026-07-20,人力资源部\n"  # started a day late
    "M6,measure,二支部,2026-07-01,,人力资源部\n"  # no due day
    "M7,measure,B2,2026-10-01,2026-10-20,工会\n"  # opened later
)
MOVES = (
    "M1,done,2026-08-20\nM1,agreed,2026-07-03\nM1,started,2026-07-20\nM1,evaluated,2026-09-29\nM2,proposed,2026-07-01\n"
    "M2,agreed,2026-07-05\nM2,started,2026-10-05\nM3,dropped,2026-08-01\nM5,agreed,2026-07-02\nM5,started,2026-07-21\n"
)


@pytest.fixture
def office(tmp_path: Path, write_workspace: WriteWorkspace):
    """A function of (obligations, events, rules) that writes a workspace of three branches."""

    def write(rows: str = MEASURES, events: str = MOVES, rules: str = "") -> Path:
        files = {"workspace.toml": 'name = "试验公司"\n', "units.csv": UNITS, "obligations.csv": HEAD + rows}
        files |= {"obligation_events.csv": EVENTS + events} if events else {}
        return write_workspace(tmp_path / "office", files | {"rules.toml": rules})

    return write


@pytest.fixture
def tracked(office):
    return dj.track(dj.open_workspace(office()).obligations(kind="measure"), asof="2026-09-30")


def test_where_each_measure_stands(tracked):
    rows = tracked.table.set_index("obligation")
    assert rows["status"].to_dict() == {
        "M1": "evaluated", "M2": "agreed", "M3": "dropped", "M4": "proposed", "M5": "started", "M6": "proposed",
    }  # fmt: skip
    assert rows["colour"].to_dict() == {
        "M1": "green", "M2": "purple", "M3": "grey", "M4": "grey", "M5": "blue", "M6": "grey",
    }  # fmt: skip
    assert rows["overdue_days"].dropna().to_dict() == {"M2": 72}
    assert rows.loc[["M4", "M6"], "due"].tolist() == ["2026-09-30", ""]
    assert rows.loc["M6", "unit"] == "B2"
    assert tracked.overdue.table[["number", "obligation"]].values.tolist() == [[1, "M2"]]


def test_warnings_are_told_which_units_have_overdue_measures(office):
    work = dj.open_workspace(office()).obligations(kind="measure")
    assert work.overdue_units(date(2026, 9, 30)) == {"B1"}
    assert work.overdue_units(date(2026, 7, 20)) == frozenset()


def test_the_summary_counts_what_has_fallen_due(tracked):
    whole = tracked.summary.where(unit="ALL").table.iloc[0]
    counts = whole[["obligations", "open", "closed", "fallen_due", "on_time", "overdue"]].astype(int).tolist()
    assert counts == [6, 4, 2, 3, 1, 1]
    assert whole["share"] == pytest.approx(1 / 3)
    city = tracked.summary.where(unit="C1").table.iloc[0]
    assert (city["obligations"], city["fallen_due"], city["on_time"]) == (4, 2, 1)
    assert (city["low"], city["high"]) == pytest.approx((0.09453, 0.90547), abs=1e-5)
    none_due = tracked.summary.where(unit="B2").table.iloc[0]
    assert none_due[["share", "low", "high"]].isna().all()
    assert tracked.owners.table.set_index("owner_role")["obligations"].to_dict() == {"工会": 3, "人力资源部": 3}


def test_on_an_earlier_day_nothing_later_is_known(office):
    earlier = dj.track(dj.open_workspace(office()).obligations(), asof="2026-07-20").table.set_index("obligation")
    assert earlier["status"].to_dict()["M1"] == "started"
    assert earlier["overdue_days"].isna().all()
    assert dj.track(dj.open_workspace(office()).obligations(), asof="2026-06-30").table.empty


def test_an_open_case_of_five_days_does_not_fail_a_limit_of_seven(office):
    rows = "T1,measure,B1,2026-09-25,2026-10-02,工会\n"
    whole = dj.track(dj.open_workspace(office(rows, "")).obligations(), asof="2026-09-30").summary.table.iloc[0]
    assert (whole["open"], whole["fallen_due"], whole["overdue"]) == (1, 0, 0)


def test_ageing_against_a_published_trial():
    """Days in place of weeks; relapse closes, leaving the trial does not."""
    weeks = [6, 6, 6, 6, 7, 9, 10, 10, 11, 13, 16, 17, 19, 20, 22, 23, 25, 32, 32, 34, 35]
    relapse = [1, 1, 1, 0, 1, 0, 1, 0, 0, 1, 1, 0, 0, 0, 1, 1, 0, 0, 0, 0, 0]
    rules = replace(
        default_rules(),
        kinds=read_kinds_of("[kinds.trial.states]\na = { to = ['b'] }\nb = { fulfils = true, closes = true }\n"),
    )
    day = np.datetime64("2026-09-30")
    names = [f"P{i}" for i in range(21)]
    rows = table(names, "trial", [str(day - week) for week in weeks])
    events = pd.DataFrame({"obligation": names, "state": "b", "time": str(day)})[np.array(relapse) == 1]
    ageing = dj.track(checked(rows, events, Specification(rules=rules)), asof=str(day)).ageing.table.iloc[0]
    assert (ageing["obligations"], ageing["closed"], ageing["days_median"]) == (21, 9, 23)
    assert ageing["days_low"] == 13
    assert np.isnan(ageing["days_high"])


def test_ageing_says_where_there_is_no_median(tracked):
    ageing = tracked.ageing.table.iloc[0]
    assert (ageing["obligations"], ageing["closed"], ageing["reason"]) == (6, 2, "fewer_than_half_closed")
    assert np.isnan(ageing["days_median"])


def test_a_kind_of_four_colours_needs_its_file_alone(office):
    rows = (
        "T1,task,B1,2026-09-01,,\nT2,task,B1,2026-09-24,,\nT3,task,B2,2026-09-01,,\nT4,task,B3,2026-09-01,2026-09-20,\n"
    )
    events = "T1,预警,2026-09-10\nT1,考核,2026-09-16\nT3,已闭合,2026-09-15\nT4,预警,2026-09-19\nT4,进行中,2026-09-20\nT4,已闭合,2026-09-21\n"
    ws = dj.open_workspace(office(rows, events, TASK))
    result = dj.track(ws.obligations(kind="task"), asof="2026-09-30")
    rows_ = result.table.set_index("obligation")
    assert rows_["colour"].to_dict() == {"T1": "red", "T2": "blue", "T3": "green", "T4": "green"}
    # Ten working days; those of T2 jump over the Mid-Autumn and the National Day.
    assert rows_["due"].tolist() == ["2026-09-15", "2026-10-15", "2026-09-15", "2026-09-20"]
    assert result.summary.where(unit="ALL").table[["fallen_due", "on_time", "overdue"]].values.tolist() == [[3, 1, 1]]
    assert len(ws.obligations(kind="measure").table) == 0
    printed = dj.table(dj.protect(result, ws.release_plan("2026Q3"))).content["rows"][0]
    assert {"督办任务", "考核", "红"} <= set(printed)


def test_green_does_not_turn_orange(office):
    rows = "T1,task,B1,2026-09-01,,\nT2,task,B1,2026-09-01,,\n"
    events = "T1,已闭合,2026-09-10\nT1,预警,2026-09-11\nT2,已闭合,2026-09-10\nT2,预警,2026-09-12\n"
    folder = office(rows, events, TASK)
    with pytest.raises(dj.DjError) as error:
        dj.open_workspace(folder).obligations()
    (problem,) = error.value.problems
    assert (problem.rule, problem.place) == ("illegal_move", "obligation_events.csv: task")
    assert problem.found.startswith("已闭合 → 预警: T1、T2 (第 3、5 行)")
    assert "到此为止" in problem.allowed
    assert [one.rule for one in dj.open_workspace(folder).check()] == ["illegal_move"]


@pytest.mark.parametrize(
    ("rows", "events", "rule", "found"),
    [
        ("T1,tusk,B1,2026-09-01,,\n", "", "unknown_kind", "tusk"),
        ("T1,measure,B9,2026-09-01,,\n", "", "unknown_unit", "B9"),
        ("T1,measure,B1,,,\n", "", "missing_value", "(空)"),
        ("T1,measure,B1,2026-09-31,,\n", "", "bad_date", "2026-09-31"),
        ("T1,measure,B1,2026-09-10,2026-09-01,\n", "", "before_opened", "2026-09-01"),
        ("T1,measure,B1,2026-09-10,,\n", "T2,agreed,2026-09-11\n", "unknown_obligation", "T2"),
        ("T1,measure,B1,2026-09-10,,\n", "T1,closed,2026-09-11\n", "unknown_state", "closed"),
        ("T1,measure,B1,2026-09-10,,\n", "T1,agreed,2026-09-01\n", "before_opened", "2026-09-01"),
        ("T1,measure,B1,2026-09-10,,\n", "T1,agreed,\n", "missing_value", "(空)"),
        ("T1,measure,B1,2026-09-10,,\n", "T1,done,2026-09-12\n", "illegal_move", "proposed → done: T1"),
        ("T1,measure,B1,2026-09-10,,\nT1,measure,B1,2026-09-10,,\n", "", "duplicate_row", "T1"),
    ],
)
def test_faults_of_obligations(office, rows, events, rule, found):
    folder = office(rows, events)
    problems = {one.rule: one.found for one in dj.open_workspace(folder).check()}
    assert found in problems[rule]
    with pytest.raises(dj.DjError, match=rule):
        dj.open_workspace(folder).obligations()


@pytest.mark.parametrize(
    ("rules", "rule", "found"),
    [
        ("[kinds.appeal.states]\na = { closes = true, fulfils = true }\n", "kind_with_own_rules", "appeal"),
        ("[kinds.x.states]\na = { to = ['c'] }\nb = { closes = true, fulfils = true }\n", "unknown_state", "c"),
        ("[kinds.x.states]\na = { colour = 'black', closes = true, fulfils = true }\n", "unknown_colour", "black"),
        ("[kinds.x.states]\na = { to = [] }\n", "no_closed_state", "a"),
        ("[kinds.x.states]\na = { closes = true }\n", "no_fulfilling_state", "a"),
        ("[kinds.x.states]\na = { close = true }\n", "unknown_setting", "close"),
        ("[kinds.x.states]\na = { days = true, closes = true, fulfils = true }\n", "wrong_type", "True"),
        ("[kinds.x.states]\na = { days = -1, closes = true, fulfils = true }\n", "range", "-1"),
        ("kinds = 3\n", "wrong_type", "3"),
        ("[kinds]\nx = 3\n", "wrong_type", "3"),
    ],
)
def test_faults_of_kinds(tmp_path, rules, rule, found):
    path, problems = tmp_path / "rules.toml", Problems()
    path.write_text(rules, encoding="utf-8")
    read_rules(path, problems)
    assert (rule, found) in [(one.rule, one.found) for one in problems]


def test_a_state_that_takes_it_back_makes_it_due_again():
    """A closed task that is opened again is open, and late once its day has passed."""
    text = "[kinds.k.states]\na = { to = ['b'] }\nb = { to = ['a'], fulfils = true, closes = true }\n"
    spec = Specification(rules=replace(default_rules(), kinds=read_kinds_of(text)))
    rows = table(["X", "Y"], "k", ["2026-01-01"] * 2, due="2026-02-01")
    events = pd.DataFrame(
        [("X", "b", "2026-01-10"), ("X", "a", "2026-01-20"), ("Y", "b", "2026-01-10"), ("Y", "a", "2026-01-20"), ("Y", "b", "2026-02-10")],
        columns=["obligation", "state", "time"],
    )  # fmt: skip
    result = dj.track(checked(rows, events, spec), asof="2026-03-01")
    assert result.table["overdue_days"].tolist()[:1] == [28]
    assert result.summary.table.loc[0, ["fallen_due", "on_time", "overdue", "closed"]].tolist() == [2, 0, 1, 1]


def test_the_order_of_rows_does_not_matter():
    rng = np.random.default_rng(4)
    names = [f"T{i}" for i in range(40)]
    opened = np.datetime64("2026-01-01") + rng.integers(0, 90, 40)
    steps = ["agreed", "started", "done", "evaluated"]
    events = pd.DataFrame(
        [(names[i], step, str(opened[i] + 9 * (k + 1))) for i in range(40) for k, step in enumerate(steps[: rng.integers(0, 5)])],
        columns=["obligation", "state", "time"],
    )  # fmt: skip
    rows = table(names, "measure", [str(day) for day in opened], due="2026-06-01")
    plain = dj.track(checked(rows, events, Specification()), asof="2026-07-01")
    mixed = checked(rows, events.sample(frac=1, random_state=1).reset_index(drop=True), Specification())
    pd.testing.assert_frame_equal(plain.table, dj.track(mixed, asof="2026-07-01").table)
    assert plain.summary.table["overdue"].iloc[0] > 0


def test_appeals_and_requests_are_left_to_their_own_readers(office):
    rows = "A1,appeal,B1,2026-09-01,,\nR1,request,B1,2026-09-01,,\nM1,measure,B1,2026-09-01,,\n"
    work = dj.open_workspace(office(rows, "R1,offered,2026-09-02\n")).obligations()
    assert work.table["obligation"].tolist() == ["M1"]
    assert work.events.empty


def test_a_workspace_without_obligations_has_none(tmp_path, write_workspace):
    ws = dj.open_workspace(write_workspace(tmp_path / "office", {"workspace.toml": "", "units.csv": UNITS}))
    result = dj.track(ws.obligations(kind="measure"), asof="2026-09-30")
    assert (len(result.table), len(result.summary.table), len(result.ageing.table)) == (0, 0, 0)
    assert dj.table(dj.protect(result, ws.release_plan("2026Q3"))).content["rows"] == []
    with pytest.raises(dj.DjError, match="measure"):
        ws.obligations(kind="task")
    with pytest.raises(dj.DjError, match="不是日期"):
        dj.track(ws.obligations(), asof="yesterday")


def test_a_column_that_names_somebody_is_refused(office, tmp_path):
    folder = office()
    (folder / "obligations.csv").write_text(HEAD.strip() + ",姓名\nM1,measure,B1,2026-07-01,,工会,某人\n", "utf-8")
    with pytest.raises(dj.errors.IdentifierError):
        dj.open_workspace(folder).obligations()


def test_colours_of_work_are_not_those_of_warnings():
    assert set(WORK_COLOURS) == set(COLOURS)
    assert not set(WORK_COLOURS.values()) & set(LEVEL_COLOURS.values())


def test_a_number_changed_by_hand_fits_no_plan(tracked, office):
    ws = dj.open_workspace(office())
    plan = ws.release_plan("2026Q3")
    (ws.folder / "obligation_events.csv").write_text(EVENTS + "M2,agreed,2026-07-04\n", "utf-8")
    with pytest.raises(dj.DjError, match="数值"):
        dj.protect(dj.track(dj.open_workspace(ws.folder).obligations(kind="measure"), asof="2026-09-30"), plan)


@pytest.mark.parametrize(("planted", "outcomes"), [(True, {"done", "started", "overdue", "dropped"}), (False, set())])
def test_the_demo_has_measures_of_the_quarter_before(tmp_path, planted, outcomes):
    company = dj.make_company(employees=1200, branches=60, quarters=3, planted=planted)
    said = company.planted[company.planted["kind"].str.startswith("measure_")]
    assert {kind.removeprefix("measure_") for kind in said["kind"]} >= outcomes
    ws = dj.open_workspace(company.write(tmp_path / "demo", closed=False))
    result = dj.track(ws.obligations(kind="measure"), asof="2026-09-30")
    assert len(result.table) == len(said)
    assert len(result.overdue.table) == (said["kind"] == "measure_overdue").sum()
    assert (result.table["status"] == "dropped").sum() == (said["kind"] == "measure_dropped").sum()


def table(names: list[str], kind: str, opened: list[str], due: str = "") -> pd.DataFrame:
    rows = pd.DataFrame({"obligation": names, "kind": kind, "unit": "ALL", "opened": opened, "due": due})
    return rows.reindex(columns=list(OBLIGATIONS.names), fill_value="").astype("str")


def checked(rows: pd.DataFrame, events: pd.DataFrame, spec: Specification):
    problems = Problems()
    work = obligations_of(rows, events.astype("str"), spec, problems)
    assert not problems, problems.table
    return work


def read_kinds_of(text: str):
    import tomllib

    from dj_analysis.spec.kinds import read_kinds

    problems = Problems()
    kinds = read_kinds("rules.toml", tomllib.loads(text)["kinds"], problems)
    assert not problems, problems.table
    return kinds
