"""Whether a quarter differs from an earlier one, and how much of it is change within units."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats
from statsmodels.stats.multitest import multipletests

from ..errors import UsageError
from ..measure.common_items import asked_items, common_items, enough_in_common, on_common_items
from ..measure.inference import uncertainty
from ..measure.inference.overlapping import PairCovariance, degrees_of_freedom, variance_of_difference
from ..measure.inference.unitlaws import unit_laws
from ..measure.linked_series import brought_to
from ..measure.scores import Scores
from ..measure.survey_scores import restated
from ..measure.unitsums import UnitSums
from ..result import Result
from ..spec import reasons
from ..spec.bands import beyond
from ..spec.purpose import check_purposes
from ..spec.rules import ChangeRule
from ..spec.specification import Specification
from ..spec.units import Units
from .decomposition import LevelOfChange, decomposition, levels_of_change, of_shown_units, rows_of_cells
from .moderated import chance, linked_laws, why_not_judged
from .pairs import Pairs
from .tree_rates import tree_q_values

COLUMNS = (
    "items",
    "common_items",
    "now",
    "before",
    "difference",
    "se",
    "low",
    "high",
    "paired",
    "p",
    "q",
    "q_tree",
    "mix",
    "within",
    "real",
    "matters",
)
ALIKE = 1e-9  # share of the variance left where all linked people changed alike: rounding noise
#: What rests on linked people, who are chosen from all units together.
OF_PAIRS = ("se", "low", "high", "paired", "p", "q", "q_tree", "real", "matters")


@dataclass(frozen=True)
class Change(Result):
    """Differences between two waves.

    ``.table``: period, before_period, level, unit, form, code, n, n_before, items (questions of the code in the later wave),
    common_items (those both waves asked, on which now and before rest), now, before, difference (points), se, low, high
    (95 %), paired (True where they rest on linked people), p, q (Benjamini–Hochberg within level and code), q_tree (the rate over the tree
    of units), mix, within (they add up to the difference), real (True where it is beyond error), matters (real, and at least the smallest
    change worth acting on), reason. ``before_scores``: the earlier wave on the questions and units
    of the later one. Part ``pairs``: the linked people, where :func:`pair` counted them.
    """

    before_scores: Scores | None = field(default=None, repr=False)

    @property
    def response(self) -> Result:
        """Participation of both waves: period, level, unit, n, rate, rate_before, difference (of rates)."""
        return self.parts["response"]


def compare(now: Scores, before: Scores, pairs: Pairs | None = None) -> Change:
    """Compare two waves unit by unit.

    The difference is that of all respondents. Without linked people the waves are independent: se² = se₁² + se₂², the interval
    is Student's t with Welch–Satterthwaite degrees of freedom. Where enough people linked themselves their covariance is taken
    off (:mod:`dj_analysis.measure.inference.overlapping`; Derrick et al. 2017): the number stays, its range narrows. p of a
    survey's change rests on the laws of both means, learned from all units of the level
    (:mod:`dj_analysis.judge.moderated`): with unequal numbers of respondents skewness does not cancel.

    A change is ``real`` where its interval excludes 0 and ``q_tree`` is at most the declared false discovery rate; otherwise it is
    within error. The highest level is judged by itself (BH 1995 over its units, by code), units below it where something changed in
    the unit above or below that (:mod:`dj_analysis.judge.tree_rates`); ``q`` is that of all units of the level at once.
    ``mix`` and ``within`` split the difference by finest units (Kitagawa 1955): within = Σ½(w₁+w₂)(m₂−m₁), mix =
    Σ½(m₁+m₂)(w₂−w₁); a unit present in one wave only counts as mix, people of a unit that a release hides count right at
    the unit above.

    Parameters
    ----------
    now, before
        Scores of the same units in two waves. Units merged in between are compared with their parts together. Branch indicators that
        changed in between are linked first (:func:`dj_analysis.methods.link_versions`); where nothing links there is no difference.
    pairs
        What :func:`pair` counted of people who linked themselves over these two waves; None compares the waves as independent.
        Units with fewer than min_group pairs, group columns and further trees are compared as independent.

    Returns
    -------
    Change
        One row for each unit and code of ``now``'s anchors; a unit, code or form missing from ``before`` has no
        difference, with the reason. Dimensions and index are compared on the questions both waves asked
        (:func:`dj_analysis.measure.common_items.on_common_items`); where these are less than half of either wave's, not at all.

    Examples
    --------
    >>> changes = dj.compare(scores, before).where(unit="ALL", code="INDEX")
    >>> changes.table[["before", "now", "difference", "real"]].round(1).values.tolist()
    [[51.3, 47.6, -3.7, False]]
    """
    _check_pairs(pairs, now, before)
    check_purposes(now, before)
    if now.about != before.about or now.programme != before.programme:
        raise UsageError(f"不能比较 {now.programme} 与 {before.programme} (not the same programme)")
    spec: Specification = now.spec
    counts, now, before = like_with_like(now, before)
    earlier = brought_to(now, restated(before, now))
    keys = ["level", "unit", "form", "code"]
    form = "anchors" if now.about == "persons" else "full"
    read = [*keys, "n", "score", "se", "df"]  # the other columns would only be held, twice
    left = now.table.loc[now.table["form"] == form, ["period", *read]]
    right = earlier.table.loc[earlier.table["form"] == form, read]
    table = left.merge(right, on=keys, how="left", suffixes=("", "_before"))
    changes = table[["period", *keys]].copy()
    changes.insert(1, "before_period", before.period)
    changes["n"], changes["n_before"] = table["n"], table["n_before"]
    for number, name in enumerate(("items", "common_items")):
        changes[name] = changes["code"].map({code: pair[number] for code, pair in counts.items()}).astype("Int64")
    apart = changes["code"].isin([code for code, (_, common) in counts.items() if common == 0])
    table.loc[apart, ["score_before", "se_before"]] = np.nan
    changes["now"], changes["before"] = table["score"], table["score_before"]
    changes["difference"] = changes["now"] - changes["before"]
    levels = _levels(changes, now, before, pairs)
    changes = _with_interval(changes, table, _linked(levels, len(changes)), spec.rules.change.confidence)
    withheld = {**before.withheld, **now.withheld}
    changes["p"], not_judged = _of_all_units(changes, levels, pairs, withheld)
    changes["q_tree"] = np.nan
    changes = judged_together(
        changes, ["level", "code"], spec.units.at(now.period), spec.rules.change, told_apart(changes, withheld)
    )
    changes["mix"], changes["within"] = decomposition(changes, *of_shown_units(now, earlier))
    changes["reason"] = _reasons(changes, not_judged)
    changes.loc[apart, "reason"] = reasons.TOO_FEW_COMMON_ITEMS
    return Change(
        table=changes, keys=("period", "before_period", *keys), statistics=("n", "n_before", *COLUMNS), period=now.period,
        about=now.about, programme=now.programme, periods=(before.period, now.period), spec=spec,
        parts={"response": _response(now, earlier, before.period)} | ({} if pairs is None else {"pairs": pairs}),
        withheld=withheld, basis=(*before.basis, *now.basis), family=("level", "code"),
        together=("mix", "within", *(() if pairs is None else OF_PAIRS)), before_scores=earlier,
    )  # fmt: skip


def like_with_like(now: Scores, before: Scores) -> tuple[dict[str, tuple[int, int]], Scores, Scores]:
    """Return code → number of questions of the later wave and of those in common, and both waves on those in common.

    The number in common is 0 where it is less than half of either wave's: such a code is not compared.
    """
    if now.about != "persons" or not now.sums or not before.sums:
        return {}, now, before
    waves, tree = [before, now], asked_items(now)
    shared = common_items(waves)
    enough = {code: items for code, items in shared.items() if enough_in_common(code, items, waves)}
    counts = {code: (len(tree.leaves_of(code)), len(enough.get(code, ()))) for code in shared}
    everywhere = set().union(*shared.values())
    return counts, on_common_items(now, everywhere), on_common_items(before, everywhere)


def _response(now: Scores, before: Scores, period_before: str) -> Result:
    keys = ["level", "unit"]
    both = now.response.table.merge(before.response.table, on=keys, how="left", suffixes=("", "_before"))
    table = both[["period", *keys]].assign(before_period=period_before) if len(both) else both[["period", *keys]]
    for name in ("n", "rate", "rate_before"):
        table[name] = both.get(name)
    table["difference"] = table["rate"] - table["rate_before"]
    return Result(
        table=table, keys=("period", "before_period", *keys), statistics=("n", "rate", "rate_before", "difference"),
        period=now.period, periods=(period_before, now.period), about=now.about, programme=now.programme, spec=now.spec,
        basis=(*before.basis, *now.basis),
    )  # fmt: skip


def _check_pairs(pairs: Pairs | None, now: Scores, before: Scores) -> None:
    if pairs is None:
        return
    if not isinstance(pairs, Pairs):
        raise UsageError(f"pairs: {type(pairs).__name__};可用/valid: dj.pair(ws.survey(…), ws.survey(…))")
    if pairs.periods != (before.period, now.period) or now.programme != "survey":
        found, wanted = " → ".join(pairs.periods), f"{before.period} → {now.period}"
        raise UsageError(f"pairs: {found} 不是所比的两期 {wanted} (not the two waves compared)")


@dataclass(frozen=True)
class _Level:
    """One level of a comparison: both waves' sums by unit, the earlier first, and what linked people tell; units × codes."""

    part: LevelOfChange
    waves: list[UnitSums]
    linked: PairCovariance | None
    rows: np.ndarray  # place of each unit and code in the table of changes, -1 where it is not there

    @property
    def people(self) -> tuple[np.ndarray, np.ndarray]:
        """Effective numbers of respondents, now and before."""
        with np.errstate(divide="ignore", invalid="ignore"):
            before, now = (wave.sums["w"] ** 2 / wave.sums["ww"] for wave in self.waves)
        return now, before


