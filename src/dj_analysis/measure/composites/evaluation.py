"""Alternative evaluations on the tree: TOPSIS and fuzzy comprehensive evaluation (模糊综合评价)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from ...errors import DataError, Problems, UsageError
from ...result import Result
from ...spec import reasons
from ...spec.specification import Specification
from ...spec.tree import Tree
from ..basis import bases_of
from ..survey import Indicators
from .composite import Composite
from .unit_values import UnitValues, unit_values
from .weights import path_weights

INCOMPLETE = "indicators_missing_not_ranked"
#: Memberships of a leaf must add up to 1 within this: shares printed with three decimals do.
ROUNDING = 0.005


@dataclass(frozen=True)
class Topsis(Result):
    """TOPSIS closeness of units to the ideal, with the fitted ideals.

    ``.table``: period, level, unit, code (every node), score (100·closeness), distance_best, distance_worst, reason.
    ``.fitted``: norms and ideals by node, to be used in the next period.
    """

    fitted: Mapping[str, Any] = field(default_factory=dict, repr=False)


def topsis(
    frame: Any,
    tree: Tree | None = None,
    *,
    fitted: Mapping[str, Any] | None = None,
    level: str = "unit",
    period: str = "",
) -> Topsis:
    """Score units by their relative closeness to the ideal, the best value of every indicator (TOPSIS).

    Values are divided by √Σx² of their indicator (vector normalisation) and multiplied by the leaf's path weight; closeness
    is d⁻/(d⁺ + d⁻) with Euclidean distances to the best and the worst value found (Hwang & Yoon 1981, TOPSIS). Each node is
    evaluated over all leaves below it.

    Parameters
    ----------
    frame
        A dataframe with a column ``unit`` and one a leaf in its own units, or branch indicators. Every unit counts once.
    tree
        Weights and directions; ranges are not used.
    fitted
        ``.fitted`` of an earlier result: the same norms and ideals, so that periods compare. Without it the ideal moves
        with the units at hand, and leaving a unit out can change the order of the others.

    Returns
    -------
    Topsis
        A unit that lacks a leaf below a node has no score there (distances with gaps do not compare); where all units are
        alike there is none either.

    References
    ----------
    Hwang, C.-L. & Yoon, K. (1981), Multiple Attribute Decision Making, Springer.
    """
    indicators = tree or (frame.tree if isinstance(frame, Indicators) else None)
    if indicators is None:
        raise UsageError("缺指标树 (a tree is needed): topsis(frame, tree)")
    data = unit_values(frame, indicators, level=level, period=period)
    learned: dict[str, Any] = dict(fitted) if fitted is not None else {"tree": indicators.version, "nodes": {}}
    if learned["tree"] != indicators.version:
        raise UsageError("fitted 属于另一棵指标树 (it belongs to another tree): 请重新拟合")
    blocks = []
    for code in (node.code for node in indicators if indicators.children(node.code)):
        weights = {leaf: w for leaf, w in path_weights(indicators, code).items() if leaf in data.codes}
        if weights:
            blocks.append(_of_node(data, code, weights, learned["nodes"], new=fitted is None))
    return _ranked(pd.concat(blocks, ignore_index=True), data, indicators, learned)


def closeness(
    values: np.ndarray, weights: np.ndarray, ideals: Mapping[str, Any]
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return closeness (0–1) and the distances to the best and the worst, of units × indicators without gaps."""
    scaled = values / np.asarray(ideals["norm"], dtype=float)
    deviations = [(scaled - np.asarray(ideals[name], dtype=float)) * weights for name in ("best", "worst")]
    distance_best, distance_worst = (np.sqrt(np.einsum("ij,ij->i", d, d)) for d in deviations)
    with np.errstate(divide="ignore", invalid="ignore"):
        return distance_worst / (distance_best + distance_worst), distance_best, distance_worst


def learn_ideals(values: np.ndarray, direction: np.ndarray) -> dict[str, list[float]]:
    """Fit norms and the best and worst normalised value of each indicator; an indicator of zeros has norm 1."""
    norm = np.sqrt(np.einsum("ij,ij->j", values, values))
    norm = np.where(norm > 0, norm, 1.0)
    low, high = values.min(axis=0) / norm, values.max(axis=0) / norm
    best, worst = np.where(direction > 0, high, low), np.where(direction > 0, low, high)
    return {"norm": norm.tolist(), "best": best.tolist(), "worst": worst.tolist()}


