"""Inter-rater agreement: intraclass correlations, Kendall's W, Bland–Altman limits."""

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

_MISSING = (np.nan,) * 4
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
    one_way, two_way = _one_way(values), _two_way(values)
    rows = []
    for times, suffix, unit in ((1.0, "1", "single rater"), (k, "k", f"mean of {k:.4g} raters")):
        for form, (components, design) in enumerate(zip((one_way, two_way, two_way), _DESIGNS, strict=True), start=1):
            source = "Shrout-Fleiss 1979" if components.get("balanced", 1) else _UNBALANCED[form]
            *figures, reason = _icc_row(form, times, components, confidence)
            rows.append((f"ICC({form},{suffix})", *figures, b, a, f"{source}: {design}, {unit}", reason))
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
    z, se = stats.norm.ppf(side), s / np.sqrt(max(size, 1))
    near, far = stats.nct.ppf([1 - side, side], max(size - 1, 1), z * np.sqrt(size)) * se
    half = stats.t.ppf(side, max(size - 1, 1)) * se
    p = 2 * stats.t.sf(abs(mean) / se, max(size - 1, 1))
    reason = "" if s == s else TOO_FEW_TARGETS if size < 2 else SAME_SCORES
    common = (np.nan, size, "Bland-Altman 1999, interval Carkeet 2015", reason)
    rows = [
        ("bias", mean, mean - half, mean + half, p, *common),
        ("limit_low", mean - z * s, mean - far, mean - near, np.nan, *common),
        ("limit_high", mean + z * s, mean + near, mean + far, np.nan, *common),
    ]
    return pd.DataFrame(rows, columns=_AGREEMENT)


# --- Intraclass correlations ----------------------------------------------------------------------------------------


def _one_way(values: np.ndarray) -> dict[str, float]:
    """Mean squares between and within targets (one-way analysis of variance)."""
    observed = ~np.isnan(values)
    n = observed.sum(axis=1)
    a, total = len(n), n.sum()
    if a < 2 or total <= a:
        return {"ok": 0.0, "many": 0.0}
    mean = np.where(observed, values, 0.0).sum(axis=1) / n
    grand = np.nansum(values) / total
    between = (n * (mean - grand) ** 2).sum() / (a - 1)
    within = np.where(observed, (values - mean[:, None]) ** 2, 0.0).sum() / (total - a)
    size = (total - (n**2).sum() / total) / (a - 1)
    return {
        "ok": 1.0, "msb": _without_noise(between, values), "mse": _without_noise(within, values),
        "df1": a - 1, "df2": total - a, "k": size, "balanced": float((n == n[0]).all()),
        "target": (between - within) / size, "rater": 0.0,
    }  # fmt: skip


def _two_way(values: np.ndarray) -> dict[str, float]:
    """Variance components of targets, raters and error by Henderson's method 3; the anova's where nothing is missing."""
    observed = ~np.isnan(values)
    n, m, total = observed.sum(axis=1), observed.sum(axis=0), observed.sum()
    a, b, df = len(n), len(m), int(observed.sum()) - len(n) - len(m) + 1
    if min(a, b) < 2 or df < 1 or groups_of(observed).max() > 0:
        return {"ok": 0.0, "many": float(min(a, b) > 1)}
    grand = values[observed].mean()
    _, mean, _, _, mse, _ = fit_two_way(values)
    explained = float(((values[observed] - grand) ** 2).sum()) - mse * df
    rater_mean = np.where(observed, values, 0.0).sum(axis=0) / m
    of_targets = explained - (m * (rater_mean - grand) ** 2).sum()  # adjusted for raters
    of_raters = explained - (n * (mean - grand) ** 2).sum()  # adjusted for targets
    target = (of_targets - (a - 1) * mse) / (total - (observed / m).sum())
    rater = (of_raters - (b - 1) * mse) / (total - (observed.T / n).sum())
    return {
        "ok": 1.0, "msb": _without_noise(of_targets / (a - 1), values), "msj": of_raters / (b - 1),
        "mse": _without_noise(mse, values), "df1": a - 1, "df2": df, "k": b, "balanced": float(observed.all()),
        "target": target, "rater": rater,
    }  # fmt: skip


def _icc_row(form: int, times: float, components: dict[str, float], confidence: float) -> tuple[Any, ...]:
    """One coefficient: estimate, low, high, p, reason."""
    if not components["ok"]:
        return *_MISSING, NOT_CROSSED if components["many"] else TOO_FEW_TARGETS
    target, error, rater = components["target"], components["mse"], components["rater"] if form == 2 else 0.0
    total = target + rater + error + (times - 1) * target
    if components["msb"] == 0 or total <= 0:
        return *_MISSING, NO_DIFFERENCE
    estimate = times * target / total
    if error == 0:
        return estimate, *_MISSING[1:], SAME_SCORES
    p = special.fdtrc(components["df1"], components["df2"], components["msb"] / error)
    if not components["balanced"]:
        return estimate, np.nan, np.nan, p, NOT_BALANCED
    bounds = _agreement_bounds(components, confidence) if form == 2 else _f_bounds(components, confidence)
    low, high = (times * end / (1 + (times - 1) * end) for end in bounds)
    return estimate, low, high, p, ""


def _f_bounds(components: dict[str, float], confidence: float) -> tuple[float, float]:
    """Interval of the single-rater ICC(1) or ICC(3) (Shrout–Fleiss 1979, p. 424 and 426)."""
    f, k, df1, df2 = components["msb"] / components["mse"], components["k"], components["df1"], components["df2"]
    side = 0.5 + confidence / 2
    below, above = f / special.fdtri(df1, df2, side), f * special.fdtri(df2, df1, side)
    return (below - 1) / (below + k - 1), (above - 1) / (above + k - 1)


def _agreement_bounds(components: dict[str, float], confidence: float) -> tuple[float, float]:
    """Interval of ICC(2,1) with Satterthwaite's degrees of freedom (Fleiss–Shrout 1978; Shrout–Fleiss 1979, p. 425)."""
    k, n, side = components["k"], components["df1"] + 1, 0.5 + confidence / 2
    msb, msj, mse = components["msb"], components["msj"], components["mse"]
    rho, f = (msb - mse) / (msb + (k - 1) * mse + k * (msj - mse) / n), msj / mse
    plus = n * (1 + (k - 1) * rho) - k * rho
    v = (k - 1) * (n - 1) * (k * rho * f + plus) ** 2 / ((n - 1) * k**2 * rho**2 * f**2 + plus**2)
    upper, lower = special.fdtri(n - 1, v, side), special.fdtri(v, n - 1, side)
    others = k * msj + (k * n - k - n) * mse
    return n * (msb - upper * mse) / (upper * others + n * msb), n * (lower * msb - mse) / (others + n * lower * msb)


def _without_noise(mean_square: float, values: np.ndarray) -> float:
    """Return the mean square, 0 where it is rounding noise."""
    return 0.0 if mean_square <= NOISE * max(1.0, float(np.nanmax(np.abs(values))) ** 2) else float(mean_square)
