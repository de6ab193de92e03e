"""Warnings of earlier waves stand as they were when each wave was closed, and later ones rest on them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from offices import ITEMS, office, people

import dj_analysis as dj
from dj_analysis import methods
from dj_analysis.publish.sentences import warning_turns

PERIODS = ("2026Q1", "2026Q2", "2026Q3")
TOLD = tuple(zip(PERIODS, ("2026-03-20", "2026-06-20", "2026-09-20"), strict=True))


def leaning(answer: dict[str, int], seed: int, first: int) -> pd.DataFrame:
    """Answers near a value in some units and around the middle in the others."""
    table, rng = people(seed=seed, first=first), np.random.default_rng(seed)
    for item in ITEMS:
        table[item] = 4 + rng.integers(-1, 2, len(table))
        for unit, value in answer.items():
            rows = table["unit"] == unit
            table.loc[rows, item] = np.clip(value + rng.integers(-1, 2, rows.sum()), 1, 5)
    return table


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """B11 low in every wave, B21 low in the second one only."""
    waves = [leaning({"B11": 2}, 1, 1), leaning({"B11": 2, "B21": 2}, 2, 201), leaning({"B11": 2}, 3, 401)]
    return office(tmp_path / "office", *waves, periods=PERIODS)


def warnings_of(alerts: dj.Result) -> dict[tuple[str, str], str]:
    table = alerts.table[alerts.table["level"] == "branch"]
    return {
        (row["period"], row["unit"]): row["warning"]
        for row in table.to_dict("records")
        if row["unit"] in ("B11", "B21")
    }


def test_history_judges_every_wave_in_order(folder: Path):
    ws = dj.open_workspace(folder)
    history = ws.alerts(before="2026Q3")
    found = warnings_of(history)
    assert list(history.table["period"].unique()) == ["2026Q1", "2026Q2"]
    assert found["2026Q1", "B21"] == ""
    assert found["2026Q1", "B11"] != ""
    assert found["2026Q2", "B21"] != ""
    assert list(ws.alerts().table["period"].unique()) == list(PERIODS)
    assert ws.alerts(before="2026Q1").table.empty
    now = ws.scores("2026Q3")
    first = dj.alerts(now, dj.compare(now, ws.scores("2026Q2")), ws.alerts(before="2026Q1"))
    assert (first.table["warning_before"] == "").all()  # an empty history is none


def test_the_last_wave_names_what_is_new_and_what_has_ended(folder: Path):
    ws = dj.open_workspace(folder)
    now = ws.scores("2026Q3")
    found = dj.alerts(now, dj.compare(now, ws.scores("2026Q2")), ws.alerts(before="2026Q3"))
    rows = found.table.set_index(["level", "unit"])
    assert rows.loc[("branch", "B21"), "warning"] == ""
    assert rows.loc[("branch", "B21"), "warning_before"] != ""
    assert rows.loc[("branch", "B11"), "warning"] in ("red", "black")
    turns = warning_turns(found.table[found.table["level"] == "branch"].to_dict("records"))
    assert turns.get("ended") == 1
    assert "new" not in turns


def test_a_closed_wave_keeps_its_warnings_when_cut_points_change(folder: Path):
    ws = dj.open_workspace(folder)
    for period in PERIODS[:2]:
        ws.close(period)
    was = warnings_of(ws.alerts(before="2026Q3"))
    strict = '[warning]\nband = [{ code = "orange", below = 99, confidence = 0.8 }]\n'
    (folder / "bands.toml").write_text(strict, "utf-8")
    for store in (True, False):  # read from the store, and judged anew by what the record kept
        again = dj.open_workspace(folder)
        if not store:
            kept = list((folder / ".dj" / "store").glob("*.warnings.parquet"))
            assert len(kept) == 2
            for path in kept:
                path.unlink()
        assert warnings_of(again.alerts(before="2026Q3")) == was
    # The open wave is judged by what holds now.
    assert (warnings_of(dj.open_workspace(folder).alerts())["2026Q3", "B21"]) == "orange"


def test_an_open_wave_is_not_kept(folder: Path):
    ws = dj.open_workspace(folder)
    ws.alerts()
    assert not list((folder / ".dj" / "store").glob("*.warnings.parquet"))


def test_history_can_be_protected_and_drawn(folder: Path):
    told = [f"{wave}{unit},human_review,{unit},{day},{wave}" for wave, day in TOLD for unit in ("B11", "B21")]
    (folder / "obligations.csv").write_text("\n".join(["obligation,kind,unit,opened,cycle", *told]), "utf-8")
    ws = dj.open_workspace(folder)
    now = ws.scores("2026Q3")
    history = ws.alerts(before="2026Q3")
    every = dj.alerts(now, dj.compare(now, ws.scores("2026Q2")), history).after(history)
    unnamed = dj.plot_warnings(dj.protect(every, ws.release_plan("2026Q3")), level="branch")
    assert "红" not in {text.get_text() for text in unnamed.texts}  # nobody was told
    named = methods.after_review(every, ws.obligations(kind="human_review"), "2026-12-31")
    safe = dj.protect(named, ws.release_plan("2026Q3"))
    assert list(safe.table["period"].unique()) == list(PERIODS)
    axes = dj.plot_warnings(safe, level="branch")
    assert [label.get_text() for label in axes.get_yticklabels()] == ["一支部", "三支部"]
    assert [label.get_text() for label in axes.get_xticklabels()] == ["2026年\n1季度", "2026年\n2季度", "2026年\n3季度"]
    letters = [text.get_text() for text in axes.texts]
    assert len(letters) == 4
    assert set(letters) <= {"橙", "红", "黑"}
    nothing = dj.plot_warnings(safe.where(unit=["B12", "B22"]), level="branch")
    assert [label.get_text() for label in nothing.get_yticklabels()] == []


def test_a_unit_hidden_in_one_wave_has_no_warning_of_it(folder: Path):
    ws = dj.open_workspace(folder)
    scores = ws.scores("2026Q3")
    hidden = replace(scores, withheld={"2026Q3": frozenset({("branch", "B11")})})
    row = dj.alerts(hidden).table.set_index(["level", "unit"]).loc[("branch", "B11")]
    assert (row["warning"], row["reason"]) == ("", "too_few_to_judge")


@pytest.fixture
def red(tmp_path: Path) -> Path:
    """B11 around the middle in every wave, the others above."""
    waves = [leaning({"B11": 3}, seed, 200 * seed) for seed in (1, 2, 3)]
    return office(tmp_path / "office", *waves, periods=PERIODS)


def measures_of_b11(folder: Path, *events: str) -> dj.Workspace:
    """A measure of B11 that was due in the second wave, and what was entered of it."""
    measure = "obligation,kind,unit,opened,due\nM1,measure,B11,2026-02-01,2026-05-01\n"
    (folder / "obligations.csv").write_text(measure, "utf-8")
    entered = ["obligation,state,time", "M1,agreed,2026-02-02", *events]
    (folder / "obligation_events.csv").write_text("\n".join(entered) + "\n", "utf-8")
    return dj.open_workspace(folder)


def test_red_with_a_measure_overdue_is_black_in_the_history_too(red: Path):
    without = warnings_of(dj.open_workspace(red).alerts())
    assert without["2026Q2", "B11"] in ("orange", "red")
    assert without["2026Q3", "B11"] == "red"
    found = warnings_of(measures_of_b11(red).alerts())
    assert found["2026Q1", "B11"] == without["2026Q1", "B11"]  # not due on its last day
    assert found["2026Q3", "B11"] == "black"
    # A measure begun in time, or late but before the wave's last day, is not overdue.
    assert warnings_of(measures_of_b11(red, "M1,started,2026-06-01").alerts()) == without


def test_what_is_entered_of_a_measure_later_moves_no_warning_that_is_kept(red: Path):
    ws = measures_of_b11(red)
    for period in PERIODS:
        ws.close(period)
    was = warnings_of(ws.alerts())
    assert was["2026Q3", "B11"] == "black"
    assert warnings_of(measures_of_b11(red, "M1,started,2026-04-01").alerts()) == was
