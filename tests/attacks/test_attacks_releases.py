"""An attacker against random waves that leave more than once: drafts, late answers, closing, corrections, withdrawals.

He knows every sheet there ever was, when it was in the file and whom it is from. He puts all totals of all releases of the
wave together and looks for sums and differences about few people: whoever gave the same answer in both cancels out,
whoever changed it does not.
"""

from __future__ import annotations

import os
import tempfile
import warnings
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cache
from itertools import chain
from pathlib import Path
from typing import Any

import attacker
import numpy as np
import pandas as pd
import pytest
from companies import Company, company_of
from scipy.optimize import Bounds, LinearConstraint, milp
from trials import trials

import dj_analysis as dj
from dj_analysis.errors import DataError, UsageError
from dj_analysis.measure.scores import Scores
from dj_analysis.release import closing
from dj_analysis.release.sheets import HASH, row_table
from dj_analysis.spec.specification import CROSS

NOW, FORM = "2026Q3", "anchors"
MOST = 4  # somebody may weigh so much more than somebody else in a combination of totals
PEOPLE = ("", "")  # the cell of those who sent a sheet, whatever they answered

Happening = Callable[["Office", np.random.Generator], str]
Tables = dict[str, list[pd.DataFrame]]
Rows = dict[tuple[str, str], list[list[int]]]  # (form, code) → totals, as the sheets behind each


# --- A wave of which several versions are known -------------------------------------------------------------------


@dataclass
class Release:
    """What left at one time: the totals that were shown, and the sheets each part of an axis rests on."""

    kind: str
    file: list[int]
    told: Rows
    believed: dict[str, dict[str, list[int]]]


@dataclass
class Office:
    """A company, every sheet anybody ever handed in (a changed one is a sheet of its own), and what left."""

    company: Company
    sheets: pd.DataFrame  # respondent, units, groups, answers
    file: list[int]
    cross: tuple[tuple[str, str], ...] = ()
    releases: list[Release] = field(default_factory=list)
    hashes: dict[int, int] = field(default_factory=dict)
    story: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    twice: list[str] = field(default_factory=list)
    _scored: pd.DataFrame = field(default_factory=pd.DataFrame)

    @property
    def axes(self) -> list[str]:
        return [*self.company.trees, *self.company.groups]

    @property
    def closed(self) -> bool:
        return any(release.kind in ("close", "late", "correction") for release in self.releases)

    def write(self, order: np.random.Generator | None = None) -> None:
        """Write the sheets that are in the file now."""
        if order is not None:
            order.shuffle(self.file)
        self.company.write_wave(NOW, self.sheets.loc[self.file])

    def changed(self, sheet: int, **answers: object) -> int:
        """Add another version of a sheet; returns its number."""
        self.sheets.loc[len(self.sheets)] = self.sheets.loc[sheet].to_dict() | answers
        return len(self.sheets) - 1

    def replace(self, versions: dict[int, int]) -> None:
        self.file = [versions.get(sheet, sheet) for sheet in self.file]

    def place(self, axis: str) -> pd.Series:
        """Finest part of every sheet on an axis, as the package names it."""
        if CROSS in axis:
            return self.sheets[[self.company.column(part) for part in axis.split(CROSS)]].agg(CROSS.join, axis=1)
        return self.sheets[self.company.column(axis)]

    def above(self, axis: str) -> dict[str, list[str]]:
        """Finest part of an axis → the rows that hold it; the root last."""
        tree, *others = axis.split(CROSS)
        chains = self.company.chains(tree, NOW) if tree in self.company.trees else {}
        found = {}
        for part in self.place(axis).unique():
            unit, *rest = part.split(CROSS)
            units = chains.get(unit, [unit, "ALL"] if unit else ["ALL"])
            found[part] = [CROSS.join([at, *rest]) for at in units[: -1 if others else None]]
        return found

    def scores(self) -> pd.DataFrame:
        """Scores of every sheet, by the rules of the domain and not by the package; sheets are added and never changed."""
        if len(self._scored) != len(self.sheets):
            every = Company(**(vars(self.company) | {"people": {NOW: self.sheets}}))
            self._scored = attacker.person_scores(every, NOW)
        return self._scored


def axes_of(office: Office) -> dict[str, str]:
    """Level, group column or cross → its axis."""
    names = [*office.company.units["level"].unique(), *office.company.groups, "company"]
    found = {name: attacker.axis_of(office.company, name) for name in names}
    return found | {CROSS.join(pair): CROSS.join(found[part] for part in pair) for pair in office.cross}


# --- What leaves ---------------------------------------------------------------------------------------------------


def send_draft(office: Office) -> None:
    """As ``ws.run_report(sent=True)``, without running the notebook."""
    ws = dj.open_workspace(office.company.folder)
    snapshot = closing.snapshot(ws._read(NOW), ws.history, ws.settings.consent)
    results = results_of(office, ws)
    ws.record.append("publication", snapshot | {"files": {}})
    note(office, "draft", ws, *results)


