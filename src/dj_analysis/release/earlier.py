"""Small groups identifiable by comparing releases of the same wave."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from ..spec.units import ALL
from .mask import Conflict, Mask
from .overlaps import UNCOVERED, small_overlap
from .sheets import HASH, LEFT_OUT, axes_in

HOME = "@shown"  # ends the name of a column with the part that was shown
EXACT_LIMIT = 300  # combinations of parts that are searched exactly where there are more than two breakdowns
RATIO = 4.0  # the furthest the weight of one person may be from another's in a combination that is looked for
TINY = 1e-7


@dataclass(frozen=True)
class EarlierRelease:
    """What left of a wave at one time: the rows that were shown, and the answer sheets they rested on.

    Attributes
    ----------
    rows
        A hash of each sheet, its place on every axis and the part that was shown there; no answer.
    """

    mask: Mask
    rows: pd.DataFrame = field(repr=False)


def conflict_with(rows: pd.DataFrame, earlier: Sequence[EarlierRelease], least: int) -> Conflict | None:
    """Return what finds the part to hide next because earlier releases and this one tell about too few people together.

    Parameters
    ----------
    rows
        The sheets of this release.
    """
    if not earlier:
        return None
    together = [list(earlier)] if len(earlier) > 1 else []
    pairs = [(len(some), _matched(rows, some)) for some in [*together, *([release] for release in earlier)]]

    def conflict(mask: Mask) -> tuple[str, str] | None:
        return _next_to_hide(mask, pairs, least)

    return conflict


def with_homes(rows: pd.DataFrame, mask: Mask) -> pd.DataFrame:
    """Add to the sheets of a release the lowest part shown that each counts to, on every axis."""
    homes = {f"{axis}{HOME}": rows[axis].map(mask.homes[axis]).fillna(ALL).astype("str") for axis in axes_in(rows)}
    return rows.assign(**homes)


def _next_to_hide(mask: Mask, pairs: Sequence[tuple[int, pd.DataFrame]], least: int) -> tuple[str, str] | None:
    """Look at all earlier releases together, then one by one; at the people, and at those who answered each question."""
    for number, both in pairs:
        new = {axis: both[axis].map(mask.homes[axis]).fillna("") for axis in mask.homes if axis in both}
        old = {name: both[name].fillna("") for name in both if name.endswith(HOME)}
        labels = np.column_stack([_codes(home) for home in (*new.values(), *old.values())])
        if len(np.unique(labels, axis=0)) <= EXACT_LIMIT:
            groups = [(list(new), labels)]
        elif number > 1:
            continue
        else:
            axes = [(axis, name) for axis in new for name in old if name == f"0:{axis}{HOME}"]
            groups = [([axis], np.column_stack([_codes(new[axis]), _codes(old[name])])) for axis, name in axes]
        for axes_, columns in groups:
            for n in _answering(both):
                inside = smallest_union(columns, n, least)
                if inside is not None:
                    return _smallest_part({axis: new[axis] for axis in axes_}, inside)
    return None


def smallest_union(labels: np.ndarray, n: np.ndarray, least: int) -> np.ndarray | None:
    """Find fewer than ``least`` people about whom the totals of several breakdowns tell together.

    Two breakdowns exactly (:func:`dj_analysis.release.overlaps.small_overlap`). For more, what tells about few people is 0
    on every large combination: these are taken out by linear algebra, which nearly always leaves nothing; else the fewest
    people are found by integer programming, with weights of one person against another up to :data:`RATIO`.

    Parameters
    ----------
    labels
        One row a combination of parts, one column a breakdown: number of the part, :data:`UNCOVERED` where it is not covered.
    n
        People of each combination.
    """
    there = n > 0
    atoms, inverse = np.unique(labels[there], axis=0, return_inverse=True)
    people = np.bincount(inverse.ravel(), weights=n[there], minlength=len(atoms))
    two = atoms.shape[1] == 2
    apart = (
        small_overlap(atoms[:, 0], atoms[:, 1], people, least) if two else _smallest_combination(atoms, people, least)
    )
    if apart is None:
        return None
    inside = np.zeros(len(labels), dtype=bool)
    inside[there] = apart[inverse.ravel()]
    return inside


def _answering(both: pd.DataFrame) -> list[np.ndarray]:
    """Return who counts, for the people and for each question somebody left out.

    Where sheets are gone others may be what became of them: then a sheet that is not in every release counts half, as one
    person may stand for two.
    """
    weight = np.where(both["gone"].any() & ~both["always"].to_numpy(), 0.5, 1.0)
    left_out = both[LEFT_OUT].fillna("")
    codes = sorted({code for text in left_out.unique() for code in text.split()})
    lacking = [
        left_out.map({text: code in text.split() for text in left_out.unique()}).to_numpy(bool) for code in codes
    ]
    counts = {n.tobytes(): n for n in [weight, *(np.where(lacks, 0.0, weight) for lacks in lacking)]}
    return list(counts.values())


def _smallest_part(homes: Mapping[str, pd.Series], apart: np.ndarray) -> tuple[str, str]:
    touched = []
    for axis, home in homes.items():
        counts = home.value_counts()
        touched += [(int(counts[part]), axis, part) for part in sorted(set(home[apart]) - {"", ALL})]
    return min(touched)[1:] if touched else (next(iter(homes)), "")


def _matched(new: pd.DataFrame, releases: Sequence[EarlierRelease]) -> pd.DataFrame:
    """Put the answers of this release and of earlier ones side by side; the same answer twice is matched twice."""
    sheets = new.assign(_twin=new.groupby(HASH).cumcount(), _in=1)
    for number, release in enumerate(releases):
        homes = [name for name in release.rows if name.endswith(HOME)]
        side = release.rows[[HASH, LEFT_OUT, *homes]].rename(columns={name: f"{number}:{name}" for name in homes})
        side = side.assign(_twin=side.groupby(HASH).cumcount(), **{f"_in{number}": 1})
        sheets = sheets.merge(side, on=[HASH, "_twin"], how="outer", suffixes=("", "_other"))
        sheets[LEFT_OUT] = sheets[LEFT_OUT].fillna(sheets.pop(f"{LEFT_OUT}_other"))
    there = sheets[["_in", *(f"_in{number}" for number in range(len(releases)))]].notna()
    return sheets.assign(gone=sheets["_in"].isna(), always=there.all(axis=1))


def _codes(home: pd.Series) -> np.ndarray:
    codes, names = pd.factorize(home, sort=True)
    return np.where(np.asarray(names)[codes] == "", UNCOVERED, codes)


def _smallest_combination(atoms: np.ndarray, people: np.ndarray, least: int) -> np.ndarray | None:
    """Several partitions: the fewest people with x ≠ 0, where x = Σ α(part) and not 0 for all.

    What tells about few people is 0 on every large combination: these are taken out by linear algebra, which nearly always
    leaves nothing. Else the fewest people are found by integer programming, with weights of one person against another
    up to :data:`RATIO`.
    """
    parts = np.vstack([(column == np.arange(column.max() + 1)[:, None]).astype(float) for column in atoms.T])
    small = people < least
    space = _with_unit_pivots(_vanishing(parts[:, ~small]) @ parts[:, small])
    if not len(space):
        return None
    chosen = np.zeros(len(atoms), dtype=bool)
    held = space.any(axis=0)
    fewest = _fewest(space[:, held], people[small][held], least)
    if fewest is None:
        return None
    chosen[np.flatnonzero(small)[held]] = fewest
    return chosen


def _vanishing(columns: np.ndarray) -> np.ndarray:
    """Return a basis of the combinations of rows that are 0 in every column, one a row."""
    if not columns.shape[1]:
        return np.eye(len(columns))
    _, size, right = np.linalg.svd(columns.T, full_matrices=True)
    return right[int((size > TINY * max(1.0, size[0])).sum()) :]


def _with_unit_pivots(matrix: np.ndarray) -> np.ndarray:
    """Return a basis of the row space that is the identity at as many columns as it has rows."""
    from scipy.linalg import qr

    if not matrix.size:
        return matrix[:0]
    _, size, basis = np.linalg.svd(matrix, full_matrices=False)
    basis = basis[: int((size > TINY * max(1.0, size[0])).sum())]
    if not len(basis):
        return basis
    pivots = qr(basis, pivoting=True, mode="economic")[2][: len(basis)]
    unit = np.linalg.solve(basis[:, pivots], basis)
    unit[np.abs(unit) < TINY] = 0
    return unit


def _fewest(space: np.ndarray, people: np.ndarray, least: int) -> np.ndarray | None:
    """Return where the combination of these rows that tells about the fewest people, below ``least``, is not 0."""
    from scipy.optimize import Bounds, LinearConstraint, milp

    if len(space) == 1:
        return space[0] != 0 if people[space[0] != 0].sum() < least else None
    size = space.shape[1]
    pivots = [int(np.flatnonzero((np.abs(space - one[:, None]) < TINY).all(axis=0))[0]) for one in np.eye(len(space))]
    others = np.setdiff1d(np.arange(size), pivots)
    one, nothing = np.eye(size), np.zeros((len(others), size))
    follows = np.zeros((len(others), size))  # x at the other places follows from x at the pivots
    follows[np.arange(len(others)), others] = 1
    follows[:, pivots] -= space[:, others].T
    solution = milp(
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
    return None if solution.x is None else solution.x[size:].reshape(2, -1).sum(axis=0) > 0.5
