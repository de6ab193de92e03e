"""The result class of scores."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import pandas as pd

from ..errors import unknown
from ..result import Result
from .linked_scores import VersionLink
from .unitsums import UnitSums

KEYS = ("period", "level", "unit", "form", "code")
STATISTICS = ("n", "score", "sd", "se", "df", "skewness", "low", "high", "favourable")


@dataclass(frozen=True)
class Scores(Result):
    """Scores by unit and code, with the sums they rest on.

    ``.table``: period, level, unit, form, code, n, score (0–100, high is good), sd, se, df, skewness (of the mean),
    se_source, low, high (95 % interval), favourable (share of favourable answers, 0–1), reason (why something is missing).
    """

    sums: Mapping[str, UnitSums] = field(default_factory=dict, repr=False)
    version_links: tuple[VersionLink, ...] = field(default=(), repr=False)

    @property
    def shares(self) -> Result:
        """Shares with intervals: the keys, statistic (favourable, below), cut, n, count, share, low, high, reason.

        Favourable ones have Wilson's (1927) interval, those below a cut the exact one (Clopper & Pearson 1934).
        """
        return self.parts["shares"]

    @property
    def with_teams(self) -> bool:
        """Tell whether errors allow for work teams: the answers told them, and some unit has two."""
        return any("wwt" in block.sums for block in self.sums.values())

    @property
    def response(self) -> Result:
        """Participation: period, level, unit, n, headcount, rate, reason."""
        return self.parts["response"]

    @property
    def links(self) -> Result:
        """Changes of the indicators among the months, and how scores before and after are linked; only of branch indicators.

        Columns: period (first of the new version), before_period (last of the old), level (of the units compared), code, method
        (``overlap``, ``common_items``, ``same_units``, ``broken``), units, months, anchors (indicators both versions share),
        score_before and score (what a mean score before is after the change), slope, link_se (of score), reason.
        """
        return self.parts["links"]

    def at(self, unit: str, code: str, form: str = "anchors") -> pd.Series:
        """Return the row of one unit and code."""
        table = self.table
        row = table[(table["unit"] == unit) & (table["code"] == code) & (table["form"] == form)]
        if row.empty:
            raise unknown("单位和代码/unit and code", f"{unit} {code} {form}", table["unit"].unique())
        return row.iloc[0]


def inherited(scores: Scores) -> dict[str, Any]:
    """Return what a result computed of scores takes over from them: period, declarations, what was counted and withheld."""
    names = ("period", "about", "programme", "spec", "periods", "withheld", "basis")
    return {name: getattr(scores, name) for name in names}


def joined(tables: list[pd.DataFrame]) -> pd.DataFrame:
    """Concatenate tables with the same columns, with text columns as strings."""
    table = pd.concat(tables, ignore_index=True) if len(tables) != 1 else tables[0].reset_index(drop=True)
    text = [name for name in table.columns if table[name].dtype == object]
    return table.astype(dict.fromkeys(text, "str")) if text else table
