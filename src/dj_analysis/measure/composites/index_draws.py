"""Vectorised index of many units under many draws of choices."""

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
    """A node of the tree: columns and weights of its children, least number observed, leaves below.

    Columns under the number of leaves are leaves; the others are earlier branches, in their order.
    """

    code: str
    children: tuple[int, ...]
    weights: np.ndarray
    least: int
    below: tuple[int, ...]


def branches_of(tree: Tree, code: str, leaves: Sequence[str]) -> tuple[Branch, ...]:
    """Return the branches of a subtree, children before parents; leaves that were not measured are left out."""
    column = {leaf: j for j, leaf in enumerate(leaves)}
    branches: list[Branch] = []
    for node in tree.inner:
        children = [child for child in tree.children(node.code) if child.code in column]
        if children and code in (node.code, *tree.ancestors(node.code)):
            weights = np.array([child.weight for child in children])
            below = tuple(column[leaf.code] for leaf in tree.leaves_of(node.code) if leaf.code in leaves)
            branches.append(
                Branch(node.code, tuple(column[child.code] for child in children), weights, tree.least(node), below)
            )
            column[node.code] = len(leaves) + len(branches) - 1
    return tuple(branches)


@dataclass(frozen=True)
class Combination:
    """One combination of imputation, normaliser and aggregator."""

    impute: Imputation | None
    normaliser: str | Normaliser
    aggregator: str | Aggregator


