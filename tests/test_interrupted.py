"""Whatever stops a run, and whenever: what left is in the record, what is in the record left, and nothing lies about."""

from __future__ import annotations

import hashlib
import json
import os
import random
import shutil
import signal
import sys
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from offices import PERIOD, SIZES, executed, office, people
from processes import Running
from trials import EVERYTHING, trials

import dj_analysis as dj
from dj_analysis.audit import audit_workspace
from dj_analysis.publish import notebooks
from dj_analysis.record import Record

NAMES = [f"2026Q3/quarterly/{unit}.{kind}" for unit in ("ALL", "C1") for kind in ("html", "pdf", "ipynb")]


def publishes(ready: Callable[[], None], folder: Path, mark: str, turns: int) -> None:
    record = Record(folder / ".dj" / "record.sqlite")
    ready()
    for turn in range(turns):
        content = (mark + str(turn)).encode() * 60_000
        files = {name: (folder / "reports" / name, content + name.encode()) for name in NAMES}
        told = {"report": "quarterly", "period": "2026Q3", "unit": "ALL", "lang": "zh", "manifest": {"turn": turn}}
        record.publish("publication" if turn % 3 else "draft", told, files, seconds=0.1)
        record.append("note", {"turn": turn})


def reports(ready: Callable[[], None], folder: Path) -> None:
    def run(source: Path, values: Mapping[str, Any], place: Path, _: Any) -> Any:
        return executed(dj.open_workspace(place), values["period"], values["unit"])

    notebooks._execute = run
    ready()
    for turn in range(50):
        dj.run_report("quarterly", folder, period="2026Q3", unit=("ALL", "C1")[turn % 2], formats=["html", "pdf"])


def closes(ready: Callable[[], None], folder: Path) -> None:
    ws = dj.open_workspace(folder)
    ready()
    ws.close("2026Q3")


def plans(ready: Callable[[], None], folder: Path, said: Path) -> None:
    ready()
    said.write_text(dj.open_workspace(folder).release_plan("2026Q3").id)


def kill_after(process: Running, seconds: float) -> None:
    time.sleep(seconds)
    process.kill()


def check_whole(folder: Path, kept: dict[str, str] | None = None) -> pd.DataFrame:
    """Open again, and see that files and record fit each other."""
    record = Record(folder / ".dj" / "record.sqlite")
    record.finish_interrupted()
    record.verify()
    left = record.publications
    assert not (left["state"] == "pending").any()
    done = left[left["state"] == "done"].drop_duplicates("file", keep="last").set_index("file")["sha256"]
    place = folder / "reports"
    there = {p.relative_to(place).as_posix(): p for p in place.rglob("*") if p.is_file()} if place.exists() else {}
    assert {name: hashlib.sha256(path.read_bytes()).hexdigest() for name, path in there.items()} == done.to_dict()
    assert not [p for p in folder.rglob("*") if p.name.endswith(".tmp")]
    assert not list((folder / ".dj").glob("pending/*"))
    for name, digest in (kept or {}).items():
        assert done[name] == digest
    return left


def seed_file(folder: Path) -> dict[str, str]:
    """One file that left before, and that no later run touches."""
    content = "上季度".encode() * 1000
    told = {"report": "quarterly", "period": "2026Q2", "unit": "ALL", "lang": "zh", "manifest": {}}
    name = "2026Q2/quarterly/ALL.html"
    record = Record(folder / ".dj" / "record.sqlite")
    record.publish("publication", told, {name: (folder / "reports" / name, content)}, seconds=1.0)
    return {name: hashlib.sha256(content).hexdigest()}


def test_a_run_that_is_killed_at_any_moment_leaves_all_or_nothing(tmp_path: Path):
    """Fifty times (a part of them every day) on one folder, at moments spread over some runs: writing, entering, moving."""
    kept = seed_file(tmp_path)
    draw = random.Random(20261)
    begun = time.perf_counter()
    timed = Running(publishes, tmp_path, "t", 6)
    timed.ready()
    begun = time.perf_counter()
    timed.finished()
    three = (time.perf_counter() - begun) / 2
    states: list[str] = []
    kills = trials(50, 15)
    for number in range(kills):
        process = Running(publishes, tmp_path, f"{number}:", 1000)
        process.ready()
        kill_after(process, draw.random() * three)
        left = check_whole(tmp_path, kept)
        states += left["state"].unique().tolist()
    assert set(states) == {"done"}
    assert len(left) > kills  # some had left before they were killed


