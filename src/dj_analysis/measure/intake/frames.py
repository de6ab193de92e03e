"""Conversion of any dataframe to checked answers without loading its rows into memory."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import narwhals.stable.v2 as nw
import pandas as pd
import polars as pl

from ...errors import Problems
from ...spec.codebook import Codebook, Scale
from ...spec.codes import ODD_CATEGORY, check_categories, derived_codes
from ...spec.consent import Door
from ...spec.platforms import UNFINISHED, finished_column, leading_columns, left_out_notice, platform_of
from ...spec.settings import Source
from ...spec.specification import Specification
from ...spec.tables import Table, as_text, quoted, responses_of
from ...spec.tree import Node
from ...spec.units import Units
from ..engines import collected, on_spark, wrapped_frame
from ..survey import Survey
from . import identifiers, row_consent, wjx
from .conversion import recorded_headers, survey_of_table
from .linking import PSEUDONYM, Codes, permission, pseudonyms
from .roles import RESPONDENT, SECONDS, axes_of, check_asked, flat_units, in_force, roles_of_names
from .row_consent import CONNECT, CONSENTS, OWN_CODE, Consented

_PSEUDONYM_COLUMN = "__pseudonym"  # temporary column of pseudonyms, until undeclared columns are dropped


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
    door: Door | None = None,
    file: str | Path = "",
) -> Survey:
    """Build a wave from any dataframe without loading its rows into memory.

    Answers as numbers stay where they are, on whatever engine; a frame in memory whose answers are text takes the way of
    a file, with all its checks.
    """
    codebook, units, door = spec.codebook.at(period), spec.units, door or Door()
    given = wrapped_frame(frame, place)
    no_answers = wjx.no_answers(given.collect_schema().names())
    wrapped, told = _submitted(given, place)
    schema = wrapped.collect_schema()
    headers = schema.names()
    columns, unasked = row_consent.without_unasked(in_force(source.columns, spec.codebook, period), headers)
    roles = roles_of_names(headers, replace(source, columns=columns), codebook, units, place, problems)
    if isinstance(wrapped, nw.DataFrame) and _answers_are_text(schema, roles, codebook):
        table = responses_of(Table(as_text(given.to_pandas()), place), problems)
        problems.raise_if_any()
        assert table is not None, "a table without rows is a problem"
        return survey_of_table(
            table, spec, period, asked, source, problems, derive_units=derive_units, door=door, file=file
        )
    if source.join or source.recode or set(source.constant) - {"period"}:
        advice = "这些设置只用于文本表 (these settings serve text tables only)"
        problems.add(place, "unsupported", "constant, join, recode", "columns", advice)
    when = source.columns.get("period", "period")
    if when in headers and period and "period" not in source.constant:
        wrapped = _of_period(wrapped, when, period)
    free = [name for name in headers if name not in roles.values() and name not in (when, *wjx.META)]
    roles = row_consent.consent_columns(wrapped, free) | roles
    agreed = row_consent.consented_frame(wrapped, roles, door)
    notices = [*told, *row_consent.note_consent(place, agreed, unasked, door, problems)]
    held = _look_at(agreed.frame, schema, roles, codebook, units, no_answers, place, problems)
    recorded = recorded_headers(headers, source, codebook, units)
    identifiers.drop_notice(place, identifiers.identifying_names(headers), held, recorded, problems, file=file)
    check_asked(place, roles, codebook, asked, problems)
    linked, notice = _linked(agreed, roles, door, place, problems)
    notices += [notice] if notice else []
    chosen = linked.select(*_chosen(schema, roles, codebook, units, no_answers)) if roles else linked
    if derive_units and "unit" in roles:
        names = collected(chosen.select("unit").unique())["unit"].to_list()
        codes = derived_codes(sorted({str(name) for name in names if not pd.isna(name)}))
        for name, code in codes.items():
            if name != code:
                unit = nw.col("unit")
                chosen = chosen.with_columns(nw.when(unit == name).then(nw.lit(code)).otherwise(unit).alias("unit"))
        spec = replace(spec, units=flat_units(codes))
    forgotten = [name for name in headers if name not in (*roles.values(), when)]
    if forgotten:
        notices.append(f"{place}: 未声明的列已丢弃 {', '.join(forgotten[:8])} (undeclared columns dropped)")
    return Survey(
        nw.to_native(chosen), spec, period, codebook.forms(asked), axes=axes_of(roles, codebook, spec.units),
        weight=codebook.weight if codebook.weight in roles else None,
        team=codebook.team if codebook.team in roles else None, notices=tuple(notices),
        refused=agreed.refused, consent=agreed.basis, consents=agreed.counts,
    )  # fmt: skip


def _of_period(wrapped: Any, when: str, period: str) -> Any:
    """Keep the rows of a period.

    Where there are no others, as nearly always, the frame stays as it is: a filter copies what is in memory, and polars reads far
    ahead of one (10M rows in blocks: 740 MB against 320).
    """
    of_period = nw.col(when).cast(nw.String) == period
    if not on_spark(wrapped):
        told = _told(wrapped, {"rows": nw.col(when).len(), "of_period": of_period.cast(nw.Int64).sum()})
        if told["rows"] == told["of_period"]:
            return wrapped
    return wrapped.filter(of_period)


def _submitted(wrapped: Any, place: str) -> tuple[Any, list[str]]:
    """Keep submitted sheets of a platform's export, its leading columns under their common names; tell what went."""
    headers = wrapped.collect_schema().names()
    platform = platform_of(headers)
    if platform is None:
        return wrapped, []
    told, column = [], finished_column(headers, platform)
    if column:
        text = nw.col(column).cast(nw.String).fill_null("").str.to_lowercase()
        kept = wrapped.filter(~text.is_in(UNFINISHED))
        fewer = collected(wrapped.select(nw.len())).item() - collected(kept.select(nw.len())).item()
        wrapped = kept
        if fewer:
            told.append(f"{place}: {platform.name} 未提交的答卷 {fewer} 份未计 (unfinished sheets not counted)")
    common, left_out = leading_columns(headers, platform)
    told += left_out_notice(left_out, platform, place)
    return wrapped.drop(*left_out).rename(common) if common or left_out else wrapped, told


