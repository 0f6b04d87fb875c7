"""What the operators of this provider have in common."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar, Generic, NamedTuple, TypeVar

from airflow.providers.common.compat.sdk import BaseOperator, conf

from airflow_provider_zbackup.utils.arguments import (
    DEFAULT_CONN_ID,
    Argument,
    check_choice,
    check_flag,
    check_seconds,
)
from airflow_provider_zbackup.utils.assets import ZillizEffects
from airflow_provider_zbackup.utils.errors import translate_errors, validate_event
from airflow_provider_zbackup.utils.store import SubmissionStore
from airflow_provider_zbackup.utils.task import DEFER_AFTER, ZillizTask, ZillizWaitingTask
from airflow_provider_zbackup.version_compat import HAS_TASK_STATE_STORE
from airflow_provider_zbackup.zilliz.checks import ArgumentError
from airflow_provider_zbackup.zilliz.errors import ZillizConflictError, ZillizError, ZillizTimeoutError

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context

    from airflow_provider_zbackup.triggers.base import ZillizTrigger
    from airflow_provider_zbackup.zilliz.flows.steps import Flow, StoreSecret
    from airflow_provider_zbackup.zilliz.flows.submission import Record, Submission

R = TypeVar("R", bound="Record")

#: The shortest pause before the next poll of what is in the way, in seconds.
CONFLICT_PAUSE = 6.0
#: For this long, in seconds, backups of other clusters may explain a refusal. Then the refusal is raised.
LONGEST_GUESS = 600.0


class ConflictWait(NamedTuple):
    """
    How long a submission waits for what is in its way. Times are seconds since the epoch.

    :param deadline: when to give up
    :param guessing_since: when the wait began, if only a guess explains it
    """

    deadline: float
    guessing_since: float | None = None


class ZillizOperator(ZillizTask, ZillizEffects, BaseOperator):
    """
    Base of the operators that start no job: a subclass declares its arguments and one flow.

    :param zilliz_conn_id: :ref:`Airflow connection <howto/connection>` of type ``zilliz`` (templated)
    :raises AirflowFailException: when a retry cannot help
    :raises ZillizError: for everything else
    """

    cluster_id: str | None = None

    def __init__(self, *, zilliz_conn_id: str = DEFAULT_CONN_ID, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.zilliz_conn_id = zilliz_conn_id

    @abstractmethod
    def flow(self) -> Flow[dict[str, Any]]:
        """Return the flow that does the work. It returns the task's result, as plain JSON."""

    def execute(self, context: Context) -> dict[str, Any]:
        with translate_errors(self):
            self.begin(context)
            result = self.run_flow(self.flow())
        self.emit_asset_events(context, [result])
        return result


