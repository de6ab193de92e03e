"""Satisfaction of the people served beside the quantity and quality of work (三比三看, row H07)."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from ..errors import UsageError
from ..measure.inference.uncertainty import CONFIDENCE
from ..measure.raters.rating import Rating
from ..result import Result
from ..spec import reasons
from ..spec.settings import FLOOR
from .plane import AXES, Plane

KEYS = ("period", "level", "unit")
STATISTICS = ("n", "satisfaction", "se", "low", "high", "se_source", "quadrant", "probability")
LEAST_UNITS = 5  # fewer units show no association


def satisfaction(placed: Plane, rating: Rating) -> Result:
    """Put what people say of units beside the quadrant of their work: association only, no cause and no ranking.

    Both are computed each by itself: the quadrants from indicators of work, the satisfaction from score sheets of people asked
    for their opinion (群众评议). The survey of the thought index is not used here: its answers assess nobody.

    Parameters
    ----------
    placed
        What ``methods.plane`` returned.
    rating
        ``dj.rate(ws.ratings(period))`` of sheets whose raters are people (``raters = "people"``); its last period counts.

    Returns
    -------
    Result
        A row a unit of the plane: period (of the sheets), level, unit, n (raters), satisfaction (mean mark, adjusted for strictness
        where raters judged several units), se, low, high (95 %), se_source, quadrant and probability (as in the plane), reason. It is about persons:
        units with fewer than min_group raters are hidden by ``dj.protect``.
        ``.parts["association"]``: period, level, statistic (``quantity`` or ``quality``), estimate (Spearman's ρ of satisfaction
        with it over units with enough raters), low, high (Bonett and Wright 2000), p (Student's t), units, n (raters of these
        units), reason; at least five units.

    Raises
    ------
    UsageError
        Raters who are officials; sheets of none of these units.

    References
    ----------
    Bonett, D. & Wright, T. (2000), Sample size requirements for estimating Pearson, Kendall and Spearman correlations,
    Psychometrika 65, 23–28.

    Examples
    --------
    >>> methods.satisfaction(methods.plane(ws.indicators(span), "branch"), dj.rate(ws.ratings("2026Q3"))).table  # doctest: +SKIP
    """
    if rating.about != "persons":
        raise UsageError(
            "satisfaction: 评分方是检查组、评委等,不是群众;群众评议的评分表写 raters = people"
            " (these raters are officials: the satisfaction of people comes from sheets declared raters = people)"
        )
    sheets = rating.table[rating.table["period"] == rating.period].set_index(["level", "unit"])
    units = placed.table[placed.table["period"] == placed.period].set_index(["level", "unit"])
    if not units.index.isin(sheets.index).any():
        raise UsageError(
            f"satisfaction: {rating.period} 的评分没有这些单位 (no score sheet of these units): {rating.period}"
        )
    own = sheets.reindex(units.index)
    unexplained = (
        own["reason"].fillna(reasons.MISSING_VALUE).where(own["se"].isna(), "")
    )  # that each judged one unit is no fault
    table = pd.DataFrame(
        {
            "n": own["n"].fillna(0).astype(int), "satisfaction": own["adjusted"].fillna(own["score"]),
            **{name: own[name] for name in ("se", "low", "high")}, "se_source": own["se_source"].fillna("none"),
            "quadrant": units["quadrant"], "probability": units["probability"], "reason": unexplained,
        }, index=units.index,
    ).reset_index()  # fmt: skip
    table.insert(0, "period", rating.period)
    enough = table["n"].to_numpy() >= max(rating.spec.min_group, FLOOR)
    association = _association(table, units, enough)
    common: dict[str, Any] = {
        "period": rating.period, "periods": (rating.period,), "about": "persons", "programme": "ratings", "spec": rating.spec,
        "basis": tuple(basis for basis in rating.basis if basis.period == rating.period),
    }  # fmt: skip
    told = ("estimate", "low", "high", "p", "units", "n")
    parts = {"association": Result(association, ("period", "level", "statistic"), told, together=told, **common)}
    return Result(table, KEYS, STATISTICS, parts=parts, **common)


def spearman(x: np.ndarray, y: np.ndarray) -> tuple[float, float, float, float]:
    """Return Spearman's ρ with its interval (Bonett and Wright 2000, Fisher's z with se √((1 + ρ²/2)/(n − 3))) and p.

    NaN where fewer than five pairs are known, or one side does not vary.
    """
    known = np.isfinite(x) & np.isfinite(y)
    n = int(known.sum())
    if n < LEAST_UNITS or np.ptp(x[known]) == 0 or np.ptp(y[known]) == 0:
        return (float("nan"),) * 4
    rho, p = stats.spearmanr(x[known], y[known])
    z = np.arctanh(np.clip(rho, -1 + 1e-12, 1 - 1e-12))
    half = stats.norm.ppf(0.5 + CONFIDENCE / 2) * np.sqrt((1 + rho**2 / 2) / (n - 3))
    return float(rho), float(np.tanh(z - half)), float(np.tanh(z + half)), float(p)


def _association(table: pd.DataFrame, units: pd.DataFrame, enough: np.ndarray) -> pd.DataFrame:
    """Correlate satisfaction with each axis, over units with enough raters."""
    rows = []
    said = table["satisfaction"].to_numpy(float)
    for axis in AXES:
        work = np.where(enough, units[axis].to_numpy(float), np.nan)
        used = np.isfinite(work) & np.isfinite(said)
        rho, low, high, p = spearman(work, said)
        rows.append(
            {"period": table["period"].iloc[0], "level": table["level"].iloc[0], "statistic": axis, "estimate": rho, "low": low,
             "high": high, "p": p, "units": float(used.sum()), "n": float(table["n"].to_numpy()[used].sum()),
             "reason": "" if rho == rho else reasons.TOO_FEW_TO_JUDGE}
        )  # fmt: skip
    return pd.DataFrame(rows)
