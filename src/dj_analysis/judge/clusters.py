"""Peer groups of units by their profiles, with how stable they are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import optimize

from ..errors import UsageError, unknown
from ..measure.basis import merged_bases
from ..measure.inference.shrinkage import LEAST_UNITS as LEAST_SHRUNKEN
from ..measure.inference.shrinkage import left_out, shrink
from ..measure.scores import Scores, inherited, joined
from ..result import Result
from ..spec import reasons
from ..spec.units import ALL
from .cluster_profiles import cluster_label, codes_about_persons, profile_table
from .cluster_stability import STABLE, Method, Stability, best_supported, centres, stability
from .ranking import levels_below, rows_below

KEYS = ("period", "level", "unit")
LEAST_SHARE = 0.6  # of the features that a unit needs; fewer leave it out
LEAST_UNITS = 12  # fewer units show no clusters that could be trusted
NUMBERS = range(2, 11)
PEERS = 5
ARROWS, APART = 6, 0.35  # indicators drawn on the map, and the angle between two of them at least


@dataclass(frozen=True)
class Clusters(Result):
    """Clusters of units, none where they form no stable ones.

    ``.table``: period, level, unit, n, cluster (1 is the largest; missing where there are no stable clusters), label (named from
    its profile), margin (how much nearer its own centre is than the next, 0–1), membership (share of resamples in which the
    unit lies in this cluster), reason.
    """

    @property
    def stability(self) -> Result:
        """Every number of clusters tried: period, level, k, units, jaccard (least of its clusters), silhouette, gap, gap_se,
        p_within and p_valley (tests against one cloud; only of stable numbers), holds (stable and no cloud), used.
        """
        return self.parts["stability"]

    @property
    def groups(self) -> Result:
        """The clusters: period, level, cluster, label, units, n, jaccard, grade (very_stable, stable).

        ``n`` is again the number of units where some feature rests on persons, so that clusters of fewer than min_group units are
        not shown; of indicators of work it is missing.
        """
        return self.parts["groups"]

    @property
    def profiles(self) -> Result:
        """Deviation of each cluster from the mean of all units: period, level, cluster, code, units, n (as in ``groups``, by code),
        deviation, low, high (in standard deviations between units).
        """
        return self.parts["profiles"]

    @property
    def peers(self) -> Result:
        """The most similar units of each unit: period, level, unit, place, other, distance (in standard deviations)."""
        return self.parts["peers"]

    @property
    def map(self) -> Result:
        """Units on the first two principal components of their profiles, and the indicators that turn them most.

        Columns: period, level, unit, code (a row is one of both), x, y, share_x, share_y (of the differences), cluster.
        """
        return self.parts["map"]

    @property
    def movers(self) -> Result:
        """Units that lie in another cluster than in the earlier clustering: period, level, unit, cluster, cluster_before,
        probability (that it moved).
        """
        return self.parts["movers"]


def cluster(
    scores: Scores,
    level: str | None = None,
    codes: Sequence[str] | None = None,
    k: int | None = None,
    method: Method = "kmeans",
    *,
    below: str = ALL,
    beside: Scores | None = None,
    earlier: Clusters | None = None,
    resamples: int = 200,
    seed: int = 0,
) -> Clusters:
    """Group the units of one level by their profiles, if they form stable groups at all.

    Scores are shrunken towards the mean of all units by their errors and standardised. The number of clusters follows from
    stability first (bootstrap Jaccard of every cluster at least .75; Hennig 2007), then from a test against one long or
    heavy-tailed cloud; gap (Tibshirani, Walther and Hastie 2001) and silhouette stand beside it. Where nothing holds, no
    cluster is stated: 未形成稳定类别.

    Parameters
    ----------
    scores
        What :func:`dj_analysis.score` returned; of a span of months the row of the whole span counts.
    level
        Level of the units; by default the finest of the first tree.
    codes
        What the profiles are made of; by default all leaves that have scores.
    k
        Number of clusters, if it is given beforehand; it must hold all the same to be stated. By default 2 to 10 are tried.
    method
        ``kmeans``, ``ward`` or ``gmm`` (normal mixture with diagonal covariances).
    below
        Only units below this one; all by default.
    beside
        Scores of the survey index, of the same units: its dimensions become features too. Clusters then show what goes
        together, not what causes what.
    earlier
        The clustering of an earlier period: numbers follow it, and ``.movers`` lists who moved.
    resamples, seed
        Of the bootstrap and every random start.

    Raises
    ------
    UsageError
        A level, code or method that does not exist; fewer than twelve units.

    Examples
    --------
    >>> dj.cluster(dj.score(ws.indicators("2025-10/2026-09")), level="branch").table  # doctest: +SKIP
    """
    level = level or _finest(scores)
    profile, whole = _profiles(scores, level, codes, beside, below)
    complete = profile.notna().mean(axis=1) >= LEAST_SHARE
    used = profile[complete.to_numpy()]
    used = used.fillna(used.mean()).loc[:, lambda table: table.std(ddof=0) > 1e-9]
    if len(used) < LEAST_UNITS or used.shape[1] < 2:
        raise UsageError(
            f"{level}: {len(used)} 个单位、{used.shape[1]} 项指标可用,少于 {LEAST_UNITS} 个单位或 2 项时不聚类"
            f" (at least {LEAST_UNITS} units and 2 indicators are needed)"
        )
    z = ((used - used.mean()) / used.std(ddof=0)).to_numpy()
    numbers = [k] if k is not None else [one for one in NUMBERS if one <= len(used) // 4]
    tried = [stability(z, one, method, resamples=resamples, seed=seed) for one in numbers]
    best, tests = best_supported(tried, z, method, seed=seed)
    labels = _numbered(best, used.index, earlier)
    return _packed(scores, level, whole, used, z, tried, tests, best, labels, earlier, beside)


def _finest(scores: Scores) -> str:
    levels = levels_below(scores)
    if not levels:
        raise UsageError("没有下级单位可聚类 (no units below the root)")
    return levels[-1]


def _profiles(
    scores: Scores, level: str, codes: Sequence[str] | None, beside: Scores | None, below: str
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return shrunken scores units × codes, and the rows of the units."""
    table = _rows(scores, level)
    if table.empty:
        raise unknown("层级/level", level, list(dict.fromkeys(scores.table["level"])))
    table = rows_below(table, scores.spec.units.at(scores.period), below)
    tree = scores.spec.indicators if scores.programme == "indicators" else scores.spec.codebook.tree
    assert tree is not None
    leaves = {leaf.code for leaf in tree.at(scores.period).leaves}
    known = list(dict.fromkeys(table["code"]))
    for code in codes or ():
        if code not in known:
            raise unknown("代码/code", code, known)
    wanted = list(codes) if codes is not None else [code for code in known if code in leaves]
    units = list(dict.fromkeys(table["unit"]))
    shut = set(table.loc[left_out(table, scores, ()).to_numpy(), "unit"])
    kept = [unit for unit in units if unit not in shut]
    wide = {code: _shrunken(table[table["code"] == code].set_index("unit").reindex(kept)) for code in wanted}
    if beside is not None:
        other = _rows(beside, level)
        dimensions = [node.code for node in beside.spec.codebook.dimensions]
        hidden = set(other.loc[left_out(other, beside, ()).to_numpy(), "unit"])
        for code in (code for code in dimensions if code in set(other["code"])):
            rows = other[(other["code"] == code) & ~other["unit"].isin(hidden)]
            wide[code] = _shrunken(rows.set_index("unit").reindex(kept))
    first = table.drop_duplicates("unit")[["period", "level", "unit"]].reset_index(drop=True)
    return pd.DataFrame(wide, index=pd.Index(kept, name="unit")).dropna(axis=1, how="all"), first


