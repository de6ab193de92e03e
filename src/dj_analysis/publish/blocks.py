"""What a report is made of: heading, text, note, key figure, table, figure."""

from __future__ import annotations

import inspect
import io
import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from ..errors import UsageError, unknown
from ..judge.alerts import reason_words
from ..release.display import shown
from ..release.protect import Protected
from ..result import Result
from ..spec.columns import written
from . import theme
from .block_sources import figure_note
from .markup import fragment
from .plots import PLOTS
from .plots.common import COLUMN_WIDTH, PAGE_WIDTH, drawn_wide, wrap_axis_label
from .wording import fill, say, without_our_sentences

MIME = "application/vnd.dj-analysis.block+json"
LITERAL = ("heading", "text", "note")  # may be an author's own words; all other blocks are made of results
KINDS_OF_BLOCK = ("heading", "text", "note", "keyfigure", "table", "figure", "recomputation")


@dataclass(frozen=True)
class Block:
    """One piece of a report: shown to the reader in the notebook, carried in the cell's output for the exporters.

    ``content`` is plain JSON; what it holds depends on ``kind``. A block made from protected results carries the seal of
    their release plan; exporters refuse tables, figures and key figures without it.
    """

    kind: str
    content: Mapping[str, Any] = field(repr=False)
    plan: str = ""
    seal: str = field(default="", repr=False)

    def _repr_mimebundle_(self, **_: Any) -> dict[str, Any]:
        sealed = {"plan": self.plan, "seal": self.seal} if self.seal else {}
        return {
            MIME: {"kind": self.kind, "content": dict(self.content), **sealed},
            "text/html": fragment(self.kind, self.content),
            "text/plain": self.plain,
        }

    @property
    def plain(self) -> str:
        """The block as plain text."""
        c = self.content
        if self.kind == "table":
            rows = [" | ".join(cell for cell in row) for row in c["rows"]]
            return "\n".join([c["caption"], " | ".join(column["label"] for column in c["columns"]), *rows, c["note"]])
        return str(c.get("text") or c.get("alt") or f"{c.get('label')}: {c.get('value')}")


def heading(text: str, depth: int = 1, *, label: str | None = None, pages: int | None = None) -> Block:
    """Head a section (depth 1–4; exporters number them 一、 (一) 1. (1)); depth 0 is a title and begins a page.

    Parameters
    ----------
    label
        Stands in place of the number: 附件1; an empty one leaves the heading without a number.
    pages
        Of the first title: its text is set a little smaller where it would take more pages than these (GB/T 9704-2012, 5.2.3,
        lets the grid be adjusted). A page with a salutation has 1 by default, any other text as many as it takes.

    Examples
    --------
    >>> dj.heading("总体情况").content
    {'text': '总体情况', 'depth': 1}
    """
    if not 0 <= depth <= 4:
        raise UsageError(f"depth {depth}: 应为 0–4 (use 0 to 4)")
    asked = {"label": label} if label is not None else {}
    return Block("heading", {"text": text, "depth": depth} | asked | ({"pages": pages} if pages is not None else {}))


def text(
    sentence: str, safe: Protected | Mapping[str, Protected] | None = None, *, place: str = "body", **names: Any
) -> Block:
    """Write a paragraph whose numbers are filled from protected results.

    Parameters
    ----------
    sentence
        Text with ``{{ … }}`` gaps, e.g. ``"{{ safe.row('ALL', 'INDEX').score | num }}"``; ``dj.words(lang)`` has the
        sentences of the package's reports.
    safe
        A protected result, or several by name.
    place
        ``body``, ``salutation``, ``signature`` or ``attachment``: how the layout sets it.
    names
        Further plain values for the gaps.

    Examples
    --------
    >>> dj.text("指数{{ safe.row('ALL', 'INDEX').score | num }}分。", safe).content["text"]
    '指数47.5分。'
    """
    places = ("body", "salutation", "signature", "attachment", "mark")
    if place not in places:
        raise unknown("place", place, places)
    _check_names(names)
    if safe is not None:
        own_words("sentence", re.sub(r"\{\{.*?\}\}|\{%.*?%\}", "", without_our_sentences(sentence), flags=re.DOTALL))
    return sealed_block("text", {"text": fill(sentence, safe, names), "place": place}, safe)


def note(text: str, safe: Protected | Mapping[str, Protected] | None = None, **names: Any) -> Block:
    """Write a remark in small print.

    Examples
    --------
    >>> dj.note("口径与上期一致。").content["text"]
    '口径与上期一致。'
    """
    _check_names(names)
    return sealed_block("note", {"text": fill(text, safe, names)}, safe)


