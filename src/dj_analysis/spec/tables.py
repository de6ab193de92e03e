"""Import of tables from files or databases as frames of text, checked against their schema."""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from ..errors import DjError, Problems, nearest_names
from ..file_access import is_lock, open_books, open_notice, refusal
from .expected import check_expected
from .filekinds import WORKBOOKS, file_kind, note_kind
from .grid import many_rows
from .headers import Headed, check_columns, with_header, without_totals
from .periods import ALLOWED, bound, is_period
from .plain_tables import read_plain
from .platforms import exported
from .schemas import Schema
from .settings import Settings, Source
from .statfiles import as_text as as_text
from .statfiles import read_labelled, read_parquet
from .textfiles import delimited_text, records_of
from .workbooks import read_workbook

SUFFIXES = (".csv", ".txt", ".tsv", *WORKBOOKS, ".parquet", ".sav", ".zsav", ".dta")


@dataclass(frozen=True)
class Table:
    """A table as text: every cell a string, an empty one ``""``; the index is the row number less two.

    Attributes
    ----------
    reasons
        For tables read with declared missing marks, why a cell is missing.
    platform
        Name of the survey platform whose export this is, ``""`` for another table.
    left_out
        Leading columns of the platform that are no questions.
    wordings
        Header → wording of the question, where the file holds both (SPSS, Stata, Qualtrics).
    codes
        Header → label → code, of columns whose option numbers the file labels; their cells are the labels.
    partly
        Header → code → label, of columns only some of whose numbers have a label; their cells are the numbers.
    """

    frame: pd.DataFrame
    place: str
    notices: tuple[str, ...] = ()
    reasons: pd.DataFrame | None = None
    platform: str = ""
    left_out: tuple[str, ...] = ()
    wordings: Mapping[str, str] = field(default_factory=dict)
    codes: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    partly: Mapping[str, Mapping[str, str]] = field(default_factory=dict)


def find_file(folder: Path, stem: str) -> Path | None:
    """Return the file of this stem in the folder, whatever its kind."""
    return next((path for suffix in SUFFIXES if (path := folder / f"{stem}{suffix}").exists()), None)


def load_table(
    settings: Settings,
    name: str,
    schema: Schema,
    problems: Problems,
    path: Path | None = None,
    seen: Callable[[Table], None] | None = None,
) -> Table | None:
    """Read one table of a workspace, its own or a foreign one; None where there is none or it cannot be read.

    ``seen`` is shown the table as it stands, before foreign columns get our names or are dropped. What ``[expect]`` declares
    of the table is checked here, so that it holds for every table that is read.
    """
    table = _load(settings, name, schema, problems, path, seen)
    declared = [one for one in settings.expected if one.table == name]
    absent = name not in settings.tables and path is None and find_file(settings.folder, name) is None
    if declared and (table is not None or absent):  # why a file that is there cannot be read was noted
        plain = table.frame.apply(whole_numbers) if table is not None else None
        check_expected(declared, plain, table.place if table is not None else name, problems)
    return table


def _load(
    settings: Settings,
    name: str,
    schema: Schema,
    problems: Problems,
    path: Path | None,
    seen: Callable[[Table], None] | None,
) -> Table | None:
    source = settings.tables.get(name)
    if source is None:
        path = path or find_file(settings.folder, name)
        table = read_text(path, problems, place=_relative(settings, path)) if path else None
        if table is not None and seen is not None:
            seen(table)
        return conform(table, schema, problems) if table else None
    table = read_source(settings, name, problems)
    if table is None:
        return None
    if seen is not None:
        seen(table)
    declared = _declared(source) | set(schema.names)
    forgotten = [str(header) for header in table.frame.columns if header not in declared]
    if forgotten:
        listed = ", ".join(" ".join(header.split()) for header in forgotten[:8]) + (" …" if len(forgotten) > 8 else "")
        notice = f"{table.place}: 未声明的列已丢弃 {listed} (undeclared columns dropped)"
        table = replace(table, notices=(*table.notices, notice))
    to_ours = to_long if schema.name == "indicator_values" else _mapped
    return conform(to_ours(table, source, schema, problems), schema, problems)


