"""Aggregators: weighted means of the parts of a whole.

Every aggregator is a function of (values, weights): values units × parts, NaN missing; weights of the parts, a vector,
or a matrix parts × draws for many sets of weights at once. It returns one number a unit, or units × draws. All are
power means (Σ w·x^p / Σ w)^(1/p); the scale of the weights does not matter.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ...errors import UsageError, unknown

Aggregator = Callable[..., np.ndarray]


def arithmetic(values: Any, weights: Any, *, reweight: bool = True) -> np.ndarray:
    """Weighted arithmetic mean; fully compensatory: a point lost in one part is offset by a point in another.

    Parameters
    ----------
    values
        Units × parts; NaN is missing.
    weights
        Weights ≥ 0 of the parts, a vector or parts × draws.
    reweight
        Whether the weight of missing parts goes to the others; else a unit without all parts (of positive weight) has no
        mean.

    Returns
    -------
    numpy.ndarray
        One number a unit, or units × draws; NaN where no part of positive weight is known.
    """
    return _mean(*_checked(values, weights), reweight)


def geometric(values: Any, weights: Any, *, reweight: bool = True) -> np.ndarray:
    """Weighted geometric mean exp(Σ w·ln x / Σ w); partly compensatory, penalises low parts (HDI since 2010).

    A part of 0 with positive weight makes the mean 0, the mathematical limit; a negative one makes it missing. Whoever
    does not want that gives the scale a floor above 0 (``Choices(floor=1)``). Parameters as in :func:`arithmetic`.
    """
    table, w = _checked(values, weights)
    with np.errstate(divide="ignore", invalid="ignore"):
        logs = np.where(table > 0, np.log(table), np.where(table == 0, 0.0, np.nan))
        mean = np.exp(_mean(logs, w, reweight))
    return _limits(mean, table, w)


def harmonic(values: Any, weights: Any, *, reweight: bool = True) -> np.ndarray:
    """Weighted harmonic mean Σ w / Σ (w/x); penalises low parts more than the geometric mean.

    A part of 0 makes the mean 0, a negative one missing. Parameters as in :func:`arithmetic`.
    """
    table, w = _checked(values, weights)
    with np.errstate(divide="ignore", invalid="ignore"):
        inverse = np.where(table > 0, 1 / table, np.where(table == 0, 1.0, np.nan))
        mean = 1 / _mean(inverse, w, reweight)
    return _limits(mean, table, w)


#: Aggregators by name; a researcher's own function of (values, weights, reweight=…) fits the same place.
AGGREGATORS: dict[str, Aggregator] = {"arithmetic": arithmetic, "geometric": geometric, "harmonic": harmonic}

#: Aggregators that need positive parts.
POSITIVE = ("geometric", "harmonic")


def aggregator(choice: str | Aggregator) -> Aggregator:
    """Return the aggregator of this name, or the researcher's own function unchanged."""
    if callable(choice):
        return choice
    if choice not in AGGREGATORS:
        raise unknown("合成方法/aggregator", choice, AGGREGATORS)
    return AGGREGATORS[choice]


def _checked(values: Any, weights: Any) -> tuple[np.ndarray, np.ndarray]:
    table, w = np.asarray(values, dtype=float), np.asarray(weights, dtype=float)
    if table.ndim != 2 or w.ndim not in (1, 2) or w.shape[0] != table.shape[1]:
        shapes = f"{table.shape} × {w.shape}"
        raise UsageError(f"形状 {shapes},应为 单位×部分 与 部分(×组) (units × parts and parts (× draws) are needed)")
    if not (np.isfinite(w).all() and (w >= 0).all()):
        raise UsageError("权重应为非负有限数 (weights must be finite and not negative)")
    return table, w


def _mean(values: np.ndarray, weights: np.ndarray, reweight: bool) -> np.ndarray:
    """Weighted mean over the observed parts; two matrix products, so that many sets of weights cost little."""
    observed = ~np.isnan(values)
    observed_weight = observed.astype(float) @ weights
    weighted_sum = np.where(observed, values, 0.0) @ weights
    with np.errstate(divide="ignore", invalid="ignore"):
        mean = np.where(observed_weight > 0, weighted_sum / observed_weight, np.nan)
    if reweight:
        return mean
    incomplete = (~observed).astype(float) @ (weights > 0).astype(float) > 0
    return np.where(incomplete, np.nan, mean)


def _limits(mean: np.ndarray, values: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Set the mean to 0 where a part of positive weight is 0, to NaN where one is negative."""
    weighted = (weights > 0).astype(float)
    zero, negative = ((mask.astype(float) @ weighted) > 0 for mask in (values == 0, values < 0))
    return np.where(negative, np.nan, np.where(zero & ~np.isnan(mean), 0.0, mean))
