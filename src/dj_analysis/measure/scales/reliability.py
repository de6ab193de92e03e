"""Reliability of the survey's scales, with the item analysis behind it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import narwhals.stable.v2 as nw
import numpy as np
import pandas as pd
from scipy import sparse, stats

from ...errors import UsageError, unknown
from ...result import Result
from ...spec import reasons
from ...spec.tree import Form, Node
from ...spec.units import ALL, Units
from ..basis import Basis, basis_of
from ..crossnames import is_cross
from ..inference.uncertainty import CONFIDENCE
from ..members import members
from ..survey import Survey
from ..survey_scores import score
from .factors import SINGULAR, invertible, one_factor
from .moments import MISSING, Answers, Covariances, Missing, Moments, moments_of, read_answers

ONE_ITEM = "one_item_no_reliability"
NO_ITEM_VARIANCE = "all_answers_item_equal"
TWO_ITEMS = "two_items_one_factor_model"
OUTER = 0.27  # Kelley 1939
_LEAST_OUTER = 10  # persons at each end, below which ends are not compared

ENDS = ("upper", "lower", "upper_lower", "t", "p")
KEYS = ("period", "level", "unit", "form", "scale")
_TEXT = (*KEYS, "coefficient", "code", "method", "reason")
_TESTS = ("bartlett_chi2", "bartlett_df", "bartlett_p")
METHODS = {
    "alpha": "Cronbach 1951; interval Feldt 1965",
    "alpha_standardised": "Cronbach 1951, standardised items",
    "omega_total": "(Σλ)²/((Σλ)²+Σθ), one factor ML, standardised items; McDonald 1999",
    "omega_total_psych": "1−Σθ/Σr, one factor ML, standardised items; psych::omega",
    "mean_r": "mean inter-item correlation",
    "kmo": "Kaiser 1974",
} | dict.fromkeys(_TESTS, "Bartlett 1951")
_OMEGAS = ("omega_total", "omega_total_psych")


def alpha(covariance: np.ndarray) -> float:
    """Return Cronbach's alpha, k/(k−1)·(1 − Σσ²ᵢ/σ²ₜ) (Cronbach 1951); of standardised items with correlations.

    NaN for fewer than two items, or a total without variance.
    """
    k, total = len(covariance), covariance.sum()
    return float(k / (k - 1) * (1 - np.trace(covariance) / total)) if k > 1 and total > 0 else float("nan")


def feldt(value: float, n: float, items: int, confidence: float = CONFIDENCE) -> tuple[float, float]:
    """Return the interval of alpha by Feldt (1965): (1−α̂)/(1−α) follows F with (n−1)(k−1) and n−1 degrees of freedom.

    Exact for normal, essentially parallel items. Under weights ``n`` is the effective number of persons; NaN below 2.
    """
    if not (n > 1 and items > 1 and value == value):
        return float("nan"), float("nan")
    tail = (1 - confidence) / 2
    upper, lower = stats.f.ppf([1 - tail, tail], n - 1, (n - 1) * (items - 1))
    return float(1 - (1 - value) * upper), float(1 - (1 - value) * lower)


def omegas(correlation: np.ndarray) -> tuple[float, float, str]:
    """Return omega total of standardised items in two versions, from one factor by maximum likelihood, and a reason.

    First (Σλ)²/((Σλ)²+Σθ) (McDonald 1999), with the variance the model gives in the denominator; then 1 − Σθ/Σr (as
    ``psych::omega(nfactors = 1)``), with the total of the observed correlations. The reason says why they are missing.
    """
    solution = one_factor(correlation)
    if solution.reason:
        return float("nan"), float("nan"), solution.reason
    common, unique = float(solution.loadings.sum()) ** 2, float(solution.uniqueness.sum())
    return common / (common + unique), float(1 - unique / correlation.sum()), ""


def kmo(correlation: np.ndarray) -> tuple[float, np.ndarray]:
    """Return the Kaiser–Meyer–Olkin measure, over all and by item (Kaiser 1974): Σr²/(Σr²+Σp²), p partial correlations."""
    inverse = np.linalg.inv(correlation)
    scale = np.sqrt(np.diag(inverse))
    partial = inverse / np.outer(scale, scale)
    off = ~np.eye(len(correlation), dtype=bool)
    r, p = (correlation**2 * off).sum(axis=0), (partial**2 * off).sum(axis=0)
    return float(r.sum() / (r.sum() + p.sum())), r / (r + p)


def bartlett(correlation: np.ndarray, n: float) -> tuple[float, float, float]:
    """Return chi², df and p of Bartlett's test of sphericity (Bartlett 1951): −(n−1−(2k+5)/6)·ln|R|, k(k−1)/2."""
    k = len(correlation)
    chi2 = -(n - 1 - (2 * k + 5) / 6) * np.linalg.slogdet(correlation)[1]
    df = k * (k - 1) / 2
    return float(chi2), df, float(stats.chi2.sf(chi2, df))


