"""Answers that the process of a report has read: its kernel takes them from there instead of reading their file again.

A kernel asks for the answers of a wave some seconds after it began. Until then the process that waits for it reads them, on
another processor, and keeps them in memory that has no name in any folder: what they say is confidential, and nothing of it may
be left where a run was killed. Where the system has no such memory (`os.memfd_create`, Linux) a kernel reads for itself.
"""

from __future__ import annotations

import contextlib
import os
import pickle
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from functools import cache

from ..measure.survey import Survey
from ..spec.specification import Specification

#: Where a kernel finds the memory: a process and one of its open files.
_VARIABLE = "DJ_ANSWERS_READ"
#: The first byte: whether the answers are there, and worth waiting for.
_NONE, _PROMISED, _THERE = b"\0", b"\1", b"\2"
_PAUSE = 0.005  # seconds between two looks at it
WAIT_SECONDS = 600

#: Wave and fingerprint of all that decides its answers → the wave.
Waves = Mapping[tuple[str, str], Survey]


class Handed:
    """Memory of this process for the answers of one run's kernel.

    Attributes
    ----------
    environment
        What the kernel must find in its environment.
    """

    def __init__(self, descriptor: int | None):
        self._descriptor = descriptor
        self.environment = {} if descriptor is None else {_VARIABLE: f"{os.getpid()}:{descriptor}"}

    def fill(self, read: Callable[[], Waves]) -> None:
        """Read the waves and let the kernel take them; waves that cannot be read are left to it, which tells why."""
        if self._descriptor is None:
            return
        state = _NONE
        try:
            # Lazy frames are opened as fast as taken; declarations are the kernel's own.
            waves = {key: survey for key, survey in read().items() if not hasattr(survey.frame, "collect")}
            with open(self._descriptor, "r+b", closefd=False) as memory:
                memory.seek(1)
                pickle.dump({key: replace(survey, spec=None, withheld={}) for key, survey in waves.items()}, memory, 5)  # type: ignore[arg-type]
            state = _THERE
        except Exception:
            pass
        finally:
            os.pwrite(self._descriptor, state, 0)


@contextlib.contextmanager
def handing_over(*, wanted: bool) -> Iterator[Handed]:
    """Give memory for the answers of one run's kernel; it goes with the block.

    Parameters
    ----------
    wanted
        The kernel will ask for answers, and ``fill`` is called before long: the kernel waits for it.
    """
    if not wanted or not hasattr(os, "memfd_create"):
        yield Handed(None)
        return
    descriptor = os.memfd_create("answers")
    try:
        os.pwrite(descriptor, _PROMISED, 0)
        yield Handed(descriptor)
    finally:
        os.close(descriptor)


def handed_over(key: tuple[str, str], spec: Specification) -> Survey | None:
    """Return a wave that the process which started this kernel has read, with this kernel's declarations; None where there is none."""
    survey = _waves(os.environ.get(_VARIABLE, "")).get(key)
    return None if survey is None else replace(survey, spec=spec)


@cache
def _waves(place: str) -> Waves:
    """Return what was handed over, once it is there."""
    process, _, descriptor = place.partition(":")
    if not place:
        return {}
    with contextlib.suppress(OSError), open(f"/proc/{process}/fd/{descriptor}", "rb") as memory:
        until = time.monotonic() + WAIT_SECONDS
        while (state := os.pread(memory.fileno(), 1, 0)) == _PROMISED and time.monotonic() < until:
            time.sleep(_PAUSE)
        if state == _THERE:
            memory.seek(1)
            waves: Waves = pickle.load(memory)
            return waves
    return {}
