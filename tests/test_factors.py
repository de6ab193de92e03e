"""Factors: exact solutions are found again, nothing is found in noise beyond the stated rate, and a wave's way is the same.

Tolerances: exact solutions to 1e-6 (the iteration stops at 1e-10 in the communalities); the same number by two ways to 1e-9.
A simulated rate is accepted inside the 99 % binomial interval of its replications.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from small import codebook_of, plain_table
from trials import trials

import dj_analysis as dj
from dj_analysis.errors import UsageError
from dj_analysis.measure.scales import factors as fa
from dj_analysis.measure.scales.factors import (
    efa,
    factor_values,
    minres,
    number_of_factors,
    one_factor,
    parallel,
    varimax,
)
from dj_analysis.measure.scales.moments import moments_of
from dj_analysis.measure.survey import Survey
from dj_analysis.spec import reasons

ITEMS = [f"a{i}" for i in range(1, 5)] + [f"b{i}" for i in range(1, 5)]
SIMPLE = np.array([[0.8, 0.7, 0.6, 0.5, 0, 0, 0, 0], [0, 0, 0, 0, 0.9, 0.7, 0.6, 0.4]]).T


def implied(loadings: np.ndarray) -> np.ndarray:
    correlation = loadings @ loadings.T
    np.fill_diagonal(correlation, 1)
    return correlation


def wave(frame: pd.DataFrame, *, weight: str | None = None) -> Survey:
    """Items a1 … of dimension A and b1 … of dimension B, on five points."""
    book = plain_table(
        ("INDEX", ""),
        ("A", "INDEX"),
        ("B", "INDEX"),
        *((code, code[0].upper(), 1, 1.0, 1, 5) for code in frame if code != "w"),
    )
    return dj.read_survey(frame, codebook_of(book, weight=weight), period="2026Q3")


def answers(rows: int = 800, seed: int = 0, loadings: np.ndarray = SIMPLE) -> pd.DataFrame:
    """Five-point answers with these loadings."""
    draw = np.random.default_rng(seed)
    own = np.sqrt(1 - (loadings**2).sum(axis=1))
    x = draw.standard_normal((rows, loadings.shape[1])) @ loadings.T + own * draw.standard_normal((rows, len(loadings)))
    return pd.DataFrame(np.clip(np.rint(3 + x), 1, 5), columns=ITEMS)


# Exact solutions.


def test_minres_finds_one_exact_factor():
    loadings = np.array([[0.8], [0.7], [0.6], [0.5]])
    found = minres(implied(loadings), 1)
    np.testing.assert_allclose(np.abs(found.loadings), loadings, atol=1e-6)
    np.testing.assert_allclose(found.uniqueness, 1 - loadings[:, 0] ** 2, atol=1e-6)
    assert found.residual == pytest.approx(0, abs=1e-12)


def test_maximum_likelihood_finds_the_same_factor():
    loadings = np.array([[0.8], [0.7], [0.6], [0.5]])
    found = one_factor(implied(loadings))
    np.testing.assert_allclose(found.loadings, loadings, atol=1e-5)
    assert found.reason == ""


def test_varimax_brings_a_turned_simple_structure_back():
    turn = np.array([[np.cos(0.5), -np.sin(0.5)], [np.sin(0.5), np.cos(0.5)]])
    np.testing.assert_allclose(varimax(SIMPLE @ turn), ordered(SIMPLE), atol=1e-4)


def ordered(loadings: np.ndarray) -> np.ndarray:
    return loadings[:, np.argsort(-(loadings**2).sum(axis=0))]


def test_minres_and_varimax_find_a_planted_structure():
    found = minres(implied(SIMPLE), 2)
    np.testing.assert_allclose(varimax(found.loadings), ordered(SIMPLE), atol=1e-4)


def test_rotation_changes_neither_communalities_nor_residuals():
    found = minres(moments_of(answers().to_numpy()).covariances().correlation, 2)
    rotated = varimax(found.loadings)
    np.testing.assert_allclose((rotated**2).sum(axis=1), 1 - found.uniqueness, atol=1e-9)
    np.testing.assert_allclose(rotated @ rotated.T, found.loadings @ found.loadings.T, atol=1e-9)


# What cannot be solved.


def test_a_heywood_case_has_a_reason_and_no_loadings():
    # r12 r13 / r23 = .9 x .9 / .5 > 1: the first item would have a communality of 1.62.
    correlation = np.array([[1, 0.9, 0.9], [0.9, 1, 0.63], [0.9, 0.63, 1]])
    for found in (minres(correlation, 1), one_factor(correlation)):
        assert found.reason == fa.HEYWOOD
    assert np.isnan(minres(correlation, 1).loadings).all()


def test_a_singular_matrix_has_a_reason():
    correlation = np.array([[1, 1, 0.5], [1, 1, 0.5], [0.5, 0.5, 1]])
    for found in (minres(correlation, 1), one_factor(correlation)):
        assert found.reason == fa.SINGULAR
        assert np.isnan(found.uniqueness).all()


def test_two_items_have_no_unique_factor():
    assert one_factor(np.array([[1, 0.5], [0.5, 1]])).reason == reasons.TOO_FEW_TO_JUDGE


# A wave.


def test_a_wave_shows_its_two_dimensions():
    result = efa(wave(answers()), seed=1)
    table = result.table
    assert list(table) == [
        "period", "level", "unit", "form", "scale", "code", "factor", "loading", "uniqueness", "n", "method", "reason",
    ]  # fmt: skip
    assert not table.duplicated(list(result.keys)).any()
    assert table["factor"].unique().tolist() == [1, 2]
    strongest = table.loc[table.groupby("code")["loading"].idxmax()].set_index("code")["factor"]
    assert strongest[ITEMS[:4]].nunique() == strongest[ITEMS[4:]].nunique() == 1
    assert strongest["a1"] != strongest["b1"]
    assert set(table["n"]) == {800}
    assert "parallel analysis" in table["method"].iloc[0]


def test_parts_tell_how_many_factors_and_what_they_explain():
    result = efa(wave(answers()))
    eigen, variance = result.parts["eigen"].table, result.parts["factors"].table
    assert len(eigen) == 2 * len(ITEMS)
    assert (eigen["retained"] == (eigen["number"] <= 2)).all()
    for _, values in eigen.groupby("kind"):
        assert values["retained"].tolist() == (values["eigenvalue"] > values["chance"]).cummin().tolist()
    result = efa(wave(answers()), rotation="varimax")
    variance = result.parts["factors"].table
    squared = result.table.assign(s=result.table["loading"] ** 2).groupby("factor")["s"].sum()
    np.testing.assert_allclose(variance["variance"], squared, atol=1e-12)
    np.testing.assert_allclose(variance["cumulative"], squared.cumsum() / len(ITEMS), atol=1e-12)
    for part in (eigen, variance):
        assert set(part["n"]) == {800}


def test_a_dimension_alone_has_one_factor():
    table = efa(wave(answers()), scale="A").table
    assert table["code"].tolist() == ITEMS[:4]
    assert table["factor"].unique().tolist() == [1]


def test_wave_moments_and_matrix_give_the_same():
    frame = answers()
    of_wave = efa(wave(frame), factors=2)
    of_moments = efa(moments_of(frame.to_numpy(), items=ITEMS), factors=2)
    of_matrix = efa(frame.corr(), factors=2, n=len(frame))
    for other in (of_moments, of_matrix):
        np.testing.assert_allclose(of_wave.table["loading"], other.table["loading"], atol=1e-9)
        assert of_wave.table["code"].tolist() == other.table["code"].tolist()


def test_weights_scale_freely_and_count():
    frame = answers().assign(w=lambda d: np.where(d.index % 2, 3.0, 1.0))
    one = efa(wave(frame, weight="w"), factors=2).table
    other = efa(wave(frame.assign(w=frame["w"] * 9), weight="w"), factors=2).table
    pd.testing.assert_frame_equal(one, other, rtol=1e-7, atol=1e-9)
    plain = efa(wave(frame.drop(columns="w")), factors=2).table
    assert np.abs(one["loading"] - plain["loading"]).max() > 1e-3
    # Whole-number weights give the correlations of repeated rows.
    repeated = frame.loc[frame.index.repeat(frame["w"].astype(int)), ITEMS]
    same = efa(repeated.corr(), factors=2, n=len(repeated)).table
    np.testing.assert_allclose(one["loading"], same["loading"], atol=1e-7)


def test_missing_answers_by_policy():
    frame = answers()
    frame = frame.mask(np.random.default_rng(5).random(frame.shape) < 0.1)
    pairwise = efa(wave(frame), factors=2).table
    expected = efa(frame.corr(), factors=2, n=100).table
    np.testing.assert_allclose(pairwise["loading"], expected["loading"], atol=1e-7)
    listwise = efa(wave(frame), factors=2, missing="listwise").table
    assert set(listwise["n"]) == {len(frame.dropna())}
    median = efa(wave(frame), factors=2, missing="median").table
    filled = efa(frame.fillna(frame.median()).corr(), factors=2, n=100).table
    np.testing.assert_allclose(median["loading"], filled["loading"], atol=1e-7)


def test_no_common_factor_is_said_and_not_invented():
    noise = answers(loadings=np.zeros((8, 2)), seed=3)
    table = efa(wave(noise)).table
    assert table["loading"].isna().all()
    assert set(table["reason"]) == {fa.NO_FACTOR}


def test_fewer_persons_than_items_are_too_few():
    result = efa(wave(answers(rows=7)))
    assert list(result.parts["eigen"].table.columns) == list(efa(wave(answers())).parts["eigen"].table.columns)
    assert set(result.table["reason"]) == {reasons.TOO_FEW_TO_JUDGE}
    assert result.table["loading"].isna().all()


def test_same_seed_same_numbers():
    one, other = (parallel(implied(SIMPLE), 100, draws=50, seed=4) for _ in range(2))
    pd.testing.assert_frame_equal(one, other)
    assert not one["chance"].equals(parallel(implied(SIMPLE), 100, draws=50, seed=5)["chance"])


def test_what_cannot_be_asked():
    with pytest.raises(UsageError, match="3"):
        efa(wave(answers()[ITEMS[:2] + ITEMS[4:]]), scale="A")
    with pytest.raises(UsageError, match="7"):
        efa(wave(answers()), factors=8)
    with pytest.raises(UsageError, match="varimax"):
        efa(wave(answers()), factors=2, rotation="promin")  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="correlation matrix"):
        efa(answers().corr())
    with pytest.raises(UsageError, match="anchors"):
        efa(wave(answers()), form="full")
    with pytest.raises(UsageError, match="INDEX"):
        efa(wave(answers()), scale="Z")


def test_too_few_persons_are_hidden_at_the_door():
    safe = dj.protect(efa(wave(answers(rows=9)), factors=2))
    assert set(safe.table["reason"]) == {reasons.SMALL_GROUP}
    assert safe.part("eigen").table["eigenvalue"].isna().all()


def test_loadings_of_the_released_answers_pass_its_plan_and_those_of_one_answer_less_do_not():
    survey = wave(answers())
    plan = dj.protect(dj.score(survey)).plan
    assert dj.protect(efa(survey, factors=2), plan).table["loading"].notna().all()
    with pytest.raises(UsageError, match="the people"):
        dj.protect(efa(replace(survey, frame=survey.frame[:-1]), factors=2), plan)


# Rates.


def random_correlations(replications: int, n: int, k: int, seed: int) -> np.ndarray:
    """Correlations of raw normal answers without anything in common."""
    draw = np.random.default_rng(seed)
    return np.stack([np.corrcoef(draw.standard_normal((k, n))) for _ in range(replications)])


@pytest.mark.parametrize(("n", "k"), [(60, 6), (300, 10)])
def test_parallel_analysis_finds_a_factor_in_noise_as_seldom_as_it_says(n: int, k: int):
    # The chance values come from Wishart draws, the data here are raw rows: a check of the draws as well.
    table = parallel(np.eye(k), n, draws=4000, seed=1)
    replications = trials(1500)
    low, high = (bound / replications for bound in stats.binom.interval(0.99, replications, 0.05))
    noise = random_correlations(replications, n, k, seed=2)
    first = {"factor": factor_values(noise)[:, 0], "component": np.linalg.eigvalsh(noise)[:, -1]}
    for kind, values in first.items():
        chance = table[(table["kind"] == kind) & (table["number"] == 1)]["chance"].iloc[0]
        assert low <= (values > chance).mean() <= high


def test_the_mean_rule_finds_a_factor_in_noise_about_every_other_time():
    table = parallel(np.eye(6), 60, draws=2000, quantile=None).query("kind == 'factor' and number == 1")
    share = (factor_values(random_correlations(1500, 60, 6, seed=7))[:, 0] > table["chance"].iloc[0]).mean()
    assert 0.35 < share < 0.55


def test_planted_factors_are_counted():
    counted = [
        int(
            parallel(answers(rows=300, seed=seed).corr().to_numpy(), 300, draws=100)
            .query("kind == 'component'")["retained"]
            .sum()
        )
        for seed in range(40)
    ]
    assert np.mean(np.array(counted) == 2) > 0.85


def test_a_weak_factor_of_many_people_is_found_where_the_rule_of_psych_finds_none():
    # Ten items with loadings .3, 13,153 persons: psych 2.2.9's fa.parallel says 0 factors, 1 component, its 95th percentile
    # of the first factor's eigenvalue being .996 because of Heywood cases among its draws.
    correlation = pd.DataFrame(np.full((10, 10), 0.09) + 0.91 * np.eye(10))
    result = efa(correlation, n=13_153, draws=200)
    eigen = result.parts["eigen"].table
    assert eigen.groupby("kind")["retained"].sum().to_dict() == {"component": 1, "factor": 0}
    assert eigen.query("kind == 'factor'")["chance"].iloc[0] == pytest.approx(0.996, abs=1e-3)
    np.testing.assert_allclose(result.table["loading"], 0.3, atol=1e-6)


# Factors that correlate.


def correlated(sizes: list[int], loading: float, phi: float) -> np.ndarray:
    """Correlations of items that load on factors which all correlate by ``phi``."""
    pattern = np.zeros((sum(sizes), len(sizes)))
    pattern[np.arange(sum(sizes)), np.repeat(np.arange(len(sizes)), sizes)] = loading
    made = pattern @ (np.full((len(sizes), len(sizes)), phi) + (1 - phi) * np.eye(len(sizes))) @ pattern.T
    np.fill_diagonal(made, 1)
    return made


def counted(correlation: np.ndarray, n: int, waves: int = trials(30, 10)) -> list[tuple[int, int]]:
    """Number of factors taken, and of components retained, in waves of normal answers."""
    random, root = np.random.default_rng(n), np.linalg.cholesky(correlation)
    rows = []
    for _ in range(waves):
        x = random.standard_normal((n, len(correlation))) @ root.T
        eigen = parallel(np.corrcoef(x.T), n, draws=100)
        rows.append((number_of_factors(eigen)[0], int(eigen.query("kind == 'component'")["retained"].sum())))
    return rows


@pytest.mark.parametrize(
    ("sizes", "loading", "phi", "n", "components"),
    [([2] * 8, 0.75, 0.5, 1000, 0.0), ([4] * 3, 0.7, 0.6, 300, 0.7), ([4] * 3, 0.7, 0.8, 1000, 0.0)],
    ids=["8 x 2", "3 x 4, .6", "3 x 4, .8"],
)
def test_factors_that_correlate_are_counted(sizes, loading, phi, n, components):
    # Components alone were right in 0, some 45 and 0 % of waves of this kind.
    found = counted(correlated(sizes, loading, phi), n)
    assert np.mean([taken == len(sizes) for taken, _ in found]) >= 0.95
    assert np.mean([retained == len(sizes) for _, retained in found]) <= components


def test_one_factor_is_not_taken_for_several():
    assert {taken for taken, _ in counted(correlated([10], 0.6, 0), 300)} == {1}
    assert {taken for taken, _ in counted(correlated([16], 0.7, 0), 1000)} == {1}


def test_noise_has_a_factor_as_seldom_as_the_quantile_says():
    waves = trials(400)
    found = counted(np.eye(8), 200, waves=waves)
    assert sum(taken > 0 for taken, _ in found) <= stats.binom.ppf(
        0.995, waves, 0.06
    )  # 100 draws know the quantile to .01


def test_efa_says_which_analysis_holds_and_why():
    matrix = pd.DataFrame(correlated([2] * 8, 0.75, 0.5))
    result = efa(matrix, n=2000, draws=100)
    method = result.table["method"].iloc[0]
    assert "components 1, common factors 8; common factors hold: components miss factors that correlate" in method
    assert result.table["factor"].nunique() == 8
    between = result.parts["correlations"].table["r"]
    assert len(between) == 28
    np.testing.assert_allclose(between, 0.5, atol=1e-3)
    weak = efa(pd.DataFrame(np.full((10, 10), 0.09) + 0.91 * np.eye(10)), n=13_153, draws=100)
    assert "components 1, common factors 0; components hold" in weak.table["method"].iloc[0]


def test_oblimin_brings_a_pattern_and_its_correlations_back():
    # Perfect simple structure makes the quartimin criterion 0: its minimum is the planted pattern, with the planted correlations.
    pattern = np.zeros((12, 3))
    pattern[np.arange(12), np.repeat([0, 1, 2], 4)] = [0.8, 0.8, 0.7, 0.9, 0.5, 0.6, 0.7, 0.8, 0.4, 0.5, 0.5, 0.6]
    between = np.array([[1, 0.6, 0.5], [0.6, 1, 0.4], [0.5, 0.4, 1.0]])
    matrix = pattern @ between @ pattern.T
    np.fill_diagonal(matrix, 1)
    result = efa(pd.DataFrame(matrix), factors=3, n=1000)
    found = result.table.pivot(index="code", columns="factor", values="loading").loc[[str(i) for i in range(12)]]
    np.testing.assert_allclose(found, pattern, atol=1e-4)
    np.testing.assert_allclose(result.parts["correlations"].table["r"], [0.6, 0.5, 0.4], atol=1e-4)
    variance = result.parts["factors"].table["variance"]
    np.testing.assert_allclose(
        variance.sum(), (1 - result.table.groupby("code")["uniqueness"].first()).sum(), atol=1e-6
    )
    orthogonal = efa(pd.DataFrame(matrix), factors=3, n=1000, rotation="varimax")
    assert set(orthogonal.parts["correlations"].table["r"]) == {0.0}
    assert orthogonal.table["loading"].abs().min() > 0.02  # varimax has to spread what correlates


def test_oblimin_leaves_factors_that_do_not_correlate_alone():
    result = efa(pd.DataFrame(correlated([4] * 3, 0.7, 0.0)), factors=3, n=1000)
    np.testing.assert_allclose(result.parts["correlations"].table["r"], 0, atol=1e-4)
