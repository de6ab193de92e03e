"""A workspace's tables about units: branch indicators, appeals, score sheets, teams, obligations."""

from __future__ import annotations

from dataclasses import replace
from functools import cached_property
from typing import Literal

import pandas as pd

from .errors import Problems, UsageError, unknown
from .folder import questions_of_indicators
from .measure.intake.context_events import events_between, load_context
from .measure.intake.indicator_values import ReleasedValues, indicators_of, load_teams, load_values, periods_of
from .measure.intake.legacy import load_legacy
from .measure.intake.obligation_tables import load_obligations
from .measure.intake.score_sheets import Ratings, load_ratings
from .measure.intake.sources import raise_for
from .measure.obligation_states import Obligations
from .measure.survey import Indicators
from .result import Result
from .spec.periods import order, parse, up_to
from .spec.settings import Settings, Source
from .spec.specification import Specification
from .spec.units import excluded_units

_LAST_DAY = "9999-12-31"


class UnitTables:
    """What a workspace holds about units beside its surveys; each table is checked when it is read.

    Attributes
    ----------
    settings, spec
        The declarations of the workspace; :class:`~dj_analysis.workspace.Workspace` reads them.
    """

    settings: Settings
    spec: Specification

    @cached_property
    def indicator_periods(self) -> list[str]:
        """Periods that have branch indicator values, in order."""
        return periods_of(self._indicator_values.now)

    def indicators(self, period: str, *, corrected: bool = True) -> Indicators:
        """Take the branch indicators of one period, or of a span such as ``2025-10/2026-09``.

        The released occasions before it come along (``[months] span`` of rules.toml in all, 12 by default): the error of a
        score is estimated from how a unit scatters over them.

        Parameters
        ----------
        corrected
            False takes every value as it was first released, without the corrections that granted appeals made; for
            :func:`dj_analysis.methods.corrections`.

        Raises
        ------
        UsageError
            A period or span without values; names those there are.
        DataError
            The direction or range of an indicator is still to be decided (role ``ask`` in indicators.csv).
        """
        questions_of_indicators(self.spec).raise_if_any()
        values = self._indicator_values.now if corrected else self._indicator_values.first
        staged = self._indicator_values.staged
        return indicators_of(values, self.spec, period, self.spec.rules.months.span, staged)

    def appeals(self, period: str | None = None) -> pd.DataFrame:
        """Return the appeals against released indicator values (复核申请) of one period, or all of them.

        Returns
        -------
        DataFrame
            appeal, unit, period, code, state (opened, accepted, granted, refused, withdrawn), opened, settled,
            value_before, value (NaN where nothing was corrected); no row where nobody appealed.
        """
        table = self._indicator_values.appeals
        return table if period is None else table[table["period"] == period].reset_index(drop=True)

    def months_until(self, period: str, most: int = 12) -> list[str]:
        """Return the latest periods of branch indicators up to and including one, of its kind, in order; at most so many."""
        kind = parse(period).cycle
        return [one for one in up_to(self.indicator_periods, period) if parse(one).cycle == kind][-most:]

    def ratings(self, period: str | None = None) -> Ratings:
        """Return the score sheets of judges, for :func:`dj_analysis.rate`: of one period, or of all of them.

        Raises
        ------
        UsageError
            There is no table ``ratings``, or none of this period.
        DataError
            Everything wrong with the table, at once.
        """
        every = self._all_ratings
        if every is None:
            raise UsageError("工作区没有 ratings 表 (there is no table ratings); 见 dj template (its columns)")
        if period is None:
            return replace(every, table=every.table.copy())  # what is kept is what the release plan counts
        known = sorted(every.table["period"].unique())
        if period not in known:
            raise unknown("评分时期/period of ratings", period, known)
        return replace(every, table=every.table[every.table["period"] == period].reset_index(drop=True))

    def rated(self, period: str, months: int = 12, kind: Literal["checklist", ""] = "") -> list[tuple[str, str]]:
        """Return (rubric, period) of every set of score sheets of the latest months up to a period, in their declared order.

        A year's or quarter's sheets count from its last day on; there are none without a table ``ratings``.

        Parameters
        ----------
        kind
            ``checklist``: those of checklists, for :func:`dj_analysis.methods.checklist`; by default those with points.
        """
        every, until = self._all_ratings, parse(period).end
        if every is None:
            return []
        since = parse(f"{until:%Y-%m}").shift(1 - months).start
        in_span = [p for p in order(sorted(every.table["period"].unique())) if since <= parse(p).end <= until]
        by_period = {one: replace(every, table=every.table[every.table["period"] == one]).rubrics for one in in_span}
        declared = {code: rubric.kind for code, rubric in self.spec.rubrics.items()}
        wanted = [rubric for rubric in every.rubrics if declared.get(rubric, "") == kind]
        return [(rubric, one) for rubric in wanted for one in in_span if rubric in by_period[one]]

    def legacy(self, until: str = "") -> Result | None:
        """Return earlier figures made by hand (legacy.csv, 原口径), None where there are none.

        They are drawn apart (``dj.trend(waves, legacy=ws.legacy())``) and set beside what this package computes
        (``dj.methods.reconciliation``); they are never joined with scores and never tested.

        Parameters
        ----------
        until
            Only figures of periods that end with this one or before.
        """
        problems = Problems()
        legacy = load_legacy(self.settings, self.spec, problems)
        raise_for(problems)
        if legacy is None or not until:
            return legacy
        kept = up_to(legacy.periods, until)
        table = legacy.table[legacy.table["period"].isin(kept)].reset_index(drop=True)
        basis = tuple(one for one in legacy.basis if one.period in kept)
        same = {"period": kept[-1] if kept else "", "periods": tuple(kept), "basis": basis}
        return legacy.remade(table, **same) if kept else None

    def context(self, until: str = "") -> Result | None:
        """Return dated events an office wrote down (context.csv, 背景事件), None where there are none.

        They are marked in the trend (``dj.trend(waves, context=ws.context())``); nothing is computed from them.

        Parameters
        ----------
        until
            Only events up to the last day of this period.
        """
        problems = Problems()
        context = load_context(self.settings, self.spec, problems)
        raise_for(problems)
        last = str(parse(until).end) if until else _LAST_DAY
        return events_between(context, "", last)

    def teams(self, period: str | None = None) -> pd.DataFrame:
        """Return teams and their stars (team, branch, period, star), for :func:`dj_analysis.stars`: of one period, or of all."""
        problems = Problems()
        table = load_teams(self.settings, self.spec, problems)
        raise_for(problems)
        if period is None:
            return table
        known = order(sorted(table["period"].unique()))
        if period not in known:
            raise unknown("班组星级的时期/period of teams", period, known)
        return table[table["period"] == period].reset_index(drop=True)

    def obligations(self, kind: str | None = None) -> Obligations:
        """Return things promised or due with what became of them, for :func:`dj_analysis.track`: of one declared kind, or all.

        None are there without a table ``obligations``; appeals and requests for help have readers of their own.

        Raises
        ------
        UsageError
            No such kind is declared (``[kinds.X]`` in rules.toml).
        DataError
            Everything wrong with the tables, at once: unknown units, dates that run backwards, moves a kind does not allow.
        """
        every = self._all_obligations
        return every if kind is None else every.of_kind(kind)

    @cached_property
    def _all_obligations(self) -> Obligations:
        problems = Problems()
        every = load_obligations(self.settings, self.spec, problems)
        raise_for(problems)
        return every

    @cached_property
    def _all_ratings(self) -> Ratings | None:
        problems = Problems()
        table = load_ratings(self.settings, self.spec, problems)
        raise_for(problems)
        officials = self.settings.tables.get("ratings", Source()).raters == "officials"
        return None if table is None else Ratings(table, self.spec, officials)

    @cached_property
    def _indicator_values(self) -> ReleasedValues:
        problems = Problems()
        values = load_values(self.settings, self.spec, excluded_units(self.settings, problems), problems)
        raise_for(problems)
        return values
