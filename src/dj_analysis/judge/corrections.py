"""What granted appeals (复核申请) moved: every unit whose score or rank is another than before the correction (更正说明)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from ..errors import UsageError
from ..measure.intake.appeals import ACCEPTED, GRANTED, OPENED, REFUSED, WITHDRAWN
from ..measure.scores import Scores, inherited, joined
from ..result import Result
from ..spec import reasons
from ..spec.units import ALL
from .explain import places_by_own
from .ranking import chosen_rows, rank

KEYS = ("period", "level", "unit", "code")
PLACES = ("rank_before", "rank", "own", "others", "rank_low", "rank_high")
STATISTICS = ("n", "score_before", "score", "difference", *PLACES)
#: What became of an appeal → the states that say so; the granted ones alone change anything.
OUTCOMES = {GRANTED: (GRANTED,), REFUSED: (REFUSED,), WITHDRAWN: (WITHDRAWN,), "pending": (OPENED, ACCEPTED)}


@dataclass(frozen=True)
class Corrections(Result):
    """Units whose score or rank granted appeals moved.

    ``.table``: period, level, unit, code, n, score_before, score (as first released and as corrected, 0–100), difference,
    rank_before, rank, own (places by the unit's own correction, the others as before), others (by the corrections of
    others; own + others is rank_before − rank), rank_low, rank_high (places not ruled out now), se_source, tied_with,
    reason (``value_corrected``: the score is another; ``others_corrected``: only the rank is, because of others).
    """

    @property
    def appeals(self) -> Result:
        """The granted appeals: period, level, unit, code, appeal, n, value_before, value, opened, settled (ISO dates)."""
        return self.parts["appeals"]

    @property
    def counts(self) -> Result:
        """Appeals by outcome: period, state (granted, refused, withdrawn, pending), appeals."""
        return self.parts["counts"]

    @property
    def received(self) -> int:
        """Number of appeals of whatever outcome."""
        return int(self.counts.table["appeals"].sum())


def corrections(
    now: Scores,
    before: Scores,
    appeals: pd.DataFrame,
    level: str | None = None,
    *,
    code: str | None = None,
    type: str | None = None,
    below: str = ALL,
    seed: int = 0,
) -> Corrections:
    """List every unit whose score or rank is moved by granted appeals, with the appeals that moved them.

    Parameters
    ----------
    now, before
        Scores of the same period: with the corrected values, and with those first released
        (``ws.indicators(period, corrected=False)``).
    appeals
        ``ws.appeals(period)``. Only granted ones are named; the others changed nothing and are counted.
    level, code, type, below, seed
        As in :func:`dj_analysis.rank`.

    Raises
    ------
    UsageError
        Scores of two different periods, or as in :func:`dj_analysis.rank`.

    Examples
    --------
    >>> now, first = (dj.score(ws.indicators("2026-08", corrected=one)) for one in (True, False))  # doctest: +SKIP
    >>> dj.methods.corrections(now, first, ws.appeals("2026-08"), "branch").table  # doctest: +SKIP
    """
    if now.period != before.period:
        raise UsageError(
            f"{now.period}, {before.period}: 更正前后须为同一期 (both must be scores of one period; use dj.explain for two)"
        )
    _, level, code = chosen_rows(now, level, code, type, below)
    tables = [rank(one, level, code=code, type=type, below=below, seed=seed).table for one in (before, now)]
    common = inherited(now)
    against = appeals[appeals["period"].isin([now.period]) & appeals["unit"].isin(_inside(now, below))]
    parts = {"appeals": _granted(against, now), "counts": _counted(against, now)}
    moved = _moved(tables[0].set_index("unit"), tables[1].set_index("unit"))
    return Corrections(joined([moved]), KEYS, STATISTICS, parts=parts, together=PLACES, **common)


def _inside(scores: Scores, below: str) -> Sequence[str]:
    units = scores.spec.units.at(scores.period)
    if below == ALL:
        return [ALL, *(unit.unit for unit in units.rows)]
    return [units[below].unit, *(unit.unit for unit in units.below(below))]


def _moved(before: pd.DataFrame, now: pd.DataFrame) -> pd.DataFrame:
    """Compare scores and ranks unit by unit; keep the units where one of them is another."""
    before = before.reindex(now.index)
    out = now[
        ["period", "level", "code", "n", "score", "rank", "rank_low", "rank_high", "se_source", "tied_with"]
    ].copy()
    out["score_before"], out["rank_before"] = before["score"], before["rank"]
    out["difference"] = out["score"] - out["score_before"]
    rescored = ~np.isclose(out["score"], out["score_before"], rtol=0, atol=1e-9, equal_nan=True)
    reranked = ~np.isclose(out["rank"], out["rank_before"], rtol=0, atol=0, equal_nan=True)
    own = [places_by_own(before["score"].astype(float), score, str(unit)) for unit, score in out["score"].items()]
    out["own"] = np.where(rescored, own, 0.0)
    out["others"] = out["rank_before"] - out["rank"] - out["own"]
    out["reason"] = np.where(rescored, reasons.VALUE_CORRECTED, reasons.OTHERS_CORRECTED)
    out = out[rescored | reranked].reset_index()
    return out[[*KEYS, *STATISTICS, "se_source", "tied_with", "reason"]]


def _granted(appeals: pd.DataFrame, now: Scores) -> Result:
    """Name the granted appeals with the value before and after."""
    units = now.spec.units.at(now.period)
    rows = appeals[appeals["state"] == GRANTED]
    levels = [units.root.level if unit == ALL else units[unit].level for unit in rows["unit"]]
    table = rows.assign(level=levels, n=np.nan)
    keys, statistics = ("period", "level", "unit", "code", "appeal"), ("n", "value_before", "value")
    table = table[[*keys, *statistics, "opened", "settled"]].reset_index(drop=True)
    return Result(joined([table]), keys, statistics, **inherited(now))


def _counted(appeals: pd.DataFrame, now: Scores) -> Result:
    """Count the appeals by outcome; an outcome without any is a row with 0."""
    counts = [float(appeals["state"].isin(states).sum()) for states in OUTCOMES.values()]
    table = pd.DataFrame({"period": now.period, "state": list(OUTCOMES), "appeals": counts})
    return Result(joined([table]), ("period", "state"), ("appeals",), n=None, **inherited(now))
