"""How likely a true fall of a unit is found: before a wave by its size, after it by the errors it had."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from scipy import stats

from ..errors import UsageError
from ..measure.inference.planning import SD
from ..result import Result
from .change import Change, told_apart
from .tree_rates import bh_adjusted

FALLS = (5.0, 8.0, 12.0)  # points
FALLEN = 0.05  # share of the units of a level that are taken to have fallen, after a wave
STATISTICS = ("n", "units", "se", "single", "detected")


def change_power(
    people: Sequence[int] = (12, 30, 60, 120), *, falls: Sequence[float] = FALLS, units: int = 200, fallen: int = 10,
    sd: float = SD, linked: float = 0.0, correlation: float = 0.6, rate: float = 0.10, draws: int = 1000, seed: int = 1,
) -> pd.DataFrame:  # fmt: skip
    """Return how often a true fall of a unit would be found, by the number of respondents; to be read before a wave.

    Parameters
    ----------
    people
        Respondents of a unit in each wave, 2 or more.
    falls
        Points by which a unit truly falls.
    units, fallen
        Units of a level judged together, and how many of them fell.
    sd
        Standard deviation of persons within a unit, in points.
    linked, correlation
        Share of the respondents who are linked over both waves (0–1), and the correlation of their two scores.
    rate
        False discovery rate among the units.
    draws, seed
        Simulated waves, and their random seed.

    Returns
    -------
    DataFrame
        n, fall, se (of the change), single (power of a single test at .05: noncentral t), detected (mean share of the fallen units
        named at this rate by Benjamini and Hochberg 1995 with an interval that excludes 0; its simulation error is below .01 at
        1,000 draws of ten fallen units).

    Raises
    ------
    UsageError
        Fewer than 2 people, no unit fallen or more than there are, a share or correlation outside 0–1.

    Examples
    --------
    >>> dj.methods.change_power([30, 123], falls=[5])[["n", "single"]].round(2).values.tolist()
    [[30.0, 0.27], [123.0, 0.8]]
    """
    if min(people) < 2 or not 1 <= fallen <= units or not 0 <= linked <= 1 or not 0 <= correlation <= 1 or sd <= 0:
        raise UsageError(
            "change_power: people >= 2, 1 <= fallen <= units, 0 <= linked, correlation <= 1, sd > 0"
            f" (found: people {min(people)}, fallen {fallen}, units {units}, linked {linked:g}, correlation {correlation:g}, sd {sd:g})"
        )
    rows = []
    for n in people:
        se = sd * np.sqrt(2 / n * (1 - linked * correlation))
        for fall in falls:
            found = _detected(np.full(units, se), fall, fallen, rate, draws, np.random.default_rng(seed))
            rows.append((n, fall, se, float(_single(fall / se, 2 * (n - 1))), found))
    return pd.DataFrame(rows, columns=["n", "fall", "se", "single", "detected"])


def power_after(
    change: Change, *, falls: Sequence[float] = FALLS, fallen: float = FALLEN, draws: int = 1000, seed: int = 1
) -> Result:
    """Return how often a true fall of a unit's index would have been found in a wave that was compared.

    The errors are those the units had, linked people included; units that cannot be shown or have no error take no part.

    Parameters
    ----------
    change
        What :func:`dj_analysis.compare` said of the wave.
    falls
        Points by which a unit truly fell.
    fallen
        Share of the units of a level that fell, at least one.
    draws, seed
        Simulated waves of each level, and their random seed.

    Returns
    -------
    Result
        period, before_period, level, fall, n (people of the units judged), units, se (median), single (mean power of a
        single test), detected (mean share of the fallen units that would be named).
    """
    index, rule = change.spec.codebook.index, change.spec.rules.change
    levels = change.spec.units.at(change.period).levels[1:]
    table = change.table[(change.table["code"] == index) & change.table["se"].notna() & change.table["p"].notna()]
    table = table[told_apart(table, change.withheld)]
    rng, rows = np.random.default_rng(seed), []
    for level in levels:
        own = table[table["level"] == level]
        if own.empty:
            continue
        se = own["se"].to_numpy(float)
        count = max(1, round(fallen * len(own)))
        for fall in falls:
            single = float(_single(fall / se, np.inf).mean())
            detected = _detected(se, fall, count, rule.false_discovery, draws, rng)
            before = own["before_period"].iloc[0]
            rows.append((change.period, before, level, fall, own["n"].sum(), len(own), np.median(se), single, detected))
    names = ["period", "before_period", "level", "fall", *STATISTICS]
    return Result(
        table=pd.DataFrame(rows, columns=names).astype({"period": "str", "before_period": "str", "level": "str"}),
        keys=tuple(names[:4]), statistics=STATISTICS, together=STATISTICS, period=change.period, periods=change.periods,
        spec=change.spec, withheld=change.withheld, basis=change.basis,
    )  # fmt: skip


def _single(distance: np.ndarray, df: float) -> np.ndarray:
    """Power of a two-sided test at .05 of a change of so many standard errors."""
    if not np.isfinite(df):
        quantile = stats.norm.ppf(0.975)
        return np.asarray(stats.norm.sf(quantile - distance) + stats.norm.cdf(-quantile - distance))
    quantile = stats.t.ppf(0.975, df)
    return np.asarray(stats.nct.sf(quantile, df, distance) + np.nan_to_num(stats.nct.cdf(-quantile, df, distance)))


def _detected(se: np.ndarray, fall: float, fallen: int, rate: float, draws: int, rng: np.random.Generator) -> float:
    """Mean share of the fallen units, others drawn anew in each wave, that are named among all."""
    z = rng.standard_normal((len(se), draws))
    which = rng.permuted(np.broadcast_to(np.arange(len(se))[:, None], z.shape), axis=0) < fallen
    z -= which * (fall / se)[:, None]
    p = 2 * stats.norm.sf(np.abs(z))
    named = (bh_adjusted(p) <= rate) & (p <= 0.05)
    return float((named & which).sum() / which.sum())
