"""Forked kernels: the same report as a plain one, nothing carried over, no kernel outlives its server."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

import nbformat
import papermill
import pytest
from nbclient.exceptions import DeadKernelError
from offices import office as small_office
from offices import people

import dj_analysis as dj
from dj_analysis.publish import kernels

needs_fork = pytest.mark.skipif(not kernels.can_fork(), reason="this system cannot fork kernels")


@pytest.fixture
def no_server(monkeypatch: pytest.MonkeyPatch) -> None:
    """Put aside the server that other modules of this session run their reports on."""
    monkeypatch.setattr(kernels, "_server", {"socket": None, "blocks": 0})


def _notebook(folder: Path, *cells: str) -> Path:
    path = folder / "own.ipynb"
    nbformat.write(nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells]), path)
    return path


def _run(path: Path, environment: Mapping[str, str] = MappingProxyType({}), **options) -> nbformat.NotebookNode:
    """Run a notebook as reports are."""
    with kernels.own_kernels(path.parent / "said.log", environment) as own:
        return papermill.execute_notebook(
            str(path), None, kernel_name="python3", progress_bar=False, cwd=str(path.parent), **options, **own
        )


def _said(notebook: nbformat.NotebookNode, cell: int) -> str:
    return "".join(output.get("text", "") for output in notebook.cells[cell].outputs)


def _is_running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


@needs_fork
@pytest.mark.everything
def test_a_forked_kernel_gives_the_report_a_plain_one_gives(no_server, tmp_path):
    waves, periods = [people(seed=seed, first=1 + 200 * seed) for seed in (1, 2)], ("2026Q2", "2026Q3")
    office = small_office(tmp_path / "office", *waves, periods=periods)
    for period in periods:
        dj.open_workspace(office).close(period)
    plain = dj.run_report("quarterly", office, period="2026Q3", formats=["html"], out=tmp_path / "plain")
    with kernels.preloaded():
        forked = dj.run_report("quarterly", office, period="2026Q3", formats=["html"], out=tmp_path / "forked")
    assert forked.manifest["content"] == plain.manifest["content"]
    outputs = [
        [cell.get("outputs") for cell in nbformat.read(run.files["ipynb"], as_version=4).cells]
        for run in (plain, forked)
    ]
    assert sum(bool(cell) for cell in outputs[0]) > 5
    assert [len(cell or ()) for cell in outputs[0]] == [len(cell or ()) for cell in outputs[1]]


@needs_fork
def test_each_kernel_is_fresh_and_draws_its_own_numbers(tmp_path):
    path = _notebook(
        tmp_path,
        "import os, random, sys\nimport numpy as np\nprint(hasattr(sys, 'left_by_a_run'), os.environ.get('DJ_LEFT'))",
        "sys.left_by_a_run = True\nos.environ['DJ_LEFT'] = 'yes'",
        "print(np.random.random(), random.random())",
        "print(os.getcwd())\nprint(os.getpid() == os.getpgid(0))",
        "import matplotlib.pyplot as plt\nplt.plot([1, 2]);",
    )
    with kernels.preloaded():
        runs = [_run(path) for _ in range(2)]
    assert [_said(run, 0) for run in runs] == ["False None\n"] * 2
    assert _said(runs[0], 2) != _said(runs[1], 2)
    assert _said(runs[0], 3).splitlines() == [str(tmp_path), "True"]
    assert any("image/png" in output.get("data", {}) for output in runs[0].cells[4].outputs)


@needs_fork
def test_a_kernel_sees_the_environment_of_the_moment(tmp_path, monkeypatch):
    path = _notebook(tmp_path, "import os\nprint(os.environ['DJ_MOMENT'])")
    with kernels.preloaded():
        for value in ("one", "two"):
            monkeypatch.setenv("DJ_MOMENT", value)
            assert _said(_run(path), 0) == value + "\n"


@needs_fork
def test_a_cell_that_takes_too_long_is_interrupted_and_a_dead_kernel_is_told(tmp_path):
    from nbclient.exceptions import DeadKernelError

    slow = _notebook(tmp_path, "import time\ntime.sleep(60)")
    with kernels.preloaded():
        with pytest.raises(papermill.PapermillExecutionError, match="KeyboardInterrupt"):
            _run(slow, execution_timeout=1, interrupt_on_timeout=True)
        dead = _notebook(tmp_path, "import os, signal\nos.kill(os.getpid(), signal.SIGKILL)")
        with pytest.raises(DeadKernelError):
            _run(dead)


@needs_fork
def test_before_a_fork_the_server_has_one_thread_and_kernels_end_with_it(no_server, tmp_path):
    path = _notebook(
        tmp_path,
        "import os, subprocess, sys\n"
        "place = f'/proc/{os.getppid()}/task'\n"
        "print(os.getppid())\nprint(os.getpid())\n"
        "print(*(open(f'{place}/{task}/comm').read().strip() for task in os.listdir(place)))",
    )
    with kernels.preloaded():
        server, kernel, threads = _said(_run(path), 0).splitlines()
        # Allocators and the spill-file cleaner of polars keep threads of their own; none of them holds a lock at a fork.
        assert len([name for name in threads.split() if not name.startswith(("jemalloc", "polars-ooc"))]) == 1
        assert _is_running(int(server))
    for _ in range(50):
        if not _is_running(int(server)) and not _is_running(int(kernel)):
            break
        time.sleep(0.1)
    assert not _is_running(int(server))
    assert not _is_running(int(kernel))
    assert kernels.manager_options() == {}


@needs_fork
def test_a_server_that_does_not_start_is_one_error(no_server, monkeypatch):
    monkeypatch.setattr(kernels.sys, "executable", "/bin/false")
    with pytest.raises(kernels.KernelServerError, match="没有启动"), kernels.preloaded():
        pass
    assert kernels.manager_options() == {}


def test_where_the_system_cannot_fork_reports_run_on_plain_kernels(no_server, tmp_path, monkeypatch):
    monkeypatch.setattr(kernels, "can_fork", lambda: False)
    before = kernels.manager_options()
    with kernels.preloaded(), kernels.preloaded():
        assert kernels.manager_options().keys() == before.keys()
    path = _notebook(tmp_path, "print(1 + 1)")
    assert _said(_run(path), 0) == "2\n"
    assert os.environ.get("DJ_LEFT") is None


@pytest.mark.parametrize("plain", [False, pytest.param(True, marks=pytest.mark.everything)])
def test_a_kernel_ends_with_its_notebook_whatever_it_would_do_at_its_end(no_server, tmp_path, monkeypatch, plain):
    if plain:
        monkeypatch.setattr(kernels, "can_fork", lambda: False)
    path = _notebook(
        tmp_path,
        "import atexit, os, pathlib, time\natexit.register(lambda: (time.sleep(60), pathlib.Path('late').touch()))",
        "print(os.getpid())",
    )
    with kernels.preloaded():
        ended = [int(_said(_run(path), 1)) for _ in range(2)]
    assert len(set(ended)) == 2
    assert not any(_is_running(pid) for pid in ended)
    assert not (tmp_path / "late").exists()


def test_a_kernel_that_dies_at_its_start_is_told_with_what_it_said(no_server, tmp_path):
    with pytest.raises(DeadKernelError):
        _run(_notebook(tmp_path, "1"), environment={"PYTHONHOME": str(tmp_path / "nowhere")})
    assert "PYTHONHOME" in (tmp_path / "said.log").read_text()


_SHARED = """
import json, os, signal, sys, threading
from pathlib import Path
import nbformat, papermill
from dj_analysis.publish import kernels

