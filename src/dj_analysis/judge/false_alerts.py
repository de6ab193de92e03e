"""How many warnings would be untrue if no unit differed, or none had changed: simulated waves judged by the same rules."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats
from statsmodels.stats.multitest import multipletests

from ..measure.inference import uncertainty
from ..measure.inference.shrinkage import LEAST_UNITS, left_out
from ..measure.scores import Scores
from ..result import Result
from ..spec.bands import SLACK, beyond
from ..spec.specification import Specification
from .change import Change
from .draws_shrunk import shrink_draws
from .shrunk_means import Keys, laid_out, low_shares, shrunk_means
from .warning_rules import GRADES, graded

NULLS = ("no_unit_differs", "no_unit_changed")
RANGE = (0.025, 0.975)  # of the number of untrue warnings from one wave to another
DRAWN_AT_ONCE = 2**22  # means of units and codes in the waves held at once: some twenty arrays of 32 MB


@dataclass(frozen=True)
class Truth:
    """What a simulated wave of one level is drawn from; arrays over units (× index and dimensions).

    Attributes
    ----------
    means
        True means, the index first; NaN where a unit takes no part.
    se, df
        Standard errors of the measured means and their degrees of freedom.
    alike
        Correlation of the errors of two dimensions of one unit.
    weights
        Weights of the dimensions in the index.
    low
        True shares of respondents with a low index.
    people
        Respondents of each unit.
    se_change
        Standard error of the index's change; NaN where none is known.
    with_now
        Correlation of that error with the error of the index now: less than that of independent waves where people are linked.
    """

    means: np.ndarray
    se: np.ndarray
    df: np.ndarray
    alike: float
    weights: np.ndarray
    low: np.ndarray
    people: np.ndarray
    se_change: np.ndarray
    with_now: np.ndarray


def expected_false_alerts(
    now: Scores, change: Change | None, keys: Keys, draws: int, seed: int, common: Mapping[str, Any]
) -> Result:
    """Compute the number of untrue warnings to expect in this wave, under two null hypotheses.

    ``no_unit_differs``: every unit of a level has the level's mean (no unit changed either). ``no_unit_changed``: every unit
    has the shrunken mean of the wave before. Waves are drawn with the measured errors, judged by the rules of one wave
    (not those of persistence, nor for group columns), and a warning counts as untrue where a rule that gave it is untrue of the drawn-from means.

    Parameters
    ----------
    now, change
        Scores of the wave, and its comparison with the wave before; without one the second null is left out.
    keys
        (level, unit) of the rows judged.
    draws, seed
        Number of simulated waves of each null, and their random seed.
    common
        Fields the result takes over from the warnings.

    Returns
    -------
    Result
        period, level, null, warning, n (people behind the units judged), units, untrue (mean number of units with an untrue warning), low, high
        (95 % of waves).
    """
    rng = np.random.default_rng(seed)
    rows: list[tuple[Any, ...]] = []
    before = change.before_scores if change is not None else None
    levels = now.spec.units.at(now.period).levels
    for level in (level for level in dict.fromkeys(level for level, _ in keys) if level in levels):
        own = [key for key in keys if key[0] == level]
        for null, truth in truths(now, before, change, own).items():
            judged = np.isfinite(truth.means[:, 0])
            if not judged.any():
                continue
            counts = untrue_warnings(truth, now.spec, draws, rng)
            people = int(truth.people[judged].sum())
            for grade, name in enumerate(GRADES):
                low, high = np.quantile(counts[:, grade], RANGE, method="inverted_cdf")
                expected = float(counts[:, grade].mean())
                rows.append((now.period, level, null, name, people, int(judged.sum()), expected, low, high))
    names = ["period", "level", "null", "warning", "n", "units", "untrue", "low", "high"]
    return Result(
        table=pd.DataFrame(rows, columns=names).astype({"low": float, "high": float}), keys=tuple(names[:4]),
        statistics=tuple(names[4:]), together=tuple(names[4:]), **common,
    )  # fmt: skip


def truths(now: Scores, before: Scores | None, change: Change | None, keys: Keys) -> dict[str, Truth]:
    """Return what the waves of each null are drawn from, for the units of one level."""
    index, dimensions = str(now.spec.codebook.index), [node.code for node in now.spec.codebook.dimensions]
    codes = [index, *dimensions]
    anchors = now.table[(now.table["form"] == "anchors") & now.table["code"].isin(codes)].reset_index(drop=True)
    usable = anchors[~left_out(anchors, now, ()) & anchors["se"].notna()]
    wide = laid_out(usable, keys, codes, {name: usable[name] for name in ("score", "se", "df", "sd", "n")})
    low, people = low_shares(now, keys)["share"].to_numpy(float), wide["n"][:, 0]
    weights = _weights(now.spec, index, dimensions)
    taken = np.isfinite(wide["score"][:, 0])
    se_change = _se_change(change, keys, index)
    common = {
        "se": wide["se"], "df": wide["df"], "alike": _alike(wide["sd"], weights), "weights": weights,
        "people": np.nan_to_num(people), "se_change": se_change,
        "with_now": _with_now(wide["se"][:, 0], se_change, before, keys, index),
    }  # fmt: skip
    level_means = _level_means(wide["score"], wide["se"])
    pooled = float(np.average(low[taken], weights=people[taken])) if taken.any() else np.nan
    drawn_from = {
        "no_unit_differs": Truth(
            np.where(taken[:, None], level_means, np.nan), low=np.where(taken, pooled, np.nan), **common
        )
    }
    if before is not None:
        means = shrunk_means(before, codes, keys).mean
        means = np.where(taken[:, None] & np.isfinite(means[:, [0]]), means, np.nan)
        # A dimension that the wave before did not ask stands where the level stands now.
        means = np.where(np.isfinite(means[:, [0]]) & np.isnan(means), level_means, means)
        earlier = _shares_before(before, keys, pooled)
        drawn_from["no_unit_changed"] = Truth(means, low=earlier, **common)
    return drawn_from


def untrue_warnings(truth: Truth, spec: Specification, draws: int, rng: np.random.Generator) -> np.ndarray:
    """Draw waves, judge them, and count the units with an untrue warning: draws × grades (orange, red, black).

    Of many units so many waves are drawn at a time as memory holds well; waves do not depend on each other.
    """
    at_once = max(DRAWN_AT_ONCE // max(truth.means.size, 1), 1)
    blocks = [min(at_once, draws - first) for first in range(0, draws, at_once)]
    return np.concatenate([_untrue_of_waves(truth, spec, block, rng) for block in blocks])


def _untrue_of_waves(truth: Truth, spec: Specification, draws: int, rng: np.random.Generator) -> np.ndarray:
    drawn = np.flatnonzero(np.isfinite(truth.means[:, 0]))
    means, se, df = truth.means[drawn], truth.se[drawn], truth.df[drawn]
    errors = _errors(truth, drawn, draws, rng)
    measured_se = se * np.sqrt(rng.chisquare(np.maximum(np.nan_to_num(df), 1), errors.shape) / np.maximum(df, 1))
    estimate, error, df_shrunk = shrink_draws(means + se * errors, measured_se, df)
    holds, untrue = (np.zeros((len(GRADES), draws, len(drawn)), dtype=bool) for _ in range(2))

    def enter(grade: int, met: np.ndarray, true: np.ndarray) -> None:
        holds[grade] |= met
        untrue[grade] |= met & ~true

    for grade, band in graded(spec.bands["warning"]):
        met = (band.point - estimate[..., 0]) / error[..., 0] >= _t_quantile(band.sure, df_shrunk[..., 0])
        enter(grade, met, beyond(means[:, 0], band.point, band.side))
    for grade, band in graded(spec.bands["warning_dimension"]):
        sure = (band.point - estimate[..., 1:]) / error[..., 1:] >= _t_quantile(band.sure, df_shrunk[..., 1:])
        true = beyond(means[:, 1:], band.point, band.side).sum(axis=1) >= band.at_least
        enter(grade, sure.sum(axis=2) >= band.at_least, true)
    people, low = truth.people[drawn].astype(int), np.nan_to_num(truth.low[drawn])
    lowest = _lowest_shares(rng.binomial(people, low, size=(draws, len(drawn))), people)
    for grade, band in graded(spec.bands["low_answers"]):
        enter(grade, beyond(lowest, band.point, band.side), beyond(low, band.point, band.side))
    enter(0, _falls(truth, drawn, se[:, 0] * errors[..., 0], spec, rng), np.zeros(len(drawn), dtype=bool))
    graver = np.cumsum(holds[::-1], axis=0)[::-1] - holds > 0  # a graver warning of the unit takes its place
    return np.asarray((untrue & ~graver).sum(axis=2).T)


def _lowest_shares(hits: np.ndarray, people: np.ndarray) -> np.ndarray:
    """Return the lower bounds of drawn shares, draws × units; each number of hits among so many people is looked at once."""
    most = int(people.max(initial=0)) + 1
    told, place = np.unique(hits + most * people, return_inverse=True)
    lowest = uncertainty.exact_interval(told % most, told // most)[0]
    return np.asarray(lowest[place.reshape(hits.shape)])


def _errors(truth: Truth, drawn: np.ndarray, draws: int, rng: np.random.Generator) -> np.ndarray:
    """Draw standardised errors, draws × units × (index, dimensions): dimensions alike, the index their weighted mean."""
    shared = rng.standard_normal((draws, len(drawn), 1))
    own = rng.standard_normal((draws, len(drawn), len(truth.weights)))
    dimensions = np.sqrt(truth.alike) * shared + np.sqrt(1 - truth.alike) * own
    index = (np.nan_to_num(truth.se[drawn, 1:]) * dimensions) @ truth.weights
    spread = np.sqrt(_variance_of_index(np.nan_to_num(truth.se[drawn, 1:]), truth.weights, truth.alike))
    return np.concatenate([(index / np.where(spread > 0, spread, 1))[..., None], dimensions], axis=2)


def _falls(
    truth: Truth, drawn: np.ndarray, error: np.ndarray, spec: Specification, rng: np.random.Generator
) -> np.ndarray:
    """Tell which units seem to have fallen though none has: draws × units."""
    se_change, se = truth.se_change[drawn], truth.se[drawn, 0]
    known = np.isfinite(se_change)
    if not known.any():
        return np.zeros(error.shape, dtype=bool)
    shared = np.nan_to_num(truth.with_now[drawn])
    noise = shared * error / se + np.sqrt(1 - shared**2) * rng.standard_normal(error.shape)
    difference = np.nan_to_num(se_change) * noise
    p = 2 * stats.norm.sf(np.abs(difference[:, known]) / se_change[known])
    q = np.array([multipletests(row, method="fdr_bh")[1] for row in p])
    rule = spec.rules.change
    fell = np.zeros(error.shape, dtype=bool)
    beyond_error = (q <= rule.false_discovery) & (p <= 1 - rule.confidence)
    fell[:, known] = beyond_error & ~beyond(difference[:, known], -rule.smallest, "above")
    return fell


def _t_quantile(confidence: float, df: np.ndarray) -> np.ndarray:
    """Quantile of Student's t, read off a table by 1/df: three digits are enough for a count of warnings."""
    inverse = np.linspace(0, 1, 401)
    with np.errstate(divide="ignore"):
        table = stats.t.ppf(confidence, 1 / inverse)
    return np.asarray(np.interp(1 / np.maximum(df, 1), inverse, table)) - SLACK


