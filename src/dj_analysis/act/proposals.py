"""Proposals of measures for units with a warning (问题归因 → 路径析出 → 方法导入)."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any

import numpy as np
import pandas as pd

from ..errors import UsageError
from ..judge.human_review import ReviewedAlerts
from ..measure.basis import merged_bases
from ..measure.obligation_states import day_of
from ..measure.scores import Scores, joined
from ..result import Result
from ..spec import reasons, workdays
from ..spec.codebook import Codebook
from ..spec.interventions import Intervention, InterventionLibrary, lineage_below
from ..spec.periods import Period, parse
from ..spec.schemas import OBLIGATION_EVENTS, OBLIGATIONS
from .attribution import Attribution, Driver, chosen_items

ByItem = Mapping[tuple[str, str], Sequence[Intervention]]
MEASURE = "measure"
KEYS = ("period", "level", "unit", "form")
DRIVEN = ("n", "driver", "against", "shortfall", "probability", "from_unit", "importance", "priority")
STATISTICS = (
    "n", "warning", "driver", "item", "path", "measure", "owner_role", "due", "evaluate", "indicator", "shortfall", "probability",
    "importance", "priority", "carried",
)  # fmt: skip
CARRIED = ("n", "driver", "item", "carried", "shortfall")
SILENT = (reasons.LOW_RESPONSE, reasons.FALLEN_RESPONSE)
_WORDS = {
    "zh": "未提供各维度对总体感受的相对重要性，优先次序只按差距及其把握程度排列。",
    "en": "The relative importance of the dimensions was not given: drivers are ordered by gap and its probability alone.",
}


@dataclass(frozen=True)
class Proposals(Result):
    """Measures proposed to units with a warning, one row a unit and measure.

    ``.table``: period, level, unit, form, n (persons), warning, driver (dimension), item (question that carries most of what the
    measure is for), path, measure (code of the library), owner_role, due (day by which it starts), evaluate (day by which its
    effect is looked at; both working days), indicator, shortfall (points below the unit above or the target), probability
    (that the gap is above 0), importance (share for the outcome), priority, carried (points of the gap that the item carries).

    Attributes
    ----------
    start
        The day from which working days were counted.
    notices
        What a reader must know: years without announced days off, importance that is not known.
    reviewed
        The warnings they answer have passed :func:`dj_analysis.methods.after_review`; else those of red and black units are not shown.
    """

    start: str = ""
    notices: tuple[str, ...] = field(default=(), repr=False)
    reviewed: bool = False

    @property
    def drivers(self) -> Result:
        """The drivers of each unit: period, level, unit, form, n, driver, against (unit above, or ``target``), shortfall,
        probability, from_unit (whose importance), importance, priority.
        """
        return self.parts["drivers"]

    @property
    def paths(self) -> Result:
        """What each question carries of each driver's gap: period, level, unit, form, n, driver, item, carried (sums exactly to
        the shortfall), shortfall.
        """
        return self.parts["paths"]

    @property
    def without(self) -> Result:
        """Units with a warning for which nothing is proposed, and why: period, level, unit, n, warning, reason."""
        return self.parts["without"]

    def as_obligations(self) -> tuple[pd.DataFrame, pd.DataFrame]:
        """Return the measures as rows of obligations.csv and their first events; nothing is written.

        Returns
        -------
        tuple
            obligations (kind ``measure``; opened on the start, due on the day by which it starts, subject = code in the
            library, class = dimension, cycle = the wave after which its effect is looked at) and obligation_events, both as text
            with the columns of their tables. A measure is one obligation of a unit and wave.
        """
        return obligation_rows(self)


def propose(alerts: Result, shares: Result | None, now: Scores, start: str | date) -> Proposals:
    """Propose measures of the library to each unit with a warning.

    At most three dimensions a unit (``[attribution] drivers``): those whose gap to the unit above (or to ``target``) is above 0
    with the declared confidence, by importance × gap × P(gap > 0). The questions that carry at least their share of a gap
    lead to the measures. Attribution is association (关联), no proof of a cause; what the library expects of a measure is an
    assumption to be tested.

    Parameters
    ----------
    alerts
        What :func:`dj_analysis.alerts` said of the wave; for a report, after :func:`dj_analysis.methods.after_review`.
    shares
        Relative importance for the outcome: unit, code, share; of the nearest unit above where a unit has none. None: gap and
        probability alone order the dimensions.
    now
        Scores of the same wave.
    start
        Day from which the working days until a measure starts are counted, ISO.

    Returns
    -------
    Proposals
        No rows where no unit has a warning. Units that a release hides, or with fewer than min_group persons, get none; nor do
        those with too low a participation, whose advice is to raise it. ``without`` says why a unit with a warning has none.

    Raises
    ------
    UsageError
        Results of different waves, not of a survey, or a start that is no date.

    Examples
    --------
    >>> dj.propose(dj.alerts(scores), None, scores, start="2026-10-08").without.table[["unit", "reason"]].values.tolist()
    [['ALL', 'other_dimensions'], ['B1', 'other_dimensions']]
    """
    _check(alerts, shares, now)
    opened, spec = day_of(start).date(), now.spec
    library = spec.interventions.fitting(spec.codebook.at(now.period))
    attribution = Attribution(now, None if shares is None else shares.table[["unit", "code", "share"]])
    measures = _by_item(library, spec.codebook.at(now.period))
    rows: dict[str, list[dict[str, Any]]] = {name: [] for name in ("measures", "drivers", "paths", "without")}
    for alert in _flagged(alerts, now, attribution.units.levels).itertuples():
        key = {"period": now.period, "level": str(alert.level), "unit": str(alert.unit)}
        before, why = len(rows["measures"]), ""
        if not alert.warning:
            why = reasons.RAISE_PARTICIPATION
        elif not library:
            why = reasons.OTHER_DIMENSIONS
        else:
            drivers, why = attribution.drivers(key["level"], key["unit"])
            _enter(rows, key, str(alert.warning), drivers, measures, attribution)
            if drivers and len(rows["measures"]) == before:
                why = reasons.NO_MEASURE_FOR_ITEMS
        if why:
            rows["without"].append({**key, "n": alert.n, "warning": alert.warning, "reason": why})
    return _packed(rows, alerts, shares, now, opened)


def obligation_rows(measures: Proposals) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return what :meth:`Proposals.as_obligations` returns."""
    spec, table = measures.spec, measures.table.drop_duplicates(["unit", "measure"])
    first = spec.rules.kinds[MEASURE].order[0]
    numbers = [f"{row.period}-{row.unit}-{row.measure}" for row in table.itertuples()]
    rows = pd.DataFrame(
        {
            "obligation": numbers, "kind": MEASURE, "unit": table["unit"].to_numpy(), "opened": measures.start,
            "due": table["due"].to_numpy(), "label": [spec.intervention_word("measure", one) for one in table["measure"]],
            "subject": table["measure"].to_numpy(), "owner_role": table["owner_role"].to_numpy(),
            "class": table["driver"].to_numpy(), "cycle": [quarter_of(day).text for day in table["evaluate"]],
        }
    ).astype("str")  # fmt: skip
    events = pd.DataFrame({"obligation": numbers, "state": first, "time": measures.start}).astype("str")
    return rows.reindex(columns=list(OBLIGATIONS.names), fill_value=""), events[list(OBLIGATION_EVENTS.names)]


