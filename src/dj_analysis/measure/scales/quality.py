"""Screening of answer sheets for careless responding."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import narwhals.stable.v2 as nw
import numpy as np
import pandas as pd
from scipy import stats

from ...errors import UsageError
from ...result import Result
from ...spec.reasons import TOO_FEW_TO_JUDGE
from ...spec.settings import FLOOR
from ...spec.tree import Node, Tree
from ...spec.units import ALL
from ..basis import basis_of
from ..engines import all_rows
from ..intake.roles import SECONDS
from ..places import chosen
from ..scores import KEYS
from ..survey import Survey
from ..survey_scores import score
from .careless import (
    NOISE,
    PairSums,
    even_odd,
    log_frequency,
    longstring,
    mahalanobis,
    pair_sums,
    same_answers,
    scatter,
    upper_fence,
    variability,
)
from .screeningrule import BEHAVIOURS, NOT_LOOKED_FOR, SIGNS, TOO_LITTLE, ScreeningRule

BLOCK = 16_384  # rows at a time: what is held beside the answers stays under some hundred megabytes
_RANDOM = 2000  # sheets ticked at random, what a distance is held against
SPREAD = 1e-6  # smallest eigenvalue of the correlations with which distances are still computed


@dataclass(frozen=True)
class Screened(Result):
    """Signs of careless responding, one row per sheet; no sheet is dropped, and only the summary may be published.

    ``.table``: period, row (number in the wave, from 1), answered (answers given), longstring, irv, mahalanobis (D²),
    mahalanobis_p, even_odd (low is bad), scatter (high is bad), seconds_per_item, instructed (check questions answered wrongly), duplicate
    (other sheets with the same answers), flags (how many signs; those of one behaviour count once), reason (which, joined by ``;``). A missing index could
    not be computed. ``.parts["summary"]``: period, level, unit, flag, n (sheets flagged), share, of (sheets judged),
    reason; the last row, ``at_least_2``, counts sheets with two signs or more.
    """

    rule: ScreeningRule = field(default_factory=ScreeningRule)

    def unflagged(self, survey: Survey, at_least: int = 2) -> Survey:
        """Return the survey without the sheets that show at least so many signs, for a sensitivity analysis.

        A weight column is kept as it is: a survey that was raked is raked again afterwards. A lazy frame is collected.

        Raises
        ------
        UsageError
            Another wave than the one screened, or another number of rows.
        """
        rows = all_rows(nw.from_native(survey.frame).select(nw.len())).item()
        if survey.period != self.period or rows != len(self.table):
            mismatch = f"{survey.period}: {rows} / {self.period}: {len(self.table)}"
            raise UsageError(f"不是核查过的那一期数据,行数或时期不同 (not the wave that was screened): {mismatch}")
        keep = (self.table["flags"] < at_least).to_numpy()
        notice = (
            f"已去除 {np.sum(~keep)} 份有至少 {at_least} 项疑点的答卷,仅供对照"
            f" ({np.sum(~keep)} sheets with {at_least} signs of carelessness or more left out, for comparison only)"
        )
        return replace(chosen(survey, keep), notices=(*survey.notices, notice))

    def sensitivity(self, survey: Survey, at_least: int = 2) -> Result:
        """Compute how much the scores of the whole change without the sheets that show at least so many signs.

        Returns
        -------
        Result
            period, level, unit (the whole), form, code, n (all sheets), n_other (those that would go), difference (score
            without them less score with them, in points), reason (数据不足 where nobody would stay, or nobody goes).

        Raises
        ------
        UsageError
            Another wave than the one screened, or another number of rows.
        """
        root = survey.spec.units.at(survey.period).root.level
        all_scores, unflagged_scores = (score(wave, by=root) for wave in (survey, self.unflagged(survey, at_least)))
        table, unflagged = all_scores.table[[*KEYS, "n"]].copy(), unflagged_scores.table
        table["n_other"] = table["n"] - unflagged["n"]
        judged = (table["n_other"] > 0) & (unflagged["n"] >= max(survey.spec.min_group, FLOOR))
        table["difference"] = (unflagged["score"] - all_scores.table["score"]).where(judged)
        table["reason"] = np.where(judged, "", TOO_FEW_TO_JUDGE)
        return Result(
            table=table, keys=KEYS, statistics=("n", "n_other", "difference"), period=survey.period,
            periods=(survey.period,), spec=survey.spec, withheld=all_scores.withheld, basis=all_scores.basis,
        )  # fmt: skip

    def _repr_html_(self) -> str:
        return self.parts["summary"]._repr_html_()  # rows are people


def screen(survey: Survey, *, rule: ScreeningRule | None = None) -> Screened:
    """Screen answer sheets for signs of careless responding; flag them and drop none.

    Respondents' weights play no part: an index says how one sheet was filled in, and the covariance behind Mahalanobis
    distances is that of the sheets at hand, not of a population. A straight line through an instrument without reversed
    questions can be an honest answer; nothing in the sheet tells the two apart, and one of best answers is not flagged. How often
    honest sheets are flagged in waves of different kinds is in docs/methods.md.

    Parameters
    ----------
    survey
        A wave. Answers are taken as ticked: reversed items are not turned, except for even–odd consistency and scatter. Runs, their
        variation and even–odd halves pass over missing answers. A check question counts where its node in the codebook
        says what is to be ticked (``expected``).
    rule
        Cut points; the published ones by default.

    Returns
    -------
    Screened
        See there. Rows of a distributed frame are numbered in the order in which it is collected.

    Raises
    ------
    UsageError
        A question whose answers are no numbers; a frame on Spark.

    Examples
    --------
    >>> seen = dj.screen(ws.survey("2026Q3"))  # doctest: +SKIP
    >>> seen.parts["summary"].table  # doctest: +SKIP
    >>> dj.score(seen.unflagged(ws.survey("2026Q3")))  # doctest: +SKIP
    """
    rule = rule or ScreeningRule()
    sheets = _read(survey)
    indices = _indices(sheets, rule)
    judged, signs = _signs(indices, sheets, rule)
    del indices["level"]
    table = pd.DataFrame({"period": survey.period, "row": np.arange(1, len(sheets.answers) + 1), **indices})
    table["flags"] = _behaviours(signs)
    table["reason"] = _reasons(signs, indices["answered"] < sheets.least(rule))
    common: dict[str, Any] = {
        "period": survey.period, "spec": survey.spec, "periods": (survey.period,), "basis": basis_of(survey),
    }  # fmt: skip
    summary = Result(
        table=_summary(survey, signs, judged), keys=("period", "level", "unit", "flag"),
        statistics=("n", "share", "of"), **common,
    )  # fmt: skip
    return Screened(
        table=table.astype({"period": "str", "reason": "str"}), keys=("period", "row"),
        statistics=("answered", *indices, "flags"), n=None, parts={"summary": summary}, rule=rule, **common,
    )  # fmt: skip


@dataclass(frozen=True)
class _Sheets:
    """A wave's closed answers: sheets × questions as ticked, seconds and check questions beside them."""

    answers: np.ndarray  # float32: 1.5 million sheets of 60 questions are 360 MB
    leaves: tuple[Node, ...]
    tree: Tree
    seconds: np.ndarray
    checks: np.ndarray
    expected: np.ndarray

    def least(self, rule: ScreeningRule) -> float:
        """Number of answers a sheet needs to be judged."""
        return max(rule.items, rule.answered * len(self.leaves))

    @property
    def alike(self) -> list[int]:
        """Columns with the most common range: equal numbers are equal answers only on the same scale."""
        ranges = [(leaf.minimum, leaf.maximum) for leaf in self.leaves]
        commonest = max(ranges, key=ranges.count, default=None)
        return [column for column, span in enumerate(ranges) if span == commonest]

    @property
    def span(self) -> float:
        """Width of the most common range."""
        return self.leaves[self.alike[0]].maximum - self.leaves[self.alike[0]].minimum if self.leaves else np.nan

    @property
    def scales(self) -> list[list[int]]:
        """Columns of the questions directly below each node that has two or more."""
        place = {leaf.code: column for column, leaf in enumerate(self.leaves)}
        below = [[place[c.code] for c in self.tree.children(node.code) if c.code in place] for node in self.tree.inner]
        return [columns for columns in below if len(columns) > 1]

    def well_answered(self, turned: np.ndarray, rule: ScreeningRule) -> np.ndarray:
        """Tell (1, 0) which sheets hold best answers in half of the questions and good ones to those of either direction."""
        best = (turned >= 1 - NOISE).sum(axis=1) >= rule.longstring * (~np.isnan(turned)).sum(axis=1)
        up = np.array([leaf.direction == 1 for leaf in self.leaves], dtype=bool)
        for side in (up, ~up):
            answered = ~np.isnan(turned[:, side])
            total = np.where(answered, turned[:, side], 0).sum(axis=1)
            best &= total >= rule.good * answered.sum(axis=1)
        return best.astype(float)

    def turned(self, answers: np.ndarray) -> np.ndarray:
        """Return answers in the scored direction, from 0 (worst) to 1 (best)."""
        low, high = (np.array([getattr(leaf, end) for leaf in self.leaves]) for end in ("minimum", "maximum"))
        share = (answers - low) / (high - low)
        return np.where([leaf.direction == 1 for leaf in self.leaves], share, 1 - share)


