"""Rows of a result: their declared order, and the distinct places they are about."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import pandas as pd

from ..result import Result
from ..spec.periods import order
from ..spec.specification import Specification
from ..spec.units import ALL

#: The distinct values of a column: the place of each row's value in the list, and the list.
Distinct = tuple[np.ndarray, list[Any]]


def distinct(values: pd.Series) -> Distinct:
    """Return the distinct values of a column and where each row has which."""
    codes, known = pd.factorize(values, use_na_sentinel=False)
    return codes, list(known)


def alike(value: Any, rows: int) -> Distinct:
    """Return the same for a column that would hold one value only."""
    return np.zeros(rows, dtype=int), [value]


def combined(*columns: Distinct) -> tuple[np.ndarray, list[tuple[Any, ...]]]:
    """Return the place of each row in the list of distinct combinations, and the list."""
    codes = np.zeros(len(columns[0][0]), dtype=np.int64)
    for column, known in columns:
        codes = codes * len(known) + column
    present, row_of = np.unique(codes, return_inverse=True)
    keys = []
    for code in present.tolist():
        key = []
        for _, known in reversed(columns):
            code, place = divmod(code, len(known))
            key.append(known[place])
        keys.append(tuple(reversed(key)))
    return row_of, keys


def among(wanted: Iterable[tuple[Any, ...]], *columns: Distinct) -> np.ndarray:
    """Tell which rows have one of the wanted combinations of values."""
    places = [{value: place for place, value in enumerate(known)} for _, known in columns]
    codes, wanted_codes = np.zeros(len(columns[0][0]), dtype=np.int64), []
    for column, known in columns:
        codes = codes * len(known) + column
    for key in wanted:
        code = 0
        for value, place in zip(key, places, strict=True):
            if value not in place:
                break
            code = code * len(place) + place[value]
        else:
            wanted_codes.append(code)
    return np.isin(codes, wanted_codes)


def levels_of(table: pd.DataFrame, result: Result) -> Distinct:
    """Return the level each row is about; the root's where no column tells."""
    return distinct(table["level"]) if "level" in table.columns else alike(root_level(result), len(table))


def root_level(result: Result) -> str:
    """Return the name of the root's level in the result's period."""
    return str(result.spec.units.at(result.period).root.level)


def in_order(result: Result) -> pd.DataFrame:
    """Put rows in their declared order: where a hidden row stands must not tell its rank."""
    table = result.table
    ranks = {name: _rank(name, table, result) for name in result.keys if name in table.columns}
    if not ranks or len(table) < 2:
        return table
    place = np.lexsort(list(reversed(ranks.values())))
    return table if (np.diff(place) == 1).all() else table.iloc[place].reset_index(drop=True)


def _rank(name: str, table: pd.DataFrame, result: Result) -> np.ndarray:
    """Place of each value of a key column in the order of its declaration; of undeclared ones, as they came."""
    spec, values = result.spec, table[name]
    codes, known = distinct(values)
    ordered = known
    if name in ("period", "before_period"):
        declared = order([str(value) for value in known if value])
    elif name == "level":
        declared = [*spec.units.levels, *spec.group_names]
    elif name in ("unit", "other"):
        declared = [ALL, *_declared_units(spec)]
        ordered = sorted(known, key=str)
    elif name == "form":
        declared = ["anchors", "full"]
    elif name in ("code", "scale", "parent"):
        declared = [
            *spec.codebook.tree.codes,
            *spec.codebook.choices.codes,
            *(spec.indicators.codes if spec.indicators is not None else ()),
        ]
    else:
        declared = []
    rank = {value: place for place, value in enumerate(dict.fromkeys([*declared, *ordered]))}
    return np.array([rank[value] for value in known], dtype=float)[codes]


def _declared_units(spec: Specification) -> Mapping[str, None]:
    return dict.fromkeys(unit.unit for unit in spec.units.rows)
