"""From a warning to measures: the library, the dimensions a unit lags in, the questions that carry the gap."""

from __future__ import annotations

import json
from dataclasses import replace
from functools import cache

import numpy as np
import pandas as pd
import pytest
from conftest import WriteWorkspace
from scipy import stats
from small import gated
from trials import trials

import dj_analysis as dj
from dj_analysis import methods
from dj_analysis.errors import Problems
from dj_analysis.publish.templates import write_templates
from dj_analysis.release.plan import provisional_plan
from dj_analysis.result import Result
from dj_analysis.spec import workdays
from dj_analysis.spec.codebook import default_codebook
from dj_analysis.spec.interventions import default_interventions, intervention_rows
from dj_analysis.spec.rules import read_rules
from dj_analysis.spec.schemas import INTERVENTIONS
from dj_analysis.spec.tables import conform, read_text
from dj_analysis.spec.units import Unit, Units

pytestmark = pytest.mark.filterwarnings("ignore::dj_analysis.errors.DjWarning")

PERIOD, START = "2026Q3", "2026-10-08"
BRANCHES = tuple(f"B{i}" for i in range(1, 7))
UNITS = Units((Unit("C1", "ALL", "city", "t"), *(Unit(unit, "C1", "branch", "t") for unit in BRANCHES)))
Lower = dict[str, dict[str, float]]


def answers(lower: Lower, people: int = 40, usual: float = 3.6, seed: int = 1, missing: float = 0.0) -> pd.DataFrame:
    """Answers of six branches to the whole instrument: about ``usual``, in some units lower on some questions or dimensions."""
    rng, frames = np.random.default_rng(seed), []
    for unit in BRANCHES:
        moods, frame = rng.normal(0, 0.4, people), pd.DataFrame({"unit": [unit] * people})
        for leaf in default_codebook().tree.leaves:
            less = lower.get(unit, {}).get(leaf.code, lower.get(unit, {}).get(leaf.parent, 0.0))
            value = np.clip(np.rint(usual - less + moods + rng.normal(0, 0.6, people)), 1, 5)
            value = np.where(rng.random(people) < missing, np.nan, value)
            frame[leaf.code] = value if leaf.direction == 1 else 6 - value
        frames.append(frame)
    return pd.concat(frames, ignore_index=True)


def scored(lower: Lower, form: str = "full", **how):
    """Scores of such answers; computed once."""
    return _scored(json.dumps(lower), form, **how)


@cache
def _scored(lower: str, form: str, **how):
    survey = dj.read_survey(
        answers(json.loads(lower), **how), default_codebook(), units=UNITS, period=PERIOD, form=form
    )
    return dj.score(survey, by=["city", "branch"])


def flagged(now, *units: str, warning: str = "red", silent: str = "") -> Result:
    """Alerts of a wave as if these units, and no others, had a warning."""
    alerts = dj.alerts(now)
    table = alerts.table.copy()
    table["warning"] = np.where(table["unit"].isin(units), warning, "")
    table["reason"] = np.where(table["unit"] == silent, "low_response", "")
    return alerts.remade(table)


def importance(unit: str = "ALL", **shares: float) -> Result:
    """What ``dj.drivers`` returns, as far as proposals read it."""
    rows = [(PERIOD, "company", unit, unit, code, share, share, share, 200) for code, share in shares.items()]
    names = ["period", "level", "unit", "from_unit", "code", "share", "low", "high", "n"]
    return Result(pd.DataFrame(rows, columns=names), ("period", "level", "unit", "code"), ("share", "n"), PERIOD)


# The library.


def test_the_library_has_32_measures_for_the_questionnaire_of_the_package():
    library, codebook = default_interventions(), default_codebook()
    assert [one.measure for one in library] == [f"M{i}" for i in range(1, 33)]
    assert len(library.fitting(codebook)) == 32
    assert {one.driver for one in library} == {node.code for node in codebook.dimensions}
    for one in library:
        for column in ("path", "measure", "owner_role", "indicator"):
            assert any("\u4e00" <= sign <= "\u9fff" for sign in one.word(column, "zh")), one
            assert not any("\u4e00" <= sign <= "\u9fff" for sign in one.word(column, "en")), one
        assert set(one.expected) == set(one.items)
        assert 5 <= one.start_days <= 60
        assert one.evaluate_quarters in (1, 2)


def test_a_template_holds_the_whole_library(tmp_path):
    write_templates(tmp_path)
    problems = Problems()
    table = conform(read_text(tmp_path / "tables" / "interventions.xlsx", problems), INTERVENTIONS, problems)
    assert not problems
    assert table.frame[list(INTERVENTIONS.names)].values.tolist() == intervention_rows(default_interventions())


