"""Data treatment before normalisation: denominators, imputation, winsorising.

Each step fits plain parameters once and applies them again in a later period. Values are a matrix units × indicators,
NaN is missing.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np
import pandas as pd
from scipy import stats

from ...errors import DjWarning, UsageError

Imputation = Literal["group_mean", "mean", "median"]
IMPUTATIONS: tuple[Imputation, ...] = ("group_mean", "mean", "median")

#: Winsorising stops once an indicator has |skewness| ≤ 2 or excess kurtosis ≤ 3.5, or after 5 points (COINr's rule, after
#: the JRC's audits of composite indicators; the skewness and kurtosis are the unbiased ones, G1 and G2).
MAX_SKEWNESS, MAX_KURTOSIS, MAX_POINTS = 2.0, 3.5, 5


def divided(values: pd.DataFrame, frame: pd.DataFrame, denominator: Mapping[str, str]) -> pd.DataFrame:
    """Divide indicators by columns of the same frame; a missing denominator, or one of zero, gives a missing value.

    Raises
    ------
    UsageError
        A denominator or an indicator that is no column.
    """
    ratios = values.copy()
    for code, column in denominator.items():
        for name, columns in ((code, values), (column, frame)):
            if name not in columns:
                raise UsageError(f"分母 {code} / {column}: 没有 {name} 列 (no such column)")
        divisor = pd.to_numeric(frame[column], errors="coerce").astype("float64")
        ratios[code] = values[code] / divisor.where(divisor != 0)
    return ratios


def learn_imputation(
    values: np.ndarray, codes: Sequence[str], how: Imputation, groups: np.ndarray | None
) -> dict[str, Any]:
    """Fit the imputed values: the mean or median of all units, or the mean of a unit's group.

    Every unit counts once, whatever its size.
    """
    if how == "group_mean":
        if groups is None:
            raise UsageError("组均值填补需要 groups=列名 (group_mean needs groups=, the column with the groups)")
        means = {name: _centres(values[groups == name], codes, "mean") for name in sorted(set(groups) - {""})}
        return {"how": how, "groups": means}
    return {"how": how, "all": _centres(values, codes, how)}


def imputed(
    values: np.ndarray, codes: Sequence[str], learned: Mapping[str, Any], groups: np.ndarray | None
) -> np.ndarray:
    """Impute missing values; values of a group that was not seen, or had no value, stay missing."""
    if learned["how"] == "group_mean":
        if groups is None:
            raise UsageError("组均值填补需要 groups=列名 (group_mean needs groups=, the column with the groups)")
        no_means = dict.fromkeys(codes)
        rows = [[learned["groups"].get(group, no_means).get(code) for code in codes] for group in groups]
        fill = np.array(rows, dtype=float).reshape(values.shape)
    else:
        fill = np.array([learned["all"].get(code) for code in codes], dtype=float)
    return np.where(np.isnan(values), fill, values)


def learn_limits(values: np.ndarray, codes: Sequence[str]) -> dict[str, Any]:
    """Fit the winsorising limits of indicators with outliers.

    While an indicator has |skewness| > 2 and kurtosis > 3.5, its extreme value on the side of the skew takes the value of
    the next, up to five points (tied points count each). An indicator that still has outliers then is left as it was and
    listed under ``failing``: transform it, or leave it out.

    Returns
    -------
    dict
        ``limits``: code → [low, high] of the treated ones, None where a side is open; ``failing``: codes.
    """
    limits, failing = {}, []
    for j, code in enumerate(codes):
        column = values[:, j]
        bounds, sufficient = _limits(column[~np.isnan(column)])
        if bounds is not None and sufficient:
            limits[code] = bounds
        elif bounds is not None:
            failing.append(code)
    if failing:
        warnings.warn(
            f"缩尾 {MAX_POINTS} 个点后仍有异常值,保留原值: {', '.join(failing)}"
            f" (outliers remain after winsorising {MAX_POINTS} points: values kept as they were)",
            DjWarning,
            stacklevel=4,
        )
    return {"limits": limits, "failing": failing}


def held(values: np.ndarray, codes: Sequence[str], learned: Mapping[str, Any]) -> np.ndarray:
    """Winsorise values at the fitted limits."""
    winsorised = values.copy()
    for j, code in enumerate(codes):
        if code in learned["limits"]:
            low, high = learned["limits"][code]
            winsorised[:, j] = np.clip(
                winsorised[:, j], -np.inf if low is None else low, np.inf if high is None else high
            )
    return winsorised


def has_outliers(column: np.ndarray) -> bool:
    """Return whether an indicator (no missing values) is skewed and heavy-tailed; False under four values."""
    if len(column) < 4 or np.ptp(column) <= 1e-12 * np.max(np.abs(column)):
        return False
    skewed = abs(stats.skew(column, bias=False)) > MAX_SKEWNESS
    return bool(skewed and stats.kurtosis(column, bias=False) > MAX_KURTOSIS)


def _centres(values: np.ndarray, codes: Sequence[str], how: str) -> dict[str, float | None]:
    """Mean or median by indicator; None where a group has no value at all."""
    table = pd.DataFrame(values, columns=list(codes))
    centre = table.median() if how == "median" else table.mean()
    return {code: None if value != value else float(value) for code, value in centre.items()}


def _limits(column: np.ndarray) -> tuple[list[float | None] | None, bool]:
    """Return the limits of an indicator with outliers (None without), and whether they remove the outliers."""
    limits: list[float | None] = [None, None]
    treated, points, had_outliers = column, 0, False
    while has_outliers(treated) and points < MAX_POINTS:
        had_outliers, side = True, int(stats.skew(treated, bias=False) >= 0)
        extreme = treated.max() if side else treated.min()
        others = treated[treated != extreme]
        limits[side] = limit = float(others.max() if side else others.min())
        treated = np.minimum(treated, limit) if side else np.maximum(treated, limit)
        points = int(np.sum(treated != column))
    return (limits if had_outliers else None), not has_outliers(treated)
