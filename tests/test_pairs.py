"""People who linked themselves: the number stays, its range narrows; no code, no count of few, no person comes out.

Outside numbers are those of scipy; hand-worked ones are plain numpy on the persons. Both agree to 1e-9, the rounding noise of
float64 sums. Rates lie in the 99 % binomial interval of their replications, which are units of one wave.
"""

from __future__ import annotations

import hashlib
import hmac
import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import small
from conftest import WriteWorkspace
from scipy import stats
from trials import trials

import dj_analysis as dj
from dj_analysis.errors import UsageError
from dj_analysis.judge.change import Change
from dj_analysis.judge.moderated import chance, linked_laws
from dj_analysis.judge.pairs import Pairs, without_small_rests
from dj_analysis.measure.inference.overlapping import pair_covariance
from dj_analysis.measure.inference.uncertainty import means
from dj_analysis.measure.inference.unitlaws import unit_laws
from dj_analysis.measure.survey import Survey
from dj_analysis.spec import assessment, reasons
from dj_analysis.spec.units import Unit, Units

NOW, BEFORE = "2026Q3", "2026Q2"
EXACT = 1e-9
FLAT = Units(tuple(Unit(name, level="branch") for name in "AB"))

Answers = Mapping[str, Sequence[tuple[str, float]]]


def linked(answers: Answers, period: str, units: Units = FLAT) -> Survey:
    """A wave of people by unit: (pseudonym or "", score)."""
    survey = small.wave({unit: [x for _, x in people] for unit, people in answers.items()}, period, units=units)
    return replace(survey, frame=survey.frame.assign(link=[code for people in answers.values() for code, _ in people]))


def compared(now: Survey, before: Survey, pairs: Pairs | None = None) -> Change:
    return dj.compare(dj.score(now), dj.score(before), pairs)


def of_unit(change: Change, unit: str, code: str = "INDEX") -> pd.Series:
    table = change.table
    return table[(table["unit"] == unit) & (table["code"] == code)].iloc[0]


def two_waves(rng: np.random.Generator, shared: int, alone: tuple[int, int] = (0, 0)) -> tuple[np.ndarray, np.ndarray]:
    """Scores now and before; the first of both are the same people."""
    mood = rng.normal(60, 12, shared + sum(alone))
    now = np.concatenate([mood[:shared] + rng.normal(1, 8, shared), rng.normal(60, 15, alone[0])])
    before = np.concatenate([mood[:shared] + rng.normal(0, 8, shared), rng.normal(60, 15, alone[1])])
    return np.clip(now, 0, 100), np.clip(before, 0, 100)


def coded(scores: np.ndarray, shared: int, unit: str) -> list[tuple[str, float]]:
    return [(f"{unit}{i}" if i < shared else "", float(x)) for i, x in enumerate(scores)]


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(20261129)


# --- The number and its range ---------------------------------------------------------------------------------------------------


def test_everybody_linked_is_the_paired_t_test(rng):
    now, before = two_waves(rng, 30)
    waves = linked({"A": coded(now, 30, "a")}, NOW), linked({"A": coded(before, 30, "a")}, BEFORE)
    row = of_unit(compared(*waves, dj.pair(*waves)), "A")
    told = stats.ttest_rel(now, before)
    assert row["paired"]
    assert row["difference"] == pytest.approx(now.mean() - before.mean(), abs=EXACT)
    assert row["se"] == pytest.approx((now - before).std(ddof=1) / np.sqrt(30), abs=EXACT)
    assert (row["low"], row["high"]) == pytest.approx(told.confidence_interval(), abs=1e-6)
    assert row["p"] == pytest.approx(told.pvalue, rel=1e-6)


def test_nobody_linked_is_two_independent_samples(rng):
    now, before = two_waves(rng, 0, (25, 31))
    waves = linked({"A": coded(now, 0, "a")}, NOW), linked({"A": coded(before, 0, "a")}, BEFORE)
    pairs = dj.pair(*waves)
    with_pairs, plain = compared(*waves, pairs), compared(*waves)
    pd.testing.assert_frame_equal(with_pairs.table, plain.table)
    row, told = of_unit(with_pairs, "A"), stats.ttest_ind(now, before, equal_var=False)
    assert (row["low"], row["high"]) == pytest.approx(told.confidence_interval(), abs=1e-6)
    assert set(pairs.table["reason"]) == {reasons.NOBODY_LINKED}


