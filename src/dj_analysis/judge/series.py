"""A unit's scores over the waves, in one line as long as the questions stayed the same."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from ..errors import UsageError
from ..measure.scores import KEYS, STATISTICS, Scores
from ..result import Result
from ..spec.codebook import Codebook


@dataclass(frozen=True)
class Trend(Result):
    """Scores of several waves.

    ``.table``: the columns of scores, and version: it changes where the questions behind a code changed, and a line must
    not be drawn through.
    """


def trend(waves: Sequence[Scores]) -> Trend:
    """Put waves in one table, anchors only: the full form is a level of its own wave and never joined to a pulse.

    Parameters
    ----------
    waves
        Scores in order of time; at least one.

    Returns
    -------
    Trend
        Rows of every wave with the version of the questions behind each code.

    Examples
    --------
    >>> dj.trend([before, scores]).where(unit="ALL", code="INDEX").table[["period", "score"]].round(1).values.tolist()
    [['2026Q2', 51.3], ['2026Q3', 47.6]]
    """
    if not waves:
        raise UsageError("trend: 至少一期 (at least one wave)")
    tables = []
    for scores in waves:
        table = scores.table[scores.table["form"] == "anchors"].copy()
        codebook = scores.spec.codebook.at(scores.period)
        versions = {code: question_version(codebook, code) for code in table["code"].unique()}
        tables.append(table.assign(version=table["code"].map(versions)))
    last = waves[-1]
    return Trend(
        table=pd.concat(tables, ignore_index=True), keys=(*KEYS, "version"), statistics=STATISTICS, period=last.period,
        periods=tuple(scores.period for scores in waves), about=last.about, programme=last.programme, spec=last.spec,
        withheld={period: rows for scores in waves for period, rows in scores.withheld.items()},
        basis=tuple(basis for scores in waves for basis in scores.basis),
    )  # fmt: skip


def question_version(codebook: Codebook, code: str) -> str:
    """Short hash of the anchors behind a code: their codes, wording, range, direction and weight."""
    tree = codebook.tree.in_form("anchors")
    if code not in tree:
        return ""
    leaves = [(n.code, n.text_zh, n.minimum, n.maximum, n.direction, n.weight, n.scale) for n in tree.leaves_of(code)]
    return hashlib.sha256(repr(leaves).encode()).hexdigest()[:8]
