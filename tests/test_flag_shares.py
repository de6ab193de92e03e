"""Shares of people at each level of the self-check page, by the declared cut points, as the domain map (E1) gives them.

No function of the package applies these rules to anybody's answers: the shares are those of a normal population, drawn here.
Tolerance: one in the last digit printed there (two for the shares over 10 %), above the error of 400,000 draws.
"""

import numpy as np
import pytest
from scipy import stats

from dj_analysis.spec.specification import Specification

RULE = Specification().rules.self_check
LEVELS = ("orange", "red", "black")
MEAN, SD, DIMENSIONS, DRAWS = 70.0, 14.0, 8, 400_000


def people(dimension_sd: float) -> np.ndarray:
    """Scores on eight dimensions whose mean is Normal(70, 14): what they have in common follows from both spreads."""
    shared = ((SD / dimension_sd) ** 2 * DIMENSIONS - 1) / (DIMENSIONS - 1)
    rng = np.random.default_rng(14)
    common, own = rng.standard_normal((DRAWS, 1)), rng.standard_normal((DRAWS, DIMENSIONS))
    return MEAN + dimension_sd * (np.sqrt(shared) * common + np.sqrt(1 - shared) * own)


def test_shares_by_the_index_alone():
    shares = [stats.norm.cdf((getattr(RULE, f"{level}_index") - MEAN) / SD) for level in LEVELS]
    assert shares == pytest.approx([0.142, 0.037, 0.006], abs=0.0005)


@pytest.mark.parametrize(("dimension_sd", "expected"), [
    (18, (0.22, 0.050, 0.013)), (20, (0.31, 0.064, 0.014)), (22, (0.40, 0.078, 0.014)),
])  # fmt: skip
def test_shares_with_the_dimension_clauses(dimension_sd: float, expected: tuple[float, ...]):
    scores = people(dimension_sd)
    index, low = scores.mean(axis=1), (scores < RULE.dimension).sum(axis=1)
    assert index.std() == pytest.approx(SD, rel=0.01)
    for level, share in zip(LEVELS, expected, strict=True):
        met = (index < getattr(RULE, f"{level}_index")) | (low >= getattr(RULE, f"{level}_dimensions"))
        assert met.mean() == pytest.approx(share, abs=0.01 if share > 0.1 else 0.001), level
        # The clauses add: without them the share is that of the index alone.
        alone = (index < getattr(RULE, f"{level}_index")).mean()
        assert met.mean() > alone
