"""Figures of warnings: which units had one, wave by wave."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from ...spec.columns import value_word
from ...spec.periods import parse
from .. import theme
from ..wording import say
from .common import Drawable, caption, hatched, new_axes, period_label, shortened, themed

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MOST_WAVES, MOST_UNITS = 8, 24  # half a page: a figure as high as a page leaves the one before it empty


@themed("alerts.after(ws.alerts(before=…))", needs=("period", "unit", "level", "warning"))
def plot_warnings(result: Drawable, *, level: str | None = None, ax: Axes | None = None) -> Axes:
    """Draw units × waves in the colours of their warnings, each named by its first letter; not judged is hatched.

    Only units with a warning in one of the waves are drawn, at most twenty-four (those with a warning now, then those with most),
    the last eight waves.

    Parameters
    ----------
    result
        Warnings of one wave or several (:meth:`dj_analysis.judge.alerts.Alerts.after`), protected or not.
    level
        Level of the units drawn; by default all below the root.

    Examples
    --------
    >>> axes = dj.plot_warnings(dj.alerts(scores), level="branch")
    >>> [label.get_text() for label in axes.get_yticklabels()]
    ['一支部']
    """
    spec, table = result.spec, result.table
    units = spec.units.at(result.period)
    wanted = [level] if level else [name for name in units.levels if name != units.root.level]
    table = table[table["level"].isin(wanted) & (table["unit"] != "ALL")]
    waves = sorted(table["period"].unique(), key=lambda wave: parse(wave).index)[-MOST_WAVES:]
    table = table[table["period"].isin(waves)]
    given = table[table["warning"].fillna("") != ""]
    warned = given["unit"].unique()
    last = given.loc[given["period"] == waves[-1], "unit"] if waves else given["unit"]
    weight = given["unit"].value_counts() + len(waves) * last.value_counts().reindex(warned, fill_value=0)
    drawn = set(weight.sort_values(ascending=False, kind="stable").index[:MOST_UNITS])
    rows = [unit for unit in dict.fromkeys(table["unit"]) if unit in drawn]
    ax = ax or new_axes(height=0.9 + 0.15 * max(len(rows), 3))
    wide = table.pivot_table(index="unit", columns="period", values="warning", aggfunc="first", dropna=False)
    silent = table[table["rule"].fillna("") == "response"].set_index(["unit", "period"]).index
    levels = dict(zip(table["unit"], table["level"], strict=True))
    for y, unit in enumerate(rows):
        for x, wave in enumerate(waves):
            grade = wide.at[unit, wave] if unit in wide.index and wave in wide.columns else None
            _draw_cell(ax, x, y, "" if pd.isna(grade) else str(grade), (unit, wave) in silent, spec.language)
    ax.set_xlim(0, max(len(waves), 1))
    ax.set_ylim(max(len(rows), 1), 0)
    ax.set_xticks(np.arange(len(waves)) + 0.5, [_wave_label(wave, spec.language) for wave in waves], fontsize=8)
    ax.set_yticks(
        np.arange(len(rows)) + 0.5, [shortened(spec.unit_label(unit, levels[unit])) for unit in rows], fontsize=7.5
    )
    ax.grid(visible=False)
    ax.spines[["left", "bottom"]].set_visible(False)
    ax.tick_params(length=0)
    title = say(spec.language, "figure_warnings", period=period_label(result), count=len(warned))
    caption(ax, title, len(warned) - len(rows), spec.language, "figure_more_units")
    return ax


def _draw_cell(ax: Axes, x: int, y: int, grade: str, silent: bool, language: str) -> None:
    from matplotlib.patches import Rectangle

    if silent:
        ax.add_patch(hatched(x, y))
    elif not grade:
        ax.add_patch(Rectangle((x, y), 1, 1, facecolor="#F4F4F4", edgecolor="white", lw=1.5))
    else:
        colour = theme.LEVEL_COLOURS[grade]
        ax.add_patch(Rectangle((x, y), 1, 1, facecolor=colour, edgecolor="white", lw=1.5))
        letter = value_word("warning", grade, language)[0]
        ax.text(x + 0.5, y + 0.5, letter, ha="center", va="center", fontsize=7, color="white")


def _wave_label(wave: str, language: str) -> str:
    period = parse(wave)
    return period.text if language == "en" or period.cycle != "quarter" else f"{period.year}年\n{period.number}季度"
