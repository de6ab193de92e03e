"""Whether a measure helped: the change after it beside what would have come without it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

from ..errors import UsageError, unknown
from ..spec.units import ALL
from .before_after_design import selected_effect
from .did_design import difference_effect
from .effect_source import unit_series
from .effect_tables import Effect
from .interrupted import Impact, Season
from .its_design import interrupted_effect

Design = Literal["its", "did", "before_after"]
DESIGNS = ("its", "did", "before_after")


def evaluate(
    source: Any,
    design: Design = "its",
    *,
    start: str | None = None,
    units: str | Sequence[str] | None = None,
    lowest: int | None = None,
    level: str | None = None,
    code: str | None = None,
    below: str = ALL,
    impact: Impact = "level",
    season: Season = "auto",
    seed: int = 0,
) -> Effect:
    """Evaluate a measure by one of three designs.

    ``its`` (interrupted time series): one series a unit; change of level, and of slope, at ``start``, over trend and season.
    ``did`` (difference in differences): units with the measure against units without it, or not yet with it; unit and time effects, errors
    clustered by unit, a wild bootstrap under 30 units, starts at different times by group-time effects (Callaway and
    Sant'Anna 2021). ``before_after``: units selected for low values, their change beside what regression to the mean
    makes of it with no effect at all.

    Parameters
    ----------
    source
        Any dataframe: period, value; for ``did`` unit, and start (the first period with the measure, blank: never) unless ``start`` and
        ``units`` are given; exposure makes values counts (``its``). Such a table is about units and is for looking: it does not rest
        on a workspace's data and cannot be released. Or what :func:`dj_analysis.trend` returned, or scores of branch indicators over
        a span, with ``start`` and ``units``: these are released as their scores are, if every unit they rest on is. Give
        ``dj.protect(scores, plan)`` to leave out the units that are not shown.
    start
        First period with the measure, of the kind of the periods or a finer one.
    units
        Units with the measure (for ``before_after`` those selected).
    lowest
        ``before_after``: the so many lowest units of the last period before ``start`` were selected.
    level, code, below
        Level and code of a result, by default the finest level and the top; only units below one unit.
    impact
        ``its``: what the measure is expected to do, chosen before looking (Lopez Bernal et al. 2017): ``level`` takes the level from a model
        without a change of slope, and tells the slope from the wider model beside it.
    season
        Course of the year in the model: ``auto`` (pairs of sine and cosine for months, a level for each quarter or half year, from two
        full years before the start on), ``harmonics``, ``dummies``, ``none``.
    seed
        Of the wild bootstrap.

    Returns
    -------
    Effect
        Too few points or units: the plain change with no interval and no p, 仅作情况描述, with the reason. Parts: ``checked``;
        ``series`` (its: score, fitted, counterfactual); ``event`` (did: effect by periods since the start), ``groups`` (did: group-time
        effects); ``units`` (before_after).

    Raises
    ------
    DataError
        Everything wrong with the table at once: duplicates, several kinds of periods, no period before or after the start, units that
        have the measure from their first period on, nobody to compare with.

    Examples
    --------
    >>> months = [f"{year}-{month:02d}" for year in (2024, 2025) for month in range(1, 13)]
    >>> rates = pd.DataFrame({"period": months, "value": [60 + i % 3 + 9 * (i >= 14) for i in range(24)]})
    >>> dj.evaluate(rates, "its", start="2025-03", season="none").table[["term", "effect"]].round(1).values.tolist()
    [['level', 9.0], ['slope', 0.0]]
    """
    if design not in DESIGNS:
        raise unknown("design", design, DESIGNS)
    series = unit_series(source, start, units if lowest is None else None, level=level, code=code, below=below)
    if lowest is not None and design != "before_after":
        raise UsageError("lowest: 只用于 before_after (for before_after only)")
    if series.counts and design != "its":
        raise UsageError("exposure: 计数和人时只用于 its (counts with exposure are for its only)")
    if design == "its":
        return interrupted_effect(series, impact, season)
    if design == "did":
        return difference_effect(series, seed)
    return selected_effect(series, lowest, start)
