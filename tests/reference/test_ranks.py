"""Rank sets against R's csranks and published examples.

Sources
- Mogstad, Romano, Shaikh & Wilhelm 2024 (Rev. Econ. Stud. 91:476) and their R package csranks 1.2.3: the example x = seq(1, 3,
  length = 10), sd .2; the PISA 2018 mathematics scores of the 37 OECD countries (OECD; data(pisa2018)) with the numbers printed in
  the package's README and vignette "Inference for Ranks": ranks, the 95 % and 90 % confidence sets of the five best, the marginal
  set of the United Kingdom, and what the text says of Chile, Mexico, Colombia, Germany and Korea.
- Goldstein & Spiegelhalter 1996 (JRSS A 159:385): simulated ranks, on the same ten means.
- Goldstein & Healy 1995 (JRSS A 158:175): ±1.39 standard errors.

Tolerance: none; 20,000 draws, at which none of these sets depends on the seed.
"""

from __future__ import annotations

import numpy as np
import pytest

from dj_analysis.measure.inference.ranks import overlap_intervals, p_top, rank_sets

DRAWS = 20_000
TEN, SD = np.linspace(1, 3, 10), np.full(10, 0.2)


@pytest.mark.parametrize("seed", [0, 1])
@pytest.mark.parametrize(
    ("method", "low", "high"),
    [
        ("joint", [7, 6, 5, 4, 3, 2, 1, 1, 1, 1], [10, 10, 10, 10, 9, 8, 7, 6, 5, 4]),
        ("simulated", [8, 7, 6, 5, 4, 3, 2, 1, 1, 1], [10, 10, 10, 9, 8, 7, 6, 5, 4, 3]),
    ],
)
def test_ten_evenly_spaced_means(method: str, low: list, high: list, seed: int):
    sets = rank_sets(TEN, SD, method=method, draws=DRAWS, seed=seed)
    assert sets.rank.tolist() == list(range(10, 0, -1))
    assert (sets.low.tolist(), sets.high.tolist()) == (low, high)


#: Mean and standard error of mathematics, PISA 2018.
PISA = {
    "Australia": (491.3600252, 1.939833031), "Austria": (498.9423138, 2.970998694), "Belgium": (508.0703063, 2.262662011),
    "Canada": (512.0169429, 2.357475749), "Chile": (417.4065563, 2.41588757), "Colombia": (390.9322732, 2.989559274),
    "Czech Republic": (499.4676508, 2.460661531), "Denmark": (509.3983746, 1.735002337), "Estonia": (523.4145802, 1.743602224),
    "Finland": (507.3013618, 1.967920411), "France": (495.4075794, 2.320214487), "Germany": (500.0437805, 2.647083096),
    "Greece": (451.3703438, 3.091228197), "Hungary": (481.0826364, 2.319596741), "Iceland": (495.1873762, 1.953082603),
    "Ireland": (499.632894, 2.198621128), "Israel": (463.0345488, 3.498563228), "Italy": (486.5898573, 2.780045867),
    "Japan": (526.9732502, 2.471475318), "Korea": (525.933002, 3.121394315), "Latvia": (496.1263306, 1.962766789),
    "Lithuania": (481.1911884, 1.953282039), "Luxembourg": (483.421485, 1.097632409), "Mexico": (408.8014734, 2.493225544),
    "Netherlands": (519.2309824, 2.632277885), "New Zealand": (494.489676, 1.705942856), "Norway": (500.9637885, 2.219044878),
    "Poland": (515.6478747, 2.602085176), "Portugal": (492.4874062, 2.684570081), "Slovak Republic": (486.1648542, 2.555595707),
    "Slovenia": (508.8975441, 1.363877596), "Spain": (481.3926126, 1.462417763), "Sweden": (502.3877022, 2.654250935),
    "Switzerland": (515.3147131, 2.908003898), "Turkey": (453.5077774, 2.260406789), "United Kingdom": (501.7698992, 2.564428111),
    "United States": (478.2447174, 3.235444099),
}  # fmt: skip
COUNTRIES = np.array(list(PISA))
SCORE, ERROR = np.array(list(PISA.values())).T
TOP_FIVE = [
    "Belgium", "Canada", "Denmark", "Estonia", "Finland", "Japan", "Korea", "Netherlands", "Poland", "Slovenia", "Sweden",
    "Switzerland",
]  # fmt: skip


def of(country: str) -> int:
    return int(np.flatnonzero(country == COUNTRIES)[0])


def test_pisa_ranks():
    printed = [
        24, 18, 10, 7, 35, 37, 17, 8, 3, 11, 20, 15, 34, 30, 21, 16, 32, 25, 1, 2, 19, 29, 27, 36, 4, 22, 14, 5, 23, 26, 9, 28,
        12, 6, 33, 13, 31,
    ]  # fmt: skip
    assert rank_sets(SCORE, ERROR).rank.tolist() == printed


def test_pisa_confidence_sets_of_the_five_best():
    found = {level: rank_sets(SCORE, ERROR, confidence=level, draws=DRAWS).low <= 5 for level in (0.95, 0.9)}
    assert COUNTRIES[found[0.95]].tolist() == TOP_FIVE
    assert COUNTRIES[found[0.9]].tolist() == [name for name in TOP_FIVE if name != "Sweden"]


def test_pisa_marginal_set_of_the_united_kingdom():
    i = of("United Kingdom")
    sets = rank_sets(SCORE, ERROR, method="marginal", of=[i], draws=DRAWS)
    assert (sets.low[i], sets.rank[i], sets.high[i]) == (8, 13, 23)


def test_pisa_joint_sets_say_what_the_authors_say_of_them():
    sets = rank_sets(SCORE, ERROR, draws=DRAWS)
    last = np.isin(COUNTRIES, ["Chile", "Mexico", "Colombia"])
    assert sets.low[last].min() > sets.high[~last].max()
    germany, korea = of("Germany"), of("Korea")
    assert sets.low[germany] == sets.high[korea] == 7
    looser = rank_sets(SCORE, ERROR, confidence=0.75, draws=DRAWS)
    assert looser.low[germany] > looser.high[korea]


def test_pisa_chances_are_where_the_sets_are():
    found = p_top(SCORE, ERROR, 5, draws=DRAWS)
    assert (found.among[~np.isin(COUNTRIES, TOP_FIVE)] < 0.01).all()
    assert COUNTRIES[np.argmax(found.first)] == "Japan"


def test_overlap_factor_of_goldstein_and_healy():
    assert round(overlap_intervals(TEN, SD).factor, 2) == 1.39
