"""Which choices are left open, and how they are drawn."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from ...errors import UsageError, unknown
from .aggregators import Aggregator, aggregator
from .index_draws import Combination, DrawModel, drawn_weights
from .normalisers import Normaliser, normaliser
from .preparing import IMPUTATIONS, Imputation


@dataclass(frozen=True)
class Alternatives:
    """Which choices are left open; the declared one is always among them and need not be named.

    Attributes
    ----------
    weights
        ``dirichlet`` (:attr:`concentration`), ``uniform`` (:attr:`spread`; ±25 % is what the JRC's audits take) or ``none``.
    concentration
        Of the Dirichlet distribution around the declared shares p of siblings: standard deviation √(p(1−p)/(concentration+1));
        100 moves a weight of 20 % by 4 points, about as ±25 % to ±35 % does.
    spread
        Largest part of itself by which a weight moves.
    normaliser, aggregator, impute
        Ways that might have been taken as well, each as likely. Imputation counts only where values are missing.
    floor
        Where a geometric or harmonic mean meets values of 0 or below, the scale is squeezed to floor–100.
    """

    weights: Literal["dirichlet", "uniform", "none"] = "dirichlet"
    concentration: float = 100.0
    spread: float = 0.25
    normaliser: tuple[str | Normaliser, ...] = ("min_max", "z", "rank")
    aggregator: tuple[str | Aggregator, ...] = ("geometric",)
    impute: tuple[Imputation | None, ...] = (None, "mean")
    floor: float = 1.0

    def __post_init__(self) -> None:
        for way in self.normaliser:
            normaliser(way)
        for mean in self.aggregator:
            aggregator(mean)
        for name, found, valid in (
            *(("impute", how, (None, *IMPUTATIONS)) for how in self.impute),
            ("weights", self.weights, ("dirichlet", "uniform", "none")),
        ):
            if found not in valid:
                raise unknown(name, found, valid)
        if self.concentration < 1 or not 0 <= self.spread <= 1 or not 0 < self.floor < 100:
            raise UsageError("concentration >= 1, 0 <= spread <= 1, 0 < floor < 100 (见 Alternatives)")

    @classmethod
    def fixed(cls) -> Alternatives:
        """Nothing left open."""
        return cls(weights="none", normaliser=(), aggregator=(), impute=())


@dataclass(frozen=True)
class Design:
    """The open ways, the declared one first; sets of weights; how many ways each factor has."""

    ways: tuple[Combination, ...]
    sizes: dict[str, int]
    weights: list[np.ndarray]

    def way(self, picked: dict[str, np.ndarray]) -> np.ndarray:
        """Number of the combination of the ways picked for each factor."""
        number = np.zeros(len(next(iter(picked.values()))), dtype=int)
        for name in ("impute", "normaliser", "aggregator"):
            number = number * self.sizes[name] + picked.get(name, 0)
        return number

    @property
    def open(self) -> list[str]:
        """Factors that have more than one way."""
        return [name for name, size in self.sizes.items() if size > 1]


def design_of(model: DrawModel, chosen: Alternatives, sets: int, seed: int) -> Design:
    """Put the open ways together, the declared ones first, and draw sets of weights."""
    base = model.base
    gaps = np.isnan(model.values[:, model.branches[-1].below]).any()
    impute = _first(base.impute, chosen.impute)
    lists: dict[str, tuple] = {
        "impute": impute if gaps else impute[:1],
        "normaliser": _first(base.normaliser, chosen.normaliser),
        "aggregator": _first(base.aggregator, chosen.aggregator),
    }
    ways = tuple(
        Combination(i, n, a) for i in lists["impute"] for n in lists["normaliser"] for a in lists["aggregator"]
    )
    amount = chosen.concentration if chosen.weights == "dirichlet" else chosen.spread
    several = chosen.weights != "none" and any(len(branch.children) > 1 for branch in model.branches)
    rng = np.random.default_rng([seed, 1])
    weights = drawn_weights(model.branches, chosen.weights, amount, sets if several else 1, rng)
    sizes = {"weights": sets if several else 1} | {name: len(found) for name, found in lists.items()}
    return Design(ways, sizes, weights)


def _first(declared: Any, others: tuple) -> tuple:
    return (declared, *(other for other in dict.fromkeys(others) if other != declared))