def keyfigure(
    label: str, safe: Protected, *, unit: str = "ALL", code: str | None = None, column: str = "score"
) -> Block:
    """Show one number large, with its estimated range where it has one.

    Parameters
    ----------
    label
        What the number is.
    safe
        A protected result; its row of this unit and code gives ``column``.

    Examples
    --------
    >>> figure = dj.keyfigure("指数", safe.where(unit="ALL", code="INDEX")).content
    >>> figure["value"], figure["detail"]
    ('47.5', '估计范围43.5—51.5分')
    """
    safe = printed_only(safe)
    own_words("label", label)
    if "unit" not in safe.table:
        raise UsageError("keyfigure: 此结果没有单位列 (the result has no column unit)")
    table = safe.table[safe.table["unit"] == unit]
    if "code" in table.columns:
        table = table[table["code"] == (code or safe.spec.codebook.index)]
    if table.empty or column not in table.columns:
        raise unknown("单位/unit 或/or column", f"{unit} {column}", [*safe.table.columns])
    row, language = table.iloc[0], safe.spec.language
    hidden = reason_words(str(row.get("reason", "")), safe.spec) if pd.isna(row[column]) else ""
    ranged = column == "score" and pd.notna(row.get("low"))
    value = written(row[column], column, language, n=row.get("n", float("nan")), beside=list(table.columns))
    ends = {name: written(row[name], name, beside=list(table.columns)) for name in ("low", "high") if ranged}
    detail = say(language, "range", **ends) if ranged else hidden
    return sealed_block("keyfigure", {"label": label, "value": value, "detail": detail}, safe)


def table(
    safe: Protected,
    columns: Sequence[str] | None = None,
    *,
    across: str | None = None,
    value: str = "score",
    caption: str = "",
    most: int | None = None,
    sort: str | None = None,
    rows_on_paper: int | None = None,
) -> Block:
    """Show a protected table: units and codes by name, hidden rows with the reason.

    Parameters
    ----------
    columns
        Columns to show, in this order; by default names, n, score, range, favourable share.
    across
        Show one column for each value of this key (``code``, ``period`` or ``form``), filled with ``value``.
    caption
        What the table shows.
    most
        Show only the first rows and say how many there are.
    sort
        Order rows by this column, the smallest first, what is hidden or missing last; by default they stand as declared.
    rows_on_paper
        Print only the first rows in Word and PDF, and say so; the web page and the Excel file hold all of them.

    Examples
    --------
    >>> block = dj.table(safe.where(level="branch", code="INDEX"), columns=["unit", "n", "score", "reason"])
    >>> for row in block.content["rows"]:
    ...     print(row)
    ['一支部', '40', '51.0', '']
    ['二支部', '—', '—', '为避免推算，不单列']
    ['三支部', '—', '—', '填答人数不足，按规定不单列']
    """
    safe = printed_only(safe)
    own_words("caption", caption)
    printed = shown(safe, columns, across, value, sort)
    total, language, hidden = len(printed.rows), safe.spec.language, safe.hidden
    rows, values = (cells[:most] if most is not None else cells for cells in (printed.rows, printed.values))
    remarks = [say(language, "table_hidden", count=hidden, min_group=safe.plan.min_group)] if hidden else []
    remarks += [say(language, "table_cut", shown=len(rows), total=total)] if len(rows) < total else []
    columns_ = [
        {"name": name, "label": label, "kind": form, "width": _width(label, [row[i] for row in rows])}
        for i, (name, label, form) in enumerate(zip(printed.names, printed.headers, printed.forms, strict=True))
    ]
    content = {"caption": caption, "columns": columns_, "rows": rows, "values": values, "note": "".join(remarks)}
    asked = {"rows_on_paper": rows_on_paper} if rows_on_paper is not None else {}
    return sealed_block("table", {**content, **asked}, safe)


