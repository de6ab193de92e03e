"""One function per figure; each draws the table it is given."""

from __future__ import annotations

import functools
import itertools
import textwrap
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, ParamSpec

import numpy as np
import pandas as pd

from ..errors import UsageError, unknown
from ..release.protect import Protected
from ..result import Result
from ..spec.periods import parse
from . import theme
from .wording import say

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Drawable = Result | Protected
MOST_ROWS = 40  # more than this on one page cannot be read

P = ParamSpec("P")


def _themed(plot: Callable[P, Axes]) -> Callable[P, Axes]:
    """Draw in the package's theme, whether a notebook or a report asks."""

    @functools.wraps(plot)
    def drawn(*args: P.args, **options: P.kwargs) -> Axes:
        result: Any = args[0] if args else options.get("result")
        _check_drawable(plot.__name__, result, options)
        with theme.drawing(result.spec.fonts):
            return plot(*args, **options)

    return drawn


#: Columns without which a plot has nothing to draw, and what makes a result that has them.
_NEEDED = {
    "plot_scores": (("unit", "level", "code", "form", "score", "low", "high"), "dj.score(…)"),
    "plot_heat": (("unit", "level", "code", "form", "score"), "dj.score(…)"),
    "plot_trend": (("unit", "code", "form", "period", "version", "score", "low", "high"), "dj.trend(…)"),
    "plot_response": (("unit", "level", "rate"), "scores.response"),
}


def _check_drawable(plot: str, result: Any, options: dict[str, Any]) -> None:
    """Refuse what the plot cannot draw, and levels, codes and units that the result does not have."""
    needed, made_by = _NEEDED[plot]
    table = getattr(result, "table", pd.DataFrame())
    if any(name not in table.columns for name in needed):
        given = "、".join(map(str, table.columns[:12])) or type(result).__name__
        raise UsageError(f"{plot}: 需要 {made_by} 的结果,不是 {given} (it draws the result of {made_by})")
    for name in ("level", "code", "unit"):
        value = options.get(name)
        known = [str(one) for one in pd.unique(table[name])] if name in table.columns else []
        if value is not None and known and value not in known:
            raise unknown({"level": "层级/level", "code": "代码/code", "unit": "单位/unit"}[name], str(value), known)


@_themed
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
    level = level or _first_level(result)
    table = _rows(result, code)
    overall = table[table["unit"] == "ALL"]
    table = table[(table["level"] == level) & (table["unit"] != "ALL")]
    shown = table[table["score"].notna()].sort_values("score", kind="stable").tail(MOST_ROWS)
    ax = ax or _new_axes(height=1.2 + 0.24 * max(len(shown), 3))
    y = np.arange(len(shown))
    error = np.vstack([shown["score"] - shown["low"], shown["high"] - shown["score"]]).astype(float)
    ax.errorbar(
        shown["score"].astype(float), y, xerr=np.nan_to_num(error), fmt="o", ms=4.5, color=theme.ACCENT, ecolor=theme.MUTED,
        elinewidth=1.4, capsize=2.5,
    )  # fmt: skip
    ax.set_yticks(y, [_short(spec.unit_label(unit, level)) for unit in shown["unit"]])
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
    _caption(
        ax,
        say(spec.language, "figure_scores", label=spec.code_label(code), period=_period(result)),
        hidden,
        spec.language,
    )
    return ax


@_themed
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
    level = level or _first_level(result)
    codes = [node.code for node in spec.codebook.dimensions]
    form = "anchors" if "anchors" in set(result.table["form"]) else "full"
    table = result.table[(result.table["form"] == form) & result.table["code"].isin(codes)]
    root = table[table["unit"] == "ALL"]
    table = pd.concat([root, table[(table["level"] == level) & (table["unit"] != "ALL")]])
    units = list(dict.fromkeys(table["unit"]))[: MOST_ROWS + 1]
    codes = [code for code in codes if code in set(table["code"])]
    wide = table.pivot(index="unit", columns="code", values="score").reindex(index=units, columns=codes).astype(float)
    ax = ax or _new_axes(height=1.4 + 0.26 * len(units))
    sns.heatmap(
        wide, ax=ax, cmap=theme.HEAT, vmin=theme.HEAT_RANGE[0], vmax=theme.HEAT_RANGE[1], annot=True, fmt=".0f",
        annot_kws={"size": 8}, linewidths=0.6, linecolor="white", cbar_kws={"shrink": 0.6, "pad": 0.01},
    )  # fmt: skip
    ax.set_facecolor("white")
    for row, column in zip(*np.nonzero(wide.isna().to_numpy()), strict=True):
        ax.add_patch(_hatched(column, row))
    ax.set_xticks(
        np.arange(len(codes)) + 0.5,
        [_wrapped(spec.code_label(code), spec.language) for code in codes],
        rotation=0,
        fontsize=7,
    )
    ax.set_yticks(np.arange(len(units)) + 0.5, [_short(spec.unit_label(unit, level)) for unit in units], rotation=0)
    ax.set_xlabel("")
    ax.set_ylabel("")
    ax.grid(visible=False)
    hidden = int(wide.isna().all(axis=1).sum())
    _caption(ax, say(spec.language, "figure_heat", period=_period(result)), hidden, spec.language)
    return ax


