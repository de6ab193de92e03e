"""What a change is made of: how much each dimension, each question and each unit below contributed."""

from __future__ import annotations

from collections.abc import Container
from dataclasses import dataclass

import numpy as np
import pandas as pd

from ..errors import UsageError
from ..measure.common_items import asked_items
from ..measure.scores import Scores
from ..measure.unitsums import UnitSums
from ..result import Result
from ..spec.units import ALL, NO_UNIT, Units
from .change import Change, like_with_like
from .decomposition import kitagawa_parts, of_shown_units, units_of_change

KEYS = ("period", "before_period", "level", "unit", "part", "code", "child")
STATISTICS = ("n", "n_before", "difference", "contribution", "within", "mix")
REST = "REST"  # units that cannot be shown, answers without a unit


@dataclass(frozen=True)
class Contributions(Result):
    """Contributions to the change of the index, which add up to it exactly.

    ``.table``: period, before_period, level, unit, part (``index``: the change itself; ``dimension``, ``item``, ``unit``; ``left_of_dimensions`` and
    ``left_of_items``: unanswered questions), code (of the dimension, question or index), child (the unit below), n and
    n_before (of the unit, or of the unit below), difference (of the part itself, points), contribution (points of the unit's index), within and
    mix (of units below: change within them, and by their share of the people).
    """


def contributions(now: Scores, before: Scores, change: Change | None = None) -> Contributions:
    """Split the change of every unit's index by dimension, by question, and by the units below it.

    The index is linear in its dimensions and questions where all are answered: a part contributes its weight in the index
    times its own change. What is left is the effect of unanswered questions on how parts weigh (``left_of_…``); with it the
    sum is the change itself. Units below contribute (Kitagawa 1955; Das Gupta 1993) within = ½(w₁+w₂)(m₂−m₁) and mix =
    (½(m₁+m₂) − M)(w₂−w₁), w the share of people, M the mean of the two totals; units that cannot be shown stand together as
    ``REST``.

    Parameters
    ----------
    now, before
        Scores of two waves of one survey; compared on the questions both asked.
    change
        What :func:`dj_analysis.compare` said of them, to save its time.

    Raises
    ------
    UsageError
        No survey, or no index.

    Examples
    --------
    >>> parts = dj.methods.contributions(scores, before).where(unit="ALL", part="dimension").table
    >>> parts[["code", "contribution"]].round(1).values.tolist()
    [['D1', -2.1], ['D2', -1.6]]
    """
    index = now.spec.codebook.index
    if now.about != "persons" or not now.sums or index is None:
        raise UsageError("contributions 只用于有指数的问卷 (for surveys with an index only)")
    _, now, before = like_with_like(now, before)
    earlier = change.before_scores if change is not None and change.before_scores is not None else before
    rows = [*_by_code(now, earlier, index), *_by_unit(now, earlier, index)]
    table = pd.DataFrame(rows, columns=["level", "unit", "part", "code", "child", *STATISTICS])
    table = table.assign(period=now.period, before_period=before.period)[[*KEYS, *STATISTICS]]
    return Contributions(
        table=table, keys=KEYS, statistics=STATISTICS, period=now.period, periods=(before.period, now.period),
        spec=now.spec, withheld={**before.withheld, **now.withheld}, basis=(*before.basis, *now.basis),
        together=("contribution", "within", "mix"),
    )  # fmt: skip


def weights_in_index(now: Scores, index: str) -> dict[str, float]:
    """Return the weight of every dimension and question in the index, where all are answered; each family adds up to 1."""
    tree, weights = asked_items(now), {index: 1.0}
    for parent in [index, *(node.code for node in reversed(tree.inner) if index in tree.ancestors(node.code))]:
        children = tree.children(parent)
        total = sum(child.weight for child in children)
        for child in children:
            weights[child.code] = weights[parent] * child.weight / total
    return weights


