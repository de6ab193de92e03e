"""The one shape in which every function returns what it computed."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal, Self

from .errors import UsageError, unknown

if TYPE_CHECKING:
    import pandas as pd

About = Literal["persons", "units"]
Programme = Literal["survey", "indicators", "ratings", "requests", "events", "obligations", "legacy", "context"]

#: Rows from which the columns of a table are hashed in threads: hashing lets others run.
ROWS_IN_THREADS = 100_000

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
        Further tables with the same units under the same mask (``shares``, ``response`` …).
    family
        Columns within which p-values are corrected for many comparisons (``role``: that of the code).
    withheld
        Period → the (level, unit) rows a release hides there: they took no part where units were judged together.
    together
        Statistics computed from several units together; they are shown only where no further unit is hidden than
        ``withheld`` names.
    rests_on
        The (level, unit) rows whose values every row is made of at once, as the effect of a measure is of all units compared; it
        is shown only where each of them may be, in every period and for its code.
    basis
        What was counted in each wave (:class:`dj_analysis.measure.basis.Basis`): sheets, weights, units, categories.
    mark
        Digest of the table as a function of this package made it; a table put in by hand does not fit it.

    Examples
    --------
    >>> scores.keys
    ('period', 'level', 'unit', 'form', 'code')
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
    together: tuple[str, ...] = ()
    rests_on: frozenset[tuple[str, str]] = field(default=frozenset(), repr=False)
    basis: tuple[Any, ...] = field(default=(), repr=False)
    mark: str = field(default="", repr=False, compare=False)
    purpose: str = PURPOSE

    def __post_init__(self) -> None:
        if self.basis and not self.mark:
            object.__setattr__(self, "mark", digest(self))

    def with_table(self, table: pd.DataFrame) -> Self:
        """Return the same result with another table of the same columns, to look at: it cannot be released."""
        return replace(self, table=table)

    def remade(self, table: pd.DataFrame, **fields: Any) -> Self:
        """Return the same result with another table that a function of this package made."""
        return replace(self, table=table, mark="", **fields)

    @property
    def intact(self) -> bool:
        """Tell whether the table is as a function of this package made it."""
        return bool(self.mark) and self.mark == digest(self)

    def where(self, **values: Any) -> Self:
        """Return only the rows with these key values, in this table and its parts; a list means any of them.

        Raises
        ------
        UsageError
            A column that is no key of this result or its parts, or a value that neither its rows nor its declarations
            know; names the nearest that do.

        Examples
        --------
        >>> scores.where(level="branch", code=["INDEX", "D1"]).table["unit"].nunique()
        3
        """
        self.check_values(values)
        return self.chosen(values)

    def check_values(self, values: Mapping[str, Any], *, strict: bool = True) -> None:
        """Raise for a column or value that does not exist, as :meth:`where` does.

        Parameters
        ----------
        strict
            False: any column may be asked for, and only names of periods, units and codes must exist.
        """
        tables: list[Result] = [self, *self.parts.values()]
        for column, value in values.items():
            keys = {key for result in tables for key in (result.keys if strict else result.table.columns)}
            if column not in keys:
                statistic = any(column in result.table for result in tables)
                if statistic and self.about == "persons":
                    raise UsageError(
                        f"{column}: 未经披露控制的结果只能按 {', '.join(sorted(keys))} 筛选;先用 dj.protect"
                        " (an unprotected result can be filtered by its keys only: protect it first)"
                    )
                if not statistic:
                    raise unknown("列/column", column, sorted(keys))
            if not strict and column not in _NAMING:
                continue
            wanted = _listed(value)
            present = {name for result in tables if column in result.table for name in result.table[column].unique()}
            for name in wanted:
                if name not in present and not _declared(self.spec, column, name):
                    raise unknown(f"{column} 的值/value", name, sorted(present, key=str))

    def chosen(self, values: Mapping[str, Any], **fields: Any) -> Self:
        """Return only the rows with these values, without looking whether they exist; ``fields`` are set in its parts too."""
        parts = {name: part.chosen(values, **fields) for name, part in self.parts.items()}
        return replace(self, **{"table": self.rows(values), "parts": parts, "mark": ""} | fields)

    def rows(self, values: Mapping[str, Any]) -> pd.DataFrame:
        """Return the rows of its own table with these values."""
        return _rows_with(self.table, values)

    def __len__(self) -> int:
        return len(self.table)

    def _repr_html_(self) -> str:
        mark = (
            '<p style="color:#b00;font-weight:bold">内部 · 未经披露控制,不得外传 '
            "<small>(unprotected: pass it through dj.protect before it leaves)</small></p>"
        )
        table = self.table.head(20).to_html(index=False, float_format=lambda x: f"{x:.2f}", na_rep="—")
        return f"{mark}{table}<p><small>{len(self.table)} 行 rows · {self.period} · {self.purpose}</small></p>"


def keys_of(table: pd.DataFrame, *names: str) -> list[tuple[Any, ...]]:
    """Return some columns of text row by row; each is taken whole, for reading one value by value takes ten times as long."""
    return list(zip(*(table[name].to_numpy(object) for name in names), strict=True))


def rows_of(table: pd.DataFrame) -> list[dict[str, Any]]:
    """Return the rows as dictionaries, as ``to_dict("records")`` does, but each column taken whole."""
    names = list(table.columns)
    return [dict(zip(names, row, strict=True)) for row in zip(*(table[name].tolist() for name in names), strict=True)]


def digest(result: Result) -> str:
    """Return a hash of everything a result's own table says; its parts have their own."""
    head = [list(result.table.columns), result.period, result.about, result.programme]
    columns = [column for _, column in result.table.items()]
    if len(result.table) < ROWS_IN_THREADS:
        hashes = [_column_hash(column) for column in columns]
    else:
        with ThreadPoolExecutor(min(os.cpu_count() or 1, 8)) as pool:
            hashes = list(pool.map(_column_hash, columns))
    return hashlib.sha256(b"".join([json.dumps(head, ensure_ascii=False).encode(), *hashes])).hexdigest()