def item_total(covariance: np.ndarray) -> np.ndarray:
    """Return the correlation of each item with the sum of the others (corrected item–total; psych's ``r.drop``)."""
    variance = np.diag(covariance)
    covariance_with_rest = covariance.sum(axis=1) - variance
    rest_variance = covariance.sum() - 2 * covariance.sum(axis=1) + variance
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(variance * rest_variance > 0, covariance_with_rest / np.sqrt(variance * rest_variance), np.nan)


def alpha_without(covariance: np.ndarray) -> np.ndarray:
    """Return alpha of the scale without each item; NaN where only one would be left."""
    k, own = len(covariance) - 1, np.diag(covariance)
    total = covariance.sum() - 2 * covariance.sum(axis=1) + own
    if k < 2:
        return np.full(k + 1, np.nan)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(total > 0, k / (k - 1) * (1 - (own.sum() - own) / total), np.nan)


def sums_by_total(x: np.ndarray, weights: np.ndarray | None = None) -> pd.DataFrame:
    """Sum the answers of persons with a complete scale by their total score.

    ``x`` is persons × items on one common scale, NaN missing. The index is the total score, the columns are n, w, ww, then
    Σwx and Σwx² of each item. Blocks add up: concatenate and sum by index.
    """
    rows = ~np.isnan(x).any(axis=1)
    complete = x[rows].astype(float)
    w = np.ones(len(complete)) if weights is None else weights[rows]
    total, group = np.unique(np.round(complete.sum(axis=1), 6), return_inverse=True)
    membership = sparse.csr_array((np.ones(len(w)), (group, np.arange(len(w)))), shape=(len(total), len(w)))
    weighted = complete if weights is None else complete * w[:, None]
    weight_powers = np.column_stack([np.ones(len(w)), w, w**2])
    return pd.DataFrame(
        np.hstack([membership @ weight_powers, membership @ weighted, membership @ (weighted * complete)]), index=total
    )


def upper_lower(sums: pd.DataFrame, share: float = OUTER) -> dict[str, np.ndarray]:
    """Compare the answers of the highest and the lowest 27 % by total score (Kelley 1939; 项目分析, 决断值).

    Computed from :func:`sums_by_total`. Persons tied with the one at the cut belong to its group. Welch's t; under weights
    with effective numbers. The item is part of the total, so that t is large by selection alone: it tells weak items from
    others and is no test. Returned are ``upper``, ``lower``, ``upper_lower`` (their difference), ``t``, ``p`` by item; NaN
    with fewer than ten persons at an end or where the ends meet.
    """
    k, values = (sums.shape[1] - 3) // 2, sums.sort_index().to_numpy()
    undefined = dict.fromkeys(ENDS, np.full(k, np.nan))
    cumulative_weight = np.cumsum(values[:, 1])
    if not len(cumulative_weight) or not cumulative_weight[-1] > 0:
        return undefined
    low, high = np.searchsorted(cumulative_weight / cumulative_weight[-1], [share - 1e-12, 1 - share + 1e-12])
    ends = [values[high:].sum(axis=0), values[: low + 1].sum(axis=0)]
    if low >= high or min(end[0] for end in ends) < _LEAST_OUTER:
        return undefined
    (n1, mean1, sd1), (n2, mean2, sd2) = (_mean_and_sd(end, k) for end in ends)
    with np.errstate(divide="ignore", invalid="ignore"):
        t, p = stats.ttest_ind_from_stats(mean1, sd1, n1, mean2, sd2, n2, equal_var=False)
    return dict(zip(ENDS, (mean1, mean2, mean1 - mean2, t, p), strict=True))


