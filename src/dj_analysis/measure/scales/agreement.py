"""Agreement of answers within units: ICC(1), ICC(2), rwg(J), AD(M)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import pandas as pd
from scipy import optimize, sparse, stats

from ...errors import UsageError
from ...result import Result
from ...spec import reasons
from ...spec.codebook import Codebook
from ...spec.tree import Node
from ...spec.units import ALL
from ..crossnames import is_cross
from ..inference.uncertainty import CONFIDENCE
from ..members import members
from ..survey import Survey
from ..survey_scores import score
from ..unitsums import UnitSums, variance_factor
from .item_answers import OptionCounts, read_answers

CUSTOMARY = 0.70
CHANCE = 0.95
ONE_UNIT = "fewer_than_two_units_between"
EQUAL_MEANS = "all_units_have_same_mean"
NOTICE = "rwg(J) > .70 可能纯属偶然 (can arise by chance: Harvey & Hollander 2004);同样人数随机作答,95% 分位数为 {}"
NO_REPEATS = "one_person_unit_between_within"

KEYS = ("period", "level", "unit", "by", "form", "scale", "coefficient")
UNIT_KEYS = ("period", "level", "unit", "form", "scale")


# Between and within units.


@dataclass(frozen=True)
class OneWay:
    """One-way analysis of variance of persons in units, with the intraclass correlations it gives.

    ``between`` and ``within`` are the mean squares MSB and MSW; ``size`` the mean group size N/G and ``size0`` that of the
    unbalanced analysis, (N − Σn²/N)/(G−1); ``df`` are G−1 and N−G; ``coefficients`` name → (estimate, low, high);
    ``reason`` why there are none.
    """

    between: float
    within: float
    size: float
    size0: float
    df: tuple[float, float]
    coefficients: Mapping[str, tuple[float, float, float]]
    reason: str = ""


def icc_one_way(
    n: np.ndarray,
    total: np.ndarray,
    squares: np.ndarray,
    *,
    w: np.ndarray | None = None,
    ww: np.ndarray | None = None,
    confidence: float = CONFIDENCE,
) -> OneWay:
    """Return intraclass correlations of units from their sums (Shrout & Fleiss 1979, one-way; Bliese 2000).

    - ``ICC(1)`` = (MSB−MSW)/(MSB+(k−1)MSW), k the mean group size, as ``multilevel::ICC1``;
      ``ICC(1) n0`` the same with k = n0, unbiased components where sizes differ.
    - ``ICC(2)`` = (MSB−MSW)/MSB, as ``multilevel::ICC2``; ``ICC(2) n0`` = k̄ρ/(1+(k̄−1)ρ) with ρ = ICC(1) n0, the
      reliability of the mean of a unit of average size; ``ICC(2) mean`` the mean over units of nρ/(1+(n−1)ρ).

    Both ICC(1) estimate one ρ and have its interval (Wald 1940), exact for normal answers in units of any sizes and equal to
    that of Shrout & Fleiss where they have one; those of ICC(2) follow from it. Never REML. With weights the squares are
    weighted and divided by what they expect under equal means, Σ(w − ww/w) within and Σww/w − Σww/Σw between, and group sizes
    are effective numbers; the interval is then near its level. The result does not depend on the scale of the weights.
    Where nobody differs from the others of the unit but units differ, all are 1 without an interval; where the means of units
    are all equal, every ICC(2) is minus infinity, which :func:`agreement` shows as missing.

    Parameters
    ----------
    n, total, squares
        Persons, Σwx and Σwx² by unit; units without persons are left out.
    w, ww
        Σw and Σw² by unit; both n without weights.
    """
    occupied = np.asarray(n) > 0
    n, x, xx = (np.asarray(values, dtype=float)[occupied] for values in (n, total, squares))
    w, ww = (n if v is None else np.asarray(v, dtype=float)[occupied] for v in (w, ww))
    weighted = w > 0
    n, x, xx, w, ww = n[weighted], x[weighted], xx[weighted], w[weighted], ww[weighted]
    if len(n) < 2:
        return _no_icc(ONE_UNIT)
    effective, means, total_weight = w**2 / ww, x / w, w.sum()
    within_divisor = (w - ww / w).sum()
    between_divisor = (ww / w).sum() - ww.sum() / total_weight
    df = (len(n) - 1.0, float(effective.sum() - len(n)))
    if not df[1] > 1e-9:
        return _no_icc(NO_REPEATS)
    grand = x.sum() / total_weight
    between = float((w * (means - grand) ** 2).sum() / between_divisor)
    within = float(np.maximum(xx - x**2 / w, 0).sum() / within_divisor)
    size, size0 = float(effective.mean()), float((total_weight - (w**2).sum() / total_weight) / between_divisor)
    least = max(1e-12, grand**2 * total_weight * np.finfo(float).eps / df[1])
    if not within > least:
        if not between > least:
            return _no_icc(reasons.NO_VARIANCE)
        one = dict.fromkeys(ICCS, (1.0, float("nan"), float("nan")))  # a unit's people all alike, the units not
        return OneWay(between, within, size, size0, df, one)
    rho = (_icc(between / within, size), *_bounds(effective, means, within, df, confidence))
    rho0 = np.array([_icc(between / within, size0), *rho[1:]])
    with np.errstate(divide="ignore"):  # equal means: minus infinity, which is left to the caller
        icc2 = np.array([1 - within / np.float64(between), *stepped_up(rho0[1:], size)])
        icc2_mean = stepped_up(rho0[:, None], effective[None, :]).mean(axis=1)
        values: list[Any] = [rho, icc2, rho0, stepped_up(rho0, size), icc2_mean]
    if not between > 1e-12 * within:  # 0 but for rounding: so is 1 + (k−1)ρ, and no mean has a reliability
        values = [np.full(3, -np.inf) if "(2)" in name else v for name, v in zip(ICCS, values, strict=True)]
    coefficients = {name: (float(v[0]), float(v[1]), float(v[2])) for name, v in zip(ICCS, values, strict=True)}
    return OneWay(between, within, size, size0, df, coefficients)


def _icc(ratio: float, size: float) -> float:
    return (ratio - 1) / (ratio + size - 1)


def _bounds(
    n: np.ndarray, means: np.ndarray, within: float, df: tuple[float, float], confidence: float
) -> tuple[float, float]:
    """Interval of ρ: at the true θ = ρ/(1−ρ) the weighted square of the means over MSW follows F (Wald 1940)."""

    def excess(theta: float, quantile: float) -> float:
        w = n / (1 + n * theta)
        return float((w * (means - (w * means).sum() / w.sum()) ** 2).sum() / df[0] / within - quantile)

    limits, least = [], -(1 - 1e-9) / n.max()
    for tail in ((1 - confidence) / 2, (1 + confidence) / 2):
        quantile, high = stats.f.isf(tail, *df), 1.0
        while excess(high, quantile) > 0:
            high *= 4
        inside = excess(least, quantile) > 0
        theta = optimize.brentq(excess, least, high, args=(quantile,), xtol=1e-12) if inside else least
        limits.append(theta / (1 + theta))
    return limits[0], limits[1]


def stepped_up(rho: Any, n: Any) -> Any:
    """Return the reliability of a mean of n persons from rho, that of one person (Spearman 1910; Brown 1910)."""
    return n * rho / (1 + (n - 1) * rho)


def _no_icc(reason: str) -> OneWay:
    nan = float("nan")
    return OneWay(nan, nan, nan, nan, (nan, nan), dict.fromkeys(ICCS, (nan, nan, nan)), reason)


ICCS = {
    "ICC(1)": "one-way ANOVA, mean group size (multilevel::ICC1)",
    "ICC(2)": "one-way ANOVA, (MSB-MSW)/MSB (multilevel::ICC2)",
    "ICC(1) n0": "one-way ANOVA, n0 of the unbalanced design",
    "ICC(2) n0": "Spearman-Brown of ICC(1) n0 at the mean group size",
    "ICC(2) mean": "mean over units of the reliability of their means, ICC(1) n0",
}


RWGS = {
    "rwg(J)": ("rwg", "James, Demaree & Wolf 1984; uniform null; over 1 counts as 1"),
    "r*wg(J)": ("rwg_star", "Lindell, Brandt & Whitney 1999; uniform null"),
    "AD(M)": ("ad", "Burke, Finkelstein & Dusig 1999; points 0-100"),
}


# Agreement within one unit.


def uniform_variance(options: Sequence[float]) -> float:
    """Return the variance of a uniform distribution over the options; (A²−1)/12 for A consecutive whole numbers."""
    return float(np.var(np.asarray(options, dtype=float)))


def rwg_j(
    n: np.ndarray,
    total: np.ndarray,
    squares: np.ndarray,
    expected: np.ndarray,
    w: np.ndarray | None = None,
    ww: np.ndarray | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Return rwg(J) and r*wg(J) of units from the sums of their items.

    rwg(J) = J(1−v)/(J(1−v)+v) with v = mean over items of s²/σ²E (James, Demaree & Wolf 1984); a v above 1 counts as 1, so
    that rwg(J) is 0, as ``multilevel::rwg.j``. r*wg(J) = 1−v, untruncated (Lindell, Brandt & Whitney 1999). An item's
    variance (n−1; weighted: Σw(x−x̄)²/(Σw − Σw²/Σw), as in the intraclass correlations) is over all who answered it.

    ``n``, ``total``, ``squares`` are persons, Σwx and Σwx², units × items, ``w`` and ``ww`` Σw and Σw² (n without weights); ``expected`` is σ²E by
    item, the variance of answers without any agreement (:func:`uniform_variance`). NaN where an item has fewer than two
    answers. Items should be parallel measures of one thing.
    """
    sum_w, factor = (n, variance_factor(n, n)) if w is None else (w, variance_factor(w, ww))
    with np.errstate(divide="ignore", invalid="ignore"):
        variance = np.maximum(squares / sum_w - (total / sum_w) ** 2, 0) * factor
        ratio = (variance / expected).mean(axis=1)
    truncated, items = np.minimum(ratio, 1), n.shape[1]
    return items * (1 - truncated) / (items * (1 - truncated) + truncated), 1 - ratio


