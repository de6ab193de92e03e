"""Earlier figures made by hand are drawn apart and set beside the scores, never joined with them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from offices import office, people

import dj_analysis as dj
from dj_analysis import methods
from dj_analysis.errors import DataError, UsageError

PERIODS = ("2026Q2", "2026Q3")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return office(tmp_path / "office", people(seed=1), people(seed=2, first=301), periods=PERIODS)


def with_figures(folder: Path, *rows: str) -> dj.Workspace:
    text = "unit,period,code,value,n,se,method,source\n" + "\n".join(rows)
    (folder / "legacy.csv").write_text(text + "\n", "utf-8")
    return dj.open_workspace(folder)


def test_without_a_table_there_is_none(folder: Path):
    ws = dj.open_workspace(folder)
    assert ws.legacy() is None
    assert not dj.trend([ws.scores(one) for one in PERIODS], ws.legacy()).parts


def test_a_hand_made_figure_off_by_a_known_amount_is_shown_as_such(folder: Path):
    score = dj.open_workspace(folder).scores("2026Q2").at("ALL", "INDEX")["score"]
    ws = with_figures(
        folder, f"ALL,2026Q2,INDEX,{score + 1.8},130,,手工平均,简报第2期", f"ALL,2026Q2,D1,{score + 1.8},99,,,",
        f"ALL,2026Q3,INDEX,{ws_score(folder, '2026Q3')},130,,,", "ALL,2025Q4,INDEX,66,,,,年报", "C1,2026Q3,INDEX,50,4,,,",
    )  # fmt: skip
    table = methods.reconciliation(ws.legacy(), [ws.scores(one) for one in PERIODS]).table
    rows = table.set_index(["unit", "period", "code"])
    assert rows.loc[("ALL", "2026Q2", "INDEX"), "difference"] == pytest.approx(1.8)
    assert rows.loc[("ALL", "2026Q2", "INDEX"), "reason"] == "other_method"
    assert rows.loc[("ALL", "2026Q2", "D1"), "reason"] == "other_people"
    assert rows.loc[("ALL", "2026Q3", "INDEX"), "reason"] == "same_figure"
    assert np.isnan(rows.loc[("C1", "2026Q3", "INDEX"), "legacy"])  # of four people
    assert "2025Q4" not in set(table["period"])


def ws_score(folder: Path, period: str) -> float:
    return float(dj.open_workspace(folder).scores(period).at("ALL", "INDEX")["score"])


def test_the_line_of_hand_made_figures_is_dashed_and_never_joined(folder: Path):
    ws = with_figures(folder, "ALL,2025Q3,INDEX,61,,,,", "ALL,2025Q4,INDEX,66,,,,", "ALL,2026Q2,INDEX,64,,,,")
    waves = [ws.scores(one) for one in PERIODS]
    trend = dj.trend(waves, ws.legacy(until="2026Q3"))
    assert list(trend.table["period"].unique()) == list(PERIODS)  # the scores are what they were
    assert trend.table.equals(dj.trend(waves).table)
    axes = dj.plot_trend(dj.protect(trend, ws.release_plan("2026Q3")))
    dashed = [line for line in axes.get_lines() if line.get_linestyle() == "--"]
    solid = [line for line in axes.get_lines() if line.get_linestyle() == "-"]
    assert len(dashed) == 1
    np.testing.assert_array_equal(dashed[0].get_ydata(), [61, 66, 64, np.nan])
    drawn = np.concatenate([line.get_ydata() for line in solid])
    assert not {61, 66, 64} & set(np.round(drawn[~np.isnan(drawn)], 3))
    assert len(axes.get_xticks()) == 4


def test_later_figures_and_those_of_few_people_are_not_shown(folder: Path):
    ws = with_figures(folder, "ALL,2025Q4,INDEX,66,,,,", "C1,2025Q4,INDEX,66,6,,,", "ALL,2026Q4,INDEX,60,,,,")
    assert list(ws.legacy(until="2026Q3").table["period"].unique()) == ["2025Q4"]
    safe = dj.protect(ws.legacy(), ws.release_plan("2026Q3"))
    shown = safe.table.set_index("unit")["value"]
    assert np.isnan(shown["C1"])
    assert shown["ALL"].tolist() == [66.0, 60.0]


def test_mistakes_in_the_table_are_told_at_once(folder: Path):
    ws = with_figures(folder, "X9,2026Q2,INDEX,66,,,,", "ALL,2026Q2,Z9,66,,,,", "ALL,2026Q2,D1,166,,,,")
    with pytest.raises(DataError) as caught:
        ws.legacy()
    rules = set(caught.value.problems.table["rule"])
    assert rules == {"unknown_unit", "unknown_code", "out_of_range"}
    with pytest.raises(UsageError, match="reconciliation"):
        methods.reconciliation(dj.Result(ws.units.table, (), (), ""), [])


def test_the_quarterly_report_tells_them_apart(folder: Path, monkeypatch: pytest.MonkeyPatch):
    ws = with_figures(folder, "ALL,2025Q4,INDEX,66,,,,年报", "ALL,2026Q3,INDEX,71,,,,简报")
    run = ws.run_report("quarterly", period="2026Q3", formats=["html"])
    text = run.files["html"].read_text("utf-8")
    assert "手工值与重算值对照" in text
    assert "与实线口径不同" in text
    assert "71" in text
