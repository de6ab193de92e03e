"""A fall that only linked people show warns in the history as in the report: both rest on the same change."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from test_pairs import BEFORE, NOW, office_of, paired

import dj_analysis as dj

PEOPLE = 24


def wave_of_two_branches(*, fallen: bool) -> pd.DataFrame:
    """Answers that differ much between people and fall by one step for half of B1's; everybody has a code of their own."""
    answers = np.random.default_rng(4).choice([2, 5, 5, 5], (2 * PEOPLE, 2))
    lower = np.random.default_rng(9).random((PEOPLE, 2)) < 0.55
    if fallen:
        answers[:PEOPLE] -= lower
    return pd.DataFrame({
        "序号": np.arange(1, 2 * PEOPLE + 1), "unit": np.repeat(["B1", "B2"], PEOPLE), "L1": answers[:, 0], "S1": answers[:, 1],
        "own_code": [f"河岸{i}-x{i % 7}" for i in range(2 * PEOPLE)], "consent_use": "是", "consent_link": "是",
    })  # fmt: skip


@pytest.fixture
def office(tmp_path: Path, write_workspace, monkeypatch: pytest.MonkeyPatch) -> Path:
    before, now = (wave_of_two_branches(fallen=fallen) for fallen in (False, True))
    return office_of(tmp_path, before, now, write_workspace, monkeypatch)


def warned(alerts: dj.Result) -> dict[str, str]:
    table = alerts.table[(alerts.table["period"] == NOW) & (alerts.table["warning"] != "")]
    return dict(zip(table["unit"], table["rule"], strict=True))


def test_a_fall_that_linked_people_show_warns_in_the_history_as_in_the_report(office: Path):
    ws, _, change = paired(office)
    scores, history = ws.scores(NOW), ws.alerts(before=NOW)
    assert warned(dj.alerts(scores, change=change, history=history, draws=0)) == {"ALL": "fall", "B1": "fall"}
    assert warned(ws.alerts()) == {"ALL": "fall", "B1": "fall"}
    unlinked = dj.compare(scores, ws.scores(BEFORE))
    assert warned(dj.alerts(scores, change=unlinked, history=history, draws=0)) == {}, "the case needs its links"


def test_without_the_key_neither_warns(office: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv("DJ_KEY_FILE")
    ws, _, change = paired(office)
    assert warned(dj.alerts(ws.scores(NOW), change=change, history=ws.alerts(before=NOW), draws=0)) == {}
    assert warned(ws.alerts()) == {}
