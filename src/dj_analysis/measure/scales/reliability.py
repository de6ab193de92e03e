"""Reliability of scales of items, questions to persons or elements on which units are marked, with the item analysis behind it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import narwhals.stable.v2 as nw
import numpy as np
import pandas as pd

from ...errors import UsageError, unknown
from ...result import Result
from ...spec import reasons
from ...spec.tree import Indicator, Node, Tree
from ...spec.units import ALL, Units
from ..basis import basis_of
from ..crossnames import is_cross
from ..inference.uncertainty import CONFIDENCE
from ..members import members
from ..scores import Scores, inherited
from ..survey import Survey
from ..survey_scores import score
from .factors import SINGULAR, invertible
from .item_answers import Answers, read_answers
from .item_statistics import (
    ENDS,
    alpha,
    alpha_without,
    bartlett,
    distribution_free,
    feldt,
    influence_sums,
    item_total,
    kmo,
    omegas,
    sums_by_total,
    too_few_near_end,
    upper_lower,
)
from .moments import MISSING, Covariances, Missing, Moments, moments_of

ONE_ITEM = "one_item_no_reliability"
NO_ITEM_VARIANCE = "all_answers_item_equal"
TWO_ITEMS = "two_items_one_factor_model"
SAME_UNITS, SAME_ELEMENT = "all_targets_have_same_score", "all_units_same_element"
#: What a reason about persons' answers says of units' marks.
_OF_UNITS = {
    reasons.NO_ANSWERS: reasons.MISSING_VALUE, reasons.ONE_PERSON: reasons.TOO_FEW_TO_JUDGE, reasons.NO_VARIANCE: SAME_UNITS,
    NO_ITEM_VARIANCE: SAME_ELEMENT, reasons.ALPHA_NEAR_END: reasons.DESCRIPTION_ONLY,
}  # fmt: skip

KEYS = ("period", "level", "unit", "form", "scale")
_TEXT = (*KEYS, "coefficient", "code", "method", "reason")
_TESTS = ("bartlett_chi2", "bartlett_df", "bartlett_p")
METHODS = {
    "alpha": "Cronbach 1951; interval the wider of Feldt 1965 and distribution-free 2007",
    "alpha_standardised": "Cronbach 1951, standardised items",
    "omega_total": "(Σλ)²/((Σλ)²+Σθ), one factor ML, standardised items; McDonald 1999",
    "omega_total_psych": "1−Σθ/Σr, one factor ML, standardised items; psych::omega",
    "mean_r": "mean inter-item correlation",
    "kmo": "Kaiser 1974",
} | dict.fromkeys(_TESTS, "Bartlett 1951")
_OMEGAS = ("omega_total", "omega_total_psych")


@dataclass(frozen=True)
class ItemSet:
    """Items that belong together in one form: a dimension, or the whole instrument."""

    form: str
    code: str
    items: tuple[Node, ...]

    @property
    def codes(self) -> tuple[str, ...]:
        """Codes of the items."""
        return tuple(item.code for item in self.items)

    def points(self, answers: np.ndarray) -> np.ndarray:
        """Convert answers (… × items) to points 0–100."""
        return (answers - [item.minimum for item in self.items]) * self.factors

    def mean_points(self, covariances: Covariances) -> float:
        """Return the mean of all items, 0–100 points, from the moments of answers that were scaled by :attr:`factors`."""
        return float(np.mean(covariances.mean - self.factors * [item.minimum for item in self.items]))

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
    survey: Survey | Scores,
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
        A wave of answers; or scores of branch indicators, where units stand in place of persons and elements in place of
        questions (质量双放心: units × 36 elements). Of a span of months the scores of the whole span count; what only adds
        a bonus or a veto to a points sheet is left out.
    by
        Levels of unit trees or group columns; the root is always there. Of indicators one level, whose units are compared;
        by default the finest.
    missing
        ``listwise`` (default): persons who answered every item of the scale; ``pairwise``: every pair of answers;
        ``median``: missing answers count as the item's median over the whole wave.
    confidence
        Of alpha's interval, the only coefficient that has one: the farther limits of two (Feldt 1965, exact for normal answers;
        Maydeu-Olivares, Coffman & Hartmann 2007, for any). Near the end of the scale no interval of few persons holds: there is none
        below 500 persons within 10 points of an end, below 50 within 25, and alpha is description only (仅作情况描述).

    Returns
    -------
    Result
        ``.table``: period, level, unit, form, scale, coefficient, estimate, low, high, n, method, reason. Coefficients:
        alpha, alpha_standardised, omega_total (one factor, ML; McDonald 1999), omega_total_psych, mean_r, kmo,
        bartlett_chi2, bartlett_df, bartlett_p. n is the number of persons with a complete scale (pairwise: with the rarest
        pair; median: all). A scale of one item, without variance, or with too few persons has no number, and the reason.

        ``.parts["items"]``: the same keys, code, n (answers), mean and sd (points), item_total (corrected), alpha_without,
        kmo, and for the root only upper, lower, upper_lower, t, p (complete persons, the highest and the lowest 27 %;
        :func:`~dj_analysis.measure.scales.item_statistics.upper_lower`); reason. ``mean`` is the difficulty in points (high
        is easy), ``item_total`` and ``upper_lower`` tell how well an item discriminates.

        Of indicators ``level`` is that of the units, ``unit`` is ``ALL`` and n counts units.

    Raises
    ------
    UsageError
        A level, group or policy that does not exist; a cross-classification; scores of a survey, which tell nothing about
        persons.
    DataError
        Answers out of range, weights that cannot be used.

    Examples
    --------
    >>> reliability(ws.survey("2026Q3")).table  # doctest: +SKIP
    """
    if missing not in MISSING:
        raise unknown("缺失处理/missing", missing, MISSING)
    if isinstance(survey, Scores):
        return _of_units(survey, by, missing, confidence)
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
        sums, influence = _moments_by_unit(answers, scales)
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
                    moved = sum((influence[u][i] for u in finest_units if u in sums), _no_influence(scale))
                    rows += [(*keys, *row) for row in _coefficients(scale, covariances, moved, missing, confidence)]
                    items += _item_rows(keys, scale, moments, covariances, ends[i] if root else {})
    common = {
        "period": survey.period, "periods": (survey.period,), "spec": survey.spec, "withheld": survey.withheld,
        "basis": scored.basis if scored else basis_of(survey),
    }  # fmt: skip
    return _result(rows, items, common)


