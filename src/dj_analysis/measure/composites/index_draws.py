"""The index of many units under many sets of choices at once: arrays in, ranks out."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

from ...errors import DataError, Problems
from ...spec.bands import SLACK
from ...spec.tree import Tree
from .aggregators import POSITIVE, Aggregator, aggregator
from .choices import Choices
from .normalisers import HIGH, LOW, Ends, Normaliser, Params, normaliser
from .preparing import Imputation, held, imputed, learn_imputation, learn_limits

MIDDLE = (LOW + HIGH) / 2  # where an indicator without a place on the scale stands, for all units
CELLS = 2_000_000  # draws × units that are computed at once: 16 MB an array
DIGITS = 9  # scores that differ by less are the same: matrix products round differently from row to row

#: Power means averaged in another scale: to it and back.
_SCALES: dict[str, tuple[Callable[[np.ndarray], np.ndarray], Callable[[np.ndarray], np.ndarray]]] = {
    "arithmetic": (np.asarray, np.asarray),
    "geometric": (np.log, np.exp),
    "harmonic": (np.reciprocal, np.reciprocal),
}


@dataclass(frozen=True)
class Branch:
    """A node of the tree: the columns of its children, their weights, how many must be there, the leaves below.

    Columns under the number of leaves are leaves; the others are earlier branches, in their order.
    """

    code: str
    children: tuple[int, ...]
    weights: np.ndarray
    least: int
    below: tuple[int, ...]


def branches_of(tree: Tree, code: str, leaves: Sequence[str]) -> tuple[Branch, ...]:
    """Lay out the part of a tree below a node, each node after its children; leaves that were not measured are left out."""
    place = {leaf: j for j, leaf in enumerate(leaves)}
    found: list[Branch] = []
    for node in tree.inner:
        children = [child for child in tree.children(node.code) if child.code in place]
        if children and code in (node.code, *tree.ancestors(node.code)):
            weights = np.array([child.weight for child in children])
            below = tuple(place[leaf.code] for leaf in tree.leaves_of(node.code) if leaf.code in leaves)
            found.append(
                Branch(node.code, tuple(place[child.code] for child in children), weights, tree.least(node), below)
            )
            place[node.code] = len(leaves) + len(found) - 1
    return tuple(found)


@dataclass(frozen=True)
class Combination:
    """One way to go from values to the index, weights aside."""

    impute: Imputation | None
    normaliser: str | Normaliser
    aggregator: str | Aggregator


@dataclass(frozen=True)
class DrawModel:
    """All that stays the same from draw to draw: values units × leaves (NaN missing), what is declared of them, the tree.

    ``base`` gives what is not left open: treatment, options of the normaliser, cutting, floor, reweighting, least shares.
    """

    codes: tuple[str, ...]
    values: np.ndarray
    ends: Ends
    groups: np.ndarray | None
    branches: tuple[Branch, ...]
    base: Choices
    floor: float
    _made: dict[Imputation | None, np.ndarray] = field(default_factory=dict, repr=False, compare=False)

    def scaled(self, way: Combination, values: np.ndarray | None = None) -> np.ndarray:
        """Bring values to one scale; what is learned is learned from the model's own values.

        An indicator that is the same for all units has no place on a learned scale: its weight goes to its siblings, as in
        :func:`~dj_analysis.measure.composite.composite`; where no sibling varies it is 50 for all and moves nobody. Under a
        geometric or harmonic mean a scale that reaches 0 is squeezed to floor–100, and what lies below is held at the floor.
        """
        if way.impute not in self._made:  # outliers take long to find; there are few ways to fill gaps
            self._made[way.impute] = self._prepared(way, self.values)
        own = self._made[way.impute]
        how = normaliser(way.normaliser)
        options = self.base.options if how.name == normaliser(self.base.normaliser).name else {}
        params = how.fit(own, self.ends, **options)
        placed = self._placed(how, params, own)
        made = placed if values is None else self._placed(how, params, self._prepared(way, values))
        floor = self.base.floor
        if way.aggregator in POSITIVE and not floor and (placed <= 0).any():
            floor = self.floor
        made = floor + made * (HIGH - floor) / HIGH if floor else made
        return np.maximum(made, floor) if floor and way.aggregator in POSITIVE else made

    def _prepared(self, way: Combination, values: np.ndarray) -> np.ndarray:
        """Fill gaps and hold outliers; both are learned from the model's own values."""
        own = self.values
        if way.impute is not None:
            learned = learn_imputation(own, self.codes, way.impute, self.groups)
            own, values = (imputed(v, self.codes, learned, self.groups) for v in (own, values))
        return held(values, self.codes, learn_limits(own, self.codes)) if self.base.treat else values

    def _placed(self, how: Normaliser, params: Params, values: np.ndarray) -> np.ndarray:
        made = how.apply(values, params)
        self._check_placed(how, values, made)
        made = np.where(self._alone(made, values) & np.isnan(made) & ~np.isnan(values), MIDDLE, made)
        return np.clip(made, LOW, HIGH) if self.base.cut else made

    def _alone(self, made: np.ndarray, values: np.ndarray) -> np.ndarray:
        """Indicators without a place on the scale (the same for all units) whose weight no sibling can take over."""
        lost = (np.isnan(made) & ~np.isnan(values)).any(axis=0)
        alone = np.zeros(len(lost), dtype=bool)
        for branch in self.branches if lost.any() else ():
            if not self.base.reweight or lost[list(branch.below)].all():
                alone[list(branch.below)] = lost[list(branch.below)]
        return alone

    def _check_placed(self, how: Normaliser, values: np.ndarray, made: np.ndarray) -> None:
        """An indicator that varies must find a place on the scale; goalposts must hold every value."""
        problems = Problems()
        for j, code in enumerate(self.codes):
            known = values[~np.isnan(values[:, j]), j]
            lost = np.isnan(made[:, j]) & ~np.isnan(values[:, j])
            low, high = (
                float(np.broadcast_to(end, len(self.codes))[j]) for end in (self.ends.minimum, self.ends.maximum)
            )
            found, allowed = f"{low:g}–{high:g}", "minimum < maximum"
            if lost.any() and (how.name == "goalposts" or np.ptp(known) > 0):
                problems.add(
                    code, f"range_{how.name}", found, allowed, "填上区间或目标 (give the range, or the target)"
                )
            elif how.name == "goalposts" and known.size and (known.min() < low - SLACK or known.max() > high + SLACK):
                worst = known.min() if known.min() < low - SLACK else known.max()
                problems.add(code, "out_of_range", f"{worst:g}", found, "改正数值或区间 (mend value or range)")
        problems.raise_if_any(DataError)

    def scores(self, way: Combination, weights: Sequence[np.ndarray], scaled: np.ndarray | None = None) -> np.ndarray:
        """Compute the index of every unit under many sets of weights.

        Parameters
        ----------
        weights
            Of each branch: draws × children.
        scaled
            Values on one scale; those of the model by default.

        Returns
        -------
        numpy.ndarray
            Draws × units; NaN where too little is known, the same units in every draw.
        """
        table = self.scaled(way) if scaled is None else scaled
        enough = self.enough(~np.isnan(table))
        if not isinstance(way.aggregator, str) or way.aggregator not in _SCALES:
            return self._by_function(aggregator(way.aggregator), weights, table, enough)
        to, back = _SCALES[way.aggregator]
        known = ~np.isnan(table)
        parts = np.where(known, to(np.where(known, table, 1.0)), 0.0)
        whole = known[:, self.branches[-1].below].all(axis=1) & np.all(enough, axis=0)
        made = np.empty((len(weights[-1]), len(table)))
        made[:, whole] = self._of_whole(weights, parts[whole])
        if not whole.all():
            rest = ~whole
            made[:, rest] = self._of_gapped(weights, parts[rest], known[rest], [there[rest] for there in enough])
        return np.round(back(made), DIGITS)

    def _of_whole(self, weights: Sequence[np.ndarray], parts: np.ndarray) -> np.ndarray:
        """Means of units without gaps: weights multiplied down to the leaves, then one matrix product."""
        down = [np.zeros((len(weights[-1]), 1))] * len(self.branches)
        down[-1] = np.ones((len(weights[-1]), 1))
        flat = np.zeros((len(weights[-1]), len(self.codes)))
        for i in reversed(range(len(self.branches))):
            share = weights[i] / weights[i].sum(axis=1, keepdims=True) * down[i]
            for j, child in enumerate(self.branches[i].children):
                if child < len(self.codes):
                    flat[:, child] = share[:, j]
                else:
                    down[child - len(self.codes)] = share[:, [j]]
        return flat @ parts.T

    def _of_gapped(
        self, weights: Sequence[np.ndarray], parts: np.ndarray, known: np.ndarray, enough: list[np.ndarray]
    ) -> np.ndarray:
        """Means of units with gaps, node by node: the weight of what is missing goes to its siblings."""
        means = [np.broadcast_to(part, (len(weights[-1]), len(part))) for part in parts.T]
        have = [*known.T.astype(float)]
        for branch, w, there in zip(self.branches, weights, enough, strict=True):
            total = sum(w[:, [i]] * (means[c] * have[c]) for i, c in enumerate(branch.children))
            weight = sum(w[:, [i]] * have[c] for i, c in enumerate(branch.children))
            with np.errstate(divide="ignore", invalid="ignore"):
                mean = np.where(weight > 0, total / weight, np.nan)
            means.append(np.where(there, mean, 0.0))
            have.append(there.astype(float))
        return np.where(enough[-1], means[-1], np.nan)

    def enough(self, known: np.ndarray) -> list[np.ndarray]:
        """Tell of each branch which units get a score; what was imputed makes a mean possible but does not count as answered."""
        answered = ~np.isnan(self.values)
        columns, usable, found = list(answered.T), list(known.T), []
        for branch in self.branches:
            some = [child for child, weight in zip(branch.children, branch.weights, strict=True) if weight > 0]
            there = np.sum([columns[child] for child in branch.children], axis=0) >= branch.least
            if self.base.min_share is not None:
                there = answered[:, branch.below].mean(axis=1) >= self.base.min_share - 1e-9
            counted = [usable[child] for child in some]
            there = there & (np.any(counted, axis=0) if self.base.reweight else np.all(counted, axis=0))
            columns.append(there)
            usable.append(there)
            found.append(there)
        return found

    def _by_function(
        self, average: Aggregator, weights: Sequence[np.ndarray], table: np.ndarray, enough: list[np.ndarray]
    ) -> np.ndarray:
        """Average by a researcher's own function, one draw after the other."""
        made = np.empty((len(weights[-1]), len(table)))
        for draw in range(len(made)):
            columns = list(table.T)
            for branch, w, there in zip(self.branches, weights, enough, strict=True):
                values = np.column_stack([columns[child] for child in branch.children])
                columns.append(np.where(there, average(values, w[draw], reweight=self.base.reweight), np.nan))
            made[draw] = columns[-1]
        return np.round(made, DIGITS)

    def blocks(
        self, ways: Sequence[Combination], way: np.ndarray, weights: Sequence[np.ndarray], chosen: np.ndarray
    ) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Yield (positions, scores) of draws that take way ``way[i]`` and set of weights ``chosen[i]``, in bounded blocks."""
        size = max(1, CELLS // max(1, len(self.values)))
        for number, combination in enumerate(ways):
            here = np.flatnonzero(way == number)
            scaled = self.scaled(combination) if here.size else None
            for start in range(0, here.size, size):
                part = here[start : start + size]
                yield part, self.scores(combination, [w[chosen[part]] for w in weights], scaled)


def ranks_of(scores: np.ndarray) -> np.ndarray:
    """Ranks along the last axis, 1 is the highest; equal scores share the best of their places. No NaN allowed."""
    order, places = np.argsort(scores, axis=-1), np.arange(scores.shape[-1], 0, -1, dtype=np.int32)
    ordered = np.sort(scores, axis=-1)
    ranks = np.empty(scores.shape, dtype=np.int32)
    tied = ordered[..., 1:] == ordered[..., :-1]
    if tied.any():
        # From the top down, an equal score takes the place of the one above it.
        last = np.concatenate([~tied, np.ones_like(tied[..., :1])], axis=-1)[..., ::-1]
        shared = np.maximum.accumulate(np.where(last, places[::-1], 0), axis=-1)[..., ::-1]
        np.put_along_axis(ranks, order, shared.astype(np.int32), axis=-1)
    else:
        np.put_along_axis(ranks, order, np.broadcast_to(places, scores.shape), axis=-1)
    return ranks


def drawn_weights(
    branches: Sequence[Branch], how: str, amount: float, draws: int, rng: np.random.Generator
) -> list[np.ndarray]:
    """Draw sets of weights around the declared ones, branch by branch; they add up to 1, and a weight of 0 stays 0.

    ``dirichlet``: Dirichlet(amount × declared shares): mean the declared share p, variance p(1−p)/(amount+1). ``uniform``: each
    weight times 1 ± amount, every factor in between as likely. ``none``: the declared ones.
    """
    made = []
    for branch in branches:
        share = np.broadcast_to(branch.weights / branch.weights.sum(), (draws, len(branch.weights)))
        if how == "dirichlet":
            share = rng.standard_gamma(amount * share)
        elif how == "uniform":
            share = share * rng.uniform(1 - amount, 1 + amount, share.shape)
        made.append(share / share.sum(axis=1, keepdims=True))
    return made
