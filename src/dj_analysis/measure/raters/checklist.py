"""Checklists of units (四个一: 大会、表格、汇报、数据, row Z18): which units lack what, and the share that has all."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from ...errors import UsageError
from ...result import Result
from ...spec.periods import order
from ...spec.rubrics import CHECKLIST
from ...spec.specification import Specification
from ..inference.uncertainty import shares_interval
from ..intake.score_sheets import Ratings
from .rating import Rating
from .rubric_sheets import of_rubric, sheets_given

KEYS = ("period", "level", "unit")
STATISTICS = ("n", "held", "items", "lacking", "meets_all", "self", "inspection", "difference")
OWN_WORD = "own_word_only"
NOT_MARKED = "items_not_marked"
ALL_ITEMS = "*"


@dataclass(frozen=True)
class Checklist(Result):
    """What each unit has of a checklist.

    ``.table``: period, level, unit, n (raters who looked), held (items that are there), items (of the list), lacking (codes of
    those that are not, joined by 、), meets_all, self, inspection, difference (self − inspection of a score sheet, where one was
    given), reason: only the unit's own word (``own_word_only``), items nobody marked.
    """

    @property
    def shares(self) -> Result:
        """Share of units that have an item: period, level, code (``*``: all of them), held, units, share, low, high."""
        return self.parts["shares"]


def checklist(
    ratings: Ratings | pd.DataFrame,
    *,
    spec: Specification | None = None,
    rubric: str | None = None,
    gap: Rating | None = None,
) -> Checklist:
    """Tell which items of a checklist each unit has, and how many units have them all.

    What inspectors saw counts; a unit's own word counts where nobody looked. An item is there when everybody who marked it says so.

    Parameters
    ----------
    ratings, spec
        As in :func:`dj_analysis.rate`; score is 1 (there) or 0 (not). Those who look are officials in their role.
    rubric
        The rubric (kind ``checklist`` in rubrics.csv); may be left out where there are marks of one only.
    gap
        ``dj.rate`` of the assessment whose self-assessment and inspection stand beside the list; rows of the same period.

    Returns
    -------
    Checklist
        A unit with an item that nobody marked has ``meets_all`` only if another is lacking; it does not count in the shares
        whose answer is not known. Intervals are Wilson's (1927, 95 %).

    Raises
    ------
    UsageError
        A rubric of points; several rubrics and none named; raters that are people.
    DataError
        Rows that do not fit, all together.

    Examples
    --------
    >>> marks = pd.DataFrame({"unit": list("AAABBB"), "code": ["大会", "表格", "数据"] * 2, "score": [1, 1, 1, 1, 0, 1]})
    >>> told = methods.checklist(marks.assign(period="2026", rater="T1", kind="inspection"))
    >>> told.table[["unit", "held", "lacking"]].to_numpy().tolist()
    [['A', 3.0, ''], ['B', 2.0, '表格']]
    """
    declared, spec, rows, bases = sheets_given(ratings, spec)
    rows, name = of_rubric(rows, spec, rubric)
    codes = _codes(rows, spec, name)
    if declared is not None and not declared.by_officials(name):
        raise UsageError(
            "checklist: 核对清单由检查组核对,细则写 raters = officials (a checklist is what officials saw)"
        )
    tables, shares = [], []
    periods = order(sorted(rows["period"].unique()))
    for period in periods:
        part = rows[rows["period"] == period]
        marks, seen = _marks(part, codes)
        tables.append(_units(period, marks, seen))
        shares.append(_shares(period, marks))
    table = _beside(pd.concat(tables, ignore_index=True), gap)
    common: dict[str, Any] = {
        "period": periods[-1], "periods": tuple(periods), "programme": "ratings", "about": "units",
        "spec": spec, "basis": tuple(basis for basis in bases if basis.period in periods),
    }  # fmt: skip
    told, keys = ("held", "units", "share", "low", "high"), ("period", "level", "code")
    parts = {"shares": Result(pd.concat(shares, ignore_index=True), keys, told, n=None, **common)}
    return Checklist(table, KEYS, STATISTICS, parts=parts, **common)


def _codes(rows: pd.DataFrame, spec: Specification, name: str) -> list[str]:
    """Items of the list: those the rubric declares, else those that were marked."""
    if name in spec.rubrics and spec.rubrics[name].kind != CHECKLIST:
        raise UsageError(
            f"{name}: 不是核对清单,rubrics 表中 kind 写 checklist (a rubric of points: dj.rate; a checklist is declared by its kind)"
        )
    wrong = rows.loc[~rows["score"].isin([0, 1]), "score"]
    if len(wrong):
        raise UsageError(f"checklist: {wrong.iloc[0]:g}; 核对清单只有 1 和 0 (a checklist holds 1 and 0 only)")
    return list(spec.rubrics[name].codes) if name in spec.rubrics else list(dict.fromkeys(rows["code"]))


def _marks(rows: pd.DataFrame, codes: list[str]) -> tuple[pd.DataFrame, pd.Series]:
    """(level, unit) × items, 1, 0 or NaN, and how many inspectors looked; the unit's own word where nobody did."""
    seen = rows[rows["kind"] == "inspection"].groupby(["level", "unit"])["rater"].nunique()
    places = pd.MultiIndex.from_frame(rows[["level", "unit"]])
    counted = rows[(rows["kind"] == "inspection") | ~places.isin(seen.index)]
    marks = counted.pivot_table(index=["level", "unit"], columns="code", values="score", aggfunc="min")
    return marks.reindex(columns=codes), seen.reindex(marks.index).fillna(0).astype(int)


