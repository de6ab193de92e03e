"""Dual star rating: a branch has at most the star that its teams support (S4, row H02)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from ..errors import UsageError
from ..measure.scores import Scores, inherited, joined
from ..result import Result
from ..spec import reasons
from ..spec.bands import SLACK
from ..spec.units import ALL
from .ranking import chosen_rows

KEYS = ("period", "level", "unit", "code")
NO_TEAM_OF_THIS_STAR, NO_TEAMS = "no_team_of_this_star", "no_teams"
STATISTICS = (
    "n", "score", "low", "high", "se_source", "star_score", "star_low", "star_high", "star_teams", "star_granted", "margin",
)  # fmt: skip


@dataclass(frozen=True)
class Stars(Result):
    """Stars of branches.

    ``.table``: period, level, unit, code, n, score, low, high, se_source, star_score (what the score alone gives, 0–5), star_low,
    star_high (what the ends of its interval give: stars not ruled out; missing without an error source), star_teams (best star of
    its teams), star_granted (the lesser of star_score and star_teams), margin (points to the next star of the score; missing at
    the top), reason (why less was granted than the score gives).
    """


def stars(
    scores: Scores, teams: pd.DataFrame | None = None, level: str | None = None, *, code: str | None = None,
    type: str | None = None, below: str = ALL,
) -> Stars:  # fmt: skip
    """Grant stars by the cut points of ``[stars]`` in bands.toml, held to the best star of a branch's teams.

    A score on a cut point has the star (及以上).

    Parameters
    ----------
    scores, level, code, type, below
        As in :func:`dj_analysis.rank`.
    teams
        What ``ws.teams(period)`` returned: branch, star (1–5, missing where none was given).

    Raises
    ------
    UsageError
        Teams without the columns branch and star.

    Examples
    --------
    >>> dj.stars(dj.score(ws.indicators("2025-10/2026-09")), ws.teams("2026"), "branch").table  # doctest: +SKIP
    """
    table, _, code = chosen_rows(scores, level, code, type, below)
    rated = teams if teams is not None else pd.DataFrame({"branch": [], "star": []})
    for name in ("branch", "star"):
        if name not in rated:
            raise UsageError(f"teams: 缺 {name} 列 (the column is missing); 用 ws.teams(period)")
    points = sorted(band.point for band in scores.spec.bands["stars"].bands)
    score = table["score"].to_numpy(float)
    by_score, low, high = (
        np.where(np.isnan(value), np.nan, np.searchsorted(points, value + SLACK, side="right").astype(float))
        for value in (score, table["low"].to_numpy(float), table["high"].to_numpy(float))
    )
    best = rated.assign(star=pd.to_numeric(rated["star"], errors="coerce")).groupby("branch")["star"].max()
    by_teams = best.reindex(table["unit"]).to_numpy(float)
    granted = np.where(np.isnan(by_score), np.nan, np.minimum(by_score, np.nan_to_num(by_teams)))
    following = np.array([next((p for p in points if p > s + SLACK), np.nan) if s == s else np.nan for s in score])
    held = granted < by_score
    why = np.where(
        np.isnan(score),
        table["reason"],
        np.where(held, np.where(np.isnan(by_teams), NO_TEAMS, NO_TEAM_OF_THIS_STAR), ""),
    )
    out = table[["period", "level", "unit", "code", "n", "score", "low", "high", "se_source"]].assign(
        star_score=by_score, star_low=low, star_high=high, star_teams=by_teams, star_granted=granted, margin=following - score,
        reason=np.where(np.isnan(score) & (why == ""), reasons.MISSING_VALUE, why),
    )  # fmt: skip
    common = inherited(scores)
    return Stars(joined([out]), KEYS, STATISTICS, **common)
