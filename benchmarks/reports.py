"""Time the quarterly report by stage: the demo's whole and one of its branches, large companies; write benchmarks/REPORTS.md.

Usage: python benchmarks/reports.py [--small] [--branches 2000 10000] [--demo FOLDER] [--large FOLDER …] [--before SRC]

Seconds are those of the processor. The report is run once as `dj report` runs it, which gives the office's process and the kernel it
starts, and the notebook's cells once more in a process of their own, which gives the stages of the kernel: both are sampled every two
milliseconds, and a sample belongs to the first stage below that is being worked on. The folders of an earlier run, closed workspaces
of the demo generator, can be used again. ``--small`` leaves the large companies out; ``--before`` runs the source of an earlier
version beside this one, in turn, for its whole.
"""

import argparse
import json
import os
import platform
import resource
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from datetime import date
from functools import partial
from pathlib import Path
from types import FrameType
from typing import Any

HERE = Path(__file__).parent
PERIOD, FORMATS = "2026Q3", ("html", "pdf", "docx")
STEP = 0.002
#: Stage → functions (file, name) that work on it.
STAGES = {
    "imports": [("importlib._bootstrap>", "_find_and_load")],
    "declarations": [("dj_analysis/workspace.py", "__init__")],
    "branch indicators read": [("dj_analysis/measure/intake/indicator_values.py", "load_values")],
    "answers read": [("dj_analysis/folder.py", "read_wave"), ("dj_analysis/release/closing.py", "as_closed")],
    "release plan": [("dj_analysis/workspace.py", "release_plan")],
    "scores from the store": [("dj_analysis/workspace.py", "scores")],
    "figures": [("dj_analysis/publish/blocks.py", "figure")],
    "texts and tables": [("dj_analysis/publish/blocks.py", name) for name in ("text", "table", "note", "keyfigure")],
    "exports": [("dj_analysis/publish/exports/formats.py", "written_in")],
    "protect": [("dj_analysis/release/protect.py", name) for name in ("protect", "where", "part")],
    "warnings": [("dj_analysis/judge/alerts.py", "alerts")],
    "changes": [("dj_analysis/judge/change.py", "compare")],
    "drivers and measures": [("dj_analysis/judge/drivers.py", "drivers"), ("dj_analysis/act/proposals.py", "propose")],
    "comparability": [("dj_analysis/measure/scales/invariance.py", "comparability")],
}
REST = "the rest"


class Sampler:
    """Counts, every two milliseconds of the processor, which stage is worked on."""

    def __init__(self) -> None:
        self.seen: Counter[str] = Counter()
        self.start = time.process_time()
        signal.signal(signal.SIGPROF, self.look)
        signal.setitimer(signal.ITIMER_PROF, STEP, STEP)

    def look(self, _: int, frame: FrameType | None) -> None:
        working = set()
        while frame is not None:
            working.add((frame.f_code.co_filename, frame.f_code.co_name))
            frame = frame.f_back
        inside = (
            stage
            for stage, functions in STAGES.items()
            if any(name == wanted and file.endswith(end) for file, name in working for end, wanted in functions)
        )
        self.seen[next(inside, REST)] += 1

    def stop(self) -> dict[str, float]:
        """Return seconds by stage."""
        signal.setitimer(signal.ITIMER_PROF, 0)
        seconds, samples = time.process_time() - self.start, max(1, self.seen.total())
        return {stage: seconds * count / samples for stage, count in self.seen.items()}


def office(folder: Path, unit: str, out: Path) -> dict[str, Any]:
    """Run `dj report`; stages of this process, and seconds of the kernel it starts or forks."""
    before, sampler = time.perf_counter(), Sampler()
    from dj_analysis import cli

    asked = {"period": PERIOD, "unit": unit, "formats": ",".join(FORMATS), "out": out}
    sys.argv = ["dj", "report", "quarterly", str(folder), *(f"--{name}={value}" for name, value in asked.items())]
    try:
        cli.main()
    except SystemExit as end:
        if end.code:
            raise
    stages = sampler.stop()
    kernel = resource.getrusage(resource.RUSAGE_CHILDREN)
    return {"stages": stages, "kernel": kernel.ru_utime + kernel.ru_stime, "elapsed": time.perf_counter() - before}


def cells(folder: Path, unit: str, out: Path) -> dict[str, Any]:
    """Run the cells of the report in this process, which has the answers the office reads for its kernel; its stages."""
    import matplotlib as mpl

    from dj_analysis.publish.handed_answers import handing_over
    from dj_analysis.workspace import open_workspace

    mpl.use("agg")
    with handing_over(wanted=True) as handed:
        handed.fill(partial(open_workspace(folder)._answers_of, PERIOD, unit))
        os.environ.update(handed.environment)
        return _sampled_cells(folder, unit)


def _sampled_cells(folder: Path, unit: str) -> dict[str, Any]:
    sampler = Sampler()
    notebook = json.loads((HERE.parent / "notebooks" / "quarterly.ipynb").read_text(encoding="utf-8"))
    sources = ["".join(cell["source"]) for cell in notebook["cells"] if cell["cell_type"] == "code"]
    names: dict[str, Any] = {"display": lambda block: block and block._repr_mimebundle_()}
    exec(sources[0], names)
    names.update(workspace=str(folder), period=PERIOD, unit=unit)
    for source in sources[1:]:
        exec(source, names)
    return {"stages": sampler.stop(), "mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024}


def started(work: str, folder: Path, unit: str, out: Path, source: Path | None = None) -> dict[str, Any]:
    """Do one work in a process of its own, on one thread; with the source given, else with this one."""
    threads = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "POLARS_MAX_THREADS"), "1")
    command = [sys.executable, "-W", "ignore", __file__, "--one", work, str(folder), unit, str(out)]
    threads |= {"PYTHONPATH": str(source.resolve())} if source is not None else {}
    done = subprocess.run(command, env=os.environ | threads, check=True, capture_output=True, text=True)
    return json.loads(done.stdout.splitlines()[-1])


