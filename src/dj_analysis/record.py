"""The workspace's one record: what was done, in an order nobody can change unseen."""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .errors import RecordError

if TYPE_CHECKING:
    import pandas as pd

GENESIS = "0" * 64
SCHEMA = """
CREATE TABLE IF NOT EXISTS events (
    seq INTEGER PRIMARY KEY, time TEXT NOT NULL, kind TEXT NOT NULL, payload TEXT NOT NULL,
    previous TEXT NOT NULL, hash TEXT NOT NULL UNIQUE);
CREATE TABLE IF NOT EXISTS runs (
    run INTEGER PRIMARY KEY, event INTEGER NOT NULL REFERENCES events(seq), report TEXT NOT NULL, period TEXT NOT NULL,
    unit TEXT NOT NULL, lang TEXT NOT NULL, status TEXT NOT NULL, seconds REAL NOT NULL, files TEXT NOT NULL,
    manifest TEXT NOT NULL, error TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS head (one INTEGER PRIMARY KEY CHECK (one = 1), seq INTEGER NOT NULL, hash TEXT NOT NULL);
"""


class Record:
    """Append-only record in one SQLite file: hash-chained events, and the runs of reports.

    Each event's hash covers its own content and the hash before it, so that no event can be changed, dropped or
    put in between without breaking the chain. One writer at a time; readers never wait.

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

    def add_run(
        self,
        *,
        report: str,
        period: str,
        unit: str,
        lang: str,
        status: str,
        seconds: float,
        files: list[str],
        manifest: dict[str, Any],
        error: str = "",
    ) -> None:
        """Enter one run of a report with its event, in one transaction."""
        payload = {"report": report, "period": period, "unit": unit, "lang": lang, "status": status, "files": files}
        with self._transaction() as connection:
            seq, _ = self._append(connection, "run", payload | {"manifest": manifest, "error": error})
            row = (seq, report, period, unit, lang, status, seconds, _dumps(files), _dumps(manifest), error)
            connection.execute(
                "INSERT INTO runs (event, report, period, unit, lang, status, seconds, files, manifest, error)"
                " VALUES (?,?,?,?,?,?,?,?,?,?)",
                row,
            )

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
        for expected, (seq, time, kind, payload, before, found) in enumerate(rows, start=1):
            if seq != expected or before != previous or found != _hash(seq, time, kind, payload, before):
                raise self._broken(expected)
            previous = found
        if self.path.exists() and self._read("SELECT seq, hash FROM head") != ([(expected, previous)] if rows else []):
            raise self._broken(expected + 1)
        payloads = {seq: json.loads(payload) for seq, _, kind, payload, _, _ in rows if kind == "run"}
        entered = self._read(
            "SELECT event, report, period, unit, lang, status, files, manifest, error FROM runs ORDER BY 1"
        )
        for event, *values in entered:
            run = payloads.pop(event, None)
            names = ("report", "period", "unit", "lang", "status", "files", "manifest", "error")
            if run is None or values != [run[n] if isinstance(run[n], str) else _dumps(run[n]) for n in names]:
                raise self._broken(event)
        if payloads:
            raise self._broken(min(payloads))

    def _broken(self, seq: int) -> RecordError:
        return RecordError(f"{self.path.name}: 第 {seq} 条记录与哈希链不符 (event {seq} breaks the chain)")

    def _append(self, connection: sqlite3.Connection, kind: str, payload: dict[str, Any]) -> tuple[int, str]:
        last = connection.execute("SELECT seq, hash FROM events ORDER BY seq DESC LIMIT 1").fetchone()
        seq, previous = (last[0] + 1, last[1]) if last else (1, GENESIS)
        time, text = datetime.now(UTC).isoformat(timespec="seconds"), _dumps(payload)
        head = _hash(seq, time, kind, text, previous)
        connection.execute("INSERT INTO events VALUES (?,?,?,?,?,?)", (seq, time, kind, text, previous, head))
        connection.execute("INSERT OR REPLACE INTO head VALUES (1,?,?)", (seq, head))
        return seq, head

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        connection = sqlite3.connect(self.path, timeout=60, isolation_level=None)
        try:
            connection.execute("PRAGMA synchronous=FULL")
            connection.executescript(SCHEMA)
            connection.execute("BEGIN IMMEDIATE")
            yield connection
            connection.execute("COMMIT")
        except BaseException:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise
        finally:
            connection.close()

    def _read(self, query: str) -> list[tuple[Any, ...]]:
        if not self.path.exists():
            return []
        connection = sqlite3.connect(self.path, timeout=60)
        try:
            return connection.execute(query).fetchall()
        finally:
            connection.close()

    def _frame(self, table: str, names: list[str]) -> pd.DataFrame:
        import pandas as pd

        return pd.DataFrame(self._read(f"SELECT {', '.join(names)} FROM {table} ORDER BY 1"), columns=names)


def _dumps(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":"))


def _hash(seq: int, time: str, kind: str, payload: str, previous: str) -> str:
    return hashlib.sha256("\x1f".join((str(seq), time, kind, payload, previous)).encode()).hexdigest()
