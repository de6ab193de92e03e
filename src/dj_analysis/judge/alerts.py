"""Which units need attention: orange, red, black, by Bands on the distribution of their shrunken means."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from ..errors import UsageError
from ..measure.obligation_states import Obligations
from ..measure.scores import Scores
from ..result import Result
from ..spec import reasons
from ..spec.bands import beyond
from ..spec.periods import parse
from ..spec.reasons import printed_reason
from ..spec.specification import Specification
from ..spec.units import ALL
from .change import Change
from .false_alerts import expected_false_alerts
from .shrunk_means import SHARE_CONFIDENCE, Keys, low_shares, shrunk_means
from .warning_rules import GRADES, Finding, dimension_low, fall, gravest, index_low, low_share, overdue, persistent

ORDER = ("", *GRADES)
HELD = "held"  # the level of the wave before is kept: the rise is smaller than the declared one
WORDS = {
    "zh": {
        "index_low": "指数低于{point:g}分",
        "dimension_low": "{named}低于{point:g}分",
        "low_share": "指数低于{of:g}分的人占比下限超过{share:g}%",
        "fall": "指数环比下降{smallest:g}分以上，超出误差范围",
        "persistent": "连续两期达到橙色以上且没有好转",
        "overdue": "连续两期达到红色以上且措施逾期未完成",
        HELD: "回升未超过{hysteresis:g}分，保持上期级别",
    },
    "en": {
        "index_low": "index below {point:g}",
        "dimension_low": "{named} below {point:g}",
        "low_share": "more than {share:g}% of respondents credibly have an index below {of:g}",
        "fall": "index fell by {smallest:g} points or more, beyond error",
        "persistent": "orange or graver for two waves without improvement",
        "overdue": "red or graver for two waves with a measure overdue",
        HELD: "rose by no more than {hysteresis:g} points, the level of the wave before is kept",
    },
}
NOT_JUDGED = (reasons.TOO_FEW_TO_JUDGE, reasons.LOW_RESPONSE, reasons.FALLEN_RESPONSE)
#: Every warning depends on all units of its level; how many answered does not.
TOGETHER = ("warning", "warning_before", "rule", "code", "score", "probability", "covered_by")
STATISTICS = ("warning", "warning_before", "rule", "code", "score", "probability", "n", "response", "covered_by")


@dataclass(frozen=True)
class Alerts(Result):
    """Collective warnings, one row a unit.

    ``.table``: period, level, unit, warning (orange, red, black or empty), warning_before (of the latest earlier wave),
    rule (the first that gave this warning), code (the index or dimension it judged), score (of that code, as measured),
    probability (with which an interval of the number ends at the cut point; of ``low_share`` the confidence level of its
    exact bound), n, response (rate, NaN without headcounts), covered_by (nearest unit above with the same or a graver
    warning), reason (``rule:grade`` of every rule that gave this warning, joined by ``;``,
    or why none is judged; :func:`reason_words` says it in words). Part ``expected``: how many units get a warning whose
    condition is untrue, by null hypothesis and grade (:mod:`dj_analysis.judge.false_alerts`).
    """

    def count(self, level: str | None = None) -> dict[str, int]:
        """Number of units by warning, and of those not judged, at one level or at all."""
        table = self.table if level is None else self.table[self.table["level"] == level]
        counts = {grade: int((table["warning"] == grade).sum()) for grade in ORDER[1:]}
        return counts | {reason: int((table["reason"] == reason).sum()) for reason in NOT_JUDGED}

    def after(self, history: Alerts) -> Alerts:
        """Return the warnings of earlier waves and these, one wave below the other; for :func:`dj.plot_warnings`."""
        table = pd.concat([history.table, self.table], ignore_index=True)
        own = {basis.period for basis in self.basis}
        return replace(
            self, table=table, parts={}, mark="", periods=tuple(dict.fromkeys([*history.periods, *self.periods])),
            withheld={**history.withheld, **self.withheld},
            basis=(*(basis for basis in history.basis if basis.period not in own), *self.basis),
        )  # fmt: skip


def alerts(
    now: Scores,
    change: Change | None = None,
    history: Alerts | None = None,
    work: Obligations | None = None,
    *,
    spec: Specification | None = None,
    draws: int = 200,
    seed: int = 1,
) -> Alerts:
    """Judge every unit of a wave by the declared bands.

    Rules (domain E1, on anchors; the gravest holds): the shrunken index is credibly below a cut point (``index_low``);
    dimensions are (``dimension_low``); the lower bound of the share of respondents with a low index is above a cut
    (``low_share``); the index fell by the smallest change worth acting on, beyond error after correction for the number
    of units (``fall``, orange); orange for two waves without improvement is red (``persistent``); red for two waves with a
    measure overdue is black (``overdue``). A warning of the wave before ends only when the unit is beyond the cut point by
    the declared hysteresis. Standing last in a ranking is no rule.

    Parameters
    ----------
    now
        Scores of the wave.
    change
        What :func:`compare` said of the wave before; without it falls and improvements are not judged.
    history
        Warnings of earlier waves (``ws.alerts()``); the latest before this one counts. Without them there is no persistence
        and no hysteresis.
    work
        Measures in progress (``ws.obligations(kind="measure")``), looked at as of the last day of the period.
    spec
        Another specification than the one the scores carry.
    draws, seed
        Simulated waves from which the number of untrue warnings is computed, 0 for none; their random seed.

    Returns
    -------
    Alerts
        Units below min_group are 数据不足; a participation below the declared minimum, or fallen by more than the
        declared amount, gives a hint of that instead of a warning (应答预警). Without headcounts that guard is off. The
        probability is that of the shrunken mean where at least four units of the level can be told apart, else of the
        unit's own.

    Examples
    --------
    >>> dj.alerts(scores).where(level="branch").table[["unit", "warning"]].values.tolist()
    [['B1', 'red'], ['B2', ''], ['B3', '']]
    """
    if now.about != "persons":
        raise UsageError("预警只用于问卷 (warnings are for surveys)")
    spec = spec or now.spec
    index = spec.codebook.index
    if index is None:
        raise UsageError("问卷没有指数(role = index),不能预警 (no index in the codebook)")
    if spec is not now.spec:
        now = replace(now, spec=spec)
    anchors = now.table[now.table["form"] == "anchors"]
    units = anchors[anchors["code"] == index].drop_duplicates(["level", "unit"]).reset_index(drop=True)
    response = now.response.table.set_index(["level", "unit"])
    keys = list(zip(units["level"], units["unit"], strict=True))
    before = _grades_before(history, now.period, keys)
    findings, held = _findings(now, change, before, keys, index)
    grades = gravest(findings)
    chance = _chosen(findings, grades)["probability"].to_numpy(float)
    findings.append(persistent(grades, before, _improved(change, keys, index), chance, index))
    grades = gravest(findings)
    if work is not None:
        late = np.isin([unit for _, unit in keys], sorted(work.overdue_units(parse(now.period).end)))
        findings.append(overdue(grades, before, late, chance, index))
        grades = gravest(findings)
    table = pd.DataFrame({"period": now.period, "level": units["level"], "unit": units["unit"]})
    table = pd.concat([table, _chosen(findings, grades, held)], axis=1)
    unsure = (table["warning"] == "") & units["se"].isna()
    table.loc[unsure, "reason"] = units.loc[unsure, "reason"]
    answered = response.reindex(keys)
    table["n"], table["response"] = answered["n"].to_numpy(int), answered["rate"].to_numpy(float)
    table = _guarded(table, units["n"].to_numpy(), _response_change(change, keys), now)
    table["warning_before"] = [ORDER[grade] for grade in before]
    table["score"] = _scores_of(anchors, table)
    table["covered_by"] = _covered_by(table, now)
    periods = tuple(dict.fromkeys([*(change.periods if change else ()), now.period]))
    common: dict[str, Any] = {
        "period": now.period, "spec": spec, "periods": periods,
        "withheld": {**(change.withheld if change else {}), **now.withheld},
        "basis": (*(change.basis if change else ()), *now.basis),
    }  # fmt: skip
    parts = {"expected": expected_false_alerts(now, change, keys, draws, seed, common)} if draws else {}
    return Alerts(
        table=table[["period", "level", "unit", *STATISTICS, "reason"]], keys=("period", "level", "unit"),
        statistics=STATISTICS, together=TOGETHER, parts=parts,
        **common,
    )  # fmt: skip


def _findings(
    now: Scores, change: Change | None, before: np.ndarray, keys: Keys, index: str
) -> tuple[list[Finding], np.ndarray]:
    """Return what the rules of one wave find, and which units keep the level of the wave before."""
    spec, dimensions = now.spec, [node.code for node in now.spec.codebook.dimensions]
    of_index, of_dimensions = shrunk_means(now, [index], keys), shrunk_means(now, dimensions, keys)
    lowest = low_shares(now, keys)["low"].to_numpy(float)

    def rules(ease: float) -> list[Finding]:
        return [
            index_low(of_index, spec.bands["warning"], ease),
            dimension_low(of_dimensions, spec.bands["warning_dimension"], ease),
            low_share(lowest, spec.bands["low_answers"], SHARE_CONFIDENCE, index, ease),
        ]

    strict = [*rules(0.0), _fall(change, keys, spec, index)]
    grades = gravest(strict)
    if not before.any():
        return strict, np.zeros(len(keys), dtype=bool)
    eased = rules(spec.rules.alerts.hysteresis)
    kept = np.minimum(gravest(eased), before)
    held = kept > grades
    for finding, easier in zip(strict, eased, strict=False):
        for grade in range(len(GRADES)):
            rows = held & (kept == grade + 1) & easier.holds[grade]
            for name in ("holds", "chance", "about", "named"):
                getattr(finding, name)[grade][rows] = getattr(easier, name)[grade][rows]
    return strict, held


def _fall(change: Change | None, keys: Keys, spec: Specification, index: str) -> Finding:
    rows = _index_rows(change, keys, index)
    real = rows["real"].eq(True).to_numpy()
    difference, p = rows["difference"].to_numpy(float), rows["p"].to_numpy(float)
    return fall(difference, p, real, spec.rules.change.smallest, index)


def _improved(change: Change | None, keys: Keys, index: str) -> np.ndarray:
    """Tell which units rose beyond error; those of which no change is known count as if they had."""
    rows = _index_rows(change, keys, index)
    difference = rows["difference"].to_numpy(float)
    return np.isnan(difference) | ((difference > 0) & rows["real"].eq(True).to_numpy())


def _index_rows(change: Change | None, keys: Keys, index: str) -> pd.DataFrame:
    if change is None:
        return pd.DataFrame({"difference": np.nan, "p": np.nan, "real": False}, index=range(len(keys)))
    return change.table[change.table["code"] == index].set_index(["level", "unit"]).reindex(keys)


def _grades_before(history: Alerts | None, period: str, keys: Keys) -> np.ndarray:
    """Return the number of each unit's grade in the latest earlier wave of the same cycle; 0 where there was none."""
    if history is None or history.table.empty:
        return np.zeros(len(keys), dtype=int)
    now = parse(period)
    earlier = [one for one in history.table["period"].unique() if parse(one).cycle == now.cycle]
    earlier = sorted((one for one in earlier if parse(one).index < now.index), key=lambda one: parse(one).index)
    if not earlier:
        return np.zeros(len(keys), dtype=int)
    rows = history.table[history.table["period"] == earlier[-1]].set_index(["level", "unit"])["warning"]
    return np.array([ORDER.index(grade) if grade in ORDER else 0 for grade in rows.reindex(keys, fill_value="")])


