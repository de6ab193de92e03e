"""Audit of indicators: which say the same a second time, which no longer tell units apart, and what could be left out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from ...errors import UsageError, unknown
from ...result import Result
from ...spec.periods import within
from ...spec.tree import Indicator, Node
from ..scores import Scores, inherited, joined

CEILING, FLOOR_, STILL, MISSING, WEAK, OFTEN = 95.0, 5.0, 3, 0.2, 0.1, 0.9
LEAST_UNITS = 8  # fewer units tell nothing about how indicators go together
KEYS = ("period", "level", "code")


@dataclass(frozen=True)
class IndicatorAudit(Result):
    """Audit of the indicators of one level.

    ``.table``: period, level, code, n (units), item_total (corrected correlation with the rest), vif (variance inflation), tau
    (Kendall's τ with the full ranking if it alone were left out), rank_lost (share of the variance of ranks lost, 1 − ρ²), ceiling, floor
    (shares of values at the ends), still (share of units without any change for three months), never_met (share of units that never
    met the target), missing (share of values), minutes (a branch and month), reason (why it is a candidate to be left out or
    changed; empty for none).
    """

    @property
    def reduction(self) -> Result:
        """What could be left out, one after the other: period, level, step, code, into (who takes its weight), n (units),
        tau (kept with the full ranking), left
        (indicators), minutes (saved a branch and month so far).
        """
        return self.parts["reduction"]


def indicator_audit(scores: Scores, level: str, *, code: str | None = None, keep: float = 0.9) -> IndicatorAudit:
    """Audit the indicators below a code, as the version in force at the end of the period has them.

    Of an indicator the months count in which it was scored as it is then.

    Parameters
    ----------
    scores
        Of a span of months.
    level
        Units compared.
    code
        Indicators below it; by default the top of the tree.
    keep
        Kendall's τ with the full ranking that leaving out must keep. Each step leaves out the indicator that costs least.

    Raises
    ------
    UsageError
        Fewer than eight units with every indicator, or fewer than three indicators.

    References
    ----------
    OECD/JRC (2008), Handbook on Constructing Composite Indicators, step 3; Kendall (1938).

    Examples
    --------
    >>> methods.indicator_audit(dj.score(ws.indicators("2025-08/2025-11")), "branch").reduction.table  # doctest: +SKIP
    """
    source = scores.spec.indicators if scores.programme == "indicators" else scores.spec.codebook.tree
    assert source is not None
    tree = source.at(scores.period)
    code = code or tree.top
    if code not in tree:
        raise unknown("代码/code", code, tree.codes)
    leaves = [
        leaf for leaf in tree.leaves_of(code) if not (isinstance(leaf, Indicator) and leaf.kind in ("bonus", "veto"))
    ]
    rows = scores.table[(scores.table["level"] == level) & scores.table["code"].isin([leaf.code for leaf in leaves])]
    months = within(scores.period, [one for one in dict.fromkeys(rows["period"]) if one != scores.period]) or [
        scores.period
    ]
    stacked = np.stack(
        [rows[rows["period"] == month].pivot(index="unit", columns="code", values="score")
         .reindex(index=rows["unit"].unique(), columns=[leaf.code for leaf in leaves]).to_numpy(float) for month in months]
    )  # fmt: skip
    trees = [source.at(month) for month in months]
    asked = np.array(
        [[one.scoring_version(leaf.code) == tree.scoring_version(leaf.code) for leaf in leaves] for one in trees]
    )
    stacked[~np.repeat(asked[:, None], stacked.shape[1], axis=1)] = (
        np.nan
    )  # months that asked it in another way, or not at all
    known = (~np.isnan(stacked)).sum(axis=0)
    mean = np.divide(np.nansum(stacked, axis=0), known, out=np.full(known.shape, np.nan), where=known > 0)
    complete = mean[~np.isnan(mean).any(axis=1)]
    if len(complete) < LEAST_UNITS or len(leaves) < 3:
        raise UsageError(
            f"{level}: {len(complete)} 个单位指标齐全、{len(leaves)} 项指标,少于 {LEAST_UNITS} 个或 3 项时不作分析"
            f" (at least {LEAST_UNITS} units with every indicator and 3 indicators are needed)"
        )
    weights = np.array([tree.weight_in_whole(leaf.code, code) for leaf in leaves])
    table = _leaf_table(leaves, complete, stacked, weights, asked)
    head = {"period": scores.period, "level": level}
    table = table.assign(**head, n=float(len(complete)))[[*KEYS, *_STATISTICS, "reason"]]
    steps = _reduced(leaves, complete, weights, keep)
    steps = steps.assign(**head, n=float(len(complete)))[
        ["period", "level", "step", "code", "into", "n", "tau", "left", "minutes"]
    ]
    common = inherited(scores)
    reduction = Result(
        joined([steps]), ("period", "level", "step", "code", "into"), ("n", "tau", "left", "minutes"), **common
    )
    return IndicatorAudit(joined([table]), KEYS, _STATISTICS, parts={"reduction": reduction}, **common)


_STATISTICS = (
    "n",
    "item_total",
    "vif",
    "tau",
    "rank_lost",
    "ceiling",
    "floor",
    "still",
    "never_met",
    "missing",
    "minutes",
)


def _total(values: np.ndarray, weights: np.ndarray, kept: np.ndarray) -> np.ndarray:
    return np.asarray(values[:, kept] @ weights[kept] / weights[kept].sum())


def _leaf_table(
    leaves: list[Node], complete: np.ndarray, stacked: np.ndarray, weights: np.ndarray, asked: np.ndarray
) -> pd.DataFrame:
    count = len(leaves)
    full = _total(complete, weights, np.ones(count, dtype=bool))
    inflation = _inflation(complete)
    rows = []
    for j, leaf in enumerate(leaves):
        rest = _total(complete, weights, np.arange(count) != j)
        known = stacked[:, :, j][~np.isnan(stacked[:, :, j])]
        target = leaf.target if isinstance(leaf, Indicator) else float("nan")
        reached = np.nanmax(np.where(np.isnan(stacked[:, :, j]), -np.inf, stacked[:, :, j]), axis=0)
        row = {
            "code": leaf.code, "item_total": _correlation(complete[:, j], rest), "vif": inflation[j],
            "tau": float(stats.kendalltau(full, rest).statistic), "rank_lost": 1 - float(stats.spearmanr(full, rest).statistic) ** 2,
            "ceiling": float((known >= CEILING).mean()) if len(known) else np.nan,
            "floor": float((known <= FLOOR_).mean()) if len(known) else np.nan,
            "still": _still(stacked[:, :, j]), "never_met": np.nan, "missing": float(np.isnan(stacked[asked[:, j], :, j]).mean()),
            "minutes": leaf.minutes if isinstance(leaf, Indicator) else np.nan,
        }  # fmt: skip
        if target == target:
            points = 100 * (target - leaf.minimum) / (leaf.maximum - leaf.minimum)
            points = points if leaf.direction == 1 else 100 - points
            row["never_met"] = float((reached[np.isfinite(reached)] < points - 1e-9).mean())
        rows.append(row | {"reason": ";".join(_findings(row))})
    return pd.DataFrame(rows)


def _findings(row: dict[str, Any]) -> list[str]:
    """Say why an indicator is a candidate to be left out or changed."""
    checks = {
        "audit_ceiling": row["ceiling"] >= OFTEN, "audit_floor": row["floor"] >= OFTEN, "audit_still": row["still"] >= OFTEN,
        "audit_never_met": row["never_met"] >= OFTEN, "audit_missing": row["missing"] >= MISSING,
        "audit_weak": row["item_total"] < WEAK, "audit_repeated": row["vif"] >= 10 or (row["tau"] >= 0.99 and row["vif"] >= 5),
    }  # fmt: skip
    return [name for name, holds in checks.items() if holds]


def _correlation(x: np.ndarray, y: np.ndarray) -> float:
    return float(np.corrcoef(x, y)[0, 1]) if x.std() > 0 and y.std() > 0 else float("nan")


def _inflation(values: np.ndarray) -> np.ndarray:
    """Variance inflation 1 / (1 − R²) of each column on the others; missing for constants and where units are too few."""
    spread = values.std(axis=0) > 1e-9
    out = np.full(values.shape[1], np.nan)
    if len(values) > spread.sum() + 1:
        correlations = np.corrcoef(values[:, spread], rowvar=False)
        out[spread] = np.diag(np.linalg.pinv(correlations, hermitian=True))
    return out


def _still(values: np.ndarray) -> float:
    """Share of units whose last three known months are equal."""
    if len(values) < STILL:
        return float("nan")
    last = values[-STILL:]
    known = ~np.isnan(last).any(axis=0)
    return float((np.ptp(last[:, known], axis=0) < 1e-9).mean()) if known.any() else float("nan")


def _reduced(leaves: list[Node], values: np.ndarray, weights: np.ndarray, keep: float) -> pd.DataFrame:
    """Leave out the indicator that costs least, again and again, as long as the ranking is kept.

    Its weight goes to the remaining indicator of its parent that goes with it most closely: what it told stays told.
    """
    full, saved = _total(values, weights, np.ones(len(leaves), dtype=bool)), 0.0
    spread = values.std(axis=0) > 1e-9
    together = np.zeros((len(leaves), len(leaves)))
    together[np.ix_(spread, spread)] = np.corrcoef(values[:, spread], rowvar=False)
    same = np.array([[one.parent == other.parent for other in leaves] for one in leaves])
    closeness = np.where(same, together, -2.0) - 4 * np.eye(len(leaves))
    current, rows = weights.copy(), list[tuple[Any, ...]]()
    while (kept := current > 0).sum() > 2:
        tried = []
        for j in np.flatnonzero(kept):
            into = int(np.where(kept, closeness[j], -9.0).argmax())
            moved = current.copy()
            moved[into] += moved[j] if spread[j] else 0.0  # what never moves tells nothing that could be passed on
            moved[j] = 0.0
            tried.append((float(stats.kendalltau(full, values @ moved).statistic), int(j), into, moved))
        tau, left_out, into, moved = max(tried, key=lambda one: one[0])
        if tau < keep:
            break
        current, leaf = moved, leaves[left_out]
        saved += leaf.minutes if isinstance(leaf, Indicator) and leaf.minutes == leaf.minutes else 0.0
        rows.append((float(len(rows) + 1), leaf.code, leaves[into].code, tau, float((current > 0).sum()), saved))
    columns = ["step", "code", "into", "tau", "left", "minutes"]
    return pd.DataFrame(rows, columns=columns).astype({"code": "str", "into": "str"})
