"""Skewed and resampled intervals: worked out by hand, against scipy, and how often they hold the truth.

Tolerances: sums against the direct formula 1e-10; two bootstraps of 20,000 draws differ by at most 3 % of the width.
"""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from small import codebook_of, plain_table, wave
from test_uncertainty import CODES, people, true_means

import dj_analysis as dj
from dj_analysis.errors import UsageError
from dj_analysis.measure.inference import uncertainty
from dj_analysis.measure.inference.bootstrap import bootstrap_interval, bootstrapped, skewed_interval
from dj_analysis.measure.survey import Survey
from dj_analysis.spec import reasons
from dj_analysis.spec.units import Unit, Units

EXACT = 1e-10
CEILING = np.array([100, 100, 95, 100, 90, 100, 85, 100, 95, 60.0])


def powers(x: np.ndarray, origin: float = 0.0) -> tuple:
    return (np.size(x), *(float(((x - origin) ** p).sum()) for p in (1, 2, 3)))


# The closed form.


def test_skewed_interval_by_hand():
    # 1, 2, 3, 4, 10: mean 4, Σd² = 50, Σd³ = −27−8−1+0+216 = 180; se = √(50/4/5), skewness of the mean 180/50^1.5.
    found = skewed_interval(*powers(np.array([1, 2, 3, 4, 10.0])))
    z, t = stats.norm.ppf(0.975), stats.t.ppf(0.975, 4)
    shift = 180 / 50**1.5 * (2 * z**2 + 1) / 6
    assert found.mean == pytest.approx(4, abs=EXACT)
    assert found.se == pytest.approx(math.sqrt(2.5), abs=EXACT)
    assert found.skewness == pytest.approx(180 / 50**1.5, abs=EXACT)
    assert found.low == pytest.approx(4 - math.sqrt(2.5) * (t - shift), abs=EXACT)
    assert found.high == pytest.approx(4 + math.sqrt(2.5) * (t + shift), abs=EXACT)


def test_without_skewness_it_is_students_interval():
    x = np.array([40, 50, 60, 70.0])
    found = skewed_interval(*powers(x))
    low, high = stats.t.interval(0.95, 3, x.mean(), stats.sem(x))
    assert (found.low, found.high) == (pytest.approx(low, abs=EXACT), pytest.approx(high, abs=EXACT))


def test_a_tail_towards_the_low_end_moves_both_limits_down():
    x = CEILING
    found, mirrored = skewed_interval(*powers(x)), skewed_interval(*powers(100 - x))
    low, high = stats.t.interval(0.95, 9, x.mean(), stats.sem(x))
    assert found.low < low
    assert found.high < high
    assert (mirrored.low, mirrored.high) == (pytest.approx(100 - found.high), pytest.approx(100 - found.low))


def test_sums_around_another_origin_and_sums_of_blocks_are_the_same():
    x = people(np.random.default_rng(3), (5000,))[:, 7]
    whole = skewed_interval(*powers(x))
    centred = skewed_interval(*powers(x, 50), origin=50)
    added = skewed_interval(*np.add(powers(x[:777]), powers(x[777:])))
    direct = stats.skew(x) / math.sqrt(5000)
    for other in (centred, added):
        for name in ("mean", "se", "skewness", "low", "high"):
            assert getattr(other, name) == pytest.approx(getattr(whole, name), rel=EXACT)
    assert whole.skewness == pytest.approx(direct, rel=EXACT)


def test_too_little_has_no_interval():
    found = skewed_interval([0, 1, 3, 50_000], [0, 60, 210, 50_000 * 2300 / 30], [0, 3600, 14700, 50_000 * (230 / 3) ** 2],
                            [0, 216000, 1029000, 50_000 * (230 / 3) ** 3])  # fmt: skip
    assert np.isnan(found.low).all()
    assert np.isnan(found.high).all()
    assert found.mean[1:] == pytest.approx([60, 70, 230 / 3])


def test_the_mean_stays_inside_however_skewed():
    extreme = np.array([100.0] * 29 + [0.0])
    for confidence in (0.9, 0.99, 0.999):
        found = skewed_interval(*powers(extreme), confidence)
        assert found.low <= found.mean <= found.high


