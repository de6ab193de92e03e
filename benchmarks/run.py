"""Measure speed as ratios inside one interleaved run, and write benchmarks/RESULTS.md.

Usage: python benchmarks/run.py [rows]        (default 1,000,000; the goal is stated for 10,000,000)

Each contender runs in a process of its own, in turn, three rounds; the best time of each counts and the peak memory of
that process. Absolute seconds wander with the machine: read the ratios.
"""

import json
import platform
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROUNDS = 3
HERE = Path(__file__).parent
ITEMS, DIMENSIONS = 60, 8
ELSEWHERE = "Clusters and ranks of branches: BRANCHES.md. The number of units: UNITS.md. Other methods: METHODS.md. Disclosure control: DISCLOSURE.md. Power of clusters: POWER.md."


def make_answers(path: Path, rows: int) -> None:
    """Synthetic answers: 60 items in 8 dimensions, 5 % missing, 5 levels of units, zstd Parquet."""
    import numpy as np
    import pyarrow as pa
    import pyarrow.parquet as pq

    rng = np.random.default_rng(1)
    writer = None
    for start in range(0, rows, 250_000):
        n = min(250_000, rows - start)
        columns = {}
        for i in range(ITEMS):
            low, high = (1, 10) if i % DIMENSIONS >= 6 else (1, 5)
            columns[f"q{i:02d}"] = pa.array(rng.integers(low, high + 1, n).astype("int8"), mask=rng.random(n) < 0.05)
        columns["unit"] = pa.array(np.char.add("B", rng.integers(0, 10_000, n).astype(str)))
        table = pa.table(columns)
        writer = writer or pq.ParquetWriter(path, table.schema, compression="zstd")
        writer.write_table(table, row_group_size=250_000)
    writer.close()


def specification():
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
    levels = ["province", "city", "county", "station", "branch"]
    rows, above = [], {"province": 10, "city": 100, "county": 1000, "station": 5000, "branch": 10_000}
    for level, parent in zip(levels, [None, *levels], strict=False):
        for k in range(above[level]):
            code = f"B{k}" if level == "branch" else f"{level}{k}"
            rows.append(Unit(code, parent=f"{parent}{k % above[parent]}" if parent else "ALL", level=level))
    return Codebook(Tree(tuple(nodes))), Units(tuple(rows))


def floor(path: Path) -> None:
    """The least any engine must do: sum every item column."""
    import duckdb

    sums = ", ".join(f"SUM(q{i:02d})" for i in range(ITEMS))
    duckdb.sql(f"SELECT {sums}, COUNT(DISTINCT unit) FROM read_parquet('{path}')").fetchall()


def package(path: Path) -> None:
    """Index, dimensions and items with errors for five levels."""
    import dj_analysis as dj

    codebook, units = specification()
    scores = dj.score(dj.read_survey(path, codebook, units=units, period="2026Q3"))
    assert scores.at("ALL", "INDEX").n > 0


def pandas_by_hand(path: Path) -> None:
    """What a researcher writes: rescale sixty columns, row means, a group-by a level."""
    import pandas as pd

    codebook, units = specification()
    frame = pd.read_parquet(path)
    dims = {}
    for dimension in codebook.dimensions:
        columns = []
        for leaf in codebook.tree.children(dimension.code):
            x = (frame[leaf.code] - leaf.minimum) / (leaf.maximum - leaf.minimum) * 100
            columns.append(x if leaf.direction == 1 else 100 - x)
        block = pd.concat(columns, axis=1)
        dims[dimension.code] = block.mean(axis=1).where(block.notna().mean(axis=1) >= 0.6)
    scored = pd.DataFrame(dims)
    scored["INDEX"] = scored.mean(axis=1).where(scored.notna().mean(axis=1) >= 0.75)
    above = {unit.unit: units.ancestors(unit.unit) for unit in units.at_level("branch")}
    scored.groupby(frame["unit"]).agg(["count", "mean", "std"])
    for position in range(4):
        key = frame["unit"].map({unit: codes[position] for unit, codes in above.items()})
        scored.groupby(key).agg(["count", "mean", "std"])


def make_excel(path: Path, rows: int) -> None:
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


CONTENDERS = {f.__name__: f for f in (floor, package, pandas_by_hand, excel_package, excel_openpyxl)}


def measured(name: str, path: Path) -> dict[str, float]:
    done = subprocess.run([sys.executable, __file__, "--one", name, str(path)], capture_output=True, text=True)
    if done.returncode:
        sys.exit(done.stderr)
    return json.loads(done.stdout.splitlines()[-1])


def one(name: str, path: Path) -> None:
    import pandas  # noqa: F401
    import polars  # noqa: F401

    import dj_analysis as dj  # noqa: F401  imports are not what is measured

    started = time.perf_counter()
    CONTENDERS[name](path)
    seconds = time.perf_counter() - started
    print(json.dumps({"seconds": seconds, "mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024}))


def best(names: list[str], path: Path) -> dict[str, dict[str, float]]:
    rounds = [{name: measured(name, path) for name in names} for _ in range(ROUNDS)]
    return {name: min((r[name] for r in rounds), key=lambda m: m["seconds"]) for name in names}


def main(rows: int) -> None:
    with tempfile.TemporaryDirectory() as place:
        answers, excel = Path(place) / "2026Q3.parquet", Path(place) / "2026Q3.xlsx"
        make_answers(answers, rows)
        make_excel(excel, 20_000)
        index = best(["floor", "package", *(["pandas_by_hand"] if rows <= 2_000_000 else [])], answers)
        table = best(["excel_package", "excel_openpyxl"], excel)
    lines = [
        "# Measured speed",
        "",
        f"Python {platform.python_version()}, {platform.system()}; {rows:,} × {ITEMS} answers; best of {ROUNDS} interleaved rounds. Read ratios, not seconds.",
        "",
        "| work | measure | result | goal |",
        "|---|---|---|---|",
        f"| index + unit table, 5 levels, items included | time ÷ DuckDB's sum of the columns | {index['package']['seconds'] / index['floor']['seconds']:.1f} | ≤ 2.5 at 10M rows |",
        f"| same | peak MB of the process | {index['package']['mb']:.0f} | ≤ 800 at 10M rows |",
    ]
    if "pandas_by_hand" in index:
        lines.append(
            f"| same, against pandas by hand | × faster | {index['pandas_by_hand']['seconds'] / index['package']['seconds']:.1f} | 15 |"
        )
    lines.append(
        f"| 20k-row Excel export read and checked | × faster than pandas openpyxl reading alone | {table['excel_openpyxl']['seconds'] / table['excel_package']['seconds']:.1f} | 3 |"
    )
    seconds = ", ".join(f"{name} {m['seconds']:.2f} s / {m['mb']:.0f} MB" for name, m in (index | table).items())
    (HERE / "RESULTS.md").write_text("\n".join(lines) + f"\n\nRaw: {seconds}.\n\n{ELSEWHERE}\n", encoding="utf-8")
    print("\n".join(lines))


if __name__ == "__main__":
    if "--one" in sys.argv:
        one(sys.argv[2], Path(sys.argv[3]))
    else:
        main(int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000)
