"""Sums of products of the options of a multiple choice, on which the error of shares of choices rests."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import narwhals.stable.v2 as nw

from ..spec.tree import CHOICES, Node, Tree
from .survey import Survey
from .survey_scores import unit_sums
from .unitsums import UnitSums


def choice_products(survey: Survey, options: Sequence[Node], by: Sequence[str]) -> dict[str, UnitSums]:
    """Sum x·t over people, x whether an option was chosen (1 or 0) and t how many of its question's options that person chose.

    Parameters
    ----------
    options
        Those that the wave has a column of.
    by
        Levels and group columns.

    Returns
    -------
    dict
        Axis → sums; the cell of an option holds 100·x·t/k, k options.
    """
    frame = nw.from_native(survey.frame)
    made = nw.sum_horizontal(*(nw.col(option.code) for option in options))
    products = frame.with_columns(*((nw.col(option.code) * made).alias(option.code) for option in options))
    leaves = tuple(replace(option, parent="", minimum=0.0, maximum=float(len(options))) for option in options)
    return unit_sums(replace(survey, frame=nw.to_native(products)), by, trees={CHOICES: Tree(leaves)})
