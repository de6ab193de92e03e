"""How far a unit stands from the whole it belongs to."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import stats

from ..errors import UsageError
from ..measure.crossnames import is_cross
from ..measure.inference import uncertainty
from ..measure.inference.unitlaws import laws_of_rest, unit_laws
from ..measure.members import members
from ..measure.scores import KEYS, Scores
from ..measure.unitsums import UnitSums
from ..result import Result
from ..spec.units import ALL
from .change import judged_together, told_apart
from .moderated import chance, why_not_judged

STATISTICS = ("n", "n_rest", "score", "whole", "difference", "se", "low", "high", "p", "q", "real")


@dataclass(frozen=True)
class Contrast(Result):
    """Differences of units from the whole.

    ``.table``: period, level, unit, form, code, n, n_rest, score, whole, difference (unit − whole, points), se, low, high
    (95 %), p (law of the mean learned from all units: :mod:`dj_analysis.judge.moderated`), q (Benjamini–Hochberg over the
    units and codes of a level and role), real, reason (why there is no error, or no p where answers pile up among too few).
    """


def contrast(scores: Scores) -> Contrast:
    """Compare every unit with the whole of its wave.

    The whole contains the unit, so the two are not independent: unit − whole = (1 − f)(unit − rest) with f the unit's
    share of the weight, hence se = (1 − f)·√(se² + se²_rest), Student's t with Welch–Satterthwaite degrees of freedom.

    Parameters
    ----------
    scores
        Scores of a survey; they carry the sums from which the rest is computed exactly.

    Returns
    -------
    Contrast
        Anchors rows of every unit but the root. ``real``: the interval excludes 0 and q is at most the declared rate.

    Examples
    --------
    >>> dj.contrast(scores).where(level="branch", code="INDEX").table["difference"].round(1).tolist()
    [3.0, -3.7, -1.2]
    """
    if not scores.sums:
        raise UsageError("contrast 只用于问卷得分 (for survey scores only)")
    units = scores.spec.units.at(scores.period)
    tables = []
    levels = (level for level in scores.table["level"].unique() if level != units.root.level and not is_cross(level))
    for level in levels:
        axis = units.tree_of(level) if level in units.levels else level
        sums = scores.sums[axis]
        anchors = sums.laid_out(sums.units, [cell for cell in sums.cells if cell[0] == "anchors"])
        rolled = anchors.rolled_up(members(level, axis, units, anchors))
        whole = anchors.rolled_up({ALL: anchors.units})
        tables.append(_level_table(scores, level, rolled, whole))
    if not tables:
        raise UsageError("contrast: 没有下级单位可比 (no units below the root to compare)")
    table = pd.concat(tables, ignore_index=True)
    rule = scores.spec.rules.change
    roles = {node.code: node.role for node in scores.spec.codebook.tree}
    shown = told_apart(table, scores.withheld)
    table = judged_together(table, [table["level"], table["code"].map(roles)], units, rule, shown)
    return Contrast(
        table=table, keys=KEYS, statistics=STATISTICS, period=scores.period, periods=scores.periods, spec=scores.spec,
        withheld=scores.withheld, family=("level", "role"), together=("p",), basis=scores.basis,
    )  # fmt: skip


def _level_table(scores: Scores, level: str, rolled: UnitSums, whole: UnitSums) -> pd.DataFrame:
    hidden = scores.withheld.get(scores.period, frozenset())
    kept = np.array([(level, name) not in hidden for name in rolled.units])
    unit = uncertainty.means(rolled.sums)
    rest = uncertainty.means({name: whole.sums[name] - values for name, values in rolled.sums.items()})
    all_ = uncertainty.means(whole.sums)
    with np.errstate(divide="ignore", invalid="ignore"):
        outside = 1 - rolled.sums["w"] / whole.sums["w"]
        variance = unit.se**2 + rest.se**2
        df = variance**2 / (unit.se**4 / unit.df + rest.se**4 / rest.df)
        difference, se = unit.mean - all_.mean, outside * np.sqrt(variance)
        half = stats.t.ppf(0.5 + scores.spec.rules.change.confidence / 2, df) * se
        p, not_judged = chances(rolled, whole, kept)
    cells = rolled.cells
    shape = (len(rolled.units), len(cells))
    table = pd.DataFrame(
        {
            "period": scores.period, "level": level, "unit": np.repeat(np.array(rolled.units, dtype=object), len(cells)),
            "form": "anchors", "code": np.tile([code for _, code in cells], shape[0]),
        }
    )  # fmt: skip
    columns = {
        "n": rolled.sums["n"], "n_rest": whole.sums["n"] - rolled.sums["n"], "score": unit.mean,
        "whole": np.broadcast_to(all_.mean, shape), "difference": difference, "se": se, "low": difference - half,
        "high": difference + half, "p": p,
    }  # fmt: skip
    for name, values in columns.items():
        table[name] = np.asarray(values, dtype=float).ravel()
    table["reason"] = np.where((not_judged != "") & np.isfinite(se), not_judged, unit.reason).ravel()
    return table.astype({"unit": "str", "n": int, "n_rest": int, "reason": "str"})


def chances(rolled: UnitSums, whole: UnitSums, kept: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return p of every unit against the rest, and why it is missing, "" where the law of the means is known.

    Parameters
    ----------
    rolled, whole
        Sums by unit, and of all together.
    kept
        Units that may be learned from.
    """
    others = {name: whole.sums[name] - values for name, values in rolled.sums.items()}
    unit, rest = uncertainty.means(rolled.sums, None), uncertainty.means(others, None)
    own = unit_laws(rolled.sums, unit, kept)
    other = laws_of_rest(own, others, rest)
    return chance(unit.mean - rest.mean, own, other), why_not_judged(own, other)