def mean_deviation(counts: OptionCounts, groups: Sequence[Sequence[int]]) -> np.ndarray:
    """Return AD(M) of one item by group, the mean absolute deviation from its mean (Burke, Finkelstein & Dusig 1999).

    It needs the distribution of answers, which ``counts`` by finest unit give; ``groups`` are the places of the finest units
    in each group. NaN with fewer than two persons.
    """
    rows = np.repeat(np.arange(len(groups)), [len(group) for group in groups])
    columns = np.array([place for group in groups for place in group], dtype=int)
    membership = sparse.csr_array((np.ones(len(rows)), (rows, columns)), shape=(len(groups), len(counts.n)))
    n, w = (membership @ counts.n).sum(axis=1), membership @ counts.w
    with np.errstate(divide="ignore", invalid="ignore"):
        mean = w @ counts.values / w.sum(axis=1)
        deviation = (w * np.abs(counts.values - mean[:, None])).sum(axis=1) / w.sum(axis=1)
    return np.where(n > 1, deviation, np.nan)


@lru_cache(maxsize=4096)
def rwg_by_chance(
    n: int, options: tuple[tuple[float, ...], ...], quantile: float = CHANCE, draws: int = 1000, seed: int = 0
) -> float:
    """Return the quantile of rwg(J) among groups of n persons who answer at random.

    Every one of the ``options`` of each of the J items is equally likely, items independent (Cohen, Doveh & Eick 2001; Dunlap,
    Burke & Smith-Crowe 2003); the quantile of ``draws`` simulated groups. Customary cuts as .70 are often passed so (Harvey &
    Hollander 2004).
    """
    random = np.random.default_rng([seed, n, len(options)])
    count, total, squares, expected = (np.empty((draws, len(options))) for _ in range(4))
    for j, values in enumerate(options):
        v = np.asarray(values, dtype=float)
        drawn = random.multinomial(n, np.full(len(v), 1 / len(v)), size=draws)
        count[:, j], total[:, j], squares[:, j], expected[:, j] = n, drawn @ v, drawn @ v**2, uniform_variance(values)
    return float(np.quantile(rwg_j(count, total, squares, expected)[0], quantile))