def close(office: Office, correct: str = "") -> None:
    """Close the wave, register what came late, or correct it."""
    kind = "correction" if correct else "late" if office.closed else "close"
    ws = dj.open_workspace(office.company.folder)
    ws.close(NOW, correct=correct)
    note(office, kind, ws, *results_of(office, ws))


def results_of(office: Office, ws: dj.Workspace) -> tuple[Scores, Tables]:
    """Scores of everything there is, and what may be printed of one wave alone: kind → tables."""
    scores, plan = ws.scores(NOW), ws.release_plan(NOW)
    contrast = dj.contrast(scores)
    if office.cross:
        scores = ws.scores(NOW, by=[*ws.units.levels, *office.company.groups, *office.cross])
    safe = dj.protect(scores, plan).printed()
    own = [part.table for part in (safe, safe.part("shares"), safe.part("response"))]
    tables = {"scores": own, "contrast": [dj.protect(contrast, plan).printed().table]}
    return scores, tables


def without_what_follows(office: Office, tables: Tables, inside: dict[str, dict[str, list[int]]]) -> Tables:
    """Leave out dimensions that are printed as the mean over all answers to their questions: they tell nothing more.

    They are where somebody, but fewer than min_group, left one of their questions out, and all of these are shown.
    """
    answered, axes, least = office.scores().notna(), axes_of(office), office.company.min_group
    book = office.company.codebook
    below = {code: book.loc[book["parent"] == code, "code"].tolist() for code in set(book["parent"]) - {""}}
    scores = tables["scores"][0]
    closed = set(scores.loc[scores["score"].isna(), ["level", "unit", "code"]].itertuples(index=False, name=None))

    def moved(level: str, unit: str, code: str) -> bool:
        sheets = inside[axes[level]].get(unit, [])
        if code not in below or any((level, unit, question) in closed for question in below[code]):
            return False
        n = [int(answered[FORM, one].to_numpy()[sheets].sum()) for one in (code, *below[code])]
        apart = max(abs(n[0] - other) for other in n[1:])
        return apart < least and (apart > 0 or any(moved(level, unit, one) for one in below[code]))

    kept: Tables = {}
    for kind, given in tables.items():
        kept[kind] = []
        for table in given:
            if "code" not in table:
                kept[kind].append(table)
                continue
            rows = [
                not moved(level, unit, code) and not (kind == "contrast" and moved(axes_root(office), "ALL", code))
                for level, unit, code in zip(table["level"], table["unit"], table["code"], strict=True)
            ]
            kept[kind].append(table[rows])
    return kept


def axes_root(office: Office) -> str:
    return "company"


def note(office: Office, kind: str, ws: dj.Workspace, scores: Scores, tables: Tables) -> None:
    """Find out which sheets every number rests on, and keep what was told."""
    hashes = row_table(ws._read(NOW), ws.store.secret)[HASH]
    office.hashes |= dict(zip((int(value) for value in hashes), office.file, strict=True))
    rows = [office.hashes[int(value)] for value in ws.store.rows(ws.history.releases(NOW)[-1]["store"])[HASH]]
    believed = believe(office, scores, rows)
    inside = {axis: members(office, axis, parts) for axis, parts in believed.items()}
    check_scores(office, kind, scores.table, inside)
    check_once(office, kind, inside)
    tables = without_what_follows(office, tables, inside)
    office.releases.append(Release(kind, list(office.file), totals(office, tables, inside), believed))
    office.story.append(f"{kind}: {len(office.file)} in the file, {len(rows)} count")


def believe(office: Office, scores: Scores, rows: list[int]) -> dict[str, dict[str, list[int]]]:
    """Say which sheets every finest part of every axis rests on, and compute its sums anew from these.

    A part rests on the sheets the release counts, or, after a correction, still on those of an earlier release: which of
    them it is, its sums tell. Sums that are of neither are wrong.
    """
    found, x = {}, office.scores()
    before = [release.believed for release in reversed(office.releases)]
    for axis, sums in scores.sums.items():
        place = office.place(axis)
        booked: dict[str, list[int]] = {}
        for sheet in rows:
            booked.setdefault(place[sheet], []).append(sheet)
        known = [booked, *(old[axis] for old in before)]
        parts = sorted({part for one in known for part in one} | set(sums.units))
        laid, answers = sums.laid_out(parts, sums.cells), x[list(sums.cells)].to_numpy()
        told = np.stack([laid.sums[name] for name in ("n", "wx", "wxx")], axis=1)
        fits = np.array(
            [
                [_sums_fit(answers[one.get(part, [])], laid.persons[i], told[i]) for i, part in enumerate(parts)]
                for one in known
            ]
        )
        best = np.argsort(-fits.sum(axis=1), kind="stable")
        found[axis] = {}
        for i, part in enumerate(parts):
            first = next((source for source in best if fits[source, i]), None)
            if first is None:
                office.wrong.append(f"release {len(office.releases)}: {axis} {part} rests on other sheets")
            found[axis][part] = known[first or 0].get(part, [])
    return found


