"""Each value at each stage of its review, beside what it was at the stage before."""

from __future__ import annotations

import numpy as np
import pandas as pd

from ..spec import reasons
from ..spec.periods import parse
from ..spec.schemas import REVIEW_STAGES
from ..spec.tables import numbers
from ..spec.tree import Node, is_counted
from .survey import Indicators

OVERALL = "overall"
COLUMNS = (
    "month", "level", "unit", "code", "stage", "role", "value", "value_before", "revision", "blank", "compared", "revised",
    "filled", "removed", "days", "limit", "misdated",
)  # fmt: skip
NOT_COUNTED = (reasons.NOT_APPLICABLE, "suppressed", reasons.SUPPRESSED_AT_SOURCE)
SAME = 1e-9


def review_steps(branches: Indicators) -> pd.DataFrame:
    """Return one row a value and stage it has a row for, and one a value from its first stage to the release.

    Returns
    -------
    pandas.DataFrame
        month, level, unit, code, stage (in order; ``overall`` last), role, value, value_before (at the last stage kept before),
        revision (points of the range, positive to the unit's advantage; NaN for counts that have no range), blank,
        compared, revised, filled, removed (flags), days (calendar days since that stage; of the report since the end of the
        period, 0 where it was sent during the period), limit (days allowed, 0 for none), misdated (dated before that stage, of the
        report before the period begins; without days). Values about persons are left out.
    """
    rows = staged_values(branches)
    if rows.empty:
        return _empty()
    cell = rows.groupby(["period", "unit", "code"], sort=False).ngroup().to_numpy()
    stage = pd.Index(REVIEW_STAGES).get_indexer(rows["stage"])
    shape = (int(cell.max()) + 1, len(REVIEW_STAGES))
    there, value, day = np.zeros(shape, dtype=bool), np.full(shape, np.nan), np.full(shape, np.nan)
    role = np.full(shape, "", dtype=object)
    there[cell, stage], value[cell, stage], day[cell, stage] = True, rows["value"], rows["day"]
    role[cell, stage] = rows["role"]
    head = rows.loc[
        ~pd.Series(cell).duplicated().to_numpy(), ["period", "level", "unit", "code", "per_point", "start", "end"]
    ]
    head = head.reset_index(drop=True).rename(columns={"period": "month"})
    rule, limits = branches.spec.rules.review, dict[str, int]()
    tables, before = [], -np.ones(shape[0], dtype=int)  # the last stage kept before
    every = np.arange(shape[0])
    for place, name in enumerate(REVIEW_STAGES):
        limits[name] = getattr(rule, name)
        tables.append(
            _step(head, name, there[:, place], value, day, role, before, np.full(shape[0], place), limits[name])
        )
        before = np.where(there[:, place], place, before)
    last = len(REVIEW_STAGES) - 1
    first = np.where(there[:, :last].any(axis=1), there.argmax(axis=1), -1)
    whole = there[every, last] & (first >= 0)
    tables.append(_step(head, OVERALL, whole, value, day, role, first, np.full(shape[0], last), 0))
    return pd.concat(tables, ignore_index=True)


def staged_values(branches: Indicators) -> pd.DataFrame:
    """Return the rows of every stage as numbers: period, level, unit, code, stage, role, value, day, start and end (of the period),
    per_point (points of the range a unit of the value is worth, its sign by direction).

    Left out are units and codes not in force in the period, indicators about persons, values that do not apply, and what a
    granted appeal changed after the first release.
    """
    review = branches.review
    if review is None:
        return pd.DataFrame()
    tables = []
    for period, rows in review[~review["reason"].isin(NOT_COUNTED)].groupby("period", sort=False):
        units = branches.spec.units.at(str(period))
        levels = {unit.unit: unit.level for unit in units.rows} | {units.root.unit: units.root.level}
        worth = {
            leaf.code: _per_point(leaf) for leaf in branches.tree_at(str(period)).leaves if leaf.about != "persons"
        }
        rows = rows[rows["unit"].isin(list(levels)) & rows["code"].isin(list(worth))]
        tables.append(
            rows.assign(
                level=rows["unit"].map(levels), per_point=rows["code"].map(worth).astype("float64"),
                start=float(parse(str(period)).start.toordinal()), end=float(parse(str(period)).end.toordinal()),
            )
        )  # fmt: skip
    table = pd.concat(tables, ignore_index=True) if tables else review.iloc[:0]
    dates = pd.to_datetime(table["time"].str.strip().str[:10], format="%Y-%m-%d", errors="coerce")
    days = (dates - pd.Timestamp("1970-01-01")).dt.days + pd.Timestamp("1970-01-01").toordinal()
    table = table.assign(value=numbers(table["value"]), day=days.astype("float64"))
    table = table.sort_values("day", kind="stable", na_position="first")
    return table.drop_duplicates(["period", "unit", "code", "stage"]).sort_index(ignore_index=True)


def _per_point(leaf: Node) -> float:
    span = leaf.maximum - leaf.minimum
    return 100 * leaf.direction / span if span > 0 and not is_counted(leaf) else float("nan")


def _step(
    head: pd.DataFrame, name: str, there: np.ndarray, value: np.ndarray, day: np.ndarray, role: np.ndarray,
    before: np.ndarray, place: np.ndarray, limit: int,
) -> pd.DataFrame:  # fmt: skip
    """Return the rows of one stage, beside the stage ``before`` (-1: none) of each value."""
    every, some = np.arange(len(head)), before >= 0
    now, earlier = value[every, place], np.where(some, value[every, before], np.nan)
    compared = some & ~np.isnan(now) & ~np.isnan(earlier)
    revised = compared & (np.abs(now - earlier) > SAME)
    start, end, dated = head["start"].to_numpy(float), head["end"].to_numpy(float), day[every, place]
    days = np.where(
        some, dated - day[every, before], np.where(dated < start, dated - start, np.maximum(dated - end, 0))
    )
    table = head[["month", "level", "unit", "code"]].assign(
        stage=name, role=role[every, place], value=now, value_before=earlier,
        revision=np.where(revised, (now - earlier) * head["per_point"].to_numpy(float), np.nan), blank=np.isnan(now),
        compared=compared, revised=revised, filled=some & np.isnan(earlier) & ~np.isnan(now),
        removed=some & np.isnan(now) & ~np.isnan(earlier), days=np.where(days >= 0, days, np.nan), limit=limit,
        misdated=days < 0,
    )  # fmt: skip
    return table[there]


def _empty() -> pd.DataFrame:
    flags = ("blank", "compared", "revised", "filled", "removed", "misdated")
    text = ("month", "level", "unit", "code", "stage", "role")
    kinds = {name: "bool" if name in flags else "str" if name in text else "float64" for name in COLUMNS}
    return pd.DataFrame({name: pd.Series(dtype=kind) for name, kind in kinds.items()})
