"""What is printed for a dimension follows from its questions where too few left one of them out to be told apart."""

from __future__ import annotations

import numpy as np

from ..spec.settings import FLOOR
from ..spec.specification import Specification
from ..spec.tree import FORMS
from .unitsums import UnitSums


def shifts(sums: UnitSums, spec: Specification, period: str) -> np.ndarray:
    """Return what is added to each score before it is printed.

    Whoever knows the mean of a dimension and those of its questions knows something about those alone who left a question
    out: for everybody else the questions give the dimension. Where they are fewer than min_group, the dimension is printed
    as the mean over all answers to its questions (and the index as that over all dimension scores), which follows from
    what is printed for these. Where everybody answered everything the two are the same number.

    Returns
    -------
    array
        Points, units × cells; 0 where the score itself is printed.
    """
    told = np.divide(
        sums.sums["wx"], sums.sums["w"], out=np.full_like(sums.sums["w"], np.nan), where=sums.sums["w"] > 0
    )
    mean, n, w = told.copy(), sums.sums["n"], sums.sums["w"]
    least, place = max(spec.min_group, FLOOR), {cell: j for j, cell in enumerate(sums.cells)}
    for form in FORMS:
        tree = spec.codebook.at(period).tree.in_form(form)
        for node in tree.inner:  # children come before their parent
            below = [
                (place[form, child.code], child.weight)
                for child in tree.children(node.code)
                if (form, child.code) in place
            ]
            if (form, node.code) not in place or not below:
                continue
            at, columns = place[form, node.code], [j for j, _ in below]
            weights = w[:, columns] * [weight for _, weight in below]
            with np.errstate(divide="ignore", invalid="ignore"):
                pooled = np.nansum(weights * told[:, columns], axis=1) / weights.sum(axis=1)
            apart = np.abs(n[:, [at]] - n[:, columns]).max(axis=1) >= least
            told[:, at] = np.where(
                apart | np.isnan(pooled), mean[:, at], np.where(np.isnan(mean[:, at]), np.nan, pooled)
            )
    return np.nan_to_num(told - mean)
