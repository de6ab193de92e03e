"""Tell how often clusters that are there are found, and clusters that are not there are stated; write benchmarks/POWER.md.

Usage: python benchmarks/power.py [--draws 20] [--only planted|nothing|first] [--units 800] [--apart 2] [--seconds 600]

A draw is a table units × features of known truth, standardised and given to what ``dj.cluster`` decides by, with its defaults: 2
to 10 clusters, 200 resamples, ten starts, 199 clouds. The gap statistic is left out, which decides nothing, and resamples stop
where a number of clusters can no longer be stable. Every draw has its own seed: a run adds the draws that are missing in
power.csv, and the table is written from all of them.
"""

import argparse
import csv
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from scipy import stats
from sklearn.metrics import adjusted_rand_score

from dj_analysis.judge.cluster_stability import best_supported, stability
from dj_analysis.judge.clusters import NUMBERS

HERE = Path(__file__).parent
RAW = HERE / "power.csv"
FEATURES, RAISED = 30, 6
HEAD = ("truth", "kinds", "apart", "units", "draw", "k", "ari")
Cell = tuple[str, int, float, int]  # truth, clusters planted, SD between centres, units


def own_features(rng: np.random.Generator, kinds: int, apart: float, units: int) -> tuple[np.ndarray, np.ndarray]:
    """Every cluster is higher than all others in six features of its own."""
    kind = rng.integers(0, kinds, units)
    centre = np.zeros((kinds, FEATURES))
    for one in range(kinds):
        centre[one, RAISED * one : RAISED * (one + 1)] = apart
    return centre[kind] + rng.standard_normal((units, FEATURES)), kind


def same_features(rng: np.random.Generator, kinds: int, apart: float, units: int) -> tuple[np.ndarray, np.ndarray]:
    """All clusters differ in the same six features: equal steps from one to the next, in another order in each."""
    kind = rng.integers(0, kinds, units)
    centre = np.zeros((kinds, FEATURES))
    for feature in range(RAISED):
        centre[:, feature] = apart * rng.permutation(kinds)
    return centre[kind] + rng.standard_normal((units, FEATURES)), kind


def cloud(shape: str, rng: np.random.Generator, units: int) -> np.ndarray:
    """One centre: normal, long in one direction, heavy-tailed (Student's t with 3 degrees of freedom), skewed (log-normal)."""
    x = rng.standard_normal((units, FEATURES))
    if shape == "long":
        x += 2 * rng.standard_normal((units, 1))
    elif shape == "heavy":
        x /= np.sqrt(rng.chisquare(3, (units, 1)) / 3)
    elif shape == "skewed":
        x = np.exp(0.8 * x)
    return x


PLANTED: dict[str, Callable[[np.random.Generator, int, float, int], tuple[np.ndarray, np.ndarray]]] = {
    "own": own_features, "same": same_features,
}  # fmt: skip
NOTHING = ("noise", "long", "heavy", "skewed")


