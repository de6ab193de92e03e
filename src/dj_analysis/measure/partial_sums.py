"""Sums of a part of a wave as a small Arrow table; tables of parts add exactly to the sums of the whole."""

from __future__ import annotations

import math

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from .block_sums import added
from .wave_sums import WaveSums

#: A row is a unit of an axis: its persons, the heaviest weight, and the sums that are not 0 with their columns (the tables of
#: ``WaveSums.tables``, one beside the other): small whole numbers, which nearly all of them are, apart from the others. All are bytes,
#: which Java passes on as they are where it would turn a list number by number. Without an axis it is a question with an answer
#: outside its range.
COLUMNS = {
    "axis": (pa.string(), "string"),
    "name": (pa.string(), "string"),
    "persons": (pa.float64(), "double"),
    "heaviest": (pa.float64(), "double"),
    "columns_of_counts": (pa.binary(), "binary"),
    "counts": (pa.binary(), "binary"),
    "columns_of_sums": (pa.binary(), "binary"),
    "sums": (pa.binary(), "binary"),
}
COLUMN, COUNT, SUM = np.dtype("<u4"), np.dtype("<u2"), np.dtype("<f8")
SCHEMA = pa.schema([(name, kind) for name, (kind, _) in COLUMNS.items()])
SUMS_AT_ONCE = 2**20  # that are looked through, or added, before the next: they stay near the processor


def table_of(wave: WaveSums) -> pa.Table:
    """Return the sums of a part as a table of ``SCHEMA``, only of units seen and without sums that are 0."""
    outside = [leaf.code for leaf in wave.outside]
    nothing = [[b""] * len(outside)] * 4
    none = np.zeros(len(outside))
    rows = [pa.table([[None] * len(outside), outside, none, none, *nothing], schema=SCHEMA)]
    return pa.concat_tables([*(_rows_of(wave, axis) for axis in wave.axes), *rows])


def _width(wave: WaveSums) -> int:
    return sum(math.prod(shape) for _, shape in wave.tables())


def _kind_of_columns(width: int) -> np.dtype:
    """Return how columns are written: short where all of them can be."""
    return COUNT if width <= np.iinfo(COUNT).max + 1 else COLUMN


def _rows_of(wave: WaveSums, axis: str) -> pa.Table:
    units, width = wave.axes[axis], _width(wave)
    many, kind = len(units.places), _kind_of_columns(width)
    at_once = max(SUMS_AT_ONCE // max(width, 1), 1)
    parts = [_filled(wave, axis, first, min(first + at_once, many)) for first in range(0, many, at_once)]
    lists = []
    for whole in (True, False):
        held = [chosen for part in parts for is_whole, *chosen in part if is_whole == whole]
        counts, columns, sums = ([part[i] for part in held] for i in range(3))
        ends = np.concatenate([[0], np.cumsum(np.concatenate([np.zeros(0, dtype=np.int64), *counts]))])
        lists += [_packed(columns, ends, kind), _packed(sums, ends, COUNT if whole else SUM)]
    return pa.table([[axis] * many, list(units.places), units.persons, units.heaviest, *lists], schema=SCHEMA)


def _filled(wave: WaveSums, axis: str, first: int, last: int) -> list[tuple[bool, np.ndarray, np.ndarray, np.ndarray]]:
    """Return the sums of some units that are not 0: small whole numbers, then the others: how many of each unit, columns, values."""
    dense, column = np.zeros((last - first, _width(wave))), 0
    for sums, shape in wave.tables():
        own = sums[axis][first:last] if axis in sums else np.zeros((0, *shape))
        dense[: len(own), column : column + math.prod(shape)] = own.reshape(len(own), math.prod(shape))
        column += math.prod(shape)
    at = np.flatnonzero(dense)
    values = dense.ravel()[at]
    row = at // max(dense.shape[1], 1)
    column_of = at - row * dense.shape[1]
    whole = (values >= 0) & (values <= np.iinfo(COUNT).max) & (values == np.floor(values))
    return [
        (is_whole, np.bincount(row[chosen], minlength=last - first), column_of[chosen], values[chosen])
        for is_whole, chosen in ((True, whole), (False, ~whole))
    ]


def _packed(values: list[np.ndarray], ends: np.ndarray, kind: np.dtype) -> pa.Array:
    """Return the bytes of the values of each row, which end where it is said."""
    content = np.concatenate([np.zeros(0, kind), *(part.astype(kind) for part in values)])
    offsets = (ends * kind.itemsize).astype(np.int32)
    buffers = [None, pa.py_buffer(offsets), pa.py_buffer(content)]
    return pa.Array.from_buffers(pa.binary(), len(ends) - 1, buffers)


def _unpacked(packed: pa.Array, kind: np.dtype) -> tuple[np.ndarray, np.ndarray]:
    """Return the values of all rows, one behind the other, and how many each row has."""
    rows = packed.cast(pa.binary())
    _, offsets, content = rows.buffers()
    ends = np.frombuffer(offsets, np.int32)[rows.offset : rows.offset + len(rows) + 1]
    values = np.frombuffer(content or b"", np.uint8)[ends[0] : ends[-1]].view(kind)
    return values, np.diff(ends) // kind.itemsize


def add_tables(wave: WaveSums, tables: pa.Table) -> None:
    """Add the sums of parts, in any order, to those of a wave that sums the same."""
    for axis in wave.axes:
        _add_rows(wave, axis, tables.filter(pc.equal(tables["axis"], axis)))
    outside = {*tables.filter(pc.is_null(tables["axis"]))["name"].to_pylist(), *(leaf.code for leaf in wave.outside)}
    wave.outside = [leaf for leaf in wave.plan.leaves if leaf.code in outside]


def _add_rows(wave: WaveSums, axis: str, rows: pa.Table) -> None:
    """Add rows to a flat array of one table behind the other, of which each is then a view."""
    units, names = wave.axes[axis], rows["name"].combine_chunks().dictionary_encode()
    place = units.placed(names.dictionary.to_pylist())[names.indices.to_numpy()]
    many, sizes = len(units.places), [math.prod(shape) for _, shape in wave.tables()]
    units.persons += np.bincount(place, rows["persons"].to_numpy(), minlength=many)
    np.maximum.at(units.heaviest, place, rows["heaviest"].to_numpy())
    width, starts = sum(sizes), np.cumsum([0, *sizes])
    # A column of a unit lies at ``start`` + its place × ``step``.
    start, step = np.repeat(starts[:-1] * (many - 1), sizes) + np.arange(width), np.repeat(sizes, sizes)
    flat = np.zeros(many * width)
    for of_columns, of_sums, kind in (("columns_of_counts", "counts", COUNT), ("columns_of_sums", "sums", SUM)):
        first = 0
        for chunk in rows.select([of_columns, of_sums]).to_batches():
            columns, counts = _unpacked(chunk[0], _kind_of_columns(width))
            values, _ = _unpacked(chunk[1], kind)
            of_chunk = np.repeat(place[first : first + len(chunk)], counts)
            for begin in range(0, len(values), SUMS_AT_ONCE):
                some = slice(begin, begin + SUMS_AT_ONCE)
                np.add.at(flat, start[columns[some]] + of_chunk[some] * step[columns[some]], values[some].astype(SUM))
            first += len(chunk)
    for (sums, shape), begin, size in zip(wave.tables(), starts, sizes, strict=False):
        block = flat[many * begin : many * (begin + size)].reshape(many, *shape)
        sums[axis] = added(sums.get(axis), block)
