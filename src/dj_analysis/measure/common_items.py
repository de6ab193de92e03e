"""Scores of a wave on the questions it has in common with other waves, computed from its sums."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace

import numpy as np

from ..spec.codebook import Codebook
from ..spec.specification import CROSS
from ..spec.tree import Form, Node, Tree
from .crossnames import parts_of
from .scores import Scores
from .survey import Survey
from .survey_scores import scores_of_sums
from .unitsums import UnitSums

FORM: Form = "anchors"
LEAST_SHARE = 0.5  # of the questions of either wave that must be common, as a score needs half its questions answered


def asked_items(scores: Scores) -> Tree:
    """Return the tree of anchors as a wave asked it."""
    codebook: Codebook = scores.spec.codebook.at(scores.period)
    held = {code for block in scores.sums.values() for form, code in block.cells if form == FORM}
    tree = codebook.tree.in_form(FORM)
    return replace(tree, nodes=tuple(node for node in tree.nodes if not held or node.code in held))


def common_items(waves: Sequence[Scores]) -> dict[str, set[str]]:
    """Return code → the questions below it that every wave asked, with the same range and direction.

    A question that was reworded under a new code is not common; one that kept its code is, by decision of the office.
    """
    asked = [{(leaf.code, _meaning(leaf)) for leaf in asked_items(scores).leaves} for scores in waves]
    shared = {code for code, _ in set.intersection(*asked)} if asked else set()
    tree = asked_items(waves[-1])
    return {node.code: {leaf.code for leaf in tree.leaves_of(node.code)} & shared for node in tree.inner}


def enough_in_common(code: str, shared: Collection[str], waves: Sequence[Scores]) -> bool:
    """Tell whether at least half of the questions of a code in each wave are common to all of them."""
    return all(
        len(shared) >= LEAST_SHARE * len(tree.leaves_of(code)) for tree in map(asked_items, waves) if code in tree
    ) and bool(shared)


def on_common_items(scores: Scores, shared: Collection[str]) -> Scores:
    """Return scores of dimensions and index on the questions in common alone; questions themselves stay as they are.

    In each finest unit the mean is that over the answers to these questions. Their variance needs how two questions vary
    together, of which sums hold only the average over all pairs of a dimension: it is taken for the pairs in common
    (a single common factor of the questions; against the answers themselves the error is right to a few per cent,
    docs/methods). The same holds for dimensions within the index. Nothing but sums is needed: answers may be purged.

    Parameters
    ----------
    scores
        Of one survey wave, with its sums.
    shared
        Codes of the questions in common.
    """
    tree = asked_items(scores)
    if not scores.sums or all(leaf.code in shared for leaf in tree.leaves):
        return scores
    sums = {axis: _restricted(block, tree, shared) for axis, block in scores.sums.items()}
    forms = tuple(
        form for form in ("anchors", "full") if any(form == cell[0] for cell in next(iter(sums.values())).cells)
    )
    wave = Survey(None, scores.spec, scores.period, forms, dict.fromkeys(sums, ""))  # type: ignore[arg-type]
    root = scores.spec.units.at(scores.period).root.level
    levels = [level for level in scores.table["level"].unique() if level != root]
    by = [tuple(parts_of(level)) if CROSS in level else level for level in levels]
    table = scores_of_sums(sums, wave, by).table
    kept = scores.table[["level", "unit", "form", "code"]].merge(table, on=["level", "unit", "form", "code"])
    return replace(scores, table=kept[scores.table.columns], sums=sums, mark="")


def _meaning(leaf: Node) -> tuple[float, float, int]:
    return leaf.minimum, leaf.maximum, leaf.direction


def _restricted(sums: UnitSums, tree: Tree, shared: Collection[str]) -> UnitSums:
    """Replace the sums of every node above a question that is not common; a node without common questions has none."""
    place = {cell: j for j, cell in enumerate(sums.cells)}
    changed = {name: values.copy() for name, values in sums.sums.items()}
    kept_leaves: dict[str, set[str]] = {leaf.code: {leaf.code} & set(shared) for leaf in tree.leaves}
    for node in tree.inner:  # children come before their parent
        children = tree.children(node.code)
        kept_leaves[node.code] = set().union(*(kept_leaves[child.code] for child in children))
        if all(leaf.code in shared for leaf in tree.leaves_of(node.code)) or (FORM, node.code) not in place:
            continue
        j = place[FORM, node.code]
        inside = [child for child in children if (FORM, child.code) in place]
        kept = [child for child in inside if kept_leaves[child.code]]
        if not kept:
            for values in changed.values():
                values[:, j] = 0
            continue
        before = [_moments(sums.sums, place[FORM, child.code]) for child in inside]
        after = {child.code: _moments(changed, place[FORM, child.code]) for child in kept}
        _replace(changed, _moments(sums.sums, j), j, inside, before, kept, after)
    return replace(sums, sums=changed)


def _moments(sums: Mapping[str, np.ndarray], j: int) -> dict[str, np.ndarray]:
    w = sums["w"][:, j]
    with np.errstate(divide="ignore", invalid="ignore"):
        mean = sums["wx"][:, j] / w
        variance = np.maximum(sums["wxx"][:, j] / w - mean**2, 0)
        third = sums["wxxx"][:, j] / w - 3 * mean * sums["wxx"][:, j] / w + 2 * mean**3 if "wxxx" in sums else 0 * w
        fourth = 3 * variance**2 + 0 * w
        if "wxxxx" in sums:
            cubes, squares = sums["wxxx"][:, j] / w, sums["wxx"][:, j] / w
            fourth = sums["wxxxx"][:, j] / w - 4 * mean * cubes + 6 * mean**2 * squares - 3 * mean**4
    return {"mean": mean, "variance": variance, "third": third, "fourth": fourth}


def _replace(
    sums: dict[str, np.ndarray],
    whole: Mapping[str, np.ndarray],
    j: int,
    inside: Sequence[Node],
    before: Sequence[Mapping[str, np.ndarray]],
    kept: Sequence[Node],
    after: Mapping[str, Mapping[str, np.ndarray]],
) -> None:
    """Write mean and variance of a node on the children kept, with the average covariance of all its children."""
    a = _shares([child.weight for child in inside], [one["mean"] for one in before])
    alone = sum(share**2 * np.nan_to_num(one["variance"]) for share, one in zip(a, before, strict=True))
    pairs = 1 - (a**2).sum(axis=0)
    with np.errstate(divide="ignore", invalid="ignore"):
        covariance = np.where(pairs > 1e-9, (whole["variance"] - alone) / pairs, 0.0)
    means = [after[child.code]["mean"] for child in kept]
    b = _shares([child.weight for child in kept], means)
    mean = sum(share * np.nan_to_num(one) for share, one in zip(b, means, strict=True))
    own = sum(share**2 * np.nan_to_num(after[child.code]["variance"]) for share, child in zip(b, kept, strict=True))
    variance = np.maximum(own + (1 - (b**2).sum(axis=0)) * covariance, 0)
    with np.errstate(divide="ignore", invalid="ignore"):
        skewness = np.where(whole["variance"] > 0, whole["third"] / whole["variance"] ** 1.5, 0.0)
        kurtosis = np.where(whole["variance"] > 0, whole["fourth"] / whole["variance"] ** 2, 0.0)
    third, fourth = np.nan_to_num(skewness) * variance**1.5, np.nan_to_num(kurtosis) * variance**2
    there = b.sum(axis=0) > 0
    n, w, ww = (np.where(there, sums[name][:, j], 0) for name in ("n", "w", "ww"))
    square = variance + mean**2
    written = {
        "n": n, "w": w, "ww": ww, "wx": w * mean, "wxx": w * square, "wwx": ww * mean, "wwxx": ww * square,
        "wxxx": w * (third + 3 * mean * square - 2 * mean**3),
        "wxxxx": w * (fourth + 4 * mean * third + 6 * mean**2 * variance + mean**4),
    }  # fmt: skip
    if "tvar" in sums:  # teams differ as persons do: their design effect stays
        with np.errstate(divide="ignore", invalid="ignore"):
            sums["tvar"][:, j] *= np.where(whole["variance"] > 0, variance / whole["variance"], 0.0)
    for name in (name for name in written if name in sums):
        sums[name][:, j] = written[name]


def _shares(weights: Sequence[float], means: Sequence[np.ndarray]) -> np.ndarray:
    """Return children × units: each child's share among those with answers in the unit."""
    given = np.array([np.where(np.isnan(mean), 0.0, weight) for weight, mean in zip(weights, means, strict=True)])
    total = given.sum(axis=0)
    return np.divide(given, total, out=np.zeros_like(given), where=total > 0)