def _read(survey: Survey) -> _Sheets:
    """Read the closed answers of a wave from a frame of any engine."""
    wrapped = nw.from_native(survey.frame)
    schema = wrapped.collect_schema()
    codebook = survey.codebook
    leaves = tuple(leaf for leaf in codebook.tree.leaves if leaf.code in schema.names())
    checks = [node for node in codebook.others if node.role == "check" and node.code in schema.names()]
    checks = [node for node in checks if not np.isnan(getattr(node, "expected", np.nan))]
    wanted = [*(node.code for node in (*leaves, *checks)), *([SECONDS] if SECONDS in schema.names() else [])]
    for name in wanted:
        if not schema[name].is_numeric():
            raise UsageError(f"列 {name} 的类型是 {schema[name]},应为数字 (a number column is needed)")
    frame = all_rows(wrapped.select(nw.col(name).cast(nw.Float32) for name in wanted))
    columns = [np.asarray(frame[name].to_numpy(), dtype=np.float32) for name in wanted]
    stacked = np.column_stack(columns) if columns else np.empty((len(frame), 0), dtype=np.float32)
    seconds = stacked[:, -1] if SECONDS in wanted else np.full(len(frame), np.nan)
    return _Sheets(
        stacked[:, : len(leaves)], leaves, codebook.tree, np.where(seconds > 0, seconds, np.nan),
        stacked[:, len(leaves) : len(leaves) + len(checks)],
        np.array([getattr(node, "expected", np.nan) for node in checks], dtype=float),
    )  # fmt: skip


