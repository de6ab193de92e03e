"""Quantity of work against its quality: which units do much and well, and which do much but poorly (三比三看, row H07)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import pandas as pd
from scipy import stats

from ..errors import UsageError, unknown
from ..measure.basis import bases_of
from ..measure.indicator_scores import score_indicators
from ..measure.inference.shrinkage import left_out
from ..measure.scores import inherited, joined
from ..measure.survey import Indicators
from ..result import Result
from ..spec import reasons
from ..spec.bands import SLACK
from ..spec.settings import FLOOR
from ..spec.specification import Specification
from ..spec.tree import AXIS_MARKS, Indicator, Tree, is_counted
from .ranking import chosen_rows, posterior, target_points

KEYS = ("period", "level", "unit", "code")
QUANTITY, QUALITY = AXES = ("quantity", "quality")
UNDECIDED = "undecided"
STATISTICS = (
    "quantity", "quantity_low", "quantity_high", "quantity_line", "quality", "quality_low", "quality_high", "quality_line",
    "probability",
)  # fmt: skip
Line = Literal["median", "target"]


@dataclass(frozen=True)
class Plane(Result):
    """Units of one level and type by the quantity and the quality of their work.

    ``.table``: period, level, unit, code (top of the tree), quantity, quantity_low, quantity_high, quantity_line, the same of
    quality (points 0–100, 95 % intervals, and the line that parts high from low), se_source, quadrant (``many_good``,
    ``few_good``, ``many_poor``, ``few_poor``; ``undecided`` where it is not sure enough), probability (at least, of the
    likeliest quadrant), reason.
    """


def plane(indicators: Indicators, level: str | None = None, *, type: str | None = None, line: Line = "median") -> Plane:
    """Place units by a quantity index and a quality index, made of the indicators whose ``nature`` says 数量 or 质量.

    An index is the mean of its indicators' points, weighted by what each weighs in the whole tree; it is scored month by month
    like every node, so that its error comes from the months. An inner node's mark holds for what lies below it. What is
    counted on a points sheet (points off, bonus, veto) enters neither index, nor do statistics of fewer than min_group people.

    The chance of a quadrant is at least P(side of quantity) + P(side of quality) − 1 (Fréchet 1935), whatever the errors of
    both have in common; the sides' chances come from shrunken scores, so that of units that do not differ nothing is stated.
    A quadrant is stated with the confidence of ``[ranking]`` in rules.toml, else the unit is undecided (边界).

    Parameters
    ----------
    indicators
        What ``ws.indicators(period)`` returned; a span of months gives the mean over it.
    level
        Level of the units; by default the finest of the first tree.
    type
        Type of units, where a level holds several.
    line
        What parts high from low: the ``median`` of the units, or the score of a unit that just meets every ``target``.

    Raises
    ------
    UsageError
        No indicator is marked as quantity, or as quality; a target that is not declared; a level or type that does not exist.

    Examples
    --------
    >>> methods.plane(ws.indicators("2025-10/2026-09"), "branch").table  # doctest: +SKIP
    """
    if line not in ("median", "target"):
        raise unknown("分界线/line", str(line), ("median", "target"))
    spec = indicators.spec
    marked = marked_tree(spec, indicators.period)
    told = replace(indicators, spec=replace(spec, indicators=marked))
    told = replace(told, values=_enough_people(told.values, marked, spec))
    if told.earlier is not None:
        told = replace(told, earlier=_enough_people(told.earlier, marked, spec))
    scores = score_indicators(told, told.spec, level)
    rows = {axis: chosen_rows(scores, level, axis, type)[0] for axis in AXES}
    lines = {axis: _line(rows[axis], target_points(scores, axis), line) for axis in AXES}
    sides = {axis: _chance_above(rows[axis], lines[axis] if line == "target" else None) for axis in AXES}
    assert spec.indicators is not None, "marked_tree names the lack of indicators"
    out = rows[QUANTITY][["period", "level", "unit"]].assign(code=spec.indicators.at(indicators.period).top)
    for axis in AXES:
        for name, column in ((axis, "score"), (f"{axis}_low", "low"), (f"{axis}_high", "high")):
            out[name] = rows[axis][column].to_numpy(float)
        out[f"{axis}_line"] = lines[axis]
    sources = [rows[axis]["se_source"].to_numpy(object) for axis in AXES]
    out["se_source"] = np.where(sources[1] == "none", "none", sources[0])
    out["quadrant"], out["probability"] = _quadrants(sides, spec.rules.ranking.confidence)
    shut = left_out(rows[QUANTITY], scores, ()).to_numpy()
    why = np.where(rows[QUANTITY]["reason"] != "", rows[QUANTITY]["reason"], rows[QUALITY]["reason"])
    out["reason"] = np.where(shut, reasons.TOO_FEW_TO_JUDGE, why)
    common = inherited(scores) | {"spec": spec, "basis": bases_of(indicators), "n": None}
    return Plane(joined([out]), KEYS, STATISTICS, **common)


def marked_tree(spec: Specification, period: str) -> Tree:
    """Return the indicators marked as quantity and as quality, each under a node of its own, with their weight in the whole.

    Raises
    ------
    UsageError
        None is marked as one of them.
    """
    tree = spec.indicators.at(period) if spec.indicators is not None else Tree((), about="units")
    nodes: list[Indicator] = []
    for axis in AXES:
        leaves = [leaf for leaf in tree.leaves if isinstance(leaf, Indicator) and _axis_of(tree, leaf) == axis]
        if not leaves:
            raise UsageError(
                f"indicators: nature 没有标 {AXIS_MARKS[axis][0]} 的指标 (no indicator is marked {axis} in the column nature)"
            )
        nodes.append(Indicator(axis, role="index"))
        nodes += [replace(leaf, parent=axis, weight=tree.weight_in_whole(leaf.code)) for leaf in leaves]
    return Tree(tuple(nodes), about="units")


def is_marked(spec: Specification, period: str) -> bool:
    """Tell whether indicators are marked as quantity and others as quality."""
    try:
        marked_tree(spec, period)
    except UsageError:
        return False
    return True


def _axis_of(tree: Tree, leaf: Indicator) -> str:
    """Return what a leaf is marked as, by itself or by the nearest node above it."""
    if is_counted(leaf):
        return ""
    for code in (leaf.code, *tree.ancestors(leaf.code)):
        node = tree[code]
        for axis, words in AXIS_MARKS.items():
            if isinstance(node, Indicator) and set(words) & set(node.attributes):
                return axis
    return ""


def _enough_people(values: pd.DataFrame, tree: Tree, spec: Specification) -> pd.DataFrame:
    """Take out statistics of fewer than min_group people: an index would tell them."""
    persons = values["code"].isin([leaf.code for leaf in tree.leaves if leaf.about == "persons"])
    few = persons & ~(values["n"] >= max(spec.min_group, FLOOR))
    return values.assign(value=values["value"].mask(few), reason=values["reason"].mask(few, reasons.SMALL_GROUP))


def _line(rows: pd.DataFrame, target: float, line: Line) -> float:
    if line == "median":
        return float(rows["score"].median())
    if np.isnan(target):
        code = str(rows["code"].iloc[0])
        raise UsageError(
            f"{AXIS_MARKS[code][0]}: 有指标未写 target,不能以目标值为界 (a target is not declared: use line='median')"
        )
    return target


def _chance_above(rows: pd.DataFrame, point: float | None) -> np.ndarray:
    """Return the chance that each unit truly lies above a point, by default the median of all, from shrunken scores."""
    mean, error, df = posterior(*(rows[name].to_numpy(float) for name in ("score", "se", "df")))
    known = np.isfinite(mean) & np.isfinite(error)
    if not known.any():
        return np.full(len(rows), np.nan)
    middle = np.median(mean[known]) if point is None else point
    distance = np.where(known, mean - middle, np.nan)
    with np.errstate(divide="ignore", invalid="ignore"):
        z = np.where(np.abs(distance) < SLACK, 0.0, distance / error)
    return np.where(known, stats.t.cdf(z, np.where(np.isfinite(df), df, 1e9)), np.nan)


def _quadrants(sides: dict[str, np.ndarray], confidence: float) -> tuple[np.ndarray, np.ndarray]:
    """Return the quadrant of each unit, where it is sure enough, and the least chance of the likeliest one."""
    many, good = sides[QUANTITY], sides[QUALITY]
    known = ~np.isnan(many) & ~np.isnan(good)
    chance = np.where(known, np.maximum(many, 1 - many) + np.maximum(good, 1 - good) - 1, np.nan)
    names = np.where(
        many > 0.5, np.where(good > 0.5, "many_good", "many_poor"), np.where(good > 0.5, "few_good", "few_poor")
    )
    return np.where(known, np.where(chance >= confidence, names, UNDECIDED), ""), chance
