"""Group comparisons, held against scipy and statsmodels, hand-worked cases, and samples without any difference."""

from __future__ import annotations

import warnings
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import small
from scipy import stats
from statsmodels.stats.oneway import anova_oneway
from trials import trials

import dj_analysis as dj
from dj_analysis.errors import DjWarning, UsageError
from dj_analysis.judge import differences as group_differences
from dj_analysis.measure.inference.studentised import range_quantile, range_tail
from dj_analysis.measure.survey import Survey
from dj_analysis.spec import reasons
from dj_analysis.spec.units import Unit, Units

UNITS = Units(tuple(Unit(name, level="team") for name in "ABCD"))
ROOT = ("anchors", "INDEX")


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(41)


def scored(rng: np.random.Generator, **means: float) -> dict[str, np.ndarray]:
    sizes = {"A": 25, "B": 40, "C": 60, "D": 33}
    return {u: np.clip(rng.normal(m, 10 + 3 * i, sizes[u]), 0, 100).round() for i, (u, m) in enumerate(means.items())}


def row(result: dj.Result, test: str, code: str = "INDEX") -> pd.Series:
    return result.table.set_index(["code", "test"]).loc[(code, test)]


def test_three_groups_give_what_scipy_and_statsmodels_give(rng):
    people = scored(rng, A=60, B=66, C=70)
    found = dj.differences(small.wave(people, units=UNITS), by="team")
    samples = list(people.values())
    welch = anova_oneway(samples, use_var="unequal", welch_correction=True)
    assert row(found, "welch").statistic == pytest.approx(welch.statistic, rel=1e-10)
    assert row(found, "welch").df_within == pytest.approx(welch.df_denom, rel=1e-10)
    assert row(found, "welch").p == pytest.approx(welch.pvalue, rel=1e-8)
    f = stats.f_oneway(*samples)
    assert row(found, "anova").statistic == pytest.approx(f.statistic, rel=1e-10)
    assert row(found, "anova").p == pytest.approx(f.pvalue, rel=1e-8)
    h = stats.kruskal(*samples)
    assert (row(found, "kruskal").statistic, row(found, "kruskal").p) == pytest.approx((h.statistic, h.pvalue))
    cut = found.spec.bands["favourable"].bands[0].point
    table = [[(s >= cut).sum() for s in samples], [(s < cut).sum() for s in samples]]
    chi2 = stats.chi2_contingency(table, correction=False)
    assert row(found, "chi2", "q1").statistic == pytest.approx(chi2.statistic)
    assert row(found, "chi2", "q1").effect == pytest.approx(stats.contingency.association(table, method="cramer"))
    assert set(found.table.loc[found.table["test"] == "chi2", "code"]) == {"q1"}, "only questions are counted"


def test_pairs_are_those_of_games_and_howell(rng):
    people = scored(rng, A=60, B=66, C=70, D=61)
    pairs = dj.differences(small.wave(people, units=UNITS), by="team").pairs.table
    pairs = pairs[pairs["code"] == "INDEX"].set_index(["unit", "other"])
    oracle = stats.tukey_hsd(*people.values(), equal_var=False)
    ranges, names = oracle.confidence_interval(0.95), list(people)
    for (unit, other), told in pairs.iterrows():
        i, j = names.index(unit), names.index(other)
        assert told.p == pytest.approx(oracle.pvalue[i, j], rel=1e-6)
        assert (told.low, told.high) == pytest.approx((ranges.low[i, j], ranges.high[i, j]), rel=1e-6)
    assert len(pairs) == 6


def test_two_groups_give_welchs_t_with_hedges_g(rng):
    people = scored(rng, A=60, B=66)
    found = row(dj.differences(small.wave(people, units=UNITS), by="team"), "welch")
    t = stats.ttest_ind(people["A"], people["B"], equal_var=False)
    assert (found.statistic, found.p, found.df_within) == pytest.approx((t.statistic, t.pvalue, t.df))
    n, m = 65, people["A"].mean() - people["B"].mean()
    pooled = np.sqrt((24 * people["A"].var(ddof=1) + 39 * people["B"].var(ddof=1)) / 63)
    assert found.effect == pytest.approx(m / pooled * (1 - 3 / (4 * (n - 2) - 1)))
    assert (found.n, found.groups, found.effect_name) == (65, 2, "hedges_g")


def test_small_groups_and_people_without_a_group_take_no_part(rng):
    people = scored(rng, A=60, B=66, C=70)
    with_few = people | {"D": np.array([0.0] * 9), "": np.array([100.0] * 20)}
    waves = [small.gated(small.wave(p, units=UNITS), "team") for p in (people, with_few)]
    first, second = (dj.differences(one, by="team") for one in waves)
    hidden = waves[1].withheld["2026Q3"]
    left = {u: s for u, s in people.items() if ("team", u) not in hidden}
    expected = stats.f_oneway(*left.values()).statistic
    assert row(second, "anova").statistic == pytest.approx(expected)
    assert "D" not in set(second.pairs.table["unit"]) | set(second.pairs.table["other"])
    assert row(first, "anova").groups == 3


