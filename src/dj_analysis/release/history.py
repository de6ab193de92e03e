"""What left of each wave so far."""

from __future__ import annotations

from typing import Any

from ..record import Record
from .earlier import EarlierRelease
from .store import Store

FROZEN = ("close", "correction")


class History:
    """What left of each wave so far, read from the record and the store.

    Parameters
    ----------
    record, store
        The workspace's.
    """

    def __init__(self, record: Record, store: Store):
        self.record, self.store = record, store

    def told(self, period: str) -> list[dict[str, Any]]:
        """Return the events by which something of a wave left: drafts that were sent, its closing, its corrections."""
        told = []
        for event in self.record.told("publication", "close", "correction"):
            same = {name: event[name] for name in ("seq", "time", "kind")}
            told += [event] if "store" in event else []
            told += [release | same for release in event.get("releases", [])]
        return [one for one in told if one["period"] == period]

    def of(self, period: str) -> list[EarlierRelease]:
        """Return what left of a wave, in order."""
        return [
            EarlierRelease(self.store.mask(told["store"]), self.store.rows(told["store"])) for told in self.told(period)
        ]

    def last(self, period: str) -> dict[str, Any] | None:
        """Return the newest event by which something of a wave left."""
        told = self.told(period)
        return told[-1] if told else None

    def frozen(self, period: str) -> dict[str, Any] | None:
        """Return the event that closed a wave, or its last correction; None while the wave is open."""
        found = [told for told in self.told(period) if told["kind"] in FROZEN]
        return found[-1] if found else None

    @property
    def closed(self) -> list[str]:
        """Waves that are closed."""
        return sorted({told["period"] for told in self.record.told(*FROZEN)})

    def corrections(self, period: str) -> list[str]:
        """Return the reasons of a wave's corrections."""
        return [told["reason"] for told in self.record.told("correction") if told["period"] == period]

    def waiting(self, period: str) -> int:
        """Return how many answers are known to have come too late: told by the last closing or correction, or since."""
        late = 0
        for told in (told for told in self.record.told(*FROZEN, "late") if told["period"] == period):
            late = told["late"] + (late if told["kind"] == "late" else 0)
        return late

    def forget(self, period: str, *, rows: bool = False) -> None:
        """Delete what the store kept of a wave in passing: two sums that differ by one person tell his answers.

        Parameters
        ----------
        rows
            Delete as well which answer sheets each release rested on; the sums stay.
        """
        self.store.sweep(period, {told["store"] for told in self.told(period)}, rows=rows)

    def purged(self, period: str) -> bool:
        """Tell whether the answers of a wave were deleted."""
        return any(told["period"] == period for told in self.record.told("purge"))
