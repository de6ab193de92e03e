"""A grid of text cells as it stands in a file."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Grid:
    """Rows of text cells from the first line of the file on, with what was noticed while reading them."""

    rows: list[list[str]]
    notices: tuple[str, ...] = ()
