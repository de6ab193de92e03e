"""Rules of wording that every sentence keeps: how a change is told, how a question is quoted, which warnings are new."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import date
from typing import Any

from ..judge.alerts import ORDER
from ..spec.columns import in_form
from ..spec.tree import Node


def moved(difference: float, language: str, against: str = "", *, share: bool = False) -> str:
    """Tell a change as a leader reads it: up or down by how much, or about the same; never a bare sign.

    Parameters
    ----------
    difference
        In points, or as a share (0–1) where ``share``; what is written as 0.0 is about the same.
    against
        What it is compared with, in words (上期, the wave before).

    Examples
    --------
    >>> moved(-0.34, "zh", "上期"), moved(0.02, "zh", "上期"), moved(0.012, "zh", "上期", share=True)
    ('比上期下降0.3分', '与上期基本持平', '比上期上升1.2个百分点')
    >>> moved(8.5, "zh"), moved(-0.34, "en", "the wave before")
    ('上升8.5分', 'down 0.3 points on the wave before')
    """
    size = in_form(abs(100 * difference if share else difference), "number")
    flat, up = float(size) == 0, difference > 0
    if language == "zh":
        if flat:
            return f"与{against}基本持平" if against else "基本持平"
        return f"{f'比{against}' if against else ''}{'上升' if up else '下降'}{size}{'个百分点' if share else '分'}"
    if flat:
        return f"about the same as {against}" if against else "about the same"
    points = f"{'percentage ' if share else ''}point{'' if size == '1.0' else 's'}"
    return f"{'up' if up else 'down'} {size} {points}{f' on {against}' if against else ''}"


def warning_turns(rows: Iterable[Mapping[str, Any]]) -> dict[str, int]:
    """Count the units whose warning is new, has become graver, or has ended since the wave before; what did not occur is left out.

    Examples
    --------
    >>> warning_turns([{"warning": "red", "warning_before": ""}, {"warning": "", "warning_before": "orange"}])
    {'new': 1, 'ended': 1}
    """
    counts = {"new": 0, "graver": 0, "ended": 0}
    for row in rows:
        now, before = (ORDER.index(row[name]) if row[name] in ORDER else 0 for name in ("warning", "warning_before"))
        counts["new"] += bool(now and not before)
        counts["graver"] += bool(before and now > before)
        counts["ended"] += bool(before and not now and row.get("rule") != "response")
    return {turn: count for turn, count in counts.items() if count}


def most_common(rows: Iterable[Mapping[str, Any]], name: str) -> list[dict[str, Any]]:
    """Order the values of a column by the number of units they are told of; those of as many stay in their order.

    Returns
    -------
    list
        word, units (how many), row (the first), code (the driver of the first row).

    Examples
    --------
    >>> rows = [{"unit": "A", "measure": "M1"}, {"unit": "A", "measure": "M2"}, {"unit": "B", "measure": "M2"}]
    >>> [(one["word"], one["units"]) for one in most_common(rows, "measure")]
    [('M2', 2), ('M1', 1)]
    """
    first: dict[Any, Mapping[str, Any]] = {}
    units: dict[Any, set[str]] = {}
    for row in rows:
        first.setdefault(row[name], row)
        units.setdefault(row[name], set()).add(row["unit"])
    ordered = sorted(first, key=lambda word: -len(units[word]))
    return [
        {"word": word, "units": len(units[word]), "row": first[word], "code": first[word].get("driver")}
        for word in ordered
    ]


def day_words(day: str, language: str, *, year: bool = False) -> str:
    """Write an ISO day as a reader does; with its year where it may lie in the next one.

    Examples
    --------
    >>> day_words("2026-10-08", "zh"), day_words("2026-10-08", "en")
    ('10月8日', '8 October')
    >>> day_words("2027-01-08", "zh", year=True)
    '2027年1月8日'
    """
    one = date.fromisoformat(day)
    if language == "zh":
        return f"{one.year}年{one.month}月{one.day}日" if year else f"{one.month}月{one.day}日"
    return f"{one.day} {one:%B} {one.year}" if year else f"{one.day} {one:%B}"


def question_words(node: Node, language: str) -> str:
    """Quote a question in its own words; where disagreeing is the favourable answer, that is said.

    Examples
    --------
    >>> question_words(Node("Q1", label_zh="加班", text_zh="我经常加班到很晚", direction=-1), "zh")
    '“我经常加班到很晚”（反向题）'
    """
    words = (node.text_en or node.text_zh if language == "en" else node.text_zh) or node.label(language)
    words = words.strip().rstrip("。.")
    if language == "zh":
        return f"“{words}”" + ("（反向题）" if node.direction == -1 else "")
    return f"“{words}”" + (" (reversed)" if node.direction == -1 else "")
