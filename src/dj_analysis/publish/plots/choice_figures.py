"""Figures of multiple choices and rankings."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from .. import theme
from ..wording import say
from .common import MOST_ROWS, Drawable, caption, in_two_lines, new_axes, period_label, themed

if TYPE_CHECKING:
    from matplotlib.axes import Axes


@themed("dj.choices(…)", needs=("unit", "parent", "code", "share", "choice_share", "mean_place"), interval="note_range")
def plot_choices(result: Drawable, *, unit: str = "ALL", ax: Axes | None = None) -> Axes:
    """Draw what one unit chose, the commonest on top: shares of people with their interval, or mean places.

    Parameters
    ----------
    result
        Answers to a multiple choice or ranking, protected or not.
    unit
        Whose answers.
    ax
        Axes to draw on; new ones by default.

    Examples
    --------
    >>> dj.plot_choices(dj.protect(dj.choices(survey, "C3")))  # doctest: +SKIP
    """
    spec, table = result.spec, result.table[result.table["unit"] == unit]
    ranked = bool(table["mean_place"].notna().any())
    value, low, high = ("mean_place", "place_low", "place_high") if ranked else ("share", "low", "high")
    shown = table[table[value].notna()].sort_values(value, ascending=ranked, kind="stable").head(MOST_ROWS).iloc[::-1]
    ax = ax or new_axes(height=1.2 + 0.3 * max(len(shown), 3))
    y, scale = np.arange(len(shown)), 1 if ranked else 100
    values = scale * shown[value].astype(float)
    error = np.vstack([values - scale * shown[low].astype(float), scale * shown[high].astype(float) - values])
    if ranked:
        ax.errorbar(
            values, y, xerr=np.nan_to_num(error), fmt="o", ms=4.5, color=theme.ACCENT, ecolor=theme.MUTED, elinewidth=1.4,
            capsize=2.5,
        )  # fmt: skip
        ax.invert_xaxis()
    else:
        ax.barh(y, values, height=0.6, color=theme.ACCENT, xerr=np.nan_to_num(error), ecolor=theme.INK, capsize=2.5)
        ax.set_xlim(0, min(100, 1.1 * float((values + error[1]).max())) if len(shown) else 100)
    ax.set_yticks(y, [in_two_lines(spec.code_label(code)) for code in shown["code"]])
    ax.grid(axis="y", visible=False)
    ax.set_xlabel(say(spec.language, "axis_mean_place" if ranked else "axis_people"))
    question = spec.code_label(str(table["parent"].iloc[0])) if len(table) else ""
    leading = shown[shown[value] == shown[value].iloc[-1]] if len(shown) else shown
    key = "figure_choices" if len(leading) != 1 else "figure_choices_ranked" if ranked else "figure_choices_first"
    option = spec.code_label(str(leading["code"].iloc[0])) if len(leading) else ""
    title = say(spec.language, key, question=question, period=period_label(result), option=option)
    caption(ax, title, int(table[value].isna().sum()), spec.language, key="figure_hidden_options")
    return ax
