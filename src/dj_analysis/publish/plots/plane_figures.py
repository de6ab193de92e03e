"""Figures of units by two indices at once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from ...spec.columns import value_word
from .. import theme
from ..wording import say
from .common import MOST_ROWS, Drawable, caption, new_axes, period_label, shortened, themed

if TYPE_CHECKING:
    from matplotlib.axes import Axes

NAMED = 8  # units named in the figure; the table beside it names all
_CORNERS = {"few_good": (0, 1), "many_good": (1, 1), "few_poor": (0, 0), "many_poor": (1, 0)}
_POOR = theme.SERIES[1]
_LABEL_GAP = 11.0  # points between two names, so that they do not cover each other


@themed(
    "methods.plane(…)",
    needs=(
        "unit",
        "level",
        "quantity",
        "quantity_low",
        "quantity_line",
        "quality",
        "quality_low",
        "quality_line",
        "quadrant",
    ),
    interval="note_range",
)
def plot_plane(result: Drawable, *, ax: Axes | None = None) -> Axes:
    """Draw units by quantity and quality with their intervals; those that do much but poorly stand out and are named.

    Lines part high from low. Units at the boundary are hollow. Intervals of more units than can be read are drawn for the named
    ones only.

    Parameters
    ----------
    result
        What :func:`dj_analysis.methods.plane` returned, protected or not.

    Examples
    --------
    >>> axes = dj.plot_plane(dj.methods.plane(ws.indicators("2025-10/2026-09"), "branch"))  # doctest: +SKIP
    """
    spec, table = result.spec, result.table
    shown = table[table["quantity"].notna() & table["quality"].notna()]
    poor = shown[shown["quadrant"] == "many_poor"].sort_values("quality", kind="stable")
    ax = ax or new_axes(height=4.8)
    _draw_intervals(ax, shown if len(shown) <= MOST_ROWS else poor)
    stated = shown["quadrant"].isin([*_CORNERS])
    for rows, face, edge, marker, label in (
        (poor, _POOR, _POOR, "D", value_word("quadrant", "many_poor", spec.language)),
        (
            shown[stated & (shown["quadrant"] != "many_poor")],
            theme.ACCENT,
            theme.ACCENT,
            "o",
            say(spec.language, "plane_stated"),
        ),
        (shown[~stated], "white", theme.MUTED, "o", say(spec.language, "plane_open")),
    ):
        if len(rows):
            ax.scatter(
                rows["quantity"], rows["quality"], s=22, marker=marker, facecolor=face, edgecolor=edge, lw=1, zorder=3, label=label
            )  # fmt: skip
    ax.set_xlabel(say(spec.language, "axis_quantity"))
    ax.set_ylabel(say(spec.language, "axis_quality"))
    _set_limits(ax, shown)
    _draw_lines(ax, shown)
    for quadrant, (right, top) in _CORNERS.items():
        ax.annotate(
            value_word("quadrant", quadrant, spec.language), (right, top), xycoords="axes fraction",
            xytext=(-6 if right else 6, -6 if top else 6), textcoords="offset points", ha="right" if right else "left",
            va="top" if top else "bottom", fontsize=9, color=_POOR if quadrant == "many_poor" else theme.MUTED, zorder=2,
        )  # fmt: skip
    _name(ax, poor.head(NAMED), spec)
    if len(shown):
        ax.legend(
            loc="upper center", bbox_to_anchor=(0.5, -0.13), ncols=3, fontsize=8, frameon=False, handletextpad=0.2
        )
    judged = (shown["quadrant"] != "").any()
    key = "figure_plane_described" if not judged else "figure_plane" if len(poor) else "figure_plane_none"
    caption(
        ax,
        say(spec.language, key, period=period_label(result), count=len(poor)),
        len(table) - len(shown),
        spec.language,
        "figure_missing",
    )
    return ax


def _draw_intervals(ax: Axes, rows: pd.DataFrame) -> None:
    for axis in ("quantity", "quality"):
        middle, low, high = (rows[name].astype(float).to_numpy() for name in (axis, f"{axis}_low", f"{axis}_high"))
        error = {("xerr" if axis == "quantity" else "yerr"): np.nan_to_num(np.vstack([middle - low, high - middle]))}
        ax.errorbar(
            rows["quantity"].astype(float), rows["quality"].astype(float), fmt="none", ecolor=theme.GRID, elinewidth=1, zorder=1, **error
        )  # fmt: skip


def _set_limits(ax: Axes, shown: pd.DataFrame) -> None:
    """Leave room around the points for the names of the quadrants."""
    for axis, set_limits in (("quantity", ax.set_xlim), ("quality", ax.set_ylim)):
        names = [axis, f"{axis}_line", *([f"{axis}_low", f"{axis}_high"] if len(shown) <= MOST_ROWS else [])]
        known = shown[names].astype(float).to_numpy().ravel()
        known = known[np.isfinite(known)]
        if len(known):
            room = max(0.1 * float(np.ptp(known)), 1.0)
            set_limits(known.min() - room, known.max() + room)


def _draw_lines(ax: Axes, shown: pd.DataFrame) -> None:
    for axis, draw, place in (("quantity", ax.axvline, (3, 3)), ("quality", ax.axhline, (3, 3))):
        if not len(shown):
            continue
        line = float(shown[f"{axis}_line"].iloc[0])
        draw(line, color=theme.INK, lw=1, ls="--", zorder=2)
        at: Any = (line, 1.0) if axis == "quantity" else (1.0, line)
        coordinates: Any = ("data", "axes fraction") if axis == "quantity" else ("axes fraction", "data")
        ax.annotate(
            f"{line:.1f}", at, xycoords=coordinates, xytext=place, textcoords="offset points", fontsize=8, annotation_clip=False
        )  # fmt: skip


def _name(ax: Axes, rows: pd.DataFrame, spec: Any) -> None:
    """Write the names of units beside their points, from below upwards and apart from each other."""
    scale, taken, (start, end) = 72 / ax.figure.dpi, -np.inf, ax.get_xlim()
    for row in rows.itertuples():
        at = (float(row.quantity), float(row.quality))
        height = float(ax.transData.transform(at)[1]) * scale
        lifted = max(height, taken + _LABEL_GAP)
        taken, left = lifted, at[0] > start + 0.65 * (end - start)  # else the name would leave the figure
        ax.annotate(
            shortened(spec.unit_label(row.unit, row.level)), at, xytext=(-8 if left else 8, lifted - height),
            textcoords="offset points", ha="right" if left else "left", va="center", fontsize=8, color=_POOR, zorder=4,
            bbox={"boxstyle": "square,pad=0.1", "facecolor": "white", "edgecolor": "none", "alpha": 0.85},
        )  # fmt: skip
