"""Marks of branches that inspect each other (互学互查) in the synthetic enterprise."""

from __future__ import annotations

import numpy as np

from ..spec.periods import parse
from ..spec.units import Units
from . import names

STREAM = 6  # of random numbers
SET_SIZE, LEAST = 6, 4  # branches of one set, at most and at least
USUAL, SPREAD, RELATION, ITEM_ERROR = (
    82.0,
    3.0,
    3.0,
    1.0,
)  # points: standing of branches, liking of pairs, error of an item
STRICT = 9.0  # points by which one branch of the first set marks lower than the others
RETURNED = (
    0.95  # correlation of what two branches of the second set give each other beyond how strict and how good they are
)

Row = tuple[str, str, str, str, str, float]


def mutual_sets(units: Units, last: str) -> list[tuple[str, list[str]]]:
    """Return (period, branches) of the two sets: one in the quarter before, another in the last; none in a small enterprise."""
    branches = [unit.unit for unit in units.at(last).at_level("branch")]
    before = parse(last).shift(-1).text
    lasting = [unit for unit in branches if unit in units.at(before)]
    size = min(SET_SIZE, len(lasting) // 2)
    return [(before, lasting[:size]), (last, lasting[size : 2 * size])] if size >= LEAST else []


def planted_mutual(units: Units, last: str) -> list[tuple[str, str, str, str, float]]:
    """Return what is planted: kind of effect, unit, rubric, period, points or correlation."""
    sets = mutual_sets(units, last)
    if not sets:
        return []
    (before, first), _ = sets
    return [
        ("strict_inspector", first[0], names.MUTUAL, before, STRICT),
        ("returned_marks", "ALL", names.MUTUAL, last, RETURNED),
    ]


def mutual_marks(units: Units, last: str, seed: int, planted: bool) -> list[Row]:
    """Draw the marks that the branches of each set give to every other one, by item: rater, role, unit, period, code, value."""
    rng = np.random.default_rng([seed, STREAM])
    rows: list[Row] = []
    for place, (period, branches) in enumerate(mutual_sets(units, last)):
        marks = _round_robin(
            len(branches), planted * STRICT * (place == 0), planted * RETURNED * (place == 1), planted, rng
        )
        for c, item in enumerate(names.items_of(names.MUTUAL)):
            rows += [
                (judge, names.BRANCH_ROLE, judged, period, item, marks[i, j, c])
                for i, judge in enumerate(branches) for j, judged in enumerate(branches) if i != j
            ]  # fmt: skip
    return rows


def _round_robin(size: int, strict: float, returned: float, planted: bool, rng: np.random.Generator) -> np.ndarray:
    """Marks of rater × branch × item: how good it is, how strict the first rater is, what the pair thinks of each other, error."""
    standing = planted * SPREAD * rng.standard_normal(size)
    upper = np.triu(rng.standard_normal((size, size)), 1)
    relation = RELATION * (
        np.sqrt(returned) * (upper + upper.T) + np.sqrt(1 - returned) * rng.standard_normal((size, size))
    )
    error = ITEM_ERROR * rng.standard_normal((size, size, len(names.items_of(names.MUTUAL))))
    given = USUAL + standing[None, :] + relation - strict * (np.arange(size) == 0)[:, None]
    return np.asarray(given[:, :, None] + error)
