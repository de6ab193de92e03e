"""Many comparisons at once, and the interval of a share, against published numbers.

Sources
- Benjamini & Hochberg 1995 (JRSS B 57:289), section 3.2: the fifteen p-values of Neuhaus et al. 1992.
- Newcombe 1998 (Stat. Med. 17:857), table I: 81 of 263, score method without continuity correction (Wilson 1927).
- Precision table for planning (domain F25): half width 1.96·14/√n.

Tolerance: the printed digits. Simulated rates: the 99 % binomial interval of the replications.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from scipy import stats
from statsmodels.stats.multitest import multipletests

from dj_analysis.judge.change import q_values
from dj_analysis.measure.inference import uncertainty

P_VALUES = [
    .0001, .0004, .0019, .0095, .0201, .0278, .0298, .0344, .0459, .3240, .4262, .5719, .6528, .7590, 1.0
]  # fmt: skip


def test_fifteen_p_values_of_benjamini_and_hochberg():
    q = q_values(pd.Series(P_VALUES))
    assert [p for p, rejected in zip(P_VALUES, q <= 0.05, strict=True) if rejected] == [0.0001, 0.0004, 0.0019, 0.0095]
    assert abs(q[3] - 0.0356) < 5e-5
    assert int(multipletests(P_VALUES, alpha=0.05, method="bonferroni")[0].sum()) == 3


SEED, REPLICATIONS, TESTS = 20261121, 2000, 40


def discoveries(real: int) -> tuple[np.ndarray, np.ndarray]:
    """False and all discoveries of each replication: z-tests, ``real`` of them of a true difference of three errors."""
    z = np.random.default_rng([SEED, real]).standard_normal((REPLICATIONS, TESTS))
    z[:, :real] += 3
    found = np.array([q_values(pd.Series(row)).to_numpy() <= 0.05 for row in 2 * stats.norm.sf(np.abs(z))])
    return found[:, real:].sum(axis=1), found.sum(axis=1)


def test_of_no_differences_one_is_found_as_seldom_as_stated():
    false, found = discoveries(0)
    least, most = np.array(stats.binom.interval(0.99, REPLICATIONS, 0.05)) / REPLICATIONS
    assert (false == found).all()
    assert least <= (found > 0).mean() <= most


def test_the_false_share_of_what_is_found_is_that_of_the_tests_without_a_difference():
    # Independent tests: exactly (share without a difference) × .05, never above .05 (BH 1995, theorem 1).
    for real in (10, 30):
        false, found = discoveries(real)
        share = false / np.maximum(found, 1)
        expected = 0.05 * (TESTS - real) / TESTS
        assert abs(share.mean() - expected) <= 2.576 * share.std() / np.sqrt(REPLICATIONS)
        assert (found - false).mean() > 0.4 * real


def test_wilson_interval_of_newcombe():
    low, high = uncertainty.shares_interval(np.array([81.0]), np.array([263.0]))
    assert (round(float(low[0]), 4), round(float(high[0]), 4)) == (0.2553, 0.3662)


def test_half_widths_of_the_planning_table():
    # Two answers of 14 points spread: the half width of the package's interval, Student's t replaced by 1.96 for large df.
    n = np.array([5, 10, 20, 30, 50, 100.0])
    x = 14 * np.sqrt((n - 1) / n)  # half at 50 + x, half at 50 − x: SD 14
    sums = {"n": n, "w": n, "ww": n, "wx": 50 * n, "wxx": n * (2500 + x**2), "wwx": 50 * n, "wwxx": n * (2500 + x**2)}
    found = uncertainty.means(sums)
    half = (found.high - found.mean) * stats.norm.ppf(0.975) / stats.t.ppf(0.975, n - 1)
    assert half.round(1).tolist() == [12.3, 8.7, 6.1, 5.0, 3.9, 2.7]
