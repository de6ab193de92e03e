"""Values of an office's workbook: which period, unit and indicator each reading is of; what is doubtful is noted."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ..errors import Problems
from ..spec.filekinds import file_kind
from ..spec.periods import is_period
from ..spec.textfiles import read_delimited
from ..spec.units import Units
from ..spec.workbooks import Sheet, read_sheets
from .header_words import tight, without_points
from .indicator_cells import Cell, read_cell
from .indicator_sheets import IndicatorColumn, Reading, ReadSheet, read_sheet
from .office_names import doubtful_pairs, plain_name, shown_names
from .sheet_periods import NamedPeriod, named_period

_SUMMARY = ("汇总", "合计", "总表", "全年", "年度", "累计", "总览", "summary", "total")

#: Aspect and header, tight: what an indicator is known by.
Key = tuple[str, str]


@dataclass(frozen=True)
class BookDecisions:
    """What was decided about a workbook of indicators.

    Attributes
    ----------
    year
        Year of sheets named by a month alone.
    period
        Period of the only sheet, where nothing tells it.
    sheets
        Name of a sheet → its period, or ``none``: it is not read.
    unit
        Header of the column of units.
    alias, new_units
        Another spelling → unit; names that are units of their own.
    same
        Header → header of the same indicator.
    roles
        Header → ``item`` (an indicator of its own) or ``none`` (left out).
    lower
        Names or codes of indicators of which less is better: the others of which it is asked are then better the higher.
        None: not decided.
    ranges
        Name or code of an indicator → ``0-100``; ``""`` → the range of all others that are asked.
    """

    year: str = ""
    period: str = ""
    sheets: Mapping[str, str] = field(default_factory=dict)
    unit: str = ""
    alias: Mapping[str, str] = field(default_factory=dict)
    new_units: tuple[str, ...] = ()
    same: Mapping[str, str] = field(default_factory=dict)
    roles: Mapping[str, str] = field(default_factory=dict)
    lower: tuple[str, ...] | None = None
    ranges: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Book:
    """A workbook as read.

    Attributes
    ----------
    columns
        Key → its columns, one a sheet that has it.
    cells
        (plain name of the unit, period, key) → cell.
    names
        Plain name of a unit → the spelling shown; ``uppers`` and ``kinds``: what stands above it, and its type.
    periods
        Sheet → its period, ``""`` where rows tell it.
    notices
        What was left out, filled or taken for granted.
    """

    columns: Mapping[Key, Sequence[IndicatorColumn]]
    cells: Mapping[tuple[str, str, Key], Cell]
    names: Mapping[str, str]
    uppers: Mapping[str, str]
    kinds: Mapping[str, str]
    periods: Mapping[str, str]
    notices: tuple[str, ...]

    def of(self, key: Key) -> list[Cell]:
        """Return every cell of an indicator."""
        return [cell for (_, _, column), cell in self.cells.items() if column == key]

    def periods_of(self, key: Key) -> set[str]:
        """Return the periods in which an indicator was asked."""
        return {period for (_, period, column) in self.cells if column == key}


def read_book(path: Path, decisions: BookDecisions, units: Units, problems: Problems) -> Book:
    """Read every sheet; what cannot be read or is doubtful goes into ``problems``, with the option that decides it."""
    notices: list[str] = []
    sheets = _sheets(path, problems)
    problems.raise_if_any()
    notices += [notice for sheet in sheets for notice in sheet.notices]
    unread = {name for name, period in decisions.sheets.items() if period == "none"}
    tables: list[ReadSheet] = []
    for sheet in sheets:
        table = (
            None if sheet.name in unread else read_sheet(sheet, path.name, decisions.unit, decisions.roles, problems)
        )
        if table is None or not table.readings:
            notices.append(
                f"工作表 {sheet.name} 未读:没有单位和指标的表 (sheet not read: no table of units and indicators)"
            )
        else:
            tables.append(table)
    if not tables:
        advice = "用 --unit '列名' 指定单位列 (name the column of units)"
        allowed = "一列单位、几列指标 (a column of units, columns of indicators)"
        problems.add(path.name, "no_units", "没有认出单位列 (no column of units)", allowed, advice)
        problems.raise_if_any()
    notices += _told_together(tables)
    tables, periods = _with_periods(tables, decisions, path, notices, problems)
    keys = _keys(tables, decisions, periods, problems)
    same_unit = _units(tables, decisions, periods, units, problems)
    cells: dict[tuple[str, str, Key], Cell] = {}
    uppers: dict[str, str] = {}
    kinds: dict[str, str] = {}
    for table in tables:
        year = _year_of_rows(table, decisions, path, notices)
        for reading in table.readings:
            unit, key = same_unit[plain_name(reading.unit)], keys[reading.column]
            period = _row_period(reading, periods[table.name], year, problems)
            uppers[unit] = uppers.get(unit) or reading.upper
            kinds[unit] = kinds.get(unit) or reading.kind
            if not period:  # noted already
                continue
            at = (unit, period, key)
            if at in cells:
                advice = "删去重复 (drop the copy);两张表同期用 --sheet '表名=none' 去掉一张"
                problems.add(reading.place, "duplicate_row", f"{reading.unit} {period}", "单位、时期、指标唯一", advice)
            cells[at] = _cell(reading, problems)
    columns: dict[Key, list[IndicatorColumn]] = {}
    for table in tables:
        for column in table.columns:
            columns.setdefault(keys[column.key], []).append(column)
    _check_percent(columns, cells, path, problems)
    notices += _told_of_words(tables)
    spellings = [reading.unit for table in tables for reading in table.readings]
    shown = shown_names(spellings)
    names = {unit: shown[unit] for unit in dict.fromkeys(same_unit.values()) if unit in shown}
    return Book(columns, cells, names, uppers, kinds, periods, tuple(dict.fromkeys(notices)))


def _sheets(path: Path, problems: Problems) -> list[Sheet]:
    if not path.is_file():
        problems.add(path.name, "missing_file", path.name, ".xlsx .xls .csv …", "改正文件名 (correct the file name)")
        return []
    kind = file_kind(path)
    if kind == "workbook":
        return read_sheets(path, path.name, problems)
    if kind == "text":
        grid = read_delimited(path, path.name, problems)
        return [] if grid is None else [Sheet(path.stem, grid.rows, (), grid.notices)]
    problems.add(path.name, "not_a_workbook", kind, ".xlsx .xls .xlsb .ods .csv", "另存为 .xlsx (save it as .xlsx)")
    return []


def _with_periods(
    tables: list[ReadSheet], decisions: BookDecisions, path: Path, notices: list[str], problems: Problems
) -> tuple[list[ReadSheet], dict[str, str]]:
    """Return the sheets that are read with their periods; a summary beside months is left out."""
    by_name = {table.name: named_period(table.name) for table in tables}
    has_parts = sum(bool(named.part) for named in by_name.values()) > 1
    kept, periods = [], {}
    for table in tables:
        if table.name in decisions.sheets:
            period = decisions.sheets[table.name]
            if not is_period(period):
                problems.add(
                    f"--sheet {table.name}", "bad_period", period, "2026-03, 2026Q1, none", "改正 (correct it)"
                )
        elif has_parts and not by_name[table.name].part and any(word in tight(table.name) for word in _SUMMARY):
            notices.append(f"工作表 {table.name} 未读:汇总表 (sheet not read: a summary of the others)")
            continue
        elif table.has_period:
            period = ""
        else:
            period = _period(table, by_name[table.name], decisions, path, len(tables) == 1, notices, problems)
        kept.append(table)
        periods[table.name] = period
    return kept, periods


def _period(
    table: ReadSheet, named: NamedPeriod, decisions: BookDecisions, path: Path, alone: bool, notices: list[str],
    problems: Problems,
) -> str:  # fmt: skip
    place = f"{path.name} {table.name}"
    titles = [one for one in map(named_period, table.titles) if one.year or one.part]
    if alone and decisions.period:
        return decisions.period
    told = {one.part for one in titles if one.part}
    part = named.part or (next(iter(told)) if len(told) == 1 else "")
    years = {one.year for one in titles if one.year}
    year = named.year or int(decisions.year or 0) or (next(iter(years)) if len(years) == 1 else 0)
    if named.part and told and named.part not in told:
        advice = f"--sheet '{table.name}={year or 2026}{named.part}' (decide its period)"
        problems.add(place, "period_contradiction", f"表名 {table.name},表题 {', '.join(sorted(told))}", "一致", advice)
        return ""
    if not year and (in_file := named_period(path.stem).year):
        year = in_file
        notices.append(f"年份 {year} 取自文件名 (the year was taken from the file's name)")
    if not part and not (named.year or (year and alone)):
        advice = f"--sheet '{table.name}=2026-03' 或 --sheet '{table.name}=none' (give its period, or leave it out)"
        problems.add(place, "no_period", "表名和表题没有时期", "2026-03, 3月", advice)
        return ""
    if not year:
        problems.add(place, "no_year", table.name, "2026年3月", "--year 2026 (give the year)")
        return ""
    return NamedPeriod(year, part).text()


def _year_of_rows(table: ReadSheet, decisions: BookDecisions, path: Path, notices: list[str]) -> int:
    """Return the year of months that rows name alone: as decided, else of the sheet, its titles, or the file; 0 where none tells."""
    told = {named_period(text).year for text in (table.name, *table.titles)} - {0}
    if decisions.year or not table.has_period or len(told) == 1:
        return int(decisions.year or next(iter(told), 0))
    if (year := named_period(path.stem).year) and not told:
        notices.append(f"年份 {year} 取自文件名 (the year was taken from the file's name)")
        return year
    return 0


def _row_period(reading: Reading, of_sheet: str, year: int, problems: Problems) -> str:
    if of_sheet or not reading.period:
        return of_sheet
    named = named_period(
        reading.period if not reading.period.isdigit() or len(reading.period) > 2 else f"{reading.period}月"
    )
    if not named.text(year):
        rule, advice = ("no_year", "--year 2026 (give the year)") if named.part else ("bad_period", "改正 (correct it)")
        problems.add(reading.place.rsplit(" ", 1)[0], rule, reading.period, "2026-03", advice)
    return named.text(year)


def _keys(
    tables: Sequence[ReadSheet], decisions: BookDecisions, periods: Mapping[str, str], problems: Problems
) -> dict[Key, Key]:
    """Return for every column's key that of its indicator: the same header, with or without its aspect, or as decided."""
    aspects: dict[str, set[str]] = {}
    for table in tables:
        for column in table.columns:
            aspects.setdefault(column.key[1], set()).add(column.key[0])
    one_aspect = {header: max(found) for header, found in aspects.items() if len(found - {""}) <= 1}
    as_decided = {
        tight(without_points(header)): tight(without_points(other)) for header, other in decisions.same.items()
    }
    keys = {}
    for table in tables:
        for column in table.columns:
            aspect, header = column.key
            header = as_decided.get(header, header)
            keys[column.key] = (one_aspect.get(header, aspect), header)
    asked: dict[str, set[str]] = {}
    for table in tables:
        asked.setdefault(periods[table.name] or table.name, set()).update(keys[c.key][1] for c in table.columns)
    own = {tight(header) for header, role in decisions.roles.items() if role == "item"}
    for more, less in doubtful_pairs(asked, own):
        advice = f"同一指标: --same '{less}={more}';另一指标: --as '{less}=item' (the same, or an indicator of its own)"
        problems.add(f"指标 {less}", "similar_name", f"{less} / {more}", "同一指标一个名称 (one name)", advice)
    return keys


