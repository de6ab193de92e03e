"""A small office's folder made by hand, and reports of it that need no kernel."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

import dj_analysis as dj
from dj_analysis.publish.parameters import without_web_addresses

with without_web_addresses():
    import nbformat
    import nbformat.v4 as v4

PERIOD = "2026Q3"
ITEMS = ("Q1", "Q2", "Q3", "Q4")
CODEBOOK = """code,parent,label_zh,role,direction,weight,minimum,maximum
INDEX,,指数,index,1,1,,
D1,INDEX,负荷,dimension,1,1,,
D2,INDEX,支持,dimension,1,1,,
Q1,D1,题一,item,1,1,1,5
Q2,D1,题二,item,1,1,1,5
Q3,D2,题三,item,1,1,1,5
Q4,D2,题四,item,1,1,1,5
age_band,,年龄段,group,,,,
"""
UNITS = """unit,parent,level,name_zh
C1,,city,东城公司
C2,,city,西城公司
B11,C1,branch,一支部
B12,C1,branch,二支部
B21,C2,branch,三支部
B22,C2,branch,四支部
"""
CONSENT = '[consent]\nbasis = "notice"\ndate = "2026-07-01"\ntext = "问卷首页告知书"\n'
SIZES = {"B11": 30, "B12": 26, "B21": 40, "B22": 34}


def people(sizes: Mapping[str, int] = SIZES, seed: int = 1, first: int = 1) -> pd.DataFrame:
    """Answer sheets of so many people by unit, numbered, in an order of their own."""
    rng = np.random.default_rng(seed)
    unit = np.repeat(list(sizes), list(sizes.values()))
    rng.shuffle(unit)
    table = pd.DataFrame({"序号": np.arange(first, first + len(unit)), "unit": unit})
    for item in ITEMS:
        table[item] = rng.integers(1, 6, len(unit))
    return table.assign(age_band=rng.choice(["35岁及以下", "36岁及以上"], len(unit)))


def office(
    folder: Path, *waves: pd.DataFrame, settings: str = "", consent: str = CONSENT, periods: tuple[str, ...] = (PERIOD,)
) -> Path:
    """Write a workspace with a wave for each table of answers."""
    (folder / "responses").mkdir(parents=True)
    (folder / "workspace.toml").write_text(f'name = "试验公司"\nlanguage = "zh"\n{settings}\n{consent}', "utf-8")
    (folder / "codebook.csv").write_text(CODEBOOK, "utf-8")
    (folder / "units.csv").write_text(UNITS, "utf-8")
    for period, answers in zip(periods, waves, strict=True):
        write_wave(folder, answers, period)
    return folder


def write_wave(folder: Path, answers: pd.DataFrame, period: str = PERIOD) -> Path:
    """Write the answers of a wave over those there were."""
    path = folder / "responses" / f"{period}.csv"
    answers.to_csv(path, index=False, encoding="utf-8-sig")
    return path


def executed(ws: dj.Workspace, period: str = PERIOD, unit: str = "ALL", blocks: tuple[Any, ...] = ()) -> Any:
    """A notebook as it is after a run: its parameters, a title, the table of scores, and more blocks."""
    scores = ws.scores(period)
    safe = dj.protect(scores, ws.release_plan(period))
    said = "指数{{ safe.row('ALL', 'INDEX').score | num }}分，{{ safe.row('ALL', 'INDEX').n | count }}人"
    shown = [dj.table(safe.where(code="INDEX", form="anchors"), caption="分单位"), dj.text(said, safe), *blocks]
    outputs = [v4.new_output("display_data", block._repr_mimebundle_()) for block in shown]
    given = {"workspace": str(ws.folder), "period": period, "unit": unit, "lang": ws.spec.language}
    source = "\n".join(f"{name} = {value!r}" for name, value in given.items())
    parameters = v4.new_code_cell(source, metadata={"tags": ["injected-parameters"]})
    return v4.new_notebook(
        cells=[parameters, v4.new_markdown_cell("# 季度报告"), v4.new_code_cell("1", outputs=outputs)]
    )


def without_a_kernel(monkeypatch: Any) -> None:
    """Let reports run in this process: what a kernel would have returned is made here."""

    def run(source: Path, values: Mapping[str, Any], folder: Path, _: Any) -> nbformat.NotebookNode:
        ws = dj.open_workspace(values["workspace"], values["lang"])
        return executed(ws, values["period"], values["unit"])

    monkeypatch.setattr("dj_analysis.publish.notebooks._execute", run)


def score(ws: dj.Workspace, unit: str = "ALL", code: str = "INDEX", period: str = PERIOD) -> Any:
    """The row of a unit in the scores of a wave."""
    return ws.scores(period).at(unit, code)


def shown(ws: dj.Workspace, period: str = PERIOD) -> pd.DataFrame:
    """What may be published of a wave: rows with a score, by level, unit and code."""
    table = dj.protect(ws.scores(period), ws.release_plan(period)).table
    return table[table["score"].notna()].set_index(["level", "unit", "code"])[["n", "score", "low", "high"]]
