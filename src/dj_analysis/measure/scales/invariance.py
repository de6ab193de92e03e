"""Measurement invariance of the items across groups or waves, as a caution beside the index."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import numpy as np
import pandas as pd
from scipy import stats

from ...errors import UsageError
from ...result import Result
from ...spec import reasons
from ...spec.tree import Form
from ..inference.uncertainty import CONFIDENCE, NO_SPREAD
from ..survey import Survey
from ..survey_scores import unit_sums
from . import cfa
from .cfa import Fit, FreedParameter, release
from .factormodel import LEVELS, Kind, Level, Model
from .invariancerule import (
    ITEMS_DIFFER,
    NO_DIMENSION,
    ONE_OF_A_PAIR,
    TOO_FEW_GROUPS,
    TOO_FEW_PEOPLE,
    InvarianceRule,
    judged,
    measures,
)
from .itemgroups import ItemGroups, groups_of_wave, groups_of_waves

_TEXT = ("period", "by", "model", "level", "unit", "code", "parameter", "reason")
_MARKS = ("holds", "used", "differs")
_WHOLE = ("n", "groups", "df", "delta_df", "step", "items")
_FIT = (
    "groups", "chi2", "df", "p", "cfi", "tli", "rmsea", "srmr", "delta_chi2", "delta_df", "delta_p", "delta_cfi",
    "delta_rmsea", "holds",
)  # fmt: skip
_ITEMS = ("n", "difference", "se", "low", "high", "chi2", "df", "p", "q", "step", "differs")
_TESTED: Mapping[Level, Kind] = {"metric": "loading", "scalar": "intercept"}


@dataclass(frozen=True)
class Invariance(Result):
    """Configural, metric and scalar invariance.

    ``.table``, a row a model: period, by, model (configural, metric, scalar), n (people who answered every item),
    effective (their effective number), complete (their share of all in the groups), groups, chi2, df, p, cfi, tli, rmsea,
    srmr, delta_chi2, delta_df, delta_p (likelihood-ratio test against the model before), delta_cfi (its fall),
    delta_rmsea (its rise), holds (missing where nothing can be said), reason.
    ``.parts``: ``items`` (below), ``partial`` (the model after each item freed), ``groups`` and ``dimensions`` (what was
    compared, what was left out and why).
    """

    rule: InvarianceRule = field(default_factory=InvarianceRule)

    @property
    def holds(self) -> Literal["unknown", "none", "configural", "metric", "scalar"]:
        """The highest level that holds together with all below it; a level that cannot be tested is assumed to hold.

        ``unknown`` where nothing could be estimated, or nothing but what cannot be tested.
        """
        reached: Any = "unknown"
        tested = False
        for model, chi2, holds in self.table[["model", "chi2", "holds"]].itertuples(index=False):
            if pd.isna(chi2):
                break
            tested |= not pd.isna(holds)
            if not pd.isna(holds) and not holds:
                return "none" if reached == "unknown" else reached
            reached = model
        return reached if tested else "unknown"

    @property
    def items(self) -> Result:
        """Items compared, the largest score statistic first: loadings where metric exceeds its limits, else intercepts.

        period, level, unit, code, parameter (``loading``, ``intercept``), n, difference (of the group's parameter from its
        mean over groups by n, the dimension being equal: in points of the 0–100 score; for a loading points per standard
        deviation of the dimension in the first group; once the items with a step are free), se, low, high (95 %), chi2,
        df, p, q (score test of the item's equality while all are held equal; Benjamini–Hochberg over items), step (at
        which it was freed), differs (by :class:`InvarianceRule`), reason.
        """
        return self.parts["items"]


def invariance(
    survey: Survey | Sequence[Survey],
    by: str | None = None,
    *,
    dimensions: Sequence[str] | None = None,
    form: Form = "anchors",
    rule: InvarianceRule | None = None,
) -> Invariance:
    """Test measurement invariance of the items across groups of one wave, or across waves.

    A caution beside the index, never a gate: scores are given all the same. If scalar invariance fails, groups are
    compared item by item and differences of means are read with reserve.

    One multi-group factor model (each item on its dimension, dimensions correlated) is fitted by maximum likelihood to the
    items' 0–100 scores: configural (same structure), metric (equal loadings), scalar (equal intercepts too; Meredith
    1993). Then items are freed one at a time, the largest score statistic first, as long as metric or scalar exceeds its
    limits or a single item differs (partial invariance: Byrne, Shavelson & Muthén 1989); at least two items of a
    dimension stay equal, one where it has two.

    Parameters
    ----------
    survey
        One wave with ``by``; or several waves without it: each wave is then a group, and only questions asked alike in all
        of them count. Waves are read as independent samples; answers of the same people in two of them are not linked.
    by
        A declared group column or a level of a unit tree.
    dimensions
        Codes of dimensions to be tested together; all of them by default.
    form
        Items of this form; the anchors are what waves and units are compared by.
    rule
        Limits and the least number of people; :class:`InvarianceRule` by default.

    Returns
    -------
    Invariance
        Only people who answered every item count (listwise; neither pairwise covariances nor FIML are offered). Groups
        under ``rule.least``, groups that may not be told apart and dimensions with one item are left out, with a reason. Two
        items are identified by the other dimensions; alone they get equal loadings, which are then not tested. A model
        that does not converge has no numbers, with a reason. With weights, means and covariances are weighted and n is
        Kish's effective number: test and interval are approximations. Answers on five or more steps are taken as
        continuous.

    Raises
    ------
    UsageError
        No ``by`` for one wave, ``by`` for several, a cross-classification, a name that does not exist.

    Examples
    --------
    >>> invariance(ws.survey("2026Q3"), by="age_band").holds  # doctest: +SKIP
    """
    return _tested(_read(survey, by, dimensions, form), rule or InvarianceRule())


def _tested(data: ItemGroups, rule: InvarianceRule) -> Invariance:
    """Fit the levels and look for single items that differ."""
    reason_by_group = _left_out(data, rule)
    used = data.take(np.flatnonzero(reason_by_group == ""))
    no_test_reason = NO_DIMENSION if not data.structure else TOO_FEW_GROUPS if len(used.rows) < 2 else ""
    fits = [] if no_test_reason else [_fitted(Model(data.structure, len(used.rows), level), used) for level in LEVELS]
    table = _model_table(used, fits, rule, no_test_reason, data.periods[-1])
    search = _search(fits, rule, table)
    items = _item_table(used, search, rule)
    if items["differs"].any() and table["holds"].all():
        table.loc[len(LEVELS) - 1, "reason"] = ";".join(filter(None, [table["reason"].iloc[-1], ITEMS_DIFFER]))
    common: dict[str, Any] = {
        "period": data.periods[-1], "periods": data.periods, "spec": data.spec, "withheld": data.withheld,
        "basis": data.basis,
    }  # fmt: skip
    keys = ("period", "level", "unit")
    parts = {
        "items": Result(items, (*keys, "code", "parameter"), _ITEMS, **common),
        "partial": Result(
            _partial_table(table, search), ("period", "by", "model", "step", "code"), ("n", *_FIT), **common
        ),
        "groups": Result(_group_table(data, reason_by_group), keys, ("n", "effective", "used"), **common),
        "dimensions": Result(_dimension_table(data), ("period", "code"), ("n", "items", "used"), **common),
    }
    statistics = ("n", "effective", "complete", *_FIT)
    return Invariance(
        table, ("period", "by", "model"), statistics, parts=parts, rule=rule, together=statistics, **common
    )


def comparability(
    survey: Survey, by: Sequence[str] = (), earlier: Sequence[Survey] = (), *, rule: InvarianceRule | None = None
) -> dict[str, Invariance]:
    """Test invariance for every comparison a report makes: with earlier waves, and among groups.

    Parameters
    ----------
    survey
        The wave reported.
    by
        Group columns or levels.
    earlier
        Waves it is compared with.

    Returns
    -------
    dict
        ``period`` (where there are waves before) and every name of ``by`` → its :func:`invariance`.
    """
    results = {"period": invariance([*earlier, survey], rule=rule)} if earlier else {}
    sums = unit_sums(survey, list(by)) if by else {}  # the answers are gone through once for all groups
    groups = {name: groups_of_wave(survey, name, None, "anchors", sums) for name in by}
    return results | {name: _tested(data, rule or InvarianceRule()) for name, data in groups.items()}


def _read(
    survey: Survey | Sequence[Survey], by: str | None, dimensions: Sequence[str] | None, form: Form
) -> ItemGroups:
    if isinstance(survey, Survey):
        if by is None:
            raise UsageError(
                "一期数据须给出 by= 分组或层级;各期之间请传入多期 (one wave needs by=; or give several waves)"
            )
        return groups_of_wave(survey, by, dimensions, form)
    if by is not None:
        raise UsageError(
            "多期之间的检验不再分组;分组检验请逐期进行 (several waves are the groups; use by= on one wave)"
        )
    return groups_of_waves(survey, dimensions, form)


def _left_out(data: ItemGroups, rule: InvarianceRule) -> np.ndarray:
    """Say for each group why it is not compared, or ``""``."""
    variances = np.diagonal(data.covariances, axis1=1, axis2=2)
    flat = ~(variances > NO_SPREAD).all(axis=1)
    few = data.effective < rule.least
    exclusion_reasons = [reasons.COMPLEMENT, TOO_FEW_PEOPLE, reasons.NO_VARIANCE]
    return np.select([data.hidden, few, flat], exclusion_reasons, default="").astype(object)


def _fitted(model: Model, data: ItemGroups) -> Fit:
    return cfa.fit(model, data.effective, data.means, data.covariances)


def _model_table(
    used: ItemGroups, fits: Sequence[Fit], rule: InvarianceRule, no_test_reason: str, period: str
) -> pd.DataFrame:
    rows: list[dict[str, Any]] = [{"reason": no_test_reason} for _ in LEVELS if not fits]
    lower_fails = False
    for place, fitted in enumerate(fits):
        before = fits[place - 1] if place else None
        holds, reason = judged(fitted, before, rule, lower_fails)
        lower_fails |= holds is False
        rows.append(measures(fitted, before) | {"holds": holds, "reason": reason})
    table = pd.DataFrame(rows, columns=[*_FIT, "reason"])
    people = max(1, int(used.people.sum()))
    fixed = {
        "period": period, "by": used.by, "model": LEVELS, "n": int(used.n.sum()),
        "effective": float(used.effective.sum()), "complete": used.n.sum() / people,
    }  # fmt: skip
    for place, (name, value) in enumerate(fixed.items()):
        table.insert(place, name, value)
    table["groups"] = len(used.rows)
    return _typed(table)


@dataclass(frozen=True)
class _Search:
    """Partial invariance: score tests while all items are equal, a row for each item freed, the last model solved."""

    level: Level
    kind: Kind
    tests: Mapping[str, FreedParameter]
    rows: tuple[dict[str, Any], ...]
    last: Fit


def _search(fits: Sequence[Fit], rule: InvarianceRule, table: pd.DataFrame) -> _Search | None:
    """Free items one by one at the first level that exceeds its limits, else at the last, until none qualifies."""
    testable = [place for place, holds in enumerate(table["holds"]) if place and not pd.isna(holds)]
    if not testable:
        return None
    place = next((place for place in testable if not rule.judged(fits[place], fits[place - 1])[0]), testable[-1])
    last, before = fits[place], fits[place - 1]
    kind, sample = _TESTED[last.model.level], last.sample
    tests = {item: release(last, kind, item) for item in last.model.items}
    rows: list[dict[str, Any]] = []
    while chosen := _next_freed(last, before, kind, rule):
        freed = cfa.fit(last.model.releasing(kind, chosen), sample.n, sample.means, sample.covariances)
        holds, reason = judged(freed, before, rule, False)
        rows.append({"step": len(rows) + 1, "code": chosen, "holds": holds, "reason": reason} | measures(freed, before))
        if freed.reason:
            break
        last = freed
    return _Search(last.model.level, kind, tests, tuple(rows), last)


def _next_freed(last: Fit, before: Fit, kind: Kind, rule: InvarianceRule) -> str:
    """The item with the largest score statistic of all until the rule holds, then of those that differ; or ``""``."""
    tests = {item: release(last, kind, item) for item in _may_be_freed(last.model, kind)}
    chosen = max(tests, key=lambda item: tests[item].chi2, default="")
    if not chosen or not rule.judged(last, before)[0]:
        return chosen
    q = stats.false_discovery_control([test.p for test in tests.values()])
    largest_difference = [np.abs(_differences(test, last.sample.n)[0]).max() for test in tests.values()]
    flags = zip(tests, q <= rule.false_discovery, np.array(largest_difference) >= rule.smallest, strict=True)
    differ = [item for item, unlikely, large in flags if unlikely and large]
    return max(differ, key=lambda item: tests[item].chi2, default="")


def _differences(freed: FreedParameter, n: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Each group's parameter less the mean over groups by n, and its standard error."""
    centred = np.eye(len(n)) - n / n.sum()
    return centred @ freed.estimates, np.sqrt(np.maximum(np.diag(centred @ freed.covariance @ centred.T), 0))


