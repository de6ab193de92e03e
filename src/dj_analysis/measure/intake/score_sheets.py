"""Import of raters' score sheets as checked rows."""

from __future__ import annotations

from dataclasses import dataclass, field

import pandas as pd

from ...errors import Problems
from ...spec.rubrics import note_rubrics, note_units, rubrics_of
from ...spec.schemas import RATINGS, SELF_ROLES
from ...spec.settings import Settings
from ...spec.specification import Specification
from ...spec.tables import Table, load_table, numbers, quoted, rows_text, whole_numbers
from ..basis import Basis, digest_of
from .identifiers import check_names, shown_path

COLUMNS = ("period", "unit", "rater", "kind", "code", "score")


@dataclass(frozen=True)
class Ratings:
    """Score sheets with the specification that gives them meaning: units, item weights.

    ``table``: period, unit, rater, kind (``inspection`` or ``self``), code (item, ``""`` for the whole sheet), score.

    Attributes
    ----------
    officials
        The raters are officials in their role (an inspection team, a jury): their mean is shown whatever their number.
        People asked for their opinion (群众评议, 述职评议) are protected: fewer than min_group are not shown. A rubric that names
        its raters overrides it.
    """

    table: pd.DataFrame = field(repr=False)
    spec: Specification = field(repr=False)
    officials: bool = False

    @property
    def basis(self) -> tuple[Basis, ...]:
        """Data basis of the ratings, by period."""
        parts = self.table.groupby("period", sort=False)
        return tuple(Basis("ratings", str(p), self.spec, values=digest_of(part)) for p, part in parts)

    @property
    def rubrics(self) -> list[str]:
        """Rubrics with marks, in their declared order; ``[""]`` where the workspace declares none."""
        return rubrics_of(set(self.table["code"]), self.spec.rubrics)

    def by_officials(self, rubric: str) -> bool:
        """Tell whether the raters of a rubric are officials in their role."""
        declared = self.spec.rubrics[rubric].raters if rubric in self.spec.rubrics else ""
        return declared == "officials" if declared else self.officials


def load_ratings(settings: Settings, spec: Specification, problems: Problems) -> pd.DataFrame | None:
    """Read a workspace's score sheets, one row a score: period, unit, rater, kind, code, score; None where there are none.

    Roles of self-assessment become the kind ``self``, all others ``inspection``. Who judged stays inside: results number the
    raters.
    """
    source = settings.tables.get("ratings")

    def seen(raw: Table) -> None:
        path = settings.folder / (source.path if source is not None and source.path else raw.place)
        check_names(raw.place, map(str, raw.frame.columns), problems, file=shown_path(path) if path.is_file() else "")

    table = load_table(settings, "ratings", RATINGS, problems, seen=seen)
    if table is None:
        return None
    frame = table.frame.copy()
    for name in ("role", "code"):
        if name not in frame:
            frame[name] = ""
    frame["unit"], frame["score"] = whole_numbers(frame["unit"]), numbers(frame["value"])
    for name in ("unit", "rater"):
        empty = frame.index[frame[name].str.strip() == ""]
        if len(empty):
            problems.add(
                f"{table.place}: {name}", "missing_value", rows_text(empty), "非空 (not empty)", "补上 (fill it in)"
            )
    unreadable = frame[frame["score"].isna()]
    if len(unreadable):
        bad_scores = f"{quoted(unreadable['value'])} ({rows_text(unreadable.index)})"
        problems.add(f"{table.place}: value", "text_in_number", bad_scores, "数 (number)", "改为数字 (write a number)")
    own = frame["role"].str.strip().str.casefold().isin(SELF_ROLES)
    frame["kind"] = own.map({True: "self", False: "inspection"})
    note_rubrics(table.place, frame, spec.rubrics, spec.units, problems)
    note_units(table.place, frame, spec.units, problems)
    return frame[list(COLUMNS)].reset_index(drop=True)
