"""The synthetic enterprise: declarations, survey answers, true scores."""

from __future__ import annotations

import shutil
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd
import polars as pl

from ..errors import UsageError
from ..file_access import access_error
from ..judge.human_review import REVIEWED
from ..measure.survey import Survey
from ..spec.periods import parse
from ..spec.specification import Specification
from ..workspace import open_workspace
from . import names, wishes
from .answers import AnswerModel, Wave, draw_answers
from .disputed_values import appeal_tables, planted_appeals, with_first_releases
from .effects import Shifts
from .exports import write_wave
from .files import context_events, write_csv, write_declarations
from .indicators import draw_teams, draw_values
from .layout import Layout, is_full
from .planted_measures import measure_tables, planted_measures
from .score_marks import draw_marks
from .staff import cell_labels
from .truth import wave_truth
from .warning_reviews import planted_reviews

# Of random numbers; exports take the second, branch indicators the third, score sheets the fourth, choices the fifth, mutual
# inspection the sixth, opinions the seventh, reviews of warnings the eighth.
STREAM = 1


@dataclass(frozen=True, eq=False)
class Company:
    """A synthetic enterprise: its declarations, the planted effects, any number of draws of its answers.

    Attributes
    ----------
    seed
        Seed of everything; the answers of ``survey(period)`` are ``draw(period, seed)``.
    periods
        The waves, in order.
    spec
        Codebook, units, headcounts and indicators, as the workspace's files declare them.
    planted
        What was planted: kind, unit, code, period_from, value; empty with ``planted=False``. ``weak_dimension`` and
        ``low_branch``: points of observed score against what the unit would have otherwise; ``trend``: such points a
        wave, none yet in ``period_from``; ``group_effect``: points, about; ``low_response``: rate;
        ``selective_response``: probit slope of answering on mood; ``careless``, ``straightlining``: shares of
        respondents; ``option_raised``: how much likelier its group chooses an option. Among branch indicators
        ``branch_kind``: which of four lasting kinds; ``worst_branch``, ``risen_branch``:
        in spreads of a month, in every indicator; ``much_but_poor``: so many spreads above the usual in the indicators of
        quantity and below it in those of quality; ``appeal_granted``, ``appeal_refused``: by how much the value first
        released was wrong, in the unit of the indicator, at most. ``measure_done``, ``measure_started``, ``measure_late``,
        ``measure_overdue``, ``measure_dropped`` (code: that of the library): what became of a measure for a unit planted low;
        ``raised_by_measure``: points by which a dimension rises in the last wave, in branches that were lowest two waves before.
        Among score sheets, in points: ``team_severity`` (code: the team; positive is
        strict), ``self_bias`` of all, ``inflated_self`` of one branch beyond it, ``clear_bid`` (lead over the second), ``equal_bids``,
        ``strict_inspector`` (a branch among those that inspect each other), ``low_satisfaction`` of people; ``returned_marks``: correlation of
        what two branches give each other; ``lacks_item``: of the four ones. In the review of
        the values ``often_revised``: share that the department raises; ``late_reporter``: days later than others; ``heaped_digits``:
        multiples of this are reported.
    """

    seed: int
    periods: tuple[str, ...]
    spec: Specification
    planted: pd.DataFrame = field(repr=False)
    _model: AnswerModel = field(repr=False)
    _layout: Layout = field(repr=False)
    _shifts: Shifts = field(repr=False)
    _waves: dict[str, Wave] = field(default_factory=dict, repr=False, compare=False)

    @cached_property
    def truth(self) -> pd.DataFrame:
        """Expected observed scores: period, level, unit, form, code, score (0–100).

        What the mean over those who answer is expected to be, with rounding to options, careless answers and selective
        non-response in it, by Gauss–Hermite quadrature over mood. Above the branch it is the mean over branches
        weighted by expected respondents.
        """
        return pd.concat([self._truth(period) for period in self.periods], ignore_index=True)

    def survey(self, period: str) -> Survey:
        """Return the wave with the same answers as the workspace's file, without writing a file."""
        return self.draw(period, self.seed)

    def draw(self, period: str, seed: int) -> Survey:
        """Draw one wave anew: moods, respondents, answers.

        Parameters
        ----------
        period
            One of ``periods``.
        seed
            Non-negative whole number; the same seed gives the same wave, and different periods are independent.
        """
        wave = self._wave(period)
        answers = draw_answers(wave, self._model, np.random.default_rng([seed, parse(period).index, STREAM]))
        if wave.full:
            rng = np.random.default_rng([seed, parse(period).index, wishes.STREAM])
            answers = answers.hstack(wishes.draw_wishes(answers["position"], rng, planted=not self.planted.empty))
        forms = self.spec.codebook.at(period).forms("full" if wave.full else "pulse")
        axes = {"admin": "unit", "line": "line", **{code: code for code in names.GROUPS}}
        return Survey(answers, self.spec, period, forms, axes=axes, consent="notice")

    def write(self, path: str | Path, *, closed: bool = True) -> Path:
        """Write a complete workspace: settings, declarations, 问卷星 exports, branch indicators.

        Its waves are closed, as those of past quarters are; so its reports are no drafts.

        Parameters
        ----------
        path
            A folder that does not exist yet or is empty.
        closed
            False leaves the waves open, as while answers still come in.

        Raises
        ------
        UsageError
            The folder holds something already; nothing is overwritten.
        """
        folder = Path(path)
        if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
            advice = "换一个文件夹或先清空 (not empty: name another folder or empty it)"
            raise UsageError(f"{folder} 已存在且不为空,不会覆盖;{advice}")
        try:
            self._write(folder)
            if closed:
                ws = open_workspace(folder)
                ws.close(self.periods[-1])
                if not self.planted.empty:
                    self._write_reviews(folder, ws.alerts().table)
        except BaseException as error:  # part of an office would be taken for one
            shutil.rmtree(folder, ignore_errors=True)
            if isinstance(error, OSError):
                raise access_error(error, folder) from error
            raise
        return folder

    def _write(self, folder: Path) -> None:
        (folder / "responses").mkdir(parents=True, exist_ok=True)
        write_declarations(folder, self.spec, self._layout, self.seed)
        for back, period in enumerate(reversed(self.periods)):
            write_wave(folder / "responses", self.survey(period), self.seed, back)
        values = draw_values(self.spec.units, self.periods[-1], self.seed, planted=not self.planted.empty)
        appeals = planted_appeals(self.spec.units, self.periods[-1], planted=not self.planted.empty)
        write_csv(folder / "indicator_values.csv", with_first_releases(values, appeals))
        measures = planted_measures([tuple(row) for row in self.planted.itertuples(index=False)], self.periods)
        both = zip(appeal_tables(appeals), measure_tables(measures), strict=True)
        for name, tables in zip(("obligations", "obligation_events"), both, strict=True):
            if appeals or measures:
                write_csv(folder / f"{name}.csv", pd.concat(tables, ignore_index=True))
        write_csv(folder / "context.csv", context_events(self.spec.units, self.periods))
        teams = draw_teams(self.spec.units, self.periods[-1], self.seed, planted=not self.planted.empty)
        write_csv(folder / "teams.csv", teams)
        marks = draw_marks(self.spec.units, self.periods[-1], self.seed, planted=not self.planted.empty)
        write_csv(folder / "ratings.csv", marks)

    def _write_reviews(self, folder: Path, warned: pd.DataFrame) -> None:
        """Add what became of the warnings of every closed wave; nothing where no unit is red or black."""
        warned = warned[warned["warning"].isin(REVIEWED) & warned["level"].isin(self.spec.units.levels)]
        if warned.empty:
            return
        reviews = planted_reviews(warned[["period", "unit"]], self.seed)
        for name, table in zip(("obligations", "obligation_events"), reviews, strict=True):
            path = folder / f"{name}.csv"
            earlier = [pd.read_csv(path, dtype="str", keep_default_na=False)] if path.exists() else []
            write_csv(path, pd.concat([*earlier, table], ignore_index=True))

    def _truth(self, period: str) -> pd.DataFrame:
        codebook, units = self.spec.codebook.at(period), self.spec.units.at(period)
        return wave_truth(self._wave(period), self._model, codebook, units, period)

    def _wave(self, period: str) -> Wave:
        """Return the inputs shared by all draws of a wave, cached because simulations draw thousands."""
        if period not in self.periods:
            raise UsageError(f"没有 {period} 这一期 (no such wave);可用/valid: {', '.join(self.periods)}")
        if period not in self._waves:
            questions, full = self._model.questions, is_full(period)
            tree = self.spec.codebook.at(period).tree.in_form("full" if full else "anchors")
            rows = [questions.codes.index(leaf.code) for leaf in tree.leaves]
            labels = pl.Series("unit", cell_labels(self._layout, self._model.staff, self.spec.units, period))
            shift = self._shifts[self.periods.index(period)][:, rows]
            self._waves[period] = Wave(questions.take(rows), shift, labels, full)
        return self._waves[period]