def _rows(scores: Scores, level: str) -> pd.DataFrame:
    table = scores.table[(scores.table["level"] == level) & (scores.table["period"] == scores.period)]
    form = "anchors" if "anchors" in set(table["form"]) else "full"
    return table[table["form"] == form].reset_index(drop=True)


def _shrunken(rows: pd.DataFrame) -> np.ndarray:
    """Return scores drawn towards the mean of all units by their errors; as they are where errors are missing."""
    score, se, df = (rows[name].to_numpy(float) for name in ("score", "se", "df"))
    if (np.isfinite(score) & (se > 0)).sum() < max(LEAST_SHRUNKEN, 0.5 * np.isfinite(score).sum()):
        return score
    estimate = shrink(score, se, df + 1).estimate
    return np.where(np.isnan(estimate), score, estimate)


def _numbered(best: Stability | None, units: pd.Index, earlier: Clusters | None) -> np.ndarray:
    """Number the clusters from 1: as in the earlier clustering where they match, then by size; 0 without clusters."""
    if best is None:
        return np.zeros(len(units), dtype=int)
    labels = best.labels + 1
    before = earlier.table.set_index("unit")["cluster"].reindex(units) if earlier is not None else None
    if before is None or before.isna().all():
        return labels
    known = before.notna().to_numpy()
    old = before[known].astype(int).to_numpy()
    table = np.zeros((best.k, old.max()))
    np.add.at(table, (labels[known] - 1, old - 1), 1)
    rows, columns = optimize.linear_sum_assignment(-table)
    matched = {int(r): int(c) + 1 for r, c in zip(rows, columns, strict=True) if table[r, c] > 0}
    free = iter(number for number in range(1, best.k + int(old.max()) + 1) if number not in set(matched.values()))
    names = [matched[one] if one in matched else next(free) for one in range(best.k)]
    return np.array(names)[labels - 1]


