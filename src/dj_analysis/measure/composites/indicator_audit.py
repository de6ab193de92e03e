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
from ...spec.settings import FLOOR as FEWEST
from ...spec.tree import Indicator, Node, Tree
from ..scores import Scores, inherited, joined

CEILING, FLOOR_, MISSING, OFTEN = 95.0, 5.0, 0.2, 0.9
WEAK, USEFUL = 0.1, 0.3  # item–rest correlations; from .30 on an item discriminates (Nunnally and Bernstein 1994)
STILL, MET = 3, 6  # months without any change; months in which every unit met the target
SAME = 1e-9
REPEATED = 5.0  # variance inflation: four fifths of the variance are told by the others (R² = .80)
LEAST_UNITS, LEAST_INDICATORS = 8, 3  # fewer tell nothing about how indicators go together
KEYS = ("period", "level", "code")


@dataclass(frozen=True)
class IndicatorAudit(Result):
    """Audit of the indicators of one level.

    ``.table``: period, level, code, units (and n, the same, where persons answered), item_total (corrected correlation with the
    rest), vif (variance inflation), vif_low (its 95 % lower limit: few units inflate it by chance), tau (Kendall's τ with the full
    ranking if it alone were left out), rank_lost (share of the variance of ranks lost, 1 − ρ²), ceiling, floor (shares of values
    at the ends), still (share of units without any change for three months), never_met (share of units that never met the
    target), always_met (share of units that met it in each of the last six months), missing (share of values), minutes (a branch
    and month), reason (why it is a candidate to be left out or changed; empty for none).
    """

    @property
    def reduction(self) -> Result:
        """What could be left out, one after the other: period, level, step, code, into (who takes its weight), n, units,
        tau (kept with the full ranking), left
        (indicators), minutes (saved a branch and month so far).
        """
        return self.parts["reduction"]

    @property
    def candidates(self) -> list[str]:
        """Codes of the indicators that are candidates to be left out or changed."""
        return list(self.table.loc[self.table["reason"] != "", "code"])


def auditable(scores: Scores, level: str, *, code: str | None = None) -> bool:
    """Tell whether there are units and indicators enough for :func:`indicator_audit`: eight with every indicator, and three."""
    return level in set(scores.table["level"]) and _given(scores, level, code).enough


def indicator_audit(scores: Scores, level: str, *, code: str | None = None, keep: float = 0.9) -> IndicatorAudit:
    """Audit the indicators below a code, as the version in force at the end of the period has them.

    Of an indicator the months count in which it was scored as it is then. What fewer than min_group persons answered does not
    count, nor is it called missing.

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
    OECD/JRC (2008), Handbook on Constructing Composite Indicators, step 3; Kendall (1938); Theil (1961); Fisher (1921) and Nunnally
    and Bernstein (1994) on low correlations. An indicator whose true item–rest correlation is .30 is called unrelated with a
    chance of 2.5 % at most, one whose true variance inflation is 5 a repetition with a chance of 5 %.

    Examples
    --------
    >>> methods.indicator_audit(dj.score(ws.indicators("2025-08/2025-11")), "branch").reduction.table  # doctest: +SKIP
    """
    given = _given(scores, level, code)
    leaves, complete = given.leaves, given.complete
    if not given.enough:
        raise UsageError(
            f"{level}: {len(complete)} 个单位指标齐全、{len(leaves)} 项指标,少于 {LEAST_UNITS} 个或 {LEAST_INDICATORS} 项时"
            f"不作分析 (at least {LEAST_UNITS} units with every indicator and {LEAST_INDICATORS} indicators are needed)"
        )
    weights = np.array([given.tree.weight_in_whole(leaf.code, given.code) for leaf in leaves])
    table = _leaf_table(given, weights)
    head = {"period": scores.period, "level": level}
    # The count of units is no count of people: among units of work it must not be held against min_group.
    counts = {"units": float(len(complete)), "n": float(len(complete)) if scores.about == "persons" else np.nan}
    table = table.assign(**head, **counts)[[*KEYS, *_STATISTICS, "reason"]]
    statistics = ("n", "units", "tau", "left", "minutes")
    steps = _reduced(leaves, complete, weights, keep).assign(**head, **counts)
    steps = steps[["period", "level", "step", "code", "into", *statistics]]
    common = inherited(scores)
    reduction = Result(joined([steps]), ("period", "level", "step", "code", "into"), statistics, **common)
    return IndicatorAudit(joined([table]), KEYS, _STATISTICS, parts={"reduction": reduction}, **common)


