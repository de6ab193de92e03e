"""Drivers: published shares, brute force over orders, planted truth and its opposite, and whom the numbers are of.

Published: R's ``relaimpo`` on ``swiss`` and ``attitude`` (Grömping 2006; eight and four digits). Rates are accepted inside the 99 %
binomial interval of 1,000 draws, whose resamples are drawn from Wishart's distribution, as those of normal answers are.
"""

from __future__ import annotations

import re
from dataclasses import replace
from itertools import permutations

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
from scipy import stats
from trials import trials

import dj_analysis as dj
from dj_analysis import methods
from dj_analysis.errors import UsageError
from dj_analysis.measure.inference import importance as module
from dj_analysis.measure.inference.importance import collinearity, explained_variance, first_apart, importance, lmg
from dj_analysis.measure.survey import Survey
from dj_analysis.publish.wording import words
from dj_analysis.spec.codebook import Codebook
from dj_analysis.spec.specification import Specification
from dj_analysis.spec.tree import Node, Tree
from dj_analysis.spec.units import ALL, Unit, Units

mpl.use("Agg")
pytestmark = pytest.mark.filterwarnings("ignore::dj_analysis.errors.DjWarning")


def covariance(table: pd.DataFrame, outcome: str) -> np.ndarray:
    return np.cov(table[[*(name for name in table if name != outcome), outcome]].to_numpy(float).T)


# --- LMG ----------------------------------------------------------------------------------------------------------------


def test_the_published_shares_of_swiss(shared_data):
    table = pd.read_csv(shared_data / "r_reference" / "swiss.csv", index_col=0)
    shares = lmg(covariance(table, "Fertility"))
    np.testing.assert_allclose(shares, [0.05709122, 0.17117303, 0.26013468, 0.10557015, 0.11276592], atol=5e-9)
    assert shares.sum() == pytest.approx(0.706735, abs=5e-7)


def test_the_published_shares_of_attitude(shared_data):
    table = pd.read_csv(shared_data / "r_reference" / "attitude.csv").select_dtypes("number")
    table = table[["rating", "complaints", "privileges", "learning", "raises", "critical", "advance"]]
    shares = lmg(covariance(table, "rating"))
    np.testing.assert_allclose(shares, [0.3708, 0.0509, 0.1558, 0.1203, 0.0066, 0.0282], atol=5e-5)
    assert shares.sum() == pytest.approx(0.7326, abs=5e-5)


def squares(x: np.ndarray, y: np.ndarray, w: np.ndarray, columns: tuple[int, ...]) -> float:
    """R² of a weighted least-squares fit with an intercept."""
    design = np.column_stack([np.ones(len(y)), x[:, list(columns)]]) * np.sqrt(w)[:, None]
    residual = np.sqrt(w) * y - design @ np.linalg.lstsq(design, np.sqrt(w) * y, rcond=None)[0]
    return 1 - (residual**2).sum() / (w * (y - np.average(y, weights=w)) ** 2).sum()


def test_shares_are_the_mean_gain_over_all_orders():
    rng = np.random.default_rng(1)
    x = rng.standard_normal((60, 4)) @ rng.standard_normal((4, 4))
    y, w = x @ [1, 0.5, 0, -1] + rng.standard_normal(60), rng.uniform(0.2, 3, 60)
    told = importance(x, y, w, draws=20)
    gains = np.zeros(4)
    for order in permutations(range(4)):
        for place, column in enumerate(order):
            gains[column] += squares(x, y, w, order[: place + 1]) - (squares(x, y, w, order[:place]) if place else 0)
    np.testing.assert_allclose(told.explained, gains / 24, atol=1e-10)
    assert told.r2 == pytest.approx(squares(x, y, w, (0, 1, 2, 3)))
    assert told.share.sum() == pytest.approx(1)
    full = np.cov(np.column_stack([x, y]).T, aweights=w, ddof=0)
    assert explained_variance(full)[0b1010] == pytest.approx(squares(x, y, w, (1, 3)))
    inflation = [1 / (1 - squares(np.delete(x, j, 1), x[:, j], w, (0, 1, 2))) for j in range(4)]
    np.testing.assert_allclose(told.vif, inflation)


