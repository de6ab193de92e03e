"""The attacker against random companies, one wave at a time: trees, groups and questions together."""

from __future__ import annotations

import os
from functools import cache
from typing import Any

import attacker
import pytest

pytestmark = pytest.mark.skipif(
    "DJ_ATTACK" not in os.environ, reason="random companies take a quarter of an hour: set DJ_ATTACK=1"
)
COMPANIES, CHUNK, FIRST, WAVES = 160, 20, 0, 2
CHUNKS = range(COMPANIES // CHUNK)


@cache
def found(chunk: int) -> dict[str, Any]:
    """Attack the companies of a chunk once; the tests below look at different sides of it."""
    return attacker.attacked(range(FIRST + chunk * CHUNK, FIRST + (chunk + 1) * CHUNK), WAVES)


@pytest.mark.parametrize("chunk", CHUNKS)
def test_no_total_is_about_few_people(chunk):
    assert not found(chunk)["people"]


@pytest.mark.parametrize("chunk", CHUNKS)
def test_no_total_is_about_few_who_answered_a_question(chunk):
    assert not found(chunk)["code"]


@pytest.mark.parametrize("chunk", CHUNKS)
def test_no_difference_of_totals_is_about_few_people(chunk):
    assert not found(chunk)["signed"]


def test_the_attacker_breaks_what_only_hides_small_rows():
    """The control: the same attack on the same companies where nothing but small rows is hidden."""
    tried = sum(found(chunk)["tried"] for chunk in CHUNKS)
    print(f"{tried} published totals attacked")
    assert tried > 30000
    assert sum(found(chunk)["naive"] for chunk in CHUNKS) > 0.8 * COMPANIES
