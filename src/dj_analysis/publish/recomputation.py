"""The block from which a reader can compute scores of units again: values, ranges, weights, and the scores as printed."""

from __future__ import annotations

from typing import Any

import pandas as pd

from ..errors import UsageError
from ..release.protect import Protected
from ..spec import reasons
from ..spec.columns import in_form
from ..spec.tree import Indicator, Node, Tree
from .blocks import Block, printed_only, sealed_block
from .wording import say

NUMBERS = ("weight", "minimum", "maximum", "min_share", "points_each")
WORDS = ("code", "parent", "role", "aggregator", "kind")


def recomputation(values: Protected, scores: Protected) -> Block:
    """Give the values, ranges and weights that scores of units are computed from; a workbook computes them again by formulas.

    Other formats show a line that names the sheet. Where an indicator is about persons, its values are not given and
    nothing can be computed again: then the block says so.

    Parameters
    ----------
    values
        ``methods.leaf_values(…)``, protected; its units are those shown.
    scores
        ``dj.score(…)`` of the same period, protected: the scores as printed.

    Examples
    --------
    >>> dj.recomputation(dj.protect(values, plan), dj.protect(marks, plan))  # doctest: +SKIP
    """
    values, scores = printed_only(values), printed_only(scores)
    if "value_scored" not in values.table:
        raise UsageError("recomputation: 需要 methods.leaf_values 的结果 (a result of methods.leaf_values is needed)")
    spec, language = values.spec, values.spec.language
    tree = spec.indicators.at(values.period) if spec.indicators is not None else Tree((), about="units")
    if any(leaf.about == "persons" for leaf in tree.leaves):
        return sealed_block("recomputation", {"text": say(language, "recompute_persons")}, {"values": values})
    leaves = [leaf.code for leaf in tree.leaves]
    table = values.table[~values.table["reason"].isin(reasons.HIDING)]
    units = list(dict.fromkeys(zip(table["level"], table["unit"], strict=True)))
    cells = table.set_index(["level", "unit", "code"])
    totals = scores.table[(scores.table["code"] == tree.top) & (scores.table["period"] == values.period)]
    told = totals.drop_duplicates(["level", "unit"]).set_index(["level", "unit"])["score"]
    rows = [[_cell(cells, (*unit, code)) for code in leaves] for unit in units]
    content: dict[str, Any] = {
        "text": say(language, "recompute_note", sheet=say(language, "sheet_recompute")),
        "period": values.period,
        "nodes": [_declared(node, language) for node in tree.nodes],
        "leaves": leaves,
        "units": [spec.unit_label(unit, level) for level, unit in units],
        "values": rows,
        "printed": [in_form(told.get(unit, float("nan")), "number") for unit in units],
    }
    return sealed_block("recomputation", content, {"values": values, "scores": scores})


def tree_of(content: dict[str, Any]) -> Tree:
    """Return the indicator tree of a block's content."""
    nodes = []
    for node in content["nodes"]:
        numbers = {name: float("nan") if node[name] is None else float(node[name]) for name in NUMBERS}
        words = {name: str(node[name]) for name in WORDS}
        label = str(node["label"])
        nodes.append(Indicator(label_zh=label, label_en=label, direction=int(node["direction"]), **words, **numbers))  # type: ignore[arg-type]
    return Tree(tuple(nodes), about="units")


def _declared(node: Node, language: str) -> dict[str, Any]:
    numbers = {name: getattr(node, name, float("nan")) for name in NUMBERS}
    known = {name: None if pd.isna(number) else float(number) for name, number in numbers.items()}
    words = {name: str(getattr(node, name, "")) for name in WORDS}
    return {**words, **known, "direction": node.direction, "label": node.label(language)}


def _cell(cells: pd.DataFrame, key: tuple[str, str, str]) -> float | str | None:
    """Return a value, ``not_applicable``, or None where it is missing."""
    if key not in cells.index:
        return None
    row = cells.loc[key]
    if pd.notna(row["value_scored"]):
        return float(row["value_scored"])
    return reasons.NOT_APPLICABLE if row["reason"] == reasons.NOT_APPLICABLE else None
