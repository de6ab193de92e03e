"""An attacker who knows every published number, the trees, and who belongs where; written without the package's own rules.

The attacker even knows which sheets answered which question. What is asked is only whether published *totals* lead to
few people: it never looks at an answer that was not told.
"""

from __future__ import annotations

import math
import tempfile
import warnings
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from companies import Company, random_company
from scipy.optimize import Bounds, LinearConstraint, linprog, milp

import dj_analysis as dj
from dj_analysis import methods
from dj_analysis.errors import Problems
from dj_analysis.judge.alerts import NOT_JUDGED
from dj_analysis.measure.intake.obligation_tables import obligations_of
from dj_analysis.spec.interventions import Intervention, InterventionLibrary
from dj_analysis.spec.periods import parse
from dj_analysis.spec.schemas import OBLIGATION_EVENTS, OBLIGATIONS

WIDTH = 25.0  # points: nobody's mean may be known to less, the distance of two neighbouring options
TINY = 1e-7


# --- Who answered what, and what a person's scores are ------------------------------------------------------------


def person_scores(company: Company, period: str) -> pd.DataFrame:
    """Every person's score on every (form, code), by the rules of domain §E1; NaN where there is none."""
    book = company.codebook[company.codebook["role"].isin(("item", "dimension", "index"))]
    people = company.people[period]
    has_forms = bool((book["form"] != "").any())
    forms = ["anchors", *(["full"] if has_forms and period in company.full else [])]
    made = {}
    for form in forms:
        items = book[(book["role"] == "item") & ((not has_forms) | (form == "full") | (book["form"] == "both"))]
        items = items[items["code"].isin(people.columns)]
        dims = {}
        for row in items.itertuples():
            raw = pd.to_numeric(people[row.code], errors="coerce")
            low, high = float(row.minimum), float(row.maximum)
            made[form, row.code] = 100 * ((raw - low) if row.direction == "1" else (high - raw)) / (high - low)
        for row in book[book["role"] == "dimension"].itertuples():
            codes = items.loc[items["parent"] == row.code, "code"].tolist()
            if codes:
                share = float(row.min_share) if row.min_share else (0.5 if has_forms and form == "anchors" else 0.6)
                dims[row.code] = made[form, row.code] = _mean([made[form, c] for c in codes], share)
        made[form, "INDEX"] = _mean(list(dims.values()), 0.75)
    return pd.DataFrame(made)


def _mean(columns: list[pd.Series], share: float) -> pd.Series:
    table = pd.concat(columns, axis=1)
    least = max(1, math.ceil(share * len(columns) - 1e-9))
    return table.mean(axis=1).where(table.notna().sum(axis=1) >= least)


# --- What is published --------------------------------------------------------------------------------------------


@dataclass
class Told:
    """Totals of one wave that were published: a set of its people each, by (form, code); ``("", "")`` counts people."""

    people: int
    sets: dict[tuple[str, str], dict[bytes, np.ndarray]]

    def add(self, cell: tuple[str, str], inside: np.ndarray) -> None:
        self.sets.setdefault(cell, {})[inside.tobytes()] = inside


def members(company: Company, period: str) -> dict[tuple[str, str], np.ndarray]:
    """(axis, unit) → who of a wave belongs there; of group columns, (column, category)."""
    people, found = company.people[period], {}
    for tree in company.trees:
        chains = company.chains(tree, period)
        above = [chains.get(str(unit), ["ALL"]) for unit in people[company.column(tree)]]
        for unit in {u for chain in [*above, *chains.values()] for u in chain}:
            found[tree, unit] = np.array([unit in chain for chain in above], dtype=bool)
    for group in company.groups:
        for category in sorted(set(people[group]) - {""}):
            found[group, category] = (people[group] == category).to_numpy()
    return found


def axis_of(company: Company, level: str) -> str:
    if level in company.groups:
        return level
    named = company.units.loc[company.units["level"] == level, "tree"]
    return str(named.iloc[0]) if len(named) else company.trees[0]


