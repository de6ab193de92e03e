"""Scoring of person or branch rows: dimensions, index, by one expression on any dataframe engine."""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import narwhals.stable.v2 as nw
import numpy as np
import pandas as pd

from ..errors import Problems, UsageError
from ..spec.bands import SLACK, Bands
from ..spec.specification import CROSS
from ..spec.tables import whole_numbers
from ..spec.tree import Node, Tree
from .engines import collected, expressed
from .unitsums import STATISTICS, UnitSums

#: What writes the expressions of a frame, see :func:`.engines.expressed`. Numbers are cast to its Int64: sums of squares over
#: millions of rows leave 32 bits, and some engines do not widen them by themselves.
Library = Any


@dataclass(frozen=True)
class Plan:
    """Columns of the scoring expression, by which grouped sums are arranged."""

    leaves: tuple[Node, ...]
    nodes: tuple[tuple[str, str], ...]
    cells: tuple[tuple[str, str], ...]
    trees: Mapping[str, Tree]


def plan_cells(trees: Mapping[str, Tree], columns: Iterable[str]) -> Plan:
    """Plan what can be scored from the available columns; leaves that were not asked are left out."""
    present = set(columns)
    asked: dict[str, Node] = {}
    nodes: list[tuple[str, str]] = []
    cells: list[tuple[str, str]] = []
    for form, tree in trees.items():
        asked.update({leaf.code: leaf for leaf in tree.leaves if leaf.code in present})
        scored = [node.code for node in tree.inner if any(leaf.code in present for leaf in tree.leaves_of(node.code))]
        nodes += [(form, code) for code in scored]
        scorable = {*scored, *(leaf.code for leaf in tree.leaves if leaf.code in present)}
        cells += [(form, code) for code in tree.codes if code in scorable]
    return Plan(tuple(asked.values()), tuple(nodes), tuple(cells), trees)


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
) -> dict[str, UnitSums]:
    """Score every row once and sum the rows of each unit along every axis; the only place that collects a lazy frame.

    Parameters
    ----------
    columns
        Axis → column with the unit (or category); None puts all rows under the root alone.
    favourable, low
        Cut points of a favourable answer and of a low index.
    counts_only
        Sum persons and ``n`` alone; the other statistics are 0.

    Raises
    ------
    DataError
        An answer outside its range, a negative or missing weight.
    """
    wrapped, lib = expressed(frame)
    schema = wrapped.collect_schema()
    plan = plan_cells(trees, schema.names())
    needed = [leaf.code for leaf in plan.leaves] + [c for c in (*columns.values(), weight) if c]
    scored = _with_scores(wrapped.select(list(dict.fromkeys(needed))) if needed else wrapped, plan, lib)
    keys = [
        (lib.col(column).cast(lib.String).fill_null("") if column else lib.lit("")).alias(f"_key:{number}")
        for number, column in enumerate(columns.values())
    ]
    summed = _with_summands(scored, plan, lib, weight, favourable, low, index, counts_only=counts_only).with_columns(
        *keys
    )
    sums = [name for name in summed.collect_schema().names() if name.startswith(("_s:", "_rows", "_lost"))]
    ranges = [*(f"_r:{leaf.code}" for leaf in plan.leaves), *(["_w"] if weight else [])]
    sums_by_axis = {}
    for number, (axis, column) in enumerate(columns.items()):
        key = f"_key:{number}"
        with warnings.catch_warnings():
            # pandas' own group-by of many columns warns about its own layout; nothing a caller could correct.
            warnings.simplefilter("ignore", pd.errors.PerformanceWarning)
            aggregated = summed.group_by(key).agg(
                *(lib.col(name).sum() for name in sums),
                *(lib.col(name).min().alias(f"_min:{name}") for name in ranges),
                *(lib.col(name).max().alias(f"_max:{name}") for name in ranges),
            )
        grouped = collected(nw.from_native(aggregated, pass_through=True)).rename({key: "_key"}).to_pandas()
        table = _as_floats(grouped, whole_keys=bool(column) and schema[column].is_float())
        _check_ranges(table, plan, weight)
        sums_by_axis[axis] = _laid_out(table, plan, axis, weight)
    return sums_by_axis


def with_cross(frame: Any, columns: Iterable[str], name: str) -> Any:
    """Add a column that names the cross-classified cell of each row (text, ``""`` for missing parts)."""
    wrapped = nw.from_native(frame)
    parts = [nw.col(column).cast(nw.String).fill_null("") for column in columns]
    return nw.to_native(wrapped.with_columns(nw.concat_str(*parts, separator=CROSS).alias(name)))


def _as_floats(table: pd.DataFrame, *, whole_keys: bool) -> pd.DataFrame:
    """Convert an engine's sums to float64, sorted by key; a column of unit numbers with gaps arrives as floats."""
    key = table["_key"].astype("str")
    if whole_keys:
        key = whole_numbers(key).replace("nan", "")
    values = table.drop(columns="_key")
    if all(isinstance(dtype, np.dtype) and dtype.kind in "iuf" for dtype in values.dtypes):
        floats = pd.DataFrame(values.to_numpy("float64"), values.index, values.columns)
    else:
        floats = pd.DataFrame({n: pd.to_numeric(values[n], errors="coerce").astype("float64") for n in values})
    return pd.concat([key.rename("_key"), floats], axis=1).sort_values("_key", ignore_index=True)


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
    low, high = _whole(leaf.minimum), _whole(leaf.maximum)
    return ((value - low) if leaf.direction == 1 else (high - value)).alias(f"_r:{leaf.code}")


