"""Earlier figures made by hand beside what the package computes of the same answers."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from ..errors import UsageError
from ..measure.scores import Scores
from ..result import Result
from ..spec import reasons

KEYS = ("period", "level", "unit", "code")
STATISTICS = ("n", "legacy", "score", "difference")
SAME = 0.05  # points: alike when printed


def reconciliation(legacy: Result, waves: Sequence[Scores]) -> Result:
    """Set every figure made by hand beside the score of the same unit, code and wave.

    Parameters
    ----------
    legacy
        ``ws.legacy()``.
    waves
        Scores of surveys; figures of other periods are left out: there is nothing to compare them with.

    Returns
    -------
    Result
        period, level, unit, code, n (people counted now), legacy (as made by hand), score (computed now, the full form where
        the wave asked it), difference (by hand − now, points), reason: ``same_figure``, ``other_people`` (their number
        differs), ``other_method`` (people alike, or their number not known; the method is named in legacy.csv), or why there
        is no score now.

    Raises
    ------
    UsageError
        No wave.
    """
    if not waves:
        raise UsageError("reconciliation: 至少一期得分 (scores of at least one wave)")
    last, tables = waves[-1], []
    for scores in waves:
        by_hand = legacy.table[legacy.table["period"] == scores.period]
        form = "full" if "full" in set(scores.table["form"]) else "anchors"
        now = scores.table[scores.table["form"] == form].set_index(["unit", "code"])
        keys = pd.MultiIndex.from_frame(by_hand[["unit", "code"]])
        own = now[~now.index.duplicated()].reindex(keys)
        table = by_hand[["period", "level", "unit", "code"]].reset_index(drop=True)
        table["n"], table["legacy"] = own["n"].fillna(0).astype(int).to_numpy(), by_hand["value"].to_numpy()
        table["score"] = own["score"].to_numpy(float)
        few = by_hand["n"].to_numpy(float) < last.spec.min_group
        table.loc[few, "legacy"] = float("nan")  # a figure of few people is not printed, whoever made it
        table["difference"] = table["legacy"] - table["score"]
        table["reason"] = _why(table, by_hand["n"].to_numpy(float), own["reason"].fillna(reasons.NO_ANSWERS).to_numpy())
        tables.append(table)
    table = pd.concat(tables, ignore_index=True).astype({"reason": "str"})
    return Result(
        table=table, keys=KEYS, statistics=STATISTICS, period=last.period, periods=tuple(scores.period for scores in waves),
        spec=last.spec, withheld={period: rows for scores in waves for period, rows in scores.withheld.items()},
        basis=tuple(basis for scores in waves for basis in scores.basis),
    )  # fmt: skip


def _why(table: pd.DataFrame, people: object, missing: object) -> list[str]:
    reason = []
    for (_, row), n, absent in zip(table.iterrows(), people, missing, strict=True):  # type: ignore[call-overload]
        if pd.isna(row["legacy"]):
            reason.append(reasons.SMALL_GROUP)
        elif pd.isna(row["score"]):
            reason.append(absent or reasons.NO_ANSWERS)
        elif abs(row["difference"]) < SAME:
            reason.append(reasons.SAME_FIGURE)
        else:
            reason.append(reasons.OTHER_PEOPLE if pd.notna(n) and n != row["n"] else reasons.OTHER_METHOD)
    return reason
