"""Awards: the first k of each type of unit, with the chance that they belong there and what other weights would say."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from ..errors import DjWarning, UsageError, unknown
from ..measure.inference.ranks import p_top, rank_sets
from ..measure.inference.sharedranks import shared_ranks
from ..measure.scores import Scores, inherited, joined
from ..result import Result
from .ranking import posterior

KEYS = ("period", "level", "unit", "type", "code")
STATISTICS = (
    "n", "score", "bonus", "total_score", "rank", "rank_low", "rank_high", "awarded", "tie", "probability", "other_weights",
)  # fmt: skip
CONCENTRATION = 50.0  # of the Dirichlet weights around the declared ones: about ± 5 points of a weight of 20 %
SURE = 0.95  # chance with which the last awarded unit is truly above the first that is not


@dataclass(frozen=True)
class Awards(Result):
    """Awards by type of unit.

    ``.table``: period, level, unit, type, code, n, score, bonus (points), total_score, se_source, rank (within its type), rank_low,
    rank_high (places not ruled out), awarded, tie (the cut
    goes through units of the same total, all of which are awarded), probability (of truly being among the first k), other_weights
    (share of weight sets around the declared ones under which it is among the first k), reason.
    """

    @property
    def cuts(self) -> Result:
        """The cut of each type: period, level, type, places, code, unit (last awarded), other (first that is not), n, difference, probability (that unit
        is truly above other), decided.
        """
        return self.parts["cuts"]


def award(
    scores: Scores,
    places: Mapping[str, int] | None = None,
    *,
    code: str | None = None,
    bonus: Mapping[str, float] | None = None,
    draws: int = 2000,
    seed: int = 0,
) -> Awards:
    """Award the first k units of each type.

    Parameters
    ----------
    scores
        Of a year or a span of months; the parts of ``code`` are the assessments, their weights those of the tree.
    places
        Type of unit → number of places, ``{"供电企业": 4, "直属单位": 2}``; by default those of ``[awards]`` in rules.toml whose type
        has more units than places.
    bonus
        Unit → points added to its score.
    draws, seed
        Of the simulations.

    Warns
    -----
    DjWarning
        A cut goes between units that cannot be told apart: pay that hangs on it would be decided by chance.

    Raises
    ------
    UsageError
        A type that no unit has, or as many places as units; a unit that does not exist.

    Examples
    --------
    >>> dj.award(dj.score(ws.indicators("2025-10/2026-09")), {"供电企业": 4}).table  # doctest: +SKIP
    """
    units = scores.spec.units.at(scores.period)
    types = {unit.unit: unit.type for unit in units.rows}
    for unit in bonus or {}:
        if unit not in types:
            raise unknown("单位/unit", unit, types)
    rows = scores.table[scores.table["period"] == scores.period]
    tree = scores.spec.indicators
    assert tree is not None
    code = code or tree.at(scores.period).top
    if places is None:
        counts = pd.Series([types.get(unit, "") for unit in rows.loc[rows["code"] == code, "unit"]]).value_counts()
        places = {kind: k for kind, k in scores.spec.rules.awards.items() if counts.get(kind, 0) > k}
        if not places:
            declared = "、".join(scores.spec.rules.awards)
            raise UsageError(
                f"没有可评的类别:rules.toml [awards] 为 {declared} (no type of unit with more units than places)"
            )
    tables, cuts = [], []
    for kind, k in places.items():
        of_type = rows[rows["unit"].map(types) == kind]
        part = of_type[of_type["code"] == code].reset_index(drop=True)
        if part.empty:
            raise unknown("类别/type", kind, sorted({types[u] for u in rows["unit"] if types.get(u)}))
        if not 0 < k < part["score"].notna().sum():
            raise UsageError(
                f"{kind}: {k} 个名额,{int(part['score'].notna().sum())} 个单位有得分 (places must be fewer than units)"
            )
        table, cut = _of_type(scores, kind, k, part, of_type, code, dict(bonus or {}), draws, seed)
        tables.append(table)
        cuts.append(cut)
        if cut["decided"] is False:
            warnings.warn(
                f"{kind}: 第{k}名与第{k + 1}名的差距在误差之内,不宜据此兑现奖惩"
                f" (places {k} and {k + 1} cannot be told apart: do not let pay hang on the cut)", DjWarning, stacklevel=2,
            )  # fmt: skip
    common = inherited(scores)
    at_cut = pd.DataFrame(cuts)
    at_cut["decided"] = at_cut["decided"].astype("boolean")
    columns = ("n", "difference", "probability", "decided")  # who stands at the cut is told with these or not at all
    keys = ("period", "level", "type", "places", "code")
    parts = {"cuts": Result(at_cut, keys, ("unit", "other", *columns), together=columns, **common)}
    table = joined([pd.concat(tables, ignore_index=True)])
    return Awards(table, KEYS, STATISTICS, parts=parts, together=STATISTICS[4:], **common)


def _of_type(
    scores: Scores, kind: str, k: int, part: pd.DataFrame, of_type: pd.DataFrame, code: str, bonus: dict[str, float], draws: int,
    seed: int,
) -> tuple[pd.DataFrame, dict[str, Any]]:  # fmt: skip
    extra = part["unit"].map(bonus).fillna(0.0).to_numpy(float)
    total, se, df = part["score"].to_numpy(float) + extra, part["se"].to_numpy(float), part["df"].to_numpy(float)
    place = shared_ranks(total)
    awarded = place <= k
    mean, error, free = posterior(total, se, df)
    sets = rank_sets(total, se, df=df, draws=draws, seed=seed)
    out = part[["period", "level", "unit", "code", "n", "score", "se_source"]].assign(
        type=kind, bonus=extra, total_score=total, rank=place, rank_low=sets.low, rank_high=sets.high, awarded=awarded,
        tie=awarded & (awarded.sum() > k) & (place == place[awarded].max()),
        probability=p_top(mean, error, k, draws=draws, seed=seed, df=free).among,
        other_weights=_other_weights(scores, part, of_type, code, extra, k, draws, seed), reason=part["reason"],
    )  # fmt: skip
    order = np.argsort(-np.nan_to_num(total, nan=-np.inf), kind="stable")
    last, following = order[k - 1], order[k]
    spread = np.sqrt(se[last] ** 2 + se[following] ** 2)
    difference = total[last] - total[following]
    chance = float(stats.norm.cdf(difference / spread)) if spread > 0 else float("nan")
    cut = {
        "period": scores.period, "level": part["level"].iloc[last], "type": kind, "places": float(k), "code": code,
        "unit": part["unit"].iloc[last], "other": part["unit"].iloc[following], "n": np.nan, "difference": difference,
        "probability": chance, "decided": None if np.isnan(chance) else bool(chance >= SURE),
    }  # fmt: skip
    columns = [*KEYS, *STATISTICS[:3], "se_source", *STATISTICS[3:], "reason"]
    return out.iloc[order][columns].reset_index(drop=True), cut


def _other_weights(
    scores: Scores,
    part: pd.DataFrame,
    of_type: pd.DataFrame,
    code: str,
    extra: np.ndarray,
    k: int,
    draws: int,
    seed: int,
) -> np.ndarray:
    """Return how often each unit is among the first k under weights drawn around the declared ones."""
    tree = scores.spec.indicators
    assert tree is not None
    children = [child for child in tree.at(scores.period).children(code) if child.weight > 0]
    if len(children) < 2:
        return np.full(len(part), np.nan)
    wide = of_type.pivot(index="unit", columns="code", values="score").reindex(part["unit"])
    values = wide.reindex(columns=[child.code for child in children]).to_numpy(float)
    declared = np.array([child.weight for child in children])
    rng = np.random.default_rng(seed)
    drawn = rng.dirichlet(CONCENTRATION * declared / declared.sum(), draws)
    there = ~np.isnan(values)
    weight = there.astype(float) @ drawn.T
    total = (
        np.divide(np.nan_to_num(values) @ drawn.T, weight, out=np.full(weight.shape, -np.inf), where=weight > 0)
        + extra[:, None]
    )
    among = (np.argsort(np.argsort(-total, axis=0, kind="stable"), axis=0) < k).mean(axis=1)
    return np.where(part["score"].isna(), np.nan, among)
