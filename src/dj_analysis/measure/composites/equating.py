"""Equating of scores made by two versions of a list of indicators, from units that have both."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

LEAST_UNITS = 3  # fewer units give no error of the link


@dataclass(frozen=True)
class Equation:
    """A line from scores of one version to scores of another: ``value + slope · (x − centre)``.

    Attributes
    ----------
    centre, value
        Mean score in the one version, and what it corresponds to in the other.
    slope
        Ratio of the spreads between units; 1 where means alone are equated.
    se, slope_se
        Standard error of ``value``, and of ``slope`` (0 where it is not estimated).
    units
        Units it was estimated from.
    """

    centre: float
    value: float
    slope: float
    se: float
    slope_se: float
    units: int

    def __call__(self, x: np.ndarray) -> np.ndarray:
        """Return what scores of the one version correspond to in the other."""
        return np.asarray(self.value + self.slope * (x - self.centre))

    def error(self, x: np.ndarray) -> np.ndarray:
        """Return the standard error of the link at each score: it grows away from the mean of the units."""
        return np.asarray(np.sqrt(self.se**2 + (self.slope_se * (x - self.centre)) ** 2))

    @property
    def inverse(self) -> Equation:
        """The line back."""
        b = self.slope
        return Equation(self.value, self.centre, 1 / b, self.se / b, self.slope_se / b**2, self.units)


def equate(
    x: np.ndarray,
    y: np.ndarray,
    anchors: tuple[np.ndarray, np.ndarray] | None = None,
    *,
    spread: bool = True,
    common: float = 0.0,
) -> Equation | None:
    """Equate two versions by means and standard deviations over the same units.

    Without anchors the units are taken to be as good on average in both months: x corresponds to ȳ + (s_y/s_x)(x − x̄) (mean-sigma,
    single group; Kolen and Brennan 2014, ch. 2). With anchors, the indicators both versions share say how far the units moved in between:
    x is linked to the anchors of its own months and these to y in theirs (chained linear equating, ch. 4 and 5).

    Parameters
    ----------
    x, y
        Score of each unit under the old and under the new version, NaN missing.
    anchors
        Score of each unit on the shared indicators, in the months of x and in those of y.
    spread
        False: means alone are equated, every slope is 1 (few units: ch. 8).
    common
        Standard deviation of a movement all units have in common between the months of x and y, which means of the same units
        cannot tell from the change of version; it is added to the error.

    Returns
    -------
    Equation or None
        None with fewer than three units that have everything. Standard errors are those of the jackknife over units, which is never too
        small on average (Efron and Stein 1981).

    Examples
    --------
    >>> line = equate(np.array([60.0, 70, 80]), np.array([50.0, 55, 60]))
    >>> line.slope, line(np.array([90.0])).tolist()
    (0.5, [65.0])
    """
    columns = np.column_stack([x, y, *(anchors or ())])
    columns = columns[~np.isnan(columns).any(axis=1)]
    units = len(columns)
    if units < LEAST_UNITS:
        return None
    centre = float(columns[:, 0].mean())
    mean, square = columns.mean(axis=0), ((columns - columns.mean(axis=0)) ** 2).mean(axis=0)
    value, slope = (float(part[0]) for part in _lines(mean[None], np.sqrt(square)[None], centre, spread))
    se, slope_se = (_jackknifed(part) for part in _lines(*_without_one(columns), centre, spread))
    return Equation(centre, value, slope, float(np.hypot(se, common)), slope_se, units)


def _without_one(columns: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return means and standard deviations of the columns, each unit left out in turn."""
    units = len(columns)
    centred = columns - columns.mean(axis=0)
    mean = (centred.sum(axis=0) - centred) / (units - 1)
    square = ((centred**2).sum(axis=0) - centred**2) / (units - 1) - mean**2
    return columns.mean(axis=0) + mean, np.sqrt(square.clip(min=0))


def _jackknifed(without: np.ndarray) -> float:
    """Standard error from estimates without each unit."""
    units = len(without)
    return float(np.sqrt((units - 1) / units * ((without - without.mean()) ** 2).sum()))


def _lines(mean: np.ndarray, sd: np.ndarray, centre: float, spread: bool) -> tuple[np.ndarray, np.ndarray]:
    """Return value at the centre and slope; rows of means and standard deviations of x, y[, anchors of x, anchors of y]."""
    x, y = mean[:, 0], mean[:, 1]
    if mean.shape[1] == 2:
        slope = _ratio(sd[:, 1], sd[:, 0], spread)
        return y + slope * (centre - x), slope
    into = _ratio(sd[:, 2], sd[:, 0], spread)
    out = _ratio(sd[:, 1], sd[:, 3], spread)
    return y + out * (mean[:, 2] + into * (centre - x) - mean[:, 3]), into * out


def _ratio(upper: np.ndarray, lower: np.ndarray, spread: bool) -> np.ndarray:
    """Ratio of two spreads; 1 where means alone are equated or units do not differ."""
    differ = (upper > 1e-9) & (lower > 1e-9)
    return np.where(differ & spread, np.divide(upper, lower, out=np.ones_like(upper), where=differ), 1.0)