def test_predictors_that_determine_each_other_share_alike():
    rng = np.random.default_rng(2)
    x = rng.standard_normal((200, 2))
    y = x[:, 0] + rng.standard_normal(200)
    told = importance(np.column_stack([x[:, 0], x[:, 0], x[:, 1]]), y, draws=20)
    assert told.explained[0] == pytest.approx(told.explained[1])
    assert told.explained.sum() == pytest.approx(squares(x, y, np.ones(200), (0, 1)))
    assert np.isinf(told.condition)
    vif, condition = collinearity(np.array([[1, 0.8], [0.8, 1]]))
    np.testing.assert_allclose(vif, 1 / (1 - 0.64))
    assert condition == pytest.approx(3)


def test_neither_the_order_of_persons_nor_the_scale_of_weights_matters():
    rng = np.random.default_rng(3)
    x = rng.integers(1, 6, (90, 3)).astype(float)
    y, w = x.sum(axis=1) + rng.integers(0, 5, 90), rng.integers(1, 4, 90).astype(float)
    moved = rng.permutation(90)
    first, again = importance(x, y, w, seed=5), importance(x[moved], y[moved], 7 * w[moved], seed=5)
    for name in ("share", "low", "high", "explained", "vif"):
        np.testing.assert_allclose(getattr(first, name), getattr(again, name), atol=1e-9)
    assert not np.allclose(first.low, importance(x, y, w, seed=6).low)


def test_groups_of_persons_resample_as_persons_do(monkeypatch):
    rng = np.random.default_rng(4)
    x = rng.standard_normal((9000, 3))
    y = x @ [0.5, 0.3, 0.1] + rng.standard_normal(9000)
    grouped = importance(x, y, draws=2000)
    monkeypatch.setattr(module, "MOST_GROUPS", 10_000)
    single = importance(x, y, draws=2000)
    np.testing.assert_allclose(grouped.share, single.share)
    np.testing.assert_allclose(grouped.high - grouped.low, single.high - single.low, rtol=0.12)


def test_intervals_hold_the_true_share_at_their_rate():
    """400 draws of 300 persons, β = .5, .3 and .2 with correlations of .4: the 95 % intervals of the three."""
    correlation = np.full((3, 3), 0.4) + 0.6 * np.eye(3)
    beta = np.array([0.5, 0.3, 0.2])
    root = np.linalg.cholesky(correlation)
    joint = np.block(
        [[correlation, (correlation @ beta)[:, None]], [(correlation @ beta)[None], beta @ correlation @ beta + 1]]
    )
    truth = lmg(joint) / lmg(joint).sum()
    rng, held = np.random.default_rng(5), np.zeros(3)
    draws = trials(400)
    for seed in range(draws):
        x = rng.standard_normal((300, 3)) @ root.T
        told = importance(x, x @ beta + rng.standard_normal(300), draws=300, seed=seed)
        held += (told.low <= truth) & (truth <= told.high)
    low, high = stats.binom.interval(0.99, draws, 0.95)
    assert (held >= low).all()
    assert (held <= high).all()


def wishart(rng: np.random.Generator, covariances: np.ndarray, n: int, draws: int) -> np.ndarray:
    """Covariances of n normal persons (Bartlett 1933), ``draws`` for each one given: … × draws × m × m."""
    shape = (*covariances.shape[:-2], draws, *covariances.shape[-2:])
    m = shape[-1]
    lower = np.tril(rng.standard_normal(shape), -1)
    lower[..., np.arange(m), np.arange(m)] = np.sqrt(rng.chisquare(n - 1 - np.arange(m), shape[:-1]))
    factor = np.linalg.cholesky(covariances)[..., None, :, :] @ lower
    return factor @ np.swapaxes(factor, -1, -2) / (n - 1)


