"""Shares of indicators by their attributes (三个结合, row W27), with those that have no standard of assessment."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pandas as pd

from ...result import Result
from ...spec.tree import Indicator
from ..basis import bases_of
from ..survey import Indicators

KEYS = ("period", "attribute")
STATISTICS = ("indicators", "share", "weight_share")
NO_ATTRIBUTE = "none"
_OPPOSITES = (("党务", "行政"), ("定性", "定量"), ("共性", "个性"), ("数量", "质量"))


@dataclass(frozen=True)
class Attributes(Result):
    """How many indicators have each attribute.

    ``.table``: period, attribute (the pairs 党务、行政、定性、定量、共性、个性、数量、质量 that are used, then others; ``none`` for those
    without any), indicators (that have it), share (of all indicators), weight_share (of the weight in the whole tree). An
    indicator may have several, so that shares need not add to 1.
    """

    @property
    def blank(self) -> Result:
        """Indicators without a standard of assessment (考核标准): period, code, reason."""
        return self.parts["blank"]

    @property
    def declared(self) -> bool:
        """Tell whether any indicator has an attribute or a standard of assessment."""
        none = self.table[self.table["attribute"] == NO_ATTRIBUTE]
        return len(none) < len(self.table) or len(self.blank) < none["indicators"].sum()


def attributes(indicators: Indicators) -> Attributes:
    """Count the indicators in force at the end of a period by what the column ``nature`` says of them.

    Parameters
    ----------
    indicators
        What ``ws.indicators(period)`` returned.

    Examples
    --------
    >>> methods.attributes(ws.indicators("2026-09")).blank.table["code"].tolist()  # doctest: +SKIP
    ['Z19']
    """
    tree, period = indicators.tree, indicators.period
    leaves = [leaf for leaf in tree.leaves if isinstance(leaf, Indicator)]
    weight = {leaf.code: tree.weight_in_whole(leaf.code) for leaf in leaves if leaf.kind not in ("bonus", "veto")}
    whole = sum(weight.values())
    known = [word for pair in _OPPOSITES for word in pair]
    used = {word for leaf in leaves for word in leaf.attributes}
    words = [*(word for word in known if word in used), *sorted(used - set(known))]
    having = {word: [leaf.code for leaf in leaves if word in leaf.attributes] for word in words}
    having[NO_ATTRIBUTE] = [leaf.code for leaf in leaves if not leaf.attributes]
    rows = [
        (period, word, float(len(codes)), len(codes) / len(leaves), sum(weight.get(c, 0.0) for c in codes) / whole)
        for word, codes in having.items()
        if codes
    ]  # fmt: skip
    common: dict[str, Any] = {
        "period": period, "about": "units", "programme": "indicators", "spec": indicators.spec,
        "periods": tuple(indicators.occasions), "basis": bases_of(indicators), "n": None,
    }  # fmt: skip
    blank = [(period, leaf.code, "no_criterion") for leaf in leaves if not leaf.criterion.strip()]
    listed = pd.DataFrame(blank, columns=["period", "code", "reason"], dtype="str")
    table = pd.DataFrame(rows, columns=[*KEYS, *STATISTICS]).astype(dict.fromkeys(KEYS, "str"))
    return Attributes(
        table, KEYS, STATISTICS, parts={"blank": Result(listed, ("period", "code"), (), **common)}, **common
    )
