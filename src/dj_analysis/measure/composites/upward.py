"""Scores of the nodes of an indicator tree from those of its leaves, by the aggregator each node declares."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from ...spec.tree import Indicator, Node, Tree
from .aggregators import AGGREGATORS


def leaf_points(leaf: Node, values: np.ndarray) -> np.ndarray:
    """Rescale the values of a leaf to 0–100 points, high is good; NaN stays missing.

    Values on a range: (x − minimum)/(maximum − minimum), or (maximum − x)/… where high is bad. Counts on a points sheet:
    ``deduct`` loses ``points_each`` of its weight for each, never below 0; ``bonus`` earns them, up to its weight; ``veto`` has
    100 where nothing happened and 0 else.
    """
    kind = leaf.kind if isinstance(leaf, Indicator) else ""
    if kind in ("deduct", "bonus"):
        share = np.clip(leaf.points_each * values / leaf.weight, 0, 1)  # type: ignore[attr-defined]
        return np.asarray(100 * (1 - share if kind == "deduct" else share))
    if kind == "veto":
        return np.where(np.isnan(values), np.nan, np.where(values > 0, 0.0, 100.0))
    span = leaf.maximum - leaf.minimum
    return np.asarray(100 * ((values - leaf.minimum) if leaf.direction == 1 else (leaf.maximum - values)) / span)


def node_points(
    tree: Tree, leaves: Mapping[str, np.ndarray], exempt: Mapping[str, np.ndarray] | None = None
) -> dict[str, np.ndarray]:
    """Average points up the tree.

    Parameters
    ----------
    leaves
        Code → points of each unit, NaN missing.
    exempt
        Code → which units need not have it (不适用): its weight goes to the others.

    Returns
    -------
    dict
        Code → points of each unit, leaves and nodes. A node needs the least share of children the tree declares, of those
        that apply; under ``points`` every part that applies, unless ``min_share`` says less. All parts exempt leave it missing.
    """
    points, free = dict(leaves), dict(exempt or {})
    for node in tree.inner:
        children = [child for child in tree.children(node.code) if child.code in points]
        if not children:
            continue
        values = np.column_stack([points[child.code] for child in children])
        shut = np.column_stack([free.get(child.code, np.zeros(len(values), dtype=bool)) for child in children])
        name = tree.aggregator_of(node)
        if name == "points":
            points[node.code] = _sheet(node, children, values, shut)
        else:
            mean = AGGREGATORS[name](values, np.array([child.weight for child in children]))
            enough = (~np.isnan(values) | shut).sum(axis=1) >= tree.least(node)
            points[node.code] = np.where(enough, mean, np.nan)
        free[node.code] = np.asarray(shut.all(axis=1))
    return points


def _sheet(node: Node, children: list[Node], values: np.ndarray, exempt: np.ndarray) -> np.ndarray:
    """Add up a points sheet: parts that do not apply hand their points to the others in proportion, then bonus and veto."""
    kinds = [child.kind if isinstance(child, Indicator) else "" for child in children]
    regular = np.array([kind not in ("bonus", "veto") for kind in kinds])
    weights = np.array([child.weight for child in children])
    whole = weights[regular].sum()
    there = ~np.isnan(values) & ~exempt & regular
    applies = (~exempt & regular).sum(axis=1)
    earned = np.where(there, values * weights, 0.0).sum(axis=1)
    possible = np.where(there, weights, 0.0).sum(axis=1)
    bonus = np.where(np.array([kind == "bonus" for kind in kinds]), np.nan_to_num(values) * weights, 0.0).sum(axis=1)
    vetoed = np.where(np.array([kind == "veto" for kind in kinds]), np.nan_to_num(values, nan=100.0) == 0, False).any(
        axis=1
    )
    with np.errstate(divide="ignore", invalid="ignore"):
        total = earned / possible + bonus / whole
    share = node.min_share if node.min_share == node.min_share else 1.0
    enough = there.sum(axis=1) >= np.maximum(1, np.ceil(share * applies - 1e-9))
    return np.where(vetoed, 0.0, np.where(enough, total, np.nan))
