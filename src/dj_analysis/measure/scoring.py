"""Scoring of person or branch rows: scores as columns by one expression on any engine, and their sums by unit, block by block."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import islice
from threading import Event, Lock
from typing import Any, NamedTuple

import narwhals.stable.v2 as nw
import polars as pl

from ..errors import Problems, UsageError
from ..spec.bands import Bands
from ..spec.specification import CROSS
from ..spec.tree import Node, Tree
from .answer_blocks import ROWS, blocks_of
from .block_scores import check_numbers, left_to_right, multiples_of, whole_or_float
from .engines import collected, expressed, on_spark
from .scored_cells import Plan, plan_cells
from .spark_sums import PartitionSums, add_partitions
from .unitsums import UnitSums
from .wave_sums import WaveSums

#: What writes the expressions of a frame, see :func:`.engines.expressed`.
Library = Any


def score_frame(frame: Any, trees: Mapping[str, Tree]) -> Any:
    """Add node scores to each row, as columns ``form__code``, on the frame's own engine.

    A leaf counts ``(x − minimum)/(maximum − minimum)``, or ``(maximum − x)/…`` where direction is -1, times 100. A node
    over leaves is their weighted mean over those answered; with integral answers, bounds and weights it is one integer
    numerator divided once, so that engines agree to the last digit. A node over nodes is the weighted mean of its
    children's scores. Both need the least share of children declared by the tree, else the score is missing.

    Parameters
    ----------
    frame
        pandas, polars (eager or lazy), pyarrow, DuckDB relation or Spark frame with a column a leaf; null and NaN are
        missing. A lazy frame stays lazy.
    trees
        The tree of each form wanted.

    Returns
    -------
    frame
        The same kind of frame with the score columns (0–100) added.
    """
    wrapped, lib = expressed(frame)
    plan = plan_cells(trees, wrapped.collect_schema().names())
    return nw.to_native(_with_scores(wrapped, plan, lib), pass_through=True)


def sum_frames(
    frame: Any,
    trees: Mapping[str, Tree],
    columns: Mapping[str, str | None],
    *,
    weight: str | None = None,
    favourable: Bands,
    low: Bands,
    index: str | None = None,
    counts_only: bool = False,
    rows: int = ROWS,
) -> dict[str, UnitSums]:
    """Score every row once and sum the rows of each unit along every axis.

    Parameters
    ----------
    columns
        Axis → column with the unit (or category); None puts all rows under the root alone.
    favourable, low
        Cut points of a favourable answer and of a low index.
    counts_only
        Sum persons and ``n`` alone; the other statistics are 0.
    rows
        Most rows that are read at once; the sums do not depend on it.

    Raises
    ------
    DataError
        An answer outside its range, a negative or missing weight; a file that cannot be read to its end; a Spark job that fails.
    """
    wrapped = nw.from_native(nw.to_native(frame, pass_through=True))
    schema = wrapped.collect_schema()
    plan = plan_cells(trees, schema.names())
    weights = _weights_told(wrapped, weight) if weight else None
    weighted = weights is not None and weights.valid
    scale = 2.0 ** math.ceil(math.log2(weights.most)) if weights is not None and weighted else 1.0
    start = partial(
        WaveSums, plan, tuple(columns), favourable, low, index, weighted=weighted, scale=scale, counts_only=counts_only
    )
    counted_weight = weight if weighted else None
    needed = [leaf.code for leaf in plan.leaves] + [c for c in (*columns.values(), weight) if c]
    needed = list(dict.fromkeys(needed or schema.names()[:1]))
    if on_spark(wrapped):
        check_numbers(schema, plan.leaves)
        wave = start()
        add_partitions(wave, wrapped.select(*needed), PartitionSums(start, columns, counted_weight, rows))
    else:
        wave, *others = _summed_in_threads(start, blocks_of(wrapped, needed, rows), columns, counted_weight)
        while others:  # each is forgotten once it is included
            wave.include(others.pop())
    _check_ranges(wrapped, wave.outside, weights)
    whole = {axis for axis, column in columns.items() if column and schema[column].is_float()}
    return {axis: wave.laid_out(axis, whole_keys=axis in whole) for axis in columns}


#: Most threads that sum blocks: each holds sums of its own.
MOST_THREADS = 8


def _summed_in_threads(
    start: Callable[[], WaveSums], blocks: Iterator[Any], columns: Mapping[str, str | None], weight: str | None
) -> list[WaveSums]:
    """Sum blocks in as many threads as polars has, each block in the thread that is free; sums are exact, so any order will do."""
    waiting = list(islice(blocks, 2))
    if len(waiting) < 2:  # a small wave: threads would only be started and waited for
        wave = start()
        for block in waiting:
            wave.add(block, columns, weight)
        return [wave]
    one_at_a_time, stopped = Lock(), Event()

    def next_block() -> Any:
        return waiting.pop(0) if waiting else next(blocks, None)

    def of_thread() -> WaveSums:
        wave = start()
        try:
            while not stopped.is_set():
                with one_at_a_time:
                    block = next_block()
                if block is None:
                    break
                wave.add(block, columns, weight)
        except BaseException:
            stopped.set()
            raise
        return wave

    threads = min(pl.thread_pool_size(), MOST_THREADS)
    with ThreadPoolExecutor(threads) as pool:
        try:
            return [part.result() for part in [pool.submit(of_thread) for _ in range(threads)]]
        except BaseException:  # also Ctrl+C, which comes here: nobody waits for the rest of the wave
            stopped.set()
            raise


class _WeightsTold(NamedTuple):
    """A column of respondents' weights: its name, the smallest and the largest, and how many rows have none."""

    name: str
    least: float
    most: float
    lost: int

    @property
    def valid(self) -> bool:
        return not (self.lost or self.least < 0) and 0 < self.most < math.inf


