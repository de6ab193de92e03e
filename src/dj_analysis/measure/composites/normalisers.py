"""Normalisers: indicators in different units brought to one scale, fitted once and applied to later periods.

Every method is a :class:`Normaliser`: ``fit`` learns plain parameters (a dict of lists that can be written as JSON)
from one period, ``apply`` uses them on the same or another period; calling it does both. Values are a vector (one
indicator) or a matrix units × indicators, NaN is missing and stays missing, high is good afterwards. A researcher's own
method is a ``Normaliser`` of two functions, accepted wherever a name is.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from ...errors import UsageError, unknown
from ...spec.tree import Node
from ..ties import below_and_equal

Params = dict[str, Any]

#: Ends of a bounded score.
LOW, HIGH = 0.0, 100.0

#: A spread this small against the values is rounding noise: the column counts as constant.
NOISE = 1e-12


@dataclass(frozen=True)
class Ends:
    """Declared direction, goalposts and target of indicators: arrays (scalars for one indicator).

    ``direction`` is -1 where high is bad; ``minimum`` and ``maximum`` are the goalposts; ``target`` is the value to
    be reached. NaN is not declared.
    """

    direction: Any = 1
    minimum: Any = float("nan")
    maximum: Any = float("nan")
    target: Any = float("nan")

    @classmethod
    def of(cls, leaves: Iterable[Node], targets: Mapping[str, float] | None = None) -> Ends:
        """Take directions and ranges of a tree's leaves, in their order."""
        nodes, aims = list(leaves), targets or {}
        return cls(
            np.array([node.direction for node in nodes], dtype=float),
            np.array([node.minimum for node in nodes], dtype=float),
            np.array([node.maximum for node in nodes], dtype=float),
            np.array([aims.get(node.code, float("nan")) for node in nodes], dtype=float),
        )


@dataclass(frozen=True)
class Normaliser:
    """A normalisation method.

    Attributes
    ----------
    fit
        (values, ends, options…) → parameters: a dict of numbers and lists without NaN (None instead).
    apply
        (values, parameters) → values on the new scale; missing where a value is missing or the indicator was constant.
    ranged
        Whether the values it was learned from end up within 0–100. Values of a later period may leave that range.
    """

    name: str
    fit: Callable[..., Params]
    apply: Callable[[np.ndarray, Mapping[str, Any]], np.ndarray]
    ranged: bool = True

    @property
    def takes(self) -> tuple[str, ...]:
        """Names of the further options of ``fit``."""
        return tuple(inspect.signature(self.fit).parameters)[2:]

    def __call__(self, values: Any, ends: Ends | None = None, **options: Any) -> np.ndarray:
        """Fit on the values and apply to the same values."""
        table = np.asarray(values, dtype=float)
        return self.apply(table, self.fit(table, ends or Ends(), **options))


def normaliser(choice: str | Normaliser) -> Normaliser:
    """Return the normaliser of this name, or the researcher's own unchanged."""
    if isinstance(choice, Normaliser):
        return choice
    if choice not in NORMALISERS:
        raise unknown("标准化方法/normaliser", choice, NORMALISERS)
    return NORMALISERS[choice]


def fit_goalposts(values: np.ndarray, ends: Ends) -> Params:
    """Take the declared ends of the scale (UNDP 1990, human development index); nothing is learned from the data."""
    up = np.asarray(ends.direction) > 0
    return _line(np.where(up, ends.minimum, ends.maximum), np.where(up, ends.maximum, ends.minimum), values)


def fit_min_max(values: np.ndarray, ends: Ends) -> Params:
    """Take the worst and the best value observed (OECD/JRC Handbook 2008, §5.4; COINr ``n_minmax``)."""
    return _line(*_worst_best(values, ends), values)


def fit_distance(values: np.ndarray, ends: Ends) -> Params:
    """Take the worst value observed and the declared target (COINr ``n_dist2targ``).

    The target may be a plan value or that of a benchmark unit (COINr ``n_dist2ref``). Without one the best value observed
    is the aim: the distance to the maximum, which equals min–max. Beyond the target a score is above 100 unless it is cut.
    A target on the wrong side of the worst value gives missing values.
    """
    worst, best = _worst_best(values, ends)
    target = np.where(np.isnan(ends.target), best, ends.target)
    reachable = (target - worst) * np.asarray(ends.direction) > 0
    return _line(worst, np.where(reachable, target, np.nan), values)


def apply_line(values: np.ndarray, params: Mapping[str, Any]) -> np.ndarray:
    """Rescale values linearly, 0 at ``worst`` and 100 at ``best``; values beyond the ends are not cut."""
    worst, best = _array(params["worst"]), _array(params["best"])
    return HIGH * (np.asarray(values, dtype=float) - worst) / (best - worst) + 0.0  # never -0


def fit_z(values: np.ndarray, ends: Ends, mean: float = 50.0, sd: float = 10.0) -> Params:
    """Learn mean and standard deviation (n−1) of each indicator (OECD/JRC Handbook 2008, §5.3; COINr ``n_zscore``).

    Parameters
    ----------
    mean, sd
        Mean and standard deviation of the new scale; 0 and 1 give the textbook z.
    """
    table, count = np.asarray(values, dtype=float), _count(values)
    with np.errstate(invalid="ignore", divide="ignore"):
        centre = np.nansum(table, axis=0) / count
        spread = np.sqrt(np.nansum((table - centre) ** 2, axis=0) / (count - 1))
    spread = np.where((count > 1) & (spread > NOISE * np.abs(centre)), spread, np.nan)
    params = {"centre": centre, "spread": spread * ends.direction, "mean": mean, "sd": sd}
    return {name: _plain(value) for name, value in params.items()}


