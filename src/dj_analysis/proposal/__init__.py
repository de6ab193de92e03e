"""A workspace proposed from an office's own files: what is plain is written, what is doubtful is asked."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pandas as pd

from ..errors import Problems, UsageError
from ..file_access import accessing, made
from ..folder import declarations, keying_hints, read_wave, wave_files
from ..measure.intake import identifiers
from ..measure.intake.anonymity import quasi_kind
from ..measure.intake.copies import kept_kind, write_table
from ..measure.intake.sources import raise_for
from ..spec import purpose
from ..spec.codebook import default_codebook
from ..spec.lint import forbidden_subject
from ..spec.periods import parse
from ..spec.settings import MOST_TOGETHER
from ..spec.tables import Table
from .again import Proposal, propose_again
from .book_values import BookDecisions
from .export import read_export
from .indicator_book import propose_indicators, propose_indicators_again
from .next_wave import AddedWave, WaveDecisions, add_wave
from .proposed_columns import Decisions, ProposedColumn, propose_columns
from .proposed_tables import (
    asks_consent,
    kept_columns,
    proposed_nodes,
    unit_names,
    write_proposed_tables,
)
from .summary import ProposalPage

__all__ = [
    "AddedWave", "BookDecisions", "Decisions", "Proposal", "WaveDecisions", "add_wave", "propose_again", "propose_both",
    "propose_indicators", "propose_indicators_again", "propose_workspace",
]  # fmt: skip


def propose_workspace(
    folder: str | Path, source: str | Path, period: str | None = None, decisions: Decisions | None = None
) -> Proposal:
    """Make a workspace from one export; what its columns are is proposed where plain and asked where not.

    Questions of the package's instrument are recognised by their wording. Options in words become a scale in the order the
    words give; where two cannot be told apart, or one that nobody chose may be missing, the question is asked (role
    ``ask`` in codebook.csv, with choices and evidence). The unit is the single choice that asks for it. Numbers are
    ratings only where they stand in a matrix, in a question that rates, or under short codes; numbers of options of age,
    income and the like are groups; 0/1 columns of one question are a multiple choice, places 1 … k a ranking. Open answers
    are not stored, and what was typed beside an option (〖…〗) is cut off. Everything is written, or nothing.

    What is stored is a clean copy of the columns declared. Columns whose name identifies a person are left out. Of the
    columns that together tell who somebody is (age, tenure, sex, education, post, title, employment) at most three are
    kept; ages and tenures given as numbers are put into bands. An export without a question for consent gets
    ``[consent] basis = "notice"`` of the day of its last submission, to be put right by the office. ``PROPOSAL.md`` and
    ``PROPOSAL.en.md`` tell all of it for reading.

    Parameters
    ----------
    folder
        A folder that does not exist yet, or is empty.
    source
        A file as exported by a survey platform.
    period
        The wave; by default the quarter of the last submission.
    decisions
        What is decided already.

    Raises
    ------
    IdentifierError
        The answers themselves hold telephone or card numbers and the like.
    PurposeError
        The export holds records about people: 考核, 奖惩, 积分, 信访, 考勤, 聊天, 定位.
    DataError
        No question could be recognised, or the period cannot be told.
    UsageError
        The folder is not empty; a decision names no column, role or way of making dimensions.
    """
    folder, source = Path(folder), Path(source)
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise UsageError(f"{folder} 不是空文件夹 (the folder is not empty);换一个名字 (choose another)")
    decisions, problems = decisions or Decisions(), Problems()
    export = read_export(source, problems)
    table, answers = export.table, export.answers
    decisions.check([str(name) for name in answers.columns])
    columns = propose_columns(answers, decisions)
    _check_columns(columns, table, answers, source, problems)
    wave = export.wave(period, source, problems)
    raise_for(problems)
    wave = parse(wave).text
    columns, lost = _fewer_quasi(columns)
    notices = (*table.notices, *export.notices, *_notices(lost, columns))
    units = unit_names(columns, answers)
    kept = table.frame[kept_columns(columns, [str(name) for name in table.frame.columns])]
    with (
        accessing(folder),
        tempfile.TemporaryDirectory(prefix=".dj-new-", dir=made(folder.parent)) as place,
    ):
        unfinished = Path(place) / "workspace"
        (unfinished / "responses").mkdir(parents=True)
        write_table(unfinished / "responses" / f"{wave}{kept_kind(source)}", kept)
        write_proposed_tables(unfinished, wave, export.days, columns, units, folder.name)
        notices = (*notices, *_against_others(unfinished))
        nodes, scales, _ = proposed_nodes(columns)
        ProposalPage(columns, answers, export.identifying, nodes, scales, units, notices).write(unfinished)
        if folder.exists():
            folder.rmdir()
        unfinished.rename(folder)
    return Proposal.of(folder, columns, export.identifying, notices)


def propose_both(
    folder: str | Path,
    source: str | Path,
    book: str | Path,
    period: str | None = None,
    decisions: Decisions | None = None,
    of_book: BookDecisions | None = None,
) -> tuple[Proposal, Proposal]:
    """Make a workspace from a survey's export and an office's workbook of indicators, or nothing.

    See :func:`propose_workspace` and :func:`propose_indicators`; units of the workbook are matched with those of the survey.
    """
    folder = Path(folder)
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise UsageError(f"{folder} 不是空文件夹 (the folder is not empty);换一个名字 (choose another)")
    with accessing(folder), tempfile.TemporaryDirectory(prefix=".dj-new-", dir=made(folder.parent)) as place:
        unfinished = Path(place) / folder.name
        survey = propose_workspace(unfinished, source, period, decisions)
        indicators = propose_indicators(unfinished, book, of_book)
        if folder.exists():
            folder.rmdir()
        unfinished.rename(folder)
    return replace(survey, folder=folder), replace(indicators, folder=folder)


def _against_others(folder: Path) -> list[str]:
    """Say which questions run against the others as they were taken: a direction may have to be turned."""
    settings, spec = declarations(folder, problems := Problems())
    waves = list(wave_files(folder))
    survey = read_wave(settings, spec, waves[0], problems) if waves and not problems else None
    return [] if survey is None or problems else keying_hints(survey)


def _check_columns(
    columns: Sequence[ProposedColumn], table: Table, answers: pd.DataFrame, source: Path, problems: Problems
) -> None:
    """Note what may not be stored, and an export in which nothing was rated."""
    used = [c.header for c in columns if c.role in ("item", "group", "unit")]
    known = default_codebook()
    instrument = {node.code for node in (*known.tree.leaves, *known.others)}
    matched = [c.header for c in columns if c.node is not None and c.node.code in instrument]
    recorded = purpose.records([str(name) for name in table.frame.columns], asked=matched)
    looked_at = answers[[c.header for c in columns if c.role != "own_code"]]
    cells_held = identifiers.identifying_cells(looked_at, mapped=used)
    held = {column: (content, column if column in table.frame else "") for column, content in cells_held.items()}
    identifiers.drop_notice(table.place, [], held, recorded, problems, file=identifiers.shown_path(source))
    for column in columns:
        subject = forbidden_subject(column.header) if column.role in ("item", "ask") else None
        if subject:
            allowed = "工作生活状况 (working life)"
            problems.add(f"{table.place}: {column.header}", "forbidden_subject", subject.name, allowed, subject.instead)
    if not any(c.role in ("item", "ask") for c in columns):
        allowed = "同意度、满意度或 1–5、0–10 评分题 (rating questions)"
        advice = "用 dj template 的问卷 (start from dj template),或 --as '列名=item'"
        problems.add(table.place, "no_questions", "没有认出评分题", allowed, advice)


def _fewer_quasi(columns: Sequence[ProposedColumn]) -> tuple[list[ProposedColumn], list[str]]:
    """Keep three of the groups that together tell a person, those of the package's instrument first."""
    known = {node.code for node in default_codebook().groups}
    quasi = [c for c in columns if quasi_kind(c.header) and c.role in ("group", "ask", "text")]
    ordered = sorted(quasi, key=lambda c: c.node is None or c.node.code not in known)
    lost = {column.header for column in ordered[MOST_TOGETHER:]}
    why = "未存:准标识符过多 (not stored: too many quasi-identifiers)"
    kept = [replace(c, node=None, why=why) if c.header in lost else c for c in columns]
    return kept, [column.header for column in quasi if column.header in lost]


def _notices(lost: Sequence[str], columns: Sequence[ProposedColumn]) -> tuple[str, ...]:
    notices = []
    if lost:
        notices.append(
            f"准标识符至多 {MOST_TOGETHER} 个，未存 (too many quasi-identifiers, not stored): {'、'.join(lost)}"
        )
    asked = [c.header for c in columns if c.role == "ask"]
    if asked:
        notices.append(
            f"待决定 {len(asked)} 列，见 PROPOSAL.md (to be decided, see PROPOSAL.en.md): {'、'.join(asked)}"
        )
    if not asks_consent(columns):
        notices.append(
            '未见同意栏，已在 workspace.toml 写入 [consent] basis = "notice",日期和告知方式请改为实际情况'
            " (no consent column: put the date and text of the notice right)"
        )
    return tuple(notices)
