"""Precision before the survey against the published table, and how much one person can weigh."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from small import codebook_of, plain_table, wave

import dj_analysis as dj
from dj_analysis.errors import UsageError
from dj_analysis.methods import influence, precision


def test_planning_table():
    # SD 14 by Student's t (2.776 2.262 2.093 2.045 2.010 1.984) and √n; shrinkage weights at ICC .1, to the printed digits.
    table = precision()
    assert table["n"].tolist() == [5, 10, 20, 30, 50, 100]
    assert table["half_width"].round(1).tolist() == [17.4, 10.0, 6.6, 5.2, 4.0, 2.8]
    assert table["weight"].round(2).tolist() == [0.36, 0.53, 0.69, 0.77, 0.85, 0.92]


def test_one_person_has_no_half_width():
    assert np.isnan(precision([1])["half_width"][0])


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


def weighed(scores, weights) -> dj.Result:
    """Influence of units whose people have weights: unit → scores, unit → weights."""
    rows = [(unit, x, w) for unit in scores for x, w in zip(scores[unit], weights[unit], strict=True)]
    frame = pd.DataFrame(rows, columns=["unit", "q1", "w"])
    codebook = codebook_of(plain_table(("INDEX", ""), ("D1", "INDEX"), ("q1", "D1", 1, 1.0, 0, 100)), weight="w")
    return influence(dj.score(dj.read_survey(frame, codebook), by="unit"))


def test_a_heavy_respondent_moves_a_mean_by_more():
    # Fourteen of weight 1 and one of 5, all at 100: 5·100/(19 − 5) = 35.71, where 100/14 = 7.14 was said.
    table = weighed({"A": [100] * 15}, {"A": [1.0] * 14 + [5]}).table.query("code == 'D1' and unit == 'A'")
    assert table["influence"].item() == pytest.approx(500 / 14)
    # Three of fifteen weigh 5: the heaviest person is known, not only what the sums of weights allow.
    table = weighed({"A": [80] * 15}, {"A": [1.0] * 12 + [5] * 3}).table.query("code == 'D1' and unit == 'A'")
    assert table["influence"].item() == pytest.approx(5 * 80 / (27 - 5))


def test_nobody_with_a_weight_taken_out_moves_a_mean_by_more():
    random = np.random.default_rng(8)
    scores = {unit: random.integers(0, 101, 12).astype(float) for unit in "ABCDE"}
    weights = {unit: np.exp(random.normal(0, 0.8, 12)) for unit in scores}
    table = weighed(scores, weights).table.query("level == 'unit' and code == 'D1'").set_index("unit")
    for unit, x in scores.items():
        w, mean = weights[unit], np.average(x, weights=weights[unit])
        moved = max(abs(np.average(np.delete(x, i), weights=np.delete(w, i)) - mean) for i in range(12))
        assert moved <= table.loc[unit, "influence"] + 1e-9
        assert table.loc[unit, "influence"] == pytest.approx(w.max() * max(mean, 100 - mean) / (w.sum() - w.max()))
    scaled = weighed(scores, {unit: 7 * w for unit, w in weights.items()}).table.query(
        "level == 'unit' and code == 'D1'"
    )
    np.testing.assert_allclose(scaled["influence"], table["influence"])
