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
_ALIKE = 0.05  # points: a linked score that is printed as it was scored
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
    "plot_linked": (
        ("unit", "code", "period", "version", "score", "as_scored", "low", "high"),
        "methods.link_versions(…)",
    ),
    "plot_response": (("unit", "level", "rate"), "scores.response"),
    "plot_ranks": (("unit", "level", "code", "rank", "rank_low", "rank_high"), "dj.rank(…)"),
    "plot_clusters": (("unit", "level", "x", "y", "cluster", "code"), "groups.part('map')"),
    "plot_profiles": (("cluster", "code", "deviation", "low", "high"), "groups.part('profiles')"),
    "plot_stability": (("k", "jaccard", "holds"), "groups.part('stability')"),
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
def plot_linked(result: Drawable, *, unit: str = "ALL", ax: Axes | None = None) -> Axes:
    """Draw one unit's linked scores over the months with their interval, and the whole beside it.

    Changes of the indicators are marked; the grey dashed line is what the version in force in each month gave.

    Parameters
    ----------
    result
        What :func:`dj_analysis.methods.link_versions` returned, protected or not.
    unit
        Its code; the whole by default.

    Examples
    --------
    >>> axes = dj.plot_linked(dj.protect(linked, plan), unit="B01")  # doctest: +SKIP
    """
    spec, table = result.spec, result.table
    own, whole = (table[table["unit"] == name] for name in (unit, "ALL"))
    order = list(dict.fromkeys(own["period"]))
    ax = ax or _new_axes(height=3.1)
    x = np.arange(len(order))
    score, low, high, then = (own[name].astype(float).to_numpy() for name in ("score", "low", "high", "as_scored"))
    ax.fill_between(x, low, high, color=theme.ACCENT, alpha=0.18, lw=0)
    for start, stop in _runs(own["version"].tolist()):
        part = slice(start, stop)
        apart = np.abs(then[part] - score[part]) > _ALIKE
        if apart.any() or np.isnan(score[part]).any():
            ax.plot(x[part], then[part], "--", color=theme.MUTED, lw=1.2)
        if start:
            ax.axvline(start - 0.5, color=theme.INK, lw=1, ls=":")
            ax.annotate(
                say(spec.language, "version_from", period=order[start]), (start - 0.5, 1), xycoords=("data", "axes fraction"),
                xytext=(3, -2), textcoords="offset points", fontsize=7.5, va="top",
            )  # fmt: skip
    if unit != "ALL" and len(whole):
        level = whole.set_index("period")["score"].reindex(order).astype(float).to_numpy()
        ax.plot(x, level, "-", color=theme.INK, lw=1.1, label=_short(spec.unit_label("ALL")))
    ax.plot(x, score, "-o", color=theme.ACCENT, ms=4, lw=1.6, label=_short(spec.unit_label(unit)))
    if unit != "ALL" and len(whole):
        ax.legend(fontsize=8, loc="best", frameon=False)
    ax.set_xticks(x, [_month(period, place, order) for place, period in enumerate(order)], fontsize=8)
    ax.grid(axis="x", visible=False)
    ax.margins(y=0.16)
    ax.set_ylabel(say(spec.language, "points"))
    ax.set_xlabel(say(spec.language, "linked_axis"), fontsize=8)
    label = spec.code_label(str(own["code"].iloc[0])) if len(own) else ""
    title = say(spec.language, "figure_linked", label=label, unit=spec.unit_label(unit))
    _caption(ax, title, int((np.isnan(score) & np.isnan(then)).sum()), spec.language, "figure_hidden_months")
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


@_themed
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
    ax = ax or _new_axes(height=1.3 + 0.2 * max(len(shown), 3))
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
    ax.set_yticks(y, [_short(name) for name in names])
    ax.set_xlim(0, len(ranked) + 1)
    ax.invert_yaxis()
    ax.grid(axis="y", visible=False)
    ax.set_xlabel(say(spec.language, "ranks_axis"))
    label = spec.code_label(str(table["code"].iloc[0])) if len(table) else ""
    key = "figure_ranks" if cut else "figure_ranks_all"
    title = say(spec.language, key, label=label, period=_period(result), most=most)
    _caption(ax, title, int(table["rank"].isna().sum()), spec.language)
    return ax


