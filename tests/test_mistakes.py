"""Mistakes by hand and refusals of the system: one line with the next step, nothing half-written, nothing earlier lost."""

from __future__ import annotations

import builtins
import errno
import io
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
import warnings
from collections.abc import Callable
from datetime import date
from pathlib import Path

import nbformat
import pandas as pd
import pytest
from offices import PERIOD, office, people, shown, without_a_kernel, write_wave

import dj_analysis as dj
from dj_analysis import file_access
from dj_analysis.audit import audit_workspace
from dj_analysis.cli import main
from dj_analysis.errors import AccessError, DataError, DjError, DjWarning, Problems, UsageError
from dj_analysis.folder import check_folder, check_with_hints
from dj_analysis.publish import notebooks
from dj_analysis.record import Record

ADVICE = {
    "disk_full": "腾出空间后重新运行",
    "read_only": "移到可写的文件夹",
    "open_elsewhere": "关闭 Excel",
    "no_access": "关闭打开它的程序",
}


def contents(folder: Path) -> dict[str, bytes]:
    """Every file below a folder; the store of sums may grow by what can be computed again."""
    files = (path for path in sorted(folder.rglob("*")) if path.is_file() and "store" not in path.parts)
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *words: object) -> tuple[int, str]:
    """Run a command; its exit code and what it says on standard error."""
    monkeypatch.setattr(sys, "argv", ["dj", *map(str, words)])
    with pytest.raises(SystemExit) as stop:
        main()
    said = capsys.readouterr().err
    assert "Traceback" not in said
    return int(stop.value.code or 0), said


def one_line(said: str, rule: str) -> None:
    errors = [line for line in said.splitlines() if line.startswith("错误/error")]
    assert len(errors) == 1, said
    assert f"[{rule}]" in errors[0]
    assert ADVICE.get(rule, "") in errors[0]


