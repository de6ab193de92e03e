"""Measure the tracking of 100,000 measures with 1,000,000 events, from files to tables, and write benchmarks/OBLIGATIONS.md.

Usage: python benchmarks/obligations.py [--obligations 100000] [--rounds 3]

Each round runs in a process of its own on one thread. Seconds are those of the processor, so that others on the machine disturb less.
"""

import argparse
import json
import os
import platform
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from datetime import date
from pathlib import Path

import numpy as np
import pandas as pd

HERE = Path(__file__).parent
KIND = """[kinds.task]
overdue = "orange"
[kinds.task.states]
open = { colour = "blue", to = ["work"] }
work = { colour = "blue", to = ["review", "closed"] }
review = { colour = "blue", to = ["work", "closed"] }
closed = { colour = "green", fulfils = true, closes = true }
"""
UNITS, EVENTS = 10_000, 10


def write_office(folder: Path, obligations: int) -> None:
    """Write an office with ten events an obligation: nine moves between work and review, half of them closed at the end."""
    rng = np.random.default_rng(1)
    folder.mkdir(parents=True)
    (folder / "workspace.toml").write_text('name = "bench"\n', "utf-8")
    (folder / "rules.toml").write_text(KIND, "utf-8")
    units = pd.DataFrame(
        {"unit": [f"B{i:05d}" for i in range(UNITS)], "parent": [f"C{i % 100:02d}" for i in range(UNITS)]}
    )
    cities = pd.DataFrame({"unit": [f"C{i:02d}" for i in range(100)], "parent": ""})
    pd.concat([cities.assign(level="city"), units.assign(level="branch")]).to_csv(folder / "units.csv", index=False)
    codes = np.array([f"T{i:06d}" for i in range(obligations)])
    opened = np.datetime64("2024-01-01") + rng.integers(0, 700, obligations)
    table = pd.DataFrame(
        {"obligation": codes, "kind": "task", "unit": units["unit"].to_numpy()[rng.integers(0, UNITS, obligations)],
         "opened": opened.astype(str), "due": (opened + 90).astype(str), "owner_role": np.array(["工会", "人力资源部"])[rng.integers(0, 2, obligations)]}
    )  # fmt: skip
    table.to_csv(folder / "obligations.csv", index=False, encoding="utf-8-sig")
    steps = np.array(["work", "review"] * (EVENTS // 2), dtype=object)
    states = np.tile(steps, (obligations, 1))
    states[rng.random(obligations) < 0.5, -1] = "closed"
    times = opened[:, None] + np.cumsum(rng.integers(1, 20, (obligations, EVENTS)), axis=1)
    events = pd.DataFrame(
        {"obligation": np.repeat(codes, EVENTS), "state": states.ravel(), "time": times.ravel().astype(str)}
    )
    events.sample(frac=1, random_state=1).to_csv(folder / "obligation_events.csv", index=False, encoding="utf-8-sig")


def one_round(folder: Path) -> None:
    """Read, check and track; print the seconds of each step, the peak memory and what was counted."""
    import dj_analysis as dj

    start = time.process_time()
    ws = dj.open_workspace(folder)
    opened = time.process_time()
    work = ws.obligations(kind="task")
    read = time.process_time()
    tracked = dj.track(work, asof="2025-12-31")
    done = time.process_time()
    summary = tracked.summary.where(unit="ALL").table.iloc[0]
    print(json.dumps({
        "open": opened - start, "read": read - opened, "track": done - read,
        "mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, "obligations": float(summary["obligations"]),
        "closed": float(summary["closed"]), "overdue": float(summary["overdue"]), "median": float(tracked.ageing.table["days_median"].iloc[0]),
    }))  # fmt: skip


def main() -> None:
    """Run the rounds and write the page."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--obligations", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--round", type=Path)
    arguments = parser.parse_args()
    if arguments.round:
        one_round(arguments.round)
        return
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place) / "office"
        write_office(folder, arguments.obligations)
        environment = os.environ | {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
        command = [sys.executable, __file__, "--round", str(folder)]
        rounds = [
            json.loads(
                subprocess.run(
                    command, capture_output=True, text=True, check=True, env=environment
                ).stdout.splitlines()[-1]
            )
            for _ in range(arguments.rounds)
        ]
    seconds = {step: statistics.median(one[step] for one in rounds) for step in ("read", "track")}
    one = rounds[0]
    (HERE / "OBLIGATIONS.md").write_text(
        f"""# Measured speed of tracking obligations

Python {platform.python_version()}, {platform.system()}, {date.today()}; {arguments.rounds} rounds, each a process of its own on one thread, processor's time, on a machine at work on other things; medians.

| work | measure | result |
|---|---|---|
| {arguments.obligations:,} obligations with {arguments.obligations * EVENTS:,} events of {UNITS:,} units: read and checked (units, dates, legal moves) | seconds | {seconds["read"]:.1f} |
| the same: states, colours, summary by unit and owner, Kaplan–Meier | seconds | {seconds["track"]:.1f} |
| both | peak MB | {max(one["mb"] for one in rounds):.0f} |

Counted: {one["obligations"]:.0f} obligations, {one["closed"]:.0f} closed, {one["overdue"]:.0f} overdue; median days to close {one["median"]:.0f}.
""",
        encoding="utf-8",
    )
    print((HERE / "OBLIGATIONS.md").read_text("utf-8"))


if __name__ == "__main__":
    main()
