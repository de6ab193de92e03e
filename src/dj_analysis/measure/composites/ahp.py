"""Weights from experts' pairwise judgements: the analytic hierarchy process."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np
import pandas as pd

from ...errors import DataError, Problems, UsageError
from ...result import Result
from ...spec.specification import Specification
from ..basis import Basis, digest_of
from .weights import Weights, packed

#: Mean consistency index of random matrices of 1–15 things (Saaty 1980; up to 10 as printed in Saaty 1990).
RANDOM_INDEX = (0.0, 0.0, 0.58, 0.90, 1.12, 1.24, 1.32, 1.41, 1.45, 1.49, 1.51, 1.48, 1.56, 1.57, 1.59)
#: Saaty's scale: 1–9 and their reciprocals.
SCALE = np.array([*(1 / np.arange(9, 1, -1)), *np.arange(1.0, 10.0)])
#: Judgements are accepted as consistent up to this ratio.
LIMIT = 0.10
#: a_ij·a_ji may miss 1 by this much: 0.33 and 3 are meant to be reciprocal.
ROUNDING = 0.02
#: How many judgements the repair hint names.
HINTS = 3

CONSISTENT = "consistent_enough"
NO_RANDOM_INDEX = "more_things_than_table_random"

Judgements: TypeAlias = np.ndarray | pd.DataFrame | Sequence[Sequence[float]]


def ahp(
    judgements: Judgements | Sequence[Judgements] | Mapping[str, Judgements],
    codes: Sequence[str] | None = None,
    *,
    parent: str = "",
    importance: Sequence[float] | None = None,
    year: str = "",
) -> Weights:
    """Weigh siblings by pairwise judgements of one or several experts.

    Weights are the principal eigenvector of the judgement matrix; λ its eigenvalue, CI = (λ − n)/(n − 1) and CR = CI/RI
    (Saaty 1980, 1990). Several experts are put together judgement by judgement by the geometric mean (AIJ, Aczél & Saaty
    1983), which keeps matrices reciprocal.

    Parameters
    ----------
    judgements
        Square matrix: a_ij tells how many times as important i is as j (1–9, or a reciprocal); a list of such matrices, or
        expert → matrix. A missing or zero a_ij is taken from its reciprocal.
    codes
        Codes of the things compared; by default the columns of a DataFrame, else ``1``, ``2`` ….
    parent
        The node whose children they are.
    importance
        Weight ≥ 0 of each expert; equal by default.
    year
        Freeze the weights for this year.

    Returns
    -------
    Weights
        Table with ``lambda``, ``ci``, ``cr``, ``experts`` added. ``.parts``, which tell about single experts and so never pass
        disclosure control:

        - ``experts``: expert, code, weight, lambda, ci, cr;
        - ``leave_one_out``: expert (left out), code, weight, difference, cr; empty for one expert;
        - ``repair``: expert (``""`` for all together), row, column, given, deviation, suggested, cr_after, reason: the three
          judgements that fit the others least, by Saaty's (2003) ε_ij = a_ij·w_j/w_i, the value that the other judgements
          imply (Harker 1987: a_ij left open), rounded to the scale, and the CR after this one change. An expert may decline.

    Raises
    ------
    DataError
        Matrices that are not square, positive and reciprocal, listed cell by cell.

    Examples
    --------
    >>> ahp([[1, 3], [1 / 3, 1]]).table["weight"].round(6).tolist()
    [0.75, 0.25]
    """
    matrices, names = _read(judgements, codes)
    shares = _importance(importance, len(matrices))
    together = aij(list(matrices.values()), shares)
    weight, lam, ci, cr = consistency(together)
    method = "ahp: eigenvector" + (f", AIJ geometric mean of {len(matrices)}" if len(matrices) > 1 else "")
    rows = pd.DataFrame({"parent": parent, "code": names, "weight": weight, "method": method})
    rows = rows.assign(**{"lambda": lam, "ci": ci, "cr": cr, "experts": len(matrices)})
    rows["reason"] = NO_RANDOM_INDEX if np.isnan(cr) else ""
    parts = {
        "experts": _persons(_experts(matrices, names), ("expert", "code")),
        "leave_one_out": _persons(_left_out(matrices, names, shares, weight), ("expert", "code")),
        "repair": _persons(_repairs(matrices, together, names), ("expert", "row", "column")),
    }
    made = packed(rows, parts=parts)
    return made.frozen(year) if year else made


def consistency(matrix: np.ndarray) -> tuple[np.ndarray, float, float, float]:
    """Return weights, λ, CI and CR of one reciprocal matrix; two things or one are always consistent (CR 0)."""
    values, vectors = np.linalg.eig(matrix)
    first = int(np.argmax(values.real))
    weight, n = np.abs(vectors[:, first].real), len(matrix)
    lam = float(values[first].real)
    ci = max((lam - n) / (n - 1), 0.0) if n > 2 else 0.0
    random = RANDOM_INDEX[n - 1] if n <= len(RANDOM_INDEX) else float("nan")
    return weight / weight.sum(), lam, ci, ci / random if n > 2 else 0.0


def aij(matrices: Sequence[np.ndarray], importance: np.ndarray | None = None) -> np.ndarray:
    """Aggregate individual judgements: the (weighted) geometric mean of each cell."""
    shares = np.full(len(matrices), 1 / len(matrices)) if importance is None else importance / importance.sum()
    return np.exp(np.tensordot(shares, np.log(np.stack(list(matrices))), axes=1))


def implied(matrix: np.ndarray, i: int, j: int) -> float:
    """Return the ratio w_i/w_j that all other judgements imply (Harker 1987: the judgement is left open)."""
    opened = matrix.copy()
    opened[i, j] = opened[j, i] = 0.0
    opened[i, i] = opened[j, j] = 2.0
    weight = consistency(opened)[0]
    return float(weight[i] / weight[j])


def _read(judgements: Any, codes: Sequence[str] | None) -> tuple[dict[str, np.ndarray], list[str]]:
    """Bring one or several judgement matrices to arrays by expert, with every problem listed at once."""
    if isinstance(judgements, Mapping):
        given = {str(name): matrix for name, matrix in judgements.items()}
    elif isinstance(judgements, pd.DataFrame) or np.ndim(judgements[0]) == 1:
        given = {"1": judgements}
    else:
        given = {str(i + 1): matrix for i, matrix in enumerate(judgements)}
    if not given:
        raise UsageError("没有判断矩阵 (there is no judgement matrix)")
    first = next(iter(given.values()))
    columns = [str(name) for name in first.columns] if isinstance(first, pd.DataFrame) else None
    names = [str(code) for code in codes] if codes is not None else columns
    names = names or [str(i + 1) for i in range(len(first))]
    problems = Problems()
    made = {expert: _matrix(expert, matrix, names, problems) for expert, matrix in given.items()}
    problems.raise_if_any(DataError)
    return made, names


def _matrix(expert: str, judgement: Any, names: list[str], problems: Problems) -> np.ndarray:
    matrix, place = np.array(judgement, dtype=float), f"判断矩阵/judgements {expert}"
    if matrix.shape != (len(names), len(names)):
        problems.add(place, "not_square", matrix.shape, f"{len(names)} × {len(names)}", "行列应为同一组代码")
        return np.eye(len(names))
    gaps = np.isnan(matrix) | (matrix == 0)
    np.fill_diagonal(gaps, False)
    fill = gaps & ~gaps.T
    matrix[fill] = 1 / matrix.T[fill]
    advice = "填 1–9 或其倒数,a_ji = 1/a_ij (1–9 or a reciprocal)"
    for i, code in enumerate(names):
        if matrix[i, i] != 1:
            problems.add(f"{place}: {code}", "diagonal", matrix[i, i], 1, "对角线填 1 (the diagonal is 1)")
        for j in range(i + 1, len(names)):
            pair, cell = (matrix[i, j], matrix[j, i]), f"{place}: {code} / {names[j]}"
            if not (np.isfinite(pair).all() and min(pair) > 0):
                problems.add(cell, "judgement", f"{pair[0]:g}, {pair[1]:g}", "> 0", advice)
            elif abs(pair[0] * pair[1] - 1) > ROUNDING:
                problems.add(cell, "not_reciprocal", f"{pair[0]:g} × {pair[1]:g}", "1", advice)
    return matrix


def _importance(given: Sequence[float] | None, experts: int) -> np.ndarray:
    made = np.ones(experts) if given is None else np.asarray(given, dtype=float)
    if made.shape != (experts,) or not ((made >= 0).all() and made.sum() > 0):
        raise UsageError(f"importance 应为 {experts} 个非负数,和大于 0 (as many numbers >= 0 as experts)")
    return made / made.sum()


def _experts(matrices: Mapping[str, np.ndarray], names: list[str]) -> pd.DataFrame:
    blocks = []
    for expert, matrix in matrices.items():
        weight, lam, ci, cr = consistency(matrix)
        block = {"expert": expert, "code": names, "weight": weight, "lambda": lam, "ci": ci, "cr": cr}
        blocks.append(pd.DataFrame(block))
    return pd.concat(blocks, ignore_index=True)


def _left_out(
    matrices: Mapping[str, np.ndarray], names: list[str], shares: np.ndarray, whole: np.ndarray
) -> pd.DataFrame:
    """Weigh again without each expert in turn: who moves the result, and how far."""
    columns = ["expert", "code", "weight", "difference", "cr"]
    blocks = [pd.DataFrame(columns=columns).astype({"weight": float, "difference": float, "cr": float})]
    experts = list(matrices)
    for k, expert in enumerate(experts):
        kept = [i for i in range(len(experts)) if i != k]
        if kept and shares[kept].sum() > 0:
            weight, _, _, cr = consistency(aij([matrices[experts[i]] for i in kept], shares[kept]))
            row = {"expert": expert, "code": names, "weight": weight, "difference": weight - whole, "cr": cr}
            blocks.append(pd.DataFrame(row))
    return pd.concat(blocks[1:] or blocks, ignore_index=True)


def _repairs(matrices: Mapping[str, np.ndarray], together: np.ndarray, names: list[str]) -> pd.DataFrame:
    columns = ["expert", "row", "column", "given", "deviation", "suggested", "cr_after", "reason"]
    rows = [row for expert, matrix in matrices.items() for row in _hints(expert, matrix, names)]
    rows += _hints("", together, names) if len(matrices) > 1 else []
    numbers = dict.fromkeys(("given", "deviation", "suggested", "cr_after"), float)
    return pd.DataFrame(rows, columns=columns).astype(numbers)


def _hints(expert: str, matrix: np.ndarray, names: list[str]) -> list[dict[str, Any]]:
    """Name the judgements farthest from what the weights say, the farthest first."""
    weight, _, _, cr = consistency(matrix)
    off = np.triu(np.abs(np.log(matrix * weight[None, :] / weight[:, None])), 1)
    rows: list[dict[str, Any]] = []
    for flat in np.argsort(off, axis=None, kind="stable")[::-1][: HINTS if len(matrix) > 2 else 0]:
        i, j = (int(place) for place in np.unravel_index(flat, off.shape))
        if off[i, j] <= 1e-9:
            break
        wanted = implied(matrix, i, j)
        wanted = float(SCALE[np.argmin(np.abs(np.log(SCALE / wanted)))])
        mended = matrix.copy()
        mended[i, j], mended[j, i] = wanted, 1 / wanted
        rows.append(
            {
                "expert": expert, "row": names[i], "column": names[j], "given": matrix[i, j],
                "deviation": float(np.exp(off[i, j])), "suggested": wanted, "cr_after": consistency(mended)[3],
                "reason": CONSISTENT if cr <= LIMIT else "",
            }
        )  # fmt: skip
    return rows


def _persons(table: pd.DataFrame, keys: tuple[str, ...]) -> Result:
    """Judgements of single experts are about persons: one behind each row."""
    table = table.assign(n=1)
    statistics = tuple(name for name in table.columns if name not in (*keys, "reason"))
    text = [name for name in (*keys, "reason") if name in table]
    return Result(
        table.astype(dict.fromkeys(text, "str")), keys, statistics, "", about="persons", programme="ratings",
        periods=("",), spec=Specification(), basis=(Basis("ratings", "", Specification(), values=digest_of(table)),),
    )  # fmt: skip
