"""Agreement within units against published tables and against R's package multilevel.

Shrout & Fleiss 1979 (table of 6 targets x 4 judges), intervals from psych 2.2.9 (R 4.2.2); hand examples of domain.md F2;
``bh1996`` and ``bhr2000`` (US Army soldiers in 99 companies) with what multilevel 2.7 makes of them, stored in
../shared/data/army_multilevel and read there.

Tolerance: half a unit of the last printed digit; values stored with all digits to 1e-12 relative.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import dj_analysis as dj
from dj_analysis.errors import DjWarning
from dj_analysis.measure.scales.agreement import agreement, icc_one_way, rwg_j, stepped_up, uniform_variance
from dj_analysis.result import Result
from dj_analysis.spec.codebook import Codebook
from dj_analysis.spec.tree import Node, Tree
from dj_analysis.spec.units import Unit, Units

JUDGES = np.array([[9, 2, 5, 8], [6, 1, 3, 2], [8, 4, 6, 8], [7, 1, 2, 6], [10, 5, 6, 9], [6, 2, 4, 7]], dtype=float)


def one_way(groups) -> dict[str, tuple[float, float, float]]:
    n = np.array([len(group) for group in groups])
    total = np.array([np.sum(group) for group in groups])
    squares = np.array([np.sum(np.square(group)) for group in groups])
    return dict(icc_one_way(n, total, squares).coefficients)


def test_shrout_fleiss_one_way():
    found = one_way(JUDGES)
    # Printed: .17 and .44; psych gives more digits and the intervals.
    assert found["ICC(1)"] == pytest.approx((0.1657418, -0.13293232, 0.7225601), abs=5e-8)
    assert found["ICC(2)"] == pytest.approx((0.4427971, -0.88444216, 0.9124154), abs=5e-8)


def test_shrout_fleiss_definitions_agree_where_groups_have_one_size():
    found = one_way(JUDGES)
    assert found["ICC(1) n0"] == pytest.approx(found["ICC(1)"], abs=1e-12)
    for name in ("ICC(2) n0", "ICC(2) mean"):
        assert found[name] == pytest.approx(found["ICC(2)"], abs=1e-12)


def test_three_groups_of_four():
    found = one_way([[2, 4, 4, 6], [4, 5, 8, 8], [5, 8, 9, 9]])
    assert found["ICC(1)"][0] == pytest.approx(0.434343, abs=5e-7)
    assert found["ICC(2)"][0] == pytest.approx(0.754386, abs=5e-7)


def test_rwg_of_five_answers_and_of_five_items():
    x = np.array([4.0, 4, 5, 4, 3])
    single, _ = rwg_j(np.array([[5.0]]), np.array([[x.sum()]]), np.array([[(x**2).sum()]]), np.array([2.0]))
    assert single[0] == pytest.approx(0.75, abs=1e-12)
    # Five items on five points with a mean variance of .8: 11 persons with Σx = 33, Σx² = 99 + 8.
    n, total, squares = (np.full((1, 5), value) for value in (11.0, 33.0, 107.0))
    several, star = rwg_j(n, total, squares, np.full(5, 2.0))
    assert several[0] == pytest.approx(0.8824, abs=5e-5)
    assert star[0] == pytest.approx(0.6, abs=1e-12)


def test_variance_of_answers_at_random():
    assert uniform_variance([1, 2, 3, 4, 5]) == pytest.approx((25 - 1) / 12)
    assert uniform_variance(range(11)) == pytest.approx((121 - 1) / 12)


# US Army.


@pytest.fixture(scope="module")
def bh1996(shared_data) -> pd.DataFrame:
    return pd.read_csv(shared_data / "army_multilevel" / "bh1996.csv")


def sums(frame: pd.DataFrame, code: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    table = (
        frame.assign(squares=frame[code] ** 2)
        .groupby("GRP")
        .agg(n=(code, "size"), x=(code, "sum"), xx=("squares", "sum"))
    )
    return tuple(table[name].to_numpy() for name in ("n", "x", "xx"))  # type: ignore[return-value]


@pytest.mark.parametrize("code", ["HRS", "LEAD", "COHES", "WBEING"])
def test_bh1996_icc(bh1996: pd.DataFrame, shared_data, code: str):
    stored = pd.read_csv(shared_data / "army_multilevel" / "expected_bh1996_icc.csv").set_index("variable").loc[code]
    found = icc_one_way(*sums(bh1996, code))
    assert found.coefficients["ICC(1)"][0] == pytest.approx(stored["ICC1_anova"], rel=1e-12)
    assert found.coefficients["ICC(2)"][0] == pytest.approx(stored["ICC2_anova"], rel=1e-12)
    assert found.between / found.within == pytest.approx(stored["F"], rel=1e-11)
    assert found.df == (stored["df1"], stored["df2"])


def test_bh1996_published(bh1996: pd.DataFrame):
    found = icc_one_way(*sums(bh1996, "WBEING"))
    assert found.coefficients["ICC(1)"][0] == pytest.approx(0.04336905, abs=5e-9)
    # The same page's other ICC(2), the mean over groups of the reliability of their means, from its REML ICC(1).
    n = sums(bh1996, "WBEING")[0]
    assert stepped_up(0.04337922, n).mean() == pytest.approx(0.7335211, abs=5e-7)


@pytest.fixture(scope="module")
def army(shared_data) -> Result:
    """Eleven leadership items as one dimension, work hours as another, from the file to the result."""
    frame = pd.read_csv(shared_data / "army_multilevel" / "bhr2000.csv")
    frame["unit"] = frame["GRP"].map("{:.0f}".format)
    items = [code for code in frame if code[:2] in ("AF", "AP", "AS")]
    nodes = [
        Node("INDEX", role="index"),
        Node("LEAD", "INDEX", role="dimension"),
        Node("TIME", "INDEX", role="dimension"),
    ]
    nodes += [Node(code, "LEAD", minimum=1, maximum=5) for code in items] + [Node("HRS", "TIME", minimum=0, maximum=24)]
    units = Units(tuple(Unit(code, level="branch") for code in frame["unit"].unique()))
    with pytest.warns(DjWarning):
        survey = dj.read_survey(frame, Codebook(Tree(tuple(nodes))), units=units, period="2026Q3")
    return agreement(survey, level="branch", draws=200)


def test_bhr2000_all_99_companies(army: Result, shared_data):
    stored = pd.read_csv(
        shared_data / "army_multilevel" / "expected_bhr2000_agreement_by_group.csv", dtype={"grpid": str}
    )
    found = army.parts["units"].table.query("scale == 'LEAD'").set_index("unit").loc[stored["grpid"]]
    assert len(found) == 99
    assert found["n"].tolist() == stored["gsize"].tolist()
    np.testing.assert_allclose(found["rwg"], stored["rwg.j"], rtol=1e-12)
    np.testing.assert_allclose(found["rwg_star"], stored["rwg.lindell"], rtol=1e-12)
    np.testing.assert_allclose(found["ad"] / 25, stored["ad.m"], rtol=1e-12)  # four steps are a hundred points
    assert found.loc[["1", "2", "3"], "rwg"].tolist() == pytest.approx([0.9009815, 0.9222832, 0.8868093], abs=5e-8)


def test_bhr2000_summary(army: Result):
    table = army.table.query("scale == 'LEAD'").set_index("coefficient")["estimate"]
    printed = {"rwg(J) min": 0.7859, "rwg(J) median": 0.8925, "rwg(J) mean": 0.8876}
    assert table[list(printed)].tolist() == pytest.approx(list(printed.values()), abs=5e-5)
    # Agreement of soldiers is far from chance: every company passes what random answers reach.
    assert table["rwg(J) over chance"] == 1
    assert table["rwg(J) chance"] < 0.6


def test_bhr2000_hours(army: Result):
    table = army.table.query("scale == 'TIME'").set_index("coefficient")
    assert table.loc["ICC(1)", "estimate"] == pytest.approx(0.1741008, abs=5e-8)
    assert table.loc["ICC(2)", "estimate"] == pytest.approx(0.9199889, abs=5e-8)
    assert (table.loc["ICC(1)", "n"], table.loc["ICC(1)", "groups"]) == (5400, 99)


def test_bhr2000_items(shared_data):
    stored = pd.read_csv(shared_data / "army_multilevel" / "expected_bhr2000_icc.csv").set_index("variable")
    frame = pd.read_csv(shared_data / "army_multilevel" / "bhr2000.csv")
    assert len(stored) == 13
    for code, row in stored.iterrows():
        found = icc_one_way(*sums(frame, str(code))).coefficients
        assert found["ICC(1)"][0] == pytest.approx(row["ICC1_anova"], rel=1e-11)
        assert found["ICC(2)"][0] == pytest.approx(row["ICC2_anova"], rel=1e-11)


def test_bhr2000_mean_rwg_of_religion(shared_data):
    frame = pd.read_csv(shared_data / "army_multilevel" / "bhr2000.csv")
    n, x, xx = (values[:, None] for values in sums(frame, "RELIG"))
    assert rwg_j(n, x, xx, np.array([2.0]))[0].mean() == pytest.approx(0.1864222, abs=5e-8)
