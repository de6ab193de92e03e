"""What can be scored from the columns of a wave: questions that were asked, nodes over them, cells of the result."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from ..spec.tree import Node, Tree


@dataclass(frozen=True)
class Plan:
    """Questions, nodes and cells that are scored, in the order in which their sums are arranged."""

    leaves: tuple[Node, ...]
    nodes: tuple[tuple[str, str], ...]
    cells: tuple[tuple[str, str], ...]
    trees: Mapping[str, Tree]


def plan_cells(trees: Mapping[str, Tree], columns: Iterable[str]) -> Plan:
    """Plan what can be scored from the available columns; leaves that were not asked are left out."""
    present = set(columns)
    asked: dict[str, Node] = {}
    nodes: list[tuple[str, str]] = []
    cells: list[tuple[str, str]] = []
    for form, tree in trees.items():
        asked.update({leaf.code: leaf for leaf in tree.leaves if leaf.code in present})
        scored = [node.code for node in tree.inner if any(leaf.code in present for leaf in tree.leaves_of(node.code))]
        nodes += [(form, code) for code in scored]
        scorable = {*scored, *(leaf.code for leaf in tree.leaves if leaf.code in present)}
        cells += [(form, code) for code in tree.codes if code in scorable]
    return Plan(tuple(asked.values()), tuple(nodes), tuple(cells), trees)
