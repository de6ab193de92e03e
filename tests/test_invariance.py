"""Factor models and measurement invariance: exact cases, properties, what is refused, measured error rates.

Sufficient statistics of a model are its own best fit, so known parameters come back and chi-squared is 0: to 1e-6, for
scoring stops when a step would gain less than 1e-9 of chi-squared. Derivatives are compared with central differences
to 1e-5 of their size. Simulated rates are accepted inside the 99 % binomial interval of 1,000 replications; they are drawn
as sufficient statistics (Wishart covariances, normal means), which is what normal answers of people give.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import polars as pl
import pytest
from scipy import stats
from small import gated
from trials import trials

import dj_analysis as dj
from dj_analysis.errors import DataError, UsageError
from dj_analysis.measure.scales import cfa
from dj_analysis.measure.scales import invariancerule as words
from dj_analysis.measure.scales.factormodel import LEVELS, Model, derivatives, discrepancy, implied_moments, sample_of
from dj_analysis.measure.scales.invariance import Invariance, invariance
from dj_analysis.measure.scales.invariancerule import InvarianceRule
from dj_analysis.measure.scales.itemgroups import ONE_ITEM, groups_of_wave
from dj_analysis.measure.survey import Survey
from dj_analysis.spec import reasons
from dj_analysis.spec.codebook import Codebook
from dj_analysis.spec.tree import Node, Tree
from dj_analysis.spec.units import Unit, Units

EXACT = 1e-6
SIX = {"A": ("a1", "a2", "a3"), "B": ("b1", "b2", "b3")}


def population(
    groups: int = 2, *, factors: int = 2, items: int = 3, shift: float = 0, loading: float = 0.7, lower: float = 0
) -> tuple[np.ndarray, np.ndarray]:
    """Means and covariances of standardised items; factors correlate .5, and have mean .3 in the last group.

    ``shift`` is added to the first item's intercept in the last group, ``lower`` taken off its loading there.
    """
    means, covariances = [], []
    for g in range(groups):
        pattern = np.kron(np.eye(factors), np.full((items, 1), loading))
        pattern[0, 0] -= lower * (g == groups - 1)
        phi = np.full((factors, factors), 0.5) + 0.5 * np.eye(factors)
        covariances.append(pattern @ phi @ pattern.T + (1 - loading**2) * np.eye(factors * items))
        mean = pattern @ np.full(factors, 0.3 * (g == groups - 1))
        mean[0] += shift * (g == groups - 1)
        means.append(mean)
    return np.array(means), np.array(covariances)


def at_levels(n, means, covariances, structure=SIX) -> list[cfa.Fit]:
    groups = np.shape(covariances)[-3]
    return [cfa.fit(Model(structure, groups, level), n, means, covariances) for level in LEVELS]


# Exact cases.


def test_degrees_of_freedom_counted_by_hand():
    # Six items in two groups: 2 · (21 + 6) = 54 moments. Configural: 2 · (6 loadings, 6 residuals, 6 intercepts, 1 correlation).
    assert Model(SIX, 2).df == 54 - 38 == 16
    # Metric: 6 loadings less, 2 factor variances more. Scalar: 6 intercepts less, 2 factor means more.
    assert Model(SIX, 2, "metric").df == 16 + 6 - 2 == 20
    assert Model(SIX, 2, "scalar").df == 20 + 6 - 2 == 24
    assert Model(SIX, 2, "scalar").releasing("intercept", "a1").df == 23
    assert Model(SIX, 1, with_means=False).df == 21 - 13
    # A pair alone: 3 + 2 moments a group, two residuals, one variance, two intercepts; only intercepts can be tested.
    pair = {"A": ("a1", "a2")}
    assert [Model(pair, 3, level).df for level in LEVELS] == [0, 0, 2]


def test_moments_of_a_model_fit_it_exactly():
    means, covariances = population(2)
    for found in at_levels([200, 300], means, covariances):
        assert found.reason == ""
        assert found.chi2 == pytest.approx(0, abs=EXACT)
        assert (found.cfi, found.rmsea) == (pytest.approx(1, abs=EXACT), pytest.approx(0, abs=EXACT))
        np.testing.assert_allclose(found.loadings, 0.7, atol=1e-4)
        np.testing.assert_allclose(found.standardised, 0.7, atol=1e-4)
        np.testing.assert_allclose(found.residuals, 0.51, atol=1e-4)
        np.testing.assert_allclose(found.covariances[:, 0, 1], 0.5, atol=1e-4)
    np.testing.assert_allclose(found.means, [[0, 0], [0.3, 0.3]], atol=1e-4)
    np.testing.assert_allclose(found.intercepts, 0, atol=1e-4)


@pytest.mark.parametrize(
    ("kind", "level", "planted"), [("intercept", "scalar", "shift"), ("loading", "metric", "lower")]
)
def test_a_freed_item_gives_back_what_was_planted(kind, level, planted):
    means, covariances = population(3, **{planted: 0.4})
    tied = cfa.fit(Model(SIX, 3, level), 400, means, covariances)
    assert tied.chi2 > 10
    freed = cfa.fit(Model(SIX, 3, level).releasing(kind, "a1"), 400, means, covariances)
    assert freed.chi2 == pytest.approx(0, abs=EXACT)
    own = cfa.release(freed, kind, "a1")
    assert own.df == 0
    sign = 1 if planted == "shift" else -1
    np.testing.assert_allclose(own.estimates - own.estimates[0], [0, 0, sign * 0.4], atol=1e-4)
    # The score test foretells what freeing gains in chi-squared; it is the same for small differences.
    assert max(SIX["A"] + SIX["B"], key=lambda item: cfa.release(tied, kind, item).chi2) == "a1"
    assert cfa.release(tied, kind, "a1").chi2 == pytest.approx(tied.chi2, rel=0.25)
    assert cfa.release(tied, kind, "a1").df == 2


def test_small_misfit_is_foretold_by_the_score_test():
    means, covariances = population(2, shift=0.02)
    tied = cfa.fit(Model(SIX, 2, "scalar"), 1000, means, covariances)
    assert cfa.release(tied, "intercept", "a1").chi2 == pytest.approx(tied.chi2, rel=0.01)


# The likelihood.


@pytest.mark.parametrize("level", LEVELS)
def test_score_is_the_slope_of_the_likelihood(level):
    draw = np.random.default_rng(3)
    means, covariances = population(2)
    model = Model(SIX, 2, level)
    elements = cfa.fit(model, 100, means, covariances).elements + draw.normal(0, 0.03, model.free.shape)
    sample = sample_of(model, [100, 150], means + 0.1, covariances * 1.1)
    score, _ = derivatives(model, sample, elements)
    for g, j in np.argwhere(model.free):
        step = np.zeros(model.free.shape)
        step[g, j] = 1e-5
        up, down = (-sample.n / 2 * discrepancy(model, sample, elements + sign * step) for sign in (1, -1))
        assert score[g, j] == pytest.approx(float((up - down)[g]) / 2e-5, rel=1e-5, abs=1e-5)


def test_information_is_the_curvature_where_the_model_holds():
    model, truth = Model(SIX, 2, "scalar"), population(2)
    elements = cfa.fit(model, 100, *truth).elements
    *_, sigma, mu = implied_moments(model, elements)
    sample = sample_of(model, 100, mu, sigma)
    _, information = derivatives(model, sample, elements)
    size = 1e-4
    for g, j in np.argwhere(model.free):
        step = np.zeros(model.free.shape)
        step[g, j] = size
        up, down = (derivatives(model, sample, elements + sign * step)[0] for sign in (1, -1))
        np.testing.assert_allclose(-(up - down)[g] / (2 * size), information[g, j], rtol=1e-4, atol=1e-3)


# Properties.


@pytest.fixture(scope="module")
def drawn() -> tuple[np.ndarray, np.ndarray]:
    return sufficient(population(2, shift=0.3), 250, 1, seed=5)


def sufficient(truth, n: int, samples: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Means and covariances of samples of n normal people in each group."""
    draw = np.random.default_rng(seed)
    means = [draw.multivariate_normal(m, s / n, size=samples, method="cholesky") for m, s in zip(*truth, strict=True)]
    wishart = [stats.wishart(n - 1, s / n).rvs(size=samples, random_state=draw) for s in truth[1]]
    return np.stack(means, axis=1), np.stack([np.reshape(w, (samples, *truth[1][0].shape)) for w in wishart], axis=1)


