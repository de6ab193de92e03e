"""Measure the work on branches against plain loops, side by side, and write benchmarks/BRANCHES.md.

Usage: python benchmarks/branches.py [--rounds 5] [--only clusters|fits|ranks|whole]

Contenders of one work take turns, each in a process of its own on one thread. Seconds are those of the processor, so that others on
the machine disturb less; the ratio is the median of the rounds' ratios. Read ratios, not seconds.
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
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from power import own_features

from dj_analysis.measure.inference.ranks import rank_sets  # before the clock starts, as pandas

HERE = Path(__file__).parent
UNITS, FEATURES, RESAMPLES = 800, 30, 200
SAMPLES = 10  # resamples on which single fits are compared
SOME = 100  # draws ranked by pandas; its time is proportional to them
BRANCHES, INDICATORS, MONTHS = 10_000, 28, 12


def profiles() -> np.ndarray:
    """Five kinds of branches, any two of them two standard deviations apart in six features."""
    x, _ = own_features(np.random.default_rng(1), 5, 2.0, UNITS)
    return (x - x.mean(axis=0)) / x.std(axis=0)


def clusters_package(folder: Path) -> dict[str, float]:
    from dj_analysis.judge.cluster_stability import stability

    x = profiles()
    tried = [stability(x, k, resamples=RESAMPLES, references=0) for k in range(2, 11)]
    return quality(x, [(one.labels, one.jaccard) for one in tried])


def clusters_plain(folder: Path) -> dict[str, float]:
    """What one writes from the manual: for each k and resample fit KMeans from ten starts, match clusters by Jaccard."""
    from sklearn.cluster import KMeans

    x, results = profiles(), []
    for k in range(2, 11):
        rng = np.random.default_rng(k)
        labels = KMeans(k, n_init=10, random_state=k).fit(x).labels_
        jaccard = np.zeros(k)
        for draw in range(RESAMPLES):
            rows = np.unique(rng.integers(0, len(x), len(x)))
            new = KMeans(k, n_init=10, random_state=draw).fit(x[rows]).labels_
            for one in range(k):
                own = labels[rows] == one
                jaccard[one] += max((own & (new == other)).sum() / (own | (new == other)).sum() for other in range(k))
        results.append((labels, jaccard / RESAMPLES))
    return quality(x, results)


def fits_package(folder: Path) -> dict[str, float]:
    from dj_analysis.judge.kmeans import kmeans

    return fits(kmeans)


OPTIONS: dict[str, dict[str, Any]] = {  # of scikit-learn, that a reader might try before writing code
    "ten starts": {"n_init": 10},
    "the same in float32": {"n_init": 10, "dtype": np.float32},
    "Elkan's algorithm": {"n_init": 10, "algorithm": "elkan"},
    "starts at random": {"n_init": 10, "init": "random"},
    "three starts": {"n_init": 3},
    "one start": {"n_init": 1},
    "MiniBatchKMeans": {"n_init": 10, "cls": "MiniBatchKMeans"},
    "BisectingKMeans": {"n_init": 10, "cls": "BisectingKMeans"},
}


def fits_option(name: str, folder: Path) -> dict[str, float]:
    from sklearn import cluster

    options = {"cls": "KMeans", "dtype": np.float64} | OPTIONS[name]
    method, dtype = getattr(cluster, options.pop("cls")), options.pop("dtype")
    return fits(lambda x, k, seed: method(k, random_state=seed, **options).fit(x.astype(dtype)).labels_)


def fits(fit: Any) -> dict[str, float]:
    """Sum of squares within the clusters of single fits, k 2–10."""
    x, rng = profiles(), np.random.default_rng(2)
    samples = [x[np.unique(rng.integers(0, len(x), len(x)))] for _ in range(SAMPLES)]
    return {
        f"within {draw} {k}": within(sample, fit(sample, k, draw))
        for draw, sample in enumerate(samples)
        for k in range(2, 11)
    }


def within(x: np.ndarray, labels: np.ndarray) -> float:
    return sum(float(((x[labels == one] - x[labels == one].mean(axis=0)) ** 2).sum()) for one in np.unique(labels))


def quality(x: np.ndarray, results: list[tuple[np.ndarray, np.ndarray]]) -> dict[str, float]:
    """Mean Jaccard by number of clusters, and sum of squares within them."""
    held: dict[str, float] = {}
    for labels, jaccard in results:
        k = len(jaccard)
        held |= {f"jaccard {k}": float(np.mean(jaccard)), f"within {k}": within(x, labels)}
    return held


def ranks_package(folder: Path) -> dict[str, float]:
    rng = np.random.default_rng(3)
    sets = rank_sets(rng.normal(65, 8, 10_000), rng.uniform(1, 4, 10_000), method="simulated", draws=2000)
    return {"times": 1, "width": float((sets.high - sets.low).mean())}


def ranks_pandas(folder: Path) -> dict[str, float]:
    rng, draw = np.random.default_rng(3), np.random.default_rng(4)
    mean, se = rng.normal(65, 8, 10_000), rng.uniform(1, 4, 10_000)
    ranks = [pd.Series(draw.normal(mean, se)).rank(ascending=False) for _ in range(SOME)]
    ends = pd.concat(ranks, axis=1).quantile([0.025, 0.975], axis=1)
    return {"times": 2000 / SOME, "width": float((ends.loc[0.975] - ends.loc[0.025]).mean())}


def make_company(folder: Path) -> None:
    """Write a workspace: 10,000 branches of four kinds in 100 cities, 28 indicators, twelve months."""
    rng = np.random.default_rng(5)
    (folder / "workspace.toml").write_text('name = "基准"\n', encoding="utf-8")
    branches = [f"B{i:05d}" for i in range(BRANCHES)]
    units = ["unit,parent,level", *(f"C{c:02d},,city" for c in range(100))]
    units += [f"{branch},C{i % 100:02d},branch" for i, branch in enumerate(branches)]
    (folder / "units.csv").write_text("\n".join(units) + "\n", encoding="utf-8")
    tree = ["code,parent,label_zh,role,direction,weight,minimum,maximum,rollup", "BM,,对标,index,1,1,,,"]
    tree += [f"P{p},BM,方面{p},dimension,1,1,,," for p in range(4)]
    tree += [f"K{j:02d},P{j % 4},指标{j},item,1,1,0,100,mean" for j in range(INDICATORS)]
    (folder / "indicators.csv").write_text("\n".join(tree) + "\n", encoding="utf-8")
    kind = rng.integers(0, 4, BRANCHES)
    level = 55 + 8 * rng.standard_normal((BRANCHES, INDICATORS)) + 14 * (np.arange(INDICATORS) // 7 == kind[:, None])
    values = np.clip(level + 6 * rng.standard_normal((MONTHS, BRANCHES, INDICATORS)), 0, 100).round(1)
    month, branch, indicator = (axis.ravel() for axis in np.indices(values.shape))
    months = np.array([f"2025-{m:02d}" for m in (10, 11, 12)] + [f"2026-{m:02d}" for m in range(1, 10)])
    pd.DataFrame(
        {"unit": np.array(branches)[branch], "period": months[month], "code": np.array([f"K{j:02d}" for j in range(INDICATORS)])[indicator],
         "value": values.ravel()}
    ).to_parquet(folder / "indicator_values.parquet", index=False)  # fmt: skip


def whole(folder: Path) -> dict[str, float]:
    """From files to scores, ranks and clusters of 10,000 branches, with the defaults of each."""
    import dj_analysis as dj

    seconds: dict[str, float] = {}

    def step(name: str, work: Any) -> Any:
        started = time.process_time()
        result = work()
        seconds[name] = time.process_time() - started
        seconds[f"{name} MB"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        return result

    span = "2025-10/2026-09"
    data = step("read", lambda: dj.open_workspace(folder).indicators(span))
    scores = step("score", lambda: dj.score(data, by="branch"))
    ranks = step("rank", lambda: dj.rank(scores, "branch"))
    groups = step("cluster", lambda: dj.cluster(scores, "branch"))
    assert len(ranks.table) == BRANCHES
    return seconds | {"clusters": float(groups.table["cluster"].nunique())}


WORKS = {
    f.__name__: f for f in (clusters_package, clusters_plain, fits_package, ranks_package, ranks_pandas, whole)
} | {name: partial(fits_option, name) for name in OPTIONS}


def one(name: str, folder: Path) -> None:
    import sklearn.cluster  # noqa: F401

    import dj_analysis.judge.clusters
    import dj_analysis.judge.ranking  # noqa: F401  imports are not what is measured

    started, clock = time.process_time(), time.perf_counter()
    held = WORKS[name](folder)
    times = held.pop("times", 1)
    seconds, held["elapsed"] = (time.process_time() - started) * times, (time.perf_counter() - clock) * times
    mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps({"seconds": seconds, "mb": mb} | held))


def measured(name: str, folder: Path) -> dict[str, float]:
    threads = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
    command = [sys.executable, __file__, "--one", name, str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, env=os.environ | threads)
    if done.returncode:
        sys.exit(done.stderr)
    return json.loads(done.stdout.splitlines()[-1])


def turns(names: list[str], rounds: int, folder: Path) -> dict[str, list[dict[str, float]]]:
    held: dict[str, list[dict[str, float]]] = {name: [] for name in names}
    for _ in range(rounds):
        for name in names:
            held[name].append(measured(name, folder))
    return held


def spread(results: list[dict[str, float]], key: str = "seconds") -> str:
    values = [result[key] for result in results]
    return f"{min(values):.2f} / {statistics.median(values):.2f} / {max(values):.2f}"


def ratio(held: dict[str, list[dict[str, float]]], package: str, other: str, key: str = "seconds") -> str:
    """Median of the rounds' ratios, and the least and largest of them: of processor time, or of the time elapsed."""
    rounds = [b[key] / a[key] for a, b in zip(held[package], held[other], strict=True)]
    return f"{statistics.median(rounds):.1f} ({min(rounds):.1f}–{max(rounds):.1f})"


