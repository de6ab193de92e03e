"""Figures of what changed with a measure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from ...errors import unknown
from ...spec.periods import parse
from ...spec.units import ALL
from .. import theme
from ..wording import say
from .common import Drawable, caption, new_axes, shortened, themed

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_MOST_TICKS = 9


@themed(
    "effect.part('series')",
    needs=("unit", "period", "score", "fitted", "counterfactual", "with_measure"),
)
def plot_its(result: Drawable, *, unit: str | None = None, ax: Axes | None = None) -> Axes:
    """Draw one series: what was seen, what the model gives, and what it gives after the start without the measure.

    Parameters
    ----------
    result
        Part ``series`` of what :func:`dj_analysis.evaluate` returned for ``its``, protected or not.
    unit
        Its code; the first one by default.

    Examples
    --------
    >>> axes = dj.plot_its(effect.parts["series"])
    >>> len(axes.lines) >= 3
    True
    """
    spec, table = result.spec, result.table
    unit = unit if unit is not None else str(table["unit"].iloc[0])
    if unit not in set(table["unit"]):
        raise unknown("单位/unit", unit, list(dict.fromkeys(table["unit"])))
    own = table[table["unit"] == unit]
    ax = ax or new_axes(height=3.2)
    periods = list(own["period"])
    x = np.array([parse(one).index for one in periods], dtype=float)
    after = own["with_measure"].fillna(False).astype(bool).to_numpy()
    columns = ("score", "fitted", "counterfactual", "counterfactual_low", "counterfactual_high")
    seen, fitted, without, low, high = (own[name].astype(float).to_numpy() for name in columns)
    ax.plot(x, seen, "o", color=theme.INK, ms=3.6, label=say(spec.language, "its_observed"))
    modelled = bool(np.isfinite(fitted).any())
    if modelled:
        ax.plot(x, fitted, "-", color=theme.ACCENT, lw=1.6, label=say(spec.language, "its_fitted"))
        drawn = after | np.append(
            after[1:], False
        )  # from the last period before on, so that the line begins at the model's
        ax.plot(
            x[drawn],
            without[drawn],
            "--",
            color=theme.SERIES[1],
            lw=1.6,
            label=say(spec.language, "its_counterfactual"),
        )
        ax.fill_between(x[after], low[after], high[after], color=theme.SERIES[1], alpha=0.15, lw=0)
    if after.any():
        first = int(np.flatnonzero(after)[0])
        ax.axvline(x[first] - 0.5, color=theme.INK, lw=1, ls=":")
        ax.annotate(
            say(spec.language, "its_start", period=parse(periods[first]).label(spec.language)), (x[first] - 0.5, 1),
            xycoords=("data", "axes fraction"), xytext=(-4, -3), textcoords="offset points", fontsize=8, ha="right", va="top",
        )  # fmt: skip
    step = max(1, int(np.ceil(len(x) / _MOST_TICKS)))
    ax.set_xticks(x[::step], periods[::step], fontsize=8)
    ax.grid(axis="x", visible=False)
    ax.margins(y=0.18)
    ax.set_ylabel(say(spec.language, "values" if not _code(own) else "points"))
    ax.legend(fontsize=8, frameon=False, loc="upper center", bbox_to_anchor=(0.5, -0.13), ncols=3)
    named = {"unit": _unit_name(spec, unit), "label": _label(spec, own)}
    key = "figure_its" if modelled else "figure_its_described"
    caption(ax, say(spec.language, key, **named), int(np.isnan(seen).sum()), spec.language, "figure_hidden_waves")
    return ax


@themed("effect.part('event')", needs=("since", "effect", "low", "high"), interval="note_range")
def plot_event(result: Drawable, *, ax: Axes | None = None) -> Axes:
    """Draw the difference of units with and without the measure by periods since its start, with intervals.

    Before the start the points should lie around 0; the last period before is what the others are held against.

    Parameters
    ----------
    result
        Part ``event`` of what :func:`dj_analysis.evaluate` returned for ``did``, protected or not.

    Examples
    --------
    >>> axes = dj.plot_event(did.parts["event"])
    >>> [label.get_text() for label in axes.get_xticklabels()]
    ['-4', '-3', '-2', '-1', '0', '1']
    """
    spec, table = result.spec, result.table
    ax = ax or new_axes(height=3.2)
    x, effect, low, high = (table[name].astype(float).to_numpy() for name in ("since", "effect", "low", "high"))
    for side, colour in ((x < 0, theme.MUTED), (x >= 0, theme.ACCENT)):
        error = np.nan_to_num(np.vstack([effect - low, high - effect])[:, side])
        ax.errorbar(
            x[side], effect[side], yerr=error, fmt="o", ms=5, color=colour, ecolor=colour, elinewidth=1.4, capsize=3
        )
    base = x == -1
    ax.plot(x[base], effect[base], "o", ms=5, mfc="white", mec=theme.MUTED, zorder=5)
    ax.axhline(0, color=theme.INK, lw=0.9)
    ax.axvline(-0.5, color=theme.INK, lw=1, ls=":")
    step = max(1, int(np.ceil(len(x) / 16)))
    ax.set_xticks(np.sort(x)[::step], [f"{int(one):d}" for one in np.sort(x)[::step]])
    ax.grid(axis="x", visible=False)
    ax.margins(x=0.06, y=0.12)
    ax.set_xlabel(say(spec.language, "axis_since"))
    ax.set_ylabel(say(spec.language, "axis_effect"))
    after, beyond = x >= 0, (low > 0) | (high < 0)
    counted = {"after": int(after.sum()), "beyond": int((after & beyond).sum())}
    title = say(spec.language, "figure_event", label=_label(spec, table), **counted)
    caption(ax, title, int(np.isnan(effect).sum()), spec.language)
    return ax


def _code(table: pd.DataFrame) -> str:
    return str(table["code"].iloc[0]) if "code" in table and len(table) else ""


def _label(spec: Any, table: pd.DataFrame) -> str:
    """Name of the code; what a table without one holds."""
    code = _code(table)
    return shortened(spec.code_label(code), 40) if code else say(spec.language, "the_value")


def _unit_name(spec: Any, unit: str) -> str:
    if unit == ALL and not spec.units.rows:
        return ""
    name = shortened(spec.unit_label(unit))
    return f"{name}: " if spec.language == "en" else name
