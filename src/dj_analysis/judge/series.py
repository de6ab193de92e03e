"""A unit's scores over the waves, in one line as long as the questions stayed the same."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from ..errors import UsageError
from ..measure.common_items import asked_items, common_items, enough_in_common, on_common_items
from ..measure.intake.context_events import events_between
from ..measure.scores import KEYS, STATISTICS, Scores
from ..result import Result
from ..spec import reasons
from ..spec.codebook import Codebook
from ..spec.periods import parse


@dataclass(frozen=True)
class Trend(Result):
    """Scores of several waves.

    ``.table``: the columns of scores; items (questions of the code in that wave) and common_items (those on which the score rests,
    common to all waves of one version); version: it changes where too few questions stayed the same, and a line must not be
    drawn through.
    """


def trend(waves: Sequence[Scores], legacy: Result | None = None, context: Result | None = None) -> Trend:
    """Put waves in one table, anchors only: the full form is a level of its own wave and never joined to a pulse.

    Parameters
    ----------
    waves
        Scores in order of time; at least one.
    legacy
        Earlier figures made by hand (``ws.legacy()``): they come along as part ``legacy`` and are drawn as a line of their own.
    context
        Dated events (``ws.context()``): those from the first day of the first period to the last day of the last come along as
        part ``context`` and are marked; nothing is computed from them.

    Returns
    -------
    Trend
        Rows of every wave. Dimensions and index rest on the questions that all waves asked, from the first wave on with which
        at least half of the questions are common; waves before it keep their own scores under another version, with the
        reason.

    Examples
    --------
    >>> dj.trend([before, scores]).where(unit="ALL", code="INDEX").table[["period", "score"]].round(1).values.tolist()
    [['2026Q2', 51.3], ['2026Q3', 47.6]]
    """
    if not waves:
        raise UsageError("trend: 至少一期 (at least one wave)")
    tables, last = [], waves[-1]
    starts = _starts(waves) if last.about == "persons" and all(scores.sums for scores in waves) else {}
    shared_from = {start: common_items(waves[start:]) for start in starts}
    for number, scores in enumerate(waves):
        table = scores.table[scores.table["form"] == "anchors"].copy()
        codebook = scores.spec.codebook.at(scores.period)
        versions = {code: question_version(codebook, code) for code in table["code"].unique()}
        table = table.assign(version=table["code"].map(versions), items=pd.NA, common_items=pd.NA)
        own = asked_items(scores)
        for start, codes in starts.items():
            shared = shared_from[start]
            joined_codes = [code for code in codes if code in own]
            table["items"] = table["items"].mask(
                table["code"].isin(joined_codes), table["code"].map({c: len(own.leaves_of(c)) for c in joined_codes})
            )
            if number < start:
                broken = table["code"].isin(joined_codes) & (table["reason"] == "")
                table.loc[broken, "reason"] = reasons.TOO_FEW_COMMON_ITEMS
                continue
            restated = on_common_items(scores, set().union(*shared.values())).table.set_index(_ROW)
            rows = table["code"].isin(joined_codes)
            keys = pd.MultiIndex.from_frame(table.loc[rows, _ROW])
            for name in (name for name in STATISTICS if name in table):
                table.loc[rows, name] = restated.reindex(keys)[name].to_numpy()
            table.loc[rows, "common_items"] = table.loc[rows, "code"].map({c: len(shared[c]) for c in joined_codes})
            for code in joined_codes:
                same = hashlib.sha256(repr(sorted(shared[code])).encode()).hexdigest()[:8]
                table.loc[table["code"] == code, "version"] = same
        tables.append(table.astype({"items": "Int64", "common_items": "Int64"}))
    return Trend(
        table=pd.concat(tables, ignore_index=True), keys=(*KEYS, "version"), statistics=(*STATISTICS, "items", "common_items"), period=last.period,
        periods=tuple(scores.period for scores in waves), about=last.about, programme=last.programme, spec=last.spec,
        withheld={period: rows for scores in waves for period, rows in scores.withheld.items()},
        basis=tuple(basis for scores in waves for basis in scores.basis),
        parts=_told_beside(waves, legacy, context),
    )  # fmt: skip


def _told_beside(waves: Sequence[Scores], legacy: Result | None, context: Result | None) -> dict[str, Result]:
    """Return what is drawn beside the scores: figures made by hand, and the events within the series."""
    by_hand = {"legacy": legacy} if legacy is not None and len(legacy.table) else {}
    periods = [parse(one) for part in by_hand.values() for one in part.periods]
    periods += [parse(scores.period) for scores in waves]
    first, last = min(one.start for one in periods), max(one.end for one in periods)
    events = events_between(context, str(first), str(last))
    return by_hand | ({"context": events} if events is not None else {})


_ROW = ["level", "unit", "form", "code"]


def _starts(waves: Sequence[Scores]) -> dict[int, list[str]]:
    """Return number of a wave → codes whose line begins there: the first from which on enough questions are common."""
    if len({tuple(leaf.code for leaf in asked_items(scores).leaves) for scores in waves}) == 1:
        return {}
    starts: dict[int, list[str]] = {}
    for node in asked_items(waves[-1]).inner:
        first = len(waves) - 1
        while first and enough_in_common(node.code, common_items(waves[first - 1 :])[node.code], waves[first - 1 :]):
            first -= 1
        starts.setdefault(first, []).append(node.code)
    return starts


def question_version(codebook: Codebook, code: str) -> str:
    """Short hash of the anchors behind a code: their codes, wording, range, direction and weight."""
    tree = codebook.tree.in_form("anchors")
    if code not in tree:
        return ""
    leaves = [(n.code, n.text_zh, n.minimum, n.maximum, n.direction, n.weight, n.scale) for n in tree.leaves_of(code)]
    return hashlib.sha256(repr(leaves).encode()).hexdigest()[:8]
