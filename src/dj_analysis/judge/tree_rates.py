"""False discovery rate over a tree of units: those above first, those below where something changed above.

Units with one parent are a family. A family is looked at where its parent was flagged, at the rate of the parent's family times the
share of that family which was flagged (Benjamini and Bogomolov 2014, J. R. Stat. Soc. B 76:297; over several levels TreeBH of
Bogomolov, Peterson, Benjamini and Sabatti 2021, Biometrika 108:575): the expected false share, averaged over the families looked
at, stays below the rate at every level. Yekutieli (2008, J. Am. Stat. Assoc. 103:309) looks below by the parent's own test alone.
Here a parent is flagged by Simes' p (1986) of its own change and of those below, for a branch can fall in a city that did not.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from ..result import keys_of
from ..spec.units import ALL, Units


def tree_q(p: np.ndarray, parents: Sequence[int], families: Sequence[object]) -> np.ndarray:
    """Compute for each node the smallest rate at which it is named.

    A node's own p is adjusted within its family (Benjamini and Hochberg 1995); the rate at which the family reaches that value
    follows from the families above it, exactly.

    Parameters
    ----------
    p
        Nodes × codes; NaN is not tested and protects nothing. A parent stands before its children.
    parents
        Position of each node's parent, -1 for those at the top.
    families
        What a node's family is called, the same for its siblings only; at the top one family a level.

    Returns
    -------
    array
        q, nodes × codes; at the top the plain one of Benjamini and Hochberg.
    """
    members: dict[object, list[int]] = {}
    for node, family in enumerate(families):
        members.setdefault(family, []).append(node)
    below: dict[int, list[int]] = {}
    for node, parent in enumerate(parents):
        below.setdefault(parent, []).append(node)
    flags = _flags(p, below)
    adjusted, gates = np.full(p.shape, np.nan), np.full(p.shape, np.nan)
    for inside in members.values():
        adjusted[inside], gates[inside] = bh_adjusted(p[inside]), bh_adjusted(flags[inside])
    q = np.full(p.shape, np.nan)
    for inside in members.values():
        rate, parent = adjusted[inside], parents[inside[0]]
        while parent >= 0:
            rate = _rate_above(rate, gates[members[families[parent]]], gates[parent])
            parent = parents[parent]
        q[inside] = np.minimum(rate, 1)
    return q


def tree_q_values(table: pd.DataFrame, units: Units, shown: pd.Series | None = None) -> pd.Series:
    """Return q over the tree of every row with a level, unit, code and p; the plain q where there is no tree.

    Parameters
    ----------
    table
        With column ``q`` (Benjamini–Hochberg within level and code), which holds for the root, group columns and crosses.
    units
        As they are in the period.
    shown
        Rows that are judged; the others take no part. Where none are shown all are judged.
    """
    q = table["q"].to_numpy(float).copy()
    judged = table["p"].notna().to_numpy()
    if shown is not None and (kept := shown.reindex(table.index).to_numpy(bool)).any():
        judged = judged & kept
    depth = {level: place for place, level in enumerate(units.levels) if level != units.root.level}
    in_tree = table["level"].isin(list(depth)).to_numpy() & (table["unit"] != ALL).to_numpy()
    rows = table[in_tree]
    nodes = rows[["level", "unit"]].drop_duplicates()
    nodes = nodes.iloc[np.argsort(nodes["level"].map(depth).to_numpy(), kind="stable")]
    place = {key: i for i, key in enumerate(zip(nodes["level"], nodes["unit"], strict=True))}
    codes = {code: j for j, code in enumerate(rows["code"].unique())}
    i = np.array([place[key] for key in keys_of(rows, "level", "unit")], dtype=int)
    j = rows["code"].map(codes).to_numpy(int)
    p = np.full((len(place), len(codes)), np.nan)
    p[i, j] = np.where(judged[in_tree], rows["p"].to_numpy(float), np.nan)
    parents, families = _families(list(place), units, np.isfinite(p).any(axis=1))
    q[in_tree] = tree_q(p, parents, families)[i, j]
    return pd.Series(q, index=table.index)


def bh_adjusted(p: np.ndarray) -> np.ndarray:
    """Adjusted p of Benjamini and Hochberg (1995) down each column; NaN is left out."""
    order = np.argsort(p, axis=0)  # NaN last
    known = np.isfinite(p).sum(axis=0)
    place = np.arange(1, len(p) + 1)[:, None]
    scaled = np.where(place <= known, np.take_along_axis(p, order, 0) * known / place, np.inf)
    lowest = np.minimum(np.minimum.accumulate(scaled[::-1], axis=0)[::-1], 1)
    adjusted = np.empty_like(p)
    np.put_along_axis(adjusted, order, lowest, 0)
    return np.where(np.isfinite(p), adjusted, np.nan)


def simes(p: np.ndarray) -> np.ndarray:
    """P that none of several hypotheses is false (Simes 1986), down each column; NaN is left out, 1 where all are."""
    known = np.isfinite(p).sum(axis=0)
    place = np.arange(1, len(p) + 1)[:, None]
    scaled = np.where(place <= known, np.sort(p, axis=0) * known / place, np.inf)
    return np.asarray(np.minimum(scaled.min(axis=0, initial=np.inf), 1))


def _flags(p: np.ndarray, below: Mapping[int, list[int]]) -> np.ndarray:
    """P by which each node is flagged: its own, with those of everything below it."""
    flags = p.copy()
    for node in range(len(p) - 1, -1, -1):
        if node in below:
            both = np.stack([p[node], simes(flags[below[node]])])
            flags[node] = np.where(np.isfinite(p[node]), simes(both), both[1])
    return flags


def _rate_above(rate: np.ndarray, gates: np.ndarray, own: np.ndarray) -> np.ndarray:
    """Return the rate a family must have for one of its members' children to be looked at with a given rate.

    With R of m members flagged children are looked at with the family's rate times R/m: the smallest rate over all R.

    Parameters
    ----------
    rate
        Wanted for the children; children × codes.
    gates
        Adjusted p by which the members are flagged; members × codes.
    own
        That of the children's parent.
    """
    known = np.isfinite(gates).sum(axis=0)
    flagged = np.sort(np.where(np.isfinite(gates), gates, np.inf), axis=0)
    needed = np.full(rate.shape, np.inf)
    for number in range(1, len(gates) + 1):
        with np.errstate(invalid="ignore"):
            needed = np.fmin(needed, np.maximum(flagged[number - 1], rate * known / number))
    gate = np.where(np.isfinite(own), own, 1.0)
    return np.where(np.isfinite(rate), np.maximum(needed, gate), np.nan)


def _families(
    nodes: Sequence[tuple[str, str]], units: Units, tested: np.ndarray
) -> tuple[list[int], list[tuple[int, str]]]:
    """Return each node's parent (the nearest unit above that is tested) and the name of its family: parent and level."""
    place = {unit: i for i, (_, unit) in enumerate(nodes) if tested[i]}
    parents = [next((place[above] for above in units.ancestors(unit) if above in place), -1) for _, unit in nodes]
    return parents, [(parent, level) for parent, (level, _) in zip(parents, nodes, strict=True)]