def _sums_fit(answers: np.ndarray, persons: float, told: np.ndarray) -> bool:
    if len(answers) != persons:
        return False
    sums = [(~np.isnan(answers)).sum(axis=0), np.nansum(answers, axis=0), np.nansum(answers**2, axis=0)]
    return bool(np.allclose(sums, told, rtol=1e-9, atol=1e-6))


def members(office: Office, axis: str, parts: dict[str, list[int]]) -> dict[str, list[int]]:
    """Row of an axis → the sheets behind it; a sheet that is counted in two places is there twice."""
    found: dict[str, list[int]] = {}
    for part, rows in office.above(axis).items():
        for row in rows:
            found.setdefault(row, []).extend(parts.get(part, []))
    return found


def check_scores(office: Office, kind: str, table: pd.DataFrame, inside: dict[str, dict[str, list[int]]]) -> None:
    """Every score, before it is hidden or rounded, must be the mean of the sheets it is believed to rest on."""
    x, axes = office.scores(), axes_of(office)
    column = {cell: x[cell].to_numpy() for cell in x}
    for row in table.itertuples():
        answers = column[row.form, row.code][inside[axes[row.level]].get(row.unit, [])]
        answers = answers[~np.isnan(answers)]
        if len(answers) != row.n or (row.n and abs(answers.mean() - row.score) > 1e-6):
            office.wrong.append(f"{kind}: {row.level} {row.unit} {row.code} is another score")


def check_once(office: Office, kind: str, inside: dict[str, dict[str, list[int]]]) -> None:
    """Nobody counts twice, here as he is and there as he was."""
    for axis, rows in inside.items():
        for row, sheets in rows.items():
            more = office.sheets.loc[sheets, "respondent"].duplicated().sum()
            if more:
                office.twice.append(f"{kind}: {axis} {row} counts {more} people twice")


def totals(office: Office, tables: Tables, inside: dict[str, dict[str, list[int]]]) -> Rows:
    """Turn every row of which a number is shown into the sheets it is about."""
    told: dict[tuple[str, str], set[tuple[int, ...]]] = {}
    axes = axes_of(office)
    for kind, given in tables.items():
        for row in pd.concat([attacker._keys_shown(table) for table in given]).drop_duplicates().itertuples():
            groups = inside[axes[row.level]]
            mine = groups.get(row.unit, [])
            sets = [mine]
            if kind == "contrast":  # its own score, that of the whole and, with n, that of the rest
                sets += [groups["ALL"], list((Counter(groups["ALL"]) - Counter(mine)).elements())]
            told.setdefault((row.form, row.code), set()).update(tuple(sorted(one)) for one in sets)
            told.setdefault(PEOPLE, set()).update(tuple(sorted(one)) for one in sets)
    return {cell: [list(one) for one in sorted(sets)] for cell, sets in told.items()}


def naively(office: Office) -> list[Rows]:
    """What an ordinary tool shows of one question: every row of what is in the file, but for those under min_group."""
    found, cell = [], (FORM, office.company.items[0])
    answered = office.scores()[cell].notna()
    for release in office.releases:
        told: Rows = {cell: []}
        for axis in release.believed:
            place = office.place(axis)
            parts = {part: [sheet for sheet in release.file if place[sheet] == part] for part in place.unique()}
            rows = members(office, axis, parts).values()
            told[cell] += [sheets for sheets in rows if answered[sheets].sum() >= office.company.min_group]
        found.append(told)
    return found


# --- The attack ----------------------------------------------------------------------------------------------------


def attack(office: Office, releases: Sequence[Rows]) -> tuple[list[tuple[str, float]], int]:
    """Put the totals of all releases together, code by code; returns (code, people) of the leaks and the totals tried."""
    scores, leaks, tried, known = office.scores(), [], 0, {}
    person = pd.factorize(office.sheets["respondent"])[0]
    whole = office.sheets.astype(str).groupby(office.company.items).ngroup().astype(float)  # all answers of a sheet
    for cell in dict.fromkeys(chain.from_iterable(releases)):
        value = whole if cell == PEOPLE else scores[cell].round(6)
        atom = pd.factorize(pd.MultiIndex.from_arrays([person, value]))[0]
        rows = list(chain.from_iterable(release.get(cell, []) for release in releases))
        tried += len(rows)
        matrix, owner = np.zeros((len(rows), atom.max() + 1)), np.zeros(atom.max() + 1, dtype=int)
        owner[atom] = person
        for row, sheets in enumerate(rows):
            answered = [sheet for sheet in sheets if not np.isnan(value[sheet])]
            np.add.at(matrix[row], atom[answered], 1)
        matrix = np.unique(matrix, axis=0)
        key = (matrix.tobytes(), owner.tobytes())
        if key not in known:
            known[key] = fewest_people(matrix, owner, office.company.min_group)
        if known[key] is not None:
            leaks.append((cell[1] or "people", known[key]))
    return leaks, tried


