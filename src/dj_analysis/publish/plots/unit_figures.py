"""Figures of units beside each other: scores, dimensions, participation."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from ...spec.columns import in_form
from .. import theme
from ..wording import say
from .common import (
    MOST_ROWS,
    Drawable,
    caption,
    first_level,
    hatched,
    new_axes,
    period_label,
    rows_of_code,
    shortened,
    themed,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes


@themed("dj.score(…)", needs=("unit", "level", "code", "form", "score", "low", "high"), interval="note_range")
def plot_scores(result: Drawable, *, level: str | None = None, code: str | None = None, ax: Axes | None = None) -> Axes:
    """Draw units with their interval, best on top; hidden units are listed beneath without a point.

    Parameters
    ----------
    result
        Scores, protected or not.
    level
        Level of the units drawn; by default the first below the root.
    code
        Index, dimension or item; the index by default.
    ax
        Axes to draw on; new ones by default.

    Examples
    --------
    >>> axes = dj.plot_scores(safe, level="branch")
    >>> [label.get_text() for label in axes.get_yticklabels()]
    ['一支部']
    """
    spec = result.spec
    code = code or spec.codebook.index or result.table["code"].iloc[0]
    level = level or first_level(result)
    table = rows_of_code(result, code)
    overall = table[table["unit"] == "ALL"]
    table = table[(table["level"] == level) & (table["unit"] != "ALL")]
    shown = table[table["score"].notna()].sort_values("score", kind="stable").tail(MOST_ROWS)
    ax = ax or new_axes(height=1.2 + 0.24 * max(len(shown), 3))
    y = np.arange(len(shown))
    error = np.vstack([shown["score"] - shown["low"], shown["high"] - shown["score"]]).astype(float)
    ax.errorbar(
        shown["score"].astype(float), y, xerr=np.nan_to_num(error), fmt="o", ms=4.5, color=theme.ACCENT, ecolor=theme.MUTED,
        elinewidth=1.4, capsize=2.5,
    )  # fmt: skip
    ax.set_yticks(y, [shortened(spec.unit_label(unit, level)) for unit in shown["unit"]])
    ax.grid(axis="y", visible=False)
    if len(overall) and overall["score"].notna().any():
        mean = float(overall["score"].iloc[0])
        ax.axvline(mean, color=theme.INK, lw=1, ls="--")
        ax.annotate(
            f"{spec.unit_label('ALL')} {mean:.1f}", (mean, 1), xycoords=("data", "axes fraction"), xytext=(3, 2),
            textcoords="offset points", fontsize=8,
        )  # fmt: skip
    _score_axis(ax, shown, spec.language)
    hidden = int(table["score"].isna().sum())
    ends = _ends(shown["score"])
    title = say(
        spec.language, _finding(ends, "figure_one_score", "figure_equal_scores", "figure_scores", units=len(shown)),
        label=spec.code_label(code), period=period_label(result), level=spec.level_label(level), **ends,
    )  # fmt: skip
    caption(ax, title, hidden, spec.language)
    return ax


@themed("dj.score(…)", needs=("unit", "level", "code", "form", "score"))
def plot_heat(result: Drawable, *, level: str | None = None, ax: Axes | None = None) -> Axes:
    """Draw units × dimensions on an absolute colour scale; hidden cells are hatched.

    Parameters
    ----------
    level
        Level of the units drawn; by default the first below the root.

    Examples
    --------
    >>> axes = dj.plot_heat(safe)
    >>> [label.get_text() for label in axes.get_xticklabels()]
    ['负荷', '支持']
    """
    import seaborn as sns

    spec = result.spec
    level = level or first_level(result)
    codes = [node.code for node in spec.codebook.dimensions]
    form = "anchors" if (result.table["form"] == "anchors").any() else "full"
    table = result.table[(result.table["form"] == form) & result.table["code"].isin(codes)]
    root = table[table["unit"] == "ALL"]
    table = pd.concat([root, table[(table["level"] == level) & (table["unit"] != "ALL")]])
    units = list(table["unit"].unique())[: MOST_ROWS + 1]
    there = set(table["code"].unique())
    codes = [code for code in codes if code in there]
    wide = table.pivot(index="unit", columns="code", values="score").reindex(index=units, columns=codes).astype(float)
    ax = ax or new_axes(height=1.4 + 0.26 * len(units))
    sns.heatmap(
        wide, ax=ax, cmap=theme.HEAT, vmin=theme.HEAT_RANGE[0], vmax=theme.HEAT_RANGE[1], annot=True, fmt=".0f",
        annot_kws={"size": 8}, linewidths=0.6, linecolor="white", cbar_kws={"shrink": 0.6, "pad": 0.01},
    )  # fmt: skip
    ax.set_facecolor("white")
    for row, column in zip(*np.nonzero(wide.isna().to_numpy()), strict=True):
        ax.add_patch(hatched(column, row))
    ax.set_xticks(
        np.arange(len(codes)) + 0.5,
        [_wrapped(spec.code_label(code), spec.language) for code in codes],
        rotation=0,
        fontsize=7,
    )
    ax.set_yticks(np.arange(len(units)) + 0.5, [shortened(spec.unit_label(unit, level)) for unit in units], rotation=0)
    ax.set_xlabel("")
    ax.set_ylabel("")
    ax.grid(visible=False)
    hidden = int(wide.isna().all(axis=1).sum())
    known = pd.Series(wide.to_numpy().ravel()).dropna()
    title = say(
        spec.language, "figure_heat", period=period_label(result), level=spec.level_label(level), **_ends(known)
    )
    caption(ax, title, hidden, spec.language, "figure_hatched")
    return ax


@themed("scores.response", needs=("unit", "level", "rate"))
def plot_response(result: Drawable, *, level: str | None = None, ax: Axes | None = None) -> Axes:
    """Draw participation by unit with the mark below which no warning is judged.

    Parameters
    ----------
    result
        A participation table (``scores.response``), protected or not.

    Examples
    --------
    >>> from dataclasses import replace
    >>> headcounts = pd.DataFrame({"unit": ["B1", "B2"], "period": "2026Q3", "group": "", "category": "", "headcount": [80, 40]})
    >>> axes = dj.plot_response(dj.score(replace(survey, spec=replace(survey.spec, headcounts=headcounts)), by="branch").response)
    >>> [label.get_text() for label in axes.get_yticklabels()]
    ['一支部', '二支部']
    """
    spec = result.spec
    level = level or first_level(result)
    table = result.table[(result.table["level"] == level) & (result.table["unit"] != "ALL")]
    shown = table[table["rate"].notna()].sort_values("rate", kind="stable").tail(MOST_ROWS)
    ax = ax or new_axes(height=1.2 + 0.24 * max(len(shown), 3))
    y, rate = np.arange(len(shown)), 100 * shown["rate"].astype(float).to_numpy()
    minimum = 100 * spec.rules.response.minimum
    # Grey and hatched, not in a colour of the warnings: a low participation is no warning.
    for low, colour, hatch in ((rate < minimum, theme.MUTED, "////"), (rate >= minimum, theme.ACCENT, "")):
        ax.barh(y[low], rate[low], color=colour, hatch=hatch, edgecolor="white", lw=0, height=0.66)
    for i, value in enumerate(rate):
        ax.annotate(f"{value:.0f}%", (value, y[i]), xytext=(3, 0), textcoords="offset points", va="center", fontsize=8)
    ax.axvline(minimum, color=theme.INK, lw=1, ls="--")
    ax.set_yticks(y, [shortened(spec.unit_label(unit, level)) for unit in shown["unit"]])
    ax.set_xlim(0, 105)
    ax.grid(axis="y", visible=False)
    ax.set_xlabel(say(spec.language, "percent"))
    ends, low = _ends(shown["rate"], "percent"), int((rate < minimum).sum())
    enough = "figure_response" if low else "figure_enough_response"
    title = say(
        spec.language, _finding(ends, "figure_one_response", "figure_equal_response", enough, units=len(shown)),
        period=period_label(result), level=spec.level_label(level), least=f"{minimum:.0f}%", count=low, **ends,
    )  # fmt: skip
    caption(ax, title, int(table["rate"].isna().sum()), spec.language)
    return ax


def _finding(ends: dict[str, str], one: str, equal: str, apart: str, *, units: int) -> str:
    """Return what a title says of units: there is one, all have the same value, or they lie between two values."""
    if units < 2:
        return one
    return equal if ends["low"] == ends["high"] else apart


def _ends(values: pd.Series, form: str = "number") -> dict[str, str]:
    """Return the smallest and largest value as they are written."""
    return {"low": in_form(values.min(), form), "high": in_form(values.max(), form)}


def _score_axis(ax: Axes, shown: pd.DataFrame, language: str) -> None:
    known = shown[["low", "high", "score"]].astype(float).to_numpy().ravel()
    known = known[~np.isnan(known)]
    if len(known):
        ax.set_xlim(max(0, known.min() - 2), min(100, known.max() + 2))
    ax.set_xlabel(say(language, "points_with_range"))


def _wrapped(label: str, language: str) -> str:
    if language == "en":
        return label.replace(" ", "\n", 1)
    lines = -(-len(label) // 4)
    step = -(-len(label) // lines)
    return "\n".join(label[i : i + step] for i in range(0, len(label), step))
