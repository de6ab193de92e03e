"""Scores of units from branch indicators: the same tree, on values of units."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from ..errors import Problems
from ..result import Result
from ..spec import reasons
from ..spec.specification import Specification
from ..spec.units import ALL, Unit, Units
from .basis import bases_of
from .scores import KEYS, STATISTICS, Scores, joined
from .scoring import score_frame
from .survey import Indicators


def score_indicators(data: Indicators, spec: Specification, by: Any) -> Scores:
    """Score the branch indicators of one period; see :func:`dj_analysis.score`."""
    tree, units = data.tree, spec.units.at(data.period)
    levels = units.levels if by is None else [by] if isinstance(by, str) else list(by)
    rows: list[Unit] = [unit for level in dict.fromkeys([units.root.level, *levels]) for unit in units.at_level(level)]
    wide = _wide(data, units)
    scored = score_frame(wide.reset_index(), {"full": tree}).set_index("unit")
    errors = data.values.set_index(["unit", "code"])
    leaves = {leaf.code: leaf for leaf in tree.leaves}
    out = []
    for unit in rows:
        for code in tree.codes:
            out.append(_indicator_row(data.period, unit, code, leaves.get(code), scored, errors))
    table = pd.DataFrame(
        out,
        columns=[
            "period",
            "level",
            "unit",
            "form",
            "code",
            "n",
            "score",
            "sd",
            "se",
            "df",
            "skewness",
            "se_source",
            "low",
            "high",
            "favourable",
            "reason",
        ],
    )
    common: dict[str, Any] = {
        "period": data.period,
        "about": "units",
        "programme": "indicators",
        "spec": spec,
        "periods": (data.period,),
        "basis": bases_of(data),
    }
    empty = {
        "shares": Result(table=table.iloc[:0][list(KEYS)], keys=KEYS, statistics=(), n=None, **common),
        "response": Result(
            table=table.iloc[:0][["period", "level", "unit"]],
            keys=("period", "level", "unit"),
            statistics=(),
            n=None,
            **common,
        ),
    }
    return Scores(table=joined([table]), keys=KEYS, statistics=STATISTICS, parts=empty, **common)


def _indicator_row(
    period: str, unit: Unit, code: str, leaf: Any, scored: pd.DataFrame, errors: pd.DataFrame
) -> list[Any]:
    """Return the row of one unit and code; its only possible standard error is the one declared with the value."""
    column, has_scores = f"full__{code}", unit.unit in scored.index
    se = n = float("nan")
    reason = ""
    if leaf is not None:
        value = scored.at[unit.unit, code] if has_scores and code in scored else float("nan")
        span = leaf.maximum - leaf.minimum
        points = 100 * ((value - leaf.minimum) if leaf.direction == 1 else (leaf.maximum - value)) / span
        if (unit.unit, code) in errors.index:
            value_row = errors.loc[(unit.unit, code)]
            se, n, reason = 100 * float(value_row["se"]) / span, float(value_row["n"]), str(value_row["reason"])
    else:
        points = scored.at[unit.unit, column] if has_scores and column in scored else float("nan")
    missing = points != points
    declared = se == se and not missing
    low, high = (max(0.0, points - 1.959964 * se), min(100.0, points + 1.959964 * se)) if declared else (np.nan, np.nan)
    if missing:
        reason = {"suppressed": reasons.SUPPRESSED_AT_SOURCE}.get(reason, reason) or reasons.MISSING_VALUE
    elif not declared:
        reason = reasons.NO_ERROR_SOURCE
    source = "declared" if declared else "none"
    return [
        period,
        unit.level,
        unit.unit,
        "full",
        code,
        n,
        points,
        np.nan,
        se,
        np.nan,
        np.nan,
        source,
        low,
        high,
        np.nan,
        reason,
    ]


def _wide(data: Indicators, units: Units) -> pd.DataFrame:
    """Return values as units × indicators; higher units get theirs by the indicator's roll-up."""
    tree = data.tree
    codes = [leaf.code for leaf in tree.leaves]
    wide = data.values.pivot(index="unit", columns="code", values="value").reindex(columns=codes).astype("float64")
    problems = Problems()
    leaves = {leaf.code: leaf for leaf in tree.leaves}
    for code, leaf in leaves.items():
        bad = wide.index[(wide[code] < leaf.minimum) | (wide[code] > leaf.maximum)]
        if len(bad):
            bad_value, allowed = f"{bad[0]} {wide.at[bad[0], code]:g}", f"{leaf.minimum:g}–{leaf.maximum:g}"
            problems.add(
                f"indicator_values: {code}",
                "out_of_range",
                bad_value,
                allowed,
                "改正数值或区间 (correct value or range)",
            )
    problems.raise_if_any()
    parents = sorted((u.unit for u in units.rows), key=lambda unit: -len(units.ancestors(unit)))
    for parent in [*parents, ALL]:
        children = [child.unit for child in units.children(parent) if child.unit in wide.index]
        for code, leaf in leaves.items():
            how = leaf.rollup or "none"
            own = parent in wide.index and wide.at[parent, code] == wide.at[parent, code]
            if children and how != "none" and not own:
                wide.loc[parent, code] = _rolled(wide.loc[children, code], how, data)
    wide.index.name = "unit"
    return wide


def _rolled(values: pd.Series, how: str, data: Indicators) -> float:
    present = values.dropna()
    if present.empty:
        return float("nan")
    if how == "sum":
        return float(present.sum())
    if how == "weighted":
        heads = np.array([data.spec.headcount(unit, data.period) for unit in present.index])
        return float(np.average(present, weights=heads)) if np.isfinite(heads).all() and heads.sum() else float("nan")
    return float(present.mean())
