"""How far several judges of the same things agree."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from scipy import special, stats

from ..inference.uncertainty import CONFIDENCE
from .two_way import (
    NO_DIFFERENCE,
    NOISE,
    NOT_BALANCED,
    NOT_CROSSED,
    SAME_SCORES,
    TOO_FEW_TARGETS,
    fit_two_way,
    groups_of,
    labelled,
)

_NOTHING = (np.nan,) * 4
_DESIGNS = ("one-way random", "two-way random, absolute agreement", "two-way mixed, consistency")
_UNBALANCED = {1: "one-way anova with n0", 2: "Henderson 1953, method 3", 3: "Henderson 1953, method 3"}
_AGREEMENT = ["coefficient", "estimate", "low", "high", "p", "n", "targets", "method", "reason"]


def icc(matrix: Any, confidence: float = CONFIDENCE) -> pd.DataFrame:
    """Compute the six intraclass correlations of Shrout and Fleiss (1979) with their F intervals.

    ICC(1,·) reads the judges of a target as any judges (one-way), ICC(2,·) as a sample of judges that all judge all targets
    (absolute agreement: the one to report by default is ``ICC(2,1)``), ICC(3,·) as the only judges there are
    (consistency: how strict each is does not count). ``,1`` is one judge, ``,k`` the mean of k.

    With missing cells the two-way forms come from variance components by Henderson's method 3 (1953), which equals the
    analysis of variance where nothing is missing; k is then the harmonic mean number of judges a target (ten Hove,
    Jorgensen, van der Ark 2022), ICC(1) uses n₀ = (N − Σn²/N)/(a−1). There is then no interval. The interval of ICC(2,·) is
    approximate: with few judges who differ much it holds the truth in 93 rather than 95 % (30 targets × 4 judges).

    All judges and targets count alike; there is no weighted form. Bands such as .40, .60, .75 (Cicchetti 1994) are conventions.

    Parameters
    ----------
    matrix
        Targets × raters; a frame or array, NaN where a rater did not judge a target.

    Returns
    -------
    DataFrame
        coefficient, estimate (1 at most; negative where judges of a target differ more than targets do), low, high,
        p (of F against no agreement), n (raters), targets, method, reason.
    """
    values, *_ = labelled(matrix)
    a, b = values.shape
    k = float(1 / np.mean(1 / (~np.isnan(values)).sum(axis=1)))
    one, two = _one_way(values), _two_way(values)
    rows = []
    for times, suffix, words in ((1.0, "1", "single rater"), (k, "k", f"mean of {k:.4g} raters")):
        for form, (found, design) in enumerate(zip((one, two, two), _DESIGNS, strict=True), start=1):
            source = "Shrout-Fleiss 1979" if found.get("balanced", 1) else _UNBALANCED[form]
            *figures, reason = _icc_row(form, times, found, confidence)
            rows.append((f"ICC({form},{suffix})", *figures, b, a, f"{source}: {design}, {words}", reason))
    return pd.DataFrame(rows, columns=_AGREEMENT)


def kendall_w(matrix: Any) -> pd.DataFrame:
    """Compute Kendall's coefficient of concordance with its correction for ties and the χ² test (Kendall 1948).

    W = 12·S/(m²(n³−n) − m·ΣT), T = Σ(t³−t) over the tied ranks of each judge; χ² = m(n−1)W with n−1 degrees of freedom,
    which is Friedman's statistic. With few judges the test is careful: at 5 % it errs in 3 to 4 % (5 judges). Only targets that every rater judged count.

    Parameters
    ----------
    matrix
        Targets × raters.

    Returns
    -------
    DataFrame
        One row: coefficient (``Kendall W``), estimate (0–1), p, n (raters), targets (that count), method, reason; W has no
        interval here (low and high are missing).
    """
    values, *_ = labelled(matrix)
    complete = values[~np.isnan(values).any(axis=1)]
    n, m = complete.shape
    estimate = p = np.nan
    reason = TOO_FEW_TARGETS if n < 3 or m < 2 else ""
    if not reason and (complete == complete[0]).all():
        reason = NO_DIFFERENCE
    if not reason:
        chi2, p = stats.friedmanchisquare(*complete)
        estimate = chi2 / (m * (n - 1))
    method = "Kendall 1948, corrected for ties; chi-square"
    row = ("Kendall W", estimate, np.nan, np.nan, p, m, n, method, reason)
    return pd.DataFrame([row], columns=_AGREEMENT)


def bland_altman(difference: Any, confidence: float = CONFIDENCE) -> pd.DataFrame:
    """Compute bias and limits of agreement of two ways to measure the same things (Bland–Altman 1986, 1999).

    The limits d̄ ± z·s hold 95 % of the differences. Interval of the bias: Student's t with n−1. Interval of a limit: exact, by the
    noncentral t (Carkeet 2015), d̄ + s/√n·t′(n−1, ±z√n); the papers' s·√(1/n + z²/2(n−1)) is its approximation for large n,
    which holds the true limit in 92 % of samples of 10. Differences are taken as normal, things count alike; no weighted form.

    Parameters
    ----------
    difference
        One difference a thing, first minus second way; NaN left out.
    confidence
        Of the limits and of their intervals.

    Returns
    -------
    DataFrame
        Rows ``bias``, ``limit_low``, ``limit_high``: coefficient, estimate, low, high, p (bias only: t test against 0), n
        (missing: the caller knows the raters), targets, method, reason.
    """
    d = np.asarray(difference, dtype=float)
    d = d[~np.isnan(d)]
    size, side = len(d), 0.5 + confidence / 2
    mean, s = (d.mean() if size else np.nan), (d.std(ddof=1) if size > 1 else np.nan)
    if size < 2 or s <= NOISE * max(1.0, float(np.abs(d).max())):
        s = np.nan
    z, unit = stats.norm.ppf(side), s / np.sqrt(max(size, 1))
    near, far = stats.nct.ppf([1 - side, side], max(size - 1, 1), z * np.sqrt(size)) * unit
    half = stats.t.ppf(side, max(size - 1, 1)) * unit
    p = 2 * stats.t.sf(abs(mean) / unit, max(size - 1, 1))
    reason = "" if s == s else TOO_FEW_TARGETS if size < 2 else SAME_SCORES
    told = (np.nan, size, "Bland-Altman 1999, interval Carkeet 2015", reason)
    rows = [
        ("bias", mean, mean - half, mean + half, p, *told),
        ("limit_low", mean - z * s, mean - far, mean - near, np.nan, *told),
        ("limit_high", mean + z * s, mean + near, mean + far, np.nan, *told),
    ]
    return pd.DataFrame(rows, columns=_AGREEMENT)


# --- Intraclass correlations ----------------------------------------------------------------------------------------


def _one_way(values: np.ndarray) -> dict[str, float]:
    """Mean squares between and within targets, whoever judged."""
    known = ~np.isnan(values)
    n = known.sum(axis=1)
    a, total = len(n), n.sum()
    if a < 2 or total <= a:
        return {"ok": 0.0, "many": 0.0}
    mean = np.where(known, values, 0.0).sum(axis=1) / n
    grand = np.nansum(values) / total
    between = (n * (mean - grand) ** 2).sum() / (a - 1)
    within = np.where(known, (values - mean[:, None]) ** 2, 0.0).sum() / (total - a)
    size = (total - (n**2).sum() / total) / (a - 1)
    return {
        "ok": 1.0, "msb": _quiet(between, values), "mse": _quiet(within, values), "df1": a - 1, "df2": total - a, "k": size,
        "balanced": float((n == n[0]).all()), "target": (between - within) / size, "rater": 0.0,
    }  # fmt: skip


def _two_way(values: np.ndarray) -> dict[str, float]:
    """Variance components of targets, raters and error by Henderson's method 3; those of the anova where nothing is missing."""
    known = ~np.isnan(values)
    n, m, total = known.sum(axis=1), known.sum(axis=0), known.sum()
    a, b, df = len(n), len(m), int(known.sum()) - len(n) - len(m) + 1
    if min(a, b) < 2 or df < 1 or groups_of(known).max() > 0:
        return {"ok": 0.0, "many": float(min(a, b) > 1)}
    grand = values[known].mean()
    _, mean, _, _, mse, _ = fit_two_way(values)
    explained = float(((values[known] - grand) ** 2).sum()) - mse * df
    column = np.where(known, values, 0.0).sum(axis=0) / m
    of_targets = explained - (m * (column - grand) ** 2).sum()  # adjusted for raters
    of_raters = explained - (n * (mean - grand) ** 2).sum()  # adjusted for targets
    target = (of_targets - (a - 1) * mse) / (total - (known / m).sum())
    rater = (of_raters - (b - 1) * mse) / (total - (known.T / n).sum())
    return {
        "ok": 1.0, "msb": _quiet(of_targets / (a - 1), values), "msj": of_raters / (b - 1), "mse": _quiet(mse, values), "df1": a - 1,
        "df2": df, "k": b, "balanced": float(known.all()), "target": target, "rater": rater,
    }  # fmt: skip


