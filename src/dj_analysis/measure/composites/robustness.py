"""Robustness of ranks to the choice of weights and methods."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from ...errors import UsageError, unknown
from ...result import Result
from ...spec import reasons
from ...spec.specification import Specification
from ...spec.tree import Tree
from ..scores import Scores
from ..survey import Indicators
from .alternatives import Alternatives, Design, design_of
from .choices import Choices
from .index_draws import Combination, DrawModel, ranks_of
from .index_input import declared_aggregator, model_of, read_values, top_of
from .unit_values import UnitValues

NOT_ASKED = "not_asked_for"
NOT_EVERYWHERE = "no_score_under_some_choices"
NOT_MOVED = "no_choice_moves_rank"
ONE_UNIT = "fewer_than_two_units_no"
KEYS = ("period", "level", "unit")
STATISTICS = ("n", "score", "rank", "rank_median", "rank_low", "rank_high", "p_top", "top")
_LOW, _HIGH = 0.05, 0.95


@dataclass(frozen=True)
class Robustness(Result):
    """Ranks under alternative choices of method; sampling error is not included.

    ``.table``: period, level, unit, n (smallest declared number of people behind a leaf, missing where none is), score and rank
    (declared choices; 1 is the highest, ties share the best place), rank_median, rank_low, rank_high (5 % and 95 % of the
    draws, rounded outwards), p_top (share of the draws among the first ``top``), top, reason.
    """

    model: DrawModel | None = field(default=None, repr=False, compare=False)
    scale: Any = field(default=None, repr=False, compare=False)
    whole: pd.DataFrame | None = field(default=None, repr=False, compare=False)

    @property
    def shares(self) -> Result:
        """Sensitivity of ranks to each choice: period, level, factor, first, total, alternatives, shift, reason.

        Sobol shares of the variance of the average rank shift (mean over units of |rank − declared rank|): ``first`` by the
        choice alone, ``total`` with everything it does together with others; alternatives (how many ways, sets of weights
        included), shift (mean of the average rank shift over the draws, the same in every row).
        """
        return self.parts["shares"]

    def what_if(self, unit: str, code: str, by: float) -> Result:
        """Rescore a unit after raising one of its leaves, in the unit of measurement of the leaf, all else equal.

        Returns
        -------
        Result
            One row: period, level, unit, code, by, n, value, value_before (points on the 0–100 scale where the result was made
            from Scores), score, score_before, rank, rank_before, reason.

        Raises
        ------
        UsageError
            No such unit or leaf, no value to raise, or a value beyond the declared range.
        """
        return _what_if(self, unit, code, by)


def robustness(
    marks: Scores | Indicators | pd.DataFrame,
    draws: int = 1000,
    seed: int = 0,
    choices: Alternatives | None = None,
    *,
    tree: Tree | None = None,
    base: Choices | None = None,
    level: str | None = None,
    code: str | None = None,
    groups: str | None = None,
    top: int = 3,
    shares: bool = True,
) -> Robustness:
    """Rank units under random draws of weights, normalisers, aggregators and imputations.

    Every draw takes one alternative of each choice and a set of weights for every node; parameters (ends, means,
    spreads) are fitted on the units ranked. All units count once, whatever their size.

    Parameters
    ----------
    marks
        What :func:`dj_analysis.score` gave of ``ws.indicators(period)``: leaf scores are enough, since every normaliser here
        gives the same on raw values and on points of their declared range. Or ``ws.indicators(period)`` itself, or any frame
        with a column ``unit`` and one a leaf (then ``tree`` is needed), which keep raw values: needed for denominators,
        treatment and values beyond the range.
    draws
        Number of draws for the rank ranges. The shares take a design of their own, n·(d+2) draws for d open choices, n the
        power of two at or above ``draws``, 256 at least.
    choices
        The open choices.
    base
        The declared choices beyond the tree; by default plain scoring with the aggregator the tree declares.
    level
        Level of the units ranked; by default the finest with two units or more.
    code
        Node ranked; by default the top of the tree.
    groups
        Column with groups, for ``group_mean``.
    top
        k of p_top.
    shares
        Whether to compute the Sobol shares.

    Returns
    -------
    Robustness
        A unit without a score, or without one under some of the open choices, is a row without a rank, with the reason.

    Raises
    ------
    UsageError
        Scores of a survey, a level or code that does not exist, no draws; without ``base`` a tree whose nodes declare different
        aggregators.

    References
    ----------
    Saisana, Saltelli, Tarantola (2005), JRSS A 168, 307–323; OECD/JRC (2008), Handbook on Constructing Composite Indicators.

    Examples
    --------
    >>> from dj_analysis.spec.tree import Node, Tree
    >>> tree = Tree((Node("T", role="index"), Node("a", "T", minimum=0, maximum=9), Node("b", "T", minimum=0, maximum=9)))
    >>> frame = pd.DataFrame({"unit": ["x", "y", "z"], "a": [9, 5, 1], "b": [8, 6, 2]})
    >>> robustness(frame, 200, tree=tree).table["rank_high"].tolist()
    [1.0, 2.0, 3.0]
    """
    if draws < 1 or top < 1:
        raise UsageError(f"draws = {draws}, top = {top}: 至少为 1 (at least 1)")
    if base is not None and base.zeros == "limit":
        raise UsageError("zeros = 'limit': 用 floor 代替 (give a floor instead): Alternatives(floor=1)")
    data, tree = read_values(marks, tree, base or Choices(), level, groups)
    base = base or Choices(aggregator=declared_aggregator(tree))
    of_points, chosen = isinstance(marks, Scores), choices or Alternatives()
    code = code or top_of(tree)
    model = model_of(data, tree, code, base, chosen.floor, of_points)
    design = design_of(model, chosen, max(draws, 256), seed)
    all_scores = [model.scores(way, [branch.weights[None] for branch in model.branches])[0] for way in design.ways]
    score = all_scores[0]
    ranked = np.flatnonzero(np.isfinite(all_scores).all(axis=0))
    table = _table(data, model, score, top)
    table.loc[~np.isnan(score), "reason"] = NOT_EVERYWHERE
    if len(ranked) > 1:
        _add_ranges(table, model, design, ranked, draws, top, seed)
    table.loc[ranked, "reason"] = "" if len(ranked) > 1 else ONE_UNIT
    common: dict[str, Any] = {
        "period": data.period, "about": "units", "programme": "indicators", "periods": (data.period,),
        "spec": data.spec if data.spec is not None else Specification(indicators=tree), "basis": data.basis,
    }  # fmt: skip
    share_table = _shares(model, design, score, ranked, draws, seed) if shares else _no_shares(design, NOT_ASKED)
    share_table.insert(0, "period", data.period)
    share_table.insert(1, "level", data.level)
    statistics = ("first", "total", "alternatives", "shift")
    share_result = Result(share_table, ("period", "level", "factor"), statistics, n=None, **common)
    scale = data.leaves if of_points else None
    return Robustness(
        table, KEYS, STATISTICS, parts={"shares": share_result}, model=model, scale=scale, whole=table, **common
    )


def sobol_shares(
    function: Callable[[np.ndarray], np.ndarray], factors: Sequence[str], n: int = 1024, seed: int = 0
) -> pd.DataFrame:
    """Compute Sobol's first-order and total shares of a function's variance.

    Saltelli's design and estimators (Saltelli et al. 2010) on Sobol points, by :func:`scipy.stats.sobol_indices`: n·(d+2)
    evaluations. Shares are estimates: small negative ones are noise.

    Parameters
    ----------
    function
        (d × points, uniform on 0–1) → one number a point.
    factors
        Names of the d inputs.
    n
        A power of two.

    Returns
    -------
    DataFrame
        factor, first, total; missing where the function does not vary.
    """
    ranges: list[tuple[float, float]] = []

    def tracked(x: np.ndarray) -> np.ndarray:
        outputs = np.asarray(function(x), dtype=float)
        ranges.append((float(outputs.min()), float(outputs.max())))
        return np.array(outputs, ndmin=2)  # a copy: scipy centres what it is given in place

    table = pd.DataFrame({"factor": list(factors)})
    rng = np.random.default_rng(seed)
    if len(factors) == 1:  # the only factor explains everything
        tracked(rng.random((1, n)))
        first = total = np.ones(1)
    else:
        indices = stats.sobol_indices(func=tracked, n=n, dists=[stats.uniform()] * len(factors), rng=rng)
        first, total = (np.ravel(values).astype(float) for values in (indices.first_order, indices.total_order))
    varies = max(high for _, high in ranges) > min(low for low, _ in ranges)
    return table.assign(first=first if varies else np.nan, total=total if varies else np.nan)


# --- Ranges ---------------------------------------------------------------------------------------------------------


def _evaluated(model: DrawModel, design: Design, picked: dict[str, np.ndarray], ranked: np.ndarray) -> Any:
    """Yield (positions of draws, ranks draws × units ranked)."""
    size = len(next(iter(picked.values())))
    sets = picked.get("weights", np.zeros(size, dtype=int))
    for part, scores in model.blocks(design.ways, design.way(picked), design.weights, sets):
        yield part, ranks_of(scores[:, ranked])


def _add_ranges(
    table: pd.DataFrame, model: DrawModel, design: Design, ranked: np.ndarray, draws: int, top: int, seed: int
) -> None:
    """Fill in the rank columns in place; ranks of all draws are stored as small integers, draws × units."""
    rng = np.random.default_rng([seed, 2])
    picked = {name: rng.integers(0, size, draws) for name, size in design.sizes.items()}
    if design.sizes["weights"] > 1:
        picked["weights"] = np.arange(draws)
    dtype = np.uint16 if len(ranked) < 2**16 else np.uint32
    ranks = np.empty((draws, len(ranked)), dtype=dtype)
    for part, block_ranks in _evaluated(model, design, picked, ranked):
        ranks[part] = block_ranks
    ordered = np.sort(np.ascontiguousarray(ranks.T), axis=1, kind="stable")
    score = table["score"].to_numpy()[ranked]
    last = draws - 1
    columns = {
        "rank": ranks_of(score[None])[0],
        "rank_median": (ordered[:, last // 2] + ordered[:, draws // 2].astype(float)) / 2,
        "rank_low": ordered[:, int(np.floor(_LOW * last))],
        "rank_high": ordered[:, int(np.ceil(_HIGH * last))],
        "p_top": (ranks <= top).mean(axis=0),
    }
    for name, values in columns.items():
        table.loc[ranked, name] = values.astype(float)


# --- Shares ---------------------------------------------------------------------------------------------------------


def _shares(
    model: DrawModel, design: Design, score: np.ndarray, ranked: np.ndarray, draws: int, seed: int
) -> pd.DataFrame:
    """Sobol shares of the average rank shift."""
    if len(ranked) < 2 or not design.open:
        return _no_shares(design, ONE_UNIT if len(ranked) < 2 else NOT_MOVED)
    declared = ranks_of(score[ranked][None])[0]

    def shift(picked: dict[str, np.ndarray]) -> np.ndarray:
        shifts = np.empty(len(next(iter(picked.values()))))
        for part, ranks in _evaluated(model, design, picked, ranked):
            shifts[part] = np.abs(ranks - declared).mean(axis=1)
        return shifts

    # Sets of weights are ordered by their shift of the declared ranks, so that neighbouring points are alike.
    order = np.arange(design.sizes["weights"])
    if len(order) > 1:
        order = np.argsort(shift({"weights": order}), kind="stable")
    mean_shifts: list[float] = []

    def function(x: np.ndarray) -> np.ndarray:
        picked = {name: (u * design.sizes[name]).astype(int) for name, u in zip(design.open, x, strict=True)}
        picked |= {"weights": order[picked["weights"]]} if "weights" in picked else {}
        shifts = shift(picked)
        mean_shifts.append(float(shifts.mean()))
        return shifts

    indices = sobol_shares(function, design.open, max(256, 1 << (draws - 1).bit_length()), seed)
    table = _no_shares(design, NOT_MOVED).drop(columns=["first", "total"]).merge(indices, on="factor", how="left")
    table["shift"] = float(np.mean(mean_shifts[:2]))
    table["reason"] = table["reason"].where(table["first"].isna(), "")
    return table[["factor", "first", "total", "alternatives", "shift", "reason"]]


def _no_shares(design: Design, reason: str) -> pd.DataFrame:
    table = pd.DataFrame({"factor": list(design.sizes), "alternatives": list(design.sizes.values())})
    table = table.assign(first=np.nan, total=np.nan, shift=np.nan, reason=reason)
    return table[["factor", "first", "total", "alternatives", "shift", "reason"]]


# --- The table ------------------------------------------------------------------------------------------------------


def _table(data: UnitValues, model: DrawModel, score: np.ndarray, top: int) -> pd.DataFrame:
    below = list(model.branches[-1].below)
    n = np.where(np.isnan(data.values[:, below]) | np.isnan(data.n[:, below]), np.inf, data.n[:, below])
    table = pd.DataFrame({"unit": pd.Series(data.units, dtype="str")})
    table.insert(0, "period", data.period)
    table.insert(1, "level", data.level)
    least = n.min(axis=1, initial=np.inf)
    table["n"], table["score"] = np.where(np.isinf(least), np.nan, least), score
    for name in ("rank", "rank_median", "rank_low", "rank_high", "p_top"):
        table[name] = np.nan
    empty = np.isnan(data.values[:, below]).all(axis=1)
    table["top"] = top
    table["reason"] = pd.Series(np.where(empty, reasons.MISSING_VALUE, reasons.TOO_FEW_TO_JUDGE), dtype="str")
    return table


# --- What if --------------------------------------------------------------------------------------------------------


def _what_if(result: Robustness, unit: str, code: str, by: float) -> Result:
    model, table = result.model, result.whole  # all units, whatever rows were chosen since
    assert model is not None, "made by robustness()"
    assert table is not None, "made by robustness()"
    if unit not in set(table["unit"]):
        raise unknown("单位/unit", unit, table["unit"])
    if code not in model.codes:
        raise unknown("指标/leaf", code, model.codes)
    i, j = int(np.flatnonzero(table["unit"] == unit)[0]), model.codes.index(code)
    changed = _raised(result, model, i, j, by)
    combination = Combination(model.base.impute, model.base.normaliser, model.base.aggregator)
    score, ranked = table["score"].to_numpy(copy=True), table["rank"].notna().to_numpy()
    weights = [branch.weights[None] for branch in model.branches]
    score[i] = model.scores(combination, weights, model.scaled(combination, changed))[0][i]
    rank = np.full(len(score), np.nan)
    rank[ranked] = ranks_of(score[ranked][None])[0]
    before = table.loc[i]
    row = {
        "period": before["period"], "level": before["level"], "unit": unit, "code": code, "by": by, "n": before["n"],
        "value": changed[i, j], "value_before": model.values[i, j], "score": score[i], "score_before": before["score"],
        "rank": rank[i], "rank_before": before["rank"], "reason": before["reason"],
    }  # fmt: skip
    statistics = ("n", "value", "value_before", "score", "score_before", "rank", "rank_before")
    return Result(
        pd.DataFrame([row]), (*KEYS, "code", "by"), statistics, period=result.period, about=result.about,
        programme=result.programme, periods=result.periods, spec=result.spec, basis=result.basis,
    )  # fmt: skip


def _raised(result: Robustness, model: DrawModel, i: int, j: int, by: float) -> np.ndarray:
    """Return the values with one cell raised; ``by`` is in the unit of the leaf, converted to points for scores."""
    step = by
    if result.scale is not None:
        leaf = result.scale[j]
        step = 100 * leaf.direction * by / (leaf.maximum - leaf.minimum)
    changed, place = (
        model.values.copy(),
        f"{result.whole['unit'][i]} {model.codes[j]}" if result.whole is not None else "",
    )
    changed[i, j] += step
    if np.isnan(changed[i, j]):
        raise UsageError(f"{place}: 无数据,无从提高 (there is no value to raise)")
    low, high = (float(np.broadcast_to(end, len(model.codes))[j]) for end in (model.ends.minimum, model.ends.maximum))
    if changed[i, j] < low or changed[i, j] > high:
        raise UsageError(f"{place}: {changed[i, j]:g} 超出 {low:g}–{high:g} (beyond the declared range)")
    return changed