@_themed
def plot_clusters(result: Drawable, *, ax: Axes | None = None) -> Axes:
    """Draw units on the first two principal components of their profiles, with the indicators that turn them most.

    Clusters have colours and hulls where they are stable; else every unit is grey.

    Parameters
    ----------
    result
        Part ``map`` of what :func:`dj_analysis.cluster` returned, protected or not.

    Examples
    --------
    >>> axes = dj.plot_clusters(safe_groups.part("map"))  # doctest: +SKIP
    """
    from scipy.spatial import ConvexHull, QhullError

    spec, table = result.spec, result.table
    units, arrows = table[table["unit"] != ""], table[table["code"] != ""]
    ax = ax or _new_axes(height=4.6)
    x, y = units["x"].astype(float).to_numpy(), units["y"].astype(float).to_numpy()
    numbers = units["cluster"].astype(float).to_numpy()
    stable = bool(np.isfinite(numbers).any())
    for number in np.unique(numbers[np.isfinite(numbers)]):
        inside = numbers == number
        colour = theme.SERIES[(int(number) - 1) % len(theme.SERIES)]
        name = say(spec.language, "cluster_name", number=int(number))
        ax.scatter(x[inside], y[inside], s=14, color=colour, label=name, zorder=3)
        try:
            corners = ConvexHull(np.column_stack([x[inside], y[inside]])).vertices
            ax.fill(x[inside][corners], y[inside][corners], color=colour, alpha=0.10, lw=0)
        except (QhullError, ValueError):
            continue  # fewer than three units, or all on one line
    if not stable:
        ax.scatter(x, y, s=14, color=theme.MUTED, zorder=3)
    reach = np.abs(np.concatenate([x, y])).max(initial=1.0)
    for row in arrows.itertuples():
        end = (0.8 * reach * row.x, 0.8 * reach * row.y)
        ax.annotate("", end, (0, 0), arrowprops={"arrowstyle": "->", "color": theme.INK, "lw": 0.9}, zorder=4)
        ax.annotate(
            _short(spec.code_label(row.code), 20), end, fontsize=7, ha="center", va="bottom", color=theme.INK, zorder=5
        )
    for set_label, number, name in ((ax.set_xlabel, 1, "share_x"), (ax.set_ylabel, 2, "share_y")):
        share = float(units[name].iloc[0]) if len(units) else 0.0
        set_label(say(spec.language, "axis_component", number=number, share=f"{100 * share:.0f}%"))
    if stable:
        ax.legend(loc="best", fontsize=8, frameon=False)
    key = "figure_clusters" if stable else "figure_no_clusters"
    _caption(ax, say(spec.language, key, period=_period(result)), 0, spec.language)
    return ax


@_themed
def plot_profiles(result: Drawable, *, ax: Axes | None = None) -> Axes:
    """Draw clusters × indicators: how far each cluster lies from the mean of all units; hatched where it cannot be told.

    Parameters
    ----------
    result
        Part ``profiles`` of what :func:`dj_analysis.cluster` returned, protected or not.

    Examples
    --------
    >>> axes = dj.plot_profiles(safe_groups.part("profiles"))  # doctest: +SKIP
    """
    import seaborn as sns

    spec, table = result.spec, result.table
    wide, low, high = (
        table.pivot(index="code", columns="cluster", values=v).astype(float) for v in ("deviation", "low", "high")
    )
    codes = [code for code in dict.fromkeys(table["code"]) if code in wide.index]
    wide, low, high = (one.reindex(codes) for one in (wide, low, high))
    ax = ax or _new_axes(height=1.4 + 0.26 * max(len(codes), 3))
    reach = float(np.nanmax(np.abs(wide.to_numpy()), initial=1.0))
    sns.heatmap(
        wide, ax=ax, cmap=theme.DIVERGING, vmin=-reach, vmax=reach, annot=True, fmt="+.1f", annot_kws={"size": 8}, linewidths=0.6,
        linecolor="white", cbar_kws={"shrink": 0.6, "pad": 0.01},
    )  # fmt: skip
    for row, column in zip(*np.nonzero(((low <= 0) & (high >= 0)).to_numpy()), strict=True):
        ax.add_patch(_hatched(column, row, filled=False))
    columns = [say(spec.language, "cluster_name", number=int(number)) for number in wide.columns]
    ax.set_xticks(np.arange(len(columns)) + 0.5, columns, rotation=0)
    ax.set_yticks(np.arange(len(codes)) + 0.5, [_short(spec.code_label(code), 30) for code in codes], rotation=0)
    ax.set_xlabel("")
    ax.set_ylabel("")
    ax.grid(visible=False)
    _caption(ax, say(spec.language, "figure_profiles", period=_period(result)), 0, spec.language)
    return ax


@_themed
def plot_stability(result: Drawable, *, ax: Axes | None = None) -> Axes:
    """Draw the stability of the least stable cluster for every number of clusters tried.

    Parameters
    ----------
    result
        Part ``stability`` of what :func:`dj_analysis.cluster` returned, protected or not.

    Examples
    --------
    >>> axes = dj.plot_stability(safe_groups.part("stability"))  # doctest: +SKIP
    """
    spec, table = result.spec, result.table
    ax = ax or _new_axes(height=2.6)
    k, jaccard = table["k"].astype(int).to_numpy(), table["jaccard"].astype(float).to_numpy()
    ax.plot(k, jaccard, "-o", color=theme.MUTED, ms=4.5, lw=1.4)
    held = table["holds"].fillna(False).astype(bool).to_numpy()
    ax.plot(k[held], jaccard[held], "o", color=theme.ACCENT, ms=7)
    ax.axhline(0.75, color=theme.INK, lw=1, ls="--")
    ax.set_xticks(k)
    ax.set_ylim(0, 1.05)
    ax.set_xlabel(say(spec.language, "axis_k"))
    ax.set_ylabel(say(spec.language, "axis_jaccard"))
    _caption(ax, say(spec.language, "figure_stability"), 0, spec.language)
    return ax


_DRAWN = (
    plot_scores,
    plot_heat,
    plot_trend,
    plot_linked,
    plot_response,
    plot_ranks,
    plot_clusters,
    plot_profiles,
    plot_stability,
)
PLOTS = {function.__name__: function for function in _DRAWN}


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


def _hatched(column: int, row: int, filled: bool = True) -> Any:
    from matplotlib.patches import Rectangle

    face = "#F4F4F4" if filled else "none"
    return Rectangle((column, row), 1, 1, facecolor=face, edgecolor=theme.HATCH, hatch="////", lw=0)


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


def _month(period: str, place: int, order: list[str]) -> str:
    """Write a month, with its year where a year begins."""
    year, _, month = period.partition("-")
    return (
        f"{month or period}\n{year}"
        if month and (place == 0 or not order[place - 1].startswith(year))
        else month or period
    )


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
