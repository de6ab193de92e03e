"""Scores of units with their error, for the survey and for branch indicators alike."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import groupby
from typing import Any

import numpy as np
import pandas as pd

from ..errors import Problems, UsageError, unknown
from ..result import Result
from ..spec.specification import CROSS, Specification
from ..spec.tables import quoted, whole_numbers
from ..spec.tree import CHOICES, Tree
from ..spec.units import NO_UNIT, Units
from .basis import basis_of
from .composites.weights import Weights
from .crossnames import cell_name, is_cross, parts_of
from .indicator_scores import score_indicators
from .members import finest, members, merged_parts
from .places import resolved
from .score_tables import level_tables
from .scores import KEYS, STATISTICS, Scores, joined
from .scoring import sum_frames, with_cross
from .survey import Indicators, Survey
from .team_sums import with_teams
from .unitsums import UnitSums


def score(
    data: Survey | Indicators,
    by: str | Sequence[str | Sequence[str]] | None = None,
    *,
    spec: Specification | None = None,
    weights: Weights | None = None,
) -> Scores:
    """Score a wave of answers, or a period of branch indicators, by unit.

    Parameters
    ----------
    data
        What ``ws.survey(period)``, :func:`read_survey` or ``ws.indicators(period)`` returned.
    by
        Levels of unit trees and declared group columns, one at a time; a tuple of names, ``("branch", "age_band")``, is a
        cross-classification; by default every level of the first tree. The
        root is always there. A unit without respondents is a row without a score.
    spec
        Another specification than the one ``data`` carries.
    weights
        What :func:`dj_analysis.weigh` returned: they take the place of the declared weights in every version of the tree;
        nodes they do not name keep their own.

    Returns
    -------
    Scores
        ``.table`` with one row a unit, form and code; ``.shares`` and ``.response`` with the same units.
        ``se_source`` is ``respondents`` for surveys, ``declared`` or ``none`` for indicators.

    Raises
    ------
    UsageError
        A level or group that does not exist, or weights frozen for another year; or ``data`` is a mere frame.
    SpecError
        Weights of codes that the tree does not have, siblings they leave out, weights that are missing.
    DataError
        Answers out of range, or units that do not exist in the period.

    Examples
    --------
    >>> scores = dj.score(ws.survey("2026Q3"), by=["city", "branch"])  # doctest: +SKIP
    """
    if not isinstance(data, Survey | Indicators):
        raise UsageError(
            f"dj.score 不接受 {type(data).__name__} (a survey or indicators are needed): dj.read_survey(frame, …), ws.indicators(period);"
            " 指标宽表用 dj.methods.composite(frame, tree) (a frame of indicators)"
        )
    spec = spec or data.spec
    if weights is not None:
        spec = _weighted(spec, weights, data)
    if isinstance(data, Indicators):
        return score_indicators(data if spec is data.spec else replace(data, spec=spec), spec, by)
    wave = data if spec is data.spec else replace(data, spec=spec)
    return scores_of_sums(unit_sums(wave, by), wave, by)


def _weighted(spec: Specification, weights: Weights, data: Survey | Indicators) -> Specification:
    """Return the declarations with other weights of the tree that is scored."""
    last = data.period.split("/")[-1]
    if isinstance(data, Indicators):
        assert spec.indicators is not None, "indicators are read only where a tree is declared"
        return replace(spec, indicators=weights.on_versions(spec.indicators, last))
    tree = weights.on_versions(spec.codebook.tree, last)
    return replace(spec, codebook=replace(spec.codebook, tree=tree))


def unit_sums(
    data: Survey, by: str | Sequence[str | Sequence[str]] | None = None, *, trees: Mapping[str, Tree] | None = None
) -> dict[str, UnitSums]:
    """Sum a wave by the finest units of every tree and group column that ``by`` needs: axis name → sums.

    Parameters
    ----------
    trees
        What is summed, by form; by default the scored trees of the wave. ``data.counted_trees()`` adds multiple choices and
        rankings.
    """
    spec = data.spec
    units = spec.units.at(data.period)
    axes = dict.fromkeys([units.trees[0], *(axis for _, axis in _wanted(data, by, spec, units))])
    frame, columns = data.frame, {}
    for axis in axes:
        columns[axis] = data.axes.get(axis)
        if is_cross(axis):
            frame, columns[axis] = with_cross(frame, [data.axes[part] for part in parts_of(axis)], axis), axis
    if data.team is not None:
        for axis in axes:
            inside = _with_home(axis, units.trees[0])
            places = [data.axes[part] for part in inside if part in data.axes]
            columns[axis + _TEAM] = axis + _TEAM
            frame = with_cross(frame, [*places, data.team], axis + _TEAM)
    sums_by_axis = sum_frames(
        frame, data.trees() if trees is None else trees, columns, weight=data.weight,
        favourable=spec.bands["favourable"], low=spec.bands["low_answers"], index=spec.codebook.index,
    )  # fmt: skip
    by_unit = {
        axis: _with_unit_codes(sums_by_axis[axis], units, data)
        if parts_of(axis)[0] in units.trees
        else sums_by_axis[axis]
        for axis in axes
    }
    if data.team is None:
        return by_unit
    by_team = {axis: _teams_resolved(sums_by_axis[axis + _TEAM], axis, units, data) for axis in axes}
    return with_teams(by_unit, by_team, units.trees[0])


_JOINT = "joint"
_TEAM = "×#"  # ends the name of the cells of an axis and teams; they are summed up at once and forgotten


def _with_home(axis: str, first: str) -> list[str]:
    """Return the parts of an axis and, where it is none of them, the first tree: a team belongs to a unit of it."""
    parts = parts_of(axis)
    return parts if first in parts else [*parts, first]


def _teams_resolved(sums: UnitSums, axis: str, units: Units, data: Survey) -> UnitSums:
    """Convert names of units in the names of cells to unit codes; the unit of people without a column of units is the root."""
    inside = _with_home(axis, units.trees[0])
    there = [part for part in inside if part in data.axes]
    cells = {name: dict(zip([*there, _TEAM], name.split(CROSS, len(there)), strict=True)) for name in sums.units}
    for tree in (part for part in there if part in units.trees):
        named = {cell[tree] for cell in cells.values()} - {""}
        codes = units.resolve(sorted(named)) if units.rows else {}
        for cell in cells.values():
            cell[tree] = codes.get(cell[tree], NO_UNIT)
    return replace(sums, axis=axis).renamed({
        name: cell_name([*(cell.get(part, NO_UNIT) for part in inside), cell[_TEAM]]) for name, cell in cells.items()
    })  # fmt: skip


def joint_counts(data: Survey) -> pd.DataFrame:
    """Count the people of every combination of finest unit, further trees' units and group categories.

    Returns
    -------
    DataFrame
        The axes, n, and for every code with fewer people than n somewhere ``n:form:code``: those scored on it.
    """
    if not data.axes:
        return pd.DataFrame({"n": [0]})
    spec, units = data.spec, data.spec.units.at(data.period)
    sums = sum_frames(
        with_cross(data.frame, data.axes.values(), _JOINT), data.counted_trees(), {_JOINT: _JOINT}, weight=data.weight,
        favourable=spec.bands["favourable"], low=spec.bands["low_answers"], index=spec.codebook.index, counts_only=True,
    )[_JOINT]  # fmt: skip
    table = pd.DataFrame([parts_of(key) for key in sums.units], columns=list(data.axes), dtype="str")
    counts = {"n": sums.persons}
    counts |= {f"n:{form}:{code}": sums.sums["n"][:, j] for j, (form, code) in enumerate(sums.cells)}
    needed_counts = {name: n for name, n in counts.items() if name == "n" or (n != sums.persons).any()}
    table = pd.concat([table, pd.DataFrame(needed_counts).astype("int64")], axis=1)
    for tree in (axis for axis in data.axes if axis in units.trees):
        table[tree] = resolved(whole_numbers(table[tree]), units)
    return table.groupby(list(data.axes), as_index=False, sort=True).sum()


def scores_of_sums(
    sums: Mapping[str, UnitSums], data: Survey, by: str | Sequence[str | Sequence[str]] | None = None
) -> Scores:
    """Compute scores from sums; ``data`` gives the period and the questions asked, its rows are not read."""
    spec = data.spec
    sums = {axis: _scored(block) for axis, block in sums.items()}
    tables = [
        level_tables({level: groups for level, _, groups in of_axis}, sums[axis], data.period, spec)
        for axis, of_axis in groupby(_groups_by_level(sums, data, by), key=lambda one: one[1])
    ]
    common: dict[str, Any] = {
        "period": data.period, "spec": spec, "periods": (data.period,), "withheld": data.withheld,
        "basis": basis_of(data, sums),
    }  # fmt: skip
    parts = {
        "shares": Result(
            table=joined([one.shares for one in tables]), keys=(*KEYS, "statistic", "cut"),
            statistics=("n", "count", "share", "low", "high"), **common,
        ),
        "response": Result(
            table=joined([one.response for one in tables]), keys=("period", "level", "unit"),
            statistics=("n", "headcount", "rate"), **common,
        ),
    }  # fmt: skip
    scores = joined([one.scores for one in tables])
    return Scores(table=scores, keys=KEYS, statistics=STATISTICS, parts=parts, sums=sums, **common)


def sums_by_level(
    sums: Mapping[str, UnitSums], data: Survey, by: str | Sequence[str | Sequence[str]] | None = None
) -> list[tuple[str, UnitSums]]:
    """Return (level or group, sums by its units or categories) for all that ``by`` names, the root first."""
    return [(level, sums[axis].rolled_up(groups)) for level, axis, groups in _groups_by_level(sums, data, by)]


def _groups_by_level(
    sums: Mapping[str, UnitSums], data: Survey, by: str | Sequence[str | Sequence[str]] | None
) -> Iterator[tuple[str, str, dict[str, list[str]]]]:
    """Yield each level or group with its axis and its units or categories, which hold finest ones."""
    units = data.spec.units.at(data.period)
    for level, axis in _wanted(data, by, data.spec, units):
        if axis not in sums:
            raise UsageError(
                f"{level}: 未按此汇总;交叉分组先在 [publish] cross 中声明,或用 dj.score(ws.survey(…), by=…) 查看"
                f" (no sums by it: declare it in [publish] cross, or look with dj.score(ws.survey(…), by=…))"
            )
        yield level, axis, members(level, axis, units, sums[axis])


def _scored(sums: UnitSums) -> UnitSums:
    """Return the sums without those of multiple choices and rankings."""
    cells = [cell for cell in sums.cells if cell[0] != CHOICES]
    return sums if len(cells) == len(sums.cells) else sums.laid_out(sums.units, cells)


def restated(before: Scores, now: Scores) -> Scores:
    """Restate earlier scores as if units that merged later had already been merged.

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
        groups = {unit: finest(parts, earlier, before.sums[axis]) for unit, parts in merged.items()}
        remade = level_tables({level: groups}, before.sums[axis], before.period, now.spec)
        tables = [table[~table["unit"].isin(merged)] for table in tables] + [remade.scores]
        response = remade.response
        heads = [sum(now.spec.headcount(part, before.period) for part in parts) for parts in merged.values()]
        response["headcount"] = np.array(heads, dtype=float)
        response["rate"] = np.where(response["headcount"] > 0, response["n"] / response["headcount"], np.nan)
        responses = [table[~table["unit"].isin(merged)] for table in responses] + [response]
    others = dict(before.parts) | {"response": before.response.remade(joined(responses))}
    return before.remade(joined(tables), parts=others)


