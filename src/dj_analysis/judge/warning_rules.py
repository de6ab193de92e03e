"""The rules of warning: which grade each of them gives to each unit, and how sure that is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..spec.bands import SLACK, Band, Bands, beyond
from .shrunk_means import ShrunkMeans

GRADES = ("orange", "red", "black")


@dataclass(frozen=True)
class Finding:
    """What one rule found, arrays grades × units, from orange to black.

    Attributes
    ----------
    rule
        Name of the rule.
    holds
        The rule's condition of the grade is met.
    chance
        Probability of the condition; NaN where the rule does not hold or none belongs to it.
    about
        Code of the index or dimension that was judged; ``""`` where the rule does not hold.
    named
        Further codes the condition was met by, joined by ``+``.
    """

    rule: str
    holds: np.ndarray
    chance: np.ndarray
    about: np.ndarray
    named: np.ndarray


def no_finding(rule: str, units: int) -> Finding:
    """Return a rule that holds nowhere."""
    shape = (len(GRADES), units)
    none = np.full(shape, "", dtype=object)
    return Finding(rule, np.zeros(shape, dtype=bool), np.full(shape, np.nan), none, none.copy())


def index_low(index: ShrunkMeans, bands: Bands, ease: float = 0.0) -> Finding:
    """Grade by how surely the index lies below the cut points.

    Parameters
    ----------
    index
        ShrunkMeans of the index alone.
    bands
        Cut points with the probability each asks for.
    ease
        Points added to every cut point: a warning once given ends only beyond it.
    """
    finding = no_finding("index_low", len(index.mean))
    for grade, band in graded(bands):
        chance = index.chance(band.point + ease, band.side)[:, 0]
        _enter(finding, grade, chance >= band.sure - SLACK, chance, index.codes[0])
    return finding


def dimension_low(dimensions: ShrunkMeans, bands: Bands, ease: float = 0.0) -> Finding:
    """Grade by how many dimensions are surely below their cut point; the probability is the least of those that are needed.

    Parameters
    ----------
    dimensions
        ShrunkMeans of the dimensions.
    bands, ease
        As in :func:`index_low`.
    """
    finding = no_finding("dimension_low", len(dimensions.mean))
    codes = np.array(dimensions.codes, dtype=object)
    for grade, band in graded(bands):
        if len(codes) < band.at_least:
            continue
        chance = np.nan_to_num(dimensions.chance(band.point + ease, band.side))
        order = np.argsort(-chance, axis=1, kind="stable")
        least = order[:, band.at_least - 1]
        reached = np.take_along_axis(chance, least[:, None], axis=1)[:, 0]
        holds = reached >= band.sure - SLACK
        _enter(finding, grade, holds, reached, codes[least])
        for unit in np.flatnonzero(holds):
            sure = [codes[j] for j in order[unit] if chance[unit, j] >= band.sure - SLACK]
            finding.named[grade, unit] = "+".join(sure)
    return finding


def low_share(lowest: np.ndarray, bands: Bands, confidence: float, index: str, ease: float = 0.0) -> Finding:
    """Grade by the lower bound of the share of respondents with a low index.

    Parameters
    ----------
    lowest
        Lower bounds of the shares, 0–1, NaN where unknown; a vector over units.
    confidence
        With which the true share lies above its bound.
    index
        Code of the index.
    ease
        Points of per cent taken off every cut point.
    """
    finding = no_finding("low_share", len(lowest))
    for grade, band in graded(bands):
        holds = beyond(lowest, max(band.point - ease / 100, 0.0), band.side)
        _enter(finding, grade, holds, np.full(len(lowest), confidence), index)
    return finding


def fall(difference: np.ndarray, p: np.ndarray, real: np.ndarray, smallest: float, index: str) -> Finding:
    """Give orange where the index fell by the smallest change worth acting on, beyond error among all units of its level.

    Parameters
    ----------
    difference, p, real
        Of the index, from the comparison with the wave before; vectors over units.
    smallest
        Points.
    index
        Code of the index.
    """
    finding = no_finding("fall", len(difference))
    fell = ~beyond(difference, -smallest, "above") & real
    _enter(finding, 0, fell, 1 - p / 2, index)
    return finding


def persistent(grades: np.ndarray, before: np.ndarray, improved: np.ndarray, chance: np.ndarray, index: str) -> Finding:
    """Give red where a unit is orange for the second wave running and has not risen beyond error.

    Parameters
    ----------
    grades, before
        Number of the grade of this wave (by the other rules) and of the wave before: 0 none, 1 orange … 3 black.
    improved
        The index rose beyond error; where no change is known, True: nothing is said of it.
    chance
        Probability that belongs to this wave's grade.
    """
    finding = no_finding("persistent", len(grades))
    _enter(finding, 1, (grades == 1) & (before >= 1) & ~improved, chance, index)
    return finding


def overdue(grades: np.ndarray, before: np.ndarray, late: np.ndarray, chance: np.ndarray, index: str) -> Finding:
    """Give black where a unit is red for the second wave running and a measure agreed for it is overdue.

    Parameters
    ----------
    grades, before, chance
        As in :func:`persistent`.
    late
        A measure of the unit is past its day and not done.
    """
    finding = no_finding("overdue", len(grades))
    _enter(finding, 2, (grades == 2) & (before >= 2) & late, chance, index)
    return finding


def gravest(findings: Sequence[Finding]) -> np.ndarray:
    """Number of the gravest grade that any rule gives to each unit: 0 none, 1 orange, 2 red, 3 black."""
    holds = np.any([finding.holds for finding in findings], axis=0)
    return np.asarray(np.where(holds, np.arange(1, len(GRADES) + 1)[:, None], 0).max(axis=0))


def graded(bands: Bands) -> list[tuple[int, Band]]:
    """Return the number of each grade of warning that the bands declare, with its band."""
    return [(GRADES.index(band.code), band) for band in bands.bands if band.code in GRADES]


def _enter(finding: Finding, grade: int, holds: np.ndarray, chance: np.ndarray, about: np.ndarray | str) -> None:
    finding.holds[grade] = holds
    finding.chance[grade] = np.where(holds, chance, np.nan)
    finding.about[grade] = np.where(holds, about, "")
