"""Reading of Excel workbooks, with checks for oversized or damaged files."""

from __future__ import annotations

import io
import re
import zipfile
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import pandas as pd

from ..errors import Problems
from .filekinds import BROKEN_PACKAGE
from .grid import Grid
from .sheetparts import look_behind, note_unseen

#: An .xlsx is a packed folder; more than this, unpacked, does not fit into memory as cells.
MOST_BYTES = 4 * 2**30
#: Real sheets shrink to a twentieth; what shrinks to less than this was made to fill a disk.
MOST_PACKED, FROM_BYTES = 200, 100 * 2**20
#: Columns a survey or a table of values can have; Excel's last is XFD, the 16,384th.
MOST_COLUMNS = 4096
#: Rows beyond the last filled one that a sheet may skip, for every row it has and at least.
GAP, LEAST_GAP = 10, 10_000

_CELL = re.compile(rb'<(?:\w+:)?c\b[^>]*?\br="([A-Z]{1,3}\d{1,7})"')
_ROW = re.compile(rb'<row\b[^>]*?\br="(\d+)"')
#: The same where elements may have the prefix of their namespace, which is slower to seek.
_PREFIXED_ROW = re.compile(rb'<(?:\w+:)?row\b[^>]*?\br="(\d+)"')
#: Addresses beyond column FAA, the 4,083rd, or beyond row 1,049,999; Excel has 1,048,576.
_OUTSIDE = re.compile(
    rb'r="(?<=\br=")((?:[A-Z]{4,}|[F-Z][A-Z]{2})\d+|[A-Z]{1,3}(?:\d{8,}|[2-9]\d{6}|1[1-9]\d{5}|10[5-9]\d{4}))"'
)


def read_workbook(path: Path, place: str, sheet: str, problems: Problems) -> Grid | None:
    """Read one sheet of a workbook as text cells, the first visible one where none is named.

    Faults go into ``problems``: a damaged or protected file, formulas without stored results, error values. Merged cells
    of one column are filled down, for there a merged cell says that its value holds for all its rows; what is hidden, and
    which sheets are not read, is told.
    """
    import python_calamine as calamine

    if not _sound_package(path, place, problems):
        return None
    try:
        with _opened(path) as book:
            visible = _visible_sheets(book)
            if sheet and sheet not in book.sheet_names:
                advice = "改正 sheet (correct the sheet name)"
                problems.add(place, "missing_sheet", sheet, ", ".join(book.sheet_names), advice)
                return None
            if not book.sheet_names:
                problems.add(place, "empty_file", "没有工作表 (no sheet)", "表头和数据", "重新导出 (export it again)")
                return None
            name = sheet or (visible or book.sheet_names)[0]
            read = book.get_sheet_by_name(name)
            rows = [_row_text(row) for row in read.to_python(skip_empty_area=False)]
            notices = _merged_filled(rows, read.merged_cell_ranges or [], place)
            notices += _sheets_not_read(book, name, "" if sheet else place)
    except calamine.PasswordError:
        _protected(place, problems)
        return None
    except Exception as error:  # the reader of each kind has errors of its own
        _unreadable(error, place, problems)
        return None
    except BaseException as error:
        if type(error).__name__ != "PanicException":  # how a damaged file can end inside the reader
            raise
        _unreadable(error, place, problems)
        return None
    return Grid(rows, (*notices, *note_unseen(look_behind(path, name), place, problems)))


@dataclass(frozen=True)
class Sheet:
    """One visible sheet as text cells; ``merged``: first and last (row, column) of each range of merged cells, from 0."""

    name: str
    rows: list[list[str]]
    merged: tuple[tuple[tuple[int, int], tuple[int, int]], ...] = ()
    notices: tuple[str, ...] = ()


