"""What follows a poll, as the table in the docstring of ``WaitState`` says."""

from __future__ import annotations

import pytest

from airflow_provider_zbackup.zilliz.errors import (
    ZillizAuthenticationError,
    ZillizBackupLostError,
    ZillizConfigurationError,
    ZillizConflictError,
    ZillizError,
    ZillizJobFailedError,
    ZillizNotFoundError,
    ZillizPermissionError,
    ZillizRefusedError,
    ZillizServerError,
    ZillizTimeoutError,
)
from airflow_provider_zbackup.zilliz.flows.polling import (
    CONFIRMATION_PAUSE,
    KEY_GRACE,
    LONGEST_REFUSAL,
    LOOK_UP_LAG,
    Finish,
    HandOver,
    PollAgain,
    PollResult,
    Wait,
    WaitState,
)

UNDER_WAY = PollResult("Under way", progress=10)
DONE = PollResult("Done", done=True)
NEARLY_DONE = PollResult("Nearly done", progress=99)
TROUBLE = ZillizServerError("Down.")
BUSY = ZillizServerError("Down.", retry_after=40.0)
UNKNOWN = ZillizNotFoundError("Unknown.")
REFUSED = ZillizRefusedError("No.", code=12345)
CONFLICT = ZillizConflictError("Busy.")


@pytest.mark.parametrize(
    ("wait", "time", "outcome", "decision"),
    [
        (Wait(100), 10, DONE, Finish("Done; 10 s elapsed.")),
        (Wait(100), 200, DONE, Finish("Done; 200 s elapsed.")),
        (Wait(100, leave_after=5), 10, DONE, Finish("Done; 10 s elapsed.")),
        (Wait(100), 10, UNDER_WAY, PollAgain),
        (Wait(100), 10, TROUBLE, PollAgain),
        (Wait(100), 10, UNKNOWN, PollAgain),
        (Wait(100), 10, REFUSED, PollAgain),
        (Wait(100), 10, CONFLICT, PollAgain),
        (Wait(100, leave_after=20), 10, UNDER_WAY, PollAgain),
        (Wait(100, leave_after=20), 20, UNDER_WAY, HandOver),
        (Wait(100, leave_after=20), 20, TROUBLE, HandOver),
        (Wait(100, leave_after=20), 10, BUSY, HandOver),
        (Wait(100, leave_after=20), 20, NEARLY_DONE, PollAgain),
        (Wait(100, leave_after=20), 20, UNKNOWN, PollAgain),
        (Wait(100, leave_after=20), 20, REFUSED, PollAgain),
    ],
    ids=str,
)
def test_what_follows(
    wait: Wait, time: float, outcome: PollResult | ZillizError, decision: Finish | type[HandOver | PollAgain]
) -> None:
    follows = WaitState(wait, begin=0).after(outcome, time)
    if isinstance(decision, type):
        assert isinstance(follows, decision)
    else:
        assert follows == decision


@pytest.mark.parametrize(
    "error", [ZillizPermissionError("No."), ZillizJobFailedError("Failed."), ZillizBackupLostError("Gone.")]
)
def test_what_cannot_pass_is_raised_at_once(error: ZillizError) -> None:
    with pytest.raises(type(error)):
        WaitState(Wait(100), begin=0).after(error, 1)


@pytest.mark.parametrize("outcome", [UNDER_WAY, NEARLY_DONE, TROUBLE, UNKNOWN, REFUSED], ids=str)
def test_at_the_deadline_only_the_end_counts(outcome: PollResult | ZillizError) -> None:
    with pytest.raises(ZillizTimeoutError, match=r"Gave up after 100 s\. Last seen: "):
        WaitState(Wait(100, leave_after=50), begin=0).after(outcome, 100)


def test_what_is_not_found_may_be_new_for_so_long_in_a_row() -> None:
    state = WaitState(Wait(1000), begin=0)
    for time in (0, LOOK_UP_LAG - 1):
        assert isinstance(state.after(UNKNOWN, time), PollAgain)
    state.after(UNDER_WAY, LOOK_UP_LAG)
    for time in (50, 50 + LOOK_UP_LAG - 1):
        assert isinstance(state.after(UNKNOWN, time), PollAgain)
    with pytest.raises(ZillizNotFoundError):
        state.after(UNKNOWN, 50 + LOOK_UP_LAG)


@pytest.mark.parametrize("error", [ZillizAuthenticationError("No."), ZillizConfigurationError("No.")])
def test_a_key_that_is_exchanged_has_some_time(error: ZillizError) -> None:
    state = WaitState(Wait(1000), begin=0)
    for time in (0, KEY_GRACE - 1):
        assert isinstance(state.after(error, time), PollAgain)
    with pytest.raises(type(error)):
        state.after(error, KEY_GRACE)


def test_refusals_are_tolerated_for_so_long_in_a_row() -> None:
    state = WaitState(Wait(5000), begin=0)
    for time in (0, LONGEST_REFUSAL - 1):
        assert isinstance(state.after(REFUSED, time), PollAgain)
    state.after(UNDER_WAY, LONGEST_REFUSAL)
    for time in (1000, 1000 + LONGEST_REFUSAL - 1):
        assert isinstance(state.after(REFUSED, time), PollAgain)
    with pytest.raises(ZillizRefusedError):
        state.after(REFUSED, 1000 + LONGEST_REFUSAL)


def test_what_is_handed_over_is_told() -> None:
    follows = WaitState(Wait(100, leave_after=20), begin=0).after(UNDER_WAY, 20)
    assert follows == HandOver("Under way.")


def test_the_time_that_is_given_up_after_is_that_of_the_wait() -> None:
    """The work may have been going on for a month."""
    state = WaitState(Wait(100, since=-20), begin=0)
    with pytest.raises(ZillizTimeoutError, match=r"^Gave up after 120 s\."):
        state.after(PollResult("Under way", age=2_600_000), 100)


def test_a_good_poll_that_is_to_be_confirmed_is_followed_by_another_soon() -> None:
    follows = WaitState(Wait(1000), begin=0).after(PollResult("Free", to_confirm=True), 500)
    assert isinstance(follows, PollAgain)
    assert (follows.pause, follows.max_age) == (CONFIRMATION_PAUSE, 0.0)


def test_a_good_poll_at_the_deadline_is_confirmed() -> None:
    """If not, the error would say that what was waited for has come."""
    state = WaitState(Wait(100), begin=0)
    follows = state.after(PollResult("Free", to_confirm=True), 100)
    assert isinstance(follows, PollAgain)
    assert follows.pause == CONFIRMATION_PAUSE
    with pytest.raises(ZillizTimeoutError, match="Busy"):
        state.after(PollResult("Busy"), 102)


def test_retry_after_is_a_pause_that_is_at_least_kept() -> None:
    follows = WaitState(Wait(1000), begin=0).after(BUSY, 1)
    assert isinstance(follows, PollAgain)
    assert follows.pause == 40.0


def test_not_found_before_and_after_trouble_is_not_in_a_row() -> None:
    state = WaitState(Wait(1000), begin=0)
    state.after(UNKNOWN, 1)
    state.after(TROUBLE, 100)
    assert isinstance(state.after(UNKNOWN, 200), PollAgain)
