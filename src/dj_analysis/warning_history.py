"""The warnings of a workspace's earlier waves, judged by the cut points that held when each was closed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import date
from functools import cached_property
from typing import Any

import pandas as pd

from .act.notices import Notices, notices
from .judge.alerts import STATISTICS, TOGETHER, Alerts, alerts
from .judge.change import Change, compare
from .judge.pairs import Pairs
from .measure.basis import Basis
from .measure.obligation_states import Obligations
from .measure.scores import Scores
from .release.history import History
from .release.store import Kept, Store
from .spec.cut_points import with_cut_points
from .spec.specification import Specification
from .spec.units import Units

KEYS = ("period", "level", "unit")


class WarningHistory:
    """What a workspace says of its earlier waves.

    Attributes
    ----------
    spec, store, history
        Of the workspace; :class:`~dj_analysis.workspace.Workspace` reads them, and the waves' sums and scores.
    """

    spec: Specification
    store: Store
    history: History

    def alerts(self, before: str = "") -> Alerts:
        """Return the warnings of every wave, in order: the history that ``dj.alerts`` reads persistence from.

        A closed wave is judged once, by the cut points and rules it was closed with, and kept in the store; an open one is
        judged by those that hold now. Measures count as they stood on the last day of the wave, by what had been entered of
        them when it was first judged: an entry that comes later moves nothing that is kept.

        Parameters
        ----------
        before
            Only waves before this one; by default all.

        Returns
        -------
        Alerts
            The table of :func:`dj_analysis.alerts`, a wave below the other; empty where there is none.

        Examples
        --------
        >>> ws.alerts("2026Q3").table["period"].unique().tolist()  # doctest: +SKIP
        ['2026Q1', '2026Q2']
        """
        waves = [wave for wave in (self.until(before) if before else self.periods) if wave != before]
        table, basis = self._nothing_judged(), []
        withheld: dict[str, frozenset[tuple[str, str]]] = {}
        for wave in waves:
            table = pd.concat([table, self._judged(wave, table)], ignore_index=True)
            basis.append(Basis("survey", wave, self.spec, self._kept(wave).sums))
            withheld |= self._withheld(wave)
        return self._as_alerts(table, waves, tuple(basis), withheld)

    def notices(self, period: str, start: str | date) -> Notices:
        """Return what each unit with a red or black warning in a wave is told (预警告知函), with the day for its reply.

        Parameters
        ----------
        start
            Day of the letters, ISO.

        Returns
        -------
        Notices
            The warnings of the quarterly report; ``.as_obligations()`` are the rows to be entered once the letters left.

        Examples
        --------
        >>> ws.notices("2026Q3", "2026-09-28").table[["unit", "warning", "due"]]  # doctest: +SKIP
        """
        now, work = self._of_units(period), self.obligations(kind="measure")
        return notices(alerts(now, self._change(period, now), self.alerts(period), work, draws=0), start)

    def _judged(self, wave: str, earlier: pd.DataFrame) -> pd.DataFrame:
        """Return the warnings of one wave, from the store where it is closed and was judged before."""
        frozen = self.history.frozen(wave)
        kept = self.store.warnings(frozen["store"]) if frozen is not None else None
        if kept is not None:
            return kept
        scores = self._of_units(wave)
        if frozen is not None:
            scores = replace(scores, spec=with_cut_points(scores.spec, frozen.get("cut_points", {})))
        change = self._change(wave, scores)
        history = self._as_alerts(earlier, list(dict.fromkeys(earlier["period"])), (), {})
        work = self.obligations(kind="measure")  # as they stood on the last day of the wave
        judged = alerts(scores, change, history, work, draws=0).table
        if frozen is not None:
            self.store.keep_warnings(frozen["store"], judged)
        return judged

    def _change(self, wave: str, scores: Scores) -> Change | None:
        """Return how units changed since the wave before, by linked people where enough are; None in the first wave."""
        before = self.earlier(wave)
        return None if before is None else compare(scores, self._of_units(before), self.pairs(wave, before))

    def _of_units(self, wave: str) -> Scores:
        """Return the scores of units without those of group columns; those asked for last are held for the wave after."""
        if wave not in self._scores_of_units:
            units = self.units.at(wave)
            trees = [tree for tree in units.trees if tree in self._kept(wave).sums]
            by = [level for tree in trees for level in self.units.levels if self.units.tree_of(level) == tree]
            for old in list(self._scores_of_units)[:-1]:
                del self._scores_of_units[old]
            self._scores_of_units[wave] = self.scores(wave, by)
        return self._scores_of_units[wave]

    @cached_property
    def _scores_of_units(self) -> dict[str, Scores]:
        return {}

    def _as_alerts(
        self, table: pd.DataFrame, waves: list[str], basis: tuple[Basis, ...], withheld: Mapping[str, Any]
    ) -> Alerts:
        return Alerts(
            table=table, keys=KEYS, statistics=STATISTICS, period=waves[-1] if waves else "", periods=tuple(waves),
            spec=self.spec, basis=basis, withheld=dict(withheld),
            together=TOGETHER,
        )  # fmt: skip

    def _nothing_judged(self) -> pd.DataFrame:
        texts = dict.fromkeys([*KEYS, "warning", "warning_before", "rule", "code", "covered_by", "reason"], "str")
        numbers = {"score": float, "probability": float, "n": int, "response": float}
        return pd.DataFrame({name: pd.Series(dtype=kind) for name, kind in {**texts, **numbers}.items()})[
            [*KEYS, *STATISTICS, "reason"]
        ]

    # Given by the workspace.

    @property
    def periods(self) -> list[str]:
        """Waves that have answers, in order."""
        raise NotImplementedError

    @property
    def units(self) -> Units:
        """Every unit tree."""
        raise NotImplementedError

    def until(self, period: str) -> list[str]:
        """Return the waves up to and including a period."""
        raise NotImplementedError

    def earlier(self, period: str, *, years: int = 0) -> str | None:
        """Return the wave before."""
        raise NotImplementedError

    def pairs(self, period: str, before: str) -> Pairs | None:
        """Return who linked themselves over two waves."""
        raise NotImplementedError

    def scores(self, period: str, by: Any = None) -> Scores:
        """Score one wave."""
        raise NotImplementedError

    def obligations(self, kind: str | None = None) -> Obligations:
        """Return things promised or due."""
        raise NotImplementedError

    def _kept(self, period: str) -> Kept:
        raise NotImplementedError

    def _withheld(self, period: str) -> Mapping[str, frozenset[tuple[str, str]]]:
        raise NotImplementedError
