"""Units that a further wave names and nobody knows yet: merged, spelt otherwise, or new."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ..errors import Problems, UsageError, unknown
from ..spec.periods import Period
from ..spec.units import Units
from .proposed_tables import read_rows, write_rows


@dataclass(frozen=True)
class WaveDecisions:
    """What was decided about a further wave.

    Attributes
    ----------
    same
        Header (or number of the question) → code: the same question in other words.
    replaced
        Header → code of the question that it replaces; it gets a code of its own.
    left_out
        Headers of columns that are not kept.
    became
        Earlier unit (code or name) → the unit it was merged into, or is called now.
    alias
        Another spelling → unit (code or name).
    new_units
        Names of units that there were none of before.
    """

    same: Mapping[str, str] = field(default_factory=dict)
    replaced: Mapping[str, str] = field(default_factory=dict)
    left_out: tuple[str, ...] = ()
    became: Mapping[str, str] = field(default_factory=dict)
    alias: Mapping[str, str] = field(default_factory=dict)
    new_units: tuple[str, ...] = ()


class NamedUnits:
    """Units named by the new wave that are not known yet, and the rows of units.csv that tell of them."""

    def __init__(self, units: Units, wave: Period, names: Sequence[str], decisions: WaveDecisions):
        self.units, self.wave, self.decisions = units, wave, decisions
        there = units.at(wave.text)
        known = there.resolve(names)
        decided = {*decisions.became.values(), *decisions.alias, *decisions.new_units}
        self.unknown_names = [name for name in names if name not in known and name not in decided] if units.rows else []
        for old in decisions.became:
            self._known(old)
        for unit in decisions.alias.values():
            self._known(unit)

    def _known(self, text: str) -> str:
        code = self.units.resolve([text]).get(text)
        if code is None:
            raise unknown("单位/unit", text, [unit.name_zh or unit.unit for unit in self.units.rows])
        return code

    def ask(self, place: str, problems: Problems) -> None:
        """Note units that are not known, with what can be decided about each."""
        for name in self.unknown_names:
            near = difflib.get_close_matches(
                name, [unit.name_zh for unit in self.units.rows if unit.name_zh], n=2, cutoff=0.4
            )
            old = near[0] if near else "旧单位"
            advice = (
                f"合并或改名: --became '{old}={name}';另一写法: --alias '{name}={old}';新单位: --new-unit '{name}'"
                " (merged or renamed, another spelling, or new)"
            )
            problems.add(
                f"{place}: unit", "unknown_unit", name, "units 表中的代码、名称、别名 (a unit of units.csv)", advice
            )

    def rows(self, rows: list[dict[str, str]]) -> list[dict[str, str]]:
        """Return the rows of units.csv with what was decided."""
        changed = [dict(row) for row in rows]
        by_code = {row["unit"]: row for row in changed}
        blank = dict.fromkeys(changed[0], "") if changed else {}
        begins = self.wave.text
        made: dict[str, str] = {}
        for old, name in self.decisions.became.items():
            row = by_code[self._known(old)]
            if name not in made:
                made[name] = self.units.resolve([name]).get(name) or self._new_code({*by_code, *made.values()})
                if made[name] not in by_code:
                    new = {**blank, **{k: row.get(k, "") for k in ("tree", "parent", "level", "type")}}
                    changed.append(new | {"unit": made[name], "name_zh": name, "valid_from": begins})
            row |= {"valid_to": self.wave.previous.text, "became": made[name]}
        for spelling, unit in self.decisions.alias.items():
            row = by_code[self._known(unit)]
            row["aliases"] = "|".join(part for part in (row.get("aliases", ""), spelling) if part)
        for name in self.decisions.new_units:
            like = changed[0] if changed else {}
            code = self._new_code({row["unit"] for row in changed})
            new = {**blank, **{k: like.get(k, "") for k in ("tree", "level")}}
            changed.append(new | {"unit": code, "name_zh": name, "valid_from": begins})
        names = [*dict.fromkeys(name for row in changed for name in row)]
        return [{name: row.get(name, "") for name in names} for row in changed]

    @staticmethod
    def _new_code(used: Collection[str]) -> str:
        return next(code for number in range(1, len(used) + 2) if (code := f"U{number:03d}") not in used)


def write_units(trial: Path, units: NamedUnits) -> list[str]:
    """Write what was decided about units into units.csv; return the names of the files changed."""
    decided = units.decisions
    path = trial / "units.csv"
    if not (decided.became or decided.alias or decided.new_units):
        return []
    if not path.exists():
        raise UsageError("units 须为 units.csv,才能改单位 (a units.csv is needed to change units)")
    rows = units.rows(read_rows(path))
    write_rows(path, list(rows[0]), [list(row.values()) for row in rows])
    return [path.name]
