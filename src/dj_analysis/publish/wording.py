"""The words that are printed, in Chinese and English, and sentences filled from protected numbers."""

from __future__ import annotations

import tomllib
from collections.abc import Collection, Mapping
from functools import cache
from importlib import resources
from typing import Any

import pandas as pd

from ..errors import UsageError, unknown
from ..spec import reasons
from .disclosure import Protected

NUMBER, PERCENT, COUNT, SIGNED, DECIMAL, TEXT = "number", "percent", "count", "signed", "decimal", "text"

#: How a column is printed, wherever it is printed.
KINDS = {
    "score": NUMBER, "low": NUMBER, "high": NUMBER, "now": NUMBER, "before": NUMBER, "sd": NUMBER, "se": NUMBER,
    "difference": SIGNED, "mix": SIGNED, "within": SIGNED, "favourable": PERCENT, "share": PERCENT, "rate": PERCENT,
    "rate_before": PERCENT, "response": PERCENT, "probability": PERCENT, "n": COUNT, "n_before": COUNT,
    "headcount": COUNT, "count": COUNT, "n_other": COUNT, "of": COUNT, "groups": COUNT, "items": COUNT, "df": COUNT,
    "mean": NUMBER, "bound": NUMBER, "influence": NUMBER, "upper_lower": NUMBER, "chi2": NUMBER, "estimate": DECIMAL, "cfi": DECIMAL,
    "rmsea": DECIMAL, "srmr": DECIMAL, "delta_cfi": DECIMAL, "p": DECIMAL, "q": DECIMAL, "item_total": DECIMAL,
    "alpha_without": DECIMAL, "weight": DECIMAL, "effective": DECIMAL, "correlation_ratio": DECIMAL, "loading": DECIMAL,
}  # fmt: skip


def kind_of(name: str, beside: Collection[str] = ()) -> str:
    """Return how a column is printed; ends of a range are printed as what they are the range of."""
    if name in ("low", "high"):
        return DECIMAL if "estimate" in beside else PERCENT if "share" in beside else NUMBER
    return KINDS.get(name, TEXT)


def say(language: str, key: str, **values: Any) -> str:
    """Return a phrase in the reader's language, with its gaps filled."""
    phrases = _words()[language]["phrases"]
    if key not in phrases:
        raise unknown("短语/phrase", key, phrases)
    return phrases[key].format(**values)


def named(language: str, column: str, value: str) -> str:
    """Return the printed name of a value of a column (``warning_red``); the value itself where it has none."""
    return _words()[language]["phrases"].get(f"{column}_{value}", value)


def words(language: str = "zh") -> Mapping[str, str]:
    """Return the sentences of the package's reports by name, with their gaps, for :func:`dj_analysis.text`."""
    return _words()[language]["sentences"]


def printed(value: Any, kind: str) -> str:
    """Write one value as readers see it; a dash where there is none."""
    if pd.isna(value):
        return "—"
    if kind == COUNT:
        return f"{round(float(value))}"
    if kind == PERCENT:
        return f"{100 * float(value):.1f}%"
    if kind == DECIMAL:
        return f"{float(value) + 0.0:.3f}".replace("-0.000", "0.000")
    if kind in (NUMBER, SIGNED):
        rounded = round(float(value), 1) + 0.0
        return f"{rounded:+.1f}" if kind == SIGNED else f"{rounded:.1f}"
    return str(value)


def fill(sentence: str, safe: Protected | Mapping[str, Protected | None] | None, names: Mapping[str, Any]) -> str:
    """Fill a sentence from protected results.

    Parameters
    ----------
    sentence
        Text with ``{{ … }}`` gaps (Jinja, sandboxed). Each protected result is a name in it (``safe`` when there is but
        one; None where there is nothing to compare with), with ``.row(unit, code)`` and ``.rows(**values)``; the filters
        num, pct, count, signed, points, verdict and reason print values.
    names
        Further plain values (text, periods) for the gaps.
    """
    from jinja2 import TemplateError

    named = safe if isinstance(safe, Mapping) else {} if safe is None else {"safe": safe}
    given = {name: value for name, value in named.items() if value is not None}
    for name, value in given.items():
        if not isinstance(value, Protected):
            raise UsageError(f"{name}: 只接受 dj.protect 的结果 (pass it through dj.protect first)")
    language = next((value.spec.language for value in given.values()), names.get("lang", "zh"))
    views: dict[str, View | None] = {name: View(given[name].printed()) if name in given else None for name in named}
    try:
        filled = _environment(language).from_string(sentence).render(**names, **views)
    except TemplateError as error:
        raise UsageError(f"句子无法填写 (the sentence cannot be filled): {error}") from error
    return "".join(line.strip() for line in filled.splitlines()) if language == "zh" else " ".join(filled.split())


class View:
    """What a sentence may see of a protected result."""

    def __init__(self, safe: Protected):
        self._safe = safe

    def row(self, unit: str = "ALL", code: str | None = None, **values: Any) -> dict[str, Any]:
        """Return the one row of a unit (and code) as a dictionary, empty when there is none."""
        wanted: dict[str, Any] = {"unit": unit} | ({"code": code} if code else {}) | values
        found = self.rows(**wanted)
        return found[0] if found else {}

    def rows(
        self, *, sort: str | None = None, most: int | None = None, down: bool = False, **values: Any
    ) -> list[dict[str, Any]]:
        """Return rows with these key values, visible ones first when sorted, each with printed names."""
        table = self._safe.where(**values).table
        if "form" in table and "form" not in values and "anchors" in set(table["form"]):
            table = table[table["form"] == "anchors"]
        if sort is not None:
            table = table[table[sort].notna()].sort_values(sort, ascending=not down, kind="stable")
        spec = self._safe.spec
        rows = table.head(most if most is not None else len(table)).to_dict("records")
        for row in rows:
            row |= {name: None for name, value in row.items() if value is pd.NA}
            for name in (name for name in ("scale", "code") if name in row):
                row["label"] = spec.code_label(row[name])
            if "unit" in row:
                row["name"] = spec.unit_label(row["unit"], row.get("level", ""))
        return rows

    def count(self, **values: Any) -> int:
        """Return how many rows have these values."""
        return len(self._safe.where(**values).table)

    @property
    def hidden(self) -> int:
        """How many units are hidden by rule."""
        return self._safe.hidden


@cache
def _words() -> dict[str, Any]:
    return tomllib.loads(resources.files(__package__).joinpath("words.toml").read_text(encoding="utf-8"))


@cache
def _environment(language: str) -> Any:
    from jinja2 import StrictUndefined
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    environment = ImmutableSandboxedEnvironment(
        undefined=StrictUndefined, autoescape=False, trim_blocks=language == "zh", lstrip_blocks=True
    )
    kinds = {"num": NUMBER, "pct": PERCENT, "count": COUNT, "signed": SIGNED, "dec": DECIMAL}
    for name, kind in kinds.items():
        environment.filters[name] = lambda value, kind=kind: printed(value, kind)
    environment.filters["points"] = lambda value: printed(None if value is None else 100 * value, SIGNED)
    environment.filters["verdict"] = lambda real: say(language, "beyond_error" if real else "within_error")
    environment.filters["reason"] = lambda reason: reasons.printed(reason, language)
    environment.tests["known"] = lambda value: not pd.isna(value) and value != ""
    return environment
