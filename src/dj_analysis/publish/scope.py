"""What a report about one unit covers: its units, levels, codes, and the names it prints."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import pandas as pd

from ..errors import UsageError
from ..judge.plane import is_marked
from ..measure.intake.appeals import GRANTED
from ..measure.scores import Scores
from ..release.protect import Protected
from ..result import Result
from ..spec import workdays
from ..spec.periods import parse
from ..spec.specification import Specification
from ..spec.tree import Form, Tree
from ..spec.units import ALL
from .wording import annex_words, fill, say

MOST_PROBLEMS = 3  # problems that one item of an agenda puts forward
WORKDAYS_AFTER = 8  # working days after a quarter on which new measures begin to count


@dataclass(frozen=True)
class Scope:
    """The part of a wave that a report about one unit speaks of.

    Attributes
    ----------
    unit
        The unit reported; ``ALL`` is the whole.
    form
        ``full`` where the wave asked the full form, else ``anchors``.
    waves
        Number of waves up to this one.
    before
        The wave that this one is compared with; ``""`` where there is none.
    """

    unit: str
    period: str
    spec: Specification = field(repr=False)
    form: Form = "anchors"
    waves: int = 1
    groups: tuple[str, ...] = ()
    before: str = ""

    @cached_property
    def below(self) -> list[str]:
        """Units below the one reported, in its own tree, in their declared order."""
        return [unit.unit for level in self.levels for unit in self._units.at_level(level) if self._is_below(unit.unit)]

    @cached_property
    def units(self) -> list[str]:
        """The unit itself, the whole, and the units below."""
        return list(dict.fromkeys([ALL, self.unit, *self.below]))

    @cached_property
    def levels(self) -> list[str]:
        """Levels below the unit, from the top down."""
        tree = self._units.trees[0] if self.unit == ALL else self._units[self.unit].tree
        below = [unit.level for unit in self._units.below(self.unit) if unit.tree == tree]
        return [level for level in self._units.levels if level in set(below)]

    def context(self, trend: Protected) -> Protected | None:
        """Return the events a trend marks for the unit: its own and those of the units above; None where there are none."""
        if "context" not in trend.result.parts:
            return None
        events = trend.part("context").where(
            unit=list(dict.fromkeys([ALL, self.unit, *self._units.ancestors(self.unit)]))
        )
        return events if len(events.table) else None

    @property
    def level(self) -> str:
        """Level of the unit reported."""
        return str(self._units.root.level if self.unit == ALL else self._units[self.unit].level)

    @property
    def type(self) -> str:
        """Type of units that the one reported is ranked among; the whole is ranked among nobody, and is refused."""
        if self.unit == ALL:
            named = "、".join(unit.unit for unit in self._units.at_level(self.finest)[:3])
            raise UsageError(
                f"{ALL}: 名次变动说明须指定一个参加排名的单位,如 {named} (name a unit that is ranked: --unit {named.split('、')[0]})"
            )
        return str(self._units[self.unit].type)

    def is_ranked(self, scores: Scores) -> bool:
        """Tell whether the unit has a score of the benchmark in these scores, among units of its type and level."""
        units = scores.spec.units.at(scores.period)
        if self.unit not in units or (units[self.unit].level, units[self.unit].type) != (self.level, self.type):
            return False
        tree = scores.spec.indicators.at(scores.period) if scores.spec.indicators is not None else Tree(())
        rows = scores.table[(scores.table["unit"] == self.unit) & (scores.table["code"] == tree.top)]
        return bool(rows.loc[rows["period"] == scores.period, "score"].notna().any())

    def was_corrected(self, appeals: pd.DataFrame, periods: Sequence[str]) -> bool:
        """Tell whether an appeal of the unit was granted in one of these periods."""
        own = (appeals["unit"] == self.unit) & (appeals["state"] == GRANTED)
        return bool((own & appeals["period"].isin(list(periods))).any())

    def period_label(self, period: str) -> str:
        """Return how a period is printed."""
        return parse(period).label(self.spec.language)

    @property
    def levels_scored(self) -> list[str]:
        """Level of the unit itself, then those below."""
        return list(dict.fromkeys([self.level, *self.levels]))

    @cached_property
    def tiers(self) -> list[str]:
        """Levels of the units right below: peers are shown with peers."""
        return list(dict.fromkeys(child.level for child in self._units.children(self.unit)))

    @cached_property
    def names(self) -> dict[str, Any]:
        """What sentences may name: the period, the unit, the office, the codes of index, dimensions and items."""
        codebook = self.spec.codebook.at(self.period)
        language = self.spec.language
        index = codebook.index
        tree, tree_has_forms = codebook.tree.in_form(self.form), codebook.tree.has_forms
        spec = self.spec
        office, recipient = (spec.office, spec.recipient) if language == "zh" else (spec.office_en, spec.recipient_en)
        return {
            "period": parse(self.period).label(language),
            "in_year": str(parse(self.period).year),
            "asof": self.asof,
            "last": self.period_label(self.before) if self._skipped else say(language, "wave_before"),
            "skipped": self._skipped,
            **self._fieldwork,
            "name": self.spec.unit_label(self.unit),
            "office": office or {"zh": "调查工作组", "en": "the survey team"}[language],
            "recipient": recipient or {"zh": "公司领导", "en": "the management"}[language],
            "index": index,
            "benchmark": self.benchmark,
            "aspects": self.aspects,
            "dimensions": [node.code for node in codebook.dimensions],
            "items": [leaf.code for leaf in tree.leaves if index is None or index in tree.ancestors(leaf.code)],
            "form": self.form,
            "form_words": say(language, f"form_{'full' if self.form == 'full' else 'pulse'}") if tree_has_forms else "",
            "levels": self.levels,
            "peer_levels": self.tiers,
            "level_names": {name: self.spec.level_label(name) for name in (*self._units.levels, *self.groups)},
        }

    @property
    def _skipped(self) -> str:
        """The period just before, where no wave was asked in it and an older one is compared with; else ``""``."""
        just_before = parse(self.period).previous
        return "" if self.before in ("", just_before.text) else just_before.label(self.spec.language)

    @property
    def _fieldwork(self) -> dict[str, str]:
        """First and last day of the survey as they are printed; empty where the office did not declare them."""
        days = self.spec.fieldwork.get(self.period, ("", ""))
        printed = [say(self.spec.language, "fieldwork_day", day=day) if day else "" for day in days]
        return dict(zip(("from_day", "to_day"), printed, strict=True))

    @cached_property
    def benchmark(self) -> str:
        """Top of the indicator tree as it was in this period; ``""`` where there is none."""
        return self._indicators.top

    @cached_property
    def aspects(self) -> list[str]:
        """Codes right below the top of the indicator tree."""
        return [node.code for node in self._indicators if node.parent and node.parent == self.benchmark]

    @property
    def awarded(self) -> bool:
        """Tell whether some type of unit with places to award has more units than places."""
        types = [unit.type for unit in self._units.rows]
        return any(types.count(kind) > places for kind, places in self.spec.rules.awards.items())

    def finest_of(self, result: Result) -> str:
        """The finest level below the unit that has scores in a result; the finest of all where none has."""
        held = set(result.table.loc[result.table["score"].notna(), "level"])
        return next((level for level in reversed(self.levels) if level in held), self.level_below)

    def types_of(self, result: Result, level: str) -> list[str]:
        """Types of the units of a level that a result has rows of, as declared: types are never ranked together."""
        held = set(result.table.loc[result.table["level"] == level, "unit"])
        units = [unit for unit in self._units.at_level(level) if unit.unit in held]
        units = [unit for unit in units if self.unit == ALL or self._is_below(unit.unit)]
        return list(dict.fromkeys(unit.type for unit in units))

    @property
    def plane_types(self) -> list[str]:
        """Types of the finest units below, where indicators are marked as quantity and others as quality; else none."""
        if not is_marked(self.spec, self.period):
            return []
        inside = (
            (unit for unit in self._units.at_level(self.finest) if self._is_below(unit.unit)) if self.levels else ()
        )
        return list(dict.fromkeys(unit.type for unit in inside))

    @property
    def finest(self) -> str:
        """The finest level below the unit, in its own tree."""
        return self.levels[-1] if self.levels else ""

    @property
    def level_below(self) -> str:
        """The level of the finest units below, which a report compares; a unit that holds none has nothing to compare."""
        if not self.levels:
            above = self._units[self.unit].parent
            raise UsageError(
                f"{self.unit}: 没有下级单位可比,请出上级单位 {above} 的报告 (no units below to compare: report on {above}, the unit above)"
            )
        return self.finest

    @property
    def _indicators(self) -> Tree:
        return self.spec.indicators.at(self.period) if self.spec.indicators is not None else Tree(())

    def title(self, sentence: str, **more: Any) -> str:
        """Fill a title; titles hold names only, no numbers; ``|`` breaks the line."""
        filled = fill(sentence, None, {"unit": self.unit, "lang": self.spec.language, **self.names, **more})
        return filled.replace("|", "\n")

    def annexes(self, scores: Protected | None, warned: Protected, measures: Protected) -> dict[str, int]:
        """What is attached to the first page, in order, with its number: units warned, measures, tables of units and questions, notes.

        A table in which nothing may be shown is no annex; one annex alone has the number 0, which is not printed. Without
        scores only warned units and measures are attached.
        """
        index = scores.where(unit=self.below, code=self.names["index"]) if self.below and scores is not None else None
        listed = [
            *(["a_alerts"] if len(warned.table) else []),
            *(["a_measures"] if len(measures.table) else []),
            *(["a_units"] if index is not None and self.has_values(index) else []),
            *(["a_items"] if scores is not None and self.is_shown(scores) else []),
            *(["a_notes"] if scores is not None else []),
        ]
        return {key: number if len(listed) > 1 else 0 for number, key in enumerate(listed, start=1)}

    def problems(self, scores: Protected, measures: Protected) -> list[str]:
        """Dimensions put before a meeting, at most three: those that most warned units have in common, else the lowest ones."""
        if len(measures.table):
            units_of = measures.table.groupby("driver")["unit"].nunique()
            return list(units_of.sort_values(ascending=False, kind="stable").index[:MOST_PROBLEMS])
        own = scores.where(unit=self.unit, code=self.names["dimensions"], form="anchors").table
        known = own[own["score"].notna()].sort_values("score", kind="stable")
        return list(known["code"][:MOST_PROBLEMS]) if len(known) > 1 else []

    def items_below(self, code: str) -> list[str]:
        """Questions of a dimension."""
        tree = self.spec.codebook.at(self.period).tree
        return [item for item in self.names["items"] if code in tree.ancestors(item)]

    @property
    def asof(self) -> str:
        """The day as of which work is told: the last of the period."""
        return parse(self.period).end.isoformat()

    @property
    def work_start(self) -> str:
        """The day from which new measures are counted: the eighth working day after the period."""
        return workdays.after(parse(self.period).end, WORKDAYS_AFTER).isoformat()

    def brief_items(self, summary: Protected, measures: Protected) -> list[str]:
        """Items that the first page has beside its lasting ones: what became of earlier measures, what is put forward."""
        return [
            *(["followed_brief"] if self.is_followed(summary) else []),
            *(["put_forward"] if len(measures.table) else []),
        ]

    def is_followed(self, summary: Protected) -> bool:
        """Tell whether measures of the unit, or of those below it, were entered before."""
        return bool((summary.table["unit"] == self.unit).any())

    def ordinal(self, number: int) -> str:
        """Return how an item of the first page is numbered: 五、 or 5."""
        return f"{'一二三四五六七八九'[number - 1]}、" if self.spec.language == "zh" else f"{number}. "

    def annex_label(self, number: int) -> str:
        """Return what heads an annex: 附件1; nothing where there is one, which stands under the title 附件."""
        if not number:
            return ""
        words = annex_words(number, self.spec.language)
        return f"{words}　" if self.spec.language == "zh" else f"{words.removeprefix('the ').capitalize()}. "

    def warned(self, alerts: Protected) -> Protected:
        """Keep the units with a warning."""
        table = alerts.table
        return alerts.where(unit=list(table.loc[table["warning"].fillna("") != "", "unit"]))

    def told(self, measures: Protected) -> Protected:
        """Keep the measures for units below that may be told: one that rests on too few answers is hidden and names nothing."""
        known = [warning for warning in measures.table["warning"].dropna().unique() if warning]
        return measures.where(unit=self.below, warning=known)

    def reviewed(self, alerts: Protected) -> Protected:
        """Keep the units whose red or black warning they were told of."""
        table = alerts.table
        return alerts.where(unit=list(table.loc[table["review"].fillna("") != "", "unit"]))

    def is_shown(self, scores: Protected) -> bool:
        """Tell whether the index of the unit reported may be printed."""
        return self.has_values(scores.where(unit=self.unit, code=self.names["index"]))

    def has_values(self, result: Protected, column: str = "score") -> bool:
        """Tell whether any row of a result has a value that may be printed."""
        return bool(result.table[column].notna().any())

    def compared(self, result: Protected, column: str = "score") -> list[str]:
        """Levels right below with two units or more that have a value: one alone has nothing to be compared with."""
        table = result.table[result.table["unit"].isin(self.below) & result.table[column].notna()]
        return [level for level in self.tiers if table.loc[table["level"] == level, "unit"].nunique() > 1]

    def knows_response(self, response: Protected, unit: str) -> bool:
        """Tell whether the participation of a unit is known."""
        return self.has_values(response.where(unit=unit), "rate")

    @cached_property
    def _units(self) -> Any:  # kept: it is asked for every unit, and filters all of them
        return self.spec.units.at(self.period)

    def _is_below(self, unit: str) -> bool:
        return self.unit in self._units.ancestors(unit)
