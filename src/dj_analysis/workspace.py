"""A folder with one office's data, declarations, store and record."""

from __future__ import annotations

import hashlib
import os
import warnings
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd

from .errors import DjWarning, Problems, SpecError, unknown
from .measure.indicators import indicators_of, load_values, periods_of
from .measure.scores import Scores, scores_of_sums, unit_sums
from .measure.sources import raise_for, survey_of_file, survey_of_table
from .measure.survey import Indicators, Survey
from .measure.unitsums import UnitSums
from .publish.disclosure import ReleasePlan, plan_release
from .publish.notebooks import Run, run_notebook
from .publish.scope import Scope
from .record import Record
from .spec.bands import read_bands
from .spec.codebook import load_codebook, load_indicators
from .spec.periods import ALLOWED, is_period, order, parse
from .spec.rules import read_rules
from .spec.settings import Language, Settings, Source, read_settings
from .spec.specification import Specification
from .spec.tables import SUFFIXES, find_file, map_columns, read_source, whole_numbers
from .spec.units import Units, excluded_units, load_headcounts, load_units

Form = Literal["full", "pulse"]


class Workspace:
    """One office's folder: declarations, waves, indicators, the confidential store and the record.

    Parameters
    ----------
    folder
        Folder with workspace.toml.
    lang
        Language of labels and reports (``zh`` or ``en``); the workspace's own by default.

    Raises
    ------
    SpecError
        The declarations do not hold together; lists every problem. Data are checked when they are read, or all at once by
        :meth:`check`.
    """

    def __init__(self, folder: str | Path, lang: Language | None = None):
        self.folder = Path(folder).resolve()
        problems = Problems()
        self.settings, self.spec = _declarations(self.folder, problems)
        problems.raise_if_any(SpecError)
        if lang is not None:
            self.spec = self.spec.speaking(lang)
        self.record = Record(self.folder / ".dj" / "record.sqlite")

    @property
    def units(self) -> Units:
        """Every unit tree, every span of time; ``.table``, ``.levels``."""
        return self.spec.units

    @cached_property
    def periods(self) -> list[str]:
        """Waves that have answers, in order."""
        found = set(_wave_files(self.settings.folder))
        if "responses" in self.settings.tables:
            found |= _periods_of_table(self.settings, Problems())
        return order(sorted(found))

    @cached_property
    def indicator_periods(self) -> list[str]:
        """Periods that have branch indicator values, in order."""
        return periods_of(self._indicator_values)

    def survey(self, period: str) -> Survey:
        """Read and check one wave.

        Raises
        ------
        UsageError
            No such wave; names those there are.
        DataError
            Everything wrong with its file, in one table.
        """
        survey = self._read(period)
        for notice in survey.notices:
            warnings.warn(notice, DjWarning, stacklevel=2)
        return survey

    def scores(self, period: str, by: str | Sequence[str] | None = None) -> Scores:
        """Score one wave from the store of sums, filling it from the answers when it is not there yet.

        Parameters
        ----------
        by
            As in :func:`dj_analysis.score`; by default every level of every tree the wave has a column for, and every
            declared group column, one at a time.
        """
        self._known_period(period)
        shell, sums = self._stored(period)
        if by is None:
            trees = [tree for tree in self.units.at(period).trees if tree in sums]
            by = [level for tree in trees for level in self.units.levels if self.units.tree_of(level) == tree]
            by += [axis for axis in sums if axis not in self.units.trees]
        return scores_of_sums(sums, shell, by)

    def indicators(self, period: str) -> Indicators:
        """Take the branch indicators of one period (a month, a quarter or a year, as reported)."""
        if period not in self.indicator_periods:
            raise unknown("指标时期/indicator period", period, self.indicator_periods)
        return indicators_of(self._indicator_values, self.spec, period)

    def release_plan(self, period: str) -> ReleasePlan:
        """Return which cells of a period may be seen; computed, not stored."""
        return plan_release(period, [self.scores(wave).response for wave in self.until(period)], self.spec)

    def until(self, period: str) -> list[str]:
        """Return the waves up to and including a period, in order."""
        return [wave for wave in self.periods if parse(wave).end <= parse(period).end]

    def check(self) -> Problems:
        """Read everything there is and return every problem found, in one table."""
        return check_folder(self.folder)

    def unit(self, text: str) -> str:
        """Return the code of a unit given by code, name or alias; ``ALL`` is the whole."""
        return self.units.find(text)

    def run_report(self, report: str, *, period: str, unit: str = "ALL", **options: Any) -> Run:
        """Run one report of this workspace; see :func:`dj_analysis.run_report`."""
        if period not in {*self.periods, *self.indicator_periods}:
            raise unknown("时期/period", period, [*self.periods, *self.indicator_periods])
        code = self.unit(unit)
        return run_notebook(
            report, folder=self.folder, spec=self.spec, record=self.record, period=period, unit=code, **options
        )

    def __repr__(self) -> str:
        return (
            f"Workspace({self.spec.name or self.folder.name}: {len(self.periods)} waves, {len(self.units.rows)} units)"
        )

    def codes(
        self, period: str, role: Literal["item", "dimension", "index", "group"], form: str = "anchors"
    ) -> list[str]:
        """Return the codes of a role in a wave: items below the index, its dimensions, the index, or group columns."""
        codebook = self.spec.codebook.at(period)
        if role == "group":
            return [node.code for node in codebook.groups]
        if role == "dimension":
            return [node.code for node in codebook.dimensions]
        index = [codebook.index] if codebook.index else []
        if role == "index":
            return index
        tree = codebook.tree.in_form("full" if form == "full" else "anchors")
        return [
            leaf.code for top in index or [node.code for node in codebook.dimensions] for leaf in tree.leaves_of(top)
        ]

    def scope(self, unit: str, period: str) -> Scope:
        """Return what a report about a unit covers: units, levels, codes, names."""
        shell, sums = self._stored(period)
        groups = tuple(axis for axis in sums if axis not in self.units.trees)
        return Scope(self.unit(unit), period, self.spec, shell.forms[-1], len(self.until(period)), groups)

    def earlier(self, period: str, *, years: int = 0) -> str | None:
        """Return the wave before (or that of the same quarter ``years`` ago), None where there is none.

        The wave before is the latest earlier one there is; the same quarter of another year must be there itself.
        """
        if years:
            wanted = parse(period)
            for _ in range(years):
                wanted = wanted.year_before
            return wanted.text if wanted.text in self.periods else None
        before = [
            p for p in self.periods if parse(p).cycle == parse(period).cycle and parse(p).index < parse(period).index
        ]
        return before[-1] if before else None

    @cached_property
    def _indicator_values(self) -> pd.DataFrame:
        problems = Problems()
        values = load_values(self.settings, self.spec, excluded_units(self.settings, problems), problems)
        raise_for(problems)
        return values

    def _read(self, period: str) -> Survey:
        self._known_period(period)
        problems = Problems()
        survey = _read_wave(self.settings, self.spec, period, problems)
        raise_for(problems)
        assert survey is not None, "a wave that cannot be read is a problem"
        return survey

    def _known_period(self, period: str) -> None:
        if period not in self.periods:
            raise unknown("时期/period", period, self.periods)

    def _stored(self, period: str) -> tuple[Survey, Mapping[str, UnitSums]]:
        """Return a wave's sums from the store; the Survey returned is a shell without rows."""
        store = self.folder / ".dj" / "store"
        key = f"{period}-{self._fingerprint(period)}"
        stored = {path.stem.split("@", 1)[1]: path for path in sorted(store.glob(f"{key}@*.npz"))}
        if (store / f"{key}.done").exists():
            sums = {axis: _load_sums(path) for axis, path in stored.items()}
            axes = {axis: axis for axis in sums}
            asked = self.settings.waves.get(period, _asked_by_default(self.spec))
            forms = self.spec.codebook.at(period).forms("full" if asked == "full" else "pulse")
            return Survey(None, self.spec, period, forms, axes), sums
        survey = self._read(period)
        trees = [tree for tree in self.units.at(period).trees if tree in survey.axes]
        levels = [level for tree in trees for level in self.units.levels if self.units.tree_of(level) == tree]
        groups = [axis for axis in survey.axes if axis not in self.units.trees]
        sums = unit_sums(survey, [*levels, *groups])
        for axis, block in sums.items():
            _save_sums(store / f"{key}@{axis}.npz", block)
        (store / f"{key}.done").touch()
        return survey, sums

    def _fingerprint(self, period: str) -> str:
        """Hash of all that decides a wave's sums: its file, the codebook, the units, the bands, this package."""
        from . import __version__

        path = _wave_files(self.settings.folder).get(period)
        source = self.settings.tables.get("responses")
        if path is None and source is not None and source.path:
            path = self.settings.folder / source.path
        if path is not None and path.exists():
            content = _file_hash(path)
        else:  # rows of a database have no file: what the query returns decides
            table = read_source(self.settings, "responses", Problems()) if source is not None else None
            content = hashlib.sha256(table.frame.to_csv().encode()).hexdigest() if table is not None else repr(source)
        asked = self.settings.waves.get(period, "")
        parts = (
            __version__,
            content,
            asked,
            repr(source),
            self.spec.codebook,
            self.units.version,
            sorted(self.spec.bands.items()),
        )
        return hashlib.sha256(repr(parts).encode()).hexdigest()[:16]


