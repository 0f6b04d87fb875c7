"""The clocks of all tests that wait."""

from __future__ import annotations

import asyncio
import time
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


class FastClock(Clock):
    """Real time, many times as fast, for an Airflow and an emulator in two processes."""

    SPEED = 10

    def __init__(self, origin: float) -> None:
        """
        Start a clock.

        :param origin: when all clocks of this origin show the real time, in seconds since the epoch
        """
        self._origin = origin

    def time(self) -> float:
        return self._origin + (time.time() - self._origin) * self.SPEED

    def monotonic(self) -> float:
        return time.monotonic() * self.SPEED

    def sleep(self, seconds: float) -> None:
        time.sleep(seconds / self.SPEED)

    async def asleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds / self.SPEED)
