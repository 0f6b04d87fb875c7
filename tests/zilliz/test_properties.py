"""What is true of the flows whatever happens."""

from __future__ import annotations

from contextlib import suppress
from itertools import pairwise
from typing import Any

from hypothesis import example, given
from hypothesis import strategies as st

from airflow_provider_zbackup.zilliz.errors import (
    ZillizBackupLostError,
    ZillizClusterLostError,
    ZillizConflictError,
    ZillizError,
    ZillizJobFailedError,
    ZillizRefusedError,
    ZillizTimeoutError,
)
from airflow_provider_zbackup.zilliz.flows.creation import CreateBackupSubmission, CreateRecord
from airflow_provider_zbackup.zilliz.flows.polling import LONGEST_REFUSAL, Wait
from airflow_provider_zbackup.zilliz.flows.recovery import CLOCK_TOLERANCE
from airflow_provider_zbackup.zilliz.flows.restoration import RestoreClusterRecord, RestoreClusterSubmission
from airflow_provider_zbackup.zilliz.flows.steps import Save
from airflow_provider_zbackup.zilliz.flows.submission import SUBMIT_ATTEMPTS, submit_once
from airflow_provider_zbackup.zilliz.flows.waiting import wait_for_backup, wait_for_cluster, wait_until_free
from airflow_provider_zbackup.zilliz.operations import Operation
from airflow_provider_zbackup.zilliz.requests import CreateBackupRequest
from tests.clock import START
from tests.zilliz.driver import CLUSTER, Driver, WorkerDiedError
from tests.zilliz.model_cloud import ANSWER_TIME, Fault, Held, ModelCloud, Work

#: The longest that one fault can keep a flow from going on, in seconds: a time-out and a pause after it.
LONGEST_TROUBLE = ANSWER_TIME + 30.0

#: The longest that a new backup may be missing in lists and still be found, as promised, in seconds.
PROMISED_LAG = 15.0
#: So long after the client gave it up, a call may still be carried out and be recognised, in seconds.
PROMISED_LATENESS = 45.0
FAULTS = st.lists(st.sampled_from(Fault), max_size=25) | st.tuples(
    st.just(Fault.NONE), st.sampled_from(Fault)
).map(list)
ENDS = st.sampled_from(["SUCCESSFUL", "FAILED", "CANCELED"])
WORKS = st.builds(Work, st.sampled_from([1.0, 8.0, 40.0, 200.0]), ENDS)
REQUESTS = st.sampled_from([CreateBackupRequest.of(), CreateBackupRequest.of(["a"])])
CONTENTS = st.sampled_from([("CLUSTER", ()), ("COLLECTION", ("a",)), ("COLLECTION", ("a", "b"))])
NOBODY: st.SearchStrategy[tuple[Held, ...]] = st.just(())
NO_ALIASES: st.SearchStrategy[dict[str, str]] = st.just({})
ALIASES = st.sampled_from([{}, {"a": "real"}])
#: At which step a worker dies, whether the step is done nevertheless, and when the next try begins.
DEATHS = st.lists(st.tuples(st.integers(0, 40), st.booleans(), st.integers(1, 400)), max_size=6)


@st.composite
def held_by_others(draw: st.DrawFn) -> tuple[Held, ...]:
    return tuple(
        Held(
            f"theirs-{number}",
            START + begin,
            Work(draw(st.sampled_from([1.0, 4.0, 40.0]))),
            *draw(CONTENTS),
            creation_method=draw(st.sampled_from(["MANUAL", "AUTO"])),
        )
        for number, begin in enumerate(draw(st.lists(st.sampled_from([-30, -8, -1, 1, 9, 40]), max_size=3)))
    )


@st.composite
def clouds(
    draw: st.DrawFn,
    colleagues: st.SearchStrategy[tuple[Held, ...]] = NOBODY,
    aliases: st.SearchStrategy[dict[str, str]] = NO_ALIASES,
) -> ModelCloud:
    return ModelCloud(
        faults=draw(FAULTS),
        works=draw(st.lists(WORKS, max_size=4)),
        colleagues=draw(colleagues),
        list_lag=draw(st.sampled_from([0.0, 3.0, PROMISED_LAG])),
        look_up_lag=draw(st.sampled_from([0.0, 5.0, 25.0])),
        lateness=draw(st.sampled_from([0.0, 5.0, PROMISED_LATENESS])),
        offset=draw(st.sampled_from([0.0, 0.7, -4000.0, 4000.3])),
        aliases=draw(aliases),
    )


