"""Multiple choices and rankings: how many chose an option, its share of all choices, its mean place, by group."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from ..errors import UsageError, unknown
from ..measure.basis import basis_of
from ..measure.choice_sums import choice_products
from ..measure.crossnames import is_cross
from ..measure.engines import names_of
from ..measure.inference import uncertainty
from ..measure.survey import Survey
from ..measure.survey_scores import sums_by_level, unit_sums
from ..measure.unitsums import UnitSums, effect_of_teams, independent_squares
from ..result import Result, rows_of
from ..spec import reasons
from ..spec.settings import FLOOR
from ..spec.tree import CHOICES, Node
from ..spec.units import ALL
from .change import q_values
from .differences import chi_squared, shown_groups, welch, worded

KEYS = ("period", "level", "unit", "parent", "code")
STATISTICS = (
    "n", "of", "share", "low", "high", "choice_share", "choice_low", "choice_high", "mean_place", "place_low", "place_high", "points"
)  # fmt: skip
TEST_KEYS = ("period", "level", "unit", "by", "parent", "code", "test")
TEST_STATISTICS = ("n", "groups", "statistic", "df", "df_within", "p", "q", "effect", "effect_name", "size", "words")


@dataclass(frozen=True)
class ChoiceAnswers(Result):
    """Answers to a multiple choice or ranking, one row a unit and option.

    ``.table``: period, level, unit, parent (the question), code (the option), n (people counted: of a multiple choice those who
    answered it, of a ranking those who gave the option a place), of (people who answered the question), share (of ``of``,
    0–1: 普及率; of a ranking the share who gave the option a place), low, high (95 %, Wilson 1927), choice_share (of all
    choices made: 响应率), choice_low, choice_high, mean_place (1 first), place_low, place_high, points (平均综合得分),
    reason.
    """

    @property
    def tests(self) -> Result:
        """Whether groups differ, one row a grouping and option: by, parent, code, test, n, groups, statistic, df, df_within,
        p, q (Benjamini–Hochberg over the options and groupings), effect, effect_name, size, words, reason.
        """
        return self.parts["tests"]

    @property
    def ranked(self) -> bool:
        """Tell whether the question is a ranking."""
        return bool(self.spec.codebook.is_ranking(str(self.table["parent"].iloc[0])))

    @property
    def printed_columns(self) -> list[str]:
        """Columns of a table in print, without the unit."""
        shares = ["n", "share", "low", "high", "choice_share"]
        return [
            "code",
            *(["n", "mean_place", "place_low", "place_high", "points"] if self.ranked else shares),
            "reason",
        ]


def choices(survey: Survey, code: str, by: str | Sequence[str] | None = None) -> ChoiceAnswers:
    """Count the answers to a multiple choice or ranking, with intervals, in all and by level or group.

    Parameters
    ----------
    survey
        What ``ws.survey(period)`` returned. Its weights count.
    code
        The question: role ``choice`` or ``ranking`` in the codebook, its options below it.
    by
        Levels of unit trees and group columns; the root is always there.

    Returns
    -------
    ChoiceAnswers
        Of a multiple choice: 普及率 (share of those who answered) with Wilson's interval, and 响应率 (share of all choices
        made), a ratio of two means whose linearised error (Taylor; Cochran 1977, 6.4) goes into Wilson's interval as an
        effective number of people. Of a ranking: the mean place with Student's t interval, and points, k + 1 − place of k
        options with 0 where it has no place (问卷星's 平均综合得分). ``.tests``: for each grouping and option χ² (Pearson 1900)
        of chosen against not chosen, or Welch's F (1951) of the places, groups under min_group and hidden ones left out.

    Raises
    ------
    UsageError
        No such question, nobody was asked it, or a cross-classification.

    Examples
    --------
    >>> dj.choices(survey, "Q9", by="city")  # doctest: +SKIP
    """
    names = _groupings(by)
    questions = [node.code for node in survey.codebook.choices.inner]
    if code not in questions:
        raise unknown("多选题或排序题/multiple choice or ranking", code, questions)
    return _choices(survey, code, names, unit_sums(survey, names, trees=survey.counted_trees()))


def _groupings(by: str | Sequence[str] | None) -> list[str]:
    names = [] if by is None else [by] if isinstance(by, str) else list(by)
    if any(is_cross(name) or not isinstance(name, str) for name in names):
        raise UsageError("choices: 一次按一种分组 (one grouping at a time, no cross-classification)")
    return names


def _choices(survey: Survey, code: str, names: Sequence[str], sums: Mapping[str, UnitSums]) -> ChoiceAnswers:
    """Count the answers to one question from the sums of the wave."""
    tree, ranked = survey.codebook.choices, survey.codebook.is_ranking(code)
    asked = {cell for block in sums.values() for cell in block.cells}
    options = [option for option in tree.children(code) if (CHOICES, option.code) in asked]
    if not options:
        raise UsageError(f"{code}: {survey.period} 未问此题 (not asked in this wave)")
    products = {} if ranked else dict(sums_by_level(choice_products(survey, options, names), survey, names))
    rows = [
        row
        for level, block in sums_by_level(sums, survey, names)
        for row in _rows(level, block, products.get(level), code, options)
    ]
    table = pd.DataFrame(rows)
    table.insert(0, "period", survey.period)
    common: dict[str, Any] = {
        "period": survey.period, "periods": (survey.period,), "spec": survey.spec, "withheld": survey.withheld,
        "basis": basis_of(survey, sums),
    }  # fmt: skip
    tests = Result(
        table=_tests(survey, sums, names, code, options, ranked), keys=TEST_KEYS, statistics=TEST_STATISTICS,
        together=TEST_STATISTICS, **common,
    )  # fmt: skip
    return ChoiceAnswers(
        table=table[[*KEYS, *STATISTICS, "reason"]], keys=KEYS, statistics=STATISTICS, parts={"tests": tests}, **common
    )


def choices_of_wave(survey: Survey, by: str | Sequence[str] | None = None) -> dict[str, ChoiceAnswers]:
    """Return question → answers to it, for every multiple choice and ranking the wave asked.

    Examples
    --------
    >>> methods.choices_of_wave(survey)
    {}
    """
    held, tree = set(names_of(survey.frame)), survey.codebook.choices
    asked = [node.code for node in tree.inner if any(option.code in held for option in tree.children(node.code))]
    if not asked:
        return {}
    names = _groupings(by)
    sums = unit_sums(survey, names, trees=survey.counted_trees())  # the answers are gone through once for all questions
    return {code: _choices(survey, code, names, sums) for code in asked}


def _rows(
    level: str, sums: UnitSums, products: UnitSums | None, question: str, options: Sequence[Node]
) -> list[dict[str, Any]]:
    """Return the rows of one level: of a multiple choice where products are given, else of a ranking."""
    answered = sums.column((CHOICES, question))
    by_option = {option.code: sums.column((CHOICES, option.code)) for option in options}
    tables = []
    for option in options:
        column = by_option[option.code]
        numbers = (
            _placed(column, answered, option)
            if products is None
            else _chosen(column, by_option, answered, products.column((CHOICES, option.code)), len(options))
        )
        of = answered["n"]
        numbers["reason"] = np.where(of == 0, reasons.NO_ANSWERS, numbers["reason"])
        keys = {"level": level, "unit": list(sums.units), "parent": question, "code": option.code}
        columns = dict.fromkeys(STATISTICS, np.nan) | numbers | {"of": of.astype(int)} | keys
        tables.append(pd.DataFrame(columns, index=range(len(of))))
    return rows_of(pd.concat(tables).sort_index(kind="stable"))


def _chosen(
    column: Mapping[str, np.ndarray],
    by_option: Mapping[str, Mapping[str, np.ndarray]],
    answered: Mapping[str, np.ndarray],
    products: Mapping[str, np.ndarray],
    options: int,
) -> dict[str, np.ndarray]:
    """Shares of people and of choices; sums of an option are of 100 where it was chosen, of products of 100·t/k."""
    n = column["n"]
    with np.errstate(divide="ignore", invalid="ignore"):
        effective = np.where(n > 0, column["w"] ** 2 / independent_squares(column), 0)
        share = column["wx"] / column["w"] / 100
        total = sum(one["wx"] for one in by_option.values()) / 100
        choice_share = column["wx"] / 100 / total
        # Σw²(x − p·t)² with x² = x; the question's own sums are of the mean share of options, 100·t/k.
        square = (
            column["wwx"] / 100
            - 2 * choice_share * products["wwx"] * options / 100
            + choice_share**2 * answered["wwxx"] * (options / 100) ** 2
        )
        variance = np.maximum(square, 0) / total**2 * n / (n - 1)
        people = np.where(
            variance > 0, choice_share * (1 - choice_share) / variance / effect_of_teams(column), effective
        )
    low, high = uncertainty.shares_interval(np.nan_to_num(share * effective), effective)
    known = np.isfinite(people) & np.isfinite(choice_share) & (n > 1)
    counted = np.where(known, people, 0)
    choice_low, choice_high = uncertainty.shares_interval(np.nan_to_num(choice_share * counted), counted)
    return {
        "n": n.astype(int), "share": share, "low": low, "high": high, "choice_share": choice_share,
        "choice_low": choice_low, "choice_high": choice_high, "reason": np.full(n.shape, "", dtype=object),
    }  # fmt: skip


def _placed(
    column: Mapping[str, np.ndarray], answered: Mapping[str, np.ndarray], option: Node
) -> dict[str, np.ndarray]:
    """Mean places; sums are of 100·(k − place)/(k − 1)."""
    mean, places = uncertainty.means(column), option.maximum
    n = column["n"]
    with np.errstate(divide="ignore", invalid="ignore"):
        effective = np.where(answered["n"] > 0, answered["w"] ** 2 / independent_squares(answered), 0)
        share = column["w"] / answered["w"]
    low, high = uncertainty.shares_interval(np.nan_to_num(share * effective), effective)
    place, first, last = (places - score / 100 * (places - 1) for score in (mean.mean, mean.high, mean.low))
    return {
        "n": n.astype(int), "share": share, "low": low, "high": high, "mean_place": place, "place_low": first, "place_high": last,
        "points": share * (places + 1 - np.nan_to_num(place)), "reason": mean.reason,
    }  # fmt: skip


def _tests(
    survey: Survey,
    sums: Mapping[str, UnitSums],
    by: Sequence[str],
    question: str,
    options: Sequence[Node],
    ranked: bool,
) -> pd.DataFrame:
    """Test for every grouping and option whether groups differ."""
    least, tests = max(survey.spec.min_group, FLOOR), []
    for name in by:
        axis, groups = shown_groups(survey, sums, name)
        rolled = sums[axis].rolled_up(groups)
        for option in options:
            column = rolled.column((CHOICES, option.code))
            there = column["n"] >= least
            kept = {statistic: values[there] for statistic, values in column.items()}
            keys = {"by": name, "parent": question, "code": option.code}
            counts = {"n": int(kept["n"].sum()), "groups": int(there.sum())}
            tests.append(keys | counts | (welch(uncertainty.means(kept), kept) if ranked else chi_squared(kept)))
    columns = [name for name in (*TEST_KEYS, *TEST_STATISTICS, "reason") if name not in ("q", "size", "words")]
    table = pd.DataFrame(tests, columns=columns).assign(
        period=survey.period, level=survey.spec.units.at(survey.period).root.level, unit=ALL
    )
    table["q"] = q_values(table["p"])
    return worded(table, survey.spec)[[*TEST_KEYS, *TEST_STATISTICS, "reason"]]
