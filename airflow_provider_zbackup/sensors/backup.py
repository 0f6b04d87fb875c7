"""Sensors for backups in Zilliz Cloud."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar

from airflow_provider_zbackup.sensors.base import ZillizSensor
from airflow_provider_zbackup.utils.arguments import Argument, check_choice, check_duration, check_names
from airflow_provider_zbackup.zilliz.checks import ArgumentError, check_backup_scope

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context

    from airflow_provider_zbackup.triggers.base import ZillizTrigger


class ZillizNoActiveBackupSensor(ZillizSensor):
    """
    Wait until no backup, manual or automatic, is being created: the gate before DDL.

    Zilliz advises not to create or drop collections during a backup, and an automatic one may start at any
    time. The cluster counts as free when two polls in a row show no running backup. With ``timeout=0`` it is
    a check: these two polls decide, and the task fails at once if a backup is running.

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

    def trigger(self, **timing: Any) -> ZillizTrigger:
        from airflow_provider_zbackup.triggers.backup import ZillizNoActiveBackupTrigger

        return ZillizNoActiveBackupTrigger(cluster_id=self.cluster_id, project_id=self.project_id, **timing)

    def describe_remote_work(self, context: Context) -> str:
        return f"Backups of {self.cluster_id or self.project_id} may still be running."


class ZillizBackupFreshnessSensor(ZillizSensor):
    """
    Wait until a cluster has a backup that can be used and is young enough.

    With ``timeout=0`` it is a check: if no backup is fresh, the task fails at once, without retries, and
    names the newest usable backup and its age.

    Ages are by the server's clock, from the creation time that Zilliz Cloud shows, also for a copy in
    another region. A backup that shows no such time, or one in the future, is not fresh. A cluster that does
    not exist, is dropped, or cannot have backups fails the task at once.

    .. seealso:: `List Backups <https://docs.zilliz.com/reference/restful/list-backups-v2>`__

    :param cluster_id: the cluster (templated)
    :param max_age: how old the backup may be
    :param collections: names of collections that it must hold, all of one database. A backup of some
        collections counts if it holds at least these; one of the whole cluster counts unless it shows that it
        lacks one of them. By default only a backup of the whole cluster counts (templated)
    :param database: database of the collections, by default the default database (templated)
    :param backup_type: ``"CLUSTER"`` or ``"COLLECTION"``: only this type counts. ``"COLLECTION"`` without
        ``collections`` accepts a backup of any collections
    :param creation_method: ``"MANUAL"`` or ``"AUTO"``: only such a backup counts; by default either
    :param deferrable: see :class:`~airflow_provider_zbackup.sensors.base.ZillizSensor`, also for ``timeout``,
        ``defer_after``, ``end_from_trigger`` and ``zilliz_conn_id``
    :return: the newest such backup, as plain JSON: ``backup_id``, ``backup_name``, ``backup_type``,
        ``creation_method``, ``status``, ``size`` (bytes), ``region_id``, ``create_time``, ``cluster_id``, and
        ``age`` in seconds. Unknown values are null
    :raises AirflowFailException: when the cluster does not exist or cannot have backups
    :raises AirflowSensorTimeout: after ``timeout`` seconds
    """

    cluster_id: str
    template_fields: Sequence[str] = ("cluster_id", "collections", "database", "zilliz_conn_id")
    arguments: ClassVar[tuple[Argument, ...]] = (
        Argument("cluster_id"),
        Argument("max_age", check_duration),
        Argument("collections", partial(check_names, of="collection names"), optional=True),
        Argument("database", optional=True),
        Argument("backup_type", partial(check_choice, choices=("CLUSTER", "COLLECTION")), optional=True),
        Argument("creation_method", partial(check_choice, choices=("MANUAL", "AUTO")), optional=True),
    )

    def __init__(
        self,
        *,
        cluster_id: str,
        max_age: timedelta,
        collections: Sequence[str] | None = None,
        database: str | None = None,
        backup_type: str | None = None,
        creation_method: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.cluster_id = cluster_id
        self.max_age = max_age
        self.collections = collections
        self.database = database
        self.backup_type = backup_type
        self.creation_method = creation_method
        self.check_arguments()

    def check_arguments(self, *, rendered: bool = False) -> None:
        super().check_arguments(rendered=rendered)
        check_backup_scope(self.collections, self.database)

    def trigger(self, **timing: Any) -> ZillizTrigger:
        from airflow_provider_zbackup.triggers.backup import ZillizBackupFreshnessTrigger

        return ZillizBackupFreshnessTrigger(
            cluster_id=self.cluster_id,
            max_age=self.max_age.total_seconds(),
            collections=self.collections,
            database=self.database,
            backup_type=self.backup_type,
            creation_method=self.creation_method,
            **timing,
        )

    def describe_remote_work(self, context: Context) -> str:
        return f"No fresh backup of cluster {self.cluster_id} has been seen."
