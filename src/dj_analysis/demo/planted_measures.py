"""Measures of the synthetic enterprise for the units it planted low: some in time, one late, one overdue, one dropped."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import pandas as pd

from ..spec import workdays
from ..spec.interventions import Intervention, default_interventions
from ..spec.periods import parse
from ..spec.schemas import OBLIGATION_EVENTS, OBLIGATIONS
from .effects import Planted

KIND = "measure"
AGREED, STARTED, DONE = 3, -4, 20  # working days: after the opening; from the due day; after the start
OPENED = 8  # working days after the quarter
MOST = 10
#: What becomes of one measure after the other.
OUTCOMES = ("done", "started", "overdue", "dropped", "done", "late")


class PlantedMeasure(NamedTuple):
    """One measure: its unit, what it is, what becomes of it, the quarter whose warning it answers."""

    unit: str
    intervention: Intervention
    outcome: str
    period: str


def planted_measures(effects: Sequence[Planted], periods: Sequence[str]) -> list[PlantedMeasure]:
    """Return measures for the units that were planted low before the last quarter; none where nothing is planted or there is but one.

    A unit with a weak dimension gets two measures of it, a low branch one of each of two dimensions, each unit others.
    Branches whose dimension rises in the last wave had one of it two quarters before, which is evaluated now.
    """
    if len(periods) < 2:
        return []
    helped = [
        PlantedMeasure(unit, _of(code)[0], "done", periods[-3])
        for kind, unit, code, *_ in effects
        if kind == "raised_by_measure"
    ]
    period, drivers = periods[-2], list(dict.fromkeys(one.driver for one in default_interventions()))
    wanted: list[tuple[str, Intervention]] = []
    for number, (kind, unit, code, since, _) in enumerate(effects):
        if parse(since).index > parse(period).index:
            continue
        if kind == "weak_dimension":
            wanted += [(unit, one) for one in _of(code)[:2]]
        elif kind == "low_branch":
            wanted += [(unit, _of(drivers[(number + step) % len(drivers)])[step]) for step in (0, 1)]
    return helped + [
        PlantedMeasure(unit, one, OUTCOMES[place % len(OUTCOMES)], period)
        for place, (unit, one) in enumerate(wanted[:MOST])
    ]


def measure_tables(measures: Sequence[PlantedMeasure]) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return obligations and their events as text cells."""
    rows, events = [], []
    for one in measures:
        opened = workdays.after(parse(one.period).end, OPENED)
        due = workdays.after(opened, one.intervention.start_days)
        code = f"{one.period}-{one.unit}-{one.intervention.measure}"
        evaluated = parse(f"{due.year}Q{(due.month + 2) // 3}").shift(one.intervention.evaluate_quarters)
        rows.append(
            {"obligation": code, "kind": KIND, "unit": one.unit, "opened": str(opened), "due": str(due),
             "label": one.intervention.word("measure"), "subject": one.intervention.measure,
             "owner_role": one.intervention.word("owner_role"), "class": one.intervention.driver, "cycle": evaluated.text}
        )  # fmt: skip
        started = workdays.after(
            opened, max(one.intervention.start_days + (STARTED if one.outcome != "late" else 3), 4)
        )
        steps = [("proposed", opened), ("agreed", workdays.after(opened, AGREED))]
        if one.outcome in ("done", "started", "late"):
            steps.append(("started", started))
        if one.outcome == "done":
            steps.append(("done", workdays.after(started, DONE)))
        if one.outcome == "dropped":
            steps.append(("dropped", workdays.after(opened, AGREED + 1)))
        events += [(code, state, str(day)) for state, day in steps]
    table = pd.DataFrame(rows, columns=list(OBLIGATIONS.names), dtype="str").fillna("")
    return table, pd.DataFrame(events, columns=list(OBLIGATION_EVENTS.names))


def _of(driver: str) -> list[Intervention]:
    """Return the measures of a dimension that start within six weeks."""
    return [one for one in default_interventions() if one.driver == driver and one.start_days <= 30]
