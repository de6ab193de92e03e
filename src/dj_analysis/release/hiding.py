"""Why each row of a result is hidden under a plan, and the result without what is hidden."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pandas as pd

from ..judge.change import judged_together
from ..measure.basis import Basis
from ..result import Result
from ..spec import reasons
from ..spec.columns import guarding_columns
from ..spec.periods import within
from ..spec.units import ALL
from .mask import ClosedCell
from .plan import ReleasePlan, WavePlan
from .rows import Distinct, alike, among, combined, distinct, in_order, levels_of, root_level

#: The mark of a table on its way through the gate: no function of the package made it.
MASKED = "masked"


def masked(result: Result, plan: ReleasePlan) -> Result:
    """Return a result in its declared order, without a statistic in any row that the plan hides; its parts too."""
    result = replace(result, table=in_order(result), mark=MASKED)
    table = result.table.copy()
    why = _why_hidden(table, result, plan)
    hide = why != ""
    if result.together and _more_hidden(result, plan):
        for name in (name for name in result.together if name in table):
            _clear(table, np.ones(len(table), dtype=bool), name)
        if set(result.statistics) <= set(result.together) and "reason" in table:
            table["reason"] = reasons.COMPLEMENT
    if result.family and (hide.any() or "p" in result.together):
        table = _judged_anew(table, hide, result)
    # Whatever is no key is a statistic, declared or not.
    for column in (name for name in table.columns if name not in (*result.keys, "reason")):
        _clear(table, hide, column)
    if "reason" in table.columns:
        # What was not computed at all says why itself.
        uncounted = result.table["n"].isna() & (result.table["reason"] != "") if "n" in table else hide & False
        because = hide & ~np.asarray(uncounted, dtype=bool)
        table.loc[because, "reason"] = why[because]
    parts = {name: masked(part, plan) for name, part in result.parts.items()}
    return replace(result, table=table, parts=parts, mark=MASKED)


def _clear(table: pd.DataFrame, rows: np.ndarray, column: str) -> None:
    """Empty a column in these rows, in the missing value of its type."""
    cells = table[column]
    if cells.dtype == bool or pd.api.types.is_integer_dtype(cells.dtype):
        cells = cells.astype("boolean" if cells.dtype == bool else "Int64")
    table[column] = cells.mask(rows, "" if _is_text(cells) else np.nan if cells.dtype == "float64" else pd.NA)


def _more_hidden(result: Result, plan: ReleasePlan) -> bool:
    """Tell whether units are hidden that took part when units were judged together."""
    for basis in result.basis:
        wave = plan.waves.get((basis.programme, basis.period))
        hidden = wave.mask.hidden if wave is not None else {}
        known = result.withheld.get(basis.period, frozenset())
        counted = set(_counted_units(basis))
        if any(unit in counted for level, unit in hidden if (level, unit) not in known):
            return True
    return False


def _counted_units(basis: Basis) -> Iterator[str]:
    """Units and categories that hold somebody, along the axes a result looked at."""
    units = basis.spec.units.at(basis.period)
    for axis, sums in basis.sums.items():
        for unit, n in zip(sums.units, sums.persons, strict=True):
            if n and unit:
                yield unit
                yield from (units.ancestors(unit) if axis in units.trees else ())


def _judged_anew(table: pd.DataFrame, hide: np.ndarray, result: Result) -> pd.DataFrame:
    """Correct for many comparisons among the rows that are shown only: a q-value would tell about hidden ones."""
    roles = {node.code: node.role for node in result.spec.codebook.tree}
    shown, rule = pd.Series(~hide, index=table.index), result.spec.rules.change
    keys = [table["code"].map(roles) if name == "role" else table[name] for name in result.family]
    return judged_together(table, keys, result.spec.units.at(result.period), rule, shown)


def _why_hidden(table: pd.DataFrame, result: Result, plan: ReleasePlan) -> np.ndarray:
    """Return why each row is hidden, "" where it is shown."""
    why = np.full(len(table), "", dtype=object)
    if result.about == "persons":
        _add_hidden_rows(why, table, result, plan)
    _add_few(why, table, result, plan)
    if result.rests_on and _rests_on_hidden(result, plan):
        why[why == ""] = reasons.COMPLEMENT
    _add_closed_rows(why, table, result, plan)
    if "explained" in table:  # shares of one whole: the others would tell the one that is hidden
        whole = table.groupby([name for name in result.keys if name != "code"], sort=False).ngroup().to_numpy()
        part_hidden = np.isin(whole, whole[why != ""])
        why[part_hidden & (why == "")] = reasons.COMPLEMENT
    return why


def _rests_on_hidden(result: Result, plan: ReleasePlan) -> bool:
    """Tell whether a unit that a result is made of is hidden in one of its periods, or closed for one of its codes."""
    codes = set(result.table["code"]) if "code" in result.table else set()
    for period in result.periods or (result.period,):
        wave = plan.waves.get((result.programme, period))
        if wave is None:
            if result.about == "persons":
                return True
            continue
        closed = {(level, unit) for level, unit, _, code in wave.mask.closed if code in codes}
        if result.rests_on & (closed | set(wave.mask.hidden)):
            return True
    return False


def _add_few(why: np.ndarray, table: pd.DataFrame, result: Result, plan: ReleasePlan) -> None:
    """Add the rows whose own people are too few, or not counted."""
    persons, least = result.about == "persons", plan.min_group
    if not persons and result.programme not in ("indicators", "legacy"):
        return
    for name in (name for name in guarding_columns() if name in table.columns):
        n = pd.to_numeric(table[name], errors="coerce")
        few = (n < least) | (n.isna() if name == "n" and persons else False)
        why[(why == "") & few.to_numpy(bool)] = reasons.SMALL_GROUP


def _add_hidden_rows(why: np.ndarray, table: pd.DataFrame, result: Result, plan: ReleasePlan) -> None:
    """Add the rows that the plan hides or does not know."""
    places = _places(table, result)
    places = places or [(alike(root_level(result), len(table)), alike(ALL, len(table)))]
    for name in ("period", "before_period"):
        if name not in table.columns and name == "before_period":
            continue
        periods = distinct(table[name]) if name in table.columns else alike(result.period, len(table))
        # A unit that is new holds no number of the earlier period, and the plan of that period does not know it.
        idle = ~_uses_before(table) if name == "before_period" else np.zeros(len(table), dtype=bool)
        judge = _earlier_verdict if name == "before_period" else _verdict
        for levels, units in places:
            row_of, keys = combined(periods, levels, units, (idle.astype(int), [False, True]))
            waves = {period: _waves_in(plan, result.programme, period) for period in periods[1]}
            judged = [next(filter(None, (judge(one, key[1:3], key[3]) for one in waves[key[0]])), "") for key in keys]
            verdicts = np.array(judged or [""], dtype=object)
            said = verdicts[row_of]
            why[why == ""] = said[why == ""]


def _waves_in(plan: ReleasePlan, programme: str, period: str) -> list[WavePlan | None]:
    """Return the waves a period stands for: its own, or all of a span, in each of which a row must be shown; None where unknown."""
    if (programme, period) in plan.waves:
        return [plan.waves[programme, period]]
    if not isinstance(period, str) or not period:
        return [None]
    known = [one for name, one in plan.waves if name == programme]
    return [plan.waves[programme, one] for one in within(period, known)] or [None]


def _places(table: pd.DataFrame, result: Result) -> list[tuple[Distinct, Distinct]]:
    """Return the (level, unit) columns a row is about: the unit, the one it is held against, the one whose people tell."""
    places = [(levels_of(table, result), distinct(table[who])) for who in ("unit", "other") if who in table]
    if "from_unit" not in table:
        return places
    levels = table["from_level"] if "from_level" in table else _levels_of_units(table, result)
    whose = table["from_unit"].where(table["from_unit"] != "", table["unit"])  # nobody else's: its own
    return [*places, (distinct(levels), distinct(whose))]


def _levels_of_units(table: pd.DataFrame, result: Result) -> pd.Series:
    """Return the level of each unit whose people tell; of one that is not known, that of the row."""
    units = result.spec.units.at(result.period)
    levels = {unit.unit: unit.level for unit in units.rows} | {ALL: units.root.level}
    return table["from_unit"].map(levels).fillna(table["level"])


def _uses_before(table: pd.DataFrame) -> np.ndarray:
    """Tell which rows hold a number of the earlier period: those of a unit that is new hold none."""
    names = [name for name in ("before", "n_before", "rate_before") if name in table.columns]
    numbers = table[names].apply(pd.to_numeric, errors="coerce").fillna(0)
    return (numbers != 0).any(axis=1).to_numpy() if names else np.ones(len(table), dtype=bool)


def _verdict(wave: WavePlan | None, row: tuple[str, str], idle: bool) -> str:
    """Say why a row of a wave is hidden; "" where the plan names it, or where it holds no number of that wave."""
    if wave is None:
        return reasons.COMPLEMENT
    if row in wave.mask.hidden:
        return wave.mask.hidden[row]
    return "" if idle or wave.mask.shown is None or row in wave.mask.shown else reasons.COMPLEMENT


def _earlier_verdict(wave: WavePlan | None, row: tuple[str, str], idle: bool) -> str:
    """The same for the earlier wave of a comparison, where units merged since are put together of their parts."""
    if wave is not None and row in wave.allowed | wave.refused:
        return "" if row in wave.allowed else reasons.COMPLEMENT
    return _verdict(wave, row, idle)


def _add_closed_rows(why: np.ndarray, table: pd.DataFrame, result: Result, plan: ReleasePlan) -> None:
    """Add the rows that are closed for one question or dimension."""
    codes = [name for name in ("code", "scale", "driver", "item") if name in table.columns]
    if not codes or "unit" not in table.columns:
        return
    known = [period for programme, period in plan.waves if programme == result.programme]
    for name in ("period", "before_period"):
        for period in table[name].dropna().unique() if name in table.columns else ():
            # A span is computed from its months: what is closed in one of them is closed in the span.
            waves = [plan.waves[result.programme, one] for one in within(period, known)] if period else []
            closed = {row for wave in waves for row in wave.mask.closed}
            if not closed:
                continue
            inside = (table[name] == period).to_numpy() & (why == "")
            forms = distinct(table["form"]) if "form" in table.columns else alike("", len(table))
            closed |= _closed_drivers(closed, result, str(period)) if "driver" in table.columns else set()
            shut = closed | {(level, unit, "", code) for level, unit, _, code in closed}
            for place in _places(table, result):
                for code in codes:
                    keys = (*place, forms, distinct(table[code]))
                    why[inside & among(shut, *keys)] = reasons.COMPLEMENT


def _closed_drivers(closed: set[ClosedCell], result: Result, period: str) -> set[ClosedCell]:
    """Return the dimensions with a closed question: what the questions of a gap carry adds up, so that all of them are told or none.

    A gap is held against the unit above: what is closed there is closed in the units below it.
    """
    units, tree = result.spec.units.at(period), result.spec.codebook.at(period).tree
    cells: set[ClosedCell] = set()
    for level, unit, form, code in closed:
        codes = [code, *tree.ancestors(code)] if code in tree else [code]
        places = [(level, unit), *((one.level, one.unit) for one in (units.below(unit) if unit in units else ()))]
        cells |= {(*place, form, one) for place in places for one in codes}
    return cells


def _is_text(column: pd.Series) -> bool:
    return column.dtype == object or str(column.dtype) == "str"
