"""Questions keyed against the others of their scale: a direction that was forgotten, or a wording that turns a question round."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from ...result import Result
from ...spec.tree import Node, Tree
from ...spec.units import ALL
from ..basis import basis_of
from ..engines import columns_of, names_of
from ..scoring import score_frame
from ..survey import Survey
from .item_statistics import alpha

KEYS = ("period", "level", "unit", "parent", "code")
STATISTICS = ("n", "r", "low", "high", "against_scale", "alpha", "alpha_turned", "index", "index_turned")
CHANCE = 0.01  # of any question of the wave being named where all are keyed alike
_LEAST_PEOPLE = 10


def keying(survey: Survey) -> Result:
    """Name the questions whose answers run against the others beyond chance.

    Parameters
    ----------
    survey
        What ``ws.survey(period)`` or :func:`dj_analysis.read_survey` returned, with directions as declared. Weights count.

    Returns
    -------
    Result
        ``.table``, one row a question that runs against: parent (its dimension), code, n (people with it and a rest), r (corrected
        item–total correlation: with the mean of the others), low, high (Fisher 1921, at 1 − 2·.01/k for k questions),
        against_scale (the others of its dimension, or of the whole index where only that shows it; a question that runs with
        the whole is never named), alpha of its dimension as it is and with the question turned, and the index
        (0–100) both ways. A dimension keyed against all others as one is named by all its questions. Empty where all run alike: in
        data without a wrong key one wave in a hundred names any.

    Examples
    --------
    >>> dj.methods.keying(survey).table["code"].tolist()
    []
    """
    tree = next(iter(survey.trees().values()))
    for form, one in survey.trees().items():
        tree = one if form == "full" else tree
    index = survey.codebook.index or tree.top
    leaves = [leaf for leaf in (tree.leaves_of(index) if index in tree else ()) if leaf.code in names_of(survey.frame)]
    points = _points(survey, leaves)
    weights = (
        np.ones(len(points))
        if survey.weight is None
        else columns_of(survey.frame, [survey.weight]).iloc[:, 0].to_numpy(float)
    )
    told = [row for row in (against_others(points, weights, leaf, leaves, index) for leaf in leaves) if row is not None]
    score_as_is = _index_of(survey, tree.form, index, weights) if told else np.nan
    rows = []
    for row in told:
        turned = _turned(survey, row["code"])
        after = _index_of(turned, tree.form, index, weights)
        members = [leaf.code for leaf in leaves if leaf.parent == row["parent"]]
        flipped = points[members].assign(**{row["code"]: 100 - points[row["code"]]})
        alphas = {"alpha": alpha(points[members].cov().to_numpy()), "alpha_turned": alpha(flipped.cov().to_numpy())}
        rows.append(row | alphas | {"index": score_as_is, "index_turned": after, "reason": ""})
    root = survey.spec.units.at(survey.period).root.level
    table = pd.DataFrame(rows, columns=["parent", "code", *STATISTICS, "reason"])
    table.insert(0, "period", survey.period)
    table.insert(1, "level", root)
    table.insert(2, "unit", ALL)
    return Result(
        table=table, keys=KEYS, statistics=STATISTICS, period=survey.period, periods=(survey.period,), spec=survey.spec,
        withheld=survey.withheld, basis=basis_of(survey),
    )  # fmt: skip


def _points(survey: Survey, leaves: list[Node]) -> pd.DataFrame:
    """Return answers on 0–100 from the unfavourable end, NaN where there is none."""
    raw = columns_of(survey.frame, [leaf.code for leaf in leaves])
    points = {}
    for leaf in leaves:
        share = (pd.to_numeric(raw[leaf.code], errors="coerce").astype(float) - leaf.minimum) / (
            leaf.maximum - leaf.minimum
        )
        points[leaf.code] = 100 * (share if leaf.direction == 1 else 1 - share)
    return pd.DataFrame(points)


def against_others(
    points: pd.DataFrame, weights: np.ndarray, leaf: Node, leaves: list[Node], index: str
) -> dict[str, Any] | None:
    """Return what tells that a question runs against its dimension, or else against the whole; None where neither does."""
    tail = CHANCE / max(len(leaves), 1) / 2  # two ways of being named
    own = [one.code for one in leaves if one.parent == leaf.parent]
    scales = [(leaf.parent, own)] if len(own) > 2 else []
    if len(own) < len(leaves):
        whole = [one.code for one in leaves]
        if _correlation(points, weights, leaf.code, whole, tail)[2] > 0:
            return None  # it runs with the whole: others of its dimension are turned
        scales.append((index, whole))
    for scale, members in scales:
        n, r, low, high = _correlation(points, weights, leaf.code, members, tail)
        if high < 0:
            return {
                "parent": leaf.parent, "code": leaf.code, "n": n, "r": r, "low": low, "high": high, "against_scale": scale
            }  # fmt: skip
    return None


def _correlation(
    points: pd.DataFrame, weights: np.ndarray, code: str, members: list[str], tail: float
) -> tuple[int, float, float, float]:
    """Return n, r of a question with the mean of the others, and the limits that leave ``tail`` on each side."""
    rest = points[[one for one in members if one != code]].mean(axis=1)
    both = (points[code].notna() & rest.notna()).to_numpy() & (weights > 0)
    if both.sum() < _LEAST_PEOPLE:
        return int(both.sum()), np.nan, np.nan, np.nan
    x, y, w = points.loc[both, code].to_numpy(), rest[both].to_numpy(), weights[both]
    covariance = np.cov(x, y, aweights=w)
    if (np.diag(covariance) <= 0).any():
        return int(both.sum()), np.nan, np.nan, np.nan
    r = float(covariance[0, 1] / np.sqrt(covariance[0, 0] * covariance[1, 1]))
    effective = w.sum() ** 2 / (w**2).sum()
    half = stats.norm.isf(tail) / np.sqrt(effective - 3)
    z = np.arctanh(np.clip(r, -1 + 1e-12, 1 - 1e-12))
    return int(both.sum()), r, float(np.tanh(z - half)), float(np.tanh(z + half))


def _index_of(survey: Survey, form: str, index: str, weights: np.ndarray) -> float:
    """Return the index of the whole (0–100), of everybody who has one."""
    scored = columns_of(score_frame(survey.frame, {form: survey.trees()[form]}), [f"{form}__{index}"])
    points = scored.iloc[:, 0].to_numpy(float)
    there = ~np.isnan(points)
    return float(np.average(points[there], weights=weights[there])) if weights[there].sum() > 0 else np.nan


def _turned(survey: Survey, code: str) -> Survey:
    book = survey.spec.codebook
    nodes = tuple(replace(n, direction=-n.direction) if n.code == code else n for n in book.tree.nodes)
    return replace(survey, spec=replace(survey.spec, codebook=replace(book, tree=Tree(nodes))))