def _mapped(table: Table, source: Source, schema: Schema, problems: Problems) -> Table:
    return map_columns(table, source, problems)


def _declared(source: Source) -> set[str]:
    """Return the headers named in a foreign table's declaration."""
    return set(source.columns.values()) | {header for headers in source.join.values() for header in headers}


def read_source(settings: Settings, name: str, problems: Problems) -> Table | None:
    """Read the foreign table ``[tables.name]`` unchanged, from a declared folder or a database."""
    source, place = settings.tables[name], f"workspace.toml [tables.{name}]"
    if source.sql:
        return _read_sql(source, name, problems)
    path = settings.folder / source.path
    if not settings.inside(path):
        advice = "在 [roots] 中声明该文件夹 (declare its folder in [roots])"
        problems.add(f"{place} path", "outside_roots", source.path, "workspace, [roots]", advice)
        return None
    if not source.path or not path.exists():
        advice = "改正路径 (correct the path)"
        problems.add(f"{place} path", "missing_file", source.path or "(空)", "path 或 sql", advice)
        return None
    read = read_responses if name == "responses" else read_text
    return read(path, problems, place=path.name, sheet=source.sheet)


def read_responses(path: Path, problems: Problems, *, place: str = "", sheet: str = "") -> Table | None:
    """Read a file of answers as text, one row an answered sheet.

    As :func:`read_text`; besides, leading columns of a survey platform get their common names, sheets never submitted and
    rows of totals are left out, and all of it is told in ``notices``.
    """
    table = read_text(path, problems, place=place, sheet=sheet)
    if table is None:
        return None
    if path.name in open_books(path.parent):
        table = replace(table, notices=(open_notice(table.place), *table.notices))
    return responses_of(table, problems)


def responses_of(table: Table, problems: Problems) -> Table | None:
    """Keep what people answered: see :func:`read_responses`; None where nobody submitted a sheet."""
    frame, totals = without_totals(table.frame, table.place)
    export = exported(frame, table.place)
    if export.frame.empty:
        advice = "导出已提交的答卷 (export submitted sheets)"
        problems.add(table.place, "no_rows", f"{len(frame)} 份均未提交 (none was submitted)", "至少一份", advice)
        return None
    notices = (*table.notices, *totals, *export.notices)
    return replace(table, frame=export.frame, notices=notices, platform=export.platform, left_out=export.left_out)


def named_by_wording(table: Table, keep: Collection[str] = ()) -> Table:
    """Name columns by the wording of their question where the file holds it, save those in ``keep``."""
    taken = {str(name) for name in table.frame.columns}
    names: dict[str, str] = {}
    for header, wording in table.wordings.items():
        if header in taken and header not in keep and wording not in taken and wording not in names.values():
            names[header] = wording
    rest = {header: wording for header, wording in table.wordings.items() if header not in names}
    return replace(
        table,
        frame=table.frame.rename(columns=names),
        wordings=rest,
        codes={names.get(header, header): labels for header, labels in table.codes.items()},
        partly={names.get(header, header): labels for header, labels in table.partly.items()},
    )


def read_text(path: Path, problems: Problems, *, place: str = "", sheet: str = "") -> Table | None:
    """Read a text, Excel, Parquet, SPSS or Stata file as text; what is wrong with the file goes into ``problems``."""
    place = place or path.name
    if is_lock(path):
        found = "打开文件时的标记文件,不是数据 (it marks a file as open, and holds no data)"
        problems.add(place, "lock_file", found, path.name[2:], "改正文件名 (correct the file name)")
        return None
    if not path.exists():
        problems.add(place, "missing_file", path.name, ", ".join(SUFFIXES), "改正文件名 (correct the file name)")
        return None
    if path.is_file() and path.stat().st_size == 0:
        problems.add(place, "empty_file", "0 字节", "表头和数据", "重新导出 (export it again)")
        return None
    try:
        table = _read(path, place, sheet, problems)
    except OSError as error:
        rule, found, advice = refusal(error)
        problems.add(place, rule, found, "可读的文件 (a readable file)", advice)
        return None
    return table if table is not None and check_columns(table.frame, place, problems) else None


