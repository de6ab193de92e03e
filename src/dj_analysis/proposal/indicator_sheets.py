"""One sheet of an office's indicators as readings: the unit, the indicator, the cell as it was typed."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from ..errors import Problems
from ..spec.headers import is_remark, stands_for_all
from ..spec.sheetparts import column_letters
from ..spec.workbooks import Sheet
from .header_words import (
    ASPECT,
    FINEST,
    ITEM,
    KIND,
    MEASURE,
    MOST_ABOVE,
    NO_INDICATOR,
    PERIOD,
    POINTS,
    ROW_OF,
    UNIT,
    UPPER,
    VALUE,
    half_width,
    tight,
    without_points,
)  # fmt: skip
from .indicator_cells import read_cell
from .turned_sheets import UNITS_OF_TURNED, turned


@dataclass(frozen=True)
class IndicatorColumn:
    """A column of values: the aspect above it, its header, and what rows of the sheet say of it (NaN where they do not)."""

    aspect: str
    header: str
    maximum: float = float("nan")
    weight: float = float("nan")
    target: float = float("nan")
    owner_department: str = ""

    @property
    def key(self) -> tuple[str, str]:
        """Aspect and header without spaces, width and points in brackets."""
        return tight(self.aspect), tight(without_points(self.header))


@dataclass(frozen=True)
class Reading:
    """One cell of values as it was typed, with its unit (and what stands above it), and its period where a column tells it."""

    place: str
    unit: str
    upper: str
    kind: str
    period: str
    column: tuple[str, str]
    text: str


@dataclass(frozen=True)
class ReadSheet:
    """What a sheet holds: its name and titles, columns, readings; what was left out."""

    name: str
    titles: tuple[str, ...]
    columns: tuple[IndicatorColumn, ...]
    readings: tuple[Reading, ...]
    left_out: tuple[str, ...] = ()
    has_period: bool = False


@dataclass
class _Roles:
    """Which column of a sheet is what; ``values`` are those of indicators."""

    unit: int
    upper: int | None = None
    kind: int | None = None
    period: int | None = None
    item: int | None = None
    aspect: int | None = None
    values: dict[int, IndicatorColumn] = field(default_factory=dict)
    left_out: list[str] = field(default_factory=list)


def read_sheet(sheet: Sheet, file: str, unit: str, roles: Mapping[str, str], problems: Problems) -> ReadSheet | None:
    """Read a sheet in either layout: a row a unit and a column an indicator, or a row a value; None where it is no table.

    Parameters
    ----------
    unit
        Header of the column of units, where it is decided.
    roles
        Header → ``none`` (left out) or ``item`` (an indicator whatever its header says).
    """
    place = f"{file} {sheet.name}"
    around = None if unit else turned(sheet)
    given, sheet = sheet, sheet if around is None else around.sheet
    width = max(map(len, sheet.rows), default=0)
    rows = [[*row, *[""] * (width - len(row))] for row in sheet.rows]
    found = _header(rows, sheet, unit if around is None else UNITS_OF_TURNED)
    if found is None:
        return None
    top, bottom, column = found
    titles = tuple(cell for row in given.rows[: top if around is None else around.top] for cell in row if cell)
    paths = _paths(rows, sheet, top, bottom, column)
    chosen = _roles(paths, column, roles)
    _fill_down(rows, sheet, bottom)
    body = range(bottom + 1, len(rows))
    if chosen.item is None:
        _check_twice(place, chosen, problems)
        _drop_texts(chosen, rows, body, roles)

    def address(row: int, column: int) -> str:
        row, column = (row, column) if around is None else around.cell(row, column)
        return f"{place} {column_letters(column + 1)}{row + 1}"

    said, readings, left_out = _readings(address, rows, body, chosen, problems)
    columns = tuple(
        replace(one, **{name: cells[j] for name, cells in said.items() if j in cells})
        for j, one in chosen.values.items()
    )
    if chosen.item is not None:
        columns = tuple({one.key: one for one in (_long_column(rows[i], chosen) for i in body) if one.header}.values())
    if around is not None:
        left_out = [f"一行一项指标的表,已转置 (a row an indicator: turned){around.told}"]
    if chosen.left_out:
        left_out.insert(0, f"不是指标的列 (columns that are no indicators): {'、'.join(chosen.left_out)}")
    return ReadSheet(sheet.name, titles, columns, tuple(readings), tuple(left_out), chosen.period is not None)


def _header(rows: list[list[str]], sheet: Sheet, unit: str) -> tuple[int, int, int] | None:
    """Return the header's first row, its last row, and the column of the unit."""
    for i, row in enumerate(rows[:MOST_ABOVE]):
        named = {j: tight(cell) for j, cell in enumerate(row) if cell}
        candidates = [j for j, cell in named.items() if (cell == tight(unit) if unit else UNIT.fullmatch(cell))]
        candidates = [j for j in candidates if unit or _has_words_below(rows, i, j)]
        beside = max(len(named), sum(map(bool, rows[i + 1])) if i + 1 < len(rows) else 0)
        if not candidates or beside < 2:
            continue
        column = min(candidates, key=lambda j: _fineness(named[j]))
        bottom = max((last[0] for first, last in sheet.merged if first == (i, column)), default=i)
        while bottom + 1 < len(rows) and bottom < i + 3 and _goes_on(rows[bottom + 1], column):
            bottom += 1
        top = i - 1 if i and _stands_above(rows[i - 1], sheet, i - 1, column) else i
        return top, bottom, column
    return None


