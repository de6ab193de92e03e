"""A Word file that somebody has edited is never written over."""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Collection
from pathlib import Path

from ..errors import DjWarning
from ..record import Record


def stem_beside_edited(
    folder: Path, stem: str, record: Record, taken: Collection[str], *, with_notebook: bool = True
) -> str:
    """Return the name under which a Word file and its notebook are written: the first whose Word file nobody has edited.

    A file that the record does not know was edited since it was written, or is somebody's own; it stays as it is, with the
    notebook it was written from, and the new one is called ``ALL-2``, ``ALL-3`` and so on.

    Parameters
    ----------
    taken
        Names that belong to other units.
    with_notebook
        The notebook is written too; without it a name under which another notebook lies is that one's.
    """
    if not (folder / f"{stem}.docx").exists():
        return stem
    known, name, number = set(record.publications["sha256"]), stem, 1

    def is_free() -> bool:
        others = number > 1 and (name in taken or (not with_notebook and (folder / f"{name}.ipynb").exists()))
        return not others and not _is_edited(folder / f"{name}.docx", known)

    while not is_free():
        number += 1
        name = f"{stem}-{number}"
    if name != stem:
        warnings.warn(
            f"{stem}.docx 已有人修改,原样保留,新的写入 {name}.docx;先用 dj take-edits {stem}.docx 取回改动 (it was edited and is"
            f" kept as it is; the new one is {name}.docx; bring the changes back by dj take-edits)",
            DjWarning,
            stacklevel=3,
        )
    return name


def _is_edited(path: Path, known: Collection[str]) -> bool:
    return path.exists() and hashlib.sha256(path.read_bytes()).hexdigest() not in known
