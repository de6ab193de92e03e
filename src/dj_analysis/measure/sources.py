"""问卷星, Excel, CSV, Parquet, SPSS, SQL or any dataframe into checked answers; identifiers stop here."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import narwhals.stable.v2 as nw
import pandas as pd
import polars as pl

from ..errors import DataError, DjError, DjWarning, IdentifierError, Problems
from ..spec.codebook import Codebook, Scale
from ..spec.periods import is_period
from ..spec.settings import Source
from ..spec.specification import Specification
from ..spec.tables import Table, as_text, map_columns, numbers, read_text, rows_text, whole_numbers
from ..spec.tree import Node
from ..spec.units import Unit, Units
from . import identifiers, wjx
from .survey import Survey

SECONDS = "seconds"
RESPONDENT = "respondent"


def read_survey(
    source: Any,
    codebook: Codebook,
    units: Units | None = None,
    period: str | None = None,
    columns: Mapping[str, str] | None = None,
    form: Literal["full", "pulse"] | None = None,
) -> Survey:
    """Read one wave of answers and check it.

    Parameters
    ----------
    source
        Path of a 问卷星 export or of a wide table (.csv in UTF-8, GBK or GB18030, .xls, .xlsx, .parquet, .sav), or any
        dataframe: pandas, polars, pyarrow, DuckDB relation, Spark.
    codebook
        The instrument; headers are matched by code, by wording, or as ``columns`` says.
    units
        Unit trees; without them the values of a column ``unit`` are units of one level, and without that column all
        rows belong to the root.
    period
        The wave, e.g. ``2026Q3``; by default the period named by the file name, if it is one; without a
        period every version of the codebook and of the units holds.
    columns
        Code → header, where headers cannot be matched by themselves. Roles too: ``unit``, ``respondent``, a tree's name.
    form
        ``full`` (default) or ``pulse``.

    Returns
    -------
    Survey
        Undeclared columns are dropped with a notice; 来自IP, 来源详情 and 昵称 always are.

    Raises
    ------
    IdentifierError
        A column holds names, ID card or phone numbers, 工号, openid, 政治面貌 and the like.
    DataError
        Everything else that is wrong, in one table.
    """
    problems = Problems()
    spec = Specification(codebook=codebook, units=units or Units(()))
    mapping = Source(columns=dict(columns or {}))
    if isinstance(source, (str, Path)):
        path = Path(source)
        period = period or (path.stem if is_period(path.stem) else "")
        survey = survey_of_file(path, spec, period, form or "full", mapping, problems, derive_units=units is None)
    else:
        survey = survey_of_frame(
            source, spec, period or "", form or "full", mapping, problems, derive_units=units is None
        )
    raise_for(problems)
    assert survey is not None, "a file that cannot be read is a problem"
    for notice in survey.notices:
        warnings.warn(notice, DjWarning, stacklevel=2)
    return survey


def survey_of_file(
    path: Path,
    spec: Specification,
    period: str,
    asked: Literal["full", "pulse"],
    source: Source,
    problems: Problems,
    *,
    place: str = "",
    derive_units: bool = False,
) -> Survey | None:
    """Read a wave from a file; what is wrong goes into ``problems``, and the rest is still read."""
    if path.suffix.lower() == ".parquet" and path.exists() and _holds_numbers(path, spec.codebook.at(period), source):
        frame = pl.scan_parquet(path)
        return survey_of_frame(
            frame, spec, period, asked, source, problems, place=place or path.name, derive_units=derive_units
        )
    table = read_text(path, problems, place=place or path.name, sheet=source.sheet)
    if table is None:
        return None
    return survey_of_table(table, spec, period, asked, source, problems, derive_units=derive_units)


def survey_of_table(
    table: Table,
    spec: Specification,
    period: str,
    asked: Literal["full", "pulse"],
    source: Source,
    problems: Problems,
    *,
    derive_units: bool = False,
) -> Survey:
    """Make a wave of a table of text cells: match headers, turn options into values, check every column."""
    codebook, units = spec.codebook.at(period), spec.units.at(period)
    identifiers.check_names(table.place, table.frame.columns, problems)
    dropped = [name for name in table.frame.columns if name in identifiers.DROPPED]
    table = replace(table, frame=wjx.blank_missing(table.frame.drop(columns=dropped)))
    source = replace(source, columns=_renumbered(source.columns, [str(name) for name in table.frame.columns]))
    if source.shape == "long":
        mapped = map_columns(table, source, problems)
        identifiers.check_names(
            table.place, sorted(mapped.frame["code"].unique()) if "code" in mapped.frame else [], problems
        )
        table = _answers_wide(mapped)
    else:
        table = map_columns(replace(table, frame=wjx.spread_multiple(table.frame)), source, problems)
    frame = _of_period(table.frame, period)
    roles = _roles(frame, codebook, units, table.place, problems)
    text_columns = {roles[node.code] for node in codebook.others if node.role == "text" and node.code in roles}
    used = set(roles.values()) - text_columns
    inspected = frame.drop(columns=[c for c in text_columns if c in frame])
    stopped = identifiers.check_content(table.place, inspected, problems, mapped=used)
    # A cell with an identifier is not looked at again: another message would print it.
    readable = {code: header for code, header in roles.items() if header not in stopped}
    kept = _typed(frame, readable, spec, codebook, units, table.place, problems)
    _check_asked(table.place, roles, codebook, asked, problems)
    _check_repeats(table.place, frame, roles, problems)
    forgotten = [c for c in frame.columns if c not in used and c not in wjx.META and c not in text_columns]
    notices = [*table.notices]
    if dropped:
        notices.append(f"{table.place}: 已丢弃 {', '.join(dropped)} (dropped: they can lead to a person)")
    if forgotten:
        listed = ", ".join(forgotten[:8]) + (" …" if len(forgotten) > 8 else "")
        notices.append(f"{table.place}: 未声明的列已丢弃 {listed} (undeclared columns dropped)")
    if derive_units and "unit" in kept:
        spec = replace(spec, units=_flat_units(sorted(set(kept["unit"]) - {""})))
    return Survey(
        pl.from_pandas(kept), spec, period, codebook.forms(asked),
        axes=_axes(kept.columns, codebook, spec.units), weight=codebook.weight if codebook.weight in kept else None,
        notices=tuple(notices),
    )  # fmt: skip


def survey_of_frame(
    frame: Any,
    spec: Specification,
    period: str,
    asked: Literal["full", "pulse"],
    source: Source,
    problems: Problems,
    *,
    place: str = "dataframe",
    derive_units: bool = False,
) -> Survey:
    """Make a wave of any dataframe without bringing its rows here.

    Answers as numbers stay where they are, on whatever engine; a frame in memory whose answers are text takes the way of
    a file, with all its checks.
    """
    codebook = spec.codebook.at(period)
    wrapped = nw.from_native(frame)
    schema = wrapped.collect_schema()
    identifiers.check_names(place, schema.names(), problems)
    roles = _roles_of_names(schema.names(), source, codebook, spec.units, place, problems)
    if isinstance(wrapped, nw.DataFrame) and _answers_are_text(schema, roles, codebook):
        table = Table(as_text(wrapped.to_pandas()), place)
        return survey_of_table(table, spec, period, asked, source, problems, derive_units=derive_units)
    if source.join or source.recode or set(source.constant) - {"period"}:
        advice = "这些设置只用于文本表 (these settings serve text tables only)"
        problems.add(place, "unsupported", "constant, join, recode", "columns", advice)
    when = source.columns.get("period", "period")
    if when in schema.names() and period and "period" not in source.constant:
        wrapped = wrapped.filter(nw.col(when).cast(nw.String) == period)
    _look_at(wrapped, schema, roles, codebook, spec.units, place, problems)
    _check_asked(place, roles, codebook, asked, problems)
    chosen = wrapped.select(*_chosen(schema, roles, codebook)) if roles else wrapped
    if derive_units and "unit" in roles:
        names = collected(chosen.select("unit").unique())["unit"].to_list()
        spec = replace(spec, units=_flat_units(sorted({str(name) for name in names if not pd.isna(name)})))
    forgotten = [name for name in schema.names() if name not in (*roles.values(), when)]
    notices = (
        (f"{place}: 未声明的列已丢弃 {', '.join(forgotten[:8])} (undeclared columns dropped)",) if forgotten else ()
    )
    return Survey(
        nw.to_native(chosen), spec, period, codebook.forms(asked), axes=_axes(roles, codebook, spec.units),
        weight=codebook.weight if codebook.weight in roles else None, notices=notices,
    )  # fmt: skip


def collected(frame: Any) -> Any:
    """Collect a lazy frame of a few rows."""
    return frame.collect() if isinstance(frame, nw.LazyFrame) else frame


def _answers_are_text(schema: Any, roles: Mapping[str, str], codebook: Codebook) -> bool:
    answers = [
        *(leaf.code for leaf in codebook.tree.leaves),
        *(n.code for n in codebook.others if n.role == "check"),
        SECONDS,
    ]
    return any(not schema[roles[code]].is_numeric() for code in answers if code in roles)


def _chosen(schema: Any, roles: Mapping[str, str], codebook: Codebook) -> list[Any]:
    """Columns as they are scored: options as values, numbers of group options as their wording."""
    nodes = {node.code: node for node in (*codebook.tree, *codebook.others)}
    columns = []
    for code, header in roles.items():
        node, values = nodes.get(code), nw.col(header)
        scale = codebook.scales.get(node.scale) if node is not None else None
        if node is not None and node.role == "text":
            continue
        if node is not None and node.role in ("item", "check"):
            if not schema[header].is_numeric():
                values = _text_values(values, scale)
            elif scale is not None:
                values = _recoded(values, scale)
        elif node is not None and node.role == "group" and scale is not None:
            values = _worded(values.cast(nw.String), scale)
        elif code == SECONDS and not schema[header].is_numeric():
            continue
        columns.append(values.alias(code))
    return columns


def _look_at(
    frame: Any, schema: Any, roles: Mapping[str, str], codebook: Codebook, units: Units, place: str, problems: Problems
) -> None:
    """Count, in one pass, what must not be there: repeated respondents, identifiers in cells, unknown option texts."""
    asked: dict[str, Any] = {}
    for code in (RESPONDENT, "unit", *units.trees[1:], *(node.code for node in codebook.groups)):
        if code in roles:
            cells = nw.col(roles[code]).cast(nw.String).fill_null("")
            for name, pattern in identifiers.PATTERNS.items():
                asked[f"{code}:{name}"] = cells.str.contains(pattern).cast(nw.Int64).sum()
    texts = [leaf for leaf in codebook.tree.leaves if leaf.code in roles and not schema[roles[leaf.code]].is_numeric()]
    for leaf in (leaf for leaf in texts if leaf.scale in codebook.scales):
        cells = nw.col(roles[leaf.code])
        known = [*codebook.scales[leaf.scale].values, *wjx.MISSING, ""]
        asked[f"{leaf.code}:"] = nw.when(~cells.is_in(known)).then(cells).max()
    if RESPONDENT in roles:
        person = nw.col(roles[RESPONDENT])
        asked |= {"rows": person.len(), "persons": person.n_unique()}
    if not asked:
        return
    columns = [expression.alias(f"_{i}") for i, expression in enumerate(asked.values())]
    row = collected(frame.select(*columns)).to_dict(as_series=False)
    counted = {what: row[f"_{i}"][0] for i, what in enumerate(asked)}
    for what, found in counted.items():
        code, _, kind = what.partition(":")
        if kind and found:
            found = f"{kind} {found} 行/rows"
            problems.add(f"{place}: {code}", "identifier_content", found, identifiers.ALLOWED, identifiers.ADVICE)
        elif ":" in what and not kind and found is not None:
            allowed = "、".join(codebook.scales[codebook.tree[code].scale].values)
            advice = "改正答案,或在 scales 表补上该选项 (mend it, or add the option to scales)"
            problems.add(f"{place}: {code}", "text_in_number", found, allowed, advice)
    if RESPONDENT in roles and counted["rows"] != counted["persons"]:
        found = f"{counted['rows'] - counted['persons']} 行"
        problems.add(place, "duplicate_respondent", found, "每人一行", "删去重复的答卷 (keep one row a person)")


def raise_for(problems: Problems) -> None:
    """Raise what was found: an identifier is the graver error."""
    grave = any(problem.rule.startswith("identifier") for problem in problems)
    kind: type[DjError] = IdentifierError if grave else DataError
    problems.raise_if_any(kind)


def _renumbered(columns: Mapping[str, str], names: list[str]) -> dict[str, str]:
    """Find declared headers by their wording where only the question's number changed (a pulse numbers anew)."""
    by_wording: dict[str, list[str]] = {}
    for name in names:
        by_wording.setdefault(wjx.unnumbered(name), []).append(name)
    found = {}
    for code, header in columns.items():
        same = by_wording.get(wjx.unnumbered(header), [])
        found[code] = same[0] if header not in names and len(same) == 1 else header
    return found


