"""Exploratory factor analysis of item answers."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
import pandas as pd
from scipy import optimize
from statsmodels.multivariate.factor import Factor

from ...errors import UsageError, unknown
from ...result import Result
from ...spec import reasons
from ...spec.specification import Specification
from ...spec.tree import Form, Node
from ...spec.units import ALL
from ..basis import basis_of
from ..survey import Survey
from .item_answers import Answers, read_answers
from .moments import Covariances, Missing, Moments, moments_of
from .rotations import oblimin, signed, varimax

Rotation = Literal["oblimin", "varimax"]

SINGULAR = "correlations_items_cannot_inverted"
HEYWOOD = "item_s_communality_reached_1"
NO_FACTOR = "parallel_analysis_finds_no_common"
_LEAST_UNIQUE = 0.005  # as R's factanal: a uniqueness does not fall below
_STEADY = 1e-8


@dataclass(frozen=True)
class Solution:
    """Loadings of k items on m factors.

    Attributes
    ----------
    loadings
        k × m, of standardised items; the pattern where factors correlate.
    uniqueness
        Share of each item's variance that is not common, length k.
    residual
        Sum of squared differences between correlations and those the solution gives, each pair once.
    reason
        Why the solution must not be used; empty where it may.
    correlations
        m × m, of the factors; None where they do not correlate.
    """

    loadings: np.ndarray
    uniqueness: np.ndarray
    residual: float
    reason: str = ""
    correlations: np.ndarray | None = None


def minres(correlation: np.ndarray, factors: int, iterations: int = 10_000) -> Solution:
    """Extract factors by minimum residuals (Harman & Jones 1966).

    Computed as iterated principal axes by statsmodels' ``Factor``, whose fixed point is the minimum of the off-diagonal
    residuals; ``psych::fa(fm = "minres")`` minimises the same with another optimiser, which stops some 1e-4 earlier.

    Parameters
    ----------
    correlation
        k × k, positive definite.
    factors
        Number of factors, below k.

    Returns
    -------
    Solution
        Unrotated. A Heywood case (a communality of 1 or more) or a matrix that cannot be inverted has the reason.
    """
    k = len(correlation)
    if not invertible(correlation):
        return _unsolved(k, factors, SINGULAR)
    model = Factor(corr=np.array(correlation), n_factor=factors, method="pa")
    fitted = model.fit(maxiter=iterations, tol=1e-10)
    loadings = fitted.loadings
    communality = (loadings**2).sum(axis=1)
    if communality.max() >= 1:
        return _unsolved(k, factors, HEYWOOD)
    return Solution(loadings, 1 - communality, _residual(correlation, loadings))


def one_factor(correlation: np.ndarray) -> Solution:
    """Fit one common factor by maximum likelihood (Jöreskog 1967; Lawley & Maxwell 1971).

    The concentrated likelihood is minimised over the uniquenesses, which stay at or above .005 (as R's ``factanal`` and
    ``psych::fa(fm = "ml")``); statsmodels' optimiser has no such bound, and small units run into it.

    Returns
    -------
    Solution
        Fewer than three items have no unique solution. A uniqueness at its bound is a Heywood case, with the reason.
    """
    k = len(correlation)
    if k < 3:
        return _unsolved(k, 1, reasons.TOO_FEW_TO_JUDGE)
    if not invertible(correlation):
        return _unsolved(k, 1, SINGULAR)
    start = np.clip(0.5 / np.diag(np.linalg.inv(correlation)), _LEAST_UNIQUE, 1)
    bounds = [(_LEAST_UNIQUE, 1.0)] * k
    options = {"ftol": 1e-14, "gtol": 1e-9, "maxiter": 1000}
    optimum = optimize.minimize(
        _misfit, start, (correlation,), jac=True, bounds=bounds, method="L-BFGS-B", options=options
    )
    loadings = signed(_ml_loadings(optimum.x, correlation)[0])
    reason = HEYWOOD if optimum.x.min() <= _LEAST_UNIQUE * (1 + 1e-6) else ""
    return Solution(loadings, optimum.x, _residual(correlation, loadings), reason)


def _misfit(unique: np.ndarray, correlation: np.ndarray) -> tuple[float, np.ndarray]:
    """Discrepancy of one factor with these uniquenesses, up to a constant, with its gradient."""
    loadings, eigenvalues = _ml_loadings(unique, correlation)
    minor_eigenvalues = eigenvalues[:-1]
    residual = loadings @ loadings.T + np.diag(unique) - correlation
    return float((minor_eigenvalues - np.log(minor_eigenvalues)).sum()), np.diag(residual) / unique**2


def _ml_loadings(unique: np.ndarray, correlation: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    sd = np.sqrt(unique)
    eigenvalues, vectors = np.linalg.eigh(correlation / np.outer(sd, sd))
    return sd[:, None] * vectors[:, -1:] * np.sqrt(max(eigenvalues[-1] - 1, 0.0)), eigenvalues


def parallel(
    correlation: np.ndarray, n: float, *, draws: int = 500, quantile: float | None = 0.95, seed: int = 0
) -> pd.DataFrame:
    """Compare eigenvalues with those of uncorrelated normal items (Horn 1965).

    Components are the eigenvalues of the correlation matrix itself, Horn's rule. Factors are those with the communalities of
    one minres factor on its diagonal, as ``psych::fa.parallel``: among few items that rule misses weak factors whatever the
    number of persons, because one factor of pure noise is often a Heywood case with a first eigenvalue near 1. Random
    matrices are Wishart draws (Bartlett 1933), which cost the same for 30 as for a million persons.

    Parameters
    ----------
    n
        Number of persons (effective number under weights), above the number of items.
    draws
        Number of random correlation matrices.
    quantile
        Eigenvalues must exceed this quantile of the random ones (Glorfeld 1995; psych's too); with .95 a factor is found
        among items without any in 5 % of cases. None takes their mean (Horn 1965), which finds one in about half of them.

    Returns
    -------
    DataFrame
        kind (component, factor), number, eigenvalue, chance (what random items reach), retained.
    """
    random = _random_correlations(n, len(correlation), draws, np.random.default_rng(seed))
    tables = []
    for kind, eigenvalues_of in (("component", _descending), ("factor", factor_values)):
        observed, simulated = eigenvalues_of(correlation[None])[0], eigenvalues_of(random)
        chance = simulated.mean(axis=0) if quantile is None else np.quantile(simulated, quantile, axis=0)
        retained = np.cumprod(observed > chance).astype(bool)
        number = np.arange(1, len(observed) + 1)
        columns = {"kind": kind, "number": number, "eigenvalue": observed, "chance": chance, "retained": retained}
        tables.append(pd.DataFrame(columns))
    return pd.concat(tables, ignore_index=True).astype({"kind": "str"})


def number_of_factors(eigen: pd.DataFrame) -> tuple[int, str]:
    """Return how many factors both parallel analyses together say, and why.

    Whether there is any is decided by components: in noise they find one as seldom as the quantile says, where either of the
    two does so nearly twice as often. How many is the larger of both numbers, because each can only miss: components
    those that correlate with others (eight pairs of items, correlation .5: 0 % of waves right, common factors 100 %), common factors
    those that are weak among few items (:func:`parallel`).

    Parameters
    ----------
    eigen
        Of :func:`parallel`.
    """
    components, common = (int(eigen.loc[eigen["kind"] == kind, "retained"].sum()) for kind in ("component", "factor"))
    number = max(components, common) if components else 0
    why = f"components {components}, common factors {common}"
    if components and common > components:
        why += "; common factors hold: components miss factors that correlate (成分法漏掉相关的因子)"
    elif components > common:
        why += "; components hold: common factors miss weak ones among few items (公因子法漏掉弱因子)"
    elif common > components:
        why += "; none holds: components find nothing beyond noise (成分法未超出随机)"
    return number, why


def _random_correlations(n: float, k: int, draws: int, random: np.random.Generator) -> np.ndarray:
    lower = np.zeros((draws, k, k))
    below = np.tril_indices(k, -1)
    lower[:, below[0], below[1]] = random.standard_normal((draws, len(below[0])))
    lower[:, np.arange(k), np.arange(k)] = np.sqrt(random.chisquare(n - 1 - np.arange(k), (draws, k)))
    product = lower @ lower.transpose(0, 2, 1)
    sd = np.sqrt(np.diagonal(product, axis1=1, axis2=2))
    return product / (sd[:, :, None] * sd[:, None, :])


def _descending(matrices: np.ndarray) -> np.ndarray:
    return np.linalg.eigvalsh(matrices)[:, ::-1]


def factor_values(correlations: np.ndarray) -> np.ndarray:
    """Return descending eigenvalues of correlation matrices with the communalities of one minres factor on the diagonal.

    ``correlations`` is draws × k × k; the factor is found item by item, for all matrices at once.
    """
    k = correlations.shape[-1]
    eigenvalues, vectors = np.linalg.eigh(correlations)
    loadings = vectors[:, :, -1] * np.sqrt(np.maximum(eigenvalues[:, -1:] - 1, 0.01))
    bound = np.sqrt(1 - _LEAST_UNIQUE)
    for _ in range(500):
        previous = loadings.copy()
        for j in range(k):
            others = np.maximum((loadings**2).sum(axis=1) - loadings[:, j] ** 2, 1e-12)
            loadings[:, j] = np.clip(
                ((correlations[:, j] * loadings).sum(axis=1) - loadings[:, j]) / others, -bound, bound
            )
        if np.abs(loadings - previous).max() < _STEADY:
            break
    reduced = correlations.copy()
    reduced[:, np.arange(k), np.arange(k)] = loadings**2
    return _descending(reduced)


def efa(
    data: Survey | Moments | pd.DataFrame,
    factors: int | None = None,
    rotation: Rotation | None = "oblimin",
    *,
    scale: str | None = None,
    form: Form | None = None,
    missing: Missing = "pairwise",
    n: float | None = None,
    quantile: float | None = 0.95,
    draws: int = 500,
    seed: int = 0,
) -> Result:
    """Explore how many factors the items share and which items load on which (minres).

    Parameters
    ----------
    data
        A wave of answers; or the :class:`~dj_analysis.measure.moments.Moments` of items; or a correlation matrix (with
        ``n``). Weights of the wave are honoured in the correlations; the number of persons is then the effective one.
    factors
        Number of factors; by default what both parallel analyses together say: see :func:`number_of_factors`.
    rotation
        ``oblimin`` (default: factors may correlate, as dimensions of one survey do), ``varimax`` or None.
    scale
        Code of the dimension whose items are analysed; by default all items below the index.
    form
        ``anchors`` or ``full``; by default the widest form the wave has.
    missing
        Policy for missing answers: ``pairwise`` (default, as psych), ``listwise``, ``median``.
    n
        Number of persons behind a correlation matrix.
    quantile, draws, seed
        Of :func:`parallel`.

    Returns
    -------
    Result
        ``.table``: period, level, unit, form, scale, code, factor, loading, uniqueness, n, method, reason.
        ``.parts["eigen"]``: kind, number, eigenvalue, chance, retained. ``.parts["factors"]``: factor, variance (sum of
        squared loadings; diag(ΦΛ′Λ) where factors correlate), share, cumulative. ``.parts["correlations"]``: factor,
        other_factor, r. Where no factor is retained, or the matrix cannot be solved, loadings are
        missing and the reason says why. Too few persons: the number of items or fewer.

    Examples
    --------
    >>> efa(ws.survey("2026Q3"), scale="D4").table  # doctest: +SKIP
    """
    correlations, keys, spec = _correlations(data, scale, form, missing, n)
    k = len(correlations.items)
    if k < 3:
        raise UsageError(f"因子分析至少需要 3 题,现有 {k} 题 (factor analysis needs three items or more)")
    if factors is not None and not 0 < factors < k:
        raise UsageError(f"因子数应在 1 与 {k - 1} 之间,现为 {factors} (number of factors)")
    if rotation not in ("oblimin", "varimax", None):
        raise unknown("旋转/rotation", rotation, ["oblimin", "varimax", "None"])
    solvable = correlations.effective > k and invertible(correlations.correlation)
    eigen = pd.DataFrame(columns=["kind", "number", "eigenvalue", "chance", "retained"])
    if solvable:
        eigen = parallel(correlations.correlation, correlations.effective, draws=draws, quantile=quantile, seed=seed)
    n_factors, method = factors, f"minres (Harman & Jones 1966), {rotation or 'unrotated'}, {missing}"
    if n_factors is None:
        n_factors, why = number_of_factors(eigen)
        method += f"; parallel analysis (Horn 1965), {_rule(quantile)}, {draws} draws: {why}"
    solution = _solved(correlations, n_factors, rotation, solvable)
    tables = {
        "table": _loading_table(correlations, solution, method),
        "eigen": eigen,
        "factors": _variance_table(solution),
        "correlations": _correlation_table(solution),
    }
    keyed = {name: _keyed(table, keys, correlations.n) for name, table in tables.items()}
    basis = basis_of(data) if isinstance(data, Survey) else ()
    common: dict[str, Any] = {"period": keys["period"], "spec": spec, "periods": (keys["period"],), "basis": basis}
    names = tuple(keys)
    parts = {
        "eigen": Result(
            keyed["eigen"], (*names, "kind", "number"), ("eigenvalue", "chance", "retained", "n"), **common
        ),
        "factors": Result(keyed["factors"], (*names, "factor"), ("variance", "share", "cumulative", "n"), **common),
        "correlations": Result(keyed["correlations"], (*names, "factor", "other_factor"), ("r", "n"), **common),
    }
    return Result(keyed["table"], (*names, "code", "factor"), ("loading", "uniqueness", "n"), parts=parts, **common)


def _correlations(
    data: Any, scale: str | None, form: Form | None, missing: Missing, n: float | None
) -> tuple[Covariances, dict[str, str], Specification]:
    """Return correlations, the keys of the rows and the specification, for every kind of data accepted."""
    keys = {"period": "", "level": "", "unit": ALL, "form": "", "scale": scale or ""}
    if isinstance(data, Survey):
        return _of_survey(data, scale, form, missing)
    if isinstance(data, Moments):
        return data.covariances(missing), keys, Specification()
    if not isinstance(data, pd.DataFrame) or n is None:
        raise UsageError("请给出问卷、题目矩或相关矩阵(附人数 n) (a Survey, Moments, or a correlation matrix with n)")
    matrix = data.to_numpy(float)
    items = tuple(str(name) for name in data.columns)
    return Covariances(items, np.full(len(matrix), np.nan), matrix, matrix, n, n), keys, Specification()


def _of_survey(
    data: Survey, scale: str | None, form: Form | None, missing: Missing
) -> tuple[Covariances, dict[str, str], Specification]:
    trees = data.trees()
    asked_form: Form = form or ("full" if "full" in trees else "anchors")
    if asked_form not in trees:
        raise unknown("问卷形式/form", asked_form, list(trees))
    codebook, tree = data.codebook, trees[asked_form]
    tops = [scale] if scale else [codebook.index] if codebook.index else [node.code for node in codebook.dimensions]
    items: list[Node] = [leaf for top in tops for leaf in tree.leaves_of(tree[top].code)]
    answers = read_answers(data.frame, items, weight=data.weight)
    root = data.spec.units.at(data.period).root
    keys = {
        "period": data.period,
        "level": root.level,
        "unit": ALL,
        "form": asked_form,
        "scale": scale or codebook.index or ALL,
    }
    return _moments(answers, pairs=missing != "listwise").covariances(missing, medians(answers)), keys, data.spec


def _moments(answers: Answers, pairs: bool) -> Moments:
    names = tuple(item.code for item in answers.items)
    total = moments_of(np.empty((0, len(names))), None if answers.weights is None else np.empty(0), names, pairs=pairs)
    for _, x, w in answers.blocks():
        total = total + moments_of(x, w, names, pairs=pairs)
    return total


def medians(answers: Answers) -> np.ndarray:
    """Return the (weighted) median answer to each item, in the scored direction."""
    return np.array([counts.median() for counts in answers.counts().values()])


def _rule(quantile: float | None) -> str:
    return "mean" if quantile is None else f"{100 * quantile:g}th percentile"


def _solved(correlations: Covariances, factors: int, rotation: Rotation | None, solvable: bool) -> Solution:
    k = len(correlations.items)
    if not solvable:
        return _unsolved(k, 1, reasons.TOO_FEW_TO_JUDGE if correlations.effective <= k else SINGULAR)
    if factors == 0:
        return _unsolved(k, 1, NO_FACTOR)
    solution = minres(correlations.correlation, factors)
    if rotation == "oblimin" and not solution.reason:
        pattern, between = oblimin(solution.loadings)
        return replace(solution, loadings=pattern, correlations=between)
    rotated = varimax(solution.loadings) if rotation and not solution.reason else signed(solution.loadings)
    return replace(solution, loadings=rotated)


def _loading_table(correlations: Covariances, solution: Solution, method: str) -> pd.DataFrame:
    m = solution.loadings.shape[1]
    columns = {
        "code": np.repeat(correlations.items, m), "factor": np.tile(np.arange(1, m + 1), len(correlations.items)),
        "loading": solution.loadings.ravel(), "uniqueness": np.repeat(solution.uniqueness, m),
    }  # fmt: skip
    return pd.DataFrame(columns).assign(method=method, reason=solution.reason)


def _variance_table(solution: Solution) -> pd.DataFrame:
    loadings, between = solution.loadings, solution.correlations
    variance = (loadings**2).sum(axis=0) if between is None else np.diag(between @ loadings.T @ loadings)
    share = variance / len(solution.uniqueness)
    number = np.arange(1, len(variance) + 1)
    columns = {"factor": number, "variance": variance, "share": share, "cumulative": np.cumsum(share)}
    return pd.DataFrame(columns).assign(reason=solution.reason)


def _correlation_table(solution: Solution) -> pd.DataFrame:
    m = solution.loadings.shape[1]
    first, second = np.triu_indices(m, 1)
    between = np.eye(m) if solution.correlations is None else solution.correlations
    r = np.where(solution.reason == "", between[first, second], np.nan)
    return pd.DataFrame({"factor": first + 1, "other_factor": second + 1, "r": r}).assign(reason=solution.reason)


def _keyed(table: pd.DataFrame, keys: dict[str, str], n: float) -> pd.DataFrame:
    for position, (name, value) in enumerate(keys.items()):
        table.insert(position, name, value)
    counted = table.assign(n=int(n))
    trailing = [name for name in ("n", "method", "reason") if name in counted]
    text = [name for name in (*keys, "code", "method", "reason") if name in counted]
    return counted[[name for name in counted if name not in trailing] + trailing].astype(dict.fromkeys(text, "str"))


def _unsolved(k: int, factors: int, reason: str) -> Solution:
    return Solution(np.full((k, factors), np.nan), np.full(k, np.nan), np.nan, reason)


def invertible(correlation: np.ndarray) -> bool:
    """Tell whether a correlation matrix is complete and positive definite beyond rounding."""
    return bool(np.isfinite(correlation).all()) and float(np.linalg.eigvalsh(correlation)[0]) > 1e-10


def _residual(correlation: np.ndarray, loadings: np.ndarray) -> float:
    residual = correlation - loadings @ loadings.T
    return float((np.triu(residual, 1) ** 2).sum())
