"""Small instruments and waves, made by hand for the tests."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

import pandas as pd
import polars as pl

import dj_analysis as dj
from dj_analysis.demo import Company
from dj_analysis.measure.basis import Basis
from dj_analysis.measure.scoring import sum_frames
from dj_analysis.measure.survey import Survey
from dj_analysis.measure.survey_scores import unit_sums
from dj_analysis.measure.unitsums import UnitSums
from dj_analysis.release.tree_rule import partitions, withheld_rows
from dj_analysis.spec.codebook import Codebook
from dj_analysis.spec.specification import Specification
from dj_analysis.spec.tree import Node, Tree
from dj_analysis.spec.units import Units

COLUMNS = ["code", "parent", "direction", "weight", "min", "max", "form", "min_share"]


def plain_table(*rows: tuple) -> pd.DataFrame:
    """A codebook as a plain table: (code, parent, then what differs from 1, 1, NaN, NaN, "", NaN)."""
    default = ("", "", 1, 1.0, float("nan"), float("nan"), "", float("nan"))
    return pd.DataFrame([(*row, *default[len(row) :]) for row in rows], columns=COLUMNS)


def codebook_of(table: pd.DataFrame, *, weight: str | None = None, group: str | list[str] | None = None) -> Codebook:
    """The same codebook for the package; INDEX is the index, codes with children are dimensions."""
    parents = set(table["parent"])
    groups = [group] if isinstance(group, str) else list(group or [])
    nodes = []
    for row in table.to_dict("records"):
        role = "index" if row["code"] == "INDEX" else "dimension" if row["code"] in parents else "item"
        nodes.append(
            Node(
                row["code"], row["parent"], role=role, direction=row["direction"], weight=row["weight"],
                minimum=row["min"], maximum=row["max"], form=row["form"], min_share=row["min_share"],
            )
        )  # fmt: skip
    others = [Node(code, role=role) for code, role in ((weight, "weight"), *((one, "group") for one in groups)) if code]
    return Codebook(Tree(tuple(nodes)), tuple(others))


#: Dimensions of one question each, asked on 0-100, so that an answer is a score.
DIRECT = {
    count: codebook_of(
        plain_table(
            ("INDEX", ""),
            *((f"D{i}", "INDEX") for i in range(1, count + 1)),
            *((f"q{i}", f"D{i}", 1, 1.0, 0, 100) for i in range(1, count + 1)),
        )
    )
    for count in (1, 2, 4)
}


def wave(
    answers: Mapping[str, Sequence],
    period: str = "2026Q3",
    *,
    units: Units | None = None,
    headcounts: Mapping[str, int] | None = None,
    dimensions: int = 1,
) -> Survey:
    """A wave of people by unit; a person is one score, or one score a dimension. The unit ``""`` is not told."""
    rows = []
    for unit, people in answers.items():
        for person in people:
            scores = person if isinstance(person, Sequence) else [person] * dimensions
            rows.append((unit or None, *(float(score) for score in scores)))
    frame = pd.DataFrame(rows, columns=["unit", *(f"q{i}" for i in range(1, dimensions + 1))])
    survey = dj.read_survey(frame, DIRECT[dimensions], units=units, period=period)
    if headcounts is None:
        return survey
    table = pd.DataFrame([(u, period, "", "", n) for u, n in headcounts.items()], columns=_HEADCOUNTS)
    return replace(survey, spec=replace(survey.spec, headcounts=table))


_HEADCOUNTS = ["unit", "period", "group", "category", "headcount"]


def counted(*periods: str) -> tuple[Basis, ...]:
    """What a result made by hand counted: no more than that it counted something."""
    return tuple(Basis("survey", period, Specification(), values="by hand") for period in periods)


def gated(survey: Survey, *by: str) -> Survey:
    """The survey as a workspace hands it on: it knows which units a release hides."""
    units = survey.spec.units.at(survey.period)
    hidden = withheld_rows(partitions(unit_sums(survey, list(by)), survey.spec, survey.period), units)
    return replace(survey, withheld={survey.period: hidden})


def sums_of_draws(company: Company, period: str, first: int, draws: int) -> Iterator[UnitSums]:
    """Sums of several draws in one pass; a draw stands before the unit's name while they are summed."""
    surveys = [company.draw(period, seed) for seed in range(first, first + draws)]
    spec, tree = surveys[0].spec, surveys[0].spec.units.at(period).trees[0]
    frame = pl.concat([s.frame.with_columns(unit=pl.format("{}|{}", pl.lit(i), "unit")) for i, s in enumerate(surveys)])
    block = sum_frames(
        frame, surveys[0].trees(), {tree: "unit"}, favourable=spec.bands["favourable"], low=spec.bands["low_answers"],
        index=spec.codebook.index,
    )[tree]  # fmt: skip
    for i in range(draws):
        mine = [unit for unit in block.units if unit.startswith(f"{i}|")]
        yield block.laid_out(mine, block.cells).renamed({unit: unit.split("|")[1] for unit in mine})