def _mean_of_leaves(leaves: list[Node], least: int, lib: Library) -> Any:
    multiples, unit = _multiples(leaves)
    present = [(~lib.col(f"_r:{leaf.code}").is_null()).cast(lib.Int64) for leaf in leaves]
    total = _sum(lib.col(f"_r:{leaf.code}").fill_null(0) * m for leaf, m in zip(leaves, multiples, strict=True))
    weight = _sum(p * _whole(leaf.weight) for p, leaf in zip(present, leaves, strict=True))
    return lib.when(_sum(present) >= least, weight > 0).then(100 * total / (weight * unit))


def _mean_of_nodes(children: list[Node], form: str, leaves: set[str], least: int, lib: Library) -> Any:
    scores = [_leaf_score(c, lib) if c.code in leaves else lib.col(f"{form}__{c.code}") for c in children]
    present = [(~score.is_null()).cast(lib.Int64) for score in scores]
    total = _sum(score.fill_null(0.0) * float(c.weight) for score, c in zip(scores, children, strict=True))
    weight = _sum(p * float(c.weight) for p, c in zip(present, children, strict=True))
    return lib.when(_sum(present) >= least, weight > 0).then(total / weight)


def _leaf_score(leaf: Node, lib: Library) -> Any:
    return 100 * lib.col(f"_r:{leaf.code}") / _whole(leaf.maximum - leaf.minimum)