def measures(found: cfa.Fit) -> list[float]:
    return [float(np.squeeze(getattr(found, name))) for name in ("chi2", "cfi", "tli", "rmsea", "srmr")]


def test_units_of_items_do_not_matter(drawn):
    means, covariances = drawn
    scale = np.array([1, 20, 0.05, 3, -7, 100.0])
    turned = means * scale + 40, covariances * np.outer(scale, scale)
    for plain, scaled in zip(at_levels(250, *drawn), at_levels(250, *turned), strict=True):
        np.testing.assert_allclose(measures(plain), measures(scaled), rtol=1e-6)
        np.testing.assert_allclose(plain.loadings * scale, scaled.loadings, rtol=2e-3)


def test_order_of_groups_items_and_dimensions_does_not_matter(drawn):
    means, covariances = drawn
    order = [4, 3, 5, 2, 0, 1]
    names = [*SIX["A"], *SIX["B"]]
    structure = {"B": tuple(names[i] for i in order[:3]), "A": tuple(names[i] for i in order[3:])}
    mixed = means[:, ::-1][..., order], covariances[:, ::-1][..., order, :][..., order]
    for plain, other in zip(at_levels(250, *drawn), at_levels(250, *mixed, structure), strict=True):
        np.testing.assert_allclose(measures(plain), measures(other), rtol=1e-6)


