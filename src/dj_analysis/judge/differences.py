"""Whether groups differ, by the tests researchers expect, with effect sizes and plain words."""

from __future__ import annotations

import warnings
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from ..errors import DjWarning, UsageError, unknown
from ..measure.crossnames import is_cross
from ..measure.inference import uncertainty
from ..measure.inference.studentised import range_quantile, range_tail
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
#: Of more groups every two are compared only where that is asked for, as their number grows with the square.
MOST_GROUPS = 100
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


def differences(
    survey: Survey, by: str | Sequence[str], *, pairs: bool | Sequence[tuple[str, str]] | None = None
) -> Differences:
    """Compare groups of respondents: categories of a group column, or the units of a level.

    Parameters
    ----------
    survey
        What ``ws.survey(period)`` returned. Its weights count in Welch's tests and in χ²; the classical analysis of variance
        and Kruskal–Wallis have no weighted form here, and none that allows for work teams, and say so.
    by
        Group columns or levels, one after the other. Groups under min_group, and those that cannot be shown, are left out before
        anything is computed; people without a group too.
    pairs
        Every two groups (True), none (False), or those named, ``[("HQ", "B01")]``, told as among every two. By default every two of
        up to :data:`MOST_GROUPS` groups, and none of more: their number grows with the square, and p, corrected for all of
        them, finds hardly anything. Which of many units stand out tells :func:`dj_analysis.contrast`, their order
        :func:`dj_analysis.rank`.

    Returns
    -------
    Differences
        For every index, dimension and question: ``welch`` (two groups: Welch 1947, t; more: Welch 1951, F), ``anova`` (Fisher's
        F, effect ω², Hays 1963), ``kruskal`` (Kruskal–Wallis 1952 with ties, effect ε², Kelley 1935). For every question:
        ``chi2`` of the favourable answers (Pearson 1900, effect Cramér's V). Of two groups the effect of Welch's test is
        Hedges' g (1981), first minus second in the order of their names. ``.pairs`` holds every two groups (Games–Howell 1976).

    Warns
    -----
    DjWarning
        Pairs of many groups were left out.

    Raises
    ------
    UsageError
        A level or group that does not exist, or a cross-classification; a pair of a group with itself, or of groups that do not
        exist or cannot be shown.

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
    groups = {name: shown_groups(scores, scores.sums, name) for name in names}
    wanted = _wanted(pairs, {name: shown for name, (_, shown) in groups.items()})
    # Only ranks need everybody's score, and they have no weighted form.
    persons = person_scores(survey) if survey.weight is None else {}
    people = places(survey)
    by_grouping = []
    for name, (axis, shown) in groups.items():
        place = _place_of_group(people[axis], shown)
        by_grouping.append(_of_grouping(survey, scores.sums[axis].rolled_up(shown), name, persons, place, wanted[name]))
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
    in_pairs = pd.concat([found for _, found in by_grouping], ignore_index=True)
    in_pairs.insert(0, "period", scores.period)
    return Differences(
        table=table, keys=KEYS, statistics=STATISTICS, together=STATISTICS, parts={"pairs": Result(
            table=in_pairs, keys=("period", "level", "unit", "other", "form", "code"), together=("low", "high", "p"),
            statistics=("n", "n_other", "difference", "se", "low", "high", "p"), **common,
        )}, **common,
    )  # fmt: skip


# --- One grouping -------------------------------------------------------------------------------------------------


def _wanted(
    pairs: bool | Sequence[tuple[str, str]] | None, groups: Mapping[str, Collection[str]]
) -> dict[str, bool | list[tuple[str, str]]]:
    """Return which pairs of each grouping are told: all, none, or those named."""
    if isinstance(pairs, bool):
        return dict.fromkeys(groups, pairs)
    if pairs is None:
        many = {name: len(shown) for name, shown in groups.items() if len(shown) > MOST_GROUPS}
        if many:
            told = ", ".join(f"{name}: {k:,} × {k - 1:,} / 2 = {k * (k - 1) // 2:,}" for name, k in many.items())
            warnings.warn(
                f"{told} 对,超过{MOST_GROUPS}组不作两两比较,只作总体检验:校正后几乎查不出差别;哪些单位突出用 dj.contrast,先后用 dj.rank,"
                "个别的用 pairs=[(…, …)],全部用 pairs=True"
                f" (pairs; of more than {MOST_GROUPS} groups only the overall tests are made, corrected for so many pairs hardly any"
                " difference is found: dj.contrast tells which units stand out, dj.rank their order; pairs=[(…, …)] compares those"
                " named, pairs=True all)", DjWarning, stacklevel=3,
            )  # fmt: skip
        return {name: name not in many for name in groups}
    for pair in pairs:
        if isinstance(pair, str) or len(pair) != 2 or pair[0] == pair[1]:
            raise UsageError(f"pairs: {pair!r} 不是两个组;例/e.g. [(…, …)] (not two groups)")
        if not any(set(pair) <= set(shown) for shown in groups.values()):
            names = list(dict.fromkeys(name for shown in groups.values() for name in shown))
            missing = [name for name in pair if name not in names]
            raise unknown("可显示的组/group that can be shown", missing[0] if missing else " – ".join(pair), names)
    named = list(dict.fromkeys((one, other) for one, other in pairs))
    return {name: [pair for pair in named if set(pair) <= set(shown)] for name, shown in groups.items()}


def _of_grouping(
    survey: Survey, sums: UnitSums, by: str, persons: Mapping[Any, pd.Series], place: np.ndarray,
    wanted: bool | Sequence[tuple[str, str]],
) -> tuple[pd.DataFrame, pd.DataFrame]:  # fmt: skip
    """Test every code between the groups of one level or group column, and the wanted pairs of them."""
    tests, pairs = [], []
    leaves = {leaf.code for leaf in survey.codebook.tree.leaves}
    for j, (form, code) in enumerate(sums.cells):
        column = {name: values[:, j] for name, values in sums.sums.items()}
        there = column["n"] >= max(survey.spec.min_group, FLOOR)
        kept = {name: values[there] for name, values in column.items()}
        mean = uncertainty.means(kept)
        without = reasons.NOT_WEIGHTED if survey.weight else reasons.NOT_BY_TEAM if "wwt" in sums.sums else ""
        rows = [welch(mean, kept), _anova(mean, kept, without)]
        in_groups = None if without else _in_groups(persons[form, code], place)
        rows += [_kruskal(in_groups, np.flatnonzero(there), without)]
        rows += [chi_squared(kept)] if code in leaves else []
        keys = {"by": by, "form": form, "code": code, "n": int(kept["n"].sum()), "groups": int(there.sum())}
        tests += [keys | row for row in rows]
        chosen = [name for name, inside in zip(sums.units, there, strict=True) if inside]
        pairs.append(_pairs(chosen, mean, kept["n"], wanted).assign(level=by, form=form, code=code))
    columns = [
        "by",
        "form",
        "code",
        "test",
        *(name for name in STATISTICS if name not in ("q", "size", "words")),
        "reason",
    ]
    return pd.DataFrame(tests, columns=columns), pd.concat(pairs, ignore_index=True)[PAIR_COLUMNS]


def shown_groups(data: Survey | Scores, sums: Mapping[str, UnitSums], by: str) -> tuple[str, dict[str, list[str]]]:
    """Return the axis of a grouping, and groups that can be shown → the finest units or categories they hold."""
    units = data.spec.units.at(data.period)
    axis = units.tree_of(by) if by in units.levels else by
    hidden = data.withheld.get(data.period, frozenset())
    groups = members(by, axis, units, sums[axis])
    return axis, {name: inside for name, inside in groups.items() if (by, name) not in hidden}


def _place_of_group(places: pd.Series, groups: Mapping[str, list[str]]) -> np.ndarray:
    """Return the number of everybody's group, -1 of who is in none."""
    number = {finest: i for i, inside in enumerate(groups.values()) for finest in inside}
    return places.map(number).fillna(-1).to_numpy(int)