def before_members(
    company: Company, level: str, unit: str, before: str, known: Mapping[tuple[str, str], np.ndarray]
) -> np.ndarray:
    """People of an earlier wave behind the ``before`` value of a unit: itself and all that became it since."""
    axis = axis_of(company, level)
    inside = known.get((axis, unit), np.zeros(len(company.people[before]), dtype=bool)).copy()
    if axis in company.trees:
        for start, end in successors(company).items():
            if end == unit and (axis, start) in known:
                inside |= known[axis, start]
    return inside


def successors(company: Company) -> dict[str, str]:
    """Unit that ended → what it has become in the end."""
    became = dict(company.units.loc[company.units["became"] != "", ["unit", "became"]].itertuples(index=False))
    final = {}
    for start in became:
        here = start
        while here in became:
            here = became[here]
        final[start] = here
    return final


def told(company: Company, tables: Mapping[str, Iterable[pd.DataFrame]], kinds: Iterable[str] = ()) -> dict[str, Told]:
    """Collect every total that rows with any statistic tell, wave by wave.

    ``tables``: kind → protected tables; ``change`` rows tell two waves, ``contrast`` rows a unit and the rest.
    """
    waves = {p: Told(len(company.people[p]), {}) for p in company.periods}
    inside = {p: members(company, p) for p in company.periods}
    axes = {level: axis_of(company, level) for level in {*company.units["level"], *company.groups, "company", "ALL"}}
    for kind in kinds or tables:
        rows = pd.concat([_keys_shown(table) for table in tables.get(kind, ())], ignore_index=True)
        for row in rows.drop_duplicates().itertuples(index=False):
            cell, nobody = (row.form, row.code), np.zeros(waves[row.period].people, dtype=bool)
            people = inside[row.period].get((axes[row.level], row.unit), nobody)
            waves[row.period].add(cell, people)
            if kind == "contrast":
                waves[row.period].add(cell, ~people)
            if row.before_period:
                before = before_members(company, row.level, row.unit, row.before_period, inside[row.before_period])
                waves[row.before_period].add(cell, before)
    return waves


def _keys_shown(table: pd.DataFrame) -> pd.DataFrame:
    shown = _shown(table).reindex(columns=_KEYS).astype("object").fillna("")
    if "form" not in table:  # warnings tell of the anchors score they judged
        shown.loc[shown["code"] != "", "form"] = "anchors"
    return shown


_KEYS = ["period", "before_period", "level", "unit", "form", "code"]
NOT_STATISTICS = ("period", "before_period", "level", "unit", "form", "code", "statistic", "cut", "reason", "se_source",
                  "version", "warning", "warning_before", "rule", "covered_by", "notified", "due", "review", "replied",
                  "reply")  # fmt: skip
#: Words of a warning; an empty one tells nothing.
TOLD_IN_WORDS = ("warning", "warning_before", "rule", "covered_by", "notified", "due", "review", "replied", "reply")


def _shown(table: pd.DataFrame) -> pd.DataFrame:
    """Rows of which any number is told."""
    numbers = [c for c in table.columns if c not in NOT_STATISTICS]
    there = table[numbers].notna().any(axis=1)
    for name in TOLD_IN_WORDS:
        if name in table:
            there |= table[name].fillna("") != ""
    return table[there]


# --- Row space: totals of few people ------------------------------------------------------------------------------


def smallest_total(sets: list[np.ndarray], counts: np.ndarray, least: int, *, signed: bool = False) -> float | None:
    """Find the smallest number of people, below ``least``, about whom a linear combination of totals tells.

    Parameters
    ----------
    sets
        Published totals: one row each over sheets (True: the sheet is in it).
    counts
        Sheets that count at all (those that answered): 0 or 1 each.
    signed
        Any coefficients will do; otherwise only plain totals (every sheet in it once or not at all) count.

    Returns
    -------
    float or None
        People of the smallest such total; None where no total tells about fewer than ``least``.
    """
    matrix = np.unique(np.array(sets, dtype=float)[:, counts > 0], axis=0)
    if not matrix.size:
        return None
    atoms, number = np.unique(matrix, axis=1, return_inverse=True)
    people = np.bincount(number.ravel(), minlength=atoms.shape[1]).astype(float)
    covered = atoms.any(axis=0)
    atoms, people = atoms[:, covered], people[covered]
    space = _vanishing(atoms, people >= least)
    if space is None:
        return None
    small = people < least
    return _smallest_in(space[:, small], people[small], least, signed=signed)


