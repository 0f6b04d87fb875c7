"""The one clock of all tests that wait."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from airflow_provider_zbackup.zilliz.pacing import Clock

#: Monday, 2026-03-02, 10:00:00 UTC, in seconds since the epoch.
START = 1_772_445_600.0


class VirtualClock(Clock):
    """Time that passes only when somebody sleeps; sleeping takes no time."""

    def __init__(self, now: float = START) -> None:
        self.now = now
        self.slept: list[float] = []
        self._events: list[tuple[float, Callable[[], Any]]] = []

    def time(self) -> float:
        return self.now

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        end = self.now + seconds
        while self._events and self._events[0][0] <= end:
            self.now, action = self._events.pop(0)
            action()
        self.now = end

    async def asleep(self, seconds: float) -> None:
        self.sleep(seconds)
        await asyncio.sleep(0)

    def at(self, seconds: float, action: Callable[[], Any]) -> None:
        """Do something in so many seconds, while somebody sleeps."""
        self._events.append((self.now + seconds, action))
        self._events.sort(key=lambda event: event[0])
