"""The data basis of a result, by which results on different people, weights, units or categories are told apart."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import narwhals.stable.v2 as nw
import numpy as np
import pandas as pd

from ..spec.specification import Specification
from .engines import collected, expressed
from .scored_cells import plan_cells
from .survey import Indicators, Survey
from .unitsums import UnitSums

WHOLE = "*"  # the axis of totals that part nobody


@dataclass(frozen=True, eq=False)
class Basis:
    """The data of one wave on which a result rests.

    Confidential like the sums it holds: results carry it to the release room, and nothing prints it.

    Attributes
    ----------
    programme, period
        The wave.
    spec
        Its units and codebook.
    sums
        Axis → sums by finest unit or category; :data:`WHOLE` where nobody was parted from the others.
    values
        Digest of the values counted, where a programme counts no people.
    """

    programme: str
    period: str
    spec: Specification = field(repr=False)
    sums: Mapping[str, UnitSums] = field(default_factory=dict, repr=False)
    values: str = ""

    @cached_property
    def counted(self) -> tuple[str, ...]:
        """Hash of the sums of each axis: people, answers, and scores to a hundredth; asked for at every seal, made once."""
        hashes = []
        for axis, sums in sorted(self.sums.items()):
            content = hashlib.sha256(repr((axis, sums.units, sums.cells)).encode())
            for values in (sums.persons, sums.sums["n"], np.round(sums.sums["wx"], 2) + 0.0):
                content.update(np.ascontiguousarray(values).tobytes())
            hashes.append(content.hexdigest())
        return tuple(hashes)


def basis_of(survey: Survey, sums: Mapping[str, UnitSums] | None = None) -> tuple[Basis, ...]:
    """Return the basis of a survey result: its sums along the axes used, else totals over all respondents."""
    counted = sums if sums is not None else {WHOLE: totals(survey)}
    return (Basis("survey", survey.period, survey.spec, counted),)


def bases_of(*inputs: Any) -> tuple[Basis, ...]:
    """Return the combined basis of inputs (results, surveys, branch indicators); a plain dataframe has none."""
    bases: list[Basis] = []
    for source in inputs:
        if isinstance(source, Survey):
            bases += basis_of(source)
        elif isinstance(source, Indicators):
            bases += [
                Basis("indicators", period, source.spec, values=digest) for period, digest in _digests(source).items()
            ]
        else:
            bases += getattr(source, "basis", ())
    return tuple(bases)


def merged_bases(*results: Any) -> tuple[Basis, ...]:
    """Return the bases of several results, one a wave; where two have the same wave the later result's counts."""
    return tuple({(basis.programme, basis.period): basis for one in results for basis in one.basis}.values())


def digest_of(table: pd.DataFrame) -> str:
    """Return a hash of a table's rows that does not depend on their order."""
    return _digest_of_rows(table, _row_hashes(table))


def _digests(data: Indicators) -> dict[str, str]:
    """Return the :func:`digest_of` the values of each occasion; rows are hashed all at once, for there are few to an occasion."""
    digests = {}
    for table in (one for one in (data.earlier, data.values) if one is not None):
        hashes = _row_hashes(table)
        for period, rows in table.groupby("period", sort=False).indices.items():
            digests[str(period)] = _digest_of_rows(table, hashes[rows])
    return {period: digests.get(period) or digest_of(data.values_of(period)) for period in data.occasions}


def _row_hashes(table: pd.DataFrame) -> np.ndarray:
    numeric = {name: pd.api.types.is_numeric_dtype(dtype) for name, dtype in table.dtypes.items()}
    plain = table.astype({name: "float64" if number else "str" for name, number in numeric.items()})
    return pd.util.hash_pandas_object(plain, index=False).to_numpy()


def _digest_of_rows(table: pd.DataFrame, hashes: np.ndarray) -> str:
    """Return a hash of the columns and of rows in any order."""
    return hashlib.sha256(repr(list(table.columns)).encode() + np.sort(hashes).tobytes()).hexdigest()


def totals(survey: Survey) -> UnitSums:
    """Sum the answers of all respondents to each question: respondents, their weight, their weighted scores.

    One pass over the columns; on a lazy frame only the totals are collected.
    """
    frame, lib = expressed(survey.frame)
    plan = plan_cells(survey.counted_trees(), frame.collect_schema().names())
    answers = {f"x:{leaf.code}": lib.col(leaf.code).cast(lib.Float64) for leaf in plan.leaves}
    weight = lib.col(survey.weight).cast(lib.Float64) if survey.weight else None
    columns: dict[str, Any] = {"_rows": lib.lit(1)}
    for leaf in plan.leaves:
        value = lib.col(f"x:{leaf.code}")
        value = lib.when(~value.is_nan()).then(value)
        columns[f"n:{leaf.code}"] = (~value.is_null()).cast(lib.Float64)
        columns[f"wx:{leaf.code}"] = value.fill_null(0.0) if weight is None else value.fill_null(0.0) * weight
        if weight is not None:
            columns[f"w:{leaf.code}"] = columns[f"n:{leaf.code}"] * weight
    summed = frame.with_columns(**answers).with_columns(**columns).select(*(lib.col(name).sum() for name in columns))
    row = collected(nw.from_native(summed, pass_through=True)).to_pandas().iloc[0]
    leaves = {leaf.code: leaf for leaf in plan.leaves}
    cells = tuple(cell for cell in plan.cells if cell[1] in leaves)
    sums = {name: np.zeros((1, len(cells))) for name in ("n", "w", "wx")}
    for j, (_, code) in enumerate(cells):
        leaf = leaves[code]
        sums["n"][0, j], wx = float(row[f"n:{code}"]), float(row[f"wx:{code}"])
        w = sums["n"][0, j] if weight is None else float(row[f"w:{code}"])
        points = wx - w * leaf.minimum if leaf.direction == 1 else w * leaf.maximum - wx
        sums["w"][0, j], sums["wx"][0, j] = w, 100 * points / (leaf.maximum - leaf.minimum)
    return UnitSums(WHOLE, ("",), cells, np.array([float(row["_rows"])]), sums)