def _vanishing(atoms: np.ndarray, large: np.ndarray) -> np.ndarray | None:
    """Basis of the combinations of rows that are zero on every large atom, reduced to echelon form; None if only zero."""
    ways = _null_space(atoms[:, large].T) if large.any() else np.eye(len(atoms))
    basis = _echelon(ways.T @ atoms)
    return basis if len(basis) else None


def _null_space(matrix: np.ndarray) -> np.ndarray:
    if not matrix.size:
        return np.eye(matrix.shape[1])
    _, values, right = np.linalg.svd(matrix, full_matrices=True)
    rank = int((values > TINY * max(1.0, values[0])).sum())
    return right[rank:].T


def _echelon(matrix: np.ndarray) -> np.ndarray:
    """Reduced row echelon form, without zero rows."""
    matrix, row = matrix.copy(), 0
    for column in range(matrix.shape[1]):
        if row == len(matrix):
            break
        pivot = row + int(np.argmax(np.abs(matrix[row:, column])))
        if abs(matrix[pivot, column]) < TINY:
            matrix[row:, column] = 0
            continue
        matrix[[row, pivot]] = matrix[[pivot, row]]
        matrix[row] /= matrix[row, column]
        others = np.arange(len(matrix)) != row
        matrix[others] -= np.outer(matrix[others, column], matrix[row])
        row += 1
    matrix[np.abs(matrix) < TINY] = 0
    return matrix[:row]


def _smallest_in(space: np.ndarray, people: np.ndarray, least: int, *, signed: bool) -> float | None:
    """Smallest support of a vector of the row space, by integer programming over its echelon form."""
    dimension, atoms = space.shape
    if dimension == 1:
        values = np.unique(np.round(space[0][np.abs(space[0]) > TINY], 6))
        total = float(people[np.abs(space[0]) > TINY].sum())
        return total if total < least and (signed or len(values) == 1) else None
    if dimension <= 12:
        return _by_trying(space, people, least, signed=signed)
    if not signed:
        vector = LinearConstraint(np.hstack([np.eye(atoms), -space.T]), 0, 0)
        some = LinearConstraint(np.concatenate([people, np.zeros(dimension)])[None], 1, least - 0.5)
        found = milp(
            np.concatenate([people, np.zeros(dimension)]), constraints=[vector, some],
            integrality=np.concatenate([np.ones(atoms), np.zeros(dimension)]),
            bounds=Bounds(np.r_[np.zeros(atoms), np.full(dimension, -9)], np.r_[np.ones(atoms), np.full(dimension, 9)]),
        )  # fmt: skip
        return float(people[np.round(found.x[:atoms]) > 0].sum()) if found.x is not None else None
    return None  # signed totals are looked for where the space is small enough to try


def _by_trying(space: np.ndarray, people: np.ndarray, least: int, *, signed: bool) -> float | None:
    """Try every combination of the echelon rows with coefficients 0, 1 (and -1): at pivots they are the vector's own."""
    steps = np.array([0, 1, -1] if signed else [0, 1])
    found = np.zeros((1, space.shape[1]))
    pivots = [int(np.flatnonzero(row)[0]) for row in space]
    for row in space:
        found = (found[None] + steps[:, None, None] * row).reshape(-1, space.shape[1])
        found = found[np.abs(found[:, pivots]) @ people[pivots] < least]  # what pivots tell stays told
        if len(found) > 200_000:
            found = found[:200_000]
    support = np.abs(found) > TINY
    fits = support.any(axis=1) & (support @ people < least)
    if not signed:
        fits &= (
            (np.abs(found - np.round(found)) < TINY).all(axis=1)
            & (found > -TINY).all(axis=1)
            & (found < 1.5).all(axis=1)
        )
    return float((support @ people)[fits].min()) if fits.any() else None


# --- Ranges: how closely a set is known from rounded numbers ------------------------------------------------------


