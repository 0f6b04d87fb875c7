from __future__ import annotations

from itertools import cycle
from typing import Any

import pytest

from airflow_provider_zbackup.zilliz.errors import (
    ZillizConflictError,
    ZillizError,
    ZillizJobCanceledError,
    ZillizJobFailedError,
    ZillizNotFoundError,
    ZillizPermissionError,
    ZillizRefusedError,
    ZillizServerError,
    ZillizThrottledError,
    ZillizTimeoutError,
)
from airflow_provider_zbackup.zilliz.flows.polling import (
    LONGEST_REFUSAL,
    LONGEST_SILENCE,
    LOOK_UP_LAG,
    Wait,
)
from airflow_provider_zbackup.zilliz.flows.steps import Pause, Reply
from airflow_provider_zbackup.zilliz.flows.waiting import wait_for_job
from airflow_provider_zbackup.zilliz.models import Job
from airflow_provider_zbackup.zilliz.operations import describe_job
from tests.clock import START
from tests.zilliz.driver import Driver, always, at, job, scripted

WAIT = Wait(deadline=START + 3600)
DOWN = ZillizServerError("Down.")
REFUSED = ZillizRefusedError("Refused.")
UNKNOWN = ZillizNotFoundError("Unknown.")
RUNNING, DONE = job(), job("SUCCESSFUL", progress=100)


def wait_job(driver: Driver, **changes: Any) -> Job | None:
    return driver.run(wait_for_job("job-1", WAIT._replace(**changes)))


def test_success_at_first_look() -> None:
    driver = scripted(DONE)
    assert wait_job(driver) == DONE
    assert driver.sent == [describe_job("job-1")]
    assert driver.pauses == []
    assert driver.notes == ["Job job-1 is SUCCESSFUL, 100 %; 0 s elapsed."]


def test_the_job_has_the_id_that_was_asked_for() -> None:
    assert wait_job(scripted(Job(status="SUCCESSFUL"))) == Job(job_id="job-1", status="SUCCESSFUL")


@pytest.mark.parametrize("status", ["PENDING", "IN_PROGRESS", "RUNNING", "CANCELING", "FUTURE", ""])
def test_any_other_state_means_still_running(status: str) -> None:
    driver = scripted(job(status), job(status), DONE)
    assert wait_job(driver) == DONE
    assert len(driver.pauses) == 2


@pytest.mark.parametrize(
    ("end", "error", "text"),
    [
        (job("FAILED", reason="Disk full"), ZillizJobFailedError, "Job job-1 failed: Disk full."),
        (job("ERROR"), ZillizJobFailedError, "Job job-1 failed: no reason was given."),
        (job("CANCELED", reason="Ann"), ZillizJobCanceledError, "Job job-1 was canceled: Ann."),
        (
            job("CANCELLED"),
            ZillizJobCanceledError,
            "Job job-1 was canceled: somebody canceled it in the web console.",
        ),
    ],
)
def test_bad_ends(end: Job, error: type[ZillizError], text: str) -> None:
    driver = scripted(RUNNING, end)
    with pytest.raises(ZillizJobFailedError) as caught:
        wait_job(driver)
    assert type(caught.value) is error
    assert str(caught.value) == text


def test_progress_is_noted_when_it_changes() -> None:
    driver = scripted(
        job("PENDING"), job("PENDING"), job(progress=10), job(progress=10), job(progress=90), DONE
    )
    wait_job(driver)
    assert [note.partition(";")[0] for note in driver.notes] == [
        "Job job-1 is PENDING",
        "Job job-1 is IN_PROGRESS, 10 %",
        "Job job-1 is IN_PROGRESS, 90 %",
        "Job job-1 is SUCCESSFUL, 100 %",
    ]
    assert driver.notes[0].endswith("; 0 s elapsed, next poll in 1 s.")


def test_a_job_in_no_known_state_is_told_as_such() -> None:
    driver = scripted(job(""), DONE)
    wait_job(driver)
    assert driver.notes[0].startswith("Job job-1 is in no known state; ")


def test_a_long_silence_is_broken() -> None:
    driver = always(RUNNING)
    with pytest.raises(ZillizTimeoutError):
        wait_job(driver)
    assert 3600 / (LONGEST_SILENCE + 61) <= len(driver.notes) <= 3600 / LONGEST_SILENCE + 1


def test_pauses_grow_to_the_longest_and_never_pass_the_deadline() -> None:
    driver = always(RUNNING)
    with pytest.raises(
        ZillizTimeoutError, match=r"Gave up after 3600 s\. Last seen: Job job-1 is IN_PROGRESS\."
    ):
        wait_job(driver, longest_pause=20.0)
    assert driver.elapsed == pytest.approx(3600)
    assert max(driver.pauses) == 20.0
    assert all(pause >= 1.0 for pause in driver.pauses[:-1])


