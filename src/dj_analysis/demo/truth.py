"""Expected observed scores under the answer model."""

from __future__ import annotations

from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd
from scipy.special import ndtr

from ..spec.codebook import Codebook
from ..spec.tree import Tree
from ..spec.units import ALL, Unit, Units
from .answers import BLANK, NOT_APPLICABLE, STRAIGHT_OPTIONS, STRAIGHT_SHARES, AnswerModel, Wave, same_option
from .questions import Questions

NODES = 33  # quadrature over mood


def wave_truth(wave: Wave, model: AnswerModel, codebook: Codebook, units: Units, period: str) -> pd.DataFrame:
    """Return expected scores of the first tree's units in one wave: period, level, unit, form, code, score (0–100).

    Parameters
    ----------
    codebook, units
        As they are in that period.
    """
    rows = [units.root, *(unit for unit in units.rows if unit.tree == units.trees[0] and unit.unit != ALL)]
    weights = _below(rows, wave.labels.to_list(), units) * model.staff.expected
    scores = weights @ expected_scores(wave.questions, wave.shift, model) / weights.sum(axis=1, keepdims=True)
    blocks = []
    for form in codebook.forms("full" if wave.full else "pulse"):
        shares = _item_weights(codebook.tree.in_form(form), wave.questions.codes)
        block = pd.DataFrame(scores @ np.array(list(shares.values())).T, columns=list(shares))
        keys = {"period": period, "level": [u.level for u in rows], "unit": [u.unit for u in rows], "form": form}
        blocks.append(block.assign(**keys).melt(list(keys), var_name="code", value_name="score"))
    return pd.concat(blocks, ignore_index=True).astype({"code": "str"})


def expected_scores(
    questions: Questions, shift: np.ndarray, model: AnswerModel, cells: Any = slice(None)
) -> np.ndarray:
    """Return each item's expected observed score among the respondents of each cell: cells × items."""
    points, weights = np.polynomial.hermite_e.hermegauss(NODES)
    answering = weights * ndtr(model.readiness[cells, None] + model.selection * points)
    answering /= answering.sum(axis=1, keepdims=True)
    spread = np.sqrt((questions.factors**2).sum(axis=1) + questions.noise**2)
    steps = np.zeros(shift.shape)
    for cuts in questions.cuts.T:
        some = np.isfinite(cuts)
        latent = shift[:, None, some] + points[:, None] * questions.mood[some] - cuts[some]
        steps[:, some] += np.einsum("cq,cqi->ci", answering, ndtr(latent / spread[some]))
    reading, straight = 1 - model.careless - model.straight, _straight_scores(questions)
    return 100 * (reading * steps / questions.steps + model.careless * 0.5 + model.straight * straight)


def _straight_scores(questions: Questions) -> np.ndarray:
    """Return each item's expected score among straightliners, from 0 to 1."""
    low, high, forward = questions.ends
    ticked = STRAIGHT_SHARES @ same_option(STRAIGHT_OPTIONS, questions)
    return np.where(forward, ticked - low, high - ticked) / (high - low)


def _below(rows: list[Unit], labels: list[str], units: Units) -> np.ndarray:
    """Return whether each cell belongs to each unit: units × cells."""
    above = {label: {label, *units.ancestors(label)} for label in set(labels)}
    return np.array([[unit.unit in above[label] for label in labels] for unit in rows])


def _item_weights(tree: Tree, codes: list[str]) -> dict[str, np.ndarray]:
    """Return the weight of every item in the expected score of each code.

    Answers are missing at random, so an item's expected weight in a node is its mean share over the patterns of answers
    that give the node a score; likewise for a dimension within the index.
    """
    item_weights = {leaf.code: np.eye(len(codes))[codes.index(leaf.code)] for leaf in tree.leaves}
    scored = dict.fromkeys(item_weights, 1 - BLANK - NOT_APPLICABLE)
    for node in tree.inner:
        children = [child.code for child in tree.children(node.code)]
        weights, scored[node.code] = _pattern_weights(np.array([scored[code] for code in children]), tree.least(node))
        item_weights[node.code] = weights @ np.array([item_weights[code] for code in children])
    return {code: item_weights[code] for code in tree.codes}


def _pattern_weights(chance: np.ndarray, least: int) -> tuple[np.ndarray, float]:
    """Return each child's expected weight in the mean, and the probability that enough children are present."""
    weights, total = np.zeros(len(chance)), 0.0
    for size in range(least, len(chance) + 1):
        for present in combinations(range(len(chance)), size):
            here = np.isin(np.arange(len(chance)), present)
            probability = float(np.prod(np.where(here, chance, 1 - chance)))
            weights += probability * here / size
            total += probability
    return weights / total, total
