"""Which rows may be seen: the release plan, and the one way to the type that blocks accept."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pandas as pd

from ..errors import UsageError
from ..result import Result
from ..spec import reasons
from ..spec.settings import FLOOR
from ..spec.specification import Specification

Row = tuple[str, str]  # level, unit


@dataclass(frozen=True)
class ReleasePlan:
    """Which units of which waves are hidden, for all codes and all statistics together.

    Attributes
    ----------
    hidden
        (programme, period) → the hidden (level, unit) rows; a wave that is not named is unknown to the plan.
    """

    period: str
    min_group: int
    hidden: Mapping[tuple[str, str], frozenset[Row]] = field(default_factory=dict, repr=False)

    @property
    def id(self) -> str:
        """Short hash of everything the plan decides."""
        content = [(key, sorted(rows)) for key, rows in sorted(self.hidden.items())]
        return hashlib.sha256(repr((self.period, self.min_group, content)).encode()).hexdigest()[:16]


@dataclass(frozen=True)
class Protected:
    """A result after disclosure control: the only thing blocks, figures and exports accept.

    Made by :func:`protect` alone. ``.table`` keeps every row; hidden rows have no statistics and say why.
    """

    result: Result = field(repr=False)
    plan: ReleasePlan

    @property
    def table(self) -> pd.DataFrame:
        """The rows, with every statistic of a hidden row missing."""
        return self.result.table

    @property
    def spec(self) -> Specification:
        """The declarations the result was made with."""
        return self.result.spec

    @property
    def period(self) -> str:
        """The period the rows are about."""
        return self.result.period

    @property
    def hidden(self) -> int:
        """Number of units hidden by rule."""
        table = self.table
        names = [name for name in ("period", "level", "unit") if name in table.columns]
        return len(table.loc[table["reason"].isin(_HIDING), names].drop_duplicates()) if "reason" in table else 0

    def part(self, name: str) -> Protected:
        """Return a further table of the result (``shares``, ``response``) under the same mask."""
        return Protected(self.result.parts[name], self.plan)

    def where(self, **values: Any) -> Protected:
        """Return only the rows with these key values; a list means any of them."""
        return replace(self, result=self.result.where(**values))

    def _repr_html_(self) -> str:
        note = f"已作披露控制:少于{self.plan.min_group}人不单列 (groups under {self.plan.min_group} are hidden)"
        table = self.table.head(20).to_html(index=False, float_format=lambda x: f"{x:.2f}", na_rep="—")
        return f"{table}<p><small>{note} · {len(self.table)} 行 rows · {self.result.purpose}</small></p>"


_HIDING = (reasons.SMALL_GROUP, reasons.NO_COUNT_OF_PEOPLE)


def plan_release(period: str, responses: Iterable[Result], spec: Specification) -> ReleasePlan:
    """Decide which units of each wave are hidden: those with fewer respondents than min_group.

    Parameters
    ----------
    responses
        Participation tables (level, unit, n) of the waves to be seen, each with its programme.
    spec
        Gives min_group; 5 at the least, whatever it says.
    """
    hidden: dict[tuple[str, str], frozenset[Row]] = {}
    for part in responses:
        hidden[part.programme, part.period] = _small(part.table, max(spec.min_group, FLOOR))
    return ReleasePlan(period, max(spec.min_group, FLOOR), hidden)


def protect(result: Result, plan: ReleasePlan | None = None) -> Protected:
    """Hide what would tell about fewer people than min_group; the only way to what blocks accept.

    A unit hidden by the plan loses all statistics in every table of the result; so does every row whose own n (or
    earlier n, or that of the rest) is under min_group, and every row about persons whose n is not known. Nothing is written.

    Parameters
    ----------
    result
        Any result of this package.
    plan
        ``ws.release_plan(period)``; without one the plan is computed from the result alone and not stored.

    Returns
    -------
    Protected
        The same rows; hidden ones say 填答人数不足,按规定不单列.

    Raises
    ------
    UsageError
        A plan that does not know one of the result's waves.
    """
    if isinstance(result, Protected):
        return result
    if not isinstance(result, Result):
        raise UsageError(
            f"protect 只接受本包的结果,不接受 {type(result).__name__} (a Result of this package is needed)"
        )
    if plan is None:
        own = result.parts.get("response", result)
        plan = plan_release(
            result.period, [own] if {"level", "unit", "n"} <= set(own.table.columns) else [], result.spec
        )
        plan = replace(plan, hidden={(result.programme, period): rows for (_, period), rows in plan.hidden.items()})
    elif result.about == "persons":
        lost = [p for p in (result.periods or (result.period,)) if (result.programme, p) not in plan.hidden]
        if lost:
            known = ", ".join(sorted({period for _, period in plan.hidden}))
            raise UsageError(f"发布方案不含 {', '.join(lost)} (the release plan does not cover it);有/has: {known}")
    return Protected(_masked(result, plan), plan)


def _masked(result: Result, plan: ReleasePlan) -> Result:
    table = result.table.copy()
    hide = _hidden_rows(table, result, plan)
    for column in (name for name in result.statistics if name in table.columns):
        if table[column].dtype == bool or pd.api.types.is_integer_dtype(table[column]):
            table[column] = table[column].astype("boolean" if table[column].dtype == bool else "Int64")
        table.loc[hide, column] = (
            "" if _is_text(table[column]) else np.nan if table[column].dtype == "float64" else pd.NA
        )
    if "reason" in table.columns:
        table.loc[hide, "reason"] = reasons.SMALL_GROUP
    parts = {name: _masked(part, plan) for name, part in result.parts.items()}
    return replace(result, table=table, parts=parts)


def _hidden_rows(table: pd.DataFrame, result: Result, plan: ReleasePlan) -> np.ndarray:
    hide = np.zeros(len(table), dtype=bool)
    for name in ("n", "n_before", "n_rest"):
        if name in table.columns:
            n = pd.to_numeric(table[name], errors="coerce")
            small = n < plan.min_group
            hide |= (small | n.isna() if result.about == "persons" and name == "n" else small).to_numpy(bool)
    if result.about == "persons" and {"level", "unit"} <= set(table.columns):
        rows = list(zip(table["level"], table["unit"], strict=True))
        for name in ("period", "before_period"):
            if name in table.columns:
                waves = [plan.hidden.get((result.programme, period), frozenset()) for period in table[name]]
                hide |= np.array([row in wave for row, wave in zip(rows, waves, strict=True)], dtype=bool)
    return hide


def _small(table: pd.DataFrame, min_group: int) -> frozenset[Row]:
    small = table[~(pd.to_numeric(table["n"], errors="coerce") >= min_group)]
    return frozenset(zip(small["level"], small["unit"], strict=True))


def _is_text(column: pd.Series) -> bool:
    return column.dtype == object or str(column.dtype) == "str"
