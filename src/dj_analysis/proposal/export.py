"""A platform's export as a workspace may keep it: without what leads to a person, ages in bands, one column an option."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path

import pandas as pd

from ..errors import Problems
from ..measure.intake import identifiers, wjx
from ..measure.intake.anonymity import quasi_kind
from ..measure.intake.copies import coarsened
from ..measure.intake.sources import raise_for
from ..spec.tables import Table, named_by_wording, read_responses


@dataclass(frozen=True)
class Export:
    """A file that was read.

    Attributes
    ----------
    table
        Its text cells, without the columns left out and without what was typed beside an option.
    answers
        The same with a 0/1 column for each option of a multiple choice.
    identifying
        Headers of columns left out: they lead to a person.
    banded
        Headers of numbers that were put into bands.
    days
        The days of submission that can be read.
    """

    table: Table
    answers: pd.DataFrame
    identifying: tuple[str, ...]
    banded: tuple[str, ...]
    days: tuple[date, ...]

    @property
    def last(self) -> date | None:
        """The day of the last submission, where the file tells it."""
        return max(self.days, default=None)

    def wave(self, period: str | None, source: Path, problems: Problems) -> str:
        """Return the period asked for, else the quarter of the last submission; "" and a problem where neither is there."""
        if period is None and self.last is None:
            problems.add(source.name, "no_period", "没有提交时间", "2026Q3", "用 --period 指定 (name it with --period)")
        return period or ("" if self.last is None else f"{self.last.year}Q{(self.last.month - 1) // 3 + 1}")

    @property
    def notices(self) -> list[str]:
        """What was left out or put into bands."""
        left_out, banded = "、".join(self.identifying), "、".join(self.banded)
        return [
            *([f"已删去会指向个人的列 (left out, they lead to a person): {left_out}"] if left_out else []),
            *([f"数字已归入区间 (numbers put into bands): {banded}"] if banded else []),
        ]


def read_export(source: Path, problems: Problems) -> Export:
    """Read an export; what cannot be read is raised."""
    read = read_responses(source, problems)
    if read is None:
        raise_for(problems)
    assert read is not None, "a file that cannot be read is a problem"
    table = named_by_wording(read)
    headers = [str(name) for name in table.frame.columns]
    identifying = [h for h in headers if h in identifiers.DROPPED] + identifiers.identifying_names(headers)
    frame = table.frame.drop(columns=identifying).apply(wjx.without_typed)
    frame, bands = coarsened(frame, {h: k for h in headers if (k := quasi_kind(h)) and h not in identifying})
    answers = wjx.spread_multiple(wjx.blank_missing(frame))
    days = submission_days(table.frame)
    return Export(replace(table, frame=frame), answers, tuple(identifying), tuple(bands), tuple(days))


def submission_days(frame: pd.DataFrame) -> list[date]:
    """Return the days of submission that can be read.

    Of days such as 7/13/2026 the month is the place that never exceeds 12, where the other does; else they tell nothing.
    """
    if wjx.SUBMITTED not in frame:
        return []
    cells = frame[wjx.SUBMITTED]
    parts = cells.str.extract(r"(?P<year>\d{4})[/.\-年](?P<month>\d{1,2})[/.\-月](?P<day>\d{1,2})")
    if parts["year"].isna().all():
        parts = cells.str.extract(r"(?P<month>\d{1,2})[/.\-](?P<day>\d{1,2})[/.\-](?P<year>\d{4})")
        month, day = (bool((parts[name].astype("float64") > 12).any()) for name in ("month", "day"))
        if month == day:
            return []
        parts = parts.rename(columns={"month": "day", "day": "month"}) if month else parts
    days = pd.to_datetime(parts[["year", "month", "day"]].astype("float64"), errors="coerce").dropna()
    return [day.date() for day in days]