def _by_code(now: Scores, before: Scores, index: str) -> list[tuple]:
    tree, weights = asked_items(now), weights_in_index(now, index)
    leaves = [leaf.code for leaf in tree.leaves_of(index)]
    dimensions = [child.code for child in tree.children(index)]
    scores, people = [], []
    for wave in (now, before):
        table = wave.table[(wave.table["form"] == "anchors") & wave.table["code"].isin(list(weights))]
        wide = table.pivot(index=["level", "unit"], columns="code", values="score")
        scores.append(wide.reindex(columns=list(weights)))
        people.append(table[table["code"] == index].set_index(["level", "unit"])["n"])
    difference = scores[0] - scores[1].reindex(scores[0].index)
    difference = difference[difference[index].notna()]
    keys, moved = difference.index.tolist(), {code: difference[code].to_numpy(float) for code in weights}
    n, n_before = (own.reindex(difference.index).to_numpy(int) for own in people)
    families = [
        (part, codes, np.stack([moved[code] for code in codes], axis=1), np.array([weights[code] for code in codes]))
        for part, codes in (("dimension", dimensions), ("item", leaves))
    ]
    rows: list[tuple] = []
    for i, key in enumerate(keys):
        whole, counts = float(moved[index][i]), (int(n[i]), int(n_before[i]))
        rows.append((*key, "index", index, "", *counts, whole, whole, np.nan, np.nan))
        for part, codes, own, weight in families:
            parts = np.nan_to_num(own[i]) * weight
            for code, change, given in zip(codes, own[i], parts, strict=True):
                rows.append((*key, part, code, "", *counts, change, given, np.nan, np.nan))
            left = whole - float(parts.sum())
            rows.append((*key, f"left_of_{part}s", index, "", *counts, np.nan, left, np.nan, np.nan))
    return rows


def _by_unit(now: Scores, before: Scores, index: str) -> list[tuple]:
    units = now.spec.units.at(now.period)
    hidden = {unit for rows in (*now.withheld.values(), *before.withheld.values()) for _, unit in rows}
    levels = [level for level in now.table["level"].unique() if level in units.levels]
    rows: list[tuple] = []
    for level, unit, blocks, held in units_of_change(levels, *of_shown_units(now, before)):
        code = ALL if unit == units.root.unit else unit
        children = [child.unit for child in units.children(code)]
        if not children or ("anchors", index) not in blocks[1].cells:
            continue
        j = blocks[1].cells.index(("anchors", index))
        within, mix, labels = kitagawa_parts(blocks, held)
        if not np.isfinite(within[:, j].sum() + mix[:, j].sum()):
            continue
        mine_of: dict[str, list[int]] = {child: [] for child in [*children, REST]}
        for i, label in enumerate(labels):
            mine_of[_home(label, mine_of, units, hidden)].append(i)
        for child, mine in mine_of.items():
            if not mine:
                continue
            parts = float(within[mine, j].sum()), float(mix[mine, j].sum())
            (n, mean), (n_before, mean_before) = (
                _people_and_mean(block, [own for i in mine for own in wave.get(labels[i], [])], j)
                for block, wave in zip(blocks[::-1], held[::-1], strict=True)
            )
            rows.append((level, unit, "unit", index, child, n, n_before, mean - mean_before, sum(parts), *parts))
    return rows


def _home(finest: str, children: Container[str], units: Units, hidden: set[str]) -> str:
    """Return the unit below to which a finest unit belongs; the rest where it belongs to none that can be shown."""
    above = [finest, *units.ancestors(finest)] if finest != NO_UNIT else []
    child = next((one for one in above if one in children), REST)
    return REST if child in hidden else child


def _people_and_mean(block: UnitSums, finest: list[str], j: int) -> tuple[int, float]:
    """Number of people of some finest units in one wave, and the mean of their index; NaN where nobody answered."""
    rows = [block.row_of[unit] for unit in finest if unit in block.row_of]
    n, w, wx = (float(block.sums[name][rows, j].sum()) for name in ("n", "w", "wx"))
    return int(n), wx / w if w else float("nan")