def _answers_wide(table: Table) -> Table:
    """Bring answers told one a row (respondent, code, value) to one row a person."""
    frame = table.frame
    ids = [c for c in frame.columns if c not in ("code", "value")]
    same = [c for c in ids if c == RESPONDENT or frame.groupby(RESPONDENT)[c].nunique().max() == 1]
    wide = frame.pivot(index=RESPONDENT, columns="code", values="value").fillna("")
    first = frame.drop_duplicates(RESPONDENT).set_index(RESPONDENT)[[c for c in same if c != RESPONDENT]]
    return replace(table, frame=first.join(wide).reset_index())


def _of_period(frame: pd.DataFrame, period: str) -> pd.DataFrame:
    return frame[frame["period"] == period].drop(columns="period") if "period" in frame.columns else frame


def _roles(frame: pd.DataFrame, codebook: Codebook, units: Units, place: str, problems: Problems) -> dict[str, str]:
    return _roles_of_names([str(name) for name in frame.columns], Source(), codebook, units, place, problems)


def _roles_of_names(
    names: list[str], source: Source, codebook: Codebook, units: Units, place: str, problems: Problems
) -> dict[str, str]:
    """Return code or role → header."""
    roles = {code: header for code, header in source.columns.items() if header in names}
    for header in sorted(set(source.columns.values()) - set(names)):
        advice = "改正 columns (mend the mapping)"
        problems.add(place, "missing_column", header, ", ".join(names[:12]), advice)
    fixed = ["unit", RESPONDENT, *units.trees[1:]]
    roles |= {name: name for name in fixed if name in names and name not in roles}
    wordings = {
        node.code: (node.text_zh, node.text_en, node.label_zh, node.label_en)
        for node in (*codebook.tree.leaves, *codebook.others)
        if node.code not in roles
    }
    free = [name for name in names if name not in roles.values() and name not in wjx.META]
    for code, headers in wjx.match_headers(free, wordings).items():
        exact = [header for header in headers if header == code]
        if len(headers) > 1 and not exact:
            found = " | ".join(headers[:3])
            problems.add(
                f"{place}: {code}", "ambiguous_column", found, "一题一列", "在 columns 中指定 (name it in columns)"
            )
        else:
            roles[code] = exact[0] if exact else headers[0]
    if wjx.DURATION in names:
        roles[SECONDS] = wjx.DURATION
    return roles


