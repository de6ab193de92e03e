"""Series of branch indicators over versions of the list: linked at every change, never a silent jump."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd
from scipy import special

from ..errors import UsageError, unknown
from ..result import Result
from ..spec import reasons
from ..spec.periods import parse, within
from .inference.uncertainty import CONFIDENCE
from .linked_scores import VersionLink, carried
from .scores import Scores, inherited, joined

KEYS = ("period", "level", "unit", "code", "version", "basis", "method")
STATISTICS = ("n", "score", "as_scored", "se", "link_se", "low", "high")


@dataclass(frozen=True)
class LinkedSeries(Result):
    """Scores of units over months, brought to one version of the indicators.

    ``.table``: period, level, unit, code, version (first month at hand that it scored), basis (``new``: scored by the last version,
    ``old``: by an earlier one), method (what links it to the next version: ``overlap``, ``common_items``, ``same_units``,
    ``broken``; empty where nothing changed), n, score (linked, no longer bounded by 0 and 100), as_scored (by the version in force
    in the month), se (of the month, on the linked scale), link_se (of the links up to the version it is brought to), low, high
    (95 %, of both errors), reason.
    """

    @property
    def links(self) -> Result:
        """Every change of the indicators and how it is linked; see ``scores.links``."""
        return self.parts["links"]


def link_versions(
    scores: Scores, level: str | None = None, *, code: str | None = None, basis: Literal["new", "old"] = "new"
) -> LinkedSeries:
    """Link the monthly scores of each unit over the versions of the indicators.

    Each month is scored by the version in force. At a change the scores before are brought to the version after it by the best
    the months allow (``[linking]`` of rules.toml):

    - ``overlap``: in the months that both versions can score, each unit's mean of new minus old is what the version alone changes for
      it; the series is chained there (:func:`chain_link` with ``how="difference"``). link_se from how these differences scatter.
    - ``common_items``: the indicators both versions share have enough weight in both; they say how far the units moved between
      the months, and the line from old to new scores is chained linear equating (Kolen and Brennan 2014, ch. 4 and 5).
    - ``same_units``: the last month before and the first after have the same units; means and spreads are equated (mean-sigma, ch. 2).
      All units together are taken to be as good as before: what they moved in common is in link_se, as far as other months show it.
    - ``broken``: nothing links; earlier months have no linked score and say so.

    A unit that truly rises at a change still rises; with the last two methods, against the others.
    Standard errors of lines are those of the jackknife over units.

    Parameters
    ----------
    scores
        Of a span of months: ``dj.score(ws.indicators("2025-08/2026-09"))``.
    level
        Level of the units; by default every level scored.
    code
        By default the top of the tree.
    basis
        ``new``: everything on the scale of the last version, so that the last month is as published; ``old``: on that of the first.

    Raises
    ------
    UsageError
        Scores of a single period, or of a survey; a level or code that does not exist.

    References
    ----------
    Kolen and Brennan (2014), Test Equating, Scaling, and Linking, 3rd ed.

    Examples
    --------
    >>> methods.link_versions(dj.score(ws.indicators("2025-08/2026-09")), "branch").table  # doctest: +SKIP
    """
    if basis not in ("new", "old"):
        raise UsageError(f"basis = {basis};应为 new 或 old (new or old is needed)")
    if scores.programme != "indicators":
        raise UsageError("link_versions 只用于支部指标得分 (for scores of branch indicators only)")
    months = within(scores.period, [one for one in dict.fromkeys(scores.table["period"]) if one != scores.period])
    if not months:
        raise UsageError(
            f'{scores.period}: 衔接需要一段时期的得分,如 ws.indicators("2025-08/2026-09") (scores of a span are needed)'
        )
    tree = scores.spec.indicators
    code = code or (tree.at(scores.period).top if tree is not None else "")
    for name, given, column in (("层级/level", level, "level"), ("代码/code", code, "code")):
        if given is not None and given not in set(scores.table[column]):
            raise unknown(name, given, list(dict.fromkeys(scores.table[column])))
    rows = scores.table[(scores.table["code"] == code) & scores.table["period"].isin(months)]
    levels = [level] if level is not None else list(dict.fromkeys(rows["level"]))
    links = [link for link in scores.version_links if link.code == code]
    tables = [_linked_level(rows[rows["level"] == one], months, links, basis) for one in levels]
    table = joined(tables)[[*KEYS, *STATISTICS, "reason"]]
    part = scores.links.remade(scores.links.table[scores.links.table["code"] == code].reset_index(drop=True))
    together = ("score", "link_se", "low", "high")
    return LinkedSeries(table, KEYS, STATISTICS, parts={"links": part}, together=together, **inherited(scores))


def _linked_level(
    rows: pd.DataFrame, months: Sequence[str], links: Sequence[VersionLink], basis: Literal["new", "old"]
) -> pd.DataFrame:
    """Link the rows of one level and code; rows of each unit in order of time."""
    periods = [month for month in months if month in set(rows["period"])]
    units = list(dict.fromkeys(rows["unit"]))
    wide = {
        name: rows.pivot(index="period", columns="unit", values=name)
        .reindex(index=periods, columns=units)
        .to_numpy(float)
        for name in ("score", "se", "df")
    }
    within_span = [one for one in links if parse(periods[0]).start < parse(one.period).start] if periods else []
    linked = carried(wide["score"], periods, units, within_span, own=True, basis=basis)
    version, age, method = zip(*(_described(month, months[0], within_span, basis) for month in periods), strict=True)
    out = rows.set_index(["unit", "period"]).reindex(pd.MultiIndex.from_product([units, periods])).reset_index()
    out = out.rename(columns={"level_0": "unit", "level_1": "period"})
    count = len(units)
    score, link_se, se = (values.T.ravel() for values in (linked.points, linked.link_se, linked.slope * wide["se"]))
    quantile = special.stdtrit(np.nan_to_num(wide["df"].T.ravel(), nan=np.inf), 0.5 + CONFIDENCE / 2)
    half = quantile * np.hypot(se, link_se)
    lost = ~np.isnan(wide["score"].T.ravel()) & np.isnan(score)
    return out.assign(
        version=list(version) * count, basis=list(age) * count, method=list(method) * count, as_scored=out["score"], score=score, se=se,
        link_se=np.where(np.isnan(score), np.nan, link_se), low=score - half, high=score + half,
        reason=np.where(lost, reasons.VERSIONS_NOT_LINKED, out["reason"]),
    )  # fmt: skip


def _described(
    month: str, first: str, links: Sequence[VersionLink], basis: Literal["new", "old"]
) -> tuple[str, str, str]:
    """Return the version that scored a month, whether it is the last one, and what links it towards the basis."""
    start = parse(month).start
    passed = [link for link in links if parse(link.period).start <= start]
    ahead = [link for link in links if parse(link.period).start > start]
    way = ahead if basis == "new" else passed[::-1]
    return passed[-1].period if passed else first, "old" if ahead else "new", way[0].method if way else ""


def brought_to(now: Scores, before: Scores) -> Scores:
    """Return earlier scores on the scale of the versions in force now, with the method of each row (column ``method``).

    Where a code is scored as before nothing changes. A change of its indicators in between is linked by what ``now`` knows of the months
    (``now.links``), unit by unit; where it does not reach back so far, or nothing links, the score is missing.
    """
    table = before.table.assign(method="")
    tree = now.spec.indicators
    if now.programme != "indicators" or tree is None:
        return before.remade(table)
    versions = tree.at(before.period), tree.at(now.period)
    end, last = parse(before.period).end, parse(now.period).end
    at_hand = any(parse(period).end == end for period in now.periods)
    for code in table["code"].unique():
        old, new = (one.scoring_version(code) for one in versions)
        if not old or not new or old == new:
            continue
        links = [one for one in now.version_links if one.code == code and end < parse(one.period).end <= last]
        rows = table.index[(table["code"] == code) & (table["period"] == before.period)]
        linked = at_hand and bool(links)
        units = list(table.loc[rows, "unit"])
        score = table.loc[rows, "score"].to_numpy(float)[None]
        through = carried(score, [_last_month(before.period)], units, links, own=True)
        se = np.hypot(through.slope[0] * table.loc[rows, "se"].to_numpy(float), through.link_se[0])
        table.loc[rows, "score"] = through.points[0] if linked else np.nan
        table.loc[rows, "se"] = se if linked else np.nan
        table.loc[rows, "method"] = _weakest([link.method for link in links]) if linked else "broken"
    return before.remade(table)


def _last_month(period: str) -> str:
    """Return the last month of a span, else the period itself."""
    return period.split("/")[-1]


def _weakest(methods: Sequence[str]) -> str:
    return max(methods, key=("overlap", "common_items", "same_units", "broken").index)
