"""Ranks of printed scores: equal ones share a rank."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

SAME = 0.05  # points: scores are printed to one decimal


def shared_ranks(score: np.ndarray) -> np.ndarray:
    """1 + the number of scores that are printed higher: equal ones, to one decimal, share a rank."""
    printed = np.round(score, 1)
    ordered = np.sort(printed[np.isfinite(printed)])
    higher = ordered.size - np.searchsorted(ordered, printed + SAME, side="right")
    return np.where(np.isfinite(score), 1.0 + higher, np.nan)


def tied_units(score: np.ndarray, units: Sequence[str] | np.ndarray) -> list[str]:
    """Return the other units whose score is printed the same, joined by 、, for each unit."""
    names, printed = np.asarray(units, dtype=object), pd.Series(np.round(score, 1))
    groups = {value: list(names[rows.index]) for value, rows in printed.groupby(printed)}
    return [
        "、".join(one for one in groups.get(value, ()) if one != unit)
        for value, unit in zip(printed, names, strict=True)
    ]
