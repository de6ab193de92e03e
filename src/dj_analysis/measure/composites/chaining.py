"""Chain-linking of series computed with different weights."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import pandas as pd

from ...errors import UsageError
from ...result import Result
from ...spec import reasons
from ...spec.periods import Period, order, parse
from ...spec.specification import Specification
from ..basis import bases_of

NO_OVERLAP = "no_data_in_overlap_series"


def chain_link(old: Any, new: Any, overlap: str, *, how: Literal["ratio", "difference"] = "ratio") -> Result:
    """Chain-link a series across a change of weights, by an overlap computed under both (annual overlap).

    Up to the end of the overlap the old values stand. Later values are the new ones times ``mean old / mean new`` over the
    overlap (``ratio``; IMF 2017, Quarterly National Accounts Manual, ch. 8), or plus ``mean old − mean new``
    (``difference``): a ratio keeps growth rates and needs a meaningful zero, a difference keeps changes in points and may be
    read on a 0–100 score; either way a linked value is no longer bounded by 0 and 100. What changes after the overlap is
    what changed under the new weights; the change of weights itself changes nothing.

    Parameters
    ----------
    old, new
        Tables (or results) with period, score, and any of level, unit, form, code: series are linked one by one.
    overlap
        A period (``2026Q4``), or a longer one that holds several of the series' periods (``2026``).

    Returns
    -------
    Result
        level, unit, form, code (those given), period, before_period (the overlap a linked value uses), score, basis (``old``,
        ``new``), link (factor or points; 1 or 0 for old values), n (fewest people behind any score used), reason. Without a
        value in the overlap on both sides the later scores are missing. Standard errors are not carried over.

    Examples
    --------
    >>> old = pd.DataFrame({"period": ["2026Q3", "2026Q4"], "score": [60.0, 66.0]})
    >>> new = pd.DataFrame({"period": ["2026Q4", "2027Q1"], "score": [60.0, 62.0]})
    >>> chain_link(old, new, "2026Q4").table["score"].round(1).tolist()
    [60.0, 66.0, 68.2]
    """
    if how not in ("ratio", "difference"):
        raise UsageError(f"how = {how};应为 ratio 或 difference (ratio or difference is needed)")
    before, after = _table(old), _table(new)
    keys = [name for name in ("level", "unit", "form", "code") if name in before and name in after]
    overlap_period = parse(overlap)
    links = _links(before, after, keys, overlap_period, how)
    earlier = before[before["period"].map(lambda text: parse(text).end <= overlap_period.end).astype(bool)]
    later = after[after["period"].map(lambda text: parse(text).end > overlap_period.end).astype(bool)]
    earlier = earlier.assign(basis="old", before_period=earlier["period"], link=1.0 if how == "ratio" else 0.0)
    later = later.assign(basis="new", before_period=overlap)
    later = later.merge(links, on=keys, how="left") if keys else later.assign(**links.iloc[0])
    table = _linked(pd.concat([earlier, later], ignore_index=True), how)
    table = _in_order(table, keys)[[*keys, "period", "before_period", "score", "basis", "link", "n", "reason"]]
    return _packed(table, keys, old, new)


def _table(series: Any) -> pd.DataFrame:
    table = series.table if isinstance(series, Result) else pd.DataFrame(series)
    for name in ("period", "score"):
        if name not in table:
            raise UsageError(f"序列缺 {name} 列 (a series needs the columns period and score)")
    table = table.assign(period=table["period"].astype("str"), score=table["score"].astype("float64"))
    if "n" not in table:
        table["n"] = np.nan
    if "reason" not in table:
        table["reason"] = ""
    table["reason"] = (
        table["reason"].astype("str").where(table["score"].notna() | (table["reason"] != ""), reasons.MISSING_VALUE)
    )
    keys = [name for name in ("level", "unit", "form", "code", "period") if name in table]
    table = table[[*keys, "score", "n", "reason"]]
    if table.duplicated(keys).any():
        raise UsageError(f"同一序列一期只能有一个值 (a series has one value a period): {', '.join(keys)}")
    return table


def _links(before: pd.DataFrame, after: pd.DataFrame, keys: list[str], overlap: Period, how: str) -> pd.DataFrame:
    """Compute the link of each series over the shared periods of the overlap, with the fewest people behind it."""
    on = [*keys, "period"]
    both = before.merge(after, on=on, suffixes=("_old", "_new")).dropna(subset=["score_old", "score_new"])
    inside = both["period"].map(lambda text: overlap.start <= parse(text).start and parse(text).end <= overlap.end)
    both = both[inside.astype(bool)].assign(people=both[["n_old", "n_new"]].min(axis=1))
    aggregations = {"score_old": "mean", "score_new": "mean", "people": "min"}
    if keys:
        means = both.groupby(keys, as_index=False).agg(aggregations)
    else:
        means = (
            both.agg(aggregations).to_frame().T
            if len(both)
            else pd.DataFrame(np.nan, index=[0], columns=list(aggregations))
        )
    ratio = (means["score_old"] / means["score_new"].where(means["score_new"] > 0)).astype(float)
    means["link"] = ratio if how == "ratio" else means["score_old"] - means["score_new"]
    return means[[*keys, "link", "people"]]


def _linked(table: pd.DataFrame, how: str) -> pd.DataFrame:
    observed, link = table["score"].notna(), table["link"]
    score = table["score"] * link if how == "ratio" else table["score"] + link
    reason = np.where(observed & link.isna(), NO_OVERLAP, np.where(observed, "", table["reason"]))
    n = table[["n", "people"]].min(axis=1)
    return table.assign(score=score, reason=pd.Series(reason, index=table.index, dtype="str"), n=n)


def _in_order(table: pd.DataFrame, keys: list[str]) -> pd.DataFrame:
    """Sort the periods within each series; the series keep their order."""
    position = {text: i for i, text in enumerate(order(list(table["period"].unique())))}
    series = table.groupby(keys, sort=False).ngroup() if keys else 0
    ordered = table.assign(_series=series, _at=table["period"].map(position))
    return ordered.sort_values(["_series", "_at"], kind="stable", ignore_index=True)


def _packed(table: pd.DataFrame, keys: list[str], old: Any, new: Any) -> Result:
    source = next((series for series in (new, old) if isinstance(series, Result)), None)
    periods = tuple(order(list({*table["period"], *table["before_period"]})))
    persons = source is not None and source.about == "persons"
    if persons and not set(periods) <= set(table["period"]):
        raise UsageError("关于人的序列,重叠期应为单独一期 (for results about persons the overlap is one single period)")
    return Result(
        table, (*keys, "period", "before_period", "basis"), ("score", "link", "n"), periods[-1] if periods else "",
        n="n" if persons else None, about="persons" if persons else "units",
        programme=source.programme if source is not None else "indicators", periods=periods,
        spec=source.spec if source is not None else Specification(), basis=bases_of(old, new),
    )  # fmt: skip
