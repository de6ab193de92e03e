"""Effects planted in the synthetic answers."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from ..spec.units import ALL
from . import names, wishes
from .answers import AnswerModel
from .layout import Layout
from .questions import POINTS
from .staff import LOW_RATE
from .truth import expected_scores

CITY_SD, BRANCH_SD, MIXED_SD = 3.0, 3.0, 2.0  # points: cities, branches, a city's single dimensions
POSITION = {"管理人员": 4.0, "一线员工": -0.7}
WEAK = (("D7", 0.15), ("D2", 0.5), ("D1", 1.0))  # dimension, and where in the series it sets in
WEAK_POINTS, TREND_POINTS, TREND_WAVES = -8.0, 1.5, 8
LOW_POINTS, LOW_SHARE = (-15.0, -12.0, -20.0, -24.0, -17.0), 0.025
SMALLEST = 24  # staff of a branch of which ten people answer
MEASURED, MEASURE_POINTS, MEASURED_SHARE = "D4", 8.0, 0.05  # a measure for the lowest branches that helps
FEWEST_MEASURED, FEWEST_OTHERS = 3, 12

Planted = tuple[str, str, str, str, float]  # kind, unit, code, period_from, value
Shifts = tuple[np.ndarray, ...]  # latent shifts of each wave: cells × items


def no_effects(model: AnswerModel, layout: Layout) -> tuple[Shifts, list[Planted]]:
    """Return zero shifts for every wave, with an empty list of planted effects."""
    none = np.zeros((len(model.staff.branch), len(model.questions.nodes)))
    return (none,) * len(layout.periods), []


def draw_effects(model: AnswerModel, layout: Layout, rng: np.random.Generator) -> tuple[Shifts, list[Planted]]:
    """Draw the latent shifts (cells × items) of every wave, with the list of planted effects."""
    base, planted = _unit_effects(model, layout, rng), _everywhere(model, layout)
    everything = np.arange(len(model.questions.nodes))
    for branch, points in _low_branches(layout):
        base = _moved(base, model.staff.branch == branch, everything, points, model)
        planted.append(("low_branch", layout.codes[branch], "INDEX", layout.periods[0], points))
    shifts, trends = _with_trends([base] * len(layout.periods), model, layout)
    shifts, weak = _with_weak_dimensions(shifts, model, layout)
    return tuple(shifts), [*planted, *trends, *weak]


def _unit_effects(model: AnswerModel, layout: Layout, rng: np.random.Generator) -> np.ndarray:
    """Draw latent shifts by place, dimension within place, branch and position, without changing the overall level."""
    branch, homes = model.staff.branch, layout.cities + layout.departments
    places = _centred(rng.standard_normal(homes), layout.cities) * CITY_SD
    branches = _centred(rng.standard_normal(len(layout.home)), len(layout.home)) * BRANCH_SD
    mixed = rng.standard_normal((homes, model.questions.raised.shape[1])) * MIXED_SD
    position = np.array([POSITION[zh] for zh, *_ in names.GROUPS["position"]])[np.arange(len(branch)) % 2]
    place = layout.home[branch]
    common = places[place] + branches[branch] + position
    return (common[:, None] + mixed[place] @ model.questions.raised.T) / POINTS


def _centred(draws: np.ndarray, first: int) -> np.ndarray:
    """Standardise draws by the mean and SD of the first ones, so that even a few cities have the intended spread."""
    spread = draws[:first].std()
    return (draws - draws[:first].mean()) / spread if spread > 0 else np.zeros(len(draws))


def _everywhere(model: AnswerModel, layout: Layout) -> list[Planted]:
    """List the effects present from the first wave on: position, low and selective response, careless answering."""
    first = layout.periods[0]
    groups: list[Planted] = [("group_effect", zh, "position", first, points) for zh, points in POSITION.items()]
    groups.append(("option_raised", wishes.PLANTED_GROUP, wishes.PLANTED_OPTION, first, wishes.PLANTED_RAISE))
    return [
        *groups,
        ("low_response", layout.codes[layout.silent], "", first, LOW_RATE),
        ("selective_response", ALL, "", first, model.selection),
        ("careless", ALL, "", first, model.careless),
        ("straightlining", ALL, "", first, model.straight),
    ]


def _low_branches(layout: Layout) -> list[tuple[int, float]]:
    """Choose a few small city branches, large enough for ten respondents, with the points each lies below its city."""
    taken = {*layout.merged, layout.silent}
    fit = [b for b in np.argsort(layout.sizes, kind="stable").tolist() if layout.in_city[b] and b not in taken]
    fit = [b for b in fit if layout.sizes[b] >= SMALLEST] or fit
    count = max(1, round(LOW_SHARE * len(layout.home)))
    step = max(1, len(fit) // (3 * count))
    return [(b, LOW_POINTS[i % len(LOW_POINTS)]) for i, b in enumerate(fit[::step][:count])]


def measured_branches(observed: Mapping[str, float], layout: Layout, planted: Sequence[Planted]) -> list[int]:
    """Choose the branches that get a measure which helps: those with the lowest scores, as an office would.

    Parameters
    ----------
    observed
        Score of the dimension by branch, in the wave that the office looked at.
    planted
        What is planted already: branches planted low, and those of cities with a weak dimension, have measures of their own; the
        branches of a city with a trend do not move as the others do, which no comparison with them could tell from an effect.
    """
    apart = {unit for kind, unit, *_ in planted if kind in ("weak_dimension", "trend")}
    taken = {unit for kind, unit, *_ in planted if kind in ("low_branch", "low_response")}
    fit = [
        b
        for b in np.flatnonzero(layout.in_city & (layout.sizes >= SMALLEST)).tolist()
        if layout.codes[b] in observed
        and layout.codes[b] not in taken
        and b not in layout.merged
        and layout.place_code(int(layout.home[b])) not in apart
    ]
    count = max(FEWEST_MEASURED, round(MEASURED_SHARE * len(layout.home)))
    if len(fit) < count + FEWEST_OTHERS:
        return []
    return sorted(sorted(fit, key=lambda b: observed[layout.codes[b]])[:count])


def with_measures(
    shifts: Shifts, branches: Sequence[int], model: AnswerModel, layout: Layout
) -> tuple[Shifts, list[Planted]]:
    """Raise the dimension of the measure in the last wave, in the branches that had it."""
    items = np.flatnonzero([node.parent == MEASURED for node in model.questions.nodes])
    last, planted = shifts[-1], []
    for branch in branches:
        last = _moved(last, model.staff.branch == branch, items, MEASURE_POINTS, model)
        planted.append(("raised_by_measure", layout.codes[branch], MEASURED, layout.periods[-1], MEASURE_POINTS))
    return (*shifts[:-1], last), planted


def _with_trends(
    shifts: list[np.ndarray], model: AnswerModel, layout: Layout
) -> tuple[list[np.ndarray], list[Planted]]:
    """Add a falling trend to one city and a rising one to another, constant in points per wave."""
    everything, place = np.arange(len(model.questions.nodes)), layout.home[model.staff.branch]
    start, planted = max(0, len(shifts) - TREND_WAVES), []
    for city, points in zip(range(len(_weak(layout)), layout.cities), (-TREND_POINTS, TREND_POINTS), strict=False):
        shifts = [
            _moved(shift, place == city, everything, points * (t - start), model) if t > start else shift
            for t, shift in enumerate(shifts)
        ]
        planted.append(("trend", layout.place_code(city), "INDEX", layout.periods[start], points))
    return shifts, planted


def _with_weak_dimensions(
    shifts: list[np.ndarray], model: AnswerModel, layout: Layout
) -> tuple[list[np.ndarray], list[Planted]]:
    """Give each of the first cities one weak dimension from a certain wave on."""
    place, planted = layout.home[model.staff.branch], []
    for city, (code, when) in enumerate(_weak(layout)):
        items = np.flatnonzero([node.parent == code for node in model.questions.nodes])
        begin = min(len(shifts) - 1, max(1, int(when * len(shifts))))
        shifts = [
            _moved(shift, place == city, items, WEAK_POINTS, model) if t >= begin else shift
            for t, shift in enumerate(shifts)
        ]
        planted.append(("weak_dimension", layout.place_code(city), code, layout.periods[begin], WEAK_POINTS))
    return shifts, planted


def _weak(layout: Layout) -> tuple[tuple[str, float], ...]:
    """Return the weak dimensions, limited so that two cities remain for the trends."""
    return WEAK[: max(1, layout.cities - 2)]


def _moved(shift: np.ndarray, cells: np.ndarray, items: np.ndarray, points: float, model: AnswerModel) -> np.ndarray:
    """Return shifts that change each item's expected score over the given cells by exactly ``points``."""
    cells = np.flatnonzero(cells & (model.staff.size > 0))
    chosen, here = model.questions.take(items), shift[np.ix_(cells, items)]
    weights = model.staff.expected[cells] / model.staff.expected[cells].sum()
    delta = _solved(lambda delta: weights @ expected_scores(chosen, here + delta, model, cells), len(items), points)
    moved = shift.copy()
    moved[np.ix_(cells, items)] += delta
    if len(items) < len(model.questions.nodes):  # what weighs on a dimension weighs on the overall feeling too
        outcome = np.flatnonzero((model.questions.raised > 0).all(axis=1))
        moved[np.ix_(cells, outcome)] += delta.mean() * (model.questions.raised[outcome] @ chosen.raised[0])
    return moved


def _solved(score: Callable[[np.ndarray], np.ndarray], items: int, points: float) -> np.ndarray:
    """Find by Newton steps, item by item, the latent shift that changes the score by ``points``."""
    delta, small = np.zeros(items), 1e-4
    current = score(delta)
    target = current + points
    for _ in range(30):
        if np.abs(current - target).max() < 1e-9:
            return delta
        delta = delta + (target - current) * small / (score(delta + small) - current)
        current = score(delta)
    raise AssertionError("what is planted lies outside the range of scores")
