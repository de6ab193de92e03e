"""Three tiers of units with the chance that each belongs there: 先进, 中间水平, 重点帮扶; undecided where it is not sure."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import stats

from ..measure.inference.shrinkage import left_out
from ..measure.scores import Scores, inherited, joined
from ..result import Result
from ..spec import reasons
from ..spec.bands import Bands
from ..spec.units import ALL
from .ranking import HELP, chosen_rows

KEYS = ("period", "level", "unit", "code")
MIDDLE, UNDECIDED = "middle", "undecided"
STATISTICS = ("n", "score", "probability", "p_advanced", "p_middle", "p_support")
STRATEGY = {"advanced": "innovate", MIDDLE: "improve", "support": "basics", UNDECIDED: "", "": ""}


@dataclass(frozen=True)
class Tiers(Result):
    """Tiers of the units of one level and type.

    ``.table``: period, level, unit, code, n, score, se_source, grade (``advanced``, ``middle``, ``support``; ``undecided`` where none
    is sure enough), probability (of the likeliest tier), p_advanced, p_middle, p_support, strategy (看创新, 促提升, 抓基础), help (what
    is proposed for those to be supported), reason.
    """


def tiers(
    scores: Scores, level: str | None = None, *, code: str | None = None, type: str | None = None, below: str = ALL
) -> Tiers:
    """Sort units into three tiers by the cut points of ``[tiers]`` in bands.toml, with the chance of each.

    The chance is that of the true score lying beyond a cut point, by the score's error (Student's t). A unit belongs to a tier
    only with the ``confidence`` declared beside the cut point (.8), else it is undecided (边界): a cut between units that cannot
    be told apart would be chance.

    Parameters
    ----------
    scores, level, code, type, below
        As in :func:`dj_analysis.rank`.

    Examples
    --------
    >>> dj.methods.tiers(dj.score(ws.indicators("2025-10/2026-09")), "branch").table  # doctest: +SKIP
    """
    table, _, code = chosen_rows(scores, level, code, type, below)
    shut = left_out(table, scores, ()).to_numpy()
    score, se, df = (np.where(shut, np.nan, table[name].to_numpy(float)) for name in ("score", "se", "df"))
    chances = tier_chances(score, se, df, scores.spec.bands["tiers"])
    likely = pd.DataFrame(chances)
    known = likely.notna().all(axis=1).to_numpy()
    best = np.where(known, likely.fillna(0).to_numpy().argmax(axis=1), 0)
    names = np.array(list(chances), dtype=object)
    most = likely.to_numpy()[np.arange(len(likely)), best] if len(likely) else np.empty(0)
    sure = min(band.sure for band in scores.spec.bands["tiers"].bands)
    tier = np.where(known, np.where(most >= sure, names[best], UNDECIDED), "")
    out = table[["period", "level", "unit", "code", "n", "score", "se_source"]].assign(
        grade=tier, probability=most, **{f"p_{name}": values for name, values in chances.items()},
        strategy=[STRATEGY[one] for one in tier], help=[HELP if one == "support" else "" for one in tier],
        reason=np.where(known, "", np.where(shut, reasons.TOO_FEW_TO_JUDGE, table["reason"])),
    )  # fmt: skip
    common = inherited(scores)
    return Tiers(joined([out]), KEYS, STATISTICS, **common)


def tier_chances(score: np.ndarray, se: np.ndarray, df: np.ndarray, bands: Bands) -> dict[str, np.ndarray]:
    """Return the chance of each tier: beyond the upper point, between the points, beyond the lower point; they add to 1."""
    upper = next(band for band in bands.bands if band.side == "above")
    lower = next(band for band in bands.bands if band.side == "below")
    free = np.where(np.isfinite(df), df, 1e9)
    with np.errstate(divide="ignore", invalid="ignore"):
        above = stats.t.sf((upper.point - score) / se, free)
        under = stats.t.cdf((lower.point - score) / se, free)
    missing = np.isnan(score) | np.isnan(se)
    above, under = np.where(missing, np.nan, above), np.where(missing, np.nan, under)
    return {upper.code: above, MIDDLE: 1 - above - under, lower.code: under}
