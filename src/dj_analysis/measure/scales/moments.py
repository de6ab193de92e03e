"""Additive moments of item answers, the input of reliability, factor and agreement analysis."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, Self

import numpy as np

from ...errors import UsageError, unknown
from ..unitsums import variance_factor
from .item_answers import BLOCK

Missing = Literal["listwise", "pairwise", "median"]
MISSING: tuple[Missing, ...] = ("listwise", "pairwise", "median")

MANY = 32  # items from which products in single precision save more time than the change costs
_WHOLE = 2**24  # up to here whole numbers are exact in single precision


@dataclass(frozen=True)
class Covariances:
    """Means, covariances and correlations of items under one missing-answer policy.

    Attributes
    ----------
    items
        Item codes, k of them.
    mean, covariance, correlation
        Length k and k × k, in answer units; NaN where an item has no answers, a correlation also where it has no variance.
    n
        Persons behind every cell: complete rows, the smallest pair, or all rows (listwise, pairwise, median).
    effective
        The effective number of those persons, (Σw)²/Σw² (Kish 1965); n without weights.
    """

    items: tuple[str, ...]
    mean: np.ndarray
    covariance: np.ndarray
    correlation: np.ndarray
    n: float
    effective: float

    def scaled(self, factors: np.ndarray) -> Covariances:
        """Return the covariances of items multiplied by these factors; correlations stay."""
        covariance = self.covariance * np.outer(factors, factors)
        return replace(self, mean=self.mean * factors, covariance=covariance)


@dataclass(frozen=True)
class Moments:
    """Sums over persons of the answers to k items; sums of files, blocks and units can be added.

    Whole-number answers without weights give sums equal to the last bit for blocks of any size. Confidential.

    Attributes
    ----------
    items
        Item codes, k of them.
    people
        Number, Σw and Σw² of all rows, answered or not.
    complete
        Over rows with every item answered: ``n``, ``w``, ``ww`` (numbers), ``x`` = Σwx (k), ``xx`` = Σwx_jx_k (k × k).
    pairs
        Over rows with items j and k answered, each k × k: ``n``, ``w``, ``ww``, ``x`` = Σwx_j, ``xx`` = Σwx_jx_k,
        ``q`` = Σwx_j². Empty where only complete rows were summed; then only ``listwise`` can be asked.
    """

    items: tuple[str, ...]
    people: np.ndarray
    complete: Mapping[str, np.ndarray]
    pairs: Mapping[str, np.ndarray]

    def __add__(self, other: Self) -> Moments:
        """Add the sums of another block of the same items."""
        if self.items != other.items:
            raise ValueError(f"moments of {self.items} and of {other.items} do not add")
        complete = {name: value + other.complete[name] for name, value in self.complete.items()}
        pairs = {name: value + other.pairs[name] for name, value in self.pairs.items()}
        return Moments(self.items, self.people + other.people, complete, pairs)

    def covariances(self, missing: Missing = "listwise", medians: np.ndarray | None = None) -> Covariances:
        """Compute means, covariances and correlations from the sums.

        With weights a covariance is Σw(x−x̄)(y−ȳ)/(Σw − Σw²/Σw), which does not depend on the scale of the weights and is
        the textbook one where they are equal.

        Parameters
        ----------
        missing
            ``listwise``: rows with every item answered. ``pairwise``: for each pair the rows that answered both; a
            variance over all answers to its item, a correlation with the variances of its own pair (as R's ``cov`` and
            ``cor`` with ``use="pairwise"``). ``median``: a missing answer counts as the item's median (as
            ``psych::scoreItems``), which ``medians`` must give.
        """
        if missing == "listwise":
            return self._listwise()
        if missing in MISSING and not self.pairs:
            raise UsageError(f"只有完整答卷的合计，不能按 {missing} (only complete rows were summed: listwise alone)")
        if missing == "pairwise":
            return self._pairwise()
        if missing == "median" and medians is not None:
            return self._imputed(medians)
        raise unknown("缺失处理/missing", missing, MISSING)

    def _listwise(self) -> Covariances:
        n, w, ww = (float(self.complete[name]) for name in ("n", "w", "ww"))
        return _covariances(self.items, n, w, ww, self.complete["x"], self.complete["xx"])

    def _imputed(self, medians: np.ndarray) -> Covariances:
        """Put the median where an answer is missing: Σ(x+(1−m)μ)_j(x+(1−m)μ)_k from the pairwise sums."""
        n, w, ww = self.people
        pairs, count = self.pairs, np.diag(self.pairs["w"])
        total = np.diag(pairs["x"])
        only_j = total[:, None] - pairs["x"]  # Σwx_j over rows that left k out
        neither = w - count[:, None] - count[None, :] + pairs["w"]  # weight of rows that left out both
        xx = (
            pairs["xx"] + only_j * medians[None, :] + only_j.T * medians[:, None] + neither * np.outer(medians, medians)
        )
        return _covariances(self.items, n, w, ww, total + (w - count) * medians, xx)

    def _pairwise(self) -> Covariances:
        n, w, ww, x, xx, q = (self.pairs[name] for name in ("n", "w", "ww", "x", "xx", "q"))
        with np.errstate(divide="ignore", invalid="ignore"):
            mean = x / w
            factor = variance_factor(w, ww)
            covariance = (xx / w - mean * mean.T) * factor
            variance = (q / w - mean**2) * factor
            variance = np.where(_flat(variance, mean, n), 0.0, variance)
            correlation = np.where(variance * variance.T > 0, covariance / np.sqrt(variance * variance.T), np.nan)
            effective = w**2 / ww
        np.fill_diagonal(covariance, np.diag(variance))
        rarest = np.unravel_index(np.argmin(n), n.shape) if n.size else None
        persons = (float(n[rarest]), float(effective[rarest])) if rarest is not None else (0.0, 0.0)
        return Covariances(self.items, np.diag(mean).copy(), covariance, correlation, *persons)


def _covariances(items: tuple[str, ...], n: float, w: float, ww: float, x: np.ndarray, xx: np.ndarray) -> Covariances:
    if n < 2 or not w > 0:
        undefined = np.full((len(items), len(items)), np.nan)
        mean = x / w if w > 0 else np.full(len(items), np.nan)
        return Covariances(items, mean, undefined, undefined, n, n)
    mean = x / w
    covariance = (xx / w - np.outer(mean, mean)) * variance_factor(w, ww)
    flat = _flat(np.diag(covariance), mean, n)
    covariance[flat, :], covariance[:, flat] = 0.0, 0.0
    sd = np.sqrt(np.diag(covariance))
    with np.errstate(divide="ignore", invalid="ignore"):
        correlation = covariance / np.outer(sd, sd)
    return Covariances(items, mean, covariance, correlation, n, w**2 / ww)


def _flat(variance: np.ndarray, mean: np.ndarray, n: Any) -> np.ndarray:
    """Tell which variances are only rounding noise, of answers that are all equal."""
    return variance <= np.maximum(1e-12, np.nan_to_num(mean) ** 2 * n * np.finfo(float).eps)


def moments_of(
    x: np.ndarray, weights: np.ndarray | None = None, items: Sequence[str] = (), *, pairs: bool = True
) -> Moments:
    """Return the moments of a block of answers.

    Parameters
    ----------
    x
        Persons × items; NaN is missing.
    weights
        Weights of the persons, >= 0; None for equal ones. Who has weight 0 is not counted.
    items
        Item codes; by default ``1``, ``2`` ….
    pairs
        Sum the answers to every two items as well; without, only ``listwise`` covariances can be had, in less time.

    Returns
    -------
    Moments
        Products are taken in single precision only where they are whole numbers that stay exact (below 2²⁴ a block).
    """
    x = np.asarray(x) if np.asarray(x).dtype == np.float32 else np.asarray(x, dtype=float)
    names = tuple(items) or tuple(str(j + 1) for j in range(x.shape[1]))
    total = _block_sums(x[:0], None if weights is None else weights[:0], names, pairs)
    for start in range(0, len(x), BLOCK):
        block, w = x[start : start + BLOCK], None
        if weights is not None:
            w = np.asarray(weights[start : start + BLOCK], float)
            block, w = block[w > 0], w[w > 0]
        total = total + _block_sums(block, w, names, pairs)
    return total


def _block_sums(x: np.ndarray, w: np.ndarray | None, items: tuple[str, ...], pairs: bool) -> Moments:
    n = float(len(x))
    people = np.array([n, n, n] if w is None else [n, w.sum(), (w**2).sum()])
    no_missing = not np.isnan(np.ones(len(x), x.dtype) @ x).any()
    if not pairs:
        rows = slice(None) if no_missing else ~np.isnan(x @ np.ones(x.shape[1], x.dtype))
        return Moments(items, people, _complete(_exact(x[rows], w), None if w is None else w[rows]), {})
    answered = None if no_missing else x == x
    filled = _exact(x if answered is None else np.where(answered, x, x.dtype.type(0)), w)
    rows = slice(None) if answered is None else answered.all(axis=1)
    complete = _complete(filled[rows], None if w is None else w[rows])
    return Moments(items, people, complete, _full_pairs(complete) if answered is None else _pairs(filled, answered, w))


def _exact(x: np.ndarray, w: np.ndarray | None) -> np.ndarray:
    """Convert to single precision where every sum of products stays exact and there are enough items to gain speed.

    With weights sums of products are no whole numbers: double precision.
    """
    if w is not None:
        return x.astype(float, copy=False)
    if x.dtype == np.float64 and x.shape[1] < MANY:
        return x
    largest = float(np.abs(x).max()) if x.size else 0.0
    exact = largest**2 * len(x) < _WHOLE and bool((x == np.rint(x)).all())
    return x.astype(np.float32 if exact else float, copy=False)


def _complete(x: np.ndarray, w: np.ndarray | None) -> dict[str, np.ndarray]:
    weighted, n = (x, float(len(x))) if w is None else (x * w[:, None], float(len(x)))
    mass = (n, n) if w is None else (w.sum(), (w**2).sum())
    sums = {"n": np.array(n), "w": np.array(mass[0]), "ww": np.array(mass[1])}
    return sums | {"x": (np.ones(len(x), x.dtype) @ weighted).astype(float), "xx": (x.T @ weighted).astype(float)}


def _pairs(x: np.ndarray, answered: np.ndarray, w: np.ndarray | None) -> dict[str, np.ndarray]:
    m = answered.astype(x.dtype)
    mw, xw = (m, x) if w is None else (m * w[:, None], x * w[:, None])
    n = m.T @ m
    weight_sums = (n, n) if w is None else (m.T @ mw, mw.T @ mw)
    sums = {"n": n, "w": weight_sums[0], "ww": weight_sums[1], "x": x.T @ mw, "xx": x.T @ xw, "q": (x * x).T @ mw}
    return {name: value.astype(float) for name, value in sums.items()}


def _full_pairs(complete: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Pairwise sums of rows without a missing answer: those of complete rows, for every pair."""
    k = len(complete["x"])
    sums = {name: np.full((k, k), float(complete[name])) for name in ("n", "w", "ww")}
    rows = {"x": complete["x"], "q": np.diag(complete["xx"])}
    return sums | {"xx": complete["xx"]} | {name: np.repeat(v[:, None], k, axis=1) for name, v in rows.items()}