def _typed(
    frame: pd.DataFrame,
    roles: Mapping[str, str],
    spec: Specification,
    codebook: Codebook,
    units: Units,
    place: str,
    problems: Problems,
) -> pd.DataFrame:
    """Turn text cells into values, column by column; free text is never read."""
    kept: dict[str, Any] = {}
    others = {node.code: node for node in codebook.others}
    for code, header in roles.items():
        cells, where = frame[header], f"{place}: {code}" + (f" ({header})" if header != code else "")
        if code in codebook.tree:
            kept[code] = _item(cells, codebook.tree[code], codebook.scales, where, problems)
        elif code in others and others[code].role == "check":
            kept[code] = _item(cells, others[code], codebook.scales, where, problems)
        elif code in others and others[code].role == "group":
            kept[code] = _group(cells, codebook.scales.get(others[code].scale))
        elif code in others and others[code].role == "weight":
            kept[code] = _weights(cells, where, problems)
        elif code in ("unit", *units.trees[1:]):
            tree = units.trees[0] if code == "unit" else code
            kept[code] = _units(cells, units, tree, where, problems) if spec.units.rows else whole_numbers(cells)
        elif code == SECONDS:
            kept[code] = wjx.seconds(cells)
        elif code == RESPONDENT:
            kept[code] = whole_numbers(cells)
    return pd.DataFrame(kept, index=frame.index)