def _multiples(leaves: list[Node]) -> tuple[list[float | int], float | int]:
    """Return factors that bring leaves of different ranges to one unit; integral where ranges and weights are."""
    ranges = [_whole(leaf.maximum - leaf.minimum) for leaf in leaves]
    weights = [_whole(leaf.weight) for leaf in leaves]
    if all(isinstance(value, int) for value in ranges + weights):
        unit = math.lcm(*(int(value) for value in ranges))
        return [int(w) * (unit // int(r)) for w, r in zip(weights, ranges, strict=True)], unit
    return [w / r for w, r in zip(weights, ranges, strict=True)], 1


def _with_summands(
    frame: Any,
    plan: Plan,
    lib: Library,
    weight: str | None,
    favourable: Bands,
    low: Bands,
    index: str | None,
    *,
    counts_only: bool,
) -> Any:
    """Make every summand a column of its own: engines differ in how they aggregate expressions, not columns."""
    w = None
    if weight:
        raw_weight = lib.col(weight).cast(lib.Float64)
        frame = frame.with_columns(lib.when(~raw_weight.is_nan()).then(raw_weight).alias("_w"))
        w = lib.col("_w")
    columns: dict[str, Any] = {"_rows": lib.lit(1)} | ({} if w is None else {"_lost": w.is_null().cast(lib.Int64)})
    point, schema = favourable.bands[0].point / 100, frame.collect_schema()
    rounded: list[str] = []
    for leaf in plan.leaves:
        r = lib.col(f"_r:{leaf.code}")
        good = (r > point * (leaf.maximum - leaf.minimum) + SLACK).cast(lib.Int64).fill_null(0)
        summands = _moments(f"_s:{leaf.code}", r, w, lib)
        rounded += (
            [] if w is None and schema[f"_r:{leaf.code}"].is_integer() else summands
        )  # sums of integers are exact
        columns |= summands | _present(f"_s:{leaf.code}", r, w, lib)
        columns[f"_s:{leaf.code}:favourable"] = good if w is None else good * w
    for form, code in plan.nodes:
        x = lib.col(f"{form}__{code}")
        summands = _moments(f"_s:{form}__{code}", x, w, lib)
        rounded += summands
        columns |= summands | _present(f"_s:{form}__{code}", x, w, lib)
        if code == index and low.of is not None:
            flag = (x < low.of - SLACK).cast(lib.Int64).fill_null(0)
            columns[f"_s:{form}__{code}:low"] = flag if w is None else flag * w
    if counts_only:
        columns = {name: value for name, value in columns.items() if not name.startswith("_s:") or name.endswith(":n")}
    frame = frame.with_columns(**columns)
    halves = _halved((name for name in rounded if name in columns), lib)
    return frame.with_columns(**halves) if halves else frame


def _present(name: str, x: Any, w: Any, lib: Library) -> dict[str, Any]:
    """Return the summand that counts people: one whose weight is 0 is in no mean and protects nobody."""
    return {f"{name}:n": (~x.is_null() if w is None else ~x.is_null() & (w > 0)).cast(lib.Int64)}


def _moments(name: str, x: Any, w: Any, lib: Library) -> dict[str, Any]:
    """Return the summands of one score but its number of people."""
    present, filled = (~x.is_null()).cast(lib.Int64), x.fill_null(0)
    if w is None:
        powers = {"wx": filled, "wxx": filled * filled, "wxxx": filled * filled * filled}
        powers["wxxxx"] = filled * filled * filled * filled
        return {f"{name}:{power}": value for power, value in powers.items()}
    summands: dict[str, Any] = {}
    for power, prefix in ((w, "w"), (w * w, "ww")):
        summands |= {f"{name}:{prefix}": present * power, f"{name}:{prefix}x": filled * power}
        summands[f"{name}:{prefix}xx"] = filled * filled * power
    cubes = {f"{name}:www": present * w * w * w, f"{name}:wxxx": filled * filled * filled * w}
    return summands | cubes | {f"{name}:wxxxx": filled * filled * filled * filled * w}


_FINE = {2: 19, 3: 13, 4: 6}


def _halved(columns: Iterable[str], lib: Library) -> dict[str, Any]:
    """Split columns of floats into a coarse and a fine half, so that their sums do not depend on the order of the rows.

    Engines add in parallel, in another order at each run. The coarse half is a multiple of 2⁻²⁶ (2⁻¹⁹ for squares, 2⁻¹³ for
    cubes, 2⁻⁶ for fourth powers): sums of a million of them are exact. What the order does to the fine half is lost when the two are put together again.
    """
    halves = {}
    for name in columns:
        value = lib.col(name)
        unit = float(2 ** _FINE.get(len(name) - len(name.rstrip("x")), 26))
        coarse = (value * unit).floor() / unit
        halves[name], halves[f"{name}~"] = coarse, value - coarse
    return halves


def _check_ranges(table: pd.DataFrame, plan: Plan, weight: str | None) -> None:
    """Note answers outside their range and invalid weights; the extremes were computed in the same pass."""
    problems = Problems()
    for leaf in plan.leaves:
        span = leaf.maximum - leaf.minimum
        far = [table[f"_min:_r:{leaf.code}"].min(), table[f"_max:_r:{leaf.code}"].max()]
        if far[0] < -SLACK or far[1] > span + SLACK:
            ends = sorted(leaf.minimum + r if leaf.direction == 1 else leaf.maximum - r for r in far)
            extremes, allowed = f"{ends[0]:g}–{ends[1]:g}", f"{leaf.minimum:g}–{leaf.maximum:g}"
            advice = "改正数据或量表 (correct the data or the range)"
            problems.add(f"答案/responses: {leaf.code}", "out_of_range", extremes, allowed, advice)
    if weight:
        low, high, lost = table["_min:_w"].min(), table["_max:_w"].max(), int(table["_lost"].sum())
        if lost or low < 0 or not 0 < high < math.inf:
            bad_weights = f"{low:g}–{high:g}" + (f",{lost} 行缺失/rows without" if lost else "")
            problems.add(
                f"答案/responses: {weight}", "weights", bad_weights, ">= 0,和 > 0", "改正权重 (correct the weights)"
            )
    problems.raise_if_any()


def _laid_out(table: pd.DataFrame, plan: Plan, axis: str, weight: str | None) -> UnitSums:
    """Arrange the grouped columns as arrays units × cells; leaves' sums are scaled to 0–100 here, exactly."""
    shape = (len(table), len(plan.cells))
    sums = {name: np.zeros(shape) for name in STATISTICS}
    leaves = {leaf.code: leaf for leaf in plan.leaves}
    for j, (form, code) in enumerate(plan.cells):
        leaf = leaves.get(code)
        prefix = f"_s:{code}" if leaf else f"_s:{form}__{code}"
        scale = 100 / (leaf.maximum - leaf.minimum) if leaf else 1.0
        for name in STATISTICS:
            source = f"{prefix}:{name}"
            if source in table:
                power = name.count("x")
                fine = table[f"{source}~"].to_numpy() if f"{source}~" in table else 0.0
                sums[name][:, j] = (table[source].to_numpy() + fine) * scale**power
        if weight is None:
            for name, same in (("w", "n"), ("ww", "n"), ("www", "n"), ("wwx", "wx"), ("wwxx", "wxx")):
                sums[name][:, j] = sums[same][:, j]
        if leaf:
            sums["answers"][:, j] = sums["w"][:, j]
    for j, (form, code) in enumerate(plan.cells):
        if code not in leaves:
            below = [
                plan.cells.index((form, leaf.code)) for leaf in plan.trees[form].leaves_of(code) if leaf.code in leaves
            ]
            for name in ("answers", "favourable"):
                sums[name][:, j] = sums[name][:, below].sum(axis=1)
    persons = table["_rows"].to_numpy(dtype=float)
    units = tuple(table["_key"].astype(str))
    heaviest = table["_max:_w"].to_numpy(dtype=float) if weight else None
    return UnitSums(axis, units, plan.cells, persons, sums, heaviest)


def _sum(terms: Iterable[Any]) -> Any:
    """Add terms from left to right, the same order on every engine."""
    first, *rest = list(terms)
    for term in rest:
        first = first + term
    return first


def _whole(value: float) -> int | float:
    """Return an int where the number is whole, so that integer columns stay integral."""
    return int(value) if float(value).is_integer() else float(value)
