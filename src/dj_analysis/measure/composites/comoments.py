"""First and second moments of the children of a node, the input of every data-driven weight."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import narwhals.stable.v2 as nw
import numpy as np

from ...errors import DataError
from ..engines import collected

#: A spread this small against the size of the values is rounding noise.
NOISE = 1e-12
#: Scores are centred here before they are squared, so that sums over millions of rows keep their digits.
CENTRE = 50.0


@dataclass(frozen=True)
class Comoments:
    """Means, ranges and covariances of k columns over the complete rows.

    Attributes
    ----------
    cases
        Number of rows.
    mean, low, high
        Length k. Means are weighted where rows have weights; ``low`` and ``high`` are the extremes found.
    covariance
        k × k, divided by the sum of weights.
    theil
        Σ w·(x/x̄)·ln(x/x̄) / Σ w, the Theil index (1967) of each column; NaN where it has negative values or mean 0.
    """

    cases: int
    mean: np.ndarray
    covariance: np.ndarray
    low: np.ndarray
    high: np.ndarray
    theil: np.ndarray

    @property
    def varies(self) -> np.ndarray:
        """Columns that are not constant up to rounding."""
        return self.high - self.low > NOISE * np.maximum(np.abs(self.low), np.abs(self.high))

    @property
    def sd(self) -> np.ndarray:
        """Standard deviations; 0 where a column is constant."""
        return np.where(self.varies, np.sqrt(np.maximum(np.diag(self.covariance), 0)), 0.0)

    @property
    def correlation(self) -> np.ndarray:
        """Correlations, k × k; 0 off the diagonal where a column is constant."""
        sd = np.where(self.sd > 0, self.sd, np.inf)
        correlation = self.covariance / np.outer(sd, sd)
        np.fill_diagonal(correlation, 1.0)
        return np.clip(correlation, -1, 1)


def comoments(values: Any, weights: Any = None, *, products: bool = True, logs: bool = True) -> Comoments:
    """Compute the moments of a matrix, rows × columns; rows with a missing value are left out.

    Parameters
    ----------
    weights
        Weights ≥ 0 of the rows, their scale is free; None for equal ones.
    products, logs
        Whether covariances and the Theil index are wanted; NaN otherwise.
    """
    table = np.asarray(values, dtype=float)
    w = None if weights is None else np.asarray(weights, dtype=float)
    if np.isnan(table.sum()):  # one pass where nothing is missing
        complete = ~np.isnan(table).any(axis=1)
        table, w = table[complete], None if w is None else w[complete]
    total = float(len(table)) if w is None else float(w.sum())
    if not len(table) or not total > 0:
        return _no_cases(table.shape[1])
    mean = _averages(table, w, total)
    covariance = np.full((len(mean), len(mean)), np.nan)
    if products:
        deviations = table - mean
        covariance = deviations.T @ (deviations if w is None else deviations * w[:, None]) / total
    low, high = table.min(axis=0), table.max(axis=0)
    theil = _theil(table, w, total, mean, low) if logs else np.full(len(mean), np.nan)
    return Comoments(len(table), mean, covariance, low, high, theil)


def comoments_of(frame: Any, columns: Mapping[str, Any], weight: str | None = None) -> Comoments:
    """Compute the moments of columns of any dataframe in its own engine; only sums leave it.

    Parameters
    ----------
    frame
        A narwhals frame, eager or lazy.
    columns
        Name → expression of a score between 0 and 100; null is missing.
    weight
        Column with the rows' weights.

    Raises
    ------
    DataError
        A negative weight.
    """
    names = [f"_x{j}" for j in range(len(columns))]
    row_weight = nw.col(weight).cast(nw.Float64) if weight else nw.lit(1.0)
    complete = frame.select(
        *(expression.cast(nw.Float64).alias(name) for name, expression in zip(names, columns.values(), strict=True)),
        row_weight.alias("_w"),
    )
    complete = complete.filter(*(~nw.col(name).is_null() for name in names), ~nw.col("_w").is_null())
    sums = complete.select(**_sums(names))
    row = collected(sums).to_pandas().iloc[0]
    if not row["cases"]:
        return _no_cases(len(names))
    if row["least"] < 0:
        raise DataError(f"权重列 {weight} 有负值 (negative weights in column {weight})")
    return _from_sums(row, len(names))


def _averages(table: np.ndarray, w: np.ndarray | None, total: float) -> np.ndarray:
    return table.mean(axis=0) if w is None else (table * w[:, None]).sum(axis=0) / total


def _theil(table: np.ndarray, w: np.ndarray | None, total: float, mean: np.ndarray, low: np.ndarray) -> np.ndarray:
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = table / mean
        # x·ln x is 0 at 0, its limit.
        log = np.log(ratio if (low > 0).all() else np.where(table == 0, 1.0, ratio))
        ratio *= log if w is None else log * w[:, None]
        return np.where((low >= 0) & (mean > 0), ratio.sum(axis=0) / total, np.nan)


def _sums(names: Sequence[str]) -> dict[str, Any]:
    """Return every sum as an expression; each is reduced at once, so that an eager frame needs little memory."""
    w = nw.col("_w")
    centred = [nw.col(name) - CENTRE for name in names]
    sums: dict[str, Any] = {"cases": w.len(), "w": w.sum(), "least": w.min()}
    for j, name in enumerate(names):
        x = nw.col(name)
        sums |= {f"x{j}": (centred[j] * w).sum(), f"low{j}": x.min(), f"high{j}": x.max()}
        # x·ln x is 0 at 0, its limit; some engines take the logarithm before they look at the condition.
        sums[f"log{j}"] = (w * x * nw.when(x > 0).then(x).otherwise(1.0).log()).sum()
        sums |= {f"x{j}_{k}": (centred[j] * centred[k] * w).sum() for k in range(j + 1)}
    return sums


def _from_sums(row: Any, k: int) -> Comoments:
    w = float(row["w"])
    shift = np.array([row[f"x{j}"] for j in range(k)], dtype=float) / w
    products = np.array([[row[f"x{max(i, j)}_{min(i, j)}"] for j in range(k)] for i in range(k)], dtype=float) / w
    low, high, logs = (np.array([row[f"{name}{j}"] for j in range(k)], dtype=float) for name in ("low", "high", "log"))
    mean = CENTRE + shift
    with np.errstate(divide="ignore", invalid="ignore"):
        theil = np.where((low >= 0) & (mean > 0), logs / w / mean - np.log(np.maximum(mean, 0)), np.nan)
    return Comoments(int(row["cases"]), mean, products - np.outer(shift, shift), low, high, theil)


def _no_cases(k: int) -> Comoments:
    empty = np.full(k, np.nan)
    return Comoments(0, empty, np.full((k, k), np.nan), empty, empty, empty)