def _of_units(scores: Scores, by: str | Sequence[str] | None, missing: Missing, confidence: float) -> Result:
    """Estimate the consistency of elements over units: every part right below the top, then the whole."""
    if scores.programme != "indicators" or scores.spec.indicators is None:
        raise UsageError(
            "信度按答卷计算,用 dj.reliability(ws.survey(period)) (give the survey: scores of units tell nothing about persons)"
        )
    tree = scores.spec.indicators.at(scores.period)
    level = _level_of_units(scores, by)
    table = scores.table[(scores.table["level"] == level) & (scores.table["period"] == scores.period)]
    scales = _element_sets(tree, set(table["code"]))
    codes = list(dict.fromkeys(code for scale in scales for code in scale.codes))
    points = table[table["code"].isin(codes)].pivot(index="unit", columns="code", values="score").reindex(columns=codes)
    rows: list[tuple] = []
    items: list[tuple] = []
    for scale in scales:
        x = points[list(scale.codes)].to_numpy(float)
        moments, keys = moments_of(x, None, scale.codes), (scores.period, level, ALL, scale.form, scale.code)
        covariances = moments.covariances(missing, pd.DataFrame(x).median().to_numpy())
        rows += [(*keys, *row) for row in _coefficients(scale, covariances, influence_sums(x), missing, confidence)]
        items += _item_rows(keys, scale, moments, covariances, upper_lower(sums_by_total(x)))
    rows, items = ([(*row[:-1], _OF_UNITS.get(row[-1], row[-1])) for row in some] for some in (rows, items))
    return _result(rows, items, inherited(scores))


