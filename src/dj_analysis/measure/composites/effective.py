"""Effective weights: the share of each part in the variance and in the change of the whole."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import pandas as pd
from scipy.interpolate import make_smoothing_spline

from ...errors import UsageError
from ...result import Result
from ...spec import reasons
from ...spec.specification import Specification
from ...spec.tree import Tree
from .choices import Choices
from .comoments import Comoments
from .composite import CONSTANT
from .siblings import Siblings, read_siblings
from .weighting import MANY_ENOUGH
from .weights import column_shares, path_weights

Curve = Literal["linear", "spline"]
KEYS = ("parent", "code")
STATISTICS = (
    "weight", "correlation_ratio", "effective", "variance_share", "change", "change_share", "cases", "n",
)  # fmt: skip
NO_EARLIER = "no_earlier_data"


def effective_weights(
    data: Any,
    tree: Tree | None = None,
    *,
    before: Any = None,
    below: Literal["children", "leaves"] = "children",
    curve: Curve = "linear",
    choices: Choices | None = None,
    groups: str | None = None,
    level: str = "unit",
) -> Result:
    """Compare declared weights with effective weights, the actual influence of the parts.

    A part that varies little, or runs against the others, decides little whatever its weight.

    Parameters
    ----------
    data
        A survey, ``ws.indicators(period)``, or a dataframe with a row a unit, as for
        :func:`~dj_analysis.measure.weighting.weigh`; only rows with all parts of a node are used.
    tree
        The tree of a frame.
    before
        The same for an earlier period: adds what each part contributed to the change of the mean. What the normaliser learns
        is learned there and used for both.
    below
        Compare a node with its ``children``, or with all ``leaves`` below it.
    curve
        How the mean of the node is read from a part: a straight ``linear`` line, or a smoothing ``spline`` whose smoothness
        generalised cross-validation chooses (units only).
    choices, groups, level
        As in :func:`~dj_analysis.measure.composite.composite`.

    Returns
    -------
    Result
        parent, code; weight (declared share, path weights for leaves); correlation_ratio Var(E[y|x])/Var(y), the first-order
        sensitivity index (Pearson 1905; Paruolo, Saisana & Saltelli 2013), r² on the linear curve; effective (its share of
        the sum over the parts, to be read beside weight); variance_share w·cov(x, y)/Var(y), which adds up to 1 and may be
        negative; change (points contributed to the change of the mean) and change_share; cases, n (people), reason.
        variance_share and change hold for weighted arithmetic means only; under other aggregators they are missing.

    Notes
    -----
    Correlated parts share their influence, so correlation ratios add up to more than 1; they describe, they do not divide.
    """
    chosen = choices or Choices()
    earlier = None if before is None else read_siblings(before, tree, chosen, groups, level)
    # A change is one of values on one scale: what was learned before holds now.
    source = read_siblings(data, tree, chosen, groups, level, fitted=earlier.fitted if earlier else None)
    if source.moments is None or source.tree is None:
        raise UsageError("需要数据和指标树 (data with a tree are needed)")
    if curve == "spline" and source.table is None:
        raise UsageError("spline 只用于单位数据 (spline needs a frame of units)")
    rows: list[pd.DataFrame] = []
    for parent, family in source.families.items():
        weights = dict(family) if below == "children" else path_weights(source.tree, parent)
        codes = [code for code in weights if code in _family_codes(source)]
        nominal = column_shares(np.array([weights[code] for code in codes]))
        rows.append(_of_node(source, earlier, parent, codes, nominal, curve, chosen.aggregator == "arithmetic"))
    return _packed(pd.concat(rows, ignore_index=True), source, earlier)


def _family_codes(source: Siblings) -> set[str]:
    return {code for family in source.families.values() for code in family}


def _of_node(
    source: Siblings,
    earlier: Siblings | None,
    parent: str,
    codes: list[str],
    weights: np.ndarray,
    curve: Curve,
    linear: bool,
) -> pd.DataFrame:
    """Compare one node with its parts; the node is the last column of the moments."""
    current = _moments(source, [*codes, parent])
    table = pd.DataFrame({"parent": parent, "code": codes, "weight": weights}).reindex(columns=[*KEYS, *STATISTICS])
    table["cases"], table["reason"] = float(current.cases), ""
    if current.cases < MANY_ENOUGH or not current.varies[-1]:
        return table.assign(reason=reasons.TOO_FEW_TO_JUDGE if current.cases < MANY_ENOUGH else CONSTANT)
    ratio = current.correlation[:-1, -1] ** 2 if curve == "linear" else _curved(source, codes, parent)
    table["correlation_ratio"] = np.where(current.varies[:-1], ratio, 0.0)
    table["effective"] = column_shares(table["correlation_ratio"].to_numpy())
    if linear:
        table["variance_share"] = weights * current.covariance[:-1, -1] / current.covariance[-1, -1]
    return _with_change(table, current, earlier, [*codes, parent], weights) if linear and earlier else table


def _with_change(
    table: pd.DataFrame, current: Comoments, earlier: Siblings, codes: list[str], weights: np.ndarray
) -> pd.DataFrame:
    previous = _moments(earlier, codes)
    if previous.cases < MANY_ENOUGH:
        return table.assign(reason=NO_EARLIER)
    change = weights * (current.mean - previous.mean)[:-1]
    with np.errstate(divide="ignore", invalid="ignore"):
        share = change / change.sum()
    share = np.where(np.abs(change.sum()) > 1e-9, share, np.nan)
    return table.assign(change=change, change_share=share, cases=float(min(current.cases, previous.cases)))


def _moments(source: Siblings, codes: list[str]) -> Comoments:
    assert source.moments is not None, "checked by the caller"
    return source.moments(codes, True, False)


def _curved(source: Siblings, codes: list[str], parent: str) -> np.ndarray:
    """Share of the node's variance that a smoothing spline of each part explains."""
    assert source.table is not None, "checked by the caller"
    table = source.table[[*codes, parent]].dropna()
    return np.array([_explained(table[code].to_numpy(), table[parent].to_numpy()) for code in codes])


def _explained(x: np.ndarray, y: np.ndarray) -> float:
    values, group, counts = np.unique(x, return_inverse=True, return_counts=True)
    means = np.bincount(group, weights=y) / counts
    # A spline needs five points; below, the means of each value are the curve.
    curve = make_smoothing_spline(values, means, w=counts.astype(float))(values) if len(values) >= 5 else means
    return float(np.clip(np.var(curve[group]) / np.var(y), 0, 1))


def _packed(table: pd.DataFrame, source: Siblings, earlier: Siblings | None) -> Result:
    declares: dict[str, Any] = {
        "period": "",
        "periods": ("",),
        "about": "units",
        "programme": "indicators",
        "spec": Specification(),
    }
    declares |= {"n": None} | dict(source.declares)
    if earlier is not None:
        periods = (*earlier.declares.get("periods", ()), *source.declares.get("periods", ()))
        declares["periods"] = tuple(dict.fromkeys(periods))
    if source.about_people:
        table["n"] = table["cases"]
    table = table.astype(dict.fromkeys(STATISTICS, "float64") | dict.fromkeys((*KEYS, "reason"), "str"))
    return Result(table, KEYS, STATISTICS, **declares)
