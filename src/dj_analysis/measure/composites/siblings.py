"""Siblings of a tree: their declared weights with their joint moments."""

from __future__ import annotations

from collections.abc import Callable, Container, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import narwhals.stable.v2 as nw
import pandas as pd

from ...errors import UsageError
from ...spec.tree import Form, Node, Tree
from ..basis import basis_of
from ..engines import RUNNING_NUMBERS, collected, wrapped_frame
from ..scoring import score_frame
from ..survey import Indicators, Survey
from .choices import Choices
from .comoments import Comoments, comoments, comoments_of
from .composite import Composite, composite
from .unit_values import check_dashes


@dataclass(frozen=True)
class Siblings:
    """Families of siblings with their declared weights and the function of their moments.

    Attributes
    ----------
    families
        Parent → child → declared weight.
    moments
        (codes, products, logs) → their moments; None where there are no data.
    table
        Scores of units, a column a code; None where only sums are at hand.
    fitted
        What was learned to bring units' values to one scale.
    declares
        What a result made from it declares (period, about, …).
    """

    families: Mapping[str, Mapping[str, float]]
    tree: Tree | None = None
    moments: Callable[[list[str], bool, bool], Comoments] | None = None
    table: pd.DataFrame | None = None
    fitted: Mapping[str, Any] | None = None
    declares: Mapping[str, Any] = field(default_factory=dict)

    @property
    def about_people(self) -> bool:
        """Whether rows are persons."""
        return self.declares.get("about") == "persons"


def read_siblings(
    data: Any,
    tree: Tree | None,
    choices: Choices | None,
    groups: str | None,
    level: str,
    fitted: Mapping[str, Any] | None = None,
) -> Siblings:
    """Read siblings and their moments from a tree, a survey, branch indicators or a frame."""
    if isinstance(data, Tree):
        return Siblings(_families(data, data.codes), data)
    if isinstance(data, Survey):
        return _of_survey(data)
    if isinstance(data, Indicators):
        tree = tree or data.tree
    if tree is None:
        return _of_table(data)
    return _of_units(composite(data, tree, choices, groups=groups, level=level, fitted=fitted), tree)


def _families(tree: Tree, available: Container[str]) -> dict[str, dict[str, float]]:
    """Return the available children of every node, in the tree's order."""
    families = {
        node.code: {child.code: child.weight for child in tree.children(node.code) if child.code in available}
        for node in tree
        if tree.children(node.code)
    }
    return {parent: family for parent, family in families.items() if family}


def _of_table(data: Any) -> Siblings:
    """Return the number columns of a frame as siblings, not rescaled."""
    table = collected(wrapped_frame(data)).to_pandas()
    running = [name for name in map(str, table.columns) if name.strip().casefold() in RUNNING_NUMBERS]
    if running:
        listed = "、".join(running)
        raise UsageError(
            f"{listed} 是行号，不是指标/is a running number, no indicator; 先删去该列 (drop the column first)"
        )
    check_dashes(table)
    numbers = table.drop(columns="unit", errors="ignore").select_dtypes("number").astype("float64")
    if numbers.empty:
        raise UsageError("没有数字列可以赋权 (there are no number columns to weigh)")
    return _of_scores({"": dict.fromkeys(map(str, numbers.columns), 1.0)}, numbers, {})


def _of_units(scored: Composite, tree: Tree) -> Siblings:
    """Return siblings with the scores of units, each unit counted once."""
    wide = scored.wide().set_index("unit")
    declares = {name: getattr(scored, name) for name in ("period", "periods", "spec", "basis")}
    return replace(_of_scores(_families(tree, set(wide.columns)), wide, declares), tree=tree, fitted=scored.fitted)


def _of_scores(
    families: Mapping[str, Mapping[str, float]], table: pd.DataFrame, declares: Mapping[str, Any]
) -> Siblings:
    def moments(codes: list[str], products: bool, logs: bool) -> Comoments:
        return comoments(table[codes].to_numpy(), products=products, logs=logs)

    return Siblings(families, moments=moments, table=table, declares=declares)


def _of_survey(data: Survey) -> Siblings:
    """Return siblings with the scores of respondents; only sums leave the frame."""
    form: Form = "full" if "full" in data.forms else "anchors"
    tree = data.trees()[form]
    scored = nw.from_native(score_frame(data.frame, {form: tree}))
    schema = scored.collect_schema()
    leaves = {leaf.code: leaf for leaf in tree.leaves if leaf.code in schema.names()}
    nodes = {node.code for node in tree.inner if f"{form}__{node.code}" in schema.names()}
    families = _families(tree, {*leaves, *nodes})

    def column(code: str) -> Any:
        if code in leaves:
            return _leaf_score(leaves[code], schema[code].is_float())
        return nw.col(f"{form}__{code}")

    def moments(codes: list[str], products: bool, logs: bool) -> Comoments:
        return comoments_of(scored, {code: column(code) for code in codes}, data.weight)

    declares: dict[str, Any] = {"period": data.period, "periods": (data.period,), "spec": data.spec}
    declares |= {
        "about": "persons",
        "programme": "survey",
        "n": "n",
        "basis": basis_of(data),
        "withheld": data.withheld,
    }
    return Siblings(families, tree, moments, declares=declares)


def _leaf_score(leaf: Node, floats: bool) -> Any:
    value = nw.col(leaf.code)
    if floats:
        value = nw.when(~value.is_nan()).then(value)
    distance = value - leaf.minimum if leaf.direction == 1 else leaf.maximum - value
    return 100 * distance / (leaf.maximum - leaf.minimum)
