"""Checks of the reviews of warnings (通气核实) among the obligations: one a unit and wave, a short reply that names nobody."""

from __future__ import annotations

import numpy as np
import pandas as pd

from ...errors import Problems
from ...spec.kinds import HUMAN_REVIEW
from ...spec.periods import ALLOWED, is_period, parse
from ...spec.tables import rows_text
from .identifiers import ALLOWED as NOBODY
from .identifiers import identifying_text

LONGEST_REPLY = 100  # characters, printed beside the warning


def check_reviews(place: str, rows: pd.DataFrame, replied: np.ndarray, problems: Problems) -> None:
    """Note what is wrong with the reviews of warnings.

    Parameters
    ----------
    rows
        The reviews as they were read: obligation, unit, opened, label, cycle; the index is the row in the file.
    replied
        Which of them have an event that fulfils them: the unit replied.
    """
    known = np.array([is_period(cycle) for cycle in rows["cycle"]], dtype=bool)
    _note(
        problems,
        f"{place}: cycle",
        "bad_period",
        rows["cycle"][~known],
        ALLOWED,
        "写预警所属时期 (the wave of the warning)",
    )
    first = pd.Series([parse(cycle).start if good else None for cycle, good in zip(rows["cycle"], known, strict=True)])
    early = (
        rows["opened"]
        .astype("str")
        .str[:10][(rows["opened"].to_numpy() < first.to_numpy().astype("datetime64[s]")) & known]
    )
    _note(problems, f"{place}: opened", "before_period", early, "opened ≥ cycle", "改正告知日或时期 (correct either)")
    twice = (rows["unit"] + " " + rows["cycle"])[rows.duplicated(["unit", "cycle"], keep=False)]
    advice = "一个单位一期只通气一次,留下第一次的 (keep the first one)"
    _note(problems, f"{place}: {HUMAN_REVIEW}", "two_reviews", twice, "一个单位一期一行 (one a unit and wave)", advice)
    length = rows["label"].str.len()
    found = length[length > LONGEST_REPLY].astype("str") + " 字/characters"
    advice = "请单位压缩,不要代为截断 (ask the unit to shorten it)"
    _note(problems, f"{place}: label", "too_long", found, f"≤ {LONGEST_REPLY}", advice)
    kinds = rows["label"].map(identifying_text)
    advice = "删去后再写入 (remove it)"
    _note(problems, f"{place}: label", "identifier_content", kinds[kinds != ""], NOBODY, advice)
    early = rows["obligation"][(rows["label"] != "").to_numpy() & ~replied]
    advice = "在 obligation_events 中写 replied 及日期 (enter the event replied with its day)"
    _note(problems, f"{place}: label", "reply_without_event", early, "replied", advice)


def _note(problems: Problems, where: str, rule: str, cells: pd.Series, allowed: str, advice: str) -> None:
    if len(cells):
        listed = "、".join(dict.fromkeys(cells.replace("", "(空)").head(3)))
        problems.add(where, rule, f"{listed} ({rows_text(cells.index)})", allowed, advice)