def _may_be_freed(model: Model, kind: Kind) -> list[str]:
    """Items that can be freed while two items of their dimension stay equal (one in a dimension of two)."""
    candidates = []
    for items in model.structure.values():
        equal = [item for item in items if (kind, item) not in model.freed]
        candidates += equal if len(equal) > min(2, len(items) - 1) else []
    return candidates


def _item_table(used: ItemGroups, search: _Search | None, rule: InvarianceRule) -> pd.DataFrame:
    columns = ["period", "level", "unit", "code", "parameter", *_ITEMS, "reason"]
    if search is None:
        return _typed(pd.DataFrame(columns=columns))
    steps = {row["code"]: row["step"] for row in search.rows if (search.kind, row["code"]) in search.last.model.freed}
    q = stats.false_discovery_control([test.p for test in search.tests.values()])
    blocks = []
    for place, (item, test) in enumerate(search.tests.items()):
        freed = release(_fit_to_release_from(search, item), search.kind, item)
        difference, se = _differences(freed, search.last.sample.n)
        margin = stats.norm.ppf(0.5 + CONFIDENCE / 2) * se
        exceeds = (np.abs(difference) >= rule.smallest) & (np.abs(difference) > margin)
        block = pd.DataFrame(used.rows, columns=["period", "level", "unit"])
        values = {
            "code": item, "parameter": search.kind, "n": used.n, "difference": difference, "se": se,
            "low": difference - margin, "high": difference + margin, "chi2": test.chi2, "df": test.df, "p": test.p,
            "q": q[place], "step": steps.get(item, np.nan), "differs": exceeds & (q[place] <= rule.false_discovery),
            "reason": _pair_reason(search, item),
        }  # fmt: skip
        blocks.append(block.assign(**values))
    order = np.argsort([-test.chi2 for test in search.tests.values()], kind="stable")
    return _typed(pd.concat([blocks[place] for place in order], ignore_index=True)[columns])


