"""Tail of a difference of two means of few persons, whose answers pile up at an end of the scale.

The mean of ten such persons is far from normal, most of all in the tail that a test of a thousand units looks at. Four
moments of a person's score and the ends of the scale bound that tail: of all laws with these moments between the ends, the one
with a point at the end has the largest E exp(tx) (principal representation: Krein and Nudelman 1977, The Markov Moment
Problem, chapter 4). It has three points; the tail of the mean of n persons of it is a saddlepoint approximation (Lugannani
and Rice 1980, Adv. Appl. Prob. 12:475).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import special

STEPS = 60  # halvings and Newton steps that find the saddlepoint
FAR = 40.0  # it is not looked for beyond
BLOCK = 65_536  # tails worked out at a time, so that memory stays
NEAR = 0.05  # below this many standard errors the formula is 0/0, and the chance near 1
APART = 0.1  # least distance, in standard deviations, of the end from what two points alone would need


@dataclass(frozen=True)
class Points:
    """Standardised law of three points (mean 0, variance 1), for each code; arrays 3 × codes."""

    at: np.ndarray
    share: np.ndarray

    def mirrored(self) -> Points:
        """Return the law of the opposite number."""
        return Points(-self.at, self.share)


def extreme_law(skewness: np.ndarray, kurtosis: np.ndarray, end: np.ndarray) -> Points:
    """Return the law of three points with these moments and a point at an end of the scale.

    Parameters
    ----------
    skewness, kurtosis
        Third and fourth standardised moments (the normal has 0 and 3).
    end
        End of the scale in standard deviations from the mean, negative for the low one.
    """
    gauss = (skewness + np.sign(end) * np.sqrt(skewness**2 + 4)) / 2  # where two points alone would lie
    a = np.where(end < 0, np.minimum(end, gauss - APART), np.maximum(end, gauss + APART))
    fourth = np.maximum(kurtosis, 1 + skewness**2 + 1e-3)
    c = (a**2 + skewness**2 - fourth - a * skewness) / (1 + a * skewness - a**2)
    b = a + a * c - skewness
    root = np.sqrt(np.maximum(b**2 - 4 * c, 1e-12))
    at = np.stack([a, (-b - root) / 2, (-b + root) / 2])
    others = [(1, 2), (0, 2), (0, 1)]
    share = np.stack([(1 + at[j] * at[k]) / ((at[i] - at[j]) * (at[i] - at[k])) for i, (j, k) in enumerate(others)])
    share = np.clip(share, 0, None)
    return Points(at, share / share.sum(axis=0))


def two_weights(n: np.ndarray, w: np.ndarray, ww: np.ndarray, www: np.ndarray) -> list[tuple[np.ndarray, np.ndarray]]:
    """Return two weights, and how many persons have either, that give the same n, Σw, Σw² and Σw³ (Gauss quadrature).

    Returns
    -------
    list
        (persons, what one of them adds to the standardised mean for one standard deviation), twice; once where all weights
        are equal.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        mean, variance = w / n, ww / n - (w / n) ** 2
        unequal = variance > 1e-9 * mean**2
        if not unequal.any():
            return [(n, 1 / np.sqrt(n))]
        variance = np.where(unequal, variance, 1.0)
        skewness = (www / n - 3 * mean * ww / n + 2 * mean**3) / variance**1.5
        root = np.sqrt(skewness**2 + 4)
        points = [
            np.where(unequal, np.maximum(mean + (skewness + s * root) / 2 * np.sqrt(variance), 0), mean)
            for s in (1, -1)
        ]
        heavy = n * (root - skewness) / (2 * root)
        persons = [heavy, n - heavy]
        norm = np.sqrt(sum(k * point**2 for k, point in zip(persons, points, strict=True)))
        return [(k, point / norm) for k, point in zip(persons, points, strict=True)]


#: Persons, what one of them adds (in standard errors of the sum for one of theirs), and their law.
Part = tuple[np.ndarray, np.ndarray, Points]


def upper_tail(z: np.ndarray, parts: Sequence[Part]) -> np.ndarray:
    """P(Z ≥ z) of a standardised sum of independent persons, z ≥ 0, by the saddlepoint (its form Φ(−r*), Barndorff-Nielsen 1986).

    Parameters
    ----------
    z
        In standard errors; units × codes, NaN is missing.
    parts
        Groups of persons with the same law and weight; their variances add up to 1.
    """
    tail = np.where(np.isfinite(z), special.ndtr(-z), np.nan)
    there = np.isfinite(z) & (z > NEAR)
    for persons, scale, _ in parts:
        there &= np.isfinite(persons) & np.isfinite(scale)
    rows, columns = np.nonzero(there)
    for start in range(0, len(rows), BLOCK):
        i, j = rows[start : start + BLOCK], columns[start : start + BLOCK]
        flat = [
            (
                np.broadcast_to(persons, z.shape)[i, j],
                np.broadcast_to(scale, z.shape)[i, j],
                law.at[:, j],
                law.share[:, j],
            )
            for persons, scale, law in parts
        ]
        tail[i, j] = _saddlepoint_tail(z[i, j], flat)
    return tail


def _saddlepoint_tail(z: np.ndarray, parts: Sequence[tuple[np.ndarray, ...]]) -> np.ndarray:
    low, high, t = np.zeros_like(z), np.full_like(z, FAR), np.minimum(z, FAR)
    left = np.arange(len(z))
    with np.errstate(over="ignore", divide="ignore", invalid="ignore"):
        for _ in range(STEPS):
            mine = parts if len(left) == len(z) else [tuple(values[..., left] for values in part) for part in parts]
            _, first, second = _cumulants(t[left], mine)
            off = first - z[left]
            wide = high[left] - low[left]
            low[left], high[left] = np.where(off > 0, low[left], t[left]), np.where(off > 0, t[left], high[left])
            newton, middle = t[left] - off / second, (low[left] + high[left]) / 2
            inside = (newton >= low[left]) & (newton <= high[left]) & (high[left] - low[left] <= wide / 2)
            done = np.abs(off) <= 1e-5 * (1 + z[left])  # the exponent moves by its square
            t[left] = np.where(done, t[left], np.where(inside, newton, middle))
            left = left[~done]
            if not len(left):
                break
        value, _, second = _cumulants(t, parts)
        w, u = np.sqrt(np.maximum(2 * (t * z - value), 0)), t * np.sqrt(second)
        tail = special.ndtr(-(w + np.log(u / w) / w))
    tail[left] = special.ndtr(-w[left])
    return np.where(np.isfinite(tail), tail, special.ndtr(-z))


def _cumulants(t: np.ndarray, parts: Sequence[tuple[np.ndarray, ...]]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Cumulant generating function of the sum at t and its two derivatives."""
    value, first, second = np.zeros_like(t), np.zeros_like(t), np.zeros_like(t)
    for persons, scale, at, share in parts:
        step = scale * t
        exponents = [point * step for point in at]
        top = np.maximum(np.maximum(exponents[0], exponents[1]), exponents[2])
        weights = [part * np.exp(exponent - top) for part, exponent in zip(share, exponents, strict=True)]
        total = weights[0] + weights[1] + weights[2]
        weighed = [weight * point for weight, point in zip(weights, at, strict=True)]
        mean = (weighed[0] + weighed[1] + weighed[2]) / total
        square = (weighed[0] * at[0] + weighed[1] * at[1] + weighed[2] * at[2]) / total
        value += persons * (np.log(total) + top)
        first += persons * scale * mean
        second += persons * scale**2 * (square - mean**2)
    return value, first, second
