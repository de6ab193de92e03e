"""Draws of the means of units: their errors, and the order of the units in each draw, in random streams that do not depend on threads."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cache

import numpy as np
from scipy import stats

DRAWS_AT_ONCE = 20  # draws of one random stream, few enough for 10,000 units to stay in the processor's cache
LEVELS, FINE = 65_534, 0.02  # draws are sorted as 16-bit numbers where a step is within this part of every error
LEAST_ERROR = 1e-5  # of the spread of the means: what an error of 0 counts in a draw, so that equals come in any order


def random_streams(draws: int, seed: int) -> Iterator[tuple[np.random.Generator, int]]:
    """Yield one random generator for each block of draws, with the number of draws in it."""
    blocks = -(-draws // DRAWS_AT_ONCE)
    for i, stream in enumerate(np.random.SeedSequence(seed).spawn(blocks)):
        yield np.random.default_rng(stream), min(DRAWS_AT_ONCE, draws - i * DRAWS_AT_ONCE)


def drawn_errors(s: np.ndarray, f: np.ndarray, draws: int, seed: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Draw studentised errors and the standard errors they were divided by, draws × units, a block at a time."""
    yield from (_error_block(rng, size, s, f) for rng, size in random_streams(draws, seed))


def _error_block(rng: np.random.Generator, size: int, s: np.ndarray, f: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    estimated = np.isfinite(f)
    e: np.ndarray = rng.standard_normal((size, s.size), dtype=np.float32)
    a: np.ndarray = np.broadcast_to(s.astype(np.float32), e.shape)
    if estimated.any():
        half = np.where(estimated, f / 2, 1).astype(np.float32)
        gamma = rng.standard_gamma(half, e.shape, dtype=np.float32)
        root = np.sqrt(np.where(estimated, gamma / half, np.float32(1)))
        e, a = e / root, a * root
    return e, a


def drawn_orders(x: np.ndarray, s: np.ndarray, f: np.ndarray) -> Callable[[np.random.Generator, int], np.ndarray]:
    """Return the function (random stream, draws) → draws × units: the units of each draw from the highest down."""
    floor = np.maximum(s, LEAST_ERROR * (np.ptp(x) or 1.0))
    reach = float(_normal_points()[-1])
    top, bottom = (x + reach * floor).max(), (x - reach * floor).min()
    whole = bool(np.isinf(f).all() and (top - bottom) / LEVELS <= FINE * floor.min())
    scale = LEVELS / (top - bottom) if whole else 1.0  # from the top downwards: the smallest comes first
    start, unit = ((top - x) * scale).astype(np.float32), (floor * scale).astype(np.float32)
    wide, narrow, bits = (np.uint32, np.uint16, 16) if x.size <= 2**16 else (np.uint64, np.uint32, 32)
    number = np.arange(x.size, dtype=wide)

    def draw_orders(rng: np.random.Generator, size: int) -> np.ndarray:
        e = _plain_errors(rng, size, f)
        drawn = np.add(start, np.multiply(e, -unit, out=e), out=e)
        if not whole:
            return np.argsort(drawn, axis=1)
        packed = drawn.astype(wide)  # draw and number of a unit in one whole number: sorted faster than indices are
        packed <<= bits
        packed |= number
        packed.sort(axis=1)
        return packed.astype(narrow)  # the number alone

    return draw_orders


def _plain_errors(rng: np.random.Generator, size: int, f: np.ndarray) -> np.ndarray:
    """Draw normal errors from a table of 65,536 equally likely points (±4.3); Student's t where df are given."""
    if np.isfinite(f).any():
        return _error_block(rng, size, np.ones(f.size), f)[0]
    four_each = rng.integers(0, 2**64, -(-size * f.size // 4), dtype=np.uint64).view(np.uint16)
    return np.take(_normal_points(), four_each[: size * f.size].reshape(size, f.size), mode="wrap")


@cache
def _normal_points() -> np.ndarray:
    return stats.norm.ppf((np.arange(2**16) + 0.5) / 2**16).astype(np.float32)
