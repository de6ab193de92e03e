"""A grid of text cells as it stands in a file."""

from __future__ import annotations

import contextlib
import gc
from collections.abc import Iterator
from dataclasses import dataclass


@dataclass(frozen=True)
class Grid:
    """Rows of text cells from the first line of the file on, with what was noticed while reading them."""

    rows: list[list[str]]
    notices: tuple[str, ...] = ()


@contextlib.contextmanager
def many_rows() -> Iterator[None]:
    """Within this block no garbage is looked for: every new row of cells would have all rows before it looked through again."""
    wanted = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if wanted:
            gc.enable()
