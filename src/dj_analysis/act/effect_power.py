"""How likely a difference in differences would show an effect, before the measure starts."""

from __future__ import annotations

import numpy as np
import pandas as pd
from scipy import optimize, stats

from ..errors import UsageError
from ..measure.inference.planning import SD

WAVE_SD = 2.0  # points by which a unit moves from wave to wave beside the sampling of its respondents
ENOUGH = 0.8  # power at which a design is usually called sufficient


def effect_power(
    units: int = 40,
    treated: int = 12,
    n: float = 60,
    *,
    before: int = 4,
    after: int = 2,
    effect: float = 5.0,
    sd: float = SD,
    wave_sd: float = WAVE_SD,
    confidence: float = 0.95,
    draws: int = 0,
    seed: int = 0,
) -> pd.DataFrame:
    """Return the power of a difference in differences, by formula and, where draws are asked for, by simulation.

    A unit's change is its mean after less its mean before, with variance (wave_sd² + sd²/n)(1/before + 1/after); the difference of
    two groups has variance that · (1/treated + 1/others), and is tested by Student's t with units − 2 degrees of freedom
    (Bloom 1995; noncentral t). What units have in common in a wave, and lasting differences between them, fall out.

    Parameters
    ----------
    units, treated
        Units in all, and those with the measure; at least two on each side.
    n
        Respondents of a unit in a wave.
    before, after
        Periods before the start and from it on.
    effect
        Points by which the measure moves a unit's score.
    sd
        Standard deviation of persons within a unit, in points.
    wave_sd
        Standard deviation by which a unit moves from wave to wave by itself; 0 makes every design look too good. A workspace's own
        is found by ``dj.trend``.
    draws
        Simulated panels, evaluated as :func:`dj_analysis.evaluate` does; 0 for none.

    Returns
    -------
    DataFrame
        One row: units, treated, n, effect, se (of the estimate), power, smallest (points shown with a power of 80 %), power_simulated,
        power_low, power_high (99 % binomial interval; missing without draws).

    Raises
    ------
    UsageError
        Fewer than two units on a side, no period on a side, a number under its range.

    Examples
    --------
    >>> dj.methods.effect_power(40, 12, 60, before=4, after=2, effect=5).round(2).to_dict("records")[0]["power"]
    1.0
    >>> dj.methods.effect_power(40, 2, 60, before=4, after=2, effect=3)[["power", "smallest"]].round(2).values.tolist()
    [[0.41, 4.87]]
    """
    if (
        not 2 <= treated <= units - 2
        or before < 1
        or after < 1
        or not n >= 1
        or sd < 0
        or wave_sd < 0
        or not sd + wave_sd
    ):
        raise UsageError(
            f"effect_power: 每方至少两个单位,前后至少各一期,n >= 1,sd 和 wave_sd 不同时为0 (two units on a side, a period on"
            f" each, n >= 1): units {units}, treated {treated}, before {before}, after {after}, n {n:g}, sd {sd:g}, {wave_sd:g}"
        )
    of_change = np.sqrt((wave_sd**2 + sd**2 / n) * (1 / before + 1 / after))
    se, df = float(of_change * np.sqrt(1 / treated + 1 / (units - treated))), units - 2
    quantile = stats.t.ppf(0.5 + confidence / 2, df)
    row = {
        "units": units, "treated": treated, "n": n, "effect": effect, "se": se, "power": _power(effect / se, quantile, df),
        "smallest": se * _reaching(ENOUGH, quantile, df), "power_simulated": np.nan, "power_low": np.nan, "power_high": np.nan,
    }  # fmt: skip
    if draws:
        found = _found(units, treated, of_change, effect, confidence, draws, seed)
        ends = stats.binomtest(found, draws).proportion_ci(0.99)
        row |= {"power_simulated": found / draws, "power_low": ends.low, "power_high": ends.high}
    return pd.DataFrame([row])


def _power(distance: float, quantile: float, df: float) -> float:
    other_side = np.nan_to_num(stats.nct.cdf(-quantile, df, distance))  # far out it cannot be computed, and is 0
    return float(stats.nct.sf(quantile, df, distance) + other_side)


def _reaching(power: float, quantile: float, df: float) -> float:
    """Return how many standard errors an effect must have to be found with this power."""
    return float(optimize.brentq(lambda distance: _power(distance, quantile, df) - power, 0.0, 2 * quantile + 5))


def _found(units: int, treated: int, sd: float, effect: float, confidence: float, draws: int, seed: int) -> int:
    """Count simulated panels in which the interval of the difference excludes 0; variances of both sides are their own."""
    changes = np.random.default_rng(seed).normal(0.0, sd, (draws, units))
    changes[:, :treated] += effect
    sides = changes[:, :treated], changes[:, treated:]
    parts = [side.var(axis=1, ddof=1) / side.shape[1] for side in sides]
    variance = parts[0] + parts[1]
    df = variance**2 / sum(part**2 / (side.shape[1] - 1) for part, side in zip(parts, sides, strict=True))
    distance = np.abs(sides[0].mean(axis=1) - sides[1].mean(axis=1)) / np.sqrt(variance)
    return int((distance > stats.t.ppf(0.5 + confidence / 2, df)).sum())
