"""Settings of a workspace: workspace.toml."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from ..errors import Problems
from .periods import ALLOWED, is_period
from .schemas import SCHEMAS

Language = Literal["zh", "en"]
FLOOR = 5  # no setting may allow results about fewer people (R4)
DEFAULT_MIN_GROUP = 10

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
    "fonts": str,
    "tables": dict,
}
_SECTIONS: dict[str, dict[str, type | tuple[type, ...]]] = {
    "units": {"exclude_types": list},
    "codebook": {"recall": str, "not_applicable": bool},
    "publish": {"cross": list},
}
_SOURCE: dict[str, type | tuple[type, ...]] = {
    "path": str,
    "sql": dict,
    "sheet": str,
    "shape": str,
    "columns": dict,
    "constant": dict,
    "join": dict,
    "recode": dict,
    "missing": dict,
}


@dataclass(frozen=True)
class Source:
    """Where a foreign table is and how its columns become ours (``[tables.X]``)."""

    path: str = ""
    sql: Mapping[str, str] = field(default_factory=dict)
    sheet: str = ""
    shape: Literal["long", "wide", ""] = ""
    columns: Mapping[str, str] = field(default_factory=dict)
    constant: Mapping[str, str] = field(default_factory=dict)
    join: Mapping[str, list[str]] = field(default_factory=dict)
    recode: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    missing: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Settings:
    """What a workspace says about itself.

    Attributes
    ----------
    folder
        The workspace's folder; everything is read below it, or below a declared root.
    min_group
        Smallest number of people about whom a result may leave; at least 5.
    waves
        Form of each period (``full`` or ``pulse``).
    roots
        Further folders that may be read.
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
    roots: Mapping[str, str] = field(default_factory=dict)
    exclude_types: tuple[str, ...] = ()
    recall: str = ""
    not_applicable: bool = False
    cross: tuple[tuple[str, ...], ...] = ()
    fonts: str = ""
    tables: Mapping[str, Source] = field(default_factory=dict)

    def inside(self, path: Path) -> bool:
        """Tell whether a path may be read: below the workspace or below a declared root."""
        allowed = [self.folder, *(self.folder / root for root in self.roots.values())]
        return any(path.resolve().is_relative_to(place.resolve()) for place in allowed)


def read_settings(folder: str | Path, problems: Problems) -> Settings:
    """Read workspace.toml; what is wrong goes into ``problems`` and the default takes its place."""
    folder = Path(folder)
    path = folder / "workspace.toml"
    try:
        raw = tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except FileNotFoundError:
        problems.add(path.name, "missing_file", folder, "workspace.toml", "用 dj new 或 dj demo 新建 (make one)")
        return Settings(folder)
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        problems.add(path.name, "unreadable", error, "UTF-8 TOML", "改正所指的行 (mend the line named)")
        return Settings(folder)
    raw = _typed(path.name, raw, _TOP, problems)
    for section, known in _SECTIONS.items():
        raw[section] = _typed(f"{path.name} [{section}]", raw.get(section, {}), known, problems)
    _check_values(path.name, raw, problems)
    tables = {name: _source(path.name, name, source, problems) for name, source in raw.get("tables", {}).items()}
    return Settings(
        folder=folder,
        exclude_types=tuple(raw["units"].get("exclude_types", ())),
        recall=raw["codebook"].get("recall", ""),
        not_applicable=raw["codebook"].get("not_applicable", False),
        cross=tuple(tuple(pair) for pair in raw["publish"].get("cross", ())),
        tables=tables,
        **{key: raw[key] for key in _TOP if key in raw and key not in (*_SECTIONS, "tables")},
    )


def _typed(place: str, raw: Any, known: Mapping[str, Any], problems: Problems) -> dict[str, Any]:
    """Keep the entries that are known and of the right type; note the others."""
    kept: dict[str, Any] = {}
    for key, value in (raw if isinstance(raw, dict) else {}).items():
        if key not in known:
            problems.add(place, "unknown_setting", key, ", ".join(known), "删去或改名 (remove or rename it)")
        elif not isinstance(value, known[key]) or (known[key] is int and isinstance(value, bool)):
            problems.add(f"{place} {key}", "wrong_type", value, known[key].__name__, "改正类型 (mend its type)")
        else:
            kept[key] = value
    return kept


