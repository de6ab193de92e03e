"""A synthetic enterprise whose true scores are known."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd

from ..errors import UsageError
from ..measure.survey_scores import score
from ..spec.codebook import Codebook
from ..spec.periods import parse
from ..spec.rules import default_rules
from ..spec.specification import Specification
from . import names
from .answers import CARELESS, SELECTION, STRAIGHT, AnswerModel
from .company import Company
from .disputed_values import planted_appeals
from .effects import MEASURED, draw_effects, measured_branches, no_effects, with_measures
from .indicators import MONTHS, REVIEW, SINCE, indicator_tree, kinds_of
from .layout import Layout, draw_layout
from .planted_measures import planted_measures
from .questions import demo_codebook, draw_questions
from .score_marks import demo_rubrics, planted_marks
from .staff import PLAIN_RATE, Staff, draw_staff, headcounts
from .unit_trees import demo_units

__all__ = ["Company", "make_company"]


def make_company(
    employees: int = 20_000,
    branches: int = 200,
    quarters: int = 8,
    seed: int = 1,
    planted: bool = True,
    last: str = "2026Q3",
) -> Company:
    """Make a synthetic enterprise of any size: cities, departments, branches, quarterly surveys, branch indicators.

    Parameters
    ----------
    employees
        People on the books, at least twice the branches.
    branches
        Party branches at the beginning, at least 2; from 6 on one in six (25 at most) is a department's, the others are
        spread over up to 11 cities. In mid-series two branches of one city merge and one item is reworded.
    quarters
        Waves, the full form in every third quarter of a year, the anchors in the others.
    seed
        The same arguments give the same numbers and the same files.
    planted
        False plants nothing: every unit has the same truth in every wave, answering (70 %) has nothing to do with
        mood, nobody answers carelessly, no branch's values are revised, late or rounded more than others'.
    last
        The last wave, a quarter.

    Examples
    --------
    >>> company = make_company(employees=300, branches=6, quarters=2)
    >>> company.periods
    ('2026Q2', '2026Q3')
    >>> company.truth.columns.tolist()
    ['period', 'level', 'unit', 'form', 'code', 'score']
    """
    if branches < 2 or employees < 2 * branches or quarters < 1 or seed < 0 or parse(last).cycle != "quarter":
        arguments = f"{employees=}, {branches=}, {quarters=}, {seed=}, {last=}"
        raise UsageError(
            f"{arguments}: branches >= 2, employees >= 2 × branches, quarters >= 1, seed >= 0, last = 2026Q3"
        )
    rng = np.random.default_rng([seed])
    layout = draw_layout(
        employees, branches, tuple(parse(last).shift(step).text for step in range(1 - quarters, 1)), rng
    )
    codebook = demo_codebook(layout.middle)
    questions = draw_questions(codebook, rng)
    staff = draw_staff(layout, None if planted else PLAIN_RATE, rng)
    model = AnswerModel(questions, staff, SELECTION, CARELESS, STRAIGHT) if planted else AnswerModel(questions, staff)
    shifts, effects = draw_effects(model, layout, rng) if planted else no_effects(model, layout)
    spec = _declared(layout, codebook, staff)
    if planted and len(layout.periods) > 2:
        before = Company(seed, layout.periods, spec, pd.DataFrame(effects), model, layout, shifts)
        lowest = measured_branches(_observed(before, layout.periods[-3]), layout, effects)
        shifts, helped = with_measures(shifts, lowest, model, layout)
        effects += helped
    month = parse(f"{parse(layout.periods[-1]).end:%Y-%m}")
    for kind, unit, code, value in kinds_of(spec.units, planted):
        begins = month.shift(1 - SINCE.get(kind, MONTHS)).text
        effects.append((kind, unit, code, begins, value))
    for one in planted_appeals(spec.units, layout.periods[-1], planted):
        effects.append((f"appeal_{one.state}", one.unit, one.code, one.period, one.wrong))
    for measure in planted_measures(effects, layout.periods):
        effects.append((f"measure_{measure.outcome}", measure.unit, measure.intervention.measure, measure.period, 1.0))
    effects += planted_marks(spec.units, layout.periods[-1], planted)
    table = pd.DataFrame(effects, columns=["kind", "unit", "code", "period_from", "value"])
    return Company(seed, layout.periods, spec, table, model, layout, shifts)


def _observed(company: Company, period: str) -> dict[str, float]:
    """Return the score of every branch in one wave, by which an office chooses whom to help."""
    table = score(company.survey(period), by="branch").where(level="branch", code=MEASURED, form="anchors").table
    return dict(zip(table["unit"], table["score"], strict=True))


def _declared(layout: Layout, codebook: Codebook, staff: Staff) -> Specification:
    units = demo_units(layout)
    return Specification(
        codebook=codebook,
        units=units,
        indicators=indicator_tree(layout.periods[-1]),
        rules=replace(default_rules(), review=REVIEW),
        rubrics=demo_rubrics(),
        headcounts=headcounts(layout, staff, units),
        name=units.root_name_zh,
        office=names.OFFICE[0],
        office_en=names.OFFICE[1],
        recipient=names.RECIPIENT[0],
        recipient_en=names.RECIPIENT[1],
        types_en=names.TYPES,
    )