OWN = "measure,driver,items,path_zh,label_zh,owner_role,start_days,evaluate_quarters,expected\n"
CODEBOOK = """code,parent,label_zh,role,direction,weight,minimum,maximum
INDEX,,指数,index,1,1,,
D1,INDEX,负荷,dimension,1,1,,
L1,D1,题一,item,1,1,1,5
L2,D1,题二,item,1,1,1,5
"""


@pytest.mark.parametrize(
    ("row", "rule", "found"),
    [
        ("X1,D9,L1,路径,措施,工会,10,1,", "unknown_dimension", "D9"),
        ("X1,D1,L1|L9,路径,措施,工会,10,1,", "unknown_item", "L9"),
        ("X1,D1,L1,路径,措施,工会,ten,1,", "text_in_number", "ten"),
        ("X1,D1,L1,路径,措施,工会,10,1,L1=many", "text_in_number", "L1=many"),
        ("X1,D1,L1,路径,措施,工会,10,1,L2=3", "unknown_code", "L2"),
        ("X1,D1,,路径,措施,工会,10,1,", "missing_value", "items"),
        ("X1,D1,L1,路径,措施,工会,10,1,\nX1,D1,L2,路径,措施,工会,10,1,", "duplicate_row", "X1"),
    ],
)
def test_faults_of_an_own_library(tmp_path, write_workspace: WriteWorkspace, row, rule, found):
    files = {"workspace.toml": "", "codebook.csv": CODEBOOK, "interventions.csv": OWN + row + "\n"}
    with pytest.raises(dj.DjError) as error:
        dj.open_workspace(write_workspace(tmp_path / "office", files))
    assert any(one.rule == rule and found in one.found for one in error.value.problems)


def test_an_own_library_stands_in_place_of_the_packages(tmp_path, write_workspace: WriteWorkspace):
    files = {
        "workspace.toml": "",
        "codebook.csv": CODEBOOK,
        "interventions.csv": OWN + "X1,D1,L2,路径,措施,工会,10,1,L2=3\n",
    }
    library = dj.open_workspace(write_workspace(tmp_path / "office", files)).spec.interventions
    assert ([one.measure for one in library], library.owned) == (["X1"], True)
    assert library.get("X1").expected == {"L2": 3.0}


# What is proposed.


def test_what_is_low_is_found_and_answered():
    now = scored({"B1": {"D7": 1.2, "V2": 2.0, "D3": 0.7}})
    proposed = dj.propose(flagged(now, "B1"), None, now, START)
    drivers = proposed.drivers.table
    assert drivers["driver"].tolist() == ["D7", "D3"]
    assert drivers["against"].tolist() == ["C1", "C1"]
    first = proposed.table.iloc[0]
    assert first[["unit", "driver", "item", "measure"]].tolist() == ["B1", "D7", "V2", "M26"]
    assert (first["path"], first["owner_role"], first["indicator"]) == ("答复慢", "责任部门", "按时限办理比例")
    assert (first["due"], first["evaluate"]) == ("2026-10-21", "2027-03-31")
    assert proposed.table.groupby("driver")["measure"].count().between(1, 2).all()
    assert len(proposed.without.table) == 0


def test_dates_follow_the_working_days():
    now = scored({"B1": {"D2": 1.2, "P4": 2.0}})
    row = dj.propose(flagged(now, "B1"), None, now, "2026-09-24").table.set_index("measure").loc["M7"]
    due = workdays.after("2026-09-24", 60)
    assert row["due"] == str(due) == "2026-12-24"
    assert row["evaluate"] == "2027-06-30"  # two quarters after that of the start
    early = dj.propose(flagged(now, "B1"), None, now, "2025-01-02")
    assert early.notices == ("未提供各维度对总体感受的相对重要性，优先次序只按差距及其把握程度排列。",)
    late = dj.propose(flagged(now, "B1"), importance(D2=0.4), now, "2090-01-02")
    assert late.notices == ("2090年的放假和调休安排未收入日历，按周一至周五计算。",)


@pytest.mark.parametrize("missing", [0.0, 0.25])
@pytest.mark.parametrize("form", ["full", "pulse"])
def test_what_the_questions_carry_sums_to_the_gap(form, missing):
    lower = {unit: {"D1": 0.9 * i, "D4": 0.5, "S3": 1.5, "D6": 1.0} for i, unit in enumerate(BRANCHES[:3])}
    now = scored(lower, form, missing=missing, seed=3)
    proposed = dj.propose(flagged(now, *BRANCHES, "C1"), None, now, START)
    sums = proposed.paths.table.groupby(["unit", "driver"]).agg(carried=("carried", "sum"), gap=("shortfall", "first"))
    assert len(sums) >= 4
    assert (sums["carried"] - sums["gap"]).abs().max() < 1e-10
    asked = {leaf.code for leaf in default_codebook().tree.in_form("full" if form == "full" else "anchors").leaves}
    assert set(proposed.paths.table["item"]) <= asked
    assert (proposed.table.groupby(["unit", "driver"])["item"].nunique() <= 2).all()


