"""
Starting a job exactly once, whatever fails.

The calls that start a job have no idempotency key, and what they make is billed. So what is about to be sent
is saved before, and what came of it after; and while the outcome is not known, the service is searched for it
instead of the call being sent again.
"""

from __future__ import annotations

import hashlib
import json
from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar, Generic, NamedTuple, Self, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from airflow_provider_zbackup.zilliz.errors import (
    ZillizConflictError,
    ZillizError,
    ZillizNotFoundError,
    ZillizRefusedError,
    ZillizTransientError,
    ZillizUncertainError,
)
from airflow_provider_zbackup.zilliz.flows.polling import LOOK_UP_LAG
from airflow_provider_zbackup.zilliz.flows.steps import (
    Flow,
    Pause,
    Save,
    now,
    poll_through_lag,
    retrying,
    send,
)
from airflow_provider_zbackup.zilliz.operations import Operation, describe_job
from airflow_provider_zbackup.zilliz.pacing import backoff

#: Something new may be missing in lists for so long, in seconds.
LIST_LAG = 15.0
#: A call may still be carried out so long after the client gave it up, in seconds.
LATENESS = 45.0
#: However late the server may still do what was sent, it is not searched for any longer, in seconds.
LONGEST_SEARCH = 300.0
#: After a conflict that no list explains, the call is not sent again sooner, in seconds.
UNEXPLAINED_PAUSE = 10.0
#: The call is sent at most this often while it certainly or apparently does not arrive.
SUBMIT_ATTEMPTS = 4
#: The clocks of the service's own machines may differ by so much, in seconds.
CLOCK_TOLERANCE = 2.0


class Record(BaseModel):
    """
    What is saved of a submission. Times are the server's.

    :param cluster_id: the cluster that the backup is of
    :param request: the body that is sent
    :param first_sent: when it was sent first
    :param answer_by: when the client gives up what was sent last, at the latest
    :param job_id: the job that was started; empty while it is not known
    :param adopted: whether what came of the call was found by a search, because the call got no answer
    """

    model_config = ConfigDict(frozen=True, defer_build=True)

    cluster_id: str
    request: dict[str, Any]
    first_sent: datetime
    answer_by: datetime
    job_id: str = ""
    adopted: bool = False

    @property
    @abstractmethod
    def made_id(self) -> str:
        """The id of what came of the call; empty while it is not known."""

    def save(self) -> Save:
        return Save(self.model_dump(mode="json"))

    def answered_within(self, seconds: float) -> Self:
        """Return the record for a call that is answered so many seconds after the first one was sent."""
        return self.model_copy(update={"answer_by": self.first_sent + timedelta(seconds=seconds)})


R = TypeVar("R", bound=Record)


class Candidate(NamedTuple, Generic[R]):
    """
    Something that may have come of a call.

    :param record: the record, should it have
    :param description: for logs and errors
    """

    record: R
    description: str


class Findings(NamedTuple, Generic[R]):
    """
    What one search for the outcome of a call showed.

    :param candidates: what may have come of the call
    :param server_time: when the service answered, by its own clock
    :param conflict: what is in the way of another call, in case nothing came of the first
    """

    candidates: Sequence[Candidate[R]]
    server_time: datetime | None
    conflict: ZillizConflictError | None = None


class Submission(ABC, Generic[R]):
    """One kind of job: how to start it, and how to find out what came of that."""

    #: What the job makes, in words.
    noun: ClassVar[str]
    #: Names the kind of job in the task's store.
    kind: ClassVar[str]
    record_type: type[R]

    @property
    def key(self) -> str:
        """Where the task keeps the record: one place for each request, in whatever order it names things."""
        text = json.dumps(_unordered(self.identity()), sort_keys=True)
        return f"zilliz_{self.kind}_{hashlib.sha256(text.encode()).hexdigest()[:16]}"

    @abstractmethod
    def describe(self, record: R) -> str:
        """Return what is made, in words that begin a sentence."""

    @abstractmethod
    def identity(self) -> dict[str, Any]:
        """Return what is asked for, as plain JSON."""

    @abstractmethod
    def prepare(self) -> Flow[R]:
        """
        Look at what is there before the call, and return the record to save.

        :raises ZillizConflictError: when something is in the way
        """

    @abstractmethod
    def operation(self, record: R) -> Operation[Any]:
        """Return the call that starts the job."""

    @abstractmethod
    def started(self, record: R, answer: Any) -> Flow[R]:
        """
        Return the record, completed with what the call answered.

        :raises ZillizProtocolError: when the answer lacks the id of what is made
        """

    @abstractmethod
    def search(self, record: R) -> Flow[Findings[R]]:
        """Look once for what came of a call that got no answer."""

    @abstractmethod
    def is_usable(self, record: R) -> Flow[bool]:
        """
        Tell whether what the job made is there, or still in the making.

        :raises ZillizNotFoundError: when it is not known
        """

    def explain(self, record: R, refusal: ZillizError, *, is_conflict: bool) -> Flow[None]:
        """
        Raise the conflict behind a refusal, if there is one.

        :param record: what was known before the call
        :param is_conflict: whether the refusal's code says so
        """
        yield from ()
        if is_conflict:
            raise unexplained_conflict(refusal) from refusal


