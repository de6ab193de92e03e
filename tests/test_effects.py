"""Effects of measures against published numbers, hand-worked tables, other code, and simulations with known truth.

Tolerances: published ratios and intervals to their last printed digit; other code to 1e-9; rates lie in the 99 % binomial interval of
1,000 panels. Simulated units differ by 5 points for good; a wave moves one by 1.5 points beside 60 respondents with SD 14.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest
import statsmodels.formula.api as smf
from scipy import stats
from small import wave
from statsmodels.stats.multivariate import test_mvmean_2indep as hotelling
from trials import trials

import dj_analysis as dj
from dj_analysis import methods
from dj_analysis.act.differences_in_differences import UnitPanel, wild_chance
from dj_analysis.act.interrupted import SeriesDesign, segmented_counts, segmented_line
from dj_analysis.act.regression_to_mean import selected_change
from dj_analysis.release.plan import provisional_plan

QUARTERS = ["2025Q1", "2025Q2", "2025Q3", "2025Q4", "2026Q1", "2026Q2"]
DRAWS, NOISE = trials(1000), float(np.hypot(1.5, 14 / 60**0.5))


def in_binomial(rate: float, claimed: float, draws: int = DRAWS) -> bool:
    low, high = stats.binom.ppf([0.005, 0.995], draws, claimed) / draws
    return bool(low <= rate <= high)


def panels(treated: int, units: int = 40, effect: float = 5.0, seed: int = 0, draws: int = DRAWS) -> np.ndarray:
    """Draws × units × six quarters; the first units have the measure in the last two."""
    rng = np.random.default_rng(seed)
    values = (
        rng.normal(60, 5, (draws, units, 1)) + rng.normal(0, 1, (draws, 1, 6)) + rng.normal(0, NOISE, (draws, units, 6))
    )
    values[:, :treated, 4:] += effect
    return values


def starts(treated: int, units: int) -> np.ndarray:
    return np.where(np.arange(units) < treated, 4, 6)


def table_of(values: np.ndarray, first: np.ndarray, periods: list[str] = QUARTERS) -> pd.DataFrame:
    rows = [
        (f"u{i:02d}", period, values[i, t], periods[first[i]] if first[i] < len(periods) else "")
        for i in range(len(values))
        for t, period in enumerate(periods)
    ]
    return pd.DataFrame(rows, columns=["unit", "period", "value", "start"])


# --- Interrupted time series ------------------------------------------------------------------------------------------


@pytest.fixture
def sicily(shared_data) -> pd.DataFrame:
    """Monthly acute coronary events and the population at risk; smoking ban in January 2005 (Lopez Bernal et al. 2017)."""
    read = pd.read_csv(shared_data / "r_reference" / "sicily.csv")
    months = [f"{year}-{month:02d}" for year, month in zip(read["year"], read["month"], strict=True)]
    return pd.DataFrame({"period": months, "value": read["aces"], "exposure": read["stdpop"]})


@pytest.mark.parametrize(
    ("season", "effect", "low", "high", "dispersion"), [("none", 0.894, 0.839, 0.953, 3.559), ("auto", 0.885, 0.839, 0.933, 2.262)]
)  # fmt: skip
def test_the_smoking_ban_of_sicily_as_published(sicily, season, effect, low, high, dispersion):
    told = dj.evaluate(sicily, "its", start="2005-01", season=season)
    row = told.table.iloc[0]
    assert (row["term"], row["method"], row["reason"]) == ("level", "quasi_poisson", "")
    assert [round(row[name], 3) for name in ("effect", "low", "high")] == [effect, low, high]
    found = told.checked.table.set_index("check")["value"]
    assert round(found["dispersion"], 3) == dispersion


def test_plain_poisson_gives_the_narrower_interval_of_the_article(sicily):
    time, place = np.arange(59), np.arange(59) % 12 + 1
    design = SeriesDesign(time, place, 12, 36, "none")
    counts, people = sicily["value"].to_numpy(float), sicily["exposure"].to_numpy(float)
    (level,) = segmented_counts(counts, people, design, overdispersed=False).terms
    assert [round(one, 3) for one in (level.effect, level.low, level.high)] == [0.894, 0.865, 0.925]


def test_the_slope_is_told_beside_the_level_and_the_line_without_the_ban_lies_above(sicily):
    told = dj.evaluate(sicily, "its", start="2005-01")
    assert told.table["term"].tolist() == ["level", "slope"]
    assert told.table["low"].iloc[1] < 1 < told.table["high"].iloc[1]
    line = told.parts["series"].table
    after = line["with_measure"].to_numpy(bool)
    assert np.allclose(line["fitted"][after] / line["counterfactual"][after], told.table["effect"].iloc[0])
    assert np.allclose(line["fitted"][~after], line["counterfactual"][~after])
    both = dj.evaluate(sicily, "its", start="2005-01", impact="level_and_slope").table
    assert both["effect"].iloc[1] == pytest.approx(told.table["effect"].iloc[1])
    assert round(both["effect"].iloc[0], 3) == 0.878  # the model with both, centred at the start


def months(values: np.ndarray, first: str = "2024-01") -> pd.DataFrame:
    names = [str(one) for one in pd.period_range(first, periods=len(values), freq="M")]
    return pd.DataFrame({"period": names, "value": values})


def test_a_change_of_level_and_slope_without_noise_is_found_exactly():
    t = np.arange(30)
    after = t >= 18
    values = 50 + 0.3 * t + after * (6 + 0.5 * (t - 18)) + np.where(t % 2, 0.01, -0.01)
    told = dj.evaluate(months(values), "its", start="2025-07", impact="level_and_slope", season="none").table
    assert told["effect"].to_numpy() == pytest.approx([6, 0.5], abs=0.03)
    assert (told["method"] == "newey_west").all()


def test_the_season_is_taken_out_from_two_years_on_and_said_where_it_is_not():
    t = np.arange(36)
    values = 60 + 8 * np.sin(2 * np.pi * t / 12) + 0.2 * (t % 2)
    with_it = dj.evaluate(months(values, "2023-01"), "its", start="2025-01")
    without = dj.evaluate(months(values[12:], "2024-01"), "its", start="2025-01")
    assert abs(with_it.table["effect"].iloc[0]) < 0.3
    assert abs(without.table["effect"].iloc[0]) > 1
    assert "season_not_in_model" in without.table["checks"].iloc[0]
    assert "season_not_in_model" not in with_it.table["checks"].iloc[0]


@pytest.mark.parametrize(("before", "after"), [(1, 1), (7, 12), (12, 2)])
def test_too_few_points_are_described_and_nothing_is_inferred(before, after):
    values = np.r_[np.full(before, 60.0), np.full(after, 95.0)] + np.arange(before + after) % 2
    start = str(pd.Period("2024-01", "M") + before)
    (row,) = dj.evaluate(months(values), "its", start=start).table.to_dict("records")
    assert row["term"] == "change"
    assert row["reason"] == "description_only;too_few_points"
    assert row["effect"] == pytest.approx(values[before:].mean() - values[:before].mean())
    assert np.isnan([row[name] for name in ("se", "low", "high", "p")]).all()
    block = dj.table(dj.protect(dj.evaluate(months(values), "its", start=start)))
    assert "仅作情况描述" in " ".join(block.content["rows"][0])


def autocorrelated(rho: float, periods: int, draws: int, seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    errors = rng.standard_normal((draws, periods))
    for t in range(1, periods):
        errors[:, t] = rho * errors[:, t - 1] + np.sqrt(1 - rho**2) * errors[:, t]
    return errors


@pytest.mark.parametrize(("periods", "start", "rho"), [(12, 8, 0.2), (24, 16, 0.2)])
def test_the_interval_of_an_interrupted_series_covers_at_its_rate_under_autocorrelation(periods, start, rho):
    """Newey and West alone would cover 80 and 85 % here (benchmarks/EFFECTS.md)."""
    design = SeriesDesign(np.arange(periods), np.ones(periods, int), 1, start, "none")
    errors = autocorrelated(rho, periods, DRAWS, seed=periods) + 3.0 * design.after
    told = [segmented_line(values, design).terms[0] for values in errors]
    assert in_binomial(np.mean([one.low <= 3.0 <= one.high for one in told]), 0.945)


def test_counts_cover_at_their_rate_and_few_points_use_students_t():
    rng, design = np.random.default_rng(4), SeriesDesign(np.arange(14), np.ones(14, int), 1, 9, "none")
    mean = 40 * np.where(design.after, 0.8, 1.0)
    counts = rng.poisson(mean * rng.gamma(20, 1 / 20, (300, 14))).astype(float)
    told = [segmented_counts(one, np.ones(14), design).terms[0] for one in counts]
    assert in_binomial(np.mean([one.low <= 0.8 <= one.high for one in told]), 0.95, 300)


# --- Difference in differences ----------------------------------------------------------------------------------------


def test_card_and_krueger_from_the_means_they_print():
    """Employment before and after the minimum wage rose in New Jersey (1994, table 3): 2.75 from the rounded means."""
    rows = [("NJ", 20.44, 21.03, "2026Q2"), ("PA", 23.33, 21.17, "")]
    frame = pd.DataFrame(
        [(unit, period, value, start) for unit, *values, start in rows for period, value in zip(QUARTERS[4:], values, strict=True)],
        columns=["unit", "period", "value", "start"],
    )  # fmt: skip
    (row,) = dj.evaluate(frame, "did").table.to_dict("records")
    assert row["effect"] == pytest.approx(2.75)
    assert row["reason"] == "description_only;too_few_units"
    assert np.isnan(row["p"])


def test_one_start_is_the_regression_with_unit_and_time_effects_clustered_by_unit():
    values, first = panels(12, seed=5, draws=1)[0], starts(12, 40)
    frame = table_of(values, first)
    row = dj.evaluate(frame, "did").table.iloc[0]
    frame["with_measure"] = ((frame["start"] != "") & (frame["period"] >= "2026Q1")).astype(float)
    model = smf.ols("value ~ with_measure + C(unit) + C(period)", frame)
    fitted = model.fit(cov_type="cluster", cov_kwds={"groups": pd.factorize(frame["unit"])[0], "use_correction": False})
    assert row["effect"] == pytest.approx(fitted.params["with_measure"], abs=1e-9)
    changes = values[:, 4:].mean(axis=1) - values[:, :4].mean(axis=1)
    # statsmodels divides by n, Bell and McCaffrey's correction by n − 1 on each side
    uncorrected = sum(side.var() / len(side) for side in (changes[:12], changes[12:]))
    assert fitted.bse["with_measure"] == pytest.approx(np.sqrt(uncorrected), rel=1e-9)
    assert row["se"] == pytest.approx(np.sqrt(sum(s.var(ddof=1) / len(s) for s in (changes[:12], changes[12:]))))


def test_earlier_trends_are_hotellings_t_squared():
    values, first = panels(12, seed=6, draws=1)[0], starts(12, 40)
    f, tested, p = UnitPanel(values, first).pre_trend()
    leads = values[:, :3] - values[:, 3:4]
    other = hotelling(leads[:12], leads[12:])
    assert tested == 3
    assert (f, p) == (pytest.approx(other.statistic), pytest.approx(other.pvalue))


def test_staggered_starts_by_hand():
    """Two units start in the third period, one in the fourth, two never; every group-time effect on paper."""
    values = np.array([[1, 2, 9, 10], [3, 4, 9, 14], [5, 5, 6, 16], [2, 3, 4, 5], [4, 5, 6, 7]], dtype=float)
    told = dj.evaluate(table_of(values, np.array([2, 2, 3, 4, 4]), QUARTERS[:4]), "did")
    groups = told.parts["groups"].table
    # start 3, period 3: ((9−2)+(9−4))/2 − mean of the three not yet with it (6−5, 4−3, 6−5) = 6 − 1
    # start 3, period 4: ((10−2)+(14−4))/2 − mean of those never with it (5−3, 7−5) = 9 − 2; start 4: (16−6) − (5−4) = 9
    assert groups["effect"].tolist() == pytest.approx([5, 7, 9])
    assert told.table["effect"].iloc[0] == pytest.approx((2 * 5 + 2 * 7 + 1 * 9) / 5)
    event = told.parts["event"].table.set_index("since")["effect"]
    assert event[0] == pytest.approx((2 * 5 + 1 * 9) / 3)
    assert event[1] == pytest.approx(7)
    assert event[-1] == 0


def test_plus_five_in_twelve_of_forty_units_is_covered_and_a_placebo_rejected_at_its_rate():
    first = starts(12, 40)
    told = [UnitPanel(values, first) for values in panels(12, seed=1)]
    real = [one.contrast(one.average_weights()) for one in told]
    assert in_binomial(np.mean([one.low <= 5 <= one.high for one in real]), 0.95)
    assert np.mean([one.effect for one in real]) == pytest.approx(5, abs=0.1)
    placebo = [UnitPanel(values, first) for values in panels(12, effect=0.0, seed=2)]
    assert in_binomial(np.mean([one.contrast(one.average_weights()).p < 0.05 for one in placebo]), 0.05)
    assert in_binomial(np.mean([one.pre_trend()[2] < 0.05 for one in placebo]), 0.05)
    early = panels(12, effect=0.0, seed=3, draws=200)
    early[:, :12] += 2.0 * np.arange(6)
    assert np.mean([UnitPanel(values, first).pre_trend()[2] < 0.05 for values in early]) > 0.9


def test_starts_at_different_times_are_covered_where_the_effect_grows():
    """Regression with unit and time effects would be biased here; group-time effects are not."""
    first = np.where(np.arange(40) < 6, 3, np.where(np.arange(40) < 12, 4, np.where(np.arange(40) < 18, 5, 6)))
    since = np.arange(6)[None, :] - first[:, None]
    values = panels(0, seed=7) + np.where(since >= 0, 3.0 + 2.0 * since, 0.0)
    truth = (3 * 3 + 2 * 5 + 1 * 7) / 6
    told = [UnitPanel(one, first) for one in values]
    found = [one.contrast(one.average_weights()) for one in told]
    assert np.mean([one.effect for one in found]) == pytest.approx(truth, abs=0.1 * np.sqrt(1000 / DRAWS))
    assert in_binomial(np.mean([one.low <= truth <= one.high for one in found]), 0.95)


@pytest.mark.parametrize(("units", "treated"), [(8, 4), (12, 5), (20, 8)])
def test_the_wild_bootstrap_rejects_at_its_rate_under_thirty_units(units, treated):
    rng, side = np.random.default_rng(units), np.arange(units) < treated
    values, rejected = panels(treated, units, effect=0.0, seed=units), 0
    for one in values:
        changes = one[:, 4:].mean(axis=1) - one[:, :4].mean(axis=1)
        sides = changes[side], changes[~side]
        t = (sides[0].mean() - sides[1].mean()) / np.sqrt(sum(s.var(ddof=1) / len(s) for s in sides))
        rejected += wild_chance(t, changes - changes.mean(), side, rng.choice([-1.0, 1.0], (399, units))) < 0.05
    assert in_binomial(rejected / DRAWS, 0.05)


def test_under_thirty_units_the_interval_is_of_the_wild_bootstrap():
    row = dj.evaluate(table_of(panels(8, 20, seed=9, draws=1)[0], starts(8, 20)), "did").table.iloc[0]
    assert row["method"] == "wild_bootstrap"
    assert row["low"] < row["effect"] < row["high"]
    assert (row["p"] < 0.05) == (row["low"] > 0 or row["high"] < 0)


def test_two_of_forty_units_say_that_they_are_few_and_still_cover_with_equal_scatter():
    first = starts(2, 40)
    row = dj.evaluate(table_of(panels(2, seed=1, draws=1)[0], first), "did").table.iloc[0]
    assert (row["method"], row["checks"]) == ("pooled", "few_treated")
    found = [one.contrast(one.average_weights()) for one in (UnitPanel(values, first) for values in panels(2, seed=11))]
    assert in_binomial(np.mean([one.low <= 5 <= one.high for one in found]), 0.95)


def test_units_that_miss_a_period_are_left_out_and_counted():
    frame = table_of(panels(12, seed=3, draws=1)[0], starts(12, 40))
    lost = frame[~((frame["unit"] == "u20") & (frame["period"] == "2025Q2"))]
    told = dj.evaluate(lost, "did")
    assert told.table["checks"].iloc[0] == "units_incomplete"
    assert told.checked.table.set_index("check")["count"]["units_incomplete"] == 1
    without = dj.evaluate(frame[frame["unit"] != "u20"], "did").table
    assert told.table["effect"].iloc[0] == pytest.approx(without["effect"].iloc[0])


def test_the_order_of_rows_and_the_engine_change_nothing():
    frame = table_of(panels(12, seed=3, draws=1)[0], starts(12, 40))
    told = dj.evaluate(frame, "did").table
    pd.testing.assert_frame_equal(told, dj.evaluate(frame.sample(frac=1, random_state=1), "did").table)
    pd.testing.assert_frame_equal(told, dj.evaluate(pl.from_pandas(frame), "did").table)


# --- Regression to the mean -------------------------------------------------------------------------------------------


def test_regression_to_the_mean_as_published():
    assert methods.regression_to_mean(15, 60, 40, [0, 0.5, 0.8]).round(2).tolist() == [26.97, 13.49, 5.39]
    assert methods.regression_to_mean(15, 60, 80, 0.5) == pytest.approx(methods.regression_to_mean(15, 60, 40, 0.5))
    assert methods.regression_to_mean(15, 60, 40, 1.0) == 0


def test_the_formula_is_what_simulated_units_below_the_cut_do():
    rng = np.random.default_rng(1)
    true = rng.normal(60, 15 * 0.5**0.5, 400_000)
    first, second = (true + rng.normal(0, 15 * 0.5**0.5, true.size) for _ in range(2))
    below = first < 40
    assert (second - first)[below].mean() == pytest.approx(float(methods.regression_to_mean(15, 60, 40, 0.5)), abs=0.15)


def test_the_expected_return_of_the_lowest_units_is_that_of_their_reliability():
    rng, gaps = np.random.default_rng(2), []
    for _ in range(300):
        true = rng.normal(60, 5, 40)
        first, second = (true + rng.normal(0, 4, 40) for _ in range(2))
        selected, expected = methods.expected_return(first, np.full(40, 4.0), lowest=6)
        gaps.append((second - first)[selected].mean() - expected)
    assert np.mean(gaps) == pytest.approx(0, abs=3 * np.std(gaps) / 300**0.5)
    with pytest.raises(dj.DjError, match="lowest"):
        methods.expected_return([1, 2, 3, 4], [1] * 4, lowest=4)


def test_a_before_after_of_the_worst_units_with_no_effect_is_reported_as_regression_to_the_mean():
    values = panels(0, effect=0.0, seed=12)
    plain = explained = 0
    for one in values:
        earlier, later = one[:, 3], one[:, 4:].mean(axis=1)
        worst = np.argsort(earlier)[:6]
        told = selected_change(earlier, later, np.isin(np.arange(40), worst))
        half = stats.t.ppf(0.975, told.beyond[2]) * told.beyond[1]
        explained += abs(told.beyond[0]) <= half
        plain += told.change[0] - stats.t.ppf(0.975, 5) * told.change[1] > 0
    assert in_binomial(explained / DRAWS, 0.95)
    assert plain / DRAWS > 0.2, "the plain change would be taken for an effect much too often"
    told = dj.evaluate(table_of(values[0], np.full(40, 6)), "before_after", start="2026Q1", lowest=6)
    assert told.table["term"].tolist() == ["change", "regression_to_mean", "beyond"]
    assert "is_regression_to_mean" in told.table["checks"].iloc[0]
    printed = dj.table(dj.protect(told), columns=["term", "effect", "checks"]).content["rows"]
    assert "回归均值" in printed[0][2]


def test_what_goes_beyond_regression_to_the_mean_is_told_as_that():
    values = panels(0, effect=0.0, seed=13, draws=1)[0]
    worst = np.argsort(values[:, 3])[:6]
    values[worst, 4:] += 12
    units = [f"u{i:02d}" for i in worst]
    told = dj.evaluate(table_of(values, np.full(40, 6)), "before_after", start="2026Q1", units=units)
    assert "beyond_regression_to_mean" in told.table["checks"].iloc[0]
    assert told.table["p"].iloc[2] < 0.05
    few = table_of(values[:12], np.full(12, 6))
    (row,) = dj.evaluate(few, "before_after", start="2026Q1", lowest=3).table.to_dict("records")
    assert row["reason"] == "description_only;too_few_others"


# --- Power ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("units", "treated", "effect"), [(40, 12, 2.0), (20, 10, 3.0), (40, 6, 0.0)])
def test_power_by_formula_is_power_by_simulation(units, treated, effect):
    row = methods.effect_power(units, treated, 60, effect=effect, wave_sd=1.5, draws=4000, seed=1).iloc[0]
    assert row["power_low"] - 0.01 <= row["power"] <= row["power_high"] + 0.01
    assert row["se"] == pytest.approx(NOISE * np.sqrt((1 / 4 + 1 / 2) * (1 / treated + 1 / (units - treated))))
    smallest = methods.effect_power(units, treated, 60, effect=row["smallest"], wave_sd=1.5)["power"].iloc[0]
    assert smallest == pytest.approx(0.8)


# --- Mistakes ---------------------------------------------------------------------------------------------------------


def good() -> pd.DataFrame:
    return table_of(panels(3, 8, seed=1, draws=1)[0], starts(3, 8))


def test_everything_wrong_with_a_table_is_told_at_once():
    bad = pd.concat([good(), good().head(1)]).astype({"value": object}).reset_index(drop=True)
    bad.loc[3, "value"] = "满分"
    bad.loc[5, "period"] = "二季度"
    bad.loc[9, "start"] = "2026Q2"
    with pytest.raises(dj.DjError) as caught:
        dj.evaluate(bad, "did")
    assert set(caught.value.problems.table["rule"]) == {"not_a_number", "period", "duplicate", "start"}


@pytest.mark.parametrize(
    ("change", "options", "said"),
    [
        (lambda f: f.drop(columns="value"), {}, "missing_column"),
        (lambda f: f.assign(start=""), {}, "nobody_treated"),
        (lambda f: f.assign(start="2026Q1"), {}, "nobody_to_compare"),
        (lambda f: f.assign(start=f["start"].where(f["unit"] != "u01", "2025Q1")), {}, "no_period_before.*2025Q1"),
        (lambda f: f[f["period"] == "2025Q1"], {}, "one_period"),
        (lambda f: f.assign(period=f["period"].where(f["unit"] != "u01", "2025-03")), {}, "mixed_periods"),
        (lambda f: f.drop(columns="start"), {"units": ["u01"]}, "start"),
        (lambda f: f.drop(columns="start"), {"units": ["没有"], "start": "2026Q1"}, "没有.*u01"),
        (lambda f: f, {"design": "rdd"}, "did, its, before_after"),
        (lambda f: f, {"lowest": 2}, "before_after"),
        (lambda f: f.assign(exposure=1.0, value=f["value"].round()), {}, "exposure"),
        (lambda f: f.assign(exposure=0.0, value=-1), {"design": "its"}, "count"),
        (lambda f: f, {"design": "its", "units": ["u01"], "start": "2024Q1"}, "no_period_before"),
        (lambda f: f, {"design": "its", "units": ["u01"], "start": "2027Q1"}, "no_period_after"),
        (lambda f: f.drop(columns="start"), {"design": "its"}, "start"),
        (lambda f: f.iloc[:0], {}, "没有数值"),
    ],
)  # fmt: skip
def test_a_mistake_has_one_clear_error(change: Any, options: dict[str, Any], said: str):
    given = {"design": "did"} | options
    with pytest.raises(dj.DjError, match=said):
        dj.evaluate(change(good()), **given)


def test_a_single_wave_is_no_series():
    with pytest.raises(dj.DjError, match=r"dj\.trend"):
        dj.evaluate(dj.score(wave({"B1": [50.0] * 12}), by="unit"), "its", start="2026Q3")


def test_power_needs_units_on_both_sides():
    with pytest.raises(dj.DjError, match="two units"):
        methods.effect_power(10, 9)


def test_values_that_never_vary_have_no_error_and_say_so():
    flat = months(np.where(np.arange(24) >= 14, 65.0, 60.0))
    (row,) = dj.evaluate(flat, "its", start="2025-03", season="none").table.to_dict("records")
    assert (row["effect"], row["reason"]) == (pytest.approx(5), "description_only;same_value_every_month")
    assert np.isnan(row["low"])
    still = np.full((8, 6), 60.0)
    still[:4, 4:] = 65
    (row,) = dj.evaluate(table_of(still, starts(4, 8)), "did").table.to_dict("records")
    assert (row["effect"], row["reason"]) == (5, "description_only;too_few_units")


# --- What may be seen -------------------------------------------------------------------------------------------------


def test_a_table_given_by_hand_can_be_looked_at_and_not_released():
    told = dj.evaluate(good(), "did")
    assert dj.protect(told).table["effect"].notna().all()
    official = provisional_plan("2026Q2", (), told.spec)
    with pytest.raises(dj.DjError, match="2025Q1"):
        dj.protect(told, official)


def test_a_unit_hidden_in_one_wave_has_no_change_over_the_span(tmp_path):
    """In the first wave B3 is too small, and B2 must not be told either; the last wave could show both."""
    sizes = ({"B1": 40, "B2": 12, "B3": 7}, {"B1": 40, "B2": 12, "B3": 14})
    rng, scores = np.random.default_rng(1), []
    path = tmp_path / "units.csv"
    path.write_text("unit,parent,level\nB1,,branch\nB2,,branch\nB3,,branch\n", "utf-8")
    units = dj.read_units(path)
    for period, people in zip(("2026Q2", "2026Q3"), sizes, strict=True):
        answers = {unit: rng.uniform(20, 90, n).tolist() for unit, n in people.items()}
        scores.append(dj.score(wave(answers, period, units=units), by="branch"))
    told = dj.evaluate(dj.trend(scores), "its", start="2026Q3", units=["B1", "B2"])
    assert told.table["effect"].notna().all()
    safe = dj.protect(told).table.set_index("unit")
    assert np.isnan(safe["effect"]["B2"])
    assert safe["reason"]["B2"] == "complement"
    assert np.isfinite(safe["effect"]["B1"])
    with pytest.raises(dj.DjError, match="no_treated_unit"):
        dj.evaluate(dj.trend(scores), "did", start="2026Q3", units=["B3"])
