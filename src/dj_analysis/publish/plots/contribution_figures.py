"""Figures of what a change is made of."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from ...spec.columns import in_form
from ...spec.periods import parse
from ...spec.units import ALL
from .. import theme
from ..sentences import moved
from ..wording import say
from .common import Drawable, caption, in_two_lines, new_axes, themed

if TYPE_CHECKING:
    from matplotlib.axes import Axes

TOLD = 0.05  # points from which a contribution is written as 0.1 or more


@themed("methods.contributions(…)", needs=("unit", "level", "part", "code", "contribution", "before_period"))
def plot_contributions(result: Drawable, *, unit: str = ALL, ax: Axes | None = None) -> Axes:
    """Draw how the dimensions add up to the change of a unit's index, from the largest fall to the largest rise.

    Every bar begins where the one above ends; the last is the change itself, to which rounded bars add up within their rounding. What
    unanswered questions do to the weights has a bar of its own where it is 0.1 or more. Contributions have no error of their own and
    describe.

    Parameters
    ----------
    result
        What :func:`dj_analysis.methods.contributions` returned, protected or not.
    unit
        The unit drawn.

    Examples
    --------
    >>> axes = dj.plot_contributions(dj.methods.contributions(scores, before))
    >>> [label.get_text() for label in axes.get_yticklabels()]
    ['支持', '负荷', '指数变化']
    """
    spec, language = result.spec, result.spec.language
    table = result.table[(result.table["unit"] == unit) & result.table["contribution"].notna()]
    parts = table[table["part"] == "dimension"].sort_values(
        "contribution", kind="stable", key=lambda told: told.round(9)
    )
    left = float(table.loc[table["part"] == "left_of_dimensions", "contribution"].sum())
    names = [in_two_lines(spec.code_label(str(code))) for code in parts["code"]]
    sizes = parts["contribution"].astype(float).tolist()
    if abs(left) >= TOLD:
        names, sizes = [*names, say(language, "contributions_left")], [*sizes, left]
    whole = table.loc[table["part"] == "index", "contribution"].astype(float)
    total = float(whole.iloc[0]) if len(whole) else 0.0
    ends = np.cumsum(sizes)
    starts, widths = np.append(ends - sizes, 0.0), np.append(sizes, total)
    ax = ax or new_axes(height=1.4 + 0.3 * max(len(widths), 3))
    y = np.arange(len(widths))
    for place, start, width in zip(y, starts, widths, strict=True):
        # Falls are hatched, so that they are told apart in black and white; no colour of a warning.
        fall, last = width < 0, place == len(widths) - 1
        colour = theme.INK if last else theme.MUTED if fall else theme.ACCENT
        ax.barh(
            place, width, left=start, height=0.6, color=colour, hatch="////" if fall else "", edgecolor="white", lw=0
        )
        end = max(start, start + width)
        words = in_form(width, "signed") if abs(width) >= TOLD else in_form(0, "number")
        ax.annotate(words, (end, place), xytext=(3, 0), textcoords="offset points", va="center", fontsize=8)
    for place, end in zip(y, ends, strict=False):  # the last bar begins anew
        ax.plot([end, end], [place, place + 1], color=theme.MUTED, lw=0.8)
    ax.axvline(0, color=theme.INK, lw=0.8)
    ax.set_yticks(y, [*names, say(language, "contributions_total")])
    ax.invert_yaxis()
    least, most = min(0.0, *starts, *ends, total), max(0.0, *starts, *ends, total)
    room = max(most - least, 0.5)
    ax.set_xlim(least - 0.08 * room, most + 0.22 * room)
    ax.grid(axis="y", visible=False)
    ax.set_xlabel(say(language, "contributions_axis"))
    caption(ax, _finding(result, unit, parts, total), int(table.empty), language)
    return ax


def _finding(result: Drawable, unit: str, parts: pd.DataFrame, total: float) -> str:
    """Return what the figure finds: the change, and what lowered or raised the index most."""
    spec, language = result.spec, result.spec.language
    level = str(result.table.loc[result.table["unit"] == unit, "level"].iloc[0]) if len(parts) else ""
    before = str(result.table["before_period"].iloc[0]) if len(parts) else ""
    against = parse(before).label(language) if before else ""
    told = {"name": spec.unit_label(unit, level), "moved": moved(total, language, against)}
    sizes = parts["contribution"].astype(float)
    if sizes.empty or sizes.abs().max() < TOLD:
        return say(language, "figure_contributions_even", **told)
    down = abs(sizes.min()) >= sizes.max()
    row = parts.iloc[0] if down else parts.iloc[-1]
    told |= {"first": spec.code_label(str(row["code"])), "points": in_form(abs(row["contribution"]), "number")}
    return say(language, "figure_contributions_down" if down else "figure_contributions_up", **told)