def test_some_linked_by_hand(rng):
    """Derrick et al. 2017: variance, and degrees of freedom between Welch's and those of the pairs."""
    now, before = two_waves(rng, 18, (9, 22))
    waves = linked({"A": coded(now, 18, "a")}, NOW), linked({"A": coded(before, 18, "a")}, BEFORE)
    row, plain = of_unit(compared(*waves, dj.pair(*waves)), "A"), of_unit(compared(*waves), "A")
    n1, n0, nc = 27, 40, 18
    v1, v0 = now.var(ddof=1) / n1, before.var(ddof=1) / n0
    variance = v1 + v0 - 2 * nc * np.cov(now[:nc], before[:nc])[0, 1] / (n1 * n0)
    welch = (v1 + v0) ** 2 / (v1**2 / (n1 - 1) + v0**2 / (n0 - 1))
    df = nc - 1 + (welch - nc + 1) / (9 + 22 + 2 * nc) * (9 + 22)
    half = stats.t.ppf(0.975, df) * np.sqrt(variance)
    assert row["difference"] == plain["difference"]
    assert row["se"] == pytest.approx(np.sqrt(variance), abs=EXACT)
    assert row["high"] - row["difference"] == pytest.approx(half, abs=1e-6)
    assert row["se"] < plain["se"]


def test_weights_are_honoured_by_hand(rng):
    """All linked with one weight each: the linearised variance of the weighted mean of the differences."""
    now, before = two_waves(rng, 24)
    weight = rng.uniform(0.5, 2, 24)
    book = small.codebook_of(
        small.plain_table(("INDEX", ""), ("D1", "INDEX"), ("q1", "D1", 1, 1.0, 0, 100)), weight="w"
    )
    waves = []
    for period, x in ((NOW, now), (BEFORE, before)):
        survey = dj.read_survey(pd.DataFrame({"unit": "A", "q1": x, "w": weight}), book, units=FLAT, period=period)
        waves.append(replace(survey, frame=survey.frame.assign(link=[f"a{i}" for i in range(24)])))
    row = of_unit(compared(*waves, dj.pair(*waves)), "A")
    d = now - before
    mean = np.average(d, weights=weight)
    error = np.sqrt((weight**2 * (d - mean) ** 2).sum() / weight.sum() ** 2 * 24 / 23)
    assert row["difference"] == pytest.approx(mean, abs=EXACT)
    assert row["se"] == pytest.approx(error, abs=EXACT)


def test_that_linked_people_differ_moves_no_number(rng):
    """Who linked themselves is 20 points above the others in both waves: the difference is that of everybody, all the same."""
    now, before = two_waves(rng, 20, (30, 30))
    now[:20], before[:20] = np.clip(now[:20] + 20, 0, 100), np.clip(before[:20] + 20, 0, 100)
    waves = linked({"A": coded(now, 20, "a")}, NOW), linked({"A": coded(before, 20, "a")}, BEFORE)
    row = of_unit(compared(*waves, dj.pair(*waves)), "A")
    assert row["difference"] == pytest.approx(now.mean() - before.mean(), abs=EXACT)
    within = np.cov(now[:20], before[:20])[0, 1] * 20 / 50**2
    assert row["se"] ** 2 == pytest.approx(now.var(ddof=1) / 50 + before.var(ddof=1) / 50 - 2 * within, abs=1e-6)


def test_where_all_changed_alike_there_is_no_error_to_tell(rng):
    before = np.clip(rng.normal(50, 10, 15), 0, 90)
    waves = linked({"A": coded(before + 5, 15, "a")}, NOW), linked({"A": coded(before, 15, "a")}, BEFORE)
    row = of_unit(compared(*waves, dj.pair(*waves)), "A")
    assert np.isnan(row["se"])
    assert row["reason"] == reasons.NO_ERROR_SOURCE
    assert not row["real"]
    assert not row["paired"]


# --- Who counts as linked -------------------------------------------------------------------------------------------------------

