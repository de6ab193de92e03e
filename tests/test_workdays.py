"""Working days of China: the announced holidays and the weekends worked for them.

Outside figures: the State Council's notice for 2026 (weekends worked: 4 January, 14 and 28 February, 9 May, 20 September, 10 October);
the Labour Ministry's 250 working days of a year with 11 public holidays and 248 of one with 13 (from 2025), a leap year one more.
"""

from __future__ import annotations

from datetime import date, timedelta

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dj_analysis.errors import UsageError
from dj_analysis.spec import workdays

WORKED_WEEKENDS = ("2026-01-04", "2026-02-14", "2026-02-28", "2026-05-09", "2026-09-20", "2026-10-10")


def works(day: date) -> bool:
    return workdays.after(day, 0) == day


def test_weekends_worked_and_holidays_of_2026_are_those_announced():
    days = [date(2026, 1, 1) + timedelta(n) for n in range(365)]
    assert tuple(str(day) for day in days if day.weekday() >= 5 and works(day)) == WORKED_WEEKENDS
    off = [day for day in days if day.weekday() < 5 and not works(day)]
    assert {day for day in off if day.month == 10} == {date(2026, 10, n) for n in (1, 2, 5, 6, 7)}


@pytest.mark.parametrize(
    ("year", "days"), [(2019, 250), (2021, 250), (2023, 249), (2024, 251), (2025, 248), (2026, 248)]
)
def test_a_year_has_its_number_of_working_days(year, days):
    """2023 began on a Sunday whose day off lay in the old year: one less."""
    assert workdays.between(f"{year - 1}-12-31", f"{year}-12-31") == days


def test_a_limit_jumps_over_the_national_holiday():
    assert workdays.after("2026-09-25", 3) == date(2026, 9, 30)
    assert workdays.after("2026-09-25", 4) == date(2026, 10, 8)
    assert workdays.after("2026-09-25", 6) == date(2026, 10, 10)  # a Saturday that is worked
    assert workdays.after(date(2026, 10, 3), 0) == date(2026, 10, 8)
    assert workdays.last_until("2026-10-07") == date(2026, 9, 30)
    assert workdays.between("2026-10-10", "2026-09-25") == -6


@given(st.dates(date(2004, 1, 1), date(2120, 12, 31)), st.integers(1, 400))
def test_counting_back_gives_the_days_that_were_counted_on(start, days):
    end = workdays.after(start, days)
    assert workdays.between(start, end) == days
    assert works(end)
    assert workdays.between(start, end - timedelta(1)) == days - 1


def test_many_days_are_counted_as_one_is():
    starts = np.array(["2026-09-25", "2026-10-01", "NaT", "2090-01-06"], dtype="datetime64[D]")
    ends = workdays.after_all(starts, np.array([4, 0, 5, 1]))
    assert ends.astype(str).tolist() == ["2026-10-08", "2026-10-08", "NaT", "2090-01-09"]


def test_years_without_an_announcement_count_monday_to_friday_and_say_so():
    assert workdays.between("2089-12-31", "2090-12-31") == np.busday_count("2090-01-01", "2091-01-01")
    assert workdays.unannounced(["2090-03-01", date(2026, 3, 1), "2091-01-01"]) == (
        "2090、2091年的放假和调休安排未收入日历，按周一至周五计算。"
    )
    assert "2090, 2091" in workdays.unannounced(["2090-03-01", "2091-01-01"], "en")
    assert workdays.unannounced(["2026-12-31", "2025-01-01", ""]) == ""


@pytest.mark.parametrize(("start", "days"), [("1899-12-31", 1), ("2200-01-01", 1), ("2026-01-05", -1)])
def test_days_beyond_the_calendar_are_refused(start, days):
    with pytest.raises(UsageError, match="1900"):
        workdays.after(start, days)
