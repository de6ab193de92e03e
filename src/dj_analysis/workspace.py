"""A folder with one office's data, declarations, store and record."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import date
from functools import cached_property, partial
from pathlib import Path
from typing import Any, Literal

import pandas as pd

from .errors import DataError, DjWarning, Problems, SpecError, UsageError, unknown
from .file_access import open_books, open_notice
from .folder import (
    asked_by_default,
    check_folder,
    declarations,
    fingerprint,
    open_questions,
    periods_of_table,
    read_wave,
    wave_files,
)
from .judge.change import compare
from .judge.pairs import Pairs, pair
from .measure.basis import Basis, basis_of
from .measure.crossnames import is_cross
from .measure.intake.indicator_values import indicators_of
from .measure.intake.sources import raise_for
from .measure.pairing import has_pseudonyms
from .measure.places import chosen
from .measure.scores import Scores
from .measure.survey import Survey, WithheldRows
from .measure.survey_scores import scores_of_sums
from .publish.edits import Edits, notebook_of, origin_of, take_edits
from .publish.handed_answers import Waves, handed_over
from .publish.named_numbers import NamedNumbers
from .publish.notebooks import (
    Exported,
    Run,
    document_as_written,
    export_notebook,
    period_and_unit,
    report_folder,
    run_notebook,
    telling_earlier_files,
    texts_path,
    workspace_of,
)
from .publish.parameters import OF_SURVEYS, reports
from .publish.scope import Scope
from .record import Record
from .release import closing, counting
from .release.costs import costs
from .release.history import History
from .release.mask import Mask
from .release.plan import ReleasePlan, what_differs
from .release.protect import Protected, protect
from .release.sheets import row_table, rows_holding, tally
from .release.store import WAVES_HELD, Kept, Store
from .release.waves import (
    context_plans,
    indicator_plans,
    legacy_plans,
    obligation_plans,
    rating_plans,
    survey_mask,
    survey_plans,
)
from .spec.periods import order, parse, up_to, within
from .spec.settings import FLOOR, Language, Source
from .spec.units import ALL, Units
from .unit_tables import UnitTables
from .warning_history import WarningHistory

WAVES_KEPT = 2  # read waves held in memory: a report looks at a wave and the one before it


class Workspace(UnitTables, WarningHistory):
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
        self.settings, self.spec = declarations(self.folder, problems)
        problems.raise_if_any(SpecError)
        if lang is not None:
            self.spec = self.spec.speaking(lang)
        self.record = Record(self.folder / ".dj" / "record.sqlite")
        self.record.finish_interrupted()  # what an interrupted run entered is finished first
        self.store = Store(self.folder / ".dj")
        self.history = History(self.record, self.store)
        for name in open_books(self.folder):
            warnings.warn(open_notice(name), DjWarning, stacklevel=3)

    @property
    def units(self) -> Units:
        """Every unit tree, every span of time; ``.table``, ``.levels``."""
        return self.spec.units

    @cached_property
    def periods(self) -> list[str]:
        """Waves that have answers, in order."""
        periods = set(wave_files(self.settings.folder)) | set(self.history.closed)
        if "responses" in self.settings.tables:
            periods |= periods_of_table(self.settings, Problems())
        return order(sorted(periods))

    def survey(self, period: str) -> Survey:
        """Read and check one wave: all answers while it is open, those it was closed with afterwards.

        Raises
        ------
        UsageError
            No such wave; names those there are.
        DataError
            Everything wrong with its file, in one table; or answers of a closed wave that are gone or were changed.
        """
        survey = self._read(period)
        if (frozen := self.history.frozen(period)) is not None:
            survey = self._as_closed(survey, frozen)
        for notice in survey.notices:
            warnings.warn(notice, DjWarning, stacklevel=2)
        return replace(survey, withheld=self._withheld(period))

    def released(self, period: str) -> Survey:
        """Return the answers that reports of a wave rest on: those of :meth:`survey`, once something of an open wave was sent
        without those that do not count yet.

        For what is computed from answers and not from their sums: screening, reliability, comparability.
        """
        survey = self.survey(period)
        if self.history.frozen(period) is None and self.history.releases(period):
            rows = row_table(survey, self.store.secret)
            survey = chosen(survey, rows_holding(rows, tally(self._counted(period).rows)))
        return survey

    def pairs(self, period: str, before: str) -> Pairs | None:
        """Return who linked themselves over two waves, for :func:`dj_analysis.compare`; None where nobody can be or the answers are gone.

        They are counted among the answers the reports of both waves rest on (:meth:`released`).
        """
        closed = [self.history.frozen(wave) or {} for wave in (period, before)]
        if any(one.get("pseudonyms") is False for one in closed):  # known without reading the answers
            return None
        if not (self.has_answers(period) and self.has_answers(before)):
            return None
        waves = [self.released(period), self.released(before)]
        return pair(*waves) if all(has_pseudonyms(wave) for wave in waves) else None

    def scores(self, period: str, by: str | Sequence[str | Sequence[str]] | None = None) -> Scores:
        """Score one wave from the store of sums, filling it from the answers when it is not there yet.

        Parameters
        ----------
        by
            As in :func:`dj_analysis.score`; by default every level of every tree the wave has a column for, and every
            declared group column, one at a time.
        """
        self._known_period(period)
        kept = self._kept(period)
        if by is None and self._scored.get(period, (None, None))[0] is kept:
            return _own_copy(self._scored[period][1])
        scores = self._scores_anew(period, kept, by)
        if by is None:
            while len(self._scored) >= WAVES_HELD:
                self._scored.pop(next(iter(self._scored)))
            self._scored[period] = kept, scores
            return _own_copy(scores)
        return scores

    @cached_property
    def _scored(self) -> dict[str, tuple[Kept, Scores]]:
        """Scores of the waves asked for last, with the sums they are of: a report asks for the same several times."""
        return {}

    def _scores_anew(self, period: str, kept: Kept, by: str | Sequence[str | Sequence[str]] | None) -> Scores:
        shell, sums = self._shell(period), kept.sums
        if by is None:
            trees = [tree for tree in self.units.at(period).trees if tree in sums]
            by = [level for tree in trees for level in self.units.levels if self.units.tree_of(level) == tree]
            by += [axis for axis in sums if axis not in self.units.trees and not is_cross(axis)]
        return scores_of_sums(sums, shell, by)

    def release_plan(self, period: str) -> ReleasePlan:
        """Return which rows of a period, and of those before it, may be seen: of surveys, branch indicators and ratings.

        A closed wave has the plan it was closed with; an open one's is computed and not stored. Branch indicators and
        ratings need no closing.
        """
        if period not in self._plans:
            plans = survey_plans(self.until(period), self.spec, self.history, self._kept, self._mask)
            months = up_to(self.indicator_periods, period)
            plans |= indicator_plans([indicators_of(self._indicator_values.now, self.spec, one) for one in months])
            plans |= rating_plans(self._all_ratings, period)
            plans |= legacy_plans(self.legacy())
            plans |= context_plans(self.context())
            plans |= obligation_plans(self._all_obligations, period)
            self._plans[period] = ReleasePlan(period, max(self.spec.min_group, FLOOR), plans, self.store.secret)
        return self._plans[period]

    def release_costs(self, period: str) -> pd.DataFrame:
        """Tell what disclosure control costs in a wave, before it is closed: by unit tree, group column and cross-classification.

        Returns
        -------
        DataFrame
            breakdown, parts (units, categories or cells with somebody in them), shown, hidden (too few people), protecting (hidden so
            that no other can be computed), questions (parts not shown for single questions), people (in parts that are
            not shown), left_out (the breakdown cannot be proved safe and is left out whole).
        """
        self._known_period(period)
        return costs(self._mask(period), self._kept(period).sums, self.spec, period)

    def close(self, period: str, *, correct: str = "") -> None:
        """Close a wave: from now on it rests on the answers there are, its plan is fixed, and its reports are no drafts.

        Waves before it that are still open are closed with it: its reports show them. Answers that come later are tally
        in the supplementary register (补报登记) by closing again, and change nothing.

        Parameters
        ----------
        correct
            Reason of a correction (更正说明): a closed wave is computed anew for the units in which at least min_group
            answers changed; the others keep what was published.

        Raises
        ------
        UsageError
            No such wave; it is closed and nothing came later; or a correction of an open wave.
        DataError
            The basis of processing is not told: neither a column consent_use nor ``[consent]`` in workspace.toml.
        """
        self.store.check_key()
        waves = [period] if correct else [*(w for w in self.until(period) if self.is_draft(w) and w != period), period]
        for wave in waves:  # a report shows the waves before it: they leave with it
            closing.close_wave(self._read(wave), self.history, self.settings.consent, correct=correct)
        for kept in (self._plans, self._after_sent, self._masks, self._scores_of_units, self._scored):
            kept.clear()
        self.__dict__.pop("periods", None)

    def withdraw(self, period: str, number: str = "") -> int:
        """Delete the answers of a person who withdraws; returns how many answer sheets went.

        They leave everything computed from then on. Sums of a closed wave, and what was published, stay: an old mean, a new
        mean and n would give the answers away.

        Parameters
        ----------
        number
            Serial number (序号) or pseudonym (respondent) in the wave's file. Without it, sheets that were deleted by hand,
            or in the database they come from, are registered as withdrawn.
        """
        self.store.check_key()
        before = row_table(self._read(period), self.store.secret)
        if number:
            path = wave_files(self.folder).get(period)
            if path is None:
                raise UsageError(
                    f"{period} 不是 responses/ 中的文件,请在来源处删除后再登记 (delete it where it comes from)"
                )
            closing.delete_answers(path, self.settings.tables.get("responses", Source()).sheet, number)
        return closing.register_withdrawal(before, self._read(period), self.history)

    def overdue(self, period: str, asof: date) -> bool:
        """Tell whether the answers of a wave are older than they may be kept."""
        end = parse(period).end
        months = (asof.year - end.year) * 12 + asof.month - end.month - (asof.day < end.day)
        return months >= self.settings.retention

    def purge(self, asof: date, period: str = "") -> list[str]:
        """Delete the answers of closed waves that are older than they may be kept, or those of one wave now.

        Returns
        -------
        list
            The waves whose answers went; their sums stay, and the record keeps the hash of each file.

        Raises
        ------
        UsageError
            A wave without stored sums; nothing was deleted.
        """
        files = wave_files(self.folder)
        due = [period] if period else [wave for wave in files if self.overdue(wave, asof)]
        for wave in due:
            self._known_period(wave)
            if self.history.frozen(wave) is None:
                raise UsageError(f"{wave} 尚未关闭,不能删除 (not closed): dj close --period {wave}")
            if wave not in files:
                raise UsageError(f"{wave}: responses/ 中没有答卷文件可删除 (no file of answers to delete)")
        for wave in due:
            closing.purge_answers(wave, files[wave], self.history)
        return due

    def has_answers(self, period: str) -> bool:
        """Tell whether the answers a wave's reports rest on are all there, as they were released.

        After ``dj purge`` only its sums are; after a withdrawal or a correction what is computed from single sheets would
        be told apart from what was published before.
        """
        if period not in self.periods or self.history.purged(period):
            return False
        if self._answers_lost(period):
            gone = "关闭时的答卷文件不在,按答卷计算的内容略去 (its file of answers is gone: what is computed from single sheets is left out)"
            warnings.warn(f"responses/{period}.*: {gone}", DjWarning, stacklevel=2)
            return False
        planned = Basis("survey", period, self.spec, self._kept(period).sums)
        return not self.history.releases(period) or not what_differs(basis_of(self.released(period))[0], planned)

    def is_draft(self, period: str) -> bool:
        """Tell whether reports of a period are drafts still: its wave is not closed."""
        return period in self.periods and self.history.frozen(period) is None

    def until(self, period: str) -> list[str]:
        """Return the waves up to and including a period, in order."""
        return up_to(self.periods, period)

    def check(self) -> Problems:
        """Read everything there is and return every problem found, in one table."""
        return check_folder(self.folder)

    def unit(self, text: str) -> str:
        """Return the code of a unit given by code, name or alias; ``ALL`` is the whole."""
        return self.units.find(text)

    def run_report(self, report: str, *, period: str, unit: str = "ALL", sent: bool = False, **options: Any) -> Run:
        """Run one report of this workspace; see :func:`dj_analysis.run_report`."""
        if report in OF_SURVEYS and not self.periods and self.indicator_periods:
            others = ", ".join(name for name in reports() if name not in OF_SURVEYS)
            raise UsageError(
                f"{report} 是问卷的报告,本工作区只有支部指标 (a report of surveys; this workspace holds branch indicators only);"
                f"可用/valid: {others}; 时期/periods: {self.indicator_periods[0]} … {self.indicator_periods[-1]};"
                f" dj report benchmark {self.folder.name} --period {self.indicator_periods[-1]}"
            )
        if not within(period, self.periods) and not within(period, self.indicator_periods):
            raise unknown("时期/period", period, [*self.periods, *self.indicator_periods])
        open_questions(self.spec).raise_if_any(DataError)
        code = self.unit(unit)
        self._check_exists(code, period)
        with telling_earlier_files(report, period, code, report_folder(self.folder, options.get("out"))):
            self.store.check_key()
            for wave in self.until(period):  # in the store before the kernel asks for them: answers are summed once
                self._kept(wave)
            return run_notebook(
                report, folder=self.folder, spec=self.spec, record=self.record, period=period, unit=code,
                plan=self.release_plan, answers=partial(self._answers_of, period, code),
                sent=self._snapshots(period) if sent else (), entered=self._entered,
                corrections=self.history.corrections(period), numbers=self._numbers(period, code), **options,
            )  # fmt: skip

    def export(
        self,
        notebook: Path,
        *,
        formats: Sequence[str] = ("html", "pdf"),
        template: str | Path | None = None,
        out: Path | None = None,
        sent: str = "",
    ) -> Exported:
        """Export an executed notebook without running it; see :func:`dj_analysis.publish.notebooks.export_notebook`.

        Parameters
        ----------
        sent
            A period: the open waves up to it leave with this export, which then counts as published.
        """
        return export_notebook(
            notebook, formats=formats, folder=self.folder, spec=self.spec, record=self.record, plan=self.release_plan,
            sent=self._snapshots(sent) if sent else (), entered=self._entered, corrections=self.history.corrections,
            numbers=self._numbers, template=template, out=out,
        )  # fmt: skip

    def take_edits(self, file: Path, notebook: Path | None = None) -> Edits:
        """Bring what was changed in a Word file of a report back into ``texts/{period}/{unit}.md``.

        Parameters
        ----------
        file
            The file as Word or WPS saved it.
        notebook
            The kept notebook it was written from; by default the one beside it, or the one of the run that the file names.
        """
        if not file.exists():
            raise UsageError(f"文件不存在 (no such file): {file}")
        event = origin_of(file, self.record)
        kept = notebook or notebook_of(file, event, self.folder)
        _, language = workspace_of(kept)
        ws = self if language == self.spec.language else Workspace(self.folder, language)  # type: ignore[arg-type]
        period, unit = period_and_unit(kept)
        document, named = document_as_written(kept, ws.spec, ws.release_plan(period), ws.history.corrections(period))
        report = event.get("report", named)
        path = texts_path(self.folder, period, unit)
        return take_edits(file, document, report=report, path=path, numbers=ws._numbers(period, unit), event=event)

    def _numbers(self, period: str, unit: str) -> NamedNumbers:
        """Return the numbers that an author's own paragraphs about a unit may name; none where there is no survey."""
        if period not in self.periods:
            return NamedNumbers(unit, (), self.spec)
        codes = [*self.codes(period, "index"), *self.codes(period, "dimension")]
        return NamedNumbers(unit, codes, self.spec, partial(self._named_results, period))

    def _named_results(self, period: str) -> dict[str, Protected | None]:
        plan, scores = self.release_plan(period), self.scores(period)
        earlier = {"change": self.earlier(period), "year": self.earlier(period, years=1)}
        safe = protect(scores, plan)
        results: dict[str, Protected | None] = {"scores": safe, "response": safe.part("response")}
        for name, wave in earlier.items():
            results[name] = (
                protect(compare(scores, self.scores(wave), self.pairs(period, wave)), plan) if wave else None
            )
        change = results["change"]
        return results | {"change_response": change.part("response") if change is not None else None}

    def _snapshots(self, period: str) -> list[dict[str, Any]]:
        """Keep what a draft that goes out rests on, for every open wave it may show."""
        open_waves = [wave for wave in self.until(period) if self.is_draft(wave)]
        if not open_waves:
            raise UsageError(f"{period} 已关闭,不是草稿 (it is closed: its reports are no drafts)")
        return [closing.snapshot(self._read(wave), self.history, self.settings.consent) for wave in open_waves]

    def _entered(self, plan: ReleasePlan, waves: Sequence[str]) -> list[dict[str, Any]]:
        return closing.shown_under(plan, waves, self.history)

    def __repr__(self) -> str:
        return (
            f"Workspace({self.spec.name or self.folder.name}: {len(self.periods)} waves, {len(self.units.rows)} units)"
        )

    def codes(
        self, period: str, role: Literal["item", "dimension", "index", "group"], form: str = "anchors"
    ) -> list[str]:
        """Return the codes of a role in a wave: items below the index, its dimensions, the index, or group columns."""
        return self.spec.codes(period, role, form)

    def scope(self, unit: str, period: str) -> Scope:
        """Return what a report about a unit covers: units, levels, codes, names; of a wave or of months of branch indicators."""
        if period not in self.periods:
            return Scope(self.unit(unit), period, self.spec)
        groups = tuple(a for a in self._kept(period).sums if a not in self.units.trees and not is_cross(a))
        form, waves = self._shell(period).forms[-1], len(self.until(period))
        return Scope(self.unit(unit), period, self.spec, form, waves, groups, self.earlier(period) or "")

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

    def _read(self, period: str) -> Survey:
        self._known_period(period)
        if self.history.purged(period):
            raise DataError(f"{period} 的答卷已按期删除,只留汇总 (its answers were purged; the sums are kept)")
        if self._answers_lost(period):
            problems = Problems()
            advice = (
                "从备份恢复该文件;没有也可出报告和 ws.scores,但不能按答卷计算、更正、撤回、登记补报"
                " (restore it from the backup; reports and ws.scores do without, what is computed from single sheets, corrections,"
                " withdrawals and late answers do not)"
            )
            found = f"{period} 已关闭,答卷文件不在 (closed, and its file of answers is gone)"
            problems.add(
                f"responses/{period}.*", "answers_gone", found, "关闭时的文件 (the file it was closed with)", advice
            )
            raise DataError(problems=problems)
        if self.settings.tables.get("responses", Source()).sql:
            return self._read_anew(period)  # to learn whether a database has changed is to read it
        key = self._key(period)
        if key not in self._waves_read:
            while len(self._waves_read) >= WAVES_KEPT:
                self._waves_read.pop(next(iter(self._waves_read)))
            self._waves_read[key] = handed_over(key, self.spec) or self._read_anew(period)
        return self._waves_read[key]

    def _key(self, period: str) -> tuple[str, str]:
        """Return what decides the content of a wave that is read from a file."""
        return period, fingerprint(self.settings, self.spec, period)

    def _answers_of(self, period: str, unit: str) -> Waves:
        """Read the waves that a report may ask for: its own, and the one before where the whole is compared with it."""
        if self.settings.tables.get("responses", Source()).sql:
            return {}
        asked = [period, self.earlier(period)] if unit == ALL else [period]
        there = [wave for wave in asked if wave in self.periods and not self._answers_gone(wave)]
        waves = {self._key(wave): self._read(wave) for wave in there}
        return {key: survey for key, survey in waves.items() if survey.spec is self.spec}

    def _read_anew(self, period: str) -> Survey:
        problems = Problems()
        survey = read_wave(self.settings, self.spec, period, problems)
        raise_for(problems)
        assert survey is not None, "a wave that cannot be read is a problem"
        return survey

    def _as_closed(self, survey: Survey, frozen: dict[str, Any]) -> Survey:
        """Return the answers that count in a closed wave; picked once for the waves read last."""
        read, by, counting = self._closed_waves.get(survey.period, (None, None, survey))
        if read is not survey or by != frozen:
            counting = closing.as_closed(survey, self.store, frozen)
            while len(self._closed_waves) >= WAVES_KEPT:
                self._closed_waves.pop(next(iter(self._closed_waves)))
            self._closed_waves[survey.period] = survey, frozen, counting
        return counting

    @cached_property
    def _closed_waves(self) -> dict[str, tuple[Survey, dict[str, Any], Survey]]:
        return {}

    @cached_property
    def _waves_read(self) -> dict[tuple[str, str], Survey]:
        """The waves read last, by what decides their content: a report asks for the same answers several times."""
        return {}

    def _answers_gone(self, period: str) -> bool:
        """Tell whether a wave's answers were deleted in time or are lost."""
        return self.history.purged(period) or self._answers_lost(period)

    def _answers_lost(self, period: str) -> bool:
        """Tell whether a closed wave's file of answers is not there, and nothing else holds them."""
        source = self.settings.tables.get("responses", Source())
        return not source.path and not source.sql and period not in wave_files(self.folder)

    def _check_exists(self, unit: str, period: str) -> None:
        """Refuse a report about a unit in a period in which it does not exist, and tell when it did and what it became."""
        if unit in self.units.at(period):
            return
        spans = [one for one in self.units.rows if one.unit == unit]
        told = "、".join(f"{one.valid_from or '…'}—{one.valid_to or '…'}" for one in spans)
        later = "、".join(dict.fromkeys(one.became for one in spans if one.became))
        became = f";并入 {later} (now part of {later})" if later else ""
        raise UsageError(f"{unit} 在 {period} 不存在 (does not exist in {period});存续期/valid: {told}{became}")

    def _known_period(self, period: str) -> None:
        if period not in self.periods:
            raise unknown("时期/period", period, self.periods)

    @cached_property
    def _plans(self) -> dict[str, ReleasePlan]:
        return {}

    @cached_property
    def _masks(self) -> dict[str, Mask]:
        return {}

    def _mask(self, period: str) -> Mask:
        """Return what may be seen of one wave by itself."""
        if period not in self._masks:
            self._masks[period] = survey_mask(period, self._kept(period), self.spec, self.history, self._counted)
        return self._masks[period]

    def _withheld(self, period: str) -> Mapping[str, frozenset[tuple[str, str]]]:
        """Return the rows of a wave that take no part where units are judged together; decided when they are asked for."""
        return WithheldRows(period, lambda: frozenset(self._mask(period).hidden))

    def _counted(self, period: str) -> counting.Counted:
        """Return what an open wave rests on after a draft of it was sent."""
        if period not in self._after_sent:
            self._after_sent[period] = counting.count_sheets(
                self._read(period), self.store, self.history.releases(period)
            )
        return self._after_sent[period]

    @cached_property
    def _after_sent(self) -> dict[str, counting.Counted]:
        return {}

    def _shell(self, period: str) -> Survey:
        """Return what a wave asked, without its rows."""
        asked = self.settings.waves.get(period, asked_by_default(self.spec))
        forms = self.spec.codebook.at(period).forms("full" if asked == "full" else "pulse")
        axes = {axis: axis for axis in self._kept(period).sums}
        return Survey(None, self.spec, period, forms, axes, withheld=self._withheld(period))

    def _kept(self, period: str) -> Kept:
        """Return a wave's sums: those it was closed with, else those of the answers there are, from the store if they are there."""
        frozen = self.history.frozen(period)
        if frozen is None and self.history.releases(period):
            return self._counted(period).kept
        key = frozen["store"] if frozen else f"{period}-{fingerprint(self.settings, self.spec, period)}"
        sums = self.store.find(key)
        if sums is None and frozen is not None:
            raise DataError(f".dj/store: {period} 的汇总已丢失 (the sums of a closed wave are gone): {key}")
        if sums is None:
            sums = counting.sums_of(self._read(period))
            self.store.keep(key, sums)
        return sums


