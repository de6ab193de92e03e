"""Each rule of warning fires on a case made for it and not on its neighbour.

Units of ten people at m − 4 and m + 4 have se = 4/3 exactly, so with t(9) the cut points of m can be worked out:
P(μ < 60) ≥ .80 up to 60 − .8834 · 4/3 = 58.82, P(μ < 55) ≥ .90 up to 53.16, P(μ < 45) ≥ .95 up to 42.56.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from small import DIRECT, codebook_of, plain_table, wave

import dj_analysis as dj
from dj_analysis.errors import Problems, UsageError
from dj_analysis.judge.alerts import Alerts, reason_words
from dj_analysis.measure.inference import uncertainty
from dj_analysis.measure.inference.shrinkage import shrink
from dj_analysis.measure.intake.obligation_tables import obligations_of
from dj_analysis.measure.obligation_states import Obligations
from dj_analysis.spec.bands import Band, Bands, default_bands, read_bands
from dj_analysis.spec.codebook import Codebook
from dj_analysis.spec.schemas import OBLIGATION_EVENTS, OBLIGATIONS
from dj_analysis.spec.specification import Specification
from dj_analysis.spec.tree import Node
from dj_analysis.spec.units import Unit, Units

SE = 4 / 3


def around(mean: float, people: int = 10, spread: float = 4) -> list[float]:
    return [round(mean - spread, 6), round(mean + spread, 6)] * (people // 2)


def said(row: pd.Series) -> str:
    """The reason of a row in the words that are printed."""
    return reason_words(row["reason"], Specification())


def judged(now, before=None, **how) -> pd.DataFrame:
    """Warnings by unit."""
    scores = dj.score(now)
    change = None if before is None else dj.compare(scores, dj.score(before))
    return dj.alerts(scores, change=change, **how).table.set_index("unit")


# Bands.

PASS = Bands("pass", (Band("low", 60, "below"), Band("very low", 45, "below")))


def test_a_grade_begins_beyond_its_cut_point():
    values = np.array([np.nan, 100, 60, 60 - 5e-10, 60 - 2e-9, 59.9, 45, 45 + 1e-12, 45 - 2e-9, 0])
    assert PASS.grade(values).tolist() == ["", "", "", "", "low", "low", "low", "low", "very low", "very low"]
    above = Bands("high", (Band("high", 0.1, "above"), Band("very high", 0.2, "above")))
    assert above.grade(np.array([0.1, 0.1 + 5e-10, 0.1 + 2e-9, 0.2, 0.3, np.nan])).tolist() == [
        "", "", "high", "high", "very high", ""
    ]  # fmt: skip


def test_the_gravest_sure_grade_holds():
    bands = Bands(
        "b", (Band("orange", 60, "below", 0.8), Band("red", 55, "below", 0.9), Band("black", 45, "below", 0.95))
    )
    chances = {
        60: [0.79, 0.80, 0.8 - 1e-12, 0.99, 1.00, np.nan],
        55: [0.10, 0.89, 0.50, 0.90, 0.99, np.nan],
        45: [0.00, 0.10, 0.10, 0.94, 0.95, np.nan],
    }
    codes, given = bands.grade_surely(lambda point, side: np.array(chances[point]))
    assert codes.tolist() == ["", "orange", "orange", "red", "black", ""]
    np.testing.assert_allclose(given, [np.nan, 0.80, 0.80, 0.90, 0.95, np.nan], atol=1e-9)


def test_every_cut_point_has_its_reason_and_they_go_from_mild_to_grave():
    bands = default_bands()
    assert set(bands) == {"favourable", "low_answers", "warning", "warning_dimension", "tiers", "stars"}
    assert all(band.reason for section in bands.values() for band in section.bands)
    assert [band.point for band in bands["warning"].bands] == [60, 55, 45]
    assert (bands["low_answers"].of, [band.point for band in bands["low_answers"].bands]) == (45, [0.1, 0.2, 0.35])


def test_a_bands_file_changes_what_it_names_and_says_what_is_wrong(tmp_path: Path):
    path, problems = tmp_path / "bands.toml", Problems()
    path.write_text('[warning]\nband = [{ code = "orange", below = 65, confidence = 0.8 }]\n', encoding="utf-8")
    read = read_bands(path, problems)
    assert (len(problems), read["warning"].bands[0].point, read["low_answers"].of) == (0, 65, 45)
    path.write_text(
        '[warnings]\nband = []\n[warning]\nband = [{ code = "red", below = 50 }, { code = "orange", below = 60 }]\n'
        '[favourable]\nband = [{ code = "good", above = 70, below = 10 }, { code = "x", above = 80, colour = "", cut = 1 }]\n',
        encoding="utf-8",
    )
    read_bands(path, problems)
    found = {(row["place"], row["rule"]): row["found"] for row in problems.table.to_dict("records")}
    assert found["bands.toml", "unknown_setting"] == "warnings"
    assert found["bands.toml [warning]", "band_order"] == "[50.0, 60.0]"
    assert "good" in found["bands.toml [favourable] good", "band"]
    assert found["bands.toml [favourable] x", "unknown_setting"] == "cut"


# The index is credibly low.


@pytest.mark.parametrize(
    ("mean", "warning", "reason"),
    [
        (58.9, "", ""),
        (58.8, "orange", "指数低于60分"),
        (53.2, "orange", "指数低于60分"),
        (53.1, "red", "指数低于55分"),
    ],
)
def test_index_low(mean: float, warning: str, reason: str):
    row = judged(wave({"A": around(mean), "B": around(80)})).loc["A"]
    assert (row["warning"], said(row), row["n"]) == (warning, reason, 10)
    assert row["rule"] == ("index_low" if warning else "")
    point = {"orange": 60, "red": 55}.get(warning, np.nan)
    expected = stats.t.cdf((point - mean) / SE, 9)
    assert row["probability"] == pytest.approx(expected, abs=1e-9, nan_ok=True)


@pytest.mark.parametrize(("mean", "warning"), [(42.6, "red"), (42.5, "black")])
def test_index_low_black(mean: float, warning: str):
    row = judged(wave({"A": around(mean), "B": around(80)})).loc["A"]
    assert (row["warning"], row["rule"]) == (warning, "index_low")
    # A black warning never tells the reason of a milder one: here D1 below 50 and the share of low answers (5 of 10: exact lower end .187).
    told = said(row).split("；")
    assert told == (["指数低于45分"] if warning == "black" else ["指数低于55分"])


def test_a_low_mean_with_a_wide_error_is_no_warning():
    row = judged(wave({"A": around(57, spread=12), "B": around(80)})).loc["A"]  # se 4: P(μ < 60) = .764
    assert row["warning"] == ""
    assert row[["rule", "reason"]].tolist() == ["", ""]


def test_standing_last_is_no_warning():
    units = {name: around(90) for name in "ABCDEFGHI"} | {"Z": around(62)}
    assert (judged(wave(units))["warning"] == "").all()


# Dimensions are credibly low: P(μ < 50) ≥ .80 up to 48.82, two of them P(μ < 45) ≥ .90 up to 43.16.


def four(*means: float) -> list[list[float]]:
    """Ten people on four dimensions, each 4 below or 4 above the mean of the dimension."""
    return [[round(mean + step, 6) for mean in means] for step in (-4, 4)] * 5


@pytest.mark.parametrize(
    ("means", "warning", "reason"),
    [
        ((48.9, 90, 90, 90), "", ""),
        ((48.8, 90, 90, 90), "orange", "D1低于50分"),
        ((30, 90, 90, 90), "orange", "D1低于50分"),
        ((43.1, 43.2, 90, 90), "orange", "D1、D2低于50分"),
        ((43.1, 43.1, 90, 90), "red", "D1、D2低于45分"),
    ],
)
def test_dimension_low(means: tuple[float, ...], warning: str, reason: str):
    row = judged(wave({"A": four(*means), "B": four(80, 80, 80, 80)}, dimensions=4)).loc["A"]
    assert (row["warning"], said(row)) == (warning, reason)
    assert row["rule"] == ("dimension_low" if warning else "")
    assert (row["code"], row["score"]) == (
        ("D2" if warning == "red" else "D1", means[1 if warning == "red" else 0]) if warning else ("", row["score"])
    )
    if warning:  # the least sure of the dimensions that count
        point, counted = (50, means[0]) if warning == "orange" else (45, means[1])
        assert row["probability"] == pytest.approx(stats.t.cdf((point - counted) / SE, 9), abs=1e-9)


# Many people are low, whatever the mean.


def surely_more(count: int, n: int, cut: float) -> bool:
    """So many or more are seen in at most .025 of samples where the share is ``cut``: the exact bound by its definition."""
    return stats.binom.sf(count - 1, n, cut) <= 0.025


@pytest.mark.parametrize(
    ("low", "warning", "cut", "share"),
    [
        (16, "", 0.10, ""),
        (17, "orange", 0.10, "10%"),
        (28, "orange", 0.20, "10%"),
        (29, "red", 0.20, "20%"),
        (44, "red", 0.35, "20%"),
        (45, "black", 0.35, "35%"),
    ],
)
def test_low_share(low: int, warning: str, cut: float, share: str):
    reaches = share == f"{cut:.0%}"
    assert surely_more(low, 100, cut) == reaches
    row = judged(wave({"A": [44.9] * low + [95] * (100 - low), "B": around(80)})).loc["A"]
    assert (row["warning"], row["rule"]) == (warning, "low_share" if warning else "")
    assert said(row) == (f"指数低于45分的人占比下限超过{share}" if warning else "")
    assert row["probability"] == pytest.approx(0.975 if warning else np.nan, nan_ok=True)


@pytest.mark.parametrize("weights", ["equal", "five", "strata"])
@pytest.mark.parametrize("n", [10, 20, 50])
def test_a_share_on_the_cut_is_rarely_said_to_be_above_it(n: int, weights: str):
    # True share .10, ten units in a hundred below it by the lower bound's .975 at the most; Wilson's said so in .070 at n = 10.
    random, waves = np.random.default_rng(n), 4000
    w = np.ones((waves, n))
    if weights == "five":
        w[:, : n // 5] = 5
    elif weights == "strata":
        w = random.choice([1 / 0.9, 2, 5], p=[0.9 / 1.6, 0.5 / 1.6, 0.2 / 1.6], size=(waves, n))
    share = (w * (random.random((waves, n)) < 0.10)).sum(axis=1) / w.sum(axis=1)
    effective = w.sum(axis=1) ** 2 / (w**2).sum(axis=1)
    low, _ = uncertainty.exact_interval(share * effective, effective)
    assert (low > 0.10).sum() <= stats.binom.ppf(0.995, waves, 0.025)


def test_the_exact_interval_by_its_definition():
    # 81 of 263: 81 or more are seen in .025 of samples at the lower end, 81 or fewer at the upper one. Nobody: from 0.
    low, high = (float(end[0]) for end in uncertainty.exact_interval(np.array([81.0]), np.array([263.0])))
    assert stats.binom.sf(80, 263, low) == pytest.approx(0.025)
    assert stats.binom.cdf(81, 263, high) == pytest.approx(0.025)
    low, high = uncertainty.exact_interval(np.array([0.0, 10.0, 0.0]), np.array([10.0, 10.0, 0.0]))
    np.testing.assert_allclose(low, [0, 0.025**0.1, np.nan])
    np.testing.assert_allclose(high, [1 - 0.025**0.1, 1, np.nan])


def test_people_exactly_on_the_cut_are_not_low():
    assert judged(wave({"A": [45] * 16 + [95] * 84})).loc["A", "warning"] == ""


# The index fell.


@pytest.mark.parametrize(("mean", "warning"), [(70.1, ""), (70.0, "orange"), (69.9, "orange"), (80, "")])
def test_fall(mean: float, warning: str):
    now, before = wave({"A": around(mean, 50)}), wave({"A": around(75, 50)}, "2026Q2")
    row = judged(now, before).loc["A"]
    assert (row["warning"], row["rule"]) == (warning, "fall" if warning else "")
    assert said(row) == ("指数环比下降5分以上，超出误差范围" if warning else "")
    if warning:
        assert row["probability"] > 0.999


def test_fall_is_not_judged_without_a_change():
    assert judged(wave({"A": around(65, 50)})).loc["A", "warning"] == ""


def test_a_fall_within_error_is_no_warning():
    now, before = wave({"A": around(67, spread=20)}), wave({"A": around(75, spread=20)}, "2026Q2")
    assert judged(now, before).loc["A", "warning"] == ""


def test_a_fall_that_many_units_explain_is_no_warning():
    # Nine points with p ≈ .03: beyond error alone, not among twenty units of which the others did not move.
    now, before = {"A": around(66, spread=8)}, {"A": around(75, spread=8)}
    alone = judged(wave(now), wave(before, "2026Q2")).loc["A"]
    assert alone["warning"] == "orange"
    others = {f"U{i}": around(75, spread=8) for i in range(19)}
    among = judged(wave(now | others), wave(before | others, "2026Q2"))
    assert (among.drop(index="ALL")["warning"] == "").all()


def test_a_fall_of_exactly_the_smallest_change_counts_whatever_floats_say():
    before, now = wave({"A": [60, 70, 75] * 8}, "2026Q2"), wave({"A": [55, 65, 70] * 8})
    row = judged(now, before).loc["A"]
    assert (row["warning"], row["rule"]) == ("orange", "fall")


# Which rule speaks.


def test_the_gravest_rule_holds_and_no_milder_reason_is_said():
    # 20 people at 50 or 54 and 8 at 44: mean 49.71, 8 of 28 below 45 (Wilson lower end .153); 70 before.
    now = wave({"A": [*around(52, 20, 2), *([44.0] * 8)], "B": around(80)})
    before = wave({"A": around(70, 28), "B": around(80)}, "2026Q2")
    row = judged(now, before).loc["A"]
    assert (row["warning"], row["rule"]) == ("red", "index_low")
    assert (row["reason"], said(row)) == ("index_low:red", "指数低于55分")
    assert (row["code"], row["score"]) == ("INDEX", pytest.approx(49.714, abs=1e-3))


def test_the_reasons_are_said_in_english_on_request():
    scores = dj.score(wave({"A": around(53.1), "B": around(80)}))
    found = dj.alerts(scores, spec=scores.spec.speaking("en"))
    reason = found.where(unit="A").table["reason"].iloc[0]
    assert reason_words(reason, found.spec) == "index below 55"


def test_counts_of_warnings():
    waves = wave({"A": around(53.1), "B": around(58.8), "C": around(80), "D": around(20, 8)})
    found = dj.alerts(dj.score(waves))
    assert isinstance(found, Alerts)
    counts = found.count("unit")
    assert (counts["orange"], counts["red"], counts["black"], counts["too_few_to_judge"]) == (1, 1, 0, 1)


# Guards.


def test_too_few_people_are_not_judged():
    table = judged(wave({"A": [*around(30, 8), 30], "B": around(30)}))
    assert table.loc["A", ["warning", "reason", "n"]].tolist() == ["", "too_few_to_judge", 9]
    assert np.isnan(table.loc["A", "probability"])
    assert table.loc["B", "warning"] == "black"


def test_how_few_is_too_few_is_declared():
    scores = dj.score(wave({"A": [*around(30, 4), 30]}))
    assert dj.alerts(scores).where(unit="A").table["reason"].tolist() == ["too_few_to_judge"]
    declared = replace(scores.spec, min_group=5)
    assert dj.alerts(scores, spec=declared).where(unit="A").table["warning"].tolist() == ["black"]


@pytest.mark.parametrize(("headcount", "warning", "reason"), [(21, "", "参与率偏低提示"), (20, "red", None)])
def test_a_low_participation_is_a_hint_and_no_warning(headcount: int, warning: str, reason: str | None):
    row = judged(wave({"A": around(50), "B": around(80)}, headcounts={"A": headcount, "B": 10})).loc["A"]
    assert row["warning"] == warning
    assert row["response"] == 10 / headcount
    assert said(row) == (reason or "指数低于55分")


def test_too_few_people_come_before_a_low_participation():
    row = judged(wave({"A": [30] * 9}, headcounts={"A": 100})).loc["A"]
    assert (row["reason"], row["response"]) == ("too_few_to_judge", 0.09)


@pytest.mark.parametrize(("people", "reason"), [(26, ""), (24, "fallen_response")])
def test_a_fallen_participation_is_a_hint(people: int, reason: str):
    # 80 % before; 65 % is down by exactly 15 points, 60 % by more.
    now = wave({"A": around(80, people)}, headcounts={"A": 40})
    before = wave({"A": around(80, 32)}, "2026Q2", headcounts={"A": 40})
    both = pd.concat([now.spec.headcounts, before.spec.headcounts])
    row = judged(replace(now, spec=replace(now.spec, headcounts=both)), before).loc["A"]
    assert (row["warning"], row["reason"]) == ("", reason)
    assert row["response"] == people / 40


def test_without_headcounts_the_guard_is_off():
    row = judged(wave({"A": around(50), "B": around(80)})).loc["A"]
    assert (row["warning"], row["rule"]) == ("red", "index_low")
    assert np.isnan(row["response"])


def test_more_people_than_on_the_books_is_no_participation():
    scores = dj.score(wave({"A": around(50)}, headcounts={"A": 8}))
    row = dj.alerts(scores).where(unit="A").table.iloc[0]
    assert row["warning"] == "red"
    assert np.isnan(row["response"])
    assert "more_than_headcount" in scores.response.where(unit="A").table["reason"].iloc[0]


MERGED = Units(
    (
        Unit("A", level="branch"),
        Unit("B", level="branch", valid_to="2026-07-31", became="A"),
        Unit("C", level="branch"),
    )
)


def test_a_fallen_participation_of_a_merged_unit():
    # Before: 18 of 10 + 10; now 24 of 40. Down from 90 % to 60 %.
    headcounts = pd.DataFrame(
        [("A", "2026Q2", 10), ("B", "2026Q2", 10), ("A", "2026Q3", 40)], columns=["unit", "period", "headcount"]
    ).assign(group="", category="")
    before = wave({"A": around(80, 10), "B": around(80, 8), "C": around(80)}, "2026Q2", units=MERGED)
    now = wave({"A": around(80, 24), "C": around(80)}, units=MERGED)
    now, before = (replace(s, spec=replace(s.spec, headcounts=headcounts)) for s in (now, before))
    change = dj.compare(dj.score(now), dj.score(before))
    row = change.response.where(unit="A").table.iloc[0]
    assert (row["rate"], row["rate_before"]) == (0.6, 0.9)
    assert judged(now, before).loc["A", "reason"] == "fallen_response"


def test_an_index_of_three_people_is_not_judged_among_twelve_forms():
    table = plain_table(("INDEX", ""), ("D1", "INDEX"), ("q1", "D1", 1, 1.0, 0, 100), ("o", "", 1, 1.0, 0, 100))
    frame = pd.DataFrame({"q1": [40, 45, 50] + [np.nan] * 9, "o": [60.0] * 12, "unit": "A"})
    scores = dj.score(dj.read_survey(frame, codebook_of(table), period="2026Q3"))
    assert (scores.at("A", "INDEX")["n"], scores.at("A", "o")["n"]) == (3, 12)
    assert dj.alerts(scores).where(unit="A").table[["warning", "reason"]].to_numpy().tolist() == [
        ["", "too_few_to_judge"]
    ]


# Declarations of the office's own.


def with_bands(scores, **bands: Bands):
    return replace(scores.spec, bands={**scores.spec.bands, **bands})


def test_cut_points_of_the_offices_own():
    scores = dj.score(wave({"A": around(64), "B": around(80)}))
    own = Bands("warning", (Band("orange", 66, "below", 0.8),))
    spec = with_bands(scores, warning=own)
    row = dj.alerts(scores, spec=spec).where(unit="A").table.iloc[0]
    assert row["reason"] == "index_low:orange"
    assert (row["warning"], reason_words(row["reason"], spec)) == ("orange", "指数低于66分")


@pytest.mark.parametrize(
    "section",
    [
        "warning",
        "warning_dimension",
    ],
)
def test_a_cut_point_without_confidence_cuts_the_number_itself(section: str):
    scores = dj.score(wave({"A": around(59.5), "B": around(80)}))
    spec = with_bands(scores, **{section: Bands(section, (Band("orange", 60, "below"),))})
    table = dj.alerts(scores, spec=spec).table.set_index("unit")
    assert table.loc[["A", "B"], "warning"].tolist() == ["orange", ""]


def test_probability_with_unequal_weights_has_the_degrees_of_freedom_of_the_mean():
    weights = [6.0, *[1.0] * 11]  # n_eff = 17² / 47 = 6.15
    frame = pd.DataFrame({"q1": [53, *around(53, 10), 53], "w": weights, "unit": "A"})  # not skewed
    codebook = Codebook(DIRECT[1].tree, (Node("w", role="weight"),))
    scores = dj.score(dj.read_survey(frame, codebook, period="2026Q3"))
    row, index = dj.alerts(scores).where(unit="A").table.iloc[0], scores.at("A", "INDEX")
    point = {"orange": 60, "red": 55}[row["warning"]]
    expected = stats.t.cdf((point - index["score"]) / index["se"], 17**2 / 47 - 1)
    assert row["probability"] == pytest.approx(expected, abs=1e-9)


def test_scoring_by_another_specification_uses_its_weights():
    survey = wave({"A": [[20, 80], [40, 90]]}, dimensions=2)
    nodes = [replace(node, weight=3.0) if node.code == "D1" else node for node in survey.codebook.tree]
    heavier = replace(survey.spec.codebook, tree=replace(survey.spec.codebook.tree, nodes=tuple(nodes)))
    spec = replace(survey.spec, codebook=heavier)
    assert dj.score(replace(survey, spec=spec)).at("A", "INDEX")["score"] == (3 * 30 + 85) / 4
    assert dj.score(survey, spec=spec).at("A", "INDEX")["score"] == (3 * 30 + 85) / 4


# What cannot be judged.


def test_what_cannot_be_judged_is_refused():
    table = plain_table(("D1", ""), ("q1", "D1", 1, 1.0, 0, 100))
    frame = pd.DataFrame({"q1": around(50), "unit": "A"})
    with pytest.raises(UsageError, match="role = index"):
        dj.alerts(dj.score(dj.read_survey(frame, codebook_of(table), period="2026Q3")))


# The shrunken mean decides.


def test_the_probability_is_that_of_the_shrunken_mean():
    # Eleven alike units and one low by chance: its own mean is below 60 with P = .92, its shrunken mean is not.
    units = {f"U{i}": around(65 + (i % 3 - 1), spread=10) for i in range(11)} | {"Z": around(56, spread=10)}
    scores = dj.score(wave(units))
    own = stats.t.cdf((60 - 56) / scores.at("Z", "INDEX")["se"], 9)
    row = dj.alerts(scores).table.set_index("unit").loc["Z"]
    assert own >= 0.8
    assert row["warning"] == ""
    # A real difference is still found: the unit lies where chance hardly takes anybody.
    far = dj.alerts(dj.score(wave(units | {"Z": around(40, spread=10)}))).table.set_index("unit").loc["Z"]
    table = dj.score(wave(units | {"Z": around(40, spread=10)})).table
    table = table[(table["level"] == "unit") & (table["code"] == "INDEX") & (table["form"] == "anchors")]
    shrunk = shrink(table["score"], table["se"], table["n"], variance="pooled")
    z = table["unit"].tolist().index("Z")
    assert far["warning"] == "red"
    assert far["probability"] == pytest.approx(
        stats.t.cdf((55 - shrunk.estimate[z]) / shrunk.se[z], shrunk.df[z]), abs=1e-9
    )


# Waves before.


def history_of(*waves: dict) -> tuple:
    """Score waves one after the other; return the last scores, its change and the warnings before it."""
    alerts, scores, change = None, None, None
    for number, units in enumerate(waves, start=1):
        history, before = alerts, scores
        scores = dj.score(wave(units, f"2026Q{number}"))
        change = dj.compare(scores, before) if before is not None else None
        alerts = dj.alerts(scores, change, history, draws=0)
    return scores, change, history


def test_a_warning_ends_only_two_points_beyond_its_cut_point():
    # P(μ < 60) ≥ .80 up to 58.82; once orange, up to 60.82. Rises of two points are beyond no error here.
    for now, warning, reason in ((60.7, "orange", "index_low:orange;held"), (60.9, "", "")):
        scores, change, history = history_of({"A": around(58.8)}, {"A": around(now)})
        row = dj.alerts(scores, change, history).table.set_index("unit").loc["A"]
        # persistence: without improvement the second orange is red
        expected = {"orange": "red", "": ""}[warning]
        assert row["warning"] == expected, reason
    scores, change, history = history_of({"A": around(58.8)}, {"A": around(60.7)})
    assert dj.alerts(scores, change).table.set_index("unit").loc["A", "warning"] == ""
    assert dj.alerts(scores, None, history).table.set_index("unit").loc["A", ["warning", "reason"]].tolist() == [
        "orange", "index_low:orange;held"
    ]  # fmt: skip
    table = dj.alerts(scores, None, history).table.set_index("unit")
    assert said(table.loc["A"]) == "指数低于60分；回升未超过2分，保持上期级别"


def test_a_level_goes_down_step_by_step():
    # Black up to 42.56 (44.56 on the way back), red up to 53.16 (55.16).
    scores, _, history = history_of({"A": around(42.5)}, {"A": around(45)})
    assert history.table.set_index("unit").loc["A", "warning"] == "black"
    row = dj.alerts(scores, None, history).table.set_index("unit").loc["A"]
    assert (row["warning"], row["reason"].split(";")[0]) == ("red", "index_low:red")


def test_orange_twice_without_improvement_is_red():
    scores, change, history = history_of({"A": around(58)}, {"A": around(57.5)})
    row = dj.alerts(scores, change, history).table.set_index("unit").loc["A"]
    assert (row["warning"], row["rule"], said(row)) == ("red", "persistent", "连续两期达到橙色以上且没有好转")
    assert row["probability"] == pytest.approx(stats.t.cdf((60 - 57.5) / SE, 9), abs=1e-9)


def test_orange_twice_with_improvement_is_orange():
    scores, change, history = history_of({"A": around(54, 50, 1)}, {"A": around(58.8, 50, 1)})
    assert history.table.set_index("unit").loc["A", "warning"] == "red"
    row = dj.alerts(scores, change, history).table.set_index("unit").loc["A"]
    assert (row["warning"], row["rule"]) == ("orange", "index_low")


def test_a_first_orange_or_an_unknown_change_is_no_persistence():
    scores, change, history = history_of({"A": around(80)}, {"A": around(58)})
    assert dj.alerts(scores, change, history).table.set_index("unit").loc["A", "warning"] == "orange"
    scores, _, history = history_of({"A": around(58)}, {"A": around(58)})
    assert dj.alerts(scores, None, history).table.set_index("unit").loc["A", "warning"] == "orange"


def measure_of(unit: str, spec: Specification, due: str) -> Obligations:
    """One measure of a unit that nobody has begun."""
    rows = pd.DataFrame(
        [("M1", "measure", unit, "2026-04-01", due)], columns=["obligation", "kind", "unit", "opened", "due"]
    )
    rows = rows.reindex(columns=list(OBLIGATIONS.names), fill_value="")
    problems = Problems()
    read = obligations_of(rows, pd.DataFrame(columns=list(OBLIGATION_EVENTS.names), dtype="str"), spec, problems)
    problems.raise_if_any()
    return read


@pytest.mark.parametrize(
    ("late", "due", "warning"),
    [("A", "2026-06-29", "black"), ("A", "2026-06-30", "red"), ("B", "2026-06-29", "red")],
)
def test_red_twice_with_a_measure_overdue_is_black(late: str, due: str, warning: str):
    scores, change, history = history_of({"A": around(50), "B": around(80)}, {"A": around(50), "B": around(80)})
    table = dj.alerts(scores, change, history, measure_of(late, scores.spec, due)).table.set_index("unit")
    assert table.loc["A", "warning"] == warning
    assert table.loc["B", "warning"] == ""
    assert ("overdue" in table.loc["A", "reason"]) == (warning == "black")


def test_history_of_another_cycle_or_of_later_waves_does_not_count():
    scores, change, history = history_of({"A": around(58)}, {"A": around(58)})
    later = replace(history, table=history.table.assign(period="2026Q4"))
    monthly = replace(history, table=history.table.assign(period="2026-01"))
    for other in (later, monthly):
        assert dj.alerts(scores, change, other).table.set_index("unit").loc["A", "warning"] == "orange"


# Units above and below.

TREE = Units(
    (
        Unit("C1", level="city"), Unit("C2", level="city"), Unit("A", parent="C1", level="branch"),
        Unit("B", parent="C1", level="branch"), Unit("D", parent="C2", level="branch"),
        Unit("E", parent="C2", level="branch"),
    )
)  # fmt: skip


def test_a_warning_of_a_unit_below_names_the_unit_above_that_has_it_already():
    units = {"A": around(44), "B": around(35), "D": around(50), "E": around(95)}
    table = dj.alerts(dj.score(wave(units, units=TREE), by=["city", "branch"])).table.set_index("unit")
    assert table["warning"].reindex(["C1", "C2", "A", "B", "D", "E"]).tolist() == [
        "black", "", "red", "black", "red", ""
    ]  # fmt: skip
    assert table["covered_by"].reindex(["A", "B", "D", "C1"]).tolist() == ["C1", "C1", "", ""]


def test_units_that_a_release_hides_are_not_judged():
    scores = dj.score(wave({"A": around(30), "B": around(30)}))
    hidden = replace(scores, withheld={"2026Q3": frozenset({("unit", "A")})})
    table = dj.alerts(hidden).table.set_index("unit")
    assert table.loc["A", ["warning", "reason"]].tolist() == ["", "too_few_to_judge"]
    assert table.loc["B", "warning"] == "black"


def test_the_expected_number_of_untrue_warnings_is_printed_by_null_and_grade():
    units = {f"U{i}": around(61 + i % 5, 12, 14) for i in range(30)}
    before = dj.score(wave(units, "2026Q2"))
    scores = dj.score(wave(units))
    found = dj.alerts(scores, dj.compare(scores, before))
    expected = found.parts["expected"].table
    assert set(expected["null"]) == {"no_unit_differs", "no_unit_changed"}
    of_units = expected[expected["level"] == "unit"].set_index(["null", "warning"])
    assert of_units.loc[("no_unit_differs", "orange"), "units"] == 30
    assert (of_units["low"] <= of_units["untrue"] + 1).all()
    assert (of_units["untrue"] <= of_units["high"] + 1).all()
    alone = dj.alerts(scores).parts["expected"].table
    assert set(alone["null"]) == {"no_unit_differs"}
    assert "expected" not in dj.alerts(scores, draws=0).parts