def test_weights_count_where_there_is_a_weighted_form(rng):
    book = small.codebook_of(
        small.plain_table(("INDEX", ""), ("D1", "INDEX"), ("q1", "D1", 1, 1.0, 0, 100)), weight="w"
    )
    people = scored(rng, A=60, B=66)
    frame = pd.DataFrame([(u, s) for u, scores in people.items() for s in scores], columns=["unit", "q1"])
    same = dj.differences(dj.read_survey(frame.assign(w=2.0), book, units=UNITS, period="2026Q3"), by="team")
    plain = dj.differences(small.wave(people, units=UNITS), by="team")
    assert row(same, "welch").p == pytest.approx(row(plain, "welch").p)
    assert row(same, "chi2", "q1").statistic == pytest.approx(row(plain, "chi2", "q1").statistic)
    for test in ("anova", "kruskal"):
        assert row(same, test).reason == reasons.NOT_WEIGHTED
        assert np.isnan(row(same, test).p)
    other = frame.assign(w=np.where(frame["q1"] > 60, 3.0, 1.0))
    assert (
        row(dj.differences(dj.read_survey(other, book, units=UNITS, period="2026Q3"), by="team"), "welch").p
        != row(plain, "welch").p
    )


@pytest.mark.parametrize("language", ["zh", "en"])
def test_words_say_whether_and_how_much(rng, language):
    survey = small.wave(scored(rng, A=40, B=66, C=80), units=UNITS)
    survey = replace(survey, spec=replace(survey.spec, language=language))
    assert (
        row(dj.differences(survey, by="team"), "welch").words
        == {"zh": "有差异,差别较大", "en": "they differ much"}[language]
    )
    same = np.tile([40.0, 50, 60, 70], 10)
    nothing = small.wave({"A": same, "B": same, "C": same}, units=UNITS)
    nothing = replace(nothing, spec=replace(nothing.spec, language=language))
    assert row(dj.differences(nothing, by="team"), "welch").words == {
        "zh": "未见差异(在误差范围内)", "en": "no difference beyond error"}[language]  # fmt: skip


def test_answers_without_spread_have_no_test_and_say_why():
    alike = small.wave({"A": [50.0] * 20, "B": [60.0] * 20, "C": [50.0, 60] * 10}, units=UNITS)
    found = dj.differences(small.gated(alike, "team"), by="team").table
    assert found[["statistic", "p", "effect"]].isna().all(axis=None), "two of three groups cannot be shown"
    assert set(found["reason"]) == {reasons.TOO_FEW_TO_JUDGE}


def test_samples_without_differences_are_called_different_at_the_stated_rate(rng):
    """Of 4,000 null comparisons of three unequal groups, 5 % have p ≤ .05 (99 % binomial interval)."""
    from dj_analysis.judge import differences
    from dj_analysis.measure.inference import uncertainty

    hits, samples_drawn = np.zeros(3), trials(4000)
    for _ in range(samples_drawn):
        samples = [rng.normal(60, 15, n) for n in (20, 40, 60)]
        sums = {"n": np.array([20.0, 40, 60]), "w": np.array([20.0, 40, 60]), "ww": np.array([20.0, 40, 60]),
                "wx": np.array([s.sum() for s in samples]), "wxx": np.array([(s**2).sum() for s in samples])}  # fmt: skip
        sums |= {"wwx": sums["wx"], "wwxx": sums["wxx"]}
        mean = uncertainty.means(sums)
        groups = (np.repeat([0, 1, 2], [20, 40, 60]), np.concatenate(samples))
        tests = [differences.welch(mean, sums), differences._anova(mean, sums, ""),
                 differences._kruskal(groups, np.arange(3), "")]  # fmt: skip
        hits += [test["p"] <= 0.05 for test in tests]
    low, high = stats.binom.interval(0.99, samples_drawn, 0.05)
    assert ((hits >= low) & (hits <= high)).all(), hits / samples_drawn