@dataclass(frozen=True)
class _Shape:
    """Means, covariances and answer steps of the questions that vary."""

    columns: np.ndarray
    mean: np.ndarray
    covariance: np.ndarray  # its diagonal alone where the whole cannot be estimated
    known: bool
    steps: np.ndarray  # from an answer to the next one, logarithms


def _indices(sheets: _Sheets, rule: ScreeningRule) -> dict[str, np.ndarray]:
    """Compute every index, block by block; NaN where a sheet has too little for it."""
    n, least, scales = len(sheets.answers), sheets.least(rule), sheets.scales
    beside = ("chance", "honest", "level")  # what signs rest on besides the printed indices
    names = ("answered", "longstring", "irv", "mahalanobis", "mahalanobis_p", "even_odd", "scatter", *beside)
    indices = {name: np.full(n, np.nan) for name in names}
    blocks = [slice(start, start + BLOCK) for start in range(0, n, BLOCK)]
    shape = _shape(sheets, blocks, rule)
    for rows in blocks:
        answers = sheets.answers[rows].astype("float64")
        alike, answered = answers[:, sheets.alike], (~np.isnan(answers)).sum(axis=1)
        enough = answered >= least
        enough_alike = enough & ((~np.isnan(alike)).sum(axis=1) >= rule.items)
        block_indices = _distances(answers, shape)
        turned = sheets.turned(answers)
        block_indices |= {"honest": sheets.well_answered(turned, rule), "level": _level(turned)}
        if len(scales) >= rule.scales:
            block_indices["even_odd"] = even_odd(turned, scales, rule.scales)
            block_indices["scatter"] = scatter(turned, scales, rule.scales)
        for name, values in block_indices.items():
            indices[name][rows] = np.where(enough, values, np.nan)
        for name, index in (("longstring", longstring), ("irv", variability)):
            indices[name][rows] = np.where(enough_alike, index(alike), np.nan)
        indices["answered"][rows] = answered
    varied = (indices["irv"] >= rule.irv * sheets.span) & (_equals(sheets, indices) < rule.chance)
    duplicates = np.where(varied, same_answers(sheets.answers), 0) if sheets.leaves else np.zeros(n)
    indices |= _times_and_checks(sheets, indices["answered"])
    indices["duplicate"] = np.where(np.isnan(indices["irv"]), np.nan, duplicates)
    indices |= _far_off(sheets, indices, shape, rule)
    return indices | {"answered": indices["answered"].astype(int)}


