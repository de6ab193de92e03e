"""How the children of a node move together: the few sums from which every data-driven weight follows."""

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
    """Means, spreads and products of k columns over the rows that have all of them.

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
        """Which columns are not constant but for rounding."""
        return self.high - self.low > NOISE * np.maximum(np.abs(self.low), np.abs(self.high))

    @property
    def sd(self) -> np.ndarray:
        """Standard deviations; 0 where a column is constant."""
        return np.where(self.varies, np.sqrt(np.maximum(np.diag(self.covariance), 0)), 0.0)

    @property
    def correlation(self) -> np.ndarray:
        """Correlations, k × k; 0 beside the diagonal where a column is constant."""
        sd = np.where(self.sd > 0, self.sd, np.inf)
        made = self.covariance / np.outer(sd, sd)
        np.fill_diagonal(made, 1.0)
        return np.clip(made, -1, 1)


def comoments(values: Any, weights: Any = None, *, products: bool = True, logs: bool = True) -> Comoments:
    """Take the moments of a matrix, rows × columns; rows with a missing value are left out.

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
        known = ~np.isnan(table).any(axis=1)
        table, w = table[known], None if w is None else w[known]
    total = float(len(table)) if w is None else float(w.sum())
    if not len(table) or not total > 0:
        return _nothing(table.shape[1])
    mean = _averages(table, w, total)
    covariance = np.full((len(mean), len(mean)), np.nan)
    if products:
        off = table - mean
        covariance = off.T @ (off if w is None else off * w[:, None]) / total
    low, high = table.min(axis=0), table.max(axis=0)
    theil = _theil(table, w, total, mean, low) if logs else np.full(len(mean), np.nan)
    return Comoments(len(table), mean, covariance, low, high, theil)


def comoments_of(frame: Any, columns: Mapping[str, Any], weight: str | None = None) -> Comoments:
    """Take the moments of columns of any dataframe by its own engine; persons leave it as sums only.

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
    given = nw.col(weight).cast(nw.Float64) if weight else nw.lit(1.0)
    made = frame.select(
        *(expression.cast(nw.Float64).alias(name) for name, expression in zip(names, columns.values(), strict=True)),
        given.alias("_w"),
    )
    made = made.filter(*(~nw.col(name).is_null() for name in names), ~nw.col("_w").is_null())
    sums = made.select(**_sums(names))
    row = collected(sums).to_pandas().iloc[0]
    if not row["cases"]:
        return _nothing(len(names))
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
    """Lay out every sum as an expression; each is reduced at once, so that an eager frame needs little room."""
    w = nw.col("_w")
    off = [nw.col(name) - CENTRE for name in names]
    made: dict[str, Any] = {"cases": w.len(), "w": w.sum(), "least": w.min()}
    for j, name in enumerate(names):
        x = nw.col(name)
        made |= {f"x{j}": (off[j] * w).sum(), f"low{j}": x.min(), f"high{j}": x.max()}
        # x·ln x is 0 at 0, its limit; some engines take the logarithm before they look at the condition.
        made[f"log{j}"] = (w * x * nw.when(x > 0).then(x).otherwise(1.0).log()).sum()
        made |= {f"x{j}_{k}": (off[j] * off[k] * w).sum() for k in range(j + 1)}
    return made


def _from_sums(row: Any, k: int) -> Comoments:
    w = float(row["w"])
    shift = np.array([row[f"x{j}"] for j in range(k)], dtype=float) / w
    products = np.array([[row[f"x{max(i, j)}_{min(i, j)}"] for j in range(k)] for i in range(k)], dtype=float) / w
    low, high, logs = (np.array([row[f"{name}{j}"] for j in range(k)], dtype=float) for name in ("low", "high", "log"))
    mean = CENTRE + shift
    with np.errstate(divide="ignore", invalid="ignore"):
        theil = np.where((low >= 0) & (mean > 0), logs / w / mean - np.log(np.maximum(mean, 0)), np.nan)
    return Comoments(int(row["cases"]), mean, products - np.outer(shift, shift), low, high, theil)


def _nothing(k: int) -> Comoments:
    empty = np.full(k, np.nan)
    return Comoments(0, empty, np.full((k, k), np.nan), empty, empty, empty)