# A wave.


def agreement(survey: Survey, level: str = "branch", *, draws: int = 1000, seed: int = 0) -> Result:
    """Estimate how far units differ and how far their members agree, to judge whether answers may be averaged by unit.

    ICC for every dimension and the index, from the sums of their scores by unit; rwg(J), r*wg(J) and AD(M) for every
    dimension, from its items. An index is no set of parallel items, so there is no rwg(J) of it. Respondents' weights are
    honoured; the chance value of rwg(J) counts persons.

    Parameters
    ----------
    survey
        A wave of answers.
    level
        Level of a unit tree, or a group column.
    draws, seed
        Simulated groups behind each chance value of rwg(J).

    Returns
    -------
    Result
        ``.table``: period, level and unit (the root), by (the level compared), form, scale, coefficient, estimate, low, high,
        n (persons; of rwg(J) … those who answered the rarest item), groups (units with one person or more; of rwg(J) … with
        two), method, notice, reason. Coefficients: those of
        :func:`icc_one_way`; ``min``, ``median``, ``mean`` over units of rwg(J), r*wg(J), AD(M); ``rwg(J) chance`` (median over
        units of the 95 % quantile by chance), ``rwg(J) over chance`` and ``rwg(J) over .70`` (shares of units). The notice of
        rwg(J) warns of chance. Units that a release hides are left out of all of them.

        ``.parts["units"]``: period, level, unit, form, scale, n (of the item fewest answered), items, rwg, rwg_star, ad (points
        0–100), chance, reason.

    Raises
    ------
    UsageError
        A level or group that does not exist.

    Examples
    --------
    >>> agreement(ws.survey("2026Q3"), level="branch").table  # doctest: +SKIP
    """
    if not isinstance(level, str) or is_cross(level):
        raise UsageError(f"一致性只按一个层级或分组计算 (one level or group at a time): {level}")
    scored = score(survey, by=level)
    units = survey.spec.units.at(survey.period)
    axis = units.tree_of(level) if level in units.levels else level
    groups = members(level, axis, units, scored.sums[axis])
    block = scored.sums[axis].rolled_up(groups)
    hidden = {unit for at, unit in survey.withheld.get(survey.period, ()) if at == level}
    unit_table = _unit_table(survey, level, block, _deviations(survey, axis, groups), draws, seed)
    shown = np.array([unit not in hidden for unit in block.units])
    visible = unit_table[~unit_table["unit"].isin(hidden)] if hidden else unit_table
    summary = _summary((survey.period, units.root.level, ALL, level), block, visible, survey, shown)
    common: dict[str, Any] = {
        "period": survey.period, "periods": (survey.period,), "spec": survey.spec, "withheld": survey.withheld,
        "basis": scored.basis,
    }  # fmt: skip
    statistics = ("estimate", "low", "high", "n", "groups")
    parts = {"units": Result(unit_table, UNIT_KEYS, ("n", "rwg", "rwg_star", "ad", "chance"), **common)}
    return Result(summary, KEYS, statistics, parts=parts, together=(*statistics, "notice"), **common)