TREE = Units(
    (
        Unit("C1", level="city"), Unit("C2", level="city"), Unit("A", "C1", "branch"), Unit("B", "C1", "branch"),
        Unit("D", "C2", "branch"),
    )
)  # fmt: skip


def pair_counts(pairs: Pairs) -> dict[str, float]:
    assert pairs.sums is not None
    return dict(zip(pairs.sums.units, pairs.sums.persons.tolist(), strict=True))


def test_who_moved_counts_where_both_units_lie():
    """a moved within the city, b between cities; c left no code now; d's code stands twice now."""
    now = {"A": [("a", 50), ("e", 60)], "B": [("", 40), ("d", 40)], "D": [("b", 70), ("d", 10)]}
    before = {"A": [("b", 50), ("e", 55)], "B": [("a", 60), ("c", 30)], "D": [("d", 80)]}
    pairs = dj.pair(linked(now, NOW, TREE), linked(before, BEFORE, TREE))
    assert pair_counts(pairs) == {"ALL": 3, "C1": 2, "C2": 0, "A": 1, "B": 0, "D": 0}


def test_a_merged_unit_has_the_pairs_of_its_parts():
    units = Units(
        (
            Unit("A", level="branch"), Unit("M", level="branch", valid_from="2026-07-01"),
            Unit("X", level="branch", valid_to="2026-06-30", became="M"),
            Unit("Y", level="branch", valid_to="2026-06-30", became="M"),
        )
    )  # fmt: skip
    now = linked({"M": [("x", 50), ("y", 60)], "A": [("a", 50)]}, NOW, units)
    before = linked({"X": [("x", 40)], "Y": [("y", 60)], "A": [("a", 55)]}, BEFORE, units)
    assert pair_counts(dj.pair(now, before)) == {"ALL": 3, "A": 1, "M": 2}


def test_a_reworded_question_takes_no_part():
    """Pairs are scored on the questions in common, as means are."""
    table = small.plain_table(("INDEX", ""), ("D1", "INDEX"), *((f"q{i}", "D1", 1, 1.0, 0, 100) for i in (1, 2)))
    people = [f"p{i}" for i in range(12)]
    x = np.arange(12) * 5.0
    waves = []
    for period, kept, scores in ((NOW, (1,), x), (BEFORE, (1, 2), x[::-1])):
        book = small.codebook_of(table[~table["code"].isin([f"q{i}" for i in (1, 2) if i not in kept])])
        frame = pd.DataFrame({"unit": "A", "q1": scores, "q2": 100.0, "link": people})[
            ["unit", "link", *(f"q{i}" for i in kept)]
        ]
        survey = dj.read_survey(frame.drop(columns="link"), book, units=FLAT, period=period)
        waves.append(replace(survey, frame=survey.frame.assign(link=people)))
    pairs = dj.pair(*waves)
    column = pairs.sums.column(("anchors", "INDEX"))
    place = pairs.sums.units.index("A")
    assert column["wx_now"][place] == pytest.approx(x.sum(), abs=EXACT)
    assert column["wx_before"][place] == pytest.approx(x.sum(), abs=EXACT)  # 100 of q2 is not in it


@pytest.mark.parametrize(
    "wrong", [lambda now, before: (dj.score(now), before), lambda now, before: (now, dj.score(before))]
)
def test_pair_takes_surveys(wrong, rng):
    waves = linked({"A": coded(rng.uniform(0, 100, 12), 12, "a")}, NOW), linked({"A": [("a0", 5)]}, BEFORE)
    with pytest.raises(UsageError, match=r"dj\.pair 不接受 Scores"):
        dj.pair(*wrong(*waves))


def test_pairs_of_other_waves_are_refused(rng):
    waves = [linked({"A": coded(rng.uniform(0, 100, 12), 12, "a")}, period) for period in (NOW, BEFORE, "2026Q1")]
    with pytest.raises(UsageError, match=r"2026Q1 → 2026Q3 不是所比的两期 2026Q2 → 2026Q3"):
        compared(waves[0], waves[1], dj.pair(waves[0], waves[2]))
    with pytest.raises(UsageError, match=r"dj\.pair\(ws\.survey"):
        compared(waves[0], waves[1], pairs=pd.DataFrame())


