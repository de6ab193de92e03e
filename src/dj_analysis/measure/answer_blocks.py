"""Blocks of rows of any dataframe engine: what an engine hands out, so that all arithmetic is in one place."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import narwhals.stable.v2 as nw
import pandas as pd
import polars as pl
from polars.exceptions import PolarsError

from .engines import unreadable

#: Rows of a block: its columns stay in the processor's cache while they are read once more.
ROWS = 1 << 17


def blocks_of(frame: Any, names: Sequence[str], rows: int = ROWS) -> Iterator[pl.DataFrame]:
    """Hand out columns of a frame block by block; the only place that collects a lazy frame to be scored.

    Parameters
    ----------
    frame
        pandas, polars (eager or lazy), pyarrow, DuckDB relation or another frame that narwhals knows. What is lazy is read
        once and never held as a whole, except of engines that cannot hand out batches.
    names
        Columns wanted.
    rows
        Most rows of a block.

    Raises
    ------
    DataError
        A file that cannot be read to its end.
    """
    native = nw.to_native(frame, pass_through=True)
    try:
        for block in _batches(native, list(dict.fromkeys(names)), rows):
            yield from block.iter_slices(rows)
    except (PolarsError, OSError) as error:
        raise unreadable(error) from None


def _batches(native: Any, names: list[str], rows: int) -> Iterator[pl.DataFrame]:
    if isinstance(native, pl.LazyFrame):
        # In the order of the file: bringing columns into another one, polars reads twice as far ahead.
        ordered = [name for name in native.collect_schema().names() if name in names]
        yield from native.select(ordered).collect_batches(chunk_size=rows, maintain_order=False)
    elif isinstance(native, pl.DataFrame):
        yield native.select(names)
    elif isinstance(native, pd.DataFrame):
        for first in range(0, len(native), rows):
            block = native.iloc[first : first + rows][names]  # rows first: choosing columns copies what there is
            yield pl.from_pandas(block, nan_to_null=False)
    else:
        yield from _of_arrow(native, names, rows)


def _of_arrow(native: Any, names: list[str], rows: int) -> Iterator[pl.DataFrame]:
    """Take Arrow batches: of a DuckDB relation one by one, of other engines all together."""
    chosen = nw.from_native(native).select(*names)
    relation = chosen.to_native()
    if hasattr(relation, "to_arrow_reader"):
        for batch in relation.to_arrow_reader(rows):
            yield pl.DataFrame(pl.from_arrow(batch))
        return
    table = chosen.collect("pyarrow") if isinstance(chosen, nw.LazyFrame) else chosen
    yield pl.DataFrame(pl.from_arrow(table.to_arrow()))
