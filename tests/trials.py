"""How often a simulation is repeated: as often as its claim says where everything is asked for, less often every day.

``make test`` draws a fifth, of long ones a tenth; ``DJ_EVERYTHING=1``, which ``.ci/run`` sets, draws all of them. Bounds of what
is accepted are computed from the number drawn, so that a smaller number accepts more and proves less, and never something else.
"""

from __future__ import annotations

import os

EVERYTHING = "DJ_EVERYTHING" in os.environ


def trials(claimed: int, least: int = 100, share: int = 5) -> int:
    """Number of repetitions of this run: ``claimed`` where everything is asked for, else a fifth, ``least`` at the least.

    A long simulation draws one in ``share`` every day.
    """
    return claimed if EVERYTHING else min(claimed, max(claimed // share, least))