def _packed(
    scores: Scores, level: str, whole: pd.DataFrame, used: pd.DataFrame, z: np.ndarray, tried: Sequence[Stability],
    tests: dict[int, tuple[float, float]], best: Stability | None, labels: np.ndarray, earlier: Clusters | None,
    beside: Scores | None,
) -> Clusters:  # fmt: skip
    period, spec = scores.period, scores.spec
    head = {"period": period, "level": level}
    personal = codes_about_persons(list(used.columns), scores, beside)
    profiles = profile_table(head, list(used.columns), z, labels, personal)
    label = {
        number: cluster_label(profiles[profiles["cluster"] == number], spec) for number in np.unique(labels) if number
    }
    margin = _margin(z, best.labels) if best is not None else np.full(len(z), np.nan)
    member = best.membership if best is not None else np.full(len(z), np.nan)
    own = pd.DataFrame(
        {"cluster": np.where(labels > 0, labels, np.nan), "margin": margin, "membership": member}, index=used.index
    ).reindex(whole["unit"])
    why = np.where(
        ~whole["unit"].isin(used.index),
        reasons.TOO_FEW_TO_JUDGE,
        "" if best is not None else reasons.NO_STABLE_CLUSTERS,
    )
    table = whole.assign(
        n=np.nan, cluster=own["cluster"].to_numpy(), label=[label.get(c, "") for c in own["cluster"]],
        margin=own["margin"].to_numpy(), membership=own["membership"].to_numpy(), reason=why,
    )  # fmt: skip
    both = (scores, *([beside] if beside is not None else []), *([earlier] if earlier is not None else []))
    common = inherited(scores) | {
        "periods": tuple(dict.fromkeys(p for one in reversed(both) for p in one.periods)),
        "basis": merged_bases(*reversed(both)),
    }  # fmt: skip

    def part(rows: pd.DataFrame, keys: tuple[str, ...]) -> Result:
        columns = tuple(name for name in rows if name not in (*keys, "reason", "label", "grade"))
        return Result(joined([rows]), keys, columns, together=columns, **common)

    parts = {
        "stability": part(_stability_table(head, tried, tests, best, len(used)), ("period", "level", "k")),
        "groups": part(_group_table(head, best, labels, label, bool(personal)), ("period", "level", "cluster")),
        "profiles": part(profiles, ("period", "level", "cluster", "code")),
        "peers": part(_peer_table(head, used.index, z), ("period", "level", "unit", "place", "other")),
        "map": part(_map_table(head, used, z, labels), ("period", "level", "unit", "code")),
        "movers": part(_mover_table(head, used.index, labels, member, earlier), ("period", "level", "unit")),
    }
    statistics = ("n", "cluster", "margin", "membership")
    return Clusters(joined([table]), KEYS, statistics, parts=parts, together=statistics[1:], **common)


def _stability_table(
    head: dict[str, str],
    tried: Sequence[Stability],
    tests: dict[int, tuple[float, float]],
    best: Stability | None,
    units: int,
) -> pd.DataFrame:
    rows = []
    for one in tried:
        within, emptiness = tests.get(one.k, (np.nan, np.nan))
        held = best is not None and one.k == best.k
        rows.append(
            {**head, "k": one.k, "units": float(units), "jaccard": one.jaccard.min(), "silhouette": one.silhouette, "gap": one.gap,
             "gap_se": one.gap_se, "p_within": within, "p_valley": emptiness, "holds": held}
        )  # fmt: skip
    return pd.DataFrame(rows)