def open_workspace(folder: str | Path, lang: Language | None = None) -> Workspace:
    """Open a workspace: the folder with workspace.toml that holds one office's data.

    Examples
    --------
    >>> ws = dj.open_workspace("data/demo")  # doctest: +SKIP
    >>> ws.periods, ws.units.levels  # doctest: +SKIP
    """
    return Workspace(folder, lang)


def run_report(
    report: str,
    workspace: str | Path,
    *,
    period: str,
    unit: str = "ALL",
    formats: Sequence[str] = ("html", "pdf"),
    out: str | Path | None = None,
    lang: Language | None = None,
    **parameters: Any,
) -> Run:
    """Run one report on a workspace and export it.

    Parameters
    ----------
    report
        Name of a report notebook; ``dj list`` shows them.
    workspace
        The workspace's folder.
    period, unit
        What the report is about; ``ALL`` is the whole. A unit may be named by code, name or alias.
    formats
        Of ``html`` and ``pdf``; the executed notebook is kept beside them.
    out
        Report folder, ``<workspace>/reports`` by default; files are ``{period}/{report}/{unit}.{ext}`` below it.
    lang
        ``zh`` or ``en``; the workspace's own language by default.
    parameters
        Further parameters of the notebook.

    Returns
    -------
    Run
        ``.table``: report, period, unit, format, file.

    Raises
    ------
    UsageError
        A report, period, unit, format or parameter that does not exist: nothing was started or written.
    """
    if lang not in (None, "zh", "en"):
        raise unknown("语言/lang", lang, ("zh", "en"))
    ws = open_workspace(workspace, lang)
    return ws.run_report(report, period=period, unit=unit, formats=formats, out=out, **parameters)


