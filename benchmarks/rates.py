"""How often units that do not differ are said to differ, over the whole grid: writes RATES.md.

python benchmarks/rates.py --waves 1000
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from scipy import stats

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
from simulated_waves import POPULATIONS, ROLES, WEIGHTS, any_named, compare_p, contrast_p, population, waves

from dj_analysis.measure.inference import tails

RATE = 0.10
PEOPLE, UNEQUAL = (20, 50, 10, 100, 15, 30, 75), ((50, 15), (100, 10), (15, 50), (20, 20))
HERE = Path(__file__).parent
Cell = tuple[str, str, str, float, int, tuple[int, ...]]


FIRST: tuple[Cell, ...] = (  # where the rates of earlier versions were furthest from what they claimed
    ("contrast", "mean 86", "five", 0.0, 200, (20,)),
    ("contrast", "mean 86", "strata", 0.0, 200, (20,)),
    ("contrast", "ceiling 94.5", "equal", 0.0, 200, (50,)),
    ("contrast", "mixture", "equal", 0.0, 200, (50,)),
    ("compare", "mean 86", "equal", 0.0, 200, (50, 15)),
    ("compare", "mixture", "equal", 0.0, 200, (50, 15)),
    ("compare", "mean 86", "equal", 0.0, 200, (100, 10)),
    ("contrast", "ceiling 94.5", "equal", 0.0, 200, (10,)),
    ("contrast", "mixture", "equal", 0.0, 200, (10,)),
    ("contrast", "middle", "equal", 0.0, 200, (20,)),
    ("contrast", "polarised", "equal", 0.0, 200, (10,)),
    ("compare", "mixture", "five", 0.05, 200, (50, 15)),
    ("contrast", "mixture", "lognormal", 0.05, 200, (15,)),
    ("contrast", "ceiling 94.5", "five", 0.0, 200, (50,)),
    ("contrast", "mean 86", "five high", 0.0, 200, (20,)),
    ("contrast", "mean 86", "five low", 0.0, 200, (50,)),
    ("contrast", "mean 86", "strata low", 0.0, 200, (20,)),
    ("contrast", "mean 86", "five", 0.0, 1000, (20,)),
    ("contrast", "ceiling 94.5", "equal", 0.0, 1000, (50,)),
    ("compare", "mixture", "equal", 0.0, 1000, (100, 10)),
)


def cells() -> Iterator[Cell]:
    """Method, population, weights, missing, units, people (of both waves)."""
    yield from FIRST
    for units, missing in ((200, 0.0), (200, 0.05), (1000, 0.0), (1000, 0.05)):
        for people in PEOPLE:
            for weights in WEIGHTS:
                for kind in POPULATIONS:
                    if people == 20:
                        for pair in UNEQUAL:
                            yield "compare", kind, weights, missing, units, pair
                    yield "contrast", kind, weights, missing, units, (people,)


def rates(cell: Cell, count: int, seed: int = 3) -> dict[str, list[float]]:
    """Share of waves (of waves and codes: compare) with any unit named, and share of p that are there, by role."""
    method, kind, weights, missing, units, people = cell
    everybody = population(kind, weights, missing)
    drawn = [waves(everybody, units, n, count, seed + k, at_once=10_000 // units) for k, n in enumerate(people)]
    named: dict[str, list[np.ndarray]] = {role: [] for role in ROLES}
    there: dict[str, list[float]] = {role: [] for role in ROLES}
    for sums in zip(*drawn, strict=True):
        p = contrast_p(*sums) if method == "contrast" else compare_p(*sums)
        for role, any_unit in any_named(p, RATE, together=method == "contrast").items():
            named[role].append(any_unit)
            there[role].append(float(np.isfinite(p.reshape(units, -1, 25)[:, :, ROLES[role]]).mean()))
    return {role: [float(np.concatenate(named[role]).mean()), float(np.mean(there[role]))] for role in ROLES}


def table(results: dict[str, dict[str, list[float]]], count: int) -> str:
    bound = stats.binom.ppf(0.995, count, RATE) / count
    lines = [
        "# Rates of false statements",
        "",
        f"`python benchmarks/rates.py`: {count} waves a cell; claimed {RATE:.2f}, 99 % upper bound {bound:.3f} (beyond it: **bold**).",
        "Index / dimensions / items; `–` nothing judged there (answers pile up among few), `(.4)` the share of units that is judged.",
        "",
        "| method | population | weights | missing | units | people | index | dimensions | items |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for key, found in sorted(results.items()):
        method, kind, weights, missing, units, people = json.loads(key)
        written = []
        for rate, there in found.values():
            text = f"**{rate:.3f}**" if rate > bound else f"{rate:.3f}"
            written.append("–" if there < 0.01 else text if there > 0.99 else f"{text} ({there:.2f})")
        cells_ = [method, kind, weights, f"{missing:g}", str(units), " → ".join(map(str, people)), *written]
        lines.append("| " + " | ".join(cells_) + " |")
    return "\n".join([*lines, ""])


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--waves", type=int, default=1000)
    parser.add_argument("--cells", type=int, default=None, help="the first so many cells only")
    parser.add_argument("--out", type=Path, default=HERE / "RATES.md")
    given = parser.parse_args()
    tails.NEAR = 1.5  # what lies nearer is never named: the normal tail will do
    results: dict[str, dict[str, list[float]]] = {}
    for number, cell in enumerate(dict.fromkeys(cells())):
        if given.cells is not None and number >= given.cells:
            break
        results[json.dumps(cell)] = rates(cell, given.waves)
        print(cell, results[json.dumps(cell)], flush=True)
        given.out.write_text(table(results, given.waves), encoding="utf-8")
