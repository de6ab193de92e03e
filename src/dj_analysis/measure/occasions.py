"""Error of branch indicators, estimated from how they scatter over the months.

A branch indicator has no respondents. What can be known of its error is how far a month lies from what the unit usually
has, beside what all units of its level had in common in that month: the residual of unit × month.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..spec.rules import MonthsRule
from .inference.variances import moderate

LEAST_PEERS = 3  # units of a level by which a month's common movement can be told from a unit's own
LEAST_FREE = 20  # degrees of freedom over all units from which a version's own spread of months is told
SWEEPS, CLOSE = 100, 1e-9  # of the two-way fit where values are missing; points


@dataclass(frozen=True)
class MonthsError:
    """Scatter of single months around what a unit usually has; arrays units × codes unless said otherwise.

    Attributes
    ----------
    sd
        Standard deviation of one month, in points, over all versions; NaN where there are too few months.
    df
        Degrees of freedom of the moderated variance.
    months
        Months that have a value.
    spread, spread_df
        Months × codes: the spread of a month under its version relative to ``sd`` (1 with one version), and the degrees of
        freedom, over all units, with which it is known.
    """

    sd: np.ndarray
    df: np.ndarray
    months: np.ndarray
    spread: np.ndarray
    spread_df: np.ndarray

    def of_month(self, place: int) -> tuple[np.ndarray, np.ndarray]:
        """Return standard deviation and degrees of freedom of one month, under its version."""
        with np.errstate(divide="ignore"):
            return self.sd * self.spread[place], 1 / (1 / self.df + 1 / self.spread_df[place])


def months_error(
    points: np.ndarray,
    rule: MonthsRule,
    calendar: np.ndarray,
    versions: np.ndarray | None = None,
    scatter: np.ndarray | None = None,
) -> MonthsError:
    """Estimate the error of one month's score of each unit.

    Unit means and month means are taken out (by sweeps where values are missing), with ``rule.trend`` each unit's
    straight line too, with ``rule.season`` its mean of each part of the year. The remaining variance of a unit is moderated by
    that of all units (Smyth 2004). The months of a unit are taken as independent of each other beside these effects.

    Where the indicators changed, each unit has a mean of its own under each version: neither a jump of the level nor that one
    list suits a unit better than another is error. Months of versions that scatter more or less than others, in all units together,
    are brought to one spread before they are pooled.

    Parameters
    ----------
    points
        Months × units × codes of one level, NaN is missing.
    calendar
        Part of the year of each month (0–11 for months), for ``rule.season``.
    versions
        Months × codes, which version of a code a month was scored by (whole numbers); one by default.
    scatter
        Months × codes, how months of their version are known to scatter beside those of others; 1 by default. It stands for versions
        that have too few months to tell themselves.

    Returns
    -------
    MonthsError
        Missing for units with fewer than ``rule.least`` months, or with fewer than two years under ``rule.season``. With
        fewer than three units in a month its common movement cannot be told from a unit's own and counts as error.
    """
    known = ~np.isnan(points)
    months = known.sum(axis=0)
    peers = known.sum(axis=1, keepdims=True) >= LEAST_PEERS
    version = np.zeros((len(points), points.shape[2]), dtype=int) if versions is None else versions
    by_version = [version == one for one in np.unique(version)]
    by_part = [np.repeat((calendar == part)[:, None], points.shape[2], axis=1) for part in np.unique(calendar)]
    residual = _residual(points, known, peers, by_version, by_part if rule.season else [], rule.trend)
    seasons = _seen(known, by_part) if rule.season else np.ones(months.shape, dtype=int)
    spent = seasons + _seen(known, by_version) - 1 + int(rule.trend)
    share = 1 - np.where(peers, 1 / np.maximum(known.sum(axis=1, keepdims=True), 1), 0.0)  # what month means cost
    free = np.where(known, share, 0.0).sum(axis=0) / np.maximum(months, 1) * (months - spent)
    expected = np.ones(version.shape) if scatter is None else scatter
    spread, spread_df = _spreads(residual / expected[:, None], known, free, by_version)
    spread = spread * expected
    enough = (months >= rule.least) & (free > 0)
    if rule.season:
        enough &= months >= 2 * seasons
    with np.errstate(divide="ignore", invalid="ignore"):
        variance = np.where(enough, np.nansum((residual / spread[:, None]) ** 2, axis=0) / free, np.nan)
    sd, df = np.full(variance.shape, np.nan), np.full(variance.shape, np.nan)
    for code in range(variance.shape[1]):
        moderated, df[:, code] = moderate(_sound(variance[:, code]), np.where(enough, free, np.nan)[:, code])
        sd[:, code] = np.sqrt(moderated)
    return MonthsError(sd, df, months, spread, spread_df)


def _sound(variance: np.ndarray) -> np.ndarray:
    """Take rounding error for the 0 that it is."""
    return np.where(variance < CLOSE**2, 0.0, variance)


def _seen(known: np.ndarray, groups: list[np.ndarray]) -> np.ndarray:
    """Count the groups of months in which a unit has a value of a code; at least 1."""
    seen = [(known & group[:, None]).any(axis=0) for group in groups]
    return np.maximum(1, np.sum(seen, axis=0, dtype=int)) if seen else np.ones(known.shape[1:], dtype=int)


def _spreads(
    residual: np.ndarray, known: np.ndarray, free: np.ndarray, by_version: list[np.ndarray]
) -> tuple[np.ndarray, np.ndarray]:
    """Compare the spread of months between versions, over all units: ratio to all months together, degrees of freedom."""
    spread, spread_df = (np.full((len(known), known.shape[2]), value) for value in (1.0, np.inf))
    own = [np.maximum((known & group[:, None]).sum(axis=0) - 1, 0) for group in by_version]  # units × codes
    whole = np.sum(own, axis=0)
    usable = np.maximum(free, 0.0)
    square = np.where(known, residual, 0.0) ** 2
    with np.errstate(divide="ignore", invalid="ignore"):
        pooled = (square * (usable > 0)).sum(axis=(0, 1)) / usable.sum(axis=0)
        for group, count in zip(by_version, own, strict=True):
            mine = np.where(whole > 0, usable * count / whole, 0.0).sum(axis=0)
            ratio = ((square * (usable > 0)) * group[:, None]).sum(axis=(0, 1)) / mine / pooled
            several = (np.where(known.any(axis=1), group, False).any(axis=0)) & (mine < usable.sum(axis=0) - CLOSE)
            told = several & (mine >= LEAST_FREE) & (ratio > CLOSE)
            spread = np.where(group & told, np.sqrt(np.where(told, ratio, 1.0)), spread)
            spread_df = np.where(group & told, mine, spread_df)
    return spread, spread_df


def _residual(
    points: np.ndarray, known: np.ndarray, peers: np.ndarray, by_version: list[np.ndarray], by_part: list[np.ndarray],
    trend: bool,
) -> np.ndarray:  # fmt: skip
    """Take out the effects one after the other until nothing changes."""
    residual = np.where(known, points, 0.0)
    time = np.arange(len(points), dtype=float)[:, None, None]
    groups = [known & group[:, None] for group in (*by_version, *by_part)]
    for _ in range(SWEEPS):
        before = residual.copy()
        for group in groups:
            residual -= _mean(residual, group, axis=0) * group
        if trend:
            centred = np.where(known, time - _mean(np.where(known, time, 0.0), known, axis=0), 0.0)
            square = (centred**2).sum(axis=0)
            slope = np.divide((centred * residual).sum(axis=0), square, out=np.zeros_like(square), where=square > 0)
            residual -= slope * centred
        residual -= np.where(peers, _mean(residual, known, axis=1), 0.0) * known
        if np.abs(residual - before).max(initial=0.0) < CLOSE:
            break
    return np.where(known, residual, np.nan)


def _mean(values: np.ndarray, known: np.ndarray, axis: int) -> np.ndarray:
    count = known.sum(axis=axis, keepdims=True)
    total = values.sum(axis=axis, keepdims=True, where=known)
    return np.divide(total, count, out=np.zeros_like(total, dtype=float), where=count > 0)
