"""What every figure shares: the theme, a check of what it is given, axes, captions, labels that fit."""

from __future__ import annotations

import functools
import textwrap
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, ParamSpec

import pandas as pd

from ...errors import UsageError, unknown
from ...release.protect import Protected
from ...result import Result
from ...spec.periods import parse
from .. import theme
from ..wording import say

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Drawable = Result | Protected
MOST_ROWS = 40  # more than this on one page cannot be read
PAGE_WIDTH, COLUMN_WIDTH = 6.3, 3.05  # inches: a figure alone, and one of two side by side
_width: ContextVar[float] = ContextVar("width", default=PAGE_WIDTH)

P = ParamSpec("P")


def themed(
    made_by: str, *, needs: Sequence[str], interval: str = ""
) -> Callable[[Callable[P, Axes]], Callable[P, Axes]]:
    """Draw in the package's theme, whether a notebook or a report asks, and refuse what the plot cannot draw.

    Parameters
    ----------
    made_by
        What makes a result the plot can draw.
    needs
        Columns without which it has nothing to draw.
    interval
        Phrase that says what the ranges it draws are; empty where it draws none.
    """

    def decorated(plot: Callable[P, Axes]) -> Callable[P, Axes]:
        @functools.wraps(plot)
        def drawn(*args: P.args, **options: P.kwargs) -> Axes:
            result: Any = args[0] if args else options.get("result")
            _check_drawable(plot.__name__, result, options, needs, made_by)
            with theme.drawing(result.spec.fonts):
                return plot(*args, **options)

        drawn.__dict__["interval"] = interval
        return drawn

    return decorated


def first_level(result: Drawable) -> str:
    """Return the level of the first unit below the root."""
    table = result.table
    below = table.loc[table["unit"] != "ALL", "level"]
    if below.empty:
        raise UsageError("没有下级单位可画 (no units below the root)")
    return str(below.iloc[0])


def rows_of_code(result: Drawable, code: str) -> pd.DataFrame:
    """Return the rows of one code: those of the anchors where there are any, else of the full form."""
    table = result.table[result.table["code"] == code]
    form = "anchors" if "anchors" in set(table["form"]) else "full"
    return table[table["form"] == form]


@contextmanager
def drawn_wide(width: float) -> Iterator[None]:
    """Let figures be this wide (inches): as a page, or as a column beside another figure."""
    before = _width.set(width)
    try:
        yield
    finally:
        _width.reset(before)


def new_axes(height: float) -> Any:
    """Return axes as wide as figures are drawn now; the height is in inches."""
    import matplotlib.pyplot as plt  # so that a notebook shows it at the end of the cell

    return plt.figure(figsize=(_width.get(), min(height, 8.6))).add_subplot()


def wrap_axis_label(ax: Axes, language: str) -> None:
    """Break the words below a narrow figure into lines that it has room for."""
    ax.set_xlabel(textwrap.fill(ax.get_xlabel(), 26 if language == "en" else 12))


def hatched(column: int, row: int, filled: bool = True) -> Any:
    """Return a hatched cell: hidden, or too uncertain to read."""
    from matplotlib.patches import Rectangle

    face = "#F4F4F4" if filled else "none"
    return Rectangle((column, row), 1, 1, facecolor=face, edgecolor=theme.HATCH, hatch="////", lw=0)


def caption(ax: Axes, title: str, hidden: int, language: str, key: str = "figure_hidden", *, above: float = 0) -> None:
    """Write the title, beneath it ``above`` points of room, and beneath the figure how many units are not shown."""
    ax.set_title(textwrap.fill(title, 56 if language == "en" else 30), pad=14 + above)
    if hidden:
        ax.annotate(
            say(language, key, count=hidden), (1, 0), xycoords="axes fraction", xytext=(0, -34), textcoords="offset points",
            ha="right", va="top", fontsize=8, color=theme.MUTED, annotation_clip=False,
        )  # fmt: skip


def period_label(result: Drawable) -> str:
    """Return the period of a result in words."""
    return parse(result.period).label(result.spec.language) if result.period else ""


def shortened(label: str, most: int = 26) -> str:
    """Cut a long name so that the figure keeps its room; the table beside it has the whole name."""
    width, most = 0, _letters(most)
    for i, character in enumerate(label):
        width += 2 if ord(character) > 0x2E7F else 1
        if width > most:
            return label[:i] + "…"
    return label


def in_two_lines(label: str, most: int = 30) -> str:
    """Break a long name of several words once, for figures of few rows; what is too long even so is cut."""
    lines = textwrap.wrap(label, _letters(most), break_long_words=False)
    return "\n".join(shortened(line, most) for line in (lines[0], " ".join(lines[1:])) if line) if lines else label


def _letters(most: int) -> int:
    """Return for how many narrow letters a label has room: fewer in a figure that is not as wide as the page."""
    return most if _width.get() >= PAGE_WIDTH else round(0.6 * most)


def _check_drawable(plot: str, result: Any, options: dict[str, Any], needs: Sequence[str], made_by: str) -> None:
    """Refuse what the plot cannot draw, and levels, codes and units that the result does not have."""
    table = getattr(result, "table", pd.DataFrame())
    if any(name not in table.columns for name in needs):
        given = "、".join(map(str, table.columns[:12])) or type(result).__name__
        raise UsageError(f"{plot}: 需要 {made_by} 的结果,不是 {given} (it draws the result of {made_by})")
    for name in ("level", "code", "unit"):
        value = options.get(name)
        known = [str(one) for one in pd.unique(table[name])] if name in table.columns else []
        if value is not None and known and value not in known:
            raise unknown({"level": "层级/level", "code": "代码/code", "unit": "单位/unit"}[name], str(value), known)