@pytest.mark.parametrize(("first", "least", "most"), [(0.4, 0.8, 1.0), (0.1, 0.0, 0.05)])
def test_the_true_first_is_told_and_equal_ones_give_no_order(first, least, most):
    """Eight dimensions, correlations .4, n = 2,000: β = .4 against .1 is told in 80 % and more, equal ones in 5 % at most."""
    correlation, beta = np.full((8, 8), 0.4) + 0.6 * np.eye(8), np.array([first] + [0.1] * 7)
    joint = np.block(
        [[correlation, (correlation @ beta)[:, None]], [(correlation @ beta)[None], beta @ correlation @ beta + 1]]
    )
    rng, told, right = np.random.default_rng(6), 0, 0
    for _ in range(20):
        samples = wishart(rng, joint, 2000, 50)
        drawn = lmg(wishart(rng, samples, 2000, 100))
        ends = np.quantile(drawn / drawn.sum(axis=-1, keepdims=True), [0.025, 0.975], axis=1)
        for shares, low, high in zip(lmg(samples), *ends, strict=True):
            place, apart = first_apart(shares / shares.sum(), low, high)
            told, right = told + apart, right + (apart and place == 0)
    bound = stats.binom.interval(0.99, 1000, max(most, 1e-9))[1]
    assert right >= least * 1000
    assert told <= bound
    assert told - right <= stats.binom.interval(0.99, 1000, 0.05)[1]


# --- A wave -------------------------------------------------------------------------------------------------------------

UNITS = Units(
    (
        Unit(ALL, "", "company", "admin"),
        Unit("C1", ALL, "city", "admin"),
        Unit("C2", ALL, "city", "admin"),
        *(Unit(f"B{i}", "C1" if i < 3 else "C2", "branch", "admin") for i in range(1, 6)),
    )
)
SIZES = {"B1": 60, "B2": 20, "B3": 12, "B4": 8, "B5": 3}  # C1 has 80, C2 23


def instrument() -> Codebook:
    nodes = [Node("INDEX", role="index")]
    for d in range(1, 4):
        nodes += [Node(f"D{d}", "INDEX", label_zh=f"维度{d}", label_en=f"Dimension {d}", role="dimension")]
        nodes += [Node(f"q{d}{i}", f"D{d}", minimum=1, maximum=5) for i in range(2)]
    nodes += [Node("O", label_zh="总体感受", label_en="Overall feeling", role="outcome")]
    nodes += [Node(f"o{i}", "O", minimum=1, maximum=5) for i in range(2)]
    return Codebook(Tree(tuple(nodes)), (Node("sex", role="group"), Node("w", role="weight")))


def wave(
    seed: int = 1, sizes: dict[str, int] = SIZES, weight: str | None = None, min_group: int = 10, **effects: float
) -> Survey:
    """Answers whose outcome goes along with the first dimension by 1.2 and with the others by .2."""
    rng = np.random.default_rng(seed)
    unit = np.repeat(list(sizes), list(sizes.values()))
    mood = rng.standard_normal((len(unit), 1))
    latent = 0.5 * mood + rng.standard_normal((len(unit), 3))
    weights = np.array([effects.get(f"D{d}", 1.2 if d == 1 else 0.2) for d in range(1, 4)])
    overall = latent @ weights + 0.6 * rng.standard_normal(len(unit))
    answers = {f"q{d}{i}": latent[:, d - 1] for d in range(1, 4) for i in range(2)} | {
        f"o{i}": overall for i in range(2)
    }
    frame = pd.DataFrame(
        {
            code: np.clip(np.round(3 + value + 0.3 * rng.standard_normal(len(unit))), 1, 5)
            for code, value in answers.items()
        }
    ).assign(unit=unit, sex=rng.choice(["男", "女"], len(unit)), w=rng.uniform(0.5, 2, len(unit)))
    spec = Specification(codebook=instrument(), units=UNITS, min_group=min_group)
    return Survey(frame, spec, "2026Q3", ("anchors",), {"admin": "unit", "sex": "sex"}, weight=weight)


