"""The one way from a result to what may be seen: protect() applies a release plan and seals what is left."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pandas as pd

from ..errors import UsageError, unknown
from ..judge.change import q_values
from ..measure.basis import Basis
from ..result import Result, digest
from ..spec import reasons
from ..spec.columns import guarding_columns
from ..spec.periods import order
from ..spec.settings import FLOOR
from ..spec.specification import CROSS, Specification
from ..spec.units import ALL
from .plan import ReleasePlan, WavePlan, provisional_plan, what_differs
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
        units = pd.MultiIndex.from_frame(table[names]) if names else pd.RangeIndex(len(table))
        shut = table["reason"].isin(reasons.HIDING).to_numpy()
        return len(units[shut].unique().difference(units[~shut].unique()))

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
        return _sealed(self.result.chosen(values), self.plan)

    def printed(self) -> Protected:
        """Return the same rows as they may be printed, rounded as ``columns.toml`` says."""
        self.verify()
        return _sealed(as_printed(self.result, self.plan), self.plan)

    def _repr_html_(self) -> str:
        from .display import as_html

        return as_html(self)


#: The mark of a table on its way through the gate: no function of the package made it.
MASKED = "masked"


def protect(result: Result, plan: ReleasePlan | None = None) -> Protected:
    """Hide what would tell about fewer people than min_group; the only way to what blocks accept.

    The plan is an allow list: a row it does not name is hidden, in every table of the result; so is every row whose own n (or
    earlier n, or that of the rest) is under min_group, and every row about persons whose n is not known. Rows stand in
    their declared order. Nothing is written.

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
    return _sealed(_masked(result, plan), plan)


def _tables(result: Result, name: str = "") -> Iterator[tuple[str, Result]]:
    """The result and its parts, by name."""
    yield name, result
    for key, part in result.parts.items():
        yield from _tables(part, f"{name}.{key}".lstrip("."))


def _sealed(result: Result, plan: ReleasePlan) -> Protected:
    return Protected(result, plan, plan.seal(_digest(result)))


def _digest(result: Result) -> str:
    """Hash of everything a result shows."""
    content = hashlib.sha256(digest(result).encode())
    for name, part in sorted(result.parts.items()):
        content.update(f"{name}:{_digest(part)}".encode())
    return content.hexdigest()


