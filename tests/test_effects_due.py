"""Measures due for evaluation: which take part, hand-worked numbers, planted effects and none, rates.

Tolerances: hand-worked numbers to 1e-9; a rate of no effect at all lies under the upper end of the 99 % binomial interval of its claim.
"""

from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from small import wave
from trials import trials

import dj_analysis as dj
from dj_analysis import methods
from dj_analysis.act.regression_to_mean import selected_change
from dj_analysis.demo import Company, effects
from dj_analysis.demo.planted_measures import measure_tables, planted_measures
from dj_analysis.errors import Problems
from dj_analysis.judge.tree_rates import bh_adjusted
from dj_analysis.measure.intake.obligation_tables import obligations_of

HEAD = "obligation,kind,unit,opened,due,label,class,cycle\n"
BRANCHES = [f"B{i:02d}" for i in range(1, 25)]
CITY = {unit: "CA" if i < 18 else "CB" for i, unit in enumerate(BRANCHES)}
BEFORE, BETWEEN, NOW = "2026Q1", "2026Q2", "2026Q3"
PEOPLE = 12
SKIPPED = "B22"
DAYS = (6, 24, 40)  # after it was entered
STEPS = {
    "agreed": ("agreed",),
    "started": ("agreed", "started"),
    "done": ("agreed", "started", "done"),
    "given up": ("agreed", "started", "dropped"),
}


@pytest.fixture(scope="module")
def waves(tmp_path_factory: pytest.TempPathFactory) -> dj.Result:
    """Three waves of 24 branches in two cities, two dimensions; the last unit is small in the last wave."""
    path = tmp_path_factory.mktemp("tree") / "units.csv"
    rows = ["CA,,city", "CB,,city", *(f"{unit},{CITY[unit]},branch" for unit in BRANCHES)]
    path.write_text("unit,parent,level\n" + "\n".join(rows) + "\n", "utf-8")
    units, rng = dj.read_units(path), np.random.default_rng(5)
    lasting = rng.normal(60, 6, (len(BRANCHES), 2))
    scores = []
    for period in (BEFORE, BETWEEN, NOW):
        answers = {}
        for unit, mean in zip(BRANCHES, lasting, strict=True):
            count = 6 if (unit, period) == (BRANCHES[-1], NOW) else PEOPLE
            answers[unit] = np.clip(rng.normal(mean, 15, (count, 2)), 0, 100).tolist()
            if (unit, period) == (SKIPPED, BEFORE):  # ten people, one of whom skips the second question
                answers[unit] = [*answers[unit][:9], [answers[unit][9][0], float("nan")]]
        scores.append(dj.score(wave(answers, period, units=units, dimensions=2), by=["city", "branch"]))
    return dj.trend(scores)


@pytest.fixture
def work(tmp_path: Path, write_workspace, waves):
    """A function of rows (unit, class, cycle, state, label) that returns obligations of the waves' units."""

    def write(*rows: tuple[str, ...], opened: str = "2026-04-14"):
        names = ["unit,parent,level", "CA,,city", "CB,,city", *(f"{unit},{CITY[unit]},branch" for unit in BRANCHES)]
        listed, events = [], []
        for place, (unit, dimension, cycle, state, *label) in enumerate(rows):
            days = [str(date.fromisoformat(opened) + timedelta(days=day)) for day in DAYS]
            listed.append(f"M{place},measure,{unit},{opened},{days[1]},{(label or ['谈心'])[0]},{dimension},{cycle}")
            events += [f"M{place},{one},{day}" for one, day in zip(STEPS[state], days, strict=False)]
        files = {
            "workspace.toml": 'name = "试验公司"\n',
            "units.csv": "\n".join(names) + "\n",
            "obligations.csv": HEAD + "\n".join(listed) + "\n",
            "obligation_events.csv": "obligation,state,time\n" + "\n".join(events) + "\n",
        }
        return dj.open_workspace(write_workspace(tmp_path / "office", files)).obligations(kind="measure")

    return write


def line_of_others(before: pd.Series, now: pd.Series, chosen: list[str], others: list[str]) -> dict[str, float]:
    """The same by a regression written out: later on earlier values of the others, drawn on to those chosen."""
    fit = stats.linregress(before[others], now[others])
    expected = fit.intercept + fit.slope * before[chosen]
    rest = now[others] - fit.intercept - fit.slope * before[others]
    df, centre = len(others) - 2, before[others].mean()
    spread = ((before[others] - centre) ** 2).sum()
    leverage = 1 / len(others) + (before[chosen].mean() - centre) ** 2 / spread + 1 / len(chosen)
    se = np.sqrt((rest**2).sum() / df * leverage)
    beyond = (now[chosen] - expected).mean()
    half = stats.t.ppf(0.975, df) * se
    return {
        "change": (now - before)[chosen].mean(),
        "natural": (expected - before[chosen]).mean(),
        "beyond": beyond,
        "low": beyond - half,
        "high": beyond + half,
        "p": 2 * stats.t.sf(abs(beyond) / se, df),
    }


