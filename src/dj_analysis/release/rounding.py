"""Results as they are printed: rounded by how many people stand behind each number."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd

from ..result import Result
from ..spec.columns import base_of, bounded, guarding_columns, kind_of, kinds, step
from ..spec.units import ALL
from .hiding import MASKED
from .plan import ReleasePlan
from .skipped import row_shifts

_CENTRES = ("difference", "enps", "score", "adjusted", "shrunken", "satisfaction")  # what a range lies around


def as_printed(result: Result, plan: ReleasePlan) -> Result:
    """Return a result with every statistic rounded as ``columns.toml`` says of its kind.

    Scores about people go to steps of points by how many they are; ranges keep their width around the rounded number;
    differences are those of the printed numbers; shares of few people end at a bound.
    """
    parts = {name: as_printed(part, plan) for name, part in result.parts.items()}
    table = _moved(result, plan) if result.about == "persons" else result.table
    return replace(result, table=_rounded(table, result), parts=parts, mark=MASKED)


def _rounded(table: pd.DataFrame, result: Result) -> pd.DataFrame:
    printed, names = table.copy(), list(table.columns)
    people = [
        pd.to_numeric(table[name], errors="coerce").to_numpy(float) for name in guarding_columns() if name in table
    ]
    counted = result.about == "persons" and bool(people)
    n = np.fmin.reduce(people) if counted else np.full(len(table), np.inf)
    points = step(n)
    numbers = [name for name in names if pd.api.types.is_numeric_dtype(table[name]) and name not in result.keys]
    for name in numbers:
        kind = kind_of(name, names)
        if pd.api.types.is_bool_dtype(table[name]):
            continue
        if kind.by_people:
            printed[name] = _to(points if counted or not kind.of_units else kind.of_units + 0 * points, table[name])
        elif kind.step or kind.form == "text":
            given = kind.step or kinds()["value"].step  # a number that is named like a text
            few = np.where(points > 0.1, kind.coarse or given, given)
            printed[name] = _to(few, table[name])
        if kind.name in ("chance", "likelihood"):
            inside = pd.to_numeric(printed[name], errors="coerce")
            printed[name] = inside.mask(points > 0.1, inside.clip(kind.coarse, 1 - kind.coarse).round(6))
    _keep_together(printed, table, points)
    base = base_of(names)
    _bound_shares(printed, n if base == "n" or not counted else table[base].to_numpy(float))
    return printed


def _keep_together(printed: pd.DataFrame, table: pd.DataFrame, points: np.ndarray) -> None:
    """Let numbers that belong together follow from each other: a second reading of one would undo its rounding."""
    if {"now", "before", "difference"} <= set(table):
        printed["difference"] = _to(points, printed["now"] - printed["before"]).where(table["difference"].notna())
    elif {"score", "whole", "difference"} <= set(table):
        printed["difference"] = _to(points, printed["score"] - printed["whole"]).where(table["difference"].notna())
    centre = next((name for name in _CENTRES if name in table), None)
    if centre is not None and "rate_before" not in table:
        for name in (side for side in ("low", "high") if side in table):
            around = printed[centre] + _to(points, table[name] - table[centre])
            ends = table[name].isin((0.0, 100.0)) & (centre not in ("difference", "enps"))
            printed[name] = around.mask(ends, table[name])
        if centre not in ("difference", "enps") and {"low", "high"} <= set(table):
            printed["low"], printed["high"] = printed["low"].clip(lower=0), printed["high"].clip(upper=100)
    if {"difference", "mix", "within"} <= set(table):
        printed["within"] = (printed["difference"] - printed["mix"]).where(table["within"].notna()).round(6)
    if "influence" in table:  # it leads back to the score: it follows from the printed one
        held = table["heaviest"] / (1 - table["heaviest"])
        most = np.maximum(printed["score"], 100 - printed["score"]) * held
        printed["influence"] = most.where(table["influence"].notna()).round(1)
    if "bound" in table:  # as far from the printed score as from the score itself
        printed["bound"] = printed["score"] + _to(points, table["bound"] - table["score"])


def _bound_shares(printed: pd.DataFrame, n: np.ndarray) -> None:
    """Tell shares of few people that are near 0 or 1 as a bound, without what would lead back to them."""
    beside = list(printed.columns)
    at_bound = np.zeros(len(printed), dtype=bool)
    for name in [name for name in beside if name not in ("low", "high")]:
        low, high, few = bounded(name, n, beside)
        if not few.any():
            continue
        share = pd.to_numeric(printed[name], errors="coerce")
        outside = few & ((share <= low) | (share >= high)).to_numpy(bool)
        printed[name] = share.mask(outside, share.clip(low, high))
        if name in ("share", "promoters", "detractors"):
            at_bound |= outside
    for name in ("count", "low", "high", "enps", "se") if {"share", "promoters"} & set(beside) else ():
        if name in printed and at_bound.any():
            printed[name] = pd.to_numeric(printed[name], errors="coerce").mask(at_bound)


def _moved(result: Result, plan: ReleasePlan) -> pd.DataFrame:
    """Move scores to where they follow from what is printed below them; their differences and ranges go along."""
    table = result.table
    keys = {"level", "unit", "form", "code"}
    if result.programme != "survey" or not keys <= set(table) or not ({"score", "now", "other"} & set(table)):
        return table
    bases = {basis.period: basis for basis in result.basis}
    spec, moved = result.spec, table.copy()

    def shift(period: str, column: str = "unit") -> np.ndarray:
        rows = pd.DataFrame(
            {"level": table["level"], "unit": table[column], "form": table["form"], "code": table["code"]}
        )
        rows = rows.reset_index(drop=True)
        total, periods = np.zeros(len(rows)), table[period].to_numpy()
        for one in pd.unique(periods):
            basis, wave = bases.get(one), plan.waves.get((result.programme, one))
            inside = np.flatnonzero(periods == one)
            if basis is not None:
                closed = wave.mask.closed if wave is not None else frozenset()
                later = spec if period == "before_period" else None
                total[inside] = row_shifts(rows.iloc[inside], basis, closed, later)
        return total

    own = shift("period")
    against = np.zeros(len(table))
    if "before_period" in table:
        against = shift("before_period")
    elif "other" in table:
        against = shift("period", "other")
    elif "whole" in table:
        against = _of_whole(table, result, plan)
    if "common_items" in table:  # a score on the questions in common is a mean over all answers to them already
        pooled = (table["common_items"] < table["items"]).fillna(False).to_numpy(bool)
        own, against = np.where(pooled, 0.0, own), np.where(pooled, 0.0, against)
    for name, by in (("score", own), ("now", own), ("before", against), ("whole", against)):
        if name in table:
            moved[name] = table[name] + by
    along = own - against
    for name in (name for name in ("difference", "low", "high", "bound") if name in table):
        ends = table[name].isin((0.0, 100.0)) & ("difference" not in table)
        moved[name] = (table[name] + along).mask(ends, table[name])
    return moved


def _of_whole(table: pd.DataFrame, result: Result, plan: ReleasePlan) -> np.ndarray:
    """Shifts of the whole beside every row, for units held against it."""
    basis = result.basis[-1]
    wave = plan.waves.get((result.programme, basis.period))
    root = basis.spec.units.at(basis.period).root.level
    rows = table[["form", "code"]].drop_duplicates().assign(level=root, unit=ALL).reset_index(drop=True)
    points = row_shifts(rows, basis, wave.mask.closed if wave is not None else frozenset())
    known = dict(zip(zip(rows["form"], rows["code"], strict=True), points, strict=True))
    return np.array([known[cell] for cell in zip(table["form"], table["code"], strict=True)])


def _to(points: np.ndarray, values: pd.Series) -> pd.Series:
    numbers = pd.to_numeric(values, errors="coerce").to_numpy("float64", na_value=np.nan)
    return pd.Series(np.round(np.round(numbers / points) * points, 6) + 0.0, index=values.index)
