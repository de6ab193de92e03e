"""Heaping of last digits: whether values end in 0 or 5 more often than counted or measured ones do."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from ..measure.inference.uncertainty import shares_interval
from ..measure.review_steps import NOT_COUNTED, staged_values
from ..measure.survey import Indicators
from ..spec.periods import order
from ..spec.schemas import REVIEW_STAGES
from ..spec.tree import Node
from .change import q_values

TABLE = ("tested", "share", "low", "high", "expected_share", "p", "q", "heaped")
GRIDS = {"0|5": 5, "0": 10}  # what the last digit is → the values it stands on, in steps of the last place
LEAST = 30  # values tested; fewer tell nothing about their last digits
DECIMALS, USUAL = (
    4,
    0.8,
)  # an indicator has the fewest decimals (4 at most) in which this share of its values can be written
STEPPED = 0.95  # from this share of values on multiples of 2 or of the grid, the indicator moves in steps


@dataclass(frozen=True)
class Digits:
    """The values of one indicator in steps of its last place, and what may be tested of them.

    ``inside``: values whose whole neighbourhood of one grid step lies within the range; ``reason`` says why nothing is tested.
    """

    steps: np.ndarray
    inside: np.ndarray
    grid: int
    reason: str

    @property
    def on(self) -> np.ndarray:
        """Which of the tested values lie on the grid."""
        return np.asarray(self.inside & (self.steps % self.grid == 0))


def digit_tables(branches: Indicators, own: set[str] | None, discovery: float) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Test the last digits of what units reported, by indicator and by unit.

    Taken are the values as first reported (as released, where no earlier stage was kept); a value repeated from the month before is
    counted once. An indicator is tested where its last digits would be even if nobody rounded: at least 30 values off the ends
    of its range and off its target, their standard deviation not below the grid (5 steps of the last place for 0 or 5, 10
    for 0: then a normal distribution gives 1/5 and 1/10, an exponential one a little less), and no steps of its own
    (95 % of values on multiples of 2 or of the grid). So counts of a small range, yes/no values and points given in fives are never
    called heaped. A value is compared with its neighbours within half a grid step only, which keeps a slope of the
    distribution from counting (as Myers 1940 did for ages).

    Parameters
    ----------
    own
        Units whose values are counted by indicator; None for all. Units are held against all others on the same indicators.
    discovery
        False discovery rate (Benjamini and Hochberg 1995) within each of the two tables.

    Returns
    -------
    by indicator
        code, digit (``0|5``, ``0``), tested (values), share (ending so) with its Wilson interval, expected_share, p (binomial, one-sided), q,
        heaped, reason (why it was not tested). A percentage of small numbers ends in 0 or 5 by itself: then the indicator
        is heaped and nobody has rounded.
    by unit
        level, unit, digit and the same, over the indicators that were tested. Expected is on each indicator what the other units have,
        and no less than 1/5 (1/10).

    References
    ----------
    Myers (1940), Errors and bias in the reporting of ages, Trans. Actuar. Soc. Am. 41:395; Benjamini and Hochberg (1995).
    """
    values, leaves = first_values(branches), _widest(branches)
    among = np.ones(len(values), dtype=bool) if own is None else values["unit"].isin(own).to_numpy()
    number = values["value"].to_numpy(float)
    units = values[["level", "unit"]].drop_duplicates().sort_values("unit", kind="stable", ignore_index=True)
    unit_of = pd.MultiIndex.from_frame(units).get_indexer(pd.MultiIndex.from_frame(values[["level", "unit"]]))
    sums = {digit: np.zeros((3, len(units))) for digit in GRIDS}
    by_code = list[dict[str, Any]]()
    for code, rows in values.groupby("code", sort=False).indices.items():
        for digit, grid in GRIDS.items():
            of_own = last_digits(number[rows[among[rows]]], grid, *leaves[str(code)])
            by_code.append({"code": str(code), "digit": digit, **_tested(of_own, 1 / grid)})
            whole = of_own if own is None else last_digits(number[rows], grid, *leaves[str(code)])
            if not whole.reason:
                sums[digit] += _of_units(whole, unit_of[rows], len(units))
    codes = pd.DataFrame(by_code, columns=["code", "digit", "tested", "on", "expected_share", "p", "reason"])
    return _judged_digits(codes, discovery), _judged_digits(_unit_table(units, sums), discovery)


