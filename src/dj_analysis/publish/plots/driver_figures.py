"""Figures of what goes along with the outcome: shares of the dimensions with their intervals."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ...release.protect import Protected
from ...spec.units import ALL
from .. import theme
from ..wording import say
from .common import Drawable, caption, in_two_lines, new_axes, period_label, themed

if TYPE_CHECKING:
    from matplotlib.axes import Axes


@themed(
    "dj.drivers(…)",
    needs=("unit", "level", "code", "from_unit", "outcome", "share", "low", "high"),
    interval="note_range",
)
def plot_drivers(result: Drawable, *, unit: str = ALL, ax: Axes | None = None) -> Axes:
    """Draw the share of each dimension in what is explained of the outcome, largest on top, with its interval.

    Parameters
    ----------
    result
        What :func:`dj_analysis.drivers` returned, protected or not.
    unit
        The unit drawn; its title tells a first dimension only where one can be told.

    Examples
    --------
    >>> dj.plot_drivers(dj.drivers(ws.survey("2026Q3"), by="branch"))  # doctest: +SKIP
    """
    spec = result.spec
    rows = result.table[result.table["unit"] == unit]
    shown = rows[rows["share"].notna()].sort_values("share", kind="stable")
    ax = ax or new_axes(height=1.5 + 0.3 * max(len(shown), 3))
    y = np.arange(len(shown))
    share, low, high = (100 * shown[name].astype(float).to_numpy() for name in ("share", "low", "high"))
    error = np.nan_to_num(np.maximum(np.vstack([share - low, high - share]), 0))
    ax.errorbar(
        share, y, xerr=error, fmt="o", ms=4.5, color=theme.ACCENT, ecolor=theme.MUTED, elinewidth=1.4, capsize=2.5
    )
    ax.set_yticks(y, [in_two_lines(spec.code_label(code)) for code in shown["code"]])
    ax.set_xlim(0, max([10.0, *(high + 3)]) if len(shown) else 100)
    ax.grid(axis="y", visible=False)
    people = int(shown["n"].iloc[0]) if len(shown) else 0
    ax.set_xlabel(say(spec.language, "drivers_axis", n=people))
    level = str(rows["level"].iloc[0]) if len(rows) else ""
    outcome = spec.code_label(str(rows["outcome"].iloc[0])) if len(rows) else ""
    names = {"name": spec.unit_label(unit, level), "period": period_label(result), "outcome": outcome}
    first = _first(result, unit)
    key = "figure_drivers" if first else "figure_drivers_open"
    caption(
        ax,
        say(spec.language, key, first=spec.code_label(first) if first else "", **names),
        int(not len(shown)),
        spec.language,
    )
    if len(shown) and shown["from_unit"].iloc[0] != unit:
        source = spec.unit_label(str(shown["from_unit"].iloc[0]), str(shown["from_level"].iloc[0]))
        ax.annotate(
            say(spec.language, "drivers_of", source=source), (1, 0), xycoords="axes fraction", xytext=(0, -34),
            textcoords="offset points", ha="right", va="top", fontsize=8, color=theme.MUTED, annotation_clip=False,
        )  # fmt: skip
    return ax


def _first(result: Drawable, unit: str) -> str:
    """Return the dimension that can be told to come first in a unit; "" where none can."""
    order = result.part("order").table if isinstance(result, Protected) else result.parts["order"].table
    own = order[(order["unit"] == unit) & order["decided"].fillna(False).astype(bool)]
    return str(own["code"].iloc[0]) if len(own) else ""