def a_branch(folder: Path) -> str:
    """Return the first branch that has a report of its own."""
    import dj_analysis as dj

    ws = dj.open_workspace(folder)
    hidden = {unit for _, unit in ws.release_plan(PERIOD).hidden["survey", PERIOD]}
    return next(unit.unit for unit in ws.units.at(PERIOD).at_level("branch") if unit.unit not in hidden)


def measured(folder: Path, unit: str, place: Path, earlier: Path | None) -> dict[str, float]:
    """Return seconds by stage of one report, those of both processes together, with its whole, elapsed time and peak memory."""
    old = started("office", folder, unit, place / "earlier", earlier) if earlier is not None else None
    one, inside = (started(work, folder, unit, place / "out") for work in ("office", "cells"))
    inside["stages"].pop(
        "imports", None
    )  # of a process of its own: what the kernel imports is in the rest of its seconds
    stages = {f"office: {stage}": seconds for stage, seconds in one["stages"].items()}
    stages |= {f"kernel: {stage}": seconds for stage, seconds in inside["stages"].items()}
    start = one["kernel"] - sum(inside["stages"].values())
    whole = sum(one["stages"].values()) + one["kernel"]
    return (
        stages
        | ({"before": sum(old["stages"].values()) + old["kernel"]} if old is not None else {})
        | {
            "kernel: imports, start, messages": start,
            "whole": whole,
            "elapsed": one["elapsed"],
            "MB": inside["mb"],
        }
    )


def company(folder: Path | None, place: Path, **size: int) -> Path:
    """Return a closed workspace of the demo generator: the folder given, else one written now."""
    from dj_analysis.demo import make_company

    if folder is None:
        folder = place / "-".join(map(str, size.values()) or ["demo"])
        make_company(**size).write(folder)
    return folder


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--branches", type=int, nargs="+", default=[2_000, 10_000])
    parser.add_argument("--demo", type=Path)
    parser.add_argument("--large", type=Path, nargs="+", help="closed workspaces of so many branches, in that order")
    parser.add_argument("--small", action="store_true")
    parser.add_argument("--before", type=Path)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        place = Path(name)
        demo = company(given.demo, place)
        cases = {
            "demo, ALL": measured(demo, "ALL", place, given.before),
            "demo, one branch": measured(demo, a_branch(demo), place, given.before),
        }
        large = zip(given.branches, given.large or [None] * len(given.branches), strict=True)
        for branches, folder in () if given.small else large:
            written = company(folder, place, employees=20 * branches, branches=branches, quarters=2)
            name = f"{branches:,} branches, {20 * branches:,} people, 2 waves, ALL"
            cases[name] = measured(written, "ALL", place, given.before)
    text = told(cases)
    (HERE / "REPORTS.md").write_text(text, encoding="utf-8")
    print(text)


def told(cases: dict[str, dict[str, float]]) -> str:
    import numpy
    import pandas

    import dj_analysis as dj

    versions = f"dj_analysis {dj.__version__}, pandas {pandas.__version__}, numpy {numpy.__version__}"
    head = ["# Measured time of the quarterly report by stage", "",
            f"Python {platform.python_version()}, {platform.system()} {platform.machine()}, {os.cpu_count()} processors; {versions}; {date.today()}."
            f" Once each, `dj report`, closed waves, formats {', '.join(FORMATS)}, one thread; processor's seconds, and their share of the whole."
            " Sampling takes a tenth more time: read shares and growth, not seconds.", "",
            f"| stage | {' | '.join(cases)} |", "|---|" + "---|" * len(cases)]  # fmt: skip
    kinds = [*STAGES, REST, "imports, start, messages"]
    stages = [f"{process}: {kind}" for process in ("office", "kernel") for kind in kinds]
    lines = []
    for stage in stages:
        seconds = [case.get(stage, 0.0) for case in cases.values()]
        if any(round(one, 1) for one in seconds):
            shares = [
                f"{one:.1f} ({100 * one / case['whole']:.0f} %)"
                for one, case in zip(seconds, cases.values(), strict=True)
            ]
            lines.append(f"| {stage} | {' | '.join(shares)} |")
    last = [("whole", "**whole**"), ("elapsed", "time elapsed"), ("MB", "peak MB of the cells")]
    if all("before" in case for case in cases.values()):
        last.insert(1, ("before", "whole of the version before"))
    for name, label in last:
        lines.append(
            f"| {label} | {' | '.join(f'{case[name]:.0f}' if name == 'MB' else f'{case[name]:.1f}' for case in cases.values())} |"
        )
    return "\n".join([*head, *lines]) + "\n"


if __name__ == "__main__":
    if "--one" in sys.argv:
        works = {"office": office, "cells": cells}
        print(json.dumps(works[sys.argv[2]](Path(sys.argv[3]), sys.argv[4], Path(sys.argv[5]))))
    else:
        main()
