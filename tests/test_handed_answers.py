"""Answers read once for a report and its kernel: the same wave, waited for, never in a file, and nothing but a saving of time."""

from __future__ import annotations

import contextlib
import os
import re
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import nbformat
import pytest
from offices import PERIOD, office, people

import dj_analysis as dj
from dj_analysis.errors import DataError
from dj_analysis.publish import handed_answers, notebooks
from dj_analysis.publish.parameters import asks_for_answers, reports
from dj_analysis.workspace import Workspace

has_memory = pytest.mark.skipif(not hasattr(os, "memfd_create"), reason="this system has no memory without a name")

READS = """
import os
import dj_analysis as dj
from dj_analysis.publish import handed_answers
ws = dj.open_workspace({folder!r})
wave = ws.survey({period!r})
taken = handed_answers._waves(os.environ.get("DJ_ANSWERS_READ", ""))
print(len(taken), wave.spec is ws.spec, wave.frame.hash_rows().sum(), wave.forms, dict(wave.axes), wave.consent)
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return office(tmp_path / "office", people())


def run(folder: Path, ws: Workspace, code: str, **given) -> str:
    """What a notebook of one cell prints when the process of its report hands over answers."""
    path = folder.parent / "own.ipynb"
    cells = [nbformat.v4.new_code_cell(code.format(folder=str(folder), period=PERIOD))]
    nbformat.write(nbformat.v4.new_notebook(cells=cells), path)
    answers = given.get("answers", lambda: ws._answers_of(PERIOD, "ALL"))
    executed = notebooks._execute(path, {}, folder, notebooks._Meanwhile(lambda: ws.release_plan(PERIOD), answers))
    return "".join(output.get("text", "") for output in executed.cells[-1].outputs)


@contextlib.contextmanager
def handing_over_here(monkeypatch: pytest.MonkeyPatch) -> Iterator[handed_answers.Handed]:
    """Hand over, and see it from this same process as a kernel sees it."""
    with handed_answers.handing_over(wanted=True) as handed:
        for name, value in handed.environment.items():
            monkeypatch.setenv(name, value)
        handed_answers._waves.cache_clear()
        yield handed


@has_memory
def test_a_kernel_takes_the_answers_its_report_has_read(folder):
    ws = dj.open_workspace(folder)
    wave = ws.survey(PERIOD)
    said = run(folder, ws, READS).split(maxsplit=2)
    assert said[:2] == ["1", "True"]
    assert said[2].strip() == f"{wave.frame.hash_rows().sum()} {wave.forms} {dict(wave.axes)} {wave.consent}"


@has_memory
@pytest.mark.parametrize("lost", ["system", "error", "changed"])
def test_a_kernel_to_which_nothing_is_handed_over_reads_for_itself(folder, monkeypatch, lost):
    ws = dj.open_workspace(folder)
    expected = ws.survey(PERIOD).frame.hash_rows().sum()
    answers = lambda: ws._answers_of(PERIOD, "ALL")  # noqa: E731
    if lost == "system":
        monkeypatch.delattr(os, "memfd_create")
    elif lost == "error":
        answers = lambda: 1 / 0  # type: ignore[assignment, return-value]  # noqa: E731
    else:  # what was read is not what is there now
        before = ws._answers_of(PERIOD, "ALL")
        path = next((folder / "responses").iterdir())
        path.write_text(people(seed=2).to_csv(index=False), "utf-8")
        expected = dj.open_workspace(folder).survey(PERIOD).frame.hash_rows().sum()
        answers = lambda: before  # noqa: E731
    said = run(folder, ws, READS, answers=answers).split()
    assert said[0] == ("1" if lost == "changed" else "0")
    assert said[2] == str(expected)


@has_memory
def test_what_cannot_be_read_is_told_once_and_as_ever(folder, monkeypatch):
    ws = dj.open_workspace(folder)
    path = next((folder / "responses").iterdir())
    path.write_text(people().assign(Q1=9).to_csv(index=False), "utf-8")
    with pytest.raises(DataError, match="out_of_range"):
        ws._answers_of(PERIOD, "ALL")
    with pytest.raises(DataError, match="out_of_range"):  # the plan's error, before the kernel's
        run(folder, dj.open_workspace(folder), READS)
    with handing_over_here(monkeypatch) as handed:  # and who waits is not kept waiting
        handed.fill(lambda: 1 / 0)  # type: ignore[arg-type, return-value]
        assert handed_answers.handed_over(ws._key(PERIOD), ws.spec) is None


@has_memory
def test_what_is_promised_is_waited_for_and_goes_with_the_run(folder, monkeypatch):
    ws = dj.open_workspace(folder)
    answers = ws._answers_of(PERIOD, "ALL")
    (key,) = answers
    with handing_over_here(monkeypatch) as handed:
        late = threading.Timer(0.3, handed.fill, [lambda: answers])
        begun = time.monotonic()
        late.start()
        taken = handed_answers.handed_over(key, ws.spec)
        assert time.monotonic() - begun >= 0.29
        late.join()
        assert taken is not None
        assert taken.frame.equals(answers[key].frame)
        assert taken.spec is ws.spec
        assert handed_answers.handed_over((PERIOD, "another"), ws.spec) is None
        descriptor = int(handed.environment["DJ_ANSWERS_READ"].split(":")[1])
        assert os.readlink(f"/proc/self/fd/{descriptor}").startswith("/memfd:")  # no file of any folder
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(descriptor)
    handed_answers._waves.cache_clear()
    assert handed_answers.handed_over(key, ws.spec) is None  # its process may have ended: nothing to wait for


def test_only_reports_that_use_answers_ask_for_them():
    asking = {name for name, path in reports().items() if asks_for_answers(path)}
    assert asking == {"quarterly", "methods", "agenda"}
    for name, path in reports().items():
        used = re.search(r"\bws\.(survey|released|has_answers|pairs)\(", path.read_text("utf-8"))
        assert bool(used) == (name in asking)


def test_waves_without_answers_are_not_read(folder, monkeypatch):
    ws = dj.open_workspace(folder)
    assert ws._answers_of("2026Q2", "ALL") == {}
    ws.close(PERIOD)
    next((folder / "responses").iterdir()).unlink()
    again = dj.open_workspace(folder)
    monkeypatch.setattr(Workspace, "_read", lambda self, period: 1 / 0)
    assert again._answers_of(PERIOD, "ALL") == {}
