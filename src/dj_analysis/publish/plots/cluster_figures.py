"""Figures of clusters of units: where they lie, what sets them apart, how stable they are."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from .. import theme
from ..wording import say
from .common import Drawable, caption, hatched, new_axes, period_label, shortened, themed

if TYPE_CHECKING:
    from matplotlib.axes import Axes


@themed("groups.part('map')", needs=("unit", "level", "x", "y", "cluster", "code"))
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
    ax = ax or new_axes(height=4.6)
    x, y = units["x"].astype(float).to_numpy(), units["y"].astype(float).to_numpy()
    numbers = units["cluster"].astype(float).to_numpy()
    stable = bool(np.isfinite(numbers).any())
    for number in np.unique(numbers[np.isfinite(numbers)]):
        inside = numbers == number
        colour = theme.SERIES[(int(number) - 1) % len(theme.SERIES)]
        name = say(spec.language, "cluster_name", number=int(number))
        marker = theme.MARKERS[(int(number) - 1) % len(theme.MARKERS)]
        ax.scatter(x[inside], y[inside], s=16, color=colour, marker=marker, label=name, zorder=3)
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
            shortened(spec.code_label(row.code), 20),
            end,
            fontsize=7,
            ha="center",
            va="bottom",
            color=theme.INK,
            zorder=5,
        )
    for set_label, number, name in ((ax.set_xlabel, 1, "share_x"), (ax.set_ylabel, 2, "share_y")):
        share = float(units[name].iloc[0]) if len(units) else 0.0
        set_label(say(spec.language, "axis_component", number=number, share=f"{100 * share:.0f}%"))
    if stable:
        ax.legend(loc="best", fontsize=8, frameon=False)
    key = "figure_clusters" if stable else "figure_no_clusters"
    count = len(np.unique(numbers[np.isfinite(numbers)]))
    caption(ax, say(spec.language, key, period=period_label(result), count=count), 0, spec.language)
    return ax


@themed("groups.part('profiles')", needs=("cluster", "code", "deviation", "low", "high"), interval="note_range")
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
    ax = ax or new_axes(height=1.4 + 0.26 * max(len(codes), 3))
    reach = float(np.nanmax(np.abs(wide.to_numpy()), initial=1.0))
    sns.heatmap(
        wide, ax=ax, cmap=theme.DIVERGING, vmin=-reach, vmax=reach, annot=True, fmt="+.1f", annot_kws={"size": 8}, linewidths=0.6,
        linecolor="white", cbar_kws={"shrink": 0.6, "pad": 0.01},
    )  # fmt: skip
    for row, column in zip(*np.nonzero(((low <= 0) & (high >= 0)).to_numpy()), strict=True):
        ax.add_patch(hatched(column, row, filled=False))
    columns = [say(spec.language, "cluster_name", number=int(number)) for number in wide.columns]
    ax.set_xticks(np.arange(len(columns)) + 0.5, columns, rotation=0)
    ax.set_yticks(np.arange(len(codes)) + 0.5, [shortened(spec.code_label(code), 30) for code in codes], rotation=0)
    ax.set_xlabel("")
    ax.set_ylabel("")
    ax.grid(visible=False)
    caption(ax, say(spec.language, "figure_profiles", period=period_label(result)), 0, spec.language)
    return ax


@themed("groups.part('stability')", needs=("k", "jaccard", "holds"))
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
    ax = ax or new_axes(height=2.6)
    k, jaccard = table["k"].astype(int).to_numpy(), table["jaccard"].astype(float).to_numpy()
    ax.plot(k, jaccard, "-o", color=theme.MUTED, ms=4.5, lw=1.4)
    held = table["holds"].fillna(False).astype(bool).to_numpy()
    ax.plot(k[held], jaccard[held], "D", color=theme.ACCENT, ms=7)
    ax.axhline(0.75, color=theme.INK, lw=1, ls="--")
    ax.set_xticks(k)
    ax.set_ylim(0, 1.05)
    ax.set_xlabel(say(spec.language, "axis_k"))
    ax.set_ylabel(say(spec.language, "axis_jaccard"))
    named = ("、" if spec.language == "zh" else ", ").join(str(number) for number in k[held])
    caption(ax, say(spec.language, "figure_stability" if named else "figure_not_stable", k=named), 0, spec.language)
    return ax
