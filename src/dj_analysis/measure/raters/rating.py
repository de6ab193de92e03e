"""Results of score sheets by several judges: adjusted scores, agreement, self-assessment, pairwise comparisons."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from ...errors import DjError, DjWarning, Problems
from ...result import Result
from ...spec.periods import order, parse
from ...spec.settings import FLOOR
from ...spec.specification import Specification
from ..basis import Basis, digest_of
from ..inference.uncertainty import CONFIDENCE
from ..intake.score_sheets import Ratings
from . import concordance, two_way
from .two_way import Estimates

KINDS = ("inspection", "self")
NEEDED = ("period", "unit", "rater", "score", "kind")
NOT_INSPECTED = "no_inspection"
NO_SELF = "no_self_assessment"
ONE_ITEM = "one_item_no_error_can"
ALL_ITEMS = "*"
_KEYS = ("period", "level", "unit")
_ESTIMATES = ("score", "adjusted", "se", "df", "se_source", "low", "high", "p_first")
_SELF = ("n", "items", "self", "inspection", "difference", "se", "low", "high", "outside")


@dataclass(frozen=True)
class Rating(Result):
    """Ratings of units by several judges; ``n`` is the number of judges, who are people.

    ``.table``: period, level, unit, n (raters), score (mean over raters, in points of the score sheet), adjusted (for how
    strict the raters were), se, df, se_source (``raters`` or ``none``), low, high (95 % interval of adjusted, of score where
    nothing could be adjusted), p_first (probability to be truly the best of the period), reason.
    """

    @property
    def agreement(self) -> Result:
        """Inter-rater agreement by period.

        Columns: period, code (``*`` the whole sheet), coefficient, estimate, low, high, p, n, targets, method, reason.
        Six intraclass correlations (``ICC(2,1)`` is the one to report), ``Kendall W``, and of self-assessment against
        inspection ``bias``, ``limit_low``, ``limit_high`` (Bland–Altman 1999).
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

        The interval is over items; ``outside`` tells whether the difference lies outside the limits of agreement.
        """
        return self.parts["self"]

    @property
    def wins(self) -> Result:
        """Pairwise comparisons of units.

        Columns: period, level, unit, other, n, n_other, difference, se, probability (that unit is truly better), reason.
        """
        return self.parts["wins"]


def rate(
    ratings: Ratings | pd.DataFrame,
    *,
    spec: Specification | None = None,
    officials: bool = False,
    draws: int = 10_000,
    seed: int = 0,
) -> Rating:
    """Combine the score sheets of several judges.

    A sheet (one rater, one unit) counts as the weighted mean of its items; weights are those of the indicator tree, else
    equal. A sheet that lacks an item of its period and kind is left out, with a warning. Raters count alike. Units are adjusted by
    :func:`~dj_analysis.measure.raters.severity`; where no rater judged two units every unit has the mean over its own raters.

    Parameters
    ----------
    ratings
        What ``ws.ratings()`` returned, or one row a score: period, unit, rater, score (finite number, high is good), kind (``inspection`` or ``self``);
        code (item) where a sheet has several.
    spec
        Units (levels, names), item weights, min_group; by default those of the workspace. Without any, units are taken as they are written.
    officials
        The raters of a frame are officials in their role, so that their number need not reach 5 to be shown; a workspace
        declares it with its table (``[tables.ratings] raters``).
    draws, seed
        Of the simulation of ``p_first``.

    Returns
    -------
    Rating
        A unit judged by nobody but itself, or by one rater, has no error, with the reason; never zero.

    Raises
    ------
    DataError
        Rows that do not fit, all together; units that fall into groups without a common rater.

    Examples
    --------
    >>> sheets = pd.DataFrame({"unit": list("AABB"), "rater": list("xyxy"), "score": [90, 80, 70, 64]})
    >>> round(float(rate(sheets.assign(period="2026", kind="inspection")).wins.table["probability"][0]), 3)
    0.965
    """
    bases: tuple[Basis, ...] = ()
    if isinstance(ratings, Ratings):
        officials, bases = ratings.officials, ratings.basis
        ratings, spec = ratings.table, spec or ratings.spec
    spec = spec or Specification()
    rows = _checked(ratings, spec)
    bases = bases or tuple(Basis("ratings", p, spec, values=digest_of(part)) for p, part in rows.groupby("period"))
    tables: dict[str, list[pd.DataFrame]] = {name: [] for name in ("main", "agreement", "severity", "self", "wins")}
    for period in order(sorted(rows["period"].unique())):
        for name, table in _of_period(rows[rows["period"] == period], spec, officials, draws, seed).items():
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
    }
    return Rating(table=joined["main"], keys=_KEYS, statistics=("n", *_ESTIMATES), parts=parts, **common)


def _of_period(
    rows: pd.DataFrame, spec: Specification, officials: bool, draws: int, seed: int
) -> dict[str, pd.DataFrame]:
    """Every table of one period, without its column period."""
    weights = _weights(rows, spec)
    sheets = {kind: _sheets(rows[rows["kind"] == kind], weights) for kind in KINDS}
    sheet_scores = {kind: _weighted(items, weights) for kind, items in sheets.items()}
    places = rows[["level", "unit"]].drop_duplicates().sort_values(["level", "unit"], ignore_index=True)
    estimates = _estimates(sheet_scores["inspection"])
    self_table = _self_table(places, sheets, weights)
    main = _main_table(places, estimates, 0 if officials else FLOOR, draws, seed)
    return {
        "main": main,
        "agreement": _agreement_table(sheets["inspection"], sheet_scores["inspection"], self_table),
        "severity": _severity_table(estimates),
        "self": self_table,
        "wins": _wins_table(places, estimates),
    }


def _estimates(sheets: pd.Series) -> Estimates | None:
    """Adjusted scores; plain means over raters where no rater judged two units."""
    if sheets.empty:
        return None
    matrix = sheets.unstack("rater")
    return (two_way.separate if (matrix.notna().sum() == 1).all() else two_way.severity)(matrix)


def _main_table(places: pd.DataFrame, estimates: Estimates | None, least: int, draws: int, seed: int) -> pd.DataFrame:
    table = places.copy()
    if estimates is None:
        missing = dict.fromkeys(("score", "adjusted", "se", "df", "low", "high", "p_first"), np.nan)
        return table.assign(n=0, **missing, se_source="none", reason=NOT_INSPECTED)[_columns()]
    low, high = estimates.interval()
    values = pd.DataFrame(
        {
            "n": estimates.n, "score": estimates.mean, "adjusted": estimates.adjusted, "se": estimates.se,
            "df": estimates.df, "low": low, "high": high,
            "p_first": _first_probability(estimates, least, draws, seed), "reason": estimates.reason,
        }, index=list(estimates.targets),
    ).reindex(places["unit"])  # fmt: skip
    values["n"] = values["n"].fillna(0).astype(int)
    values["reason"] = values["reason"].astype("object").where(values["n"] > 0, NOT_INSPECTED).astype("str")
    values["se_source"] = np.where(values["se"].notna(), "raters", "none")
    return pd.concat([table, values.reset_index(drop=True)], axis=1)[_columns()]


def _columns() -> list[str]:
    return ["level", "unit", "n", *_ESTIMATES, "reason"]


def _first_probability(estimates: Estimates, least: int, draws: int, seed: int) -> np.ndarray:
    """Probability of ranking first among the units with enough raters, to disclose nothing about the others."""
    eligible, probability = np.flatnonzero(estimates.n >= least), np.full(len(estimates.targets), np.nan)
    if len(eligible):
        probability[eligible] = two_way.first_probability(estimates.taken(eligible), draws, seed)
    return probability


def _agreement_table(items: pd.DataFrame, sheet_scores: pd.Series, self_table: pd.DataFrame) -> pd.DataFrame:
    """Coefficients of the whole sheet, of every item where there are several, and of self-assessment against inspection."""
    blocks = [] if sheet_scores.empty else [(ALL_ITEMS, sheet_scores)]
    if not sheet_scores.empty and items.shape[1] > 1:
        blocks += [(str(code), items[code].dropna()) for code in items]
    tables = []
    for code, sheets in blocks:
        matrix = sheets.unstack("rater")
        tables.append(
            pd.concat([concordance.icc(matrix), concordance.kendall_w(matrix)], ignore_index=True).assign(code=code)
        )
    limits = concordance.bland_altman(self_table["difference"]).assign(code=ALL_ITEMS)
    limits["n"] = sheet_scores.index.get_level_values("rater").nunique() if not sheet_scores.empty else 0
    if not (self_table["self"].notna() & self_table["inspection"].notna()).any():
        limits["reason"] = NOT_INSPECTED if sheet_scores.empty else NO_SELF
    table = pd.concat([*tables, limits], ignore_index=True)
    return table[["code", "coefficient", "estimate", "low", "high", "p", "n", "targets", "method", "reason"]]


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


def _self_table(places: pd.DataFrame, sheets: dict[str, pd.DataFrame], weights: pd.Series) -> pd.DataFrame:
    """Self minus inspection by unit: means over raters by item, then the weighted mean over items and its error over items."""
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
    by_item = both["self"] - both["inspection"]
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


# --- Sheets ---------------------------------------------------------------------------------------------------------


def _weights(rows: pd.DataFrame, spec: Specification) -> pd.Series:
    """Weights of the items: the indicator tree's where it knows them all, else equal."""
    codes = sorted(rows["code"].unique())
    tree = spec.indicators
    in_tree = tree is not None and all(code in tree for code in codes)
    return pd.Series([tree[code].weight if in_tree and tree is not None else 1.0 for code in codes], index=codes)