def test_shares_are_those_of_persons_means_on_what_they_answered():
    survey = wave(weight="w")
    told = dj.drivers(survey, outcome="O", by="branch", draws=100)
    frame = survey.frame[survey.frame["unit"] == "B1"]
    x = np.column_stack([(frame[f"q{d}0"] + frame[f"q{d}1"]) / 2 for d in range(1, 4)])
    y, w = ((frame["o0"] + frame["o1"]) / 2).to_numpy(), frame["w"].to_numpy()
    own = told.table[told.table["unit"] == "B1"]
    assert own["explained"].sum() == pytest.approx(squares(x, y, w, (0, 1, 2)))
    np.testing.assert_allclose(own["explained"], importance(x, y, w, draws=2).explained)
    assert own["n"].tolist() == [60, 60, 60]
    assert (own["low"] <= own["share"]).all()
    assert (own["share"] <= own["high"]).all()
    assert list(told.table.columns) == [*told.keys, *told.statistics, "reason"]


def test_a_small_unit_takes_the_shares_of_the_first_unit_above_with_enough_people():
    told = dj.drivers(wave(), by=["branch", "sex"], draws=50)
    of = told.table.drop_duplicates(["level", "unit"]).set_index("unit")["from_unit"]
    assert of[["B1", "B2", "B3", "B5"]].tolist() == ["B1", "C1", ALL, ALL], "C2 has 23 people"
    assert of[["男", "女"]].tolist() == ["男", "女"]
    table = told.table.set_index(["unit", "code"])
    pd.testing.assert_frame_equal(
        table.loc["B3", ["n", "share", "low", "high"]], table.loc[ALL, ["n", "share", "low", "high"]]
    )
    fewer = (
        dj.drivers(wave(), by="branch", least=12, draws=50).table.drop_duplicates("unit").set_index("unit")["from_unit"]
    )
    assert fewer[["B2", "B3", "B4"]].tolist() == ["B2", "B3", "C2"]


def test_a_first_dimension_is_told_where_it_is_and_only_there():
    planted = dj.drivers(wave(), by="branch").order.table.set_index("unit")
    assert planted.loc[ALL, ["code", "decided", "reason"]].tolist() == ["D1", True, ""]
    assert planted.loc[ALL, "probability"] > 0.99
    equal = dj.drivers(wave(D1=0.5, D2=0.5, D3=0.5)).order.table.iloc[0]
    assert (bool(equal["decided"]), equal["reason"]) == (False, "intervals_overlap")
    nothing = dj.drivers(wave(D1=0, D2=0, D3=0)).order.table.iloc[0]
    assert (bool(nothing["decided"]), nothing["reason"]) == (False, "outcome_not_associated")


def test_too_few_people_and_answers_without_differences_have_no_number():
    few = dj.drivers(wave(sizes={"B1": 15, "B3": 9}), by="branch", draws=50)
    assert few.table["share"].isna().all()
    assert set(few.table["reason"]) == {"too_few_to_judge"}
    survey = wave()
    survey.frame[["o0", "o1"]] = 4.0
    flat = dj.drivers(survey, draws=50)
    assert set(flat.table["reason"]) == {"no_variance"}
    assert flat.order.table["decided"].isna().all()
    alike = wave()
    for i in range(2):
        alike.frame[f"q2{i}"] = alike.frame[f"q1{i}"]
    told = dj.drivers(alike, draws=50)
    assert set(told.table["reason"]) == {"dimensions_too_alike"}
    assert told.order.table["reason"].tolist() == ["dimensions_too_alike"]
    assert told.table["share"].sum() == pytest.approx(1), "they are told, only no order"


@pytest.mark.parametrize(
    ("arguments", "words_of"),
    [
        ({"outcome": "D1"}, "在指数之内"),
        ({"outcome": "INDEX"}, "在指数之内"),
        ({"outcome": "X"}, "结果/outcome"),
        ({"by": "nowhere"}, "nowhere"),
        ({"by": [["branch", "sex"]]}, "交叉分组"),
    ],
)
def test_what_cannot_be_asked_is_named(arguments, words_of):
    with pytest.raises(UsageError, match=words_of):
        dj.drivers(wave(), **arguments)


def test_without_an_outcome_or_with_one_dimension_nothing_is_computed():
    survey = wave()
    with pytest.raises(UsageError, match="role 写 outcome"):
        dj.drivers(replace(survey, frame=survey.frame.drop(columns=["o0", "o1"])))
    with pytest.raises(UsageError, match="至少两个维度"):
        dj.drivers(replace(survey, frame=survey.frame.drop(columns=["q20", "q21", "q30", "q31"])))
    assert dj.drivers(survey, outcome="o1", draws=50).table["outcome"].unique().tolist() == ["o1"]