def weighted_sums(x: np.ndarray, w: np.ndarray) -> dict[str, np.ndarray]:
    """Sums over the first axis, the third powers among them."""
    sums = {"n": np.full(x.shape[1:], float(len(x))), "w": w.sum(0), "ww": (w**2).sum(0), "www": (w**3).sum(0)}
    sums |= {"wx" + "x" * i: (w * x ** (i + 1)).sum(0) for i in range(3)}
    return sums | {"wwx": (w**2 * x).sum(0), "wwxx": (w**2 * x**2).sum(0)}


def test_equal_weights_of_any_size_are_no_weights():
    x = CEILING[:, None]
    plain = skewed_interval(*powers(CEILING))
    for size in (1.0, 0.25):
        sums = weighted_sums(x, np.full_like(x, size))
        found = uncertainty.means(sums)
        assert found.skewness[0] == pytest.approx(plain.skewness, rel=1e-9)
        assert (found.low[0], found.high[0]) == (
            pytest.approx(plain.low, rel=1e-9),
            pytest.approx(plain.high, rel=1e-9),
        )


def test_skewness_of_a_weighted_mean_by_hand():
    # 0 and 10 with weights 3 and 1: mean 2.5, variance 18.75, third moment (3·(−2.5)³ + 7.5³)/4 = 93.75; Σw³ 28, Σw² 10.
    sums = weighted_sums(np.array([[0.0], [10.0]]), np.array([[3.0], [1.0]]))
    assert uncertainty.skewness_of_mean(sums)[0] == pytest.approx(93.75 / 18.75**1.5 * 28 / 10**1.5, rel=EXACT)


# How often they hold the truth.

SEED, DRAWS = 20261121, 4000


def rates(n: int, limits, stream: int = 2) -> np.ndarray:
    """Share of intervals that hold the true mean: eight dimensions and the index."""
    truth, held, done = true_means(), np.zeros(9), 0
    rng = np.random.default_rng([SEED, n, stream])
    while done < DRAWS:
        x = np.moveaxis(people(rng, (min(1000, DRAWS - done), n)), 1, 0)
        low, high = limits(x, rng)
        held += ((low <= truth) & (truth <= high)).sum(axis=0)
        done += x.shape[1]
    return held / DRAWS


def accepted(rate: float = 0.95, draws: int = DRAWS) -> tuple[float, float]:
    least, most = np.array(stats.binom.interval(0.99, draws, rate)) / draws
    return float(least), float(most)


