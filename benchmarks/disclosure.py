"""Measure what disclosure control costs: time by size, what is hidden; write DISCLOSURE.md.

Usage: python benchmarks/disclosure.py [employees]        (default 20,000, the demo company)
"""

import platform
import sys
import time
import warnings
from pathlib import Path

import numpy as np
import pandas as pd

import dj_analysis as dj
from dj_analysis.measure.unitsums import STATISTICS, UnitSums
from dj_analysis.release import overlaps
from dj_analysis.release.tree_rule import partition
from dj_analysis.spec.units import Unit, Units

HERE = Path(__file__).parent


def seconds(work, *given):
    start = time.perf_counter()
    work(*given)
    return time.perf_counter() - start


def tree(units: int, codes: int, rng: np.random.Generator) -> tuple[UnitSums, Units]:
    """Units of about 25 people under departments of ten, under cities of ten."""
    rows = [Unit(f"C{i}", level="city") for i in range(max(units // 100, 1))]
    rows += [Unit(f"D{i}", parent=f"C{i // 10}", level="department") for i in range(max(units // 10, 1))]
    rows += [Unit(f"B{i}", parent=f"D{i // 10}", level="branch") for i in range(units)]
    people = rng.poisson(25, units).astype(float)
    sums = {name: np.tile(people[:, None], codes) for name in STATISTICS}
    sums["wx"], sums["wxx"] = sums["w"] * 65, sums["w"] * (65**2 + 400)
    cells = tuple(("anchors", f"q{j}") for j in range(codes))
    return UnitSums("default", tuple(f"B{i}" for i in range(units)), cells, people, sums), Units(tuple(rows))


def times() -> pd.DataFrame:
    """Seconds of each step by the size of what it decides."""
    rng, rows = np.random.default_rng(1), []
    for units in (200, 2_000, 16_000):
        sums, units_ = tree(units, 60, rng)
        rows.append(("tree rule, 60 codes", f"{units} units", seconds(partition, sums, units_, 10)))
    for units in (200, 2_000, 16_000):
        left = np.repeat(np.arange(units), 3)
        right = (left // 2 + rng.integers(0, 2, len(left)) * (rng.random(len(left)) < 0.3)).astype(int)
        parts = np.unique(np.column_stack([left, right]), axis=0)
        n = rng.integers(1, 30, len(parts)).astype(float)
        took = seconds(overlaps.small_overlap, parts[:, 0], parts[:, 1], n, 2)
        rows.append(("two breakdowns, minimum cuts", f"{len(parts)} combinations", took))
    for units in (200, 2_000, 16_000):
        people = np.column_stack([rng.integers(0, k, 30 * units) for k in (units, 5, 3)])
        parts, counts = np.unique(people, axis=0, return_counts=True)
        took = seconds(overlaps.proved_by_rank, parts[:, :1], [parts[:, 1], parts[:, 2]], counts.astype(float), 10)
        rows.append(("a tree and two groups, proof by rank", f"{len(parts)} combinations", took))
    return pd.DataFrame(rows, columns=["step", "size", "seconds"])


def losses(employees: int) -> pd.DataFrame:
    """Share of branches hidden in each wave: small by themselves, and with what protects them."""
    warnings.simplefilter("ignore", dj.DjWarning)
    company, rows = dj.make_company(employees=employees, branches=employees // 100), []
    for period in company.periods:
        survey = company.survey(period)
        units = company.spec.units.at(period)
        scores = dj.score(survey, by=["branch"])
        sums = scores.sums[units.trees[0]]
        found = partition(sums, units, 10)
        branches = [unit.unit for unit in units.at_level("branch")]
        few = sum(1 for n in scores.response.table.query("level == 'branch'")["n"] if n < 10)
        primary, all_ = (sum(u in part for u in branches) for part in (found.small | found.empty, found.hidden))
        rows.append((period, len(branches), *(round(100 * k / len(branches), 1) for k in (few, primary, all_))))
    names = ["wave", "branches", "under 10 people %", "small, or all alike %", "with complements %"]
    return pd.DataFrame(rows, columns=names)


def main() -> None:
    employees = int(sys.argv[1]) if len(sys.argv) > 1 else 20_000
    lines = [
        "# What disclosure control costs",
        "",
        f"Python {platform.python_version()}, {platform.machine()}; written by `python benchmarks/disclosure.py {employees}`.",
        "",
        "## Time",
        "",
        *markdown(times().round(3)),
        "",
        "Two breakdowns are searched exactly at any size; more of them are shown where rank proves them safe.",
        "",
        f"## Branches hidden in the demo company ({employees} employees)",
        "",
        *markdown(losses(employees)),
    ]
    (HERE / "DISCLOSURE.md").write_text("\n".join(lines) + "\n", encoding="utf-8")
    print("\n".join(lines))


def markdown(table: pd.DataFrame) -> list[str]:
    rows = [list(map(str, row)) for row in table.itertuples(index=False)]
    return [f"| {' | '.join(cells)} |" for cells in (list(table.columns), ["---"] * table.shape[1], *rows)]


if __name__ == "__main__":
    main()
