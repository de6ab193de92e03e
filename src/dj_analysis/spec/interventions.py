"""The library of measures: what helps where which questions are low (预警举措方法库)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache, cached_property
from importlib import resources
from pathlib import Path
from typing import Self

from ..errors import Problems
from ..result import rows_of
from .codebook import Codebook
from .schemas import INTERVENTIONS
from .settings import Settings
from .tables import Table, conform, load_table, numbers, read_text

#: Columns of proposals whose words the library has in both languages.
WORDED = ("path", "measure", "owner_role", "indicator")


@dataclass(frozen=True)
class Intervention:
    """One measure of the library.

    Attributes
    ----------
    measure, driver, items
        Its code, the dimension it is for, the questions it is to raise.
    start_days, evaluate_quarters
        Working days within which it starts; quarters after which its effect is looked at.
    expected
        Points it is expected to raise each question by: an assumption to plan with and to test, never evidence.
    """

    measure: str
    driver: str
    items: tuple[str, ...]
    start_days: int
    evaluate_quarters: int
    words: Mapping[str, tuple[str, str]] = field(default_factory=dict, repr=False)
    expected: Mapping[str, float] = field(default_factory=dict)

    def word(self, column: str, language: str = "zh") -> str:
        """Return its path, name (``measure``), owner_role or indicator for a reader; the other language where one is missing."""
        zh, en = self.words.get(column, ("", ""))
        return (en or zh) if language == "en" else (zh or en)


@dataclass(frozen=True)
class InterventionLibrary:
    """Every measure an office may propose.

    Attributes
    ----------
    owned
        It is the office's own file; else the package's, which fits the package's questionnaire.
    """

    interventions: tuple[Intervention, ...] = ()
    owned: bool = False

    def __iter__(self) -> Iterator[Intervention]:
        return iter(self.interventions)

    def __len__(self) -> int:
        return len(self.interventions)

    def get(self, measure: str) -> Intervention | None:
        """Return the measure of this code, or None."""
        return self._by_code.get(measure)

    def fitting(self, codebook: Codebook) -> Self:
        """Keep the measures whose dimension and questions, or successors of these, a questionnaire has in that place.

        The package's library must not be applied to another questionnaire that happens to use a code of it for something else.
        """
        tops = {node.code for node in codebook.dimensions}
        kept = []
        for one in self.interventions:
            below = lineage_below(codebook, one.driver) if one.driver in tops else {}
            if one.items and all(item in below for item in one.items):
                kept.append(one)
        return type(self)(tuple(kept), self.owned)

    def said(self, column: str, text: str, language: str) -> str:
        """Return a word of a proposal's column in the reader's language; the text itself where the library does not know it."""
        one = self._by_word[column].get(text)
        return one.word(column, language) if one is not None else text

    @cached_property
    def _by_code(self) -> Mapping[str, Intervention]:
        return {one.measure: one for one in self.interventions}

    @cached_property
    def _by_word(self) -> Mapping[str, Mapping[str, Intervention]]:
        """Words of each column, and codes in that of measures, with the first measure that has them."""
        known: dict[str, dict[str, Intervention]] = {column: {} for column in WORDED}
        for one in self.interventions:
            known["measure"].setdefault(one.measure, one)
            for column, words in one.words.items():
                for text in words:
                    known[column].setdefault(text, one)
        return known


def lineage_below(codebook: Codebook, driver: str) -> Mapping[str, str]:
    """Return code → question now in its place, for the questions below a dimension and those that these replaced."""
    tree, every = codebook.tree, {node.code: node for node in codebook.tree}
    below: dict[str, str] = {}
    for leaf in tree.leaves_of(driver) if driver in tree else ():
        code: str = leaf.code
        while code and code not in below:
            below[code] = leaf.code
            code = every[code].replaces if code in every else ""
    return below


def load_interventions(settings: Settings, codebook: Codebook, problems: Problems) -> InterventionLibrary:
    """Read a workspace's own library, which stands in place of the package's; the package's where it has none."""
    table = load_table(settings, "interventions", INTERVENTIONS, problems)
    if table is None:
        return default_interventions()
    library = InterventionLibrary(tuple(_read(table, problems)), owned=True)
    _check(table.place, library, codebook, problems)
    return library