def _icc_row(form: int, times: float, found: dict[str, float], confidence: float) -> tuple[Any, ...]:
    """One coefficient: estimate, low, high, p, reason."""
    if not found["ok"]:
        return *_NOTHING, NOT_CROSSED if found["many"] else TOO_FEW_TARGETS
    target, error, rater = found["target"], found["mse"], found["rater"] if form == 2 else 0.0
    whole = target + rater + error + (times - 1) * target
    if found["msb"] == 0 or whole <= 0:
        return *_NOTHING, NO_DIFFERENCE
    estimate = times * target / whole
    if error == 0:
        return estimate, *_NOTHING[1:], SAME_SCORES
    p = special.fdtrc(found["df1"], found["df2"], found["msb"] / error)
    if not found["balanced"]:
        return estimate, np.nan, np.nan, p, NOT_BALANCED
    bounds = _agreement_bounds(found, confidence) if form == 2 else _f_bounds(found, confidence)
    low, high = (times * end / (1 + (times - 1) * end) for end in bounds)
    return estimate, low, high, p, ""


def _f_bounds(found: dict[str, float], confidence: float) -> tuple[float, float]:
    """Interval of the single-rater ICC(1) or ICC(3) (Shrout–Fleiss 1979, p. 424 and 426)."""
    f, k, df1, df2 = found["msb"] / found["mse"], found["k"], found["df1"], found["df2"]
    side = 0.5 + confidence / 2
    below, above = f / special.fdtri(df1, df2, side), f * special.fdtri(df2, df1, side)
    return (below - 1) / (below + k - 1), (above - 1) / (above + k - 1)


def _agreement_bounds(found: dict[str, float], confidence: float) -> tuple[float, float]:
    """Interval of ICC(2,1) with Satterthwaite's degrees of freedom (Fleiss–Shrout 1978; Shrout–Fleiss 1979, p. 425)."""
    k, n, side = found["k"], found["df1"] + 1, 0.5 + confidence / 2
    msb, msj, mse = found["msb"], found["msj"], found["mse"]
    rho, f = (msb - mse) / (msb + (k - 1) * mse + k * (msj - mse) / n), msj / mse
    plus = n * (1 + (k - 1) * rho) - k * rho
    v = (k - 1) * (n - 1) * (k * rho * f + plus) ** 2 / ((n - 1) * k**2 * rho**2 * f**2 + plus**2)
    upper, lower = special.fdtri(n - 1, v, side), special.fdtri(v, n - 1, side)
    others = k * msj + (k * n - k - n) * mse
    return n * (msb - upper * mse) / (upper * others + n * msb), n * (lower * msb - mse) / (others + n * lower * msb)


def _quiet(square: float, values: np.ndarray) -> float:
    """A mean square that is rounding noise is 0."""
    return 0.0 if square <= NOISE * max(1.0, float(np.nanmax(np.abs(values))) ** 2) else float(square)