@dataclass(frozen=True)
class _Given:
    """What is audited: months × units × indicators of points, the share missing of each, and means of complete units."""

    tree: Tree
    code: str
    leaves: list[Node]
    stacked: np.ndarray
    missing: np.ndarray
    complete: np.ndarray

    @property
    def enough(self) -> bool:
        return len(self.complete) >= LEAST_UNITS and len(self.leaves) >= LEAST_INDICATORS


def _given(scores: Scores, level: str, code: str | None) -> _Given:
    source = scores.spec.indicators if scores.programme == "indicators" else scores.spec.codebook.tree
    assert source is not None
    tree = source.at(scores.period)
    code = code or tree.top
    if code not in tree:
        raise unknown("代码/code", code, tree.codes)
    leaves = [
        leaf for leaf in tree.leaves_of(code) if not (isinstance(leaf, Indicator) and leaf.kind in ("bonus", "veto"))
    ]
    codes = [leaf.code for leaf in leaves]
    rows = scores.table[(scores.table["level"] == level) & scores.table["code"].isin(codes)]
    rows = rows.assign(counted=rows["score"].mask(_of_few_persons(rows, scores, leaves)))
    months = within(scores.period, [one for one in dict.fromkeys(rows["period"]) if one != scores.period]) or [
        scores.period
    ]
    of_month = [rows[rows["period"] == month].pivot(index="unit", columns="code") for month in months]
    points, counted = (
        np.stack(
            [table[name].reindex(index=rows["unit"].unique(), columns=codes).to_numpy(float) for table in of_month]
        )
        for name in ("score", "counted")
    )
    versions = [source.at(month) for month in months]
    asked = np.array([[one.scoring_version(leaf) == tree.scoring_version(leaf) for leaf in codes] for one in versions])
    missing = np.array([np.isnan(points[asked[:, j], :, j]).mean() for j in range(len(codes))])
    stacked = np.where(asked[:, None], counted, np.nan)  # without months that asked it in another way, or not at all
    known = (~np.isnan(stacked)).sum(axis=0)
    mean = np.divide(np.nansum(stacked, axis=0), known, out=np.full(known.shape, np.nan), where=known > 0)
    complete = mean[~np.isnan(mean).any(axis=1)]
    return _Given(tree, code, leaves, stacked, missing, complete)


def _of_few_persons(rows: pd.DataFrame, scores: Scores, leaves: list[Node]) -> pd.Series:
    """Tell which scores rest on fewer than min_group persons: shares over units would tell them."""
    persons = [leaf.code for leaf in leaves if scores.about == "persons" or leaf.about == "persons"]
    return rows["code"].isin(persons) & ~(rows["n"] >= max(scores.spec.min_group, FEWEST))


_STATISTICS = (
    "n", "units", "item_total", "vif", "vif_low", "tau", "rank_lost", "ceiling", "floor", "still", "never_met", "always_met", "missing",
    "minutes",
)  # fmt: skip


def _total(values: np.ndarray, weights: np.ndarray, kept: np.ndarray) -> np.ndarray:
    return np.asarray(values[:, kept] @ weights[kept] / weights[kept].sum())


def _leaf_table(given: _Given, weights: np.ndarray) -> pd.DataFrame:
    count, complete = len(given.leaves), given.complete
    full = _total(complete, weights, np.ones(count, dtype=bool))
    inflation, least = _inflation(complete)
    rows = []
    for j, leaf in enumerate(given.leaves):
        rest, points = _total(complete, weights, np.arange(count) != j), given.stacked[:, :, j]
        known = points[~np.isnan(points)]
        never, always = _met(points, _target_points(leaf))
        row = {
            "code": leaf.code, "item_total": _correlation(complete[:, j], rest), "vif": inflation[j], "vif_low": least[j],
            "tau": float(stats.kendalltau(full, rest).statistic), "rank_lost": 1 - float(stats.spearmanr(full, rest).statistic) ** 2,
            "ceiling": float((known >= CEILING).mean()) if len(known) else np.nan,
            "floor": float((known <= FLOOR_).mean()) if len(known) else np.nan,
            "still": _still(points), "never_met": never, "always_met": always, "missing": float(given.missing[j]),
            "minutes": leaf.minutes if isinstance(leaf, Indicator) else np.nan,
        }  # fmt: skip
        alike = bool(complete[:, j].std() <= SAME)
        rows.append(row | {"reason": ";".join(_findings(row, len(complete), alike=alike))})
    return pd.DataFrame(rows)


