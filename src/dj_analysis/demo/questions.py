"""The questions of the synthetic survey: wording, difficulty, factor loadings."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy.special import ndtri

from ..spec.codebook import Codebook, Option, Scale, default_codebook
from ..spec.periods import parse
from ..spec.tree import Node, Tree
from . import names
from .wishes import wish_nodes

# How people answer. A latent answer has variance 1: mood, the dimension's own factor, noise of the item. On an item of
# ordinary difficulty the five options take 4, 10, 27, 40 and 19 % of the answers.
MOOD, FACTOR = (0.46, 0.56), (0.28, 0.36)  # loadings, drawn once for each item
CUTS5 = (0.04, 0.14, 0.41, 0.81)
CUTS11 = (0.01, 0.02, 0.035, 0.06, 0.10, 0.20, 0.32, 0.50, 0.74, 0.88)
USUAL = (-3.0, -5.0, 0.0, 3.0, 8.0, 7.0, 0.0, -2.0)  # points by dimension, against an ordinary item
IMPORTANCE = (0.12, 0.22, 0.12, 0.22, 0.14, 0.06, 0.08, 0.04)  # of the dimensions for the outcome
POINTS = 24.0  # points of observed score a latent unit is worth, about


@dataclass(frozen=True)
class Questions:
    """Answer-model parameters of every item version: arrays with one row per item."""

    nodes: tuple[Node, ...]
    raised: np.ndarray  # items × 8: how the effects on dimensions move it
    factors: np.ndarray  # items × 8: loadings on the dimensions' factors
    mood: np.ndarray
    noise: np.ndarray
    cuts: np.ndarray  # items × options less one; +inf where there are fewer

    @property
    def codes(self) -> list[str]:
        """Codes of the items."""
        return [node.code for node in self.nodes]

    @property
    def steps(self) -> np.ndarray:
        """Steps of each item's scale, one less than its options."""
        return np.isfinite(self.cuts).sum(axis=1)

    @property
    def ends(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Lowest and highest option, and whether high is good."""
        low, high, direction = np.array([(node.minimum, node.maximum, node.direction) for node in self.nodes]).T
        return low, high, direction == 1

    def take(self, rows: Sequence[int] | np.ndarray) -> Questions:
        """Return some of the items, in the order given."""
        chosen = [getattr(self, name)[rows] for name in ("raised", "factors", "mood", "noise", "cuts")]
        return Questions(tuple(self.nodes[int(row)] for row in rows), *chosen)


def demo_codebook(middle: str) -> Codebook:
    """Return the package's instrument with groups as choices and one full-form item reworded from ``middle`` on."""
    base = default_codebook()
    others = tuple(replace(node, scale=node.code) if node.code in names.GROUPS else node for node in base.others)
    choices = {
        code: Scale(code, tuple(Option(str(i), float(i), zh, en) for i, (zh, en, _) in enumerate(categories, 1)))
        for code, categories in names.GROUPS.items()
    }
    nodes = _reworded(base.tree.nodes, middle) if middle else base.tree.nodes
    return replace(base, tree=Tree(nodes), others=(*others, *wish_nodes()), scales={**base.scales, **choices})


def draw_questions(codebook: Codebook, rng: np.random.Generator) -> Questions:
    """Draw each item's loadings and difficulty; outcome items load on every dimension."""
    leaves = codebook.tree.leaves
    dimensions = np.array([node.code for node in codebook.dimensions])
    outcome = np.array([leaf.parent not in dimensions for leaf in leaves])
    own = np.array([dimensions == leaf.parent for leaf in leaves], dtype=float)
    raised = np.where(outcome[:, None], np.array(IMPORTANCE), own)
    mood, loading = rng.uniform(*MOOD, len(leaves)), rng.uniform(*FACTOR, len(leaves)) + 0.2 * outcome
    factors = loading[:, None] * raised / np.linalg.norm(raised, axis=1, keepdims=True)
    ease = raised @ np.array(USUAL) / POINTS + rng.normal(0, 0.12, len(leaves))
    return Questions(tuple(leaves), raised, factors, mood, np.sqrt(1 - mood**2 - loading**2), _cuts(leaves, ease))


def _reworded(nodes: Sequence[Node], middle: str) -> tuple[Node, ...]:
    """Return the items with one ended before ``middle`` and followed by its reworded version."""
    place = next(i for i, node in enumerate(nodes) if node.code == names.REWORDED_CODE)
    old = replace(nodes[place], valid_to=parse(middle).previous.text)
    new = replace(nodes[place], **names.REWORDED, valid_from=middle, replaces=old.code)
    return (*nodes[:place], old, new, *nodes[place + 1 :])


def _cuts(leaves: Sequence[Node], ease: np.ndarray) -> np.ndarray:
    """Return the thresholds of each item's options on the latent scale."""
    cuts = np.full((len(leaves), len(CUTS11)), np.inf)
    for row, leaf in enumerate(leaves):
        shares = CUTS5 if leaf.maximum - leaf.minimum == len(CUTS5) else CUTS11
        cuts[row, : len(shares)] = ndtri(shares) - ease[row]
    return cuts
