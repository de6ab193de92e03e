"""Power of changes: the table printed before a wave against answers of persons, judged as ``dj.compare`` judges them.

Tolerance of a share found: the 99 % binomial interval of the fallen units drawn (2,000 a cell), and .02 for what the table leaves
out (variances are estimated, answers are not quite normal).
"""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import small
from scipy import stats
from statsmodels.stats.power import tt_ind_solve_power

import dj_analysis as dj
from dj_analysis.demo import Company
from dj_analysis.errors import UsageError
from dj_analysis.judge.change import told_apart
from dj_analysis.judge.moderated import chance
from dj_analysis.judge.tree_rates import bh_adjusted
from dj_analysis.measure.inference.uncertainty import means
from dj_analysis.measure.inference.unitlaws import unit_laws

UNITS, FALLEN, WAVES = 200, 10, 200


def moments(x: np.ndarray) -> dict[str, np.ndarray]:
    """Sums over people (last axis) as a wave of equal weights has them."""
    n = np.full(x.shape[:-1], float(x.shape[-1]))
    powers = {f"w{'x' * k}": (x**k).sum(axis=-1, dtype=float) for k in range(1, 5)}
    return powers | {"n": n, "w": n, "ww": n, "www": n, "wwx": powers["wx"], "wwxx": powers["wxx"]}


def found(people: int, fall: float, seed: int) -> float:
    """Share of the ten fallen units of 200 that are named, over many waves of persons."""
    rng, kept = np.random.default_rng(seed), np.ones(UNITS, dtype=bool)
    total = 0
    for _ in range(4):
        waves = [60 + 14 * rng.standard_normal((UNITS, WAVES // 4, people), dtype=np.float32) for _ in range(2)]
        waves[0][:FALLEN] -= fall
        sums = [moments(wave) for wave in waves]
        laws = [unit_laws(one, means(one), kept) for one in sums]
        p = chance(sums[0]["wx"] / people - sums[1]["wx"] / people, *laws)
        total += ((bh_adjusted(p) <= 0.10) & (p <= 0.05))[:FALLEN].sum()
    return total / (FALLEN * WAVES)


TABLE = dj.methods.change_power(units=UNITS, fallen=FALLEN)


@pytest.mark.parametrize("people", [12, 30, 60, 120])
@pytest.mark.parametrize("fall", [5.0, 8.0, 12.0])
def test_planted_falls_are_found_as_the_power_table_says(people: int, fall: float):
    said = TABLE[(TABLE["n"] == people) & (TABLE["fall"] == fall)]["detected"].item()
    low, high = stats.binom.ppf([0.005, 0.995], FALLEN * WAVES, said) / (FALLEN * WAVES)
    assert low - 0.02 <= found(people, fall, seed=people) <= high + 0.02


def test_the_table_holds_the_figures_of_the_domain_map():
    """E1: of ten true falls of 8 among 200 units 2 % are found at n = 12, 17 % at 30, 57 % at 60; n 123 and 49 for 5 points."""
    eight = TABLE[TABLE["fall"] == 8].set_index("n")["detected"]
    assert eight.loc[[12, 30, 60]].tolist() == pytest.approx([0.02, 0.17, 0.57], abs=0.02)
    single = dj.methods.change_power([123], falls=[5], draws=1)["single"].item()
    assert single == pytest.approx(tt_ind_solve_power(5 / 14, nobs1=123, alpha=0.05), abs=1e-4)
    assert single == pytest.approx(0.8, abs=0.005)
    assert dj.methods.change_power([49], falls=[5], linked=1, draws=1)["single"].item() == pytest.approx(0.8, abs=0.015)


def test_linked_people_find_more():
    shares = [dj.methods.change_power([60], falls=[8], linked=share)["detected"].item() for share in (0, 0.3, 0.6, 1)]
    assert shares == sorted(shares)
    assert shares[-1] > shares[0] + 0.3


def test_nothing_fallen_is_named_as_often_as_claimed():
    """A fall of nothing: hardly ever named, by a single test at its level."""
    row = dj.methods.change_power([30], falls=[1e-9]).iloc[0]
    assert row["single"] == pytest.approx(0.05, abs=1e-6)
    assert row["detected"] < 0.005


@pytest.mark.parametrize("wrong", [{"people": [1]}, {"fallen": 0}, {"fallen": 300}, {"linked": 1.2}, {"sd": 0}])
def test_numbers_out_of_range_are_named(wrong: dict):
    with pytest.raises(UsageError, match="people >= 2"):
        dj.methods.change_power(**({"people": [30], "draws": 1} | wrong))


def test_after_a_wave_the_errors_are_its_own():
    company: Company = dj.make_company(employees=4000, branches=40, quarters=2, seed=3)
    now, before = (small.gated(company.draw(period, 1), "branch") for period in ("2026Q3", "2026Q2"))
    change = dj.compare(dj.score(now, by=["city", "branch"]), dj.score(before, by=["city", "branch"]))
    power = dj.methods.power_after(change, draws=300)
    table: pd.DataFrame = power.table.set_index(["level", "fall"])
    rows = change.table[(change.table["level"] == "branch") & (change.table["code"] == "INDEX")].dropna(subset=["p"])
    rows = rows[told_apart(rows, change.withheld)]
    assert table.loc[("branch", 8.0), ["se", "n", "units"]].tolist() == [
        rows["se"].median(),
        rows["n"].sum(),
        len(rows),
    ]
    assert table.loc[("city", 8.0), "detected"] > table.loc[("branch", 8.0), "detected"]
    for level in ("city", "branch"):
        assert table.loc[level]["detected"].is_monotonic_increasing
        assert table.loc[level]["single"].is_monotonic_increasing
