"""Tables of scores, shares and participation by unit, filled some units at a time."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain
from typing import Any

import numpy as np
import pandas as pd

from ..spec import reasons
from ..spec.specification import Specification
from .crossnames import is_cross
from .inference import uncertainty
from .inference.scorelimits import PersonLaw, person_law, wider_limits
from .unitsums import Cell, UnitSums, independent_squares

#: Units that are computed at once: some thirty arrays of them × cells take memory that is used again for the next.
UNITS_AT_ONCE = 1000

#: Rows of a stretch of texts that come again and again.
STRETCH = 1 << 17

Groups = Mapping[str, Sequence[str]]  # unit of a level → the finest units it holds
Columns = Mapping[str, np.ndarray]  # arrays of units × cells


@dataclass(frozen=True)
class LevelTables:
    """Tables of the units of several levels of one axis, level by level: a row a unit and cell, of participation a row a unit."""

    scores: pd.DataFrame
    shares: pd.DataFrame
    response: pd.DataFrame


def level_tables(levels: Mapping[str, Groups], sums: UnitSums, period: str, spec: Specification) -> LevelTables:
    """Sum up the units of each level and compute their tables.

    Parameters
    ----------
    levels
        Level → its units, with the finest units each holds.
    sums
        By finest unit of their axis.
    """
    law, cut = person_law(sums.sums), spec.bands["low_answers"].of
    of_index = [j for j, (_, code) in enumerate(sums.cells) if code == spec.codebook.index]
    indexes = of_index if cut is not None else []
    units = sum(len(groups) for groups in levels.values())
    scores, shares = _Rows(units * len(sums.cells)), _Rows(units * (len(sums.cells) + len(indexes)))
    below, persons = [], []
    for block in _blocks(levels, sums):
        scores.add(_scores(block, law))
        shares.add(_favourable(block, spec))
        if cut is not None and indexes:
            below.append(_below(block, indexes, cut))
        persons.append(block.persons)
    for block_below in below:
        shares.add(block_below)
    keys = _keys(levels, sums.cells, period)
    below_keys = _keys(levels, [sums.cells[j] for j in indexes], period)
    return LevelTables(
        _score_table(keys, scores.columns),
        _share_table(keys, below_keys, shares.columns),
        _response_table(levels, np.concatenate(persons), period, spec),
    )


def _blocks(levels: Mapping[str, Groups], sums: UnitSums) -> Iterator[UnitSums]:
    """Yield the sums of all units in turn, some at a time, under running numbers; of no units an empty block."""
    members = [held for groups in levels.values() for held in groups.values()]
    for first in range(0, max(len(members), 1), UNITS_AT_ONCE):
        some = members[first : first + UNITS_AT_ONCE]
        yield sums.rolled_up({str(place): held for place, held in enumerate(some, first)})


@dataclass
class _Rows:
    """Columns of so many rows, filled from the top."""

    many: int
    columns: dict[str, np.ndarray] = field(default_factory=dict)
    filled: int = 0

    def add(self, block: Columns) -> None:
        """Write the next rows: units × cells, unit by unit."""
        end = self.filled + next(iter(block.values())).size
        for name, values in block.items():
            if name not in self.columns:
                self.columns[name] = np.empty(self.many, values.dtype)
            self.columns[name][self.filled : end] = values.ravel()
        self.filled = end


def _scores(sums: UnitSums, law: PersonLaw) -> Columns:
    estimates = uncertainty.means(sums.sums)
    low, high = wider_limits(sums.sums, estimates, law)
    with np.errstate(divide="ignore", invalid="ignore"):
        favourable = sums.sums["favourable"] / sums.sums["answers"]
    reason = estimates.reason.copy()
    answered = sums.persons[:, None] > 0
    reason[(reason == reasons.NO_ANSWERS) & answered] = reasons.NOT_ENOUGH_ANSWERED
    return {
        "n": sums.sums["n"].astype(int), "score": estimates.mean, "sd": estimates.sd, "se": estimates.se, "df": estimates.df,
        "skewness": estimates.skewness, "low": low, "high": high, "favourable": favourable, "reason": reason,
    }  # fmt: skip


def _favourable(sums: UnitSums, spec: Specification) -> Columns:
    """Several answers of one person are not independent: the interval of a dimension counts persons, not answers."""
    with np.errstate(divide="ignore", invalid="ignore"):
        share = sums.sums["favourable"] / sums.sums["answers"]
    effective = _effective(sums)
    interval = uncertainty.shares_interval(np.nan_to_num(share * effective), effective)
    return _shares(sums.sums["n"], share, spec.bands["favourable"].bands[0].point, interval)


def _below(sums: UnitSums, indexes: Sequence[int], cut: float) -> Columns:
    """A warning rests on the lower bound of the share below: it is exact."""
    with np.errstate(divide="ignore", invalid="ignore"):
        share = sums.sums["low"][:, indexes] / sums.sums["w"][:, indexes]
    effective = _effective(sums)[:, indexes]
    interval = uncertainty.exact_interval(np.nan_to_num(share * effective), effective)
    return _shares(sums.sums["n"][:, indexes], share, cut, interval)


def _effective(sums: UnitSums) -> np.ndarray:
    """Return the effective number of persons, of which weighted shares are."""
    w = sums.sums["w"]
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(w > 0, w**2 / independent_squares(sums.sums), 0)


def _shares(n: np.ndarray, share: np.ndarray, cut: float, interval: tuple[np.ndarray, np.ndarray]) -> Columns:
    low, high = interval
    return {
        "cut": np.full(share.shape, cut), "n": n.astype(int), "count": np.nan_to_num(share * n), "share": share,
        "low": low, "high": high,
    }  # fmt: skip


def _keys(levels: Mapping[str, Groups], cells: Sequence[Cell], period: str) -> pd.DataFrame:
    """Return the columns that name a row for every unit and cell."""
    units = [len(groups) for groups in levels.values()]
    return pd.DataFrame(
        {
            "period": _over_and_over([period], sum(units) * len(cells)),
            "level": _words(levels).repeat([many * len(cells) for many in units]),
            "unit": _words(chain.from_iterable(levels.values())).repeat(len(cells)),
            "form": _over_and_over([form for form, _ in cells], sum(units)),
            "code": _over_and_over([code for _, code in cells], sum(units)),
        },
        copy=False,
    )


def _score_table(keys: pd.DataFrame, columns: dict[str, np.ndarray]) -> pd.DataFrame:
    reason = _words(columns.pop("reason"))
    after = {name: columns.pop(name) for name in ("low", "high", "favourable")}
    source = _over_and_over(["respondents"], len(keys))
    return _table(keys, {**columns, "se_source": source, **after, "reason": reason})


def _share_table(keys: pd.DataFrame, below_keys: pd.DataFrame, columns: Mapping[str, np.ndarray]) -> pd.DataFrame:
    statistics = {"favourable": len(keys), "below": len(below_keys)}
    statistic = _joined([_over_and_over([name], rows) for name, rows in statistics.items()])
    reason = _words(["", reasons.NO_ANSWERS]).take((columns["n"] == 0).astype(int))
    keys = pd.concat([keys, below_keys], ignore_index=True)  # texts are not copied
    return _table(keys, {"statistic": statistic, **columns, "reason": reason})


def _table(keys: pd.DataFrame, columns: Mapping[str, Any]) -> pd.DataFrame:
    """Return a table of columns as they lie in memory; texts, which never change there, may be those of another table too."""
    return pd.DataFrame({**{name: keys[name].array.copy() for name in keys}, **columns}, copy=False)


def _response_table(
    levels: Mapping[str, Groups], persons: np.ndarray, period: str, spec: Specification
) -> pd.DataFrame:
    head = np.array(
        list(chain.from_iterable(_headcounts(level, levels[level], period, spec) for level in levels)), float
    )
    n = persons.astype(int)
    with np.errstate(divide="ignore", invalid="ignore"):
        rate = np.where(head > 0, n / head, np.nan)
    reason = np.where(np.isnan(rate), reasons.NO_HEADCOUNT, np.where(rate > 1, reasons.MORE_THAN_HEADCOUNT, ""))
    many = [len(groups) for groups in levels.values()]
    return pd.DataFrame(
        {
            "period": _over_and_over([period], len(n)), "level": _words(levels).repeat(many),
            "unit": _words(chain.from_iterable(levels.values())), "n": n, "headcount": head,
            "rate": np.where(rate > 1, np.nan, rate), "reason": _words(reason.astype(object)),
        }
    )  # fmt: skip


def _headcounts(level: str, units: Iterable[str], period: str, spec: Specification) -> list[float]:
    """Return how many people each unit has; of groups and crosses nobody knows."""
    unknown = level in spec.group_names or is_cross(level)
    return [float("nan") if unknown else spec.headcount(unit, period) for unit in units]


def _over_and_over(texts: Sequence[str], times: int) -> Any:
    """Return texts as a column that says them so many times; it lies in memory as one stretch, which it refers to again and again."""
    in_stretch = min(times, STRETCH // max(len(texts), 1) + 1)
    stretch = _words(texts).take(np.tile(np.arange(len(texts)), in_stretch))
    whole, rest = divmod(times, max(in_stretch, 1))
    return _joined([*[stretch] * whole, *([stretch[: rest * len(texts)]] if rest else [])] or [stretch])


def _joined(texts: Sequence[Any]) -> Any:
    """Return columns of texts one behind the other, where they lie."""
    if len(texts) == 1:
        return texts[0]
    return pd.concat([pd.Series(column, copy=False) for column in texts], ignore_index=True).array


def _words(texts: Iterable[str]) -> Any:
    """Return texts as a column, which repeats much faster than one made of repeated texts."""
    return pd.array(texts if isinstance(texts, np.ndarray) else list(texts), dtype="str")