def _target_points(leaf: Node) -> float:
    """Return the target in points of the score; missing where none is declared."""
    target = leaf.target if isinstance(leaf, Indicator) else float("nan")
    if not (target == target and leaf.maximum > leaf.minimum):
        return float("nan")
    points = 100 * (target - leaf.minimum) / (leaf.maximum - leaf.minimum)
    return points if leaf.direction == 1 else 100 - points


def _met(points: np.ndarray, target: float) -> tuple[float, float]:
    """Return the shares of units that never met a target, and that met it in each of the last six months, all of them known."""
    there, reached = ~np.isnan(points), points >= target - SAME
    units, last = there.any(axis=0), there[-MET:].all(axis=0)
    never = float(1 - reached[:, units].any(axis=0).mean()) if units.any() and target == target else float("nan")
    judged = target == target and len(points) >= MET and last.any()
    return never, float(reached[-MET:, last].all(axis=0).mean()) if judged else float("nan")


def _findings(row: dict[str, Any], units: int, *, alike: bool) -> list[str]:
    """Say why an indicator is a candidate to be left out or changed; ``alike``: all units have the same mean."""
    at_an_end = row["ceiling"] >= OFTEN or row["floor"] >= OFTEN
    checks = {
        "audit_ceiling": row["ceiling"] >= OFTEN, "audit_floor": row["floor"] >= OFTEN, "audit_still": row["still"] >= OFTEN,
        "audit_never_met": row["never_met"] >= OFTEN, "audit_always_met": row["always_met"] == 1, "audit_alike": alike and not at_an_end,
        "audit_missing": row["missing"] >= MISSING,
        "audit_weak": hardly_related(row["item_total"], units), "audit_repeated": row["vif_low"] >= REPEATED,
    }  # fmt: skip
    return [name for name, holds in checks.items() if holds]


def hardly_related(correlation: float, units: int) -> bool:
    """Tell whether an item–rest correlation is low, and its 97.5 % limit (Fisher 1921) below what discriminates."""
    return bool(
        correlation < WEAK
        and np.tanh(np.arctanh(max(correlation, SAME - 1)) + stats.norm.ppf(0.975) / np.sqrt(units - 3)) < USEFUL
    )


def _correlation(x: np.ndarray, y: np.ndarray) -> float:
    return float(np.corrcoef(x, y)[0, 1]) if x.std() > SAME and y.std() > SAME else float("nan")


def _inflation(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the variance inflation 1 / (1 − R²) of each column on the others, and the least it truly is.

    Missing for constants and where units are too few.
    """
    spread, units = values.std(axis=0) > SAME, len(values)
    count, out = int(spread.sum()), np.full((2, values.shape[1]), np.nan)
    if units > count + 1:
        correlations = np.corrcoef(values[:, spread], rowvar=False)
        inflation = np.diag(np.linalg.pinv(np.atleast_2d(correlations), hermitian=True))
        out[:, spread] = inflation, least_inflation(inflation, units, count)
    return out[0], out[1]


def least_inflation(inflation: np.ndarray, units: int, indicators: int) -> np.ndarray:
    """Return the 95 % lower limit of a variance inflation.

    It is a ratio of two variances, of all units (units − 1 degrees of freedom) and around the regression (units − indicators);
    freed of its inflation by chance (Theil's 1961 R² adjusted) it is held against the F distribution. Careful: the two are not independent.
    """
    own, rest = units - 1, units - indicators
    return np.maximum(1.0, np.asarray(inflation) * rest / own / stats.f.isf(0.05, own, rest))


def _still(values: np.ndarray) -> float:
    """Share of units whose last three known months are equal."""
    if len(values) < STILL:
        return float("nan")
    last = values[-STILL:]
    known = ~np.isnan(last).any(axis=0)
    return float((np.ptp(last[:, known], axis=0) < SAME).mean()) if known.any() else float("nan")


def _reduced(leaves: list[Node], values: np.ndarray, weights: np.ndarray, keep: float) -> pd.DataFrame:
    """Leave out the indicator that costs least, again and again, as long as the ranking is kept.

    Its weight goes to the remaining indicator of its parent that goes with it most closely: what it told stays told.
    """
    full, saved = _total(values, weights, np.ones(len(leaves), dtype=bool)), 0.0
    spread = values.std(axis=0) > SAME
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