def map_columns(table: Table, source: Source, problems: Problems) -> Table:
    """Map foreign columns to the package's names: constants, joins, renames, recodes, marks of missing values."""
    frame, place, notices = table.frame, table.place, list(table.notices)
    wanted = _declared(source)
    absent = sorted(header for header in wanted if header not in frame.columns)
    for header in absent:
        advice = "在 workspace.toml 改正列名 (correct the header in workspace.toml)"
        problems.add(place, "missing_column", header, nearest_names(header, frame.columns, most=3), advice)
    new = {ours: frame[header] for ours, header in source.columns.items() if header not in absent}
    for ours, headers in source.join.items():
        if not set(headers) & set(absent):
            parts = [whole_numbers(frame[header]) for header in headers]
            joined = parts[0].str.cat(parts[1:], sep="-")
            new[ours] = joined.where(pd.concat([part != "" for part in parts], axis=1).all(axis=1), "")
    for ours, value in source.constant.items():
        new[ours] = pd.Series(str(value), index=frame.index, dtype="str")
    unmapped = [header for header in frame.columns if header not in wanted and header not in new]
    mapped = pd.DataFrame({**new, **{header: frame[header] for header in unmapped}}, index=frame.index)
    for ours, mapping in source.recode.items():
        if ours in mapped.columns:
            mapped[ours] = whole_numbers(mapped[ours]).replace({str(k): str(v) for k, v in mapping.items()})
    reasons = None
    if source.missing:
        marks = {str(mark): reason for mark, reason in source.missing.items()}
        reasons = pd.DataFrame({name: mapped[name].map(marks).fillna("") for name in mapped.columns})
        mapped = mapped.mask(mapped.isin(list(marks)), "")
    named = {header: ours for ours, header in source.columns.items()}
    return replace(
        table, frame=mapped, notices=tuple(notices), reasons=reasons,
        codes={named.get(header, header): labels for header, labels in table.codes.items()},
        partly={named.get(header, header): labels for header, labels in table.partly.items()},
    )  # fmt: skip


def to_long(table: Table, source: Source, schema: Schema, problems: Problems) -> Table:
    """Reshape a foreign table of values to one value per row: unit, period, code, value, reason if missing.

    In a wide table a column declared as ``code@period`` holds the values of one code in one period.
    """
    mapped = map_columns(table, source, problems)
    frame, reasons = mapped.frame, mapped.reasons
    if source.shape != "wide":
        reason = reasons["value"] if reasons is not None and "value" in reasons else ""
        return replace(mapped, frame=frame.assign(reason=reason), reasons=None)
    codes = [name for name in source.columns if name not in schema.names and name in frame.columns]
    ids = [name for name in frame.columns if name in schema.names]
    long = frame[ids + codes].melt(
        id_vars=ids, value_vars=codes, var_name="code", value_name="value", ignore_index=False
    )
    why = pd.Series("", index=long.index, dtype="str")
    if reasons is not None:
        why = pd.concat([reasons[code] for code in codes]) if codes else why
    if any("@" in code for code in codes):
        long[["code", "period"]] = long["code"].str.split("@", n=1, expand=True).to_numpy()
    return Table(long.assign(reason=why.to_numpy()), mapped.place, mapped.notices)


