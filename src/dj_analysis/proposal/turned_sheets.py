"""Sheets with a row an indicator and a column a unit, turned to a row a unit."""

from __future__ import annotations

from dataclasses import dataclass

from ..spec.headers import is_remark, stands_for_all
from ..spec.workbooks import Sheet
from .header_words import ASPECT, ITEM, KIND, MEASURE, MOST_ABOVE, NO_INDICATOR, PERIOD, ROW_OF, VALUE, tight
from .indicator_cells import read_cell

#: Header that the column of units gets.
UNITS_OF_TURNED = "单位"


@dataclass(frozen=True)
class TurnedSheet:
    """A turned sheet, the row its header had, and which rows and columns it was made of, in their order."""

    sheet: Sheet
    top: int
    rows: tuple[int, ...]
    columns: tuple[int, ...]
    told: str = ""

    def cell(self, row: int, column: int) -> tuple[int, int]:
        """Return the row and column in the file of a cell of the turned sheet."""
        return self.rows[column], self.columns[row]


def turned(sheet: Sheet) -> TurnedSheet | None:
    """Turn a sheet whose indicators stand below each other under 指标; None where they do not.

    Such a sheet has a column of indicators (words below the header), no column of values, and a column of numbers for each
    unit. A measure in a column 单位 goes into the brackets of the indicator.
    """
    width = max(map(len, sheet.rows), default=0)
    rows = [[*row, *[""] * (width - len(row))] for row in sheet.rows]
    for top, row in enumerate(rows[:MOST_ABOVE]):
        names = {j: tight(cell) for j, cell in enumerate(row) if cell}
        items = [j for j, name in names.items() if ITEM.fullmatch(name)]
        if len(items) != 1 or any(VALUE.fullmatch(name) or PERIOD.fullmatch(name) for name in names.values()):
            continue
        if (found := _turned(sheet, rows, top, items[0], names)) is not None:
            return found
    return None


def _turned(sheet: Sheet, rows: list[list[str]], top: int, item: int, names: dict[int, str]) -> TurnedSheet | None:
    below = [i for i in range(top + 1, len(rows)) if rows[i][item] and not stands_for_all(rows[i][item])]
    below = [i for i in below if not is_remark(rows[i][item]) and sum(map(bool, rows[i])) > 1]
    words = [i for i in below if read_cell(rows[i][item]).kind == "unreadable"]
    if len(below) < 2 or len(words) < len(below):
        return None
    measures = [j for j, name in names.items() if name == "单位" and all(_is_measure(rows[i][j]) for i in below)]
    aspects = [j for j, name in names.items() if ASPECT.fullmatch(name) or KIND.fullmatch(name) or name == "类别"]
    about = [j for j, name in names.items() if any(word.fullmatch(name) for word in ROW_OF.values())]
    others = {item, *measures, *aspects, *about}
    lost = [j for j, name in names.items() if j not in others and NO_INDICATOR.fullmatch(name)]
    units = [j for j in names if j not in others and j not in lost]
    if not units or not any(read_cell(rows[i][j]).kind in ("number", "percent") for i in below for j in units):
        return None
    cells = {(i, j): rows[i][j] for i in (top, *below) for j in range(len(rows[top]))}
    for i in below:
        for j in measures:
            cells[i, item] += f"({cells[i, j]})" if cells[i, j] else ""
    for j in aspects:
        before = ""
        for i in below:  # an aspect written or merged once holds for the rows below it
            before = cells[i, j] = cells[i, j] or before
        cells[top, j] = ""
    cells[top, item] = UNITS_OF_TURNED
    columns = (*aspects, item, *about, *units)
    kept = (top, *below)
    grid = [[cells[i, j] for i in kept] for j in columns]
    told = f";未读 (left out): {'、'.join(names[j] for j in lost)}" if lost else ""
    return TurnedSheet(Sheet(sheet.name, grid, (), sheet.notices), top, kept, columns, told)


def _is_measure(text: str) -> bool:
    return not text or bool(MEASURE.fullmatch(tight(text)))
