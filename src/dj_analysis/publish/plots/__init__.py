"""Figures: one function each, one file a family; each draws the table it is given."""

from __future__ import annotations

from .choice_figures import plot_choices
from .cluster_figures import plot_clusters, plot_profiles, plot_stability
from .contribution_figures import plot_contributions
from .driver_figures import plot_drivers
from .effect_figures import plot_event, plot_its
from .plane_figures import plot_plane
from .rank_figures import plot_ranks
from .trend_figures import plot_linked, plot_trend
from .unit_figures import plot_heat, plot_response, plot_scores
from .warning_figures import plot_warnings

_DRAWN = (
    plot_scores,
    plot_heat,
    plot_trend,
    plot_linked,
    plot_response,
    plot_ranks,
    plot_clusters,
    plot_profiles,
    plot_stability,
    plot_plane,
    plot_choices,
    plot_its,
    plot_event,
    plot_drivers,
    plot_contributions,
    plot_warnings,
)
PLOTS = {function.__name__: function for function in _DRAWN}
