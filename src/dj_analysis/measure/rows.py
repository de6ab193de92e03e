"""Which answer sheets a wave holds, told by hashes: to know later whether one came, went or was changed."""

from __future__ import annotations

import hmac
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import narwhals.stable.v2 as nw
import numpy as np
import pandas as pd

from ..spec.tables import whole_numbers
from ..spec.units import NO_UNIT, Units
from .engines import collected, columns_of
from .intake.linking import PSEUDONYM
from .scoring import plan_cells, score_frame
from .survey import Survey

HASH, CORE, LEFT_OUT = "hash", "core", "left_out"


def row_table(survey: Survey, secret: bytes) -> pd.DataFrame:
    """Return keyed hashes of every answer sheet with its place on every axis.

    ``hash`` is of the whole sheet, ``core`` of what numbers rest on (answers, weight and places), ``left_out`` names the questions
    without an answer. Confidential: it tells which sheets there are and where; who holds the key as well can try out what one
    might say. Columns of numbers are hashed as floats, so that the hash of a row does not depend on the other rows of its file.

    Parameters
    ----------
    secret
        The workspace's own key.
    """
    frame, leaves = collected(nw.from_native(survey.frame)).to_pandas(), _leaves(survey)
    plain = {}
    for name in sorted(set(frame.columns) - {PSEUDONYM}):  # a pseudonym is there only when its key is at hand
        column = frame[name]
        numeric = pd.api.types.is_numeric_dtype(column)
        plain[name] = column.astype("float64") if numeric else column.astype("str").fillna("")
    counted_columns = [*leaves, *([survey.weight] if survey.weight else []), *dict.fromkeys(survey.axes.values())]
    table = places(survey)
    sheets = pd.DataFrame(plain)
    table.insert(0, HASH, _keyed(sheets, secret))
    table.insert(1, CORE, _keyed(sheets[list(dict.fromkeys(counted_columns))], secret))
    missing = frame[leaves].isna().to_numpy()
    patterns, number = np.unique(missing, axis=0, return_inverse=True)
    names = [" ".join(code for code, out in zip(leaves, row, strict=True) if out) for row in patterns]
    table.insert(2, LEFT_OUT, np.array(names, dtype=object)[number.ravel()] if len(frame) else "")
    return table


def axes_in(rows: pd.DataFrame) -> list[str]:
    """Return the axes a row table holds places on."""
    return [name for name in rows.columns if name not in (HASH, CORE, LEFT_OUT) and "@" not in name]


def _leaves(survey: Survey) -> list[str]:
    asked = {leaf.code for tree in survey.trees().values() for leaf in tree.leaves}
    return sorted(asked & set(nw.from_native(survey.frame).collect_schema().names()))


def _keyed(table: pd.DataFrame, secret: bytes) -> np.ndarray:
    bare = pd.util.hash_pandas_object(table, index=False).to_numpy()
    keyed = {value: hmac.digest(secret, value.tobytes(), "sha256")[:8] for value in np.unique(bare)}
    return np.array([int.from_bytes(keyed[value], "big") for value in bare], dtype=np.uint64)


def places(survey: Survey) -> pd.DataFrame:
    """Return the place of every answer sheet on every axis: code of its finest unit, or its category; "" where not told."""
    units = survey.spec.units.at(survey.period)
    columns = list(dict.fromkeys(survey.axes.values())) or nw.from_native(survey.frame).collect_schema().names()[:1]
    frame = collected(nw.from_native(survey.frame).select(*columns)).to_pandas()
    table: dict[str, Any] = {}
    for axis, column in survey.axes.items():
        text = whole_numbers(frame[column].where(frame[column].notna(), ""))
        table[axis] = resolved(text, units) if axis in units.trees else text
    if units.trees[0] not in table:
        table[units.trees[0]] = pd.Series(NO_UNIT, index=frame.index)
    return pd.DataFrame(table)


def resolved(texts: pd.Series, units: Units) -> pd.Series:
    """Turn what people wrote into codes of units; what is no unit, or everything where no units are declared, into ""."""
    found = units.resolve([name for name in texts.unique() if name]) if units.rows else {}
    return texts.map(lambda name: found.get(name, NO_UNIT))


def answer_counts(survey: Survey, rows: pd.DataFrame) -> pd.DataFrame:
    """Count how often each answer was given in each finest unit of every axis; no sheet can be put together of it.

    Parameters
    ----------
    rows
        The survey's row table.

    Returns
    -------
    DataFrame
        axis, unit, code (a question, the weight, or ``""`` for the sheets), answer, n.
    """
    names = [*_leaves(survey), *([survey.weight] if survey.weight else [])]
    values = columns_of(survey.frame, names).assign(**{"": 1.0})
    places_ = {axis: pd.factorize(rows[axis], sort=True) for axis in axes_in(rows)}
    tables = []
    for name in values:
        answer, answers = pd.factorize(values[name], sort=True)  # -1: none given
        for axis, (unit, units) in places_.items():
            counts = np.bincount((unit * len(answers) + answer)[answer >= 0], minlength=len(units) * len(answers))
            cell = np.flatnonzero(counts)
            tables.append(
                pd.DataFrame({"axis": axis, "unit": np.asarray(units)[cell // len(answers)], "code": name,
                              "answer": np.asarray(answers)[cell % len(answers)], "n": counts[cell]})
            )  # fmt: skip
    return pd.concat(tables, ignore_index=True)


def chosen(survey: Survey, keep: np.ndarray) -> Survey:
    """Return the survey with some of its rows only."""
    if keep.all():
        return survey
    return replace(survey, frame=nw.to_native(collected(nw.from_native(survey.frame)).filter(keep.tolist())))


def person_scores(survey: Survey) -> pd.DataFrame:
    """Return everybody's scores, one column a cell ``(form, code)``; questions as answered. Only ranks need them."""
    frame = score_frame(survey.frame, survey.trees())
    plan = plan_cells(survey.trees(), nw.from_native(frame).collect_schema().names())
    leaves = {leaf.code for leaf in plan.leaves}
    names = {cell: cell[1] if cell[1] in leaves else f"{cell[0]}__{cell[1]}" for cell in plan.cells}
    values = columns_of(frame, list(dict.fromkeys(names.values())))
    return pd.DataFrame({cell: values[name] for cell, name in names.items()})


def among(rows: pd.DataFrame, wanted: Mapping[int, int] | Counter[int]) -> np.ndarray:
    """Tell which rows are among wanted hashes, each as often as it is wanted."""
    order = rows.groupby(HASH).cumcount().to_numpy()
    allowed = rows[HASH].map(lambda value: wanted.get(int(value), 0)).to_numpy()
    return order < allowed


def counted(rows: pd.DataFrame) -> Counter[int]:
    """Count the answers by hash."""
    return Counter(int(value) for value in rows[HASH])
