"""Reading and checking the files of a workspace: its declarations and its waves."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Literal

from .errors import DjError, Problems
from .file_access import is_lock, open_books, open_notice
from .measure.intake.context_events import load_context
from .measure.intake.indicator_values import load_teams, load_values
from .measure.intake.obligation_tables import load_obligations
from .measure.intake.score_sheets import load_ratings
from .measure.intake.sources import survey_of_file, survey_of_table
from .measure.scales.keying import keying
from .measure.survey import Survey
from .release.store import Store
from .spec.bands import read_bands
from .spec.codebook import load_codebook, load_indicators
from .spec.interventions import load_interventions
from .spec.periods import ALLOWED, is_period, order, parse
from .spec.rubrics import load_rubrics
from .spec.rules import read_rules
from .spec.settings import Settings, Source, read_settings
from .spec.specification import Specification
from .spec.tables import SUFFIXES, find_file, map_columns, read_source, whole_numbers
from .spec.units import excluded_units, load_headcounts, load_units

Form = Literal["full", "pulse"]


def check_folder(folder: str | Path) -> Problems:
    """Read every declaration and every data file of a workspace and return every problem, in one table.

    What is wrong with one file does not hide what is wrong with the next: each is checked against what could be read.
    """
    return _checked(Path(folder).resolve())[0]


def check_with_hints(folder: str | Path) -> tuple[Problems, list[str]]:
    """Return every problem of a workspace, as :func:`check_folder`, and what does not stop anything, a line a kind.

    Hints tell of books open elsewhere, questions asked badly, and those that run against the others: of the latest wave, where
    nothing is wrong with it and the declarations.
    """
    folder = Path(folder).resolve()
    problems, spec, survey = _checked(folder)
    return problems, _hints_of_declarations(folder, spec) + (keying_hints(survey) if survey is not None else [])


def _checked(folder: Path) -> tuple[Problems, Specification, Survey | None]:
    """Return every problem, what is declared, and the latest wave where nothing is wrong with it and the declarations."""
    problems, sound_survey = Problems(), None
    settings, spec = declarations(folder, problems)
    sound, latest = not problems, max(wave_files(folder), key=lambda period: parse(period).end, default="")
    problems.extend(open_questions(spec))
    periods = set(wave_files(folder))
    if "responses" in settings.tables and (settings.tables["responses"].path or settings.tables["responses"].sql):
        periods |= periods_of_table(settings, problems)
    for path in sorted((folder / "responses").glob("*")):
        if path.suffix.lower() in SUFFIXES and not is_period(path.stem) and not is_lock(path):
            allowed = "responses/2026Q3.xlsx"
            problems.add(
                f"responses/{path.name}", "bad_period", path.stem, allowed, "以时期命名 (name it by its period)"
            )
    for period in order(sorted(periods)):
        twins = [
            path.name for path in sorted((folder / "responses").glob(f"{period}.*")) if path.suffix.lower() in SUFFIXES
        ]
        if len(twins) > 1:
            problems.add(
                f"responses/{period}", "two_files", ", ".join(twins), "一期一个文件", "留下一个 (keep one of them)"
            )
        before = len(problems)
        survey = read_wave(settings, spec, period, problems)
        if period == latest and sound and len(problems) == before:
            sound_survey = survey
    load_values(settings, spec, excluded_units(settings, Problems()), problems)
    load_teams(settings, spec, problems)
    load_ratings(settings, spec, problems)
    load_obligations(settings, spec, problems)
    load_context(settings, spec, problems)
    try:
        Store(folder / ".dj").check_key()
    except DjError as error:
        problems.extend(error.problems)
    return problems, spec, sound_survey


def open_questions(spec: Specification) -> Problems:
    """Return the columns whose meaning is still to be decided (role ``ask``): no report runs before they are."""
    problems = questions_of_indicators(spec)
    for node in spec.codebook.others:
        if node.role == "ask":
            advice = (
                "把 role 改为所选项,再 dj new 文件夹 --again (put your choice into role, then dj new FOLDER --again)"
            )
            allowed = node.choices.replace("|", " / ")
            found = f"{node.label_zh}: {node.evidence}" if node.evidence else node.label_zh
            problems.add(f"codebook: {node.code}", "open_question", found, allowed, advice)
    return problems


def questions_of_indicators(spec: Specification) -> Problems:
    """Return the indicators whose direction or range is still to be decided: they are not scored before."""
    problems = Problems()
    for node in spec.indicators or ():
        if node.role == "ask":
            advice = (
                "dj new 文件夹 --again --lower '越低越好的指标' --range '指标=0-100';或在 indicators.csv 填好后 role 改为 item"
                " (decide by options, or fill it in and change role to item)"
            )
            allowed, why = node.choices.replace("|", " / "), getattr(node, "question", "")
            found = f"{node.label_zh}: {why}" if why else node.label_zh
            problems.add(f"indicators: {node.code}", "open_question", found, allowed, advice)
    return problems


_CODES_SHOWN = 8


def _hints_of_declarations(folder: Path, spec: Specification) -> list[str]:
    """Tell which books are open elsewhere, and which questions are asked badly."""
    kinds: dict[tuple[str, str, str], list[str]] = {}
    for warning in spec.codebook.warnings:
        kinds.setdefault((warning.rule, warning.allowed, warning.advice), []).append(warning.place)
    lines = [open_notice(name) for place in (folder, folder / "responses") for name in open_books(place)]
    for (rule, allowed, advice), codes in kinds.items():
        more = " …" if len(codes) > _CODES_SHOWN else ""
        lines.append(
            f"[{rule}] {len(codes)} 题/questions: {', '.join(codes[:_CODES_SHOWN])}{more}; {allowed}; {advice}"
        )
    return lines


def keying_hints(survey: Survey) -> list[str]:
    """Return a line for every question of a wave that runs against the others beyond chance."""
    tree = survey.codebook.tree
    return [
        f"[keying] {survey.period} {row.code} {tree[row.code].text_zh or tree[row.code].label_zh}: 与其余题反向"
        f" (runs against the others) r = {row.r:.2f} [{row.low:.2f}, {row.high:.2f}]; "
        f"α {row.alpha:.2f}, 调转后 (turned) {row.alpha_turned:.2f}; "
        "如高分不利,direction 写 -1,或 dj new 文件夹 --again --reverse 题号"
        " (where high is bad, declare direction = -1, or dj new FOLDER --again --reverse NUMBER)"
        for row in keying(survey).table.itertuples()
    ]


def declarations(folder: Path, problems: Problems) -> tuple[Settings, Specification]:
    """Read everything a workspace declares; what is wrong goes into ``problems``."""
    settings = read_settings(folder, problems)
    units = load_units(settings, problems)
    codebook = load_codebook(settings, problems)
    spec = Specification(
        codebook=codebook,
        units=units,
        indicators=load_indicators(settings, problems),
        rubrics=load_rubrics(settings, units, problems),
        bands=read_bands(folder / "bands.toml", problems),
        rules=read_rules(folder / "rules.toml", problems),
        interventions=load_interventions(settings, codebook, problems),
        headcounts=load_headcounts(settings, problems),
        min_group=settings.min_group,
        retention=settings.retention,
        language=settings.language,
        name=settings.name or folder.name,
        office=settings.office,
        office_en=settings.office_en,
        recipient=settings.recipient,
        recipient_en=settings.recipient_en,
        official=settings.official,
        fieldwork=settings.fieldwork,
        purpose=settings.purpose,
        fonts=settings.fonts,
        cross=settings.cross,
        types_en=settings.types_en,
    )
    levels, groups = set(spec.units.levels), {node.code for node in spec.codebook.groups}
    for pair in spec.cross if spec.units.rows else ():
        if len(pair) < 2 or pair[0] not in levels | groups or not set(pair[1:]) <= groups:
            allowed = f"[层级或分组, 分组]: {', '.join([*spec.units.levels, *sorted(groups)])}"
            advice = "层级写在前,其余为分组 (a unit level first, then group columns)"
            problems.add("workspace.toml [publish] cross", "cross", list(pair), allowed, advice)
    lost = set(spec.headcounts["unit"]) - {"ALL"} - {unit.unit for unit in spec.units.rows}
    if lost and spec.units.rows:
        listed = "、".join(sorted(lost)[:5])
        problems.add("headcounts: unit", "unknown_unit", listed, "units 表中的代码", "改正 (correct it)")
    return settings, spec


def wave_files(folder: Path) -> dict[str, Path]:
    """Return the files of answers by period."""
    responses = folder / "responses"
    stems = {path.stem for path in responses.glob("*") if is_period(path.stem)} if responses.is_dir() else set()
    files = {stem: find_file(responses, stem) for stem in stems}
    return {stem: path for stem, path in files.items() if path is not None}


def asked_by_default(spec: Specification) -> Form:
    """Return the form of a wave that ``[waves]`` does not name."""
    return "pulse" if any(node.form == "both" for node in spec.codebook.tree) else "full"


def read_wave(settings: Settings, spec: Specification, period: str, problems: Problems) -> Survey | None:
    """Read one wave from its file or its declared table; None where that cannot be."""
    asked: Form = "full" if settings.waves.get(period, asked_by_default(spec)) == "full" else "pulse"
    source = settings.tables.get("responses", Source())
    path = wave_files(settings.folder).get(period)
    derive = not spec.units.rows
    if path is not None:
        place = f"responses/{path.name}"
        return survey_of_file(
            path, spec, period, asked, source, problems, place=place, derive_units=derive, door=settings.door
        )
    if source.path.lower().endswith(".parquet") and not source.sql and settings.inside(settings.folder / source.path):
        path = settings.folder / source.path
        return survey_of_file(path, spec, period, asked, source, problems, derive_units=derive, door=settings.door)
    table = read_source(settings, "responses", problems)
    if table is None:
        return None
    file = settings.folder / source.path if source.path else ""
    return survey_of_table(
        table, spec, period, asked, source, problems, derive_units=derive, door=settings.door, file=file
    )


def periods_of_table(settings: Settings, problems: Problems) -> set[str]:
    """Return the waves a foreign responses table holds; why it cannot be read goes into ``problems``."""
    source = settings.tables["responses"]
    if not source.path and not source.sql:
        return set()
    table = read_source(settings, "responses", problems)
    if table is None:
        return set()
    mapped = map_columns(table, source, Problems())
    periods = set(whole_numbers(mapped.frame["period"])) if "period" in mapped.frame else set()
    lost = sorted(period for period in periods if period and not is_period(period))
    if lost or not periods:
        advice = "用 constant 或 recode 给出时期 (give the period by constant or recode)"
        problems.add(
            "workspace.toml [tables.responses]", "bad_period", "、".join(lost[:3]) or "没有 period 列", ALLOWED, advice
        )
    return {period for period in periods if is_period(period)}


def file_hash(path: Path) -> str:
    """Hash a file without loading it."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def fingerprint(settings: Settings, spec: Specification, period: str) -> str:
    """Hash all that decides a wave's sums: its file, the codebook, the units, the bands, this package."""
    from . import __version__

    path = wave_files(settings.folder).get(period)
    source = settings.tables.get("responses")
    if path is None and source is not None and source.path:
        path = settings.folder / source.path
    if path is not None and path.exists():
        content = file_hash(path)
    else:  # rows of a database have no file: what the query returns decides
        table = read_source(settings, "responses", Problems()) if source is not None else None
        content = hashlib.sha256(table.frame.to_csv().encode()).hexdigest() if table is not None else repr(source)
    asked = settings.waves.get(period, "")
    bands = sorted(spec.bands.items())
    parts = (__version__, content, asked, repr(source), spec.codebook, spec.cross, spec.units.version, bands)
    return hashlib.sha256(repr(parts).encode()).hexdigest()[:16]