def read_sheets(path: Path, place: str, problems: Problems) -> list[Sheet]:
    """Read every visible sheet of a workbook that holds cells; hidden ones are told in the notices of the first.

    Faults go into ``problems``, as in :func:`read_workbook`; merged cells are not filled.
    """
    import python_calamine as calamine

    if not _sound_package(path, place, problems):
        return []
    sheets: list[Sheet] = []
    try:
        with _opened(path) as book:
            visible = _visible_sheets(book)
            hidden = [name for name in book.sheet_names if name not in visible]
            told = (f"{place}: 隐藏的工作表未读 (hidden sheets not read) {'、'.join(hidden)}",) if hidden else ()
            for name in visible:
                read = book.get_sheet_by_name(name)
                rows = [_row_text(row) for row in read.to_python(skip_empty_area=False)]
                if any(map(any, rows)):
                    notices = note_unseen(look_behind(path, name), f"{place} {name}", problems)
                    merged = tuple((first, last) for first, last in read.merged_cell_ranges or [])
                    sheets.append(Sheet(name, rows, merged, (*told, *notices)))
                    told = ()
    except calamine.PasswordError:
        _protected(place, problems)
    except Exception as error:  # the reader of each kind has errors of its own
        _unreadable(error, place, problems)
    except BaseException as error:
        if type(error).__name__ != "PanicException":  # how a damaged file can end inside the reader
            raise
        _unreadable(error, place, problems)
    return sheets


def other_sheets(path: Path, sheet: str) -> dict[str, list[list[str]]]:
    """Return the first rows of every sheet that is not read, hidden ones too, by name."""
    import python_calamine as calamine

    try:
        with _opened(path) as book:
            read = sheet or (_visible_sheets(book) or book.sheet_names)[0]
            rest = [name for name in book.sheet_names if name != read]
            tops = {name: book.get_sheet_by_name(name).to_python(skip_empty_area=False, nrows=200) for name in rest}
    except (calamine.CalamineError, OSError):
        return {}
    return {name: [[cell_text(cell) for cell in row] for row in rows] for name, rows in tops.items()}


def _opened(path: Path) -> Any:
    """Open a workbook by what it is, whatever its suffix says."""
    import python_calamine as calamine

    return calamine.load_workbook(io.BytesIO(path.read_bytes()))


def _visible_sheets(book: Any) -> list[str]:
    import python_calamine as calamine

    shown = calamine.SheetVisibleEnum.Visible
    worksheet = calamine.SheetTypeEnum.WorkSheet
    return [one.name for one in book.sheets_metadata if one.visible == shown and one.typ == worksheet]


def _sheets_not_read(book: Any, read: str, place: str) -> tuple[str, ...]:
    """Tell of sheets with cells that are not read, where no sheet was named."""
    if not place:
        return ()
    rest = [name for name in book.sheet_names if name != read]
    filled = [name for name in rest if any(map(any, book.get_sheet_by_name(name).to_python(nrows=50)))]
    hidden = [name for name in filled if name not in _visible_sheets(book)]
    if not filled:
        return ()
    listed = "、".join(f"{name}(隐藏/hidden)" if name in hidden else name for name in filled[:5])
    return (f"{place}: 读入工作表 {read};未读 (sheets not read) {listed}",)


def _merged_filled(rows: list[list[str]], ranges: list[Any], place: str) -> tuple[str, ...]:
    """Fill merged cells of one column down, below the first row; tell what was filled and what was not."""
    filled, across = [], 0
    width = max(map(len, rows), default=0)
    last = max((i for i, row in enumerate(rows) if any(row)), default=-1)
    for (top, left), (bottom, right) in ranges:
        if top >= len(rows) or left >= width or not rows[top][left]:
            continue
        if left != right:
            across += top > 0 and bottom < last and sum(map(bool, rows[top])) > 1
            continue
        if bottom == top:
            continue
        for row in rows[top + 1 : bottom + 1]:
            row[left] = row[left] or rows[top][left]
        filled.append(left + 1)
    notices: tuple[str, ...] = ()
    if filled:
        columns = "、".join(map(str, sorted(set(filled))[:5]))
        notices += (f"{place}: 第 {columns} 列的合并单元格已向下填充 (merged cells filled down) {len(filled)} 处",)
    if across:
        notices += (f"{place}: 跨列合并的单元格只读入第一列 (cells merged across columns: the first only) {across} 处",)
    return notices