def _unit_table(
    survey: Survey, level: str, block: UnitSums, deviations: Mapping[str, np.ndarray], draws: int, seed: int
) -> pd.DataFrame:
    """Agreement of every unit on every dimension."""
    codebook, tables = survey.codebook, []
    for form, code, items in _dimensions(survey, block):
        cells = [block.cells.index((form, item.code)) for item in items]
        n, x, xx, w, ww = (block.sums[name][:, cells] for name in ("n", "wx", "wxx", "w", "ww"))
        options = tuple(_options(item, codebook) for item in items)
        rwg, rwg_star = rwg_j(n, x, xx, np.array([uniform_variance(values) for values in options]), w, ww)
        least = n.min(axis=1).astype(int)
        few = np.where(least == 1, reasons.ONE_PERSON, reasons.NOT_ENOUGH_ANSWERED)
        columns = {
            "period": survey.period, "level": level, "unit": list(block.units), "form": form, "scale": code, "n": least,
            "items": len(items), "rwg": rwg, "rwg_star": rwg_star,
            "ad": np.mean([deviations[item.code] for item in items], axis=0),
            "chance": [rwg_by_chance(int(k), options, CHANCE, draws, seed) if k > 1 else np.nan for k in least],
            "reason": np.where(np.isfinite(rwg_star), "", np.where(block.persons == 0, reasons.NO_ANSWERS, few)),
        }  # fmt: skip
        tables.append(pd.DataFrame(columns))
    empty = pd.DataFrame(columns=[*UNIT_KEYS, "n", "items", "rwg", "rwg_star", "ad", "chance", "reason"])
    table = pd.concat(tables, ignore_index=True) if tables else empty
    return table.astype(dict.fromkeys((*UNIT_KEYS, "reason"), "str"))


def _dimensions(survey: Survey, block: UnitSums) -> list[tuple[str, str, list[Node]]]:
    """Form, code and items of every dimension that was asked."""
    dimensions: list[tuple[str, str, list[Node]]] = []
    for form, tree in survey.trees().items():
        for code in [node.code for node in survey.codebook.dimensions if node.code in tree]:
            items = [leaf for leaf in tree.leaves_of(code) if (form, leaf.code) in block.cells]
            dimensions += [(form, code, items)] if items else []
    return dimensions


