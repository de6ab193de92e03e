"""The workspace's one record: what was done, in an order nobody can change unseen."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import secrets
import sqlite3
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .errors import DjError, RecordError
from .file_access import accessing, check_replaceable

if TYPE_CHECKING:
    import pandas as pd

GENESIS = "0" * 64
_LEAVING = ("publication", "draft")
_RUN = ("report", "period", "unit", "lang", "files", "manifest")
SCHEMA = """
CREATE TABLE IF NOT EXISTS events (
    seq INTEGER PRIMARY KEY, time TEXT NOT NULL, kind TEXT NOT NULL, payload TEXT NOT NULL,
    previous TEXT NOT NULL, hash TEXT NOT NULL UNIQUE);
CREATE TABLE IF NOT EXISTS runs (
    run INTEGER PRIMARY KEY, event INTEGER NOT NULL REFERENCES events(seq), report TEXT NOT NULL, period TEXT NOT NULL,
    unit TEXT NOT NULL, lang TEXT NOT NULL, status TEXT NOT NULL, seconds REAL NOT NULL, files TEXT NOT NULL,
    manifest TEXT NOT NULL, error TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS publications (
    event INTEGER PRIMARY KEY REFERENCES events(seq), state TEXT NOT NULL, moves TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS head (one INTEGER PRIMARY KEY CHECK (one = 1), seq INTEGER NOT NULL, hash TEXT NOT NULL);
"""


class Record:
    """Append-only record in one SQLite file: hash-chained events, the files that left, the runs of reports.

    Each event's hash covers its own content and the hash before it, so that no event can be changed, dropped or
    put in between without breaking the chain. One writer at a time; readers never wait.

    Files leave in two steps: their content is written beside its place and entered here in one transaction, then moved.
    Whatever happens in between, the next :meth:`finish_interrupted` moves what was entered and removes what was not.

    Parameters
    ----------
    path
        The database file; its folder is made when the first event is written.
    """

    def __init__(self, path: Path):
        self.path = Path(path)

    def append(self, kind: str, payload: dict[str, Any]) -> str:
        """Write one event and return its hash, the new head."""
        with self._transaction() as connection:
            return self._append(connection, kind, payload)[1]

    def publish(
        self,
        kind: str,
        payload: dict[str, Any],
        files: Mapping[str, tuple[Path, bytes]],
        *,
        seconds: float,
        listed: Callable[[Sequence[Mapping[str, Any]]], Mapping[str, tuple[Path, bytes]]] | None = None,
    ) -> None:
        """Enter files that leave, with the run they come from, and put them in their places.

        Parameters
        ----------
        kind
            ``publication`` or ``draft``.
        payload
            report, period, unit, lang, manifest and what else the event tells.
        files
            Name as the record keeps it → (place, content).
        listed
            Writes further files from all that left: it is given the payloads, with time and kind, the new one last. Nothing
            else is entered meanwhile.
        """
        token = secrets.token_hex(8)
        note = self.path.parent / "pending" / f"{token}.json"
        try:
            with self._transaction() as connection:
                event, time = payload | {"files": _digests(files)}, _now()
                if listed is not None:
                    files = {**files, **listed([*self._left(connection), event | {"time": time, "kind": kind}])}
                    event = payload | {"files": _digests(files)}
                moves = [(place.with_name(f".{place.name}.{token}.tmp"), place, made) for place, made in files.values()]
                for _, place, _ in moves:
                    check_replaceable(place)
                self._enter(connection, kind, event, moves, note, seconds, time)
        except BaseException:
            with contextlib.suppress(DjError):  # the first error tells; what this leaves is settled by the next run
                self.finish_interrupted()
            raise
        self.finish_interrupted()

    def _enter(
        self, connection: sqlite3.Connection, kind: str, event: dict[str, Any], moves: list[tuple[Path, Path, bytes]],
        note: Path, seconds: float, time: str,
    ) -> None:  # fmt: skip
        _write_whole(note, _dumps([str(temporary) for temporary, _, _ in moves]).encode(), note)
        for temporary, target, content in moves:
            _write_whole(temporary, content, target)
        seq, _ = self._append(connection, kind, event, time)
        places = [(str(temporary), str(target), _digest(content)) for temporary, target, content in moves]
        connection.execute("INSERT INTO publications VALUES (?,?,?)", (seq, "pending", _dumps(places)))
        row = [event[name] if isinstance(event[name], str) else _dumps(event[name]) for name in _RUN]
        connection.execute(
            "INSERT INTO runs (event, seconds, status, error, report, period, unit, lang, files, manifest)"
            " VALUES (?,?,?,?,?,?,?,?,?,?)",
            (seq, seconds, "done", "", *row),
        )

    def _left(self, connection: sqlite3.Connection) -> list[dict[str, Any]]:
        """Return the payloads of the events by which files left, with time and kind; those that are void left nothing."""
        rows = connection.execute(
            "SELECT e.time, e.kind, e.payload FROM publications p JOIN events e ON e.seq = p.event"
            " WHERE p.state <> 'void' ORDER BY p.event"
        )
        return [json.loads(payload) | {"time": time, "kind": kind} for time, kind, payload in rows]

    def finish_interrupted(self) -> None:
        """Finish what an interrupted run entered, in its order, and remove what it did not enter.

        An entry whose file is gone becomes void, with an event that says so.
        """
        notes = sorted((self.path.parent / "pending").glob("*.json"))
        if not notes:
            return
        with self._transaction() as connection:
            waiting = connection.execute(
                "SELECT event, moves FROM publications WHERE state = 'pending' ORDER BY event"
            ).fetchall()
            for seq, moves in waiting:
                whole = [
                    _moved(Path(temporary), Path(target), digest) for temporary, target, digest in json.loads(moves)
                ]
                if not all(whole):
                    self._append(connection, "void", {"event": seq, "lost": len(whole) - sum(whole)})
                state = "done" if all(whole) else "void"
                connection.execute("UPDATE publications SET state = ?, moves = '[]' WHERE event = ?", (state, seq))
            for left in (path for note in notes for path in _noted(note)):
                Path(left).unlink(missing_ok=True)
        for note in notes:  # only now: without its note nobody would look for an entry that is not finished
            note.unlink(missing_ok=True)

    @property
    def publications(self) -> pd.DataFrame:
        """Every file that left: event, time, kind (publication, draft), state, report, period, unit, file, sha256."""
        import pandas as pd

        rows = self._read(
            "SELECT p.event, e.time, e.kind, p.state, e.payload FROM publications p JOIN events e ON e.seq = p.event"
            " ORDER BY p.event"
        )
        files = [
            (seq, time, kind, state, *(event[name] for name in ("report", "period", "unit")), name, digest)
            for seq, time, kind, state, payload in rows
            for event in [json.loads(payload)]
            for name, digest in event["files"].items()
        ]
        names = ["event", "time", "kind", "state", "report", "period", "unit", "file", "sha256"]
        return pd.DataFrame(files, columns=names)

    def payloads(self, *kinds: str) -> list[dict[str, Any]]:
        """Return the payloads of the events of these kinds, in order, each with its ``seq``, ``time`` and ``kind``."""
        marks = ",".join("?" * len(kinds))
        query = f"SELECT seq, time, kind, payload FROM events WHERE kind IN ({marks}) ORDER BY seq"
        rows = self._read(query, kinds)
        return [json.loads(payload) | {"seq": seq, "time": time, "kind": kind} for seq, time, kind, payload in rows]

    @property
    def head(self) -> str:
        """The hash of the newest event; 64 zeros while there is none."""
        rows = self._read("SELECT hash FROM events ORDER BY seq DESC LIMIT 1")
        return rows[0][0] if rows else GENESIS

    @property
    def events(self) -> pd.DataFrame:
        """Every event: seq, time, kind, payload (JSON), previous, hash."""
        return self._frame("events", ["seq", "time", "kind", "payload", "previous", "hash"])

    @property
    def runs(self) -> pd.DataFrame:
        """Every run: run, event, report, period, unit, lang, status, seconds, files, manifest, error."""
        names = ["run", "event", "report", "period", "unit", "lang", "status", "seconds", "files", "manifest", "error"]
        return self._frame("runs", names)

    def verify(self) -> None:
        """Recompute the chain and compare the runs with their events; raise :class:`RecordError` at the first misfit.

        Who can write the file can also write a new chain: the head hash printed in reports is what stands against that.
        """
        previous, expected = GENESIS, 0
        rows = self._read("SELECT seq, time, kind, payload, previous, hash FROM events ORDER BY seq")
        for expected, (seq, time, kind, payload, before, digest) in enumerate(rows, start=1):
            if seq != expected or before != previous or digest != _hash(seq, time, kind, payload, before):
                raise self._broken(expected)
            previous = digest
        if self.path.exists() and self._read("SELECT seq, hash FROM head") != ([(expected, previous)] if rows else []):
            raise self._broken(expected + 1)
        payloads = {seq: json.loads(payload) for seq, _, kind, payload, _, _ in rows if kind in _LEAVING}
        voids = {json.loads(payload)["event"] for _, _, kind, payload, _, _ in rows if kind == "void"}
        states = dict(self._read("SELECT event, state FROM publications")) if self.path.exists() else {}
        for event in sorted(states.keys() ^ payloads.keys()):
            raise self._broken(event)
        for event, state in states.items():
            if state not in ("pending", "done", "void") or (state == "void") != (event in voids):
                raise self._broken(event)
        entered = self._read(f"SELECT event, {', '.join(_RUN)} FROM runs ORDER BY 1")
        for event, *values in entered:
            run = payloads.pop(event, None)
            if run is None or values != [run[n] if isinstance(run[n], str) else _dumps(run[n]) for n in _RUN]:
                raise self._broken(event)
        if payloads:
            raise self._broken(min(payloads))

    def _broken(self, seq: int) -> RecordError:
        return RecordError(f"{self.path.name}: 第 {seq} 条记录与哈希链不符 (event {seq} breaks the chain)")

    def _append(
        self, connection: sqlite3.Connection, kind: str, payload: dict[str, Any], time: str = ""
    ) -> tuple[int, str]:
        last = connection.execute("SELECT seq, hash FROM events ORDER BY seq DESC LIMIT 1").fetchone()
        seq, previous = (last[0] + 1, last[1]) if last else (1, GENESIS)
        time, text = time or _now(), _dumps(payload)
        head = _hash(seq, time, kind, text, previous)
        connection.execute("INSERT INTO events VALUES (?,?,?,?,?,?)", (seq, time, kind, text, previous, head))
        connection.execute("INSERT OR REPLACE INTO head VALUES (1,?,?)", (seq, head))
        return seq, head

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        with self._open() as connection:
            try:
                connection.execute("PRAGMA synchronous=FULL")
                connection.execute("BEGIN IMMEDIATE")
                for statement in filter(str.strip, SCHEMA.split(";")):  # with what is entered, or not at all
                    connection.execute(statement)
                yield connection
                connection.execute("COMMIT")
            except BaseException:
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
                raise

    def _read(self, query: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        if not self.path.exists():
            return []
        with self._open() as connection:
            begun = connection.execute("SELECT EXISTS (SELECT 1 FROM sqlite_master)").fetchone()[0]
            return connection.execute(query, values).fetchall() if begun else []  # the first entry was interrupted

    @contextlib.contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        """Open the database; what the system or the database refuses is one error."""
        try:
            with accessing(self.path):
                self.path.parent.mkdir(parents=True, exist_ok=True)
                connection = sqlite3.connect(self.path, timeout=60, isolation_level=None)
                try:
                    yield connection
                finally:
                    connection.close()
        except sqlite3.DatabaseError as error:
            raise RecordError(
                f"{self.path}: 记录已损坏,从 .dj 的备份恢复 (the record is damaged: restore it from the backup of .dj): {error}"
            ) from error

    def _frame(self, table: str, names: list[str]) -> pd.DataFrame:
        import pandas as pd

        return pd.DataFrame(self._read(f"SELECT {', '.join(names)} FROM {table} ORDER BY 1"), columns=names)


def _dumps(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":"))


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


def _digests(files: Mapping[str, tuple[Path, bytes]]) -> dict[str, str]:
    return {name: _digest(content) for name, (_, content) in files.items()}


def _hash(seq: int, time: str, kind: str, payload: str, previous: str) -> str:
    return hashlib.sha256("\x1f".join((str(seq), time, kind, payload, previous)).encode()).hexdigest()


def _write_whole(path: Path, content: bytes, told: Path) -> None:
    """Write a file and wait until it is on the disk; an error tells the file it is for."""
    with accessing(told):
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())


def _noted(note: Path) -> list[str]:
    """Return the temporary files a note names; one that was cut short names none that exists yet."""
    try:
        return [str(path) for path in json.loads(note.read_text(encoding="utf-8"))]
    except (FileNotFoundError, ValueError):
        return []


def _moved(temporary: Path, target: Path, digest: str) -> bool:
    """Put a file in its place, or tell whether it is there already."""
    with accessing(target):
        if temporary.exists() and _digest(temporary.read_bytes()) == digest:
            temporary.replace(target)
            return True
        return target.exists() and _digest(target.read_bytes()) == digest


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
