"""What a worksheet of an .xlsx file holds that its cells do not show: errors, formulas without result, hidden parts."""

from __future__ import annotations

import re
import zipfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

from ..errors import Problems
from .filekinds import BROKEN_PACKAGE

_REL = "{http://schemas.openxmlformats.org/officeDocument/2006/relationships}id"
_OPEN = re.compile(rb"<(?:\w+:)?c\b([^>]*?)(/?)>")
_CLOSE = re.compile(rb"</(?:\w+:)?c>")
_ADDRESS = re.compile(rb'\br="([A-Z]{1,3}\d{1,7})"')
_FORMULA = re.compile(rb"<(?:\w+:)?f\b")
#: The same without a prefix of its namespace: what begins with letters is sought ten times as fast.
_PLAIN_FORMULA = re.compile(rb"<f\b")
_VALUE = re.compile(rb"<(?:\w+:)?v\b[^>]*>([^<]+)<")
_HIDDEN_ROW = re.compile(rb'<(?:\w+:)?row\b(?=[^>]*\bhidden="(?:1|true)")[^>]*?\br="(\d+)"')
_HIDDEN_COLUMN = re.compile(rb'<(?:\w+:)?col\b(?=[^>]*\bhidden="(?:1|true)")[^>]*>')
#: An error that stands for "no value"; any other means that a value was lost.
NO_VALUE = "#N/A"


@dataclass(frozen=True)
class Unseen:
    """Addresses of cells without a value though one was meant, and numbers of hidden rows and columns."""

    without_result: tuple[str, ...] = ()
    no_value: tuple[str, ...] = ()
    errors: tuple[str, ...] = ()
    rows: tuple[int, ...] = ()
    columns: tuple[str, ...] = ()


def look_behind(path: Path, sheet: str) -> Unseen:
    """Return what a named sheet of an .xlsx or .xlsm holds beside its values; nothing for other kinds."""
    try:
        with zipfile.ZipFile(path) as package:
            part = _part_of(package, sheet)
            return _unseen(package.read(part)) if part else Unseen()
    except (*BROKEN_PACKAGE, ElementTree.ParseError):
        return Unseen()  # the reader has said what is wrong with it, or this kind tells nothing


def note_unseen(unseen: Unseen, place: str, problems: Problems) -> tuple[str, ...]:
    """Note lost values as problems; return notices of what is read or missing without being seen."""
    if unseen.without_result:
        value = f"没有存结果的公式 (formulas without a stored result) {_listed(unseen.without_result)}"
        advice = "用 Excel 打开后保存 (open it in Excel and save it)"
        problems.add(place, "formula_without_result", value, "数值或已计算的公式 (values)", advice)
    if unseen.errors:
        value = f"错误值 (error values) {_listed(unseen.errors)}"
        problems.add(
            place, "error_value", value, "数值或空 (values or empty)", "改正公式或清空 (correct or clear them)"
        )
    notices = []
    if unseen.no_value:
        notices.append(f"{place}: #N/A 按空读入 (read as empty) {_listed(unseen.no_value)}")
    if unseen.rows:
        notices.append(f"{place}: 隐藏的行也已读入 (hidden rows are read) {_listed(map(str, unseen.rows))}")
    if unseen.columns:
        notices.append(f"{place}: 隐藏的列也已读入 (hidden columns are read) {_listed(unseen.columns)}")
    return tuple(notices)


def _part_of(package: zipfile.ZipFile, sheet: str) -> str:
    """Return the part of a workbook that holds the sheet of this name, ``""`` where there is none."""
    names = set(package.namelist())
    if "xl/workbook.xml" not in names or "xl/_rels/workbook.xml.rels" not in names:
        return ""
    sheets = ElementTree.fromstring(package.read("xl/workbook.xml")).iter()
    wanted = next((one.get(_REL) for one in sheets if one.tag.endswith("}sheet") and one.get("name") == sheet), None)
    for relation in ElementTree.fromstring(package.read("xl/_rels/workbook.xml.rels")):
        if wanted is not None and relation.get("Id") == wanted:
            target = (relation.get("Target") or "").lstrip("/")
            part = target if target.startswith("xl/") else f"xl/{target}"
            return part if part in names else ""
    return ""


def _unseen(xml: bytes) -> Unseen:
    without_result: list[str] = []
    no_value: list[str] = []
    errors: list[str] = []
    if _PLAIN_FORMULA.search(xml) or b't="e"' in xml or (b":f" in xml and _FORMULA.search(xml)):
        for cell in _OPEN.finditer(xml):
            inner = b"" if cell.group(2) else xml[cell.end() : _end_of_cell(xml, cell.end())]
            address = _ADDRESS.search(cell.group(1))
            where = address.group(1).decode() if address else "?"
            value = _VALUE.search(inner)
            if b't="e"' in cell.group(1):
                text = value.group(1).decode("utf-8", "replace") if value else ""
                (no_value if text == NO_VALUE else errors).append(f"{where}" if text == NO_VALUE else f"{where} {text}")
            elif value is None and _FORMULA.search(inner) and b't="str"' not in cell.group(1):
                without_result.append(where)
    hidden = tuple(int(row) for row in _HIDDEN_ROW.findall(xml)) if b'hidden="' in xml else ()
    return Unseen(tuple(without_result), tuple(no_value), tuple(errors), hidden, tuple(_hidden_columns(xml)))


def _end_of_cell(xml: bytes, start: int) -> int:
    """Return where the cell that starts here ends: before ``</c>`` or ``</x:c>``."""
    close = _CLOSE.search(xml, start)
    return close.start() if close else len(xml)


def _hidden_columns(xml: bytes) -> list[str]:
    columns: list[str] = []
    for element in _HIDDEN_COLUMN.findall(xml[: xml.find(b"<sheetData")]):
        low, high = (int(re.search(name + rb'="(\d+)"', element).group(1)) for name in (rb"\bmin", rb"\bmax"))  # type: ignore[union-attr]
        columns += [column_letters(number) for number in range(low, min(high, low + 50) + 1)]
    return columns


def column_letters(number: int) -> str:
    """Return the letters of a column, of which A is the first."""
    text = ""
    while number:
        number, rest = divmod(number - 1, 26)
        text = chr(65 + rest) + text
    return text


def _listed(places: Iterable[str], most: int = 5) -> str:
    places = list(places)
    return "、".join(places[:most]) + (f" 等共/in all {len(places)}" if len(places) > most else "")
