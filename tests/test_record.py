"""The record keeps one chain: whatever is changed, dropped or put in between shows."""

from __future__ import annotations

import hashlib
import json
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from dj_analysis.errors import AccessError, RecordError
from dj_analysis.record import GENESIS, Record

RUN = {
    "report": "quarterly", "period": "2026Q3", "unit": "ALL", "lang": "zh", "manifest": {"seed": 1, "n": 840},
}  # fmt: skip
PAGE, NAME = "指数 71.2".encode(), "2026Q3/quarterly/ALL.html"


def publish(
    record: Record, name: str = NAME, content: bytes = PAGE, kind: str = "publication", **changed: object
) -> Path:
    """Enter one file that leaves; it lies under ``reports`` beside the record's folder."""
    place = record.path.parent.parent / "reports" / name
    record.publish(kind, RUN | changed, {name: (place, content)}, seconds=3.5)
    return place


@pytest.fixture
def record(tmp_path: Path) -> Record:
    made = Record(tmp_path / ".dj" / "record.sqlite")
    for number in range(5):
        made.append("note", {"number": number, "说明": "补录"})
    publish(made)
    return made


def change(record: Record, statement: str, *values: object) -> None:
    """Do behind the record's back what somebody with the file could do."""
    with closing(sqlite3.connect(record.path)) as connection, connection:
        connection.execute(statement, values)


def broken_at(record: Record, number: int) -> None:
    with pytest.raises(RecordError, match=rf"record\.sqlite.*第 {number} 条.*event {number} breaks the chain"):
        record.verify()


def test_a_record_that_nobody_wrote_is_empty_and_makes_no_file(tmp_path: Path):
    record = Record(tmp_path / ".dj" / "record.sqlite")
    record.verify()
    assert record.head == GENESIS == "0" * 64
    assert record.events.empty
    assert record.runs.empty
    assert not record.path.parent.exists()


def test_events_are_chained_in_their_order(record: Record):
    record.verify()
    events = record.events
    assert events.columns.tolist() == ["seq", "time", "kind", "payload", "previous", "hash"]
    assert events["seq"].tolist() == [1, 2, 3, 4, 5, 6]
    assert events["previous"].tolist() == [GENESIS, *events["hash"].tolist()[:-1]]
    assert events["hash"].is_unique
    assert [json.loads(payload).get("number") for payload in events["payload"]] == [0, 1, 2, 3, 4, None]
    assert events["time"].str.endswith("+00:00").all()
    assert record.head == events["hash"].iloc[-1]


def test_append_returns_the_new_head(record: Record):
    before = record.head
    head = record.append("note", {"number": 5})
    assert head == record.head != before
    assert record.events["previous"].iloc[-1] == before
    record.verify()


def test_an_open_record_sees_what_another_wrote(record: Record):
    head = Record(record.path).append("note", {"number": 6})
    assert record.head == head
    record.append("note", {"number": 7})
    record.verify()


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("time", "2020-01-01T00:00:00+00:00"),
        ("kind", "letter"),
        ("payload", '{"number":99}'),
        ("previous", "f" * 64),
        ("hash", "e" * 64),
    ],
)
@pytest.mark.parametrize("number", [1, 3, 6])
def test_a_changed_event_breaks_the_chain(record: Record, column: str, value: str, number: int):
    change(record, f"UPDATE events SET {column} = ? WHERE seq = ?", value, number)
    broken_at(record, number)


@pytest.mark.parametrize("number", [1, 3, 5])
def test_a_removed_event_breaks_the_chain(record: Record, number: int):
    change(record, "DELETE FROM events WHERE seq = ?", number)
    broken_at(record, number)


@pytest.mark.parametrize("number", [1, 3, 5])
def test_a_removed_event_breaks_the_chain_though_the_others_close_up(record: Record, number: int):
    change(record, "DELETE FROM events WHERE seq = ?", number)
    change(record, "UPDATE events SET seq = seq - 1 WHERE seq > ?", number)
    broken_at(record, number)


def test_a_removed_newest_event_breaks_the_chain(record: Record):
    change(record, "DELETE FROM events WHERE seq = 6")
    with pytest.raises(RecordError):
        record.verify()


def test_an_event_put_in_between_breaks_the_chain(record: Record):
    for number in (6, 5, 4, 3):
        change(record, "UPDATE events SET seq = ? WHERE seq = ?", number + 1, number)
    previous = record.events.set_index("seq").loc[2, "hash"]
    row = (3, "2026-10-08T00:00:00+00:00", "note", "{}", previous, "d" * 64)
    change(record, "INSERT INTO events VALUES (?,?,?,?,?,?)", *row)
    broken_at(record, 3)


def test_events_that_changed_places_break_the_chain(record: Record):
    for old, new in ((2, 90), (3, 2), (90, 3)):
        change(record, "UPDATE events SET seq = ? WHERE seq = ?", new, old)
    broken_at(record, 2)


def test_a_chain_forged_from_one_event_on_has_another_head(record: Record, tmp_path: Path):
    forged = Record(tmp_path / "forged" / ".dj" / "record.sqlite")
    for number in (0, 1, 99, 3, 4):
        forged.append("note", {"number": number, "说明": "补录"})
    publish(forged)
    forged.verify()
    assert forged.head != record.head  # which reports have printed


