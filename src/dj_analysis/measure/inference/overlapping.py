"""Error of the difference of two means that rest in part on the same people.

With n₁ and n₀ respondents, of whom n_c answered both times, Var(x̄₁ − x̄₀) = s₁²/n₁ + s₀²/n₀ − 2·n_c·s₁₀/(n₁n₀) (Derrick, Russ,
Toher and White 2017, J. Mod. Appl. Stat. Methods 16(1):137, with the covariance of the pairs in place of r·s₁·s₀, which is the
same where pairs scatter like all). The difference stays that of everybody: who was linked moves no number, it narrows the range.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class PairCovariance:
    """What linked people tell about the difference of two means; arrays of one shape, 0 where nobody is linked.

    ``n``: pairs; ``effective``: their effective number Σw·Σw'/Σww' (n with equal weights); ``covariance``: of both means, in
    squared points.
    """

    n: np.ndarray
    effective: np.ndarray
    covariance: np.ndarray


def pair_covariance(
    pairs: Mapping[str, np.ndarray], weight_now: np.ndarray, weight_before: np.ndarray, used: np.ndarray
) -> PairCovariance:
    """Compute the covariance of two means from the sums of their pairs.

    Cov = Σ_c ww'(x − x̄_c)(y − ȳ_c)·n_c/(n_c − 1)/(Σw·Σw'), x̄_c and ȳ_c the weighted means of those linked, in each wave with its own
    weights. With everybody linked the variance of the difference is the linearised one of paired differences; with equal
    weights that of the paired t-test. Deviations are from the linked people's own means: that they may lie higher or lower than
    others does not count as covariance.

    Parameters
    ----------
    pairs
        Sums of :func:`~dj_analysis.measure.pairing.paired_sums`.
    weight_now, weight_before
        Σw of everybody in either wave (n with equal weights).
    used
        Where pairs may be used; elsewhere nobody is linked.
    """
    used = used & (pairs["n"] >= 2)
    with np.errstate(divide="ignore", invalid="ignore"):
        x, y, c = pairs["wx_now"] / pairs["w_now"], pairs["wx_before"] / pairs["w_before"], pairs["ww"]
        products = pairs["cxy"] - x * pairs["cy"] - y * pairs["cx"] + x * y * c
        effective = pairs["w_now"] * pairs["w_before"] / c
        covariance = products * pairs["n"] / (pairs["n"] - 1) / (weight_now * weight_before)
    return PairCovariance(*(np.where(used, np.nan_to_num(part), 0.0) for part in (pairs["n"], effective, covariance)))


def variance_of_difference(
    first: np.ndarray, second: np.ndarray, covariance: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return the variance of a difference of means and the covariance it rests on, which two variances bound (|r| ≤ 1).

    Parameters
    ----------
    first, second
        Variances of the means.
    """
    bound = np.sqrt(first * second)
    held = np.clip(covariance, -bound, bound)
    return first + second - 2 * held, held


def degrees_of_freedom(
    first: np.ndarray, second: np.ndarray, df_first: np.ndarray, df_second: np.ndarray, pairs: np.ndarray
) -> np.ndarray:
    """Compute the degrees of freedom of a difference of partly overlapping means (Derrick et al. 2017, T_new2).

    (n_c − 1) + (γ − n_c + 1)·(n_a + n_b)/(n_a + n_b + 2n_c), γ those of Welch and Satterthwaite, n_a and n_b who is in one sample
    alone: γ with no pairs, n_c − 1 with pairs alone. Numbers are effective ones (df + 1) where weights differ.

    Parameters
    ----------
    first, second, df_first, df_second
        Variances of the means and their degrees of freedom (infinite where they are known).
    pairs
        Effective number of pairs, 0 for none.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        welch = (first + second) ** 2 / (first**2 / df_first + second**2 / df_second)
        largest = np.minimum(df_first, df_second) + 1
        both = np.minimum(pairs, largest)
        alone = df_first + df_second + 2 - 2 * both
        mixed = both - 1 + (welch - both + 1) * alone / (alone + 2 * both)
    return np.where((both > 0) & np.isfinite(welch), mixed, welch)
