"""Settings of a workspace: workspace.toml."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, timedelta
from pathlib import Path
from typing import Any, Literal

from ..errors import Problems
from .assessment import FILE as ASSESSMENT
from .consent import Consent, Door, read_consent
from .expected import Expected, read_expected
from .official import ENTRIES, Official, read_official
from .periods import ALLOWED, is_period, parse
from .purpose import ALLOWED as UNMIXED
from .purpose import BY_TABLE, PURPOSES, RESTRICTED, label, restricted_tables
from .schemas import SCHEMAS

Language = Literal["zh", "en"]
FLOOR = 5  # no setting may allow results about fewer people (R4)
DEFAULT_MIN_GROUP = 10
RETENTION = 12  # months for which answers may be kept; a workspace may say fewer (R12)
MOST_TOGETHER = 3  # group columns in one cross-classification, and quasi-identifiers in one stored file (R16)

_TOP = {
    "name": str,
    "name_en": str,
    "office": str,
    "office_en": str,
    "recipient": str,
    "recipient_en": str,
    "language": str,
    "min_group": int,
    "purpose": str,
    "waves": dict,
    "roots": dict,
    "units": dict,
    "codebook": dict,
    "publish": dict,
    "expect": dict,
    "consent": dict,
    "retention": dict,
    "fonts": str,
    "document": dict,
    "tables": dict,
}
_SECTIONS: dict[str, dict[str, type | tuple[type, ...]]] = {
    "units": {"exclude_types": list, "types_en": dict},
    "codebook": {"recall": str, "not_applicable": bool},
    "publish": {"cross": list},
    "consent": {"basis": str, "date": (str, date), "text": str},
    "retention": {"months": int},
    "document": dict(ENTRIES),
}
_SOURCE: dict[str, type | tuple[type, ...]] = {
    "path": str,
    "sql": dict,
    "sheet": str,
    "purpose": str,
    "shape": str,
    "columns": dict,
    "constant": dict,
    "join": dict,
    "recode": dict,
    "missing": dict,
    "undeclared": list,
    "raters": str,
}


@dataclass(frozen=True)
class Source:
    """Location, column mapping and purpose of a foreign table (``[tables.X]``).

    Attributes
    ----------
    undeclared
        Columns (unit, code) in which a value that no table declares leaves its row out, with a notice, instead of being an
        error: a published file holds more organisations and measures than an office looks at.
    """

    path: str = ""
    sql: Mapping[str, str] = field(default_factory=dict)
    sheet: str = ""
    purpose: str = ""
    shape: Literal["long", "wide", ""] = ""
    columns: Mapping[str, str] = field(default_factory=dict)
    constant: Mapping[str, str] = field(default_factory=dict)
    join: Mapping[str, list[str]] = field(default_factory=dict)
    recode: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    missing: Mapping[str, str] = field(default_factory=dict)
    undeclared: tuple[str, ...] = ()
    raters: Literal["officials", "people", ""] = ""


@dataclass(frozen=True)
class Settings:
    """Settings of one workspace.

    Attributes
    ----------
    folder
        The workspace's folder; everything is read below it, or below a declared root.
    min_group
        Smallest number of people about whom a result may leave; at least 5.
    waves
        Form of each period (``full`` or ``pulse``).
    fieldwork
        First and last day on which the answers of a wave were taken, where ``[waves]`` says them.
    roots
        Further folders that may be read.
    consent
        What stands for consent in waves without such a column.
    retention
        Months after which answers of a closed wave are to be deleted.
    expected
        How many things the tables must hold.
    types_en
        Names of types of units for English readers.
    official
        What stands around the text of a report (``[document]``).
    """

    folder: Path
    name: str = ""
    name_en: str = ""
    office: str = ""
    office_en: str = ""
    recipient: str = ""
    recipient_en: str = ""
    language: Language = "zh"
    min_group: int = DEFAULT_MIN_GROUP
    purpose: str = ""
    waves: Mapping[str, str] = field(default_factory=dict)
    fieldwork: Mapping[str, tuple[date, date]] = field(default_factory=dict)
    roots: Mapping[str, str] = field(default_factory=dict)
    exclude_types: tuple[str, ...] = ()
    types_en: Mapping[str, str] = field(default_factory=dict)
    recall: str = ""
    not_applicable: bool = False
    cross: tuple[tuple[str, ...], ...] = ()
    consent: Consent = field(default_factory=Consent)
    retention: int = RETENTION
    expected: tuple[Expected, ...] = ()
    fonts: str = ""
    official: Official = field(default_factory=Official)
    tables: Mapping[str, Source] = field(default_factory=dict)

    def inside(self, path: Path) -> bool:
        """Tell whether a path may be read: below the workspace or below a declared root."""
        return any(path.resolve().is_relative_to(place) for place in self.places)

    @property
    def places(self) -> tuple[Path, ...]:
        """The folders that hold the office's data: the workspace and its declared roots."""
        return tuple(place.resolve() for place in (self.folder, *(self.folder / root for root in self.roots.values())))

    @property
    def door(self) -> Door:
        """Conditions for including answers when a wave is read."""
        return Door(self.consent, self.places, self.folder / ASSESSMENT)

    def purpose_of(self, table: str) -> str:
        """Return the purpose of a table: as declared, else by its name."""
        declared = self.tables[table].purpose if table in self.tables else ""
        return declared or BY_TABLE.get(table, "")


