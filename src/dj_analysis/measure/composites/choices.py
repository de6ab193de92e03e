"""Specification of a composite score beyond the tree."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Literal

from ...errors import UsageError, unknown
from .aggregators import Aggregator, aggregator
from .normalisers import HIGH, LOW, Normaliser, normaliser
from .preparing import IMPUTATIONS, Imputation


@dataclass(frozen=True)
class Choices:
    """Choices of method beyond the tree; the defaults are those of :func:`dj_analysis.score`.

    Attributes
    ----------
    denominator
        Indicator → column it is divided by (population, headcount, …).
    impute
        ``mean`` or ``median`` of all units, ``group_mean`` of the unit's group; None leaves gaps, whose weight goes to the
        others (``reweight``).
    treat
        ``winsorise`` holds indicators with |skewness| > 2 and kurtosis > 3.5, up to five points.
    normaliser
        A name of :data:`~dj_analysis.measure.normalisers.NORMALISERS`, or a researcher's own.
    options
        Further arguments of the normaliser, as ``{"mean": 0, "sd": 1}`` of z.
    targets
        Indicator → target, for ``distance_to_target``.
    cut
        Cut normalised values to 0–100: a later period may lie beyond the ends that were learned.
    floor
        Squeeze normalised values from 0–100 to floor–100, so that the worst unit is not 0 under a geometric mean.
    aggregator
        A name of :data:`~dj_analysis.measure.aggregators.AGGREGATORS`, or a researcher's own function.
    reweight
        Whether the weight of missing children goes to their siblings.
    zeros
        Under the geometric and the harmonic mean a value of 0 is an ``error``, or makes the whole 0 (``limit``).
    min_share
        Least share of the leaves below a node that must have been there before imputation; None leaves the tree's own
        rule, by which an imputed leaf does not count as answered.
    """

    denominator: Mapping[str, str] = field(default_factory=dict)
    impute: Imputation | None = None
    treat: Literal["winsorise"] | None = None
    normaliser: str | Normaliser = "goalposts"
    options: Mapping[str, float] = field(default_factory=dict)
    targets: Mapping[str, float] = field(default_factory=dict)
    cut: bool = False
    floor: float = 0.0
    aggregator: str | Aggregator = "arithmetic"
    reweight: bool = True
    zeros: Literal["error", "limit"] = "error"
    min_share: float | None = None

    def __post_init__(self) -> None:
        aggregator(self.aggregator)
        option_names = normaliser(self.normaliser).takes
        for name in self.options:
            if name not in option_names:
                raise unknown("options", name, option_names)
        valid = {"impute": (None, *IMPUTATIONS), "treat": (None, "winsorise"), "zeros": ("error", "limit")}
        for name, allowed in valid.items():
            if getattr(self, name) not in allowed:
                raise unknown(name, getattr(self, name), allowed)
        if not LOW <= self.floor < HIGH:
            raise UsageError(f"floor = {self.floor:g},应在 0 与 100 之间 (0 <= floor < 100 is needed)")
        if self.min_share is not None and not 0 <= self.min_share <= 1:
            raise UsageError(f"min_share = {self.min_share:g},应在 0 与 1 之间 (0 <= min_share <= 1 is needed)")

    @property
    def plain(self) -> dict[str, Any]:
        """The choices as plain values for JSON."""
        values = {item.name: getattr(self, item.name) for item in fields(self)}
        values["denominator"] = dict(self.denominator)
        for name in ("options", "targets"):
            values[name] = {key: float(value) for key, value in getattr(self, name).items()}
        aggregator_name = self.aggregator if isinstance(self.aggregator, str) else self.aggregator.__name__
        return values | {"normaliser": normaliser(self.normaliser).name, "aggregator": aggregator_name}

    @property
    def as_scored(self) -> bool:
        """Whether these are the choices of :func:`dj_analysis.score`."""
        return self.plain == Choices(denominator=self.denominator).plain