def _options(item: Node, codebook: Codebook) -> tuple[float, ...]:
    """Return the possible answers in points 0–100: the scale's values, else whole steps, else a hundred equal steps."""
    low, high = item.minimum, item.maximum
    scale = codebook.scales.get(item.scale)
    steps = high - low if float(high - low).is_integer() else 100
    values = {o.value for o in scale.options if o.value == o.value} if scale else np.linspace(low, high, int(steps) + 1)
    return tuple(100 * (float(value) - low) / (high - low) for value in sorted(values))


def _deviations(survey: Survey, axis: str, groups: Mapping[str, list[str]]) -> dict[str, np.ndarray]:
    """Mean deviation of every item in every unit, in points."""
    units, leaves = survey.spec.units.at(survey.period), survey.codebook.tree.leaves
    tree, column = units if axis in units.trees else None, survey.axes.get(axis)
    answers = read_answers(survey.frame, leaves, weight=survey.weight, column=column, units=tree)
    place = {unit: i for i, unit in enumerate(answers.units)}
    members_of = [[place[unit] for unit in inside if unit in place] for inside in groups.values()]
    spans = {item.code: item.maximum - item.minimum for item in answers.items}
    return {code: mean_deviation(counts, members_of) * 100 / spans[code] for code, counts in answers.counts().items()}


def _summary(
    keys: tuple[str, ...], block: UnitSums, table: pd.DataFrame, survey: Survey, shown: np.ndarray
) -> pd.DataFrame:
    """Rows of the main table, computed from the units that are ``shown``; the order of rows is always the same."""
    rows: list[tuple] = []
    shown_units = set(np.array(block.units, dtype=object)[shown])
    codes = [*(node.code for node in survey.codebook.dimensions), survey.codebook.index]
    with_rwg = {(form, code) for form, code, _ in _dimensions(survey, block)}
    for form in survey.forms:
        for code in [code for code in codes if code and (form, code) in block.cells]:
            sums = {name: values[shown] for name, values in block.column((form, code)).items()}
            rows += [(*keys, form, code, *row) for row in _icc_rows(sums)]
            unit_rows = table[(table["form"] == form) & (table["scale"] == code) & table["unit"].isin(shown_units)]
            rows += [(*keys, form, code, *row) for row in _rwg_rows(unit_rows)] if (form, code) in with_rwg else []
    columns = [*KEYS, "estimate", "low", "high", "n", "groups", "method", "notice", "reason"]
    return pd.DataFrame(rows, columns=columns).astype(dict.fromkeys((*KEYS, "method", "notice", "reason"), "str"))


def _icc_rows(sums: Mapping[str, np.ndarray]) -> list[tuple]:
    anova = icc_one_way(sums["n"], sums["wx"], sums["wxx"], w=sums["w"], ww=sums["ww"])
    rows = []
    for name, values in anova.coefficients.items():
        equal = not anova.reason and not np.isfinite(values[0])
        estimates = [np.nan if equal or not np.isfinite(value) else value for value in values]
        without_interval = reasons.NO_ERROR_SOURCE if values[1] != values[1] else ""
        reason = EQUAL_MEANS if equal else anova.reason or without_interval
        rows.append((name, *estimates, int(sums["n"].sum()), int((sums["n"] > 0).sum()), ICCS[name], "", reason))
    return rows


def _rwg_rows(units: pd.DataFrame) -> list[tuple]:
    """Minimum, median and mean of the agreement indices over units, with the values expected by chance."""
    eligible = units[units["n"] > 1]
    n, groups = int(eligible["n"].sum()), len(eligible)
    reason = reasons.NO_ERROR_SOURCE if groups else reasons.TOO_FEW_TO_JUDGE
    chance = float(eligible["chance"].median()) if groups else np.nan
    notice = NOTICE.format(f"{chance:.2f}") if groups else ""
    rows: list[tuple] = []
    for name, (column, method) in RWGS.items():
        values = eligible[column]
        for statistic in ("min", "median", "mean"):
            row_notice = notice if column == "rwg" else ""
            estimate = float(values.agg(statistic)) if groups else np.nan
            rows.append((f"{name} {statistic}", estimate, np.nan, np.nan, n, groups, method, row_notice, reason))
    shares = {"rwg(J) chance": chance}
    for name, cut in (("rwg(J) over chance", eligible["chance"]), ("rwg(J) over .70", CUSTOMARY)):
        shares[name] = float((eligible["rwg"] > cut).mean()) if groups else np.nan
    method = f"{RWGS['rwg(J)'][1]}; uniform answers, independent items, {100 * CHANCE:g} % quantile"
    return rows + [(name, value, np.nan, np.nan, n, groups, method, notice, reason) for name, value in shares.items()]
