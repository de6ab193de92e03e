"""Import of earlier figures computed by hand (原口径): kept apart, never joined with scores and never tested."""

from __future__ import annotations

import hashlib

import pandas as pd

from ...errors import Problems
from ...result import Result
from ...spec.periods import order
from ...spec.schemas import LEGACY
from ...spec.settings import Settings
from ...spec.specification import Specification
from ...spec.tables import load_table, numbers, rows_text, whole_numbers
from ...spec.units import ALL
from ..basis import Basis

KEYS = ("period", "level", "unit", "code")
STATISTICS = ("n", "value", "se")
COLUMNS = ("period", "level", "unit", "code", "n", "value", "se", "method", "source")


def load_legacy(settings: Settings, spec: Specification, problems: Problems) -> Result | None:
    """Read legacy.csv: what an office computed by hand before, or beside, this package.

    Returns
    -------
    Result
        period, level, unit, code, n (people behind the figure, NaN where it is not known), value (0–100), se, method, source;
        about units: the figures are published ones. None where there is no table.
    """
    table = load_table(settings, "legacy", LEGACY, problems)
    if table is None:
        return None
    frame = table.frame.reindex(columns=list(LEGACY.names)).copy()
    frame["unit"] = whole_numbers(frame["unit"]).replace("", ALL)
    for name in ("value", "n", "se"):
        frame[name] = numbers(frame[name])
    known = {
        "unit": {unit.unit for unit in spec.units.rows} | {ALL},
        "code": {node.code for node in spec.codebook.tree},
    }
    for column, allowed in known.items():
        for value, rows in frame[~frame[column].isin(allowed)].groupby(column):
            place = f"{table.place}: {column} ({rows_text(rows.index)})"
            problems.add(
                place,
                f"unknown_{column}",
                value,
                ", ".join(sorted(allowed)[:12]),
                "改名或删去该行 (rename it, or leave the row out)",
            )
    outside = frame[~frame["value"].between(0, 100)]
    if len(outside):
        shown = f"{outside['value'].iloc[0]} ({rows_text(outside.index)})"
        problems.add(f"{table.place}: value", "out_of_range", shown, "0–100", "换算到 0–100 分 (put it on 0–100)")
    if len(problems):
        return None
    levels = {unit.unit: unit.level for unit in spec.units.rows}
    root = spec.units.at(order(sorted(frame["period"].unique()))[-1]).root.level if len(frame) else ""
    frame["level"] = [root if unit == ALL else levels[unit] for unit in frame["unit"]]
    frame[["method", "source"]] = frame[["method", "source"]].fillna("").astype("str")
    frame = frame[list(COLUMNS)]
    periods = tuple(order(sorted(frame["period"].unique())))
    frame = frame.sort_values("period", key=lambda column: column.map(periods.index), kind="stable").reset_index(
        drop=True
    )
    return Result(
        table=frame, keys=KEYS, statistics=STATISTICS, period=periods[-1] if periods else "", periods=periods, about="units",
        programme="legacy", spec=spec, basis=tuple(legacy_basis(frame, one, spec) for one in periods),
    )  # fmt: skip


def legacy_basis(table: pd.DataFrame, period: str, spec: Specification) -> Basis:
    """Return what the hand-made figures of one period are told apart by."""
    rows = table[table["period"] == period].drop(columns="level").to_csv(index=False)
    return Basis("legacy", period, spec, {}, hashlib.sha256(rows.encode()).hexdigest())