def _has_words_below(rows: list[list[str]], row: int, column: int) -> bool:
    """Tell whether names stand below a header: 组织 can be an aspect too."""
    kinds = [read_cell(one[column]).kind for one in rows[row + 1 :] if one[column]]
    return 2 * kinds.count("unreadable") > len(kinds) or not kinds


def _fineness(header: str) -> int:
    return next((place for place, word in enumerate(FINEST) if word in header), len(FINEST))


def _goes_on(row: list[str], column: int) -> bool:
    """Tell whether a row still belongs to the header: no unit and no label in it, and words rather than values."""
    labels = [tight(cell) for cell in row[:column] if cell]
    if any(word.fullmatch(label) for word in ROW_OF.values() for label in labels):
        return False
    cells = [cell for cell in row if cell]
    words = [cell for cell in cells if read_cell(cell).kind == "unreadable"]
    return not row[column] and bool(cells) and 2 * len(words) > len(cells) and not any(map(is_remark, cells))


def _stands_above(row: list[str], sheet: Sheet, number: int, column: int) -> bool:
    """Tell whether a row above that of the unit's header names aspects rather than a title or a remark."""
    cells = [cell for j, cell in enumerate(row) if cell and j > column]
    if not cells or any(row[: column + 1]) or any(":" in half_width(cell) for cell in cells):
        return False
    spans = [first for first, last in sheet.merged if first[0] == number and column < first[1] < last[1]]
    return len(cells) > 1 or bool(spans)


def _paths(rows: list[list[str]], sheet: Sheet, top: int, bottom: int, column: int) -> list[list[str]]:
    """Return the different headers above each column, the highest first."""
    header = [list(row) for row in rows[top : bottom + 1]]
    across = set()
    for (first, left), (last, right) in sheet.merged:
        if top <= first <= bottom:
            across |= {first - top} if right > left else set()
            for i in range(first, min(last, bottom) + 1):
                for j in range(left, min(right, len(header[0]) - 1) + 1):
                    header[i - top][j] = rows[first][left]
    for i, row in enumerate(header[:-1]):  # aspects that were written once and not merged
        before = ""
        for j in range(column + 1, len(row)):
            if not row[j] and header[i + 1][j] and i not in across:
                row[j] = before
            before = row[j]
    return [list(dict.fromkeys(" ".join(row[j].split()) for row in header if row[j])) for j in range(len(header[0]))]


def _leaf(path: list[str]) -> tuple[str, str]:
    """Return aspect and header of a path; a measure or points below a header go into its brackets."""
    *above, last = path
    while above and (MEASURE.fullmatch(tight(last)) or POINTS.fullmatch(tight(last))):
        inside = half_width(last).strip("() ")
        last = f"{above.pop()}({inside}{'分' if re.fullmatch(r'[0-9.]+', inside) else ''})"
    return (above[0] if above else ""), "—".join([*above[1:], last])


def _roles(paths: list[list[str]], column: int, decided: Mapping[str, str]) -> _Roles:
    """Return what each column is by its header."""
    roles = _Roles(column)
    decided = {tight(header): role for header, role in decided.items()}
    leaves = {j: _leaf(path) for j, path in enumerate(paths) if path and j != column}
    names = {j: tight(header) for j, (_, header) in leaves.items()}
    items = [j for j, name in names.items() if ITEM.fullmatch(name)]
    numbers = [j for j, name in names.items() if VALUE.fullmatch(name)]
    is_long = len(items) == 1 and len(numbers) == 1
    for j, (aspect, header) in leaves.items():
        name, role = names[j], decided.get(names[j], "")
        if role == "none" or (role != "item" and NO_INDICATOR.fullmatch(re.sub(r"[(].*[)]$", "", name))):
            roles.left_out.append(header)
        elif role != "item" and roles.period is None and PERIOD.fullmatch(name):
            roles.period = j
        elif role != "item" and (UPPER.fullmatch(name) or (UNIT.fullmatch(name) and roles.upper is None)):
            roles.upper = j
        elif role != "item" and KIND.fullmatch(name) and not is_long:
            roles.kind = j
        elif is_long:
            if j in items:
                roles.item = j
            elif j in numbers:
                roles.values[j] = IndicatorColumn("", header)
            elif ASPECT.fullmatch(name) or KIND.fullmatch(name):
                roles.aspect = j
            else:
                roles.left_out.append(header)
        else:
            roles.values[j] = IndicatorColumn(aspect, header)
    return roles


