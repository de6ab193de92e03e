"""Files of SPSS, Stata and Parquet as frames of text, with the wordings and option labels they carry."""

from __future__ import annotations

import pickle
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

from ..errors import Problems
from . import readstat_process
from .textfiles import encoding_of
from .workbooks import cell_text

#: What the libraries raise on damaged files is of no one kind; what the user must not see is a traceback.
_ADVICE = "重新导出，或另存为 CSV UTF-8 (export it again, or save as CSV UTF-8)"


@dataclass(frozen=True)
class Labelled:
    """A frame of text cells with what its file says of it.

    Attributes
    ----------
    wordings
        Variable → its label: the wording of the question.
    codes
        Variable → label → code, for variables whose cells are shown as labels.
    partly
        Variable → code → label, for variables only some of whose values have a label; their cells are codes.
    """

    frame: pd.DataFrame
    notices: tuple[str, ...] = ()
    wordings: Mapping[str, str] = field(default_factory=dict)
    codes: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    partly: Mapping[str, Mapping[str, str]] = field(default_factory=dict)


def read_labelled(path: Path, kind: str, place: str, problems: Problems) -> Labelled | None:
    """Read a .sav, .zsav or .dta file: cells as their value labels, user-missing values as empty cells."""
    stored, fault = _read(kind, path)
    notices: tuple[str, ...] = ()
    if stored is None and "encoding" in fault:
        encoding = _encoding_of_strings(kind, path)
        stored = _read(kind, path, encoding)[0] if encoding else None
        notices = (f"{place}: 文字按 {encoding.upper()} 读入 (texts read as {encoding.upper()})",)
    if stored is None:
        whole = "完整的 .sav/.zsav/.dta (a whole file)"
        problems.add(place, "unreadable", f"{kind.upper()}: {fault[:200]}", whole, _ADVICE)
        return None
    if not stored["columns"]:
        problems.add(place, "empty_file", "没有变量 (no variables)", "表头和数据", "重新导出 (export it again)")
        return None
    return _labelled(stored, notices)


def read_parquet(path: Path, place: str, problems: Problems) -> pd.DataFrame | None:
    """Read a Parquet file as text; one that cannot be read goes into ``problems``."""
    try:
        return as_text(pd.read_parquet(path))
    except Exception as error:  # pyarrow raises OSError, ArrowInvalid, and what a damaged schema leads to
        problems.add(place, "unreadable", _first_line(error), "完整的 .parquet (a whole file)", _ADVICE)
        return None


def as_text(columns: pd.DataFrame | Mapping[str, list[Any]]) -> pd.DataFrame:
    """Convert typed columns to text cells, as in a file."""
    return pd.DataFrame({str(name): _column_text(columns[name]) for name in columns})


def _column_text(values: pd.Series | list[Any]) -> pd.Series:
    """Write the cells of one column as text, each distinct one once where they are of one type."""
    if isinstance(values, list) or values.dtype == object:
        return pd.Series([cell_text(value) for value in values], dtype="str")
    codes, different = pd.factorize(values, use_na_sentinel=False)
    return pd.Series(pd.array([cell_text(value) for value in different], dtype="str").take(codes))


def _read(kind: str, path: Path, encoding: str = "") -> tuple[dict[str, Any] | None, str]:
    """Return what a file holds, or None with the reason; read in a process of its own, for damage can end the reader."""
    with path.open("rb"):  # a file that cannot be opened is an OSError, not damage
        command = [sys.executable, "-P", readstat_process.__file__, kind, str(path), encoding]
        done = subprocess.run(command, capture_output=True, check=False)
    if done.returncode or not done.stdout:
        return None, "损坏的文件使读取中断 (the reader broke off: a damaged file)"
    stored, fault = pickle.loads(done.stdout)
    return stored, fault


def _encoding_of_strings(kind: str, path: Path) -> str:
    """Return the encoding in which a file's texts may be read, where it names none or a wrong one; ``""`` if none.

    Every byte is a character of Latin-1, so that reading as such gives the bytes back.
    """
    stored, _ = _read(kind, path, "LATIN1")
    if stored is None:
        return ""
    texts = [*stored["wordings"].values(), *(text for labels in stored["labels"].values() for text in labels.values())]
    texts += [value for cells in stored["columns"].values() for value in dict.fromkeys(cells)]
    raw = "\n".join(text for text in texts if isinstance(text, str)).encode("latin-1", errors="ignore")
    encoding = encoding_of(raw)
    return "" if encoding == "utf-8" else encoding


def _labelled(stored: Mapping[str, Any], notices: tuple[str, ...]) -> Labelled:
    cells = as_text(stored["columns"])
    wordings = {str(name): str(text).strip() for name, text in stored["wordings"].items() if text}
    codes: dict[str, dict[str, str]] = {}
    partly: dict[str, dict[str, str]] = {}
    for name, named in stored["labels"].items():
        labels = {cell_text(code): str(label).strip() for code, label in named.items() if str(label).strip()}
        filled = set(cells[name].unique()) - {""}
        if not labels or not filled:
            continue
        if filled <= set(labels) and len(set(labels.values())) == len(labels):
            cells[name] = cells[name].map({**labels, "": ""}).astype("str")
            codes[name] = {label: code for code, label in labels.items()}
        else:
            partly[name] = labels
    return Labelled(cells, notices, wordings, codes, partly)


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:200]
