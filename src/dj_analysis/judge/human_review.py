"""Which red and black warnings may name their unit: those of which it was told, and answered or let the due day pass (通气核实)."""

from __future__ import annotations

from dataclasses import dataclass, fields
from datetime import date

import numpy as np
import pandas as pd

from ..measure.obligation_states import Obligations, day_of, where_they_stand
from ..result import Result
from ..spec.kinds import HUMAN_REVIEW
from ..spec.periods import parse
from .alerts import NOT_JUDGED, TOGETHER, Alerts
from .alerts import STATISTICS as OF_ALERTS
from .warning_rules import GRADES

REVIEWED = ("red", "black")  # graver than orange: only after a review
REPLIED, LATE, UNANSWERED, PENDING = "replied", "replied_late", "unanswered", "pending"
FEWEST = 3  # units judged at a level, below which a count of those not named would name them
ADDED = ("notified", "due", "review", "replied", "reply")
COUNTS = ("n", "units", "unnamed", "told", "heard")


@dataclass(frozen=True)
class ReviewedAlerts(Alerts):
    """Warnings as they may be published: a red or black one stands beside its unit only after the review.

    ``.table``: the columns of :class:`Alerts`, and notified, due, replied (ISO days, ``""`` where there is none), review
    (``replied``, ``replied_late``, ``unanswered``; ``""`` where none is needed or it is not over), reply (what the unit answered, at
    most 100 characters). A unit whose review is not over looks like one without a warning; so does its warning of an
    earlier wave.

    Attributes
    ----------
    asof
        The day as of which the reviews are told.
    """

    asof: str = ""

    @property
    def counts(self) -> Result:
        """By level and grade, of this wave: n (people behind the units judged), units (with that warning), unnamed (of these, whose
        review is not over), told (notified), heard (replied). Red and black are missing where their number would name
        the units: where fewer than three are judged, or none is left without such a warning.
        """
        return self.parts["counts"]


def after_review(alerts: Alerts, reviews: Obligations | None, asof: str | date) -> ReviewedAlerts:
    """Keep red and black warnings beside their units only where the review is over; the level itself is never changed.

    A review is over once the unit has replied, or when its due day is past; on the due day itself it is not. Orange needs
    none. A unit that was not notified, or whose time has not run out, is counted and not named.

    Parameters
    ----------
    alerts
        What :func:`dj_analysis.alerts` returned, of one wave or several (:meth:`Alerts.after`).
    reviews
        ``ws.obligations(kind="human_review")``: cycle = the wave, opened = day of the notice, label = the reply. None: nobody
        was notified.
    asof
        Day as of which the reviews are told, ISO; what was entered for a later day is not known yet.

    Returns
    -------
    ReviewedAlerts
        The same rows in the same order; ``counts`` tells how many are not named.

    Examples
    --------
    >>> named = methods.after_review(dj.alerts(scores), None, "2026-10-15")
    >>> (named.table["warning"] == "red").sum()
    0
    """
    table, stand = alerts.table.copy(), reviews_as_of(reviews, asof)
    keys = pd.MultiIndex.from_frame(table[["period", "unit"]])
    own = stand.reindex(keys)
    over = own["review"].isin([REPLIED, LATE, UNANSWERED]).to_numpy()
    grave = table["warning"].isin(REVIEWED).to_numpy()
    unnamed, named = grave & ~over, grave & over
    for name in ADDED:
        table[name] = np.where(named, own[name].fillna("").to_numpy(), "")
    counts = _counts(alerts, unnamed, own)
    table = _without_names(table, unnamed)
    table["warning_before"] = _told_before(alerts, table, unnamed, stand)
    common = {one.name: getattr(alerts, one.name) for one in fields(Alerts)}
    return ReviewedAlerts(
        **common
        | {
            "table": table[["period", "level", "unit", *OF_ALERTS, *ADDED, "reason"]], "statistics": (*OF_ALERTS, *ADDED),
            "together": (*TOGETHER, *ADDED), "parts": {**alerts.parts, "counts": counts}, "mark": "",
        },
        asof=str(day_of(asof).date()),
    )  # fmt: skip