@pytest.fixture
def refusing(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Let the system refuse to write, move or delete files whose path holds a text."""

    def refuse(number: int, part: str = "", *, reading: bool = False, moving: bool = True) -> None:
        opened, moved, unlinked = io.open, os.replace, os.unlink

        def refused(path: object) -> None:
            if part in os.fspath(path):  # type: ignore[call-overload]
                raise OSError(number, os.strerror(number), os.fspath(path))  # type: ignore[call-overload]

        def opening(file: object, mode: str = "r", *arguments: object, **named: object) -> object:
            if isinstance(file, (str, Path)) and (reading or set(mode) & set("wax+")):
                refused(file)
            return opened(file, mode, *arguments, **named)  # type: ignore[call-overload]

        def moving_to(source: object, target: object, **named: object) -> None:
            if moving:
                refused(target)
            moved(source, target, **named)  # type: ignore[call-overload]

        def unlinking(path: object, **named: object) -> None:
            if not os.fspath(path).endswith(".tmp"):  # type: ignore[call-overload]
                refused(path)
            unlinked(path, **named)  # type: ignore[call-overload]

        monkeypatch.setattr(io, "open", opening)
        monkeypatch.setattr(builtins, "open", opening)
        monkeypatch.setattr(os, "replace", moving_to)
        monkeypatch.setattr(os, "unlink", unlinking)

    return refuse


@pytest.fixture
def export(tmp_path: Path) -> Path:
    """An export that `dj new` and `dj add` read."""
    table = people().drop(columns="unit").assign(提交答卷时间="2026/8/3 10:00:00")
    named = {"Q1": "1、我的工作量合适", "Q2": "2、我能按时完成工作", "Q3": "3、上级听取意见", "Q4": "4、同事互相帮助"}
    degree = dict(enumerate(("非常不同意", "不同意", "一般", "同意", "非常同意"), start=1))
    for code in named:
        table[code] = table[code].map(degree)
    path = tmp_path / "export.csv"
    table.rename(columns=named | {"age_band": "5、您的年龄段"}).to_csv(path, index=False, encoding="utf-8-sig")
    return path


# --- What the system refuses ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("number", "rule"),
    [(errno.ENOSPC, "disk_full"), (errno.EDQUOT, "disk_full"), (errno.EROFS, "read_only"), (errno.EBUSY, "open_elsewhere"),
     (errno.EACCES, "no_access"), (errno.EPERM, "no_access"), (errno.ENOENT, "missing_file"), (errno.EIO, "device"),
     (errno.ELOOP, "unreadable")],
)  # fmt: skip
def test_each_refusal_has_its_rule_and_next_step(number: int, rule: str):
    error = file_access.access_error(OSError(number, os.strerror(number), "a.csv"))
    (problem,) = error.problems
    assert (problem.place, problem.rule) == ("a.csv", rule)
    assert problem.found
    assert problem.advice


@pytest.mark.parametrize(("winerror", "rule"), [(32, "open_elsewhere"), (33, "open_elsewhere"), (112, "disk_full")])
def test_refusals_of_windows_are_told_by_its_own_numbers(winerror: int, rule: str):
    error = PermissionError(errno.EACCES, "being used by another process", "a.xlsx")
    error.winerror = winerror  # type: ignore[attr-defined]
    assert file_access.refusal(error)[0] == rule


@pytest.mark.parametrize(("number", "rule"), [(errno.ENOSPC, "disk_full"), (errno.EROFS, "read_only")])
def test_new_on_a_disk_that_is_full_or_read_only_writes_nothing(
    tmp_path: Path, export: Path, refusing, monkeypatch, capsys, number: int, rule: str
):
    place = tmp_path / "place"
    place.mkdir()
    refusing(number, "codebook.csv")
    code, said = run(monkeypatch, capsys, "new", place / "w", "--from", export)
    assert code == 2
    one_line(said, rule)
    assert not list(place.iterdir())


def test_add_is_undone_where_one_of_its_files_is_open(tmp_path: Path, export: Path, refusing, monkeypatch, capsys):
    folder = tmp_path / "w"
    dj_new = ("new", folder, "--from", export)
    assert run(monkeypatch, capsys, *dj_new)[0] == 0
    later = export.with_name("later.csv")
    text = export.read_text("utf-8-sig").replace("2026/8/3", "2026/11/3").replace("上级听取意见", "上级会听取意见")
    later.write_text(text, "utf-8-sig")
    before = contents(folder)
    refusing(errno.EACCES, "responses/2026Q4.csv")
    header = next(row for row in before["codebook.csv"].decode("utf-8-sig").splitlines() if "上级听取意见" in row)
    reworded = ("--replaced", f"3、上级会听取意见={header.split(',')[0]}")
    code, said = run(monkeypatch, capsys, "add", folder, "--from", later, *reworded)
    assert code == 2
    one_line(said, "no_access")
    assert contents(folder) == before
    monkeypatch.undo()
    assert run(monkeypatch, capsys, "add", folder, "--from", later, *reworded)[0] == 0
    assert (folder / "responses" / "2026Q4.csv").exists()
    assert contents(folder)["codebook.csv"] != before["codebook.csv"]


def test_a_store_that_cannot_be_written_leaves_no_part_of_a_wave(tmp_path: Path, refusing):
    folder = office(tmp_path / "office", people())
    refusing(errno.ENOSPC, ".done")
    with pytest.raises(AccessError, match=r"磁盘已满.*腾出空间"):
        dj.open_workspace(folder).scores(PERIOD)
    assert not list((folder / ".dj").rglob("*.tmp"))
    assert not list((folder / ".dj").rglob("*.done"))


def test_a_full_disk_at_closing_leaves_the_wave_open(tmp_path: Path, refusing, monkeypatch, capsys):
    folder = office(tmp_path / "office", people())
    refusing(errno.ENOSPC, ".mask.json")
    code, said = run(monkeypatch, capsys, "close", folder, "--period", PERIOD)
    assert code == 2
    one_line(said, "disk_full")
    monkeypatch.undo()
    assert dj.open_workspace(folder).is_draft(PERIOD)
    dj.open_workspace(folder).close(PERIOD)
    assert audit_workspace(dj.open_workspace(folder)).passed


@pytest.fixture
def room(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """Let databases have room for so many pages: beyond it SQLite finds the disk full."""
    connect = sqlite3.connect

    def limit(pages: int) -> None:
        def connected(*arguments: object, **named: object) -> sqlite3.Connection:
            connection = connect(*arguments, **named)  # type: ignore[call-overload]
            connection.execute(f"PRAGMA max_page_count = {pages}")
            return connection

        monkeypatch.setattr(sqlite3, "connect", connected)

    return limit


def test_a_full_database_is_one_error_and_no_event_is_lost(tmp_path: Path, room):
    record = Record(tmp_path / ".dj" / "record.sqlite")
    record.append("note", {"text": "short"})
    room(40)
    with pytest.raises(AccessError, match=r"record\.sqlite.*磁盘已满"):
        record.append("note", {"text": "x" * 500_000})
    assert len(record.events) == 1
    record.verify()


def test_a_full_disk_while_files_leave_keeps_those_before(tmp_path: Path, refusing, monkeypatch, capsys):
    without_a_kernel(monkeypatch)
    folder = office(tmp_path / "office", people())
    report = ("report", "quarterly", folder, "--period", PERIOD)
    assert run(monkeypatch, capsys, *report)[0] == 0
    before = contents(folder)
    refusing(errno.ENOSPC, "ALL.pdf", moving=False)
    code, said = run(monkeypatch, capsys, *report)
    assert code == 2
    one_line(said, "disk_full")
    assert "未改动 (no report was made" in said
    assert {name: text for name, text in contents(folder).items() if "sqlite" not in name} == {
        name: text for name, text in before.items() if "sqlite" not in name
    }
    assert len(dj.open_workspace(folder).record.runs) == 1


def test_a_report_open_in_a_reader_is_told_before_anything_is_entered(tmp_path: Path, monkeypatch, capsys):
    """Windows refuses to rename a file that is open, even to itself."""
    without_a_kernel(monkeypatch)
    folder = office(tmp_path / "office", people())
    report = ("report", "quarterly", folder, "--period", PERIOD)
    assert run(monkeypatch, capsys, *report)[0] == 0
    before, rename = contents(folder), os.rename

    def renaming(source: object, target: object, **named: object) -> None:
        if source == target and str(source).endswith(".pdf"):
            error = PermissionError(errno.EACCES, "being used by another process", str(source))
            error.winerror = 32  # type: ignore[attr-defined]
            raise error
        rename(source, target, **named)  # type: ignore[call-overload]

    monkeypatch.setattr(os, "rename", renaming)
    code, said = run(monkeypatch, capsys, *report)
    assert code == 2
    one_line(said, "open_elsewhere")
    assert "ALL.pdf" in said
    assert contents(folder) == before


def test_a_deletion_that_is_refused_is_not_entered(tmp_path: Path, monkeypatch):
    folder = office(tmp_path / "office", people())
    dj.open_workspace(folder).close(PERIOD)
    monkeypatch.setattr(
        os, "rename", lambda *_, **__: (_ for _ in ()).throw(PermissionError(errno.EACCES, "open", "x"))
    )
    with pytest.raises(AccessError, match="没有权限,或正在其他程序中打开"):
        dj.open_workspace(folder).purge(date(2030, 1, 1))
    monkeypatch.undo()
    ws = dj.open_workspace(folder)
    assert not ws.history.purged(PERIOD)
    assert ws.has_answers(PERIOD)


def test_a_table_that_is_locked_is_told_as_open(tmp_path: Path, refusing):
    folder = office(tmp_path / "office", people())
    refusing(errno.EACCES, "responses/2026Q3.csv", reading=True)
    (problem,) = check_folder(folder)
    assert (problem.place, problem.rule) == ("responses/2026Q3.csv", "no_access")
    assert "关闭打开它的程序" in problem.advice


def test_a_damaged_record_is_one_error(tmp_path: Path, monkeypatch, capsys):
    folder = office(tmp_path / "office", people())
    dj.open_workspace(folder).close(PERIOD)
    (folder / ".dj" / "record.sqlite").write_bytes(b"no database" * 1000)
    code, said = run(monkeypatch, capsys, "audit", folder)
    assert code in (1, 2)
    assert "从 .dj 的备份恢复" in said


def test_a_demo_on_a_full_disk_leaves_no_part_of_an_office(tmp_path: Path, refusing, monkeypatch, capsys):
    refusing(errno.ENOSPC, "ratings.csv")
    size = ("--employees", 300, "--branches", 10, "--quarters", 1)
    code, said = run(monkeypatch, capsys, "demo", tmp_path / "d", *size)
    assert code == 2
    one_line(said, "disk_full")
    assert not (tmp_path / "d").exists()


def test_templates_on_a_full_disk_are_whole_or_not_there(tmp_path: Path, refusing, monkeypatch, capsys):
    refusing(errno.ENOSPC, "notice.pdf")
    code, said = run(monkeypatch, capsys, "template", tmp_path)
    assert code == 2
    one_line(said, "disk_full")
    assert not (tmp_path / "templates" / "notice.pdf").exists()
    assert not list(tmp_path.rglob("*.tmp"))


# --- Books that are open --------------------------------------------------------------------------------------------


@pytest.fixture
def opened_book(tmp_path: Path) -> Path:
    """An office whose wave and units are open in Excel: each has a file that marks it."""
    folder = office(tmp_path / "office", people())
    answers = people()
    (folder / "responses" / f"{PERIOD}.csv").unlink()
    answers.to_excel(folder / "responses" / f"{PERIOD}.xlsx", index=False)
    (folder / "responses" / f"~${PERIOD}.xlsx").write_bytes(b"\x05user" + b" " * 160)
    (folder / ".~units.csv").write_bytes(b"")
    return folder


def test_a_book_open_in_excel_is_read_as_last_saved_and_that_is_told(opened_book: Path, monkeypatch, capsys):
    assert check_folder(opened_book).table.empty
    assert [hint.split(" ")[0] for hint in check_with_hints(opened_book)[1]][:2] == ["units.csv", f"{PERIOD}.xlsx"]
    with pytest.warns(DjWarning, match=r"units.csv 正在其他程序中打开"):
        ws = dj.open_workspace(opened_book)
    assert ws.periods == [PERIOD]
    with pytest.warns(DjWarning, match=rf"{PERIOD}.xlsx 正在其他程序中打开"):
        assert len(ws.survey(PERIOD).frame) == len(people())
    without_a_kernel(monkeypatch)
    ws.run_report("quarterly", period=PERIOD, formats=["html"])
    (told,) = ws.record.payloads("draft")
    assert not [name for name in told["manifest"]["inputs"] if "~" in name]


def test_a_report_open_in_word_does_not_fail_the_audit(tmp_path: Path, monkeypatch):
    without_a_kernel(monkeypatch)
    folder = office(tmp_path / "office", people())
    html = dj.open_workspace(folder).run_report("quarterly", period=PERIOD, formats=["html"]).files["html"]
    html.with_name("~$ALL.docx").write_bytes(b"user")
    assert audit_workspace(dj.open_workspace(folder)).passed
    html.with_name("ALL2.docx").write_bytes(b"put there")
    assert not audit_workspace(dj.open_workspace(folder)).passed


def test_the_mark_itself_is_no_data(opened_book: Path, monkeypatch, capsys):
    code, said = run(
        monkeypatch, capsys, "new", opened_book.with_name("w"), "--from", opened_book / "responses" / f"~${PERIOD}.xlsx"
    )
    assert code == 2
    assert "[lock_file]" in said
    assert f"{PERIOD}.xlsx" in said


def test_a_mark_left_behind_without_its_book_is_no_matter(tmp_path: Path):
    folder = office(tmp_path / "office", people())
    (folder / "responses" / "~$2026Q1.xlsx").write_bytes(b"x")
    assert check_folder(folder).table.empty
    with warnings.catch_warnings():
        warnings.simplefilter("error", DjWarning)
        assert dj.open_workspace(folder).survey(PERIOD) is not None


# --- What is gone ---------------------------------------------------------------------------------------------------


@pytest.fixture
def closed(tmp_path: Path) -> Path:
    folder = office(tmp_path / "office", people())
    dj.open_workspace(folder).close(PERIOD)
    return folder


def test_a_closed_wave_whose_file_is_gone_is_still_reported(closed: Path, monkeypatch):
    path = closed / "responses" / f"{PERIOD}.csv"
    before, kept = shown(dj.open_workspace(closed)), path.read_bytes()
    path.unlink()
    ws = dj.open_workspace(closed)
    assert ws.periods == [PERIOD]
    pd.testing.assert_frame_equal(shown(ws), before)
    with pytest.warns(DjWarning, match="答卷文件不在.*略去"):
        assert not ws.has_answers(PERIOD)
    without_a_kernel(monkeypatch)
    assert ws.run_report("quarterly", period=PERIOD, formats=["html"]).files["html"].exists()
    for needs in (lambda: ws.survey(PERIOD), lambda: ws.close(PERIOD, correct="x"), lambda: ws.withdraw(PERIOD, "1")):
        with pytest.raises(DataError, match=r"responses/2026Q3\.\*.*answers_gone.*从备份恢复"):
            needs()
    with pytest.raises(DjError, match="没有答卷文件可删除"):
        ws.purge(date(2026, 10, 1), PERIOD)
    audit = audit_workspace(ws).table.set_index("check")
    assert "answers_gone" in audit.loc["answers", "detail"]
    path.write_bytes(kept)
    again = dj.open_workspace(closed)
    assert again.has_answers(PERIOD)
    assert audit_workspace(again).passed


def test_without_the_key_sums_are_read_and_nothing_else_is_done(closed: Path, monkeypatch, capsys):
    key = closed / ".dj" / "key"
    secret, head = key.read_bytes(), dj.open_workspace(closed).record.head
    table = dj.open_workspace(closed).scores(PERIOD).table
    key.unlink()
    ws = dj.open_workspace(closed)
    pd.testing.assert_frame_equal(ws.scores(PERIOD).table, table)
    rules = check_folder(closed).table["rule"].tolist()
    assert rules == ["key_missing"]
    calls = [
        ("report", "quarterly", closed, "--period", PERIOD), ("close", closed, "--period", PERIOD, "--correct", "x"),
        ("withdraw", closed, "--period", PERIOD, "--number", "1"),
    ]  # fmt: skip
    for call in calls:
        code, said = run(monkeypatch, capsys, *call)
        assert code == 2
        one_line(said, "key_missing")
        assert str(key) in said
        assert "从备份恢复" in said
        assert "closed_wave_changed" not in said
    assert not audit_workspace(ws).passed
    assert not key.exists(), "a new key would part what was sealed from what is"
    assert ws.record.head == head
    key.write_bytes(secret)
    assert audit_workspace(dj.open_workspace(closed)).passed


def test_a_workspace_in_which_nothing_was_done_gets_its_key(tmp_path: Path):
    folder = office(tmp_path / "office", people())
    dj.open_workspace(folder).release_plan(PERIOD)
    (folder / ".dj" / "key").unlink()
    assert dj.open_workspace(folder).release_plan(PERIOD).id
    assert check_folder(folder).table.empty


# --- Runs that fail or are stopped ----------------------------------------------------------------------------------


def test_a_failed_run_tells_that_the_report_there_is_an_earlier_one(tmp_path: Path, monkeypatch, capsys):
    without_a_kernel(monkeypatch)
    folder = office(tmp_path / "office", people())
    report = ("report", "quarterly", folder, "--period", PERIOD)
    assert run(monkeypatch, capsys, *report)[0] == 0
    pdf = folder / "reports" / "drafts" / PERIOD / "quarterly" / "ALL.pdf"
    yesterday = time.mktime((2026, 7, 1, 8, 30, 0, 0, 0, -1))
    os.utime(pdf, (yesterday, yesterday))
    before = pdf.read_bytes()
    write_wave(folder, people().assign(Q1=9))
    code, said = run(monkeypatch, capsys, *report)
    assert code == 2
    notice = said.splitlines()[-1]
    assert notice.startswith("提示/notice: 这次没有生成报告;以下是此前的文件,未改动")
    assert "ALL.pdf (2026-07-01 08:30)" in notice
    assert "ALL.html" in notice
    assert pdf.read_bytes() == before


def test_a_first_run_that_fails_has_nothing_to_tell_of(tmp_path: Path, monkeypatch, capsys):
    folder = office(tmp_path / "office", people().assign(Q1=9))
    code, said = run(monkeypatch, capsys, "report", "quarterly", folder, "--period", PERIOD)
    assert code == 2
    assert "这次没有生成报告" not in said


COMMANDS = {
    "new": "dj_analysis.proposal.propose_workspace",
    "add": "dj_analysis.proposal.add_wave",
    "check": "dj_analysis.folder.check_with_hints",
    "report": "dj_analysis.workspace.run_report",
    "close": "dj_analysis.workspace.open_workspace",
    "withdraw": "dj_analysis.workspace.open_workspace",
    "purge": "dj_analysis.workspace.open_workspace",
    "audit": "dj_analysis.workspace.open_workspace",
    "template": "dj_analysis.publish.templates.write_templates",
    "clean": "dj_analysis.measure.intake.copies.clean_file",
    "demo": "dj_analysis.demo.make_company",
    "list": "dj_analysis.publish.parameters.reports",
    "export": "dj_analysis.publish.notebooks.workspace_of",
}


@pytest.mark.parametrize("command", COMMANDS)
def test_ctrl_c_ends_every_command_with_one_line_and_130(command: str, tmp_path: Path, monkeypatch, capsys):
    def stopped(*_: object, **__: object) -> None:
        signal.raise_signal(signal.SIGINT)
        raise AssertionError("the signal stops it")

    monkeypatch.setattr(COMMANDS[command], stopped)
    words = {
        "new": (tmp_path, "--from", "x.csv"), "add": (tmp_path, "--from", "x.csv"), "list": (),
        "report": ("quarterly", tmp_path, "--period", PERIOD), "close": (tmp_path, "--period", PERIOD),
        "withdraw": (tmp_path, "--period", PERIOD), "export": ("x.ipynb",),
    }.get(command, (tmp_path,))  # fmt: skip
    before = signal.getsignal(signal.SIGINT)
    code, said = run(monkeypatch, capsys, command, *words)
    assert code == 130
    assert said.splitlines() == [
        "错误/error: 已中断;已有的文件未变,重新运行即可 (interrupted; what was there is unchanged: run it again)"
    ]
    assert signal.getsignal(signal.SIGINT) is before


def notebook_of(cells: list[nbformat.NotebookNode]) -> nbformat.NotebookNode:
    return nbformat.v4.new_notebook(cells=cells, metadata={"language_info": {"name": "python"}})


def kernels_of(folder: Path) -> list[str]:
    """The kernels that work in a folder of this workspace: no other process does, and a forked one has the name of its parent."""
    found = []
    for process in Path("/proc").iterdir():
        try:
            if process.name.isdigit() and (process / "cwd").readlink().is_relative_to(folder):
                found.append((process / "cmdline").read_text())
        except OSError:
            continue
    return found


@pytest.fixture
def slow_report(tmp_path: Path) -> Path:
    """An office, and a report that takes longer than anybody waits."""
    folder = office(tmp_path / "office", people())
    cells = [
        nbformat.v4.new_code_cell(
            'workspace: str = ""\nperiod: str = ""\nunit: str = "ALL"\nlang: str = "zh"',
            metadata={"tags": ["parameters"]},
        ),
        nbformat.v4.new_code_cell("import pathlib, time\npathlib.Path('begun').touch()\ntime.sleep(600)"),
    ]
    nbformat.write(notebook_of(cells), tmp_path / "slow.ipynb")
    return folder


@pytest.mark.skipif(not Path("/proc/self/cwd").exists(), reason="kernels are looked for in /proc")
def test_ctrl_c_in_a_report_leaves_no_kernel(slow_report: Path):
    source = slow_report.with_name("slow.ipynb")
    code = (
        "import sys\nfrom pathlib import Path\nfrom dj_analysis.publish import notebooks\n"
        f"notebooks.reports = lambda: {{'slow': Path({str(source)!r})}}\n"
        "import dj_analysis.publish.parameters as p\np.reports = notebooks.reports\n"
        "from dj_analysis.cli import main\n"
        f"sys.argv = ['dj', 'report', 'slow', {str(slow_report)!r}, '--period', {PERIOD!r}]\nmain()"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    deadline = time.monotonic() + 120
    while not list(slow_report.glob(".dj/run-*/begun")):
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.1)
    assert kernels_of(slow_report)
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does
    said = process.communicate(timeout=60)[1]
    assert process.returncode == 130
    assert said.splitlines() == [
        "错误/error: 已中断;已有的文件未变,重新运行即可 (interrupted; what was there is unchanged: run it again)"
    ]
    assert not kernels_of(slow_report)
    with pytest.raises(ProcessLookupError):  # nor anything else of the command
        os.killpg(process.pid, 0)
    assert not list((slow_report / ".dj").glob("run-*"))
    assert not (slow_report / "reports").exists()


def test_a_full_disk_in_a_kernel_is_told_and_the_copy_that_cannot_be_kept_too(tmp_path: Path, monkeypatch):
    folder = office(tmp_path / "office", people())
    cell = nbformat.v4.new_code_cell("raise OSError(28, 'No space left on device', '/x')")
    nbformat.write(notebook_of([cell]), tmp_path / "full.ipynb")
    (folder / ".dj").mkdir(exist_ok=True)
    (folder / ".dj" / "failed").write_bytes(b"")  # no folder: nothing can be kept in it
    with pytest.raises(notebooks.ReportError, match=r"磁盘已满.*副本未能保存"):
        notebooks._execute(tmp_path / "full.ipynb", {}, folder, notebooks._Meanwhile(lambda: None))
    shutil.rmtree(folder)


# --- What is said ---------------------------------------------------------------------------------------------------


def test_hints_stand_below_errors_and_headers_named_are_the_nearest(tmp_path: Path, monkeypatch, capsys):
    many = people().assign(**{f"第{i}列": 1 for i in range(30)})
    folder = office(tmp_path / "office", many, settings='[tables.responses.columns]\nage_band = "年龄断"\n')
    write_wave(folder, many.rename(columns={"age_band": "年龄段"}))
    rows = pd.read_csv(folder / "codebook.csv", dtype="str", keep_default_na=False)
    rows["text_zh"] = rows["label_zh"].mask(rows["code"] == "Q1", "难道直接上级会听取我的意见并且帮助我?")
    rows.to_csv(folder / "codebook.csv", index=False)
    monkeypatch.setattr(sys, "argv", ["dj", "check", str(folder)])
    with pytest.raises(SystemExit) as stop:
        main()
    said = capsys.readouterr().out
    assert stop.value.code == 1
    problem = next(p for p in check_folder(folder) if p.rule == "missing_column")
    assert problem.allowed.split(", ")[0] == "年龄段"
    assert len(problem.allowed.split(", ")) == 3
    assert said.index("missing_column") < said.index("共 ") < said.index("提示/hint: [")


def test_an_error_of_many_problems_tells_fifty_and_keeps_all():
    problems = Problems()
    for number in range(60):
        problems.add(f"units.csv: 第 {number} 行", "unknown_unit", f"U{number}", "units 表", "改正 (correct it)")
        problems.add(f"units.csv: 第 {number} 行", "unknown_unit", f"U{number}", "units 表", "改正 (correct it)")
    with pytest.raises(DataError) as caught:
        problems.raise_if_any()
    lines = str(caught.value).splitlines()
    assert len(lines) == 51
    assert lines[49].startswith("units.csv: 第 49 行")
    assert lines[50].startswith("另有 10 项")
    assert len(caught.value.problems.table) == 60


def test_a_report_about_a_unit_that_has_ended_says_when_and_what_it_became(tmp_path: Path, monkeypatch):
    folder = office(tmp_path / "office", people())
    head, *rows = (folder / "units.csv").read_text("utf-8").splitlines()
    rows = [row + (",2026Q2,B12" if row.startswith("B11") else ",,") for row in rows]
    (folder / "units.csv").write_text("\n".join([f"{head},valid_to,became", *rows]), "utf-8")
    answers = people()
    write_wave(folder, answers[answers["unit"] != "B11"])
    without_a_kernel(monkeypatch)
    for name in ("B11", "一支部"):
        with pytest.raises(UsageError, match=r"^B11 在 2026Q3 不存在 .*…—2026Q2;并入 B12 \(now part of B12\)$"):
            dj.run_report("quarterly", folder, period=PERIOD, unit=name)
    assert not (folder / "reports").exists()
    assert dj.run_report("quarterly", folder, period=PERIOD, unit="B12", formats=["html"]).files
