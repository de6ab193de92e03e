"""Figures of ranks with the places that are not ruled out."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from .. import theme
from ..wording import say
from .common import Drawable, caption, new_axes, period_label, shortened, themed

if TYPE_CHECKING:
    from matplotlib.axes import Axes


@themed("dj.rank(…)", needs=("unit", "level", "code", "rank", "rank_low", "rank_high"), interval="note_rank_range")
def plot_ranks(result: Drawable, *, most: int = 12, ax: Axes | None = None) -> Axes:
    """Draw the ranks of units with the places that are not ruled out, the first on top (a caterpillar plot).

    Parameters
    ----------
    result
        What :func:`dj_analysis.rank` returned, protected or not.
    most
        Where units are many, the first and the last so many are drawn.

    Examples
    --------
    >>> axes = dj.plot_ranks(dj.rank(scores, level="branch"))
    >>> [label.get_text() for label in axes.get_yticklabels()]
    ['一支部']
    """
    spec, table = result.spec, result.table
    ranked = table[table["rank"].notna()].sort_values("rank", kind="stable")
    cut = len(ranked) > 2 * most
    shown = pd.concat([ranked.head(most), ranked.tail(most)]) if cut else ranked
    ax = ax or new_axes(height=1.3 + 0.2 * max(len(shown), 3))
    y = np.arange(len(shown), dtype=float)
    y[most:] += 0.8 * cut
    rank, low, high = (shown[name].astype(float).to_numpy() for name in ("rank", "rank_low", "rank_high"))
    error = np.nan_to_num(np.vstack([rank - low, high - rank]))
    ax.errorbar(
        rank,
        y,
        xerr=np.maximum(error, 0),
        fmt="o",
        ms=4.5,
        color=theme.ACCENT,
        ecolor=theme.MUTED,
        elinewidth=1.4,
        capsize=2.5,
    )
    names = [spec.unit_label(u, lv) for u, lv in zip(shown["unit"], shown["level"], strict=True)]
    ax.set_yticks(y, [shortened(name) for name in names])
    ax.set_xlim(0, len(ranked) + 1)
    ax.invert_yaxis()
    ax.grid(axis="y", visible=False)
    ranged = bool(np.isfinite(low).any())
    ax.set_xlabel(say(spec.language, "ranks_axis" if ranged else "ranks_axis_described"))
    label = spec.code_label(str(table["code"].iloc[0])) if len(table) else ""
    key = "figure_ranks_described" if not ranged else "figure_ranks" if cut else "figure_ranks_all"
    first = int((ranked["rank_low"].astype(float) == 1).sum())
    title = say(spec.language, key, label=label, period=period_label(result), most=most, first=first)
    caption(ax, title, int(table["rank"].isna().sum()), spec.language)
    return ax
