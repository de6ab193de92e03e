"""Set up the environment in .venv and run the everyday commands; the Makefile and Windows both call this file.

Usage: python make.py report | quick | test | lab | bench | lock
"""

from __future__ import annotations

import os
import subprocess
import sys
import venv
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parent
VENV = ROOT / ".venv"
BIN = VENV / ("Scripts" if os.name == "nt" else "bin")
PYTHON = BIN / ("python.exe" if os.name == "nt" else "python")
LOCK = ROOT / "requirements.lock"
DEMO = ROOT / "data" / "demo"
MONTH = "2026-09"  # the last month of the demo's branch indicators


def run(*command: object) -> None:
    """Run one command in the project's folder; its failure is ours."""
    print("$", *command, flush=True)
    done = subprocess.run([str(part) for part in command], cwd=ROOT)
    if done.returncode:
        sys.exit(done.returncode)


@contextmanager
def beside(*command: object) -> Iterator[None]:
    """Run one command while others run; what it says is told at the end, and its failure is ours."""
    print("$", *command, "&", flush=True)
    told = [str(part) for part in command]
    with subprocess.Popen(told, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        try:
            yield
        finally:
            print(process.communicate()[0], end="", flush=True)
    if process.returncode:
        sys.exit(process.returncode)


def setup() -> None:
    """Make .venv from the lock file, once per state of the lock and of pyproject.toml."""
    stamp, wanted = VENV / "installed", LOCK.read_bytes() + (ROOT / "pyproject.toml").read_bytes()
    if stamp.exists() and stamp.read_bytes() == wanted:
        return
    if not PYTHON.exists():
        venv.create(VENV, with_pip=True)
    run(PYTHON, "-m", "pip", "install", "--quiet", "--require-hashes", "-r", LOCK)
    run(PYTHON, "-m", "pip", "install", "--quiet", "--no-deps", "--no-build-isolation", "-e", ".")
    stamp.write_bytes(wanted)


def dj(*arguments: object) -> None:
    """Call the package's own command line."""
    run(PYTHON, "-m", "dj_analysis.cli", *arguments)


def demo() -> None:
    """Write the demo workspace where there is none yet."""
    if not (DEMO / "workspace.toml").exists():
        dj("demo", DEMO)


def report() -> None:
    """Demo workspace and its reports, under reports/ (the quarterly in English under reports/en/)."""
    demo()
    of_branches = "html,pdf,docx,xlsx"
    for name, period, formats in (
        ("quarterly", "2026Q3", "html,pdf,docx,pptx,xlsx"),
        ("benchmark", MONTH, of_branches),
        ("clusters", MONTH, of_branches),
        ("assessment", MONTH, of_branches),
    ):
        dj("report", name, DEMO, "--period", period, "--formats", formats, "--out", ROOT / "reports")
    dj("report", "quarterly", DEMO, "--period", "2026Q3", "--lang", "en", "--out", ROOT / "reports" / "en")


def test() -> None:
    """Lint, format, types, tests (architecture and notebooks among them)."""
    os.environ.pop(
        "PYTHONDONTWRITEBYTECODE", None
    )  # a hundred processes of the tests import the package: it is compiled once
    run(PYTHON, "-m", "ruff", "check", ".")
    run(PYTHON, "-m", "ruff", "format", "--check", ".")
    with beside(PYTHON, "-m", "mypy"):
        run(PYTHON, "-m", "pytest", "-n", "auto", "--dist", "loadfile", "--no-loadscope-reorder", "-rs")


def quick() -> None:
    """Lint, format, types and the fast part of the tests: before each commit, in under two minutes."""
    run(PYTHON, "-m", "ruff", "check", ".")
    run(PYTHON, "-m", "ruff", "format", "--check", ".")
    run(PYTHON, "-m", "mypy")
    run(PYTHON, "-m", "pytest", "-n", "auto", "--dist", "loadfile", "-m", "quick")


def lab() -> None:
    """JupyterLab on the demo workspace and the notebooks."""
    demo()
    run(PYTHON, "-m", "jupyterlab", "notebooks/tutorial.ipynb")


def bench() -> None:
    """Measure the speed ratios and write benchmarks/RESULTS.md, BRANCHES.md, UNITS.md, FORMATS.md, OBLIGATIONS.md, REPORTS.md and METHODS.md.

    Packages that are only compared with live in an environment of their own, from the extra ``bench``, without a lock.
    """
    run(PYTHON, "benchmarks/run.py")
    run(PYTHON, "benchmarks/branches.py")
    run(PYTHON, "benchmarks/units.py")
    run(PYTHON, "benchmarks/formats.py")
    run(PYTHON, "benchmarks/obligations.py")
    run(PYTHON, "benchmarks/reports.py", "--small")
    place = ROOT / ".venv-bench"
    python = place / BIN.name / PYTHON.name
    if not python.exists():
        venv.create(place, with_pip=True)
    run(python, "-m", "pip", "install", "--quiet", "-e", ".[bench]")
    run(python, "benchmarks/methods.py")


def lock() -> None:
    """Resolve the dependencies anew for every platform, with hashes and without any index address."""
    run(
        PYTHON, "-m", "uv", "pip", "compile", "pyproject.toml", "--extra", "dev", "--extra", "lab",
        "--universal", "--python-version", "3.11", "--generate-hashes", "--no-emit-index-url",
        "--no-header", "--no-annotate", "--upgrade", "--quiet", "-o", LOCK,
    )  # fmt: skip


TARGETS = {f.__name__: f for f in (setup, report, quick, test, lab, bench, lock)}

if __name__ == "__main__":
    if len(sys.argv) != 2 or sys.argv[1] not in TARGETS:
        sys.exit(__doc__)
    if sys.version_info < (3, 11):  # noqa: UP036  run by whatever python there is
        sys.exit("Python 3.11 or newer is needed / 需要 Python 3.11 或更高版本")
    if sys.argv[1] != "setup":
        setup()
    TARGETS[sys.argv[1]]()