def feasible_width(rows: list[tuple[np.ndarray, float, float]], size: np.ndarray, wanted: np.ndarray) -> float:
    """Width of the range of a set's mean, in points, that published ranges of totals leave open.

    Parameters
    ----------
    rows
        Published totals: which atoms, smallest and largest possible sum of scores.
    size
        People of each atom who have a score; a sum lies in 0…100·size.
    wanted
        The atoms of the set.
    """
    parts = np.array([inside for inside, _, _ in rows], dtype=float)
    low, high = np.array([a for _, a, _ in rows]), np.array([b for _, _, b in rows])
    limits = [(0.0, 100.0 * n) for n in size]
    ends = []
    for sign in (1, -1):
        found = linprog(
            sign * wanted.astype(float),
            A_ub=np.vstack([parts, -parts]),
            b_ub=np.concatenate([high, -low]),
            bounds=limits,
        )
        if found.fun is None:
            return 100.0
        ends.append(sign * found.fun)
    return float((ends[1] - ends[0]) / size[wanted].sum())


def sums_possible(score: float, n: int, half: float, *, grid: float = 0.0) -> tuple[float, float]:
    """Smallest and largest sum of n scores whose mean is printed as ``score``; answers to one question lie on a grid."""
    low, high = max(0.0, n * (score - half)), min(100.0 * n, n * (score + half))
    if grid:
        low, high = math.ceil(low / grid - 1e-6) * grid, math.floor(high / grid + 1e-6) * grid
    return low, high


def printed_step(n: int) -> float:
    """To which step scores about n people are printed: the documentation tells everybody."""
    return next(step for least, step in ((250, 0.1), (50, 0.5), (25, 1.0), (13, 2.0), (0, 5.0)) if n >= least)


# --- What leaves of a workspace -----------------------------------------------------------------------------------


def published(company: Company, ws: Any, periods: Sequence[str] = ()) -> dict[str, list[pd.DataFrame]]:
    """Every table of every wave as it may be printed: kind → tables."""
    waves = list(periods or company.periods)
    scores, plan = {period: ws.scores(period) for period in waves}, ws.release_plan(waves[-1])
    tables: dict[str, list[pd.DataFrame]] = {}

    def tell(kind: str, result: Any, *parts: str) -> None:
        safe = dj.protect(result, plan)
        tables.setdefault(kind, []).extend(
            part.printed().table for part in (safe, *(safe.part(name) for name in parts))
        )

    for period in waves:
        tell("scores", scores[period], "shares", "response")
    if len(scores[waves[-1]].table["level"].unique()) > 1:
        tell("contrast", dj.contrast(scores[waves[-1]]))
    pairs = {*zip(waves[1:], waves, strict=False), *([(waves[-1], waves[0])] if len(waves) > 1 else [])}
    for now, before in sorted(pairs):
        change = dj.compare(scores[now], scores[before])
        tell("change", change, "response")
        if now == waves[-1]:
            alerts = all_named(dj.alerts(scores[now], change=change))
            tell("alerts", alerts)
            safe = dj.protect(proposed(every_unit_warned(alerts), scores[now]), plan)
            tables["measures"] = [
                gaps_told(company, one.printed().table) for one in (safe, safe.part("drivers"), safe.part("paths"))
            ]
    tell("trend", dj.trend(list(scores.values())))
    return tables


def all_named(alerts: Any) -> Any:
    """Warnings of which every unit was told and let its day pass: the most that may ever be said of them."""
    units = [unit for unit in alerts.table["unit"].unique() if unit in alerts.spec.units]
    rows = pd.DataFrame({"obligation": units, "kind": "human_review", "unit": units, "cycle": alerts.period})
    start = str(parse(alerts.period).start)
    rows = rows.assign(opened=start, due=start).reindex(columns=list(OBLIGATIONS.names), fill_value="").astype("str")
    problems = Problems()
    reviews = obligations_of(rows, pd.DataFrame(columns=list(OBLIGATION_EVENTS.names)), alerts.spec, problems)
    assert not problems
    return methods.after_review(alerts, reviews, parse(alerts.period).end)