# --- What is told ---------------------------------------------------------------------------------------------------------------


def test_few_pairs_are_not_used(rng):
    """Nine linked people narrow no range: what narrows it would be about nine people."""
    now, before = two_waves(rng, 9, (20, 20))
    more = two_waves(rng, 30)
    waves = [
        linked({"A": coded(a, 9, "a"), "B": coded(b, 30, "b")}, period)
        for a, b, period in ((now, more[0], NOW), (before, more[1], BEFORE))
    ]
    change, plain = compared(*waves, dj.pair(*waves)), compared(*waves)
    assert not of_unit(change, "A")["paired"]
    assert of_unit(change, "A")["se"] == of_unit(plain, "A")["se"]
    # B would tell, with the whole, the nine of A: the only other branch is not used either.
    assert not of_unit(change, "B")["paired"]
    assert of_unit(change, "ALL")["paired"]


def test_rests_of_few_are_not_left():
    counts = {"ALL": 47, "C1": 26, "C2": 21, "A": 12, "B": 11, "D": 21}
    chosen = without_small_rests({unit: np.array([n]) for unit, n in counts.items()}, TREE, 10, ())
    # A and B leave 3 of C1 (who moved between them): the smaller one leaves. C1 and C2 leave nobody.
    assert chosen == {"ALL", "C1", "C2", "A", "D"}
    assert without_small_rests({unit: np.array([n]) for unit, n in counts.items()}, TREE, 10, {"A"}) == {
        "ALL", "C1", "C2", "B", "D",
    }  # fmt: skip
    assert without_small_rests({"ALL": np.array([9])}, TREE, 10, ()) == set()


@pytest.mark.parametrize("seed", range(trials(40, 10)))
def test_no_small_count_of_linked_or_others_can_be_subtracted(seed: int):
    """Of any sum of shown units less other shown ones below it, who linked and who did not are none or at least min_group."""
    rng = np.random.default_rng(seed)
    units = Units(
        tuple(
            [Unit(f"C{i}", level="city") for i in range(3)]
            + [Unit(f"C{i}-{j}", f"C{i}", "branch") for i in range(3) for j in range(3)]
        )
    )
    waves = ({}, {})
    for i in range(3):
        for j in range(3):
            shared, *alone = rng.integers(0, 40, 3)
            for wave, n in zip(waves, alone, strict=True):
                moved = rng.random(shared) < 0.05
                for k in range(shared):
                    unit = f"C{i}-{rng.integers(0, 3)}" if moved[k] else f"C{i}-{j}"
                    wave.setdefault(unit, []).append((f"{i}{j}-{k}", float(rng.uniform(0, 100))))
                wave.setdefault(f"C{i}-{j}", []).extend(("", float(rng.uniform(0, 100))) for _ in range(n))
    pairs = dj.pair(linked(waves[0], NOW, units), linked(waves[1], BEFORE, units))
    told = pairs.table[pairs.table["reason"] == ""].set_index("unit")
    for parent in told.index:
        below = [unit.unit for unit in units.below(parent) if unit.unit in told.index]
        children = [unit for unit in below if units.ancestors(unit)[0] == parent]
        assert len(children) == len(below) or parent == "ALL"
        rest = (
            told.loc[parent, ["pairs", "n", "n_before"]].astype(float)
            - told.loc[children, ["pairs", "n", "n_before"]].sum()
        )
        linked_rest, others = rest["pairs"], [rest["n"] - rest["pairs"], rest["n_before"] - rest["pairs"]]
        assert (linked_rest == 0 and not any(others)) or min(linked_rest, *others) >= 10, (parent, rest.to_dict())


