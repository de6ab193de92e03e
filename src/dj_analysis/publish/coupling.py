"""Sets of people that several published partitions tell apart together: trees, groups, earlier releases."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

if TYPE_CHECKING:
    from scipy import sparse

UNCOVERED = -1
EXACT_LIMIT = 1000  # combinations of units and groups that are searched exactly; see docs/responsible-use.md
FEW = 30  # partitions of at most so many parts may be proved apart by rank


def smallest_union(
    labels: np.ndarray, n: np.ndarray, least: int, unproved: set[int] | None = None
) -> np.ndarray | None:
    """Find a set of fewer than ``least`` people whose total follows from the totals of several partitions.

    A total follows when its set is a linear combination of the parts: x = Σ αₖ(part), with x 0 or 1 for everyone. For two
    partitions the smallest such set through two parts is a minimum cut between them (their incidence matrix is totally
    unimodular); for more it is found by integer programming.

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
    rank = np.linalg.matrix_rank(design - design[0])
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

    Parameters
    ----------
    homes
        Axis → finest unit or category → the shown part it counts to (of :class:`Partition`).
    joint
        Axes and n: the people of every combination.

    Returns
    -------
    (axis, part) or None
        An empty part means the whole axis: above the exact limit nothing is approximated.
    """
    parts = pd.DataFrame({axis: joint[axis].map(home) for axis, home in homes.items()})
    axes = [axis for axis in parts if parts[axis].nunique() > 1]
    if len(axes) < 2:
        return None
    codes = {axis: pd.factorize(parts[axis], sort=True)[0] for axis in axes}
    small = [axis for axis in axes if parts[axis].nunique() <= FEW and axis != axes[0]]
    large = [axis for axis in axes if axis not in small]
    n = joint["n"].to_numpy(float)
    labels = np.column_stack([codes[axis] for axis in axes])
    exact = len(np.unique(labels, axis=0)) <= EXACT_LIMIT
    if small and told_apart_by_rank(
        np.column_stack([codes[axis] for axis in large]), np.column_stack([codes[axis] for axis in small]), least
    ):
        axes, labels = large, np.column_stack([codes[axis] for axis in large])
        exact = len(np.unique(labels, axis=0)) <= EXACT_LIMIT
    if len(axes) > 2 and not exact:
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

    A set that follows is {people whose left part is in U and whose right part is not}, where no right part is in U without
    all its left parts. People outside one partition are joined to a ground of their own.
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
            return reached[left] & ~reached[right]
        safe[edge] = True
        unproved.discard(row)
    return None


def _graph(left: np.ndarray, right: np.ndarray, people: np.ndarray, size: int) -> sparse.csr_array:
    from scipy import sparse

    never = np.int32(people.sum() + 1)
    rows, columns = np.concatenate([left, right]), np.concatenate([right, left])
    capacity = np.concatenate([people, np.full(len(people), never)]).astype(np.int32)
    return sparse.csr_array((capacity, (rows, columns)), shape=(size, size), dtype=np.int32)


def _reachable(residual: sparse.csr_array, source: int) -> np.ndarray:
    from scipy.sparse.csgraph import breadth_first_order

    return breadth_first_order(residual > 0, source, directed=True, return_predecessors=False)


def _smallest_combination(atoms: np.ndarray, people: np.ndarray, least: int) -> np.ndarray | None:
    """Several partitions: minimise the people of x = Σ α(part), x 0 or 1, x not empty."""
    from scipy import sparse
    from scipy.optimize import Bounds, LinearConstraint, milp

    rows, columns, size = [], [], 0
    for partition in atoms.T:
        known = np.flatnonzero(partition != UNCOVERED)
        rows.append(known)
        columns.append(size + partition[known])
        size += int(partition.max()) + 1
    place = (np.concatenate(rows), np.concatenate(columns))
    parts = sparse.csr_array((np.ones(len(place[0])), place), shape=(len(atoms), size))
    follows = sparse.csr_array(sparse.hstack([sparse.eye_array(len(atoms)), -parts]))
    some = np.concatenate([np.ones(len(atoms)), np.zeros(size)])[None]
    free = float(atoms.shape[1] + 1)
    found = milp(
        np.concatenate([people, np.zeros(size)]),
        constraints=[LinearConstraint(follows, 0, 0), LinearConstraint(some, 1, np.inf)],
        integrality=np.concatenate([np.ones(len(atoms)), np.zeros(size)]),
        bounds=Bounds(
            np.concatenate([np.zeros(len(atoms)), np.full(size, -free)]),
            np.concatenate([np.ones(len(atoms)), np.full(size, free)]),
        ),
    )
    assert found.x is not None, "all people together always follow"
    chosen = np.round(found.x[: len(atoms)]).astype(bool)
    return chosen if people[chosen].sum() < least else None
