"""Branch indicators of the synthetic enterprise, with lasting kinds of branches among them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd

from ..spec.periods import parse
from ..spec.tree import Indicator, Tree
from ..spec.units import Units
from . import names

STREAM = 3  # of random numbers; answers take the first, exports the second
MONTHS = 14
SECOND, THIRD = 4, 8  # months from the first in which the second and the third version of the indicators begin
# What stays with a branch beside its kind, in spreads of a month: by indicator, and in all of them alike.
OWN, LEVEL = 0.45, 0.4
KINDS = 4  # lasting kinds of branches
STRONG, WEAK = 1.5, -1.5  # spreads of a month by which a kind lies above and below the others in its own indicators
WORST, RISEN = -2.2, 1.6  # the branch that is behind in everything; the one that rose in everything
MUCH, POOR = 2.0, -2.0  # the branch that does much but poorly: in the indicators of quantity and in those of quality
RISE = 6  # months before the last in which it rose
BLANK, NOT_HANDED_IN = 0.01, 0.01
STAGED = 3  # latest months of which the file keeps every stage of the review
STAGES = ("reported", "checked", "compiled", "released")
REVISED = {"checked": 0.06, "compiled": 0.02, "released": 0.01}  # share of values a stage changes
LATE = 0.08  # share of branches that report after the 5th


def indicator_tree(last: str) -> Tree:
    """Return the benchmark of branches in its three versions: five parts with 50, then 28, then 20 indicators.

    The twenty stay throughout; the others end when the list was cut, because they told the same a second time.
    """
    root, zh, en = names.BENCHMARK
    months = _months(last)
    ends = {50: months[SECOND - 1], 28: months[THIRD - 1], 20: ""}
    nodes = [Indicator(root, "", zh, en, role="index")]
    for part, zh, en in names.BENCHMARK_PARTS:
        nodes.append(Indicator(part, root, zh, en, role="dimension"))
        for code, parent, zh, en, direction, low, high, usual, *_ in names.INDICATORS:
            if parent == part:
                leaf = Indicator(code, part, zh, en, direction=direction, minimum=float(low), maximum=float(high))
                leaf = replace(leaf, about="units", rollup="mean", target=float(usual), minutes=names.MINUTES)
                criterion = "" if code in names.NO_CRITERION else names.CRITERION
                nodes.append(replace(leaf, nature=names.ATTRIBUTES[code], criterion=criterion))
        for code, parent, zh, en, _, until in names.SECOND_TIME:
            if parent == part:
                leaf = Indicator(code, part, zh, en, minimum=0.0, maximum=100.0, about="units", rollup="mean")
                nodes.append(replace(leaf, valid_to=ends[until], minutes=names.MINUTES))
    return Tree(tuple(nodes), about="units")


def kinds_of(units: Units, planted: bool) -> list[tuple[str, str, str, float]]:
    """Return what is planted among branches: kind of effect, unit, indicator, value."""
    branches = [unit.unit for unit in units.at_level("branch")]
    if not planted:
        return []
    effects = [("branch_kind", unit, "", float(place % KINDS + 1)) for place, unit in enumerate(branches)]
    if len(branches) > 2 * KINDS:
        effects += [("worst_branch", branches[5], "BM", WORST), ("risen_branch", branches[6], "BM", RISEN)]
        effects += [("much_but_poor", branches[7], "BM", MUCH)]
    return effects


def draw_values(units: Units, last: str, seed: int, planted: bool) -> pd.DataFrame:
    """Draw fourteen months of values up to the last wave; a few are blank, a few were never submitted.

    Parameters
    ----------
    planted
        Whether branches differ for good; else they differ by chance only, afresh every month.

    Returns
    -------
    pandas.DataFrame
        unit, period, code, value, stage, time: the text cells of the file. Of the latest months every stage of the review is
        there, of the others what was released.
    """
    rng = np.random.default_rng([seed, STREAM])
    branches, months = units.at_level("branch"), [parse(text) for text in _months(last)]
    core = np.array([row[0] for row in names.INDICATORS])
    z = _standing(units, len(months), planted, rng) + rng.standard_normal((len(branches), len(months), len(core)))
    low, high, usual, spread = np.array([row[5:9] for row in names.INDICATORS], dtype=float).T
    direction = np.array([row[4] for row in names.INDICATORS])
    values = np.clip(usual + spread * direction * z, low, high)
    decimals = np.array([row[9] for row in names.INDICATORS])
    there = np.array([[unit.valid_on(month.end) for month in months] for unit in branches])
    tables = [_table(branches, months, core, values, decimals, there, rng)]
    for code, _, _, _, of, until in names.SECOND_TIME:
        told_by = z[:, :, [np.flatnonzero(core == of)[0]]]
        again = 0.93 * told_by + np.sqrt(1 - 0.93**2) * rng.standard_normal(told_by.shape)
        end = {50: SECOND, 28: THIRD}[until]
        asked = there & (np.arange(len(months)) < end)
        copies = np.clip(86 + 5 * again, 0, 100)
        tables.append(_table(branches, months, np.array([code]), copies, np.array([1]), asked, rng))
    released = pd.concat(tables, ignore_index=True)
    return _with_stages(released, [month.text for month in months[-STAGED:]], rng)


def draw_teams(units: Units, last: str, seed: int, planted: bool) -> pd.DataFrame:
    """Draw one to three teams a branch with their stars of the year; stars follow the branch where branches differ."""
    rng = np.random.default_rng([seed, STREAM, 1])
    branches = [unit.unit for unit in units.at_level("branch")]
    effects = {
        unit: value for kind, unit, _, value in kinds_of(units, planted) if kind in ("worst_branch", "risen_branch")
    }
    rows: list[tuple[str, ...]] = []
    for unit in branches:
        for star in np.clip(np.round(3 + 0.8 * effects.get(unit, 0.0) + rng.normal(0, 1, rng.integers(1, 4))), 1, 5):
            rows.append((f"T{len(rows) + 1:04d}", unit, str(parse(last).year), f"{star:.0f}"))
    return pd.DataFrame(rows, columns=["team", "branch", "period", "star"])


def _months(last: str) -> list[str]:
    month = parse(f"{parse(last).end:%Y-%m}")
    return [month.shift(step).text for step in range(1 - MONTHS, 1)]


def _standing(units: Units, months: int, planted: bool, rng: np.random.Generator) -> np.ndarray:
    """Return what stays with each branch, in spreads of a month, high is good: branches × months × indicators."""
    branches, core = [unit.unit for unit in units.at_level("branch")], len(names.INDICATORS)
    own = rng.standard_normal((len(branches), 1, core)) * OWN + rng.standard_normal((len(branches), 1, 1)) * LEVEL
    if not planted:
        return np.zeros((len(branches), months, core))
    parts = [part for part, *_ in names.BENCHMARK_PARTS]
    part = np.array([parts.index(row[1]) for row in names.INDICATORS])
    standing = np.repeat(own, months, axis=1)
    for effect, unit, _, value in kinds_of(units, planted):
        row = branches.index(unit)
        if effect == "branch_kind":
            strong = int(value) - 1
            standing[row] += np.where(part == strong, STRONG, np.where(part == (strong + 1) % KINDS, WEAK, 0.0))
        elif effect == "worst_branch":
            standing[row] = WORST
        elif effect == "much_but_poor":
            attributes = [names.ATTRIBUTES[indicator[0]].split("|") for indicator in names.INDICATORS]
            standing[row] = [MUCH if "数量" in one else POOR if "质量" in one else 0.0 for one in attributes]
        else:
            standing[row, months - RISE :] += value
    return standing


def _table(
    branches: list, months: list, codes: np.ndarray, values: np.ndarray, decimals: np.ndarray, there: np.ndarray,
    rng: np.random.Generator,
) -> pd.DataFrame:  # fmt: skip
    """Write values as rows of text cells."""
    fate = rng.random(values.shape)
    b, m, i = np.nonzero(there[:, :, None] & ((fate < BLANK) | (fate >= BLANK + NOT_HANDED_IN)))
    written = [f"{value:.{places}f}" for value, places in zip(values[b, m, i], decimals[i], strict=True)]
    return pd.DataFrame(
        {
            "unit": np.array([unit.unit for unit in branches])[b],
            "period": np.array([month.text for month in months])[m],
            "code": codes[i],
            "value": np.where(fate[b, m, i] < BLANK, "", written),
        }
    )


def _with_stages(released: pd.DataFrame, months: list[str], rng: np.random.Generator) -> pd.DataFrame:
    """Add the earlier stages of the review: what the branch reported, and what each stage changed."""
    tables = [released.assign(stage="released", time="")]
    staged = released[released["period"].isin(months)].reset_index(drop=True)
    number = pd.to_numeric(staged["value"], errors="coerce")
    late = dict(zip(staged["unit"].unique(), rng.random(staged["unit"].nunique()) < LATE, strict=True))
    after = staged["period"].map(lambda text: parse(text).shift(1).start)
    current, most = number.copy(), staged["code"].map({row[0]: float(row[6]) for row in names.INDICATORS}).fillna(100.0)
    for days, stage, later in ((9, "compiled", "released"), (6, "checked", "compiled"), (3, "reported", "checked")):
        changed = (rng.random(len(staged)) < REVISED[later]) & number.notna()
        current = current.mask(changed, (current + rng.choice([1.0, 2.0, 5.0], len(staged))).clip(upper=most))
        value = np.where(changed | (current != number), current.map("{:g}".format), staged["value"])
        delay = days + staged["unit"].map(late).to_numpy() * 5 - (1 if stage == "reported" else 0)
        time = [str(day + pd.Timedelta(days=int(by))) for day, by in zip(pd.to_datetime(after), delay, strict=True)]
        rows = staged.assign(
            value=np.where(staged["value"] == "", "", value), stage=stage, time=[one[:10] for one in time]
        )
        tables.insert(0, rows)
    return pd.concat(tables, ignore_index=True)
