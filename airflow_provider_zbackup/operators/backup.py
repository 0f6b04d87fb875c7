"""Operators for backups in Zilliz Cloud."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import BaseOperator, conf

from airflow_provider_zbackup.links.zilliz import ZillizConsoleLink
from airflow_provider_zbackup.utils.arguments import (
    DEFAULT_CONN_ID,
    ArgumentError,
    check_choice,
    check_id,
    check_names,
    check_seconds,
)
from airflow_provider_zbackup.utils.errors import translate_errors, validate_event
from airflow_provider_zbackup.utils.results import started
from airflow_provider_zbackup.utils.store import SubmissionStore
from airflow_provider_zbackup.utils.task import DEFER_AFTER, ZillizTask
from airflow_provider_zbackup.version_compat import HAS_TASK_STATE_STORE
from airflow_provider_zbackup.zilliz.errors import ZillizConflictError, ZillizTimeoutError

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context

#: A backup that is in the way is not looked at again sooner, in seconds.
TURN_PAUSE = 6.0


class ZillizCreateBackupOperator(ZillizTask, BaseOperator):
    """
    Back up a Zilliz Cloud cluster, or some collections of it, and wait until the backup can be used.

    The backup is created once, whatever fails: a retry finds what an earlier try has created. While
    another backup is in the way - Zilliz Cloud runs one manual backup at a time, and none during an
    automatic one - the task waits for its turn.

    .. seealso:: `Create Backup <https://docs.zilliz.com/reference/restful/create-backup-v2>`__

    :param cluster_id: id of the (Dedicated) cluster, such as ``in01-xxxxxxxxxxxxxxx`` (templated)
    :param collections: names of the collections to back up, all of one database; by default the whole
        cluster is backed up (templated)
    :param database: database of the collections, by default the default database (templated)
    :param copy_to_regions: ids of regions, such as ``aws-us-west-2``, each of which gets a permanent copy,
        made after the backup has ended (templated)
    :param wait_for_completion: whether to wait until the backup is AVAILABLE; without it the task ends when
        the backup has been started, whatever ``deferrable`` is, and a
        :class:`~airflow_provider_zbackup.sensors.job.ZillizJobSensor` can wait for it
    :param deferrable: whether to wait in the triggerer, which holds no worker; by default as Airflow's
        ``[operators] default_deferrable`` says
    :param poll_interval: longest pause between two looks at the job, in seconds; looks are more frequent
        while the job is young or near its end
    :param timeout: how long to wait for the backup, in seconds; ``execution_timeout`` counts too if less.
        After a time-out the job goes on, and a retry of the task finds it
    :param on_conflict: ``"wait"`` for a backup that is in the way, or ``"fail"``
    :param conflict_timeout: how long to wait for that, in seconds
    :param defer_after: how long to wait in the worker before deferring, in seconds: many backups take no
        longer, and deferring one has its price
    :param end_from_trigger: whether a deferred task that went well ends in the triggerer, without coming
        back to a worker: sooner and cheaper, but Airflow then ignores its ``outlets`` and success callbacks,
        and clearing it makes a new backup even if it had not ended. Needs Airflow 3.3 or later
    :param zilliz_conn_id: :ref:`Airflow connection <howto/connection>` of type ``zilliz`` (templated)
    :return: the backup, as plain JSON: ``cluster_id``, ``backup_id``, ``backup_name``, ``backup_type``,
        ``job_id``, ``status``, ``size`` (bytes), ``region_id``, ``create_time``, and ``adopted``, which
        tells that the create got no answer and the backup was found in the list. What is not known is null
    :raises AirflowFailException: where trying again cannot help
    :raises ZillizError: for everything else
    """

    template_fields: Sequence[str] = (
        "cluster_id",
        "collections",
        "database",
        "copy_to_regions",
        "zilliz_conn_id",
    )
    operator_extra_links = (ZillizConsoleLink(),)
    ui_color = "#d6ecff"

    def __init__(
        self,
        *,
        cluster_id: str,
        collections: Sequence[str] | None = None,
        database: str | None = None,
        copy_to_regions: Sequence[str] | None = None,
        wait_for_completion: bool = True,
        deferrable: bool = conf.getboolean("operators", "default_deferrable", fallback=False),
        poll_interval: float = 60.0,
        timeout: float = 12 * 60 * 60.0,
        on_conflict: str = "wait",
        conflict_timeout: float = 2 * 60 * 60.0,
        defer_after: float = DEFER_AFTER,
        end_from_trigger: bool = False,
        zilliz_conn_id: str = DEFAULT_CONN_ID,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.cluster_id = cluster_id
        self.collections = collections
        self.database = database
        self.copy_to_regions = copy_to_regions
        self.wait_for_completion = wait_for_completion
        self.deferrable = deferrable
        self.poll_interval = poll_interval
        self.timeout = timeout
        self.on_conflict = on_conflict
        self.conflict_timeout = conflict_timeout
        self.defer_after = defer_after
        self.end_from_trigger = end_from_trigger
        self.zilliz_conn_id = zilliz_conn_id
        check_seconds("poll_interval", poll_interval, at_least=1.0)
        check_seconds("timeout", timeout)
        check_choice("on_conflict", on_conflict, ("wait", "fail"))
        check_seconds("conflict_timeout", conflict_timeout)
        check_seconds("defer_after", defer_after)
        check_choice("wait_for_completion", wait_for_completion, (True, False))
        check_choice("deferrable", deferrable, (True, False))
        check_choice("end_from_trigger", end_from_trigger, (True, False))
        if end_from_trigger:
            if not HAS_TASK_STATE_STORE:
                raise ArgumentError("end_from_trigger needs Airflow 3.3 or later")
            self.warn_about_ignored_hooks()
        # What was given must not vanish in rendering: without its collections, this would back up all.
        self._given = {
            name for name in ("collections", "database", "copy_to_regions") if getattr(self, name) is not None
        }
        self._check_arguments()

    def _check_arguments(self, *, rendered: bool = False) -> None:
        check_id("cluster_id", self.cluster_id, rendered=rendered)
        check_id("zilliz_conn_id", self.zilliz_conn_id, rendered=rendered)
        if self.collections is not None or "collections" in self._given:
            check_names("collections", self.collections, "collection names", rendered=rendered)
        if self.database is not None or "database" in self._given:
            check_id("database", self.database, rendered=rendered)
            if self.collections is None:
                raise ArgumentError(
                    "database goes with collections: a backup of the cluster holds all databases"
                )
        if self.copy_to_regions is not None or "copy_to_regions" in self._given:
            check_names("copy_to_regions", self.copy_to_regions, "region ids", rendered=rendered)

    def execute(self, context: Context) -> dict[str, Any]:
        with translate_errors(self):
            self._check_arguments(rendered=True)
            ZillizConsoleLink.persist(context, self.hook.connection.console_url(self.cluster_id))
            return self._create(
                context, conflict_deadline=time.time() + self.cap_to_execution_timeout(self.conflict_timeout)
            )

    def execute_after_conflict(self, context: Context, event: Any = None) -> dict[str, Any]:
        """Go on when the trigger has seen the cluster free."""
        with translate_errors(self):
            self._check_arguments(rendered=True)
            (deadline,) = validate_event(event, "deadline")
            return self._create(context, conflict_deadline=deadline)

    def execute_complete(self, context: Context, event: Any = None) -> dict[str, Any]:
        """Go on when the trigger has seen the end of the backup."""
        with translate_errors(self):
            (result,) = validate_event(event, "result")
            return self._deliver(context, result)

    def describe_remote_work(self, context: Context) -> str:
        record = SubmissionStore(context).load() or {}
        if not record.get("backup_id"):
            return f"Cluster {self.cluster_id} has no backup yet that this task has created."
        return (
            f"Backup {record['backup_id']} of cluster {self.cluster_id} (job {record['job_id'] or 'unknown'})"
            " may still be running; this task finds it again when it is tried again."
        )

    def _create(self, context: Context, conflict_deadline: float) -> dict[str, Any]:
        from airflow_provider_zbackup.zilliz.flows.creation import create_backup_once
        from airflow_provider_zbackup.zilliz.models import CreateBackupRequest

        memory = SubmissionStore(context)
        client = self.hook.client
        while True:
            try:
                record = client.run(
                    create_backup_once(
                        self.cluster_id,
                        CreateBackupRequest.of(self.collections, self.database, self.copy_to_regions),
                        record=memory.load(),
                        answer_time=client.settings.timeout,
                        conflict_codes=client.settings.conflict_codes,
                    ),
                    save=memory.save,
                    note=self.log.info,
                )
                break
            except ZillizConflictError as conflict:
                if self.on_conflict == "fail":
                    raise
                self._wait_for_turn(conflict, conflict_deadline)
        self.log.info(
            "Backup %s (%s) of cluster %s is made by job %s.",
            record.backup_id,
            record.backup_name or "no name yet",
            self.cluster_id,
            record.job_id or "of unknown id",
        )
        result = started(record)
        if not self.wait_for_completion:
            memory.mark_delivered()
            return result
        return self._wait_for_backup(context, result)

    def _wait_for_turn(self, conflict: ZillizConflictError, deadline: float) -> None:
        """Wait, or defer, until no backup is running on the cluster."""
        from airflow_provider_zbackup.triggers.backup import ZillizNoActiveBackupTrigger

        now = time.time()
        waited = now - (deadline - self.cap_to_execution_timeout(self.conflict_timeout))
        if now >= deadline:
            raise ZillizTimeoutError(f"Waited {waited:.0f} s for a turn. {conflict.sentence}") from conflict
        self.log.info("%s Waiting for it to end.", conflict.sentence)
        pause = TURN_PAUSE
        if conflict.retry_after is not None:
            # Nothing to watch tells when it is over, so ever longer pauses keep creates apart.
            pause = max(conflict.retry_after, min(waited / 4, self.poll_interval * 5))
        trigger = ZillizNoActiveBackupTrigger(
            cluster_id=self.cluster_id,
            for_turn=True,
            zilliz_conn_id=self.zilliz_conn_id,
            deadline=deadline,
            poll_interval=self.poll_interval,
            not_before=min(now + pause, deadline),
        )
        if self.deferrable:
            self.defer_to(trigger, self.execute_after_conflict.__name__)
        trigger.wait_in_worker(self.hook, note=self.log.info)

    def _wait_for_backup(self, context: Context, result: dict[str, Any]) -> dict[str, Any]:
        from airflow_provider_zbackup.triggers.backup import ZillizBackupTrigger

        now = time.time()
        trigger = ZillizBackupTrigger(
            result=result,
            zilliz_conn_id=self.zilliz_conn_id,
            deadline=now + self.cap_to_execution_timeout(self.timeout),
            poll_interval=self.poll_interval,
            since=now,
            end_from_trigger=self.end_from_trigger,
        )
        completed: dict[str, Any] | None = trigger.wait_in_worker(
            self.hook,
            note=self.log.info,
            leave_after=now + self.defer_after if self.deferrable else None,
        )
        if completed is None:
            if self.end_from_trigger:
                SubmissionStore(context).leave_to_trigger()
            self.defer_to(trigger, self.execute_complete.__name__)
        return self._deliver(context, completed)

    def _deliver(self, context: Context, result: dict[str, Any]) -> dict[str, Any]:
        self.log.info(
            "Backup %s of cluster %s is %s: %s bytes in %s.",
            result["backup_id"],
            result["cluster_id"],
            result["status"],
            result["size"],
            result["region_id"],
        )
        SubmissionStore(context).mark_delivered()
        return result
