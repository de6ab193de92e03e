"""Signs of careless responding, with their cut-offs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

#: The signs, in the order of their columns, with the word that stands for each in ``reason``.
#: Signs of an answer sheet that was not read; ``columns.toml`` has their words.
SIGNS = ("longstring", "irv", "mahalanobis", "even_odd", "scatter", "seconds_per_item", "instructed", "duplicate")
#: Signs of one behaviour count once: a straight line, answers of no one in the wave, contradictions within dimensions, …
BEHAVIOURS = (
    ("longstring", "irv"), ("mahalanobis",), ("even_odd", "scatter"), ("seconds_per_item",), ("instructed",), ("duplicate",),
)  # fmt: skip
TOO_LITTLE = "too_few_answers_looked_at"
#: Why a sign could not be looked for in a whole wave.
NOT_LOOKED_FOR: Mapping[str, str] = {
    "longstring": "too_few_items_look_for",
    "irv": "too_few_items_look_for",
    "mahalanobis": "too_few_sheets_estimate_covariances",
    "even_odd": "too_few_dimensions_or_not",
    "scatter": "too_few_dimensions_or_not",
    "seconds_per_item": "no_answering_times",
    "instructed": "no_check_question",
    "duplicate": "too_few_items_look_for",
}


@dataclass(frozen=True)
class ScreeningRule:
    """Cut-offs for the signs of careless responding; each can be changed.

    Those of ``mahalanobis`` and ``scatter`` also look at the wave and at sheets ticked at random, because no fixed cut keeps its
    rate where answers pile up: a sheet shows them when it lies beyond the fence of the wave *and* as far off as random sheets do.
    Cuts marked [D] were decided for this package, because the literature gives none that is fixed in advance: a cut
    such as "the lowest 5 %" would flag 5 % of careful people.

    Attributes
    ----------
    longstring
        Share of the answers given that one run of the same option covers; no sign where half of the answers are the best ones
        and questions of either direction are answered well (``good``): an honest sheet of best answers is a straight line
        too. Half (Curran 2016, J. Exp. Soc. Psychol. 66; the index is Johnson's, 2005).
    irv
        Standard deviation over the answers, as a share of the scale's range, under which they hardly vary [D]: 0.05
        is one answer in twenty that lies one step away on a five-point scale (index: Dunn et al. 2018).
    mahalanobis
        p under which a combination of answers is an outlier: .001 (Meade & Craig 2012; Curran 2016), and see ``fence``.
    fence
        Robust standard deviations above the median of the wave that a distance (its root) and a scatter must reach [D].
    at_random
        Quantile of sheets ticked at random that a distance and a scatter must reach [D].
    good
        Mean of the answers of each direction, 0–1 in the scored direction, from which best answers are taken for honest [D].
    even_odd
        Even–odd consistency under which answers within dimensions contradict each other: .30 (Jackson 1977, as used by
        Johnson 2005). It was set on 30 scales of ten items; with few scales careful people lie below it too, so that it is a
        sign only of a sheet whose ``scatter`` is that of random sheets.
    scales
        Dimensions with both halves answered that a sheet needs for it [D].
    contradicting
        Where more than this share of all sheets lies under ``even_odd``, the dimensions of this instrument do not differ
        enough within a person for the index to tell careful from careless, and it flags nobody [D].
    seconds
        Seconds an item, under which nobody reads: 2 (Huang et al. 2012).
    chance
        Expected number of other sheets equal by chance, at or over which equal sheets are no sign [D].
    items, answered
        Answers a sheet needs to be judged by them: their number, and their share of the questions asked [D].
    people
        Sheets an item that the covariance of the items needs [D].
    """

    longstring: float = 0.5
    irv: float = 0.05
    mahalanobis: float = 0.001
    fence: float = 4.0
    at_random: float = 0.05
    good: float = 0.75
    even_odd: float = 0.30
    scales: int = 5
    contradicting: float = 0.20
    seconds: float = 2.0
    chance: float = 0.001
    items: int = 10
    answered: float = 0.5
    people: float = 5.0
