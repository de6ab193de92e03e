"""Multiple choices and rankings: read from every layout, counted with intervals, tested by group, shown under the gate."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from statsmodels.stats.oneway import anova_generic
from statsmodels.stats.proportion import proportion_confint

import dj_analysis as dj
from dj_analysis.errors import DataError, SpecError, UsageError
from dj_analysis.judge.differences import chi_squared

pytestmark = pytest.mark.filterwarnings("ignore::dj_analysis.errors.DjWarning")

CODEBOOK = """code,parent,label_zh,role,direction,weight,minimum,maximum
INDEX,,指数,index,1,1,,
D1,INDEX,维度,dimension,1,1,,
A1,D1,题一,item,1,1,1,5
Q9,,您最关心什么,choice,,,,
Q9_1,Q9,食堂,choice,,,,
Q9_2,Q9,班车,choice,,,,
Q9_3,Q9,宿舍,choice,,,,
Q10,,您最希望改进什么,choice,,,,
Q10_1,Q10,食堂,choice,,,,
Q10_2,Q10,班车,choice,,,,
R1,,请按重要性排序,ranking,,,,
R1_1,R1,工资,ranking,,,,
R1_2,R1,晋升,ranking,,,,
R1_3,R1,培训,ranking,,,,
sex,,性别,group,1,1,,
w,,权重,weight,,,,
"""
OPTIONS, RANKED = ("食堂", "班车", "宿舍"), ("工资", "晋升", "培训")
INTERVAL_99 = stats.binom.interval(0.99, 1000, 0.95)


def read(folder: Path, cells: Mapping[str, Any], codebook: str = CODEBOOK) -> Any:
    (folder / "codebook.csv").write_text(codebook, encoding="utf-8")
    table = pd.DataFrame(cells)
    table = table.assign(A1=[str(i % 5 + 1) for i in range(len(table))])
    table.to_csv(folder / "wave.csv", index=False, encoding="utf-8-sig")
    book = dj.read_codebook(folder / "codebook.csv")
    return dj.read_survey(folder / "wave.csv", book, period="2026Q3")


def of_unit(result: dj.Result, unit: str = "ALL") -> pd.DataFrame:
    return result.table[result.table["unit"] == unit].set_index("code")


def test_shares_of_people_and_of_choices_by_hand(tmp_path: Path) -> None:
    """Four answered, seven choices: 食堂 3 of 4 people and 3 of 7 choices; who skipped the question counts for nothing."""
    rows = ["110", "101", "100", "011", ("-3", "-3", "-3")]
    cells = {f"9、您最关心什么({o})": [row[k] for row in rows] for k, o in enumerate(OPTIONS)}
    table = of_unit(dj.choices(read(tmp_path, cells), "Q9"))
    assert table["of"].tolist() == [4, 4, 4]
    assert table["share"].tolist() == [0.75, 0.5, 0.5]
    assert table["choice_share"].tolist() == pytest.approx([3 / 7, 2 / 7, 2 / 7])
    assert table.loc["Q9_1", ["low", "high"]].tolist() == pytest.approx(proportion_confint(3, 4, method="wilson"))


@pytest.mark.parametrize(
    "cells",
    [
        {
            "9、您最关心什么（可多选）(食堂)": "1",
            "9、您最关心什么（可多选）(班车)": "0",
            "9、您最关心什么（可多选）(宿舍)": "1",
        },
        {"您最关心什么—食堂": "是", "您最关心什么—班车": "否", "您最关心什么—宿舍": "是"},
        {"Q9_1": "食堂", "Q9_2": "", "Q9_3": "宿舍"},
        {"9、您最关心什么": "食堂┋宿舍"},
        {"9、您最关心什么（多选）": "宿舍┋食堂〖面食〗"},
        {
            "9、您最关心什么(食堂)": "√",
            "9、您最关心什么(宿舍)": "1",
            "9、您最希望改进什么(食堂)": "0",
            "9、您最希望改进什么(班车)": "1",
        },
    ],
)
def test_every_layout_says_the_same(tmp_path: Path, cells: dict[str, str]) -> None:
    """0/1, yes and no, the option's words, one cell for all; an option nobody chose has no column."""
    survey = read(tmp_path, {header: [cell] * 12 for header, cell in cells.items()})
    table = of_unit(dj.choices(survey, "Q9"))
    assert table["share"].fillna(0).reindex(["Q9_1", "Q9_2", "Q9_3"]).tolist() == [1.0, 0.0, 1.0]