def check_folder(folder: str | Path) -> Problems:
    """Read every declaration and every data file of a workspace and return every problem, in one table.

    What is wrong with one file does not hide what is wrong with the next: each is checked against what could be read.
    """
    folder, problems = Path(folder).resolve(), Problems()
    settings, spec = _declarations(folder, problems)
    periods = set(_wave_files(folder))
    if "responses" in settings.tables and (settings.tables["responses"].path or settings.tables["responses"].sql):
        periods |= _periods_of_table(settings, problems)
    for path in sorted((folder / "responses").glob("*")):
        if path.suffix.lower() in SUFFIXES and not is_period(path.stem):
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
        _read_wave(settings, spec, period, problems)
    load_values(settings, spec, excluded_units(settings, Problems()), problems)
    return problems


def craft_warnings(folder: str | Path) -> Problems:
    """List questions of a workspace's instrument that are asked badly; they stop nothing."""
    return _declarations(Path(folder).resolve(), Problems())[1].codebook.warnings


def _declarations(folder: Path, problems: Problems) -> tuple[Settings, Specification]:
    settings = read_settings(folder, problems)
    spec = Specification(
        codebook=load_codebook(settings, problems),
        units=load_units(settings, problems),
        indicators=load_indicators(settings, problems),
        bands=read_bands(folder / "bands.toml", problems),
        rules=read_rules(folder / "rules.toml", problems),
        headcounts=load_headcounts(settings, problems),
        min_group=settings.min_group,
        language=settings.language,
        name=settings.name or folder.name,
        office=settings.office,
        office_en=settings.office_en,
        recipient=settings.recipient,
        recipient_en=settings.recipient_en,
        purpose=settings.purpose,
        fonts=settings.fonts,
    )
    lost = set(spec.headcounts["unit"]) - {"ALL"} - {unit.unit for unit in spec.units.rows}
    if lost and spec.units.rows:
        listed = "、".join(sorted(lost)[:5])
        problems.add("headcounts: unit", "unknown_unit", listed, "units 表中的代码", "改正 (mend it)")
    return settings, spec


