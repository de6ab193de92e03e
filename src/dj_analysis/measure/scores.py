"""Scores of units with their error, for the survey and for branch indicators alike."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pandas as pd

from ..errors import Problems, UsageError, unknown
from ..result import Result
from ..spec import reasons
from ..spec.specification import Specification
from ..spec.units import ALL, NO_UNIT, Unit, Units
from . import uncertainty
from .scoring import score_frame, sum_frame
from .survey import Indicators, Survey
from .unitsums import UnitSums

KEYS = ("period", "level", "unit", "form", "code")
STATISTICS = ("n", "score", "sd", "se", "df", "low", "high", "favourable")


@dataclass(frozen=True)
class Scores(Result):
    """Scores by unit and code, with the sums they rest on.

    ``.table``: period, level, unit, form, code, n, score (0–100, high is good), sd, se, se_source, low, high (95 %
    interval), favourable (share of favourable answers, 0–1), reason (why something is missing).
    """

    sums: Mapping[str, UnitSums] = field(default_factory=dict, repr=False)

    @property
    def shares(self) -> Result:
        """Shares with Wilson intervals: the keys, statistic (favourable, below), cut, n, count, share, low, high, reason."""
        return self.parts["shares"]

    @property
    def response(self) -> Result:
        """Participation: period, level, unit, n, headcount, rate, reason."""
        return self.parts["response"]

    def at(self, unit: str, code: str, form: str = "anchors") -> pd.Series:
        """Return the row of one unit and code."""
        table = self.table
        row = table[(table["unit"] == unit) & (table["code"] == code) & (table["form"] == form)]
        if row.empty:
            raise unknown("单位和代码/unit and code", f"{unit} {code} {form}", table["unit"].unique())
        return row.iloc[0]


def score(
    data: Survey | Indicators, by: str | Sequence[str] | None = None, *, spec: Specification | None = None
) -> Scores:
    """Score a wave of answers, or a period of branch indicators, by unit.

    Parameters
    ----------
    data
        What ``ws.survey(period)``, :func:`read_survey` or ``ws.indicators(period)`` returned.
    by
        Levels of unit trees and declared group columns, one at a time; by default every level of the first tree. The
        root is always there. A unit without respondents is a row without a score.
    spec
        Another specification than the one ``data`` carries.

    Returns
    -------
    Scores
        ``.table`` with one row a unit, form and code; ``.shares`` and ``.response`` with the same units.
        ``se_source`` is ``respondents`` for surveys, ``declared`` or ``none`` for indicators.

    Raises
    ------
    UsageError
        A level or group that does not exist.
    DataError
        Answers out of range, or units that do not exist in the period.

    Examples
    --------
    >>> scores = dj.score(ws.survey("2026Q3"), by=["city", "branch"])  # doctest: +SKIP
    """
    if isinstance(data, Indicators):
        return _score_indicators(data, spec or data.spec, by)
    wave = data if spec is None else replace(data, spec=spec)
    return scores_of_sums(unit_sums(wave, by), wave, by)


def unit_sums(data: Survey, by: str | Sequence[str] | None = None) -> dict[str, UnitSums]:
    """Sum a wave by the finest units of every tree and group column that ``by`` needs: axis name → sums."""
    spec = data.spec
    units = spec.units.at(data.period)
    axes = dict.fromkeys([units.trees[0], *(axis for _, axis in _wanted(data, by, spec, units))])
    trees, made = data.trees(), {}
    for axis in axes:
        sums = sum_frame(
            data.frame, trees, axis, data.axes.get(axis), weight=data.weight,
            favourable=spec.bands["favourable"], low=spec.bands["low_answers"], index=spec.codebook.index,
        )  # fmt: skip
        made[axis] = _known(sums, units, data) if axis in units.trees else sums
    return made


def scores_of_sums(sums: Mapping[str, UnitSums], data: Survey, by: str | Sequence[str] | None = None) -> Scores:
    """Turn sums into scores: levels are sums of sums. ``data`` gives the period and what was asked, not its rows."""
    spec = data.spec
    units = spec.units.at(data.period)
    blocks = []
    for level, axis in _wanted(data, by, spec, units):
        groups = members(level, axis, units, sums[axis])
        blocks.append((level, sums[axis].rolled_up(groups)))
    tables = [_score_table(level, block, data.period) for level, block in blocks]
    share_tables = [_share_table(level, block, data.period, spec) for level, block in blocks]
    responses = [_response_table(level, block, data.period, spec) for level, block in blocks]
    common: dict[str, Any] = {"period": data.period, "spec": spec, "periods": (data.period,)}
    parts = {
        "shares": Result(
            table=_joined(share_tables), keys=(*KEYS, "statistic", "cut"),
            statistics=("n", "count", "share", "low", "high"), **common,
        ),
        "response": Result(
            table=_joined(responses), keys=("period", "level", "unit"), statistics=("n", "headcount", "rate"), **common
        ),
    }  # fmt: skip
    return Scores(table=_joined(tables), keys=KEYS, statistics=STATISTICS, parts=parts, sums=sums, **common)


def restated(before: Scores, now: Scores) -> Scores:
    """Return earlier scores with every later unit that was merged of earlier ones as if it had been whole then.

    Its sums are those of its parts, wherever they belonged; so is its headcount. All other rows stay as they were.
    """
    later, earlier = now.spec.units.at(now.period), now.spec.units.at(before.period)
    tables, responses = [before.table], [before.response.table]
    for level in (level for level in now.table["level"].unique() if level in later.levels):
        axis = later.tree_of(level)
        merged = {
            unit.unit: parts
            for unit in later.at_level(level)
            if (parts := merged_parts(unit.unit, now.spec, before.period))
        }
        if not merged or axis not in before.sums:
            continue
        block = before.sums[axis].rolled_up(
            {unit: finest(parts, earlier, before.sums[axis]) for unit, parts in merged.items()}
        )
        tables = [table[~table["unit"].isin(merged)] for table in tables] + [_score_table(level, block, before.period)]
        response = _response_table(level, block, before.period, now.spec)
        heads = [sum(now.spec.headcount(part, before.period) for part in parts) for parts in merged.values()]
        response["headcount"] = np.array(heads, dtype=float)
        response["rate"] = np.where(response["headcount"] > 0, response["n"] / response["headcount"], np.nan)
        responses = [table[~table["unit"].isin(merged)] for table in responses] + [response]
    others = dict(before.parts) | {"response": before.response.with_table(_joined(responses))}
    return replace(before, table=_joined(tables), parts=others)


def merged_parts(unit: str, spec: Specification, period: str) -> list[str]:
    """Return the units of an earlier period that a later unit was merged of; empty where nothing was merged into it."""
    parts = [part for part, became in spec.units.successors.items() if became == unit]
    if not parts:  # nearly every unit: the units of the earlier period are looked up for the few others only
        return []
    earlier = spec.units.at(period)
    absorbed = [part for part in parts if part in earlier]
    return [*([unit] if unit in earlier else []), *absorbed] if absorbed else []


def finest(parts: list[str], units: Units, sums: UnitSums) -> list[str]:
    """Return the finest units of the sums that lie in any of these parts."""
    return [unit for unit in sums.units if set(parts) & {unit, *units.ancestors(unit)}]


def members(level: str, axis: str, units: Units, sums: UnitSums) -> dict[str, list[str]]:
    """Which finest units (or categories) each row of a level holds; every unit of the level is there, empty or not."""
    if axis not in units.trees:
        return {category: [category] for category in sorted(set(sums.units) - {NO_UNIT})}
    groups: dict[str, list[str]] = {unit.unit: [] for unit in units.at_level(level)}
    for unit in sums.units:
        above = [ALL] if unit == NO_UNIT else [unit, *units.ancestors(unit)]
        for code in above:
            if code in groups:
                groups[code].append(unit)
    return groups


def _wanted(data: Survey, by: str | Sequence[str] | None, spec: Specification, units: Units) -> list[tuple[str, str]]:
    """Return (level or group, axis) pairs, the root first."""
    if by is None:
        by = [level for level in units.levels if units.tree_of(level) == units.trees[0]]
    names = [by] if isinstance(by, str) else list(by)
    pairs = [(units.root.level, units.trees[0])]
    for name in names:
        if name in units.levels:
            axis = units.tree_of(name)
        elif name in data.axes and name not in units.trees:
            axis = name
        else:
            raise unknown(
                "层级或分组/level or group", name, [*units.levels, *(a for a in data.axes if a not in units.trees)]
            )
        if axis not in data.axes and axis != units.trees[0]:
            raise UsageError(f"本期数据没有 {axis} 列,无法按 {name} 汇总 (no column {axis} in this wave)")
        if (name, axis) not in pairs:
            pairs.append((name, axis))
    return pairs


def _known(sums: UnitSums, units: Units, data: Survey) -> UnitSums:
    """Turn what people wrote into unit codes; a unit that does not exist in the period is an error."""
    if not units.rows:
        return sums.renamed(dict.fromkeys(sums.units, NO_UNIT))
    found = dict(units.resolve([unit for unit in sums.units if unit]))
    problems = Problems()
    for unit, persons in zip(sums.units, sums.persons, strict=True):
        if unit != NO_UNIT and unit not in found:
            advice = "改正单位,或在 units 表补上及其有效期 (mend it, or add it to units)"
            problems.add(
                f"答案/responses {data.period}", "unknown_unit", f"{unit} ({persons:.0f} 行/rows)", "units 表", advice
            )
    problems.raise_if_any()
    return sums.renamed(found | {NO_UNIT: NO_UNIT})


def _score_table(level: str, sums: UnitSums, period: str) -> pd.DataFrame:
    found = uncertainty.means(sums.sums)
    with np.errstate(divide="ignore", invalid="ignore"):
        favourable = sums.sums["favourable"] / sums.sums["answers"]
    reason = found.reason.copy()
    answered = sums.persons[:, None] > 0
    reason[(reason == reasons.NO_ANSWERS) & answered] = reasons.NOT_ENOUGH_ANSWERED
    table = _keys(level, sums, period)
    for name, values in {
        "n": sums.sums["n"].astype(int), "score": found.mean, "sd": found.sd, "se": found.se, "df": found.df,
        "se_source": np.full(reason.shape, "respondents", dtype=object), "low": found.low, "high": found.high,
        "favourable": favourable, "reason": reason,
    }.items():  # fmt: skip
        table[name] = values.ravel()
    return table


def _share_table(level: str, sums: UnitSums, period: str, spec: Specification) -> pd.DataFrame:
    n, w, ww = sums.sums["n"], sums.sums["w"], sums.sums["ww"]
    with np.errstate(divide="ignore", invalid="ignore"):
        effective = np.where(w > 0, w**2 / ww, 0)
        favourable = sums.sums["favourable"] / sums.sums["answers"]
        low = sums.sums["low"] / w
    # Several answers of one person are not independent: the interval of a dimension counts persons, not answers.
    tables = [
        _shares(level, sums, period, "favourable", spec.bands["favourable"].bands[0].point, n, effective, favourable)
    ]
    cut = spec.bands["low_answers"].of
    cells = [j for j, (_, code) in enumerate(sums.cells) if code == spec.codebook.index]
    if cells and cut is not None:
        chosen = sums.laid_out(sums.units, [sums.cells[j] for j in cells])
        tables.append(_shares(level, chosen, period, "below", cut, n[:, cells], effective[:, cells], low[:, cells]))
    return pd.concat(tables, ignore_index=True)


def _shares(
    level: str,
    sums: UnitSums,
    period: str,
    statistic: str,
    cut: float,
    n: np.ndarray,
    effective: np.ndarray,
    share: np.ndarray,
) -> pd.DataFrame:
    table = _keys(level, sums, period)
    low, high = uncertainty.shares(np.nan_to_num(share * effective), effective)
    for name, values in {
        "statistic": np.full(share.shape, statistic, dtype=object), "cut": np.full(share.shape, cut), "n": n.astype(int),
        "count": np.nan_to_num(share * n), "share": share, "low": low, "high": high,
        "reason": np.where(n > 0, "", reasons.NO_ANSWERS).astype(object),
    }.items():  # fmt: skip
        table[name] = values.ravel()
    return table


def _response_table(level: str, sums: UnitSums, period: str, spec: Specification) -> pd.DataFrame:
    head = [float("nan") if level in spec.group_names else spec.headcount(unit, period) for unit in sums.units]
    table = pd.DataFrame({"period": period, "level": level, "unit": list(sums.units)})
    table["n"] = sums.persons.astype(int)
    table["headcount"] = np.array(head, dtype=float)
    table["rate"] = np.where(table["headcount"] > 0, table["n"] / table["headcount"], np.nan)
    table["reason"] = np.where(table["rate"].isna(), reasons.NO_HEADCOUNT, "").astype(object)
    too_many = table["rate"] > 1
    table.loc[too_many, ["reason", "rate"]] = [reasons.MORE_THAN_HEADCOUNT, np.nan]
    return table


def _keys(level: str, sums: UnitSums, period: str) -> pd.DataFrame:
    units, cells = len(sums.units), len(sums.cells)
    return pd.DataFrame(
        {
            "period": period,
            "level": level,
            "unit": np.repeat(np.array(sums.units, dtype=object), cells),
            "form": np.tile([form for form, _ in sums.cells], units),
            "code": np.tile([code for _, code in sums.cells], units),
        }
    )


def _joined(tables: list[pd.DataFrame]) -> pd.DataFrame:
    table = pd.concat(tables, ignore_index=True)
    text = [name for name in table.columns if table[name].dtype == object or str(table[name].dtype) == "str"]
    return table.astype(dict.fromkeys(text, "str"))


def _score_indicators(data: Indicators, spec: Specification, by: str | Sequence[str] | None) -> Scores:
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
    return Scores(table=_joined([table]), keys=KEYS, statistics=STATISTICS, parts=empty, **common)


def _indicator_row(
    period: str, unit: Unit, code: str, leaf: Any, scored: pd.DataFrame, errors: pd.DataFrame
) -> list[Any]:
    """One unit and code; an error is only ever the one declared with the value."""
    column, known = f"full__{code}", unit.unit in scored.index
    se = n = float("nan")
    reason = ""
    if leaf is not None:
        value = scored.at[unit.unit, code] if known and code in scored else float("nan")
        span = leaf.maximum - leaf.minimum
        points = 100 * ((value - leaf.minimum) if leaf.direction == 1 else (leaf.maximum - value)) / span
        if (unit.unit, code) in errors.index:
            given = errors.loc[(unit.unit, code)]
            se, n, reason = 100 * float(given["se"]) / span, float(given["n"]), str(given["reason"])
    else:
        points = scored.at[unit.unit, column] if known and column in scored else float("nan")
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
        source,
        low,
        high,
        np.nan,
        reason,
    ]


def _wide(data: Indicators, units: Units) -> pd.DataFrame:
    """One row a unit, one column an indicator; units above get their value as the indicator's roll-up says."""
    tree = data.tree
    codes = [leaf.code for leaf in tree.leaves]
    wide = data.values.pivot(index="unit", columns="code", values="value").reindex(columns=codes).astype("float64")
    problems = Problems()
    leaves = {leaf.code: leaf for leaf in tree.leaves}
    for code, leaf in leaves.items():
        bad = wide.index[(wide[code] < leaf.minimum) | (wide[code] > leaf.maximum)]
        if len(bad):
            found, allowed = f"{bad[0]} {wide.at[bad[0], code]:g}", f"{leaf.minimum:g}–{leaf.maximum:g}"
            problems.add(
                f"indicator_values: {code}", "out_of_range", found, allowed, "改正数值或区间 (mend value or range)"
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
    known = values.dropna()
    if known.empty:
        return float("nan")
    if how == "sum":
        return float(known.sum())
    if how == "weighted":
        heads = np.array([data.spec.headcount(unit, data.period) for unit in known.index])
        return float(np.average(known, weights=heads)) if np.isfinite(heads).all() and heads.sum() else float("nan")
    return float(known.mean())