def _source(place: str, name: str, raw: Any, problems: Problems) -> Source:
    """Read one foreign table; a number where a text is meant (``period = 2023``) is read as that text."""
    where = f"{place} [tables.{name}]"
    kept = _typed(where, raw, _SOURCE, problems)
    for key in ("columns", "constant", "missing", "sql"):
        kept[key] = _texts(f"{where} {key}", kept.get(key, {}), problems)
    kept["recode"] = {
        column: _texts(f"{where} recode.{column}", mapping, problems)
        for column, mapping in kept.get("recode", {}).items()
    }
    for column, headers in list(kept.get("join", {}).items()):
        if not isinstance(headers, list) or not headers or not all(isinstance(header, str) for header in headers):
            problems.add(
                f"{where} join", "wrong_type", f"{column} = {headers}", '["列1", "列2"]', "改正类型 (mend its type)"
            )
            del kept["join"][column]
    return Source(**kept)


def _texts(where: str, raw: Any, problems: Problems) -> dict[str, str]:
    made: dict[str, str] = {}
    for key, value in (raw if isinstance(raw, dict) else {}).items():
        if isinstance(value, bool) or not isinstance(value, (str, int, float)):
            problems.add(where, "wrong_type", f"{key} = {value}", "文字 (text)", "改正类型 (mend its type)")
        elif where.endswith(" columns") and not isinstance(value, str):
            problems.add(where, "wrong_type", f"{key} = {value}", "列名 (a header)", "加引号 (quote it)")
        else:
            made[str(key)] = str(value)
    if not isinstance(raw, dict):
        problems.add(where, "wrong_type", raw, "表 (table)", "改正类型 (mend its type)")
    return made


def _check_values(place: str, raw: dict[str, Any], problems: Problems) -> None:
    if raw.get("min_group", DEFAULT_MIN_GROUP) < FLOOR:
        advice = f"改为 {FLOOR} 或更大,建议 {DEFAULT_MIN_GROUP} (use {FLOOR} or more)"
        problems.add(f"{place} min_group", "min_group", raw.pop("min_group"), f">= {FLOOR}", advice)
    if raw.get("language", "zh") not in ("zh", "en"):
        problems.add(f"{place} language", "choice", raw.pop("language"), "zh, en", "改为 zh 或 en (use zh or en)")
    raw["roots"] = _texts(f"{place} [roots]", raw.get("roots", {}), problems)
    for name, value in list(raw["roots"].items()):
        if not isinstance(value, str) or value.replace(".", "").isdigit():
            problems.add(f"{place} [roots]", "wrong_type", f"{name} = {value}", "文件夹 (a folder)", "改正 (mend it)")
            del raw["roots"][name]
    cross = raw["publish"].get("cross", [])
    if not all(isinstance(pair, list) and all(isinstance(part, str) for part in pair) for pair in cross):
        problems.add(f"{place} [publish] cross", "wrong_type", cross, '[["branch", "age_band"]]', "改正 (mend it)")
        del raw["publish"]["cross"]
    if not all(isinstance(kind, str) for kind in raw["units"].get("exclude_types", [])):
        found = raw["units"].pop("exclude_types")
        problems.add(f"{place} [units] exclude_types", "wrong_type", found, '["summary"]', "改正 (mend it)")
    for name in sorted(set(raw.get("tables", {})) - set(SCHEMAS)):
        problems.add(f"{place} [tables.{name}]", "unknown_table", name, ", ".join(SCHEMAS), "改名 (rename it)")
        del raw["tables"][name]
    for period, form in list(raw.get("waves", {}).items()):
        if not is_period(period) or form not in ("full", "pulse"):
            allowed = f"{ALLOWED} = full / pulse"
            problems.add(f"{place} [waves]", "choice", f"{period} = {form}", allowed, "改正 (mend it)")
            del raw["waves"][period]
    for name, source in list(raw.get("tables", {}).items()):
        if isinstance(source, dict) and source.get("shape", "") not in ("", "long", "wide"):
            found = source.pop("shape")
            problems.add(f"{place} [tables.{name}] shape", "choice", found, "long, wide", "改正 (mend it)")
        if not isinstance(source, dict):
            problems.add(f"{place} [tables.{name}]", "wrong_type", source, "table", "改正类型 (mend its type)")
            del raw["tables"][name]
