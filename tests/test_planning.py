"""Precision before the survey against the published table, and how much one person can weigh."""

from __future__ import annotations

import numpy as np
import pytest
from small import wave

import dj_analysis as dj
from dj_analysis.errors import UsageError
from dj_analysis.methods import influence, precision


def test_planning_table():
    # Half widths at SD 14 and shrinkage weights at ICC .1 for 5, 10, 20, 30, 50 and 100 people, to the printed digits.
    table = precision()
    assert table["n"].tolist() == [5, 10, 20, 30, 50, 100]
    assert table["half_width"].round(1).tolist() == [12.3, 8.7, 6.1, 5.0, 3.9, 2.7]
    assert table["weight"].round(2).tolist() == [0.36, 0.53, 0.69, 0.77, 0.85, 0.92]


@pytest.mark.parametrize("given", [{"people": [0]}, {"sd": 0.0}, {"icc": 1.5}])
def test_what_cannot_be_planned(given):
    with pytest.raises(UsageError, match="icc"):
        precision(**given)


def test_nobody_taken_out_moves_a_mean_by_more():
    answers = [0, 100, 100, 75, 50, 25, 100, 100, 75, 100, 50, 60]
    scores = dj.score(wave({"A": answers, "B": [60], "C": [100] * 5}))
    table = influence(scores).table.query("code == 'D1'").set_index("unit")
    x = np.array(answers, dtype=float)
    moved = [abs(np.delete(x, i).mean() - x.mean()) for i in range(len(x))]
    assert max(moved) <= table.loc["A", "influence"] + 1e-9
    assert table.loc["A", "influence"] == pytest.approx(x.mean() / 11)
    assert np.isnan(table.loc["B", "influence"])


def test_printed_influence_follows_from_the_printed_score():
    scores = dj.score(wave({"A": [60, 62, 64, 66, 68, 70, 61, 63, 65, 67, 69], "B": [40] * 20 + [60] * 20}))
    row = dj.protect(influence(scores)).printed().table.query("unit == 'A' and code == 'D1'").iloc[0]
    assert row["score"] == 65  # eleven people: steps of five
    assert row["influence"] == pytest.approx(6.5)
