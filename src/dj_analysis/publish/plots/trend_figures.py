"""Figures of one unit over the waves."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

import numpy as np

from .. import theme
from ..wording import say
from .common import Drawable, caption, new_axes, rows_of_code, themed

if TYPE_CHECKING:
    from matplotlib.axes import Axes


@themed("dj.trend(…)", needs=("unit", "code", "form", "period", "version", "score", "low", "high"))
def plot_trend(result: Drawable, *, unit: str = "ALL", code: str | None = None, ax: Axes | None = None) -> Axes:
    """Draw one unit's score over the waves with its interval; the line breaks where the questions changed.

    Parameters
    ----------
    result
        What :func:`dj_analysis.trend` returned, protected or not.

    Examples
    --------
    >>> axes = dj.plot_trend(dj.trend([before, scores]))
    >>> len(axes.get_xticks())
    2
    """
    spec = result.spec
    code = code or spec.codebook.index or result.table["code"].iloc[0]
    table = rows_of_code(result, code)
    table = table[table["unit"] == unit]
    order = list(dict.fromkeys(table["period"]))
    ax = ax or new_axes(height=2.9)
    x = np.arange(len(order))
    mean, low, high = (table[name].astype(float).to_numpy() for name in ("score", "low", "high"))
    for start, stop in _runs(table["version"].tolist()):
        part = slice(start, stop)
        ax.fill_between(x[part], low[part], high[part], color=theme.ACCENT, alpha=0.18, lw=0)
        ax.plot(x[part], mean[part], "-o", color=theme.ACCENT, ms=4.5, lw=1.6)
    for i in np.flatnonzero(~np.isnan(mean)):
        ax.annotate(
            f"{mean[i]:.1f}", (x[i], mean[i]), xytext=(0, 7), textcoords="offset points", ha="center", fontsize=8
        )
    ax.set_xticks(x, [_short_period(period, spec.language) for period in order])
    ax.grid(axis="x", visible=False)
    known = np.concatenate([low, high, mean])
    known = known[~np.isnan(known)]
    if len(known):
        ax.set_ylim(max(0, known.min() - 4), min(100, known.max() + 5))
    ax.set_ylabel(say(spec.language, "points"))
    title = say(spec.language, "figure_trend", label=spec.code_label(code), unit=spec.unit_label(unit))
    caption(ax, title, int(np.isnan(mean).sum()), spec.language, "figure_hidden_waves")
    return ax


def _runs(versions: list[Any]) -> list[tuple[int, int]]:
    cuts = [0, *(i for i in range(1, len(versions)) if versions[i] != versions[i - 1]), len(versions)]
    return list(itertools.pairwise(cuts))


def _short_period(period: str, language: str) -> str:
    return period if language == "en" else period.replace("Q", "年\n") + ("季" if "Q" in period else "")
