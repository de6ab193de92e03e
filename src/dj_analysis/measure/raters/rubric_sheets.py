"""Score sheets of one rubric, checked and weighted."""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd

from ...errors import DjWarning, Problems, UsageError, unknown
from ...spec.periods import is_period
from ...spec.rubrics import note_rubrics, note_units, rubrics_of
from ...spec.specification import Specification
from ..basis import Basis, digest_of
from ..intake.score_sheets import Ratings

KINDS = ("inspection", "self")
NEEDED = ("period", "unit", "rater", "score", "kind")


def of_rubric(rows: pd.DataFrame, spec: Specification, rubric: str | None) -> tuple[pd.DataFrame, str]:
    """Keep the marks of one rubric; marks of several are never put together.

    Raises
    ------
    UsageError
        Several rubrics and none named, or one without marks.
    """
    names = rubrics_of(set(rows["code"]), spec.rubrics)
    if rubric is not None and rubric not in names:
        raise unknown("评价细则/rubric", rubric, names if spec.rubrics else [])
    if rubric is None and len(names) > 1:
        raise UsageError(
            f"评分含 {len(names)} 个细则:{'、'.join(names)},不能合在一起计算;用 rubric= 指定一个"
            " (marks under several rubrics are never put together: name one with rubric=)"
        )
    name = rubric if rubric is not None else names[0] if names else ""
    if name not in spec.rubrics:
        return rows, name
    return rows[rows["code"].isin(spec.rubrics[name].codes)].reset_index(drop=True), name


def item_weights(rows: pd.DataFrame, spec: Specification, rubric: str = "") -> pd.Series:
    """Weights of the items: the rubric's, else the indicator tree's where it knows them all, else equal."""
    if rubric in spec.rubrics:
        return pd.Series({item.code: item.weight for item in spec.rubrics[rubric].items})
    codes = sorted(rows["code"].unique())
    tree = spec.indicators
    in_tree = tree is not None and all(code in tree for code in codes)
    return pd.Series([tree[code].weight if in_tree and tree is not None else 1.0 for code in codes], index=codes)


def sheet_items(rows: pd.DataFrame, weights: pd.Series) -> pd.DataFrame:
    """(unit, rater) × items; sheets that lack an item another sheet of the kind has are left out, with a warning."""
    codes = [code for code in weights.index if code in set(rows["code"])]
    table = rows.pivot(index=["unit", "rater"], columns="code", values="score").reindex(columns=codes)
    incomplete = int(table.isna().any(axis=1).sum())
    if incomplete:
        message = f"评分/ratings {rows['period'].iloc[0]}: {incomplete} 份评分表缺项,未计入 (sheets that lack an item are left out)"
        warnings.warn(message, DjWarning, stacklevel=5)
    return table.dropna()


def sheet_scores(items: pd.DataFrame, weights: pd.Series) -> pd.Series:
    """Return the score of each sheet: the weighted mean of its items."""
    w = weights[list(items.columns)].to_numpy(float)
    return pd.Series(items.to_numpy(float) @ w / w.sum() if len(w) else np.empty(0), index=items.index, dtype="float64")


def sheets_given(
    ratings: Ratings | pd.DataFrame, spec: Specification | None
) -> tuple[Ratings | None, Specification, pd.DataFrame, tuple[Basis, ...]]:
    """Return the declared ratings (None for a plain table), the declarations that hold, checked rows, and what they rest on."""
    declared = ratings if isinstance(ratings, Ratings) else None
    spec = spec or (declared.spec if declared is not None else Specification())
    rows = checked_sheets(declared.table if declared is not None else ratings, spec)
    bases = declared.basis if declared is not None else ()
    bases = bases or tuple(Basis("ratings", str(p), spec, values=digest_of(part)) for p, part in rows.groupby("period"))
    return declared, spec, rows, bases


def checked_sheets(ratings: pd.DataFrame, spec: Specification) -> pd.DataFrame:
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
        "period": ~rows["period"].map(is_period), "unit": rows["unit"] == "", "rater": rows["rater"] == "",
        "kind": ~rows["kind"].isin(KINDS), "score": ~np.isfinite(rows["score"]),
    }  # fmt: skip
    allowed = {"period": "2026, 2026H1, 2026Q3, 2026-09", "kind": ", ".join(KINDS), "score": "有限数 (a finite number)"}
    for name, invalid in checks.items():
        if invalid.any():
            offending = f"{ratings[name].iloc[int(invalid.argmax())]} ({_rows_of(invalid)})"
            expected = allowed.get(name, "非空 (not empty)")
            problems.add(f"评分/ratings: {name}", "bad_value", offending, expected, "改正 (correct it)")
    rows["level"] = "unit"
    note_units("评分/ratings", rows, spec.units, problems)
    if spec.units.rows:
        _resolve_units(rows, spec)
    note_rubrics("评分/ratings", rows, spec.rubrics, spec.units, problems)
    duplicate = rows.duplicated(["period", "unit", "rater", "code", "kind"])
    if duplicate.any():
        allowed_rows = "每人每单位每项一分 (one score for each rater, unit and item)"
        problems.add("评分/ratings", "duplicate_row", _rows_of(duplicate), allowed_rows, "删去重复 (drop the copy)")
    problems.raise_if_any()
    return rows[["period", "level", "unit", "rater", "code", "kind", "score"]]


def _resolve_units(rows: pd.DataFrame, spec: Specification) -> None:
    """Replace the units as written by unit codes and add their levels, by period."""
    for period in filter(is_period, rows["period"].unique()):
        in_period, units = rows["period"] == period, spec.units.at(period)
        resolved = units.resolve([unit for unit in rows.loc[in_period, "unit"].unique() if unit])
        codes = rows.loc[in_period, "unit"].map(lambda name, resolved=resolved: resolved.get(name, name))
        rows.loc[in_period, "unit"] = codes
        rows.loc[in_period, "level"] = codes.map(lambda code, units=units: units[code].level if code in units else "")


def _rows_of(flagged: pd.Series) -> str:
    """Return the numbers of the first flagged rows, counted as in a file with a header."""
    places = [str(i + 2) for i in np.flatnonzero(flagged)[:5]]
    return f"第 {', '.join(places)}{' …' if flagged.sum() > 5 else ''} 行/rows"
