"""Cut points of warnings proposed from earlier waves, for the office to enter in bands.toml.

Nothing is changed by it: whoever decides writes the numbers and the reason into ``bands.toml``, once; closing a wave keeps them with
the record, and later changes of the file do not move what was judged (:mod:`dj_analysis.spec.cut_points`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from ..errors import UsageError, unknown
from ..measure.scores import Scores
from ..result import Result
from ..spec.bands import SLACK
from ..spec.periods import order
from .shrunk_means import Keys, ShrunkMeans, low_shares, shrunk_means
from .warning_rules import GRADES, graded

STATISTICS = ("n", "units", "waves", "point", "warned", "proposed", "warned_proposed")
CAPACITY = {"orange": 0.20, "red": 0.05, "black": 0.01}
STEPS = 40  # halvings of 0–100 that find the point at which a unit begins to be warned
ALL_RULES = "all_rules"


def calibrate(waves: Sequence[Scores], level: str, *, capacity: Mapping[str, float] | None = None) -> Result:
    """Propose cut points by which no more units of a level are warned than can be helped.

    For each rule of one wave and each grade: the share of units that the declared cut point warned in these waves, the whole point
    that would have warned as many as can be followed up and no more, and that share. Probabilities and numbers of dimensions stay
    as declared; units of low participation are not judged. Several rules together warn more than each alone: the rows
    ``all_rules`` tell how many.

    Parameters
    ----------
    waves
        Scores of earlier waves; of one wave at least.
    level
        Level of the units that are warned.
    capacity
        Grade → largest share of the units, 0–1, that can be followed up at this grade or a graver one; by default 20, 5 and 1 %.

    Returns
    -------
    Result
        period (the last), level, rule, warning, n (people behind the units, all waves), units (judged, on the average), waves, point
        (declared; points, of ``low_share`` per cent of respondents), warned (share of units, mean over waves), proposed
        (whole points), warned_proposed (share of units it would have warned).

    Raises
    ------
    UsageError
        No wave, a level without scores, a grade that does not exist or a share outside 0–1.

    Examples
    --------
    >>> cuts = dj.methods.calibrate([before, scores], "branch").where(rule="index_low", warning="orange").table
    >>> cuts[["point", "warned"]].round(2).values.tolist()
    [[60.0, 1.0]]
    """
    wanted = dict(CAPACITY) if capacity is None else dict(capacity)
    _check(waves, level, wanted)
    last = max(waves, key=lambda one: order([wave.period for wave in waves]).index(one.period))
    begins = [_points_of_wave(wave, level) for wave in waves]
    judged = [np.isfinite(begin["index_low"][GRADES[0]]) for begin in begins]
    people = sum(int(_index_rows(wave, level).loc[mask, "n"].sum()) for wave, mask in zip(waves, judged, strict=True))
    rows, chosen = [], {}
    for rule, bands in _RULES.items():
        for grade, band in graded(last.spec.bands[bands]):
            name, scale = GRADES[grade], 100.0 if rule == "low_share" else 1.0
            own = [begin[rule][name][mask] for begin, mask in zip(begins, judged, strict=True)]
            point, sign = band.point * scale, -1.0 if rule == "low_share" else 1.0
            proposed = _point_for(own, wanted[name], sign)
            chosen[rule, name] = (point, proposed, sign)
            rows.append((rule, name, point, _share(own, point, sign), proposed, _share(own, proposed, sign)))
    rows += [(ALL_RULES, grade, np.nan, *_together(begins, judged, chosen, grade)) for grade in GRADES]
    table = pd.DataFrame(rows, columns=["rule", "warning", "point", "warned", "proposed", "warned_proposed"])
    table = table.assign(
        period=last.period, level=level, n=people, units=np.mean([mask.sum() for mask in judged]), waves=len(waves)
    )
    common: dict[str, Any] = {
        "period": last.period, "periods": tuple(order([wave.period for wave in waves])), "spec": last.spec,
        "withheld": {period: rows for wave in waves for period, rows in wave.withheld.items()},
        "basis": tuple(basis for wave in waves for basis in wave.basis),
    }  # fmt: skip
    keys = ("period", "level", "rule", "warning")
    return Result(table=table[[*keys, *STATISTICS]], keys=keys, statistics=STATISTICS, together=STATISTICS, **common)


_RULES = {"index_low": "warning", "dimension_low": "warning_dimension", "low_share": "low_answers"}


def _check(waves: Sequence[Scores], level: str, capacity: Mapping[str, float]) -> None:
    if not waves:
        raise UsageError("calibrate: 至少一期得分 (scores of one wave at least): [ws.scores(p) for p in ws.periods]")
    for wave in waves:
        if level not in set(wave.table["level"]):
            raise unknown(f"{wave.period} 的层级/level", level, wave.table["level"].unique())
    for grade in GRADES:
        if not 0 <= capacity.get(grade, -1) <= 1 or set(capacity) - set(GRADES):
            raise UsageError(
                f"calibrate: capacity 给出 {', '.join(GRADES)} 各级的比例,0—1 (a share for each grade): {dict(capacity)}"
            )


def _index_rows(wave: Scores, level: str) -> pd.DataFrame:
    table = wave.table
    index = wave.spec.codebook.index
    own = (table["form"] == "anchors") & (table["code"] == index) & (table["level"] == level)
    return table[own].drop_duplicates("unit").reset_index(drop=True)


def _points_of_wave(wave: Scores, level: str) -> dict[str, dict[str, np.ndarray]]:
    """Return rule → grade → the cut point at which each unit begins to be warned; NaN for units that are not judged."""
    rows, spec = _index_rows(wave, level), wave.spec
    keys: Keys = list(zip(rows["level"], rows["unit"], strict=True))
    index = shrunk_means(wave, [str(spec.codebook.index)], keys)
    dimensions = shrunk_means(wave, [node.code for node in spec.codebook.dimensions], keys)
    rate = wave.response.table.set_index(["level", "unit"])["rate"].reindex(keys).to_numpy(float)
    judged = np.isfinite(index.mean[:, 0]) & ~(rate < spec.rules.response.minimum)
    lowest = np.where(judged, 100 * low_shares(wave, keys)["low"].to_numpy(float), np.nan)
    begins: dict[str, dict[str, np.ndarray]] = {rule: {} for rule in _RULES}
    for grade, band in graded(spec.bands["warning"]):
        begins["index_low"][GRADES[grade]] = np.where(judged, _begins(index, band.sure)[:, 0], np.nan)
    for grade, band in graded(spec.bands["warning_dimension"]):
        each = np.sort(_begins(dimensions, band.sure), axis=1)
        enough = each.shape[1] >= band.at_least
        begins["dimension_low"][GRADES[grade]] = each[:, band.at_least - 1] if enough else np.full(len(keys), np.inf)
    for grade, _ in graded(spec.bands["low_answers"]):
        begins["low_share"][GRADES[grade]] = lowest
    return begins


def _begins(means: ShrunkMeans, sure: float) -> np.ndarray:
    """Return the point below which each true mean lies with this probability; units × codes."""
    low, high = np.zeros_like(means.mean), np.full_like(means.mean, 100.0)
    for _ in range(STEPS):
        middle = (low + high) / 2
        reached = _chances(means, middle) >= sure - SLACK
        low, high = np.where(reached, low, middle), np.where(reached, middle, high)
    return np.where(np.isfinite(means.mean), high, np.nan)


def _chances(means: ShrunkMeans, points: np.ndarray) -> np.ndarray:
    # The law of a mean only shifts with it: the chance to lie below a point is that of the distance below 0.
    shifted = ShrunkMeans(means.codes, means.mean - points, means.se, means.df, means.skewness)
    return shifted.chance(0.0, "below")


def _warned(begin: np.ndarray, point: float, sign: float) -> np.ndarray:
    """Tell which units a point warns: from where they begin on, of shares of people strictly below it."""
    return np.asarray(point >= begin - SLACK if sign > 0 else begin > point + SLACK)


def _share(begins: Sequence[np.ndarray], point: float, sign: float) -> float:
    """Share of units warned at a point, mean over the waves."""
    shares = [_warned(begin, point, sign).mean() for begin in begins if len(begin)]
    return float(np.mean(shares)) if shares else np.nan


def _point_for(begins: Sequence[np.ndarray], wanted: float, sign: float) -> float:
    """Return the whole point that warns as many as may be and no more; missing where every point warns too many."""
    points = np.arange(100.0, -1, -1) if sign > 0 else np.arange(0.0, 101)
    return next((float(point) for point in points if _share(begins, point, sign) <= wanted), np.nan)


def _together(
    begins: Sequence[Mapping[str, Mapping[str, np.ndarray]]], judged: Sequence[np.ndarray],
    chosen: Mapping[tuple[str, str], tuple[float, float, float]], grade: str,
) -> tuple[float, float, float]:  # fmt: skip
    """Share of units that any rule warns at a grade or a graver one: declared, nothing, and proposed."""
    shares = []
    for which in (0, 1):
        of_waves = []
        for begin, mask in zip(begins, judged, strict=True):
            warned = np.zeros(int(mask.sum()), dtype=bool)
            for (rule, name), cut in chosen.items():
                if GRADES.index(name) >= GRADES.index(grade) and np.isfinite(cut[which]):
                    warned |= _warned(begin[rule][name][mask], cut[which], cut[2])
            of_waves += [warned.mean()] if len(warned) else []
        shares.append(float(np.mean(of_waves)) if of_waves else np.nan)
    return shares[0], np.nan, shares[1]
