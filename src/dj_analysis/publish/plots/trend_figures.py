"""Figures of one unit over the waves."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

import numpy as np

from ...release.protect import Protected
from ...spec.columns import in_form
from ...spec.periods import order as periods_in_order
from .. import theme
from ..wording import say
from .common import Drawable, caption, new_axes, rows_of_code, shortened, themed
from .context_marks import events_of, mark_events, wave_place

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_ALIKE = 0.05  # points: a linked score that is printed as it was scored


@themed(
    "dj.trend(…)", needs=("unit", "code", "form", "period", "version", "score", "low", "high"), interval="note_range"
)
def plot_trend(result: Drawable, *, unit: str = "ALL", code: str | None = None, ax: Axes | None = None) -> Axes:
    """Draw one unit's score over the waves with its interval; the line breaks where the questions changed.

    Parameters
    ----------
    result
        What :func:`dj_analysis.trend` returned, protected or not. Waves stand at the days they were asked, so that dated
        events it brings (context.csv) stand before or after them as they were.

    Examples
    --------
    >>> axes = dj.plot_trend(dj.trend([before, scores]))
    >>> len(axes.get_xticks())
    2
    """
    spec = result.spec
    code = code or spec.codebook.index or result.table["code"].iloc[0]
    table = rows_of_code(result, code)
    table = table[table["unit"] == unit]
    by_hand = _made_by_hand(result, unit, code)
    order = periods_in_order(list(dict.fromkeys([*by_hand, *table["period"]])))
    table = table.set_index("period").reindex(order).reset_index()
    table["version"] = table["version"].fillna("")
    ax = ax or new_axes(height=2.9)
    x = np.array([wave_place(period, spec.fieldwork) for period in order])  # a quarter without a wave leaves a gap
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
    if by_hand:
        hand = np.array([by_hand.get(period, np.nan) for period in order])
        ax.plot(x, hand, "--s", color=theme.MUTED, ms=4, lw=1.2, label=say(spec.language, "by_hand"))
        ax.legend(fontsize=8, loc="best", frameon=False)
    known = np.concatenate([low, high, mean, list(by_hand.values())])
    known = known[~np.isnan(known)]
    if len(known):
        ax.set_ylim(max(0, known.min() - 4), min(100, known.max() + 5))
    ax.set_ylabel(say(spec.language, "points"))
    told = {"label": spec.code_label(code), "unit": spec.unit_label(unit)}
    title = say(spec.language, "figure_trend", **told)
    scored = table["code"].notna().to_numpy()
    if scored.sum() > 1 and np.isfinite(mean[-1]):
        ends = {"now": mean[-1], "low": np.nanmin(mean), "high": np.nanmax(mean)}
        ends = {name: in_form(float(value), "number") for name, value in ends.items()}
        title = say(spec.language, "figure_trend_now", **told, **ends)
    above = mark_events(ax, events_of(result, unit))
    caption(ax, title, int(np.isnan(mean[scored]).sum()), spec.language, "figure_hidden_waves", above=above)
    return ax


def _made_by_hand(result: Drawable, unit: str, code: str) -> dict[str, float]:
    """Return period → earlier figure made by hand of this unit and code; empty where the result brings none."""
    held = result.result if isinstance(result, Protected) else result
    if "legacy" not in held.parts:
        return {}
    table = (result.part("legacy") if isinstance(result, Protected) else held.parts["legacy"]).table
    rows = table[(table["unit"] == unit) & (table["code"] == code) & table["value"].notna()]
    return dict(zip(rows["period"], rows["value"].astype(float), strict=True))


@themed(
    "methods.link_versions(…)",
    needs=("unit", "code", "period", "version", "score", "as_scored", "low", "high"),
    interval="note_range",
)
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
    ax = ax or new_axes(height=3.1)
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
        ax.plot(x, level, "-", color=theme.INK, lw=1.1, label=shortened(spec.unit_label("ALL")))
    ax.plot(x, score, "-o", color=theme.ACCENT, ms=4, lw=1.6, label=shortened(spec.unit_label(unit)))
    if unit != "ALL" and len(whole):
        ax.legend(fontsize=8, loc="best", frameon=False)
    ax.set_xticks(x, [_month(period, place, order) for place, period in enumerate(order)], fontsize=8)
    ax.grid(axis="x", visible=False)
    ax.margins(y=0.16)
    ax.set_ylabel(say(spec.language, "points"))
    ax.set_xlabel(say(spec.language, "linked_axis"), fontsize=8)
    label = spec.code_label(str(own["code"].iloc[0])) if len(own) else ""
    title = say(spec.language, "figure_linked", label=label, unit=spec.unit_label(unit))
    caption(ax, title, int((np.isnan(score) & np.isnan(then)).sum()), spec.language, "figure_hidden_months")
    return ax


def _runs(versions: list[Any]) -> list[tuple[int, int]]:
    cuts = [0, *(i for i in range(1, len(versions)) if versions[i] != versions[i - 1]), len(versions)]
    return list(itertools.pairwise(cuts))


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
