"""Clean copies of answer files: no identifying columns, k-anonymous quasi-identifiers."""

from __future__ import annotations

import io
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import pandas as pd

from ...errors import DataError, Problems, UsageError, unknown
from ...file_access import written_whole
from ...spec.settings import MOST_TOGETHER
from ...spec.tables import Table, read_text
from . import identifiers
from .anonymity import FEWEST, anonymous, banded, quasi_kind, smallest_class

_WRITTEN = {".csv": ".csv", ".txt": ".txt", ".tsv": ".tsv", ".xlsx": ".xlsx", ".xls": ".xlsx", ".parquet": ".parquet"}


@dataclass(frozen=True)
class Copy:
    """A clean copy: its file, the columns dropped or coarsened, the number of cells blanked or made plain text.

    Attributes
    ----------
    quasi
        The columns over which at least ``least`` rows look alike.
    """

    file: Path
    dropped: tuple[str, ...]
    quasi: tuple[str, ...]
    banded: tuple[str, ...]
    blanked: int
    least: int
    neutralised: int = 0


def clean_file(
    source: str | Path,
    drop: Sequence[str] = (),
    out: str | Path | None = None,
    quasi: Sequence[str] = (),
    sheet: str = "",
) -> Copy:
    """Write a copy of a table without identifying columns; a failed run leaves no partial file.

    Besides the columns named, 来自IP, 来源详情 and 昵称 go. Columns that ask for age, tenure, sex, education, post, title or
    form of employment, and those named as ``quasi``, are quasi-identifiers (R16): at most three together; ages and tenures
    given as numbers are put into bands; then cells are blanked until every combination is shared by at least five rows. A cell
    that a spreadsheet would run as a formula or open as a link gets an apostrophe before it.

    Parameters
    ----------
    source
        .csv, .txt, .tsv, .xls, .xlsx or .parquet; of a workbook one sheet, by default the first.
    drop
        Headers to leave out; one string may name several, separated by commas.
    out
        Where to write; by default beside the source as ``…-clean``, of the same kind (``.xls`` becomes ``.xlsx``).
    quasi
        Further headers that help to tell a person.

    Raises
    ------
    UsageError
        A header that is not there, a copy that exists already, a kind of file that cannot be written.
    IdentifierError
        Columns left would still identify; names the command that removes them as well.
    DataError
        More than three quasi-identifiers.
    """
    source, problems = Path(source), Problems()
    target = Path(out) if out is not None else source.with_name(f"{source.stem}-clean{_suffix(source)}")
    if _suffix(target) != target.suffix.lower():
        raise UsageError(f"{target.name}: 可写/can be written: {', '.join(dict.fromkeys(_WRITTEN.values()))}")
    if target.exists():
        raise UsageError(
            f"{target} 已存在，不会覆盖 (exists and is not overwritten);用 --out 换一个名字 (name another)"
        )
    table = read_text(source, problems, sheet=sheet)
    problems.raise_if_any(DataError)
    assert table is not None, "a file that cannot be read is a problem"
    headers = [str(name) for name in table.frame.columns]
    asked = _named(drop, headers)
    further = _named(quasi, headers)
    dropped = [header for header in headers if header in asked or header in identifiers.DROPPED]
    remaining = Table(table.frame.drop(columns=dropped), table.place)
    check_clean(remaining, asked, source)
    kinds = {
        header: quasi_kind(header) for header in remaining.frame.columns if header in further or quasi_kind(header)
    }
    if len(kinds) > MOST_TOGETHER:
        command = identifiers.clean_command([*asked, list(kinds)[-1]], source)
        advice = f"选定要删去的列，如 (choose what to drop, as in): {command}"
        allowed = f"至多 {MOST_TOGETHER} 个 (at most {MOST_TOGETHER})"
        problems.add(table.place, "quasi_identifiers", f"{len(kinds)}: {'、'.join(kinds)}", allowed, advice)
        problems.raise_if_any(DataError)
    frame, coarser = coarsened(remaining.frame, kinds)
    frame, blanked = anonymous(frame, list(kinds))
    least = smallest_class(frame, list(kinds)) or FEWEST
    plain, neutralised = without_formulas(frame)
    write_table(target, plain)
    return Copy(target, tuple(dropped), tuple(kinds), coarser, blanked, least, neutralised)


