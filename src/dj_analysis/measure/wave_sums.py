"""A wave summed block by block: scores of every cell of its trees, by unit, on every axis."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
import polars as pl

from ..spec.bands import SLACK, Bands
from ..spec.tables import whole_numbers
from ..spec.tree import Node
from .block_scores import (
    Filled,
    LeafMeans,
    LeafScores,
    NodeMeans,
    Scored,
    Steps,
    answers_of,
    has_score,
    whole_values,
    with_zeros,
)
from .block_sums import MOST_COUNTED, POWERS, Members, Occurrences, RowWeights, Sums, Totals, added, together
from .scored_cells import Plan
from .unitsums import STATISTICS, Cell, UnitSums

Scorer = LeafScores | LeafMeans | NodeMeans
Key = str | Cell  # a question, or a node of a form


@dataclass
class UnitsOfAxis:
    """Units seen on one axis, in the order they came, with their rows and heaviest weights."""

    places: dict[str, int] = field(default_factory=dict)
    persons: np.ndarray = field(default_factory=lambda: np.zeros(0))
    heaviest: np.ndarray = field(default_factory=lambda: np.zeros(0))
    _enum: pl.Enum = field(default_factory=lambda: pl.Enum([]), repr=False)

    def members(self, keys: pl.Series | None, rows: int, weights: np.ndarray | None) -> Members:
        """Place the rows of a block; without keys all are of one unit, that of no name."""
        place = np.repeat(self.placed([""]), rows) if keys is None else self._places_of(keys.cast(pl.String))
        self.persons += np.bincount(place, minlength=len(self.places))
        if weights is not None:
            np.maximum.at(self.heaviest, place, weights)
        return Members(place, len(self.places))

    def _places_of(self, names: pl.Series) -> np.ndarray:
        """Return the place of each row's unit; most blocks hold units seen before. Missing names are those of no unit."""
        place = names.cast(self._known(), strict=False).to_physical()
        if place.null_count() > names.null_count():
            self.placed(names.filter(place.is_null()).drop_nulls().unique(maintain_order=True).to_list())
            place = names.cast(self._known()).to_physical()
        values, there = whole_values(place)
        if place.null_count():
            values = np.where(there, values, self.placed([""])[0])
        return values.astype(np.int32)

    def _known(self) -> pl.Enum:
        """Return the type of the names seen, whose numbers are their places."""
        if len(self._enum.categories) != len(self.places):
            self._enum = pl.Enum(list(self.places))
        return self._enum

    def placed(self, names: Iterable[str]) -> np.ndarray:
        """Return the places of units, those not seen before after the others."""
        places = np.array([self.places.setdefault(name, len(self.places)) for name in names], dtype=np.int32)
        self.persons, self.heaviest = (_longer(values, len(self.places)) for values in (self.persons, self.heaviest))
        return places


def _longer(values: np.ndarray, many: int) -> np.ndarray:
    return np.concatenate([values, np.zeros(many - len(values))])