def apply_z(values: np.ndarray, params: Mapping[str, Any]) -> np.ndarray:
    """Express values in standard deviations from the learned mean, then on the scale asked for."""
    score = (np.asarray(values, dtype=float) - _array(params["centre"])) / _array(params["spread"])
    return params["mean"] + params["sd"] * score


def fit_rank(values: np.ndarray, ends: Ends) -> Params:
    """Store the sorted values of each indicator as the reference of its ranks."""
    table = np.asarray(values, dtype=float)
    signed = table * np.broadcast_to(ends.direction, table.shape[1:])
    if table.ndim == 1:
        return {"direction": _plain(ends.direction), "reference": np.sort(signed[~np.isnan(signed)]).tolist()}
    observed = [column[~np.isnan(column)] for column in signed.T]
    direction = np.broadcast_to(np.asarray(ends.direction, dtype=float), table.shape[1:])
    return {"direction": _plain(direction), "reference": [np.sort(column).tolist() for column in observed]}


def apply_rank(values: np.ndarray, params: Mapping[str, Any]) -> np.ndarray:
    """Return 100·(rank−1)/(n−1): 0 for the lowest reference unit, 100 for the highest; ties share their mean rank.

    COINr ``n_prank``, but with mean ranks for ties. A value that no reference unit has takes the place between its
    neighbours, cut to 0–100; fewer than two reference units give missing values.
    """

    def place(below: np.ndarray, equal: np.ndarray, n: int) -> np.ndarray:
        # below + (equal + 1)/2 is the mean rank of a tied group.
        rank = below + (equal + 1) / 2
        return np.clip(HIGH * (rank - 1) / (n - 1), LOW, HIGH) if n > 1 else np.full(below.shape, np.nan)

    return _placed(values, params, place)


def apply_percentile(values: np.ndarray, params: Mapping[str, Any]) -> np.ndarray:
    """Return percentile ranks: share of reference units below plus half of the equal ones, times 100.

    The "mean" percentile rank (scipy ``percentileofscore(kind="mean")``); it never reaches 0 or 100 within the reference.
    """

    def place(below: np.ndarray, equal: np.ndarray, n: int) -> np.ndarray:
        return HIGH * (below + equal / 2) / n if n else np.full(below.shape, np.nan)

    return _placed(values, params, place)


#: Normalisers by name; a researcher's own fits the same place.
NORMALISERS: dict[str, Normaliser] = {
    "goalposts": Normaliser("goalposts", fit_goalposts, apply_line),
    "min_max": Normaliser("min_max", fit_min_max, apply_line),
    "z": Normaliser("z", fit_z, apply_z, ranged=False),
    "rank": Normaliser("rank", fit_rank, apply_rank),
    "percentile": Normaliser("percentile", fit_rank, apply_percentile),
    "distance_to_target": Normaliser("distance_to_target", fit_distance, apply_line, ranged=False),
}


def _line(worst: Any, best: Any, values: np.ndarray) -> Params:
    """Parameters of a linear scale; NaN where the indicator is constant."""
    shape = np.shape(values)[1:]
    low, high = (np.broadcast_to(np.asarray(end, dtype=float), shape) for end in (worst, best))
    with np.errstate(invalid="ignore"):
        varies = np.abs(high - low) > NOISE * np.maximum(np.abs(high), np.abs(low))
    return {"worst": _plain(np.where(varies, low, np.nan)), "best": _plain(np.where(varies, high, np.nan))}


def _worst_best(values: np.ndarray, ends: Ends) -> tuple[np.ndarray, np.ndarray]:
    table = np.asarray(values, dtype=float)
    observed = _count(table) > 0
    low = np.where(observed, np.min(np.where(np.isnan(table), np.inf, table), axis=0, initial=np.inf), np.nan)
    high = np.where(observed, np.max(np.where(np.isnan(table), -np.inf, table), axis=0, initial=-np.inf), np.nan)
    up = np.asarray(ends.direction) > 0
    return np.where(up, low, high), np.where(up, high, low)


def _placed(values: Any, params: Mapping[str, Any], place: Callable[..., np.ndarray]) -> np.ndarray:
    """Rank each value among the sorted reference values of its indicator."""
    table = np.asarray(values, dtype=float)
    if table.ndim == 1:
        return _placed_column(table * params["direction"], np.asarray(params["reference"], dtype=float), place)
    if table.shape[1] != len(params["reference"]):
        n_indicators, n_fitted = table.shape[1], len(params["reference"])
        raise UsageError(
            f"指标数 {n_indicators} 与所学 {n_fitted} 不同 (as many indicators as were learned are needed)"
        )
    placed = np.empty_like(table)
    for j, (sign, reference) in enumerate(zip(params["direction"], params["reference"], strict=True)):
        placed[:, j] = _placed_column(table[:, j] * sign, np.asarray(reference, dtype=float), place)
    return placed


def _placed_column(column: np.ndarray, reference: np.ndarray, place: Callable[..., np.ndarray]) -> np.ndarray:
    below, equal = below_and_equal(column, reference)
    return np.where(np.isnan(column), np.nan, place(below, equal, len(reference)))


def _count(values: Any) -> np.ndarray:
    return np.sum(~np.isnan(np.asarray(values, dtype=float)), axis=0)


def _array(plain: Any) -> np.ndarray:
    """Read parameters back; None is NaN."""
    return np.asarray(plain, dtype=float)


def _plain(values: Any) -> Any:
    """Numbers and lists that JSON can hold; NaN becomes None."""
    table = np.asarray(values, dtype=float)
    if table.ndim == 0:
        return None if np.isnan(table) else float(table)
    return [None if value != value else value for value in table.tolist()]
