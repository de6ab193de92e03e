"""A multiple choice and a ranking of the full form: what to improve first."""

from __future__ import annotations

import numpy as np
import polars as pl

from ..spec.tree import Node

STREAM = 5  # of random numbers
SKIPPED = 0.03  # leave each of the two questions out
WISH, ORDER = "C3", "C4"
#: Options: Chinese, English, chance to be chosen.
_WISHES = (
    ("减少重复报表", "Fewer duplicate reports", 0.45),
    ("公开奖金分配办法", "Clear rules for bonuses", 0.40),
    ("改善食堂伙食", "Better canteen food", 0.30),
    ("增加实操培训", "More hands-on training", 0.25),
    ("提前公布排班", "Rosters published earlier", 0.30),
    ("及时更新工器具", "Tools replaced in time", 0.28),
)
#: Things to rank: Chinese, English, how strongly it is drawn to the front.
_ORDER = (
    ("收入待遇", "Pay", 1.2),
    ("成长机会", "Growth", 0.5),
    ("工作负荷", "Workload", 0.6),
    ("工作环境", "Surroundings", 0.0),
)
PLANTED_OPTION, PLANTED_GROUP, PLANTED_RAISE = f"{WISH}_5", "一线员工", 0.25


def wish_nodes() -> tuple[Node, ...]:
    """Return the questions and their options as the codebook declares them."""
    text_zh, text_en = "今年最希望单位先办好的事", "What to do first this year"
    order_zh, order_en = "请按重要性排序", "Please rank by importance"
    return (
        Node(WISH, label_zh=text_zh, label_en=text_en, role="choice", text_zh=text_zh, text_en=text_en, form="full"),
        *(Node(f"{WISH}_{i}", WISH, zh, en, role="choice") for i, (zh, en, _) in enumerate(_WISHES, 1)),
        Node(
            ORDER, label_zh=order_zh, label_en=order_en, role="ranking", text_zh=order_zh, text_en=order_en, form="full"
        ),
        *(Node(f"{ORDER}_{i}", ORDER, zh, en, role="ranking") for i, (zh, en, _) in enumerate(_ORDER, 1)),
    )


def draw_wishes(position: pl.Series, rng: np.random.Generator, *, planted: bool) -> pl.DataFrame:
    """Draw a column an option: 1 or 0 where chosen or not, places from 1, null where the question was left out."""
    n = len(position)
    chance = np.tile([chance for _, _, chance in _WISHES], (n, 1))
    if planted:
        chance[(position == PLANTED_GROUP).to_numpy(), int(PLANTED_OPTION[-1]) - 1] += PLANTED_RAISE
    chosen = rng.random(chance.shape) < chance
    chosen[np.arange(n), rng.integers(0, len(_WISHES), n)] |= ~chosen.any(axis=1)
    drawn = rng.gumbel(size=(n, len(_ORDER))) + [pull for _, _, pull in _ORDER]
    place = (-drawn).argsort(axis=1).argsort(axis=1) + 1
    left_out = rng.random((2, n)) < SKIPPED
    columns = {f"{WISH}_{j + 1}": _null_where(chosen[:, j].astype(np.int16), left_out[0]) for j in range(len(_WISHES))}
    return pl.DataFrame(
        columns
        | {f"{ORDER}_{j + 1}": _null_where(place[:, j].astype(np.int16), left_out[1]) for j in range(len(_ORDER))}
    )


def _null_where(values: np.ndarray, missing: np.ndarray) -> pl.Series:
    return pl.Series(values).set(pl.Series(missing), None)
