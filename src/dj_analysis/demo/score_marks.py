"""Score sheets of the synthetic enterprise: inspection teams, bids before a jury, branches of each other, people, a checklist."""

from __future__ import annotations

from typing import Literal

import numpy as np
import pandas as pd

from ..spec.periods import parse
from ..spec.rubrics import Rubric
from ..spec.tree import Node
from ..spec.units import Units
from . import names
from .indicators import kinds_of
from .mutual_marks import mutual_marks, planted_mutual
from .opinion_marks import opinion_marks, planted_opinions

STREAM = 4  # of random numbers; answers take the first, exports the second, branch indicators the third
INSPECTED = 30  # branches looked at, at most
LEAST_INSPECTED = 8  # from so many on one of them assesses itself far too high
USUAL, SPREAD, ITEM_SPREAD = 82.0, 4.0, 1.5  # points: true standing of branches, and of their items around it
MARK_ERROR, SELF_ERROR = 2.0, 1.5  # points: of one mark by a team or a judge, by the unit itself
TEAMS = {"T1": 3.0, "T2": -1.0}  # points by which a team is stricter than it should be
SELF_BIAS, INFLATED = 3.0, 14.0  # points: all units' own view, and what one of them adds to it
JUDGES, JUDGE_SPREAD, BIDS = 7, 2.0, 5
CLEAR = (8.0, 0.0, -1.0, -3.0, -5.0)  # bids around 80 points: a clear winner
EQUAL = (4.0, 4.0, -2.0, -4.0, -6.0)  # two that are equally good


def demo_rubrics() -> dict[str, Rubric]:
    """Return the rubrics: yearly assessment, bids for projects, mutual inspection, opinion of the people, the four ones."""
    rubrics = {}
    for code, zh, en, types, items in names.RUBRICS:
        listed = code == names.FOUR_ONES
        most = 1.0 if listed else 100.0
        nodes = tuple(Node(item, code, zh_, en_, minimum=0.0, maximum=most) for item, zh_, en_ in items)
        raters: Literal["people", "officials"] = "people" if code == names.OPINION else "officials"
        rubrics[code] = Rubric(code, zh, en, nodes, types, raters, "checklist" if listed else "")
    return rubrics