def _weights_told(frame: Any, weight: str) -> _WeightsTold:
    w = nw.col(weight).cast(nw.Float64)
    w = nw.when(~w.is_nan()).then(w)
    told = collected(
        frame.select(w.min().alias("low"), w.max().alias("high"), w.is_null().cast(nw.Int64).sum().alias("lost"))
    ).to_dict(as_series=False)
    low, high = (float(told[name][0]) if told[name][0] is not None else math.nan for name in ("low", "high"))
    return _WeightsTold(weight, low, high, int(told["lost"][0]))


def with_cross(frame: Any, columns: Iterable[str], name: str) -> Any:
    """Add a column that names the cross-classified cell of each row (text, ``""`` for missing parts)."""
    wrapped = nw.from_native(frame)
    parts = [nw.col(column).cast(nw.String).fill_null("") for column in columns]
    return nw.to_native(wrapped.with_columns(nw.concat_str(*parts, separator=CROSS).alias(name)))


def _with_scores(frame: Any, plan: Plan, lib: Library) -> Any:
    """Add leaves counted from the unfavourable end (0) and node scores, level by level."""
    schema = frame.collect_schema()
    cleaned = [_clean(leaf, schema[leaf.code], lib) for leaf in plan.leaves]
    frame = frame.with_columns(*cleaned) if cleaned else frame
    leaves = {leaf.code for leaf in plan.leaves}
    done: set[str] = set()
    waiting: dict[str, Any] = {}  # scores that rest on nothing among them: one pass computes them together
    for form, code in plan.nodes:
        tree = plan.trees[form]
        children = [c for c in tree.children(code) if c.code in leaves or f"{form}__{c.code}" in {*done, *waiting}]
        if any(f"{form}__{child.code}" in waiting for child in children):
            frame, done, waiting = frame.with_columns(**waiting), done | set(waiting), {}
        if all(child.code in leaves for child in children):
            score = _mean_of_leaves(children, tree.least(tree[code]), lib)
        else:
            score = _mean_of_nodes(children, form, leaves, tree.least(tree[code]), lib)
        waiting[f"{form}__{code}"] = score
    return frame.with_columns(**waiting) if waiting else frame