def _level_means(score: np.ndarray, se: np.ndarray) -> np.ndarray:
    """Mean of each code over the units of a level, by precision."""
    with np.errstate(divide="ignore", invalid="ignore"):
        weight = np.where(np.isfinite(score) & (se > 0), 1 / se**2, 0.0)
        return np.asarray((weight * np.nan_to_num(score)).sum(axis=0) / weight.sum(axis=0))


def _weights(spec: Specification, index: str, dimensions: Sequence[str]) -> np.ndarray:
    weights = np.array([node.weight for node in spec.codebook.dimensions if node.code in dimensions], dtype=float)
    return weights / weights.sum()


def _alike(sd: np.ndarray, weights: np.ndarray) -> float:
    """Correlation of two dimensions within units, the same for any two, from the spread of the index: its variance is theirs."""
    variance = np.nanmean(sd**2, axis=0) if np.isfinite(sd).any() else np.full(sd.shape[1], np.nan)
    spreads = weights * np.sqrt(variance[1:])
    crossed = spreads.sum() ** 2 - (spreads**2).sum()
    if not np.isfinite(crossed) or crossed <= 0:
        return 0.0
    return float(np.clip((variance[0] - (spreads**2).sum()) / crossed, 0, 1))


def _variance_of_index(se: np.ndarray, weights: np.ndarray, alike: float) -> np.ndarray:
    own = ((se * weights) ** 2).sum(axis=-1)
    return np.asarray(own + alike * ((se * weights).sum(axis=-1) ** 2 - own))