def test_the_same_option_under_two_questions_is_told_apart_by_the_question(tmp_path: Path) -> None:
    cells = {
        "9、您最希望改进什么(食堂)": ["0"] * 10, "9、您最希望改进什么(班车)": ["1"] * 10,
        "8、您最关心什么(食堂)": ["1"] * 10, "8、您最关心什么(班车)": ["0"] * 10, "8、您最关心什么(宿舍)": ["0"] * 10,
    }  # fmt: skip
    survey = read(tmp_path, cells)
    assert of_unit(dj.choices(survey, "Q10"))["share"].tolist() == [0.0, 1.0]
    assert of_unit(dj.choices(survey, "Q9"))["share"].tolist() == [1.0, 0.0, 0.0]


def test_mean_places_and_points_by_hand(tmp_path: Path) -> None:
    """Three options; 培训 is given no place by two of four: its place is of two people, its points are of all four."""
    places = [("1", "2", "3"), ("2", "1", "3"), ("1", "2", ""), ("2", "1", "")]
    cells = {f"10、请按重要性排序({o})": [row[k] for row in places] for k, o in enumerate(RANKED)}
    table = of_unit(dj.choices(read(tmp_path, cells), "R1"))
    assert table["n"].tolist() == [4, 4, 2]
    assert table["mean_place"].tolist() == [1.5, 1.5, 3.0]
    assert table["points"].tolist() == [2.5, 2.5, 0.5]
    half = stats.t.ppf(0.975, 3) * np.sqrt(np.var([1, 2, 1, 2], ddof=1) / 4)
    assert table.loc["R1_1", ["place_low", "place_high"]].tolist() == pytest.approx([max(1.0, 1.5 - half), 1.5 + half])


def drawn(folder: Path, people: int, *, raised: float = 0.0, weighted: bool = False, seed: int = 1) -> Any:
    rng = np.random.default_rng(seed)
    sex = rng.choice(["男", "女"], people)
    chance = np.tile([0.6, 0.3, 0.2], (people, 1)) + raised * (sex == "男")[:, None] * [1, 0, 0]
    chosen = rng.random((people, 3)) < chance
    chosen[~chosen.any(axis=1), 1] = True
    place = np.argsort(rng.random((people, 3)), axis=1).argsort(axis=1) + 1
    cells: dict[str, Any] = {"sex": sex, "unit": rng.choice(["甲", "乙", "丙"], people)}
    cells |= {f"9、您最关心什么({o})": chosen[:, k].astype(int) for k, o in enumerate(OPTIONS)}
    cells |= {f"10、请按重要性排序({o})": place[:, k] for k, o in enumerate(RANKED)}
    if weighted:
        cells["w"] = rng.choice([0.5, 1.0, 2.0], people)
    return read(folder, cells)


def test_tests_by_group_are_those_of_scipy_and_statsmodels(tmp_path: Path) -> None:
    survey = drawn(tmp_path, 400)
    frame = survey.frame.to_pandas()
    tests = dj.choices(survey, "Q9", by="sex").tests.table.set_index("code")
    for code in ("Q9_1", "Q9_2", "Q9_3"):
        expected = stats.chi2_contingency(pd.crosstab(frame["sex"], frame[code]), correction=False)
        assert tests.loc[code, ["statistic", "p"]].tolist() == pytest.approx([expected.statistic, expected.pvalue])
    assert tests["q"].tolist() == pytest.approx(stats.false_discovery_control(tests["p"]).tolist())
    places = dj.choices(survey, "R1", by="unit").tests.table.set_index("code")
    groups = frame.groupby("unit")["R1_2"]
    welch = anova_generic(groups.mean(), groups.var(ddof=1), groups.count(), use_var="unequal")
    assert places.loc["R1_2", ["statistic", "p"]].tolist() == pytest.approx([welch.statistic, welch.pvalue])


