"""Chinese working days: weekends worked in exchange (调休) count, public holidays do not."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date
from functools import cache
from typing import NamedTuple

import numpy as np

from ..errors import UsageError

FIRST, LAST = np.datetime64("1900-01-01"), np.datetime64("2199-12-31")


class _Calendar(NamedTuple):
    """Every working day in order, and the years whose holidays and exchanged days the State Council has announced."""

    days: np.ndarray
    known: range


def after(start: date | str, days: int) -> date:
    """Return the day that is so many working days after another; with 0 the first working day from that day on.

    Parameters
    ----------
    start
        A day, or its ISO text; it does not count itself.
    days
        Working days, 0 or more.

    Examples
    --------
    The days off from 1 to 7 October 2026 are paid for with two weekend days, one of them Saturday 10 October.

    >>> from dj_analysis.spec import workdays
    >>> str(workdays.after("2026-09-30", 1)), str(workdays.after("2026-10-09", 1))
    ('2026-10-08', '2026-10-10')
    """
    last: date = after_all(np.array([start], dtype="datetime64[D]"), np.array([days]))[0].astype(object)
    return last


def after_all(starts: np.ndarray, days: np.ndarray) -> np.ndarray:
    """Do what :func:`after` does for arrays of days and numbers of days of one length; not a time stays one.

    Raises
    ------
    UsageError
        A day before 1900 or after 2199, or a negative number of days.
    """
    starts, days = np.asarray(starts, dtype="datetime64[D]"), np.asarray(days)
    given, calendar = ~np.isnat(starts), _calendar().days
    if ((starts[given] < FIRST) | (starts[given] > LAST)).any() or (days[given] < 0).any():
        raise UsageError("工作日:日期应在 1900–2199 年,天数不为负 (days between 1900 and 2199, no negative number)")
    begun = np.searchsorted(calendar, starts, side="right")  # working days up to the start, itself among them
    on_working_day = calendar[np.maximum(begun - 1, 0)] == starts
    place = begun + np.where(days > 0, days - 1, np.where(on_working_day, -1, 0))
    return np.where(given, calendar[np.clip(place, 0, len(calendar) - 1)], np.datetime64("NaT"))


def between(first: date | str, last: date | str) -> int:
    """Return the number of working days after one day up to and with another; negative where that comes before.

    Examples
    --------
    >>> from dj_analysis.spec import workdays
    >>> workdays.between("2026-09-30", "2026-10-10")
    3
    """
    ends = np.array([first, last], dtype="datetime64[D]")
    until = np.searchsorted(_calendar().days, ends, side="right")
    return int(until[1] - until[0])


def last_until(day: date | str) -> date:
    """Return the last working day up to and with a day."""
    calendar = _calendar().days
    last: date = calendar[np.searchsorted(calendar, np.datetime64(str(day), "D"), side="right") - 1].astype(object)
    return last


def unannounced(days: Iterable[date | str], language: str = "zh") -> str:
    """Say that some days lie in years whose days off are not known, so that Monday to Friday were counted; "" where none does."""
    known = _calendar().known
    years = sorted({int(str(day)[:4]) for day in days if str(day)} - set(known))
    if not years:
        return ""
    if language == "en":
        listed = ", ".join(map(str, years))
        return f"The public holidays and exchanged days of {listed} are not in the calendar: Monday to Friday were counted."
    return f"{'、'.join(map(str, years))}年的放假和调休安排未收入日历，按周一至周五计算。"


@cache
def _calendar() -> _Calendar:
    """Overlay Monday to Friday with the days off and the weekends worked that the library knows."""
    from chinese_calendar.constants import holidays, workdays

    days = np.arange(FIRST, LAST + 1)
    off, worked = (np.array(list(known), dtype="datetime64[D]") for known in (holidays, workdays))
    works = np.is_busday(days, holidays=off) | np.isin(days, worked)
    return _Calendar(days[works], range(min(holidays).year, max(holidays).year + 1))
