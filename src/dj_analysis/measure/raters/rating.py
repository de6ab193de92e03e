"""Results of score sheets by several judges: adjusted scores, agreement, self-assessment, pairwise comparisons."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from ...errors import DjWarning, UsageError
from ...result import Result
from ...spec.periods import order
from ...spec.rubrics import CHECKLIST
from ...spec.settings import FLOOR
from ...spec.specification import Specification
from ..basis import Basis, digest_of
from ..inference.sharedranks import shared_ranks, tied_units
from ..inference.uncertainty import CONFIDENCE
from ..intake.score_sheets import Ratings
from . import concordance, two_way
from .rubric_sheets import KINDS, checked_sheets, item_weights, of_rubric, sheet_items, sheet_scores
from .two_way import Estimates

NOT_INSPECTED = "no_inspection"
NO_SELF = "no_self_assessment"
ONE_ITEM = "one_item_no_error_can"
ALL_ITEMS = "*"
RANK_DRAWS = 2000
_KEYS = ("period", "level", "unit")
_ESTIMATES = (
    "score", "adjusted", "se", "df", "se_source", "low", "high", "rank_before", "rank", "rank_low", "rank_high", "tied_with", "p_first",
)  # fmt: skip
_PARTS = ("main", "agreement", "severity", "self", "wins", "lead")
_LEAD = ("n", "n_other", "difference", "se", "probability", "decided")
_LEAD_TYPES = {"unit": "str", "other": "str", "reason": "str", "decided": "boolean"}
_SELF = ("n", "items", "self", "inspection", "difference", "se", "low", "high", "outside")


@dataclass(frozen=True)
class Rating(Result):
    """Ratings of units by several judges; ``n`` is the number of judges, who are people.

    ``.table``: period, level, unit, n (raters), score (mean over raters, in points of the score sheet), adjusted (for how
    strict the raters were), se, df, se_source (``raters`` or ``none``), low, high (95 % interval of adjusted, of score where
    nothing could be adjusted), rank_before (by score), rank (by adjusted), rank_low, rank_high (places not ruled out, 95 % for all
    together), tied_with (units whose adjusted score is printed the same), p_first (probability to be truly the best of the period),
    reason.
    """

    @property
    def self_assessed(self) -> bool:
        """Tell whether some unit assessed itself."""
        return bool(self.parts["self"].table["self"].notna().any())

    @property
    def agreement(self) -> Result:
        """Inter-rater agreement by period.

        Columns: period, code (``*`` the whole sheet), coefficient, estimate, low, high, p, n, targets, method, reason.
        Six intraclass correlations (``ICC(2,1)`` is the one to report), ``Kendall W``; of officials ``severity``, how many points the
        strictest and the most lenient lie apart; and of self-assessment against inspection ``bias``, ``limit_low``, ``limit_high``
        (Bland–Altman 1999).
        """
        return self.parts["agreement"]

    @property
    def severity(self) -> Result:
        """Rater severity by period.

        Columns: period, rater (a number, no name), n (1), severity (points, positive is strict), se, low, high, reason.
        Every row is about one person, so disclosure control hides all of them.
        """
        return self.parts["severity"]

    @property
    def self_assessment(self) -> Result:
        """Self-assessment minus inspection: the keys, n (inspecting raters), items, self, inspection, difference, se, low, high.

        ``inspection`` is adjusted for how strict the raters were, where it can be. The interval is over items;
        ``outside`` tells whether the difference lies outside the limits of agreement.
        """
        return self.parts["self"]

    @property
    def wins(self) -> Result:
        """Pairwise comparisons of units.

        Columns: period, level, unit, other, n, n_other, difference, se, probability (that unit is truly better), reason.
        """
        return self.parts["wins"]

    @property
    def lead(self) -> Result:
        """Lead of the best unit of each period over the second: period, unit, other, n, n_other, difference, se, probability (that
        unit is truly better), decided (with 95 % and more), reason.

        Of two units that are equally good one is said to lead in one case of ten, as either may come first; of more in fewer.
        """
        return self.parts["lead"]


def rate(
    ratings: Ratings | pd.DataFrame,
    *,
    spec: Specification | None = None,
    rubric: str | None = None,
    officials: bool = False,
    draws: int = 10_000,
    seed: int = 0,
) -> Rating:
    """Combine the score sheets of several judges.

    A sheet (one rater, one unit) counts as the weighted mean of its items; weights are those of the rubric, else of the indicator
    tree, else equal. A sheet that lacks an item of its period and kind is left out, with a warning. Raters count alike. Units are adjusted by
    :func:`~dj_analysis.measure.raters.severity`; where no rater judged two units, or units fall into groups without a common
    rater (with a warning), every unit has the mean over its own raters.

    Parameters
    ----------
    ratings
        What ``ws.ratings()`` returned, or one row a score: period, unit, rater, score (finite number, high is good), kind (``inspection`` or ``self``);
        code (item) where a sheet has several.
    spec
        Units (levels, names), item weights, min_group; by default those of the workspace. Without any, units are taken as they are written.
    rubric
        The rubric (评价细则) whose sheets are combined; sheets of several are never put together.
    officials
        The raters of a frame are officials in their role, so that their number need not reach min_group to be shown; a workspace
        declares it with its table (``[tables.ratings] raters``) or with the rubric.
    draws, seed
        Of the simulation of ``p_first``.

    Returns
    -------
    Rating
        A unit judged by nobody but itself, or by one rater, has no error, with the reason; never zero.

    Raises
    ------
    DataError
        Rows that do not fit, units of a type that their rubric does not judge, all together.
    UsageError
        Several rubrics and none named, or one without marks.

    Examples
    --------
    >>> sheets = pd.DataFrame({"unit": list("AABB"), "rater": list("xyxy"), "score": [90, 80, 70, 64]})
    >>> round(float(rate(sheets.assign(period="2026", kind="inspection")).wins.table["probability"][0]), 3)
    0.965
    """
    declared = ratings if isinstance(ratings, Ratings) else None
    spec = spec or (declared.spec if declared is not None else Specification())
    rows = checked_sheets(ratings.table if isinstance(ratings, Ratings) else ratings, spec)
    bases = tuple(Basis("ratings", p, spec, values=digest_of(part)) for p, part in rows.groupby("period"))
    rows, name_of_rubric = of_rubric(rows, spec, rubric)
    if name_of_rubric in spec.rubrics and spec.rubrics[name_of_rubric].kind == CHECKLIST:
        raise UsageError(f"{name_of_rubric}: 核对清单不计平均分,用 methods.checklist (a checklist is not averaged)")
    if declared is not None:
        officials = declared.by_officials(name_of_rubric)
        bases = tuple(basis for basis in declared.basis if basis.period in set(rows["period"]))
    weights, least = item_weights(rows, spec, name_of_rubric), 0 if officials else max(spec.min_group, FLOOR)
    tables: dict[str, list[pd.DataFrame]] = {name: [] for name in _PARTS}
    for period in order(sorted(rows["period"].unique())):
        for name, table in _of_period(rows[rows["period"] == period], weights, least, officials, draws, seed).items():
            table.insert(0, "period", period)
            tables[name].append(table)
    joined = {name: pd.concat(frames, ignore_index=True) for name, frames in tables.items()}
    periods = tuple(order(sorted(rows["period"].unique())))
    common: dict[str, Any] = {
        "period": periods[-1], "periods": periods, "about": "units" if officials else "persons", "programme": "ratings",
        "spec": spec, "basis": bases,
    }  # fmt: skip

    def part(name: str, keys: tuple[str, ...], n: str | None = "n") -> Result:
        table = joined[name]
        statistics = tuple(column for column in table if column not in (*keys, "reason", "method"))
        own = common | ({"about": "persons"} if name == "severity" else {})
        return Result(table=table, keys=keys, statistics=statistics, n=n, **own)

    parts = {
        "agreement": part("agreement", ("period", "code", "coefficient")),
        "severity": part("severity", ("period", "rater")),
        "self": part("self", _KEYS),
        "wins": part("wins", (*_KEYS, "other")),
        "lead": part("lead", ("period", "unit", "other")),
    }
    return Rating(table=joined["main"], keys=_KEYS, statistics=("n", *_ESTIMATES), parts=parts, **common)


def _of_period(
    rows: pd.DataFrame, weights: pd.Series, least: int, officials: bool, draws: int, seed: int
) -> dict[str, pd.DataFrame]:
    """Every table of one period, without its column period."""
    sheets = {kind: sheet_items(rows[rows["kind"] == kind], weights) for kind in KINDS}
    inspections = sheet_scores(sheets["inspection"], weights)
    places = rows[["level", "unit"]].drop_duplicates().sort_values(["level", "unit"], ignore_index=True)
    estimates = _estimates(inspections)
    self_table = _self_table(places, sheets, weights, estimates)
    agreement = _agreement_table(sheets["inspection"], inspections, self_table, estimates if officials else None)
    return {
        "main": _main_table(places, estimates, least, draws, seed),
        "agreement": agreement,
        "severity": _severity_table(estimates),
        "self": self_table,
        "wins": _wins_table(places, estimates),
        "lead": _lead_table(estimates, least),
    }


def _estimates(sheets: pd.Series) -> Estimates | None:
    """Adjusted scores; plain means over raters where no rater judged two units."""
    if sheets.empty:
        return None
    matrix = sheets.unstack("rater")
    seen = matrix.notna()
    if (seen.sum() == 1).all():
        return two_way.separate(matrix)
    if two_way.groups_of(seen.to_numpy()).max() > 0:
        message = (
            "评分/ratings: 有的单位与其他单位没有共同的评分方,未除去宽严,各单位只取平均"
            " (some units share no rater with the others: strictness is not taken out)"
        )
        warnings.warn(message, DjWarning, stacklevel=5)
        return two_way.separate(matrix)
    return two_way.severity(matrix)


def _main_table(places: pd.DataFrame, estimates: Estimates | None, least: int, draws: int, seed: int) -> pd.DataFrame:
    table = places.copy()
    if estimates is None:
        missing = dict.fromkeys([name for name in _ESTIMATES if name not in ("se_source", "tied_with")], np.nan)
        return table.assign(n=0, **missing, tied_with="", se_source="none", reason=NOT_INSPECTED)[_columns()]
    low, high = estimates.interval()
    values = pd.DataFrame(
        {
            "n": estimates.n, "score": estimates.mean, "adjusted": estimates.adjusted, "se": estimates.se,
            "df": estimates.df, "low": low, "high": high,
            **_ranked(estimates, least, draws, seed), "reason": estimates.reason,
        }, index=list(estimates.targets),
    ).reindex(places["unit"])  # fmt: skip
    values["n"] = values["n"].fillna(0).astype(int)
    values["reason"] = values["reason"].astype("object").where(values["n"] > 0, NOT_INSPECTED).astype("str")
    values["tied_with"] = values["tied_with"].fillna("").astype("str")
    values["se_source"] = np.where(values["se"].notna(), "raters", "none")
    return pd.concat([table, values.reset_index(drop=True)], axis=1)[_columns()]


def _columns() -> list[str]:
    return ["level", "unit", "n", *_ESTIMATES, "reason"]


def _ranked(estimates: Estimates, least: int, draws: int, seed: int) -> dict[str, Any]:
    """Ranks, their sets and the chance to be first among the units with enough raters, to disclose nothing about the others."""
    eligible, size = np.flatnonzero(estimates.n >= least), len(estimates.targets)
    columns: dict[str, Any] = {
        name: np.full(size, np.nan) for name in ("rank_before", "rank", "rank_low", "rank_high", "p_first")
    }
    ties = np.full(size, "", dtype=object)
    if len(eligible):
        part = estimates.taken(eligible)
        low, high = two_way.rank_bounds(part, draws=min(draws, RANK_DRAWS), seed=seed)
        columns["rank_before"][eligible], columns["rank"][eligible] = shared_ranks(part.mean), shared_ranks(part.centre)
        columns["rank_low"][eligible], columns["rank_high"][eligible] = low, high
        columns["p_first"][eligible] = two_way.first_probability(part, draws, seed)
        ties[eligible] = tied_units(part.centre, part.targets)
    return columns | {"tied_with": ties}


def _agreement_table(
    items: pd.DataFrame, inspections: pd.Series, self_table: pd.DataFrame, estimates: Estimates | None
) -> pd.DataFrame:
    """Coefficients of the whole sheet, of every item where there are several, and of self-assessment against inspection.

    How far raters lie apart in severity is told of officials only (``estimates``): the ends of a range are two of them.
    """
    blocks = [] if inspections.empty else [(ALL_ITEMS, inspections)]
    if not inspections.empty and items.shape[1] > 1:
        blocks += [(str(code), items[code].dropna()) for code in items]
    tables = []
    for code, sheets in blocks:
        matrix = sheets.unstack("rater")
        tables.append(
            pd.concat([concordance.icc(matrix), concordance.kendall_w(matrix)], ignore_index=True).assign(code=code)
        )
    limits = concordance.bland_altman(self_table["difference"]).assign(code=ALL_ITEMS)
    raters = inspections.index.get_level_values("rater").nunique() if not inspections.empty else 0
    limits["n"] = raters
    if not (self_table["self"].notna() & self_table["inspection"].notna()).any():
        limits["reason"] = NOT_INSPECTED if inspections.empty else NO_SELF
    if estimates is not None:
        tables.append(_severity_range(estimates, raters))
    table = pd.concat([*tables, limits], ignore_index=True)
    return table[["code", "coefficient", "estimate", "low", "high", "p", "n", "targets", "method", "reason"]]


def _severity_range(estimates: Estimates, raters: int) -> pd.DataFrame:
    """One row: how far the strictest and the most lenient rater lie apart."""
    apart, low, high, p = two_way.severity_range(estimates)
    reason = "" if apart == apart else estimates.reason[0] or two_way.NOT_CROSSED if raters > 1 else two_way.ONE_RATER
    row = {
        "code": ALL_ITEMS, "coefficient": "severity", "estimate": apart, "low": low, "high": high, "p": p, "n": raters,
        "targets": len(estimates.targets), "method": "Tukey-Kramer 1956", "reason": reason,
    }  # fmt: skip
    return pd.DataFrame([row])


def _severity_table(estimates: Estimates | None) -> pd.DataFrame:
    """Severity by rater, numbered instead of named; each row is about one person."""
    names = estimates.raters if estimates is not None else ()
    table = pd.DataFrame({"rater": np.arange(1, len(names) + 1), "n": np.ones(len(names), dtype=int)})
    for name in ("severity", "se", "low", "high"):
        table[name] = np.nan
    table["reason"] = two_way.NOT_CROSSED
    if estimates is not None and estimates.severity.size:
        table["severity"], table["se"] = estimates.severity, estimates.severity_se
        half = stats.t.ppf(0.5 + CONFIDENCE / 2, estimates.df[0]) * estimates.severity_se
        table["low"], table["high"], table["reason"] = (
            estimates.severity - half,
            estimates.severity + half,
            estimates.reason[0],
        )
    return table


def _self_table(
    places: pd.DataFrame, sheets: dict[str, pd.DataFrame], weights: pd.Series, estimates: Estimates | None
) -> pd.DataFrame:
    """Self minus inspection by unit: means over raters by item, then the weighted mean over items and its error over items.

    A unit's inspection is moved, in all items alike, to what raters of mean severity would have given.
    """
    means = {kind: items.groupby(level="unit").mean().reindex(places["unit"]) for kind, items in sheets.items()}
    codes = [code for code in means["inspection"] if code in means["self"]]
    w = weights[codes].to_numpy(float)
    w = w / w.sum() if len(codes) else w
    table, counts = places.copy(), sheets["inspection"].groupby(level="unit").size()
    table["n"] = places["unit"].map(counts).fillna(0).astype(int)
    table["items"] = len(codes)
    both = {kind: means[kind][codes].to_numpy(float).reshape(len(places), len(codes)) for kind in KINDS}
    for kind in ("self", "inspection"):
        table[kind] = both[kind] @ w if codes else np.nan
    table["inspection"] += _moved_by_severity(places, estimates)
    by_item = both["self"] - both["inspection"] - _moved_by_severity(places, estimates)[:, None]
    table["difference"] = table["self"] - table["inspection"]
    spread = ((w * (by_item - table["difference"].to_numpy()[:, None])) ** 2).sum(axis=1)
    several = len(codes) > 1
    table["se"] = np.sqrt(spread * len(codes) / (len(codes) - 1)) if several else np.nan
    table["se"] = table["se"].mask(table["se"] < two_way.NOISE)
    df = 1 / (w**2).sum() - 1 if several else np.nan
    half = stats.t.ppf(0.5 + CONFIDENCE / 2, df) * table["se"]
    table["low"], table["high"] = table["difference"] - half, table["difference"] + half
    limits = concordance.bland_altman(table["difference"])["estimate"].to_numpy()
    outside = (table["difference"] < limits[1]) | (table["difference"] > limits[2])
    table["outside"] = outside.astype("boolean").mask(table["difference"].isna() | np.isnan(limits[1]))
    table["reason"] = np.where(several, "", ONE_ITEM)
    table.loc[table["difference"].notna() & table["se"].isna() & several, "reason"] = two_way.SAME_SCORES
    table.loc[table["self"].isna(), "reason"] = NO_SELF
    table.loc[table["inspection"].isna(), "reason"] = NOT_INSPECTED
    return table[["level", "unit", *_SELF, "reason"]]


def _moved_by_severity(places: pd.DataFrame, estimates: Estimates | None) -> np.ndarray:
    """Return the points by which each unit's score is adjusted for how strict its raters were; 0 where that is not known."""
    if estimates is None:
        return np.zeros(len(places))
    moved = pd.Series(estimates.centre - estimates.mean, index=list(estimates.targets))
    return moved.reindex(places["unit"]).fillna(0.0).to_numpy(float)


