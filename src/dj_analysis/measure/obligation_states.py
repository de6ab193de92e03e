"""Where every obligation stands on a day."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import date
from functools import cached_property

import numpy as np
import pandas as pd

from ..errors import UsageError, unknown
from ..spec import workdays
from ..spec.kinds import ObligationKind
from ..spec.specification import Specification

NEVER = np.datetime64("NaT", "s")


@dataclass(frozen=True, repr=False)
class Obligations:
    """Things promised or due, of the kinds that rules.toml declares, with what became of them.

    Attributes
    ----------
    table
        obligation, kind, unit, opened, due (days; not a time where none is given), label, subject, owner_role, class,
        orientation, parent, cycle, weight, satisfaction; one row an obligation.
    events
        place (row of ``table``), state (code), time; in order within each obligation.
    digest
        Hash of everything that was read: what a report of them rests on.
    """

    table: pd.DataFrame = field(repr=False)
    events: pd.DataFrame = field(repr=False)
    spec: Specification = field(repr=False)
    digest: str = ""

    def __repr__(self) -> str:
        counts = self.table["kind"].value_counts()
        return f"Obligations({', '.join(f'{kind}: {count}' for kind, count in counts.items()) or 'none'})"

    def of_kind(self, kind: str) -> Obligations:
        """Return those of one kind; they rest on the same files.

        Raises
        ------
        UsageError
            No such kind is declared; names those that are.
        """
        if kind not in self.kinds:
            raise unknown("事项类别/kind of obligation", kind, self.kinds)
        chosen = np.flatnonzero((self.table["kind"] == kind).to_numpy())
        place = np.full(len(self.table), -1)
        place[chosen] = np.arange(len(chosen))
        events = self.events.assign(place=place[self.events["place"].to_numpy()])
        events = events[events["place"] >= 0].reset_index(drop=True)
        return replace(self, table=self.table.iloc[chosen].reset_index(drop=True), events=events)

    @cached_property
    def kinds(self) -> Mapping[str, ObligationKind]:
        """The declared kinds by code."""
        return self.spec.rules.kinds

    def overdue_units(self, asof: date) -> frozenset[str]:
        """Return the units with an overdue obligation on a day; what :func:`dj_analysis.alerts` asks of measures."""
        rows = where_they_stand(self, asof)
        return frozenset(rows.loc[rows["overdue"], "unit"])


def where_they_stand(obligations: Obligations, asof: str | date) -> pd.DataFrame:
    """Return the state of every obligation opened until a day, of what was entered until that day.

    Parameters
    ----------
    asof
        ISO date; nothing reads the clock.

    Returns
    -------
    pandas.DataFrame
        The columns of ``obligations.table``, and status (code of its state), since (day of it; of the first state that of the
        opening), fulfilled (day on which what was due was done: first of the latest run of states that ``fulfils``; a
        state that neither fulfils nor closes takes it back), ended (day of the state that closed it, if it is closed), overdue
        (its due day is past, it is open and not fulfilled), overdue_days (calendar days past the due day; NaN where not
        overdue), fallen_due (the due day is past, and it had not been closed unfulfilled by then), on_time (fallen due and
        fulfilled by that day), colour. A due day that is not given follows from the ``days`` of the kind, in working days.

    Raises
    ------
    UsageError
        ``asof`` is no date.
    """
    day = day_of(asof)
    chosen = np.flatnonzero((obligations.table["opened"] <= day).to_numpy())
    place = np.full(len(obligations.table), -1)
    place[chosen] = np.arange(len(chosen))
    table = obligations.table.iloc[chosen].reset_index(drop=True)
    events = obligations.events[(obligations.events["time"] <= day).to_numpy()]
    at = place[events["place"].to_numpy(int)]
    events, at = events[at >= 0], at[at >= 0]
    facts = _Facts(obligations, table)
    state = facts.states_of(events["state"].to_numpy(), at)
    time = events["time"].to_numpy().astype("datetime64[s]")
    current, since = facts.first.copy(), table["opened"].to_numpy().astype("datetime64[s]")
    last = np.flatnonzero(np.append(at[1:] != at[:-1], True)) if len(at) else np.empty(0, dtype=int)
    current[at[last]], since[at[last]] = state[last], time[last]
    fulfilled = _fulfilled(facts, at, state, time, table)
    closed = facts.closes[current]
    ended = np.where(closed, since, NEVER)
    due = _due(facts, table)
    past = (due < np.datetime64(day)) & ~np.isnat(due)
    given_up = closed & np.isnat(fulfilled) & (ended <= due)
    overdue = past & ~closed & np.isnat(fulfilled)
    days = (np.datetime64(day) - due) / np.timedelta64(1, "D")
    table["due"] = due
    return table.assign(
        status=facts.codes[current], since=since, fulfilled=fulfilled, ended=ended, overdue=overdue,
        overdue_days=np.where(overdue, days, np.nan), fallen_due=past & ~given_up,
        on_time=past & ~given_up & (fulfilled <= due), colour=facts.colours(current, overdue),
    )  # fmt: skip


def day_of(asof: str | date) -> pd.Timestamp:
    """Return a day given as ISO text or date; anything else is an error."""
    try:
        return pd.Timestamp(date.fromisoformat(str(asof))).as_unit("s")
    except ValueError:
        raise UsageError(f"asof “{asof}” 不是日期 (not a date);应为/allowed: 2026-09-30") from None


class _Facts:
    """The states of every kind as arrays, so that a million events are looked up at once."""

    def __init__(self, obligations: Obligations, table: pd.DataFrame):
        kinds = obligations.kinds
        pairs = [(kind, state) for kind in kinds for state in kinds[kind].states]
        states = [kinds[kind].states[state] for kind, state in pairs]
        self.codes = np.array([state for _, state in pairs] or [""], dtype=object)
        self.fulfils = np.array([state.fulfils for state in states] or [False])
        self.closes = np.array([state.closes for state in states] or [False])
        self._colours = np.array(
            [[kinds[kind].colour(state, late) for kind, state in pairs] or [""] for late in (False, True)], dtype=object
        )
        self._kind_of = pd.Index(list(kinds)).get_indexer(table["kind"])
        sizes = [len(kinds[kind].states) for kind in kinds]
        self._start = np.concatenate([[0], np.cumsum(sizes)])[:-1] if sizes else np.zeros(1, dtype=int)
        self.limits = np.array([kinds[kind].days_until_due for kind in kinds] or [0])[self._kind_of]
        self.first = self._start[self._kind_of].astype(int)
        self._known = pd.MultiIndex.from_tuples(pairs) if pairs else None
        self._kinds = list(kinds)

    def states_of(self, states: np.ndarray, at: np.ndarray) -> np.ndarray:
        """Return the running number of each state among those of all kinds."""
        out = np.zeros(len(states), dtype=int)
        kinds = self._kind_of[at]
        for number in np.unique(kinds):
            own = kinds == number
            end = self._start[number + 1] if number + 1 < len(self._start) else len(self.codes)
            names = pd.Index(self.codes[self._start[number] : end])
            out[own] = self._start[number] + names.get_indexer(states[own])
        return out

    def colours(self, current: np.ndarray, overdue: np.ndarray) -> np.ndarray:
        """Return the colour of each state, of overdue work its own."""
        colours: np.ndarray = self._colours[overdue.astype(int), current]
        return colours


def _due(facts: _Facts, table: pd.DataFrame) -> np.ndarray:
    """Return the due day of each obligation: its own, else by the working days its kind allows."""
    due = table["due"].to_numpy().astype("datetime64[s]")
    derived = np.isnat(due) & (facts.limits > 0)
    if derived.any():
        opened = table["opened"].to_numpy()[derived].astype("datetime64[D]")
        due[derived] = workdays.after_all(opened, facts.limits[derived])
    return due


def _fulfilled(facts: _Facts, at: np.ndarray, state: np.ndarray, time: np.ndarray, table: pd.DataFrame) -> np.ndarray:
    """Return the first fulfilling event of each obligation after the last one that takes it back."""
    fulfilled = np.full(len(table), NEVER, dtype="datetime64[s]")
    number, back = np.arange(len(at)), ~(facts.fulfils[state] | facts.closes[state])
    last_back = np.full(len(table), -1)
    last_back[at[back]] = number[back]  # events are in order: the last one of an obligation stays
    done = np.flatnonzero(facts.fulfils[state] & (number > last_back[at]))[::-1]
    fulfilled[at[done]] = time[done]  # from the last to the first, which stays
    return fulfilled
