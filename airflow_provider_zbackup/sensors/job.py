"""Sensor for jobs in Zilliz Cloud."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from airflow_provider_zbackup.sensors.base import ZillizSensor
from airflow_provider_zbackup.utils.arguments import as_result, check_id, is_rendered_later
from airflow_provider_zbackup.zilliz.checks import ArgumentError, check_field

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context, XComArg

    from airflow_provider_zbackup.triggers.base import ZillizTrigger


class ZillizJobSensor(ZillizSensor):
    """
    Wait until a job in Zilliz Cloud has ended well; fail at once if it fails or is canceled.

    .. seealso:: `Describe Job <https://docs.zilliz.com/reference/restful/describe-job-v2>`__

    :param job_id: id of the job, or the whole result of a task that started it, such as a
        :class:`~airflow_provider_zbackup.operators.backup.ZillizCreateBackupOperator`. That works even if no
        job id is known, and if the task started several jobs, all must end well (templated)
    :param deferrable: see :class:`~airflow_provider_zbackup.sensors.base.ZillizSensor`, also for
        ``defer_after``, ``end_from_trigger`` and ``zilliz_conn_id``
    :return: the job in its last state, as plain JSON: ``job_id``, ``type``, ``status``, ``progress``,
        ``start_time``, ``end_time``, ``reason``; where no job id is known, the backup or the new
        cluster; the last of several jobs
    :raises AirflowFailException: when the job fails, is canceled, or cannot be found
    :raises AirflowSensorTimeout: after ``timeout`` seconds
    """

    template_fields: Sequence[str] = ("job_id", "zilliz_conn_id")

    def __init__(self, *, job_id: str | Mapping[str, Any] | XComArg, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.job_id = job_id
        self.check_arguments()

    def check_arguments(self, *, rendered: bool = False) -> None:
        super().check_arguments(rendered=rendered)
        if rendered or not is_rendered_later(self.job_id):
            self._target()

    def _target(self) -> dict[str, Any]:
        """Return what is waited for: jobs or, where no id is known, the backup or the cluster."""
        given = as_result("job_id", self.job_id)
        if not isinstance(given, Mapping):
            check_id("job_id", given, rendered=True)
            if given.startswith("backup"):
                # Documents show such ids only of backups; waiting for one would end in "job not found".
                raise ArgumentError(
                    f"job_id is {given!r}, which looks like a backup's id: pass the whole result of the "
                    "create task, as task.output"
                )
            return {"job_id": given, "cluster_id": None, "backup_id": None}
        target = {name: given.get(name) for name in ("job_id", "cluster_id", "backup_id")}
        needed: Sequence[str] = ("job_id",)
        if target["job_id"] is None and given.get("source_cluster_id") is not None:
            # A cluster is restored from that backup, so the backup says nothing.
            needed, target["backup_id"] = ("cluster_id",), None
        elif target["job_id"] is None and target["backup_id"] is not None:
            needed = ("cluster_id", "backup_id")
        for name in needed:
            check_field("job_id", given, name)
        # A restore of several collections is one job for each.
        items = [item for item in given.get("collections") or () if isinstance(item, Mapping)]
        jobs = dict.fromkeys(item.get("job_id") for item in items)
        return target | {"earlier_job_ids": [job for job in jobs if job not in (None, target["job_id"])]}

    def console_url(self) -> str:
        return self.hook.connection.console_url(self._target()["cluster_id"])

    def trigger(self, **timing: Any) -> ZillizTrigger:
        from airflow_provider_zbackup.triggers.job import ZillizJobTrigger

        return ZillizJobTrigger(**self._target(), **timing)

    def describe_remote_work(self, context: Context) -> str:
        target = self._target()
        words = {"job_id": "Job", "backup_id": "Backup", "cluster_id": "The restore into cluster"}
        name = next(name for name in words if target[name])
        return f"{words[name]} {target[name]} may still be running."