def _mean_and_sd(sums: np.ndarray, k: int) -> tuple[float, np.ndarray, np.ndarray]:
    """Effective number, means and standard deviations of a group, from n, w, ww, Σwx, Σwx²."""
    n, w, ww = sums[:3]
    mean = sums[3 : 3 + k] / w
    return w**2 / ww, mean, np.sqrt(np.maximum(sums[3 + k :] / w - mean**2, 0) * n / (n - 1))


@dataclass(frozen=True)
class ItemSet:
    """Items that belong together in one form: a dimension, or the whole instrument."""

    form: Form
    code: str
    items: tuple[Node, ...]

    @property
    def codes(self) -> tuple[str, ...]:
        """Codes of the items."""
        return tuple(item.code for item in self.items)

    def points(self, answers: np.ndarray) -> np.ndarray:
        """Convert answers (… × items) to points 0–100."""
        return (answers - [item.minimum for item in self.items]) * self.factors

    @property
    def factors(self) -> np.ndarray:
        """Points per step of an answer, by item."""
        return np.array([100 / (item.maximum - item.minimum) for item in self.items])


def scales_of(survey: Survey) -> list[ItemSet]:
    """Return the scales a wave asked: every dimension, then the whole instrument, for each form; empty ones left out."""
    codebook, asked = survey.codebook, set(nw.from_native(survey.frame).collect_schema().names())
    scales = []
    for form, tree in survey.trees().items():
        dimensions = [node.code for node in codebook.dimensions if node.role == "dimension" and node.code in tree]
        whole = [codebook.index] if codebook.index else [node.code for node in codebook.dimensions]
        for code, tops in [*((code, [code]) for code in dimensions), (codebook.index or ALL, whole)]:
            leaves = [leaf for top in tops if top in tree for leaf in tree.leaves_of(top) if leaf.code in asked]
            scales += [ItemSet(form, code, tuple(leaves))] if leaves else []
    return scales


def reliability(
    survey: Survey,
    by: str | Sequence[str] | None = None,
    *,
    missing: Missing = "listwise",
    confidence: float = CONFIDENCE,
) -> Result:
    """Estimate the internal consistency of each scale.

    Scales are the dimensions of the codebook and the whole instrument, in each form the wave has. Items are taken in the
    scored direction on 0–100, so that alpha is that of what is scored where answers differ in range; their weights in the
    codebook are not used. Respondents' weights are honoured in every coefficient.

    Parameters
    ----------
    survey
        A wave of answers.
    by
        Levels of unit trees or group columns; the root is always there.
    missing
        ``listwise`` (default): persons who answered every item of the scale; ``pairwise``: every pair of answers;
        ``median``: missing answers count as the item's median over the whole wave.
    confidence
        Of alpha's interval (Feldt 1965), the only coefficient that has one.

    Returns
    -------
    Result
        ``.table``: period, level, unit, form, scale, coefficient, estimate, low, high, n, method, reason. Coefficients:
        alpha, alpha_standardised, omega_total (one factor, ML; McDonald 1999), omega_total_psych, mean_r, kmo,
        bartlett_chi2, bartlett_df, bartlett_p. n is the number of persons with a complete scale (pairwise: with the rarest
        pair; median: all). A scale of one item, without variance, or with too few persons has no number, and the reason.

        ``.parts["items"]``: the same keys, code, n (answers), mean and sd (points), item_total (corrected), alpha_without,
        kmo, and for the root only upper, lower, upper_lower, t, p of :func:`upper_lower` (complete persons); reason.

    Raises
    ------
    UsageError
        A level, group or policy that does not exist; a cross-classification.
    DataError
        Answers out of range, weights that cannot be used.

    Examples
    --------
    >>> reliability(ws.survey("2026Q3")).table  # doctest: +SKIP
    """
    if missing not in MISSING:
        raise unknown("缺失处理/missing", missing, MISSING)
    scales, units = scales_of(survey), survey.spec.units.at(survey.period)
    asked = list({item.code: item for scale in scales for item in scale.items}.values())
    names = [] if by is None else [by] if isinstance(by, str) else list(dict.fromkeys(by))
    if any(not isinstance(name, str) or is_cross(name) for name in names):
        raise UsageError(f"信度不按交叉分组计算 (no reliability by a cross-classification): {names}")
    scored = score(survey, by=names) if names else None
    rows: list[tuple] = []
    items: list[tuple] = []
    for axis, levels in _axes(names, units).items():
        column, tree = survey.axes.get(axis) if scored else None, units if axis in units.trees else None
        answers = read_answers(survey.frame, asked, weight=survey.weight, column=column, units=tree)
        medians = {code: counts.median() for code, counts in answers.counts().items()} if missing == "median" else {}
        sums = _moments_by_unit(answers, scales)
        for level in levels:
            root = level == units.root.level
            groups = members(level, axis, units, scored.sums[axis]) if scored and not root else {ALL: list(sums)}
            ends = _ends(answers, scales) if root else []
            for unit, finest_units in groups.items():
                for i, scale in enumerate(scales):
                    keys = (survey.period, level, unit, scale.form, scale.code)
                    moments = sum((sums[u][i] for u in finest_units if u in sums), _no_moments(scale))
                    item_medians = np.array([medians.get(code, np.nan) for code in scale.codes])
                    covariances = moments.covariances(missing, item_medians).scaled(scale.factors)
                    rows += [(*keys, *row) for row in _coefficients(covariances, missing, confidence)]
                    items += _item_rows(keys, scale, moments, covariances, ends[i] if root else {})
    return _result(survey, rows, items, scored.basis if scored else basis_of(survey))


