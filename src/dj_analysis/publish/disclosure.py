"""Which rows may be seen: the release plan, and the one way to the type that blocks accept."""

from __future__ import annotations

import hashlib
import hmac
import json
import secrets
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pandas as pd

from ..errors import UsageError, unknown
from ..judge.change import q_values
from ..measure.crosses import is_cross
from ..result import Result
from ..spec import reasons
from ..spec.settings import FLOOR
from ..spec.specification import Specification
from ..spec.units import ALL
from .printing import COUNTED, as_printed

Row = tuple[str, str]  # level, unit
Wave = tuple[str, str]  # programme, period

_UNSTORED = secrets.token_bytes(32)  # seals of plans that belong to no workspace: good for looking, not for export


@dataclass(frozen=True)
class ReleasePlan:
    """Which units of which waves are hidden, for all codes and all statistics together.

    Attributes
    ----------
    hidden
        (programme, period) → the hidden (level, unit) rows; a wave that is not named is unknown to the plan.
    levels
        (programme, period) → the levels, group columns and cross-classifications the plan was decided over; nothing else
        can be protected. Empty: not limited.
    restated
        (programme, period) → rows of units merged later whose value in that wave, put together of their parts, is hidden:
        a part of them was not shown.
    coarse
        Waves in which more is hidden than the tree rule asks: there no column is shown that is computed from units below.
    answered
        (programme, period) → (form, code) → people scored in all. A result about fewer or more rests on other answers than the
        release, and the difference of the two would tell about these. Empty: not checked.
    key
        What seals are made with; the workspace's own, or that of this process.
    """

    period: str
    min_group: int
    hidden: Mapping[Wave, frozenset[Row]] = field(default_factory=dict, repr=False)
    levels: Mapping[Wave, frozenset[str]] = field(default_factory=dict, repr=False)
    restated: Mapping[Wave, frozenset[Row]] = field(default_factory=dict, repr=False)
    coarse: frozenset[Wave] = field(default=frozenset(), repr=False)
    answered: Mapping[Wave, Mapping[Row, int]] = field(default_factory=dict, repr=False, compare=False)
    key: bytes = field(default=_UNSTORED, repr=False, compare=False)

    @property
    def id(self) -> str:
        """Short hash of everything the plan decides."""
        content = [(key, sorted(rows)) for key, rows in sorted(self.hidden.items())]
        levels = [(key, sorted(names)) for key, names in sorted(self.levels.items())]
        merged = [(key, sorted(rows)) for key, rows in sorted(self.restated.items())]
        decided = (self.period, self.min_group, content, levels, merged, sorted(self.coarse))
        return hashlib.sha256(repr(decided).encode()).hexdigest()[:16]

    def seal(self, *content: str) -> str:
        """Return the seal of some content under this plan."""
        return _mac(self.key, self.id, *content)

    def sealed(self, seal: str, *content: str) -> bool:
        """Tell whether a seal is this plan's for this content."""
        return verified(self.key, self.id, seal, *content)


def verified(key: bytes, plan: str, seal: str, *content: str) -> bool:
    """Tell whether a seal was made with this key, under the plan of this id, for this content."""
    return hmac.compare_digest(seal, _mac(key, plan, *content))


def _mac(key: bytes, *parts: str) -> str:
    return hmac.new(key, "\x1f".join(parts).encode(), hashlib.sha256).hexdigest()


@dataclass(frozen=True)
class Protected:
    """A result after disclosure control: the only thing blocks, figures and exports accept.

    Made by :func:`protect` alone, which seals it: a table made or changed by hand does not fit its seal and is refused.
    ``.table`` keeps every row; hidden rows have no statistics and say why.
    """

    result: Result = field(repr=False)
    plan: ReleasePlan
    seal: str = field(default="", repr=False)

    def __post_init__(self) -> None:
        self.verify()

    def verify(self) -> None:
        """Raise :class:`UsageError` where the content is not what protect() passed."""
        if not self.plan.sealed(self.seal, _digest(self.result)):
            raise UsageError(
                "只有 dj.protect 的结果才能进入报告;此表未经披露控制或已被改动"
                " (only what dj.protect returned may be shown; this table was made or changed by hand)"
            )

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
        """Number of units hidden by rule: of which no row is shown."""
        table = self.table
        if "reason" not in table:
            return 0
        names = [name for name in ("period", "level", "unit") if name in table.columns]
        units = pd.MultiIndex.from_frame(table[names]) if names else pd.RangeIndex(len(table))
        shut = table["reason"].isin(_HIDING).to_numpy()
        return len(units[shut].unique().difference(units[~shut].unique()))

    def part(self, name: str) -> Protected:
        """Return a further table of the result (``shares``, ``response``) under the same mask."""
        self.verify()
        return _sealed(self.result.parts[name], self.plan)

    def where(self, **values: Any) -> Protected:
        """Return only the rows with these key values; a list means any of them."""
        self.verify()
        return _sealed(self.result.where(**values), self.plan)

    def printed(self) -> Protected:
        """Return the same rows as they may be printed: rounded by :func:`dj_analysis.measure.partition.step`."""
        self.verify()
        return _sealed(as_printed(self.result), self.plan)

    def _repr_html_(self) -> str:
        note = f"已作披露控制:少于{self.plan.min_group}人不单列 (groups under {self.plan.min_group} are hidden)"
        table = self.table.head(20).to_html(index=False, float_format=lambda x: f"{x:.2f}", na_rep="—")
        return f"{table}<p><small>{note} · {len(self.table)} 行 rows · {self.result.purpose}</small></p>"


