"""Measure how the work above the person grows with the number of units, and write benchmarks/UNITS.md.

Usage: python benchmarks/units.py [units …]        (default 1,000 4,000 10,000; 100,000 takes some six minutes and 5 GB)
       python benchmarks/units.py --groups         (differences between 10 to 1,000 groups, with and without pairs)

A company of so many branches under cities of a hundred, 20 people a branch, twelve questions, two waves in Parquet, one group
column. Each size runs in a process of its own on one thread, every step once, one after the other. Seconds are those of the processor.
Read how they grow: where the work is linear, the seconds per 1,000 units stay. What was measured is kept in units.csv, so that sizes can
be measured one after the other.
"""

import json
import os
import platform
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from datetime import date
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

HERE = Path(__file__).parent
RAW = HERE / "units.csv"
SIZES = (1_000, 4_000, 10_000)
GROUPS = (10, 30, 100, 300, 1_000)
RAW_GROUPS = HERE / "unit_groups.csv"  # rows "one by one" were measured before pairs were compared by arrays
PEOPLE, DIMENSIONS, ITEMS = 20, 4, 12
BEFORE, NOW = "2026Q2", "2026Q3"
SAID = (
    "`protect compare` corrects the tests anew where a unit is hidden, which happens here from 10,000 units on. At 100,000 units `compare` and"
    " `protect compare` take 1.4 and 1.6 times as long a unit as at 10,000: tables of millions of rows no longer fit into the processor's cache."
)


