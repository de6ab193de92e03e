"""Shared operations on dataframes of any engine."""

from __future__ import annotations

import re
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
        wrapped = nw.from_native(frame)
    except TypeError:
        allowed = "文件路径，或 pandas、polars、pyarrow、DuckDB、Spark 的表 (a path or a dataframe)"
        raise UsageError(f"{place}: {type(frame).__name__} 不是表/is no dataframe; 可用/valid: {allowed}") from None
    if on_spark(wrapped) and (dotted := [name for name in names_of(wrapped) if "." in name or "`" in name]):
        advice = "先改名，如 frame.toDF(*[name.replace('.', '_') for name in frame.columns]) (rename the columns first)"
        raise UsageError(f"{place}: Spark 列名含点号/dots in column names: {', '.join(dotted[:5])}; {advice}")
    return wrapped


#: Running numbers and the like: numbers of a row, never values of a unit.
RUNNING_NUMBERS = ("序号", "编号", "行号", "id", "index", "no", "no.", "number", "unnamed: 0")


def expressed(frame: Any) -> tuple[Any, Any]:
    """Return a frame and the library that writes its expressions: polars for its own frames, narwhals for all others.

    The two write them alike. What narwhals does around each of a thousand expressions is most of the time of a small wave.
    """
    native = nw.to_native(frame, pass_through=True)
    return (native, pl) if isinstance(native, (pl.DataFrame, pl.LazyFrame)) else (nw.from_native(native), nw)


def collected(frame: Any, *, streaming: bool = False) -> Any:
    """Collect a lazy narwhals frame of few rows, if asked and possible block by block; return an eager one unchanged."""
    if not isinstance(frame, nw.LazyFrame):
        return frame
    by_block = streaming and frame.implementation.is_polars()
    try:
        return frame.collect(engine="streaming") if by_block else frame.collect()
    except ComputeError as error:
        raise unreadable(error) from None
    except Exception as error:  # what Spark raises has classes of pyspark and py4j, which are not there for everybody
        if on_spark(frame):
            raise unfinished(error) from error
        raise


def all_rows(frame: Any) -> Any:
    """Collect all rows of a narwhals frame, for what cannot be computed from sums.

    Raises
    ------
    UsageError
        The frame lies on Spark: its rows are not brought to one machine unasked.
    """
    if on_spark(frame):
        advice = (
            "放得进内存就用 frame.toArrow()，否则 frame.write.parquet(…) 后用 polars.scan_parquet 打开，再 dj.read_survey"
            " (frame.toArrow() where it fits in memory; else write Parquet and open it with polars.scan_parquet; then dj.read_survey)"
        )
        raise UsageError(f"Spark 表: 这一步要同时看所有答卷，不能分开算 (this step needs all rows at once); {advice}")
    return collected(frame)


def on_spark(frame: Any) -> bool:
    """Tell whether a frame lies on Spark, classic or Connect, without importing pyspark."""
    kind = nw.from_native(frame, pass_through=True)
    return isinstance(kind, nw.LazyFrame) and (
        kind.implementation.is_pyspark() or kind.implementation.is_pyspark_connect()
    )


def unfinished(error: Exception) -> DataError:
    """Return the error for a Spark job that failed, with the innermost cause that Spark tells."""
    told = [line.strip() for line in str(error).split("JVM stacktrace")[0].splitlines() if line.strip()]
    in_python = [
        line for line in told if re.match(r"\w*(Error|Exception)\b", line)
    ]  # the last line of a worker's traceback
    in_spark = [line[line.index("[") :] for line in told if re.search(r"\[[A-Z][A-Z_.]+\] ", line)]
    found = (in_python[-1:] or in_spark[:1] or told[:1] or [type(error).__name__])[0][:300]
    advice = "没有得出任何结果；按原因改正后重新运行，详见 Spark 日志 (nothing was computed; correct the cause and run again, see Spark's log)"
    if "No module named" in found:
        advice = "在每个工作节点上安装同一环境 (install the same environment on every worker); " + advice
    return DataError(f"Spark 没有算完/Spark did not finish: {found}; {advice}")


def unreadable(error: Exception) -> DataError:
    """Return the error for a damaged file whose header could be read, with the first line of what the engine says."""
    found = (str(error).splitlines() or [""])[0][:200]
    return DataError(f"数据读不出/the data cannot be read: {found}; 重新导出 (export it again)")


def as_pandas(frame: Any) -> pd.DataFrame:
    """Return a frame of any engine as pandas."""
    table: pd.DataFrame = all_rows(nw.from_native(frame)).to_pandas()
    return table


def names_of(frame: Any) -> list[str]:
    """Return the columns of a frame of any engine."""
    return list(nw.from_native(frame).collect_schema().names())


def columns_of(frame: Any, names: Sequence[str]) -> pd.DataFrame:
    """Return columns of a frame of any engine as floats, NaN where missing."""
    return all_rows(nw.from_native(frame).select(*names)).to_pandas().astype("float64")