def test_more_constraints_never_fit_better(drawn):
    chi2 = [float(found.chi2[0]) for found in at_levels(250, *drawn)]
    assert chi2 == sorted(chi2)
    assert chi2[2] - chi2[1] > 5


def test_samples_fitted_together_equal_samples_fitted_alone():
    truth = population(2)
    means, covariances = sufficient(truth, 150, 5, seed=8)
    together = at_levels(150, means, covariances)
    for place in range(5):
        for many, one in zip(together, at_levels(150, means[place], covariances[place]), strict=True):
            np.testing.assert_allclose(many.chi2[place], one.chi2, rtol=1e-8)
            np.testing.assert_allclose(many.elements[place], one.elements, atol=1e-5)


# What cannot be estimated says so.


def test_singular_covariances_leave_no_number():
    means, covariances = population(2)
    covariances[1, 0] = covariances[1, 1]
    covariances[1, :, 0] = covariances[1, :, 1]
    covariances[1, 0, 0] = covariances[1, 1, 1]
    found = cfa.fit(Model(SIX, 2), 200, means, covariances)
    assert found.reason == cfa.SINGULAR
    assert np.isnan([found.chi2, found.p, found.cfi, found.tli, found.rmsea, found.srmr, found.baseline_chi2]).all()
    assert np.isnan(found.loadings).all()
    assert not found.improper


def test_one_bad_sample_leaves_the_others_alone():
    means, covariances = sufficient(population(2), 200, 3, seed=2)
    alone = cfa.fit(Model(SIX, 2), 200, means[2], covariances[2])
    covariances[1, 0, 0, 0] = 0
    found = cfa.fit(Model(SIX, 2), 200, means, covariances)
    assert found.reason.tolist() == ["", cfa.SINGULAR, ""]
    assert np.isnan(found.chi2).tolist() == [False, True, False]
    assert found.chi2[2] == pytest.approx(alone.chi2, rel=1e-8)


def test_too_few_iterations_leave_no_number(monkeypatch, drawn):
    monkeypatch.setattr(cfa, "ITERATIONS", 2)
    found = cfa.fit(Model(SIX, 2, "scalar"), 250, *drawn)
    assert found.reason.tolist() == [cfa.NOT_CONVERGED]
    assert np.isnan(found.chi2).all()
    assert np.isnan(found.rmsea).all()


def test_pairs_that_do_not_correlate_are_not_identified():
    covariance = np.kron(np.eye(2), [[1, 0.5], [0.5, 1]])
    found = cfa.fit(Model({"A": ("a", "b"), "B": ("c", "d")}, with_means=False), 500, None, [covariance])
    assert found.reason in (cfa.NOT_IDENTIFIED, cfa.NOT_CONVERGED)
    assert np.isnan(found.chi2)
    # The same pairs are identified once they correlate.
    covariance[:2, 2:] = covariance[2:, :2] = 0.3
    found = cfa.fit(Model({"A": ("a", "b"), "B": ("c", "d")}, with_means=False), 500, None, [covariance])
    assert found.reason == ""
    np.testing.assert_allclose(found.standardised[0] ** 2, 0.5, atol=1e-4)


def test_a_negative_residual_variance_is_told():
    # Correlations .8, .8, .5 need a loading of √(.8·.8/.5) = 1.13 on the first item.
    covariance = np.array([[1, 0.8, 0.8], [0.8, 1, 0.5], [0.8, 0.5, 1]])
    found = cfa.fit(Model({"A": ("a", "b", "c")}, with_means=False), 500, None, [covariance])
    assert found.chi2 == pytest.approx(0, abs=EXACT)
    assert found.residuals[0, 0] == pytest.approx(1 - 0.64 / 0.5, abs=1e-4)
    assert found.improper
    proper = cfa.fit(Model({"A": ("a", "b", "c")}, with_means=False), 500, None, [(covariance + np.eye(3)) / 2])
    assert not proper.improper


@pytest.mark.parametrize(
    "structure", [{}, {"A": ("a",)}, {"A": ("a", "b"), "B": ("b", "c")}], ids=["nothing", "one item", "twice"]
)
def test_structures_that_are_none_are_refused(structure):
    with pytest.raises(UsageError, match="two items a factor"):
        Model(structure)


def test_some_item_stays_equal():
    freed = tuple(("intercept", item) for item in SIX["A"])
    with pytest.raises(UsageError, match=r"A: .*stay equal"):
        Model(SIX, 2, "scalar", freed)
    assert Model(SIX, 2, "metric", freed).df == 20


def test_shape_of_the_sample_is_checked():
    means, covariances = population(2)
    with pytest.raises(UsageError, match=r"\(2, 6, 6\)"):
        cfa.fit(Model(SIX, 3), 100, means, covariances)


# From a survey.