@pytest.mark.parametrize("weighted", [False, True])
def test_the_error_of_a_share_of_choices_is_that_of_resampled_people(tmp_path: Path, weighted: bool) -> None:
    survey = drawn(tmp_path, 300, weighted=weighted)
    frame = survey.frame.to_pandas()
    x = frame[["Q9_1", "Q9_2", "Q9_3"]].to_numpy(float)
    w = frame["w"].to_numpy() if weighted else np.ones(len(x))
    rng = np.random.default_rng(0)
    resampled = []
    for _ in range(2000):
        i = rng.integers(0, len(x), len(x))
        sums = (w[i, None] * x[i]).sum(axis=0)
        resampled.append(sums / sums.sum())
    table = of_unit(dj.choices(survey, "Q9"))
    half = (table["choice_high"] - table["choice_low"]).to_numpy() / 2
    assert table["choice_share"].tolist() == pytest.approx(((w[:, None] * x).sum(0) / (w[:, None] * x).sum()).tolist())
    assert half == pytest.approx(1.96 * np.std(resampled, axis=0), rel=0.06)


def test_intervals_hold_at_their_rate(tmp_path: Path) -> None:
    """A thousand units of sixty people each, in one wave: both shares, and the place, lie inside in 95 % of them."""
    rng, units, people = np.random.default_rng(5), 1000, 60
    chosen = rng.random((units * people, 3)) < [0.7, 0.35, 0.2]
    chosen[~chosen.any(axis=1), 0] = True
    place = np.argsort(np.array([0, 0.3, 0.6]) + rng.random((units * people, 3)), axis=1).argsort(axis=1) + 1
    cells = {"unit": np.repeat([f"u{i}" for i in range(units)], people)}
    cells |= {f"Q9_{k + 1}": chosen[:, k].astype(int) for k in range(3)}
    cells |= {f"R1_{k + 1}": place[:, k] for k in range(3)}
    survey = read(tmp_path, cells)
    alone = 0.3 * 0.65 * 0.8  # nobody chose anything: they get the first option
    truth = np.array([0.7 + alone, 0.35, 0.2])
    table = dj.choices(survey, "Q9", by="unit").table
    table = table[table["level"] == "unit"]
    for k, code in enumerate(("Q9_1", "Q9_2", "Q9_3")):
        rows = table[table["code"] == code]
        inside = (rows["low"] <= truth[k]) & (rows["high"] >= truth[k])
        low, high = proportion_confint(np.arange(people + 1), people, method="wilson")
        exact = stats.binom.pmf(np.arange(people + 1), people, truth[k])[(low <= truth[k]) & (truth[k] <= high)].sum()
        assert abs(inside.sum() - units * exact) <= 2.58 * np.sqrt(
            units * exact * (1 - exact)
        )  # counts are whole numbers
        share = truth[k] / truth.sum()
        inside = (rows["choice_low"] <= share) & (rows["choice_high"] >= share)
        assert INTERVAL_99[0] <= inside.sum() <= INTERVAL_99[1]
    ranked = dj.choices(survey, "R1", by="unit").table
    first = ranked[(ranked["level"] == "unit") & (ranked["code"] == "R1_2")]
    inside = (first["place_low"] <= place[:, 1].mean()) & (first["place_high"] >= place[:, 1].mean())
    assert INTERVAL_99[0] <= inside.sum() <= INTERVAL_99[1]


def test_a_planted_difference_is_named_and_the_other_options_are_not(tmp_path: Path) -> None:
    tests = dj.choices(drawn(tmp_path, 600, raised=0.25), "Q9", by="sex").tests.table.set_index("code")
    assert tests.loc["Q9_1", "q"] < 0.01
    assert tests.loc["Q9_3", "q"] > 0.05