def _levels(changes: pd.DataFrame, now: Scores, before: Scores, pairs: Pairs | None) -> list[_Level]:
    """Return the levels of which both waves have sums of persons."""
    if now.about != "persons" or not now.sums or not before.sums:
        return []
    levels = []
    for part in levels_of_change(changes["level"].unique(), now, before):
        waves = [block.rolled_up({u: both[k] for u, both in part.held.items()}) for k, block in enumerate(part.blocks)]
        linked = None if pairs is None else pairs.covariance(part, (waves[1].sums["w"], waves[0].sums["w"]))
        codes = [code for _, code in waves[1].cells]
        levels.append(_Level(part, waves, linked, rows_of_cells(changes, part.level, list(part.held), codes)))
    return levels


def _linked(levels: Sequence[_Level], rows: int) -> tuple[np.ndarray, np.ndarray]:
    """Return for every row the covariance of both means and the effective number of pairs, 0 where nobody is linked."""
    covariance, pairs = np.zeros(rows), np.zeros(rows)
    for level in levels:
        if level.linked is not None:
            there = level.rows >= 0
            covariance[level.rows[there]] = level.linked.covariance[there]
            pairs[level.rows[there]] = level.linked.effective[there]
    return covariance, pairs


def _with_interval(
    changes: pd.DataFrame, table: pd.DataFrame, linked: tuple[np.ndarray, np.ndarray], confidence: float
) -> pd.DataFrame:
    first, second = (table[name].to_numpy(float) ** 2 for name in ("se_before", "se"))
    df_first, df_second = (table[name].to_numpy(float) for name in ("df_before", "df"))
    covariance, pairs = linked
    with np.errstate(divide="ignore", invalid="ignore"):
        variance, _ = variance_of_difference(first, second, covariance)
        variance = np.where(variance > ALIKE * (first + second), variance, np.nan)
        df = degrees_of_freedom(first, second, df_first, df_second, pairs)
        difference = changes["difference"].to_numpy(float)
        se = np.sqrt(variance)
        df = np.where(np.isfinite(df), df, 1e6)  # a declared error comes without degrees of freedom
        changes["se"] = se
        half = stats.t.ppf(0.5 + confidence / 2, df) * se
        changes["low"], changes["high"] = difference - half, difference + half
        changes["p"] = 2 * stats.t.sf(np.abs(difference) / se, df)
    changes["paired"] = (pairs > 0) & np.isfinite(se)
    return changes