QUESTIONS = {"D1": ("p1", "p2", "p3", "p4"), "D2": ("q1", "q2", "q3"), "D3": ("r1",)}
CUTS = np.array([-1.6, -0.7, 0.2, 1.1])


def book(*, reworded: str = "", weight: bool = False) -> Codebook:
    nodes = [Node("INDEX", role="index"), *(Node(code, "INDEX", role="dimension") for code in QUESTIONS)]
    for code, items in QUESTIONS.items():
        for item in items:
            text = "另一问法" if item == reworded else "问题"
            direction = -1 if item == "p2" else 1
            nodes.append(Node(item, code, minimum=1, maximum=5, direction=direction, text_zh=f"{text}{item}"))
    others = [Node("band", role="group"), *([Node("w", role="weight")] if weight else [])]
    return Codebook(Tree(tuple(nodes)), tuple(others))


def people(sizes: dict[str, int], *, shift: float = 0, loading: float = 0.75, seed: int = 1) -> pd.DataFrame:
    """Five-point answers; in the last band p1 is answered ``shift`` standard deviations higher by equals."""
    draw = np.random.default_rng(seed)
    names = [item for items in QUESTIONS.values() for item in items]
    of = [list(QUESTIONS).index(code) for code, items in QUESTIONS.items() for _ in items]
    frames = []
    for band, n in sizes.items():
        factor = draw.multivariate_normal(
            np.full(3, 0.2 * len(frames)), 0.6 + 0.4 * np.eye(3), size=n, method="cholesky"
        )
        latent = loading * factor[:, of] + np.sqrt(1 - loading**2) * draw.standard_normal((n, len(of)))
        latent[:, 0] += shift * (band == list(sizes)[-1])
        frame = pd.DataFrame(np.searchsorted(CUTS, latent) + 1, columns=names)
        frame["p2"] = 6 - frame["p2"]
        frames.append(frame.assign(band=band))
    return pd.concat(frames, ignore_index=True)


def wave(frame: pd.DataFrame, period: str = "2026Q3", **kinds) -> Survey:
    return dj.read_survey(pl.from_pandas(frame), book(**kinds), period=period)


TWO = {"青年": 900, "中年": 900}


def test_answers_without_differences_are_invariant():
    found = invariance(wave(people(TWO)), by="band")
    assert isinstance(found, Invariance)
    assert found.holds == "scalar"
    assert found.table["model"].tolist() == list(LEVELS)
    assert found.table["holds"].all()
    assert (found.table["reason"] == "").all()
    assert (found.table["n"] == 1800).all()
    assert found.items.table["code"].nunique() == 7
    assert not found.items.table["differs"].any()
    assert found.parts["partial"].table.empty


def test_a_planted_shift_is_found_in_its_item_and_measured():
    found = invariance(wave(people(TWO, shift=0.5)), by="band")
    assert found.holds == "metric"
    assert "ΔCFI" in found.table["reason"].iloc[2]
    table = found.items.table
    assert table["code"].iloc[0] == "p1"
    assert table["chi2"].is_monotonic_decreasing
    assert table.set_index("code")["step"].dropna().to_dict() == {"p1": 1}
    assert found.parts["partial"].table["holds"].tolist() == [True]
    first, others = table[table["code"] == "p1"].set_index("unit"), table[table["code"] != "p1"]
    # Half a standard deviation of the latent answer is about 14 points of the score, shared out between two equal groups.
    assert first.loc["中年", "difference"] == pytest.approx(7, abs=1.5)
    assert first["difference"].sum() == pytest.approx(0, abs=1e-9)
    assert first.loc["中年", "low"] > 0 > first.loc["青年", "high"]
    assert (others["low"] < 0.5).all()
    assert (others["high"] > -0.5).all()
    assert (first["q"] < 1e-6).all()
    assert first["differs"].all()
    assert not others["differs"].any()


def test_an_item_that_differs_is_named_though_the_whole_model_hardly_suffers():
    sizes = {"青年": 500, "中年": 500, "老年": 500, "晚年": 500}
    rule = InvarianceRule(smallest=3)
    found = invariance(wave(people(sizes, shift=0.24)), by="band", rule=rule)
    assert found.holds == "scalar"
    assert found.table["delta_cfi"].iloc[2] < 0.010
    assert found.table["reason"].iloc[2].endswith(words.ITEMS_DIFFER)
    named = found.items.table.query("differs")
    assert named[["code", "unit", "step"]].to_numpy().tolist() == [["p1", "晚年", 1]]
    # About 28 points for a standard deviation of the latent answer, three quarters of it against the mean of four groups.
    assert named["difference"].iloc[0] == pytest.approx(0.75 * 0.24 * 28, abs=1)
    assert found.parts["partial"].table["chi2"].iloc[0] < found.table["chi2"].iloc[2] - 20
    alike = invariance(wave(people(sizes)), by="band", rule=rule)
    assert not alike.items.table["differs"].any()
    assert alike.table["reason"].tolist() == ["", "", ""]