def test_groups_alike_are_called_different_at_the_stated_rate(tmp_path: Path) -> None:
    """A thousand options that two groups choose alike: 5 % of the tests have p below .05; a wave of them is tested so."""
    rng, people, options = np.random.default_rng(3), 400, 1000
    men, chosen = rng.random(people) < 0.5, rng.random((people, options)) < 0.4

    def sums(option: int) -> dict[str, np.ndarray]:
        n, yes = np.array([men.sum(), (~men).sum()]), np.array([chosen[men, option].sum(), chosen[~men, option].sum()])
        return {"n": n, "w": n, "ww": n, "favourable": yes, "answers": n}

    p = np.array([chi_squared(sums(option))["p"] for option in range(options)])
    assert stats.binom.ppf(0.005, options, 0.05) <= (p < 0.05).sum() <= stats.binom.ppf(0.995, options, 0.05)
    book = CODEBOOK + "".join(f"X{k},X,选项{k},choice,,,,\n" for k in range(3)) + "X,,许多选项,choice,,,,\n"
    frame = {f"X{k}": chosen[:, k].astype(int) for k in range(3)}
    survey = read(tmp_path, {"sex": np.where(men, "男", "女"), **frame}, book)
    tests = dj.choices(survey, "X", by="sex").tests.table
    assert tests["n"].tolist() == [people] * 3
    assert tests["p"].to_numpy() == pytest.approx(p[:3])


def test_the_gate_hides_few_people_and_no_more(tmp_path: Path) -> None:
    """Of thirty people of a unit five answered the question: that question alone is closed there."""
    n = 30
    answered = [True] * n + [i < 5 for i in range(n)] + [True] * n
    unit = ["甲"] * n + ["乙"] * n + ["丙"] * n
    cells = {f"Q9_{k + 1}": ["" if not a else str((i + k) % 2) for i, a in enumerate(answered)] for k in range(3)}
    survey = read(tmp_path, {"unit": unit, **cells})
    safe = dj.protect(dj.choices(survey, "Q9", by="unit")).table
    hidden = set(safe.loc[safe["reason"] != "", "unit"])
    assert "乙" in hidden
    assert hidden != {"乙"}  # or it would follow from the others
    shown = safe[(safe["unit"] == "ALL")]
    assert shown["share"].notna().all()
    scores = dj.protect(dj.score(survey, by="unit")).table
    assert scores.loc[scores["unit"] == "乙", "score"].notna().all()


def test_an_option_nobody_chose_hides_nobody(tmp_path: Path) -> None:
    """All thirty of a unit left 宿舍 out, and everybody chose exactly one option."""
    cells = {"unit": ["甲"] * 30 + ["乙"] * 30, "Q9_1": ["1", "0"] * 30, "Q9_2": ["0", "1"] * 30, "Q9_3": ["0"] * 60}
    safe = dj.protect(dj.choices(read(tmp_path, cells), "Q9", by="unit")).printed()
    assert (safe.table["reason"] == "").all()
    assert "普及率" in str(dj.table(safe)._repr_mimebundle_())


def test_bad_declarations_are_listed_at_once(tmp_path: Path) -> None:
    bad = CODEBOOK + "Q11,,单独一题,choice,,,,\nR1_4,Q9,错位,ranking,,,,\n"
    (tmp_path / "codebook.csv").write_text(bad, encoding="utf-8")
    with pytest.raises(SpecError) as error:
        dj.read_codebook(tmp_path / "codebook.csv")
    assert set(error.value.problems.table["place"]) == {"codebook.csv: Q11", "codebook.csv: R1_4"}


def test_bad_cells_are_told_with_their_rows(tmp_path: Path) -> None:
    with pytest.raises(DataError) as error:
        read(tmp_path, {"Q9_1": ["1", "也许"], "Q9_2": ["0", "1"], "R1_1": ["1", "4"], "R1_2": ["2", "1"]})
    told = error.value.problems.table
    assert [place.split(": ")[1].split(" ")[0] for place in told["place"]] == ["Q9_1", "R1_1"]
    assert "第 3 行" in told["found"].iloc[0]


def test_what_is_not_there_is_named(tmp_path: Path) -> None:
    survey = drawn(tmp_path, 20)
    with pytest.raises(UsageError, match="Q9"):
        dj.choices(survey, "Q99")
    with pytest.raises(UsageError, match="未问此题"):
        dj.choices(survey, "Q10")