def _lead_table(estimates: Estimates | None, least: int) -> pd.DataFrame:
    """The first two units among those with enough raters."""
    columns = ("unit", "other", *_LEAD, "reason")
    eligible = np.flatnonzero(estimates.n >= least) if estimates is not None else np.empty(0, dtype=int)
    if estimates is None or len(eligible) < 2:
        return pd.DataFrame({name: pd.Series(dtype=_LEAD_TYPES.get(name, "float64")) for name in columns})
    part = estimates.taken(eligible)
    first, second = np.argsort(-part.centre, kind="stable")[:2]
    probability, difference, se = (values[first, second] for values in two_way.win_probability(part))
    known = probability == probability
    why = part.reason[first] if part.reason[first] == two_way.ONE_RATER else part.reason[second]
    row = (
        part.targets[first], part.targets[second], part.n[first], part.n[second], difference, se, probability,
        bool(probability >= CONFIDENCE) if known else None, "" if known else why,
    )  # fmt: skip
    return pd.DataFrame([row], columns=list(columns)).astype(_LEAD_TYPES)


def _wins_table(places: pd.DataFrame, estimates: Estimates | None) -> pd.DataFrame:
    """All pairs of judged units of a level, ordered by code: the order must not disclose the better one."""
    columns = ["level", "unit", "other", "n", "n_other", "difference", "se", "probability", "reason"]
    if estimates is None:
        return pd.DataFrame(
            {
                name: pd.Series(dtype="str" if name in ("level", "unit", "other", "reason") else "float64")
                for name in columns
            }
        )
    probability, difference, se = two_way.win_probability(estimates)
    level = places.set_index("unit")["level"].reindex(list(estimates.targets)).to_numpy()
    first, second = np.triu_indices(len(estimates.targets), k=1)
    same_level = level[first] == level[second]
    first, second = first[same_level], second[same_level]
    names = np.array(estimates.targets, dtype=object)
    table = pd.DataFrame({"level": level[first], "unit": names[first], "other": names[second]}, dtype="str")
    table["n"], table["n_other"] = estimates.n[first], estimates.n[second]
    table["difference"], table["se"] = difference[first, second], se[first, second]
    table["probability"] = probability[first, second]
    why = np.where(estimates.reason[first] == two_way.ONE_RATER, estimates.reason[first], estimates.reason[second])
    table["reason"] = pd.Series(np.where(table["probability"].isna(), why, ""), dtype="str")
    return table[columns]
