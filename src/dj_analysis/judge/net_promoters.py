"""Net promoter score of a question from 0 to 10, by unit."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from scipy import sparse, stats

from ..errors import UsageError
from ..measure.engines import columns_of
from ..measure.members import members
from ..measure.places import places
from ..measure.scores import Scores
from ..measure.survey import Survey
from ..measure.survey_scores import score
from ..result import Result
from ..spec import reasons


def enps(survey: Survey, code: str, by: str | Sequence[str] | None = None) -> Result:
    """Share of promoters minus share of detractors of a question asked from 0 to 10 (Reichheld 2003).

    Promoters gave 9 or 10, detractors 0 to 6. se = √((p + d − (p − d)²)/n), in points; 95 % interval by the
    adjusted Wald method of Rocks (2016), cut to ±100, which is not centred on the value: the plain one holds the truth in 84 to
    94 % of samples of 10 to 20. Weights count, with the effective number of people in place of n.

    Returns
    -------
    Result
        ``.table``: period, level, unit, code, n, promoters, detractors (shares), enps (−100 … 100), se, low, high, reason.

    Raises
    ------
    UsageError
        The question does not exist or is not asked from 0 to 10.

    Examples
    --------
    >>> dj.enps(survey, "O4").where(unit="ALL").table[["n", "promoters", "detractors", "enps"]].round(2).values.tolist()
    [[77.0, 0.18, 0.64, -45.45]]
    """
    tree = survey.codebook.tree
    if code not in tree or (tree[code].minimum, tree[code].maximum) != (0, 10):
        raise UsageError(f"enps: {code} 不是0至10分的题 (not a question from 0 to 10)")
    scores = score(survey, by=by)
    answers = columns_of(survey.frame, [code])[code].to_numpy()
    weight = (
        np.ones(len(answers)) if survey.weight is None else columns_of(survey.frame, [survey.weight])[survey.weight]
    )
    people = places(survey).assign(
        n=~np.isnan(answers), w=np.where(np.isnan(answers), 0, weight), up=answers >= 9, down=answers <= 6
    )
    tables = []
    for level in scores.table["level"].unique():
        tables.append(_enps_table(level, people, scores).assign(code=code))
    table = pd.concat(tables, ignore_index=True)
    table.insert(0, "period", survey.period)
    keys = ("period", "level", "unit", "code")
    return Result(
        table=table[[*keys, "n", "promoters", "detractors", "enps", "se", "low", "high", "reason"]], keys=keys,
        statistics=("n", "promoters", "detractors", "enps", "se", "low", "high"), period=survey.period,
        periods=(survey.period,), spec=scores.spec, withheld=scores.withheld, basis=scores.basis,
    )  # fmt: skip


def _enps_table(level: str, people: pd.DataFrame, scores: Scores) -> pd.DataFrame:
    units = scores.spec.units.at(scores.period)
    axis = units.tree_of(level) if level in units.levels else level
    w = people["w"].astype(float)
    columns = {"n": people["n"], "w": w, "ww": w**2, "up": w * people["up"], "down": w * people["down"]}
    finest = pd.DataFrame(columns).astype(float).groupby(people[axis].to_numpy()).sum()
    groups = members(level, axis, units, scores.sums[axis])
    place = {name: i for i, name in enumerate(finest.index)}
    inside = [(i, place[part]) for i, parts in enumerate(groups.values()) for part in parts if part in place]
    i, j = np.array(inside, dtype=int).reshape(-1, 2).T
    n, w, ww, up, down = (
        sparse.csr_array((np.ones(len(i)), (i, j)), shape=(len(groups), len(place))) @ finest.to_numpy()
    ).T
    with np.errstate(divide="ignore", invalid="ignore"):
        p, d, effective = up / w, down / w, w**2 / ww
        se = 100 * np.sqrt(np.maximum(p + d - (p - d) ** 2, 0) / effective)
    low, high = _around_enps(p, d, effective)
    known = se > 0
    reason = np.select([n == 0, known, n == 1], [reasons.NO_ANSWERS, "", reasons.ONE_PERSON], reasons.NO_VARIANCE)
    return pd.DataFrame({
        "level": level, "unit": list(groups), "n": n.astype(int), "promoters": p, "detractors": d, "enps": 100 * (p - d),
        "se": np.where(known, se, np.nan), "low": np.where(known, low, np.nan), "high": np.where(known, high, np.nan),
        "reason": reason.astype(object),
    })  # fmt: skip


def _around_enps(p: np.ndarray, d: np.ndarray, n: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Adjusted Wald interval, AW(3, T) of Rocks (2016): three answers more, a quarter of them promoters, a quarter detractors."""
    up, down = (p * n + 0.75) / (n + 3), (d * n + 0.75) / (n + 3)
    half = stats.norm.ppf(0.975) * np.sqrt((up + down - (up - down) ** 2) / (n + 3))
    return np.maximum(100 * (up - down - half), -100.0), np.minimum(100 * (up - down + half), 100.0)