def reviews_as_of(reviews: Obligations | None, asof: str | date) -> pd.DataFrame:
    """Return where the review of each wave and unit stands: notified, due, review, replied, reply, by (period, unit)."""
    day = day_of(asof)
    if reviews is None or reviews.table.empty:
        index = pd.MultiIndex.from_arrays([[], []], names=["period", "unit"])
        return pd.DataFrame({name: pd.Series(dtype="str") for name in ADDED}).set_index(index)
    rows = where_they_stand(reviews, day.date())
    rows = rows[rows["kind"] == HUMAN_REVIEW]
    replied, past = rows["fulfilled"].notna(), (rows["due"] < day) & rows["due"].notna()
    late = replied & (rows["fulfilled"] > rows["due"])
    review = np.select([late, replied, past], [LATE, REPLIED, UNANSWERED], PENDING)
    table = pd.DataFrame({"period": [parse(cycle).text for cycle in rows["cycle"]], "unit": rows["unit"].to_numpy()})
    for name, days in (("notified", rows["opened"]), ("due", rows["due"]), ("replied", rows["fulfilled"])):
        table[name] = days.dt.strftime("%Y-%m-%d").fillna("").to_numpy()
    table["review"] = review
    table["reply"] = np.where(replied, rows["label"], "")
    return table.drop_duplicates(["period", "unit"]).set_index(["period", "unit"])[list(ADDED)]


def _without_names(table: pd.DataFrame, unnamed: np.ndarray) -> pd.DataFrame:
    """Make the rows of units not named like those of units without a warning, and name them nowhere else."""
    table.loc[unnamed, ["warning", "rule", "code", "covered_by", "reason"]] = ""
    table.loc[unnamed, ["score", "probability"]] = np.nan
    secret = set(zip(table.loc[unnamed, "period"], table.loc[unnamed, "unit"], strict=True))
    covered = [pair in secret for pair in zip(table["period"], table["covered_by"], strict=True)]
    table.loc[covered, "covered_by"] = ""
    return table


def _told_before(alerts: Alerts, table: pd.DataFrame, unnamed: np.ndarray, stand: pd.DataFrame) -> np.ndarray:
    """Return the warnings of the wave before that may be told.

    A grave one whose own review was not over is left out. Where a unit of a level and wave is not named, no warning there
    is told to have ended: the others' would show which one it is.
    """
    waves = sorted(dict.fromkeys([*alerts.periods, *table["period"]]), key=lambda one: parse(one).end)
    earlier = dict(zip(waves[1:], waves, strict=False))
    over = set(stand.index[stand["review"] != PENDING])
    before = [
        (earlier.get(period, ""), unit) in over for period, unit in zip(table["period"], table["unit"], strict=True)
    ]
    secret = table["warning_before"].isin(REVIEWED).to_numpy() & ~np.array(before, dtype=bool)
    where = set(zip(table.loc[unnamed, "period"], table.loc[unnamed, "level"], strict=True))
    ended = [pair in where for pair in zip(table["period"], table["level"], strict=True)]
    ended = np.array(ended, dtype=bool) & (table["warning"] == "").to_numpy()
    return np.where(secret | ended, "", table["warning_before"])


def _counts(alerts: Alerts, unnamed: np.ndarray, own: pd.DataFrame) -> Result:
    """Count the warnings of the wave by level and grade, unless that would name the units."""
    rows, table = [], alerts.table
    told, heard = own["notified"].fillna("").to_numpy() != "", own["replied"].fillna("").to_numpy() != ""
    judged = ~table["reason"].isin(NOT_JUDGED).to_numpy() & (table["period"] == alerts.period).to_numpy()
    levels = alerts.spec.units.at(alerts.period).levels
    for level in dict.fromkeys(table.loc[judged, "level"]):
        here = judged & (table["level"] == level).to_numpy()
        not_named, quiet = int((here & unnamed).sum()), here & ~np.isin(table["warning"], GRADES)
        tells = bool(not_named) and (here.sum() < FEWEST or not quiet.any())
        for grade in GRADES if level in levels else ():
            those = here & (table["warning"] == grade).to_numpy()
            counted = [float(one.sum()) for one in (those, those & unnamed, those & told, those & heard)]
            counted = [np.nan] * 4 if tells and grade in REVIEWED else counted
            rows.append((alerts.period, level, grade, int(table.loc[here, "n"].sum()), *counted))
    keys = ("period", "level", "warning")
    frame = pd.DataFrame(rows, columns=[*keys, *COUNTS]).astype(dict.fromkeys(COUNTS[1:], "float64"))
    common = {
        name: getattr(alerts, name) for name in ("period", "spec", "periods", "withheld", "basis", "about", "programme")
    }
    return Result(frame, keys, COUNTS, together=COUNTS, **common)
