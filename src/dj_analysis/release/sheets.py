"""Which answer sheets a wave holds, as keyed hashes: whether one came, went or was changed."""

from __future__ import annotations

import hmac
from collections import Counter
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from ..measure.engines import as_pandas, columns_of, names_of
from ..measure.intake.linking import PSEUDONYM
from ..measure.places import places
from ..measure.survey import Survey

HASH, CORE, LEFT_OUT = "hash", "core", "left_out"


def row_table(survey: Survey, secret: bytes) -> pd.DataFrame:
    """Return keyed hashes of every answer sheet with its place on every axis.

    ``hash`` is of the whole sheet, ``core`` of what numbers rest on (answers, weight and places), ``left_out`` names the questions
    without an answer. Confidential: it tells which sheets there are and where; who holds the key as well can try out what one
    might say. Columns of numbers are hashed as floats, so that the hash of a row does not depend on the other rows of its file.

    Parameters
    ----------
    secret
        The workspace's own key.
    """
    frame, leaves = as_pandas(survey.frame), _leaves(survey)
    plain = {}
    for name in sorted(set(frame.columns) - {PSEUDONYM}):  # a pseudonym is there only when its key is at hand
        column = frame[name]
        numeric = pd.api.types.is_numeric_dtype(column)
        plain[name] = column.astype("float64") if numeric else column.astype("str").fillna("")
    counted_columns = [
        *leaves,
        *([survey.weight] if survey.weight else []),
        *([survey.team] if survey.team else []),
        *dict.fromkeys(survey.axes.values()),
    ]
    table = places(survey)
    sheets = pd.DataFrame(plain)
    table.insert(0, HASH, _keyed(sheets, secret))
    table.insert(1, CORE, _keyed(sheets[list(dict.fromkeys(counted_columns))], secret))
    missing = frame[leaves].isna().to_numpy()
    patterns = [row.tobytes() for row in np.packbits(missing, axis=1)]
    one_of = dict(zip(patterns, missing, strict=True))
    names = {key: " ".join(np.array(leaves, dtype=object)[row]) for key, row in one_of.items()}
    table.insert(2, LEFT_OUT, np.array([names[key] for key in patterns], dtype=object) if len(frame) else "")
    return table


def axes_in(rows: pd.DataFrame) -> list[str]:
    """Return the axes a row table holds places on."""
    return [name for name in rows.columns if name not in (HASH, CORE, LEFT_OUT) and "@" not in name]


def _leaves(survey: Survey) -> list[str]:
    asked = {leaf.code for tree in survey.counted_trees().values() for leaf in tree.leaves}
    return sorted(asked & set(names_of(survey.frame)))


def _keyed(table: pd.DataFrame, secret: bytes) -> np.ndarray:
    bare = pd.util.hash_pandas_object(table, index=False).to_numpy().tobytes()
    values = [bare[i : i + 8] for i in range(0, len(bare), 8)]
    keyed = {value: hmac.digest(secret, value, "sha256")[:8] for value in set(values)}
    return np.frombuffer(b"".join(keyed[value] for value in values), dtype=">u8").astype(np.uint64)


def answer_counts(survey: Survey, rows: pd.DataFrame) -> pd.DataFrame:
    """Count how often each answer was given in each finest unit of every axis; no sheet can be put together of it.

    Parameters
    ----------
    rows
        The survey's row table.

    Returns
    -------
    DataFrame
        axis, unit, code (a question, the weight, or ``""`` for the sheets), answer, n.
    """
    names = [*_leaves(survey), *([survey.weight] if survey.weight else [])]
    values = columns_of(survey.frame, names).assign(**{"": 1.0})
    places_ = {axis: pd.factorize(rows[axis].to_numpy(object), sort=True) for axis in axes_in(rows)}
    parts: list[dict[str, Any]] = []
    for name in values:
        answer, answers = pd.factorize(values[name].to_numpy(), sort=True)  # -1: none given
        for axis, (unit, units) in places_.items():
            counts = np.bincount((unit * len(answers) + answer)[answer >= 0], minlength=len(units) * len(answers))
            cell = np.flatnonzero(counts)
            parts.append(
                {"axis": np.full(len(cell), axis, dtype=object), "unit": units[cell // len(answers)],
                 "code": np.full(len(cell), name, dtype=object), "answer": answers[cell % len(answers)], "n": counts[cell]}
            )  # fmt: skip
    return pd.DataFrame({name: np.concatenate([part[name] for part in parts]) for name in parts[0]})


def rows_holding(rows: pd.DataFrame, wanted: Mapping[int, int] | Counter[int]) -> np.ndarray:
    """Tell which rows are among wanted hashes, each as often as it is wanted."""
    order = rows.groupby(HASH).cumcount().to_numpy()
    allowed = np.array([wanted.get(value, 0) for value in rows[HASH].tolist()], dtype=int)
    return order < allowed


def tally(rows: pd.DataFrame) -> Counter[int]:
    """Count the answers by hash."""
    return Counter(rows[HASH].tolist())
