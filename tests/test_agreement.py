"""Agreement: hand-worked units, sums against rows, weights, what cannot be computed, and the rates that are claimed.

Tolerances: numbers worked out here to 1e-12; the way from a wave against pandas on its rows to 1e-10. A simulated rate is
accepted inside the 99 % binomial interval of its replications.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from small import codebook_of, gated, plain_table
from test_engines import ENGINES
from trials import trials

import dj_analysis as dj
from dj_analysis.errors import UsageError
from dj_analysis.measure.scales import agreement as ag
from dj_analysis.measure.scales.agreement import agreement, icc_one_way, rwg_by_chance, rwg_j, stepped_up
from dj_analysis.measure.scales.item_answers import OptionCounts
from dj_analysis.measure.survey import Survey
from dj_analysis.result import Result
from dj_analysis.spec import reasons
from dj_analysis.spec.units import Unit, Units

DIRECT = 1e-10
ITEMS = ["a1", "a2", "a3"]
BOOK = plain_table(
    ("INDEX", ""),
    ("A", "INDEX"),
    ("B", "INDEX"),
    ("a1", "A", 1, 1.0, 1, 5),
    ("a2", "A", -1, 1.0, 1, 5),
    ("a3", "A", 1, 1.0, 0, 10),
    ("b1", "B", 1, 1.0, 1, 5),
)
UNIFORM = {
    "a1": 1250.0,
    "a2": 1250.0,
    "a3": 1000.0,
    "b1": 1250.0,
}  # (A^2-1)/12 of five and of eleven options, in points


def answers(seed: int = 0, missing: float = 0.1, between: float = 0.5) -> pd.DataFrame:
    """Answers of twelve branches of 12 to 45 people whose means differ."""
    draw = np.random.default_rng(seed)
    sizes = 12 + 3 * np.arange(12)
    unit = np.repeat([f"U{i}" for i in range(12)], sizes)
    level = np.repeat(between * draw.standard_normal(12), sizes)
    x = level[:, None] + draw.standard_normal((len(unit), 4))
    frame = pd.DataFrame(np.clip(np.rint(3 + x), 1, 5), columns=["a1", "a2", "a3", "b1"])
    frame["a2"], frame["a3"] = 6 - frame["a2"], np.clip(np.rint(5 + 2 * x[:, 2]), 0, 10)
    frame = frame.mask(draw.random(frame.shape) < missing)
    return frame.assign(unit=unit, w=np.round(draw.uniform(0.2, 3, len(unit)), 2))


def survey(frame: pd.DataFrame, *, weight: str | None = None) -> Survey:
    units = Units(tuple(Unit(f"U{i}", level="branch") for i in range(12)))
    if weight is None and isinstance(frame, pd.DataFrame):
        frame = frame.drop(columns="w", errors="ignore")
    return dj.read_survey(frame, codebook_of(BOOK, weight=weight), units=units, period="2026Q3")


def points(frame: pd.DataFrame) -> pd.DataFrame:
    """Items in the scored direction on 0-100."""
    return pd.DataFrame(
        {
            "a1": 25 * (frame["a1"] - 1),
            "a2": 25 * (5 - frame["a2"]),
            "a3": 10 * frame["a3"],
            "b1": 25 * (frame["b1"] - 1),
        }
    )


def sums_of(groups, weights=None) -> dict[str, np.ndarray]:
    weights = weights or [np.ones(len(group)) for group in groups]
    pairs = [(np.asarray(x, float), np.asarray(w, float)) for x, w in zip(groups, weights, strict=True)]
    return {
        "n": np.array([len(x) for x, _ in pairs]), "total": np.array([(w * x).sum() for x, w in pairs]),
        "squares": np.array([(w * x**2).sum() for x, w in pairs]), "w": np.array([w.sum() for _, w in pairs]),
        "ww": np.array([(w**2).sum() for _, w in pairs]),
    }  # fmt: skip


def icc(groups, weights=None) -> ag.OneWay:
    return icc_one_way(**sums_of(groups, weights))


# By hand.


def test_icc_of_two_groups():
    # 1 3 | 5 7: means 2 and 6, MSB = 2(4+4)/1 = 16, MSW = 2+2 over 2 = 2; ICC(1) = 14/18, ICC(2) = 14/16.
    found = icc([[1, 3], [5, 7]])
    assert (found.between, found.within, found.size, *found.df) == pytest.approx((16, 2, 2, 1, 2))
    assert found.coefficients["ICC(1)"][0] == pytest.approx(14 / 18)
    assert found.coefficients["ICC(2)"][0] == pytest.approx(14 / 16)


def test_icc_of_groups_of_different_size():
    # 1 3 | 5 7 9 7: n0 = (6 - 20/6)/1 = 8/3; grand mean 32/6; MSB = 2(10/3)^2 + 4(5/3)^2 = 100/3; MSW = (2+8)/4 = 2.5.
    found = icc([[1, 3], [5, 7, 9, 7]])
    assert (found.size, found.size0) == pytest.approx((3, 8 / 3))
    assert (found.between, found.within) == pytest.approx((100 / 3, 2.5))
    one = (100 / 3 - 2.5) / (100 / 3 + (8 / 3 - 1) * 2.5)
    assert found.coefficients["ICC(1) n0"][0] == pytest.approx(one)
    assert found.coefficients["ICC(1)"][0] == pytest.approx((100 / 3 - 2.5) / (100 / 3 + 2 * 2.5))
    assert found.coefficients["ICC(2) n0"][0] == pytest.approx(3 * one / (1 + 2 * one))
    assert found.coefficients["ICC(2) mean"][0] == pytest.approx((2 * one / (1 + one) + 4 * one / (1 + 3 * one)) / 2)


def test_the_interval_turns_round_the_f_distribution():
    found = icc([[1, 3], [5, 7]])
    # F = 8 on 1 and 2: F(.975; 1, 2) = 38.5063, F(.975; 2, 1) = 799.5.
    for bound, ratio in ((1, 8 / 38.50633), (2, 8 * 799.5)):
        assert found.coefficients["ICC(1)"][bound] == pytest.approx((ratio - 1) / (ratio + 1), abs=1e-6)
        assert found.coefficients["ICC(2)"][bound] == pytest.approx(1 - 1 / ratio, abs=1e-4)


def test_weighted_icc_by_hand():
    # Weights 2 1 | 1 1 of 0 3 | 6 8. Means 1 and 7, W = 3 and 2, ww/w = 5/3 and 1. SSW = 6 + 2 over (3-5/3)+(2-1) = 7/3.
    # Grand 17/5; SSB = 3(2.4)^2 + 2(3.6)^2 = 43.2 over 8/3 - 7/5 = 19/15; n0 = (5 - 13/5)/(19/15) = 36/19.
    found = icc([[0, 3], [6, 8]], [[2, 1], [1, 1]])
    assert found.within == pytest.approx(8 / (7 / 3))
    assert found.between == pytest.approx(43.2 / (19 / 15))
    assert found.size0 == pytest.approx(36 / 19)
    assert found.size == pytest.approx((9 / 5 + 2) / 2)


def test_weights_scale_freely_and_equal_weights_change_nothing():
    groups = [[1, 3, 4], [5, 7], [2, 2, 6, 7]]
    weights = [[1, 2, 0.5], [1, 1], [3, 1, 1, 2]]
    one, other = icc(groups, weights), icc(groups, [np.array(w) * 13 for w in weights])
    plain, equal = icc(groups), icc(groups, [np.full(len(group), 0.4) for group in groups])
    for first, second in ((one, other), (plain, equal)):
        for name, values in first.coefficients.items():
            assert values == pytest.approx(second.coefficients[name], abs=1e-12)


def test_what_gives_no_icc():
    nothing = (pytest.approx(np.nan, nan_ok=True),) * 3
    for groups, reason in (
        ([[1, 2, 3]], ag.ONE_UNIT),
        ([[1, 2, 3], []], ag.ONE_UNIT),
        ([[1], [2], [3]], ag.NO_REPEATS),
        ([[2, 2], [2, 2]], reasons.NO_VARIANCE),
    ):
        found = icc(groups)
        assert found.reason == reason
        assert set(found.coefficients) == set(ag.ICCS)
        for values in found.coefficients.values():
            assert values == nothing


def test_equal_means_give_a_negative_icc():
    found = icc([[1, 3], [0, 4]]).coefficients
    assert found["ICC(1)"][0] == pytest.approx(-1)
    assert found["ICC(2)"][0] == -np.inf


def test_spearman_brown():
    assert stepped_up(0.2, 4) == pytest.approx(0.5)


def test_rwg_of_two_items():
    # Variances 1 and 1/3 against 2: v = 1/3; rwg(2) = (4/3)/(4/3 + 1/3) = .8; r*wg = 2/3.
    x = np.array([[1, 2], [2, 3], [3, 3.0]])
    n, total, squares = np.full((1, 2), 3.0), x.sum(axis=0)[None], (x**2).sum(axis=0)[None]
    rwg, star = rwg_j(n, total, squares, np.array([2.0, 2.0]))
    assert rwg[0] == pytest.approx(0.8)
    assert star[0] == pytest.approx(2 / 3)


def test_disagreement_beyond_chance_is_zero_and_stays_negative_in_lindells_version():
    # 1 1 5 5: variance 16/3 against 2.
    rwg, star = rwg_j(np.array([[4.0]]), np.array([[12.0]]), np.array([[52.0]]), np.array([2.0]))
    assert rwg[0] == 0
    assert star[0] == pytest.approx(1 - 8 / 3)


def test_full_agreement_is_one_and_one_person_has_none():
    n, x, xx = np.array([[4.0], [1.0]]), np.array([[12.0], [3.0]]), np.array([[36.0], [9.0]])
    rwg, star = rwg_j(n, x, xx, np.array([2.0]))
    assert (rwg[0], star[0]) == (1, 1)
    assert np.isnan([rwg[1], star[1]]).all()


def test_mean_deviation_of_two_groups():
    # 1 1 4: mean 2, distances 1 1 2; 2 4: distances 1 1; one person alone has none.
    counts = OptionCounts(
        np.array([1.0, 2, 4]),
        np.array([[2.0, 0, 1], [0, 1, 1], [0, 1, 0]]),
        np.array([[2.0, 0, 1], [0, 1, 1], [0, 1, 0]]),
    )
    np.testing.assert_allclose(ag.mean_deviation(counts, [[0], [1], [2], []]), [4 / 3, 1, np.nan, np.nan])
    both = ag.mean_deviation(counts, [[0, 1]])
    assert both[0] == pytest.approx(np.abs(np.array([1, 1, 4, 2, 4]) - 2.4).mean())


# A wave.


@pytest.fixture(scope="module")
def frame() -> pd.DataFrame:
    return answers()


@pytest.fixture(scope="module")
def found(frame: pd.DataFrame) -> Result:
    return agreement(survey(frame), draws=200)


def test_tidy_columns_and_keys(found: Result):
    assert list(found.table) == [
        "period", "level", "unit", "by", "form", "scale", "coefficient",
        "estimate", "low", "high", "n", "groups", "method", "notice", "reason",
    ]  # fmt: skip
    assert not found.table.duplicated(list(found.keys)).any()
    assert set(zip(found.table["level"], found.table["unit"], found.table["by"], strict=True)) == {
        ("company", "ALL", "branch")
    }
    units = found.parts["units"]
    assert not units.table.duplicated(list(units.keys)).any()
    assert list(units.table) == [
        "period", "level", "unit", "form", "scale", "n", "items", "rwg", "rwg_star", "ad", "chance", "reason",
    ]  # fmt: skip


@pytest.mark.parametrize("code", ["A", "B", "INDEX"])
def test_icc_of_a_wave_equals_an_analysis_of_its_rows(found: Result, frame: pd.DataFrame, code: str):
    x = points(frame)
    scores = {"A": x[ITEMS].mean(axis=1).where(x[ITEMS].notna().sum(axis=1) >= 2), "B": x["b1"]}
    both = pd.DataFrame(scores)
    scores["INDEX"] = both.mean(axis=1).where(both.notna().all(axis=1))
    groups = [group.dropna().to_numpy() for _, group in scores[code].groupby(frame["unit"])]
    n, sizes = sum(map(len, groups)), np.array([len(group) for group in groups])
    grand = np.concatenate(groups).mean()
    between = sum(len(g) * (g.mean() - grand) ** 2 for g in groups) / (len(groups) - 1)
    within = sum(((g - g.mean()) ** 2).sum() for g in groups) / (n - len(groups))
    table = found.table[found.table["scale"] == code].set_index("coefficient")
    size, size0 = n / len(groups), (n - (sizes**2).sum() / n) / (len(groups) - 1)
    assert table.loc["ICC(1)", "estimate"] == pytest.approx(
        (between - within) / (between + (size - 1) * within), abs=DIRECT
    )
    assert table.loc["ICC(2)", "estimate"] == pytest.approx(1 - within / between, abs=DIRECT)
    one = (between - within) / (between + (size0 - 1) * within)
    assert table.loc["ICC(1) n0", "estimate"] == pytest.approx(one, abs=DIRECT)
    assert table.loc["ICC(1)", "low"] < table.loc["ICC(1)", "estimate"] < table.loc["ICC(1)", "high"]
    assert (table.loc["ICC(1)", "n"], table.loc["ICC(1)", "groups"]) == (n, 12)


def test_agreement_of_units_equals_their_rows(found: Result, frame: pd.DataFrame):
    x, table = points(frame), found.parts["units"].table.query("scale == 'A'").set_index("unit")
    for unit, rows in x.groupby(frame["unit"]):
        ratio = (rows[ITEMS].var() / pd.Series(UNIFORM)[ITEMS]).mean()
        kept = min(ratio, 1)
        assert table.loc[unit, "rwg"] == pytest.approx(3 * (1 - kept) / (3 * (1 - kept) + kept), abs=DIRECT)
        assert table.loc[unit, "rwg_star"] == pytest.approx(1 - ratio, abs=DIRECT)
        assert table.loc[unit, "ad"] == pytest.approx(
            (rows[ITEMS] - rows[ITEMS].mean()).abs().mean().mean(), abs=DIRECT
        )
        assert table.loc[unit, "n"] == rows[ITEMS].count().min()


def test_the_main_table_sums_the_units_up(found: Result):
    units = found.parts["units"].table.query("scale == 'A'")
    table = found.table.query("scale == 'A'").set_index("coefficient")["estimate"]
    for name, column in (("rwg(J)", "rwg"), ("r*wg(J)", "rwg_star"), ("AD(M)", "ad")):
        for statistic in ("min", "median", "mean"):
            assert table[f"{name} {statistic}"] == pytest.approx(units[column].agg(statistic), abs=1e-12)
    assert table["rwg(J) over .70"] == pytest.approx((units["rwg"] > 0.7).mean())
    assert table["rwg(J) over chance"] == pytest.approx((units["rwg"] > units["chance"]).mean())
    assert table["rwg(J) chance"] == pytest.approx(units["chance"].median())


def test_the_warning_of_chance_stands_beside_rwg(found: Result):
    table = found.table.query("scale == 'A'").set_index("coefficient")
    chance = table.loc["rwg(J) chance", "estimate"]
    for name in ("rwg(J) min", "rwg(J) median", "rwg(J) mean", "rwg(J) over .70"):
        assert "Harvey & Hollander 2004" in table.loc[name, "notice"]
        assert f"{chance:.2f}" in table.loc[name, "notice"]
    assert table.loc["ICC(1)", "notice"] == ""


def test_an_index_has_no_rwg(found: Result):
    names = found.table.query("scale == 'INDEX'")["coefficient"].tolist()
    assert names == list(ag.ICCS)
    assert set(found.parts["units"].table["scale"]) == {"A", "B"}


@pytest.mark.parametrize("engine", ENGINES)
def test_every_engine_gives_the_same_units(engine: str, frame: pd.DataFrame, found: Result):
    made = agreement(survey(ENGINES[engine](frame.drop(columns="w"))), draws=200)
    pd.testing.assert_frame_equal(found.table, made.table, rtol=1e-9)
    pd.testing.assert_frame_equal(found.parts["units"].table, made.parts["units"].table, rtol=1e-9)


def test_order_of_rows_does_not_matter(frame: pd.DataFrame, found: Result):
    made = agreement(survey(frame.sample(frac=1, random_state=2)), draws=200)
    pd.testing.assert_frame_equal(found.table, made.table, rtol=1e-9)


def test_weights_of_a_wave_scale_freely_and_matter(frame: pd.DataFrame, found: Result):
    one = agreement(survey(frame, weight="w"), draws=50)
    other = agreement(survey(frame.assign(w=frame["w"] * 21), weight="w"), draws=50)
    for first, second in ((one, other), (one.parts["units"], other.parts["units"])):
        pd.testing.assert_frame_equal(first.table, second.table, rtol=1e-8)
    tables = [result.table.query("scale == 'A'").set_index("coefficient")["estimate"] for result in (one, found)]
    for name in ("ICC(1)", "rwg(J) mean", "AD(M) mean"):
        assert abs(tables[0][name] - tables[1][name]) > 1e-4


def test_weighted_units_are_those_of_repeated_people_but_for_the_divisor():
    data = answers(missing=0)
    times = np.arange(len(data)) % 3 + 1
    x = points(data.loc[data.index.repeat(times)])[ITEMS]
    unit, weight = data["unit"].repeat(times), pd.Series(np.repeat(times, times), index=data.index.repeat(times))
    made = agreement(survey(data.assign(w=times.astype(float)), weight="w"), draws=50).parts["units"].table
    table = made.query("scale == 'A'").set_index("unit")
    for name, rows in x.groupby(unit.to_numpy()):
        # Σw − Σw²/Σw in place of n − 1; a person of weight w is there w times, so Σw² is the sum of w over those rows.
        w = weight[(unit == name).to_numpy()]
        ratio = (rows.var(ddof=0) * len(w) / (len(w) - w.sum() / len(w)) / pd.Series(UNIFORM)[ITEMS]).mean()
        assert table.loc[name, "rwg_star"] == pytest.approx(1 - ratio, abs=DIRECT)
        assert table.loc[name, "ad"] == pytest.approx((rows - rows.mean()).abs().mean().mean(), abs=DIRECT)


def test_units_with_one_person_or_nobody_have_a_reason(frame: pd.DataFrame):
    kept = pd.concat([frame[~frame["unit"].isin(["U0", "U1"])], frame[frame["unit"] == "U1"].fillna(3).head(1)])
    made = agreement(survey(kept), draws=50)
    table = made.parts["units"].table.query("scale == 'A'").set_index("unit")
    assert table.loc[["U0", "U1"], "reason"].tolist() == [reasons.NO_ANSWERS, reasons.ONE_PERSON]
    assert table.loc[["U0", "U1"], "n"].tolist() == [0, 1]
    assert table.loc[["U0", "U1"], ["rwg", "rwg_star", "ad", "chance"]].isna().all(axis=None)
    rows = made.table.query("scale == 'A'").set_index("coefficient")
    assert (rows.loc["ICC(1)", "groups"], rows.loc["rwg(J) mean", "groups"]) == (11, 10)


def test_one_unit_alone_has_no_icc_and_says_why(frame: pd.DataFrame):
    rows = (
        agreement(survey(frame[frame["unit"] == "U5"]), draws=50).table.query("scale == 'A'").set_index("coefficient")
    )
    assert rows.loc[list(ag.ICCS), "estimate"].isna().all()
    assert set(rows.loc[list(ag.ICCS), "reason"]) == {ag.ONE_UNIT}
    assert rows.loc["rwg(J) mean", "groups"] == 1


def test_equal_means_say_so():
    data = pd.DataFrame(
        {"a1": [1, 3, 1, 3], "a2": [3, 3, 3, 3], "a3": [5, 5, 5, 5], "b1": [1, 5, 2, 4], "unit": list("UUVV")}
    )
    data["unit"] = data["unit"].map({"U": "U0", "V": "U1"})
    rows = agreement(survey(data), draws=20).table.query("scale == 'B'").set_index("coefficient")
    assert rows.loc["ICC(1)", "estimate"] == pytest.approx(-1)
    for name in ("ICC(2)", "ICC(2) n0", "ICC(2) mean"):
        assert rows.loc[name, ["estimate", "low", "high"]].isna().all()
        assert rows.loc[name, "reason"] == ag.EQUAL_MEANS


@pytest.mark.parametrize("size", [3, 7, 50])
def test_equal_means_in_fractions_have_no_icc2_in_spite_of_rounding(size: int):
    """Thirds and sevenths are not exact: the mean square between units is 0 only but for rounding."""
    answers = np.tile(np.arange(size) % 5 * 0.1 + 0.7, (6, 1))
    found = ag.icc_one_way(np.full(6, size), answers.sum(axis=1), (answers**2).sum(axis=1)).coefficients
    assert found["ICC(1)"][0] == pytest.approx(-1 / (size - 1))
    assert all(not np.isfinite(found[name][0]) for name in found if "(2)" in name)


def test_people_all_alike_in_units_that_differ_agree_perfectly():
    data = pd.DataFrame({"unit": ["U0", "U0", "U1", "U1", "U2", "U2"], "b1": [1, 1, 2, 2, 5, 5]})
    data = data.assign(a1=3, a2=3, a3=3)
    rows = agreement(survey(data), draws=20).table.set_index(["scale", "coefficient"])
    perfect = rows.loc[[("B", name) for name in ag.ICCS]]
    assert perfect["estimate"].to_list() == [1.0] * len(ag.ICCS)
    assert perfect[["low", "high"]].isna().all(axis=None)
    assert set(perfect["reason"]) == {reasons.NO_ERROR_SOURCE}
    assert set(rows.loc[[("A", name) for name in ag.ICCS], "reason"]) == {reasons.NO_VARIANCE}


def test_what_cannot_be_asked(frame: pd.DataFrame):
    with pytest.raises(UsageError, match="branch"):
        agreement(survey(frame), level="county")
    with pytest.raises(UsageError, match="one level"):
        agreement(survey(frame), level="branch×age")


def test_a_group_column_can_be_compared_too(frame: pd.DataFrame):
    data = frame.drop(columns="w").assign(age=np.where(np.arange(len(frame)) % 3, "old", "young"))
    units = Units(tuple(Unit(f"U{i}", level="branch") for i in range(12)))
    wave = dj.read_survey(data, codebook_of(BOOK, group="age"), units=units, period="2026Q3")
    table = agreement(wave, level="age", draws=50).parts["units"].table.query("scale == 'B'").set_index("unit")
    assert table.index.tolist() == ["old", "young"]
    assert table.loc["old", "n"] == data[data["age"] == "old"]["b1"].count()


def test_hidden_units_tell_nothing_in_a_protected_table(frame: pd.DataFrame):
    small = frame["unit"] == "U0"
    data = pd.concat([frame[~small], frame[small].head(6)])
    made = agreement(gated(survey(data), "branch"), draws=50)
    safe = dj.protect(made)
    hidden = safe.part("units").table.query("unit == 'U0'")
    assert set(hidden["reason"]) == {reasons.SMALL_GROUP}
    assert hidden[["rwg", "ad"]].isna().all(axis=None)
    shown = safe.part("units").table.query("scale == 'A' and rwg.notna()")
    rows = safe.table.query("scale == 'A'").set_index("coefficient")
    assert rows.loc["rwg(J) min", "estimate"] == pytest.approx(shown["rwg"].min(), abs=1e-12)
    assert rows.loc["rwg(J) min", "groups"] == len(shown) < 11
    # What is printed does not change when the people of the hidden units answer otherwise.
    other = data.copy()
    lost = other["unit"].isin(set(made.parts["units"].table["unit"]) - set(shown["unit"]))
    other.loc[lost, ["a1", "a2", "b1"]] = other.loc[lost, ["a1", "a2", "b1"]].sample(frac=1, random_state=3).to_numpy()
    again = dj.protect(agreement(gated(survey(other), "branch"), draws=50))
    pd.testing.assert_series_equal(safe.table["estimate"], again.table["estimate"])


def test_where_units_are_hidden_that_took_part_nothing_is_told_and_it_says_so(frame: pd.DataFrame):
    small = frame["unit"] == "U0"
    made = agreement(survey(pd.concat([frame[~small], frame[small].head(6)])), draws=50)
    table = dj.protect(made).table
    assert table["estimate"].isna().all()
    assert set(table["reason"]) == {reasons.COMPLEMENT}


# Rates.

REPLICATIONS = trials(2000, share=10)
FIVE = (0.0, 25.0, 50.0, 75.0, 100.0)


def accepted(rate: float, replications: int = REPLICATIONS) -> tuple[float, float]:
    low, high = stats.binom.interval(0.99, replications, rate)
    return low / replications, high / replications


def one_ways(rho: float, sizes: np.ndarray, seed: int) -> list[ag.OneWay]:
    """Analyses of normal answers in units of these sizes with this true ICC(1)."""
    draw = np.random.default_rng(seed)
    made = []
    for _ in range(REPLICATIONS):
        level = np.sqrt(rho) * draw.standard_normal(len(sizes))
        means = level + np.sqrt((1 - rho) / sizes) * draw.standard_normal(len(sizes))
        inside = (1 - rho) * draw.chisquare(sizes - 1)
        made.append(icc_one_way(sizes, sizes * means, inside + sizes * means**2))
    return made


def test_the_interval_of_icc_holds_the_truth_as_often_as_it_says():
    rho, sizes = 0.1, np.full(25, 12)
    found = [made.coefficients for made in one_ways(rho, sizes, seed=1)]
    low, high = accepted(0.95)
    for name, true in (("ICC(1)", rho), ("ICC(2)", stepped_up(rho, 12))):
        held = np.mean([values[name][1] <= true <= values[name][2] for values in found])
        assert low <= held <= high


@pytest.mark.parametrize(("rho", "sizes"), [(0.1, 6 + np.arange(48)), (0.02, np.array([2] * 10 + [60] * 10))])
def test_units_of_very_different_size_keep_their_interval(rho: float, sizes: np.ndarray):
    found = [made.coefficients for made in one_ways(rho, sizes, seed=2)]
    low, high = accepted(0.95)
    for name in ("ICC(1)", "ICC(1) n0"):
        assert low <= np.mean([values[name][1] <= rho <= values[name][2] for values in found]) <= high
    assert np.mean([values["ICC(1) n0"][0] for values in found]) == pytest.approx(rho, abs=0.003)


def test_weighted_answers_keep_the_interval_too():
    draw, rho, sizes = np.random.default_rng(8), 0.1, 6 + np.arange(30)
    at, held, estimates = np.repeat(np.arange(30), sizes), [], []
    for _ in range(REPLICATIONS):
        y = np.sqrt(rho) * draw.standard_normal(30)[at] + np.sqrt(1 - rho) * draw.standard_normal(len(at))
        w = draw.uniform(0.2, 3, len(at))
        total, squares, mass, square = (np.bincount(at, values) for values in (w * y, w * y**2, w, w**2))
        estimate, low, high = icc_one_way(sizes, total, squares, w=mass, ww=square).coefficients["ICC(1) n0"]
        held.append(low <= rho <= high)
        estimates.append(estimate)
    low, high = accepted(0.95)
    assert low <= np.mean(held) <= high
    assert np.mean(estimates) == pytest.approx(rho, abs=0.004)


def test_units_without_differences_have_icc_zero():
    found = one_ways(0.0, np.full(25, 12), seed=3)
    assert np.mean([made.coefficients["ICC(1)"][0] for made in found]) == pytest.approx(0, abs=0.003)
    low, high = accepted(0.05)
    away = [made.coefficients["ICC(1)"][1] > 0 or made.coefficients["ICC(1)"][2] < 0 for made in found]
    assert low <= np.mean(away) <= high


@pytest.mark.parametrize("n", [5, 12, 40])
def test_random_answers_pass_the_chance_value_as_seldom_as_it_says(n: int):
    # Answers at random: rwg(J) over its chance value in 5 %, and where it ties with a discrete value less.
    chance = rwg_by_chance(n, (FIVE,) * 4, draws=20_000)
    draw = np.random.default_rng(n)
    x = draw.choice(FIVE, (REPLICATIONS, n, 4))
    rwg, _ = rwg_j(np.full((REPLICATIONS, 4), float(n)), x.sum(axis=1), (x**2).sum(axis=1), np.full(4, 1250.0))
    low, high = accepted(0.05)
    assert low <= (rwg > chance).mean() <= high


def test_small_units_pass_the_customary_cut_by_chance():
    # Harvey & Hollander's point: with five people and ten items .70 is no rare value among random answers.
    assert rwg_by_chance(5, (FIVE,) * 10, draws=4000) > 0.7
    assert rwg_by_chance(100, (FIVE,) * 10, draws=4000) < 0.7
    sizes = [rwg_by_chance(n, (FIVE,) * 4, draws=4000) for n in (5, 10, 20, 40, 80)]
    assert sizes == sorted(sizes, reverse=True)


def test_agreement_that_is_there_passes_chance():
    wave = survey(answers(between=1.5, missing=0).assign(a3=lambda d: 2 * d["a1"]))
    table = agreement(wave, draws=200).table.query("scale == 'A'").set_index("coefficient")
    assert table.loc["rwg(J) over chance", "estimate"] == 1
    assert table.loc["ICC(1)", "low"] > 0.2