def test_a_gap_and_its_probability_by_hand():
    """The unit above is held for its own mean: shrinkage needs four units, the city is one."""
    now = scored({"B1": {"D5": 1.0}})
    row = dj.propose(flagged(now, "B1"), None, now, START).drivers.table.iloc[0]
    own = methods.shrunken(now, "branch").where(unit="B1", form="full", code="D5").table.iloc[0]
    city = now.at("C1", "D5", "full")
    gap, se = city["score"] - own["shrunken"], np.hypot(own["se"], city["se"])
    assert row["shortfall"] == pytest.approx(gap, abs=1e-9)
    assert row["probability"] == pytest.approx(stats.t.cdf(gap / se, 39), abs=1e-9)
    assert row["priority"] == pytest.approx(row["shortfall"] * row["probability"])


def test_importance_reorders_the_drivers_and_comes_from_the_unit_above():
    now = scored({"B1": {"D7": 1.0, "D3": 0.8}})
    alone = dj.propose(flagged(now, "B1"), None, now, START).drivers.table
    assert alone["driver"].tolist()[:2] == ["D7", "D3"]
    assert alone["importance"].isna().all()
    weighed = dj.propose(flagged(now, "B1"), importance("C1", D7=0.1, D3=0.4), now, START)
    assert weighed.drivers.table["driver"].tolist()[:2] == ["D3", "D7"]
    first = weighed.drivers.table.iloc[0]
    assert (first["from_unit"], first["importance"]) == ("C1", 0.4)
    assert first["priority"] == pytest.approx(0.4 * first["shortfall"] * first["probability"])
    assert weighed.notices == dj.propose(flagged(now, "B1"), importance(D1=0.1), now, START).notices


def test_at_most_three_drivers_and_a_declared_target(tmp_path):
    now = scored({"B1": {f"D{i}": 1.0 for i in range(1, 9)}})
    assert len(dj.propose(flagged(now, "B1"), None, now, START).drivers.table) == 3
    problems = Problems()
    (tmp_path / "rules.toml").write_text("[attribution]\ntarget = 75\ndrivers = 2\n", "utf-8")
    rules = read_rules(tmp_path / "rules.toml", problems)
    assert not problems
    aimed = now.remade(now.table, spec=replace(now.spec, rules=rules))
    rows = dj.propose(flagged(aimed, "ALL"), None, aimed, START).drivers.table
    assert rows["against"].tolist() == ["target", "target"]
    assert (rows["shortfall"] + [aimed.at("ALL", code, "full")["score"] for code in rows["driver"]]).round(
        6
    ).tolist() == [75, 75]


def test_why_a_warning_has_no_measures():
    now = scored({"B1": {"D7": 1.0}})
    alerts = flagged(now, "ALL", "B5", silent="B3")
    without = dj.propose(alerts, None, now, START).without.table.set_index("unit")["reason"].to_dict()
    assert without == {"ALL": "no_unit_above", "B5": "no_sure_gap", "B3": "raise_participation"}


def test_no_warning_no_proposal():
    now = scored({})
    proposed = dj.propose(flagged(now), None, now, START)
    assert (len(proposed.table), len(proposed.paths.table), len(proposed.without.table)) == (0, 0, 0)
    assert {"unit", "driver", "item", "path", "measure", "owner_role", "due", "indicator"} <= set(
        proposed.table.columns
    )
    rows, events = proposed.as_obligations()
    assert (len(rows), len(events)) == (0, 0)


def test_where_units_do_not_differ_few_drivers_are_named():
    """Six alike branches: a gap is above 0 with 80 % confidence in fewer than one in five of the dimensions, shrunken as they are."""
    waves = trials(5, 2)
    named = sum(
        len(dj.propose(flagged(now, *BRANCHES), None, now, START).drivers.table)
        for now in (scored({}, seed=seed) for seed in range(waves))
    )
    assert named <= stats.binom.ppf(0.995, waves * 6 * 8, 0.2)


def test_another_questionnaire_gets_no_proposal_instead_of_a_wrong_one():
    """D1 and L1 are there, and stand for something else: a dimension without the other questions."""
    tree = default_codebook().tree
    nodes = [
        node for node in tree if node.code not in ("L2", "L3", "L4", "L5") and node.parent in ("", "INDEX", "D1", "O")
    ]
    nodes = [node for node in nodes if node.code in ("INDEX", "D1", "L1") or node.code == "O" or node.parent == "O"]
    codebook = replace(default_codebook(), tree=replace(tree, nodes=tuple(nodes)))
    survey = dj.read_survey(answers({"B1": {"L1": 1.5}}), codebook, units=UNITS, period=PERIOD, form="full")
    now = dj.score(survey, by=["city", "branch"])
    proposed = dj.propose(flagged(now, "B1"), None, now, START)
    assert proposed.table.empty
    assert proposed.without.table[["unit", "reason"]].values.tolist() == [["B1", "other_dimensions"]]


