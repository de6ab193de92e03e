"""Ordering methods: Borda counts, grey relational grades, rank-sum ratio, weights from pairwise comparisons."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from ...errors import UsageError
from ...result import Result
from ...spec import reasons
from ...spec.specification import Specification
from ...spec.tree import Tree
from ..survey import Indicators
from ..ties import descending_ranks, mean_ranks
from .evaluation import INCOMPLETE
from .normalisers import NOISE
from .unit_values import UnitValues, unit_values
from .weights import path_weights

RHO = 0.5  # Deng's distinguishing coefficient
PROBIT_CUTS = (4.0, 6.0)  # of three tiers: one standard deviation to each side (Tian 1988)

Scored = Callable[[np.ndarray, np.ndarray], np.ndarray]


def borda(frame: Any, tree: Tree | None = None, *, level: str = "unit", period: str = "") -> Result:
    """Order units by weighted Borda counts: the share of other units each indicator puts below (Borda 1781).

    Parameters
    ----------
    frame
        A dataframe with a column ``unit`` and one a leaf, or branch indicators.
    tree
        Directions and weights; every leaf counts with its path weight below the root.

    Returns
    -------
    Result
        period, level, unit, score (0–100: weighted mean over indicators of 100·(units below + half of those equal)/(N − 1)), rank,
        reason. A unit that lacks an indicator takes no part.
    """
    return _ordered(frame, tree, level, period, lambda x, w: 100 * (_ranks(x) - 1) / (len(x) - 1) @ w)


def grey_relation(
    frame: Any, tree: Tree | None = None, *, rho: float = RHO, level: str = "unit", period: str = ""
) -> Result:
    """Order units by their grey relational grade with the best value of every indicator (灰色关联, Deng 1982).

    Indicators are scaled to 0–1 (best 1); ξ = (min Δ + ρ·max Δ)/(Δ + ρ·max Δ) with Δ the distance from 1, over all units and
    indicators; the grade is the weighted mean of ξ.

    Parameters
    ----------
    rho
        Distinguishing coefficient, above 0 and at most 1; smaller ones spread the grades, and may change their order.

    Returns
    -------
    Result
        As :func:`borda`; score is 100·grade.
    """
    if not 0 < rho <= 1:
        raise UsageError(f"rho = {rho:g}: 应在 0 与 1 之间 (above 0, at most 1)")

    def graded(x: np.ndarray, w: np.ndarray) -> np.ndarray:
        value_range = np.where(np.ptp(x, axis=0) > NOISE * np.abs(x).max(axis=0), np.ptp(x, axis=0), 0.0)
        distance = 1 - (x - x.min(axis=0)) / np.where(value_range > 0, value_range, 1)
        distance[:, value_range == 0] = 0.0
        if not distance.max() > 0:
            return np.full(len(x), np.nan)
        return np.asarray(100 * (distance.min() + rho * distance.max()) / (distance + rho * distance.max()) @ w)

    return _ordered(frame, tree, level, period, graded)


def rank_sum_ratio(frame: Any, tree: Tree | None = None, *, level: str = "unit", period: str = "") -> Result:
    """Order units by the rank-sum ratio and cut them into three tiers on a probit scale (秩和比, Tian 1988).

    RSR = Σ w·R/N with R the rank of the unit on an indicator (the best has N, equal values the mean). The distribution of
    RSR is put on probits of its downward cumulative frequency R̄/N (the last: 1 − 1/4N), a line is fitted, and fitted values
    at probits 4 and 6 cut the tiers.

    Returns
    -------
    Result
        As :func:`borda` with score = 100·RSR, and fitted (the line at the unit's probit, 0–100), tier (1 lowest … 3; missing
        with fewer than three different values). Tiers are a convention, no test: units at a cut hardly differ.
    """
    ordering = _ordered(frame, tree, level, period, lambda x, w: 100 * _ranks(x) @ w / len(x))
    table = ordering.table.copy()
    table["fitted"], table["tier"] = _tiers(table["score"].to_numpy())
    columns = [name for name in table if name not in ("rank", "reason")]
    return Result(
        table[[*columns, "rank", "reason"]], ordering.keys, ("score", "fitted", "tier", "rank"), ordering.period,
        n=None, about="units", programme="indicators", periods=ordering.periods, spec=ordering.spec,
        basis=ordering.basis,
    )  # fmt: skip


def priority_weights(importance: Mapping[str, float] | pd.DataFrame) -> pd.Series:
    """Return weights from pairwise comparisons: 1 more important, 0.5 equal, 0 less (优序图, Moody 1983).

    Parameters
    ----------
    importance
        Thing → mean importance, from which the comparisons follow; or the square table of comparisons itself, with 0.5 on its
        diagonal and a_ij + a_ji = 1.

    Returns
    -------
    Series
        Weights that add up to 1, in the order given; the least important thing keeps 0.5/(k²/2).

    Raises
    ------
    UsageError
        Fewer than two things, missing numbers, or a table that is not made of comparisons.
    """
    if isinstance(importance, pd.DataFrame):
        names, table = list(importance.index), importance.to_numpy(dtype=float)
        is_square = table.shape == (len(names), len(names)) and list(importance.columns) == names
        if not is_square or not np.allclose(table + table.T, 1) or not np.isin(table, (0, 0.5, 1)).all():
            raise UsageError("优序图:方阵,只含 0、0.5、1,且 a_ij + a_ji = 1 (a square table of comparisons)")
    else:
        names, ratings = list(importance), np.array([float(value) for value in importance.values()])
        if np.isnan(ratings).any():
            raise UsageError("优序图:重要性有缺失 (importance is missing)")
        table = (np.sign(ratings[:, None] - ratings[None, :]) + 1) / 2
    if len(names) < 2:
        raise UsageError("优序图:至少两项 (at least two things)")
    return pd.Series(table.sum(axis=1) / table.sum(), index=names)


def _ordered(frame: Any, tree: Tree | None, level: str, period: str, score: Scored) -> Result:
    indicators = tree or (frame.tree if isinstance(frame, Indicators) else None)
    if indicators is None:
        raise UsageError("缺指标树 (a tree is needed)")
    data = unit_values(frame, indicators, level=level, period=period)
    root = next(node.code for node in indicators if not node.parent)
    leaf_weights = path_weights(indicators, root)
    w = np.array([leaf_weights[code] for code in data.codes])
    oriented = data.values * np.array([leaf.direction for leaf in data.leaves])
    complete = ~np.isnan(oriented).any(axis=1)
    points = np.full(len(oriented), np.nan)
    if complete.sum() > 1:
        points[complete] = score(oriented[complete], w / w.sum())
    return _result(data, points, np.where(complete, "", INCOMPLETE), indicators)


def _result(data: UnitValues, points: np.ndarray, reason: np.ndarray, tree: Tree) -> Result:
    table = pd.DataFrame({"period": data.period, "level": data.level, "unit": data.units, "score": points})
    table["rank"] = descending_ranks(table["score"].to_numpy())
    table["reason"] = np.where((reason == "") & np.isnan(points), reasons.TOO_FEW_TO_JUDGE, reason)
    keys = ("period", "level", "unit")
    return Result(
        table.astype(dict.fromkeys((*keys, "reason"), "str")), keys, ("score", "rank"), data.period, n=None, about="units",
        programme="indicators", periods=(data.period,),
        spec=data.spec if data.spec is not None else Specification(indicators=tree), basis=data.basis,
    )  # fmt: skip


def _ranks(x: np.ndarray) -> np.ndarray:
    """Rank of every unit on every indicator; the best has N, ties share the mean rank."""
    return np.column_stack([mean_ranks(column) for column in x.T])


def _tiers(score: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    fitted, tier = np.full(len(score), np.nan), np.full(len(score), np.nan)
    scored = ~np.isnan(score)
    values = score[scored]
    share = mean_ranks(values) / len(values)
    distinct, first = np.unique(share, return_index=True)
    if len(distinct) < 3:
        return fitted, tier
    probit = 5 + stats.norm.ppf(np.where(share >= 1, 1 - 1 / (4 * len(values)), share))
    line = stats.linregress(probit[first], values[first])
    fitted[scored] = line.intercept + line.slope * probit
    cuts = line.intercept + line.slope * np.array(PROBIT_CUTS)
    tier[scored] = 1 + np.searchsorted(cuts, fitted[scored], side="right")
    return fitted, tier