def fewest_people(matrix: np.ndarray, owner: np.ndarray, least: int) -> float | None:
    """Find the fewest people, below ``least``, about whom a combination of totals tells: all others weigh 0 in it.

    Parameters
    ----------
    matrix
        One row a published total, one column an answer of a person: how often it counts.
    owner
        Whose answer each column is: who changed an answer has two columns and is one person.
    """
    columns, number = np.unique(matrix, axis=1, return_inverse=True)
    kinds = Counter(
        tuple(sorted({int(k) for k in number.ravel()[owner == one] if columns[:, k].any()})) for one in np.unique(owner)
    )
    kinds.pop((), None)
    people = np.array(list(kinds.values()), dtype=float)
    touched = np.zeros((len(kinds), columns.shape[1]))
    for row, kind in enumerate(kinds):
        touched[row, list(kind)] = 1
    there = touched.any(axis=0)
    columns, touched = columns[:, there], touched[:, there]
    large = touched[people >= least].any(axis=0)
    space = attacker._vanishing(columns, large)
    if space is None:
        return None
    alive = (np.abs(space) > attacker.TINY).any(axis=0)
    space, touched = space[:, alive], touched[:, alive]
    return _fewest_in(space, touched, people, least)


def _fewest_in(space: np.ndarray, touched: np.ndarray, people: np.ndarray, least: int) -> float | None:
    """Find by integer programming a combination of the rows that is not 0 and touches fewer than ``least`` people.

    Somebody weighs 1, nobody more than MOST; at its pivots a combination is its factors.
    """
    if len(space) == 1:
        counts = people[(np.abs(space[0]) > attacker.TINY) @ touched.T > 0].sum()
        return float(counts) if counts < least else None
    (dimension, columns), kinds = space.shape, len(people)
    size = columns + dimension + dimension + kinds  # weights, factors, which factor is 1 at least, kinds touched
    rows, low, high = [], [], []

    def limit(at: dict[int, float], smallest: float, largest: float) -> None:
        row = np.zeros(size)
        row[list(at)] = list(at.values())
        rows.append(row), low.append(smallest), high.append(largest)

    for column in range(columns):
        limit({column: 1} | {columns + i: -space[i, column] for i in range(dimension)}, 0, 0)
    for kind, column in np.argwhere(touched):
        there = size - kinds + int(kind)
        limit({int(column): 1, there: -MOST}, -np.inf, 0)
        limit({int(column): -1, there: -MOST}, -np.inf, 0)
    for i in range(dimension):
        limit({columns + i: 1, columns + dimension + i: -(MOST + 1)}, -MOST, np.inf)
    limit(dict.fromkeys(range(columns + dimension, columns + 2 * dimension), 1), 1, np.inf)
    cost = np.concatenate([np.zeros(size - kinds), people])
    limit(dict(enumerate(cost)), 0, least - 0.5)
    whole = np.arange(size) >= columns + dimension
    found = milp(
        cost, constraints=LinearConstraint(np.array(rows), low, high), integrality=whole,
        bounds=Bounds(np.where(whole, 0, -MOST), np.where(whole, 1, MOST)),
    )  # fmt: skip
    assert found.status in (0, 2), found.message  # found, or there is none
    return None if found.x is None else float(people[np.round(found.x[-kinds:]) > 0].sum())


# --- Random histories ----------------------------------------------------------------------------------------------


def random_releases(seed: int, folder: Path, *, plain: bool = False, only: Sequence[Happening] = ()) -> Office:
    """Draw a small company and let a wave of it leave two to five times, with what may happen in between.

    Parameters
    ----------
    plain
        Everybody answers everything, and no cross-classification is declared.
    only
        What may happen; by default everything.
    """
    rng = np.random.default_rng([20260909, seed])
    office = random_office(rng, seed, folder, plain=plain)
    steps = ["draft"] * int(rng.choice([0, 1, 1, 2])) + ["close"]
    steps += ["after"] * int(rng.choice([1, 2, 3] if len(steps) == 1 else [0, 1, 2, 2]))
    for number, step in enumerate(steps):
        if number:
            now = [late] if rng.random() < 0.2 else only or EVERYTHING
            for _ in range(int(rng.choice([1, 1, 2, 3]))):
                happen(office, rng, now)
        office.write(rng if rng.random() < 0.3 else None)
        if step == "draft":
            send_draft(office)
        elif step == "close":
            close(office)
        else:
            after_closing(office, rng)
    return office


def after_closing(office: Office, rng: np.random.Generator) -> None:
    """Register what came late where nothing else happened; otherwise a correction is needed."""
    if rng.random() < 0.5:
        try:
            close(office)
        except (DataError, UsageError):  # sheets were changed, or none is new: nothing leaves
            pass
        else:
            return
    close(office, correct="更正")


