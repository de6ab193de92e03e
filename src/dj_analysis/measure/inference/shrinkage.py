"""Shrinkage of the means of small units towards the mean of their level (Fay–Herriot)."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from scipy import optimize, special

from ...errors import UsageError, unknown
from ...result import Result, keys_of
from ...spec import reasons
from ...spec.settings import FLOOR
from ..scores import KEYS, Scores, inherited, joined

Between = Literal["paule-mandel", "dersimonian-laird", "reml"]
Error = Literal["morris", "prasad-rao"]
Variance = Literal["own", "pooled"]

LEAST_UNITS = 4  # Morris's correction divides by the number of units less three
STATISTICS = ("n", "score", "shrunken", "se", "low", "high", "weight")


@dataclass(frozen=True)
class Shrunk:
    """Shrunken means of units, arrays in the order of the units.

    Attributes
    ----------
    estimate, se, df, low, high
        The shrunken mean, its standard error (with the error of μ and τ²), degrees of freedom and interval; NaN for a unit
        that took no part.
    weight
        Share of the unit's own mean in the estimate, 0–1; the rest is ``mu``'s.
    tau2
        Variance of the units' true means, τ².
    mu
        Mean of the units' true means.
    method
        The estimator of τ² and the kind of error, by name.
    """

    estimate: np.ndarray
    se: np.ndarray
    df: np.ndarray
    low: np.ndarray
    high: np.ndarray
    weight: np.ndarray
    tau2: float
    mu: float
    method: str


def shrink(
    mean: ArrayLike,
    se: ArrayLike,
    n: ArrayLike | None = None,
    *,
    tau2: Between | float = "paule-mandel",
    error: Error = "morris",
    variance: Variance = "own",
    confidence: float = 0.95,
) -> Shrunk:
    """Shrink the means of units towards their common mean, the more the larger their standard error.

    The area-level model of Fay and Herriot (1979) without covariates: y_j ~ N(θ_j, σ_j²), θ_j ~ N(μ, τ²), so that
    θ̂_j = μ̂ + B_j(y_j − μ̂), B_j = τ²/(τ² + σ_j²), μ̂ the mean weighted by 1/(τ² + σ_j²).

    Parameters
    ----------
    mean, se
        Means of units and their standard errors, of one length, in the same points; NaN in either leaves the unit out.
        A unit with se 0 is known: it keeps its mean and does not affect the others.
    n
        (Effective) number of persons behind each mean; NaN, or None for all, where se is known and not estimated.
        The intervals then use Student's t with (n − 1)/B_j² degrees of freedom (Satterthwaite 1946: a share B_j² of
        the variance of the estimate's variance comes from se²).
    tau2
        ``"paule-mandel"`` solves Σ(y_j − μ̂)²/(τ² + σ_j²) = k − 1, the equation of Fay and Herriot (1979) and Paule and
        Mandel (1982): the default, because it assumes no normal distribution, does not let the largest units decide τ²
        alone as DerSimonian and Laird do, and with equal errors gives the estimator of James and Stein (1961).
        ``"dersimonian-laird"`` (1986) is the closed form with weights 1/σ_j². ``"reml"`` is restricted maximum likelihood.
        A number is a known τ² (of an earlier year): no correction for its error is made.
    error
        ``"morris"``: Morris (1983, section 5), B_j shrunk a little more by (k − 3)/(k − 1), and se² = σ_j²(1 − (1 − w_j)(1 − B_j)) +
        2/(k − 3)·(1 − B_j)²·(σ̄² + τ²)/(σ_j² + τ²)·(y_j − μ̂)², w_j the weight of unit j in μ̂. ``"prasad-rao"``: B_j as it
        is, and se² = g₁ + g₂ + 2g₃ (Prasad and Rao 1990, with the variance of a likelihood estimator of τ², Datta and
        Lahiri 2000); its intervals hold the truth too seldom where units are few and differ little.
    variance
        ``"own"``: σ_j² is se². ``"pooled"``: it is the variance of persons, one for all units, divided by ``n``
        (:func:`pooled_variance`); where the unit's own se² is larger, the variance of its estimate grows by B_j² times the
        difference (:func:`with_own`). Near an end of the scale an own σ_j² is smallest where the mean is by chance high, and
        draws all units there.
    confidence
        Confidence of the intervals, on average over units.

    Returns
    -------
    Shrunk
        Everything NaN where fewer than four units have an error.

    Notes
    -----
    Weighted answers enter through mean and se. The units must be alike but for chance (one level of one tree).

    Examples
    --------
    >>> shrunk = shrink([70, 60, 65, 75, 50], [4, 4, 4, 4, 4])
    >>> shrunk.estimate.round(1).tolist()
    [69.5, 60.3, 64.9, 74.0, 51.2]
    """
    if error not in _ERRORS:
        raise unknown("error", error, _ERRORS)
    y, sigma = _checked(mean, se)
    df = np.full(y.shape, np.inf) if n is None else np.asarray(n, dtype=float) - 1
    df = np.where(np.isnan(df), np.inf, df)
    usable = np.isfinite(y) & np.isfinite(sigma)
    with_error = usable & (sigma > 0)
    empty = np.full(y.shape, np.nan)
    name = f"tau2 {tau2}, error {error if isinstance(tau2, str) else 'of a known tau2'}"
    name += ", pooled variance" if variance == "pooled" else ""
    if with_error.sum() < LEAST_UNITS:
        return Shrunk(empty, empty, empty, empty, empty, empty, float("nan"), float("nan"), name)
    own = sigma[with_error] ** 2
    v = own if variance == "own" else pooled_variance(own, df[with_error])
    between = _between(tau2)(y[with_error], v)
    mu = float(np.average(y[with_error], weights=1 / (v + between)))
    shrinkage, squared = (_known_variance if not isinstance(tau2, str) else _ERRORS[error])(y[with_error], v, between)
    free = np.maximum(df, 1)
    with np.errstate(divide="ignore"):
        if variance == "own":
            free[with_error] /= (between / (v + between)) ** 2
        else:
            squared, free[with_error] = with_own(squared, 1 - shrinkage, own, v, free[with_error])
    weight, estimate_se = np.where(usable, 1.0, np.nan), np.where(usable, 0.0, np.nan)
    weight[with_error], estimate_se[with_error] = 1 - shrinkage, np.sqrt(squared)
    half = special.stdtrit(free, 0.5 + confidence / 2) * estimate_se
    estimate = mu + weight * (y - mu)
    return Shrunk(estimate, estimate_se, free, estimate - half, estimate + half, weight, between, mu, name)


def pooled_variance(squared: np.ndarray, df: np.ndarray, axis: int = 0) -> np.ndarray:
    """Return the variance of each mean if persons of all units scatter alike: Σ df·n·se²/Σ df, divided by n = df + 1.

    Parameters
    ----------
    squared
        se² of the means; NaN takes no part.
    df
        Degrees of freedom of each, n − 1 of (effective) persons.
    axis
        Over which units are counted.
    """
    free = np.where(np.isfinite(squared), df, 0.0)
    persons = (free * (df + 1) * np.nan_to_num(squared)).sum(axis=axis, keepdims=True) / free.sum(
        axis=axis, keepdims=True
    )
    return np.asarray(persons / (df + 1))


def with_own(
    squared: np.ndarray, weight: np.ndarray, own: np.ndarray, pooled: np.ndarray, df: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return variance and degrees of freedom of shrunken means whose unit may scatter more than all others do.

    Parameters
    ----------
    squared
        Variance of the shrunken means with the pooled variance of the means.
    weight
        Share B of the unit's own mean in its shrunken one.
    own, pooled
        Own variance of the means (with ``df``), and the pooled one, which is as good as known.
    """
    more = own > pooled
    total = squared + weight**2 * np.where(more, own - pooled, 0)
    part = np.maximum(weight**2 * own, np.finfo(float).tiny)
    return total, np.where(more, df * (total / part) ** 2, np.inf)