def test_loadings_are_listed_where_metric_fails():
    frame = people({"青年": 900}, seed=3)
    other = people({"中年": 900}, seed=4)
    other["p1"] = np.random.default_rng(9).permutation(other["p1"])  # says nothing about the dimension any more
    found = invariance(wave(pd.concat([frame, other], ignore_index=True)), by="band")
    assert found.holds == "configural"
    assert found.table["reason"].iloc[2].startswith(words.LOWER_FAILS)
    table = found.items.table
    assert table["parameter"].unique().tolist() == ["loading"]
    assert table["code"].iloc[0] == "p1"
    assert table[table["code"] == "p1"].set_index("unit")["high"]["中年"] < 0


def test_items_are_compared_where_the_structure_itself_does_not_fit():
    frame = people(TWO, shift=0.5)
    frame["q1"], frame["p2"] = frame["p2"], frame["q1"]  # each under the other's dimension
    found = invariance(wave(frame), by="band")
    assert found.holds == "none"
    assert "CFI" in found.table["reason"].iloc[0]
    assert found.table["holds"].tolist() == [False] * 3
    assert found.items.table["code"].iloc[0] == "p1"
    alike = invariance(wave(frame.assign(p1=people(TWO)["p1"])), by="band")
    assert alike.table["holds"].tolist() == [False] * 3
    assert alike.table["reason"].tolist()[1:] == [words.LOWER_FAILS] * 2
    assert alike.items.table["step"].isna().all()
    assert alike.items.table["q"].min() > 0.05
    assert alike.parts["partial"].table.empty


def test_means_and_covariances_are_those_of_complete_rows():
    frame = people({"青年": 300, "中年": 200, "": 50})
    frame["band"] = frame["band"].replace("", None)
    frame.loc[frame.index % 7 == 0, "q2"] = np.nan
    data = groups_of_wave(wave(frame), "band", None, "anchors")
    assert data.structure == {"D1": QUESTIONS["D1"], "D2": QUESTIONS["D2"]}
    assert data.left_out == {"D3": ONE_ITEM}
    points = (frame[[*QUESTIONS["D1"], *QUESTIONS["D2"]]] - 1) * 25
    points["p2"] = 100 - points["p2"]
    for place, (_, _, band) in enumerate(data.rows):
        part = points[frame["band"] == band].dropna()
        assert (data.n[place], data.effective[place]) == (len(part), len(part))
        assert data.people[place] == (frame["band"] == band).sum()
        np.testing.assert_allclose(data.means[place], part.mean(), atol=1e-10)
        np.testing.assert_allclose(data.covariances[place], np.cov(part.T, bias=True), atol=1e-10)


def test_order_of_rows_and_the_engine_do_not_matter():
    frame = people({"青年": 300, "中年": 300}, shift=0.3)
    expected = invariance(wave(frame), by="band")
    for other in (frame.sample(frac=1, random_state=1), pl.from_pandas(frame).lazy()):
        found = invariance(dj.read_survey(other, book(), period="2026Q3"), by="band")
        pd.testing.assert_frame_equal(found.table, expected.table, rtol=1e-9)
        pd.testing.assert_frame_equal(found.items.table, expected.items.table, rtol=1e-6)


def test_scale_of_weights_does_not_matter_and_equal_weights_change_nothing():
    frame = people({"青年": 300, "中年": 300}, shift=0.3)
    plain = invariance(wave(frame), by="band").table
    equal = invariance(wave(frame.assign(w=3.0), weight=True), by="band").table
    pd.testing.assert_frame_equal(plain, equal, rtol=1e-7)
    w = np.where(np.arange(len(frame)) % 3 == 0, 2.0, 0.5)
    once, tenfold = (invariance(wave(frame.assign(w=w * k), weight=True), by="band").table for k in (1, 10))
    pd.testing.assert_frame_equal(once, tenfold, rtol=1e-7)
    assert once["n"].iloc[0] == 600
    assert once["effective"].iloc[0] == pytest.approx(2 * 300 * 1.0**2 / (4 / 3 + 0.25 * 2 / 3), rel=1e-9)
    assert abs(once["chi2"].iloc[2] - plain["chi2"].iloc[2]) > 1


def test_weights_of_whole_people_give_the_same_moments_as_repeating_them():
    frame = people({"青年": 200, "中年": 200})
    times = np.arange(len(frame)) % 3 + 1
    weighted = groups_of_wave(wave(frame.assign(w=times.astype(float)), weight=True), "band", None, "anchors")
    repeated = groups_of_wave(wave(frame.loc[frame.index.repeat(times)]), "band", None, "anchors")
    np.testing.assert_allclose(weighted.means, repeated.means, atol=1e-10)
    np.testing.assert_allclose(weighted.covariances, repeated.covariances, atol=1e-9)
    assert (weighted.n < repeated.n).all()