class WaveSums:
    """Sums of a wave by unit, block by block; what they are of is in :func:`dj_analysis.measure.scoring.sum_frames`.

    Attributes
    ----------
    outside
        Questions with an answer outside their range.
    """

    def __init__(
        self, plan: Plan, axes: Sequence[str], favourable: Bands, low: Bands, index: str | None,
        *, weighted: bool, scale: float, counts_only: bool,
    ):  # fmt: skip
        self.plan, self.weighted, self.scale, self.counts_only = plan, weighted, scale, counts_only
        self.axes = {axis: UnitsOfAxis() for axis in axes}
        self.outside: list[Node] = []
        self.scorers: dict[Key, Scorer] = {leaf.code: LeafScores(leaf) for leaf in plan.leaves}
        for form, code in plan.nodes:
            self.scorers[form, code] = self._scorer(form, code)
        means = [(key[0], scorer) for key, scorer in self.scorers.items() if isinstance(scorer, NodeMeans)]
        self.summed_up = {key for form, scorer in means for key in self._keys(form, scorer.children)}
        #: Questions: steps above which an answer is favourable. Nodes: score below which an index is low.
        self.cut: dict[Key, float] = {
            leaf.code: favourable.bands[0].point / 100 * (leaf.maximum - leaf.minimum) + SLACK for leaf in plan.leaves
        }
        self.cut |= {cell: low.of - SLACK for cell in plan.nodes if cell[1] == index and low.of is not None}
        self.occurrences = {
            key: Occurrences(scorer.values, self._flagged(key, scorer.values))
            for key, scorer in self.scorers.items()
            if isinstance(scorer, LeafScores) and len(scorer.values) <= MOST_COUNTED
        }
        self.totals = {
            key: Totals(weighted, scorer.scores, self._flagged(key, scorer.values), scorer.factor)
            for key, scorer in self.scorers.items()
        }
        self.counts: dict[str, np.ndarray] = {}

    def _scorer(self, form: str, code: str) -> LeafMeans | NodeMeans:
        tree = self.plan.trees[form]
        children = [c for c in tree.children(code) if c.code in self.scorers or (form, c.code) in self.scorers]
        of_leaves = all(child.code in self.scorers for child in children)
        return (LeafMeans if of_leaves else NodeMeans)(children, tree.least(tree[code]))

    def _keys(self, form: str, children: Sequence[Node]) -> list[Key]:
        return [child.code if child.code in self.scorers else (form, child.code) for child in children]

    def _flagged(self, key: Key, values: np.ndarray) -> np.ndarray | None:
        """Tell which values are counted apart: favourable answers (in steps), low indexes."""
        if key not in self.cut:
            return None
        with np.errstate(invalid="ignore"):
            return values > self.cut[key] if isinstance(key, str) else values < self.cut[key]

    def add(self, block: pl.DataFrame, columns: Mapping[str, str | None], weight: str | None) -> None:
        """Sum the rows of a block."""
        if not block.height:
            return
        w = block[weight].cast(pl.Float64).to_numpy() if weight else None
        weights = None if w is None else RowWeights(w / self.scale)
        members = {
            axis: self.axes[axis].members(block[column] if column else None, block.height, w)
            for axis, column in columns.items()
        }
        steps = answers_of(block, self.plan.leaves)
        self.outside = [leaf for leaf in self.plan.leaves if steps[leaf.code].outside or leaf in self.outside]
        if self.counts_only:
            persons = np.ones(block.height, bool) if w is None else w > 0
            there = [has_score(scored) & persons for _, scored in self._scored(steps)]
            for axis, of_axis in members.items():
                block_counts = of_axis.matrix @ np.column_stack([np.zeros(block.height), *there])
                self.counts[axis] = added(self.counts.get(axis), block_counts)
            return
        for key, scored in self._scored(steps):
            if scored.codes is not None and key in self.occurrences:
                self.occurrences[key].add(scored.codes, members, weights)
            elif scored.codes is not None:
                self.totals[key].add_codes(scored.codes, members, weights)
            if scored.x is not None:
                at = steps[key].parts if isinstance(key, str) else scored.x
                assert at is not None, "what has no code has a number"
                self.totals[key].add(scored.x, self._flagged(key, at), members, weights)

    def _scored(self, steps: Mapping[str, Steps]) -> Iterator[tuple[Key, Scored]]:
        """Score a block cell by cell; a node over nodes follows its children."""
        numbers: dict[Key, Filled] = {}
        for key, scorer in self.scorers.items():
            if isinstance(scorer, LeafScores):
                scored = scorer.of(steps[scorer.leaf.code])
            elif isinstance(scorer, LeafMeans):
                scored = scorer.of(steps)
            else:
                scored = scorer.of([numbers[one] for one in self._keys(key[0], scorer.children)])
            if key in self.summed_up:
                numbers[key] = with_zeros(scored, scorer.scores)
            yield key, scored

    def include(self, other: WaveSums) -> None:
        """Add the sums of other rows of the same wave."""
        for axis, theirs in other.axes.items():
            mine = self.axes[axis]
            place = mine.placed(theirs.places)
            mine.persons[place] += theirs.persons
            mine.heaviest[place] = np.maximum(mine.heaviest[place], theirs.heaviest)
            for (sums, _), (their_sums, shape) in zip(self.tables(), other.tables(), strict=True):
                if axis in their_sums:
                    block = np.zeros((len(mine.places), *shape), their_sums[axis].dtype)
                    block[place[: len(their_sums[axis])]] = their_sums[axis]
                    sums[axis] = added(sums.get(axis), block)
        outside = {leaf.code for leaf in (*self.outside, *other.outside)}
        self.outside = [leaf for leaf in self.plan.leaves if leaf.code in outside]

    def tables(self) -> list[tuple[dict[str, np.ndarray], tuple[int, ...]]]:
        """Return all that is added up, in a fixed order: axis → units × columns, and the shape of the columns."""
        if self.counts_only:
            return [(self.counts, (1 + len(self.scorers),))]
        summed: list[Occurrences | Totals] = [*self.occurrences.values(), *self.totals.values()]
        return [(one.totals, one.columns(weighted=self.weighted)) for one in summed]

    def laid_out(self, axis: str, *, whole_keys: bool) -> UnitSums:
        """Arrange the sums of one axis as units × cells, units in the order of their names.

        Parameters
        ----------
        whole_keys
            Units are numbers that came as floats: whole ones are written without a point.
        """
        units, cells = self.axes[axis], self.plan.cells
        many = len(units.places)
        sums = {name: np.zeros((many, len(cells)), order="F") for name in STATISTICS}  # written column by column
        leaves = {leaf.code for leaf in self.plan.leaves}
        columns: dict[Key, list[int]] = {}  # a question of several forms is summed once
        for j, (form, code) in enumerate(cells):
            columns.setdefault(code if code in leaves else (form, code), []).append(j)
        for key, places in columns.items():
            of_key = self._sums(key, axis, many)
            if isinstance(key, str):
                of_key |= {"answers": of_key["w"], "favourable": of_key["flagged"]}
            else:
                of_key["low"] = of_key["flagged"]
            for name in STATISTICS:
                for j in places if name in of_key else ():
                    sums[name][:, j] = of_key[name]
        for j, (form, code) in enumerate(cells):
            below = [] if code in leaves else [leaf.code for leaf in self.plan.trees[form].leaves_of(code)]
            for leaf in (leaf for leaf in below if leaf in leaves):
                for name in ("answers", "favourable"):
                    sums[name][:, j] += sums[name][:, columns[leaf][0]]
        names = pd.Series(list(units.places), dtype="str")
        names = whole_numbers(names).replace("nan", "") if whole_keys else names
        order = names.argsort(kind="stable").to_numpy()
        return UnitSums(
            axis, tuple(names.iloc[order]), cells, units.persons[order],
            {name: np.ascontiguousarray(sums.pop(name)[order]) for name in STATISTICS},
            units.heaviest[order] if self.weighted else None,
        )  # fmt: skip

    def _sums(self, key: Key, axis: str, many: int) -> Sums:
        if self.counts_only:
            counts = self.counts[axis][:, 1 + list(self.scorers).index(key)] if axis in self.counts else np.zeros(0)
            return together([{"n": counts}], many, 1.0, alike=False)
        scorer, told = self.scorers[key], [self.totals[key].sums(axis)]
        if key in self.occurrences and isinstance(scorer, LeafScores):
            # Sums of whole steps are exact; they become points here.
            counted = self.occurrences[key].sums(axis)
            told = [{name: of * scorer.points ** POWERS.get(name, (0, 0))[1] for name, of in counted.items()}, *told]
        return together(told, many, self.scale, alike=not self.weighted)
