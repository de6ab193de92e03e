"""The closed list of named rules with their parameters."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any

from ..errors import Problems

#: What a parameter counts, said beside it; one that says nothing is a share.
SHARE: Mapping[str, Any] = {"low": 0, "high": 1, "advice": "比例写成小数 (write shares as decimals)"}
POINTS: Mapping[str, Any] = {"low": 0, "high": 100, "advice": "写成分数 (write points of the score)"}
COUNT: Mapping[str, Any] = {"low": 1, "high": 100, "whole": True, "advice": "写成整数 (write a whole number)"}
FLAG: Mapping[str, Any] = {"flag": True}
LIMIT: Mapping[str, Any] = {
    "low": 0,
    "high": 60,
    "whole": True,
    "advice": "写成日历日数,0 为没有规定 (whole calendar days; 0 = no limit)",
}
DAYS: Mapping[str, Any] = {"low": 1, "high": 60, "whole": True, "advice": "写成工作日数 (write whole working days)"}


@dataclass(frozen=True)
class ResponseRule:
    """When participation is too low to judge a unit: below ``minimum``, or down by ``fall`` since last time."""

    minimum: float
    fall: float


@dataclass(frozen=True)
class ChangeRule:
    """When a change counts: confidence of intervals, false discovery rate (BH 1995), smallest change in points."""

    confidence: float
    false_discovery: float
    smallest: float = field(metadata=POINTS)


@dataclass(frozen=True)
class AlertsRule:
    """A warning once given ends only when the unit is better than its cut point by ``hysteresis`` points."""

    hysteresis: float = field(metadata=POINTS)


@dataclass(frozen=True)
class SelfCheckRule:
    """Thresholds of the self-check page's levels orange, red and black, and response times of the help service.

    The rule travels into the page as data; no function of this package applies it to anybody's answers.

    Attributes
    ----------
    orange_index, red_index, black_index
        The index lies under this point.
    dimension
        A dimension is low when it lies under this point.
    orange_dimensions, red_dimensions, black_dimensions
        At least so many dimensions are low.
    fall
        The index fell by more than this since the last full form (orange).
    orange_days, red_days, black_days
        Working days within which the service a person turned to answers.
    """

    orange_index: float = field(metadata=POINTS)
    red_index: float = field(metadata=POINTS)
    black_index: float = field(metadata=POINTS)
    dimension: float = field(metadata=POINTS)
    orange_dimensions: int = field(metadata=COUNT)
    red_dimensions: int = field(metadata=COUNT)
    black_dimensions: int = field(metadata=COUNT)
    fall: float = field(metadata=POINTS)
    orange_days: int = field(metadata=DAYS)
    red_days: int = field(metadata=DAYS)
    black_days: int = field(metadata=DAYS)


@dataclass(frozen=True)
class MonthsRule:
    """How the error of an indicator is estimated from its months: from at least ``least`` of the latest ``span`` released ones.

    ``trend``: a unit's own straight line over the months is no error; ``season``: nor is its own course of the year, which
    needs two full years. What all units of a level have in common in a month never is.
    """

    least: int = field(metadata=COUNT)
    span: int = field(metadata=COUNT)
    trend: bool = field(metadata=FLAG)
    season: bool = field(metadata=FLAG)


@dataclass(frozen=True)
class LinkingRule:
    """How scores are linked across a change of the indicators (row W02).

    Shared months and shared indicators are looked for in up to ``window`` months on each side of the change. Shared indicators link where
    they have at least ``anchors`` of the weight of both versions. Spreads are equated with at least ``units`` units, with fewer means alone.
    """

    window: int = field(metadata=COUNT)
    anchors: float
    units: int = field(metadata=COUNT)


@dataclass(frozen=True)
class MonthsLastRule:
    """Units in the last ``share`` of their type for ``months`` months running get a visit that helps (S1, row W08).

    A ``share`` of 0 means the very last place.
    """

    share: float
    months: int = field(metadata=COUNT)


@dataclass(frozen=True)
class RankingRule:
    """A statement about a place (first, last) is made with this ``confidence`` only, else the set of candidates is given."""

    confidence: float


@dataclass(frozen=True)
class ReviewRule:
    """Calendar days within which a stage of the review is due; 0 where none is declared.

    ``reported`` counts from the end of the period, the others from the stage before.
    """

    reported: int = field(metadata=LIMIT)
    checked: int = field(metadata=LIMIT)
    compiled: int = field(metadata=LIMIT)
    released: int = field(metadata=LIMIT)


@dataclass(frozen=True)
class Rules:
    """All named rules; their parameters are changed in rules.toml. ``awards``: type of unit → places."""

    response: ResponseRule
    change: ChangeRule
    alerts: AlertsRule
    self_check: SelfCheckRule
    months: MonthsRule
    linking: LinkingRule
    months_last: MonthsLastRule
    ranking: RankingRule
    review: ReviewRule
    awards: Mapping[str, int]


def read_rules(path: Path | None, problems: Problems) -> Rules:
    """Read rules.toml; what it does not name keeps the package's default."""
    rules = default_rules()
    if path is None or not path.exists():
        return rules
    try:
        raw = tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        problems.add(path.name, "unreadable", error, "UTF-8 TOML", "改正所指的行 (correct the line named)")
        return rules
    rule_names = {field.name for field in fields(Rules)}
    for name, parameters in raw.items():
        if name not in rule_names:
            problems.add(
                path.name, "unknown_rule", name, ", ".join(sorted(rule_names)), "改名或删去 (rename or remove it)"
            )
            continue
        if name == "awards":
            rules = replace(rules, awards=_places(path.name, parameters, problems))
            continue
        rules = replace(rules, **{name: _changed(path.name, name, getattr(rules, name), parameters, problems)})
    if not _graver_is_stricter(path.name, rules.self_check, problems):
        rules = replace(rules, self_check=default_rules().self_check)
    return rules