_ABOUT = {
    "survey": ("persons",), "ratings": ("persons", "units"), "requests": ("persons",), "indicators": ("units",),
    "events": ("units",),
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
            known = ", ".join(sorted({period for _, period in plan.waves}))
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


def _masked(result: Result, plan: ReleasePlan) -> Result:
    result = replace(result, table=_in_order(result), mark=MASKED)
    table = result.table.copy()
    why = _why_hidden(table, result, plan)
    hide = why != ""
    if result.together and _more_hidden(result, plan):
        for name in (name for name in result.together if name in table):
            _clear(table, np.ones(len(table), dtype=bool), name)
        if set(result.statistics) <= set(result.together) and "reason" in table:
            table["reason"] = reasons.COMPLEMENT
    if result.family and (hide.any() or "p" in result.together):
        table = _judged_anew(table, hide, result)
    # Whatever is no key is a statistic, declared or not.
    for column in (name for name in table.columns if name not in (*result.keys, "reason")):
        _clear(table, hide, column)
    if "reason" in table.columns:
        # What was not computed at all says why itself.
        uncounted = result.table["n"].isna() & (result.table["reason"] != "") if "n" in table else hide & False
        told = hide & ~np.asarray(uncounted, dtype=bool)
        table.loc[told, "reason"] = why[told]
    parts = {name: _masked(part, plan) for name, part in result.parts.items()}
    return replace(result, table=table, parts=parts, mark=MASKED)


def _clear(table: pd.DataFrame, rows: np.ndarray, column: str) -> None:
    """Empty a column in these rows, in the missing value of its type."""
    if table[column].dtype == bool or pd.api.types.is_integer_dtype(table[column]):
        table[column] = table[column].astype("boolean" if table[column].dtype == bool else "Int64")
    table.loc[rows, column] = "" if _is_text(table[column]) else np.nan if table[column].dtype == "float64" else pd.NA


def _more_hidden(result: Result, plan: ReleasePlan) -> bool:
    """Tell whether units are hidden that took part when units were judged together."""
    for basis in result.basis:
        wave = plan.waves.get((basis.programme, basis.period))
        hidden = wave.mask.hidden if wave is not None else {}
        known = result.withheld.get(basis.period, frozenset())
        counted = set(_counted_units(basis))
        if any(unit in counted for level, unit in hidden if (level, unit) not in known):
            return True
    return False


def _counted_units(basis: Basis) -> Iterator[str]:
    """Units and categories that hold somebody, along the axes a result looked at."""
    units = basis.spec.units.at(basis.period)
    for axis, sums in basis.sums.items():
        for unit, n in zip(sums.units, sums.persons, strict=True):
            if n and unit:
                yield unit
                yield from (units.ancestors(unit) if axis in units.trees else ())


def _judged_anew(table: pd.DataFrame, hide: np.ndarray, result: Result) -> pd.DataFrame:
    """Correct for many comparisons among the rows that are shown only: a q-value would tell about hidden ones."""
    roles = {node.code: node.role for node in result.spec.codebook.tree}
    shown, rule = pd.Series(~hide, index=table.index), result.spec.rules.change
    keys = [table["code"].map(roles) if name == "role" else table[name] for name in result.family]
    table["q"] = table.groupby(keys, dropna=False)["p"].transform(q_values, shown)
    table["real"] = (table["q"] <= rule.false_discovery) & ((table["low"] > 0) | (table["high"] < 0))
    return table


def _why_hidden(table: pd.DataFrame, result: Result, plan: ReleasePlan) -> np.ndarray:
    """Return why each row is hidden, "" where it is shown."""
    why = np.full(len(table), "", dtype=object)
    if result.about == "persons":
        _add_hidden_rows(why, table, result, plan)
    _add_few(why, table, result, plan)
    _add_closed_rows(why, table, result, plan)
    return why


def _add_few(why: np.ndarray, table: pd.DataFrame, result: Result, plan: ReleasePlan) -> None:
    """Add the rows whose own people are too few, or not counted."""
    persons, least = result.about == "persons", FLOOR if result.programme == "ratings" else plan.min_group
    if not persons and result.programme != "indicators":
        return
    for name in (name for name in guarding_columns() if name in table.columns):
        n = pd.to_numeric(table[name], errors="coerce")
        few = (n < least) | (n.isna() if name == "n" and persons else False)
        why[(why == "") & few.to_numpy(bool)] = reasons.SMALL_GROUP


def _add_hidden_rows(why: np.ndarray, table: pd.DataFrame, result: Result, plan: ReleasePlan) -> None:
    """Add the rows that the plan hides or does not know."""
    places = [(_levels(table, result), _distinct(table[who])) for who in ("unit", "other") if who in table]
    places = places or [(_alike(_root(result), len(table)), _alike(ALL, len(table)))]
    for name in ("period", "before_period"):
        if name not in table.columns and name == "before_period":
            continue
        periods = _distinct(table[name]) if name in table.columns else _alike(result.period, len(table))
        # A unit that is new holds no number of the earlier period, and the plan of that period does not know it.
        idle = ~_uses_before(table) if name == "before_period" else np.zeros(len(table), dtype=bool)
        judge = _earlier_verdict if name == "before_period" else _verdict
        for levels, units in places:
            row_of, keys = _combined(periods, levels, units, (idle.astype(int), [False, True]))
            waves = {period: plan.waves.get((result.programme, period)) for period in periods[1]}
            verdicts = np.array([judge(waves[key[0]], key[1:3], key[3]) for key in keys] or [""], dtype=object)
            said = verdicts[row_of]
            why[why == ""] = said[why == ""]


#: The distinct values of a column: the place of each row's value in the list, and the list.
Distinct = tuple[np.ndarray, list[Any]]


def _distinct(values: pd.Series) -> Distinct:
    codes, known = pd.factorize(values, use_na_sentinel=False)
    return codes, list(known)


def _alike(value: Any, rows: int) -> Distinct:
    return np.zeros(rows, dtype=int), [value]


def _combined(*columns: Distinct) -> tuple[np.ndarray, list[tuple[Any, ...]]]:
    """Return the place of each row in the list of distinct combinations, and the list."""
    codes = np.zeros(len(columns[0][0]), dtype=np.int64)
    for column, known in columns:
        codes = codes * len(known) + column
    present, row_of = np.unique(codes, return_inverse=True)
    keys = []
    for code in present.tolist():
        key = []
        for _, known in reversed(columns):
            code, place = divmod(code, len(known))
            key.append(known[place])
        keys.append(tuple(reversed(key)))
    return row_of, keys


def _uses_before(table: pd.DataFrame) -> np.ndarray:
    """Tell which rows hold a number of the earlier period: those of a unit that is new hold none."""
    names = [name for name in ("before", "n_before", "rate_before") if name in table.columns]
    numbers = table[names].apply(pd.to_numeric, errors="coerce").fillna(0)
    return (numbers != 0).any(axis=1).to_numpy() if names else np.ones(len(table), dtype=bool)


def _verdict(wave: WavePlan | None, row: tuple[str, str], idle: bool) -> str:
    """Say why a row of a wave is hidden; "" where the plan names it, or where it holds no number of that wave."""
    if wave is None:
        return reasons.COMPLEMENT
    if row in wave.mask.hidden:
        return wave.mask.hidden[row]
    return "" if idle or wave.mask.shown is None or row in wave.mask.shown else reasons.COMPLEMENT


def _earlier_verdict(wave: WavePlan | None, row: tuple[str, str], idle: bool) -> str:
    """The same for the earlier wave of a comparison, where units merged since are put together of their parts."""
    if wave is not None and row in wave.allowed | wave.refused:
        return "" if row in wave.allowed else reasons.COMPLEMENT
    return _verdict(wave, row, idle)


def _add_closed_rows(why: np.ndarray, table: pd.DataFrame, result: Result, plan: ReleasePlan) -> None:
    """Add the rows that are closed for one question or dimension."""
    codes = [name for name in ("code", "scale") if name in table.columns]
    if not codes or "unit" not in table.columns:
        return
    for name in ("period", "before_period"):
        for period in table[name].unique() if name in table.columns else ():
            wave = plan.waves.get((result.programme, period))
            if wave is None or not wave.mask.closed:
                continue
            inside = (table[name] == period).to_numpy() & (why == "")
            forms = _distinct(table["form"]) if "form" in table.columns else _alike("", len(table))
            shut = wave.mask.closed | {(level, unit, "", code) for level, unit, _, code in wave.mask.closed}
            for who in (who for who in ("unit", "other") if who in table.columns):
                for code in codes:
                    keys = (_levels(table, result), _distinct(table[who]), forms, _distinct(table[code]))
                    why[inside & _among(shut, *keys)] = reasons.COMPLEMENT


def _among(wanted: Iterable[tuple[Any, ...]], *columns: Distinct) -> np.ndarray:
    """Tell which rows have one of the wanted combinations of values."""
    places = [{value: place for place, value in enumerate(known)} for _, known in columns]
    codes, wanted_codes = np.zeros(len(columns[0][0]), dtype=np.int64), []
    for column, known in columns:
        codes = codes * len(known) + column
    for key in wanted:
        code = 0
        for value, place in zip(key, places, strict=True):
            if value not in place:
                break
            code = code * len(place) + place[value]
        else:
            wanted_codes.append(code)
    return np.isin(codes, wanted_codes)


def _levels(table: pd.DataFrame, result: Result) -> Distinct:
    return _distinct(table["level"]) if "level" in table.columns else _alike(_root(result), len(table))


def _root(result: Result) -> str:
    return str(result.spec.units.at(result.period).root.level)


def _in_order(result: Result) -> pd.DataFrame:
    """Put rows in their declared order: where a hidden row stands must not tell its rank."""
    table = result.table
    ranks = {name: _rank(name, table, result) for name in result.keys if name in table.columns}
    if not ranks or len(table) < 2:
        return table
    place = np.lexsort(list(reversed(ranks.values())))
    return table if (np.diff(place) == 1).all() else table.iloc[place].reset_index(drop=True)


def _rank(name: str, table: pd.DataFrame, result: Result) -> np.ndarray:
    """Place of each value of a key column in the order of its declaration; of undeclared ones, as they came."""
    spec, values = result.spec, table[name]
    codes, known = _distinct(values)
    ordered = known
    if name in ("period", "before_period"):
        declared = order([str(value) for value in known if value])
    elif name == "level":
        declared = [*spec.units.levels, *spec.group_names]
    elif name in ("unit", "other"):
        declared = [ALL, *_declared_units(spec)]
        ordered = sorted(known, key=str)
    elif name == "form":
        declared = ["anchors", "full"]
    elif name in ("code", "scale", "parent"):
        declared = [*spec.codebook.tree.codes, *(spec.indicators.codes if spec.indicators is not None else ())]
    else:
        declared = []
    rank = {value: place for place, value in enumerate(dict.fromkeys([*declared, *ordered]))}
    return np.array([rank[value] for value in known], dtype=float)[codes]


def _declared_units(spec: Specification) -> Mapping[str, None]:
    return dict.fromkeys(unit.unit for unit in spec.units.rows)


def _is_text(column: pd.Series) -> bool:
    return column.dtype == object or str(column.dtype) == "str"
