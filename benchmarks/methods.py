"""Measure the methods of the measure room against other packages, side by side, and write benchmarks/METHODS.md.

Usage: python benchmarks/methods.py        (``make bench`` runs it in an environment of its own with the other packages)

Contenders of one work take turns in one process, five rounds; the best time of each counts. R, where it is installed with
psych and multilevel, is timed inside R. A package that is not there is left out and named. Read ratios, not seconds.
"""

import importlib.util
import platform
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd

HERE = Path(__file__).parent
ROUNDS = 5
Work = dict[str, Callable[[], object]]

R_CODE = """
suppressMessages({library(psych); library(multilevel)})
answers <- read.csv("answers.csv"); answers$unit <- factor(answers$unit); items <- answers[, 1:10]
best <- function(f, rounds) min(sapply(seq_len(rounds), function(i) system.time(f())[["elapsed"]]))
cat("alpha", best(function() psych::alpha(items, warnings=FALSE, check.keys=FALSE), 3), "\\n")
icc <- function() { m <- aov(q0 ~ unit, data=answers); multilevel::ICC1(m); multilevel::ICC2(m) }
few <- answers[as.integer(answers$unit) <= 500, ]; few$unit <- factor(few$unit); all <- answers
answers <- few; cat("icc", best(icc, 2), "\\n"); answers <- all
cat("rwg", best(function() multilevel::rwg.j(answers[, 1:10], answers$unit, ranvar=2), 2), "\\n")
"""


def there(name: str) -> bool:
    return importlib.util.find_spec(name) is not None


