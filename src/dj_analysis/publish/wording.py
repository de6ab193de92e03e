"""The words that are printed, in Chinese and English, and sentences filled from protected numbers."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from functools import cache, cached_property
from importlib import resources
from typing import Any

import numpy as np
import pandas as pd

from ..errors import UsageError, unknown
from ..judge.alerts import reason_words
from ..judge.contributions import REST
from ..release.protect import Protected
from ..result import rows_of
from ..spec.columns import ALMOST_NEVER, SMALLEST_P, base_of, bounded, in_form, kind_of, written
from ..spec.interventions import WORDED
from ..spec.reasons import printed_reason
from .sentences import day_words, most_common, moved, question_words, warning_turns


def say(language: str, key: str, **values: Any) -> str:
    """Return a phrase in the reader's language, with its gaps filled."""
    phrases = _words()[language]["phrases"]
    if key not in phrases:
        raise unknown("短语/phrase", key, phrases)
    return phrases[key].format(**values)


def annex_words(number: int, language: str) -> str:
    """Name an annex: 附件1; 附件 without a number where it is the only one (GB/T 9704-2012, 7.3.4)."""
    return say(language, "annex_named", number=number) if number else say(language, "annex_only")


def words(language: str = "zh") -> Mapping[str, str]:
    """Return the sentences of the package's reports by name, with their gaps, for :func:`dj_analysis.text`.

    Examples
    --------
    >>> dj.words("en")["h_data"], dj.words()["h_data"]
    ('Data', '数据来源')
    """
    return _words()[language]["sentences"]


def without_our_sentences(sentence: str) -> str:
    """Return what of a sentence is an author's own words."""
    for language in ("zh", "en"):
        for ours in words(language).values():
            sentence = sentence.replace(ours, "") if len(ours) > 6 else sentence
    return sentence


def fill(sentence: str, safe: Protected | Mapping[str, Protected | None] | None, names: Mapping[str, Any]) -> str:
    """Fill a sentence from protected results.

    Parameters
    ----------
    sentence
        Text with ``{{ … }}`` gaps (Jinja, sandboxed). Each protected result is a name in it (``safe`` when there is but
        one; None where there is nothing to compare with), with ``.row(unit, code)`` and ``.rows(**values)``; the filters
        num, pct, count, signed, moved, moved_share, p_value, verdict and reason print values.
    names
        Further plain words (text, periods) for the gaps; ``rules`` and ``min_group``, which the results were made under, are there.
    """
    from jinja2 import TemplateError

    named = safe if isinstance(safe, Mapping) else {} if safe is None else {"safe": safe}
    given = {name: value for name, value in named.items() if value is not None}
    for name, value in given.items():
        if not isinstance(value, Protected):
            raise UsageError(f"{name}: 只接受 dj.protect 的结果 (pass it through dj.protect first)")
    language = next((value.spec.language for value in given.values()), names.get("lang", "zh"))
    first = next(iter(given.values()), None)
    declared = {} if first is None else {"rules": first.spec.rules, "min_group": first.plan.min_group}
    views: dict[str, View | None] = {name: View(given[name]) if name in given else None for name in named}
    if twice := sorted(({*names, *declared} & set(views)) | (set(names) & set(declared))):
        raise UsageError(f"{'、'.join(twice)}: 名字用了两次 (a name is used twice)")
    try:
        filled = _environment(language).from_string(sentence).render(**declared, **names, **views)
    except TemplateError as error:
        raise UsageError(f"句子无法填写 (the sentence cannot be filled): {error}") from error
    return "".join(line.strip() for line in filled.splitlines()) if language == "zh" else " ".join(filled.split())