def test_nothing_of_a_hidden_unit_passes_the_gate(rng):
    """A plan may hide more than the tree rule: then no test is printed, and no pair with that unit."""
    survey = small.wave(scored(rng, A=60, B=66, C=70, D=50), units=UNITS)
    found = dj.differences(survey, by="team")
    open_plan = dj.protect(found).plan
    assert dj.protect(found, open_plan).table["p"].notna().any()
    wave = open_plan.waves["survey", "2026Q3"]
    row_ = ("team", "B")
    mask = replace(wave.mask, shown=wave.mask.shown - {row_}, hidden=wave.mask.hidden | {row_: reasons.COMPLEMENT})
    plan = replace(open_plan, waves={("survey", "2026Q3"): replace(wave, mask=mask)})
    safe = dj.protect(found, plan)
    assert safe.table[["n", "statistic", "p", "effect"]].isna().all(axis=None)
    pairs = safe.part("pairs").printed().table
    about_b = (pairs["unit"] == "B") | (pairs["other"] == "B")
    assert pairs.loc[about_b, ["n", "difference", "p"]].isna().all(axis=None)
    assert pairs.loc[~about_b, "difference"].notna().all()
    assert not {"shift", "shift_other"} & set(pairs.columns)


def many_groups(rng: np.random.Generator, groups: int) -> Survey:
    names = [f"T{i:03d}" for i in range(groups)]
    people = {name: np.clip(rng.normal(60, 15, 12), 0, 100).round() for name in names}
    return small.wave(people, units=Units(tuple(Unit(name, level="team") for name in names)))


def test_pairs_of_many_groups_are_left_out_and_it_is_said(rng, monkeypatch):
    survey = many_groups(rng, 12)
    every = dj.differences(survey, by="team")
    assert len(every.pairs.where(code="INDEX").table) == 66
    monkeypatch.setattr(group_differences, "MOST_GROUPS", 11)
    with pytest.warns(
        DjWarning, match=r"(?s)team: 12 × 11 / 2 = 66.*contrast.*only the overall tests.*dj.rank"
    ) as told:
        left_out = dj.differences(survey, by="team")
    assert len(told) == 1
    assert told[0].filename == __file__, "the line that asked"
    assert left_out.pairs.table.empty
    assert list(left_out.pairs.table.columns) == list(every.pairs.table.columns)
    pd.testing.assert_frame_equal(left_out.table, every.table)
    assert dj.protect(left_out).table["p"].notna().any(), "a result without pairs passes the gate"
    with warnings.catch_warnings():
        warnings.simplefilter("error", DjWarning)
        asked = dj.differences(survey, by="team", pairs=True).pairs.table
        named = dj.differences(survey, by="team", pairs=[("T003", "T001"), ("T002", "T007")]).pairs.table
        assert dj.differences(survey, by="team", pairs=False).pairs.table.empty
    pd.testing.assert_frame_equal(asked, every.pairs.table)
    rows = asked.set_index(["code", "unit", "other"])
    found = named.set_index(["code", "unit", "other"])
    as_among_all = ["difference", "se", "low", "high", "p", "n"]
    for column in as_among_all:
        assert found.at[("q1", "T002", "T007"), column] == pytest.approx(
            rows.at[("q1", "T002", "T007"), column], rel=1e-12
        )
    turned, straight = found.loc[("q1", "T003", "T001")], rows.loc[("q1", "T001", "T003")]
    assert (turned.difference, turned.low, turned.p) == pytest.approx(
        (-straight.difference, -straight.high, straight.p)
    )
    assert len(named) == 2 * named["code"].nunique()


def test_pairs_that_do_not_exist_are_refused(rng):
    survey = many_groups(rng, 3)
    with pytest.raises(UsageError, match="T000"):
        dj.differences(survey, by="team", pairs=[("T001", "T00")])
    for wrong in ([("T001", "T001")], ["T001", "T002"], [("T000", "T001", "T002")]):
        with pytest.raises(UsageError, match="not two groups"):
            dj.differences(survey, by="team", pairs=wrong)


def test_unknown_groups_and_crosses_are_refused(rng):
    survey = small.wave(scored(rng, A=60, B=66), units=UNITS)
    with pytest.raises(UsageError, match="team"):
        dj.differences(survey, by="taem")
    with pytest.raises(UsageError, match="one grouping"):
        dj.differences(survey, by=[("team", "age")])


# --- eNPS ---------------------------------------------------------------------------------------------------------


