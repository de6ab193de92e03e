"""Reviews of the synthetic enterprise's red and black warnings: most units reply in time, some late, some never, some were not told."""

from __future__ import annotations

import numpy as np
import pandas as pd

from ..spec import workdays
from ..spec.kinds import HUMAN_REVIEW
from ..spec.periods import parse
from ..spec.schemas import OBLIGATION_EVENTS, OBLIGATIONS
from .exports import fieldwork

STREAM = 8  # of random numbers
TOLD, LIMIT = 4, 3  # working days: from the end of the survey to the letter; for the reply
OUTCOMES = ("replied", "unanswered", "late", "not_told")
SHARES = (0.7, 0.1, 0.1, 0.1)
REPLIES = (
    "情况属实。近期检修任务集中，加班较多，已调整排班并安排补休。",
    "基本属实。员工对绩效分配办法了解不够，计划下月组织说明会。",
    "已逐班组座谈核实，主要反映食堂和通勤问题，正与后勤部门协调。",
    "部分属实。班组合并后分工尚在磨合，已明确各岗位职责。",
    "已核实，主要意见是新系统重复录入，已报请信息部门处理。",
)


def planted_reviews(warnings: pd.DataFrame, seed: int) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return obligations and their events as text cells, of the units with a red or black warning.

    Parameters
    ----------
    warnings
        period, unit; in the order of waves. Of each wave the first replies, the second does not, the third replies late, the fourth was not told.
    seed
        Of what becomes of the others.
    """
    rows, events = [], []
    for period, own in warnings.groupby("period", sort=False):
        rng = np.random.default_rng([seed, parse(str(period)).index, STREAM])
        drawn = rng.choice(len(OUTCOMES), len(own), p=SHARES)
        drawn[: len(OUTCOMES)] = np.arange(len(OUTCOMES))[: len(own)]
        for unit, place in zip(own["unit"], drawn, strict=True):
            outcome, days, said = OUTCOMES[place], int(rng.integers(1, LIMIT + 1)), int(rng.integers(len(REPLIES)))
            if outcome == "not_told":
                continue
            told = workdays.after(fieldwork(str(period))[1], TOLD)
            code = f"{HUMAN_REVIEW}-{period}-{unit}"
            answered = outcome in ("replied", "late")
            rows.append(
                {"obligation": code, "kind": HUMAN_REVIEW, "unit": unit, "opened": str(told),
                 "due": str(workdays.after(told, LIMIT)), "label": REPLIES[said] if answered else "", "cycle": str(period)}
            )  # fmt: skip
            events.append((code, "notified", str(told)))
            if answered:
                replied = workdays.after(told, days + (LIMIT if outcome == "late" else 0))
                events.append((code, "replied", str(replied)))
    table = pd.DataFrame(rows, columns=list(OBLIGATIONS.names), dtype="str").fillna("")
    return table, pd.DataFrame(events, columns=list(OBLIGATION_EVENTS.names), dtype="str")