def measures_of(company: Company):
    """The measures that a synthetic enterprise's files declare, without writing any."""
    planted = [tuple(row) for row in company.planted.itertuples(index=False)]
    rows, events = measure_tables(planted_measures(planted, company.periods))
    problems = Problems()
    work = obligations_of(rows, events.astype("str"), company.spec, problems)
    assert not problems, problems.table
    return work


def scores_of(waves: dj.Result, code: str) -> tuple[pd.Series, pd.Series]:
    table = waves.table[(waves.table["level"] == "branch") & (waves.table["code"] == code)]
    wide = table.pivot(index="unit", columns="period", values="score")
    return wide[BEFORE], wide[NOW]


def test_the_numbers_are_those_of_a_regression_on_the_units_without_a_measure(waves, work):
    """Not compared with: units with another measure begun, those below a city with one. Not evaluated: what was not begun or was given up."""
    told = methods.effects_due(
        waves,
        work(
            ("B01", "D1", NOW, "done"),
            ("B02", "D1", NOW, "started"),
            ("B03", "D2", NOW, "started"),
            ("B04", "D1", NOW, "agreed"),
            ("B05", "D1", NOW, "given up"),
            ("B06", "D1", "2026Q4", "started"),
            ("CB", "D1", "2026Q4", "started"),
        ),
    )
    assert told.table[["by", "code", "units"]].values.tolist() == [
        ["branch", "D1", 2], ["branch", "D2", 1], ["branch", "INDEX", 3]
    ]  # fmt: skip
    assert set(told.table["period"]) == {f"{BEFORE}/{NOW}"}
    assert set(told.table["n"]) == {2.0 * PEOPLE, 1.0 * PEOPLE, 3.0 * PEOPLE}
    others = [unit for unit in BRANCHES if CITY[unit] == "CA" and unit not in ("B01", "B02", "B03", "B06")]
    for code, chosen in (("D1", ["B01", "B02"]), ("D2", ["B03"]), ("INDEX", ["B01", "B02", "B03"])):
        row = told.table[told.table["code"] == code].iloc[0]
        for name, value in line_of_others(*scores_of(waves, code), chosen, others).items():
            assert row[name] == pytest.approx(value, abs=1e-9), (code, name)
    assert told.table["q"].to_numpy(float) == pytest.approx(stats.false_discovery_control(told.table["p"]))
    of_units = told.of_units.table.set_index(["unit", "code"])
    assert sorted(of_units.index) == [("B01", "D1"), ("B02", "D1"), ("B03", "D2")]
    before, now = scores_of(waves, "D2")
    assert of_units.loc[("B03", "D2"), ["score_before", "score"]].tolist() == pytest.approx([before["B03"], now["B03"]])


def test_the_earlier_wave_is_the_last_one_that_had_ended_when_the_measure_was_entered(waves, work):
    told = methods.effects_due(waves, work(("B01", "D1", NOW, "done"), opened="2026-07-10"))
    assert set(told.table["period"]) == {f"{BETWEEN}/{NOW}"}
    before_all = work(("B01", "D1", NOW, "done"), opened="2026-02-01")
    assert methods.effects_due(waves, before_all) is None, "there was no wave yet to select it on"


def test_nothing_is_due_where_no_measure_names_this_wave(waves, work):
    assert methods.effects_due(waves, work(("B01", "D1", "2026Q4", "started"), ("B02", "D1", NOW, "agreed"))) is None


def test_two_measures_of_a_unit_are_one_unit_and_both_are_named(waves, work):
    told = methods.effects_due(waves, work(("B01", "D1", NOW, "done", "谈心"), ("B01", "D1", NOW, "started", "培训")))
    assert told.table["units"].tolist() == [1, 1]
    assert told.of_units.table["label"].tolist() == ["谈心；培训"]


def test_a_city_is_told_of_its_own_units_against_those_of_the_whole_company(waves, work):
    rows = work(("B01", "D1", NOW, "done"), ("B20", "D1", NOW, "done"))
    told, whole = methods.effects_due(waves, rows, below="CB"), methods.effects_due(waves, rows)
    assert told.table[["level", "unit", "units"]].values.tolist() == [["city", "CB", 1]] * 2
    assert told.of_units.table["unit"].tolist() == ["B20"]
    others = [unit for unit in BRANCHES if unit not in ("B01", "B20", "B24")]  # B24 is too small
    expected = line_of_others(*scores_of(waves, "D1"), ["B20"], others)
    assert told.table["beyond"].iloc[0] == pytest.approx(expected["beyond"], abs=1e-9)
    assert whole.table["units"].tolist() == [2, 2]


def test_with_few_other_units_it_is_a_description(waves, work):
    told = methods.effects_due(waves, work(("CA", "D1", NOW, "done")))
    assert told.table["by"].tolist() == ["city", "city"]
    assert told.table["change"].notna().all()
    assert told.table[["natural", "beyond", "low", "high", "p", "q"]].isna().all(axis=None)
    assert set(told.table["reason"]) == {"description_only;too_few_others"}