def _sheets(rows: pd.DataFrame, weights: pd.Series) -> pd.DataFrame:
    """(unit, rater) × items; sheets that lack an item another sheet of the kind has are left out, with a warning."""
    codes = [code for code in weights.index if code in set(rows["code"])]
    table = rows.pivot(index=["unit", "rater"], columns="code", values="score").reindex(columns=codes)
    incomplete = int(table.isna().any(axis=1).sum())
    if incomplete:
        message = f"评分/ratings {rows['period'].iloc[0]}: {incomplete} 份评分表缺项,未计入 (sheets that lack an item are left out)"
        warnings.warn(message, DjWarning, stacklevel=5)
    return table.dropna()


def _weighted(items: pd.DataFrame, weights: pd.Series) -> pd.Series:
    w = weights[list(items.columns)].to_numpy(float)
    return pd.Series(items.to_numpy(float) @ w / w.sum() if len(w) else np.empty(0), index=items.index, dtype="float64")


def _checked(ratings: pd.DataFrame, spec: Specification) -> pd.DataFrame:
    """Return period, level, unit, rater, code, kind, score of every row; all problems are raised together."""
    problems = Problems()
    missing = [name for name in NEEDED if name not in ratings]
    if missing or ratings.empty:
        offending = "、".join(missing) or "0 行/rows"
        problems.add(
            "评分/ratings", "missing_column" if missing else "empty", offending, ", ".join(NEEDED), "补上 (give them)"
        )
        problems.raise_if_any()
    rows = ratings.reset_index(drop=True).copy()
    rows["code"] = rows.get("code", "")
    for name in ("period", "unit", "rater", "code", "kind"):
        rows[name] = rows[name].astype("object").where(rows[name].notna(), "").astype("str").str.strip()
    rows["score"] = pd.to_numeric(rows["score"], errors="coerce").astype("float64")
    checks = {
        "period": ~rows["period"].map(_is_period), "unit": rows["unit"] == "", "rater": rows["rater"] == "",
        "kind": ~rows["kind"].isin(KINDS), "score": ~np.isfinite(rows["score"]),
    }  # fmt: skip
    allowed = {"period": "2026, 2026H1, 2026Q3, 2026-09", "kind": ", ".join(KINDS), "score": "有限数 (a finite number)"}
    for name, invalid in checks.items():
        if invalid.any():
            offending = f"{ratings[name].iloc[int(invalid.argmax())]} ({_rows_of(invalid)})"
            expected = allowed.get(name, "非空 (not empty)")
            problems.add(f"评分/ratings: {name}", "bad_value", offending, expected, "改正 (correct it)")
    rows["level"] = "unit"
    if spec.units.rows:
        _resolve_units(rows, spec, problems)
    duplicate = rows.duplicated(["period", "unit", "rater", "code", "kind"])
    if duplicate.any():
        allowed_rows = "每人每单位每项一分 (one score for each rater, unit and item)"
        problems.add("评分/ratings", "duplicate_row", _rows_of(duplicate), allowed_rows, "删去重复 (drop the copy)")
    problems.raise_if_any()
    return rows[["period", "level", "unit", "rater", "code", "kind", "score"]]


