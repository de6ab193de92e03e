"""Sums of a part of a wave as a small Arrow table; tables of parts add exactly to the sums of the whole."""

from __future__ import annotations

import math

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from .block_sums import added
from .wave_sums import WaveSums

#: A row is a unit of an axis: its persons, the heaviest weight, and the sums that are not 0 with their columns (the tables of
#: ``WaveSums.tables``, one beside the other). Without an axis it is a question with an answer outside its range.
COLUMNS = {
    "axis": (pa.string(), "string"),
    "name": (pa.string(), "string"),
    "persons": (pa.float64(), "double"),
    "heaviest": (pa.float64(), "double"),
    "columns": (pa.list_(pa.int32()), "array<int>"),
    "sums": (pa.list_(pa.float64()), "array<double>"),
}
SCHEMA = pa.schema([(name, kind) for name, (kind, _) in COLUMNS.items()])


def table_of(wave: WaveSums) -> pa.Table:
    """Return the sums of a part as a table of ``SCHEMA``, only of units seen and without sums that are 0."""
    outside = [leaf.code for leaf in wave.outside]
    nothing: list[list[float]] = [[] for _ in outside]
    none = np.zeros(len(outside))
    rows = [pa.table([[None] * len(outside), outside, none, none, nothing, nothing], schema=SCHEMA)]
    return pa.concat_tables([*(_rows_of(wave, axis) for axis in wave.axes), *rows])


def _rows_of(wave: WaveSums, axis: str) -> pa.Table:
    units = wave.axes[axis]
    row, column, sums = (np.concatenate(parts) for parts in zip(*_filled(wave, axis), strict=True))
    order = np.argsort(row, kind="stable")
    ends = np.concatenate([[0], np.cumsum(np.bincount(row, minlength=len(units.places)))]).astype(np.int32)
    lists = [
        pa.ListArray.from_arrays(ends, pa.array(values[order], kind))
        for values, kind in ((column, pa.int32()), (sums, pa.float64()))
    ]
    return pa.table(
        [[axis] * len(units.places), list(units.places), units.persons, units.heaviest, *lists], schema=SCHEMA
    )


def _filled(wave: WaveSums, axis: str) -> list[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Return units, columns and values of the sums that are not 0, table by table."""
    none = np.zeros(0, dtype=np.int64)
    parts, first = [(none, none, np.zeros(0))], 0
    for sums, shape in wave.tables():
        if axis in sums:
            flat = sums[axis].reshape(len(sums[axis]), -1)
            row, column = np.nonzero(flat)
            parts.append((row, column + first, flat[row, column]))
        first += math.prod(shape)
    return parts


def add_tables(wave: WaveSums, tables: pa.Table) -> None:
    """Add the sums of parts, in any order, to those of a wave that sums the same."""
    for axis in wave.axes:
        _add_rows(wave, axis, tables.filter(pc.equal(tables["axis"], axis)))
    outside = {*tables.filter(pc.is_null(tables["axis"]))["name"].to_pylist(), *(leaf.code for leaf in wave.outside)}
    wave.outside = [leaf for leaf in wave.plan.leaves if leaf.code in outside]


def _add_rows(wave: WaveSums, axis: str, rows: pa.Table) -> None:
    units, names = wave.axes[axis], rows["name"].combine_chunks().dictionary_encode()
    place = units.placed(names.dictionary.to_pylist())[names.indices.to_numpy()]
    many = len(units.places)
    units.persons += np.bincount(place, rows["persons"].to_numpy(), minlength=many)
    np.maximum.at(units.heaviest, place, rows["heaviest"].to_numpy())
    lists = rows["columns"].combine_chunks()
    width = sum(math.prod(shape) for _, shape in wave.tables())
    at = np.repeat(place, pc.list_value_length(lists).to_numpy()) * width + lists.flatten().to_numpy()
    flat = np.zeros(many * width)
    np.add.at(flat, at, rows["sums"].combine_chunks().flatten().to_numpy())  # of one unit and column there are many
    block, first = flat.reshape(many, width), 0
    for sums, shape in wave.tables():
        last = first + math.prod(shape)
        sums[axis] = added(sums.get(axis), block[:, first:last].reshape(many, *shape))
        first = last
