"""The one shape in which every function hands back what it found."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal, Self

if TYPE_CHECKING:
    import pandas as pd

About = Literal["persons", "units"]
Programme = Literal["survey", "indicators", "ratings", "requests", "events"]

PURPOSE = "本指数反映员工工作生活状况与关切，用于改进管理和帮扶，不用于评价、奖惩、任免个人。"
PURPOSE_EN = (
    "The index describes staff's working life and concerns. It serves better management and help; "
    "it is not used to assess, reward, punish, appoint or remove any person."
)


@dataclass(frozen=True)
class Result:
    """A tidy table with the declaration of its columns and the specification that produced it.

    ``protect()``, notebook display, blocks and exports read these declarations, never the concrete class.

    Attributes
    ----------
    table
        Tidy pandas frame with stable lower-case columns.
    keys
        Columns that name a row; never hidden.
    statistics
        Columns that tell about the people behind a row; hidden together.
    n
        The column with the number of persons behind a row, or None.
    period
        The period the rows are about; for comparisons the later one.
    about
        ``persons`` (min_group holds) or ``units``.
    programme
        Which data collection it comes from; masks are kept per programme.
    periods
        Every period whose cells a row uses; a row is shown only where all of them are visible.
    spec
        The specification that was used (codebook, units, bands, rules, language …).
    parts
        Further tables with the same units under the same mask (``shares``, ``response`` …). A part ``pooled`` has the same
        rows and gives what stands in a protected table for columns that are computed from the units below.
    family
        Columns within which p-values are corrected for many comparisons (``role``: that of the code).
    withheld
        Period → the (level, unit) rows that cannot be told apart there and are never shown, for all codes together.
    """

    table: pd.DataFrame
    keys: tuple[str, ...]
    statistics: tuple[str, ...]
    period: str
    n: str | None = "n"
    about: About = "persons"
    programme: Programme = "survey"
    periods: tuple[str, ...] = ()
    spec: Any = field(default=None, repr=False)
    parts: Mapping[str, Result] = field(default_factory=dict, repr=False)
    family: tuple[str, ...] = ()
    withheld: Mapping[str, frozenset[tuple[str, str]]] = field(default_factory=dict, repr=False)
    purpose: str = PURPOSE

    def with_table(self, table: pd.DataFrame) -> Self:
        """Return the same result with another table of the same columns."""
        return replace(self, table=table)

    def where(self, **values: Any) -> Self:
        """Return only the rows with these key values, in this table and its parts; a list means any of them.

        >>> scores.where(level="city", code=["D1", "D2"])  # doctest: +SKIP
        """
        kept = self.table
        for column, value in values.items():
            if column in kept.columns:
                wanted = list(value) if isinstance(value, (list, tuple, set)) else [value]
                kept = kept[kept[column].isin(wanted)]
        parts = {name: part.where(**values) for name, part in self.parts.items()}
        return replace(self, table=kept.reset_index(drop=True), parts=parts)

    def __len__(self) -> int:
        return len(self.table)

    def _repr_html_(self) -> str:
        mark = (
            '<p style="color:#b00;font-weight:bold">内部 · 未经披露控制,不得外传 '
            "<small>(unprotected: pass it through dj.protect before it leaves)</small></p>"
        )
        table = self.table.head(20).to_html(index=False, float_format=lambda x: f"{x:.2f}", na_rep="—")
        return f"{mark}{table}<p><small>{len(self.table)} 行 rows · {self.period} · {self.purpose}</small></p>"
