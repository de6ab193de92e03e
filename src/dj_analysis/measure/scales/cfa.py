"""Confirmatory factor analysis of one or several groups by maximum likelihood, on means and covariances."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cache, cached_property
from typing import Any

import numpy as np
from scipy import stats
from threadpoolctl import ThreadpoolController

from .factormodel import (
    Kind,
    Model,
    Sample,
    derivatives,
    discrepancy,
    factor_covariances,
    implied_moments,
    sample_of,
    start,
    step_of,
)

ITERATIONS = 200
HALVINGS = 30
PRECISION = 1e-9  # of chi-squared: what one more step would still gain

SINGULAR = "covariances_items_not_positive_definite"
NOT_CONVERGED = "model_did_not_converge"
NOT_IDENTIFIED = "model_not_identified"
IMPROPER = "improper_solution_negative_residual_variance"


@dataclass(frozen=True)
class Fit:
    """A fitted model; leading axes of the samples, if there are any, are those of every array.

    Attributes
    ----------
    chi2, df, p
        Σ n·F (lavaan's ``normal`` likelihood: divisor n), its degrees of freedom, its p-value. NaN where ``reason``
        says why nothing was estimated.
    cfi, tli, rmsea, srmr
        Bentler 1990; Tucker & Lewis 1973; Steiger 1998 (times √G for G groups); Bentler's SRMR, with means where the
        model has them, averaged over groups by n.
    baseline_chi2, baseline_df
        Independence model: variances and means free in every group.
    improper
        A negative residual variance, or factor covariances that are not positive definite: chi-squared holds, single
        parameters are not to be read.
    loadings, residuals, intercepts
        Groups × items, in units of the items.
    standardised
        Completely standardised loadings, groups × items.
    covariances, means
        Of the factors, groups × factors (× factors).
    elements
        All parameters of each group as the likelihood has them.
    """

    model: Model
    sample: Sample = field(repr=False)
    elements: np.ndarray = field(repr=False)
    reason: Any
    chi2: Any
    df: int
    p: Any
    cfi: Any
    tli: Any
    rmsea: Any
    srmr: Any
    baseline_chi2: Any
    baseline_df: int
    improper: Any
    loadings: np.ndarray = field(repr=False)
    residuals: np.ndarray = field(repr=False)
    intercepts: np.ndarray = field(repr=False)
    standardised: np.ndarray = field(repr=False)
    covariances: np.ndarray = field(repr=False)
    means: np.ndarray = field(repr=False)

    @cached_property
    def slope(self) -> tuple[np.ndarray, np.ndarray]:
        """Score and expected information of each group's elements at the solution."""
        return derivatives(self.model, self.sample, self.elements)


def fit(model: Model, n: Any, means: Any, covariances: Any) -> Fit:
    """Fit the model by maximum likelihood (Jöreskog 1971; with means Sörbom 1974).

    Minimises Σ n·F over groups by Fisher scoring with analytic derivatives and step halving, until one more step would gain
    less than 10⁻⁹ of chi-squared. Residual variances are not bounded (Savalei & Kolenikov 2008).

    Parameters
    ----------
    model
        Structure and constraints.
    n
        People by group, (…, G). Where weights are unequal an effective number makes tests and intervals an approximation:
        weighted answers have no exact likelihood.
    means
        (…, G, p); not read where the model has no means.
    covariances
        (…, G, p, p) with divisor n. Leading axes hold samples that are fitted at once.

    Returns
    -------
    Fit
        What could not be estimated is NaN with a ``reason``: singular covariances, no convergence, no identification.
    """
    sample = sample_of(model, n, means, covariances)
    flat, lead = sample.flat(), sample.definite.shape
    elements = np.full((flat.definite.size, *model.free.shape), np.nan)
    reason = np.where(flat.definite, "", SINGULAR).astype(object)
    fittable = np.flatnonzero(flat.definite)
    with _one_thread():
        if fittable.size:
            elements[fittable], reason[fittable] = _maximised(model, flat.take(fittable))
        elements[reason != ""] = np.nan
        return _fit_measures(model, sample, elements.reshape(*lead, *model.free.shape), reason.reshape(lead))


@dataclass(frozen=True)
class FreedParameter:
    """Score test of one item's equality across groups, with the parameter of each group once it is free.

    ``chi2``, ``df``, ``p``: score (Lagrange multiplier) test of its equality. ``estimates`` (…, G) and ``covariance``
    (…, G, G): the parameter of each group after one scoring step from the constrained solution; the maximum-likelihood
    ones where it is free already (df 0).
    """

    chi2: Any
    df: int
    p: Any
    estimates: np.ndarray
    covariance: np.ndarray


def release(fitted: Fit, kind: Kind, item: str) -> FreedParameter:
    """Test one equality across groups and estimate each group's own parameter without refitting (Sörbom 1989).

    Uses the expected information, as ``lavTestScore`` of lavaan does.
    """
    released = fitted.model.releasing(kind, item)
    element = released.slices[kind].start + released.items.index(item)
    j = int(np.flatnonzero(~released.shared).searchsorted(element))
    with _one_thread():
        step = step_of(released, *fitted.slope)
        unit = np.eye(step.own.shape[-1])[:, [j]]
        alone = np.linalg.solve(step.own, np.broadcast_to(unit, (*step.own.shape[:-1], 1)))[..., j, 0]
        through = step.carried[..., j, :]
        covariance = through @ np.linalg.solve(step.common, np.swapaxes(through, -1, -2))
    df = fitted.df - released.df
    return FreedParameter(
        step.gain, df, _p_value(step.gain, df), (fitted.elements + step.delta)[..., element],
        covariance + alone[..., None] * np.eye(released.groups),
    )  # fmt: skip


def _one_thread() -> Any:
    """Limit linear algebra to one thread: on matrices this small, synchronising threads costs more than it saves."""
    return _pools().limit(limits=1, user_api="blas")


@cache
def _pools() -> ThreadpoolController:
    return ThreadpoolController()


def _maximised(model: Model, sample: Sample) -> tuple[np.ndarray, np.ndarray]:
    """Return elements (samples × G × q) at the maximum, and for each sample the reason there is none, or ""."""
    elements, active = start(model, sample), np.arange(len(sample.n))
    reason = np.full(len(sample.n), NOT_CONVERGED, dtype=object)
    value = _loss(model, sample, elements)
    for _ in range(ITERATIONS):
        part, current = sample.take(active), elements[active]
        step = step_of(model, *derivatives(model, part, current))
        done = step.gain < PRECISION
        if done.any():
            elements[active[done]] += step.delta[done]
            reason[active[done]] = np.where(step.identified(done), "", NOT_IDENTIFIED)
        active, moved, delta = active[~done], np.ones(int((~done).sum()), dtype=bool), step.delta[~done]
        if active.size:
            elements[active], value[active], moved = _halved_step(
                model, part.take(~done), current[~done], delta, value[active]
            )
        active = active[moved]
        if not active.size:
            break
    return elements, reason


def _loss(model: Model, sample: Sample, elements: np.ndarray) -> np.ndarray:
    """Mean of F over people, by sample."""
    return (sample.n * discrepancy(model, sample, elements)).sum(axis=-1) / sample.n.sum(axis=-1)


def _halved_step(
    model: Model, sample: Sample, current: np.ndarray, delta: np.ndarray, value: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Take the step, halved until the loss does not rise: the new elements, their loss, which samples moved."""
    allowed, size = value + 1e-13 * (1 + np.abs(value)), np.ones(len(value))
    for _ in range(HALVINGS):
        proposed = current + size[:, None, None] * delta
        loss = _loss(model, sample, proposed)
        moved = loss <= allowed
        if moved.all():
            break
        size = np.where(moved, size, size / 2)
    return np.where(moved[:, None, None], proposed, current), np.where(moved, loss, value), moved


def _fit_measures(model: Model, sample: Sample, elements: np.ndarray, reason: np.ndarray) -> Fit:
    """Compute the measures of fit and unpack the parameters."""
    solved = reason == ""
    filled, s = np.where(solved[..., None, None], elements, _independence_elements(model)), sample.covariances
    f = discrepancy(model, sample, filled)
    *_, sigma, mu = implied_moments(model, filled)
    phi, df, total = factor_covariances(model, elements), model.df, sample.n.sum(axis=-1)
    with np.errstate(invalid="ignore", divide="ignore"):
        variances = np.diagonal(s, axis1=-2, axis2=-1)
        chi2 = np.where(solved, np.maximum((sample.n * f).sum(axis=-1), 0), np.nan)
        independent = (np.log(variances).sum(axis=-1) - sample.logdet) * sample.n
        baseline = np.where(solved, independent.sum(axis=-1), np.nan)
        item_sd, factor_sd = (np.sqrt(np.diagonal(x, axis1=-2, axis2=-1)) for x in (np.abs(sigma), np.abs(phi)))
        loadings = elements[..., model.slices["loading"]]
        standardised = loadings * (factor_sd @ model.pattern.T) / item_sd
        srmr = _srmr(model, sample, sigma, mu)
    baseline_df = model.groups * len(model.items) * (len(model.items) - 1) // 2
    negative_residual = (elements[..., model.slices["residual"]] < 0).any(axis=(-1, -2))
    not_definite = np.linalg.eigvalsh(factor_covariances(model, filled))[..., 0].min(axis=-1) <= 0
    excess, baseline_excess = np.maximum(chi2 - df, 0), np.maximum(baseline - baseline_df, 0)
    worst, ratio = np.maximum(excess, baseline_excess), baseline / baseline_df
    return Fit(
        model, sample, elements, reason[()], chi2[()], df, _p_value(chi2, df),
        cfi=(1 - np.divide(excess, worst, out=np.where(solved, 0.0, np.nan), where=worst > 0))[()],
        tli=((ratio - chi2 / df) / (ratio - 1) if df else np.where(solved, 1.0, np.nan))[()],
        rmsea=(np.sqrt(excess / (total * df) * model.groups) if df else np.where(solved, 0.0, np.nan))[()],
        srmr=np.where(solved, srmr, np.nan)[()], baseline_chi2=baseline[()], baseline_df=baseline_df,
        improper=(solved & (negative_residual | not_definite))[()], loadings=loadings,
        residuals=elements[..., model.slices["residual"]], intercepts=elements[..., model.slices["intercept"]],
        standardised=standardised, covariances=phi, means=elements[..., model.slices["mean"]],
    )  # fmt: skip


def _srmr(model: Model, sample: Sample, sigma: np.ndarray, mu: np.ndarray) -> np.ndarray:
    """Root mean square of residuals divided by observed standard deviations (Bentler 1995), the diagonal included."""
    s, p = sample.covariances, len(model.items)
    spread = np.sqrt(np.diagonal(s, axis1=-2, axis2=-1))
    rows, columns = np.tril_indices(p)
    residual = ((s - sigma) / (spread[..., :, None] * spread[..., None, :]))[..., rows, columns]
    squares, count = (residual**2).sum(axis=-1), len(rows)
    if model.with_means:
        squares, count = squares + (((sample.means - mu) / spread) ** 2).sum(axis=-1), count + p
    return (sample.n * np.sqrt(squares / count)).sum(axis=-1) / sample.n.sum(axis=-1)


def _independence_elements(model: Model) -> np.ndarray:
    """Elements of the independence model, placeholders that keep the shape of arrays where nothing was estimated."""
    elements = np.zeros(model.free.shape)
    elements[:, model.slices["residual"]] = 1
    elements[:, model.slices["covariance"]] = model.pairs[0] == model.pairs[1]
    return elements


def _p_value(chi2: Any, df: int) -> Any:
    return stats.chi2.sf(chi2, df) if df else np.full(np.shape(chi2), np.nan)[()]