def test_small_groups_are_left_out_with_a_reason():
    found = invariance(wave(people({"青年": 300, "中年": 300, "退休": 99})), by="band")
    groups = found.parts["groups"].table.set_index("unit")
    assert groups["used"].to_dict() == {"中年": True, "退休": False, "青年": True}
    assert groups.loc["退休", "reason"] == words.TOO_FEW_PEOPLE
    assert (found.table["groups"] == 2).all()
    assert (found.table["n"] == 600).all()
    only = invariance(wave(people({"青年": 300, "中年": 300})), by="band")
    pd.testing.assert_frame_equal(found.table, only.table)


def test_a_group_without_variance_is_left_out():
    # Those who answered everything answered alike; somebody who left a question out did not.
    frame = people({"青年": 200, "中年": 200, "老年": 200})
    old = frame.index[frame["band"] == "老年"]
    frame.loc[old, "q1"] = 3
    frame.loc[old[:20], ["q1", "q2"]] = [5, np.nan]
    groups = invariance(wave(frame), by="band").parts["groups"].table.set_index("unit")
    assert groups.loc["老年", "reason"] == reasons.NO_VARIANCE
    assert groups["used"].to_dict() == {"中年": True, "老年": False, "青年": True}


def test_what_one_answer_of_all_would_tell_is_left_out():
    frame = people({"青年": 200, "中年": 200, "老年": 200})
    frame.loc[frame["band"] == "老年", "q1"] = 3
    groups = invariance(gated(wave(frame), "band"), by="band").parts["groups"].table.set_index("unit")
    assert groups.loc["老年", "reason"] == reasons.COMPLEMENT


def test_a_rise_of_rmsea_counts_by_itself_only_where_the_rule_is_strict():
    survey = wave(people(TWO, shift=0.24))
    usual, strict = (invariance(survey, by="band", rule=InvarianceRule(strict=strict)) for strict in (False, True))
    row = usual.table.iloc[2]
    assert row["delta_cfi"] <= 0.010
    assert row["reason"] == f"ΔRMSEA {row['delta_rmsea']:.4f} > 0.015" == strict.table["reason"].iloc[2]
    assert (usual.holds, strict.holds) == ("scalar", "metric")
    assert not usual.items.table["differs"].any()
    assert usual.parts["partial"].table.empty
    assert strict.items.table["code"].iloc[0] == "p1"


def test_nobody_told_their_group():
    found = invariance(wave(people({"青年": 300}).assign(band=None)), by="band")
    assert (found.table["reason"] == words.TOO_FEW_GROUPS).all()
    assert (found.table["n"] == 0).all()
    assert found.parts["groups"].table.empty


def test_one_group_is_no_comparison():
    found = invariance(wave(people({"青年": 300, "中年": 20})), by="band")
    assert found.holds == "unknown"
    assert (found.table["reason"] == words.TOO_FEW_GROUPS).all()
    assert found.table[["chi2", "df", "cfi", "rmsea", "holds", "delta_cfi"]].isna().all(axis=None)
    assert (found.table["groups"] == 1).all()


def test_a_dimension_of_one_item_cannot_be_tested():
    found = invariance(wave(people(TWO)), by="band", dimensions=["D3"])
    assert (found.table["reason"] == words.NO_DIMENSION).all()
    assert found.holds == "unknown"
    table = found.parts["dimensions"].table
    assert table[["code", "used", "reason"]].to_numpy().tolist() == [["D3", False, ONE_ITEM]]


def test_a_pair_alone_has_equal_loadings_that_are_not_tested():
    found = invariance(without(wave(people(TWO, shift=0.5)), "p3", "p4"), by="band", dimensions=["D1"])
    assert found.table["df"].tolist() == [0, 0, 1]
    assert found.table["holds"].isna().tolist() == [True, True, False]
    assert found.table["reason"].tolist()[:2] == [words.NOT_TESTABLE] * 2
    assert found.holds == "metric"
    # Which of the two differs cannot be told: freeing either is the same model, and both say so.
    table = found.items.table
    assert (table["reason"] == words.ONE_OF_A_PAIR).all()
    assert table.groupby("code")["step"].count().sum() == 2
    rows = table.set_index(["code", "unit"])["difference"]
    # Loadings are equal, so one answers higher by as much as the other answers lower.
    assert rows["p1", "中年"] == pytest.approx(-rows["p2", "中年"], rel=1e-3)
    assert rows["p1", "中年"] > 4
    same = invariance(without(wave(people(TWO)), "p3", "p4"), by="band", dimensions=["D1"])
    assert same.holds == "scalar"
    assert not same.items.table["differs"].any()


def without(survey: Survey, *items: str) -> Survey:
    return replace(survey, frame=survey.frame.drop(list(items)))


def test_pairs_beside_other_dimensions_are_tested():
    found = invariance(without(wave(people(TWO)), "p3", "p4", "q3"), by="band")
    assert found.table["df"].tolist() == [2, 4, 6]
    assert found.holds == "scalar"