def skewed(x: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    found = skewed_interval(len(x), x.sum(0), (x**2).sum(0), (x**3).sum(0))
    return found.low, found.high


@pytest.mark.parametrize("n", [10, 12, 20, 50])
def test_skewed_intervals_hold_the_truth_as_often_as_they_say(n: int):
    least, most = accepted()
    found = dict(zip(CODES, rates(n, skewed), strict=True))
    assert {code: rate for code, rate in found.items() if not least <= rate <= most} == {}


def test_students_interval_of_ten_skewed_answers_does_not():
    def student(x: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        low, high = stats.t.interval(0.95, len(x) - 1, x.mean(0), np.maximum(stats.sem(x), 1e-9))
        return low, high

    assert rates(10, student)[CODES.index("D8")] < accepted()[0]


@pytest.mark.parametrize("n", [10, 20])
def test_skewed_intervals_of_weighted_answers_hold_the_truth_as_often_as_they_say(n: int):
    def with_weights(x: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        sums = weighted_sums(x, np.broadcast_to(rng.uniform(0.5, 2, x.shape[:2])[..., None], x.shape))
        found = uncertainty.means(sums)
        return found.low, found.high

    least, most = accepted()
    found = dict(zip(CODES, rates(n, with_weights, stream=3), strict=True))
    assert {code: rate for code, rate in found.items() if not least <= rate <= most} == {}


#: Measured with 20,000 replications; stated in docs/methods.
BOOTSTRAP_OF_TEN = {"percentile": 0.8975, "bca": 0.9070}


@pytest.mark.parametrize("method", ["percentile", "bca"])
def test_the_bootstrap_of_ten_people_holds_the_truth_as_seldom_as_is_said(method: str):
    draws, truth = 1500, true_means()[7]
    x = people(np.random.default_rng([SEED, 10]), (draws, 10))[..., 7]
    found = [bootstrap_interval(row, method=method, draws=399, seed=i) for i, row in enumerate(x)]
    rate = np.mean([one.low <= truth <= one.high for one in found])
    least, most = accepted(BOOTSTRAP_OF_TEN[method], draws)
    assert least <= rate <= most
    assert rate < accepted(0.95, draws)[0]


# Resampling one unit.


@pytest.mark.parametrize("method", ["bca", "percentile"])
def test_resampled_limits_are_scipys(method: str):
    x = people(np.random.default_rng(5), (40,))[:, 7]
    found = bootstrap_interval(x, method=method, draws=20_000)
    peer = stats.bootstrap(
        (x,), np.mean, n_resamples=20_000, method={"bca": "BCa"}.get(method, method), rng=np.random.default_rng(1)
    )
    width = peer.confidence_interval.high - peer.confidence_interval.low
    assert found.low == pytest.approx(peer.confidence_interval.low, abs=0.03 * width)
    assert found.high == pytest.approx(peer.confidence_interval.high, abs=0.03 * width)
    assert found.se == pytest.approx(peer.standard_error, rel=0.03)
    assert found.mean == pytest.approx(x.mean(), abs=EXACT)


def test_weighted_resamples_are_scipys_of_the_ratio():
    rng = np.random.default_rng(6)
    x, w = people(rng, (30,))[:, 0], rng.choice([0.5, 1, 2], 30)
    found = bootstrap_interval(x, w, draws=20_000)
    peer = stats.bootstrap(
        (w * x, w), lambda wx, w, axis=-1: wx.sum(axis=axis) / w.sum(axis=axis), paired=True, vectorized=True,
        n_resamples=20_000, rng=np.random.default_rng(1),
    )  # fmt: skip
    width = peer.confidence_interval.high - peer.confidence_interval.low
    assert found.low == pytest.approx(peer.confidence_interval.low, abs=0.03 * width)
    assert found.high == pytest.approx(peer.confidence_interval.high, abs=0.03 * width)
    assert found.mean == pytest.approx(np.average(x, weights=w), abs=EXACT)


def test_drawing_counts_of_many_people_is_drawing_people():
    # The answers of forty times ten people: counts are drawn. A hair's difference makes them distinct: people are drawn.
    x = np.tile(CEILING, 40)
    counts = bootstrap_interval(x, draws=10_000)
    persons = bootstrap_interval(x + np.linspace(0, 1e-7, 400), draws=10_000)
    width = counts.high - counts.low
    assert counts.low == pytest.approx(persons.low, abs=0.03 * width)
    assert counts.high == pytest.approx(persons.high, abs=0.03 * width)
    assert counts.se == pytest.approx(persons.se, rel=0.03)


def test_the_order_of_people_the_unanswered_and_those_of_weight_nought_do_not_matter():
    found = bootstrap_interval(CEILING, seed=4)
    shuffled = bootstrap_interval(np.append(CEILING[::-1], [np.nan, 3.0]), np.append(np.full(10, 2.0), [1, 0]), seed=4)
    assert (found.low, found.high, found.n) == (shuffled.low, shuffled.high, 10)
    assert bootstrap_interval(CEILING, seed=5).low != found.low or bootstrap_interval(CEILING, seed=6).low != found.low


def test_one_person_or_one_answer_gives_a_mean_and_a_reason():
    found = [bootstrap_interval(x) for x in ([], [70], [70, 70, 70])]
    assert [one.reason for one in found] == [reasons.NO_ANSWERS, reasons.ONE_PERSON, reasons.NO_VARIANCE]
    assert [one.mean for one in found[1:]] == [70, 70]
    assert np.isnan([one.low for one in found]).all()


def test_words_of_refusal():
    with pytest.raises(UsageError, match=r"bac.*不存在.*bca"):
        bootstrap_interval(CEILING, method="bac")
    with pytest.raises(UsageError, match=r"draws = 20.*抽样次数太少"):
        bootstrap_interval(CEILING, draws=20)
    with pytest.raises(UsageError, match=r"权重非负"):
        bootstrap_interval(CEILING, -CEILING)


# Resampling a wave.


def office(**people_of) -> Survey:
    units = Units(
        (
            Unit("C1", level="city"),
            *(Unit(name, level="team", parent="C1") for name in people_of),
        )
    )
    return wave(people_of, units=units)


def test_a_wave_resampled_unit_by_unit():
    rng = np.random.default_rng(9)
    answers = {name: rng.integers(40, 101, n).tolist() for name, n in (("A", 12), ("B", 30), ("C", 600), ("D", 3))}
    survey = office(**answers, E=[80] * 15)
    scores = dj.score(survey, by=["city", "team"])
    scores = replace(scores, withheld={"2026Q3": frozenset({("team", "D")})})
    table = bootstrapped(survey, scores, "team", codes=["D1"], draws=2000).table.set_index("unit")
    assert list(table.columns) == [
        "period", "level", "form", "code", "n", "score", "se", "low", "high", "method", "reason"
    ]  # fmt: skip
    for name in "ABC":
        row, own = table.loc[name], scores.at(name, "D1")
        assert (row["n"], row["score"], row["reason"]) == (own["n"], own["score"], "")
        assert row["se"] == pytest.approx(own["se"] * math.sqrt((row["n"] - 1) / row["n"]), rel=0.08)
        assert own["score"] - 3 * own["se"] < row["low"] < own["score"] < row["high"] < own["score"] + 3 * own["se"]
        assert row["method"] == "bca, 2000 draws"
    whole = table.loc["C"]
    assert whole["low"] == pytest.approx(scores.at("C", "D1")["low"], abs=0.2 * whole["se"])
    assert whole["high"] == pytest.approx(scores.at("C", "D1")["high"], abs=0.2 * whole["se"])
    assert table.loc["D", "reason"] == reasons.TOO_FEW_TO_JUDGE
    assert table.loc["E", "reason"] == reasons.NO_VARIANCE
    assert table.loc[["D", "E"], ["se", "low", "high"]].isna().all(axis=None)


def test_every_level_group_and_cell_holds_the_people_its_score_does():
    table = plain_table(("INDEX", ""), ("D1", "INDEX"), ("q1", "D1", 1, 1.0, 0, 100), ("q2", "D1", -1, 1.0, 1, 5))
    rng = np.random.default_rng(2)
    frame = pd.DataFrame(
        {
            "q1": rng.integers(0, 101, 400), "q2": rng.choice([1, 2, 3, 4, 5, np.nan], 400),
            "unit": rng.choice(["A", "B", None], 400), "band": rng.choice(["young", "old"], 400),
            "w": rng.uniform(0.5, 2, 400),
        }
    )  # fmt: skip
    units = Units((Unit("C1", level="city"), *(Unit(u, level="team", parent="C1") for u in "AB")))
    survey = dj.read_survey(frame, codebook_of(table, weight="w", group="band"), units=units, period="2026Q3")
    scores = dj.score(survey, by=["city", "team", "band", ("team", "band")])
    scores = replace(scores, withheld={})
    for level in scores.table["level"].unique():
        found = bootstrapped(survey, scores, level, draws=200).table
        own = scores.table[scores.table["level"] == level]
        assert found["unit"].tolist() == own["unit"].tolist()
        assert (found["reason"] == "").all()
        assert found["se"].to_numpy() == pytest.approx(own["se"].to_numpy(), rel=0.3)


def test_a_unit_left_out_changes_no_other_and_the_order_of_rows_does_not_matter():
    rng = np.random.default_rng(9)
    answers = {name: rng.integers(40, 101, 15).tolist() for name in "AB"}
    survey = office(**answers)
    scores = replace(dj.score(survey, by="team"), withheld={})
    whole = bootstrapped(survey, scores, "team").table.set_index(["unit", "code"])
    without = bootstrapped(survey, scores, "team", leave_out={("team", "A")}).table.set_index(["unit", "code"])
    turned = replace(survey, frame=survey.frame[::-1])
    again = bootstrapped(turned, scores, "team").table.set_index(["unit", "code"])
    pd.testing.assert_frame_equal(whole, again)
    pd.testing.assert_frame_equal(whole.loc[["B"]], without.loc[["B"]])
    assert without.loc["A", "low"].isna().all()


def test_another_wave_an_unknown_level_and_code_are_refused():
    survey, other = office(A=list(range(40, 60))), office(A=list(range(50, 70)))
    scores = replace(dj.score(survey, by="team"), withheld={})
    with pytest.raises(UsageError, match=r"不是同一批答卷.*A INDEX: 59\.5000 / 49\.5000"):
        bootstrapped(other, scores, "team")
    with pytest.raises(UsageError, match=r"level “teams” 不存在"):
        bootstrapped(survey, scores, "teams")
    with pytest.raises(UsageError, match=r"D7.*不存在"):
        bootstrapped(survey, scores, "team", codes=["D7"])
