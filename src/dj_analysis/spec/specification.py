"""All declarations of the analyst, in one frozen object that results carry with them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import date
from functools import cached_property
from typing import Self

import pandas as pd

from .bands import Bands, default_bands
from .codebook import Codebook
from .official import Official
from .rubrics import Rubric
from .rules import Rules, default_rules
from .settings import DEFAULT_MIN_GROUP, RETENTION, Language
from .tree import Tree
from .units import ALL, Units

CROSS = "×"  # joins the parts of a cross-classification in the names of levels, axes and cells


def _no_headcounts() -> pd.DataFrame:
    return pd.DataFrame(columns=["unit", "period", "group", "category", "headcount"])


@dataclass(frozen=True)
class Specification:
    """The declarations a computation reads from its first argument, so that functions need no row of keywords.

    Attributes
    ----------
    codebook
        The survey instrument.
    units
        The organisation trees, every span of time.
    indicators
        The branch indicators' tree, if there is one.
    rubrics
        Code → what a kind of score sheet asks, of which units.
    fieldwork
        First and last day of a wave's survey, where they are declared.
    cross
        Cross-classifications that may be published: a unit level or group column, then group columns.
    types_en
        Names of types of units for English readers.
    """

    codebook: Codebook = field(default_factory=lambda: Codebook(Tree(())))
    units: Units = field(default_factory=lambda: Units(()))
    indicators: Tree | None = None
    rubrics: Mapping[str, Rubric] = field(default_factory=dict)
    bands: Mapping[str, Bands] = field(default_factory=default_bands)
    rules: Rules = field(default_factory=default_rules)
    headcounts: pd.DataFrame = field(default_factory=_no_headcounts, repr=False, compare=False)
    min_group: int = DEFAULT_MIN_GROUP
    retention: int = RETENTION
    language: Language = "zh"
    name: str = ""
    office: str = ""
    office_en: str = ""
    recipient: str = ""
    recipient_en: str = ""
    purpose: str = ""
    fonts: str = ""
    official: Official = field(default_factory=Official)
    fieldwork: Mapping[str, tuple[date, date]] = field(default_factory=dict)
    cross: tuple[tuple[str, ...], ...] = ()
    types_en: Mapping[str, str] = field(default_factory=dict)

    def speaking(self, language: Language) -> Self:
        """Return the same declarations for readers of another language."""
        return replace(self, language=language)

    def codes(self, period: str, role: str, form: str = "anchors") -> list[str]:
        """Return the codes of a role in a wave: items below the index, its dimensions, the index, or group columns."""
        codebook = self.codebook.at(period)
        if role == "group":
            return [node.code for node in codebook.groups]
        if role == "dimension":
            return [node.code for node in codebook.dimensions]
        index = [codebook.index] if codebook.index else []
        if role == "index":
            return index
        tree = codebook.tree.in_form("full" if form == "full" else "anchors")
        tops = index or [node.code for node in codebook.dimensions]
        return [leaf.code for top in tops for leaf in tree.leaves_of(top)]

    def code_label(self, code: str) -> str:
        """Name of an item, dimension or indicator for the reader."""
        for tree in (self.codebook.tree, self.codebook.choices, self.indicators):
            if tree is not None and code in tree:
                return tree[code].label(self.language)
        return next(
            (item.label(self.language) for one in self.rubrics.values() for item in one.items if item.code == code),
            code,
        )

    def rubric_label(self, rubric: str) -> str:
        """Name of a rubric for the reader; of score sheets without one, what they are."""
        if rubric in self.rubrics:
            return self.rubrics[rubric].label(self.language)
        return rubric or {"zh": "考核评分", "en": "Assessment"}[self.language]

    def unit_label(self, unit: str, level: str = "") -> str:
        """Name of a unit for the reader; a category of a group column is its own name."""
        if CROSS in level:
            return CROSS.join(
                self.unit_label(*pair) for pair in zip(unit.split(CROSS), level.split(CROSS), strict=True)
            )
        if level in self.group_names:
            return self._categories.get((level, unit), unit)
        declared = self.units.get(unit)
        return declared.name(self.language) if declared else unit

    def level_label(self, level: str) -> str:
        """Name of a level or group column for the reader."""
        if CROSS in level:
            return CROSS.join(self.level_label(part) for part in level.split(CROSS))
        group = self.group_names.get(level)
        return group or LEVELS.get(self.language, {}).get(level, level)

    def type_label(self, kind: str) -> str:
        """Name of a type of units for the reader; as declared where it has no name in the reader's language."""
        return self.types_en.get(kind, kind) if self.language == "en" else kind

    @cached_property
    def group_names(self) -> Mapping[str, str]:
        """Names of the declared group columns for the reader."""
        return {node.code: node.label(self.language) for node in self.codebook.groups}

    def categories(self, group: str) -> list[str]:
        """Return the categories of a group column in the order its scale declares them; none where it has no scale."""
        node = next((node for node in self.codebook.groups if node.code == group), None)
        scale = self.codebook.scales.get(node.scale) if node is not None else None
        return [] if scale is None else list(dict.fromkeys(option.label_zh for option in scale.options))

    @cached_property
    def _categories(self) -> dict[tuple[str, str], str]:
        """English names of the categories of group columns, where their scale has them."""
        if self.language != "en":
            return {}
        scales = self.codebook.scales
        options = [
            (node.code, o) for node in self.codebook.groups if node.scale in scales for o in scales[node.scale].options
        ]
        return {(code, option.label_zh): option.label_en for code, option in options if option.label_en}

    def headcount(self, unit: str, period: str) -> float:
        """Return the headcount of a unit in a period; NaN where it is not known.

        The table headcounts comes first; else what units.csv says; else the sum over the units right below.
        """
        declared = self._headcounts.get((unit, period))
        return declared if declared is not None else self._headcounts_by_tree(period).get(unit, float("nan"))

    @cached_property
    def _headcounts(self) -> dict[tuple[str, str], float]:
        totals = self.headcounts[self.headcounts["group"].fillna("") == ""]
        keys = zip(totals["unit"], totals["period"], strict=True)
        return {key: float(value) for key, value in zip(keys, totals["headcount"], strict=True) if value == value}

    def _headcounts_by_tree(self, period: str) -> dict[str, float]:
        """Headcounts of a period where the table has none: declared with the unit, or summed from below."""
        if period in self._by_period:
            return self._by_period[period]
        headcounts = self._by_period[period] = {}
        if self._headcounts or any(unit.headcount == unit.headcount for unit in self.units.rows):
            units = self.units.at(period)
            for unit in sorted(units.rows, key=lambda unit: -len(units.ancestors(unit.unit))):
                below = [
                    self._headcounts.get((c.unit, period), headcounts.get(c.unit, float("nan")))
                    for c in units.children(unit.unit)
                ]
                declared = unit.headcount == unit.headcount
                headcounts[unit.unit] = unit.headcount if declared else sum(below) if below else float("nan")
            below = [
                self._headcounts.get((c.unit, period), headcounts.get(c.unit, float("nan")))
                for c in units.children(ALL)
            ]
            headcounts.setdefault(ALL, sum(below) if below else float("nan"))
        return headcounts

    @cached_property
    def _by_period(self) -> dict[str, dict[str, float]]:
        return {}


LEVELS = {
    "zh": {
        "company": "公司",
        "province": "省公司",
        "city": "市公司",
        "county": "县公司",
        "department": "部门",
        "station": "供电所",
        "team": "班组",
        "branch": "党支部",
        "line": "专业条线",
        "unit": "单位",
    },
    "en": {
        "company": "Company",
        "province": "Province",
        "city": "City companies",
        "county": "County companies",
        "department": "Departments",
        "station": "Stations",
        "team": "Teams",
        "branch": "Branches",
        "line": "Business lines",
        "unit": "Units",
    },
}
