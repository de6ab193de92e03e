"""Kinds of obligations: the states each goes through, its legal moves, its colours."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from ..errors import Problems, nearest_names

#: Colours of the state of work (row L05); they are never those of the warnings, though some share a word with them.
COLOURS = ("grey", "blue", "green", "orange", "red", "purple")
#: Kinds with rules of their own: requests for help carry no identity, appeals correct indicator values.
OWN_RULES = ("appeal", "request")
#: The review of a red or black warning by its unit (通气核实), which a report looks at before it names the unit.
HUMAN_REVIEW = "human_review"
LONGEST = 3650  # working days
_ENTRIES = {"zh": str, "en": str, "colour": str, "to": list, "days": int, "fulfils": bool, "closes": bool}
_KIND = {"zh": str, "en": str, "overdue": str, "states": dict}


@dataclass(frozen=True)
class State:
    """One state of a kind of obligation.

    Attributes
    ----------
    colour
        One of :data:`COLOURS`.
    to
        States it may move to.
    days
        Working days after the opening within which it is to be reached; 0: no limit.
    fulfils
        What was due is done once it is reached.
    closes
        The obligation ends with it.
    """

    code: str
    zh: str = ""
    en: str = ""
    colour: str = "grey"
    to: tuple[str, ...] = ()
    days: int = 0
    fulfils: bool = False
    closes: bool = False

    def label(self, language: str = "zh") -> str:
        """Name for a reader; the code where none is given."""
        return (self.en or self.zh if language == "en" else self.zh) or self.code


@dataclass(frozen=True)
class ObligationKind:
    """A kind of obligation (``[kinds.X]`` in rules.toml): an obligation is in its first state from its opening on.

    Attributes
    ----------
    overdue
        Colour while its due day has passed and what was due is not done; empty: that of its state.
    """

    code: str
    zh: str = ""
    en: str = ""
    overdue: str = ""
    states: Mapping[str, State] = field(default_factory=dict)

    def label(self, language: str = "zh") -> str:
        """Name for a reader; the code where none is given."""
        return (self.en or self.zh if language == "en" else self.zh) or self.code

    @cached_property
    def order(self) -> tuple[str, ...]:
        """Codes of the states in their declared order, the first being that of its opening."""
        return tuple(self.states)

    @cached_property
    def days_until_due(self) -> int:
        """Working days from the opening to the due day where an obligation has none of its own; 0: it has none."""
        limits = [state.days for state in self.states.values() if state.fulfils and state.days]
        return min(limits, default=0)

    def colour(self, state: str, overdue: bool) -> str:
        """Return the colour of a state; of an overdue one, that of overdue work."""
        return self.overdue if overdue and self.overdue else self.states[state].colour


def read_kinds(place: str, given: Any, problems: Problems) -> Mapping[str, ObligationKind]:
    """Read the kinds a workspace declares; those it does not name keep the package's declaration."""
    if not isinstance(given, dict):
        problems.add(f"{place} [kinds]", "wrong_type", given, "表 (table)", "改正类型 (correct its type)")
        return {}
    kinds = {}
    for code, entries in given.items():
        where = f"{place} [kinds.{code}]"
        if code in OWN_RULES:
            advice = "另取名 (give it another name)"
            problems.add(where, "kind_with_own_rules", code, f"{'、'.join(OWN_RULES)} 以外的名称", advice)
        elif isinstance(entries, dict):
            kinds[code] = _kind(where, code, entries, problems)
        else:
            problems.add(where, "wrong_type", entries, "表 (table)", "改正类型 (correct its type)")
    return kinds


def _kind(where: str, code: str, entries: dict[str, Any], problems: Problems) -> ObligationKind:
    sound = _sound(where, entries, _KIND, problems)
    states = {}
    for name, values in sound.pop("states", {}).items():
        if isinstance(values, dict):
            one = _sound(f"{where} {name}", values, _ENTRIES, problems)
            states[name] = State(name, **one | {"to": tuple(map(str, one.get("to", ())))})
        else:
            problems.add(f"{where} {name}", "wrong_type", values, "表 (table)", "改正类型 (correct its type)")
    kind = ObligationKind(code, **sound, states=states)
    _check(where, kind, problems)
    return kind


def _sound(where: str, entries: Mapping[str, Any], allowed: Mapping[str, type], problems: Problems) -> dict[str, Any]:
    """Return the entries that exist and have the right type; note the others."""
    sound = {}
    for name, value in entries.items():
        if name not in allowed:
            problems.add(where, "unknown_setting", name, nearest_names(name, allowed), "改名 (rename it)")
        elif not isinstance(value, allowed[name]) or (isinstance(value, bool) and allowed[name] is int):
            wanted = allowed[name].__name__
            problems.add(f"{where} {name}", "wrong_type", value, wanted, "改正类型 (correct its type)")
        else:
            sound[name] = value
    return sound


def _check(where: str, kind: ObligationKind, problems: Problems) -> None:
    """Note moves to states there are not, colours there are not, kinds that never end."""
    states = kind.states.values()
    for state in states:
        for target in state.to:
            if target not in kind.states:
                near = difflib.get_close_matches(target, kind.order, n=1)
                advice = f"改为 {near[0]} (write {near[0]})" if near else "声明此状态 (declare this state)"
                problems.add(f"{where} {state.code} to", "unknown_state", target, "、".join(kind.order), advice)
        if not 0 <= state.days <= LONGEST:
            advice = "写成工作日数 (write whole working days)"
            problems.add(f"{where} {state.code} days", "range", state.days, f"0–{LONGEST}", advice)
    for name, colour in (("overdue", kind.overdue), *((f"{state.code} colour", state.colour) for state in states)):
        if colour and colour not in COLOURS:
            problems.add(f"{where} {name}", "unknown_colour", colour, "、".join(COLOURS), "改正颜色 (correct it)")
    if not any(state.closes for state in states):
        advice = "至少一个状态写 closes = true (at least one state ends it)"
        problems.add(where, "no_closed_state", "、".join(kind.order) or "(空)", "closes = true", advice)
    elif not any(state.fulfils for state in states):
        advice = "哪个状态算办成,写 fulfils = true (say which state counts as done)"
        problems.add(where, "no_fulfilling_state", "、".join(kind.order), "fulfils = true", advice)