class ZillizJobOperator(ZillizWaitingTask, ZillizEffects, BaseOperator, Generic[R]):
    """
    Base of the operators that start a job in Zilliz Cloud and wait for its end.

    A subclass declares its arguments, the submission, the trigger that waits, and the result. The job is
    started once, whatever fails: a retry finds what an earlier try started. Several submissions are made one
    after the other; each waits for the end of the one before.

    :param wait_for_completion: whether to wait for the end of the job; if not, the task ends when the job
        has started, and a
        :class:`~airflow_provider_zbackup.sensors.job.ZillizJobSensor` can wait for it
    :param deferrable: whether to wait in the triggerer, which holds no worker; by default as Airflow's
        ``[operators] default_deferrable`` says
    :param poll_interval: longest pause between two polls, in seconds; a job is polled more often while it is
        young or near its end
    :param timeout: how long to wait for the job, in seconds; ``execution_timeout`` counts too if it is less.
        After a time-out the job goes on, and a retry finds it
    :param on_conflict: if another backup is in the way: ``"wait"`` for its end, or ``"fail"``
    :param conflict_timeout: how long to wait for other backups, in seconds. If only backups of other clusters
        are running, and the refusal's code does not say that they are in the way, it is ten minutes
    :param on_uncertain: if it cannot be known whether a call without an answer started the job: ``"fail"``,
        or ``"retry"`` to start it again (templated)
    :param defer_after: how long to wait in the worker before deferring, in seconds: many jobs end by then,
        and deferring costs time
    :param end_from_trigger: whether a deferred task that went well ends in the triggerer, without coming
        back to a worker. This is sooner and cheaper. A task that would lose something there, such as its
        ``outlets`` or success callbacks, still comes back, and says so in its log. Needs Airflow 3.3 or later
    :param zilliz_conn_id: :ref:`Airflow connection <howto/connection>` of type ``zilliz`` (templated)
    :raises AirflowFailException: when a retry cannot help
    :raises ZillizError: for everything else
    """

    common_arguments: ClassVar[tuple[Argument, ...]] = (
        Argument("wait_for_completion", check_flag),
        Argument("poll_interval", partial(check_seconds, at_least=1.0)),
        Argument("timeout", check_seconds),
        Argument("on_conflict", partial(check_choice, choices=("wait", "fail"))),
        Argument("conflict_timeout", check_seconds),
        Argument("on_uncertain", partial(check_choice, choices=("fail", "retry"))),
        *ZillizWaitingTask.common_arguments,
    )
    #: Id of the cluster that the job works on, or from.
    cluster_id: str

    def __init__(
        self,
        *,
        wait_for_completion: bool = True,
        deferrable: bool = conf.getboolean("operators", "default_deferrable", fallback=False),
        poll_interval: float = 60.0,
        timeout: float = 12 * 60 * 60.0,
        on_conflict: str = "wait",
        conflict_timeout: float = 2 * 60 * 60.0,
        on_uncertain: str = "fail",
        defer_after: float = DEFER_AFTER,
        end_from_trigger: bool = False,
        zilliz_conn_id: str = DEFAULT_CONN_ID,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.wait_for_completion = wait_for_completion
        self.deferrable = deferrable
        self.poll_interval = poll_interval
        self.timeout = timeout
        self.on_conflict = on_conflict
        self.conflict_timeout = conflict_timeout
        self.on_uncertain = on_uncertain
        self.defer_after = defer_after
        self.end_from_trigger = end_from_trigger
        self.zilliz_conn_id = zilliz_conn_id

    def check_arguments(self, *, rendered: bool = False) -> None:
        super().check_arguments(rendered=rendered)
        if self.end_from_trigger and not HAS_TASK_STATE_STORE:
            raise ArgumentError("end_from_trigger needs Airflow 3.3 or later")

    @abstractmethod
    def submissions(self) -> Sequence[Submission[R]]:
        """Return how to start each job, and how to find it again."""

    @abstractmethod
    def submitted(self, record: R) -> dict[str, Any]:
        """Return the result of a job as far as it is known when the job has started."""

    def announce(self, context: Context, record: R, result: dict[str, Any]) -> None:
        """Publish that a job has started; ``result`` is what is known so far."""

    @abstractmethod
    def job_trigger(self, result: dict[str, Any], **timing: Any) -> ZillizTrigger:
        """Return the trigger that waits for the end of the job and completes the result."""

    @abstractmethod
    def summary(self, result: dict[str, Any]) -> str:
        """Return the complete result of a job in words, for the log."""

    def task_result(self, results: list[dict[str, Any]]) -> Any:
        """Return the task's result from those of its jobs."""
        (result,) = results
        return result

    def store_secret(self, secret: StoreSecret) -> bool:
        """Store what the API shows only once, and return whether it is stored."""
        raise NotImplementedError(f"{type(self).__name__} has no place for a secret.")

    def execute(self, context: Context) -> Any:
        with translate_errors(self):
            self.begin(context)
            return self._run(context)

    def execute_after_conflict(self, context: Context, event: Any = None) -> Any:
        """Go on when the trigger has seen the cluster free."""
        with translate_errors(self):
            self.check_arguments(rendered=True)
            (deadline,) = validate_event(event, "deadline")
            return self._run(context, waiting=ConflictWait(deadline, event.get("guessing_since")))

    def execute_complete(self, context: Context, event: Any = None) -> Any:
        """Go on when the trigger has seen the end of the job."""
        with translate_errors(self):
            (result,) = validate_event(event, "result")
            return self._run(context, ended=result)

    def describe_remote_work(self, context: Context) -> str:
        for submission, store in reversed(self._stores(context)):
            kept = store.load()
            record = submission.record_type.model_validate(kept) if kept else None
            if record is not None and record.made_id:
                return (
                    f"{submission.describe(record)} (job {record.job_id or 'unknown'}) may still be running; "
                    "a retry of this task finds it."
                )
        return f"This task has not recorded which {submission.noun} it made from {self.cluster_id}."

    def _stores(self, context: Context) -> list[tuple[Submission[R], SubmissionStore]]:
        return [(submission, SubmissionStore(context, submission.key)) for submission in self.submissions()]

    def _run(
        self,
        context: Context,
        *,
        waiting: ConflictWait | None = None,
        ended: dict[str, Any] | None = None,
    ) -> Any:
        """
        Go through the submissions from the first one that has not ended.

        :param waiting: its wait for what is in its way, if that has begun
        :param ended: the result of its job, if that has ended
        """
        is_new_try = waiting is None and ended is None
        stores = self._stores(context)
        are_many = len(stores) > 1
        results = []
        for submission, store in stores:
            result = store.load_result() if are_many else None
            if result is not None and is_new_try:
                self.log.info("From an earlier try: %s", self.summary(result))
            if result is None:
                result = ended or self._run_job(context, submission, store, waiting, are_many)
                waiting = ended = None
                if self.wait_for_completion:
                    self.log.info("%s", self.summary(result))
                if are_many:
                    store.save_result(result)
            results.append(result)
        self.emit_asset_events(context, results)
        for _, store in stores:
            store.mark_delivered()
        return self.task_result(results)

    def _run_job(
        self,
        context: Context,
        submission: Submission[R],
        store: SubmissionStore,
        waiting: ConflictWait | None,
        are_many: bool,
    ) -> dict[str, Any]:
        record = self._submit_in_turn(submission, store, waiting)
        result = self.submitted(record)
        self.announce(context, record, result)
        if not self.wait_for_completion:
            return result
        may_end_in_trigger = self.end_from_trigger and not are_many
        if self.deferrable and may_end_in_trigger and not self.losses_in_trigger():
            # A trigger cannot write to the store, so mark it now.
            store.mark_delivered()
        return self._wait_for_end(result, may_end_in_trigger)

    def _submit_in_turn(
        self, submission: Submission[R], store: SubmissionStore, waiting: ConflictWait | None
    ) -> R:
        """Start a job as soon as nothing is in its way."""
        if waiting is None:
            limit = self.cap_to_execution_timeout(self.conflict_timeout)
            waiting = ConflictWait(self.hook.clock.time() + limit)
        while True:
            try:
                return self._submit(submission, store)
            except ZillizConflictError as conflict:
                if self.on_conflict == "fail":
                    raise
                guessing_since = waiting.guessing_since or self.hook.clock.time()
                waiting = waiting._replace(guessing_since=guessing_since if conflict.is_guess else None)
                self._wait_for_others(conflict, waiting)

    def _submit(self, submission: Submission[R], store: SubmissionStore) -> R:
        from airflow_provider_zbackup.zilliz.flows.submission import submit_once

        client = self.hook.client
        record = client.run(
            submit_once(
                submission,
                record=store.load(),
                # A user who clears the task wants a new job, not one that finished long ago.
                only_unfinished=store.was_cleared(),
                is_delivered=store.was_delivered(),
                on_uncertain=self.on_uncertain,
                answer_time=client.settings.longest_exchange,
                conflict_codes=client.settings.conflict_codes,
            ),
            save=store.save,
            store_secret=self.store_secret,
            note=self.log.info,
            warn=self.log.warning,
        )
        self.log.info("%s is made by job %s.", submission.describe(record), record.job_id or "of unknown id")
        return record

    def _wait_for_others(self, conflict: ZillizConflictError, waiting: ConflictWait) -> None:
        """Wait, or defer, until no backup is running on the cluster."""
        from airflow_provider_zbackup.triggers.backup import ZillizNoActiveBackupTrigger

        deadline, guessing_since = waiting
        now = self.hook.clock.time()
        waited = now - (deadline - self.cap_to_execution_timeout(self.conflict_timeout))
        if now >= deadline:
            raise ZillizTimeoutError(
                f"Waited {waited:.0f} s for other backups to finish. {conflict}"
            ) from conflict
        refusal = conflict.__cause__
        is_guessed_out = guessing_since is not None and now - guessing_since >= LONGEST_GUESS
        if is_guessed_out and isinstance(refusal, ZillizError):
            raise refusal.with_advice(
                "Only backups of other clusters are running. If they are in the way, add code "
                f"{refusal.code} to conflict_codes of the connection: then the task waits for them"
            ) from conflict
        self.log.info("%s Waiting for it to end.", conflict)
        pause = CONFLICT_PAUSE
        not_after = deadline
        if guessing_since is not None:
            # Each retry is a call, and may be hopeless: send only a few.
            pause = max(conflict.retry_after or 0.0, 2 * (now - guessing_since))
            not_after = min(deadline, guessing_since + LONGEST_GUESS)
        elif conflict.retry_after is not None:
            # No backup can be watched, so each retry is a call: make the pauses longer and longer.
            pause = max(conflict.retry_after, min(waited / 4, self.poll_interval * 5))
        trigger = ZillizNoActiveBackupTrigger(
            cluster_id=self.cluster_id,
            before_submission=True,
            guessing_since=guessing_since,
            zilliz_conn_id=self.zilliz_conn_id,
            deadline=deadline,
            poll_interval=self.poll_interval,
            not_before=min(now + pause, not_after),
        )
        self.wait(trigger, then=self.execute_after_conflict, defer_immediately=True)

    def _wait_for_end(self, result: dict[str, Any], may_end_in_trigger: bool) -> dict[str, Any]:
        now = self.hook.clock.time()
        trigger = self.job_trigger(
            result,
            zilliz_conn_id=self.zilliz_conn_id,
            deadline=now + self.cap_to_execution_timeout(self.timeout),
            poll_interval=self.poll_interval,
            since=now,
            end_from_trigger=may_end_in_trigger,
        )
        complete: dict[str, Any] = self.wait(trigger, then=self.execute_complete)
        return complete
