"""How often planted differences are found, by the chances before the law of the mean was learned and by today's; writes PLANTED.md.

git worktree add ../before c653449^
python benchmarks/planted.py --before ../before/src --waves 100

200 units as large as each other, equal weights. Ten of them are moved by so many points, in two ways: ``answers``, everybody there
thinks so much worse (better) and ticks accordingly; ``shift``, so many points are taken off (put on) everybody's score and the scatter
stays, which no answers on a scale with ends can do. Found: Benjamini and Hochberg's rule at .10. Beside it the share of waves in which
any unit is named where none was moved: where that is not held, what is found there is no yardstick.
"""

from __future__ import annotations

import argparse
import csv
import importlib.util
import sys
from collections.abc import Callable, Iterator
from itertools import product
from pathlib import Path
from types import ModuleType

import numpy as np
from scipy import stats

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
from simulated_waves import (
    POPULATIONS,
    ROLES,
    any_named,
    compare_p,
    contrast_p,
    planted,
    population,
    units_named,
    waves,
)

from dj_analysis.measure.inference import tails
from dj_analysis.measure.unitsums import UnitSums

RATE, UNITS, MOVED = 0.10, 200, 10
AT_ONCE = 10  # waves drawn at once
PEOPLE, POINTS = (20, 50, 100), (5, 8, 12)
NEVER_NAMED = 2.0  # standard errors below which a unit is named only where a third of all are: the normal tail will do
HERE = Path(__file__).parent
Sums = dict[str, np.ndarray]
Chances = dict[str, Callable[..., np.ndarray]]
WAYS = ("answers", "shift")
TITLES = {"answers": "Everybody thinks worse or better", "shift": "Points taken off or put on, scatter unchanged"}
COLUMNS = ("way", "chances", "method", "population", "people", "points", "waves", *ROLES)


def package(source: Path) -> ModuleType:
    """Load an earlier version of the package beside this one, under another name."""
    folder = source / "dj_analysis"
    spec = importlib.util.spec_from_file_location(
        "dj_analysis_before", folder / "__init__.py", submodule_search_locations=[str(folder)]
    )
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["dj_analysis_before"] = module
    spec.loader.exec_module(module)
    return module


def earlier_chances(source: Path) -> Chances:
    """Return p as the package of that version computes it: contrast by moderated t, compare by Welch's."""
    package(source)
    uncertainty = importlib.import_module("dj_analysis_before.measure.inference.uncertainty")
    contrast_module = importlib.import_module("dj_analysis_before.judge.contrast")
    block_of = importlib.import_module("dj_analysis_before.measure.unitsums").UnitSums

    def contrast(sums: Sums) -> np.ndarray:
        whole = {name: values.sum(axis=0, keepdims=True) for name, values in sums.items()}
        unit, rest = uncertainty.means(sums), uncertainty.means({name: whole[name] - sums[name] for name in sums})
        blocks = _block(sums, block_of), _block(whole, block_of)
        difference = unit.mean - whole["wx"] / whole["w"]
        outside = 1 - sums["w"] / whole["w"]
        return contrast_module._chances(difference, *blocks, (unit, rest), outside, np.ones(len(sums["n"]), dtype=bool))

    def compare(before: Sums, now: Sums) -> np.ndarray:
        earlier, later = uncertainty.means(before), uncertainty.means(now)
        variance = earlier.se**2 + later.se**2
        df = variance**2 / (earlier.se**4 / earlier.df + later.se**4 / later.df)
        return 2 * stats.t.sf(np.abs(later.mean - earlier.mean) / np.sqrt(variance), df)

    return {"contrast": contrast, "compare": compare}


def _block(sums: Sums, block_of: type[UnitSums]) -> UnitSums:
    units, cells = sums["n"].shape
    names = tuple(map(str, range(units))), tuple(("anchors", str(j)) for j in range(cells))
    return block_of("unit", *names, sums["n"][:, 0], sums)