def test_a_unit_that_is_not_shown_takes_no_part(waves, work):
    """B24 has six people in the last wave: neither its own effect nor a line through it is told."""
    rows = work(("B01", "D1", NOW, "done"), ("B24", "D1", NOW, "done"))
    told = methods.effects_due(dj.protect(waves), rows)
    assert told.table["units"].tolist() == [1, 1]
    assert "B24" not in told.of_units.table["unit"].tolist()
    assert dj.protect(told).table["beyond"].notna().all()
    exposed = methods.effects_due(waves, rows)
    assert dj.protect(exposed).table["beyond"].isna().all(), "it rests on a unit that is not shown"
    assert methods.effects_due(dj.protect(waves), work(("B24", "D1", NOW, "done"))) is None


def test_a_unit_closed_for_one_question_takes_no_part_in_any_row(waves, work):
    """The table is released as a whole; a unit whose second dimension is closed would close the first one too."""
    rows = work(("B01", "D1", NOW, "done"), ("B02", "D2", NOW, "done"))
    safe = dj.protect(waves)
    closed = safe.table[(safe.table["unit"] == SKIPPED) & (safe.table["period"] == BEFORE)].set_index("code")
    assert closed["score"].notna()[["D1", "D2"]].tolist() == [True, False], "the case is as described"
    told = methods.effects_due(safe, rows)
    ends = safe.table[(safe.table["level"] == "branch") & safe.table["period"].isin([BEFORE, NOW])]
    hidden = set(ends.loc[ends["score"].isna(), "unit"])
    assert {SKIPPED, "B24"} <= hidden
    assert len(hidden) < 5
    others = [unit for unit in BRANCHES if unit not in hidden | {"B01", "B02"}]
    row = told.table[told.table["code"] == "D1"].iloc[0]
    expected = line_of_others(*scores_of(waves, "D1"), ["B01"], others)
    assert row["beyond"] == pytest.approx(expected["beyond"], abs=1e-9)
    assert dj.protect(told).table["beyond"].notna().all()


def test_anything_but_a_trend_and_obligations_is_refused(waves, work):
    with pytest.raises(dj.DjError, match=r"dj\.trend"):
        methods.effects_due(waves, None)


@pytest.mark.parametrize("helps", [True, False])
def test_the_demo_s_measure_is_found_and_one_that_does_nothing_is_not(helps, monkeypatch):
    """Eight points in the six lowest of 120 branches: the ranges cover what was planted, and regression to the mean alone is no effect."""
    if not helps:
        monkeypatch.setattr(effects, "MEASURE_POINTS", 0.0)
    covered = real = 0
    draws = trials(40, 8)
    for seed in range(1, draws + 1):
        company = dj.make_company(employees=6000, branches=120, quarters=3, seed=seed)
        scores = [dj.score(company.survey(period), by=["branch"]) for period in (company.periods[0], NOW)]
        told = methods.effects_due(dj.trend(scores), measures_of(company))
        row = told.table[told.table["code"] == effects.MEASURED].iloc[0]
        assert row["units"] == 6
        units = told.of_units.table["unit"].tolist()
        truth = company.truth[(company.truth["code"] == effects.MEASURED) & (company.truth["form"] == "anchors")]
        wide = truth[truth["unit"].isin(units)].pivot(index="unit", columns="period", values="score")
        moved = (wide[NOW] - wide[company.periods[0]]).mean()
        covered += row["low"] <= moved <= row["high"]
        real += bool(row["real"])
    least, most = stats.binom.interval(0.99, draws, 0.95)[0], stats.binom.interval(0.99, draws, 0.10)[1]
    assert covered >= least
    assert real >= 0.5 * draws if helps else real <= most


def test_nothing_planted_has_no_measure(tmp_path):
    company = dj.make_company(employees=3000, branches=60, quarters=3, planted=False)
    work = dj.open_workspace(company.write(tmp_path / "demo", closed=False)).obligations(kind="measure")
    assert len(work.table) == 0


def test_units_chosen_for_low_scores_with_no_effect_stay_under_the_rate_of_false_discoveries():
    """Four dimensions, the eight lowest of 100 units in each, 15 people a unit; any row called real would be false."""
    rng, any_real, draws = np.random.default_rng(8), 0, trials(2000, 1000)
    for _ in range(draws):
        lasting = rng.normal(60, 5, (100, 4))
        before, now = (lasting + rng.normal(0, 15 / np.sqrt(15), (100, 4)) for _ in range(2))
        lowest = [np.argsort(before[:, j])[:8] for j in range(4)]
        busy = np.isin(np.arange(100), np.concatenate(lowest))
        p = []
        for j, chosen in enumerate(lowest):
            mine = np.isin(np.arange(100), chosen)
            part = mine | ~busy
            estimate, se, df = selected_change(before[part, j], now[part, j], mine[part]).beyond
            p.append(2 * stats.t.sf(abs(estimate) / se, df))
        any_real += bh_adjusted(np.array(p)[:, None]).min() <= 0.10
    assert any_real <= stats.binom.interval(0.99, draws, 0.10)[1]
    assert any_real > 0, "a rate that cannot be exceeded is no test"
