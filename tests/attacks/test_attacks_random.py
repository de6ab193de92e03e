"""The attacker against random companies: one wave at a time with all trees, groups and questions, and four waves together.

A few companies are attacked in every run; ``DJ_ATTACK=1`` attacks all of them, which takes a quarter of an hour.
"""

from __future__ import annotations

import os
from functools import cache
from typing import Any

import attacker
import numpy as np
import pandas as pd
import pytest
from companies import random_company
from trials import trials

import dj_analysis as dj

ALL_OF_THEM = "DJ_ATTACK" in os.environ
# (first seed, companies, waves of each): within one wave, and with the earlier values that later waves tell.
CHUNKS = (
    [*((20 * k, 20, 2) for k in range(8)), *((5000 + 20 * k, 20, 4) for k in range(3))]
    if ALL_OF_THEM
    else [(0, trials(6, 3), 2), (5000, trials(4, 2), 4)]
)


@cache
def found(first: int, companies: int, waves: int) -> dict[str, Any]:
    """Attack the companies of a chunk once; the tests below look at different sides of it."""
    return attacker.attacked(range(first, first + companies), waves)


@pytest.mark.parametrize("seed", [1, 41])
def test_the_attacker_knows_who_has_a_score(seed, tmp_path):
    """His own scoring of persons counts whom the package counts, in companies with short and full forms too."""
    company = random_company(seed, tmp_path / "company", 2)
    ws = dj.open_workspace(tmp_path / "company")
    for period in company.periods:
        table = ws.scores(period).table.query("unit == 'ALL'").set_index(["form", "code"])["n"]
        own = attacker.person_scores(company, period).notna().sum()
        assert len(own) > 3
        assert {cell: own[cell] for cell in own.index if cell in table.index} == {
            cell: table[cell] for cell in own.index if cell in table.index
        }


@pytest.mark.parametrize("chunk", CHUNKS)
def test_no_total_is_about_few_people(chunk):
    assert not found(*chunk)["people"]


@pytest.mark.parametrize("chunk", CHUNKS)
def test_no_total_is_about_few_who_answered_a_question(chunk):
    assert not found(*chunk)["code"]


@pytest.mark.parametrize("chunk", CHUNKS)
def test_no_difference_of_totals_is_about_few_people(chunk):
    assert not found(*chunk)["signed"]


@pytest.mark.parametrize("waves", [2, 4])
def test_the_attacker_breaks_what_only_hides_small_rows(waves):
    """The control: the same attack on the same companies where nothing but small rows is hidden."""
    chunks = [chunk for chunk in CHUNKS if chunk[2] == waves]
    tried, companies = sum(found(*chunk)["tried"] for chunk in chunks), sum(chunk[1] for chunk in chunks)
    print(f"{tried} published totals of {companies} companies attacked")
    assert tried > 100 * companies
    assert sum(found(*chunk)["naive"] for chunk in chunks) > 0.7 * companies


# --- Nothing follows what is hidden -------------------------------------------------------------------------------


def homes(company, period: str, tables: dict[str, list[pd.DataFrame]]) -> pd.Series:
    """Who cannot be told apart by any published total of people of a wave: one number a set."""
    every = attacker.told(company, tables)[period]
    sets = np.array([one for told in every.sets.values() for one in told.values()])
    _, number = np.unique(sets, axis=1, return_inverse=True)
    return pd.Series(number.ravel())


@pytest.mark.parametrize("chunk", range(3 if ALL_OF_THEM else 1))
def test_no_number_follows_who_of_those_told_together_answered_what(chunk, tmp_path):
    """Answers change places among people no total parts: no number, q-value, probability or mix may change.

    With that no number depends on hidden units but through totals that are told anyway, so a system of equations over
    several waves (mix and within of compare among them) cannot know more of a hidden unit than these totals do.
    """
    changed, moved = 0, []
    # In every run two companies whose masks take little time.
    for seed in range(1000 + 6 * chunk, 1006 + 6 * chunk) if ALL_OF_THEM else (1002, 1007)[: trials(2, 1)]:
        company = random_company(seed, tmp_path / str(seed))
        rng = np.random.default_rng(seed)
        ws = dj.open_workspace(company.folder)
        tables, plan = attacker.published(company, ws), ws.release_plan(company.periods[-1])
        for period in company.periods[-2:]:
            home, people = homes(company, period, tables), company.people[period]
            order = np.arange(len(people))
            for _, rows in home.groupby(home):
                order[rows.index] = rng.permutation(rows.index)
            answers = [c for c in people if c in company.items or c == company.weight]
            other = people.copy()
            other[answers] = people[answers].to_numpy()[order]
            company.write_wave(period, other)
            again = dj.open_workspace(company.folder)
            if again.release_plan(company.periods[-1]) == plan:
                changed += int((order != np.arange(len(order))).sum())
                after = attacker.published(company, again)
                for kind, given in tables.items():
                    for first, second in zip(given, after[kind], strict=True):
                        moved += [(seed, period, kind, name) for name in first if not _same(first[name], second[name])]
            company.write_wave(period, people)
    assert not moved
    assert changed > 10, "there was something to change"


def _same(first: pd.Series, second: pd.Series) -> bool:
    if pd.api.types.is_float_dtype(first.dtype):
        return bool(np.allclose(first.to_numpy(float), second.to_numpy(float), atol=1e-9, equal_nan=True))
    return first.equals(second)
