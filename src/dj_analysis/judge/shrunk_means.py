"""How sure it is that a unit's true mean lies below a point: its shrunken mean and the distribution of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from ..measure.inference import uncertainty
from ..measure.inference.shrinkage import LEAST_UNITS, left_out, shrink
from ..measure.scores import Scores
from ..result import keys_of

Keys = Sequence[tuple[str, str]]

SHARE_CONFIDENCE = 0.975  # with which a true share lies above the lower end of its 95 % interval


@dataclass(frozen=True)
class ShrunkMeans:
    """Shrunken means of units, arrays units × codes.

    Attributes
    ----------
    codes
        Codes of the columns.
    mean, se, df, skewness
        Of the shrunken means; NaN where a unit has no error or too few people.
    """

    codes: tuple[str, ...]
    mean: np.ndarray
    se: np.ndarray
    df: np.ndarray
    skewness: np.ndarray

    def chance(self, point: float, side: str) -> np.ndarray:
        """Probability that the true mean lies on that side of a point, units × codes; NaN where it is not known."""
        return uncertainty.probability(self.mean, self.se, self.df, point, side, self.skewness)


def shrunk_means(scores: Scores, codes: Sequence[str], keys: Keys) -> ShrunkMeans:
    """Shrink the anchors scores of these units, level by level and code by code, towards the mean of their level.

    The units that a release hides and those below min_group take no part. A level with fewer than four units cannot be
    learned from: its units keep their own means, with their skewness. Shrunken ones have the pooled variance of persons, and
    a unit that scatters more its own; their error is taken to be symmetric, for what pulls low means up is as skewed.

    Parameters
    ----------
    scores
        Scores of one wave.
    codes
        Index and dimensions.
    keys
        (level, unit) of the rows wanted.
    """
    table = scores.table[(scores.table["form"] == "anchors") & scores.table["code"].isin(list(codes))]
    table = table.reset_index(drop=True)
    judged = (~left_out(table, scores, ()) & table["se"].notna()).to_numpy()
    shrunk = table[["score", "se", "df", "skewness"]].to_numpy(float, copy=True)
    shrunk[~judged] = np.nan
    for group in table.groupby(["level", "code"], sort=False).indices.values():
        rows = group[judged[group]]
        if len(rows) < LEAST_UNITS:
            continue
        one = shrink(shrunk[rows, 0], shrunk[rows, 1], shrunk[rows, 2] + 1, variance="pooled")
        shrunk[rows] = np.column_stack((one.estimate, one.se, one.df, np.zeros(len(rows))))
    names = ("mean", "se", "df", "skewness")
    return ShrunkMeans(tuple(codes), **laid_out(table, keys, codes, dict(zip(names, shrunk.T, strict=True))))


def laid_out(
    table: pd.DataFrame, keys: Keys, codes: Sequence[str], columns: Mapping[str, np.ndarray | pd.Series]
) -> dict[str, np.ndarray]:
    """Lay columns of a score table out as arrays units × codes, NaN where a unit has no row of a code.

    Parameters
    ----------
    table
        Rows with level, unit and code.
    keys, codes
        (level, unit) of the rows of the arrays, codes of their columns.
    columns
        Name → values, one a row of the table.
    """
    row_of = {key: i for i, key in enumerate(keys)}
    column_of = {code: j for j, code in enumerate(codes)}
    rows = np.array([row_of.get(key, -1) for key in keys_of(table, "level", "unit")], dtype=int)
    columns_of_rows = np.array([column_of.get(code, -1) for code in table["code"].to_numpy(object)], dtype=int)
    wanted = (rows >= 0) & (columns_of_rows >= 0)
    arrays = {}
    for name, values in columns.items():
        arrays[name] = np.full((len(keys), len(codes)), np.nan)
        arrays[name][rows[wanted], columns_of_rows[wanted]] = np.asarray(values, dtype=float)[wanted]
    return arrays


def low_shares(scores: Scores, keys: Keys) -> pd.DataFrame:
    """Return the shares of respondents with a low index, with n and bounds, one row a key; missing where unknown."""
    shares = scores.shares.table
    shares = shares[(shares["statistic"] == "below") & (shares["form"] == "anchors")].set_index(["level", "unit"])
    return shares.reindex(keys)