def decided(cell: Cell, draw: int) -> tuple[int, float]:
    """Return the number of clusters stated (0 for none) and the agreement with the truth (adjusted Rand)."""
    truth, kinds, apart, units = cell
    names = (*PLANTED, *NOTHING)
    rng = np.random.default_rng([names.index(truth), kinds, int(10 * apart), units, draw])
    x, kind = PLANTED[truth](rng, kinds, apart, units) if truth in PLANTED else (cloud(truth, rng, units), None)
    z = (x - x.mean(axis=0)) / x.std(axis=0)
    tried = [stability(z, k, references=0, stop_early=True, seed=draw) for k in NUMBERS if k <= units // 4]
    best, _ = best_supported(tried, z, seed=draw)
    if best is None:
        return 0, 0.0
    return best.k, float(adjusted_rand_score(kind, best.labels)) if kind is not None else float("nan")


def cells(only: str | None) -> Iterator[Cell]:
    if only in (None, "planted"):
        for truth in PLANTED:
            for kinds in (3, 5):
                for apart in (2.0, 1.5, 1.0):
                    yield from ((truth, kinds, apart, units) for units in (60, 200, 800))
    if only in (None, "nothing"):
        for shape in NOTHING:
            yield from ((shape, 1, 0.0, units) for units in (60, 200, 800))


def done() -> dict[Cell, dict[int, tuple[int, float]]]:
    held: dict[Cell, dict[int, tuple[int, float]]] = {}
    if RAW.exists():
        with RAW.open(encoding="utf-8") as file:
            for row in csv.DictReader(file):
                cell = (row["truth"], int(row["kinds"]), float(row["apart"]), int(row["units"]))
                held.setdefault(cell, {})[int(row["draw"])] = (int(row["k"]), float(row["ari"]))
    return held


def run(wanted: list[Cell], draws: int, seconds: float) -> None:
    started, held = time.monotonic(), done()
    new = not RAW.exists()
    with RAW.open("a", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        if new:
            writer.writerow(HEAD)
        for draw in range(draws):  # one draw of each in turn, so that a run cut short has some of all
            for cell in wanted:
                if draw in held.get(cell, {}):
                    continue
                if time.monotonic() - started > seconds:
                    return
                k, ari = decided(cell, draw)
                writer.writerow([*cell, draw, k, round(ari, 4)])
                file.flush()


def share(hits: int, draws: int) -> str:
    """Share with its 95 % interval (Clopper and Pearson 1934), in percent."""
    low = stats.beta.ppf(0.025, hits, draws - hits + 1) if hits else 0.0
    high = stats.beta.ppf(0.975, hits + 1, draws - hits) if hits < draws else 1.0
    return f"{100 * hits / draws:.0f} ({100 * low:.0f}–{100 * high:.0f})"


def tables() -> str:
    held = done()
    lines = ["# Power of clusters", "", "Written by `python benchmarks/power.py`; shares in %, with 95 % intervals.", "",
             "| clusters planted | differ in | SD apart | units | draws | stated as planted | agreement ≥ .9 | none stated | another number |",
             "|---|---|---|---|---|---|---|---|---|"]  # fmt: skip
    words = {"own": "6 features of their own", "same": "the same 6 features"}
    for cell in cells("planted"):
        results = list(held.get(cell, {}).values())
        if not results:
            continue
        truth, kinds, apart, units = cell
        agreed, right = sum(ari >= 0.9 for _, ari in results), sum(k == kinds for k, _ in results)
        none = sum(k == 0 for k, _ in results)
        counts = (share(hits, len(results)) for hits in (right, agreed, none, len(results) - right - none))
        lines.append(f"| {kinds} | {words[truth]} | {apart:g} | {units} | {len(results)} | {' | '.join(counts)} |")
    lines += ["", "| one cloud | units | draws | no clusters stated |", "|---|---|---|---|"]
    for cell in cells("nothing"):
        results = list(held.get(cell, {}).values())
        if results:
            none = sum(k == 0 for k, _ in results)
            lines.append(f"| {cell[0]} | {cell[3]} | {len(results)} | {share(none, len(results))} |")
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--draws", type=int, default=20)
    parser.add_argument("--only", choices=["planted", "nothing"])
    parser.add_argument("--truth", nargs="*")
    parser.add_argument("--units", type=int, nargs="*")
    parser.add_argument("--apart", type=float, nargs="*")
    parser.add_argument("--seconds", type=float, default=float("inf"), help="stop adding draws after so many seconds")
    given = parser.parse_args()
    wanted = [
        cell for cell in cells(given.only)
        if (not given.truth or cell[0] in given.truth) and (not given.units or cell[3] in given.units)
        and (not given.apart or cell[2] in given.apart)
    ]  # fmt: skip
    run(wanted, given.draws, given.seconds)
    (HERE / "POWER.md").write_text(tables(), encoding="utf-8")
    print(tables())


if __name__ == "__main__":
    main()
