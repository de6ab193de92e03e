"""Measure scoring on Spark against Spark's own sums of the same columns, and write benchmarks/SPARK.md.

Usage: python benchmarks/spark.py [rows]        (default 2,000,000; needs the extra ``spark`` and Java 17)

One session in local mode on two threads, settings as Spark has them. After a first round, which is told apart (Java compiles what it
runs), both take turns in three rounds; the median of the rounds' ratios counts. Read ratios, not seconds.
"""

import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from datetime import date
from pathlib import Path

from run import ITEMS, make_answers, specification

ROUNDS = 3
HERE = Path(__file__).parent


def sums_of_columns(frame) -> None:
    from pyspark.sql import functions as f

    assert len(frame.agg(*(f.sum(f"q{i:02d}") for i in range(ITEMS))).collect()) == 1


def read(frame):
    import dj_analysis as dj

    codebook, units = specification()
    return dj.read_survey(frame, codebook, units=units, period="2026Q3")


def timed(work, *given) -> float:
    started = time.perf_counter()
    work(*given)
    return time.perf_counter() - started


def main(rows: int) -> None:
    import pandas as pd
    import pyspark
    from pyspark.sql import SparkSession

    import dj_analysis as dj

    os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
    with tempfile.TemporaryDirectory() as place:
        path = Path(place) / "2026Q3.parquet"
        make_answers(path, rows)
        builder = SparkSession.builder.master("local[2]").config("spark.ui.enabled", "false")
        spark = (
            builder.config("spark.driver.host", "127.0.0.1")
            .config("spark.driver.bindAddress", "127.0.0.1")
            .getOrCreate()
        )
        frame = spark.read.parquet(str(path))
        partitions = frame.rdd.getNumPartitions()
        survey = read(frame)
        work = {"read": lambda: read(frame), "sums": lambda: sums_of_columns(frame), "score": lambda: dj.score(survey)}
        first, *rounds = [{name: timed(one) for name, one in work.items()} for _ in range(ROUNDS + 1)]
        embedded = dj.score(read(path))
        pd.testing.assert_frame_equal(dj.score(survey).table, embedded.table, check_exact=True)
        alone = [timed(lambda: dj.score(read(path))) for _ in range(ROUNDS)]
        spark.stop()
    java = subprocess.run(["java", "-version"], capture_output=True, text=True).stderr.splitlines()[0]
    units = len(set(embedded.table["unit"]))
    lines = [
        "# Speed on Spark",
        "",
        f"{date.today()}, Python {platform.python_version()}, PySpark {pyspark.__version__}, {java}, {platform.system()}, {os.cpu_count()} processors;"
        f" local[2], {rows:,} × {ITEMS} answers in one Parquet file of {partitions} partitions, {units:,} units on five levels; {ROUNDS} interleaved"
        " rounds after a first. The table of scores equals that of the embedded engine to the last bit. Read ratios, not seconds.",
        "",
        "| work | × Spark's own sums of the columns: median (least – most) | first round | goal |",
        "|---|---|---|---|",
    ]
    for name, label, goal in (
        ("score", "`dj.score`: index, dimensions, questions with intervals, all levels", "≤ 4, aim 2"),
        ("read", "`dj.read_survey`: checks of units, one scan", ""),
    ):
        ratios = sorted(one[name] / one["sums"] for one in rounds)
        lines.append(
            f"| {label} | {statistics.median(ratios):.1f} ({ratios[0]:.1f} – {ratios[-1]:.1f}) | {first[name] / first['sums']:.1f} | {goal} |"
        )
    floor = statistics.median(one["sums"] for one in rounds)
    lines.append(f"| the same file read and scored without Spark | {statistics.median(alone) / floor:.1f} | | |")
    seconds = "; ".join(
        f"{name} {first[name]:.2f}, then {', '.join(f'{one[name]:.2f}' for one in rounds)} s" for name in work
    )
    lines += ["", f"Raw: {seconds}; without Spark {', '.join(f'{one:.2f}' for one in alone)} s."]
    (HERE / "SPARK.md").write_text("\n".join(lines) + "\n", encoding="utf-8")
    print("\n".join(lines))


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 2_000_000)
