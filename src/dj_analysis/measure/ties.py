"""Places among values where numbers that differ only by rounding are equal."""

from __future__ import annotations

import numpy as np

from ..spec.bands import SLACK

ROUNDING = 1e-14  # of a value: by what sums in another order differ, where numbers are too large for SLACK


def below_and_equal(values: np.ndarray, reference: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Count, for each value, the reference values below it and those equal to it up to rounding.

    .1 + .2 and .3 are equal: two numbers are where they differ by no more than 1e-9 (1e-14 of them beyond 100,000).

    Parameters
    ----------
    values
        Any numbers; the counts of a missing one are without meaning.
    reference
        Without missing values, in any order.
    """
    ordered = np.sort(reference)
    slack = np.maximum(SLACK, ROUNDING * np.abs(values))
    below = np.searchsorted(ordered, values - slack, side="left")
    return below, np.searchsorted(ordered, values + slack, side="right") - below


def mean_ranks(values: np.ndarray) -> np.ndarray:
    """Rank every value among all of them, 1 the lowest; ties share their mean rank."""
    below, equal = below_and_equal(values, values)
    return np.asarray(below + (equal + 1) / 2)


def descending_ranks(values: np.ndarray) -> np.ndarray:
    """Return 1 + the number of higher values: ties share the best of their places; NaN without a value."""
    known = values[np.isfinite(values)]
    below, equal = below_and_equal(values, known)
    return np.where(np.isfinite(values), 1.0 + known.size - below - equal, np.nan)
