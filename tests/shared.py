"""Demo offices that several modules look at: written once a session, by whichever process needs them first.

What is made lies in a folder of the session that all processes of pytest-xdist see, a folder a key; a lock file beside it makes
the others wait. A shared office is read only. Whoever opens it takes a copy, for opening one writes into its store: copying costs a
hundredth of writing and closing its waves.
"""

from __future__ import annotations

import hashlib
import os
import pickle
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import pytest
from filelock import FileLock

import dj_analysis as dj

Value = TypeVar("Value")


def once(factory: pytest.TempPathFactory, key: str, make: Callable[[Path], Value]) -> Value:
    """Return what ``make`` returned for the folder of this key; it is called in one process alone, once a session.

    What it returns is pickled. If it fails, what it left is removed, and the next process tries anew.
    """
    base = factory.getbasetemp()
    session = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "shared"
    session.mkdir(exist_ok=True)
    name = hashlib.sha256(key.encode()).hexdigest()[:12]
    folder, done = session / name, session / f"{name}.done"
    with FileLock(session / f"{name}.lock"):
        if not done.exists():
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir()
            written = pickle.dumps(make(folder))
            done.write_bytes(written)
        value: Value = pickle.loads(done.read_bytes())
        return value


def demo_office(factory: pytest.TempPathFactory, *, closed: bool = True, **arguments: Any) -> Path:
    """Return the demo workspace of these arguments of ``dj.make_company``, to read only; without ``closed`` its waves are open."""

    def written(folder: Path) -> Path:
        return dj.make_company(**arguments).write(folder / "office", closed=closed)

    return once(factory, f"demo {closed} {sorted(arguments.items())}", written)


def copied(office: Path, folder: Path) -> Path:
    """Copy a shared office, its store and record too, to where it may be changed."""
    return Path(shutil.copytree(office, folder))