_HIDING = (reasons.SMALL_GROUP, reasons.NO_COUNT_OF_PEOPLE)


def plan_release(
    period: str,
    waves: Iterable[Result],
    spec: Specification,
    *,
    further: Mapping[Wave, frozenset[Row]] | None = None,
    levels: Mapping[Wave, frozenset[str]] | None = None,
    key: bytes = _UNSTORED,
) -> ReleasePlan:
    """Put together which units of each wave are hidden.

    Parameters
    ----------
    waves
        Results of the waves to be seen; each says which of its rows cannot be told apart (``withheld``).
    spec
        Gives min_group; 5 at the least, whatever it says.
    further
        Rows hidden for other reasons: trees that tell about each other, mergers, earlier releases.
    levels
        What each wave's mask was decided over.
    """
    least = max(spec.min_group, FLOOR)
    hidden: dict[Wave, frozenset[Row]] = {}
    for wave in waves:
        for period_, rows in wave.withheld.items():
            hidden[wave.programme, period_] = hidden.get((wave.programme, period_), frozenset()) | rows
    coarse = {at for at, rows in (further or {}).items() if rows - hidden.get(at, frozenset())}
    for at, rows in (further or {}).items():
        hidden[at] = hidden.get(at, frozenset()) | rows
    return ReleasePlan(period, least, hidden, levels or {}, coarse=frozenset(coarse), key=key)


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
        A plan that does not know one of the result's waves, or a level it was not decided over; a result of other answers than
        those of the release (some left out by hand, or taken back since).
    """
    if isinstance(result, Protected):
        return result
    if not isinstance(result, Result):
        raise UsageError(
            f"protect 只接受本包的结果,不接受 {type(result).__name__} (a Result of this package is needed)"
        )
    _check_kind(result)
    if plan is None and "level" in result.table and result.table["level"].map(is_cross).any():
        raise UsageError(
            "交叉分组须用 ws.release_plan(period) 的方案 (cross-classifications need the workspace's plan)"
        )
    if plan is None:
        plan = plan_release(result.period, [result], result.spec)
    elif result.about == "persons":
        _check_known(result, plan)
        _check_answers(result, plan)
    return _sealed(_masked(result, plan), plan)


def _sealed(result: Result, plan: ReleasePlan) -> Protected:
    return Protected(result, plan, plan.seal(_digest(result)))


def _digest(result: Result) -> str:
    """Hash of everything a result shows."""
    told = hashlib.sha256(
        json.dumps([list(result.table.columns), result.period, result.about], ensure_ascii=False).encode()
    )
    told.update(pd.util.hash_pandas_object(result.table, index=False).to_numpy().tobytes())
    for name, part in sorted(result.parts.items()):
        told.update(f"{name}:{_digest(part)}".encode())
    return told.hexdigest()


_ABOUT = {"survey": "persons", "ratings": "persons", "requests": "persons", "indicators": "units", "events": "units"}


def _check_kind(result: Result) -> None:
    """Refuse what does not say how many people it is about, or says something else than its programme is."""
    if _ABOUT.get(result.programme) != result.about:
        raise UsageError(
            f"披露控制不认识这种结果 (disclosure control knows no such result): {result.programme} about {result.about};"
            f" 可用/valid: {', '.join(f'{programme} about {about}' for programme, about in _ABOUT.items())}"
        )
    if result.about == "persons" and "n" not in result.table:
        raise UsageError("关于人的结果必须有人数列 n (a result about persons must have a column n)")


def _check_known(result: Result, plan: ReleasePlan) -> None:
    waves = [(result.programme, period) for period in result.periods or (result.period,)]
    lost = [period for programme, period in waves if (programme, period) not in plan.hidden]
    if lost:
        known = ", ".join(sorted({period for _, period in plan.hidden}))
        raise UsageError(f"发布方案不含 {', '.join(lost)} (the release plan does not cover it);有/has: {known}")
    decided = plan.levels.get((result.programme, result.period), frozenset())
    for level in result.table["level"].unique() if decided and "level" in result.table else ():
        if level not in decided:
            raise unknown("可发布的层级/level that can be published", level, sorted(decided))


def _check_answers(result: Result, plan: ReleasePlan) -> None:
    """Refuse scores that rest on other answers than the release, as far as their rows about the whole tell."""
    table = result.table
    if not {"unit", "form", "code", "n"} <= set(table) or not {"score", "now"} & set(table):
        return  # no level of a score can be subtracted
    whole = table[table["unit"] == ALL]
    for period, n in (("period", "n"), ("before_period", "n_before")):
        if period not in table or n not in table:
            continue
        for row in whole[[period, "form", "code", n]].itertuples(index=False):
            known = plan.answered.get((result.programme, row[0]), {}).get((row[1], row[2]))
            if known is not None and row[3] == row[3] and int(row[3]) != known:
                raise UsageError(
                    f"{row[0]} {row[2]}: 结果所依据的答卷与发布的不同，两者相减会透露其间的人 (it rests on other answers than the"
                    " release: their difference would tell about these people); 用 ws.scores(period) (use it)"
                )


def _masked(result: Result, plan: ReleasePlan) -> Result:
    table = result.table.copy()
    hide = _hidden_rows(table, result, plan)
    if (pooled := result.parts.get("pooled")) is not None:
        coarse = any((result.programme, period) in plan.coarse for period in result.periods)
        for name in pooled.statistics:
            table[name] = np.nan if coarse else pooled.table[name].to_numpy()
        if coarse and set(result.statistics) <= set(pooled.statistics):
            table["reason"] = reasons.SMALL_GROUP
    if result.family and hide.any():
        table = _judged_anew(table, hide, result)
    # Whatever is no key is a statistic, declared or not.
    for column in (name for name in table.columns if name not in (*result.keys, "reason")):
        if table[column].dtype == bool or pd.api.types.is_integer_dtype(table[column]):
            table[column] = table[column].astype("boolean" if table[column].dtype == bool else "Int64")
        table.loc[hide, column] = (
            "" if _is_text(table[column]) else np.nan if table[column].dtype == "float64" else pd.NA
        )
    if "reason" in table.columns:
        # What was not computed at all says why itself.
        uncounted = result.table["n"].isna() & (result.table["reason"] != "") if "n" in table else hide & False
        table.loc[hide & ~np.asarray(uncounted, dtype=bool), "reason"] = reasons.SMALL_GROUP
    parts = {name: _masked(part, plan) for name, part in result.parts.items() if name != "pooled"}
    return replace(result, table=table, parts=parts)


def _judged_anew(table: pd.DataFrame, hide: np.ndarray, result: Result) -> pd.DataFrame:
    """Correct for many comparisons among the rows that are shown only: a q-value would tell about hidden ones."""
    roles = {node.code: node.role for node in result.spec.codebook.tree}
    shown, rule = pd.Series(~hide, index=table.index), result.spec.rules.change
    keys = [table["code"].map(roles) if name == "role" else table[name] for name in result.family]
    table["q"] = table.groupby(keys, dropna=False)["p"].transform(q_values, shown)
    table["real"] = (table["q"] <= rule.false_discovery) & ((table["low"] > 0) | (table["high"] < 0))
    return table


def _hidden_rows(table: pd.DataFrame, result: Result, plan: ReleasePlan) -> np.ndarray:
    hide = np.zeros(len(table), dtype=bool)
    for name in COUNTED:
        if name in table.columns:
            n = pd.to_numeric(table[name], errors="coerce")
            small = n < plan.min_group
            hide |= (small | n.isna() if result.about == "persons" and name == "n" else small).to_numpy(bool)
    if result.about == "persons" and {"level", "unit"} <= set(table.columns):
        about = [
            list(zip(table["level"], table[who], strict=True)) for who in ("unit", "other") if who in table.columns
        ]
        for name in ("period", "before_period"):
            if name in table.columns:
                kinds = (plan.hidden, plan.restated) if name == "before_period" else (plan.hidden,)
                waves = [(result.programme, period) for period in table[name]]
                for rows_of in kinds:
                    shut = [rows_of.get(wave, frozenset()) for wave in waves]
                    for rows in about:
                        hide |= np.array([row in wave for row, wave in zip(rows, shut, strict=True)], dtype=bool)
    return hide


def _is_text(column: pd.Series) -> bool:
    return column.dtype == object or str(column.dtype) == "str"
