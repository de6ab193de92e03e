"""The one way from a result to what may be seen: protect() applies a release plan and seals what is left."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from itertools import compress
from typing import Any

import pandas as pd

from ..errors import UsageError, unknown
from ..result import Result, digest, keys_of
from ..spec import reasons
from ..spec.specification import CROSS, Specification
from .hiding import MASKED, masked
from .plan import ReleasePlan, provisional_plan, what_differs
from .review_gate import review_passed
from .rounding import as_printed


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
    def waves(self) -> list[tuple[str, str]]:
        """The (programme, period) waves that the rows rest on."""
        return [(self.result.programme, period) for period in self.result.periods or (self.result.period,)]

    @property
    def hidden(self) -> int:
        """Number of units hidden by rule: of which no row is shown."""
        table = self.table
        if "reason" not in table:
            return 0
        names = [name for name in ("period", "level", "unit") if name in table.columns]
        units = keys_of(table, *names) if names else list(range(len(table)))
        shut = [reason in reasons.HIDING for reason in table["reason"].tolist()]
        return len(set(compress(units, shut)) - {unit for unit, hidden in zip(units, shut, strict=True) if not hidden})

    def part(self, name: str) -> Protected:
        """Return a further table of the result (``shares``, ``response``) under the same mask."""
        self.verify()
        if name not in self.result.parts:
            raise unknown("部分/part", name, self.result.parts)
        return _sealed(self.result.parts[name], self.plan)

    def where(self, **values: Any) -> Protected:
        """Return only the rows with these values, of any column; a list means any of them."""
        self.verify()
        self.result.check_values(values, strict=False)
        return _sealed(self.result.chosen(values, mark=MASKED), self.plan)

    def printed(self) -> Protected:
        """Return the same rows as they may be printed, rounded as ``columns.toml`` says."""
        self.verify()
        return self._as_printed

    @cached_property
    def _as_printed(self) -> Protected:
        """The rounded rows, computed once: a report fills many sentences and tables from one result."""
        return _sealed(as_printed(self.result, self.plan), self.plan)

    def _repr_html_(self) -> str:
        from .display import as_html

        return as_html(self)


def protect(result: Result, plan: ReleasePlan | None = None) -> Protected:
    """Hide what would tell about fewer people than min_group; the only way to what blocks accept.

    The plan is an allow list: a row it does not name is hidden, in every table of the result; so is every row whose own n (or
    earlier n, or that of the rest) is under min_group, and every row about persons whose n is not known. Of red and black
    warnings only those stand beside their unit that :func:`dj_analysis.methods.after_review` passed. Rows stand in their
    declared order. Nothing is written.

    Parameters
    ----------
    result
        Any result of this package.
    plan
        ``ws.release_plan(period)``; without one a provisional plan is made from the result alone, good for looking and not
        for export.

    Returns
    -------
    Protected
        The same rows; hidden ones say why: ``small_group``, or ``complement`` (hidden so that no other can be computed).

    Raises
    ------
    UsageError
        A table that no function of this package made; a plan that does not know one of the result's waves; a result that
        rests on other people, weights, units, categories or questions than the release.

    Examples
    --------
    >>> safe = dj.protect(scores, ws.release_plan("2026Q3"))
    >>> safe.table.loc[safe.table["unit"] == "B3", "reason"].iloc[0]
    'small_group'
    """
    if isinstance(result, Protected):
        return result
    if not isinstance(result, Result):
        raise UsageError(
            f"protect 只接受本包的结果,不接受 {type(result).__name__} (a Result of this package is needed)"
        )
    tables = list(_tables(result))
    for name, one in tables:
        _check_kind(name, one)
    official = plan is not None
    plan = plan if plan is not None else provisional_plan(result.period, result.basis, result.spec)
    for name, one in tables:
        if official:
            _check_basis(name, one, plan)
        _check_levels(name, one, plan)
    return _sealed(masked(review_passed(result), plan), plan)


def _tables(result: Result, name: str = "") -> Iterator[tuple[str, Result]]:
    """The result and its parts, by name."""
    yield name, result
    for key, part in result.parts.items():
        yield from _tables(part, f"{name}.{key}".lstrip("."))


def _sealed(result: Result, plan: ReleasePlan) -> Protected:
    """Seal what was passed a moment ago: it is not hashed again to see whether it fits, as what is made by hand is."""
    safe = object.__new__(Protected)
    for name, value in (("result", result), ("plan", plan), ("seal", plan.seal(_digest(result)))):
        object.__setattr__(safe, name, value)
    return safe


def _digest(result: Result) -> str:
    """Hash of everything a result shows."""
    content = hashlib.sha256(digest(result).encode())
    for name, part in sorted(result.parts.items()):
        content.update(f"{name}:{_digest(part)}".encode())
    return content.hexdigest()


_ABOUT = {
    "survey": ("persons",), "ratings": ("persons", "units"), "requests": ("persons",), "indicators": ("units",),
    "events": ("units",), "legacy": ("units",), "obligations": ("units",), "context": ("units",),
}  # fmt: skip


def _check_kind(name: str, result: Result) -> None:
    """Refuse what no function of the package made, or what does not say how many people it is about."""
    where = f"{name}: " if name else ""
    if result.about not in _ABOUT.get(result.programme, ()):
        known = ", ".join(f"{programme} about {'/'.join(about)}" for programme, about in _ABOUT.items())
        raise UsageError(
            f"{where}披露控制不认识这种结果 (disclosure control knows no such result): {result.programme} about {result.about};"
            f" 可用/valid: {known}"
        )
    if result.about != "persons":
        return
    if not result.basis:
        raise UsageError(
            f"{where}此结果没有说明依据哪些答卷,不能发布;用 dj.score、dj.compare 等函数得到的结果"
            " (it does not say which answers it rests on: only results of this package's functions can be released)"
        )
    if not result.intact:
        raise UsageError(
            f"{where}此表在计算之后被改动或重排,不能发布;先 dj.protect 再筛选"
            " (the table was changed, filtered or sorted by hand: protect it first)"
        )
    if "n" not in result.table:
        raise UsageError(f"{where}关于人的结果必须有人数列 n (a result about persons must have a column n)")


def _check_basis(name: str, result: Result, plan: ReleasePlan) -> None:
    """Refuse what rests on anything else than the release."""
    where = f"{name}: " if name else ""
    bases = {(basis.programme, basis.period): basis for basis in result.basis}
    for period in result.periods or (result.period,):
        wave = (result.programme, period)
        if wave not in plan.waves:
            own = {period for programme, period in plan.waves if programme == result.programme}
            known = ", ".join(sorted(own or {period for _, period in plan.waves}))
            raise UsageError(f"{where}发布方案不含 {period} (the release plan does not cover it);有/has: {known}")
        if wave not in bases:
            if result.about == "persons":
                raise UsageError(
                    f"{where}此结果没有说明 {period} 依据哪些答卷 (it does not say what it counted of {period})"
                )
            raise UsageError(
                f"{where}此结果不是由工作区的数据算出,不能发布;用 dj.own_table 放入草稿"
                " (it does not rest on the workspace's data; use dj.own_table in a draft)"
            )
        if word := what_differs(bases[wave], plan.waves[wave].basis):
            raise UsageError(
                f'{where}{period}: 与发布所依据的不同:{word}。两者相减会透露其间的人,故不能一并发布;用 ws.scores("{period}") 或'
                f' ws.survey("{period}"),口径在工作区中声明 (it rests on other answers than the release: their difference'
                " would tell about the people between them; declare it in the workspace and use ws.scores or ws.survey)"
            )


def _check_levels(name: str, result: Result, plan: ReleasePlan) -> None:
    """Refuse a level or group that the plan was not decided over at all."""
    if result.about != "persons" or "level" not in result.table:
        return
    waves = [plan.waves.get((result.programme, period)) for period in result.periods or (result.period,)]
    levels: set[str] = set()
    for wave in waves:
        if wave is None or wave.mask.shown is None:
            return
        levels |= {level for level, _ in [*wave.mask.shown, *wave.mask.hidden]}
    for level in result.table["level"].unique():
        if level in levels:
            continue
        if CROSS in str(level):
            raise UsageError(
                f"{level}: 交叉分组须先在 workspace.toml 的 [publish] cross 中声明,并用 ws.release_plan(period) 的方案"
                " (declare the cross-classification in [publish] cross and use the workspace's plan)"
            )
        raise unknown("可发布的层级/level that can be published", level, sorted(levels))
