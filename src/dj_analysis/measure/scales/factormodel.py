"""The simple-structure factor model: its parameters, implied moments, likelihood derivatives."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Literal, Self

import numpy as np

from ...errors import UsageError

Level = Literal["configural", "metric", "scalar"]
Kind = Literal["loading", "intercept"]
LEVELS: tuple[Level, ...] = ("configural", "metric", "scalar")
EQUAL: Mapping[Level, tuple[Kind, ...]] = {"configural": (), "metric": ("loading",), "scalar": ("loading", "intercept")}

SOUND = 1e-9  # smallest eigenvalue of a matrix scaled to a unit diagonal that is not read as rounding noise
RIDGE = 1e-10  # keeps steps finite where the information is nearly singular; it moves no solution


@dataclass(frozen=True)
class Model:
    """Factor structure of the items, with the parameters held equal across groups.

    Every item loads on one factor; factors covary freely; residuals do not covary. Factors are identified by variance, not
    by a marker item: variance 1 and mean 0 in the first group, and in every group as long as loadings (intercepts) are not
    held equal. A factor with two items is identified by its covariances with the other factors. Where there is no other
    one, both loadings are fixed at 1 and the variance is free in every group (a tau-equivalent pair): equality of loadings
    is then assumed, not tested.

    Attributes
    ----------
    structure
        Factor → its items, two or more.
    groups
        Number of groups, in the order of the samples.
    level
        ``configural`` (same structure), ``metric`` (equal loadings), ``scalar`` (equal loadings and intercepts).
    freed
        (kind, item) pairs released from equality: partial invariance (Byrne, Shavelson & Muthén 1989).
    with_means
        False: covariances only, as is usual for one group.
    """

    structure: Mapping[str, tuple[str, ...]]
    groups: int = 1
    level: Level = "configural"
    freed: tuple[tuple[Kind, str], ...] = ()
    with_means: bool = True

    def __post_init__(self) -> None:
        sizes = [len(items) for items in self.structure.values()]
        if len(set(self.items)) != len(self.items) or not sizes or min(sizes) < 2:
            raise UsageError("每个维度至少两题,每题只属一个维度 (at least two items a factor, each on one factor only)")
        for kind in EQUAL[self.level]:
            for factor, items in self.structure.items():
                if all((kind, item) in self.freed for item in items):
                    raise UsageError(f"{factor}: 至少一题保持相等 (at least one item must stay equal): {kind}")

    def at(self, level: Level) -> Self:
        """Return the same model at another level of invariance."""
        return replace(self, level=level)

    def releasing(self, kind: Kind, item: str) -> Self:
        """Return the model with one item's parameter free in every group."""
        return self if (kind, item) in self.freed else replace(self, freed=(*self.freed, (kind, item)))

    @cached_property
    def items(self) -> tuple[str, ...]:
        """Items in the order of the samples' columns."""
        return tuple(item for items in self.structure.values() for item in items)

    @cached_property
    def pattern(self) -> np.ndarray:
        """1 where an item (row) loads on a factor (column)."""
        return np.array([[float(item in items) for items in self.structure.values()] for item in self.items])

    @cached_property
    def pairs(self) -> tuple[np.ndarray, np.ndarray]:
        """Rows and columns of the lower triangle of the factor covariances."""
        return np.tril_indices(len(self.structure))

    @cached_property
    def slices(self) -> Mapping[str, slice]:
        """Positions of each kind of parameter among the q elements of a group."""
        p, m = self.pattern.shape
        sizes = {"loading": p, "residual": p, "covariance": len(self.pairs[0]), "intercept": p, "mean": m}
        ends = np.cumsum(list(sizes.values())).tolist()
        return {kind: slice(end - size, end) for (kind, size), end in zip(sizes.items(), ends, strict=True)}

    @property
    def lone_pair(self) -> bool:
        """Tell whether the model is a single factor with two items."""
        return self.pattern.shape == (2, 1)

    @cached_property
    def shared(self) -> np.ndarray:
        """Elements with one value for all groups, length q."""
        is_shared = np.zeros(self.slices["mean"].stop, dtype=bool)
        for kind in EQUAL[self.level]:
            is_shared[self.slices[kind]] = [(kind, item) not in self.freed for item in self.items]
        is_shared[self.slices["loading"]] &= not self.lone_pair
        is_shared[self.slices["intercept"]] &= self.with_means
        return is_shared

    @cached_property
    def free(self) -> np.ndarray:
        """Elements that are estimated, groups × q."""
        is_free = np.ones((self.groups, self.shared.size), dtype=bool)
        not_first, equal = np.arange(self.groups) > 0, EQUAL[self.level]
        free_variance = not_first & ("loading" in equal) | self.lone_pair
        is_free[:, self.slices["loading"]] = not self.lone_pair
        is_free[:, self.slices["covariance"]] = (self.pairs[0] != self.pairs[1]) | free_variance[:, None]
        is_free[:, self.slices["intercept"]] = self.with_means
        is_free[:, self.slices["mean"]] = (not_first & self.with_means & ("intercept" in equal))[:, None]
        return is_free

    @property
    def df(self) -> int:
        """Degrees of freedom: means and covariances less parameters."""
        p = len(self.items)
        moments = self.groups * (p * (p + 1) // 2 + p * self.with_means)
        return int(moments - self.free[:, ~self.shared].sum() - self.shared.sum())


@dataclass(frozen=True)
class Sample:
    """Sufficient statistics of samples: n (…, G), means (…, G, p), covariances with divisor n, their ln|S|.

    ``definite`` tells for each sample whether the covariances of every group are positive definite.
    """

    n: np.ndarray
    means: np.ndarray
    covariances: np.ndarray
    logdet: np.ndarray
    definite: np.ndarray

    def take(self, rows: np.ndarray) -> Sample:
        """Return some of the samples."""
        return Sample(*(part[rows] for part in self._parts))

    def flat(self) -> Sample:
        """Return the samples along one leading axis."""
        lead = self.definite.ndim
        return Sample(*(part.reshape(-1, *part.shape[lead:]) for part in self._parts))

    @property
    def _parts(self) -> tuple[np.ndarray, ...]:
        return self.n, self.means, self.covariances, self.logdet, self.definite


def sample_of(model: Model, n: Any, means: Any, covariances: Any) -> Sample:
    """Check sufficient statistics against the model; means are ignored where the model has none."""
    s, p, groups = np.asarray(covariances, dtype=float), len(model.items), model.groups
    if s.shape[-3:] != (groups, p, p):
        raise UsageError(f"协方差阵应为 (…, {groups}, {p}, {p}),得到 {s.shape} (groups × items × items)")
    n = np.broadcast_to(np.asarray(n, dtype=float), s.shape[:-2])
    m = np.broadcast_to(np.asarray(means if model.with_means else 0.0, dtype=float), s.shape[:-1])
    variances = np.diagonal(s, axis1=-2, axis2=-1)
    usable = (np.isfinite(s).all(axis=-1) & np.isfinite(m) & (variances > 0)).all(axis=-1)
    sd = np.sqrt(np.where(usable[..., None], variances, 1))
    r = np.where(usable[..., None, None], s, np.eye(p)) / (sd[..., :, None] * sd[..., None, :])
    eigenvalues = np.linalg.eigvalsh(r)
    logdet = np.log(np.maximum(eigenvalues, SOUND)).sum(axis=-1) + 2 * np.log(sd).sum(axis=-1)
    return Sample(n, m, s, logdet, (usable & (eigenvalues[..., 0] > SOUND)).all(axis=-1))


def start(model: Model, sample: Sample) -> np.ndarray:
    """Return starting values, (…, G, q): loadings from the sums of covariances within each factor."""
    weight = (sample.n / sample.n.sum(axis=-1, keepdims=True))[..., None]
    s, factor_of, size = sample.covariances, model.pattern.argmax(axis=1), model.pattern.sum(axis=0)
    pooled = s if model.level == "configural" else (weight[..., None] * s).sum(axis=-3, keepdims=True)
    variance, sd = (np.diagonal(x, axis1=-2, axis2=-1) for x in (s, np.sqrt(np.abs(pooled))))
    within = (pooled * (model.pattern @ model.pattern.T - np.eye(len(factor_of)))).sum(axis=-1)
    total = (within @ model.pattern)[..., factor_of]
    usable = total > 0.01 * ((sd @ model.pattern) ** 2)[..., factor_of]
    loading = within / np.sqrt(np.where(usable, total, 1)) * np.sqrt(size / (size - 1))[factor_of]
    loading = np.where(usable, np.clip(loading, -0.9 * sd, 0.9 * sd), 0.5 * sd)
    sums = np.maximum((np.abs(loading) @ model.pattern), 1e-300)
    cross = model.pattern.T @ pooled @ model.pattern / (sums[..., :, None] * sums[..., None, :])
    covariance = np.clip(0.7 * cross, -0.8, 0.8)[..., model.pairs[0], model.pairs[1]]
    covariance[..., model.pairs[0] == model.pairs[1]] = 1
    residual = np.maximum(variance - loading**2, 0.15 * variance)
    if model.lone_pair:
        covariance, loading = (loading**2).mean(axis=-1, keepdims=True), np.ones_like(loading)
    intercept = (weight * sample.means).sum(axis=-2, keepdims=True)
    equal = model.shared[model.slices["intercept"]]
    elements = np.zeros((*s.shape[:-2], model.shared.size))
    elements[..., model.slices["loading"]] = loading
    elements[..., model.slices["residual"]] = residual
    elements[..., model.slices["covariance"]] = covariance
    elements[..., model.slices["intercept"]] = np.where(equal, intercept, sample.means)
    return elements


def factor_covariances(model: Model, elements: np.ndarray) -> np.ndarray:
    """Return Φ of each group, (…, G, m, m)."""
    m, (rows, columns) = len(model.structure), model.pairs
    phi = np.zeros((*elements.shape[:-1], m, m))
    phi[..., rows, columns] = phi[..., columns, rows] = elements[..., model.slices["covariance"]]
    return phi


def implied_moments(model: Model, elements: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Return Λ, ΛΦ, the implied covariances ΛΦΛ′ + Θ and the implied means ν + Λκ of each group."""
    loadings = elements[..., model.slices["loading"]][..., None] * model.pattern
    loadings_phi = loadings @ factor_covariances(model, elements)
    sigma = loadings_phi @ np.swapaxes(loadings, -1, -2)
    p = np.arange(len(model.items))
    sigma[..., p, p] += elements[..., model.slices["residual"]]
    means = elements[..., model.slices["intercept"]] + (loadings @ elements[..., model.slices["mean"], None])[..., 0]
    return loadings, loadings_phi, sigma, means


def discrepancy(model: Model, sample: Sample, elements: np.ndarray) -> np.ndarray:
    """Return F = ln|Σ| − ln|S| + tr(SΣ⁻¹) − p + (m−μ)′Σ⁻¹(m−μ) of each group; infinite where Σ is not positive definite."""
    with np.errstate(over="ignore", invalid="ignore"):
        *_, sigma, means = implied_moments(model, elements)
    finite = np.isfinite(sigma).all(axis=(-1, -2)) & np.isfinite(means).all(axis=-1)
    eigenvalues, vectors = np.linalg.eigh(np.where(finite[..., None, None], sigma, np.eye(sigma.shape[-1])))
    definite = finite & (eigenvalues[..., 0] > 0)
    eigenvalues = np.where(definite[..., None], eigenvalues, 1)
    gap = np.where(definite[..., None], sample.means - means, 0) * model.with_means
    projected = (vectors * (sample.covariances @ vectors)).sum(axis=-2) + (gap[..., None, :] @ vectors)[..., 0, :] ** 2
    value = (np.log(eigenvalues) + projected / eigenvalues).sum(axis=-1) - sample.logdet - sigma.shape[-1]
    return np.where(definite, value, np.inf)


def derivatives(model: Model, sample: Sample, elements: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the score (…, G, q) and expected information (…, G, q, q) of the log-likelihood of each group.

    Every parameter of Σ moves it by c(uv′ + vu′), every parameter of μ moves that by a column of D. With A = Σ⁻¹,
    d = m − μ and W = A(S + dd′ − Σ)A the score is n(c·u′Wv + D′Ad), and the information is
    n(cc′∘[(U′AU)∘(V′AV) + (U′AV)∘(V′AU)] + D′AD).
    """
    loadings, loadings_phi, sigma, means = implied_moments(model, elements)
    p = len(model.items)
    factor_of, (rows, columns) = model.pattern.argmax(axis=1), model.pairs
    eye, r = np.broadcast_to(np.eye(p), sigma.shape), 2 * p + len(rows)
    u = np.concatenate([eye, eye, loadings[..., rows]], axis=-1)
    v = np.concatenate([loadings_phi[..., factor_of], eye, loadings[..., columns]], axis=-1)
    c = np.concatenate([np.ones(p), np.full(p, 0.5), np.where(rows == columns, 0.5, 1)])
    by_loading = elements[..., model.slices["mean"]][..., None, factor_of] * np.eye(p)
    d = np.concatenate([by_loading, np.zeros((*sigma.shape[:-1], r - p)), eye, loadings], axis=-1) * model.with_means
    a = np.linalg.inv(sigma)
    gap = (sample.means - means)[..., None] * model.with_means
    w = a @ (sample.covariances + gap @ np.swapaxes(gap, -1, -2) - sigma) @ a
    da = np.swapaxes(d, -1, -2) @ a
    score, information = (da @ gap)[..., 0], da @ d
    score[..., :r] += c * (u * (w @ v)).sum(axis=-2)
    ut, av = np.swapaxes(u, -1, -2), a @ v
    uav = ut @ av
    curvature = (ut @ (a @ u)) * (np.swapaxes(v, -1, -2) @ av) + uav * np.swapaxes(uav, -1, -2)
    information[..., :r, :r] += np.outer(c, c) * curvature
    return sample.n[..., None] * score, sample.n[..., None, None] * information


@dataclass(frozen=True)
class Step:
    """A Fisher scoring step, its predicted gain in chi-squared, and the blocks of information it was solved from.

    ``own`` (…, G, o, o) is the information of each group's own parameters, ``carried`` its inverse times that across to the
    shared ones, ``common`` what is left of the information of the shared ones, ``raw``.
    """

    delta: np.ndarray
    gain: np.ndarray
    own: np.ndarray
    carried: np.ndarray
    common: np.ndarray
    raw: np.ndarray

    def identified(self, rows: np.ndarray) -> np.ndarray:
        """Tell for these samples whether the information is positive definite beyond rounding."""
        smallest = _smallest_eigenvalue(self.own[rows], self.own[rows]).min(axis=-1)
        if self.raw.shape[-1]:
            smallest = np.minimum(smallest, _smallest_eigenvalue(self.common[rows], self.raw[rows]))
        return smallest > SOUND


def step_of(model: Model, score: np.ndarray, information: np.ndarray) -> Step:
    """Solve information × step = score; each group's own parameters are eliminated first: cost is linear in groups."""
    o, s = np.flatnonzero(~model.shared), np.flatnonzero(model.shared)
    free = model.free[:, o].astype(float)
    own = information[..., o[:, None], o] * free[:, :, None] * free[:, None, :]
    own[..., np.arange(o.size), np.arange(o.size)] += 1 - free
    own = own * (1 + RIDGE * np.eye(o.size))
    across = information[..., o[:, None], s] * free[:, :, None]
    raw = information[..., s[:, None], s].sum(axis=-3)
    solved = np.linalg.solve(own, np.concatenate([across, (score[..., o] * free)[..., None]], axis=-1))
    carried, across_transposed = solved[..., :-1], np.swapaxes(across, -1, -2)
    common = raw * (1 + RIDGE * np.eye(s.size)) - (across_transposed @ carried).sum(axis=-3)
    reduced_score = (score[..., s, None] - across_transposed @ solved[..., -1:]).sum(axis=-3)
    shared_step = np.linalg.solve(common, reduced_score)
    delta = np.zeros_like(score)
    delta[..., o] = (solved[..., -1:] - carried @ shared_step[..., None, :, :])[..., 0] * free
    delta[..., s] = np.swapaxes(shared_step, -1, -2)
    gain = np.where(model.free, delta * score, 0).sum(axis=(-1, -2))
    return Step(delta, gain, own, carried, common, raw)


def _smallest_eigenvalue(matrix: np.ndarray, scale: np.ndarray) -> np.ndarray:
    sd = np.sqrt(np.diagonal(scale, axis1=-2, axis2=-1))
    return np.linalg.eigvalsh(matrix / (sd[..., :, None] * sd[..., None, :]))[..., 0]
