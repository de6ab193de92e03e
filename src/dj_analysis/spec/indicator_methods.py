"""Methods that indicators declare beside their weights: what dj.score does with each, and which it refuses."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence

from ..errors import Problems
from .codes import plain
from .schemas import INDICATORS
from .tables import Table
from .tree import Indicator

#: The denominator that is no indicator: the headcount of the unit in the period.
HEADCOUNT = "headcount"

#: Column → what scoring by declared ranges does anyway; anything else is refused, for a reason that holds for each month.
DONE: Mapping[str, tuple[str, ...]] = {
    "normaliser": ("", "goalposts"),
    "imputation": ("", "none", "reweight"),
    "treatment": ("", "none"),
}
_INSTEAD: Mapping[str, str] = {
    "normaliser": "Choices(normaliser=…)",
    "imputation": "Choices(impute=…)",
    "treatment": "Choices(treat=…)",
}


def check_methods(table: Table, problems: Problems) -> None:
    """Note normalisers, imputations and treatments that scores month by month do not use.

    What is learned from the units of a month (their smallest value, their mean, their outliers) would move a unit's score
    where only others changed, and no two months could be compared. Such choices belong to one comparison:
    ``dj.methods.composite``.
    """
    for name, done in DONE.items():
        if name not in table.frame:
            continue
        for row in table.frame.index[~table.frame[name].str.strip().isin(done)]:
            declared, code = table.frame.loc[row, name], table.frame.loc[row, "code"]
            advice = (
                f"删去;逐月得分不能取决于当月其他单位,一次比较用 dj.methods.composite(ws.indicators(…), choices={_INSTEAD[name]})"
                " (leave it out: a monthly score must not depend on the month's other units)"
            )
            allowed = ", ".join(one or "(空)" for one in done)
            problems.add(f"{table.place}: {code} {name}", "unsupported", plain(declared), allowed, advice)


def check_headers(table: Table, problems: Problems) -> None:
    """Note headers that are a slip of one that is read; a column of remarks is nobody's business."""
    for header in map(str, table.frame.columns):
        near = difflib.get_close_matches(header.strip().casefold(), INDICATORS.names, n=1, cutoff=0.85)
        if header not in (*INDICATORS.names, "reason") and near:
            problems.add(f"{table.place}: {header}", "unknown_column", header, near[0], "改正列名 (correct the header)")


def check_denominators(place: str, nodes: Sequence[Indicator], problems: Problems) -> None:
    """Note denominators that are no indicator, that have a denominator themselves, or whose ratio could not be rolled up."""
    by_code = {node.code: node for node in nodes}
    parents = {node.parent for node in nodes}
    for node in nodes:
        if not node.denominator:
            continue
        where = f"{place}: {node.code} denominator"
        below = by_code.get(node.denominator)
        if node.code in parents or node.kind:
            advice = "只写在按区间计分的指标上 (give it to an indicator with a range)"
            problems.add(where, "denominator", node.denominator, "(空)", advice)
        elif node.denominator != HEADCOUNT and (below is None or below.denominator or below.code in parents):
            allowed = f"{HEADCOUNT}, 或没有分母的另一指标 (or another indicator without a denominator)"
            advice = (
                "改正;只作分母的指标 weight 写 0 (correct it; an indicator that is only a denominator has weight 0)"
            )
            problems.add(where, "denominator", node.denominator, allowed, advice)
        elif node.rollup not in ("", "none", "weighted" if node.denominator == HEADCOUNT else "none"):
            allowed = "none, weighted (denominator = headcount)"
            advice = "比率不能相加或平均 (ratios neither add up nor average)"
            problems.add(f"{place}: {node.code} rollup", "denominator", node.rollup, allowed, advice)
