"""Rates of the evaluations of measures, from simulations with known truth: ``python benchmarks/effects.py`` writes EFFECTS.md."""

from __future__ import annotations

import argparse
from datetime import date
from pathlib import Path

import numpy as np
import statsmodels.api as sm
from scipy import stats

from dj_analysis.act.differences_in_differences import UnitPanel
from dj_analysis.act.effect_power import effect_power
from dj_analysis.act.interrupted import SeriesDesign, segmented_counts, segmented_line
from dj_analysis.act.regression_to_mean import selected_change

EFFECT, UNIT_SD, WAVE_SD, PERSON_SD, PEOPLE = 5.0, 5.0, 1.5, 14.0, 60
NOISE = float(np.hypot(WAVE_SD, PERSON_SD / PEOPLE**0.5))
BEFORE, AFTER = 4, 2


def panels(
    rng: np.random.Generator, draws: int, units: int, treated: int, effect: float, spread: float = 1.0
) -> np.ndarray:
    """Draw units × quarters; with ``spread`` the noise of units with the measure is so many times that of the others."""
    quarters = BEFORE + AFTER
    noise = rng.normal(0, NOISE, (draws, units, quarters))
    noise[:, :treated] *= spread
    values = rng.normal(60, UNIT_SD, (draws, units, 1)) + rng.normal(0, 1, (draws, 1, quarters)) + noise
    values[:, :treated, BEFORE:] += effect
    return values


def did_rates(
    draws: int, units: int, treated: int, *, wild: bool = False, spread: float = 1.0, seed: int = 0
) -> list[float]:
    """Coverage of the true effect, rejections of a placebo, rejections of equal earlier courses."""
    rng, first = np.random.default_rng(seed), np.where(np.arange(units) < treated, BEFORE, BEFORE + AFTER)
    covered = rejected = uneven = 0
    for real, placebo in zip(*(panels(rng, draws, units, treated, e, spread) for e in (EFFECT, 0.0)), strict=True):
        told, empty = UnitPanel(real, first), UnitPanel(placebo, first)
        one, none = (
            panel.wild_bootstrap(draws=399, seed=seed) if wild else panel.contrast(panel.average_weights())
            for panel in (told, empty)
        )
        covered += one.low <= EFFECT <= one.high
        rejected += none.p < 0.05
        uneven += empty.pre_trend()[2] < 0.05
    return [covered / draws, rejected / draws, uneven / draws]


def series_rates(draws: int, periods: int, start: int, rho: float, steps: int = 1, seed: int = 0) -> list[float]:
    """Coverage of a change of level: this package's interval, Newey and West's alone, least squares' own."""
    rng, time = np.random.default_rng(seed), np.arange(periods)
    design = SeriesDesign(time, time % steps + 1, steps, start, "auto" if steps > 1 else "none")
    x, _ = design.matrix("level")
    lag, hits = max(1, int(4 * (periods / 100) ** (2 / 9))), np.zeros(3)
    errors = rng.standard_normal((draws, periods))
    for t in range(1, periods):
        errors[:, t] = rho * errors[:, t - 1] + np.sqrt(1 - rho**2) * errors[:, t]
    for values in errors:
        own = segmented_line(values, design).terms[0]
        plain = sm.OLS(values, x).fit()
        robust = plain.get_robustcov_results("HAC", maxlags=lag, use_correction=True)
        hits[0] += own.low <= 0 <= own.high
        for place, fit in ((1, robust), (2, plain)):
            half = stats.t.ppf(0.975, fit.df_resid) * fit.bse[-1]
            hits[place] += abs(fit.params[-1]) <= half
    return (hits / draws).tolist()


def count_rate(draws: int, periods: int, start: int, seed: int = 0) -> float:
    """Coverage of a ratio of rates of 0.8 among overdispersed counts (φ = 3)."""
    rng, design = np.random.default_rng(seed), SeriesDesign(np.arange(periods), np.ones(periods, int), 1, start, "none")
    counts = rng.poisson(40 * np.where(design.after, 0.8, 1.0) * rng.gamma(20, 1 / 20, (draws, periods))).astype(float)
    told = (segmented_counts(one, np.ones(periods), design).terms[0] for one in counts)
    return float(np.mean([one.low <= 0.8 <= one.high for one in told]))


