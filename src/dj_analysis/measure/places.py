"""Unit or category of each answer sheet on every axis."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import narwhals.stable.v2 as nw
import numpy as np
import pandas as pd

from ..spec.tables import once_a_value, whole_numbers
from ..spec.units import NO_UNIT, Units
from .engines import all_rows, columns_of
from .scored_cells import plan_cells
from .scoring import score_frame
from .survey import Survey


def places(survey: Survey) -> pd.DataFrame:
    """Return each answer sheet's finest unit, or category, on every axis; "" where unknown."""
    units = survey.spec.units.at(survey.period)
    columns = list(dict.fromkeys(survey.axes.values())) or nw.from_native(survey.frame).collect_schema().names()[:1]
    frame = all_rows(nw.from_native(survey.frame).select(*columns)).to_pandas()
    table: dict[str, Any] = {}
    for axis, column in survey.axes.items():
        text = whole_numbers(frame[column].where(frame[column].notna(), ""))
        table[axis] = resolved(text, units) if axis in units.trees else text
    if units.trees[0] not in table:
        table[units.trees[0]] = pd.Series(NO_UNIT, index=frame.index)
    return pd.DataFrame(table)


def resolved(texts: pd.Series, units: Units) -> pd.Series:
    """Convert names of units to unit codes; "" for unknown names, and for all names where no units are declared."""
    codes = units.resolve([name for name in texts.unique() if name]) if units.rows else {}
    return once_a_value(texts, lambda names: pd.array([codes.get(name, NO_UNIT) for name in names], dtype="str"))


def chosen(survey: Survey, keep: np.ndarray) -> Survey:
    """Return the survey restricted to the rows to keep."""
    if keep.all():
        return survey
    return replace(survey, frame=nw.to_native(all_rows(nw.from_native(survey.frame)).filter(keep.tolist())))


def person_scores(survey: Survey) -> pd.DataFrame:
    """Return each person's scores, one column per cell ``(form, code)``; questions as answered. Used by ranks only."""
    frame = score_frame(survey.frame, survey.trees())
    plan = plan_cells(survey.trees(), nw.from_native(frame).collect_schema().names())
    leaves = {leaf.code for leaf in plan.leaves}
    names = {cell: cell[1] if cell[1] in leaves else f"{cell[0]}__{cell[1]}" for cell in plan.cells}
    values = columns_of(frame, list(dict.fromkeys(names.values())))
    return pd.DataFrame({cell: values[name] for cell, name in names.items()})


def scored_codes(survey: Survey, form: str) -> list[str]:
    """Return the codes that a form of a wave scores: questions that were asked, and what is averaged of them."""
    trees = {form: survey.trees()[form]}
    return [code for _, code in plan_cells(trees, nw.from_native(survey.frame).collect_schema().names()).cells]


def scored_persons(survey: Survey, form: str, codes: Sequence[str]) -> pd.DataFrame:
    """Return one row a person, read in one pass: the score of each code (0–100, NaN), the weight, the unit on every axis.

    Confidential, and discarded once it is summed.

    Returns
    -------
    DataFrame
        A column a code, ``_weight``, and ``@axis`` with the finest unit (or category) on each axis, "" where unknown.
    """
    trees = {form: survey.trees()[form]}
    scored, units = nw.from_native(score_frame(survey.frame, trees)), survey.spec.units.at(survey.period)
    leaves = {leaf.code: leaf for leaf in trees[form].leaves}
    columns: dict[str, Any] = {
        code: 100 * nw.col(f"_r:{code}") / (leaves[code].maximum - leaves[code].minimum)
        if code in leaves
        else nw.col(f"{form}__{code}")
        for code in codes
    }
    columns["_weight"] = nw.col(survey.weight).cast(nw.Float64) if survey.weight else nw.lit(1.0)
    columns |= {f"@{axis}": nw.col(column) for axis, column in survey.axes.items()}
    table = all_rows(scored.select(**columns)).to_pandas()
    for axis in survey.axes:
        names = table[f"@{axis}"]
        text = whole_numbers(names.where(names.notna(), ""))
        table[f"@{axis}"] = resolved(text, units) if axis in units.trees else text
    return table.astype(dict.fromkeys((*codes, "_weight"), "float64"))
