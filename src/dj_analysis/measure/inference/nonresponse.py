"""Non-response of a wave: raking weights to the headcount, a pessimistic bound for the remaining bias."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import narwhals.stable.v2 as nw
import numpy as np
import pandas as pd

from ...errors import Problems, UsageError, unknown
from ...result import Result
from ...spec import reasons
from ...spec.tables import whole_numbers
from ...spec.units import ALL, NO_UNIT
from ..engines import all_rows
from ..scores import KEYS, Scores
from ..survey import Survey
from .raking import AGREE, TRIM, Axes, check_weights, design_effect, fit_capped, fit_margins, sum_to

RAKED = "raking_weight"
ELSEWHERE = "其余/others"  # people whose unit is known but not below the level


def weigh_to_headcount(survey: Survey, by: str | Sequence[str | Sequence[str]], *, trim: float = TRIM) -> Survey:
    """Weight respondents to the headcounts of units and groups.

    Raking to the headcounts of the wave (Deming & Stephan 1940), from the survey's own weights where it has such; weights
    above ``trim`` times the median are cut and the others raked again
    (:func:`~dj_analysis.measure.inference.raking.fit_capped`). It corrects the composition of the respondents by these
    columns for non-response. It cannot correct for non-respondents whose opinions differ from those of respondents in the
    same cells: see :func:`nonresponse_bound`.

    Parameters
    ----------
    survey
        A wave; a lazy frame is collected.
    by
        Levels of unit trees and group columns, each a margin; a tuple of a level and a group column is a joint margin, with
        the headcounts of the group within each unit. People of units that are not below the level are one further category;
        respondents without a value keep their share.
    trim
        Largest weight, in medians.

    Returns
    -------
    Survey
        With a column ``raking_weight`` (they sum to the headcount) named by ``weight``, which every later statistic
        honours; ``notices`` say n, deff, n_eff, how many weights were cut and how far each margin then is from its headcounts.

    Raises
    ------
    UsageError
        A level or group that does not exist.
    DataError
        Lists all headcounts that are missing or cannot be met; see :func:`rake`.

    Examples
    --------
    >>> weighed = weigh_to_headcount(ws.survey("2026Q3"), ["city", "age_band"])  # doctest: +SKIP
    >>> dj.score(weighed).table  # doctest: +SKIP
    """
    frame = all_rows(nw.from_native(survey.frame))
    margin_parts = [(name,) if isinstance(name, str) else tuple(name) for name in ([by] if isinstance(by, str) else by)]
    names = list(dict.fromkeys(itertools.chain.from_iterable(margin_parts)))
    if not names:
        raise UsageError("by 为空:至少写一个层级或分组 (name at least one level or group column)")
    problems = Problems()
    base = np.ones(len(frame)) if survey.weight is None else np.asarray(frame[survey.weight].to_numpy(), dtype=float)
    check_weights(survey.weight or "weights", base, problems)
    sides = [_side(survey, frame, name, problems) for name in names]
    problems.raise_if_any()
    cells, counts = _table(sides, base)
    margins, margin_names = {}, {}
    for parts in margin_parts:
        axes = tuple(sorted(names.index(part) for part in parts))
        margins[axes] = _headcounts(survey, [sides[axis] for axis in axes], sum_to(counts, axes), problems)
        margin_names[axes] = "×".join(names[axis] for axis in axes)
    problems.raise_if_any()
    fitted = fit_margins(counts, margins, margin_names, [side.categories for side in sides])
    factor = np.divide(fitted, counts, out=np.zeros_like(counts), where=counts > 0)
    untrimmed = base * factor.ravel()[cells]
    weights = fit_capped(untrimmed, cells, counts.shape, margins, trim=trim)
    reached = np.bincount(cells, weights, minlength=counts.size).reshape(counts.shape)
    column = nw.new_series(RAKED, weights, nw.Float64, backend=frame.implementation)
    n_cut = int((untrimmed > trim * np.median(untrimmed[untrimmed > 0])).sum())
    notice = _notice(list(margin_names.values()), weights, n_cut, trim)
    if n_cut:
        notice += _deviations(reached, margins, margin_names, [side.categories for side in sides])
    weighted = nw.to_native(frame.with_columns(column))
    return replace(survey, frame=weighted, weight=RAKED, notices=(*survey.notices, notice))


def nonresponse_bound(scores: Scores, gap: float = 10.0) -> Result:
    """Compute a pessimistic bound of scores: every non-respondent lies ``gap`` points lower.

    bound = rate·score + (1 − rate)·(score − gap), with score − gap no lower than 0: a pessimistic case, not an interval,
    for the answers contain no information about non-respondents. Weights move the score; the rate is that of people.

    Parameters
    ----------
    scores
        Of a survey, with headcounts.
    gap
        By how many points (0–100) those who did not answer lie lower.

    Returns
    -------
    Result
        period, level, unit, form, code, n, rate, score, bound, reason. Without a headcount there is
        no bound, with the reason.
    """
    if not 0 <= gap <= 100:
        raise UsageError(f"gap = {gap:g}:应在 0–100 分之间 (between 0 and 100 points)")
    rates = scores.response.table[["period", "level", "unit", "rate", "reason"]]
    table = scores.table[[*KEYS, "n", "score", "reason"]].merge(
        rates, on=["period", "level", "unit"], how="left", suffixes=("", "_of_rate"), validate="many_to_one"
    )
    nonrespondent_score = (table["score"] - gap).clip(lower=0)
    table["bound"] = table["rate"] * table["score"] + (1 - table["rate"]) * nonrespondent_score
    why = table["reason"].where(table["score"].isna(), table["reason_of_rate"].fillna(reasons.NO_HEADCOUNT))
    table["reason"] = why.where(table["bound"].isna(), "").astype("str")
    return Result(
        table=table[[*KEYS, "n", "rate", "score", "bound", "reason"]], keys=KEYS,
        statistics=("n", "rate", "score", "bound"), period=scores.period, periods=scores.periods,
        spec=scores.spec, withheld=scores.withheld, basis=scores.basis,
    )  # fmt: skip


@dataclass(frozen=True)
class _Side:
    """One dimension of the table: its categories and the category of each respondent; ``""`` is missing."""

    name: str
    unit: bool
    categories: list[str]
    place: np.ndarray


def _side(survey: Survey, frame: Any, name: str, problems: Problems) -> _Side:
    """Assign the respondents to the units of a level or the categories of a group."""
    units = survey.spec.units.at(survey.period)
    groups = [axis for axis in survey.axes if axis not in units.trees]
    if name not in units.levels and name not in groups:
        raise unknown("层级或分组/level or group", name, [*units.levels, *groups])
    axis = units.tree_of(name) if name in units.levels else name
    if axis not in survey.axes:
        raise UsageError(f"本期数据没有 {axis} 列,无法按 {name} 加权 (no column {axis} in this wave)")
    text_index, texts = pd.factorize(_texts(frame[survey.axes[axis]]))
    if name in units.levels:
        assigned, categories = _units_of(survey, list(texts), axis, name, problems)
    else:
        assigned, categories = list(texts), list(dict.fromkeys([*_categories(survey, name), *(t for t in texts if t)]))
    categories += [NO_UNIT] if NO_UNIT in assigned else []
    index = {category: i for i, category in enumerate(categories)}
    places = np.array([index[text] for text in assigned], dtype=int)
    return _Side(name, name in units.levels, categories, places[text_index])


def _table(sides: Sequence[_Side], base: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the flat cell index of every respondent, and the table of their weights."""
    shape = tuple(len(side.categories) for side in sides)
    cells = np.ravel_multi_index([side.place for side in sides], shape)
    return cells, np.bincount(cells, weights=base, minlength=math.prod(shape)).reshape(shape)


