"""Association of the dimensions with the outcome (总体感受): which of them go along with it most, with intervals."""

from __future__ import annotations

import zlib
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from ..errors import UsageError, unknown
from ..measure.basis import basis_of
from ..measure.crossnames import is_cross
from ..measure.inference.importance import Importance, first_apart, importance
from ..measure.inference.uncertainty import CONFIDENCE
from ..measure.members import members
from ..measure.places import scored_codes, scored_persons
from ..measure.survey import Survey
from ..measure.survey_scores import score
from ..result import Result
from ..spec import reasons
from ..spec.settings import FLOOR
from ..spec.tree import Node
from ..spec.units import ALL, NO_UNIT, Units

KEYS = ("period", "level", "unit", "form", "outcome", "code")
STATISTICS = ("from_level", "from_unit", "n", "share", "low", "high", "explained", "vif")
ORDER_KEYS = ("period", "level", "unit", "form", "outcome")
ORDER = ("from_level", "from_unit", "n", "r2", "condition", "code", "code_second", "probability", "decided")
LEAST = 30  # people; a smaller unit takes the shares of the first unit above it with so many
MOST_VIF, MOST_CONDITION = 10.0, 30.0  # beyond them no order is told (Marquardt 1970; Belsley, Kuh and Welsch 1980)
LEVEL_OF_R2 = 0.05
ALIKE, NOT_ASSOCIATED, OVERLAP = "dimensions_too_alike", "outcome_not_associated", "intervals_overlap"


@dataclass(frozen=True)
class Drivers(Result):
    """Shares of the explained variance of the outcome that fall to each dimension.

    ``.table``: period, level, unit, form, outcome, code (dimension), from_level, from_unit (whose people the numbers are of: the unit itself,
    or the first above it with enough people), n (those people, with every dimension and the outcome), share (of R², adding up to
    1), low, high (95 %), explained (part of R², adding up to it), vif, reason.
    """

    @property
    def order(self) -> Result:
        """Whether a first dimension can be told, by unit.

        Columns: period, level, unit, form, outcome, from_level, from_unit, n, r2, condition, code (largest share), code_second, probability
        (share of resamples in which it is the largest), decided (its interval lies above those of all others), reason: the
        intervals overlap (``intervals_overlap``), the dimensions are too alike (``dimensions_too_alike``), or R² is not beyond
        chance (``outcome_not_associated``).
        """
        return self.parts["order"]


