"""Sums of a wave that lies on Spark: each partition is summed where it lies, and only sums by unit are collected."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import narwhals.stable.v2 as nw
import polars as pl
import pyarrow as pa

from .engines import collected
from .partial_sums import COLUMNS, add_tables, table_of
from .wave_sums import WaveSums


@dataclass(frozen=True)
class PartitionSums:
    """Sums the rows of one partition; this is what Spark sends to its workers, who import the package themselves.

    Attributes
    ----------
    start
        Makes empty sums of the wave.
    columns, weight
        Axis → column with the unit; column of weights.
    rows
        Most rows that are summed at once.
    """

    start: Callable[[], WaveSums]
    columns: Mapping[str, str | None]
    weight: str | None
    rows: int

    def __call__(self, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        """Turn the batches of a partition into its sums."""
        wave = self.start()
        for block in _blocks(batches, self.rows):
            wave.add(block, self.columns, self.weight)
        yield from table_of(wave).combine_chunks().to_batches()


def add_partitions(wave: WaveSums, frame: Any, sums: PartitionSums) -> None:
    """Add the sums of every partition of a Spark frame, collected once; the session's settings stay as they are.

    Raises
    ------
    DataError
        Spark could not finish: a damaged file, a worker that failed, a package that is missing there.
    """
    schema = ", ".join(f"{name} {kind}" for name, (_, kind) in COLUMNS.items())
    partial = nw.to_native(frame).mapInArrow(sums, schema)
    add_tables(wave, collected(nw.from_native(partial)).to_arrow())


def _blocks(batches: Iterator[pa.RecordBatch], rows: int) -> Iterator[pl.DataFrame]:
    """Put Spark's batches (10,000 rows by default) together to blocks of the size that is summed fastest."""
    held: list[pa.RecordBatch] = []
    for batch in batches:
        held.append(batch)
        if sum(one.num_rows for one in held) >= rows:
            yield from _block(held, rows)
            held = []
    if held:
        yield from _block(held, rows)


def _block(held: list[pa.RecordBatch], rows: int) -> Iterator[pl.DataFrame]:
    block = pl.DataFrame(pl.from_arrow(pa.Table.from_batches(held))).rechunk()
    yield from block.iter_slices(rows)
