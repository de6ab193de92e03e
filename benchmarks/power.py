"""Tell how often clusters that are there are found, and clusters that are not there are stated; write benchmarks/POWER.md.

Usage: python benchmarks/power.py [--draws 20] [--only planted|nothing] [--truth pairs] [--units 800] [--apart 2] [--offices 2000]

A draw is a table units × features of known truth, standardised and given to what ``dj.cluster`` decides by, with its defaults: 2
to 10 clusters, 200 resamples, ten starts, 199 clouds. What does not change the verdict is left out: the gap statistic, all numbers of
clusters below the one stated, and more than 25 resamples where by then a cluster's Jaccard is below .5 (.75 is stable). Every draw has
its own seed: a run adds the draws that are missing in power.csv, and the table is written from all of them; delete that file where
the method has changed.

The chance of each branch to be first is held against who truly is, in ``--offices`` simulated offices of twenty branches.
"""

import argparse
import csv
from collections.abc import Callable, Iterator
from datetime import date
from itertools import pairwise
from pathlib import Path

import numpy as np
from scipy import stats
from sklearn.metrics import adjusted_rand_score

from dj_analysis.judge.cluster_stability import best_supported, stability
from dj_analysis.judge.clusters import NUMBERS
from dj_analysis.judge.kmeans import nearest
from dj_analysis.judge.ranking import posterior
from dj_analysis.measure.inference.ranks import p_top
from dj_analysis.measure.occasions import months_error
from dj_analysis.spec.rules import default_rules

HERE = Path(__file__).parent
RAW = HERE / "power.csv"
FEATURES, DIFFERING = 30, 6  # features in all; in which any two clusters differ
HEAD = ("truth", "kinds", "apart", "units", "draw", "k", "ari")
FEW, HOPELESS = 25, 0.5  # resamples after which a number of clusters is given up where a Jaccard is below this
Cell = tuple[str, int, float, int]  # truth, clusters planted, SD between centres, units


def own_features(rng: np.random.Generator, kinds: int, apart: float, units: int) -> tuple[np.ndarray, np.ndarray]:
    """Every cluster is higher than all others in three features of its own, so that any two of them differ in six."""
    kind, own = rng.integers(0, kinds, units), DIFFERING // 2
    centre = np.zeros((kinds, FEATURES))
    for one in range(kinds):
        centre[one, own * one : own * (one + 1)] = apart
    return centre[kind] + rng.standard_normal((units, FEATURES)), kind


def same_features(rng: np.random.Generator, kinds: int, apart: float, units: int) -> tuple[np.ndarray, np.ndarray]:
    """All clusters differ in the same six features: equal steps from one to the next, in another order in each.

    The more steps, the larger the spread of these features and the less a step is of it once they are standardised.
    """
    kind = rng.integers(0, kinds, units)
    centre = np.zeros((kinds, FEATURES))
    for feature in range(DIFFERING):
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
    "pairs": own_features, "same": same_features,
}  # fmt: skip
NOTHING = ("noise", "long", "heavy", "skewed")


def seeds(cell: Cell, draw: int) -> list[int]:
    truth, kinds, apart, units = cell
    return [(*PLANTED, *NOTHING).index(truth), kinds, int(10 * apart), units, draw]


