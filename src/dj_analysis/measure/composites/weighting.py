"""Weights for a tree: declared, equal or data-driven."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np
import pandas as pd

from ...errors import DataError, UsageError, unknown
from ...result import rows_of
from ...spec import reasons
from ...spec.tree import Tree
from .choices import Choices
from .composite import CONSTANT
from .siblings import Siblings, read_siblings
from .weight_methods import METHODS, Contents
from .weights import Weights, column_shares, packed

DECLARED = ("equal", "direct")
ALL_METHODS = (*DECLARED, *METHODS, "combined")
How = Literal["linear", "geometric"]
ALIKE = "all_indicators_move_together_cannot"
MANY_ENOUGH = 3  # complete rows, below which no weight is computed from the data


def weigh(
    data: Any,
    method: str | Contents = "critic",
    *,
    tree: Tree | None = None,
    choices: Choices | None = None,
    given: Mapping[str, float] | None = None,
    of: Sequence[str | Contents | Weights] = (),
    how: How = "linear",
    share: float = 0.5,
    groups: str | None = None,
    level: str = "unit",
    year: str = "",
) -> Weights:
    """Weigh the children of every node of a tree, or the columns of a table.

    Parameters
    ----------
    data
        A tree (``equal``, ``direct``); a survey: respondents are the rows, their weights are honoured, and only sums leave
        the frame; ``ws.indicators(period)`` or any dataframe with a row a unit: every unit counts once, of a span with the
        mean of its months.
    method
        ``equal``; ``direct``: the declared weights, or ``given``; ``entropy``, ``critic``, ``pca``: see
        :mod:`~dj_analysis.measure.weight_methods`; ``combined``: two of them; or a researcher's own function of moments.
    tree
        The tree of a frame. Without one all number columns except ``unit`` are siblings, taken as they are: high is good.
    choices
        How indicator values are brought to one scale, and children scored, before a tree's siblings are compared: goalposts
        by default, as :func:`dj_analysis.score` does. CRITIC rescales min–max in any case, PCA uses correlations; entropy
        depends on the zero of the scale, so on this choice.
    given
        Code → weight ≥ 0 for ``direct``; scale is free.
    of, how, share
        The two methods (or results) of ``combined``, and how: ``linear`` share·w₁ + (1 − share)·w₂, or ``geometric``
        w₁^share·w₂^(1−share) divided by its sum, in which a 0 on either side stays 0.
    groups, level
        Group column of the imputation, and level of the units of indicators, as in :func:`composite`.
    year
        Freeze the weights for this year.

    Returns
    -------
    Weights
        A row for every parent and child. Rows with a missing child are left out (``cases`` says how many remain); fewer than
        three, or siblings without any spread, give missing weights with the reason. Where children are nodes, their scores
        under the declared weights are compared.

    Raises
    ------
    DataError
        Negative values under entropy.
    UsageError
        A method that does not exist, or one that needs data it was not given.

    Examples
    --------
    >>> weigh(branches, "critic", tree=tree).table[["parent", "code", "weight"]]  # doctest: +SKIP

    Notes
    -----
    Data-driven weights say how much an indicator distinguishes the units at hand, not how important it is; with noisy
    small units they reward noise.
    """
    source = read_siblings(data, tree, choices, groups, level)
    rows = _combined(source, of, how, share, given) if method == "combined" else _rows(source, method, given)
    # Declared weights contain no information about respondents.
    declares = (
        source.declares if method not in DECLARED else {k: source.declares[k] for k in _PLAIN & set(source.declares)}
    )
    weights = packed(pd.DataFrame(rows), **declares)
    return weights.frozen(year) if year else weights


_PLAIN = {"period", "periods", "spec"}


def _rows(source: Siblings, method: str | Contents, given: Mapping[str, float] | None) -> list[dict[str, Any]]:
    """Weigh every family by one method."""
    rows = []
    codes = {code for family in source.families.values() for code in family}
    for code in given or {}:
        if code not in codes:
            raise unknown("代码/code", code, sorted(codes))
    for parent, family in source.families.items():
        if isinstance(method, str) and method in DECLARED:
            weights, cases, why = _declared(parent, family, method, given), float("nan"), [""] * len(family)
        else:
            weights, cases, why = _from_data(source, parent, list(family), method)
        for code, weight, reason in zip(family, weights, why, strict=True):
            rows.append(
                {
                    "parent": parent, "code": code, "weight": weight, "method": _name(method), "cases": cases,
                    "n": cases if source.about_people else float("nan"), "reason": reason,
                }
            )  # fmt: skip
    return rows


def _declared(parent: str, family: Mapping[str, float], method: str, given: Mapping[str, float] | None) -> np.ndarray:
    if method == "equal":
        return column_shares(np.ones(len(family)))
    source = {**family, **given} if given else family
    contents = np.array([source[code] for code in family], dtype=float)
    if not (np.isfinite(contents).all() and (contents >= 0).all() and contents.sum() > 0):
        raise UsageError(f"{parent or '权重'}: 权重应非负且和大于 0 (weights must be >= 0 with a sum above 0)")
    return column_shares(contents)


def _from_data(
    source: Siblings, parent: str, codes: list[str], method: str | Contents
) -> tuple[np.ndarray, float, list[str]]:
    function = _function(method)
    if source.moments is None:
        raise UsageError(f"{_name(method)} 需要数据,不只是树 (it needs data: a survey or a frame)")
    available = [code for code in codes if source.table is None or source.table[code].notna().any()]
    products, logs = function is not METHODS["entropy"], function not in (METHODS["critic"], METHODS["pca"])
    moments = source.moments(available, products, logs)
    if moments.cases < MANY_ENOUGH:
        weights, why = np.full(len(available), np.nan), [reasons.TOO_FEW_TO_JUDGE] * len(available)
    elif len(available) == 1:
        weights, why = np.ones(1), [""]
    else:
        weights, why = _shares(parent, available, _name(method), function(moments), moments.varies)
    of_code = dict(zip(available, zip(weights, why, strict=True), strict=True))
    pairs = [of_code.get(code, (float("nan"), reasons.MISSING_VALUE)) for code in codes]
    return np.array([weight for weight, _ in pairs]), float(moments.cases), [reason for _, reason in pairs]


def _shares(
    parent: str, codes: list[str], method: str, contents: np.ndarray, varies: np.ndarray
) -> tuple[np.ndarray, list[str]]:
    """Convert contents to weights, with the reason of every one that is 0 or missing for lack of variance."""
    negative = [code for code, content in zip(codes, contents, strict=True) if np.isnan(content)]
    if negative:
        raise DataError(
            f"{parent or '表'}: {', '.join(negative)} 有负值或均值为 0,{method} 无定义;给出指标树,用其区间换算到 0–100"
            f" (negative values: give a tree, whose ranges bring them to 0–100)"
        )
    weights = column_shares(np.asarray(contents, dtype=float))
    if np.isnan(weights).any():
        return weights, [CONSTANT if not varies.any() else ALIKE] * len(codes)
    return weights, [CONSTANT if not column_varies else "" for column_varies in varies]


def _combined(
    source: Siblings, of: Sequence[str | Contents | Weights], how: str, share: float, given: Mapping[str, float] | None
) -> list[dict[str, Any]]:
    """Combine two sets of weights below every parent; the formula stands in the column method."""
    if len(of) != 2 or how not in ("linear", "geometric") or not 0 <= share <= 1:
        raise UsageError(
            "combined 需要 of=(方法1, 方法2),how='linear' 或 'geometric',0 <= share <= 1"
            " (two methods, how, and the share of the first are needed)"
        )
    first, second = (
        part.table if isinstance(part, Weights) else pd.DataFrame(_rows(source, part, given)) for part in of
    )
    codes = [set(zip(part["parent"], part["code"], strict=True)) for part in (first, second)]
    if codes[0] != codes[1]:
        differing = ", ".join(sorted(f"{parent} > {code}" for parent, code in codes[0] ^ codes[1]))
        raise UsageError(f"两套权重的代码不同 (the two sets have different codes): {differing}")
    both = first.merge(second, on=["parent", "code"], how="left", suffixes=("", "_2"))
    a, b = both["weight"].to_numpy(), both["weight_2"].to_numpy()
    combined = share * a + (1 - share) * b if how == "linear" else a**share * b ** (1 - share)
    both["weight"] = (
        pd.Series(combined).groupby(both["parent"]).transform(lambda block: column_shares(block.to_numpy()))
    )
    names = [" + ".join(dict.fromkeys(part["method"])) for part in (first, second)]
    formula = (
        f"{share:g}*{names[0]} + {1 - share:g}*{names[1]}"
        if how == "linear"
        else f"{names[0]}^{share:g} * {names[1]}^{1 - share:g} / sum"
    )
    both["method"] = f"combined: {formula}"
    both["reason"] = np.where(both["reason"] != "", both["reason"], both["reason_2"])
    for name in ("cases", "n"):
        both[name] = both[[name, f"{name}_2"]].min(axis=1)
    return rows_of(both[["parent", "code", "weight", "method", "cases", "n", "reason"]])


def _function(method: str | Contents) -> Contents:
    if callable(method):
        return method
    if method not in METHODS:
        raise unknown("赋权方法/method", method, ALL_METHODS)
    return METHODS[method]


def _name(method: str | Contents) -> str:
    return method if isinstance(method, str) else method.__name__
