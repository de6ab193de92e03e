"""Conversion of a table of text cells to checked answers, column by column."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd
import polars as pl

from ...errors import Problems
from ...spec import purpose
from ...spec.codebook import Codebook, Scale
from ...spec.codes import check_categories, derived_codes
from ...spec.consent import Door
from ...spec.platforms import BY_NAME
from ...spec.settings import Source
from ...spec.specification import Specification
from ...spec.tables import (
    Table,
    map_columns,
    named_by_wording,
    numbers,
    once_a_value,
    quoted,
    read_numbers,
    rows_text,
    whole_numbers,
    without_decimals,
)
from ...spec.tree import Node
from ...spec.units import Units
from ..survey import Survey
from . import identifiers, row_consent, wjx
from .linking import PSEUDONYM, Codes, pseudonyms
from .option_columns import chosen_options
from .roles import (
    RESPONDENT,
    SECONDS,
    axes_of,
    check_asked,
    flat_units,
    in_force,
    question_headers,
    renumbered,
    roles_of_names,
)
from .row_consent import CONNECT, CONSENTS, OWN_CODE, Consented


def survey_of_table(
    table: Table,
    spec: Specification,
    period: str,
    asked: Literal["full", "pulse"],
    source: Source,
    problems: Problems,
    *,
    derive_units: bool = False,
    door: Door | None = None,
    file: str | Path = "",
) -> Survey:
    """Build a wave from a table of text cells: match headers, convert options to values, check every column.

    Parameters
    ----------
    door
        What decides who is let in; by default nothing is declared and nobody is linked.
    file
        The file a message tells the user to clean; by default the table's place, where that is a file.
    """
    codebook, units, door = spec.codebook.at(period), spec.units.at(period), door or Door()
    headers = [str(name) for name in table.frame.columns]
    marks = BY_NAME[table.platform].missing if table.platform else ()
    named = identifiers.identifying_names(headers)
    recorded = recorded_headers(headers, source, codebook, units)
    dropped = [name for name in headers if name in identifiers.DROPPED]
    table = _as_declared(replace(table, frame=table.frame.drop(columns=dropped)), codebook, units, source, problems)
    declared = in_force(source.columns, spec.codebook, period)
    columns, unasked = row_consent.without_unasked(renumbered(declared, headers), headers)
    source = replace(source, columns=columns)
    if source.shape == "long":
        mapped = map_columns(table, source, problems)
        codes = sorted(mapped.frame["code"].unique()) if "code" in mapped.frame else []
        named += identifiers.identifying_names(codes)
        recorded |= recorded_headers(codes, Source(), codebook, units)
        table = _answers_wide(mapped)
    else:
        table = map_columns(replace(table, frame=wjx.spread_multiple(table.frame)), source, problems)
    frame = _of_period(table.frame, period)
    roles = roles_of_names([str(name) for name in frame.columns], Source(), codebook, units, table.place, problems)
    free = [c for c in frame.columns if c not in roles.values() and c not in wjx.META]
    roles = row_consent.consent_columns(frame, free) | roles
    frame = _without_marks(frame, marks, roles, codebook, units)
    agreed = row_consent.consented_rows(frame, roles, door)
    frame = agreed.frame
    text_columns = {roles[node.code] for node in codebook.others if node.role == "text" and node.code in roles}
    used = set(roles.values()) - text_columns
    inspected = frame.drop(columns=[c for c in (*text_columns, roles.get(OWN_CODE)) if c in frame])
    cells = identifiers.identifying_cells(inspected, mapped=used)
    held = {c: (content, source.columns.get(c, c) if source.shape != "long" else "") for c, content in cells.items()}
    held = {c: (content, header if header in headers else "") for c, (content, header) in held.items()}
    identifiers.drop_notice(
        table.place,
        named,
        held,
        recorded,
        problems,
        file=identifiers.shown_path(file) if isinstance(file, Path) else file,
    )
    # A cell with an identifier is not looked at again: another message would print it.
    readable = {code: header for code, header in roles.items() if header not in cells}
    typed = _typed(table, frame, readable, spec, codebook, units, problems)
    notices = [
        *table.notices,
        *_told(table, frame, readable, typed, codebook, units),
        *row_consent.note_consent(table.place, agreed, unasked, door, problems),
    ]
    if OWN_CODE in roles:
        typed[PSEUDONYM], notice = pseudonyms(table.place, _codes(frame, roles, agreed), door, agreed.basis, problems)
        notices += [notice] if notice else []
    check_asked(table.place, roles, codebook, asked, problems)
    _check_repeats(table.place, frame, roles, problems)
    forgotten = [c for c in frame.columns if c not in used and c not in wjx.META and c not in text_columns]
    if dropped:
        notices.append(f"{table.place}: 已丢弃 {', '.join(dropped)} (dropped: they can lead to a person)")
    if forgotten:
        listed = ", ".join(forgotten[:8]) + (" …" if len(forgotten) > 8 else "")
        notices.append(f"{table.place}: 未声明的列已丢弃 {listed} (undeclared columns dropped)")
    if derive_units and "unit" in typed:
        codes_of_units = derived_codes(sorted(set(typed["unit"]) - {""}))
        typed["unit"] = typed["unit"].map(codes_of_units | {"": ""})
        spec = replace(spec, units=flat_units(codes_of_units))
    return Survey(
        pl.from_pandas(typed), spec, period, codebook.forms(asked),
        axes=axes_of(typed.columns, codebook, spec.units),
        weight=codebook.weight if codebook.weight in typed else None,
        team=codebook.team if codebook.team in typed else None,
        notices=tuple(notices), refused=agreed.refused, consent=agreed.basis, consents=agreed.counts,
    )  # fmt: skip


def recorded_headers(headers: Collection[str], source: Source, codebook: Codebook, units: Units) -> dict[str, str]:
    """Return the headers of columns with records about people (R9), with the purpose of each.

    A column that is declared to hold units may be called location: that is where people work, not where they are.
    """
    purposes = purpose.records(headers, asked=question_headers(headers, codebook))
    places = {source.columns.get(name, name) for name in ("unit", *units.trees)}
    places |= {header for name in ("unit", *units.trees) for header in source.join.get(name, [])}
    return {header: tag for header, tag in purposes.items() if not (tag == "location" and header in places)}


def _answers_wide(table: Table) -> Table:
    """Reshape long answers (respondent, code, value) to one row per person."""
    frame = table.frame
    ids = [c for c in frame.columns if c not in ("code", "value")]
    same = [c for c in ids if c == RESPONDENT or frame.groupby(RESPONDENT)[c].nunique().max() == 1]
    wide = frame.pivot(index=RESPONDENT, columns="code", values="value").fillna("")
    first = frame.drop_duplicates(RESPONDENT).set_index(RESPONDENT)[[c for c in same if c != RESPONDENT]]
    return replace(table, frame=first.join(wide).reset_index())


def _of_period(frame: pd.DataFrame, period: str) -> pd.DataFrame:
    return frame[frame["period"] == period].drop(columns="period") if "period" in frame.columns else frame


def _codes(frame: pd.DataFrame, roles: Mapping[str, str], agreed: Consented) -> Codes:
    """Return self-chosen codes and consent to linking, row by row."""
    yes = agreed.yes.get(CONNECT, ())
    linkable = frame[roles[CONNECT]].isin(yes).tolist() if CONNECT in roles else [False] * len(frame)
    return Codes(frame[roles[OWN_CODE]].tolist(), linkable, [int(row) for row in frame.index])


def _as_declared(table: Table, codebook: Codebook, units: Units, source: Source, problems: Problems) -> Table:
    """Name columns by their wording where the file holds it and their short name is not declared."""
    declared = {node.code for node in (*codebook.tree, *codebook.others)} | set(source.columns.values())
    declared |= {header for headers in source.join.values() for header in headers}
    return named_by_wording(table, keep=declared | {"unit", RESPONDENT, "period", *CONSENTS, OWN_CODE, *units.trees})


def _without_marks(
    frame: pd.DataFrame, marks: Collection[str], roles: Mapping[str, str], codebook: Codebook, units: Units
) -> pd.DataFrame:
    """Empty the cells in which a platform marks questions skipped, save where the mark is declared as an answer."""
    nodes = {node.code: node for node in (*codebook.tree, *codebook.others)}
    declared: dict[str, set[str]] = {}
    for code, header in roles.items():
        node = nodes.get(code)
        scale = codebook.scales.get(node.scale) if node is not None else None
        answers = set(scale.values) if scale is not None else set()
        if node is not None and node.role in ("item", "check", "outcome"):
            answers |= {mark for mark in marks if _within(mark, node)}
        elif code in ("unit", *units.trees[1:]):
            answers |= set(units.names)
        declared[header] = answers
    if not marks:
        return frame
    missing = {name: [mark for mark in marks if mark not in declared.get(name, ())] for name in frame.columns}
    marked = {name: cells.isin(missing[name]) for name, cells in frame.items()}
    columns = {name: cells.mask(marked[name], "") if marked[name].any() else cells for name, cells in frame.items()}
    return pd.DataFrame(columns, index=frame.index)


def _within(mark: str, node: Node) -> bool:
    """Tell whether a mark is a number of the declared range, and so an answer."""
    try:
        return node.minimum <= float(mark) <= node.maximum
    except ValueError:
        return False


def _told(
    table: Table,
    frame: pd.DataFrame,
    roles: Mapping[str, str],
    typed: pd.DataFrame,
    codebook: Codebook,
    units: Units,
) -> list[str]:
    """Return notices of what was read in a way one might not expect."""
    notices: list[str] = []
    place = table.place
    texts = {node.code for node in codebook.groups} | {"unit", *units.trees[1:]}
    for code in (code for code in roles if code in texts and code in typed):
        answers = typed[code][typed[code].isin(wjx.NO_ANSWER)]
        if len(answers):
            said = "、".join(dict.fromkeys(answers))
            notices.append(f"{place}: {code} 中的 {said} 按答案读入 (read as answers) {rows_text(answers.index)}")
    if "unit" in typed and (typed["unit"] == "").any():
        empty = typed.index[typed["unit"] == ""]
        notices.append(f"{place}: 没有单位的答卷 (sheets without a unit) {rows_text(empty)}")
    unscaled = [
        f"{code} {'、'.join(f'{number}={label}' for label, number in list(table.codes[header].items())[:5])}"
        for code, header in roles.items()
        if header in table.codes and code in codebook.tree and codebook.tree[code].scale not in codebook.scales
    ]
    if unscaled:
        told = "没有声明 scale，值标签未用，按数字读入 (value labels not used: no scale is declared)"
        notices.append(f"{place}: {told} {'；'.join(unscaled[:3])}" + (" …" if len(unscaled) > 3 else ""))
    if SECONDS in roles:
        cells = frame[roles[SECONDS]]
        unread = cells[(cells.str.strip() != "") & typed[SECONDS].isna()]
        if len(unread):
            shown = quoted(unread)
            notices.append(f"{place}: {roles[SECONDS]} 读不懂 (duration not read) {shown} ({rows_text(unread.index)})")
    return notices


def _typed(
    table: Table,
    frame: pd.DataFrame,
    roles: Mapping[str, str],
    spec: Specification,
    codebook: Codebook,
    units: Units,
    problems: Problems,
) -> pd.DataFrame:
    """Convert text cells to values, column by column; free text is never read."""
    typed: dict[str, Any] = {}
    place = table.place
    others = {node.code: node for node in codebook.others}
    for code, header in roles.items():
        if code in (*CONSENTS, OWN_CODE):
            continue
        cells, where = frame[header], f"{place}: {code}" + (f" ({header})" if header != code else "")
        if code in codebook.tree or (code in others and others[code].role == "check"):
            node = codebook.tree[code] if code in codebook.tree else others[code]
            cells = _by_label(cells, table, header, codebook.scales.get(node.scale), where, problems)
            typed[code] = _item(cells, node, codebook.scales, where, problems)
        elif code in others and others[code].role == "group":
            typed[code] = _group(cells, codebook.scales.get(others[code].scale))
            check_categories(where, typed[code].unique(), problems)
        elif code in others and others[code].role == "team":
            typed[code] = _group(cells, codebook.scales.get(others[code].scale))
        elif code in others and others[code].role == "weight":
            typed[code] = _weights(cells, where, problems)
        elif code in ("unit", *units.trees[1:]):
            tree = units.trees[0] if code == "unit" else code
            _check_merged(cells, where, problems)
            typed[code] = _units(cells, units, tree, where, problems) if spec.units.rows else whole_numbers(cells)
        elif code == SECONDS:
            typed[code] = wjx.seconds(cells)
        elif code == RESPONDENT:
            typed[code] = whole_numbers(cells)
    typed |= chosen_options(frame, roles, codebook, place, problems)
    return pd.DataFrame(typed, index=frame.index)


def _by_label(
    cells: pd.Series, table: Table, header: str, scale: Scale | None, where: str, problems: Problems
) -> pd.Series:
    """Return cells as the file's own option labels say, where it has any, and as their numbers else.

    Labels that are wordings of the declared scale decide. Other labels must not contradict it: a number that the file and
    the scale name differently is a problem. Without a scale the numbers are read.
    """
    codes, partly = table.codes.get(header), table.partly.get(header)
    if codes is None and partly is None:
        return cells
    label_of = dict(partly) if partly is not None else {code: label for label, code in (codes or {}).items()}
    if scale is None:
        return cells if codes is None else cells.replace(dict(codes))
    worded_options = {label for option in scale.options for label in (option.label_zh, option.label_en) if label}
    used = {code: label for code, label in label_of.items() if (label if codes else code) in set(cells)}
    if codes is not None and set(used.values()) <= worded_options:
        return cells
    by_number = {option.code: {option.label_zh, option.label_en} - {""} for option in scale.options}
    contradictions = [
        f"{code}={label}" for code, label in used.items() if by_number.get(code) and label not in by_number[code]
    ]
    if contradictions:
        allowed = "、".join(f"{option.code}={option.label_zh or option.label_en}" for option in scale.options)
        advice = "改正 scales 表或文件的值标签 (correct scales or the file's value labels)"
        problems.add(where, "label_contradiction", "、".join(contradictions[:5]), allowed, advice)
    return cells if codes is None else cells.replace(dict(codes))


def _item(cells: pd.Series, node: Node, scales: Mapping[str, Scale], where: str, problems: Problems) -> pd.Series:
    scale = scales.get(node.scale)
    plain = dict(scale.values.items()) if scale is not None else {}

    def read(texts: list[str]) -> np.ndarray:
        written = [without_decimals(text) for text in texts]
        return np.array([plain.get(*one) for one in zip(written, read_numbers(written), strict=True)], dtype=float)

    answers = once_a_value(cells, read)
    values, without_value = answers.to_numpy(), cells[answers.isna()]
    known = {"", *plain, *wjx.NO_ANSWER}
    strange = [text for text in without_value.unique().tolist() if without_decimals(text) not in known]
    if strange:
        unread = whole_numbers(without_value[without_value.isin(strange)])
        shown = quoted(unread, scale.values if scale else ())
        allowed = "、".join(scale.values) if scale else "数 (number)"
        advice = "改正答案，或在 scales 表补上该选项 (correct it, or add the option to scales)"
        problems.add(where, "text_in_number", f"{shown} ({rows_text(unread.index)})", allowed, advice)
    beyond = (values < node.minimum) | (values > node.maximum)
    if beyond.any():
        outside = answers[beyond]
        shown = "、".join(dict.fromkeys(f"{value:g}" for value in outside.head(3)))
        bad_values = f"{shown} ({rows_text(outside.index)})"
        advice = "改正答案或量表 (correct the answer or the range)"
        problems.add(where, "out_of_range", bad_values, f"{node.minimum:g}–{node.maximum:g}", advice)
    given = np.abs(values[~np.isnan(values)])
    return answers.astype("Int16") if len(given) and given.max() < 2**15 and (given % 1 == 0).all() else answers


def _group(cells: pd.Series, scale: Scale | None) -> pd.Series:
    text = whole_numbers(cells)
    if scale is None:
        return text
    return text.replace({option.code: option.label_zh or option.code for option in scale.options})


def _weights(cells: pd.Series, where: str, problems: Problems) -> pd.Series:
    values = numbers(cells)
    bad = values.isna() | (values < 0)
    if bad.any():
        bad_weights = f"{cells[bad].iloc[0] or '(空)'} ({rows_text(cells.index[bad])})"
        problems.add(where, "weights", bad_weights, ">= 0 的数", "改正权重 (correct the weight)")
    elif not values.sum() > 0:
        problems.add(where, "zero_weights", "权重之和为 0", "权重之和 > 0", "改正权重 (correct the weights)")
    return values


def _units(cells: pd.Series, units: Units, tree: str, where: str, problems: Problems) -> pd.Series:
    text = whole_numbers(cells)
    different = [name for name in text.unique().tolist() if name]
    unit_codes = units.resolve(different, tree)
    strange = [name for name in different if name not in unit_codes]
    if any(name in wjx.NO_ANSWER for name in strange):
        text = text.mask(text.isin([name for name in strange if name in wjx.NO_ANSWER]), "")
        strange = [name for name in strange if name not in wjx.NO_ANSWER]
    ambiguous = [name for name in strange if units.ambiguous(name)]
    if ambiguous:
        shared = text[text.isin(ambiguous)]
        name = str(shared.iloc[0])
        allowed = f"{'、'.join(units.ambiguous(name))} 之一"
        advice = "写代码，或给单位不同的名称 (write the code, or give them different names)"
        problems.add(where, "ambiguous_unit", f"{name} ({rows_text(shared.index)})", allowed, advice)
        text = text.mask(text.isin(ambiguous), "")
        strange = [name for name in strange if name not in ambiguous]
    if strange:
        unknown_units = text[text.isin(strange)]
        shown = quoted(unknown_units, units.names)
        advice = "改正单位名称，或在 units 表补上别名及有效期 (correct it, or add it to units)"
        problems.add(
            where, "unknown_unit", f"{shown} ({rows_text(unknown_units.index)})", "units 表中的代码、名称、别名", advice
        )
    return once_a_value(text, lambda names: pd.array([unit_codes.get(name, "") for name in names], dtype="str"))


def _check_merged(text: pd.Series, where: str, problems: Problems) -> None:
    """Note a column in which every unit stands once over blank cells: merged cells whose extent the file does not tell."""
    filled = text != ""
    if (
        len(text) >= 6
        and filled.iloc[0]
        and 2 * (~filled).sum() > len(text)
        and text[filled].is_unique
        and filled.sum() > 1
    ):
        value = (
            f"{int(filled.sum())} 个单位各只一行，其余 {int((~filled).sum())} 行为空 (one row a unit, the rest blank)"
        )
        advice = "取消合并单元格并逐行填写单位 (unmerge the cells and write the unit in every row)"
        problems.add(where, "merged_cells", value, "每行一个单位 (a unit in every row)", advice)


def _check_repeats(place: str, frame: pd.DataFrame, roles: Mapping[str, str], problems: Problems) -> None:
    for name in (roles.get(RESPONDENT), wjx.NUMBER):
        if name is None or name not in frame:
            continue
        filled = frame[name][frame[name].str.strip() != ""]
        repeated = filled[filled.duplicated(keep="first")]
        if len(repeated):
            # A pseudonym is not repeated in a message: the row says where to look.
            repeats = f"{len(repeated)} 份重复 ({rows_text(repeated.index)})"
            problems.add(
                f"{place}: {name}",
                "duplicate_respondent",
                repeats,
                "每人一行",
                "删去重复的答卷 (keep one row a person)",
            )
