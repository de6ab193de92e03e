"""Notebook kernels that start at once: forked from a process that has imported the libraries already.

Most of a short report is the kernel's start and its imports. Within `preloaded`, reports run on kernels that a server process,
which only imports and never computes, forks one by one; papermill, timeouts and interrupts see an ordinary local kernel.
Kernels share nothing that changes: each is a copy of the server as it stood before any work. `dj report` makes its server by a
fork of itself (`shared_imports`): what the office's process and the kernel both import is imported once.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import json
import os
import queue
import select
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import uuid
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, NoReturn

from ..errors import DjError
from .parameters import without_web_addresses

START_SECONDS = 120
KILL_SECONDS = 0.5  # a killed process ends within milliseconds: waited for, it is not asked for every tenth of a second
#: A report holds large tables to its end: looking through them for garbage at every turn takes a tenth of its time.
_SELDOM_COUNTS = (100_000, 50, 100)
_SELDOM = f"--IPKernelApp.exec_lines=__import__('gc').set_threshold{_SELDOM_COUNTS}"
_REQUEST_BYTES = 1 << 20
#: How Python itself shows a warning.
_PLAIN_WARNING = warnings.showwarning
#: The socket of the server in use by this process, and the number of `preloaded` blocks around.
_server: dict[str, Any] = {"socket": None, "blocks": 0}


class KernelServerError(DjError):
    """The process that forks kernels did not start, or did not answer."""


def can_fork() -> bool:
    """Tell whether kernels can be forked here: a system with fork and process file descriptors (Linux)."""
    return hasattr(os, "fork") and hasattr(os, "pidfd_open")


@contextlib.contextmanager
def preloaded() -> Iterator[None]:
    """Within this block reports run on forked kernels; where the system cannot fork, on plain ones.

    Blocks may be nested; the outermost starts the server and ends it, and its kernels end with it.

    Raises
    ------
    KernelServerError
        The server did not start.
    """
    if not can_fork() or _server["blocks"]:
        _server["blocks"] += 1
        try:
            yield
        finally:
            _server["blocks"] -= 1
        return
    # A short place: the path of a socket may have 108 bytes at most. The folder is this user's alone.
    with tempfile.TemporaryDirectory(prefix="dj-") as folder:
        address = str(Path(folder) / "kernels")
        process = _start(address)
        _server.update(socket=address, blocks=1)
        try:
            yield
        finally:
            _server.update(socket=None, blocks=0)
            process.stdin.close()  # type: ignore[union-attr]
            process.wait()


@contextlib.contextmanager
def shared_imports() -> Iterator[None]:
    """Within this block reports run on kernels that share the imports of this process; where that cannot be, on plain ones.

    For a process of its own that has done nothing yet, as the command line's: what it imported before goes into the kernels,
    and so would everything else it did. A process with further threads of Python does not fork.
    """
    if not can_fork() or _server["blocks"] or threading.active_count() > 1:
        yield
        return
    # OpenBLAS starts its threads when it is loaded; a process with such threads should not fork.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    gc.disable()  # nothing of what is imported is garbage
    with without_web_addresses():
        for name in _BOTH:
            importlib.import_module(name)
    gc.enable()
    with tempfile.TemporaryDirectory(prefix="dj-") as folder, socket.socket(socket.AF_UNIX) as listener:
        listener.bind(address := str(Path(folder) / "kernels"))
        listener.listen()
        ended, alive = os.pipe()
        gc.freeze()
        gc.set_threshold(*_SELDOM_COUNTS)
        pid = os.fork()
        if not pid:
            os.close(alive)
            _live(listener, ended)
        os.close(ended)
        listener.close()  # the server's alone: who asks one that has died is not left waiting
        _server.update(socket=address, blocks=1)
        try:
            yield
        except BaseException:
            os.kill(pid, signal.SIGKILL)  # it may still import
            raise
        finally:
            _server.update(socket=None, blocks=0)
            os.close(alive)
            os.waitpid(pid, 0)


def manager_options() -> dict[str, Any]:
    """Options of papermill that make it use the server of this process, where there is one."""
    if _server["socket"] is None:
        return {}
    from jupyter_client.manager import AsyncKernelManager
    from jupyter_client.provisioning.local_provisioner import LocalProvisioner

    address = _server["socket"]

    class ForkedProvisioner(LocalProvisioner):
        """Starts a kernel by asking the server for it."""

        async def launch_kernel(self, cmd: list[str], **kwargs: Any) -> Any:
            process = _ForkedProcess(_ask(address, cmd, kwargs))
            self.process = process  # type: ignore[assignment]
            self.pid = self.pgid = process.pid
            self.cwd = kwargs.get("cwd", Path.cwd())
            return self.connection_info

        async def kill(self, restart: bool = False) -> None:
            await super().kill(restart)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(KILL_SECONDS)  # type: ignore[union-attr]

    class ForkedManager(AsyncKernelManager):
        """Manages a forked kernel like any other."""

        async def start_kernel(self, **kwargs: Any) -> Any:  # type: ignore[override]
            if self.provisioner is None:
                self.kernel_id = str(uuid.uuid4())
                self.provisioner = ForkedProvisioner(
                    kernel_id=self.kernel_id, kernel_spec=self.kernel_spec, parent=self
                )
            return await super().start_kernel(**kwargs)

    return {"kernel_manager_class": ForkedManager}


@contextlib.contextmanager
def own_kernels(log: Path, environment: Mapping[str, str] = MappingProxyType({})) -> Iterator[dict[str, Any]]:
    """Give the options of papermill by which it starts kernels; those still running when the block ends are ended with it.

    Kernels come from the server of this process, where there is one; what they say on standard error goes into ``log``, and
    they find ``environment`` in theirs. A kernel is killed when its notebook has ended: it has nothing to save. One that is asked
    to end is interrupted first; one in eight then did not answer, and was waited for three seconds.
    """
    from jupyter_client.asynchronous import AsyncKernelClient
    from jupyter_client.manager import AsyncKernelManager
    from nbclient.exceptions import DeadKernelError
    from traitlets import Type

    options = manager_options()
    managers: list[Any] = []
    processes: list[Any] = []

    class OwnClient(AsyncKernelClient):
        """Begins as soon as the kernel has answered on both channels; others then wait a fifth of a second for anything more."""

        async def wait_for_ready(self, timeout: float | None = None) -> None:
            until = time.monotonic() + (START_SECONDS if timeout is None else timeout)
            while time.monotonic() < until and await self.is_alive():
                self.kernel_info()
                with contextlib.suppress(queue.Empty):
                    await self.shell_channel.get_msg(timeout=1)
                    await self.iopub_channel.get_msg(timeout=0.2)
                    return
            raise DeadKernelError("the kernel died or does not answer")

    class OwnManager(options.get("kernel_manager_class", AsyncKernelManager)):  # type: ignore[misc]
        """Remembers the kernel it starts."""

        client_factory = Type(klass=OwnClient)

        async def start_kernel(self, **kwargs: Any) -> None:
            managers.append(self)
            asked = [*kwargs.pop("extra_arguments", ()), _SELDOM]
            kwargs["env"] = {**(kwargs.get("env") or os.environ), **environment}
            await super().start_kernel(extra_arguments=asked, **kwargs, stderr=said)
            processes.append(self.provisioner.process)

    with log.open("wb") as said:
        try:
            yield {"kernel_manager_class": OwnManager, "shutdown_kernel": "immediate"}
        finally:
            unfinished = [getattr(manager.provisioner, "process", None) for manager in managers]
            for process in dict.fromkeys([*processes, *unfinished]):
                if process is not None and process.poll() is None:
                    process.kill()
                    process.wait()


class _ForkedProcess:
    """A process that is not our child, with the methods of `subprocess.Popen` that a provisioner calls.

    Its exit code goes to the server: here it is 0 once the process has ended.
    """

    stdin = stdout = stderr = None

    def __init__(self, pid: int):
        self.pid = pid
        self._handle: int | None = os.pidfd_open(pid)  # type: ignore[attr-defined,unused-ignore]

    def poll(self) -> int | None:
        """0 if the process has ended, None while it runs."""
        if self._handle is None:
            return 0
        if not select.select([self._handle], [], [], 0)[0]:
            return None
        os.close(self._handle)
        self._handle = None
        return 0

    def wait(self, timeout: float | None = None) -> int:
        """Wait for the end of the process."""
        if self._handle is not None and not select.select([self._handle], [], [], timeout)[0]:
            raise subprocess.TimeoutExpired("kernel", timeout or 0.0)
        return self.poll() or 0

    def send_signal(self, signum: int) -> None:
        """Send a signal, if the process still runs."""
        if self._handle is not None:
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(self._handle, signum)  # type: ignore[attr-defined,unused-ignore]

    def terminate(self) -> None:
        """Ask the process to end."""
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """End the process."""
        self.send_signal(signal.SIGKILL)


def _start(address: str) -> subprocess.Popen[bytes]:
    """Start the server and wait until it listens; it ends when its standard input does."""
    command = [sys.executable, "-c", f"import sys, {__name__} as k; k._run(sys.argv[1])", address]
    # OpenBLAS starts its threads when it is loaded; a process with such threads should not fork.
    environment = os.environ | {"OPENBLAS_NUM_THREADS": "1"}
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment)
    assert process.stdout is not None
    ready, _, _ = select.select([process.stdout], [], [], START_SECONDS)
    if not ready or process.stdout.readline() != b"ready\n":
        process.kill()
        process.wait()
        raise KernelServerError("内核服务没有启动 (the process that forks kernels did not start)")
    return process


def _ask(address: str, command: list[str], options: Mapping[str, Any]) -> int:
    """Ask the server for a kernel; return its process number."""
    environment = options.get("env")
    request = {
        "arguments": command[command.index("-m") + 2 :] if "-m" in command else command[1:],
        "cwd": str(options.get("cwd") or Path.cwd()),
        "env": dict(os.environ if environment is None else environment),
        "stderr": str(Path(options["stderr"].name).absolute()) if options.get("stderr") is not None else None,
    }
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(START_SECONDS)
        try:
            connection.connect(address)
            connection.sendall(json.dumps(request).encode() + b"\n")
            answer = connection.makefile("rb").readline()
        except OSError as error:
            raise KernelServerError("内核服务没有应答 (the process that forks kernels does not answer)") from error
    if not answer.strip().isdigit():
        raise KernelServerError("内核服务没有应答 (the process that forks kernels does not answer)")
    return int(answer)


# What follows runs in the server and in the kernels forked from it.

#: What the office's process and a kernel both import.
_BOTH = (__name__.partition(".")[0] + ".workspace", "jupyter_client.manager", "nbformat", "pyarrow.parquet", "zmq")
#: What a kernel imports beside it for every report; what one report alone needs it imports itself.
_OF_KERNELS = (
    "IPython.core.completer", "ipykernel.ipkernel", "ipykernel.kernelapp", "matplotlib.pyplot", "matplotlib_inline.backend_inline",
    __name__.partition(".")[0] + ".methods",
)  # fmt: skip


def _import_libraries() -> None:
    """Import what reports import, and do nothing else: no thread and no parallel region may exist before a fork."""
    import pkgutil

    os.environ["MPLBACKEND"] = "module://matplotlib_inline.backend_inline"
    package = importlib.import_module(__name__.partition(".")[0])
    # Modules outside the rooms run something or are not needed in a kernel.
    rooms = ("spec", "measure", "judge", "act", "release", "publish")
    for module in pkgutil.walk_packages(package.__path__, package.__name__ + "."):
        parts = module.name.split(".")
        if parts[1] in rooms or parts[1] in ("workspace", "methods", "folder"):
            importlib.import_module(module.name)
    for name in (
        "IPython.core.completer", "ipykernel.ipkernel", "ipykernel.kernelapp", "matplotlib.pyplot", "seaborn", "polars",
        "pyarrow.parquet", "python_calamine", "scipy.cluster.hierarchy", "scipy.optimize", "scipy.stats", "sklearn.cluster",
        "sklearn.decomposition", "sklearn.metrics", "sklearn.mixture", "sqlite3", "statsmodels.api", "threadpoolctl",
    ):  # fmt: skip
        importlib.import_module(name)
    gc.collect()
    gc.freeze()


def _serve(listener: socket.socket, ended: int) -> dict[str, Any]:
    """Fork a kernel for each request until the pipe ends; return only in a forked kernel, with its request."""
    while True:
        readable, _, _ = select.select([listener.fileno(), ended], [], [], 1.0)
        with contextlib.suppress(ChildProcessError):
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        if ended in readable:  # nothing is ever written to it: it has ended, and so has who wanted the kernels
            sys.exit(0)
        if listener.fileno() not in readable:
            continue
        connection, _ = listener.accept()
        with connection, connection.makefile("rb") as stream:
            try:
                request = json.loads(stream.readline(_REQUEST_BYTES))
            except ValueError:
                continue
            pid = os.fork()
            if pid:
                connection.sendall(f"{pid}\n".encode())
        if not pid:
            listener.close()
            return request


def _become_kernel(request: Mapping[str, Any]) -> None:
    """Turn this forked process into the kernel that was asked for."""
    import random

    import numpy as np
    from ipykernel.kernelapp import IPKernelApp

    os.setsid()  # a group of its own, so that an interrupt reaches the kernel and what it started
    os.chdir(request["cwd"])
    os.environ.clear()
    os.environ.update(request["env"])
    signal.signal(signal.SIGINT, signal.default_int_handler)
    standard_input = os.open(os.devnull, os.O_RDONLY)
    os.dup2(standard_input, 0)
    if request["stderr"] is not None:
        os.dup2(os.open(request["stderr"], os.O_WRONLY | os.O_APPEND), 2)
    os.dup2(2, 1)  # standard output was the server's answer to who started it
    sys.argv = ["ipykernel_launcher", *request["arguments"]]
    random.seed()
    np.random.seed()  # noqa: NPY002  the copy of the global generator would be the same in every kernel
    app = IPKernelApp.instance()
    app.parent_handle = os.getppid()  # the kernel ends with the server
    app.initialize(request["arguments"])
    assert app.shell is not None
    app.shell.enable_matplotlib("inline")  # pyplot was imported before there was a shell: figures would vanish silently
    app.start()


def _run(address: str) -> None:
    """The whole life of a server that was started by itself, and of each kernel that comes out of it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for who started it, whose end is its end too
    _import_libraries()
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(address)
    listener.listen()
    print("ready", flush=True)
    _become_kernel(_serve(listener, sys.stdin.fileno()))


def _live(listener: socket.socket, ended: int) -> NoReturn:
    """The whole life of a server that was forked from the office's process, and of each kernel that comes out of it.

    It never returns into what it is a copy of: nothing of the office's work is done or tidied up twice.
    """
    code = 1
    try:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        warnings.showwarning = _PLAIN_WARNING  # the command line's own way of telling them is not the kernel's
        os.environ["MPLBACKEND"] = "module://matplotlib_inline.backend_inline"
        for name in _OF_KERNELS:
            importlib.import_module(name)
        gc.freeze()
        _become_kernel(_serve(listener, ended))
        code = 0
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else 1
    except Exception as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
    finally:
        with contextlib.suppress(Exception):
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(code)