def _partner(search: _Search, item: str) -> str:
    """The other item of a dimension of two; ``""`` in larger dimensions."""
    items = next(items for items in search.last.model.structure.values() if item in items)
    return next((other for other in items if other != item), "") if len(items) == 2 else ""


def _fit_to_release_from(search: _Search, item: str) -> Fit:
    """The last model; for an item held equal beside its freed partner, the model with the two exchanged."""
    last, partner = search.last, (search.kind, _partner(search, item))
    if partner not in last.model.freed:
        return last
    others = tuple(pair for pair in last.model.freed if pair != partner)
    model = replace(last.model, freed=(*others, (search.kind, item)))
    return cfa.fit(model, last.sample.n, last.sample.means, last.sample.covariances)


def _pair_reason(search: _Search, item: str) -> str:
    """Reason of a dimension of two: freeing either item is the same model, so which one differs is not identified."""
    either = {(search.kind, item), (search.kind, _partner(search, item))}
    return ONE_OF_A_PAIR if _partner(search, item) and either & set(search.last.model.freed) else ""


def _partial_table(table: pd.DataFrame, search: _Search | None) -> pd.DataFrame:
    rows = pd.DataFrame(search.rows if search else (), columns=["step", "code", *_FIT, "reason"])
    for place, name in enumerate(("period", "by", "n")):
        rows.insert(place, name, table[name].iloc[0])
    rows["groups"] = table["groups"].iloc[0]
    rows.insert(2, "model", search.level if search else "")
    return _typed(rows)