@pytest.mark.skipif(not hasattr(os, "fork"), reason="a process is stopped at each line by forking")
def test_a_run_that_is_killed_at_every_line_leaves_all_or_nothing(tmp_path: Path):
    """Each line that record.py runs to publish is once the last one; every third of them every day."""
    import dj_analysis.record as module

    names = NAMES[:3]

    def publish(folder: Path, content: bytes) -> None:
        files = {name: (folder / "reports" / name, content + name.encode()) for name in names}
        told = {"report": "quarterly", "period": "2026Q3", "unit": "ALL", "lang": "zh", "manifest": {}}
        Record(folder / ".dj" / "record.sqlite").publish("publication", told, files, seconds=0.1)

    def stop_at(folder: Path, line: int) -> bool:
        """Publish in a child that dies at this line; True when it came to its end before."""
        child = os.fork()
        if child == 0:
            left = line

            def trace(frame, event, argument):
                nonlocal left
                if frame.f_code.co_filename != module.__file__:
                    return None
                left -= event == "line"
                if left == 0:
                    os.kill(os.getpid(), signal.SIGKILL)
                return trace

            sys.settrace(trace)
            publish(folder, b"second")
            os._exit(0)
        return os.waitpid(child, 0)[1] == 0

    start_folder = tmp_path / "start"
    kept = seed_file(start_folder)
    publish(start_folder, b"first")
    first = {name: hashlib.sha256(b"first" + name.encode()).hexdigest() for name in names}
    second = {name: hashlib.sha256(b"second" + name.encode()).hexdigest() for name in names}
    outcomes = []
    every = 1 if EVERYTHING else 3
    for line in range(1, 2000, every):
        folder = tmp_path / "run"
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(start_folder, folder)
        whole = stop_at(folder, line)
        check_whole(folder, kept)
        place = folder / "reports"
        there = {name: hashlib.sha256((place / name).read_bytes()).hexdigest() for name in names}
        assert there in (first, second), f"line {line}: a mixture"
        outcomes.append(there == second)
        if whole:
            break
    assert whole
    assert len(outcomes) > 60 // every
    assert outcomes == sorted(outcomes)  # from one line on it has left, and never goes back


@pytest.mark.skipif(not hasattr(os, "fork"), reason="a process is stopped by forking")
def test_a_first_entry_that_is_killed_at_any_statement_leaves_no_record(tmp_path: Path):
    """Every statement of the first entry in turn is the last that is begun: what it leaves is as if there had been none."""
    import dj_analysis.record as module

    def killed_before(statement: int, path: Path) -> bool:
        child = os.fork()
        if child == 0:
            connect, begun = module.sqlite3.connect, []

            def count(_: str) -> None:
                begun.append(1)
                if len(begun) > statement:
                    os.kill(os.getpid(), signal.SIGKILL)

            def traced(*arguments: object, **options: object) -> object:
                connection = connect(*arguments, **options)
                connection.set_trace_callback(count)
                return connection

            module.sqlite3.connect = traced
            Record(path).append("note", {})
            os._exit(0)
        return bool(os.waitpid(child, 0)[1])

    statements = 0
    while killed_before(statements, path := tmp_path / str(statements) / "record.sqlite"):
        record = Record(path)
        assert record.events.empty
        assert record.runs.empty
        assert record.head == Record(tmp_path / "nowhere" / "record.sqlite").head
        record.append("note", {})
        record.verify()
        assert len(record.events) == 1
        statements += 1
    assert statements >= 8
    assert len(Record(path).events) == 1


@pytest.mark.skipif(not hasattr(os, "fork"), reason="a process is stopped by forking")
def test_settling_that_is_killed_is_settled_by_the_next(tmp_path: Path):
    seed_file(tmp_path)
    for number in range(3):
        process = Running(publishes, tmp_path, f"{number}", 1000)
        process.ready()
        kill_after(process, 0.02 * (number + 1))
        child = os.fork()
        if child == 0:
            os.kill(os.getpid(), signal.SIGSTOP)
            Record(tmp_path / ".dj" / "record.sqlite").finish_interrupted()
            os._exit(0)
        os.waitpid(child, os.WUNTRACED)
        os.kill(child, signal.SIGCONT)
        time.sleep(0.002 * number)
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        check_whole(tmp_path)


def test_a_waiting_file_that_was_changed_does_not_leave(tmp_path: Path):
    """Somebody writes into the temporary file between the entry and the move: the entry becomes void."""
    seed_file(tmp_path)
    record = Record(tmp_path / ".dj" / "record.sqlite")
    place = tmp_path / "reports" / "x.html"
    waiting = place.with_name(".x.html.0.tmp")

    def settle() -> None:
        raise KeyboardInterrupt

    record.finish_interrupted = settle  # type: ignore[method-assign]
    told = {"report": "quarterly", "period": "2026Q3", "unit": "ALL", "lang": "zh", "manifest": {}}
    with pytest.raises(KeyboardInterrupt):
        record.publish("publication", told, {"x.html": (place, b"entered")}, seconds=0.1)
    (waiting,) = place.parent.glob(".x.html.*.tmp")
    waiting.write_bytes(b"something else")
    left = check_whole(tmp_path)
    assert left.set_index("file").loc["x.html", "state"] == "void"
    assert not place.exists()


