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

    def releases(self, period: str) -> list[dict[str, Any]]:
        """Return the events by which something of a wave left: drafts that were sent, its closing, its corrections."""
        events = []
        for event in self.record.payloads("publication", "close", "correction"):
            same = {name: event[name] for name in ("seq", "time", "kind")}
            events += [event] if "store" in event else []
            events += [release | same for release in event.get("releases", [])]
        return [one for one in events if one["period"] == period]

    def of(self, period: str) -> list[EarlierRelease]:
        """Return what left of a wave, in order."""
        return [
            EarlierRelease(self.store.mask(event["store"]), self.store.rows(event["store"]))
            for event in self.releases(period)
        ]

    def last(self, period: str) -> dict[str, Any] | None:
        """Return the newest event by which something of a wave left."""
        events = self.releases(period)
        return events[-1] if events else None

    def frozen(self, period: str) -> dict[str, Any] | None:
        """Return the event that closed a wave, or its last correction; None while the wave is open."""
        events = [event for event in self.releases(period) if event["kind"] in FROZEN]
        return events[-1] if events else None

    @property
    def closed(self) -> list[str]:
        """Waves that are closed."""
        return sorted({event["period"] for event in self.record.payloads(*FROZEN)})

    def corrections(self, period: str) -> list[str]:
        """Return the reasons of a wave's corrections."""
        return [event["reason"] for event in self.record.payloads("correction") if event["period"] == period]

    def waiting(self, period: str) -> int:
        """Return how many answers are known to have come too late: told by the last closing or correction, or since."""
        late = 0
        for event in (event for event in self.record.payloads(*FROZEN, "late") if event["period"] == period):
            late = event["late"] + (late if event["kind"] == "late" else 0)
        return late

    def forget(self, period: str, *, rows: bool = False) -> None:
        """Delete what the store kept of a wave in passing: two sums that differ by one person tell his answers.

        Parameters
        ----------
        rows
            Delete as well which answer sheets each release rested on; the sums stay.
        """
        self.store.sweep(period, {event["store"] for event in self.releases(period)}, rows=rows)

    def purged(self, period: str) -> bool:
        """Tell whether the answers of a wave were deleted."""
        return any(event["period"] == period for event in self.record.payloads("purge"))