def _clean(leaf: Node, dtype: Any, lib: Library) -> Any:
    """Return the distance from the unfavourable end in raw steps: null where missing, integral where the column is."""
    value = lib.col(leaf.code)
    if dtype.is_float():
        value = lib.when(~value.is_nan()).then(value)
        value = value.cast(lib.Float64)
    elif dtype.is_integer():
        value = value.cast(lib.Int64)
    elif dtype.is_decimal():
        value = value.cast(lib.Float64)
    else:
        raise UsageError(f"列 {leaf.code} 的类型是 {dtype},应为数字 (a number column is needed)")
    low, high = whole_or_float(leaf.minimum), whole_or_float(leaf.maximum)
    return ((value - low) if leaf.direction == 1 else (high - value)).alias(f"_r:{leaf.code}")


def _mean_of_leaves(leaves: list[Node], least: int, lib: Library) -> Any:
    multiples, unit = multiples_of(leaves)
    present = [(~lib.col(f"_r:{leaf.code}").is_null()).cast(lib.Int64) for leaf in leaves]
    total = left_to_right(
        lib.col(f"_r:{leaf.code}").fill_null(0) * m for leaf, m in zip(leaves, multiples, strict=True)
    )
    weight = left_to_right(p * whole_or_float(leaf.weight) for p, leaf in zip(present, leaves, strict=True))
    return lib.when(left_to_right(present) >= least, weight > 0).then(100 * total / (weight * unit))


def _mean_of_nodes(children: list[Node], form: str, leaves: set[str], least: int, lib: Library) -> Any:
    scores = [_leaf_score(c, lib) if c.code in leaves else lib.col(f"{form}__{c.code}") for c in children]
    present = [(~score.is_null()).cast(lib.Int64) for score in scores]
    total = left_to_right(score.fill_null(0.0) * float(c.weight) for score, c in zip(scores, children, strict=True))
    weight = left_to_right(p * float(c.weight) for p, c in zip(present, children, strict=True))
    return lib.when(left_to_right(present) >= least, weight > 0).then(total / weight)


def _leaf_score(leaf: Node, lib: Library) -> Any:
    return 100 * lib.col(f"_r:{leaf.code}") / whole_or_float(leaf.maximum - leaf.minimum)


def _check_ranges(frame: Any, outside: Sequence[Node], weights: _WeightsTold | None) -> None:
    """Note answers outside their range and invalid weights, all together; extremes are looked for only where some are outside."""
    problems = Problems()
    columns = [nw.col(leaf.code).cast(nw.Float64) for leaf in outside]
    columns = [nw.when(~column.is_nan()).then(column) for column in columns]
    ends = [end for i, x in enumerate(columns) for end in (x.min().alias(f"low{i}"), x.max().alias(f"high{i}"))]
    told = collected(frame.select(*ends)).to_dict(as_series=False) if ends else {}
    for i, leaf in enumerate(outside):
        extremes = f"{told[f'low{i}'][0]:g}–{told[f'high{i}'][0]:g}"
        allowed = f"{leaf.minimum:g}–{leaf.maximum:g}"
        advice = "改正数据或量表 (correct the data or the range)"
        problems.add(f"答案/responses: {leaf.code}", "out_of_range", extremes, allowed, advice)
    if weights is not None and not weights.valid:
        bad_weights = f"{weights.least:g}–{weights.most:g}"
        bad_weights += f",{weights.lost} 行缺失/rows without" if weights.lost else ""
        problems.add(
            f"答案/responses: {weights.name}", "weights", bad_weights, ">= 0,和 > 0", "改正权重 (correct the weights)"
        )
    problems.raise_if_any()