def _in_groups(scores: pd.Series, place: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return number of the group and score of everybody in a group."""
    values = scores.to_numpy()
    kept = (place >= 0) & ~np.isnan(values)
    return place[kept], values[kept]


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
    group, value, k = group[inside], value[inside], len(chosen)
    if k < 2 or np.ptp(value) == 0:
        return _test("kruskal", reasons.TOO_FEW_TO_JUDGE if k < 2 else reasons.NO_VARIANCE)
    _, place, alike = np.unique(value, return_inverse=True, return_counts=True)
    rank = (np.cumsum(alike) - (alike - 1) / 2)[place]
    n, of_group = len(value), np.bincount(group)[chosen]
    squares = (np.bincount(group, rank)[chosen] ** 2 / of_group).sum()
    ties = 1 - (alike.astype(float) ** 3 - alike).sum() / (float(n) ** 3 - n)
    h = (12 / (n * (n + 1)) * squares - 3 * (n + 1)) / ties
    return _test("kruskal", statistic=h, df=k - 1.0, p=stats.chi2.sf(h, k - 1), effect=max(0.0, (h - k + 1) / (n - k)),
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


def _pairs(
    names: Sequence[str], mean: uncertainty.Means, n: np.ndarray, wanted: bool | Sequence[tuple[str, str]]
) -> pd.DataFrame:
    """Return wanted pairs of groups by Games–Howell (1976): the studentised range with Welch's degrees of freedom."""
    i, j = np.triu_indices(len(names), 1) if wanted is True else _places_of(wanted or [], names)
    difference, variance = mean.mean[i] - mean.mean[j], mean.se**2
    with np.errstate(divide="ignore", invalid="ignore"):
        both = variance[i] + variance[j]
        df = both**2 / (variance[i] ** 2 / mean.df[i] + variance[j] ** 2 / mean.df[j])
    known = np.isfinite(both)
    se, half, p = (np.full(len(i), np.nan) for _ in range(3))
    se[known] = np.sqrt(both[known])
    if known.any():
        half[known] = range_quantile(len(names), df[known]) * se[known] / np.sqrt(2)
        p[known] = range_tail(np.abs(difference[known]) / se[known] * np.sqrt(2), len(names), df[known])
    words = pd.array(list(names), dtype="str")
    return pd.DataFrame({
        "unit": words.take(i), "other": words.take(j), "n": n[i].astype(int), "n_other": n[j].astype(int),
        "difference": difference, "se": se, "low": difference - half, "high": difference + half, "p": p,
        "reason": np.where(known, "", reasons.NO_VARIANCE).astype(object),
    })  # fmt: skip


def _places_of(pairs: Sequence[tuple[str, str]], names: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
    """Return the places of named pairs among the groups; pairs of groups that are not there are left out."""
    place = {name: i for i, name in enumerate(names)}
    there = [(place[one], place[other]) for one, other in pairs if one in place and other in place]
    first, second = np.array(there, dtype=int).reshape(-1, 2).T
    return first, second


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
