"""Import of appeals against released indicator values (复核申请), each with the values it changed."""

from __future__ import annotations

from datetime import date
from itertools import pairwise

import numpy as np
import pandas as pd

from ...errors import DjError, Problems
from ...spec.periods import ALLOWED, bound, is_period
from ...spec.settings import Settings
from ...spec.specification import Specification
from ...spec.tables import Table, rows_text, whole_numbers
from .obligation_tables import load_obligation_tables

APPEAL = "appeal"
OPENED, ACCEPTED, GRANTED, REFUSED, WITHDRAWN = STATES = ("opened", "accepted", "granted", "refused", "withdrawn")
SETTLED = (GRANTED, REFUSED, WITHDRAWN)
CELL = ["unit", "period", "code"]
COLUMNS = ("appeal", *CELL, "state", "opened", "settled")


def load_appeals(settings: Settings, spec: Specification, problems: Problems) -> pd.DataFrame:
    """Read the appeals among a workspace's obligations: rows of kind ``appeal`` with their latest state.

    An appeal names a unit, an indicator (``subject``) and the period of the value (``cycle``); its state is that of its last
    event. Values of indicators about persons cannot be appealed against: two releases of a statistic tell about the few
    people between them.

    Returns
    -------
    pandas.DataFrame
        appeal, unit, period, code, state (one of :data:`STATES`), opened, settled (ISO dates; ``""`` while it is pending).
    """
    table, events = load_obligation_tables(settings, problems)
    empty = pd.DataFrame({name: pd.Series(dtype="str") for name in COLUMNS})
    if table is None:
        return empty
    rows = table.frame[table.frame["kind"].str.strip() == APPEAL]
    appeals = pd.DataFrame(
        {
            "appeal": rows["obligation"], "unit": whole_numbers(rows["unit"]), "period": rows["cycle"].str.strip(),
            "code": rows["subject"].str.strip(), "opened": rows["opened"].str.strip(),
        }
    )  # fmt: skip
    _check_appeals(table.place, appeals, spec, problems)
    appeals = appeals.drop_duplicates("appeal")
    latest = _latest(events, table.frame, appeals, problems) if events is not None else {}
    states = [latest.get(appeal, (OPENED, "")) for appeal in appeals["appeal"]]
    appeals["state"] = [state for state, _ in states]
    appeals["settled"] = [day if state in SETTLED else "" for state, day in states]
    return appeals[list(COLUMNS)].astype("str").reset_index(drop=True) if len(appeals) else empty


def match_corrections(
    index: pd.Index, several: pd.DataFrame, appeals: pd.DataFrame, place: str, problems: Problems
) -> pd.DataFrame:
    """Tell by which appeal each released value came.

    Parameters
    ----------
    index
        Of all released values.
    several
        Those of them, with ``time``, whose unit, period and code are told more than once: the first by time is the release, each
        later one must follow a granted appeal, on its day or after.

    Returns
    -------
    pandas.DataFrame
        appeal (``""`` for the release itself), turn (0 for the release, then 1, 2 …), last (whether it is the latest).
    """
    matched = pd.DataFrame({"appeal": "", "turn": 0, "last": True}, index=index)
    granted = appeals[appeals["state"] == GRANTED].sort_values("settled", kind="stable")
    waiting = {cell: list(rows.itertuples()) for cell, rows in granted.groupby(CELL, sort=False)}
    for cell, rows in several.assign(day=several["time"].map(_day)).groupby(CELL, sort=False):
        rows = rows.sort_values("day", kind="stable")
        matched.loc[rows.index, "turn"] = range(len(rows))
        matched.loc[rows.index[:-1], "last"] = False
        for earlier, row in pairwise(rows.index):
            if waiting.get(cell) and _day(waiting[cell][0].settled) <= rows.loc[row, "day"]:
                matched.loc[row, "appeal"] = waiting[cell].pop(0).appeal
            else:
                _note_unfounded(place, cell, rows.loc[[earlier, row]], appeals, problems)
    corrected = set(matched["appeal"].unique())
    for lost in granted[~granted["appeal"].isin(corrected)].itertuples():
        problems.add(
            f"obligations: {lost.appeal}", "granted_without_value", f"{lost.unit}, {lost.period}, {lost.code}",
            f"{place} 中另有一行发布值,time 不早于 {lost.settled} (one more released row, its time not before that day)",
            "补上更正后的数值,原数值留着 (add the corrected value and keep the first)",
        )  # fmt: skip
    return matched


def changed_by(appeals: pd.DataFrame, values: pd.DataFrame) -> pd.DataFrame:
    """Add to each appeal the value it was against (``value_before``) and, where it was granted, the corrected one (``value``).

    Parameters
    ----------
    values
        Released values with the columns of :func:`match_corrections`.
    """
    before, now = np.full(len(appeals), np.nan), np.full(len(appeals), np.nan)
    if appeals.empty:
        return appeals.assign(value_before=before, value=now)
    disputed = pd.MultiIndex.from_frame(values[CELL]).isin(pd.MultiIndex.from_frame(appeals[CELL]))  # few of many
    of_cell = {cell: rows.sort_values("turn") for cell, rows in values[disputed].groupby(CELL, sort=False)}
    for place, row in enumerate(appeals.itertuples()):
        rows = of_cell.get((row.unit, row.period, row.code))
        if rows is None:
            continue
        own = rows[rows["appeal"] == row.appeal]
        turn = int(own["turn"].iloc[0]) if len(own) else 0
        before[place] = rows["value"].iloc[max(turn - 1, 0)]
        now[place] = rows["value"].iloc[turn] if turn else np.nan
    return appeals.assign(value_before=before, value=now)


