"""Files of SPSS, Stata and Parquet as frames of text, with the wordings and option labels they carry."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

from ..errors import Problems
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
    import pyreadstat

    read = pyreadstat.read_sav if kind == "sav" else pyreadstat.read_dta
    encoding, notices = None, []
    try:
        frame, meta = _read(read, path, encoding)
    except Exception as error:
        encoding = _encoding_of_strings(read, path)
        if not encoding:
            found = f"{kind.upper()}: {error}"
            problems.add(place, "unreadable", found, "完整的 .sav/.zsav/.dta (a whole file)", _ADVICE)
            return None
        frame, meta = _read(read, path, encoding)
        notices.append(f"{place}: 文字按 {encoding.upper()} 读入 (texts read as {encoding.upper()})")
    if frame.columns.empty:
        problems.add(place, "empty_file", "没有变量 (no variables)", "表头和数据", "重新导出 (export it again)")
        return None
    return _labelled(frame, meta, tuple(notices))


def read_parquet(path: Path, place: str, problems: Problems) -> pd.DataFrame | None:
    """Read a Parquet file as text; one that cannot be read goes into ``problems``."""
    try:
        return as_text(pd.read_parquet(path))
    except Exception as error:  # pyarrow raises OSError, ArrowInvalid, and what a damaged schema leads to
        problems.add(place, "unreadable", _first_line(error), "完整的 .parquet (a whole file)", _ADVICE)
        return None


def as_text(frame: pd.DataFrame) -> pd.DataFrame:
    """Convert a typed frame to text cells, as in a file."""
    return pd.DataFrame(
        {str(name): pd.Series([cell_text(v) for v in frame[name]], dtype="str") for name in frame.columns}
    )


def _read(read: Callable[..., Any], path: Path, encoding: str | None) -> tuple[pd.DataFrame, Any]:
    with path.open("rb"):  # a file that cannot be opened is an OSError, not damage
        frame, meta = read(str(path), encoding=encoding)
    if meta.number_rows is not None and meta.number_rows != len(frame):
        raise ValueError(f"{len(frame)} of {meta.number_rows} rows")
    return frame, meta


def _encoding_of_strings(read: Callable[..., Any], path: Path) -> str:
    """Return the encoding in which a file's texts can be read, where it names none or a wrong one; ``""`` if none.

    Every byte is a character of Latin-1, so that reading as such gives the bytes back.
    """
    try:
        frame, meta = _read(read, path, "LATIN1")
    except Exception:
        return ""
    texts = [
        *(meta.column_labels or []),
        *(t for labels in meta.variable_value_labels.values() for t in labels.values()),
    ]
    for name in frame.columns:
        texts += [value for value in frame[name].unique() if isinstance(value, str)]
    raw = "\n".join(text for text in texts if isinstance(text, str)).encode("latin-1", errors="ignore")
    encoding = encoding_of(raw)
    if not encoding or encoding == "utf-8":
        return ""
    try:
        _read(read, path, encoding)
    except Exception:
        return ""
    return encoding


def _labelled(frame: pd.DataFrame, meta: Any, notices: tuple[str, ...]) -> Labelled:
    cells = as_text(frame)
    wordings = {str(name): str(text).strip() for name, text in meta.column_names_to_labels.items() if text}
    codes: dict[str, dict[str, str]] = {}
    partly: dict[str, dict[str, str]] = {}
    for name, stored in meta.variable_value_labels.items():
        labels = {cell_text(code): str(label).strip() for code, label in stored.items() if str(label).strip()}
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
