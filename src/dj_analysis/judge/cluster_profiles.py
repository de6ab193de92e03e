"""Profiles of clusters: how far each lies from the mean of all units."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from ..measure.inference.uncertainty import CONFIDENCE
from ..measure.scores import Scores
from ..spec.tree import Tree


def profile_table(
    head: dict[str, str], codes: list[str], z: np.ndarray, labels: np.ndarray, personal: set[str]
) -> pd.DataFrame:
    """Return how far each cluster lies from the mean of all units in every feature, with its interval over its units.

    Parameters
    ----------
    z
        Standardised scores, units × codes; ``labels`` number the clusters from 1, 0 is none.
    personal
        Codes that rest on persons: ``n`` counts the units there, so that clusters of few are hidden; elsewhere it is missing.
    """
    rows = []
    for number in (number for number in np.unique(labels) if number):
        inside = z[labels == number]
        n, mean = len(inside), inside.mean(axis=0)
        spread = inside.std(axis=0, ddof=1) if n > 1 else np.full(z.shape[1], np.nan)
        half = stats.t.ppf(0.5 + CONFIDENCE / 2, max(n - 1, 1)) * spread / np.sqrt(n)
        for code, middle, width in zip(codes, mean, half, strict=True):
            rows.append({**head, "cluster": number, "code": code, "units": float(n), "n": float(n) if code in personal else np.nan,
                         "deviation": middle, "low": middle - width, "high": middle + width})  # fmt: skip
    columns = [*head, "cluster", "code", "units", "n", "deviation", "low", "high"]
    return pd.DataFrame(rows, columns=columns)


def cluster_label(profile: pd.DataFrame, spec: Any) -> str:
    """Name a cluster from what sets it apart: up to two indicators clearly above and two clearly below the mean of all units."""
    english = spec.language == "en"
    clear = profile[(profile["low"] > 0) | (profile["high"] < 0)]
    high = clear[clear["deviation"] > 0.5].sort_values("deviation", ascending=False).head(2)
    low = clear[clear["deviation"] < -0.5].sort_values("deviation").head(2)
    parts = []
    for rows, words in ((high, ("较强", "strong in ")), (low, ("较弱", "weak in "))):
        names = [_short(spec.code_label(code)) for code in rows["code"]]
        if names:
            parts.append(words[1] + " and ".join(names) if english else "、".join(names) + words[0])
    return ("; " if english else "，").join(parts) or ("near the mean" if english else "各项接近平均")


def _short(label: str) -> str:
    return label.replace("(%)", "").replace("（%）", "").strip()


def codes_about_persons(codes: list[str], scores: Scores, beside: Scores | None) -> set[str]:
    """Return the features that are statistics over people: the survey's, and indicators about persons."""
    if scores.about == "persons":
        return set(codes)
    tree = scores.spec.indicators.at(scores.period) if scores.spec.indicators is not None else Tree(())
    surveyed = set(beside.table["code"]) if beside is not None else set()
    return {code for code in codes if code in surveyed or (code in tree and tree[code].about == "persons")}