def _item(cells: pd.Series, node: Node, scales: Mapping[str, Scale], where: str, problems: Problems) -> pd.Series:
    text = whole_numbers(cells)
    scale = scales.get(node.scale)
    if scale is not None:
        plain = dict(scale.values.items())
        values = text.map(plain).astype("float64")
        read = text.isin(list(plain)) | (text == "")
        values = values.where(read, numbers(text))
    else:
        values, read = numbers(text), text == ""
    unread = text[values.isna() & ~read & (text != "")]
    if len(unread):
        shown = "、".join(dict.fromkeys(unread.head(3)))
        allowed = "、".join(scale.values) if scale else "数 (number)"
        advice = "改正答案,或在 scales 表补上该选项 (mend it, or add the option to scales)"
        problems.add(where, "text_in_number", f"{shown} ({rows_text(unread.index)})", allowed, advice)
    outside = values[(values < node.minimum) | (values > node.maximum)]
    if len(outside):
        shown = "、".join(dict.fromkeys(f"{value:g}" for value in outside.head(3)))
        found = f"{shown} ({rows_text(outside.index)})"
        advice = "改正答案或量表 (mend the answer or the range)"
        problems.add(where, "out_of_range", found, f"{node.minimum:g}–{node.maximum:g}", advice)
    return values.astype("Int16") if (values.dropna() % 1 == 0).all() and values.abs().max() < 2**15 else values