def _chosen(findings: Sequence[Finding], grades: np.ndarray, held: np.ndarray | None = None) -> pd.DataFrame:
    """Return warning, rule, code, probability and reason by the rules that give each unit its gravest grade."""
    rows = []
    for unit, grade in enumerate(grades):
        giving = [finding for finding in findings if grade and finding.holds[grade - 1, unit]]
        if not giving:
            rows.append(("", "", "", np.nan, ""))
            continue
        first, word = giving[0], ORDER[grade]
        said = [f"{one.rule}:{word}:{one.named[grade - 1, unit]}".rstrip(":") for one in giving]
        said += [HELD] if held is not None and held[unit] else []
        rows.append((word, first.rule, first.about[grade - 1, unit], first.chance[grade - 1, unit], ";".join(said)))
    table = pd.DataFrame(rows, columns=["warning", "rule", "code", "probability", "reason"])
    return table.astype({"warning": "str", "rule": "str", "code": "str", "reason": "str"})


def _response_change(change: Change | None, keys: Keys) -> np.ndarray:
    if change is None:
        return np.full(len(keys), np.nan)
    return change.response.table.set_index(["level", "unit"])["difference"].reindex(keys).to_numpy(float)


def _guarded(table: pd.DataFrame, scored: np.ndarray, fall: np.ndarray, now: Scores) -> pd.DataFrame:
    """Take the warning back where too few answered, or a release hides the unit: it is not judged at all."""
    spec, hidden = now.spec, set().union(*now.withheld.values())
    kept_back = np.array([key in hidden for key in zip(table["level"], table["unit"], strict=True)], dtype=bool)
    few = (table["n"] < spec.min_group) | (scored < spec.min_group) | kept_back
    silent = ~few & (table["response"] < spec.rules.response.minimum)
    falling = ~few & ~silent & beyond(fall, -spec.rules.response.fall, "below")
    guards = ((few, reasons.TOO_FEW_TO_JUDGE), (silent, reasons.LOW_RESPONSE), (falling, reasons.FALLEN_RESPONSE))
    for rows, reason in guards:
        table.loc[rows, ["warning", "rule", "code", "reason"]] = ["", "response", "", reason]
        table.loc[rows, "probability"] = np.nan
    return table