def _group_table(
    head: dict[str, str], best: Stability | None, labels: np.ndarray, label: dict[int, str], personal: bool
) -> pd.DataFrame:
    columns = [*head, "cluster", "label", "units", "n", "jaccard", "grade"]
    rows = []
    for own in range(best.k) if best is not None else ():
        number = int(labels[best.labels == own][0])  # type: ignore[union-attr]
        worth = best.jaccard[own]  # type: ignore[union-attr]
        grade = "very_stable" if worth >= 0.85 else "stable" if worth >= STABLE else "pattern"
        units = float((labels == number).sum())
        rows.append((*head.values(), number, label[number], units, units if personal else np.nan, worth, grade))
    return pd.DataFrame(rows, columns=columns).sort_values("cluster", ignore_index=True)


def _margin(z: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Return 1 − distance to the own centre ÷ distance to the next, 0 where another centre is nearer."""
    middle = centres(z, labels, int(labels.max()) + 1)
    distance = np.sqrt(((z[:, None, :] - middle[None]) ** 2).sum(axis=2))
    own = distance[np.arange(len(z)), labels]
    distance[np.arange(len(z)), labels] = np.inf
    return np.clip(1 - own / distance.min(axis=1), 0, 1)


def _peer_table(head: dict[str, str], units: pd.Index, z: np.ndarray) -> pd.DataFrame:
    from sklearn.neighbors import NearestNeighbors

    most = min(PEERS, len(units) - 1)
    distance, other = NearestNeighbors(n_neighbors=most + 1).fit(z).kneighbors(z)
    rows = []
    for i, unit in enumerate(units):
        near = [(d, j) for d, j in zip(distance[i], other[i], strict=True) if j != i][:most]
        rows += [
            {**head, "unit": unit, "place": place, "other": units[j], "distance": d}
            for place, (d, j) in enumerate(near, 1)
        ]
    return pd.DataFrame(rows)


def _map_table(head: dict[str, str], used: pd.DataFrame, z: np.ndarray, labels: np.ndarray) -> pd.DataFrame:
    """Return the principal components: a row a unit, and one for each of the indicators with the largest loadings."""
    left, singular, right = np.linalg.svd(z - z.mean(axis=0), full_matrices=False)
    turn = np.sign(right[:2].sum(axis=1, keepdims=True)) + (right[:2].sum(axis=1, keepdims=True) == 0)
    place, loading = (left[:, :2] * singular[:2]) * turn.T, (right[:2] * turn).T
    share = singular**2 / (singular**2).sum()
    units = pd.DataFrame(
        {
            "unit": used.index,
            "code": "",
            "x": place[:, 0],
            "y": place[:, 1],
            "cluster": np.where(labels > 0, labels, np.nan),
        }
    )
    strongest = _apart(loading)
    longest = np.sqrt((loading[strongest] ** 2).sum(axis=1)).max()
    arrows = pd.DataFrame(
        {"unit": "", "code": used.columns[strongest], "x": loading[strongest, 0] / longest, "y": loading[strongest, 1] / longest,
         "cluster": np.nan}
    )  # fmt: skip
    table = pd.concat([units, arrows], ignore_index=True).assign(share_x=share[0], share_y=share[1], **head)
    return table[[*head, "unit", "code", "x", "y", "share_x", "share_y", "cluster"]]


def _apart(loading: np.ndarray) -> np.ndarray:
    """Choose the indicators with the longest loadings whose arrows do not cover each other."""
    angle, taken = np.arctan2(loading[:, 1], loading[:, 0]), list[int]()
    for one in np.argsort(-(loading**2).sum(axis=1), kind="stable"):
        turned = np.abs((angle[taken] - angle[one] + np.pi) % (2 * np.pi) - np.pi)
        if len(taken) < ARROWS and (turned > APART).all():
            taken.append(int(one))
    return np.array(taken)


def _mover_table(
    head: dict[str, str], units: pd.Index, labels: np.ndarray, member: np.ndarray, earlier: Clusters | None
) -> pd.DataFrame:
    """List units that changed their cluster; the chance that they did is that of lying in neither by accident."""
    columns = [*head, "unit", "cluster", "cluster_before", "probability"]
    if earlier is None or not labels.any():
        return pd.DataFrame(columns=columns)
    before = earlier.table.set_index("unit").reindex(units)
    moved = before["cluster"].notna().to_numpy() & (labels > 0) & (before["cluster"].to_numpy() != labels)
    rows = pd.DataFrame(
        {"unit": units[moved], "cluster": labels[moved].astype(float), "cluster_before": before["cluster"].to_numpy()[moved],
         "probability": (member * before["membership"].to_numpy())[moved]}
    )  # fmt: skip
    return rows.assign(**head)[columns].sort_values("probability", ascending=False, ignore_index=True)
