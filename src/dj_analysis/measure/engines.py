"""Shared operations on dataframes of any engine."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import narwhals.stable.v2 as nw
import pandas as pd
import polars as pl
from narwhals.exceptions import ComputeError

from ..errors import DataError, UsageError


def wrapped_frame(frame: Any, place: str = "dataframe") -> Any:
    """Wrap a dataframe of any library; what is none, and one with several rows of headers, is named."""
    if isinstance(frame, pd.DataFrame) and frame.columns.nlevels > 1:
        advice = "先合成一行列名，如 frame.columns = ['—'.join(map(str, c)) for c in frame.columns] (one row of headers first)"
        raise UsageError(f"{place}: 多级列名/MultiIndex columns: {list(frame.columns[:2])}; {advice}")
    if isinstance(frame, pd.DataFrame):
        names = [str(name) for name in frame.columns]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise UsageError(
                f"{place}: 列名重复/duplicate columns: {', '.join(twice[:5])}; 改名或删去 (rename or remove)"
            )
        frame = frame if names == list(frame.columns) else frame.set_axis(names, axis=1)
    try:
        return nw.from_native(frame)
    except TypeError:
        allowed = "文件路径，或 pandas、polars、pyarrow、DuckDB、Spark 的表 (a path or a dataframe)"
        raise UsageError(f"{place}: {type(frame).__name__} 不是表/is no dataframe; 可用/valid: {allowed}") from None


#: Running numbers and the like: numbers of a row, never values of a unit.
RUNNING_NUMBERS = ("序号", "编号", "行号", "id", "index", "no", "no.", "number", "unnamed: 0")


def expressed(frame: Any) -> tuple[Any, Any]:
    """Return a frame and the library that writes its expressions: polars for its own frames, narwhals for all others.

    The two write them alike. What narwhals does around each of a thousand expressions is most of the time of a small wave.
    """
    native = nw.to_native(frame, pass_through=True)
    return (native, pl) if isinstance(native, (pl.DataFrame, pl.LazyFrame)) else (nw.from_native(native), nw)


def collected(frame: Any) -> Any:
    """Collect a lazy narwhals frame; return an eager one unchanged."""
    if not isinstance(frame, nw.LazyFrame):
        return frame
    try:
        return frame.collect()
    except ComputeError as error:
        raise unreadable(error) from None


def unreadable(error: Exception) -> DataError:
    """Return the error for a damaged file whose header could be read, with the first line of what the engine says."""
    found = (str(error).splitlines() or [""])[0][:200]
    return DataError(f"数据读不出/the data cannot be read: {found}; 重新导出 (export it again)")


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