def _units(
    tables: Sequence[ReadSheet], decisions: BookDecisions, periods: Mapping[str, str], units: Units, problems: Problems
) -> dict[str, str]:
    """Return plain name → plain name of its unit: the same, or as an alias says."""
    alias = {plain_name(spelling): plain_name(unit) for spelling, unit in decisions.alias.items()}
    same: dict[str, str] = {}
    there: dict[str, set[str]] = {}
    for table in tables:
        for reading in table.readings:
            name = plain_name(reading.unit)
            same[name] = alias.get(name, name)
            there.setdefault(periods[table.name] or reading.period, set()).add(same[name])
    known = known_units(units)
    decided = {plain_name(name) for name in decisions.new_units} | set(known)
    for more, less in doubtful_pairs(there, decided):
        advice = f"同一单位: --alias '{less}={more}';两个单位: --new-unit '{less}' (the same unit, or two)"
        problems.add(f"单位 {less}", "similar_name", f"{less} / {more}", "同一单位一个名称 (one name)", advice)
    return same


def known_units(units: Units) -> dict[str, str]:
    """Return plain names and aliases of the units there are, with their codes; names of several units are left out."""
    names: dict[str, set[str]] = {}
    for unit in units.rows:
        for text in (unit.unit, unit.name_zh, unit.name_en, *unit.aliases.split("|")):
            if text:
                names.setdefault(plain_name(text), set()).add(unit.unit)
    return {name: next(iter(codes)) for name, codes in names.items() if len(codes) == 1}


