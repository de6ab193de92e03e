"""Sets of people that several published partitions tell apart together: trees, groups, earlier releases."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

if TYPE_CHECKING:
    from scipy import sparse

UNCOVERED = -1
EXACT_LIMIT = 300  # combinations of units and groups that are searched exactly; see docs/responsible-use.md
RATIO = 4.0  # the furthest the weight of one person may be from another's in a combination that is looked for
TINY = 1e-7
FEW = 30  # partitions of at most so many parts may be proved apart by rank


def smallest_union(
    labels: np.ndarray, n: np.ndarray, least: int, unproved: set[int] | None = None
) -> np.ndarray | None:
    """Find a set of fewer than ``least`` people whose total follows from the totals of several partitions.

    A total follows when it is a linear combination of the parts, x = Σ αₖ(part): people counted against other people, or
    twice, tell about them as well. For two partitions the fewest people with x ≠ 0 through two parts are a minimum cut
    between them (their incidence matrix is totally unimodular); for more they are found by linear algebra and integer
    programming.

    Parameters
    ----------
    labels
        One row a combination of parts, one column a partition: number of the part, -1 where the partition does not cover
        these people. At most :data:`EXACT_LIMIT` rows where there are more than two columns.
    n
        People of each combination.
    unproved
        Rows to look through where there are two columns; those found safe leave it, and stay safe when less is shown.

    Returns
    -------
    array or None
        Which combinations are in the set; None when no total tells about fewer people than ``least``.
    """
    atoms, inverse = np.unique(labels, axis=0, return_inverse=True)
    people = np.bincount(inverse.ravel(), weights=n, minlength=len(atoms))
    if labels.shape[1] <= 2:
        pair = atoms if labels.shape[1] == 2 else np.hstack([atoms, np.full_like(atoms, UNCOVERED)])
        rows = set(range(len(labels))) if unproved is None else unproved
        found = _smallest_cut(pair, people, least, inverse.ravel(), rows)
    else:
        found = _smallest_combination(atoms, people, least)
    return None if found is None else found[inverse.ravel()]


def told_apart_by_rank(large: np.ndarray, small: np.ndarray, least: int) -> bool:
    """Prove that partitions of few parts tell nothing small together with the others.

    Within one combination of the large partitions every set that follows is given by the small partitions alone, up to a
    constant: it takes all, none, or a part of these people. Combinations are gathered into batches until the differences
    of their people span all that the small partitions can distinguish. A set that distinguishes anything then takes at
    least one person of every batch; with ``least`` batches it has ``least`` people.

    Parameters
    ----------
    large, small
        Part numbers, one row a combination of parts that occurs.
    """
    design = np.column_stack([(part == np.unique(part)[1:, None]).T.astype(float) for part in small.T])
    rank = np.linalg.matrix_rank(np.unique(design - design[0], axis=0))
    _, block = np.unique(large, axis=0, return_inverse=True)
    order = np.argsort(block.ravel(), kind="stable")
    starts = np.flatnonzero(np.diff(block.ravel()[order], prepend=-1))
    sizes = np.diff(np.append(starts, len(order)))
    batches, spanned = 0, np.zeros((0, design.shape[1]))
    for number in np.argsort(-sizes, kind="stable"):
        if sizes[number] < 2 or batches >= least:
            break
        people = design[order[starts[number] : starts[number] + sizes[number]]]
        spanned = _span(np.vstack([spanned, people[1:] - people[0]]))
        if len(spanned) == rank:
            batches, spanned = batches + 1, spanned[:0]
    return batches >= least


def _span(rows: np.ndarray) -> np.ndarray:
    """Return an orthonormal basis of the rows."""
    _, size, basis = np.linalg.svd(rows, full_matrices=False)
    return basis[size > 1e-9]


def next_to_hide(homes: Mapping[str, Mapping[str, str]], joint: pd.DataFrame, least: int) -> tuple[str, str] | None:
    """Return which part to hide next because several axes tell about too few people together; None when all is well.

    Looked at for the people, and for those scored on each code.

    Parameters
    ----------
    homes
        Axis → finest unit or category → the shown part it counts to (of :class:`Partition`).
    joint
        Axes and numbers of people (n, ``n:form:code``) of every combination.

    Returns
    -------
    (axis, part) or None
        An empty part means the whole axis: above the exact limit nothing is approximated.
    """
    parts = pd.DataFrame({axis: joint[axis].map(home) for axis, home in homes.items()})
    axes = [axis for axis in parts if parts[axis].nunique() > 1]
    if len(axes) < 2:
        return None
    counts = {tuple(joint[name]): joint[name].to_numpy(float) for name in counted(joint)}
    groups: dict[bytes, list[np.ndarray]] = {}
    for n in counts.values():
        groups.setdefault((n > 0).tobytes(), []).append(n)
    for group in groups.values():
        # With the fewest people of any code in each combination all codes of a group are looked at in one go.
        if len(group) > 1 and _next_for(parts[axes], np.minimum.reduce(group), least) is None:
            continue
        moves = (_next_for(parts[axes], n, least) for n in group)
        if (move := next((move for move in moves if move is not None), None)) is not None:
            return move
    return None


def counted(joint: pd.DataFrame) -> list[str]:
    """Return the columns that hold numbers of people: of all, then of those scored on each code."""
    return ["n", *(name for name in joint if str(name).startswith("n:"))]


def _next_for(parts: pd.DataFrame, n: np.ndarray, least: int) -> tuple[str, str] | None:
    there = n > 0
    parts, n = parts[there].reset_index(drop=True), n[there]
    axes = list(parts)
    codes = {axis: pd.factorize(parts[axis], sort=True)[0] for axis in axes}
    small = [axis for axis in axes if parts[axis].nunique() <= FEW and axis != axes[0]]
    large = [axis for axis in axes if axis not in small]
    if small and told_apart_by_rank(
        np.column_stack([codes[axis] for axis in large]), np.column_stack([codes[axis] for axis in small]), least
    ):
        axes, small = large, []
    labels = np.column_stack([codes[axis] for axis in axes])
    if len(axes) > 2 and len(np.unique(labels, axis=0)) > EXACT_LIMIT:
        return _least_useful(small or axes[1:], parts, n), ""
    found = smallest_union(labels, n, least) if len(axes) > 1 else None
    return None if found is None else _to_hide(found, parts[axes], n)


def _to_hide(found: np.ndarray, parts: pd.DataFrame, n: np.ndarray) -> tuple[str, str]:
    """Choose the part with the fewest people among those the set cuts or consists of; the name breaks ties."""
    touched = []
    for axis in parts:
        people = pd.Series(n).groupby(parts[axis].to_numpy()).sum()
        for part in sorted(set(parts.loc[found, axis]) - {_ALL}):
            touched.append((float(people[part]), str(axis), str(part)))
    return min(touched)[1:] if touched else (_least_useful(list(parts)[1:], parts, n), "")


_ALL = "ALL"


def _least_useful(axes: Sequence[str], parts: pd.DataFrame, n: np.ndarray) -> str:
    """Return the axis with the smallest part."""
    return min(axes, key=lambda axis: (float(pd.Series(n).groupby(parts[axis].to_numpy()).sum().min()), axis))


def _smallest_cut(
    atoms: np.ndarray, people: np.ndarray, least: int, atom_of: np.ndarray, unproved: set[int]
) -> np.ndarray | None:
    """Two partitions: an edge of few people joins a left and a right part; cut them apart as cheaply as can be.

    What follows is x = 1[left part in U] - 1[right part in U], for any set U of parts; it tells about the people on the
    edges that leave U. People outside one partition are joined to a ground of their own.
    """
    from scipy.sparse.csgraph import connected_components, maximum_flow

    lefts, rights = int(atoms[:, 0].max()) + 1, int(atoms[:, 1].max()) + 1
    ground = lefts + rights
    left = np.where(atoms[:, 0] == UNCOVERED, ground, atoms[:, 0])
    right = np.where(atoms[:, 1] == UNCOVERED, ground, lefts + atoms[:, 1])
    graph = _graph(left, right, people, ground + 1)
    _, component = connected_components(graph, directed=False)
    safe = people >= least
    for row in sorted(unproved):
        edge = int(atom_of[row])
        if safe[edge]:
            unproved.discard(row)
            continue
        inside = np.flatnonzero(component == component[left[edge]])
        place = np.full(ground + 1, UNCOVERED)
        place[inside] = np.arange(len(inside))
        flow = maximum_flow(graph[inside][:, inside], int(place[left[edge]]), int(place[right[edge]]))
        if flow.flow_value < least:
            residual = graph[inside][:, inside] - flow.flow
            residual.eliminate_zeros()
            reached = np.zeros(ground + 1, dtype=bool)
            reached[inside[_reachable(residual, int(place[left[edge]]))]] = True
            return reached[left] != reached[right]
        safe[edge] = True
        unproved.discard(row)
    return None


def _graph(left: np.ndarray, right: np.ndarray, people: np.ndarray, size: int) -> sparse.csr_array:
    from scipy import sparse

    rows, columns = np.concatenate([left, right]), np.concatenate([right, left])
    capacity = np.concatenate([people, people]).astype(np.int32)
    return sparse.csr_array((capacity, (rows, columns)), shape=(size, size), dtype=np.int32)


def _reachable(residual: sparse.csr_array, source: int) -> np.ndarray:
    from scipy.sparse.csgraph import breadth_first_order

    return breadth_first_order(residual > 0, source, directed=True, return_predecessors=False)


def _smallest_combination(atoms: np.ndarray, people: np.ndarray, least: int) -> np.ndarray | None:
    """Several partitions: the fewest people with x ≠ 0, where x = Σ α(part) and not 0 for all.

    What tells about few people is 0 on every large combination: these are taken out by linear algebra, which nearly always
    leaves nothing. Else the fewest people are found by integer programming, with weights of one person against another
    up to :data:`RATIO`.
    """
    parts = np.vstack([(column == np.arange(column.max() + 1)[:, None]).astype(float) for column in atoms.T])
    small = people < least
    space = _echelon(_vanishing(parts[:, ~small]) @ parts[:, small])
    if not len(space):
        return None
    chosen = np.zeros(len(atoms), dtype=bool)
    held = space.any(axis=0)
    found = _fewest(space[:, held], people[small][held], least)
    if found is None:
        return None
    chosen[np.flatnonzero(small)[held]] = found
    return chosen


def _vanishing(columns: np.ndarray) -> np.ndarray:
    """Return a basis of the combinations of rows that are 0 in every column, one a row."""
    if not columns.shape[1]:
        return np.eye(len(columns))
    _, size, right = np.linalg.svd(columns.T, full_matrices=True)
    return right[int((size > TINY * max(1.0, size[0])).sum()) :]


def _echelon(matrix: np.ndarray) -> np.ndarray:
    """Return the reduced row echelon form, without rows of zeros."""
    matrix, row = matrix.copy(), 0
    for column in range(matrix.shape[1]):
        if row == len(matrix):
            break
        pivot = row + int(np.argmax(np.abs(matrix[row:, column])))
        if abs(matrix[pivot, column]) < TINY:
            matrix[row:, column] = 0
            continue
        matrix[[row, pivot]] = matrix[[pivot, row]]
        matrix[row] /= matrix[row, column]
        others = np.arange(len(matrix)) != row
        matrix[others] -= np.outer(matrix[others, column], matrix[row])
        row += 1
    matrix[np.abs(matrix) < TINY] = 0
    return matrix[:row]


def _fewest(space: np.ndarray, people: np.ndarray, least: int) -> np.ndarray | None:
    """Return where the combination of these rows that tells about the fewest people, below ``least``, is not 0."""
    from scipy.optimize import Bounds, LinearConstraint, milp

    if len(space) == 1:
        return space[0] != 0 if people[space[0] != 0].sum() < least else None
    size = space.shape[1]
    pivots = np.argmax(space != 0, axis=1)
    others = np.setdiff1d(np.arange(size), pivots)
    one, nothing = np.eye(size), np.zeros((len(others), size))
    follows = np.zeros((len(others), size))  # x at the other places follows from x at the pivots
    follows[np.arange(len(others)), others] = 1
    follows[:, pivots] -= space[:, others].T
    found = milp(
        np.concatenate([np.zeros(size), people, people]),  # x, and where it is above and below 0
        constraints=[
            LinearConstraint(np.hstack([follows, nothing, nothing]), 0, 0),
            LinearConstraint(np.hstack([one, -RATIO * one, one]), -np.inf, 0),
            LinearConstraint(np.hstack([one, -one, RATIO * one]), 0, np.inf),
            LinearConstraint(np.hstack([0 * one, one, one]), 0, 1),
            LinearConstraint(np.concatenate([np.zeros(size), people, people])[None], 1, least - 0.5),
        ],
        integrality=np.concatenate([np.zeros(size), np.ones(2 * size)]),
        bounds=Bounds(np.repeat([-RATIO, 0, 0], size), np.repeat([RATIO, 1, 1], size)),
    )  # fmt: skip
    return None if found.x is None else found.x[size:].reshape(2, -1).sum(axis=0) > 0.5