with kernels.shared_imports():
    server = kernels._server["socket"]
    threads = len([task for task in os.listdir("/proc/self/task")
                   if not open(f"/proc/self/task/{task}/comm").read().startswith(("jemalloc", "polars-ooc"))])
    with kernels.own_kernels(Path("said.log")) as options:
        done = papermill.execute_notebook("own.ipynb", None, kernel_name="python3", progress_bar=False, **options)
try:
    os.waitpid(-1, os.WNOHANG)
    left = True
except ChildProcessError:
    left = False
said = "".join(output.get("text", "") for cell in done.cells for output in cell.outputs)
print(json.dumps([bool(server), threads, left, said, Path("said.log").read_text(), kernels._server["socket"]]))
"""


@needs_fork
def test_the_command_line_imports_once_and_leaves_no_process(tmp_path):
    _notebook(
        tmp_path,
        "import os, sys, warnings\nprint('dj_analysis.workspace' in sys.modules, 'dj_analysis.methods' in sys.modules)",
        "os.write(2, b'said aside')\nprint(os.getpid() == os.getpgid(0))",
    )
    done = subprocess.run([sys.executable, "-c", _SHARED], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    forked, threads, left, said, aside, after = json.loads(done.stdout)
    assert forked
    assert threads == 1
    assert not left
    assert said == "True True\nTrue\n"
    assert "said aside" in aside
    assert "said aside" not in done.stderr
    assert after is None


_DYING = """
import sys
from dj_analysis.publish import kernels

kernels._OF_KERNELS = ("no_module_of_this_name",)
with kernels.shared_imports():
    kernels._ask(kernels._server["socket"], ["python", "-m", "ipykernel_launcher"], {})
"""


@needs_fork
def test_a_server_that_dies_while_it_imports_is_one_error_at_once(tmp_path):
    done = subprocess.run([sys.executable, "-c", _DYING], cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert done.returncode == 1
    assert "ModuleNotFoundError: No module named 'no_module_of_this_name'" in done.stderr
    assert "KernelServerError: 内核服务没有应答" in done.stderr


@needs_fork
def test_a_process_with_threads_of_its_own_is_not_forked(no_server):
    over = threading.Event()
    other = threading.Thread(target=over.wait, args=(60,))
    other.start()
    try:
        with kernels.shared_imports():
            assert kernels.manager_options() == {}
    finally:
        over.set()
        other.join()