def typed_parquet(path: Path, codebook: Codebook, source: Source, place: str, problems: Problems) -> Any:
    """Scan a Parquet file of numeric answers lazily; None where its answers are text to be parsed, or it is damaged.

    A file with self-chosen codes comes into memory, for each code is hashed on the way in.
    """
    try:
        if not _holds_numbers(path, codebook, source):
            return None
    except (pl.exceptions.PolarsError, OSError):
        return None  # the reader of texts says what is wrong with it
    lazy = pl.scan_parquet(path)
    codes = source.columns.get(OWN_CODE, OWN_CODE)
    return lazy.collect() if codes in lazy.collect_schema() else lazy


def _holds_numbers(path: Path, codebook: Codebook, source: Source) -> bool:
    """Tell whether a Parquet file holds numeric answers that can stay on disk, rather than text to be parsed."""
    schema = pl.scan_parquet(path).collect_schema()
    headers = [source.columns.get(leaf.code, leaf.code) for leaf in codebook.tree.leaves]
    if source.join or source.recode or source.missing or source.shape == "long":
        return False
    return all(schema[h].is_numeric() for h in headers if h in schema) and any(h in schema for h in headers)


def _linked(agreed: Consented, roles: Mapping[str, str], door: Door, place: str, problems: Problems) -> tuple[Any, str]:
    """Add the pseudonyms of self-chosen codes as a column; a table that is not in memory cannot be hashed."""
    frame = agreed.frame
    if OWN_CODE not in roles:
        return frame, ""
    if not isinstance(frame, nw.DataFrame):
        key, notice = permission(place, door, agreed.basis, bool(agreed.counts.get(CONNECT)), problems)
        if key is not None:
            value, advice = (
                "不在内存中的表 (not in memory)",
                f"先读入内存，或去掉 {OWN_CODE} (load it, or leave that out)",
            )
            problems.add(f"{place}: {OWN_CODE}", "unsupported", value, "内存中的表 (a table in memory)", advice)
        return frame.with_columns(nw.lit("").alias(_PSEUDONYM_COLUMN)), notice
    codes = frame.select(
        nw.col(roles[OWN_CODE]).cast(nw.String).alias("code"),
        (nw.col(roles[CONNECT]).cast(nw.String) if CONNECT in roles else nw.lit("")).alias("may"),
    ).to_dict(as_series=False)
    own_codes = ["" if pd.isna(code) else str(code) for code in codes["code"]]
    yes = agreed.yes.get(CONNECT, ())
    links, notice = pseudonyms(
        place,
        Codes(own_codes, [may in yes for may in codes["may"]], list(range(len(own_codes)))),
        door,
        agreed.basis,
        problems,
    )
    column = nw.new_series(_PSEUDONYM_COLUMN, links, nw.String, backend=frame.implementation)
    return frame.with_columns(column), notice


