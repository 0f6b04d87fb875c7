"""How long to wait: between retries, between polls, and before a request is due. All times are seconds."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from airflow_provider_zbackup.zilliz.errors import ZillizThrottledError

#: The shortest pause between two polls, except the last pause before a deadline.
SHORTEST_PAUSE = 1.0
#: A longer ``Retry-After`` is cut to this.
LONGEST_RETRY_AFTER = 120.0


class Clock:
    """Tells the time and lets it pass. Tests replace it, so that no test waits."""

    def time(self) -> float:
        """Return the seconds since the epoch."""
        return time.time()

    def monotonic(self) -> float:
        """Return seconds that are never set back; only their differences mean something."""
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        time.sleep(seconds)

    async def asleep(self, seconds: float) -> None:
        """Sleep without blocking the event loop."""
        await asyncio.sleep(seconds)


#: The real one.
CLOCK = Clock()


def jitter(longest: float) -> float:
    """Return a pause drawn at random, so that many waits for the same moment do not all act at once."""
    return random.uniform(0, longest)  # noqa: S311 - spreads load, protects nothing


def backoff(first: float = 0.5, longest: float = 30.0) -> Iterator[float]:
    """Yield ever longer pauses between retries, each drawn at random so that clients spread out."""
    step = first
    while True:
        yield step / 2 + jitter(step / 2)
        step = min(step * 2, longest)


def poll_pause(age: float, progress: int | None, longest: float) -> float:
    """
    Return the pause before the next poll at something that is under way.

    Without progress it is a tenth of the age, so the end is noticed within a tenth of the whole time; a young
    job is polled every second or two. With progress it is half of the estimated rest, which takes fewer
    polls, but at most half of the age, since progress may jump. ``benchmarks/pacing.py`` shows the effect.

    :param age: how long the work has taken so far
    :param progress: how much of the work is done, in per cent, where known
    :param longest: the user's limit
    """
    if progress:
        remaining = age * (100 - progress) / progress
        # Work may stay near its end for long: do not poll it every second.
        pause = max(min(age, remaining) / 2, age / 200)
    else:
        pause = max(min(2.0, age / 3), age / 10)
    pause *= 0.9 + jitter(0.2)
    return max(SHORTEST_PAUSE, min(pause, longest))


def parse_retry_after(value: str | None, now: float) -> float | None:
    """
    Return the seconds that a ``Retry-After`` header asks for, within limits.

    :param value: the header: a number of seconds, or a date
    :param now: the server's time, for a date
    """
    if value is None:
        return None
    try:
        seconds = float(value)
    except ValueError:
        date = parse_http_date(value)
        if date is None:
            return None
        seconds = date.timestamp() - now
    return max(0.0, min(seconds, LONGEST_RETRY_AFTER)) if seconds == seconds else None


def parse_http_date(value: str | None) -> datetime | None:
    """Return the time in an HTTP date such as that of the ``Date`` header."""
    try:
        date = parsedate_to_datetime(value or "")
    except (ValueError, OverflowError):
        return None
    return date if date.tzinfo else date.replace(tzinfo=UTC)


class RequestBudget:
    """
    Keeps the requests of one client below a rate, and stops them while the service asks to wait.

    :param per_second: requests per second in the long run
    """

    def __init__(self, per_second: float) -> None:
        self._interval = 1 / per_second
        # A short burst is harmless, and spares the few requests of one task any pause.
        self._burst = max(0.0, 1.0 - self._interval)
        self._next = 0.0
        self._held_until = 0.0
        self._seen = 0.0

    def take(self, now: float) -> float:
        """
        Return 0 and count a request if it may be sent now; else return how long to wait before asking again.

        :raises ZillizThrottledError: during such a stop: the caller decides how to wait
        """
        if now < self._seen:
            # The clock has been set back.
            self._next -= self._seen - now
            self._held_until -= self._seen - now
        self._seen = now
        if now < self._held_until:
            raise ZillizThrottledError(
                "Zilliz Cloud asked to wait, so nothing was sent.",
                retry_after=self._held_until - now,
                unprocessed=True,
            )
        if now < self._next:
            return self._next - now
        self._next = max(self._next, now - self._burst) + self._interval
        return 0.0

    def hold(self, until: float) -> None:
        """Stop all requests until a moment."""
        self._held_until = max(self._held_until, until)
