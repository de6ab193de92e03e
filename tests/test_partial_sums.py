"""Sums of the parts of a wave add to those of the whole, to the last bit, however its rows are parted."""

from __future__ import annotations

import pickle

import numpy as np
import pyarrow as pa
import pytest
from test_block_sums import CUTS, same, summed, tree_of
from test_engines import CASES, arrow

from dj_analysis.errors import DataError
from dj_analysis.measure import partial_sums, scoring
from dj_analysis.measure.partial_sums import COUNT, SCHEMA, SUM, add_tables
from dj_analysis.measure.scoring import sum_frames
from dj_analysis.spec.codebook import default_codebook
from dj_analysis.spec.specification import Specification

Parts = list[list[int]]


def parted(parts: Parts, monkeypatch: pytest.MonkeyPatch, batch: int = 4) -> list[pa.Table]:
    """Let frames be summed part by part, as a cluster does: what is sent is pickled, and tables come in reverse order."""
    sent: list[pa.Table] = []

    def add(wave, frame, sums) -> None:
        whole = frame.to_arrow()
        sent.clear()
        for rows in parts:
            work = pickle.loads(pickle.dumps(sums))
            batches = whole.take(pa.array(rows, pa.int64())).to_batches(max_chunksize=batch)
            sent.append(pa.Table.from_batches(work(iter(batches)), SCHEMA))
        add_tables(wave, pa.concat_tables(sent[::-1]))

    monkeypatch.setattr(scoring, "on_spark", lambda frame: True)
    monkeypatch.setattr(scoring, "add_partitions", add)
    return sent


PARTINGS: dict[str, Parts] = {
    "one": [list(range(60))],
    "a part a row": [[row] for row in range(60)],
    "turns, some parts empty": [[], list(range(0, 60, 3)), [], list(range(1, 60, 3)), list(range(59, 0, -3))],
}


@pytest.mark.parametrize("parting", PARTINGS)
@pytest.mark.parametrize("case", CASES)
def test_parts_add_to_the_whole_to_the_last_bit(case: str, parting: str, monkeypatch: pytest.MonkeyPatch):
    parts = PARTINGS[parting]
    frame = arrow(CASES[case][1])
    rows = sorted(row for part in parts for row in part)
    assert rows == list(range(len(frame)))
    whole, counted = summed(frame, case), summed(frame, case, counts_only=True)
    parted(parts, monkeypatch)
    same(whole, summed(frame, case))
    same(whole, summed(frame, case, rows=3))
    same(counted, summed(frame, case, counts_only=True))


def test_without_rows_or_parts_there_are_no_units(monkeypatch: pytest.MonkeyPatch):
    frame = arrow(CASES["forms"][1].iloc[:0])
    whole = summed(frame)
    parted([[], []], monkeypatch)
    same(whole, summed(frame))
    assert whole.units == ()


def test_an_answer_outside_its_range_in_any_part_is_told_once(monkeypatch: pytest.MonkeyPatch):
    frame = pa.table({"a": [2, 9, None, 4, -3], "unit": ["A"] * 5})
    parted([[0], [1], [2, 3], [4]], monkeypatch)
    with pytest.raises(DataError) as caught:
        sum_frames(frame, {"full": tree_of(1, 5)}, {"admin": "unit"}, index="I", **CUTS)
    (problem,) = caught.value.problems.table.to_dict("records")
    assert (problem["rule"], problem["found"], problem["allowed"]) == ("out_of_range", "-3–9", "1–5")


def test_axes_are_kept_apart_though_their_units_share_names(monkeypatch: pytest.MonkeyPatch):
    frame = pa.table({"a": [1, 5, 3], "unit": ["A", "B", "A"], "group": ["B", "B", None]})
    given = ({"full": tree_of(1, 5)}, {"admin": "unit", "group": "group", "all": None})
    whole = sum_frames(frame, *given, index="I", **CUTS)
    parted([[2], [0, 1]], monkeypatch)
    for axis, sums in sum_frames(frame, *given, index="I", **CUTS).items():
        same(whole[axis], sums)
    assert [sums.persons.tolist() for sums in whole.values()] == [[2.0, 1.0], [1.0, 2.0], [3.0]]


def test_what_is_sent_is_small_and_holds_no_answers(monkeypatch: pytest.MonkeyPatch):
    codebook = default_codebook()
    leaves = [leaf.code for leaf in codebook.tree.leaves]
    frame = pa.table({code: pa.array(np.full(2000, 3, "int8")) for code in leaves} | {"unit": ["A"] * 2000})
    sizes = []

    def add(wave, frame, sums) -> None:
        sizes.append(len(pickle.dumps(sums)))

    monkeypatch.setattr(scoring, "on_spark", lambda frame: True)
    monkeypatch.setattr(scoring, "add_partitions", add)
    trees = {form: codebook.tree.in_form(form) for form in ("anchors", "full")}
    bands = Specification().bands
    sum_frames(frame, trees, {"admin": "unit"}, favourable=bands["favourable"], low=bands["low_answers"], index="INDEX")
    assert sizes[0] < 100_000


def test_a_part_is_as_large_as_what_occurs_in_it(monkeypatch: pytest.MonkeyPatch):
    frame = arrow(CASES["forms"][1])
    sent = parted(PARTINGS["a part a row"], monkeypatch)
    questions = sum(1 for row in CASES["forms"][0].to_dict("records") if row["min"] == row["min"])
    nodes = len(summed(frame).cells) - questions
    for table in sent:
        assert table.schema == SCHEMA
        assert table.num_rows == 1
        columns, counts, columns_of_sums, sums = (
            np.frombuffer(table[name].to_pylist()[0], kind)
            for name, kind in zip(SCHEMA.names[4:], (COUNT, COUNT, COUNT, SUM), strict=True)
        )
        assert (counts != 0).all()
        assert (sums != 0).all()
        assert len(columns) == len(counts)
        assert len(columns_of_sums) == len(sums)
        assert not set(columns) & set(columns_of_sums)
        # A question has one value a row; a node at most the parts of four powers, who is below a cut, and its person.
        assert len(columns) + len(columns_of_sums) <= questions + nodes * (2 * 4 + 2 + 1)


def test_sums_beyond_short_numbers_are_sent_whole(monkeypatch: pytest.MonkeyPatch):
    rows = 2**16 + 5  # of one answer more than fit into two bytes
    frame = pa.table({"a": pa.array(np.full(rows, 5, "int8")), "unit": ["A"] * rows})
    given = ({"full": tree_of(1, 5)}, {"admin": "unit"})
    whole = sum_frames(frame, *given, index="I", **CUTS)["admin"]
    sent = parted([list(range(rows)), [0, 1, 2]], monkeypatch, batch=2**14)
    again = sum_frames(frame, *given, index="I", **CUTS)["admin"]
    assert whole.sums["n"].max() == rows
    assert again.sums["n"].max() == rows + 3
    assert rows in np.frombuffer(sent[0]["sums"].to_pylist()[0], SUM)


@pytest.mark.parametrize("at_once", [1, 7])
def test_sums_do_not_depend_on_how_many_are_added_at_once(at_once: int, monkeypatch: pytest.MonkeyPatch):
    frame = arrow(CASES["forms"][1])
    whole = summed(frame, "forms")
    monkeypatch.setattr(partial_sums, "SUMS_AT_ONCE", at_once)
    parted(PARTINGS["turns, some parts empty"], monkeypatch)
    same(whole, summed(frame, "forms"))
