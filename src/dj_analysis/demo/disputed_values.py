"""Appeals against branch indicators of the synthetic enterprise: one granted, one refused."""

from __future__ import annotations

from typing import NamedTuple

import pandas as pd

from ..measure.intake.appeals import ACCEPTED, APPEAL, GRANTED, OPENED, REFUSED
from ..spec.periods import parse
from ..spec.schemas import OBLIGATION_EVENTS, OBLIGATIONS
from ..spec.units import Units
from . import names

LEAST_BRANCHES = 10
WRONG = -18.0  # the released value was wrong by so much, in per cent of milestones or hazards
DAYS = {OPENED: 14, ACCEPTED: 15, GRANTED: 20, REFUSED: 21}  # of the month after
CORRECTED_ON = 21


class PlantedAppeal(NamedTuple):
    """One appeal: what became of it, and by how much the value first released was wrong."""

    state: str
    unit: str
    code: str
    period: str
    wrong: float


def planted_appeals(units: Units, last: str, planted: bool) -> list[PlantedAppeal]:
    """Return the appeals of the last month but one; none in a small enterprise, or where nothing is planted."""
    period = parse(f"{parse(last).end:%Y-%m}").shift(-1)
    branches = [unit.unit for unit in units.at_level("branch") if unit.valid_on(period.end)]
    if not planted or len(branches) < LEAST_BRANCHES:
        return []
    return [
        PlantedAppeal(GRANTED, branches[8], "Z10", period.text, WRONG),
        PlantedAppeal(REFUSED, branches[9], "Z17", period.text, 0.0),
    ]


def with_first_releases(values: pd.DataFrame, appeals: list[PlantedAppeal]) -> pd.DataFrame:
    """Release a wrong value before the one that was drawn, where an appeal was granted.

    Parameters
    ----------
    values
        Text cells of the file, as :func:`dj_analysis.demo.indicators.draw_values` returns them.
    """
    lows, usual = ({row[0]: float(row[place]) for row in names.INDICATORS} for place in (5, 7))
    for one in (one for one in appeals if one.wrong):
        cell = (values["unit"] == one.unit) & (values["period"] == one.period) & (values["code"] == one.code)
        there = values[cell & (values["stage"] == "released")]
        right = there["value"].iloc[0] if len(there) and there["value"].iloc[0] else f"{usual[one.code]:.1f}"
        wrong = max(float(right) + one.wrong, lows[one.code])
        key = {"unit": one.unit, "period": one.period, "code": one.code, "stage": "released"}
        rows = pd.DataFrame(
            [
                {**key, "value": f"{wrong:.1f}", "time": ""},
                {**key, "value": right, "time": _day(one.period, CORRECTED_ON)},
            ]
        )
        values = pd.concat([values.drop(index=there.index), rows[list(values.columns)]], ignore_index=True)
    return values


def appeal_tables(appeals: list[PlantedAppeal]) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return obligations and their events as text cells."""
    rows, events = [], []
    for number, one in enumerate(appeals, start=1):
        code = f"A{number:03d}"
        rows.append(
            {"obligation": code, "kind": APPEAL, "unit": one.unit, "opened": _day(one.period, DAYS[OPENED]), "subject": one.code,
             "cycle": one.period}
        )  # fmt: skip
        events += [(code, state, _day(one.period, DAYS[state])) for state in (OPENED, ACCEPTED, one.state)]
    table = pd.DataFrame(rows, columns=list(OBLIGATIONS.names), dtype="str").fillna("")
    return table, pd.DataFrame(events, columns=list(OBLIGATION_EVENTS.names))


def _day(period: str, day: int) -> str:
    """Return a day of the month after a month."""
    return str(parse(period).shift(1).start.replace(day=day))