def _group(cells: pd.Series, scale: Scale | None) -> pd.Series:
    text = whole_numbers(cells)
    if scale is None:
        return text
    return text.replace({option.code: option.label_zh or option.code for option in scale.options})


def _weights(cells: pd.Series, where: str, problems: Problems) -> pd.Series:
    values = numbers(cells)
    bad = values.isna() | (values < 0)
    if bad.any():
        found = f"{cells[bad].iloc[0] or '(空)'} ({rows_text(cells.index[bad])})"
        problems.add(where, "weights", found, ">= 0 的数", "改正权重 (mend the weight)")
    elif not values.sum() > 0:
        problems.add(where, "zero_weights", "权重之和为 0", "权重之和 > 0", "改正权重 (mend the weights)")
    return values


def _units(cells: pd.Series, units: Units, tree: str, where: str, problems: Problems) -> pd.Series:
    text = whole_numbers(cells)
    known = units.resolve([name for name in text.unique() if name], tree)
    shared = text[text.map(lambda name: name not in known and bool(units.ambiguous(name)))]
    if len(shared):
        name = str(shared.iloc[0])
        allowed = f"{'、'.join(units.ambiguous(name))} 之一"
        advice = "写代码,或给单位不同的名称 (write the code, or give them different names)"
        problems.add(where, "ambiguous_unit", f"{name} ({rows_text(shared.index)})", allowed, advice)
        text = text.mask(text.isin(shared.unique()), "")
    lost = text[(text != "") & ~text.isin(list(known))]
    if len(lost):
        shown = "、".join(dict.fromkeys(lost.head(3)))
        advice = "改正单位名称,或在 units 表补上别名及有效期 (mend it, or add it to units)"
        problems.add(
            where, "unknown_unit", f"{shown} ({rows_text(lost.index)})", "units 表中的代码、名称、别名", advice
        )
    return text.map(lambda name: known.get(name, ""))