def cluster_lines(held: dict[str, list[dict[str, float]]]) -> list[str]:
    own, plain = held["clusters_package"], held["clusters_plain"]
    numbers = range(2, 11)
    within = [own[0][f"within {k}"] / plain[0][f"within {k}"] - 1 for k in numbers]
    mean = [own[0][f"jaccard {k}"] - plain[0][f"jaccard {k}"] for k in numbers]
    return [
        f"| stability of clusters, {UNITS} × {FEATURES}, k 2–10, {RESAMPLES} resamples | × faster than the plain scikit-learn loop | {ratio(held, 'clusters_package', 'clusters_plain')} | 4 |",
        f"| same | sum of squares within, % above the loop's, k 2–10 | {', '.join(f'{100 * one:.2f}' for one in within)} | ≤ 0 but for chance |",
        f"| same | mean Jaccard less the loop's, k 2–10 | {', '.join(f'{one:.2f}' for one in mean)} | simulation error |",
        f"| same | mean Jaccard of the five planted | {own[0]['jaccard 5']:.3f}, loop {plain[0]['jaccard 5']:.3f} | |",
    ]


def fit_lines(held: dict[str, list[dict[str, float]]]) -> list[str]:
    """Single fits by options of scikit-learn: nothing of its own is as fast at the same sum of squares."""
    plain, told = held["ten starts"], []
    keys = [key for key in plain[0] if key.startswith("within")]
    for name in [name for name in OPTIONS if name != "ten starts"] + ["fits_package"]:
        faster = statistics.median(b["seconds"] / a["seconds"] for a, b in zip(held[name], plain, strict=True))
        above = 100 * (statistics.mean(held[name][0][key] / plain[0][key] for key in keys) - 1)
        told.append(f"{name.replace('fits_package', 'the package')} {faster:.1f} ({above:+.2f})")
    return [
        f"| {len(keys)} single fits, k 2–10 | × faster than KMeans with ten starts (% of the sum of squares above it) | {'; '.join(told)} | 4 (0) |"
    ]


