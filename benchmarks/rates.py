"""How often units that do not differ are said to differ, and scores lie outside their intervals, over the whole grid.

python benchmarks/rates.py --waves 1000 --workers 2

Adds to rates.csv and writes RATES.md. Stopped and started again it goes on with the cells that rates.csv does not have yet.
"""

from __future__ import annotations

import argparse
import csv
import sys
import time
from collections.abc import Iterator
from concurrent.futures import FIRST_COMPLETED, ProcessPoolExecutor, wait
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np
from scipy import stats

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
from simulated_waves import (
    POPULATIONS,
    ROLES,
    WEIGHTS,
    any_named,
    compare_p,
    contrast_p,
    outside_intervals,
    population,
    waves,
)

from dj_analysis.measure.inference import tails

RATE = 0.10
CLAIMED = {"contrast": RATE, "compare": RATE, "score": 0.05}
PEOPLE, UNEQUAL = (10, 15, 20, 30, 50, 75, 100), ((50, 15), (100, 10), (20, 20))  # 15 → 50 has the p of 50 → 15
TIED = (("mean 86", "five low"), ("mean 86", "strata low"))  # weights that go with the answers, the other way
AT_ONCE = 4000  # units drawn at once: what fits into a processor's memory
NEVER_NAMED = 2.0  # standard errors below which a unit is named only where a third of all are: the normal tail will do
HERE = Path(__file__).parent
KEYS = ("method", "population", "weights", "missing", "units", "people")
COLUMNS = (*KEYS, "waves", *(f"{role}_{what}" for role in ROLES for what in ("rate", "judged")))


@dataclass(frozen=True)
class Cell:
    """One method on one kind of waves."""

    method: str
    population: str
    weights: str
    missing: float
    units: int
    people: tuple[int, ...]

    @property
    def key(self) -> tuple[str, ...]:
        """Its name in the record."""
        people = " → ".join(map(str, self.people))
        return (self.method, self.population, self.weights, f"{self.missing:g}", str(self.units), people)


def groups() -> Iterator[list[Cell]]:
    """Return cells that share their draws, those of few units first: 102 groups of ten cells, and seven more where units are few."""
    for units, missing in ((200, 0.0), (200, 0.05), (1000, 0.0), (1000, 0.05)):
        kinds = [(kind, weights) for weights in WEIGHTS for kind in POPULATIONS]
        for kind, weights in kinds + (list(TIED) if (units, missing) == (200, 0.0) else []):
            shared = (kind, weights, missing, units)
            cells = [Cell("contrast", *shared, (n,)) for n in PEOPLE] + [Cell("compare", *shared, n) for n in UNEQUAL]
            yield cells + [
                Cell("score", *shared, (n,)) for n in PEOPLE if units == 200
            ]  # one unit's interval: any number


