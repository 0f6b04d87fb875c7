"""Finding the result of an earlier call: by its record if it was answered, else by a search."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from enum import Enum, auto
from typing import TYPE_CHECKING, Generic, NamedTuple, TypeVar

from airflow_provider_zbackup.zilliz.errors import (
    ZillizConflictError,
    ZillizNotFoundError,
    ZillizRefusedError,
    ZillizUncertainError,
)
from airflow_provider_zbackup.zilliz.flows.polling import LOOK_UP_LAG
from airflow_provider_zbackup.zilliz.flows.steps import Flow, Pause, poll_through_lag, retrying
from airflow_provider_zbackup.zilliz.operations import describe_job

if TYPE_CHECKING:
    from airflow_provider_zbackup.zilliz.flows.submission import Record, Submission

R = TypeVar("R", bound="Record")

#: Lists may not show something new for this long, in seconds.
LIST_LAG = 15.0
#: The server may still carry out a call this long after the client gave up on it, in seconds.
LATENESS = 45.0
#: A search never takes longer than this, in seconds, however late the server may be.
LONGEST_SEARCH = 300.0
#: The clocks of the service's machines may differ by this much, in seconds.
CLOCK_TOLERANCE = 2.0


class Stage(Enum):
    """How far something that a job makes has come."""

    CREATING = auto()
    FINISHED = auto()
    GONE = auto()


class Candidate(NamedTuple, Generic[R]):
    """
    Something that a call may have made.

    :param record: the record to save if it did
    :param description: for logs and errors
    :param is_unfinished: whether it is not finished yet
    :param doubt: why the call may not have made it, even if it is the only candidate
    """

    record: R
    description: str
    is_unfinished: bool
    doubt: str = ""


class Findings(NamedTuple, Generic[R]):
    """
    What one search for the result of a call showed.

    :param server_time: when the service answered, by its own clock
    :param conflict: what would be in the way of a second call, if the first had no result
    """

    candidates: Sequence[Candidate[R]]
    server_time: datetime | None
    conflict: ZillizConflictError | None = None


def reattach(
    submission: Submission[R], record: R, only_unfinished: bool, on_uncertain: str
) -> Flow[R | None]:
    """Return the record if its job runs or what it made exists, else ``None``."""
    refusal: ZillizRefusedError | None = None
    is_forgotten = False
    if record.job_id:
        try:
            job = (yield from retrying(describe_job(record.job_id))).value
        except ZillizNotFoundError:
            # The API may forget finished jobs; no document says when. What the job made tells the same.
            is_forgotten = True
        except ZillizRefusedError as error:
            # No code is documented for a job that the service has forgotten.
            refusal = error
        else:
            if job.is_failed or job.is_canceled:
                return None
            if not job.is_successful:
                return record

    def poll() -> Flow[Stage | None]:
        try:
            return (yield from submission.look_up(record))
        except ZillizNotFoundError:
            return None

    # Right after the call, look-ups may find neither the job nor what it makes.
    stage = yield from poll_through_lag(
        poll,
        lambda found: found is not None,
        lambda *_: LOOK_UP_LAG,
        f"{submission.describe(record)} (from an earlier try) is not found yet. Looking again.",
    )
    if stage is None and refusal is not None:
        raise refusal
    if stage is None and not submission.leaves_traces:
        return (
            yield from ask_user(
                submission, f"Zilliz Cloud does not know job {record.job_id} any more.", on_uncertain
            )
        )
    if stage is Stage.FINISHED and only_unfinished:
        yield Pause(
            0, f"{submission.describe(record)} (from an earlier try) is finished. Starting a new one."
        )
        return None
    if stage is Stage.FINISHED and is_forgotten:
        return record.model_copy(update={"job_id": ""})
    # If it is not finished, keep the job's id: the job may be unknown only for a moment.
    return record if stage in (Stage.CREATING, Stage.FINISHED) else None


def find_result(
    submission: Submission[R], record: R, *, on_uncertain: str, only_unfinished: bool = False
) -> Flow[R | None]:
    """
    Find the result of a call that got no answer.

    :return: ``None`` if it had none
    :raises ZillizConflictError: when something is in the way, or a candidate must end before it is clear
    :raises ZillizUncertainError: when only the user can tell which one it is, or whether there is one
    """
    if not submission.leaves_traces:
        text = (
            f"The call for the {submission.noun} got no answer, sent between {record.first_sent} and "
            f"{record.answer_deadline}, and nothing in the API shows whether it started the job."
        )
        return (yield from ask_user(submission, text, on_uncertain))

    def lag(time: float, findings: Findings[R]) -> float:
        server_time = findings.server_time or as_datetime(time)
        left = (record.answer_deadline - server_time).total_seconds() + LATENESS + LIST_LAG + CLOCK_TOLERANCE
        return min(left, LONGEST_SEARCH)

    findings = yield from poll_through_lag(
        lambda: submission.search(record),
        # A doubtful candidate ends no search: one without any doubt may be shown later.
        lambda findings: any(not found.doubt for found in findings.candidates),
        lag,
    )
    candidates = findings.candidates
    if not candidates:
        if findings.conflict:
            raise findings.conflict
        return None
    if len(candidates) == 1 and not candidates[0].doubt:
        found = candidates[0]
        if only_unfinished and not found.is_unfinished:
            yield Pause(0, f"Found {found.description}, already finished. Starting a new one.")
            return None
        yield Pause(0, f"Adopted {found.description}: this task made it.")
        yield found.record.save()
        return found.record
    names = "; ".join(
        f"{description}{doubt and ', which '}{doubt}" for _, description, _, doubt in candidates
    )
    if any(found.doubt and found.is_unfinished for found in candidates):
        # Save it for this try too, or a retry after a clearing would start a new one.
        yield record.save()
        raise ZillizConflictError(
            f"Cannot tell yet whether this task's unanswered call made this: {names}.", unprocessed=True
        )
    what = f"A {submission.noun}" if len(candidates) == 1 else f"{len(candidates)} {submission.noun}s"
    text = (
        f"{what} may be from this task's unanswered call, sent between {record.first_sent} and "
        f"{record.answer_deadline}: {names}."
    )
    return (yield from ask_user(submission, text, on_uncertain))


def ask_user(submission: Submission[R], text: str, on_uncertain: str) -> Flow[R | None]:
    """
    Ask the user what cannot be known here: fail, or start again if the user has answered so.

    :param text: what is not known
    :param on_uncertain: ``"retry"`` is the user's answer
    """
    if on_uncertain == "retry":
        yield Pause(0, f"{text} Starting again, as on_uncertain says.")
        return None
    raise ZillizUncertainError(
        f"{text} Nothing was sent again. Check in the Zilliz Cloud console whether this task made the "
        f"{submission.noun}. If it did, mark the task as success. If not, set "
        'on_uncertain="retry" and clear the task.'
    )


def as_datetime(time: float) -> datetime:
    return datetime.fromtimestamp(time, tz=UTC)
