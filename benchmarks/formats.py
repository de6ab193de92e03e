"""Time the writing of a company report of some sixty pages in each format; write benchmarks/FORMATS.md.

Usage: python benchmarks/formats.py [--rounds 3]

The report is one of known size: sixty sections, each with three paragraphs, a table of a dozen units and every other one with a figure
of the package; executing the notebook is not timed. Processor's time, formats in turn within each round.
"""

import argparse
import io
import platform
import statistics
import time
from datetime import date
from pathlib import Path

import matplotlib as mpl
import numpy as np
import pypdfium2

import dj_analysis as dj
from dj_analysis.publish.blocks import Block
from dj_analysis.publish.exports.document import Appearance, Document, numbered
from dj_analysis.publish.exports.formats import FORMATS, written_in

mpl.use("agg")
SECTIONS, UNITS = 60, 12
META = {
    "title": "关于三季度情况的报告", "period": "2026年三季度", "unit": "ALL", "language": "zh", "office": "党委党建部",
    "purpose": "用于改进管理和帮扶。", "limits": "须看估计范围。", "footer": "程序 dj_analysis", "draft": "",
}  # fmt: skip


def section(number: int, rng: np.random.Generator) -> list[Block]:
    import matplotlib.pyplot as plt

    scores = rng.normal(65, 6, UNITS).round(1)
    rows = [[f"第{number}公司第{unit}支部", f"{score:.1f}"] for unit, score in enumerate(scores, start=1)]
    columns = [
        {"name": "unit", "label": "单位", "kind": "text", "width": 20.0},
        {"name": "score", "label": "得分", "kind": "number", "width": 8.0},
    ]
    values = [[row[0], float(row[1])] for row in rows]
    table = {"caption": f"第{number}公司各支部得分", "columns": columns, "rows": rows, "values": values, "note": ""}
    blocks = [
        dj.heading(f"第{number}公司"),
        *(dj.text("本公司各支部情况平稳。" * 12) for _ in range(3)),
        Block("table", table),
    ]
    if number % 2:
        axes = plt.figure(figsize=(6.3, 3.2)).add_subplot()
        axes.barh(range(UNITS), scores)
        blocks.append(dj.own_figure(axes, f"第{number}公司各支部得分", about="units"))
    return blocks


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    rounds = parser.parse_args().rounds
    rng = np.random.default_rng(1)
    blocks = [dj.heading("关于三季度情况的报告", depth=0)]
    for number in range(1, SECTIONS + 1):
        blocks += section(number, rng)
    document = Document(tuple(numbered(blocks, "zh")), META)
    seconds: dict[str, list[float]] = {kind: [] for kind in FORMATS}
    for _ in range(rounds):
        for kind in FORMATS:
            started = time.process_time()
            made = written_in(document, [kind], Appearance())[kind]
            seconds[kind].append(time.process_time() - started)
            pages = len(pypdfium2.PdfDocument(io.BytesIO(made))) if kind == "pdf" else None
            if pages is not None:
                length = pages
    middle = {kind: statistics.median(taken) for kind, taken in seconds.items()}
    lines = [
        "# Seconds to write a report in each format", "",
        f"Python {platform.python_version()}, {platform.system()}, {date.today()}; {rounds} rounds in turn, processor's time; after execution.",
        f"{SECTIONS} sections, {SECTIONS} tables, {SECTIONS // 2} figures: {length} pages in PDF.", "",
        "| format | seconds, median (least–largest) |", "|---|---|",
        *(f"| {kind} | {middle[kind]:.2f} ({min(taken):.2f}–{max(taken):.2f}) |" for kind, taken in seconds.items()),
        f"| all | {sum(middle.values()):.2f}; goal: under 20 |",
    ]  # fmt: skip
    text = "\n".join(lines) + "\n"
    (Path(__file__).parent / "FORMATS.md").write_text(text, encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
