"""Composite scores of units on an indicator tree, with choices other than goalposts and arithmetic means.

The order of the steps is that of the OECD/JRC Handbook (2008): denominators, missing values, outliers, one scale, up the
tree. What is learned from the data is part of the result and can be applied to the next period.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from ...errors import Problems, UsageError, unknown
from ...result import Result
from ...spec import reasons
from ...spec.bands import SLACK
from ...spec.specification import Specification
from ...spec.tree import Node, Tree
from ..scoring import score_frame
from ..survey import Indicators
from .aggregators import POSITIVE, aggregator
from .choices import Choices
from .normalisers import HIGH, LOW, Ends, normaliser
from .preparing import held, imputed, learn_imputation, learn_limits
from .unit_values import UnitValues, unit_values
from .upward import node_points

CONSTANT = "same_value_everywhere_cannot_rescaled"
NOT_POSITIVE = "negative_values_have_no_geometric"
KEYS = ("period", "level", "unit", "code")

#: Stages by name, in their order.
Stages = dict[str, np.ndarray]


@dataclass(frozen=True)
class Composite(Result):
    """Composite scores of units with the fitted parameters.

    ``.table``: period, level, unit, code (every node and leaf), score (0–100 where the normaliser has a range, high is
    good), availability (share of the leaves below that were there before imputation), n (smallest declared number of
    people behind a leaf below; missing where none is declared), reason (why a score is missing).

    ``.stages.table``: the keys, stage (``raw``, ``denominated``, ``imputed``, ``treated``, ``normalised``; those that were
    done), value, n, reason.

    ``.fitted``: plain values for JSON: imputation means, limits and cells of winsorising, parameters of the normaliser,
    with a version; hand it to :func:`composite` for the next period.
    """

    fitted: Mapping[str, Any] = field(default_factory=dict, repr=False)

    @property
    def stages(self) -> Result:
        """Values of the leaves after each step."""
        return self.parts["stages"]

    def wide(self) -> pd.DataFrame:
        """Return the scores with a row a unit (column ``unit``) and a column a code."""
        codes = list(dict.fromkeys(self.table["code"]))
        table = self.table.pivot(index="unit", columns="code", values="score")[codes]
        units = list(dict.fromkeys(self.table["unit"]))
        return table.reindex(units).rename_axis(columns=None).reset_index()


def composite(
    frame: Any,
    tree: Tree | None = None,
    choices: Choices | None = None,
    *,
    groups: str | None = None,
    fitted: Mapping[str, Any] | None = None,
    level: str = "unit",
    period: str = "",
) -> Composite:
    """Score units on an indicator tree with other normalisers, aggregators, imputations and treatments.

    With the default choices the numbers are those of :func:`dj_analysis.score`, by the same code. Every unit counts once
    when means, spreads, ranks and limits are learned, whatever its size.

    Parameters
    ----------
    frame
        Any dataframe with a column ``unit``, one a leaf (NaN is missing), the denominators and the group column; or what
        ``ws.indicators(period)`` returned, of which the units of ``level`` with values of their own are taken.
    tree
        The indicators: parent, direction, weight, range; that of the indicators by default.
    choices
        What differs from plain scoring.
    groups
        Column with the groups of ``group_mean``.
    fitted
        ``.fitted`` of an earlier result with the same tree and choices: nothing is learned anew.
    level, period
        What the rows are, for a frame that does not say it.

    Returns
    -------
    Composite
        A row for every unit and code; a score is missing with a reason where too little is there, where an indicator is
        the same for all units, or where a gap could not be filled.

    Raises
    ------
    DataError
        Units twice, values out of range under goalposts, zeros under a geometric mean.
    UsageError
        Columns that are not there; ``fitted`` of another tree or other choices.

    Examples
    --------
    >>> choices = Choices(normaliser="min_max", aggregator="geometric", floor=1)  # doctest: +SKIP
    >>> scores = composite(branches, tree, choices)  # doctest: +SKIP
    >>> later = composite(next_branches, tree, choices, fitted=scores.fitted)  # doctest: +SKIP

    References
    ----------
    OECD/JRC (2008), Handbook on Constructing Composite Indicators; Becker et al. (2022), COINr, JOSS 7(78) 4567.
    """
    chosen = choices or Choices()
    indicators = tree or (frame.tree if isinstance(frame, Indicators) else None)
    if indicators is None:
        raise UsageError("缺指标树 (a tree is needed): composite(frame, tree)")
    data = unit_values(frame, indicators, denominator=chosen.denominator, groups=groups, level=level, period=period)
    for code in chosen.targets:
        if code not in data.codes:
            raise unknown("targets", code, data.codes)
    if fitted is not None:
        _check_fitted(fitted, data, indicators, chosen)
    stages, learned = _stages(data, indicators, chosen, fitted)
    scores = _scores(data, indicators, chosen, stages)
    return _packed(data, indicators, chosen, stages, scores, learned)


def _stages(
    data: UnitValues, tree: Tree, choices: Choices, fitted: Mapping[str, Any] | None
) -> tuple[Stages, dict[str, Any]]:
    """Transform the values stage by stage; each stage is fitted on the one before, or taken from ``fitted``."""
    codes, values = data.codes, data.values
    learned: dict[str, Any] = dict(fitted) if fitted is not None else _header(data, tree, choices)
    stages: Stages = {"raw": data.raw} | ({"denominated": values} if choices.denominator else {})
    if choices.impute:
        if fitted is None:
            learned["imputation"] = learn_imputation(values, codes, choices.impute, data.groups)
        values = stages["imputed"] = imputed(values, codes, learned["imputation"], data.groups)
    if choices.treat:
        if fitted is None:
            learned["treatment"] = learn_limits(values, codes)
        stages["treated"] = held(values, codes, learned["treatment"])
        if fitted is None:
            learned["winsorised"] = _changed(data, values, stages["treated"])
        values = stages["treated"]
    method = normaliser(choices.normaliser)
    if method.name == "goalposts":
        _check_ranges(values, data)
    if fitted is None:
        learned["normaliser"] = method.fit(values, Ends.of(data.leaves, choices.targets), **choices.options)
    scaled = method.apply(values, learned["normaliser"])
    scaled = np.clip(scaled, LOW, HIGH) if choices.cut else scaled
    stages["normalised"] = choices.floor + scaled * (HIGH - choices.floor) / HIGH if choices.floor else scaled
    return stages, learned


def _header(data: UnitValues, tree: Tree, choices: Choices) -> dict[str, Any]:
    head = {"version": _version(tree, choices), "tree": tree.version, "choices": choices.plain, "period": data.period}
    steps: dict[str, Any] = {"imputation": None, "treatment": None, "winsorised": []}
    return head | {"units": len(data.units), "codes": data.codes} | steps


def _version(tree: Tree, choices: Choices) -> str:
    content = json.dumps([tree.version, choices.plain], sort_keys=True)
    return hashlib.sha256(content.encode()).hexdigest()[:12]


def _check_fitted(fitted: Mapping[str, Any], data: UnitValues, tree: Tree, choices: Choices) -> None:
    for name, fitted_value, current in (
        ("树或选择/tree or choices", fitted.get("version"), _version(tree, choices)),
        ("指标/indicators", list(fitted.get("codes", [])), data.codes),
    ):
        if fitted_value != current:
            raise UsageError(f"fitted 的{name}是 {fitted_value},本次是 {current};请重新拟合 (it differs: fit anew)")


def _changed(data: UnitValues, before: np.ndarray, after: np.ndarray) -> list[dict[str, Any]]:
    """List the cells a step changed."""
    cells = np.argwhere((after != before) & ~np.isnan(before))
    return [
        {"unit": str(data.units[i]), "code": data.codes[j], "before": float(before[i, j]), "after": float(after[i, j])}
        for i, j in cells
    ]


def _check_ranges(values: np.ndarray, data: UnitValues) -> None:
    """Check that goalposts are declared and contain every value."""
    problems = Problems()
    for j, leaf in enumerate(data.leaves):
        if not leaf.minimum < leaf.maximum:
            advice = "填上区间,或用 min_max 等 (give the range, or another normaliser)"
            problems.add(leaf.code, "range", f"{leaf.minimum}–{leaf.maximum}", "minimum < maximum", advice)
            continue
        outside = np.flatnonzero((values[:, j] < leaf.minimum - SLACK) | (values[:, j] > leaf.maximum + SLACK))
        if len(outside):
            offending = f"{data.units[outside[0]]} {values[outside[0], j]:g}"
            allowed, advice = f"{leaf.minimum:g}–{leaf.maximum:g}", "改正数值或区间 (correct value or range)"
            problems.add(leaf.code, "out_of_range", offending, allowed, advice)
    problems.raise_if_any()


def _scores(data: UnitValues, tree: Tree, choices: Choices, stages: Stages) -> dict[str, np.ndarray]:
    """Score every leaf and node; the default choices use the ordinary scoring path."""
    scores = dict(zip(data.codes, stages["normalised"].T, strict=True))
    if choices.as_scored and any(tree.aggregator_of(node) != "arithmetic" for node in tree.inner):
        return scores | node_points(
            tree, scores, {code: data.why[:, j] == reasons.NOT_APPLICABLE for j, code in enumerate(data.codes)}
        )
    if choices.as_scored:
        table = score_frame(pd.DataFrame(data.values, columns=data.codes), {"full": tree})
        scored = [node.code for node in tree.inner if f"full__{node.code}" in table]
        return scores | {code: table[f"full__{code}"].to_numpy(dtype=float, na_value=np.nan) for code in scored}
    _check_positive(scores, data, choices)
    answered = dict(zip(data.codes, ~np.isnan(data.values.T), strict=True))
    for node in tree.inner:
        children = [child for child in tree.children(node.code) if child.code in scores]
        if children:
            scores[node.code] = _node_score(node, children, scores, answered, data, tree, choices)
            answered[node.code] = ~np.isnan(scores[node.code])
    return scores


def _node_score(
    node: Node,
    children: list[Node],
    scores: Mapping[str, np.ndarray],
    answered: Mapping[str, np.ndarray],
    data: UnitValues,
    tree: Tree,
    choices: Choices,
) -> np.ndarray:
    """Average the children where enough are observed; imputed values do not count as observed."""
    values = np.column_stack([scores[child.code] for child in children])
    weights = np.array([child.weight for child in children])
    mean = aggregator(choices.aggregator)(values, weights, reweight=choices.reweight)
    if choices.min_share is None:
        enough = sum(answered[child.code].astype(int) for child in children) >= tree.least(node)
    else:
        enough = _availability(node.code, data, tree) >= choices.min_share - 1e-9
    return np.where(enough, mean, np.nan)


def _check_positive(scores: Mapping[str, np.ndarray], data: UnitValues, choices: Choices) -> None:
    """Refuse zeros and negative values under the geometric and the harmonic mean."""
    if choices.aggregator not in POSITIVE or choices.zeros != "error":
        return
    problems = Problems()
    for leaf in data.leaves:
        not_positive = np.flatnonzero(scores[leaf.code] <= 0)
        if len(not_positive) and leaf.weight > 0:
            offending = (
                f"{data.units[not_positive[0]]} {scores[leaf.code][not_positive[0]]:g} ({len(not_positive)} 个/units)"
            )
            advice = "floor=1 抬高下限,或 zeros='limit' 使合成值为 0 (squeeze to 1–100, or let the whole be 0)"
            problems.add(leaf.code, f"zero_under_{choices.aggregator}", offending, "> 0", advice)
    problems.raise_if_any()


def _availability(code: str, data: UnitValues, tree: Tree) -> np.ndarray:
    """Unweighted share of the leaves declared below a node that are observed."""
    column = {leaf: j for j, leaf in enumerate(data.codes)}
    leaves = [leaf.code for leaf in tree.leaves_of(code)]
    observed = ~np.isnan(data.values[:, [column[leaf] for leaf in leaves if leaf in column]])
    return observed.sum(axis=1) / len(leaves)


def _packed(
    data: UnitValues, tree: Tree, choices: Choices, stages: Stages, scores: Mapping[str, np.ndarray], learned: dict
) -> Composite:
    codes = [code for code in tree.codes if code in scores]
    score = np.column_stack([scores[code] for code in codes])
    table = _rows(
        data,
        codes,
        score=score,
        availability=np.column_stack([_availability(code, data, tree) for code in codes]),
        n=np.column_stack([_people(code, data, tree) for code in codes]),
        reason=_factorised_text(_reasons(data, codes, score, stages, choices)),
    )
    spec = data.spec if data.spec is not None else Specification(indicators=tree)
    common: dict[str, Any] = {
        "period": data.period, "about": "units", "programme": "indicators", "periods": (data.period,), "spec": spec,
        "basis": data.basis,
    }  # fmt: skip
    parts = {"stages": Result(_stage_table(data, stages), (*KEYS, "stage"), ("value", "n"), **common)}
    return Composite(table, KEYS, ("score", "availability", "n"), parts=parts, fitted=learned, **common)


def _rows(data: UnitValues, codes: list[str], times: int = 1, **columns: Any) -> pd.DataFrame:
    """Reshape arrays units × codes to rows, ``times`` such arrays stacked."""
    cell = np.arange(len(data.units) * len(codes))
    keys = {
        "period": _text([data.period]).take(np.zeros(times * len(cell), dtype=int)),
        "level": _text([data.level]).take(np.zeros(times * len(cell), dtype=int)),
        "unit": _text(data.units).take(np.tile(cell // len(codes), times)),
        "code": _text(codes).take(np.tile(cell % len(codes), times)),
    }
    return pd.DataFrame(keys | {name: values.ravel() for name, values in columns.items()})


def _text(values: Any) -> Any:
    return pd.array(values, dtype="str")


def _factorised_text(values: np.ndarray) -> Any:
    """Convert values with few distinct ones to text; factorised, as there may be a million cells."""
    codes, labels = pd.factorize(values.ravel())
    return _text(labels).take(codes)


def _people(code: str, data: UnitValues, tree: Tree) -> np.ndarray:
    """Smallest declared number of people behind an observed leaf below a node."""
    column = {leaf: j for j, leaf in enumerate(data.codes)}
    columns = [column[leaf.code] for leaf in tree.leaves_of(code) if leaf.code in column]
    n = np.where(np.isnan(data.values[:, columns]), np.inf, data.n[:, columns])
    fewest = np.min(np.where(np.isnan(n), np.inf, n), axis=1, initial=np.inf)
    return np.where(np.isinf(fewest), np.nan, fewest)


def _reasons(data: UnitValues, codes: list[str], score: np.ndarray, stages: Stages, choices: Choices) -> np.ndarray:
    """Return the reason of every missing score."""
    before, scaled = list(stages.values())[-2:]
    all_missing = np.isnan(scaled).all(axis=1)
    negative = (scaled < 0).any(axis=1) & (choices.aggregator in POSITIVE)
    of_node = np.where(all_missing, reasons.MISSING_VALUE, np.where(negative, NOT_POSITIVE, reasons.TOO_FEW_TO_JUDGE))
    of_leaf = np.where(np.isnan(before), data.why, CONSTANT)
    column = {leaf: j for j, leaf in enumerate(data.codes)}
    why = np.column_stack([of_leaf[:, column[code]] if code in column else of_node for code in codes])
    return np.where(np.isnan(score), why, "")


def _stage_table(data: UnitValues, stages: Stages) -> pd.DataFrame:
    values, cells = np.stack(list(stages.values())), data.values.size
    why = np.where(np.isnan(data.values), data.why, CONSTANT)
    return _rows(
        data,
        data.codes,
        times=len(stages),
        stage=_text(list(stages)).take(np.repeat(np.arange(len(stages)), cells)),
        value=values,
        n=np.tile(data.n, (len(stages), 1)),
        reason=_factorised_text(np.where(np.isnan(values), why, "")),
    )