def _axes(names: list[str], units: Units) -> dict[str, list[str]]:
    """Return axis → its levels; the root comes first, with the first of them."""
    root = units.root.level
    axes: dict[str, list[str]] = {}
    for name in [name for name in names if name != root]:
        axes.setdefault(units.tree_of(name) if name in units.levels else name, []).append(name)
    first = next(iter(axes), units.trees[0])
    return {first: [root, *axes.get(first, [])]} | {axis: levels for axis, levels in axes.items() if axis != first}


def _no_moments(scale: ItemSet) -> Moments:
    return moments_of(np.empty((0, len(scale.items))), None, scale.codes)


def _moments_by_unit(answers: Answers, scales: list[ItemSet]) -> dict[str, list[Moments]]:
    picks, sums = _picks(answers, scales), {unit: [_no_moments(scale) for scale in scales] for unit in answers.units}
    for unit, x, w in answers.blocks():
        block_moments = (moments_of(x[:, pick], w, scale.codes) for scale, pick in zip(scales, picks, strict=True))
        sums[unit] = [a + b for a, b in zip(sums[unit], block_moments, strict=True)]
    return sums


def _picks(answers: Answers, scales: list[ItemSet]) -> list[list[int]]:
    place = {item.code: j for j, item in enumerate(answers.items)}
    return [[place[code] for code in scale.codes] for scale in scales]


def _ends(answers: Answers, scales: list[ItemSet]) -> list[dict[str, np.ndarray]]:
    """Compare high and low scorers of the whole wave, for each scale."""
    picks, blocks = _picks(answers, scales), [[sums_by_total(np.empty((0, len(scale.items))))] for scale in scales]
    for _, x, w in answers.blocks(whole=True):
        for scale, pick, scale_blocks in zip(scales, picks, blocks, strict=True):
            scale_blocks.append(sums_by_total(scale.points(x[:, pick]), w))
    return [upper_lower(pd.concat(scale_blocks).groupby(level=0).sum()) for scale_blocks in blocks]


def _coefficients(covariances: Covariances, missing: Missing, confidence: float) -> list[tuple]:
    """Rows of one scale: coefficient, estimate, low, high, n, method, reason."""
    values, why = _estimates(covariances)
    bounds = {"alpha": feldt(values["alpha"], covariances.effective, len(covariances.items), confidence)}
    rows = []
    for name, method in METHODS.items():
        default = "" if name in ("alpha", *_TESTS) else reasons.NO_ERROR_SOURCE  # the others have no interval
        low, high = bounds.get(name, (np.nan, np.nan))
        rows.append((name, values[name], low, high, int(covariances.n), f"{method}; {missing}", why.get(name, default)))
    return rows