def _se_change(change: Change | None, keys: Keys, index: str) -> np.ndarray:
    if change is None:
        return np.full(len(keys), np.nan)
    rows = change.table[change.table["code"] == index].set_index(["level", "unit"])
    return rows["se"].reindex(keys).to_numpy(float)


def _with_now(se: np.ndarray, se_change: np.ndarray, before: Scores | None, keys: Keys, index: str) -> np.ndarray:
    """Correlation of the errors of a change and of the later score, by the three standard errors."""
    if before is None:
        return np.full(len(keys), np.nan)
    rows = before.table[(before.table["form"] == "anchors") & (before.table["code"] == index)]
    earlier = rows.drop_duplicates(["level", "unit"]).set_index(["level", "unit"])["se"].reindex(keys).to_numpy(float)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.clip((se**2 + se_change**2 - earlier**2) / (2 * se * se_change), -1, 1)


def _shares_before(before: Scores, keys: Keys, pooled: float) -> np.ndarray:
    """Shares of the wave before, drawn towards the pooled one as far as they differ by chance."""
    shares = low_shares(before, keys)
    share, n = (shares[name].to_numpy(float) for name in ("share", "n"))
    known = np.isfinite(share) & (n > 0)
    if known.sum() < LEAST_UNITS:
        return np.where(known, share, pooled)
    noise = pooled * (1 - pooled) / np.where(known, n, np.nan)
    between = max(float(np.var(share[known], ddof=1) - noise[known].mean()), 0.0)
    with np.errstate(invalid="ignore", divide="ignore"):
        weight = between / (between + noise) if between else np.zeros(len(share))
    return np.where(known, pooled + weight * (share - pooled), pooled)