def test_printed_pairs_say_counts_shares_and_why_not(rng):
    now, before = two_waves(rng, 30, (15, 20))
    all_linked = two_waves(rng, 20)
    waves = [
        linked({"A": coded(a, 30, "a"), "B": coded(b, 20, "b")}, period)
        for a, b, period in ((now, all_linked[0], NOW), (before, all_linked[1], BEFORE))
    ]
    table = dj.protect(dj.pair(*waves)).printed().table.set_index("unit")
    assert table.loc["ALL", ["n", "pairs"]].tolist() == [65, 50]
    assert table.loc["ALL", "linked"] == pytest.approx(50 / 65, abs=0.001)
    # In B nobody declined: that is not told, and so not of A either.
    assert table.loc[["A", "B"], "pairs"].isna().all()
    assert set(table.loc[["A", "B"], "reason"]) == {reasons.FEW_LINKED}


def test_a_unit_hidden_besides_leaves_no_range_of_pairs(rng):
    """A plan that hides more than the pairs knew clears what rests on them; the difference itself stays."""
    waves = []
    for period in (NOW, BEFORE):
        people = {unit: coded(rng.uniform(20, 90, n), n, unit) for unit, n in (("A", 30), ("B", 4), ("D", 6))}
        waves.append(linked(people, period, Units(tuple(Unit(name, level="branch") for name in "ABD"))))
    safe = dj.protect(compared(*waves, dj.pair(*waves)))
    row = safe.table[(safe.table["unit"] == "A") & (safe.table["code"] == "INDEX")].iloc[0]
    assert row["difference"] == row["difference"]
    assert row[["se", "low", "high"]].isna().all()


# --- Rates ----------------------------------------------------------------------------------------------------------------------

UNITS, PEOPLE = 1000, 40
MANY = Units(tuple(Unit(f"U{i}", level="branch") for i in range(UNITS)))


def units_of_forty(linked_people: int, step: float, seed: int, r: float = 0.6) -> tuple[Survey, Survey]:
    """A thousand branches of 40 answers on a five-point scale; r between the moods of those who are linked."""
    rng = np.random.default_rng(seed)
    mood, anew = rng.standard_normal((2, UNITS, PEOPLE))
    same = np.arange(PEOPLE) < linked_people
    later = np.where(same, r * mood + np.sqrt(1 - r**2) * anew, anew)
    waves = []
    for scores, period in ((60 + 18 * later + step, NOW), (60 + 18 * mood, BEFORE)):
        scores = np.clip(np.round(scores / 25) * 25, 0, 100)
        people = {f"U{i}": coded(row, linked_people, f"{i}-") for i, row in enumerate(scores)}
        waves.append(linked(people, period, MANY))
    return waves[0], waves[1]


def branches(change: Change) -> pd.DataFrame:
    table = change.table
    return table[(table["level"] == "branch") & (table["code"] == "INDEX")]


@pytest.mark.parametrize("share", [*(pytest.param(share, marks=pytest.mark.everything) for share in (0.3, 0.6)), 1.0])
def test_ranges_hold_the_truth_and_see_more(share: float):
    same = round(share * PEOPLE)
    waves = units_of_forty(same, 0.0, seed=same)
    paired, plain = branches(compared(*waves, dj.pair(*waves))), branches(compared(*waves))
    assert paired["paired"].all()
    lowest, highest = stats.binom.ppf([0.005, 0.995], UNITS, 0.95)
    assert lowest <= ((paired["low"] <= 0) & (paired["high"] >= 0)).sum() <= highest
    assert (paired["p"] <= 0.05).sum() <= stats.binom.ppf(0.995, UNITS, 0.05)
    # Without their links the same waves are held to be less certain than they are.
    assert ((plain["low"] <= 0) & (plain["high"] >= 0)).sum() > highest or share == 0.3
    np.testing.assert_array_equal(paired["difference"], plain["difference"])
    fallen = units_of_forty(same, -8.0, seed=100 + same)
    power = [(branches(compared(*fallen, pairs))["p"] <= 0.05).mean() for pairs in (dj.pair(*fallen), None)]
    assert power[0] > power[1] + {0.3: 0.04, 0.6: 0.1, 1.0: 0.2}[share]


def moments(x: np.ndarray) -> dict[str, np.ndarray]:
    """Sums over people (last axis) as a wave of equal weights has them."""
    n = np.full(x.shape[:-1], float(x.shape[-1]))
    powers = {f"w{'x' * k}": (x**k).sum(axis=-1) for k in range(1, 5)}
    return powers | {"n": n, "w": n, "ww": n, "www": n, "wwx": powers["wx"], "wwxx": powers["wxx"]}