# --- Disclosure ---------------------------------------------------------------------------------------------------------


def test_small_units_are_hidden_and_so_is_what_rests_on_hidden_people():
    survey = wave(sizes={"B1": 60, "B2": 60, "B3": 60, "B4": 9, "B5": 60})
    safe = dj.protect(dj.drivers(survey, by="branch", draws=50))
    table = safe.table.drop_duplicates("unit").set_index("unit")
    assert table.loc["B4", "reason"] == "small_group"
    assert pd.isna(table.loc["B4", "share"])
    assert table.loc["B4", "from_unit"] == ""
    assert table.loc[["B1", "B2"], "share"].notna().all()
    # C1 is not shown: no row may tell what its people say, B2 (too small for shares of its own) among them.
    told = dj.drivers(replace(wave(), withheld={"2026Q3": frozenset({("city", "C1")})}), by="branch", draws=50)
    assert told.table.set_index("unit").loc["B2", "from_unit"].unique().tolist() == [ALL]


def test_a_wave_less_one_person_is_another_basis(tmp_path):
    ws = dj.open_workspace(dj.make_company(employees=500, branches=6, quarters=1, seed=2).write(tmp_path / "office"))
    survey, plan = ws.survey("2026Q3"), ws.release_plan("2026Q3")
    for by in (None, "branch"):
        assert dj.protect(dj.drivers(survey, by=by, draws=20), plan).printed().table["share"].notna().any()
        with pytest.raises(UsageError, match="人员"):
            dj.protect(dj.drivers(replace(survey, frame=survey.frame[1:]), by=by, draws=20), plan)


def test_shares_of_few_people_are_told_to_one_in_a_hundred():
    safe = dj.protect(dj.drivers(wave(), by="branch", draws=50))
    table = safe.printed().table
    few = table[table["unit"] == "B1"][["share", "low", "high", "explained"]].to_numpy(float)
    np.testing.assert_allclose(few * 100, np.round(few * 100), atol=1e-9)
    assert (few[:, 0] < 0.1).any(), "no bound of 10 %: it is no share of people"


def test_a_row_of_people_that_a_plan_hides_is_hidden():
    survey = wave(sizes={"B1": 60, "B2": 20, "B3": 60, "B4": 30, "B5": 30})
    told, plan = dj.drivers(survey, by=["city", "branch"], draws=50), None
    assert told.table.set_index("unit").loc["B2", "from_unit"].unique().tolist() == ["C1"]
    safe = dj.protect(told, plan)
    wave_plan = safe.plan.waves["survey", "2026Q3"]
    wave_plan = replace(wave_plan, mask=replace(wave_plan.mask, shown=None, hidden={("city", "C1"): "complement"}))
    shut = replace(safe.plan, waves={**safe.plan.waves, ("survey", "2026Q3"): wave_plan})
    from dj_analysis.release.hiding import masked

    table = masked(told, shut).table.set_index("unit")
    assert table.loc[["C1", "B2"], "share"].isna().all()
    assert table.loc[["B1", "B3", ALL], "share"].notna().all()
    closed = replace(
        wave_plan, mask=replace(wave_plan.mask, hidden={}, closed=frozenset({("branch", "B1", "anchors", "D2")}))
    )
    table = masked(told, replace(shut, waves={("survey", "2026Q3"): closed})).table.set_index("unit")
    assert table.loc["B1", "share"].isna().all(), "the other shares would tell the one that is hidden"
    assert table.loc["B3", "share"].notna().all()


# --- Priority -----------------------------------------------------------------------------------------------------------


def many_branches(seed: int = 3) -> Survey:
    return wave(seed, sizes=dict.fromkeys([f"B{i}" for i in range(1, 6)], 80))


