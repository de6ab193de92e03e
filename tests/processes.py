"""Processes of a test that begin with the package imported: real ones, with a number, an end and a signal of their own.

Where the system forks, they come out of one server that has imported once and done nothing else (as multiprocessing keeps it);
elsewhere each imports for itself. What a process imports, or that it imports at all, is not to be proved with them.
"""

from __future__ import annotations

import contextlib
import io
import multiprocessing
import os
import subprocess
import sys
import tempfile
import threading
import traceback
from collections.abc import Callable, Mapping
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import pytest

_FORKS = "forkserver" in multiprocessing.get_all_start_methods()
_CONTEXT = multiprocessing.get_context("forkserver" if _FORKS else "spawn")
_STARTING = threading.Lock()
_IMPORTED = [
    "offices", "pytest", "dj_analysis.cli", "dj_analysis.workspace", "dj_analysis.audit", "dj_analysis.publish.notebooks",
    "dj_analysis.publish.exports.formats", "jupyter_client.manager", "pyarrow.parquet", "zmq",
]  # fmt: skip


def _process(target: Callable[..., None], *arguments: Any) -> Any:
    """Start a process; the server is started for the first, where it finds the modules of the tests too."""
    if _FORKS:
        from multiprocessing import forkserver

        _CONTEXT.set_forkserver_preload(_IMPORTED)
        places = [str(Path(__file__).parent), os.environ.get("PYTHONPATH", "")]
        with _STARTING, pytest.MonkeyPatch.context() as patch:
            patch.setenv("PYTHONPATH", os.pathsep.join(filter(None, places)))
            forkserver.ensure_running()
    process = _CONTEXT.Process(target=target, args=arguments, daemon=True)
    process.start()
    return process


class Running:
    """A process that runs a function of a module; the function is given ``ready`` first, then the arguments."""

    def __init__(self, function: Callable[..., None], *arguments: Any):
        self._said, theirs = multiprocessing.Pipe(duplex=False)
        self.process = _process(_run, theirs, function, arguments)
        theirs.close()

    def ready(self) -> None:
        """Wait until the function says that it is ready."""
        assert self._said.poll(90), "the process did not get ready"
        said = self._said.recv()
        assert said == "ready", said

    def finished(self) -> None:
        """Wait for an end without an error."""
        self.process.join(90)
        assert self.process.exitcode == 0, self._went_wrong() or self.process.exitcode

    def kill(self) -> None:
        """End it at once, as the system does."""
        self.process.kill()
        self.process.join(30)
        assert self.process.exitcode is not None
        assert not (wrong := self._went_wrong()), wrong

    def _went_wrong(self) -> str:
        """What the function failed with, if it did."""
        with contextlib.suppress(EOFError):
            while self._said.poll(1):
                if (said := self._said.recv()) != "ready":
                    return said
        return ""


def _run(said: Connection, function: Callable[..., None], arguments: tuple[Any, ...]) -> None:
    try:
        function(lambda: said.send("ready"), *arguments)
    except BaseException:
        said.send(traceback.format_exc())
        raise


def dj_process(
    *arguments: object, env: Mapping[str, str] | None = None, cwd: Path | None = None
) -> subprocess.CompletedProcess[str]:
    """The command ``dj`` as a process of its own: what it wrote, as bytes of UTF-8, and the code it ended with."""
    words = list(map(str, arguments))
    with tempfile.TemporaryDirectory(prefix="dj-said-") as folder:
        places = Path(folder) / "out", Path(folder) / "err"
        process = _process(_command, words, dict(os.environ if env is None else env), cwd, *map(str, places))
        process.join(180)
        if process.exitcode is None:
            process.kill()
            process.join()
            raise subprocess.TimeoutExpired(words, 180)
        # A pipe of text would read both ends of lines as one.
        out, err = (place.read_bytes().decode("utf-8").replace("\r\n", "\n") for place in places)
    return subprocess.CompletedProcess(words, process.exitcode, out, err)


def _command(words: list[str], env: dict[str, str], cwd: Path | None, out: str, err: str) -> None:
    os.environ.clear()
    os.environ.update(env)
    tempfile.tempdir = None  # asked for anew
    if cwd is not None:
        os.chdir(cwd)
    for number, place in ((1, out), (2, err)):
        written = os.open(place, os.O_WRONLY | os.O_CREAT, 0o600)
        os.dup2(written, number)
        os.close(written)
    sys.stdout, sys.stderr = (
        io.TextIOWrapper(io.FileIO(number, "w", closefd=False), encoding="utf-8", errors=errors, line_buffering=True)
        for number, errors in ((1, "strict"), (2, "backslashreplace"))
    )
    sys.argv = ["dj", *words]
    from dj_analysis.cli import main

    main()
