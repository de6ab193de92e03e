"""Sums of a wave do not depend on blocks, on the order of rows or on the type of a column, to the last bit.

Counts and sums are compared for equality; sums of numbers with those of whole numbers of Python (fractions).
"""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import polars as pl
import pytest
from small import codebook_of
from test_engines import CASES, arrow

from dj_analysis.errors import DataError, UsageError
from dj_analysis.measure.answer_blocks import blocks_of
from dj_analysis.measure.block_sums import split
from dj_analysis.measure.inference import uncertainty
from dj_analysis.measure.scoring import sum_frames
from dj_analysis.measure.unitsums import STATISTICS, UnitSums
from dj_analysis.measure.wave_sums import WaveSums
from dj_analysis.spec.specification import Specification
from dj_analysis.spec.tree import Node, Tree

CUTS = {"favourable": Specification().bands["favourable"], "low": Specification().bands["low_answers"]}


def summed(frame, case: str = "forms", **given) -> UnitSums:
    table, _, weight = CASES[case]
    tree = codebook_of(table).tree
    trees = {form: tree.in_form(form) for form in ("anchors", "full")} if tree.has_forms else {"full": tree}
    return sum_frames(frame, trees, {"admin": "unit"}, weight=weight, index="INDEX", **CUTS, **given)["admin"]


def same(one: UnitSums, other: UnitSums) -> None:
    assert (one.units, one.cells) == (other.units, other.cells)
    assert np.array_equal(one.persons, other.persons)
    for name in STATISTICS:
        assert np.array_equal(one.sums[name], other.sums[name]), name
    if one.heaviest is not None:
        assert np.array_equal(one.heaviest, other.heaviest)


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("rows", [1, 7, 59])
def test_any_size_of_block_gives_the_same_bits(case: str, rows: int):
    frame = CASES[case][1]
    same(summed(frame, case), summed(frame, case, rows=rows))


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("threads", [1, 5])
def test_any_number_of_threads_gives_the_same_bits(case: str, threads: int, monkeypatch: pytest.MonkeyPatch):
    frame = CASES[case][1]
    whole = summed(frame, case)
    monkeypatch.setattr(pl, "thread_pool_size", lambda: threads)
    same(whole, summed(frame, case, rows=3))


def test_an_error_in_one_thread_ends_the_others(monkeypatch: pytest.MonkeyPatch):
    added = []

    def fails_at_third(self, block, *_):
        added.append(len(block))
        if len(added) == 3:
            raise KeyboardInterrupt

    monkeypatch.setattr(WaveSums, "add", fails_at_third)
    monkeypatch.setattr(pl, "thread_pool_size", lambda: 2)
    with pytest.raises(KeyboardInterrupt):
        summed(pl.DataFrame({"a1": np.ones(200_000, "int8"), "unit": ["A"] * 200_000}), "forms", rows=1)
    assert len(added) < 200_000


@pytest.mark.parametrize("case", CASES)
def test_any_order_of_rows_gives_the_same_bits(case: str):
    frame = CASES[case][1]
    for seed in range(3):
        same(summed(frame, case), summed(frame.sample(frac=1, random_state=seed, ignore_index=True), case))


def test_a_unit_that_comes_late_has_all_its_people():
    frame = CASES["forms"][1].sort_values("unit", ignore_index=True)
    same(summed(frame), summed(frame, rows=5))


@pytest.mark.parametrize("case", CASES)
def test_counting_alone_gives_the_persons_of_the_whole_sums(case: str):
    frame = CASES[case][1]
    whole, counted = summed(frame, case), summed(frame, case, counts_only=True, rows=13)
    assert np.array_equal(whole.sums["n"], counted.sums["n"])
    assert np.array_equal(whole.persons, counted.persons)
    assert not any(counted.sums[name].any() for name in STATISTICS if name != "n")