def answers(people: int = 200_000, items: int = 10, units: int = 5_000) -> pd.DataFrame:
    rng = np.random.default_rng(1)
    unit = np.repeat(np.arange(units), people // units)
    latent = 3 + 0.6 * rng.standard_normal((people, 1)) + 0.3 * rng.standard_normal(units)[unit][:, None]
    made = np.clip(np.rint(latent + 0.8 * rng.standard_normal((people, items))), 1, 5)
    return pd.DataFrame(made, columns=[f"q{i}" for i in range(items)]).assign(unit=unit)


def with_gaps(frame: pd.DataFrame) -> pd.DataFrame:
    items = [name for name in frame if name != "unit"]
    return frame.assign(**frame[items].mask(np.random.default_rng(7).random((len(frame), len(items))) < 0.03))


def alpha_of(frame: pd.DataFrame) -> Work:
    from dj_analysis.measure.scales.item_statistics import alpha, feldt
    from dj_analysis.measure.scales.moments import moments_of

    items = frame[[f"q{i}" for i in range(10)]]

    def package() -> object:
        found = moments_of(items.to_numpy(), pairs=False).covariances("listwise")
        value = alpha(found.covariance)
        return feldt(value, found.n, 10)

    work: Work = {"package": package}
    if there("pingouin"):
        import pingouin

        work["pingouin"] = lambda: pingouin.cronbach_alpha(items, nan_policy="listwise")
    return work


def icc_of(frame: pd.DataFrame, units: int) -> Work:
    from dj_analysis.measure.scales.agreement import icc_one_way

    frame = frame[frame["unit"] < units]
    unit, x = frame["unit"].to_numpy(), frame["q0"].to_numpy()

    def package() -> object:
        return icc_one_way(np.bincount(unit).astype(float), np.bincount(unit, x), np.bincount(unit, x * x))

    work: Work = {"package": package}
    if there("pingouin"):
        import pingouin

        long = pd.DataFrame({"unit": unit, "x": x, "rater": frame.groupby("unit").cumcount()})
        work["pingouin"] = lambda: pingouin.intraclass_corr(long, targets="unit", raters="rater", ratings="x")
    return work


def rwg_of(frame: pd.DataFrame) -> Work:
    from dj_analysis.measure.scales.agreement import rwg_j

    unit, items = frame["unit"].to_numpy(), [frame[f"q{i}"].to_numpy() for i in range(10)]

    def package() -> object:
        n = np.repeat(np.bincount(unit)[:, None], 10, axis=1).astype(float)
        sums = [np.column_stack([np.bincount(unit, x**power) for x in items]) for power in (1, 2)]
        return rwg_j(n, *sums, np.full(10, 2.0))

    return {"package": package}


def decision(rows: int = 10_000, columns: int = 50) -> pd.DataFrame:
    return pd.DataFrame(
        np.random.default_rng(2).uniform(1, 100, (rows, columns)), columns=[f"c{i}" for i in range(columns)]
    )


def critic_of(matrix: pd.DataFrame) -> Work:
    from dj_analysis.measure.composites.comoments import comoments
    from dj_analysis.measure.composites.weight_methods import critic

    x = matrix.to_numpy()
    work: Work = {"package": lambda: critic(comoments(x, logs=False))}
    if there("pymcdm"):
        from pymcdm.weights import critic_weights

        work["pymcdm"] = lambda: critic_weights(x)
    if there("skcriteria"):
        from skcriteria import mkdm
        from skcriteria.preprocessing.weighters import CRITIC

        told = mkdm(x, [max] * x.shape[1])
        work["scikit-criteria"] = lambda: CRITIC().transform(told)
    return work


def robustness_of(draws: int = 1_000) -> Work:
    from dj_analysis.measure.composites.robustness import robustness
    from dj_analysis.spec.tree import Node, Tree

    nodes = [Node("T", role="index")]
    for p in range(10):
        nodes.append(Node(f"P{p}", "T", role="dimension"))
        nodes += [Node(f"L{p}_{i}", f"P{p}", minimum=0, maximum=100) for i in range(5)]
    tree, rng = Tree(tuple(nodes)), np.random.default_rng(5)
    values = np.clip(50 + 10 * rng.standard_normal((1_000, 1)) + 15 * rng.standard_normal((1_000, 50)), 0, 100)
    frame = pd.DataFrame(values, columns=[leaf.code for leaf in tree.leaves])
    some = 20

    def by_pandas() -> object:
        draw, ranks = np.random.default_rng(6), {}
        for d in range(some):
            scaled = [frame, (frame - frame.min()) / (frame.max() - frame.min()) * 100,
                      50 + 10 * (frame - frame.mean()) / frame.std(), frame.rank(pct=True) * 100][d % 4]  # fmt: skip
            pillars = {}
            for p in range(10):
                part, w = scaled[[f"L{p}_{i}" for i in range(5)]].clip(lower=1), draw.dirichlet(np.full(5, 10.0))
                pillars[p] = (part * w).sum(axis=1) if d % 2 else np.exp((np.log(part) * w).sum(axis=1))
            top = (pd.DataFrame(pillars) * draw.dirichlet(np.full(10, 10.0))).sum(axis=1)
            ranks[d] = top.rank(ascending=False, method="min")
        return pd.DataFrame(ranks).quantile([0.05, 0.5, 0.95], axis=1)

    given = frame.assign(unit=[f"U{i}" for i in range(1_000)])
    return {
        "package": lambda: robustness(given, draws, tree=tree, shares=False),
        f"pandas × {draws // some}": by_pandas,
    }


def best(work: Work) -> dict[str, float]:
    """Best seconds of each contender; they take turns."""
    seconds: dict[str, float] = {}
    for _ in range(ROUNDS):
        for name, call in work.items():
            started = time.perf_counter()
            call()
            took = (time.perf_counter() - started) * (int(name.split("×")[1]) if "×" in name else 1)
            seconds[name] = min(took, seconds.get(name, np.inf))
    return seconds


def by_r(frame: pd.DataFrame) -> dict[str, float]:
    """Best seconds inside R, empty where R or its packages are not installed."""
    if shutil.which("Rscript") is None:
        return {}
    with tempfile.TemporaryDirectory() as place:
        frame.astype(int).to_csv(Path(place) / "answers.csv", index=False)
        done = subprocess.run(["Rscript", "-e", R_CODE], cwd=place, capture_output=True, text=True)
    pairs = [line.split() for line in done.stdout.splitlines() if line.count(" ") == 2]
    return {name: float(value) for name, value in pairs}


def main() -> None:
    frame = answers()
    in_r = by_r(frame)
    works = [
        ("alpha with Feldt's interval, 200,000 × 10", alpha_of(frame), "alpha", "R psych", "4 / 40"),
        ("same, 3 % of answers missing", alpha_of(with_gaps(frame)), "", "", "4"),
        ("ICC(1), ICC(2), 500 units × 40", icc_of(frame, 500), "icc", "R multilevel", "4 / 40"),
        ("rwg(J), 5,000 units × 40 × 10", rwg_of(frame), "rwg", "R multilevel", "40"),
        ("CRITIC, 10,000 × 50", critic_of(decision()), "", "", "—"),
        ("robustness, 1,000 × 50 × 1,000", robustness_of(), "", "", "40"),
    ]
    lines = ["# Measured speed of methods", "", f"Python {platform.python_version()}, {platform.system()}; best of {ROUNDS} interleaved rounds.", "",
             "| work | × faster than | goal |", "|---|---|---|"]  # fmt: skip
    raw = []
    for label, work, key, package, goal in works:
        found = best(work)
        raw.append(f"{label}: " + ", ".join(f"{name} {seconds:.4f} s" for name, seconds in found.items()))
        ratios = [f"{name.split(' ×')[0]} {s / found['package']:.1f}" for name, s in found.items() if name != "package"]
        if key in in_r:
            ratios.append(f"{package} {in_r[key] / found['package']:.0f}")
            raw[-1] += f", {package} {in_r[key]:.3f} s"
        lines.append(f"| {label} | {', '.join(ratios) or 'nothing to compare with is installed'} | {goal} |")
    missing = [name for name in ("pingouin", "pymcdm", "skcriteria") if not there(name)] + (
        [] if in_r else ["R psych, multilevel"]
    )
    lines += ["", f"Not installed: {', '.join(missing)}."] if missing else []
    (HERE / "METHODS.md").write_text("\n".join([*lines, "", "Raw: " + "; ".join(raw) + "."]) + "\n", encoding="utf-8")
    print("\n".join(lines))


if __name__ == "__main__":
    main()
