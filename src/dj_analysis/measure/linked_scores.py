"""Scores brought to one version of the indicators, through the links between versions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from ..spec.periods import parse
from .composites.equating import Equation

Method = Literal["overlap", "common_items", "same_units", "broken"]


@dataclass(frozen=True)
class VersionLink:
    """How scores of one code before a change of its indicators correspond to scores after it.

    Attributes
    ----------
    code, before_period, period
        The code, its last period under the old version and its first under the new one.
    method
        ``overlap``: months that both versions can score; ``common_items``: indicators both versions share;
        ``same_units``: the same units in the two months at the change; ``broken``: nothing links.
    level
        Level of the units the line was estimated from.
    months
        Months used.
    anchors
        Indicators both versions share.
    line
        From old to new scores; None where the series breaks.
    between
        Standard deviation between units of what the version alone changes for each, around the line: how far a line may be out for one.
    scatter
        With ``overlap``: how much more (above 1) or less months scatter under the new version than under the old; else 1.
    persons
        The code rests on statistics about persons: no unit has an offset of its own, and the numbers of the line are not printed.
    units, offset, offset_se
        With ``overlap``: what changes for each unit by the version alone, in points, and its standard error.
    """

    code: str
    before_period: str
    period: str
    method: Method
    level: str = ""
    months: int = 0
    anchors: int = 0
    line: Equation | None = None
    between: float = 0.0
    scatter: float = 1.0
    persons: bool = False
    units: tuple[str, ...] = ()
    offset: np.ndarray | None = None
    offset_se: np.ndarray | None = None

    @property
    def reversed(self) -> VersionLink:
        """The link from new to old scores."""
        offset = None if self.offset is None else -self.offset
        return replace(self, line=None if self.line is None else self.line.inverse, offset=offset)

    def offsets(self, units: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
        """Return offset and standard error of these units; NaN where a unit has none of its own."""
        places = {unit: place for place, unit in enumerate(self.units)}
        at = np.array([places.get(unit, -1) for unit in units], dtype=int)
        missing = np.full(len(at), np.nan)
        if self.offset is None or self.offset_se is None or not len(self.units):
            return missing, missing
        return np.where(at >= 0, self.offset[at], np.nan), np.where(at >= 0, self.offset_se[at], np.nan)


@dataclass(frozen=True)
class Carried:
    """Scores brought to one version; arrays periods × units.

    ``link_se`` is the standard error of the links a score went through (0 where none), ``slope`` what a point of it has become.
    """

    points: np.ndarray
    link_se: np.ndarray
    slope: np.ndarray


def carried(
    points: np.ndarray, periods: Sequence[str], units: Sequence[str], links: Sequence[VersionLink], *,
    own: bool, basis: Literal["new", "old"] = "new",
) -> Carried:  # fmt: skip
    """Bring the scores of one code to its last version (or its first), link by link.

    Parameters
    ----------
    points
        Periods × units.
    links
        Of this code, in order of time.
    own
        True: each unit by its own offset where months overlap, for a series of its own. False: all units by one line, which
        leaves their order in a month as it was, for means over months that are compared between units.

    Returns
    -------
    Carried
        NaN before (for ``old``: after) a link that is broken.
    """
    result = Carried(points.copy(), np.zeros(points.shape), np.ones(points.shape))
    start = np.array([parse(period).start for period in periods])
    for link in links if basis == "new" else reversed(links):
        before = start < parse(link.period).start
        rows = before if basis == "new" else ~before
        step = link if basis == "new" else link.reversed
        for array, values in zip(
            (result.points, result.link_se, result.slope), _through(step, result, rows, units, own), strict=True
        ):
            array[rows] = values
    return result


def _through(
    link: VersionLink, sofar: Carried, rows: np.ndarray, units: Sequence[str], own: bool
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Take rows through one link: points, standard error of the links so far, slope."""
    x, error, slope = sofar.points[rows], sofar.link_se[rows], sofar.slope[rows]
    if link.line is None:
        return np.full(x.shape, np.nan), np.full(x.shape, np.nan), slope
    through, added = link.line(x), link.line.error(x)
    added = np.hypot(added, link.between) if own else added
    bend = np.full(x.shape, link.line.slope)
    if own and link.method == "overlap":
        offset, offset_se = (np.broadcast_to(values, x.shape) for values in link.offsets(units))
        has = ~np.isnan(offset)
        through, bend = np.where(has, x + offset, through), np.where(has, 1.0, bend)
        added = np.where(has & ~np.isnan(offset_se), offset_se, added)
    return through, np.hypot(bend * error, added), slope * bend


@dataclass(frozen=True)
class LinkedMeans:
    """Means over months of one code, a vector over units.

    Attributes
    ----------
    mean, months
        Mean of the linked scores and the months behind it.
    slope
        Periods × units: what a point of a month counts on the last version's scale; 0 where nothing links it.
    link_se
        Standard error that the links add to differences *between units*: what they move in all units alike cancels.
    """

    mean: np.ndarray
    months: np.ndarray
    slope: np.ndarray
    link_se: np.ndarray


def linked_means(points: np.ndarray, periods: Sequence[str], links: Sequence[VersionLink]) -> LinkedMeans:
    """Average months that were scored by several versions, brought to the last one by lines that are the same for all units.

    A unit without a month under one version is so not taken for better or worse than the others, and months of a version that
    spreads the units further apart do not count more.

    Parameters
    ----------
    points
        Periods × units of one code, NaN missing.
    links
        Of this code, in order of time.
    """
    through, slope, variance = points.copy(), np.ones(points.shape), np.zeros(points.shape[1])
    start = np.array([parse(period).start for period in periods])
    for link in links:
        if link.line is None:
            rows = start < parse(link.period).start
            through[rows], slope[rows] = np.nan, 0.0
    months = (~np.isnan(through)).sum(axis=0)
    for link in (one for one in links if one.line is not None):
        line, rows = link.line, start < parse(link.period).start
        assert line is not None
        part = through[rows]
        share = _over(~np.isnan(part), months)
        lever = _over(np.nan_to_num(part - line.centre), months)
        variance = variance * line.slope**2 + (_centred(share) * line.se) ** 2 + (_centred(lever) * line.slope_se) ** 2
        through[rows], slope[rows] = line(part), slope[rows] * line.slope
    return LinkedMeans(_over(np.nan_to_num(through), months), months, slope, np.sqrt(variance))


def _over(values: np.ndarray, months: np.ndarray) -> np.ndarray:
    return np.divide(values.sum(axis=0), months, out=np.full(months.shape, np.nan), where=months > 0)


def _centred(values: np.ndarray) -> np.ndarray:
    """Distance from the mean of all units; 0 for those without a month."""
    known = ~np.isnan(values)
    return np.where(known, values - (values[known].mean() if known.any() else 0.0), 0.0)
