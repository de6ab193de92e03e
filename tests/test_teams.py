"""Work teams inside units: their errors by hand and against statsmodels, how often ranges hold, and that no team is shown.

Sums against statsmodels agree to 1e-9 (the same arithmetic in another order).
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import polars as pl
import pytest
import statsmodels.api as sm
from offices import CODEBOOK, PERIOD, office, people
from scipy import stats
from simulated_teams import any_number, equal, team_wave, unequal
from simulated_waves import contrast_p, planted
from statsmodels.stats.multitest import multipletests
from trials import trials

import dj_analysis as dj
from dj_analysis.errors import DataError
from dj_analysis.judge.moderated import chance
from dj_analysis.measure.inference.scorelimits import person_law, wider_limits
from dj_analysis.measure.inference.uncertainty import means, shares_interval
from dj_analysis.measure.inference.unitlaws import PooledMoments, laws_of_rest, unit_laws
from dj_analysis.measure.team_sums import Teams, team_law
from dj_analysis.spec import reasons

TEAM = "team,,班组,team,,,,\n"
NAMES = ("甲班", "乙班", "丙班", "丁班", "戊班", "己班")


def sums_by_team(y: np.ndarray, w: np.ndarray, team: np.ndarray) -> dict[str, np.ndarray]:
    of = {"w": w, "ww": w**2, "wx": w * y, "wxx": w * y**2}
    return {name: np.bincount(team, values)[:, None] for name, values in of.items()}


def with_team_effects(sizes: dict[str, int] | None = None, points: float = 1.2, seed: int = 5) -> pd.DataFrame:
    """Answer sheets of an office whose teams differ; teams are numbered anew in every branch."""
    rng = np.random.default_rng(seed)
    table = people(sizes or {"B11": 60, "B12": 48, "B21": 72, "B22": 40}, seed=seed)
    table["team"] = np.array(NAMES)[rng.integers(0, 6, len(table))]
    effect = {pair: rng.normal(0, points) for pair in sorted(set(zip(table["unit"], table["team"], strict=True)))}
    moved = [effect[pair] for pair in zip(table["unit"], table["team"], strict=True)]
    for item in ("Q1", "Q2", "Q3", "Q4"):
        table[item] = np.clip(np.rint(rng.normal(3, 0.8, len(table)) + moved), 1, 5).astype(int)
    return table


def team_office(folder: Path, answers: pd.DataFrame, *, declared: bool = True) -> dj.Workspace:
    office(folder, answers)
    (folder / "codebook.csv").write_text(CODEBOOK + (TEAM if declared else ""), "utf-8")
    return dj.open_workspace(folder)


# --- Sums ---------------------------------------------------------------------------------------------------------


def test_by_hand():
    # Teams of 2, 2 and 2 with sums 100, 120 and 170: mean 65, S − m·W = −30, −10, 40; squares 900 + 100 + 1600 = 2600.
    y, team = np.array([40.0, 60, 50, 70, 80, 90]), np.array([0, 0, 1, 1, 2, 2])
    teams = Teams.inside(["u"] * 3, sums_by_team(y, np.ones(6), team))
    assert teams.parts["apart"][0, 0] == pytest.approx(2600)
    assert teams.parts["spread"][0, 0] == pytest.approx(1750)  # 625 + 25 + 225 + 25 + 225 + 625
    law = team_law(teams.parts)
    # 450 within teams on 3 degrees of freedom: 150; 1300/2 between: 650 = 150 + 2·250.
    assert (law.persons[0], law.teams[0]) == (pytest.approx(150), pytest.approx(250))
    assert law.allowance[0] == pytest.approx((stats.t.ppf(0.975, 2) / stats.norm.ppf(0.975)) ** 2)
    robust = teams.robust(law)
    assert robust["tvar"][0, 0] == pytest.approx(2600 * 3 / 2)
    assert robust["tknown"][0, 0] ** 2 / robust["tfree"][0, 0] == pytest.approx(2)
    # Var of the mean (150·6 + 250·12)/36 = 650/6; persons alone: s²/6 = 350/6.
    assert law.design_effect(teams.parts)[0, 0] == pytest.approx(650 / 350 * law.allowance[0])


@pytest.mark.parametrize("sizes", [[8] * 6, [5, 9, 30, 12, 7, 6]])
def test_sums_of_squares_are_those_of_clustered_errors(sizes: list[int]):
    rng = np.random.default_rng(len(set(sizes)))
    team = np.repeat(np.arange(len(sizes)), sizes)
    w = np.exp(0.4 * rng.standard_normal(len(team)))
    y = 50 + 8 * rng.standard_normal(len(sizes))[team] + 15 * rng.standard_normal(len(team))
    parts = Teams.inside(["u"] * len(sizes), sums_by_team(y, w, team)).parts
    fit = sm.WLS(y, np.ones(len(y)), weights=w)
    fit = fit.fit(cov_type="cluster", cov_kwds={"groups": team, "use_correction": False})
    assert parts["apart"][0, 0] / parts["w"][0, 0] ** 2 == pytest.approx(fit.bse[0] ** 2, rel=1e-9)


def test_unequal_teams_without_effect_have_the_degrees_of_freedom_of_bell_and_mccaffrey():
    """The quadratic form of the residuals written out as a matrix: trace and trace of its square."""
    sizes = np.array([5, 9, 30, 12])
    team = np.repeat(np.arange(4), sizes)
    n = len(team)
    y = np.tile([40.0, 60.0], n // 2)  # teams do not differ beyond chance
    teams = Teams.inside(["u"] * 4, sums_by_team(y, np.ones(n), team))
    law = team_law(teams.parts)
    assert law.teams[0] == 0
    residuals = np.eye(n) - 1 / n
    by_team = (team == np.arange(4)[:, None]).astype(float) @ residuals
    form = by_team @ by_team.T
    robust = teams.robust(law)
    df = robust["tknown"][0, 0] ** 2 / robust["tfree"][0, 0]
    assert df == pytest.approx(np.trace(form) ** 2 / np.trace(form @ form), rel=1e-9)
    assert robust["tvar"][0, 0] == pytest.approx(teams.parts["apart"][0, 0] * n / np.trace(form), rel=1e-9)


def test_what_teams_differ_by_is_found_again():
    rng = np.random.default_rng(2)
    unit = np.repeat(np.arange(2000), 4)
    size = rng.integers(3, 12, len(unit))
    team = np.repeat(np.arange(len(unit)), size)
    w = np.exp(0.4 * rng.standard_normal(len(team)))
    y = 10 * rng.standard_normal(2000)[unit][team] + 5 * rng.standard_normal(len(unit))[team]
    y += 12 * rng.standard_normal(len(team))
    law = team_law(Teams.inside([str(one) for one in unit], sums_by_team(y, w, team)).parts)
    assert law.teams[0] == pytest.approx(25, rel=0.1)
    assert law.persons[0] == pytest.approx(144, rel=0.03)


# --- How often ranges hold the truth ---------------------------------------------------------------------------------


@pytest.mark.parametrize(("kind", "icc", "sizes", "weights"), [
    ("middle", 0.0, equal(3, 10), "equal"), ("middle", 0.05, unequal(6), "five"), ("middle", 0.25, equal(3, 10), "equal"),
    ("middle", 0.25, any_number, "lognormal"), ("mean 86", 0.25, unequal(3), "equal"), ("mean 86", 0.25, unequal(12), "five"),
    ("mean 86", 0.25, any_number, "equal"), ("ceiling 94.5", 0.05, any_number, "equal"),
    ("ceiling 94.5", 0.25, unequal(6), "lognormal"),
])  # fmt: skip
def test_ranges_hold_the_truth_where_teams_are_known(kind: str, icc: float, sizes: Callable, weights: str):
    rng = np.random.default_rng(17)
    inside = {"teams": [], "alone": [], "share": []}
    for _ in range(12):
        wave = team_wave(kind, icc, sizes, weights, 100, rng)
        for name, sums in (("teams", wave.with_teams), ("alone", wave.alone)):
            low, high = wider_limits(sums, means(sums), person_law(sums))
            given = np.isfinite(low)
            inside[name].append(((low <= wave.truth) & (high >= wave.truth))[given].mean())
        n = (wave.alone["w"] ** 2 / wave.with_teams["wwt"])[:, 2]
        low, high = shares_interval(wave.favourable * n, n)
        true = {"middle": 0.5, "mean 86": 0.88, "ceiling 94.5": 0.955}[kind]
        inside["share"].append(((low <= true) & (high >= true)).mean())
    least = stats.binom.ppf(0.005, 1200, 0.95) / 1200
    assert np.mean(inside["teams"]) >= least
    assert np.mean(inside["share"]) >= least
    if icc == 0.25:
        assert np.mean(inside["alone"]) < 0.9  # what it was before


def test_a_unit_whose_teams_differ_more_than_others_has_its_own_error():
    rng = np.random.default_rng(3)
    held = []
    for _ in range(30):
        calm, torn = (
            team_wave("middle", icc, equal(8, 15), "equal", units, rng) for icc, units in ((0.0, 80), (0.4, 20))
        )
        both = {name: np.vstack([values, torn.with_teams[name]]) for name, values in calm.with_teams.items()}
        low, high = wider_limits(both, means(both), person_law(both))
        held.append(((low[80:] <= torn.truth) & (high[80:] >= torn.truth)).mean())
    assert np.mean(held) >= 0.93


@pytest.mark.parametrize(
    ("kind", "sizes"), [("middle", equal(6, 10)), ("middle", unequal(6)), ("mean 86", equal(3, 10))]
)
def test_equal_units_are_seldom_named_where_teams_are_known(kind: str, sizes: Callable):
    rng, named = np.random.default_rng(9), {"contrast": [], "compare": [], "contrast alone": [], "compare alone": []}
    for _ in range(30):
        before, now = (team_wave(kind, 0.25, sizes, "equal", 200, rng) for _ in range(2))
        for mark, pair in (("", (before.with_teams, now.with_teams)), (" alone", (before.alone, now.alone))):
            first, second = (unit_laws(sums, means(sums), np.ones(200, dtype=bool)) for sums in pair)
            change = chance(means(pair[1]).mean - means(pair[0]).mean, second, first)
            for name, p in (("contrast", contrast_p(pair[1])), ("compare", change)):
                named[name + mark].append(multipletests(p[:, 0], 0.1, "fdr_bh")[0].any())
    for name in ("contrast", "compare"):
        assert np.sum(named[name]) <= stats.binom.ppf(0.995, 30, 0.1), name
        assert np.mean(named[f"{name} alone"]) > 0.9, name


@pytest.mark.parametrize(("kind", "sizes"), [("ceiling 94.5", equal(4, 30)), ("mean 86", unequal(6))])
def test_near_the_end_few_big_teams_name_no_unit(kind: str, sizes: Callable):
    """Units whose teams happen to answer high scatter little there: that is chance, and no reason to trust them more."""
    rng, waves, named = np.random.default_rng(4), trials(200, 40), []
    for _ in range(waves):
        p = contrast_p(team_wave(kind, 0.25, sizes, "equal", 200, rng).with_teams)
        named.append([multipletests(p[np.isfinite(p[:, code]), code], 0.1, "fdr_bh")[0].any() for code in range(3)])
    assert (np.sum(named, axis=0) <= stats.binom.ppf(0.995, waves, 0.1)).all()


def test_units_that_do_differ_in_scatter_keep_their_own_with_teams():
    rng = np.random.default_rng(6)
    wave = team_wave("middle", 0.05, equal(8, 15), "equal", 100, rng)
    assert np.isinf(PooledMoments(wave.with_teams, np.ones(100, dtype=bool)).prior).all()
    calm = team_wave("ceiling 94.5", 0.05, equal(8, 15), "equal", 100, rng)
    both = {name: np.vstack([values, calm.with_teams[name]]) for name, values in wave.with_teams.items()}
    assert (PooledMoments(both, np.ones(200, dtype=bool)).prior < 20).all()


def test_light_tails_of_persons_are_not_taken_for_those_of_teams():
    """Whether teams are skewed is not known: towards the near end p is that of a normal mean, not smaller."""
    wave = team_wave("ceiling 94.5", 0.05, equal(6, 10), "equal", 200, np.random.default_rng(10))
    below = []
    for sums in (wave.with_teams, wave.alone):
        rest = {name: values.sum(axis=0) - values for name, values in sums.items()}
        one, other = means(sums), means(rest)
        law = unit_laws(sums, one, np.ones(200, dtype=bool))
        z = (one.mean - other.mean) / np.sqrt(law.variance + other.se**2)
        p = chance(one.mean - other.mean, law, laws_of_rest(law, rest, other))
        below.append(np.mean(p < 2 * stats.norm.sf(np.abs(z)) - 1e-12))
    assert below[0] == 0
    assert below[1] > 0.02


def test_few_units_of_few_teams_tell_little_of_how_teams_differ():
    rng = np.random.default_rng(7)
    wave = team_wave("middle", 0.25, equal(3, 10), "equal", 20, rng)
    laws = [unit_laws(sums, means(sums), np.ones(20, dtype=bool)) for sums in (wave.with_teams, wave.alone)]
    assert (laws[0].df <= 20 * (3 - 1)).all()
    assert np.isinf(laws[1].df).all()


def test_a_unit_that_is_lower_is_named_where_teams_do_not_differ():
    rng = np.random.default_rng(8)
    wave = team_wave("middle", 0.0, equal(12, 5), "equal", 200, rng)
    moved = planted(wave.with_teams, 15.0, 1)
    named = multipletests(contrast_p(moved)[:, 0], 0.1, "fdr_bh")[0]
    assert named[0]
    assert named.sum() <= 3


# --- From answers to scores ---------------------------------------------------------------------------------------


def test_scores_stay_and_ranges_widen(tmp_path: Path):
    answers = with_team_effects()
    with_them, without = (team_office(tmp_path / f"{one}", answers, declared=one) for one in (True, False))
    now, before = (ws.scores(PERIOD) for ws in (with_them, without))
    assert now.with_teams
    assert not before.with_teams
    same = ["period", "level", "unit", "form", "code", "n", "score", "sd", "favourable"]
    pd.testing.assert_frame_equal(now.table[same], before.table[same], check_exact=True)
    wider = now.table["se"] / before.table["se"]
    index = now.table["code"] == "INDEX"
    assert (wider >= 1 - 1e-12).all()
    assert (wider[index & now.table["level"].isin(["branch", "city"])] > 1.5).all()
    assert (now.table["low"] <= before.table["low"] + 1e-9).all()
    shares = [one.shares.table.query("statistic == 'favourable'") for one in (now, before)]
    assert (shares[0]["share"] == shares[1]["share"]).all()
    assert ((shares[0]["high"] - shares[0]["low"]) >= (shares[1]["high"] - shares[1]["low"]) - 1e-12).all()


def test_branches_that_differ_do_not_count_as_teams(tmp_path: Path):
    """The branches of a city are all there: what they differ by is no error of the city, teams or not."""
    answers = with_team_effects(points=0.0)
    rng = np.random.default_rng(1)
    for item in ("Q1", "Q2", "Q3", "Q4"):
        answers[item] = rng.integers(1, 4, len(answers)) + 2 * (answers["unit"].isin(["B11", "B21"])).astype(int)
    ws = team_office(tmp_path / "office", answers)
    plain = team_office(tmp_path / "plain", answers, declared=False)
    wider = ws.scores(PERIOD).table["se"] / plain.scores(PERIOD).table["se"]
    assert wider[ws.scores(PERIOD).table["level"].isin(["company", "city"])].max() < 1.3


def test_a_declared_column_that_is_not_there_or_parts_nobody_changes_nothing(tmp_path: Path):
    answers = with_team_effects()
    plain = team_office(tmp_path / "plain", answers, declared=False).scores(PERIOD)
    for name, table in (("absent", answers.drop(columns="team")), ("one", answers.assign(team="甲班"))):
        scores = team_office(tmp_path / name, table).scores(PERIOD)
        assert not scores.with_teams
        pd.testing.assert_frame_equal(scores.table, plain.table, check_exact=True)
        pd.testing.assert_frame_equal(scores.shares.table, plain.shares.table, check_exact=True)


def test_people_of_one_unit_under_two_names_are_one_unit(tmp_path: Path):
    answers = with_team_effects()
    ws = team_office(tmp_path / "codes", answers)
    renamed = answers.assign(
        unit=[name if i % 2 else {"B11": "一支部"}.get(name, name) for i, name in enumerate(answers["unit"])]
    )
    other = team_office(tmp_path / "names", renamed)
    pd.testing.assert_frame_equal(ws.scores(PERIOD).table, other.scores(PERIOD).table, rtol=1e-12)


@pytest.mark.parametrize("engine", [lambda frame: frame, pl.from_pandas, lambda frame: pl.from_pandas(frame).lazy()])
def test_every_engine_says_the_same(tmp_path: Path, engine: Callable):
    answers = with_team_effects()
    ws = team_office(tmp_path / "office", answers)
    frame = answers.drop(columns="序号")
    survey = dj.read_survey(engine(frame), ws.spec.codebook, units=ws.spec.units, period=PERIOD)
    by = ["city", "branch", "age_band", ("branch", "age_band")]
    expected = dj.score(ws.survey(PERIOD), by).table
    pd.testing.assert_frame_equal(dj.score(survey, by).table, expected, rtol=1e-9)
    shuffled = dj.read_survey(
        engine(frame.sample(frac=1, random_state=1)), ws.spec.codebook, units=ws.spec.units, period=PERIOD
    )
    pd.testing.assert_frame_equal(dj.score(shuffled, by).table, expected, rtol=1e-9)


def test_tests_that_cannot_allow_for_teams_are_left_out(tmp_path: Path):
    ws = team_office(tmp_path / "office", with_team_effects())
    table = dj.differences(ws.survey(PERIOD), "branch").where(code="INDEX").table.set_index("test")
    assert table.loc[["anova", "kruskal"], "reason"].tolist() == [reasons.NOT_BY_TEAM] * 2
    plain = team_office(tmp_path / "plain", with_team_effects(), declared=False)
    before = dj.differences(plain.survey(PERIOD), "branch").where(code="INDEX").table.set_index("test")
    assert table.loc["welch", "p"] > before.loc["welch", "p"]


def test_phone_numbers_are_no_names_of_teams(tmp_path: Path):
    answers = with_team_effects().assign(team=lambda table: ["13800138000"] * len(table))
    with pytest.raises(DataError, match="手机"):
        team_office(tmp_path / "office", answers).survey(PERIOD)


# --- Nothing of a team leaves --------------------------------------------------------------------------------------


def test_no_team_is_shown_stored_or_asked_for(tmp_path: Path):
    ws = team_office(tmp_path / "office", with_team_effects())
    scores = ws.scores(PERIOD)
    safe = dj.protect(scores, ws.release_plan(PERIOD))
    tables = [safe.table, *(safe.part(name).table for name in ("shares", "response"))]
    said = " ".join([*(table.to_csv() for table in tables), repr(safe), *ws.survey(PERIOD).notices])
    assert not any(name in said for name in NAMES)
    assert "team" not in ws.survey(PERIOD).axes
    with pytest.raises(dj.errors.UsageError):
        dj.score(ws.survey(PERIOD), by="team")
    with pytest.raises(dj.errors.UsageError):
        dj.differences(ws.survey(PERIOD), "team")
    ws.close(PERIOD)
    for path in (ws.folder / ".dj").rglob("*"):
        content = path.read_bytes() if path.is_file() else b""
        assert not any(name.encode(code) in content for name in NAMES for code in ("utf-8", "utf-32-le")), path


def test_the_plan_is_the_same_with_teams_and_without(tmp_path: Path):
    answers = with_team_effects()
    ws, plain = (team_office(tmp_path / str(one), answers, declared=one) for one in (True, False))
    assert ws.release_plan(PERIOD).hidden == plain.release_plan(PERIOD).hidden
    assert ws.scores(PERIOD).basis[0].counted == plain.scores(PERIOD).basis[0].counted
    shown = dj.protect(dj.score(ws.survey(PERIOD), ["branch"]), ws.release_plan(PERIOD)).table
    assert shown["se"].notna().any()


def test_a_closed_wave_keeps_its_errors_when_the_answers_are_gone(tmp_path: Path):
    ws = team_office(tmp_path / "office", with_team_effects())
    before = ws.scores(PERIOD)
    ws.close(PERIOD)
    next((ws.folder / "responses").glob(f"{PERIOD}.*")).unlink()
    after = dj.open_workspace(ws.folder).scores(PERIOD)
    assert after.with_teams
    pd.testing.assert_frame_equal(after.table, before.table, check_exact=True)


def test_somebody_who_changes_teams_changes_a_closed_wave(tmp_path: Path):
    answers = with_team_effects()
    ws = team_office(tmp_path / "office", answers)
    ws.close(PERIOD)
    moved = answers.copy()
    moved.loc[moved.index[0], "team"] = next(name for name in NAMES if name != moved["team"].iloc[0])
    moved.to_csv(ws.folder / "responses" / f"{PERIOD}.csv", index=False, encoding="utf-8-sig")
    with pytest.raises(DataError, match="缺失或被改动"):
        dj.open_workspace(ws.folder).survey(PERIOD)