def _check_asked(place: str, roles: Mapping[str, str], codebook: Codebook, asked: str, problems: Problems) -> None:
    """Note the questions this wave should have asked and that no column holds."""
    forms = codebook.forms("full" if asked == "full" else "pulse")
    wanted = {leaf.code: leaf for form in forms for leaf in codebook.tree.in_form(form).leaves}
    for code, leaf in wanted.items():
        if code not in roles:
            found = f"{code} {leaf.text_zh or leaf.label_zh}".strip()
            advice = "补上该题,或在 columns 中指定列名 (add it, or name its header in columns)"
            problems.add(place, "missing_column", found, "每题一列", advice)


def _check_repeats(place: str, frame: pd.DataFrame, roles: Mapping[str, str], problems: Problems) -> None:
    for name in (roles.get(RESPONDENT), wjx.NUMBER):
        if name is None or name not in frame:
            continue
        filled = frame[name][frame[name].str.strip() != ""]
        repeated = filled[filled.duplicated(keep="first")]
        if len(repeated):
            # A pseudonym is not repeated in a message: the row says where to look.
            found = f"{len(repeated)} 份重复 ({rows_text(repeated.index)})"
            problems.add(
                f"{place}: {name}", "duplicate_respondent", found, "每人一行", "删去重复的答卷 (keep one row a person)"
            )


def _axes(columns: Iterable[str], codebook: Codebook, units: Units) -> dict[str, str]:
    """Return axis → column: the first tree's is ``unit``."""
    here = set(columns)
    axes = {units.trees[0]: "unit"} if "unit" in here else {}
    axes |= {tree: tree for tree in units.trees[1:] if tree in here}
    return axes | {node.code: node.code for node in codebook.groups if node.code in here}


def _flat_units(names: list[str]) -> Units:
    return Units(tuple(Unit(name, level="unit", name_zh=name) for name in names))


def _text_values(values: Any, scale: Scale | None) -> Any:
    """Option texts into values on any engine; without a scale text is read as numbers by the engine."""
    if scale is None:
        return nw.when(~values.is_in(["", *wjx.MISSING])).then(values).cast(nw.Float64)
    made = nw.lit(None, dtype=nw.Float64)
    for text, value in scale.values.items():
        if value == value:
            made = nw.when(values == text).then(nw.lit(float(value))).otherwise(made)
    return made


def _worded(values: Any, scale: Scale) -> Any:
    """Option numbers into wordings, where the option has one."""
    for option in scale.options:
        if option.label_zh:
            values = nw.when(values == option.code).then(nw.lit(option.label_zh)).otherwise(values)
    return values


def _recoded(values: Any, scale: Scale) -> Any:
    """Option numbers into values, where they differ."""
    by_code = {option.code: option.value for option in scale.options}
    moved = {code: value for code, value in by_code.items() if value != float(code or "nan")}
    for code, value in moved.items():
        new = nw.lit(None, dtype=nw.Float64) if value != value else nw.lit(float(value))
        values = nw.when(values == float(code)).then(new).otherwise(values)
    return values


def _holds_numbers(path: Path, codebook: Codebook, source: Source) -> bool:
    """Tell whether a Parquet file holds typed answers that can stay on disk, rather than text to be read."""
    schema = pl.scan_parquet(path).collect_schema()
    headers = [source.columns.get(leaf.code, leaf.code) for leaf in codebook.tree.leaves]
    if source.join or source.recode or source.missing or source.shape == "long":
        return False
    return all(schema[h].is_numeric() for h in headers if h in schema) and any(h in schema for h in headers)