def units() -> Units:
    return Units(tuple(Unit(code, level="branch", name_zh=f"{code}支部") for code in ("B1", "B2", "B3")))


def test_units_of_a_level_are_groups_and_their_names_are_resolved():
    frame = people({"B1支部": 300, "B2": 300, "没有单位": 40}).rename(columns={"band": "unit"})
    frame["unit"] = frame["unit"].replace("没有单位", None)
    survey = dj.read_survey(frame.assign(band="同"), book(), units=units(), period="2026Q3")
    found = invariance(survey, by="branch")
    groups = found.parts["groups"].table
    assert groups["unit"].tolist() == ["B1", "B2", "B3"]
    assert groups["n"].tolist() == [300, 300, 0]
    assert found.table["groups"].tolist() == [2, 2, 2]
    assert invariance(survey, by="company").table["reason"].unique().tolist() == [words.TOO_FEW_GROUPS]


def test_units_that_may_not_be_told_apart_are_left_out():
    # Of three branches one has five people; with it the smaller of the others is hidden, for the rest would tell.
    frame = people({"B1": 300, "B2": 250, "B3": 5}).rename(columns={"band": "unit"})
    survey = dj.read_survey(frame.assign(band="同"), book(), units=units(), period="2026Q3")
    found = invariance(gated(survey, "branch"), by="branch")
    groups = found.parts["groups"].table.set_index("unit")
    assert groups.loc[["B2", "B3"], "reason"].tolist() == [reasons.COMPLEMENT] * 2
    assert (found.table["reason"] == words.TOO_FEW_GROUPS).all()
    seen = dj.protect(found).part("groups").table.set_index("unit")
    assert seen["n"].isna().to_dict() == {"B1": False, "B2": True, "B3": True}


# Several waves.


def test_waves_are_groups_in_order_of_time():
    waves = [
        wave(people({"青年": 400}, seed=seed), period) for seed, period in ((1, "2026Q3"), (2, "2026Q1"), (3, "2026Q2"))
    ]
    found = invariance(waves)
    assert found.holds == "scalar"
    assert (found.period, found.periods) == ("2026Q3", ("2026Q1", "2026Q2", "2026Q3"))
    assert found.table["by"].unique().tolist() == ["period"]
    groups = found.parts["groups"].table
    assert groups["period"].tolist() == ["2026Q1", "2026Q2", "2026Q3"]
    assert set(groups["unit"]) == {"ALL"}
    shifted = people({"青年": 400, "晚": 400}, shift=0.6, seed=4)
    late = wave(shifted[shifted["band"] == "晚"].assign(band="青年"), "2026Q4")
    found = invariance([*waves, late])
    assert found.holds == "metric"
    rows = found.items.table.query("code == 'p1'").set_index("period")
    assert rows["difference"].idxmax() == "2026Q4"


def test_only_questions_asked_alike_in_all_waves_count():
    first, second = wave(people({"青年": 300}), "2026Q1"), wave(people({"青年": 300}, seed=2), "2026Q2", reworded="p1")
    found = invariance([first, second])
    assert found.parts["dimensions"].table.set_index("code")["items"].dropna().to_dict() == {"D1": 3, "D2": 3}
    third = without(wave(people({"青年": 300}, seed=3), "2026Q3"), "q1", "q2")
    table = invariance([first, second, third]).parts["dimensions"].table.set_index("code")
    assert table["used"].to_dict() == {"D1": True, "D2": False, "D3": False}
    assert table.loc["D2", "reason"] == ONE_ITEM


# What is refused, and what leaves.


def test_what_is_not_one_comparison_is_refused():
    survey = wave(people({"青年": 120, "中年": 120}))
    with pytest.raises(UsageError, match="one wave needs by="):
        invariance(survey)
    with pytest.raises(UsageError, match="several waves are the groups"):
        invariance([survey], by="band")
    with pytest.raises(UsageError, match="waves of different periods"):
        invariance([survey, survey])
    with pytest.raises(UsageError, match="waves of different periods"):
        invariance([])
    with pytest.raises(UsageError, match="one level or one group"):
        invariance(survey, by="company×band")
    with pytest.raises(UsageError, match="D2"):
        invariance(survey, by="band", dimensions=["D9"])
    with pytest.raises(UsageError, match="band"):
        invariance(survey, by="bnad")
    with pytest.raises(DataError, match="out_of_range"):
        invariance(wave(people({"青年": 120, "中年": 120}).replace({"q1": {5: 6}})), by="band")


def test_the_result_passes_the_gate_and_prints():
    found = invariance(wave(people(TWO, shift=0.5)), by="band")
    for name in ("", "items", "partial", "groups", "dimensions"):
        safe = dj.protect(found)
        part = safe.part(name) if name else safe
        assert part.hidden == 0
        assert not part.table.empty
        printed = part.printed().table
        assert len(printed) == len(part.table)
    pd.testing.assert_frame_equal(dj.protect(found).table, found.table)
    with pytest.raises(Exception, match="changed by hand"):
        replace(dj.protect(found), result=found.with_table(found.table.assign(cfi=1.0)))


