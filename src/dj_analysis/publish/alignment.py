"""Which paragraph of one text is which of another."""

from __future__ import annotations

from collections.abc import Sequence
from difflib import SequenceMatcher

ALIKE = 0.4  # share of letters in common from which one paragraph counts as the other, changed
MOST_PAIRS = 4000  # pairs compared letter by letter; longer stretches that differ are paired in their order


def aligned(before: Sequence[str], after: Sequence[str]) -> list[tuple[int | None, int | None]]:
    """Pair the paragraphs of two texts, in order; None stands where one has no counterpart.

    Examples
    --------
    >>> from dj_analysis.publish.alignment import aligned
    >>> aligned(["指数65分。", "说明。"], ["指数66分。", "另有一段。", "说明。"])
    [(0, 0), (None, 1), (1, 2)]
    """
    pairs: list[tuple[int | None, int | None]] = []
    for kind, first, last, start, stop in SequenceMatcher(None, before, after, autojunk=False).get_opcodes():
        if kind == "equal":
            pairs += zip(range(first, last), range(start, stop), strict=True)
        else:
            pairs += _paired(before, after, range(first, last), range(start, stop))
    return pairs


def _paired(before: Sequence[str], after: Sequence[str], old: range, new: range) -> list[tuple[int | None, int | None]]:
    """Pair stretches that differ so that the pairs have most in common, in order."""
    if len(old) * len(new) > MOST_PAIRS:
        common = min(len(old), len(new))
        rest = [(one, None) for one in old[common:]] + [(None, one) for one in new[common:]]
        return [*zip(old[:common], new[:common], strict=True), *rest]
    best = [[0.0] * (len(new) + 1) for _ in range(len(old) + 1)]
    alike = [[_likeness(before[i], after[j]) for j in new] for i in old]
    for i in reversed(range(len(old))):
        for j in reversed(range(len(new))):
            taken = alike[i][j] + best[i + 1][j + 1] if alike[i][j] >= ALIKE else 0.0
            best[i][j] = max(taken, best[i + 1][j], best[i][j + 1])
    pairs: list[tuple[int | None, int | None]] = []
    i = j = 0
    while i < len(old) and j < len(new):
        if alike[i][j] >= ALIKE and best[i][j] == alike[i][j] + best[i + 1][j + 1]:
            pairs.append((old[i], new[j]))
            i, j = i + 1, j + 1
        elif best[i][j] == best[i + 1][j]:
            pairs.append((old[i], None))
            i += 1
        else:
            pairs.append((None, new[j]))
            j += 1
    return [*pairs, *((one, None) for one in old[i:]), *((None, one) for one in new[j:])]


def _likeness(one: str, other: str) -> float:
    matcher = SequenceMatcher(None, one, other, autojunk=False)
    return matcher.ratio() if matcher.quick_ratio() >= ALIKE else 0.0