class View:
    """What a sentence may see of a protected result."""

    def __init__(self, safe: Protected):
        self._whole = safe

    @cached_property
    def _safe(self) -> Protected:
        """What may be printed of it: verified and rounded once a sentence, and only where the sentence looks at it."""
        return self._whole.printed()

    def row(self, unit: str = "ALL", code: str | None = None, **values: Any) -> dict[str, Any]:
        """Return the one row of a unit (and code) as a dictionary, empty when there is none."""
        wanted: dict[str, Any] = {"unit": unit} | ({"code": code} if code else {}) | values
        rows = self.rows(**wanted)
        return rows[0] if rows else {}

    def rows(
        self, *, sort: str | None = None, most: int | None = None, down: bool = False, **values: Any
    ) -> list[dict[str, Any]]:
        """Return rows with these key values, visible ones first when sorted, each with printed names."""
        self._safe.result.check_values(values, strict=False)
        table = self._safe.result.rows(values)
        if "form" in table and "form" not in values and (table["form"] == "anchors").any():
            table = table[table["form"] == "anchors"]
        if sort is not None:
            table = table[table[sort].notna()].sort_values(sort, ascending=not down, kind="stable")
        spec = self._safe.spec
        rows = rows_of(table.head(most if most is not None else len(table)))
        tree = spec.codebook.tree
        beside = list(table.columns)
        named = {name: kind_of(name, beside).name for name in beside}
        shares, chances = ([name for name in beside if named[name] == kind] for kind in ("share", "likelihood"))
        base = base_of(table.columns)
        for row in rows:
            row |= {name: None for name, value in row.items() if value is pd.NA}
            for name in shares:  # of few people a share near 0 or 1 is a bound
                low, high, few = bounded(name, np.array([row.get(base, np.nan)], dtype=float), list(table.columns))
                if few[0] and row[name] is not None and not low < row[name] < high:
                    row[name] = written(row[name], name, n=row[base], beside=list(table.columns))
            for name in chances:  # an estimated chance near 0 or 1 is told as less or more than the last place
                if pd.notna(row[name]) and not ALMOST_NEVER <= row[name] <= 1 - ALMOST_NEVER:
                    row[name] = written(row[name], name, beside=list(table.columns))
            for name in (name for name in ("scale", "code") if name in row):
                row["label"] = spec.code_label(row[name])
                row["question"] = question_words(tree[row[name]], spec.language) if row[name] in tree else row["label"]
            for name in (name for name in ("driver", "item") if name in row):
                row[f"{name}_label"] = spec.code_label(str(row[name]))
            if "measure" in row:
                row |= {name: spec.intervention_word(name, str(row[name])) for name in WORDED if name in row}
            if "obligation" in row:
                row |= {"owner_role": spec.intervention_word("owner_role", str(row.get("owner_role", "")))}
                row |= {"label": spec.intervention_word("measure", str(row.get("label", "")))}
            if "status" in row and "kind" in row:
                row["status_label"] = spec.state_label(str(row["kind"]), str(row["status"]))
            if "type" in row:
                row["type_name"] = spec.type_label(str(row["type"]))
            if "unit" in row:
                row["name"] = spec.unit_label(row["unit"], row.get("level", ""))
            if "lacking" in row:
                row["lacking_labels"] = [spec.code_label(one) for one in str(row["lacking"]).split("、") if one]
            if "child" in row:
                row["child_name"] = (
                    spec.unit_label(row["child"]) if row["child"] != REST else say(spec.language, "rest")
                )
            if "other" in row:
                row["other_name"] = spec.unit_label(row["other"], row.get("level", ""))
            if "reason" in row:
                row["reason"] = reason_words(str(row["reason"]), spec)
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


def _p_value(p: float) -> str:
    """Write a p-value with its sign; one that rounds to nothing is less than the last place."""
    return f"p<{SMALLEST_P:g}" if p < SMALLEST_P / 2 else f"p={in_form(p, 'decimal')}"


@cache
def _environment(language: str) -> Any:
    from jinja2 import StrictUndefined
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    environment = ImmutableSandboxedEnvironment(
        undefined=StrictUndefined, autoescape=False, trim_blocks=language == "zh", lstrip_blocks=True
    )
    forms = {
        "num": "number",
        "pct": "percent",
        "count": "count",
        "signed": "signed",
        "dec": "decimal",
        "points": "points",
    }
    for name, form in forms.items():
        environment.filters[name] = lambda value, form=form: (
            str(value) if isinstance(value, str) else in_form(value, form)
        )
    environment.filters["p_value"] = _p_value
    environment.filters["moved"] = lambda value, against="": moved(value, language, against)
    environment.filters["moved_share"] = lambda value, against="": moved(value, language, against, share=True)
    environment.filters["warning_turns"] = warning_turns
    environment.filters["most_common"] = most_common
    environment.filters["annex"] = lambda number: annex_words(number, language)
    environment.filters["day"] = lambda day, year=False: day_words(str(day), language, year=year)
    environment.filters["verdict"] = lambda real: say(language, "beyond_error" if real else "within_error")
    environment.filters["reason"] = lambda reason: printed_reason(str(reason), language)
    environment.tests["known"] = lambda value: not pd.isna(value) and value != ""
    return environment