def submit_once(
    submission: Submission[R],
    *,
    record: Mapping[str, Any] | None = None,
    answer_time: float = 30.0,
    conflict_codes: Collection[int] = (),
) -> Flow[R]:
    """
    Start a job, or find the one that an earlier try of the same task has started.

    :param record: what an earlier try saved
    :param answer_time: how long the server may take to answer, in seconds
    :param conflict_codes: codes by which the service says that something is in the way
    :return: the record of what is made, with its id
    :raises ZillizConflictError: when something is in the way
    :raises ZillizUncertainError: when it cannot be known whether the job was started
    """
    if record is not None:
        earlier = _read(submission, record)
        found = yield from (_reattach if earlier.made_id else _search)(submission, earlier)
        if found is not None:
            yield Pause(0, f"{submission.describe(found)} is of an earlier try, begun {found.first_sent}.")
            return found
    return (yield from _submit(submission, answer_time, conflict_codes))


def _read(submission: Submission[R], record: Mapping[str, Any]) -> R:
    try:
        return submission.record_type.model_validate(record)
    except ValidationError as error:
        raise ZillizUncertainError(
            f"What an earlier try of this task saved cannot be read: {dict(record)}. Find out in the Zilliz "
            f"Cloud console whether it has made a {submission.noun}, and remove the task's stored state."
        ) from error


def _submit(submission: Submission[R], answer_time: float, conflict_codes: Collection[int]) -> Flow[R]:
    record = yield from submission.prepare()
    prepared_at = yield from now()
    unanswered: R | None = None
    attempts_left = SUBMIT_ATTEMPTS
    pauses = backoff(first=1.0)
    while True:
        record = record.answered_within((yield from now()) - prepared_at + answer_time)
        yield record.save()
        try:
            reply = yield from send(submission.operation(record))
            started = yield from submission.started(record, reply.value)
        except ZillizError as error:
            failed = record.answered_within((yield from now()) - prepared_at)
            if not error.unprocessed:
                unanswered = failed
            # If nothing is in doubt, forget it: what is in the way would later pass for what came of it.
            yield unanswered.save() if unanswered else Save(None)
            # A refusal may come from what an earlier call without an answer has started.
            if unanswered and not (error.unprocessed and isinstance(error, ZillizTransientError)):
                yield Pause(0, f"{error} Looking whether a {submission.noun} came of it.")
                found = yield from _search(submission, unanswered)
                if found is not None:
                    return found
            is_conflict = isinstance(error, ZillizConflictError) or error.code in conflict_codes
            if is_conflict or isinstance(error, ZillizRefusedError):
                yield from submission.explain(record, error, is_conflict=is_conflict)
            if isinstance(error, ZillizRefusedError):
                # A catch-all says "failed", perhaps too early. The next try searches first.
                yield failed.save()
            attempts_left -= 1
            if not attempts_left or not isinstance(error, ZillizTransientError):
                raise
            pause = max(next(pauses), error.retry_after or 0)
            yield Pause(
                pause,
                f"{error} No {submission.noun} came of it. Sending it again in {pause:.0f} s.",
            )
        else:
            yield started.save()
            return started


def _reattach(submission: Submission[R], record: R) -> Flow[R | None]:
    """Return the record if its job runs or what it made is there, ``None`` if nothing is left of it."""
    if record.job_id:
        try:
            job = (yield from retrying(describe_job(record.job_id))).value
        except ZillizNotFoundError:
            # How long a finished job can be looked up is documented nowhere; what it made tells as much.
            record = record.model_copy(update={"job_id": ""})
        else:
            if job.is_failed or job.is_canceled:
                return None
            if not job.is_successful:
                return record

    def poll() -> Flow[bool | None]:
        try:
            return (yield from submission.is_usable(record))
        except ZillizNotFoundError:
            return None

    # Right after the call neither the job nor what it makes need be known to look-ups.
    is_usable = yield from poll_through_lag(
        poll,
        lambda found: found is not None,
        lambda *_: LOOK_UP_LAG,
        f"{submission.describe(record)}, of an earlier try, is not found. Looking again.",
    )
    return record if is_usable else None


def _search(submission: Submission[R], record: R) -> Flow[R | None]:
    """
    Find what came of a call that got no answer.

    :return: ``None`` if nothing came of it
    :raises ZillizConflictError: when nothing came of it and something is in the way of another call
    :raises ZillizUncertainError: when more than one thing may have come of it
    """

    def lag(time: float, findings: Findings[R]) -> float:
        server_time = findings.server_time or as_datetime(time)
        left = (record.answer_by - server_time).total_seconds() + LATENESS + LIST_LAG + CLOCK_TOLERANCE
        return min(left, LONGEST_SEARCH)

    findings = yield from poll_through_lag(
        lambda: submission.search(record), lambda findings: bool(findings.candidates), lag
    )
    match findings.candidates:
        case []:
            if findings.conflict:
                raise findings.conflict
            return None
        case [(found, description)]:
            yield Pause(0, f"Found {description}, which came of this task.")
            yield found.save()
            return found
    raise ZillizUncertainError(
        f"{len(findings.candidates)} {submission.noun}s may have come of a call that got no answer, sent "
        f"between {record.first_sent} and {record.answer_by}: "
        f"{'; '.join(description for _, description in findings.candidates)}. Nothing was sent again. Find "
        "out in the Zilliz Cloud console which of them nobody needs, delete it, and clear the task."
    )


def unexplained_conflict(refusal: ZillizError) -> ZillizConflictError:
    """Return the conflict of a refusal that says what it is, though no list shows what is in the way."""
    return ZillizConflictError(
        f"Something is in the way that no list shows. {refusal}",
        retry_after=UNEXPLAINED_PAUSE,
        unprocessed=True,
    )


def as_datetime(time: float) -> datetime:
    return datetime.fromtimestamp(time, tz=UTC)


def _unordered(value: Any) -> Any:
    """Return plain JSON in which the order of lists means nothing."""
    if isinstance(value, dict):
        return {name: _unordered(item) for name, item in value.items()}
    return sorted(map(_unordered, value), key=repr) if isinstance(value, list | tuple) else value
