"""Scores a second time: exact fractions and plain loops, from the written rules alone.

The codebook is a plain table with a row a code: code, parent, direction, weight, min, max, form, min_share (empty cells
are NaN or ""). A leaf is a code without children. Answers are a pandas frame with a column a leaf; NaN, None and NA are
missing. Numbers are read as the decimals they are written as (0.1 is one tenth), so that a score which lies exactly on a cut
point does so here.
"""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pandas as pd

LEAST_OF_LEAVES = {"anchors": Fraction(1, 2), "full": Fraction(3, 5)}
LEAST_OF_NODES = Fraction(3, 4)
COLUMNS = ["n", "mean", "sd", "se", "favourable", "below"]


class Oracle:
    """The rules applied to one codebook; ``person`` for one row, ``table`` for the units of a frame."""

    def __init__(self, codebook: pd.DataFrame, *, index: str = "INDEX", favourable: str = "74.9", low: str = "45"):
        self.nodes = {row["code"]: row for row in codebook.to_dict("records")}
        self.children = {code: [c for c, row in self.nodes.items() if row["parent"] == code] for code in self.nodes}
        self.index, self.favourable, self.low = index, Fraction(favourable), Fraction(low)
        self.has_forms = any(row["form"] for row in self.nodes.values())

    def codes(self, form: str) -> list[str]:
        """Codes with something asked in a form, in the order of the table."""
        return [code for code in self.nodes if any(self.asked(leaf, form) for leaf in self.leaves(code))]

    def leaves(self, code: str) -> list[str]:
        below = self.children[code]
        return [leaf for child in below for leaf in self.leaves(child)] if below else [code]

    def asked(self, leaf: str, form: str) -> bool:
        return not self.has_forms or form == "full" or self.nodes[leaf]["form"] == "both"

    def person(self, answers: dict, form: str) -> dict[str, Fraction | None]:
        """Scores 0-100 of one row, by code; None where too little was answered."""
        return {code: self._score(code, answers, form) for code in self.codes(form)}

    def table(self, answers: pd.DataFrame, unit: str | None = None, weight: str | None = None, full: bool = True):
        """Statistics by unit, form and code; unit ``ALL`` holds every row, also those whose unit is missing."""
        rows = answers.to_dict("records")
        forms = ["anchors", "full"] if self.has_forms and full else ["anchors"]
        groups: dict[str, list[dict]] = {"ALL": rows}
        for row in rows:
            if unit and not missing(row[unit]):
                groups.setdefault(row[unit], []).append(row)
        found = {}
        for form in forms:
            scored = {id(row): self.person(row, form) for row in rows}
            for name, members in groups.items():
                for code in self.codes(form):
                    found[name, form, code] = self._statistics(code, form, members, scored, weight)
        names = ["unit", "form", "code"]
        return pd.DataFrame(list(found.values()), pd.MultiIndex.from_tuples(found, names=names), COLUMNS)

    def _score(self, code: str, answers: dict, form: str) -> Fraction | None:
        node = self.nodes[code]
        if not self.children[code]:
            x = number(answers.get(code))
            if x is None:
                return None
            low, high = number(node["min"]), number(node["max"])
            return 100 * ((x - low) if node["direction"] == 1 else (high - x)) / (high - low)
        children = [c for c in self.children[code] if any(self.asked(leaf, form) for leaf in self.leaves(c))]
        scores = {c: self._score(c, answers, form) for c in children}
        known = {c: s for c, s in scores.items() if s is not None}
        over_leaves = all(not self.children[c] for c in children)
        share = number(node["min_share"])
        if share is None:
            share = LEAST_OF_LEAVES[form if self.has_forms else "full"] if over_leaves else LEAST_OF_NODES
        weights = {c: number(self.nodes[c]["weight"]) for c in known}
        if len(known) < max(1, math.ceil(share * len(children))) or sum(weights.values()) == 0:
            return None
        return sum(weights[c] * known[c] for c in known) / sum(weights.values())

    def _statistics(self, code: str, form: str, rows: list[dict], scored: dict, weight: str | None) -> list[float]:
        pairs = []
        for row in rows:
            x = scored[id(row)][code]
            w = number(row[weight]) if weight else Fraction(1)
            if x is not None and w:
                pairs.append((x, w))
        good = given = Fraction(0)
        for row in rows:
            w = number(row[weight]) if weight else Fraction(1)
            for leaf in self.leaves(code):
                x = scored[id(row)].get(leaf)
                if x is not None:
                    given += w
                    good += w if x > self.favourable else 0
        favourable = float(good / given) if given else np.nan
        n, total = len(pairs), sum(w for _, w in pairs)
        if not total:
            return [n, np.nan, np.nan, np.nan, favourable, np.nan]
        mean = sum(w * x for x, w in pairs) / total
        below = sum((w for x, w in pairs if x < self.low), Fraction(0)) / total if code == self.index else None
        sd = se = np.nan
        if n >= 2:
            variance = sum(w * (x - mean) ** 2 for x, w in pairs) / (total - sum(w**2 for _, w in pairs) / total)
            error = sum(w**2 * (x - mean) ** 2 for x, w in pairs) / total**2 * Fraction(n, n - 1)
            sd, se = math.sqrt(variance), math.sqrt(error) if variance else np.nan
        return [n, float(mean), sd, se, favourable, np.nan if below is None else float(below)]


def number(value) -> Fraction | None:
    """The decimal number a cell holds, exactly; None where it holds none."""
    return None if missing(value) else Fraction(repr(float(value)))


def missing(value) -> bool:
    return value is None or value is pd.NA or value != value