def fuzzy(
    memberships: pd.DataFrame | Composite,
    tree: Tree,
    grades: Mapping[str, float],
    *,
    level: str = "unit",
    period: str = "",
) -> Result:
    """Evaluate units in grades: memberships of the leaves, averaged up the tree by weight (模糊综合评价).

    B = W∘R with the weighted-average operator M(·, ⊕): a node's membership in a grade is the weighted mean of its children's
    (Wang 1983; the operator that uses all information). Missing children are left out while the tree's least share of them
    is there. The score is Σ membership × points of the grade; the grade is the one of greatest membership.

    Parameters
    ----------
    memberships
        A tidy table unit, code, grade, membership (0–1, adding up to 1 over the grades of a leaf; shares of answers are
        such), with n where persons are behind it; or a composite, whose leaf scores are spread over the two neighbouring
        grades by :func:`triangular`.
    grades
        Grade → its points (0–100), in any order.

    Returns
    -------
    Result
        period, level, unit, code, grade, membership, n (fewest people behind a leaf below), reason.
        ``.parts["scores"]``: period, level, unit, code, score, grade, n, reason.

    Raises
    ------
    DataError
        Memberships outside 0–1, or that do not add up to 1.
    UsageError
        Grades or codes that are not declared.

    Notes
    -----
    Grade points and memberships are conventions; the grade of greatest membership is unstable where two are nearly equal.
    """
    points = dict(sorted(((str(name), float(value)) for name, value in grades.items()), key=lambda item: -item[1]))
    if len(points) < 2 or len(set(points.values())) < len(points):
        raise UsageError("grades 至少两级,分值各不相同 (at least two grades with different points are needed)")
    if isinstance(memberships, Composite):
        level, period = str(memberships.table["level"].iloc[0]), memberships.period
        table = _spread(memberships, tree, points)
    else:
        table = _checked(memberships, tree, points)
    units = list(dict.fromkeys(table["unit"]))
    cubes, people = _cubes(table, units, list(points))
    for node in tree.inner:
        _carry(node.code, cubes, people, tree)
    return _graded(cubes, people, units, points, tree, memberships, level, period)


def triangular(values: Any, centres: Any) -> np.ndarray:
    """Compute triangular memberships: 1 at a grade's centre, falling linearly to 0 at the neighbouring centres.

    Values beyond the outer centres belong wholly to the outer grade; memberships add up to 1; NaN stays NaN.

    Returns
    -------
    numpy.ndarray
        Values × centres, in the order of the centres given.
    """
    x, points = np.asarray(values, dtype=float), np.asarray(centres, dtype=float)
    order = np.argsort(points)
    memberships = np.empty((len(x), len(points)))
    for position, column in enumerate(order):
        memberships[:, column] = np.interp(x, points[order], np.eye(len(points))[position])
    memberships[np.isnan(x)] = np.nan
    return memberships


def _of_node(
    data: UnitValues, code: str, weights: Mapping[str, float], nodes: dict[str, Any], *, new: bool
) -> pd.DataFrame:
    columns = [data.codes.index(leaf) for leaf in weights]
    values, w = data.values[:, columns], np.array(list(weights.values()))
    complete = ~np.isnan(values).any(axis=1)
    if new and complete.any():
        direction = np.array([data.leaves[j].direction for j in columns])
        nodes[code] = {"leaves": list(weights)} | learn_ideals(values[complete], direction)
    if not new and nodes.get(code, {}).get("leaves") != list(weights):
        raise UsageError(f"fitted 的 {code} 指标不同 (other leaves were fitted): 请重新拟合")
    results = np.full((3, len(values)), np.nan)
    if complete.any():
        results[:, complete] = closeness(values[complete], w, nodes[code])
    reason = np.where(~complete, INCOMPLETE, np.where(np.isnan(results[0]), reasons.TOO_FEW_TO_JUDGE, ""))
    n = np.min(np.where(np.isnan(data.n[:, columns]), np.inf, data.n[:, columns]), axis=1)
    rows = {"unit": data.units, "code": code, "score": 100 * results[0], "distance_best": results[1]}
    rows |= {"distance_worst": results[2], "n": np.where(np.isinf(n), np.nan, n), "reason": reason}
    return pd.DataFrame(rows)


def _ranked(table: pd.DataFrame, data: UnitValues, tree: Tree, learned: Mapping[str, Any]) -> Topsis:
    keys, statistics = ("period", "level", "unit", "code"), ("score", "distance_best", "distance_worst", "n")
    table = table.assign(period=data.period, level=data.level)[[*keys, *statistics, "reason"]]
    return Topsis(
        table.astype(dict.fromkeys((*keys, "reason"), "str")), keys, statistics, data.period, about="units",
        programme="indicators", periods=(data.period,), fitted=learned,
        spec=data.spec if data.spec is not None else Specification(indicators=tree), basis=data.basis,
    )  # fmt: skip


def _spread(scores: Composite, tree: Tree, points: Mapping[str, float]) -> pd.DataFrame:
    leaves = {leaf.code for leaf in tree.leaves}
    rows = scores.table[scores.table["code"].isin(leaves)]
    spread = triangular(rows["score"], list(points.values()))
    blocks = [rows[["unit", "code", "n"]].assign(grade=name, membership=spread[:, j]) for j, name in enumerate(points)]
    return pd.concat(blocks, ignore_index=True)