def shrunken(
    scores: Scores,
    level: str,
    *,
    leave_out: Collection[tuple[str, str]] = (),
    tau2: Between | float = "paule-mandel",
    error: Error = "morris",
    confidence: float = 0.95,
) -> Result:
    """Shrink the scores of one level's units, code by code; see :func:`shrink`.

    Parameters
    ----------
    scores
        What :func:`dj_analysis.score` returned.
    level
        A unit level or group column of its table.
    leave_out
        Further (level, unit) rows that take no part, beside ``scores.withheld``: those a release plan hides. Every
        shrunken score depends on all units that take part, so what must be suppressed may not be among them.
    tau2, error, confidence
        As in :func:`shrink`.

    Returns
    -------
    Result
        period, level, unit, form, code, n, score (0–100), shrunken, se (of the shrunken score), low, high (cut to
        0–100), weight (share of the unit's own score, 0–1), reason. Units with fewer than min_group persons, withheld
        ones, and all where fewer than four units are left have no shrunken score (数据不足); so do units whose score
        has no error, with its reason. Part ``model``: period, level, form, code, n (persons behind the units that took
        part), units, mu, tau2, method.

    Raises
    ------
    UsageError
        A level that is not in the table.
    """
    table = scores.table[scores.table["level"] == level].reset_index(drop=True)
    if table.empty:
        raise unknown("层级或分组/level or group", level, scores.table["level"].unique())
    small = left_out(table, scores, leave_out)
    estimable = table["score"].notna() & table["se"].notna()
    shrunken_table, models = table[[*KEYS, "n", "score"]].copy(), []
    shrunken_table[["shrunken", "se", "low", "high", "weight"]] = np.nan
    for keys, rows in table[estimable & ~small].groupby(["period", "level", "form", "code"], sort=False):
        shrunk = shrink(
            rows["score"], rows["se"], rows["df"] + 1, tau2=tau2, error=error, confidence=confidence,
            variance="pooled" if scores.about == "persons" else "own",
        )  # fmt: skip
        columns = (shrunk.estimate, shrunk.se, np.clip(shrunk.low, 0, 100), np.clip(shrunk.high, 0, 100), shrunk.weight)
        shrunken_table.loc[rows.index, ["shrunken", "se", "low", "high", "weight"]] = np.column_stack(columns)
        models.append((*keys, rows["n"].sum(), len(rows), shrunk.mu, shrunk.tau2, shrunk.method))
    shrunken_table["reason"] = _reasons(table, small, shrunken_table["shrunken"].isna())
    names = ["period", "level", "form", "code", "n", "units", "mu", "tau2", "method"]
    common = inherited(scores)
    model = Result(
        table=pd.DataFrame(models, columns=names), keys=tuple(names[:4]), statistics=tuple(names[4:]),
        together=tuple(names[4:]), **common,
    )  # fmt: skip
    return Result(
        table=joined([shrunken_table]), keys=KEYS, statistics=STATISTICS, parts={"model": model},
        together=("shrunken", "se", "low", "high", "weight"), **common,
    )  # fmt: skip