def test_priority_is_share_times_gap_times_probability():
    survey = many_branches()
    told, scores = dj.drivers(survey, by="branch", draws=50), dj.score(survey, by="branch")
    table = methods.priority(told, scores, "branch", target=60).table.set_index(["unit", "code"])
    means = methods.shrunken(scores, "branch").table.set_index(["unit", "code"])
    shares = told.table[told.table["level"] == "branch"].set_index(["unit", "code"])
    row, mean = table.loc[("B2", "D1")], means.loc[("B2", "D1")]
    gap = 60 - mean["shrunken"]
    assert row["shortfall"] == pytest.approx(gap)
    assert row["probability"] == pytest.approx(stats.norm.cdf(gap / mean["se"]))
    expected = shares.loc[("B2", "D1"), "share"] * max(gap, 0) * stats.norm.cdf(gap / mean["se"])
    assert row["priority"] == pytest.approx(expected)
    assert set(table.index.get_level_values("code")) == {"D1", "D2", "D3"}
    peers = methods.priority(told, scores, "branch").table.set_index(["unit", "code"])
    mu = methods.shrunken(scores, "branch").parts["model"].table.set_index("code")["mu"]
    assert peers.loc[("B2", "D1"), "reference"] == pytest.approx(mu["D1"])
    wide = dj.score(survey, by=["city", "branch"])
    parent = methods.priority(dj.drivers(survey, by=["city", "branch"], draws=50), wide, "branch", against="parent")
    city = wide.table.set_index(["unit", "code"]).loc[("C1", "D1"), "score"]
    assert parent.table.set_index(["unit", "code"]).loc[("B2", "D1"), "reference"] == pytest.approx(city)


def test_quadrants_are_undecided_where_an_interval_holds_the_cut():
    from dj_analysis.judge.priorities import _quadrants

    rows = pd.DataFrame(
        {
            "level": "branch", "unit": "B1", "form": "anchors", "share": [0.5, 0.3, 0.1, 0.1, 0.0], "share_low": [0.4, 0.25, 0.05, 0.05, 0],
            "share_high": [0.6, 0.4, 0.15, 0.15, 0.3], "shrunken": [50.0, 70, 50, 70, 60], "low": [45.0, 65, 45, 65, 55], "high": [55.0, 75, 55, 75, 65],
        }
    )  # fmt: skip
    assert _quadrants(rows).tolist() == ["concentrate", "keep", "later", "enough", "undecided"]


def test_priority_refuses_other_answers():
    survey = many_branches()
    told, scores = dj.drivers(survey, by="branch", draws=50), dj.score(survey, by="branch")
    with pytest.raises(UsageError, match="不同"):
        methods.priority(told, dj.score(many_branches(4), by="branch"), "branch")
    with pytest.raises(UsageError, match="层级/level"):
        methods.priority(told, scores, "city")
    with pytest.raises(UsageError, match="D2、D3"):
        methods.priority(told, scores, "branch", target={"D1": 70})
    with pytest.raises(UsageError, match="against"):
        methods.priority(told, scores, "branch", against="peer")  # type: ignore[arg-type]
    block = dj.table(dj.protect(methods.priority(told, scores, "branch")))
    assert block.content["rows"]


# --- Figure and words ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("lang", "first", "open_"),
    [("zh", "维度1占比最大", "先后未分"), ("en", "Dimension 1 goes along most", "no order is told")],
)
def test_the_title_names_a_first_dimension_only_where_one_is_told(lang, first, open_):
    for effects, said in (({}, first), ({"D1": 0.5, "D2": 0.5, "D3": 0.5}, open_)):
        survey = wave(**effects)
        told = dj.drivers(replace(survey, spec=survey.spec.speaking(lang)), by="branch")
        for shown in (told, dj.protect(told)):
            axes = dj.plot_drivers(shown)
            assert said in axes.get_title(loc="left").replace("\n", "" if lang == "zh" else " ")
            assert [text.get_text() for text in axes.get_yticklabels()][-1].endswith("1") == (not effects) or effects
    axes = dj.plot_drivers(told, unit="B2")
    assert any("C1" in text.get_text() for text in axes.texts), "whose people they are"


def test_nothing_here_speaks_of_causes():
    for language in ("zh", "en"):
        said = " ".join(str(text) for name, text in words(language).items() if "driver" in name)
        assert not re.search("原因|导致|because|due to|leads to", said)
    assert not re.search("原因|导致", dj.drivers.__doc__ or "")