def _checked(memberships: pd.DataFrame, tree: Tree, points: Mapping[str, float]) -> pd.DataFrame:
    """Check memberships: declared codes and grades, no duplicates, none negative, sums of 1 by leaf."""
    for name in ("unit", "code", "grade", "membership"):
        if name not in memberships:
            raise UsageError(f"缺 {name} 列 (a column {name} is needed)")
    table = memberships.astype({"unit": "str", "code": "str", "grade": "str", "membership": "float64"})
    leaves, problems = {leaf.code for leaf in tree.leaves}, Problems()
    for name, allowed in (("code", leaves), ("grade", set(points))):
        for value in sorted(set(table[name]) - allowed):
            problems.add(
                f"memberships: {name}", f"unknown_{name}", value, ", ".join(sorted(allowed)), "改正 (correct it)"
            )
    if table.duplicated(["unit", "code", "grade"]).any():
        problems.add(
            "memberships", "duplicate_row", "", "每单位每指标每级一行 (one row each)", "删去重复 (drop the copy)"
        )
    sums = table.groupby(["unit", "code"])["membership"].agg(["min", "sum", "count"])
    invalid = sums[(sums["count"] > 0) & ((sums["min"] < 0) | ((sums["sum"] - 1).abs() > ROUNDING))]
    for (unit, code), row in invalid.head(5).iterrows():
        problems.add(f"memberships: {unit} {code}", "membership", f"{row['sum']:g}", "和为 1 (adding up to 1)", "改正")
    problems.raise_if_any(DataError)
    return table if "n" in table else table.assign(n=np.nan)


def _cubes(
    table: pd.DataFrame, units: list[str], grades: list[str]
) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """Reshape memberships to units × grades by code, with the fewest people behind each code."""
    cubes, people = {}, {}
    for code, rows in table.groupby("code", sort=False):
        wide = rows.pivot(index="unit", columns="grade", values="membership").reindex(index=units, columns=grades)
        values = wide.to_numpy(dtype=float)
        all_missing = np.isnan(values).all(axis=1)
        cubes[str(code)] = np.where(all_missing[:, None], np.nan, np.nan_to_num(values))
        people[str(code)] = rows.groupby("unit")["n"].min().reindex(units).to_numpy(dtype=float)
    return cubes, people


def _carry(code: str, cubes: dict[str, np.ndarray], people: dict[str, np.ndarray], tree: Tree) -> None:
    """Average the children's memberships by weight, where enough of them are observed."""
    children = [child for child in tree.children(code) if child.code in cubes]
    if not children:
        return
    stack = np.stack([cubes[child.code] for child in children])
    observed = ~np.isnan(stack[:, :, 0])
    weights = np.array([child.weight for child in children])[:, None] * observed
    with np.errstate(divide="ignore", invalid="ignore"):
        mean = np.einsum("cu,cug->ug", weights, np.nan_to_num(stack)) / weights.sum(axis=0)[:, None]
    enough = (observed.sum(axis=0) >= tree.least(tree[code])) & (weights.sum(axis=0) > 0)
    cubes[code] = np.where(enough[:, None], mean, np.nan)
    people[code] = np.fmin.reduce(np.stack([people[child.code] for child in children]))


def _graded(
    cubes: Mapping[str, np.ndarray],
    people: Mapping[str, np.ndarray],
    units: list[str],
    points: Mapping[str, float],
    tree: Tree,
    source: Any,
    level: str,
    period: str,
) -> Result:
    codes = [code for code in tree.codes if code in cubes]
    grid = pd.MultiIndex.from_product([units, codes], names=["unit", "code"]).to_frame(index=False)
    grid.insert(0, "level", level)
    grid.insert(0, "period", period)
    cube = np.stack([cubes[code] for code in codes], axis=1).reshape(len(grid), len(points))
    grid["n"] = np.stack([people[code] for code in codes], axis=1).ravel()
    grid["reason"] = np.where(np.isnan(cube[:, 0]), reasons.TOO_FEW_TO_JUDGE, "")
    keys = ("period", "level", "unit", "code")
    blocks = [grid.assign(grade=name, membership=cube[:, j], _row=range(len(grid))) for j, name in enumerate(points)]
    table = pd.concat(blocks).sort_values("_row", kind="stable", ignore_index=True)
    top_grade = np.array([*points, ""])[
        np.where(np.isnan(cube[:, 0]), len(points), np.argmax(np.nan_to_num(cube), axis=1))
    ]
    scores = grid.assign(score=cube @ np.array(list(points.values())), grade=top_grade)
    persons = tree.about == "persons"
    common: dict[str, Any] = {
        "period": period, "periods": (period,), "about": tree.about, "n": "n",
        "programme": "survey" if persons else "indicators",
        "spec": source.spec if isinstance(source, Result) else Specification(indicators=None if persons else tree),
        "basis": bases_of(source),
    }  # fmt: skip
    text = dict.fromkeys((*keys, "grade", "reason"), "str")
    scores = scores[[*keys, "score", "grade", "n", "reason"]].astype(text)
    parts = {"scores": Result(scores, keys, ("score", "grade", "n"), **common)}
    table = table[[*keys, "grade", "membership", "n", "reason"]].astype(text)
    return Result(table, (*keys, "grade"), ("membership", "n"), parts=parts, **common)