def _column_hash(column: pd.Series) -> bytes:
    kind, pieces = _written(column)
    content = hashlib.sha256(f"{kind} {sum(len(piece) for piece in pieces)}:".encode())
    for piece in pieces:
        content.update(piece)
    return content.digest()


def _written(column: pd.Series) -> tuple[str, list[bytes | memoryview]]:
    """Return a column as bytes that no other column has, piece by piece, and what they are; of text each word once, and its places."""
    import numpy as np
    import pandas as pd

    if isinstance(column.dtype, pd.StringDtype):
        if column.dtype.storage == "pyarrow":
            return "text", _written_text(column)
        places, known = pd.factorize(column)
        words = repr(known.tolist()).encode("utf-8", "surrogatepass")
        return f"text {len(known)}", [places.astype("int32").tobytes(), words]
    values = column.to_numpy()
    if values.dtype.kind in "iufb":
        return str(values.dtype), [np.ascontiguousarray(values).view("uint8").data]
    return str(values.dtype), [repr(values.tolist()).encode("utf-8", "surrogatepass")]


def _written_text(column: pd.Series) -> list[bytes | memoryview]:
    """Return a column of text that lies in one piece as it lies there: the length of each cell (-1 of none), then all letters."""
    import numpy as np
    import pyarrow as pa
    import pyarrow.compute as pc

    cells = pa.chunked_array(column.array.__arrow_array__()).cast(pa.large_string())
    lengths, letters = [], []
    for chunk in (one for one in cells.chunks if len(one)):
        # What lies under an empty cell is not told apart.
        whole = pc.fill_null(chunk, "") if chunk.null_count else chunk
        ends = np.frombuffer(whole.buffers()[1], dtype="int64")[whole.offset : whole.offset + len(whole) + 1]
        length = np.diff(ends)
        if chunk.null_count:
            length[chunk.is_null().to_numpy(zero_copy_only=False)] = -1
        lengths.append(length.view("uint8").data)
        if ends[-1] > ends[0]:
            letters.append(np.frombuffer(whole.buffers()[2], dtype="uint8")[ends[0] : ends[-1]].data)
    return [*lengths, *letters]


#: Columns whose values name something declared.
_NAMING = ("period", "before_period", "level", "unit", "other", "form", "code", "scale", "parent")


def _listed(value: Any) -> list[Any]:
    return list(value) if isinstance(value, (list, tuple, set, frozenset)) else [value]


def _rows_with(table: pd.DataFrame, values: Mapping[str, Any]) -> pd.DataFrame:
    for column, value in values.items():
        if column in table.columns:
            table = table[table[column].isin(_listed(value))]
    return table.reset_index(drop=True)


def _declared(spec: Any, column: str, name: Any) -> bool:
    """Tell whether a value is declared somewhere, though no row has it."""
    if spec is None or not isinstance(name, str):
        return False
    if column in ("unit", "other"):
        return name in spec.units
    if column in ("code", "scale", "parent"):
        return any(
            tree is not None and name in tree for tree in (spec.codebook.tree, spec.codebook.choices, spec.indicators)
        )
    if column == "level":
        return all(part in spec.units.levels or part in spec.group_names for part in name.split("\u00d7"))
    return column == "form" and name in ("anchors", "full")
