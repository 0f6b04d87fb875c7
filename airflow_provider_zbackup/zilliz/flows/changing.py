"""Changing something that can be read: read it, check, send, and read until the change shows."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from airflow_provider_zbackup.zilliz.errors import ZillizError, ZillizTransientError, ZillizUncertainError
from airflow_provider_zbackup.zilliz.flows.steps import ATTEMPTS, Flow, Pause, poll_through_lag, send
from airflow_provider_zbackup.zilliz.operations import Operation
from airflow_provider_zbackup.zilliz.pacing import backoff

T = TypeVar("T")

#: A change may not be seen for this long after its call, in seconds.
CHANGE_LAG = 60.0


def change(
    operation: Operation[Any], *, poll: Callable[[], Flow[T | None]], check: Callable[[T], Flow[None]]
) -> Flow[bool]:
    """
    Send a call, and poll until its change is seen.

    After a lost answer, the call is sent again only if nothing has changed.

    :param poll: gives a flow that returns what is to be changed; ``None`` if the change is seen
    :param check: gives a flow that raises unless the call may be sent; it runs before each call
    :return: whether this call made the change; if not, there was nothing to change
    :raises ZillizUncertainError: when the call was accepted, and its change is not seen
    """
    is_sent = False
    pauses = backoff()
    attempts = ATTEMPTS
    while (seen := (yield from poll())) is not None:
        yield from check(seen)
        lost: ZillizTransientError | None = None
        try:
            yield from send(operation)
        except ZillizTransientError as error:
            lost = error
        except ZillizError:
            # The call may be refused because its change is there already.
            if (yield from poll()) is not None:
                raise
            return is_sent
        if lost is None or not lost.unprocessed:
            is_sent = True
            yield Pause(0, f"{lost} Checking whether it was done." if lost else None, is_trouble=True)
            seen = yield from poll_through_lag(poll, lambda seen: seen is None, lambda *_: CHANGE_LAG)
            if seen is None:
                return True
        if lost is None:
            raise ZillizUncertainError(
                f"Zilliz Cloud accepted the call, but shows no change after {CHANGE_LAG:.0f} s. Look at the "
                "web console; clear the task to send it again.",
                operation=str(operation),
            )
        attempts -= 1
        if not attempts:
            raise lost
        pause = max(next(pauses), lost.retry_after or 0.0)
        yield Pause(pause, f"{lost} Trying again in {pause:.0f} s.", is_trouble=True)
    return is_sent