def drivers(
    survey: Survey,
    outcome: str | None = None,
    by: str | Sequence[str] | None = None,
    *,
    units: Collection[str] | None = None,
    least: int = LEAST,
    draws: int = 1000,
    confidence: float = CONFIDENCE,
    seed: int = 0,
) -> Drivers:
    """Tell how strongly each dimension goes along with the outcome, among the people of each unit.

    R² of the outcome on all dimensions is shared out among them by its gain, averaged over all orders of entry (LMG: Lindeman,
    Merenda and Gold 1980; the Shapley value of R²). It describes an association at one time; it tells no cause.

    Parameters
    ----------
    survey
        A wave of answers; respondents' weights are honoured.
    outcome
        Code outside the index: the outcome block or one of its questions; by default the first of role ``outcome``. A person's
        score of it is the mean of the answers.
    by
        Levels of unit trees or group columns; the root is always there.
    units
        Only these units (or categories) of them; their numbers are those they have among all.
    least
        People a unit needs for shares of its own; below, those of the first unit above it with so many hold (``from_unit``),
        whose people include its own. At least ``min_group``, and two more than there are dimensions.
    draws, confidence, seed
        Of the bootstrap over persons (percentiles). Each unit has a stream of its own.

    Returns
    -------
    Drivers
        Anchors where they ask the outcome, else the full form. Too few people everywhere, or an outcome or dimension on which all
        agree, gives no number, and the reason.

    Raises
    ------
    UsageError
        No outcome was asked, or a code of the index; fewer than two dimensions; a cross-classification.
    DataError
        Answers out of range, weights that cannot be used.

    References
    ----------
    Grömping, U. (2006), Relative importance for linear regression in R: the package relaimpo, Journal of Statistical Software 17.

    Examples
    --------
    >>> dj.drivers(ws.survey("2026Q3"), outcome="O", by="branch").table  # doctest: +SKIP
    """
    form, outcome, dimensions = _asked(survey, outcome)
    tree, names = survey.spec.units.at(survey.period), [by] if isinstance(by, str) else list(by or ())
    if any(not isinstance(name, str) or is_cross(name) for name in names):
        raise UsageError(f"关联分析不按交叉分组计算 (not by a cross-classification): {names}")
    names = list(dict.fromkeys(names))
    scored = score(survey, by=names)  # checks answers and weights, and knows the units of each level
    codes = [*(node.code for node in dimensions), outcome]
    persons = scored_persons(survey, form, codes)
    persons = persons[persons[codes].notna().all(axis=1) & (persons["_weight"] > 0)].reset_index(drop=True)
    enough = max(least, survey.spec.min_group, FLOOR, len(dimensions) + 2)
    root, estimates, tables, orders = tree.root.level, {}, [], []
    for level in [root, *(name for name in names if name != root)]:
        axis = tree.trees[0] if level == root else tree.tree_of(level) if level in tree.levels else level
        inside = _people_of(persons, axis, tree)
        groups = [ALL] if level == root else list(members(level, axis, tree, scored.sums[axis]))
        for unit in groups if units is None or level == root else [one for one in groups if one in units]:
            at = _source(level, unit, inside, tree, survey.withheld.get(survey.period, frozenset()), enough)
            if at not in estimates:
                rows = persons.loc[inside.get(at[1], [])]
                key = zlib.crc32("|".join([*at, form, outcome]).encode())
                estimates[at] = _estimate(rows, codes, enough, draws, confidence, (seed, key))
            keys = (survey.period, level, unit, form, outcome)
            tables.append(_unit_table(keys, at, codes[:-1], estimates[at]))
            orders.append(_order_row(keys, at, codes[:-1], estimates[at]))
    common: dict[str, Any] = {
        "period": survey.period, "periods": (survey.period,), "spec": survey.spec, "withheld": survey.withheld,
        "basis": scored.basis if names else basis_of(survey),
    }  # fmt: skip
    order = pd.DataFrame(orders, columns=[*ORDER_KEYS, *ORDER, "reason"])
    order = order.astype(
        dict.fromkeys(("from_level", "from_unit", "code", "code_second"), "str") | {"decided": "boolean"}
    )
    parts = {"order": Result(order, ORDER_KEYS, ORDER, **common)}
    return Drivers(pd.concat(tables, ignore_index=True), KEYS, STATISTICS, parts=parts, **common)


def asks_outcome(survey: Survey) -> bool:
    """Tell whether a wave asked an outcome that its dimensions can be set beside."""
    try:
        _asked(survey, None)
    except UsageError:
        return False
    return True


def _asked(survey: Survey, outcome: str | None) -> tuple[str, str, tuple[Node, ...]]:
    """Return form, outcome and dimensions; the anchors where they ask the outcome."""
    codebook, trees = survey.codebook, survey.trees()
    asked = {form: set(scored_codes(survey, form)) for form in trees}
    parts = {codebook.index, *(node.code for node in codebook.dimensions)}
    below = {code for code in codebook.tree.codes if parts & {code, *codebook.tree.ancestors(code)}}
    known = [code for code in codebook.tree.codes if code not in below and any(code in one for one in asked.values())]
    outcomes = [code for code in known if codebook.tree[code].role == "outcome"]
    if outcome is None and not outcomes:
        raise UsageError(
            "drivers: 问卷没有结果题,codebook 中 role 写 outcome (no outcome was asked: declare one, role outcome)"
        )
    outcome = outcome or outcomes[0]
    if outcome in below:
        raise UsageError(
            f"{outcome}: 在指数之内,不能作结果 (part of the index: an outcome stands outside it);可用/valid: {known}"
        )
    if outcome not in known:
        raise unknown("结果/outcome", outcome, known)
    for form in [form for form in ("anchors", "full") if form in asked and outcome in asked[form]]:
        dimensions = tuple(node for node in codebook.dimensions if node.code in asked[form])
        if len(dimensions) >= 2:
            return form, outcome, dimensions
    raise UsageError("drivers: 至少两个维度才能比较关联 (two dimensions at least are needed)")


