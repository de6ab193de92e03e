"""Measures whose time of evaluation has come: their units' change beside what would have come without them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from ..errors import UsageError
from ..judge.series import Trend
from ..judge.tree_rates import bh_adjusted
from ..measure.obligation_states import Obligations, where_they_stand
from ..result import Result
from ..spec.periods import parse
from ..spec.units import ALL
from .before_after_design import selected_effect
from .effect_source import UnitSeries, span_text, unit_series
from .effect_tables import Effect

MEASURE = "measure"
KEYS = ("period", "level", "unit", "by", "form", "code")
STATISTICS = ("n", "units", "change", "natural", "beyond", "low", "high", "p", "q", "real")
UNIT_KEYS = ("period", "level", "unit", "form", "code")
UNIT_STATISTICS = ("n", "label", "score_before", "score", "fitted", "selected")


@dataclass(frozen=True)
class EffectsDue(Result):
    """What changed where the measures that are due for evaluation were carried out.

    ``.table``: one row for each level, code and earlier wave: period (the two waves, ``2026Q1/2026Q3``), level and unit (the whole that
    is told of), by (level of the units with the measure), form, code (the index: all units with a measure of that level; a dimension:
    those whose measure is of that dimension), n (fewest people behind those units in a wave), units (their number), change (of their mean,
    points), natural (change expected without a measure, from the units that had none: what happened to all, and regression to the mean),
    beyond (change less natural) with low, high (95 %), p and q (Benjamini–Hochberg over the rows), real (q within the
    rate of false discoveries of rules.toml), reason (仅作情况描述 where fewer than ten units had no measure).
    """

    @property
    def of_units(self) -> Result:
        """Each unit with a measure, by dimension: n, label (the measures), score_before, score, fitted (expected without a measure), selected (true)."""
        return self.parts["units"]


@dataclass(frozen=True)
class _Group:
    """Measures that answer to one wave, at one level, judged by one score."""

    before: str
    level: str
    code: str
    units: tuple[str, ...]


def effects_due(waves: Trend, work: Obligations, *, below: str = ALL) -> EffectsDue | None:
    """Hold the units of measures that are due for evaluation in the last wave against the units without a measure.

    A measure is evaluated in the wave its row names (``cycle``), if it was begun by that wave's last day and not given up. The
    earlier value is that of the last wave that had ended when the measure was entered: the one the units were selected on. Units
    selected for low values mostly rise by themselves, so the change is held against the line of later on earlier values of units
    of the level with no measure begun, neither of their own nor of a unit above them (analysis of covariance; Barnett et al. 2005),
    wherever in the company these are. Units take part that have a score for every code and wave of the table.

    Parameters
    ----------
    waves
        ``dj.trend([…])``, or better ``dj.protect(dj.trend([…]), plan)``: units that are not shown take no part.
    work
        ``ws.obligations(kind="measure")``.
    below
        Only measures of this unit and of those below it.

    Returns
    -------
    EffectsDue or None
        None where no measure is due, or none of its units has a score in both waves.

    References
    ----------
    Barnett, van der Pols and Dobson (2005), Int. J. Epidemiol. 34:215; Benjamini and Hochberg (1995).

    Examples
    --------
    >>> dj.methods.effects_due(dj.trend([scores]), ws.obligations(kind="measure")) is None  # no measure is due
    True
    """
    source = getattr(waves, "result", waves)
    if not isinstance(source, Trend) or not isinstance(work, Obligations):
        raise UsageError('effects_due: 需要 dj.trend(…) 和 ws.obligations(kind="measure") (a trend and obligations)')
    last = source.periods[-1]
    rows = where_they_stand(work, parse(last).end)
    rows = rows[(rows["kind"] == MEASURE) & rows["fulfilled"].notna() & ~_given_up(rows, work)]
    within = [unit for unit in rows["unit"].unique() if below in (unit, *source.spec.units.ancestors(unit))]
    due = rows[(rows["cycle"] == last) & rows["unit"].isin(within)]
    groups = list(_groups(source, due))
    complete = _with_every_score(source, groups)
    tried = [(group, _evaluated(waves, group, last, frozenset(rows["unit"]), complete)) for group in groups]
    effects = [(group, effect) for group, effect in tried if effect is not None]
    if not effects:
        return None
    table = pd.concat([_row(effect) for _, effect in effects], ignore_index=True)
    table["unit"], table["level"] = below, source.spec.units[below].level
    table["q"] = bh_adjusted(table[["p"]].to_numpy(float))[:, 0]
    rate = source.spec.rules.change.false_discovery
    table["real"] = [bool(q <= rate) if np.isfinite(q) else None for q in table["q"]]
    rests_on = frozenset().union(*(effect.rests_on for _, effect in effects))
    first = effects[0][1]
    common: dict[str, Any] = {
        name: getattr(first, name) for name in ("about", "programme", "spec", "withheld", "basis")
    } | {"period": last, "rests_on": rests_on}
    common["periods"] = tuple(p for p in source.periods if any(p in effect.periods for _, effect in effects))
    parts = [_units(group, effect, due) for group, effect in effects if group.code != source.spec.codebook.index]
    units = pd.concat(parts, ignore_index=True) if parts else _no_units(first)
    part = Result(units[[*UNIT_KEYS, *UNIT_STATISTICS, "reason"]], UNIT_KEYS, UNIT_STATISTICS, **common)
    return EffectsDue(table[[*KEYS, *STATISTICS, "reason"]], KEYS, STATISTICS, parts={"units": part}, **common)


def _given_up(rows: pd.DataFrame, work: Obligations) -> pd.Series:
    """Tell which measures were closed in a state that does not fulfil them."""
    states = work.kinds[MEASURE].states
    return rows["status"].map({code: state.closes and not state.fulfils for code, state in states.items()}).astype(bool)


def _groups(source: Trend, due: pd.DataFrame) -> Iterator[_Group]:
    """Yield by earlier wave and level: the units with measures of each dimension by it, then all of them by the index."""
    spec, ends = source.spec, {period: pd.Timestamp(parse(period).end) for period in source.periods[:-1]}
    known = set(source.table["code"].unique())
    codes = [*(code for code in dict.fromkeys(due["class"]) if code in known), spec.codebook.index]
    earlier = [[period for period, end in ends.items() if end < opened] for opened in due["opened"]]
    due = due.assign(
        before=[periods[-1] if periods else "" for periods in earlier],
        level=[spec.units[unit].level if unit in spec.units else "" for unit in due["unit"]],
    )
    for before in [one for one in ends if (due["before"] == one).any()]:
        for level in [one for one in spec.units.levels if one != spec.units.root.level]:
            own = due[(due["before"] == before) & (due["level"] == level)]
            for code in codes:
                units = own["unit"] if code == spec.codebook.index else own.loc[own["class"] == code, "unit"]
                if len(units):
                    yield _Group(before, level, code, tuple(dict.fromkeys(units)))


def _with_every_score(source: Trend, groups: list[_Group]) -> frozenset[tuple[str, str]]:
    """Return the units with a score for every code and wave looked at, for the table is released as a whole or not at all."""
    periods, codes = {group.before for group in groups} | {source.periods[-1]}, {group.code for group in groups}
    table = source.table
    form = "anchors" if (table["form"] == "anchors").any() else "full"
    rows = table[table["period"].isin(periods) & table["code"].isin(codes) & (table["form"] == form)]
    counts = rows[rows["score"].notna()].groupby(["level", "unit"]).size()
    return frozenset(counts.index[counts == len(periods) * len(codes)])


def _evaluated(
    waves: Any, group: _Group, last: str, busy: frozenset[str], complete: frozenset[tuple[str, str]]
) -> Effect | None:
    """Evaluate one group of units; None where none of them has a score in both waves."""
    try:
        series = unit_series(waves, None, None, level=group.level, code=group.code)
    except UsageError:  # no unit of the level is shown
        return None
    table = series.table[series.table["period"].isin([group.before, last])]
    table = table[[(group.level, unit) in complete for unit in table["unit"]]]
    both = table.groupby("unit")["period"].transform("nunique") == 2
    units = series.common["spec"].units.at(last)
    chosen = table["unit"].isin(group.units)
    other_measure = (
        table["unit"].map(lambda unit: any(one in busy for one in (unit, *units.ancestors(unit)))).astype(bool)
    )
    table = table.assign(start=np.where(chosen, last, ""))[both & (chosen | ~other_measure)]
    if not (table["start"] == last).any():
        return None
    span = (group.before, last)
    common = series.common | {"period": span_text(list(span)), "periods": span}
    narrowed: UnitSeries = replace(series, table=table.reset_index(drop=True), common=common)
    return selected_effect(narrowed, None, None)


def _row(effect: Effect) -> pd.DataFrame:
    """Return the terms of an evaluation side by side."""
    terms = effect.table.set_index("term")
    row = terms.loc[["change"]].reset_index(drop=True)
    checked = effect.checked.table.set_index("check")["count"]
    wanted = {"natural": ("regression_to_mean", "effect"), "beyond": ("beyond", "effect")}
    wanted |= {name: ("beyond", name) for name in ("low", "high", "p")}
    values = {name: terms[column].get(term, np.nan) for name, (term, column) in wanted.items()}
    return row.assign(change=row["effect"].astype(float), units=checked["units_with"], **values)


def _units(group: _Group, effect: Effect, due: pd.DataFrame) -> pd.DataFrame:
    """Return the units with a measure of the group's dimension, each with what its measures are called."""
    table = effect.parts["units"].table
    table = table[table["selected"].astype(bool)]
    own = due[due["class"] == group.code]
    spec, dot = effect.spec, "; " if effect.spec.language == "en" else "；"
    said = own["label"].map(lambda name: spec.intervention_word("measure", name))
    labels = said.groupby(own["unit"]).agg(lambda names: dot.join(dict.fromkeys(names)))
    return table.assign(label=table["unit"].map(labels).fillna("").astype("str"))


def _no_units(effect: Effect) -> pd.DataFrame:
    return effect.parts["units"].table.iloc[:0].assign(label=pd.Series(dtype="str"))
