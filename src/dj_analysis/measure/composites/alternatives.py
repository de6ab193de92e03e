"""Alternative choices of a robustness analysis and the design of their random draws."""

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
    """Open choices of a robustness analysis; the declared choice is always included and need not be named.

    Attributes
    ----------
    weights
        ``dirichlet`` (:attr:`concentration`), ``uniform`` (:attr:`spread`; ±25 % is what the JRC's audits take) or ``none``.
    concentration
        Of the Dirichlet distribution around the declared shares p of siblings: standard deviation √(p(1−p)/(concentration+1));
        100 moves a weight of 20 % by 4 points, about as ±25 % to ±35 % does.
    spread
        Largest relative change of a weight.
    normaliser, aggregator, impute
        Alternative methods, each equally likely. Imputation counts only where values are missing.
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
        for scaling in self.normaliser:
            normaliser(scaling)
        for average in self.aggregator:
            aggregator(average)
        for name, value, allowed in (
            *(("impute", imputation, (None, *IMPUTATIONS)) for imputation in self.impute),
            ("weights", self.weights, ("dirichlet", "uniform", "none")),
        ):
            if value not in allowed:
                raise unknown(name, value, allowed)
        if self.concentration < 1 or not 0 <= self.spread <= 1 or not 0 < self.floor < 100:
            raise UsageError("concentration >= 1, 0 <= spread <= 1, 0 < floor < 100 (见 Alternatives)")

    @classmethod
    def fixed(cls) -> Alternatives:
        """Return alternatives without any open choice."""
        return cls(weights="none", normaliser=(), aggregator=(), impute=())


@dataclass(frozen=True)
class Design:
    """Design of the draws: combinations of methods (declared one first), sizes of the factors, sets of weights."""

    ways: tuple[Combination, ...]
    sizes: dict[str, int]
    weights: list[np.ndarray]

    def way(self, picked: dict[str, np.ndarray]) -> np.ndarray:
        """Index of the combination given by the method picked for each factor."""
        number = np.zeros(len(next(iter(picked.values()))), dtype=int)
        for name in ("impute", "normaliser", "aggregator"):
            number = number * self.sizes[name] + picked.get(name, 0)
        return number

    @property
    def open(self) -> list[str]:
        """Factors with more than one alternative."""
        return [name for name, size in self.sizes.items() if size > 1]


def design_of(model: DrawModel, chosen: Alternatives, sets: int, seed: int) -> Design:
    """Combine the alternatives, the declared ones first, and draw sets of weights."""
    base = model.base
    gaps = np.isnan(model.values[:, model.branches[-1].below]).any()
    impute = _first(base.impute, chosen.impute)
    options: dict[str, tuple] = {
        "impute": impute if gaps else impute[:1],
        "normaliser": _first(base.normaliser, chosen.normaliser),
        "aggregator": _first(base.aggregator, chosen.aggregator),
    }
    ways = tuple(
        Combination(i, n, a) for i in options["impute"] for n in options["normaliser"] for a in options["aggregator"]
    )
    amount = chosen.concentration if chosen.weights == "dirichlet" else chosen.spread
    weights_vary = chosen.weights != "none" and any(len(branch.children) > 1 for branch in model.branches)
    rng = np.random.default_rng([seed, 1])
    weights = drawn_weights(model.branches, chosen.weights, amount, sets if weights_vary else 1, rng)
    sizes = {"weights": sets if weights_vary else 1} | {name: len(values) for name, values in options.items()}
    return Design(ways, sizes, weights)


def _first(declared: Any, others: tuple) -> tuple:
    return (declared, *(other for other in dict.fromkeys(others) if other != declared))
