"""Small groups identifiable by combining several breakdowns of the same people."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

UNCOVERED = -1
MOST_PARTS = 60  # breakdowns of at most so many parts are tried by rank


def small_overlap(left: np.ndarray, right: np.ndarray, n: np.ndarray, least: int) -> np.ndarray | None:
    """Find fewer than ``least`` people about whom the totals of two breakdowns tell together; exact.

    What follows from the totals is x = Σ αₖ·1[part k]: people counted against others, or twice, are told about as well. The
    incidence matrix of two partitions is totally unimodular, so the fewest people with x ≠ 0 are a minimum cut between two
    parts (Ford & Fulkerson 1956). Parts joined by ``least`` people or more are never cut apart and become one first.

    Parameters
    ----------
    left, right
        Number of the part each combination of parts belongs to, :data:`UNCOVERED` where the breakdown leaves these people out.
    n
        People of each combination.

    Returns
    -------
    array or None
        Which combinations these people are in; None where no total tells about fewer than ``least``.
    """
    there = n > 0
    if not there.any():
        return None
    ground = 0  # whoever a breakdown leaves out hangs on a vertex of his own
    ends = np.column_stack([left[there] + 1, np.where(right[there] < 0, 0, right[there] + 1 + left.max() + 1)])
    vertices, edges = np.unique(ends, return_inverse=True)
    edges = edges.reshape(ends.shape)
    if vertices[0] != ground:
        vertices, edges = np.append(ground, vertices), edges + 1
    blob = _joined(edges, n[there], len(vertices), least)
    own = blob[edges]
    side = _smallest_cut(own, n[there], int(blob.max()) + 1, least)
    if side is None:
        return None
    apart = np.zeros(len(n), dtype=bool)
    apart[there] = side[own[:, 0]] != side[own[:, 1]]
    return apart


def _joined(edges: np.ndarray, n: np.ndarray, size: int, least: int) -> np.ndarray:
    """Return vertex → blob: vertices that so many people join that no small cut parts them are one blob."""
    from scipy import sparse
    from scipy.sparse.csgraph import connected_components

    blob, count = np.arange(size), size
    while True:
        own = np.sort(blob[edges], axis=1).astype(np.int64)
        numbers, place = np.unique(own[:, 0] * count + own[:, 1], return_inverse=True)
        pairs = np.column_stack(np.divmod(numbers, count))
        people = np.bincount(place.ravel(), weights=n, minlength=len(pairs))
        heavy = pairs[(people >= least) & (pairs[:, 0] != pairs[:, 1])]
        graph = sparse.csr_array((np.ones(len(heavy)), (heavy[:, 0], heavy[:, 1])), shape=(count, count))
        fewer, label = connected_components(graph, directed=False)
        if fewer == count:
            return blob
        blob, count = label[blob], fewer


def _smallest_cut(edges: np.ndarray, n: np.ndarray, size: int, least: int) -> np.ndarray | None:
    """Return one side of a cut of fewer than ``least`` people, None where there is none."""
    from scipy import sparse
    from scipy.sparse.csgraph import breadth_first_order, connected_components, maximum_flow

    crossing = edges[:, 0] != edges[:, 1]
    edges, n = edges[crossing], n[crossing]
    if not len(edges):
        return None
    rows, columns = np.concatenate([edges[:, 0], edges[:, 1]]), np.concatenate([edges[:, 1], edges[:, 0]])
    capacity = np.concatenate([n, n])
    graph = sparse.csr_array((capacity, (rows, columns)), shape=(size, size))
    degree = np.asarray(graph.sum(axis=0)).ravel()
    side = np.zeros(size, dtype=bool)
    lightest = int(np.argmin(np.where(degree > 0, degree, np.inf)))
    if degree[lightest] < least:
        side[lightest] = True
        return side
    # Weights of half a person: flows are whole numbers.
    graph = sparse.csr_array((np.round(2 * capacity).astype(np.int32), (rows, columns)), shape=(size, size))
    _, component = connected_components(graph, directed=False)
    for number in np.unique(component[edges[:, 0]]):
        inside = np.flatnonzero(component == number)
        part = graph[inside][:, inside]
        for target in range(1, len(inside)):
            flow = maximum_flow(part, 0, target)
            if flow.flow_value < 2 * least:
                residual = part - flow.flow
                residual.eliminate_zeros()
                side[inside[breadth_first_order(residual > 0, 0, directed=True, return_predecessors=False)]] = True
                return side
    return None


def proved_by_rank(
    large: np.ndarray, further: Sequence[np.ndarray], n: np.ndarray, least: int, absorbed: Sequence[np.ndarray] = ()
) -> bool:
    """Prove that further breakdowns tell about nobody few beside breakdowns that are safe together.

    Within one combination of the large breakdowns every x that follows is given by the further ones alone, up to a
    constant. Combinations are gathered into batches until the differences within them span everything the further
    breakdowns can tell apart. An x that tells anything apart by them is then not 0 on some combination of every batch:
    it tells about at least the people of its smallest. Where the batches make up ``least`` people, that is enough; every
    other x is one of the large breakdowns, which are safe.

    Parameters
    ----------
    large
        Combinations × breakdowns that are safe together: part numbers.
    further
        Part numbers of each further breakdown, one a combination.
    n
        People of each combination.
    absorbed
        For each further breakdown, the combinations where it adds nothing to a large one, see :func:`absorbed_by`.
    """
    there = n > 0
    if not there.any():
        return True
    n, left_out = (
        n[there],
        [part[there] for part in absorbed] or [np.zeros(int(there.sum()), dtype=bool)] * len(further),
    )
    kind, design = _kinds([part[there] for part in further], left_out)
    block = _numbered(list(large[there].T))
    order = np.argsort(block, kind="stable")
    starts = np.flatnonzero(np.diff(block[order], prepend=-1))
    sizes = np.diff(np.append(starts, len(order)))
    contrasts = design
    if large.shape[1] == 1:  # what is the same throughout every part of a single large breakdown is a sum of its parts
        against = kind[order[np.repeat(starts, sizes)]]
        pairs = np.unique(kind[order] * len(design) + against)
        contrasts = design[pairs // len(design)] - design[pairs % len(design)]
    rank = len(_span(_distinct(contrasts.round(9))))
    kind_in_order, n_in_order = kind[order], n[order]
    people, batch_least, spanned = 0.0, np.inf, np.zeros((0, design.shape[1]))
    for number in np.argsort(-sizes, kind="stable") if rank else ():
        if sizes[number] < 2:
            break
        rows = slice(starts[number], starts[number] + sizes[number])
        first, *others = kind_in_order[rows].tolist()
        apart = design[sorted(set(others))] - design[first]
        if len(spanned):
            apart -= (apart @ spanned.T) @ spanned  # what the batch does not span yet; mostly nothing
        if np.abs(apart).max() < 1e-9:
            continue
        spanned, batch_least = np.vstack([spanned, _span(apart)]), min(batch_least, n_in_order[rows].min())
        if len(spanned) == rank:
            people += batch_least
            if people >= least:
                return True
            batch_least, spanned = np.inf, spanned[:0]
    return not rank


def absorbed_by(cross: np.ndarray, category: np.ndarray) -> np.ndarray:
    """Tell which combinations lie in a part of a cross-classification whose people are all of one category.

    What the category's total adds there is a multiple of the part's own total and needs no proof.
    """
    table = pd.DataFrame({"part": cross, "category": category})
    return (table.groupby("part")["category"].transform("nunique") == 1).to_numpy() & (cross != UNCOVERED)


def _kinds(further: Sequence[np.ndarray], left_out: Sequence[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Number the combinations that further breakdowns do not tell apart; return the numbers, and a row of columns for each.

    There is a column a part, 1 where the people belong to it, less its mean over all combinations; 0 where the breakdown is
    left out.
    """
    kind = _numbered([*further, *left_out])
    _, first = np.unique(kind, return_index=True)
    columns = []
    for part, out in zip(further, left_out, strict=True):
        parts, place = np.unique(part, return_inverse=True)
        means = np.bincount(place[~out], minlength=len(parts)) / max(int((~out).sum()), 1)
        belongs = (part[first][:, None] == parts[None]).astype(float)
        columns.append(np.where(out[first][:, None], 0.0, belongs - means))
    return kind, np.hstack(columns)


def _numbered(columns: Sequence[np.ndarray]) -> np.ndarray:
    """Number the different rows of some columns of whole numbers, in their order."""
    number = np.zeros(len(columns[0]), dtype=np.int64)
    for column in columns:
        known, place = np.unique(column, return_inverse=True)
        number = np.unique(number * len(known) + place, return_inverse=True)[1]
    return number


def _distinct(rows: np.ndarray) -> np.ndarray:
    """Return each row once; rows are compared as bytes, which is many times as fast as number by number."""
    whole = np.ascontiguousarray(rows + 0.0)  # no negative zeros
    if not whole.size:
        return whole
    _, first = np.unique(whole.view(np.dtype((np.void, whole.dtype.itemsize * whole.shape[1]))), return_index=True)
    return whole[first]


def _span(rows: np.ndarray) -> np.ndarray:
    """Return an orthonormal basis of the rows."""
    if not rows.size:
        return rows[:0]
    _, size, basis = np.linalg.svd(rows, full_matrices=False)
    return basis[size > 1e-9]