def test_the_end_is_seen_by_a_last_look_at_the_deadline() -> None:
    driver = Driver(lambda operation: DONE if driver.elapsed >= 3600 else RUNNING)
    assert wait_job(driver) == DONE


def test_a_deadline_that_has_passed_leaves_one_look() -> None:
    assert wait_job(scripted(DONE), deadline=START - 5) == DONE
    with pytest.raises(ZillizTimeoutError):
        wait_job(scripted(RUNNING), deadline=START - 5)


def test_age_counts_from_the_begin_of_the_work() -> None:
    driver = scripted(RUNNING, DONE)
    wait_job(driver, since=START - 200)
    assert 18 <= driver.pauses[0] <= 22
    assert "200 s elapsed" in driver.notes[0]


def test_a_begin_in_the_future_counts_as_now() -> None:
    driver = scripted(RUNNING, DONE)
    wait_job(driver, since=START + 200)
    assert "; 0 s elapsed" in driver.notes[0]


def test_age_is_told_by_the_servers_clock_alone() -> None:
    begun = job(start_time=at(-10_100))
    driver = scripted(Reply(begun, at(-10_000)), DONE)
    wait_job(driver)
    assert 9 <= driver.pauses[0] <= 11


@pytest.mark.parametrize(
    "reply", [Reply(RUNNING), Reply(job(start_time=at(-100))), Reply(job(start_time=at(100)), at(0))]
)
def test_without_a_usable_server_time_age_counts_from_the_first_look(reply: Reply[Job]) -> None:
    driver = scripted(reply, DONE)
    wait_job(driver)
    assert driver.pauses == [1.0]


def test_the_first_look_comes_not_before_its_time() -> None:
    driver = scripted(DONE)
    wait_job(driver, not_before=START + 6)
    assert driver.steps[:2] == [Pause(), Pause(6.0)]
    assert driver.calls == ["describe job"]


@pytest.mark.parametrize(("not_before", "pauses"), [(START - 1, []), (START, []), (START + 9999, [3600.0])])
def test_the_first_look_comes_at_once_or_at_the_deadline(not_before: float, pauses: list[float]) -> None:
    driver = scripted(DONE)
    wait_job(driver, not_before=not_before)
    assert driver.pauses == pauses


def test_no_pause_is_negative() -> None:
    driver = scripted(DONE)
    wait_job(driver, not_before=START + 6, deadline=START - 5)
    assert all(pause > 0 for pause in driver.pauses)


# Leaving


def test_a_wait_is_left_when_it_is_time() -> None:
    driver = always(RUNNING)
    assert wait_job(driver, leave_after=START + 6) is None
    assert driver.elapsed == pytest.approx(6, abs=0.2)


def test_a_wait_whose_time_to_leave_is_over_looks_once() -> None:
    assert wait_job(scripted(RUNNING), leave_after=START) is None
    assert wait_job(scripted(DONE), leave_after=START) == DONE


def test_a_wait_is_not_left_when_the_end_is_near() -> None:
    driver = Driver(lambda operation: DONE if driver.elapsed >= 9 else job(progress=int(driver.elapsed * 11)))
    assert wait_job(driver, leave_after=START + 6) == DONE


def test_an_end_that_stays_near_is_not_waited_for_long() -> None:
    driver = always(job(progress=99))
    assert wait_job(driver, leave_after=START + 6) is None
    assert 18 <= driver.elapsed <= 20


@pytest.mark.parametrize("progress", [None, 0, 30])
def test_a_wait_is_left_when_the_end_is_not_known_to_be_near(progress: int | None) -> None:
    driver = always(job(progress=progress))
    assert wait_job(driver, leave_after=START + 6) is None
    assert driver.elapsed == pytest.approx(6, abs=0.2)


def test_a_wait_can_be_left_in_the_middle_of_trouble() -> None:
    driver = always(DOWN)
    assert wait_job(driver, leave_after=START + 6) is None
    assert driver.elapsed == pytest.approx(6, abs=0.2)


@pytest.mark.parametrize("retry_after", [6.0, 120.0])
def test_who_may_not_ask_before_it_is_time_to_leave_leaves_at_once(retry_after: float) -> None:
    driver = scripted(ZillizThrottledError("Slow.", retry_after=retry_after))
    assert wait_job(driver, leave_after=START + 6) is None
    assert driver.elapsed == 0


def test_who_may_ask_again_before_it_is_time_to_leave_stays() -> None:
    driver = scripted(ZillizThrottledError("Slow.", retry_after=3.0), DONE)
    assert wait_job(driver, leave_after=START + 6) == DONE


@pytest.mark.parametrize(
    ("error", "answers"), [(UNKNOWN, [UNKNOWN] * 4), (REFUSED, [REFUSED] * 4)], ids=["not found", "refused"]
)
def test_a_wait_is_not_left_while_it_may_have_failed(error: ZillizError, answers: list[ZillizError]) -> None:
    driver = scripted(*answers, DONE)
    assert wait_job(driver, leave_after=START + 1) == DONE