def test_every_reason_has_its_english():
    told = {getattr(words, name) for name in dir(words) if name.isupper() and isinstance(getattr(words, name), str)}
    told |= {cfa.SINGULAR, cfa.NOT_CONVERGED, cfa.NOT_IDENTIFIED, cfa.IMPROPER}
    assert len(told) > 10
    assert told <= set(reasons.WORDS)


# How often the check is wrong.

SEED, SAMPLES = 20261121, trials(1000)


def binomial(rate: float, samples: int = SAMPLES) -> tuple[float, float]:
    low, high = stats.binom.interval(0.99, samples, rate)
    return low / samples, high / samples


def sampled(n: int, **planted: float) -> list[cfa.Fit]:
    """A thousand samples of two groups of n, fitted at every level."""
    fits = at_levels(n, *sufficient(population(2, **planted), n, SAMPLES, SEED + n))
    assert all((found.reason == "").all() for found in fits)
    return fits


def rates(before: cfa.Fit, after: cfa.Fit) -> dict[str, float]:
    """How often equality is rejected: by the difference test at .05, by CFI, by RMSEA, by either."""
    most_fall, most_rise = InvarianceRule().limits(after.sample.n[0].sum())
    p = stats.chi2.sf(after.chi2 - before.chi2, after.df - before.df)
    fall, rise = before.cfi - after.cfi > most_fall, after.rmsea - before.rmsea > most_rise
    return {"test": (p < 0.05).mean(), "cfi": fall.mean(), "rmsea": rise.mean(), "either": (fall | rise).mean()}


def item_q(scalar: cfa.Fit) -> np.ndarray:
    """q-values of the items' score tests, items × samples."""
    p = [cfa.release(scalar, "intercept", item).p for item in scalar.model.items]
    return stats.false_discovery_control(np.array(p), axis=0)


@pytest.fixture(scope="module")
def null() -> list[cfa.Fit]:
    return sampled(200)


@pytest.fixture(scope="module")
def shifted() -> list[cfa.Fit]:
    return sampled(200, shift=0.5)


@pytest.mark.parametrize("place", [1, 2], ids=["metric", "scalar"])
def test_the_difference_test_errs_as_often_as_it_says(place: int, null):
    least, most = binomial(0.05)
    assert least <= rates(null[place - 1], null[place])["test"] <= most


#: Measured with 4,000 other replications (docs/methods.md): the rule states no rate, so these are what it has.
MEASURED = {1: {"cfi": 0.025, "rmsea": 0.076, "either": 0.081}, 2: {"cfi": 0.026, "rmsea": 0.064, "either": 0.072}}


@pytest.mark.parametrize("place", MEASURED, ids=["metric", "scalar"])
def test_the_rule_errs_as_often_as_is_documented(place: int, null):
    found = rates(null[place - 1], null[place])
    for name, rate in MEASURED[place].items():
        least, most = binomial(rate)
        assert least <= found[name] <= most


def test_items_without_differences_are_named_no_more_often_than_is_said(null):
    named = (item_q(null[2]) <= InvarianceRule().false_discovery).any(axis=0).mean()
    assert named <= binomial(0.05)[1]
    assert named > 0.01  # the tests are alive


def test_a_shift_of_half_a_standard_deviation_is_seen(shifted):
    found = rates(shifted[1], shifted[2])
    assert found["test"] > 0.98
    assert found["cfi"] > 0.95
    least, most = binomial(0.05)  # loadings are equal: metric is not to suffer
    assert least <= rates(shifted[0], shifted[1])["test"] <= most
    q = item_q(shifted[2])
    assert (q[0] <= 0.05).mean() > 0.98
    assert (q.argmin(axis=0) == 0).mean() > 0.97


def test_intervals_of_differences_hold_the_truth_as_often_as_they_say():
    means, covariances = sufficient(population(2, shift=0.5), 200, SAMPLES, SEED)
    found = cfa.fit(Model(SIX, 2, "scalar").releasing("intercept", "a1"), 200, means, covariances)
    z, least, most = stats.norm.ppf(0.975), *binomial(0.95)
    for item, truth in (("a1", 0.25), ("a2", 0.0), ("b3", 0.0)):
        own = cfa.release(found, "intercept", item)
        difference = (own.estimates[:, 1] - own.estimates[:, 0]) / 2
        contrast = np.array([-0.5, 0.5])
        error = np.sqrt(contrast @ own.covariance @ contrast)
        assert least <= (np.abs(difference - truth) <= z * error).mean() <= most
    tests = cfa.release(found, "intercept", "b1")
    least, most = binomial(0.05)
    assert least <= (tests.p < 0.05).mean() <= most