def recommended(counts: dict[str, tuple[int, int, int]], weight: str | None = None, **columns: object) -> dj.Result:
    """Units with so many promoters, passives and detractors."""
    book = small.codebook_of(
        small.plain_table(("INDEX", ""), ("D1", "INDEX"), ("r", "D1", 1, 1.0, 0, 10)), weight=weight
    )
    rows = [(u, v) for u, (p, n, d) in counts.items() for v in [9, 10] * (p // 2) + [9] * (p % 2) + [7] * n + [6] * d]
    frame = pd.DataFrame(rows, columns=["unit", "r"]).assign(**columns)
    return dj.enps(dj.read_survey(frame, book, units=UNITS, period="2026Q3"), "r", by="team")


def test_enps_is_the_published_example():
    """p = .45, d = .20, n = 100: 25 ± 1.96 × 7.66."""
    found = recommended({"A": (45, 35, 20)}).table.set_index("unit").loc["A"]
    assert (found.enps, round(found.se, 2)) == (pytest.approx(25), 7.66)
    up, down = (45 + 0.75) / 103, (20 + 0.75) / 103
    half = 1.959964 * np.sqrt((up + down - (up - down) ** 2) / 103)
    assert (found.low, found.high) == pytest.approx((100 * (up - down - half), 100 * (up - down + half)))
    assert (found.promoters, found.detractors, found.n) == (pytest.approx(0.45), pytest.approx(0.20), 100)


def test_enps_of_units_adds_up_and_weights_scale_freely():
    counts = {"A": (10, 10, 20), "B": (30, 5, 5)}
    found = recommended(counts).table.set_index("unit")
    assert found.loc["ALL", "enps"] == pytest.approx((found.loc["A", "enps"] + found.loc["B", "enps"]) / 2)
    heavy = recommended(counts, weight="w", w=7.0).table.set_index("unit")
    pd.testing.assert_frame_equal(heavy[["enps", "se", "low", "high"]], found[["enps", "se", "low", "high"]])


def test_enps_without_spread_has_no_interval():
    found = recommended({"A": (20, 0, 0), "B": (0, 10, 10)}).table.set_index("unit").loc["A"]
    assert found.enps == 100
    assert np.isnan(found.low)
    assert found.reason == reasons.NO_VARIANCE


@pytest.mark.parametrize(
    ("p", "d", "n"), [(0.4, 0.25, 10), (0.4, 0.25, 60), (0.6, 0.05, 100), (0.3, 0.3, 60), (0.2, 0.1, 100)]
)
def test_enps_intervals_hold_the_truth_at_the_stated_rate(rng, p, d, n):
    from dj_analysis.judge.net_promoters import _around_enps

    draws = rng.multinomial(n, [p, 1 - p - d, d], size=2000) / n
    ranges = np.array([_around_enps(up, down, n) for up, _, down in draws])
    covered = ((ranges[:, 0] <= 100 * (p - d)) & (100 * (p - d) <= ranges[:, 1])).sum()
    low, high = stats.binom.interval(0.99, 2000, 0.95)
    assert low <= covered <= high, covered / 2000


def test_enps_refuses_another_scale():
    with pytest.raises(UsageError, match="from 0 to 10"):
        dj.enps(small.wave({"A": [50.0] * 20}, units=UNITS), "q1")


@pytest.mark.parametrize("groups", [2, 3, 8, 40])
@pytest.mark.parametrize("df", [2.5, 4.01, 5.3, 11, 37.7, 240, 9_000, 3e6])
def test_quantiles_of_the_studentised_range_are_those_of_scipy(groups: int, df: float):
    assert range_quantile(groups, df) == pytest.approx(stats.studentized_range.ppf(0.95, groups, df), abs=1e-5)


@pytest.mark.parametrize("groups", [2, 3, 10, 300])
@pytest.mark.parametrize("df", [2.5, 4.0, 9.0, 38.0, 1_000])
def test_tails_of_the_studentised_range_are_those_of_scipy(groups: int, df: float):
    """Its own integrals end at 1e-11."""
    q = np.array([0.01, 0.5, 1.5, 3, 4, 5, 6, 8, 12, 20, 60])
    assert range_tail(q, groups, np.full(len(q), df)) == pytest.approx(
        stats.studentized_range.sf(q, groups, df), abs=2e-11
    )


def test_the_range_of_two_is_students_t_however_far_out():
    """q = t√2 (1e-12 of the chance itself, where scipy's difference from 1 is lost)."""
    t = np.array([0.1, 1, 3, 8, 20, 30])
    for df in (4.0, 9, 38, 240, 1e5, 1e7):
        assert range_tail(t * np.sqrt(2), 2, np.full(len(t), df)) == pytest.approx(2 * stats.t.sf(t, df), rel=1e-12)
    assert np.isnan(range_tail(np.array([np.nan]), 2, np.array([9.0]))).all()


@pytest.mark.parametrize("rows", [60, 4000])
def test_ranks_are_those_of_scipy_with_many_ties(rng, rows):
    group, value = rng.integers(0, 7, rows), rng.integers(1, 6, rows).astype(float)
    chosen = np.array([0, 2, 3, 6])
    found = group_differences._kruskal((group, value), chosen, "")
    h = stats.kruskal(*(value[group == number] for number in chosen))
    assert (found["statistic"], found["p"]) == pytest.approx((h.statistic, h.pvalue), rel=1e-10)
