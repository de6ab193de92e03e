"""The individual layer: a self-check page for one person, and counts of anonymous requests for help."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from ..errors import DataError, IdentifierError, Problems, UsageError
from ..file_access import written_whole
from ..measure.basis import Basis
from ..measure.intake.identifiers import ALLOWED, DROPPED, identifying_name, identifying_text
from ..measure.unitsums import STATISTICS, UnitSums
from ..result import Result
from ..spec import reasons
from ..spec.codebook import Codebook
from ..spec.periods import parse
from ..spec.settings import FLOOR, Language
from ..spec.specification import Specification
from ..spec.units import ALL
from .page import HELP_LINE as HELP_LINE
from .page import Service, default_services, render

STATES = ("offered", "accepted", "declined", "served", "closed")
_ANSWERED = ("offered", "served")
_REQUEST, _EVENT = ("obligation", "kind", "unit", "opened"), ("obligation", "state", "time")
#: Columns that lead to a person without naming one: pseudonyms, and whoever asked.
_PERSON = re.compile(
    r"respondent|own_?code|^link|person|applicant|requester|employee|staff|member|pseudonym|user|hash"
    r"|申请人|求助人|求助者|当事人|本人|员工|职工|假名|化名|匿名编号|自编码|填答人|被帮扶人|帮扶对象",
    re.IGNORECASE,
)
_NO_PERSON = "删去该列:求助只计数,不带身份 (remove it: requests are counted and carry no identity)"


@dataclass(frozen=True)
class Requests(Result):
    """Requests for help by unit: counts of requests, never of or about one person.

    ``.table``: period, level, unit, n (requests), offered, accepted, declined, served, closed (requests that reached the
    state), unanswered (neither offered, served nor declined so far), waiting_days (median), reason.
    """


def self_check(
    spec: Specification | Codebook,
    *,
    services: Sequence[Service] | None = None,
    language: Language | None = None,
    period: str = "",
) -> str:
    """Make the self-check page: a person answers, and sees scores, level and services; nobody else does (R7).

    The page is one HTML file. It computes in its reader's browser, keeps nothing, sends nothing and refers to nothing outside;
    its security policy allows its one script by hash and no connection. The rule (``[self_check]`` of rules.toml) goes into it as data:
    no function of this package takes a person's answers to a level. History clauses use what the person tells of last time;
    they raise what this time's answers give by one level, never two. Where the index cannot be computed the other clauses still hold.

    Parameters
    ----------
    spec
        A workspace's declarations, or an instrument alone (then the package's rule holds). Items of the full form below
        the index are asked; outcome, checks and free texts are not.
    services
        Whom the page names; the package's by default.
    language
        ``zh`` or ``en``; that of ``spec`` by default.
    period
        Which versions of the items; those still open by default.

    Returns
    -------
    str
        The page.

    Raises
    ------
    UsageError
        No index in the codebook, no service, an unknown language.
    SpecError
        Items without a range, or with options outside it.

    Examples
    --------
    >>> from dj_analysis.spec.codebook import default_codebook
    >>> page = self_check(default_codebook(), language="en")
    >>> page.count("<fieldset"), "connect-src 'none'" in page
    (42, True)
    """
    spec = Specification(codebook=spec) if isinstance(spec, Codebook) else spec
    return render(spec, default_services() if services is None else services, language or spec.language, period)


def write_self_check(
    path: str | Path,
    spec: Specification | Codebook,
    *,
    services: Sequence[Service] | None = None,
    language: Language | None = None,
    period: str = "",
) -> Path:
    """Write the page of :func:`self_check` to a file, as it stands: its hashes hold for these very bytes."""
    path = Path(path)
    page = self_check(spec, services=services, language=language, period=period)
    with written_whole(path) as unfinished:
        unfinished.write_bytes(page.encode("utf-8"))
    return path


def requests(
    obligations: Any,
    events: Any,
    spec: Specification | None = None,
    *,
    period: str | None = None,
    asof: str | date | None = None,
) -> Requests:
    """Count requests for help by unit and state (R8; domain D4b); requests carry no identity.

    Parameters
    ----------
    obligations
        Table (or a result with one) with obligation, kind, unit, opened; only rows of kind ``request`` count. ``route``
        (the service chosen) may stand there and is not broken down.
    events
        Table with obligation, state (offered, accepted, declined, served, closed), time; events of other kinds are passed over.
    spec
        Gives units, min_group and language; without units a request's unit stands at level ``unit``.
    period
        Count the requests opened in it; all by default.
    asof
        Look at the requests and states up to this day; all by default.

    Returns
    -------
    Requests
        A row for every unit of every level, those without requests too; a request counts at its unit and at each above.
        ``n`` counts requests: without identity nobody can tell whether one person asked twice. ``waiting_days`` is the median,
        in calendar days, from opened to the first offer or service among requests that got one; those still waiting stand in ``unanswered``.
        It is missing under min_group such requests (数据不足). ``protect()`` hides units with n under min_group.

    Raises
    ------
    IdentifierError
        A column that tells who asked, a pseudonym included, or cells that do.
    DataError
        Missing columns, unknown units or states, dates that are none or run backwards.

    Examples
    --------
    >>> asked = pd.DataFrame({"obligation": ["r1"], "kind": ["request"], "unit": ["ALL"], "opened": ["2026-07-01"]})
    >>> done = pd.DataFrame({"obligation": ["r1"], "state": ["offered"], "time": ["2026-07-04"]})
    >>> requests(asked, done, period="2026Q3").table[["n", "offered", "closed"]].to_numpy().tolist()
    [[1, 1, 0]]
    """
    spec = spec or Specification()
    asked, states = _frame(obligations), _frame(events)
    _check_identity({"obligations": asked, "obligation_events": states})
    asked, states = _read(asked, states, spec)
    asked, states = _until(asked, states, period, asof)
    facts = _facts(asked, states)
    label = period or _span(facts["opened"])
    rows = [_count(level, unit, part, spec) for level, unit, part in _by_unit(facts, spec, period or "")]
    table = pd.DataFrame(rows)
    table.insert(0, "period", label)
    statistics = ("n", *STATES, "unanswered", "waiting_days")
    return Requests(
        table=table, keys=("period", "level", "unit"), statistics=statistics, period=label, programme="requests",
        periods=(label,), spec=spec, basis=_basis(facts, spec, label, period or ""),
    )  # fmt: skip


def _frame(table: Any) -> pd.DataFrame:
    """Bring a result or any dataframe to pandas."""
    table = table.table if isinstance(table, Result) else table
    for method in ("collect", "to_pandas", "toPandas", "df"):
        if not isinstance(table, pd.DataFrame) and hasattr(table, method):
            table = getattr(table, method)()
    if not isinstance(table, pd.DataFrame):
        raise UsageError(f"requests: 应为表,实为 {type(table).__name__} (a dataframe is needed)")
    return table.reset_index(drop=True)


def _check_identity(tables: Mapping[str, pd.DataFrame]) -> None:
    """Stop at any column that tells who asked: a name, a number, a pseudonym, or cells that hold one."""
    problems = Problems()
    for place, frame in tables.items():
        for header in map(str, frame.columns):
            if header in DROPPED or _PERSON.search(header) or identifying_name(header):
                problems.add(place, "identifier_column", header, ALLOWED, _NO_PERSON)
        for header, cells in frame.items():
            kinds = {kind for text in cells.dropna().astype("str").unique() if (kind := identifying_text(text))}
            if kinds:
                problems.add(f"{place}: {header}", "identifier_content", "、".join(sorted(kinds)), ALLOWED, _NO_PERSON)
    problems.raise_if_any(IdentifierError)


def _read(asked: pd.DataFrame, states: pd.DataFrame, spec: Specification) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Keep the requests and their events, with dates; note what does not fit."""
    problems = Problems()
    needed = (("obligations", asked, _REQUEST), ("obligation_events", states, _EVENT))
    for place, frame, columns in needed:
        for column in (column for column in columns if column not in frame.columns):
            problems.add(place, "missing_column", column, ", ".join(columns), "补上该列 (add the column)")
    problems.raise_if_any()
    asked = asked.loc[asked["kind"].astype("str") == "request", list(_REQUEST)].astype({"obligation": "str"})
    states = states.loc[states["obligation"].astype("str").isin(asked["obligation"]), list(_EVENT)]
    for code in asked.loc[asked["obligation"].duplicated(), "obligation"].unique():
        problems.add(f"obligations: {code}", "repeated_key", code, "每行一项 (one row each)", "删去重复 (remove it)")
    for state in sorted(set(states["state"].astype("str")) - set(STATES)):
        problems.add("obligation_events", "unknown_state", state, ", ".join(STATES), "改正 (correct it)")
    units = spec.units
    for unit in sorted(set(asked["unit"].astype("str"))) if units.rows else ():
        if unit not in units:
            problems.add(f"obligations: {unit}", "unknown_unit", unit, "units 表中的单位", "改正 (correct it)")
    asked = asked.assign(
        unit=asked["unit"].astype("str"), opened=_days("obligations opened", asked["opened"], problems)
    )
    states = states.astype({"obligation": "str", "state": "str"})
    states = states.assign(time=_days("obligation_events time", states["time"], problems))
    opened = asked.drop_duplicates("obligation").set_index("obligation")["opened"].reindex(states["obligation"])
    for code in states.loc[states["time"].to_numpy() < opened.to_numpy(), "obligation"].unique():
        problems.add(
            f"obligation_events: {code}", "before_opened", code, "time >= opened", "改正日期 (correct the date)"
        )
    problems.raise_if_any(DataError)
    return asked, states


