"""Sums of a part of a wave as a small Arrow table; tables of parts add exactly to the sums of the whole."""

from __future__ import annotations

import math

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from .block_sums import added
from .wave_sums import WaveSums

#: A row is a unit of an axis: its persons, the heaviest weight, and the sums that are not 0 with their columns (the tables of
#: ``WaveSums.tables``, one beside the other), both as bytes, which Java passes on as they are where it would turn a list number by
#: number. Without an axis it is a question with an answer outside its range.
COLUMNS = {
    "axis": (pa.string(), "string"),
    "name": (pa.string(), "string"),
    "persons": (pa.float64(), "double"),
    "heaviest": (pa.float64(), "double"),
    "columns": (pa.binary(), "binary"),
    "sums": (pa.binary(), "binary"),
}
COLUMN, SUM = np.dtype("<i4"), np.dtype("<f8")
SCHEMA = pa.schema([(name, kind) for name, (kind, _) in COLUMNS.items()])


def table_of(wave: WaveSums) -> pa.Table:
    """Return the sums of a part as a table of ``SCHEMA``, only of units seen and without sums that are 0."""
    outside = [leaf.code for leaf in wave.outside]
    nothing = [b""] * len(outside)
    none = np.zeros(len(outside))
    rows = [pa.table([[None] * len(outside), outside, none, none, nothing, nothing], schema=SCHEMA)]
    return pa.concat_tables([*(_rows_of(wave, axis) for axis in wave.axes), *rows])


def _rows_of(wave: WaveSums, axis: str) -> pa.Table:
    units = wave.axes[axis]
    row, column, sums = (np.concatenate(parts) for parts in zip(*_filled(wave, axis), strict=True))
    order = np.argsort(row, kind="stable")
    ends = np.concatenate([[0], np.cumsum(np.bincount(row, minlength=len(units.places)))])
    lists = [_packed(values[order], ends, kind) for values, kind in ((column, COLUMN), (sums, SUM))]
    return pa.table(
        [[axis] * len(units.places), list(units.places), units.persons, units.heaviest, *lists], schema=SCHEMA
    )


def _packed(values: np.ndarray, ends: np.ndarray, kind: np.dtype) -> pa.Array:
    """Return the bytes of the values of each row, which end where it is said."""
    offsets = (ends * kind.itemsize).astype(np.int32)
    buffers = [None, pa.py_buffer(offsets), pa.py_buffer(np.ascontiguousarray(values, kind))]
    return pa.Array.from_buffers(pa.binary(), len(ends) - 1, buffers)


def _unpacked(packed: pa.ChunkedArray, kind: np.dtype) -> tuple[np.ndarray, np.ndarray]:
    """Return the values of all rows, one behind the other, and how many each row has."""
    rows = packed.combine_chunks().cast(pa.binary())
    _, offsets, content = rows.buffers()
    ends = np.frombuffer(offsets, np.int32)[rows.offset : rows.offset + len(rows) + 1]
    values = np.frombuffer(content or b"", np.uint8)[ends[0] : ends[-1]].view(kind)
    return values, np.diff(ends) // kind.itemsize


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
    columns, counts = _unpacked(rows["columns"], COLUMN)
    width = sum(math.prod(shape) for _, shape in wave.tables())
    at = np.repeat(place, counts) * width + columns
    flat = np.zeros(many * width)
    np.add.at(flat, at, _unpacked(rows["sums"], SUM)[0])  # of one unit and column there are many
    block, first = flat.reshape(many, width), 0
    for sums, shape in wave.tables():
        last = first + math.prod(shape)
        sums[axis] = added(sums.get(axis), block[:, first:last].reshape(many, *shape))
        first = last
