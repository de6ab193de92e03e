"""Errors and warnings of the package: every problem of an input in one table."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator
from dataclasses import astuple, dataclass, fields
from itertools import islice
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong: where, which rule, what was found, what is allowed, what to do next."""

    place: str
    rule: str
    found: str = ""
    allowed: str = ""
    advice: str = ""

    def __str__(self) -> str:
        found = f": {self.found}" if self.found else ""
        allowed = f"; 应为/allowed: {self.allowed}" if self.allowed else ""
        advice = f"; {self.advice}" if self.advice else ""
        return f"{self.place} [{self.rule}]{found}{allowed}{advice}"


#: Most problems that the text of an error tells one by one; its table has all.
MOST_LISTED = 50


class Problems:
    """The table every check fills; raised as one error when it is not empty.

    Examples
    --------
    >>> found = Problems()
    >>> found.add("codebook.csv: Q07", "direction", found="0", allowed="1, -1", advice="反向题写 -1")
    >>> found.table.columns.tolist()
    ['place', 'rule', 'found', 'allowed', 'advice']
    """

    def __init__(self, rows: Iterable[Problem] = ()):
        self._rows: dict[Problem, None] = dict.fromkeys(rows)

    def add(self, place: object, rule: str, found: object = "", allowed: object = "", advice: str = "") -> None:
        """Note one problem; the same problem is noted once."""
        self._rows.setdefault(Problem(str(place), rule, str(found), str(allowed), advice))

    def extend(self, others: Iterable[Problem]) -> None:
        """Note all problems of another check."""
        self._rows |= dict.fromkeys(others)

    @property
    def table(self) -> pd.DataFrame:
        """One row a problem: place, rule, found, allowed, advice."""
        import pandas as pd

        names = [field.name for field in fields(Problem)]
        return pd.DataFrame([astuple(problem) for problem in self._rows], columns=names, dtype="str")

    def raise_if_any(self, error: type[DjError] | None = None) -> None:
        """Raise one error that lists every problem; its kind is that of the gravest among them.

        An identifier comes first (:class:`IdentifierError`), then answers that would meet records about people
        (:class:`PurposeError`), then the ``error`` asked for, by default :class:`DataError`.
        """
        if self._rows:
            graver = (kind for rules, kind in _GRAVE if any(problem.rule.startswith(rules) for problem in self._rows))
            raise next(graver, error or DataError)(problems=self)

    def __iter__(self) -> Iterator[Problem]:
        return iter(self._rows)

    def __len__(self) -> int:
        return len(self._rows)


class DjError(Exception):
    """Every error of this package; ``.problems.table`` lists what was found.

    Examples
    --------
    >>> try:
    ...     scores.where(level="brunch")
    ... except dj.DjError as error:
    ...     print(error)
    level 的值/value “brunch” 不存在;可用/valid: branch, age_band, company
    """

    def __init__(self, message: str = "", problems: Problems | None = None):
        self.problems = problems if problems is not None else Problems()
        listed = [str(problem) for problem in islice(self.problems, MOST_LISTED)]
        if (left := len(self.problems) - MOST_LISTED) > 0:
            listed.append(f"另有 {left} 项,见 error.problems.table ({left} more in error.problems.table)")
        super().__init__("\n".join(([message] if message else []) + listed))


class SpecError(DjError):
    """Something declared (settings, codebook, units, bands, rules) does not hold together."""


class DataError(DjError):
    """A data file does not fit what was declared."""


class IdentifierError(DataError):
    """A column that identifies a person, or tells of their creed or status, was found at the door."""


class PurposeError(DjError):
    """Survey answers would meet data kept for another purpose: appraisal, rewards, attendance, chat, location."""


class UsageError(DjError):
    """A call names something that does not exist or has the wrong type."""


class RecordError(DjError):
    """The workspace's record does not verify."""


class AccessError(DjError):
    """The system refused a file: the disk is full, no right, read-only, open in another programme."""


class FontError(DjError):
    """Chinese text cannot be drawn with the fonts at hand."""


class DjWarning(UserWarning):
    """Something was done differently from what might be expected; the text says what.

    Examples
    --------
    >>> import warnings
    >>> with warnings.catch_warnings():
    ...     warnings.simplefilter("error", dj.DjWarning)
    ...     survey = ws.survey("2026Q3")  # would raise where something was dropped or left out
    """


_GRAVE: tuple[tuple[str, type[DjError]], ...] = (("identifier", IdentifierError), ("purpose", PurposeError))


def unknown(kind: str, found: object, valid: Iterable[object]) -> UsageError:
    """One line for a name that does not exist, with the nearest names that do."""
    return UsageError(f"{kind} “{found}” 不存在;可用/valid: {nearest_names(found, valid) or '(无/none)'}")


def nearest_names(found: object, valid: Iterable[object], most: int = 6) -> str:
    """List the valid names nearest to one that does not exist, at most so many; ``…`` where there are more."""
    names = list(dict.fromkeys(str(name) for name in valid))
    near = list(dict.fromkeys([*difflib.get_close_matches(str(found), names, n=most - 1, cutoff=0.4), *names]))[:most]
    return ", ".join(near) + (" …" if len(names) > len(near) else "")
