"""Dimensions are printed as the mean over all answers to their questions where few people skipped one of them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from ..measure.basis import Basis
from ..measure.crossnames import is_cross, parts_of
from ..measure.members import finest, members, merged_parts
from ..measure.unitsums import UnitSums
from ..spec.settings import FLOOR
from ..spec.specification import CROSS, Specification
from ..spec.tree import FORMS
from ..spec.units import ALL
from .mask import ClosedCell


def row_shifts(
    rows: pd.DataFrame, basis: Basis, closed: frozenset[ClosedCell], later: Specification | None = None
) -> np.ndarray:
    """Return by how many points each printed score is moved; 0 where the score itself is printed.

    Parameters
    ----------
    rows
        level, unit, form, code of scores of one wave.
    basis
        What was counted in that wave.
    closed
        Rows that are not shown for one question or dimension.
    later
        The declarations of a later wave whose units may have been merged of units of this one.
    """
    units, moved = basis.spec.units.at(basis.period), np.zeros(len(rows))
    for level, part in rows.groupby("level", sort=False):
        axis = _axis(str(level), basis)
        sums = basis.sums.get(axis)
        if sums is None or "n" not in sums.sums:
            continue
        known = members(str(level), axis, units, sums) if level in units.levels or axis not in units.trees else {}
        groups = {}
        for unit in part["unit"].unique():
            parts = merged_parts(unit, later, basis.period) if later is not None and not is_cross(str(level)) else []
            groups[unit] = finest(parts, units, sums) if parts else known.get(unit, [])
        rolled = sums.rolled_up(groups)
        place = {unit: i for i, unit in enumerate(rolled.units)}
        cells = {cell: j for j, cell in enumerate(rolled.cells)}
        shut = np.zeros((len(place), len(cells)), dtype=bool)
        for where, whose, *cell in closed:
            if where == level and whose in place and (at := cells.get((cell[0], cell[1]))) is not None:
                shut[place[whose], at] = True
        points = shifts(rolled, basis.spec, basis.period, shut)
        # As plain arrays: reading a column of text value by value takes ten times as long.
        form, code, unit = (part[name].to_numpy(object) for name in ("form", "code", "unit"))
        columns = [cells.get(cell, -1) for cell in zip(form, code, strict=True)]
        values = points[[place[one] for one in unit], columns]
        moved[rows.index.get_indexer(part.index)] = np.where(np.array(columns) >= 0, values, 0.0)
    return moved


def shifts(sums: UnitSums, spec: Specification, period: str, closed: np.ndarray) -> np.ndarray:
    """Return what is added to each score before it is printed.

    Whoever knows the mean of a dimension and those of its questions knows something about those alone who left a question
    out: for everybody else the questions give the dimension. Where they are fewer than min_group, the dimension is printed
    as the mean over all answers to its questions (and the index as that over all dimension scores), which follows from
    what is printed for these. Where everybody answered everything the two are the same number. Where one of the questions
    is itself not shown the dimension is printed as it is: its mean would tell that question.

    Parameters
    ----------
    closed
        Units × cells that are not shown.

    Returns
    -------
    array
        Points, units × cells.
    """
    w, n = sums.sums["w"], sums.sums["n"]
    mean = np.divide(sums.sums["wx"], w, out=np.full_like(w, np.nan), where=w > 0)
    printed, least, place = mean.copy(), max(spec.min_group, FLOOR), {cell: j for j, cell in enumerate(sums.cells)}
    for form in FORMS:
        tree = spec.codebook.at(period).tree.in_form(form)
        for node in tree.inner:  # children come before their parent
            below = [
                (place[form, child.code], child.weight)
                for child in tree.children(node.code)
                if (form, child.code) in place
            ]
            if (form, node.code) not in place or not below:
                continue
            at, columns = place[form, node.code], [j for j, _ in below]
            weights = w[:, columns] * [weight for _, weight in below]
            with np.errstate(divide="ignore", invalid="ignore"):
                pooled = np.nansum(weights * printed[:, columns], axis=1) / weights.sum(axis=1)
            itself = (np.abs(n[:, [at]] - n[:, columns]).max(axis=1) >= least) | np.isnan(pooled)
            itself |= closed[:, columns].any(axis=1) | np.isnan(mean[:, at])
            printed[:, at] = np.where(itself, mean[:, at], pooled)
    return np.nan_to_num(printed - mean)


def _axis(level: str, basis: Basis) -> str:
    units = basis.spec.units.at(basis.period)
    names: Sequence[str] = parts_of(level)
    known = [name if name not in basis.spec.units.levels else basis.spec.units.tree_of(name) for name in names]
    return units.trees[0] if level == units.root.level or level == ALL else CROSS.join(known)
