"""Import of branch indicator values as checked rows."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from ...errors import Problems, unknown
from ...spec import reasons
from ...spec.indicator_methods import HEADCOUNT
from ...spec.periods import order, parse, within
from ...spec.schemas import INDICATOR_VALUES, REVIEW_STAGES, TEAMS
from ...spec.settings import Settings
from ...spec.specification import Specification
from ...spec.tables import Table, load_table, numbers, rows_text, whole_numbers
from ...spec.tree import Indicator, Tree
from ..survey import Indicators
from .appeals import CELL, changed_by, load_appeals, match_corrections
from .identifiers import check_names, shown_path

MOST_STARS = 5
COLUMNS = ("unit", "period", "code", "value", "n", "se", "reason")
STAGE_COLUMNS = ("unit", "period", "code", "stage", "value", "role", "time", "reason")


@dataclass(frozen=True)
class ReleasedValues:
    """Released indicator values: as they were first released, after the appeals that were granted, and on their way there.

    Attributes
    ----------
    now
        unit, period, code, value, n, se, reason: one row a cell, the corrected value where there is one.
    first
        The same rows with the values first released.
    appeals
        appeal, unit, period, code, state, opened, settled, value_before, value (NaN where nothing was corrected).
    staged
        unit, period, code, stage, value, role, time, reason, as text: every stage of the review, in the periods of which some
        stage before the release was kept.
    """

    now: pd.DataFrame = field(repr=False)
    first: pd.DataFrame = field(repr=False)
    appeals: pd.DataFrame = field(repr=False)
    staged: pd.DataFrame = field(repr=False)


def load_values(settings: Settings, spec: Specification, excluded: set[str], problems: Problems) -> ReleasedValues:
    """Read a workspace's released indicator values, and the appeals by which some of them were corrected.

    Parameters
    ----------
    excluded
        Units whose declared type is left out (summary and roll-up rows of a foreign table).

    Returns
    -------
    ReleasedValues
        Empty where there is no table. A statistic about persons (``about = persons``) without its n loses its value, with
        the reason; so does a value its source marked as missing. A value released twice without a granted appeal is a
        problem. Values of an indicator with a denominator are divided by it: its range is that of the ratio.
    """
    appeals = load_appeals(settings, spec, problems)

    def seen(raw: Table) -> None:
        source = settings.tables.get("indicator_values")
        path = settings.folder / (source.path if source is not None and source.path else raw.place)
        check_names(raw.place, map(str, raw.frame.columns), problems, file=shown_path(path) if path.is_file() else "")

    table = load_table(settings, "indicator_values", INDICATOR_VALUES, problems, seen=seen)
    if table is None or spec.indicators is None:
        empty = pd.DataFrame(
            {name: pd.Series(dtype="float64" if name in ("value", "n", "se") else "str") for name in COLUMNS}
        )
        changed = changed_by(appeals, empty.assign(appeal="", turn=0))
        return ReleasedValues(empty, empty, changed, pd.DataFrame(columns=list(STAGE_COLUMNS), dtype="str"))
    frame = table.frame
    if "reason" not in frame:
        frame["reason"] = ""
    frame["unit"] = whole_numbers(frame["unit"])
    _check_earlier_stages(table.place, frame, problems)
    frame = _kept(frame, ~frame["unit"].isin(excluded))
    source, notices = settings.tables.get("indicator_values"), list(table.notices)
    declared = {"unit": {unit.unit for unit in spec.units.rows} | {"ALL"}, "code": set(spec.indicators.codes)}
    for column, known in declared.items():
        if source is not None and column in source.undeclared:
            frame, told = _declared_only(frame, column, known)
            notices += told
        else:
            _check_known(table.place, frame, column, known, f"unknown_{column}", problems)
    staged = _staged(frame)
    frame = _kept(frame, frame["stage"].isin(["", "released"]))
    for name in ("value", "n", "se"):
        frame[name] = numbers(frame[name])
    again = frame.duplicated(CELL, keep=False)
    if again.any():
        frame = _without_copies(table.place, frame, [*CELL, "time"], problems)
        again = frame.duplicated(CELL, keep=False)
    ratios = _ratios(spec.indicators)
    _check_ranges(table.place, _kept(frame[["code", "value"]], ~frame["code"].isin(ratios)), spec.indicators, problems)
    unsaid = frame["value"].isna() & (frame["reason"] == "")
    if unsaid.any():
        frame.loc[unsaid, "reason"] = reasons.MISSING_VALUE
    about_people = frame["code"].map({node.code: node.about == "persons" for node in spec.indicators}).fillna(False)
    uncounted = about_people.astype(bool) & frame["n"].isna()
    if uncounted.any():
        frame.loc[uncounted, "reason"] = reasons.NO_COUNT_OF_PEOPLE
        frame.loc[uncounted, "value"] = float("nan")
    several = frame[again]
    matched = match_corrections(frame.index, several, appeals, table.place, problems)
    for name in matched:
        frame[name] = matched[name]
    now = _divided(_kept(frame[list(COLUMNS)], frame["last"]), spec)
    first = _divided(frame.loc[frame["turn"] == 0, list(COLUMNS)], spec) if len(several) else now
    _check_ranges(table.place, now[now["code"].isin(ratios)], spec.indicators, problems)
    now, first = (values.reset_index(drop=True) for values in (now, first))
    for values in (now, first):
        values.attrs["notices"] = list(notices)
    return ReleasedValues(now, first, changed_by(appeals, frame), staged)


def load_teams(settings: Settings, spec: Specification, problems: Problems) -> pd.DataFrame:
    """Read teams and their stars: team, branch, period, star; empty where there is no table."""
    table = load_table(settings, "teams", TEAMS, problems)
    if table is None:
        return pd.DataFrame({name: pd.Series(dtype="float64" if name == "star" else "str") for name in TEAMS.names})
    frame = table.frame[list(TEAMS.names)].copy()
    frame["branch"], frame["star"] = whole_numbers(frame["branch"]), numbers(frame["star"])
    _check_known(table.place, frame, "branch", {unit.unit for unit in spec.units.rows}, "unknown_unit", problems)
    outside = frame[(frame["star"] < 1) | (frame["star"] > MOST_STARS)]
    if len(outside):
        star = f"{outside['star'].iloc[0]:g} ({rows_text(outside.index)})"
        problems.add(
            f"{table.place}: star",
            "out_of_range",
            star,
            f"1–{MOST_STARS}",
            "改正,未评留空 (correct it, or leave it empty)",
        )
    return frame.reset_index(drop=True)


def indicators_of(
    values: pd.DataFrame, spec: Specification, period: str, span: int = 1, staged: pd.DataFrame | None = None
) -> Indicators:
    """Take the values of one period or of a span, with those of the occasions before it.

    Parameters
    ----------
    span
        Occasions of the same kind taken in all, the period's own included.

    Raises
    ------
    UsageError
        A period without values, or a span with none; names the nearest there are.
    """
    known = periods_of(values)
    wanted = within(period, known)
    if not wanted:
        raise unknown("指标时期/indicator period", period, known)
    cycle = parse(period).cycle
    before = [one for one in known if parse(one).cycle == cycle and parse(one).index < parse(wanted[0]).index]
    earlier = before[max(0, len(before) - (span - len(wanted))) :] if span > len(wanted) else []
    rows = values["period"]
    return Indicators(
        values[rows.isin(wanted)].reset_index(drop=True), spec, period, tuple(values.attrs.get("notices", ())),
        values[rows.isin(earlier)].reset_index(drop=True) if earlier else None, staged,
    )  # fmt: skip


def periods_of(values: pd.DataFrame) -> list[str]:
    """Return the periods that have values, in order."""
    return order(sorted(values["period"].unique()))


def _staged(frame: pd.DataFrame) -> pd.DataFrame:
    """Keep the rows of periods in which some stage before the release was kept; a value without a stage is released."""
    before_release = frame.loc[frame["stage"].isin(REVIEW_STAGES[:-1]), "period"].unique()
    staged = frame.loc[frame["period"].isin(before_release), list(STAGE_COLUMNS)].reset_index(drop=True)
    return staged.assign(stage=staged["stage"].mask(staged["stage"] == "", REVIEW_STAGES[-1]))


def _check_earlier_stages(place: str, frame: pd.DataFrame, problems: Problems) -> None:
    """Note values that one stage of the review before the release tells twice."""
    _without_copies(place, frame[~frame["stage"].isin(["", "released"])], ["unit", "period", "code", "stage"], problems)


def _kept(frame: pd.DataFrame, keep: pd.Series) -> pd.DataFrame:
    """Return the rows to keep; of millions of which all are kept no copy is made."""
    return frame if keep.all() else frame[keep].copy()


def _without_copies(place: str, frame: pd.DataFrame, keys: list[str], problems: Problems) -> pd.DataFrame:
    """Note rows that stand twice, and leave out the copies."""
    twice = frame.index[frame.duplicated(keys, keep="first")]
    if not len(twice):
        return frame
    duplicates = f"{', '.join(filter(None, frame.loc[twice[0], keys]))} ({rows_text(twice)})"
    problems.add(place, "duplicate_row", duplicates, f"{' + '.join(keys)} 唯一", "删去重复 (drop the copy)")
    return frame.drop(index=twice)


def _check_ranges(place: str, frame: pd.DataFrame, tree: Tree, problems: Problems) -> None:
    """Note values outside the range of their indicator; the widest range of its versions holds."""
    ranges: dict[str, tuple[float, float]] = {}
    for leaf in tree.leaves:
        low, high = ranges.get(leaf.code, (leaf.minimum, leaf.maximum))
        ranges[leaf.code] = (min(low, leaf.minimum), max(high, leaf.maximum))
    codes, values = frame["code"], frame["value"]
    places, known = pd.factorize(codes)
    least, most = np.array([ranges.get(code, (np.nan, np.nan)) for code in known]).reshape(-1, 2)[places].T
    beyond = (values < least) | (values > most)
    for code, (low, high) in ranges.items() if beyond.any() else ():
        outside = values[beyond & (codes == code)]
        if len(outside):
            bad_values, allowed = f"{outside.iloc[0]:g} ({rows_text(outside.index)})", f"{low:g}–{high:g}"
            problems.add(
                f"{place}: {code}", "out_of_range", bad_values, allowed, "改正数值或区间 (correct value or range)"
            )


def _ratios(tree: Tree) -> set[str]:
    """Return the codes of indicators that are divided by another, or by the headcount."""
    return {node.code for node in tree if isinstance(node, Indicator) and node.denominator}


def _divided(values: pd.DataFrame, spec: Specification) -> pd.DataFrame:
    """Divide values, and their errors, by the denominator of their indicator; one of 0, or a missing one, leaves none."""
    assert spec.indicators is not None, "values are read only where a tree is declared"
    divided = values.copy()
    if not _ratios(spec.indicators):
        return divided
    known = values.set_index(["unit", "period", "code"])["value"].to_dict()
    for period, rows in values.groupby("period", sort=False):
        for node in spec.indicators.at(str(period)):
            code = node.denominator if isinstance(node, Indicator) else ""
            if not code:
                continue
            own = rows[rows["code"] == node.code]
            below = [
                spec.headcount(unit, str(period))
                if code == HEADCOUNT
                else known.get((unit, period, code), float("nan"))
                for unit in own["unit"]
            ]
            divisor = pd.Series(below, index=own.index, dtype="float64")
            divisor = divisor.where(divisor != 0)
            for name in ("value", "se"):
                divided.loc[own.index, name] = own[name] / divisor
    lost = divided["value"].isna() & (divided["reason"] == "")
    divided.loc[lost, "reason"] = reasons.MISSING_VALUE
    return divided


def _declared_only(frame: pd.DataFrame, column: str, declared: set[str]) -> tuple[pd.DataFrame, list[str]]:
    """Leave out the rows whose unit or code no table declares, and say how many of which."""
    lost = frame.loc[~frame[column].isin(declared), column]
    if lost.empty:
        return frame, []
    kinds = lost.value_counts()
    listed = "、".join(str(value) for value in kinds.index[:3])
    told = (
        f"未声明的 {column} {len(kinds)} 种共 {len(lost)} 行未读 (rows of an undeclared {column} left out): {listed} …"
    )
    return frame.drop(index=lost.index), [told]


def _check_known(
    place: str, frame: pd.DataFrame, column: str, declared: set[str], rule: str, problems: Problems
) -> None:
    undeclared = frame[~frame[column].isin(declared)]
    if len(undeclared):
        listed = "、".join(dict.fromkeys(undeclared[column].head(3)))
        advice = f"改正,或在声明表中补上 (correct it, or declare the {column})"
        problems.add(f"{place}: {column}", rule, f"{listed} ({rows_text(undeclared.index)})", "已声明的代码", advice)
