"""No red or black warning leaves beside its unit before the review (通气核实): what was not looked at by people is not named."""

from __future__ import annotations

import pandas as pd

from ..act.notices import Notices
from ..act.proposals import Proposals
from ..errors import UsageError
from ..judge.alerts import Alerts
from ..judge.human_review import REVIEWED, ReviewedAlerts, after_review
from ..result import Result
from ..spec.periods import parse


def review_passed(result: Result) -> Result:
    """Return a result without the names of units whose red or black warning was not reviewed.

    Warnings that :func:`dj_analysis.methods.after_review` has looked at pass as they are, and so do the proposals made of them. Of
    others no red or black one passes: nobody was notified as far as they know. A letter passes for one unit alone.
    """
    if isinstance(result, Notices):
        if result.table["unit"].nunique() > 1:
            raise UsageError(
                "告知函一单位一份:先用 notices.of(单位) (a letter is for one unit alone: notices.of(unit))"
            )
        return result
    if isinstance(result, ReviewedAlerts) or (isinstance(result, Proposals) and result.reviewed):
        return result
    if isinstance(result, Alerts):
        return after_review(result, None, parse(result.period).end) if len(result.table) else result
    named = _named_with_a_warning(result)
    return _without(result, named) if named else result


def _named_with_a_warning(result: Result) -> frozenset[tuple[str, str]]:
    """Return the (period, unit) that stand beside a red or black warning anywhere in a result."""
    own: set[tuple[str, str]] = set()
    if {"period", "unit", "warning"} <= set(result.table.columns):
        rows = result.table[result.table["warning"].isin(REVIEWED)]
        own = set(zip(rows["period"], rows["unit"], strict=True))
    return frozenset(own).union(*(_named_with_a_warning(part) for part in result.parts.values()))


def _without(result: Result, named: frozenset[tuple[str, str]]) -> Result:
    """Return a result, and its parts, without the rows of some units."""
    table, parts = result.table, {name: _without(part, named) for name, part in result.parts.items()}
    if {"period", "unit"} <= set(table.columns):
        keys = pd.MultiIndex.from_frame(table[["period", "unit"]])
        table = table[~keys.isin(list(named))].reset_index(drop=True)
    return result.remade(table, parts=parts)
