"""Why a unit's score and rank moved: own values, weights and version, the other units; every part adds up exactly."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from ..errors import UsageError, unknown
from ..measure.basis import merged_bases
from ..measure.inference.sharedranks import shared_ranks
from ..measure.scores import Scores, inherited, joined
from ..result import Result
from ..spec.tree import Indicator, Node, Tree
from .ranking import chosen_rows, rank

KEYS = ("period", "before_period", "level", "unit", "cause", "code")
OWN, WEIGHT, VERSION, MISSING, RULE = CAUSES = ("own", "weight", "version", "missing", "rule")


@dataclass(frozen=True)
class Explanation(Result):
    """Points won and lost by one unit between two periods.

    ``.table``: period, before_period, level, unit, cause (``own``: its own value of an indicator; ``weight``: the weight of that
    indicator; ``version``: an indicator that only one of the periods asks for, or that they score in different ways;
    ``missing``: one that both ask for, with no value, or not applying, in one of them; ``rule``: what no single indicator
    makes, as a veto or a geometric mean), code, n, before, now (points of the indicator, 0–100), contribution (points of the
    whole). The contributions add up to the change of the score, exactly: by the version in force then and now, so that
    ``version`` and ``weight`` say what a change of the list alone did.
    """

    @property
    def causes(self) -> Result:
        """The same summed by cause: period, before_period, level, unit, cause, n, contribution; a cause without any part is 0."""
        return self.parts["causes"]

    @property
    def places(self) -> Result:
        """Places won and lost: period, before_period, level, unit, n, score_before, score, rank_before, rank, own (places by the
        unit's own change, the others as before), others (by the others' changes; own + others is the change), rank_low, rank_high
        and low_before, high_before (places not ruled out).
        """
        return self.parts["places"]


def explain(
    now: Scores, before: Scores, unit: str, *, code: str | None = None, type: str | None = None, seed: int = 0
) -> Explanation:
    """Explain the change of one unit's score and rank.

    Own values and weights are parted as Kitagawa (1955): ½(w₁ + w₂)(p₂ − p₁) for a value, ½(p₁ + p₂)(w₂ − w₁) for a weight,
    with the weight each indicator really had for this unit: what is missing or does not apply hands its weight to the others.

    Parameters
    ----------
    now, before
        Scores of two periods, of the same code; of spans the rows of the whole spans count.
    unit
        Its code.
    code
        What is explained; by default the top of the tree.
    type
        Type of units it is ranked among; by default its own.

    Raises
    ------
    UsageError
        A unit or code without a score in one of the periods.

    Examples
    --------
    >>> dj.explain(dj.score(ws.indicators("2026-09")), dj.score(ws.indicators("2026-08")), "B001").table  # doctest: +SKIP
    """
    units = now.spec.units.at(now.period)
    if unit not in units:
        raise unknown("单位/unit", unit, [row.unit for row in units.rows])
    level, kind = units[unit].level, type if type is not None else units[unit].type
    rows, _, code = chosen_rows(now, level, code, kind)
    states = [_state(scores, unit, code) for scores in (before, now)]
    table = _contributions(states[0], states[1])
    head = {"period": now.period, "before_period": before.period, "level": level, "unit": unit}
    table = table.assign(**head, n=np.nan)[[*KEYS, "n", "before", "now", "contribution"]]
    common = inherited(now) | {
        "periods": tuple(dict.fromkeys([*before.periods, *now.periods])), "withheld": {**before.withheld, **now.withheld},
        "basis": merged_bases(before, now),
    }  # fmt: skip
    places = _places(now, before, rows, unit, code, kind, seed)
    places = places.assign(**head)[["period", "before_period", "level", "unit", *_PLACES]]
    part = Result(places, ("period", "before_period", "level", "unit"), _PLACES, together=_PLACES[3:], **common)
    parts = {"places": part, "causes": _by_cause(table, head, common)}
    return Explanation(joined([table]), KEYS, ("n", "before", "now", "contribution"), parts=parts, **common)


_PLACES = (
    "n", "score_before", "score", "rank_before", "rank", "own", "others", "rank_low", "rank_high", "low_before", "high_before",
)  # fmt: skip


@dataclass(frozen=True)
class _State:
    """One unit in one period: its score, the points of each leaf, the weight each really had, how it is scored; leaves asked."""

    score: float
    points: Mapping[str, float]
    weights: Mapping[str, float]
    versions: Mapping[str, str]
    asked: frozenset[str]


def _state(scores: Scores, unit: str, code: str) -> _State:
    rows = scores.table[(scores.table["unit"] == unit) & (scores.table["period"] == scores.period)]
    form = "anchors" if "anchors" in set(rows["form"]) else "full"
    points = rows[rows["form"] == form].set_index("code")["score"].astype(float)
    if code not in points.index or np.isnan(points[code]):
        raise UsageError(f"{unit} {code}: {scores.period} 没有得分,无从解释 (no score in this period to be explained)")
    source = scores.spec.indicators if scores.programme == "indicators" else scores.spec.codebook.tree
    assert source is not None
    tree = source.at(scores.period)
    exempt = rows[rows["reason"] == "not_applicable"]["code"]
    weights = _weights(tree, code, points.drop(list(exempt), errors="ignore").dropna())
    versions = {leaf: tree.scoring_version(leaf) for leaf in weights}
    asked = frozenset(leaf.code for leaf in tree.leaves_of(code))
    return _State(float(points[code]), {leaf: float(points[leaf]) for leaf in weights}, weights, versions, asked)


def _weights(tree: Tree, code: str, points: pd.Series, weight: float = 1.0) -> dict[str, float]:
    """Return the weight of each leaf below a code in its score: down the tree, among the children that have points."""
    children = [child for child in tree.children(code) if child.code in points.index]
    if not children:
        return {code: weight}
    bonus = [child for child in children if _kind(child) == "bonus"]
    regular = [child for child in children if _kind(child) not in ("bonus", "veto")]
    present = sum(child.weight for child in regular)
    whole = sum(child.weight for child in tree.children(code) if _kind(child) not in ("bonus", "veto"))
    weights: dict[str, float] = {}
    for child in regular:
        weights |= _weights(tree, child.code, points, weight * child.weight / present if present else 0.0)
    for child in bonus:
        weights |= {child.code: weight * child.weight / whole}
    return weights


def _kind(node: Node) -> str:
    return node.kind if isinstance(node, Indicator) else ""


def _contributions(before: _State, now: _State) -> pd.DataFrame:
    """Part the change of the score; what is left over belongs to no single indicator."""
    rows: list[tuple[str, str, float, float, float]] = []
    for code in dict.fromkeys([*before.weights, *now.weights]):
        p = (before.points.get(code, np.nan), now.points.get(code, np.nan))
        w = (before.weights.get(code, 0.0), now.weights.get(code, 0.0))
        if before.versions.get(code) == now.versions.get(code):
            rows.append((OWN, code, *p, (w[0] + w[1]) / 2 * (p[1] - p[0])))
            rows.append((WEIGHT, code, *p, (p[0] + p[1]) / 2 * (w[1] - w[0])))
        else:
            scored = code in before.weights and code in now.weights
            cause = MISSING if code in before.asked & now.asked and not scored else VERSION
            rows.append((cause, code, *p, float(np.nan_to_num(w[1] * p[1]) - np.nan_to_num(w[0] * p[0]))))
    explained = sum(row[-1] for row in rows)
    left = now.score - before.score - explained
    rows = [row for row in rows if abs(row[-1]) > 1e-12]
    if abs(left) > 1e-9:
        rows.append((RULE, "", np.nan, np.nan, left))
    table = pd.DataFrame(rows, columns=["cause", "code", "before", "now", "contribution"])
    return table.sort_values("contribution", key=np.abs, ascending=False, kind="stable", ignore_index=True)


def _by_cause(table: pd.DataFrame, head: Mapping[str, str], common: Mapping[str, Any]) -> Result:
    """Sum the parts of the change by cause."""
    sums = table.groupby("cause")["contribution"].sum().reindex(list(CAUSES), fill_value=0.0)
    causes = pd.DataFrame({**head, "cause": list(sums.index), "n": np.nan, "contribution": sums.to_numpy(float)})
    keys = ("period", "before_period", "level", "unit", "cause")
    return Result(joined([causes]), keys, ("n", "contribution"), **common)


def places_by_own(before: pd.Series, score: float, unit: str) -> float:
    """Return the places a unit wins by its own new score alone, the others (scores by unit) as before; NaN without a rank."""
    moved = before.copy()
    moved[unit] = score
    at = moved.index.get_loc(unit)
    return float(shared_ranks(before.to_numpy(float))[at] - shared_ranks(moved.to_numpy(float))[at])


def _places(
    now: Scores, before: Scores, rows: pd.DataFrame, unit: str, code: str, kind: str, seed: int
) -> pd.DataFrame:
    """Return ranks before and after, and what the unit's own change alone would have made of it."""
    level = rows["level"].iloc[0]
    ranks = [rank(scores, level, code=code, type=kind, seed=seed).table.set_index("unit") for scores in (before, now)]
    old, new = ranks[0]["score"].astype(float), ranks[1]["score"].astype(float)
    own = places_by_own(old, float(new[unit]), unit)
    first, last = (float(table.loc[unit, "rank"]) for table in ranks)
    values: dict[str, Any] = {
        "n": np.nan, "score_before": old[unit], "score": new[unit], "rank_before": first, "rank": last, "own": own,
        "others": first - last - own,
    }  # fmt: skip
    values |= {name: ranks[1].loc[unit, name] for name in ("rank_low", "rank_high")}
    values |= {"low_before": ranks[0].loc[unit, "rank_low"], "high_before": ranks[0].loc[unit, "rank_high"]}
    return pd.DataFrame([values]).astype("float64")
