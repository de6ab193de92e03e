"""Values of indicators that one period's scores of units are computed from."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from ..errors import unknown
from ..result import Result
from ..spec import reasons
from .basis import bases_of
from .survey import Indicators
from .unit_points import occasion

KEYS, STATISTICS = ("period", "level", "unit", "code"), ("value_scored",)


def leaf_values(indicators: Indicators, by: str | Sequence[str] | None = None) -> Result:
    """Return the value of every indicator of each unit as it goes into the score: reported, or rolled up from below.

    Parameters
    ----------
    indicators
        What ``ws.indicators(period)`` returned; of a span the last period.
    by
        Levels; by default all.

    Returns
    -------
    Result
        ``period, level, unit, code, value_scored, reason``: one row a unit and indicator of the version in force, about units. A
        value that is missing says why: ``not_applicable`` (its weight goes to the others), ``missing_value``, or what was
        declared with it. Indicators about persons have no values here (``complement``).

    Examples
    --------
    >>> methods.leaf_values(ws.indicators("2026-09"), "branch").table  # doctest: +SKIP
    """
    spec, period = indicators.spec, indicators.occasions[-1]
    one, units = occasion(indicators, spec, period), spec.units.at(indicators.period)
    levels = list(units.levels) if by is None else [by] if isinstance(by, str) else list(by)
    for level in levels:
        if level not in units.levels:
            raise unknown("层级/level", level, units.levels)
    leaves = [leaf.code for leaf in one.tree.leaves]
    persons = np.array([leaf.about == "persons" for leaf in one.tree.leaves], dtype=bool)
    tables = []
    for level in levels:
        names = [unit.unit for unit in units.at_level(level)]
        values, why = (one.laid_out(names, leaves, name) for name in ("values", "reason"))
        shut = np.broadcast_to(persons, values.shape)
        absent = np.where(
            why == "", reasons.MISSING_VALUE, np.where(why == "suppressed", reasons.SUPPRESSED_AT_SOURCE, why)
        )
        columns = {
            "period": period, "level": level, "unit": np.repeat(np.array(names, dtype=object), len(leaves)),
            "code": np.tile(np.array(leaves, dtype=object), len(names)),
            "value_scored": np.where(shut, np.nan, values).ravel().astype(float),
            "reason": np.where(shut, reasons.COMPLEMENT, np.where(np.isnan(values), absent, "")).ravel(),
        }  # fmt: skip
        tables.append(pd.DataFrame(columns))
    table = pd.concat(tables, ignore_index=True)
    table = table.astype(dict.fromkeys([*KEYS, "reason"], "str"))
    return Result(
        table, KEYS, STATISTICS, period, n=None, about="units", programme="indicators", periods=(period,), spec=spec,
        basis=bases_of(indicators),
    )  # fmt: skip
