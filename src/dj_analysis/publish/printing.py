"""Results as they are printed: rounded by how many people stand behind them, each number told once."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd

from ..measure.partition import step
from ..result import Result

COUNTED = ("n", "n_before", "n_rest", "n_other")
_CENTRES = ("now", "before", "score", "whole", "difference")
_WIDTHS = ("sd", "se", "mix", "within")
_POINTS = (
    "mean",
    "upper",
    "lower",
    "upper_lower",
    "ad",
    "shrunken",
    "mu",
    "adjusted",
    "self",
    "inspection",
    "severity",
)
_SHARES = ("favourable", "share", "rate", "rate_before", "response")
_CHANCES = ("probability", "p", "q")  # with the standard error they lead back to the score


def as_printed(result: Result) -> Result:
    """Return a result with every statistic rounded by :func:`dj_analysis.measure.partition.step`."""
    parts = {name: as_printed(part) for name, part in result.parts.items()}
    return replace(result, table=_rounded(result.table), parts=parts)


def _rounded(table: pd.DataFrame) -> pd.DataFrame:
    """Round every statistic as it is printed; ranges keep their width around the rounded number, and tell no more."""
    table = _shifted(table)
    made = table.copy()
    counts = [pd.to_numeric(table[name], errors="coerce").to_numpy(float) for name in COUNTED if name in table]
    points = step(np.fmin.reduce(counts)) if counts else np.full(len(table), 0.1)
    if "rate_before" in table:  # the difference is one of rates
        made["difference"] = pd.to_numeric(table["difference"], errors="coerce").round(3)
        table = table.drop(columns="difference")
    there = [name for name in _CENTRES if name in table]
    for name in there:
        made[name] = _to(points, table[name])
    if {"now", "before", "difference"} <= set(there):
        made["difference"] = _to(points, made["now"] - made["before"]).where(table["difference"].notna())
    elif {"score", "whole", "difference"} <= set(there):
        made["difference"] = _to(points, made["score"] - made["whole"]).where(table["difference"].notna())
    centre = next((name for name in ("difference", "score") if name in there), None)
    if centre is not None:
        for name in (side for side in ("low", "high") if side in table):
            moved = made[centre] + _to(points, table[name] - table[centre])
            ends = table[name].isin((0.0, 100.0)) & (centre == "score")
            made[name] = moved.mask(ends, table[name])
        if centre == "score" and {"low", "high"} <= set(table):
            made["low"], made["high"] = made["low"].clip(lower=0), made["high"].clip(upper=100)
    for name in (name for name in _WIDTHS if name in table):
        made[name] = _to(points, table[name])
    # In print they add up, and are no second reading of the difference.
    if {"difference", "mix", "within"} <= set(made):
        made["within"] = (made["difference"] - made["mix"]).where(table["within"].notna()).round(6)
    shares = _SHARES if centre is not None or "share" not in table else (*_SHARES, "low", "high")
    for name in (name for name in shares if name in table):
        made[name] = pd.to_numeric(table[name], errors="coerce").round(3)
    for name in (name for name in _CHANCES if name in table):
        chance = pd.to_numeric(table[name], errors="coerce").astype("float64")
        made[name] = chance.round(3).mask(points > 0.1, (chance * 20).round().clip(1, 19) / 20)
    if "influence" in table:  # it leads back to the score: it follows from the printed one
        most = np.maximum(made["score"], 100 - made["score"]) / (table["n"].astype("float64") - 1)
        made["influence"] = most.where(table["influence"].notna()).round(1)
    if "bound" in table:  # as far from the printed score as from the score itself
        made["bound"] = made["score"] + _to(points, table["bound"] - table["score"])
    if "count" in table:
        made["count"] = pd.to_numeric(table["count"], errors="coerce").round()
    for name, digits in (("df", 0), ("df_within", 0), ("statistic", 2), ("effect", 2)):
        if name in table and pd.api.types.is_numeric_dtype(table[name]):  # shares have a text column of this name
            made[name] = pd.to_numeric(table[name], errors="coerce").round(digits)
    for name in (name for name in _POINTS if name in table):
        made[name] = _to(points, table[name])
    # Whatever else is a number keeps as many digits as can be read, and no more than could be used.
    for name in made:
        if pd.api.types.is_float_dtype(made[name]) and made[name].equals(table.get(name)):
            made[name] = made[name].round(2).where(points > 0.1, made[name].round(3))
    return made


_SHIFTS = {"score": "shift", "now": "shift", "before": "shift_before", "whole": "shift_whole"}


def _shifted(table: pd.DataFrame) -> pd.DataFrame:
    """Move scores to where they follow from what is printed below them; their differences and ranges go along."""
    others = [name for name in ("shift_before", "shift_whole", "shift_other") if name in table]
    made = table.drop(columns=[name for name in ("shift", *others) if name in table])
    if "shift" not in table:
        return made
    for name, by in _SHIFTS.items():
        if name in table and by in table:
            made[name] = table[name] + table[by]
    along = table["shift"] - (table[others[0]] if others else 0.0)
    for name in (name for name in ("difference", "low", "high", "bound") if name in table):
        ends = table[name].isin((0.0, 100.0)) & ("difference" not in table)
        made[name] = (table[name] + along).mask(ends, table[name])
    return made


def _to(points: np.ndarray, values: pd.Series) -> pd.Series:
    numbers = pd.to_numeric(values, errors="coerce").astype("float64")
    return ((numbers / points).round() * points).round(6) + 0.0