@_themed
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
    table = _rows(result, code)
    table = table[table["unit"] == unit]
    order = list(dict.fromkeys(table["period"]))
    ax = ax or _new_axes(height=2.9)
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
    _caption(ax, title, int(np.isnan(mean).sum()), spec.language, "figure_hidden_waves")
    return ax


@_themed
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
    level = level or _first_level(result)
    table = result.table[(result.table["level"] == level) & (result.table["unit"] != "ALL")]
    shown = table[table["rate"].notna()].sort_values("rate", kind="stable").tail(MOST_ROWS)
    ax = ax or _new_axes(height=1.2 + 0.24 * max(len(shown), 3))
    y, rate = np.arange(len(shown)), 100 * shown["rate"].astype(float).to_numpy()
    minimum = 100 * spec.rules.response.minimum
    ax.barh(y, rate, color=np.where(rate < minimum, theme.LEVEL_COLOURS["orange"], theme.ACCENT), height=0.66)
    for i, value in enumerate(rate):
        ax.annotate(f"{value:.0f}%", (value, y[i]), xytext=(3, 0), textcoords="offset points", va="center", fontsize=8)
    ax.axvline(minimum, color=theme.INK, lw=1, ls="--")
    ax.set_yticks(y, [_short(spec.unit_label(unit, level)) for unit in shown["unit"]])
    ax.set_xlim(0, 105)
    ax.grid(axis="y", visible=False)
    ax.set_xlabel(say(spec.language, "percent"))
    _caption(
        ax,
        say(spec.language, "figure_response", period=_period(result)),
        int(table["rate"].isna().sum()),
        spec.language,
    )
    return ax


PLOTS = {function.__name__: function for function in (plot_scores, plot_heat, plot_trend, plot_response)}


def _first_level(result: Drawable) -> str:
    table = result.table
    below = table.loc[table["unit"] != "ALL", "level"]
    if below.empty:
        raise UsageError("没有下级单位可画 (no units below the root)")
    return str(below.iloc[0])


def _rows(result: Drawable, code: str) -> pd.DataFrame:
    table = result.table[result.table["code"] == code]
    form = "anchors" if "anchors" in set(table["form"]) else "full"
    return table[table["form"] == form]


def _new_axes(height: float) -> Any:
    import matplotlib.pyplot as plt  # so that a notebook shows it at the end of the cell

    return plt.figure(figsize=(6.3, min(height, 8.6))).add_subplot()


def _score_axis(ax: Axes, shown: pd.DataFrame, language: str) -> None:
    known = shown[["low", "high", "score"]].astype(float).to_numpy().ravel()
    known = known[~np.isnan(known)]
    if len(known):
        ax.set_xlim(max(0, known.min() - 2), min(100, known.max() + 2))
    ax.set_xlabel(say(language, "points_with_range"))


def _hatched(column: int, row: int) -> Any:
    from matplotlib.patches import Rectangle

    return Rectangle((column, row), 1, 1, facecolor="#F4F4F4", edgecolor=theme.HATCH, hatch="////", lw=0)


def _caption(ax: Axes, title: str, hidden: int, language: str, key: str = "figure_hidden") -> None:
    ax.set_title(textwrap.fill(title, 56 if language == "en" else 30), pad=14)
    if hidden:
        ax.annotate(
            say(language, key, count=hidden), (1, 0), xycoords="axes fraction", xytext=(0, -34), textcoords="offset points",
            ha="right", va="top", fontsize=8, color=theme.MUTED, annotation_clip=False,
        )  # fmt: skip


def _runs(versions: list[Any]) -> list[tuple[int, int]]:
    cuts = [0, *(i for i in range(1, len(versions)) if versions[i] != versions[i - 1]), len(versions)]
    return list(itertools.pairwise(cuts))


def _period(result: Drawable) -> str:
    return parse(result.period).label(result.spec.language) if result.period else ""


def _short_period(period: str, language: str) -> str:
    return period if language == "en" else period.replace("Q", "年\n") + ("季" if "Q" in period else "")


def _short(label: str, most: int = 26) -> str:
    """Cut a long name so that the figure keeps its room; the table beside it has the whole name."""
    width = 0
    for i, character in enumerate(label):
        width += 2 if ord(character) > 0x2E7F else 1
        if width > most:
            return label[:i] + "…"
    return label


def _wrapped(label: str, language: str) -> str:
    if language == "en":
        return label.replace(" ", "\n", 1)
    lines = -(-len(label) // 4)
    step = -(-len(label) // lines)
    return "\n".join(label[i : i + step] for i in range(0, len(label), step))
