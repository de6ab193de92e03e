"""Import of context events (背景事件): what happened on which day, told beside a series and never tested against it."""

from __future__ import annotations

import hashlib
from datetime import date

import pandas as pd

from ...errors import Problems
from ...result import Result
from ...spec.schemas import CONTEXT
from ...spec.settings import Settings
from ...spec.specification import Specification
from ...spec.tables import Table, load_table, rows_text, whole_numbers
from ...spec.units import ALL
from ..basis import Basis
from .identifiers import ALLOWED as NOBODY
from .identifiers import check_names, identifying_text, shown_path

KEYS = ("period", "date", "level", "unit")
STATISTICS = ("label",)
LONGEST_LABEL = 30  # characters, written beside a mark in a figure


def load_context(settings: Settings, spec: Specification, problems: Problems) -> Result | None:
    """Read context.csv: events an office wrote down, with their day.

    Returns
    -------
    Result
        period (month of the day), date (ISO day), level, unit (``ALL`` where the file names none), label as typed; in order of
        time; about units. None where there is no table or something is wrong with it.
    """

    def seen(raw: Table) -> None:
        source = settings.tables.get(CONTEXT.name)
        path = settings.folder / (source.path if source is not None and source.path else raw.place)
        check_names(raw.place, map(str, raw.frame.columns), problems, file=shown_path(path) if path.is_file() else "")

    before = len(problems)
    table = load_table(settings, CONTEXT.name, CONTEXT, problems, seen=seen)
    if table is None or any(name not in table.frame for name in CONTEXT.required):
        return None
    units = whole_numbers(table.frame["unit"]).replace("", ALL)
    codes = {ALL: ALL, **spec.units.resolve([unit for unit in units.unique() if unit != ALL])}
    days = table.frame["date"].str.strip().str[:10].map(_day)
    labels = table.frame["label"].str.split().str.join(" ")  # printed in one line
    bad = table.frame["date"][days == ""]
    _note(problems, f"{table.place}: date", "bad_date", bad, "YYYY-MM-DD", "写到日 (write the day)")
    _check_labels(table.place, labels, problems)
    if spec.units.rows:
        lost = units[~units.isin(list(codes))]
        _note(problems, f"{table.place}: unit", "unknown_unit", lost, "units 表中的代码或名称,空=全体")
    if len(problems) > before:
        return None
    units = units.map(lambda unit: codes.get(unit, unit))
    levels = {unit.unit: unit.level for unit in spec.units.rows} | {ALL: spec.units.root.level}
    frame = pd.DataFrame(
        {"period": days.str[:7], "date": days, "level": units.map(levels), "unit": units, "label": labels}, dtype="str"
    )
    return context_of(frame.sort_values("date", kind="stable").reset_index(drop=True), spec)


def context_of(frame: pd.DataFrame, spec: Specification) -> Result:
    """Return events in order of time as a result; each month rests on its own rows."""
    months = tuple(dict.fromkeys(frame["period"]))
    return Result(
        table=frame, keys=KEYS, statistics=STATISTICS, n=None, period=months[-1] if months else "", periods=months, about="units",
        programme="context", spec=spec, basis=tuple(_basis(frame, month, spec) for month in months),
    )  # fmt: skip


def events_between(context: Result | None, first: str, last: str) -> Result | None:
    """Return the events from one ISO day to another, both included; None where there are none."""
    if context is None:
        return None
    kept = context.table[context.table["date"].between(first, last)].reset_index(drop=True)
    return context_of(kept, context.spec) if len(kept) else None


def _basis(frame: pd.DataFrame, month: str, spec: Specification) -> Basis:
    rows = frame[frame["period"] == month].to_csv(index=False)
    return Basis("context", month, spec, values=hashlib.sha256(rows.encode()).hexdigest())


def _day(text: str) -> str:
    """Return an ISO day, ``""`` where the text is none."""
    try:
        return date.fromisoformat(text).isoformat()
    except ValueError:
        return ""


def _check_labels(place: str, labels: pd.Series, problems: Problems) -> None:
    """Note labels that are missing, too long for a figure, or tell who somebody is."""
    _note(problems, f"{place}: label", "missing_value", labels[labels == ""], "事件名称 (what happened)")
    length = labels.str.len()
    found = length[length > LONGEST_LABEL].astype("str") + " 字/characters"
    _note(problems, f"{place}: label", "too_long", found, f"≤ {LONGEST_LABEL}", "压缩 (shorten it)")
    kinds = labels.map(identifying_text)
    _note(problems, f"{place}: label", "identifier_content", kinds[kinds != ""], NOBODY, "删去 (remove it)")


def _note(
    problems: Problems, where: str, rule: str, cells: pd.Series, allowed: str, advice: str = "改正 (correct it)"
) -> None:
    if len(cells):
        listed = "、".join(dict.fromkeys(cells.astype("str").replace("", "(空)").head(3)))
        problems.add(where, rule, f"{listed} ({rows_text(cells.index)})", allowed, advice)