def _check_twice(place: str, roles: _Roles, problems: Problems) -> None:
    seen: set[tuple[str, str]] = set()
    for one in roles.values.values():
        if one.key in seen:
            advice = "改一个列名 (give one of them another header)"
            problems.add(f"{place}: {one.header}", "duplicate_column", one.header, "列名唯一", advice)
        seen.add(one.key)


def _drop_texts(roles: _Roles, rows: list[list[str]], body: range, decided: Mapping[str, str]) -> None:
    """Leave out columns of words: comments, grades, names."""
    for j, one in list(roles.values.items()):
        kinds = [read_cell(rows[i][j]).kind for i in body if rows[i][j] and rows[i][roles.unit]]
        words = kinds.count("unreadable")
        if words * 2 > len(kinds) and decided.get(one.header) != "item":
            roles.left_out.append(f"{one.header}(文字/words)")
            del roles.values[j]


def _fill_down(rows: list[list[str]], sheet: Sheet, bottom: int) -> None:
    """Give every row of cells merged down what they hold."""
    for (first, left), (last, right) in sheet.merged:
        if first > bottom and last > first and left == right and left < len(rows[first]):
            for row in rows[first + 1 : last + 1]:
                row[left] = row[left] or rows[first][left]


def _readings(
    address: Callable[[int, int], str], rows: list[list[str]], body: range, roles: _Roles, problems: Problems
) -> tuple[dict[str, dict[int, Any]], list[Reading], list[str]]:
    """Return what rows say of the columns, the readings, and which rows were left out."""
    said: dict[str, dict[int, Any]] = {"maximum": {}, "weight": {}, "target": {}, "owner_department": {}}
    readings: list[Reading] = []
    totals: list[int] = []
    remarks: list[int] = []
    for i in body:
        row = rows[i]
        filled = [cell for cell in row if cell]
        name = row[roles.unit]
        labels = [cell for cell in row[: roles.unit + 1] if cell]
        if not filled:
            continue
        if any(stands_for_all(cell) for cell in labels):
            totals.append(i + 1)
            continue
        about = next((key for key, word in ROW_OF.items() if any(word.fullmatch(tight(cell)) for cell in labels)), "")
        if about:
            if about == "owner_department":
                said[about] |= {j: row[j] for j in roles.values if row[j]}
            elif about in said:
                cells = {j: read_cell(row[j]) for j in roles.values}
                said[about] |= {j: cell.value for j, cell in cells.items() if cell.kind in ("number", "percent")}
            continue
        valued = [j for j in roles.values if read_cell(row[j]).kind in ("number", "percent")]
        if is_remark(filled[0]) or (not valued and (not name or (len(filled) == 1 and len(row) > 2))):
            remarks.append(i + 1)
            continue
        if not name:
            advice = "填上单位;多个单位共用的先取消合并 (give the unit)"
            problems.add(address(i, roles.unit), "missing_unit", "(空)", "单位名称 (a unit)", advice)
            continue
        cells_of = {
            key: "" if j is None else row[j]
            for key, j in (("upper", roles.upper), ("kind", roles.kind), ("period", roles.period))
        }
        for j, one in roles.values.items():
            column = _long_column(row, roles).key if roles.item is not None else one.key
            readings.append(Reading(address(i, j), name, **cells_of, column=column, text=row[j]))
    left_out = []
    if totals:
        left_out.append(f"第 {'、'.join(map(str, totals))} 行是合计、平均 (rows of totals or means)")
    if remarks:
        left_out.append(f"第 {'、'.join(map(str, remarks))} 行是备注 (remarks)")
    return said, readings, left_out


def _long_column(row: list[str], roles: _Roles) -> IndicatorColumn:
    assert roles.item is not None, "only a long sheet names its indicators in rows"
    return IndicatorColumn("" if roles.aspect is None else row[roles.aspect], row[roles.item])