def told_apart(table: pd.DataFrame, withheld: Mapping[str, frozenset[tuple[str, str]]]) -> pd.Series:
    """Tell which rows may be shown in every period they use; the others leave before anything is judged together."""
    shown = pd.Series(True, index=table.index)
    for name in ("period", "before_period"):
        for period in table[name].unique() if name in table else ():
            hidden: dict[str, list[str]] = {}
            for level, unit in withheld.get(period, ()):
                hidden.setdefault(level, []).append(unit)
            of_period = table[name] == period
            for level, units in hidden.items():
                shown &= ~(of_period & (table["level"] == level) & table["unit"].isin(units))
    return shown


def judged_together(
    table: pd.DataFrame, family: Sequence[Any], units: Units, rule: ChangeRule, shown: pd.Series
) -> pd.DataFrame:
    """Return a table with its verdicts, corrected for the comparisons that are made at once.

    ``q`` by Benjamini and Hochberg (1995) within each family. A table with a column ``q_tree``, of changes, gets that over the tree
    of units (:mod:`dj_analysis.judge.tree_rates`), by which they are then ``real``, and ``matters``: real, and at least the
    smallest change worth acting on.

    Parameters
    ----------
    family
        What is corrected together: columns, or their values.
    shown
        Rows that may be shown; the others take no part.
    """
    q, p = np.full(len(table), np.nan), table["p"]
    for rows in table.groupby(family, dropna=False).indices.values():
        q[rows] = q_values(p.iloc[rows], shown)
    table["q"] = q
    over_tree = "q_tree" in table
    if over_tree:
        table["q_tree"] = tree_q_values(table, units, shown)
    decisive = table["q_tree" if over_tree else "q"] <= rule.false_discovery
    table["real"] = decisive & ((table["low"] > 0) | (table["high"] < 0))
    if over_tree:
        table["matters"] = table["real"] & ~beyond(table["difference"].abs().to_numpy(float), rule.smallest, "below")
    return table