def _is_period(text: str) -> bool:
    try:
        parse(text)
    except DjError:
        return False
    return True


def _resolve_units(rows: pd.DataFrame, spec: Specification, problems: Problems) -> None:
    """Replace the units as written by unit codes and add their levels, by period."""
    for period in filter(_is_period, rows["period"].unique()):
        in_period, units = rows["period"] == period, spec.units.at(period)
        resolved = units.resolve([unit for unit in rows.loc[in_period, "unit"].unique() if unit])
        unresolved = in_period & ~rows["unit"].isin(resolved) & (rows["unit"] != "")
        if unresolved.any():
            unknown_units, advice = (
                "、".join(rows.loc[unresolved, "unit"].unique()[:3]),
                "改正,或在 units 表补上 (correct it, or add it to units)",
            )
            problems.add(
                f"评分/ratings {period}: unit",
                "unknown_unit",
                f"{unknown_units} ({_rows_of(unresolved)})",
                "units 表",
                advice,
            )
        codes = rows.loc[in_period, "unit"].map(lambda name, resolved=resolved: resolved.get(name, name))
        rows.loc[in_period, "unit"] = codes
        rows.loc[in_period, "level"] = codes.map(lambda code, units=units: units[code].level if code in units else "")


def _rows_of(flagged: pd.Series) -> str:
    """Return the numbers of the first flagged rows, counted as in a file with a header."""
    places = [str(i + 2) for i in np.flatnonzero(flagged)[:5]]
    return f"第 {', '.join(places)}{' …' if flagged.sum() > 5 else ''} 行/rows"