def _group_table(data: ItemGroups, reason_by_group: Iterable[str]) -> pd.DataFrame:
    table = pd.DataFrame(data.rows, columns=["period", "level", "unit"])
    return _typed(
        table.assign(n=data.n, effective=data.effective, reason=list(reason_by_group)).assign(
            used=lambda t: t["reason"] == ""
        )
    )


def _dimension_table(data: ItemGroups) -> pd.DataFrame:
    rows: list[tuple[Any, ...]] = [(code, len(items), True, "") for code, items in data.structure.items()]
    rows += [(code, np.nan, False, reason) for code, reason in data.left_out.items()]
    table = pd.DataFrame(rows, columns=["code", "items", "used", "reason"])
    table.insert(0, "period", data.periods[-1])
    table.insert(2, "n", data.people.sum())
    return _typed(table)


def _typed(table: pd.DataFrame) -> pd.DataFrame:
    """Set the column types, also where values are missing: texts, counts, marks, else floats."""
    for name in table.columns:
        if name in _TEXT:
            table[name] = table[name].fillna("").astype("str")
        elif name in _MARKS:
            table[name] = pd.array(table[name].to_numpy(object), dtype="boolean")
        else:
            table[name] = table[name].astype("Int64" if name in _WHOLE else "float64")
    return table