def _far_off(
    sheets: _Sheets, indices: dict[str, np.ndarray], shape: _Shape, rule: ScreeningRule
) -> dict[str, np.ndarray]:
    """Tell which distances and scatters lie beyond the fence of the wave and as far as those of random sheets."""
    random = np.random.default_rng(0)
    ends = np.array([[leaf.minimum, leaf.maximum] for leaf in sheets.leaves]).reshape(-1, 2)
    whole = (ends == np.rint(ends)).all(axis=1)
    drawn = random.random((_RANDOM, len(ends)))
    low, span = ends[:, 0], np.ptp(ends, axis=1)
    ticked = np.where(whole, np.floor(low + drawn * (span + 1)), low + drawn * span)
    far = {name: np.zeros(len(sheets.answers), dtype=bool) for name in ("far", "scattered", "as_random")}
    if not len(ends):
        return far
    if shape.known:
        root = np.sqrt(indices["mahalanobis"] / indices["answered"])
        reference = np.sqrt(_distances(ticked, shape)["mahalanobis"] / len(shape.columns))
        far["far"] = root >= max(np.quantile(reference, rule.at_random), upper_fence(root, rule.fence))
    if len(sheets.scales) >= rule.scales:
        reference = scatter(sheets.turned(ticked), sheets.scales, rule.scales)
        lowest = np.nanquantile(reference, rule.at_random)
        cut = max(lowest, upper_fence(indices["scatter"], rule.fence))
        far["scattered"] = indices["scatter"] >= cut
        far["as_random"] = indices["scatter"] >= lowest
    return far


def _level(turned: np.ndarray) -> np.ndarray:
    answered = ~np.isnan(turned)
    return np.where(answered, turned, 0).sum(axis=1) / np.maximum(answered.sum(axis=1), 1)


def _equals(sheets: _Sheets, indices: dict[str, np.ndarray]) -> np.ndarray:
    """Return how many sheets of the wave are equal to each by chance: the larger of what two models expect."""
    normal, n = indices.pop("chance"), len(sheets.answers)
    if not n or not sheets.leaves:
        return np.zeros(n)
    counted = log_frequency(sheets.answers, indices["level"])
    return np.asarray(n * np.exp(np.minimum(np.fmax(normal, counted), 0)))


def _times_and_checks(sheets: _Sheets, answered: np.ndarray) -> dict[str, np.ndarray]:
    """Seconds per answer, and the number of check questions answered wrongly."""
    answered_checks = ~np.isnan(sheets.checks)
    wrong = (answered_checks & (np.abs(sheets.checks - sheets.expected) > NOISE)).sum(axis=1)
    closed = answered + answered_checks.sum(axis=1)
    seconds = sheets.seconds / np.where(closed > 0, closed, np.nan)
    return {"seconds_per_item": seconds, "instructed": np.where(answered_checks.any(axis=1), wrong, np.nan)}


def _shape(sheets: _Sheets, blocks: Sequence[slice], rule: ScreeningRule) -> _Shape:
    """Estimate means and covariances; covariances need enough sheets and no linear dependence among the questions."""
    k = len(sheets.leaves)
    total = PairSums(*(np.zeros((k, k)) for _ in range(3)))
    for rows in blocks:
        total += pair_sums(sheets.answers[rows].astype("float64"))
    columns = np.flatnonzero(np.nan_to_num(np.diag(total.covariance)) > NOISE)
    covariance = total.covariance[np.ix_(columns, columns)]
    sd = np.sqrt(np.diag(covariance))
    estimable = bool(len(columns)) and total.n[np.ix_(columns, columns)].min() >= rule.people * len(columns)
    estimable = estimable and np.linalg.eigvalsh(covariance / np.outer(sd, sd))[0] > SPREAD
    steps = np.array([np.nanmin(np.diff(np.sort(pd.unique(sheets.answers[:, j])))) for j in columns])
    return _Shape(columns, total.mean[columns], covariance if estimable else np.diag(sd**2), estimable, np.log(steps))