def figure(plot: Callable[..., Any], safe: Protected, *, caption: str = "", wide: bool = True, **options: Any) -> Block:
    """Draw a figure of the package from a protected result.

    Parameters
    ----------
    plot
        One of the package's ``plot_*`` functions; another function cannot be checked and is refused.
    wide
        As wide as a page; else as a column: two such figures that follow each other stand side by side.
    options
        Passed to it (``level=…``, ``code=…``).

    Returns
    -------
    Block
        Beneath the figure stand how many people are behind its points, what its ranges are, and the source.

    Examples
    --------
    >>> dj.figure(dj.plot_scores, safe, level="branch").kind
    'figure'
    """
    safe = printed_only(safe)
    own_words("caption", caption)
    name = getattr(plot, "__name__", str(plot))
    if PLOTS.get(name) is not plot:
        raise unknown("图/plot", name, PLOTS)
    if "ax" in options:
        raise UsageError("figure: 报告的图自建坐标轴,不接受 ax;自己的图用 dj.own_figure (it draws on axes of its own)")
    with theme.drawing(safe.spec.fonts), drawn_wide(PAGE_WIDTH if wide else COLUMN_WIDTH):
        axes = plot(safe, **options)
        if not wide:
            wrap_axis_label(axes, safe.spec.language)
        lines = (axes.get_title() or axes.get_title(loc="left")).split("\n")
        title = ("" if safe.spec.language == "zh" else " ").join(lines)
        for place in ("left", "center"):  # the caption says it, once
            axes.set_title("", loc=place)
        content = _drawn_once(axes.get_figure())
    asked = {one.name: one.default for one in inspect.signature(plot).parameters.values()} | options
    asked |= {"code": asked.get("code") or safe.spec.codebook.index} if "code" in asked else {}
    note = figure_note(safe, asked, getattr(plot, "interval", ""))
    content |= {"plot": name, "alt": title, "caption": caption or title, "note": note} | (
        {} if wide else {"beside": True}
    )
    return sealed_block("figure", content, safe)


_BARE = {"Date": None, "Creator": None}  # the same figure is the same bytes


def _drawn_once(figure_: Any) -> dict[str, Any]:
    """Return a figure of the package as an SVG: laid out first, then drawn once, where ``savefig`` draws twice."""
    import matplotlib as mpl
    from matplotlib.backends.backend_svg import FigureCanvasSVG

    stream, canvas = io.StringIO(), FigureCanvasSVG(figure_)
    figure_.dpi = canvas.fixed_dpi
    figure_.get_layout_engine().execute(figure_)
    figure_.set_layout_engine("none")
    figure_.dpi = mpl.rcParams["savefig.dpi"]
    canvas.print_svg(stream, metadata=_BARE)
    return _closed(figure_, stream)


def _drawn(figure_: Any) -> dict[str, Any]:
    """Return any figure as an SVG."""
    stream = io.StringIO()
    figure_.savefig(stream, format="svg", metadata=_BARE)
    return _closed(figure_, stream)


def _closed(figure_: Any, stream: io.StringIO) -> dict[str, Any]:
    """Return what was drawn with its size, and close the figure: the block shows it, the notebook must not show it again."""
    import matplotlib.pyplot as plt

    plt.close(figure_)
    width, height = (float(side) for side in figure_.get_size_inches())
    svg = stream.getvalue()
    return {"svg": svg[svg.index("<svg") :], "width": width, "height": height}


_CONFIDENCE = re.compile(r"(?<![\d.])(?:1|5|90|95|99)\s*[%％]")
_NUMBER = re.compile(r"\d+[.．]\d+|\d\s*[%％]|\d分(?![—钟之])")


def own_words(where: str, words: str) -> None:
    """Refuse a result typed by hand into words that stand under a seal: numbers there come from protected results.

    Years, periods, ordinals and levels of confidence may be typed; what looks like a result (a decimal, a share,
    points) may not.
    """
    if (typed := _NUMBER.search(_CONFIDENCE.sub("", words))) is not None:
        raise UsageError(
            f"{where}: “{typed.group()}” 像是一个结果;数字用 {{{{ … }}}} 从 dj.protect 的结果填入 (it looks like a result: numbers"
            " are filled from protected results by {{ … }})"
        )


def _check_names(names: Mapping[str, Any]) -> None:
    """Refuse bare numbers for the gaps of a sentence: nobody could tell where they come from."""
    for name, value in names.items():
        if isinstance(value, (int, float, np.number)) and not isinstance(value, (bool, np.bool_)):
            raise UsageError(
                f"{name}={value}: 数字须来自 dj.protect 的结果 (numbers come from protected results; names hold words only)"
            )


def seal_of(kind: str, content: Mapping[str, Any]) -> tuple[str, str]:
    """Return what the seal of a block covers."""
    return kind, json.dumps(content, ensure_ascii=False, sort_keys=True)