def _wanted(
    data: Survey, by: str | Sequence[str | Sequence[str]] | None, spec: Specification, units: Units
) -> list[tuple[str, str]]:
    """Return (level or group, axis) pairs, the root first; a tuple of names is a cross-classification."""
    if by is None:
        by = [level for level in units.levels if units.tree_of(level) == units.trees[0]]
    names = [by] if isinstance(by, str) else list(by)
    pairs = [(units.root.level, units.trees[0])]
    for name in names:
        parts = parts_of(name) if isinstance(name, str) else list(name)
        pair = (cell_name(parts), cell_name([_axis(part, data, units) for part in parts]))
        if pair not in pairs:
            pairs.append(pair)
    return pairs


def _axis(name: str, data: Survey, units: Units) -> str:
    """Return the tree or group column a level or group belongs to."""
    if name in units.levels:
        axis = units.tree_of(name)
    elif name in data.axes and name not in units.trees:
        axis = name
    else:
        groups = [axis for axis in data.axes if axis not in units.trees and not is_cross(axis)]
        raise unknown("层级或分组/level or group", name, [*units.levels, *groups])
    if axis not in data.axes and axis != units.trees[0]:
        raise UsageError(f"本期数据没有 {axis} 列,无法按 {name} 汇总 (no column {axis} in this wave)")
    return axis


def _with_unit_codes(sums: UnitSums, units: Units, data: Survey) -> UnitSums:
    """Convert names of units to unit codes; a unit that does not exist in the period is an error."""
    if not units.rows:
        return sums.renamed(dict.fromkeys(sums.units, NO_UNIT))
    cells = {key: parts_of(key) for key in sums.units}
    codes = {NO_UNIT: NO_UNIT} | dict(units.resolve([parts[0] for parts in cells.values() if parts[0]]))
    problems = Problems()
    for key, persons in zip(sums.units, sums.persons, strict=True):
        if cells[key][0] not in codes:
            advice = "改正单位,或在 units 表补上及其有效期 (correct it, or add it to units)"
            quoted_unit = (
                f"{quoted(pd.Series([cells[key][0]] * min(int(persons), 2)), units.names)} ({persons:.0f} 行/rows)"
            )
            problems.add(f"答案/responses {data.period}", "unknown_unit", quoted_unit, "units 表", advice)
    problems.raise_if_any()
    return sums.renamed({key: cell_name([codes[parts[0]], *parts[1:]]) for key, parts in cells.items()})