def conform(table: Table, schema: Schema, problems: Problems) -> Table:
    """Check required columns and the kind of every cell; add absent optional columns as empty ones."""
    frame = table.frame.copy()
    if schema.marks and "value" in frame:
        marks = dict(schema.marks)
        text = frame["value"].str.strip()
        if text.isin(list(marks)).any():
            said = text.map(marks).fillna("").astype("str")
            given = frame["reason"] if "reason" in frame else pd.Series("", index=frame.index, dtype="str")
            frame["reason"], frame["value"] = said.where(said != "", given), frame["value"].mask(said != "", "")
    for name in schema.required:
        if name not in frame.columns:
            advice = f"加上 {name} 列 (add the column)"
            problems.add(table.place, "missing_column", name, ", ".join(schema.required), advice)
    absent: list[str] = []
    for column in schema.columns:
        if column.name not in frame.columns:
            absent.append(column.name)
        elif column.kind != "text":
            _check_kind(table.place, frame[column.name], column.kind, column.allowed, problems)
    if absent:
        frame = pd.concat([frame, pd.DataFrame("", index=frame.index, columns=absent, dtype="str")], axis=1)
    if not frame.empty:
        keys = [name for name in schema.key if name in frame.columns]
        repeated = frame.index[frame.duplicated(keys, keep="first")] if keys else []
        if len(repeated):
            duplicates = f"{', '.join(frame.loc[repeated[0], keys].astype(str))} ({rows_text(repeated)})"
            problems.add(
                table.place, "duplicate_row", duplicates, f"{' + '.join(keys)} 唯一", "删去重复行 (drop the copy)"
            )
    return replace(table, frame=frame)


def numbers(values: pd.Series) -> pd.Series:
    """Convert text cells to float64, empty and unreadable cells to NaN."""
    return once_a_value(values, read_numbers)


def read_numbers(texts: Iterable[str]) -> np.ndarray:
    """Return texts as :func:`numbers` reads them."""
    stripped = np.array([text.strip() for text in texts], dtype=object)
    return np.asarray(pd.to_numeric(stripped, errors="coerce"), dtype="float64")


def whole_numbers(values: pd.Series) -> pd.Series:
    """Write whole numbers without their decimals (``1022.0`` → ``1022``) and leave other text alone."""
    text = values if values.dtype == "str" else values.astype("str")
    return once_a_value(text, lambda texts: pd.array(list(map(without_decimals, texts)), dtype=text.dtype))


_DECIMALS = re.compile(r"^(-?\d+)\.0+$")


def without_decimals(text: str) -> str:
    """Return a text as :func:`whole_numbers` writes it."""
    stripped = text.strip()
    return _DECIMALS.sub(r"\1", stripped) if stripped.endswith("0") else stripped


def once_a_value(values: pd.Series, function: Callable[[list[str]], Any]) -> pd.Series:
    """Apply a function once to the list of different text cells, because answers repeat a few texts; it returns an array."""
    codes, different = pd.factorize(values.array)
    done = function(different.tolist())
    return pd.Series(pd.api.extensions.take(done, codes, allow_fill=True), index=values.index, name=values.name)


def rows_text(index: Iterable[int], most: int = 3) -> str:
    """Return row numbers as shown in the file, where the header is row 1."""
    rows = [int(i) + 2 for i in index]
    listed = "、".join(str(row) for row in rows[:most])
    return f"第 {listed} 行" + (f" 等共 {len(rows)} 行" if len(rows) > most else "")


def quoted(cells: pd.Series, allowed: Iterable[str] = (), most: int = 3) -> str:
    """Quote invalid cells without disclosing personal content: a unique cell may be a personal number or a comment.

    What stands in several rows is quoted, and what looks like a slip of something allowed and is no long number; of the
    rest the row must do.
    """
    counts, allowed_texts, shown = cells.value_counts(), list(allowed), []
    for value in dict.fromkeys(cells):
        slip = not re.search(r"\d{4}", value) and bool(difflib.get_close_matches(value, allowed_texts, n=1, cutoff=0.6))
        shown += [value if counts[value] > 1 or slip else "(内容不引/not quoted)"]
    return "、".join(dict.fromkeys(shown[:most]))


