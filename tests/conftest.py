"""What several test modules share: the folder of real data, and a way to write a workspace from its files."""

from __future__ import annotations

import gc
import os
import subprocess
import sys
import warnings
from collections.abc import Callable, Generator, Iterator, Mapping
from pathlib import Path

import pytest
from trials import EVERYTHING

# Test processes share the processors: threads of linear algebra would only wait for each other. NumPy reads it when it is
# imported, so nothing above imports it.
for name in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS"):
    os.environ.setdefault(name, "1")

SHARED_DATA = Path(__file__).resolve().parents[2] / "shared" / "data"

WriteWorkspace = Callable[[Path, Mapping[str, str | bytes]], Path]

#: Modules of ``make quick``: what a change breaks most often, in seconds.
QUICK = frozenset(
    {
        "architecture", "codes", "columns", "publish", "spec", "partition", "record", "workbooks", "rules", "shrinkage",
        "ranks", "composite", "agreement", "orderings", "planning", "uncertainty", "raters",
    }
)  # fmt: skip


#: Modules that take longest alone, in that order: they start first, so that no processor waits for the last of them.
#: What several would make anew (demo offices) is in ``shared.py``, what they run reports on below; see CONTRIBUTING.
LONG = (
    "attacks_files", "reports", "interrupted", "review", "attacks_work", "methods_report", "versions", "agenda", "short_reports",
    "columns", "attacks", "demo", "closing", "branches", "pairs", "attacks_releases", "appeals", "attacks_random", "audit",
    "kernels", "warning_history", "proposals", "thirty_exports", "properties", "edits", "quality", "human_review", "checklist",
    "satisfaction", "raters", "partition", "factors", "readers", "tree_rates", "score_limits", "office_files", "mistakes",
    "proposal", "score_sheets", "ranks", "rubrics", "check", "rules", "differences", "truth", "engines", "sources", "moderated",
)  # fmt: skip


def pytest_sessionstart(session: pytest.Session) -> None:
    """Import notebooks as the package does, before a module of tests does it with a grammar of web addresses, in a second."""
    from dj_analysis.publish.parameters import without_web_addresses

    with without_web_addresses():
        import nbformat  # noqa: F401


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(
    collector: pytest.Collector,
) -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    """Every second process collects from the end: each test module is compiled by the process that comes to it first.

    The order of tests is made afterwards, the same in all processes.
    """
    report = yield
    if isinstance(collector, pytest.Directory) and int(os.environ.get("PYTEST_XDIST_WORKER", "gw0")[2:]) % 2:
        report.result.reverse()
    return report


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Put the long modules first, mark the tests of the quick ones.

    Tests marked ``everything`` run where everything is asked for: ``DJ_EVERYTHING=1``, as ``.ci/run`` sets it.
    """
    later = [] if EVERYTHING else [item for item in items if item.get_closest_marker("everything")]
    if later:
        config.hook.pytest_deselected(items=later)
        items[:] = [item for item in items if not item.get_closest_marker("everything")]
    places = {name: place for place, name in enumerate(LONG)}
    items.sort(key=lambda item: (places.get(item.path.stem.removeprefix("test_"), len(LONG)), item.path))
    for item in items:
        if item.path.stem.removeprefix("test_") in QUICK:
            item.add_marker("quick")


def pytest_collection_finish(session: pytest.Session) -> None:
    """Look through all of memory for garbage seldom: with some thousand tests in it, it takes a twentieth of the time."""
    gc.set_threshold(100_000, 50, 100)


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """Fail where tests were skipped for want of a program, if DJ_NOTHING_SKIPPED asks for it.

    Real data lie beside the project and not in it: tests of them may be skipped.
    """
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if not os.environ.get("DJ_NOTHING_SKIPPED") or reporter is None or hasattr(session.config, "workerinput"):
        return
    skipped = [report for report in reporter.stats.get("skipped", []) if "real data" not in str(report.longrepr)]
    if skipped and session.exitstatus == pytest.ExitCode.OK:
        reporter.write_line(f"{len(skipped)} tests were skipped and nothing may be: {skipped[0].longrepr}")
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


@pytest.fixture(autouse=True)
def figures_are_closed() -> Iterator[None]:
    """No figure outlives its test: the next one would be warned of too many."""
    yield
    if (pyplot := sys.modules.get("matplotlib.pyplot")) is not None:
        pyplot.close("all")


@pytest.fixture(scope="session")
def report_kernels() -> Iterator[None]:
    """Reports run on forked kernels for as long as the session lasts."""
    from dj_analysis.publish.kernels import preloaded

    with preloaded():
        yield


@pytest.fixture(scope="module", autouse=True)
def reports_on_forked_kernels(request: pytest.FixtureRequest) -> None:
    """Start the process that forks kernels before the first module that runs reports: a plain kernel imports for seconds.

    A marker added while tests are collected would come too late: what fixtures a test has is known by then.
    """
    if "run_report" in request.path.read_text("utf-8"):
        request.getfixturevalue("report_kernels")


@pytest.fixture
def dj_main(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., subprocess.CompletedProcess[str]]:
    """The command ``dj`` in this process, which imports nothing anew: what ``main`` prints, and the code it ends with."""
    from dj_analysis.cli import main

    def run(*arguments: object) -> subprocess.CompletedProcess[str]:
        words = ["dj", *map(str, arguments)]
        monkeypatch.setattr(sys, "argv", words)
        monkeypatch.setattr(warnings, "showwarning", warnings.showwarning)  # main sets its own
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            main()
        said = capsys.readouterr()
        return subprocess.CompletedProcess(words, ended.value.code, said.out, said.err)

    return run


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real data beside the project; it is read where it lies and never copied."""
    if not SHARED_DATA.is_dir():
        pytest.skip("real data are not here: ../shared/data beside the project is missing")
    return SHARED_DATA


@pytest.fixture(scope="session")
def write_workspace() -> WriteWorkspace:
    """A function of (folder, files) that writes a workspace; text becomes UTF-8, bytes stay as they are."""

    def write(folder: Path, files: Mapping[str, str | bytes]) -> Path:
        folder.mkdir(parents=True, exist_ok=True)
        for name, content in files.items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return folder

    return write
