"""Difference in differences: how far units with a measure moved apart from those without it, or not yet with it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy import stats

FEW_UNITS = 30  # under so many units the interval comes from a wild bootstrap (Cameron, Gelbach and Miller 2008)
LEAST_EACH_SIDE = 4  # units with and units without, below which neither bootstrap nor robust errors hold
DRAWS = 1999


@dataclass(frozen=True)
class PanelEstimate:
    """An estimate with its error: ``method`` says which (``cluster``, ``pooled`` or ``wild_bootstrap``)."""

    effect: float
    se: float
    df: float
    low: float
    high: float
    p: float
    method: str


@dataclass(frozen=True)
class UnitPanel:
    """Values of units over periods, none missing.

    Attributes
    ----------
    values
        Units × periods.
    first
        The place of the first period with the measure of each unit, at least 1; the number of periods for one that never
        has it in these periods.

    In a complete panel every difference in differences is a weighted sum of the means of units that start together, so that its
    error is that of means of units: whatever correlates within a unit is in it (clustered by unit).
    """

    values: np.ndarray
    first: np.ndarray

    @cached_property
    def starts(self) -> list[int]:
        """Different starts, never last."""
        return sorted({int(one) for one in self.first})

    @cached_property
    def sizes(self) -> np.ndarray:
        """Number of units of each start."""
        return np.array([(self.first == one).sum() for one in self.starts], dtype=float)

    @property
    def periods(self) -> int:
        """Number of periods."""
        return int(self.values.shape[1])

    @property
    def treated(self) -> list[int]:
        """Starts within these periods."""
        return [one for one in self.starts if one < self.periods]

    @cached_property
    def pooled(self) -> np.ndarray:
        """Covariance of the periods within units of one start, taken as the same for all."""
        left = np.concatenate([own - own.mean(axis=0) for own in self._blocks()])
        return np.asarray(left.T @ left / max(self.df_pooled, 1))

    @property
    def df_pooled(self) -> int:
        """Units less starts."""
        return len(self.first) - len(self.starts)

    def contrast(self, weights: np.ndarray, confidence: float = 0.95) -> PanelEstimate:
        """Return a weighted sum of the means of starts (starts × periods of weights) with its error clustered by unit.

        Each start's variance is its own, degrees of freedom by Welch and Satterthwaite (what Bell and McCaffrey's correction gives
        here); where a start has fewer than two units, or a side fewer than four, variances are pooled (Donald and Lang 2007).
        """
        used = np.abs(weights).sum(axis=1) > 0
        effect, variances, means = 0.0, [], []
        for own, row in zip(self._blocks(), weights, strict=True):
            of_units = own @ row
            effect += float(of_units.mean())
            variances.append(of_units.var(ddof=1) / len(own) if len(own) > 1 else np.nan)
            means.append(len(own) - 1)
        pooled = self.few_on_a_side or bool((self.sizes[used] < 2).any())
        if pooled:
            variance = float(sum(row @ self.pooled @ row / size for row, size in zip(weights, self.sizes, strict=True)))
            df = float(self.df_pooled)
        else:
            own_variances, own_df = np.array(variances)[used], np.array(means, dtype=float)[used]
            variance = float(own_variances.sum())
            df = float(variance**2 / (own_variances**2 / own_df).sum()) if variance > 0 else float(own_df.sum())
        if df < 1 or not variance > 1e-18 * max(1.0, float(np.abs(self.values).max()) ** 2):  # nothing varies
            return PanelEstimate(effect, np.nan, np.nan, np.nan, np.nan, np.nan, "")
        se = float(np.sqrt(variance))
        half = float(stats.t.ppf(0.5 + confidence / 2, df)) * se
        p = float(2 * stats.t.sf(abs(effect) / se, df))
        return PanelEstimate(effect, se, df, effect - half, effect + half, p, "pooled" if pooled else "cluster")

    @property
    def few_on_a_side(self) -> bool:
        """Whether fewer than four units have the measure, or fewer than four never have it and none starts later."""
        with_measure = int((self.first < self.periods).sum())
        latest = max(self.starts)
        return min(with_measure, int((self.first == latest).sum())) < LEAST_EACH_SIDE

    def average_weights(self) -> np.ndarray:
        """Weights of the effect averaged over units and periods with the measure.

        One start: periods after against periods before, which is the regression with unit and time effects. Several: group-time
        effects against units that do not have it yet, averaged by units (Callaway and Sant'Anna 2021, simple aggregation).
        """
        if len(self.treated) == 1:
            start = self.treated[0]
            row = np.where(np.arange(self.periods) >= start, 1 / (self.periods - start), -1 / start)
            return np.vstack([row if one == start else -row for one in self.starts])
        cells = [(start, t) for start in self.treated for t in range(start, self.periods)]
        return self._averaged([cell for cell in cells if self._controls(*cell).any()])

    def event_weights(self) -> dict[int, np.ndarray]:
        """Weights of the effect by periods since the start; −1, the last period before, is what the others are held against."""
        reach = range(-max(self.treated), self.periods - min(self.treated))
        by_time = {}
        for since in (one for one in reach if one != -1):
            cells = [(start, start + since) for start in self.treated if 0 <= start + since < self.periods]
            if usable := [cell for cell in cells if self._controls(*cell).any()]:
                by_time[since] = self._averaged(usable)
        return by_time

    def group_weights(self) -> dict[tuple[int, int], np.ndarray]:
        """Weights of each group-time effect: (start, period)."""
        cells = ((start, t) for start in self.treated for t in range(start, self.periods))
        return {cell: self._group_time(*cell) for cell in cells if self._controls(*cell).any()}

    def pre_trend(self) -> tuple[float, int, float]:
        """Test whether units with and without the measure moved alike before it: F, number of periods tested, p.

        Hotelling's T² of the effects by periods before the start, all at once, with the pooled covariance: its F is exact for normal
        values at any number of units. The latest periods only, where units are too few for all.
        """
        leads = [since for since in sorted(self.event_weights()) if since < -1]
        leads = leads[-max(self.df_pooled // 2, 1) :] if leads else []
        df = self.df_pooled - len(leads) + 1
        if not leads or df < 1:
            return np.nan, 0, np.nan
        weights = np.stack([self.event_weights()[since] for since in leads])
        means = np.stack([own.mean(axis=0) for own in self._blocks()])
        effects = (weights * means).sum(axis=(1, 2))
        covariance = np.einsum("agt,ts,bgs,g->ab", weights, self.pooled, weights, 1 / self.sizes)
        try:
            distance = float(effects @ np.linalg.solve(covariance, effects))
        except np.linalg.LinAlgError:
            return np.nan, 0, np.nan
        f = distance * df / (self.df_pooled * len(leads))
        return f, len(leads), float(stats.f.sf(f, len(leads), df))

    def wild_bootstrap(self, confidence: float = 0.95, draws: int = DRAWS, seed: int = 0) -> PanelEstimate:
        """Return the effect of one start with p-value and interval by the wild cluster bootstrap, the null imposed.

        Cameron, Gelbach and Miller (2008), two-point weights: at eight units, the fewest it is used for, they give 128 different
        draws, enough for a test at 5 %. The interval is made of the effects that the test does not reject. It does not hold with few
        units on one side (MacKinnon and Webb 2017).
        """
        row = self.average_weights()[self.starts.index(self.treated[0])]
        changes, with_measure = self.values @ row, self.first < self.periods
        rng = np.random.default_rng(seed)
        drawn = rng.choice(np.array([-1.0, 1.0]), (draws, len(changes)))
        own = self.contrast(self.average_weights(), confidence)

        def chance(null: float) -> float:
            left = changes - null * with_measure
            return wild_chance((own.effect - null) / own.se, left - left.mean(), with_measure, drawn)

        if not own.se > 0:
            return own
        ends = [_end(chance, own, side, 1 - confidence) for side in (-1, 1)]
        return PanelEstimate(own.effect, own.se, own.df, ends[0], ends[1], chance(0.0), "wild_bootstrap")

    def _blocks(self) -> Iterator[np.ndarray]:
        for start in self.starts:
            yield self.values[self.first == start]

    def _controls(self, start: int, period: int) -> np.ndarray:
        """Mark the starts whose units do not have the measure by that period, nor by the last one before the start."""
        return np.array([one > max(period, start - 1) and one != start for one in self.starts])

    def _group_time(self, start: int, period: int) -> np.ndarray:
        weights, controls = np.zeros((len(self.starts), self.periods)), self._controls(start, period)
        base, shares = start - 1, np.where(controls, self.sizes, 0.0)
        shares = shares / shares.sum()
        shares[self.starts.index(start)] -= 1.0
        weights[:, period] -= shares
        weights[:, base] += shares
        return weights

    def _averaged(self, cells: list[tuple[int, int]]) -> np.ndarray:
        sizes = np.array([self.sizes[self.starts.index(start)] for start, _ in cells])
        parts = zip(sizes / sizes.sum(), cells, strict=True)
        return np.asarray(sum(size * self._group_time(*cell) for size, cell in parts))


def wild_chance(t: float, residuals: np.ndarray, with_measure: np.ndarray, drawn: np.ndarray) -> float:
    """Return the share of bootstrap draws (draws × units of weights) whose t is at least as far from 0 as this one."""
    values = drawn * residuals
    sides = [values[:, with_measure], values[:, ~with_measure]]
    difference = sides[0].mean(axis=1) - sides[1].mean(axis=1)
    variance = sum(side.var(axis=1, ddof=1) / side.shape[1] for side in sides)
    with np.errstate(divide="ignore", invalid="ignore"):
        far = np.abs(difference) / np.sqrt(variance) >= abs(t) * (1 - 1e-12)
    return float((1 + far.sum()) / (1 + len(drawn)))


def _end(chance: Callable[[float], float], own: PanelEstimate, side: int, level: float) -> float:
    """Find the end of the interval on one side by halving: where the test begins to reject."""
    inside, step = own.effect, 2.0 * own.se
    for _ in range(12):
        if chance(own.effect + side * step) <= level:
            break
        inside, step = own.effect + side * step, 2.0 * step
    else:
        return side * np.inf
    outside = own.effect + side * step
    for _ in range(24):
        middle = (inside + outside) / 2
        inside, outside = (middle, outside) if chance(middle) > level else (inside, middle)
    return (inside + outside) / 2
