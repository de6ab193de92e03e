"""The closed list of named rules with their parameters."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass, fields, replace
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any

from ..errors import Problems

POINTS = ("smallest",)  # parameters in points of the score; all others are shares


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
    smallest: float


@dataclass(frozen=True)
class Rules:
    """Every named rule; changing a parameter is editing rules.toml."""

    response: ResponseRule
    change: ChangeRule


def read_rules(path: Path | None, problems: Problems) -> Rules:
    """Read rules.toml; what it does not name keeps the package's default."""
    rules = default_rules()
    if path is None or not path.exists():
        return rules
    try:
        raw = tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        problems.add(path.name, "unreadable", error, "UTF-8 TOML", "改正所指的行 (mend the line named)")
        return rules
    known = {field.name for field in fields(Rules)}
    for name, parameters in raw.items():
        if name not in known:
            problems.add(path.name, "unknown_rule", name, ", ".join(sorted(known)), "改名或删去 (rename or remove it)")
            continue
        rules = replace(rules, **{name: _changed(path.name, name, getattr(rules, name), parameters, problems)})
    return rules


@cache
def default_rules() -> Rules:
    """Return the rules the package ships (spec/defaults/rules.toml)."""
    raw = tomllib.loads(resources.files(__package__).joinpath("defaults/rules.toml").read_text(encoding="utf-8"))
    return Rules(response=ResponseRule(**raw["response"]), change=ChangeRule(**raw["change"]))


def _changed(place: str, name: str, rule: Any, parameters: Any, problems: Problems) -> Any:
    known = {field.name for field in fields(rule)}
    if not isinstance(parameters, dict):
        problems.add(f"{place} [{name}]", "wrong_type", parameters, "表 (table)", "改正类型 (mend its type)")
        return rule
    for key, value in parameters.items():
        if key not in known:
            problems.add(f"{place} [{name}]", "unknown_setting", key, ", ".join(sorted(known)), "改名 (rename it)")
        elif isinstance(value, bool) or not isinstance(value, (int, float)):
            problems.add(f"{place} [{name}] {key}", "wrong_type", value, "数 (number)", "改为数字 (write a number)")
        elif not 0 <= value <= (100 if key in POINTS else 1):
            allowed = "0–100" if key in POINTS else "0–1"
            problems.add(f"{place} [{name}] {key}", "range", value, allowed, "比例写成小数 (write shares as decimals)")
        else:
            rule = replace(rule, **{key: float(value)})
    return rule