def _wave_files(folder: Path) -> dict[str, Path]:
    responses = folder / "responses"
    stems = {path.stem for path in responses.glob("*") if is_period(path.stem)} if responses.is_dir() else set()
    found = {stem: find_file(responses, stem) for stem in stems}
    return {stem: path for stem, path in found.items() if path is not None}


def _asked_by_default(spec: Specification) -> Form:
    return "pulse" if any(node.form == "both" for node in spec.codebook.tree) else "full"


def _read_wave(settings: Settings, spec: Specification, period: str, problems: Problems) -> Survey | None:
    asked: Form = "full" if settings.waves.get(period, _asked_by_default(spec)) == "full" else "pulse"
    source = settings.tables.get("responses", Source())
    path = _wave_files(settings.folder).get(period)
    derive = not spec.units.rows
    if path is not None:
        place = f"responses/{path.name}"
        return survey_of_file(path, spec, period, asked, source, problems, place=place, derive_units=derive)
    if source.path.lower().endswith(".parquet") and not source.sql and settings.inside(settings.folder / source.path):
        found = settings.folder / source.path
        return survey_of_file(found, spec, period, asked, source, problems, derive_units=derive)
    table = read_source(settings, "responses", problems)
    if table is None:
        return None
    return survey_of_table(table, spec, period, asked, source, problems, derive_units=derive)


def _periods_of_table(settings: Settings, problems: Problems) -> set[str]:
    """Return the waves a foreign responses table holds; why it cannot be read goes into ``problems``."""
    source = settings.tables["responses"]
    if not source.path and not source.sql:
        return set()
    table = read_source(settings, "responses", problems)
    if table is None:
        return set()
    mapped = map_columns(table, source, Problems())
    found = set(whole_numbers(mapped.frame["period"])) if "period" in mapped.frame else set()
    lost = sorted(period for period in found if period and not is_period(period))
    if lost or not found:
        advice = "用 constant 或 recode 给出时期 (give the period by constant or recode)"
        problems.add(
            "workspace.toml [tables.responses]", "bad_period", "、".join(lost[:3]) or "没有 period 列", ALLOWED, advice
        )
    return {period for period in found if is_period(period)}


def _file_hash(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _save_sums(path: Path, sums: UnitSums) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_suffix(f".{os.getpid()}.tmp")
    with temporary.open("wb") as file:
        arrays: dict[str, Any] = {
            "axis": np.array(sums.axis),
            "units": np.array(sums.units, dtype="U"),
            "persons": sums.persons,
            "forms": np.array([form for form, _ in sums.cells], dtype="U"),
            "codes": np.array([code for _, code in sums.cells], dtype="U"),
            **sums.sums,
        }
        np.savez_compressed(file, **arrays)
    temporary.replace(path)


def _load_sums(path: Path) -> UnitSums:
    with np.load(path, allow_pickle=False) as stored:
        kept = {name: stored[name] for name in stored.files}
    cells = tuple(zip((str(f) for f in kept.pop("forms")), (str(c) for c in kept.pop("codes")), strict=True))
    units = tuple(str(unit) for unit in kept.pop("units"))
    return UnitSums(str(kept.pop("axis")), units, cells, kept.pop("persons"), kept)