# Trouble


def test_trouble_that_passes_by_itself_is_ridden_out_until_the_deadline() -> None:
    driver = always(DOWN)
    with pytest.raises(ZillizTimeoutError, match="Down"):
        wait_job(driver)
    assert driver.elapsed == pytest.approx(3600)
    assert max(driver.pauses) <= 30.0
    assert all(pause >= 0.5 for pause in driver.pauses[:-1])


def test_trouble_is_noted_once() -> None:
    driver = scripted(DOWN, DOWN, RUNNING, DONE)
    wait_job(driver)
    told = [note.partition(";")[0] for note in driver.notes]
    assert told == ["Down", "Job job-1 is IN_PROGRESS", "Job job-1 is SUCCESSFUL, 100 %"]


def test_retry_after_is_honoured_up_to_the_deadline() -> None:
    busy = ZillizThrottledError("Slow.", retry_after=120.0)
    driver = scripted(busy, DONE)
    wait_job(driver)
    assert driver.pauses == [120.0]
    driver = scripted(busy, DONE)
    wait_job(driver, deadline=START + 50)
    assert driver.pauses == [50.0]


@pytest.mark.parametrize("error", [REFUSED, ZillizConflictError("Busy.")])
def test_refusals_in_a_row_end_the_wait(error: ZillizError) -> None:
    driver = always(error)
    with pytest.raises(type(error)):
        wait_job(driver)
    assert LONGEST_REFUSAL <= driver.elapsed <= LONGEST_REFUSAL + 30


def answered(until: float, first: Any, *then: Any) -> Driver:
    """Return a driver that gives one answer until so many seconds have passed, and then the others."""
    rest = iter(then)
    driver = Driver(lambda operation: first if driver.elapsed < until else next(rest))
    return driver


def test_refusals_with_a_good_look_in_between_do_not() -> None:
    driver = answered(LONGEST_REFUSAL - 40, REFUSED, RUNNING, *[REFUSED] * 8, DONE)
    assert wait_job(driver) == DONE
    assert driver.elapsed > LONGEST_REFUSAL


def test_trouble_that_passes_by_itself_does_not_count_as_refusals() -> None:
    assert wait_job(answered(2 * LONGEST_REFUSAL, DOWN, REFUSED, DOWN, DONE)) == DONE


def test_refusals_add_up_across_trouble_that_passes_by_itself() -> None:
    with pytest.raises(ZillizRefusedError):
        wait_job(answered(LONGEST_REFUSAL - 40, REFUSED, *[DOWN] * 5, REFUSED))


def test_a_look_up_that_lags_does_not_count_as_a_refusal() -> None:
    assert wait_job(scripted(*[UNKNOWN] * 4, REFUSED, DONE)) == DONE


@pytest.mark.parametrize("status", [403, 404])
def test_what_a_gateway_says_for_a_while_is_ridden_out(status: int) -> None:
    """Without a code it tells nothing of the job."""
    refused = ZillizRefusedError("Forbidden.", http_status=status, unprocessed=True)
    assert wait_job(answered(120.0, refused, DONE)) == DONE


def test_permanent_errors_end_the_wait_at_once() -> None:
    with pytest.raises(ZillizPermissionError):
        wait_job(scripted(ZillizPermissionError("No.")))


def test_a_job_may_be_unknown_right_after_its_creation() -> None:
    driver = Driver(lambda operation: UNKNOWN if driver.elapsed < LOOK_UP_LAG - 10 else DONE)
    assert wait_job(driver) == DONE


def test_a_job_that_stays_unknown_is_an_error() -> None:
    driver = always(UNKNOWN)
    with pytest.raises(ZillizNotFoundError):
        wait_job(driver)
    assert LOOK_UP_LAG <= driver.elapsed <= 2 * LOOK_UP_LAG + 1


def test_a_job_that_becomes_unknown_later_is_an_error_when_it_has_been_missing_for_a_while() -> None:
    driver = Driver(lambda operation: RUNNING if driver.elapsed < 100 else UNKNOWN)
    with pytest.raises(ZillizNotFoundError):
        wait_job(driver)
    assert driver.sent.count(describe_job("job-1")) == len(driver.sent)
    first_missed = min(time for time in driver.times if time >= START + 100)
    assert LOOK_UP_LAG <= driver.now - first_missed <= 2 * LOOK_UP_LAG + 1


def test_a_job_may_be_unknown_now_and_then() -> None:
    driver = Driver(lambda operation: DONE if driver.elapsed > 900 else next(answers))
    answers = cycle([RUNNING, UNKNOWN, UNKNOWN])
    assert wait_job(driver) == DONE
