"""
Starting a job exactly once, whatever fails.

The calls that start a job have no idempotency key, and what they make is billed. So a record is saved before
the call and completed after it. While it is not known what the call did, it is not sent again: the service is
searched for its result.
"""

from __future__ import annotations

import hashlib
import json
from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Mapping
from datetime import datetime, timedelta
from functools import partial
from typing import Any, ClassVar, Generic, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from airflow_provider_zbackup.zilliz.errors import (
    ZillizConflictError,
    ZillizError,
    ZillizNotFoundError,
    ZillizRefusedError,
    ZillizTransientError,
)
from airflow_provider_zbackup.zilliz.flows.recovery import (
    CLOCK_TOLERANCE,
    LATENESS,
    Findings,
    Stage,
    as_datetime,
    ask_user,
    find_result,
    reattach,
)
from airflow_provider_zbackup.zilliz.flows.steps import (
    Flow,
    Pause,
    Save,
    now,
    send,
)
from airflow_provider_zbackup.zilliz.operations import Operation
from airflow_provider_zbackup.zilliz.pacing import backoff

#: The shortest pause after a conflict that no list explains, in seconds.
UNEXPLAINED_PAUSE = 10.0
#: If saving the record takes longer than this, in seconds, it is saved again with the later time.
SAVE_TIME = 10.0
#: A creation time may be behind the clock of the service's answers by at most this, in seconds.
LONGEST_SKEW = 60.0
#: The call is sent at most this often in all, and again only if it had no result.
SUBMIT_ATTEMPTS = 4


class Record(BaseModel):
    """
    What is saved of a submission. Times are the server's.

    :param cluster_id: the cluster that the backup is of
    :param first_sent: when the first call was sent whose result is not known
    :param answer_deadline: when the client gives up on the last call, at the latest
    :param job_id: empty while it is not known
    :param adopted: whether the call got no answer and a search found its result
    """

    model_config = ConfigDict(frozen=True, defer_build=True)

    cluster_id: str
    first_sent: datetime
    answer_deadline: datetime
    job_id: str = ""
    adopted: bool = False

    @property
    @abstractmethod
    def made_id(self) -> str:
        """The id of what the call made; empty while it is not known."""

    def save(self) -> Save:
        return Save(self.model_dump(mode="json"))

    def may_have_begun(self, begun: datetime | None) -> bool:
        """Tell whether the call may have made something that began then, as far as times tell."""
        earliest = self.first_sent - timedelta(seconds=LONGEST_SKEW)
        latest = self.answer_deadline + timedelta(seconds=LATENESS + CLOCK_TOLERANCE)
        return begun is None or earliest <= begun <= latest


R = TypeVar("R", bound=Record)


