"""Specialist methods by field; what everybody needs every quarter stands in the shop window."""

from .judge.differences import differences, enps
from .measure.agreement import agreement
from .measure.ahp import ahp
from .measure.bootstrap import bootstrap_interval, bootstrapped, skewed_interval
from .measure.cfa import Model, fit
from .measure.chaining import chain_link
from .measure.choices import Choices
from .measure.composite import composite
from .measure.concordance import bland_altman, icc, kendall_w
from .measure.effective import effective_weights
from .measure.evaluation import fuzzy, topsis, triangular
from .measure.factors import efa
from .measure.invariance import comparability, invariance
from .measure.invariancerule import InvarianceRule
from .measure.nonresponse import nonresponse_bound, weigh_to_headcount
from .measure.planning import influence, precision
from .measure.quality import ScreeningRule, screen
from .measure.raking import design_effect, rake
from .measure.ranks import overlap_intervals, p_top, rank_sets
from .measure.raters import first_probability, severity, win_probability
from .measure.rating import rate
from .measure.reliability import reliability
from .measure.robustness import robustness, sobol_shares
from .measure.shrinkage import shrink, shrunken
from .measure.weighting import weigh
from .measure.weights import read_weights

__all__ = [
    "Choices",
    "InvarianceRule",
    "Model",
    "ScreeningRule",
    "agreement",
    "ahp",
    "bland_altman",
    "bootstrap_interval",
    "bootstrapped",
    "chain_link",
    "comparability",
    "composite",
    "design_effect",
    "differences",
    "efa",
    "effective_weights",
    "enps",
    "first_probability",
    "fit",
    "fuzzy",
    "icc",
    "influence",
    "invariance",
    "kendall_w",
    "nonresponse_bound",
    "overlap_intervals",
    "p_top",
    "precision",
    "rake",
    "rank_sets",
    "rate",
    "read_weights",
    "reliability",
    "robustness",
    "screen",
    "severity",
    "shrink",
    "shrunken",
    "skewed_interval",
    "sobol_shares",
    "topsis",
    "triangular",
    "weigh",
    "weigh_to_headcount",
    "win_probability",
]
