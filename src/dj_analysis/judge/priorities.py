"""Priority of each dimension in a unit: how strongly it goes along with the outcome × how far it lies below a reference."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Literal

import numpy as np
import pandas as pd
from scipy import stats

from ..errors import UsageError, unknown
from ..measure.basis import merged_bases
from ..measure.inference.shrinkage import shrunken
from ..measure.scores import KEYS, Scores, inherited
from ..result import Result
from ..spec.units import ALL
from .drivers import Drivers

Against = Literal["peers", "parent"]
_OF_SCORES = ("shrunken", "low", "high", "reference", "shortfall", "probability", "priority", "ipa")
STATISTICS = ("from_level", "from_unit", "n", "share", "share_low", "share_high", *_OF_SCORES)


def priority(
    drivers: Drivers,
    scores: Scores,
    level: str,
    *,
    target: float | Mapping[str, float] | None = None,
    against: Against = "peers",
) -> Result:
    """Order what a unit may take up first: share of association × gap × probability that there is a gap.

    Parameters
    ----------
    drivers
        What :func:`dj_analysis.drivers` returned, by this level.
    scores
        Scores of the same wave, by this level.
    target
        Points aimed at, for all dimensions or by code; without one the gap is that to ``against``.
    against
        ``peers``: the mean of the units of the level (μ of the shrinkage); ``parent``: the score of the unit above. Either is
        taken as known.

    Returns
    -------
    Result
        A row a unit and dimension: the keys, from_level, from_unit, n (people of the unit), share, share_low, share_high (of
        association), shrunken (mean, low, high), reference, shortfall (reference − shrunken), probability (that the gap is above 0, normal),
        priority (share × gap × probability, 0 where there is no gap; in points), ipa (importance–performance, Martilla and James
        1977: the share against 1/k, the mean against that of the unit's dimensions; ``concentrate``, ``keep``, ``later``, ``enough``,
        ``undecided`` where an interval holds the cut), reason.

    Raises
    ------
    UsageError
        Scores of another wave, a level that one of the two does not have, a code without a target.

    Examples
    --------
    >>> methods.priority(dj.drivers(survey, by="branch"), dj.score(survey, by="branch"), "branch")  # doctest: +SKIP
    """
    if scores.period != drivers.period or scores.programme != "survey":
        raise UsageError(
            f"priority: {scores.period} / {drivers.period} 不是同一期 (scores and drivers are of two waves)"
        )
    if level not in set(drivers.table["level"]):
        raise unknown("层级/level", level, drivers.table["level"].unique())
    if against not in ("peers", "parent"):
        raise unknown("against", against, ["peers", "parent"])
    _check_answers(drivers, scores)
    shares = drivers.table[drivers.table["level"] == level]
    means = shrunken(scores, level)
    table = shares.merge(
        means.table[[*KEYS, "n", "shrunken", "se", "low", "high", "reason"]], on=list(KEYS), how="left",
        suffixes=("_share", ""),
    ).rename(columns={"low_share": "share_low", "high_share": "share_high"})  # fmt: skip
    table["reference"] = _reference(table, scores, means.parts["model"].table, level, target, against)
    table["shortfall"] = table["reference"] - table["shrunken"]
    table["probability"] = stats.norm.cdf(table["shortfall"] / table["se"])
    table["priority"] = table["share"] * table["shortfall"].clip(lower=0) * table["probability"]
    table["ipa"] = _quadrants(table)
    table["reason"] = table["reason_share"].where(table["reason_share"] != "", table["reason"].fillna(""))
    table = table[[*KEYS, *STATISTICS, "reason"]].reset_index(drop=True)
    common: dict[str, Any] = inherited(scores) | {"basis": merged_bases(drivers, scores)}
    return Result(table, KEYS, STATISTICS, together=_OF_SCORES, **common)


def _check_answers(drivers: Drivers, scores: Scores) -> None:
    """Refuse shares and scores of different people: what protects one would not hold for the other."""
    (own,), (other,) = drivers.basis, scores.basis
    axes = sorted(set(own.sums) & set(other.sums))
    counted = [replace(basis, sums={axis: basis.sums[axis] for axis in axes}).counted for basis in (own, other)]
    if not axes or counted[0] != counted[1]:
        raise UsageError("priority: 两者依据的答卷或分组不同 (drivers and scores rest on other answers or levels)")


def _reference(
    table: pd.DataFrame,
    scores: Scores,
    model: pd.DataFrame,
    level: str,
    target: float | Mapping[str, float] | None,
    against: Against,
) -> np.ndarray:
    """Return what each row is held against."""
    codes = table["code"]
    if isinstance(target, Mapping):
        if missing := [code for code in codes.unique() if code not in target]:
            raise UsageError(f"target: 缺 {'、'.join(missing)} 的目标值 (no target of these codes)")
        return codes.map(dict(target)).to_numpy(float)
    if target is not None:
        return np.full(len(table), float(target))
    if against == "peers":
        mu = model.set_index(["form", "code"])["mu"].to_dict()
        return np.array([mu.get(cell, np.nan) for cell in zip(table["form"], codes, strict=True)])
    units, known = (
        scores.spec.units.at(scores.period),
        scores.table.set_index(["unit", "form", "code"])["score"].to_dict(),
    )
    above = {
        unit: units.ancestors(unit)[0] if level in units.levels and unit in units else ALL
        for unit in table["unit"].unique()
    }
    return np.array(
        [
            known.get((above[u], form, code), np.nan)
            for u, form, code in zip(table["unit"], table["form"], codes, strict=True)
        ]
    )


def _quadrants(table: pd.DataFrame) -> pd.Series:
    """Place each dimension by association and mean; undecided where an interval holds the cut."""
    grouped = table.groupby(["level", "unit", "form"], sort=False)
    equal, usual = 1 / grouped["share"].transform("count"), grouped["shrunken"].transform("mean")
    much, little = table["share_low"] > equal, table["share_high"] < equal
    good, poor = table["low"] > usual, table["high"] < usual
    words = np.select(
        [much & poor, much & good, little & poor, little & good],
        ["concentrate", "keep", "later", "enough"],
        "undecided",
    )
    known = table["share"].notna() & table["shrunken"].notna()
    return pd.Series(words, index=table.index, dtype="str").where(known, "")
