"""How often honest sheets are flagged, and careless ones found, by population: where answers pile up, split, or hang together.

The simulator shares nothing with the demo company. ``DJ_GRID=1`` runs every cell of the table in docs/methods.md. Limits are
those stated there; a count may lie above by what the 99 % binomial interval allows.
"""

from __future__ import annotations

import os
from functools import cache

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from small import codebook_of, plain_table

from dj_analysis.measure.scales.quality import screen
from dj_analysis.measure.survey import Survey
from dj_analysis.spec.specification import Specification

#: Points of the latent answer where one option ends and the next begins: means of about 50, 83 and 94.
CUTS = {"middle": (-1.5, -0.5, 0.5, 1.5), "good": (-2.6, -1.9, -1.1, 0.0), "ceiling": (-3.0, -2.5, -1.9, -0.8)}
POPULATIONS = ("middle", "good", "ceiling", "mixture", "polarised")
#: Share of honest sheets with each sign, at most, in any cell of the grid; the longest runs without reversed questions.
LIMITS = {
    "longstring": 0.032, "irv": 0.001, "mahalanobis": 0.0015, "even_odd": 0.001, "scatter": 0.0125, "duplicate": 0.001,
    "at_least_2": 0.0005,
}  # fmt: skip
PEOPLE = 2000


def instrument(scales: int, each: int, reversed_one: bool) -> list[tuple]:
    rows: list[tuple] = [("INDEX", ""), *((f"D{d}", "INDEX") for d in range(scales))]
    return rows + [
        (f"q{d}_{i}", f"D{d}", -1 if reversed_one and i == 1 else 1, 1.0, 1, 5)
        for d in range(scales)
        for i in range(each)
    ]


def honest(
    population: str, scales: int, each: int, reversed_one: bool, general: float, random: np.random.Generator
) -> np.ndarray:
    """Sheets of people who read: one factor a dimension, factors correlated ``general``, loadings .75, options 1–5."""
    whole = random.standard_normal((PEOPLE, 1, 1))
    mood = np.sqrt(general) * whole + np.sqrt(1 - general) * random.standard_normal((PEOPLE, scales, 1))
    cuts = CUTS.get(population, CUTS["middle"])
    if population == "mixture":  # a tenth is discontented
        mood, cuts = np.where(random.random((PEOPLE, 1, 1)) < 0.1, mood - 2.5, mood), CUTS["good"]
    if population == "polarised":
        mood = 0.5 * mood + np.where(random.random((PEOPLE, 1, 1)) < 0.5, 1.5, -1.5)
    latent = 0.75 * mood + np.sqrt(1 - 0.75**2) * random.standard_normal((PEOPLE, scales, each))
    ticked = 1 + (latent[..., None] > np.array(cuts)).sum(axis=-1)
    if reversed_one:
        ticked[:, :, 1] = 6 - ticked[:, :, 1]
    return ticked.reshape(PEOPLE, -1).astype(float)


@cache
def cell(population: str, scales: int, each: int, reversed_one: bool, general: float) -> tuple[pd.DataFrame, ...]:
    """Screened honest sheets of a wave without others, and random and straight ones (100 of each) among 2,000 honest."""
    random = np.random.default_rng([POPULATIONS.index(population), scales * each, int(reversed_one), int(10 * general)])
    codebook = codebook_of(plain_table(*instrument(scales, each, reversed_one)))
    names = [leaf.code for leaf in codebook.tree.leaves]

    def screened(rows: np.ndarray) -> pd.DataFrame:
        return screen(Survey(pd.DataFrame(rows, columns=names), Specification(codebook=codebook), "2026Q3")).table

    read = honest(population, scales, each, reversed_one, general, random)
    ticked = random.integers(1, 6, (100, scales * each)).astype(float)
    straight = np.repeat(random.integers(1, 6, (100, 1)), scales * each, axis=1).astype(float)
    mixed = screened(np.vstack([read, ticked, straight]))
    return screened(read), mixed[PEOPLE : PEOPLE + 100], mixed[PEOPLE + 100 :]


def shown(table: pd.DataFrame, sign: str) -> int:
    if sign == "at_least_2":
        return int((table["flags"] >= 2).sum())
    return int(table["reason"].str.split(";").map(lambda signs: sign in signs).sum())


GRID = [
    (population, scales, each, turned, general)
    for scales, each in ((8, 5), (8, 2))
    for turned in (False, True)
    for general in (0.3, 0.8)
    for population in POPULATIONS
]
#: In every run: the pulse without reversed questions and strongly correlated, where the old cuts failed, and one unlike it.
FEW = [one for one in GRID if one[1:] in ((8, 2, False, 0.8), (8, 5, True, 0.3))]


@pytest.mark.parametrize("where", GRID if os.environ.get("DJ_GRID") else FEW, ids=str)
def test_honest_sheets_are_flagged_as_seldom_as_stated(where):
    read, _, _ = cell(*where)
    for sign, limit in LIMITS.items():
        assert shown(read, sign) <= stats.binom.ppf(0.995, PEOPLE, limit), sign


@pytest.mark.parametrize("where", GRID if os.environ.get("DJ_GRID") else FEW, ids=str)
def test_random_sheets_are_found_where_dimensions_correlate_too(where):
    _, ticked, _ = cell(*where)
    least = 0.08 if where[0] == "mixture" else 0.25
    assert (ticked["flags"] >= 1).mean() >= least
    if where[0] != "mixture" and where[1:3] == (8, 5):
        assert (ticked["flags"] >= 1).mean() >= 0.5


def test_straight_lines_show_one_behaviour_and_all_of_them_where_a_question_is_reversed():
    _, _, turned = cell("middle", 8, 5, True, 0.3)
    assert (turned["flags"] >= 1).all()
    _, _, plain = cell("ceiling", 8, 2, False, 0.8)
    best = plain["irv"].eq(0) & (plain["reason"] == "")
    assert 0.1 <= best.mean() <= 0.3  # a fifth is the best answer all along: nothing tells it from an honest sheet
    assert plain["flags"].max() == 1


def test_the_best_answers_all_along_are_careless_only_against_a_reversed_question():
    answers = np.full((3, 16), 5.0)
    for turned, said in ((False, False), (True, True)):
        codebook = codebook_of(plain_table(*instrument(8, 2, turned)))
        names = [leaf.code for leaf in codebook.tree.leaves]
        table = screen(Survey(pd.DataFrame(answers, columns=names), Specification(codebook=codebook), "2026Q3")).table
        assert table["reason"].str.contains("longstring;irv").eq(said).all()