#: What a spreadsheet runs or opens: formulas, calls of programs (DDE), links to files and servers.
_ACTIVE = r"^\s*(?:[=@\t\r]|[+-](?![\d.,]+%?$)|\\\\|(?:file|https?|ftp|mailto|javascript):)"


def without_formulas(frame: pd.DataFrame) -> tuple[pd.DataFrame, int]:
    """Prefix an apostrophe to cells and headers that a spreadsheet would run or open; also return their number."""
    escaped, count = frame.copy(), 0
    for header in frame.columns:
        active = frame[header].astype("str").str.contains(_ACTIVE, case=False, regex=True, na=False)
        escaped[header] = frame[header].where(~active, "'" + frame[header].astype("str"))
        count += int(active.sum())
    headers = {header: f"'{header}" for header in frame.columns if re.match(_ACTIVE, str(header), re.IGNORECASE)}
    return escaped.rename(columns=headers), count + len(headers)


def check_clean(table: Table, asked: Sequence[str], source: Path) -> None:
    """Raise an error for columns that still identify persons, with the command that drops them as well."""
    problems = Problems()
    headers = [str(name) for name in table.frame.columns]
    named = identifiers.identifying_names(headers)
    cells = identifiers.identifying_cells(table.frame, mapped=())
    repair = f"一并删去 (remove it as well): {identifiers.clean_command([*asked, *named, *cells], source)}"
    for header in named:
        problems.add(table.place, "identifier_column", header, identifiers.ALLOWED, repair)
    for header, content in cells.items():
        problems.add(f"{table.place}: {header}", "identifier_content", content, identifiers.ALLOWED, repair)
    problems.raise_if_any(DataError)


def coarsened(frame: pd.DataFrame, kinds: dict[str, str]) -> tuple[pd.DataFrame, tuple[str, ...]]:
    """Convert numeric ages and tenures to bands; return the table and the columns that changed."""
    coarse = frame.copy()
    for header, kind in kinds.items():
        coarse[header] = banded(frame[header], kind)
    return coarse, tuple(header for header in kinds if not coarse[header].equals(frame[header]))


def write_table(path: Path, frame: pd.DataFrame) -> None:
    """Write a table of text cells that reads back unchanged; the final name is given only to a complete file."""
    with written_whole(path) as unfinished:
        if path.suffix.lower() == ".xlsx":
            _write_excel(unfinished, frame)
        elif path.suffix.lower() == ".parquet":
            frame.to_parquet(unfinished, index=False)
        else:
            separator = "," if path.suffix.lower() == ".csv" else "\t"
            frame.to_csv(unfinished, sep=separator, index=False, encoding="utf-8-sig", lineterminator="\n")


def kept_kind(source: Path) -> str:
    """Return the suffix of a copy of this file: its own, but ``.xlsx`` for ``.xls``."""
    return _suffix(source)


def _suffix(path: Path) -> str:
    return _WRITTEN.get(path.suffix.lower(), ".csv")


def _named(options: Sequence[str], headers: list[str]) -> list[str]:
    """Return the headers named in options; a header may itself contain a comma."""
    names: list[str] = []
    for option in options:
        names += [option] if option in headers else [name.strip() for name in re.split("[,，]", option) if name.strip()]
    for name in names:
        if name not in headers:
            raise unknown("列/column", name, headers)
    return names


def _write_excel(path: Path, frame: pd.DataFrame) -> None:
    import xlsxwriter

    stream = io.BytesIO()  # for errors of the system do not come through the writer as they are
    with xlsxwriter.Workbook(stream, {"constant_memory": True}) as book:
        _fill(book, frame)
    path.write_bytes(stream.getvalue())


def _fill(book: Any, frame: pd.DataFrame) -> None:
    book.set_properties({"created": datetime(2000, 1, 1)})  # else the file would tell the hour it was made
    sheet = book.add_worksheet("Sheet1")
    for row, cells in enumerate([tuple(frame.columns), *frame.itertuples(index=False, name=None)]):
        for column, cell in enumerate(map(str, cells)):
            if row and re.fullmatch(r"-?(0|[1-9]\d{0,14})(\.\d{1,6})?", cell):
                sheet.write_number(row, column, float(cell))
            elif cell:
                sheet.write_string(row, column, cell)