def test_a_small_or_hidden_unit_gets_no_proposal():
    frame = answers({"B1": {"D7": 1.0}, "B2": {"D7": 1.0}})
    frame = frame[(frame["unit"] != "B1") | (frame.groupby("unit").cumcount() < 6)]
    survey = dj.read_survey(frame, default_codebook(), units=UNITS, period=PERIOD, form="full")
    now = dj.score(gated(survey, "city", "branch"), by=["city", "branch"])
    hidden = {unit for _, unit in now.withheld[PERIOD]}
    assert hidden > {"B1"}
    proposed = dj.propose(flagged(now, *BRANCHES), None, now, START)
    for part in (proposed, *proposed.parts.values()):
        assert not hidden & set(part.table["unit"])
    safe = dj.protect(proposed)
    assert safe.table["measure"].replace("", np.nan).notna().all()


@pytest.mark.parametrize("cell", [("branch", "B1", "full", "V1"), ("city", "C1", "full", "V5")])
def test_one_closed_question_closes_the_whole_path(cell):
    """Parts that add up to a gap tell the one that is left out: of the unit itself, and of the unit it is held against."""
    now = scored({"B1": {"D7": 1.0, "D3": 1.0}})
    proposed = dj.propose(flagged(now, "B1", warning="orange"), None, now, START)
    assert {"D7", "D3"} <= set(proposed.paths.table["driver"])
    plan = provisional_plan(PERIOD, proposed.basis, proposed.spec)
    open_wave = plan.waves["survey", PERIOD]
    closed_wave = replace(open_wave, mask=replace(open_wave.mask, closed=frozenset({cell})))
    safe = dj.protect(proposed, replace(plan, waves={("survey", PERIOD): closed_wave}))
    for part in (safe, safe.part("paths"), safe.part("drivers")):
        assert {"D7", "D3"} & set(part.table["driver"]) == {"D3"}
        rest = part.table[part.table["driver"] == ""]
        assert len(rest) > 0
        assert (
            rest.drop(columns=list(proposed.keys))
            .replace("", np.nan)
            .drop(columns="reason", errors="ignore")
            .isna()
            .all(axis=None)
        )


def test_a_result_of_another_wave_is_refused():
    now = scored({})
    for wrong in (replace(flagged(now), period="2026Q2"), now):
        with pytest.raises(dj.DjError):
            dj.propose(wrong, None, now, START)
    with pytest.raises(dj.DjError, match="不是日期"):
        dj.propose(flagged(now), None, now, "soon")


def test_proposals_become_obligations_that_can_be_tracked(tmp_path, write_workspace: WriteWorkspace):
    now = scored({"B1": {"D7": 1.0}, "B2": {"D3": 1.0}})
    proposed = dj.propose(flagged(now, "B1", "B2"), None, now, START)
    rows, events = proposed.as_obligations()
    assert rows["obligation"].is_unique
    assert len(rows) == len(events) == len(proposed.table)
    one = rows[rows["unit"] == "B1"].iloc[0]
    assert (one["kind"], one["opened"], one["class"], one["cycle"]) == ("measure", START, "D7", "2027Q1")
    units = "unit,parent,level\nC1,,city\n" + "".join(f"{unit},C1,branch\n" for unit in BRANCHES)
    files = {"workspace.toml": "", "units.csv": units, "obligations.csv": rows.to_csv(index=False)}
    ws = dj.open_workspace(
        write_workspace(tmp_path / "office", files | {"obligation_events.csv": events.to_csv(index=False)})
    )
    tracked = dj.track(ws.obligations(kind="measure"), asof="2026-12-31")
    assert set(tracked.table["status"]) == {"proposed"}
    assert tracked.summary.where(unit="ALL").table["overdue"].tolist() == [len(rows)]
    assert not ws.check()


def test_words_are_printed_in_the_readers_language():
    now = scored({"B1": {"D7": 1.0}})
    proposed = dj.propose(flagged(now, "B1", warning="orange"), None, now, START)
    english = replace(proposed, spec=proposed.spec.speaking("en"))
    cells = dj.table(
        dj.protect(english), columns=["driver", "item", "path", "measure", "owner_role", "indicator"]
    ).content["rows"]
    assert not [cell for row in cells for cell in row if any("\u4e00" <= sign <= "\u9fff" for sign in cell)]
    sentence = "{% for row in safe.rows(most=1) %}{{ row.driver_label }}：{{ row.path }}，{{ row.measure }}{% endfor %}"
    said = dj.text(sentence, dj.protect(proposed)).content["text"]
    assert said.startswith("诉求表达与参与：")