def _units_of(
    survey: Survey, texts: list[str], tree: str, level: str, problems: Problems
) -> tuple[list[str], list[str]]:
    """Return the unit of the level each text resolves to, and all categories of the level."""
    spec, units = survey.spec, survey.spec.units.at(survey.period)
    resolved = units.resolve([text for text in texts if text], tree)
    for text in (text for text in texts if text and text not in resolved and units.rows):
        advice = "改正单位,或在 units 表补上及其有效期 (correct it, or add it to units)"
        problems.add(f"答案/responses {survey.period}", "unknown_unit", text, "units 表", advice)
    codes = {unit.unit: None for unit in units.at_level(level)}
    assigned = []
    for text in texts:
        above = (
            [resolved[text], *units.ancestors(resolved[text])]
            if text in resolved
            else [NO_UNIT]
            if units.rows
            else [ALL]
        )
        assigned.append(next((unit for unit in above if unit in codes), ELSEWHERE if above[0] else NO_UNIT))
    total = spec.headcount(ALL, survey.period)
    elsewhere = total - sum(spec.headcount(unit, survey.period) for unit in codes)
    return assigned, [*codes, *([ELSEWHERE] if ELSEWHERE in assigned or elsewhere > AGREE * total else [])]


def _texts(column: Any) -> np.ndarray:
    """Return cells as text, ``""`` where missing; numbers with gaps arrive as floats."""
    text = pd.Series(column.cast(nw.String).fill_null("").to_list(), dtype=object)
    return (whole_numbers(text) if column.dtype.is_float() else text).to_numpy()