def shares(
    way: str, chances: dict[str, Chances], kind: str, n: int, count: int, seed: int = 7
) -> Iterator[dict[str, object]]:
    """Return rows of the record: of nothing moved (points 0) waves (compare: waves and codes) with any unit named, else moved units found."""
    everybody = population(kind)
    draws = [waves(everybody, UNITS, n, count, seed=seed + 1000 * k + n, at_once=AT_ONCE) for k in range(2)]
    room = 100 - everybody.truth[0]  # planted lowers: negative points raise, as far as the scale goes
    points = [lowered for size in POINTS for lowered in (size, -size) if -lowered < room]
    others = {
        lowered: waves(population(kind, lowered=lowered), MOVED, n, count, seed=seed + 2000 + n, at_once=AT_ONCE)
        for lowered in (points if way == "answers" else ())
    }
    held: dict[tuple[str, str, int], list[np.ndarray]] = {}
    for first, second in zip(*draws, strict=True):
        for lowered in (0, *points):
            if lowered and way == "answers":
                moved = {
                    name: np.vstack([values, second[name][MOVED:]]) for name, values in next(others[lowered]).items()
                }
            else:
                moved = planted(second, lowered, MOVED) if lowered else second
            for label, versions in chances.items():
                for method, chance in versions.items():
                    with np.errstate(divide="ignore", invalid="ignore"):
                        p = chance(moved) if method == "contrast" else chance(first, moved)
                    held.setdefault((label, method, -lowered), []).append(p)
    for (label, method, moved_by), blocks in held.items():
        p = np.hstack(blocks)
        together = method == "contrast"
        row: dict[str, object] = dict(zip(COLUMNS, (way, label, method, kind, n, moved_by, count), strict=False))
        if moved_by:
            named = units_named(p, RATE, together)[:MOVED]
            yield row | {role: round(float(named[:, :, codes].mean()), 4) for role, codes in ROLES.items()}
        else:
            yield row | {role: round(float(any_.mean()), 4) for role, any_ in any_named(p, RATE, together).items()}


def table(rows: list[dict[str, str]]) -> str:
    """Return PLANTED.md: found before → now, in brackets where nothing was moved and more than the claim were named."""
    by_cell = {tuple(row[name] for name in COLUMNS[:6]): row for row in rows}
    count = int(rows[0]["waves"])
    moves = [str(sign * size) for sign in (-1, 1) for size in POINTS]
    lines = [
        "# Planted differences found, before the law of the mean and now",
        "",
        f"`python benchmarks/planted.py --before SRC`: {UNITS} units, equal weights, {MOVED} of them moved by so many points, {count} waves;"
        f" share of the moved found at q ≤ {RATE:.2f}, before → now; – beyond the scale.",
        f"*Nothing moved*: waves (compare: waves and codes) with any unit named, claimed {RATE:.2f}. Beyond {_bound(count):.2f} (99 % bound of"
        " so many waves) the rate was not held: **bold**, and what was found there in brackets, for it is no yardstick.",
    ]
    for way in WAYS:
        for role in ROLES:
            lines += ["", f"## {TITLES[way]}: {role}", ""]
            lines += ["| method | answers | n | nothing moved | " + " | ".join(f"{int(m):+d}" for m in moves) + " |"]
            lines += ["|" + "---|" * (4 + len(moves))]
            for method, kind, n in product(("contrast", "compare"), POPULATIONS, map(str, PEOPLE)):
                cells = [
                    tuple(by_cell.get((way, label, method, kind, n, move)) for label in ("before", "now"))
                    for move in ("0", *moves)
                ]
                lines += ["| " + " | ".join([method, kind, n, *_written(cells, role, _bound(count))]) + " |"]
    return "\n".join([*lines, ""])


def _bound(count: int) -> float:
    return float(stats.binom.ppf(0.995, count, RATE)) / count


def _written(cells: list[tuple[dict[str, str] | None, ...]], role: str, bound: float) -> Iterator[str]:
    """Return before → now of nothing moved, then of every move."""
    shares = [[float(row[role]) if row else np.nan for row in cell] for cell in cells]
    yield " → ".join(f"**{rate:.2f}**" if rate > bound else f"{rate:.2f}" for rate in shares[0])
    for before, now in shares[1:]:
        yield (
            "–"
            if np.isnan(now)
            else f"({before:.2f}) → {now:.2f}"
            if shares[0][0] > bound
            else f"{before:.2f} → {now:.2f}"
        )


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--before", type=Path, required=True, help="src of the earlier version")
    parser.add_argument("--waves", type=int, default=100)
    parser.add_argument("--record", type=Path, default=HERE / "planted.csv")
    given = parser.parse_args()
    chances: dict[str, Chances] = {
        "before": earlier_chances(given.before), "now": {"contrast": contrast_p, "compare": compare_p},
    }  # fmt: skip
    tails.NEAR = NEVER_NAMED
    known = list(csv.DictReader(given.record.open(encoding="utf-8", newline=""))) if given.record.exists() else []
    finished = {(row["way"], row["population"], row["people"]) for row in known}
    for way, kind, n in product(WAYS, POPULATIONS, PEOPLE):
        if (way, kind, str(n)) in finished:
            continue
        known += [
            {name: str(value) for name, value in row.items()} for row in shares(way, chances, kind, n, given.waves)
        ]
        with given.record.open("w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, COLUMNS)
            writer.writeheader()
            writer.writerows(known)
        print(way, kind, n, flush=True)
    (HERE / "PLANTED.md").write_text(table(known), encoding="utf-8")