class Submission(ABC, Generic[R]):
    """One kind of job: how to start it, and how to find what it makes."""

    #: What the job makes, in words.
    noun: ClassVar[str]
    #: Names the kind of job in the task's store.
    kind: ClassVar[str]
    record_type: type[R]
    #: Whether a cleared task makes a new one if its earlier one is finished.
    starts_again_when_cleared: ClassVar[bool] = True
    #: Whether the result of a call can be found without the job's id. If not, only the user can find out what
    #: a call without an answer did; and a refusal is believed.
    leaves_traces: ClassVar[bool] = True

    @property
    def key(self) -> str:
        """Where the task keeps the record: one key per request; the order of lists does not matter."""
        text = json.dumps(_unordered(self.identity()), sort_keys=True)
        return f"zilliz_{self.kind}_{hashlib.sha256(text.encode()).hexdigest()[:16]}"

    @abstractmethod
    def describe(self, record: R) -> str:
        """Return what is made, as the beginning of a sentence."""

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

    def search(self, record: R) -> Flow[Findings[R]]:
        """Search once for the result of a call that got no answer."""
        raise NotImplementedError(f"{type(self).__name__} leaves no traces.")

    @abstractmethod
    def look_up(self, record: R) -> Flow[Stage]:
        """
        Tell how far what the job makes has come.

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
    only_unfinished: bool = False,
    is_delivered: bool = False,
    on_uncertain: str = "fail",
    answer_time: float = 30.0,
    conflict_codes: Collection[int] = (),
) -> Flow[R]:
    """
    Start a job, or find the one that an earlier try of the same task started.

    :param record: what an earlier try saved
    :param only_unfinished: whether to ignore what an earlier try made if it is finished, because a user has
        cleared the task
    :param is_delivered: whether the earlier task has delivered its result before that. Then it is of interest
        only if the job is still running
    :param on_uncertain: what to do if it cannot be known whether the job was started: ``"fail"``, or
        ``"retry"`` to start it again
    :param answer_time: how long the server may take to answer, in seconds
    :param conflict_codes: codes by which the service says that something is in the way
    :return: the record of what is made, with its id
    :raises ZillizConflictError: when something is in the way
    :raises ZillizUncertainError: when it cannot be known whether the job was started
    """
    only_unfinished = only_unfinished and submission.starts_again_when_cleared
    search = partial(find_result, submission, on_uncertain=on_uncertain)
    earlier = None if record is None else (yield from _read(submission, record, on_uncertain))
    if earlier is not None and is_delivered and not (yield from _is_unfinished(submission, earlier)):
        earlier = None
    if earlier is not None:
        found = yield from (
            reattach(submission, earlier, only_unfinished, on_uncertain)
            if earlier.made_id
            else search(earlier, only_unfinished=only_unfinished)
        )
        if found is not None:
            yield Pause(
                0, f"{submission.describe(found)} comes from an earlier try, sent {found.first_sent}."
            )
            if earlier.made_id:
                # Save it for this try too, or a retry after a clearing would start a new one.
                yield found.save()
            return found
    # What an earlier try made and this one does not see may be there: the key may be the wrong one.
    unseen = earlier if earlier is not None and earlier.made_id and not only_unfinished else None
    return (yield from _submit(submission, search, answer_time, conflict_codes, unseen))


def _is_unfinished(submission: Submission[R], record: R) -> Flow[bool]:
    """Tell whether what a job makes is still being made, as far as the service shows it."""
    try:
        return bool(record.made_id) and (yield from submission.look_up(record)) is Stage.CREATING
    except (ZillizNotFoundError, ZillizRefusedError):
        return False


def _read(submission: Submission[R], record: Mapping[str, Any], on_uncertain: str) -> Flow[R | None]:
    try:
        return submission.record_type.model_validate(record)
    except ValidationError:
        text = f"The state saved by an earlier try cannot be read: {dict(record)}."
        return (yield from ask_user(submission, text, on_uncertain))


def _submit(
    submission: Submission[R],
    search: Callable[[R], Flow[R | None]],
    answer_time: float,
    conflict_codes: Collection[int],
    unseen: R | None,
) -> Flow[R]:
    """
    Start a job.

    :param unseen: what an earlier try made, as far as known; kept if this one makes nothing
    """
    record = yield from submission.prepare()
    ahead = record.first_sent - as_datetime((yield from now()))

    def server_time(time: float) -> datetime:
        return as_datetime(time) + ahead

    unanswered: R | None = None
    attempts_left = SUBMIT_ATTEMPTS
    pauses = backoff(first=1.0)
    while True:
        record = yield from _save_before(record, server_time, answer_time, unanswered, unseen)
        try:
            reply = yield from send(submission.operation(record))
            started = yield from submission.started(record, reply.value)
        except ZillizError as error:
            failed = record.model_copy(update={"answer_deadline": server_time((yield from now()))})
            is_conflict = isinstance(error, ZillizConflictError) or error.code in conflict_codes
            if not (error.unprocessed or is_conflict):
                unanswered = failed
            # If nothing is in doubt, drop the record: a search could take what is in the way for ours.
            yield _save_after(unanswered, unseen)
            # An earlier call without an answer may have started the very job that now causes the refusal.
            if unanswered and (
                is_conflict or not (error.unprocessed and isinstance(error, ZillizTransientError))
            ):
                yield Pause(0, f"{error} Checking whether the {submission.noun} was made.", is_trouble=True)
                found = yield from search(unanswered)
                if found is not None:
                    return found
            if is_conflict or isinstance(error, ZillizRefusedError):
                yield from _explain(submission, record, failed, error, is_conflict)
            attempts_left -= 1
            if not attempts_left or not isinstance(error, ZillizTransientError):
                raise
            pause = max(next(pauses), error.retry_after or 0)
            yield Pause(
                pause,
                f"{error} No {submission.noun} was made. Sending again in {pause:.0f} s.",
                is_trouble=True,
            )
        else:
            yield started.save()
            return started


def _explain(
    submission: Submission[R], record: R, failed: R, refusal: ZillizError, is_conflict: bool
) -> Flow[None]:
    """
    Raise the conflict behind a refusal, if there is one, and save what the next try has to know.

    :param record: what was known before the call
    :param failed: the same, with the time at which the call failed
    """
    try:
        yield from submission.explain(record, refusal, is_conflict=is_conflict)
    except ZillizConflictError as conflict:
        if conflict.retry_after is not None and not is_conflict:
            # It is not certain that this is in the way, so the call may still be carried out.
            yield failed.save()
        raise
    if isinstance(refusal, ZillizRefusedError) and submission.leaves_traces:
        # A catch-all code says "failed", perhaps too early. So the next try searches first.
        yield failed.save()


def _save_before(
    record: R,
    server_time: Callable[[float], datetime],
    answer_time: float,
    unanswered: R | None,
    unseen: R | None,
) -> Flow[R]:
    """Save, before the call, when the client gives up on it. A slow store must not make this too early."""
    time = yield from now()
    if unanswered is None:
        # Earlier calls had no result, so what began before this one is not ours.
        record = record.model_copy(update={"first_sent": server_time(time)})
    for _ in range(SUBMIT_ATTEMPTS):
        begun = time
        record = record.model_copy(update={"answer_deadline": server_time(begun + answer_time)})
        time = yield record.save()
        if time - begun <= SAVE_TIME:
            return record
    yield _save_after(unanswered, unseen)
    raise ZillizError(f"Airflow takes {time - begun:.0f} s to save this task's state. Nothing was sent.")


def _save_after(unanswered: R | None, unseen: R | None) -> Save:
    """Save what is known after a call that made nothing."""
    kept = unanswered or unseen
    return Save(None) if kept is None else kept.save()


def unexplained_conflict(refusal: ZillizError) -> ZillizConflictError:
    """Return the conflict for a refusal whose code says "conflict" though no list shows the cause."""
    return ZillizConflictError(
        f"Zilliz Cloud reports a conflict that no list shows. {refusal}",
        retry_after=UNEXPLAINED_PAUSE,
        unprocessed=True,
    )


def _unordered(value: Any) -> Any:
    """Return plain JSON with its lists sorted."""
    if isinstance(value, dict):
        return {name: _unordered(item) for name, item in value.items()}
    return sorted(map(_unordered, value), key=repr) if isinstance(value, list | tuple) else value