def random_office(rng: np.random.Generator, seed: int, folder: Path, *, plain: bool) -> Office:
    least, size = int(rng.integers(5, 9)), int(rng.integers(40, 151))
    units, finest = _units(rng)
    items = [(("Q1",), ("Q2",)), (("Q1", "Q2"), ("Q3",)), (("Q1", "Q2", "Q3"),)][int(rng.integers(3))]
    codes = list(chain.from_iterable(items))
    groups = ("G",) if rng.random() < 0.6 else ()
    company = company_of(folder, units, {}, items=items, groups=groups, min_group=least)
    top = int(rng.choice([5, 1000]))  # of a thousand options sums tell whose answers they are
    company.codebook.loc[company.codebook["role"] == "item", "maximum"] = str(top)
    people = pd.DataFrame({"unit": rng.choice(finest, size, p=rng.dirichlet(np.full(len(finest), 2.0)))})
    if not groups or rng.random() < 0.25:
        count = int(rng.integers(2, 5))
        company.trees = ("admin", "party")
        for i in range(count):
            company.units.loc[len(company.units)] = [f"P{i}", "party", "", "branch", f"支部{i}", "", "", ""]
        people["party"] = _along(rng, people["unit"], [f"P{i}" for i in range(count)])
    if groups:
        people["G"] = _along(rng, people["unit"], ["甲", "乙", "丙"][: int(rng.integers(2, 4))])
    missing = 0 if plain else float(rng.choice([0, 0, 0.03, 0.1]))
    for code in codes:
        people[code] = rng.integers(1, top + 1, size).astype(object)
        people.loc[rng.random(size) < missing, code] = ""
    people.insert(0, "respondent", [f"r{i:04d}" for i in range(size)])
    early = np.flatnonzero(rng.random(size) < rng.uniform(0.5, 0.95))
    cross = (("t1", "G"),) if groups and not plain and rng.random() < 0.35 else ()
    company.people = {NOW: people}
    company.write()
    if cross:
        declare_cross(folder)
    return Office(company, people.astype(object), [int(i) for i in early], cross)


def declare_cross(folder: Path) -> None:
    with (folder / "workspace.toml").open("a", encoding="utf-8") as file:
        file.write('[publish]\ncross = [["t1", "G"]]\n')


def _units(rng: np.random.Generator) -> tuple[list[tuple[str, str, str]], list[str]]:
    """Two to eight units, flat or in two steps; people may belong to a unit that has others below it."""
    tops = int(rng.integers(2, 5))
    rows, finest = [(f"A{i}", "", "t1") for i in range(tops)], []
    for i in range(tops):
        below = int(rng.choice([0, 2, 3])) if len(rows) <= 5 else 0
        rows += [(f"A{i}{j}", f"A{i}", "t2") for j in range(below)]
        finest += [f"A{i}{j}" for j in range(below)]
        if not below or rng.random() < 0.2:
            finest.append(f"A{i}")
    return rows, finest


def _along(rng: np.random.Generator, unit: pd.Series, names: list[str]) -> np.ndarray:
    """Categories that are free of the units, or follow them but for a few people."""
    if rng.random() < 0.5:
        return rng.choice(names, len(unit), p=rng.dirichlet(np.full(len(names), 3.0))).astype(object)
    home = {one: rng.choice(names) for one in sorted(set(unit))}
    column = unit.map(home).to_numpy(dtype=object).copy()
    stray = rng.random(len(unit)) < rng.choice([0.02, 0.08, 0.2])
    column[stray] = rng.choice(names, int(stray.sum()))
    return column


def happen(office: Office, rng: np.random.Generator, what_may: Sequence[Happening]) -> None:
    """Something happens to the file between two releases."""
    what = what_may[int(rng.integers(len(what_may)))]
    told = what(office, rng)
    office.story.append(f"{what.__name__}: {told}")


def _place_of(office: Office, rng: np.random.Generator, sheets: list[int]) -> list[int]:
    """Sheets of one part of some axis, of all, or of one part with a few others; in random order."""
    sheets = [int(i) for i in rng.permutation(sheets)]
    if not sheets or rng.random() < 0.2:
        return sheets
    place = office.place(str(rng.choice(office.axes)))
    part = place[sheets[0]]
    inside = [sheet for sheet in sheets if place[sheet] == part]
    others = [sheet for sheet in sheets if place[sheet] != part][: int(rng.choice([0, 0, 1, 3]))]
    return [*others, *inside]


def _some(office: Office, rng: np.random.Generator) -> int:
    least = office.company.min_group
    return int(rng.choice([1, 2, least - 1, least, least + 3, 2 * least, 1000]))


def late(office: Office, rng: np.random.Generator) -> str:
    ever = {office.sheets.loc[sheet, "respondent"] for release in office.releases for sheet in release.file}
    here = {office.sheets.loc[sheet, "respondent"] for sheet in office.file}
    waiting = office.sheets.index[~office.sheets["respondent"].isin(ever | here)]
    came = _place_of(office, rng, list(waiting))[: _some(office, rng)]
    office.file += came
    return f"{len(came)} came"