def read_settings(folder: str | Path, problems: Problems) -> Settings:
    """Read workspace.toml; errors go into ``problems``, and defaults replace invalid values."""
    folder = Path(folder)
    path = folder / "workspace.toml"
    try:
        raw = tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except FileNotFoundError:
        problems.add(path.name, "missing_file", folder, "workspace.toml", "用 dj new 或 dj demo 新建 (make one)")
        return Settings(folder)
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        problems.add(path.name, "unreadable", error, "UTF-8 TOML", "改正所指的行 (correct the line named)")
        return Settings(folder)
    raw = _typed(path.name, raw, _TOP, problems)
    for section, types in _SECTIONS.items():
        raw[section] = _typed(f"{path.name} [{section}]", raw.get(section, {}), types, problems)
    fieldwork = _fieldwork(path.name, raw, problems)
    _check_values(path.name, raw, problems)
    tables = {name: _source(path.name, name, source, problems) for name, source in raw.get("tables", {}).items()}
    _check_purposes(path.name, tables, problems)
    return Settings(
        folder=folder,
        exclude_types=tuple(raw["units"].get("exclude_types", ())),
        types_en=_texts(f"{path.name} [units.types_en]", raw["units"].get("types_en", {}), problems),
        recall=raw["codebook"].get("recall", ""),
        not_applicable=raw["codebook"].get("not_applicable", False),
        cross=tuple(tuple(pair) for pair in raw["publish"].get("cross", ())),
        consent=read_consent(path.name, raw["consent"], problems),
        retention=raw["retention"].get("months", RETENTION),
        expected=read_expected(path.name, raw.get("expect", {}), problems),
        official=read_official(path.name, raw["document"], problems),
        fieldwork=fieldwork,
        tables=tables,
        **{key: raw[key] for key in _TOP if key in raw and key not in (*_SECTIONS, "expect", "tables")},
    )


def _typed(place: str, raw: Any, types: Mapping[str, Any], problems: Problems) -> dict[str, Any]:
    """Keep the entries that are known and of the right type; note the others."""
    valid: dict[str, Any] = {}
    for key, value in (raw if isinstance(raw, dict) else {}).items():
        if key not in types:
            problems.add(place, "unknown_setting", key, ", ".join(types), "删去或改名 (remove or rename it)")
        elif not isinstance(value, types[key]) or (types[key] is int and isinstance(value, bool)):
            kinds = types[key] if isinstance(types[key], tuple) else (types[key],)
            named = "、".join(kind.__name__ for kind in kinds)
            problems.add(f"{place} {key}", "wrong_type", value, named, "改正类型 (correct its type)")
        else:
            valid[key] = value
    return valid