def _distances(answers: np.ndarray, shape: _Shape) -> dict[str, np.ndarray]:
    """D² with its p-value, and the log probability of exactly these answers.

    That probability is the volume of the answer's cell times the normal density with the same covariance.
    """
    varying = answers[:, shape.columns]
    answered = ~np.isnan(varying)
    distance, log_determinant = mahalanobis(varying, shape.mean, shape.covariance)
    n = answered.sum(axis=1)
    indices = {"chance": answered @ shape.steps - (n * np.log(2 * np.pi) + log_determinant + distance) / 2}
    if shape.known:
        indices |= {"mahalanobis": distance, "mahalanobis_p": stats.chi2.sf(distance, n)}
    return indices


def _signs(
    indices: dict[str, np.ndarray], sheets: _Sheets, rule: ScreeningRule
) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """Return, for every sign, which sheets could be judged on it and which show it."""
    far, scattered, as_random = (indices.pop(name) for name in ("far", "scattered", "as_random"))
    honest = indices.pop("honest") == 1
    judged = {name: ~np.isnan(indices[name]) for name in SIGNS}
    answered_alike = (~np.isnan(sheets.answers[:, sheets.alike])).sum(axis=1)
    signs = {
        "longstring": (indices["longstring"] >= rule.longstring * answered_alike) & ~honest,
        "irv": (indices["irv"] < rule.irv * sheets.span) & ~honest,
        "mahalanobis": (indices["mahalanobis_p"] < rule.mahalanobis) & far,
        "even_odd": (indices["even_odd"] < rule.even_odd) & as_random,
        "scatter": scattered,
        "seconds_per_item": indices["seconds_per_item"] < rule.seconds,
        "instructed": indices["instructed"] >= 1,
        "duplicate": indices["duplicate"] >= 1,
    }
    if (indices["even_odd"] < rule.even_odd).sum() > rule.contradicting * judged["even_odd"].sum():
        signs["even_odd"] = judged["even_odd"] = np.zeros_like(judged["even_odd"])
    return judged, signs


def _behaviours(signs: Mapping[str, np.ndarray]) -> np.ndarray:
    """Count the behaviours each sheet shows signs of."""
    shown = [np.any([signs[name] for name in names], axis=0) for names in BEHAVIOURS]
    return np.asarray(np.sum(shown, axis=0), dtype=np.int64)


def _reasons(signs: Mapping[str, np.ndarray], too_little: np.ndarray) -> np.ndarray:
    """The signs each sheet shows, joined; texts are made once per combination, because combinations are few."""
    words = {TOO_LITTLE: too_little, **signs}
    combination = np.sum([sign.astype(int) << bit for bit, sign in enumerate(words.values())], axis=0)
    texts = [";".join(word for bit, word in enumerate(words) if i >> bit & 1) for i in range(2 ** len(words))]
    return np.array(texts, dtype=object)[combination]


def _summary(survey: Survey, signs: Mapping[str, np.ndarray], judged: Mapping[str, np.ndarray]) -> pd.DataFrame:
    """Count the sheets that show each sign, and those with two signs or more."""
    flags, looked_at = _behaviours(signs), np.any(list(judged.values()), axis=0)
    counts = {name: (int(signs[name].sum()), int(judged[name].sum())) for name in SIGNS}
    counts["at_least_2"] = (int((flags >= 2).sum()), int(looked_at.sum()))
    table = pd.DataFrame(
        {
            "period": survey.period,
            "level": survey.spec.units.at(survey.period).root.level,
            "unit": ALL,
            "flag": list(counts),
            "n": pd.array([n if of else None for n, of in counts.values()], dtype="Int64"),
            "share": [n / of if of else np.nan for n, of in counts.values()],
            "of": [of for _, of in counts.values()],
        }
    )
    table["reason"] = [NOT_LOOKED_FOR.get(name, TOO_LITTLE) if not of else "" for name, (_, of) in counts.items()]
    return table.astype(dict.fromkeys(("period", "level", "unit", "flag", "reason"), "str"))