def create(cloud: ModelCloud, request: CreateBackupRequest, **death: Any) -> CreateRecord:
    """Create a backup, going on from what an earlier try has remembered."""
    records = cloud.worker.records
    record = records[-1] if records else None
    flow = submit_once(CreateBackupSubmission(CLUSTER, request), record=record, answer_time=ANSWER_TIME)
    return cloud.worker.run(flow, **death)


def wait(cloud: ModelCloud, backup_id: str, job_id: str, limits: Wait) -> Any:
    return cloud.worker.run(wait_for_backup(CLUSTER, backup_id, limits, job_id=job_id))


def check_patience(worker: Driver) -> None:
    """Check that no pause is too short or too long, and that nothing is asked in a busy loop."""
    assert all(0 < pause <= 60.0 for pause in worker.pauses)
    sent: list[tuple[float, float, Operation[Any]]] = []
    is_repeated = False
    for number, (time, step) in enumerate(zip(worker.times, worker.steps, strict=True)):
        if isinstance(step, Operation):
            # What is sent again began with its first attempt: that is from when a flow counts.
            begin = sent[-1][0] if is_repeated and sent[-1][2] == step else time
            sent.append((begin, time, step))
            is_repeated = number in worker.failures
    for (begin, _, one), (_, _, other), (_, end, another) in zip(sent, sent[1:], sent[2:], strict=False):
        # Twice is allowed: the look that ends one decision, and the one that begins the next.
        assert not (one == other == another) or end > begin


def check_care(worker: Driver) -> None:
    """Check that each create is remembered first, and comes after a look if an earlier one may be done."""
    for before, step in pairwise(worker.steps):
        if isinstance(step, Operation) and not step.idempotent:
            assert isinstance(before, Save)
            assert before.record
    in_doubt = False
    for number, step in enumerate(worker.steps):
        if isinstance(step, Operation) and step.name in ("list backups", "list clusters"):
            in_doubt = False
        elif isinstance(step, Operation) and not step.idempotent:
            assert not in_doubt
            failure = worker.failures.get(number)
            in_doubt = failure is None or not failure.unprocessed


@example(
    ModelCloud(faults=[Fault.NONE, Fault.DONE_LATER], lateness=PROMISED_LATENESS), CreateBackupRequest.of()
)
@example(
    ModelCloud(
        faults=[Fault.NONE, Fault.DONE_LATER], lateness=PROMISED_LATENESS, list_lag=PROMISED_LAG, offset=0.7
    ),
    CreateBackupRequest.of(),
)
@example(
    ModelCloud(faults=[Fault.NONE, Fault.DONE_AND_LOST], works=[Work(1.0)], aliases={"a": "real"}),
    CreateBackupRequest.of(["a"]),
)
@given(clouds(aliases=ALIASES), REQUESTS)
def test_a_create_ends_in_bounded_time_with_one_backup_at_most(
    cloud: ModelCloud, request: CreateBackupRequest
) -> None:
    with suppress(ZillizError):
        made = create(cloud, request)
        assert made.backup_id in [held.backup_id for held in cloud.held]
    elapsed = cloud.worker.elapsed
    cloud.worker.now += PROMISED_LATENESS
    cloud.settle()
    assert len(cloud.ours) <= 1
    assert (
        elapsed
        <= SUBMIT_ATTEMPTS * (PROMISED_LAG + PROMISED_LATENESS + 10.0)
        + (len(list(cloud.faults)) + 1) * LONGEST_TROUBLE
    )
    check_patience(cloud.worker)
    check_care(cloud.worker)


@example(
    ModelCloud(faults=[Fault.NONE, Fault.UNSENT], offset=0.7),
    CreateBackupRequest.of(),
    [(5, False, 91), (11, False, 1)],
)
@given(clouds(), REQUESTS, DEATHS)
def test_workers_may_die_at_any_step_and_there_is_one_backup_in_the_end(
    cloud: ModelCloud, request: CreateBackupRequest, deaths: list[tuple[int, bool, int]]
) -> None:
    for step, is_done, pause in deaths:
        with suppress(ZillizError, WorkerDiedError):
            create(cloud, request, dies_at=step, dies_after=is_done)
        cloud.worker.now += pause
        cloud.settle()
        assert len(cloud.ours) <= 1
    cloud.calm_down()
    while True:
        try:
            made = create(cloud, request)
            wait(cloud, made.backup_id, made.job_id, Wait(cloud.now + 600.0))
            break
        except (ZillizConflictError, ZillizJobFailedError, ZillizBackupLostError):
            cloud.worker.now += 60.0
    assert [held.backup_id for held in cloud.ours] == [made.backup_id]
    check_patience(cloud.worker)
    check_care(cloud.worker)