def own_table(frame: pd.DataFrame, note: str, *, about: str = "persons") -> Block:
    """Put a table of the author's own beside those of the package; marked 作者自行计算,未经披露控制.

    Parameters
    ----------
    frame
        Any pandas table; shown as it is.
    note
        What it shows and how it was made.
    about
        ``units`` where only data about units made it (branch indicators of work): then it may stand in a final report.
        A table that answers about persons went into stands in drafts only.

    Examples
    --------
    >>> block = dj.own_table(pd.DataFrame({"支部": ["甲", "乙"], "活动": [3, 5]}), "各支部活动次数", about="units")
    >>> block.content["own"]
    'units'
    """
    if not isinstance(frame, pd.DataFrame):
        raise UsageError(f"own_table: 需要 pandas 表,不是 {type(frame).__name__} (a pandas table is needed)")
    numbers = [pd.api.types.is_numeric_dtype(frame[name]) for name in frame]
    rows = [["" if pd.isna(cell) else str(cell) for cell in row] for row in frame.itertuples(index=False)]
    values = [
        [
            None if pd.isna(cell) else float(cell) if number else str(cell)
            for cell, number in zip(row, numbers, strict=True)
        ]
        for row in frame.itertuples(index=False)
    ]
    shown_ = [
        {
            "name": "",
            "label": str(name),
            "kind": "value" if number else "text",
            "width": _width(str(name), [row[i] for row in rows]),
        }
        for i, (name, number) in enumerate(zip(frame, numbers, strict=True))
    ]
    content = {"caption": note, "columns": shown_, "rows": rows, "values": values, "note": OWN_WORK}
    return Block("table", content | _own(about))


def own_figure(axes: Any, note: str, *, about: str = "persons") -> Block:
    """Put a figure of the author's own beside those of the package; marked 作者自行计算,未经披露控制.

    Parameters
    ----------
    axes
        Matplotlib axes; the whole figure they are in is shown.
    note, about
        As in :func:`own_table`.

    Examples
    --------
    >>> import matplotlib.pyplot as plt
    >>> axes = plt.figure().add_subplot()
    >>> dj.own_figure(axes, "各支部活动次数", about="units").kind
    'figure'
    """
    figure_ = getattr(axes, "get_figure", lambda: None)()
    if figure_ is None:
        raise UsageError(f"own_figure: 需要 matplotlib 坐标轴,不是 {type(axes).__name__} (matplotlib axes are needed)")
    content = _drawn(figure_) | {"alt": note, "caption": f"{note}（{OWN_WORK}）"}
    return Block("figure", content | _own(about))


def _own(about: str) -> dict[str, str]:
    if about not in ("persons", "units"):
        raise unknown("about", about, ("persons", "units"))
    return {"own": about}


OWN_WORK = "作者自行计算，未经披露控制 (the author's own work, not under disclosure control)"


def sealed_block(
    kind: str, content: Mapping[str, Any], safe: Protected | Mapping[str, Protected | None] | None
) -> Block:
    """Make a block that carries the seal of the plan its numbers were protected with; literal words carry none."""
    results = list(safe.values()) if isinstance(safe, Mapping) else [safe]
    different = {id(result.plan): result.plan for result in results if result is not None}
    plans = {plan.id: plan for plan in different.values()}
    waves = sorted({wave for result in results if result is not None for wave in result.waves})
    content = {**content, "waves": [list(wave) for wave in waves]} if waves else content
    if len(plans) > 1:
        raise UsageError("一段内容只能用同一发布方案的结果 (results of one block must share one release plan)")
    for name, plan in plans.items():
        return Block(kind, content, name, plan.seal(*seal_of(kind, content)))
    return Block(kind, content)


def printed_only(safe: Any) -> Protected:
    """Return what may be printed of a protected result; anything else is refused."""
    if not isinstance(safe, Protected):
        what = "未经披露控制的结果" if isinstance(safe, Result) else type(safe).__name__
        raise UsageError(f"报告只接受 dj.protect 的结果,不接受{what} (pass the result through dj.protect first)")
    return safe.printed()


def _width(label: str, cells: list[str]) -> float:
    """Share of the line a column needs: its longest text within bounds; a header of several words may take two lines."""
    header = max([0.6 * _places(label) if " " in label else _places(label), *map(_places, label.split())])
    longest = max([header, *map(_places, cells)])
    return float(min(max(longest, 5), 30) + 3)


def _places(text: str) -> float:
    """Return how wide a text is in letters, a Chinese character counting double."""
    return sum(2.0 if ord(ch) > 0x2E7F else 1.0 for ch in text)