def _check_appeals(place: str, appeals: pd.DataFrame, spec: Specification, problems: Problems) -> None:
    """Note appeals about no known unit, indicator or period, and those about people."""
    leaves = {leaf.code: leaf.about for leaf in spec.indicators.leaves} if spec.indicators is not None else {}
    units = {unit.unit for unit in spec.units.rows} | {"ALL"}
    checks = (
        ("unit", ~appeals["unit"].isin(units), "unknown_unit", "units 表中的代码"),
        ("subject", ~appeals["code"].isin(leaves), "unknown_code", "indicators 表中的指标 (an indicator)"),
        ("cycle", ~appeals["period"].map(is_period).astype(bool), "bad_period", ALLOWED),
        ("opened", appeals["opened"] == "", "missing_value", "YYYY-MM-DD"),
    )
    names = {"unit": "unit", "subject": "code", "cycle": "period", "opened": "opened"}
    for column, wrong, rule, allowed in checks:
        if wrong.any():
            rows = appeals[wrong]
            listed = "、".join(dict.fromkeys(rows[names[column]].replace("", "(空)").head(3)))
            problems.add(
                f"{place}: {column}", rule, f"{listed} ({rows_text(rows.index)})", allowed, "改正复核申请 (correct it)"
            )
    about_people = appeals[appeals["code"].map(leaves) == "persons"]
    if len(about_people):
        problems.add(
            f"{place}: subject", "appeal_about_persons", f"{'、'.join(about_people['code'].head(3))} ({rows_text(about_people.index)})",
            "about = units 的指标 (an indicator about units)",
            "关于人的统计前后两值相减会透露其间的人,不单独更正 (two releases tell about the people between them)",
        )  # fmt: skip


def _latest(
    events: Table, obligations: pd.DataFrame, appeals: pd.DataFrame, problems: Problems
) -> dict[str, tuple[str, str]]:
    """Return the state of each appeal and its day; the last event of a day counts."""
    frame = events.frame.assign(state=events.frame["state"].str.strip(), time=events.frame["time"].str.strip())
    lost = frame[~frame["obligation"].isin(obligations["obligation"])]
    own = frame[frame["obligation"].isin(appeals["appeal"])]
    opened = dict(zip(appeals["appeal"], appeals["opened"], strict=True))
    wrong_state, undated = own[~own["state"].isin(STATES)], own[own["time"] == ""]
    early = own[(own["time"] != "") & (own["time"].map(_day) < own["obligation"].map(opened).map(_day))]
    advice = "改正 (correct it)"
    for rows, column, rule, allowed in (
        (lost, "obligation", "unknown_obligation", "obligations 表中的编号"), (wrong_state, "state", "unknown_state", ", ".join(STATES)),
        (undated, "time", "missing_value", "YYYY-MM-DD"), (early, "time", "before_opened", "time >= opened"),
    ):  # fmt: skip
        if len(rows):
            listed = "、".join(dict.fromkeys(rows[column].replace("", "(空)").head(3)))
            problems.add(f"{events.place}: {column}", rule, f"{listed} ({rows_text(rows.index)})", allowed, advice)
    known = own[own["state"].isin(STATES)]
    last = known.loc[known["time"].map(_day).sort_values(kind="stable").index].drop_duplicates(
        "obligation", keep="last"
    )
    return {row.obligation: (row.state, row.time[:10]) for row in last.itertuples()}


def _note_unfounded(
    place: str, cell: tuple[str, ...], rows: pd.DataFrame, appeals: pd.DataFrame, problems: Problems
) -> None:
    """Note a released value that was changed without a granted appeal; say which appeals there are."""
    against = appeals[(appeals[CELL] == list(cell)).all(axis=1)]
    told = ";".join(f"{row.appeal}: {row.state} {row.settled}".strip() for row in against.itertuples())
    change = " → ".join("(空)" if value != value else f"{value:g}" for value in rows["value"])
    problems.add(
        f"{place}: {', '.join(cell)}", "changed_without_appeal",
        f"{change} ({rows_text(rows.index)}){';' + told if told else ''}",
        "每单位每期每指标一个发布值;更正须有准予的复核申请,更正值的 time 不早于准予日"
        " (one released value; another one follows a granted appeal, on its day or after)",
        "删去多余的行,或在 obligations、obligation_events 登记复核申请 (remove the row, or enter the appeal)",
    )  # fmt: skip


def _day(text: str) -> date:
    """Return the day of a date cell, of a period its last; without one it comes before all others."""
    text = text.strip()[:10]
    try:
        return bound(text, last=True) if text else date.min
    except (ValueError, DjError):  # what is no date was noted when the table was read
        return date.min
