"""Which units need attention: orange, red, black, by Bands on the interval of their numbers."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from ..errors import UsageError
from ..measure.inference import uncertainty
from ..measure.scores import Scores
from ..result import Result
from ..spec import reasons
from ..spec.bands import SLACK, beyond
from ..spec.reasons import printed_reason
from ..spec.specification import Specification
from .change import Change

ORDER = ("", "orange", "red", "black")
WORDS = {
    "zh": {
        "index_low": "指数低于{point:g}分的把握达{confidence:g}%",
        "dimension_low": "{at_least}个以上维度低于{point:g}分",
        "low_share": "指数低于{of:g}分的人占比下限超过{share:g}%",
        "fall": "指数环比下降{smallest:g}分以上,超出误差范围",
    },
    "en": {
        "index_low": "index below {point:g} with {confidence:g}% confidence",
        "dimension_low": "{at_least} or more dimensions below {point:g}",
        "low_share": "more than {share:g}% of respondents credibly have an index below {of:g}",
        "fall": "index fell by {smallest:g} points or more, beyond error",
    },
}
_MEAN = ("score", "se", "df", "skewness")  # what the chance of lying below a point rests on
NOT_JUDGED = (reasons.TOO_FEW_TO_JUDGE, reasons.LOW_RESPONSE, reasons.FALLEN_RESPONSE)


@dataclass(frozen=True)
class Alerts(Result):
    """Collective warnings, one row a unit.

    ``.table``: period, level, unit, warning (orange, red, black or empty), rule (which rule gave it), confidence, n,
    response (rate, NaN without headcounts), reason (``rule:grade`` of every rule that gave a warning, joined by ``;``,
    or why none is judged; :func:`reason_words` says it in words). ``confidence`` is that with which an interval of the
    number ends at the cut point (of ``low_share`` at least .975); it is no probability that the statement is true.
    """

    def count(self, level: str | None = None) -> dict[str, int]:
        """Number of units by warning, and of those not judged, at one level or at all."""
        table = self.table if level is None else self.table[self.table["level"] == level]
        counts = {grade: int((table["warning"] == grade).sum()) for grade in ORDER[1:]}
        return counts | {reason: int((table["reason"] == reason).sum()) for reason in NOT_JUDGED}


def alerts(
    now: Scores,
    change: Change | None = None,
    history: Alerts | None = None,
    work: Result | None = None,
    *,
    spec: Specification | None = None,
) -> Alerts:
    """Judge every unit of a wave by the declared bands.

    Rules (domain E1, on anchors): the index is credibly below a cut point (``index_low``); dimensions are
    (``dimension_low``); the exact lower bound of the share of respondents with a low index is above a cut
    (``low_share``); the index fell by the smallest change worth acting on, beyond error after correction for the number
    of units (``fall``, orange). The gravest holds. Standing last in a ranking is no rule.

    Parameters
    ----------
    now
        Scores of the wave.
    change
        What :func:`compare` said of the wave before; without it falls are not judged.
    history, work
        Earlier warnings and measures in progress: they serve the rules of persistence, a later capability.
    spec
        Another specification than the one the scores carry.

    Returns
    -------
    Alerts
        Units below min_group are 数据不足; a participation below the declared minimum, or fallen by more than the
        declared amount, gives a hint of that instead of a warning, so that silence is no shelter. Without headcounts that guard is off.

    Examples
    --------
    >>> dj.alerts(scores).where(level="branch").table[["unit", "warning"]].values.tolist()
    [['B1', 'red'], ['B2', 'black'], ['B3', '']]
    """
    if now.about != "persons":
        raise UsageError("预警只用于问卷 (warnings are for surveys)")
    if history is not None or work is not None:
        raise UsageError("history, work: 持续性规则尚未提供 (rules of persistence are not available yet)")
    spec = spec or now.spec
    anchors = now.table[now.table["form"] == "anchors"]
    index = spec.codebook.index
    if index is None:
        raise UsageError("问卷没有指数(role = index),不能预警 (no index in the codebook)")
    units = anchors[anchors["code"] == index].drop_duplicates(["level", "unit"]).reset_index(drop=True)
    response = now.response.table.set_index(["level", "unit"])
    keys = list(zip(units["level"], units["unit"], strict=True))
    findings = [
        _index_low(units, spec),
        _dimension_low(anchors, keys, spec),
        _low_share(now, keys, spec),
        _fall(change, keys, spec),
    ]
    table = pd.DataFrame({"period": now.period, "level": units["level"], "unit": units["unit"]})
    table = pd.concat([table, _gravest(findings, len(keys))], axis=1)
    unsure = (table["warning"] == "") & units["se"].isna()
    table.loc[unsure, "reason"] = units.loc[unsure, "reason"]
    table["n"] = [int(response.at[key, "n"]) for key in keys]
    table["response"] = [float(response.at[key, "rate"]) for key in keys]
    table = _guarded(table, units["n"].to_numpy(), _response_change(change, keys), spec)
    keys_ = ("period", "level", "unit")
    return Alerts(
        table=table, keys=keys_, statistics=("warning", "rule", "confidence", "n", "response"), period=now.period,
        periods=tuple(dict.fromkeys([*(change.periods if change else ()), now.period])), spec=spec,
        withheld={**(change.withheld if change else {}), **now.withheld},
        basis=(*(change.basis if change else ()), *now.basis),
    )  # fmt: skip


def _index_low(units: pd.DataFrame, spec: Specification) -> pd.DataFrame:
    bands = spec.bands["warning"]
    mean, se, df, skewness = (units[name].to_numpy(float) for name in _MEAN)
    codes, chance = bands.grade_surely(lambda point, side: uncertainty.probability(mean, se, df, point, side, skewness))
    return _finding("index_low", codes, chance)


def _dimension_low(anchors: pd.DataFrame, keys: list[tuple[str, str]], spec: Specification) -> pd.DataFrame:
    """Grade by how many dimensions are credibly below their cut point; the confidence is the least of those counted."""
    bands, dimensions = spec.bands["warning_dimension"], [node.code for node in spec.codebook.dimensions]
    part = anchors[anchors["code"].isin(dimensions)]
    wide = {name: part.pivot(index=["level", "unit"], columns="code", values=name).reindex(keys) for name in _MEAN}
    codes, chances = np.full(len(keys), "", dtype=object), np.full(len(keys), np.nan)
    for band in bands.bands:
        mean, se, df, skewness = (wide[name].to_numpy(float) for name in _MEAN)
        chance = np.nan_to_num(uncertainty.probability(mean, se, df, band.point, band.side, skewness))
        ranked = -np.sort(-chance, axis=1)
        enough = np.zeros(len(keys), dtype=bool)
        if ranked.shape[1] >= band.at_least:
            enough = ranked[:, band.at_least - 1] >= band.sure - SLACK
            chances[enough] = ranked[enough, band.at_least - 1]
        codes[enough] = band.code
    return _finding("dimension_low", codes, chances)


def _low_share(now: Scores, keys: list[tuple[str, str]], spec: Specification) -> pd.DataFrame:
    bands = spec.bands["low_answers"]
    shares = now.shares.table
    shares = shares[(shares["statistic"] == "below") & (shares["form"] == "anchors")].set_index(["level", "unit"])
    low = shares["low"].reindex(keys).to_numpy(float)
    codes = bands.grade(low)
    sure = np.where(codes != "", 0.975, np.nan)  # at least: the lower end of a two-sided exact 95 % interval
    return _finding("low_share", codes, sure)


def _fall(change: Change | None, keys: list[tuple[str, str]], spec: Specification) -> pd.DataFrame:
    if change is None:
        return _finding("fall", np.full(len(keys), "", dtype=object), np.full(len(keys), np.nan))
    rows = change.table[change.table["code"] == spec.codebook.index].set_index(["level", "unit"]).reindex(keys)
    smallest = spec.rules.change.smallest
    fell = ~beyond(rows["difference"].to_numpy(float), -smallest, "above") & rows["real"].eq(True).to_numpy()
    codes = np.where(fell, "orange", "").astype(object)
    return _finding("fall", codes, np.where(fell, 1 - rows["p"].to_numpy(float) / 2, np.nan))


def _finding(rule: str, codes: np.ndarray, confidence: np.ndarray) -> pd.DataFrame:
    reason = [f"{rule}:{code}" if code else "" for code in codes]
    return pd.DataFrame({"warning": codes, "rule": rule, "confidence": confidence, "reason": reason})


def _gravest(findings: list[pd.DataFrame], rows: int) -> pd.DataFrame:
    """Keep the gravest warning of each unit; the reasons of all rules that gave one are printed together."""
    best = pd.DataFrame({"warning": "", "rule": "", "confidence": np.nan, "reason": ""}, index=range(rows)).astype(
        {"warning": "str", "rule": "str", "reason": "str"}
    )
    for row in range(rows):
        warnings_of_unit = [part.loc[row] for part in findings if part.at[row, "warning"]]
        if warnings_of_unit:
            grave = max(warnings_of_unit, key=lambda finding: ORDER.index(finding["warning"]))
            best.loc[row, ["warning", "rule", "confidence"]] = [grave["warning"], grave["rule"], grave["confidence"]]
            best.loc[row, "reason"] = ";".join(finding["reason"] for finding in warnings_of_unit)
    return best


def _response_change(change: Change | None, keys: list[tuple[str, str]]) -> np.ndarray:
    if change is None:
        return np.full(len(keys), np.nan)
    return change.response.table.set_index(["level", "unit"])["difference"].reindex(keys).to_numpy(float)


def _guarded(table: pd.DataFrame, scored: np.ndarray, fall: np.ndarray, spec: Specification) -> pd.DataFrame:
    few = (table["n"] < spec.min_group) | (scored < spec.min_group)
    silent = ~few & (table["response"] < spec.rules.response.minimum)
    falling = ~few & ~silent & beyond(fall, -spec.rules.response.fall, "below")
    guards = ((few, reasons.TOO_FEW_TO_JUDGE), (silent, reasons.LOW_RESPONSE), (falling, reasons.FALLEN_RESPONSE))
    for rows, reason in guards:
        table.loc[rows, ["warning", "rule", "reason"]] = ["", "response", reason]
        table.loc[rows, "confidence"] = np.nan
    return table


def reason_words(reason: str, spec: Specification) -> str:
    """Say a reason in the reader's language: of a warning with the cut point that was met; joined ones one after the other."""
    said = [_rule_words(part, spec) or printed_reason(part, spec.language) for part in reason.split(";") if part]
    return ("; " if spec.language == "en" else "；").join(said)


def _rule_words(part: str, spec: Specification) -> str:
    rule, _, grade = part.partition(":")
    words = WORDS[spec.language].get(rule, "")
    if rule == "fall" and words:
        return words.format(smallest=spec.rules.change.smallest)
    names = {"index_low": "warning", "dimension_low": "warning_dimension", "low_share": "low_answers"}
    band = next((band for band in spec.bands[names[rule]].bands if band.code == grade), None) if rule in names else None
    if band is None:
        return ""
    return words.format(
        point=band.point, share=round(100 * band.point, 6), confidence=round(100 * band.sure, 6), at_least=band.at_least,
        of=spec.bands[names[rule]].of or 0,
    )  # fmt: skip