@pytest.mark.parametrize(("people", "same", "r", "middle"), [
    (20, 14, (0.6, 0.6), 60), (20, 20, (0.6, 0.6), 82), (20, 20, (0.1, 0.9), 70), (12, 10, (0.6, 0.6), 60),
])  # fmt: skip
def test_units_that_did_not_change_are_not_named(people: int, same: int, r: tuple[float, float], middle: float):
    """A thousand waves (a part of them every day) of 100 branches, a column each; in one cell branches differ much in how alike their waves are."""
    rng, branches_, waves = np.random.default_rng(5), 100, trials(1000)
    mood, anew = rng.standard_normal((2, branches_, waves, people), dtype=np.float32)
    tie = rng.uniform(*r, (branches_, waves, 1)).astype(np.float32)
    mood_now = np.where(np.arange(people) < same, tie * mood + np.sqrt(1 - tie**2) * anew, anew)
    now, before = (np.clip(np.round((middle + 18 * x) / 25) * 25, 0, 100).astype(float) for x in (mood_now, mood))
    sums = [moments(now), moments(before)]
    x, y, n = now[..., :same], before[..., :same], np.full((branches_, waves), float(same))
    pairs = moments(50 + (x - y) / 2) | {
        "w_now": n, "w_before": n, "wx_now": x.sum(axis=-1), "wx_before": y.sum(axis=-1),
        "cx": x.sum(axis=-1), "cy": y.sum(axis=-1), "cxy": (x * y).sum(axis=-1),
    }  # fmt: skip
    kept = np.ones(branches_, dtype=bool)
    laws = [unit_laws(wave, means(wave), kept) for wave in sums]
    found = pair_covariance(pairs, sums[0]["w"], sums[1]["w"], n > 0)
    linked_people = linked_laws(found, pairs, *laws, (sums[0]["n"], sums[1]["n"]), kept)
    p = chance(now.mean(axis=-1) - before.mean(axis=-1), *laws, linked_people)
    ordered = np.sort(np.where(np.isnan(p), 1, p), axis=0)
    named = (ordered <= 0.1 * np.arange(1, branches_ + 1)[:, None] / branches_).any(axis=0).sum()
    assert named <= stats.binom.ppf(0.995, waves, 0.1)
    assert named > 0


# --- From the file to the report ------------------------------------------------------------------------------------------------

KEY = bytes(range(32))
ASSESSED = {name: "2026-06-30" if name == "date" else "已说明" for name, *_ in assessment.FIELDS}
BOOK = """code,parent,label_zh,role,direction,weight,minimum,maximum,text_zh
INDEX,,指数,index,1,1,,,
L1,INDEX,完成,item,1,1,1,5,我手头的工作在正常工作时间内基本能完成。
S1,INDEX,倾听,item,1,1,1,5,直接上级会认真听取我的意见。
"""


def wave_of_codes(seed: int, declined: int) -> pd.DataFrame:
    """Forty people of two branches with codes of their own; the first of each branch decline to be linked."""
    rng = np.random.default_rng(seed)
    place = np.arange(40) % 20
    return pd.DataFrame({
        "序号": np.arange(1, 41), "unit": np.repeat(["B1", "B2"], 20), "L1": rng.integers(1, 6, 40), "S1": rng.integers(1, 6, 40),
        "own_code": [f"河岸{i}-x{i % 7}" for i in range(40)], "consent_use": "是",
        "consent_link": np.where(place < declined, "否", "是"),
    })  # fmt: skip


def office_of(
    folder: Path,
    before: pd.DataFrame,
    now: pd.DataFrame,
    write_workspace: WriteWorkspace,
    monkeypatch: pytest.MonkeyPatch,
) -> Path:
    """Write an office of two branches that has a key for codes and these two waves."""
    key = folder / "key"
    key.write_bytes(KEY)
    monkeypatch.setenv("DJ_KEY_FILE", str(key))
    files = {
        "workspace.toml": 'name = "试点"\n', "codebook.csv": BOOK, assessment.FILE: assessment.filled(ASSESSED),
        "units.csv": "unit,parent,level,name_zh\nB1,,branch,运维支部\nB2,,branch,营销支部\n",
        f"responses/{BEFORE}.csv": before.to_csv(index=False), f"responses/{NOW}.csv": now.to_csv(index=False),
    }  # fmt: skip
    return write_workspace(folder / "office", files)


