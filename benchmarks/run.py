"""Measure the speed of scoring and of reading as ratios inside one interleaved run, and write benchmarks/RESULTS.md.

python benchmarks/run.py                       everything: 10,000,000 rows, growth to 60,000,000 (a quarter of an hour, 2 GB of disk)
python benchmarks/run.py --rows 1000000        a first look; ratios of few rows hold what does not depend on rows, too

Each contender runs in a process of its own, in turn, some rounds; told are the least, median and largest time and the peak memory
of that process. Seconds wander with the machine: read the ratios, which are of medians.
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
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

HERE = Path(__file__).parent
ITEMS, DIMENSIONS = 60, 8
FLAT, DEEP = 2_000, 16_111  # units of one level; of five levels, 10,000 of them the finest
BY_HAND, IN_MEMORY = 1_000_000, 2_000_000  # rows that fit into memory as floats, several times
EXCEL = 20_000
ELSEWHERE = (
    "Spark: SPARK.md. Above the person, by number of units: UNITS.md. Reports by stage: REPORTS.md. Clusters and ranks of branches: BRANCHES.md. "
    "Other methods (alpha, ICC, rwg): METHODS.md. Formats: FORMATS.md. Disclosure control: DISCLOSURE.md. Power of clusters: POWER.md."
)
Measure = dict[str, float]


def make_answers(path: Path, rows: int, units: int = 10_000) -> None:
    """Synthetic answers: 60 items in 8 dimensions, 5 % missing, finest units, zstd Parquet."""
    import numpy as np
    import pyarrow as pa
    import pyarrow.parquet as pq

    rng = np.random.default_rng(1)
    writer = None
    for start in range(0, rows, 250_000):
        n = min(250_000, rows - start)
        columns = {"unit": pa.array(np.char.add("B", rng.integers(0, units, n).astype(str)))}
        for i in range(ITEMS):
            low, high = (1, 10) if i % DIMENSIONS >= 6 else (1, 5)
            columns[f"q{i:02d}"] = pa.array(rng.integers(low, high + 1, n).astype("int8"), mask=rng.random(n) < 0.05)
        table = pa.table(columns)
        writer = writer or pq.ParquetWriter(path, table.schema, compression="zstd")
        writer.write_table(table, row_group_size=250_000)
    writer.close()


def specification(units: int = DEEP):
    """Return the codebook and a tree of units: ``FLAT`` of one level, or five levels."""
    from dj_analysis.spec.codebook import Codebook
    from dj_analysis.spec.tree import Node, Tree
    from dj_analysis.spec.units import Unit, Units

    nodes = [Node("INDEX", role="index")]
    nodes += [Node(f"D{d}", parent="INDEX", role="dimension") for d in range(DIMENSIONS)]
    for i in range(ITEMS):
        d = i % DIMENSIONS
        nodes.append(
            Node(f"q{i:02d}", parent=f"D{d}", minimum=1, maximum=10 if d >= 6 else 5, direction=-1 if i % 7 == 0 else 1)
        )
    above = {"province": 10, "city": 100, "county": 1000, "station": 5000, "branch": 10_000}
    if units == FLAT:
        above = {"branch": FLAT}
    rows, levels = [], list(above)
    for level, parent in zip(levels, [None, *levels], strict=False):
        for k in range(above[level]):
            code = f"B{k}" if level == "branch" else f"{level}{k}"
            rows.append(Unit(code, parent=f"{parent}{k % above[parent]}" if parent else "ALL", level=level))
    return Codebook(Tree(tuple(nodes))), Units(tuple(rows))


def column_sums(path: Path) -> None:
    """The least any engine must do: sum every item column."""
    import duckdb

    sums = ", ".join(f"SUM(q{i:02d})" for i in range(ITEMS))
    duckdb.sql(f"SELECT {sums}, COUNT(DISTINCT unit) FROM read_parquet('{path}')").fetchall()


def scored(frame, units: int) -> dict[str, float]:
    """Read, sum and tabulate; return the seconds of each stage."""
    import dj_analysis as dj
    from dj_analysis.measure.survey_scores import scores_of_sums, unit_sums

    codebook, tree = specification(units)
    times = [time.perf_counter()]
    survey = dj.read_survey(frame, codebook, units=tree, period="2026Q3")
    times.append(time.perf_counter())
    sums = unit_sums(survey, None)
    times.append(time.perf_counter())
    scores = scores_of_sums(sums, survey)
    assert scores.at("ALL", "INDEX").n > 0
    times.append(time.perf_counter())
    return {name: end - begin for name, begin, end in zip(("read", "sums", "tables"), times, times[1:], strict=False)}


def of_file(units: int) -> Callable[[Path], dict[str, float]]:
    return lambda path: scored(path, units)


def of_partitions(path: Path) -> dict[str, float]:
    """Score a folder of forty files."""
    import polars as pl

    return scored(pl.scan_parquet(sorted(path.iterdir())), DEEP)


def in_memory(kind: str) -> Callable[[Path], Callable[[], dict[str, float]]]:
    """Load the file as a frame of some kind, then return what is timed."""

    def load(path: Path) -> Callable[[], dict[str, float]]:
        import polars as pl
        import pyarrow.parquet as pq

        if kind == "polars lazy":
            frame = pl.scan_parquet(path)
        elif kind == "polars eager":
            frame = pl.read_parquet(path)
        elif kind == "pyarrow":
            frame = pq.read_table(path)
        elif kind == "duckdb":
            import duckdb

            frame = duckdb.sql(f"SELECT * FROM read_parquet('{path}')")
        else:
            frame = pq.read_table(path).to_pandas()
            items = [f"q{i:02d}" for i in range(ITEMS)]
            if kind == "pandas nullable":
                frame = frame.astype(dict.fromkeys(items, "Int8"))
        return lambda: scored(frame, FLAT)

    return load


def by_hand(moments: bool) -> Callable[[Path], None]:
    """What a researcher writes in pandas: rescale sixty columns, row means, a group-by a level.

    With ``moments`` it does the work of the package: items and dimensions, third moments, shares of favourable answers.
    """

    def work(path: Path) -> None:
        import pandas as pd

        codebook, units = specification()
        frame = pd.read_parquet(path)
        scores, answers = {}, {}
        for dimension in codebook.dimensions:
            columns = []
            for leaf in codebook.tree.children(dimension.code):
                x = (frame[leaf.code] - leaf.minimum) / (leaf.maximum - leaf.minimum) * 100
                columns.append(x if leaf.direction == 1 else 100 - x)
                answers[leaf.code] = columns[-1]
            block = pd.concat(columns, axis=1)
            scores[dimension.code] = block.mean(axis=1).where(block.notna().mean(axis=1) >= 0.6)
        table = pd.DataFrame(scores)
        table["INDEX"] = table.mean(axis=1).where(table.notna().mean(axis=1) >= 0.75)
        if moments:
            table = pd.concat([table, pd.DataFrame(answers)], axis=1)
        above = {unit.unit: units.ancestors(unit.unit) for unit in units.at_level("branch")}
        for position in range(5):
            key = frame["unit"]
            if position:
                key = key.map({unit: codes[position - 1] for unit, codes in above.items()})
            grouped = table.groupby(key)
            grouped.agg(["count", "mean", "std"])
            if moments:
                (table**3).groupby(key).sum()
                (table > 50).groupby(key).mean()

    return work


def make_excel(path: Path, rows: int) -> None:
    """Write an export of a platform: wordings as headers, words as answers."""
    import numpy as np
    import xlsxwriter

    from dj_analysis.spec.codebook import default_codebook

    rng = np.random.default_rng(2)
    labels = ["非常不同意", "比较不同意", "一般", "比较同意", "非常同意"]
    leaves = default_codebook().tree.leaves
    with xlsxwriter.Workbook(str(path), {"constant_memory": True}) as book:
        sheet = book.add_worksheet()
        sheet.write_row(0, 0, ["序号", "提交答卷时间", "所用时间", *(leaf.text_zh for leaf in leaves)])
        for r in range(rows):
            answers = [
                labels[k] if leaf.scale else int(k * 2)
                for leaf, k in zip(leaves, rng.integers(0, 5, len(leaves)), strict=True)
            ]
            sheet.write_row(r + 1, 0, [r + 1, "2026/8/1 10:00:00", "120秒", *answers])


def excel_package(path: Path) -> None:
    import dj_analysis as dj
    from dj_analysis.spec.codebook import default_codebook

    dj.read_survey(path, default_codebook(), period="2026Q3")


def excel_openpyxl(path: Path) -> None:
    import pandas as pd

    pd.read_excel(path, engine="openpyxl")


KINDS = ("polars lazy", "polars eager", "pyarrow", "duckdb", "pandas numpy", "pandas nullable")
CONTENDERS: dict[str, Callable] = {
    "column sums": column_sums,
    "one level": of_file(FLAT),
    "five levels": of_file(DEEP),
    "forty files": of_partitions,
    "pandas, plain": by_hand(moments=False),
    "pandas, same work": by_hand(moments=True),
    "package, Excel": excel_package,
    "pandas, Excel": excel_openpyxl,
}
LOADED = {kind: in_memory(kind) for kind in KINDS}


def one(name: str, path: Path) -> None:
    """Measure one contender in this process; imports and what is in memory before are not what is measured."""
    import pandas  # noqa: F401
    import polars  # noqa: F401

    import dj_analysis as dj

    for lazy in ("read_survey", "score"):
        getattr(dj, lazy)
    import dj_analysis.measure.survey_scores  # noqa: F401

    work = LOADED[name](path) if name in LOADED else lambda: CONTENDERS[name](path)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    started = time.perf_counter()
    stages = work()
    seconds = time.perf_counter() - started
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps({"seconds": seconds, "mb": peak, "more": peak - before, **(stages or {})}))


def measured(name: str, path: Path) -> Measure:
    done = subprocess.run(
        [sys.executable, "-W", "ignore", __file__, "--one", name, str(path)], capture_output=True, text=True
    )
    if done.returncode:
        sys.exit(done.stderr)
    return json.loads(done.stdout.splitlines()[-1])


def rounds(contenders: list[tuple[str, Path]], count: int) -> dict[str, list[Measure]]:
    """Run contenders in turn, round after round."""
    told: dict[str, list[Measure]] = {name: [] for name, _ in contenders}
    for _ in range(count):
        for name, path in contenders:
            told[name].append(measured(name, path))
            print(f"{name}: {told[name][-1]['seconds']:.2f} s, {told[name][-1]['mb']:.0f} MB", flush=True)
    return told


def median(runs: list[Measure], what: str = "seconds") -> float:
    return statistics.median(run[what] for run in runs)


def span(runs: list[Measure]) -> str:
    """Return the least, median and largest time in words."""
    seconds = [run["seconds"] for run in runs]
    return f"{min(seconds):.2f} / {statistics.median(seconds):.2f} / {max(seconds):.2f} s"


def peak(runs: list[Measure]) -> str:
    return f"{max(run['mb'] for run in runs):.0f} MB"


def machine() -> str:
    names = ("polars", "duckdb", "numpy", "scipy", "pandas")
    return (
        f"{platform.system()} {platform.machine()}, {os.cpu_count()} processors; Python {platform.python_version()}, "
        + ", ".join(f"{name} {version(name)}" for name in names)
    )


def against_sums(place: Path, rows: int, count: int) -> tuple[list[str], list[str]]:
    """Return rows of the main table and of the stages: one and five levels against the sums of the columns."""
    lines, stages = [], []
    for name, units in (("one level", FLAT), ("five levels", DEEP)):
        path = place / f"{units}.parquet"
        make_answers(path, rows, units if units == FLAT else 10_000)
        told = rounds([("column sums", path), (name, path)], count)
        path.unlink()
        least, own = told["column sums"], told[name]
        ratio, goal = median(own) / median(least), "≤ 1.6" if units == FLAT else "≤ 2.5"
        lines += [
            f"| index, items, shares, intervals; {rows:,} × {ITEMS}, {name}, {units:,} units | time ÷ DuckDB's sum of the columns | **{ratio:.2f}** "
            f"({span(own)}, sums {span(least)}) | {goal} |",
            f"| same | peak memory of the process | {peak(own)} | ≤ 500 MB |",
        ]
        parts = " | ".join(f"{median(own, stage) / median(least):.2f}" for stage in ("read", "sums", "tables"))
        stages.append(f"| {name}, {units:,} units | {parts} |")
    return lines, stages


def against_hand(place: Path, count: int) -> list[str]:
    path = place / "hand.parquet"
    make_answers(path, BY_HAND)
    told = rounds([(name, path) for name in ("five levels", "pandas, same work", "pandas, plain")], count)
    own = median(told["five levels"])
    return [
        f"| same, {BY_HAND:,} rows, against pandas by hand | × faster, {what} | {median(told[name]) / own:.1f} | {goal} |"
        for name, what, goal in (
            ("pandas, same work", "items, shares, third moments", "≥ 15"),
            ("pandas, plain", "index and dimensions alone", "–"),
        )
    ]


def frames(place: Path, count: int) -> list[str]:
    path = place / "frames.parquet"
    make_answers(path, IN_MEMORY, FLAT)
    told = rounds([(kind, path) for kind in KINDS], count)
    lazy = median(told["polars lazy"])
    return [
        f"| {kind} | {median(told[kind]) / lazy:.2f} | {span(told[kind])} | {max(run['more'] for run in told[kind]):.0f} MB |"
        for kind in KINDS
    ]


def growth(place: Path, rows: int, count: int) -> list[str]:
    """Time by row of a tenth, the whole, and forty files with six times as many rows."""
    sizes = {rows // 10: "five levels", rows: "five levels", 6 * rows: "forty files"}
    lines, first = [], None
    for many, name in sizes.items():
        path = place / f"rows{many}.parquet"  # of forty files a folder
        if name == "forty files":
            path.mkdir()
            make_answers(path / "00.parquet", many // 40)
            for part in range(1, 40):
                os.link(path / "00.parquet", path / f"{part:02d}.parquet")
        else:
            make_answers(path, many)
        runs = rounds([(name, path)], count)[name]
        of_rows = statistics.median(run["read"] + run["sums"] for run in runs) / many * 1e9
        first = first or of_rows
        lines.append(
            f"| {many:,} | {name} | {span(runs)} | {of_rows:.0f} ns | {of_rows / first:.2f} | {median(runs, 'tables'):.2f} s | {peak(runs)} |"
        )
    return lines


def main(rows: int, count: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        scoring, stages = against_sums(place, rows, count)
        scoring += against_hand(place, count)
        excel = place / "2026Q3.xlsx"
        make_excel(excel, EXCEL)
        table = rounds([(name, excel) for name in ("package, Excel", "pandas, Excel")], min(count, 3))
        faster = median(table["pandas, Excel"]) / median(table["package, Excel"])
        scoring.append(
            f"| {EXCEL:,}-row Excel export read and checked | × faster than pandas openpyxl reading alone | {faster:.1f} | ≥ 3 |"
        )
        memory = frames(place, count)
        grown = growth(place, rows, min(count, 3))
    lines = [
        "# Measured speed",
        "",
        f"Written by `python benchmarks/run.py --rows {rows} --rounds {count}`. {machine()}. Interleaved rounds, each contender in a process of its own; "
        "least / median / largest time, ratios of medians. Read ratios, not seconds.",
        "",
        "| work | measure | result | goal |",
        "|---|---|---|---|",
        *scoring,
        "",
        "Stages, as shares of DuckDB's sums:",
        "",
        "| | read and check | sums by unit | tables |",
        "|---|---|---|---|",
        *stages,
        "",
        f"Frames ({IN_MEMORY:,} × {ITEMS}, {FLAT:,} units; loaded before the clock starts; goal: time ≤ 2 × lazy, memory above the frame ≤ 500 MB):",
        "",
        "| frame | time ÷ polars lazy | time | memory above the frame |",
        "|---|---|---|---|",
        *memory,
        "",
        "Growth (five levels; goal: time a row within 1.1 ×, peak under 2 GB):",
        "",
        "| rows | from | time | reading and sums, a row | ÷ first | tables | peak |",
        "|---|---|---|---|---|---|---|",
        *grown,
        "",
        ELSEWHERE,
        "",
    ]
    (HERE / "RESULTS.md").write_text("\n".join(lines), encoding="utf-8")
    print("\n".join(lines))


if __name__ == "__main__":
    if "--one" in sys.argv:
        one(sys.argv[2], Path(sys.argv[3]))
    else:
        parser = argparse.ArgumentParser()
        parser.add_argument("--rows", type=int, default=10_000_000)
        parser.add_argument("--rounds", type=int, default=3)
        given = parser.parse_args()
        main(given.rows, given.rounds)
