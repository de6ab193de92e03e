"""Attribution of a warning: the dimensions a unit lags in, and the questions that carry the gap."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from ..measure.inference import uncertainty
from ..measure.inference.shrinkage import left_out, shrunken
from ..measure.scores import Scores
from ..spec import reasons
from ..spec.tree import Tree
from ..spec.units import ALL

TARGET = "target"
SMALLEST = 1e-9  # points: a gap below this is none


class Carrier(NamedTuple):
    """A question below a driver: points of the gap it carries, persons who answered it, whether it carries its share."""

    item: str
    carried: float
    n: int
    carries: bool


@dataclass(frozen=True)
class Driver:
    """A dimension in which a unit lags behind the unit above, or behind the declared target.

    Attributes
    ----------
    shortfall
        Points by which its shrunken mean lies below what it is held against.
    probability
        That the true gap is above 0.
    from_unit, importance
        The unit whose relative importance was used, and the share; "" and NaN where none is known.
    priority
        importance × shortfall × probability; without importance shortfall × probability.
    carriers
        Every question, the one that carries most first; what they carry sums to the shortfall.
    """

    code: str
    n: int
    against: str
    shortfall: float
    probability: float
    from_unit: str
    importance: float
    priority: float
    carriers: tuple[Carrier, ...]


class Attribution:
    """Scores of a wave laid out so that every flagged unit is attributed by looking up.

    Gaps and questions are those of the fullest form of the wave: a full wave asks what the anchors leave out. Means of
    dimensions are shrunken within their level (Fay and Herriot 1979), as they are where fewer than four units have an error.

    Parameters
    ----------
    scores
        Scores of the wave.
    shares
        unit, code, share: relative importance for the outcome (``dj.drivers``); None where it is not known.
    """

    def __init__(self, scores: Scores, shares: pd.DataFrame | None):
        self.spec, self.period = scores.spec, scores.period
        codebook = self.spec.codebook.at(self.period)
        self.form = "full" if (scores.table["form"] == "full").any() else "anchors"
        self.tree: Tree = codebook.tree.in_form("full" if self.form == "full" else "anchors")
        self.dimensions = [node.code for node in codebook.dimensions if node.code in self.tree]
        self.units = self.spec.units.at(self.period)
        rows = scores.table[(scores.table["form"] == self.form) & scores.table["level"].isin(self.units.levels)]
        rows = rows.reset_index(drop=True)
        self.shown = ~left_out(rows, scores, ())
        self._raw = rows[self.shown].set_index(["level", "unit", "code"])[["n", "score", "se", "df"]]
        self._scores: dict[Any, float] = self._raw["score"].to_dict()
        self._means = self._shrunken(scores, rows)
        self._known = set(self._raw.index.droplevel("code"))
        self._shares = _by_unit(shares)

    def drivers(self, level: str, unit: str) -> tuple[list[Driver], str]:
        """Return the drivers of a unit, the most urgent first, and why there are none."""
        rule = self.spec.rules.attribution
        above = "" if rule.target else self._unit_above(unit)
        if not rule.target and not above:
            return [], reasons.NO_UNIT_ABOVE
        lagging = []
        for code in self.dimensions:
            one = self._driver(level, unit, code, above)
            if one is not None and one.probability >= rule.sure:
                lagging.append(one)
        lagging.sort(key=lambda one: -np.nan_to_num(one.priority))
        return lagging[: rule.drivers], "" if lagging else reasons.NO_SURE_GAP

    def _shrunken(self, scores: Scores, rows: pd.DataFrame) -> dict[tuple[str, str, str], tuple[float, float]]:
        """Return (shrunken mean, standard error) by level, unit and dimension; the plain ones where nothing can be shrunken."""
        wanted = rows[rows["code"].isin(self.dimensions)]
        means = {}
        for level in wanted["level"].unique():
            table = shrunken(scores.with_table(wanted), str(level)).table
            plain = wanted[wanted["level"] == level]
            value = np.where(table["shrunken"].notna(), table["shrunken"], plain["score"])
            error = np.where(table["shrunken"].notna(), table["se"], plain["se"])
            for key, mean, se in zip(
                zip(table["level"], table["unit"], table["code"], strict=True), value, error, strict=True
            ):
                means[key] = (float(mean), float(se))
        return means

    def _unit_above(self, unit: str) -> str:
        """Return the nearest unit above whose scores may be shown; "" for the root."""
        above = self.units.ancestors(unit) if unit != ALL else []
        return next((one for one in above if (self.units[one].level, one) in self._known), "")

    def _driver(self, level: str, unit: str, code: str, above: str) -> Driver | None:
        """Return how a unit lags in a dimension; None where it does not, or where too few people answered."""
        if (level, unit, code) not in self._raw.index:
            return None
        rule, raw = self.spec.rules.attribution, self._raw.loc[(level, unit, code)]
        home = self.units[above].level if above else ""
        mean, se = self._means[level, unit, code]
        wanted, wanted_se = (rule.target, 0.0) if not above else self._means.get((home, above, code), (np.nan, np.nan))
        wanted_raw = rule.target if not above else self._score(home, above, code)
        shortfall, plain = wanted - mean, wanted_raw - raw["score"]
        if not (shortfall > SMALLEST and plain > SMALLEST):
            return None
        gap, error, df = (np.array([float(v)]) for v in (shortfall, np.hypot(se, np.nan_to_num(wanted_se)), raw["df"]))
        probability = float(uncertainty.probability(gap, error, df, 0.0, "above")[0])
        from_unit, importance = self._importance(unit, code)
        weight = 1.0 if not from_unit else importance
        return Driver(
            code, int(raw["n"]), above or TARGET, float(shortfall), probability, from_unit, importance,
            float(weight * shortfall * probability), self._carriers(level, unit, code, (home, above), float(plain), float(shortfall)),
        )  # fmt: skip

    def _carriers(
        self, level: str, unit: str, code: str, above: tuple[str, str], plain: float, shortfall: float
    ) -> tuple[Carrier, ...]:
        """Split the gap of a dimension by its questions.

        Each question's gap counts by its weight. What is left, because people answer some questions and not others, is spread
        by weight; the whole is then brought to the shrunken gap. So the parts add up exactly.
        """
        leaves = self.tree.leaves_of(code)
        own = np.array([self._score(level, unit, leaf.code) for leaf in leaves])
        target = self.spec.rules.attribution.target
        other = np.array([self._score(*above, leaf.code) if above[1] else target for leaf in leaves])
        gaps, known = other - own, ~np.isnan(other - own)
        if not known.any():
            return ()
        weight = np.array([self.tree.weight_in_whole(leaf.code, code) for leaf in leaves]) * known
        weight = weight / weight.sum()
        parts = weight * np.where(known, gaps, 0.0)
        parts = (parts + weight * (plain - parts.sum())) * shortfall / plain
        carriers = [
            Carrier(leaf.code, float(part), self._n(level, unit, leaf.code), bool(part >= share * shortfall - SMALLEST))
            for leaf, part, share, there in zip(leaves, parts, weight, known, strict=True)
            if there
        ]
        return tuple(sorted(carriers, key=lambda one: -one.carried))

    def _score(self, level: str, unit: str, code: str) -> float:
        return float(self._scores.get((level, unit, code), np.nan))

    def _n(self, level: str, unit: str, code: str) -> int:
        return int(self._raw.at[(level, unit, code), "n"])

    def _importance(self, unit: str, code: str) -> tuple[str, float]:
        """Return the nearest unit at or above that has shares, and the share of a dimension there."""
        for one in [unit, *(self.units.ancestors(unit) if unit != ALL else [])]:
            if one in self._shares:
                return one, self._shares[one].get(code, float("nan"))
        return "", float("nan")


def _by_unit(shares: pd.DataFrame | None) -> dict[str, dict[str, float]]:
    by_unit: dict[str, dict[str, float]] = {}
    if shares is not None:
        for unit, code, share in zip(shares["unit"], shares["code"], shares["share"], strict=True):
            if share == share:
                by_unit.setdefault(str(unit), {})[str(code)] = float(share)
    return by_unit


def chosen_items(driver: Driver, answered: Collection[str], most: int) -> list[Carrier]:
    """Return the questions that carry a driver and have a measure; where none of these has one, the next that does.

    Parameters
    ----------
    answered
        Questions that some measure of the library is for.
    most
        How many at most, those first that carry most.
    """
    with_measure = [one for one in driver.carriers if one.item in answered and one.carried > 0]
    return [one for one in with_measure if one.carries][:most] or with_measure[:1]
