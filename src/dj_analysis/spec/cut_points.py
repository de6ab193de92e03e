"""The cut points and rules of warning as they held when a wave was closed: later changes of the files do not move them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, replace
from typing import Any

from .bands import Band, Bands
from .specification import Specification

BANDS = ("warning", "warning_dimension", "low_answers")
RULES = ("response", "change", "alerts")


def cut_points(spec: Specification) -> dict[str, Any]:
    """Return what decides warnings, as plain values for the record: bands without their labels, parameters of the rules."""
    numbers = ("code", "point", "side", "confidence", "at_least")
    bands = {
        name: {
            "of": spec.bands[name].of,
            "band": [{key: getattr(band, key) for key in numbers} for band in spec.bands[name].bands],
        }
        for name in BANDS
    }
    return {"bands": bands, "rules": {name: asdict(getattr(spec.rules, name)) for name in RULES}}


def with_cut_points(spec: Specification, kept: Mapping[str, Any]) -> Specification:
    """Return the specification with the cut points of :func:`cut_points`; as it is where none were kept."""
    if not kept:
        return spec
    bands = {
        name: Bands(name, tuple(Band(**band) for band in section["band"]), section["of"])
        for name, section in kept["bands"].items()
    }
    rules = {name: replace(getattr(spec.rules, name), **kept["rules"][name]) for name in RULES}
    return replace(spec, bands={**spec.bands, **bands}, rules=replace(spec.rules, **rules))
