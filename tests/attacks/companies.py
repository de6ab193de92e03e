"""Random small companies as folders of a workspace, with the truth about every person beside them."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd

PERIODS = ("2025Q4", "2026Q1", "2026Q2", "2026Q3")
UNIT_COLUMNS = ["unit", "tree", "parent", "level", "name_zh", "valid_from", "valid_to", "became"]
CODE_COLUMNS = ["code", "parent", "label_zh", "role", "direction", "weight", "minimum", "maximum", "form", "min_share"]
CONSENT = '[consent]\nbasis = "notice"\ndate = "2025-01-01"\ntext = "问卷首页告知书"\n'


@dataclass
class Company:
    """A workspace's folder and what only its makers know.

    ``people``: wave → one row a respondent: the columns of the responses file, which the package reads.
    """

    folder: Path
    seed: int
    min_group: int
    units: pd.DataFrame
    codebook: pd.DataFrame
    groups: tuple[str, ...]
    trees: tuple[str, ...]
    weight: str | None
    people: dict[str, pd.DataFrame] = field(default_factory=dict)
    full: frozenset[str] = frozenset()

    @property
    def periods(self) -> list[str]:
        return sorted(self.people)

    @property
    def items(self) -> list[str]:
        return self.codebook.loc[self.codebook["role"] == "item", "code"].tolist()

    def write(self) -> Company:
        """Write every file of the workspace."""
        (self.folder / "responses").mkdir(parents=True, exist_ok=True)
        waves = "[waves]\n" + "".join(f'"{period}" = "full"\n' for period in sorted(self.full)) if self.full else ""
        settings = f'name = "试验公司"\nmin_group = {self.min_group}\n{waves}{CONSENT}'
        (self.folder / "workspace.toml").write_text(settings, encoding="utf-8")
        self.units.to_csv(self.folder / "units.csv", index=False)
        self.codebook.to_csv(self.folder / "codebook.csv", index=False)
        self._headcounts().to_csv(self.folder / "headcounts.csv", index=False)
        for period in self.people:
            self.write_wave(period)
        return self

    def write_wave(self, period: str, people: pd.DataFrame | None = None) -> None:
        """Write the responses of one wave; other people than before take their place."""
        if people is not None:
            self.people[period] = people
        self.people[period].to_csv(self.folder / "responses" / f"{period}.csv", index=False)

    def at(self, period: str) -> pd.DataFrame:
        """Rows of the unit table that hold in a wave."""
        first, last = self.units["valid_from"].replace("", "0"), self.units["valid_to"].replace("", "9")
        return self.units[(first <= period) & (period <= last)]

    def chains(self, tree: str, period: str) -> dict[str, list[str]]:
        """Unit → itself and the units above it, the root last, as they are in a wave."""
        here = self.at(period)
        parent = dict(here.loc[here["tree"] == tree, ["unit", "parent"]].itertuples(index=False))
        found = {"": ["ALL"]}
        for unit in parent:
            chain, above = [], unit
            while above:
                chain.append(above)
                above = parent.get(above, "")
            found[unit] = [*chain, "ALL"]
        return found

    def column(self, axis: str) -> str:
        """Column of the responses that says where a person belongs on an axis."""
        return "unit" if axis == self.trees[0] else axis

    def _headcounts(self) -> pd.DataFrame:
        rows = []
        for period, people in self.people.items():
            for tree in self.trees:
                counts: dict[str, int] = dict.fromkeys(self.at(period).query("tree == @tree")["unit"], 0)
                chains = self.chains(tree, period)
                for unit, n in people[self.column(tree)].value_counts().items():
                    for above in chains[str(unit)][:-1]:
                        counts[above] += int(n)
                rows += [(unit, period, "", "", round(1.4 * n) + 2) for unit, n in counts.items()]
        return pd.DataFrame(rows, columns=["unit", "period", "group", "category", "headcount"])


def random_company(seed: int, folder: Path, waves: int = 4) -> Company:
    """Draw a company of 60 to 400 people with what makes disclosure control hard, and write its last waves."""
    rng = np.random.default_rng([20260701, seed])
    codebook = _codebook(rng)
    size = int(np.exp(rng.uniform(np.log(60), np.log(400))))
    rows, finest = _tree(rng, "admin", "U", size)
    place = _placed(rng, finest, size)
    trees = ["admin"]
    staff = pd.DataFrame({"unit": place})
    if rng.random() < 0.6:
        more, staff["party"] = _second_tree(rng, rows, place)
        rows += more
        trees.append("party")
    groups = tuple(f"G{i}" for i in range(int(rng.integers(0, 4))))
    for i, group in enumerate(groups):
        staff[group] = _group(rng, staff, [*trees, *groups[:i]])
    weight = "W" if rng.random() < 0.2 else None
    units, moves = _reorganised(rng, pd.DataFrame(rows, columns=UNIT_COLUMNS[:5]))
    company = Company(
        folder, seed, int(rng.integers(5, 13)), units, codebook, groups, tuple(trees), weight,
        full=frozenset(["2026Q3"] if (codebook["form"] != "").any() and rng.random() < 0.7 else []),
    )  # fmt: skip
    if weight:
        company.codebook.loc[len(codebook)] = [weight, "", weight, "weight", "", "", "", "", "", ""]
    for group in groups:
        company.codebook.loc[len(company.codebook)] = [group, "", group, "group", "", "", "", "", "", ""]
    named = sorted(set(units["unit"]))  # an order of its own: sets have another one in each process
    feeling = {unit: rng.uniform(1.5, 4.5) for unit in named}
    alike = [unit for unit in named if rng.random() < 0.06]
    for period in PERIODS:
        company.people[period] = _wave(rng, company, staff, period, moves, feeling, alike)
    company.people = {period: company.people[period] for period in PERIODS[-waves:]}
    return company.write()


def _codebook(rng: np.random.Generator) -> pd.DataFrame:
    forms = rng.random() < 0.35
    rows: list[tuple] = [("INDEX", "", "指数", "index", "1", "1", "", "", "", "")]
    for d in range(1, int(rng.integers(1, 4)) + 1):
        share = rng.choice(["", "", "0.5", "1"])
        rows.append((f"D{d}", "INDEX", f"维度{d}", "dimension", "1", "1", "", "", "", share))
        for q in range(1, int(rng.integers(1, 6)) + 1):
            form = ("both" if q == 1 else rng.choice(["both", "full"])) if forms else ""
            way = rng.choice(["1", "1", "1", "-1"])
            rows.append((f"Q{d}{q}", f"D{d}", f"题{d}{q}", "item", way, "1", "1", "5", form, ""))
    return pd.DataFrame(rows, columns=CODE_COLUMNS).astype(str)


def _tree(rng: np.random.Generator, tree: str, mark: str, size: int) -> tuple[list[list[str]], list[str]]:
    """Uneven depth, single children, empty units; people may sit at an inner node."""
    depth, rows, finest, count = int(rng.integers(2, 5)), [], [], 0
    waiting = [("", 0)]
    while waiting:
        parent, level = waiting.pop(0)
        ends = level == depth or (level and rng.random() < 0.25) or count > size // 4
        if parent and (ends or rng.random() < 0.15):
            finest.append(parent)
        if ends:
            continue
        for _ in range(int(rng.choice([1, 2, 2, 3, 4] if level else [2, 3, 4, 5]))):
            count += 1
            unit = f"{mark}{count:02d}"
            rows.append([unit, tree, parent, f"{tree}{level + 1}", f"单位{unit}"])
            waiting.append((unit, level + 1))
    return rows, finest or [rows[0][0]]


def _placed(rng: np.random.Generator, finest: list[str], size: int) -> np.ndarray:
    shares = rng.dirichlet(np.full(len(finest), 0.8))
    place = rng.choice(finest, size, p=shares).astype(object)
    if rng.random() < 0.4:
        place[rng.random(size) < 0.04] = ""
    return place


def _second_tree(
    rng: np.random.Generator, rows: list[list[str]], place: np.ndarray
) -> tuple[list[list[str]], np.ndarray]:
    """Party branches that follow the first tree, nearly follow it, or cross it."""
    more, finest = _tree(rng, "party", "P", len(place))
    kind = rng.choice(["nested", "near", "crossing"])
    if kind == "crossing":
        return more, _placed(rng, finest, len(place))
    home = {unit: rng.choice(finest) for unit in sorted(set(place))}
    party = np.array([home[unit] for unit in place], dtype=object)
    if kind == "near":
        stray = rng.random(len(place)) < rng.choice([0.01, 0.03, 0.08])
        party[stray] = rng.choice(finest, int(stray.sum()))
    return more, party


def _group(rng: np.random.Generator, staff: pd.DataFrame, earlier: list[str]) -> np.ndarray:
    """A group column: free, or nearly a function of a unit tree or of another group column."""
    categories = [f"{c}类" for c in "甲乙丙丁戊"[: int(rng.integers(2, 6))]]
    if rng.random() < 0.5:
        column = rng.choice(categories, len(staff), p=rng.dirichlet(np.ones(len(categories)))).astype(object)
    else:
        source = str(rng.choice(earlier))
        values = staff["unit" if source == "admin" else source]
        told = {value: rng.choice(categories) for value in sorted(set(values))}
        column = values.map(told).to_numpy(dtype=object).copy()
        stray = rng.random(len(staff)) < rng.choice([0.005, 0.02, 0.06])
        column[stray] = rng.choice(categories, int(stray.sum()))
    if rng.random() < 0.3:
        column[rng.random(len(staff)) < 0.03] = ""
    return column


def _reorganised(rng: np.random.Generator, plain: pd.DataFrame) -> tuple[pd.DataFrame, dict[str, dict[str, str]]]:
    """Merge, rename and move some units between waves; returns the unit table and wave → (old → new unit)."""
    rows = [[*row, "", "", ""] for row in plain.itertuples(index=False)]
    moves: dict[str, dict[str, str]] = {period: {} for period in PERIODS}
    touched: set[str] = set()
    for before, now in itertools.pairwise(PERIODS):
        for tree in sorted({row[1] for row in rows}):
            if rng.random() < 0.6:
                _reorganise(rng, rows, moves, touched, tree, before, now)
    rows.sort(key=lambda row: row[1])  # the first tree comes first, whatever units were added
    return pd.DataFrame(rows, columns=UNIT_COLUMNS), moves


def _reorganise(rng, rows, moves, touched, tree, before, now) -> None:
    here = [row for row in rows if row[1] == tree and not row[6]]
    parents = {row[2] for row in here}
    leaves = [row for row in here if row[0] not in parents and row[0] not in touched]
    by_parent: dict[tuple[str, str], list[list[str]]] = {}
    for row in leaves:
        by_parent.setdefault((row[2], row[3]), []).append(row)
    kind = rng.choice(["merge", "absorb", "rename", "move", "across"])
    pools = [pool for pool in by_parent.values() if len(pool) >= 2]
    if kind == "across" and len({row[3] for row in leaves}) < len(leaves):
        level = rng.choice([row[3] for row in leaves])
        pools, kind = [[row for row in leaves if row[3] == level]], "merge"
    if kind in ("merge", "absorb") and pools:
        pool = pools[int(rng.integers(len(pools)))]
        chosen = [pool[i] for i in rng.permutation(len(pool))[: int(rng.integers(2, 4))]]
        if len(chosen) < 2:
            return
        if kind == "merge":
            new = f"{chosen[0][0]}M{now[2:4]}{now[-1]}"
            rows.append([new, tree, chosen[0][2], chosen[0][3], f"单位{new}", now, "", ""])
        else:
            new, chosen = chosen[0][0], chosen[1:]
            touched.add(new)
        for row in chosen:
            row[6], row[7] = before, new
            moves[now][row[0]] = new
    elif kind == "rename" and leaves:
        row = leaves[int(rng.integers(len(leaves)))]
        new = f"{row[0]}N{now[2:4]}{now[-1]}"
        rows.append([new, tree, row[2], row[3], f"单位{new}", now, "", ""])
        row[6], row[7] = before, new
        moves[now][row[0]] = new
    elif kind == "move" and leaves:
        row = leaves[int(rng.integers(len(leaves)))]
        others = sorted({r[2] for r in here if r[3] == row[3]} - {row[2]})
        if others and row[0] not in touched:
            rows.append([row[0], tree, str(rng.choice(others)), row[3], row[4], now, "", ""])
            row[6] = before
            touched.add(row[0])


def _wave(rng, company: Company, staff: pd.DataFrame, period: str, moves, feeling, alike) -> pd.DataFrame:
    people = staff[rng.random(len(staff)) < rng.uniform(0.7, 0.97)].reset_index(drop=True)
    for tree in company.trees:
        column = company.column(tree)
        for wave in (p for p in PERIODS if p <= period):
            people[column] = people[column].replace(moves[wave])
    base = people["unit"].map(lambda unit: feeling.get(unit, 3.0)).to_numpy()
    missing = rng.choice([0.0, 0.02, 0.1])
    asked = company.codebook[company.codebook["role"] == "item"]
    if period not in company.full and (asked["form"] != "").any():
        asked = asked[asked["form"] == "both"]
    for code in asked["code"]:
        answer = np.clip(np.round(base + rng.normal(0, 1.0, len(people))), 1, 5).astype(int).astype(object)
        answer[people["unit"].isin(alike).to_numpy()] = 4
        answer[rng.random(len(people)) < missing * rng.choice([0.3, 1, 3])] = ""
        people[code] = answer
    if company.weight:
        people[company.weight] = rng.choice(["0.8", "1", "1.25", "2"], len(people))
    people.insert(0, "respondent", [f"{period[2:4]}{period[-1]}{i:04d}" for i in range(len(people))])
    return people.sample(frac=1, random_state=int(rng.integers(1 << 31))).reset_index(drop=True)


def company_of(
    folder: Path,
    units: list[tuple[str, ...]],
    people: dict[str, pd.DataFrame],
    *,
    items: tuple[tuple[str, ...], ...] = (("Q1",), ("Q2",)),
    groups: tuple[str, ...] = (),
    min_group: int = 10,
    share: str = "",
) -> Company:
    """Write a company made by hand: ``units`` as (unit, parent, level, …), ``items`` by dimension, answers as they are."""
    rows = [[unit, "admin", parent, level, f"单位{unit}", *rest] for unit, parent, level, *rest in units]
    rows = [row + [""] * (len(UNIT_COLUMNS) - len(row)) for row in rows]
    book: list[tuple] = [("INDEX", "", "指数", "index", "1", "1", "", "", "", "")]
    for d, codes in enumerate(items, start=1):
        book.append((f"D{d}", "INDEX", f"维度{d}", "dimension", "1", "1", "", "", "", share))
        book += [(code, f"D{d}", f"题{code}", "item", "1", "1", "1", "5", "", "") for code in codes]
    book += [(group, "", group, "group", "", "", "", "", "", "") for group in groups]
    return Company(
        folder, 0, min_group, pd.DataFrame(rows, columns=UNIT_COLUMNS), pd.DataFrame(book, columns=CODE_COLUMNS), groups,
        ("admin",), None, dict(people),
    ).write()  # fmt: skip


def sheets(
    rng: np.random.Generator, *blocks: tuple[int, dict[str, object]], items: tuple[str, ...] = ("Q1", "Q2")
) -> pd.DataFrame:
    """Answer sheets in blocks of (number, fixed columns); what is not fixed is drawn from 1 to 5."""
    parts = []
    for number, fixed in blocks:
        part = pd.DataFrame({code: rng.integers(1, 6, number) for code in items}, dtype=object)
        parts.append(part.assign(**fixed))
    return pd.concat(parts, ignore_index=True).fillna("")
