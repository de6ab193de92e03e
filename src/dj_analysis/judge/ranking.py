"""Ranks of units with their uncertainty: rank sets, chances of places, gaps to the target and to the benchmark branch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from ..errors import UsageError, unknown
from ..measure.basis import merged_bases
from ..measure.composites.upward import leaf_points, node_points
from ..measure.inference.posteriors import posterior_means
from ..measure.inference.ranks import p_top, rank_sets
from ..measure.inference.sharedranks import shared_ranks, tied_units
from ..measure.inference.shrinkage import LEAST_UNITS, left_out
from ..measure.linked_series import brought_to
from ..measure.scores import Scores, inherited, joined
from ..result import Result
from ..spec import reasons
from ..spec.tree import Indicator, Node, Tree, is_counted
from ..spec.units import ALL, Units
from .change import q_values

KEYS = ("period", "level", "unit", "code")
STATISTICS = (
    "n", "score", "se", "rank", "rank_low", "rank_high", "p_top1", "p_top_k", "p_last", "gap_target", "gap_first",
    "difference", "q", "real",
)  # fmt: skip
TOGETHER = ("rank", "rank_low", "rank_high", "p_top1", "p_top_k", "p_last", "gap_first", "q", "real")
HELP = "visit"  # what is proposed for units that are last: units are compared to help (domain, rule R17)
CANDIDATES = 0.95  # chance with which the units named hold a place together


@dataclass(frozen=True)
class Ranks(Result):
    """Ranks of the units of one level and type.

    ``.table``: period, level, unit, code, n, score, se, se_source, rank (1 = highest; equal scores share the best of their
    places), rank_low, rank_high (places that are not ruled out: with 95 % confidence *all* sets hold their true rank),
    p_top1 (chance to be truly first), p_top_k, p_last, tied_with (units with the same score, as printed), gap_target (points
    above the declared target), gap_first (points behind the benchmark branch, the first of the period), difference, q, real
    (against the period before), method (where the indicators changed in between: how the score before was linked, see
    :func:`dj_analysis.methods.link_versions`; ``broken``: not at all, and there is no difference), reason.
    """

    @property
    def places(self) -> Result:
        """What may be said of the first and the last place.

        Columns: period, level, place (``first``, ``last``), unit, code, n, probability, decided, help (what is proposed for the last).
        One row, decided, where a unit has the place with the confidence of ``[ranking]``; else the fewest units that hold it
        with 95 % together.
        """
        return self.parts["places"]


def rank(
    scores: Scores,
    level: str | None = None,
    *,
    code: str | None = None,
    type: str | None = None,
    below: str = ALL,
    k: int = 3,
    before: Scores | None = None,
    draws: int = 2000,
    seed: int = 0,
) -> Ranks:
    """Rank the units of one level, with the set of ranks each may have.

    Rank sets are joint confidence sets (Mogstad, Romano, Shaikh and Wilhelm 2024) from the scores and their errors, the
    degrees of freedom honoured. Chances of places are posterior probabilities from shrunken scores (Laird and Louis 1989;
    Morris 1983). Units whose score has no error keep their rank by score and nothing more: 仅描述.

    Parameters
    ----------
    scores
        What :func:`dj_analysis.score` returned, of a survey or of branch indicators. Of a span of months the row of the whole
        span is ranked.
    level
        Level of the units; by default the finest of the first tree.
    code
        What they are ranked by; by default the top of the tree.
    type
        Type of units ranked, where a level holds several: types are never mixed.
    below
        Only units below this one are ranked; all by default.
    k
        First places of ``p_top_k``.
    before
        The period before, for the change since. Where the indicators changed in between, scores are linked first, by the months that
        ``scores`` carries.
    draws, seed
        Of the simulations.

    Raises
    ------
    UsageError
        A level, code or type that does not exist; several types and none named.

    Examples
    --------
    >>> dj.rank(dj.score(ws.indicators("2026-09")), level="branch").table  # doctest: +SKIP
    """
    table, level, code = chosen_rows(scores, level, code, type, below)
    shut = left_out(table, scores, ()).to_numpy()
    score, se, df = (table[name].to_numpy(float) for name in ("score", "se", "df"))
    part = np.where(shut, np.nan, score)
    ranked = rank_sets(np.round(part, 9), np.where(shut, np.nan, se), df=df, draws=draws, seed=seed)
    chances = _chances(part, np.where(shut, np.nan, se), df, k, draws, seed)
    out = table[["period", "level", "unit", "code", "n", "score", "se", "se_source"]].copy()
    out["rank"], out["rank_low"], out["rank_high"] = shared_ranks(part), ranked.low, ranked.high
    out["p_top1"], out["p_top_k"], out["p_last"] = chances
    out["tied_with"] = tied_units(part, table["unit"].to_numpy())
    out["gap_target"] = score - target_points(scores, code)
    out["gap_first"] = part - np.nanmax(part) if np.isfinite(part).any() else np.nan
    out = _with_change(out, table, before, scores)
    out["reason"] = np.where(shut, reasons.TOO_FEW_TO_JUDGE, table["reason"])
    common = inherited(scores)
    if before is not None:
        common |= {
            "periods": tuple(dict.fromkeys([*scores.periods, *before.periods])),
            "basis": merged_bases(before, scores),
        }
    order = out["rank"].to_numpy(float)
    out = out.iloc[np.argsort(np.where(np.isnan(order), np.inf, order), kind="stable")].reset_index(drop=True)
    places = _places(out, scores.spec.rules.ranking.confidence)
    columns = ("n", "probability", "decided")
    part_of = Result(places, ("period", "level", "place", "unit", "code"), columns, together=columns, **common)
    return Ranks(joined([out]), KEYS, STATISTICS, parts={"places": part_of}, together=TOGETHER, **common)


def chosen_rows(
    scores: Scores, level: str | None, code: str | None, type_: str | None, under: str = ALL
) -> tuple[pd.DataFrame, str, str]:
    """Return the rows to be ranked, with their level and code."""
    spec, table = scores.spec, scores.table
    units = spec.units.at(scores.period)
    below = levels_below(scores)
    if level is None:
        level = below[-1] if below else units.root.level
    known_levels, known_codes = table["level"].unique(), table["code"].unique()
    if level not in known_levels:
        raise unknown("层级/level", level, list(known_levels))
    code = code or _top(scores)
    if code not in known_codes:
        raise unknown("代码/code", code, list(known_codes))
    form = "anchors" if "anchors" in table["form"].unique() else "full"
    rows = table[(table["level"] == level) & (table["code"] == code) & (table["form"] == form)]
    rows = rows[rows["period"] == scores.period].reset_index(drop=True)
    rows = rows_below(rows, units, under)
    types = {unit.unit: unit.type for unit in units.at_level(level)} if level in units.levels else {}
    kinds = list(dict.fromkeys(types.get(unit, "") for unit in rows["unit"]))
    if type_ is not None:
        if type_ not in kinds:
            raise unknown("类别/type", type_, kinds)
        rows = rows[[types.get(unit, "") == type_ for unit in rows["unit"]]].reset_index(drop=True)
    elif len(kinds) > 1:
        raise UsageError(
            f"{level}: 含不同类别的单位 {'、'.join(kinds)},不能混排;用 type= 指定一类"
            " (units of several types are never ranked together: name one with type=)"
        )
    return rows, level, code


def levels_below(scores: Scores) -> list[str]:
    """Return the levels of units below the root that have scores, from the top down."""
    units = scores.spec.units.at(scores.period)
    return [name for name in scores.table["level"].unique() if name in units.levels and name != units.root.level]


def rows_below(rows: pd.DataFrame, units: Units, under: str) -> pd.DataFrame:
    """Keep the rows of units below one unit."""
    if under == ALL:
        return rows
    inside = {unit.unit for unit in units.below(units[under].unit)}
    return rows[rows["unit"].isin(inside)].reset_index(drop=True)


def _top(scores: Scores) -> str:
    if scores.programme == "survey":
        return scores.spec.codebook.index or str(scores.table["code"].iloc[0])
    tree = scores.spec.indicators.at(scores.period) if scores.spec.indicators is not None else Tree(())
    return tree.top or str(scores.table["code"].iloc[0])


def _chances(
    score: np.ndarray, se: np.ndarray, df: np.ndarray, k: int, draws: int, seed: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """P(first), P(among the first k), P(last)."""
    mean, error, free = posterior(score, se, df)
    top = p_top(mean, error, k, draws=draws, seed=seed, df=free)
    return top.first, top.among, p_top(-mean, error, 1, draws=draws, seed=seed, df=free).first


def posterior(score: np.ndarray, se: np.ndarray, df: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return means, errors and degrees of freedom that chances of places are drawn from: shrunken, where units suffice."""
    if (np.isfinite(score) & (se > 0)).sum() < LEAST_UNITS:
        return score, se, df
    shrunken = posterior_means(score, se, df)
    return shrunken.mean, shrunken.se, shrunken.df