def rates(cells: list[Cell], count: int, seed: int = 3) -> list[dict[str, object]]:
    """Return a row of the record for each cell: shares of waves (compare: of waves and codes) with any unit named.

    Of scores the share of units outside their interval. Of each role also the share of p (or intervals) that are there. The same waves serve all cells; two waves of as many people are two.
    """
    tails.NEAR = NEVER_NAMED
    one, units = cells[0], cells[0].units
    everybody = population(one.population, one.weights, one.missing)
    sizes = dict.fromkeys(size for cell in cells for size in _draws(cell.people))
    drawn = {
        size: waves(everybody, units, size[0], count, seed=100 * size[0] + seed + size[1], at_once=AT_ONCE // units)
        for size in sizes
    }
    named: list[dict[str, list[np.ndarray]]] = [{role: [] for role in ROLES} for _ in cells]
    there: list[dict[str, list[float]]] = [{role: [] for role in ROLES} for _ in cells]
    for block in zip(*drawn.values(), strict=True):
        sums = dict(zip(drawn, block, strict=True))
        for k, cell in enumerate(cells):
            own = [sums[size] for size in _draws(cell.people)]
            if cell.method == "score":
                for role, (outside, judged) in outside_intervals(*own, everybody.truth).items():
                    named[k][role].append(np.array([outside]))
                    there[k][role].append(judged)
                continue
            p = contrast_p(*own) if cell.method == "contrast" else compare_p(*own)
            for role, any_unit in any_named(p, RATE, together=cell.method == "contrast").items():
                named[k][role].append(any_unit)
                there[k][role].append(float(np.isfinite(p.reshape(units, -1, 25)[:, :, ROLES[role]]).mean()))
    rows = []
    for cell, by_role, judged in zip(cells, named, there, strict=True):
        row: dict[str, object] = dict(zip(KEYS, cell.key, strict=True)) | {"waves": count}
        for role in ROLES:
            row[f"{role}_rate"] = round(float(np.concatenate(by_role[role]).mean()), 5)
            row[f"{role}_judged"] = round(float(np.mean(judged[role])), 5)
        rows.append(row)
    return rows


def _draws(people: tuple[int, ...]) -> list[tuple[int, int]]:
    """Return (number of people, how many waves of so many went before) of each wave of a cell."""
    return [(n, people[:k].count(n)) for k, n in enumerate(people)]


def table(record: list[dict[str, str]]) -> str:
    """Return RATES.md: every cell with the rates that rest on most waves."""
    lines = [
        "# Rates of false statements",
        "",
        f"`python benchmarks/rates.py`; every cell is in `rates.csv`. contrast, compare: waves with any unit named, claimed {RATE:.2f};"
        " score: units outside their interval, claimed .05. Beyond the 99 % bound of so many waves (score: of units in so many waves): **bold**.",
        "Index / dimensions / items; `–` nothing judged there (answers pile up among few), `(.4)` the share of units that is judged.",
        "50 → 15 holds for 15 → 50 too: the two have the same p.",
        "",
        "| method | population | weights | missing | units | people | waves | index | dimensions | items |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    for row in record:
        count = int(row["waves"])
        tried = count * int(row["units"]) if row["method"] == "score" else count  # an interval of every unit
        bound = stats.binom.ppf(0.995, tried, CLAIMED[row["method"]]) / tried
        written = []
        for role in ROLES:
            rate, judged = float(row[f"{role}_rate"]), float(row[f"{role}_judged"])
            text = f"**{rate:.3f}**" if rate > bound else f"{rate:.3f}"
            written.append("–" if judged < 0.01 else text if judged > 0.99 else f"{text} ({judged:.2f})")
        lines.append("| " + " | ".join([*(row[key] for key in KEYS), row["waves"], *written]) + " |")
    return "\n".join([*lines, ""])


def recorded(path: Path) -> list[dict[str, str]]:
    """Read the record: of a cell that was run more than once the row of most waves, in the order of the grid."""
    best: dict[tuple[str, ...], dict[str, str]] = {}
    if path.exists():
        with path.open(encoding="utf-8", newline="") as file:
            for row in csv.DictReader(file):
                key = tuple(row[name] for name in KEYS)
                if key not in best or int(best[key]["waves"]) <= int(row["waves"]):
                    best[key] = row
    order = {cell.key: k for k, cell in enumerate(cell for cells in groups() for cell in cells)}
    return [best[key] for key in sorted(best, key=lambda key: (order.get(key, len(order)), key))]


def append(path: Path, rows: list[dict[str, object]]) -> None:
    """Add rows to the record."""
    new = not path.exists()
    with path.open("a", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS)
        if new:
            writer.writeheader()
        writer.writerows(rows)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--waves", type=int, default=1000)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--groups", type=int, default=None, help="so many groups of cells at most (of 102)")
    parser.add_argument("--minutes", type=float, default=float("inf"), help="start no group after so many minutes")
    parser.add_argument("--record", type=Path, default=HERE / "rates.csv")
    given = parser.parse_args()
    started, report = time.monotonic(), given.record.with_name(given.record.stem.upper() + ".md")
    finished = {tuple(row[name] for name in KEYS) for row in recorded(given.record) if int(row["waves"]) >= given.waves}
    missing = [[cell for cell in cells if cell.key not in finished] for cells in groups()]
    queue = islice(filter(None, missing), given.groups)
    with ProcessPoolExecutor(given.workers) as pool:
        running = {pool.submit(rates, cells, given.waves) for cells in islice(queue, given.workers)}
        while running:
            done, running = wait(running, return_when=FIRST_COMPLETED)
            for future in done:
                append(given.record, future.result())
                report.write_text(table(recorded(given.record)), encoding="utf-8")
                row = future.result()[0]
                print(f"{(time.monotonic() - started) / 60:.1f} min", *(row[name] for name in KEYS[1:5]), flush=True)
                if time.monotonic() - started < 60 * given.minutes:
                    running |= {pool.submit(rates, cells, given.waves) for cells in islice(queue, 1)}
