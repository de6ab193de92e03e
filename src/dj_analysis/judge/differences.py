"""Whether groups differ, by the tests researchers expect, with effect sizes and plain words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import pandas as pd
from scipy import interpolate, stats

from ..errors import UsageError
from ..measure.crossnames import is_cross
from ..measure.engines import columns_of
from ..measure.inference import uncertainty
from ..measure.members import members
from ..measure.places import person_scores, places
from ..measure.scores import Scores
from ..measure.survey import Survey
from ..measure.survey_scores import score
from ..measure.unitsums import UnitSums, independent_squares
from ..result import Result
from ..spec import reasons
from ..spec.settings import FLOOR
from ..spec.specification import Specification
from ..spec.units import ALL
from .change import q_values

KEYS = ("period", "level", "unit", "by", "form", "code", "test")
STATISTICS = ("n", "groups", "statistic", "df", "df_within", "p", "q", "effect", "effect_name", "size", "words")
PAIR_COLUMNS = ["level", "unit", "other", "form", "code", "n", "n_other", "difference", "se", "low", "high", "p",
                "reason"]  # fmt: skip
#: Where an effect begins to be small, middling, large (Cohen 1988); a convention, no judgement of what matters.
SIZES = {"hedges_g": (0.2, 0.5, 0.8), "omega_squared": (0.01, 0.06, 0.14), "epsilon_squared": (0.01, 0.06, 0.14),
         "cramers_v": (0.1, 0.3, 0.5)}  # fmt: skip
WORDS = {
    "zh": {
        "none": "未见差异(在误差范围内)", "tiny": "有差异,但很小", "small": "有差异,差别较小", "medium": "有差异,差别中等",
        "large": "有差异,差别较大",
    },
    "en": {
        "none": "no difference beyond error", "tiny": "they differ, but very little", "small": "they differ a little",
        "medium": "they differ moderately", "large": "they differ much",
    },
}  # fmt: skip


@dataclass(frozen=True)
class Differences(Result):
    """Tests of whether groups differ.

    ``.table``: period, level and unit (the whole), by (what people are grouped by), form, code, test, n, groups, statistic,
    df, df_within, p, q (Benjamini–Hochberg over the codes of one test and grouping), effect, effect_name, size (tiny, small,
    medium, large), words (in the language of the specification), reason.
    """

    @property
    def pairs(self) -> Result:
        """Every two groups: level, unit, other, form, code, n, n_other, difference, se, low, high, p (Games–Howell), reason."""
        return self.parts["pairs"]


def differences(survey: Survey, by: str | Sequence[str]) -> Differences:
    """Compare groups of respondents: categories of a group column, or the units of a level.

    Parameters
    ----------
    survey
        What ``ws.survey(period)`` returned. Its weights count in Welch's tests and in χ²; the classical analysis of variance
        and Kruskal–Wallis have no weighted form here, and none that allows for work teams, and say so.
    by
        Group columns or levels, one after the other. Groups under min_group, and those that cannot be shown, are left out before
        anything is computed; people without a group too.

    Returns
    -------
    Differences
        For every index, dimension and question: ``welch`` (two groups: Welch 1947, t; more: Welch 1951, F), ``anova`` (Fisher's
        F, effect ω², Hays 1963), ``kruskal`` (Kruskal–Wallis 1952 with ties, effect ε², Kelley 1935). For every question:
        ``chi2`` of the favourable answers (Pearson 1900, effect Cramér's V). Of two groups the effect of Welch's test is
        Hedges' g (1981), first minus second in the order of their names. ``.pairs`` holds every two groups (Games–Howell 1976).

    Raises
    ------
    UsageError
        A level or group that does not exist, or a cross-classification.

    Examples
    --------
    >>> tests = dj.differences(survey, "age_band").where(code="INDEX").table
    >>> tests[["test", "p"]].round(2).values.tolist()
    [['welch', 0.92], ['anova', 0.92], ['kruskal', 0.99]]
    """
    names = [by] if isinstance(by, str) else list(by)
    if any(is_cross(name) or not isinstance(name, str) for name in names):
        raise UsageError("differences: 一次比较一种分组 (one grouping at a time, no cross-classification)")
    scores = score(survey, by=names)
    # Only ranks need everybody's score, and they have no weighted form.
    persons = person_scores(survey) if survey.weight is None else {}
    by_grouping = [_of_grouping(survey, scores, name, persons) for name in names]
    table = pd.concat([tests for tests, _ in by_grouping], ignore_index=True)
    table["q"] = table.groupby(["by", "test"], sort=False)["p"].transform(q_values)
    table = worded(table, scores.spec)[[*KEYS[3:], *STATISTICS, "reason"]]
    root, common = scores.spec.units.at(scores.period).root, {
        "period": scores.period, "periods": (scores.period,), "spec": scores.spec, "withheld": scores.withheld,
        "basis": scores.basis,
    }  # fmt: skip
    table.insert(0, "period", scores.period)
    table.insert(1, "level", root.level)
    table.insert(2, "unit", ALL)
    pairs = pd.concat([pairs for _, pairs in by_grouping], ignore_index=True)
    pairs.insert(0, "period", scores.period)
    return Differences(
        table=table, keys=KEYS, statistics=STATISTICS, together=STATISTICS, parts={"pairs": Result(
            table=pairs, keys=("period", "level", "unit", "other", "form", "code"), together=("low", "high", "p"),
            statistics=("n", "n_other", "difference", "se", "low", "high", "p"), **common,
        )}, **common,
    )  # fmt: skip


def enps(survey: Survey, code: str, by: str | Sequence[str] | None = None) -> Result:
    """Share of promoters minus share of detractors of a question asked from 0 to 10 (Reichheld 2003).

    Promoters gave 9 or 10, detractors 0 to 6. se = √((p + d − (p − d)²)/n), in points; 95 % interval by the
    adjusted Wald method of Rocks (2016), cut to ±100, which is not centred on the value: the plain one holds the truth in 84 to
    94 % of samples of 10 to 20. Weights count, with the effective number of people in place of n.

    Returns
    -------
    Result
        ``.table``: period, level, unit, code, n, promoters, detractors (shares), enps (−100 … 100), se, low, high, reason.

    Raises
    ------
    UsageError
        The question does not exist or is not asked from 0 to 10.

    Examples
    --------
    >>> dj.enps(survey, "O4").where(unit="ALL").table[["n", "promoters", "detractors", "enps"]].round(2).values.tolist()
    [[77.0, 0.18, 0.64, -45.45]]
    """
    tree = survey.codebook.tree
    if code not in tree or (tree[code].minimum, tree[code].maximum) != (0, 10):
        raise UsageError(f"enps: {code} 不是0至10分的题 (not a question from 0 to 10)")
    scores = score(survey, by=by)
    answers = columns_of(survey.frame, [code])[code].to_numpy()
    weight = (
        np.ones(len(answers)) if survey.weight is None else columns_of(survey.frame, [survey.weight])[survey.weight]
    )
    people = places(survey).assign(
        n=~np.isnan(answers), w=np.where(np.isnan(answers), 0, weight), up=answers >= 9, down=answers <= 6
    )
    tables = []
    for level in scores.table["level"].unique():
        tables.append(_enps_table(level, people, scores).assign(code=code))
    table = pd.concat(tables, ignore_index=True)
    table.insert(0, "period", survey.period)
    keys = ("period", "level", "unit", "code")
    return Result(
        table=table[[*keys, "n", "promoters", "detractors", "enps", "se", "low", "high", "reason"]], keys=keys,
        statistics=("n", "promoters", "detractors", "enps", "se", "low", "high"), period=survey.period,
        periods=(survey.period,), spec=scores.spec, withheld=scores.withheld, basis=scores.basis,
    )  # fmt: skip


# --- One grouping -------------------------------------------------------------------------------------------------


def _of_grouping(
    survey: Survey, scores: Scores, by: str, persons: Mapping[Any, pd.Series]
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Test every code between the groups of one level or group column."""
    axis, groups = shown_groups(scores, scores.sums, by)
    names, sums = list(groups), scores.sums[axis]
    rolled = sums.rolled_up(groups)
    ranked = _in_groups(persons, places(survey)[axis], groups)
    tests, pairs = [], []
    leaves = {leaf.code for leaf in survey.codebook.tree.leaves}
    for j, (form, code) in enumerate(rolled.cells):
        column = {name: values[:, j] for name, values in rolled.sums.items()}
        there = column["n"] >= max(scores.spec.min_group, FLOOR)
        kept = {name: values[there] for name, values in column.items()}
        mean = uncertainty.means(kept)
        without = reasons.NOT_WEIGHTED if survey.weight else reasons.NOT_BY_TEAM if "wwt" in rolled.sums else ""
        rows = [welch(mean, kept), _anova(mean, kept, without)]
        rows += [_kruskal(ranked.get((form, code)), np.flatnonzero(there), without)]
        rows += [chi_squared(kept)] if code in leaves else []
        keys = {"by": by, "form": form, "code": code, "n": int(kept["n"].sum()), "groups": int(there.sum())}
        tests += [keys | row for row in rows]
        chosen = [name for name, inside in zip(names, there, strict=True) if inside]
        keys = {"level": by, "form": form, "code": code}
        pairs += [keys | pair for pair in _pairs(chosen, mean, kept["n"])]
    columns = [
        "by",
        "form",
        "code",
        "test",
        *(name for name in STATISTICS if name not in ("q", "size", "words")),
        "reason",
    ]
    return pd.DataFrame(tests, columns=columns), pd.DataFrame(pairs, columns=PAIR_COLUMNS)


def shown_groups(data: Survey | Scores, sums: Mapping[str, UnitSums], by: str) -> tuple[str, dict[str, list[str]]]:
    """Return the axis of a grouping, and groups that can be shown → the finest units or categories they hold."""
    units = data.spec.units.at(data.period)
    axis = units.tree_of(by) if by in units.levels else by
    hidden = data.withheld.get(data.period, frozenset())
    groups = members(by, axis, units, sums[axis])
    return axis, {name: inside for name, inside in groups.items() if (by, name) not in hidden}


def _in_groups(
    persons: Mapping[Any, pd.Series], places: pd.Series, groups: Mapping[str, list[str]]
) -> dict[Any, tuple[np.ndarray, np.ndarray]]:
    """(form, code) → number of the group and score of everybody in a group."""
    number = {finest: i for i, inside in enumerate(groups.values()) for finest in inside}
    place = places.map(number).to_numpy(float)
    values_by_cell, there = {}, ~np.isnan(place)
    for cell, column in persons.items():
        values = column.to_numpy()
        kept = there & ~np.isnan(values)
        values_by_cell[cell] = (place[kept].astype(int), values[kept])
    return values_by_cell


def _test(test: str, reason: str = "", **values: Any) -> dict[str, Any]:
    nothing: dict[str, Any] = dict.fromkeys(("statistic", "df", "df_within", "p", "effect"), np.nan)
    return {"test": test, "effect_name": "", "reason": reason} | nothing | values


def welch(mean: uncertainty.Means, sums: dict[str, np.ndarray]) -> dict[str, Any]:
    """Welch's t for two groups (1947), his F for more (1951), on means with their standard errors."""
    usable = np.isfinite(mean.se)
    m, variance, df = mean.mean[usable], mean.se[usable] ** 2, mean.df[usable]
    k = len(m)
    if k < 2:
        return _test("welch", reasons.TOO_FEW_TO_JUDGE)
    if k == 2:
        se = np.sqrt(variance.sum())
        within = variance.sum() ** 2 / (variance**2 / df).sum()
        t = (m[0] - m[1]) / se
        effect = _hedges(m, mean.sd[usable], sums["n"][usable])
        return _test("welch", statistic=t, df=1.0, df_within=within, p=2 * stats.t.sf(abs(t), within), effect=effect,
                     effect_name="hedges_g")  # fmt: skip
    w = 1 / variance
    centre = (w * m).sum() / w.sum()
    unequal = ((1 - w / w.sum()) ** 2 / df).sum()
    f = (w * (m - centre) ** 2).sum() / (k - 1) / (1 + 2 * (k - 2) / (k**2 - 1) * unequal)
    within = (k**2 - 1) / (3 * unequal)
    # ω² from Welch's F, with the number of people in place of the residual degrees of freedom (Hays 1963).
    n = sums["n"][usable].sum()
    effect = max(0.0, (k - 1) * (f - 1) / ((k - 1) * (f - 1) + n))
    return _test("welch", statistic=f, df=k - 1.0, df_within=within, p=stats.f.sf(f, k - 1, within), effect=effect,
                 effect_name="omega_squared")  # fmt: skip


def _hedges(m: np.ndarray, sd: np.ndarray, n: np.ndarray) -> float:
    df = n.sum() - 2
    pooled = np.sqrt(((n - 1) * sd**2).sum() / df)
    return float((m[0] - m[1]) / pooled * (1 - 3 / (4 * df - 1)))


def _anova(mean: uncertainty.Means, sums: dict[str, np.ndarray], without: str) -> dict[str, Any]:
    if without:
        return _test("anova", without)
    n, k = sums["n"], len(sums["n"])
    if k < 2:
        return _test("anova", reasons.TOO_FEW_TO_JUDGE)
    total, grand = n.sum(), (n * mean.mean).sum() / n.sum()
    between, within = (n * (mean.mean - grand) ** 2).sum(), ((n - 1) * mean.sd**2).sum()
    if within <= 0:
        return _test("anova", reasons.NO_VARIANCE)
    error = within / (total - k)
    f = between / (k - 1) / error
    omega = max(0.0, (between - (k - 1) * error) / (between + within + error))
    return _test("anova", statistic=f, df=k - 1.0, df_within=float(total - k), p=stats.f.sf(f, k - 1, total - k),
                 effect=omega, effect_name="omega_squared")  # fmt: skip


def _kruskal(persons: Any, chosen: np.ndarray, without: str) -> dict[str, Any]:
    if without:
        return _test("kruskal", without)
    group, value = persons
    inside = np.isin(group, chosen)
    samples = [value[inside & (group == number)] for number in chosen]
    if len(samples) < 2 or np.ptp(value[inside]) == 0:
        return _test("kruskal", reasons.TOO_FEW_TO_JUDGE if len(samples) < 2 else reasons.NO_VARIANCE)
    h, p = stats.kruskal(*samples)
    n, k = int(inside.sum()), len(samples)
    return _test("kruskal", statistic=h, df=k - 1.0, p=p, effect=max(0.0, (h - k + 1) / (n - k)),
                 effect_name="epsilon_squared")  # fmt: skip


def chi_squared(sums: dict[str, np.ndarray]) -> dict[str, Any]:
    """χ² of favourable against other answers to a question; weights count through the effective number of answers."""
    with np.errstate(divide="ignore", invalid="ignore"):
        squares = independent_squares(sums)
        effective = np.where(squares > 0, sums["w"] ** 2 / squares, 0)
        share = sums["favourable"] / sums["answers"]
    yes = np.nan_to_num(share * effective)
    table = np.vstack([yes, effective - yes])
    if table.shape[1] < 2:
        return _test("chi2", reasons.TOO_FEW_TO_JUDGE)
    if (table.sum(axis=1) <= 0).any():
        return _test("chi2", reasons.NO_VARIANCE)
    chi2 = stats.chi2_contingency(table, correction=False)
    v = np.sqrt(chi2.statistic / table.sum())  # of a table with two rows
    return _test("chi2", statistic=chi2.statistic, df=float(chi2.dof), p=chi2.pvalue, effect=v, effect_name="cramers_v")


def _pairs(names: list[str], mean: uncertainty.Means, n: np.ndarray) -> list[dict[str, Any]]:
    """Every two groups by Games–Howell (1976): the studentised range with Welch's degrees of freedom."""
    k, rows = len(names), []
    for i in range(k):
        for j in range(i + 1, k):
            row = {"unit": names[i], "other": names[j], "n": int(n[i]), "n_other": int(n[j]), "reason": ""}
            variance, difference = mean.se[[i, j]] ** 2, float(mean.mean[i] - mean.mean[j])
            row |= dict.fromkeys(("se", "low", "high", "p"), np.nan) | {"difference": difference}
            if not np.isfinite(variance).all():
                rows.append(row | {"reason": reasons.NO_VARIANCE})
                continue
            se, df = np.sqrt(variance.sum()), variance.sum() ** 2 / (variance**2 / mean.df[[i, j]]).sum()
            half = range_quantile(k, float(df)) * se / np.sqrt(2)
            p = stats.studentized_range.sf(abs(difference) / se * np.sqrt(2), k, df)
            rows.append(row | {"se": se, "low": difference - half, "high": difference + half, "p": float(p)})
    return rows


FEWEST_DF = 4.0  # below this the quantile bends too much to be interpolated


def range_quantile(groups: int, df: float) -> float:
    """Return the 95 % quantile of the studentised range, to 1e-5; scipy needs a tenth of a second for each.

    Smooth in 1/df: polynomial through Chebyshev's points of it, once for each number of groups.
    """
    exact = df < FEWEST_DF or not np.isfinite(df)
    return float(stats.studentized_range.ppf(0.95, groups, df) if exact else _quantiles(groups)(1 / df))


@cache
def _quantiles(groups: int) -> interpolate.BarycentricInterpolator:
    points = (1 + np.cos(np.pi * (2 * np.arange(14) + 1) / 28)) / 2 / FEWEST_DF
    return interpolate.BarycentricInterpolator(points, stats.studentized_range.ppf(0.95, groups, 1 / points))


def worded(table: pd.DataFrame, spec: Specification) -> pd.DataFrame:
    """Add size and plain words of what a test found: whether beyond error after correction, then how much."""
    rule, said = spec.rules.change, WORDS[spec.language]
    sizes, words = [], []
    for name, effect, q in table[["effect_name", "effect", "q"]].itertuples(index=False):
        cuts = SIZES.get(str(name), ())
        size = ("tiny", "small", "medium", "large")[sum(abs(float(effect)) >= cut for cut in cuts)] if cuts else ""
        sizes.append(size)
        words.append("" if not size else said[size] if q <= rule.false_discovery else said["none"])
    return table.assign(size=sizes, words=words)


def _enps_table(level: str, people: pd.DataFrame, scores: Scores) -> pd.DataFrame:
    units = scores.spec.units.at(scores.period)
    axis = units.tree_of(level) if level in units.levels else level
    w = people["w"].astype(float)
    columns = {"n": people["n"], "w": w, "ww": w**2, "up": w * people["up"], "down": w * people["down"]}
    finest = pd.DataFrame(columns).astype(float).groupby(people[axis].to_numpy()).sum()
    rows = []
    for unit, inside in members(level, axis, units, scores.sums[axis]).items():
        n, w_, ww, up, down = finest.reindex(inside).fillna(0).sum().to_numpy()
        row: dict[str, Any] = {"level": level, "unit": unit, "n": int(n), "reason": "" if n else reasons.NO_ANSWERS}
        row |= dict.fromkeys(("promoters", "detractors", "enps", "se", "low", "high"), np.nan)
        if n:
            p, d = up / w_, down / w_
            effective = w_**2 / ww
            se = 100 * np.sqrt(max(p + d - (p - d) ** 2, 0) / effective)
            low, high = _around_enps(p, d, effective)
            row |= {"promoters": p, "detractors": d, "enps": 100 * (p - d)}
            if se > 0:
                row |= {"se": se, "low": low, "high": high}
            else:
                row |= {"reason": reasons.ONE_PERSON if n == 1 else reasons.NO_VARIANCE}
        rows.append(row)
    return pd.DataFrame(rows)


def _around_enps(p: float, d: float, n: float) -> tuple[float, float]:
    """Adjusted Wald interval, AW(3, T) of Rocks (2016): three answers more, a quarter of them promoters, a quarter detractors."""
    up, down = (p * n + 0.75) / (n + 3), (d * n + 0.75) / (n + 3)
    half = stats.norm.ppf(0.975) * np.sqrt((up + down - (up - down) ** 2) / (n + 3))
    return max(100 * (up - down - half), -100.0), min(100 * (up - down + half), 100.0)