def restore(cloud: ModelCloud, **death: Any) -> RestoreClusterRecord:
    """Restore a backup, going on from what an earlier try has saved."""
    records = cloud.worker.records
    submission = RestoreClusterSubmission(CLUSTER, "backup-1", "restored")
    flow = submit_once(submission, record=records[-1] if records else None, answer_time=ANSWER_TIME)
    return cloud.worker.run(flow, **death)


@given(clouds(), DEATHS)
def test_workers_may_die_at_any_step_and_there_is_one_restored_cluster_in_the_end(
    cloud: ModelCloud, deaths: list[tuple[int, bool, int]]
) -> None:
    for step, is_done, pause in deaths:
        with suppress(ZillizError, WorkerDiedError):
            restore(cloud, dies_at=step, dies_after=is_done)
        cloud.worker.now += pause
        cloud.settle()
        assert len(cloud.ours) <= 1
    cloud.calm_down()
    while True:
        try:
            made = restore(cloud)
            limits = Wait(cloud.now + 600.0)
            end = cloud.worker.run(wait_for_cluster(made.new_cluster_id, limits, job_id=made.job_id))
            break
        except (ZillizJobFailedError, ZillizClusterLostError):
            cloud.worker.now += 60.0
    assert [held.backup_id for held in cloud.ours] == [made.new_cluster_id]
    assert end
    assert end.is_running
    assert "hidden" not in repr(cloud.worker.records)
    check_patience(cloud.worker)
    check_care(cloud.worker)


@example(
    ModelCloud(
        faults=[Fault.NONE, Fault.LOST], colleagues=(Held("theirs", START - 8, Work(4.0)),), list_lag=14.0
    ),
    CreateBackupRequest.of(),
)
@given(clouds(held_by_others()), REQUESTS)
def test_a_colleagues_backup_is_adopted_only_if_nothing_tells_it_from_ours(
    cloud: ModelCloud, request: CreateBackupRequest
) -> None:
    with suppress(ZillizError):
        made = create(cloud, request)
        (held,) = (held for held in cloud.held if held.backup_id == made.backup_id)
        # While no call is in doubt, nothing that begins can be ours.
        first_sent = next(
            time
            for number, (time, step) in enumerate(zip(cloud.worker.times, cloud.worker.steps, strict=True))
            if isinstance(step, Operation) and step.request
            if (failure := cloud.worker.failures.get(number)) is None or not failure.unprocessed
        )
        assert held.ours or made.adopted
        assert held.creation_method == "MANUAL"
        assert (held.backup_type, held.collections) == (
            ("COLLECTION", ("a",)) if request.db_collections else ("CLUSTER", ())
        )
        # Times of the API are whole seconds.
        assert held.begun > first_sent - CLOCK_TOLERANCE - 1.0
    assert len(cloud.ours) <= 1
    check_patience(cloud.worker)
    check_care(cloud.worker)


@given(clouds(), WORKS, st.integers(1, 900), st.none() | st.integers(0, 60))
def test_a_wait_ends_by_its_deadline(
    cloud: ModelCloud, work: Work, seconds: int, leave_after: int | None
) -> None:
    cloud.held.append(Held("b", START, work))
    leave = None if leave_after is None else START + leave_after
    limits = Wait(START + seconds, since=START, leave_after=leave)
    try:
        end = wait(cloud, "b", "job-of-b", limits)
    except ZillizTimeoutError:
        assert cloud.worker.elapsed >= seconds
    except ZillizJobFailedError:
        assert work.end != "SUCCESSFUL"
    except ZillizRefusedError:
        assert cloud.worker.elapsed >= LONGEST_REFUSAL
    else:
        if end is None:
            assert leave
            not_to_ask = max(
                (error.retry_after or 0.0 for error in cloud.worker.failures.values()), default=0.0
            )
            assert cloud.now + not_to_ask >= leave
        else:
            assert work.end == "SUCCESSFUL"
            assert cloud.worker.elapsed >= work.seconds
    # The last looks, at the job and at the backup, may each time out.
    assert cloud.worker.elapsed <= seconds + 2 * (ANSWER_TIME + 0.1)
    check_patience(cloud.worker)


@given(clouds(held_by_others()), st.booleans())
def test_free_means_that_no_listed_backup_runs(cloud: ModelCloud, before_submission: bool) -> None:
    limits = Wait(START + 300.0)
    with suppress(ZillizTimeoutError, ZillizRefusedError):
        assert cloud.worker.run(
            wait_until_free(limits, cluster_id=CLUSTER, before_submission=before_submission)
        )
        timed = zip(cloud.worker.times, cloud.worker.steps, strict=True)
        last = max(time for time, step in timed if isinstance(step, Operation))
        listed = [held for held in cloud.held if held.begun <= last - cloud.list_lag]
        assert not any(held.is_running(last) for held in listed)
    check_patience(cloud.worker)