def q_values(p: pd.Series, shown: pd.Series | None = None) -> pd.Series:
    """Adjust p-values for the false discovery rate (Benjamini–Hochberg 1995), missing ones left out.

    Units that cannot be shown leave before: a q-value would tell about theirs, and they are not judged. Where none can be
    shown all are adjusted.
    """
    values = p.to_numpy(float)
    known = ~np.isnan(values)
    if shown is not None and (may_be_shown := shown.reindex(p.index).to_numpy(bool)).any():
        known &= may_be_shown
    q = np.full(len(values), np.nan)
    if known.any():
        q[known] = multipletests(values[known], method="fdr_bh")[1]
    return pd.Series(q, index=p.index)


def _of_all_units(
    changes: pd.DataFrame, levels: Sequence[_Level], pairs: Pairs | None,
    withheld: Mapping[str, frozenset[tuple[str, str]]],
) -> tuple[np.ndarray, np.ndarray]:  # fmt: skip
    """Return p with the law of each mean learned from all units, and why there is none, "" where the law of the means is known."""
    p, not_judged = changes["p"].to_numpy(float).copy(), np.full(len(changes), "", dtype=object)
    hidden = set().union(*withheld.values())
    for level in levels:
        kept = np.array([(level.part.level, unit) not in hidden for unit in level.part.held])
        means = [uncertainty.means(wave.sums) for wave in level.waves]
        before, now = (unit_laws(wave.sums, mean, kept) for wave, mean in zip(level.waves, means, strict=True))
        linked = None
        if pairs is not None and level.linked is not None and level.linked.n.any():
            linked = linked_laws(level.linked, pairs.sums_of(level.part), now, before, level.people, kept)
        judged = chance(means[1].mean - means[0].mean, now, before, linked)
        there = level.rows >= 0
        there[there] = np.isfinite(p[level.rows[there]])
        p[level.rows[there]] = judged[there]
        not_judged[level.rows[there]] = why_not_judged(now, before)[there]
    return p, not_judged


def _reasons(changes: pd.DataFrame, not_judged: np.ndarray) -> pd.Series:
    reason = pd.Series(not_judged, index=changes.index, dtype="str")
    reason[changes["p"].notna() & changes["q"].isna()] = reasons.TOO_FEW_TO_JUDGE
    reason[changes["se"].isna()] = reasons.NO_ERROR_SOURCE
    reason[changes["difference"].isna()] = reasons.NOT_IN_BOTH
    return reason