@cache
def default_rules() -> Rules:
    """Return the rules the package ships (spec/defaults/rules.toml)."""
    raw = tomllib.loads(resources.files(__package__).joinpath("defaults/rules.toml").read_text(encoding="utf-8"))
    return Rules(
        response=ResponseRule(**raw["response"]),
        change=ChangeRule(**raw["change"]),
        alerts=AlertsRule(**raw["alerts"]),
        self_check=SelfCheckRule(**raw["self_check"]),
        months=MonthsRule(**raw["months"]),
        linking=LinkingRule(**raw["linking"]),
        months_last=MonthsLastRule(**raw["months_last"]),
        ranking=RankingRule(**raw["ranking"]),
        review=ReviewRule(**raw["review"]),
        awards=raw["awards"],
    )


def _places(place: str, given: Any, problems: Problems) -> Mapping[str, int]:
    """Read the places of each type of unit; they replace the package's own."""
    if not isinstance(given, dict):
        problems.add(f"{place} [awards]", "wrong_type", given, "表 (table)", "改正类型 (correct its type)")
        return {}
    for kind, places in given.items():
        if isinstance(places, bool) or not isinstance(places, int) or places < 1:
            problems.add(f"{place} [awards] {kind}", "range", places, ">= 1", "写成名额数 (write the number of places)")
    return {kind: places for kind, places in given.items() if isinstance(places, int) and places >= 1}


def _changed(place: str, name: str, rule: Any, parameters: Any, problems: Problems) -> Any:
    limits = {field.name: field.metadata or SHARE for field in fields(rule)}
    if not isinstance(parameters, dict):
        problems.add(f"{place} [{name}]", "wrong_type", parameters, "表 (table)", "改正类型 (correct its type)")
        return rule
    for key, value in parameters.items():
        if key not in limits:
            problems.add(f"{place} [{name}]", "unknown_setting", key, ", ".join(sorted(limits)), "改名 (rename it)")
            continue
        where, span, whole = f"{place} [{name}] {key}", limits[key], bool(limits[key].get("whole"))
        if span.get("flag"):
            if isinstance(value, bool):
                rule = replace(rule, **{key: value})
            else:
                problems.add(where, "wrong_type", value, "true, false", "写 true 或 false (write true or false)")
        elif isinstance(value, bool) or not isinstance(value, (int, float)):
            problems.add(where, "wrong_type", value, "数 (number)", "改为数字 (write a number)")
        elif not span["low"] <= value <= span["high"] or (whole and value != int(value)):
            problems.add(where, "range", value, f"{span['low']}–{span['high']}", span["advice"])
        else:
            rule = replace(rule, **{key: int(value) if whole else float(value)})
    return rule


def _graver_is_stricter(place: str, rule: SelfCheckRule, problems: Problems) -> bool:
    """Note cut points that would give a milder level to a worse result; return whether there are none."""
    grades, sound = ("orange", "red", "black"), True
    for what, falling in (("index", True), ("dimensions", False), ("days", True)):
        points = [getattr(rule, f"{grade}_{what}") for grade in grades]
        if points != sorted(points, reverse=falling):
            cut_points = ", ".join(f"{grade}_{what} = {point:g}" for grade, point in zip(grades, points, strict=True))
            problems.add(
                f"{place} [self_check]", "band_order", cut_points, "由轻到重 (mild to grave)", "改正 (correct them)"
            )
            sound = False
    return sound
