"""A synthetic enterprise with known truth."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from dataclasses import astuple, dataclass, field, replace
from datetime import datetime
from functools import cached_property
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
from scipy.special import ndtr, ndtri

from . import demo_names as names
from .errors import UsageError
from .measure.survey import Survey
from .spec.codebook import Codebook, Option, Scale, default_codebook
from .spec.periods import parse
from .spec.schemas import CODEBOOK, INDICATORS, SCALES
from .spec.specification import Specification
from .spec.tree import Node, Tree
from .spec.units import ALL, Unit, Units

# How people answer. A latent answer has variance 1: mood, the dimension's own factor, noise of the item. On an item of
# ordinary difficulty the five options take 4, 10, 27, 40 and 19 % of the answers.
MOOD, FACTOR = (0.46, 0.56), (0.28, 0.36)  # loadings, drawn once for each item
CUTS5 = (0.04, 0.14, 0.41, 0.81)
CUTS11 = (0.01, 0.02, 0.035, 0.06, 0.10, 0.20, 0.32, 0.50, 0.74, 0.88)
USUAL = (-3.0, -5.0, 0.0, 3.0, 8.0, 7.0, 0.0, -2.0)  # points by dimension, against an ordinary item
IMPORTANCE = (0.12, 0.22, 0.12, 0.22, 0.14, 0.06, 0.08, 0.04)  # of the dimensions for the outcome
POINTS = 24.0  # points of observed score a latent unit is worth, about

# What is planted.
CITY_SD, BRANCH_SD, MIXED_SD = 3.0, 3.0, 2.0  # points: cities, branches, a city's single dimensions
POSITION = {"管理人员": 4.0, "一线员工": -0.7}
WEAK = (("D7", 0.15), ("D2", 0.5), ("D1", 1.0))  # dimension, and where in the series it sets in
WEAK_POINTS, TREND_POINTS, TREND_WAVES = -8.0, 1.5, 8
LOW_POINTS, LOW_SHARE = (-15.0, -12.0, -20.0, -24.0, -17.0), 0.025
RATES, LOW_RATE, PLAIN_RATE = (0.55, 0.85), 0.40, 0.70
SELECTION = 0.30  # probit slope of answering on mood
CARELESS, STRAIGHT = 0.02, 0.01
STRAIGHT_OPTIONS, STRAIGHT_SHARES = np.array([3, 4, 5]), np.array([0.40, 0.35, 0.25])

BLANK, NOT_APPLICABLE = 0.02, 0.01  # of the answers to an item, at random
NODES = 33  # quadrature over mood
WAVE_STREAM, FILE_STREAM, INDICATOR_STREAM = 1, 2, 3

Planted = tuple[str, str, str, str, float]  # kind, unit, code, period_from, value


@dataclass(frozen=True)
class _Layout:
    """Which branch is where, how large it is, when what happens."""

    cities: int
    departments: int
    home: np.ndarray  # branches: city (0, 1, …) or department (after the cities)
    sizes: np.ndarray  # branches: staff
    periods: tuple[str, ...]

    @property
    def codes(self) -> list[str]:
        return [f"B{i + 1:03d}" for i in range(len(self.home))]

    @property
    def in_city(self) -> np.ndarray:
        return self.home < self.cities

    @property
    def middle(self) -> str:
        """The wave from which the merger and the new wording hold; none in a series of one."""
        return self.periods[len(self.periods) // 2] if len(self.periods) > 1 else ""

    @cached_property
    def merged(self) -> tuple[int, ...]:
        """Two of the smaller branches of the last city that can spare them."""
        for city in reversed(range(self.cities if self.middle else 0)):
            here = np.flatnonzero(self.home == city)
            if len(here) >= 3:
                return tuple(int(branch) for branch in sorted(here[np.argsort(self.sizes[here], kind="stable")[:2]]))
        return ()


@dataclass(frozen=True)
class _Questions:
    """How every item, in every version, is answered: arrays with a row an item."""

    nodes: tuple[Node, ...]
    raised: np.ndarray  # items × 8: how the effects on dimensions move it
    factors: np.ndarray  # items × 8: loadings on the dimensions' factors
    mood: np.ndarray
    noise: np.ndarray
    cuts: np.ndarray  # items × options less one; +inf where there are fewer

    @property
    def codes(self) -> list[str]:
        return [node.code for node in self.nodes]

    @property
    def steps(self) -> np.ndarray:
        return np.isfinite(self.cuts).sum(axis=1)

    @property
    def ends(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Lowest and highest option, and whether high is good."""
        low, high, direction = np.array([(node.minimum, node.maximum, node.direction) for node in self.nodes]).T
        return low, high, direction == 1

    def take(self, rows: Sequence[int] | np.ndarray) -> _Questions:
        chosen = [getattr(self, name)[rows] for name in ("raised", "factors", "mood", "noise", "cuts")]
        return _Questions(tuple(self.nodes[int(row)] for row in rows), *chosen)


@dataclass(frozen=True)
class _Staff:
    """Everybody on the books, in cells of one position within one branch; what people are does not change over time."""

    branch: np.ndarray  # cells: position of the branch in the layout
    size: np.ndarray  # cells
    rate: np.ndarray  # cells: probability of answering
    cell: np.ndarray  # persons
    persons: pl.DataFrame  # line and groups, one row a person

    @property
    def expected(self) -> np.ndarray:
        """Expected respondents by cell."""
        return self.size * self.rate


@dataclass(frozen=True)
class _Model:
    """Everything answers follow from, effects of units apart.

    ``selection`` is the probit slope of answering on mood, ``careless`` and ``straight`` are shares of respondents.
    """

    questions: _Questions
    staff: _Staff
    selection: float = 0.0
    careless: float = 0.0
    straight: float = 0.0

    @property
    def readiness(self) -> np.ndarray:
        """Probit intercept that makes the share of those who answer, over all moods, the cell's rate."""
        return ndtri(self.staff.rate) * np.sqrt(1 + self.selection**2)