def every_unit_warned(alerts: Any) -> Any:
    """The same warnings, with one of every unit that is judged: the most that measures may ever be proposed for."""
    table, unjudged = alerts.table, alerts.table["reason"].isin(NOT_JUDGED)
    return alerts.remade(table.assign(warning=table["warning"].where(unjudged | (table["warning"] != ""), "orange")))


def proposed(alerts: Any, now: Any) -> Any:
    """Measures for every gap of these units: a library with one measure for each question."""
    tree = now.spec.codebook.at(now.period).tree
    library = tuple(Intervention(f"M{leaf.code}", leaf.parent, (leaf.code,), 5, 1) for leaf in tree.leaves)
    spec = replace(now.spec, interventions=InterventionLibrary(library, owned=True))
    return dj.propose(alerts, None, replace(now, spec=spec), start=str(parse(now.period).end))


def gaps_told(company: Company, table: pd.DataFrame) -> pd.DataFrame:
    """Rows of proposals as what they tell of: a dimension or question of the unit, and of the unit above it is held against."""
    levels = dict(company.units[["unit", "level"]].itertuples(index=False)) | {"ALL": "ALL"}
    table = table[table["n"].notna()]
    parts = [table.assign(code=table[name]) for name in ("driver", "item") if name in table]
    own = pd.concat(parts, ignore_index=True)
    units = own[own["against"].isin(levels)] if "against" in own else own.iloc[:0]
    above = units.assign(unit=units.get("against"), level=units.get("against", pd.Series(dtype="str")).map(levels))
    return pd.concat([own, above], ignore_index=True)[["period", "level", "unit", "form", "code", "n"]]


def suppressed_naively(company: Company) -> dict[str, Told]:
    """Totals that would be told if every small row were hidden, and nothing else: what an ordinary tool does."""
    waves = {}
    for period in company.periods:
        wave, scores = Told(len(company.people[period]), {}), person_scores(company, period)
        for inside in members(company, period).values():
            for cell in [("", ""), *scores]:
                answered = inside if cell == ("", "") else inside & scores[cell].notna().to_numpy()
                if answered.sum() >= company.min_group:
                    wave.add(cell, inside)
        waves[period] = wave
    return waves


def attack(company: Company, waves: Mapping[str, Told], *, signed: bool = False) -> tuple[dict[str, list[Any]], int]:
    """Try every wave and code; returns leaks (``people``: of the respondents, ``code``: only of those who answered) and totals tried."""
    leaks: dict[str, list[Any]] = {"people": [], "code": []}
    tried, known = 0, {}
    for period, wave in waves.items():
        scores = person_scores(company, period)
        for cell, sets in wave.sets.items():
            tried += len(sets)
            ones = np.ones(wave.people, dtype=int)
            answered = ones if cell == ("", "") else scores[cell].notna().to_numpy().astype(int)
            for kind, counts in {"people": ones, "code": answered}.items():
                key = (period, signed, counts.tobytes(), tuple(sorted(sets)))
                if key not in known:
                    known[key] = smallest_total(list(sets.values()), counts, company.min_group, signed=signed)
                if known[key] is not None:
                    leaks[kind].append((company.seed, period, *cell, known[key]))
    return leaks, tried


SINGLE = ("scores", "contrast", "trend", "alerts", "measures")  # what tells of one wave only


def attacked(seeds: Iterable[int], waves: int) -> dict[str, Any]:
    """Attack random companies: leaks by kind, how many fall where only small rows are hidden, totals tried."""
    found: dict[str, Any] = {"people": [], "code": [], "signed": [], "naive": 0, "tried": 0}
    for seed in seeds:
        with tempfile.TemporaryDirectory(prefix="dj-attack-") as folder:
            company = random_company(seed, Path(folder), waves)
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                tables = published(company, dj.open_workspace(folder))
            every = told(company, tables, () if waves > 2 else [kind for kind in SINGLE if kind in tables])
            plain, tried = attack(company, every)
            signed, _ = attack(company, every, signed=True)
            naive, _ = attack(company, suppressed_naively(company))
        found["people"] += plain["people"]
        found["code"] += plain["code"]
        found["signed"] += signed["people"] + signed["code"]
        found["naive"] += bool(naive["people"])
        found["tried"] += tried
    return found