def _categories(survey: Survey, group: str) -> list[str]:
    """Categories of a group column that the headcounts of the wave name, in their order."""
    table = survey.spec.headcounts
    chosen = table[(table["period"] == survey.period) & (table["group"] == group)]
    return [str(category) for category in chosen["category"].unique()]


def _headcounts(survey: Survey, sides: list[_Side], sample: np.ndarray, problems: Problems) -> np.ndarray:
    """Headcounts by the categories of a level, a group, or both; respondents without a value keep their share."""
    level, group = (next((side for side in sides if side.unit == kind), None) for kind in (True, False))
    if len(sides) != (level is not None) + (group is not None):
        offending = "×".join(side.name for side in sides)
        raise UsageError(
            f"{offending}:联合边际只能是一个层级与一个分组 (a joint margin is one level and one group column)"
        )
    units, kinds = level.categories if level else [ALL], group.categories if group else [""]
    transposed = len(sides) == 2 and sides[0] is group
    counts = (sample.T if transposed else sample).reshape(len(units), len(kinds))
    unassigned = np.array([[bool(level and u == NO_UNIT) or bool(group and k == "") for k in kinds] for u in units])
    values = _registered(survey, units, group.name if group else "", kinds)
    if group:  # a category nobody is in need not be listed
        values = np.where(np.isnan(values) & (counts == 0), 0.0, values)
    for i, j in np.argwhere(~unassigned & ~(values >= 0)):
        place = f"在册人数/headcounts {survey.period}: {' × '.join(text for text in (units[i], kinds[j]) if text)}"
        offending = "(缺)" if np.isnan(values[i, j]) else f"{values[i, j]:g}"
        problems.add(
            place, "headcount", offending, ">= 0", "在 headcounts 表补上或改正人数 (add or correct it in headcounts)"
        )
    share, assigned_total = counts / counts.sum(), values[~unassigned].sum()
    target = np.where(unassigned, assigned_total * share, values * (1 - share[unassigned].sum()))
    return (target.T if transposed else target).reshape(sample.shape)


def _registered(survey: Survey, units: list[str], group: str, kinds: list[str]) -> np.ndarray:
    """Headcounts by unit and category, NaN where not declared; ``ELSEWHERE`` is the total less the other units."""
    spec, period = survey.spec, survey.period
    table = spec.headcounts[(spec.headcounts["period"] == period) & (spec.headcounts["group"] == group)]
    headcounts = dict(zip(zip(table["unit"], table["category"], strict=True), table["headcount"], strict=True))

    def people(unit: str, kind: str) -> float:
        return float(headcounts.get((unit, kind), np.nan)) if group else spec.headcount(unit, period)

    values = np.array([[people(unit, kind) for kind in kinds] for unit in units])
    if ELSEWHERE in units:
        others = np.nansum([row for unit, row in zip(units, values, strict=True) if unit != ELSEWHERE], axis=0)
        elsewhere = np.array([people(ALL, kind) for kind in kinds]) - others
        values[units.index(ELSEWHERE)] = np.where(np.abs(elsewhere) <= AGREE * others, 0.0, elsewhere)
    return values


def _notice(names: Sequence[str], weights: np.ndarray, n_cut: int, trim: float) -> str:
    effect = design_effect(weights)
    return (
        f"按 {'、'.join(names)} 加权至在册人数:n = {len(weights)}, deff = {effect.deff:.2f}, n_eff = {effect.n_eff:.0f};"
        f"{n_cut} 份权重截至中位数的 {trim:g} 倍"
        f" (weighted to the headcount by {', '.join(names)}; {n_cut} weights cut at {trim:g} times the median)"
    )


def _deviations(
    reached: np.ndarray, margins: dict[Axes, np.ndarray], names: dict[Axes, str], labels: Sequence[Sequence[str]]
) -> str:
    """Say of every margin where the cut leaves it farthest from its headcounts, in shares of the whole."""
    zh, en = [], []
    for axes, target in margins.items():
        share, wanted = sum_to(reached, axes) / reached.sum(), target / target.sum()
        worst = np.unravel_index(np.abs(share - wanted).argmax(), share.shape)
        category = " × ".join(labels[axis][int(i)] or "(未填)" for axis, i in zip(axes, worst, strict=True))
        zh.append(f"{names[axes]} 偏差最大的是 {category}:占 {share[worst]:.1%},应为 {wanted[worst]:.1%}")
        en.append(f"{names[axes]}: farthest off is {category}, {share[worst]:.1%} for {wanted[worst]:.1%}")
    return f";截权后{';'.join(zh)} (after the cut {'; '.join(en)})"
