"""Shared operations on dataframes of any engine."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import narwhals.stable.v2 as nw
import pandas as pd


def collected(frame: Any) -> Any:
    """Collect a lazy narwhals frame; return an eager one unchanged."""
    return frame.collect() if isinstance(frame, nw.LazyFrame) else frame


def as_pandas(frame: Any) -> pd.DataFrame:
    """Return a frame of any engine as pandas."""
    table: pd.DataFrame = collected(nw.from_native(frame)).to_pandas()
    return table


def names_of(frame: Any) -> list[str]:
    """Return the columns of a frame of any engine."""
    return list(nw.from_native(frame).collect_schema().names())


def columns_of(frame: Any, names: Sequence[str]) -> pd.DataFrame:
    """Return columns of a frame of any engine as floats, NaN where missing."""
    return collected(nw.from_native(frame).select(*names)).to_pandas().astype("float64")