def left_out(table: pd.DataFrame, scores: Result, leave_out: Collection[tuple[str, str]]) -> pd.Series:
    """Flag rows of a score table with too few persons or under suppression; no statistic uses them."""
    suppressed = set(leave_out).union(*scores.withheld.values())
    rows = pd.Series(keys_of(table, "level", "unit"), index=table.index, dtype=object)
    small = table["n"] < max(scores.spec.min_group, FLOOR) if scores.about == "persons" else False
    return rows.isin(suppressed) | small


def _reasons(table: pd.DataFrame, small: pd.Series, missing: pd.Series) -> pd.Series:
    reason = pd.Series("", index=table.index, dtype="str")
    reason[missing] = reasons.TOO_FEW_TO_JUDGE
    no_error = missing & ~small & table["se"].isna()
    reason[no_error] = table["reason"].where(table["reason"] != "", reasons.NO_ERROR_SOURCE)[no_error]
    no_score = missing & table["score"].isna()
    reason[no_score] = table["reason"][no_score]
    return reason


def _checked(mean: ArrayLike, se: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
    y, sigma = np.asarray(mean, dtype=float), np.asarray(se, dtype=float)
    if y.ndim != 1 or y.shape != sigma.shape:
        raise UsageError(f"mean {y.shape}, se {sigma.shape}: 须为等长的一维数组 (vectors of one length are needed)")
    if (sigma < 0).any():
        raise UsageError("se: 标准误不能为负 (a standard error cannot be negative)")
    return y, sigma


def _between(tau2: Between | float) -> Callable[[np.ndarray, np.ndarray], float]:
    """Return the estimator of τ² of this name, or a constant function for a known τ²."""
    if not isinstance(tau2, str):
        if not 0 <= tau2 < np.inf:
            raise UsageError(f"tau2 = {tau2}: 应为非负数 (a number of at least 0 is needed)")
        return lambda y, v: float(tau2)
    if tau2 not in _BETWEEN:
        raise unknown("tau2", tau2, _BETWEEN)
    return _BETWEEN[tau2]


def _dersimonian_laird(y: np.ndarray, v: np.ndarray) -> float:
    w = 1 / v
    excess = _heterogeneity(0, y, v) - (len(y) - 1)
    return max(0.0, float(excess / (w.sum() - (w**2).sum() / w.sum())))


def _paule_mandel(y: np.ndarray, v: np.ndarray) -> float:
    k = len(y)
    if _heterogeneity(0, y, v) <= k - 1:
        return 0.0
    upper = float(np.sum((y - y.mean()) ** 2))  # there Σ(y−μ̂)²/(τ²+σ²) is below 1
    return float(optimize.brentq(lambda t: _heterogeneity(t, y, v) - (k - 1), 0, upper, xtol=1e-12 * upper, rtol=1e-12))


def _heterogeneity(t: float, y: np.ndarray, v: np.ndarray) -> float:
    """Cochran's Q around the mean weighted for this τ²; it falls as τ² grows."""
    w = 1 / (v + t)
    return float(w @ (y - w @ y / w.sum()) ** 2)


def _reml(y: np.ndarray, v: np.ndarray) -> float:
    """Maximise the restricted likelihood, on a grid first because it may have several maxima."""

    def loss(t: ArrayLike) -> np.ndarray:
        w = 1 / (v + np.asarray(t)[..., None])
        total = w.sum(axis=-1)
        deviations = y - (w @ y / total)[..., None]
        return np.asarray(np.log(total) - np.log(w).sum(axis=-1) + (w * deviations**2).sum(axis=-1))

    upper = float(np.sum((y - y.mean()) ** 2)) + float(v.min())
    grid = np.concatenate([[0.0], np.geomspace(1e-6 * upper, upper, 200)])
    best = int(np.argmin(loss(grid)))
    bounds = (grid[max(best - 1, 0)], grid[min(best + 1, 200)])
    optimum = optimize.minimize_scalar(loss, bounds=bounds, method="bounded", options={"xatol": 1e-9 * bounds[1]})
    return float(optimum.x) if optimum.fun < loss(0.0) else 0.0


_BETWEEN: dict[str, Callable[[np.ndarray, np.ndarray], float]] = {
    "paule-mandel": _paule_mandel,
    "dersimonian-laird": _dersimonian_laird,
    "reml": _reml,
}


def _morris(y: np.ndarray, v: np.ndarray, t: float) -> tuple[np.ndarray, np.ndarray]:
    """Return the shrinkage 1 − B of each unit and the variance of its estimate."""
    k, w = len(y), 1 / (v + t)
    share = w / w.sum()
    shrinkage = (k - 3) / (k - 1) * v * w
    variance_of_shrinkage = 2 / (k - 3) * shrinkage**2 * (share @ v + t) * w
    return shrinkage, v * (1 - (1 - share) * shrinkage) + variance_of_shrinkage * (y - share @ y) ** 2


def _prasad_rao(y: np.ndarray, v: np.ndarray, t: float) -> tuple[np.ndarray, np.ndarray]:
    w = 1 / (v + t)
    shrinkage, variance = _known_variance(y, v, t)
    return shrinkage, variance + 2 * v**2 * w**3 * 2 / (w**2).sum()


def _known_variance(y: np.ndarray, v: np.ndarray, t: float) -> tuple[np.ndarray, np.ndarray]:
    """Return shrinkage and variance (g₁ + g₂) of the best linear unbiased prediction, τ² known."""
    w = 1 / (v + t)
    shrinkage = v * w
    return shrinkage, v * (1 - shrinkage) + shrinkage**2 / w.sum()


_ERRORS = {"morris": _morris, "prasad-rao": _prasad_rao}
