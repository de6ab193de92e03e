"""Weights of a tree as a result, optionally frozen for a year."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
import pandas as pd

from ...errors import Problems, SpecError, UsageError
from ...result import Result, rows_of
from ...spec.periods import parse
from ...spec.specification import Specification
from ...spec.tree import Tree

KEYS = ("parent", "code")
COLUMNS = ("parent", "code", "weight", "method", "cases", "n", "reason")


@dataclass(frozen=True)
class Weights(Result):
    """Weights of the children of nodes; they sum to 1 below each parent.

    ``.table``: parent (``""`` where there is no tree), code, weight (0–1), method (with its formula where it has variants),
    cases (rows the weights rest on; missing where they rest on none), n (people among them; missing for units), reason (why
    a weight is missing or 0).

    Weights taken from data move with the data, so a change of the index would mix a change of weights with a real one:
    :meth:`frozen` puts the year on them, :meth:`plain` writes them down, :meth:`on` puts them on a tree for that year.
    """

    year: str = ""

    @property
    def version(self) -> str:
        """Short hash of year, codes, weights and methods."""
        return hashlib.sha256(json.dumps([self.year, self._rows()]).encode()).hexdigest()[:12]

    def frozen(self, year: str | int) -> Self:
        """Return the same weights, to be used in one year only."""
        return replace(self, year=parse(str(year)).text)

    def plain(self) -> dict[str, Any]:
        """Return the weights as plain values for JSON; :func:`read_weights` takes them back."""
        return {"version": self.version, "year": self.year, "period": self.period, "weights": self._rows()}

    def on(self, tree: Tree, period: str = "") -> Tree:
        """Return a tree with these weights; nodes they do not name keep their own.

        Raises
        ------
        UsageError
            A period of another year than the one the weights are frozen for.
        SpecError
            Codes the tree does not have, siblings they leave out, weights that are missing.
        """
        if period and self.year and str(parse(period).year) != self.year:
            raise UsageError(
                f"权重冻结于 {self.year} 年,不用于 {period};换权重请用 chain_link 衔接"
                f" (frozen for {self.year}; link the series with chain_link when weights change)"
            )
        weights = {(str(parent), str(code)): float(w) for parent, code, w in self._triples()}
        self._check(tree, weights)
        nodes = [replace(node, weight=self._of(node.parent, node.code, weights, node.weight)) for node in tree]
        return replace(tree, nodes=tuple(nodes))

    def on_versions(self, tree: Tree, period: str) -> Tree:
        """Return a tree of several versions with these weights, checked against the version of a period.

        Nodes of other versions with the same code and parent get the same weight, all others keep their own.

        Raises
        ------
        UsageError, SpecError
            As :meth:`on`.
        """
        weighted = {(node.code, node.parent): node.weight for node in self.on(tree.at(period), period)}
        nodes = [replace(node, weight=weighted.get((node.code, node.parent), node.weight)) for node in tree]
        return replace(tree, nodes=tuple(nodes))

    def of(self, parent: str = "") -> pd.Series:
        """Return the weights below one parent, indexed by code."""
        rows = self.table[self.table["parent"] == parent]
        return rows.set_index("code")["weight"]

    def _triples(self) -> Any:
        return self.table[["parent", "code", "weight"]].itertuples(index=False, name=None)

    def _rows(self) -> list[dict[str, Any]]:
        rows = rows_of(self.table)
        return [{str(name): None if value != value else value for name, value in row.items()} for row in rows]

    @staticmethod
    def _of(parent: str, code: str, weights: Mapping[tuple[str, str], float], own: float) -> float:
        """Return the weight of a node; weights without a parent apply to their code under any parent."""
        return weights.get((parent, code), weights.get(("", code), own))

    def _check(self, tree: Tree, weights: Mapping[tuple[str, str], float]) -> None:
        problems = Problems()
        parents = {parent or (tree[code].parent if code in tree else "") for parent, code in weights}
        named = {code for _, code in weights}
        for (parent, code), weight in weights.items():
            place = f"权重/weights: {code}"
            if code not in tree or (parent and tree[code].parent != parent):
                problems.add(place, "unknown_code", f"{parent} > {code}", "树中的代码 (a code of the tree)", "改正代码")
            if not weight >= 0:
                problems.add(place, "missing_weight", weight, ">= 0", "换方法,或直接给出 (another method, or give it)")
        for parent in sorted(parents - {""}):
            missing = [node.code for node in tree.children(parent) if node.code not in named]
            if missing:
                advice = "同一上级要么全给,要么都不给 (give all siblings, or none)"
                problems.add(f"权重/weights: {parent}", "missing_sibling", ", ".join(missing), "全部下级", advice)
        problems.raise_if_any(SpecError)


def read_weights(plain: Mapping[str, Any]) -> Weights:
    """Read weights written by :meth:`Weights.plain`.

    Raises
    ------
    SpecError
        Content that does not fit its version: changed by hand.
    """
    rows = pd.DataFrame(list(plain["weights"]))
    weights = packed(rows, period=str(plain["period"]), year=str(plain["year"]))
    if weights.version != plain["version"]:
        raise SpecError(
            f"权重与其版本 {plain['version']} 不符,已被改动 (the weights do not fit their version: they were changed)"
        )
    return weights


def packed(rows: pd.DataFrame, *, period: str = "", year: str = "", **common: Any) -> Weights:
    """Build a result from rows with at least parent, code, weight, method."""
    table = rows.reindex(columns=[*COLUMNS, *(name for name in rows.columns if name not in COLUMNS)])
    table[["weight", "cases", "n"]] = table[["weight", "cases", "n"]].astype("float64")
    table["reason"] = table["reason"].fillna("")
    table = table.astype({"parent": "str", "code": "str", "method": "str", "reason": "str"})
    declared: dict[str, Any] = {
        "period": period, "periods": (period,), "about": "units", "programme": "indicators", "spec": Specification(),
        "n": None,
    }  # fmt: skip
    statistics = tuple(name for name in table.columns if name not in (*KEYS, "method", "reason"))
    return Weights(table, KEYS, statistics, year=year, **{**declared, **common})


def column_shares(contents: np.ndarray) -> np.ndarray:
    """Divide by the sum; NaN where the sum is not positive."""
    total = contents.sum() if len(contents) else 0.0
    return contents / total if np.isfinite(total) and total > 0 else np.full(len(contents), np.nan)


def path_weights(tree: Tree, code: str) -> dict[str, float]:
    """Return the share of each leaf below a node when weights are multiplied along its path; they sum to 1."""
    children = tree.children(code)
    if not children:
        return {code: 1.0}
    child_shares = column_shares(np.array([child.weight for child in children]))
    return {
        leaf: share * leaf_share
        for child, share in zip(children, child_shares, strict=True)
        for leaf, leaf_share in path_weights(tree, child.code).items()
    }