def _source(place: str, name: str, raw: Any, problems: Problems) -> Source:
    """Read one foreign table; a number where a text is meant (``period = 2023``) is read as that text."""
    where = f"{place} [tables.{name}]"
    entries = _typed(where, raw, _SOURCE, problems)
    for key in ("columns", "constant", "missing", "sql"):
        entries[key] = _texts(f"{where} {key}", entries.get(key, {}), problems)
    if entries.get("raters", "") not in ("", "officials", "people"):
        problems.add(
            f"{where} raters", "unknown_value", entries.pop("raters"), "officials, people",
            "officials:检查组、评委,不限人数;people:群众评议、述职评议,不足5人不单列 (who gives the marks)",
        )  # fmt: skip
    for consent in sorted(name for name in entries["constant"] if name.startswith("consent_")):
        advice = (
            "同意由本人作出；以告知为依据的写 [consent] (consent is each person's own; declare a notice in [consent])"
        )
        problems.add(f"{where} constant", "constant_consent", consent, "一列答案 (a column of answers)", advice)
        del entries["constant"][consent]
    allowed = ("unit", "code")
    for column in [column for column in entries.get("undeclared", ()) if column not in allowed]:
        advice = "只写这两列 (name these columns only)"
        problems.add(f"{where} undeclared", "unknown_value", column, ", ".join(allowed), advice)
    entries["undeclared"] = tuple(column for column in entries.get("undeclared", ()) if column in allowed)
    entries["recode"] = {
        column: _texts(f"{where} recode.{column}", mapping, problems)
        for column, mapping in entries.get("recode", {}).items()
    }
    for column, headers in list(entries.get("join", {}).items()):
        if not isinstance(headers, list) or not headers or not all(isinstance(header, str) for header in headers):
            problems.add(
                f"{where} join", "wrong_type", f"{column} = {headers}", '["列1", "列2"]', "改正类型 (correct its type)"
            )
            del entries["join"][column]
    return Source(**entries)


def _texts(where: str, raw: Any, problems: Problems) -> dict[str, str]:
    texts: dict[str, str] = {}
    for key, value in (raw if isinstance(raw, dict) else {}).items():
        if isinstance(value, bool) or not isinstance(value, (str, int, float)):
            problems.add(where, "wrong_type", f"{key} = {value}", "文字 (text)", "改正类型 (correct its type)")
        elif where.endswith(" columns") and not isinstance(value, str):
            problems.add(where, "wrong_type", f"{key} = {value}", "列名 (a header)", "加引号 (quote it)")
        else:
            texts[str(key)] = str(value)
    if not isinstance(raw, dict):
        problems.add(where, "wrong_type", raw, "表 (table)", "改正类型 (correct its type)")
    return texts


def _check_values(place: str, raw: dict[str, Any], problems: Problems) -> None:
    if raw.get("min_group", DEFAULT_MIN_GROUP) < FLOOR:
        advice = f"改为 {FLOOR} 或更大,建议 {DEFAULT_MIN_GROUP} (use {FLOOR} or more)"
        problems.add(f"{place} min_group", "min_group", raw.pop("min_group"), f">= {FLOOR}", advice)
    if not 1 <= raw["retention"].get("months", RETENTION) <= RETENTION:
        advice = f"改为 1–{RETENTION} (use 1 to {RETENTION})"
        problems.add(f"{place} [retention]", "range", raw["retention"].pop("months"), f"1–{RETENTION}", advice)
    if raw.get("language", "zh") not in ("zh", "en"):
        problems.add(f"{place} language", "choice", raw.pop("language"), "zh, en", "改为 zh 或 en (use zh or en)")
    raw["roots"] = _texts(f"{place} [roots]", raw.get("roots", {}), problems)
    for name, value in list(raw["roots"].items()):
        if not isinstance(value, str) or value.replace(".", "").isdigit():
            problems.add(
                f"{place} [roots]", "wrong_type", f"{name} = {value}", "文件夹 (a folder)", "改正 (correct it)"
            )
            del raw["roots"][name]
    cross = raw["publish"].get("cross", [])
    if not all(isinstance(pair, list) and all(isinstance(part, str) for part in pair) for pair in cross):
        problems.add(f"{place} [publish] cross", "wrong_type", cross, '[["branch", "age_band"]]', "改正 (correct it)")
        del raw["publish"]["cross"]
    elif wide := [pair for pair in cross if len(pair) > MOST_TOGETHER + 1]:
        allowed = f"一个单位层级,至多 {MOST_TOGETHER} 个分组 (a unit level and at most {MOST_TOGETHER} group columns)"
        advice = "去掉几个分组,越细越能认出个人 (drop some: finer cells tell who people are)"
        problems.add(f"{place} [publish] cross", "too_many_groups", " × ".join(wide[0]), allowed, advice)
        del raw["publish"]["cross"]
    if not all(isinstance(kind, str) for kind in raw["units"].get("exclude_types", [])):
        exclude_types = raw["units"].pop("exclude_types")
        problems.add(f"{place} [units] exclude_types", "wrong_type", exclude_types, '["summary"]', "改正 (correct it)")
    for name in sorted(set(raw.get("tables", {})) - set(SCHEMAS)):
        problems.add(f"{place} [tables.{name}]", "unknown_table", name, ", ".join(SCHEMAS), "改名 (rename it)")
        del raw["tables"][name]
    for period, form in list(raw.get("waves", {}).items()):
        if not is_period(period) or form not in ("full", "pulse"):
            allowed = f"{ALLOWED} = full / pulse"
            problems.add(f"{place} [waves]", "choice", f"{period} = {form}", allowed, "改正 (correct it)")
            del raw["waves"][period]
    for name, source in list(raw.get("tables", {}).items()):
        if isinstance(source, dict) and source.get("shape", "") not in ("", "long", "wide"):
            shape = source.pop("shape")
            problems.add(f"{place} [tables.{name}] shape", "choice", shape, "long, wide", "改正 (correct it)")
        declared = source.get("purpose", "") if isinstance(source, dict) else ""
        if isinstance(declared, str) and declared not in ("", *PURPOSES, *RESTRICTED):
            allowed, purpose = ", ".join([*PURPOSES, *RESTRICTED]), source.pop("purpose")
            problems.add(
                f"{place} [tables.{name}] purpose", "choice", purpose, allowed, "改为所列之一 (use one of these)"
            )
        if not isinstance(source, dict):
            problems.add(f"{place} [tables.{name}]", "wrong_type", source, "table", "改正类型 (correct its type)")
            del raw["tables"][name]


