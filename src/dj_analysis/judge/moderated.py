"""Chance of a difference of two means, one of many that are looked at together.

Student's t of one unit near the end of the scale is too often extreme on one side: who by chance answer high also scatter
little. One test hardly shows it; of a thousand units without any difference .25 of waves then have a false statement where
.10 are claimed (.90 close to the end of the scale).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from scipy import special

from ..measure.inference import uncertainty
from ..measure.inference.overlapping import PairCovariance, degrees_of_freedom, variance_of_difference
from ..measure.inference.tails import Part, upper_tail
from ..measure.inference.unitlaws import MOST_SKEWED, UnitLaws, unit_laws
from ..spec import reasons


@dataclass(frozen=True)
class LinkedLaws:
    """What is learned from all units about people who are in both means; arrays units × codes.

    ``pairs``: their effective number, 0 where none are used; ``shares``: of the people of either mean, first and second;
    ``covariance``: of the means; ``changes``: laws of half a linked person's change.
    """

    pairs: np.ndarray
    shares: tuple[np.ndarray, np.ndarray]
    covariance: np.ndarray
    changes: UnitLaws


def linked_laws(
    pairs: PairCovariance, sums: Mapping[str, np.ndarray], one: UnitLaws, other: UnitLaws, people: tuple[np.ndarray, np.ndarray],
    kept: np.ndarray,
) -> LinkedLaws:  # fmt: skip
    """Learn how linked people change.

    The variance of a linked person's change is moderated as that of a score is
    (:func:`~dj_analysis.measure.inference.unitlaws.unit_laws`), and with it the covariance: σ₁₀ = (σ₁² + σ₀² − σ_d²)/2. A correlation
    pooled over units would be wrong where some units change more than others. With too few units to learn from each has its own.

    Parameters
    ----------
    pairs
        What the pairs of each unit tell.
    sums
        Their sums (:func:`~dj_analysis.measure.pairing.paired_sums`).
    one, other
        Laws of the later and the earlier mean.
    people
        Effective numbers of all respondents, now and before.
    kept
        Units that may be learned from.
    """
    used = pairs.n > 0
    counted = {name: np.where(used, values, 0.0) for name, values in sums.items()}
    with np.errstate(divide="ignore", invalid="ignore"):
        changes = unit_laws(counted, uncertainty.means(counted), kept)
        of_change = 4 * changes.variance * counted["w"] ** 2 / counted["ww"]
        of_scores = one.variance / one.effect * people[0] + other.variance / other.effect * people[1]
        learned = pairs.effective / (people[0] * people[1]) * (of_scores - of_change) / 2
        covariance = np.where(changes.learned, learned, pairs.covariance)
        shares = [np.where(used, np.minimum(pairs.effective / n, 1), 0.0) for n in people]
    return LinkedLaws(pairs.effective, (shares[0], shares[1]), np.where(used, covariance, 0.0), changes)


def chance(difference: np.ndarray, one: UnitLaws, other: UnitLaws, linked: LinkedLaws | None = None) -> np.ndarray:
    """Two-sided p of differences of two means: twice the smaller tail; units × codes.

    Where variances are estimated (finite degrees of freedom) Student's t is brought to the normal scale first. Between the
    jumps of discrete answers the smooth tail is a little too small, the more the fewer they are that make it: p is raised by
    half the skewness of the means. Where people come in work teams p is not below that of a normal mean: how skewed the means
    of teams are lies between not at all and as much as persons, and is not known.

    Parameters
    ----------
    difference
        First mean less the second.
    one, other
        Their laws. Where a mean is too skewed for its tails to be known (skewness beyond 1), or weights are too uneven, p is missing.
    linked
        What is known of people who are in both means; without it these are independent.
    """
    covariance = np.zeros(1) if linked is None else linked.covariance
    with np.errstate(divide="ignore", invalid="ignore"):
        variance, held = variance_of_difference(one.variance, other.variance, covariance)
        df = _degrees_of_freedom(variance, held, one, other, linked)
        t = difference / np.sqrt(variance)
        z, df = np.abs(t), np.broadcast_to(df, t.shape)
        estimated = np.isfinite(z) & (df < 1e6)
        z[estimated] = -special.ndtri(special.stdtr(df[estimated], -z[estimated]))
    learned = one.learned & other.learned
    if linked is not None:
        learned = learned & (linked.changes.learned | (linked.pairs == 0))
    learned = np.broadcast_to(learned, t.shape)
    p = normal = 2 * special.ndtr(-z)
    for up in (True, False):
        rows = learned & ((t > 0) == up)
        parts = _people(variance, held, one, other, linked, up)
        p = np.where(rows, 2 * upper_tail(np.where(rows, z, np.nan), parts), p)
    in_teams = (np.asarray(one.effect) > 1) | (np.asarray(other.effect) > 1)
    p = np.where(in_teams, np.maximum(p, normal), p)
    discrete = 1 + (np.abs(one.skewness) + np.abs(other.skewness)) / 2
    return np.where(why_not_judged(one, other) != "", np.nan, np.minimum(p * discrete, 1))


def _degrees_of_freedom(
    variance: np.ndarray, covariance: np.ndarray, one: UnitLaws, other: UnitLaws, linked: LinkedLaws | None
) -> np.ndarray:
    """Degrees of freedom of a difference, by the parts its variance is the sum of (Satterthwaite 1946)."""
    if linked is None:
        return degrees_of_freedom(one.variance, other.variance, one.df, other.df, np.zeros(1))
    own = degrees_of_freedom(one.variance, other.variance, one.df, other.df, linked.pairs)
    alone = [law.variance * (1 - share) for law, share in zip((one, other), linked.shares, strict=True)]
    both = _variance_of_linked(covariance, one, other, linked)
    parts = ((alone[0], one.df), (alone[1], other.df), (both, np.where(linked.pairs > 0, linked.changes.df, np.inf)))
    learned = variance**2 / sum(part**2 / df for part, df in parts)
    return np.where(linked.changes.learned, learned, own)


def _people(
    variance: np.ndarray, covariance: np.ndarray, one: UnitLaws, other: UnitLaws, linked: LinkedLaws | None, up: bool
) -> list[Part]:
    """Return the people whose sum a difference is: who is in one mean alone counts there, who is in both by the change."""
    with np.errstate(divide="ignore", invalid="ignore"):
        means = [one.parts(one.variance / variance, up, not up), other.parts(other.variance / variance, not up, up)]
        if linked is None:
            return [*means[0], *means[1]]
        alone = [
            (persons * (1 - share), scale, law)
            for mean, share in zip(means, linked.shares, strict=True)
            for persons, scale, law in mean
        ]
        of_both = _variance_of_linked(covariance, one, other, linked) / variance
        both = linked.changes.parts(of_both, up, not up)
    return [*alone, *((np.nan_to_num(n), np.nan_to_num(scale, posinf=0.0), law) for n, scale, law in both)]


def _variance_of_linked(covariance: np.ndarray, one: UnitLaws, other: UnitLaws, linked: LinkedLaws) -> np.ndarray:
    """Part of the variance of a difference that comes from the people in both means."""
    of_means = linked.shares[0] * one.variance + linked.shares[1] * other.variance
    return np.maximum(of_means - 2 * covariance, 0)


def why_not_judged(one: UnitLaws, other: UnitLaws) -> np.ndarray:
    """Return why the chance of a large difference is not known, "" where it is: uneven weights, or a mean too skewed."""
    skewed = (np.abs(one.skewness) > MOST_SKEWED) | (np.abs(other.skewness) > MOST_SKEWED)
    uneven = np.asarray(one.uneven) | np.asarray(other.uneven)
    return np.asarray(np.where(uneven, reasons.UNEVEN_WEIGHTS, np.where(skewed, reasons.PILED_UP, "")), dtype=object)