def test_a_run_is_entered_with_its_event_and_its_files(record: Record):
    (run,) = record.runs.to_dict("records")
    event = record.events.set_index("seq").loc[run["event"]]
    assert event["kind"] == "publication"
    payload = json.loads(event["payload"])
    for name in ("report", "period", "unit", "lang"):
        assert run[name] == payload[name] == RUN[name]
    digest = hashlib.sha256(PAGE).hexdigest()
    assert json.loads(run["files"]) == payload["files"] == {NAME: digest}
    assert json.loads(run["manifest"]) == payload["manifest"] == RUN["manifest"]
    assert (run["status"], run["seconds"], run["error"]) == ("done", 3.5, "")
    (left,) = record.publications.to_dict("records")
    assert (left["event"], left["kind"], left["state"]) == (run["event"], "publication", "done")
    assert (left["report"], left["period"], left["unit"]) == ("quarterly", "2026Q3", "ALL")
    assert (left["file"], left["sha256"]) == (NAME, digest)
    place = record.path.parent.parent / "reports" / NAME
    assert place.read_bytes() == PAGE
    assert [path.name for path in place.parent.iterdir()] == ["ALL.html"]
    record.append("note", {})
    record.verify()


def test_told_gives_the_payloads_of_some_kinds_in_their_order(record: Record):
    publish(record, kind="draft", unit="C01")
    told = record.payloads("draft", "publication")
    assert [(event["kind"], event["unit"], event["seq"]) for event in told] == [
        ("publication", "ALL", 6),
        ("draft", "C01", 7),
    ]
    assert all(event["time"].endswith("+00:00") for event in told)
    assert record.payloads("purge") == []


@pytest.mark.parametrize("wrong", [{"manifest": {"when": object()}}, {"unit": {1, 2}}, {"lang": Path("zh")}])
def test_a_run_that_cannot_be_entered_leaves_nothing(record: Record, wrong: dict[str, object]):
    place = record.path.parent.parent / "reports" / NAME
    before, head = len(record.runs), record.head
    with pytest.raises((sqlite3.Error, TypeError)):
        publish(record, content=b"other", **wrong)
    assert (len(record.runs), record.head, len(record.events)) == (before, head, 6)
    assert place.read_bytes() == PAGE
    assert [path.name for path in place.parent.iterdir()] == ["ALL.html"]
    assert list((record.path.parent / "pending").iterdir()) == []
    record.verify()
    record.append("note", {"after": True})
    record.verify()


def test_a_file_that_cannot_be_written_is_not_entered(record: Record):
    blocked = record.path.parent.parent / "reports" / "blocked"
    blocked.write_text("a file where a folder is needed")
    head = record.head
    with pytest.raises(AccessError, match="blocked"):
        publish(record, "blocked/ALL.html")
    assert record.head == head
    record.verify()


@pytest.mark.parametrize(
    "statement",
    [
        "DELETE FROM runs",
        "UPDATE runs SET unit = 'C01'",
        "UPDATE runs SET files = '{}'",
        "UPDATE runs SET manifest = '{}'",
        "DELETE FROM publications",
        "UPDATE publications SET state = 'void'",
        "UPDATE publications SET state = 'gone'",
        "UPDATE publications SET event = 5",
        "INSERT INTO publications VALUES (3, 'done', '[]')",
        "INSERT INTO runs SELECT 9, 2, report, period, unit, lang, status, seconds, files, manifest, error FROM runs",
    ],
)
def test_runs_and_publications_must_fit_their_events(record: Record, statement: str):
    change(record, statement)
    with pytest.raises(RecordError, match="breaks the chain"):
        record.verify()


def test_an_entry_whose_file_is_gone_becomes_void(record: Record):
    """As if the machine had stopped between the entry and the move, and somebody had removed the waiting file."""
    waiting = record.path.parent.parent / "reports" / ".x.tmp"
    moves = json.dumps([[str(waiting), str(waiting.with_name("x.html")), "0" * 64]])
    change(record, "UPDATE publications SET state = 'pending', moves = ?", moves)
    note = record.path.parent / "pending" / "x.json"
    note.write_text(json.dumps([str(waiting)]))
    record.finish_interrupted()
    record.verify()
    assert record.publications["state"].tolist() == ["void"]
    assert record.payloads("void")[0]["event"] == 6
    assert not note.exists()
    change(record, "UPDATE publications SET state = 'done'")
    broken_at(record, 6)


def test_an_entry_that_waits_is_finished(record: Record):
    place = record.path.parent.parent / "reports" / NAME
    waiting = place.with_name(".ALL.html.x.tmp")
    place.replace(waiting)
    moves = json.dumps([[str(waiting), str(place), hashlib.sha256(PAGE).hexdigest()]])
    change(record, "UPDATE publications SET state = 'pending', moves = ?", moves)
    (record.path.parent / "pending" / "x.json").write_text(json.dumps([str(waiting)]))
    record.finish_interrupted()
    record.verify()
    assert place.read_bytes() == PAGE
    assert not waiting.exists()
    assert record.publications["state"].tolist() == ["done"]


WRITER = """
import sys
from pathlib import Path
from dj_analysis.record import Record
record = Record(Path(sys.argv[1]))
print("ready", flush=True)
sys.stdin.readline()
for number in range(100):
    record.append("note", {"writer": sys.argv[2], "number": number})
"""


def test_two_processes_at_once_keep_one_chain(tmp_path: Path):
    record = Record(tmp_path / "new" / "record.sqlite")
    command = [sys.executable, "-c", WRITER, str(record.path)]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    writers = [subprocess.Popen([*command, name], **pipes) for name in ("a", "b")]
    assert [writer.stdout.readline() for writer in writers] == ["ready\n"] * 2
    for writer in writers:
        writer.stdin.write("go\n")
        writer.stdin.flush()
    assert [writer.communicate(timeout=60)[1] for writer in writers] == ["", ""]
    record.verify()
    payloads = [json.loads(payload) for payload in record.events["payload"]]
    for name in ("a", "b"):
        assert [p["number"] for p in payloads if p["writer"] == name] == list(range(100))
    assert record.events["seq"].tolist() == list(range(1, 201))