def decided(cell: Cell, draw: int) -> tuple[int, float]:
    """Return the number of clusters stated (0 for none) and the agreement with the truth (adjusted Rand)."""
    truth, kinds, apart, units = cell
    rng = np.random.default_rng(seeds(cell, draw))
    x, kind = PLANTED[truth](rng, kinds, apart, units) if truth in PLANTED else (cloud(truth, rng, units), None)
    z = (x - x.mean(axis=0)) / x.std(axis=0)
    for k in (k for k in reversed(NUMBERS) if k <= units // 4):  # the largest number that holds is the one stated
        if stability(z, k, resamples=FEW, references=0, seed=draw).jaccard.min() < HOPELESS:
            continue
        tried = stability(z, k, references=0, seed=draw)
        if best_supported([tried], z, seed=draw)[0] is not None:
            return k, float(adjusted_rand_score(kind, tried.labels)) if kind is not None else float("nan")
    return 0, 0.0


BANDS = (0.0, 0.02, 0.1, 0.25, 0.5, 0.75, 0.9, 1.0)  # of the chance claimed
OFFICE = 20  # branches
LEVELS, SCATTER, COMMON = 3.0, 6.0, 3.0  # SD of true levels, of a month around them, of what all share in a month


def office(months: int, differing: bool, draw: int) -> tuple[np.ndarray, np.ndarray]:
    """Chance of each branch to be first, and who is: a year of one office whose true levels are known.

    Months scatter alike in all branches, or with variances that differ as χ² with 12 degrees of freedom does.
    """
    rng = np.random.default_rng([months, int(differing), draw])
    level = rng.normal(70, LEVELS, OFFICE)
    scatter = SCATTER * (np.sqrt(rng.chisquare(12, OFFICE) / 12) if differing else 1.0)
    points = level + rng.normal(0, COMMON, (months, 1)) + rng.standard_normal((months, OFFICE)) * scatter
    error = months_error(points[:, :, None], default_rules().months, np.arange(months))
    mean, se, df = posterior(points.mean(axis=0), error.sd[:, 0] / np.sqrt(months), error.df[:, 0])
    return p_top(mean, se, 1, draws=2000, seed=draw, df=df).first, level == level.max()


def reliability(months: int, differing: bool, offices: int) -> list[tuple[float, float, int, float, int]]:
    """Claimed against observed: from, to, branches in the band, mean chance claimed, how many are first."""
    claims, firsts = map(
        np.concatenate, zip(*(office(months, differing, draw) for draw in range(offices)), strict=True)
    )
    rows = []
    for low, high in pairwise(BANDS):
        inside = (claims >= low) & ((claims < high) | (high == 1))
        if inside.any():
            rows.append((low, high, int(inside.sum()), float(claims[inside].mean()), int(firsts[inside].sum())))
    return rows


def first_table(offices: int) -> str:
    lines = ["# Chances to be first, claimed and true", "", f"| months | variances of branches | chance claimed | branches | mean | are first, 99 % interval ({offices:,} offices of {OFFICE}) |",
             "|---|---|---|---|---|---|"]  # fmt: skip
    for months in (6, 12):
        for differing in (False, True):
            for low, high, branches, claimed, first in reliability(months, differing, offices):
                line = f"| {months} | {'differ' if differing else 'alike'} | {low:g}–{high:g} | {branches} | {claimed:.3f} |"
                lines.append(
                    f"{line} {first / branches:.3f} ({', '.join(f'{end:.3f}' for end in interval(first, branches, 0.99))}) |"
                )
    return "\n".join(lines) + "\n"


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


def run(wanted: list[Cell], draws: int) -> None:
    held = done()
    new = not RAW.exists()
    with RAW.open("a", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        if new:
            writer.writerow(HEAD)
        for draw in range(draws):  # one draw of each in turn, so that a run cut short has some of all
            for cell in wanted:
                if draw in held.get(cell, {}):
                    continue
                k, ari = decided(cell, draw)
                writer.writerow([*cell, draw, k, round(ari, 4)])
                file.flush()


def interval(hits: int, draws: int, confidence: float = 0.95) -> tuple[float, float]:
    """Clopper and Pearson (1934)."""
    tail = (1 - confidence) / 2
    low = float(stats.beta.ppf(tail, hits, draws - hits + 1)) if hits else 0.0
    return low, float(stats.beta.ppf(1 - tail, hits + 1, draws - hits)) if hits < draws else 1.0


def share(hits: int, draws: int) -> str:
    """Share with its 95 % interval, in percent."""
    low, high = interval(hits, draws)
    return f"{100 * hits / draws:.0f} ({100 * low:.0f}–{100 * high:.0f})"


def best_possible(cell: Cell, draws: int = 200) -> str:
    """Share of draws in percent in which the true centres themselves part the units with an agreement of .9."""
    truth, kinds, apart, units = cell
    agreed = 0
    for draw in range(draws):
        x, kind = PLANTED[truth](np.random.default_rng(seeds(cell, draw)), kinds, apart, units)
        middle = np.stack([x[kind == one].mean(axis=0) for one in range(kinds) if (kind == one).any()])
        agreed += adjusted_rand_score(kind, nearest(x, middle)) >= 0.9
    return f"{100 * agreed / draws:.0f}"


def tables() -> str:
    held = done()
    lines = ["# Power of clusters", "", f"Written by `python benchmarks/power.py` on {date.today()}; shares in %, with 95 % intervals.", "",
             "| clusters planted | differ in | SD apart | units | draws | stated as planted | agreement ≥ .9 | same, centres known | none stated | another number |",
             "|---|---|---|---|---|---|---|---|---|---|"]  # fmt: skip
    words = {"pairs": "any two in 6 features, 3 of each", "same": "all in the same 6 features"}
    for cell in cells("planted"):
        results = list(held.get(cell, {}).values())
        if not results:
            continue
        truth, kinds, apart, units = cell
        agreed, right = sum(ari >= 0.9 for _, ari in results), sum(k == kinds for k, _ in results)
        none = sum(k == 0 for k, _ in results)
        draws = len(results)
        counts = [
            share(right, draws),
            share(agreed, draws),
            best_possible(cell),
            share(none, draws),
            share(draws - right - none, draws),
        ]
        lines.append(f"| {kinds} | {words[truth]} | {apart:g} | {units} | {draws} | {' | '.join(counts)} |")
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
    parser.add_argument("--offices", type=int, default=2000)
    given = parser.parse_args()
    wanted = [
        cell for cell in cells(given.only)
        if (not given.truth or cell[0] in given.truth) and (not given.units or cell[3] in given.units)
        and (not given.apart or cell[2] in given.apart)
    ]  # fmt: skip
    run(wanted, given.draws)
    text = tables() + "\n" + first_table(given.offices)
    (HERE / "POWER.md").write_text(text, encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
