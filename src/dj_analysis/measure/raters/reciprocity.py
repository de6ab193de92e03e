"""Reciprocity of branches that inspect each other (支部互学互查, row W26): do they return each other's marks."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from ...errors import UsageError
from ...result import Result
from ...spec.specification import Specification
from ..inference.uncertainty import CONFIDENCE
from ..intake.score_sheets import Ratings
from .rubric_sheets import item_weights, of_rubric, sheet_items, sheet_scores, sheets_given

LEAST = 4  # units of a round robin: with three every residual follows from the main effects
NOT_ROUND_ROBIN = "not_every_unit_judged_every_other"
SAME_MARKS = "marks_follow_from_main_effects"


def reciprocity(
    ratings: Ratings | pd.DataFrame,
    *,
    spec: Specification | None = None,
    rubric: str | None = None,
    officials: bool = False,
) -> Result:
    """Tell whether units that judge each other return high marks with high and low with low, beyond how strict and how good each is.

    A mark is mean + rater + target + relation (social relations model, Kenny and La Voie 1984). Reciprocity is the correlation of
    the relation of i to j with that of j to i. Of a round robin in which each of k units judged every other one it is
    (F − 1)/(F + 1), F the mean square of the pairs' sums over that of their differences (Warner, Kenny and Stoto 1979), with
    (k − 1)(k − 2)/2 − 1 and (k − 1)(k − 2)/2 degrees of freedom: interval and p are exact for normal marks. How strict each
    rater is belongs to :func:`dj_analysis.rate`.

    Parameters
    ----------
    ratings, spec, rubric, officials
        As in :func:`dj_analysis.rate`; raters are the codes of units. Marks of a unit by itself and of raters who are no unit
        that is judged do not count.

    Returns
    -------
    Result
        Period, coefficient (``reciprocity``), estimate, low, high (95 %), p (two-sided), n (units that judge each other), reason:
        fewer than four units, or a pair that is missing, gives no estimate.
        ``.parts["matrix"]``: period, unit, other (that it judged), n (1), score, relation (points beyond mean, rater and target).

    Raises
    ------
    UsageError
        No rater is a unit that is judged.
    DataError
        Rows that do not fit, all together.

    References
    ----------
    Kenny, D. & La Voie, L. (1984), The social relations model, Advances in Experimental Social Psychology 18, 141–182.
    Warner, R., Kenny, D. & Stoto, M. (1979), A new round robin analysis of variance for social interaction data, Journal of
    Personality and Social Psychology 37, 1742–1757.

    Examples
    --------
    >>> marks = {"AB": 90, "BA": 88, "AC": 70, "CA": 74, "AD": 80, "DA": 79, "BC": 81, "CB": 80, "BD": 72, "DB": 70, "CD": 91, "DC": 90}
    >>> sheets = pd.DataFrame([(pair[1], pair[0], mark) for pair, mark in marks.items()], columns=["unit", "rater", "score"])
    >>> round(float(reciprocity(sheets.assign(period="2026", kind="inspection")).table["estimate"][0]), 2)
    0.98
    """
    declared, spec, rows, bases = sheets_given(ratings, spec)
    rows, name = of_rubric(rows, spec, rubric)
    officials = declared.by_officials(name) if declared is not None else officials
    weights = item_weights(rows, spec, name)
    tables, matrices = [], []
    for period, part in rows[rows["kind"] == "inspection"].groupby("period", sort=True):
        marks = _matrix(sheet_scores(sheet_items(part, weights), weights), spec, str(period))
        if marks.empty:
            continue
        told, relation = dyadic(marks.to_numpy(float))
        tables.append({"period": str(period), "coefficient": "reciprocity", **told})
        matrices.append(_pairs(str(period), marks, relation))
    if not tables:
        raise UsageError("reciprocity: 评分方中没有被评单位 (no rater is a unit that is judged)")
    common: dict[str, Any] = {
        "period": tables[-1]["period"], "periods": tuple(one["period"] for one in tables), "programme": "ratings",
        "about": "units" if officials else "persons", "spec": spec,
        "basis": tuple(basis for basis in bases if basis.period in {one["period"] for one in tables}),
    }  # fmt: skip
    matrix = Result(
        pd.concat(matrices, ignore_index=True), ("period", "unit", "other"), ("n", "score", "relation"), **common
    )
    columns = ["period", "coefficient", "estimate", "low", "high", "p", "n", "reason"]
    return Result(
        pd.DataFrame(tables)[columns], ("period", "coefficient"), ("estimate", "low", "high", "p", "n"), parts={"matrix": matrix}, **common
    )  # fmt: skip


def judge_each_other(ratings: Ratings, rubric: str | None = None) -> bool:
    """Tell whether units that were judged are raters of others under a rubric, so that :func:`reciprocity` has something to look at.

    Examples
    --------
    >>> methods.judge_each_other(ws.ratings("2026Q3"), "HC")  # doctest: +SKIP
    True
    """
    rows, _ = of_rubric(ratings.table, ratings.spec, rubric)
    for period, part in rows[rows["kind"] == "inspection"].groupby("period"):
        units, names = ratings.spec.units.at(str(period)), [*part["rater"], *part["unit"]]
        codes = units.resolve([str(name) for name in names]) if ratings.spec.units.rows else {}
        judged = {codes.get(unit, unit) for unit in part["unit"]}
        if judged & {codes.get(rater, rater) for rater in part["rater"]}:
            return True
    return False


def dyadic(marks: np.ndarray) -> tuple[dict[str, Any], np.ndarray]:
    """Return reciprocity with interval and p, and the relations, of a square matrix of marks (raters × targets, diagonal unused)."""
    k = len(marks)
    missing: dict[str, Any] = dict.fromkeys(("estimate", "low", "high", "p"), np.nan) | {
        "n": k,
        "reason": NOT_ROUND_ROBIN,
    }
    off = ~np.eye(k, dtype=bool)
    if k < LEAST or np.isnan(marks[off]).any():
        return missing, np.full((k, k), np.nan)
    relation = _relations(np.where(off, marks, 0.0))
    first, second = np.triu_indices(k, 1)
    there, back = relation[first, second], relation[second, first]
    of_differences = (k - 1) * (k - 2) / 2
    of_sums = of_differences - 1
    sums, differences = ((there + back) ** 2).sum() / 2, ((there - back) ** 2).sum() / 2
    if sums + differences < 1e-9:
        return missing | {"reason": SAME_MARKS}, relation
    with np.errstate(divide="ignore"):
        ratio = (sums / of_sums) / (differences / of_differences)
    tails = (1 - CONFIDENCE) / 2
    ends = [ratio / stats.f.ppf(q, of_sums, of_differences) for q in (1 - tails, tails)]
    p = 2 * min(stats.f.sf(ratio, of_sums, of_differences), stats.f.cdf(ratio, of_sums, of_differences))
    estimate, low, high = (float((one - 1) / (one + 1)) if np.isfinite(one) else 1.0 for one in (ratio, *ends))
    return {"estimate": estimate, "low": low, "high": high, "p": min(float(p), 1.0), "n": k, "reason": ""}, relation


def _relations(marks: np.ndarray) -> np.ndarray:
    """Take mean, rater and target out of a complete round robin with zeros on its diagonal (Warner, Kenny and Stoto 1979)."""
    k = len(marks)
    given, received = marks.sum(axis=1) / (k - 1), marks.sum(axis=0) / (k - 1)
    grand = given.mean()
    own, cross, whole = (k - 1) ** 2 / (k * (k - 2)), (k - 1) / (k * (k - 2)), (k - 1) / (k - 2)
    rater, target = own * given + cross * received - whole * grand, own * received + cross * given - whole * grand
    relation = marks - grand - rater[:, None] - target[None, :]
    np.fill_diagonal(relation, np.nan)
    return np.asarray(relation)


def _matrix(scores: pd.Series, spec: Specification, period: str) -> pd.DataFrame:
    """Return raters × targets of the units that both judge and are judged."""
    wide = scores.unstack("rater")
    units = spec.units.at(period)
    codes = units.resolve([str(rater) for rater in wide.columns]) if spec.units.rows else {}
    wide = wide.rename(columns=lambda rater: codes.get(str(rater), str(rater)))
    both = [unit for unit in wide.index if unit in set(wide.columns)]
    return wide.loc[both, both].T


def _pairs(period: str, marks: pd.DataFrame, relation: np.ndarray) -> pd.DataFrame:
    off = ~np.eye(len(marks), dtype=bool) & marks.notna().to_numpy()
    judge, judged = np.nonzero(off)
    names = marks.index.to_numpy()
    return pd.DataFrame(
        {"period": period, "unit": names[judge], "other": names[judged], "n": 1, "score": marks.to_numpy(float)[off], "relation": relation[off]}
    )  # fmt: skip
