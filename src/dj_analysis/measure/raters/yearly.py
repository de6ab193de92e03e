"""Self-assessment during a year against its final marks (示范岗, row H08)."""

from __future__ import annotations

from dataclasses import replace

import pandas as pd

from ...errors import UsageError
from ...result import Result
from ...spec.periods import is_period, order, parse
from ...spec.specification import Specification
from ..intake.score_sheets import Ratings
from .rating import rate
from .rubric_sheets import NEEDED


def self_against_final(
    ratings: Ratings | pd.DataFrame, year: str, *, spec: Specification | None = None, officials: bool = False
) -> Result:
    """Set the self-assessments of a year's quarters against the final marks of the year.

    The final marks are the inspection's sheets dated the year itself; inspections during the year do not count. A unit's
    self-assessment is the mean over its sheets of the year, dated by quarter, half, month or year; those handed in count alike.

    Parameters
    ----------
    ratings, spec, officials
        As in :func:`dj_analysis.rate`; a frame with period, unit, rater, score and kind, and code where sheets have items.
    year
        The period of the final marks, ``2026``; any other period works alike.

    Returns
    -------
    Result
        Period, level, unit, n (final raters), items, self, inspection (the final mark), difference (self − final, points), se,
        low, high (over items, where there are several), outside (of the limits of agreement over all units, Bland and
        Altman 1999), reason: a unit without self-assessment or without a final mark is a row that says so.

    Raises
    ------
    UsageError
        No sheet lies in the year.
    DataError
        Rows that do not fit, all together.

    Examples
    --------
    >>> sheets = pd.DataFrame({"unit": "P1", "rater": ["P1"] * 4 + ["board"], "period": ["2026Q1", "2026Q2", "2026Q3", "2026Q4", "2026"],
    ...                        "score": [96, 94, 95, 95, 90], "kind": ["self"] * 4 + ["inspection"]})
    >>> self_against_final(sheets, "2026").table["difference"].tolist()
    [5.0]
    """
    rows = (ratings.table if isinstance(ratings, Ratings) else ratings).reset_index(drop=True)
    sheets, counted = _gathered(rows, year) if set(NEEDED) <= set(rows) else (rows, ())
    given = replace(ratings, table=sheets) if isinstance(ratings, Ratings) else sheets
    gap = rate(given, spec=spec, officials=officials, draws=1).self_assessment  # names what is wrong with the rows
    if not isinstance(ratings, Ratings):
        return gap
    bases = tuple(basis for basis in ratings.basis if basis.period in counted)
    return gap.remade(gap.table, periods=tuple(basis.period for basis in bases), basis=bases)


def _gathered(rows: pd.DataFrame, year: str) -> tuple[pd.DataFrame, tuple[str, ...]]:
    """Date the sheets that count for a year by it, and return the periods they come from.

    Rows whose period cannot be read stay as they are, to be named.
    """
    whole, periods = parse(year), rows["period"].astype("str").str.strip()
    readable = periods.map(is_period).astype(bool)
    inside = periods[readable].map(lambda one: whole.start <= parse(one).start and parse(one).end <= whole.end)
    own = inside.reindex(rows.index, fill_value=False).astype(bool) & (rows["kind"] == "self")
    used = own | (periods == year)
    if not used.any():
        known = "、".join(order(list(periods[readable].unique())))
        raise UsageError(f"{year} 没有评分 (no score sheet in this period);有/has: {known or '(无/none)'}")
    each_quarter = rows["rater"].astype("str") + " " + periods  # one person's sheets of several quarters are several
    dated = rows.assign(period=periods.mask(used, year), rater=rows["rater"].mask(own, each_quarter))
    return dated[used | ~readable], tuple(periods[used].unique())
