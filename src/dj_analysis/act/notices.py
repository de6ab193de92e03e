"""Letters that tell units of their red or black warning and ask for their reply (预警告知函、核实反馈表)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

import pandas as pd

from ..errors import UsageError
from ..judge.alerts import Alerts
from ..judge.human_review import REVIEWED
from ..measure.obligation_states import day_of
from ..result import Result
from ..spec import workdays
from ..spec.kinds import HUMAN_REVIEW
from ..spec.schemas import OBLIGATION_EVENTS, OBLIGATIONS
from ..spec.units import ALL

KEYS = ("period", "level", "unit")
OF_ALERTS = ("warning", "warning_before", "rule", "code", "score", "probability", "n", "response")
DATED = ("notified", "due")


@dataclass(frozen=True)
class Notices(Result):
    """What each unit with a red or black warning is told, one row a unit.

    ``.table``: period, level, unit, warning, warning_before, rule, code, score, probability, n, response, notified (day of the
    letter), due (last day for the reply), reason (as :class:`dj_analysis.judge.alerts.Alerts` has them). A letter is made of one
    row: :meth:`of`.
    """

    def of(self, unit: str) -> Notices:
        """Return what one unit is told.

        Raises
        ------
        UsageError
            The unit has no red or black warning in this wave; names those that have.
        """
        if unit not in set(self.table["unit"]):
            listed = "、".join(self.table["unit"]) or "(无/none)"
            raise UsageError(
                f"{unit}: 本期没有需要通气的红色、黑色预警 (no red or black warning in this wave);有的单位/units: {listed}"
            )
        return self.remade(self.table[self.table["unit"] == unit].reset_index(drop=True))

    def as_obligations(self) -> tuple[pd.DataFrame, pd.DataFrame]:
        """Return the reviews as rows of obligations.csv and their first events, to be entered once the letters left; nothing is
        written.

        Returns
        -------
        tuple
            obligations (kind ``human_review``; opened on the day of the letter, cycle = the wave; label stays empty for the
            reply) and obligation_events, as text with the columns of their tables.
        """
        kind, numbers = (
            self.spec.rules.kinds[HUMAN_REVIEW],
            [f"{HUMAN_REVIEW}-{one.period}-{one.unit}" for one in self.table.itertuples()],
        )
        rows = pd.DataFrame(
            {"obligation": numbers, "kind": HUMAN_REVIEW, "unit": self.table["unit"].to_numpy(),
             "opened": self.table["notified"].to_numpy(), "due": self.table["due"].to_numpy(), "cycle": self.table["period"].to_numpy()}
        ).astype("str")  # fmt: skip
        events = pd.DataFrame(
            {"obligation": numbers, "state": kind.order[0], "time": self.table["notified"].to_numpy()}
        )
        return rows.reindex(columns=list(OBLIGATIONS.names), fill_value=""), events.astype("str")[
            list(OBLIGATION_EVENTS.names)
        ]


def notices(alerts: Alerts, start: str | date) -> Notices:
    """Return what each unit with a red or black warning is told, with the day by which it replies.

    Parameters
    ----------
    alerts
        What :func:`dj_analysis.alerts` said of one wave.
    start
        Day of the letters, ISO; the working days for the reply (``days`` of the kind ``human_review``, 3 by default) are counted from it.

    Returns
    -------
    Notices
        Units that a release hides are not judged and get no letter; nor does the whole.

    Examples
    --------
    >>> told = methods.notices(dj.alerts(scores), "2026-09-28")
    >>> told.table[["unit", "warning", "due"]].values.tolist()
    [['B1', 'red', '2026-10-08']]
    """
    if not isinstance(alerts, Alerts) or (alerts.table["period"] != alerts.period).any():
        raise UsageError("notices 需要一期 dj.alerts 的结果 (what dj.alerts returned for one wave is needed)")
    day = day_of(start).date()
    kind = alerts.spec.rules.kinds[HUMAN_REVIEW]
    units = alerts.spec.units.at(alerts.period)
    table = alerts.table
    table = table[table["warning"].isin(REVIEWED) & table["level"].isin(units.levels) & (table["unit"] != ALL)]
    table = table[[*KEYS, *OF_ALERTS, "reason"]].reset_index(drop=True)
    table["notified"], table["due"] = str(day), str(workdays.after(day, kind.days_until_due))
    common = {
        name: getattr(alerts, name) for name in ("period", "periods", "spec", "withheld", "basis", "about", "programme")
    }
    statistics = (*OF_ALERTS, *DATED)
    return Notices(table[[*KEYS, *statistics, "reason"]], KEYS, statistics, together=statistics, **common)