def _check_kind(place: str, cells: pd.Series, kind: str, allowed: tuple[str, ...], problems: Problems) -> None:
    different = cells.unique().tolist()
    filled = [text for text in different if text.strip()]
    if kind in ("number", "count"):
        values = read_numbers(filled)
        wrong = [text for text, unread in zip(filled, np.isnan(values), strict=True) if unread]
        rule, want, advice = "text_in_number", "数 (number)", "改为数字 (write a number)"
        if kind == "count" and not wrong:
            whole = (values >= 0) & (values == np.floor(values)) & np.isfinite(values)
            wrong = [text for text, one in zip(filled, whole, strict=True) if not one]
            want = "非负整数 (whole number >= 0)"
    elif kind == "date":
        wrong = [text for text in filled if not _is_bound(text)]
        rule, want, advice = "bad_date", f"YYYY-MM-DD 或 {ALLOWED}", "改正日期 (correct the date)"
    elif kind == "period":
        wrong = [text for text in filled if not is_period(text)]
        rule, want, advice = "bad_period", ALLOWED, "改正时期 (correct the period)"
    else:
        wrong = [text for text in different if without_decimals(text) not in allowed]
        rule, want, advice = "choice", ", ".join(a or "(空)" for a in allowed), "改为所列值之一 (use one of these)"
        rule = "direction" if cells.name == "direction" else rule
    if wrong:
        bad = cells[cells.isin(wrong)]
        listed = "、".join(dict.fromkeys(bad.head(3).map(str)))
        problems.add(f"{place}: {cells.name}", rule, f"{listed} ({rows_text(bad.index)})", want, advice)


def _is_bound(text: str) -> bool:
    try:
        bound(text.strip()[:10] if re.match(r"\d{4}-\d{2}-\d{2}", text.strip()) else text.strip(), last=True)
    except (ValueError, DjError):
        return False
    return True


def _read(path: Path, place: str, sheet: str, problems: Problems) -> Table | None:
    """Read a file by what it is, whatever its suffix says."""
    kind = file_kind(path)
    notices = note_kind(path, kind, place, problems)
    if kind in ("sav", "dta"):
        labelled = read_labelled(path, kind, place, problems)
        if labelled is None:
            return None
        return Table(
            labelled.frame, place, (*notices, *labelled.notices),
            wordings=labelled.wordings, codes=labelled.codes, partly=labelled.partly,
        )  # fmt: skip
    if kind == "parquet":
        frame = read_parquet(path, place, problems)
        return None if frame is None else Table(frame, place, notices)
    if kind not in ("workbook", "text"):
        return None
    headed = _headed_text(path, place, problems) if kind == "text" else _headed_sheet(path, place, sheet, problems)
    return None if headed is None else Table(headed.frame, place, (*notices, *headed.notices), wordings=headed.wordings)


def _headed_text(path: Path, place: str, problems: Problems) -> Headed | None:
    before, read = len(problems), delimited_text(path, place, problems)
    if read is None:
        return None
    if (plain := read_plain(read.text, read.separator)) is not None:
        return replace(plain, notices=read.notices)
    with many_rows():
        grid = records_of(read, place, problems)
        return with_header(grid, place, problems) if grid is not None and len(problems) == before else None


def _headed_sheet(path: Path, place: str, sheet: str, problems: Problems) -> Headed | None:
    before = len(problems)
    with many_rows():
        grid = read_workbook(path, place, sheet, problems)
        return with_header(grid, place, problems) if grid is not None and len(problems) == before else None


def _read_sql(source: Source, name: str, problems: Problems) -> Table | None:
    place, variable = f"workspace.toml [tables.{name}] sql", source.sql.get("url_env", "")
    url = os.environ.get(variable, "")
    if not url or not source.sql.get("query"):
        advice = f"设置环境变量 {variable or '…'} 为数据库地址 (set it to the database URL)"
        problems.add(place, "sql", variable or "url_env, query 未声明", "url_env, query", advice)
        return None
    import sqlalchemy

    try:
        engine = sqlalchemy.create_engine(url)
        with engine.connect() as connection:
            frame = pd.read_sql(sqlalchemy.text(source.sql["query"]), connection)
    except (sqlalchemy.exc.SQLAlchemyError, pd.errors.DatabaseError, ImportError) as error:
        # The message of a driver can hold the address with its password: only the kind of error is shown.
        problems.add(place, "sql", type(error).__name__, "可执行的查询", "检查地址和查询 (check address and query)")
        return None
    return Table(as_text(frame), name)


def _relative(settings: Settings, path: Path | None) -> str:
    if path is None:
        return ""
    return path.relative_to(settings.folder).as_posix() if path.is_relative_to(settings.folder) else path.name
