"""What was planted is found, and where nothing was planted nothing is, at the stated rate.

The rates are claims about 200 and 1,000 fast draws of the demo's answer model; a claimed coverage is accepted when the
number covered lies inside the 99 % binomial interval around the claim; of intervals that may be wider, above its lower end.
"""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from small import sums_of_draws
from trials import trials

import dj_analysis as dj
from dj_analysis.measure.inference import uncertainty
from dj_analysis.measure.inference.scorelimits import person_law, wider_limits
from dj_analysis.measure.survey_scores import scores_of_sums, sums_by_level, unit_sums

DIMENSIONS = [f"D{i}" for i in range(1, 9)]
PERIOD = "2026Q2"
DRAWS = trials(1000)


def accepted(covered: int, draws: int, claimed: float = 0.95) -> bool:
    return covered >= stats.binom.ppf(0.005, draws, claimed)


@pytest.fixture(scope="module")
def planted():
    return dj.make_company(employees=8000, branches=80, seed=3)


def test_planted_weak_dimension_is_the_lowest_of_its_city(planted):
    weak = planted.planted.query("kind == 'weak_dimension'")
    period = planted.periods[-1]
    assert len(weak) == 3
    draws, found = trials(200), dict.fromkeys(weak["unit"], 0)
    survey = planted.draw(period, 0)
    scores = None
    for sums in (block for first in range(0, draws, 20) for block in sums_of_draws(planted, period, first, 20)):
        if scores is None:
            scores = scores_of_sums({sums.axis: sums}, survey, ["city"])
        gaps = dj.contrast(replace(scores, sums={sums.axis: sums})).table  # it reads the sums alone
        gaps = gaps[gaps["code"].isin(DIMENSIONS)]
        for row in weak.itertuples():
            of_city = gaps[gaps["unit"] == row.unit]
            assert of_city["n"].min() >= 40
            lowest = of_city.loc[of_city["difference"].idxmin()]
            found[row.unit] += lowest["code"] == row.code and lowest["high"] < 0
    assert min(found.values()) >= 0.95 * draws, found


def test_draws_summed_together_are_those_summed_alone():
    company = dj.make_company(employees=240, branches=6, quarters=2, seed=11, planted=False)
    period = company.periods[0]
    for seed, sums in enumerate(sums_of_draws(company, period, 0, 3)):
        alone = unit_sums(company.draw(period, seed), ["branch"])[sums.axis].laid_out(sums.units, sums.cells)
        for name, values in alone.sums.items():
            np.testing.assert_allclose(sums.sums[name], values, rtol=1e-12, err_msg=name)


KEYS = ["level", "unit", "form", "code"]


def intervals_of(sums, survey) -> pd.DataFrame:
    """The intervals of ``dj.score`` without the rest of its tables: those of the first draw are compared with it."""
    tables = []
    law = person_law(sums.sums)
    for level, block in sums_by_level({sums.axis: sums}, survey, ["branch"]):
        means, cells = uncertainty.means(block.sums), len(block.cells)
        low, high = wider_limits(block.sums, means, law)
        forms, codes = (np.tile([cell[i] for cell in block.cells], len(block.units)) for i in (0, 1))
        of = {"level": level, "unit": np.repeat(block.units, cells), "form": forms, "code": codes}
        tables.append(pd.DataFrame(of | {"n": block.sums["n"].ravel(), "low": low.ravel(), "high": high.ravel()}))
    return pd.concat(tables, ignore_index=True)


@pytest.fixture(scope="module")
def coverage():
    """1,000 draws of a small company in which nothing was planted: how often each interval holds the truth."""
    company = dj.make_company(employees=240, branches=6, quarters=2, seed=11, planted=False)
    period = company.periods[0]
    truth = company.truth[company.truth["period"] == period].set_index(KEYS)["score"].to_dict()
    covered: dict[tuple[str, str], list[bool]] = {}
    real = []
    survey = company.draw(period, 0)
    scores = None
    for sums in (block for first in range(0, DRAWS, 100) for block in sums_of_draws(company, period, first, 100)):
        intervals = intervals_of(sums, survey)
        if scores is None:
            scores = scores_of_sums({sums.axis: sums}, survey, ["branch"])
            same = scores.table.merge(intervals, on=["level", "unit", "form", "code"], validate="one_to_one")
            assert len(same) == len(scores.table)
            for column in ("n", "low", "high"):
                np.testing.assert_array_equal(same[f"{column}_x"], same[f"{column}_y"])
        table = intervals[intervals["code"].isin([*DIMENSIONS, "INDEX"]) & (intervals["form"] == "anchors")]
        table = table[table["n"] >= 10]
        expected = np.array([truth[key] for key in zip(*(table[k] for k in KEYS), strict=True)])
        inside = (table["low"].to_numpy() <= expected) & (expected <= table["high"].to_numpy())
        for unit, code, hit in zip(table["unit"], table["code"], inside, strict=True):
            covered.setdefault((unit, code), []).append(bool(hit))
        gaps = dj.contrast(replace(scores, sums={sums.axis: sums})).table
        gaps = gaps[gaps["code"].isin(DIMENSIONS) & (gaps["n"] >= 10)]
        real.append(bool((gaps["q"] <= 0.10).any()))
    return covered, real


def test_intervals_cover_at_the_stated_rate(coverage):
    covered, _ = coverage
    tried = {key: hits for key, hits in covered.items() if len(hits) == DRAWS}
    units = {unit for unit, _ in tried}
    assert len(units) >= 3
    # One unit at a time: its draws are independent. 9 codes × units are judged together, so a bound on the whole
    # rather than on each: the share of cells outside their 99 % interval.
    outside = {key: sum(hits) for key, hits in tried.items() if not accepted(sum(hits), len(hits))}
    assert len(outside) <= stats.binom.ppf(0.999, len(tried), 0.01), outside
    index = [hits for (unit, code), hits in tried.items() if code == "INDEX" and unit != "ALL"]
    assert all(accepted(sum(hits), len(hits)) for hits in index), [sum(hits) for hits in index]


def test_nothing_planted_gives_no_differences_beyond_the_rate(coverage):
    _, real = coverage
    # Under the null every discovery is false, so P(any) is the false discovery rate: at most 10 %.
    assert sum(real) <= stats.binom.ppf(0.99, len(real), 0.10), np.mean(real)
