"""What people say of the branches that serve them (群众评议) in the synthetic enterprise."""

from __future__ import annotations

import numpy as np

from . import names

STREAM = 7  # of random numbers
PEOPLE = (13, 19)  # asked about a branch: from, up to but not
FEW, FEW_PEOPLE = 1, 4  # place of the branch that hardly anybody was asked about, and how many were
USUAL, SPREAD, PERSON = 84.0, 3.0, 7.0  # points: of branches, and of people who judge the same one
DISAPPOINTED = -14.0  # what people say of the branch that does much but poorly, in points

Row = tuple[str, str, str, str, str, float]


def planted_opinions(poor: list[str], last: str) -> list[tuple[str, str, str, str, float]]:
    """Return what is planted: people are less satisfied with the branch that does much but poorly."""
    return [("low_satisfaction", unit, names.OPINION, last, DISAPPOINTED) for unit in poor]


def opinion_marks(branches: list[str], poor: list[str], last: str, seed: int, planted: bool) -> list[Row]:
    """Draw the marks of people who each judge one branch, by item: rater, role, unit, period, code, value."""
    rng = np.random.default_rng([seed, STREAM])
    rows: list[Row] = []
    asked = 0
    for place, unit in enumerate(dict.fromkeys([*branches, *poor])):
        people = FEW_PEOPLE if place == FEW and unit not in poor else int(rng.integers(*PEOPLE))
        standing = USUAL + planted * (SPREAD * rng.standard_normal() + DISAPPOINTED * (unit in poor))
        marks = standing + PERSON * rng.standard_normal((people, 1)) + rng.standard_normal((people, 2))
        for mark in marks:
            asked += 1
            rows += [
                (f"P{asked:04d}", names.PEOPLE_ROLE, unit, last, item, value)
                for item, value in zip(names.items_of(names.OPINION), mark, strict=True)
            ]
    return rows