def _units(period: str, marks: pd.DataFrame, seen: pd.Series) -> pd.DataFrame:
    """One row a unit."""
    values, codes = marks.to_numpy(float), marks.columns.to_numpy(dtype=str)
    unknown, lacks = np.isnan(values).any(axis=1), (values == 0).any(axis=1)
    table = marks.index.to_frame(index=False)
    table.insert(0, "period", period)
    table["n"] = seen.to_numpy()
    table["held"], table["items"] = np.nansum(values, axis=1), float(len(codes))
    table["lacking"] = pd.Series(["、".join(codes[row == 0]) for row in values], dtype="str")
    table["meets_all"] = pd.array(np.where(unknown & ~lacks, None, ~lacks & ~unknown), dtype="boolean")
    own_word = np.where(table["n"] == 0, OWN_WORD, "")
    table["reason"] = [
        ";".join(filter(None, pair)) for pair in zip(own_word, np.where(unknown, NOT_MARKED, ""), strict=True)
    ]
    return table


def _shares(period: str, marks: pd.DataFrame) -> pd.DataFrame:
    """Share of the units of each level that have each item, and all of them."""
    every = marks.min(axis=1, skipna=True).where(marks.notna().all(axis=1) | (marks == 0).any(axis=1))
    tables = []
    for level, rows in marks.assign(**{ALL_ITEMS: every}).groupby(level="level", sort=False):
        held, units = rows.sum().to_numpy(float), rows.notna().sum().to_numpy(float)
        low, high = shares_interval(held, units)
        with np.errstate(invalid="ignore"):
            share = held / units
        tables.append(
            pd.DataFrame({"period": period, "level": level, "code": rows.columns.astype("str"), "held": held,
                          "units": units, "share": share, "low": low, "high": high})
        )  # fmt: skip
    return pd.concat(tables, ignore_index=True)


def _beside(table: pd.DataFrame, gap: Rating | None) -> pd.DataFrame:
    """Put self-assessment, inspection and their difference beside each unit of the list."""
    columns = ["self", "inspection", "difference"]
    if gap is None or gap.about != "units":
        joined = table.copy()
        joined[columns] = np.nan
    else:
        own = gap.self_assessment.table[[*KEYS, *columns]]
        joined = table.merge(own, on=list(KEYS), how="left")
    return joined[[*KEYS, *STATISTICS, "reason"]]