def _own_copy(result: Any) -> Any:
    """Return a result whose tables can be changed without changing those of the result it is a copy of."""
    parts = {name: _own_copy(part) for name, part in result.parts.items()}
    return replace(result, table=result.table.copy(deep=False), parts=parts)


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
    template: str | Path | None = None,
    out: str | Path | None = None,
    lang: Language | None = None,
    sent: bool = False,
    **parameters: Any,
) -> Run:
    """Run one report on a workspace and export it.

    While its wave is not closed a report is a draft: marked as one, under ``drafts/``, and nothing is fixed by it.

    Parameters
    ----------
    report
        Name of a report notebook; ``dj list`` shows them.
    workspace
        The workspace's folder.
    period, unit
        What the report is about; ``ALL`` is the whole. A unit may be named by code, name or alias.
    formats
        Of html, pdf, docx, pptx and xlsx; the executed notebook is kept beside them.
    template
        The office's own Word file; its page, styles, head and foot are taken over by the report in Word.
    out
        Report folder, ``<workspace>/reports`` by default; files are ``{period}/{report}/{unit}.{ext}`` below it.
    lang
        ``zh`` or ``en``; the workspace's own language by default.
    sent
        This draft goes out: it counts as published, and what follows must not tell about its difference.
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

    Examples
    --------
    >>> run = dj.run_report("quarterly", folder, period="2026Q3", formats=["html"])
    >>> run.files["html"].relative_to(folder).as_posix()
    'reports/drafts/2026Q3/quarterly/ALL.html'
    """
    if lang not in (None, "zh", "en"):
        raise unknown("语言/lang", lang, ("zh", "en"))
    ws = open_workspace(workspace, lang)
    return ws.run_report(
        report, period=period, unit=unit, sent=sent, formats=formats, template=template, out=out, **parameters
    )