def _cell(reading: Reading, problems: Problems) -> Cell:
    cell = read_cell(reading.text)
    if cell.kind == "unreadable":
        advice = "改为数、/ 或留空;整列不要: --as '列名=none' (a number, / or blank; or leave the column out)"
        problems.add(reading.place, "text_in_number", reading.text[:20], "数,95%,/ (number)", advice)
    return cell


def _check_percent(
    columns: Mapping[Key, Sequence[IndicatorColumn]], cells: Mapping[tuple[str, str, Key], Cell], path: Path,
    problems: Problems,
) -> None:  # fmt: skip
    """Note indicators of which some cells are percentages and others fractions that may be percentages too."""
    for key, (column, *_) in columns.items():
        kinds: dict[str, list[float]] = {"percent": [], "number": []}
        for (_, _, of), cell in cells.items():
            if of == key and cell.kind in kinds:
                kinds[cell.kind].append(cell.value)
        fractions = [value for value in kinds["number"] if 0 < value <= 1]
        if kinds["percent"] and fractions:
            found = f"{len(kinds['percent'])} 格带 %,{len(fractions)} 格不超过 1"
            advice = "统一写法,如 95% (write all of them alike)"
            problems.add(f"{path.name}: {column.header}", "mixed_percent", found, "95% 或 0.95", advice)


def _told_together(tables: Sequence[ReadSheet]) -> list[str]:
    """Tell what was left out, one line for all sheets that left out the same."""
    sheets: dict[str, list[str]] = {}
    for table in tables:
        for said in table.left_out:
            sheets.setdefault(said, []).append(table.name)
    return [
        f"{'、'.join(names[:3])}{f' 等 {len(names)} 张' if len(names) > 3 else ''}: {said}"
        for said, names in sheets.items()
    ]


def _told_of_words(tables: Sequence[ReadSheet]) -> list[str]:
    """Tell of which indicators 无 was read as not applicable: of a count it may have meant 0."""
    said = Counter(r.column[1] for table in tables for r in table.readings if tight(r.text) == "无")
    if not said:
        return []
    listed = "、".join(f"{header} {count}" for header, count in said.items())
    return [f"“无”按不适用读入,如意为 0 请填 0 (无 is read as not applicable; write 0 where none is meant): {listed}"]