def quarter_of(day: date | str) -> Period:
    """Return the quarter a day lies in."""
    year, month = (int(part) for part in str(day).split("-")[:2])
    return parse(f"{year}Q{(month + 2) // 3}")


def _check(alerts: Result, shares: Result | None, now: Scores) -> None:
    if now.about != "persons" or not {"warning", "reason", "unit"} <= set(alerts.table.columns):
        raise UsageError("propose 需要 dj.alerts 的结果和问卷得分 (what dj.alerts returned, and scores of a survey)")
    others = {result.period for result in (alerts, shares) if result is not None} - {now.period}
    if others:
        raise UsageError(
            f"{'、'.join(sorted(others))} ≠ {now.period}: 预警、重要性和得分须为同一期 (all must be of one wave)"
        )


def _by_item(library: InterventionLibrary, codebook: Codebook) -> ByItem:
    """Return the measures by dimension and question; a question that replaced another has the measures of that one."""
    measures: dict[tuple[str, str], list[Intervention]] = {}
    for one in library:
        in_place = lineage_below(codebook, one.driver)
        for item in one.items:
            measures.setdefault((one.driver, in_place[item]), []).append(one)
    return measures


def _flagged(alerts: Result, now: Scores, levels: Collection[str]) -> pd.DataFrame:
    """Return the alerts of units that may be shown and have a warning, or too low a participation to be judged."""
    table = alerts.table
    hidden = {row for result in (now, alerts) for row in result.withheld.get(now.period, ())}
    shown = np.array([row not in hidden for row in zip(table["level"], table["unit"], strict=True)], dtype=bool)
    wanted = (table["warning"] != "") | table["reason"].isin(SILENT)
    return table[wanted & table["level"].isin(levels) & shown]