def _days(place: str, cells: pd.Series, problems: Problems) -> pd.Series:
    days = pd.to_datetime(cells.astype("str").str.slice(0, 10), format="%Y-%m-%d", errors="coerce")
    for text in cells[days.isna()].astype("str").unique()[:3]:
        problems.add(place, "bad_date", text or "(空)", "2026-09-30", "改为日期 (write a date)")
    return days


def _until(
    asked: pd.DataFrame, states: pd.DataFrame, period: str | None, asof: str | date | None
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Limit to requests opened in the period, and to what was known on a day."""
    if period:
        span = parse(period)
        asked = asked[asked["opened"].between(pd.Timestamp(span.start), pd.Timestamp(span.end))]
    if asof is not None:
        try:
            day = pd.Timestamp(date.fromisoformat(str(asof)))
        except ValueError:
            raise UsageError(f"asof “{asof}” 不是日期 (not a date);应为/allowed: 2026-09-30") from None
        asked, states = asked[asked["opened"] <= day], states[states["time"] <= day]
    return asked, states


def _facts(asked: pd.DataFrame, states: pd.DataFrame) -> pd.DataFrame:
    """One row a request: whether it reached each state, and the days until the first offer or service."""
    facts = asked[["unit", "opened"]].reset_index(drop=True)
    for state in STATES:
        facts[state] = asked["obligation"].isin(states.loc[states["state"] == state, "obligation"]).to_numpy()
    first = states[states["state"].isin(_ANSWERED)].groupby("obligation")["time"].min()
    waited = pd.to_datetime(first.reindex(asked["obligation"])).to_numpy() - facts["opened"]
    facts["days"] = waited.dt.days.to_numpy(float)
    # Who took the request back waits no longer; nothing but the count remembers it.
    facts["unanswered"] = facts["days"].isna() & ~facts["declined"]
    return facts


def _by_unit(facts: pd.DataFrame, spec: Specification, period: str) -> Iterator[tuple[str, str, pd.DataFrame]]:
    """Yield level, unit and the requests at or below each unit, the root first."""
    units = spec.units.at(period)
    yield units.root.level, ALL, facts
    if not units.rows:
        for unit in facts.loc[facts["unit"] != ALL, "unit"].unique():
            yield "unit", unit, facts[facts["unit"] == unit]
        return
    # A unit that has ended lives on in the one it became.
    here = facts["unit"].map(lambda unit: unit if unit in units else spec.units.successors.get(unit, unit))
    above = {unit: {unit, *units.ancestors(unit)} for unit in here.unique()}
    for unit in (unit for unit in units.rows if unit.unit != ALL):
        yield unit.level, unit.unit, facts[here.map(lambda code, unit=unit.unit: unit in above[code]).astype(bool)]


def _basis(facts: pd.DataFrame, spec: Specification, label: str, period: str) -> tuple[Basis, ...]:
    """Return how many requests lie directly at each unit, by tree; without units, at each unit as it is written."""
    units, sums = spec.units.at(period), {}
    here = facts["unit"].map(lambda unit: unit if unit in units else spec.units.successors.get(unit, unit))
    counts = {str(unit): float(n) for unit, n in here.value_counts().items()}
    for tree in units.trees:
        mine = {u: n for u, n in counts.items() if not units.rows or u == ALL or (u in units and units[u].tree == tree)}
        axis, names = (tree, tuple(mine)) if units.rows else ("unit", tuple("" if u == ALL else u for u in mine))
        none = {name: np.zeros((len(mine), 0)) for name in STATISTICS}
        sums[axis] = UnitSums(axis, names, (), np.array(list(mine.values()), dtype=float), none)
    return (Basis("requests", label, spec, sums),)


def _count(level: str, unit: str, part: pd.DataFrame, spec: Specification) -> dict[str, Any]:
    days = part["days"].dropna()
    enough = len(days) >= max(spec.min_group, FLOOR)
    return {
        "level": level,
        "unit": unit,
        "n": len(part),
        **{state: int(part[state].sum()) for state in STATES},
        "unanswered": int(part["unanswered"].sum()),
        "waiting_days": float(days.median()) if enough else float("nan"),
        "reason": "" if enough else reasons.TOO_FEW_TO_JUDGE,
    }


def _span(opened: pd.Series) -> str:
    """Name the months the requests come from."""
    if opened.empty:
        return ""
    first, last = (f"{day:%Y-%m}" for day in (opened.min(), opened.max()))
    return first if first == last else f"{first}/{last}"