@cache
def default_interventions() -> InterventionLibrary:
    """Return the package's library of 32 measures (spec/defaults/interventions.csv)."""
    problems = Problems()
    with resources.as_file(resources.files(__package__).joinpath("defaults/interventions.csv")) as path:
        table = read_text(Path(path), problems)
    assert table is not None, "the package's own library is there"
    library = InterventionLibrary(tuple(_read(conform(table, INTERVENTIONS, problems), problems)))
    assert not problems, "the package's own library is sound"
    return library


def intervention_rows(library: InterventionLibrary) -> list[list[str]]:
    """Return the library as text cells in the order of the columns of interventions.csv."""
    rows = []
    for one in library:
        (path, measure, owner, indicator) = (one.words.get(column, ("", "")) for column in WORDED)
        expected = "|".join(f"{item}={points:g}" for item, points in one.expected.items())
        rows.append(
            [one.measure, one.driver, "|".join(one.items), *path, *measure, *owner, str(one.start_days),
             str(one.evaluate_quarters), expected, *indicator]
        )  # fmt: skip
    return rows


def _read(table: Table, problems: Problems) -> Iterator[Intervention]:
    frame = table.frame
    days, quarters = numbers(frame["start_days"]), numbers(frame["evaluate_quarters"])
    for place, row in enumerate(rows_of(frame)):
        where = f"{table.place}: {row['measure'] or f'第 {place + 2} 行'}"
        for name in ("measure", "driver", "items", "start_days", "evaluate_quarters"):
            if not str(row[name]).strip():
                problems.add(where, "missing_value", name, "必填 (required)", "填上 (fill it in)")
        items = tuple(part.strip() for part in str(row["items"]).split("|") if part.strip())
        words = {
            "path": (row["path_zh"], row["path_en"]), "measure": (row["label_zh"], row["label_en"]),
            "owner_role": (row["owner_role"], row["owner_role_en"]), "indicator": (row["indicator_zh"], row["indicator_en"]),
        }  # fmt: skip
        yield Intervention(
            str(row["measure"]).strip(), str(row["driver"]).strip(), items, _whole(days.iloc[place]),
            _whole(quarters.iloc[place]), words, _expected(where, str(row["expected"]), items, problems),
        )  # fmt: skip


def _whole(value: float) -> int:
    return int(value) if value == value else 0


def _expected(where: str, text: str, items: tuple[str, ...], problems: Problems) -> Mapping[str, float]:
    """Read ``L1=4|L5=4``."""
    expected = {}
    for part in (part.strip() for part in text.split("|") if part.strip()):
        item, _, points = part.partition("=")
        try:
            expected[item.strip()] = float(points)
        except ValueError:
            problems.add(f"{where} expected", "text_in_number", part, "L1=4|L5=4", "改正 (correct it)")
        if item.strip() not in items:
            problems.add(f"{where} expected", "unknown_code", item.strip(), "|".join(items), "改正 (correct it)")
    return expected


def _check(place: str, library: InterventionLibrary, codebook: Codebook, problems: Problems) -> None:
    """Note dimensions and questions that the questionnaire does not have."""
    dimensions = [node.code for node in codebook.dimensions]
    for one in library:
        where = f"{place}: {one.measure}"
        if one.driver not in dimensions:
            advice = "写 codebook 中的维度 (a dimension of the codebook)"
            problems.add(
                f"{where} driver", "unknown_dimension", one.driver, "、".join(dimensions) or "(无/none)", advice
            )
            continue
        below = lineage_below(codebook, one.driver)
        for item in (item for item in one.items if item not in below):
            advice = "写该维度下的题目 (a question of that dimension)"
            problems.add(f"{where} items", "unknown_item", item, "、".join(below), advice)
