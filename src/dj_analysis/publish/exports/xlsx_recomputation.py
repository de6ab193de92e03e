"""The sheet 计算过程: our own formulas, by which a reader computes the scores of units again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ...measure.composites.upward import leaf_points, node_points
from ...spec.reasons import NOT_APPLICABLE
from ...spec.tree import Indicator, Node, Tree
from .. import theme
from ..recomputation import tree_of
from ..wording import say
from .xlsx_parts import ReportBook, column_width, printed_number, set_page, write_across, write_string

#: Rows above the units: what is declared of the columns.
PARENT, DIRECTION, LOWEST, HIGHEST, EACH, WEIGHT, LEAST, COUNTED, HEADER = range(3, 12)
FIRST = HEADER + 1
COLUMNS_A_PAGE = 12
_ROWS = ("parent", "direction", "lowest", "highest", "each", "weight", "least", "counted")


@dataclass(frozen=True)
class _Grid:
    """Where everything stands: columns of values of leaves, and of the points of every node, children side by side."""

    tree: Tree
    values: Mapping[str, int]
    points: Mapping[str, int]

    @property
    def end(self) -> int:
        """The column after the points."""
        return 1 + len(self.values) + len(self.points)


def fill_recomputation_sheet(book: ReportBook, sheet: Any, content: Mapping[str, Any], contents: str) -> None:
    """Fill the sheet; cells keep our results too, for readers that do not compute."""
    language, tree = book.language, tree_of(dict(content))
    grid = _grid_of(tree)
    sheet.set_column(0, 0, column_width(content["units"], least=18))
    sheet.set_column(1, grid.end + 1, 11)
    bold = book.format(bold=True, font_size=14, text_wrap=True)
    write_across(sheet, 0, 9, 100, f"{say(language, 'sheet_recompute')}　{content['period']}", bold, 22)
    how = say(language, "recompute_how", absent=say(language, "not_applicable"))
    write_across(sheet, 1, 9, 105, how, book.format(font_color=theme.SMALL_PRINT, text_wrap=True))
    link = book.format(font_color=theme.ACCENT, underline=1)
    sheet.write_url(2, 0, f"internal:'{contents}'!A1", link, say(language, "sheet_back"))
    _write_declarations(book, sheet, grid)
    results = _results(tree, content)
    for number, unit in enumerate(content["units"]):
        values = dict(zip(content["leaves"], content["values"][number], strict=True))
        told = {code: float(points[number]) for code, points in results.items()}
        _write_unit(book, sheet, grid, FIRST + number, str(unit), values, told, str(content["printed"][number]))
    sheet.freeze_panes(FIRST, 1)
    pages_wide = -(-(grid.end + 2) // COLUMNS_A_PAGE)
    set_page(book, sheet, landscape=True, header_row=HEADER, pages_wide=pages_wide)


def _grid_of(tree: Tree) -> _Grid:
    """Place the children of each node side by side, the deepest first and the top last."""
    ordered = [child for node in tree.inner for child in tree.children(node.code)]
    leaves = {leaf.code for leaf in tree.leaves}
    values = {node.code: 1 + place for place, node in enumerate(node for node in ordered if node.code in leaves)}
    first = 1 + len(values)
    points = {node.code: first + place for place, node in enumerate([*ordered, tree[tree.top]])}
    return _Grid(tree, values, points)


def _results(tree: Tree, content: Mapping[str, Any]) -> dict[str, np.ndarray]:
    """Our own points of every node, by the functions that scored the report."""
    columns = (
        dict(zip(content["leaves"], zip(*content["values"], strict=True), strict=True)) if content["values"] else {}
    )
    numbers = {code: np.array([_number(cell) for cell in cells]) for code, cells in columns.items()}
    exempt = {code: np.array([cell == NOT_APPLICABLE for cell in cells]) for code, cells in columns.items()}
    leaves = {leaf.code: leaf_points(leaf, numbers[leaf.code]) for leaf in tree.leaves if leaf.code in numbers}
    return node_points(tree, leaves, exempt) if leaves else {}


def _number(cell: Any) -> float:
    return float(cell) if isinstance(cell, (int, float)) else float("nan")


def _write_declarations(book: ReportBook, sheet: Any, grid: _Grid) -> None:
    language, tree = book.language, grid.tree
    plain = book.format(align="right", text_wrap=True, font_color=theme.SMALL_PRINT)
    head = book.format(bold=True, top=2, bottom=1, text_wrap=True, bg_color="#EEF2F6")
    for row, name in enumerate(_ROWS, start=PARENT):
        write_string(sheet, row, 0, say(language, f"recompute_{name}"), book.format(bold=True))
    write_string(sheet, HEADER, 0, say(language, "recompute_unit"), head)
    sheet.set_row(HEADER, 66)
    sheet.set_row(PARENT, 33)
    for code, column in grid.values.items():
        leaf = tree[code]
        numbers = ((DIRECTION, leaf.direction), (LOWEST, leaf.minimum), (HIGHEST, leaf.maximum), (EACH, _each(leaf)))
        _write_numbers(sheet, column, numbers, plain)
        write_string(sheet, PARENT, column, say(language, "recompute_value"), plain)
        write_string(sheet, HEADER, column, leaf.label(language), head)
    for code, column in grid.points.items():
        node = tree[code]
        least = float(tree.least(node)) if tree.children(code) else float("nan")
        weights = ((WEIGHT, node.weight), (LEAST, least), (COUNTED, 0 if _kind(node) in ("bonus", "veto") else 1))
        _write_numbers(sheet, column, weights, plain)
        above = tree[node.parent].label(language) if node.parent in tree else "—"
        write_string(sheet, PARENT, column, above, plain)
        write_string(sheet, HEADER, column, f"{node.label(language)} {say(language, 'recompute_points')}", head)
    for place, name in enumerate(("printed", "check")):
        write_string(sheet, HEADER, grid.end + place, say(language, f"recompute_{name}"), head)


def _write_numbers(sheet: Any, column: int, numbers: Sequence[tuple[int, float]], form: Any) -> None:
    for row, number in numbers:
        if number == number:
            sheet.write_number(row, column, number, form)


def _each(node: Node) -> float:
    return node.points_each if isinstance(node, Indicator) else float("nan")


def _kind(node: Node) -> str:
    return node.kind if isinstance(node, Indicator) else ""


def _write_unit(
    book: ReportBook, sheet: Any, grid: _Grid, row: int, unit: str, values: Mapping[str, Any], results: Mapping[str, float], printed: str
) -> None:  # fmt: skip
    language, number = book.language, book.format(align="right", num_format="0.00##", bottom=4)
    absent = say(language, "not_applicable")
    write_string(sheet, row, 0, unit, book.format(bottom=4, text_wrap=True))
    for code, column in grid.values.items():
        cell = values.get(code)
        if isinstance(cell, float):
            sheet.write_number(row, column, cell, book.format(align="right", bottom=4, num_format="0.0##"))
        else:
            write_string(sheet, row, column, absent if cell == NOT_APPLICABLE else "—", number)
    for code, column in grid.points.items():
        node, result = grid.tree[code], results.get(code, float("nan"))
        formula = _node_formula(grid, node, row, absent) if grid.tree.children(code) else _leaf_formula(grid, node, row)
        sheet.write_formula(row, column, formula, number, result if result == result else "—")
    told = printed_number(printed)
    if told is None:
        write_string(sheet, row, grid.end, printed, number)
    else:
        sheet.write_number(row, grid.end, told[0], book.format(align="right", num_format="0.0", bottom=4))
    yes, no = say(language, "recompute_same"), say(language, "recompute_other")
    total, ours = _at(row, grid.points[grid.tree.top]), _at(row, grid.end)
    same = (
        f"IF(AND(ISNUMBER({total}),ISNUMBER({ours})),ABS({total}-{ours})<=0.0500001,ISNUMBER({total})=ISNUMBER({ours}))"
    )
    top = results.get(grid.tree.top, float("nan"))
    agrees = abs(top - told[0]) <= 0.0500001 if told is not None and top == top else (told is None) == (top != top)
    sheet.write_formula(row, grid.end + 1, f'=IF({same},"{yes}","{no}")', number, yes if agrees else no)


def _at(row: int, column: int, *, fixed: bool = False) -> str:
    from xlsxwriter.utility import xl_rowcol_to_cell

    return str(xl_rowcol_to_cell(row, column, row_abs=fixed))


def _leaf_formula(grid: _Grid, leaf: Node, row: int) -> str:
    """Points of a leaf, as ``leaf_points`` computes them; a text stays as it is."""
    column = grid.values[leaf.code]
    value, kind = _at(row, column), _kind(leaf)
    share = f"MIN(1,MAX(0,{_at(EACH, column, fixed=True)}*{value}/{_at(WEIGHT, grid.points[leaf.code], fixed=True)}))"
    low, high = _at(LOWEST, column, fixed=True), _at(HIGHEST, column, fixed=True)
    up = f"IF({_at(DIRECTION, column, fixed=True)}=1,{value}-{low},{high}-{value})"
    points = {
        "deduct": f"100*(1-{share})", "bonus": f"100*{share}", "veto": f"IF({value}>0,0,100)", "": f"100*{up}/({high}-{low})",
    }[kind]  # fmt: skip
    return f"=IF(ISNUMBER({value}),{points},{value})"


def _node_formula(grid: _Grid, node: Node, row: int, absent: str) -> str:
    """Points of a node from those of its children, as ``node_points`` averages them; not applicable where all are."""
    children = grid.tree.children(node.code)
    places = [grid.points[child.code] for child in children]
    parts, weights, counted = (
        f"{_at(line, places[0], fixed=line < FIRST)}:{_at(line, places[-1], fixed=line < FIRST)}"
        for line in (row, WEIGHT, COUNTED)
    )
    there, none = f"--ISNUMBER({parts})", f'COUNTIF({parts},"{absent}")'
    name = node.aggregator if isinstance(node, Indicator) and node.aggregator else "arithmetic"
    if name == "points":
        inner = _sheet_formula(node, children, places, row, parts, weights, counted, absent)
    else:
        weight = f"SUMPRODUCT({weights},{there})"
        mean = _mean_formula(name, places, row, parts, weights, weight)
        enough = f"COUNT({parts})+{none}>={_at(LEAST, grid.points[node.code], fixed=True)}"
        inner = f'IF(AND({enough},{weight}>0),{mean},"—")'
    return f'=IF({none}={len(children)},"{absent}",{inner})'


def _mean_formula(name: str, places: Sequence[int], row: int, parts: str, weights: str, weight: str) -> str:
    cells = [(_at(row, place), _at(WEIGHT, place, fixed=True)) for place in places]
    if name == "arithmetic":
        return "(" + "+".join(f"N({cell})*{w}" for cell, w in cells) + f")/{weight}"
    zero = f"SUMPRODUCT(--({weights}>0),--ISNUMBER({parts}),--({parts}=0))>0"
    if name == "geometric":
        logs = "+".join(f"IF(ISNUMBER({cell}),{w}*LN(MAX({cell},1E-300)),0)" for cell, w in cells)
        return f"IF({zero},0,EXP(({logs})/{weight}))"
    inverse = "+".join(f"IF(ISNUMBER({cell}),{w}/MAX({cell},1E-300),0)" for cell, w in cells)
    return f"IF({zero},0,{weight}/({inverse}))"


def _sheet_formula(
    node: Node, children: Sequence[Node], places: Sequence[int], row: int, parts: str, weights: str, counted: str, absent: str
) -> str:  # fmt: skip
    """A points sheet: regular parts in proportion, then bonus and veto; as ``upward._sheet`` adds them up."""
    pairs = list(zip(children, places, strict=True))
    regular = [_term(row, place) for child, place in pairs if _kind(child) not in ("bonus", "veto")]
    bonus = [_term(row, place) for child, place in pairs if _kind(child) == "bonus"]
    vetoes = [_at(row, place) for child, place in pairs if _kind(child) == "veto"]
    possible, whole = f"SUMPRODUCT({weights},{counted},--ISNUMBER({parts}))", f"SUMPRODUCT({weights},{counted})"
    share = node.min_share if node.min_share == node.min_share else 1.0
    applies = f'SUMPRODUCT({counted},--({parts}<>"{absent}"))'
    enough = f"SUMPRODUCT({counted},--ISNUMBER({parts}))>=MAX(1,ROUNDUP({share!r}*{applies}-1E-9,0))"
    earned = "+".join(regular) or "0"
    extra = f"+({'+'.join(bonus)})/{whole}" if bonus else ""
    total = f'IF(AND({enough},{possible}>0),({earned})/{possible}{extra},"—")'
    shut = ",".join(f"AND(ISNUMBER({cell}),{cell}=0)" for cell in vetoes)
    return f"IF(OR({shut}),0,{total})" if vetoes else total


def _term(row: int, place: int) -> str:
    return f"N({_at(row, place)})*{_at(WEIGHT, place, fixed=True)}"
