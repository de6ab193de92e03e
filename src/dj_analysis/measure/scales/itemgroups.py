"""Item moments of groups or waves, from complete answers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import narwhals.stable.v2 as nw
import numpy as np

from ...errors import UsageError, unknown
from ...spec.periods import order
from ...spec.specification import Specification
from ...spec.tree import Form, Node
from ...spec.units import ALL
from ..basis import Basis, basis_of
from ..crossnames import is_cross
from ..members import members
from ..survey import Survey
from ..survey_scores import unit_sums
from ..unitsums import UnitSums
from .item_answers import read_answers
from .moments import Moments, moments_of

ONE_ITEM = "fewer_than_two_items_asked"

Row = tuple[str, str, str]  # period, level, unit


@dataclass(frozen=True)
class ItemGroups:
    """Means and covariances of items by group, of the people who answered every item (listwise).

    Attributes
    ----------
    by
        What the groups are: a group column, a level, or ``period``.
    periods
        The periods of the groups, the earliest first.
    rows
        Period, level and unit of each group, G of them.
    structure
        Dimension → its items; the items in this order are the columns of means and covariances.
    left_out
        Dimension → why it is not in the structure.
    people
        Everybody in each group, whatever they answered.
    n, effective
        Complete answers by group, and their effective number (Σw)²/Σw² (Kish 1965).
    means, covariances
        G × p and G × p × p with divisor Σw, in points of the 0–100 score (high is good); NaN for an empty group.
    withheld, basis
        As in :class:`~dj_analysis.result.Result`.
    """

    spec: Specification = field(repr=False)
    by: str
    periods: tuple[str, ...]
    rows: tuple[Row, ...]
    structure: Mapping[str, tuple[str, ...]]
    left_out: Mapping[str, str]
    people: np.ndarray
    n: np.ndarray
    effective: np.ndarray
    means: np.ndarray
    covariances: np.ndarray
    withheld: Mapping[str, frozenset[tuple[str, str]]] = field(default_factory=dict, repr=False)
    basis: tuple[Basis, ...] = field(default=(), repr=False)

    @property
    def hidden(self) -> np.ndarray:
        """Tell which groups are withheld by disclosure control."""
        return np.array([row[1:] in self.withheld.get(row[0], ()) for row in self.rows], dtype=bool)

    def take(self, chosen: np.ndarray) -> ItemGroups:
        """Return some of the groups, in the order given."""
        rows = tuple(self.rows[i] for i in chosen)
        names = ("people", "n", "effective", "means", "covariances")
        return replace(self, rows=rows, **{name: getattr(self, name)[chosen] for name in names})


def groups_of_wave(
    survey: Survey,
    by: str,
    dimensions: Sequence[str] | None,
    form: Form,
    summed: Mapping[str, UnitSums] | None = None,
) -> ItemGroups:
    """Sum the complete answers of each category of a group column, or of each unit of a level.

    Parameters
    ----------
    summed
        Sums of the wave along ``by`` and more, where they are there already.

    Raises
    ------
    UsageError
        A cross-classification, or a name that does not exist.
    DataError
        Answers out of range, units that do not exist.
    """
    if not isinstance(by, str) or is_cross(by):
        raise UsageError(f"by={by!r}: 只能是一个层级或一个分组 (one level or one group column only)")
    units = survey.spec.units.at(survey.period)
    axis = units.tree_of(by) if by in units.levels else by
    sums = {axis: summed[axis]} if summed else unit_sums(survey, by)
    structure, left_out = _structure([survey], dimensions, form)
    by_unit = _moments(survey, structure, axis)
    groups = members(by, axis, units, sums[axis])
    totals = [_pooled([by_unit[unit] for unit in finest if unit in by_unit], structure) for finest in groups.values()]
    rows = [(survey.period, by, unit) for unit in groups]
    return _item_groups([survey], by, rows, structure, left_out, totals, basis_of(survey, sums))


def groups_of_waves(surveys: Sequence[Survey], dimensions: Sequence[str] | None, form: Form) -> ItemGroups:
    """Sum the complete answers of each wave to the items asked identically in all waves, the earliest wave first.

    A question is the same where code, wording, scale, range and direction are.
    """
    by_period = {survey.period: survey for survey in surveys}
    if not by_period or len(by_period) < len(surveys):
        raise UsageError("各期须不同,至少一期 (waves of different periods, at least one)")
    waves = [by_period[period] for period in order(list(by_period))]
    structure, left_out = _structure(waves, dimensions, form)
    totals, rows = [], []
    for wave in waves:
        totals.append(_pooled(list(_moments(wave, structure, None).values()), structure))
        rows.append((wave.period, wave.spec.units.at(wave.period).root.level, ALL))
    basis = tuple(basis for wave in waves for basis in basis_of(wave))
    return _item_groups(waves, "period", rows, structure, left_out, totals, basis)


def _structure(
    waves: Sequence[Survey], dimensions: Sequence[str] | None, form: Form
) -> tuple[dict[str, tuple[Node, ...]], dict[str, str]]:
    """Return the items of each dimension asked identically in every wave, and why dimensions are left out."""
    asked = [_asked(wave, form) for wave in waves]
    codebook = waves[-1].codebook
    tree = codebook.tree.in_form(form)
    for code in dimensions or ():
        if code not in codebook.tree:
            raise unknown("维度/dimension", code, [node.code for node in codebook.tree.inner])
    default_codes = [node.code for node in codebook.dimensions if tree.children(node.code)] or [codebook.index or ""]
    structure, left_out = {}, {}
    for code in dict.fromkeys(dimensions if dimensions is not None else filter(None, default_codes)):
        items = tuple(
            leaf for leaf in tree.leaves_of(code) if all(wave.get(leaf.code) == _question(leaf) for wave in asked)
        )
        if len(items) < 2:
            left_out[code] = ONE_ITEM
        else:
            structure[code] = items
    return structure, left_out


def _asked(wave: Survey, form: Form) -> dict[str, tuple[Any, ...]]:
    columns = set(nw.from_native(wave.frame).collect_schema().names())
    return {leaf.code: _question(leaf) for leaf in wave.codebook.tree.in_form(form).leaves if leaf.code in columns}


def _question(leaf: Node) -> tuple[Any, ...]:
    return leaf.text_zh, leaf.text_en, leaf.scale, leaf.minimum, leaf.maximum, leaf.direction


def _moments(
    survey: Survey, structure: Mapping[str, tuple[Node, ...]], axis: str | None
) -> dict[str, tuple[int, Moments]]:
    """Return the number of people and the moments of complete rows of each finest unit or category."""
    items = [item for nodes in structure.values() for item in nodes]
    units = survey.spec.units.at(survey.period)
    column = survey.axes.get(axis) if axis is not None else None
    resolving = units if axis in units.trees else None
    answers = read_answers(survey.frame, items, weight=survey.weight, column=column, units=resolving)
    by_unit: dict[str, tuple[int, Moments]] = {}
    for unit, x, w in answers.blocks():
        complete = ~np.isnan(x).any(axis=1)
        codes = [item.code for item in items]
        block = moments_of(x[complete], None if w is None else w[complete], codes, pairs=False)
        people, earlier = by_unit.get(unit, (0, None))
        by_unit[unit] = (people + len(x), block if earlier is None else earlier + block)
    return by_unit


def _pooled(parts: Sequence[tuple[int, Moments]], structure: Mapping[str, tuple[Node, ...]]) -> tuple[int, Moments]:
    codes = [item.code for nodes in structure.values() for item in nodes]
    people, total = 0, moments_of(np.empty((0, len(codes))), None, codes, pairs=False)
    for count, moments in parts:
        people, total = people + count, total + moments
    return people, total


def _item_groups(
    waves: Sequence[Survey], by: str, rows: list[Row], structure: Mapping[str, tuple[Node, ...]],
    left_out: Mapping[str, str], parts: Sequence[tuple[int, Moments]], basis: tuple[Basis, ...],
) -> ItemGroups:  # fmt: skip
    """Turn sums into means and covariances on the 0–100 score; sums of whole answers stay exact until here."""
    items = [item for nodes in structure.values() for item in nodes]
    span = np.array([100 / (item.maximum - item.minimum) for item in items])
    low = np.array([item.minimum for item in items])
    n, w, ww = (np.array([float(sums.complete[name]) for _, sums in parts]) for name in ("n", "w", "ww"))
    with np.errstate(divide="ignore", invalid="ignore"):
        mean = np.array([sums.complete["x"] for _, sums in parts]).reshape(len(rows), len(items)) / w[:, None]
        square = np.array([sums.complete["xx"] for _, sums in parts]).reshape(len(rows), len(items), len(items))
        covariance = square / w[:, None, None] - mean[:, :, None] * mean[:, None, :]
        effective = np.where(ww > 0, w**2 / ww, 0.0)
    codes = {code: tuple(item.code for item in nodes) for code, nodes in structure.items()}
    withheld = {period: hidden for wave in waves for period, hidden in wave.withheld.items()}
    return ItemGroups(
        waves[-1].spec, by, tuple(wave.period for wave in waves), tuple(rows), codes, left_out,
        np.array([people for people, _ in parts]), n, effective, (mean - low) * span, covariance * np.outer(span, span),
        withheld, basis,
    )  # fmt: skip
