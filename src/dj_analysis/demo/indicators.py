"""Branch indicators of the synthetic enterprise."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd

from ..spec.periods import parse
from ..spec.tree import Indicator, Tree
from ..spec.units import Units
from . import names

STREAM = 3  # of random numbers; answers take the first, exports the second
LASTING = 0.8  # spread of what stays with a branch, in spreads of a month
BLANK, NOT_HANDED_IN = 0.01, 0.01


def indicator_tree() -> Tree:
    """Return the benchmark of branches: its parts with four indicators each."""
    root, zh, en = names.BENCHMARK
    nodes = [Indicator(root, "", zh, en, role="index")]
    for part, zh, en in names.BENCHMARK_PARTS:
        nodes.append(Indicator(part, root, zh, en, role="dimension"))
        for code, parent, zh, en, direction, low, high, *_ in names.INDICATORS:
            if parent == part:
                leaf = Indicator(code, part, zh, en, direction=direction, minimum=float(low), maximum=float(high))
                nodes.append(replace(leaf, about="units", rollup="mean"))
    return Tree(tuple(nodes), about="units")


def draw_values(units: Units, last: str, seed: int, lasting: bool) -> pd.DataFrame:
    """Draw twelve months of values up to the last wave; a few are blank, a few were never submitted.

    Parameters
    ----------
    lasting
        Whether branches differ for good; else they differ by chance only, afresh every month.

    Returns
    -------
    pandas.DataFrame
        unit, period, code, value, stage: the text cells of the file.
    """
    rng = np.random.default_rng([seed, STREAM])
    codes = np.array([row[0] for row in names.INDICATORS])
    branches, month = units.at_level("branch"), parse(f"{parse(last).end:%Y-%m}")
    months = [month.shift(step) for step in range(-11, 1)]
    values = _values((len(branches), len(months), len(codes)), LASTING if lasting else 0.0, rng)
    fate = rng.random(values.shape)
    there = np.array([[unit.valid_on(month.end) for month in months] for unit in branches])
    b, m, i = np.nonzero(there[:, :, None] & ((fate < BLANK) | (fate >= BLANK + NOT_HANDED_IN)))
    decimals = np.array([row[9] for row in names.INDICATORS])
    written = [f"{value:.{places}f}" for value, places in zip(values[b, m, i], decimals[i], strict=True)]
    columns = {
        "unit": np.array([unit.unit for unit in branches])[b],
        "period": np.array([month.text for month in months])[m],
        "code": codes[i],
        "value": np.where(fate[b, m, i] < BLANK, "", written),
        "stage": "released",
    }
    return pd.DataFrame(columns)


def _values(shape: tuple[int, int, int], lasting: float, rng: np.random.Generator) -> np.ndarray:
    """Draw values (branches × months × indicators): lasting branch effect plus monthly noise, within bounds."""
    low, high, usual, spread = np.array([row[5:9] for row in names.INDICATORS], dtype=float).T
    branch = rng.standard_normal((shape[0], 1, shape[2])) * lasting
    return np.clip(usual + spread * (branch + rng.standard_normal(shape)), low, high)
