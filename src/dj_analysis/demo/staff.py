"""Employees of the synthetic enterprise."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
import polars as pl

from ..spec.units import ALL, Units
from . import names
from .layout import Layout

RATES, LOW_RATE = (0.55, 0.85), 0.40  # of answering: drawn once for each branch, and where most are silent
PLAIN_RATE = 0.70  # where nothing is planted


@dataclass(frozen=True)
class Staff:
    """All employees, in cells of one position within one branch; their characteristics do not change over time."""

    branch: np.ndarray  # cells: position of the branch in the layout
    size: np.ndarray  # cells
    rate: np.ndarray  # cells: probability of answering
    cell: np.ndarray  # persons
    persons: pl.DataFrame  # line and groups, one row a person

    @property
    def expected(self) -> np.ndarray:
        """Expected respondents by cell."""
        return self.size * self.rate


def draw_staff(layout: Layout, rate: float | None, rng: np.random.Generator) -> Staff:
    """Assign employees to cells, two per branch (management, front line).

    Parameters
    ----------
    rate
        Rate of answering of everybody; None draws one for each branch, and one branch has a low one.
    """
    managers = rng.binomial(layout.sizes, np.where(layout.in_city, names.GROUPS["position"][0][2], 0.4))
    size = np.column_stack([managers, layout.sizes - managers]).ravel()
    cell, branch = np.repeat(np.arange(len(size)), size), np.arange(len(size)) // 2
    rates = _rates(layout, rng) if rate is None else np.full(len(layout.sizes), rate)
    return Staff(branch, size, rates[branch], cell, _persons(layout, cell, rng))


def cell_labels(layout: Layout, staff: Staff, units: Units, period: str) -> list[str]:
    """Return each cell's unit code in a wave: its branch, or the successor of that branch."""
    now = units.at(period)
    codes = [code if code in now else units.successors[code] for code in layout.codes]
    return [codes[branch] for branch in staff.branch]


def headcounts(layout: Layout, staff: Staff, units: Units) -> pd.DataFrame:
    """Count people by unit and by category, for every wave: unit, period, group, category, headcount."""
    groups = {code: staff.persons[code].value_counts(name="n").rows() for code in ("line", *names.GROUPS)}
    counts = {
        (column, category): float(n) for column, category_counts in groups.items() for category, n in category_counts
    }
    rows: list[tuple[str, str, str, str, float]] = []
    for period in layout.periods:
        now, totals = units.at(period), {code: counts.get(("line", code), 0.0) for code, *_ in names.LINES}
        for label, size in zip(cell_labels(layout, staff, units, period), staff.size, strict=True):
            for code in (label, *now.ancestors(label)):
                totals[code] = totals.get(code, 0.0) + float(size)
        rows += [(unit.unit, period, "", "", totals[unit.unit]) for unit in now.rows]
        for column, categories in names.GROUPS.items():
            rows += [(ALL, period, column, zh, counts.get((column, zh), 0.0)) for zh, *_ in categories]
    columns = ["unit", "period", "group", "category", "headcount"]
    return pd.DataFrame(rows, columns=columns).astype(dict.fromkeys(columns[:4], "str"))


def _rates(layout: Layout, rng: np.random.Generator) -> np.ndarray:
    rates = rng.uniform(*RATES, len(layout.sizes))
    rates[layout.silent] = LOW_RATE
    return rates


def _persons(layout: Layout, cell: np.ndarray, rng: np.random.Generator) -> pl.DataFrame:
    """Draw each employee's business line, age band, job type and employment; the position is the cell's."""
    usual = np.array([line for *_, line in names.FUNCTIONS])[layout.numbers % len(names.FUNCTIONS)]
    usual = np.where(layout.in_city, usual, names.GENERAL)[cell // 2]
    line = np.where(rng.random(len(cell)) < 0.85, usual, rng.integers(0, len(names.LINES), len(cell)))
    columns = {"line": pl.Series([code for code, *_ in names.LINES]).gather(line)}
    for code, categories in names.GROUPS.items():
        drawn = rng.choice(len(categories), len(cell), p=[share for *_, share in categories])
        columns[code] = pl.Series([zh for zh, *_ in categories]).gather(cell % 2 if code == "position" else drawn)
    return pl.DataFrame(columns)
