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
SWEEPS, CLOSE = 100, 1e-9  # of the two-way fit where values are missing; points


@dataclass(frozen=True)
class MonthsError:
    """Scatter of single months around what a unit usually has; arrays units × codes.

    Attributes
    ----------
    sd
        Standard deviation of one month, in points; NaN where there are too few months.
    df
        Degrees of freedom of the moderated variance.
    months
        Months that have a value.
    """

    sd: np.ndarray
    df: np.ndarray
    months: np.ndarray


def months_error(points: np.ndarray, rule: MonthsRule, calendar: np.ndarray) -> MonthsError:
    """Estimate the error of one month's score of each unit.

    Unit means and month means are taken out (by sweeps where values are missing), with ``rule.trend`` each unit's
    straight line too, with ``rule.season`` its mean of each part of the year. The remaining variance of a unit is moderated by
    that of all units (Smyth 2004). The months of a unit are taken as independent of each other beside these effects.

    Parameters
    ----------
    points
        Months × units × codes of one level, NaN is missing.
    calendar
        Part of the year of each month (0–11 for months), for ``rule.season``.

    Returns
    -------
    MonthsError
        Missing for units with fewer than ``rule.least`` months, or with fewer than two years under ``rule.season``. With
        fewer than three units in a month its common movement cannot be told from a unit's own and counts as error.
    """
    known = ~np.isnan(points)
    months = known.sum(axis=0)
    peers = known.sum(axis=1, keepdims=True) >= LEAST_PEERS
    residual, parts = _residual(points, known, peers, rule, calendar)
    seasons = parts.max(axis=0, initial=0) if rule.season else np.ones(months.shape, dtype=int)
    spent = (seasons if rule.season else 1) + int(rule.trend)
    share = 1 - np.where(peers, 1 / np.maximum(known.sum(axis=1, keepdims=True), 1), 0.0)  # what month means cost
    free = np.where(known, share, 0.0).sum(axis=0) / np.maximum(months, 1) * (months - spent)
    enough = (months >= rule.least) & (free > 0)
    if rule.season:
        enough &= months >= 2 * seasons
    with np.errstate(divide="ignore", invalid="ignore"):
        variance = np.where(enough, np.nansum(residual**2, axis=0) / free, np.nan)
    sd, df = np.full(variance.shape, np.nan), np.full(variance.shape, np.nan)
    for code in range(variance.shape[1]):
        moderated, df[:, code] = moderate(_sound(variance[:, code]), np.where(enough, free, np.nan)[:, code])
        sd[:, code] = np.sqrt(moderated)
    return MonthsError(sd, df, months)


def _sound(variance: np.ndarray) -> np.ndarray:
    """Take rounding error for the 0 that it is."""
    return np.where(variance < CLOSE**2, 0.0, variance)


def _residual(
    points: np.ndarray, known: np.ndarray, peers: np.ndarray, rule: MonthsRule, calendar: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Take out the effects one after the other until nothing changes; return residuals and the parts of the year seen."""
    residual = np.where(known, points, 0.0)
    parts = np.stack([known[calendar == part].any(axis=0) for part in np.unique(calendar)]).cumsum(axis=0)
    time = np.arange(len(points), dtype=float)[:, None, None]
    for _ in range(SWEEPS):
        before = residual.copy()
        groups = (
            [calendar == part for part in np.unique(calendar)] if rule.season else [np.ones(len(points), dtype=bool)]
        )
        for group in groups:
            residual[group] -= _mean(residual[group], known[group], axis=0) * known[group]
        if rule.trend:
            centred = np.where(known, time - _mean(np.where(known, time, 0.0), known, axis=0), 0.0)
            square = (centred**2).sum(axis=0)
            slope = np.divide((centred * residual).sum(axis=0), square, out=np.zeros_like(square), where=square > 0)
            residual -= slope * centred
        residual -= np.where(peers, _mean(residual, known, axis=1), 0.0) * known
        if np.abs(residual - before).max(initial=0.0) < CLOSE:
            break
    return np.where(known, residual, np.nan), parts


def _mean(values: np.ndarray, known: np.ndarray, axis: int) -> np.ndarray:
    count = known.sum(axis=axis, keepdims=True)
    total = values.sum(axis=axis, keepdims=True, where=known)
    return np.divide(total, count, out=np.zeros_like(total, dtype=float), where=count > 0)
