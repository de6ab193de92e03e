"""Ordered grades of a number, defined by cut points."""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any, Literal

import numpy as np

from ..errors import Problems

SLACK = 1e-9  # scores that are rational meet a cut point exactly; engines add in different orders (design: engine, section 1)


@dataclass(frozen=True)
class Band:
    """One grade: its cut point, side, required confidence and reason.

    Attributes
    ----------
    point
        Cut point on the scale of the graded number.
    side
        ``below``: the grade holds under the point; ``above``: over it.
    confidence
        Probability with which the number must lie on that side; None where the number itself is cut.
    at_least
        How many numbers (dimensions, say) must be on that side.
    """

    code: str
    point: float
    side: Literal["below", "above"]
    confidence: float | None = None
    at_least: int = 1
    label_zh: str = ""
    label_en: str = ""
    colour: str = ""
    reason: str = ""

    @property
    def sure(self) -> float:
        """Required probability; 0.5 (more likely than not) for a cut without one."""
        return 0.5 if self.confidence is None else self.confidence


@dataclass(frozen=True)
class Bands:
    """Grades of one number, from the mildest to the gravest.

    Examples
    --------
    >>> bands = Bands("pass", (Band("low", 60, "below"), Band("very low", 40, "below")))
    >>> bands.grade(np.array([70.0, 60.0, 59.9, 30.0])).tolist()
    ['', '', 'low', 'very low']
    """

    name: str
    bands: tuple[Band, ...]
    of: float | None = None

    def grade(self, values: np.ndarray) -> np.ndarray:
        """Cut numbers into grade codes; ``""`` where no grade holds or the number is missing.

        A number on a cut point (within 1e-9) is not below it and not above it.
        """
        codes = np.full(np.shape(values), "", dtype=object)
        for band in self.bands:
            codes[beyond(values, band.point, band.side)] = band.code
        return codes

    def grade_surely(self, probability: Callable[[float, str], np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
        """Return the most serious grade that holds with its required confidence.

        Parameters
        ----------
        probability
            Function of (point, side) → probability, one a row, that the number lies on that side; NaN if unknown.

        Returns
        -------
        codes, probabilities
            Grade codes (``""`` for none) and the probability of the grade given.
        """
        chances = [np.asarray(probability(band.point, band.side), dtype=float) for band in self.bands]
        codes = np.full(chances[0].shape, "", dtype=object)
        probabilities = np.full(chances[0].shape, np.nan)
        for band, chance in zip(self.bands, chances, strict=True):
            sure = chance >= band.sure - SLACK
            codes[sure], probabilities[sure] = band.code, chance[sure]
        return codes, probabilities


def beyond(values: np.ndarray, point: float, side: str) -> np.ndarray:
    """Tell which numbers lie strictly on one side of a point, with the package's slack; missing ones do not."""
    values = np.asarray(values, dtype=float)
    with np.errstate(invalid="ignore"):
        return values < point - SLACK if side == "below" else values > point + SLACK


def read_bands(path: Path | None, problems: Problems) -> Mapping[str, Bands]:
    """Read bands.toml; sections it does not name keep the package's defaults."""
    defaults = default_bands()
    if path is None or not path.exists():
        return defaults
    try:
        raw = tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        problems.add(path.name, "unreadable", error, "UTF-8 TOML", "改正所指的行 (correct the line named)")
        return defaults
    unknown = sorted(set(raw) - set(defaults))
    if unknown:
        problems.add(path.name, "unknown_setting", ", ".join(unknown), ", ".join(defaults), "改名 (rename it)")
    declared = {name: _bands(path.name, name, raw[name], problems) for name in raw if name in defaults}
    return {**defaults, **{name: bands for name, bands in declared.items() if bands.bands}}


@cache
def default_bands() -> Mapping[str, Bands]:
    """Return the cut points the package ships, each with its reason (spec/defaults/bands.toml)."""
    problems = Problems()
    raw = tomllib.loads(resources.files(__package__).joinpath("defaults/bands.toml").read_text(encoding="utf-8"))
    defaults = {name: _bands("bands.toml", name, section, problems) for name, section in raw.items()}
    problems.raise_if_any()
    return defaults


def _bands(place: str, name: str, section: Any, problems: Problems) -> Bands:
    where = f"{place} [{name}]"
    entries = section.get("band") if isinstance(section, dict) else None
    if not isinstance(entries, list) or not entries:
        problems.add(where, "band", section, "band = [{ code = …, below = … }]", "改正 (correct it)")
        return Bands(name, ())
    for key in sorted(set(section) - {"band", "of"}):
        problems.add(where, "unknown_setting", key, "of, band", "删去 (remove it)")
    bands = [band for entry in entries if (band := _band(where, entry, problems)) is not None]
    for side in ("below", "above"):
        points = [band.point for band in bands if band.side == side]
        if points != sorted(points, reverse=side == "below"):
            problems.add(where, "band_order", points, "由轻到重 (mild to grave)", "改变次序 (reorder)")
    of = section.get("of")
    if of is not None and not _is_number(of):
        problems.add(f"{where} of", "wrong_type", of, "数 (number)", "改为数字 (write a number)")
        of = None
    return Bands(name, tuple(bands), of)


def _band(where: str, entry: Any, problems: Problems) -> Band | None:
    sides = [side for side in ("below", "above") if isinstance(entry, dict) and side in entry]
    if len(sides) != 1 or not isinstance(entry.get("code"), str) or not _is_number(entry[sides[0]]):
        code = entry.get("code", "?") if isinstance(entry, dict) else "?"
        problems.add(f"{where} {code}", "band", entry, "code 和 below 或 above = 数", "改正 (correct it)")
        return None
    rest = {key: entry[key] for key in entry if key not in sides}
    for key in sorted(set(rest) - set(Band.__dataclass_fields__)):
        problems.add(
            f"{where} {entry['code']}", "unknown_setting", key, ", ".join(Band.__dataclass_fields__), "删去 (remove)"
        )
        del rest[key]
    confidence, at_least = rest.get("confidence"), rest.get("at_least", 1)
    if confidence is not None and not (_is_number(confidence) and 0 < confidence < 1):
        problems.add(f"{where} {entry['code']} confidence", "range", confidence, "0–1", "写成小数,如 0.8 (a decimal)")
        del rest["confidence"]
    if isinstance(at_least, bool) or not isinstance(at_least, int) or at_least < 1:
        problems.add(f"{where} {entry['code']} at_least", "range", at_least, ">= 1", "改为正整数 (a whole number)")
        del rest["at_least"]
    side: Literal["below", "above"] = "below" if sides[0] == "below" else "above"
    return Band(point=float(entry[sides[0]]), side=side, **rest)


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)