def change(office: Office, rng: np.random.Generator) -> str:
    """One question, or all, is mended for some; perhaps another one for a few of them."""
    chosen = _place_of(office, rng, office.file)[: _some(office, rng)]
    items = [str(code) for code in rng.permutation(office.company.items)]
    mended = dict.fromkeys(items[: int(rng.choice([1, 1, len(items)]))], len(chosen))
    if len(mended) == 1 and rng.random() < 0.5:
        mended[items[1]] = int(rng.integers(1, 4))
    top = int(office.company.codebook.query("role == 'item'")["maximum"].iloc[0])
    versions = {}
    for number, sheet in enumerate(chosen):
        old = office.sheets.loc[sheet]
        new = {code: _mended(old[code], top, rng) for code, count in mended.items() if number < count}
        if any(old[code] != value for code, value in new.items()):
            versions[sheet] = office.changed(sheet, **new)
    office.replace(versions)
    return f"{len(versions)} in {mended}"


def _mended(answer: object, top: int, rng: np.random.Generator) -> object:
    """Another answer; of five options the next better one, so that changes never make up for each other."""
    if answer == "":
        return int(rng.integers(1, top + 1)) if rng.random() < 0.3 else ""
    return min(int(answer) + 1, 5) if top == 5 else int(rng.integers(1, top + 1))


def move(office: Office, rng: np.random.Generator) -> str:
    """Some sheets were entered under another unit or category."""
    axis = str(rng.choice(office.axes))
    place = office.place(axis)
    there = str(rng.choice(sorted(set(place))))
    chosen = [sheet for sheet in _place_of(office, rng, office.file) if place[sheet] != there][: _some(office, rng)]
    office.replace({sheet: office.changed(sheet, **{office.company.column(axis): there}) for sheet in chosen})
    return f"{len(chosen)} to {axis} {there}"


