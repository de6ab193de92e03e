"""Links between months scored by different versions of the indicators."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cache

import numpy as np
from scipy import stats

from ..spec import reasons
from ..spec.periods import parse
from ..spec.settings import FLOOR
from ..spec.specification import Specification
from ..spec.tree import Node, Tree, is_extra
from .composites.equating import LEAST_UNITS, Equation, equate
from .linked_scores import VersionLink
from .survey import Indicators
from .unit_points import Occasion, occasion

ASKED = (
    0.5  # share of the units with a score that have a value of an indicator, where a month is taken to have asked it
)


def version_table(occasions: Sequence[Occasion], codes: Sequence[str]) -> list[list[str]]:
    """Return the scoring version of each code (columns) in each period (rows); ``""`` where it is not in force."""
    version = _versions()
    return [[version(one.tree, code) for code in codes] for one in occasions]


def _versions() -> Callable[[Tree, str], str]:
    known: dict[tuple[str, str], str] = {}

    def version(tree: Tree, code: str) -> str:
        key = (tree.version, code)
        if key not in known:
            known[key] = tree.scoring_version(code)
        return known[key]

    return version


def version_links(data: Indicators, spec: Specification, occasions: Sequence[Occasion]) -> tuple[VersionLink, ...]:
    """Link every code across every change of its indicators, by the best that the months allow.

    First by overlap: where the values of a month are enough to score it by both versions (they were collected before or after, or
    one list is part of the other). Else by equating with the indicators both versions share, if these have enough of both weights;
    else with the same units in the two months at the change, which takes all units together to be as good as before. Codes that rest
    on statistics about persons are linked by one line for all units, never unit by unit.

    Returns
    -------
    tuple
        In order of the codes, then of time; a link that nothing supports is ``broken``.
    """
    codes = list(dict.fromkeys(code for one in occasions for code in one.codes))
    versions = version_table(occasions, codes)
    changed = [code for j, code in enumerate(codes) if len({row[j] for row in versions} - {""}) > 1]
    if not changed:
        return ()
    names = tuple(dict.fromkeys(unit for one in occasions for unit in one.units))
    view = _View(data, spec, occasions, names)
    return tuple(
        view.link(code, old, new)
        for code in changed
        for old, new in _changes([row[codes.index(code)] for row in versions])
    )


def scatter_table(periods: Sequence[str], codes: Sequence[str], links: Sequence[VersionLink]) -> np.ndarray:
    """Return how months of each version scatter beside those of the first one, as far as overlaps tell: periods × codes."""
    scatter = np.ones((len(periods), len(codes)))
    start = np.array([parse(period).start for period in periods])
    for link in links:
        scatter[start >= parse(link.period).start, list(codes).index(link.code)] *= link.scatter
    return scatter


def _changes(versions: Sequence[str]) -> list[tuple[list[int], list[int]]]:
    """Return places of the months before and after each change; months in which the code is not in force are passed over."""
    runs: list[tuple[str, list[int]]] = []
    for place, version in enumerate(versions):
        if not version:
            continue
        if runs and runs[-1][0] == version:
            runs[-1][1].append(place)
        else:
            runs.append((version, [place]))
    return [(old, new) for (_, old), (_, new) in itertools.pairwise(runs)]


class _View:
    """The months at hand, scored by any of their versions."""

    def __init__(self, data: Indicators, spec: Specification, occasions: Sequence[Occasion], names: tuple[str, ...]):
        self.occasions, self.names, self.rule = occasions, names, spec.rules.linking
        self.least = max(spec.min_group, FLOOR)
        units = spec.units.at(data.period)
        root = units.root.level
        self.levels = np.array([units[n].level if n in units else root if n == "ALL" else "" for n in names])
        self.scored_by = cache(lambda place, other: self._scored_by(data, spec, place, other))

    def _scored_by(self, data: Indicators, spec: Specification, place: int, other: int) -> Occasion:
        """Score one month by the version in force in another."""
        return occasion(data, spec, self.occasions[place].period, self.occasions[other].tree)

    def points(self, place: int, code: str) -> np.ndarray:
        """Scores of a month by its own version; of units whose statistics rest on too few people none, for a line would tell of them."""
        month = self.occasions[place]
        points = month.laid_out(self.names, [code])[:, 0]
        persons = [leaf.code for leaf in month.tree.leaves_of(code) if leaf.about == "persons"]
        few = (
            (month.laid_out(self.names, persons, "n") < self.least).any(axis=1)
            if persons
            else np.zeros(len(points), bool)
        )
        return np.where(few, np.nan, points)

    def link(self, code: str, old: list[int], new: list[int]) -> VersionLink:
        """Choose what links a code over one change."""
        window = self.rule.window
        old_months, new_months = old[-window:], new[:window]
        persons = self._about_persons(code, old[-1], new[0])
        empty = VersionLink(
            code, self.occasions[old[-1]].period, self.occasions[new[0]].period, "broken", persons=persons
        )
        for method in (self._by_overlap, self._by_items, self._by_units):
            link = method(empty, old_months, new_months)
            if link is not None:
                return link
        return empty

    def _by_overlap(self, link: VersionLink, old: list[int], new: list[int]) -> VersionLink | None:
        pairs = [(self.points(m, link.code), self._other_points(m, new[0], link.code)) for m in old]
        pairs += [(self._other_points(m, old[-1], link.code), self.points(m, link.code)) for m in new]
        before, after = (np.stack([pair[side] for pair in pairs]) for side in (0, 1))
        both = ~np.isnan(before) & ~np.isnan(after)
        before, after = (np.where(both, side, np.nan) for side in (before, after))
        level, line = self._line(_mean(before), _mean(after))
        if line is None:
            return None
        here = self.levels == level
        scatters = [_scatter(side[:, here]) for side in (before, after)]
        months = int(both.any(axis=1).sum())
        link = replace(link, method="overlap", level=level, months=months, line=line)
        shifts = np.stack([np.where(both[i], new_ - old_, np.nan) for i, (old_, new_) in enumerate(pairs)])
        scatter = float(np.sqrt(scatters[1] / scatters[0])) if min(scatters) > 0 else 1.0
        link = replace(link, between=_spread(_mean(shifts)[here]), scatter=scatter)
        if link.persons:
            return link
        return replace(link, units=self.names, offset=_mean(shifts), offset_se=_shift_errors(shifts, self.levels))

    def _other_points(self, place: int, other: int, code: str) -> np.ndarray:
        """Score a month by another version, if it has values of every indicator that version asks."""
        scored = self.scored_by(place, other)
        own = ~np.isnan(self.points(place, code))
        leaves = [leaf.code for leaf in scored.tree.leaves_of(code) if not is_extra(leaf)]
        there = ~np.isnan(scored.laid_out(self.names, leaves))
        there |= scored.laid_out(self.names, leaves, "reason") == reasons.NOT_APPLICABLE
        asked = own.any() and bool((there[own].mean(axis=0) >= ASKED).all())
        return scored.laid_out(self.names, [code])[:, 0] if asked else np.full(len(self.names), np.nan)

    def _by_items(self, link: VersionLink, old: list[int], new: list[int]) -> VersionLink | None:
        trees = [self.occasions[place].tree for place in (old[-1], new[0])]
        shared = _shared(trees[0], trees[1], link.code)
        weights = [_leaf_weights(tree, link.code) for tree in trees]
        least = min(sum(of[pair[side]] for pair in shared) for side, of in enumerate(weights)) if shared else 0.0
        if least < self.rule.anchors:
            return None
        weight = np.array([weights[1][pair[1]] for pair in shared])
        sides = []
        for side, months in enumerate((old, new)):
            codes = [pair[side] for pair in shared]
            leaves = [self.occasions[m].laid_out(self.names, codes) for m in months]
            sides.append(_mean(np.stack([_weighted(points, weight) for points in leaves])))
        stacked = [np.stack([self.points(m, link.code) for m in months]) for months in (old, new)]
        level, line = self._line(_mean(stacked[0]), _mean(stacked[1]), (sides[0], sides[1]))
        if line is None:
            return None
        months_used, between = len(old) + len(new), self._suits(link.code, line, level, old, new)
        return replace(
            link,
            method="common_items",
            level=level,
            months=months_used,
            anchors=len(shared),
            line=line,
            between=between,
        )

    def _by_units(self, link: VersionLink, old: list[int], new: list[int]) -> VersionLink | None:
        if parse(link.period).index - parse(link.before_period).index != 1:
            return None
        level, line = self._line(
            self.points(old[-1], link.code), self.points(new[0], link.code), common=self._movement(link.code)
        )
        if line is None:
            return None
        between = self._suits(link.code, line, level, old, new)
        return replace(link, method="same_units", level=level, months=2, line=line, between=between)

    def _suits(self, code: str, line: Equation, level: str, old: list[int], new: list[int]) -> float:
        """Standard deviation between units of how much better or worse than the line the new version suits them.

        What scatters around the line, less what the scatter of months explains; by the median, so that a few units that truly rose or fell
        do not count. With one month on a side all of it counts.
        """
        here = self.levels == level
        sides = [np.stack([self.points(m, code)[here] for m in months]) for months in (old, new)]
        around = _mean(sides[1]) - line(_mean(sides[0]))
        noise = [_noise(side) for side in sides]
        explained = line.slope**2 * noise[0] + noise[1] if not np.isnan(noise).any() else 0.0
        return float(np.sqrt(max(0.0, _spread(around) ** 2 - explained)))

    def _line(
        self, x: np.ndarray, y: np.ndarray, anchors: tuple[np.ndarray, np.ndarray] | None = None, common: float = 0.0
    ) -> tuple[str, Equation | None]:
        """Equate at the level that has most units."""
        has = ~np.isnan(np.column_stack([x, y, *(anchors or ())])).any(axis=1)
        levels = {level: int((has & (self.levels == level)).sum()) for level in dict.fromkeys(self.levels) if level}
        level = max(levels, key=lambda name: levels[name])
        if levels[level] < LEAST_UNITS:
            return level, None
        here = self.levels == level
        part = (anchors[0][here], anchors[1][here]) if anchors is not None else None
        return level, equate(x[here], y[here], part, spread=levels[level] >= self.rule.units, common=common)

    def _movement(self, code: str) -> float:
        """Standard deviation of what all units move together from one month to the next under one version."""
        versions = [one.tree.scoring_version(code) for one in self.occasions]
        sizes = {level: (self.levels == level).sum() for level in dict.fromkeys(self.levels) if level}
        here = self.levels == max(sizes, key=lambda name: int(sizes[name]))
        squares = []
        for place in range(1, len(versions)):
            if versions[place] and versions[place] == versions[place - 1]:
                step = (self.points(place, code) - self.points(place - 1, code))[here]
                step = step[~np.isnan(step)]
                if len(step) >= LEAST_UNITS:
                    squares.append(step.mean() ** 2 - step.var(ddof=1) / len(step))
        return float(np.sqrt(max(0.0, np.mean(squares)))) if squares else 0.0

    def _about_persons(self, code: str, *places: int) -> bool:
        return any(leaf.about == "persons" for p in places for leaf in self.occasions[p].tree.leaves_of(code))


def _shared(old: Tree, new: Tree, code: str) -> list[tuple[str, str]]:
    """Return the indicators both versions have: the same code or one that replaces it, scored in the same way."""
    before = {leaf.code: leaf for leaf in old.leaves_of(code) if not is_extra(leaf)}
    pairs = []
    for leaf in new.leaves_of(code):
        earlier = before.get(leaf.code) or before.get(leaf.replaces)
        if earlier is not None and old.scoring_version(earlier.code) == new.scoring_version(leaf.code):
            pairs.append((earlier.code, leaf.code))
    return pairs


def _leaf_weights(tree: Tree, code: str) -> dict[str, float]:
    """Return the share of each leaf in a code, down the tree."""
    children: tuple[Node, ...] = tuple(child for child in tree.children(code) if not is_extra(child))
    whole = sum(child.weight for child in children) or 1.0
    if not children:
        return {code: 1.0}
    return {
        leaf: weight * child.weight / whole
        for child in children
        for leaf, weight in _leaf_weights(tree, child.code).items()
    }


def _weighted(points: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Weighted mean over the columns of those who have them all."""
    return np.asarray(points @ (weights / weights.sum()))


