"""The structure of the enterprise: place, size of each branch, timing of changes."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from ..spec.periods import parse


@dataclass(frozen=True)
class Layout:
    """Place and size of each branch, with the waves of the series."""

    cities: int
    departments: int
    home: np.ndarray  # branches: city (0, 1, …) or department (after the cities)
    sizes: np.ndarray  # branches: staff
    periods: tuple[str, ...]

    @property
    def codes(self) -> list[str]:
        """Unit codes of the branches."""
        return [f"B{i + 1:03d}" for i in range(len(self.home))]

    @property
    def in_city(self) -> np.ndarray:
        """Whether each branch belongs to a city; the others belong to departments."""
        return self.home < self.cities

    @property
    def numbers(self) -> np.ndarray:
        """Running number of each branch within its city or department."""
        return np.arange(len(self.home)) - np.searchsorted(self.home, self.home)

    @property
    def middle(self) -> str:
        """The wave from which the merger and the new wording hold; empty in a series of one wave."""
        return self.periods[len(self.periods) // 2] if len(self.periods) > 1 else ""

    @cached_property
    def merged(self) -> tuple[int, ...]:
        """The two branches that merge: the smallest ones of the last city with at least three."""
        for city in reversed(range(self.cities if self.middle else 0)):
            here = np.flatnonzero(self.home == city)
            if len(here) >= 3:
                return tuple(int(branch) for branch in sorted(here[np.argsort(self.sizes[here], kind="stable")[:2]]))
        return ()

    @property
    def silent(self) -> int:
        """The low-response branch: the city branch of median size, so that ten people still answer."""
        order = [int(b) for b in np.argsort(self.sizes, kind="stable") if self.in_city[b] and b not in self.merged]
        return order[len(order) // 2]

    def place_code(self, place: int) -> str:
        """Unit code of a city or department."""
        return f"C{place + 1:02d}" if place < self.cities else f"M{place - self.cities + 1:02d}"


def draw_layout(employees: int, branches: int, periods: tuple[str, ...], rng: np.random.Generator) -> Layout:
    """Spread branches over cities and departments, and staff over branches."""
    cities, departments = min(11, max(1, branches // 4)), min(25, branches // 6)
    extra = rng.multinomial(branches - departments - cities, rng.dirichlet(np.full(cities, 8.0)))
    home = np.repeat(np.arange(cities + departments), [*(1 + extra), *([1] * departments)])
    return Layout(cities, departments, home, _sizes(employees, home < cities, rng), periods)


def is_full(period: str) -> bool:
    """Tell whether a wave asks the full form: the third quarter of every year does."""
    return parse(period).number == 3


def _sizes(employees: int, in_city: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Staff of each branch: departments 8–30, cities unequal with a heavy tail, one city branch in 25 very small."""
    mean = employees / len(in_city)
    sizes = np.minimum(rng.integers(8, 31, len(in_city)), max(2, int(1.5 * mean)))
    tiny = np.flatnonzero(in_city)[12::25] if mean >= 40 else np.array([], dtype=int)
    sizes[tiny] = rng.integers(9, 14, len(tiny))
    others = np.setdiff1d(np.flatnonzero(in_city), tiny)
    sizes[others] = _unequal(employees - sizes.sum() + sizes[others].sum(), len(others), rng)
    return sizes


def _unequal(staff: int, branches: int, rng: np.random.Generator) -> np.ndarray:
    """Allocate staff to branches with a heavy tail, rounded by largest remainders."""
    least = min(20, int(0.35 * staff / branches))
    weights = np.minimum(rng.lognormal(0.0, 0.7, branches), rng.uniform(2.8, 3.8, branches))
    share = (staff - least * branches) * weights / weights.sum()
    sizes = least + np.floor(share).astype(int)
    sizes[np.argsort(np.floor(share) - share, kind="stable")[: staff - sizes.sum()]] += 1
    return sizes
