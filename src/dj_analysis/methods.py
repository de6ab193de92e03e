"""Specialist methods by field; the functions needed every quarter are in the package itself."""

from .act.effect_power import effect_power
from .act.effects_due import effects_due
from .act.notices import notices
from .act.regression_to_mean import expected_return, regression_to_mean
from .judge.calibration import calibrate
from .judge.change_power import change_power, power_after
from .judge.contributions import contributions
from .judge.corrections import corrections
from .judge.differences import differences
from .judge.drivers import asks_outcome
from .judge.human_review import after_review
from .judge.months_last import chance_guard, months_last
from .judge.multiple_choice import choices_of_wave
from .judge.net_promoters import enps
from .judge.plane import plane
from .judge.priorities import priority
from .judge.reconciliation import reconciliation
from .judge.review import review_audit
from .judge.satisfaction import satisfaction
from .judge.tiers import tiers
from .measure.composites.ahp import ahp
from .measure.composites.attributes import attributes
from .measure.composites.chaining import chain_link
from .measure.composites.choices import Choices
from .measure.composites.composite import composite
from .measure.composites.effective import effective_weights
from .measure.composites.evaluation import fuzzy, topsis, triangular
from .measure.composites.indicator_audit import auditable, indicator_audit
from .measure.composites.orderings import borda, grey_relation, priority_weights, rank_sum_ratio
from .measure.composites.robustness import robustness, sobol_shares
from .measure.composites.weighting import weigh
from .measure.composites.weights import read_weights
from .measure.inference.bootstrap import bootstrap_interval, bootstrapped, skewed_interval
from .measure.inference.importance import lmg
from .measure.inference.nonresponse import nonresponse_bound, weigh_to_headcount
from .measure.inference.planning import influence, precision
from .measure.inference.raking import design_effect, rake
from .measure.inference.ranks import overlap_intervals, p_top, rank_sets
from .measure.inference.shrinkage import shrink, shrunken
from .measure.leaf_values import leaf_values
from .measure.linked_series import link_versions
from .measure.raters.checklist import checklist
from .measure.raters.concordance import bland_altman, icc, kendall_w
from .measure.raters.rating import rate
from .measure.raters.reciprocity import judge_each_other, reciprocity
from .measure.raters.two_way import first_probability, severity, win_probability
from .measure.raters.yearly import self_against_final
from .measure.scales.agreement import agreement
from .measure.scales.cfa import Model, fit
from .measure.scales.factors import efa
from .measure.scales.invariance import comparability, invariance
from .measure.scales.invariancerule import InvarianceRule
from .measure.scales.keying import keying
from .measure.scales.quality import screen
from .measure.scales.reliability import reliability
from .measure.scales.screeningrule import ScreeningRule
from .measure.scales.validity import htmt, split_half, validity

__all__ = [
    "Choices",
    "InvarianceRule",
    "Model",
    "ScreeningRule",
    "after_review",
    "agreement",
    "ahp",
    "asks_outcome",
    "attributes",
    "auditable",
    "bland_altman",
    "bootstrap_interval",
    "bootstrapped",
    "borda",
    "calibrate",
    "chain_link",
    "chance_guard",
    "change_power",
    "checklist",
    "choices_of_wave",
    "comparability",
    "composite",
    "contributions",
    "corrections",
    "design_effect",
    "differences",
    "efa",
    "effect_power",
    "effective_weights",
    "effects_due",
    "enps",
    "expected_return",
    "first_probability",
    "fit",
    "fuzzy",
    "grey_relation",
    "htmt",
    "icc",
    "indicator_audit",
    "influence",
    "invariance",
    "judge_each_other",
    "kendall_w",
    "keying",
    "leaf_values",
    "link_versions",
    "lmg",
    "months_last",
    "nonresponse_bound",
    "notices",
    "overlap_intervals",
    "p_top",
    "plane",
    "power_after",
    "precision",
    "priority",
    "priority_weights",
    "rake",
    "rank_sets",
    "rank_sum_ratio",
    "rate",
    "read_weights",
    "reciprocity",
    "reconciliation",
    "regression_to_mean",
    "reliability",
    "review_audit",
    "robustness",
    "satisfaction",
    "screen",
    "self_against_final",
    "severity",
    "shrink",
    "shrunken",
    "skewed_interval",
    "sobol_shares",
    "split_half",
    "tiers",
    "topsis",
    "triangular",
    "validity",
    "weigh",
    "weigh_to_headcount",
    "win_probability",
]