def _estimates(covariances: Covariances) -> tuple[dict[str, float], dict[str, str]]:
    """Coefficients of one scale by name, and the reason for each that is missing."""
    k, r, values = len(covariances.items), covariances.correlation, dict.fromkeys(METHODS, np.nan)
    if stopped := _stopped(covariances):
        return values, dict.fromkeys(METHODS, stopped)
    values["alpha"] = alpha(covariances.covariance)
    if unsolvable := _unsolvable(covariances):
        return values, {name: unsolvable for name in METHODS if name != "alpha"}
    values["alpha_standardised"], values["mean_r"] = alpha(r), float((r.sum() - k) / (k * (k - 1)))
    values |= dict(zip(_TESTS, bartlett(r, covariances.effective), strict=True))
    if k == 2:
        return values, dict.fromkeys(("kmo", *_OMEGAS), TWO_ITEMS)
    *omega_values, reason = omegas(r)
    values |= {"kmo": kmo(r)[0]} | dict(zip(_OMEGAS, omega_values, strict=True))
    return values, dict.fromkeys(_OMEGAS, reason) if reason else {}


def _stopped(covariances: Covariances) -> str:
    """Reason why no coefficient can be computed; empty where one can."""
    if len(covariances.items) < 2:
        return ONE_ITEM
    if covariances.n < 2:
        return reasons.NO_ANSWERS if covariances.n == 0 else reasons.ONE_PERSON
    return "" if covariances.covariance.sum() > 0 and np.trace(covariances.covariance) > 0 else reasons.NO_VARIANCE


def _unsolvable(covariances: Covariances) -> str:
    """Reason why the correlations cannot be analysed; empty where they can."""
    if not (np.diag(covariances.covariance) > 0).all():
        return NO_ITEM_VARIANCE
    if covariances.effective <= len(covariances.items):
        return reasons.TOO_FEW_TO_JUDGE
    return "" if invertible(covariances.correlation) else SINGULAR


def _item_rows(
    keys: tuple[str, ...], scale: ItemSet, moments: Moments, covariances: Covariances, ends: Mapping[str, np.ndarray]
) -> list[tuple]:
    pairwise, stopped, k = moments.covariances("pairwise"), _stopped(covariances), len(scale.items)
    undefined = np.full(k, np.nan)
    with np.errstate(invalid="ignore"):
        sd = np.sqrt(np.diag(pairwise.covariance)) * scale.factors
    columns = [
        scale.codes,
        np.diag(moments.pairs["n"]).astype(int),
        scale.points(pairwise.mean),
        sd,
        undefined if stopped else item_total(covariances.covariance),
        undefined if stopped else alpha_without(covariances.covariance),
        undefined if stopped or k < 3 or _unsolvable(covariances) else kmo(covariances.correlation)[1],
        *(ends.get(name, undefined) for name in ENDS),
    ]
    return [(*keys, *row, stopped) for row in zip(*columns, strict=True)]


def _result(survey: Survey, rows: list[tuple], items: list[tuple], basis: tuple[Basis, ...]) -> Result:
    statistics = ("estimate", "low", "high", "n")
    table = pd.DataFrame(rows, columns=[*KEYS, "coefficient", *statistics, "method", "reason"])
    common: dict[str, Any] = {
        "period": survey.period,
        "periods": (survey.period,),
        "spec": survey.spec,
        "withheld": survey.withheld,
        "basis": basis,
    }
    item_statistics = ("n", "mean", "sd", "item_total", "alpha_without", "kmo", *ENDS)
    item_table = pd.DataFrame(items, columns=[*KEYS, "code", *item_statistics, "reason"])
    table, item_table = (t.astype({name: "str" for name in t if name in _TEXT}) for t in (table, item_table))
    parts = {"items": Result(item_table, (*KEYS, "code"), item_statistics, **common)}
    return Result(table, (*KEYS, "coefficient"), statistics, parts=parts, **common)