def _enter(
    rows: Mapping[str, list[dict[str, Any]]], key: Mapping[str, str], warning: str, drivers: Sequence[Driver],
    measures: ByItem, attribution: Attribution,
) -> None:  # fmt: skip
    """Enter the drivers, paths and measures of one unit; a measure stands beside the question that carries most of what it is for."""
    language, most = attribution.spec.language, attribution.spec.rules.attribution.items
    for driver in drivers:
        common = {**key, "form": attribution.form, "driver": driver.code, "shortfall": driver.shortfall}
        named = {name: getattr(driver, name) for name in DRIVEN if name != "driver"}
        rows["drivers"].append({**common, **named})
        for one in driver.carriers:
            rows["paths"].append({**common, "n": one.n, "item": one.item, "carried": one.carried})
        answered, entered = {item for code, item in measures if code == driver.code}, set[str]()
        for carrier in chosen_items(driver, answered, most):
            for measure in measures[driver.code, carrier.item]:
                if measure.measure not in entered:
                    words = {name: measure.word(name, language) for name in ("path", "owner_role", "indicator")}
                    own = {"n": min(driver.n, carrier.n), "item": carrier.item, "carried": carrier.carried}
                    row = {**common, **named, **own, "warning": warning, "measure": measure.measure, **words}
                    rows["measures"].append({**row, "intervention": measure})
                    entered.add(measure.measure)


def _packed(
    rows: Mapping[str, list[dict[str, Any]]], alerts: Result, shares: Result | None, now: Scores, start: date
) -> Proposals:
    """Set the dates, and make the results."""
    dated = []
    for row in rows["measures"]:
        one: Intervention = row.pop("intervention")
        due = workdays.after(start, one.start_days)
        evaluate = workdays.last_until(quarter_of(due).shift(one.evaluate_quarters).end)
        dated.append({**row, "due": str(due), "evaluate": str(evaluate)})
    language = now.spec.language
    notice = workdays.unannounced([start, *(row[name] for row in dated for name in ("due", "evaluate"))], language)
    notices = tuple(one for one in ("" if shares is not None else _WORDS[language], notice) if one)
    common: dict[str, Any] = {
        "period": now.period, "about": now.about, "programme": now.programme, "spec": now.spec,
        "periods": tuple(dict.fromkeys([*alerts.periods, *now.periods])), "withheld": {**alerts.withheld, **now.withheld},
        "basis": merged_bases(alerts, now),
    }  # fmt: skip
    parts = {
        "drivers": _result(rows["drivers"], KEYS, DRIVEN, common),
        "paths": _result(rows["paths"], KEYS, CARRIED, common),
        "without": _result(rows["without"], KEYS[:3], ("n", "warning", "reason"), common),
    }
    whole = _result(dated, KEYS, STATISTICS, common)
    return Proposals(
        whole.table, KEYS, STATISTICS, parts=parts, together=STATISTICS, start=str(start), notices=notices,
        reviewed=isinstance(alerts, ReviewedAlerts), **common,
    )  # fmt: skip


def _result(
    rows: list[dict[str, Any]], keys: tuple[str, ...], columns: tuple[str, ...], common: Mapping[str, Any]
) -> Result:
    table = pd.DataFrame(rows, columns=[*keys, *columns])
    numbers = [name for name in _NUMBERS if name in table]
    return Result(joined([table.astype(dict.fromkeys(numbers, "float64"))]), keys, columns, together=columns, **common)


_NUMBERS = ("n", "shortfall", "probability", "importance", "priority", "carried")
