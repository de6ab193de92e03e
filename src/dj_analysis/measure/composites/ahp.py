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
from ..engines import wrapped_frame
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
    (Saaty 1980, 1990). Several experts are aggregated judgement by judgement by the geometric mean (AIJ, Aczél & Saaty
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
    group_matrix = aij(list(matrices.values()), shares)
    weight, lam, ci, cr = consistency(group_matrix)
    method = "ahp: eigenvector" + (f", AIJ geometric mean of {len(matrices)}" if len(matrices) > 1 else "")
    rows = pd.DataFrame({"parent": parent, "code": names, "weight": weight, "method": method})
    rows = rows.assign(**{"lambda": lam, "ci": ci, "cr": cr, "experts": len(matrices)})
    rows["reason"] = NO_RANDOM_INDEX if np.isnan(cr) else ""
    parts = {
        "experts": _expert_result(_experts(matrices, names), ("expert", "code")),
        "leave_one_out": _expert_result(_leave_one_out(matrices, names, shares, weight), ("expert", "code")),
        "repair": _expert_result(_repairs(matrices, group_matrix, names), ("expert", "row", "column")),
    }
    weights = packed(rows, parts=parts)
    return weights.frozen(year) if year else weights


def consistency(matrix: np.ndarray) -> tuple[np.ndarray, float, float, float]:
    """Return weights, λ, CI and CR of one reciprocal matrix; CR is 0 for one or two things."""
    eigenvalues, eigenvectors = np.linalg.eig(matrix)
    principal = int(np.argmax(eigenvalues.real))
    weight, n = np.abs(eigenvectors[:, principal].real), len(matrix)
    lam = float(eigenvalues[principal].real)
    ci = max((lam - n) / (n - 1), 0.0) if n > 2 else 0.0
    random_index = RANDOM_INDEX[n - 1] if n <= len(RANDOM_INDEX) else float("nan")
    return weight / weight.sum(), lam, ci, ci / random_index if n > 2 else 0.0


def aij(matrices: Sequence[np.ndarray], importance: np.ndarray | None = None) -> np.ndarray:
    """Aggregate individual judgements: the (weighted) geometric mean of each cell."""
    shares = np.full(len(matrices), 1 / len(matrices)) if importance is None else importance / importance.sum()
    return np.exp(np.tensordot(shares, np.log(np.stack(list(matrices))), axes=1))


def implied_comparison(matrix: np.ndarray, i: int, j: int) -> float:
    """Return the ratio w_i/w_j implied by all other judgements (Harker 1987: a_ij treated as missing)."""
    incomplete = matrix.copy()
    incomplete[i, j] = incomplete[j, i] = 0.0
    incomplete[i, i] = incomplete[j, j] = 2.0
    weight = consistency(incomplete)[0]
    return float(weight[i] / weight[j])


def _read(judgements: Any, codes: Sequence[str] | None) -> tuple[dict[str, np.ndarray], list[str]]:
    """Read one or several judgement matrices into arrays by expert; all problems are raised together."""
    if isinstance(judgements, Mapping):
        by_expert = {str(name): matrix for name, matrix in judgements.items()}
    elif isinstance(judgements, pd.DataFrame) or np.ndim(judgements[0]) == 1:
        by_expert = {"1": judgements}
    else:
        by_expert = {str(i + 1): matrix for i, matrix in enumerate(judgements)}
    if not by_expert:
        raise UsageError("没有判断矩阵 (there is no judgement matrix)")
    first = next(iter(by_expert.values()))
    for expert, matrix in by_expert.items():
        if isinstance(matrix, pd.DataFrame):
            wrapped_frame(
                matrix, f"判断矩阵/judgements {expert}"
            )  # names several rows of headers and columns that are twice there
    columns = [str(name) for name in first.columns] if isinstance(first, pd.DataFrame) else None
    names = [str(code) for code in codes] if codes is not None else columns
    names = names or [str(i + 1) for i in range(len(first))]
    problems = Problems()
    matrices = {expert: _matrix(expert, matrix, names, problems) for expert, matrix in by_expert.items()}
    problems.raise_if_any(DataError)
    return matrices, names


def _matrix(expert: str, judgement: Any, names: list[str], problems: Problems) -> np.ndarray:
    place = f"判断矩阵/judgements {expert}"
    cells = [list(row) for row in (judgement.to_numpy() if isinstance(judgement, pd.DataFrame) else judgement)]
    if {len(row) for row in cells} != {len(names)}:
        problems.add(place, "not_square", f"{len(cells)} 行/rows", f"{len(names)} × {len(names)}", "行列应为同一组代码")
        return np.eye(len(names))
    matrix = np.array([[_ratio(cell, place, problems) for cell in row] for row in cells])
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


def _ratio(cell: Any, place: str, problems: Problems) -> float:
    """Read one judgement: a number, a fraction such as ``1/3`` or ``1:3``; an empty cell or a dash is missing."""
    if not isinstance(cell, str):
        return float("nan") if pd.isna(cell) else float(cell)
    text = cell.strip().translate(str.maketrans("：／", ":/"))
    if text in ("", "-", "—", "–", "/"):
        return float("nan")
    try:
        above, _, below = text.replace(":", "/").partition("/")
        return float(above) / float(below or 1)
    except (ValueError, ZeroDivisionError):
        problems.add(place, "judgement", cell, "1–9, 1/2–1/9", "改为数或分数 (write a number or a fraction)")
        return 1.0


def _importance(importance: Sequence[float] | None, experts: int) -> np.ndarray:
    weights = np.ones(experts) if importance is None else np.asarray(importance, dtype=float)
    if weights.shape != (experts,) or not ((weights >= 0).all() and weights.sum() > 0):
        raise UsageError(f"importance 应为 {experts} 个非负数,和大于 0 (as many numbers >= 0 as experts)")
    return weights / weights.sum()


def _experts(matrices: Mapping[str, np.ndarray], names: list[str]) -> pd.DataFrame:
    blocks = []
    for expert, matrix in matrices.items():
        weight, lam, ci, cr = consistency(matrix)
        block = {"expert": expert, "code": names, "weight": weight, "lambda": lam, "ci": ci, "cr": cr}
        blocks.append(pd.DataFrame(block))
    return pd.concat(blocks, ignore_index=True)


def _leave_one_out(
    matrices: Mapping[str, np.ndarray], names: list[str], shares: np.ndarray, group_weight: np.ndarray
) -> pd.DataFrame:
    """Compute leave-one-out weights: each expert omitted in turn."""
    columns = ["expert", "code", "weight", "difference", "cr"]
    blocks = [pd.DataFrame(columns=columns).astype({"weight": float, "difference": float, "cr": float})]
    experts = list(matrices)
    for k, expert in enumerate(experts):
        others = [i for i in range(len(experts)) if i != k]
        if others and shares[others].sum() > 0:
            weight, _, _, cr = consistency(aij([matrices[experts[i]] for i in others], shares[others]))
            row = {"expert": expert, "code": names, "weight": weight, "difference": weight - group_weight, "cr": cr}
            blocks.append(pd.DataFrame(row))
    return pd.concat(blocks[1:] or blocks, ignore_index=True)


def _repairs(matrices: Mapping[str, np.ndarray], group_matrix: np.ndarray, names: list[str]) -> pd.DataFrame:
    columns = ["expert", "row", "column", "given", "deviation", "suggested", "cr_after", "reason"]
    rows = [row for expert, matrix in matrices.items() for row in _repair_hints(expert, matrix, names)]
    rows += _repair_hints("", group_matrix, names) if len(matrices) > 1 else []
    numbers = dict.fromkeys(("given", "deviation", "suggested", "cr_after"), float)
    return pd.DataFrame(rows, columns=columns).astype(numbers)


def _repair_hints(expert: str, matrix: np.ndarray, names: list[str]) -> list[dict[str, Any]]:
    """List the judgements that deviate most from the weights, the largest deviation first."""
    weight, _, _, cr = consistency(matrix)
    log_deviation = np.triu(np.abs(np.log(matrix * weight[None, :] / weight[:, None])), 1)
    rows: list[dict[str, Any]] = []
    for cell in np.argsort(log_deviation, axis=None, kind="stable")[::-1][: HINTS if len(matrix) > 2 else 0]:
        i, j = (int(position) for position in np.unravel_index(cell, log_deviation.shape))
        if log_deviation[i, j] <= 1e-9:
            break
        suggested = implied_comparison(matrix, i, j)
        suggested = float(SCALE[np.argmin(np.abs(np.log(SCALE / suggested)))])
        revised = matrix.copy()
        revised[i, j], revised[j, i] = suggested, 1 / suggested
        rows.append(
            {
                "expert": expert, "row": names[i], "column": names[j], "given": matrix[i, j],
                "deviation": float(np.exp(log_deviation[i, j])), "suggested": suggested,
                "cr_after": consistency(revised)[3], "reason": CONSISTENT if cr <= LIMIT else "",
            }
        )  # fmt: skip
    return rows


def _expert_result(table: pd.DataFrame, keys: tuple[str, ...]) -> Result:
    """Pack a table about single experts as a result about persons, n = 1 in each row."""
    table = table.assign(n=1)
    statistics = tuple(name for name in table.columns if name not in (*keys, "reason"))
    text = [name for name in (*keys, "reason") if name in table]
    return Result(
        table.astype(dict.fromkeys(text, "str")), keys, statistics, "", about="persons", programme="ratings",
        periods=("",), spec=Specification(), basis=(Basis("ratings", "", Specification(), values=digest_of(table)),),
    )  # fmt: skip