def planted_marks(units: Units, last: str, planted: bool) -> list[tuple[str, str, str, str, float]]:
    """Return what is planted among score sheets: kind of effect, unit, rubric or team, period, points."""
    if not planted:
        return []
    inspection, bids = names.INSPECTION, names.BIDDING
    inspected, bidders = _inspected(units, last), _bidders(units, last)
    effects = [("team_severity", "ALL", team, last, points) for team, points in TEAMS.items()]
    effects.append(("self_bias", "ALL", inspection, last, SELF_BIAS))
    if len(inspected) >= LEAST_INSPECTED:
        effects.append(("inflated_self", inspected[len(inspected) // 2], inspection, last, INFLATED))
    if len(bidders) == BIDS:
        effects.append(("clear_bid", bidders[0], bids, parse(last).shift(-1).text, CLEAR[0] - CLEAR[1]))
        effects += [("equal_bids", unit, bids, last, 0.0) for unit in bidders[:2]]
    effects += [("lacks_item", unit, item, last, 1.0) for unit, item in _lacking(inspected)]
    return effects + planted_mutual(units, last) + planted_opinions(_poor(units, last, planted), last)


def draw_marks(units: Units, last: str, seed: int, planted: bool) -> pd.DataFrame:
    """Draw the score sheets of the last quarter, and of bids and mutual inspection of the one before.

    A third of the inspected branches are seen by both teams, so that how strict they are can be told from how good the branches
    are.

    Parameters
    ----------
    planted
        False: every branch and bid is equally good, teams, judges and branches are equally strict, nobody flatters itself, no
        branch returns marks, people say the same of all, nothing is lacking.

    Returns
    -------
    pandas.DataFrame
        rater, role, unit, period, code, value: the text cells of the file.
    """
    rng = np.random.default_rng([seed, STREAM])
    tables = [_inspection(_inspected(units, last), units, last, rng, planted)]
    for period, standing in ((parse(last).shift(-1).text, CLEAR), (last, EQUAL)):
        bidders = [unit for unit in _bidders(units, last) if unit in units.at(period)]
        tables.append(_bids(bidders, period, standing if planted else (0.0,) * BIDS, rng, planted))
    tables.append(_marks(mutual_marks(units, last, seed, planted)))
    poor = _poor(units, last, planted)
    tables.append(_marks(opinion_marks(_inspected(units, last), poor, last, seed, planted)))
    tables.append(_marks(_flags(_inspected(units, last), last, planted), "{:.0f}"))
    return pd.concat(tables, ignore_index=True)


def _poor(units: Units, last: str, planted: bool) -> list[str]:
    """Return the branch that does much but poorly, where one is planted and still there."""
    there = units.at(last)
    return [unit for kind, unit, *_ in kinds_of(units, planted) if kind == "much_but_poor" and unit in there]


def _lacking(branches: list[str]) -> list[tuple[str, str]]:
    """Return (branch, item) of what inspection does not find of the four ones."""
    _, form, report, data = names.items_of(names.FOUR_ONES)
    missing = ((2, report), (5, report), (5, data), (9, form))
    return [(branches[place], item) for place, item in missing if place < len(branches)]


def _flags(branches: list[str], last: str, planted: bool) -> list[tuple[str, str, str, str, str, float]]:
    """What a team found of the four ones, by item; the branches say of themselves that they have all."""
    lacking = set(_lacking(branches)) if planted else set()
    return [
        (rater, role, unit, last, item, float(role == names.SELF_ROLE or (unit, item) not in lacking))
        for i, unit in enumerate(branches) for rater, role in ((f"T{i % 2 + 1}", names.TEAM_ROLE), ("SELF", names.SELF_ROLE))
        for item in names.items_of(names.FOUR_ONES)
    ]  # fmt: skip


def _inspected(units: Units, last: str) -> list[str]:
    branches = [unit.unit for unit in units.at(last).at_level("branch")]
    return branches[:: max(1, len(branches) // INSPECTED)][:INSPECTED]


def _bidders(units: Units, last: str) -> list[str]:
    branches = [unit.unit for unit in units.at(last).at_level("branch")]
    return branches[:: max(1, len(branches) // BIDS)][:BIDS]


def _inspection(branches: list[str], units: Units, last: str, rng: np.random.Generator, planted: bool) -> pd.DataFrame:
    """Marks of two teams and of the branches themselves, by item."""
    *_, items = names.RUBRICS[0]
    size = (len(branches), len(items))
    standing = USUAL + planted * (SPREAD * rng.standard_normal((size[0], 1)) + ITEM_SPREAD * rng.standard_normal(size))
    rows = []
    for place, team in enumerate(TEAMS):
        marks = standing - planted * TEAMS[team] + MARK_ERROR * rng.standard_normal(size)
        few = len(branches) < LEAST_INSPECTED
        seen = [i for i in range(len(branches)) if few or i % 3 in (0, place + 1)]
        rows += [
            (team, names.TEAM_ROLE, branches[i], last, items[j][0], marks[i, j]) for i in seen for j in range(size[1])
        ]
    extra = {
        unit: points for kind, unit, _, _, points in planted_marks(units, last, planted) if kind == "inflated_self"
    }
    own = standing + planted * SELF_BIAS + SELF_ERROR * rng.standard_normal(size)
    own += np.array([[extra.get(unit, 0.0)] for unit in branches])
    rows += [
        ("SELF", names.SELF_ROLE, unit, last, items[j][0], own[i, j])
        for i, unit in enumerate(branches)
        for j in range(size[1])
    ]
    return _marks(rows)


def _bids(
    bidders: list[str], period: str, standing: tuple[float, ...], rng: np.random.Generator, planted: bool
) -> pd.DataFrame:
    """Marks of a jury that sees every bid, on three criteria."""
    *_, criteria = names.RUBRICS[1]
    strict = planted * JUDGE_SPREAD * rng.standard_normal(JUDGES)
    error = MARK_ERROR * rng.standard_normal((JUDGES, len(bidders), len(criteria)))
    rows = [
        (f"J{j + 1}", names.JURY_ROLE, unit, period, criterion, 80.0 + standing[i] - strict[j] + error[j, i, c])
        for j in range(JUDGES) for i, unit in enumerate(bidders) for c, (criterion, *_) in enumerate(criteria)
    ]  # fmt: skip
    return _marks(rows)


def _marks(rows: list[tuple[str, str, str, str, str, float]], written: str = "{:.1f}") -> pd.DataFrame:
    """Write marks as text cells, within 0 to 100."""
    table = pd.DataFrame(rows, columns=["rater", "role", "unit", "period", "code", "value"])
    table["value"] = table["value"].clip(0, 100).map(written.format)
    return table