def selection_rates(draws: int, units: int, lowest: int, seed: int = 0) -> list[float]:
    """Without any effect: how often the plain change of the lowest units looks real, and how often it is called regression to the mean."""
    rng, plain, explained = np.random.default_rng(seed), 0, 0
    for one in panels(rng, draws, units, 0, 0.0):
        earlier, later = one[:, BEFORE - 1], one[:, BEFORE:].mean(axis=1)
        told = selected_change(earlier, later, np.isin(np.arange(units), np.argsort(earlier)[:lowest]))
        explained += abs(told.beyond[0]) <= stats.t.ppf(0.975, told.beyond[2]) * told.beyond[1]
        plain += told.change[0] > stats.t.ppf(0.975, told.change[2]) * told.change[1]
    return [plain / draws, explained / draws]


def table(head: list[str], rows: list[list[object]]) -> str:
    """Write a table of Markdown; rates with three places."""
    cells = [[f"{one:.3f}" if isinstance(one, float) else str(one) for one in row] for row in rows]
    return "\n".join(["| " + " | ".join(row) + " |" for row in [head, ["---"] * len(head), *cells]])


def main() -> None:
    """Simulate, and write the report beside this file."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--draws", type=int, default=1000)
    draws = parser.parse_args().draws
    did = [
        ["12 of 40", "by unit", *did_rates(draws, 40, 12)],
        ["12 of 40, noise of the treated doubled", "by unit", *did_rates(draws, 40, 12, spread=2.0, seed=1)],
        ["8 of 20", "wild bootstrap", *did_rates(draws, 20, 8, wild=True, seed=2)],
        ["5 of 12", "wild bootstrap", *did_rates(draws, 12, 5, wild=True, seed=3)],
        ["4 of 8", "wild bootstrap", *did_rates(draws, 8, 4, wild=True, seed=4)],
        ["4 of 20", "wild bootstrap", *did_rates(draws, 20, 4, wild=True, seed=5)],
        ["2 of 40", "pooled, says few", *did_rates(draws, 40, 2, seed=6)],
        ["2 of 40, noise of the treated doubled", "pooled, says few", *did_rates(draws, 40, 2, spread=2.0, seed=7)],
    ]
    series = [
        [
            periods,
            start,
            "quarters" if steps == 4 else "none",
            rho,
            *series_rates(draws, periods, start, rho, steps, seed=periods),
        ]
        for periods, start, steps in ((11, 8, 1), (12, 8, 4), (24, 16, 1), (48, 30, 1))
        for rho in (0.0, 0.2, 0.4, 0.6)
    ]
    counts = [[periods, start, count_rate(draws, periods, start, periods)] for periods, start in ((14, 9), (36, 24))]
    selected = [
        [units, lowest, *selection_rates(draws, units, lowest, units)]
        for units, lowest in ((24, 3), (40, 6), (200, 10))
    ]
    power = effect_power(
        40, 12, PEOPLE, before=BEFORE, after=AFTER, effect=2.0, wave_sd=WAVE_SD, draws=10 * draws, seed=1
    ).iloc[0]
    ends = stats.binom.ppf([0.005, 0.995], draws, 0.95) / draws
    text = f"""# Rates of the evaluations of measures

Made by `benchmarks/effects.py` on {date.today().isoformat()}, {draws:,} simulated panels or series a row (the wild bootstrap with 399 draws each). The
99 % binomial interval around 95 % is {ends[0]:.3f}–{ends[1]:.3f}. Units differ for good by {UNIT_SD:g} points; a quarter moves all by 1 and each by {WAVE_SD:g} points,
beside {PEOPLE} respondents with SD {PERSON_SD:g}; {BEFORE} quarters before, {AFTER} after, effect {EFFECT:g} points.

## Difference in differences

{table(["Units with the measure", "Error", "Interval covers", "Placebo rejected at 5 %", "Earlier courses rejected at 5 %"], did)}

Under four units on a side the table says `few_treated`: the interval holds where all units scatter alike, and not otherwise (last row).

## Interrupted series, autocorrelated errors

{table(["Periods", "Before", "Season", "ρ", "Interval covers", "Newey–West alone", "Least squares"], series)}

Newey and West's error alone fails at these lengths even without autocorrelation; the larger of it and the one under first-order autocorrelation with
a corrected coefficient is used, with Student's t. At ρ = 0.6 it still covers a few percent too seldom. Under 8 periods before or 3 after nothing is inferred.

Counts (a ratio of 0.8, φ = 3):

{table(["Periods", "Before", "Interval covers"], counts)}

## Before and after of the lowest units, no effect at all

{table(["Units", "Lowest selected", "Plain change looks real", "Called regression to the mean"], selected)}

## Power

12 of 40 units, 2 points: {power["power"]:.3f} by formula, {power["power_simulated"]:.3f} ({power["power_low"]:.3f}–{power["power_high"]:.3f}) by simulation; {power["smallest"]:.2f} points are found with a power of 80 %.
"""
    Path(__file__).with_name("EFFECTS.md").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