def _mean(values: np.ndarray) -> np.ndarray:
    """Mean over the first axis of what is known."""
    known = ~np.isnan(values)
    count = known.sum(axis=0)
    return np.divide(np.nansum(values, axis=0), count, out=np.full(count.shape, np.nan), where=count > 0)


def _spread(values: np.ndarray) -> float:
    """Standard deviation by the median absolute deviation (Hampel 1974)."""
    known = values[~np.isnan(values)]
    return float(stats.median_abs_deviation(known, scale="normal")) if len(known) > 1 else 0.0


def _scatter(points: np.ndarray) -> float:
    """Variance of a unit's single months beside what all units have in common in them; NaN with one month."""
    months = (~np.isnan(points)).sum(axis=0)
    used = points[(~np.isnan(points)).any(axis=1)]
    free = float((months - 1).clip(min=0).sum())
    if free == 0:
        return float("nan")
    residual = used - np.nanmean(used - _mean(used), axis=1, keepdims=True)
    return float(np.nansum((residual - _mean(residual)) ** 2) / free)


def _noise(points: np.ndarray) -> float:
    """Error variance of a unit's mean over months."""
    months = (~np.isnan(points)).sum(axis=0)
    return _scatter(points) * float((1 / months[months > 0]).mean()) if months.any() else float("nan")


def _shift_errors(shifts: np.ndarray, levels: np.ndarray) -> np.ndarray:
    """Standard error of each unit's mean shift, from how months of its level scatter around the shift of their unit.

    Where every unit has one month only, their shifts may differ by chance alone: their spread is the most the error can be.
    """
    months = (~np.isnan(shifts)).sum(axis=0)
    centred = shifts - _mean(shifts)
    errors = np.full(months.shape, np.nan)
    for level in dict.fromkeys(levels):
        here = levels == level
        free = int((months[here] - 1).clip(min=0).sum())
        if free:
            errors[here] = np.sqrt(np.nansum(centred[:, here] ** 2) / free)
        elif (known := shifts[:, here][~np.isnan(shifts[:, here])]).size > 1:
            errors[here] = known.std(ddof=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(np.where(months > 0, errors / np.sqrt(months), np.nan))