@dataclass(frozen=True)
class _Wave:
    """One wave, ready to be drawn."""

    questions: _Questions
    shift: np.ndarray  # cells × items
    labels: pl.Series  # cells: unit code in this wave
    full: bool


@dataclass(frozen=True, eq=False)
class Company:
    """A synthetic enterprise: its declarations, what was planted, any number of draws of its answers.

    Attributes
    ----------
    seed
        Seed of everything; the answers of ``survey(period)`` are ``draw(period, seed)``.
    periods
        The waves, in order.
    spec
        Codebook, units, headcounts and indicators, as the workspace's files declare them.
    planted
        What was planted: kind, unit, code, period_from, value; empty with ``planted=False``. ``weak_dimension`` and
        ``low_branch``: points of observed score against what the unit would have otherwise; ``trend``: such points a
        wave, none yet in ``period_from``; ``group_effect``: points, about; ``low_response``: rate;
        ``selective_response``: probit slope of answering on mood; ``careless``, ``straightlining``: shares of
        respondents.
    """

    seed: int
    periods: tuple[str, ...]
    spec: Specification
    planted: pd.DataFrame = field(repr=False)
    _model: _Model = field(repr=False)
    _layout: _Layout = field(repr=False)
    _shifts: tuple[np.ndarray, ...] = field(repr=False)
    _waves: dict[str, _Wave] = field(default_factory=dict, repr=False, compare=False)

    @cached_property
    def truth(self) -> pd.DataFrame:
        """Expected observed scores: period, level, unit, form, code, score (0–100).

        What the mean over those who answer is expected to be, with rounding to options, careless answers and selective
        non-response in it, by Gauss–Hermite quadrature over mood. Above the branch it is the mean over branches
        weighted by expected respondents.
        """
        return pd.concat([_truth(self, period) for period in self.periods], ignore_index=True)

    def survey(self, period: str) -> Survey:
        """Return the wave as the workspace's file holds it, without any file."""
        return self.draw(period, self.seed)

    def draw(self, period: str, seed: int) -> Survey:
        """Draw one wave afresh: everybody's mood, who answers, what they tick.

        Parameters
        ----------
        period
            One of ``periods``.
        seed
            Non-negative whole number; the same seed gives the same wave, and different periods are independent.
        """
        wave = self._wave(period)
        answers = _answers(wave, self._model, np.random.default_rng([seed, parse(period).index, WAVE_STREAM]))
        forms = self.spec.codebook.at(period).forms("full" if wave.full else "pulse")
        axes = {"admin": "unit", "line": "line", **{code: code for code in names.GROUPS}}
        return Survey(answers, self.spec, period, forms, axes=axes, resolved=True)

    def write(self, path: str | Path) -> Path:
        """Write a workspace as a real office would have it: settings, declarations, 问卷星 exports, branch indicators.

        Parameters
        ----------
        path
            A folder that does not exist yet or is empty.

        Raises
        ------
        UsageError
            The folder holds something already; nothing is overwritten.
        """
        folder = Path(path)
        if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
            advice = "换一个文件夹或先清空 (not empty: name another folder or empty it)"
            raise UsageError(f"{folder} 已存在且不为空,不会覆盖;{advice}")
        (folder / "responses").mkdir(parents=True, exist_ok=True)
        _write_declarations(folder, self)
        for period in self.periods:
            _write_wave(folder, self, period)
        _write_csv(folder / "indicator_values.csv", _indicator_values(self))
        return folder

    def _wave(self, period: str) -> _Wave:
        """Collect what a wave's draws share; kept, for simulations draw thousands of them."""
        if period not in self.periods:
            raise UsageError(f"没有 {period} 这一期 (no such wave);可用/valid: {', '.join(self.periods)}")
        if period not in self._waves:
            questions, full = self._model.questions, _is_full(period)
            tree = self.spec.codebook.at(period).tree.in_form("full" if full else "anchors")
            rows = [questions.codes.index(leaf.code) for leaf in tree.leaves]
            labels = pl.Series("unit", _labels(self._layout, self._model.staff, self.spec.units, period))
            shift = self._shifts[self.periods.index(period)][:, rows]
            self._waves[period] = _Wave(questions.take(rows), shift, labels, full)
        return self._waves[period]


def make_company(
    employees: int = 20_000,
    branches: int = 200,
    quarters: int = 8,
    seed: int = 1,
    planted: bool = True,
    last: str = "2026Q3",
) -> Company:
    """Make a synthetic enterprise of any size: cities, departments, branches, quarterly surveys, branch indicators.

    Parameters
    ----------
    employees
        People on the books, at least twice the branches.
    branches
        Party branches at the beginning, at least 2; from 6 on one in six (25 at most) is a department's, the others are
        spread over up to 11 cities. In mid-series two branches of one city merge and one item is reworded.
    quarters
        Waves, the full form in every third quarter of a year, the anchors in the others.
    seed
        The same arguments give the same numbers and the same files.
    planted
        False plants nothing: every unit has the same truth in every wave, answering (70 %) has nothing to do with
        mood, nobody answers carelessly.
    last
        The last wave, a quarter.

    Examples
    --------
    >>> company = make_company(employees=300, branches=6, quarters=2)
    >>> company.periods
    ('2026Q2', '2026Q3')
    >>> company.truth.columns.tolist()
    ['period', 'level', 'unit', 'form', 'code', 'score']
    """
    if branches < 2 or employees < 2 * branches or quarters < 1 or seed < 0 or parse(last).cycle != "quarter":
        found = f"{employees=}, {branches=}, {quarters=}, {seed=}, {last=}"
        raise UsageError(f"{found}: branches >= 2, employees >= 2 × branches, quarters >= 1, seed >= 0, last = 2026Q3")
    rng = np.random.default_rng([seed])
    layout = _layout(employees, branches, tuple(parse(last).shift(step).text for step in range(1 - quarters, 1)), rng)
    codebook, units = _codebook(layout.middle), _units(layout)
    questions, staff = _questions(codebook, rng), _staff(layout, planted, rng)
    model = _Model(questions, staff, SELECTION, CARELESS, STRAIGHT) if planted else _Model(questions, staff)
    shifts, effects = _effects(model, layout, rng) if planted else _no_effects(model, layout)
    spec = Specification(
        codebook=codebook, units=units, indicators=_indicators(), headcounts=_headcounts(layout, staff, units),
        name=units.root_name_zh, office=names.OFFICE, recipient=names.RECIPIENT,
    )  # fmt: skip
    table = pd.DataFrame(effects, columns=["kind", "unit", "code", "period_from", "value"])
    return Company(seed, layout.periods, spec, table, model, layout, shifts)


