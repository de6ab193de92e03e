"""The model that generates survey answers."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl
from scipy.special import ndtr, ndtri

from .questions import CUTS5, Questions
from .staff import Staff

SELECTION = 0.30  # probit slope of answering on mood
CARELESS, STRAIGHT = 0.02, 0.01  # of those who answer
STRAIGHT_OPTIONS, STRAIGHT_SHARES = np.array([3, 4, 5]), np.array([0.40, 0.35, 0.25])
BLANK, NOT_APPLICABLE = 0.02, 0.01  # of the answers to an item, at random
SECONDS, CARELESS_SECONDS = 7.0, 1.5  # an item


@dataclass(frozen=True)
class AnswerModel:
    """Parameters of the answer model, apart from unit effects.

    ``selection`` is the probit slope of answering on mood, ``careless`` and ``straight`` are shares of respondents.
    """

    questions: Questions
    staff: Staff
    selection: float = 0.0
    careless: float = 0.0
    straight: float = 0.0

    @property
    def readiness(self) -> np.ndarray:
        """Probit intercept at which the response rate, averaged over moods, equals the cell's rate."""
        return ndtri(self.staff.rate) * np.sqrt(1 + self.selection**2)


@dataclass(frozen=True)
class Wave:
    """Inputs of one wave to the answer model."""

    questions: Questions
    shift: np.ndarray  # cells × items
    labels: pl.Series  # cells: unit code in this wave
    full: bool


@dataclass(frozen=True)
class _Unread:
    """Respondents who answer without reading: careless or straightlining."""

    careless: np.ndarray  # positions among the respondents
    straight: np.ndarray  # likewise
    option: np.ndarray  # what those who tick straight down tick


def draw_answers(wave: Wave, model: AnswerModel, rng: np.random.Generator) -> pl.DataFrame:
    """Draw moods, respondents and their answers; one row per respondent, in the order of the staff list."""
    questions, staff = wave.questions, model.staff
    chosen, mood = _respondents(model, rng)
    cell = staff.cell[chosen]
    raw = _raw(_steps(questions, wave.shift[cell], mood, rng), questions)
    unread = _unread(model, len(raw), rng)
    raw[unread.careless] = _at_random(len(unread.careless), questions, rng)
    raw[unread.straight] = same_option(unread.option, questions)
    left_out = rng.random(raw.shape, dtype=np.float32) < BLANK + NOT_APPLICABLE
    columns = {"unit": wave.labels.gather(cell)}
    columns |= {name: column.gather(chosen) for name, column in staff.persons.to_dict().items()}
    columns["seconds"] = _seconds(raw.shape, unread, rng)
    columns |= {code: _with_nulls(raw[:, j], left_out[:, j]) for j, code in enumerate(questions.codes)}
    if wave.full:
        columns["Q1"] = _check(len(raw), unread, rng)
    return pl.DataFrame(columns)


def same_option(option: np.ndarray, questions: Questions) -> np.ndarray:
    """Return the answers of a straightliner: the same option throughout, doubled on the 0–10 question."""
    return np.where(questions.steps == len(CUTS5), option[:, None], 2 * option[:, None])


def _respondents(model: AnswerModel, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Draw who answers: their positions in the staff list, and their moods."""
    cell = model.staff.cell
    mood = rng.standard_normal(len(cell))
    chosen = np.flatnonzero(rng.random(len(mood)) < ndtr(model.readiness[cell] + model.selection * mood))
    return chosen, mood[chosen]


def _steps(questions: Questions, shift: np.ndarray, mood: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Draw latent answers and cut them into steps from the unfavourable end: 0 to 4, or 0 to 10."""
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


def _raw(steps: np.ndarray, questions: Questions) -> np.ndarray:
    """Convert steps from the unfavourable end to option numbers, reversed for reverse-coded items."""
    low, high, forward = questions.ends
    return np.where(forward, low + steps, high - steps).astype(np.int16)


def _unread(model: AnswerModel, n: int, rng: np.random.Generator) -> _Unread:
    manner = rng.random(n)
    straight = np.flatnonzero((manner >= model.careless) & (manner < model.careless + model.straight))
    option = rng.choice(STRAIGHT_OPTIONS, len(straight), p=STRAIGHT_SHARES)
    return _Unread(np.flatnonzero(manner < model.careless), straight, option)


def _at_random(n: int, questions: Questions, rng: np.random.Generator) -> np.ndarray:
    return _raw(rng.integers(0, questions.steps + 1, (n, len(questions.nodes))), questions)


def _seconds(shape: tuple[int, ...], unread: _Unread, rng: np.random.Generator) -> pl.Series:
    """Draw the seconds each respondent takes for the whole form."""
    n, items = shape
    usual = np.full(n, SECONDS)
    usual[unread.careless] = CARELESS_SECONDS
    return pl.Series(np.round(np.exp(rng.normal(0, 0.35, n)) * usual * items))


def _with_nulls(values: np.ndarray, missing: np.ndarray) -> pl.Series:
    return pl.Series(values).set(pl.Series(missing), None)


def _check(n: int, unread: _Unread, rng: np.random.Generator) -> pl.Series:
    """Draw answers to the attention check, whose correct answer is the fourth option."""
    check = np.where(rng.random(n) < 0.98, 4, 3)
    check[unread.careless], check[unread.straight] = rng.integers(1, 6, len(unread.careless)), unread.option
    return pl.Series(check.astype(np.int16))