@dataclass(frozen=True)
class DrawModel:
    """Fixed inputs of all draws: values units × leaves (NaN missing), declared ends, groups, branches.

    ``base`` holds the choices that are not open: treatment, options of the normaliser, cutting, floor, reweighting,
    least shares.
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
        """Normalise values; parameters are fitted on the model's own values.

        An indicator that is the same for all units has no place on a learned scale: its weight goes to its siblings, as in
        :func:`~dj_analysis.measure.composite.composite`; where no sibling varies it is 50 for all and does not affect ranks.
        Under a geometric or harmonic mean a scale that reaches 0 is squeezed to floor–100, and what lies below
        is held at the floor.
        """
        if way.impute not in self._made:  # winsorising is slow; there are few imputations
            self._made[way.impute] = self._prepared(way, self.values)
        own_values = self._made[way.impute]
        method = normaliser(way.normaliser)
        options = self.base.options if method.name == normaliser(self.base.normaliser).name else {}
        params = method.fit(own_values, self.ends, **options)
        own_scaled = self._placed(method, params, own_values)
        scaled = own_scaled if values is None else self._placed(method, params, self._prepared(way, values))
        floor = self.base.floor
        if way.aggregator in POSITIVE and not floor and (own_scaled <= 0).any():
            floor = self.floor
        scaled = floor + scaled * (HIGH - floor) / HIGH if floor else scaled
        return np.maximum(scaled, floor) if floor and way.aggregator in POSITIVE else scaled

    def _prepared(self, way: Combination, values: np.ndarray) -> np.ndarray:
        """Impute and winsorise values; both are fitted on the model's own values."""
        own_values = self.values
        if way.impute is not None:
            learned = learn_imputation(own_values, self.codes, way.impute, self.groups)
            own_values, values = (imputed(v, self.codes, learned, self.groups) for v in (own_values, values))
        return held(values, self.codes, learn_limits(own_values, self.codes)) if self.base.treat else values

    def _placed(self, method: Normaliser, params: Params, values: np.ndarray) -> np.ndarray:
        scaled = method.apply(values, params)
        self._check_placed(method, values, scaled)
        scaled = np.where(self._alone(scaled, values) & np.isnan(scaled) & ~np.isnan(values), MIDDLE, scaled)
        return np.clip(scaled, LOW, HIGH) if self.base.cut else scaled

    def _alone(self, scaled: np.ndarray, values: np.ndarray) -> np.ndarray:
        """Flag indicators constant over all units whose weight no sibling can take over."""
        unscaled = (np.isnan(scaled) & ~np.isnan(values)).any(axis=0)
        isolated = np.zeros(len(unscaled), dtype=bool)
        for branch in self.branches if unscaled.any() else ():
            if not self.base.reweight or unscaled[list(branch.below)].all():
                isolated[list(branch.below)] = unscaled[list(branch.below)]
        return isolated

    def _check_placed(self, method: Normaliser, values: np.ndarray, scaled: np.ndarray) -> None:
        """Check that every varying indicator has a scale and that goalposts contain every value."""
        problems = Problems()
        for j, code in enumerate(self.codes):
            observed = values[~np.isnan(values[:, j]), j]
            unscaled = np.isnan(scaled[:, j]) & ~np.isnan(values[:, j])
            low, high = (
                float(np.broadcast_to(end, len(self.codes))[j]) for end in (self.ends.minimum, self.ends.maximum)
            )
            declared, allowed = f"{low:g}–{high:g}", "minimum < maximum"
            if unscaled.any() and (method.name == "goalposts" or np.ptp(observed) > 0):
                problems.add(
                    code, f"range_{method.name}", declared, allowed, "填上区间或目标 (give the range, or the target)"
                )
            elif (
                method.name == "goalposts"
                and observed.size
                and (observed.min() < low - SLACK or observed.max() > high + SLACK)
            ):
                worst = observed.min() if observed.min() < low - SLACK else observed.max()
                problems.add(code, "out_of_range", f"{worst:g}", declared, "改正数值或区间 (correct value or range)")
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
            Draws × units; NaN where too little is observed, the same units in every draw.
        """
        table = self.scaled(way) if scaled is None else scaled
        enough = self.enough(~np.isnan(table))
        if not isinstance(way.aggregator, str) or way.aggregator not in _SCALES:
            return self._by_function(aggregator(way.aggregator), weights, table, enough)
        transform, inverse = _SCALES[way.aggregator]
        observed = ~np.isnan(table)
        parts = np.where(observed, transform(np.where(observed, table, 1.0)), 0.0)
        complete = observed[:, self.branches[-1].below].all(axis=1) & np.all(enough, axis=0)
        index = np.empty((len(weights[-1]), len(table)))
        index[:, complete] = self._of_whole(weights, parts[complete])
        if not complete.all():
            gapped = ~complete
            index[:, gapped] = self._of_gapped(
                weights, parts[gapped], observed[gapped], [scored[gapped] for scored in enough]
            )
        return np.round(inverse(index), DIGITS)

    def _of_whole(self, weights: Sequence[np.ndarray], parts: np.ndarray) -> np.ndarray:
        """Index of units without gaps: weights multiplied down to the leaves, then one matrix product."""
        branch_weights = [np.zeros((len(weights[-1]), 1))] * len(self.branches)
        branch_weights[-1] = np.ones((len(weights[-1]), 1))
        leaf_weights = np.zeros((len(weights[-1]), len(self.codes)))
        for i in reversed(range(len(self.branches))):
            share = weights[i] / weights[i].sum(axis=1, keepdims=True) * branch_weights[i]
            for j, child in enumerate(self.branches[i].children):
                if child < len(self.codes):
                    leaf_weights[:, child] = share[:, j]
                else:
                    branch_weights[child - len(self.codes)] = share[:, [j]]
        return leaf_weights @ parts.T

    def _of_gapped(
        self, weights: Sequence[np.ndarray], parts: np.ndarray, observed: np.ndarray, enough: list[np.ndarray]
    ) -> np.ndarray:
        """Index of units with gaps, node by node: the weight of a missing child goes to its siblings."""
        means = [np.broadcast_to(part, (len(weights[-1]), len(part))) for part in parts.T]
        available = [*observed.T.astype(float)]
        for branch, w, scored in zip(self.branches, weights, enough, strict=True):
            weighted_sum = sum(w[:, [i]] * (means[c] * available[c]) for i, c in enumerate(branch.children))
            weight = sum(w[:, [i]] * available[c] for i, c in enumerate(branch.children))
            with np.errstate(divide="ignore", invalid="ignore"):
                mean = np.where(weight > 0, weighted_sum / weight, np.nan)
            means.append(np.where(scored, mean, 0.0))
            available.append(scored.astype(float))
        return np.where(enough[-1], means[-1], np.nan)

    def enough(self, observed: np.ndarray) -> list[np.ndarray]:
        """Flag for each branch the units with a score; imputed values enter means but do not count as observed."""
        answered = ~np.isnan(self.values)
        observed_columns, usable, scored_by_branch = list(answered.T), list(observed.T), []
        for branch in self.branches:
            weighted = [child for child, weight in zip(branch.children, branch.weights, strict=True) if weight > 0]
            scored = np.sum([observed_columns[child] for child in branch.children], axis=0) >= branch.least
            if self.base.min_share is not None:
                scored = answered[:, branch.below].mean(axis=1) >= self.base.min_share - 1e-9
            usable_children = [usable[child] for child in weighted]
            scored = scored & (
                np.any(usable_children, axis=0) if self.base.reweight else np.all(usable_children, axis=0)
            )
            observed_columns.append(scored)
            usable.append(scored)
            scored_by_branch.append(scored)
        return scored_by_branch

    def _by_function(
        self, average: Aggregator, weights: Sequence[np.ndarray], table: np.ndarray, enough: list[np.ndarray]
    ) -> np.ndarray:
        """Aggregate by a researcher's own function, one draw after the other."""
        index = np.empty((len(weights[-1]), len(table)))
        for draw in range(len(index)):
            columns = list(table.T)
            for branch, w, scored in zip(self.branches, weights, enough, strict=True):
                values = np.column_stack([columns[child] for child in branch.children])
                columns.append(np.where(scored, average(values, w[draw], reweight=self.base.reweight), np.nan))
            index[draw] = columns[-1]
        return np.round(index, DIGITS)

    def blocks(
        self, ways: Sequence[Combination], way: np.ndarray, weights: Sequence[np.ndarray], chosen: np.ndarray
    ) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Yield (positions, scores) of draws that take way ``way[i]`` and set of weights ``chosen[i]``, in bounded blocks."""
        size = max(1, CELLS // max(1, len(self.values)))
        for number, combination in enumerate(ways):
            positions = np.flatnonzero(way == number)
            scaled = self.scaled(combination) if positions.size else None
            for start in range(0, positions.size, size):
                part = positions[start : start + size]
                yield part, self.scores(combination, [w[chosen[part]] for w in weights], scaled)


def ranks_of(scores: np.ndarray) -> np.ndarray:
    """Ranks along the last axis, 1 is the highest; equal scores share the best of their places. No NaN allowed."""
    order, places = np.argsort(scores, axis=-1), np.arange(scores.shape[-1], 0, -1, dtype=np.int32)
    ordered = np.sort(scores, axis=-1)
    ranks = np.empty(scores.shape, dtype=np.int32)
    tied = ordered[..., 1:] == ordered[..., :-1]
    if tied.any():
        # From the top down, an equal score takes the place of the one above it.
        ends_tie = np.concatenate([~tied, np.ones_like(tied[..., :1])], axis=-1)[..., ::-1]
        shared_places = np.maximum.accumulate(np.where(ends_tie, places[::-1], 0), axis=-1)[..., ::-1]
        np.put_along_axis(ranks, order, shared_places.astype(np.int32), axis=-1)
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
    weights = []
    for branch in branches:
        share = np.broadcast_to(branch.weights / branch.weights.sum(), (draws, len(branch.weights)))
        if how == "dirichlet":
            share = rng.standard_gamma(amount * share)
        elif how == "uniform":
            share = share * rng.uniform(1 - amount, 1 + amount, share.shape)
        weights.append(share / share.sum(axis=1, keepdims=True))
    return weights
