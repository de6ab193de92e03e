"""Frames of any engine: what every module does with them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import narwhals.stable.v2 as nw
import pandas as pd


def collected(frame: Any) -> Any:
    """Collect a frame (narwhals) that is lazy; another is returned as it is."""
    return frame.collect() if isinstance(frame, nw.LazyFrame) else frame


def columns_of(frame: Any, names: Sequence[str]) -> pd.DataFrame:
    """Return columns of a frame of any engine as floats, NaN where missing."""
    return collected(nw.from_native(frame).select(*names)).to_pandas().astype("float64")