def rank_lines(held: dict[str, list[dict[str, float]]]) -> list[str]:
    widths = held["ranks_package"][0]["width"], held["ranks_pandas"][0]["width"]
    return [
        f"| simulated rank sets, 10,000 units × 2,000 draws | × faster than pandas rank, draw by draw: time elapsed, {os.cpu_count()} processors | {ratio(held, 'ranks_package', 'ranks_pandas', 'elapsed')} | 16 |",
        f"| same | processor time | {ratio(held, 'ranks_package', 'ranks_pandas')} | |",
        f"| same | mean width of the sets | {widths[0]:.0f}, pandas with {SOME} draws {widths[1]:.0f} | the same |",
    ]


def whole_lines(held: dict[str, list[dict[str, float]]]) -> list[str]:
    steps = ("read", "score", "rank", "cluster")
    middle = {key: statistics.median(one[key] for one in held["whole"]) for key in held["whole"][0]}
    seconds = ", ".join(f"{step} {middle[step]:.1f}" for step in steps)
    peaks = ", ".join(f"{step} {middle[f'{step} MB']:.0f}" for step in steps)
    size = f"{BRANCHES:,} branches × {INDICATORS} indicators × {MONTHS} months"
    return [
        f"| {size}, from files to clusters | seconds of one processor, once | {middle['seconds']:.0f} ({seconds}) | — |",
        f"| same | peak MB after each step | {peaks} | — |",
        f"| same | clusters stated, 4 planted | {middle['clusters']:.0f} | 4 |",
    ]


CONTESTS = {
    "clusters": (["clusters_package", "clusters_plain"], cluster_lines),
    "fits": ([*OPTIONS, "fits_package"], fit_lines),
    "ranks": (["ranks_package", "ranks_pandas"], rank_lines),
    "whole": (["whole"], whole_lines),
}  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--only", choices=CONTESTS)
    given = parser.parse_args()
    lines, raw = [], []
    with tempfile.TemporaryDirectory() as place:
        for name, (contenders, told) in CONTESTS.items():
            if given.only not in (None, name):
                continue
            if name == "whole":
                make_company(Path(place))
            held = turns(contenders, 1 if name == "whole" else given.rounds, Path(place))
            lines += told(held)
            raw += [
                f"{contender} {spread(held[contender])} s, {max(one['mb'] for one in held[contender]):.0f} MB"
                for contender in contenders
            ]
    head = ["# Measured speed of the work on branches", "",
            f"Python {platform.python_version()}, {platform.system()}, {date.today()}; {given.rounds} interleaved rounds, one thread, processor's time; median of the rounds' ratios (least–largest).", "",
            "| work | measure | result | goal |", "|---|---|---|---|"]  # fmt: skip
    text = "\n".join([*head, *lines, "", "Least / median / largest of the rounds: " + "; ".join(raw) + "."]) + "\n"
    if given.only is None:
        (HERE / "BRANCHES.md").write_text(text, encoding="utf-8")
    print(text)


if __name__ == "__main__":
    if "--one" in sys.argv:
        one(sys.argv[2], Path(sys.argv[3]))
    else:
        main()
