"""Input of the robustness analysis: scores, indicators or any frame to a draw model."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ...errors import UsageError, unknown
from ...spec.tree import Tree
from ..scores import Scores
from ..survey import Indicators
from .choices import Choices
from .index_draws import DrawModel, branches_of
from .normalisers import Ends
from .unit_values import UnitValues, unit_values


def read_values(
    marks: Any, tree: Tree | None, base: Choices, level: str | None, groups: str | None
) -> tuple[UnitValues, Tree]:
    """Return the values of the units of one level on the leaves of a tree, with the tree."""
    if isinstance(marks, Scores):
        if marks.programme != "indicators" or marks.spec.indicators is None:
            raise UsageError("robustness 只用于支部指标 (scores of branch indicators are needed)")
        if base.denominator or groups:
            raise UsageError("denominator、groups 须用原始数值,不能用得分 (they need raw values, not scores)")
        tree = tree or marks.spec.indicators.at(marks.period)
        return _of_scores(marks, tree, level), tree
    indicators = tree or (marks.tree if isinstance(marks, Indicators) else None)
    if indicators is None:
        raise UsageError("缺指标树 (a tree is needed): robustness(frame, tree=…)")
    return unit_values(
        marks, indicators, denominator=base.denominator, groups=groups, level=level or "unit"
    ), indicators


def _of_scores(marks: Scores, tree: Tree, level: str | None) -> UnitValues:
    rows = marks.table[marks.table["period"] == marks.period]
    leaves = tuple(leaf for leaf in tree.leaves if leaf.code in set(rows["code"]))
    rows = rows[rows["code"].isin([leaf.code for leaf in leaves])]
    scored_units = rows[rows["score"].notna()].groupby("level")["unit"].nunique()
    comparable = [name for name in rows["level"].unique() if scored_units.get(name, 0) > 1]
    level = level or (comparable[-1] if comparable else rows["level"].iloc[-1])
    rows = rows[rows["level"] == level]
    if rows.empty:
        raise unknown("层级/level", level, marks.table["level"].unique())
    units, codes = rows["unit"].unique(), [leaf.code for leaf in leaves]
    wide = {
        name: rows.pivot(index="unit", columns="code", values=name).reindex(units, columns=codes)
        for name in ("score", "n", "reason")
    }
    score = wide["score"].to_numpy(dtype=float)
    return UnitValues(
        units.to_numpy(dtype=object) if hasattr(units, "to_numpy") else np.asarray(units, dtype=object), leaves, score, score,
        wide["n"].to_numpy(dtype=float), wide["reason"].to_numpy(dtype=object), None, level, marks.period, marks.spec,
        marks.basis,
    )  # fmt: skip


def declared_aggregator(tree: Tree) -> str:
    """Return the one aggregator that all nodes of a tree declare; trees that mix several are refused."""
    names = {node.code: tree.aggregator_of(node) for node in tree.inner}
    kinds = set(names.values())
    if len(kinds) > 1 or "points" in kinds:
        listed = "、".join(f"{code} {name}" for code, name in names.items() if name != "arithmetic")
        raise UsageError(
            f"aggregator: 各节点合成方法不同 (nodes declare different aggregators): {listed};"
            " 用 base=Choices(aggregator=…) 指定一种 (name one)"
        )
    return next(iter(kinds), "arithmetic")


def top_of(tree: Tree) -> str:
    """Return the root of the tree."""
    roots = [node.code for node in tree.inner if not any(above in tree for above in tree.ancestors(node.code))]
    if len(roots) != 1:
        raise UsageError(f"code: 树有 {len(roots)} 个顶点,请指定 (name the node to rank): {', '.join(roots)}")
    return roots[0]


def model_of(data: UnitValues, tree: Tree, code: str, base: Choices, floor: float, of_points: bool) -> DrawModel:
    """Build the draw model of a node; ``of_points`` marks values that are points (0–100), not raw."""
    if not tree.children(tree[code].code):
        raise unknown("节点/node", code, [node.code for node in tree.inner])
    branches = branches_of(tree, code, data.codes)
    if not branches:
        raise UsageError(f"{code}: 其下没有指标有数据 (no leaf below it was measured)")
    ends = Ends.of(data.leaves, base.targets)
    if of_points:  # points are high where the raw value is good
        target = _points(data.leaves, ends.target)
        ends = Ends(np.ones(len(data.leaves)), np.zeros(len(data.leaves)), np.full(len(data.leaves), 100.0), target)
    return DrawModel(tuple(data.codes), data.values, ends, data.groups, branches, base, floor)


def _points(leaves: Sequence[Any], values: np.ndarray) -> np.ndarray:
    """Rescale raw values to points of their declared range, 100 the best."""
    low, high = (np.array([getattr(leaf, name) for leaf in leaves]) for name in ("minimum", "maximum"))
    up = np.array([leaf.direction for leaf in leaves]) > 0
    return 100 * np.where(up, values - low, high - values) / (high - low)