def _is_full(period: str) -> bool:
    return parse(period).number == 3


# The enterprise: who is where.


def _layout(employees: int, branches: int, periods: tuple[str, ...], rng: np.random.Generator) -> _Layout:
    cities, departments = min(11, max(1, branches // 4)), min(25, branches // 6)
    extra = rng.multinomial(branches - departments - cities, rng.dirichlet(np.full(cities, 8.0)))
    home = np.repeat(np.arange(cities + departments), [*(1 + extra), *([1] * departments)])
    return _Layout(cities, departments, home, _sizes(employees, home < cities, rng), periods)


def _sizes(employees: int, in_city: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Staff of each branch: departments 8–30, cities unequal with a heavy tail, one city branch in 25 very small."""
    mean = employees / len(in_city)
    sizes = np.minimum(rng.integers(8, 31, len(in_city)), max(2, int(1.5 * mean)))
    tiny = np.flatnonzero(in_city)[12::25] if mean >= 40 else np.array([], dtype=int)
    sizes[tiny] = rng.integers(9, 14, len(tiny))
    others = np.setdiff1d(np.flatnonzero(in_city), tiny)
    left = employees - sizes.sum() + sizes[others].sum()
    least = min(20, int(0.35 * left / len(others)))
    weights = np.minimum(rng.lognormal(0.0, 0.7, len(others)), rng.uniform(2.8, 3.8, len(others)))
    share = (left - least * len(others)) * weights / weights.sum()
    sizes[others] = least + np.floor(share)
    largest_remainders = np.argsort(np.floor(share) - share, kind="stable")[: employees - sizes.sum()]
    sizes[others[largest_remainders]] += 1
    return sizes


def _units(layout: _Layout) -> Units:
    """Return both trees; where branches merge, the old ones end in the wave before."""
    zh, en = names.COMPANY
    rows = [Unit(ALL, "", "company", "admin", name_zh=zh, name_en=en)]
    for i, (zh, en) in enumerate(names.PLACES[: layout.cities]):
        name, also = f"{zh}供电公司", f"{zh}公司|{zh}"
        rows.append(Unit(_home(layout, i), ALL, "city", "admin", "供电企业", name, f"{en} Power Supply", also))
    for i, (zh, en) in enumerate(names.DEPARTMENTS[: layout.departments], layout.cities):
        rows.append(Unit(_home(layout, i), ALL, "department", "admin", "职能部门", zh, f"{en} Department"))
    joined = f"B{len(layout.home) + 1:03d}"
    for branch in range(len(layout.home)):
        unit = _branch(layout, branch)
        if branch in layout.merged:
            unit = replace(unit, valid_to=parse(layout.middle).previous.text, became=joined)
        rows.append(unit)
    if layout.merged:
        city = int(layout.home[layout.merged[0]])
        zh, en = names.PLACES[city]
        new = Unit(joined, _home(layout, city), "branch", "admin", "党支部", f"{zh}联合党支部", f"{en} Joint Branch")
        rows.append(replace(new, aliases=f"{zh}联合支部", valid_from=layout.middle))
    rows += [Unit(code, ALL, "line", "line", "", zh, en, aliases) for code, zh, en, aliases in names.LINES]
    return Units(tuple(rows), *(name + mark for name, mark in zip(names.COMPANY, names.SYNTHETIC, strict=True)))


def _home(layout: _Layout, place: int) -> str:
    return f"C{place + 1:02d}" if place < layout.cities else f"M{place - layout.cities + 1:02d}"


def _branch(layout: _Layout, branch: int) -> Unit:
    place = int(layout.home[branch])
    base = Unit(layout.codes[branch], _home(layout, place), "branch", "admin", "党支部")
    if place >= layout.cities:
        zh, en = names.DEPARTMENTS[place - layout.cities]
        return replace(base, name_zh=f"{zh}党支部", name_en=f"{en} Branch", aliases=f"{zh}支部")
    turn, kind = divmod(_number(layout)[branch], len(names.FUNCTIONS))
    (zh, en), (what, what_en, _) = names.PLACES[place], names.FUNCTIONS[kind]
    name = zh + what + (names.NUMERALS[turn] if turn < len(names.NUMERALS) else f"第{turn + 1}")
    name_en = f"{en} {what_en} Branch" + (f" {turn + 1}" if turn else "")
    return replace(base, name_zh=f"{name}党支部", name_en=name_en, aliases=f"{name}支部|{name}")


def _number(layout: _Layout) -> np.ndarray:
    """Running number of each branch within its city or department."""
    return np.arange(len(layout.home)) - np.searchsorted(layout.home, layout.home)


def _staff(layout: _Layout, planted: bool, rng: np.random.Generator) -> _Staff:
    """Put people in cells, two a branch (management, front line), with a line, an age, a job, a contract."""
    managers = rng.binomial(layout.sizes, np.where(layout.in_city, names.GROUPS["position"][0][2], 0.4))
    size = np.column_stack([managers, layout.sizes - managers]).ravel()
    cell = np.repeat(np.arange(len(size)), size)
    rates = rng.uniform(*RATES, len(layout.sizes)) if planted else np.full(len(layout.sizes), PLAIN_RATE)
    if planted:
        rates[_silent(layout)] = LOW_RATE
    usual = np.array([line for *_, line in names.FUNCTIONS])[_number(layout) % len(names.FUNCTIONS)]
    usual = np.where(layout.in_city, usual, names.GENERAL)[cell // 2]
    line = np.where(rng.random(len(cell)) < 0.85, usual, rng.integers(0, len(names.LINES), len(cell)))
    columns = {"line": pl.Series([code for code, *_ in names.LINES]).gather(line)}
    for code, categories in names.GROUPS.items():
        drawn = rng.choice(len(categories), len(cell), p=[share for *_, share in categories])
        columns[code] = pl.Series([zh for zh, *_ in categories]).gather(cell % 2 if code == "position" else drawn)
    branch = np.arange(len(size)) // 2
    return _Staff(branch, size, rates[branch], cell, pl.DataFrame(columns))


def _silent(layout: _Layout) -> int:
    """Where most are silent: the city branch of the middle size, so that ten answer all the same."""
    order = [int(b) for b in np.argsort(layout.sizes, kind="stable") if layout.in_city[b] and b not in layout.merged]
    return order[len(order) // 2]


def _labels(layout: _Layout, staff: _Staff, units: Units, period: str) -> list[str]:
    """Unit code of each cell in a wave: the branch, or what it became."""
    now = units.at(period)
    codes = [code if code in now else units.successors[code] for code in layout.codes]
    return [codes[branch] for branch in staff.branch]


def _headcounts(layout: _Layout, staff: _Staff, units: Units) -> pd.DataFrame:
    groups = {code: staff.persons[code].value_counts(name="n").rows() for code in ("line", *names.GROUPS)}
    counts = {(column, category): float(n) for column, found in groups.items() for category, n in found}
    rows: list[tuple[str, str, str, str, float]] = []
    for period in layout.periods:
        now, totals = units.at(period), {code: counts.get(("line", code), 0.0) for code, *_ in names.LINES}
        for label, size in zip(_labels(layout, staff, units, period), staff.size, strict=True):
            for code in (label, *now.ancestors(label)):
                totals[code] = totals.get(code, 0.0) + float(size)
        rows += [(unit.unit, period, "", "", totals[unit.unit]) for unit in now.rows]
        for column, categories in names.GROUPS.items():
            rows += [(ALL, period, column, zh, counts.get((column, zh), 0.0)) for zh, *_ in categories]
    columns = ["unit", "period", "group", "category", "headcount"]
    return pd.DataFrame(rows, columns=columns).astype(dict.fromkeys(columns[:4], "str"))


# The instruments.


def _codebook(middle: str) -> Codebook:
    """The package's instrument with groups as choices; from the middle on one item of the full form is reworded."""
    base = default_codebook()
    nodes = list(base.tree.nodes)
    if middle:
        place = next(i for i, node in enumerate(nodes) if node.code == "A1")
        nodes[place : place + 1] = [
            replace(nodes[place], valid_to=parse(middle).previous.text),
            replace(nodes[place], **names.REWORDED, valid_from=middle, replaces="A1"),
        ]
    others = tuple(replace(node, scale=node.code) if node.code in names.GROUPS else node for node in base.others)
    choices = {
        code: Scale(code, tuple(Option(str(i), float(i), zh, en) for i, (zh, en, _) in enumerate(categories, 1)))
        for code, categories in names.GROUPS.items()
    }
    return replace(base, tree=Tree(tuple(nodes)), others=others, scales={**base.scales, **choices})


def _indicators() -> Tree:
    root, zh, en = names.BENCHMARK
    nodes = [Node(root, "", zh, en, role="index")]
    for part, zh, en in names.BENCHMARK_PARTS:
        nodes.append(Node(part, root, zh, en, role="dimension"))
        for code, parent, zh, en, direction, low, high, *_ in names.INDICATORS:
            if parent == part:
                leaf = Node(code, part, zh, en, direction=direction, minimum=float(low), maximum=float(high))
                nodes.append(replace(leaf, about="units", rollup="mean"))
    return Tree(tuple(nodes), about="units")


def _questions(codebook: Codebook, rng: np.random.Generator) -> _Questions:
    """Draw each item's loadings and difficulty; outcome items take a share of every dimension."""
    leaves = codebook.tree.leaves
    dimensions = np.array([node.code for node in codebook.dimensions])
    outcome = np.array([leaf.parent not in dimensions for leaf in leaves])
    own = np.array([dimensions == leaf.parent for leaf in leaves], dtype=float)
    raised = np.where(outcome[:, None], np.array(IMPORTANCE), own)
    mood, loading = rng.uniform(*MOOD, len(leaves)), rng.uniform(*FACTOR, len(leaves)) + 0.2 * outcome
    factors = loading[:, None] * raised / np.linalg.norm(raised, axis=1, keepdims=True)
    ease = raised @ np.array(USUAL) / POINTS + rng.normal(0, 0.12, len(leaves))
    cuts = np.full((len(leaves), len(CUTS11)), np.inf)
    for row, leaf in enumerate(leaves):
        shares = CUTS5 if leaf.maximum - leaf.minimum == len(CUTS5) else CUTS11
        cuts[row, : len(shares)] = ndtri(shares) - ease[row]
    return _Questions(tuple(leaves), raised, factors, mood, np.sqrt(1 - mood**2 - loading**2), cuts)


# Draws of the answer model.


def _answers(wave: _Wave, model: _Model, rng: np.random.Generator) -> pl.DataFrame:
    """Draw everybody's mood, who answers, what they tick; one row a respondent, in the order of the staff list."""
    questions, staff = wave.questions, model.staff
    mood = rng.standard_normal(len(staff.cell))
    answers = rng.random(len(mood)) < ndtr(model.readiness[staff.cell] + model.selection * mood)
    chosen = np.flatnonzero(answers)
    cell, n = staff.cell[chosen], len(chosen)
    raw = _raw(_steps(questions, wave.shift[cell], mood[chosen], rng), questions)
    manner = rng.random(n)
    careless = np.flatnonzero(manner < model.careless)
    straight = np.flatnonzero((manner >= model.careless) & (manner < model.careless + model.straight))
    option = rng.choice(STRAIGHT_OPTIONS, len(straight), p=STRAIGHT_SHARES)
    raw[careless] = _raw(rng.integers(0, questions.steps + 1, (len(careless), raw.shape[1])), questions)
    raw[straight] = _same_option(option, questions)
    left_out = rng.random(raw.shape, dtype=np.float32) < BLANK + NOT_APPLICABLE
    pace = np.exp(rng.normal(0, 0.35, n)) * np.where(manner < model.careless, 1.5, 7.0)  # seconds an item
    columns = {"unit": wave.labels.gather(cell)}
    columns |= {name: column.gather(chosen) for name, column in staff.persons.to_dict().items()}
    columns["seconds"] = pl.Series(np.round(pace * raw.shape[1]))
    columns |= {code: _with_nulls(raw[:, j], left_out[:, j]) for j, code in enumerate(questions.codes)}
    if wave.full:
        check = np.where(rng.random(n) < 0.98, 4, 3)
        check[careless], check[straight] = rng.integers(1, 6, len(careless)), option
        columns["Q1"] = pl.Series(check.astype(np.int16))
    return pl.DataFrame(columns)


def _steps(questions: _Questions, shift: np.ndarray, mood: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Latent answers cut into steps from the bad end: 0 to 4, or 0 to 10."""
    latent = rng.standard_normal(shift.shape)
    latent *= questions.noise
    latent += rng.standard_normal((len(mood), questions.factors.shape[1])) @ questions.factors.T
    latent += mood[:, None] * questions.mood
    latent += shift
    steps = np.zeros(shift.shape, dtype=np.int16)
    for cuts in questions.cuts.T:
        some = slice(None) if np.isfinite(cuts).all() else np.isfinite(cuts)
        steps[:, some] += latent[:, some] > cuts[some]
    return steps


def _raw(steps: np.ndarray, questions: _Questions) -> np.ndarray:
    """Steps from the bad end into the option ticked: reversed items are ticked the other way round."""
    low, high, forward = questions.ends
    return np.where(forward, low + steps, high - steps).astype(np.int16)


def _same_option(option: np.ndarray, questions: _Questions) -> np.ndarray:
    """What somebody ticks who ticks the same option everywhere; on the 0–10 question twice its number."""
    return np.where(questions.steps == len(CUTS5), option[:, None], 2 * option[:, None])


def _with_nulls(values: np.ndarray, missing: np.ndarray) -> pl.Series:
    return pl.Series(values).set(pl.Series(missing), None)


# Truth: expectations of the answer model.


def _truth(company: Company, period: str) -> pd.DataFrame:
    """Expected scores of every unit of the first tree in one wave."""
    wave, units = company._wave(period), company.spec.units.at(period)
    codebook, labels = company.spec.codebook.at(period), wave.labels.to_list()
    items = _expected(wave.questions, wave.shift, company._model)
    above = {label: {label, *units.ancestors(label)} for label in set(labels)}
    rows = [units.root, *(unit for unit in units.rows if unit.tree == units.trees[0] and unit.unit != ALL)]
    weights = (
        np.array([[unit.unit in above[label] for label in labels] for unit in rows]) * company._model.staff.expected
    )
    scores = weights @ items / weights.sum(axis=1, keepdims=True)
    blocks = []
    for form in codebook.forms("full" if wave.full else "pulse"):
        shares = _item_weights(codebook.tree.in_form(form), wave.questions.codes)
        block = pd.DataFrame(scores @ np.array(list(shares.values())).T, columns=list(shares))
        keys = {"period": period, "level": [u.level for u in rows], "unit": [u.unit for u in rows], "form": form}
        blocks.append(block.assign(**keys).melt(list(keys), var_name="code", value_name="score"))
    return pd.concat(blocks, ignore_index=True).astype({"code": "str"})


def _expected(questions: _Questions, shift: np.ndarray, model: _Model, cells: Any = slice(None)) -> np.ndarray:
    """Expected observed score of each item among those of each cell who answer: cells × items."""
    points, weights = np.polynomial.hermite_e.hermegauss(NODES)
    answering = weights * ndtr(model.readiness[cells, None] + model.selection * points)
    answering /= answering.sum(axis=1, keepdims=True)
    spread = np.sqrt((questions.factors**2).sum(axis=1) + questions.noise**2)
    steps = np.zeros(shift.shape)
    for cuts in questions.cuts.T:
        some = np.isfinite(cuts)
        latent = shift[:, None, some] + points[:, None] * questions.mood[some] - cuts[some]
        steps[:, some] += np.einsum("cq,cqi->ci", answering, ndtr(latent / spread[some]))
    low, high, forward = questions.ends
    ticked = STRAIGHT_SHARES @ _same_option(STRAIGHT_OPTIONS, questions)
    straight = np.where(forward, ticked - low, high - ticked) / (high - low)
    reading = 1 - model.careless - model.straight
    return 100 * (reading * steps / questions.steps + model.careless * 0.5 + model.straight * straight)


def _item_weights(tree: Tree, codes: list[str]) -> dict[str, np.ndarray]:
    """Weight of every item in the expected score of each code.

    Answers are missing at random, so an item's expected weight in a node is its mean share over the patterns of answers
    that give the node a score; likewise for a dimension within the index.
    """
    made = {leaf.code: np.eye(len(codes))[codes.index(leaf.code)] for leaf in tree.leaves}
    scored = dict.fromkeys(made, 1 - BLANK - NOT_APPLICABLE)
    for node in tree.inner:
        children = [child.code for child in tree.children(node.code)]
        weights, scored[node.code] = _pattern_weights(np.array([scored[code] for code in children]), tree.least(node))
        made[node.code] = weights @ np.array([made[code] for code in children])
    return {code: made[code] for code in tree.codes}


def _pattern_weights(chance: np.ndarray, least: int) -> tuple[np.ndarray, float]:
    """Expected weight of each of k equal children, present with their chances, given that at least so many are."""
    weights, total = np.zeros(len(chance)), 0.0
    for size in range(least, len(chance) + 1):
        for present in combinations(range(len(chance)), size):
            here = np.isin(np.arange(len(chance)), present)
            probability = float(np.prod(np.where(here, chance, 1 - chance)))
            weights += probability * here / size
            total += probability
    return weights / total, total


# What is planted.


def _no_effects(model: _Model, layout: _Layout) -> tuple[tuple[np.ndarray, ...], list[Planted]]:
    none = np.zeros((len(model.staff.branch), len(model.questions.nodes)))
    return (none,) * len(layout.periods), []


def _effects(model: _Model, layout: _Layout, rng: np.random.Generator) -> tuple[tuple[np.ndarray, ...], list[Planted]]:
    """Latent shifts, cells × items, of every wave, with the list of what was planted."""
    periods, base, effects = layout.periods, _unit_effects(model, layout, rng), _everywhere(model, layout)
    everything, place = np.arange(len(model.questions.nodes)), layout.home[model.staff.branch]
    for branch, points in _low_branches(layout):
        base = _moved(base, model.staff.branch == branch, everything, points, model)
        effects.append(("low_branch", layout.codes[branch], "INDEX", periods[0], points))
    shifts, count = [base] * len(periods), len(periods)
    weak = WEAK[: max(1, layout.cities - 2)]  # two cities are kept for the trends
    start = max(0, count - TREND_WAVES)
    for city, points in zip(range(len(weak), layout.cities), (-TREND_POINTS, TREND_POINTS), strict=False):
        for t in range(start + 1, count):
            shifts[t] = _moved(shifts[t], place == city, everything, points * (t - start), model)
        effects.append(("trend", _home(layout, city), "INDEX", periods[start], points))
    for city, (code, when) in enumerate(weak):
        items = np.flatnonzero([node.parent == code for node in model.questions.nodes])
        begin = min(count - 1, max(1, int(when * count)))
        for t in range(begin, count):
            shifts[t] = _moved(shifts[t], place == city, items, WEAK_POINTS, model)
        effects.append(("weak_dimension", _home(layout, city), code, periods[begin], WEAK_POINTS))
    return tuple(shifts), effects


def _everywhere(model: _Model, layout: _Layout) -> list[Planted]:
    first = layout.periods[0]
    groups: list[Planted] = [("group_effect", zh, "position", first, points) for zh, points in POSITION.items()]
    return [
        *groups,
        ("low_response", layout.codes[_silent(layout)], "", first, LOW_RATE),
        ("selective_response", ALL, "", first, model.selection),
        ("careless", ALL, "", first, model.careless),
        ("straightlining", ALL, "", first, model.straight),
    ]


def _unit_effects(model: _Model, layout: _Layout, rng: np.random.Generator) -> np.ndarray:
    """Cities and departments, their single dimensions, branches, positions: latent shifts that leave the whole as it is."""
    branch, homes = model.staff.branch, layout.cities + layout.departments
    places = _centred(rng.standard_normal(homes), layout.cities) * CITY_SD
    branches = _centred(rng.standard_normal(len(layout.home)), len(layout.home)) * BRANCH_SD
    mixed = rng.standard_normal((homes, model.questions.raised.shape[1])) * MIXED_SD
    position = np.array([POSITION[zh] for zh, *_ in names.GROUPS["position"]])[np.arange(len(branch)) % 2]
    place = layout.home[branch]
    common = places[place] + branches[branch] + position
    return (common[:, None] + mixed[place] @ model.questions.raised.T) / POINTS


def _centred(draws: np.ndarray, first: int) -> np.ndarray:
    """Standardise by the first so many draws: of a dozen cities the spread asked for should be the spread there is."""
    spread = draws[:first].std()
    return (draws - draws[:first].mean()) / spread if spread > 0 else np.zeros(len(draws))


def _low_branches(layout: _Layout) -> list[tuple[int, float]]:
    """A few small city branches, large enough that ten answer, and how far each lies below its place."""
    taken = {*layout.merged, _silent(layout)}
    fit = [b for b in np.argsort(layout.sizes, kind="stable").tolist() if layout.in_city[b] and b not in taken]
    fit = [b for b in fit if layout.sizes[b] >= 24] or fit
    count = max(1, round(LOW_SHARE * len(layout.home)))
    step = max(1, len(fit) // (3 * count))
    return [(b, LOW_POINTS[i % len(LOW_POINTS)]) for i, b in enumerate(fit[::step][:count])]


def _moved(shift: np.ndarray, cells: np.ndarray, items: np.ndarray, points: float, model: _Model) -> np.ndarray:
    """Return the shifts with the observed score of each item, over those cells together, moved by exactly so many points."""
    cells = np.flatnonzero(cells & (model.staff.size > 0))
    chosen, here = model.questions.take(items), shift[np.ix_(cells, items)]
    weights = model.staff.expected[cells] / model.staff.expected[cells].sum()
    delta = _solved(lambda delta: weights @ _expected(chosen, here + delta, model, cells), len(items), points)
    moved = shift.copy()
    moved[np.ix_(cells, items)] += delta
    if len(items) < len(model.questions.nodes):  # what weighs on a dimension weighs on the overall feeling too
        outcome = np.flatnonzero((model.questions.raised > 0).all(axis=1))
        moved[np.ix_(cells, outcome)] += delta.mean() * (model.questions.raised[outcome] @ chosen.raised[0])
    return moved


def _solved(score: Callable[[np.ndarray], np.ndarray], items: int, points: float) -> np.ndarray:
    """Newton steps, every item for itself, until the score has moved by the points."""
    delta, small = np.zeros(items), 1e-4
    found = score(delta)
    target = found + points
    for _ in range(30):
        if np.abs(found - target).max() < 1e-9:
            return delta
        delta = delta + (target - found) * small / (score(delta + small) - found)
        found = score(delta)
    raise AssertionError("what is planted lies outside the range of scores")


# Files, as an office has them.


def _write_declarations(folder: Path, company: Company) -> None:
    spec, layout = company.spec, company._layout
    (folder / "README.md").write_text(
        names.README.format(
            name=names.COMPANY[0], name_en=names.COMPANY[1], employees=int(layout.sizes.sum()),
            branches=len(layout.home), quarters=len(company.periods), last=company.periods[-1], seed=company.seed,
        ), encoding="utf-8",
    )  # fmt: skip
    (folder / "workspace.toml").write_text(_settings(company), encoding="utf-8")
    _write_csv(folder / "codebook.csv", _table([*spec.codebook.tree, *spec.codebook.others], CODEBOOK.names))
    options = [
        (
            name,
            option.code,
            _plain(option.value),
            option.label_zh,
            option.label_en,
            "1" * (option.value != option.value),
        )
        for name, scale in spec.codebook.scales.items()
        for option in scale.options
    ]
    _write_csv(folder / "scales.csv", pd.DataFrame(options, columns=list(SCALES.names)))
    columns = list(Unit.__dataclass_fields__)
    units = pd.DataFrame([[_plain(value) for value in astuple(unit)] for unit in spec.units.rows], columns=columns)
    _write_csv(
        folder / "units.csv", units[["unit", "tree", *(name for name in columns if name not in ("unit", "tree"))]]
    )
    _write_csv(folder / "headcounts.csv", spec.headcounts.astype({"headcount": int}))
    assert spec.indicators is not None, "the demo declares branch indicators"
    _write_csv(folder / "indicators.csv", _table(spec.indicators.nodes, INDICATORS.names))


def _settings(company: Company) -> str:
    full = "\n".join(f'{period} = "full"' for period in company.periods if _is_full(period))
    spec, columns = company.spec, f'unit = "{names.UNIT_QUESTION}"\nline = "{names.LINE_QUESTION}"'
    return f"""# 合成数据:本工作区由程序生成,不对应任何真实单位 (synthetic data, no real enterprise)
name = "{spec.name}"
name_en = "{spec.units.root_name_en}"
office = "{spec.office}"
recipient = "{spec.recipient}"
language = "{spec.language}"
min_group = {spec.min_group}

[waves]  # 其余各期只问锚题 (the other waves ask the anchors only)
{full}

[codebook]
recall = "{spec.codebook.recall}"

[tables.responses.columns]  # 其余各列按题干对应 (the other columns are matched by their wording)
{columns}
"""


def _table(nodes: Sequence[Node], columns: Sequence[str]) -> pd.DataFrame:
    rows = [{name: _plain(getattr(node, name)) for name in columns if hasattr(node, name)} for node in nodes]
    return pd.DataFrame(rows, columns=list(columns)).fillna("")


def _plain(value: object) -> str:
    """Write a cell as a person would: no decimals on whole numbers, nothing for a number that is not there."""
    if isinstance(value, float):
        return "" if value != value else f"{value:g}"
    return str(value)


def _write_csv(path: Path, table: pd.DataFrame) -> None:
    table.to_csv(path, index=False, encoding="utf-8-sig", lineterminator="\n")


def _indicator_values(company: Company) -> pd.DataFrame:
    """Twelve months of branch indicators up to the last wave; a few values are blank, a few were never handed in."""
    rng = np.random.default_rng([company.seed, INDICATOR_STREAM])
    codes = [row[0] for row in names.INDICATORS]
    low, high, usual, spread, decimals = np.array([row[5:10] for row in names.INDICATORS], dtype=float).T
    last = parse(f"{parse(company.periods[-1]).end:%Y-%m}")
    branches = [unit for unit in company.spec.units.rows if unit.level == "branch"]
    months = [last.shift(step) for step in range(-11, 1)]
    shape = (len(branches), len(months), len(codes))
    lasting = rng.standard_normal((len(branches), 1, len(codes))) * (0.0 if company.planted.empty else 0.8)
    values = np.clip(usual + spread * (lasting + rng.standard_normal(shape)), low, high)
    fate = rng.random(shape)  # under 1 % left blank, under 2 % not handed in at all
    there = np.array([[unit.valid_on(month.end) for month in months] for unit in branches])
    b, m, i = np.nonzero(there[:, :, None] & ((fate < 0.01) | (fate >= 0.02)))
    written = [f"{value:.{int(places)}f}" for value, places in zip(values[b, m, i], decimals[i], strict=True)]
    columns = {
        "unit": np.array([unit.unit for unit in branches])[b],
        "period": np.array([month.text for month in months])[m],
        "code": np.array(codes)[i],
        "value": np.where(fate[b, m, i] < 0.01, "", written),
        "stage": "released",
    }
    return pd.DataFrame(columns)


@dataclass(frozen=True)
class _Style:
    """How one wave was exported: kind of file, option text or number, questions in a grid, with a total."""

    suffix: str = ".csv"
    encoding: str = "utf-8-sig"
    text: bool = True
    grid: bool = False
    total: bool = False


def _style(company: Company, period: str) -> _Style:
    """The latest wave is Excel by option text, the one before GB 18030 by option number, and so on back."""
    back = len(company.periods) - 1 - company.periods.index(period)
    recent = (
        _Style(suffix=".xlsx"),
        _Style(encoding="gb18030", text=False),
        _Style(grid=True),
        _Style(text=False, total=True),
    )
    return recent[back] if back < len(recent) else _Style(text=back % 2 == 0)


def _write_wave(folder: Path, company: Company, period: str) -> None:
    style = _style(company, period)
    table = _export(company, period, style)
    path = folder / "responses" / f"{period}{style.suffix}"
    if style.suffix == ".xlsx":
        _write_excel(path, table)
    else:
        buffer = io.BytesIO()
        table.write_csv(buffer, line_terminator="\r\n")
        path.write_bytes(buffer.getvalue().decode("utf-8").encode(style.encoding))


def _write_excel(path: Path, table: pl.DataFrame) -> None:
    import xlsxwriter

    with xlsxwriter.Workbook(str(path), {"constant_memory": True}) as book:
        book.set_properties({"created": datetime(2000, 1, 1)})  # else the file would tell the hour it was made
        sheet = book.add_worksheet("Sheet1")
        for row, cells in enumerate([tuple(table.columns), *table.rows()]):
            for column, cell in enumerate(cells):
                if cell.isdecimal():
                    sheet.write_number(row, column, int(cell))
                elif cell:
                    sheet.write_string(row, column, cell)


def _export(company: Company, period: str, style: _Style) -> pl.DataFrame:
    """Turn a wave's answers into the text cells of a 问卷星 export, in the order they came in."""
    rng = np.random.default_rng([company.seed, parse(period).index, FILE_STREAM])
    frame = company.survey(period).frame
    frame = frame[pl.Series(rng.permutation(len(frame)))]
    units, codebook = company.spec.units.at(period), company.spec.codebook.at(period)
    columns = _meta(frame, units, period, rng)
    for code, question in (("unit", names.UNIT_QUESTION), ("line", names.LINE_QUESTION)):
        columns[question] = _spoken(frame[code], units, rng)
    number, before = 2, ""
    for node in (*codebook.groups, *codebook.tree.leaves, *(n for n in codebook.others if n.role in ("check", "text"))):
        if node.code in frame.columns:
            cells = _ticked(frame[node.code], codebook.scales.get(node.scale), style.text, rng)
        elif node.role == "text" and _is_full(period):
            cells = _comments(len(frame), names.COMMENTS[node.code], rng)
        else:
            continue
        grid = names.GRID if style.grid and node.role == "item" and node.scale else ""
        number += not (grid and grid == before)  # the rows of a grid share its number
        columns[f"{number}、{grid}{node.text_zh}"] = cells
        before = grid
    if style.total:
        asked = [leaf.code for leaf in codebook.tree.leaves if leaf.code in frame.columns]
        columns["总分"] = frame.select(pl.sum_horizontal(asked).cast(pl.String)).to_series()
    return pl.DataFrame(columns)


def _meta(frame: pl.DataFrame, units: Units, period: str, rng: np.random.Generator) -> dict[str, pl.Series]:
    """The six leading columns of an export; the network address is masked, what it names is an invented place."""
    n = len(frame)
    opened = np.datetime64(parse(period).start, "s") + np.timedelta64(40, "D")
    after = np.sort(rng.integers(0, 14, n) * 86_400 + rng.integers(7 * 3600, 22 * 3600, n))
    split = rng.random(n) < 0.5
    source = rng.integers(0, len(names.SOURCES), n)
    cities = {unit.unit: place for unit, (place, _) in zip(units.at_level("city"), names.PLACES, strict=False)}
    place = {unit.unit: cities.get(unit.parent, names.COMPANY[0][:2]) for unit in units.at_level("branch")}
    return {
        "序号": pl.Series(np.arange(1, n + 1)).cast(pl.String),
        "提交答卷时间": pl.Series((opened + after).astype("datetime64[us]")).dt.to_string("%Y/%-m/%-d %H:%M:%S"),
        "所用时间": pl.Series(
            [_duration(int(s), m) for s, m in zip(frame["seconds"], split, strict=True)], dtype=pl.String
        ),
        "来源": pl.Series([kind for kind, _ in names.SOURCES]).gather(source),
        "来源详情": pl.Series([detail for _, detail in names.SOURCES]).gather(source),
        "来自IP": pl.Series([f"x.x.x.x({place[unit]})" for unit in frame["unit"]], dtype=pl.String),
    }


def _duration(seconds: int, split: bool) -> str:
    return f"{seconds // 60}分{seconds % 60}秒" if split and seconds >= 60 else f"{seconds}秒"


def _spoken(codes: pl.Series, units: Units, rng: np.random.Generator) -> pl.Series:
    """Units as people write them: mostly by name, some by a short name."""
    short = rng.random(len(codes)) < 0.2
    said = {unit.unit: (unit.name_zh, unit.aliases.split("|")[0]) for unit in units.rows}
    return pl.Series([said[code][int(alias)] for code, alias in zip(codes, short, strict=True)], dtype=pl.String)


def _ticked(values: pl.Series, scale: Scale | None, text: bool, rng: np.random.Generator) -> pl.Series:
    """Answers as option text or option number, with the marks of what was left out."""
    options = scale.options if scale is not None else ()
    if values.dtype == pl.String:
        return values if text else values.replace({option.label_zh: option.code for option in options})
    said = {
        option.value: option.label_zh if text else option.code for option in options if option.value == option.value
    }
    lookup = [said.get(value, str(value)) for value in range(len(CUTS11) + 1)]
    way_out = [option.label_zh if text else option.code for option in options if option.value != option.value]
    blanks = ["(空)", "", "(空)"] if text else ["-2", "-3", ""]
    out = NOT_APPLICABLE / (BLANK + NOT_APPLICABLE) * len(way_out)
    mark = rng.choice(len(way_out) + 3, len(values), p=[out] * len(way_out) + [(1 - out) / 3] * 3)
    ticked = values.fill_null(-1).to_numpy()
    return pl.Series([*lookup, *way_out, *blanks]).gather(np.where(ticked < 0, len(lookup) + mark, ticked))


def _comments(n: int, phrases: Sequence[str], rng: np.random.Generator) -> pl.Series:
    wrote = rng.random(n) < 0.25
    return pl.Series(["(空)", *phrases]).gather(np.where(wrote, 1 + rng.integers(0, len(phrases), n), 0))
