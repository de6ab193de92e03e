"""The example in the docstring of every public function runs, and gives what it says."""

from __future__ import annotations

import doctest
import inspect
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from offices import CODEBOOK, CONSENT, people, without_a_kernel

import dj_analysis as dj
from dj_analysis import methods

pytestmark = pytest.mark.filterwarnings("ignore::dj_analysis.errors.DjWarning")

UNITS = """unit,parent,level,name_zh,name_en
B1,,branch,一支部,Branch 1
B2,,branch,二支部,Branch 2
B3,,branch,三支部,Branch 3
"""
WAVES = {"2026Q2": 4, "2026Q3": 5}
MONTHS = [f"{year}-{month:02d}" for year in (2024, 2025) for month in range(1, 13)]
NAMES = [name for name in dj.__all__ if callable(getattr(dj, name))]


@pytest.fixture(scope="module")
def company(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Names that examples may use: a workspace of three branches, one of them small, with two waves."""
    folder: Path = tmp_path_factory.mktemp("examples") / "office"
    (folder / "responses").mkdir(parents=True)
    (folder / "workspace.toml").write_text(f'name = "三支部公司"\n{CONSENT}', "utf-8")
    (folder / "codebook.csv").write_text(f"{CODEBOOK}O,,总体,outcome,1,1,,\nO4,O,推荐,item,1,1,0,10\n", "utf-8")
    (folder / "units.csv").write_text(UNITS, "utf-8")
    for period, seed in WAVES.items():
        sheets = people({"B1": 40, "B2": 30, "B3": 7}, seed=seed)
        sheets = sheets.assign(O4=np.arange(len(sheets)) % 11)
        sheets.to_csv(folder / "responses" / f"{period}.csv", index=False, encoding="utf-8-sig")
    ws = dj.open_workspace(folder)
    scores = ws.scores("2026Q3")
    rates = pd.DataFrame({"period": MONTHS, "value": [60 + i % 3 + 9 * (i >= 14) for i in range(24)]})
    drawn = np.random.default_rng(1).normal(60, 3, (30, 6)) + 5 * (np.arange(30) < 12)[:, None] * (np.arange(6) >= 4)
    panel = (
        pd.DataFrame(drawn).melt(ignore_index=False, var_name="period", value_name="value").reset_index(names="unit")
    )
    panel = panel.assign(period=[f"2025-{month + 1:02d}" for month in panel["period"]])
    return {
        "effect": dj.evaluate(rates, "its", start="2025-03"),
        "did": dj.evaluate(panel.assign(start=np.where(panel["unit"] < 12, "2025-05", "")), "did"),
        "dj": dj, "np": np, "pd": pd, "ws": ws, "folder": folder, "survey": ws.survey("2026Q3"), "scores": scores,
        "before": ws.scores("2026Q2"), "plan": ws.release_plan("2026Q3"),
        "safe": dj.protect(scores, ws.release_plan("2026Q3")), "methods": methods,
    }  # fmt: skip


@pytest.fixture(autouse=True)
def in_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    yield
    plt.close("all")


def _examples(name: str) -> list[doctest.DocTest]:
    return doctest.DocTestFinder(exclude_empty=True).find(getattr(dj, name), name)


@pytest.mark.parametrize("name", NAMES)
def test_the_example_of_a_public_function_runs(name: str, company: dict[str, Any], monkeypatch: pytest.MonkeyPatch):
    without_a_kernel(monkeypatch)
    public = getattr(dj, name)
    assert ">>>" in (inspect.getdoc(public) or ""), f"{name} has no example"
    runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE)
    said: list[str] = []
    for example in _examples(name):
        example.globs = vars(inspect.getmodule(public)) | company
        runner.run(example, out=said.append)
    assert runner.summarize(verbose=False).failed == 0, "".join(said)