@pytest.fixture
def office(tmp_path: Path, write_workspace, monkeypatch: pytest.MonkeyPatch) -> Path:
    return office_of(tmp_path, wave_of_codes(2, 5), wave_of_codes(3, 6), write_workspace, monkeypatch)


def paired(folder: Path) -> tuple[dj.Workspace, Pairs, Change]:
    ws = dj.open_workspace(folder)
    pairs = dj.pair(ws.survey(NOW), ws.survey(BEFORE))
    return ws, pairs, dj.compare(ws.scores(NOW), ws.scores(BEFORE), pairs)


def test_R2_from_a_file_with_codes_to_a_paired_comparison(office: Path):
    ws, pairs, change = paired(office)
    assert pair_counts(pairs) == {"ALL": 28, "B1": 14, "B2": 14}
    safe = dj.protect(change, ws.release_plan(NOW)).printed().table
    assert safe.loc[safe["code"] == "INDEX", "paired"].tolist() == [True, True, True]
    told = dj.protect(pairs, ws.release_plan(NOW)).printed().table.set_index("unit")
    assert told.loc["ALL", "pairs"] == 28
    assert told.loc[["B1", "B2"], "pairs"].isna().all()  # six and five declined


def test_R2_without_the_key_the_waves_are_independent(office: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv("DJ_KEY_FILE")
    ws, pairs, change = paired(office)
    assert pair_counts(pairs) == {"ALL": 0, "B1": 0, "B2": 0}
    pd.testing.assert_frame_equal(change.table, dj.compare(ws.scores(NOW), ws.scores(BEFORE)).table)


def test_R2_no_code_and_no_pseudonym_stays_anywhere(office: Path):
    ws, pairs, change = paired(office)
    ws.close(NOW)
    dj.run_report("quarterly", office, period=NOW, formats=["html", "xlsx"])
    codes = [f"河岸{i}-x{i % 7}" for i in range(40)]
    secret = [*codes, *(hmac.new(KEY, code.casefold().encode(), hashlib.sha256).hexdigest() for code in codes)]
    kept = [path for path in office.rglob("*") if path.is_file() and path.parent.name != "responses"]
    assert any(path.suffix == ".sqlite" for path in kept)
    for path in kept:
        content = path.read_bytes()
        assert not [word for word in secret if word.encode() in content], path
    with sqlite3.connect(office / ".dj" / "record.sqlite") as record:
        dump = "\n".join(record.iterdump())
    shown = [
        dump,
        repr(pairs),
        repr(change),
        pairs._repr_html_(),
        pairs.table.to_csv(),
        change.table.to_csv(),
        repr(pairs.sums),
    ]
    assert not [word for word in secret if any(word in text for text in shown)]


def test_R13_withdrawal_deletes_the_pair_from_what_follows(office: Path):
    ws, pairs, _ = paired(office)
    assert ws.withdraw(BEFORE, "12") == 1
    again, fewer, change = paired(office)
    assert pair_counts(fewer) == {"ALL": 27, "B1": 13, "B2": 14}
    assert pair_counts(pairs)["ALL"] == 28
    assert dj.protect(change, again.release_plan(NOW)).table["paired"].any()


def test_R13_of_a_published_wave_pairs_are_told_no_more_after_a_withdrawal(office: Path):
    """Old and new range would tell about the one who withdrew; the sums stay, and with them the independent comparison."""
    dj.open_workspace(office).close(NOW)
    dj.open_workspace(office).withdraw(BEFORE, "12")
    ws, _, change = paired(office)
    with pytest.raises(UsageError, match="人员"):
        dj.protect(change, ws.release_plan(NOW))
    assert not ws.has_answers(BEFORE)
    plain = dj.protect(dj.compare(ws.scores(NOW), ws.scores(BEFORE)), ws.release_plan(NOW)).table
    assert plain["low"].notna().any()