def _answers_are_text(schema: Any, roles: Mapping[str, str], codebook: Codebook) -> bool:
    answers = [
        *(leaf.code for leaf in codebook.tree.leaves),
        *(n.code for n in codebook.others if n.role == "check"),
        SECONDS,
    ]
    return any(not schema[roles[code]].is_numeric() for code in answers if code in roles)


def _chosen(
    schema: Any, roles: Mapping[str, str], codebook: Codebook, units: Units, no_answers: Sequence[str]
) -> list[Any]:
    """Return the columns as they are scored: options as values, numbers of group options as their wording.

    ``no_answers`` holds −2 and −3 in an export of 问卷星, where they mean "skipped" outside the declared range.
    """
    nodes = {node.code: node for node in (*codebook.tree, *codebook.others)}
    columns = []
    for code, header in roles.items():
        if code in CONSENTS:
            continue
        if code == OWN_CODE:
            columns.append(nw.col(_PSEUDONYM_COLUMN).alias(PSEUDONYM))
            continue
        node, values = nodes.get(code), nw.col(header)
        scale = codebook.scales.get(node.scale) if node is not None else None
        if node is not None and node.role == "text":
            continue
        if wjx.WJX_MISSING[0] in no_answers and schema[header].is_numeric():
            values = _unmarked(values, node, scale)
        if node is not None and node.role in ("item", "check"):
            if not schema[header].is_numeric():
                values = _text_values(values, scale, no_answers)
            elif scale is not None:
                values = _recoded(values, scale)
        elif node is not None and node.role in ("group", "team") and scale is not None:
            values = _worded(_as_label(values, schema[header]), scale)
        elif code in (RESPONDENT, "unit", *units.trees[1:]) or (node is not None and node.role in ("group", "team")):
            values = _as_label(values, schema[header]) if schema[header].is_float() else values
        elif code == SECONDS and not schema[header].is_numeric():
            continue
        columns.append(values.alias(code))
    return columns


#: Suffix of the check of a group column's categories.
_ODD = "#category"
#: Suffix of the number of cells long enough for an identifier.
_LONG = "#long"


def _look_at(
    frame: Any,
    schema: Any,
    roles: Mapping[str, str],
    codebook: Codebook,
    units: Units,
    no_answers: Sequence[str],
    place: str,
    problems: Problems,
) -> dict[str, tuple[str, str]]:
    """Check in one pass for repeated respondents, identifiers in cells, unknown option texts.

    Identifiers are returned (code → what was found, header), the others noted.
    """
    held: dict[str, tuple[str, str]] = {}
    asked: dict[str, Any] = {}
    named = [RESPONDENT, "unit", *units.trees[1:], *([codebook.team] if codebook.team else [])]
    for code in (*named, *(node.code for node in codebook.groups)):
        if code in roles:
            if code not in named:
                cells = _cells(roles[code])
                asked[f"{code}{_ODD}"] = nw.when(cells.str.contains(ODD_CATEGORY)).then(cells).max()
            asked[f"{code}{_LONG}"] = _long_enough(roles[code], schema[roles[code]])
    texts = [leaf for leaf in codebook.tree.leaves if leaf.code in roles and not schema[roles[leaf.code]].is_numeric()]
    for leaf in (leaf for leaf in texts if leaf.scale in codebook.scales):
        cells = nw.col(roles[leaf.code])
        allowed_texts = [*codebook.scales[leaf.scale].values, *no_answers, ""]
        asked[f"{leaf.code}:"] = nw.when(~cells.is_in(allowed_texts)).then(cells).max()
    repeated = {}
    if RESPONDENT in roles:
        person, respondents = nw.col(roles[RESPONDENT]), frame.select(roles[RESPONDENT])
        repeated = {"rows": person.len(), "persons": person.n_unique()}
    if repeated and respondents.implementation.is_polars():
        # By itself: inside a lazy query it takes four times as long and as much memory.
        counted = _told(frame, asked) | _told(collected(respondents, streaming=True), repeated)
    else:
        counted = _told(frame, asked | repeated)
    long = [code for code in roles if counted.pop(f"{code}{_LONG}", 0)]
    counted |= _told(
        frame,
        {
            f"{code}:{name}": _cells(roles[code]).str.contains(pattern).cast(nw.Int64).sum()
            for code in long
            for name, pattern in identifiers.PATTERNS.items()
        },
    )
    for what, value in counted.items():
        code, _, kind = what.partition(":")
        if what.endswith(_ODD):
            check_categories(f"{place}: {what.removesuffix(_ODD)}", [str(value)] if value is not None else [], problems)
            continue
        if kind and value:
            before = f"{held[code][0]}、" if code in held else ""
            held[code] = (f"{before}{kind} {value} 行/rows", roles[code])
        elif ":" in what and not kind and value is not None:
            allowed = "、".join(codebook.scales[codebook.tree[code].scale].values)
            advice = "改正答案，或在 scales 表补上该选项 (correct it, or add the option to scales)"
            quoted_text = quoted(pd.Series([str(value)]), codebook.scales[codebook.tree[code].scale].values)
            problems.add(f"{place}: {code}", "text_in_number", quoted_text, allowed, advice)
    if RESPONDENT in roles and counted["rows"] != counted["persons"]:
        repeats = f"{counted['rows'] - counted['persons']} 行"
        problems.add(place, "duplicate_respondent", repeats, "每人一行", "删去重复的答卷 (keep one row a person)")
    return held


