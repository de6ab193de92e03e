"""Reading of Excel workbooks, with checks for oversized or damaged files."""

from __future__ import annotations

import re
import zipfile
from datetime import date, datetime
from pathlib import Path

import pandas as pd

from ..errors import Problems

#: An .xlsx is a packed folder; more than this, unpacked, does not fit into memory as cells.
MOST_BYTES = 4 * 2**30
#: Real sheets shrink to a twentieth; what shrinks to less than this was made to fill a disk.
MOST_PACKED, FROM_BYTES = 200, 100 * 2**20
#: Columns a survey or a table of values can have; Excel's last is XFD, the 16,384th.
MOST_COLUMNS = 4096
#: Rows beyond the last filled one that a sheet may skip, for every row it has and at least.
GAP, LEAST_GAP = 10, 10_000

_CELL = re.compile(rb'<c r="([A-Z]{1,3})(\d{1,7})"')
_WIDE = re.compile(rb'<c r="([G-Z][A-Z]{2}|F[A-Z]{2})(\d{1,7})"')  # from FAA, the 4,083rd column


def read_workbook(path: Path, place: str, sheet: str, problems: Problems) -> list[list[str]] | None:
    """Read one sheet of a workbook as text cells, the first where none is named; faults go into ``problems``."""
    import python_calamine as calamine

    if not _sound_package(path, place, problems):
        return None
    try:
        with calamine.load_workbook(str(path)) as book:
            if sheet and sheet not in book.sheet_names:
                advice = "改正 sheet (correct the sheet name)"
                problems.add(place, "missing_sheet", sheet, ", ".join(book.sheet_names), advice)
                return None
            rows = book.get_sheet_by_name(sheet or book.sheet_names[0]).to_python(skip_empty_area=False)
    except (calamine.CalamineError, OSError) as error:
        problems.add(place, "unreadable", error, "Excel .xlsx/.xls", "用 Excel 打开后另存 (open and save it again)")
        return None
    return [[cell_text(cell) for cell in row] for row in rows]


def other_sheets(path: Path, sheet: str) -> dict[str, list[list[str]]]:
    """Return the first rows of every sheet that is not read, hidden ones too, by name."""
    import python_calamine as calamine

    try:
        with calamine.load_workbook(str(path)) as book:
            read = sheet or book.sheet_names[0]
            rest = [name for name in book.sheet_names if name != read]
            tops = {name: book.get_sheet_by_name(name).to_python(skip_empty_area=False, nrows=200) for name in rest}
    except (calamine.CalamineError, OSError):
        return {}
    return {name: [[cell_text(cell) for cell in row] for row in rows] for name, rows in tops.items()}


def _sound_package(path: Path, place: str, problems: Problems) -> bool:
    """Check an .xlsx before it is unpacked: its size, and cells far from all others."""
    if not zipfile.is_zipfile(path):
        return True  # an .xls, or no workbook at all: the reader says so
    before = len(problems)
    with zipfile.ZipFile(path) as package:
        size = sum(member.file_size for member in package.infolist())
        if size > MOST_BYTES or (size > FROM_BYTES and size > MOST_PACKED * path.stat().st_size):
            unpacked = f"解压后 {size / 2**20:.0f} MB,原文件 {path.stat().st_size / 2**20:.1f} MB (unpacked)"
            advice = "用 Excel 打开,只留数据表后另存 (keep the data sheet only and save it again)"
            problems.add(place, "oversized", unpacked, f"<= {MOST_BYTES / 2**30:.0f} GB", advice)
            return False
        for member in package.infolist():
            if member.filename.startswith("xl/worksheets/sheet") and (cell := _stray_cell(package.read(member))):
                advice = "删去该单元格所在的行和列后另存 (delete its row and column, then save)"
                problems.add(
                    f"{place}: {cell}", "stray_cell", "远离数据的单元格 (far from every other)", "连续的表", advice
                )
    return len(problems) == before


def _stray_cell(sheet: bytes) -> str:
    """Return the address of a cell so far out that reading up to it would fill memory; "" where there is none."""
    if wide := _WIDE.search(sheet):
        return f"{wide.group(1).decode()}{wide.group(2).decode()}"
    last = sheet.rfind(b"<row ")
    number = re.match(rb'<row [^>]*?r="(\d+)"', sheet[last : last + 400]) if last >= 0 else None
    if number is None:
        return ""
    row, rows = int(number.group(1)), sheet.count(b"<row ")
    if row <= max(GAP * rows, LEAST_GAP):
        return ""
    cell = _CELL.search(sheet, last)
    return f"{cell.group(1).decode()}{cell.group(2).decode()}" if cell else f"A{row}"


def cell_text(value: object) -> str:
    """Return a cell as text: whole numbers without a point, days without midnight, nothing as ""."""
    if isinstance(value, str):
        return value.strip()
    if value is None or value is pd.NaT or value is pd.NA or (isinstance(value, float) and value != value):
        return ""
    if isinstance(value, bool):
        return str(int(value))
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    if isinstance(value, datetime):
        return value.isoformat(sep=" ", timespec="seconds") if value.time() != value.min.time() else str(value.date())
    if isinstance(value, date):
        return value.isoformat()
    return str(value)
