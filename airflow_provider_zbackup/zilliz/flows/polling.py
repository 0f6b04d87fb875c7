"""The loop of every wait: poll, decide, pause."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import NamedTuple, TypeVar

from airflow_provider_zbackup.zilliz.errors import (
    ZillizAuthenticationError,
    ZillizConfigurationError,
    ZillizError,
    ZillizJobFailedError,
    ZillizLostError,
    ZillizNotFoundError,
    ZillizPermanentError,
    ZillizTimeoutError,
    ZillizTransientError,
)
from airflow_provider_zbackup.zilliz.flows.steps import Flow, Pause, Reply, now
from airflow_provider_zbackup.zilliz.pacing import backoff, poll_pause

T = TypeVar("T")

#: Look-ups may not find a job or backup for this long after its creation, in seconds.
LOOK_UP_LAG = 30.0
#: A wait rides out a refused API key or an unusable connection for this long, in seconds: somebody may be
#: exchanging the key.
KEY_GRACE = 120.0
#: A wait gives up after this long of refusals whose codes are not understood, in seconds.
LONGEST_REFUSAL = 300.0
#: A wait writes to the log this often, in seconds, even when nothing changes.
LONGEST_SILENCE = 300.0
#: A wait that ends within this time is not handed over, in seconds.
NEAR_END = 6.0
#: Pause between two polls that confirm each other, in seconds.
CONFIRMATION_PAUSE = 2.0


class Wait(NamedTuple):
    """
    How to wait for something that is under way.

    Times are seconds since the epoch, because a wait can move to another process.

    :param deadline: when to give up
    :param longest_pause: the longest pause between two polls, in seconds
    :param since: when the work began, where that is known
    :param leave_after: when to hand the wait over, unless the end is near
    :param not_before: when to poll for the first time
    """

    deadline: float
    longest_pause: float = 60.0
    since: float | None = None
    leave_after: float | None = None
    not_before: float | None = None


class PollResult(NamedTuple):
    """
    What one poll showed.

    :param state: the state in words; the log shows each change
    :param done: whether the wait is over
    :param progress: per cent, where known
    :param age: how long the work has taken so far, in seconds, where known
    :param to_confirm: whether one more poll is needed to be sure
    """

    state: str
    done: bool = False
    progress: int | None = None
    age: float | None = None
    to_confirm: bool = False


class Finish(NamedTuple):
    """The wait is over."""

    note: str


class HandOver(NamedTuple):
    """It is time to leave the wait to another process."""

    note: str
    is_trouble: bool = False


class PollAgain(NamedTuple):
    """
    The wait goes on.

    :param pause: before the next poll, in seconds
    :param note: a line for the log, if there is news
    :param max_age: how old an answer the next poll may share, in seconds
    :param is_trouble: whether the poll failed
    """

    pause: float
    note: str | None
    max_age: float
    is_trouble: bool = False


class WaitState:
    """
    Decides what follows a poll, without I/O or clock.

    ==================================  ===================================================================
    what the poll showed                what follows
    ==================================  ===================================================================
    the end                             :class:`Finish`
    work under way                      :class:`PollAgain`, the sooner the younger or the nearer to its end
    the first of two good polls         :class:`PollAgain`, soon
    a transient error                   :class:`PollAgain`, after a backoff or when ``Retry-After`` allows
    not found                           the same, for up to :data:`LOOK_UP_LAG` seconds in a row
    no usable API key                   the same, for up to :data:`KEY_GRACE` seconds in a row
    a refusal                           the same, for up to :data:`LONGEST_REFUSAL` seconds
    anything else                       the error is raised
    any other, at the deadline          :class:`ZillizTimeoutError` is raised
    work under way or a transient       :class:`HandOver`, unless the end is near
    error, at ``leave_after``
    ==================================  ===================================================================

    :param begin: when the wait began, in seconds since the epoch
    """

    def __init__(self, wait: Wait, begin: float) -> None:
        self._wait = wait
        self._begin = self._since = begin if wait.since is None else min(wait.since, begin)
        self._trouble_since: dict[str, float] = {}
        self._pauses = backoff(first=1.0)
        self._logged, self._logged_at = "", begin

    def after(self, outcome: PollResult | ZillizError, time: float) -> Finish | HandOver | PollAgain:
        """
        Decide what follows a poll.

        :param outcome: what it showed, or how it failed
        :param time: now, in seconds since the epoch
        """
        is_trouble = isinstance(outcome, ZillizError)
        if isinstance(outcome, ZillizError):
            self._raise_unless_it_may_pass(outcome, time)
            result = PollResult(str(outcome).rstrip("."))
            retry_after = outcome.retry_after or 0.0
            pause = max(next(self._pauses), retry_after)
            may_hand_over = isinstance(outcome, ZillizTransientError)
        elif outcome.done:
            return Finish(f"{outcome.state}; {time - self._since:.0f} s elapsed.")
        elif outcome.to_confirm:
            # Also at the deadline: an error would say that what was waited for has come.
            self._forget_trouble()
            return PollAgain(CONFIRMATION_PAUSE, self._note(outcome, CONFIRMATION_PAUSE, time), max_age=0.0)
        else:
            result = outcome
            self._forget_trouble()
            if result.age is not None:
                self._since = min(self._since, time - result.age)
            retry_after = 0.0
            pause = poll_pause(time - self._since, result.progress, self._wait.longest_pause)
            may_hand_over = True
        if time >= self._wait.deadline:
            raise ZillizTimeoutError(f"Gave up after {time - self._begin:.0f} s. Last seen: {result.state}.")
        if self._wait.leave_after is not None and may_hand_over:
            # If Retry-After ends after leave_after, hand over now.
            if time + retry_after >= self._wait.leave_after and not self._is_near_end(result, time):
                # No time in the text: a sensor that pokes logs it only when it changes.
                return HandOver(f"{result.state}.", is_trouble)
            if time < self._wait.leave_after:
                pause = min(pause, self._wait.leave_after - time)
        pause = max(0.1, min(pause, self._wait.deadline - time))
        # Waits share answers, so many waits for one thing send hardly more requests than one.
        return PollAgain(pause, self._note(result, pause, time), pause / 2, is_trouble)

    def _raise_unless_it_may_pass(self, error: ZillizError, time: float) -> None:
        """Raise an error that cannot pass, or that has lasted too long."""
        match error:
            case ZillizTransientError():
                # Other trouble hides how long these have lasted, so count them from now on.
                for passing in ("not found", "no key"):
                    self._trouble_since.pop(passing, None)
                return
            case ZillizNotFoundError():
                kind, limit = "not found", LOOK_UP_LAG
            case ZillizAuthenticationError() | ZillizConfigurationError():
                kind, limit = "no key", KEY_GRACE
            case ZillizPermanentError() | ZillizJobFailedError() | ZillizLostError():
                raise error
            case _:
                kind, limit = "refused", LONGEST_REFUSAL
        if time - self._trouble_since.setdefault(kind, time) >= limit:
            raise error

    def _forget_trouble(self) -> None:
        self._trouble_since.clear()
        self._pauses = backoff(first=1.0)

    def _is_near_end(self, result: PollResult, time: float) -> bool:
        """Tell whether handing over would take longer than staying."""
        if not result.progress or time >= (self._wait.leave_after or 0.0) + 2 * NEAR_END:
            return False
        return (time - self._since) * (100 - result.progress) / result.progress <= NEAR_END

    def _note(self, result: PollResult, pause: float, time: float) -> str | None:
        if result.state == self._logged and time - self._logged_at < LONGEST_SILENCE:
            return None
        self._logged, self._logged_at = result.state, time
        return f"{result.state}; {time - self._since:.0f} s elapsed, next poll in {pause:.0f} s."


def wait_until(
    poll: Callable[[float], Flow[Reply[T]]], evaluate: Callable[[T, datetime | None], PollResult], wait: Wait
) -> Flow[T | None]:
    """
    Poll until the wait is over.

    :param poll: gives a flow that polls once; it may share an answer up to the given age
    :param evaluate: tells what a poll showed; raises if success is no longer possible
    :return: the last poll; ``None`` if it was time to hand over
    :raises ZillizTimeoutError: when the deadline has passed
    """
    time = yield from now()
    state = WaitState(wait, time)
    if wait.not_before is not None and wait.not_before > time:
        yield Pause(max(0.0, min(wait.not_before, wait.deadline) - time))
    max_age = 0.0
    while True:
        outcome: PollResult | ZillizError
        try:
            reply = yield from poll(max_age)
            outcome = evaluate(reply.value, reply.server_time)
        except ZillizError as error:
            outcome = error
        decision = state.after(outcome, (yield from now()))
        if isinstance(decision, Finish):
            yield Pause(0, decision.note)
            return reply.value
        if isinstance(decision, HandOver):
            yield Pause(0, decision.note, decision.is_trouble)
            return None
        yield Pause(decision.pause, decision.note, decision.is_trouble)
        max_age = decision.max_age