def _told(frame: Any, asked: Mapping[str, Any]) -> dict[str, Any]:
    """Return the values of expressions over all rows, taken in one pass and, where the engine can, block by block."""
    if not asked:
        return {}
    columns = [expression.alias(f"_{i}") for i, expression in enumerate(asked.values())]
    row = collected(frame.select(*columns), streaming=True).to_dict(as_series=False)
    return {what: row[f"_{i}"][0] for i, what in enumerate(asked)}


def _cells(header: str) -> Any:
    return nw.col(header).cast(nw.String).fill_null("")


def _long_enough(header: str, kind: Any) -> Any:
    """Count the cells that are long enough for a number of a phone or an identity card, or hold the sign of an address.

    Only where there are any is it worth to look for patterns in every cell, which takes ten times as long.
    """
    if kind.is_integer():
        long = nw.col(header).cast(nw.Float64).abs() >= identifiers.LEAST_NUMBER
    else:
        cells = _cells(header)
        long = (cells.str.len_chars() >= len(str(identifiers.LEAST_NUMBER))) | cells.str.contains("@", literal=True)
    return long.cast(nw.Int64).sum()


def _text_values(values: Any, scale: Scale | None, no_answers: Sequence[str]) -> Any:
    """Convert option texts to values on any engine; without a scale the engine casts text to numbers."""
    if scale is None:
        return nw.when(~values.is_in(["", *no_answers])).then(values).cast(nw.Float64)
    converted = nw.lit(None, dtype=nw.Float64)
    for text, value in scale.values.items():
        if value == value:
            converted = nw.when(values == text).then(nw.lit(float(value))).otherwise(converted)
    return converted


def _worded(values: Any, scale: Scale) -> Any:
    """Convert option numbers to wordings, where the option has one."""
    for option in scale.options:
        if option.label_zh:
            values = nw.when(values == option.code).then(nw.lit(option.label_zh)).otherwise(values)
    return values


def _as_label(values: Any, kind: Any) -> Any:
    """Write numbers that stand for units or groups as text, whole ones without a point (1.0 → ``1``)."""
    if not kind.is_float():
        return values.cast(nw.String)
    there = ~(values.is_null() | values.is_nan())
    whole = there & (values == values.round(0)) & (values.abs() < 2**53)
    number = nw.when(whole).then(values).otherwise(nw.lit(0.0)).cast(nw.Int64).cast(nw.String)
    return nw.when(whole).then(number).otherwise(nw.when(there).then(values.cast(nw.String)))


def _unmarked(values: Any, node: Node | None, scale: Scale | None) -> Any:
    """Empty 问卷星's marks of skipped questions, save numbers that are declared as answers."""
    declared = set(scale.values) if scale is not None else set()
    marks = [mark for mark in (-2, -3) if str(mark) not in declared]
    if node is not None and node.role in ("item", "check"):
        marks = [mark for mark in marks if not node.minimum <= mark <= node.maximum]
    return nw.when(~values.is_in(marks)).then(values)


def _recoded(values: Any, scale: Scale) -> Any:
    """Convert option numbers to values, where they differ."""
    by_code = {option.code: option.value for option in scale.options}
    moved = {code: value for code, value in by_code.items() if value != float(code or "nan")}
    for code, value in moved.items():
        new = nw.lit(None, dtype=nw.Float64) if value != value else nw.lit(float(value))
        values = nw.when(values == float(code)).then(new).otherwise(values)
    return values
