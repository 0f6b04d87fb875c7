"""Sensors for backups in Zilliz Cloud."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from airflow_provider_zbackup.sensors.base import ZillizSensor
from airflow_provider_zbackup.utils.arguments import Argument
from airflow_provider_zbackup.zilliz.checks import ArgumentError

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context

    from airflow_provider_zbackup.triggers.base import ZillizTrigger


class ZillizNoActiveBackupSensor(ZillizSensor):
    """
    Wait until no backup, manual or automatic, is being created: the gate before DDL.

    Zilliz advises not to create or drop collections during a backup, and an automatic one may start at any
    time. The cluster counts as free when two polls in a row show no running backup.

    .. seealso:: `List Backups <https://docs.zilliz.com/reference/restful/list-backups-v2>`__

    :param cluster_id: the cluster to watch (templated)
    :param project_id: the project to watch, instead of one cluster (templated)
    :param deferrable: see :class:`~airflow_provider_zbackup.sensors.base.ZillizSensor`, also for
        ``defer_after``, ``end_from_trigger`` and ``zilliz_conn_id``
    :return: the number of backups there are, as ``{"backups": 3}``
    :raises AirflowSensorTimeout: after ``timeout`` seconds
    """

    template_fields: Sequence[str] = ("cluster_id", "project_id", "zilliz_conn_id")
    arguments: ClassVar[tuple[Argument, ...]] = (
        Argument("project_id", optional=True),
        Argument("cluster_id", optional=True),
    )

    def __init__(
        self, *, cluster_id: str | None = None, project_id: str | None = None, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.cluster_id = cluster_id
        self.project_id = project_id
        self.check_arguments()

    def check_arguments(self, *, rendered: bool = False) -> None:
        if (self.cluster_id is None) == (self.project_id is None):
            raise ArgumentError("give either cluster_id or project_id")
        super().check_arguments(rendered=rendered)

    def console_url(self) -> str:
        return self.hook.connection.console_url(self.cluster_id)

    def trigger(self, **timing: Any) -> ZillizTrigger:
        from airflow_provider_zbackup.triggers.backup import ZillizNoActiveBackupTrigger

        return ZillizNoActiveBackupTrigger(cluster_id=self.cluster_id, project_id=self.project_id, **timing)

    def describe_remote_work(self, context: Context) -> str:
        return f"Backups of {self.cluster_id or self.project_id} may still be running."