def target_points(scores: Scores, code: str) -> float:
    """Score of a unit that just meets every target below a code; NaN where a target is not declared."""
    tree = scores.spec.indicators.at(scores.period) if scores.spec.indicators is not None else None
    if scores.programme != "indicators" or tree is None or code not in tree:
        return float("nan")
    targets = {leaf.code: leaf_points(leaf, np.array([_target(leaf)])) for leaf in tree.leaves}
    wanted = [leaf.code for leaf in tree.leaves_of(code)]
    if any(np.isnan(targets[leaf]).any() for leaf in wanted):
        return float("nan")
    return float(node_points(tree, targets)[code][0])


def _target(leaf: Node) -> float:
    """Value of a leaf that just meets its target; nothing counted on a points sheet."""
    if is_counted(leaf):
        return 0.0
    return leaf.target if isinstance(leaf, Indicator) else float("nan")


def _with_change(out: pd.DataFrame, table: pd.DataFrame, before: Scores | None, scores: Scores) -> pd.DataFrame:
    """Add the change since the period before, tested with the errors of both, corrected for the number of units."""
    out[["difference", "q"]], out["real"], out["method"] = np.nan, pd.NA, ""
    if before is None:
        return out
    before = brought_to(scores, before)
    rows = before.table[(before.table["period"] == before.period) & before.table["code"].isin(table["code"])]
    form = table["form"].iloc[0] if len(table) else "full"
    earlier = (
        rows[(rows["form"] == form) & (rows["level"].isin(table["level"]))].set_index("unit").reindex(table["unit"])
    )
    difference = table["score"].to_numpy(float) - earlier["score"].to_numpy(float)
    variances = [frame["se"].to_numpy(float) ** 2 for frame in (table, earlier)]
    free = np.fmin(*(np.where(np.isnan(df := frame["df"].to_numpy(float)), np.inf, df) for frame in (table, earlier)))
    with np.errstate(divide="ignore", invalid="ignore"):
        p = 2 * stats.t.sf(
            np.abs(difference) / np.sqrt(variances[0] + variances[1]), np.where(np.isfinite(free), free, 1e9)
        )
    q = q_values(pd.Series(p)).to_numpy()
    rule = scores.spec.rules.change
    out["difference"], out["q"], out["method"] = difference, q, earlier["method"].fillna("").to_numpy()
    out["real"] = pd.array(np.where(np.isnan(q), None, q <= rule.false_discovery), dtype="boolean")
    return out


def _places(out: pd.DataFrame, confidence: float) -> pd.DataFrame:
    """Name the unit that has a place surely enough, else those that may have it."""
    rows: list[tuple[Any, ...]] = []
    for place, column in (("first", "p_top1"), ("last", "p_last")):
        known = out[out[column].notna()]
        if known.empty:
            continue
        best = known.loc[known[column].idxmax()]
        decided = best[column] >= confidence
        candidates = [best] if decided else [row for _, row in _candidates(known, column).iterrows()]
        help_ = HELP if place == "last" else ""
        rows += [
            (*r[["period", "level"]], place, *r[["unit", "code", "n", column]], bool(decided), help_)
            for r in candidates
        ]
    columns = ["period", "level", "place", "unit", "code", "n", "probability", "decided", "help"]
    return pd.DataFrame(rows, columns=columns).astype({"n": "float64", "probability": "float64"})


def _candidates(known: pd.DataFrame, chance: str) -> pd.DataFrame:
    """Return the fewest units that hold the place with 95 % together."""
    ordered = known.sort_values(chance, ascending=False, kind="stable")
    before = ordered[chance].cumsum() - ordered[chance]
    return ordered[before < CANDIDATES]