def _scores_of(anchors: pd.DataFrame, table: pd.DataFrame) -> np.ndarray:
    """Return the score of the code that each warning is about."""
    scores = anchors.drop_duplicates(["level", "unit", "code"]).set_index(["level", "unit", "code"])["score"]
    wanted = pd.MultiIndex.from_frame(table[["level", "unit", "code"]])
    return scores.reindex(wanted).to_numpy(float)


def _covered_by(table: pd.DataFrame, now: Scores) -> list[str]:
    """Return the nearest unit above that has the same or a graver warning; the list of a whole names it once."""
    units = now.spec.units.at(now.period)
    grades = {unit: ORDER.index(grade) for unit, grade in zip(table["unit"], table["warning"], strict=True)}
    covering = []
    for level, unit, grade in zip(table["level"], table["unit"], table["warning"], strict=True):
        above = [a for a in units.ancestors(unit) if a != ALL] if grade and level in units.levels else []
        covering.append(next((a for a in above if grades.get(a, 0) >= ORDER.index(grade)), ""))
    return covering


def reason_words(reason: str, spec: Specification) -> str:
    """Say a reason in the reader's language: of a warning with the cut point that was met; joined ones one after the other."""
    said = [_rule_words(part, spec) or printed_reason(part, spec.language) for part in reason.split(";") if part]
    return ("; " if spec.language == "en" else "；").join(said)


def _rule_words(part: str, spec: Specification) -> str:
    rule, _, rest = part.partition(":")
    grade, _, named = rest.partition(":")
    words, index = WORDS[spec.language].get(rule, ""), {"smallest": spec.rules.change.smallest}
    if rule in ("fall", "persistent", "overdue", HELD):
        return words.format(hysteresis=spec.rules.alerts.hysteresis, **index)
    names = {"index_low": "warning", "dimension_low": "warning_dimension", "low_share": "low_answers"}
    band = next((band for band in spec.bands[names[rule]].bands if band.code == grade), None) if rule in names else None
    if band is None:
        return ""
    labels = (", " if spec.language == "en" else "、").join(spec.code_label(code) for code in named.split("+") if code)
    return words.format(
        point=band.point, share=round(100 * band.point, 6), named=labels, of=spec.bands[names[rule]].of or 0
    )
