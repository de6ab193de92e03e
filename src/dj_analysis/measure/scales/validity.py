"""Construct validity of dimensions by confirmatory factor analysis of one wave; split-half reliability."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from ...result import Result
from ...spec.tree import Form
from ...spec.units import ALL
from ..survey import Survey
from . import cfa
from .factormodel import Model
from .invariancerule import NO_DIMENSION, TOO_FEW_PEOPLE
from .itemgroups import groups_of_waves

LEAST = 100  # complete answers
_FIT = ("chi2", "df", "p", "cfi", "tli", "rmsea", "srmr")


def validity(survey: Survey, *, dimensions: Sequence[str] | None = None, form: Form = "anchors") -> Result:
    """Assess convergent and discriminant validity of the dimensions by confirmatory factor analysis.

    Every item loads on its dimension, dimensions correlate, estimates are maximum likelihood.

    Composite reliability CR = (Σλ)²/((Σλ)² + Σ(1 − λ²)) and average variance extracted AVE = Σλ²/k from completely standardised
    loadings; a dimension is distinct where √AVE exceeds its correlation with every other one (Fornell & Larcker 1981, whose
    conventions are CR ≥ .70, AVE ≥ .50). That criterion seldom sees two dimensions that are one; the heterotrait–monotrait ratio
    does (:func:`htmt`, conventions .85 and .90).

    Parameters
    ----------
    survey
        One wave; complete answers count (listwise), weights by their effective number.
    dimensions
        Codes; all by default.
    form
        ``anchors`` or ``full``.

    Returns
    -------
    Result
        period, level, unit (the whole), form, scale, n, cr, ave, root_ave, nearest (the dimension it correlates with most),
        correlation, distinct, htmt (the largest with any other dimension), reason. ``.parts["loadings"]``: scale, code,
        loading. ``.parts["fit"]``: chi2, df, p, cfi, tli, rmsea, srmr. With an improper solution (a loading above 1) only the
        fit and htmt are reported.

    Raises
    ------
    UsageError
        A dimension that does not exist.
    """
    data = groups_of_waves([survey], dimensions, form)
    root = survey.spec.units.at(survey.period).root
    keys = {"period": survey.period, "level": root.level, "unit": ALL, "form": form}
    n, codes = int(data.n[0]), list(data.structure)
    reason = NO_DIMENSION if not codes else TOO_FEW_PEOPLE if data.effective[0] < LEAST else ""
    table = pd.DataFrame({"scale": codes}).assign(
        n=n,
        cr=np.nan,
        ave=np.nan,
        root_ave=np.nan,
        nearest="",
        correlation=np.nan,
        distinct=pd.NA,
        htmt=np.nan,
        reason=reason,
    )
    rows = [(code, item, np.nan) for code in codes for item in data.structure[code]]
    fit_values = dict.fromkeys(_FIT, np.nan)
    if not reason:
        table["htmt"] = _largest(htmt(_correlations(np.asarray(data.covariances)[0]), data.structure))
        fitted = cfa.fit(Model(data.structure, with_means=False), data.effective, data.means, data.covariances)
        table["reason"] = str(np.ravel(fitted.reason)[0]) or (cfa.IMPROPER if np.ravel(fitted.improper)[0] else "")
        fit_values = {name: float(np.ravel(getattr(fitted, name))[0]) for name in _FIT}
        if not table["reason"].iloc[0]:
            items = [item for code in codes for item in data.structure[code]]
            loading = dict(zip(items, np.asarray(fitted.standardised)[0], strict=True))
            rows = [(code, item, loading[item]) for code, item, _ in rows]
            _fill(table, data.structure, loading, _correlations(np.asarray(fitted.covariances)[0]))
    loadings = pd.DataFrame(rows, columns=["scale", "code", "loading"]).assign(n=n, reason=reason)
    fit_table = pd.DataFrame([fit_values]).assign(n=n, reason=reason)
    common: dict[str, Any] = {
        "period": survey.period, "periods": (survey.period,), "spec": data.spec, "basis": data.basis,
    }  # fmt: skip
    keyed = {name: _keyed(frame, keys) for name, frame in {"": table, "loadings": loadings, "fit": fit_table}.items()}
    return Result(
        keyed[""], (*keys, "scale"), ("n", "cr", "ave", "root_ave", "nearest", "correlation", "distinct", "htmt"),
        parts={
            "loadings": Result(keyed["loadings"], (*keys, "scale", "code"), ("loading", "n"), **common),
            "fit": Result(keyed["fit"], tuple(keys), ("n", *_FIT), **common),
        }, **common,
    )  # fmt: skip


def split_half(covariance: np.ndarray, first: Sequence[int] | None = None) -> tuple[float, float]:
    """Return Spearman–Brown's (1910) and Guttman's λ4 (1945) split-half reliability of a scale.

    Parameters
    ----------
    covariance
        Covariances of its items, k × k, k ≥ 2.
    first
        Places of the items of the first half; every other item by default (odd–even).

    Returns
    -------
    spearman_brown, guttman
        2r/(1 + r) and 4·cov/(variance of the whole); NaN where a half does not vary.
    """
    k = len(covariance)
    half = np.isin(np.arange(k), np.arange(0, k, 2) if first is None else np.asarray(first))
    a, b = covariance[np.ix_(half, half)].sum(), covariance[np.ix_(~half, ~half)].sum()
    between = covariance[np.ix_(half, ~half)].sum()
    if not (a > 0 and b > 0):
        return float("nan"), float("nan")
    r = between / np.sqrt(a * b)
    return float(2 * r / (1 + r)), float(4 * between / covariance.sum())


def htmt(correlation: np.ndarray, structure: Mapping[str, Sequence[str]]) -> np.ndarray:
    """Return heterotrait–monotrait ratios of dimensions (Henseler, Ringle & Sarstedt 2015).

    The mean correlation of items of two dimensions by the geometric mean of the mean correlations within each. With
    parallel items it is the correlation of the dimensions without their errors; .85 (.90 for neighbouring concepts) and above
    says that they are hardly two.

    Parameters
    ----------
    correlation
        k × k, items in the order of ``structure``, in the scored direction.
    structure
        Dimension → its items, two or more.

    Returns
    -------
    array
        m × m, diagonal 1; NaN where the items within a dimension do not correlate positively.
    """
    member = np.array([[float(item in items) for item in _items(structure)] for items in structure.values()])
    size = member.sum(axis=1)
    total = member @ correlation @ member.T
    within = (np.diag(total) - member @ np.diag(correlation)) / (size * (size - 1))
    with np.errstate(divide="ignore", invalid="ignore"):
        scale = np.sqrt(np.where(within > 0, within, np.nan))
        ratio = total / np.outer(size, size) / np.outer(scale, scale)
    np.fill_diagonal(ratio, 1.0)
    return np.asarray(ratio)


def _items(structure: Mapping[str, Sequence[str]]) -> list[str]:
    return [item for items in structure.values() for item in items]


def _largest(ratio: np.ndarray) -> np.ndarray:
    others = np.where(np.eye(len(ratio)) > 0, -np.inf, ratio)
    largest = others.max(axis=1, initial=-np.inf)
    return np.where(np.isfinite(largest), largest, np.nan)


def composite_reliability(loadings: np.ndarray) -> tuple[float, float]:
    """Return CR and AVE of completely standardised loadings (Fornell & Larcker 1981)."""
    squares, total = np.square(loadings), np.sum(loadings) ** 2
    return float(total / (total + np.sum(1 - squares))), float(np.mean(squares))


def _fill(table: pd.DataFrame, structure: Any, loading: dict[str, float], correlation: np.ndarray) -> None:
    for i, code in enumerate(structure):
        cr, ave = composite_reliability(np.array([loading[item] for item in structure[code]]))
        table.loc[i, ["cr", "ave", "root_ave"]] = cr, ave, np.sqrt(ave)
        if len(structure) > 1:
            others = np.where(np.arange(len(structure)) == i, 0.0, np.abs(correlation[i]))
            nearest = int(np.argmax(others))
            table.loc[i, "nearest"], table.loc[i, "correlation"] = list(structure)[nearest], correlation[i, nearest]
            table.loc[i, "distinct"] = bool(np.sqrt(ave) > others[nearest])


def _correlations(covariance: np.ndarray) -> np.ndarray:
    sd = np.sqrt(np.diag(covariance))
    return np.asarray(covariance / np.outer(sd, sd))


def _keyed(table: pd.DataFrame, keys: dict[str, str]) -> pd.DataFrame:
    for position, (name, value) in enumerate(keys.items()):
        table.insert(position, name, value)
    text = [name for name in (*keys, "scale", "code", "nearest", "reason") if name in table]
    typed = table.astype(dict.fromkeys(text, "str"))
    return typed.astype({"distinct": "boolean"}) if "distinct" in typed else typed