def _people_of(persons: pd.DataFrame, axis: str, units: Units) -> dict[str, np.ndarray]:
    """Return the rows of each unit (or category) of an axis that holds anybody, the whole included."""
    inside: dict[str, list[np.ndarray]] = {ALL: [np.arange(len(persons))]}
    if f"@{axis}" in persons:
        for place, rows in persons.groupby(f"@{axis}", sort=False).indices.items():
            above = [place, *units.ancestors(place)] if axis in units.trees else [place]
            for unit in (one for one in above if one not in (ALL, NO_UNIT)):
                inside.setdefault(unit, []).append(rows)
    return {unit: np.sort(np.concatenate(rows)) for unit, rows in inside.items()}


def _source(
    level: str,
    unit: str,
    inside: dict[str, np.ndarray],
    units: Units,
    withheld: frozenset[tuple[str, str]],
    enough: int,
) -> tuple[str, str]:
    """Return (level, unit) whose people tell: the unit, or the first above it that has enough and is not hidden itself."""
    root = (units.root.level, ALL)
    chain = [(level, unit)]
    if level in units.levels and unit != ALL:
        chain += [(units[above].level, above) for above in units.ancestors(unit) if above != ALL]
    for at in chain:
        if len(inside.get(at[1], [])) >= enough and (at == chain[0] or at not in withheld):
            return at
    return root


def _estimate(
    rows: pd.DataFrame, codes: list[str], enough: int, draws: int, confidence: float, seed: tuple[int, ...]
) -> Importance | None:
    if len(rows) < enough:
        return None
    *dimensions, outcome = codes
    values, weights = rows[dimensions].to_numpy(float), rows["_weight"].to_numpy(float)
    equal = None if np.ptp(weights) == 0 else weights
    return importance(values, rows[outcome].to_numpy(float), equal, draws=draws, confidence=confidence, seed=seed)


def _unit_table(
    keys: tuple[str, ...], at: tuple[str, str], dimensions: list[str], estimate: Importance | None
) -> pd.DataFrame:
    missing = np.full(len(dimensions), np.nan)
    table = pd.DataFrame([keys] * len(dimensions), columns=[*ORDER_KEYS]).assign(code=dimensions)
    table["from_level"], table["from_unit"] = at
    table["n"] = float("nan") if estimate is None else float(estimate.n)
    for name in ("share", "low", "high", "explained", "vif"):
        table[name] = missing if estimate is None else getattr(estimate, name)
    table["vif"] = table["vif"].replace(np.inf, np.nan)
    table["reason"] = _why_missing(estimate)
    text = dict.fromkeys((*KEYS, "from_level", "from_unit", "reason"), "str")
    return table[[*KEYS, *STATISTICS, "reason"]].astype(text)


def _why_missing(estimate: Importance | None) -> str:
    """Return why a unit has no shares, or that its dimensions are too alike to be told apart."""
    if estimate is None:
        return reasons.TOO_FEW_TO_JUDGE
    if np.isnan(estimate.r2):
        return reasons.NO_VARIANCE
    return ALIKE if _too_alike(estimate) else ""


def _too_alike(estimate: Importance) -> bool:
    return bool(estimate.vif.max() > MOST_VIF or estimate.condition > MOST_CONDITION)


def _order_row(keys: tuple[str, ...], at: tuple[str, str], dimensions: list[str], estimate: Importance | None) -> tuple:
    """Tell which dimension comes first, and whether that can be said."""
    why = _why_missing(estimate)
    if estimate is None or np.isnan(estimate.r2):
        n = float("nan") if estimate is None else float(estimate.n)
        return (*keys, *at, n, np.nan, np.nan, "", "", np.nan, pd.NA, why)
    first, apart = first_apart(estimate.share, estimate.low, estimate.high)
    second = int(np.argsort(-estimate.share, kind="stable")[1])
    why = why or ("" if _beyond_chance(estimate) else NOT_ASSOCIATED) or ("" if apart else OVERLAP)
    leading = float((estimate.explained_draws.argmax(axis=1) == first).mean())
    condition = estimate.condition if np.isfinite(estimate.condition) else np.nan
    told = (float(estimate.n), estimate.r2, condition, dimensions[first], dimensions[second], leading, why == "", why)
    return (*keys, *at, *told)


def _beyond_chance(estimate: Importance) -> bool:
    """Tell whether R² is beyond what dimensions that have nothing to do with the outcome reach (F test, effective n)."""
    k = len(estimate.share)
    df = estimate.effective - k - 1
    if df <= 0:
        return False
    ratio = np.inf if estimate.r2 >= 1 else estimate.r2 / k / ((1 - estimate.r2) / df)
    return bool(stats.f.sf(ratio, k, df) < LEVEL_OF_R2)
