"""Decision rule for the levels of measurement invariance."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from . import cfa
from .cfa import Fit

TOO_FEW_PEOPLE = "too_few_complete_answers_left"
TOO_FEW_GROUPS = "fewer_than_two_groups_can"
NO_DIMENSION = "no_dimension_can_tested"
NOT_TESTABLE = "constraint_adds_no_degree_freedom"
LOWER_FAILS = "level_before_does_not_hold"
ONE_OF_A_PAIR = "dimension_two_items_which_them"
ITEMS_DIFFER = "single_items_differ_see_comparison"


@dataclass(frozen=True)
class InvarianceRule:
    """Criteria for a level of invariance to hold: conventions without a stated error rate, not tests.

    The fall of CFI decides (Cheung & Rensvold 2002; the main criterion of Chen 2007). The rise of RMSEA supplements it: it is
    reported where it exceeds its limit, and counts by itself only if ``strict``, for with few degrees of freedom it
    exceeds any limit by chance (Kenny, Kaniskan & McCoach 2015).

    Attributes
    ----------
    cfi, rmsea
        Configural holds with at least this CFI (Bentler & Bonett 1980) and at most this RMSEA (Browne & Cudeck 1993).
    delta_cfi, delta_rmsea
        Metric and scalar: largest fall of CFI and largest rise of RMSEA against the model before.
    small, small_delta_cfi, small_delta_rmsea
        With at most ``small`` people in all groups together, the narrower limits of Chen 2007.
    least
        Complete answers (their effective number where weights differ) a group needs to be compared.
    strict
        A rise of RMSEA beyond its limit is enough to fail.
    false_discovery, smallest
        A single item differs where the Benjamini–Hochberg q-value of its score test is at most ``false_discovery`` and a group
        lies at least ``smallest`` points of the 0–100 score from the mean of groups. CFI and RMSEA are about the whole
        model: with many items one that differs much hardly moves them.
    """

    cfi: float = 0.90
    rmsea: float = 0.10
    delta_cfi: float = 0.010
    delta_rmsea: float = 0.015
    small: int = 300
    small_delta_cfi: float = 0.005
    small_delta_rmsea: float = 0.010
    least: int = 100
    strict: bool = False
    false_discovery: float = 0.05
    smallest: float = 5.0

    def limits(self, n: float) -> tuple[float, float]:
        """Return the largest fall of CFI and the largest rise of RMSEA allowed for so many people."""
        few = n <= self.small
        return (self.small_delta_cfi, self.small_delta_rmsea) if few else (self.delta_cfi, self.delta_rmsea)

    def judged(self, fitted: Fit, before: Fit | None) -> tuple[bool, str]:
        """Tell whether a model holds, alone (configural) or against the model before it, and which limits it exceeds."""
        if before is None:
            exceeded = {f"CFI {fitted.cfi:.3f} < {self.cfi:.3f}": fitted.cfi < self.cfi}
            exceeded |= {f"RMSEA {fitted.rmsea:.3f} > {self.rmsea:.3f}": fitted.rmsea > self.rmsea}
            return not any(exceeded.values()), "; ".join(text for text, over in exceeded.items() if over)
        fall, rise = before.cfi - fitted.cfi, fitted.rmsea - before.rmsea
        most_fall, most_rise = self.limits(float(fitted.sample.n.sum()))
        exceeded = {f"ΔCFI {fall:.4f} > {most_fall:.3f}": fall > most_fall}
        exceeded |= {f"ΔRMSEA {rise:.4f} > {most_rise:.3f}": rise > most_rise}
        holds = fall <= most_fall and not (self.strict and rise > most_rise)
        return bool(holds), "; ".join(text for text, over in exceeded.items() if over)


def judged(fitted: Fit, before: Fit | None, rule: InvarianceRule, lower_fails: bool) -> tuple[Any, str]:
    """Tell whether a model holds, missing where it cannot be judged, and the reason."""
    unsolved = fitted.reason or (before.reason if before is not None else "")
    if unsolved:
        return pd.NA, unsolved
    improper = cfa.IMPROPER if fitted.improper else ""
    if fitted.df == (before.df if before is not None else 0):
        return pd.NA, "; ".join(filter(None, [NOT_TESTABLE, improper]))
    holds, exceeded = rule.judged(fitted, before)
    return holds and not lower_fails, "; ".join(filter(None, [LOWER_FAILS if lower_fails else "", exceeded, improper]))


def measures(fitted: Fit, before: Fit | None) -> dict[str, Any]:
    """Measures of fit and their change from the model before; empty for a model without a solution."""
    if fitted.reason:
        return {}
    names = ("chi2", "df", "p", "cfi", "tli", "rmsea", "srmr")
    values = {name: getattr(fitted, name) for name in names}
    if before is None or before.reason:
        return values
    chi2, df = max(0.0, fitted.chi2 - before.chi2), fitted.df - before.df
    values |= {"delta_chi2": chi2, "delta_df": df, "delta_p": stats.chi2.sf(chi2, df) if df else np.nan}
    return values | {"delta_cfi": before.cfi - fitted.cfi, "delta_rmsea": fitted.rmsea - before.rmsea}
