"""Sums over the people who answered in both of two waves and agreed to be linked (domain R2)."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

import narwhals.stable.v2 as nw
import numpy as np
import pandas as pd

from ..spec.tree import Form
from .crossnames import cell_name
from .engines import all_rows, collected, names_of
from .intake.linking import PSEUDONYM
from .places import scored_codes, scored_persons
from .survey import Survey
from .unitsums import STATISTICS, UnitSums

FORM: Form = "anchors"  # what two waves are compared on
MIDDLE = 50.0  # half the change of a person, counted from here, lies between 0 and 100 as scores do
#: What is summed of both scores of a pair, beside the statistics of half its change.
PRODUCTS = ("w_now", "w_before", "wx_now", "wx_before", "cx", "cy", "cxy")


def paired_sums(now: Survey, before: Survey, items: Collection[str]) -> UnitSums:
    """Sum the scores of linked people over both waves.

    People are linked where one pseudonym stands exactly once in either wave. What leaves this function are sums by the pair of
    finest units a person was in, named ``now×before`` (:func:`~dj_analysis.measure.crossnames.cell_name`).

    Parameters
    ----------
    now, before
        The later and the earlier wave, as they were read; pseudonyms are there where code, consent and key were.
    items
        Questions both waves asked: dimensions and index are those of these alone.

    Returns
    -------
    UnitSums
        With x a person's score now, y before, and c = w·w' the product of both weights: ``n`` pairs with both scores; ``w_now``,
        ``w_before``, ``wx_now``, ``wx_before`` (weighted sums of either wave over them); ``cx``, ``cy``, ``cxy``; and, of half the
        change counted from 50, z = 50 + (x − y)/2 with weight √c, what
        :data:`~dj_analysis.measure.unitsums.STATISTICS` names (so that ``ww`` is Σc).
    """
    waves = [_on_items(wave, items) for wave in (now, before)]
    codes = [code for code in scored_codes(waves[0], FORM) if code in scored_codes(waves[1], FORM)]
    later, earlier = (_linked_persons(wave, codes) for wave in waves)
    both = later.merge(earlier, on=PSEUDONYM, suffixes=("", "'"), validate="one_to_one")
    axis = now.spec.units.at(now.period).trees[0]
    names = [cell_name(pair) for pair in zip(both["@unit"], both["@unit'"], strict=True)]
    places, units = pd.factorize(np.array(names, dtype=object))
    sums = {name: np.zeros((len(units), len(codes))) for name in (*PRODUCTS, *STATISTICS)}
    for j, code in enumerate(codes):
        for name, values in _summands(both, code).items():
            sums[name][:, j] = np.bincount(places, values, len(units))
    persons = np.bincount(places, minlength=len(units)).astype(float)
    return UnitSums(axis, tuple(units), tuple((FORM, code) for code in codes), persons, sums)


def has_pseudonyms(survey: Survey) -> bool:
    """Tell whether anybody of a wave can be linked to another."""
    if PSEUDONYM not in names_of(survey.frame):
        return False
    given = nw.from_native(survey.frame).select((nw.col(PSEUDONYM).fill_null("") != "").any())
    return bool(collected(given).to_pandas().iloc[0, 0])


def _on_items(survey: Survey, items: Collection[str]) -> Survey:
    """Return the survey as if its anchors had asked these questions alone."""
    codebook = survey.spec.codebook
    left_out = {leaf.code for leaf in survey.codebook.tree.in_form(FORM).leaves} - set(items)
    tree = replace(codebook.tree, nodes=tuple(node for node in codebook.tree.nodes if node.code not in left_out))
    return replace(survey, spec=replace(survey.spec, codebook=replace(codebook, tree=tree)))


def _linked_persons(survey: Survey, codes: list[str]) -> pd.DataFrame:
    """Return scores, weight, finest unit and pseudonym of those who have one that nobody else of the wave has."""
    axis = survey.spec.units.at(survey.period).trees[0]
    if PSEUDONYM not in names_of(survey.frame):
        return pd.DataFrame(columns=[*codes, "_weight", "@unit", PSEUDONYM]).astype(dict.fromkeys(codes, "float64"))
    persons = scored_persons(survey, FORM, codes)
    persons["@unit"] = persons.get(f"@{axis}", "")
    given = all_rows(nw.from_native(survey.frame).select(PSEUDONYM)).to_pandas()[PSEUDONYM]
    persons[PSEUDONYM] = given.fillna("").astype("str").to_numpy()
    linked = persons[(persons[PSEUDONYM] != "") & ~persons[PSEUDONYM].duplicated(keep=False)]
    return linked[[*codes, "_weight", "@unit", PSEUDONYM]].sort_values(PSEUDONYM)


def _summands(both: pd.DataFrame, code: str) -> dict[str, np.ndarray]:
    """Return what each pair adds to the sums of one code."""
    x, y = both[code].to_numpy(float), both[f"{code}'"].to_numpy(float)
    weights = [both[name].to_numpy(float) if name in both else np.ones(len(both)) for name in ("_weight", "_weight'")]
    counted = np.isfinite(x) & np.isfinite(y) & (weights[0] > 0) & (weights[1] > 0)
    x, y, now, before = (np.where(counted, values, 0.0) for values in (x, y, *weights))
    c, n = now * before, counted.astype(float)
    w, z = np.sqrt(c), np.where(counted, MIDDLE + (x - y) / 2, 0.0)
    products = {
        "w_now": now, "w_before": before, "wx_now": now * x, "wx_before": before * y,
        "cx": c * x, "cy": c * y, "cxy": c * x * y,
    }  # fmt: skip
    change = {
        "n": n, "w": w, "ww": c, "www": w * c, "wx": w * z, "wxx": w * z**2, "wxxx": w * z**3, "wxxxx": w * z**4,
        "wwx": c * z, "wwxx": c * z**2,
    }  # fmt: skip
    return products | change