def _level_of_units(scores: Scores, by: str | Sequence[str] | None) -> str:
    """Return the one level whose units are compared."""
    units = scores.spec.units.at(scores.period)
    scored = [level for level in dict.fromkeys(scores.table["level"]) if level in units.levels]
    names = [by] if isinstance(by, str) else list(by or scored[-1:])
    if len(names) != 1 or names[0] not in scored:
        raise unknown("层级/level", "、".join(map(str, names)), scored)
    return names[0]


def _element_sets(tree: Tree, known: set[str]) -> list[ItemSet]:
    """Return the parts right below the top that have elements of their own, then the whole; in points."""

    def elements(code: str) -> tuple[Node, ...]:
        leaves = (leaf for leaf in tree.leaves_of(code) if leaf.code in known)
        plain = (leaf for leaf in leaves if not (isinstance(leaf, Indicator) and leaf.kind in ("bonus", "veto")))
        return tuple(replace(leaf, minimum=0.0, maximum=100.0) for leaf in plain)

    parts = [node.code for node in tree.children(tree.top) if tree.children(node.code)]
    sets = [ItemSet("full", code, elements(code)) for code in [*parts, tree.top]]
    return [one for one in sets if one.items]


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


def _no_influence(scale: ItemSet) -> np.ndarray:
    return np.zeros((len(scale.items) + 3,) * 2)


def _moments_by_unit(
    answers: Answers, scales: list[ItemSet]
) -> tuple[dict[str, list[Moments]], dict[str, list[np.ndarray]]]:
    """Return the moments of each scale by unit, and what the error of alpha rests on."""
    picks, sums = _picks(answers, scales), {unit: [_no_moments(scale) for scale in scales] for unit in answers.units}
    influence = {unit: [_no_influence(scale) for scale in scales] for unit in answers.units}
    for unit, x, w in answers.blocks():
        for i, (scale, pick) in enumerate(zip(scales, picks, strict=True)):
            sums[unit][i] = sums[unit][i] + moments_of(x[:, pick], w, scale.codes)
            influence[unit][i] += influence_sums(x[:, pick] * scale.factors, w)
    return sums, influence


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


def _limits(
    value: float, covariances: Covariances, influence: np.ndarray | None, confidence: float
) -> tuple[float, float]:
    """Return the farther limits of alpha's two intervals; without what its error rests on, Feldt's."""
    n = covariances.effective
    low, high = feldt(value, n, len(covariances.items), confidence)
    if influence is None or not np.isfinite(value):
        return low, high
    free = distribution_free(covariances.covariance, covariances.mean, influence, n, confidence)
    return float(np.fmin(low, free[0])), float(np.fmax(high, free[1]))


def _coefficients(
    scale: ItemSet, covariances: Covariances, influence: np.ndarray, missing: Missing, confidence: float
) -> list[tuple]:
    """Rows of one scale: coefficient, estimate, low, high, n, method, reason."""
    values, why = _estimates(covariances)
    bounds = {"alpha": _limits(values["alpha"], covariances, influence if missing == "listwise" else None, confidence)}
    if np.isfinite(bounds["alpha"][0]) and too_few_near_end(scale.mean_points(covariances), covariances.effective):
        bounds, why = {}, {"alpha": reasons.ALPHA_NEAR_END} | why
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


def _result(rows: list[tuple], items: list[tuple], common: Mapping[str, Any]) -> Result:
    statistics = ("estimate", "low", "high", "n")
    table = pd.DataFrame(rows, columns=[*KEYS, "coefficient", *statistics, "method", "reason"])
    item_statistics = ("n", "mean", "sd", "item_total", "alpha_without", "kmo", *ENDS)
    item_table = pd.DataFrame(items, columns=[*KEYS, "code", *item_statistics, "reason"])
    table, item_table = (t.astype({name: "str" for name in t if name in _TEXT}) for t in (table, item_table))
    parts = {"items": Result(item_table, (*KEYS, "code"), item_statistics, **common)}
    return Result(table, (*KEYS, "coefficient"), statistics, parts=parts, **common)