def test_two_runs_at_once_leave_whole_files(tmp_path: Path):
    kept = seed_file(tmp_path)
    processes = [Running(publishes, tmp_path, name, 12) for name in ("a", "b")]
    for process in processes:
        process.ready()
    for process in processes:
        process.finished()
    left = check_whole(tmp_path, kept)
    assert (left["state"] == "done").all()
    record = Record(tmp_path / ".dj" / "record.sqlite")
    assert len(record.runs) == 1 + 24
    contents = {(tmp_path / "reports" / name).read_bytes()[:3] for name in NAMES}
    assert len(contents) == 1  # of one run, not of both


def test_of_two_runs_at_once_one_is_killed(tmp_path: Path):
    kept = seed_file(tmp_path)
    draw = random.Random(5)
    for number in range(4):
        other, victim = Running(publishes, tmp_path, "o", 5), Running(publishes, tmp_path, f"v{number}", 1000)
        other.ready()
        victim.ready()
        kill_after(victim, draw.random() * 0.2)
        other.finished()
        check_whole(tmp_path, kept)


def test_a_report_that_is_killed_leaves_what_was_there(tmp_path: Path):
    """With the export in it: five offices (three every day), each stopped at another moment."""
    first = office(tmp_path / "0", people())
    dj.open_workspace(first).close(PERIOD)
    folders = [first, *(shutil.copytree(first, tmp_path / str(i)) for i in range(1, trials(5, 3)))]
    draw = random.Random(8)
    for pair in (folders[:3], folders[3:]):
        processes = [Running(reports, folder) for folder in pair]
        for process in processes:
            process.ready()
        for process in processes:
            kill_after(process, 0.2 + draw.random())
    for folder in folders:
        ws = dj.open_workspace(folder)
        check_whole(folder)
        assert audit_workspace(ws).passed


def decided(folder: Path) -> tuple[list, str]:
    """What a wave's release rests on: the mask and the sums, byte for byte."""
    ws = dj.open_workspace(folder)
    (told,) = ws.record.payloads("close")
    kept = ws.store.find(told["store"])
    sums = {
        axis: [block.units, *(block.sums[name].tobytes() for name in block.sums)] for axis, block in kept.sums.items()
    }
    return told["hidden"], hashlib.sha256(repr(sorted(sums.items())).encode()).hexdigest()


SMALL = SIZES | {"B11": 7}


def test_the_same_mask_in_another_order_and_after_a_kill(tmp_path: Path):
    """Rows in another order, closed by two at once, closed anew after being stopped: one decision."""
    every = people(SMALL, seed=4)
    usual = office(tmp_path / "usual", every)
    dj.open_workspace(usual).close(PERIOD)
    expected = decided(usual)
    assert expected[0]
    turned = office(tmp_path / "turned", every.sample(frac=1, random_state=3))
    stopped = [office(tmp_path / f"stopped{i}", every) for i in range(4)]
    processes = [Running(closes, folder) for folder in stopped]
    for process in processes:
        process.ready()
    for i, process in enumerate(processes):
        kill_after(process, 0.15 * i)
    dj.open_workspace(turned).close(PERIOD)
    assert decided(turned)[0] == expected[0]
    for folder in stopped:
        ws = dj.open_workspace(folder)
        if ws.is_draft(PERIOD):
            ws.close(PERIOD)
        assert decided(folder) == expected
        assert audit_workspace(ws).passed


@pytest.fixture
def two_waves(tmp_path: Path) -> Path:
    return office(tmp_path / "office", people(SMALL, seed=4), people(seed=6), periods=("2026Q2", PERIOD))


def test_plans_made_by_processes_at_once_are_one_plan(tmp_path: Path, two_waves: Path):
    """Each fills the store and makes the key."""
    places = [tmp_path / str(number) for number in range(3)]
    for process in [Running(plans, two_waves, place) for place in places]:
        process.finished()
    said = {place.read_text() for place in places}
    ws = dj.open_workspace(two_waves)
    ws.release_plan("2026Q2")
    assert said == {ws.release_plan(PERIOD).id}
    assert not list((two_waves / ".dj").rglob("*.tmp"))


def test_plans_made_by_threads_at_once_are_one_plan(two_waves: Path):
    with ThreadPoolExecutor(6) as pool:
        plans = list(pool.map(lambda _: dj.open_workspace(two_waves).release_plan(PERIOD), range(6)))
    assert len({plan.id for plan in plans}) == len({plan.key for plan in plans}) == 1


def test_waves_closed_in_another_order_have_the_same_masks(tmp_path: Path):
    waves = people(SMALL, seed=4), people(seed=6)
    told = []
    for order in (("2026Q2", PERIOD), (PERIOD, "2026Q2")):
        folder = office(tmp_path / order[0], *waves, periods=("2026Q2", PERIOD))
        for period in order:  # a wave takes the open ones before it along
            if dj.open_workspace(folder).is_draft(period):
                dj.open_workspace(folder).close(period)
        events = dj.open_workspace(folder).record.payloads("close")
        told.append({event["period"]: json.dumps(event["hidden"]) for event in events})
    assert told[0] == told[1]