def _unreadable(error: BaseException, place: str, problems: Problems) -> None:
    if "password" in str(error).lower() or "encrypt" in str(error).lower():
        _protected(place, problems)
        return
    found = (str(error).splitlines() or [type(error).__name__])[0][:200]
    allowed, advice = "完整的 .xlsx .xls .xlsb .xlsm .ods", "用 Excel 打开后另存 (open and save it again)"
    problems.add(place, "unreadable", found, allowed, advice)


def _protected(place: str, problems: Problems) -> None:
    advice = "在 Excel 中去掉密码后另存 (remove the password in Excel, then save)"
    problems.add(place, "password", "文件有密码 (the file has a password)", "无密码的文件 (no password)", advice)


def _sound_package(path: Path, place: str, problems: Problems) -> bool:
    """Check an .xlsx before it is unpacked: its size, and cells far from all others."""
    if not zipfile.is_zipfile(path):
        with path.open("rb") as file:
            if "EncryptedPackage".encode("utf-16-le") in file.read(2**16):  # how Office stores a protected .xlsx
                _protected(place, problems)
                return False
        return True  # an .xls, or no workbook at all: the reader says so
    before = len(problems)
    try:
        return _sound_parts(path, place, problems) and len(problems) == before
    except BROKEN_PACKAGE as error:
        _unreadable(error, place, problems)
        return False


def _sound_parts(path: Path, place: str, problems: Problems) -> bool:
    """Check the parts of a package: their sizes, their checksums, and cells far from all others."""
    with zipfile.ZipFile(path) as package:
        size = sum(member.file_size for member in package.infolist())
        if size > MOST_BYTES or (size > FROM_BYTES and size > MOST_PACKED * path.stat().st_size):
            unpacked = f"解压后 {size / 2**20:.0f} MB,原文件 {path.stat().st_size / 2**20:.1f} MB (unpacked)"
            advice = "用 Excel 打开,只留数据表后另存 (keep the data sheet only and save it again)"
            problems.add(place, "oversized", unpacked, f"<= {MOST_BYTES / 2**30:.0f} GB", advice)
            return False
        for member in package.infolist():
            if not member.filename.endswith((".xml", ".rels", ".bin")):
                continue
            part = package.read(member)  # reading it compares its checksum
            if member.filename.startswith("xl/worksheets/sheet") and (cell := _stray_cell(part)):
                advice = "删去该单元格所在的行和列后另存 (delete its row and column, then save)"
                problems.add(
                    f"{place}: {cell}", "stray_cell", "远离数据的单元格 (far from every other)", "连续的表", advice
                )
    return True


def _stray_cell(sheet: bytes) -> str:
    """Return the address of a cell so far out that reading up to it would fill memory; "" where there is none."""
    if outside := _OUTSIDE.search(sheet):
        return outside.group(1)[:12].decode()
    pattern = _PREFIXED_ROW if b":row" in sheet else _ROW
    rows = [(int(row.group(1)[:9]), row.start()) for row in pattern.finditer(sheet)]
    last, start = max(rows, default=(0, 0))
    if last <= max(GAP * len(rows), LEAST_GAP):
        return ""
    cell = _CELL.search(sheet, start)
    return cell.group(1).decode() if cell else f"A{last}"


def _row_text(row: list[Any]) -> list[str]:
    """Return the cells of a row as :func:`cell_text` writes them; most are text."""
    return [cell.strip() if type(cell) is str else cell_text(cell) for cell in row]


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
    if isinstance(value, timedelta):
        minutes, seconds = divmod(round(value.total_seconds()), 60)
        return f"{minutes // 60:02d}:{minutes % 60:02d}:{seconds:02d}"
    return str(value)