def first_values(branches: Indicators) -> pd.DataFrame:
    """Return each value as it was first reported: period, level, unit, code, value; repeated months once, blanks left out."""
    staged = staged_values(branches)
    tables = (
        [staged.sort_values("stage", key=lambda s: s.map(REVIEW_STAGES.index), kind="stable")] if len(staged) else []
    )
    for period, rows in branches.values.groupby("period", sort=False):
        units = branches.spec.units.at(str(period))
        levels = {unit.unit: unit.level for unit in units.rows} | {units.root.unit: units.root.level}
        asked = [leaf.code for leaf in branches.tree_at(str(period)).leaves if leaf.about != "persons"]
        kept = rows["code"].isin(asked) & rows["unit"].isin(list(levels)) & ~rows["reason"].isin(NOT_COUNTED)
        tables.append(rows[kept].assign(level=rows["unit"].map(levels)))
    columns = ["period", "level", "unit", "code", "value"]
    values = pd.concat([table[columns] for table in tables], ignore_index=True).dropna(subset="value")
    values = values.drop_duplicates(["period", "unit", "code"], keep="first")
    place = {period: number for number, period in enumerate(order(list(values["period"].unique())))}
    values = values.sort_values(["unit", "code", "period"], key=lambda s: s.map(place) if s.name == "period" else s)
    same = [values[name].eq(values[name].shift()) for name in ("unit", "code", "value")]
    return values[~(same[0] & same[1] & same[2])].sort_values("code", kind="stable").reset_index(drop=True)


def last_digits(values: np.ndarray, grid: int, low: float, high: float, target: float) -> Digits:
    """Write values in steps of their last place, and say whether their last digits can be tested on a grid.

    Parameters
    ----------
    low, high, target
        Range and target of the indicator; NaN where none is declared.
    """
    decimals = next((d for d in range(DECIMALS) if _written_in(values, d) >= USUAL), DECIMALS)
    steps = np.round(values * 10.0**decimals)
    before, after = grid // 2, grid - 1 - grid // 2  # of the nearest grid point: the neighbourhood it is held against
    nearest = np.floor((steps + before) / grid) * grid
    inside = np.ones(len(steps), dtype=bool)
    if low == low:
        inside &= nearest - before > low * 10**decimals
    if high == high:
        inside &= nearest + after < high * 10**decimals
    if target == target:
        inside &= nearest != np.floor((target * 10**decimals + before) / grid) * grid
    tested = steps[inside]
    reason = ""
    if len(tested) < LEAST:
        reason = "digits_too_few"
    elif max((tested % 2 == 0).mean(), (tested % grid == 0).mean()) >= STEPPED:
        reason = "digits_stepped"
    elif tested.std() < grid:
        reason = "digits_narrow"
    return Digits(steps, inside, grid, reason)


def _written_in(values: np.ndarray, decimals: int) -> float:
    scaled = values * 10.0**decimals
    return float((np.abs(scaled - np.round(scaled)) < 1e-6).mean()) if len(values) else 1.0


def _widest(branches: Indicators) -> dict[str, tuple[float, float, float]]:
    """Return range and target of each indicator, the widest of its versions."""
    ranges: dict[str, tuple[float, float, float]] = {}
    leaves: list[Node] = list(branches.spec.indicators.leaves) if branches.spec.indicators is not None else []
    for leaf in leaves:
        low, high, target = ranges.get(leaf.code, (float("nan"),) * 3)
        own = getattr(leaf, "target", float("nan"))
        ranges[leaf.code] = (
            float(np.fmin(low, leaf.minimum)),
            float(np.fmax(high, leaf.maximum)),
            own if own == own else target,
        )
    return ranges


def _tested(digits: Digits, expected: float) -> dict[str, Any]:
    n, on = int(digits.inside.sum()), int(digits.on.sum())
    p = float(stats.binom.sf(on - 1, n, expected)) if not digits.reason else float("nan")
    return {"tested": float(n), "on": float(on), "expected_share": expected, "p": p, "reason": digits.reason}


def _of_units(digits: Digits, unit: np.ndarray, units: int) -> np.ndarray:
    """Count each unit's tested values, those on the grid, and how many the other units lead to expect: 3 × units."""
    tested, on = (np.bincount(unit, weights=flag, minlength=units) for flag in (digits.inside, digits.on))
    others = tested.sum() - tested
    share = np.divide(on.sum() - on, others, out=np.zeros(units), where=others > 0)
    return np.stack([tested, on, np.maximum(share, 1 / digits.grid) * tested])


def _unit_table(units: pd.DataFrame, sums: dict[str, np.ndarray]) -> pd.DataFrame:
    """Test each unit's values over all indicators that were tested; a unit without any is a row."""
    tables = []
    for digit, (tested, on, expected) in sums.items():
        share = np.divide(expected, tested, out=np.full(len(units), np.nan), where=tested > 0)
        enough = tested >= LEAST
        p = np.where(enough, stats.binom.sf(on - 1, tested, np.nan_to_num(share)), np.nan)
        reason = np.where(enough, "", "digits_too_few")
        tables.append(units.assign(digit=digit, tested=tested, on=on, expected_share=share, p=p, reason=reason))
    return pd.concat(tables).sort_values(["unit", "level"], kind="stable", ignore_index=True)


def _judged_digits(table: pd.DataFrame, discovery: float) -> pd.DataFrame:
    low, high = shares_interval(table["on"].to_numpy(float), table["tested"].to_numpy(float))
    q = q_values(table["p"].astype("float64"))
    n = table["tested"].to_numpy(float)
    share = np.divide(table["on"].to_numpy(float), n, out=np.full(len(table), np.nan), where=n > 0)
    heaped = (q <= discovery).astype("boolean").mask(q.isna())
    return table.assign(share=share, low=low, high=high, q=q, heaped=heaped)