def remove(office: Office, rng: np.random.Generator) -> str:
    """Sheets that were in the file twice, or of people who do not belong there, are taken out by hand."""
    gone = set(_place_of(office, rng, office.file)[: min(_some(office, rng), len(office.file) // 3)])
    office.file = [sheet for sheet in office.file if sheet not in gone]
    return f"{len(gone)} taken out"


def withdraw(office: Office, rng: np.random.Generator) -> str:
    gone = _place_of(office, rng, office.file)[: int(rng.choice([1, 1, 2, 3]))]
    office.write()
    ws = dj.open_workspace(office.company.folder)
    if not office.closed or rng.random() < 0.5:
        for sheet in gone:
            ws.withdraw(NOW, str(office.sheets.loc[sheet, "respondent"]))
    else:
        office.company.write_wave(NOW, office.sheets.loc[[sheet for sheet in office.file if sheet not in gone]])
        with suppress(UsageError):  # none of them counts
            ws.withdraw(NOW)
    office.file = [sheet for sheet in office.file if sheet not in gone]
    return f"{len(gone)} withdrawn"


def turn_back(office: Office, rng: np.random.Generator) -> str:
    """Sheets become again what they were at an earlier release."""
    if not office.releases:
        return "nothing"
    old = office.releases[int(rng.integers(len(office.releases)))].file
    first = {office.sheets.loc[sheet, "respondent"]: sheet for sheet in old}
    versions = {
        sheet: first[who]
        for sheet in office.file
        if (who := office.sheets.loc[sheet, "respondent"]) in first and first[who] != sheet
    }
    chosen = _place_of(office, rng, list(versions))[: _some(office, rng)]
    office.replace({sheet: versions[sheet] for sheet in chosen})
    return f"{len(chosen)} turned back"


EVERYTHING = (late, late, change, change, move, remove, withdraw, turn_back)


# --- Random companies -----------------------------------------------------------------------------------------------

#: Late answers alone, to everything and without crosses; whatever may happen, in any company.
KINDS: dict[str, dict[str, Any]] = {"late": {"plain": True, "only": (late,)}, "everything": {}}
TIMES = 10 if "DJ_ATTACK" in os.environ else 1
CHUNKS = [("late", 9000 + k, trials(10, 4)) for k in range(0, 10 * TIMES, 10)]
CHUNKS += [("everything", 9500 + k, trials(10, 4)) for k in range(0, trials(20, 10) * TIMES, 10)]


@cache
def found(kind: str, first: int, companies: int) -> dict[str, Any]:
    """Attack the companies of a chunk once; the tests below look at different sides of it."""
    made: dict[str, Any] = {"leaks": [], "wrong": [], "twice": [], "naive": 0, "tried": 0, "releases": Counter()}
    for seed in range(first, first + companies):
        with tempfile.TemporaryDirectory(prefix="dj-releases-") as folder, warnings.catch_warnings():
            warnings.simplefilter("ignore")
            office = random_releases(seed, Path(folder), **KINDS[kind])
        leaks, tried = attack(office, [release.told for release in office.releases])
        made["leaks"] += [(seed, *leak) for leak in leaks]
        made["wrong"] += [(seed, wrong) for wrong in office.wrong]
        made["twice"] += [(seed, twice) for twice in office.twice]
        made["naive"] += bool(attack(office, naively(office))[0])
        made["tried"] += tried
        made["releases"] += Counter(release.kind for release in office.releases)
    return made


@pytest.mark.parametrize("chunk", CHUNKS)
def test_no_combination_of_what_several_releases_told_is_about_few_people(chunk):
    assert not found(*chunk)["leaks"]


@pytest.mark.parametrize("chunk", CHUNKS)
def test_every_number_rests_on_sheets_that_this_or_an_earlier_release_counts(chunk):
    assert not found(*chunk)["wrong"]


@pytest.mark.parametrize("chunk", CHUNKS)
def test_nobody_counts_twice_in_a_number(chunk):
    assert not found(*chunk)["twice"]


def test_the_attacker_breaks_releases_that_only_hide_small_rows():
    """The control: the same attack on the same files where each release shows all but its small rows."""
    every = [found(*chunk) for chunk in CHUNKS]
    companies, tried = sum(chunk[2] for chunk in CHUNKS), sum(one["tried"] for one in every)
    releases = sum((one["releases"] for one in every), Counter())
    print(f"{tried} published totals of {companies} companies attacked, {dict(releases)}")
    assert tried > 100 * companies
    assert sum(one["naive"] for one in every) > 0.9 * companies
    assert min(releases[kind] for kind in ("draft", "close", "late", "correction")) > companies // 8


# --- Made by hand ---------------------------------------------------------------------------------------------------


def leaks_of(office: Office) -> list[tuple[str, float]]:
    assert not office.wrong
    return attack(office, [release.told for release in office.releases])[0]


def office_of(folder: Path, *blocks: tuple[int, dict[str, object]], later: int = 0, cross: bool = False) -> Office:
    """A company of two questions, units A, B … and, where told, categories G; the last sheets come later."""
    rng = np.random.default_rng(20260911)
    rows = [
        {code: int(rng.integers(1, 1001)) for code in ("Q1", "Q2")} | fixed for n, fixed in blocks for _ in range(n)
    ]
    people = pd.DataFrame(rows, dtype=object)
    people.insert(0, "respondent", [f"r{i:03d}" for i in range(len(people))])
    units = [(unit, "", "t1") for unit in sorted(set(people["unit"]))]
    company = company_of(folder, units, {}, groups=("G",) if "G" in people else ())
    company.codebook.loc[company.codebook["role"] == "item", "maximum"] = "1000"
    company.people = {NOW: people}
    company.write()
    if cross:
        declare_cross(folder)
    office = Office(company, people, list(range(len(people) - later)), (("t1", "G"),) if cross else ())
    office.write()
    return office


def of(office: Office, **places: str) -> list[int]:
    """Sheets in the file that lie there."""
    return [s for s in office.file if all(office.sheets.loc[s, name] == value for name, value in places.items())]


def turned(office: Office, sheet: int, *codes: str, **places: str) -> int:
    """The sheet with these questions turned round, or in another place."""
    return office.changed(sheet, **{code: 1001 - office.sheets.loc[sheet, code] for code in codes}, **places)


def mend(office: Office, versions: dict[int, int], why: str = "更正") -> None:
    office.replace(versions)
    office.write()
    close(office, correct=why)


FOUR = [(40, {"unit": unit, "G": group}) for unit in "AB" for group in "甲乙"]


def test_two_who_came_late_are_not_told_by_sheets_that_were_moved_with_them(tmp_path):
    """Eleven sheets move from B to A, two come late: A changes by thirteen, B by eleven, the whole by two."""
    office = office_of(
        tmp_path, (30, {"unit": "A"}), (40, {"unit": "B"}), (30, {"unit": "C"}), (2, {"unit": "A"}), later=2
    )
    close(office)
    office.file += [100, 101]
    mend(office, {sheet: turned(office, sheet, unit="A") for sheet in of(office, unit="B")[:11]})
    assert not leaks_of(office)


def test_one_mended_answer_is_not_told_by_sheets_that_were_moved_with_it(tmp_path):
    office = office_of(tmp_path, (30, {"unit": "A"}), (40, {"unit": "B"}), (30, {"unit": "C"}))
    close(office)
    first, *others = of(office, unit="B")[:11]
    mend(
        office,
        {first: turned(office, first, "Q1", unit="A")} | {sheet: turned(office, sheet, unit="A") for sheet in others},
    )
    assert not leaks_of(office)


def test_one_mended_answer_is_not_told_by_sheets_whose_group_was_mended(tmp_path):
    """Thirteen sheets of A changed, twelve of them only their category; one question moved, of one person."""
    office = office_of(tmp_path, *FOUR)
    close(office)
    one, moved = of(office, unit="A", G="甲")[0], of(office, unit="A", G="乙")[:12]
    mend(office, {one: turned(office, one, "Q1")} | {sheet: turned(office, sheet, G="甲") for sheet in moved})
    assert not leaks_of(office)


def test_sheets_taken_out_are_counted_by_who_answered_a_question(tmp_path):
    """Twelve sheets of A are taken out; three of them had answered Q1."""
    office = office_of(
        tmp_path, (28, {"unit": "A"}), (3, {"unit": "A"}), (9, {"unit": "A", "Q1": ""}), (40, {"unit": "B"})
    )
    close(office)
    office.file = [sheet for sheet in office.file if not 28 <= sheet < 40]
    mend(office, {})
    assert not leaks_of(office)


def test_groups_that_keep_their_sums_are_judged_by_the_sheets_they_keep(tmp_path):
    """甲 is A and three of B; twelve more of B are entered in 甲, but its sums stay: 甲 − A are the three."""
    office = office_of(
        tmp_path, (40, {"unit": "A", "G": "甲"}), (3, {"unit": "B", "G": "甲"}), (47, {"unit": "B", "G": "乙"})
    )
    close(office)
    assert not leaks_of(office)
    mend(office, {sheet: turned(office, sheet, G="甲") for sheet in of(office, G="乙")[:12]})
    assert not leaks_of(office)


def test_a_second_correction_does_not_bring_a_group_up_to_date_by_few(tmp_path):
    """Twelve of A are mended, five of them in 甲: groups keep their sums, until a correction in which nothing changed."""
    office = office_of(tmp_path, *FOUR)
    close(office)
    chosen = [*of(office, unit="A", G="甲")[:5], *of(office, unit="A", G="乙")[:7]]
    mend(office, {sheet: turned(office, sheet, "Q1", "Q2") for sheet in chosen})
    assert not leaks_of(office)
    mend(office, {}, "再更正")
    assert not leaks_of(office)


def test_a_third_release_tells_no_few_answers_against_the_first(tmp_path):
    """Twelve are mended in Q1; ten of them turn back, and are mended in Q2: two differ from the first in Q1."""
    office = office_of(tmp_path, (40, {"unit": "A"}), (40, {"unit": "B"}))
    close(office)
    mended = {sheet: turned(office, sheet, "Q1") for sheet in of(office, unit="A")[:12]}
    mend(office, mended)
    mend(office, {new: turned(office, old, "Q2") for old, new in list(mended.items())[:10]}, "再更正")
    assert not leaks_of(office)


def test_a_correction_that_is_taken_back_but_for_two_does_not_tell_these(tmp_path):
    office = office_of(tmp_path, (40, {"unit": "A"}), (40, {"unit": "B"}))
    close(office)
    mended = {sheet: turned(office, sheet, "Q1") for sheet in of(office, unit="A")[:12]}
    mend(office, mended)
    mend(office, {new: old for old, new in list(mended.items())[:10]}, "再更正")
    assert not leaks_of(office)


def test_units_shown_later_and_groups_shown_earlier_are_compared_by_question(tmp_path):
    """The draft shows 甲, the closed wave A as well: 甲 of the draft − A are twelve, three of whom answered Q1."""
    office = office_of(
        tmp_path, (30, {"unit": "A", "G": "甲"}), (3, {"unit": "B", "G": "甲"}), (9, {"unit": "B", "G": "甲", "Q1": ""}),
        (20, {"unit": "B", "G": "乙"}), (12, {"unit": "B", "G": "甲"}), later=12,
    )  # fmt: skip
    send_draft(office)
    assert not leaks_of(office)
    office.file += range(62, 74)
    office.write()
    close(office)
    assert not leaks_of(office)


def test_three_releases_together_tell_no_few(tmp_path):
    """The first shows A, the second B, the third A with B: five came to A since the first, none to B since the second."""
    office = office_of(
        tmp_path, (26, {"unit": "A", "G": "甲"}), (4, {"unit": "A", "G": "乙"}), (1, {"unit": "B", "G": "甲"}),
        (32, {"unit": "B", "G": "乙"}), (31, {"unit": "C", "G": "乙"}), (4, {"unit": "B", "G": "甲"}),
        (6, {"unit": "B", "G": "乙"}), (5, {"unit": "A", "G": "乙"}), (13, {"unit": "C", "G": "乙"}), later=28,
    )  # fmt: skip
    send_draft(office)
    office.file += range(94, 104)
    office.write()
    send_draft(office)
    assert not leaks_of(office)
    office.file += range(104, 122)
    office.write()
    close(office)
    assert not leaks_of(office)


def test_cells_of_a_cross_grow_by_nobody_or_by_enough(tmp_path):
    """Ten came to A, to B, to 甲 and to 乙, but five to each cell."""
    late_ones = [(5, {"unit": unit, "G": group}) for unit in "AB" for group in "甲乙"]
    office = office_of(tmp_path, *FOUR, *late_ones, later=20, cross=True)
    send_draft(office)
    assert not leaks_of(office)
    office.file += range(160, 180)
    office.write()
    close(office)
    assert not leaks_of(office)


def test_nobody_counts_in_the_unit_he_was_moved_from_as_well(tmp_path):
    """Six of A and six of C are entered in B: enough for B, too few for A and C, which keep them."""
    office = office_of(tmp_path, *((30, {"unit": unit}) for unit in "ABC"))
    close(office)
    mend(office, {s: turned(office, s, unit="B") for s in (*of(office, unit="A")[:6], *of(office, unit="C")[:6])})
    assert not leaks_of(office)
    assert not office.twice
