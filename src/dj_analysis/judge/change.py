"""Whether a quarter differs from an earlier one, and how much of it is change within units."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
from scipy import stats
from statsmodels.stats.multitest import multipletests

from ..errors import UsageError
from ..measure.common_items import asked_items, common_items, enough_in_common, on_common_items
from ..measure.linked_series import brought_to
from ..measure.scores import Scores
from ..measure.survey_scores import restated
from ..result import Result
from ..spec import reasons
from ..spec.purpose import check_purposes
from ..spec.specification import Specification
from .decomposition import decomposition, of_shown_units

COLUMNS = (
    "items",
    "common_items",
    "now",
    "before",
    "difference",
    "se",
    "low",
    "high",
    "p",
    "q",
    "mix",
    "within",
    "real",
)


@dataclass(frozen=True)
class Change(Result):
    """Differences between two waves.

    ``.table``: period, before_period, level, unit, form, code, n, n_before, items (questions of the code in the later wave),
    common_items (those both waves asked, on which now and before rest), now, before, difference (points), se, low, high
    (95 %), p, q (Benjamini–Hochberg within level and code), mix, within (they add up to the difference), real (True where
    it is beyond error), reason. ``before_scores``: the earlier wave on the questions and units of the later one.
    """

    before_scores: Scores | None = field(default=None, repr=False)

    @property
    def response(self) -> Result:
        """Participation of both waves: period, level, unit, n, rate, rate_before, difference (of rates)."""
        return self.parts["response"]


def compare(now: Scores, before: Scores, pairs: None = None) -> Change:
    """Compare two waves unit by unit.

    Respondents of two waves are not linked, so the waves are independent: se² = se₁² + se₂², Student's t with
    Welch–Satterthwaite degrees of freedom. A change is ``real`` where its interval excludes 0 and its q-value (BH 1995
    over the units of its level and code) is at most the declared false discovery rate; otherwise it is within error.
    ``mix`` and ``within`` split the difference by finest units (Kitagawa 1955): within = Σ½(w₁+w₂)(m₂−m₁), mix =
    Σ½(m₁+m₂)(w₂−w₁); a unit present in one wave only counts as mix, people of a unit that a release hides count right at
    the unit above.

    Parameters
    ----------
    now, before
        Scores of the same units in two waves. Units merged in between are compared with their parts together. Branch indicators that
        changed in between are linked first (:func:`dj_analysis.methods.link_versions`); where nothing links there is no difference.
    pairs
        Answers of people who linked themselves (a later capability); None.

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
    if pairs is not None:
        raise UsageError("pairs: 配对比较尚未提供 (paired comparison is not available yet)")
    check_purposes(now, before)
    if now.about != before.about or now.programme != before.programme:
        raise UsageError(f"不能比较 {now.programme} 与 {before.programme} (not the same programme)")
    spec: Specification = now.spec
    counts, now, before = like_with_like(now, before)
    earlier = brought_to(now, restated(before, now))
    keys = ["level", "unit", "form", "code"]
    form = "anchors" if now.about == "persons" else "full"
    left = now.table[now.table["form"] == form]
    right = earlier.table[earlier.table["form"] == form]
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
    changes = _with_interval(changes, table, spec.rules.change.confidence)
    withheld = {**before.withheld, **now.withheld}
    changes["q"] = changes.groupby(["level", "code"])["p"].transform(q_values, told_apart(changes, withheld))
    changes["mix"], changes["within"] = decomposition(changes, *of_shown_units(now, earlier))
    changes["real"] = (changes["q"] <= spec.rules.change.false_discovery) & (
        (changes["low"] > 0) | (changes["high"] < 0)
    )
    changes["reason"] = _reasons(changes)
    changes.loc[apart, "reason"] = reasons.TOO_FEW_COMMON_ITEMS
    return Change(
        table=changes, keys=("period", "before_period", *keys), statistics=("n", "n_before", *COLUMNS), period=now.period,
        about=now.about, programme=now.programme, periods=(before.period, now.period), spec=spec,
        parts={"response": _response(now, earlier, before.period)}, withheld=withheld, basis=(*before.basis, *now.basis),
        family=("level", "code"), together=("mix", "within"), before_scores=earlier,
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


def _with_interval(changes: pd.DataFrame, table: pd.DataFrame, confidence: float) -> pd.DataFrame:
    first, second = table["se_before"].to_numpy(float), table["se"].to_numpy(float)
    variance = first**2 + second**2
    with np.errstate(divide="ignore", invalid="ignore"):
        parts = first**4 / table["df_before"].to_numpy(float) + second**4 / table["df"].to_numpy(float)
        df = variance**2 / parts
        difference = changes["difference"].to_numpy(float)
        se = np.sqrt(variance)
        df = np.where(np.isfinite(df), df, 1e6)  # a declared error comes without degrees of freedom
        changes["se"] = se
        half = stats.t.ppf(0.5 + confidence / 2, df) * se
        changes["low"], changes["high"] = difference - half, difference + half
        changes["p"] = 2 * stats.t.sf(np.abs(difference) / se, df)
    return changes


def told_apart(table: pd.DataFrame, withheld: Mapping[str, frozenset[tuple[str, str]]]) -> pd.Series:
    """Tell which rows may be shown in every period they use; the others leave before anything is judged together."""
    rows = pd.Series(list(zip(table["level"], table["unit"], strict=True)), index=table.index, dtype=object)
    shown = pd.Series(True, index=table.index)
    for name in ("period", "before_period"):
        for period in table[name].unique() if name in table else ():
            hidden = withheld.get(period, frozenset())
            shown &= ~((table[name] == period) & rows.isin(hidden))
    return shown


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


def _reasons(changes: pd.DataFrame) -> pd.Series:
    reason = pd.Series("", index=changes.index, dtype="str")
    reason[changes["p"].notna() & changes["q"].isna()] = reasons.TOO_FEW_TO_JUDGE
    reason[changes["se"].isna()] = reasons.NO_ERROR_SOURCE
    reason[changes["difference"].isna()] = reasons.NOT_IN_BOTH
    return reason