def tree_of(minimum: float, maximum: float, direction: int = 1) -> Tree:
    nodes = (
        Node("I", role="index"),
        Node("D", "I", role="dimension"),
        Node("a", "D", role="item", direction=direction, minimum=minimum, maximum=maximum),
    )
    return Tree(nodes)


def of_one(values, kind, minimum: float, maximum: float, direction: int = 1) -> UnitSums:
    frame = pl.DataFrame({"a": pl.Series(values, dtype=kind), "unit": ["A"] * len(values)})
    tree = tree_of(minimum, maximum, direction)
    return sum_frames(frame, {"full": tree}, {"admin": "unit"}, index="I", **CUTS)["admin"]


KINDS = [pl.Int8, pl.UInt8, pl.Int16, pl.UInt16, pl.Int32, pl.UInt32, pl.Int64, pl.UInt64, pl.Float32, pl.Float64]


@pytest.mark.parametrize("direction", [1, -1])
@pytest.mark.parametrize(("minimum", "maximum"), [(1, 5), (0, 10), (0, 100), (0, 127)])
def test_every_type_of_number_gives_the_same_sums(minimum: int, maximum: int, direction: int):
    values = [minimum, None, maximum, (minimum + maximum) // 2, None, maximum]
    first = of_one(values, pl.Float64, minimum, maximum, direction)
    assert first.sums["n"].tolist() == [[4.0, 4.0, 4.0]]
    for kind in KINDS:
        same(first, of_one(values, kind, minimum, maximum, direction))


@pytest.mark.parametrize("direction", [1, -1])
@pytest.mark.parametrize("wrong", [0, 6, -100, 100])
@pytest.mark.parametrize("kind", [pl.Int8, pl.Int64, pl.Float64])
def test_an_answer_outside_its_range_is_told_with_the_extremes(kind, wrong: int, direction: int):
    """Also one step before the first, which stands for a missing answer while a block is read."""
    with pytest.raises(DataError) as caught:
        of_one([2, None, 4, wrong], kind, 1, 5, direction)
    row = caught.value.problems.table.iloc[0]
    assert (row["rule"], row["allowed"]) == ("out_of_range", "1–5")
    assert row["found"] == f"{min(2, wrong)}–{max(4, wrong)}"


def test_ranges_of_more_values_than_are_counted():
    values = [0, 1, 2000, 777, None]
    wide = of_one(values, pl.Int64, 0, 2000)
    x = [100 * Fraction(value, 2000) for value in values if value is not None]
    for name, power in (("wx", 1), ("wxx", 2), ("wxxx", 3)):
        assert wide.sums[name][0, 2] == pytest.approx(float(sum(one**power for one in x)), rel=1e-14)
    assert wide.sums["favourable"][0, 2] == 1


def test_without_rows_there_are_no_units():
    frame = CASES["forms"][1]
    nothing = summed(frame.iloc[:0])
    assert nothing.units == ()
    assert nothing.sums["n"].shape == (0, len(summed(frame).cells))


def test_weights_of_none_protect_nobody_and_missing_ones_are_told():
    _, frame, weight = CASES["forms, weighted"]
    light = frame.assign(**{weight: np.where(frame.index < 20, 0.0, frame[weight])})
    told = summed(light, "forms, weighted")
    assert told.persons.sum() == len(frame)
    assert told.sums["n"].sum() == summed(light.iloc[20:], "forms, weighted").sums["n"].sum()
    with pytest.raises(DataError, match="1 行缺失"):
        summed(frame.assign(**{weight: frame[weight].mask(frame.index == 3)}), "forms, weighted")


@pytest.mark.parametrize("scale", [1e-6, 1.0, 3e5])
def test_sums_with_weights_are_those_of_fractions(scale: float):
    """Weights of any size, as whole numbers of Python add them; relative to the sum, within four last places of a float."""
    draw = np.random.default_rng(3)
    values, w = draw.integers(1, 6, 400), draw.uniform(0.1, 20, 400) * scale
    frame = pl.DataFrame({"a": values, "unit": ["A"] * 400, "w": w})
    told = sum_frames(frame, {"full": tree_of(1, 5)}, {"admin": "unit"}, weight="w", index="I", **CUTS)["admin"]
    x = [25 * (int(value) - 1) for value in values]
    for name, (a, b) in {
        "w": (1, 0),
        "ww": (2, 0),
        "www": (3, 0),
        "wx": (1, 1),
        "wxxxx": (1, 4),
        "wwxx": (2, 2),
    }.items():
        exact = sum(Fraction(float(one)) ** a * point**b for one, point in zip(w, x, strict=True))
        for cell in range(3):
            assert told.sums[name][0, cell] == pytest.approx(float(exact), rel=1e-15 * 4), (name, cell)


@pytest.mark.parametrize("parts", [2, 3])
@pytest.mark.parametrize("power", range(5))
def test_parts_add_exactly_in_any_order(power: int, parts: int):
    draw = np.random.default_rng(power)
    x = draw.uniform(0, 100, 5000) ** power
    of_x = list(split(x, power, parts))
    assert np.abs(sum(reversed(of_x)) - x).max() <= np.spacing(128.0**power)
    for part in of_x:
        exact = float(sum(map(Fraction, part.tolist())))
        assert {float(np.add.reduce(draw.permutation(part))) for _ in range(5)} == {exact}


@pytest.mark.parametrize("by", [1.0, 1e-3, 1 / 3])
def test_people_of_little_weight_who_agree_have_no_spread(by: float):
    """Their sums are as exact, relative to themselves, as those of the heaviest person elsewhere."""
    frame = pl.DataFrame(
        {"a": [1, 3, 3, 3], "unit": ["B", "A", "A", "A"], "w": np.array([2.79, 0.01, 0.01, 0.01]) * by}
    )
    tree = Tree((Node("I", role="index"), *(Node(d, "I", role="dimension") for d in ("D", "E")),
                 Node("a", "D", role="item", minimum=1, maximum=5), Node("b", "E", role="item", minimum=0, maximum=7)))  # fmt: skip
    frame = frame.with_columns(pl.Series("b", [7, 4, 4, 4]))
    told = sum_frames(frame, {"full": tree}, {"admin": "unit"}, weight="w", index="I", **CUTS)["admin"]
    means = uncertainty.means(told.sums)
    assert (means.sd[told.units.index("A")] == 0).all()
    assert (means.reason[told.units.index("A")] == "no_variance").all()


def test_a_file_that_ends_early_is_one_error(tmp_path):
    frame = pl.DataFrame({"a": np.arange(200_000) % 5 + 1, "unit": ["A"] * 200_000})
    frame.write_parquet(tmp_path / "whole.parquet", row_group_size=20_000)
    content = (tmp_path / "whole.parquet").read_bytes()
    middle = len(content) // 2
    (tmp_path / "torn.parquet").write_bytes(content[:middle] + b"\0" * 400 + content[middle + 400 :])
    with pytest.raises(DataError, match="重新导出"):
        sum_frames(pl.scan_parquet(tmp_path / "torn.parquet"), {"full": tree_of(1, 5)}, {"admin": "unit"}, **CUTS)


def test_blocks_hold_every_row_once_whatever_the_engine():
    frame = CASES["forms"][1].drop(columns="w", errors="ignore")
    for native in (frame, pl.from_arrow(arrow(frame)), pl.from_arrow(arrow(frame)).lazy(), arrow(frame)):
        blocks = list(blocks_of(native, ["a1", "unit", "a1"], 7))
        assert sum(block.height for block in blocks) == len(frame)
        assert max(block.height for block in blocks) <= 7
        assert blocks[0].columns == ["a1", "unit"]


def test_text_is_no_answer():
    with pytest.raises(UsageError, match="应为数字"):
        of_one(["1", "2"], pl.String, 1, 5)
