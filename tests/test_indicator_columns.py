"""Every column of indicators.csv does what it says, or is refused by name."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import dj_analysis as dj
from dj_analysis.errors import DataError, SpecError, UsageError
from dj_analysis.judge.ranking import target_points
from dj_analysis.measure.composites.choices import Choices
from dj_analysis.measure.composites.composite import composite
from dj_analysis.workspace import check_folder

VALUES = {"B1": (100, 25), "B2": (64, 36), "B3": (50, 50)}


def office(
    folder: Path, indicators: str, values: dict[str, tuple[object, ...]] | None = None, codes: tuple[str, ...] = ("A", "D"),
    *, above: bool = False,
) -> Path:  # fmt: skip
    """A workspace of three branches with these rows of indicators.csv (its header first)."""
    folder.mkdir()
    (folder / "workspace.toml").write_text('name = "试"\n', encoding="utf-8")
    heads = {"B1": 10, "B2": 30, "B3": 60}
    units = "unit,parent,level,headcount\n" + ("C,,city,\n" if above else "")
    units += "".join(f"{unit},{'C' if above else ''},branch,{heads[unit]}\n" for unit in heads)
    (folder / "units.csv").write_text(units, encoding="utf-8")
    (folder / "indicators.csv").write_text(indicators, encoding="utf-8")
    rows = "".join(
        f"{unit},2026-09,{code},{value}\n"
        for unit, cells in (values or VALUES).items()
        for code, value in zip(codes, cells, strict=True)
    )
    (folder / "indicator_values.csv").write_text("unit,period,code,value\n" + rows, encoding="utf-8")
    return folder


def tree(column: str, *, node: str = "", leaf: str = "", below: str = "") -> str:
    """An index of two indicators on 0–100 under one aspect, with a value of this column for each of index, aspect, leaf D."""
    return (
        f"code,parent,label_zh,role,direction,weight,minimum,maximum,{column}\n"
        f"P,,指数,index,1,1,,,{node}\nM,P,方面,dimension,1,1,,,{below}\n"
        f"A,M,甲,item,1,1,0,100,\nD,M,乙,item,1,1,0,100,{leaf}\n"
    )


def scores(folder: Path, code: str = "P") -> dict[str, float]:
    assert len(check_folder(folder)) == 0, check_folder(folder).table.to_string()
    table = dj.score(dj.open_workspace(folder).indicators("2026-09")).table
    return {row.unit: row.score for row in table[table["code"] == code].itertuples()}


def of_branches(folder: Path) -> list[float]:
    return [scores(folder)[unit] for unit in VALUES]


MEANS = {
    "arithmetic": lambda a, b: (a + b) / 2, "geometric": lambda a, b: (a * b) ** 0.5, "harmonic": lambda a, b: 2 / (1 / a + 1 / b),
}  # fmt: skip


@pytest.mark.parametrize("name", list(MEANS))
def test_an_aggregator_holds_for_its_node(tmp_path, name):
    found = scores(office(tmp_path / "o", tree("aggregator", below=name)))
    for unit, cells in VALUES.items():
        assert found[unit] == pytest.approx(MEANS[name](*cells))


@pytest.mark.parametrize(("own", "counts"), [("", "geometric"), ("arithmetic", "arithmetic"), ("harmonic", "harmonic")])
def test_an_aggregator_holds_below_unless_another_is_declared(tmp_path, own, counts):
    found = scores(office(tmp_path / "o", tree("aggregator", node="geometric", below=own)), "M")
    assert found["B1"] == pytest.approx(MEANS[counts](100, 25))


def test_points_hold_for_their_own_node_only(tmp_path):
    rows = (
        "code,parent,label_zh,role,direction,weight,minimum,maximum,aggregator\n"
        "P,,指数,index,1,1,,,points\nM,P,方面,dimension,1,100,,,\nA,M,甲,item,1,1,0,100,\nD,M,乙,item,1,1,0,100,\n"
    )
    found = scores(office(tmp_path / "o", rows))
    assert found["B1"] == pytest.approx(62.5)


def test_what_takes_units_values_has_the_aggregator_too(tmp_path):
    """weigh, composite and robustness, of a workspace and of a frame with its tree."""
    folder = office(tmp_path / "o", tree("aggregator", below="geometric"))
    branches = dj.open_workspace(folder).indicators("2026-09")
    frame = pd.DataFrame([{"unit": unit, "A": a, "D": d} for unit, (a, d) in VALUES.items()])
    for given in (branches, frame):
        table = composite(given, branches.tree).wide().set_index("unit")
        assert table.loc["B1", "M"] == pytest.approx(50)
        assert table.loc["B2", "M"] == pytest.approx(48)
    plain = composite(frame, branches.tree, Choices(aggregator="arithmetic", floor=1)).wide().set_index("unit")
    assert plain.loc["B1", "M"] > 60, "choices that are given come first"
    with pytest.raises(UsageError, match="M geometric"):
        dj.robustness(branches, 50)
    same = dj.open_workspace(office(tmp_path / "same", tree("aggregator", node="geometric"))).indicators("2026-09")
    ranked = dj.robustness(same, 50).table.set_index("unit")
    assert ranked["score"].to_dict() == pytest.approx({unit: (a * d) ** 0.5 for unit, (a, d) in VALUES.items()})


def test_a_denominator_is_another_indicator(tmp_path):
    rows = tree("denominator", leaf="N").replace("0,100,N", "0,2,N") + "N,,党员人数,item,1,0,0,999,\n"
    values = {"B1": (80, 5, 10), "B2": (80, 0, 10), "B3": (80, 12, 0)}
    folder = office(tmp_path / "o", rows, values, ("A", "D", "N"))
    found = scores(folder, "D")
    assert (found["B1"], found["B2"]) == (pytest.approx(25), pytest.approx(0))
    assert np.isnan(found["B3"]), "nobody to divide by"
    assert scores(folder)["B1"] == pytest.approx((80 + 25) / 2)
    frame = pd.DataFrame([{"unit": u, "A": a, "D": d, "N": n} for u, (a, d, n) in values.items()])
    table = composite(frame, dj.open_workspace(folder).indicators("2026-09").tree).wide().set_index("unit")
    assert table.loc["B1", "D"] == pytest.approx(25)
    with pytest.raises(UsageError, match="N"):
        composite(frame.drop(columns="N"), dj.open_workspace(folder).indicators("2026-09").tree)


def test_a_denominator_is_the_headcount_and_rolls_up_as_a_ratio_of_sums(tmp_path):
    rows = tree("denominator,rollup", leaf="headcount,weighted", node=",", below=",").replace("100,\n", "100,,\n")
    rows = rows.replace("0,100,headcount", "0,2,headcount")
    values = {"B1": (50, 5), "B2": (50, 30), "B3": (50, 90)}
    found = scores(office(tmp_path / "o", rows, values, above=True), "D")
    assert [found[unit] for unit in ("B1", "B2", "B3")] == pytest.approx([25, 50, 75])
    assert found["C"] == pytest.approx(100 * (125 / 100) / 2)


def test_the_range_is_that_of_the_ratio(tmp_path):
    rows = tree("denominator", leaf="headcount").replace("0,100,headcount", "0,1,headcount")
    folder = office(tmp_path / "o", rows, {"B1": (50, 25), "B2": (50, 25), "B3": (50, 25)})
    (problem,) = check_folder(folder)
    assert (problem.place, problem.rule, problem.allowed) == ("indicator_values.csv: D", "out_of_range", "0–1")
    assert problem.found.startswith("2.5 ")


@pytest.mark.parametrize(
    ("cells", "place"),
    [("X,", "D denominator"), ("D,", "D denominator"), ("headcount,mean", "D rollup"), ("headcount,sum", "D rollup")],
)
def test_denominators_that_cannot_be_are_named(tmp_path, cells, place):
    rows = tree("denominator,rollup", leaf=cells, node=",", below=",").replace("100,\n", "100,,\n")
    folder = office(tmp_path / "o", rows)
    found = check_folder(folder).table
    assert found[["place", "rule"]].to_numpy().tolist() == [[f"indicators.csv: {place}", "denominator"]]
    with pytest.raises(SpecError):
        dj.open_workspace(folder)


@pytest.mark.parametrize(
    ("column", "done", "refused"),
    [
        ("normaliser", ("", "goalposts"), ("min_max", "z", "rank", "distance_to_target", "minmax")),
        ("imputation", ("", "none", "reweight"), ("mean", "group_mean", "median")),
        ("treatment", ("", "none"), ("winsorise",)),
    ],
)
def test_methods_are_those_of_the_score_or_refused(tmp_path, column, done, refused):
    plain = of_branches(office(tmp_path / "plain", tree("label_en")))
    for number, name in enumerate(done):
        assert of_branches(office(tmp_path / f"d{number}", tree(column, leaf=name))) == plain
    for number, name in enumerate(refused):
        for at in ("leaf", "node"):
            folder = office(tmp_path / f"r{number}{at}", tree(column, **{at: name}))
            (problem,) = check_folder(folder)
            code = "D" if at == "leaf" else "P"
            assert (problem.place, problem.rule) == (f"indicators.csv: {code} {column}", "unsupported")
            assert problem.found == name
            assert "dj.methods.composite" in problem.advice
            with pytest.raises(SpecError, match=column):
                dj.open_workspace(folder)


def test_a_gap_hands_its_weight_to_the_others(tmp_path):
    rows = (
        "code,parent,label_zh,role,direction,weight,minimum,maximum,imputation\nP,,指数,index,1,1,,,reweight\n"
        + "".join(f"{code},P,{code},item,1,{weight},0,100,\n" for code, weight in (("A", 1), ("D", 3), ("E", 2)))
    )
    values = dict.fromkeys(VALUES, (80, "", 20))
    found = scores(office(tmp_path / "o", rows, values, ("A", "D", "E")))
    assert found["B1"] == pytest.approx((80 + 2 * 20) / 3)


@pytest.mark.parametrize(
    ("how", "value"), [("mean", 37.0), ("weighted", (25 * 10 + 36 * 30 + 50 * 60) / 100), ("none", None), ("", None)]
)
def test_units_above_get_their_value_by_the_roll_up(tmp_path, how, value):
    found = scores(office(tmp_path / "o", tree("rollup", leaf=how), above=True), "D")
    if value is None:
        assert np.isnan(found["C"])
    else:
        assert found["C"] == pytest.approx(value)


def test_a_sum_is_a_sum_and_an_error_beyond_the_range(tmp_path):
    few = {"B1": (1, 25), "B2": (1, 30), "B3": (1, 20)}
    assert scores(office(tmp_path / "o", tree("rollup", leaf="sum"), few, above=True), "D")["C"] == pytest.approx(75)
    folder = office(tmp_path / "many", tree("rollup", leaf="sum"), above=True)
    with pytest.raises(DataError, match="rollup"):
        dj.score(dj.open_workspace(folder).indicators("2026-09"))


def test_a_target_is_compared_and_no_part_of_the_score(tmp_path):
    plain, aimed = (office(tmp_path / name, tree("target", leaf=name.strip("x"))) for name in ("x", "x40"))
    assert of_branches(plain) == of_branches(aimed)
    ws = dj.open_workspace(aimed)
    assert ws.spec.indicators["D"].target == 40
    marks = dj.score(ws.indicators("2026-09"), by="branch")
    assert dj.open_workspace(plain).spec.indicators.scoring_version("D") == marks.spec.indicators.scoring_version("D")
    assert target_points(marks, "D") == pytest.approx(40)
    assert np.isnan(target_points(marks, "P")), "of A none is declared"


def test_versions_that_score_otherwise_are_told_apart(tmp_path):
    trees = {}
    for name, text in {
        "plain": tree("aggregator"), "above": tree("aggregator", node="geometric"), "below": tree("aggregator", below="geometric"),
        "divided": tree("denominator", leaf="headcount"),
    }.items():  # fmt: skip
        trees[name] = dj.open_workspace(office(tmp_path / name, text)).spec.indicators
    assert len({one.scoring_version("M") for one in trees.values()}) == 3
    assert trees["above"].scoring_version("M") == trees["below"].scoring_version("M")


@pytest.mark.parametrize(
    ("slip", "meant"), [("agregator", "aggregator"), ("Denominator", "denominator"), ("normalizer", "normaliser")]
)
def test_a_slip_in_a_header_is_named_and_a_remark_is_not(tmp_path, slip, meant):
    folder = office(tmp_path / "o", tree(f"{slip},备注", node=",", below=",", leaf=",").replace("100,\n", "100,,\n"))
    (problem,) = check_folder(folder)
    assert (problem.place, problem.rule, problem.allowed) == (f"indicators.csv: {slip}", "unknown_column", meant)