def _fieldwork(place: str, raw: dict[str, Any], problems: Problems) -> dict[str, tuple[date, date]]:
    """Take the days of each wave out of ``[waves]``, so that its form alone is left there; wrong ones are noted."""
    days: dict[str, tuple[date, date]] = {}
    for period, entry in list(raw.get("waves", {}).items()):
        if not isinstance(entry, dict):
            continue
        where = f"{place} [waves.{period}]"
        known = _typed(where, entry, {"form": str, "from": date, "to": date}, problems)
        first, last = known.get("from"), known.get("to")
        raw["waves"][period] = known.get("form", "")
        if "form" not in known:
            raw["waves"].pop(period)
        told_already = any(name in entry and name not in known for name in ("from", "to"))
        if told_already or (first is None and last is None):
            continue
        if first is not None and last is not None and is_fieldwork(period, first, last):
            days[period] = (first, last)
        else:
            told = f"{first or '—'} – {last or '—'}"
            allowed = "from = 2026-09-01, to = 2026-09-12,先后为序,在本期或其后三个月内 (in order, in the period or within three months after)"
            problems.add(where, "days", told, allowed, "改正,或都不写 (correct them, or leave out both)")
    return days


def is_fieldwork(period: str, first: Any, last: Any) -> bool:
    """Tell whether two plain dates are in order and near the period they are told of."""
    if type(first) is not date or type(last) is not date or not is_period(period):
        return False
    asked = parse(period)
    return asked.start - timedelta(31) <= first <= last <= asked.end + timedelta(92)


def _check_purposes(place: str, tables: Mapping[str, Source], problems: Problems) -> None:
    """Note answers declared for a restricted purpose, or drawn from a table that is kept for one (R9)."""
    responses = tables.get("responses")
    if responses is None:
        return
    where, advice = f"{place} [tables.responses]", "只读问卷答案 (read the answers alone)"
    query = responses.sql.get("query", "")
    violations = [(f"{where} purpose", responses.purpose, "")] if responses.purpose in RESTRICTED else []
    for name, other in tables.items():
        same = (other.path and other.path == responses.path) or (query and query == other.sql.get("query", ""))
        if name != "responses" and other.purpose in RESTRICTED and same:
            violations.append((where, other.purpose, f": [tables.{name}]"))
    violations += [(f"{where} sql", tag, f": {name}") for name, tag in restricted_tables(query).items()]
    for place_of, tag, named in violations:
        problems.add(place_of, "purpose_table", f"{label(tag)}{named}", UNMIXED, advice)
