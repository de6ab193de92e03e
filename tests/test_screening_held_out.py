"""Screening on sheets of another generator than the one its cuts were set on: logistic item responses, heavy-tailed traits."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import dj_analysis as dj
from dj_analysis.spec.codebook import Codebook

CODEBOOK: Codebook = dj.make_company(employees=60, branches=3, quarters=1, seed=1).spec.codebook
ITEMS = CODEBOOK.tree.leaves_of(str(CODEBOOK.index))


def sheets(people: int, ease: float, alike: float, rng: np.random.Generator) -> pd.DataFrame:
    """Honest answers to the full form; ``ease``: how easily people agree, ``alike``: correlation of dimensions."""
    common, traits, answers = rng.standard_t(6, people) / np.sqrt(1.5), {}, {}
    for item in ITEMS:
        dimension = CODEBOOK.tree.ancestors(item.code)[0]
        if dimension not in traits:
            own = rng.standard_t(6, people) / np.sqrt(1.5)
            traits[dimension] = np.sqrt(alike) * common + np.sqrt(1 - alike) * own
        loading = rng.uniform(0.45, 0.85)
        noise = np.sqrt(1 - loading**2) * rng.logistic(0, 0.55, people)
        cuts = np.array([-2.2, -1.2, -0.3, 0.9]) - ease + rng.normal(0, 0.35)
        agreed = 1 + (loading * traits[dimension][:, None] + noise[:, None] > cuts).sum(axis=1)
        answers[item.code] = 6 - agreed if item.direction == -1 else agreed
    frame = pd.DataFrame(answers).assign(unit="B001", Q1=4)
    asked = {leaf.code for leaf in CODEBOOK.tree.leaves} | {node.code for node in CODEBOOK.others}
    return frame.reindex(columns=[*frame.columns, *sorted(asked - set(frame.columns))])


def signs(frame: pd.DataFrame) -> np.ndarray:
    return dj.screen(dj.read_survey(frame, CODEBOOK, period="2026Q3", form="full")).table["flags"].to_numpy()


@pytest.mark.parametrize(("ease", "alike"), [
    (1.2, 0.3), *(pytest.param(*cell, marks=pytest.mark.everything) for cell in ((0.0, 0.8), (2.0, 0.8))),
])  # fmt: skip
def test_honest_sheets_have_hardly_ever_a_sign(ease: float, alike: float):
    found = signs(sheets(2000, ease, alike, np.random.default_rng(77)))
    assert (found >= 2).mean() <= 0.001
    assert (found >= 1).mean() <= 0.005


def test_random_sheets_and_straight_lines_are_found():
    rng = np.random.default_rng(78)
    frame = sheets(2000, 1.2, 0.5, rng)
    for item in ITEMS:
        frame.loc[:199, item.code] = rng.integers(1, 6, 200)
        frame.loc[200:299, item.code] = 5
    found = signs(frame)
    assert (found[:200] >= 1).mean() > 0.8
    assert (found[:200] >= 2).mean() > 0.5
    assert (found[200:300] >= 1).mean() > 0.95
    assert (found[300:] >= 1).mean() <= 0.005