def make_company(folder: Path, units: int) -> None:
    """Write a workspace of random answers; a branch and its city are better or worse than others, and a fifth of them changed."""
    (folder / "responses").mkdir(parents=True)
    consent = '[consent]\nbasis = "notice"\ndate = "2026-04-01"\ntext = "问卷首页告知书"\n'
    (folder / "workspace.toml").write_text(f'name = "基准"\nlanguage = "zh"\n\n{consent}', encoding="utf-8")
    tree = ["code,parent,label_zh,role,direction,weight,minimum,maximum", "INDEX,,指数,index,1,1,,"]
    tree += [f"D{d},INDEX,方面{d},dimension,1,1,," for d in range(DIMENSIONS)]
    tree += [f"Q{i:02d},D{i % DIMENSIONS},题{i:02d},item,1,1,1,5" for i in range(ITEMS)]
    tree += ["age_band,,年龄段,group,,,,"]
    (folder / "codebook.csv").write_text("\n".join(tree) + "\n", encoding="utf-8")
    branches = [f"B{i:06d}" for i in range(units)]
    rows = ["unit,parent,level,name_zh,headcount"]
    rows += [f"C{c:04d},,city,城市{c:04d}," for c in range(max(units // 100, 1))]
    rows += [f"{branch},C{i // 100:04d},branch,支部{i:06d},{PEOPLE + 5}" for i, branch in enumerate(branches)]
    (folder / "units.csv").write_text("\n".join(rows) + "\n", encoding="utf-8")
    rng = np.random.default_rng(1)
    level = rng.normal(0, 0.4, units) + np.repeat(rng.normal(0, 0.2, -(-units // 100)), 100)[:units]
    change = np.where(rng.random(units) < 0.2, rng.normal(0, 0.5, units), 0)
    for period, of_units in ((BEFORE, level), (NOW, level + change)):
        home = np.repeat(np.arange(units), rng.integers(PEOPLE - 5, PEOPLE + 6, units))
        latent = (
            3.4 + of_units[home][:, None] + rng.normal(0, 0.6, (len(home), 1)) + rng.normal(0, 0.8, (len(home), ITEMS))
        )
        answers = np.clip(np.rint(latent), 1, 5).astype("int8")
        frame = pd.DataFrame(answers, columns=[f"Q{i:02d}" for i in range(ITEMS)])
        frame["unit"] = np.array(branches)[home]
        frame["age_band"] = np.array(["35岁及以下", "36–50岁", "51岁及以上"])[rng.integers(0, 3, len(home))]
        frame.to_parquet(folder / "responses" / f"{period}.parquet", index=False)


def steps(folder: Path) -> Iterator[tuple[str, Callable[[dict[str, Any]], Any]]]:
    """Yield each step's name and what it does with the results of the steps before."""
    import dj_analysis as dj
    from dj_analysis import methods

    yield "open_workspace", lambda _: dj.open_workspace(folder)
    yield "survey", lambda of: [of["open_workspace"].survey(wave) for wave in (BEFORE, NOW)]
    yield "release_plan", lambda of: of["open_workspace"].release_plan(NOW)
    yield "scores", lambda of: [of["open_workspace"].scores(wave) for wave in (BEFORE, NOW)]
    yield "score", lambda of: dj.score(of["survey"][1], by=["city", "branch"])
    yield "compare", lambda of: dj.compare(of["scores"][1], of["scores"][0])
    yield "contrast", lambda of: dj.contrast(of["scores"][1])
    yield "shrunken", lambda of: methods.shrunken(of["scores"][1], "branch")
    yield "contributions", lambda of: methods.contributions(of["scores"][1], of["scores"][0], of["compare"])
    yield "alerts, no draws", lambda of: dj.alerts(of["scores"][1], of["compare"], draws=0)
    yield "alerts", lambda of: dj.alerts(of["scores"][1], of["compare"])
    yield "differences, no pairs", lambda of: dj.differences(of["survey"][1], "branch", pairs=False)
    yield "trend", lambda of: dj.trend(of["scores"])
    yield "rank", lambda of: dj.rank(of["scores"][1], "branch")
    yield "protect scores", lambda of: dj.protect(of["scores"][1], of["release_plan"])
    yield "protect compare", lambda of: dj.protect(of["compare"], of["release_plan"])
    yield "protect alerts", lambda of: dj.protect(of["alerts"], of["release_plan"])
    yield "where", lambda of: of["protect scores"].where(level="branch", code="INDEX", form="anchors")
    yield "table", lambda of: dj.table(of["where"], rows_on_paper=100)
    yield "table of one city", lambda of: dj.table(of["protect compare"].where(unit=["C0000", "B000001"], code="INDEX"))
    yield "release_costs", lambda of: of["open_workspace"].release_costs(NOW)
    yield "close", lambda of: of["open_workspace"].close(NOW)


def one(units: int) -> None:
    """Run every step on a company of so many units; a line of JSON each."""
    import warnings

    warnings.simplefilter("ignore")
    results: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place) / "company"
        make_company(folder, units)
        for name, work in steps(folder):
            started = time.process_time()
            results[name] = work(results)
            mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
            told = {"units": units, "step": name, "seconds": round(time.process_time() - started, 3), "mb": round(mb)}
            print(json.dumps(told), flush=True)


def one_of_groups(groups: int) -> None:
    """Compare so many branches, as by default and with every two of them; a line of JSON each."""
    import warnings

    import dj_analysis as dj

    warnings.simplefilter("ignore")
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place) / "company"
        make_company(folder, groups)
        survey = dj.open_workspace(folder).survey(NOW)
        dj.score(survey, by="branch")  # what is loaded once is not counted
        for way, pairs in (("default", None), ("every two", True)):
            started = time.process_time()
            found = dj.differences(survey, "branch", pairs=pairs)
            seconds = round(time.process_time() - started, 3)
            mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
            told = {"groups": groups, "way": way, "rows": len(found.pairs.table), "seconds": seconds, "mb": round(mb)}
            print(json.dumps(told), flush=True)


def measured(option: str, size: int) -> Iterator[dict[str, Any]]:
    """Measure one size in a process of its own; yield what it did so far, so that it is kept where it ends early."""
    threads = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
    command = [sys.executable, __file__, option, str(size)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=os.environ | threads) as process:
        assert process.stdout is not None
        for line in process.stdout:
            print(line, end="", flush=True)
            yield json.loads(line)
    if process.returncode:
        print(f"{size}: ended with {process.returncode}", file=sys.stderr)


def measure_units(units: int) -> None:
    rows = []
    for row in measured("--one", units):
        rows.append(row)
        kept(pd.DataFrame(rows))


def measure_groups() -> None:
    table = pd.read_csv(RAW_GROUPS)
    before = table[table["way"] == "one by one"]
    rows: list[dict[str, Any]] = []
    for groups in GROUPS:
        rows += measured("--one-of-groups", groups)
        pd.concat([before, pd.DataFrame(rows)]).to_csv(RAW_GROUPS, index=False)


def kept(rows: pd.DataFrame) -> pd.DataFrame:
    """Put rows into units.csv in place of those of the same sizes; return all of them."""
    others = pd.read_csv(RAW) if RAW.exists() else rows.iloc[:0]
    table = pd.concat([others[~others["units"].isin(rows["units"])], rows]).sort_values("units", kind="stable")
    table.to_csv(RAW, index=False)
    return table


def written(table: pd.DataFrame) -> str:
    sizes, names = sorted(table["units"].unique()), list(dict.fromkeys(table["step"]))
    seconds, mb = (table.set_index(["step", "units"])[name].to_dict() for name in ("seconds", "mb"))
    packages = ", ".join(f"{name} {version(name)}" for name in ("numpy", "pandas", "polars", "scipy"))
    lines = [
        "# How the work above the person grows with the number of units",
        "",
        f"{date.today()}, Python {platform.python_version()}, {packages}, {platform.system()}, {os.cpu_count()} processors, one thread;"
        f" branches of about {PEOPLE} people under cities of 100, {ITEMS} questions in {DIMENSIONS} dimensions, an age band, two waves; one run."
        " Seconds of the processor; where the work is linear, those per 1,000 units stay. Written by `python benchmarks/units.py`.",
        "",
        f"| step | {' | '.join(f'{size:,} units: s' for size in sizes)} | {' | '.join(f'per 1,000 at {size:,}' for size in sizes)} |",
        f"|---|{'---|' * 2 * len(sizes)}",
    ]
    for name in names:
        took = [seconds.get((name, size)) for size in sizes]
        each = [None if s is None else 1000 * s / size for s, size in zip(took, sizes, strict=True)]
        cells = ["—" if s is None else f"{s:.2f}" for s in took] + ["—" if s is None else f"{s:.3f}" for s in each]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    peaks = [max(mb[name, size] for name in names if (name, size) in mb) for size in sizes]
    lines += [
        "",
        f"Peak MB of the process: {', '.join(f'{peak:,} at {size:,} units' for peak, size in zip(peaks, sizes, strict=True))}.",
    ]
    return "\n".join([*lines, "", SAID, "", *of_groups(pd.read_csv(RAW_GROUPS))]) + "\n"


def of_groups(table: pd.DataFrame) -> list[str]:
    """Return the lines about differences between groups."""
    cells = {(row.groups, row.way): row for row in table.itertuples()}
    lines = [
        "## Differences between groups",
        "",
        '`dj.differences(survey, "branch")` in the same company: by default pairs are told of up to 100 groups, and the overall tests'
        " alone of more; `pairs=True` asks for every two. One by one: as it was, with scipy's studentised range for each pair (4 ms)."
        " Seconds of the processor, peak MB of the process. `python benchmarks/units.py --groups`.",
        "",
        "| groups | rows of every two | one by one: s | default: s | rows | MB | every two: s | MB |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for groups in GROUPS:
        before, default, every = (cells.get((groups, way)) for way in ("one by one", "default", "every two"))
        said = ["—" if before is None else f"{before.seconds:,.1f}"]
        said += ["—"] * 3 if default is None else [f"{default.seconds:.2f}", f"{default.rows:,}", f"{default.mb:,}"]
        said += ["—"] * 2 if every is None else [f"{every.seconds:.2f}", f"{every.mb:,}"]
        rows = "—" if every is None else f"{every.rows:,}"
        lines.append(f"| {groups:,} | {rows} | {' | '.join(said)} |")
    return lines


def write() -> None:
    text = written(pd.read_csv(RAW))
    (HERE / "UNITS.md").write_text(text, encoding="utf-8")
    print(text)


if __name__ == "__main__":
    if "--one" in sys.argv:
        one(int(sys.argv[2]))
    elif "--one-of-groups" in sys.argv:
        one_of_groups(int(sys.argv[2]))
    elif "--groups" in sys.argv:
        measure_groups()
        write()
    else:
        for size in [int(text.replace(",", "")) for text in sys.argv[1:]] or list(SIZES):
            measure_units(size)
            write()
